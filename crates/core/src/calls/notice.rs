//! The one line that tells the person at the phone how a ringing call will be paid (S1.3).

use std::fmt;

use crate::time::Seconds;

/// How the caller stands, at the moment the phone rings.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Subscriber {
    /// Has a subscription in force.
    Active {
        /// What is left of the included time.
        remaining: Seconds,
    },
    /// Had one; it has ended.
    Expired,
    /// Never had one, or is not known.
    Never,
}

/// The notice. Displayed, it is the sentence in English; pages may say it in another language.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Notice {
    /// Paid by the subscription, as long as its hours last.
    Subscriber {
        /// Hours left in tenths, rounded down.
        tenths_of_hours: u32,
    },
    /// Pays for this call.
    NonSubscriber,
    /// Pays for this call, and may not know it.
    Expired,
}

/// The notice for a caller.
pub fn notice(subscriber: Subscriber) -> Notice {
    match subscriber {
        Subscriber::Active { remaining } => Notice::Subscriber {
            tenths_of_hours: remaining.get() / 360,
        },
        Subscriber::Expired => Notice::Expired,
        Subscriber::Never => Notice::NonSubscriber,
    }
}

impl fmt::Display for Notice {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        match self {
            Self::Subscriber { tenths_of_hours } => {
                let (hours, tenth) = (tenths_of_hours / 10, tenths_of_hours % 10);
                write!(f, "Subscriber calling - {hours}.{tenth} hours remaining")
            }
            Self::NonSubscriber => f.write_str("Non-subscriber calling - will be billed"),
            Self::Expired => f.write_str("Subscription expired - switching to per-call"),
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_three_sentences() {
        let active = |seconds| {
            notice(Subscriber::Active {
                remaining: Seconds::new(seconds),
            })
            .to_string()
        };
        // 2 h 35 min 59 s is 2.59… hours: rounded down to a tenth.
        assert_eq!(
            active(2 * 3600 + 35 * 60 + 59),
            "Subscriber calling - 2.5 hours remaining"
        );
        assert_eq!(active(3600), "Subscriber calling - 1.0 hours remaining");
        assert_eq!(active(359), "Subscriber calling - 0.0 hours remaining");
        assert_eq!(
            notice(Subscriber::Never).to_string(),
            "Non-subscriber calling - will be billed"
        );
        assert_eq!(
            notice(Subscriber::Expired).to_string(),
            "Subscription expired - switching to per-call"
        );
    }
}
