//! MQTT in and out against a real Mosquitto and the embedded broker.
//!
//! Tests that need Mosquitto say so and pass when it is not installed; `tests/run` installs it.

#![expect(
    clippy::unwrap_used,
    clippy::panic,
    reason = "the helpers of a test fail like the test itself"
)]

mod engine;
mod inbound;
mod mosquitto;
mod outbound;
mod privacy;
mod restart;
mod units;

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::atomic::AtomicU64;
use std::sync::atomic::Ordering;
use std::time::{Duration, Instant};

use bytes::Bytes;
use roadcast::config::Protocol;
use roadcast::ingest::{
    self, AckToken, ConnectSettings, Ingest, IngestSettings, Qos, Received, Subscription,
};
use roadcast::publish::OutMessage;
use roadcast::publish::mqtt::Publisher;
use roadcast::publish::outbox::OutboxSettings;
use roadcast::units::SourceId;
use tokio::runtime::Runtime;

/// Longest wait for anything; reached only when a test fails.
const DEADLINE: Duration = Duration::from_secs(60);

/// Waits until `condition` holds.
fn eventually(what: &str, mut condition: impl FnMut() -> bool) {
    let deadline = Instant::now() + DEADLINE;
    while !condition() {
        assert!(Instant::now() < deadline, "in vain: {what}");
        std::thread::park_timeout(Duration::from_millis(1));
    }
}

fn runtime() -> Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(2)
        .enable_all()
        .build()
        .unwrap()
}

fn connect(port: u16, client_id: &str, protocol: Protocol) -> ConnectSettings {
    let mut settings = ConnectSettings::new("127.0.0.1", port, client_id);
    settings.protocol = protocol;
    settings.backoff.min = Duration::from_millis(10);
    settings.backoff.max = Duration::from_millis(100);
    settings
}

fn subscription(filter: &str, qos: Qos) -> Subscription {
    Subscription {
        filter: filter.into(),
        qos,
        source: SourceId(3),
    }
}

/// Starts an ingest of `filter` and waits until the broker granted it.
fn subscribe(connect: ConnectSettings, filter: &str, qos: Qos, runtime: &Runtime) -> Ingest {
    let settings = IngestSettings::new(connect, vec![subscription(filter, qos)]);
    let input = ingest::spawn(settings, runtime.handle());
    eventually("subscribed", || input.stats.is_ready());
    input
}

fn publisher(connect: ConnectSettings, runtime: &Runtime) -> Publisher {
    Publisher::spawn(connect, OutboxSettings::default(), runtime.handle())
}

fn numbered(topic: &str, number: u64, qos: u8) -> OutMessage {
    OutMessage {
        topic: topic.into(),
        payload: Bytes::from(number.to_string()),
        qos,
        retain: false,
    }
}

/// The messages received so far, by number, and what is owed for them.
#[derive(Default)]
struct Seen {
    times: BTreeMap<u64, u32>,
    owed: Vec<AckToken>,
    /// Whether batches are acknowledged as they come.
    at_once: bool,
}

impl Seen {
    /// Receives until `enough` is content with the numbers seen.
    fn collect(
        &mut self,
        input: &Ingest,
        what: &str,
        enough: impl Fn(&BTreeMap<u64, u32>) -> bool,
    ) {
        let deadline = Instant::now() + DEADLINE;
        while !enough(&self.times) {
            let missing = (0..).find(|number| !self.times.contains_key(number));
            assert!(
                Instant::now() < deadline,
                "in vain: {what}; {} seen, first missing {missing:?}, {:?}",
                self.times.len(),
                input.stats,
            );
            match input.batches.recv(Duration::from_millis(100)) {
                Received::Batch(batch) => {
                    for message in &batch.messages {
                        assert_eq!(message.source, SourceId(3));
                        let text = std::str::from_utf8(&message.payload).unwrap();
                        *self.times.entry(text.parse().unwrap()).or_default() += 1;
                    }
                    self.owed.push(batch.ack);
                    if self.at_once {
                        self.acknowledge();
                    }
                }
                Received::Idle => {}
                Received::Closed => panic!("the ingest ended: {what}"),
            }
        }
    }

    fn acknowledge(&mut self) {
        self.owed.drain(..).for_each(AckToken::acknowledge);
    }

    fn has(&self, numbers: std::ops::Range<u64>) -> bool {
        numbers.clone().count() == self.times.range(numbers).count()
    }
}

fn load(counter: &AtomicU64) -> u64 {
    counter.load(Ordering::Relaxed)
}

/// Payloads of the next messages, as text.
fn next_texts(input: &Ingest, count: usize) -> Vec<String> {
    let mut texts = Vec::new();
    let deadline = Instant::now() + DEADLINE;
    while texts.len() < count {
        assert!(
            Instant::now() < deadline,
            "in vain: {count} messages; got {texts:?}"
        );
        if let Received::Batch(batch) = input.batches.recv(Duration::from_millis(100)) {
            texts.extend(
                batch
                    .messages
                    .iter()
                    .map(|message| String::from_utf8(message.payload.to_vec()).unwrap()),
            );
            batch.ack.acknowledge();
        }
    }
    texts
}
