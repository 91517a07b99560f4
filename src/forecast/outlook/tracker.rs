//! Issues outlooks in a running engine, keeps some of them until they are measured, scores them
//! beside the baselines and learns.

use std::collections::VecDeque;
use std::sync::Arc;

use rayon::prelude::*;

use super::super::onset::is_congested;
use super::super::snapshot::{Reader, SnapshotError, put_f32s, put_f64, put_i64, put_u32};
use super::super::{
    ForecastRequest, History, MAX_TRACKED_SEGMENTS, STEP_MS, SpeedProfile, SpeedQuantiles,
    StepScores,
};
use super::known::NUMBER_COUNT;
use super::{
    Formula, HALF_HOUR_COUNT, HALF_HOUR_MS, Known, Learning, MARKS_PER_ROW, OutlookBatch,
    OutlookSpeaker, REACH_STEPS, STEPS_BEFORE, usual_times,
};
use crate::network::NetworkVersion;
use crate::units::{Interval, SegmentId, Timestamp};

const SNAPSHOT_VERSION: u32 = 1;
/// Outlooks are kept for scoring on multiples of this.
const ROW_MS: i64 = MARKS_PER_ROW as i64 * STEP_MS;
/// Outlooks that wait for truth, at most: with [`MAX_TRACKED_SEGMENTS`] segments of 40 bytes 4 MB.
const ISSUED_MAX: usize = REACH_STEPS / MARKS_PER_ROW;
/// What one row of truths keeps of the weight of those before it in scores: a memory of about six
/// hours, as the scores of forecasts have.
const KEEP: f64 = 1.0 - ROW_MS as f64 / (6 * 3_600_000) as f64;
const SPEAKER_COUNT: usize = OutlookSpeaker::ALL.len();

/// One issued outlook of the tracked segments, from which what was said follows.
#[derive(Clone, Debug, PartialEq)]
struct Issued {
    at: Timestamp,
    known: Vec<Known>,
    formula: Arc<Formula>,
}

/// Where the outlook issued at `at` begins.
fn start_of(at: Timestamp) -> Timestamp {
    at.plus_millis(STEPS_BEFORE as i64 * STEP_MS)
}

/// Rolling scores of outlooks and what is learnt from them.
#[derive(Clone, Debug, PartialEq)]
pub struct OutlookTracker {
    network: NetworkVersion,
    segment_count: usize,
    stride: usize,
    /// Oldest first.
    issued: VecDeque<Issued>,
    /// By [`OutlookSpeaker`].
    scores: [[StepScores; HALF_HOUR_COUNT]; SPEAKER_COUNT],
    learning: Learning,
}

impl Default for OutlookTracker {
    fn default() -> Self {
        Self::new()
    }
}

impl OutlookTracker {
    /// Starts with the default formula and no scores.
    pub fn new() -> Self {
        Self {
            network: NetworkVersion::default(),
            segment_count: 0,
            stride: 1,
            issued: VecDeque::new(),
            scores: Default::default(),
            learning: Learning::default(),
        }
    }

    /// Scores what was said of the half hours that the last closed minute finished, if it finished
    /// any. Call it once after each [`History::push`].
    pub fn observe(&mut self, history: &History) {
        let Some(finished) = history.finished_step() else {
            return;
        };
        if history.network() != self.network {
            self.issued.clear();
        }
        let now = finished.start.plus_millis(STEP_MS);
        let mut issued = std::mem::take(&mut self.issued);
        let mut has_row = false;
        for outlook in &issued {
            let since_ms = now.millis_since(start_of(outlook.at));
            let half = since_ms.div_euclid(HALF_HOUR_MS) - 1;
            let Some(half) = usize::try_from(half).ok().filter(|_| {
                since_ms.rem_euclid(HALF_HOUR_MS) == 0
                    && since_ms <= HALF_HOUR_COUNT as i64 * HALF_HOUR_MS
            }) else {
                continue;
            };
            if !has_row {
                has_row = true;
                self.begin_row();
            }
            let interval = Interval {
                start: now.plus_millis(-HALF_HOUR_MS),
                end: now,
            };
            self.score(outlook, half, |segment| {
                history.measured_mean_mps(segment, interval)
            });
        }
        let reach_ms = REACH_STEPS as i64 * STEP_MS;
        issued.retain(|outlook| now.millis_since(outlook.at) < reach_ms);
        self.issued = issued;
        if has_row {
            self.learning.finish_row();
        }
    }

    fn begin_row(&mut self) {
        let scores = self.scores.as_flattened_mut().iter_mut();
        scores.for_each(|scores| scores.fade(KEEP));
        self.learning.begin_row();
    }

    fn score(
        &mut self,
        outlook: &Issued,
        half: usize,
        truth_mps: impl Fn(SegmentId) -> Option<f32>,
    ) {
        for (slot, known) in outlook.known.iter().enumerate() {
            let Some(truth_mps) = truth_mps(SegmentId((slot * self.stride) as u32)) else {
                continue;
            };
            let is_jam = is_congested(truth_mps, known.free_flow_mps);
            let said = self
                .learning
                .add(&outlook.formula, half, known, truth_mps, is_jam);
            for (scores, said) in self.scores.iter_mut().zip(said) {
                let five = said.as_array().map(f64::from);
                scores[half].add(f64::from(truth_mps), five, is_jam);
            }
        }
    }

    /// The outlook from what `request` knows, if it was made on a five-minute mark. `profile` is the
    /// one that the request was made with.
    pub fn issue(
        &mut self,
        request: &ForecastRequest,
        profile: &impl SpeedProfile,
    ) -> Option<OutlookBatch> {
        if request.issued_at != request.first_step {
            return None;
        }
        let segments = request.segment_count();
        if request.network != self.network || segments != self.segment_count {
            self.network = request.network;
            self.segment_count = segments;
            self.stride = segments.div_ceil(MAX_TRACKED_SEGMENTS).max(1);
            self.issued.clear();
        }
        let times = usual_times(request.first_step);
        let usual_mps = profile.speeds_at(&times);
        let known = |segment: usize| {
            let id = SegmentId(segment as u32);
            Known::of(request, segment, |time| usual_mps(id, time))
        };
        let formula = self.learning.formula();
        let mut quantiles = vec![SpeedQuantiles::default(); segments * HALF_HOUR_COUNT];
        quantiles
            .par_chunks_mut(HALF_HOUR_COUNT)
            .enumerate()
            .for_each(|(segment, said)| {
                let known = known(segment);
                for (half, said) in said.iter_mut().enumerate() {
                    *said = formula.say(OutlookSpeaker::Outlook, half, &known);
                }
            });
        if request.issued_at.as_millis().rem_euclid(ROW_MS) == 0 {
            let picked = (0..segments).step_by(self.stride);
            self.issued.push_back(Issued {
                at: request.issued_at,
                known: picked.map(known).collect(),
                formula: Arc::clone(formula),
            });
            if self.issued.len() > ISSUED_MAX {
                self.issued.pop_front();
            }
        }
        Some(OutlookBatch {
            closures: Arc::default(),
            issued_at: request.issued_at,
            start: start_of(request.issued_at),
            network: request.network,
            quantiles,
        })
    }

    /// Rolling scores over about six hours by half hour, m/s.
    pub fn scores(&self, speaker: OutlookSpeaker) -> &[StepScores; HALF_HOUR_COUNT] {
        &self.scores[speaker as usize]
    }

    /// Appends this memory to `out`.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_u32(out, SNAPSHOT_VERSION);
        out.extend_from_slice(&self.network.0);
        put_u32(out, self.segment_count as u32);
        put_u32(out, self.stride as u32);
        for mut scores in self.scores.as_flattened().iter().copied() {
            let sums = scores.sums_mut().into_iter();
            sums.for_each(|sum| put_f64(out, *sum));
        }
        self.learning.snapshot(out);
        put_u32(out, self.issued.len() as u32);
        for outlook in &self.issued {
            put_i64(out, outlook.at.as_millis());
            put_u32(out, outlook.known.len() as u32);
            let numbers: Vec<_> = outlook.known.iter().map(Known::as_array).collect();
            put_f32s(out, numbers.as_flattened());
            outlook.formula.snapshot(out);
        }
    }

    /// Reads what [`OutlookTracker::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, cut off or malformed.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut reader = Reader::new(bytes, SNAPSHOT_VERSION)?;
        let mut tracker = Self::new();
        tracker.network.0.copy_from_slice(reader.take(32)?);
        tracker.segment_count = reader.u32()? as usize;
        tracker.stride = reader.u32()?.max(1) as usize;
        for scores in tracker.scores.as_flattened_mut() {
            for sum in scores.sums_mut() {
                *sum = reader.f64()?;
            }
        }
        tracker.learning = Learning::restore(&mut reader)?;
        let issued_count = reader.u32()? as usize;
        if issued_count > ISSUED_MAX {
            return Err(reader.malformed());
        }
        for _ in 0..issued_count {
            let at = Timestamp::from_millis(reader.i64()?);
            let count = reader.u32()? as usize;
            if count != tracker.segment_count.div_ceil(tracker.stride)
                || count > MAX_TRACKED_SEGMENTS
            {
                return Err(reader.malformed());
            }
            let numbers = reader.f32s(count * NUMBER_COUNT)?;
            let (of_segments, _none_left) = numbers.as_chunks::<NUMBER_COUNT>();
            tracker.issued.push_back(Issued {
                at,
                known: of_segments.iter().map(Known::from_array).collect(),
                formula: Arc::new(Formula::restore(&mut reader)?),
            });
        }
        reader.finish()?;
        Ok(tracker)
    }
}
