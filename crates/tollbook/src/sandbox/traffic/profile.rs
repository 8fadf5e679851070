//! What kind of day: who there is, how much happens, and which shares of it are what.

use jiff::civil::{Date, Weekday};
use tollbook_core::phone::E164;

/// Who calls whom, and how much.
#[derive(Debug, Clone, PartialEq)]
pub struct Profile {
    /// The numbers of the organization.
    pub lines: Vec<OurLine>,
    /// Numbers that are known.
    pub customers: Vec<E164>,
    /// The mean; the number of a day is drawn.
    pub calls_per_day: u32,
    /// The mean; the number of a day is drawn.
    pub messages_per_day: u32,
    /// How busy each local hour is, relative to the others.
    pub calls_by_hour: [u32; 24],
    /// How busy each local hour is, relative to the others.
    pub messages_by_hour: [u32; 24],
    /// The local hour at which business ends, from Monday to Friday; 1 to 23.
    pub closes_hour: i8,
    /// Which part of the calls is what.
    pub shares: Shares,
}

/// A number, and who works on it.
#[derive(Debug, Clone, PartialEq, Eq)]
pub struct OurLine {
    /// The number.
    pub number: E164,
    /// The users on it, by the names under which the player knows them.
    pub users: Vec<String>,
    /// Where calls are sent on to.
    pub forwards_to: E164,
}

/// Shares from 0 to 1, of all calls unless said otherwise.
#[derive(Debug, Clone, Copy, PartialEq)]
pub struct Shares {
    /// Placed by us.
    pub outgoing: f64,
    /// Nobody talks: missed, voicemail, abandoned, failed.
    pub unanswered: f64,
    /// Sent on to another number.
    pub forwarded: f64,
    /// Handed to a colleague, of the longer calls that are answered.
    pub transferred: f64,
    /// With somebody who was on the phone that day already.
    pub repeated: f64,
    /// From somebody who withholds their number.
    pub anonymous: f64,
    /// From somebody who is not a customer, of those who have not called that day.
    pub strangers: f64,
    /// Talked while the day or the business hours end.
    pub across_boundary: f64,
    /// Recorded, of those that are answered.
    pub recorded: f64,
    /// Half of the calls are shorter.
    pub talk_median_seconds: f64,
    /// How much lengths vary: the standard deviation of their logarithm.
    pub talk_sigma: f64,
}

/// A support desk: quiet nights, a peak in the morning, another after lunch.
const SUPPORT_HOURS: [u32; 24] = [
    1, 1, 1, 1, 1, 2, 4, 12, 40, 68, 80, 74, 50, 62, 76, 70, 58, 44, 22, 14, 9, 6, 3, 2,
];

/// People write in the evening, too.
const WRITING_HOURS: [u32; 24] = [
    1, 1, 0, 0, 0, 1, 4, 12, 28, 36, 38, 36, 34, 34, 36, 36, 38, 40, 36, 30, 24, 16, 8, 3,
];

impl Default for Shares {
    fn default() -> Self {
        Self {
            outgoing: 0.18,
            unanswered: 0.25,
            forwarded: 0.02,
            transferred: 0.06,
            repeated: 0.15,
            anonymous: 0.05,
            strangers: 0.2,
            across_boundary: 0.02,
            recorded: 0.35,
            talk_median_seconds: 140.0,
            // One in 300 calls lasts longer than an hour.
            talk_sigma: 1.2,
        }
    }
}

impl Profile {
    /// A support desk with these numbers and customers.
    pub fn support(lines: Vec<OurLine>, customers: Vec<E164>, calls_per_day: u32) -> Self {
        Self {
            lines,
            customers,
            calls_per_day,
            messages_per_day: calls_per_day / 3,
            calls_by_hour: SUPPORT_HOURS,
            messages_by_hour: WRITING_HOURS,
            closes_hour: 18,
            shares: Shares::default(),
        }
    }

    /// Whether the office stays closed.
    pub fn is_closed_on(&self, date: Date) -> bool {
        matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
    }
}
