//! Puts the lanes of an edge beside the line of its segment.

use super::driven;
use super::parse::{Edge, Lane, PlanePoint};
use super::permissions::LaneUse;
use crate::network::NetworkBuilder;
use crate::network::lanes::{self, LANES_MAX, LaneIndex, LaneKind};
use crate::units::SegmentId;

/// The place from the kerb of the lane that SUMO gives this index; `None` for one not driven on.
/// SUMO counts from the kerb too, footways and cycle lanes included.
pub(super) fn from_kerb(edge: &Edge, index: u32) -> Option<LaneIndex> {
    let place = driven(edge).position(|lane| lane.index == index)?;
    (place < LANES_MAX).then_some(LaneIndex(place as u8))
}

/// Gives a segment the lanes of its edge; `line` is the geometry of the segment.
pub(super) fn add(
    builder: &mut NetworkBuilder,
    segment: SegmentId,
    edge: &Edge,
    line: &[PlanePoint],
) {
    let [first, second, ..] = line else { return };
    let [.., before_last, last] = line else {
        return;
    };
    let length_m = driven(edge).map(|lane| lane.length_m).fold(0.0, f32::max);
    for (index, lane) in (0..).zip(driven(edge).take(LANES_MAX)) {
        let [start, end] = [lane.shape.first(), lane.shape.last()].map(|end| end.copied());
        let offset_m = [
            left_of(*first, *second, start.unwrap_or_default()),
            left_of(*before_last, *last, end.unwrap_or_default()),
        ];
        let lane = lanes::Lane::new(
            LaneIndex(index),
            kind(lane),
            (0.0, length_m),
            offset_m,
            [lane.width_m; 2],
        );
        builder.add_lane(segment, lane);
    }
}

fn kind(lane: &Lane) -> LaneKind {
    match lane.lane_use {
        LaneUse::Cars if lane.is_acceleration => LaneKind::Entry,
        LaneUse::Cars => LaneKind::Car,
        _ if lane.is_bus_lane => LaneKind::Bus,
        _ => LaneKind::Restricted,
    }
}

/// Metres of `place` to the left of the line from `from` to `to`.
fn left_of(from: PlanePoint, to: PlanePoint, place: PlanePoint) -> f32 {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let long_m = x.hypot(y);
    if long_m > 0.0 {
        ((x * (place.1 - from.1) - y * (place.0 - from.0)) / long_m) as f32
    } else {
        0.0
    }
}
