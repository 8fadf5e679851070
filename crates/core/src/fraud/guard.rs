//! The rule: what an organization has called lately and how much, against what it says is usual.

use std::collections::BTreeSet;

use super::destination::Destination;
use crate::money::Fraction;

/// What an organization says is usual. `None`: there is no such limit.
#[derive(Debug, Clone, PartialEq, Eq, Default)]
pub struct Guard {
    /// Whether calls to where nobody has called lately are held.
    pub holds_unusual: bool,
    /// Where calls may go at any time; the organization's own country among them.
    pub allowed: BTreeSet<Destination>,
    /// Calls that begin within a minute.
    pub calls_per_minute_max: Option<u32>,
    /// Calls that begin within an hour.
    pub calls_per_hour_max: Option<u32>,
    /// Calls at the same time.
    pub concurrent_max: Option<u32>,
    /// What calls to one destination cost within an hour, in major units of the organization's currency.
    pub hourly_spend_max: Option<Fraction>,
}

/// What was called before this call, as far as it counts.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Default)]
pub struct Activity {
    /// Somebody released the destination: it is usual from then on.
    pub is_released: bool,
    /// The destination was called in the time that the organization looks back on.
    pub has_called: bool,
    /// Calls that began within the last minute.
    pub calls_in_minute: u32,
    /// Calls that began within the last hour.
    pub calls_in_hour: u32,
    /// Calls in progress.
    pub in_progress: u32,
    /// What calls to the destination cost within the last hour, exact, in major units.
    pub spent_in_hour: Fraction,
}

/// Why a call is held.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Reason {
    /// Nobody called the destination lately.
    UnusualDestination,
    /// Too many calls within a minute.
    CallsPerMinute,
    /// Too many calls within an hour.
    CallsPerHour,
    /// Too many calls at the same time.
    ConcurrentCalls,
    /// Calls to the destination cost too much within an hour.
    HourlySpend,
}

/// What is held then.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Scope {
    /// Calls to the destination.
    Destination,
    /// All calls out.
    Everything,
}

impl Reason {
    /// All of them.
    pub const ALL: [Self; 5] = [
        Self::UnusualDestination,
        Self::CallsPerMinute,
        Self::CallsPerHour,
        Self::ConcurrentCalls,
        Self::HourlySpend,
    ];

    /// The name in SQL and on the wire.
    pub const fn as_str(self) -> &'static str {
        match self {
            Self::UnusualDestination => "unusual_destination",
            Self::CallsPerMinute => "calls_per_minute",
            Self::CallsPerHour => "calls_per_hour",
            Self::ConcurrentCalls => "concurrent_calls",
            Self::HourlySpend => "hourly_spend",
        }
    }

    /// What is held for it: who calls too often is stopped, who calls somewhere is stopped from calling there.
    pub const fn scope(self) -> Scope {
        match self {
            Self::UnusualDestination | Self::HourlySpend => Scope::Destination,
            Self::CallsPerMinute | Self::CallsPerHour | Self::ConcurrentCalls => Scope::Everything,
        }
    }
}

/// Whether one more call to `destination` is held, and why; `None` lets it through. Where there are several reasons, the
/// destination comes first.
pub fn verdict(guard: &Guard, destination: &Destination, activity: &Activity) -> Option<Reason> {
    let reaches = |count: u32, max: Option<u32>| max.is_some_and(|max| count >= max);
    let is_usual =
        activity.is_released || activity.has_called || guard.allowed.contains(destination);
    if guard.holds_unusual && !is_usual {
        return Some(Reason::UnusualDestination);
    }
    if reaches(activity.calls_in_minute, guard.calls_per_minute_max) {
        return Some(Reason::CallsPerMinute);
    }
    if reaches(activity.calls_in_hour, guard.calls_per_hour_max) {
        return Some(Reason::CallsPerHour);
    }
    if reaches(activity.in_progress, guard.concurrent_max) {
        return Some(Reason::ConcurrentCalls);
    }
    let is_dear = guard
        .hourly_spend_max
        .is_some_and(|max| activity.spent_in_hour >= max);
    is_dear.then_some(Reason::HourlySpend)
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn cuba() -> Destination {
        Destination::Country("CU".to_owned())
    }

    fn guard() -> Guard {
        Guard {
            holds_unusual: true,
            allowed: [Destination::Country("US".to_owned())].into(),
            calls_per_minute_max: Some(3),
            calls_per_hour_max: Some(20),
            concurrent_max: Some(2),
            hourly_spend_max: Some(Fraction::from_whole(50)),
        }
    }

    #[test]
    fn a_destination_is_usual_once_it_was_called_allowed_or_released() {
        let nothing = Activity::default();
        let unusual = Some(Reason::UnusualDestination);
        assert_eq!(verdict(&guard(), &cuba(), &nothing), unusual);
        let home = Destination::Country("US".to_owned());
        assert_eq!(verdict(&guard(), &home, &nothing), None);
        let called = Activity {
            has_called: true,
            ..nothing
        };
        assert_eq!(verdict(&guard(), &cuba(), &called), None);
        let released = Activity {
            is_released: true,
            ..nothing
        };
        assert_eq!(verdict(&guard(), &cuba(), &released), None);
        assert_eq!(verdict(&Guard::default(), &cuba(), &nothing), None);
    }

    #[test]
    fn the_last_call_that_is_usual_is_let_through_and_the_next_one_is_not() {
        let usual = Activity {
            has_called: true,
            ..Activity::default()
        };
        let cases = [
            (
                Activity {
                    calls_in_minute: 2,
                    ..usual
                },
                None,
            ),
            (
                Activity {
                    calls_in_minute: 3,
                    ..usual
                },
                Some(Reason::CallsPerMinute),
            ),
            (
                Activity {
                    calls_in_hour: 19,
                    ..usual
                },
                None,
            ),
            (
                Activity {
                    calls_in_hour: 20,
                    ..usual
                },
                Some(Reason::CallsPerHour),
            ),
            (
                Activity {
                    in_progress: 1,
                    ..usual
                },
                None,
            ),
            (
                Activity {
                    in_progress: 2,
                    ..usual
                },
                Some(Reason::ConcurrentCalls),
            ),
            (
                Activity {
                    spent_in_hour: Fraction::new(4_999, 100).unwrap(),
                    ..usual
                },
                None,
            ),
            (
                Activity {
                    spent_in_hour: Fraction::from_whole(50),
                    ..usual
                },
                Some(Reason::HourlySpend),
            ),
        ];
        for (activity, held) in cases {
            assert_eq!(verdict(&guard(), &cuba(), &activity), held, "{activity:?}");
        }
    }

    fn activity() -> impl Strategy<Value = Activity> {
        (
            any::<bool>(),
            any::<bool>(),
            0_u32..30,
            0_u32..60,
            0_u32..10,
            0_i64..100,
        )
            .prop_map(
                |(is_released, has_called, calls_in_minute, calls_in_hour, in_progress, spent)| {
                    Activity {
                        is_released,
                        has_called,
                        calls_in_minute,
                        calls_in_hour,
                        in_progress,
                        spent_in_hour: Fraction::from_whole(spent),
                    }
                },
            )
    }

    proptest! {
        // Who does more is never let through where who does less is held, and a release never holds anybody.
        #[test]
        fn more_calls_are_never_more_usual(activity in activity(), more in 0_u32..10) {
            let busier = Activity {
                calls_in_minute: activity.calls_in_minute + more,
                calls_in_hour: activity.calls_in_hour + more,
                in_progress: activity.in_progress + more,
                ..activity
            };
            let before = verdict(&guard(), &cuba(), &activity);
            let after = verdict(&guard(), &cuba(), &busier);
            prop_assert!(before.is_none() || after.is_some());
            let released = Activity { is_released: true, ..activity };
            prop_assert!(before.is_some() || verdict(&guard(), &cuba(), &released).is_none());
            prop_assert_eq!(verdict(&Guard::default(), &cuba(), &busier), None);
        }
    }
}
