//! The stretches driven between two committed positions.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::RoutePiece;
use super::roads::{NONE, Roads};
use super::track::Place;
use crate::units::SegmentId;

/// Most segments visited in search of one route.
const MAX_VISITED: usize = 4_000;

/// A position committed up to this far behind the last one is noise: the vehicle stands, metres.
const BACKWARD_M: f32 = 60.0;

/// The same across a junction, metres: a position on the segment just left.
const OVERSHOOT_M: f32 = 30.0;

/// Reusable memory of the search, one a thread, and its result.
#[derive(Debug, Default)]
pub(crate) struct Router {
    /// The stretches of the last route found, in driving order.
    pub(crate) pieces: Vec<RoutePiece>,
    /// Metres inside junctions on it.
    pub(crate) junction_m: f32,
    frontier: BinaryHeap<Reverse<(u32, u32)>>,
    labels: Vec<Label>,
    visited: Vec<u32>,
    visit: u32,
}

#[derive(Clone, Copy, Debug)]
struct Label {
    stage: u32,
    before: u32,
    junction_m: f32,
}

impl Router {
    /// Finds the shortest way from `from` to `to` of at most `limit_m`, leaves it in `pieces` and
    /// returns where it ends: `to`, or `from` when `to` is only noise behind it. `None` when there
    /// is no such way.
    pub(crate) fn connect(
        &mut self,
        roads: &Roads,
        from: Place,
        to: Place,
        limit_m: f32,
    ) -> Option<Place> {
        self.clear();
        let is_same = roads.road(from.stage).segment == roads.road(to.stage).segment;
        if is_same && to.offset_m >= from.offset_m - BACKWARD_M {
            let end_m = to.offset_m.max(from.offset_m);
            self.push(roads, from.stage, from.offset_m, end_m);
            return Some(Place {
                stage: from.stage,
                offset_m: end_m,
            });
        }
        if self.search(roads, from, to, limit_m) {
            return Some(to);
        }
        let road = roads.road(from.stage);
        if road.twin == roads.road(to.stage).segment {
            return self.turn_back(roads, from, to);
        }
        if self.search(roads, to, from, OVERSHOOT_M) {
            self.clear();
            self.push(roads, from.stage, from.offset_m, from.offset_m);
            return Some(from);
        }
        None
    }

    /// Forgets the last route.
    pub(crate) fn clear(&mut self) {
        self.pieces.clear();
        self.junction_m = 0.0;
    }

    fn push(&mut self, roads: &Roads, stage: u32, from_m: f32, to_m: f32) {
        self.pieces.push(RoutePiece {
            segment: SegmentId(roads.road(stage).segment),
            from_m,
            to_m,
        });
    }

    /// On to where it turned, and back on the opposite segment.
    fn turn_back(&mut self, roads: &Roads, from: Place, to: Place) -> Option<Place> {
        let here_m = roads.road(from.stage).length_m;
        let there_m = roads.road(to.stage).length_m;
        // The same place on the opposite segment, whose length may differ a little.
        let mirrored_m = (1.0 - to.offset_m / there_m) * here_m;
        let turn_m = mirrored_m.clamp(from.offset_m, here_m);
        let back_m = ((1.0 - turn_m / here_m) * there_m).clamp(0.0, to.offset_m);
        self.push(roads, from.stage, from.offset_m, turn_m);
        self.push(roads, to.stage, back_m, to.offset_m);
        Some(to)
    }

    /// Shortest path over the movements, by distance to the start of each segment.
    fn search(&mut self, roads: &Roads, from: Place, to: Place, limit_m: f32) -> bool {
        self.begin(roads);
        let target_road = roads.road(to.stage);
        let target = roads.start(target_road);
        let home = roads.road(from.stage);
        let end_m = home.length_m - from.offset_m;
        self.push_exits(roads, from.stage, NONE, end_m, limit_m);
        let mut visited_count = 0;
        while let Some(Reverse((start_bits, label))) = self.frontier.pop() {
            let stage = self.labels[label as usize].stage;
            if self.visited[stage as usize] == self.visit {
                continue;
            }
            self.visited[stage as usize] = self.visit;
            let start_m = f32::from_bits(start_bits);
            if roads.road(stage).segment == target_road.segment {
                self.unwind(roads, from, to, label);
                return true;
            }
            visited_count += 1;
            let road = roads.road(stage);
            let end_m = start_m + road.length_m;
            let left_m = roads.end(road).distance_m(target);
            // Stated lengths may be shorter than drawn ones: half the straight line is a bound
            // that holds for any sensible source.
            if end_m + 0.5 * left_m <= limit_m && visited_count < MAX_VISITED {
                self.push_exits(roads, stage, label, end_m, limit_m);
            }
        }
        false
    }

    fn begin(&mut self, roads: &Roads) {
        self.frontier.clear();
        self.labels.clear();
        if self.visited.len() != roads.count() {
            self.visited = vec![0; roads.count()];
            self.visit = 0;
        }
        self.visit = self.visit.wrapping_add(1);
        if self.visit == 0 {
            self.visited.fill(0);
            self.visit = 1;
        }
    }

    fn push_exits(&mut self, roads: &Roads, stage: u32, label: u32, end_m: f32, limit_m: f32) {
        for exit in roads.exits(roads.road(stage)) {
            let start_m = end_m + exit.junction_m;
            if start_m > limit_m || self.visited[exit.to as usize] == self.visit {
                continue;
            }
            self.frontier
                .push(Reverse((start_m.to_bits(), self.labels.len() as u32)));
            self.labels.push(Label {
                stage: exit.to,
                before: label,
                junction_m: exit.junction_m,
            });
        }
    }

    fn unwind(&mut self, roads: &Roads, from: Place, to: Place, last: u32) {
        self.push(roads, to.stage, 0.0, to.offset_m);
        let mut label = self.labels[last as usize];
        self.junction_m = label.junction_m;
        while label.before != NONE {
            label = self.labels[label.before as usize];
            self.junction_m += label.junction_m;
            self.push(roads, label.stage, 0.0, roads.road(label.stage).length_m);
        }
        self.push(
            roads,
            from.stage,
            from.offset_m,
            roads.road(from.stage).length_m,
        );
        self.pieces.reverse();
    }
}
