//! Where usage is charged, the call that was let through for it is over, and the others of the account are looked at
//! again: what was used is not there for them any more.

use std::collections::{BTreeMap, HashSet};

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::calls::Direction;
use tollbook_core::ids::{AccountId, AuthorizationId, CustomerId, OrganizationId, PhoneNumberId};
use tollbook_core::money::{Currency, Fraction, Money};
use tollbook_core::phone::E164;
use tollbook_core::rating::State;
use tollbook_core::wallets::{Hold, InProgress, costs, in_full};
use uuid::Uuid;

use super::GRACE;
use super::store::{Other, stored};
use crate::error::Result;
use crate::rating::{TermsCache, TermsKey, add_decks};
use crate::wallets::{Reserved, decimal};

/// A call in progress of an account that is locked.
#[derive(Debug, Clone)]
pub(crate) struct Open {
    organization: OrganizationId,
    account: AccountId,
    number: PhoneNumberId,
    call: Other,
    /// Whose wallet holds something for it, and in which currency.
    credit: Option<(Option<CustomerId>, Currency)>,
}

impl Open {
    /// When it began, and the period in which it counts.
    pub(crate) fn times(&self) -> (Timestamp, Timestamp) {
        (self.call.started_at, self.call.period_start)
    }
}

/// A call whose time is charged.
#[derive(Debug, Clone)]
pub(crate) struct Ended<'a> {
    pub(crate) organization: OrganizationId,
    pub(crate) account: AccountId,
    /// The call that was let through, where whoever reports the usage names it.
    pub(crate) authorization: Option<AuthorizationId>,
    pub(crate) call: Option<EndedCall<'a>>,
}

/// A call that was seen from its start to its end.
#[derive(Debug, Clone)]
pub(crate) struct EndedCall<'a> {
    pub(crate) number: PhoneNumberId,
    pub(crate) direction: Direction,
    pub(crate) external: &'a E164,
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Timestamp,
}

/// What becomes of what is held for a call.
#[derive(Debug, Clone)]
pub(crate) struct Aside {
    open: Open,
    is_over: bool,
    hold: Option<Hold>,
}

impl Aside {
    /// As its wallet has to know of it.
    pub(crate) fn reserved(&self) -> Option<Reserved> {
        let (customer, currency) = self.open.credit?;
        Some(Reserved {
            organization: self.open.organization,
            account: self.open.account,
            customer,
            currency,
            hold: self.hold?,
        })
    }
}

/// The calls in progress of accounts that are locked, oldest first.
pub(crate) async fn open(
    tx: &mut PgConnection,
    accounts: &[(OrganizationId, AccountId)],
) -> Result<Vec<Open>> {
    let (organizations, ids): (Vec<Uuid>, Vec<Uuid>) =
        accounts.iter().map(|(o, a)| (o.uuid(), a.uuid())).unzip();
    let rows = sqlx::query!(
        r#"select r.organization_id, r.authorization_id, r.account_id, r.wallet_id, r.seller_id, r.plan_version_id, r.zone, r.period_start,
             r.amount, r.cap_currency, r.expires_at, c.phone_number_id, c.direction, c.external_e164, c.seconds, c.started_at,
             w.customer_id as "customer_id?", w.currency as "currency?"
         from (select distinct * from unnest($1::uuid[], $2::uuid[]) as k (organization_id, id)) k
         join call_reservations r on r.organization_id = k.organization_id and r.account_id = k.id and r.state = 'open'
         join call_authorizations c on c.organization_id = r.organization_id and c.id = r.authorization_id
         left join wallets w on w.organization_id = r.organization_id and w.id = r.wallet_id
         order by r.organization_id, r.authorization_id"#,
        &organizations,
        &ids,
    )
    .fetch_all(tx)
    .await?;
    rows.into_iter()
        .map(|row| {
            let currency = row.currency.map(|it| it.parse::<Currency>()).transpose();
            let currency = currency.map_err(|e| stored(&e))?;
            let under = row
                .cap_currency
                .map(|it| it.parse::<Currency>())
                .transpose();
            Ok(Open {
                organization: row.organization_id.into(),
                account: row.account_id.into(),
                number: row.phone_number_id.into(),
                credit: currency.map(|it| (row.customer_id.map(CustomerId::from), it)),
                call: Other {
                    authorization: row.authorization_id.into(),
                    wallet: row.wallet_id.map(Into::into),
                    seller: row.seller_id,
                    version: row.plan_version_id.map(Into::into),
                    zone: row.zone,
                    period_start: row.period_start.to_jiff(),
                    amount: row.amount.try_into().map_err(|e| stored(&e))?,
                    cap_currency: under.map_err(|e| stored(&e))?,
                    expires_at: row.expires_at.to_jiff(),
                    direction: row.direction.parse().map_err(|e| stored(&e))?,
                    external: row.external_e164.parse().map_err(|e| stored(&e))?,
                    seconds: u32::try_from(row.seconds).map_err(|e| stored(&e))?,
                    started_at: row.started_at.to_jiff(),
                },
            })
        })
        .collect()
}

/// Finds which of the calls have ended, and what the others may come to now. `state` is what an account has used, with
/// what ended.
pub(crate) async fn look_again(
    tx: &mut PgConnection,
    cache: &TermsCache,
    open: Vec<Open>,
    ended: &[Ended<'_>],
    state: impl Fn(AccountId) -> State,
) -> Result<Vec<Aside>> {
    if open.is_empty() {
        return Ok(Vec::new());
    }
    let over = over(&open, ended);
    let keys: Vec<TermsKey> = open.iter().filter_map(|it| it.call.terms()).collect();
    let mut terms = cache.get(tx, &keys).await?;
    let dialed = open.iter().filter_map(|it| it.call.dialed());
    add_decks(tx, &mut terms, dialed).await?;
    let mut asides = Vec::new();
    let mut running: BTreeMap<(OrganizationId, AccountId), Vec<Open>> = BTreeMap::new();
    for (index, open) in open.into_iter().enumerate() {
        if over.contains(&index) {
            asides.push(Aside {
                hold: hold(&open, Some(Fraction::ZERO))?,
                is_over: true,
                open,
            });
        } else {
            let of = running.entry((open.organization, open.account));
            of.or_default().push(open);
        }
    }
    for ((_, account), calls) in running {
        // Those whose terms are not known hold what they hold.
        let known: Vec<_> = calls
            .into_iter()
            .filter_map(|open| {
                let prepared = terms.get(&open.call.terms()?)?.as_ref().ok()?;
                Some((open, prepared))
            })
            .collect();
        if known.iter().all(|(_, prepared)| !prepared.is_shared) {
            continue;
        }
        let in_progress = known
            .iter()
            .map(|(open, prepared)| {
                open.call
                    .in_progress(&prepared.terms, prepared.terms.currency())
            })
            .collect::<Result<Vec<InProgress<'_>>>>()?;
        let costs = costs(&in_progress, &state(account)).map_err(|e| stored(&e))?;
        drop(in_progress);
        for ((open, _), cost) in known.into_iter().zip(costs) {
            asides.push(Aside {
                hold: hold(&open, cost)?,
                is_over: false,
                open,
            });
        }
    }
    Ok(asides)
}

fn hold(open: &Open, cost: Option<Fraction>) -> Result<Option<Hold>> {
    let of_wallet = open.credit.map(|(_, currency)| currency);
    let Some(currency) = of_wallet.or(open.call.cap_currency) else {
        return Ok(None);
    };
    let aside = open.call.aside(currency)?;
    Ok(Some(Hold { aside, cost }))
}

/// The places of the calls that have ended.
fn over(open: &[Open], ended: &[Ended<'_>]) -> HashSet<usize> {
    let mut over = HashSet::new();
    for one in ended {
        let fits = |(index, open): &(usize, &Open)| {
            let is_own = open.organization == one.organization && open.account == one.account;
            is_own && !over.contains(index) && is_of(open, one)
        };
        let found = open.iter().enumerate().filter(fits);
        // Of several between the same two, the last that was let through before the call ended.
        let latest = found.max_by_key(|(_, open)| open.call.started_at);
        over.extend(latest.map(|(index, _)| index));
    }
    over
}

/// Whether a call was let through for what has ended: it is named, or it is between the same two at that time.
fn is_of(open: &Open, ended: &Ended<'_>) -> bool {
    if let Some(id) = ended.authorization {
        return open.call.authorization == id;
    }
    let Some(call) = &ended.call else {
        return false;
    };
    let earliest = call.starts_at.checked_sub(GRACE).unwrap_or(Timestamp::MIN);
    open.number == call.number
        && open.call.direction == call.direction
        && open.call.external == *call.external
        && (earliest..=call.ends_at).contains(&open.call.started_at)
}

/// Writes what became of what was held; `amounts` is what wallets hold now for each of `asides` that has one, in order.
pub(crate) async fn keep(
    tx: &mut PgConnection,
    asides: &[Aside],
    amounts: &[Money],
    now: Timestamp,
) -> Result<()> {
    let mut amounts = amounts.iter();
    let (mut organizations, mut ids, mut accounts) = (Vec::new(), Vec::new(), Vec::new());
    let (mut is_over, mut changed) = (Vec::new(), Vec::new());
    for aside in asides {
        let before = aside.hold.map(|hold| hold.aside);
        let after = match aside.reserved() {
            Some(_) => amounts.next().copied(),
            // Under a cap alone it has what it needs: nobody was promised more than the cap.
            None => aside
                .hold
                .map(in_full)
                .transpose()
                .map_err(|e| stored(&e))?,
        };
        if !aside.is_over && before == after {
            continue;
        }
        organizations.push(aside.open.organization.uuid());
        ids.push(aside.open.call.authorization.uuid());
        accounts.push(aside.open.account.uuid());
        is_over.push(aside.is_over);
        // What is over keeps what it had.
        let amount = if aside.is_over { before } else { after };
        changed.push(amount.map(decimal).unwrap_or_default());
    }
    if ids.is_empty() {
        return Ok(());
    }
    sqlx::query!(
        "update call_reservations r set amount = k.amount, state = case when k.is_over then 'settled' else r.state end,
             closed_at = case when k.is_over then $6::timestamptz end
         from unnest($1::uuid[], $2::uuid[], $3::uuid[], $4::boolean[], $5::numeric[]) as k (organization_id, authorization_id, account_id, is_over, amount)
         where r.organization_id = k.organization_id and r.authorization_id = k.authorization_id and r.account_id = k.account_id
             and r.state = 'open'",
        &organizations,
        &ids,
        &accounts,
        &is_over,
        &changed,
        now.to_sqlx(),
    )
    .execute(tx)
    .await?;
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(text: &str) -> Timestamp {
        text.parse().unwrap()
    }

    fn open(id: u128, started_at: &str) -> Open {
        Open {
            organization: Uuid::from_u128(1).into(),
            account: Uuid::from_u128(2).into(),
            number: Uuid::from_u128(3).into(),
            credit: None,
            call: Other {
                authorization: Uuid::from_u128(id).into(),
                wallet: None,
                seller: None,
                version: None,
                zone: "UTC".to_owned(),
                period_start: at("2026-03-01T00:00:00Z"),
                amount: tollbook_core::money::Price::ZERO,
                cap_currency: None,
                expires_at: at("2026-03-02T00:00:00Z"),
                direction: Direction::Outgoing,
                external: "+12025550123".parse().unwrap(),
                seconds: 60,
                started_at: at(started_at),
            },
        }
    }

    #[test]
    fn a_call_ends_what_was_let_through_last_between_the_same_two() {
        let external: E164 = "+12025550123".parse().unwrap();
        let ended = |starts_at: &str, ends_at: &str| Ended {
            organization: Uuid::from_u128(1).into(),
            account: Uuid::from_u128(2).into(),
            authorization: None,
            call: Some(EndedCall {
                number: Uuid::from_u128(3).into(),
                direction: Direction::Outgoing,
                external: &external,
                starts_at: at(starts_at),
                ends_at: at(ends_at),
            }),
        };
        let calls = [
            open(1, "2026-03-01T10:00:00Z"),
            open(2, "2026-03-01T10:03:00Z"),
        ];
        let found = |ended: &[Ended<'_>]| {
            let mut found: Vec<usize> = over(&calls, ended).into_iter().collect();
            found.sort_unstable();
            found
        };
        let first = ended("2026-03-01T10:00:02Z", "2026-03-01T10:02:00Z");
        let second = ended("2026-03-01T10:03:02Z", "2026-03-01T10:04:00Z");
        assert_eq!(found(std::slice::from_ref(&first)), [0]);
        assert_eq!(found(std::slice::from_ref(&second)), [1]);
        assert_eq!(found(&[first.clone(), second]), [0, 1]);
        // One that began before, and one that was never asked for.
        let before = ended("2026-03-01T09:00:00Z", "2026-03-01T09:59:00Z");
        let later = ended("2026-03-01T10:09:00Z", "2026-03-01T10:10:00Z");
        assert_eq!(found(&[before, later]), [0_usize; 0]);
        let named = Ended {
            authorization: Some(Uuid::from_u128(1).into()),
            call: None,
            ..first
        };
        assert_eq!(found(&[named.clone(), named]), [0]);
        let other = Ended {
            account: Uuid::from_u128(9).into(),
            ..ended("2026-03-01T10:00:02Z", "2026-03-01T10:02:00Z")
        };
        assert_eq!(found(&[other]), [0_usize; 0]);
    }
}
