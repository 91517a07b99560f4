//! Sends the messages of a replay through a broker and takes them back, in order.

use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, ensure};

use super::source::Item;
use crate::ingest::{self, ConnectSettings, Ingest, IngestSettings, Qos, Received, Subscription};
use crate::observation::RawMessage;
use crate::publish::OutMessage;
use crate::publish::mqtt::Publisher;
use crate::publish::outbox::OutboxSettings;
use crate::units::{SourceId, Timestamp};

/// Longest wait for the broker to grant the subscription, and for a message that is on its way.
const PATIENCE: Duration = Duration::from_secs(20);
/// Messages on their way at a time.
const WINDOW: usize = 4_096;

/// A connection pair to one broker.
#[derive(Debug)]
pub struct RoundTrip {
    publisher: Arc<Publisher>,
    ingest: Ingest,
    prefix: String,
}

impl RoundTrip {
    /// Connects, subscribes and waits until the subscription is granted. `nonce` keeps runs at one
    /// broker apart.
    ///
    /// # Errors
    /// When the broker does not grant the subscription in time.
    pub fn connect(
        connect: &ConnectSettings,
        nonce: &str,
        runtime: &tokio::runtime::Handle,
    ) -> anyhow::Result<Self> {
        let prefix = format!("roadcast/v1/replay/{nonce}/");
        let named = |role: &str| {
            let mut named = connect.clone();
            named.client_id = format!("roadcast-replay-{nonce}-{role}");
            named.session_expiry = Duration::ZERO;
            named
        };
        let subscription = Subscription {
            filter: format!("{prefix}#"),
            qos: Qos::AtLeastOnce,
            source: SourceId(0),
        };
        let ingest = ingest::spawn(
            IngestSettings::new(named("in"), vec![subscription]),
            runtime,
        );
        let publisher = Publisher::spawn(named("out"), OutboxSettings::default(), runtime);
        let since = Instant::now();
        while !ingest.stats.is_ready() {
            ensure!(
                since.elapsed() < PATIENCE,
                "the broker does not grant the subscription"
            );
            std::thread::sleep(Duration::from_millis(5));
        }
        Ok(Self {
            publisher: Arc::new(publisher),
            ingest,
            prefix,
        })
    }

    /// The publisher, for the run's outputs.
    pub fn publisher(&self) -> &Arc<Publisher> {
        &self.publisher
    }

    /// Sends every message and feeds what comes back; times and sources are those of the input.
    ///
    /// # Errors
    /// When a message does not come back, or comes back changed or out of order; when an item is no
    /// message; when `feed` fails.
    pub fn run(
        &self,
        items: Vec<Item>,
        feed: &mut dyn FnMut(Timestamp, RawMessage) -> anyhow::Result<()>,
    ) -> anyhow::Result<()> {
        let mut awaited = std::collections::VecDeque::new();
        let mut items = items.into_iter();
        loop {
            while awaited.len() < WINDOW {
                let Some(item) = items.next() else { break };
                let Item::Message(now, message) = item else {
                    anyhow::bail!("detector files have no message format; leave --mqtt out");
                };
                self.publisher.publish(OutMessage {
                    topic: format!("{}{}", self.prefix, message.topic),
                    payload: message.payload.clone(),
                    qos: 1,
                    retain: false,
                });
                awaited.push_back((now, message));
            }
            if awaited.is_empty() {
                return Ok(());
            }
            let Received::Batch(batch) = self.ingest.batches.recv(PATIENCE) else {
                anyhow::bail!("{} messages did not come back", awaited.len());
            };
            for arrived in &batch.messages {
                let (now, sent) = awaited
                    .pop_front()
                    .context("more came back than was sent")?;
                let topic = arrived.topic.strip_prefix(self.prefix.as_str());
                ensure!(
                    topic == Some(&*sent.topic) && arrived.payload == sent.payload,
                    "a message came back changed or out of order on {}",
                    arrived.topic
                );
                let payload = arrived.payload.clone();
                feed(now, RawMessage { payload, ..sent })?;
            }
            batch.ack.acknowledge();
        }
    }

    /// Waits until the outputs are with the broker, and leaves. Returns how many are not.
    pub fn close(self) -> usize {
        let left = self.publisher.flush(PATIENCE);
        self.ingest.close(Duration::from_secs(1));
        left
    }
}
