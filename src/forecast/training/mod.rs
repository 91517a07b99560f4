//! Trains the network on a dataset: AdamW, cosine, clipped gradients, early stop, all seeded.
//!
//! Each step draws a few moments and some segments of each. What the network sees is spoilt on
//! purpose (cells masked, speeds blurred, profiles flattened, the time of day hidden) so that it can
//! speak for cities with few probes and young profiles. Training windows never see the profile of
//! their own day.

mod curve;
mod evaluation;
mod windows;

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor, Var};
use candle_nn::{AdamW, Optimizer, ParamsAdamW};
use rand::seq::index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::features::{FEATURE_COUNT, FeatureContext};
use super::mlp::{MlpModule, OUTPUT_COUNT, initial_weights, ratios};
use super::{
    ARCHITECTURE, DataCard, Dataset, DatasetError, Mlp, MlpConfig, ModelCard, ModelError,
    STEP_COUNT, TrainingCard,
};
use evaluation::{Scores, evaluate};
use windows::{Spoil, Windows};

pub use curve::{curve_csv, curve_svg};

/// Moments that share one step of the optimiser.
const WINDOWS_PER_STEP: usize = 4;
/// Rows of the golden example in the weight file.
const GOLDEN_ROWS: usize = 4;
/// Cells (window, segment) looked at for validation each epoch and for the final test.
const VALIDATION_CELLS: usize = 60_000;
const TEST_CELLS: usize = 2_000_000;
/// The quantiles learnt: below, median, above. The median counts twice (chosen).
const LEVELS: [(f64, f64); 3] = [(0.5, 2.0), (0.1, 1.0), (0.9, 1.0)];

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSettings {
    /// Name and version of the model, as published.
    pub name: String,
    /// Shape of the network.
    pub config: MlpConfig,
    /// Proportions in time of training, validation and test.
    pub split: [usize; 3],
    /// Seed of every random choice.
    pub seed: u64,
    /// Epochs at most.
    pub epochs: usize,
    /// Steps of the optimiser an epoch.
    pub steps_per_epoch: usize,
    /// Rows (one segment at one moment) a step.
    pub batch: usize,
    /// Highest learning rate; it falls to a hundredth of it as a cosine.
    pub learning_rate: f64,
    /// Decay of weights a step, in shares of the learning rate.
    pub weight_decay: f64,
    /// Norm to which gradients are cut.
    pub gradient_norm_max: f64,
    /// Epochs without a better validation error after which training stops.
    pub patience: usize,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            name: "residual-mlp".to_owned(),
            config: MlpConfig::default(),
            split: [70, 10, 20],
            seed: 1,
            epochs: 40,
            steps_per_epoch: 250,
            batch: 1024,
            learning_rate: 2e-3,
            weight_decay: 1e-2,
            gradient_norm_max: 1.0,
            patience: 8,
        }
    }
}

/// What one epoch brought.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct EpochReport {
    /// Which epoch, from 1.
    pub epoch: usize,
    /// Mean loss of its steps, in shares of free flow.
    pub loss: f64,
    /// Mean absolute error over the validation part and all steps, in the unit of the data.
    pub validation_mae: f64,
    /// Whether this is the best so far.
    pub is_best: bool,
}

/// What training leaves: everything but the files.
#[derive(Clone, Debug)]
pub struct TrainedModel {
    /// Weights and golden example, for the weight file.
    pub tensors: HashMap<String, Tensor>,
    /// The card, whose hash is to be filled in from the weight file.
    pub card: ModelCard,
    /// All epochs.
    pub curve: Vec<EpochReport>,
}

/// Why training failed.
#[derive(Debug, thiserror::Error)]
pub enum TrainingError {
    /// The dataset does not fit.
    #[error(transparent)]
    Dataset(#[from] DatasetError),
    /// The tensor library failed.
    #[error("tensors: {0}")]
    Tensor(#[from] candle_core::Error),
    /// The model could not be put together.
    #[error(transparent)]
    Model(#[from] ModelError),
}

/// Trains on `dataset`; `progress` hears of every epoch. Deterministic on a CPU device.
///
/// # Errors
/// When the dataset is too short for its split, or the device fails.
pub fn train(
    dataset: &Dataset,
    settings: &TrainingSettings,
    device: &Device,
    progress: &mut dyn FnMut(&EpochReport),
) -> Result<TrainedModel, TrainingError> {
    let windows = Windows::new(dataset, settings.split)?;
    let mut learner = Learner::new(dataset, settings, device, windows)?;
    let mut curve: Vec<EpochReport> = Vec::new();
    let mut best = (f64::INFINITY, 0, learner.copy_weights()?);
    for epoch in 1..=settings.epochs {
        let loss = learner.run_epoch(epoch)?;
        let scores = learner.score(&learner.copy_weights()?, Part::Validation)?;
        let validation_mae = scores.mean_mae();
        let is_best = validation_mae < best.0;
        if is_best {
            best = (validation_mae, epoch, learner.copy_weights()?);
        }
        let report = EpochReport {
            epoch,
            loss,
            validation_mae,
            is_best,
        };
        progress(&report);
        curve.push(report);
        if epoch >= best.1 + settings.patience {
            break;
        }
    }
    let (_, best_epoch, weights) = best;
    let scores = learner.score(&weights, Part::Test)?;
    let tensors = learner.with_golden(weights)?;
    let mut card = learner.card(curve.len(), best_epoch);
    card.metrics = scores.metrics();
    Ok(TrainedModel {
        tensors,
        card,
        curve,
    })
}

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Part {
    Validation,
    Test,
}

struct Learner<'a> {
    dataset: &'a Dataset,
    settings: &'a TrainingSettings,
    device: Device,
    windows: Windows<'a>,
    context: FeatureContext,
    vars: BTreeMap<String, Var>,
    module: MlpModule,
    optimiser: AdamW,
    rng: ChaCha8Rng,
    step: usize,
}

impl<'a> Learner<'a> {
    fn new(
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
        let context = FeatureContext::new(dataset.graph.clone(), &dataset.attributes, Some(0));
        Ok(Self {
            dataset,
            settings,
            device: device.clone(),
            windows,
            context,
            vars,
            module,
            optimiser,
            rng,
            step: 0,
        })
    }

    /// Runs the steps of one epoch and returns their mean loss.
    fn run_epoch(&mut self, _epoch: usize) -> Result<f64, TrainingError> {
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
        }
        Ok(total / self.settings.steps_per_epoch.max(1) as f64)
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
        let columns = self.dataset.column_count();
        let rows_each = (self.settings.batch / WINDOWS_PER_STEP).clamp(1, columns);
        let count = rows_each * WINDOWS_PER_STEP;
        let mut features = vec![0.0; count * FEATURE_COUNT];
        let mut start = vec![0.0; count * STEP_COUNT];
        let mut truth = vec![0.0; count * STEP_COUNT];
        let mut known = vec![0.0; count * STEP_COUNT];
        let mut at = 0;
        for _ in 0..WINDOWS_PER_STEP {
            let newest = self.rng.random_range(self.windows.training());
            let spoil = Spoil::draw(&mut self.rng);
            let request = self.windows.request(newest, Some((&spoil, &mut self.rng)));
            let prepared = self.context.prepare(&request);
            for segment in index::sample(&mut self.rng, columns, rows_each) {
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
                        known[cell] = 1.0;
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
        let [median, below, above] = ratios(&raw, &batch.start)?;
        let fixed = median.detach();
        let said = [median, (&fixed - below)?, (fixed + above)?];
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

    fn copy_weights(&self) -> Result<HashMap<String, Tensor>, TrainingError> {
        self.vars
            .iter()
            .map(|(name, var)| {
                let values = var.as_tensor().to_device(&Device::Cpu)?.detach().copy()?;
                Ok((name.clone(), values))
            })
            .collect()
    }

    fn score(
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
    fn with_golden(
        &self,
        mut weights: HashMap<String, Tensor>,
    ) -> Result<HashMap<String, Tensor>, TrainingError> {
        let mlp = Mlp::from_tensors(self.card(0, 0), &weights, &Device::Cpu)?;
        let request = self.windows.request(self.windows.validation().start, None);
        let prepared = self.context.prepare(&request);
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
        let output = Tensor::from_vec(output, (GOLDEN_ROWS, OUTPUT_COUNT), cpu)?;
        weights.insert("golden.input".to_owned(), input);
        weights.insert("golden.output".to_owned(), output);
        Ok(weights)
    }

    fn card(&self, epochs: usize, best_epoch: usize) -> ModelCard {
        let settings = self.settings;
        ModelCard {
            name: settings.name.clone(),
            architecture: ARCHITECTURE.to_owned(),
            normalisation: "speeds as shares of the segment's free-flow speed, deviations from \
                            the profile times 4; nothing is fitted to the data"
                .to_owned(),
            weights_sha256: String::new(),
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
