//! The past as companion regressions read it.

use std::ops::Range;

use rayon::prelude::*;

use super::super::low_rank::SegmentTraits;
use super::super::request::{CARRY, cut};
use super::super::{ForecastRequest, LAG_COUNT, STEP_COUNT};
use super::{COMMON_COUNT, Moment, OWN_COUNT, SIGNAL_COUNT, own_of, standard};

/// The past as regressions read it, gathered moment by moment: 16 bytes a moment and segment, from
/// which inputs are put together when they are asked for.
pub(in crate::forecast) struct Moments {
    /// Newest rows of the moments.
    pub(super) rows: Range<usize>,
    pub(super) traits: Vec<SegmentTraits>,
    /// Deviations in shares of free flow, `[row][segment]`, from the oldest lag of the first moment to
    /// the hour after the last; not a number where missing.
    deviations: Vec<f32>,
    /// The profile in shares of free flow, `[row][segment]`, from the newest lag of the first moment to
    /// the hour after the last.
    profile: Vec<f32>,
    /// Levels over the quarter and the hour, standardised, `[moment][segment]`.
    levels: Vec<[f32; 2]>,
    pub(super) common: Vec<[f32; COMMON_COUNT]>,
}

/// What `Moments` keeps of one moment.
struct Kept {
    profile: Vec<f32>,
    levels: Vec<[f32; 2]>,
    common: [f32; COMMON_COUNT],
}

impl Moments {
    /// Reads the moments `rows`, of which the first has a whole hour before it: what was known at each,
    /// and the deviation in shares of free flow that a row and column had.
    pub(in crate::forecast) fn gather(
        rows: Range<usize>,
        traits: &[SegmentTraits],
        request_at: &(impl Fn(usize) -> ForecastRequest + Sync),
        deviation_at: &(impl Fn(usize, usize) -> Option<f32> + Sync),
    ) -> Self {
        let segments = 0..traits.len();
        let kept: Vec<Kept> = rows
            .clone()
            .into_par_iter()
            .map(|newest| {
                let request = request_at(newest);
                let moment = Moment::new(&request, traits);
                let profile = |segment: usize| {
                    request.past_profile_mps[segment * LAG_COUNT] / request.unhindered_mps(segment)
                };
                Kept {
                    profile: segments.clone().map(profile).collect(),
                    levels: segments
                        .clone()
                        .map(|segment| moment.standard_levels(traits, segment))
                        .collect(),
                    common: moment.common_inputs(),
                }
            })
            .collect();
        let mut profile: Vec<f32> = kept
            .iter()
            .flat_map(|kept| &kept.profile)
            .copied()
            .collect();
        if let Some(last) = rows.clone().last() {
            let request = request_at(last);
            for step in 0..STEP_COUNT {
                profile.extend(segments.clone().map(|segment| {
                    let profile_mps = request.profile_mps[segment * STEP_COUNT + step];
                    profile_mps / request.unhindered_mps(segment)
                }));
            }
        }
        let known = (rows.start + 1).saturating_sub(LAG_COUNT)..rows.end + STEP_COUNT;
        let deviations = known.flat_map(|row| {
            let of_row = segments.clone();
            of_row.map(move |segment| deviation_at(row, segment).unwrap_or(f32::NAN))
        });
        Self {
            deviations: deviations.collect(),
            profile,
            levels: kept.iter().flat_map(|kept| &kept.levels).copied().collect(),
            common: kept.iter().map(|kept| kept.common).collect(),
            traits: traits.to_vec(),
            rows,
        }
    }

    /// A lag of a moment, standardised; where nothing is known the next older one is carried, fading.
    fn lag(&self, moment: usize, segment: usize, lag: usize) -> f32 {
        let newest = moment + LAG_COUNT - 1;
        let of_lag = |lag: usize| self.deviations[(newest - lag) * self.traits.len() + segment];
        let known = (lag..LAG_COUNT).find(|&lag| !of_lag(lag).is_nan());
        let carried = known.map_or(0.0, |known| {
            (lag..known).fold(cut(of_lag(known)), |carried, _| CARRY * carried)
        });
        standard(carried, &self.traits[segment])
    }

    /// The newest lag and the level over the quarter.
    pub(super) fn newest(&self, moment: usize, segment: usize) -> [f32; 2] {
        let [short, _] = self.levels[moment * self.traits.len() + segment];
        [self.lag(moment, segment, 0), short]
    }

    /// The deviation of a step that followed a moment, standardised; not a number where missing.
    pub(super) fn later(&self, moment: usize, segment: usize, step: usize) -> f32 {
        let row = moment + LAG_COUNT + step;
        let deviation = self.deviations[row * self.traits.len() + segment];
        standard(deviation, &self.traits[segment])
    }

    /// What [`own_inputs`] gives of the moment.
    pub(super) fn own(&self, moment: usize, segment: usize) -> [f32; OWN_COUNT] {
        let lags = std::array::from_fn(|lag| self.lag(moment, segment, lag));
        own_of(lags, |ahead| {
            self.profile[(moment + ahead) * self.traits.len() + segment]
        })
    }

    /// What [`Moment::signals`] gives of the moment.
    pub(super) fn signals(&self, moment: usize, segment: usize) -> [f32; SIGNAL_COUNT] {
        let [short, long] = self.levels[moment * self.traits.len() + segment];
        let lag = |lag: usize| self.lag(moment, segment, lag);
        [lag(0), lag(1), lag(2), short, long]
    }
}

#[cfg(test)]
mod tests {
    use super::super::fixture::{FREE_FLOW_MPS, PROFILE_MPS, SEGMENTS, deviation, request, traits};
    use super::super::own_inputs;
    use super::*;

    #[test]
    fn what_is_learnt_from_is_what_is_read_of_a_request() {
        let first = LAG_COUNT - 1;
        // Every fifth cell is missing, and segment 2 for two hours.
        let deviation = |row: usize, segment: usize| {
            let is_missing = (row * 7 + segment).is_multiple_of(5) || segment == 2 && row < 24;
            deviation(row, segment).filter(|_| !is_missing)
        };
        let profile_mps = |row: usize| PROFILE_MPS + 0.1 * (row % 11) as f32;
        let request = |newest: usize| {
            let mut request = request(newest);
            for index in 0..SEGMENTS * LAG_COUNT {
                let (row, segment) = (newest - index % LAG_COUNT, index / LAG_COUNT);
                let known = deviation(row, segment);
                request.past_profile_mps[index] = profile_mps(row);
                request.history_share[index] = f32::from(u8::from(known.is_some()));
                request.history_mps[index] =
                    known.map_or(0.0, |value| profile_mps(row) + FREE_FLOW_MPS * value);
            }
            for index in 0..SEGMENTS * STEP_COUNT {
                request.profile_mps[index] = profile_mps(newest + 1 + index % STEP_COUNT);
            }
            request
        };
        let traits = traits();
        let moments = Moments::gather(first..100, &traits, &request, &deviation);
        for (index, newest) in (first..100).enumerate() {
            let request = request(newest);
            let moment = Moment::new(&request, &traits);
            for segment in 0..SEGMENTS {
                let wanted = own_inputs(&request, &traits, segment);
                let found = moments.own(index, segment);
                let of_own = wanted.into_iter().zip(found);
                let wanted = moment.signals(&request, &traits, segment);
                let of_signals = wanted.into_iter().zip(moments.signals(index, segment));
                for (wanted, found) in of_own.chain(of_signals) {
                    assert!((wanted - found).abs() < 1e-4, "{newest} {segment}");
                }
                for step in 0..STEP_COUNT {
                    let found = moments.later(index, segment, step);
                    match deviation(newest + 1 + step, segment) {
                        Some(later) => {
                            assert!((standard(later, &traits[segment]) - found).abs() < 1e-6)
                        }
                        None => assert!(found.is_nan()),
                    }
                }
            }
        }
    }
}
