use super::*;
use crate::units::Position;

fn at(seconds: i64) -> Timestamp {
    Timestamp::from_secs(seconds)
}

/// A heartbeat received at `seconds`, its clock `lead_ms` ahead.
fn heartbeat(device: &str, seconds: i64, lead_ms: i64) -> DeviceReport {
    DeviceReport {
        stated_at: Some(at(seconds).plus_millis(lead_ms)),
        received_at: at(seconds),
        device: device.into(),
        ..DeviceReport::default()
    }
}

/// A message of R1 that the gate lets in.
fn heard(fleet: &mut Fleet, received_at: Timestamp) {
    fleet.heard(received_at, "R1", UplinkKind::Rsm, true);
}

fn only(fleet: &Fleet, now: i64) -> DeviceStatus {
    let mut statuses = fleet.statuses(at(now));
    let first = statuses.next().unwrap();
    assert!(statuses.next().is_none());
    drop(statuses);
    first
}

#[test]
fn a_unit_falls_silent_and_speaks_again() {
    let mut fleet = Fleet::default();
    assert!(fleet.is_empty());
    fleet.report(&heartbeat("R1", 0, 0));
    assert!(!only(&fleet, 180).is_silent);
    assert!(only(&fleet, 181).is_silent);
    heard(&mut fleet, at(200));
    assert!(!only(&fleet, 201).is_silent);
    assert_eq!(only(&fleet, 201).last_seen, at(200));
}

#[test]
fn what_a_report_leaves_out_is_kept() {
    let mut fleet = Fleet::default();
    let mut info = heartbeat("R1", 0, 0);
    info.version = Some("v2".into());
    info.position = Some(Position::new(114.3, 30.6));
    fleet.report(&info);
    fleet.report(&heartbeat("R1", 60, 0));
    let status = only(&fleet, 61);
    assert_eq!(status.report.version.as_deref(), Some("v2"));
    assert!(status.report.position.is_some());
}

#[test]
fn the_least_delayed_report_tells_the_skew() {
    let mut fleet = Fleet::default();
    for (index, lead_ms) in [-900, -40, -1_500].into_iter().enumerate() {
        fleet.report(&heartbeat("R1", 60 * index as i64, lead_ms));
    }
    let skew = only(&fleet, 130).skew;
    assert_eq!(skew.map(|skew| skew.ms), Some(-40));
    assert_eq!(skew.map(|skew| skew.basis), Some(SkewBasis::Stated));
    assert_eq!(fleet.correction_ms("R1", None), 0);
    for index in 3..11 {
        fleet.report(&heartbeat("R1", 60 * index, 5_000));
    }
    assert!(only(&fleet, 610).is_skewed);
    assert_eq!(fleet.correction_ms("R1", None), -5_000);
    assert_eq!(fleet.correction_ms("R2", None), 0);
}

#[test]
fn a_flood_shows_in_the_minute_after_it() {
    let mut fleet = Fleet::default();
    fleet.report(&heartbeat("R1", 0, 0));
    for message in 0..6_001 {
        heard(&mut fleet, Timestamp::from_millis(message * 9));
    }
    assert!(!only(&fleet, 59).is_flooding);
    let status = only(&fleet, 60);
    assert_eq!(
        (status.messages_per_minute, status.is_flooding),
        (6_001, true)
    );
    assert!(!only(&fleet, 120).is_flooding);
}

fn lead(ms: i64) -> Option<MessageLead> {
    Some(MessageLead {
        newest_ms: ms,
        middle_ms: ms,
    })
}

#[test]
fn a_unit_that_never_states_its_time_is_known_by_what_it_sees() {
    for skew_ms in [-300_000, 300_000] {
        let mut fleet = Fleet::default();
        let mut corrections = Vec::new();
        for second in 0..25 {
            heard(&mut fleet, at(second));
            let delay_ms = second % 3 * 100;
            corrections.push(fleet.correction_ms("R1", lead(skew_ms - delay_ms)));
        }
        assert_eq!(
            corrections[18..],
            [
                0, -skew_ms, -skew_ms, -skew_ms, -skew_ms, -skew_ms, -skew_ms
            ]
        );
        let status = only(&fleet, 30);
        assert!(status.is_skewed && status.is_corrected);
        assert_eq!(status.skew.unwrap().basis, SkewBasis::Observed);
        // Off where the time of receipt is none of a clock.
        let mut blind = Fleet::new(FleetSettings {
            is_clock_seen: false,
            ..FleetSettings::default()
        });
        heard(&mut blind, at(0));
        let corrected = (0..25).map(|_| blind.correction_ms("R1", lead(skew_ms)));
        assert_eq!(corrected.max_by_key(|ms| ms.abs()), Some(0));
    }
}

#[test]
fn a_right_clock_with_a_steady_delay_is_not_corrected() {
    let mut fleet = Fleet::default();
    fleet.report(&heartbeat("R1", 0, 0));
    for _ in 0..25 {
        assert_eq!(fleet.correction_ms("R1", lead(-300_000)), 0);
    }
    assert!(!only(&fleet, 30).is_skewed);
}

#[test]
fn a_capture_played_again_is_marked_and_not_made_fresh() {
    let mut fleet = Fleet::default();
    heard(&mut fleet, at(0));
    for _ in 0..25 {
        fleet.correction_ms("R1", lead(-50));
    }
    for _ in 0..40 {
        assert_eq!(fleet.correction_ms("R1", lead(-300_000)), 0);
    }
    let status = only(&fleet, 30);
    assert_eq!((status.is_skewed, status.is_corrected), (true, false));
}

#[test]
fn messages_are_counted_by_kind_and_refused_ones_are_a_flood() {
    let mut fleet = Fleet::default();
    for (kind, is_admitted) in [
        (UplinkKind::Rsm, true),
        (UplinkKind::Rsm, false),
        (UplinkKind::Other, true),
    ] {
        fleet.heard(at(10), "R1", kind, is_admitted);
    }
    let status = only(&fleet, 60);
    assert_eq!(status.by_kind, [0, 0, 2, 0, 0, 1]);
    assert_eq!(
        (status.messages_per_minute, status.refused_per_minute),
        (3, 1)
    );
    assert!(status.is_flooding);
}

#[test]
fn a_snapshot_restores_everything_and_broken_ones_are_refused() {
    let mut fleet = Fleet::default();
    let mut info = heartbeat("R1", 0, 3_000);
    info.name = Some("解放大道".into());
    info.position = Some(Position::new(114.3, 30.6));
    info.cpu = Some(0.5);
    fleet.report(&info);
    fleet.report(&heartbeat("R2", 10, 0));
    heard(&mut fleet, at(61));
    fleet.correction_ms("R1", lead(-300_000));
    let mut bytes = Vec::new();
    fleet.snapshot(&mut bytes);
    let mut back = Fleet::default();
    let mut rest = &bytes[..];
    assert_eq!(back.restore(&mut rest), Some(()));
    assert!(rest.is_empty());
    assert_eq!(back, fleet);
    for end in 0..bytes.len() {
        assert_eq!(Fleet::default().restore(&mut &bytes[..end]), None, "{end}");
    }
}
