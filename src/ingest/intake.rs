//! What is done with the events of the ingest connection: subscribe, check, judge, queue.

use std::sync::Arc;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;

use super::Clock;
use super::IngestSettings;
use super::queue::{Arrival, Queue};
use super::session::Handler;
use super::stats::IngestStats;
use super::topics::Topics;
use super::transport::{Event, Requests, Subscription};
use crate::observation::{RawMessage, RejectReason};

/// How long a refused subscription rests before it is asked for again (an operator may have
/// changed the access list meanwhile). Chosen.
const RESUBSCRIBE_AFTER: Duration = Duration::from_secs(30);

/// The handler of the ingest connection.
pub(super) struct Intake {
    subscriptions: Arc<[Subscription]>,
    topics: Topics,
    queue: Arc<Queue>,
    stats: Arc<IngestStats>,
    clock: Clock,
    payload_bytes_max: usize,
    arrivals: Vec<Arrival>,
    asked_at: Instant,
}

impl Intake {
    pub(super) fn new(
        settings: IngestSettings,
        queue: Arc<Queue>,
        stats: Arc<IngestStats>,
    ) -> Self {
        let subscriptions: Arc<[Subscription]> = settings.subscriptions.into();
        Self {
            topics: Topics::new(Arc::clone(&subscriptions)),
            subscriptions,
            queue,
            stats,
            clock: settings.clock,
            payload_bytes_max: settings.payload_bytes_max,
            arrivals: Vec::new(),
            asked_at: Instant::now(),
        }
    }

    fn subscribe(&mut self, requests: &Arc<dyn Requests>) {
        self.asked_at = Instant::now();
        if !self.subscriptions.is_empty() && requests.subscribe(&self.subscriptions).is_err() {
            tracing::error!("The subscriptions could not be asked for.");
        }
    }

    fn subscribed(&self, granted: &[bool]) {
        let mut refused = 0;
        for (index, subscription) in self.subscriptions.iter().enumerate() {
            if !granted.get(index).copied().unwrap_or(false) {
                refused += 1;
                tracing::error!(filter = %subscription.filter, "The broker refuses a subscription.");
            }
        }
        self.stats
            .refused_subscriptions
            .store(refused, Ordering::Relaxed);
        self.stats.subscribed.store(refused == 0, Ordering::Relaxed);
    }

    fn message(
        &mut self,
        topic: &Bytes,
        payload: Bytes,
        packet_id: u16,
        requests: &Arc<dyn Requests>,
    ) {
        let resolved = self.topics.resolve(topic);
        let judged = match resolved {
            None => Err(RejectReason::Malformed),
            Some(_) if payload.len() > self.payload_bytes_max => Err(RejectReason::Oversized),
            Some((_, None)) => Err(RejectReason::UnknownTopic),
            Some((topic, Some(source))) => Ok((topic, source)),
        };
        match judged {
            Ok((topic, source)) => self.arrivals.push(Arrival {
                message: RawMessage {
                    received_at: self.clock.now(),
                    source,
                    topic,
                    payload,
                },
                owed: (packet_id != 0).then(|| (Arc::clone(requests), packet_id)),
            }),
            Err(reason) => self.refuse(reason, payload.len(), packet_id, requests),
        }
    }

    /// Counts a message that goes no further, and acknowledges it: it would come back for ever.
    fn refuse(
        &self,
        reason: RejectReason,
        size: usize,
        packet_id: u16,
        requests: &Arc<dyn Requests>,
    ) {
        self.stats.received.fetch_add(1, Ordering::Relaxed);
        self.stats
            .received_bytes
            .fetch_add(size as u64, Ordering::Relaxed);
        self.stats.drop_one(reason);
        if packet_id != 0 {
            let counter = match requests.acknowledge(packet_id) {
                Ok(()) => &self.stats.acknowledged,
                Err(_gone) => &self.stats.stale_acknowledgements,
            };
            counter.fetch_add(1, Ordering::Relaxed);
        }
    }
}

impl Handler for Intake {
    fn connected(&mut self, requests: &Arc<dyn Requests>, _packet_bytes_max: Option<u32>) {
        // Also where the broker knew us: it may have lost the subscriptions, or we may want others.
        self.subscribe(requests);
        if self.subscriptions.is_empty() {
            self.stats.subscribed.store(true, Ordering::Relaxed);
        }
    }

    fn handle(&mut self, events: &mut Vec<Event>, requests: &Arc<dyn Requests>) {
        for event in events.drain(..) {
            match event {
                Event::Message {
                    topic,
                    payload,
                    packet_id,
                } => self.message(&topic, payload, packet_id, requests),
                Event::Subscribed(granted) => self.subscribed(&granted),
                Event::Alive => {
                    let refused = self.stats.refused_subscriptions.load(Ordering::Relaxed) > 0;
                    if refused && self.asked_at.elapsed() >= RESUBSCRIBE_AFTER {
                        self.subscribe(requests);
                    }
                }
                Event::Connected { .. } | Event::Sent(_) | Event::Acknowledged { .. } => {}
            }
        }
        if !self.arrivals.is_empty() {
            self.queue.push(&mut self.arrivals);
        }
    }

    async fn ready(&self) {
        self.queue.room().await;
    }

    fn disconnected(&mut self) {
        self.stats.subscribed.store(false, Ordering::Relaxed);
        self.stats.refused_subscriptions.store(0, Ordering::Relaxed);
    }
}
