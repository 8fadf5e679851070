//! A running node: the workers and the HTTP service of one process, and how they stop.

use std::net::SocketAddr;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::{JoinHandle, JoinSet};

use crate::app::App;
use crate::db::Connection;
use crate::{alerts, http, inbox, jobs, live, rating};

/// Requests under way and jobs get so long to finish when the node stops.
const DRAIN_MAX: Duration = Duration::from_secs(20);

/// What a node does.
#[derive(Debug, Clone, Copy, PartialEq, Eq)]
pub enum Work {
    /// Everything.
    All,
    /// Only the HTTP service.
    Web,
    /// Only what happens behind it.
    Jobs,
}

/// A running node.
#[derive(Debug)]
pub struct Node {
    /// The application that runs.
    pub app: App,
    /// Where it listens; `None` if it only works on jobs.
    pub address: Option<SocketAddr>,
    server: Option<JoinHandle<std::io::Result<()>>>,
    workers: JoinSet<()>,
}

impl Node {
    /// Starts the workers, and serves on `listener` unless the node is only for jobs.
    pub fn start(
        app: App,
        connection: &Connection,
        work: Work,
        listener: TcpListener,
    ) -> std::io::Result<Self> {
        let mut workers = JoinSet::new();
        let stop = app.stop.clone();
        // A node without viewers still tells the others what it wrote.
        live::start(&app, connection, &stop, &mut workers);
        alerts::start(&app, &stop, &mut workers);
        if work != Work::Web {
            inbox::start(&app, &stop, &mut workers);
            rating::start(&app, &stop, &mut workers);
            jobs::start(&app, &stop, &mut workers);
        }
        let (address, server) = match work {
            Work::Jobs => (None, None),
            Work::All | Work::Web => (
                Some(listener.local_addr()?),
                Some(tokio::spawn(serve(app.clone(), listener))),
            ),
        };
        Ok(Self {
            app,
            address,
            server,
            workers,
        })
    }

    /// Stops: streams end, requests under way are answered, jobs return to the queue.
    pub async fn stop(mut self) {
        self.app.stop.cancel();
        let drained = tokio::time::timeout(DRAIN_MAX, async {
            if let Some(server) = self.server.take() {
                // It ends with its last connection; what it may have to say was about accepting them.
                let _ = server.await;
            }
            self.app.tasks.close();
            self.app.tasks.wait().await;
            while self.workers.join_next().await.is_some() {}
        });
        if drained.await.is_err() {
            tracing::warn!("not everything ended in time, the rest is cut off");
        }
        self.workers.shutdown().await;
        self.app.db.close().await;
    }
}

async fn serve(app: App, listener: TcpListener) -> std::io::Result<()> {
    use axum::serve::ListenerExt as _;
    // Events are small and must not wait for more.
    let listener = listener.tap_io(|stream| {
        if let Err(error) = stream.set_nodelay(true) {
            tracing::debug!(%error, "a connection keeps its delay");
        }
    });
    let stop = app.stop.clone();
    let service = http::router(app).into_make_service_with_connect_info::<SocketAddr>();
    axum::serve(listener, service)
        .with_graceful_shutdown(stop.cancelled_owned())
        .await
}
