//! Candidates for causes.

use std::sync::Arc as Shared;

use super::*;
use crate::state::incident::{IncidentCause, TOLD_EVENTS_MAX, bad_weather};
use crate::units::Position;

fn event(number: u64, code: EventCode, position: Position) -> RoadEvent {
    RoadEvent {
        observed_at: Timestamp::from_secs(0),
        source: Shared::from("R1"),
        event: number,
        code,
        position: Some(position),
        radius_m: None,
        paths: Vec::new(),
        lane: None,
        valid_from: None,
        valid_until: None,
        confidence: None,
        ended: false,
        description: None,
    }
}

fn causes(change: &IncidentChange) -> Vec<(IncidentCause, Vec<&'static str>)> {
    let causes = change.causes().into_iter();
    causes.map(|one| (one.cause, one.evidence)).collect()
}

#[test]
fn bad_weather_reaches_three_kilometres_or_as_far_as_is_told() {
    let network = street(14.0);
    let end = network.position_at(SegmentId(LAST), BLOCK_M);
    let away = |km: f64| Position::new(end.lon_deg + 0.010_43 * km, end.lat_deg);
    let now = Timestamp::from_secs(600);
    let told = |events: &[RoadEvent]| bad_weather(&network, events, now);
    assert!(told(&[]).is_empty());
    assert!(
        told(&[event(1, EventCode::Etsi(2, 0), end)]).is_empty(),
        "an accident"
    );
    // It ends 2.8 km behind the last block: within 3 km of that alone.
    assert_eq!(
        told(&[event(1, EventCode::Etsi(18, 0), away(2.8))]),
        [false, false, true]
    );
    let mut wide = event(1, EventCode::Etsi(18, 0), away(2.8));
    wide.radius_m = Some(3_300.0);
    assert_eq!(told(&[wide.clone()]), [false, true, true]);
    wide.valid_from = Some(Timestamp::from_secs(601));
    assert!(told(&[wide.clone()]).is_empty(), "later");
    // However many are told, the first are looked around.
    let many: Vec<RoadEvent> = (0..5_000)
        .map(|number| event(number, EventCode::Etsi(18, 0), away(0.002 * number as f64)))
        .collect();
    assert_eq!(told(&many), [true, true, true]);
}

#[test]
fn a_vehicle_that_others_pass_is_a_stopped_one_and_alone_all_lanes_are_closed() {
    let mut street = Street::new(14.0);
    street.free(0, 3);
    street.blocked(3, 6);
    let passed = street.changes.last().expect("it is seen");
    let stopped = (IncidentCause::StoppedVehicle, vec!["stuck", "passers"]);
    assert_eq!(causes(passed), [stopped]);

    let mut closed = passed.clone();
    closed.evidence = vec![
        IncidentEvidence::Stuck {
            count: 2,
            longest_s: 200.0,
            before_end_m: 90.0,
        },
        IncidentEvidence::Starved { missing: 9.0 },
    ];
    let all = (IncidentCause::AllLanesClosed, vec!["stuck", "starved"]);
    assert_eq!(causes(&closed), [all]);

    let mut fast = passed.clone();
    fast.is_fast_road = true;
    fast.usual_ratio = Some(0.5);
    let told: Vec<IncidentCause> = causes(&fast).into_iter().map(|cause| cause.0).collect();
    let wanted = [IncidentCause::Breakdown, IncidentCause::RecurrentBottleneck];
    assert_eq!(told, wanted);
}

#[test]
fn what_units_tell_near_it_comes_first_the_nearest_before_the_others() {
    let mut street = Street::new(14.0);
    let network = Arc::clone(&street.room.network);
    let at = |offset_m| network.position_at(SegmentId(MIDDLE), offset_m);
    let far = network.position_at(SegmentId(FIRST), 0.0);
    street.events = vec![
        event(1, EventCode::Etsi(3, 0), at(200.0)),
        event(2, EventCode::Etsi(2, 0), at(150.0)),
        // Congestion is no cause, a sign none either, and roadworks 400 m away are not here.
        event(3, EventCode::Gbt29100(707), at(140.0)),
        event(4, EventCode::Gb5768(38), at(140.0)),
        event(5, EventCode::Etsi(3, 0), far),
        event(6, EventCode::Etsi(18, 0), far),
        event(7, EventCode::Gbt29100(501), at(100.0)),
    ];
    let mut later = event(8, EventCode::Etsi(2, 0), at(140.0));
    later.valid_from = Some(Timestamp::from_secs(86_400));
    street.events.push(later);
    street.free(0, 3);
    street.blocked(3, 6);
    let change = street.changes.last().expect("it is seen");
    let told: Vec<u64> = change.told.iter().map(|told| told.event).collect();
    assert_eq!(told, [2, 7, 1, 6]);
    assert!(change.told.len() <= TOLD_EVENTS_MAX);
    assert!((change.told[0].distance_m - 10.0).abs() < 1.0, "{change:?}");
    use IncidentCause::{Accident, Roadworks, StoppedVehicle, ToldEvent, Weather};
    let order: Vec<IncidentCause> = causes(change).into_iter().map(|cause| cause.0).collect();
    assert_eq!(
        order,
        [Accident, ToldEvent, Roadworks, Weather, StoppedVehicle]
    );
    let again = street.room.active().next().cloned();
    street.restart();
    assert_eq!(street.room.active().next().cloned(), again);
}
