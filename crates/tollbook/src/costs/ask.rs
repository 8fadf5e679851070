//! Asks providers for prices: never inside a transaction, a few at the same time.

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::SignedDuration;
use tollbook_core::actor::Actor;
use tollbook_core::money::Price;
use tollbook_providers::{PhoneSystem, ProviderCost};

use super::prices::{self, Known, Part, PriceSource};
use super::sql::{self, Asked};
use crate::app::App;
use crate::error::{Error, Result};
use crate::integrations;

/// Prices taken at a time, and asked for at the same time: the provider limits what runs at once.
const BATCH_MAX: i64 = 100;
const ASKED_AT_ONCE: usize = 8;
/// A provider that cannot be asked is given so long.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// Asks for every price whose time has come.
pub(crate) async fn ask_due(app: &App) -> Result<()> {
    loop {
        let now = app.clock.now();
        let mut tx = app.db.begin(&Actor::system()).await?;
        let asked = sql::claim(&mut tx, now, BATCH_MAX).await?;
        tx.commit().await?;
        let is_last = i64::try_from(asked.len()).unwrap_or(0) < BATCH_MAX;
        let mut answers: Vec<(Asked, Result<Option<Vec<ProviderCost>>>)> = stream::iter(asked)
            .map(|one| async move {
                let answer = ask(app, &one).await;
                (one, answer)
            })
            .buffer_unordered(ASKED_AT_ONCE)
            .collect()
            .await;
        answers.sort_by_key(|(one, _)| (one.organization, one.id));
        let mut tx = app.db.begin(&Actor::system()).await?;
        let mut known = Vec::new();
        for (one, answer) in &answers {
            match answer {
                Ok(Some(costs)) => known.extend(price(one, costs)?),
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, sid = one.sid, "a price cannot be asked for");
                    let at = now.checked_add(PATIENCE).unwrap_or(now);
                    sql::ask_again(&mut tx, one, at).await?;
                }
            }
        }
        prices::record(&mut tx, &known, now).await?;
        tx.commit().await?;
        if !known.is_empty() {
            app.wake.rating.notify_one();
        }
        if is_last {
            return Ok(());
        }
    }
}

/// The price that an answer comes to; none if its parts are in several currencies.
fn price(asked: &Asked, costs: &[ProviderCost]) -> Result<Option<Known>> {
    let Some(first) = costs.first() else {
        return Ok(asked.is_merged.then(|| Known::merged(asked)));
    };
    if costs.iter().any(|cost| cost.currency != first.currency) {
        tracing::warn!(sid = asked.sid, "a price is in several currencies");
        return Ok(None);
    }
    let mut amount = Price::ZERO;
    for cost in costs {
        let sum = amount.checked_add(cost.price);
        amount = sum.map_err(|e| Error::Internal(format!("the price of {}: {e}", asked.sid)))?;
    }
    Ok(Some(Known {
        organization: asked.organization,
        cost: asked.id,
        source: PriceSource::Asked,
        amount,
        currency: first.currency,
        parts: costs.iter().map(Part::new).collect(),
    }))
}

/// The parts of a price as the provider knows it; `None` while it does not, or if the account is not ours to ask any more.
async fn ask(app: &App, asked: &Asked) -> Result<Option<Vec<ProviderCost>>> {
    // What turned out to be a part of another call is in that call's price.
    if asked.is_merged {
        return Ok(Some(Vec::new()));
    }
    let account = match integrations::account(app, asked.integration).await {
        Ok(account) => account,
        Err(Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let PhoneSystem::Twilio(client) = account.phones() else {
        return Ok(None);
    };
    let one = match asked.subject.as_str() {
        "call" => return Ok(client.cost_of_call(&asked.sid).await?),
        "message" => {
            let found = client.message(&asked.sid).await?;
            found.and_then(|(_, cost)| cost)
        }
        "number" => match &asked.number {
            Some(number) => client.cost_of_number(number).await?,
            None => None,
        },
        _ => client.cost_of_recording(&asked.sid).await?,
    };
    Ok(one.map(|cost| vec![cost]))
}
