//! Statements on corrections, and on what they are about.

use std::collections::BTreeSet;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use serde_json::Value;
use sqlx::PgConnection;
use tollbook_core::ids::{
    CallId, CorrectionId, CustomerId, MessageId, OrganizationId, UsageEventId,
};
use tollbook_core::money::{Currency, Money};
use tollbook_core::phone::E164;
use uuid::Uuid;

use super::credits::LineCredit;
use super::work::{Held, Item, THINGS_MAX};
use crate::calls::HeldCall;
use crate::customers::HeldCustomer;
use crate::error::{Error, OnConstraint as _, Result};
use crate::ids::new_id;

/// A correction as it is written.
#[derive(Debug, Clone, Default)]
pub(super) struct Row {
    pub(super) kind: String,
    pub(super) customer: Option<CustomerId>,
    pub(super) from: Option<CustomerId>,
    pub(super) call: Option<CallId>,
    pub(super) message: Option<MessageId>,
    pub(super) usage: Option<UsageEventId>,
    pub(super) number: Option<String>,
    pub(super) since: Option<Timestamp>,
    pub(super) amount: Option<Money>,
    pub(super) undoes: Option<CorrectionId>,
}

impl Row {
    pub(super) fn new(kind: &str) -> Self {
        Self {
            kind: kind.to_owned(),
            ..Self::default()
        }
    }
}

/// Writes a correction; another that undoes the same is refused.
pub(super) async fn insert(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: CorrectionId,
    row: &Row,
    reason: &str,
    now: Timestamp,
) -> Result<()> {
    sqlx::query!(
        "insert into corrections (organization_id, id, kind, customer_id, from_customer_id, call_id, message_id, usage_event_id,
             phone_number, since, amount_minor, currency, reason, undoes_id, created_at)
         values ($1, $2, $3, $4, $5, $6, $7, $8, $9, $10, $11, $12, $13, $14, $15)",
        organization.uuid(),
        id.uuid(),
        row.kind,
        row.customer.map(Uuid::from),
        row.from.map(Uuid::from),
        row.call.map(Uuid::from),
        row.message.map(Uuid::from),
        row.usage.map(Uuid::from),
        row.number,
        row.since.map(jiff_sqlx::ToSqlx::to_sqlx) as Option<jiff_sqlx::Timestamp>,
        row.amount.map(Money::minor),
        row.amount.map(|amount| amount.currency().code()),
        reason,
        row.undoes.map(Uuid::from),
        now.to_sqlx(),
    )
    .execute(tx)
    .await
    .on_constraint("corrections_undoes_id_key", || {
        Error::conflict("already_undone", "this correction is undone already")
    })?;
    Ok(())
}

/// Reads a correction, for undoing it.
pub(super) async fn row(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: CorrectionId,
) -> Result<Row> {
    let row = sqlx::query!(
        "select kind, customer_id, from_customer_id, call_id, message_id, usage_event_id, phone_number, since, amount_minor, currency, undoes_id
         from corrections where organization_id = $1 and id = $2",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_optional(tx)
    .await?
    .ok_or(Error::NotFound("correction"))?;
    let currency = row.currency.as_deref().map(str::parse::<Currency>);
    let currency = currency.transpose();
    let currency = currency.map_err(|e| Error::Internal(format!("a stored currency: {e}")))?;
    let amount = row.amount_minor.zip(currency);
    Ok(Row {
        kind: row.kind,
        customer: row.customer_id.map(Into::into),
        from: row.from_customer_id.map(Into::into),
        call: row.call_id.map(Into::into),
        message: row.message_id.map(Into::into),
        usage: row.usage_event_id.map(Into::into),
        number: row.phone_number,
        since: row.since.map(jiff_sqlx::Timestamp::to_jiff),
        amount: amount.map(|(minor, currency)| Money::from_minor(minor, currency)),
        undoes: row.undoes_id.map(Into::into),
    })
}

/// What a correction gave to whom.
pub(super) async fn items(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: CorrectionId,
) -> Result<Vec<(String, Item)>> {
    let rows = sqlx::query!(
        "select subject, subject_id, from_customer_id, to_customer_id, before from correction_items
         where organization_id = $1 and correction_id = $2 order by subject, subject_id",
        organization.uuid(),
        id.uuid(),
    )
    .fetch_all(tx)
    .await?;
    let items = rows.into_iter().map(|row| {
        let item = Item {
            subject: "",
            id: row.subject_id,
            from: row.from_customer_id.map(Into::into),
            to: row.to_customer_id.map(Into::into),
            before: row.before,
        };
        (row.subject, item)
    });
    Ok(items.collect())
}

pub(super) async fn insert_items(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: CorrectionId,
    items: &[Item],
) -> Result<()> {
    let subjects: Vec<&str> = items.iter().map(|item| item.subject).collect();
    let ids: Vec<Uuid> = items.iter().map(|item| item.id).collect();
    let from: Vec<Option<Uuid>> = items.iter().map(|it| it.from.map(Uuid::from)).collect();
    let to: Vec<Option<Uuid>> = items.iter().map(|it| it.to.map(Uuid::from)).collect();
    let before: Vec<Option<&Value>> = items.iter().map(|item| item.before.as_ref()).collect();
    sqlx::query!(
        "insert into correction_items (organization_id, correction_id, subject, subject_id, from_customer_id, to_customer_id, before)
         select $1, $2, * from unnest($3::text[], $4::uuid[], $5::uuid[], $6::uuid[], $7::jsonb[]) as i",
        organization.uuid(),
        id.uuid(),
        &subjects as &[&str],
        &ids,
        &from as &[Option<Uuid>],
        &to as &[Option<Uuid>],
        &before as &[Option<&Value>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_payers(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: CorrectionId,
    payers: &[HeldCustomer],
) -> Result<()> {
    let customers: Vec<Uuid> = payers.iter().map(|payer| payer.id.uuid()).collect();
    sqlx::query!(
        "insert into correction_payers (organization_id, correction_id, customer_id) select $1, $2, unnest($3::uuid[])",
        organization.uuid(),
        id.uuid(),
        &customers,
    )
    .execute(tx)
    .await?;
    Ok(())
}

pub(super) async fn insert_credits(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: CorrectionId,
    credits: &[LineCredit],
) -> Result<()> {
    let lines: Vec<Uuid> = credits.iter().map(|credit| credit.line).collect();
    let shares: Vec<i64> = credits.iter().map(|credit| credit.share.minor()).collect();
    let given: Vec<i64> = credits.iter().map(|credit| credit.given.minor()).collect();
    let notes: Vec<Option<Uuid>> = credits
        .iter()
        .map(|credit| credit.note.map(Uuid::from))
        .collect();
    sqlx::query!(
        "insert into correction_credits (organization_id, correction_id, invoice_line_id, share_minor, given_minor, credit_note_id)
         select $1, $2, * from unnest($3::uuid[], $4::bigint[], $5::bigint[], $6::uuid[]) as k",
        organization.uuid(),
        id.uuid(),
        &lines,
        &shares,
        &given,
        &notes as &[Option<Uuid>],
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// The first events of the usage in force of what is held and of `usages`, with whose it is.
pub(super) async fn usage_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    held: &Held,
    usages: &[Uuid],
) -> Result<Vec<(Uuid, Option<CustomerId>)>> {
    let calls: Vec<Uuid> = held.calls.iter().map(|call| call.id.uuid()).collect();
    let records: Vec<&str> = held.calls.iter().flat_map(HeldCall::sids).collect();
    let messages: Vec<&str> = held.messages.iter().map(|it| it.sid.as_str()).collect();
    let rows = sqlx::query_file!(
        "src/corrections/usage.sql",
        organization.uuid(),
        &calls,
        &records as &[&str],
        &messages as &[&str],
        usages,
    )
    .fetch_all(tx)
    .await?;
    let roots = rows
        .into_iter()
        .map(|row| (row.id, row.customer_id.map(CustomerId::from)));
    Ok(roots.collect())
}

/// What somebody gave a price for follows neither terms nor corrections.
pub(super) async fn refuse_priced_by_hand(
    tx: &mut PgConnection,
    organization: OrganizationId,
    roots: &[Uuid],
) -> Result<()> {
    let found = sqlx::query_scalar!(
        r#"select exists (select from charges c where c.organization_id = $1 and c.usage_event_id = any ($2) and c.payer = 'customer'
             and c.kind = 'manual' and c.reverses_id is null
             and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id)) as "found!""#,
        organization.uuid(),
        roots,
    )
    .fetch_one(tx)
    .await?;
    if found {
        let detail = "a part of this was priced by hand: credit it on its invoice, or give credit out of goodwill";
        return Err(Error::conflict("priced_by_hand", detail));
    }
    Ok(())
}

/// One more than a correction may be about, so that too many are noticed.
fn limit() -> i64 {
    i64::try_from(THINGS_MAX)
        .unwrap_or(i64::MAX)
        .saturating_add(1)
}

/// Calls and messages with a number since a time that are not a customer's.
pub(super) async fn of_number(
    tx: &mut PgConnection,
    organization: OrganizationId,
    number: &E164,
    customer: CustomerId,
    since: Timestamp,
) -> Result<(Vec<CallId>, Vec<MessageId>)> {
    let calls = sqlx::query_scalar!(
        "select id from calls where organization_id = $1 and external_party = $2 and started_at >= $3 and merged_into_id is null
             and customer_id is distinct from $4
         order by started_at desc, id desc limit $5",
        organization.uuid(),
        number.as_str(),
        since.to_sqlx(),
        customer.uuid(),
        limit(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let messages = sqlx::query_scalar!(
        "select id from messages where organization_id = $1 and external_party = $2 and occurred_at >= $3
             and customer_id is distinct from $4
         order by occurred_at desc, id desc limit $5",
        organization.uuid(),
        number.as_str(),
        since.to_sqlx(),
        customer.uuid(),
        limit(),
    )
    .fetch_all(tx)
    .await?;
    Ok((
        calls.into_iter().map(CallId::from).collect(),
        messages.into_iter().map(MessageId::from).collect(),
    ))
}

/// Calls and messages of a customer of which nothing stands on a final document.
pub(super) async fn open_of_customer(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> Result<(Vec<CallId>, Vec<MessageId>)> {
    let calls = sqlx::query_file_scalar!(
        "src/corrections/open_calls.sql",
        organization.uuid(),
        customer.uuid(),
        limit(),
    )
    .fetch_all(&mut *tx)
    .await?;
    let messages = sqlx::query_file_scalar!(
        "src/corrections/open_messages.sql",
        organization.uuid(),
        customer.uuid(),
        limit(),
    )
    .fetch_all(tx)
    .await?;
    Ok((
        calls.into_iter().map(CallId::from).collect(),
        messages.into_iter().map(MessageId::from).collect(),
    ))
}

/// The numbers that a customer has now.
pub(super) async fn numbers_of(
    tx: &mut PgConnection,
    organization: OrganizationId,
    customer: CustomerId,
) -> Result<Vec<E164>> {
    let numbers = sqlx::query_scalar!(
        "select distinct e164 from customer_numbers where organization_id = $1 and customer_id = $2 and ends_at is null",
        organization.uuid(),
        customer.uuid(),
    )
    .fetch_all(tx)
    .await?;
    Ok(numbers.iter().filter_map(|it| it.parse().ok()).collect())
}

/// What keeps a customer from becoming a part of another.
#[derive(Debug)]
pub(super) struct Obstacles {
    pub(super) has_subscription: bool,
    pub(super) has_wallet: bool,
    /// Usage on a draft that is of no call and no message, or that a subscription which is over still asks for.
    pub(super) has_other_usage: bool,
}

pub(super) async fn obstacles(
    tx: &mut PgConnection,
    organization: OrganizationId,
    from: &HeldCustomer,
    roots: &[Uuid],
    now: Timestamp,
) -> Result<Obstacles> {
    Ok(sqlx::query_as!(
        Obstacles,
        r#"select
             exists (select from subscriptions s where s.organization_id = $1 and s.account_id = $2
                 and (s.ends_at is null or s.ends_at > $5)) as "has_subscription!",
             exists (select from wallets w where w.organization_id = $1 and w.account_id = $2) as "has_wallet!",
             exists (select from invoices i
                 join charges c on c.organization_id = $1 and c.invoice_id = i.id and c.usage_event_id is not null and c.reverses_id is null
                 where i.organization_id = $1 and i.customer_id = $3 and i.state = 'draft'
                     and (c.subscription_id is not null or c.usage_event_id <> all ($4))
                     and not exists (select from charges r where r.organization_id = $1 and r.reverses_id = c.id))
                 as "has_other_usage!""#,
        organization.uuid(),
        from.account.uuid(),
        from.id.uuid(),
        roots,
        now.to_sqlx() as _,
    )
    .fetch_one(tx)
    .await?)
}

/// A usage, for not billing it.
#[derive(Debug)]
pub(super) struct Usage {
    pub(super) root: Uuid,
    pub(super) call_id: Option<Uuid>,
    pub(super) key: String,
}

/// The first event of a usage.
pub(super) async fn usage(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: UsageEventId,
) -> Result<Usage> {
    let usage = sqlx::query_as!(
        Usage,
        r#"select f.id as root, f.call_id, f.idempotency_key as key
         from usage_events u
         join usage_events f on f.organization_id = $1 and f.id = coalesce(u.corrects_id, u.id)
         where u.organization_id = $1 and u.id = $2"#,
        organization.uuid(),
        id.uuid(),
    )
    .fetch_optional(tx)
    .await?;
    usage.ok_or(Error::NotFound("usage event"))
}

/// What is not billed: a call, provider's records, or a usage.
#[derive(Debug, Default)]
pub(super) struct Waiver {
    pub(super) call: Option<CallId>,
    /// Kind and id of each.
    pub(super) resources: Vec<(&'static str, String)>,
    pub(super) usage: Option<Uuid>,
}

/// One of them.
#[derive(Default)]
struct WaiverRow<'a> {
    call: Option<Uuid>,
    resource: Option<(&'a str, &'a str)>,
    usage: Option<Uuid>,
}

pub(super) async fn insert_waiver(
    tx: &mut PgConnection,
    organization: OrganizationId,
    id: CorrectionId,
    waiver: &Waiver,
) -> Result<()> {
    let resources: BTreeSet<_> = waiver.resources.iter().collect();
    let of_resources = resources.into_iter().map(|(kind, id)| WaiverRow {
        resource: Some((*kind, id.as_str())),
        ..WaiverRow::default()
    });
    let of_call = waiver.call.map(|call| WaiverRow {
        call: Some(call.uuid()),
        ..WaiverRow::default()
    });
    let of_usage = waiver.usage.map(|usage| WaiverRow {
        usage: Some(usage),
        ..WaiverRow::default()
    });
    let rows: Vec<_> = of_resources.chain(of_call).chain(of_usage).collect();
    let ids: Vec<Uuid> = rows.iter().map(|_| new_id()).collect();
    let calls: Vec<Option<Uuid>> = rows.iter().map(|row| row.call).collect();
    let resources = rows.iter().map(|row| row.resource);
    let (kinds, names): (Vec<_>, Vec<_>) = resources.map(Option::unzip).unzip();
    let usages: Vec<Option<Uuid>> = rows.iter().map(|row| row.usage).collect();
    let already = || Error::conflict("already_waived", "this is not billed already");
    sqlx::query!(
        "insert into usage_waivers (organization_id, correction_id, id, call_id, resource_type, resource_id, usage_event_id)
         select $1, $2, * from unnest($3::uuid[], $4::uuid[], $5::text[], $6::text[], $7::uuid[]) as w",
        organization.uuid(),
        id.uuid(),
        &ids,
        &calls as &[Option<Uuid>],
        &kinds as &[Option<&str>],
        &names as &[Option<&str>],
        &usages as &[Option<Uuid>],
    )
    .execute(tx)
    .await
    .on_constraint("usage_waivers_call_id_key", already)
    .on_constraint("usage_waivers_resource_key", already)
    .on_constraint("usage_waivers_usage_event_id_key", already)?;
    Ok(())
}

/// Has what a correction waived billed again.
pub(super) async fn delete_waiver(
    tx: &mut PgConnection,
    organization: OrganizationId,
    correction: CorrectionId,
) -> Result<()> {
    sqlx::query!(
        "delete from usage_waivers where organization_id = $1 and correction_id = $2",
        organization.uuid(),
        correction.uuid(),
    )
    .execute(tx)
    .await?;
    Ok(())
}
