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

/// The median of one baseline, m/s.
pub(super) fn median_mps(
    baseline: Baseline,
    request: &ForecastRequest,
    segment: usize,
    step: usize,
) -> f32 {
    let profile_mps = || request.profile_mps[segment * STEP_COUNT + step];
    match baseline {
        Baseline::LastValue => request.now_mps[segment],
        Baseline::Profile => profile_mps(),
        Baseline::ProfileResidual => {
            let id = SegmentId(segment as u32);
            let left = request
                .calibration
                .left(step, request.ratio(id), request.deviations(id));
            (profile_mps() + left * request.unhindered_mps(segment)).max(0.0)
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
            let ratio = request.ratio(SegmentId(segment as u32));
            for (step, quantiles) in steps.iter_mut().enumerate() {
                let p50_mps = median_mps(baseline, request, segment, step);
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
