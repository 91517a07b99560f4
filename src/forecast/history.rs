//! The last hour of every segment as five-minute means, built from closed minutes, and how far the
//! last day was from what is usual.
//!
//! Means are taken over the minutes that were measured or estimated, a measured minute counting twice;
//! minutes that only the profile speaks for count nothing. Means of speeds are space means
//! ([`crate::state::pace_spm`]), those of flows plain averages.

use std::collections::VecDeque;
use std::sync::Arc;

use super::slow_levels::SlowLevels;
use super::snapshot::{Reader, SnapshotError, put_bytes, put_f32s, put_i64, put_u32};
use super::{
    Calibration, Disturbances, ForecastRequest, LAG_COUNT, STEP_COUNT, STEP_MS, SpeedProfile,
};
use crate::network::NetworkVersion;
use crate::state::{MINUTE_MS, Provenance, StateBatch, mean_speed_mps, pace_spm};
use crate::units::{Interval, SegmentId, Timestamp};

const SNAPSHOT_VERSION: u32 = 3;
/// Minutes in a step, as a divisor of weights.
const MINUTES_PER_STEP: f32 = (STEP_MS / MINUTE_MS) as f32;

/// Standard deviation of the last minute's estimate, in shares of free flow, at which it counts as much
/// for the present as the last five minutes (chosen).
const SURE: f32 = 0.08;

/// What is averaged over minutes.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Quantity {
    #[default]
    Speed,
    Flow,
}

impl Quantity {
    /// What of a minute's value adds up: the pace of a speed, s/m, or the flow itself.
    pub(super) fn part(self, value: f32) -> f32 {
        match self {
            Self::Speed => pace_spm(value),
            Self::Flow => value,
        }
    }

    /// The mean of parts that weigh `weight` together.
    pub(super) fn mean(self, sum: f32, weight: f32) -> f32 {
        match self {
            Self::Speed => mean_speed_mps(sum, weight),
            Self::Flow => sum / weight,
        }
    }
}

/// The closed minutes of one five-minute step.
#[derive(Clone, Debug, PartialEq)]
struct Step {
    start: Timestamp,
    /// Sum of weight times [`Quantity::part`], and sum of weights; 1 a measured, 0.5 an estimated minute.
    weighted: Vec<f32>,
    weight: Vec<f32>,
    /// The same over measured minutes alone.
    measured: Vec<f32>,
    measured_minutes: Vec<u8>,
}

/// The measured means of a step all of whose minutes are closed.
#[derive(Clone, Copy, Debug)]
pub struct FinishedStep<'a> {
    /// Where the step begins; a multiple of 300 s.
    pub start: Timestamp,
    quantity: Quantity,
    measured: &'a [f32],
    measured_minutes: &'a [u8],
}

impl FinishedStep<'_> {
    /// The mean over the measured minutes of `segment`, m/s; `None` where there was none.
    pub fn measured_mps(&self, segment: SegmentId) -> Option<f32> {
        let minutes = *self.measured_minutes.get(segment.index())?;
        let sum = *self.measured.get(segment.index())?;
        (minutes > 0).then(|| self.quantity.mean(sum, f32::from(minutes)))
    }
}

/// Keeps the last hour of one network, and the deviations of the last day.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct History {
    quantity: Quantity,
    network: NetworkVersion,
    /// End of the last closed minute.
    closed_until: Option<Timestamp>,
    now_mps: Vec<f32>,
    sigma_mps: Vec<f32>,
    age_min: Vec<u8>,
    /// Oldest first, at most `LAG_COUNT`.
    steps: VecDeque<Step>,
    levels: SlowLevels,
}

impl History {
    /// Starts without any past.
    pub fn new() -> Self {
        Self::default()
    }

    /// The same for flows, which come in the place of speeds, veh/h for m/s.
    #[must_use]
    pub(super) fn of_flows(self) -> Self {
        Self {
            quantity: Quantity::Flow,
            ..self
        }
    }

    /// Takes in one closed minute. A batch of another network starts afresh; a minute that does not
    /// lie after the last one is ignored.
    pub fn push(&mut self, batch: &StateBatch) {
        let count = batch.segments.len();
        if batch.network != self.network || count != self.now_mps.len() {
            *self = Self {
                quantity: self.quantity,
                network: batch.network,
                now_mps: vec![0.0; count],
                sigma_mps: vec![0.0; count],
                age_min: vec![u8::MAX; count],
                ..Self::default()
            };
        }
        if self
            .closed_until
            .is_some_and(|closed| batch.interval.start < closed)
        {
            return;
        }
        self.closed_until = Some(batch.interval.end);
        let start = batch.interval.start.floor_to(STEP_MS);
        if self.steps.back().is_none_or(|step| step.start != start) {
            self.begin_step(start, count);
        }
        let quantity = self.quantity;
        let Some(step) = self.steps.back_mut() else {
            return;
        };
        for (index, state) in batch.segments.iter().enumerate() {
            self.now_mps[index] = state.speed_mps;
            self.sigma_mps[index] = state.sigma_mps;
            self.age_min[index] = state
                .age_s
                .map_or(u8::MAX, |age_s| u8::try_from(age_s / 60).unwrap_or(u8::MAX));
            let weight = match state.provenance {
                Provenance::Observed => 1.0,
                Provenance::Estimated => 0.5,
                Provenance::Profile => continue,
            };
            let part = quantity.part(state.speed_mps);
            step.weighted[index] += weight * part;
            step.weight[index] += weight;
            if state.provenance == Provenance::Observed {
                step.measured[index] += part;
                step.measured_minutes[index] = step.measured_minutes[index].saturating_add(1);
            }
        }
    }

    fn begin_step(&mut self, start: Timestamp, count: usize) {
        let mut step = if self.steps.len() == LAG_COUNT {
            self.steps.pop_front()
        } else {
            None
        }
        .unwrap_or_else(|| Step {
            start,
            weighted: Vec::new(),
            weight: Vec::new(),
            measured: Vec::new(),
            measured_minutes: Vec::new(),
        });
        step.start = start;
        for values in [&mut step.weighted, &mut step.weight, &mut step.measured] {
            values.clear();
            values.resize(count, 0.0);
        }
        step.measured_minutes.clear();
        step.measured_minutes.resize(count, 0);
        self.steps.push_back(step);
    }

    /// The network whose segments are known.
    pub fn network(&self) -> NetworkVersion {
        self.network
    }

    /// End of the last closed minute; `None` before the first.
    pub fn closed_until(&self) -> Option<Timestamp> {
        self.closed_until
    }

    /// The step that the last closed minute finished, if it did.
    pub fn finished_step(&self) -> Option<FinishedStep<'_>> {
        let step = self.steps.back()?;
        (step.start.plus_millis(STEP_MS) == self.closed_until?).then_some(FinishedStep {
            start: step.start,
            quantity: self.quantity,
            measured: &step.measured,
            measured_minutes: &step.measured_minutes,
        })
    }

    /// The mean of `segment` over the measured steps within `interval`, as far as the last hour is
    /// kept, each as [`FinishedStep::measured_mps`] has it, m/s; `None` where none was measured.
    pub fn measured_mean_mps(&self, segment: SegmentId, interval: Interval) -> Option<f32> {
        let index = segment.index();
        let (mut sum_mps, mut count) = (0.0, 0.0);
        for step in &self.steps {
            if step.start < interval.start || step.start >= interval.end {
                continue;
            }
            let minutes = step.measured_minutes.get(index).copied().unwrap_or(0);
            if minutes > 0 {
                sum_mps += self.quantity.mean(step.measured[index], f32::from(minutes));
                count += 1.0;
            }
        }
        (count > 0.0).then(|| sum_mps / count)
    }

    /// Takes how far the step that the last closed minute finished was from `profile`, if it finished
    /// one, into the levels of the last hours. Call it once after each [`History::push`], with the
    /// profile that [`History::forecast_request`] is then asked with.
    pub fn learn_levels(&mut self, profile: &impl SpeedProfile) {
        let mut levels = std::mem::take(&mut self.levels);
        if let Some(step) = self.finished_step() {
            let middle = [step.start.plus_millis(STEP_MS / 2)];
            let usual_mps = profile.speeds_at(&middle);
            let segments = (0..self.now_mps.len() as u32).map(SegmentId);
            let deviations_mps = segments.map(|segment| match step.measured_mps(segment) {
                Some(speed_mps) => speed_mps - usual_mps(segment, 0),
                None => f32::NAN,
            });
            levels.push(step.start, deviations_mps);
        }
        self.levels = levels;
    }

    /// What is known now, for a forecaster; `None` before the first closed minute.
    pub fn forecast_request(
        &self,
        profile: &impl SpeedProfile,
        calibration: Arc<Calibration>,
    ) -> Option<ForecastRequest> {
        let issued_at = self.closed_until?;
        let first_step = issued_at.ceil_to(STEP_MS);
        let count = self.now_mps.len();
        let mut history_mps = vec![0.0; count * LAG_COUNT];
        let mut history_share = vec![0.0; count * LAG_COUNT];
        for step in &self.steps {
            let back = first_step.millis_since(step.start) / STEP_MS - 1;
            let Some(lag) = usize::try_from(back).ok().filter(|&lag| lag < LAG_COUNT) else {
                continue;
            };
            for index in 0..count {
                let weight = step.weight[index];
                if weight > 0.0 {
                    let mean = self.quantity.mean(step.weighted[index], weight);
                    history_mps[index * LAG_COUNT + lag] = mean;
                    history_share[index * LAG_COUNT + lag] = weight / MINUTES_PER_STEP;
                }
            }
        }
        let middle = |steps: i64| first_step.plus_millis(steps * STEP_MS + STEP_MS / 2);
        let times: Vec<Timestamp> = (0..LAG_COUNT as i64)
            .map(|lag| middle(-lag - 1))
            .chain((0..STEP_COUNT as i64).map(middle))
            .collect();
        let usual_mps = profile.speeds_at(&times);
        let mut past_profile_mps = Vec::with_capacity(count * LAG_COUNT);
        let mut profile_mps = Vec::with_capacity(count * STEP_COUNT);
        let mut free_flow_mps = Vec::with_capacity(count);
        for segment in (0..count as u32).map(SegmentId) {
            past_profile_mps.extend((0..LAG_COUNT).map(|lag| usual_mps(segment, lag)));
            profile_mps.extend((0..STEP_COUNT).map(|step| usual_mps(segment, LAG_COUNT + step)));
            free_flow_mps.push(profile.free_flow_mps(segment));
        }
        // The present is the last minute's speed as far as that is sure, else the step under way and of
        // the step before it what makes up five minutes: at a signal a minute is too short a time, and
        // too few vehicles pass in it to tell a flow.
        let mut now_mps = self.now_mps.clone();
        for (index, now_mps) in now_mps.iter_mut().enumerate() {
            let deviation_and_share = |at: usize| {
                let by_mps = history_mps[at] - past_profile_mps[at];
                (by_mps, history_share[at])
            };
            let lag = index * LAG_COUNT;
            let [(newest_mps, share), (before_mps, before)] =
                [lag, lag + 1].map(deviation_and_share);
            if share > 0.0 {
                let rest = before.min(1.0 - share).max(0.0);
                let by_mps = (share * newest_mps + rest * before_mps) / (share + rest);
                let usual_mps = past_profile_mps[lag];
                let sure = match self.quantity {
                    Quantity::Speed => {
                        let sigma = self.sigma_mps[index] / free_flow_mps[index].max(f32::EPSILON);
                        1.0 / (1.0 + (sigma / SURE).powi(2))
                    }
                    Quantity::Flow => 0.0,
                };
                let by_mps = sure * (*now_mps - usual_mps) + (1.0 - sure) * by_mps;
                *now_mps = (usual_mps + by_mps).max(0.0);
            }
        }
        let (level_mps, level_share) = self.levels.levels(issued_at, count);
        Some(ForecastRequest {
            issued_at,
            first_step,
            network: self.network,
            now_mps,
            sigma_mps: self.sigma_mps.clone(),
            age_min: self.age_min.clone(),
            free_flow_mps,
            history_mps,
            history_share,
            past_profile_mps,
            profile_mps,
            level_mps,
            level_share,
            disturbances: Disturbances::default(),
            calibration,
        })
    }

    /// Appends this memory to `out`.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_u32(out, SNAPSHOT_VERSION);
        put_bytes(out, &self.network.0);
        put_i64(
            out,
            self.closed_until.map_or(i64::MIN, Timestamp::as_millis),
        );
        put_u32(out, self.now_mps.len() as u32);
        put_f32s(out, &self.now_mps);
        put_f32s(out, &self.sigma_mps);
        put_bytes(out, &self.age_min);
        put_u32(out, self.steps.len() as u32);
        for step in &self.steps {
            put_i64(out, step.start.as_millis());
            put_f32s(out, &step.weighted);
            put_f32s(out, &step.weight);
            put_f32s(out, &step.measured);
            put_bytes(out, &step.measured_minutes);
        }
        self.levels.snapshot(out);
    }

    /// Reads what [`History::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, cut off or malformed.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut reader = Reader::new(bytes, SNAPSHOT_VERSION)?;
        let mut network = NetworkVersion::default();
        network.0.copy_from_slice(&reader.bytes(32)?);
        let closed_until = match reader.i64()? {
            i64::MIN => None,
            millis => Some(Timestamp::from_millis(millis)),
        };
        let count = reader.u32()? as usize;
        let mut history = Self {
            quantity: Quantity::Speed,
            network,
            closed_until,
            now_mps: reader.f32s(count)?,
            sigma_mps: reader.f32s(count)?,
            age_min: reader.bytes(count)?,
            steps: VecDeque::new(),
            levels: SlowLevels::default(),
        };
        let step_count = reader.u32()? as usize;
        if step_count > LAG_COUNT {
            return Err(reader.malformed());
        }
        for _ in 0..step_count {
            history.steps.push_back(Step {
                start: Timestamp::from_millis(reader.i64()?),
                weighted: reader.f32s(count)?,
                weight: reader.f32s(count)?,
                measured: reader.f32s(count)?,
                measured_minutes: reader.bytes(count)?,
            });
        }
        history.levels = SlowLevels::restore(&mut reader, count)?;
        reader.finish()?;
        Ok(history)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::SegmentState;

    /// Nothing is usual but one speed.
    struct Always(f32);

    impl SpeedProfile for Always {
        fn speed_mps(&self, _: SegmentId, _: Timestamp) -> f32 {
            self.0
        }

        fn free_flow_mps(&self, _: SegmentId) -> f32 {
            20.0
        }
    }

    #[test]
    fn flows_are_averaged_as_they_are_and_a_minute_is_not_the_present() {
        let now = |mut history: History| {
            for (index, value) in [10.0, 10.0, 10.0, 10.0, 2.5].into_iter().enumerate() {
                let start = Timestamp::from_secs(60 * index as i64);
                history.push(&StateBatch {
                    interval: Interval {
                        start,
                        end: start.plus_secs(60),
                    },
                    network: NetworkVersion([1; 32]),
                    segments: vec![SegmentState {
                        speed_mps: value,
                        provenance: Provenance::Observed,
                        ..SegmentState::default()
                    }],
                });
            }
            let request = history.forecast_request(&Always(12.0), Arc::default());
            let request = request.expect("minutes were closed");
            (request.now_mps[0], request.history_mps[0])
        };
        let (flow, mean_flow) = now(History::new().of_flows());
        assert!((flow - 8.5).abs() < 1e-5 && (mean_flow - 8.5).abs() < 1e-5);
        // A speed without a spread is sure; 100 m a minute take 10, 10, 10, 10 and 40 s.
        let (speed_mps, mean_mps) = now(History::new());
        assert!((speed_mps - 2.5).abs() < 1e-5);
        assert!((mean_mps - 6.25).abs() < 1e-5);
    }
}
