//! How far a stream was read: the id on the wire.
//!
//! Transactions commit in another order than their events are numbered, so no event id says "everything before this
//! was sent". What does is a low-water mark: the oldest transaction that was still writing when the events were read.
//! Whatever had a lower transaction id was finished and seen. A reader who goes on from the mark may hear some events
//! twice, and never misses one.

use std::fmt;
use std::str::FromStr;

/// How long a stream can be resumed, in seconds. Events are kept longer, so that what is promised is there.
pub(super) const RESUMABLE_SECONDS: i64 = 3600;

/// A low-water mark, with the database's time at which it was taken. Written `<transaction>.<seconds>`: read as a number, a
/// later mark is the greater one.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Mark {
    /// Everything of transactions below this one was sent.
    pub(super) xid: i64,
    /// Seconds since 1970.
    pub(super) at: i64,
}

/// The text is no id of an event stream.
#[derive(Debug, PartialEq, Eq, thiserror::Error)]
#[error("is not an id of an event stream")]
pub(crate) struct InvalidMark;

impl Mark {
    /// Whether what happened since this mark can be replayed at `present`. A mark ahead of the present is from another
    /// life of the database.
    pub(super) fn is_resumable(self, present: Self) -> bool {
        self.xid <= present.xid && present.at.saturating_sub(self.at) <= RESUMABLE_SECONDS
    }
}

impl fmt::Display for Mark {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{}.{}", self.xid, self.at)
    }
}

impl FromStr for Mark {
    type Err = InvalidMark;

    fn from_str(text: &str) -> Result<Self, InvalidMark> {
        let (xid, at) = text.split_once('.').ok_or(InvalidMark)?;
        let number = |digits: &str| {
            let number: u64 = digits.parse().map_err(|_| InvalidMark)?;
            i64::try_from(number).map_err(|_| InvalidMark)
        };
        Ok(Self {
            xid: number(xid)?,
            at: number(at)?,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_mark_is_written_and_read() {
        let mark = Mark { xid: 812, at: 99 };
        assert_eq!(mark.to_string(), "812.99");
        assert_eq!("812.99".parse(), Ok(mark));
        for wrong in ["", "812", "-5.1", "812.", "a.b", "99999999999999999999.1"] {
            assert_eq!(wrong.parse::<Mark>(), Err(InvalidMark), "{wrong}");
        }
    }

    #[test]
    fn a_mark_serves_for_an_hour_and_never_from_the_future() {
        let present = Mark {
            xid: 50,
            at: 10_000,
        };
        let resumable = |xid, at| Mark { xid, at }.is_resumable(present);
        assert!(resumable(50, 10_000));
        assert!(resumable(3, 6_400));
        assert!(!resumable(3, 6_399));
        assert!(!resumable(51, 10_000));
    }
}
