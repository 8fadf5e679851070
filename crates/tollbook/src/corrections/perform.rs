//! Does what is asked for, act by act.

use std::collections::HashMap;

use jiff::Timestamp;
use tollbook_core::calls::Provider;
use tollbook_core::ids::{CallId, CustomerId, MessageId, UsageEventId};
use tollbook_core::ledger::goodwill;
use tollbook_core::money::{Currency, Money, Price};
use tollbook_core::payer::{Payer, PayerKind};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::act::{Act, Waived};
use super::store::{self, Row, Waiver};
use super::undo::undo;
use super::work::{Held, Item, Things, Work};
use crate::customers::{self, Belonging};
use crate::error::{Error, Result};
use crate::{ledger, payments, rating};

/// Does it, in the transaction of `work`. What it says of itself is written down there as well.
pub(super) async fn perform(work: &mut Work<'_>, act: &Act) -> Result<()> {
    match act {
        Act::MoveCall { call, customer } => move_call(work, *call, *customer).await,
        Act::MoveMessage { message, customer } => move_message(work, *message, *customer).await,
        Act::MoveNumber {
            number,
            customer,
            since,
        } => move_number(work, number, *customer, *since).await,
        Act::Merge { from, into } => merge(work, *from, *into).await,
        Act::Name { customer, name } => name_prospect(work, *customer, name).await,
        Act::Waive(Waived::Call(call)) => waive_call(work, *call).await,
        Act::Waive(Waived::Message(message)) => waive_message(work, *message).await,
        Act::Waive(Waived::Usage(usage)) => waive_usage(work, *usage).await,
        Act::Goodwill {
            customer,
            amount,
            currency,
        } => give_goodwill(work, *customer, *amount, *currency).await,
        Act::Undo(correction) => undo(work, *correction).await,
    }
}

impl Work<'_> {
    /// Writes down what is done.
    pub(super) async fn begin(&mut self, row: &Row) -> Result<()> {
        let (id, now) = (self.id, self.now);
        store::insert(self.tx, self.organization, id, row, &self.reason, now).await
    }
}

async fn move_call(work: &mut Work<'_>, call: CallId, customer: CustomerId) -> Result<()> {
    let things = Things {
        calls: vec![call],
        customers: vec![customer],
        ..Things::default()
    };
    let held = work.hold(&things).await?;
    let current = held.calls.first().ok_or(Error::NotFound("call"))?.customer;
    let row = Row {
        call: Some(call),
        ..Row::new("move_call")
    };
    move_one(work, &held, (call.uuid(), current), customer, row).await
}

async fn move_message(work: &mut Work<'_>, message: MessageId, customer: CustomerId) -> Result<()> {
    let things = Things {
        messages: vec![message],
        customers: vec![customer],
        ..Things::default()
    };
    let held = work.hold(&things).await?;
    let current = held.messages.first().ok_or(Error::NotFound("message"))?;
    let current = current.customer;
    let row = Row {
        message: Some(message),
        ..Row::new("move_message")
    };
    move_one(work, &held, (message.uuid(), current), customer, row).await
}

async fn move_one(
    work: &mut Work<'_>,
    held: &Held,
    (thing, current): (Uuid, Option<CustomerId>),
    customer: CustomerId,
    row: Row,
) -> Result<()> {
    work.customer(customer)?;
    if current == Some(customer) && held.users.iter().all(|user| *user == customer) {
        return Err(Error::conflict(
            "same_customer",
            "it is this customer's already",
        ));
    }
    work.begin(&Row {
        customer: Some(customer),
        ..row
    })
    .await?;
    let to = HashMap::from([(thing, Some(customer))]);
    work.give(held, &to).await?;
    work.settle(held).await
}

async fn move_number(
    work: &mut Work<'_>,
    number: &E164,
    customer: CustomerId,
    since: Option<Timestamp>,
) -> Result<()> {
    let since = since.unwrap_or(work.now);
    if since > work.now {
        return Err(Error::invalid("since", "must not lie in the future"));
    }
    let (tx, organization) = (&mut *work.tx, work.organization);
    let (calls, messages) = store::of_number(tx, organization, number, customer, since).await?;
    let to: HashMap<Uuid, Option<CustomerId>> = given_to(&calls, &messages, customer);
    let things = Things {
        calls,
        messages,
        numbers: vec![number.clone()],
        customers: vec![customer],
        usages: Vec::new(),
    };
    let held = work.hold(&things).await?;
    work.customer(customer)?;
    let (tx, organization) = (&mut *work.tx, work.organization);
    let now = store::of_number(tx, organization, number, customer, since).await?;
    same(&things, &now)?;
    work.begin(&Row {
        customer: Some(customer),
        number: Some(number.to_string()),
        since: Some(since),
        ..Row::new("move_number")
    })
    .await?;
    let (tx, organization) = (&mut *work.tx, work.organization);
    let taken = customers::take_number(tx, organization, number, customer, since).await?;
    if taken.number.is_none() && taken.before.is_empty() && to.is_empty() {
        let detail = "the number is this customer's alone already";
        return Err(Error::conflict("same_customer", detail));
    }
    work.items.extend(taken.number.map(|id| Item {
        subject: "number",
        id,
        from: None,
        to: Some(customer),
        before: None,
    }));
    work.items
        .extend(taken.before.into_iter().map(|(id, from, row)| Item {
            subject: "number",
            id,
            from: Some(from),
            to: Some(customer),
            before: Some(row),
        }));
    work.give(&held, &to).await?;
    work.settle(&held).await
}

fn given_to(
    calls: &[CallId],
    messages: &[MessageId],
    customer: CustomerId,
) -> HashMap<Uuid, Option<CustomerId>> {
    let calls = calls.iter().map(|call| call.uuid());
    let messages = messages.iter().map(|message| message.uuid());
    let things = calls.chain(messages);
    things.map(|thing| (thing, Some(customer))).collect()
}

/// Fails if something came while it was looked for.
fn same(things: &Things, now: &(Vec<CallId>, Vec<MessageId>)) -> Result<()> {
    if (&things.calls, &things.messages) == (&now.0, &now.1) {
        return Ok(());
    }
    let detail = "a call or a message came in just now: try again";
    Err(Error::Unavailable(detail.to_owned()))
}

async fn merge(work: &mut Work<'_>, from: CustomerId, into: CustomerId) -> Result<()> {
    if from == into {
        let message = "must be another customer";
        return Err(Error::invalid("intoCustomerId", message));
    }
    let (tx, organization) = (&mut *work.tx, work.organization);
    let (calls, messages) = store::open_of_customer(tx, organization, from).await?;
    let to = given_to(&calls, &messages, into);
    let things = Things {
        calls,
        messages,
        numbers: store::numbers_of(tx, organization, from).await?,
        customers: vec![from, into],
        usages: Vec::new(),
    };
    let held = work.hold(&things).await?;
    work.customer(into)?;
    let part = work.customer(from)?.clone();
    let (tx, organization) = (&mut *work.tx, work.organization);
    let now = store::open_of_customer(tx, organization, from).await?;
    same(&things, &now)?;
    refuse_obstacles(&store::obstacles(tx, organization, &part, &held.roots, work.now).await?)?;
    work.begin(&Row {
        customer: Some(into),
        from: Some(from),
        ..Row::new("merge_customers")
    })
    .await?;
    let (tx, organization) = (&mut *work.tx, work.organization);
    let gone = customers::merge(tx, organization, from, into, work.now).await?;
    work.items.extend(gone.into_iter().map(|thing| {
        let (subject, id) = match thing {
            Belonging::Number(id) => ("number", id),
            Belonging::Contact(id) => ("contact", id),
            Belonging::Note(id) => ("note", id),
            Belonging::Customer(id) => ("customer", id),
        };
        Item {
            subject,
            id,
            from: Some(from),
            to: Some(into),
            before: None,
        }
    }));
    work.give(&held, &to).await?;
    work.settle(&held).await
}

fn refuse_obstacles(obstacles: &store::Obstacles) -> Result<()> {
    let refuse = |code, detail: &str| Err(Error::conflict(code, detail));
    if obstacles.has_subscription {
        return refuse(
            "has_subscription",
            "the customer who is to become a part of the other has a subscription: cancel it, or merge the other way round",
        );
    }
    if obstacles.has_wallet {
        return refuse(
            "has_wallet",
            "the customer who is to become a part of the other has a wallet: merge the other way round",
        );
    }
    if obstacles.has_other_usage {
        return refuse(
            "has_open_usage",
            "on a draft of the customer who is to become a part of the other there is usage of a subscription, or usage that is of no call and no message: finalize it first",
        );
    }
    Ok(())
}

async fn name_prospect(work: &mut Work<'_>, customer: CustomerId, name: &str) -> Result<()> {
    let things = Things {
        customers: vec![customer],
        ..Things::default()
    };
    let held = work.hold(&things).await?;
    if !work.customer(customer)?.is_prospect {
        return Err(Error::conflict(
            "not_a_prospect",
            "this is a customer already",
        ));
    }
    work.begin(&Row {
        customer: Some(customer),
        ..Row::new("name_prospect")
    })
    .await?;
    customers::name_prospect(work.tx, work.organization, customer, Some(name)).await?;
    work.settle(&held).await
}

async fn waive_call(work: &mut Work<'_>, call: CallId) -> Result<()> {
    let things = Things {
        calls: vec![call],
        ..Things::default()
    };
    let held = work.hold(&things).await?;
    let of_call = held.calls.first().ok_or(Error::NotFound("call"))?;
    let sids = of_call.sids().map(|sid| ("call", sid.to_owned()));
    let waiver = Waiver {
        call: Some(call),
        resources: sids.collect(),
        usage: None,
    };
    let row = Row {
        call: Some(call),
        ..Row::new("waive")
    };
    waive(work, &held, row, &waiver).await
}

async fn waive_message(work: &mut Work<'_>, message: MessageId) -> Result<()> {
    let things = Things {
        messages: vec![message],
        ..Things::default()
    };
    let held = work.hold(&things).await?;
    let of_message = held.messages.first().ok_or(Error::NotFound("message"))?;
    let waiver = Waiver {
        resources: vec![("message", of_message.sid.clone())],
        ..Waiver::default()
    };
    let row = Row {
        message: Some(message),
        ..Row::new("waive")
    };
    waive(work, &held, row, &waiver).await
}

async fn waive_usage(work: &mut Work<'_>, usage: UsageEventId) -> Result<()> {
    let first = store::usage(work.tx, work.organization, usage).await?;
    let is_told_by = |key: &str| {
        let provider = key.split(':').next().unwrap_or_default();
        provider.parse::<Provider>().is_ok()
    };
    if first.call_id.is_some() || is_told_by(&first.key) {
        let message = "is of a call or of a message: name that instead";
        return Err(Error::invalid("usageEventId", message));
    }
    let things = Things {
        usages: vec![first.root],
        ..Things::default()
    };
    let held = work.hold(&things).await?;
    let waiver = Waiver {
        usage: Some(first.root),
        ..Waiver::default()
    };
    let row = Row {
        usage: Some(first.root.into()),
        ..Row::new("waive")
    };
    waive(work, &held, row, &waiver).await
}

async fn waive(work: &mut Work<'_>, held: &Held, row: Row, waiver: &Waiver) -> Result<()> {
    work.begin(&row).await?;
    let (tx, organization) = (&mut *work.tx, work.organization);
    store::insert_waiver(tx, organization, work.id, waiver).await?;
    rating::queue_usages(tx, organization, &held.roots).await?;
    work.settle(held).await
}

async fn give_goodwill(
    work: &mut Work<'_>,
    customer: CustomerId,
    amount: Price,
    currency: Currency,
) -> Result<()> {
    let amount = payments::positive("amount", amount, currency)?;
    let things = Things {
        customers: vec![customer],
        ..Things::default()
    };
    let held = work.hold(&things).await?;
    work.customer(customer)?;
    work.begin(&Row {
        customer: Some(customer),
        amount: Some(amount),
        ..Row::new("goodwill")
    })
    .await?;
    post_goodwill(work, customer, amount).await?;
    work.settle(&held).await
}

/// Puts an amount into a customer's credit; below zero, takes it out.
pub(super) async fn post_goodwill(
    work: &mut Work<'_>,
    customer: CustomerId,
    amount: Money,
) -> Result<()> {
    let wrong = |e: &dyn std::fmt::Display| Error::Internal(format!("goodwill: {e}"));
    let payer = Payer::Customer(customer);
    let is_given = amount.minor() > 0;
    let positive = if is_given {
        amount
    } else {
        amount.checked_neg().map_err(|e| wrong(&e))?
    };
    let entry = goodwill(payer, positive).map_err(|e| wrong(&e))?;
    let entry = if is_given { entry } else { entry.reversal() };
    let document = ledger::Document {
        kind: "goodwill",
        id: work.id.uuid(),
        payer: PayerKind::Customer,
        occurred_at: work.now,
    };
    ledger::post(work.tx, work.organization, &[(document, entry)]).await
}
