//! The tracks of one virtual partition: observations in, committed positions out.

use std::collections::HashMap;
use std::hash::{BuildHasherDefault, Hasher};
use std::sync::Arc;

use super::area::Areas;
use super::decide;
use super::roads::Roads;
use super::route::Router;
use super::settings::{MatchError, MatchSettings};
use super::step::{self, Fix, Search};
use super::track::{Committed, Pending, Place, Track};
use super::{Advance, BreakReason, MatchedPosition, TrackCounts};
use crate::network::{LaneIndex, Network};
use crate::observation::{Observation, RejectReason};
use crate::screening::{LastSeen, Motion, Pseudonyms, Verdict};
use crate::units::{Point, SegmentId, SourceId, SubjectId, Timestamp};

/// After so many observations in a row without a segment near, the track ends: one or two are
/// outliers, three are a car park. Chosen.
const OFF_ROAD_LIMIT: u8 = 2;

/// How much faster than reported or believed a committed route may be, and how many metres longer
/// in any case: positions of two fixes carry their errors into the route. Chosen.
const ROUTE_SPEED_FACTOR: f32 = 1.5;
const ROUTE_SLACK_M: f32 = 80.0;

/// Everything about matching that does not change: one for all partitions and threads.
#[derive(Clone, Debug)]
pub struct Matcher {
    network: Arc<Network>,
    roads: Arc<Roads>,
    settings: MatchSettings,
    areas: Arc<Areas>,
    pseudonyms: Pseudonyms,
}

impl Matcher {
    /// Prepares matching on a network.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(network: Arc<Network>, settings: MatchSettings) -> Result<Self, MatchError> {
        settings.validate()?;
        let roads = Arc::new(Roads::new(&network));
        Ok(Self {
            network,
            roads,
            settings,
            areas: Arc::default(),
            pseudonyms: Pseudonyms::default(),
        })
    }

    /// Matches what comes from the sources that stand for `areas` inside these areas only.
    #[must_use]
    pub fn with_areas(mut self, areas: Areas) -> Self {
        self.areas = Arc::new(areas);
        self
    }

    /// The same matcher with other areas; network and roads are shared.
    #[must_use]
    pub fn in_areas(&self, areas: Arc<Areas>) -> Self {
        Self {
            areas,
            ..self.clone()
        }
    }

    /// Names road users by `pseudonyms`.
    #[must_use]
    pub fn with_pseudonyms(self, pseudonyms: Pseudonyms) -> Self {
        Self { pseudonyms, ..self }
    }

    /// How road users are named; whoever feeds a [`Partition`] gives it such names.
    pub fn pseudonyms(&self) -> &Pseudonyms {
        &self.pseudonyms
    }

    /// The areas of roadside units.
    pub fn areas(&self) -> &Arc<Areas> {
        &self.areas
    }

    /// The network matched to.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// The settings in force.
    pub fn settings(&self) -> &MatchSettings {
        &self.settings
    }

    fn fix(&self, point: Point, observation: &Observation) -> Fix {
        let settings = &self.settings;
        let sigma_m = observation
            .accuracy_m
            .filter(|accuracy| accuracy.is_finite() && *accuracy > 0.0)
            .unwrap_or(settings.sigma_m);
        let variance = sigma_m * sigma_m;
        let heading = observation
            .heading_deg
            .filter(|_| settings.use_kinematics)
            .map(|heading| heading.to_radians().sin_cos());
        Fix {
            point,
            speed_mps: observation.speed_mps.filter(|_| settings.use_kinematics),
            heading,
            white_var: variance * (1.0 - settings.correlated_share),
            bias_var: variance * settings.correlated_share,
            radius_m: settings.search_radius_m.max(4.0 * sigma_m),
            altitude_m: observation.altitude_m,
            elapsed_s: 0.0,
        }
    }
}

/// Working memory of matching, one a thread; it carries nothing from one call to the next.
#[derive(Debug, Default)]
pub struct Scratch {
    search: Search,
    router: Router,
}

/// The tracks of the road users of one virtual partition.
#[derive(Debug, Default)]
pub struct Partition {
    pub(super) tracks: Vec<Track>,
    pub(super) free: Vec<u32>,
    pub(super) slots: HashMap<(SourceId, SubjectId), u32, BuildHasherDefault<FoldHasher>>,
    pub(super) counts: TrackCounts,
}

impl Partition {
    /// An empty partition.
    pub fn new() -> Self {
        Self::default()
    }

    /// How many road users are remembered.
    pub fn track_count(&self) -> usize {
        self.slots.len()
    }

    /// How many tracks began and ended so far, by reason.
    pub fn counts(&self) -> &TrackCounts {
        &self.counts
    }

    /// Whether a road user is remembered.
    pub fn knows(&self, source: SourceId, subject: SubjectId) -> bool {
        self.slots.contains_key(&(source, subject))
    }

    /// Goes on with the track of `from` as that of `to`, which must not be known, and returns its
    /// slot; `None` when `from` is not known.
    pub fn rename(&mut self, source: SourceId, from: SubjectId, to: SubjectId) -> Option<u32> {
        let slot = self.slots.remove(&(source, from))?;
        let taken = self.slots.insert((source, to), slot);
        debug_assert!(taken.is_none(), "the new name was in use");
        self.tracks[slot as usize].subject = to;
        Some(slot)
    }

    /// When the road user in slot `track` was last matched to a road; `None` once it has left the
    /// roads or is not remembered.
    pub fn on_road_at(&self, track: u32) -> Option<Timestamp> {
        let track = self.tracks.get(track as usize)?;
        let is_on_road = track.is_live && track.off_road_count == 0 && track.hypothesis_count > 0;
        is_on_road.then_some(track.matched_at)
    }

    /// Takes in one observation and hands every position it commits to `sink`, in order.
    ///
    /// # Errors
    /// Why the observation was refused: [`RejectReason::Duplicate`],
    /// [`RejectReason::OutOfOrder`], [`RejectReason::RateCapped`],
    /// [`RejectReason::Implausible`] or [`RejectReason::OffRoad`]. Positions of earlier
    /// observations may be committed even then.
    pub fn observe(
        &mut self,
        matcher: &Matcher,
        scratch: &mut Scratch,
        source: SourceId,
        observation: &Observation,
        sink: &mut impl FnMut(Advance<'_>),
    ) -> Result<(), RejectReason> {
        let at = observation.observed_at;
        let point = matcher.network.frame().to_point(observation.position);
        let fix = matcher.fix(point, observation);
        scratch.search.confine(matcher.areas.of_source(source));
        let motion = Motion::of(observation);
        let (slot, is_new) = self.slot_of(source, observation.subject, at, point, motion);
        let track = &mut self.tracks[slot as usize];
        let mut commit = Commit {
            matcher,
            router: &mut scratch.router,
            counts: &mut self.counts,
            slot,
        };
        commit.overdue(track, at, sink);
        let result = if is_new {
            Ok(())
        } else {
            commit.screen(track, at, &fix, motion, sink)
        };
        // What is sent twice leaves no trace: after a restart the broker repeats what it is owed.
        let is_repeat =
            |reason| matches!(reason, RejectReason::Duplicate | RejectReason::OutOfOrder);
        if !result.is_err_and(is_repeat) {
            track.age_pending();
        }
        let result = match result {
            Ok(()) => commit.advance(track, &mut scratch.search, observation, &fix, sink),
            Err(reason) => {
                track.seen = track.seen.refused(at, reason);
                Err(reason)
            }
        };
        commit.due(track, sink);
        result
    }

    /// Commits what is pending of every road user silent since before `before`, and forgets it.
    pub fn expire(
        &mut self,
        matcher: &Matcher,
        scratch: &mut Scratch,
        before: Timestamp,
        sink: &mut impl FnMut(Advance<'_>),
    ) {
        for slot in 0..self.tracks.len() {
            let track = &mut self.tracks[slot];
            if !track.is_live || track.seen.at >= before {
                continue;
            }
            let mut commit = Commit {
                matcher,
                router: &mut scratch.router,
                counts: &mut self.counts,
                slot: slot as u32,
            };
            commit.end(track, BreakReason::Silent, sink);
            track.is_live = false;
            self.slots.remove(&(track.source, track.subject));
            self.free.push(slot as u32);
        }
    }

    /// Commits everything that is pending, as at the end of the input. The tracks go on.
    pub fn flush(
        &mut self,
        matcher: &Matcher,
        scratch: &mut Scratch,
        sink: &mut impl FnMut(Advance<'_>),
    ) {
        for slot in 0..self.tracks.len() {
            let mut commit = Commit {
                matcher,
                router: &mut scratch.router,
                counts: &mut self.counts,
                slot: slot as u32,
            };
            commit.all(&mut self.tracks[slot], sink);
        }
    }

    fn slot_of(
        &mut self,
        source: SourceId,
        subject: SubjectId,
        at: Timestamp,
        point: Point,
        motion: Motion,
    ) -> (u32, bool) {
        if let Some(&slot) = self.slots.get(&(source, subject)) {
            return (slot, false);
        }
        let track = Track::new(source, subject, LastSeen::first(at, point, motion));
        let slot = match self.free.pop() {
            Some(slot) => {
                self.tracks[slot as usize] = track;
                slot
            }
            None => {
                self.tracks.push(track);
                self.tracks.len() as u32 - 1
            }
        };
        self.slots.insert((source, subject), slot);
        (slot, true)
    }
}

/// What is needed to commit positions of one track.
struct Commit<'a> {
    matcher: &'a Matcher,
    router: &'a mut Router,
    counts: &'a mut TrackCounts,
    slot: u32,
}

impl Commit<'_> {
    /// Judges the observation against the last one, ending the track where it cannot go on.
    fn screen(
        &mut self,
        track: &mut Track,
        at: Timestamp,
        fix: &Fix,
        motion: Motion,
        sink: &mut impl FnMut(Advance<'_>),
    ) -> Result<(), RejectReason> {
        let slack_m = fix.radius_m;
        let verdict = track.seen.judge(at, fix.point, motion, slack_m)?;
        let gap_ms = at.millis_since(track.seen.at);
        if verdict == Verdict::Teleports {
            self.end(track, BreakReason::Teleport, sink);
        } else if gap_ms > self.matcher.settings.forget_after_s.saturating_mul(1000) {
            self.end(track, BreakReason::Gap, sink);
        }
        track.seen = track.seen.accepted(at, fix.point, motion);
        Ok(())
    }

    /// Moves the hypotheses to the new observation and keeps it pending.
    fn advance(
        &mut self,
        track: &mut Track,
        search: &mut Search,
        observation: &Observation,
        fix: &Fix,
        sink: &mut impl FnMut(Advance<'_>),
    ) -> Result<(), RejectReason> {
        let at = observation.observed_at;
        let elapsed_s = at.millis_since(track.matched_at) as f32 / 1000.0;
        let fix = &Fix { elapsed_s, ..*fix };
        let (network, roads) = (&self.matcher.network, &self.matcher.roads);
        let settings = &self.matcher.settings;
        let is_first = track.hypothesis_count == 0;
        if !step::step(network, roads, settings, search, track, fix) {
            track.off_road_count = track.off_road_count.saturating_add(1);
            if track.off_road_count > OFF_ROAD_LIMIT {
                self.end(track, BreakReason::OffRoad, sink);
            }
            return Err(RejectReason::OffRoad);
        }
        if is_first {
            self.counts.begun += 1;
        }
        track.off_road_count = 0;
        track.matched_at = at;
        track.push_pending(Pending::of(observation, fix.point));
        Ok(())
    }

    /// Commits what may not wait for an observation at `at`.
    fn overdue(&mut self, track: &mut Track, at: Timestamp, sink: &mut impl FnMut(Advance<'_>)) {
        let Some(lag_s) = self.matcher.settings.lag_s else {
            return;
        };
        let is_too_late = |pending: &Pending| at.millis_since(pending.at) as f32 > 1000.0 * lag_s;
        while track.pending().first().is_some_and(is_too_late) {
            self.oldest(track, sink);
        }
    }

    /// Commits what has waited long enough.
    fn due(&mut self, track: &mut Track, sink: &mut impl FnMut(Advance<'_>)) {
        let lag = self.matcher.settings.lag_fixes;
        while track
            .pending()
            .first()
            .is_some_and(|oldest| oldest.age >= lag)
        {
            self.oldest(track, sink);
        }
    }

    fn all(&mut self, track: &mut Track, sink: &mut impl FnMut(Advance<'_>)) {
        while track.pending_count > 0 {
            self.oldest(track, sink);
        }
    }

    /// Commits everything pending and ends the track.
    fn end(&mut self, track: &mut Track, reason: BreakReason, sink: &mut impl FnMut(Advance<'_>)) {
        self.all(track, sink);
        if track.hypothesis_count > 0 {
            self.counts.end(reason);
        }
        track.restart();
    }

    fn oldest(&mut self, track: &mut Track, sink: &mut impl FnMut(Advance<'_>)) {
        let fixes_ago = usize::from(track.pending_count).saturating_sub(1);
        let Some(pending) = track.pop_pending() else {
            return;
        };
        let Some((place, likelihood)) =
            decide::likeliest_place(&self.matcher.roads, track.hypotheses(), fixes_ago)
        else {
            return;
        };
        let (place, since) = self.link(track, &pending, place);
        let segment = SegmentId(self.matcher.roads.road(place.stage).segment);
        track.committed = Some(Committed {
            at: pending.at,
            place,
        });
        sink(Advance {
            track: self.slot,
            position: MatchedPosition {
                subject: track.subject,
                observed_at: pending.at,
                segment,
                lane: self.lane(track, &pending, segment),
                offset_m: place.offset_m,
                likelihood,
                speed_mps: pending.speed_mps,
                origin: pending.origin,
            },
            view: pending.view,
            since,
            route: &self.router.pieces,
            junction_m: self.router.junction_m,
        });
    }

    /// The lane of what a roadside unit perceived.
    fn lane(&self, track: &Track, pending: &Pending, segment: SegmentId) -> Option<LaneIndex> {
        self.matcher.areas.of_source(track.source)?;
        let network = &self.matcher.network;
        let (offset_m, lateral_m) = network.beside(segment, pending.lane_point?);
        network.lane_at(segment, offset_m, lateral_m)
    }

    /// Finds the route from the last committed position; without one a new track begins.
    fn link(
        &mut self,
        track: &Track,
        pending: &Pending,
        place: Place,
    ) -> (Place, Option<Timestamp>) {
        let from = match track.committed {
            Some(committed) => committed,
            None => {
                self.router.clear();
                return (place, None);
            }
        };
        let elapsed_s = pending.at.millis_since(from.at) as f32 / 1000.0;
        let speed_mps = track
            .hypotheses()
            .first()
            .map_or(0.0, |best| best.belief.mean[1])
            .max(pending.speed_mps.unwrap_or(0.0))
            .max(10.0);
        let limit_m = ROUTE_SPEED_FACTOR * speed_mps * elapsed_s + ROUTE_SLACK_M;
        let roads = &self.matcher.roads;
        match self.router.connect(roads, from.place, place, limit_m) {
            Some(place) => (place, Some(from.at)),
            None => {
                self.counts.end(BreakReason::Rerouted);
                self.counts.begun += 1;
                self.router.clear();
                (place, None)
            }
        }
    }
}

/// Hashes pseudonyms, which are hashes already.
#[derive(Clone, Debug, Default)]
pub(super) struct FoldHasher(u64);

impl Hasher for FoldHasher {
    fn finish(&self) -> u64 {
        self.0
    }

    fn write(&mut self, bytes: &[u8]) {
        for &byte in bytes {
            self.write_u64(u64::from(byte));
        }
    }

    fn write_u32(&mut self, value: u32) {
        self.write_u64(u64::from(value));
    }

    fn write_u64(&mut self, value: u64) {
        // Multiplication by the golden ratio and a fold (Knuth, TAOCP vol. 3, 6.4).
        let mixed = (self.0 ^ value).wrapping_mul(0x9E37_79B9_7F4A_7C15);
        self.0 = mixed ^ (mixed >> 32);
    }
}
