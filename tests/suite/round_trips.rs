//! Encode, then decode: what leaves in a wire format comes back as it was, to the steps of the
//! format. Formats whose properties lie beside their code are not repeated here.

use proptest::prelude::*;
use roadcast::observation::{Decoded, Light, Reading, SignalReading};
use roadcast::units::{Position, Timestamp};
use roadcast::wire::csae::{Envelope, encode_envelope};
use roadcast::wire::its0117::{Kind, UplinkLimits};
use roadcast::wire::openv2x::{
    LaneCongestion, decode_congestion_warning, encode_congestion_warning,
};
use roadcast::wire::{self, Context, Format, ProbeRecord, VehicleName, huawei, openv2x, protobuf};

const RECEIVED_AT: Timestamp = Timestamp::from_millis(1_764_000_000_000);
const MINUTE_MS: i64 = 60_000;

fn decoded(format: Format, payload: &[u8]) -> Decoded {
    let context = Context {
        received_at: RECEIVED_AT,
        device: Some("unit"),
        records_max: 1_000,
        light_codes: roadcast::wire::records::LightCodes::public(),
    };
    let mut out = Decoded::default();
    wire::decode(format, payload, &context, &mut out);
    out
}

prop_compose! {
    /// A position in whole steps of 1e-7 degree.
    fn position()(
        lon in -1_800_000_000i64..=1_800_000_000, lat in -900_000_000i64..=900_000_000,
    ) -> Position {
        Position::new(lon as f64 / 1e7, lat as f64 / 1e7)
    }
}

fn same_place(a: Position, b: Position) -> bool {
    (a.lon_deg - b.lon_deg).abs() < 1e-9 && (a.lat_deg - b.lat_deg).abs() < 1e-9
}

/// A road event with one path or none, and what is the same in both makers' forms.
#[derive(Clone, Debug)]
struct Told {
    id: u8,
    kind: u32,
    place: Position,
    radius: u16,
    path: Vec<Position>,
    text: Option<String>,
    confidence: Option<u8>,
    valid: (i64, i64),
}

prop_compose! {
    fn told()(
        id: u8, kind: u32, place in position(), radius: u16,
        path in prop::collection::vec(position(), 0..5),
        text in prop::option::of("[a-zA-Z0-9 拥堵路段]{1,40}"),
        confidence in prop::option::of(0u8..=200), valid in (-1000i64..1000, 0i64..2000),
    ) -> Told {
        Told { id, kind, place, radius, path, text, confidence, valid }
    }
}

/// What both makers' encoders write for `told` must be it again.
fn check_event(told: &Told, openv2x: bool) -> Result<(), TestCaseError> {
    let paths: Vec<Vec<Position>> = (!told.path.is_empty())
        .then(|| told.path.clone())
        .into_iter()
        .collect();
    let minute = |offset: i64| {
        RECEIVED_AT
            .floor_to(MINUTE_MS)
            .plus_millis(offset * MINUTE_MS)
    };
    let event = huawei::DownEvent {
        event_id: told.id,
        event_type: told.kind,
        position: told.place,
        radius_m: f64::from(told.radius) / 10.0,
        priority: 3,
        paths: &paths,
        path_radius_m: 7.0,
        description: told.text.as_deref(),
        confidence: told.confidence.map(|steps| f64::from(steps) / 200.0),
        // An end before the beginning would be one of the next year.
        valid: (minute(told.valid.0), minute(told.valid.0 + told.valid.1)),
    };
    let events = std::slice::from_ref(&event);
    let out = if openv2x {
        decoded(
            Format::OpenV2x,
            &openv2x::encode_rsi("unit", RECEIVED_AT, told.place, events),
        )
    } else {
        decoded(
            Format::Huawei,
            &huawei::encode_rsi("unit", RECEIVED_AT, told.place, events, Some("7")),
        )
    };
    prop_assert_eq!(out.rejected.total(), 0);
    let [Reading::Event(back)] = &out.readings[..] else {
        return Err(TestCaseError::fail(format!("{out:?}")));
    };
    prop_assert_eq!(back.observed_at, minute(0));
    prop_assert_eq!(back.event, u64::from(told.id));
    prop_assert_eq!(
        back.code,
        roadcast::observation::EventCode::Gbt29100(told.kind)
    );
    prop_assert!(
        back.position
            .is_some_and(|place| same_place(place, told.place))
    );
    prop_assert!(
        back.radius_m
            .is_some_and(|m| (f64::from(m) - event.radius_m).abs() < 1e-3)
    );
    prop_assert_eq!(back.paths.len(), paths.len());
    for (back, path) in back.paths.iter().zip(&paths) {
        prop_assert_eq!(back.len(), path.len());
        prop_assert!(back.iter().zip(path).all(|(a, b)| same_place(*a, *b)));
    }
    prop_assert_eq!(back.description.as_deref(), told.text.as_deref());
    prop_assert_eq!(back.confidence, event.confidence.map(|share| share as f32));
    prop_assert_eq!(
        (back.valid_from, back.valid_until),
        (Some(event.valid.0), Some(event.valid.1))
    );
    Ok(())
}

fn signals() -> impl Strategy<Value = Vec<SignalReading>> {
    let seconds = || prop::option::of((0u16..36_001).prop_map(|marks| f32::from(marks) * 0.1));
    let junction = prop_oneof!["[a-z]{1,8}", "[0-9]{1,3}-[0-9]{1,5}"];
    let signal = (
        junction,
        70_000i64..4_000_000_000_000,
        any::<u32>(),
        0u64..9,
        seconds(),
        seconds(),
    );
    let signal =
        signal.prop_map(
            |(junction, millis, phase, light, begins_in_s, ends_in_s)| SignalReading {
                observed_at: Timestamp::from_millis(millis),
                junction: junction.as_str().into(),
                phase,
                light: Light::from_code(light).expect("below nine"),
                begins_in_s,
                ends_in_s,
            },
        );
    prop::collection::vec(signal, 0..6)
}

proptest! {
    #[test]
    fn events_come_back_from_huawei(told in told()) {
        check_event(&told, false)?;
    }

    #[test]
    fn events_come_back_from_openv2x(told in told()) {
        check_event(&told, true)?;
    }

    #[test]
    fn signals_come_back_from_huawei(signals in signals(), twice: bool) {
        // Phases of one junction and states of one phase are gathered, and stay in order.
        let signals = if twice { [&signals[..], &signals[..]].concat() } else { signals };
        let out = decoded(Format::Huawei, &huawei::encode_spat(&signals));
        let expected: Vec<Reading> = signals.into_iter().map(Reading::Signal).collect();
        prop_assert_eq!(out.readings, expected);
        prop_assert_eq!(out.rejected.total(), 0);
    }

    #[test]
    fn congestion_warnings_come_back(
        reference in position(), start in position(), end in position(),
        lane: u32, level in 0u8..=3, kmh in 0u8..=250, ms in 0i64..4_000_000_000_000,
    ) {
        let told = LaneCongestion { lane, level, speed_mps: f64::from(kmh) / 3.6, start, end };
        let at = Timestamp::from_millis(ms);
        let back = decode_congestion_warning(&encode_congestion_warning(at, reference, &[told]));
        let back = back.map_err(|reason| TestCaseError::fail(reason.label()))?;
        prop_assert!(same_place(back.reference, reference));
        let [(mark, lane)] = back.lanes[..] else {
            return Err(TestCaseError::fail(format!("{back:?}")));
        };
        prop_assert_eq!(i64::from(mark), ms % MINUTE_MS);
        prop_assert_eq!((lane.lane, lane.level), (told.lane, told.level));
        prop_assert!((lane.speed_mps - told.speed_mps).abs() < 1e-4);
        prop_assert!(same_place(lane.start, start) && same_place(lane.end, end));
    }

    #[test]
    fn limits_come_back(sequence: u64, limits in prop::collection::vec(any::<u32>(), 5)) {
        let kinds = [Kind::Bsm, Kind::Rsi, Kind::Rsm, Kind::Map, Kind::Spat];
        let set = kinds.into_iter().zip(limits);
        let told = set.fold(UplinkLimits::default(), |told, (kind, limit)| told.with(kind, limit));
        prop_assert_eq!(UplinkLimits::decode(&told.encode(sequence)), Ok((Some(sequence), told)));
    }

    #[test]
    fn envelopes_come_back(
        rsu_id: [u8; 8], ms: i64, kind in 1u8..5, is_bsm: bool,
        frames in prop::collection::vec(prop::collection::vec(any::<u8>(), 1..40), 1..6),
    ) {
        let mut frames = frames;
        for frame in &mut frames {
            frame[0] = frame[0] & 0x0f | if is_bsm { 0 } else { kind << 4 };
        }
        let mut bytes = Vec::new();
        encode_envelope(rsu_id, Timestamp::from_millis(ms), &frames, &mut bytes);
        let back = Envelope::parse(&bytes);
        let frames = frames.iter().map(Vec::as_slice).collect();
        let sent_at = Timestamp::from_millis(ms);
        prop_assert_eq!(back, Ok(Envelope { rsu_id, sent_at, frames }));
    }

    #[test]
    fn columns_come_back(
        rows in prop::collection::vec(
            (any::<u64>(), 0i64..4_000_000_000_000, position(), prop::option::of(0u16..=7000),
             prop::option::of(0u16..3600)), 0..8),
    ) {
        let records: Vec<ProbeRecord<'_>> = rows
            .iter()
            .map(|(id, ms, position, speed, heading)| ProbeRecord {
                id: VehicleName::Number(*id),
                observed_at: Timestamp::from_millis(*ms),
                position: *position,
                speed_mps: speed.map(|steps| f32::from(steps) / 100.0),
                heading_deg: heading.map(|steps| f32::from(steps) / 10.0),
                accel_mps2: None,
                kind: None,
            })
            .collect();
        let mut payload = Vec::new();
        protobuf::encode_batch(&records, &mut payload);
        let out = decoded(Format::NativeProtobuf, &payload);
        prop_assert_eq!(out.observations.len(), records.len());
        for (back, record) in out.observations.iter().zip(&records) {
            prop_assert_eq!(back.subject, record.id.subject());
            prop_assert_eq!(back.observed_at, record.observed_at);
            prop_assert!(same_place(back.position, record.position));
            prop_assert_eq!(back.speed_mps, record.speed_mps);
            prop_assert_eq!(back.heading_deg, record.heading_deg);
        }
    }
}
