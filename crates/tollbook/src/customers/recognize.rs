//! Who is calling: customers by number, as of a time. Somebody who is not known becomes a prospect, never a lost call.

use std::collections::{BTreeMap, BTreeSet};

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::ids::{CustomerId, OrganizationId};
use tollbook_core::phone::E164;

use super::edit::terms;
use super::sql::recognize as sql;
use crate::error::{Error, Result};
use crate::ids::new_id;
use crate::search;

/// The person on the other side of a communication.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Caller {
    pub(crate) organization: OrganizationId,
    pub(crate) number: E164,
    pub(crate) at: Timestamp,
    /// They called or wrote. Only then does somebody unknown become a prospect.
    pub(crate) is_incoming: bool,
}

/// A customer who had a number at a time.
#[derive(Debug, Clone, Copy, PartialEq, Eq, PartialOrd, Ord)]
pub(crate) struct Match {
    pub(crate) customer: CustomerId,
    pub(crate) is_prospect: bool,
}

/// A somebody who is not known yet.
pub(super) struct Prospect {
    pub(super) organization: OrganizationId,
    pub(super) number: E164,
    pub(super) at: Timestamp,
    pub(super) customer: CustomerId,
}

/// Waits until nobody else is about to write what these persons said or who they are, and keeps others from them until
/// the transaction ends. A transaction holds all of its persons at once: two that held some first and others later would
/// wait for each other.
pub(crate) async fn hold(
    tx: &mut PgConnection,
    persons: &BTreeSet<(OrganizationId, &str)>,
) -> Result<()> {
    if persons.is_empty() {
        return Ok(());
    }
    Ok(sql::hold(tx, persons).await?)
}

/// All customers who had each caller's number at the time, in the order of the callers.
pub(crate) async fn matches(tx: &mut PgConnection, callers: &[Caller]) -> Result<Vec<Vec<Match>>> {
    let mut found: Vec<Vec<Match>> = vec![Vec::new(); callers.len()];
    if callers.is_empty() {
        return Ok(found);
    }
    for (index, one) in sql::matches(tx, callers).await? {
        if let Some(place) = found.get_mut(index) {
            place.push(one);
        }
    }
    Ok(found)
}

/// The customer of each caller, in order. `None` for nobody, for somebody unknown who was called by us, and where several
/// customers share the number: then the operator chooses.
///
/// The callers are held (see [`hold`]), so two nodes that see the same new one make one prospect.
pub(crate) async fn recognize(
    tx: &mut PgConnection,
    callers: &[Option<Caller>],
) -> Result<Vec<Option<CustomerId>>> {
    let known: Vec<Caller> = callers.iter().flatten().cloned().collect();
    let mut found = matches(tx, &known).await?;
    let new: Vec<Caller> = known
        .iter()
        .zip(&found)
        .filter(|(caller, matches)| caller.is_incoming && matches.is_empty())
        .map(|(caller, _)| caller.clone())
        .collect();
    if !new.is_empty() {
        let made = make_prospects(tx, &new).await?;
        for (caller, matches) in known.iter().zip(&mut found) {
            if let Some(customer) = made.get(&(caller.organization, caller.number.clone()))
                && matches.is_empty()
            {
                matches.clone_from(customer);
            }
        }
    }
    let mut chosen = found.iter().map(|matches| choose(matches));
    Ok(callers
        .iter()
        .map(|caller| caller.as_ref().and_then(|_| chosen.next().flatten()))
        .collect())
}

/// The only customer, or if there is none the first prospect.
fn choose(matches: &[Match]) -> Option<CustomerId> {
    let mut customers = matches.iter().filter(|m| !m.is_prospect);
    match (customers.next(), customers.next()) {
        (Some(one), None) => Some(one.customer),
        (Some(_), Some(_)) => None,
        (None, _) => matches.iter().min().map(|m| m.customer),
    }
}

type Place = (OrganizationId, E164);

/// Makes prospects of callers whom nobody knows, unless another transaction did so meanwhile.
async fn make_prospects(
    tx: &mut PgConnection,
    callers: &[Caller],
) -> Result<BTreeMap<Place, Vec<Match>>> {
    // A number is looked up at the first of its calls; the prospect then has it for the others too.
    let mut firsts: BTreeMap<Place, Caller> = BTreeMap::new();
    for caller in callers {
        let first = firsts
            .entry((caller.organization, caller.number.clone()))
            .or_insert_with(|| caller.clone());
        first.at = first.at.min(caller.at);
    }
    let firsts: Vec<Caller> = firsts.into_values().collect();
    if !sql::try_hold(tx, &firsts).await? {
        // Only where what is stored says of a person what the news do not. Waiting here could be waiting in a circle.
        return Err(Error::Unavailable(
            "another transaction has a caller".into(),
        ));
    }
    let found = matches(tx, &firsts).await?;
    let mut made = BTreeMap::new();
    let mut prospects = Vec::new();
    for (caller, matches) in firsts.into_iter().zip(found) {
        let place = (caller.organization, caller.number.clone());
        if !matches.is_empty() {
            made.insert(place, matches);
            continue;
        }
        let prospect = Prospect {
            organization: caller.organization,
            number: caller.number,
            at: caller.at,
            customer: new_id(),
        };
        let one = Match {
            customer: prospect.customer,
            is_prospect: true,
        };
        made.insert(place, vec![one]);
        prospects.push(prospect);
    }
    if !prospects.is_empty() {
        sql::insert_accounts_and_customers(tx, &prospects).await?;
        sql::insert_numbers(tx, &prospects).await?;
        let keys: Vec<_> = prospects
            .iter()
            .map(|prospect| (prospect.organization, prospect.customer))
            .collect();
        let terms = terms(tx, &keys).await?;
        search::add(tx, search::Kind::Customer, &terms).await?;
    }
    Ok(made)
}

#[cfg(test)]
mod tests {
    use uuid::Uuid;

    use super::*;

    fn one(id: u128, is_prospect: bool) -> Match {
        Match {
            customer: Uuid::from_u128(id).into(),
            is_prospect,
        }
    }

    #[test]
    fn a_customer_goes_before_prospects_and_two_customers_are_a_question() {
        let id = |n| Some(Uuid::from_u128(n).into());
        assert_eq!(choose(&[]), None);
        assert_eq!(choose(&[one(2, true), one(1, true)]), id(1));
        assert_eq!(choose(&[one(1, true), one(2, false)]), id(2));
        assert_eq!(choose(&[one(1, false), one(2, false)]), None);
    }
}
