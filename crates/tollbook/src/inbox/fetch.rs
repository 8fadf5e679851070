//! Asks a provider for what it did not tell: never inside a transaction.

use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::calls::{Fact, Leg};
use tollbook_core::ids::IntegrationId;
use tollbook_providers::Telephony as _;

use super::accept::lane;
use super::sql;
use crate::app::App;
use crate::calls::{self, Observation, Source, Told};
use crate::communications::{self, Extra};
use crate::error::Result;
use crate::{integrations, numbers};

/// Asks for a call record, and takes in what the provider knows of it.
pub(crate) async fn fetch_call(app: &App, integration: IntegrationId, sid: &str) -> Result<()> {
    let account = integrations::account(app, integration).await?;
    let events = account.phones().call(sid).await?;
    let source = Source {
        integration,
        provider: account.provider,
    };
    let mut tx = app.db.begin(&Actor::system()).await?;
    sql::wait_for_lane(&mut tx, lane(integration)).await?;
    let known = calls::calls_of_sids(&mut tx, integration, &[sid]).await?;
    let organization = match known.get(sid) {
        Some((organization, _)) => Some(*organization),
        None => account.organization,
    };
    let Some(organization) = organization else {
        return Ok(());
    };
    let observations = events
        .iter()
        .filter_map(|event| {
            let told = Told {
                occurred_at: event.occurred_at,
                kind: "fetched",
                inbox: None,
            };
            Some(Observation {
                organization,
                leg: Leg::seen(event)?,
                told: Some(told),
            })
        })
        .collect();
    let extras = events
        .into_iter()
        .filter(|event| !matches!(event.fact, Fact::Call(_) | Fact::Ignored { .. }))
        .map(|event| Extra {
            organization,
            event,
        })
        .collect();
    let call_of_sid = calls::observe(&mut tx, source, observations).await?;
    communications::write(&mut tx, source, extras, &known, &call_of_sid).await?;
    tx.commit().await?;
    app.wake.live.notify_one();
    app.wake.rating.notify_one();
    Ok(())
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

/// Keeps the interpreter from an account until the transaction ends; false if it is at work there. It is not waited
/// for, since the caller may hold what it needs.
pub(crate) async fn try_hold_lane(
    tx: &mut PgConnection,
    integration: IntegrationId,
) -> Result<bool> {
    Ok(sql::lock_lane(tx, lane(integration)).await?)
}
