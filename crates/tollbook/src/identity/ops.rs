//! Signing in with a password, and the users there are.

use jiff_sqlx::ToSqlx as _;
use serde::Serialize;
use tollbook_core::actor::Actor;
use tollbook_core::ids::UserId;

use super::{passwords, sessions, sql};
use crate::app::App;
use crate::audit::{self, Deed};
use crate::error::{Error, OnConstraint as _, Result};
use crate::http::context;
use crate::ids::new_id;

/// The user with this address and password. Neither the answer nor its time tells whether the address is known.
pub(crate) async fn sign_in(app: &App, email: &str, password: String) -> Result<UserId> {
    let email = email.trim();
    let address = context::current().and_then(|it| it.address);
    app.recent.count_try(email, address)?;
    let login = {
        let mut tx = app.db.begin(&Actor::system()).await?;
        sql::login(&mut tx, email).await?
    };
    let (id, hash) = match login {
        Some(login) => (Some(login.id), login.password_hash),
        None => (None, None),
    };
    let is_right = passwords::verify(&app.recent.hashings, password, hash).await?;
    id.filter(|_| is_right)
        .ok_or_else(|| Error::Unauthorized("the address or the password is wrong".to_owned()))
}

/// Somebody to be added.
#[derive(Debug)]
pub(crate) struct NewUser {
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) password: String,
    pub(crate) is_platform_admin: bool,
}

#[derive(Serialize)]
struct UserAudit<'a> {
    email: &'a str,
    platform_admin: bool,
}

/// Adds a user. Only the platform does.
pub(crate) async fn add_user(app: &App, actor: &Actor, new: NewUser) -> Result<UserId> {
    let email = new.email.trim().to_lowercase();
    let has_at = email.split_once('@').is_some_and(|(name, domain)| {
        !name.is_empty() && !domain.is_empty() && !email.contains(char::is_whitespace)
    });
    if !has_at {
        return Err(Error::invalid("email", "is not a mail address"));
    }
    let id: UserId = new_id();
    let hash = passwords::hash(&app.recent.hashings, new.password).await?;
    let mut tx = app.db.begin(actor).await?;
    sqlx::query!(
        "insert into users (id, email, name, password_hash, platform_admin, created_at) values ($1, $2, $3, $4, $5, $6)",
        id.uuid(),
        email,
        new.name,
        hash,
        new.is_platform_admin,
        app.clock.real().to_sqlx() as _,
    )
    .execute(&mut *tx)
    .await
    .on_constraint("users_email_key", || {
        Error::conflict("user_exists", format!("there is a user `{email}` already"))
    })?;
    let after = UserAudit {
        email: &email,
        platform_admin: new.is_platform_admin,
    };
    let deed = Deed::new(None, "user.added", "user", id).after(&after)?;
    audit::record(&mut tx, actor, deed).await?;
    tx.commit().await?;
    Ok(id)
}

/// Sets a password, which ends all sessions and refresh tokens of the user.
pub(crate) async fn set_password(
    app: &App,
    actor: &Actor,
    user: UserId,
    password: String,
) -> Result<()> {
    let hash = passwords::hash(&app.recent.hashings, password).await?;
    let mut tx = app.db.begin(actor).await?;
    sqlx::query!(
        "update users set password_hash = $2 where id = $1",
        user.uuid(),
        hash
    )
    .execute(&mut *tx)
    .await?;
    sessions::end_all(&mut tx, user, app.clock.real()).await?;
    let deed = Deed::new(None, "user.password_set", "user", user);
    audit::record(&mut tx, actor, deed).await?;
    tx.commit().await?;
    app.live.recheck();
    Ok(())
}

/// Makes a user a platform admin, or no longer one.
pub(crate) async fn set_platform_admin(
    app: &App,
    actor: &Actor,
    user: UserId,
    is_platform_admin: bool,
) -> Result<()> {
    let mut tx = app.db.begin(actor).await?;
    sqlx::query!(
        "update users set platform_admin = $2 where id = $1",
        user.uuid(),
        is_platform_admin
    )
    .execute(&mut *tx)
    .await?;
    let deed = Deed::new(None, "user.role_set", "user", user);
    let deed = deed.after(&serde_json::json!({ "platform_admin": is_platform_admin }))?;
    audit::record(&mut tx, actor, deed).await?;
    tx.commit().await?;
    Ok(())
}

/// The user with this mail address.
pub(crate) async fn find_user(app: &App, email: &str) -> Result<UserId> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let login = sql::login(&mut tx, email.trim()).await?;
    login.map(|it| it.id).ok_or(Error::NotFound("user"))
}

/// A user in the list of all.
#[derive(Debug, Serialize)]
#[serde(rename_all = "camelCase")]
pub(crate) struct UserRow {
    pub(crate) id: UserId,
    pub(crate) email: String,
    pub(crate) name: String,
    pub(crate) platform_admin: bool,
    /// As `role in organization`, by the organization's name.
    pub(crate) roles: Vec<String>,
}

/// All users by mail address: `rows` of them after `after`.
pub(crate) async fn list_users(app: &App, after: &str, rows: i64) -> Result<Vec<UserRow>> {
    let mut tx = app.db.begin(&Actor::system()).await?;
    let rows = sqlx::query_as!(
        UserRow,
        r#"select u.id, u.email, u.name, u.platform_admin,
             array(select m.role || ' in ' || o.name from memberships m join organizations o on o.id = m.organization_id
                 where m.user_id = u.id order by o.name) as "roles!"
         from users u where u.email > $1 order by u.email limit $2 -- all organizations: a list for the platform"#,
        after,
        rows,
    )
    .fetch_all(&mut *tx)
    .await?;
    Ok(rows)
}
