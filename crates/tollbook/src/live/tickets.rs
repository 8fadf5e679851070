//! Whether a stream may go on: sessions end, keys are revoked, memberships change.

use std::collections::HashSet;

use jiff::Timestamp;
use jiff_sqlx::ToSqlx as _;
use sqlx::PgConnection;
use tollbook_core::actor::Actor;
use uuid::Uuid;

use super::audience::{Standing, Ticket};
use crate::app::App;
use crate::error::Result;

/// Lets the viewers go whose right has ended.
pub(super) async fn check(app: &App) -> Result<()> {
    let open = app.live.tickets();
    if open.is_empty() {
        return Ok(());
    }
    let tickets: Vec<&Ticket> = open.iter().map(|(_, _, ticket)| ticket).collect();
    let mut tx = app.db.begin(&Actor::system()).await?;
    let valid = valid(&mut tx, &tickets, app.clock.real()).await?;
    drop(tx);
    for (index, (audience, id, _)) in open.iter().enumerate() {
        if !valid.contains(&index) {
            app.live.leave(audience, *id);
        }
    }
    Ok(())
}

/// Whether the right still exists. Runs as the platform.
pub(super) async fn is_valid(
    tx: &mut PgConnection,
    ticket: &Ticket,
    now: Timestamp,
) -> Result<bool> {
    Ok(!valid(tx, &[ticket], now).await?.is_empty())
}

/// The indices of those whose right still exists.
async fn valid(
    tx: &mut PgConnection,
    tickets: &[&Ticket],
    now: Timestamp,
) -> Result<HashSet<usize>> {
    let organizations: Vec<Uuid> = tickets.iter().map(|t| t.organization.uuid()).collect();
    let sessions: Vec<Option<Uuid>> = tickets.iter().map(|t| t.session.map(Uuid::from)).collect();
    let standings: Vec<&str> = tickets.iter().map(|t| standing(t.standing)).collect();
    let holders: Vec<Option<Uuid>> = tickets.iter().map(|t| holder(t.standing)).collect();
    let indices = sqlx::query_scalar!(
        r#"select t.index as "index!"
         from unnest($1::uuid[], $2::text[], $3::uuid[], $4::uuid[]) with ordinality as t (organization_id, standing, holder_id, session_id, index)
         where (t.session_id is null or exists (
                 select from sessions s where s.id = t.session_id and s.user_id = t.holder_id and s.expires_at > $5))
             and case t.standing
                 when 'service' then true
                 when 'key' then exists (
                     select from api_keys k where k.organization_id = t.organization_id and k.id = t.holder_id and k.revoked_at is null)
                 when 'platform_admin' then exists (
                     select from users u where u.id = t.holder_id and u.platform_admin and u.disabled_at is null)
                 else exists (
                     select from memberships m join users u on u.id = m.user_id
                     where m.organization_id = t.organization_id and m.user_id = t.holder_id and m.role = t.standing and u.disabled_at is null)
             end"#,
        &organizations,
        &standings as &[&str],
        &holders as &[Option<Uuid>],
        &sessions as &[Option<Uuid>],
        now.to_sqlx() as _,
    )
    .fetch_all(tx)
    .await?;
    Ok(indices
        .into_iter()
        .filter_map(|index| usize::try_from(index).ok()?.checked_sub(1))
        .filter(|index| {
            tickets
                .get(*index)
                .is_some_and(|ticket| ticket.expires_at.is_none_or(|at| now < at))
        })
        .collect())
}

fn standing(standing: Standing) -> &'static str {
    match standing {
        Standing::PlatformAdmin(_) => "platform_admin",
        Standing::Admin(_) => "org_admin",
        Standing::Member(_) => "org_member",
        Standing::Key(_) => "key",
        Standing::Service => "service",
    }
}

fn holder(standing: Standing) -> Option<Uuid> {
    match standing {
        Standing::PlatformAdmin(user) | Standing::Admin(user) | Standing::Member(user) => {
            Some(user.uuid())
        }
        Standing::Key(key) => Some(key.uuid()),
        Standing::Service => None,
    }
}
