//! Who is where now: the last matched position of every road user, asked by place.
//!
//! [`Whereabouts`] remembers the positions of one virtual partition, one a track; [`Presence`] is
//! all of them at one instant of event time, in an R-tree. It judges no traffic and publishes
//! nothing: pseudonyms stay in here, and who is near an end of a trip or in a sensitive zone is
//! marked as not to be told of.
//!
//! The tree is packed anew for each instant instead of being changed with every position: at
//! 100 000 road users that all move every second, bulk loading is the fastest use of an R-tree
//! (benches/matching.rs, group `presence`; figures in docs/benchmarks.md).

mod whereabouts;

use rstar::primitives::GeomWithData;
use rstar::{AABB, PointDistance, RTree};

use super::{MatchedPosition, Zones};
use crate::network::Network;
use crate::units::{Point, SegmentId, Timestamp};

pub use whereabouts::{Located, PresenceError, Trip, TripEnds, Whereabouts};

/// How long and how many road users are remembered, and who is not told of.
#[derive(Clone, Debug)]
pub struct PresenceSettings {
    /// A position older than this, in event time, says nothing about now, s. Default 120: two
    /// minutes, four reports of a taxi that reports every 30 s.
    pub expire_after_s: i64,
    /// Most road users at once; beyond, those seen longest ago are left out and counted. Default
    /// 1 000 000, 60 MB.
    pub vehicles_max: usize,
    /// What counts as the end of a trip.
    pub trip_ends: TripEnds,
    /// Where nobody is told of.
    pub zones: Zones,
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self {
            expire_after_s: 120,
            vehicles_max: 1_000_000,
            trip_ends: TripEnds::default(),
            zones: Zones::default(),
        }
    }
}

/// One road user who is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Present {
    /// Where it was last, with speed, origin and event time.
    pub position: MatchedPosition,
    /// The same place in the local plane, on the road.
    pub point: Point,
    /// Whether anything that leaves may rest on it: it is not near an end of its trip, as far as can
    /// be known, and not in a sensitive zone.
    pub may_be_told: bool,
}

/// A road user and how far it is from the place asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearby<'a> {
    /// The road user.
    pub vehicle: &'a Present,
    /// Straight-line metres from the place asked about.
    pub distance_m: f32,
}

/// Every road user at one instant of event time.
///
/// Invariant: nobody is in it whose last position is older than
/// [`PresenceSettings::expire_after_s`] before [`Presence::as_of`], and there are at most
/// [`PresenceSettings::vehicles_max`]. Equal inputs in any order give equal answers.
#[derive(Debug)]
pub struct Presence {
    as_of: Timestamp,
    /// Sorted by segment, offset, subject and time.
    vehicles: Vec<Present>,
    /// Places in `vehicles`.
    tree: RTree<GeomWithData<[f32; 2], u32>>,
    left_out_count: usize,
}

impl Presence {
    /// Nobody is anywhere.
    pub fn empty() -> Self {
        Self {
            as_of: Timestamp::MIN,
            vehicles: Vec::new(),
            tree: RTree::new(),
            left_out_count: 0,
        }
    }

    /// Everybody of `positions` who was seen lately enough before `as_of`.
    ///
    /// # Panics
    /// When a position is of another network.
    pub fn new(
        network: &Network,
        settings: &PresenceSettings,
        as_of: Timestamp,
        mut positions: Vec<Located>,
    ) -> Self {
        let since = as_of.plus_millis(-settings.expire_after_s.saturating_mul(1000));
        positions.retain(|located| located.position.observed_at >= since);
        let left_out_count = positions.len().saturating_sub(settings.vehicles_max);
        if left_out_count > 0 {
            // By pseudonym last: who is left out must not depend on the key of the day.
            positions.sort_unstable_by(|a, b| {
                let (a, b) = (&a.position, &b.position);
                (b.observed_at.cmp(&a.observed_at))
                    .then(a.segment.cmp(&b.segment))
                    .then(a.offset_m.total_cmp(&b.offset_m))
                    .then(a.subject.cmp(&b.subject))
            });
            positions.truncate(settings.vehicles_max);
        }
        positions.sort_unstable_by(|a, b| {
            let (a, b) = (&a.position, &b.position);
            (a.segment.cmp(&b.segment))
                .then(a.offset_m.total_cmp(&b.offset_m))
                .then(a.subject.cmp(&b.subject))
                .then(a.observed_at.cmp(&b.observed_at))
        });
        let vehicles: Vec<Present> = positions
            .into_iter()
            .map(|Located { position, trip }| Present {
                position,
                point: network.locate(position.segment, position.offset_m).0,
                may_be_told: !settings.zones.holds(position.segment)
                    && trip.is_under_way(&settings.trip_ends, position.observed_at, as_of),
            })
            .collect();
        let places = vehicles.iter().enumerate().map(|(index, vehicle)| {
            GeomWithData::new([vehicle.point.x, vehicle.point.y], index as u32)
        });
        Self {
            as_of,
            tree: RTree::bulk_load(places.collect()),
            vehicles,
            left_out_count,
        }
    }

    /// The instant of event time this is about.
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Everybody, sorted by segment and metres along it.
    pub fn vehicles(&self) -> &[Present] {
        &self.vehicles
    }

    /// How many were left out because there were more than the limit.
    pub fn left_out_count(&self) -> usize {
        self.left_out_count
    }

    /// Everybody within `radius_m` of `point`, nearest first, then by subject.
    pub fn within(&self, point: Point, radius_m: f32) -> Vec<Nearby<'_>> {
        let is_askable = point.x.is_finite() && point.y.is_finite() && radius_m >= 0.0;
        if !is_askable {
            return Vec::new();
        }
        let near = self
            .tree
            .locate_within_distance([point.x, point.y], radius_m * radius_m)
            .map(|place| self.nearby(place.data, point));
        nearest_first(near.collect())
    }

    /// The `count` nearest to `point`, nearest first, then by subject.
    pub fn nearest(&self, point: Point, count: usize) -> Vec<Nearby<'_>> {
        if count == 0 || !(point.x.is_finite() && point.y.is_finite()) {
            return Vec::new();
        }
        let centre = [point.x, point.y];
        let mut farthest_sq = f32::INFINITY;
        let mut found = Vec::with_capacity(count.min(self.vehicles.len()));
        for place in self.tree.nearest_neighbor_iter(centre) {
            // All that are as far as the last one are looked at: the subject decides among them.
            let distance_sq = place.distance_2(&centre);
            if distance_sq > farthest_sq {
                break;
            }
            found.push(self.nearby(place.data, point));
            if found.len() == count {
                farthest_sq = distance_sq;
            }
        }
        let mut found = nearest_first(found);
        found.truncate(count);
        found
    }

    /// Everybody inside a polygon, sorted by segment and metres along it. The outline closes by
    /// itself; fewer than three corners hold nobody. Where it crosses itself the even-odd rule holds.
    pub fn within_polygon(&self, outline: &[Point]) -> Vec<&Present> {
        let corners = outline.iter().map(|corner| [corner.x, corner.y]);
        if outline.len() < 3 || !corners.clone().flatten().all(f32::is_finite) {
            return Vec::new();
        }
        let around = AABB::from_points(corners.collect::<Vec<_>>().iter());
        let mut inside: Vec<u32> = self
            .tree
            .locate_in_envelope(around)
            .map(|place| place.data)
            .filter(|&index| is_inside(self.vehicles[index as usize].point, outline))
            .collect();
        inside.sort_unstable();
        inside
            .into_iter()
            .map(|index| &self.vehicles[index as usize])
            .collect()
    }

    /// Everybody on one segment, by metres along it.
    pub fn on_segment(&self, segment: SegmentId) -> &[Present] {
        let from = self
            .vehicles
            .partition_point(|vehicle| vehicle.position.segment < segment);
        let count =
            self.vehicles[from..].partition_point(|vehicle| vehicle.position.segment == segment);
        &self.vehicles[from..from + count]
    }

    /// Everybody on some segments, segment by segment in the order given.
    pub fn on_segments(&self, segments: &[SegmentId]) -> impl Iterator<Item = &Present> {
        segments
            .iter()
            .flat_map(|&segment| self.on_segment(segment))
    }

    fn nearby(&self, index: u32, point: Point) -> Nearby<'_> {
        let vehicle = &self.vehicles[index as usize];
        Nearby {
            vehicle,
            distance_m: vehicle.point.distance_m(point),
        }
    }
}

fn nearest_first(mut found: Vec<Nearby<'_>>) -> Vec<Nearby<'_>> {
    found.sort_unstable_by(|a, b| {
        let (x, y) = (&a.vehicle.position, &b.vehicle.position);
        (a.distance_m.total_cmp(&b.distance_m))
            .then(x.subject.cmp(&y.subject))
            .then(x.segment.cmp(&y.segment))
            .then(x.observed_at.cmp(&y.observed_at))
    });
    found
}

/// Even-odd rule: a ray to the east crosses the outline an odd number of times (Shimrat 1962,
/// Algorithm 112, CACM 5(8)).
pub(super) fn is_inside(point: Point, outline: &[Point]) -> bool {
    let mut is_inside = false;
    let Some(mut from) = outline.last() else {
        return false;
    };
    for to in outline {
        if (from.y > point.y) != (to.y > point.y) {
            let share = (point.y - from.y) / (to.y - from.y);
            if point.x < from.x + share * (to.x - from.x) {
                is_inside = !is_inside;
            }
        }
        from = to;
    }
    is_inside
}
#[cfg(test)]
mod tests;
