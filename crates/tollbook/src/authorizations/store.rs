//! Calls that are let through, as rows: what a call's payers have left, and what is written of it.

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use rust_decimal::Decimal;
use serde::Deserialize;
use sqlx::PgConnection;
use tollbook_core::calls::Direction;
use tollbook_core::ids::{
    AccountId, AuthorizationId, CustomerId, OrganizationId, PhoneNumberId, PlanVersionId, UserId,
    WalletId,
};
use tollbook_core::money::{Currency, Fraction, Money, Price};
use tollbook_core::payer::PayerKind;
use tollbook_core::phone::E164;
use tollbook_core::rating::{Grant, State, Terms, TierTotal};
use tollbook_core::wallets::InProgress;
use uuid::Uuid;

use super::usage;
use crate::error::{Error, OnConstraint as _, Result};
use crate::fraud::{self, Where};
use crate::rating::{Dialed, TermsKey, month_start};
use crate::wallets::{decimal, money};

/// Which number of ours is on the line, and who is on the other side.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Parties {
    pub(super) direction: Direction,
    pub(super) ours: E164,
    pub(super) external: E164,
}

/// Our number, and who pays for a call on it. Their accounts and wallets are locked.
pub(super) struct Line {
    pub(super) number: PhoneNumberId,
    /// Whether the user may use the number.
    pub(super) is_allowed: bool,
    pub(super) customer: Option<CustomerId>,
    pub(super) accounts: Vec<Uuid>,
}

/// Finds our number and locks who pays; `None` if the organization does not hold the number. A `user` is named where
/// only those may use it who are assigned to it.
pub(super) async fn hold(
    tx: &mut PgConnection,
    organization: OrganizationId,
    parties: &Parties,
    user: Option<UserId>,
    now: Timestamp,
) -> Result<Option<Line>> {
    let row = sqlx::query_file!(
        "src/authorizations/hold.sql",
        organization.uuid(),
        parties.ours.as_str(),
        parties.external.as_str(),
        now.to_sqlx(),
        user.map(Uuid::from),
        parties.direction == Direction::Outgoing,
    )
    .fetch_optional(tx)
    .await?;
    Ok(row.map(|row| Line {
        number: row.id.into(),
        is_allowed: row.is_allowed,
        customer: row.customer_id.map(CustomerId::from),
        accounts: row.accounts,
    }))
}

/// Locks who still pays for a call that was let through; returns their accounts.
pub(super) async fn hold_again(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: AuthorizationId,
) -> Result<Vec<Uuid>> {
    let row = sqlx::query_file!(
        "src/authorizations/hold_again.sql",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_one(tx)
    .await?;
    Ok(row.accounts)
}

/// What is to be loaded.
pub(super) struct Wanted<'a> {
    pub(super) organization: OrganizationId,
    pub(super) accounts: &'a [Uuid],
    pub(super) customer: Option<CustomerId>,
    /// When the call begins.
    pub(super) at: Timestamp,
    pub(super) now: Timestamp,
    /// The key of a new call.
    pub(super) key: Option<&'a str>,
    /// A call that goes on.
    pub(super) known: Option<AuthorizationId>,
    /// Where a call out goes.
    pub(super) place: Option<&'a Where>,
}

/// What there is for a call.
#[derive(Default)]
pub(super) struct Loaded {
    /// The call that has the key already.
    pub(super) existing: Option<AuthorizationId>,
    /// Of a call out, where the organization has a guard.
    pub(super) guard: Option<fraud::Standing>,
    pub(super) standings: Vec<Standing>,
}

/// What an account has left.
pub(super) struct Standing {
    pub(super) account: AccountId,
    pub(super) payer: PayerKind,
    /// `None`: nobody sells calls to it.
    pub(super) terms: Option<TermsKey>,
    pub(super) zone: String,
    pub(super) credit: Option<Credit>,
    /// The payer's own, in place of that of the plan; in the currency of the terms.
    pub(super) cap: Option<OwnCap>,
    /// What usage was charged in that currency, by period.
    pub(super) totals: Vec<PeriodTotal>,
    /// Set aside for the call so far; `None` if the account holds nothing for it any more.
    pub(super) own: Option<Own>,
    pub(super) state: State,
    /// The other calls in progress.
    pub(super) calls: Vec<Other>,
}

/// A cap that a payer has.
#[derive(Clone, Copy)]
pub(super) struct OwnCap {
    pub(super) amount: Decimal,
    pub(super) is_hard: bool,
}

/// What usage of a period was charged.
#[derive(Clone, Copy, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(super) struct PeriodTotal {
    pub(super) period_start: Timestamp,
    pub(super) amount: Price,
}

/// What a call that goes on has in an account.
pub(super) struct Own {
    pub(super) wallet: Option<WalletId>,
    pub(super) amount: Decimal,
}

/// Credit of an account.
#[derive(Clone, Copy)]
pub(super) struct Credit {
    pub(super) wallet: WalletId,
    pub(super) currency: Currency,
    /// Neither spent nor set aside, exact, in major units.
    pub(super) available: Fraction,
}

/// A call in progress, as an account holds it.
#[derive(Debug, Clone, Deserialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Other {
    pub(super) authorization: AuthorizationId,
    pub(super) wallet: Option<WalletId>,
    pub(super) seller: Option<Uuid>,
    pub(super) version: Option<PlanVersionId>,
    pub(super) zone: String,
    pub(super) period_start: Timestamp,
    pub(super) amount: Price,
    /// It is held under a cap.
    pub(super) cap_currency: Option<Currency>,
    pub(super) expires_at: Timestamp,
    pub(super) direction: Direction,
    pub(super) external: E164,
    pub(super) seconds: u32,
    pub(super) started_at: Timestamp,
}

impl Other {
    pub(super) fn terms(&self) -> Option<TermsKey> {
        let (seller, version) = self.seller.zip(self.version)?;
        Some(TermsKey {
            seller,
            version,
            zone: self.zone.clone(),
        })
    }

    /// The number that it went to, on its terms; `None` if it came in.
    pub(super) fn dialed(&self) -> Option<Dialed<'_>> {
        Some(Dialed {
            terms: self.terms()?,
            number: Some(&self.external).filter(|_| self.direction == Direction::Outgoing)?,
            at: self.started_at,
        })
    }

    pub(super) fn aside(&self, currency: Currency) -> Result<Money> {
        Money::from_price(self.amount, currency).map_err(|e| stored(&e))
    }

    pub(super) fn in_progress<'a>(
        &self,
        terms: &'a Terms,
        currency: Currency,
    ) -> Result<InProgress<'a>> {
        Ok(InProgress {
            call: usage(
                self.direction,
                &self.external,
                self.started_at,
                self.seconds,
            ),
            terms,
            period_start: self.period_start,
            aside: self.aside(currency)?,
        })
    }
}

pub(super) fn stored(what: &dyn std::fmt::Display) -> Error {
    Error::Internal(format!("a stored authorization: {what}"))
}

/// Reads what there is for a call. Its payers are locked.
pub(super) async fn load(tx: &mut PgConnection, wanted: &Wanted<'_>) -> Result<Loaded> {
    let rows = sqlx::query_file_as!(
        Row,
        "src/authorizations/load.sql",
        wanted.organization.uuid(),
        wanted.accounts,
        wanted.customer.map(Uuid::from),
        wanted.at.to_sqlx(),
        wanted.key,
        wanted.known.map(Uuid::from),
        wanted.now.to_sqlx(),
        wanted.place.map(|it| it.from.as_str()),
        wanted.place.map(|it| it.until.as_str()),
        wanted.place.map(|it| it.destination.to_string()),
    )
    .fetch_all(tx)
    .await?;
    let mut loaded = Loaded::default();
    for row in rows {
        loaded.existing = row.existing.map(AuthorizationId::from);
        loaded.guard = fraud::Standing::read(row.guard.as_deref())?;
        loaded.standings.extend(row.read(wanted.at)?);
    }
    Ok(loaded)
}

struct Row {
    existing: Option<Uuid>,
    guard: Option<String>,
    account_id: Option<Uuid>,
    payer: Option<String>,
    seller_id: Option<Uuid>,
    plan_version_id: Option<Uuid>,
    zone: Option<String>,
    period_starts_at: Option<jiff_sqlx::Timestamp>,
    wallet_id: Option<Uuid>,
    currency: Option<String>,
    balance: Option<Decimal>,
    reserved: Option<Decimal>,
    credit_limit: Option<Decimal>,
    undrawn_numerator: Option<Decimal>,
    undrawn_denominator: Option<Decimal>,
    lost: Option<Decimal>,
    own_amount: Option<Decimal>,
    own_wallet_id: Option<Uuid>,
    is_open: Option<bool>,
    cap: Option<Decimal>,
    cap_is_hard: Option<bool>,
    totals: Option<String>,
    grants: Option<String>,
    tiers: Option<String>,
    calls: Option<String>,
}

impl Row {
    fn read(self, at: Timestamp) -> Result<Option<Standing>> {
        let (Some(account), Some(payer), Some(zone)) = (self.account_id, &self.payer, &self.zone)
        else {
            return Ok(None);
        };
        let period_start = match self.period_starts_at {
            Some(start) => start.to_jiff(),
            None => month_start(zone, at)?,
        };
        let terms = self.seller_id.zip(self.plan_version_id);
        let own = self.own_amount.filter(|_| self.is_open == Some(true));
        Ok(Some(Standing {
            account: account.into(),
            payer: payer.parse().map_err(|e| stored(&e))?,
            terms: terms.map(|(seller, version)| TermsKey {
                seller,
                version: version.into(),
                zone: zone.clone(),
            }),
            zone: zone.clone(),
            credit: self.credit()?,
            cap: self
                .cap
                .zip(self.cap_is_hard)
                .map(|(amount, is_hard)| OwnCap { amount, is_hard }),
            totals: list::<PeriodTotal>(self.totals.as_deref())?,
            own: own.map(|amount| Own {
                wallet: self.own_wallet_id.map(WalletId::from),
                amount,
            }),
            state: State {
                period_start,
                grants: list::<Grant>(self.grants.as_deref())?,
                tiers: list::<TierTotal>(self.tiers.as_deref())?,
            },
            calls: list::<Other>(self.calls.as_deref())?,
        }))
    }

    fn credit(&self) -> Result<Option<Credit>> {
        let (Some(wallet), Some(currency)) = (self.wallet_id, &self.currency) else {
            return Ok(None);
        };
        let currency: Currency = currency.parse().map_err(|e| stored(&e))?;
        let part = |amount: Option<Decimal>| {
            let amount = money(amount.unwrap_or_default(), currency)?;
            Ok::<_, Error>(amount.to_fraction())
        };
        let not_drawn = Fraction::from_decimals(
            self.undrawn_numerator.unwrap_or_default(),
            self.undrawn_denominator.unwrap_or(Decimal::ONE),
        );
        let mut available = part(self.balance)?
            .checked_add(part(self.credit_limit)?)
            .map_err(|e| stored(&e))?;
        for taken in [
            part(self.reserved)?,
            part(self.lost)?,
            not_drawn.map_err(|e| stored(&e))?,
        ] {
            available = available.checked_sub(taken).map_err(|e| stored(&e))?;
        }
        Ok(Some(Credit {
            wallet: wallet.into(),
            currency,
            available,
        }))
    }
}

fn list<T: for<'de> Deserialize<'de>>(json: Option<&str>) -> Result<Vec<T>> {
    match json {
        Some(json) => serde_json::from_str(json).map_err(|e| stored(&e)),
        None => Ok(Vec::new()),
    }
}

/// A call that is let through.
#[derive(Debug, Clone)]
pub(super) struct Authorization {
    pub(super) organization: OrganizationId,
    pub(super) id: AuthorizationId,
    pub(super) key: String,
    pub(super) request_hash: [u8; 16],
    pub(super) number: PhoneNumberId,
    pub(super) parties: Parties,
    pub(super) customer: Option<CustomerId>,
    pub(super) seconds: u32,
    pub(super) started_at: Timestamp,
    pub(super) expires_at: Timestamp,
    pub(super) released_at: Option<Timestamp>,
    pub(super) created_by: Option<UserId>,
    pub(super) held: Vec<Held>,
}

/// What one payer holds for a call.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(super) struct Held {
    pub(super) payer: PayerKind,
    /// `None` where nobody pays in advance.
    pub(super) amount: Option<Money>,
    pub(super) state: String,
}

/// What one payer is to hold.
pub(super) struct Part {
    pub(super) account: AccountId,
    pub(super) payer: PayerKind,
    pub(super) terms: Option<TermsKey>,
    pub(super) zone: String,
    pub(super) period_start: Timestamp,
    pub(super) wallet: Option<WalletId>,
    pub(super) amount: Option<Money>,
    /// It is held under a cap in this currency.
    pub(super) cap_currency: Option<Currency>,
    /// What becomes of the other calls of the account.
    pub(super) others: Vec<OtherPart>,
    /// What more is set aside in the wallet, in all.
    pub(super) change: Option<Money>,
}

/// What becomes of what is held for another call.
pub(super) struct OtherPart {
    pub(super) authorization: AuthorizationId,
    pub(super) amount: Money,
    /// It has expired.
    pub(super) is_over: bool,
}

/// Writes a call that is let through, or on, with what its payers hold.
pub(super) async fn write(
    tx: &mut PgConnection,
    it: &Authorization,
    parts: &[Part],
    now: Timestamp,
) -> Result<()> {
    let column = |value: fn(&Part) -> Option<Uuid>| parts.iter().map(value).collect::<Vec<_>>();
    let accounts: Vec<Uuid> = parts.iter().map(|part| part.account.uuid()).collect();
    let payers: Vec<&str> = parts.iter().map(|part| part.payer.as_str()).collect();
    let zones: Vec<&str> = parts.iter().map(|part| part.zone.as_str()).collect();
    let starts: Vec<_> = parts.iter().map(|p| p.period_start.to_sqlx()).collect();
    let amounts: Vec<Decimal> = parts
        .iter()
        .map(|part| part.amount.map_or(Decimal::ZERO, decimal))
        .collect();
    let caps: Vec<Option<&str>> = parts
        .iter()
        .map(|part| part.cap_currency.map(Currency::code))
        .collect();
    let others = || {
        parts
            .iter()
            .flat_map(|part| part.others.iter().map(move |other| (part.account, other)))
    };
    let other_ids: Vec<Uuid> = others().map(|(_, it)| it.authorization.uuid()).collect();
    let other_accounts: Vec<Uuid> = others().map(|(account, _)| account.uuid()).collect();
    let other_amounts: Vec<Decimal> = others().map(|(_, it)| decimal(it.amount)).collect();
    let is_over: Vec<bool> = others().map(|(_, it)| it.is_over).collect();
    let (wallets, changes): (Vec<Uuid>, Vec<Decimal>) = parts
        .iter()
        .filter_map(|part| part.wallet.zip(part.change))
        .filter(|(_, change)| !change.is_zero())
        .map(|(wallet, change)| (wallet.uuid(), decimal(change)))
        .unzip();
    sqlx::query_file!(
        "src/authorizations/write.sql",
        it.organization.uuid(),
        it.id.uuid(),
        it.key,
        &it.request_hash,
        it.number.uuid(),
        it.parties.direction.as_str(),
        it.parties.external.as_str(),
        it.customer.map(Uuid::from),
        i32::try_from(it.seconds).map_err(|e| stored(&e))?,
        it.started_at.to_sqlx(),
        it.expires_at.to_sqlx(),
        it.created_by.map(Uuid::from),
        &accounts,
        &payers as &[&str],
        &column(|part| part.wallet.map(Uuid::from)) as &[Option<Uuid>],
        &column(|part| part.terms.as_ref().map(|it| it.seller)) as &[Option<Uuid>],
        &column(|part| part.terms.as_ref().map(|it| it.version.uuid())) as &[Option<Uuid>],
        &zones as &[&str],
        &starts,
        &amounts,
        &other_ids,
        &other_accounts,
        &other_amounts,
        &is_over,
        now.to_sqlx(),
        &wallets,
        &changes,
        &caps as &[Option<&str>],
    )
    .execute(tx)
    .await
    .on_constraint("wallets_available_check", super::ops::no_credit)
    .on_constraint("call_authorizations_immutable", super::ops::closed)?;
    Ok(())
}

/// A call that was let through, and whether the user may use its number; `None` if there is none.
pub(super) async fn one(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: AuthorizationId,
    user: Option<UserId>,
) -> Result<Option<(Authorization, bool)>> {
    let rows = sqlx::query_file!(
        "src/authorizations/one.sql",
        organization.uuid(),
        id.uuid(),
        user.map(Uuid::from),
    )
    .fetch_all(tx)
    .await?;
    let mut found: Option<(Authorization, bool)> = None;
    for row in rows {
        let (it, _) = match &mut found {
            Some(found) => found,
            none => none.insert((
                Authorization {
                    organization,
                    id: row.id.into(),
                    key: row.key,
                    request_hash: row.request_hash.try_into().map_err(|_| stored(&"a hash"))?,
                    number: row.phone_number_id.into(),
                    parties: Parties {
                        direction: row.direction.parse().map_err(|e| stored(&e))?,
                        ours: row.our_number.parse().map_err(|e| stored(&e))?,
                        external: row.external_e164.parse().map_err(|e| stored(&e))?,
                    },
                    customer: row.customer_id.map(CustomerId::from),
                    seconds: u32::try_from(row.seconds).map_err(|e| stored(&e))?,
                    started_at: row.started_at.to_jiff(),
                    expires_at: row.expires_at.to_jiff(),
                    released_at: row.released_at.map(jiff_sqlx::Timestamp::to_jiff),
                    created_by: row.created_by.map(UserId::from),
                    held: Vec::new(),
                },
                row.is_allowed,
            )),
        };
        if let (Some(payer), Some(state)) = (row.payer, row.state) {
            let currency = row.currency.map(|it| it.parse::<Currency>()).transpose();
            let currency = currency.map_err(|e| stored(&e))?;
            let amount = currency.map(|it| money(row.amount.unwrap_or_default(), it));
            it.held.push(Held {
                payer: payer.parse().map_err(|e| stored(&e))?,
                amount: amount.transpose()?,
                state,
            });
        }
    }
    Ok(found)
}

/// What an account holds for a call.
pub(super) type Key = (OrganizationId, AuthorizationId, AccountId);

/// Ends what is held for calls, and gives it back to the wallets. The accounts are locked.
pub(super) async fn close(
    tx: &mut PgConnection,
    keys: &[Key],
    state: &'static str,
    now: Timestamp,
) -> Result<()> {
    if keys.is_empty() {
        return Ok(());
    }
    let organizations: Vec<Uuid> = keys.iter().map(|key| key.0.uuid()).collect();
    let ids: Vec<Uuid> = keys.iter().map(|key| key.1.uuid()).collect();
    let accounts: Vec<Uuid> = keys.iter().map(|key| key.2.uuid()).collect();
    sqlx::query!(
        "select w.id from wallets w
         where (w.organization_id, w.id) in (
             select r.organization_id, r.wallet_id
             from unnest($1::uuid[], $2::uuid[], $3::uuid[]) as k (organization_id, authorization_id, account_id)
             join call_reservations r on r.organization_id = k.organization_id and r.authorization_id = k.authorization_id
                 and r.account_id = k.account_id and r.state = 'open')
         order by w.organization_id, w.id for no key update",
        &organizations,
        &ids,
        &accounts,
    )
    .fetch_all(&mut *tx)
    .await?;
    sqlx::query_file!(
        "src/authorizations/close.sql",
        &organizations,
        &ids,
        &accounts,
        state,
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}
