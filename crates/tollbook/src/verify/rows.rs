//! The checks that are one statement on a chunk of rows: what they compare stands in `rows/*.sql`.

use sqlx::PgConnection;
use tollbook_core::ids::OrganizationId;
use uuid::Uuid;

use super::chunks::{self, Chunk};
use super::ops::Difference;
use super::snapshot::snapshot;
use crate::app::App;
use crate::error::Result;

/// Rows of one chunk: a second's work at most.
const CHUNK: i64 = 5_000;

/// Which rows are looked at. The last three are the platform's, decks are both's, the others an organization's.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(super) enum Rows {
    /// Keys and references of usage events.
    UsageEvents,
    /// What usage is charged, or waits to be.
    UsageCharges,
    /// What waits to be rated.
    RatingQueue,
    /// References and reversals of charges.
    Charges,
    /// Invoices against payments, credit notes and the ledger.
    Invoices,
    /// Revenue of invoices by meter against their lines.
    Revenue,
    /// Credit notes against invoices and the ledger.
    CreditNotes,
    /// Payments against invoices and the ledger.
    Payments,
    /// Entries against documents.
    LedgerEntries,
    /// Balances against documents.
    LedgerAccounts,
    /// Chains of periods and terms.
    Subscriptions,
    /// Price decks against their entries.
    DeckVersions,
    /// What is charged by price decks against what they say.
    DeckCharges,
    /// What was taken away of grants.
    Grants,
    /// Wallets against their movements, lots, charges and the ledger.
    Wallets,
    /// What usage of each period was charged.
    SpendTotals,
    /// What imports made against the rows that are there.
    OpeningEntries,
    /// What providers charge against the prices that became known.
    ProviderCosts,
    /// What was posted of them day by day.
    ProviderCostDays,
    /// Calls against usage, legs and viewers.
    Calls,
    /// Messages against usage and viewers.
    Messages,
    /// Voicemails against usage and viewers.
    Voicemails,
    /// Recordings against usage and viewers.
    Recordings,
    /// Transcripts against viewers.
    Transcripts,
    /// Webhooks that wait to be interpreted.
    InboxQueue,
    /// Holders and users of phone numbers.
    PhoneNumbers,
    /// Organizations of users.
    Users,
}

impl Rows {
    pub(super) fn name(self) -> &'static str {
        match self {
            Self::UsageEvents => "usage events",
            Self::UsageCharges => "usage and its charges",
            Self::RatingQueue => "the rating queue",
            Self::Charges => "charges",
            Self::Invoices => "invoices",
            Self::Revenue => "revenue by meter",
            Self::CreditNotes => "credit notes",
            Self::Payments => "payments",
            Self::LedgerEntries => "ledger entries",
            Self::LedgerAccounts => "balances",
            Self::Subscriptions => "periods and terms",
            Self::DeckVersions => "price decks",
            Self::DeckCharges => "charges by price decks",
            Self::Grants => "what is carried over",
            Self::Wallets => "wallets",
            Self::SpendTotals => "what was spent",
            Self::OpeningEntries => "opening entries",
            Self::ProviderCosts => "prices of providers",
            Self::ProviderCostDays => "costs by day",
            Self::Calls => "calls",
            Self::Messages => "messages",
            Self::Voicemails => "voicemails",
            Self::Recordings => "recordings",
            Self::Transcripts => "transcripts",
            Self::InboxQueue => "the inbox queue",
            Self::PhoneNumbers => "phone numbers",
            Self::Users => "users",
        }
    }
}

/// A difference, or only where the next chunk begins.
struct Row {
    next: Option<Uuid>,
    place: Option<String>,
    key: Option<String>,
    what: Option<String>,
    expected: Option<String>,
    found: Option<String>,
}

/// Looks at all rows of an organization, or of the platform; calls `tell` after each chunk.
pub(super) async fn run(
    app: &App,
    rows: Rows,
    organization: Option<OrganizationId>,
    tell: &mut impl FnMut(u64),
) -> Result<Vec<Difference>> {
    let read = async |after| chunk(app, rows, organization, after).await;
    chunks::run(CHUNK, tell, read).await
}

async fn chunk(
    app: &App,
    rows: Rows,
    organization: Option<OrganizationId>,
    after: Option<Uuid>,
) -> Result<Chunk> {
    let after = after.unwrap_or_default();
    let mut tx = snapshot(app).await?;
    let owner = organization.map(Uuid::from).unwrap_or_default();
    let rows = compare(&mut tx, rows, owner, after).await?;
    let next = rows.first().and_then(|row| row.next);
    let differences = rows
        .into_iter()
        .filter_map(|row| {
            Some(Difference {
                organization,
                table: row.place?,
                key: row.key?,
                what: row.what?,
                expected: row.expected.unwrap_or_default(),
                found: row.found.unwrap_or_default(),
            })
        })
        .collect();
    Ok((next, differences))
}

/// One file each, all with the same columns.
macro_rules! rows {
    ($tx:expr, $file:literal, $($parameter:expr),+) => {
        sqlx::query_file_as!(Row, $file, $($parameter),+).fetch_all($tx).await
    };
}

async fn compare(
    tx: &mut PgConnection,
    rows: Rows,
    owner: Uuid,
    after: Uuid,
) -> sqlx::Result<Vec<Row>> {
    match rows {
        Rows::UsageEvents => rows!(tx, "src/verify/rows/usage_events.sql", owner, after, CHUNK),
        Rows::UsageCharges => rows!(tx, "src/verify/rows/usage_charges.sql", owner, after, CHUNK),
        Rows::RatingQueue => rows!(tx, "src/verify/rows/rating_queue.sql", owner, after, CHUNK),
        Rows::Charges => rows!(tx, "src/verify/rows/charges.sql", owner, after, CHUNK),
        Rows::Invoices => rows!(tx, "src/verify/rows/invoices.sql", owner, after, CHUNK),
        Rows::Revenue => rows!(tx, "src/verify/rows/revenue.sql", owner, after, CHUNK),
        Rows::CreditNotes => rows!(tx, "src/verify/rows/credit_notes.sql", owner, after, CHUNK),
        Rows::Payments => rows!(tx, "src/verify/rows/payments.sql", owner, after, CHUNK),
        Rows::LedgerEntries => rows!(
            tx,
            "src/verify/rows/ledger_entries.sql",
            owner,
            after,
            CHUNK
        ),
        Rows::LedgerAccounts => rows!(
            tx,
            "src/verify/rows/ledger_accounts.sql",
            owner,
            after,
            CHUNK
        ),
        Rows::Subscriptions => rows!(tx, "src/verify/rows/subscriptions.sql", owner, after, CHUNK),
        Rows::DeckVersions => rows!(tx, "src/verify/rows/deck_versions.sql", owner, after, CHUNK),
        Rows::DeckCharges => rows!(tx, "src/verify/rows/deck_charges.sql", owner, after, CHUNK),
        Rows::Grants => rows!(
            tx,
            "src/verify/rows/allowance_grants.sql",
            owner,
            after,
            CHUNK
        ),
        Rows::Wallets => rows!(tx, "src/verify/rows/wallets.sql", owner, after, CHUNK),
        Rows::SpendTotals => rows!(tx, "src/verify/rows/spend_totals.sql", owner, after, CHUNK),
        Rows::OpeningEntries => rows!(tx, "src/verify/rows/import_rows.sql", owner, after, CHUNK),
        Rows::ProviderCosts => rows!(
            tx,
            "src/verify/rows/provider_costs.sql",
            owner,
            after,
            CHUNK
        ),
        Rows::ProviderCostDays => rows!(
            tx,
            "src/verify/rows/provider_cost_days.sql",
            owner,
            after,
            CHUNK
        ),
        Rows::Calls => rows!(tx, "src/verify/rows/calls.sql", owner, after, CHUNK),
        Rows::Messages => rows!(tx, "src/verify/rows/messages.sql", owner, after, CHUNK),
        Rows::Voicemails => rows!(tx, "src/verify/rows/voicemails.sql", owner, after, CHUNK),
        Rows::Recordings => rows!(tx, "src/verify/rows/recordings.sql", owner, after, CHUNK),
        Rows::Transcripts => rows!(tx, "src/verify/rows/transcripts.sql", owner, after, CHUNK),
        Rows::InboxQueue => rows!(tx, "src/verify/rows/inbox_queue.sql", after, CHUNK),
        Rows::PhoneNumbers => rows!(tx, "src/verify/rows/phone_numbers.sql", after, CHUNK),
        Rows::Users => rows!(tx, "src/verify/rows/users.sql", after, CHUNK),
    }
}
