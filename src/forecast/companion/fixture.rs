//! Deviations whose regressions are known beforehand.

use std::sync::Arc;

use super::super::low_rank::SegmentTraits;
use super::super::windows::unit_hash;
use super::super::{
    Calibration, Disturbances, ForecastRequest, LAG_COUNT, LEVEL_COUNT, STEP_COUNT, STEP_MS,
};
use crate::network::NetworkVersion;
use crate::units::Timestamp;

pub(super) const ROWS: usize = 900;
pub(super) const SEGMENTS: usize = 12;
pub(super) const FREE_FLOW_MPS: f32 = 20.0;
pub(super) const PROFILE_MPS: f32 = 10.0;

/// Deviations in shares of free flow: chance everywhere, but segment 1 repeats half of what
/// segment 9 had a step before; of segment 5 only the first 200 rows are known.
pub(super) fn deviation(row: usize, segment: usize) -> Option<f32> {
    let chance =
        |row: usize, segment: usize| 0.2 * (unit_hash(3, (row * SEGMENTS + segment) as u64) - 0.5);
    match segment {
        1 => Some(0.5 * chance(row.saturating_sub(1), 9)),
        5 => (row < 200).then(|| chance(row, 5)),
        _ => Some(chance(row, segment)),
    }
}

pub(super) fn request(newest: usize) -> ForecastRequest {
    let at = Timestamp::from_millis(newest as i64 * STEP_MS);
    let cell = |index: usize| deviation(newest - index % LAG_COUNT, index / LAG_COUNT);
    let cells = 0..SEGMENTS * LAG_COUNT;
    ForecastRequest {
        issued_at: at,
        first_step: at,
        network: NetworkVersion::default(),
        now_mps: vec![PROFILE_MPS; SEGMENTS],
        sigma_mps: vec![0.0; SEGMENTS],
        age_min: vec![0; SEGMENTS],
        free_flow_mps: vec![FREE_FLOW_MPS; SEGMENTS],
        history_mps: cells
            .clone()
            .map(|index| cell(index).map_or(0.0, |value| PROFILE_MPS + FREE_FLOW_MPS * value))
            .collect(),
        history_share: cells
            .map(|index| f32::from(u8::from(cell(index).is_some())))
            .collect(),
        past_profile_mps: vec![PROFILE_MPS; SEGMENTS * LAG_COUNT],
        profile_mps: vec![PROFILE_MPS; SEGMENTS * STEP_COUNT],
        level_mps: vec![0.0; SEGMENTS * LEVEL_COUNT],
        level_share: vec![0.0; SEGMENTS * LEVEL_COUNT],
        disturbances: Disturbances::default(),
        calibration: Arc::new(Calibration::default()),
    }
}

pub(super) fn traits() -> Vec<SegmentTraits> {
    let scatter = 0.06;
    vec![
        SegmentTraits {
            scatter,
            ..SegmentTraits::UNKNOWN
        };
        SEGMENTS
    ]
}
