//! `roadcast record`: MQTT input, or a synthetic fleet, into a recording.

use std::io::Write;
use std::path::{Path, PathBuf};
use std::process::ExitCode;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Duration;

use anyhow::Context;
use bytes::Bytes;

use super::{UsageError, network};
use crate::config::{Protocol, RawMqtt, parse_broker_url};
use crate::ingest::{
    self, AckToken, ConnectSettings, Credentials, IngestSettings, Qos, Received, Subscription,
};
use crate::observation::RawMessage;
use crate::replay::recording::{Durable, Recorder, RecorderSettings, Writer};
use crate::replay::traffic::Fleet;
use crate::units::{SourceId, Timestamp};
use crate::wire::{ProbeRecord, VehicleName, csae, filter_matches, json, protobuf};

/// Event time at which a synthetic recording begins: Tuesday 2025-11-25, 08:00 in China.
const SYNTHETIC_START: Timestamp = Timestamp::from_secs(1_764_028_800);
/// How often the recording loop looks whether it should stop.
const STOP_POLL: Duration = Duration::from_millis(100);

/// Options of `roadcast record`.
#[derive(Debug, clap::Args)]
pub(crate) struct Args {
    /// Record what arrives at this broker until Ctrl-C: mqtt://host[:port].
    #[arg(long, value_name = "URL", required_unless_present = "synthetic")]
    mqtt: Option<String>,
    /// Make a recording of a fleet that wanders over a network.
    #[arg(long, conflicts_with = "mqtt", requires_all = ["network", "vehicles", "seconds"])]
    synthetic: bool,
    /// The recording to write; replaced when it exists.
    #[arg(long, value_name = "FILE")]
    out: PathBuf,
    /// Topic filter to record; may be given several times. Default: those of the configuration's
    /// default routes.
    #[arg(long, value_name = "FILTER")]
    topic: Vec<String>,
    /// Quality of service to subscribe with.
    #[arg(long, default_value_t = 1, value_parser = clap::value_parser!(u8).range(0..=1))]
    qos: u8,
    /// User name at the broker.
    #[arg(long, requires = "password_file")]
    username: Option<String>,
    /// File whose first line is the password.
    #[arg(long, value_name = "FILE")]
    password_file: Option<PathBuf>,
    /// Synthetic: the network, source or compiled.
    #[arg(long, value_name = "FILE")]
    network: Option<PathBuf>,
    /// Synthetic: how many vehicles report, once a second each.
    #[arg(long, value_name = "COUNT")]
    vehicles: Option<usize>,
    /// Synthetic: how many seconds of event time.
    #[arg(long, value_name = "SECONDS")]
    seconds: Option<u32>,
    /// Synthetic: records in a message.
    #[arg(long, default_value_t = 1000, value_parser = clap::value_parser!(u32).range(1..=10_000))]
    batch: u32,
    /// Synthetic: how records are encoded.
    #[arg(long, value_enum, default_value_t = Encoding::Protobuf)]
    format: Encoding,
    /// Synthetic: seed of the fleet.
    #[arg(long, default_value_t = 1)]
    seed: u64,
}

#[derive(Clone, Copy, Debug, PartialEq, Eq, clap::ValueEnum)]
enum Encoding {
    /// Native JSON probe records.
    Json,
    /// The native columnar batch.
    Protobuf,
    /// T/CSAE 53-2019 BSM in the RSU-to-centre envelope, at most 255 in a message.
    Csae,
}

/// BSM an envelope can count.
const ENVELOPE_BSM_MAX: usize = 255;

/// Runs the command.
pub(crate) fn run(args: Args) -> anyhow::Result<ExitCode> {
    if args.synthetic {
        record_fleet(&args)?;
    } else {
        record_broker(&args)?;
    }
    Ok(ExitCode::SUCCESS)
}

fn record_broker(args: &Args) -> anyhow::Result<()> {
    let url = args.mqtt.as_deref().unwrap_or_default();
    let (host, port) =
        parse_broker_url(url).map_err(|error| UsageError(format!("--mqtt {url}: {error}")))?;
    let client_id = format!("roadcast-record-{}", std::process::id());
    let mut connect = ConnectSettings::new(&host, port, &client_id);
    connect.protocol = Protocol::Auto;
    connect.session_expiry = Duration::ZERO;
    if let (Some(username), Some(password_file)) = (&args.username, &args.password_file) {
        connect.credentials = Some(Credentials {
            username: username.clone(),
            password_file: password_file.clone(),
        });
    }
    let settings = IngestSettings::new(connect, subscriptions(args));
    let clock = settings.clock.clone();

    let runtime = tokio::runtime::Builder::new_multi_thread()
        .worker_threads(1)
        .enable_all()
        .build()
        .context("runtime")?;
    let stop = stop_on_signal(&runtime);
    let writer = Writer::create(&args.out)?;
    let on_durable = |durable: Durable<'_, AckToken>| {
        durable.tokens.for_each(AckToken::acknowledge);
    };
    let mut recorder = Recorder::spawn(writer, RecorderSettings::default(), on_durable)?;
    let input = ingest::spawn(settings, runtime.handle());
    while !stop.load(Ordering::Relaxed) {
        if let Received::Batch(batch) = input.batches.recv(STOP_POLL) {
            recorder.append(clock.now(), Arc::new(batch.messages), batch.ack)?;
        }
    }
    input.stop_reading();
    while let Received::Batch(batch) = input.batches.recv(Duration::ZERO) {
        recorder.append(clock.now(), Arc::new(batch.messages), batch.ack)?;
    }
    let count = recorder.finish()?;
    let drops = input.stats.drops();
    let reconnects = input.stats.link.reconnects();
    input.close(Duration::from_secs(2));
    report(&args.out, count, None)?;
    for (reason, dropped) in drops.iter().filter(|(_, dropped)| *dropped > 0) {
        eprintln!("dropped {dropped} ({})", reason.label());
    }
    if reconnects > 0 {
        eprintln!("reconnected {reconnects} times");
    }
    Ok(())
}

fn subscriptions(args: &Args) -> Vec<Subscription> {
    let routes = RawMqtt::default().routes;
    let filters = if args.topic.is_empty() {
        routes.into_iter().map(|route| route.filter).collect()
    } else {
        args.topic.clone()
    };
    let qos = match args.qos {
        0 => Qos::AtMostOnce,
        _ => Qos::AtLeastOnce,
    };
    filters
        .into_iter()
        .zip(0..)
        .map(|(filter, index)| Subscription {
            filter,
            qos,
            source: SourceId(index),
        })
        .collect()
}

/// Set on Ctrl-C and SIGTERM.
fn stop_on_signal(runtime: &tokio::runtime::Runtime) -> Arc<AtomicBool> {
    let stop = Arc::new(AtomicBool::new(false));
    let set = Arc::clone(&stop);
    runtime.spawn(async move {
        use tokio::signal::unix::{SignalKind, signal};
        let terminated = async {
            match signal(SignalKind::terminate()) {
                Ok(mut signal) => signal.recv().await,
                Err(_unavailable) => std::future::pending().await,
            }
        };
        tokio::select! {
            _ = tokio::signal::ctrl_c() => {}
            _ = terminated => {}
        }
        set.store(true, Ordering::Relaxed);
    });
    stop
}

fn record_fleet(args: &Args) -> anyhow::Result<()> {
    let path = args.network.as_deref().unwrap_or(Path::new(""));
    let (network, _) = network::open(path)?;
    let mut fleet = Fleet::new(Arc::new(network), args.vehicles.unwrap_or(0), args.seed);
    let mut writer = Writer::create(&args.out)?;
    let batch = match args.format {
        Encoding::Csae => (args.batch as usize).min(ENVELOPE_BSM_MAX),
        Encoding::Json | Encoding::Protobuf => args.batch as usize,
    };
    let mut encoder = FleetEncoder::new(args.format, batch);
    let mut records = Vec::new();
    let mut record_count = 0u64;
    for second in 0..args.seconds.unwrap_or(0) {
        let now = SYNTHETIC_START.plus_secs(i64::from(second));
        records.clear();
        fleet.tick(now, &mut records);
        record_count += records.len() as u64;
        let message_count = records.len().div_ceil(batch).max(1);
        for (index, chunk) in records.chunks(batch).enumerate() {
            // Messages of one second arrive spread over the second.
            let received_at = now.plus_millis((index * 1000 / message_count) as i64);
            writer.stage(received_at, &encoder.message(index, chunk, received_at))?;
        }
        writer.commit()?;
    }
    let message_count = writer.sync()?;
    report(&args.out, message_count, Some(record_count))?;
    Ok(())
}

/// Turns chunks of records into messages as a data centre of a fleet would send them.
struct FleetEncoder {
    encoding: Encoding,
    batch: usize,
    topics: Vec<Arc<str>>,
    source: SourceId,
    buffer: Vec<u8>,
}

impl FleetEncoder {
    fn new(encoding: Encoding, batch: usize) -> Self {
        // The source a live engine with the default routes would stamp.
        let topic = Self::topic(encoding, "0");
        let source = RawMqtt::default()
            .routes
            .iter()
            .position(|route| filter_matches(&route.filter, &topic))
            .unwrap_or(0);
        Self {
            encoding,
            batch,
            topics: Vec::new(),
            source: SourceId(source as u32),
            buffer: Vec::new(),
        }
    }

    fn topic(encoding: Encoding, sender: &str) -> Arc<str> {
        let kind = match encoding {
            Encoding::Json => "probe",
            Encoding::Protobuf => "batch",
            Encoding::Csae => return Arc::from("V2X/RSU/BSM/UP"),
        };
        Arc::from(format!("roadcast/v1/vehicle/{sender}/{kind}/up"))
    }

    fn message(
        &mut self,
        index: usize,
        records: &[ProbeRecord<'_>],
        received_at: Timestamp,
    ) -> RawMessage {
        self.buffer.clear();
        match (self.encoding, records) {
            (Encoding::Json, [record]) => json::encode_record(record, &mut self.buffer),
            (Encoding::Json, records) => json::encode_batch(records, &mut self.buffer),
            (Encoding::Protobuf, records) => protobuf::encode_batch(records, &mut self.buffer),
            (Encoding::Csae, records) => {
                let frames: Vec<Vec<u8>> = records.iter().map(bsm).collect();
                let rsu_id = (index as u64).to_be_bytes();
                csae::encode_envelope(rsu_id, received_at, &frames, &mut self.buffer);
            }
        }
        let topic = match records {
            [one] if self.batch == 1 => match one.id {
                VehicleName::Number(number) => Self::topic(self.encoding, &number.to_string()),
                VehicleName::Text(text) => Self::topic(self.encoding, text),
            },
            _ => {
                while self.topics.len() <= index {
                    let sender = format!("fleet-{}", self.topics.len());
                    self.topics.push(Self::topic(self.encoding, &sender));
                }
                Arc::clone(&self.topics[index])
            }
        };
        RawMessage {
            received_at,
            source: self.source,
            topic,
            payload: Bytes::copy_from_slice(&self.buffer),
        }
    }
}

/// The record as a basic safety message.
fn bsm(record: &ProbeRecord<'_>) -> Vec<u8> {
    let id = match record.id {
        VehicleName::Number(number) => number.to_be_bytes(),
        VehicleName::Text(_) => record.id.subject().0.to_be_bytes(),
    };
    csae::encode_bsm(&csae::BsmRecord {
        id,
        message_count: (record.observed_at.as_secs().rem_euclid(128)) as u8,
        observed_at: record.observed_at,
        position: record.position,
        speed_mps: record.speed_mps,
        heading_deg: record.heading_deg,
        accel_mps2: record.accel_mps2,
        length_m: 4.6,
        width_m: 1.8,
    })
}

fn report(path: &Path, messages: u64, records: Option<u64>) -> anyhow::Result<()> {
    let mut out = std::io::stdout().lock();
    match records {
        Some(records) => {
            writeln!(
                out,
                "{messages} messages with {records} records in {}",
                path.display()
            )?;
        }
        None => writeln!(out, "{messages} messages in {}", path.display())?,
    }
    Ok(())
}
