//! Small networks and minutes for the tests of this room.

use crate::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use crate::units::{Interval, Position, Timestamp};

/// The minute that begins `index` minutes after the epoch.
pub(super) fn minute(index: i64) -> Interval {
    let start = Timestamp::from_secs(index * 60);
    Interval {
        start,
        end: start.plus_secs(60),
    }
}

/// One way: places of both ends by index, and class; segments are 500 m long, 72 km/h, 2 lanes.
fn build(
    places: &[(f64, f64)],
    ways: &[(usize, usize, RoadClass)],
    is_signalised: bool,
) -> Network {
    let at = |(east, north): (f64, f64)| Position::new(114.3 + 0.005 * east, 30.5 + 0.0045 * north);
    let mut builder = NetworkBuilder::new(at(places[0]));
    let junctions: Vec<_> = places
        .iter()
        .map(|&place| builder.add_junction(at(place), is_signalised))
        .collect();
    for (index, &(from, to, class)) in ways.iter().enumerate() {
        let draft = SegmentDraft {
            from: junctions[from],
            to: junctions[to],
            shape: vec![at(places[from]), at(places[to])],
            length_m: Some(500.0),
            class,
            limit_mps: Some(20.0),
            lanes: Some(2),
            flags: SegmentFlags::default(),
            layer: 0,
            source_id: format!("way-{index}"),
            source_dir: 1,
            source_pair: 0,
            name: None,
            name_en: None,
        };
        builder.add_segment(draft).expect("a valid segment");
    }
    builder.connect_all(&mut |_, _| false);
    builder.build().expect("a network")
}

/// ```text
///   ──0──> ──1──>
///       └──2──>
/// ```
pub(super) fn fork() -> Network {
    let places = [(0.0, 0.0), (1.0, 0.0), (2.0, 0.0), (2.0, -1.0)];
    let class = RoadClass::Primary;
    build(
        &places,
        &[(0, 1, class), (1, 2, class), (1, 3, class)],
        false,
    )
}

/// A one-way road of `count` segments, driven from segment 0 on.
pub(super) fn road(count: usize, class: RoadClass, is_signalised: bool) -> Network {
    let places: Vec<(f64, f64)> = (0..=count).map(|index| (index as f64, 0.0)).collect();
    let ways: Vec<_> = (0..count).map(|index| (index, index + 1, class)).collect();
    build(&places, &ways, is_signalised)
}
