//! Which finding is the head of its queue, which is its tail, and how long the queue is.

use std::collections::{BTreeMap, BTreeSet};

use super::evidence::Finding;
use super::life::Watch;
use super::room::{Incidents, Scene};
use crate::network::Candidate;
use crate::state::Provenance;
use crate::units::{SegmentId, heading_difference_deg};

/// How far downstream the head of a queue is searched, m (chosen: the queue of a closed motorway in
/// a quarter of an hour).
const HEAD_REACH_M: f32 = 3_000.0;
/// Most segments that one search looks at; beyond, what further on may explain is left out of
/// account, and a queue is told as shorter than it is.
const SEARCH_SEGMENTS_MAX: usize = 128;
/// A segment of which nothing is known is looked through when it is shorter, m.
const UNSEEN_MAX_M: f32 = 80.0;
/// A segment that is shorter is looked through in any case: what a road user does on it says little.
const SHORT_M: f32 = 30.0;
/// So near to another incident that is open, or has ended lately, what stands may be its doing, m,
/// through the air between the ends of both segments (chosen: a few blocks).
const NEAR_KNOWN_M: f32 = 600.0;
/// So near beside a queue, and within such a difference of heading, a road user may stand in it: the
/// places of road users are some metres off, and a ramp runs beside the road it leaves (chosen: half of
/// three lanes and twice the error of a place).
const BESIDE_M: f32 = 15.0;
const SAME_WAY_DEG: f32 = 30.0;
/// A fall of speed at loops is no tail of one at the next station that weighs less by more than this
/// (chosen; see the loop week in `docs/incidents.md`).
const HEAVIER: f32 = 2.0;
/// So far downstream of an incident that ends, its queue is slow once more where it flows off, m
/// (chosen: a ramp and the next).
const RELEASED_M: f32 = 600.0;
/// Below this share of free-flow speed a segment may be part of a queue (the share below which a
/// road counts as congested, GB/T 33171-2016).
pub(super) const QUEUED_RATIO: f32 = 0.5;

impl Incidents {
    /// The findings that stand at the head of their queue. What an incident further on explains is
    /// left out; what begins behind an open incident belongs to that one.
    pub(super) fn heads(&self, scene: &Scene<'_>) -> BTreeMap<SegmentId, Finding> {
        let mut heads: BTreeMap<SegmentId, Finding> = BTreeMap::new();
        for (&segment, finding) in &scene.findings {
            if finding.weight <= 0.0 || self.is_tail(segment, finding, scene) {
                continue;
            }
            let is_open = |id: &SegmentId| {
                self.watches
                    .get(id)
                    .is_some_and(|watch| watch.incident.is_some())
            };
            let before = self.network.movements_into(segment).map(|way| way.from());
            let owner = match is_open(&segment) {
                true => segment,
                // Loops have shown that traffic was free there while it stood further back.
                false if finding.is_dropped => segment,
                false => before.filter(|id| is_open(id)).min().unwrap_or(segment),
            };
            let is_new = owner == segment && !is_open(&segment);
            if is_new
                && (self.is_beside_queue(segment, finding, scene)
                    || self.is_released(segment, finding))
            {
                continue;
            }
            let is_heavier = |known: &Finding| finding.weight > known.weight;
            if heads.get(&owner).is_none_or(is_heavier) {
                let mut finding = finding.clone();
                if owner != segment {
                    finding.place_m = self.network.segment(owner).length_m;
                }
                heads.insert(owner, finding);
            }
        }
        heads
    }

    /// Whether what stands on a segment is explained by what is downstream of it. A fall of speed at
    /// loops is not, by what lies behind the next station: that one has been asked already whether it
    /// is as slow.
    fn is_tail(&self, start: SegmentId, finding: &Finding, scene: &Scene<'_>) -> bool {
        let is_dropped = finding.is_dropped;
        if self.queued.contains_key(&start) && !self.is_known(start) && !is_dropped {
            return true;
        }
        let mut seen = BTreeSet::from([start]);
        let mut waiting = vec![(start, 0.0f32, true)];
        while let Some((id, walked_m, is_close)) = waiting.pop() {
            for movement in self.network.movements_from(id) {
                let next = movement.to();
                let is_twin = self.network.segment(id).twin() == Some(next);
                if is_twin || seen.contains(&next) {
                    continue;
                }
                if seen.len() >= SEARCH_SEGMENTS_MAX {
                    self.searches_cut.set(self.searches_cut.get() + 1);
                    return false;
                }
                seen.insert(next);
                let explains = |ahead: &Finding| {
                    let is_heavier = finding.weight > ahead.weight + HEAVIER;
                    !(is_dropped && ahead.is_dropped && is_heavier)
                };
                let is_held = scene.findings.get(&next).is_some_and(explains)
                    || scene.held.contains(&next)
                    || scene.lanes.get(&next).is_some_and(|lanes| lanes.is_full);
                if is_close && is_held {
                    return true;
                }
                if is_dropped && self.loops.is_heard(next) {
                    continue;
                }
                let is_queued = is_close && self.queued.contains_key(&next);
                if is_queued || self.is_known(next) {
                    return true;
                }
                let state = &scene.batch.segments[next.index()];
                let length_m = self.network.segment(next).length_m;
                let is_seen = state.sample_count > 0 || state.is_counted;
                let is_unseen = length_m < SHORT_M || (!is_seen && length_m < UNSEEN_MAX_M);
                let is_slow = state.speed_mps < QUEUED_RATIO * state.free_flow_mps;
                let reach_m = walked_m + length_m;
                if (is_slow || is_unseen) && reach_m < HEAD_REACH_M {
                    waiting.push((next, reach_m, is_close && is_unseen));
                }
            }
        }
        false
    }

    /// Whether road users that seem to stand on a segment may stand beside it, in the queue of an
    /// incident that is known: on a segment of that queue, or on one that leads into it and on which
    /// nobody is seen, because all of them seem to stand here.
    fn is_beside_queue(&self, segment: SegmentId, finding: &Finding, scene: &Scene<'_>) -> bool {
        if finding.rests_on_detectors() {
            return false;
        }
        let is_queue = |id: SegmentId| self.queued.contains_key(&id) || self.is_known(id);
        let is_behind_queue = |id: SegmentId| {
            let mut next = self.network.movements_from(id).iter();
            scene.batch.segments[id.index()].provenance != Provenance::Observed
                && next.any(|way| way.to() != segment && is_queue(way.to()))
        };
        // What comes before or after lies in line with the segment and not beside it.
        let is_joined = |id: SegmentId| {
            let mut after = self.network.movements_from(segment).iter();
            after.any(|way| way.to() == id)
                || (self.network.movements_into(segment)).any(|way| way.from() == id)
        };
        let (place, heading_deg) = self.network.locate(segment, finding.place_m);
        let mut is_beside = false;
        let mut look = |near: Candidate| {
            let is_same_way = heading_difference_deg(near.heading_deg, heading_deg) < SAME_WAY_DEG;
            is_beside |= near.segment != segment
                && !is_joined(near.segment)
                && is_same_way
                && (is_queue(near.segment) || is_behind_queue(near.segment));
        };
        self.network.candidates_within(place, BESIDE_M, &mut look);
        is_beside
    }

    /// Whether slow road users may come from the queue of an incident upstream that ends or has ended
    /// lately. Who stands for long does not.
    fn is_released(&self, start: SegmentId, finding: &Finding) -> bool {
        if finding.stuck > 0 || finding.rests_on_detectors() {
            return false;
        }
        let mut seen = BTreeSet::from([start]);
        let mut waiting = vec![(start, 0.0f32)];
        while let Some((id, walked_m)) = waiting.pop() {
            for from in self.network.movements_into(id).map(|way| way.from()) {
                if !seen.insert(from) {
                    continue;
                }
                if self.is_ending(from) {
                    return true;
                }
                if seen.len() >= SEARCH_SEGMENTS_MAX {
                    self.searches_cut.set(self.searches_cut.get() + 1);
                    return false;
                }
                let reach_m = walked_m + self.network.segment(from).length_m;
                if reach_m < RELEASED_M {
                    waiting.push((from, reach_m));
                }
            }
        }
        false
    }

    /// Whether an incident here showed nothing in the last minute, or has ended lately.
    fn is_ending(&self, segment: SegmentId) -> bool {
        let is_quiet = |watch: &Watch| watch.incident.is_some() && watch.quiet > 0;
        self.watches.get(&segment).is_some_and(is_quiet) || self.ended.contains_key(&segment)
    }

    /// Whether another incident near a segment is open, or has ended lately.
    pub(super) fn is_near_known(&self, segment: SegmentId) -> bool {
        let ends = |id: SegmentId| {
            let shape = self.network.shape(id);
            [shape[0], shape[shape.len() - 1]]
        };
        let here = ends(segment);
        let is_near = |id: SegmentId| {
            let there = ends(id);
            let mut pairs = here.iter().flat_map(|a| there.iter().map(move |b| (a, b)));
            id != segment && pairs.any(|(a, b)| a.distance_m(*b) < NEAR_KNOWN_M)
        };
        let open = self
            .watches
            .iter()
            .filter(|(_, watch)| watch.incident.is_some());
        open.map(|(id, _)| *id)
            .chain(self.ended.keys().copied())
            .any(is_near)
    }

    /// Whether an incident is open here, or was lately.
    fn is_known(&self, segment: SegmentId) -> bool {
        let is_open = |watch: &Watch| watch.incident.is_some();
        self.watches.get(&segment).is_some_and(is_open) || self.ended.contains_key(&segment)
    }

    /// Length of the queue upstream of an incident, and where it ends; its segments go to `queued`.
    pub(super) fn queue(
        &self,
        segment: SegmentId,
        finding: Option<&Finding>,
        scene: &Scene<'_>,
        queued: &mut BTreeSet<SegmentId>,
    ) -> (f32, SegmentId, f32) {
        let known = self
            .watches
            .get(&segment)
            .and_then(|watch| watch.incident.as_ref());
        let place_m = match (finding, known) {
            (Some(finding), _) => finding.place_m,
            (None, Some(incident)) => incident.offset_m,
            (None, None) => 0.0,
        };
        let mut best = (0.0f32, segment, place_m);
        let mut seen = BTreeSet::from([segment]);
        let mut waiting = vec![(segment, place_m)];
        while let Some((id, reach_m)) = waiting.pop() {
            for movement in self.network.movements_into(id) {
                let from = movement.from();
                let state = &scene.batch.segments[from.index()];
                let is_short = self.network.segment(from).length_m < SHORT_M;
                let is_queued = is_short
                    || scene.findings.contains_key(&from)
                    || (state.provenance == Provenance::Observed
                        && state.speed_mps < QUEUED_RATIO * state.free_flow_mps);
                let is_twin = self.network.segment(id).twin() == Some(from);
                if is_twin || !is_queued || seen.contains(&from) {
                    continue;
                }
                if seen.len() >= SEARCH_SEGMENTS_MAX {
                    self.searches_cut.set(self.searches_cut.get() + 1);
                    return best;
                }
                seen.insert(from);
                queued.insert(from);
                let length_m = self.network.segment(from).length_m;
                let queued_m = state
                    .queue_length_m
                    .map_or(length_m, |queue_m| queue_m.min(length_m));
                let end_m = reach_m + queued_m;
                if is_short {
                    waiting.push((from, reach_m + length_m));
                } else if end_m > best.0 {
                    best = (end_m, from, length_m - queued_m);
                }
                if queued_m > 0.8 * length_m && !is_short {
                    waiting.push((from, reach_m + length_m));
                }
            }
        }
        if best.1 == segment {
            let standing_m = scene.batch.segments[segment.index()]
                .queue_length_m
                .unwrap_or(0.0);
            let length_m = self.network.segment(segment).length_m;
            let from_m = (length_m - standing_m).clamp(0.0, place_m.max(0.0));
            best = (place_m - from_m, segment, from_m);
        }
        best
    }
}
