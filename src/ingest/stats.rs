//! What ingest counts, in plain atomics that metrics and tests read.

use std::sync::atomic::{AtomicBool, AtomicU64, AtomicUsize, Ordering};

use super::session::LinkStats;
use crate::observation::{RejectCounts, RejectReason};

/// State and counters of one ingest; readable from any thread.
///
/// Invariant: received = handed over + dropped + queued.
#[derive(Debug, Default)]
pub struct IngestStats {
    /// The connection.
    pub link: LinkStats,
    /// Whether the broker granted every subscription of the present connection.
    pub subscribed: AtomicBool,
    /// Subscriptions the broker refused on the present connection.
    pub refused_subscriptions: AtomicUsize,
    /// Messages that arrived.
    pub received: AtomicU64,
    /// Payload bytes that arrived.
    pub received_bytes: AtomicU64,
    /// Messages given to the consumer.
    pub handed_over: AtomicU64,
    /// Messages waiting for the consumer.
    pub queued: AtomicUsize,
    /// Payload bytes waiting for the consumer.
    pub queued_bytes: AtomicUsize,
    /// Times reading was paused because the QoS 1 queue was full.
    pub pauses: AtomicU64,
    /// QoS 1 messages acknowledged to the broker.
    pub acknowledged: AtomicU64,
    /// Acknowledgements that came too late for their connection: the broker sends the message again.
    pub stale_acknowledgements: AtomicU64,
    dropped: [AtomicU64; RejectReason::ALL.len()],
}

impl IngestStats {
    /// Whether messages flow: connected, and every subscription granted.
    pub fn is_ready(&self) -> bool {
        self.link.connected.load(Ordering::Relaxed) && self.subscribed.load(Ordering::Relaxed)
    }

    /// Messages dropped for `reason`.
    pub fn dropped(&self, reason: RejectReason) -> u64 {
        self.dropped[reason as usize].load(Ordering::Relaxed)
    }

    /// Messages dropped, by reason.
    pub fn drops(&self) -> RejectCounts {
        let mut counts = RejectCounts::default();
        for reason in RejectReason::ALL {
            counts.add(reason, self.dropped(reason));
        }
        counts
    }

    pub(super) fn drop_one(&self, reason: RejectReason) {
        self.dropped[reason as usize].fetch_add(1, Ordering::Relaxed);
    }
}
