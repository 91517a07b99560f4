//! One training run in progress: weights, optimiser, and the draws that feed them.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand::seq::index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::features::{FEATURE_COUNT, FeatureContext};
use super::super::mlp::{MlpModule, initial_weights, ratios};
use super::super::spoil::Spoil;
use super::super::windows::Windows;
use super::super::{
    Architecture, DataCard, Dataset, DatasetError, Mlp, ModelCard, Past, STEP_COUNT, TrainingCard,
};
use super::evaluation::{Scores, evaluate};
use super::{Spoiling, TrainingError, TrainingSettings};

/// Moments that share one step of the optimiser, at least; more where a moment has few segments.
const WINDOWS_PER_STEP_MIN: usize = 4;
/// What an average of weights keeps of itself a step (chosen: a memory of about 300 steps), after a
/// start in which it forgets faster.
const AVERAGE_KEEPS: f64 = 1.0 - 1.0 / 300.0;
/// Rows of the golden example in the weight file.
const GOLDEN_ROWS: usize = 4;
/// Cells (window, segment) looked at for validation each epoch and for the final test.
const VALIDATION_CELLS: usize = 60_000;
const TEST_CELLS: usize = 2_000_000;
/// The levels learnt, in the order of the outputs, and how much each counts (chosen: the median is
/// what is judged first).
const LEVELS: [(f64, f64); 5] = [(0.5, 2.0), (0.1, 0.5), (0.9, 0.5), (0.05, 0.5), (0.95, 0.5)];

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Part {
    Validation,
    Test,
}

pub(super) struct Learner<'a> {
    dataset: &'a Dataset,
    settings: &'a TrainingSettings,
    device: Device,
    windows: Windows<'a>,
    context: FeatureContext,
    /// The same for training windows, by fold.
    training_contexts: Vec<FeatureContext>,
    /// The same without what the columns' past says about them.
    strange: FeatureContext,
    vars: BTreeMap<String, Var>,
    /// The running average of the weights, which is what is kept (Polyak and Juditsky, 1992).
    average: BTreeMap<String, Tensor>,
    /// Columns learnt from.
    columns: Vec<usize>,
    /// How much an error in each column counts: its scale in the unit of the data over the mean one,
    /// so that the loss is the error that is reported.
    column_weight: Vec<f32>,
    module: MlpModule,
    optimiser: AdamW,
    rng: ChaCha8Rng,
    step: usize,
}

impl<'a> Learner<'a> {
    pub(super) fn new(
        dataset: &'a Dataset,
        settings: &'a TrainingSettings,
        device: &Device,
        windows: Windows<'a>,
    ) -> Result<Self, TrainingError> {
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let vars = initial_weights(&settings.config, &mut rng, device)?;
        let module = MlpModule::new(&settings.config, &|name| {
            vars.get(name)
                .map(|var| var.as_tensor().clone())
                .ok_or_else(|| candle_core::Error::Msg(format!("tensor {name} is missing")))
        })?;
        let optimiser = AdamW::new(
            vars.values().cloned().collect(),
            ParamsAdamW {
                lr: settings.learning_rate,
                weight_decay: settings.weight_decay,
                ..ParamsAdamW::default()
            },
        )?;
        let context = windows.context();
        let training_contexts = windows.training_contexts();
        let strange = FeatureContext::new(dataset.graph.clone(), &dataset.attributes, Some(0));
        let is_left_out = match settings.holdout {
            Some(holdout) => holdout.is_left_out(dataset.column_count()),
            None => vec![false; dataset.column_count()],
        };
        let columns: Vec<usize> = (0..dataset.column_count())
            .filter(|&column| !is_left_out[column])
            .collect();
        if columns.is_empty() {
            return Err(DatasetError::Unfit("has no column to learn from".into()).into());
        }
        let scale = windows.free_flow_mps();
        let mean = columns.iter().map(|&column| scale[column]).sum::<f32>() / columns.len() as f32;
        let column_weight = scale.iter().map(|scale| scale / mean).collect();
        let average = vars
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.as_tensor().detach().copy()?)))
            .collect::<Result<_, candle_core::Error>>()?;
        Ok(Self {
            average,
            columns,
            column_weight,
            dataset,
            settings,
            device: device.clone(),
            windows,
            context,
            training_contexts,
            strange,
            vars,
            module,
            optimiser,
            rng,
            step: 0,
        })
    }

    /// Runs the steps of one epoch and returns their mean loss.
    pub(super) fn run_epoch(&mut self) -> Result<f64, TrainingError> {
        let mut total = 0.0;
        for _ in 0..self.settings.steps_per_epoch {
            self.optimiser.set_learning_rate(self.learning_rate());
            let batch = self.draw()?;
            let loss = self.loss(&batch)?;
            total += f64::from(loss.to_scalar::<f32>()?);
            let mut gradients = loss.backward()?;
            self.clip(&mut gradients)?;
            self.optimiser.step(&gradients)?;
            self.step += 1;
            self.follow()?;
        }
        Ok(total / self.settings.steps_per_epoch.max(1) as f64)
    }

    /// Moves the average towards the weights.
    fn follow(&mut self) -> Result<(), TrainingError> {
        let step = self.step as f64;
        let keeps = AVERAGE_KEEPS.min((step + 1.0) / (step + 10.0));
        for (name, average) in &mut self.average {
            if let Some(var) = self.vars.get(name) {
                let now = var.as_tensor().detach().affine(1.0 - keeps, 0.0)?;
                *average = (average.affine(keeps, 0.0)? + now)?;
            }
        }
        Ok(())
    }

    /// A short linear rise, then half a cosine down to a hundredth.
    fn learning_rate(&self) -> f64 {
        let steps = (self.settings.epochs * self.settings.steps_per_epoch).max(1) as f64;
        let done = self.step as f64 / steps;
        let rise = ((self.step + 1) as f64 / 100.0).min(1.0);
        let fall = 0.01 + 0.99 * 0.5 * (1.0 + (std::f64::consts::PI * done).cos());
        self.settings.learning_rate * rise * fall
    }

    fn draw(&mut self) -> Result<Batch, TrainingError> {
        let columns = self.columns.len();
        let windows = (self.settings.batch / columns).max(WINDOWS_PER_STEP_MIN);
        let rows_each = (self.settings.batch / windows).clamp(1, columns);
        let count = rows_each * windows;
        let mut features = vec![0.0; count * FEATURE_COUNT];
        let mut start = vec![0.0; count * STEP_COUNT];
        let mut truth = vec![0.0; count * STEP_COUNT];
        let mut known = vec![0.0; count * STEP_COUNT];
        let mut at = 0;
        for _ in 0..windows {
            let newest = self.rng.random_range(self.windows.training());
            let spoil = match self.settings.spoiling {
                Spoiling::Nothing => Spoil::NOTHING,
                Spoiling::Masked => Spoil::draw_masked(&mut self.rng),
                Spoiling::Field => Spoil::draw(&mut self.rng),
            };
            let request = self.windows.request(newest, Some((&spoil, &mut self.rng)));
            let context = if spoil.is_past_hidden() {
                &self.strange
            } else {
                &self.training_contexts[self.windows.fold(newest)]
            };
            let prepared = context.prepare(&request, Architecture::Second);
            for drawn in index::sample(&mut self.rng, columns, rows_each) {
                let segment = self.columns[drawn];
                let row = &mut features[at * FEATURE_COUNT..][..FEATURE_COUNT];
                prepared.write(segment, |feature, value| row[feature] = value);
                if spoil.hides_time {
                    FeatureContext::hide_time(row);
                }
                for step in 0..STEP_COUNT {
                    let cell = at * STEP_COUNT + step;
                    let decay_left = self.settings.config.decay_left(step);
                    start[cell] = prepared.start(segment, step, decay_left);
                    if let Some(value) = self.dataset.value(newest + 1 + step, segment) {
                        truth[cell] = value / request.free_flow_mps[segment];
                        known[cell] = self.column_weight[segment];
                    }
                }
                at += 1;
            }
        }
        let tensor = |values, width| Tensor::from_vec(values, (count, width), &self.device);
        Ok(Batch {
            features: tensor(features, FEATURE_COUNT)?,
            start: tensor(start, STEP_COUNT)?,
            truth: tensor(truth, STEP_COUNT)?,
            known: tensor(known, STEP_COUNT)?,
        })
    }

    /// Mean pinball loss over the known cells. The outer quantiles don't pull at the median.
    fn loss(&self, batch: &Batch) -> Result<Tensor, TrainingError> {
        let raw = self.module.forward(&batch.features)?;
        let [median, below, above, far_below, far_above] = ratios(&raw, &batch.start)?;
        let fixed = median.detach();
        let (p10, p90) = ((&fixed - below)?, (fixed + above)?);
        let (p05, p95) = ((p10.detach() - far_below)?, (p90.detach() + far_above)?);
        let said = [median, p10, p90, p05, p95];
        let mut total: Option<Tensor> = None;
        for (said, (level, weight)) in said.into_iter().zip(LEVELS) {
            let error = (&batch.truth - said)?;
            // Pinball: level * max(e, 0) + (1 - level) * max(-e, 0).
            let over = error.relu()?.affine(level * weight, 0.0)?;
            let under = error.neg()?.relu()?.affine((1.0 - level) * weight, 0.0)?;
            let part = (over + under)?.mul(&batch.known)?.sum_all()?;
            total = Some(match total {
                Some(total) => (total + part)?,
                None => part,
            });
        }
        let cells = batch.known.sum_all()?.affine(1.0, 1e-6)?;
        let total = total.unwrap_or(cells.zeros_like()?);
        Ok((total / cells)?)
    }

    fn clip(&self, gradients: &mut candle_core::backprop::GradStore) -> Result<(), TrainingError> {
        let mut square = 0.0f64;
        for var in self.vars.values() {
            if let Some(gradient) = gradients.get(var) {
                square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
            }
        }
        let norm = square.sqrt();
        if norm > self.settings.gradient_norm_max {
            let scale = self.settings.gradient_norm_max / norm;
            for var in self.vars.values() {
                if let Some(gradient) = gradients.get(var) {
                    let scaled = gradient.affine(scale, 0.0)?;
                    gradients.insert(var, scaled);
                }
            }
        }
        Ok(())
    }

    pub(super) fn copy_weights(&self) -> Result<HashMap<String, Tensor>, TrainingError> {
        self.average
            .iter()
            .map(|(name, average)| Ok((name.clone(), average.to_device(&Device::Cpu)?.copy()?)))
            .collect()
    }

    /// What the training part says of each column.
    pub(super) fn past(&self) -> Option<Past> {
        self.windows.past()
    }

    pub(super) fn score(
        &self,
        weights: &HashMap<String, Tensor>,
        part: Part,
    ) -> Result<Scores, TrainingError> {
        let mlp = Mlp::from_tensors(self.card(0, 0), weights, &Device::Cpu)?;
        let (range, cells) = match part {
            Part::Validation => (self.windows.validation(), VALIDATION_CELLS),
            Part::Test => (self.windows.test(), TEST_CELLS),
        };
        let moments = (cells / self.dataset.column_count()).clamp(8, range.len().max(8));
        let stride = range.len().div_ceil(moments).max(1);
        Ok(evaluate(
            &self.windows,
            &self.context,
            &mlp,
            range.step_by(stride),
        )?)
    }

    /// Adds a few rows of features and what this machine makes of them.
    pub(super) fn with_golden(
        &self,
        mut weights: HashMap<String, Tensor>,
    ) -> Result<HashMap<String, Tensor>, TrainingError> {
        let mlp = Mlp::from_tensors(self.card(0, 0), &weights, &Device::Cpu)?;
        let request = self.windows.request(self.windows.validation().start, None);
        let prepared = self.context.prepare(&request, Architecture::Second);
        let (mut input, mut output) = (Vec::new(), Vec::new());
        for row in 0..GOLDEN_ROWS {
            let segment = row * self.dataset.column_count() / GOLDEN_ROWS;
            let mut features = vec![0.0; FEATURE_COUNT];
            prepared.write(segment, |feature, value| features[feature] = value);
            output.extend(mlp.raw_row(&features));
            input.extend(features);
        }
        let cpu = &Device::Cpu;
        let input = Tensor::from_vec(input, (GOLDEN_ROWS, FEATURE_COUNT), cpu)?;
        let output_count = Architecture::Second.output_count();
        let output = Tensor::from_vec(output, (GOLDEN_ROWS, output_count), cpu)?;
        weights.insert("golden.input".to_owned(), input);
        weights.insert("golden.output".to_owned(), output);
        Ok(weights)
    }

    pub(super) fn card(&self, epochs: usize, best_epoch: usize) -> ModelCard {
        let settings = self.settings;
        ModelCard {
            name: settings.name.clone(),
            architecture: Architecture::Second.label().to_owned(),
            normalisation: "speeds as shares of the segment's free-flow speed, deviations from \
                            the profile times 4; nothing is fitted to the data"
                .to_owned(),
            weights_sha256: String::new(),
            past_sha256: None,
            golden_tolerance: 1e-3,
            config: settings.config,
            data: DataCard {
                name: self.dataset.name.clone(),
                licence: self.dataset.licence.clone(),
                unit: self.dataset.unit.clone(),
                rows: self.dataset.row_count(),
                segments: self.dataset.column_count(),
                split: settings.split,
            },
            training: TrainingCard {
                roadcast: env!("CARGO_PKG_VERSION").to_owned(),
                seed: settings.seed,
                epochs,
                best_epoch,
                steps_per_epoch: settings.steps_per_epoch,
                batch: settings.batch,
                learning_rate: settings.learning_rate,
                holdout: settings.holdout,
            },
            metrics: Vec::new(),
        }
    }
}

struct Batch {
    features: Tensor, // [row, FEATURE_COUNT]
    start: Tensor,    // [row, step]
    truth: Tensor,    // [row, step]
    known: Tensor,    // [row, step]
}
