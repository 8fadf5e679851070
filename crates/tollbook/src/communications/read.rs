//! Reading messages and voicemails with the rights of whoever asks.

use jiff::Timestamp;
use serde::Serialize;
use sqlx::PgConnection;
use tollbook_core::calls::{Direction, MessageStatus, Provider};
use tollbook_core::ids::{
    CallId, CustomerId, MessageId, OrganizationId, PhoneNumberId, VoicemailId,
};
use uuid::Uuid;

use crate::db::types::Text;
use crate::error::Result;

/// A text message.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Message {
    #[schema(value_type = Uuid)]
    pub(crate) id: MessageId,
    #[schema(value_type = String)]
    pub(crate) provider: Provider,
    #[schema(value_type = String)]
    pub(crate) direction: Direction,
    #[schema(value_type = String)]
    pub(crate) status: MessageStatus,
    /// The other side: E.164, or what the provider gave.
    pub(crate) with: String,
    pub(crate) from: String,
    pub(crate) to: Vec<String>,
    pub(crate) text: String,
    /// The carrier's or provider's reason for a failure.
    pub(crate) error_code: Option<String>,
    #[schema(value_type = Option<Uuid>)]
    pub(crate) phone_number_id: Option<PhoneNumberId>,
    #[schema(value_type = Option<Uuid>)]
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) customer_name: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) occurred_at: Timestamp,
}

/// A message left by a caller.
#[derive(Debug, Clone, Serialize, utoipa::ToSchema)]
#[serde(rename_all = "camelCase")]
pub(crate) struct Voicemail {
    #[schema(value_type = Uuid)]
    pub(crate) id: VoicemailId,
    #[schema(value_type = Uuid)]
    pub(crate) call_id: CallId,
    #[schema(value_type = String)]
    pub(crate) provider: Provider,
    /// Who called: E.164, `anonymous`, or what the provider gave.
    pub(crate) with: String,
    /// The organization's number.
    pub(crate) to: String,
    #[schema(value_type = Option<Uuid>)]
    pub(crate) customer_id: Option<CustomerId>,
    pub(crate) customer_name: Option<String>,
    pub(crate) duration_seconds: Option<i64>,
    pub(crate) transcript: Option<String>,
    #[schema(value_type = String, format = DateTime)]
    pub(crate) occurred_at: Timestamp,
}

/// Those of these messages that the actor of `tx` may see, in no order.
pub(crate) async fn messages_by_id(
    tx: &mut PgConnection,
    organization: OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<Message>> {
    let rows = sqlx::query!(
        r#"select m.id, m.provider as "provider: Text<Provider>", m.direction as "direction: Text<Direction>",
             m.status as "status: Text<MessageStatus>", m.external_party, m.from_party, m.to_parties, m.body, m.error_code,
             m.phone_number_id, m.customer_id, k.name as "customer_name?", m.occurred_at
         from messages m
         left join customers k on k.organization_id = m.organization_id and k.id = m.customer_id
         where m.organization_id = $1 and m.id = any($2)"#,
        organization.uuid(),
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Message {
            id: row.id.into(),
            provider: row.provider.0,
            direction: row.direction.0,
            status: row.status.0,
            with: row.external_party,
            from: row.from_party,
            to: row.to_parties,
            text: row.body,
            error_code: row.error_code,
            phone_number_id: row.phone_number_id.map(PhoneNumberId::from),
            customer_id: row.customer_id.map(CustomerId::from),
            customer_name: row.customer_name.filter(|name| !name.is_empty()),
            occurred_at: row.occurred_at.to_jiff(),
        })
        .collect())
}

/// Those of these voicemails that the actor of `tx` may see, in no order.
pub(crate) async fn voicemails_by_id(
    tx: &mut PgConnection,
    organization: OrganizationId,
    ids: &[Uuid],
) -> Result<Vec<Voicemail>> {
    let rows = sqlx::query!(
        r#"select v.id, v.call_id, v.provider as "provider: Text<Provider>", c.external_party as "external_party?", c.to_party as "to_party?",
             c.customer_id as "customer_id?", k.name as "customer_name?", v.duration_seconds, v.transcript, v.occurred_at
         from voicemails v
         left join calls c on c.organization_id = v.organization_id and c.id = v.call_id
         left join customers k on k.organization_id = c.organization_id and k.id = c.customer_id
         where v.organization_id = $1 and v.id = any($2)"#,
        organization.uuid(),
        ids,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Voicemail {
            id: row.id.into(),
            call_id: row.call_id.into(),
            provider: row.provider.0,
            with: row.external_party.unwrap_or_default(),
            to: row.to_party.unwrap_or_default(),
            customer_id: row.customer_id.map(CustomerId::from),
            customer_name: row.customer_name.filter(|name| !name.is_empty()),
            duration_seconds: row.duration_seconds,
            transcript: row.transcript,
            occurred_at: row.occurred_at.to_jiff(),
        })
        .collect())
}
