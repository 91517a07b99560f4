//! Forecasters that need no training. They always run: models are measured against them and they
//! speak when no model does.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Baseline, ForecastBatch, ForecastRequest, Forecaster, STEP_COUNT, SpeedQuantiles};
use crate::units::SegmentId;

macro_rules! baseline {
    ($(#[$doc:meta])* $name:ident, $label:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl Forecaster for $name {
            fn name(&self) -> &str {
                $label
            }

            fn forecast(&self, request: &ForecastRequest) -> ForecastBatch {
                speak(Baseline::$name, $label, request)
            }
        }
    };
}

baseline!(
    /// Says that the last minute's speed stays.
    LastValue,
    "last-value"
);
baseline!(
    /// Says what is usual at that time.
    Profile,
    "profile"
);
baseline!(
    /// Says what is usual plus today's deviation, which fades as learnt.
    ProfileResidual,
    "profile-residual"
);

/// The medians of one baseline over the steps, m/s.
pub(super) fn medians_mps(
    baseline: Baseline,
    request: &ForecastRequest,
    segment: SegmentId,
) -> [f32; STEP_COUNT] {
    let profile_mps = request.profile(segment);
    match baseline {
        Baseline::LastValue => [request.now_mps[segment.index()]; STEP_COUNT],
        Baseline::Profile => std::array::from_fn(|step| profile_mps[step]),
        Baseline::ProfileResidual => {
            let (ratio, now) = (request.ratio(segment), request.deviations(segment));
            let unhindered_mps = request.unhindered_mps(segment.index());
            std::array::from_fn(|step| {
                let left = request.calibration.left(step, ratio, now);
                (profile_mps[step] + left * unhindered_mps).max(0.0)
            })
        }
    }
}

fn speak(baseline: Baseline, label: &str, request: &ForecastRequest) -> ForecastBatch {
    request.answer(Arc::from(label), forecast_of(baseline, request))
}

/// What one baseline says: `STEP_COUNT` quantiles a segment.
pub(super) fn forecast_of(baseline: Baseline, request: &ForecastRequest) -> Vec<SpeedQuantiles> {
    let mut quantiles = vec![SpeedQuantiles::default(); request.segment_count() * STEP_COUNT];
    quantiles
        .par_chunks_mut(STEP_COUNT)
        .enumerate()
        .for_each(|(segment, steps)| {
            let free_flow_mps = request.free_flow_mps[segment];
            let id = SegmentId(segment as u32);
            let ratio = request.ratio(id);
            let medians_mps = medians_mps(baseline, request, id);
            for (step, (quantiles, p50_mps)) in steps.iter_mut().zip(medians_mps).enumerate() {
                let (below, above) = request.calibration.reach(baseline, step, ratio);
                *quantiles = SpeedQuantiles::ordered(
                    p50_mps - below * free_flow_mps,
                    p50_mps,
                    p50_mps + above * free_flow_mps,
                    free_flow_mps,
                );
            }
        });
    quantiles
}
