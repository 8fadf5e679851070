//! Waking other nodes and being woken by them: payload-less notifications, with polling as the fallback elsewhere.

use sqlx::postgres::{PgListener, PgPoolOptions};
use sqlx::{Connection as _, PgConnection};

use super::Connection;

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

    /// The channel of the next notification; `None` after a reconnection, when anything may have been missed.
    pub(crate) async fn next(&mut self) -> sqlx::Result<Option<String>> {
        Ok(self
            .0
            .try_recv()
            .await?
            .map(|notification| notification.channel().to_owned()))
    }
}

/// A session of its own that notifies: in every writing transaction it would cost three quarters of the write rate.
pub(crate) struct Notifier(PgConnection);

impl Notifier {
    /// Opens the session, which stays without rights: notifying needs none.
    pub(crate) async fn connect(connection: &Connection) -> sqlx::Result<Self> {
        let options = connection.options().application_name("tollbook-notify");
        Ok(Self(PgConnection::connect_with(&options).await?))
    }

    /// Wakes whoever listens on `channel`.
    pub(crate) async fn notify(&mut self, channel: &str) -> sqlx::Result<()> {
        sqlx::query!("select pg_notify($1, '')", channel)
            .execute(&mut self.0)
            .await?;
        Ok(())
    }
}
