use proptest::prelude::*;

use super::*;
use crate::units::Timestamp;
use crate::wire::VehicleName;

fn decoded(payload: &[u8]) -> Decoded {
    let mut out = Decoded::default();
    decode(payload, usize::MAX, &mut out);
    out
}

fn decoded_by_prost(payload: &[u8]) -> Decoded {
    let mut out = Decoded::default();
    if let Err(reason) = decode_with_prost(payload, usize::MAX, &mut out) {
        out = Decoded::default();
        out.rejected.add(reason, 1);
    }
    out
}

fn record(number: u64) -> ProbeRecord<'static> {
    ProbeRecord {
        id: VehicleName::Number(number),
        observed_at: Timestamp::from_millis(1_764_000_000_000 + (number as i64 * 37) % 1000),
        position: Position::new(114.3 + 1e-3 * number as f64, 30.6 - 1e-3 * number as f64),
        speed_mps: Some(number as f32 % 30.0),
        heading_deg: Some(number as f32 * 7.0 % 360.0),
        accel_mps2: None,
        kind: None,
    }
}

fn batch(count: u64) -> Vec<u8> {
    let records: Vec<_> = (0..count).map(record).collect();
    let mut payload = Vec::new();
    encode_batch(&records, &mut payload);
    payload
}

#[test]
fn a_batch_is_small_and_comes_back_whole() {
    let payload = batch(100);
    assert!(payload.len() < 100 * 25, "{} bytes", payload.len());
    let out = decoded(&payload);
    assert_eq!(out.rejected.total(), 0);
    assert_eq!(out.observations.len(), 100);
    for (observation, number) in out.observations.iter().zip(0..) {
        let record = record(number);
        assert_eq!(observation.subject, record.id.subject());
        assert_eq!(observation.observed_at, record.observed_at);
        assert!(observation.position.distance_to(record.position).value() < 0.011);
        assert!((observation.speed_mps.unwrap() - record.speed_mps.unwrap()).abs() < 0.006);
    }
}

#[test]
fn torn_columns_refuse_the_whole_batch() {
    let good = ProbeBatch::decode(&batch(5)[..]).unwrap();
    let check = |change: fn(&mut ProbeBatch), reason, count| {
        let mut batch = good.clone();
        change(&mut batch);
        let out = decoded(&batch.encode_to_vec());
        assert_eq!(out.rejected.get(reason), count, "{out:?}");
        assert_eq!(out.rejected.total(), count);
        assert_eq!(
            out.observations.len() as u64,
            if count == 1 && reason == RejectReason::OutOfRange {
                4
            } else {
                0
            }
        );
    };
    check(|b| b.ts_delta_ms.truncate(4), RejectReason::Malformed, 1);
    check(|b| b.lon_delta_e7.push(1), RejectReason::Malformed, 1);
    check(|b| b.subject.truncate(3), RejectReason::Malformed, 1);
    check(
        |b| b.speed_cmps_plus_1.truncate(1),
        RejectReason::Malformed,
        1,
    );
    check(
        |b| b.speed_cmps_plus_1[2] = 7002,
        RejectReason::OutOfRange,
        1,
    );
    check(|b| b.base_ts_ms = -1_000_000, RejectReason::OutOfRange, 5);
}

#[test]
fn optional_columns_may_be_left_out() {
    let mut batch = ProbeBatch::decode(&batch(5)[..]).unwrap();
    batch.speed_cmps_plus_1.clear();
    batch.heading_deci_deg_plus_1[0] = 0;
    let out = decoded(&batch.encode_to_vec());
    assert_eq!(out.observations.len(), 5);
    assert!(out.observations.iter().all(|o| o.speed_mps.is_none()));
    assert_eq!(out.observations[0].heading_deg, None);
    assert_eq!(decoded(&[]).observations.len(), 0);
}

#[test]
fn records_beyond_the_limit_are_counted() {
    let mut out = Decoded::default();
    decode(&batch(10), 4, &mut out);
    assert_eq!(out.observations.len(), 4);
    assert_eq!(out.rejected.get(RejectReason::TooManyRecords), 6);
}

#[test]
fn a_split_column_is_read_as_well() {
    // Protobuf joins repeated fields of concatenated messages, and a default value is not written.
    let whole = ProbeBatch::decode(&batch(5)[..]).unwrap();
    let mut first = whole.clone();
    let second = ProbeBatch {
        base_ts_ms: 0,
        ts_delta_ms: first.ts_delta_ms.split_off(2),
        subject: first.subject.split_off(3),
        lon_delta_e7: first.lon_delta_e7.split_off(1),
        lat_delta_e7: first.lat_delta_e7.split_off(4),
        speed_cmps_plus_1: first.speed_cmps_plus_1.split_off(2),
        heading_deci_deg_plus_1: first.heading_deci_deg_plus_1.split_off(2),
    };
    let out = decoded(&[first.encode_to_vec(), second.encode_to_vec()].concat());
    assert_eq!(out.observations, decoded(&batch(5)).observations);
    assert_eq!(out.rejected.total(), 0);
}

proptest! {
    #[test]
    fn agrees_with_prost(
        base in any::<i64>(),
        rows in prop::collection::vec(
            (-500i64..500, any::<u64>(), -2_000_000_000i64..2_000_000_000,
             -900_000_000i64..900_000_000, 0u64..8000, 0u64..4000), 0..20),
        cut in 0usize..200, at in 0usize..200, byte: u8,
    ) {
        let batch = ProbeBatch {
            base_ts_ms: base % 4_000_000_000_000,
            ts_delta_ms: rows.iter().map(|r| r.0).collect(),
            subject: rows.iter().map(|r| r.1).collect(),
            lon_delta_e7: rows.iter().map(|r| r.2).collect(),
            lat_delta_e7: rows.iter().map(|r| r.3).collect(),
            speed_cmps_plus_1: rows.iter().map(|r| r.4).collect(),
            heading_deci_deg_plus_1: rows.iter().map(|r| r.5).collect(),
        };
        let mut payload = batch.encode_to_vec();
        let whole = decoded(&payload);
        prop_assert_eq!(whole.observations.len() as u64 + whole.rejected.total(), rows.len() as u64);
        for _ in 0..3 {
            let (ours, theirs) = (decoded(&payload), decoded_by_prost(&payload));
            prop_assert_eq!(ours.observations, theirs.observations);
            prop_assert_eq!(ours.rejected, theirs.rejected);
            if let Some(place) = payload.get_mut(at) {
                *place = byte;
            }
            payload.truncate(payload.len().saturating_sub(cut % 40));
        }
    }

    #[test]
    fn garbage_never_panics(bytes: Vec<u8>) {
        let (ours, theirs) = (decoded(&bytes), decoded_by_prost(&bytes));
        prop_assert_eq!(ours.observations, theirs.observations);
        prop_assert_eq!(ours.rejected, theirs.rejected);
    }
}
