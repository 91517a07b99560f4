//! The bounded hand-over between the connection and the consumer.
//!
//! At QoS 0 a full queue drops its oldest message; at QoS 1 it makes the connection wait. The
//! consumer takes whole batches: whatever came while it was busy, or after a short linger.

use std::collections::VecDeque;
use std::sync::{Arc, Condvar, Mutex, MutexGuard, PoisonError};
use std::time::{Duration, Instant};

use std::sync::atomic::Ordering;

use tokio::sync::Notify;

use super::stats::IngestStats;
use super::transport::Requests;
use crate::observation::{RawMessage, RejectReason};

/// Bounds of the hand-over.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct QueueSettings {
    /// Messages that may wait, of each quality of service.
    pub messages: usize,
    /// Payload bytes that may wait, of each quality of service.
    pub bytes: usize,
    /// Messages in a batch.
    pub batch_messages: usize,
    /// How long the first message of a batch that is not full waits for others.
    pub linger: Duration,
}

impl Default for QueueSettings {
    /// Chosen: 65 536 messages (all a broker may send unacknowledged) and 64 MiB may wait; batches
    /// of 1024 or 2 ms, see `benches/transport.rs`.
    fn default() -> Self {
        Self {
            messages: 65_536,
            bytes: 64 << 20,
            batch_messages: 1024,
            linger: Duration::from_millis(2),
        }
    }
}

/// Messages that are handed over together.
#[derive(Debug)]
pub struct Batch {
    /// The messages in order of arrival.
    pub messages: Vec<RawMessage>,
    /// To be used once the messages stand in the recording.
    pub ack: AckToken,
}

/// The acknowledgements a batch owes the broker. Dropping it leaves the messages with the broker,
/// which sends them again on the next connection.
#[derive(Debug, Default)]
#[must_use]
pub struct AckToken {
    owed: Vec<(Arc<dyn Requests>, Vec<u16>)>,
    stats: Arc<IngestStats>,
}

impl AckToken {
    /// How many messages wait for their acknowledgement.
    pub fn message_count(&self) -> usize {
        self.owed.iter().map(|(_, ids)| ids.len()).sum()
    }

    /// Acknowledges all of them. On a connection that is gone this does nothing: there the broker
    /// sends the messages again.
    pub fn acknowledge(self) {
        for (requests, packet_ids) in &self.owed {
            let mut taken = 0;
            for packet_id in packet_ids {
                if requests.acknowledge(*packet_id).is_err() {
                    break;
                }
                taken += 1;
            }
            let stale = packet_ids.len() as u64 - taken;
            self.stats.acknowledged.fetch_add(taken, Ordering::Relaxed);
            self.stats
                .stale_acknowledgements
                .fetch_add(stale, Ordering::Relaxed);
        }
    }

    fn owe(&mut self, requests: Arc<dyn Requests>, packet_id: u16) {
        match self.owed.last_mut() {
            Some((last, ids)) if Arc::ptr_eq(last, &requests) => ids.push(packet_id),
            _ => self.owed.push((requests, vec![packet_id])),
        }
    }
}

/// What the consumer got.
#[derive(Debug)]
pub enum Received {
    /// At least one message.
    Batch(Batch),
    /// Nothing came in the time.
    Idle,
    /// Nothing will come any more.
    Closed,
}

/// A message with what it owes the broker.
pub(super) struct Arrival {
    pub(super) message: RawMessage,
    /// The connection and packet id to acknowledge; `None` at QoS 0.
    pub(super) owed: Option<(Arc<dyn Requests>, u16)>,
}

/// The queue between one connection and one consumer.
pub(super) struct Queue {
    settings: QueueSettings,
    stats: Arc<IngestStats>,
    lanes: Mutex<Lanes>,
    filled: Condvar,
    drained: Notify,
}

#[derive(Default)]
struct Lanes {
    /// QoS 0 and QoS 1; each entry with its number in order of arrival over both.
    lanes: [VecDeque<(u64, Arrival)>; 2],
    bytes: [usize; 2],
    arrivals: u64,
    waiting_since: Option<Instant>,
    stopped: bool,
    closed: bool,
}

impl Queue {
    pub(super) fn new(settings: QueueSettings, stats: Arc<IngestStats>) -> Self {
        Self {
            settings,
            stats,
            lanes: Mutex::default(),
            filled: Condvar::new(),
            drained: Notify::new(),
        }
    }

    /// Adds what arrived.
    pub(super) fn push(&self, arrivals: &mut Vec<Arrival>) {
        let mut lanes = self.lock();
        if lanes.stopped {
            // Left with the broker at QoS 1; at QoS 0 as if we had gone already.
            arrivals.clear();
            return;
        }
        let before = lanes.len();
        for arrival in arrivals.drain(..) {
            self.stats.received.fetch_add(1, Ordering::Relaxed);
            let size = arrival.message.payload.len();
            self.stats
                .received_bytes
                .fetch_add(size as u64, Ordering::Relaxed);
            let lane = usize::from(arrival.owed.is_some());
            if lane == 0 {
                while lanes.lanes[0].len() >= self.settings.messages
                    || (lanes.bytes[0] + size > self.settings.bytes && lanes.bytes[0] > 0)
                {
                    lanes.pop(0);
                    self.stats.drop_one(RejectReason::QueueFull);
                }
            }
            let number = lanes.arrivals;
            lanes.arrivals += 1;
            lanes.bytes[lane] += size;
            lanes.lanes[lane].push_back((number, arrival));
        }
        let after = lanes.len();
        self.show(&lanes);
        if before == 0 && after > 0 {
            lanes.waiting_since = Some(Instant::now());
        }
        let batch = self.settings.batch_messages;
        if (before == 0 && after > 0) || (before < batch && after >= batch) {
            self.filled.notify_one();
        }
    }

    /// Waits until the QoS 1 lane has room.
    pub(super) async fn room(&self) {
        let mut paused = false;
        while !self.has_room() {
            if !paused {
                self.stats.pauses.fetch_add(1, Ordering::Relaxed);
                paused = true;
            }
            self.drained.notified().await;
        }
    }

    fn has_room(&self) -> bool {
        let lanes = self.lock();
        lanes.lanes[1].len() < self.settings.messages && lanes.bytes[1] < self.settings.bytes
    }

    /// Takes the next batch, waiting at most `wait` for its first message.
    pub(super) fn take(&self, wait: Duration) -> Received {
        let deadline = Instant::now() + wait;
        let mut lanes = self.lock();
        while lanes.len() == 0 {
            if lanes.closed {
                return Received::Closed;
            }
            let Some(left) = remaining(deadline) else {
                return Received::Idle;
            };
            lanes = self.wait(lanes, left);
        }
        let linger_until = lanes
            .waiting_since
            .map(|since| since + self.settings.linger);
        while lanes.len() < self.settings.batch_messages && !lanes.closed && !lanes.stopped {
            let Some(left) = linger_until.and_then(remaining) else {
                break;
            };
            lanes = self.wait(lanes, left);
        }
        let count = lanes.len().min(self.settings.batch_messages);
        let mut messages = Vec::with_capacity(count);
        let mut ack = AckToken {
            owed: Vec::new(),
            stats: Arc::clone(&self.stats),
        };
        for _ in 0..count {
            let Some(arrival) = lanes.pop_oldest() else {
                break;
            };
            messages.push(arrival.message);
            if let Some((requests, packet_id)) = arrival.owed {
                ack.owe(requests, packet_id);
            }
        }
        if lanes.len() == 0 {
            lanes.waiting_since = None;
        }
        self.show(&lanes);
        drop(lanes);
        self.drained.notify_one();
        self.stats
            .handed_over
            .fetch_add(messages.len() as u64, Ordering::Relaxed);
        Received::Batch(Batch { messages, ack })
    }

    /// From here on nothing is added; what is there can still be taken.
    pub(super) fn stop(&self) {
        self.lock().stopped = true;
        self.filled.notify_all();
        self.drained.notify_one();
    }

    /// From here on an empty queue means the end.
    pub(super) fn close(&self) {
        let mut lanes = self.lock();
        lanes.stopped = true;
        lanes.closed = true;
        drop(lanes);
        self.filled.notify_all();
        self.drained.notify_one();
    }

    fn show(&self, lanes: &Lanes) {
        self.stats.queued.store(lanes.len(), Ordering::Relaxed);
        self.stats
            .queued_bytes
            .store(lanes.bytes.iter().sum(), Ordering::Relaxed);
    }

    /// The lanes are whole after every statement, so a poisoned lock is as good as any.
    fn lock(&self) -> MutexGuard<'_, Lanes> {
        self.lanes.lock().unwrap_or_else(PoisonError::into_inner)
    }

    fn wait<'a>(&self, lanes: MutexGuard<'a, Lanes>, time: Duration) -> MutexGuard<'a, Lanes> {
        let (lanes, _timeout) = self
            .filled
            .wait_timeout(lanes, time)
            .unwrap_or_else(PoisonError::into_inner);
        lanes
    }
}

impl Lanes {
    fn len(&self) -> usize {
        self.lanes[0].len() + self.lanes[1].len()
    }

    fn pop(&mut self, lane: usize) -> Option<Arrival> {
        let (_, arrival) = self.lanes[lane].pop_front()?;
        self.bytes[lane] -= arrival.message.payload.len();
        Some(arrival)
    }

    fn pop_oldest(&mut self) -> Option<Arrival> {
        let number = |lane: usize| self.lanes[lane].front().map_or(u64::MAX, |(n, _)| *n);
        let lane = usize::from(number(1) < number(0));
        self.pop(lane)
    }
}

fn remaining(deadline: Instant) -> Option<Duration> {
    let left = deadline.saturating_duration_since(Instant::now());
    (!left.is_zero()).then_some(left)
}

#[cfg(test)]
mod tests;
