//! Totals of a period by meter. They can always be made again from the events.

use jiff::Timestamp;

use super::meter::Aggregation;
use crate::money::{Fraction, Overflow, Quantity};
use crate::time::Period;

/// The total of `events` (time and quantity, in order of time) in a period. `opening` is the level that stood when the
/// period began, for meters that measure a level.
pub fn aggregate(
    aggregation: Aggregation,
    period: &Period,
    opening: Quantity,
    events: &[(Timestamp, Quantity)],
) -> Result<Fraction, Overflow> {
    let within = || events.iter().filter(|(at, _)| period.contains(*at));
    match aggregation {
        Aggregation::Sum => Fraction::sum(within().map(|(_, quantity)| quantity.to_fraction())),
        Aggregation::Max => {
            let highest = within()
                .map(|(_, quantity)| *quantity)
                .fold(opening, Quantity::max);
            Ok(highest.to_fraction())
        }
        Aggregation::Last => Ok(within()
            .max_by_key(|(at, _)| *at)
            .map_or(opening, |(_, quantity)| *quantity)
            .to_fraction()),
        Aggregation::TimeWeighted => {
            let mut since = period.start();
            let mut level = opening;
            let mut stood = Vec::new();
            for (at, quantity) in within() {
                stood.push(level_milliseconds(level, since, *at)?);
                (since, level) = (*at, *quantity);
            }
            stood.push(level_milliseconds(level, since, period.end())?);
            let length = period.end().duration_since(period.start()).as_millis();
            Fraction::sum(stood)?.checked_div(Fraction::new(length, 1)?)
        }
    }
}

fn level_milliseconds(
    level: Quantity,
    from: Timestamp,
    to: Timestamp,
) -> Result<Fraction, Overflow> {
    level
        .to_fraction()
        .checked_mul(Fraction::new(to.duration_since(from).as_millis(), 1)?)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn seconds(n: i64) -> Quantity {
        Quantity::try_from_units(n).unwrap()
    }

    #[test]
    fn levels_weigh_by_the_time_for_which_they_stood() {
        let at = |day: i8| {
            format!("2026-04-{day:02}T00:00:00Z")
                .parse::<Timestamp>()
                .unwrap()
        };
        let april = Period::new(at(1), "2026-05-01T00:00:00Z".parse().unwrap()).unwrap();
        // 10 MB for 10 days, 40 for 15, 0 for 5: (100 + 600) / 30.
        let events = [(at(11), seconds(40)), (at(26), seconds(0))];
        let total = |aggregation| aggregate(aggregation, &april, seconds(10), &events).unwrap();
        assert_eq!(
            total(Aggregation::TimeWeighted),
            Fraction::new(70, 3).unwrap()
        );
        assert_eq!(total(Aggregation::Max), Fraction::from(40));
        assert_eq!(total(Aggregation::Last), Fraction::from(0));
        assert_eq!(total(Aggregation::Sum), Fraction::from(40));
        let quiet = aggregate(Aggregation::TimeWeighted, &april, seconds(10), &[]).unwrap();
        assert_eq!(quiet, Fraction::from(10));
    }
}
