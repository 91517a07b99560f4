//! Ridge regression on lags and profile: the linear peer that a network has to beat.
//!
//! For every column and step a linear map from the deviations of the last hour, the profile now and
//! then, and a constant to the deviation from the profile (Hoerl and Kennard, 1970, "Ridge
//! regression: biased estimation for nonorthogonal problems"). Columns that were left out of
//! training use the map fitted to all others together. Missing lags carry the next older deviation,
//! fading; the weight of the penalty is the one best on the validation part.

use super::windows::Windows;
use super::{DatasetError, ForecastRequest, LAG_COUNT, LEVELS, STEP_COUNT, SpeedQuantiles};

/// Deviations of the last hour, profile then, profile now, a constant.
const INPUTS: usize = LAG_COUNT + 3;
/// Penalties tried, in squared shares of free flow.
const PENALTIES: [f64; 4] = [0.01, 0.1, 1.0, 10.0];
/// Share of a deviation that is carried over one missing lag.
const CARRY: f32 = 0.9;

type Row = [f64; INPUTS];

/// Sums of squares and products of one regression.
#[derive(Clone)]
struct Moments {
    square: [Row; INPUTS],
    cross: Row,
}

impl Moments {
    const NONE: Self = Self {
        square: [[0.0; INPUTS]; INPUTS],
        cross: [0.0; INPUTS],
    };

    fn add(&mut self, x: &Row, y: f64) {
        for i in 0..INPUTS {
            self.cross[i] += x[i] * y;
            for j in 0..=i {
                self.square[i][j] += x[i] * x[j];
            }
        }
    }

    fn merge(&mut self, other: &Self) {
        for i in 0..INPUTS {
            self.cross[i] += other.cross[i];
            for j in 0..=i {
                self.square[i][j] += other.square[i][j];
            }
        }
    }

    /// Solves (square + penalty) w = cross by Cholesky's factorisation.
    fn solve(&self, penalty: f64) -> Row {
        let mut lower = self.square;
        for i in 0..INPUTS {
            lower[i][i] += penalty;
            for j in 0..=i {
                let before: f64 = (0..j).map(|k| lower[i][k] * lower[j][k]).sum();
                let rest = lower[i][j] - before;
                lower[i][j] = if i == j {
                    rest.max(1e-12).sqrt()
                } else {
                    rest / lower[j][j]
                };
            }
        }
        let mut w = self.cross;
        for i in 0..INPUTS {
            let before: f64 = (0..i).map(|k| lower[i][k] * w[k]).sum();
            w[i] = (w[i] - before) / lower[i][i];
        }
        for i in (0..INPUTS).rev() {
            let after: f64 = (i + 1..INPUTS).map(|k| lower[k][i] * w[k]).sum();
            w[i] = (w[i] - after) / lower[i][i];
        }
        w
    }
}

/// A fitted regression for one dataset.
#[derive(Clone, Debug)]
pub struct Ridge {
    /// `[column][step]`
    weights: Vec<Row>,
    /// Quantiles of the errors on the validation part in shares of free flow, `[column][step]`.
    spread: Vec<[f32; LEVELS.len()]>,
    penalty: f64,
}

/// Deviations of the last hour in shares of free flow, missing ones carried from older ones.
fn deviations(request: &ForecastRequest, column: usize) -> [f32; LAG_COUNT] {
    let mut carried = 0.0;
    let mut found = [0.0; LAG_COUNT];
    for lag in (0..LAG_COUNT).rev() {
        let at = column * LAG_COUNT + lag;
        carried = if request.history_share[at] > 0.0 {
            (request.history_mps[at] - request.past_profile_mps[at])
                / request.free_flow_mps[column].max(0.1)
        } else {
            CARRY * carried
        };
        found[lag] = carried;
    }
    found
}

fn inputs(request: &ForecastRequest, lags: &[f32; LAG_COUNT], column: usize, step: usize) -> Row {
    let scale = 1.0 / request.free_flow_mps[column].max(0.1);
    let mut row = [1.0; INPUTS];
    for (input, &lag) in row.iter_mut().zip(lags) {
        *input = f64::from(lag);
    }
    row[LAG_COUNT] = f64::from(scale * request.profile_mps[column * STEP_COUNT + step]);
    row[LAG_COUNT + 1] = f64::from(scale * request.past_profile_mps[column * LAG_COUNT]);
    row
}

fn dot(weights: &Row, inputs: &Row) -> f32 {
    weights.iter().zip(inputs).map(|(w, x)| w * x).sum::<f64>() as f32
}

impl Ridge {
    /// Fits the training part; columns of which `is_left_out` use the map of all others.
    ///
    /// # Errors
    /// When no column is left to learn from.
    pub(super) fn fit(windows: &Windows<'_>, is_left_out: &[bool]) -> Result<Self, DatasetError> {
        let dataset = windows.dataset;
        let columns = dataset.column_count();
        if is_left_out.iter().all(|&is| is) {
            return Err(DatasetError::Unfit("has no column to learn from".into()));
        }
        let mut moments = vec![Moments::NONE; columns * STEP_COUNT];
        for newest in windows.training() {
            let request = windows.request(newest, None);
            for column in (0..columns).filter(|&column| !is_left_out[column]) {
                let lags = deviations(&request, column);
                for step in 0..STEP_COUNT {
                    if let Some(value) = dataset.value(newest + 1 + step, column) {
                        let profile_mps = request.profile_mps[column * STEP_COUNT + step];
                        let y = (value - profile_mps) / request.free_flow_mps[column].max(0.1);
                        moments[column * STEP_COUNT + step]
                            .add(&inputs(&request, &lags, column, step), f64::from(y));
                    }
                }
            }
        }
        let mut pooled = vec![Moments::NONE; STEP_COUNT];
        for (index, moments) in moments.iter().enumerate() {
            pooled[index % STEP_COUNT].merge(moments);
        }
        for (index, moments) in moments.iter_mut().enumerate() {
            if is_left_out[index / STEP_COUNT] {
                *moments = pooled[index % STEP_COUNT].clone();
            }
        }
        let mut best: Option<(f64, Self)> = None;
        for penalty in PENALTIES {
            let fitted = Self {
                weights: moments.iter().map(|m| m.solve(penalty)).collect(),
                spread: vec![[0.0; LEVELS.len()]; columns * STEP_COUNT],
                penalty,
            };
            let error = fitted.validation_error(windows);
            if best.as_ref().is_none_or(|(least, _)| error < *least) {
                best = Some((error, fitted));
            }
        }
        let Some((_, mut ridge)) = best else {
            return Err(DatasetError::Unfit("has nothing to validate on".into()));
        };
        ridge.learn_spread(windows);
        Ok(ridge)
    }

    /// The penalty that was best on the validation part.
    pub fn penalty(&self) -> f64 {
        self.penalty
    }

    fn median_mps(&self, request: &ForecastRequest, column: usize) -> [f32; STEP_COUNT] {
        let lags = deviations(request, column);
        std::array::from_fn(|step| {
            let weights = &self.weights[column * STEP_COUNT + step];
            let said = dot(weights, &inputs(request, &lags, column, step));
            let profile_mps = request.profile_mps[column * STEP_COUNT + step];
            (profile_mps + request.free_flow_mps[column].max(0.1) * said).max(0.0)
        })
    }

    fn validation_error(&self, windows: &Windows<'_>) -> f64 {
        let (mut sum, mut count) = (0.0, 0.0);
        self.for_validation(windows, |_, error_mps, _| {
            sum += f64::from(error_mps.abs());
            count += 1.0;
        });
        sum / f64::max(count, 1.0)
    }

    fn for_validation(&self, windows: &Windows<'_>, mut take: impl FnMut(usize, f32, f32)) {
        let dataset = windows.dataset;
        for newest in windows.validation() {
            let request = windows.request(newest, None);
            for column in 0..dataset.column_count() {
                let said = self.median_mps(&request, column);
                for (step, said_mps) in said.into_iter().enumerate() {
                    if let Some(value) = dataset.value(newest + 1 + step, column) {
                        let free_flow_mps = request.free_flow_mps[column].max(0.1);
                        take(column * STEP_COUNT + step, value - said_mps, free_flow_mps);
                    }
                }
            }
        }
    }

    fn learn_spread(&mut self, windows: &Windows<'_>) {
        let mut errors: Vec<Vec<f32>> = vec![Vec::new(); self.weights.len()];
        self.for_validation(windows, |cell, error_mps, free_flow_mps| {
            errors[cell].push(error_mps / free_flow_mps);
        });
        for (spread, errors) in self.spread.iter_mut().zip(&mut errors) {
            errors.sort_unstable_by(f32::total_cmp);
            for (quantile, level) in spread.iter_mut().zip(LEVELS) {
                let at = (level * errors.len() as f32) as usize;
                *quantile = errors.get(at).copied().unwrap_or(0.0);
            }
        }
    }

    /// Forecasts every column; the median is the regression's value.
    pub fn forecast(&self, request: &ForecastRequest) -> Vec<SpeedQuantiles> {
        let mut answer = Vec::with_capacity(request.segment_count() * STEP_COUNT);
        for column in 0..request.segment_count() {
            let free_flow_mps = request.free_flow_mps[column].max(0.1);
            for (step, said_mps) in self.median_mps(request, column).into_iter().enumerate() {
                let spread = &self.spread[column * STEP_COUNT + step];
                let mut five = spread.map(|share| said_mps + share * free_flow_mps);
                five[2] = said_mps;
                answer.push(SpeedQuantiles::ordered_five(five, free_flow_mps));
            }
        }
        answer
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_solution_equals_the_plane_it_was_made_from() {
        let wanted: Row = std::array::from_fn(|index| index as f64 - 7.0);
        let mut moments = Moments::NONE;
        for row in 0..200_u64 {
            let x: Row = std::array::from_fn(|input| {
                f64::from(super::super::windows::unit_hash(5, row * 31 + input as u64)) - 0.5
            });
            moments.add(&x, wanted.iter().zip(&x).map(|(w, x)| w * x).sum());
        }
        for (found, wanted) in moments.solve(0.0).iter().zip(wanted) {
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
        // A heavy penalty shrinks towards nothing.
        assert!(moments.solve(1e9).iter().all(|w| w.abs() < 1e-6));
    }
}
