//! Time-dependent shortest paths over segments and movements.
//!
//! Label-setting search (Dijkstra 1959), exact where travel times are first-in first-out (Kaufman
//! and Smith 1993). Movements decide what connects, so turn bans hold by themselves.

use std::cmp::Reverse;
use std::collections::BinaryHeap;

use super::Network;
use crate::units::{SegmentId, Timestamp};

/// Bounds of one search.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RouteLimits {
    /// Segments that may be settled before the search gives up.
    pub settled_max: usize,
}

impl Default for RouteLimits {
    /// 100 000 segments, about one large city.
    fn default() -> Self {
        Self {
            settled_max: 100_000,
        }
    }
}

/// A way through the network.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Segments in driving order, both ends included.
    pub segments: Vec<SegmentId>,
    /// Seconds from the end of the first segment to the end of the last.
    pub travel_time_s: f32,
}

/// Searches paths in one network; its memory is reused from search to search.
#[derive(Debug)]
pub struct Router<'a> {
    network: &'a Network,
    /// Milliseconds after departure at which the end of a segment is reached, in this search.
    reached_ms: Vec<u64>,
    before: Vec<SegmentId>,
    touched: Vec<SegmentId>,
}

impl<'a> Router<'a> {
    /// Builds a router without searching anything.
    pub fn new(network: &'a Network) -> Self {
        let count = network.segment_count();
        Self {
            network,
            reached_ms: vec![u64::MAX; count],
            before: vec![SegmentId(0); count],
            touched: Vec::new(),
        }
    }

    /// The quickest way from the end of `from` to the end of `to`, leaving at `depart`.
    ///
    /// `travel_time_s` gives the seconds a segment takes when entered at a time; an infinite one is
    /// closed. Equal times are decided by segment ids. `None` when there is no way within the limits.
    pub fn shortest(
        &mut self,
        from: SegmentId,
        to: SegmentId,
        depart: Timestamp,
        travel_time_s: &impl Fn(SegmentId, Timestamp) -> f32,
        limits: RouteLimits,
    ) -> Option<Path> {
        for id in self.touched.drain(..) {
            self.reached_ms[id.index()] = u64::MAX;
        }
        let mut waiting = BinaryHeap::from([Reverse((0u64, from))]);
        self.reached_ms[from.index()] = 0;
        self.touched.push(from);
        let mut settled = 0;
        while let Some(Reverse((reached_ms, id))) = waiting.pop() {
            if reached_ms > self.reached_ms[id.index()] {
                continue;
            }
            if id == to && settled > 0 {
                return Some(self.path(from, to, reached_ms));
            }
            settled += 1;
            if settled > limits.settled_max {
                return None;
            }
            let at = depart.plus_millis(reached_ms as i64);
            for movement in self.network.movements_from(id) {
                let next = movement.to();
                let seconds = travel_time_s(next, at);
                if !(seconds.is_finite() && seconds >= 0.0) {
                    continue;
                }
                let next_ms = reached_ms + (f64::from(seconds) * 1e3) as u64;
                let known_ms = &mut self.reached_ms[next.index()];
                if next_ms < *known_ms {
                    if *known_ms == u64::MAX {
                        self.touched.push(next);
                    }
                    *known_ms = next_ms;
                    self.before[next.index()] = id;
                    waiting.push(Reverse((next_ms, next)));
                }
            }
        }
        None
    }

    fn path(&self, from: SegmentId, to: SegmentId, reached_ms: u64) -> Path {
        let mut segments = vec![to];
        let mut id = to;
        while id != from {
            id = self.before[id.index()];
            segments.push(id);
        }
        segments.reverse();
        Path {
            segments,
            travel_time_s: (reached_ms as f64 / 1e3) as f32,
        }
    }
}
