//! One issued forecast of the tracked segments, kept until its last step is measured.

use std::sync::Arc;

use super::super::baseline::{medians_mps, spread_around};
use super::super::calibration::ratio_bin;
use super::super::intervals::Stretch;
use super::super::snapshot::{Reader, SnapshotError, put_f32s, put_i64, put_u32};
use super::super::{
    Baseline, Calibration, Deviations, ForecastRequest, STEP_COUNT, SpeedQuantiles,
};
use super::speaker::{Speaker, Voices, put_voices, take_voices};
use super::{MAX_TRACKED_SEGMENTS, Stretches};
use crate::units::{SegmentId, Timestamp};

/// What was said, and what is needed to say again what the baselines said.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Issued {
    pub(super) first_step: Timestamp,
    /// A number a segment, as the following.
    pub(super) free_flow_mps: Vec<f32>,
    now_mps: Vec<f32>,
    /// Deviations as [`ForecastRequest::deviations`] has them.
    pub(super) deviations: Vec<Deviations>,
    /// A number a step, as the following.
    pub(super) profile_mps: Vec<f32>,
    residual_median_mps: Vec<f32>,
    /// Empty where a baseline answered for the model.
    running: Vec<SpeedQuantiles>,
    /// Empty where there is no shadow or it has not answered.
    shadow: Vec<SpeedQuantiles>,
    calibration: Arc<Calibration>,
    /// Of the baselines, in their order.
    stretches: [Arc<Stretch>; Baseline::ALL.len()],
    voices: Voices,
}

/// Every `stride`-th segment's steps.
fn thinned(quantiles: &[SpeedQuantiles], stride: usize) -> Vec<SpeedQuantiles> {
    let picked = quantiles.chunks_exact(STEP_COUNT).step_by(stride);
    picked.flatten().copied().collect()
}

impl Issued {
    /// Notes what is said to `request`: `running`, stretched, for every segment, or nothing where the
    /// model did not answer; baselines are stretched by `stretches`, and `voices` are published.
    pub(super) fn new(
        request: &ForecastRequest,
        running: &[SpeedQuantiles],
        stretches: &Stretches,
        voices: Voices,
        stride: usize,
    ) -> Self {
        let picked = || {
            (0..request.segment_count() as u32)
                .step_by(stride)
                .map(SegmentId)
        };
        let of_baseline = |baseline| Arc::clone(&stretches[1 + baseline as usize]);
        Self {
            first_step: request.first_step,
            free_flow_mps: picked()
                .map(|id| request.free_flow_mps[id.index()])
                .collect(),
            now_mps: picked().map(|id| request.now_mps[id.index()]).collect(),
            deviations: picked().map(|id| request.deviations(id)).collect(),
            profile_mps: picked()
                .flat_map(|id| request.profile(id))
                .copied()
                .collect(),
            residual_median_mps: picked()
                .flat_map(|id| medians_mps(Baseline::ProfileResidual, request, id))
                .collect(),
            running: thinned(running, stride),
            shadow: Vec::new(),
            calibration: Arc::clone(&request.calibration),
            stretches: Baseline::ALL.map(of_baseline),
            voices,
        }
    }

    /// Adds what the shadow said for every segment, before it is stretched.
    pub(super) fn add_shadow(
        &mut self,
        shadow: &[SpeedQuantiles],
        stretch: &Stretch,
        stride: usize,
    ) {
        let mut said = thinned(shadow, stride);
        for (slot, steps) in said.chunks_exact_mut(STEP_COUNT).enumerate() {
            let (class, free_flow_mps) = (ratio_bin(self.ratio(slot)), self.free_flow_mps[slot]);
            for (step, said) in steps.iter_mut().enumerate() {
                *said = stretch.of(step, class, free_flow_mps, said);
            }
        }
        self.shadow = said;
    }

    /// How many segments are tracked.
    pub(super) fn len(&self) -> usize {
        self.now_mps.len()
    }

    /// The ratio of the present speed to free flow.
    pub(super) fn ratio(&self, slot: usize) -> f32 {
        self.now_mps[slot] / self.free_flow_mps[slot].max(0.1)
    }

    /// The median of a baseline, m/s.
    pub(super) fn baseline_median_mps(&self, baseline: Baseline, slot: usize, step: usize) -> f32 {
        match baseline {
            Baseline::LastValue => self.now_mps[slot],
            Baseline::Profile => self.profile_mps[slot * STEP_COUNT + step],
            Baseline::ProfileResidual => self.residual_median_mps[slot * STEP_COUNT + step],
        }
    }

    /// What `speaker` said of one segment and step; `None` where it said nothing.
    pub(super) fn said(
        &self,
        speaker: Speaker,
        slot: usize,
        step: usize,
    ) -> Option<SpeedQuantiles> {
        let at = slot * STEP_COUNT + step;
        match speaker {
            Speaker::Running => self.running.get(at).copied(),
            Speaker::Shadow => self.shadow.get(at).copied(),
            Speaker::Published => self.said(self.voices[ratio_bin(self.ratio(slot))], slot, step),
            Speaker::LastValue | Speaker::Profile | Speaker::ProfileResidual => {
                let baseline = speaker.baseline()?;
                let (ratio, free_flow_mps) = (self.ratio(slot), self.free_flow_mps[slot]);
                let median_mps = self.baseline_median_mps(baseline, slot, step);
                let reach = self.calibration.reach(baseline, step, ratio);
                let said = spread_around(median_mps, reach, free_flow_mps);
                let stretch = &self.stretches[baseline as usize];
                Some(stretch.of(step, ratio_bin(ratio), free_flow_mps, &said))
            }
        }
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        put_i64(out, self.first_step.as_millis());
        put_u32(out, self.len() as u32);
        for values in [&self.free_flow_mps, &self.now_mps] {
            put_f32s(out, values);
        }
        put_f32s(out, self.deviations.as_flattened());
        for values in [&self.profile_mps, &self.residual_median_mps] {
            put_f32s(out, values);
        }
        for quantiles in [&self.running, &self.shadow] {
            put_u32(out, u32::from(!quantiles.is_empty()));
            let five: Vec<[f32; 5]> = quantiles.iter().map(SpeedQuantiles::as_array).collect();
            put_f32s(out, five.as_flattened());
        }
        self.calibration.snapshot(out);
        self.stretches
            .iter()
            .for_each(|stretch| stretch.snapshot(out));
        put_voices(out, &self.voices);
    }

    pub(super) fn restore(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let first_step = Timestamp::from_millis(reader.i64()?);
        let count = reader.u32()? as usize;
        if count > MAX_TRACKED_SEGMENTS {
            return Err(reader.malformed());
        }
        let mut issued = Self {
            first_step,
            free_flow_mps: reader.f32s(count)?,
            now_mps: reader.f32s(count)?,
            deviations: vec![Deviations::default(); count],
            profile_mps: Vec::new(),
            residual_median_mps: Vec::new(),
            running: Vec::new(),
            shadow: Vec::new(),
            calibration: Arc::default(),
            stretches: Default::default(),
            voices: Voices::default(),
        };
        let deviations = issued.deviations.as_flattened_mut();
        deviations.copy_from_slice(&reader.f32s(deviations.len())?);
        issued.profile_mps = reader.f32s(count * STEP_COUNT)?;
        issued.residual_median_mps = reader.f32s(count * STEP_COUNT)?;
        for quantiles in [&mut issued.running, &mut issued.shadow] {
            let has_said = usize::from(reader.u32()? != 0);
            let numbers = reader.f32s(has_said * count * STEP_COUNT * 5)?;
            let (fives, _none_left) = numbers.as_chunks::<5>();
            *quantiles = fives
                .iter()
                .map(|&five| SpeedQuantiles::ordered_five(five, 0.0))
                .collect();
        }
        issued.calibration = Arc::new(Calibration::restore(reader)?);
        for stretch in &mut issued.stretches {
            *stretch = Arc::new(Stretch::restore(reader, STEP_COUNT)?);
        }
        issued.voices = take_voices(reader)?;
        Ok(issued)
    }
}
