//! Waking other nodes and being woken by them: payload-less notifications, with polling as the fallback elsewhere.

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};

use super::Connection;

/// What a listener hears.
pub(crate) enum Heard {
    /// A notification, and the session that sent it.
    From(u32),
    /// The connection was made anew: anything may have been missed.
    Reconnected,
}

/// A session of its own that hears notifications; it reconnects by itself.
pub(crate) struct Listener(PgListener);

impl Listener {
    /// Listens on `channels`.
    pub(crate) async fn connect(connection: &Connection, channels: &[&str]) -> sqlx::Result<Self> {
        // The session stays without rights: listening needs none.
        let pool = PgPoolOptions::new()
            .max_connections(1)
            .connect_with(connection.options().application_name("tollbook-listen"))
            .await?;
        let mut listener = PgListener::connect_with(&pool).await?;
        listener.listen_all(channels.iter().copied()).await?;
        Ok(Self(listener))
    }

    /// The next notification.
    pub(crate) async fn next(&mut self) -> sqlx::Result<Heard> {
        let notification = self.0.try_recv().await?;
        Ok(notification.map_or(Heard::Reconnected, |it| Heard::From(it.process_id())))
    }
}

/// A session of its own that notifies: in every writing transaction it would cost three quarters of the write rate.
pub(crate) struct Notifier {
    session: PgConnection,
    process: u32,
}

impl Notifier {
    /// Opens the session, which stays without rights: notifying needs none.
    pub(crate) async fn connect(connection: &Connection) -> sqlx::Result<Self> {
        let options = connection.options().application_name("tollbook-notify");
        let mut session = PgConnection::connect_with(&options).await?;
        let process = sqlx::query_scalar!(r#"select pg_backend_pid() as "pid!""#)
            .fetch_one(&mut session)
            .await?;
        Ok(Self {
            session,
            process: process.cast_unsigned(),
        })
    }

    /// By what listeners know this session.
    pub(crate) fn process(&self) -> u32 {
        self.process
    }

    /// Wakes whoever listens on `channel`.
    pub(crate) async fn notify(&mut self, channel: &str) -> sqlx::Result<()> {
        sqlx::query!("select pg_notify($1, '')", channel)
            .execute(&mut self.session)
            .await?;
        Ok(())
    }
}
