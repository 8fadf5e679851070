//! A correction under way: who and what it concerns is held, given to others, and rated anew.

use std::collections::{BTreeSet, HashMap};

use jiff::Timestamp;
use serde_json::Value;
use tollbook_core::ids::{CallId, CorrectionId, CustomerId, MessageId, OrganizationId};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::credits::{self, LineCredit};
use super::effect::Before;
use super::store;
use crate::app::App;
use crate::calls::{self, Effects, HeldCall};
use crate::communications::{self, HeldMessage};
use crate::customers::{self, HeldCustomer};
use crate::db::Tx;
use crate::error::{Error, Result};
use crate::rating::{self, Credits};

/// Calls and messages of one correction. It is one transaction.
pub(super) const THINGS_MAX: usize = 2_000;
/// Usages that an act rates at most; workers rate what is left.
const RATED_MAX: usize = 20_000;

/// What a correction is about.
#[derive(Debug, Default)]
pub(super) struct Things {
    pub(super) calls: Vec<CallId>,
    pub(super) messages: Vec<MessageId>,
    /// Persons that nobody else is to hear of meanwhile.
    pub(super) numbers: Vec<E164>,
    /// Who is concerned beside those whose usage it is.
    pub(super) customers: Vec<CustomerId>,
    /// Usage that is of no call and no message, by its first events.
    pub(super) usages: Vec<Uuid>,
}

/// The same as it stands, kept from others.
#[derive(Debug, Default)]
pub(super) struct Held {
    pub(super) calls: Vec<HeldCall>,
    pub(super) messages: Vec<HeldMessage>,
    /// The first events of all usage in force of these.
    pub(super) roots: Vec<Uuid>,
    /// Whose that is, where it is somebody's.
    pub(super) users: BTreeSet<CustomerId>,
}

/// A thing that went from one customer to another.
#[derive(Debug)]
pub(super) struct Item {
    pub(super) subject: &'static str,
    pub(super) id: Uuid,
    pub(super) from: Option<CustomerId>,
    pub(super) to: Option<CustomerId>,
    /// The row as it was.
    pub(super) before: Option<Value>,
}

/// A correction under way.
pub(super) struct Work<'w> {
    pub(super) app: &'w App,
    pub(super) tx: &'w mut Tx,
    pub(super) organization: OrganizationId,
    pub(super) id: CorrectionId,
    pub(super) reason: String,
    pub(super) now: Timestamp,
    /// Whether what it comes to is asked for.
    pub(super) is_trial: bool,
    /// Everybody whose account it concerns, held.
    pub(super) payers: Vec<HeldCustomer>,
    /// How their accounts stood.
    pub(super) before: Before,
    pub(super) items: Vec<Item>,
    pub(super) credits: Vec<LineCredit>,
    /// Whether more has to be rated again than was.
    pub(super) usage_left: bool,
}

impl Work<'_> {
    /// Holds everything that a correction is about, and everybody whose account it concerns.
    pub(super) async fn hold(&mut self, things: &Things) -> Result<Held> {
        if things.calls.len() + things.messages.len() > THINGS_MAX {
            let detail = format!(
                "these are more than {THINGS_MAX} calls and messages: correct a shorter time first"
            );
            return Err(Error::conflict("too_much", detail));
        }
        let (tx, organization) = (&mut *self.tx, self.organization);
        let parties =
            communications::parties_of_messages(tx, organization, &things.messages).await?;
        let mut others: BTreeSet<String> = parties.into_iter().collect();
        others.extend(things.numbers.iter().map(E164::to_string));
        let calls = calls::hold_calls(tx, organization, &things.calls, &others).await?;
        let messages = communications::held_messages(tx, organization, &things.messages).await?;
        let mut held = Held {
            calls,
            messages,
            ..Held::default()
        };
        for (root, customer) in store::usage_of(tx, organization, &held, &things.usages).await? {
            held.roots.push(root);
            held.users.extend(customer);
        }
        let mut concerned: BTreeSet<CustomerId> = held.users.clone();
        concerned.extend(&things.customers);
        concerned.extend(held.calls.iter().filter_map(|call| call.customer));
        concerned.extend(held.messages.iter().filter_map(|message| message.customer));
        let concerned: Vec<CustomerId> = concerned.into_iter().collect();
        self.payers = customers::hold_customers(tx, organization, &concerned).await?;
        let accounts: Vec<_> = self
            .payers
            .iter()
            .map(|payer| (organization, payer.account))
            .collect();
        rating::lock_accounts(tx, &accounts).await?;
        store::refuse_priced_by_hand(tx, organization, &held.roots).await?;
        if self.is_trial {
            self.before = Before::read(tx, organization, &self.payers).await?;
        }
        Ok(held)
    }

    /// A customer who is concerned, and is one of their own.
    pub(super) fn customer(&self, id: CustomerId) -> Result<&HeldCustomer> {
        let found = self.payers.iter().find(|payer| payer.id == id);
        let found = found.ok_or(Error::NotFound("customer"))?;
        if found.is_merged {
            let detail = "this customer is a part of another one by now";
            return Err(Error::conflict("merged", detail));
        }
        Ok(found)
    }

    /// Gives calls and messages to others, and has what was recorded of them recorded anew.
    pub(super) async fn give(
        &mut self,
        held: &Held,
        to: &HashMap<Uuid, Option<CustomerId>>,
    ) -> Result<()> {
        let calls: Vec<(&HeldCall, Option<CustomerId>)> = held
            .calls
            .iter()
            .filter_map(|call| Some((call, *to.get(&call.id.uuid())?)))
            .collect();
        let messages: Vec<(&HeldMessage, Option<CustomerId>)> = held
            .messages
            .iter()
            .filter_map(|message| Some((message, *to.get(&message.id.uuid())?)))
            .collect();
        let mut effects: Effects = calls::give_calls(self.tx, self.organization, &calls).await?;
        effects.join(communications::give_messages(self.tx, self.organization, &messages).await?);
        effects.write(self.tx).await?;
        self.items.extend(calls.iter().map(|(call, to)| Item {
            subject: "call",
            id: call.id.uuid(),
            from: call.customer,
            to: *to,
            before: None,
        }));
        self.items.extend(messages.iter().map(|(message, to)| Item {
            subject: "message",
            id: message.id.uuid(),
            from: message.customer,
            to: *to,
            before: None,
        }));
        Ok(())
    }

    /// Has everything rated anew, gives back what stands on final documents, and writes down what was done.
    pub(super) async fn settle(&mut self, held: &Held) -> Result<()> {
        let (tx, organization) = (&mut *self.tx, self.organization);
        let mut credits = Credits {
            charges: credits::creditable(tx, organization, &held.roots).await?,
            undone: Vec::new(),
        };
        for payer in &self.payers {
            self.usage_left |= rating::rate_account(
                self.app,
                tx,
                organization,
                payer.account,
                RATED_MAX,
                Some(&mut credits),
            )
            .await?;
        }
        store::insert_payers(tx, organization, self.id, &self.payers).await?;
        store::insert_items(tx, organization, self.id, &self.items).await?;
        self.credits =
            credits::give_back(tx, organization, &credits.undone, &self.reason, self.now).await?;
        store::insert_credits(tx, organization, self.id, &self.credits).await
    }
}
