//! What every decoder must keep whatever bytes it is given, by family of formats. The fuzz targets
//! and the ordinary test that replays their corpora share it. A check says how much it understood.

use std::cell::RefCell;

use roadcast::observation::{Decoded, Observation, Reading};
use roadcast::units::{Position, Timestamp};
use roadcast::wire::asn1::json::{from_frame, to_frame};
use roadcast::wire::csae::{Envelope, encode_envelope};
use roadcast::wire::its0117::{self, Delimiter, UplinkLimits};
use roadcast::wire::jtt808::{self, LocationReport, Release};
use roadcast::wire::records::{self, NativeRecord};
use roadcast::wire::{
    self, Context, Dialect, Format, ProbeRecord, VehicleName, gtfs_realtime, json, protobuf,
};

pub mod storage;

/// Most records that a decoder may use here.
const RECORDS_MAX: usize = 40;

/// When everything is received.
const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_764_000_000_080);

/// What `payload` is read as, held to its bounds.
fn decoded(format: Format, payload: &[u8]) -> Decoded {
    let context = Context {
        received_at: RECEIVED_AT,
        device: Some("device"),
        records_max: RECORDS_MAX,
        light_codes: roadcast::wire::records::LightCodes::public(),
    };
    let mut out = Decoded::default();
    wire::decode(format, payload, &context, &mut out);
    assert!(out.len() <= RECORDS_MAX, "{} records", out.len());
    // No record is smaller than a byte.
    let refused = out.rejected.total();
    assert!(refused <= payload.len() as u64 + 1, "{refused} refused");
    for seen in &out.observations {
        let speed = seen.speed_mps.unwrap_or(0.0);
        let heading = seen.heading_deg.unwrap_or(0.0);
        let accuracy = seen.accuracy_m.unwrap_or(0.0);
        assert!(seen.position.is_valid(), "{seen:?}");
        assert!((0.0..=70.0).contains(&speed), "{seen:?}");
        assert!((0.0..360.0).contains(&heading), "{seen:?}");
        assert!(accuracy.is_finite() && accuracy >= 0.0, "{seen:?}");
    }
    out
}

/// What an encoder of probes can give back: all but the name, which is hashed.
fn values(seen: &[Observation]) -> Vec<(Timestamp, Position, Option<f32>, Option<f32>)> {
    seen.iter()
        .map(|o| (o.observed_at, o.position, o.speed_mps, o.heading_deg))
        .collect()
}

fn probes(seen: &[Observation]) -> Vec<ProbeRecord<'static>> {
    seen.iter()
        .map(|o| ProbeRecord {
            id: VehicleName::Number(o.subject.0),
            observed_at: o.observed_at,
            position: o.position,
            speed_mps: o.speed_mps,
            heading_deg: o.heading_deg,
            accel_mps2: None,
            kind: None,
        })
        .collect()
}

/// Observations that `write` has written once are not changed by writing them again.
fn rewritten_stays(
    format: Format,
    seen: &[Observation],
    write: impl Fn(&[Observation]) -> Vec<u8>,
) {
    let once = decoded(format, &write(seen));
    let twice = decoded(format, &write(&once.observations));
    assert_eq!(once.observations.len(), seen.len());
    assert_eq!(values(&once.observations), values(&twice.observations));
    for (before, after) in seen.iter().zip(&once.observations) {
        assert_eq!(before.observed_at, after.observed_at);
        let moved_m = before.position.distance_to(after.position).value();
        assert!(moved_m < 0.2, "{before:?} {after:?}");
    }
}

/// T/CSAE 53: frames of both dialects, the envelope, and lines of JSON.
pub fn csae(bytes: &[u8]) -> usize {
    let mut understood = 0;
    for dialect in Dialect::ALL {
        let enveloped = |envelope| decoded(Format::CsaeUper { dialect, envelope }, bytes);
        let bare = enveloped(false);
        match from_frame(dialect, bytes) {
            Ok(line) => {
                assert_eq!(to_frame(dialect, &line).as_deref(), Ok(bytes));
                understood += 1;
            }
            Err(_) => assert!(bare.is_empty(), "{bare:?}"),
        }
        understood += enveloped(true).len();
        if let Ok(line) = serde_json::from_slice(bytes)
            && let Ok(frame) = to_frame(dialect, &line)
        {
            let shown = from_frame(dialect, &frame).expect("what was written can be read");
            assert_eq!(to_frame(dialect, &shown), Ok(frame));
            understood += 1;
        }
    }
    if let Ok(envelope) = Envelope::parse(bytes)
        && !envelope.frames.is_empty()
    {
        let mut again = Vec::new();
        let frames = &envelope.frames;
        encode_envelope(envelope.rsu_id, envelope.sent_at, frames, &mut again);
        assert_eq!(again, bytes);
        understood += 1;
    }
    understood
}

/// roadcast's own formats: JSON probes, JSON records, protobuf batches.
pub fn native(bytes: &[u8]) -> usize {
    let seen = decoded(Format::NativeJson, bytes).observations;
    rewritten_stays(Format::NativeJson, &seen, |seen| {
        let mut payload = Vec::new();
        json::encode_batch(&probes(seen), &mut payload);
        payload
    });
    let columns = decoded(Format::NativeProtobuf, bytes).observations;
    rewritten_stays(Format::NativeProtobuf, &columns, |seen| {
        let mut payload = Vec::new();
        protobuf::encode_batch(&probes(seen), &mut payload);
        payload
    });
    let out = decoded(Format::NativeRecords, bytes);
    records_come_back(&out);
    seen.len() + columns.len() + out.len()
}

fn records_come_back(out: &Decoded) {
    let detectors = out.detectors.iter().cloned().map(NativeRecord::Detector);
    let nameless = out.readings.iter().cloned().map(|mut reading| {
        // A vehicle's name is hashed, and does not leave.
        if let Reading::Passage(passage) = &mut reading {
            passage.vehicle = None;
        }
        reading
    });
    let readings: Vec<Reading> = nameless.collect();
    let mut given: Vec<NativeRecord> = detectors.collect();
    given.extend(readings.iter().cloned().map(NativeRecord::Reading));
    let back = decoded(Format::NativeRecords, &records::encode_batch(&given));
    assert_eq!(back.detectors, out.detectors);
    assert_eq!(back.readings.len(), readings.len());
    for (back, given) in back.readings.into_iter().zip(readings) {
        let (back, given) = (unplaced(back), unplaced(given));
        assert_eq!(back.0, given.0);
        for (back, given) in back.1.into_iter().zip(given.1) {
            // The JSON parser is a unit in the last place off now and then.
            let off_deg =
                (back.lon_deg - given.lon_deg).abs() + (back.lat_deg - given.lat_deg).abs();
            assert!(off_deg < 1e-9, "{back:?} {given:?}");
        }
    }
}

/// A reading without its positions, and these.
fn unplaced(mut reading: Reading) -> (Reading, Vec<Position>) {
    let places = RefCell::new(Vec::new());
    reading.map_positions(|place| {
        places.borrow_mut().push(place);
        Position::new(0.0, 0.0)
    });
    (reading, places.into_inner())
}

/// JSON of other makers: Huawei, OpenV2X, T/ITS 0117, Orange its-client.
pub fn vendor_json(bytes: &[u8]) -> usize {
    let formats = [Format::Huawei, Format::OpenV2x, Format::ItsClient];
    let mut understood: usize = formats
        .map(|format| decoded(format, bytes).len())
        .iter()
        .sum();
    let status = decoded(Format::Its0117, bytes);
    if let [Reading::Device(report)] = &status.readings[..] {
        let written = its0117::encode_report(report);
        let once = decoded(Format::Its0117, &written);
        let [Reading::Device(back)] = &once.readings[..] else {
            panic!("{report:?} is not read back")
        };
        assert_eq!(
            (&back.device, back.stated_at),
            (&report.device, report.stated_at)
        );
        assert_eq!((&back.version, &back.name), (&report.version, &report.name));
        understood += 1;
    }
    if let Ok(answer) = its0117::decode_acknowledgement(bytes) {
        let written = its0117::encode_acknowledgement(&answer);
        assert_eq!(its0117::decode_acknowledgement(&written), Ok(answer));
        understood += 1;
    }
    if let Ok((sequence, limits)) = UplinkLimits::decode(bytes) {
        let written = limits.encode(sequence.unwrap_or(0));
        let read = UplinkLimits::decode(&written).map(|(_, limits)| limits);
        assert_eq!(read, Ok(limits));
        understood += 1;
    }
    if let Ok(topic) = std::str::from_utf8(bytes) {
        for delimiter in [Delimiter::Dot, Delimiter::Slash] {
            if let Some(parts) = delimiter.read(topic) {
                let written = delimiter.write(&parts);
                assert_eq!(delimiter.read(&written), Some(parts));
                understood += 1;
            }
        }
    }
    understood
}

/// Binary formats of other makers: JT/T 808, as it comes and framed around the bytes, and
/// GTFS-Realtime.
pub fn binary(bytes: &[u8]) -> usize {
    let mut understood = 0;
    for payload in [bytes, &framed(bytes)] {
        let seen = decoded(Format::Jtt808, payload).observations;
        understood += seen.len();
        for release in [Release::Y2013, Release::Y2019] {
            rewritten_stays(Format::Jtt808, &seen, |seen| {
                let mut payload = Vec::new();
                for observation in seen {
                    let report = LocationReport {
                        phone: observation.subject.0 % 1_000_000_000_000,
                        serial: 1,
                        observed_at: observation.observed_at,
                        position: observation.position,
                        speed_mps: f64::from(observation.speed_mps.unwrap_or(0.0)),
                        heading_deg: f64::from(observation.heading_deg.unwrap_or(0.0)),
                    };
                    jtt808::encode_location(&report, release, &mut payload);
                }
                payload
            });
        }
    }
    let buses = decoded(Format::GtfsRealtime, bytes).observations;
    rewritten_stays(Format::GtfsRealtime, &buses, |seen| {
        let buses: Vec<_> = seen.iter().map(bus).collect();
        gtfs_realtime::encode(RECEIVED_AT, &buses)
    });
    understood + buses.len()
}

fn bus(seen: &Observation) -> gtfs_realtime::BusPosition {
    gtfs_realtime::BusPosition {
        id: seen.subject.0.to_string(),
        observed_at: seen.observed_at,
        position: seen.position,
        speed_mps: seen.speed_mps,
        heading_deg: seen.heading_deg,
    }
}

/// `message` as a frame of JT/T 808: checksum, escapes and flags.
fn framed(message: &[u8]) -> Vec<u8> {
    let check = message.iter().fold(0, |sum, byte| sum ^ byte);
    let mut frame = vec![0x7e];
    for byte in message.iter().chain([&check]) {
        match byte {
            0x7e => frame.extend([0x7d, 2]),
            0x7d => frame.extend([0x7d, 1]),
            byte => frame.push(*byte),
        }
    }
    frame.push(0x7e);
    frame
}
