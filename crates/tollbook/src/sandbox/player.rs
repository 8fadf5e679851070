//! The days of the demo: the past and the nights pass quickly, office hours at the pace that one can watch.
//!
//! Everything goes the way of a real installation: the provider's webhooks by HTTP, the inbox, usage, charges, invoices.
//! Only the clock is set instead of waited for where nobody watches.

use jiff::civil::{Date, Weekday};
use jiff::{SignedDuration, Timestamp};
use tokio_util::sync::CancellationToken;
use tollbook_core::actor::Actor;
use tollbook_core::time::Zone;

use super::stage::Stage;
use crate::app::App;
use crate::error::{Error, Result};

/// Days are watched between these local times in New York: afternoon and evening in Berlin.
const OPENS: (i8, i8) = (8, 30);
const CLOSES: (i8, i8) = (18, 45);
/// The first day is joined when the phones are busy.
const JOINED: (i8, i8) = (9, 40);
/// How far back the past goes.
const PAST_DAYS: i64 = 35;
/// How far the clock is set at a time where nobody watches. Links to recordings have to outlast it.
pub(crate) const STRIDE: SignedDuration = SignedDuration::from_hours(4);

/// How far the past has been played.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Progress {
    /// The business time that has been reached.
    pub(crate) at: Timestamp,
    /// Calls so far.
    pub(crate) calls: usize,
}

/// When what happens.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Calendar {
    /// The past begins.
    pub(crate) past: Timestamp,
    /// One begins to watch.
    pub(crate) joined: Timestamp,
}

impl Calendar {
    /// For a demo that is started at `now`; one that was `last_heard` of before goes on from there.
    pub(crate) fn new(now: Timestamp, last_heard: Option<Timestamp>) -> Result<Self> {
        let zone = zone()?;
        let mut date = zone.date(now);
        while is_weekend(date) || local(&zone, date, JOINED)? > now {
            date = date.yesterday().map_err(beyond)?;
        }
        let joined = local(&zone, date, JOINED)?;
        let past = joined
            .checked_sub(SignedDuration::from_hours(24 * PAST_DAYS))
            .map_err(beyond)?;
        let past = zone.day_start(zone.date(past)).map_err(beyond)?;
        Ok(match last_heard {
            None => Self { past, joined },
            Some(last) => Self {
                past: past.max(last),
                joined: joined.max(watched_from(&zone, last)?),
            },
        })
    }

    /// The day that the past leads up to.
    pub(crate) fn today(&self) -> Result<Date> {
        Ok(zone()?.date(self.joined))
    }
}

/// Plays day after day.
#[derive(Debug)]
pub(crate) struct Player {
    app: App,
    stage: Stage,
    /// Seconds of business per second, while one watches.
    speed: u32,
    halt: CancellationToken,
}

impl Player {
    /// A player of what happens on `stage`, until `halt`.
    pub(crate) fn new(app: App, stage: Stage, speed: u32, halt: CancellationToken) -> Self {
        Self {
            app,
            stage,
            speed,
            halt,
        }
    }

    /// Plays the past up to when one begins to watch.
    pub(crate) async fn play_past(
        &mut self,
        calendar: &Calendar,
        tell: impl FnMut(Progress),
    ) -> Result<()> {
        self.skip(calendar.past, calendar.joined, tell).await
    }

    /// Plays day after day until it is halted. Then everybody hangs up, so that no call seems to go on for ever.
    pub(crate) async fn play_on(&mut self) -> Result<()> {
        let zone = zone()?;
        while !self.halt.is_cancelled() {
            let now = self.app.clock.now();
            let closes = local(&zone, zone.date(now), CLOSES)?.max(now);
            self.stage.plan(now, closes)?;
            self.app.clock.set(now, self.speed);
            self.stage.follow(&self.app.clock, closes, &self.halt).await;
            if !self.halt.is_cancelled() {
                let opens = watched_from(&zone, closes)?;
                self.skip(closes, opens, |_| {}).await?;
            }
        }
        self.stage.hang_up(self.app.clock.now()).await;
        Ok(())
    }

    /// Passes `[from, to)` in strides: the clock stands still while what is due is done.
    async fn skip(
        &mut self,
        from: Timestamp,
        to: Timestamp,
        mut tell: impl FnMut(Progress),
    ) -> Result<()> {
        let mut at = from;
        let mut calls = 0;
        while at < to && !self.halt.is_cancelled() {
            let next = at.checked_add(STRIDE).map_err(beyond)?.min(to);
            calls += self.stage.plan(at, next)?;
            at = next;
            self.stage.phones.pass(&self.app.clock, at).await;
            self.app.settle().await?;
            tell(Progress { at, calls });
        }
        Ok(())
    }
}

/// The latest time of any call: where the clock goes on at a later start.
pub(crate) async fn last_heard(app_db: &crate::db::Db) -> Result<Option<Timestamp>> {
    let mut tx = app_db.begin(&Actor::system()).await?;
    let at = sqlx::query_scalar!(
        "select max(greatest(started_at, answered_at, ended_at)) from calls
         -- all organizations: they share one clock"
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok(at.map(Timestamp::from))
}

/// How many calls and finalized invoices there are.
pub(crate) async fn tally(app: &App) -> Result<(i64, i64)> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let row = sqlx::query!(
        r#"select (select count(*) from calls where merged_into_id is null) as "calls!",
             (select count(*) from invoices where state <> 'draft') as "invoices!"
         -- all organizations: a summary of the demo"#
    )
    .fetch_one(&mut *tx)
    .await?;
    Ok((row.calls, row.invoices))
}

/// When one watches next, from `at` on.
fn watched_from(zone: &Zone, at: Timestamp) -> Result<Timestamp> {
    let mut date = zone.date(at);
    if !is_weekend(date) && at < local(zone, date, CLOSES)? {
        return Ok(at.max(local(zone, date, OPENS)?));
    }
    loop {
        date = date.tomorrow().map_err(beyond)?;
        if !is_weekend(date) {
            return local(zone, date, OPENS);
        }
    }
}

fn is_weekend(date: Date) -> bool {
    matches!(date.weekday(), Weekday::Saturday | Weekday::Sunday)
}

fn local(zone: &Zone, date: Date, (hour, minute): (i8, i8)) -> Result<Timestamp> {
    let at = date
        .at(hour, minute, 0, 0)
        .to_zoned(zone.rules().clone())
        .map_err(beyond)?;
    Ok(at.timestamp())
}

/// The zone whose office hours are watched.
fn zone() -> Result<Zone> {
    "America/New_York".parse().map_err(beyond)
}

fn beyond(error: impl std::fmt::Display) -> Error {
    Error::Internal(error.to_string())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    #[test]
    fn one_joins_on_a_working_morning_that_has_been() {
        // Monday noon in New York; Monday before the office opens; Sunday.
        for (now, joined) in [
            ("2026-01-05T17:00:00Z", "2026-01-05T14:40:00Z"),
            ("2026-01-05T12:00:00Z", "2026-01-02T14:40:00Z"),
            ("2026-01-04T17:00:00Z", "2026-01-02T14:40:00Z"),
        ] {
            let calendar = Calendar::new(at(now), None).unwrap();
            assert_eq!(calendar.joined, at(joined), "{now}");
            assert!(calendar.past < at("2025-12-02T00:00:00Z"));
        }
    }

    #[test]
    fn a_later_start_goes_on_where_the_clock_was() {
        let heard = at("2026-01-06T16:00:00Z");
        let calendar = Calendar::new(at("2026-01-05T17:00:00Z"), Some(heard)).unwrap();
        assert_eq!(
            (calendar.past, calendar.joined),
            (heard, heard),
            "ahead, in office hours"
        );
        let night = at("2026-01-07T02:00:00Z");
        let calendar = Calendar::new(at("2026-01-05T17:00:00Z"), Some(night)).unwrap();
        assert_eq!(
            calendar.joined,
            at("2026-01-07T13:30:00Z"),
            "ahead, at night"
        );
        let long_ago = at("2025-12-30T16:00:00Z");
        let calendar = Calendar::new(at("2026-01-05T17:00:00Z"), Some(long_ago)).unwrap();
        assert_eq!(
            (calendar.past, calendar.joined),
            (long_ago, at("2026-01-05T14:40:00Z"))
        );
    }
}
