//! Ridge regression on lags and profile: the linear peer that a network has to beat.
//!
//! For every column and step a linear map from the deviations of the last hour, the profile now and
//! then, and a constant to the deviation from the profile. Columns that were left out of
//! training use the map fitted to all others together. Missing lags carry the next older deviation,
//! fading; the weight of the penalty is the one best on the validation part.

use super::least_squares::NormalEquations;
use super::windows::Windows;
use super::{DatasetError, ForecastRequest, LAG_COUNT, LEVELS, STEP_COUNT, SpeedQuantiles};

/// Deviations of the last hour, profile then, profile now, a constant.
const INPUTS: usize = LAG_COUNT + 3;
/// Penalties tried, in squared shares of free flow.
const PENALTIES: [f64; 4] = [0.01, 0.1, 1.0, 10.0];

type Row = [f64; INPUTS];

/// A fitted regression for one dataset.
#[derive(Clone, Debug)]
pub struct Ridge {
    /// `[column][step]`
    weights: Vec<Vec<f64>>,
    /// Quantiles of the errors on the validation part in shares of free flow, `[column][step]`.
    spread: Vec<[f32; LEVELS.len()]>,
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

fn dot(weights: &[f64], inputs: &Row) -> f32 {
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
        let mut moments = vec![NormalEquations::new(INPUTS, 1); columns * STEP_COUNT];
        for newest in windows.training() {
            let request = windows.request(newest, None);
            for column in (0..columns).filter(|&column| !is_left_out[column]) {
                let lags = request.carried_residuals(column);
                for step in 0..STEP_COUNT {
                    if let Some(value) = dataset.value(newest + 1 + step, column) {
                        let profile_mps = request.profile_mps[column * STEP_COUNT + step];
                        let y = (value - profile_mps) / request.free_flow_mps[column].max(0.1);
                        let row = inputs(&request, &lags, column, step);
                        moments[column * STEP_COUNT + step].add(&row, &[f64::from(y)]);
                    }
                }
            }
        }
        let mut pooled = vec![NormalEquations::new(INPUTS, 1); STEP_COUNT];
        for (index, moments) in moments.iter().enumerate() {
            pooled[index % STEP_COUNT].merge(moments);
        }
        for (index, moments) in moments.iter_mut().enumerate() {
            if is_left_out[index / STEP_COUNT] {
                *moments = pooled[index % STEP_COUNT].clone();
            }
        }
        let mut tried: Vec<(Self, Errors)> = PENALTIES
            .into_iter()
            .map(|penalty| {
                let ridge = Self {
                    weights: moments
                        .iter()
                        .map(|moments| moments.solve(&[penalty; INPUTS]))
                        .collect(),
                    spread: Vec::new(),
                };
                (ridge, Errors::new(columns))
            })
            .collect();
        for newest in windows.validation() {
            let request = windows.request(newest, None);
            for (ridge, errors) in &mut tried {
                errors.take(ridge, windows, &request, newest);
            }
        }
        tried.sort_by(|(_, a), (_, b)| a.mean_mps().total_cmp(&b.mean_mps()));
        let (mut ridge, mut errors) = tried.swap_remove(0);
        ridge.spread = errors.quantiles();
        Ok(ridge)
    }

    fn median_mps(&self, request: &ForecastRequest, column: usize) -> [f32; STEP_COUNT] {
        let lags = request.carried_residuals(column);
        std::array::from_fn(|step| {
            let weights = &self.weights[column * STEP_COUNT + step];
            let said = dot(weights, &inputs(request, &lags, column, step));
            let profile_mps = request.profile_mps[column * STEP_COUNT + step];
            (profile_mps + request.free_flow_mps[column].max(0.1) * said).max(0.0)
        })
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

/// Errors on the validation part.
struct Errors {
    sum_mps: f64,
    count: f64,
    /// In shares of free flow, `[column][step]`.
    shares: Vec<Vec<f32>>,
}

impl Errors {
    fn new(columns: usize) -> Self {
        Self {
            sum_mps: 0.0,
            count: 0.0,
            shares: vec![Vec::new(); columns * STEP_COUNT],
        }
    }

    fn take(
        &mut self,
        ridge: &Ridge,
        windows: &Windows<'_>,
        request: &ForecastRequest,
        newest: usize,
    ) {
        for column in 0..request.segment_count() {
            let said = ridge.median_mps(request, column);
            for (step, said_mps) in said.into_iter().enumerate() {
                if let Some(value) = windows.dataset.value(newest + 1 + step, column) {
                    let error_mps = value - said_mps;
                    self.sum_mps += f64::from(error_mps.abs());
                    self.count += 1.0;
                    let share = error_mps / request.free_flow_mps[column].max(0.1);
                    self.shares[column * STEP_COUNT + step].push(share);
                }
            }
        }
    }

    fn mean_mps(&self) -> f64 {
        self.sum_mps / self.count.max(1.0)
    }

    fn quantiles(&mut self) -> Vec<[f32; LEVELS.len()]> {
        self.shares
            .iter_mut()
            .map(|shares| {
                shares.sort_unstable_by(f32::total_cmp);
                LEVELS.map(|level| {
                    let at = (level * shares.len() as f32) as usize;
                    shares.get(at).copied().unwrap_or(0.0)
                })
            })
            .collect()
    }
}
