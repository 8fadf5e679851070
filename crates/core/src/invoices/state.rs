//! The states of an invoice.

use crate::named::named;

named! {
    /// How far an invoice is.
    State ("invoice state") {
        /// Gathers charges; it has no number yet and may change.
        Draft = "draft",
        /// Numbered and sent; it never changes again.
        Finalized = "finalized",
        /// Nothing is owed any more.
        Paid = "paid",
        /// Withdrawn; its number stays used.
        Void = "void",
        /// Given up.
        Uncollectible = "uncollectible",
    }
}

named! {
    /// What happens to an invoice.
    Event ("invoice event") {
        /// It gets its number.
        Finalize = "finalize",
        /// Payments and credits cover it, or it came to nothing.
        Settle = "settle",
        /// A payment was returned, so something is owed again.
        Reopen = "reopen",
        /// It is withdrawn before anything was paid.
        Void = "void",
        /// Nobody expects payment any more.
        WriteOff = "write_off",
    }
}

/// The event cannot happen in that state.
#[derive(Debug, Clone, Copy, PartialEq, Eq, thiserror::Error)]
#[error("cannot {event} an invoice that is {state}")]
pub struct IllegalTransition {
    /// The state.
    pub state: State,
    /// The event.
    pub event: Event,
}

/// The state after an event; the only way from one state to another.
pub fn transition(state: State, event: Event) -> Result<State, IllegalTransition> {
    match (state, event) {
        (State::Draft, Event::Finalize) | (State::Paid, Event::Reopen) => Ok(State::Finalized),
        (State::Finalized | State::Uncollectible, Event::Settle) => Ok(State::Paid),
        (State::Finalized | State::Uncollectible, Event::Void) => Ok(State::Void),
        (State::Finalized, Event::WriteOff) => Ok(State::Uncollectible),
        (State::Draft, Event::Settle | Event::Reopen | Event::Void | Event::WriteOff)
        | (State::Finalized, Event::Finalize | Event::Reopen)
        | (State::Paid, Event::Finalize | Event::Settle | Event::Void | Event::WriteOff)
        | (
            State::Void,
            Event::Finalize | Event::Settle | Event::Reopen | Event::Void | Event::WriteOff,
        )
        | (State::Uncollectible, Event::Finalize | Event::Reopen | Event::WriteOff) => {
            Err(IllegalTransition { state, event })
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
                "draft finalize finalized",
                "finalized settle paid",
                "finalized void void",
                "finalized write_off uncollectible",
                "paid reopen finalized",
                "uncollectible settle paid",
                "uncollectible void void",
            ]
        );
        let error = transition(State::Void, Event::Settle).unwrap_err();
        assert_eq!(error.to_string(), "cannot settle an invoice that is void");
    }
}
