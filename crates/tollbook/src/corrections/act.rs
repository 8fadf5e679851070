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

/// An act as it is asked for.
#[derive(Debug, Deserialize)]
#[serde(
    tag = "kind",
    rename_all = "snake_case",
    rename_all_fields = "camelCase",
    deny_unknown_fields
)]
pub(crate) enum NewCorrection {
    MoveCall {
        call_id: CallId,
        customer_id: CustomerId,
        reason: ShortText,
    },
    MoveMessage {
        message_id: MessageId,
        customer_id: CustomerId,
        reason: ShortText,
    },
    MoveNumber {
        phone_number: E164,
        customer_id: CustomerId,
        since: Option<Timestamp>,
        reason: ShortText,
    },
    MergeCustomers {
        from_customer_id: CustomerId,
        into_customer_id: CustomerId,
        reason: ShortText,
    },
    NameProspect {
        customer_id: CustomerId,
        name: ShortText,
        reason: ShortText,
    },
    Waive {
        call_id: Option<CallId>,
        message_id: Option<MessageId>,
        usage_event_id: Option<UsageEventId>,
        reason: ShortText,
    },
    Goodwill {
        customer_id: CustomerId,
        amount: Price,
        currency: Currency,
        reason: ShortText,
    },
}

impl NewCorrection {
    /// The act, and why it is done.
    pub(super) fn read(self) -> Result<(Act, String)> {
        let (act, reason) = match self {
            Self::MoveCall {
                call_id: call,
                customer_id: customer,
                reason,
            } => (Act::MoveCall { call, customer }, reason),
            Self::MoveMessage {
                message_id: message,
                customer_id: customer,
                reason,
            } => (Act::MoveMessage { message, customer }, reason),
            Self::MoveNumber {
                phone_number: number,
                customer_id: customer,
                since,
                reason,
            } => {
                let act = Act::MoveNumber {
                    number,
                    customer,
                    since,
                };
                (act, reason)
            }
            Self::MergeCustomers {
                from_customer_id: from,
                into_customer_id: into,
                reason,
            } => (Act::Merge { from, into }, reason),
            Self::NameProspect {
                customer_id: customer,
                name,
                reason,
            } => {
                let name = name.into_inner();
                (Act::Name { customer, name }, reason)
            }
            Self::Waive {
                call_id,
                message_id,
                usage_event_id,
                reason,
            } => (waive(call_id, message_id, usage_event_id)?, reason),
            Self::Goodwill {
                customer_id: customer,
                amount,
                currency,
                reason,
            } => {
                let act = Act::Goodwill {
                    customer,
                    amount,
                    currency,
                };
                (act, reason)
            }
        };
        Ok((act, reason.into_inner()))
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
