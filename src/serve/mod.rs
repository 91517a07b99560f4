//! HTTP: the API, the live map page, `/metrics`, `/livez` and `/readyz`.
//!
//! It owns how live data are encoded for HTTP, the embedded page and the limits of the server. It
//! computes nothing about traffic and writes nothing; the one thing it takes is an operator's verdict
//! on an incident, which it hands on. The engine's thread hands
//! over one [`LiveView`] a minute through a [`LiveSender`]; every body is encoded at most once a
//! view, however many ask.

mod assets;
mod body;
mod encode;
mod history;
mod incidents;
mod listener;
mod live;
mod routes;
#[cfg(test)]
mod tests;
mod vehicles;

use std::future::Future;
use std::net::SocketAddr;
use std::sync::Arc;
use std::time::Duration;

use tokio::net::TcpListener;
use tokio::task::JoinHandle;

pub use live::{LiveReceiver, LiveSender, LiveView, live_channel};

use crate::archive::History;
use crate::publish::format::Privacy;
use crate::units::Position;

/// Returns the metrics page in the Prometheus text format.
pub type MetricsText = Arc<dyn Fn() -> String + Send + Sync>;

/// Hands on what an operator says of an incident: its id and whether it is one.
#[derive(Clone)]
pub struct OrderSender(pub Arc<dyn Fn(u64, bool) + Send + Sync>);

impl std::fmt::Debug for OrderSender {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("OrderSender")
    }
}

/// Where and how to serve.
#[derive(Clone, Debug)]
pub struct ServeOptions {
    /// Address to listen on; port 0 lets the system choose.
    pub addr: SocketAddr,
    /// Open connections at most; further ones wait in the system's accept queue.
    pub max_connections: usize,
    /// Longest time one request may take; answered with 503 beyond.
    pub request_timeout: Duration,
    /// A connection on which nothing moves for this long is closed.
    pub idle_timeout: Duration,
    /// Longest wait for open requests at shutdown.
    pub shutdown_grace: Duration,
    /// From how many road users on a value is served as measured.
    pub privacy: Privacy,
    /// Local time of the city: seconds ahead of UTC.
    pub utc_offset_s: i64,
    /// Name of the city in its own language and in English.
    pub city: Option<(String, String)>,
    /// Outlines of rivers and lakes for the map, WGS-84, first position repeated last or not.
    pub water: Vec<Vec<Position>>,
    /// Where verdicts on incidents go; `None` refuses them.
    pub orders: Option<OrderSender>,
    /// What answers questions about the past; `None` where nothing is archived.
    pub history: Option<Arc<History>>,
}

impl Default for ServeOptions {
    /// Loopback, port 8080, 256 connections, 10 s a request, 75 s idle, 2 s grace, China Standard
    /// Time (chosen).
    fn default() -> Self {
        Self {
            addr: SocketAddr::from(([127, 0, 0, 1], 8080)),
            max_connections: 256,
            request_timeout: Duration::from_secs(10),
            idle_timeout: Duration::from_secs(75),
            shutdown_grace: Duration::from_secs(2),
            privacy: Privacy::default(),
            utc_offset_s: 8 * 3_600,
            city: None,
            water: Vec::new(),
            orders: None,
            history: None,
        }
    }
}

/// Why the server could not start.
#[derive(Debug, thiserror::Error)]
pub enum ServeError {
    /// The address cannot be bound.
    #[error("cannot listen on {addr}: {source}")]
    Bind {
        /// The address.
        addr: SocketAddr,
        /// What the system says.
        source: std::io::Error,
    },
}

/// A running server.
#[derive(Debug)]
pub struct Server {
    /// The address it listens on, with the port the system chose.
    pub addr: SocketAddr,
    /// Ends when `shutdown` has resolved and open requests are done or the grace time is over.
    pub task: JoinHandle<()>,
}

/// Starts the server; it stops when `shutdown` resolves.
///
/// Must be called inside a tokio runtime.
///
/// # Errors
/// When the address cannot be bound.
pub async fn spawn(
    options: ServeOptions,
    live: LiveReceiver,
    metrics: MetricsText,
    shutdown: impl Future<Output = ()> + Send + 'static,
) -> Result<Server, ServeError> {
    let addr = options.addr;
    let bind = |source| ServeError::Bind { addr, source };
    let inner = TcpListener::bind(addr).await.map_err(bind)?;
    let bound = inner.local_addr().map_err(bind)?;
    let listener =
        listener::LimitedListener::new(inner, options.max_connections, options.idle_timeout);
    let grace = options.shutdown_grace;
    let app = routes::router(options, live, metrics);
    let task = tokio::spawn(async move {
        let (stop, stopped) = tokio::sync::oneshot::channel::<()>();
        let serving = axum::serve(listener, app).with_graceful_shutdown(async move {
            stopped.await.ok();
        });
        let serving = tokio::spawn(async move { serving.await });
        shutdown.await;
        stop.send(()).ok();
        let abort = serving.abort_handle();
        if tokio::time::timeout(grace, serving).await.is_err() {
            abort.abort();
        }
    });
    Ok(Server { addr: bound, task })
}
