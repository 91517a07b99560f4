//! MQTT sessions in: subscriptions, bounded hand-over, acknowledgement.
//!
//! A task of its own keeps the connection up and puts what arrives into a bounded queue; a consumer
//! on any thread takes batches from there and gives back each batch's [`AckToken`] once it stands
//! in the recording. What the payloads mean is none of its business. MQTT 3.1.1 and 5 (OASIS).
//!
//! ```text
//! broker ── Transport ── session ── Intake ──► Queue ──► BatchReceiver ──► recording, engine
//!    ▲                                                                         │ durable
//!    └───────────────────────────── PUBACK ◄──── AckToken::acknowledge ◄───────┘
//! ```

mod from_config;
mod intake;
mod queue;
mod rumqtt;
pub mod session;
mod stats;
mod topics;
pub mod transport;

use std::fmt;
use std::sync::{Arc, mpsc};
use std::time::Duration;

use tokio::sync::watch;

pub use queue::{AckToken, Batch, QueueSettings, Received};
pub use session::LinkStats;
pub use stats::IngestStats;
pub use transport::{BackoffSettings, ConnectSettings, Credentials, Qos, Status, Subscription};

use crate::units::Timestamp;
use intake::Intake;
use queue::Queue;

/// Largest payload taken, bytes (1 MiB, the house's packet limit); larger ones are counted and
/// thrown away.
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;

/// What stamps messages with the time they were received.
#[derive(Clone)]
pub struct Clock(Arc<dyn Fn() -> Timestamp + Send + Sync>);

impl Clock {
    /// A clock that asks `now`; called once for each message, on the connection's task.
    pub fn new(now: impl Fn() -> Timestamp + Send + Sync + 'static) -> Self {
        Self(Arc::new(now))
    }

    /// The system's clock, in milliseconds since the Unix epoch.
    pub fn wall() -> Self {
        Self::new(|| {
            let since_epoch = std::time::SystemTime::now()
                .duration_since(std::time::UNIX_EPOCH)
                .unwrap_or_default();
            Timestamp::from_millis(i64::try_from(since_epoch.as_millis()).unwrap_or(i64::MAX))
        })
    }

    /// The time.
    pub fn now(&self) -> Timestamp {
        (self.0)()
    }
}

impl fmt::Debug for Clock {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Clock")
    }
}

/// Settings of one ingest.
#[derive(Clone, Debug)]
pub struct IngestSettings {
    /// The broker.
    pub connect: ConnectSettings,
    /// What to subscribe to.
    pub subscriptions: Vec<Subscription>,
    /// Bounds of the hand-over.
    pub queue: QueueSettings,
    /// Largest payload taken, bytes.
    pub payload_bytes_max: usize,
    /// Stamps `received_at`.
    pub clock: Clock,
}

impl IngestSettings {
    /// Settings with the defaults for everything but broker and subscriptions. The broker keeps a
    /// session only if there is something to keep, a QoS 1 subscription.
    pub fn new(mut connect: ConnectSettings, subscriptions: Vec<Subscription>) -> Self {
        if subscriptions.iter().all(|s| s.qos == Qos::AtMostOnce) {
            connect.session_expiry = Duration::ZERO;
        }
        Self {
            connect,
            subscriptions,
            queue: QueueSettings::default(),
            payload_bytes_max: PAYLOAD_BYTES_MAX,
            clock: Clock::wall(),
        }
    }
}

/// A running ingest. Dropping it ends the connection without a goodbye, as a crash would.
#[derive(Debug)]
pub struct Ingest {
    /// Where the messages come out.
    pub batches: BatchReceiver,
    /// What happened so far.
    pub stats: Arc<IngestStats>,
    closing: watch::Sender<bool>,
    ended: mpsc::Receiver<()>,
    task: tokio::task::JoinHandle<()>,
}

/// The consumer's end of the hand-over; for threads, not for tasks.
#[derive(Clone)]
pub struct BatchReceiver(Arc<Queue>);

impl fmt::Debug for BatchReceiver {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("BatchReceiver")
    }
}

impl BatchReceiver {
    /// Takes the next batch, waiting at most `wait` for its first message.
    pub fn recv(&self, wait: Duration) -> Received {
        self.0.take(wait)
    }
}

/// Starts to connect, subscribe and receive, on `runtime`.
pub fn spawn(settings: IngestSettings, runtime: &tokio::runtime::Handle) -> Ingest {
    let stats = Arc::new(IngestStats::default());
    let queue = Arc::new(Queue::new(settings.queue, Arc::clone(&stats)));
    let (closing, closed) = watch::channel(false);
    let (ending, ended) = mpsc::channel();
    let connect = settings.connect.clone();
    let intake = Intake::new(settings, Arc::clone(&queue), Arc::clone(&stats));
    let task = {
        let (queue, stats) = (Arc::clone(&queue), Arc::clone(&stats));
        runtime.spawn(async move {
            let _ending = ending;
            session::run(connect, &stats.link, intake, closed).await;
            queue.close();
        })
    };
    Ingest {
        batches: BatchReceiver(queue),
        stats,
        closing,
        ended,
        task,
    }
}

impl Ingest {
    /// First step of a shutdown: takes no more messages. What is queued can still be received and
    /// acknowledged; what arrives is left with the broker.
    pub fn stop_reading(&self) {
        self.batches.0.stop();
    }

    /// Last step: publishes `offline`, disconnects, and waits for that at most `wait`. The session
    /// and what was not acknowledged stay with the broker. Not to be called from a task.
    pub fn close(self, wait: Duration) {
        self.stop_reading();
        self.closing.send_replace(true);
        // Nothing is ever sent: this ends when the task drops its end.
        if let Err(mpsc::RecvTimeoutError::Timeout) = self.ended.recv_timeout(wait) {
            tracing::warn!("The connection was cut before its goodbye was over.");
        }
    }
}

impl Drop for Ingest {
    fn drop(&mut self) {
        self.task.abort();
        self.batches.0.close();
    }
}
