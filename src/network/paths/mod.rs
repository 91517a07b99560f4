//! Time-dependent shortest paths over segments and movements, for diversions. Prohibited manoeuvres
//! are obeyed: the search runs over [`Stage`]s.
//!
//! Label-setting search in the order of arrival (Dreyfus 1969, An appraisal of some shortest-path
//! algorithms), directed by the straight-line lower bound (A*, Hart, Nilsson and Raphael 1968). It
//! is exact where travel times are first in, first out: who enters a segment later doesn't leave
//! it earlier. Of equally fast paths the one over smaller segment ids is taken.

mod alternatives;

use std::cmp::Ordering;
use std::collections::BinaryHeap;

pub use alternatives::AlternativeSettings;

use super::manoeuvres::Stage;
use super::model::{Movement, MovementFlags, NONE, Network, SegmentFlags};
use crate::units::{Point, SegmentId, Timestamp};

/// Bounds of one search.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PathLimits {
    /// Segments looked at before giving up; [`Router::gave_up`] tells when it bites.
    pub expansions_max: u32,
    /// The longest travel time of interest, seconds.
    pub travel_time_s_max: f32,
    /// No vehicle is taken to come nearer to the end faster than this, m/s: travel times below it
    /// are raised to it, which keeps the search exact. Larger searches more, smaller distorts.
    pub speed_mps_max: f32,
    /// Whether segments for buses and taxis alone, and turns that are forbidden at times, may be
    /// used; the last segment always may. Private roads and those for who stops there are used
    /// where the trip begins or ends on one, in any case.
    pub with_restricted: bool,
}

impl Default for PathLimits {
    /// 200 000 segments (all of a city of ten million), 3 hours, 120 km/h (Chinese Road Traffic
    /// Safety Law regulations, art. 78), for private cars.
    fn default() -> Self {
        Self {
            expansions_max: 200_000,
            travel_time_s_max: 3.0 * 3600.0,
            speed_mps_max: 120.0 / 3.6,
            with_restricted: false,
        }
    }
}

/// A way from the start of one segment to the end of another.
#[derive(Clone, Debug, PartialEq)]
pub struct Path {
    /// Every segment in order, both ends included.
    pub segments: Vec<SegmentId>,
    /// When the end of the last segment is reached.
    pub arrival: Timestamp,
    /// Seconds from the start of the first segment to the end of the last.
    pub travel_time_s: f32,
    /// Metres along segments and junctions.
    pub length_m: f32,
}

/// The memory of a search, kept from one to the next.
#[derive(Debug, Default)]
pub struct SearchScratch {
    labels: Vec<Label>,
    queue: BinaryHeap<Entry>,
    round: u32,
    /// Factor on the travel time of each segment; 1 outside the search for alternatives.
    penalty: Vec<f32>,
}

#[derive(Clone, Copy, Debug, Default)]
struct Label {
    /// Seconds after departure at the end of the segment.
    cost_s: f64,
    parent: u32,
    /// The search this label was made in, and settled in.
    round: u32,
    settled: u32,
}

#[derive(Clone, Copy, Debug)]
struct Entry {
    bound_s: f64,
    stage: u32,
}

impl Ord for Entry {
    /// The heap gives its greatest first: the smallest bound, then the smallest id.
    fn cmp(&self, other: &Self) -> Ordering {
        let by_bound = other.bound_s.total_cmp(&self.bound_s);
        by_bound.then(other.stage.cmp(&self.stage))
    }
}

impl PartialOrd for Entry {
    fn partial_cmp(&self, other: &Self) -> Option<Ordering> {
        Some(self.cmp(other))
    }
}

impl PartialEq for Entry {
    fn eq(&self, other: &Self) -> bool {
        self.cmp(other).is_eq()
    }
}

impl Eq for Entry {}

/// Finds paths in one network.
///
/// # Examples
/// ```
/// use roadcast::network::{csv, paths::{PathLimits, Router}};
/// use roadcast::units::{SegmentId, Timestamp};
///
/// // Luoyu Road eastwards, and a parallel street.
/// let rows = "from,to,highway,lon1,lat1,lon2,lat2,len_m,oneway
/// a,b,primary,114.350,30.510,114.352,30.510,191,yes
/// b,d,primary,114.352,30.510,114.356,30.510,383,yes
/// b,c,tertiary,114.352,30.510,114.354,30.511,222,yes
/// c,d,tertiary,114.354,30.511,114.356,30.510,222,yes
/// d,e,primary,114.356,30.510,114.358,30.510,191,yes
/// ";
/// let (network, _) = csv::read("luoyu.csv", rows.as_bytes())?;
/// let mut router = Router::new(&network);
/// let jammed = SegmentId(1);
/// let travel_time_s = |id: SegmentId, _: Timestamp| {
///     let facts = network.segment(id);
///     let speed_mps = if id == jammed { 2.0 } else { facts.limit_mps };
///     facts.length_m / speed_mps
/// };
/// let path = router
///     .shortest(SegmentId(0), SegmentId(4), Timestamp::from_secs(0), &travel_time_s, PathLimits::default())
///     .expect("the side street is open");
/// assert_eq!(path.segments, [0, 2, 3, 4].map(SegmentId));
/// # Ok::<(), roadcast::network::NetworkError>(())
/// ```
#[derive(Debug)]
pub struct Router<'n> {
    network: &'n Network,
    scratch: SearchScratch,
    expansions: u32,
    gave_up: bool,
}

impl<'n> Router<'n> {
    /// Builds a router for `network`.
    pub fn new(network: &'n Network) -> Self {
        Self::with_scratch(network, SearchScratch::default())
    }

    /// Builds a router that works in the memory of an earlier one, of this network or another.
    pub fn with_scratch(network: &'n Network, mut scratch: SearchScratch) -> Self {
        scratch
            .labels
            .resize(network.stage_count(), Label::default());
        scratch.penalty.clear();
        scratch.penalty.resize(network.segment_count(), 1.0);
        Self {
            network,
            scratch,
            expansions: 0,
            gave_up: false,
        }
    }

    /// Gives the memory back.
    pub fn into_scratch(self) -> SearchScratch {
        self.scratch
    }

    /// How many segments the last search looked at.
    pub fn expansions(&self) -> u32 {
        self.expansions
    }

    /// Whether the last search ended at [`PathLimits::expansions_max`] without an answer.
    pub fn gave_up(&self) -> bool {
        self.gave_up
    }

    /// The fastest way from the start of `from`, left at `depart`, to the end of `to`.
    ///
    /// `travel_time_s(segment, at)` is the time to drive the whole segment when it is entered at
    /// `at`; a segment with an infinite one is closed. Inside junctions the limit of the segment
    /// that is entered is driven. `None` when there is no way within `limits`.
    ///
    /// # Panics
    /// When `from` or `to` is of another network.
    pub fn shortest(
        &mut self,
        from: SegmentId,
        to: SegmentId,
        depart: Timestamp,
        travel_time_s: &impl Fn(SegmentId, Timestamp) -> f32,
        limits: PathLimits,
    ) -> Option<Path> {
        let segments = self.search(from, to, depart, travel_time_s, limits)?;
        self.follow(segments, depart, travel_time_s, limits)
    }

    /// The segments of the path with the least travel time, penalties included.
    fn search(
        &mut self,
        from: SegmentId,
        to: SegmentId,
        depart: Timestamp,
        travel_time_s: &impl Fn(SegmentId, Timestamp) -> f32,
        limits: PathLimits,
    ) -> Option<Vec<SegmentId>> {
        self.begin();
        let network = self.network;
        let target = end_of(network, to);
        let horizon_s = f64::from(limits.travel_time_s_max);
        let bound_s = |segment: SegmentId, cost_s: f64| {
            let left_m = end_of(network, segment).distance_m(target);
            cost_s + f64::from(left_m / limits.speed_mps_max)
        };
        let step = Step {
            network,
            depart,
            limits,
            to,
        };
        let penalty = std::mem::take(&mut self.scratch.penalty);
        let penalised = |id: SegmentId, at: Timestamp| travel_time_s(id, at) * penalty[id.index()];
        let first_s = step.first_s(from, &penalised);
        if let Some(cost_s) = first_s.filter(|&cost_s| cost_s <= horizon_s) {
            self.reach(network.stage_on(from), NONE, cost_s, bound_s(from, cost_s));
        }
        let mut found = None;
        while let Some(entry) = self.scratch.queue.pop() {
            let label = &mut self.scratch.labels[entry.stage as usize];
            if label.settled == self.scratch.round {
                continue;
            }
            label.settled = self.scratch.round;
            let cost_s = label.cost_s;
            let here = network.segment_at(Stage(entry.stage));
            if here == to {
                found = Some(Stage(entry.stage));
                break;
            }
            if self.expansions >= limits.expansions_max {
                self.gave_up = true;
                break;
            }
            self.expansions += 1;
            for (movement, next) in network.steps_from(Stage(entry.stage)) {
                if !step.is_open(here, movement) {
                    continue;
                }
                let next_s = step.next_s(here, cost_s, movement, &penalised);
                if let Some(next_s) = next_s.filter(|&next_s| next_s <= horizon_s) {
                    self.reach(next, entry.stage, next_s, bound_s(movement.to(), next_s));
                }
            }
        }
        self.scratch.penalty = penalty;
        found.map(|stage| self.trace(stage))
    }

    fn begin(&mut self) {
        self.scratch.queue.clear();
        self.expansions = 0;
        self.gave_up = false;
        self.scratch.round = self.scratch.round.wrapping_add(1);
        if self.scratch.round == 0 {
            self.scratch.labels.fill(Label::default());
            self.scratch.round = 1;
        }
    }

    /// Keeps a way to the end of a stage's segment if it is the fastest so far, or as fast as the
    /// fastest and from a smaller stage.
    fn reach(&mut self, stage: Stage, parent: u32, cost_s: f64, bound_s: f64) {
        let round = self.scratch.round;
        let label = &mut self.scratch.labels[stage.index()];
        if label.settled == round {
            return;
        }
        if label.round == round {
            match cost_s.total_cmp(&label.cost_s) {
                Ordering::Greater => return,
                Ordering::Equal => {
                    label.parent = label.parent.min(parent);
                    return;
                }
                Ordering::Less => {}
            }
        }
        (label.cost_s, label.parent, label.round) = (cost_s, parent, round);
        let stage = stage.0;
        self.scratch.queue.push(Entry { bound_s, stage });
    }

    fn trace(&self, last: Stage) -> Vec<SegmentId> {
        let mut segments = Vec::new();
        let mut at = last.0;
        while let Some(label) = self.scratch.labels.get(at as usize) {
            segments.push(self.network.segment_at(Stage(at)));
            at = label.parent;
        }
        segments.reverse();
        segments
    }

    /// Drives along `segments` without penalties; `None` when one of them is closed by then.
    fn follow(
        &self,
        segments: Vec<SegmentId>,
        depart: Timestamp,
        travel_time_s: &impl Fn(SegmentId, Timestamp) -> f32,
        limits: PathLimits,
    ) -> Option<Path> {
        let step = Step {
            network: self.network,
            depart,
            limits,
            to: *segments.last()?,
        };
        let first = *segments.first()?;
        let mut cost_s = step.first_s(first, travel_time_s)?;
        let mut length_m = self.network.segment(first).length_m;
        for pair in segments.windows(2) {
            let mut ways = self.network.movements_from(pair[0]).iter();
            let movement = ways.find(|movement| movement.to() == pair[1])?;
            cost_s = step.next_s(pair[0], cost_s, movement, travel_time_s)?;
            length_m += movement.length_m + self.network.segment(pair[1]).length_m;
        }
        Some(Path {
            segments,
            arrival: after(depart, cost_s),
            travel_time_s: cost_s as f32,
            length_m,
        })
    }
}

/// How costs grow from one segment to the next.
struct Step<'n> {
    network: &'n Network,
    depart: Timestamp,
    limits: PathLimits,
    /// Where the path ends.
    to: SegmentId,
}

impl Step<'_> {
    /// Whether a car on its way from `here` may make a movement.
    fn is_open(&self, here: SegmentId, movement: &Movement) -> bool {
        let flags = |id: SegmentId| self.network.segment(id).flags;
        let next = movement.to();
        let is_restricted = movement.flags.contains(MovementFlags::AT_TIMES)
            || flags(next).contains(SegmentFlags::RESTRICTED) && next != self.to;
        if is_restricted && !self.limits.with_restricted {
            return false;
        }
        // Out of and into private grounds, never across them.
        let stops_there = SegmentFlags(SegmentFlags::PRIVATE.0 | SegmentFlags::DESTINATION.0);
        let is_through = |id: SegmentId| flags(id).0 & stops_there.0 == 0;
        is_through(next) || !is_through(here) || !is_through(self.to)
    }

    fn first_s(
        &self,
        from: SegmentId,
        travel_time_s: &impl Fn(SegmentId, Timestamp) -> f32,
    ) -> Option<f64> {
        usable(travel_time_s(from, self.depart))
    }

    fn next_s(
        &self,
        here: SegmentId,
        cost_s: f64,
        movement: &Movement,
        travel_time_s: &impl Fn(SegmentId, Timestamp) -> f32,
    ) -> Option<f64> {
        let next = movement.to();
        let junction_s = movement.length_m / self.network.segment(next).limit_mps;
        let entered_s = cost_s + f64::from(junction_s);
        let left_s = entered_s + usable(travel_time_s(next, after(self.depart, entered_s)))?;
        let straight_m = end_of(self.network, here).distance_m(end_of(self.network, next));
        let soonest_s = cost_s + f64::from(straight_m / self.limits.speed_mps_max);
        Some(left_s.max(soonest_s))
    }
}

fn usable(travel_time_s: f32) -> Option<f64> {
    (travel_time_s.is_finite() && travel_time_s >= 0.0).then_some(f64::from(travel_time_s))
}

fn after(depart: Timestamp, seconds: f64) -> Timestamp {
    depart.plus_millis((seconds * 1000.0).round() as i64)
}

fn end_of(network: &Network, segment: SegmentId) -> Point {
    network.shape(segment).last().copied().unwrap_or_default()
}

#[cfg(test)]
mod tests;
