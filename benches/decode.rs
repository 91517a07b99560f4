//! Decoding: bytes to observations for each wire format, through the decoder table.
//!
//! First come four plain lines, one for each rate that is asked for on one core, in CPU time, so
//! that a busy machine takes little away (`-- --speeds` prints these alone). Then criterion prints
//! time and elements (records) a second of one payload; divide by the records it holds: 1 for single
//! messages, 50 for batches, 16 for the RSM. Every payload is first decoded and compared with what
//! was encoded.

#![expect(clippy::print_stdout, reason = "a bench tells its figures")]

use std::hint::black_box;
use std::time::{Duration, Instant};

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group};
use roadcast::observation::{Decoded, RawMessage};
use roadcast::units::{Position, SourceId, Timestamp};
use roadcast::wire::csae::{
    BsmRecord, ParticipantKind, RsmParticipant, encode_bsm, encode_envelope, encode_rsm,
};
use roadcast::wire::{
    DecodeLimits, DecoderTable, Format, ProbeRecord, Route, VehicleName, json, protobuf,
};

const NOW_MS: i64 = 1_764_000_000_000;
const BATCH: u32 = 50;

/// The vehicles of a batch: spread over 20 km, every value present.
fn records(names: &[String]) -> Vec<ProbeRecord<'_>> {
    names
        .iter()
        .zip(0u32..)
        .map(|(name, n)| ProbeRecord {
            id: VehicleName::Text(name),
            observed_at: Timestamp::from_millis(NOW_MS + i64::from(n * 17 % 1000)),
            position: Position::new(
                114.2 + 1e-7 * f64::from(n * 39_119 % 2_000_003),
                30.5 + 1e-7 * f64::from(n * 77_377 % 2_000_003),
            ),
            speed_mps: Some(n as f32 * 0.37 % 30.0),
            heading_deg: Some(n as f32 * 47.13 % 360.0),
            accel_mps2: Some(0.25),
            kind: Some("car"),
        })
        .collect()
}

fn message(topic: &str, payload: Vec<u8>) -> RawMessage {
    RawMessage {
        received_at: Timestamp::from_millis(NOW_MS + 80),
        source: SourceId(0),
        topic: topic.into(),
        payload: Bytes::from(payload),
    }
}

/// The table of a site that speaks every format.
fn table() -> DecoderTable {
    let route = |filter: &str, format| Route::new(filter, format);
    let routes = vec![
        route("V2X.RSU.BSM.UP", Format::csae_uper(true)),
        route("roadcast/v1/+/+/csae/up", Format::csae_uper(false)),
        route("roadcast/v1/+/+/batch/up", Format::NativeProtobuf),
        route("roadcast/v1/vehicle/+/probe/up", Format::NativeJson),
    ];
    DecoderTable::new(routes, DecodeLimits::default())
}

fn payloads(records: &[ProbeRecord<'_>]) -> Vec<(&'static str, usize, RawMessage)> {
    let mut out = Vec::new();
    let mut payload = Vec::new();
    json::encode_record(&records[0], &mut payload);
    let probe = "roadcast/v1/vehicle/veh-17/probe/up";
    out.push(("json_single", 1, message(probe, payload)));

    let mut payload = Vec::new();
    json::encode_batch(records, &mut payload);
    out.push(("json_batch", records.len(), message(probe, payload)));

    let mut payload = Vec::new();
    protobuf::encode_batch(records, &mut payload);
    let batch = "roadcast/v1/vehicle/fleet-1/batch/up";
    out.push(("protobuf_batch", records.len(), message(batch, payload)));

    let bsm = |record: &ProbeRecord<'_>| {
        encode_bsm(&BsmRecord {
            id: record.id.subject().0.to_le_bytes(),
            message_count: 1,
            observed_at: record.observed_at,
            position: record.position,
            speed_mps: record.speed_mps,
            heading_deg: record.heading_deg,
            accel_mps2: record.accel_mps2,
            length_m: 4.6,
            width_m: 1.8,
        })
    };
    let csae = "roadcast/v1/rsu/17/csae/up";
    out.push(("bsm", 1, message(csae, bsm(&records[0]))));

    let mut payload = Vec::new();
    let frames: Vec<_> = records.iter().map(bsm).collect();
    encode_envelope(
        *b"RSU-0001",
        Timestamp::from_millis(NOW_MS),
        &frames,
        &mut payload,
    );
    out.push((
        "bsm_envelope",
        frames.len(),
        message("V2X.RSU.BSM.UP", payload),
    ));

    let participants: Vec<_> = records[..16]
        .iter()
        .zip(0..)
        .map(|(record, participant_id)| RsmParticipant {
            participant_id,
            kind: ParticipantKind::Motor,
            observed_at: record.observed_at,
            position: record.position,
            speed_mps: record.speed_mps,
            heading_deg: record.heading_deg,
            length_m: 4.6,
            width_m: 1.8,
        })
        .collect();
    let rsm = encode_rsm(*b"RSU-0001", 1, Position::new(114.3, 30.6), &participants)
        .expect("16 participants are allowed");
    out.push(("rsm", 16, message(csae, rsm)));
    out
}

/// What `message` was read as must be the first records, to the steps of its format.
fn check(name: &str, count: usize, out: &Decoded, records: &[ProbeRecord<'_>]) {
    assert_eq!(out.rejected.total(), 0, "{name}");
    assert_eq!(out.observations.len(), count, "{name}");
    for (observation, record) in out.observations.iter().zip(records) {
        assert_eq!(observation.observed_at, record.observed_at, "{name}");
        let apart_m = observation.position.distance_to(record.position).value();
        assert!(apart_m < 0.02, "{name}: {apart_m} m");
        let close = |a: Option<f32>, b: Option<f32>, step: f32| {
            a.zip(b).is_some_and(|(a, b)| (a - b).abs() <= step)
        };
        assert!(close(observation.speed_mps, record.speed_mps, 0.011));
        assert!(close(observation.heading_deg, record.heading_deg, 0.051));
    }
}

/// A rate that roadcast has to reach on one core.
struct Wanted {
    /// The payload of that name.
    payload: &'static str,
    workload: &'static str,
    unit: &'static str,
    /// Records counted as one unit: an RSM is one frame.
    records_a_unit: usize,
    units_a_second: f64,
}

const WANTED: [Wanted; 4] = [
    Wanted {
        payload: "bsm",
        workload: "T/CSAE 53 BSM, bare UPER",
        unit: "frames",
        records_a_unit: 1,
        units_a_second: 500_000.0,
    },
    Wanted {
        payload: "rsm",
        workload: "T/CSAE 53 RSM of 16 participants, bare UPER",
        unit: "frames",
        records_a_unit: 16,
        units_a_second: 150_000.0,
    },
    Wanted {
        payload: "json_batch",
        workload: "native JSON, batches of 50",
        unit: "records",
        records_a_unit: 1,
        units_a_second: 3_000_000.0,
    },
    Wanted {
        payload: "protobuf_batch",
        workload: "native columnar protobuf, batches of 50",
        unit: "records",
        records_a_unit: 1,
        units_a_second: 20_000_000.0,
    },
];

/// Time that this thread has been running on a core, where the system tells it (Linux).
fn cpu_time() -> Option<Duration> {
    let text = std::fs::read_to_string("/proc/thread-self/schedstat").ok()?;
    let nanos = text.split_whitespace().next()?.parse().ok()?;
    Some(Duration::from_nanos(nanos))
}

/// Seconds of this thread that `work` takes: of CPU time, else of wall time.
fn seconds(work: impl FnOnce()) -> f64 {
    let (wall, cpu) = (Instant::now(), cpu_time());
    work();
    let wall = wall.elapsed();
    let spent = cpu_time().zip(cpu).map_or(wall, |(end, begin)| end - begin);
    spent.as_secs_f64()
}

/// Prints how each of the wanted rates is met: the median of nine runs of a quarter of a second.
fn speeds() {
    const RUNS: usize = 9;
    const RUN_S: f64 = 0.25;
    let names: Vec<_> = (0..BATCH).map(|n| format!("veh-{n}")).collect();
    let records = records(&names);
    let table = table();
    let mut out = Decoded::default();
    let clock = if cpu_time().is_some() { "CPU" } else { "wall" };
    for (name, count, message) in payloads(&records) {
        let Some(wanted) = WANTED.iter().find(|wanted| wanted.payload == name) else {
            continue;
        };
        let mut decode = |times: usize| {
            seconds(|| {
                for _ in 0..times {
                    table.decode(black_box(&message), &mut out);
                    black_box(&out);
                }
            })
        };
        let warm_s = decode(20_000) / 20_000.0;
        let times = (RUN_S / warm_s) as usize;
        let mut rates: Vec<f64> = (0..RUNS)
            .map(|_| (times * count / wanted.records_a_unit) as f64 / decode(times))
            .collect();
        rates.sort_by(f64::total_cmp);
        check(name, count, &out, &records);
        let (rate, asked) = (rates[RUNS / 2], wanted.units_a_second);
        println!(
            "{}: {rate:.0} {} a second of {clock} time on one core (slowest run {:.0}), {} bytes \
             each; wanted {asked:.0}: {}",
            wanted.workload,
            wanted.unit,
            rates[0],
            message.payload.len() * wanted.records_a_unit / count,
            if rate >= asked { "met" } else { "MISSED" },
        );
    }
}

fn decode(c: &mut Criterion) {
    let names: Vec<_> = (0..BATCH).map(|n| format!("veh-{n}")).collect();
    let records = records(&names);
    let table = table();
    let mut out = Decoded::default();
    let mut group = c.benchmark_group("decode");
    for (name, count, message) in payloads(&records) {
        table.decode(&message, &mut out);
        check(name, count, &out, &records);
        eprintln!("{name}: {} bytes a record", message.payload.len() / count);
        group.throughput(Throughput::Elements(count as u64));
        group.bench_function(name, |b| {
            b.iter(|| table.decode(black_box(&message), &mut out))
        });
    }
    group.finish();
}

fn encode(c: &mut Criterion) {
    let names: Vec<_> = (0..BATCH).map(|n| format!("veh-{n}")).collect();
    let records = records(&names);
    let mut payload = Vec::new();
    let mut group = c.benchmark_group("encode");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    group.bench_function("json_batch", |b| {
        b.iter(|| {
            payload.clear();
            json::encode_batch(black_box(&records), &mut payload);
        });
    });
    group.bench_function("protobuf_batch", |b| {
        b.iter(|| {
            payload.clear();
            protobuf::encode_batch(black_box(&records), &mut payload);
        });
    });
    group.finish();
}

/// What the JSON decoder is measured against: the same batch into a derived serde type, without
/// the checks and the hash.
fn peers(c: &mut Criterion) {
    #[derive(serde::Deserialize)]
    struct Probe<'a> {
        id: &'a str,
        ts: i64,
        lon: f64,
        lat: f64,
        speed: Option<f32>,
        heading: Option<f32>,
    }
    #[derive(serde::Deserialize)]
    struct Batch<'a> {
        #[serde(borrow)]
        records: Vec<Probe<'a>>,
    }
    let names: Vec<_> = (0..BATCH).map(|n| format!("veh-{n}")).collect();
    let records = records(&names);
    let mut payload = Vec::new();
    json::encode_batch(&records, &mut payload);
    let parse = |payload: &[u8]| -> f64 {
        let batch: Batch<'_> = serde_json::from_slice(payload).expect("it is valid JSON");
        let sum = |p: &Probe<'_>| {
            p.lon
                + p.lat
                + p.ts as f64
                + p.id.len() as f64
                + f64::from(p.speed.unwrap_or(0.0) + p.heading.unwrap_or(0.0))
        };
        batch.records.iter().map(sum).sum()
    };
    assert!(parse(&payload).is_finite());
    let mut group = c.benchmark_group("peer");
    group.throughput(Throughput::Elements(u64::from(BATCH)));
    group.bench_function("serde_json_batch", |b| {
        b.iter(|| parse(black_box(&payload)))
    });
    group.finish();
}

criterion_group!(benches, decode, encode, peers);

fn main() {
    let asked = |flag: &str| std::env::args().any(|argument| argument == flag);
    if !asked("--test") && !asked("--list") {
        speeds();
    }
    if !asked("--speeds") {
        benches();
        Criterion::default().configure_from_args().final_summary();
    }
}
