//! Waking this node when another one wrote: payload-less notifications, with polling as the fallback elsewhere.

use sqlx::postgres::{PgListener, PgPoolOptions};

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
