//! What every view of a customer begins with: who they are, how they pay, and what is left of their hours.

use std::collections::HashMap;

use jiff::Timestamp;
use sqlx::PgConnection;
use tollbook_core::calls::Subscriber;
use tollbook_core::ids::{CustomerId, OrganizationId, SubscriptionId};
use tollbook_core::phone::E164;
use tollbook_core::subscriptions::State;
use tollbook_core::time::{Period, Seconds, Zone};

use super::sql;
use crate::error::Result;

/// A customer in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Summary {
    pub(crate) customer: CustomerId,
    /// `None` as long as nobody has given them one.
    pub(crate) name: Option<String>,
    pub(crate) is_prospect: bool,
    /// The numbers they call from now; at most five, in order.
    pub(crate) numbers: Vec<E164>,
    /// The latest.
    pub(crate) subscription: Option<Contract>,
    /// Included time that can be used now; `None` without a subscription in force, or if it includes no time.
    pub(crate) hours: Option<Hours>,
}

/// A subscription in short.
#[derive(Debug, Clone, PartialEq, Eq)]
pub(crate) struct Contract {
    pub(crate) id: SubscriptionId,
    /// Name of the plan.
    pub(crate) plan: String,
    pub(crate) state: State,
    /// Whether usage is rated on its terms now.
    pub(crate) is_in_force: bool,
    pub(crate) starts_at: Timestamp,
    pub(crate) ends_at: Option<Timestamp>,
    /// The billing period at present.
    pub(crate) period: Option<Period>,
    pub(crate) auto_renew: bool,
    /// In which its days are counted.
    pub(crate) zone: Zone,
}

/// Included time.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub(crate) struct Hours {
    pub(crate) granted: Seconds,
    pub(crate) used: Seconds,
    /// When the first part of it expires.
    pub(crate) expires_at: Timestamp,
}

impl Hours {
    /// What is left.
    pub(crate) fn left(self) -> Seconds {
        Seconds::new(self.granted.get().saturating_sub(self.used.get()))
    }
}

impl Summary {
    /// What to call them: their name, or else their number.
    pub(crate) fn label(&self) -> Option<&str> {
        let number = || self.numbers.first().map(E164::as_str);
        self.name.as_deref().or_else(number)
    }

    /// How a call of theirs will be paid for (S1.3).
    pub(crate) fn subscriber(&self) -> Subscriber {
        match &self.subscription {
            Some(contract) if contract.is_in_force => Subscriber::Active {
                remaining: self.hours.map_or(Seconds::ZERO, Hours::left),
            },
            Some(_) => Subscriber::Expired,
            None => Subscriber::Never,
        }
    }
}

/// The summaries of customers, as of `now`. A customer that the reader may not see is missing.
pub(crate) async fn summaries(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customers: &[CustomerId],
    now: Timestamp,
) -> Result<HashMap<CustomerId, Summary>> {
    if customers.is_empty() {
        return Ok(HashMap::new());
    }
    let found = sql::summary::summaries(tx, organization, customers, now).await?;
    Ok(found.into_iter().map(|it| (it.customer, it)).collect())
}
