//! How much of a bare MQTT subscriber our ingest delivers, and how late.
//!
//! Workload: single-record JSON messages of 200 bytes through a Mosquitto of its own with the
//! limits of `deploy/mosquitto/roadcast.conf`, as fast as the broker takes them from a publisher on
//! a raw socket. The bare subscriber is a rumqttc event loop that counts (MQTT 5, automatic
//! acknowledgements); ours is `ingest` with a consumer thread that acknowledges each batch at once,
//! and at QoS 1 also with the recorder in between (fdatasync every 20 ms). Rates in messages a
//! second, CPU in microseconds of this process a message; latency from the publisher's write to
//! the consumer's hands at 20 000 messages/s. Each run checks that nothing was lost.

#![expect(
    clippy::unwrap_used,
    reason = "a bench may die of what it does not expect"
)]
#![expect(clippy::print_stdout, reason = "figures are its product")]

use std::io::{Read, Write};
use std::net::TcpStream;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::sync::atomic::{AtomicU64, Ordering};
use std::time::{Duration, Instant};

use roadcast::ingest::{
    self, AckToken, ConnectSettings, IngestSettings, Qos, Received, Subscription,
};
use roadcast::replay::recording::{Durable, Recorder, RecorderSettings, Rotation, Writer};
use roadcast::units::{SourceId, Timestamp};

const PORT: u16 = 18_843;
const TOPIC: &str = "roadcast/v1/vehicle/7/probe/up";
const PAYLOAD_BYTES: usize = 200;
const MESSAGES: u64 = 200_000;
const ROUNDS: u32 = 3;
/// Unacknowledged messages of the publisher.
const WINDOW: u64 = 2000;
/// A QoS 0 run ends when nothing comes for this long.
const SILENCE: Duration = Duration::from_secs(2);

fn main() {
    if Command::new("mosquitto")
        .arg("-h")
        .stdout(Stdio::null())
        .status()
        .is_err()
    {
        println!("skipped: mosquitto is not installed");
        return;
    }
    tracing_subscriber::fmt()
        .with_max_level(tracing::Level::WARN)
        .init();
    for round in 1..=ROUNDS {
        for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
            let broker = start_broker();
            let bare = throughput(qos, bare_subscriber);
            let ours = throughput(qos, |qos, expected| our_subscriber(qos, expected, false));
            println!("round {round} {qos:?}: ratio {:.2}", ours / bare);
            if qos == Qos::AtLeastOnce {
                let recorded = throughput(qos, |qos, expected| our_subscriber(qos, expected, true));
                println!(
                    "round {round} {qos:?} recorded: ratio {:.2}",
                    recorded / bare
                );
            }
            drop(broker);
        }
    }
    for qos in [Qos::AtMostOnce, Qos::AtLeastOnce] {
        let broker = start_broker();
        latency(qos);
        drop(broker);
    }
}

fn start_broker() -> Broker {
    let directory = std::env::temp_dir().join("roadcast-bench-transport");
    std::fs::create_dir_all(&directory).unwrap();
    let limits = include_str!("../deploy/mosquitto/roadcast.conf")
        .lines()
        .filter(|line| line.starts_with("max_") || line.starts_with("set_tcp"))
        .collect::<Vec<_>>()
        .join("\n");
    let file = directory.join("mosquitto.conf");
    let text = format!("listener {PORT} 127.0.0.1\nallow_anonymous true\n{limits}\n");
    std::fs::write(&file, text).unwrap();
    let child = Command::new("mosquitto")
        .arg("-c")
        .arg(&file)
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    while TcpStream::connect(("127.0.0.1", PORT)).is_err() {
        std::thread::yield_now();
    }
    Broker(child)
}

/// The broker of one round; ends with it, also when the round fails.
struct Broker(Child);

impl Drop for Broker {
    fn drop(&mut self) {
        self.0.kill().ok();
        self.0.wait().ok();
    }
}

/// Runs a subscriber and the publisher; returns the subscriber's messages a second.
fn throughput(qos: Qos, subscriber: impl FnOnce(Qos, u64) -> Run) -> f64 {
    let run = subscriber(qos, MESSAGES);
    let rate = run.received as f64 / run.seconds;
    println!(
        "{:<14} {qos:?}: {} of {MESSAGES} in {:.2} s: {rate:.0} messages/s, {:.2} us CPU each",
        run.name,
        run.received,
        run.seconds,
        run.cpu_seconds * 1e6 / run.received as f64,
    );
    if qos == Qos::AtLeastOnce {
        assert_eq!(run.received, MESSAGES, "QoS 1 loses nothing");
    }
    rate
}

struct Run {
    name: &'static str,
    received: u64,
    seconds: f64,
    cpu_seconds: f64,
}

/// The publisher as a process of its own would be: a thread on a raw socket. Returns what it used
/// of this process's CPU, so that it can be taken off.
fn publish(qos: Qos) -> std::thread::JoinHandle<f64> {
    std::thread::spawn(move || {
        let before = thread_cpu_seconds();
        let mut socket = raw_connect();
        let payload = [b'7'; PAYLOAD_BYTES];
        let mut buffer = Vec::new();
        let mut acks = vec![0; 4 * WINDOW as usize];
        for start in (0..MESSAGES).step_by(WINDOW as usize) {
            buffer.clear();
            for index in 0..WINDOW.min(MESSAGES - start) {
                put_publish(&mut buffer, qos, index as u16 + 1, &payload);
            }
            socket.write_all(&buffer).unwrap();
            if qos == Qos::AtLeastOnce {
                socket
                    .read_exact(&mut acks[..4 * WINDOW.min(MESSAGES - start) as usize])
                    .unwrap();
            }
        }
        thread_cpu_seconds() - before
    })
}

fn raw_connect() -> TcpStream {
    let mut socket = TcpStream::connect(("127.0.0.1", PORT)).unwrap();
    socket.set_nodelay(true).unwrap();
    let connect = [&[0x10, 16, 0, 4][..], b"MQTT", &[4, 2, 0, 0, 0, 4], b"load"];
    socket.write_all(&connect.concat()).unwrap();
    let mut connack = [0; 4];
    socket.read_exact(&mut connack).unwrap();
    assert_eq!(connack, [0x20, 2, 0, 0]);
    socket
}

fn put_publish(out: &mut Vec<u8>, qos: Qos, packet_id: u16, payload: &[u8]) {
    let with_id = qos == Qos::AtLeastOnce;
    out.push(if with_id { 0x32 } else { 0x30 });
    let mut length = 2 + TOPIC.len() + 2 * usize::from(with_id) + payload.len();
    while length >= 0x80 {
        out.push(length as u8 | 0x80);
        length >>= 7;
    }
    out.push(length as u8);
    out.extend_from_slice(&(TOPIC.len() as u16).to_be_bytes());
    out.extend_from_slice(TOPIC.as_bytes());
    if with_id {
        out.extend_from_slice(&packet_id.to_be_bytes());
    }
    out.extend_from_slice(payload);
}

fn runtime() -> tokio::runtime::Runtime {
    tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .unwrap()
}

/// A rumqttc event loop that counts.
fn bare_subscriber(qos: Qos, expected: u64) -> Run {
    use rumqttc::v5::mqttbytes::{QoS, v5::Packet};
    use rumqttc::v5::{AsyncClient, Event, MqttOptions};
    let mut options = MqttOptions::new("bare", "127.0.0.1", PORT);
    let mut properties = rumqttc::v5::mqttbytes::v5::ConnectProperties::new();
    properties.receive_maximum = Some(u16::MAX);
    properties.max_packet_size = Some(4 << 20);
    options.set_connect_properties(properties);
    let (client, mut eventloop) = AsyncClient::new(options, 16);
    let wanted = match qos {
        Qos::AtMostOnce => QoS::AtMostOnce,
        Qos::AtLeastOnce => QoS::AtLeastOnce,
    };
    runtime().block_on(async move {
        client.subscribe(TOPIC, wanted).await.unwrap();
        while !matches!(
            eventloop.poll().await.unwrap(),
            Event::Incoming(Packet::SubAck(_))
        ) {}
        let cpu = process_cpu_seconds();
        let load = publish(qos);
        let (mut received, mut first, mut last) = (0, None, Instant::now());
        while received < expected {
            let Ok(event) = tokio::time::timeout(SILENCE, eventloop.poll()).await else {
                break;
            };
            if let Event::Incoming(Packet::Publish(_)) = event.unwrap() {
                received += 1;
                if received % 256 == 1 || received == expected {
                    last = Instant::now();
                    first.get_or_insert(last);
                }
            }
        }
        let publisher_cpu = load.join().unwrap();
        Run {
            name: "bare",
            received,
            seconds: (last - first.unwrap()).as_secs_f64(),
            cpu_seconds: process_cpu_seconds() - cpu - publisher_cpu,
        }
    })
}

fn our_settings(qos: Qos) -> IngestSettings {
    let mut connect = ConnectSettings::new("127.0.0.1", PORT, "ours");
    connect.session_expiry = Duration::ZERO;
    let subscription = Subscription {
        filter: TOPIC.into(),
        qos,
        source: SourceId(0),
    };
    let mut settings = IngestSettings::new(connect, vec![subscription]);
    settings.connect.session_expiry = Duration::ZERO;
    settings
}

/// Our ingest, its consumer counting and acknowledging, with the recorder in between or not.
fn our_subscriber(qos: Qos, expected: u64, recorded: bool) -> Run {
    let runtime = runtime();
    let input = ingest::spawn(our_settings(qos), runtime.handle());
    while !input.stats.is_ready() {
        std::thread::yield_now();
    }
    let folder = std::env::temp_dir().join("roadcast-bench-transport-log");
    let mut recorder = recorded.then(|| {
        let writer = Writer::open_dir(&folder, Rotation::default()).unwrap();
        Recorder::spawn(
            writer,
            RecorderSettings::default(),
            |durable: Durable<'_, AckToken>| durable.tokens.for_each(AckToken::acknowledge),
        )
        .unwrap()
    });
    let cpu = process_cpu_seconds();
    let load = publish(qos);
    let (mut received, mut first, mut last) = (0, None, Instant::now());
    while received < expected {
        match input.batches.recv(SILENCE) {
            Received::Batch(batch) => {
                received += batch.messages.len() as u64;
                last = Instant::now();
                first.get_or_insert(last);
                match &mut recorder {
                    Some(recorder) => {
                        let now = Timestamp::from_millis(received as i64);
                        recorder
                            .append(now, Arc::new(batch.messages), batch.ack)
                            .unwrap();
                    }
                    None => batch.ack.acknowledge(),
                }
            }
            _ => {
                println!("nothing came for {SILENCE:?}: {:?}", input.stats);
                println!("{:?}", recorder.as_ref().map(Recorder::stats));
                break;
            }
        }
    }
    let publisher_cpu = load.join().unwrap();
    let run = Run {
        name: if recorded { "ours recorded" } else { "ours" },
        received,
        seconds: (last - first.unwrap()).as_secs_f64(),
        cpu_seconds: process_cpu_seconds() - cpu - publisher_cpu,
    };
    assert_eq!(input.stats.drops().total(), 0);
    if let Some(recorder) = recorder {
        assert_eq!(recorder.finish().unwrap(), received);
        std::fs::remove_dir_all(&folder).unwrap();
    }
    run
}

/// Publishes 20 000 messages a second for 5 s, in groups of 20 each millisecond, and prints how old
/// they are when the consumer has them.
fn latency(qos: Qos) {
    const PER_MS: u64 = 20;
    const TOTAL_MS: u64 = 5000;
    let runtime = runtime();
    let input = ingest::spawn(our_settings(qos), runtime.handle());
    while !input.stats.is_ready() {
        std::thread::yield_now();
    }
    let epoch = Instant::now();
    let sent = Arc::new(AtomicU64::new(0));
    let counter = Arc::clone(&sent);
    let publisher = std::thread::spawn(move || {
        let mut socket = raw_connect();
        let mut buffer = Vec::new();
        for ms in 0..TOTAL_MS {
            let due = Duration::from_millis(ms + 1);
            std::thread::sleep(due.saturating_sub(epoch.elapsed()));
            buffer.clear();
            let mut payload = [b'7'; PAYLOAD_BYTES];
            payload[..8].copy_from_slice(&(epoch.elapsed().as_nanos() as u64).to_le_bytes());
            for index in 0..PER_MS {
                put_publish(&mut buffer, qos, index as u16 + 1, &payload);
            }
            socket.write_all(&buffer).unwrap();
            if qos == Qos::AtLeastOnce {
                let mut acks = [0; 4 * PER_MS as usize];
                socket.read_exact(&mut acks).unwrap();
            }
            counter.fetch_add(PER_MS, Ordering::Relaxed);
        }
    });
    let mut ages_ms = Vec::new();
    while let Received::Batch(batch) = input.batches.recv(SILENCE) {
        let now = epoch.elapsed().as_nanos() as u64;
        for message in &batch.messages {
            let sent = u64::from_le_bytes(message.payload[..8].try_into().unwrap());
            ages_ms.push((now - sent) as f64 / 1e6);
        }
        batch.ack.acknowledge();
        if ages_ms.len() as u64 == PER_MS * TOTAL_MS {
            break;
        }
    }
    publisher.join().unwrap();
    assert_eq!(ages_ms.len() as u64, sent.load(Ordering::Relaxed));
    ages_ms.sort_by(f64::total_cmp);
    let quantile = |q: f64| ages_ms[((ages_ms.len() - 1) as f64 * q) as usize];
    println!(
        "latency {qos:?} at 20 000/s: p50 {:.2} ms, p99 {:.2} ms, max {:.2} ms",
        quantile(0.5),
        quantile(0.99),
        quantile(1.0)
    );
}

fn process_cpu_seconds() -> f64 {
    cpu_seconds("/proc/self/stat")
}

fn thread_cpu_seconds() -> f64 {
    cpu_seconds("/proc/thread-self/stat")
}

/// User and system time of a `stat` file (proc(5)), in ticks of 10 ms.
fn cpu_seconds(path: &str) -> f64 {
    let text = std::fs::read_to_string(path).unwrap();
    let behind_name = text.rsplit(") ").next().unwrap();
    let ticks: u64 = behind_name
        .split(' ')
        .skip(11)
        .take(2)
        .map(|field| field.parse::<u64>().unwrap())
        .sum();
    ticks as f64 / 100.0
}
