//! Sends a fleet's telemetry to a broker at a wanted rate and counts what got through.
//!
//! One thread makes messages, one task feeds them to the connection, one task does nothing but
//! poll it (a task that polls must not wait for its own request queue). Everything is bounded: the
//! seconds, the messages prepared ahead, the requests on their way, the wait for the last answers.
//!
//! Envelopes come from made-up units that obey CONFIG like real ones: they acknowledge it, and keep
//! back what exceeds its `upLimit`.

mod obey;

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rumqttc::{AsyncClient, Event, EventLoop, MqttOptions, Outgoing, Packet, QoS};
use tokio::sync::mpsc;

use self::obey::ObedientUnits;
use super::traffic::{BSM_TOPIC, Fleet, RSM_TOPIC};
use crate::ingest::Clock;
use crate::network::Network;
use crate::units::Timestamp;
use crate::wire::csae::{
    BsmRecord, PARTICIPANTS_MAX, ParticipantKind, RsmParticipant, encode_bsm, encode_envelope,
    encode_rsm,
};
use crate::wire::{ProbeRecord, VehicleName, json, protobuf};

/// Largest packet in both directions, bytes.
const PACKET_BYTES_MAX: usize = 1 << 20;
/// Requests on their way to the connection.
const REQUESTS_MAX: usize = 512;
/// QoS 1 messages without an answer at a time.
const INFLIGHT_MAX: u16 = 2_000;
/// Groups of messages prepared ahead.
const GROUPS_AHEAD: usize = 64;
/// Messages of one group.
const GROUP_MESSAGES: usize = 256;
/// Wait for a full request queue.
const FULL_WAIT: Duration = Duration::from_micros(300);
/// Longest wait for the connection.
const CONNECT_WAIT: Duration = Duration::from_secs(10);
/// Longest wait for the last answers, after the last message.
const DRAIN_WAIT: Duration = Duration::from_secs(15);
/// BSM of one envelope at most; its count is one byte.
const BSM_PER_ENVELOPE: usize = 255;
/// Made-up units, at least and at most.
const UNITS: (usize, usize) = (64, 10_000);
/// Messages a second of one unit, where that many units do. Far below what a unit may send.
const UNIT_MESSAGES_PER_S: f64 = 50.0;

/// How records are encoded.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LoadFormat {
    /// Native JSON.
    Json,
    /// Native columnar protobuf.
    Protobuf,
    /// T/CSAE 53 BSM in UPER, in the RSU-to-centre envelope.
    Csae,
    /// T/CSAE 53 RSM in UPER, one to an envelope: every [`OBJECTS_PER_UNIT`] vehicles are what one
    /// roadside unit perceives, of which 16 at most go into a message.
    Rsm,
}

/// Vehicles that one roadside unit perceives with [`LoadFormat::Rsm`]. Chosen: a busy junction.
pub const OBJECTS_PER_UNIT: usize = 50;

/// What to send where.
#[derive(Clone, Debug)]
pub struct LoadSettings {
    /// Host name or address of the broker.
    pub host: String,
    /// Its TCP port.
    pub port: u16,
    /// User name and password, where the broker wants them.
    pub credentials: Option<(String, String)>,
    /// Client id, unique at the broker.
    pub client_id: String,
    /// Vehicles, at least 1.
    pub vehicles: usize,
    /// Reports a second of each vehicle, > 0.
    pub rate_hz: f64,
    /// Records of one message, at least 1.
    pub batch: usize,
    /// Encoding.
    pub format: LoadFormat,
    /// Seconds to send, wall clock.
    pub seconds: u64,
    /// Whether messages are to be acknowledged (QoS 1).
    pub is_acknowledged: bool,
    /// Seed of the fleet.
    pub seed: u64,
}

/// What was achieved.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LoadReport {
    /// Records in the messages sent.
    pub records: u64,
    /// Messages handed to the network.
    pub messages: u64,
    /// Payload bytes of them.
    pub bytes: u64,
    /// Messages the broker acknowledged; 0 at QoS 0.
    pub acknowledged: u64,
    /// Messages that units kept back because a CONFIG limits them.
    pub kept_back: u64,
    /// From the first message to the end of the asked time or the last answer, seconds.
    pub seconds: f64,
}

/// Why no load could be sent.
#[derive(Debug, thiserror::Error)]
pub enum LoadError {
    /// The broker did not answer in time, or hung up before the first message.
    #[error("no connection to {host}:{port}: {problem}")]
    NotConnected {
        /// Host.
        host: String,
        /// Port.
        port: u16,
        /// What the transport says.
        problem: String,
    },
    /// The connection broke under way.
    #[error("the connection broke after {messages} messages: {problem}")]
    Broken {
        /// Messages sent before.
        messages: u64,
        /// What the transport says.
        problem: String,
    },
}

struct Message {
    topic: Arc<str>,
    payload: Vec<u8>,
    records: u32,
    /// The made-up unit that sends it in an envelope.
    unit: Option<[u8; 8]>,
}

/// Messages of one moment, due `due` after the start.
struct Group {
    due: Duration,
    messages: Vec<Message>,
}

#[derive(Debug, Default)]
struct Progress {
    is_connected: AtomicBool,
    sent: AtomicU64,
    acknowledged: AtomicU64,
    is_closing: AtomicBool,
}

/// Sends what `settings` ask for over `network`.
///
/// # Errors
/// When the broker can't be reached or the connection breaks.
pub async fn run(settings: LoadSettings, network: Arc<Network>) -> Result<LoadReport, LoadError> {
    let mut options = MqttOptions::new(&settings.client_id, &settings.host, settings.port);
    options
        .set_max_packet_size(PACKET_BYTES_MAX, PACKET_BYTES_MAX)
        .set_inflight(INFLIGHT_MAX)
        .set_clean_session(true)
        .set_keep_alive(Duration::from_secs(30));
    if let Some((username, password)) = &settings.credentials {
        options.set_credentials(username, password);
    }
    let (client, eventloop) = AsyncClient::new(options, REQUESTS_MAX);
    let progress = Arc::new(Progress::default());
    let units = Arc::new(ObedientUnits::default());
    let obeying = (settings.format == LoadFormat::Csae).then(|| (client.clone(), units.clone()));
    let mut polling = tokio::spawn(poll(eventloop, Arc::clone(&progress), obeying));
    let not_connected = |problem: String| LoadError::NotConnected {
        host: settings.host.clone(),
        port: settings.port,
        problem,
    };
    let deadline = Instant::now() + CONNECT_WAIT;
    while !progress.is_connected.load(Ordering::Acquire) {
        if polling.is_finished() {
            return Err(not_connected(problem_of(&mut polling).await));
        }
        if Instant::now() > deadline {
            polling.abort();
            return Err(not_connected("no answer".into()));
        }
        tokio::time::sleep(Duration::from_millis(5)).await;
    }
    let (groups, ready) = mpsc::channel(GROUPS_AHEAD);
    let maker_settings = settings.clone();
    let maker = std::thread::spawn(move || make(&maker_settings, network, &groups));
    let outcome = feed(&settings, &client, ready, &progress, &units, &polling).await;
    // The maker ends when its channel is closed; `feed` has dropped the other end.
    drop(tokio::task::spawn_blocking(move || maker.join()).await);
    if polling.is_finished() {
        return Err(LoadError::Broken {
            messages: progress.sent.load(Ordering::Relaxed),
            problem: problem_of(&mut polling).await,
        });
    }
    progress.is_closing.store(true, Ordering::Release);
    if client.try_disconnect().is_err() {
        polling.abort();
    }
    drop(tokio::time::timeout(Duration::from_secs(2), &mut polling).await);
    Ok(outcome)
}

async fn problem_of(polling: &mut tokio::task::JoinHandle<String>) -> String {
    match polling.await {
        Ok(problem) => problem,
        Err(error) => error.to_string(),
    }
}

/// Polls the connection until it ends; returns why.
async fn poll(
    mut eventloop: EventLoop,
    progress: Arc<Progress>,
    obeying: Option<(AsyncClient, Arc<ObedientUnits>)>,
) -> String {
    loop {
        match eventloop.poll().await {
            Ok(Event::Incoming(Packet::ConnAck(_))) => {
                if let Some((client, _)) = &obeying
                    && client
                        .try_subscribe(obey::CONFIG_FILTER, QoS::AtLeastOnce)
                        .is_err()
                {
                    return "CONFIG cannot be subscribed to".into();
                }
                progress.is_connected.store(true, Ordering::Release)
            }
            Ok(Event::Incoming(Packet::Publish(config))) => {
                let taken = obeying.as_ref().and_then(|(client, units)| {
                    let answer = units.take_config(&config.topic, &config.payload)?;
                    Some((client, answer))
                });
                if let Some((client, (topic, payload))) = taken {
                    // The sender asks again where the answer finds no room.
                    client
                        .try_publish(topic, QoS::AtLeastOnce, false, payload)
                        .ok();
                }
            }
            Ok(Event::Incoming(Packet::PubAck(_))) => {
                progress.acknowledged.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Event::Outgoing(Outgoing::Publish(_))) => {
                progress.sent.fetch_add(1, Ordering::Relaxed);
            }
            Ok(Event::Outgoing(Outgoing::Disconnect)) => return String::new(),
            Ok(_) => {}
            Err(error) => return error.to_string(),
        }
    }
}

/// Feeds messages when they are due, waits for the last of them, and counts.
async fn feed(
    settings: &LoadSettings,
    client: &AsyncClient,
    mut ready: mpsc::Receiver<Group>,
    progress: &Progress,
    units: &ObedientUnits,
    polling: &tokio::task::JoinHandle<String>,
) -> LoadReport {
    let qos = if settings.is_acknowledged {
        QoS::AtLeastOnce
    } else {
        QoS::AtMostOnce
    };
    let limit = Duration::from_secs(settings.seconds);
    let (mut records, mut messages, mut bytes) = (0u64, 0u64, 0u64);
    let mut kept_back = 0u64;
    let clock = Clock::wall();
    let start = Instant::now();
    'sending: while let Some(group) = ready.recv().await {
        if let Some(wait) = group.due.checked_sub(start.elapsed()) {
            tokio::time::sleep(wait).await;
        }
        if start.elapsed() > limit {
            break;
        }
        for message in &group.messages {
            if let Some(unit) = &message.unit
                && !units.may_send(clock.now(), unit)
            {
                kept_back += 1;
                continue;
            }
            while client
                .try_publish(&*message.topic, qos, false, message.payload.clone())
                .is_err()
            {
                if start.elapsed() > limit || polling.is_finished() {
                    break 'sending;
                }
                tokio::time::sleep(FULL_WAIT).await;
            }
            records += u64::from(message.records);
            messages += 1;
            bytes += message.payload.len() as u64;
        }
    }
    drop(ready);
    // The last tick counts in full, or a short paced run would look faster than it was.
    if let Some(rest) = limit.checked_sub(start.elapsed()) {
        tokio::time::sleep(rest).await;
    }
    let drained = Instant::now() + DRAIN_WAIT;
    let is_done = || {
        let acknowledged = progress.acknowledged.load(Ordering::Relaxed);
        progress.sent.load(Ordering::Relaxed) >= messages
            && (!settings.is_acknowledged || acknowledged >= messages)
    };
    while !is_done() && Instant::now() < drained && !polling.is_finished() {
        tokio::time::sleep(Duration::from_millis(2)).await;
    }
    LoadReport {
        records,
        messages,
        bytes,
        acknowledged: progress.acknowledged.load(Ordering::Relaxed),
        kept_back,
        seconds: start.elapsed().as_secs_f64(),
    }
}

/// Makes messages in groups until the time is covered or nobody takes them any more.
fn make(settings: &LoadSettings, network: Arc<Network>, groups: &mpsc::Sender<Group>) {
    let mut fleet = Fleet::new(network, settings.vehicles, settings.seed);
    let start = Clock::wall().now();
    let tick_count = (settings.seconds as f64 * settings.rate_hz).ceil() as u64;
    let mut records = Vec::new();
    for tick in 0..tick_count {
        let due_s = tick as f64 / settings.rate_hz;
        let now = start.plus_millis((due_s * 1000.0) as i64);
        records.clear();
        fleet.tick(now, &mut records);
        let chunks = chunks(settings, &records);
        let group_count = chunks.len().div_ceil(GROUP_MESSAGES).max(1);
        for (number, group) in chunks.chunks(GROUP_MESSAGES).enumerate() {
            // The messages of a tick are spread over it.
            let within_s = number as f64 / group_count as f64 / settings.rate_hz;
            let messages = group
                .iter()
                .map(|(unit, chunk)| encode(settings, *unit, now, chunk))
                .collect();
            let group = Group {
                due: Duration::from_secs_f64(due_s + within_s),
                messages,
            };
            if groups.blocking_send(group).is_err() {
                return;
            }
        }
    }
}

/// The records of each message, with the number of the unit that sends it.
fn chunks<'a>(
    settings: &LoadSettings,
    records: &'a [ProbeRecord<'static>],
) -> Vec<(usize, &'a [ProbeRecord<'static>])> {
    let batch = settings.batch.max(1);
    let units = unit_count(settings);
    match settings.format {
        LoadFormat::Rsm => {
            let by_unit = records.chunks(OBJECTS_PER_UNIT).enumerate();
            let messages = by_unit.flat_map(|(unit, objects)| {
                let messages = objects.chunks(batch.min(PARTICIPANTS_MAX));
                messages.map(move |objects| (unit, objects))
            });
            messages.collect()
        }
        LoadFormat::Csae => {
            let messages = records.chunks(batch.min(BSM_PER_ENVELOPE)).enumerate();
            messages
                .map(|(number, chunk)| (number % units, chunk))
                .collect()
        }
        LoadFormat::Json | LoadFormat::Protobuf => {
            let messages = records.chunks(batch).enumerate();
            messages
                .map(|(number, chunk)| (number % units, chunk))
                .collect()
        }
    }
}

fn encode(
    settings: &LoadSettings,
    unit: usize,
    now: Timestamp,
    records: &[ProbeRecord<'static>],
) -> Message {
    let mut payload = Vec::new();
    let is_single = settings.batch == 1;
    let id = match records.first().map(|record| record.id) {
        Some(VehicleName::Number(id)) => id,
        _ => 0,
    };
    let mut envelope_unit = None;
    let topic: Arc<str> = match settings.format {
        LoadFormat::Json => {
            if is_single {
                json::encode_record(&records[0], &mut payload);
                format!("roadcast/v1/vehicle/{id}/probe/up").into()
            } else {
                json::encode_batch(records, &mut payload);
                format!("roadcast/v1/rsu/load{unit:04}/probe/up").into()
            }
        }
        LoadFormat::Protobuf => {
            protobuf::encode_batch(records, &mut payload);
            if is_single {
                format!("roadcast/v1/vehicle/{id}/batch/up").into()
            } else {
                format!("roadcast/v1/rsu/load{unit:04}/batch/up").into()
            }
        }
        LoadFormat::Csae => {
            let frames: Vec<Vec<u8>> = records.iter().map(bsm).collect();
            let rsu_id = unit_id(unit);
            envelope_unit = Some(rsu_id);
            encode_envelope(rsu_id, now, &frames, &mut payload);
            BSM_TOPIC.into()
        }
        LoadFormat::Rsm => {
            let rsu_id = unit_id(unit);
            envelope_unit = Some(rsu_id);
            let frames: Vec<Vec<u8>> = rsm(rsu_id, now, records).into_iter().collect();
            encode_envelope(rsu_id, now, &frames, &mut payload);
            RSM_TOPIC.into()
        }
    };
    Message {
        topic,
        payload,
        records: records.len() as u32,
        unit: envelope_unit,
    }
}

/// What the unit perceives of some vehicles; `None` of none.
fn rsm(rsu_id: [u8; 8], now: Timestamp, records: &[ProbeRecord<'static>]) -> Option<Vec<u8>> {
    let reference = records.first()?.position;
    let participants: Vec<RsmParticipant> = records
        .iter()
        .map(|record| RsmParticipant {
            participant_id: match record.id {
                VehicleName::Number(id) => (id % u64::from(u16::MAX)) as u16,
                VehicleName::Text(_) => 0,
            },
            kind: ParticipantKind::Motor,
            observed_at: record.observed_at,
            position: record.position,
            speed_mps: record.speed_mps,
            heading_deg: record.heading_deg,
            length_m: 4.6,
            width_m: 1.8,
        })
        .collect();
    let count = now.as_secs().rem_euclid(128) as u8;
    encode_rsm(rsu_id, count, reference, &participants).ok()
}

/// How many units batches come from.
fn unit_count(settings: &LoadSettings) -> usize {
    let messages_per_s = settings.vehicles as f64 * settings.rate_hz / settings.batch.max(1) as f64;
    ((messages_per_s / UNIT_MESSAGES_PER_S) as usize).clamp(UNITS.0, UNITS.1)
}

/// The id of a unit in its envelopes, `LOAD0000` to `LOAD9999`.
fn unit_id(unit: usize) -> [u8; 8] {
    let mut id = *b"LOAD0000";
    let mut rest = unit;
    for digit in id.iter_mut().rev().take(4) {
        *digit += (rest % 10) as u8;
        rest /= 10;
    }
    id
}

fn bsm(record: &ProbeRecord<'static>) -> Vec<u8> {
    let id = match record.id {
        VehicleName::Number(id) => id.to_be_bytes(),
        VehicleName::Text(_) => [0; 8],
    };
    encode_bsm(&BsmRecord {
        id,
        message_count: record.observed_at.as_secs().rem_euclid(128) as u8,
        observed_at: record.observed_at,
        position: record.position,
        speed_mps: record.speed_mps,
        heading_deg: record.heading_deg,
        accel_mps2: record.accel_mps2,
        length_m: 4.6,
        width_m: 1.8,
    })
}

#[cfg(test)]
mod tests;
