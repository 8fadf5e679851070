//! Undoes a correction, once: a correction of its own, which gives everything back to whoever had it.

use std::collections::HashMap;

use tollbook_core::ids::{CorrectionId, CustomerId};
use uuid::Uuid;

use super::perform::post_goodwill;
use super::store::{self, Row};
use super::work::{Held, Item, Things, Work};
use crate::customers::{self, Belonging, Taken};
use crate::error::{Error, OnConstraint as _, Result};
use crate::{payments, rating};

/// Undoes it. What was given away again since is a conflict: that has to be undone before.
pub(super) async fn undo(work: &mut Work<'_>, correction: CorrectionId) -> Result<()> {
    let (tx, organization) = (&mut *work.tx, work.organization);
    let done = store::row(tx, organization, correction).await?;
    if done.undoes.is_some() {
        let detail = "this undid another correction: make that one again";
        return Err(Error::conflict("is_undo", detail));
    }
    let mut given = Given::default();
    for (subject, item) in store::items(tx, organization, correction).await? {
        given.add(&subject, item);
    }
    let things = Things {
        calls: given.calls.keys().map(|id| (*id).into()).collect(),
        messages: given.messages.keys().map(|id| (*id).into()).collect(),
        numbers: done
            .number
            .iter()
            .filter_map(|it| it.parse().ok())
            .collect(),
        customers: given.customers(&done),
        usages: done.usage.iter().map(|id| id.uuid()).collect(),
    };
    let things = with_waived(things, &done);
    let held = work.hold(&things).await?;
    let negated = done.amount.map(tollbook_core::money::Money::checked_neg);
    let negated = negated.transpose();
    work.begin(&Row {
        undoes: Some(correction),
        amount: negated.map_err(|e| Error::Internal(e.to_string()))?,
        ..done.clone()
    })
    .await?;
    match (done.kind.as_str(), done.customer) {
        ("waive", _) => {
            let (tx, organization) = (&mut *work.tx, work.organization);
            store::delete_waiver(tx, organization, correction).await?;
            rating::queue_usages(tx, organization, &held.roots).await?;
        }
        ("goodwill", Some(customer)) => {
            let amount = negated_amount(&done)?;
            post_goodwill(work, customer, amount)
                .await
                .on_constraint("ledger_accounts_credit_check", payments::credit_is_spent)?;
        }
        ("name_prospect", Some(customer)) => {
            work.customer(customer)?;
            customers::name_prospect(work.tx, work.organization, customer, None).await?;
        }
        (_, Some(customer)) => give_back(work, &done, customer, &held, given).await?,
        (_, None) => return Err(Error::Internal("a correction names nobody".into())),
    }
    work.settle(&held).await
}

fn negated_amount(done: &Row) -> Result<tollbook_core::money::Money> {
    let wrong = || Error::Internal("a correction has no amount".into());
    let amount = done.amount.ok_or_else(wrong)?;
    amount.checked_neg().map_err(|_| wrong())
}

/// What was waived is held as it was for waiving it.
fn with_waived(mut things: Things, done: &Row) -> Things {
    if done.kind == "waive" {
        things.calls.extend(done.call);
        things.messages.extend(done.message);
    }
    things
}

/// What a correction gave away.
#[derive(Default)]
struct Given {
    /// Who had it, and who got it.
    calls: HashMap<Uuid, (Option<CustomerId>, Option<CustomerId>)>,
    messages: HashMap<Uuid, (Option<CustomerId>, Option<CustomerId>)>,
    belongings: Vec<Belonging>,
    /// A number's new row.
    number: Option<Uuid>,
    /// Rows of a number that were cut short.
    cut: Vec<(Uuid, CustomerId, serde_json::Value)>,
}

impl Given {
    fn add(&mut self, subject: &str, item: Item) {
        let Item {
            id,
            from,
            to,
            before,
            ..
        } = item;
        match (subject, from, before) {
            ("call", from, _) => {
                self.calls.insert(id, (from, to));
            }
            ("message", from, _) => {
                self.messages.insert(id, (from, to));
            }
            ("number", Some(from), Some(row)) => self.cut.push((id, from, row)),
            ("number", None, _) => self.number = Some(id),
            ("number", Some(_), None) => self.belongings.push(Belonging::Number(id)),
            ("contact", ..) => self.belongings.push(Belonging::Contact(id)),
            ("note", ..) => self.belongings.push(Belonging::Note(id)),
            ("customer", ..) => self.belongings.push(Belonging::Customer(id)),
            _ => {}
        }
    }

    fn customers(&self, done: &Row) -> Vec<CustomerId> {
        let pairs = self.calls.values().chain(self.messages.values());
        let of_pairs = pairs.flat_map(|(from, to)| from.iter().chain(to)).copied();
        let of_numbers = self.cut.iter().map(|(_, customer, _)| *customer);
        let named = done.customer.into_iter().chain(done.from);
        of_pairs.chain(of_numbers).chain(named).collect()
    }
}

async fn give_back(
    work: &mut Work<'_>,
    done: &Row,
    customer: CustomerId,
    held: &Held,
    given: Given,
) -> Result<()> {
    let is_as_left = |id: Uuid, current: Option<CustomerId>| {
        let left = given.calls.get(&id).or(given.messages.get(&id));
        left.is_some_and(|(_, to)| *to == current)
    };
    let calls = held.calls.iter().map(|it| (it.id.uuid(), it.customer));
    let messages = held.messages.iter().map(|it| (it.id.uuid(), it.customer));
    let present: Vec<(Uuid, Option<CustomerId>)> = calls.chain(messages).collect();
    let is_whole = present.len() == given.calls.len() + given.messages.len();
    if !is_whole
        || !present
            .iter()
            .all(|(id, current)| is_as_left(*id, *current))
    {
        let detail = "a call or a message went to somebody else since: undo that first";
        return Err(Error::conflict("changed_since", detail));
    }
    if let Some(from) = done.from {
        let (tx, organization) = (&mut *work.tx, work.organization);
        customers::part(tx, organization, from, customer, &given.belongings).await?;
    } else {
        let owners = given.calls.values().chain(given.messages.values());
        for owner in owners.filter_map(|(from, _)| *from) {
            work.customer(owner)?;
        }
    }
    if done.kind == "move_number" {
        let taken = Taken {
            number: given.number,
            before: given.cut,
        };
        let (tx, organization) = (&mut *work.tx, work.organization);
        customers::give_number_back(tx, organization, &taken, customer).await?;
    }
    let things = given.calls.into_iter().chain(given.messages);
    let to: HashMap<Uuid, Option<CustomerId>> = things.map(|(id, (from, _))| (id, from)).collect();
    work.give(held, &to).await
}
