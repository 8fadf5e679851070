//! How a call went, for its page and its document.

use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;

use super::detail::{self, CostFacts, Happening, LegFacts, PartFacts, RawWebhook};
use super::moment::Moment;
use crate::error::Result;

/// How a call went, as far as the viewer may know.
pub(super) struct Course {
    pub(super) happenings: Vec<Happening>,
    pub(super) legs: Vec<LegFacts>,
    pub(super) parts: Vec<PartFacts>,
    pub(super) cost: Option<CostFacts>,
    pub(super) webhooks: Option<Vec<RawWebhook>>,
}

impl Course {
    /// Reads it as `actor`, who is that of `tx`.
    pub(super) async fn read(
        tx: &mut PgConnection,
        actor: &Actor,
        organization: OrganizationId,
        moment: &Moment,
    ) -> Result<Self> {
        let call = moment.call.id;
        if !actor.administers(organization) {
            return Ok(Self {
                happenings: known_happenings(moment),
                legs: Vec::new(),
                parts: Vec::new(),
                cost: None,
                webhooks: None,
            });
        }
        Ok(Self {
            happenings: detail::happenings(tx, organization, call).await?,
            legs: detail::legs(tx, organization, call).await?,
            parts: detail::parts(tx, organization, call).await?,
            cost: detail::provider_cost(tx, organization, call).await?,
            webhooks: Some(detail::webhooks(tx, organization, call).await?),
        })
    }
}

/// What a member knows of the course of a call: the call's own times.
fn known_happenings(moment: &Moment) -> Vec<Happening> {
    let call = &moment.call;
    let happening = |kind: &str, at| Happening {
        at,
        kind: kind.to_owned(),
    };
    [
        Some(happening("ringing", call.started_at)),
        call.answered_at.map(|at| happening("answered", at)),
        call.ended_at.map(|at| happening("ended", at)),
    ]
    .into_iter()
    .flatten()
    .collect()
}
