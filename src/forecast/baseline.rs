//! Forecasters that need no training. They always run: models are measured against them and they
//! speak when no model does.

use std::sync::Arc;

use rayon::prelude::*;

use super::{Baseline, ForecastBatch, ForecastRequest, Forecaster, STEP_COUNT, SpeedQuantiles};
use crate::units::SegmentId;

macro_rules! baseline {
    ($(#[$doc:meta])* $name:ident) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default)]
        pub struct $name;

        impl Forecaster for $name {
            fn name(&self) -> &str {
                Baseline::$name.name()
            }

            fn forecast(&self, request: &ForecastRequest) -> ForecastBatch {
                speak(Baseline::$name, request)
            }
        }
    };
}

baseline!(
    /// Says that the present speed stays.
    LastValue
);
baseline!(
    /// Says what is usual at that time.
    Profile
);
baseline!(
    /// Says what is usual plus today's deviation, which fades as learnt.
    ProfileResidual
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

fn speak(baseline: Baseline, request: &ForecastRequest) -> ForecastBatch {
    request.answer(Arc::from(baseline.name()), forecast_of(baseline, request))
}

/// Quantiles around a median, `reach` below and above it in shares of free flow.
pub(super) fn spread_around(
    p50_mps: f32,
    (below, above): (f32, f32),
    free_flow_mps: f32,
) -> SpeedQuantiles {
    SpeedQuantiles::ordered(
        p50_mps - below * free_flow_mps,
        p50_mps,
        p50_mps + above * free_flow_mps,
        free_flow_mps,
    )
}

/// What one baseline says of one segment.
pub(super) fn steps_of(
    baseline: Baseline,
    request: &ForecastRequest,
    segment: SegmentId,
) -> [SpeedQuantiles; STEP_COUNT] {
    let (ratio, free_flow_mps) = (
        request.ratio(segment),
        request.free_flow_mps[segment.index()],
    );
    let medians_mps = medians_mps(baseline, request, segment);
    std::array::from_fn(|step| {
        let reach = request.calibration.reach(baseline, step, ratio);
        spread_around(medians_mps[step], reach, free_flow_mps)
    })
}

/// What one baseline says: `STEP_COUNT` quantiles a segment.
pub(super) fn forecast_of(baseline: Baseline, request: &ForecastRequest) -> Vec<SpeedQuantiles> {
    let mut quantiles = vec![SpeedQuantiles::default(); request.segment_count() * STEP_COUNT];
    quantiles
        .par_chunks_mut(STEP_COUNT)
        .enumerate()
        .for_each(|(segment, steps)| {
            steps.copy_from_slice(&steps_of(baseline, request, SegmentId(segment as u32)));
        });
    quantiles
}
