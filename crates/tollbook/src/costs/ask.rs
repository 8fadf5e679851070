//! Asks providers for prices: never inside a transaction, a few at the same time.

use futures_util::StreamExt as _;
use futures_util::stream;
use jiff::SignedDuration;
use rust_decimal::Decimal;
use tollbook_core::actor::Actor;
use tollbook_providers::{PhoneSystem, ProviderCost};

use super::sql::{self, Pending};
use crate::app::App;
use crate::error::{Error, Result};
use crate::integrations;

/// Prices taken at a time, and asked for at the same time: the provider limits what runs at once.
const BATCH_MAX: i64 = 100;
const ASKED_AT_ONCE: usize = 8;
/// A provider that cannot be asked is given so long.
const PATIENCE: SignedDuration = SignedDuration::from_mins(1);

/// What a price consists of, in major units of a currency.
type Parts = Vec<(Decimal, String)>;

/// Asks for every price whose time has come.
pub(crate) async fn ask_due(app: &App) -> Result<()> {
    loop {
        let now = app.clock.now();
        let mut tx = app.db.begin(&Actor::system()).await?;
        let pending = sql::claim(&mut tx, now, BATCH_MAX).await?;
        tx.commit().await?;
        let is_last = i64::try_from(pending.len()).unwrap_or(0) < BATCH_MAX;
        let mut answers: Vec<(Pending, Result<Option<Parts>>)> = stream::iter(pending)
            .map(|one| async move {
                let answer = ask(app, &one).await;
                (one, answer)
            })
            .buffer_unordered(ASKED_AT_ONCE)
            .collect()
            .await;
        answers.sort_by_key(|(one, _)| (one.organization, one.id));
        let mut tx = app.db.begin(&Actor::system()).await?;
        for (one, answer) in &answers {
            match answer {
                Ok(Some(parts)) => sql::settle(&mut tx, one, parts, now).await?,
                Ok(None) => {}
                Err(error) => {
                    tracing::warn!(%error, sid = one.sid, "a price cannot be asked for");
                    let at = now.checked_add(PATIENCE).unwrap_or(now);
                    sql::ask_again(&mut tx, one, at).await?;
                }
            }
        }
        tx.commit().await?;
        if is_last {
            return Ok(());
        }
    }
}

/// The price as the provider knows it; `None` while it does not, or if the account is not ours to ask any more.
async fn ask(app: &App, pending: &Pending) -> Result<Option<Parts>> {
    let account = match integrations::account(app, pending.integration).await {
        Ok(account) => account,
        Err(Error::NotFound(_)) => return Ok(None),
        Err(error) => return Err(error),
    };
    let PhoneSystem::Twilio(client) = account.phones() else {
        return Ok(None);
    };
    let costs = match pending.subject.as_str() {
        "call" => client.cost_of_call(&pending.sid).await?,
        "message" => {
            let found = client.message(&pending.sid).await?;
            found.and_then(|(_, cost)| cost).map(|cost| vec![cost])
        }
        _ => client
            .cost_of_recording(&pending.sid)
            .await?
            .map(|cost| vec![cost]),
    };
    Ok(costs.map(|costs| costs.iter().map(part).collect()))
}

fn part(cost: &ProviderCost) -> (Decimal, String) {
    (cost.price.to_decimal(), cost.currency.to_string())
}
