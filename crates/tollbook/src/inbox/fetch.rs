//! Asks a provider for what it did not tell: never inside a transaction.

use std::collections::BTreeSet;

use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::{Fact, Leg, ProviderEvent};
use tollbook_core::ids::{IntegrationId, OrganizationId};
use tollbook_providers::Telephony as _;

use super::interpret::{add_others, priced};
use super::places::line_key;
use super::{lane, sql};
use crate::app::App;
use crate::calls::{self, Observation, Source, Told};
use crate::communications::{self, Extra};
use crate::error::Result;
use crate::integrations::{self, Account};
use crate::{costs, numbers};

/// Asks for a call record, and takes in what the provider knows of it.
pub(crate) async fn fetch_call(app: &App, integration: IntegrationId, sid: &str) -> Result<()> {
    let account = integrations::account(app, integration).await?;
    let events = account.phones().call(sid).await?;
    let source = Source {
        integration,
        provider: account.provider,
    };
    let mut tx = app.db.begin(&Actor::system()).await?;
    hold(
        &mut tx,
        &[(integration, lane::subject(&events).unwrap_or(sid))],
    )
    .await?;
    let sids = events.iter().filter_map(ProviderEvent::call_sid);
    let records: BTreeSet<_> = sids.chain([sid]).map(|sid| (integration, sid)).collect();
    let records: Vec<_> = records.into_iter().collect();
    let known = calls::calls_of_records(&mut tx, &records).await?;
    let organization = match known.values().next() {
        Some(leg) => Some(leg.organization),
        None => holder(&mut tx, &account, source, &events).await?,
    };
    let Some(organization) = organization else {
        return Ok(());
    };
    let observations: Vec<Observation> = events
        .iter()
        .filter_map(|event| {
            let told = Told {
                occurred_at: event.occurred_at,
                kind: "fetched",
                inbox: None,
            };
            Some(Observation {
                source,
                organization,
                leg: Leg::seen(event)?,
                told: Some(told),
            })
        })
        .collect();
    let extras: Vec<Extra> = events
        .into_iter()
        .filter(|event| !matches!(event.fact, Fact::Call(_) | Fact::Ignored { .. }))
        .map(|event| Extra {
            source,
            organization,
            event,
        })
        .collect();
    let writing = communications::persons(&extras);
    let (mut of_records, mut effects) =
        calls::observe(&mut tx, &observations, &known, &writing).await?;
    add_others(&mut tx, &mut of_records, &extras).await?;
    let priced = priced(&extras);
    effects.join(communications::write(&mut tx, extras, &of_records).await?);
    costs::expect(&mut tx, &observations, &of_records, &priced).await?;
    sql::hurry(&mut tx, &[sid]).await?;
    effects.write(&mut tx).await?;
    tx.commit().await?;
    app.wake.inbox.notify_one();
    app.wake.live.notify_one();
    app.wake.rating.notify_one();
    Ok(())
}

/// Whose an unknown call is: the account's own organization, or, where the platform's account tells of it, who held the
/// number.
async fn holder(
    tx: &mut PgConnection,
    account: &Account,
    source: Source,
    events: &[ProviderEvent],
) -> Result<Option<OrganizationId>> {
    if account.organization.is_some() {
        return Ok(account.organization);
    }
    let keys: Vec<_> = events
        .iter()
        .filter_map(|event| line_key(source, event))
        .collect();
    let lines = numbers::resolve_lines(tx, &keys).await?;
    Ok(lines
        .into_iter()
        .flatten()
        .next()
        .map(|line| line.organization))
}

/// Reads the provider's list of numbers, then gives webhooks that named unknown ones another try.
pub(crate) async fn sync_numbers(app: &App, integration: IntegrationId) -> Result<()> {
    let account = integrations::account(app, integration).await?;
    let lines = account.phones().lines().await?;
    let mut tx = app.db.begin(&Actor::system()).await?;
    numbers::sync(
        &mut tx,
        account.provider,
        integration,
        account.organization,
        &lines,
        app.clock.now(),
    )
    .await?;
    sql::unpark(&mut tx, integration).await?;
    tx.commit().await?;
    app.wake.inbox.notify_one();
    Ok(())
}

/// Waits for the interpreters to leave these records, and keeps them from them until the transaction ends. Whoever calls
/// it holds nothing yet.
pub(crate) async fn hold(tx: &mut PgConnection, records: &[(IntegrationId, &str)]) -> Result<()> {
    let lanes: Vec<i16> = records
        .iter()
        .map(|(integration, subject)| lane::of(*integration, subject))
        .collect();
    Ok(sql::wait_for_lanes(tx, &lanes).await?)
}
