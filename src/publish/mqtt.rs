//! Publishing over MQTT: the outbox behind a connection that is kept up.
//!
//! [`Publisher::publish`] never waits. The task that polls the connection never waits for a
//! publish either: both move messages from the outbox to the transport whenever the window has
//! room, under one short lock.

use std::sync::atomic::{AtomicU64, AtomicUsize, Ordering};
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError, mpsc};
use std::time::{Duration, Instant};

use tokio::sync::watch;

use super::OutMessage;
use super::outbox::{Outbox, OutboxSettings};
use crate::ingest::session::{self, Handler, LinkStats};
use crate::ingest::transport::{ConnectSettings, Event, Qos, Requests};

/// Largest payload published, bytes (1 MiB, the house's packet limit).
pub const PAYLOAD_BYTES_MAX: usize = 1 << 20;
/// Bytes of a PUBLISH beside topic and payload, at most: fixed header 5, topic length 2, packet
/// id 2, property length 1 (MQTT 5, section 3.3).
const PACKET_OVERHEAD_BYTES: usize = 10;
/// Longest topic, bytes (MQTT strings have a 16-bit length).
const TOPIC_BYTES_MAX: usize = u16::MAX as usize;
/// Messages the broker may send us unacknowledged: it has nothing to send.
const RECEIVE_MAXIMUM: u16 = 16;

/// State and counters of one publisher; readable from any thread.
///
/// Invariant: accepted = acknowledged or sent + refused + oversized by the broker's limit +
/// coalesced + dropped + queued.
#[derive(Debug, Default)]
pub struct PublishStats {
    /// The connection.
    pub link: LinkStats,
    /// Messages taken into the outbox.
    pub accepted: AtomicU64,
    /// QoS 1 messages the broker acknowledged.
    pub acknowledged: AtomicU64,
    /// QoS 0 messages that went out.
    pub sent: AtomicU64,
    /// QoS 1 messages the broker refused (MQTT 5), and messages with an impossible topic.
    pub refused: AtomicU64,
    /// Messages larger than our limit or the broker's.
    pub oversized: AtomicU64,
    /// Retained messages replaced by a newer one of the same topic before they went out.
    pub coalesced: AtomicU64,
    /// Messages dropped because the outbox was full.
    pub dropped: AtomicU64,
    /// Messages in the outbox.
    pub queued: AtomicUsize,
    /// Bytes in the outbox.
    pub queued_bytes: AtomicUsize,
}

impl PublishStats {
    /// How often something may have been lost: messages that never went out, and connections that
    /// broke with QoS 0 messages on their way or brought another broker.
    pub fn losses(&self) -> u64 {
        let counters = [&self.refused, &self.oversized, &self.dropped];
        let lost: u64 = counters
            .map(|counter| counter.load(Ordering::Relaxed))
            .iter()
            .sum();
        lost + self.link.reconnects()
    }
}

/// A running publisher. Dropping it ends the connection without a goodbye, as a crash would.
#[derive(Debug)]
pub struct Publisher {
    shared: Arc<Shared>,
    closing: watch::Sender<bool>,
    ended: Mutex<mpsc::Receiver<()>>,
    task: tokio::task::JoinHandle<()>,
}

#[derive(Debug)]
struct Shared {
    state: Mutex<State>,
    changed: Condvar,
    stats: Arc<PublishStats>,
}

#[derive(Debug)]
struct State {
    outbox: Outbox,
    connection: Option<Connection>,
}

#[derive(Debug)]
struct Connection {
    requests: Arc<dyn Requests>,
    packet_bytes_max: usize,
}

impl Publisher {
    /// Starts to connect and publish, on `runtime`. The client id must differ from that of the
    /// ingest.
    pub fn spawn(
        mut connect: ConnectSettings,
        outbox: OutboxSettings,
        runtime: &tokio::runtime::Handle,
    ) -> Self {
        // What the broker should remember of us is in the outbox.
        connect.session_expiry = Duration::ZERO;
        connect.receive_maximum = RECEIVE_MAXIMUM;
        connect.tcp_nodelay = true;
        connect.inflight_maximum = u16::try_from(outbox.window).unwrap_or(u16::MAX);
        let stats = Arc::new(PublishStats::default());
        let shared = Arc::new(Shared {
            state: Mutex::new(State {
                outbox: Outbox::new(outbox),
                connection: None,
            }),
            changed: Condvar::new(),
            stats: Arc::clone(&stats),
        });
        let (closing, closed) = watch::channel(false);
        let (ending, ended) = mpsc::channel();
        let pump = Pump(Arc::clone(&shared));
        let task = runtime.spawn(async move {
            let _ending = ending;
            session::run(connect, &stats.link, pump, closed).await;
        });
        Self {
            shared,
            closing,
            ended: Mutex::new(ended),
            task,
        }
    }

    /// What happened so far.
    pub fn stats(&self) -> Arc<PublishStats> {
        Arc::clone(&self.shared.stats)
    }

    /// Takes a message into the outbox and sends it when the connection allows. Never waits.
    pub fn publish(&self, message: OutMessage) {
        let stats = &self.shared.stats;
        if message.payload.len() > PAYLOAD_BYTES_MAX {
            stats.oversized.fetch_add(1, Ordering::Relaxed);
            tracing::error!(topic = %message.topic, bytes = message.payload.len(), "A message is too large to publish.");
            return;
        }
        if !is_publishable(&message.topic) {
            stats.refused.fetch_add(1, Ordering::Relaxed);
            tracing::error!(topic = %message.topic, "A topic cannot be published to.");
            return;
        }
        stats.accepted.fetch_add(1, Ordering::Relaxed);
        let mut state = self.shared.lock();
        let displaced = state.outbox.insert(message);
        stats
            .coalesced
            .fetch_add(displaced.coalesced, Ordering::Relaxed);
        stats
            .dropped
            .fetch_add(displaced.dropped, Ordering::Relaxed);
        self.shared.pump(&mut state);
    }

    /// Waits until the broker has everything, at most `wait`; returns how many messages it has not.
    pub fn flush(&self, wait: Duration) -> usize {
        let deadline = Instant::now() + wait;
        let mut state = self.shared.lock();
        while !state.outbox.is_empty() {
            let left = deadline.saturating_duration_since(Instant::now());
            if left.is_zero() {
                break;
            }
            (state, _) = self
                .shared
                .changed
                .wait_timeout(state, left)
                .unwrap_or_else(PoisonError::into_inner);
        }
        state.outbox.len()
    }

    /// Flushes, publishes `offline` where the settings name a status topic, disconnects; all of it
    /// within `wait`. Returns how many messages the broker did not get. Not to be called from a
    /// task.
    pub fn close(self, wait: Duration) -> usize {
        let deadline = Instant::now() + wait;
        let left = self.flush(wait);
        self.closing.send_replace(true);
        // Nothing is ever sent: this ends when the task drops its end.
        let rest = deadline.saturating_duration_since(Instant::now());
        let ended = self.ended.lock().unwrap_or_else(PoisonError::into_inner);
        if let Err(mpsc::RecvTimeoutError::Timeout) = ended.recv_timeout(rest) {
            tracing::warn!("The connection was cut before its goodbye was over.");
        }
        drop(ended);
        left
    }
}

impl Drop for Publisher {
    fn drop(&mut self) {
        self.task.abort();
    }
}

impl Shared {
    /// The outbox is whole after every call, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, State> {
        self.state.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Hands to the transport what may go.
    fn pump(&self, state: &mut State) {
        if let Some(connection) = &state.connection {
            while let Some(message) = state.outbox.next() {
                let size = message.topic.len() + message.payload.len() + PACKET_OVERHEAD_BYTES;
                if size > connection.packet_bytes_max {
                    self.stats.oversized.fetch_add(1, Ordering::Relaxed);
                    tracing::error!(topic = %message.topic, bytes = size, "A message exceeds the broker's limit.");
                    state.outbox.discard();
                    continue;
                }
                let qos = if message.qos == 0 {
                    Qos::AtMostOnce
                } else {
                    Qos::AtLeastOnce
                };
                let payload = message.payload.clone();
                let taken =
                    connection
                        .requests
                        .publish(&message.topic, payload, qos, message.retain);
                if taken.is_err() {
                    break;
                }
                state.outbox.hand_over();
            }
        }
        let stats = &self.stats;
        stats.queued.store(state.outbox.len(), Ordering::Relaxed);
        stats
            .queued_bytes
            .store(state.outbox.bytes(), Ordering::Relaxed);
        if state.outbox.is_empty() {
            self.changed.notify_all();
        }
    }
}

/// Whether a message can be published to `topic` (MQTT 5, section 4.7.3).
fn is_publishable(topic: &str) -> bool {
    !topic.is_empty() && topic.len() <= TOPIC_BYTES_MAX && !topic.contains(['+', '#', '\0'])
}

/// The handler of the publishing connection.
struct Pump(Arc<Shared>);

impl Handler for Pump {
    fn connected(&mut self, requests: &Arc<dyn Requests>, packet_bytes_max: Option<u32>) {
        let mut state = self.0.lock();
        state.connection = Some(Connection {
            requests: Arc::clone(requests),
            packet_bytes_max: packet_bytes_max.map_or(usize::MAX, |bytes| bytes as usize),
        });
        state.outbox.connected();
        self.0.pump(&mut state);
    }

    fn handle(&mut self, events: &mut Vec<Event>, _requests: &Arc<dyn Requests>) {
        let mut state = self.0.lock();
        let stats = &self.0.stats;
        for event in events.drain(..) {
            match event {
                Event::Sent(packet_id) => {
                    state.outbox.sent(packet_id);
                    if packet_id == 0 {
                        stats.sent.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Event::Acknowledged {
                    packet_id,
                    accepted,
                } => {
                    if state.outbox.acknowledged(packet_id) {
                        let counter = if accepted {
                            &stats.acknowledged
                        } else {
                            tracing::error!("The broker refuses a message.");
                            &stats.refused
                        };
                        counter.fetch_add(1, Ordering::Relaxed);
                    }
                }
                Event::Connected { .. }
                | Event::Subscribed(_)
                | Event::Message { .. }
                | Event::Alive => {}
            }
        }
        self.0.pump(&mut state);
    }

    async fn ready(&self) {}

    fn disconnected(&mut self) {
        let mut state = self.0.lock();
        state.connection = None;
        state.outbox.disconnected();
    }
}
