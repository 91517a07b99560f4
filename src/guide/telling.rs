//! What the guide says of a jam or a diversion: the published value with its evidence.

use super::advice::{Guide, Jam, Minute, Shown};
use super::jam::{CREEPING_MPS, Run};
use super::wording;
use super::{Diversion, Evidence, Guidance, GuidanceKind, JamWarning};
use crate::forecast::{ForecastBatch, STEP_COUNT, STEP_MS};
use crate::matching::Presence;
use crate::state::{Level, StateBatch};
use crate::units::{SegmentId, Timestamp};

/// How near to the tail of a jam road users are counted as about to run into it, m: 300 m ahead is
/// where speed advice begins to help (docs/guidance.md).
const NEAR_TAIL_M: f32 = 300.0;

impl Guide {
    pub(super) fn jam_guidance(&self, jam: &Jam, run: &Run, minute: &Minute<'_>) -> Guidance {
        let &Minute {
            states,
            forecast,
            presence,
            now,
        } = minute;
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
        because.extend(self.vehicle_evidence(run, tail, presence));
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

    /// How many are in the jam and near its tail, those left out of whom nothing may be told; `None`
    /// where nobody is seen.
    fn vehicle_evidence(
        &self,
        run: &Run,
        tail: SegmentId,
        presence: &Presence,
    ) -> Option<Evidence> {
        let (end_of_queue, _) = self.network.locate(tail, run.tail_offset_m);
        let in_jam = presence.on_segments(&run.segments);
        let in_jam = in_jam.filter(|vehicle| vehicle.may_be_told).count() as u32;
        let near_tail = presence.within(end_of_queue, NEAR_TAIL_M);
        let near_tail = near_tail.iter().filter(|near| near.vehicle.may_be_told);
        let near_tail = near_tail.count() as u32;
        (in_jam + near_tail > 0).then_some(Evidence::Vehicles {
            at: presence.as_of(),
            in_jam,
            near_tail,
            radius_m: NEAR_TAIL_M,
        })
    }

    /// The start of the first forecast step from which the run stays above the congested ratio for
    /// two steps; `None` when it does not within the forecast.
    pub(super) fn forecast_end(
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

    pub(super) fn diversion_guidance(
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

    pub(super) fn withdrawal_of_jam(&self, jam: &Jam, now: Timestamp) -> Guidance {
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

    pub(super) fn withdrawal_of_diversion(&self, shown: Shown, now: Timestamp) -> Guidance {
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
