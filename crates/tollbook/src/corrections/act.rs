//! What people put right.

use jiff::Timestamp;
use serde::Deserialize;
use tollbook_core::ids::{CallId, CorrectionId, CustomerId, MessageId, UsageEventId};
use tollbook_core::money::{Currency, Price};
use tollbook_core::phone::E164;

use crate::error::{Error, Result};
use crate::http::input::ShortText;

/// An act.
#[derive(Debug, Clone)]
pub(super) enum Act {
    MoveCall {
        call: CallId,
        customer: CustomerId,
    },
    MoveMessage {
        message: MessageId,
        customer: CustomerId,
    },
    /// Calls and messages from a number since a time are a customer's, and those to come.
    MoveNumber {
        number: E164,
        customer: CustomerId,
        /// From now on if absent.
        since: Option<Timestamp>,
    },
    /// A customer turns out to be another one.
    Merge {
        from: CustomerId,
        into: CustomerId,
    },
    /// A prospect becomes a customer.
    Name {
        customer: CustomerId,
        name: String,
    },
    Waive(Waived),
    /// Credit for no document.
    Goodwill {
        customer: CustomerId,
        amount: Price,
        currency: Currency,
    },
    Undo(CorrectionId),
}

/// What a customer is not billed for.
#[derive(Debug, Clone, Copy)]
pub(super) enum Waived {
    Call(CallId),
    Message(MessageId),
    Usage(UsageEventId),
}

/// What kind of an act it is.
#[derive(Debug, Clone, Copy, Deserialize)]
#[serde(rename_all = "snake_case")]
enum Kind {
    MoveCall,
    MoveMessage,
    MoveNumber,
    MergeCustomers,
    NameProspect,
    Waive,
    Goodwill,
}

/// An act as it is asked for: which fields it takes depends on its kind.
#[derive(Debug, Deserialize)]
#[serde(rename_all = "camelCase", deny_unknown_fields)]
pub(crate) struct NewCorrection {
    kind: Kind,
    reason: ShortText,
    customer_id: Option<CustomerId>,
    from_customer_id: Option<CustomerId>,
    into_customer_id: Option<CustomerId>,
    call_id: Option<CallId>,
    message_id: Option<MessageId>,
    usage_event_id: Option<UsageEventId>,
    phone_number: Option<E164>,
    since: Option<Timestamp>,
    name: Option<ShortText>,
    amount: Option<Price>,
    currency: Option<Currency>,
}

/// A field that an act cannot do without.
fn needed<T>(field: &str, value: Option<T>) -> Result<T> {
    value.ok_or_else(|| Error::invalid(field, "is required"))
}

impl NewCorrection {
    /// The act, and why it is done.
    pub(super) fn read(self) -> Result<(Act, String)> {
        let customer = || needed("customerId", self.customer_id);
        let act = match self.kind {
            Kind::MoveCall => Act::MoveCall {
                call: needed("callId", self.call_id)?,
                customer: customer()?,
            },
            Kind::MoveMessage => Act::MoveMessage {
                message: needed("messageId", self.message_id)?,
                customer: customer()?,
            },
            Kind::MoveNumber => Act::MoveNumber {
                number: needed("phoneNumber", self.phone_number)?,
                customer: customer()?,
                since: self.since,
            },
            Kind::MergeCustomers => Act::Merge {
                from: needed("fromCustomerId", self.from_customer_id)?,
                into: needed("intoCustomerId", self.into_customer_id)?,
            },
            Kind::NameProspect => Act::Name {
                customer: customer()?,
                name: needed("name", self.name)?.into_inner(),
            },
            Kind::Waive => waive(self.call_id, self.message_id, self.usage_event_id)?,
            Kind::Goodwill => Act::Goodwill {
                customer: customer()?,
                amount: needed("amount", self.amount)?,
                currency: needed("currency", self.currency)?,
            },
        };
        Ok((act, self.reason.into_inner()))
    }
}

fn waive(
    call: Option<CallId>,
    message: Option<MessageId>,
    usage: Option<UsageEventId>,
) -> Result<Act> {
    let waived = match (call, message, usage) {
        (Some(call), None, None) => Waived::Call(call),
        (None, Some(message), None) => Waived::Message(message),
        (None, None, Some(usage)) => Waived::Usage(usage),
        _ => {
            let message = "name either a call, a message (`messageId`) or a usage (`usageEventId`)";
            return Err(Error::invalid("callId", message));
        }
    };
    Ok(Act::Waive(waived))
}
