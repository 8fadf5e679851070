//! One kind of identifier per entity, so that the compiler refuses a customer where an invoice is meant.
//!
//! Identifiers are UUIDv7, made by the application: this crate has neither clock nor randomness.

use std::fmt;
use std::str::FromStr;

use serde::{Deserialize, Serialize};
use uuid::Uuid;

/// The text is not a UUID.
#[derive(Debug, Clone, PartialEq, Eq, thiserror::Error)]
#[error("`{text}` is not an identifier")]
pub struct InvalidId {
    text: String,
}

macro_rules! ids {
    ($($(#[$doc:meta])* $name:ident,)+) => {$(
        $(#[$doc])*
        #[derive(Clone, Copy, PartialEq, Eq, PartialOrd, Ord, Hash, Serialize, Deserialize)]
        #[serde(transparent)]
        pub struct $name(Uuid);

        impl $name {
            /// Wraps an identifier that came from storage or was just made.
            pub const fn new(id: Uuid) -> Self {
                Self(id)
            }

            /// The bare value, for a query parameter.
            pub const fn uuid(self) -> Uuid {
                self.0
            }
        }

        impl From<Uuid> for $name {
            fn from(id: Uuid) -> Self {
                Self(id)
            }
        }

        impl From<$name> for Uuid {
            fn from(id: $name) -> Self {
                id.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }

        impl fmt::Debug for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!(stringify!($name), "({})"), self.0)
            }
        }

        impl FromStr for $name {
            type Err = InvalidId;

            fn from_str(text: &str) -> Result<Self, InvalidId> {
                Uuid::parse_str(text).map(Self).map_err(|_| InvalidId { text: text.to_owned() })
            }
        }
    )+};
}

ids! {
    /// A tenant: the organization that sells to its customers.
    OrganizationId,
    /// Somebody who signs in.
    UserId,
    /// Who pays one organization.
    CustomerId,
    /// A person or number known for a customer.
    ContactId,
    /// A phone number held by an organization.
    PhoneNumberId,
    /// A dated mapping of a phone number to an organization.
    MappingId,
    /// A user's right to use a phone number.
    AssignmentId,
    /// An organization's configured account at a provider.
    IntegrationId,
    /// A raw, deduplicated webhook.
    InboxId,
    /// One conversation, whatever the number of its legs.
    CallId,
    /// One provider record within a call.
    CallLegId,
    /// A text message.
    MessageId,
    /// A voicemail.
    VoicemailId,
    /// A recording of a call.
    RecordingId,
    /// An immutable billable fact.
    UsageEventId,
    /// The unit of locking and rating: what shares an allowance, tier total or wallet.
    AccountId,
    /// An offer.
    PlanId,
    /// An immutable edition of a plan.
    PlanVersionId,
    /// A customer's contract.
    SubscriptionId,
    /// A billing period of a subscription.
    PeriodId,
    /// A stretch of time on one plan version.
    SegmentId,
    /// A quantity granted by an allowance.
    GrantId,
    /// The rated result of a usage event.
    ChargeId,
    /// An invoice.
    InvoiceId,
    /// A line of an invoice.
    InvoiceLineId,
    /// A credit note.
    CreditNoteId,
    /// What people put right.
    CorrectionId,
    /// A payment.
    PaymentId,
    /// Prepaid credit.
    WalletId,
    /// A change of a wallet.
    WalletMovementId,
    /// What a provider charges for one thing.
    ProviderCostId,
    /// A price of a provider, as it was known from a time on.
    ProviderPriceId,
    /// A call that was let through, for so long.
    AuthorizationId,
    /// An account of the ledger.
    LedgerAccountId,
    /// A balanced posting.
    LedgerEntryId,
    /// One debit and credit within a posting.
    TransferId,
    /// A book that was brought in from another system.
    ImportId,
    /// A job of the outbox.
    JobId,
    /// An API key.
    ApiKeyId,
    /// A page session.
    SessionId,
    /// A request to the application.
    RequestId,
    /// A cap on what a payer may spend.
    SpendCapId,
    /// Where people are told of usage.
    ThresholdId,
    /// Something that people should look at.
    AlertId,
    /// Calls out that are held.
    FraudHoldId,
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn text_and_json_round_trip() {
        let text = "0190a0b0-c0d0-7123-8456-789abcdef012";
        let id: CustomerId = text.parse().unwrap();
        assert_eq!(id.to_string(), text);
        assert_eq!(serde_json::to_string(&id).unwrap(), format!("\"{text}\""));
        assert_eq!(format!("{id:?}"), format!("CustomerId({text})"));
        assert_eq!(
            "x".parse::<CallId>().unwrap_err().to_string(),
            "`x` is not an identifier"
        );
    }
}
