//! What belongs to a customer and is given to another, or given back: numbers, contacts, notes, and the customer as a whole.

use jiff::Timestamp;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{AccountId, CustomerId, OrganizationId};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::edit::reindex;
use super::sql::moving as sql;
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;

/// A customer as it stands, kept from others until the transaction ends.
#[derive(Debug, Clone)]
pub(crate) struct HeldCustomer {
    pub(crate) id: CustomerId,
    pub(crate) account: AccountId,
    pub(crate) name: String,
    pub(crate) is_prospect: bool,
    /// Whether it is a part of another customer by now.
    pub(crate) is_merged: bool,
}

/// A thing that went to another customer.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) enum Belonging {
    Number(Uuid),
    Contact(Uuid),
    Note(Uuid),
    /// A customer who was a part of the one who became a part of another, or that one itself.
    Customer(Uuid),
}

/// Locks customers in key order; those that are there.
pub(crate) async fn hold_customers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[CustomerId],
) -> Result<Vec<HeldCustomer>> {
    Ok(sql::hold(tx, organization, customers).await?)
}

/// How a number was had before it was taken from others, for giving it back.
#[derive(Debug)]
pub(crate) struct Taken {
    /// The new row; `None` if the customer had it all the time.
    pub(crate) number: Option<Uuid>,
    /// Each row that was cut short or taken away: who had it, and the row as it was.
    pub(crate) before: Vec<(Uuid, CustomerId, Value)>,
}

/// Says that a number is one customer's, and nobody else's, from `since` on. The person is held, and so are the customers.
pub(crate) async fn take_number(
    tx: &mut PgConnection,
    organization: OrganizationId,
    number: &E164,
    customer: CustomerId,
    since: Timestamp,
) -> Result<Taken> {
    let has_it = sql::has_since(tx, organization, number, customer, since).await?;
    let kept = has_it.then_some(customer);
    let before = sql::rows_after(tx, organization, number, kept, since).await?;
    let ids: Vec<Uuid> = before.iter().map(|(id, ..)| *id).collect();
    sql::cut_short(tx, organization, &ids, since).await?;
    let number = if has_it {
        None
    } else {
        let id = new_id();
        sql::insert_number(tx, organization, id, customer, number, since).await?;
        Some(id)
    };
    let others = before.iter().map(|(_, customer, _)| *customer);
    reindex_all(tx, organization, others.chain([customer])).await?;
    Ok(Taken { number, before })
}

/// Gives a number back as it was had before.
pub(crate) async fn give_number_back(
    tx: &mut PgConnection,
    organization: OrganizationId,
    taken: &Taken,
    customer: CustomerId,
) -> Result<()> {
    if let Some(id) = taken.number {
        sql::delete_number(tx, organization, id).await?;
    }
    let rows = taken.before.iter().map(|(_, _, row)| row.clone()).collect();
    sql::restore_numbers(tx, organization, rows)
        .await
        .on_constraint("customer_numbers_live_key", is_changed)?;
    let others = taken.before.iter().map(|(_, customer, _)| *customer);
    reindex_all(tx, organization, others.chain([customer])).await
}

/// Makes a customer a part of another: numbers, contacts and notes go over. Returns what did. Both are locked.
pub(crate) async fn merge(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: CustomerId,
    into: CustomerId,
    now: Timestamp,
) -> Result<Vec<Belonging>> {
    let merged = sql::merge(tx, organization, from, into, now).await?;
    let numbers = sql::give_numbers(tx, organization, from, into).await?;
    let contacts = sql::give_contacts(tx, organization, from, into, None).await?;
    let notes = sql::give_notes(tx, organization, from, into, None).await?;
    reindex_all(tx, organization, [from, into]).await?;
    let mut gone: Vec<Belonging> = merged.into_iter().map(Belonging::Customer).collect();
    gone.extend(numbers.into_iter().map(Belonging::Number));
    gone.extend(contacts.into_iter().map(Belonging::Contact));
    gone.extend(notes.into_iter().map(Belonging::Note));
    Ok(gone)
}

/// Makes a customer one of its own again, with what was its own. Both are locked.
pub(crate) async fn part(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: CustomerId,
    into: CustomerId,
    gone: &[Belonging],
) -> Result<()> {
    let of = |pick: fn(&Belonging) -> Option<Uuid>| -> Vec<Uuid> {
        gone.iter().filter_map(pick).collect()
    };
    let customers = of(|it| match it {
        Belonging::Customer(id) => Some(*id),
        Belonging::Number(_) | Belonging::Contact(_) | Belonging::Note(_) => None,
    });
    let numbers = of(|it| match it {
        Belonging::Number(id) => Some(*id),
        Belonging::Customer(_) | Belonging::Contact(_) | Belonging::Note(_) => None,
    });
    let contacts = of(|it| match it {
        Belonging::Contact(id) => Some(*id),
        Belonging::Customer(_) | Belonging::Number(_) | Belonging::Note(_) => None,
    });
    let notes = of(|it| match it {
        Belonging::Note(id) => Some(*id),
        Belonging::Customer(_) | Belonging::Number(_) | Belonging::Contact(_) => None,
    });
    let parted = sql::part(tx, organization, from, into, &customers).await?;
    if usize::try_from(parted) != Ok(customers.len()) {
        let detail = "the customer became a part of yet another one since: take that back first";
        return Err(Error::conflict("changed_since", detail));
    }
    sql::give_numbers_back(tx, organization, from, into, &numbers)
        .await
        .on_constraint("customer_numbers_live_key", is_changed)?;
    sql::give_contacts(tx, organization, into, from, Some(&contacts)).await?;
    sql::give_notes(tx, organization, into, from, Some(&notes)).await?;
    reindex_all(tx, organization, [from, into]).await
}

/// Makes a customer of a prospect by giving them a name; or, without one, a prospect of a customer. The customer is locked.
pub(crate) async fn name_prospect(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
    name: Option<&str>,
) -> Result<()> {
    sql::name(tx, organization, customer, name).await?;
    reindex(tx, organization, customer).await
}

fn is_changed() -> Error {
    Error::conflict(
        "changed_since",
        "a number was given away again since: take that back first",
    )
}

async fn reindex_all(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: impl IntoIterator<Item = CustomerId>,
) -> Result<()> {
    let customers: std::collections::BTreeSet<CustomerId> = customers.into_iter().collect();
    for customer in customers {
        reindex(tx, organization, customer).await?;
    }
    Ok(())
}
