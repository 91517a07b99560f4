//! Who wants to go where, by which way: seeded zones, route trees, and the flows that follow.
//!
//! Trips are drawn by a gravity model; ways come from an incremental assignment, the method of
//! successive averages over BPR costs (Sheffi 1985, ch. 5): each variant of the trees answers the
//! load of the ones before, and vehicles choose among the variants.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::land::{Land, pick_destinations};
use super::roads::Roads;
use crate::network::Network;
use crate::replay::city::City;
use crate::units::{Point, SegmentId};

/// No next segment.
pub(super) const NOWHERE: u32 = u32::MAX;
/// Distance over which the wish to travel falls to a third, metres. Chosen.
const GRAVITY_M: f32 = 4_200.0;

/// A time of day with its own wishes.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Tide {
    /// From homes to work.
    Morning,
    /// Back.
    Evening,
}

/// Flows for one trip an hour over the whole city.
#[derive(Clone, Debug)]
pub(super) struct Flows {
    /// Vehicles that pass, by segment.
    pub(super) segment: Vec<f32>,
    /// By movement index.
    pub(super) movement: Vec<f32>,
    /// Trips that begin, by segment.
    pub(super) begun: Vec<f32>,
    /// Trips that end, by segment.
    pub(super) ended: Vec<f32>,
    /// Mean travel time without queues, seconds.
    pub(super) trip_s: f32,
}

/// Destinations with the trees that lead there.
#[derive(Debug)]
pub(super) struct Demand {
    pub(super) destinations: Vec<SegmentId>,
    /// `variant * destinations + destination`: next segment by segment.
    pub(super) trees: Vec<Vec<u32>>,
    pub(super) variants: usize,
    pub(super) flows: Flows,
    origin_sum: Vec<f64>,
    pull: Vec<f32>,
    middle: Vec<Point>,
}

impl Demand {
    /// Draws zones and assigns `trips_vph` trips an hour.
    pub(super) fn new(
        city: &City,
        roads: &Roads,
        tide: Tide,
        trips_vph: f32,
        variants: usize,
        rng: &mut ChaCha8Rng,
    ) -> Self {
        let network = &city.network;
        let land = Land::new(city, rng);
        let middle: Vec<Point> = network
            .segment_ids()
            .map(|id| network.locate(id, network.segment(id).length_m / 2.0).0)
            .collect();
        let destinations = pick_destinations(city, &land, &middle, tide, rng);
        let pull: Vec<f32> = destinations
            .iter()
            .map(|&id| land.pull(network, city, id, middle[id.index()], tide, false))
            .collect();
        let push: Vec<f32> = network
            .segment_ids()
            .map(|id| land.pull(network, city, id, middle[id.index()], tide, true))
            .collect();
        let mut total = 0.0f64;
        let origin_sum = push
            .iter()
            .map(|&weight| {
                total += f64::from(weight);
                total
            })
            .collect();
        let mut demand = Self {
            trees: Vec::new(),
            variants,
            flows: empty_flows(network),
            destinations,
            origin_sum,
            pull,
            middle,
        };
        demand.assign(network, roads, &push, trips_vph);
        demand
    }

    /// Draws a trip: where it starts and the index of its destination.
    pub(super) fn draw(&self, rng: &mut ChaCha8Rng) -> (SegmentId, usize) {
        let total = self.origin_sum.last().copied().unwrap_or(0.0);
        let at = rng.random::<f64>() * total;
        let origin = self
            .origin_sum
            .partition_point(|&sum| sum <= at)
            .min(self.origin_sum.len() - 1);
        let weights = self.weights(origin);
        let mut left = rng.random::<f32>() * weights.iter().sum::<f32>();
        for (index, weight) in weights.iter().enumerate() {
            left -= weight;
            if left <= 0.0 {
                return (SegmentId(origin as u32), index);
            }
        }
        (SegmentId(origin as u32), weights.len() - 1)
    }

    /// The next segment on the way to a destination.
    pub(super) fn next(&self, tree: usize, segment: SegmentId) -> Option<SegmentId> {
        let next = self.trees[tree][segment.index()];
        (next != NOWHERE).then_some(SegmentId(next))
    }

    fn weights(&self, origin: usize) -> Vec<f32> {
        let from = self.middle[origin];
        self.destinations
            .iter()
            .zip(&self.pull)
            .map(|(&to, pull)| {
                let far_m = from.distance_m(self.middle[to.index()]);
                // Next door one walks; some trips care little for distance.
                let wish = if far_m < 900.0 {
                    0.05
                } else {
                    0.16 + (-far_m / GRAVITY_M).exp()
                };
                pull * wish
            })
            .collect()
    }

    fn assign(&mut self, network: &Network, roads: &Roads, push: &[f32], trips_vph: f32) {
        let count = network.segment_count();
        let push_total: f32 = push.iter().sum();
        // Trips from each segment to each destination, of one trip an hour in all.
        let mut wishes = vec![0.0f32; count * self.destinations.len()];
        for origin in 0..count {
            if push[origin] <= 0.0 {
                continue;
            }
            let weights = self.weights(origin);
            let all: f32 = weights.iter().sum();
            for (index, weight) in weights.iter().enumerate() {
                wishes[index * count + origin] = push[origin] / push_total * weight / all;
            }
        }
        let mut mean = empty_flows(network);
        for variant in 0..self.variants {
            let cost_ms = costs_ms(roads, &mean.segment, trips_vph);
            let mut flows = empty_flows(network);
            for (index, &destination) in self.destinations.iter().enumerate() {
                let tree = Tree::towards(network, roads, &cost_ms, destination);
                tree.load(
                    network,
                    &wishes[index * count..][..count],
                    &cost_ms,
                    &mut flows,
                );
                self.trees.push(tree.next);
            }
            let share = 1.0 / (variant + 1) as f32;
            blend(&mut mean, &flows, share);
        }
        self.flows = mean;
    }
}

fn empty_flows(network: &Network) -> Flows {
    let count = network.segment_count();
    Flows {
        segment: vec![0.0; count],
        movement: vec![0.0; network.movements().len()],
        begun: vec![0.0; count],
        ended: vec![0.0; count],
        trip_s: 0.0,
    }
}

fn blend(mean: &mut Flows, fresh: &Flows, share: f32) {
    let mix = |mean: &mut [f32], fresh: &[f32]| {
        for (m, f) in mean.iter_mut().zip(fresh) {
            *m += (f - *m) * share;
        }
    };
    mix(&mut mean.segment, &fresh.segment);
    mix(&mut mean.movement, &fresh.movement);
    mix(&mut mean.begun, &fresh.begun);
    mix(&mut mean.ended, &fresh.ended);
    mean.trip_s += (fresh.trip_s - mean.trip_s) * share;
}

/// Travel times under load: t0 (1 + 0.6 (q/c)^4), the BPR form with a city's steeper factor.
fn costs_ms(roads: &Roads, load: &[f32], trips_vph: f32) -> Vec<u32> {
    (0..load.len())
        .map(|index| {
            let used = load[index] * trips_vph / 3600.0 / roads.capacity_vps[index].max(1e-3);
            let slower = 1.0 + 0.6 * used.min(3.0).powi(4);
            (roads.free_s[index] * slower * 1000.0) as u32 + 1
        })
        .collect()
}

/// The quickest ways from everywhere to one destination.
struct Tree {
    next: Vec<u32>,
    /// Segments in settling order, nearest first.
    order: Vec<u32>,
    destination: SegmentId,
}

impl Tree {
    fn towards(network: &Network, roads: &Roads, cost_ms: &[u32], destination: SegmentId) -> Self {
        let count = network.segment_count();
        let mut far_ms = vec![u32::MAX; count];
        let mut next = vec![NOWHERE; count];
        let mut order = Vec::with_capacity(count);
        let mut heap = BinaryHeap::from([Reverse((0u32, destination.0))]);
        far_ms[destination.index()] = 0;
        while let Some(Reverse((at_ms, segment))) = heap.pop() {
            if at_ms > far_ms[segment as usize] {
                continue;
            }
            order.push(segment);
            for movement in network.movements_into(SegmentId(segment)) {
                let from = movement.from();
                let turn_ms = turn_ms(network, roads, from, segment);
                let total = at_ms
                    .saturating_add(cost_ms[segment as usize])
                    .saturating_add(turn_ms);
                if total < far_ms[from.index()] {
                    far_ms[from.index()] = total;
                    next[from.index()] = segment;
                    heap.push(Reverse((total, from.0)));
                }
            }
        }
        Self {
            next,
            order,
            destination,
        }
    }

    fn load(&self, network: &Network, wishes: &[f32], cost_ms: &[u32], flows: &mut Flows) {
        let mut passing = wishes.to_vec();
        for &segment in self.order.iter().rev() {
            let index = segment as usize;
            let flow = passing[index];
            if flow <= 0.0 {
                continue;
            }
            flows.begun[index] += wishes[index];
            flows.segment[index] += flow;
            flows.trip_s += flow * cost_ms[index] as f32 / 1000.0;
            if segment == self.destination.0 {
                flows.ended[index] += flow;
                continue;
            }
            let next = self.next[index];
            passing[next as usize] += flow;
            let range = network.movement_range_from(SegmentId(segment));
            for movement in range {
                if network.movements()[movement].to().0 == next {
                    flows.movement[movement] += flow;
                }
            }
        }
    }
}

fn turn_ms(network: &Network, roads: &Roads, from: SegmentId, to: u32) -> u32 {
    network
        .movement_range_from(from)
        .find(|&movement| network.movements()[movement].to().0 == to)
        .map_or(0, |movement| roads.turn_ms[movement])
}
