//! The guide: keeps jams and diversions under stable ids, renews and withdraws them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::bytes::{Reader, put_f32, put_i64, put_u32, put_u64};
use super::diversion::{self, Plan};
use super::jam::{self, CREEPING_MPS, Persistence, Run};
use super::wording;
use super::{Diversion, Evidence, Guidance, GuidanceKind, JamWarning};
use crate::forecast::{ForecastBatch, STEP_COUNT, STEP_MS};
use crate::network::{Network, NetworkVersion};
use crate::state::{Level, StateBatch};
use crate::units::{SegmentId, Timestamp};

/// Rules of the guide. Defaults: spec of the field where cited, else chosen and to be tuned by the
/// operator.
#[derive(Clone, Debug, PartialEq)]
pub struct GuideSettings {
    /// Level from which a segment is congested. Default moderate (40 % of free-flow speed and
    /// below, GB/T 33171-2016).
    pub level_min: Level,
    /// Minutes in a row before a segment counts as jammed. Default 2.
    pub onset_minutes: u8,
    /// Minutes in a row before it no longer does. Default 3.
    pub clear_minutes: u8,
    /// Oldest measurement that speaks for a jam, s. Default 300.
    pub age_s_max: u32,
    /// Shortest jam reported, m. Default 150.
    pub length_m_min: f32,
    /// Least extra travel time of a jam reported, s. Default 75: more than one long red light.
    pub delay_s_min: f32,
    /// How long guidance holds without renewal, s. Default 600.
    pub validity_s: i64,
    /// Saving from which a diversion is advised, s. Default 300.
    pub saving_s_min: f32,
    /// ... or as a share of the main route's time, if it is at least 60 s. Default 0.15.
    pub saving_share_min: f32,
    /// Least probability that the alternative is faster. Default 0.8.
    pub probability_min: f32,
    /// Saving below which a diversion is released, s. Default 120 for those advised by time; half of
    /// `saving_share_min` for those advised by share.
    pub release_saving_s: f32,
    /// Shortest time a diversion is shown, s. Default 600.
    pub display_s_min: i64,
    /// Share of drivers to divert where flows are unknown. Default 0.3.
    pub share_default: f32,
    /// Most jams kept at once; the least delayed are left out and counted. Default 256.
    pub jams_max: usize,
    /// Most diversions kept at once. Default 64.
    pub diversions_max: usize,
    /// Most jams for which a new way round is searched in one minute, worst first. Default 8.
    pub searches_max: usize,
}

impl Default for GuideSettings {
    fn default() -> Self {
        Self {
            level_min: Level::Moderate,
            onset_minutes: 2,
            clear_minutes: 3,
            age_s_max: 300,
            length_m_min: 150.0,
            delay_s_min: 75.0,
            validity_s: 600,
            saving_s_min: 300.0,
            saving_share_min: 0.15,
            probability_min: 0.8,
            release_saving_s: 120.0,
            display_s_min: 600,
            share_default: 0.3,
            jams_max: 256,
            diversions_max: 64,
            searches_max: 8,
        }
    }
}

/// Why a snapshot of the guide cannot be restored.
#[derive(Debug, thiserror::Error)]
#[error("{0}")]
pub struct GuideError(pub String);

/// A jam that is being followed.
#[derive(Clone, Debug, PartialEq)]
struct Jam {
    id: u64,
    revision: u32,
    onset: Timestamp,
    emitted_at: Timestamp,
    emitted_length_m: f32,
    emitted_delay_s: f32,
    level: Level,
    head: SegmentId,
}

/// A diversion that is being shown.
#[derive(Clone, Debug, PartialEq)]
struct Shown {
    id: u64,
    revision: u32,
    since: Timestamp,
    emitted_at: Timestamp,
    emitted_s: [f32; 2],
    diversion: Diversion,
}

/// Watches the network minute by minute and says what is worth saying.
#[derive(Debug)]
pub struct Guide {
    network: Arc<Network>,
    settings: GuideSettings,
    memory: Vec<Persistence>,
    /// The jam each segment belonged to in the last minute; 0 for none.
    jam_of: Vec<u64>,
    jams: BTreeMap<u64, Jam>,
    /// By the id of the jam they avoid.
    shown: BTreeMap<u64, Shown>,
    next_id: u64,
    suppressed_count: u64,
}

impl Guide {
    /// Starts with nothing to say.
    pub fn new(network: Arc<Network>, settings: GuideSettings) -> Self {
        let count = network.segment_count();
        Self {
            network,
            settings,
            memory: vec![Persistence::default(); count],
            jam_of: vec![0; count],
            jams: BTreeMap::new(),
            shown: BTreeMap::new(),
            next_id: 1,
            suppressed_count: 0,
        }
    }

    /// Jams and diversions in force.
    pub fn active_counts(&self) -> (usize, usize) {
        (self.jams.len(), self.shown.len())
    }

    /// Jams that were left out because there were more than the limit, since the start.
    pub fn suppressed_count(&self) -> u64 {
        self.suppressed_count
    }

    /// Takes one closed minute with its forecast and appends what is new, changed or withdrawn.
    ///
    /// # Panics
    /// When state or forecast are of another network.
    pub fn update(
        &mut self,
        states: &StateBatch,
        forecast: Option<&ForecastBatch>,
        out: &mut Vec<Guidance>,
    ) {
        assert_eq!(
            states.network,
            self.network.version(),
            "state of another network"
        );
        jam::judge(&mut self.memory, states, &self.settings);
        let mut runs = jam::runs(
            &self.network,
            &self.memory,
            &self.jam_of,
            states,
            &self.settings,
        );
        if runs.len() > self.settings.jams_max {
            runs.sort_by(|a, b| b.delay_s.total_cmp(&a.delay_s).then(a.chain.cmp(&b.chain)));
            self.suppressed_count += (runs.len() - self.settings.jams_max) as u64;
            runs.truncate(self.settings.jams_max);
        }
        let now = states.interval.end;
        let ids = self.identify(&runs, now, out);
        for (run, &id) in runs.iter().zip(&ids) {
            self.follow(id, run, states, forecast, now, out);
        }
        if let Some(forecast) = forecast {
            self.divert(&runs, &ids, states, forecast, now, out);
        }
    }

    /// Gives every run the id of the jam it continues; jams that no run continues are withdrawn.
    fn identify(&mut self, runs: &[Run], now: Timestamp, out: &mut Vec<Guidance>) -> Vec<u64> {
        let mut claims: Vec<(f32, usize, u64)> = Vec::new();
        for (index, run) in runs.iter().enumerate() {
            let mut overlap_m: BTreeMap<u64, f32> = BTreeMap::new();
            for id in &run.segments {
                let jam = self.jam_of[id.index()];
                if jam != 0 {
                    *overlap_m.entry(jam).or_default() += self.network.segment(*id).length_m;
                }
            }
            claims.extend(
                overlap_m
                    .into_iter()
                    .map(|(jam, metres)| (metres, index, jam)),
            );
        }
        claims.sort_by(|a, b| b.0.total_cmp(&a.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let mut ids = vec![0; runs.len()];
        let mut is_claimed = std::collections::BTreeSet::new();
        for (_, index, jam) in claims {
            if ids[index] == 0 && is_claimed.insert(jam) {
                ids[index] = jam;
            }
        }
        for id in &mut ids {
            if *id == 0 {
                *id = self.next_id;
                self.next_id += 1;
            }
        }
        self.jam_of.fill(0);
        for (run, &id) in runs.iter().zip(&ids) {
            for segment in &run.segments {
                self.jam_of[segment.index()] = id;
            }
        }
        let ended: Vec<u64> = self
            .jams
            .keys()
            .copied()
            .filter(|id| !ids.contains(id))
            .collect();
        for id in ended {
            if let Some(jam) = self.jams.remove(&id) {
                out.push(self.withdrawal_of_jam(&jam, now));
            }
            if let Some(shown) = self.shown.remove(&id) {
                out.push(self.withdrawal_of_diversion(shown, now));
            }
        }
        ids
    }

    /// Follows one jam and emits it when it is new, materially changed or due for renewal.
    fn follow(
        &mut self,
        id: u64,
        run: &Run,
        states: &StateBatch,
        forecast: Option<&ForecastBatch>,
        now: Timestamp,
        out: &mut Vec<Guidance>,
    ) {
        let first_seen = now.plus_secs(-60 * i64::from(self.settings.onset_minutes));
        let known = self.jams.get(&id);
        let onset = known.map_or(first_seen, |jam| jam.onset);
        let is_due = known.is_none_or(|jam| {
            let changed = |new: f32, old: f32| (new - old).abs() > 0.2 * old.max(1.0);
            jam.level != run.level
                || jam.head != run.segments[0]
                || changed(run.length_m, jam.emitted_length_m)
                || changed(run.delay_s, jam.emitted_delay_s)
                || now.millis_since(jam.emitted_at) * 2 >= self.settings.validity_s * 1000
        });
        // A jam that is easing is not described anew: it comes back or is withdrawn.
        if !is_due || run.is_easing {
            return;
        }
        let jam = Jam {
            id,
            revision: known.map_or(0, |jam| jam.revision) + 1,
            onset,
            emitted_at: now,
            emitted_length_m: run.length_m,
            emitted_delay_s: run.delay_s,
            level: run.level,
            head: run.segments[0],
        };
        out.push(self.jam_guidance(&jam, run, states, forecast, now));
        self.jams.insert(id, jam);
    }

    fn jam_guidance(
        &self,
        jam: &Jam,
        run: &Run,
        states: &StateBatch,
        forecast: Option<&ForecastBatch>,
        now: Timestamp,
    ) -> Guidance {
        let forecast_end = forecast.and_then(|forecast| self.forecast_end(run, states, forecast));
        let head = run.segments[0];
        let tail = run.chain.first().copied().unwrap_or(head);
        let ends_in_s = forecast_end.map(|end| end.millis_since(now) as f32 / 1000.0);
        let (reason, reason_zh) = wording::jam(&self.network, run, ends_in_s);
        let mut because: Vec<Evidence> = [head, tail]
            .iter()
            .map(|&id| state_evidence(states, id))
            .collect();
        because.dedup();
        because.extend(forecast.map(|forecast| forecast_evidence(forecast, head)));
        Guidance {
            id: jam.id,
            revision: jam.revision,
            kind: GuidanceKind::Jam(JamWarning {
                segments: run.segments.clone(),
                head: (head, self.network.segment(head).length_m),
                tail: (tail, run.tail_offset_m),
                level: run.level,
                length_m: run.length_m,
                speed_mps: run.speed_mps,
                delay_s: run.delay_s,
                onset: jam.onset,
                forecast_end,
            }),
            valid_from: now,
            valid_until: now.plus_secs(self.settings.validity_s),
            withdrawn: false,
            horizon_s: (STEP_COUNT as i64 * STEP_MS / 1000) as u32,
            // Half for what is estimated, nearly all for what is measured (chosen).
            confidence: 0.5 + 0.45 * run.measured_share,
            reason,
            reason_zh,
            because,
            supersedes: None,
            network: self.network.version(),
        }
    }

    /// The start of the first forecast step from which the run stays above the congested ratio for
    /// two steps; `None` when it does not within the forecast.
    fn forecast_end(
        &self,
        run: &Run,
        states: &StateBatch,
        forecast: &ForecastBatch,
    ) -> Option<Timestamp> {
        let recovers = |step: usize| {
            let (mut time_s, mut free_s) = (0.0f32, 0.0f32);
            for &id in &run.chain {
                let length_m = self.network.segment(id).length_m;
                time_s += length_m / forecast.steps(id)[step].p50_mps.max(CREEPING_MPS);
                free_s += length_m / states.segments[id.index()].free_flow_mps.max(CREEPING_MPS);
            }
            // Better than moderate: above half of free flow (GB/T 33171-2016, 基本畅通).
            free_s / time_s > 0.5
        };
        let step = (0..STEP_COUNT - 1).find(|&step| recovers(step) && recovers(step + 1))?;
        Some(forecast.interval(step).start)
    }

    /// Keeps, renews, releases and finds ways round the jams, worst first.
    fn divert(
        &mut self,
        runs: &[Run],
        ids: &[u64],
        states: &StateBatch,
        forecast: &ForecastBatch,
        now: Timestamp,
        out: &mut Vec<Guidance>,
    ) {
        let mut order: Vec<usize> = (0..runs.len()).collect();
        order.sort_by(|&a, &b| {
            runs[b]
                .delay_s
                .total_cmp(&runs[a].delay_s)
                .then(ids[a].cmp(&ids[b]))
        });
        let mut searches = 0;
        for index in order {
            let (run, jam) = (&runs[index], ids[index]);
            if let Some(shown) = self.shown.get(&jam).cloned() {
                self.keep(shown, states, forecast, now, out);
                continue;
            }
            if run.is_easing {
                continue;
            }
            let is_full = self.shown.len() >= self.settings.diversions_max;
            if is_full || searches >= self.settings.searches_max {
                self.suppressed_count += u64::from(is_full);
                continue;
            }
            searches += 1;
            let planner = diversion::Planner {
                network: &self.network,
                states,
                forecast,
                jam_of: &self.jam_of,
                settings: &self.settings,
            };
            if let Some(plan) = planner.plan(run, now)
                && !self.contradicts(&plan)
            {
                self.show(jam, run.segments[0], plan, now, out);
            }
        }
    }

    /// No way round may use a way that another diversion leads away from.
    fn contradicts(&self, plan: &Plan) -> bool {
        self.shown.values().any(|shown| {
            let avoided = &shown.diversion.main;
            let taken = &shown.diversion.alternative;
            let inner = |route: &[SegmentId]| route.len().saturating_sub(1).max(1);
            plan.alternative[1..inner(&plan.alternative)]
                .iter()
                .any(|id| avoided.contains(id))
                || plan.main[1..inner(&plan.main)]
                    .iter()
                    .any(|id| taken.contains(id))
        })
    }

    fn show(
        &mut self,
        jam: u64,
        jam_head: SegmentId,
        plan: Plan,
        now: Timestamp,
        out: &mut Vec<Guidance>,
    ) {
        let shown = Shown {
            id: self.next_id,
            revision: 1,
            since: now,
            emitted_at: now,
            emitted_s: [plan.main_s, plan.alternative_s],
            diversion: Diversion {
                jam,
                decision: plan.main[0],
                main: plan.main,
                alternative: plan.alternative,
                main_s: plan.main_s,
                alternative_s: plan.alternative_s,
                share: plan.share,
            },
        };
        self.next_id += 1;
        out.push(self.diversion_guidance(&shown, jam_head, plan.probability, now));
        self.shown.insert(jam, shown);
    }

    /// Keeps a shown diversion while it saves enough, renews it, or withdraws it.
    fn keep(
        &mut self,
        mut shown: Shown,
        states: &StateBatch,
        forecast: &ForecastBatch,
        now: Timestamp,
        out: &mut Vec<Guidance>,
    ) {
        let jam = shown.diversion.jam;
        let planner = diversion::Planner {
            network: &self.network,
            states,
            forecast,
            jam_of: &self.jam_of,
            settings: &self.settings,
        };
        let times = planner.compare(&shown.diversion.main, &shown.diversion.alternative, now);
        let saving_s = times.main_s - times.alternative_s;
        let share_floor_s = 0.5 * self.settings.saving_share_min * times.main_s;
        let is_worth_it = saving_s >= self.settings.release_saving_s.min(share_floor_s);
        let is_jammed_too = shown.diversion.alternative[1..].iter().any(|id| {
            let jam_there = self.jam_of[id.index()];
            jam_there != 0 && jam_there != jam
        });
        let shown_s = now.millis_since(shown.since) / 1000;
        // The minimum display protects drivers from flicker, not from a way that has jammed itself.
        if is_jammed_too || (!is_worth_it && shown_s >= self.settings.display_s_min) {
            self.shown.remove(&jam);
            out.push(self.withdrawal_of_diversion(shown, now));
            return;
        }
        let changed = |new: f32, old: f32| (new - old).abs() > (0.2 * old).max(60.0);
        let is_due = changed(times.main_s, shown.emitted_s[0])
            || changed(times.alternative_s, shown.emitted_s[1])
            || now.millis_since(shown.emitted_at) * 2 >= self.settings.validity_s * 1000;
        shown.diversion.main_s = times.main_s;
        shown.diversion.alternative_s = times.alternative_s;
        if is_due {
            shown.revision += 1;
            shown.emitted_at = now;
            shown.emitted_s = [times.main_s, times.alternative_s];
            let head = self
                .jams
                .get(&jam)
                .map_or(shown.diversion.main[0], |jam| jam.head);
            out.push(self.diversion_guidance(&shown, head, times.probability, now));
        }
        self.shown.insert(jam, shown);
    }

    fn diversion_guidance(
        &self,
        shown: &Shown,
        jam_head: SegmentId,
        probability: f32,
        now: Timestamp,
    ) -> Guidance {
        let diversion = &shown.diversion;
        let times = [diversion.main_s, diversion.alternative_s];
        let (reason, reason_zh) =
            wording::diversion(&self.network, jam_head, &diversion.alternative, times);
        Guidance {
            id: shown.id,
            revision: shown.revision,
            kind: GuidanceKind::Diversion(diversion.clone()),
            valid_from: now,
            valid_until: now.plus_secs(self.settings.validity_s),
            withdrawn: false,
            horizon_s: diversion.main_s.max(diversion.alternative_s).ceil() as u32,
            confidence: probability,
            reason,
            reason_zh,
            because: vec![Evidence::TravelTimes {
                main_s: diversion.main_s,
                alternative_s: diversion.alternative_s,
                probability,
            }],
            supersedes: None,
            network: self.network.version(),
        }
    }

    fn withdrawal_of_jam(&self, jam: &Jam, now: Timestamp) -> Guidance {
        let head = (jam.head, self.network.segment(jam.head).length_m);
        Guidance {
            kind: GuidanceKind::Jam(JamWarning {
                segments: vec![jam.head],
                head,
                tail: (jam.head, 0.0),
                level: Level::Smooth,
                length_m: 0.0,
                speed_mps: 0.0,
                delay_s: 0.0,
                onset: jam.onset,
                forecast_end: Some(now),
            }),
            ..self.withdrawal(jam.id, jam.revision + 1, now)
        }
    }

    fn withdrawal_of_diversion(&self, shown: Shown, now: Timestamp) -> Guidance {
        Guidance {
            kind: GuidanceKind::Diversion(shown.diversion),
            ..self.withdrawal(shown.id, shown.revision + 1, now)
        }
    }

    fn withdrawal(&self, id: u64, revision: u32, now: Timestamp) -> Guidance {
        Guidance {
            id,
            revision,
            kind: GuidanceKind::Diversion(Diversion {
                jam: 0,
                decision: SegmentId(0),
                main: Vec::new(),
                alternative: Vec::new(),
                main_s: 0.0,
                alternative_s: 0.0,
                share: 0.0,
            }),
            valid_from: now,
            valid_until: now,
            withdrawn: true,
            horizon_s: 0,
            confidence: 1.0,
            reason: "No longer needed.".into(),
            reason_zh: "已解除。".into(),
            because: Vec::new(),
            supersedes: None,
            network: self.network.version(),
        }
    }

    /// Appends the guide's memory.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_u32(out, SNAPSHOT_VERSION);
        out.extend_from_slice(&self.network.version().0);
        put_u64(out, self.next_id);
        put_u64(out, self.suppressed_count);
        for (persistence, jam) in self.memory.iter().zip(&self.jam_of) {
            out.push(persistence.against | u8::from(persistence.is_jammed) << 7);
            put_u64(out, *jam);
        }
        put_u32(out, self.jams.len() as u32);
        for jam in self.jams.values() {
            put_u64(out, jam.id);
            put_u32(out, jam.revision);
            put_i64(out, jam.onset.as_millis());
            put_i64(out, jam.emitted_at.as_millis());
            put_f32(out, jam.emitted_length_m);
            put_f32(out, jam.emitted_delay_s);
            out.push(jam.level as u8);
            put_u32(out, jam.head.0);
        }
        put_u32(out, self.shown.len() as u32);
        for shown in self.shown.values() {
            let diversion = &shown.diversion;
            put_u64(out, shown.id);
            put_u32(out, shown.revision);
            put_i64(out, shown.since.as_millis());
            put_i64(out, shown.emitted_at.as_millis());
            put_u64(out, diversion.jam);
            let numbers = [shown.emitted_s[0], shown.emitted_s[1], diversion.main_s];
            for number in numbers
                .into_iter()
                .chain([diversion.alternative_s, diversion.share])
            {
                put_f32(out, number);
            }
            for route in [&diversion.main, &diversion.alternative] {
                put_u32(out, route.len() as u32);
                route.iter().for_each(|id| put_u32(out, id.0));
            }
        }
    }

    /// Takes back what [`Guide::snapshot`] wrote for the same network.
    ///
    /// # Errors
    /// When the bytes are of another version or network, or broken.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), GuideError> {
        let mut reader = Reader::new(bytes);
        let version = reader.u32()?;
        if version != SNAPSHOT_VERSION {
            return Err(GuideError(format!(
                "version {version}, {SNAPSHOT_VERSION} expected"
            )));
        }
        let network = NetworkVersion(reader.take::<32>()?);
        if network != self.network.version() {
            return Err(GuideError(format!("made for network {network}")));
        }
        let mut fresh = Self::new(self.network.clone(), self.settings.clone());
        fresh.next_id = reader.u64()?;
        fresh.suppressed_count = reader.u64()?;
        for index in 0..fresh.memory.len() {
            let [packed] = reader.take::<1>()?;
            fresh.memory[index] = Persistence {
                against: packed & 0x7f,
                is_jammed: packed >= 0x80,
            };
            fresh.jam_of[index] = reader.u64()?;
        }
        for _ in 0..reader.u32()? {
            let jam = Jam {
                id: reader.u64()?,
                revision: reader.u32()?,
                onset: reader.time()?,
                emitted_at: reader.time()?,
                emitted_length_m: reader.f32()?,
                emitted_delay_s: reader.f32()?,
                level: Level::from_code(reader.take::<1>()?[0]),
                head: reader.segment(&fresh.network)?,
            };
            fresh.jams.insert(jam.id, jam);
        }
        for _ in 0..reader.u32()? {
            let shown = read_shown(&mut reader, &fresh.network)?;
            fresh.shown.insert(shown.diversion.jam, shown);
        }
        *self = fresh;
        Ok(())
    }
}

const SNAPSHOT_VERSION: u32 = 1;

fn read_shown(reader: &mut Reader<'_>, network: &Network) -> Result<Shown, GuideError> {
    let (id, revision) = (reader.u64()?, reader.u32()?);
    let (since, emitted_at) = (reader.time()?, reader.time()?);
    let jam = reader.u64()?;
    let emitted_s = [reader.f32()?, reader.f32()?];
    let (main_s, alternative_s, share) = (reader.f32()?, reader.f32()?, reader.f32()?);
    let mut routes = [Vec::new(), Vec::new()];
    for route in &mut routes {
        for _ in 0..reader.u32()? {
            route.push(reader.segment(network)?);
        }
        if route.is_empty() {
            return Err(GuideError("a diversion without a route".into()));
        }
    }
    let [main, alternative] = routes;
    let decision = main[0];
    let diversion = Diversion {
        jam,
        decision,
        main,
        alternative,
        main_s,
        alternative_s,
        share,
    };
    Ok(Shown {
        id,
        revision,
        since,
        emitted_at,
        emitted_s,
        diversion,
    })
}

fn state_evidence(states: &StateBatch, segment: SegmentId) -> Evidence {
    let state = &states.segments[segment.index()];
    Evidence::State {
        segment,
        at: states.interval.start,
        speed_mps: state.speed_mps,
        free_flow_mps: state.free_flow_mps,
        sample_count: state.sample_count,
    }
}

fn forecast_evidence(forecast: &ForecastBatch, segment: SegmentId) -> Evidence {
    Evidence::Forecast {
        segment,
        at: forecast.first_step,
        p50_mps: forecast.steps(segment)[0].p50_mps,
        model: forecast.model.clone(),
    }
}
