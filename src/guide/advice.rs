//! The guide: keeps jams and diversions under stable ids, renews and withdraws them.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::diversion::{self, Plan};
use super::jam::{self, Persistence, Run};
use super::{Diversion, Guidance};
use crate::forecast::ForecastBatch;
use crate::matching::Presence;
use crate::network::Network;
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
    /// Road users that must have been seen in it in the minute in which a jam begins: one vehicle at
    /// a red light is none. Default 3.
    pub samples_min: u32,
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
            samples_min: 3,
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
pub(super) struct Jam {
    pub(super) id: u64,
    pub(super) revision: u32,
    pub(super) onset: Timestamp,
    pub(super) emitted_at: Timestamp,
    pub(super) emitted_length_m: f32,
    pub(super) emitted_delay_s: f32,
    pub(super) level: Level,
    pub(super) head: SegmentId,
}

/// A diversion that is being shown.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Shown {
    pub(super) id: u64,
    pub(super) revision: u32,
    pub(super) since: Timestamp,
    pub(super) emitted_at: Timestamp,
    pub(super) emitted_s: [f32; 2],
    pub(super) diversion: Diversion,
}

/// What one closed minute shows.
pub(super) struct Minute<'a> {
    pub(super) states: &'a StateBatch,
    pub(super) forecast: Option<&'a ForecastBatch>,
    pub(super) presence: &'a Presence,
    pub(super) now: Timestamp,
}

/// Watches the network minute by minute and says what is worth saying.
#[derive(Debug)]
pub struct Guide {
    pub(super) network: Arc<Network>,
    pub(super) settings: GuideSettings,
    pub(super) memory: Vec<Persistence>,
    /// The jam each segment belonged to in the last minute; 0 for none.
    pub(super) jam_of: Vec<u64>,
    pub(super) jams: BTreeMap<u64, Jam>,
    /// By the id of the jam they avoid.
    pub(super) shown: BTreeMap<u64, Shown>,
    pub(super) next_id: u64,
    pub(super) suppressed_count: u64,
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

    /// Takes one closed minute with its forecast and who was where at its end, and appends what is
    /// new, changed or withdrawn.
    ///
    /// # Panics
    /// When state or forecast are of another network.
    pub fn update(
        &mut self,
        states: &StateBatch,
        forecast: Option<&ForecastBatch>,
        presence: &Presence,
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
        let minute = Minute {
            states,
            forecast,
            presence,
            now,
        };
        for (run, &id) in runs.iter().zip(&ids) {
            self.follow(id, run, &minute, out);
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
    fn follow(&mut self, id: u64, run: &Run, minute: &Minute<'_>, out: &mut Vec<Guidance>) {
        let now = minute.now;
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
        out.push(self.jam_guidance(&jam, run, minute));
        self.jams.insert(id, jam);
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
        // The minimum display protects drivers from flicker, not from a way that has jammed
        // itself or is closed when they come there.
        let is_closed = planner.is_closed_on_the_way(&shown.diversion.alternative, now);
        if is_jammed_too || is_closed || (!is_worth_it && shown_s >= self.settings.display_s_min) {
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
}
