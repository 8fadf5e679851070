//! Usage whose price somebody gives with it: charged at that price, whatever the terms say.

use std::collections::BTreeSet;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, OrganizationId, UsageEventId};
use tollbook_core::money::{Currency, Price, Quantity};
use tollbook_core::payer::Payer;
use tollbook_core::time::Zone;
use uuid::Uuid;

use super::items::{Item, UsageKey, items};
use super::place::late_group;
use super::queue::lock_accounts;
use super::row::{ChargeRow, Charged, Manual, insert};
use crate::error::{Error, Result};
use crate::invoices::{self, Place};
use crate::{limits, subscriptions, wallets};

/// A price for a usage that was just recorded.
#[derive(Debug)]
pub(crate) struct ByHand {
    pub(crate) organization: OrganizationId,
    pub(crate) payer: Payer,
    pub(crate) usage: UsageEventId,
    pub(crate) description: String,
    pub(crate) price: Price,
    /// Units of the meter that the price is for.
    pub(crate) per: Quantity,
    pub(crate) currency: Currency,
}

/// Locks the account of a payer: first, before the usage is recorded.
pub(crate) async fn hold_account(
    tx: &mut PgConnection,
    organization: OrganizationId,
    payer: Payer,
) -> Result<AccountId> {
    let account = subscriptions::account(tx, organization, payer).await?;
    lock_accounts(tx, &[(organization, account)]).await?;
    Ok(account)
}

/// Charges a usage at its own price to an account that is locked, on the draft of its time.
pub(crate) async fn charge_by_hand(
    tx: &mut PgConnection,
    by_hand: &ByHand,
    account: AccountId,
    now: Timestamp,
) -> Result<()> {
    let (organization, payer) = (by_hand.organization, by_hand.payer);
    let key = UsageKey {
        organization,
        account,
        usage: by_hand.usage,
    };
    let item = items(tx, &[key]).await?.into_iter().next();
    let item = item.ok_or(Error::NotFound("usage event"))?;
    let place = place(by_hand, &item)?;
    let period_start = place.period.start();
    let wanted = BTreeSet::from([place]);
    let open = invoices::open_drafts(tx, &wanted, now).await?;
    let open = open.into_values().next();
    let open = open.ok_or_else(|| Error::Internal("a draft invoice was not made".into()))?;
    let charged = Charged {
        organization,
        payer,
        account,
        subscription: item.subscription,
        seller: match payer {
            Payer::Organization => Uuid::nil(),
            Payer::Customer(_) => organization.uuid(),
        },
        version: None,
        occurred_at: item.occurred_at,
        invoice: Some(open.invoice),
    };
    let group = format!("manual/{}/{}", item.meter, by_hand.price);
    let manual = Manual {
        description: by_hand.description.clone(),
        quantity: item.quantity,
        price: by_hand.price,
        per: by_hand.per,
        currency: by_hand.currency,
        line_group: if open.is_late {
            late_group(&group, &item)?
        } else {
            group
        },
    };
    let mut row = ChargeRow::manual(&charged, &manual)?;
    row.usage_event_id = Some(by_hand.usage.uuid());
    row.meter = Some(item.meter.to_string());
    let (spent, counted) = ([row.spent()], [row.counted(period_start)]);
    insert(tx, &[row]).await?;
    let totals = limits::count(tx, &counted).await?;
    wallets::charged(tx, &spent, now).await?;
    limits::spent(tx, &totals, now).await
}

fn place(by_hand: &ByHand, item: &Item) -> Result<Place> {
    let stored = |e: tollbook_core::time::TimeError| Error::Internal(format!("a stored time: {e}"));
    let period = if let Some(period) = item.period {
        period
    } else {
        let zone: Zone = item.zone.parse().map_err(stored)?;
        zone.month(item.occurred_at).map_err(stored)?
    };
    Ok(Place {
        organization: by_hand.organization,
        payer: by_hand.payer,
        currency: by_hand.currency.code().to_owned(),
        call: None,
        subscription: item.subscription,
        period,
        zone: item.zone.clone(),
        grace_seconds: item.grace_seconds,
    })
}
