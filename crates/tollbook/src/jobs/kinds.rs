//! Every kind of job, and what it does.

use jiff::Timestamp;
use serde::{Deserialize, Serialize};
use tollbook_core::calls::Provider;
use tollbook_core::ids::{IntegrationId, JobId, OrganizationId};
use tollbook_core::plans::Key;

use crate::app::App;
use crate::error::Result;
use crate::{
    alerts, authorizations, calls, costs, decks, inbox, invoices, recordings, retention,
    subscriptions, wallets,
};

/// Something to be done outside a request.
#[derive(Debug, Clone, Serialize, Deserialize)]
#[serde(tag = "kind", rename_all = "snake_case")]
pub(crate) enum Job {
    /// Copy a recording from the provider, whose link to it expires.
    CopyRecording {
        /// Whose it is.
        organization: OrganizationId,
        /// Where it is.
        provider: Provider,
        /// The provider's id of it.
        sid: String,
    },
    /// Ask the provider for a call record of which an event never came.
    FetchCall {
        /// Whose record it is.
        integration: IntegrationId,
        /// The provider's id of it.
        sid: String,
    },
    /// Read the provider's list of numbers, since a webhook named one that is not known.
    SyncNumbers {
        /// Whose numbers.
        integration: IntegrationId,
    },
    /// Rate again what a price deck prices otherwise now.
    RateDeckAgain {
        /// Who sells by it; the platform if absent.
        organization: Option<OrganizationId>,
        /// Which one.
        deck: Key,
        /// From when on.
        since: Timestamp,
    },
    /// Look after calls of which something is missing.
    CheckCalls,
    /// Ask for the prices of what calls and messages cost.
    AskPrices,
    /// Record the months in which numbers are held.
    RecordNumberMonths,
    /// Post what became known of providers' prices on days that are over.
    PostCosts,
    /// Make the next billing periods of subscriptions.
    ExtendSubscriptions,
    /// Finalize the drafts whose time has come.
    FinalizeInvoices,
    /// Take credit out of wallets that was not used in time.
    ExpireCredit,
    /// Give back what is held for calls of whose end nothing was heard.
    ExpireAuthorizations,
    /// Look at what waits in vain, and at thresholds of meters and wallets.
    WatchAlerts,
    /// Forget what is past its time, and prepare the inbox for the next months.
    Retain,
}

impl Job {
    /// What recurs: name, job, seconds between.
    pub(super) const SCHEDULED: [(&'static str, Self, u32); 10] = [
        ("check_calls", Self::CheckCalls, 2),
        ("ask_prices", Self::AskPrices, 5),
        ("record_number_months", Self::RecordNumberMonths, 600),
        ("post_costs", Self::PostCosts, 600),
        ("extend_subscriptions", Self::ExtendSubscriptions, 60),
        ("finalize_invoices", Self::FinalizeInvoices, 2),
        ("expire_credit", Self::ExpireCredit, 60),
        ("expire_authorizations", Self::ExpireAuthorizations, 2),
        ("watch_alerts", Self::WatchAlerts, 10),
        ("retain", Self::Retain, 60),
    ];

    /// The name under which it is stored.
    pub(super) fn kind(&self) -> &'static str {
        match self {
            Self::CopyRecording { .. } => "copy_recording",
            Self::FetchCall { .. } => "fetch_call",
            Self::SyncNumbers { .. } => "sync_numbers",
            Self::RateDeckAgain { .. } => "rate_deck_again",
            Self::CheckCalls => "check_calls",
            Self::AskPrices => "ask_prices",
            Self::RecordNumberMonths => "record_number_months",
            Self::PostCosts => "post_costs",
            Self::ExtendSubscriptions => "extend_subscriptions",
            Self::FinalizeInvoices => "finalize_invoices",
            Self::ExpireCredit => "expire_credit",
            Self::ExpireAuthorizations => "expire_authorizations",
            Self::WatchAlerts => "watch_alerts",
            Self::Retain => "retain",
        }
    }

    /// Does it. `id` is the idempotency key towards a provider.
    pub(super) async fn run(self, app: &App, _id: JobId) -> Result<()> {
        match self {
            Self::CopyRecording {
                organization,
                provider,
                sid,
            } => recordings::copy(app, organization, provider, &sid).await,
            Self::FetchCall { integration, sid } => inbox::fetch_call(app, integration, &sid).await,
            Self::SyncNumbers { integration } => inbox::sync_numbers(app, integration).await,
            Self::RateDeckAgain {
                organization,
                deck,
                since,
            } => decks::rate_again(app, organization, &deck, since).await,
            Self::CheckCalls => calls::check_due(app).await.map(|_| ()),
            Self::AskPrices => costs::ask_due(app).await,
            Self::RecordNumberMonths => costs::record_months(app).await,
            Self::PostCosts => costs::post_days(app).await,
            Self::ExtendSubscriptions => subscriptions::extend_due(app).await,
            Self::FinalizeInvoices => invoices::finalize_due(app).await,
            Self::ExpireCredit => wallets::expire_due(app).await,
            Self::ExpireAuthorizations => authorizations::expire_due(app).await,
            Self::WatchAlerts => alerts::watch(app).await,
            Self::Retain => retention::run(app).await,
        }
    }
}
