//! Who did what to which money or right. Written in the transaction of the deed, and never changed.

use serde::Serialize;
use serde_json::Value;
use tollbook_core::actor::Actor;
use tollbook_core::ids::OrganizationId;
use uuid::Uuid;

use crate::db::Tx;
use crate::error::{Error, Result};
use crate::http::context;

/// One deed. `before` and `after` hold what changed of the subject, without secrets.
#[derive(Debug)]
pub(crate) struct Deed<'d> {
    /// The organization that it concerns; `None` when it is the platform's.
    pub(crate) organization: Option<OrganizationId>,
    /// What was done, such as `invoice.finalized`.
    pub(crate) action: &'d str,
    /// The kind of thing that it was done to, such as `invoice`.
    pub(crate) subject: &'d str,
    /// Which one.
    pub(crate) subject_id: Option<Uuid>,
    /// How it was.
    pub(crate) before: Option<Value>,
    /// How it is now.
    pub(crate) after: Option<Value>,
}

impl<'d> Deed<'d> {
    /// A deed that needs no more words than these; set `before` and `after` where something changed.
    pub(crate) fn new(
        organization: impl Into<Option<OrganizationId>>,
        action: &'d str,
        subject: &'d str,
        subject_id: impl Into<Uuid>,
    ) -> Self {
        Self {
            organization: organization.into(),
            action,
            subject,
            subject_id: Some(subject_id.into()),
            before: None,
            after: None,
        }
    }

    /// With how the subject was before.
    pub(crate) fn before(mut self, before: &impl Serialize) -> Result<Self> {
        self.before = Some(value(before)?);
        Ok(self)
    }

    /// With how the subject is now.
    pub(crate) fn after(mut self, after: &impl Serialize) -> Result<Self> {
        self.after = Some(value(after)?);
        Ok(self)
    }
}

fn value(of: &impl Serialize) -> Result<Value> {
    serde_json::to_value(of)
        .map_err(|error| Error::Internal(format!("a deed cannot be written down: {error}")))
}

/// Writes a deed of `actor` into their transaction, with where the request came from.
pub(crate) async fn record(tx: &mut Tx, actor: &Actor, deed: Deed<'_>) -> Result<()> {
    let context = context::current();
    let address = context.as_ref().and_then(|it| it.address);
    sqlx::query!(
        "insert into audit_log (id, organization_id, actor_role, user_id, action, subject, subject_id, before, after, address, request_id)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10::text::inet, $11)",
        Uuid::now_v7(),
        deed.organization.map(OrganizationId::uuid),
        actor.role().as_str(),
        actor.user().map(Uuid::from),
        deed.action,
        deed.subject,
        deed.subject_id,
        deed.before,
        deed.after,
        address.map(|it| it.to_canonical().to_string()),
        context.as_ref().map(|it| it.request_id.as_str()),
    )
    .execute(&mut **tx)
    .await?;
    Ok(())
}
