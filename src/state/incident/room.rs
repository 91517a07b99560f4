//! All that is watched on a network, minute by minute.

use std::cell::Cell;
use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::cause::told_near;
use super::detectors::{LaneWatch, Lanes};
use super::evidence::{
    Finding, Learnt, Place, UsualStands, fast_roads, is_free, patience, weigh, weigh_drop,
    weigh_slowed, weigh_slower,
};
use super::life::{Watch, advance, blocked, kind_of};
use super::loop_speed::{LoopSpeeds, SpeedDrop};
use super::queue::QUEUED_RATIO;
use super::slow_spot::SlowSpots;
use super::{
    INCIDENTS_MAX, IncidentChange, IncidentEvidence, IncidentOrder, IncidentSettings, IncidentState,
};
use crate::network::{Movement, Network};
use crate::observation::{DetectorReading, RoadEvent};
use crate::state::stay::Stay;
use crate::state::{Calendar, Closures, DetectorTable, Doubt, MINUTE_MS, Provenance, StateBatch};
use crate::units::{SegmentId, Timestamp};

/// A segment is looked at where somebody stood so long, s.
const LOOK_STAND_S: f32 = 45.0;
/// Who stands longer than this share of a stand that is too long, and so many seconds, explains what
/// stands behind (chosen; see the campaign in `docs/incidents.md`).
const HELD_SHARE: f32 = 0.5;
const HELD_MIN_S: f32 = 75.0;
/// Minutes for which the queue of an incident that is over may still stand upstream.
const AFTER_MINUTES: i64 = 10;
/// So long after a closure has begun its neighbours are used to it, ms: as long as rates of detectors are
/// remembered.
const CLOSURE_SETTLES_MS: i64 = 1_800_000;
/// What an operator's verdict adds to the prior log-odds of its segment, and takes away: what was
/// dismissed needs two minutes more of a vehicle that stands before it is told again.
const CONFIRMED_BIAS: f32 = 3.0;
const DISMISSED_BIAS: f32 = 6.0;

/// What a closed minute brings.
#[derive(Clone, Copy, Debug)]
pub struct IncidentMinute<'a> {
    /// The state of every segment.
    pub batch: &'a StateBatch,
    /// What each road user did, in any order.
    pub stays: &'a [Stay],
    /// What detectors counted.
    pub readings: &'a [DetectorReading],
    /// Where they stand.
    pub detectors: &'a DetectorTable,
    /// What operators said since the last minute.
    pub orders: &'a [IncidentOrder],
    /// How event time maps to local days.
    pub calendar: &'a Calendar,
    /// What roadside units tell now.
    pub events: &'a [RoadEvent],
    /// Roads that are closed as planned.
    pub closures: &'a Closures,
}

/// The incidents of a network and all that may become one.
#[derive(Debug)]
pub struct Incidents {
    pub(super) network: Arc<Network>,
    pub(super) settings: IncidentSettings,
    pub(super) learnt: Vec<Learnt>,
    /// Which segments are fast roads.
    fast: Vec<bool>,
    pub(super) lanes: LaneWatch,
    pub(super) slow_spots: SlowSpots,
    pub(super) loops: LoopSpeeds,
    pub(super) watches: BTreeMap<SegmentId, Watch>,
    /// Segments in the queue of an incident, and when they were last.
    pub(super) queued: BTreeMap<SegmentId, Timestamp>,
    /// Segments of incidents that are over, and when they ended.
    pub(super) ended: BTreeMap<SegmentId, Timestamp>,
    /// What operators said of segments: the bias and until when it holds.
    pub(super) verdicts: BTreeMap<SegmentId, (f32, Timestamp)>,
    pub(super) next_id: u64,
    pub(super) refused: u64,
    pub(super) orders_unknown: u64,
    /// Counted while a minute is only looked at.
    pub(super) searches_cut: Cell<u64>,
}

/// What is known of the minute while it is judged.
pub(super) struct Scene<'a> {
    pub(super) batch: &'a StateBatch,
    events: &'a [RoadEvent],
    pub(super) lanes: BTreeMap<SegmentId, Lanes>,
    drops: BTreeMap<SegmentId, SpeedDrop>,
    pub(super) findings: BTreeMap<SegmentId, Finding>,
    /// Segments on which somebody stands almost too long.
    pub(super) held: BTreeSet<SegmentId>,
}

impl Incidents {
    /// Starts with nothing learnt.
    pub fn new(network: Arc<Network>, settings: IncidentSettings) -> Self {
        Self {
            learnt: vec![Learnt::NOTHING; network.segment_count()],
            fast: fast_roads(&network),
            network,
            settings,
            lanes: LaneWatch::default(),
            slow_spots: SlowSpots::default(),
            loops: LoopSpeeds::default(),
            watches: BTreeMap::new(),
            queued: BTreeMap::new(),
            ended: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            next_id: 1,
            refused: 0,
            orders_unknown: 0,
            searches_cut: Cell::new(0),
        }
    }

    /// Incidents that are not over, as they changed last, by segment.
    pub fn active(&self) -> impl Iterator<Item = &IncidentChange> {
        self.watches
            .values()
            .filter_map(|watch| watch.incident.as_deref())
    }

    /// Places that were not watched because [`INCIDENTS_MAX`] were, since the start.
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Searches for the head or the tail of a queue that ended at the most segments that are
    /// searched, since the start.
    pub fn searches_cut(&self) -> u64 {
        self.searches_cut.get()
    }

    /// Places where somebody was slowed that were forgotten early, since the start.
    pub fn slow_spots_forgotten(&self) -> u64 {
        self.slow_spots.forgotten()
    }

    /// Orders for incidents that were not open, since the start.
    pub fn orders_unknown(&self) -> u64 {
        self.orders_unknown
    }

    /// Closes one minute and appends what has changed, by segment.
    ///
    /// # Panics
    /// When the batch is of another network.
    pub fn close_minute(&mut self, minute: &IncidentMinute<'_>, out: &mut Vec<IncidentChange>) {
        let at = minute.batch.interval.end;
        assert_eq!(
            minute.batch.segments.len(),
            self.learnt.len(),
            "batch of another network"
        );
        self.forget(at);
        self.obey(at, minute.orders, out);
        let scene = self.look(minute);
        let mut heads = self.heads(&scene);
        heads.retain(|&head, _| !self.is_planned(head, minute));
        let mut segments: BTreeSet<SegmentId> = self.watches.keys().copied().collect();
        segments.extend(heads.keys());
        for segment in segments {
            self.judge(at, segment, heads.get(&segment), &scene, out);
        }
    }

    /// Whether a planned closure is there, or next to it and began a short while ago: that nobody comes,
    /// or that people turn, is no incident.
    fn is_planned(&self, head: SegmentId, minute: &IncidentMinute<'_>) -> bool {
        if minute.closures.is_empty() {
            return false;
        }
        let now = minute.batch.interval.start;
        let is_new = |id| {
            let before = now.plus_millis(-CLOSURE_SETTLES_MS);
            minute.closures.is_closed(id, now) && !minute.closures.is_closed(id, before)
        };
        let twin = self.network.segment(head).twin();
        let ahead = self.network.movements_from(head).iter().map(Movement::to);
        let behind = self.network.movements_into(head).map(Movement::from);
        let mut beside = ahead.chain(behind).filter(|&id| Some(id) != twin);
        minute.closures.is_closed(head, now) || beside.any(is_new)
    }

    fn forget(&mut self, at: Timestamp) {
        let oldest = at.plus_millis(-AFTER_MINUTES * MINUTE_MS);
        self.ended.retain(|_, ended_at| *ended_at > oldest);
        self.queued.retain(|_, queued_at| *queued_at > oldest);
        self.verdicts.retain(|_, (_, until)| *until > at);
    }

    fn obey(&mut self, at: Timestamp, orders: &[IncidentOrder], out: &mut Vec<IncidentChange>) {
        for order in orders {
            let is_it = |watch: &Watch| {
                watch
                    .incident
                    .as_ref()
                    .is_some_and(|incident| incident.id == order.incident)
            };
            let found = self.watches.iter_mut().find(|(_, watch)| is_it(watch));
            let Some((segment, watch)) = found else {
                self.orders_unknown += 1;
                continue;
            };
            let segment = *segment;
            watch.order(order.is_confirmed, &self.settings);
            let log_odds = watch.log_odds;
            if let Some(incident) = &mut watch.incident {
                let state = match order.is_confirmed {
                    true => IncidentState::Confirmed,
                    false => IncidentState::Dismissed,
                };
                let about = self.network.segment(segment);
                advance(incident, state, at, log_odds, None, about);
                if !incident.evidence.contains(&IncidentEvidence::Operator) {
                    incident.evidence.push(IncidentEvidence::Operator);
                }
                out.push((**incident).clone());
            }
            let bias = if order.is_confirmed {
                CONFIRMED_BIAS
            } else {
                -DISMISSED_BIAS
            };
            let minutes = i64::from(self.settings.verdict_minutes);
            let until = at.plus_millis(minutes * MINUTE_MS);
            self.verdicts.insert(segment, (bias, until));
            if !order.is_confirmed {
                self.watches.remove(&segment);
            }
        }
    }

    /// Weighs every segment that shows something.
    fn look<'a>(&mut self, minute: &IncidentMinute<'a>) -> Scene<'a> {
        let interval = minute.batch.interval;
        let lanes = self.lanes.take(minute.detectors, interval, minute.readings);
        let stands = UsualStands::of(&self.learnt);
        for (learnt, _) in self
            .learnt
            .iter_mut()
            .zip(&self.fast)
            .filter(|(_, is)| **is)
        {
            learnt.free_ago = learnt.free_ago.saturating_add(1);
        }
        self.slow_spots.forget(interval.start.as_millis());
        let counted = lanes.iter().filter(|(id, _)| self.fast[id.index()]);
        let counted = counted.map(|(id, lanes)| (*id, *lanes));
        let drops = self
            .loops
            .take(&self.network, minute.batch, minute.calendar, counted);
        let mut is_looked_at = self.is_looked_at(minute.stays, &lanes);
        drops.keys().for_each(|id| is_looked_at[id.index()] = true);
        let looked_at = |stay: &&Stay| is_looked_at[stay.segment().index()];
        let mut stays: Vec<Stay> = minute.stays.iter().filter(looked_at).copied().collect();
        stays.sort_unstable();
        let mut scene = Scene {
            batch: minute.batch,
            events: minute.events,
            lanes,
            drops,
            findings: BTreeMap::new(),
            held: BTreeSet::new(),
        };
        for (index, _) in is_looked_at.iter().enumerate().filter(|(_, is)| **is) {
            let id = SegmentId(index as u32);
            let from = stays.partition_point(|stay| stay.segment() < id);
            let until = stays.partition_point(|stay| stay.segment() <= id);
            let is_doubted = minute.batch.segments[index].doubt != Doubt::None;
            let here = if is_doubted {
                &[][..]
            } else {
                &stays[from..until]
            };
            let long_stand_s = stands.long_stand_s(self.fast[index]);
            let held_s = (HELD_SHARE * long_stand_s).max(HELD_MIN_S);
            if here.iter().any(|stay| stay.stand().0 >= held_s) {
                scene.held.insert(id);
            }
            let is_near_known = !here.is_empty() && !self.fast[index] && self.is_near_known(id);
            let finding = self.look_at(id, here, (long_stand_s, is_near_known), &scene);
            if finding.weight > 0.0 || finding.stuck > 0 || finding.is_crawling {
                scene.findings.insert(id, finding);
            }
        }
        self.learn_stands(minute.stays);
        scene
    }

    /// Which segments may show something: where somebody stands for long, detectors, fast roads in
    /// use, places that are watched.
    fn is_looked_at(&self, stays: &[Stay], lanes: &BTreeMap<SegmentId, Lanes>) -> Vec<bool> {
        let mut is_looked_at = vec![false; self.learnt.len()];
        for stay in stays {
            let index = stay.segment().index();
            is_looked_at[index] |= stay.stand().0 >= LOOK_STAND_S || self.fast[index];
        }
        for segment in lanes.keys().chain(self.watches.keys()) {
            is_looked_at[segment.index()] = true;
        }
        is_looked_at
    }

    /// Weighs what one segment shows, and learns what is usual there.
    fn look_at(
        &mut self,
        id: SegmentId,
        stays: &[Stay],
        (long_stand_s, is_near_known): (f32, bool),
        scene: &Scene<'_>,
    ) -> Finding {
        let (segment, is_fast) = (self.network.segment(id), self.fast[id.index()]);
        let counted = scene.lanes.get(&id);
        let learnt = &mut self.learnt[id.index()];
        let place = Place {
            segment,
            free_ago: learnt.free_ago,
            is_fast,
            long_stand_s,
            patience: patience(is_near_known),
        };
        let mut finding = weigh(&place, stays, counted);
        if !is_fast {
            return finding;
        }
        let start_ms = scene.batch.interval.start.as_millis();
        let slowing = self.slow_spots.take(start_ms, id, segment, stays);
        weigh_slowed(&slowing, learnt, &mut finding);
        if !is_slow_ahead(&self.network, id, scene.batch) {
            weigh_slower(segment, learnt, stays, &mut finding);
        }
        if let Some(drop) = scene.drops.get(&id) {
            weigh_drop(segment, drop, counted, &mut finding);
        }
        let is_open = |watch: &Watch| watch.incident.is_some();
        if !self.watches.get(&id).is_some_and(is_open) {
            learnt.learn_passes(&slowing, stays);
        }
        if is_free(segment, stays, counted) {
            learnt.free_ago = 0;
        }
        finding
    }

    /// Learns how long road users stand where there is no incident.
    fn learn_stands(&mut self, stays: &[Stay]) {
        let mut ended: BTreeMap<SegmentId, (f32, u8)> = BTreeMap::new();
        for stay in stays {
            let (stand_s, _) = stay.stand();
            if stand_s > 0.0 && stay.has_moved_on() {
                let (longest_s, count) = ended.entry(stay.segment()).or_default();
                *longest_s = longest_s.max(stand_s);
                *count = count.saturating_add(1);
            }
        }
        for (id, (longest_s, count)) in ended {
            if !self.watches.contains_key(&id) && !self.queued.contains_key(&id) {
                self.learnt[id.index()].learn_stands(longest_s, count);
            }
        }
    }

    fn judge(
        &mut self,
        at: Timestamp,
        segment: SegmentId,
        finding: Option<&Finding>,
        scene: &Scene<'_>,
        out: &mut Vec<IncidentChange>,
    ) {
        let about = *self.network.segment(segment);
        let bias = self.verdicts.get(&segment).map_or(0.0, |verdict| verdict.0);
        let floor = self.settings.prior + bias;
        if !self.watches.contains_key(&segment) {
            if self.watches.len() >= INCIDENTS_MAX {
                self.refused += 1;
                return;
            }
            self.watches
                .insert(segment, Watch::new(&self.settings, bias));
        }
        let mut queued = BTreeSet::new();
        let (queue_m, tail, tail_offset_m) = self.queue(segment, finding, scene, &mut queued);
        let state = &scene.batch.segments[segment.index()];
        let is_passed = state.provenance == Provenance::Observed
            && state.speed_mps > QUEUED_RATIO * state.free_flow_mps
            && !scene.findings.contains_key(&segment);
        let Some(watch) = self.watches.get_mut(&segment) else {
            return;
        };
        // On a fast road traffic drives freely past one blocked lane.
        let is_passed = is_passed && !self.fast[segment.index()];
        watch.weigh(finding, is_passed, floor);
        if watch.incident.is_some() {
            self.queued.extend(queued.into_iter().map(|id| (id, at)));
        }
        if let Some(next) = watch.next_state(&self.settings) {
            let log_odds = watch.log_odds;
            let incident = watch.incident.get_or_insert_with(|| {
                let id = self.next_id;
                self.next_id += 1;
                Box::new(IncidentChange {
                    id,
                    revision: 0,
                    at,
                    since: at,
                    state: next,
                    kind: finding.map_or(super::IncidentKind::Blockage, kind_of),
                    segment,
                    offset_m: 0.0,
                    lanes_blocked: finding.map_or(0, |finding| blocked(finding, &about)),
                    lanes: about.lanes,
                    severity: 1,
                    confidence: 0.0,
                    tail,
                    tail_offset_m,
                    queue_m,
                    evidence: Vec::new(),
                    is_fast_road: self.fast[segment.index()],
                    usual_ratio: None,
                    told: Vec::new(),
                })
            });
            (incident.queue_m, incident.tail) = (queue_m, tail);
            incident.tail_offset_m = tail_offset_m;
            advance(incident, next, at, log_odds, finding, &about);
            incident.usual_ratio =
                (incident.is_fast_road).then(|| state.usual_mps / state.free_flow_mps.max(0.1));
            let place = (segment, incident.offset_m);
            incident.told = told_near(&self.network, place, at, scene.events);
            out.push((**incident).clone());
            if next.is_over() {
                self.ended.insert(segment, at);
            }
        }
        if watch.is_over(floor) {
            self.watches.remove(&segment);
        }
    }
}

/// Whether traffic is slow on a segment that comes next.
fn is_slow_ahead(network: &Network, id: SegmentId, batch: &StateBatch) -> bool {
    network.movements_from(id).iter().any(|movement| {
        let state = &batch.segments[movement.to().index()];
        state.provenance == Provenance::Observed
            && state.speed_mps < QUEUED_RATIO * state.free_flow_mps
    })
}
