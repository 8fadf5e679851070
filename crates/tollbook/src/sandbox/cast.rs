//! Who can be on the phone: nobody is in two calls at once.

use std::collections::HashMap;

use jiff::Timestamp;
use tollbook_core::phone::Party;

use super::traffic::{Ending, PlannedCall};

/// Until when everybody talks.
#[derive(Debug, Default)]
pub(super) struct Cast {
    users: HashMap<String, Timestamp>,
    parties: HashMap<Party, Timestamp>,
}

impl Cast {
    /// Fits a call to who is free when it begins, to be asked in order of time. A call that nobody of `users` is free
    /// for is missed; one with somebody who is on the phone already does not happen.
    pub(super) fn fit(&mut self, mut call: PlannedCall, users: &[String]) -> Option<PlannedCall> {
        let is_known = matches!(call.external, Party::Number(_));
        if is_known && self.is_busy(&call.external, call.at) {
            return None;
        }
        if call.is_answered() {
            let free = call
                .user
                .iter()
                .chain(users)
                .find(|user| self.is_free(user, call.at));
            match free.cloned() {
                Some(user) => call.user = Some(user),
                None if call.is_incoming => {
                    call.user = None;
                    call.talk_seconds = 0;
                    call.ending = Ending::Missed;
                    call.is_recorded = false;
                }
                None => return None,
            }
            if let Ending::Transferred { to, .. } = &call.ending
                && !self.is_free(to, call.at)
            {
                call.ending = Ending::Answered;
            }
        }
        let until = call.ends_at();
        if is_known {
            self.parties.insert(call.external.clone(), until);
        }
        let colleague = match &call.ending {
            Ending::Transferred { to, .. } => Some(to.clone()),
            _ => None,
        };
        for user in call.user.iter().cloned().chain(colleague) {
            self.users.insert(user, until);
        }
        Some(call)
    }

    fn is_free(&self, user: &str, at: Timestamp) -> bool {
        self.users.get(user).is_none_or(|until| *until <= at)
    }

    fn is_busy(&self, party: &Party, at: Timestamp) -> bool {
        self.parties.get(party).is_some_and(|until| *until > at)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn call(external: &str, second: i64, user: &str) -> PlannedCall {
        PlannedCall {
            at: Timestamp::from_second(1_767_711_600 + second).unwrap(),
            is_incoming: true,
            our_number: "+12125550140".parse().unwrap(),
            external: Party::read(external),
            ring_seconds: 10,
            talk_seconds: 100,
            user: Some(user.to_owned()),
            ending: Ending::Answered,
            is_recorded: false,
            transcript: Vec::new(),
            summary: Vec::new(),
        }
    }

    #[test]
    fn a_colleague_takes_the_call_and_if_none_is_free_it_is_missed() {
        let users = ["ann".to_owned(), "bob".to_owned()];
        let mut cast = Cast::default();
        let mut fit = |call| cast.fit(call, &users);
        let user = |call: Option<PlannedCall>| call.unwrap().user;
        assert_eq!(
            user(fit(call("+12025550101", 0, "ann"))).as_deref(),
            Some("ann")
        );
        assert_eq!(
            user(fit(call("+12025550102", 5, "ann"))).as_deref(),
            Some("bob")
        );
        let missed = fit(call("+12025550103", 6, "ann")).unwrap();
        assert_eq!((missed.ending, missed.talk_seconds), (Ending::Missed, 0));
        assert_eq!(
            fit(call("+12025550101", 60, "ann")),
            None,
            "they are on the phone"
        );
        assert_eq!(
            user(fit(call("+12025550101", 110, "ann"))).as_deref(),
            Some("ann")
        );
        let hidden = [
            fit(call("anonymous", 300, "ann")),
            fit(call("anonymous", 301, "bob")),
        ];
        assert!(
            hidden.iter().all(Option::is_some),
            "two may withhold their number"
        );
    }
}
