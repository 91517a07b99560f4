//! Recovers which roads are one-way where the source doesn't say.

use super::index::SegmentIndex;
use super::model::RoadClass;
use crate::units::Point;

/// A two-point road whose direction of travel is asked for.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) from: Point,
    pub(super) to: Point,
    pub(super) class: RoadClass,
    pub(super) is_link: bool,
}

/// Carriageways of one road lie this far apart, metres between centre lines: 8 is two lanes and a
/// barrier, 45 the widest urban arterial with side strips (measured on the Wuhan network).
const APART_M: std::ops::RangeInclusive<f32> = 8.0..=45.0;
/// Cosine of the largest angle between opposite carriageways, 20 degrees (chosen).
const ANTIPARALLEL_COS: f32 = 0.939_692_6;

/// Which stretches are one-way from `from` to `to`: motorways, trunk roads and links, and those
/// with an opposite carriageway of their class on the left (traffic keeps to the right).
pub(super) fn one_way(stretches: &[Stretch]) -> Vec<bool> {
    let shapes: Vec<[Point; 2]> = stretches.iter().map(|road| [road.from, road.to]).collect();
    let index = SegmentIndex::build(shapes.iter().map(|shape| &shape[..]));
    stretches
        .iter()
        .map(|road| {
            road.class <= RoadClass::Trunk
                || road.is_link
                || has_opposite_on_left(road, stretches, &index)
        })
        .collect()
}

fn has_opposite_on_left(road: &Stretch, stretches: &[Stretch], index: &SegmentIndex) -> bool {
    let Some((ux, uy)) = direction(road) else {
        return false;
    };
    let middle = Point::new(
        (road.from.x + road.to.x) / 2.0,
        (road.from.y + road.to.y) / 2.0,
    );
    let mut found = false;
    let radius_m = APART_M.end() / ANTIPARALLEL_COS;
    index.segments_near(middle, radius_m, &mut |id| {
        let other = &stretches[id.index()];
        let Some((vx, vy)) = direction(other).filter(|_| other.class == road.class) else {
            return;
        };
        let along_m = (middle.x - other.from.x) * vx + (middle.y - other.from.y) * vy;
        let beside = (0.0..=other.from.distance_m(other.to)).contains(&along_m);
        let (px, py) = (
            other.from.x + vx * along_m - middle.x,
            other.from.y + vy * along_m - middle.y,
        );
        let left_m = ux * py - uy * px;
        found |= beside && -(ux * vx + uy * vy) >= ANTIPARALLEL_COS && APART_M.contains(&left_m);
    });
    found
}

fn direction(road: &Stretch) -> Option<(f32, f32)> {
    let length_m = road.from.distance_m(road.to);
    (length_m > 0.0).then(|| {
        (
            (road.to.x - road.from.x) / length_m,
            (road.to.y - road.from.y) / length_m,
        )
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn road(from: (f32, f32), to: (f32, f32), class: RoadClass) -> Stretch {
        Stretch {
            from: Point::new(from.0, from.1),
            to: Point::new(to.0, to.1),
            class,
            is_link: false,
        }
    }

    #[test]
    fn carriageways_of_one_road_are_one_way() {
        use RoadClass::{Motorway, Primary, Residential};
        //   <────────── 0      y = 20
        //   ──────────► 1      y = 0      the same class, 20 m apart: both one-way
        //   ──────────► 2      y = -30    side street, no opposite of its class
        //   ◄────────── 3      y = -80    on the right of nothing
        //   ──────────► 4      y = -140   a motorway always is
        let roads = [
            road((100.0, 20.0), (0.0, 20.0), Primary),
            road((0.0, 0.0), (100.0, 0.0), Primary),
            road((0.0, -30.0), (100.0, -30.0), Residential),
            road((100.0, -80.0), (0.0, -80.0), Primary),
            road((0.0, -140.0), (100.0, -140.0), Motorway),
        ];
        assert_eq!(one_way(&roads), [true, true, false, false, true]);
    }

    #[test]
    fn an_opposite_road_on_the_right_is_another_road() {
        let roads = [
            road((0.0, 20.0), (100.0, 20.0), RoadClass::Primary),
            road((100.0, 0.0), (0.0, 0.0), RoadClass::Primary),
        ];
        assert_eq!(one_way(&roads), [false, false]);
    }
}
