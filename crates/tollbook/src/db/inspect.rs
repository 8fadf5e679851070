//! What a database server and its login are like, for the `doctor`.

use jiff::Timestamp;
use sqlx::{Connection as _, PgConnection};

use super::Connection;

/// What was seen of a server.
#[derive(Debug, Clone, Copy)]
pub(crate) struct Seen {
    /// As the server numbers it: 150004 is 15.4.
    pub(crate) version: i32,
    /// The login may make the roles that stand for product roles.
    pub(crate) may_create_roles: bool,
    /// Row-level security does not bind the login.
    pub(crate) bypasses_policies: bool,
    /// The server's clock minus ours.
    pub(crate) clock_difference_seconds: i64,
}

/// Looks at a server.
pub(crate) async fn inspect(connection: &Connection) -> sqlx::Result<Seen> {
    let mut session = PgConnection::connect_with(&connection.owner_options()).await?;
    let row = sqlx::query!(
        r#"select current_setting('server_version_num')::int as "version!",
             rolcreaterole or rolsuper as "may_create_roles!", rolsuper or rolbypassrls as "bypasses_policies!",
             clock_timestamp() as "now!"
         from pg_roles where rolname = session_user"#,
    )
    .fetch_one(&mut session)
    .await?;
    let ours = Timestamp::now();
    session.close().await?;
    Ok(Seen {
        version: row.version,
        may_create_roles: row.may_create_roles,
        bypasses_policies: row.bypasses_policies,
        clock_difference_seconds: row.now.to_jiff().duration_since(ours).as_secs(),
    })
}
