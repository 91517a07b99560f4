//! Keeps the score of the running forecaster and of the baselines while truth arrives, learns the
//! baselines' spread from it, and says when a model has lost for so long that a baseline must speak.
//!
//! Forecasts issued on the five-minute marks are kept until their last step is measured, for at
//! most [`MAX_TRACKED_SEGMENTS`] evenly chosen segments; truth is the mean of the measured minutes.

use std::collections::VecDeque;
use std::sync::Arc;

use super::baseline::medians_mps;
use super::calibration::{default_scatter, ratio_bin};
use super::fading::Fading;
use super::snapshot::{Reader, SnapshotError, put_f32s, put_f64, put_i64, put_u32};
use super::spread::{CELLS, cell_of, normal_counts, quantile};
use super::{
    Baseline, Calibration, Deviations, ForecastBatch, ForecastRequest, Forecaster, History,
    ProfileResidual, RATIO_BIN_COUNT, STEP_COUNT, STEP_MS,
};
use crate::network::NetworkVersion;
use crate::units::{SegmentId, Timestamp};

const SNAPSHOT_VERSION: u32 = 2;

/// Segments scored at most; beyond it every n-th is taken. Bounds the memory to about 60 MB.
pub const MAX_TRACKED_SEGMENTS: usize = 16_384;

/// What one finished step keeps of the weight of those before it: a memory of about six hours
/// (chosen).
const KEEP: f64 = 1.0 - 1.0 / 72.0;

/// Finished steps a model must have been scored on before it can lose its voice: two hours, so that
/// errors of every horizon are among them (chosen).
const MIN_SCORED_STEPS: u32 = 24;
/// A model falls silent when its mean error exceeds the baseline's by this factor, and speaks again
/// below parity (chosen, so that it does not flicker).
const LOSE_FACTOR: f64 = 1.05;

/// Who is scored.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
#[repr(usize)]
pub enum Speaker {
    /// The configured forecaster.
    Running = 0,
    /// [`super::LastValue`].
    LastValue = 1,
    /// [`super::Profile`].
    Profile = 2,
    /// [`super::ProfileResidual`].
    ProfileResidual = 3,
}

impl Speaker {
    /// Everyone, in the order of their numbers.
    pub const ALL: [Self; 4] = [
        Self::Running,
        Self::LastValue,
        Self::Profile,
        Self::ProfileResidual,
    ];

    /// The label used in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Running => "running",
            Self::LastValue => "last_value",
            Self::Profile => "profile",
            Self::ProfileResidual => "profile_residual",
        }
    }
}

/// One issued forecast of the tracked segments; `STEP_COUNT` numbers a segment where stated.
#[derive(Clone, Debug, PartialEq)]
struct Issued {
    first_step: Timestamp,
    free_flow_mps: Vec<f32>,
    now_mps: Vec<f32>,
    /// Deviations of the last minute, and of the last quarter of an hour, in shares of free flow.
    minute: Vec<f32>,
    quarter: Vec<f32>,
    /// A number a step.
    profile_mps: Vec<f32>,
    /// A number a step.
    residual_median_mps: Vec<f32>,
    /// A number a step.
    running_mps: Vec<f32>,
}

/// Rolling scores and what is learnt from them.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorTracker {
    network: NetworkVersion,
    stride: usize,
    issued: VecDeque<Issued>,
    /// Sum of absolute errors, m/s, and their weight, `[speaker][step]`.
    error_mps: Vec<f64>,
    weight: Vec<f64>,
    /// Errors of the baselines by size, `[baseline][step][ratio class][cell]`.
    spread: Vec<f32>,
    fading: Fading,
    scored_steps: u32,
    model_loses: bool,
    calibration: Arc<Calibration>,
}

impl Default for ErrorTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl ErrorTracker {
    /// Starts with the default spread and no scores.
    pub fn new() -> Self {
        let mut spread =
            Vec::with_capacity(Baseline::ALL.len() * STEP_COUNT * RATIO_BIN_COUNT * CELLS);
        for baseline in Baseline::ALL {
            for step in 0..STEP_COUNT {
                let prior = normal_counts(default_scatter(baseline, step));
                for _ in 0..RATIO_BIN_COUNT {
                    spread.extend_from_slice(&prior);
                }
            }
        }
        Self {
            network: NetworkVersion::default(),
            stride: 1,
            issued: VecDeque::new(),
            error_mps: vec![0.0; Speaker::ALL.len() * STEP_COUNT],
            weight: vec![0.0; Speaker::ALL.len() * STEP_COUNT],
            spread,
            fading: Fading::default(),
            scored_steps: 0,
            model_loses: false,
            calibration: Arc::new(Calibration::default()),
        }
    }

    /// What is learnt so far, for [`History::forecast_request`].
    pub fn calibration(&self) -> Arc<Calibration> {
        Arc::clone(&self.calibration)
    }

    /// Scores what was forecast for the step that the last closed minute finished, if it finished one.
    /// Call it once after each [`History::push`].
    pub fn observe(&mut self, history: &History) {
        let Some(finished) = history.finished_step() else {
            return;
        };
        let mut has_scored = false;
        let issued = std::mem::take(&mut self.issued);
        for forecast in &issued {
            let step = finished
                .start
                .millis_since(forecast.first_step)
                .div_euclid(STEP_MS);
            let Ok(step) = usize::try_from(step) else {
                continue;
            };
            if step >= STEP_COUNT {
                continue;
            }
            if !has_scored {
                self.fade();
                has_scored = true;
            }
            for slot in 0..forecast.now_mps.len() {
                let segment = SegmentId((slot * self.stride) as u32);
                if let Some(truth_mps) = finished.measured_mps(segment) {
                    self.score(forecast, slot, step, truth_mps);
                }
            }
        }
        self.issued = issued;
        let reach = STEP_MS * STEP_COUNT as i64;
        while self.issued.front().is_some_and(|oldest| {
            finished.start.plus_millis(STEP_MS) >= oldest.first_step.plus_millis(reach)
        }) {
            self.issued.pop_front();
        }
        if has_scored {
            self.scored_steps = self.scored_steps.saturating_add(1);
            self.learn();
        }
    }

    fn fade(&mut self) {
        for sum in [&mut self.error_mps, &mut self.weight] {
            sum.iter_mut().for_each(|value| *value *= KEEP);
        }
        self.fading.fade(KEEP);
        self.spread
            .iter_mut()
            .for_each(|count| *count *= KEEP as f32);
    }

    fn score(&mut self, forecast: &Issued, slot: usize, step: usize, truth_mps: f32) {
        let at = slot * STEP_COUNT + step;
        let free_flow_mps = forecast.free_flow_mps[slot].max(0.1);
        let medians_mps = [
            forecast.running_mps[at],
            forecast.now_mps[slot],
            forecast.profile_mps[at],
            forecast.residual_median_mps[at],
        ];
        let ratio = forecast.now_mps[slot] / free_flow_mps;
        let bin = ratio_bin(ratio);
        for (speaker, median_mps) in medians_mps.into_iter().enumerate() {
            let error_mps = truth_mps - median_mps;
            self.error_mps[speaker * STEP_COUNT + step] += f64::from(error_mps.abs());
            self.weight[speaker * STEP_COUNT + step] += 1.0;
            if speaker > 0 {
                let cell = cell_of(error_mps / free_flow_mps);
                let row = ((speaker - 1) * STEP_COUNT + step) * RATIO_BIN_COUNT + bin;
                self.spread[row * CELLS + cell] += 1.0;
            }
        }
        let now = [forecast.minute[slot], forecast.quarter[slot]];
        let then = (truth_mps - forecast.profile_mps[at]) / free_flow_mps;
        self.fading.add(ratio, step, now, then);
    }

    fn learn(&mut self) {
        let mut calibration = Calibration::of(&self.fading);
        for step in 0..STEP_COUNT {
            for baseline in Baseline::ALL {
                for bin in 0..RATIO_BIN_COUNT {
                    let row = (baseline as usize * STEP_COUNT + step) * RATIO_BIN_COUNT + bin;
                    let counts = &self.spread[row * CELLS..][..CELLS];
                    let reach = (-quantile(counts, 0.1), quantile(counts, 0.9));
                    calibration.set_reach(baseline, step, bin, reach);
                }
            }
        }
        self.calibration = Arc::new(calibration);
        if self.scored_steps < MIN_SCORED_STEPS {
            return;
        }
        let mean = |speaker| {
            (0..STEP_COUNT)
                .filter_map(|step| self.rolling_mae_mps(speaker, step))
                .sum::<f64>()
        };
        let (running, baseline) = (mean(Speaker::Running), mean(Speaker::ProfileResidual));
        let factor = if self.model_loses { 1.0 } else { LOSE_FACTOR };
        self.model_loses = running > factor * baseline;
    }

    /// Notes a forecast for scoring and returns the one to publish: the same, or, where the model has
    /// lost to profile and residual for long, theirs, marked as fallback.
    pub fn settle(&mut self, request: &ForecastRequest, forecast: ForecastBatch) -> ForecastBatch {
        self.note(request, &forecast);
        if !self.model_loses || forecast.fallback {
            return forecast;
        }
        ForecastBatch {
            fallback: true,
            ..ProfileResidual.forecast(request)
        }
    }

    fn note(&mut self, request: &ForecastRequest, forecast: &ForecastBatch) {
        if request.issued_at != request.first_step {
            return;
        }
        let count = request.segment_count();
        let stride = count.div_ceil(MAX_TRACKED_SEGMENTS).max(1);
        if request.network != self.network || stride != self.stride {
            self.issued.clear();
            self.network = request.network;
            self.stride = stride;
        }
        let picked = || (0..count).step_by(stride);
        let a_step = |value: &dyn Fn(usize, usize) -> f32| -> Vec<f32> {
            picked()
                .flat_map(|segment| (0..STEP_COUNT).map(move |step| (segment, step)))
                .map(|(segment, step)| value(segment, step))
                .collect()
        };
        let deviations: Vec<Deviations> = picked()
            .map(|segment| request.deviations(SegmentId(segment as u32)))
            .collect();
        self.issued.push_back(Issued {
            first_step: request.first_step,
            free_flow_mps: picked()
                .map(|segment| request.free_flow_mps[segment])
                .collect(),
            now_mps: picked().map(|segment| request.now_mps[segment]).collect(),
            minute: deviations.iter().map(|of| of[0]).collect(),
            quarter: deviations.iter().map(|of| of[1]).collect(),
            profile_mps: a_step(&|segment, step| request.profile_mps[segment * STEP_COUNT + step]),
            residual_median_mps: picked()
                .map(|segment| SegmentId(segment as u32))
                .flat_map(|id| medians_mps(Baseline::ProfileResidual, request, id))
                .collect(),
            running_mps: a_step(&|segment, step| {
                forecast.quantiles[segment * STEP_COUNT + step].p50_mps
            }),
        });
        if self.issued.len() > STEP_COUNT {
            self.issued.pop_front();
        }
    }

    /// Mean absolute error of the medians at one step over about six hours, m/s; `None` before any
    /// truth has arrived.
    pub fn rolling_mae_mps(&self, speaker: Speaker, step: usize) -> Option<f64> {
        let at = speaker as usize * STEP_COUNT + step;
        (self.weight[at] > 0.0).then(|| self.error_mps[at] / self.weight[at])
    }

    /// Whether the running model has lost to profile and residual for long.
    pub fn model_loses(&self) -> bool {
        self.model_loses
    }

    /// Appends this memory to `out`.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_u32(out, SNAPSHOT_VERSION);
        out.extend_from_slice(&self.network.0);
        put_u32(out, self.stride as u32);
        put_u32(out, self.scored_steps);
        put_u32(out, u32::from(self.model_loses));
        for values in [&self.error_mps, &self.weight] {
            values.iter().for_each(|&value| put_f64(out, value));
        }
        self.fading.snapshot(out);
        put_f32s(out, &self.spread);
        self.calibration.snapshot(out);
        put_u32(out, self.issued.len() as u32);
        for issued in &self.issued {
            put_i64(out, issued.first_step.as_millis());
            put_u32(out, issued.now_mps.len() as u32);
            for values in [
                &issued.free_flow_mps,
                &issued.now_mps,
                &issued.minute,
                &issued.quarter,
                &issued.profile_mps,
                &issued.residual_median_mps,
                &issued.running_mps,
            ] {
                put_f32s(out, values);
            }
        }
    }

    /// Reads what [`ErrorTracker::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, cut off or malformed.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut reader = Reader::new(bytes, SNAPSHOT_VERSION)?;
        let mut tracker = Self::new();
        tracker.network.0.copy_from_slice(reader.take(32)?);
        tracker.stride = reader.u32()?.max(1) as usize;
        tracker.scored_steps = reader.u32()?;
        tracker.model_loses = reader.u32()? != 0;
        for values in [&mut tracker.error_mps, &mut tracker.weight] {
            for value in values.iter_mut() {
                *value = reader.f64()?;
            }
        }
        tracker.fading = Fading::restore(&mut reader)?;
        tracker.spread = reader.f32s(tracker.spread.len())?;
        tracker.calibration = Arc::new(Calibration::restore(&mut reader)?);
        let issued_count = reader.u32()? as usize;
        if issued_count > STEP_COUNT {
            return Err(reader.malformed());
        }
        for _ in 0..issued_count {
            let first_step = Timestamp::from_millis(reader.i64()?);
            let count = reader.u32()? as usize;
            if count > MAX_TRACKED_SEGMENTS {
                return Err(reader.malformed());
            }
            tracker.issued.push_back(Issued {
                first_step,
                free_flow_mps: reader.f32s(count)?,
                now_mps: reader.f32s(count)?,
                minute: reader.f32s(count)?,
                quarter: reader.f32s(count)?,
                profile_mps: reader.f32s(count * STEP_COUNT)?,
                residual_median_mps: reader.f32s(count * STEP_COUNT)?,
                running_mps: reader.f32s(count * STEP_COUNT)?,
            });
        }
        reader.finish()?;
        Ok(tracker)
    }
}
