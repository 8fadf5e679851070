//! Who exists. Signing in comes before any organization, so these run as the platform.

use jiff_sqlx::ToSqlx as _;
use tollbook_core::actor::Actor;
use tollbook_core::ids::{ApiKeyId, CustomerId, OrganizationId, SessionId, UserId};
use uuid::Uuid;

use crate::db::{Db, Tx};
use crate::error::Result;
use crate::http::caller::{KeyHolder, Membership, Organization, Scope, Session, User};

/// So many organizations are offered to a platform admin to choose from.
const CHOICES_MAX: i64 = 100;

/// A user who may sign in, with all their roles.
pub(super) async fn user(db: &Db, id: UserId) -> Result<Option<User>> {
    let mut tx = db.begin(&Actor::system()).await?;
    user_in(&mut tx, id).await
}

struct RoleRow {
    email: String,
    name: String,
    zone: Option<String>,
    platform_admin: bool,
    role: Option<String>,
    may_buy_numbers: Option<bool>,
    customer_id: Option<Uuid>,
    organization_id: Option<Uuid>,
    organization_name: Option<String>,
    organization_zone: Option<String>,
}

/// The same within a transaction of the platform.
pub(super) async fn user_in(tx: &mut Tx, id: UserId) -> Result<Option<User>> {
    let rows = sqlx::query_as!(
        RoleRow,
        r#"select u.email, u.name, u.zone, u.platform_admin, r.role as "role?", r.may_buy_numbers as "may_buy_numbers?",
             r.customer_id as "customer_id?", o.id as "organization_id?", o.name as "organization_name?", o.zone as "organization_zone?"
         from users u
         left join (select user_id, organization_id, role, may_buy_numbers, null::uuid as customer_id from memberships
             union all select user_id, organization_id, 'portal', false, customer_id from portal_users) r on r.user_id = u.id
         left join organizations o on o.id = r.organization_id
         where u.id = $1 and u.disabled_at is null
         order by o.name, o.id, r.customer_id nulls first"#,
        id.uuid(),
    )
    .fetch_all(&mut **tx)
    .await?;
    let Some(first) = rows.first() else {
        return Ok(None);
    };
    let mut user = User {
        id,
        email: first.email.clone(),
        name: first.name.clone(),
        zone: first.zone.clone(),
        is_platform_admin: first.platform_admin,
        memberships: Vec::new(),
        portal: Vec::new(),
        session: None,
    };
    for row in rows {
        row.add_to(&mut user);
    }
    Ok(Some(user))
}

impl RoleRow {
    fn add_to(self, user: &mut User) {
        let (Some(id), Some(name), Some(zone)) = (
            self.organization_id,
            self.organization_name,
            self.organization_zone,
        ) else {
            return;
        };
        let organization = Organization {
            id: id.into(),
            name,
            zone,
        };
        match self.customer_id {
            Some(customer) => user.portal.push((organization, CustomerId::from(customer))),
            None => user.memberships.push(Membership {
                organization,
                is_admin: self.role.as_deref() == Some("org_admin"),
                may_buy_numbers: self.may_buy_numbers == Some(true),
            }),
        }
    }
}

/// One organization.
pub(super) async fn organization(db: &Db, id: OrganizationId) -> Result<Option<Organization>> {
    let mut tx = db.begin(&Actor::system()).await?;
    let row = sqlx::query_as!(
        Organization,
        "select id, name, zone from organizations where id = $1",
        id.uuid(),
    )
    .fetch_optional(&mut *tx)
    .await?;
    Ok(row)
}

/// The first organizations by name.
pub(super) async fn first_organizations(db: &Db) -> Result<Vec<Organization>> {
    let mut tx = db.begin(&Actor::system()).await?;
    let rows = sqlx::query_as!(
        Organization,
        "select id, name, zone from organizations order by name, id limit $1",
        CHOICES_MAX,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows)
}

/// Who signs in with an address, and the hash of their password.
pub(super) struct Login {
    pub(super) id: UserId,
    pub(super) password_hash: Option<String>,
}

/// The user with this mail address, unless disabled.
pub(super) async fn login(tx: &mut Tx, email: &str) -> Result<Option<Login>> {
    let row = sqlx::query_as!(
        Login,
        "select id, password_hash from users where email = lower($1) and disabled_at is null",
        email,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row)
}

/// A session that has not expired.
pub(super) struct SessionRow {
    pub(super) id: SessionId,
    pub(super) user_id: UserId,
    pub(super) csrf_token: String,
    pub(super) organization_id: Option<Uuid>,
    pub(super) seen_at: jiff_sqlx::Timestamp,
}

impl SessionRow {
    pub(super) fn into_session(self) -> Session {
        Session {
            id: self.id,
            csrf_token: self.csrf_token,
            organization: self.organization_id.map(Into::into),
        }
    }
}

/// The session of a cookie.
pub(super) async fn session(
    tx: &mut Tx,
    digest: &[u8; 32],
    now: jiff::Timestamp,
) -> Result<Option<SessionRow>> {
    let row = sqlx::query_as!(
        SessionRow,
        "select id, user_id, csrf_token, organization_id, seen_at from sessions
         where token_digest = $1 and expires_at > $2 -- all organizations: a session is of a user",
        digest,
        now.to_sqlx() as _,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row)
}

struct KeyRow {
    id: ApiKeyId,
    scopes: Vec<String>,
    used_at: Option<jiff_sqlx::Timestamp>,
    organization_id: OrganizationId,
    name: String,
    zone: String,
}

/// The holder of a key that is not revoked, and when it was last used.
pub(super) async fn key_holder(
    tx: &mut Tx,
    digest: &[u8; 32],
) -> Result<Option<(KeyHolder, Option<jiff::Timestamp>)>> {
    let row = sqlx::query_as!(
        KeyRow,
        "select k.id, k.scopes, k.used_at, k.organization_id, o.name, o.zone
         from api_keys k join organizations o on o.id = k.organization_id
         where k.digest = $1 and k.revoked_at is null",
        digest,
    )
    .fetch_optional(&mut **tx)
    .await?;
    Ok(row.map(|row| {
        let holder = KeyHolder {
            id: row.id,
            organization: Organization {
                id: row.organization_id,
                name: row.name,
                zone: row.zone,
            },
            scopes: row
                .scopes
                .iter()
                .filter_map(|it| Scope::parse(it))
                .collect(),
        };
        (holder, row.used_at.map(jiff_sqlx::Timestamp::to_jiff))
    }))
}
