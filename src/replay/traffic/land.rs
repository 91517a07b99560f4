//! Where people live and work, and which segments trips begin and end on.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::demand::Tide;
use crate::network::{Network, RoadClass, SegmentFlags};
use crate::replay::city::City;
use crate::units::{Point, SegmentId};

/// How many destinations a city of demo size has.
const DESTINATIONS: usize = 120;

/// Where people live and work: two business districts, homes around.
pub(super) struct Land {
    centres: [(Point, f32); 3],
}

impl Land {
    pub(super) fn new(city: &City, rng: &mut ChaCha8Rng) -> Self {
        let network = &city.network;
        let foot = |crossing: usize, direction: usize| {
            let chosen = &city.crossings[crossing % city.crossings.len()];
            let last = chosen.directions[direction]
                .last()
                .copied()
                .unwrap_or(SegmentId(0));
            network.locate(last, network.segment(last).length_m).0
        };
        // One district at each end of the middle bridge, a smaller one at the tunnel's south end.
        let mut centres = [(foot(1, 0), 1.0f32), (foot(1, 1), 0.75), (foot(2, 1), 0.5)];
        for (centre, _) in &mut centres {
            centre.x += 1.25 * centre.x.signum() * rng.random_range(0.0..200.0f32);
            centre.y += 1.25 * centre.y.signum() * rng.random_range(0.0..200.0f32);
        }
        Self { centres }
    }

    fn work(&self, at: Point) -> f32 {
        0.10 + self
            .centres
            .iter()
            .map(|&(centre, weight)| weight * (-at.distance_m(centre) / 1_500.0).exp())
            .sum::<f32>()
    }

    fn homes(&self, at: Point) -> f32 {
        let far_m = at.distance_m(Point::new(0.0, 0.0));
        0.25 + (-((far_m - 2_800.0) / 1_900.0).powi(2)).exp()
    }

    /// How many trips a segment sends (`is_origin`) or draws at a time of day.
    pub(super) fn pull(
        &self,
        network: &Network,
        city: &City,
        id: SegmentId,
        at: Point,
        tide: Tide,
        is_origin: bool,
    ) -> f32 {
        let segment = network.segment(id);
        let leads_in = network.movements_into(id).next().is_none();
        if city.gateways.contains(&id) {
            let is_dead_end = network.movements_from(id).is_empty();
            let is_two_way = segment.twin().is_some();
            let starts_outside = leads_in
                || (is_two_way
                    && network
                        .movements_into(id)
                        .all(|m| Some(m.from()) == segment.twin()));
            let ends_outside = is_dead_end || (is_two_way && !starts_outside);
            let fits = if is_origin {
                starts_outside
            } else {
                ends_outside
            };
            let inward = (tide == Tide::Morning) == is_origin;
            let base = if is_origin { 3_400.0 } else { 420.0 };
            let share = if inward { 1.3 } else { 0.7 };
            return if fits {
                f32::from(segment.lanes) * base * share
            } else {
                0.0
            };
        }
        let bad = SegmentFlags::LINK.0 | SegmentFlags::BRIDGE.0 | SegmentFlags::TUNNEL.0;
        if segment.flags.0 & bad != 0 || segment.class() <= RoadClass::Primary {
            return 0.0;
        }
        let homes = (tide == Tide::Morning) == is_origin;
        let density = if homes {
            self.homes(at)
        } else {
            1.6 * self.work(at) + 0.12 * self.homes(at)
        };
        let access = match segment.class() {
            RoadClass::Secondary => 0.5,
            RoadClass::Tertiary => 1.0,
            _ => 0.8,
        };
        density * segment.length_m * access
    }
}

/// Draws distinct destinations by what draws trips, gateways first.
pub(super) fn pick_destinations(
    city: &City,
    land: &Land,
    middle: &[Point],
    tide: Tide,
    rng: &mut ChaCha8Rng,
) -> Vec<SegmentId> {
    let network = &city.network;
    let pull = |id: SegmentId| land.pull(network, city, id, middle[id.index()], tide, false);
    let mut picked: Vec<SegmentId> = city
        .gateways
        .iter()
        .copied()
        .filter(|&id| pull(id) > 0.0)
        .collect();
    let mut pool: Vec<(SegmentId, f32)> = network
        .segment_ids()
        .filter(|id| !city.gateways.contains(id))
        .map(|id| (id, pull(id)))
        .filter(|&(_, weight)| weight > 0.0)
        .collect();
    let wanted = DESTINATIONS.min(network.segment_count() / 12);
    while picked.len() < wanted && !pool.is_empty() {
        let total: f32 = pool.iter().map(|&(_, weight)| weight).sum();
        let mut left = rng.random::<f32>() * total;
        let mut chosen = pool.len() - 1;
        for (index, &(_, weight)) in pool.iter().enumerate() {
            left -= weight;
            if left <= 0.0 {
                chosen = index;
                break;
            }
        }
        let (id, _) = pool.swap_remove(chosen);
        let clear = picked
            .iter()
            .all(|&other| middle[other.index()].distance_m(middle[id.index()]) > 220.0);
        if clear {
            picked.push(id);
        }
    }
    picked
}
