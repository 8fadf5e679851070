//! The checks, in the order in which they are made.

use super::rows::Rows;

/// A check of one organization.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfOrganization {
    /// Counters against usage events.
    Counters,
    /// Amounts of charges against their traces; grants and tier totals against charges.
    Traces,
    /// Lines, taxes and totals of documents against charges.
    Documents,
    /// Periods, base fees and grants of subscriptions against their history.
    Periods,
    /// Documents against what their payers committed to.
    Commitments,
    /// What corrections took off lines against the charges that they took back.
    Corrections,
    /// Calls against their legs.
    Legs,
    /// Words that find customers.
    Search,
    /// One statement on the rows of a table.
    Rows(Rows),
}

/// A check of what belongs to no organization alone.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum OfPlatform {
    /// Sequences of invoice numbers.
    Numbers,
    /// Stored webhooks against what they say.
    Inbox,
    /// One statement on the rows of a table.
    Rows(Rows),
}

impl OfOrganization {
    pub(super) const ALL: [Self; 32] = [
        Self::Counters,
        Self::Rows(Rows::UsageEvents),
        Self::Rows(Rows::UsageCharges),
        Self::Rows(Rows::RatingQueue),
        Self::Rows(Rows::Charges),
        Self::Traces,
        Self::Rows(Rows::DeckVersions),
        Self::Rows(Rows::DeckCharges),
        Self::Rows(Rows::Invoices),
        Self::Documents,
        Self::Commitments,
        Self::Rows(Rows::Revenue),
        Self::Rows(Rows::CreditNotes),
        Self::Corrections,
        Self::Rows(Rows::Payments),
        Self::Rows(Rows::LedgerEntries),
        Self::Rows(Rows::LedgerAccounts),
        Self::Rows(Rows::Subscriptions),
        Self::Periods,
        Self::Rows(Rows::Grants),
        Self::Rows(Rows::Wallets),
        Self::Rows(Rows::SpendTotals),
        Self::Rows(Rows::OpeningEntries),
        Self::Rows(Rows::ProviderCosts),
        Self::Rows(Rows::ProviderCostDays),
        Self::Search,
        Self::Rows(Rows::Calls),
        Self::Legs,
        Self::Rows(Rows::Messages),
        Self::Rows(Rows::Voicemails),
        Self::Rows(Rows::Recordings),
        Self::Rows(Rows::Transcripts),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Counters => "counters",
            Self::Traces => "traces, grants and tier totals",
            Self::Documents => "lines, taxes and totals",
            Self::Periods => "periods, fees and grants",
            Self::Commitments => "minimum commitments",
            Self::Corrections => "corrections of final documents",
            Self::Legs => "legs of calls",
            Self::Search => "words that find customers",
            Self::Rows(rows) => rows.name(),
        }
    }
}

impl OfPlatform {
    pub(super) const ALL: [Self; 6] = [
        Self::Numbers,
        Self::Inbox,
        Self::Rows(Rows::DeckVersions),
        Self::Rows(Rows::InboxQueue),
        Self::Rows(Rows::PhoneNumbers),
        Self::Rows(Rows::Users),
    ];

    pub(super) fn name(self) -> &'static str {
        match self {
            Self::Numbers => "invoice numbers",
            Self::Inbox => "webhooks",
            Self::Rows(rows) => rows.name(),
        }
    }
}
