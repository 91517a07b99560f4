use rand::seq::SliceRandom;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::*;
use crate::matching::{Outline, ZoneDraft};
use crate::network::csv;
use crate::observation::Origin;
use crate::units::{Metres, Position, SubjectId};

/// Three roads of about 960 m, one behind the other.
fn network() -> Network {
    let text = "from,to,highway,oneway,lon1,lat1,lon2,lat2,len_m\n\
        A,B,primary,yes,114.30,30.59,114.31,30.59,957\n\
        B,C,primary,yes,114.31,30.59,114.32,30.59,957\n\
        C,D,primary,yes,114.32,30.59,114.33,30.59,957\n";
    csv::read("three.csv", text.as_bytes())
        .expect("three roads")
        .0
}

fn seen(subject: u64, segment: u32, offset_m: f32, at_s: i64) -> MatchedPosition {
    MatchedPosition {
        lane: None,
        subject: SubjectId(subject),
        observed_at: Timestamp::from_secs(at_s),
        segment: SegmentId(segment),
        offset_m,
        likelihood: 1.0,
        speed_mps: Some(10.0),
        origin: Origin::Probe,
    }
}

/// The same on a trip of long ago.
fn on_trip(position: MatchedPosition) -> Located {
    let trip = Trip {
        begun_at: position.observed_at.plus_millis(-3_600_000),
        driven_m: 10_000.0,
        on_road_at: Some(position.observed_at),
    };
    Located { position, trip }
}

fn crowd(network: &Network, count: u64) -> Vec<Located> {
    let mut random = ChaCha8Rng::seed_from_u64(11);
    (0..count)
        .map(|subject| {
            let segment = random.random_range(0..network.segment_count() as u32);
            let length_m = network.segment(SegmentId(segment)).length_m;
            // Whole steps of 8 m, so that many stand in the same place.
            let offset_m = (random.random_range(0.0..length_m) / 8.0).floor() * 8.0;
            on_trip(seen(
                subject,
                segment,
                offset_m,
                random.random_range(0..200),
            ))
        })
        .collect()
}

fn subjects<'a>(found: impl IntoIterator<Item = &'a Present>) -> Vec<u64> {
    found
        .into_iter()
        .map(|vehicle| vehicle.position.subject.0)
        .collect()
}

#[test]
fn a_full_scan_finds_the_same() {
    let network = network();
    let settings = PresenceSettings::default();
    let now = Timestamp::from_secs(200);
    let mut positions = crowd(&network, 3_000);
    let presence = Presence::new(&network, &settings, now, positions.clone());
    positions.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
    let shuffled = Presence::new(&network, &settings, now, positions);
    assert!(presence.vehicles().len() > 1_000 && presence.vehicles().len() < 3_000);
    assert!(presence.vehicles() == shuffled.vehicles());
    let mut random = ChaCha8Rng::seed_from_u64(5);
    for _ in 0..100 {
        let (low, high) = network.bounds();
        let (low, high) = (
            network.frame().to_point(low),
            network.frame().to_point(high),
        );
        let point = Point::new(
            random.random_range(low.x..high.x),
            random.random_range(low.y - 50.0..high.y + 50.0),
        );
        let radius_m = random.random_range(0.0..400.0f32);
        let mut all: Vec<(f32, u64)> = presence
            .vehicles()
            .iter()
            .map(|vehicle| (vehicle.point.distance_m(point), vehicle.position.subject.0))
            .collect();
        all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
        let expected: Vec<u64> = all
            .iter()
            .filter(|(distance_m, _)| *distance_m <= radius_m)
            .map(|&(_, subject)| subject)
            .collect();
        for one in [&presence, &shuffled] {
            let found = subjects(one.within(point, radius_m).iter().map(|near| near.vehicle));
            assert!(found == expected, "{point:?} {radius_m}");
            let found = subjects(one.nearest(point, 17).iter().map(|near| near.vehicle));
            let nearest: Vec<u64> = all[..17].iter().map(|&(_, subject)| subject).collect();
            assert!(found == nearest, "{point:?}");
        }
    }
    let on_all = subjects(presence.on_segments(&[SegmentId(2), SegmentId(0), SegmentId(1)]));
    assert_eq!(on_all.len(), presence.vehicles().len());
    assert!(
        presence
            .on_segment(SegmentId(1))
            .iter()
            .all(|vehicle| vehicle.position.segment == SegmentId(1))
    );
}

#[test]
fn a_polygon_holds_who_is_inside() {
    let network = network();
    let now = Timestamp::from_secs(60);
    let positions = vec![
        on_trip(seen(1, 0, 100.0, 60)),
        on_trip(seen(2, 0, 500.0, 60)),
        on_trip(seen(3, 1, 100.0, 60)),
    ];
    let presence = Presence::new(&network, &PresenceSettings::default(), now, positions);
    let at = |segment, offset_m, up_m: f32| {
        let (point, _) = network.locate(SegmentId(segment), offset_m);
        Point::new(point.x, point.y + up_m)
    };
    let outline = [
        at(0, 400.0, -20.0),
        at(1, 200.0, -20.0),
        at(1, 200.0, 20.0),
        at(0, 400.0, 20.0),
    ];
    assert_eq!(subjects(presence.within_polygon(&outline)), [2, 3]);
    // A notch cut into it leaves the second one out.
    let notched = [
        outline[0],
        at(0, 480.0, -20.0),
        at(0, 500.0, 15.0),
        at(0, 520.0, -20.0),
        outline[1],
        outline[2],
        outline[3],
    ];
    assert_eq!(subjects(presence.within_polygon(&notched)), [3]);
    assert!(presence.within_polygon(&outline[..2]).is_empty());
    let broken = [outline[0], Point::new(f32::NAN, 0.0), outline[2]];
    assert!(presence.within_polygon(&broken).is_empty());
}

#[test]
fn the_silent_and_the_surplus_are_left_out() {
    let network = network();
    let now = Timestamp::from_secs(1_000);
    let settings = PresenceSettings {
        expire_after_s: 30,
        vehicles_max: 2,
        ..PresenceSettings::default()
    };
    let positions = vec![
        on_trip(seen(1, 0, 1.0, 969)),
        on_trip(seen(2, 0, 2.0, 970)),
        on_trip(seen(3, 0, 3.0, 990)),
        on_trip(seen(4, 0, 4.0, 1_003)),
    ];
    let presence = Presence::new(&network, &settings, now, positions);
    assert_eq!(subjects(presence.vehicles()), [3, 4]);
    assert_eq!((presence.left_out_count(), presence.as_of()), (1, now));
    assert!(Presence::empty().within(Point::default(), 1e9).is_empty());
    assert!(presence.within(Point::default(), f32::NAN).is_empty());
    assert!(presence.nearest(Point::new(f32::NAN, 0.0), 1).is_empty());
}

#[test]
fn whereabouts_keep_the_last_place_of_a_track_and_survive_a_restart() {
    let network = network();
    let mut whereabouts = Whereabouts::default();
    whereabouts.record(5, seen(50, 0, 1.0, 10), 0.0);
    whereabouts.record(2, seen(20, 1, 2.0, 95), 0.0);
    whereabouts.record(5, seen(50, 0, 9.0, 100), 8.0);
    whereabouts.record(
        3,
        MatchedPosition {
            lane: None,
            speed_mps: None,
            origin: Origin::Rsm,
            ..seen(30, 2, 3.0, 20)
        },
        0.0,
    );
    let mut bytes = Vec::new();
    whereabouts.snapshot(&mut bytes);
    let mut back = Whereabouts::restore(&bytes, network.segment_count()).expect("whole");
    assert!(back == whereabouts);
    for (bytes, count, problem) in [
        (&bytes[..0], 3, PresenceError::Empty),
        (&bytes[..20], 3, PresenceError::CutShort(19)),
        (&bytes[..], 2, PresenceError::OutOfRange(SegmentId(2))),
        (&[9][..], 3, PresenceError::Version(9)),
    ] {
        assert_eq!(Whereabouts::restore(bytes, count), Err(problem));
    }
    let mut present = Vec::new();
    back.collect(Timestamp::from_secs(90), |_| None, &mut present);
    let offsets: Vec<f32> = present
        .iter()
        .map(|located| located.position.offset_m)
        .collect();
    assert_eq!(offsets, [2.0, 9.0]);
    present.clear();
    back.collect(Timestamp::MIN, |_| None, &mut present);
    assert_eq!(present.len(), 2, "what was too old is forgotten");
}

#[test]
fn the_ends_of_a_trip_and_zones_are_not_told_of() {
    let network = network();
    let zone = ZoneDraft {
        name: "clinic".into(),
        outline: Outline::Circle {
            centre: network.position_at(SegmentId(2), 500.0),
            radius: Metres(50.0),
        },
    };
    let settings = PresenceSettings {
        zones: Zones::new(&network, &[zone]).expect("a segment lies there"),
        ..PresenceSettings::default()
    };
    // 5 m/s along the first road, then 10 m/s: 300 m are behind it before two minutes are.
    let mut whereabouts = Whereabouts::default();
    let mut told_at = |second: i64, on_road_at: Option<i64>| {
        let (segment, offset_m) = (second as u32 / 200, (second % 200) as f32 * 4.0);
        whereabouts.record(0, seen(1, segment, offset_m, second), 4.0);
        let mut present = Vec::new();
        let on_road_at = on_road_at.map(Timestamp::from_secs);
        whereabouts.collect(Timestamp::MIN, |_| on_road_at, &mut present);
        let now = Timestamp::from_secs(second);
        Presence::new(&network, &settings, now, present).vehicles()[0].may_be_told
    };
    for (second, expected) in [(0, false), (76, false), (119, false), (120, false)] {
        assert_eq!(told_at(second, Some(second)), expected, "{second} s");
    }
    // Positions came too rarely above: 4 m each. Now they come every second.
    let mut first = None;
    for second in 121..400 {
        if told_at(second, Some(second)) {
            first.get_or_insert(second);
        }
    }
    // 300 m are 75 steps of 4 m, of which four were taken before.
    assert_eq!(first, Some(120 + 75 - 3));
    assert!(told_at(399, Some(339)), "heard of a minute ago");
    assert!(!told_at(399, Some(338)), "may have arrived");
    assert!(!told_at(399, None), "has left the roads");
    assert!(!told_at(401, Some(401)), "the third road lies in the zone");
    assert!(!told_at(530, Some(530)), "a new trip after a silence");
    let nowhere = ZoneDraft {
        name: "typo".into(),
        outline: Outline::Circle {
            centre: Position::new(0.0, 0.0),
            radius: Metres(50.0),
        },
    };
    let error = Zones::new(&network, &[nowhere]).expect_err("nothing lies there");
    assert!(error.to_string().contains("typo"), "{error}");
}
