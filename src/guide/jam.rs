//! Finding jams: congested segments that last, joined along movements into runs with head and tail.

use std::collections::BTreeMap;
use std::collections::VecDeque;

use super::GuideSettings;
use crate::network::Network;
use crate::state::{Level, Provenance, SegmentState, StateBatch};
use crate::units::SegmentId;

/// How long a segment has been congested or clear, with hysteresis.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Persistence {
    /// Minutes in a row that speak against the present verdict.
    pub(super) against: u8,
    /// The verdict.
    pub(super) is_jammed: bool,
}

impl Persistence {
    fn step(&mut self, is_congested: bool, settings: &GuideSettings) {
        let needed = if self.is_jammed {
            settings.clear_minutes
        } else {
            settings.onset_minutes
        };
        if is_congested == self.is_jammed {
            self.against = 0;
        } else {
            self.against += 1;
            if self.against >= needed {
                *self = Self {
                    against: 0,
                    is_jammed: is_congested,
                };
            }
        }
    }
}

/// A connected run of jammed segments in one minute.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Run {
    /// Segments from head to tail, nearest to the head first.
    pub(super) segments: Vec<SegmentId>,
    /// The chain from tail to head that a driver meets, in driving order.
    pub(super) chain: Vec<SegmentId>,
    /// Worst level inside.
    pub(super) level: Level,
    /// Length of the chain, metres.
    pub(super) length_m: f32,
    /// Harmonic mean speed along the chain, m/s.
    pub(super) speed_mps: f32,
    /// Time along the chain beyond free flow, s.
    pub(super) delay_s: f32,
    /// Where on the last segment the tail stands, metres from its start.
    pub(super) tail_offset_m: f32,
    /// Share of the chain's length that was measured in the last minutes, `0.0..=1.0`.
    pub(super) measured_share: f32,
    /// Road users seen along the chain in the minute.
    pub(super) sample_count: u32,
    /// Whether it is not, or no longer, long, slow or seen enough to begin a jam.
    pub(super) is_easing: bool,
}

/// Slowest speed that travel times are computed with, m/s: below it a queue is counted by its
/// length, not by its speed (chosen: a creeping queue of one vehicle every 3 s and lane).
pub(super) const CREEPING_MPS: f32 = 1.0;

/// Updates every segment's verdict with one minute.
pub(super) fn judge(memory: &mut [Persistence], batch: &StateBatch, settings: &GuideSettings) {
    for (persistence, state) in memory.iter_mut().zip(&batch.segments) {
        persistence.step(is_congested(state, settings), settings);
    }
}

/// Whether a state is evidence of congestion: what only the profile says never is.
fn is_congested(state: &SegmentState, settings: &GuideSettings) -> bool {
    state.provenance != Provenance::Profile
        && state.level >= settings.level_min
        && state.age_s.is_some_and(|age_s| age_s <= settings.age_s_max)
}

/// Joins jammed segments into runs, in order of their lowest segment: those that are long and slow
/// enough, and those that were a jam in the last minute (`jam_of` is not 0) and are not over yet.
pub(super) fn runs(
    network: &Network,
    memory: &[Persistence],
    jam_of: &[u64],
    batch: &StateBatch,
    settings: &GuideSettings,
) -> Vec<Run> {
    let mut is_taken = vec![false; memory.len()];
    let mut found = Vec::new();
    for id in network.segment_ids() {
        if !memory[id.index()].is_jammed || is_taken[id.index()] {
            continue;
        }
        let members = component(network, memory, id, &mut is_taken);
        let mut run = measure(network, batch, &members);
        run.is_easing = run.delay_s < settings.delay_s_min
            || run.length_m < settings.length_m_min
            || run.sample_count < settings.samples_min;
        if !run.is_easing || members.iter().any(|id| jam_of[id.index()] != 0) {
            found.push(run);
        }
    }
    found
}

/// All jammed segments connected with `start` along movements, in ascending order.
fn component(
    network: &Network,
    memory: &[Persistence],
    start: SegmentId,
    is_taken: &mut [bool],
) -> Vec<SegmentId> {
    let mut members = vec![start];
    is_taken[start.index()] = true;
    let mut next = 0;
    while let Some(&id) = members.get(next) {
        next += 1;
        let onward = network
            .movements_from(id)
            .iter()
            .map(|movement| movement.to());
        let back = network.movements_into(id).map(|movement| movement.from());
        for neighbour in onward.chain(back) {
            let index = neighbour.index();
            // A U-turn joins the two sides of a road, not one jam.
            let is_twin = network.segment(id).twin() == Some(neighbour);
            if memory[index].is_jammed && !is_taken[index] && !is_twin {
                is_taken[index] = true;
                members.push(neighbour);
            }
        }
    }
    members.sort_unstable();
    members
}

/// Finds head, tail and chain of a run and sums what a driver meets along it.
fn measure(network: &Network, batch: &StateBatch, members: &[SegmentId]) -> Run {
    let is_member = |id: SegmentId| members.binary_search(&id).is_ok();
    let heads = members.iter().copied().filter(|&id| {
        !network
            .movements_from(id)
            .iter()
            .any(|movement| is_member(movement.to()))
    });
    // A ring has no head: its slowest segment stands for it.
    let slowest = members.iter().copied().min_by(|a, b| {
        let speed = |id: &SegmentId| batch.segments[id.index()].speed_mps;
        speed(a).total_cmp(&speed(b))
    });
    let mut best: Option<Upstream> = None;
    for head in heads.chain(slowest) {
        let upstream = Upstream::search(network, head, &is_member);
        if best
            .as_ref()
            .is_none_or(|best| upstream.reach_m > best.reach_m)
        {
            best = Some(upstream);
        }
    }
    let upstream = best.expect("a run has at least one segment");
    let chain = upstream.chain();
    let (mut length_m, mut time_s, mut free_s, mut measured_m) = (0.0f32, 0.0f32, 0.0f32, 0.0f32);
    let (mut level, mut sample_count) = (Level::Smooth, 0u32);
    for id in &chain {
        let state = &batch.segments[id.index()];
        let segment_m = network.segment(*id).length_m;
        length_m += segment_m;
        time_s += segment_m / state.speed_mps.max(CREEPING_MPS);
        free_s += segment_m / state.free_flow_mps.max(CREEPING_MPS);
        if state.provenance == Provenance::Observed {
            measured_m += segment_m;
        }
        level = level.max(state.level);
        sample_count = sample_count.saturating_add(state.sample_count);
    }
    let tail = chain.first().copied().unwrap_or(upstream.head);
    let tail_m = network.segment(tail).length_m;
    let queue_m = batch.segments[tail.index()].queue_length_m;
    Run {
        segments: upstream.order.iter().map(|step| step.0).collect(),
        level,
        length_m,
        speed_mps: length_m / time_s,
        delay_s: (time_s - free_s).max(0.0),
        tail_offset_m: queue_m.map_or(0.0, |queue_m| (tail_m - queue_m).clamp(0.0, tail_m)),
        measured_share: measured_m / length_m,
        sample_count,
        is_easing: false,
        chain,
    }
}

/// A search from a head upstream through the members of a run.
struct Upstream {
    head: SegmentId,
    /// Segment and the one downstream of it, in order of search.
    order: Vec<(SegmentId, SegmentId)>,
    tail: SegmentId,
    reach_m: f32,
}

impl Upstream {
    fn search(network: &Network, head: SegmentId, is_member: &impl Fn(SegmentId) -> bool) -> Self {
        let mut reach_m = BTreeMap::from([(head, network.segment(head).length_m)]);
        let mut order = vec![(head, head)];
        let mut waiting = VecDeque::from([head]);
        while let Some(id) = waiting.pop_front() {
            for movement in network.movements_into(id) {
                let from = movement.from();
                if is_member(from) && !reach_m.contains_key(&from) {
                    reach_m.insert(from, reach_m[&id] + network.segment(from).length_m);
                    order.push((from, id));
                    waiting.push_back(from);
                }
            }
        }
        let mut tail = (head, 0.0f32);
        for &(id, _) in &order {
            if reach_m[&id] > tail.1 {
                tail = (id, reach_m[&id]);
            }
        }
        Self {
            head,
            order,
            tail: tail.0,
            reach_m: tail.1,
        }
    }

    /// From tail to head in driving order.
    fn chain(&self) -> Vec<SegmentId> {
        let downstream: BTreeMap<SegmentId, SegmentId> = self.order.iter().copied().collect();
        let mut chain = vec![self.tail];
        let mut id = self.tail;
        while id != self.head {
            id = downstream[&id];
            chain.push(id);
        }
        chain
    }
}
