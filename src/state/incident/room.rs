//! All that is watched on a network, minute by minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use super::detectors::{LaneWatch, Lanes};
use super::evidence::{Finding, Learnt, Place, fast_roads, is_free, weigh};
use super::life::{Watch, advance, blocked, kind_of};
use super::queue::QUEUED_RATIO;
use super::{
    INCIDENTS_MAX, IncidentChange, IncidentEvidence, IncidentOrder, IncidentSettings, IncidentState,
};
use crate::network::Network;
use crate::observation::DetectorReading;
use crate::state::stay::Stay;
use crate::state::{DetectorTable, Doubt, MINUTE_MS, Provenance, StateBatch};
use crate::units::{SegmentId, Timestamp};

/// A segment is looked at where somebody stood so long, s.
const LOOK_STAND_S: f32 = 45.0;
/// Minutes for which the queue of an incident that is over may still stand upstream.
const AFTER_MINUTES: i64 = 10;
/// What an operator's verdict adds to the prior log-odds of its segment.
const VERDICT_BIAS: f32 = 3.0;

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
    pub(super) watches: BTreeMap<SegmentId, Watch>,
    /// Segments of incidents that are over, and when they ended.
    pub(super) ended: BTreeMap<SegmentId, Timestamp>,
    /// What operators said of segments: the bias and until when it holds.
    pub(super) verdicts: BTreeMap<SegmentId, (f32, Timestamp)>,
    pub(super) next_id: u64,
    pub(super) refused: u64,
    pub(super) orders_unknown: u64,
}

/// What is known of the minute while it is judged.
pub(super) struct Scene<'a> {
    pub(super) batch: &'a StateBatch,
    pub(super) lanes: BTreeMap<SegmentId, Lanes>,
    pub(super) findings: BTreeMap<SegmentId, Finding>,
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
            watches: BTreeMap::new(),
            ended: BTreeMap::new(),
            verdicts: BTreeMap::new(),
            next_id: 1,
            refused: 0,
            orders_unknown: 0,
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
        let heads = self.heads(&scene);
        let mut segments: BTreeSet<SegmentId> = self.watches.keys().copied().collect();
        segments.extend(heads.keys());
        for segment in segments {
            self.judge(at, segment, heads.get(&segment), &scene, out);
        }
    }

    fn forget(&mut self, at: Timestamp) {
        let oldest = at.plus_millis(-AFTER_MINUTES * MINUTE_MS);
        self.ended.retain(|_, ended_at| *ended_at > oldest);
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
                VERDICT_BIAS
            } else {
                -VERDICT_BIAS
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
        let network = Arc::clone(&self.network);
        let mut is_looked_at = vec![false; self.learnt.len()];
        let mut ended_stands: BTreeMap<u32, (f32, u8)> = BTreeMap::new();
        for stay in minute.stays {
            let index = stay.segment().index();
            let (stand_s, _) = stay.stand();
            is_looked_at[index] |= stand_s >= LOOK_STAND_S || self.fast[index];
            if stand_s > 0.0 && stay.has_moved_on() {
                let known = ended_stands.entry(index as u32).or_default();
                known.0 = known.0.max(stand_s);
                known.1 = known.1.saturating_add(1);
            }
        }
        for segment in lanes.keys().chain(self.watches.keys()) {
            is_looked_at[segment.index()] = true;
        }
        let looked_at = |stay: &&Stay| is_looked_at[stay.segment().index()];
        let mut stays: Vec<Stay> = minute.stays.iter().filter(looked_at).copied().collect();
        stays.sort_unstable();
        let mut findings = BTreeMap::new();
        for (index, _) in is_looked_at.iter().enumerate().filter(|(_, is)| **is) {
            let id = SegmentId(index as u32);
            let segment = network.segment(id);
            let from = stays.partition_point(|stay| stay.segment() < id);
            let until = stays.partition_point(|stay| stay.segment() <= id);
            let is_doubted = minute.batch.segments[index].doubt != Doubt::None;
            let here = if is_doubted {
                &[][..]
            } else {
                &stays[from..until]
            };
            let counted = lanes.get(&id);
            let place = Place {
                segment,
                learnt: &self.learnt[index],
                is_fast: self.fast[index],
            };
            let finding = weigh(&place, here, counted);
            let learnt = &mut self.learnt[index];
            if self.fast[index] {
                learnt.free_ago = match is_free(segment, here, counted) {
                    true => 0,
                    false => learnt.free_ago.saturating_add(1),
                };
            }
            if finding.weight > 0.0 || finding.stuck > 0 || finding.is_crawling {
                findings.insert(id, finding);
            }
        }
        for (index, (stand_s, count)) in ended_stands {
            let learnt = &mut self.learnt[index as usize];
            let is_incident = self.watches.contains_key(&SegmentId(index));
            if !is_incident {
                learnt.learn_stands(stand_s, count);
            }
        }
        Scene {
            batch: minute.batch,
            lanes,
            findings,
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
        let (queue_m, tail, tail_offset_m) = self.queue(segment, finding, scene);
        let state = &scene.batch.segments[segment.index()];
        let is_passed = state.provenance == Provenance::Observed
            && state.speed_mps > QUEUED_RATIO * state.free_flow_mps
            && !scene.findings.contains_key(&segment);
        let Some(watch) = self.watches.get_mut(&segment) else {
            return;
        };
        watch.weigh(finding, is_passed, floor);
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
                })
            });
            (incident.queue_m, incident.tail) = (queue_m, tail);
            incident.tail_offset_m = tail_offset_m;
            advance(incident, next, at, log_odds, finding, &about);
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
