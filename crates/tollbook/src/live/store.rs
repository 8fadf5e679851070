//! Events as rows: written beside the change that they tell of, read by every node, forgotten after an hour.

use sqlx::PgConnection;
use tollbook_core::ids::{OrganizationId, UserId};
use uuid::Uuid;

use super::kind::LiveKind;
use super::mark::Mark;
use crate::app::App;
use crate::db::types::Text;
use crate::error::Result;
use tollbook_core::actor::Actor;

/// An event: what changed, by id only. Who may see it is decided when the thing itself is read.
#[derive(Debug, Clone, Copy)]
pub(super) struct Event {
    pub(super) organization: OrganizationId,
    pub(super) id: i64,
    pub(super) xid: i64,
    pub(super) kind: LiveKind,
    pub(super) subject: Uuid,
    pub(super) created_at: jiff::Timestamp,
}

/// Events, and the mark from which a reader of these goes on.
#[derive(Debug)]
pub(super) struct News {
    pub(super) mark: Mark,
    pub(super) events: Vec<Event>,
}

/// Tells of changes, in the transaction that makes them. After the commit the writer wakes `App::wake.live`.
pub(crate) async fn publish(
    tx: &mut PgConnection,
    told: &[(OrganizationId, LiveKind, Uuid)],
) -> Result<()> {
    if told.is_empty() {
        return Ok(());
    }
    let organizations: Vec<Uuid> = told.iter().map(|(o, _, _)| o.uuid()).collect();
    let kinds: Vec<&str> = told.iter().map(|(_, kind, _)| kind.as_str()).collect();
    let subjects: Vec<Uuid> = told.iter().map(|(_, _, subject)| *subject).collect();
    sqlx::query!(
        "insert into live_events (organization_id, kind, subject_id)
         select * from unnest($1::uuid[], $2::text[], $3::uuid[])",
        &organizations,
        &kinds as &[&str],
        &subjects,
    )
    .execute(tx)
    .await?;
    Ok(())
}

/// Forgets events that nobody can ask for any more, in transactions of at most `chunk` rows. The scheduler calls it.
pub(crate) async fn prune(app: &App, chunk: i64) -> Result<()> {
    loop {
        let mut tx = app.db.begin(&Actor::system()).await?;
        // One at a time: events may be deleted and not changed, so they cannot be locked first.
        let is_alone =
            sqlx::query_scalar!(r#"select pg_try_advisory_xact_lock(8243004) as "is_alone!""#)
                .fetch_one(&mut *tx)
                .await?;
        if !is_alone {
            return Ok(());
        }
        // Ten minutes longer than a stream can be resumed: a transaction may be old when it commits.
        let gone = sqlx::query!(
            "delete from live_events where (organization_id, id) in (
                 select organization_id, id from live_events -- all organizations: every event has the same short life
                 where created_at < clock_timestamp() - interval '70 minutes'
                 order by created_at limit $1)",
            chunk,
        )
        .execute(&mut *tx)
        .await?;
        tx.commit().await?;
        if i64::try_from(gone.rows_affected()).unwrap_or(0) < chunk {
            return Ok(());
        }
    }
}

/// The present mark.
pub(crate) async fn present(tx: &mut PgConnection) -> Result<Mark> {
    let row = sqlx::query!(
        r#"select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as "xid!",
             extract(epoch from clock_timestamp())::bigint as "at!""#
    )
    .fetch_one(tx)
    .await?;
    Ok(Mark {
        xid: row.xid,
        at: row.at,
    })
}

/// All events of transactions from `xid` on that are committed. Runs as the platform.
pub(super) async fn since(tx: &mut PgConnection, xid: i64) -> Result<News> {
    // One statement: the mark and the rows must be of one snapshot.
    let rows = sqlx::query!(
        r#"with present as materialized (
             select pg_snapshot_xmin(pg_current_snapshot())::text::bigint as mark, extract(epoch from clock_timestamp())::bigint as at
         )
         select p.mark as "mark!", p.at as "at!", e.organization_id as "organization_id?", e.id as "id?",
             e.xid::text::bigint as "xid?", e.kind as "kind?: Text<LiveKind>", e.subject_id as "subject_id?", e.created_at as "created_at?"
         from present p left join live_events e on e.xid >= $1::text::xid8 -- all organizations: one reader for all viewers
         order by e.id"#,
        xid.to_string(),
    )
    .fetch_all(tx)
    .await?;
    let mut news = News {
        mark: Mark { xid, at: 0 },
        events: Vec::with_capacity(rows.len()),
    };
    for row in rows {
        news.mark = Mark {
            xid: row.mark,
            at: row.at,
        };
        if let (Some(organization), Some(id), Some(xid), Some(kind), Some(subject), Some(at)) = (
            row.organization_id,
            row.id,
            row.xid,
            row.kind,
            row.subject_id,
            row.created_at,
        ) {
            news.events.push(Event {
                organization: organization.into(),
                id,
                xid,
                kind: kind.0,
                subject,
                created_at: at.to_jiff(),
            });
        }
    }
    Ok(news)
}

/// At most `limit` events of an organization after the place `(xid, id)`, in this order. Runs as the platform.
pub(super) async fn page(
    tx: &mut PgConnection,
    organization: OrganizationId,
    after: (i64, i64),
    limit: i64,
) -> Result<Vec<Event>> {
    let rows = sqlx::query!(
        r#"select id, xid::text::bigint as "xid!", kind as "kind: Text<LiveKind>", subject_id, created_at
         from live_events
         where organization_id = $1 and (xid, id) > ($2::text::xid8, $3)
         order by xid, id
         limit $4"#,
        organization.uuid(),
        after.0.to_string(),
        after.1,
        limit,
    )
    .fetch_all(tx)
    .await?;
    Ok(rows
        .into_iter()
        .map(|row| Event {
            organization,
            id: row.id,
            xid: row.xid,
            kind: row.kind.0,
            subject: row.subject_id,
            created_at: row.created_at.to_jiff(),
        })
        .collect())
}

/// Who may see a subject, as data on its row.
#[derive(Debug)]
pub(super) struct Sight {
    pub(super) subject: Uuid,
    pub(super) viewers: Vec<UserId>,
    /// For a call: who uses its number. They saw it while it rang, so they are told when it is theirs no more.
    pub(super) line_users: Vec<UserId>,
}

/// Who may see these subjects of an organization, for those who run it.
pub(super) async fn sights(
    tx: &mut PgConnection,
    organization: OrganizationId,
    subjects: &[Uuid],
) -> Result<Vec<Sight>> {
    let rows = sqlx::query!(
        r#"select c.id as "id!", c.viewer_ids as "viewer_ids!", coalesce(n.viewer_ids, '{}') as "line_user_ids!"
         from calls c left join phone_numbers n on n.id = c.phone_number_id and n.organization_id = c.organization_id
         where c.organization_id = $1 and c.id = any ($2)
         union all
         select id, viewer_ids, '{}' from messages where organization_id = $1 and id = any ($2)
         union all
         select id, viewer_ids, '{}' from voicemails where organization_id = $1 and id = any ($2)"#,
        organization.uuid(),
        subjects,
    )
    .fetch_all(tx)
    .await?;
    let users = |ids: Vec<Uuid>| ids.into_iter().map(UserId::from).collect();
    Ok(rows
        .into_iter()
        .map(|row| Sight {
            subject: row.id,
            viewers: users(row.viewer_ids),
            line_users: users(row.line_user_ids),
        })
        .collect())
}
