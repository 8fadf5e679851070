//! The usages of a batch, with the terms in force at their time: one query, whatever the batch holds.

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::Direction;
use tollbook_core::ids::{
    AccountId, AuthorizationId, CallId, CustomerId, OrganizationId, PhoneNumberId, PlanVersionId,
    ProviderPriceId, SubscriptionId, UsageEventId,
};
use tollbook_core::metering::{BuiltInMeter, MeterCode};
use tollbook_core::money::{Currency, Quantity};
use tollbook_core::payer::PayerKind;
use tollbook_core::phone::{E164, Party};
use tollbook_core::rating::{ProviderCost, Usage};
use tollbook_core::time::{Period, Zone};
use uuid::Uuid;

use super::terms::{Ready, TermsKey};
use crate::costs::{self, Cost};
use crate::error::{Error, Result};
use crate::invoices::PLATFORM_GRACE_SECONDS;

/// A usage of one payer, as it is named in the queue and in charges.
#[derive(Debug, Clone, Copy, PartialEq, Eq, Hash, PartialOrd, Ord)]
pub(super) struct UsageKey {
    pub(super) organization: OrganizationId,
    pub(super) account: AccountId,
    pub(super) usage: UsageEventId,
}

/// A usage to rate: the first event of a chain, with what all of its corrections make of it.
#[derive(Debug, Clone)]
pub(super) struct Item {
    pub(super) key: UsageKey,
    pub(super) payer: PayerKind,
    pub(super) customer: Option<CustomerId>,
    pub(super) meter: MeterCode,
    pub(super) quantity: Quantity,
    /// When it counts; for time talked, when the first second began.
    pub(super) occurred_at: Timestamp,
    pub(super) call: Option<CallSpan>,
    pub(super) direction: Option<Direction>,
    pub(super) destination: Option<E164>,
    /// The other side, whoever called.
    pub(super) external: Option<E164>,
    /// Our number on the call.
    pub(super) number: Option<PhoneNumberId>,
    /// The call that was let through, where the usage was reported of one.
    pub(super) authorization: Option<AuthorizationId>,
    /// `None`: nobody sells it to this payer.
    pub(super) terms: Option<TermsKey>,
    /// `None`: pay per call.
    pub(super) subscription: Option<SubscriptionId>,
    /// What tier totals count over: the subscription's billing period, without one the calendar month. `None` while
    /// the billing period is not made yet.
    pub(super) period: Option<Period>,
    pub(super) zone: String,
    pub(super) is_invoiced_per_call: bool,
    pub(super) grace_seconds: i64,
    /// What the provider charges who sells it, where the terms ask for that; `None`: nobody charges them for it.
    pub(super) cost: Option<Cost>,
    /// Whether people have said that the customer is not billed for it.
    pub(super) is_waived: bool,
}

/// The call that a usage belongs to.
#[derive(Debug, Clone, Copy)]
pub(super) struct CallSpan {
    pub(super) id: CallId,
    pub(super) starts_at: Timestamp,
    pub(super) ends_at: Option<Timestamp>,
}

impl Item {
    /// What the rules see of it. A price in another currency than the terms' says nothing.
    pub(super) fn usage(&self, currency: Currency) -> Usage {
        Usage {
            id: self.key.usage,
            meter: self.meter.clone(),
            quantity: self.quantity,
            occurred_at: self.occurred_at,
            is_time: self.meter.built_in() == Some(BuiltInMeter::CallDurationSeconds),
            direction: self.direction,
            destination: self.destination.clone(),
            provider_cost: match self.cost {
                Some(Cost::Known {
                    price,
                    currency: of_price,
                    ..
                }) if of_price == currency => ProviderCost::Known(price),
                _ => ProviderCost::Pending,
            },
        }
    }

    /// The price of the provider that it is rated on.
    pub(super) fn provider_price(&self) -> Option<ProviderPriceId> {
        match self.cost {
            Some(Cost::Known { id, .. }) => Some(id),
            Some(Cost::Pending(_)) | None => None,
        }
    }
}

struct ItemRow {
    organization_id: Uuid,
    account_id: Uuid,
    payer: String,
    id: Uuid,
    meter: String,
    occurred_at: jiff_sqlx::Timestamp,
    customer_id: Option<Uuid>,
    quantity: rust_decimal::Decimal,
    call_id: Option<Uuid>,
    direction: Option<String>,
    external_party: Option<String>,
    phone_number_id: Option<Uuid>,
    authorization_id: Option<Uuid>,
    started_at: Option<jiff_sqlx::Timestamp>,
    ended_at: Option<jiff_sqlx::Timestamp>,
    subscription_id: Option<Uuid>,
    period_starts_at: Option<jiff_sqlx::Timestamp>,
    period_ends_at: Option<jiff_sqlx::Timestamp>,
    seller_id: Option<Uuid>,
    plan_version_id: Option<Uuid>,
    zone: String,
    pay_per_call_invoicing: String,
    grace_seconds: i64,
    is_waived: bool,
}

/// The usages of these events and payers, each once, in canonical order: by time, then by id.
pub(super) async fn items(tx: &mut PgConnection, keys: &[UsageKey]) -> Result<Vec<Item>> {
    let organizations: Vec<Uuid> = keys.iter().map(|k| k.organization.uuid()).collect();
    let accounts: Vec<Uuid> = keys.iter().map(|k| k.account.uuid()).collect();
    let usages: Vec<Uuid> = keys.iter().map(|k| k.usage.uuid()).collect();
    sqlx::query_file_as!(
        ItemRow,
        "src/rating/items.sql",
        &organizations,
        &accounts,
        &usages
    )
    .fetch_all(tx)
    .await?
    .into_iter()
    .map(ItemRow::read)
    .collect()
}

/// Adds what providers charge for the items whose terms ask for it.
pub(super) async fn add_costs(
    tx: &mut PgConnection,
    items: &mut [Item],
    terms: &Ready,
) -> Result<()> {
    let asks = |item: &Item| {
        let prepared = terms.get(item.terms.as_ref()?)?.as_ref().ok()?;
        let needs = prepared
            .terms
            .needs_provider_cost(&item.meter, item.direction);
        needs.then_some((item.key.organization, item.key.usage, item.payer))
    };
    let asked: Vec<_> = items.iter().filter_map(asks).collect();
    let costs = costs::of_usage(tx, &asked).await?;
    for item in items.iter_mut().filter(|item| asks(item).is_some()) {
        item.cost = costs.get(&(item.key.usage, item.payer)).copied();
    }
    Ok(())
}

impl ItemRow {
    fn read(self) -> Result<Item> {
        let stored = |what: &str, e: &dyn std::fmt::Display| {
            Error::Internal(format!("a stored {what}: {e}"))
        };
        let direction: Option<Direction> = self
            .direction
            .as_deref()
            .map(str::parse)
            .transpose()
            .map_err(|e| stored("direction", &e))?;
        let external = match self.external_party.as_deref().map(Party::read) {
            Some(Party::Number(number)) => Some(number),
            _ => None,
        };
        let destination = external
            .clone()
            .filter(|_| direction == Some(Direction::Outgoing));
        let payer: PayerKind = self.payer.parse().map_err(|e| stored("payer", &e))?;
        Ok(Item {
            period: self.period().map_err(|e| stored("period", &e))?,
            call: self.call(),
            key: UsageKey {
                organization: self.organization_id.into(),
                account: self.account_id.into(),
                usage: self.id.into(),
            },
            payer,
            customer: self.customer_id.map(CustomerId::from),
            meter: self.meter.parse().map_err(|e| stored("meter", &e))?,
            quantity: Quantity::try_from(self.quantity).map_err(|e| stored("quantity", &e))?,
            occurred_at: self.occurred_at.to_jiff(),
            direction,
            destination,
            external,
            number: self.phone_number_id.map(PhoneNumberId::from),
            authorization: self.authorization_id.map(AuthorizationId::from),
            terms: self
                .seller_id
                .zip(self.plan_version_id)
                .map(|(seller, version)| TermsKey {
                    seller,
                    version: PlanVersionId::from(version),
                    zone: self.zone.clone(),
                }),
            subscription: self.subscription_id.map(SubscriptionId::from),
            zone: self.zone,
            is_invoiced_per_call: self.pay_per_call_invoicing == "per_call",
            grace_seconds: match payer {
                PayerKind::Customer => self.grace_seconds,
                PayerKind::Organization => PLATFORM_GRACE_SECONDS,
            },
            cost: None,
            is_waived: self.is_waived,
        })
    }

    fn period(&self) -> Result<Option<Period>, tollbook_core::time::TimeError> {
        match (
            self.subscription_id,
            self.period_starts_at,
            self.period_ends_at,
        ) {
            (Some(_), Some(start), Some(end)) => {
                Period::new(start.to_jiff(), end.to_jiff()).map(Some)
            }
            (Some(_), _, _) => Ok(None),
            (None, _, _) => {
                let zone: Zone = self.zone.parse()?;
                zone.month(self.occurred_at.to_jiff()).map(Some)
            }
        }
    }

    fn call(&self) -> Option<CallSpan> {
        Some(CallSpan {
            id: self.call_id?.into(),
            starts_at: self.started_at?.to_jiff(),
            ends_at: self.ended_at.map(jiff_sqlx::Timestamp::to_jiff),
        })
    }
}
