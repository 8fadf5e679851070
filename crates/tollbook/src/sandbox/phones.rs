//! The stand-ins of the phone providers side by side, and planned traffic in the words of each.

use jiff::Timestamp;
use tollbook_core::calls::Provider;
use tollbook_providers::openphone::sandbox as openphone;
use tollbook_providers::twilio::sandbox as twilio;

use super::traffic::{Ending, Fate, PlannedCall, PlannedMessage};
use super::world::PhoneAccount;
use crate::clock::Clock;
use crate::error::{Error, Result};

/// The stand-ins.
#[derive(Debug, Clone)]
pub(crate) struct Phones {
    /// Of OpenPhone.
    pub(crate) openphone: openphone::Sandbox,
    /// Of Twilio.
    pub(crate) twilio: twilio::Sandbox,
}

/// A call that was planned: at which provider, and its id there.
pub(super) type Played = (Provider, String);

impl Phones {
    /// Plans a call at the provider of an account.
    pub(super) fn play(&self, account: &PhoneAccount, call: &PlannedCall) -> Result<Vec<Played>> {
        let provider = account.provider;
        let sids = if provider == Provider::Twilio {
            let sid = self.twilio.play(&twilio_call(call, account));
            vec![sid.map_err(nobodys)?]
        } else {
            let sids = self.openphone.play(&openphone_call(call, account));
            sids.map_err(nobodys)?
        };
        Ok(sids.into_iter().map(|sid| (provider, sid)).collect())
    }

    /// Plans a message at the provider of an account.
    pub(super) fn play_message(
        &self,
        account: &PhoneAccount,
        message: &PlannedMessage,
    ) -> Result<()> {
        let (from, to) = sides(
            message.is_incoming,
            message.our_number.as_str(),
            message.external.as_str(),
        );
        let (text, at) = (message.text.clone(), message.at);
        if account.provider == Provider::Twilio {
            let script = twilio::ScriptedMessage {
                from,
                to,
                text,
                at,
                fate: match message.fate {
                    Fate::Delivered => twilio::Fate::Delivered,
                    Fate::Undelivered => twilio::Fate::Undelivered,
                    Fate::Failed => twilio::Fate::Failed,
                },
            };
            self.twilio.play_message(&script).map_err(nobodys)?;
        } else {
            let script = openphone::ScriptedMessage {
                from,
                to,
                text,
                at,
                fate: match message.fate {
                    Fate::Delivered => openphone::Fate::Delivered,
                    Fate::Undelivered => openphone::Fate::Undelivered,
                    Fate::Failed => openphone::Fate::Failed,
                },
            };
            self.openphone.play_message(&script).map_err(nobodys)?;
        }
        Ok(())
    }

    /// Delivers what is due.
    pub(super) async fn deliver_due(&self, now: Timestamp) {
        tokio::join!(
            self.openphone.deliver_due(now),
            self.twilio.deliver_due(now)
        );
    }

    /// Lets everything until `to` happen where nobody watches: `clock` is set instead of waited for, and then stands
    /// still.
    pub(super) async fn pass(&self, clock: &Clock, to: Timestamp) {
        // Of most things Twilio says only that they are, not when they were: they have to come at their time.
        while let Some(next) = self.twilio.next_at().filter(|at| *at <= to) {
            clock.set(next, 0);
            self.twilio.deliver_due(next).await;
        }
        clock.set(to, 0);
        self.openphone.deliver_due(to).await;
    }

    /// When the next thing happens.
    pub(super) fn next_at(&self) -> Option<Timestamp> {
        let both = [self.openphone.next_at(), self.twilio.next_at()];
        both.into_iter().flatten().min()
    }

    /// Everybody in a call hangs up.
    pub(super) fn end_call(&self, (provider, sid): &Played, now: Timestamp) {
        if *provider == Provider::Twilio {
            self.twilio.end_call(sid, now);
        } else {
            self.openphone.end_call(sid, now);
        }
    }
}

fn nobodys(error: impl std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}

/// Who calls, and who is called.
fn sides(is_incoming: bool, ours: &str, theirs: &str) -> (String, String) {
    if is_incoming {
        (theirs.to_owned(), ours.to_owned())
    } else {
        (ours.to_owned(), theirs.to_owned())
    }
}

/// Twilio puts a caller through to one person; handing over and sending on are not what its numbers do by themselves.
fn twilio_call(call: &PlannedCall, account: &PhoneAccount) -> twilio::ScriptedCall {
    let (from, to) = sides(
        call.is_incoming,
        call.our_number.as_str(),
        call.external.as_str(),
    );
    let user = call.user.as_ref().or_else(|| {
        let mut lines = account.busy.lines.iter();
        let line = lines.find(|line| line.number == call.our_number)?;
        line.users.first()
    });
    let name = user.and_then(|mail| account.user_sids.get(mail));
    twilio::ScriptedCall {
        from,
        to,
        at: call.at,
        ring_seconds: call.ring_seconds,
        talk_seconds: call.talk_seconds,
        ending: match &call.ending {
            Ending::Answered | Ending::Transferred { .. } => twilio::Ending::Answered,
            Ending::Voicemail { seconds, .. } => twilio::Ending::Voicemail { seconds: *seconds },
            Ending::Forwarded { .. } | Ending::Missed | Ending::Abandoned => {
                twilio::Ending::NoAnswer
            }
            Ending::Failed => twilio::Ending::Failed,
        },
        agent: format!("client:{}", name.map_or("desk", String::as_str)),
        is_recorded: call.is_recorded,
    }
}

fn openphone_call(call: &PlannedCall, account: &PhoneAccount) -> openphone::ScriptedCall {
    let sid = |mail: &String| account.user_sids.get(mail).cloned();
    let (from, to) = sides(
        call.is_incoming,
        call.our_number.as_str(),
        call.external.as_str(),
    );
    openphone::ScriptedCall {
        from,
        to,
        at: call.at,
        ring_seconds: call.ring_seconds,
        talk_seconds: call.talk_seconds,
        ending: match &call.ending {
            Ending::Answered => openphone::Ending::Answered,
            Ending::Transferred { to, after_seconds } => match sid(to) {
                Some(to_user_sid) => openphone::Ending::Transferred {
                    to_user_sid,
                    after_seconds: *after_seconds,
                },
                None => openphone::Ending::Answered,
            },
            Ending::Forwarded { to } => openphone::Ending::Forwarded { to: to.to_string() },
            Ending::Voicemail {
                seconds,
                transcript,
            } => openphone::Ending::Voicemail {
                seconds: *seconds,
                transcript: transcript.clone(),
            },
            Ending::Missed => openphone::Ending::Missed,
            Ending::Abandoned => openphone::Ending::Abandoned,
            Ending::Failed => openphone::Ending::Failed,
        },
        user_sid: call.user.as_ref().and_then(sid),
        is_recorded: call.is_recorded,
        transcript: call
            .transcript
            .iter()
            .map(|line| openphone::Line {
                is_external: line.is_external,
                text: line.text.clone(),
            })
            .collect(),
        summary: call.summary.clone(),
    }
}
