//! Keeps the score of the running forecaster, of a shadow and of the baselines while truth arrives;
//! learns from it how wide intervals must be and how the baselines err; and says who speaks where the
//! model has lost for so long that a baseline must, and whether the model drifts.
//!
//! Forecasts issued on the five-minute marks are kept until their last step is measured, for at
//! most [`MAX_TRACKED_SEGMENTS`] evenly chosen segments; truth is the mean of the measured minutes.
//! What is learnt from the tracked segments counts for all.

mod drift;
mod issued;
mod snapshot;
mod speaker;

use std::collections::VecDeque;
use std::sync::Arc;

use rayon::prelude::*;

pub use drift::Drift;
use drift::DriftSums;
use issued::Issued;
use speaker::Choice;
pub use speaker::{Speaker, Voices};

use super::baseline::steps_of;
use super::calibration::{default_scatter, ratio_bin};
use super::fading::Fading;
use super::intervals::{AdaptiveIntervals, Misses, Stretch};
use super::onset::{OnsetBook, is_congested};
use super::spread::{CELLS, cell_of, normal_counts, quantile};
use super::{
    Baseline, Calibration, FinishedStep, ForecastBatch, ForecastRequest, History, OnsetScores,
    RATIO_BIN_COUNT, STEP_COUNT, STEP_MS, SpeedQuantiles, StepScores,
};
use crate::network::NetworkVersion;
use crate::units::{SegmentId, Timestamp};

/// Segments scored at most; beyond it every n-th is taken. Bounds the memory to about 35 MB, to
/// about 60 MB with a shadow.
pub const MAX_TRACKED_SEGMENTS: usize = 8_192;

/// What one finished step keeps of the weight of those before it: a memory of about six hours
/// (chosen).
const KEEP: f64 = 1.0 - 1.0 / 72.0;

/// How wide intervals begin, as [`AdaptiveIntervals::starting_at`] takes it, before any truth is
/// known: a model's, which learnt on other traffic, and a baseline's, whose scatter is chosen with
/// care already. Chosen on simulated hours of Bologna (docs/forecast.md).
const MODEL_START: (f32, f32) = (0.75, 0.03);
const BASELINE_START: (f32, f32) = (1.1, 0.03);

/// The factors of every forecaster at one moment.
type Stretches = [Arc<Stretch>; Speaker::FORECASTERS];

/// Rolling scores and what is learnt from them.
#[derive(Clone, Debug, PartialEq)]
pub struct ErrorTracker {
    network: NetworkVersion,
    stride: usize,
    issued: VecDeque<Issued>,
    /// Where the newest finished step begins.
    finished: Option<Timestamp>,
    /// By [`Speaker`].
    scores: [[StepScores; STEP_COUNT]; Speaker::ALL.len()],
    onsets: OnsetBook,
    /// By [`Speaker`], without the last.
    intervals: [AdaptiveIntervals; Speaker::FORECASTERS],
    stretches: Stretches,
    /// Errors of the baselines by size, `[baseline][step][ratio class][cell]`.
    spread: Vec<f32>,
    fading: Fading,
    calibration: Arc<Calibration>,
    choice: Choice,
    drift: DriftSums,
    /// The model's error as a share of profile and residual's, by step, as its card has it.
    promised_share: Option<[f32; STEP_COUNT]>,
    /// Whether the quantity is speed; only then is a low value congestion.
    is_of_speed: bool,
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
        let intervals: [AdaptiveIntervals; Speaker::FORECASTERS] = std::array::from_fn(|number| {
            let (first, a_step) = match Speaker::ALL[number].baseline() {
                Some(_) => BASELINE_START,
                None => MODEL_START,
            };
            AdaptiveIntervals::starting_at(first, a_step)
        });
        Self {
            network: NetworkVersion::default(),
            stride: 1,
            issued: VecDeque::new(),
            finished: None,
            scores: Default::default(),
            onsets: OnsetBook::new(Speaker::ALL.len(), 0),
            stretches: intervals
                .each_ref()
                .map(|intervals| Arc::new(intervals.stretch())),
            intervals,
            spread,
            fading: Fading::default(),
            calibration: Arc::new(Calibration::default()),
            choice: Choice::default(),
            drift: DriftSums::default(),
            promised_share: None,
            is_of_speed: true,
        }
    }

    /// The same for flows, of which a low one is no congestion. It is no memory either.
    #[must_use]
    pub fn of_flows(self) -> Self {
        Self {
            is_of_speed: false,
            ..self
        }
    }

    /// The same holding the model to what its card states: its error as a share of profile and
    /// residual's, by step. It is no memory: [`ErrorTracker::restore`] knows nothing of it.
    #[must_use]
    pub fn promising(self, promised_share: Option<[f32; STEP_COUNT]>) -> Self {
        Self {
            promised_share,
            ..self
        }
    }

    /// What [`ErrorTracker::promising`] was told.
    pub fn promised_share(&self) -> Option<[f32; STEP_COUNT]> {
        self.promised_share
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
        if history.network() != self.network {
            self.issued.clear();
        }
        self.take_onset_rows(&finished);
        let mut misses: [Misses; Speaker::FORECASTERS] = Default::default();
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
            for slot in 0..forecast.len() {
                let segment = SegmentId((slot * self.stride) as u32);
                if let Some(truth_mps) = finished.measured_mps(segment) {
                    self.score(forecast, slot, step, truth_mps, &mut misses);
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
            self.learn(&misses);
            self.drift.finish_step(finished.start.as_millis());
        }
    }

    /// Shows the book of onsets the finished step, and steps without truth where minutes are missing.
    fn take_onset_rows(&mut self, finished: &FinishedStep<'_>) {
        let since = self
            .finished
            .map_or(1, |last| finished.start.millis_since(last) / STEP_MS);
        let missing = usize::try_from(since - 1).unwrap_or_default();
        for _ in 0..missing.min(OnsetBook::JUDGED_AFTER + 1) {
            self.onsets.take_row(|_| None);
        }
        self.finished = Some(finished.start);
        let (stride, newest) = (self.stride, self.issued.back());
        let is_of_speed = self.is_of_speed;
        self.onsets.take_row(|slot| {
            let free_flow_mps = newest?.free_flow_mps[slot];
            let truth_mps = finished.measured_mps(SegmentId((slot * stride) as u32))?;
            Some(is_of_speed && is_congested(truth_mps, free_flow_mps))
        });
    }

    fn fade(&mut self) {
        for scores in self.scores.as_flattened_mut() {
            scores.fade(KEEP);
        }
        self.onsets.fade(KEEP);
        self.fading.fade(KEEP);
        self.choice.fade(KEEP);
        self.drift.fade(KEEP);
        self.spread
            .iter_mut()
            .for_each(|count| *count *= KEEP as f32);
    }

    fn score(
        &mut self,
        forecast: &Issued,
        slot: usize,
        step: usize,
        truth_mps: f32,
        misses: &mut [Misses; Speaker::FORECASTERS],
    ) {
        let free_flow_mps = forecast.free_flow_mps[slot].max(0.1);
        let ratio = forecast.ratio(slot);
        let class = ratio_bin(ratio);
        let is_jam = self.is_of_speed && is_congested(truth_mps, free_flow_mps);
        let mut errors_mps = [0.0; 4];
        for speaker in Speaker::ALL {
            let Some(said) = forecast.said(speaker, slot, step) else {
                continue;
            };
            let five = said.as_array().map(f64::from);
            self.scores[speaker as usize][step].add(f64::from(truth_mps), five, is_jam);
            if let Some(misses) = misses.get_mut(speaker as usize) {
                misses.add(step, class, &said, truth_mps, is_jam);
            }
            if let Some(error_mps) = errors_mps.get_mut(speaker as usize) {
                *error_mps = (five[2] - f64::from(truth_mps)).abs();
            }
        }
        if forecast.said(Speaker::Running, slot, step).is_some() {
            self.choice.add(class, errors_mps);
            let [model_mps, _, _, baseline_mps] = errors_mps;
            let promised = self.promised_share.as_ref();
            self.drift.add(step, model_mps, baseline_mps, promised);
        }
        for baseline in Baseline::ALL {
            let median_mps = forecast.baseline_median_mps(baseline, slot, step);
            let cell = cell_of((truth_mps - median_mps) / free_flow_mps);
            let row = (baseline as usize * STEP_COUNT + step) * RATIO_BIN_COUNT + class;
            self.spread[row * CELLS + cell] += 1.0;
        }
        let usual_mps = forecast.profile_mps[slot * STEP_COUNT + step];
        let then = (truth_mps - usual_mps) / free_flow_mps;
        self.fading
            .add(ratio, step, forecast.deviations[slot], then);
    }

    fn learn(&mut self, misses: &[Misses; Speaker::FORECASTERS]) {
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
        for (intervals, misses) in self.intervals.iter_mut().zip(misses) {
            intervals.learn(misses);
        }
        self.renew_stretches();
        self.choice.decide();
    }

    fn renew_stretches(&mut self) {
        self.stretches = self
            .intervals
            .each_ref()
            .map(|intervals| Arc::new(intervals.stretch()));
    }

    /// Notes a forecast for scoring and returns the one to publish: its intervals stretched as far as
    /// truth has taught, and, in classes of segments where the model has lost for long, what the best
    /// baseline says. A fallback is never taken for what the model says.
    pub fn settle(
        &mut self,
        request: &ForecastRequest,
        mut forecast: ForecastBatch,
    ) -> ForecastBatch {
        let voices = if forecast.fallback {
            self.choice.voices().map(|voice| match voice {
                Speaker::Running => Speaker::ProfileResidual,
                baseline => baseline,
            })
        } else {
            self.stretches[Speaker::Running as usize].apply(request, &mut forecast.quantiles);
            *self.choice.voices()
        };
        self.note(request, &forecast, voices);
        forecast.speakers = self.speak(request, &voices, &mut forecast.quantiles);
        self.name(&mut forecast);
        forecast
    }

    /// Puts what baselines say where they have the voice, and returns who speaks for each segment.
    fn speak(
        &self,
        request: &ForecastRequest,
        voices: &Voices,
        quantiles: &mut [SpeedQuantiles],
    ) -> Vec<Speaker> {
        let segments = quantiles.par_chunks_mut(STEP_COUNT).enumerate();
        let spoken = segments.map(|(segment, steps)| {
            let id = SegmentId(segment as u32);
            let class = request.class(id);
            let voice = voices[class];
            if let Some(baseline) = voice.baseline() {
                let stretch = &self.stretches[voice as usize];
                let free_flow_mps = request.free_flow_mps[segment];
                let said = steps_of(baseline, request, id);
                for (step, (into, said)) in steps.iter_mut().zip(&said).enumerate() {
                    *into = stretch.of(step, class, free_flow_mps, said);
                }
            }
            voice
        });
        spoken.collect()
    }

    /// Says who speaks for the whole: the model where it speaks for any segment, otherwise the
    /// baseline that speaks for most.
    fn name(&self, forecast: &mut ForecastBatch) {
        let count = |wanted| {
            let speakers = forecast.speakers.iter();
            speakers.filter(|&&speaker| speaker == wanted).count()
        };
        if forecast.speakers.is_empty() || count(Speaker::Running) > 0 {
            return;
        }
        let most = Baseline::ALL.map(|baseline| (count(Speaker::of(baseline)), baseline));
        if let Some((_, baseline)) = most.into_iter().max_by_key(|&(count, _)| count) {
            forecast.fallback = true;
            forecast.model = Arc::from(baseline.name());
        }
    }

    fn note(&mut self, request: &ForecastRequest, forecast: &ForecastBatch, voices: Voices) {
        if request.issued_at != request.first_step {
            return;
        }
        let count = request.segment_count();
        let stride = count.div_ceil(MAX_TRACKED_SEGMENTS).max(1);
        let tracked = count.div_ceil(stride);
        if request.network != self.network
            || stride != self.stride
            || tracked != self.onsets.segment_count()
        {
            self.issued.clear();
            self.network = request.network;
            self.stride = stride;
            self.onsets.forget(tracked);
        }
        let running: &[SpeedQuantiles] = if forecast.fallback {
            &[]
        } else {
            &forecast.quantiles
        };
        let issued = Issued::new(request, running, &self.stretches, voices, stride);
        for speaker in Speaker::ALL {
            self.announce(&issued, speaker);
        }
        self.issued.push_back(issued);
        if self.issued.len() > STEP_COUNT {
            self.issued.pop_front();
        }
    }

    fn announce(&mut self, issued: &Issued, speaker: Speaker) {
        let slots = if self.is_of_speed { issued.len() } else { 0 };
        for slot in 0..slots {
            if issued.said(speaker, slot, 0).is_none() {
                continue;
            }
            let free_flow_mps = issued.free_flow_mps[slot].max(0.1);
            let median_mps = |step| {
                let said = issued.said(speaker, slot, step);
                said.map_or(free_flow_mps, |said| said.p50_mps)
            };
            let is_jam = is_congested(issued.ratio(slot), 1.0);
            let number = speaker as usize;
            self.onsets
                .announce(number, slot, free_flow_mps, is_jam, median_mps);
        }
    }

    /// Takes the answer of the shadow to the request of the newest five-minute mark, for scoring; an
    /// answer to another request, or one that a baseline gave, is dropped.
    pub fn take_shadow(&mut self, shadow: &ForecastBatch) {
        let is_ours = !shadow.fallback && shadow.network == self.network;
        let is_asked = |issued: &mut Issued| is_ours && issued.first_step == shadow.issued_at;
        if let Some(mut issued) = self.issued.pop_back_if(is_asked) {
            let stretch = &self.stretches[Speaker::Shadow as usize];
            issued.add_shadow(&shadow.quantiles, stretch, self.stride);
            self.announce(&issued, Speaker::Shadow);
            self.issued.push_back(issued);
        }
    }

    /// Mean absolute error of the medians at one step over about six hours, m/s; `None` before any
    /// truth has arrived.
    pub fn rolling_mae_mps(&self, speaker: Speaker, step: usize) -> Option<f64> {
        let plain = self.scores[speaker as usize][step].plain;
        (plain.count() > 0.0).then(|| plain.mae())
    }

    /// Rolling scores over about six hours by step, m/s.
    pub fn scores(&self, speaker: Speaker) -> &[StepScores; STEP_COUNT] {
        &self.scores[speaker as usize]
    }

    /// Onsets over about six hours.
    pub fn onsets(&self, speaker: Speaker) -> OnsetScores {
        self.onsets.scores(speaker as usize)
    }

    /// Who speaks in each class of the present ratio to free flow while the model answers.
    pub fn voices(&self) -> &Voices {
        self.choice.voices()
    }

    /// Whether the running model errs more than expected.
    pub fn drift(&self) -> Drift {
        self.drift.ratios()
    }

    /// End of the newest five-minute step whose truth is known.
    pub fn scored_until(&self) -> Option<Timestamp> {
        self.finished.map(|start| start.plus_millis(STEP_MS))
    }

    /// The network whose segments are scored.
    pub fn network(&self) -> NetworkVersion {
        self.network
    }
}
