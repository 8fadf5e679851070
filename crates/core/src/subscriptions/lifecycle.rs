//! The states of a subscription.

use crate::named::named;

named! {
    /// How a subscription stands.
    State ("subscription state") {
        /// Within the plan's trial days: no base fee.
        Trial = "trial",
        /// In force.
        Active = "active",
        /// Suspended: no base fee, no allowance, until it is resumed.
        Paused = "paused",
        /// Canceled, and in force until the end of what is paid.
        Canceled = "canceled",
        /// Over.
        Ended = "ended",
    }
}

named! {
    /// What happens to a subscription.
    Event ("subscription event") {
        /// The trial is over and it goes on.
        Activate = "activate",
        /// It is suspended.
        Pause = "pause",
        /// It goes on after a pause, or a cancellation is taken back.
        Resume = "resume",
        /// It will end when the period ends.
        CancelAtEnd = "cancel_at_end",
        /// It ends: canceled at once, or its time is over without renewal.
        End = "end",
        /// Its time is over, and it renews by itself.
        Renew = "renew",
    }
}

/// The event cannot happen in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {event} a subscription that is {state}")]
pub struct IllegalTransition {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

/// The state after an event; the only way from one state to another.
pub fn transition(state: State, event: Event) -> Result<State, IllegalTransition> {
    match (state, event) {
        (State::Trial, Event::Activate)
        | (State::Active, Event::Renew)
        | (State::Paused | State::Canceled, Event::Resume) => Ok(State::Active),
        (State::Active, Event::Pause) => Ok(State::Paused),
        (State::Trial | State::Active, Event::CancelAtEnd) => Ok(State::Canceled),
        (State::Trial | State::Active | State::Paused | State::Canceled, Event::End) => {
            Ok(State::Ended)
        }
        (State::Trial, Event::Pause | Event::Resume | Event::Renew)
        | (State::Active, Event::Activate | Event::Resume)
        // Nothing is paid during a pause, so there is no paid time that it could go on for: it ends at once.
        | (
            State::Paused | State::Canceled,
            Event::Activate | Event::Pause | Event::CancelAtEnd | Event::Renew,
        )
        | (
            State::Ended,
            Event::Activate
            | Event::Pause
            | Event::Resume
            | Event::CancelAtEnd
            | Event::End
            | Event::Renew,
        ) => Err(IllegalTransition { state, event }),
    }
}

impl State {
    /// Whether usage is rated on the subscription's terms rather than as pay per call.
    pub fn is_in_force(self) -> bool {
        match self {
            Self::Trial | Self::Active | Self::Canceled => true,
            Self::Paused | Self::Ended => false,
        }
    }

    /// Whether a base fee is due for the time in this state.
    pub fn is_paid(self) -> bool {
        match self {
            Self::Active | Self::Canceled => true,
            Self::Trial | Self::Paused | Self::Ended => false,
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_these_transitions_exist() {
        let mut legal = Vec::new();
        for state in State::ALL {
            for event in Event::ALL {
                if let Ok(next) = transition(*state, *event) {
                    legal.push(format!("{state} {event} {next}"));
                }
            }
        }
        assert_eq!(
            legal,
            [
                "trial activate active",
                "trial cancel_at_end canceled",
                "trial end ended",
                "active pause paused",
                "active cancel_at_end canceled",
                "active end ended",
                "active renew active",
                "paused resume active",
                "paused end ended",
                "canceled resume active",
                "canceled end ended",
            ]
        );
        let error = transition(State::Ended, Event::Resume).unwrap_err();
        assert_eq!(
            error.to_string(),
            "cannot resume a subscription that is ended"
        );
    }

    #[test]
    fn a_canceled_subscription_is_in_force_until_it_ends() {
        let in_force: Vec<_> = State::ALL
            .iter()
            .filter(|state| state.is_in_force())
            .collect();
        assert_eq!(in_force, [&State::Trial, &State::Active, &State::Canceled]);
    }
}
