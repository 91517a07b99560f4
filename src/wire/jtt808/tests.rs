use proptest::prelude::*;

use super::*;

fn decoded(payload: &[u8]) -> Decoded {
    let context = Context {
        received_at: Timestamp::from_secs(0),
        device: None,
        records_max: 100,
        light_codes: crate::wire::records::LightCodes::public(),
    };
    let mut out = Decoded::default();
    decode(payload, &context, &mut out);
    out
}

fn report() -> LocationReport {
    LocationReport {
        phone: 13_912_345_678,
        serial: 0x7e7d,
        observed_at: Timestamp::from_secs(1_764_000_000),
        position: Position::new(114.299_951, 30.595_518),
        speed_mps: 12.5,
        heading_deg: 87.0,
    }
}

fn encoded(release: Release) -> Vec<u8> {
    let mut bytes = Vec::new();
    encode_location(&report(), release, &mut bytes);
    bytes
}

#[test]
fn both_releases_are_read_and_name_the_same_vehicle() {
    let mut both = encoded(Release::Y2013);
    both.extend(encoded(Release::Y2019));
    let out = decoded(&both);
    let [first, second] = out.observations[..] else {
        panic!("{out:?}")
    };
    assert_eq!(first, second);
    assert_eq!(first.subject, subject_id(b"13912345678"));
    assert_eq!(first.position, report().position);
    assert_eq!(first.observed_at, report().observed_at);
    assert_eq!(
        (first.speed_mps, first.heading_deg),
        (Some(12.5), Some(87.0))
    );
}

/// Frames a message by hand: escapes and checksum.
fn framed(message: &[u8]) -> Vec<u8> {
    let mut bytes = vec![FLAG];
    let check = message.iter().fold(0, |sum, byte| sum ^ byte);
    for byte in message.iter().chain([&check]) {
        match *byte {
            FLAG => bytes.extend([ESCAPE, 2]),
            ESCAPE => bytes.extend([ESCAPE, 1]),
            byte => bytes.push(byte),
        }
    }
    bytes.push(FLAG);
    bytes
}

fn message(id: u16, properties: u16, body: &[u8]) -> Vec<u8> {
    let mut message = id.to_be_bytes().to_vec();
    message.extend((properties | body.len() as u16).to_be_bytes());
    message.extend([0x01, 0x39, 0x12, 0x34, 0x56, 0x78, 0, 1]);
    message.extend(body);
    framed(&message)
}

fn body() -> Vec<u8> {
    let mut body = Vec::new();
    put_location(&report(), &mut body);
    body
}

#[test]
fn several_locations_and_additional_items_are_read() {
    // Mileage 0x01 of 4 bytes, satellites 0x31 of 1 byte.
    let with_items = [&body()[..], &[0x01, 4, 0, 0, 0, 9, 0x31, 1, 12]].concat();
    let mut several = vec![0, 2, 0];
    for location in [&body(), &with_items] {
        several.extend((location.len() as u16).to_be_bytes());
        several.extend(location);
    }
    assert_eq!(
        decoded(&message(LOCATIONS, 0, &several)).observations.len(),
        2
    );
    assert_eq!(
        decoded(&message(LOCATION, 0, &with_items))
            .observations
            .len(),
        1
    );
}

#[test]
fn what_cannot_be_used_has_a_reason() {
    let check = |payload: &[u8], reason| {
        let out = decoded(payload);
        assert_eq!(out.rejected.get(reason), 1, "{payload:x?}: {out:?}");
        assert!(out.is_empty());
    };
    check(
        &message(LOCATION, MULTI_PACKET, &body()),
        RejectReason::UnsupportedKind,
    );
    check(
        &message(LOCATION, 0x0400, &body()),
        RejectReason::UnsupportedKind,
    );
    check(&message(0x0002, 0, &[]), RejectReason::UnsupportedKind);
    check(
        &message(LOCATION, 0, &body()[..20]),
        RejectReason::Truncated,
    );
    check(
        &message(LOCATION, 0, &[&body()[..], &[1, 4, 0]].concat()),
        RejectReason::Truncated,
    );
    let mut nowhere = body();
    nowhere[7] = 0;
    check(&message(LOCATION, 0, &nowhere), RejectReason::MissingField);
    let mut thirteenth = body();
    thirteenth[23] = 0x13;
    check(&message(LOCATION, 0, &thirteenth), RejectReason::OutOfRange);
    let mut wrong_sum = encoded(Release::Y2013);
    let last = wrong_sum.len() - 2;
    wrong_sum[last] ^= 1;
    check(&wrong_sum, RejectReason::Malformed);
    check(&[], RejectReason::Truncated);
    check(&[1], RejectReason::Malformed);
    check(&[FLAG, 1], RejectReason::Truncated);
    check(&[FLAG, ESCAPE, FLAG], RejectReason::Truncated);
    check(&[FLAG, ESCAPE, 3, FLAG], RejectReason::Malformed);
    check(&[FLAG, FLAG], RejectReason::Truncated);
}

proptest! {
    #[test]
    fn reports_come_back(
        phone in 1u64..1_000_000_000_000, serial: u16, second in 946_656_000i64..4_102_415_999,
        lon in -180_000_000i32..=180_000_000, lat in -90_000_000i32..=90_000_000,
        speed in 0u16..=2520, heading in 0u16..360, newer: bool,
    ) {
        let report = LocationReport {
            phone,
            serial,
            observed_at: Timestamp::from_secs(second),
            position: Position::new(f64::from(lon) / 1e6, f64::from(lat) / 1e6),
            speed_mps: f64::from(speed) / 36.0,
            heading_deg: f64::from(heading),
        };
        let release = if newer { Release::Y2019 } else { Release::Y2013 };
        let mut bytes = Vec::new();
        encode_location(&report, release, &mut bytes);
        let out = decoded(&bytes);
        prop_assert_eq!(out.observations.len(), 1);
        let back = out.observations[0];
        prop_assert_eq!(back.observed_at, report.observed_at);
        prop_assert!(back.position.distance_to(report.position).value() < 0.01);
        prop_assert_eq!(back.speed_mps, Some(report.speed_mps as f32));
        prop_assert_eq!(back.heading_deg, Some(f32::from(heading)));
        prop_assert_eq!(back.subject, subject_id(phone.to_string().as_bytes()));
    }

    #[test]
    fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..80)) {
        decoded(&bytes);
        decoded(&framed(&bytes));
    }
}
