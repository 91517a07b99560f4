//! One training run in progress: weights, optimiser, and the draws that feed them.

use std::collections::{BTreeMap, HashMap};

use candle_core::{Device, Tensor, Var};
use rand::seq::index;
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;

use super::super::features::{FEATURE_COUNT, FeatureContext};
use super::super::mlp::{MlpModule, OUTPUT_COUNT, initial_weights, ratios};
use super::super::snapshot::{Reader, put_bytes, put_u32};
use super::super::spoil::Spoil;
use super::super::windows::Windows;
use super::super::{
    ARCHITECTURE, DataCard, Dataset, DatasetError, Mlp, ModelCard, ModelError, Past, STEP_COUNT,
    TrainingCard,
};
use super::evaluation::{Scores, evaluate};
use super::optimiser::{AdamW, clip, put_tensor, take_tensor};
use super::{Spoiling, TrainingError, TrainingSettings};

/// Moments that share one step of the optimiser, at least; more where a moment has few segments.
const WINDOWS_PER_STEP_MIN: usize = 4;
/// Share of the windows of a model for other cities that are drawn around incidents, half of their rows
/// near one (chosen): drawn evenly they are so rare that what the network reads of them stays unsettled.
const AROUND_INCIDENTS: f64 = 0.25;
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

/// A dataset to learn from.
struct Town<'a> {
    dataset: &'a Dataset,
    windows: Windows<'a>,
    context: FeatureContext,
    /// The same for training windows, by fold.
    training_contexts: Vec<FeatureContext>,
    /// The same without what the columns' past says about them.
    strange: FeatureContext,
    /// Columns learnt from.
    columns: Vec<usize>,
    /// Newest rows of the windows learnt from, and those around each incident.
    moments: Vec<usize>,
    around_incidents: Vec<Vec<usize>>,
    /// How much an error in each column counts: its scale in the unit of the data over the mean one,
    /// so that the loss is the error that is reported.
    column_weight: Vec<f32>,
}

impl<'a> Town<'a> {
    fn new(dataset: &'a Dataset, settings: &TrainingSettings) -> Result<Self, TrainingError> {
        let mut windows = Windows::new(dataset, settings.split)?;
        if settings.spoiling == Spoiling::Field {
            windows.learn_young();
        }
        let context = windows.context();
        let training_contexts = windows.training_contexts();
        let strange = windows.context_without_past();
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
        let moments = windows.learnable();
        if moments.is_empty() {
            return Err(DatasetError::Unfit("has no hour to learn from".into()).into());
        }
        let scale = windows.free_flow_mps();
        let mean = columns.iter().map(|&column| scale[column]).sum::<f32>() / columns.len() as f32;
        let column_weight = scale.iter().map(|scale| scale / mean).collect();
        Ok(Self {
            dataset,
            around_incidents: windows.around_incidents(&moments),
            windows,
            context,
            training_contexts,
            strange,
            columns,
            moments,
            column_weight,
        })
    }

    fn is_learnt(&self, column: usize) -> bool {
        self.columns.binary_search(&column).is_ok()
    }

    fn score(&self, mlp: &Mlp, part: Part, cells: usize) -> Result<Scores, ModelError> {
        let range = match part {
            Part::Validation => self.windows.validation(),
            Part::Test => self.windows.test(),
        };
        let moments = (cells / self.dataset.column_count()).clamp(8, range.len().max(8));
        let stride = range.len().div_ceil(moments).max(1);
        evaluate(&self.windows, &self.context, mlp, range.step_by(stride))
    }
}

pub(super) struct Learner<'a> {
    towns: Vec<Town<'a>>,
    settings: &'a TrainingSettings,
    device: Device,
    vars: BTreeMap<String, Var>,
    /// The running average of the weights, which is what is kept (Polyak and Juditsky, 1992).
    average: BTreeMap<String, Tensor>,
    module: MlpModule,
    optimiser: AdamW,
    rng: ChaCha8Rng,
    step: usize,
}

impl<'a> Learner<'a> {
    pub(super) fn new(
        datasets: &'a [Dataset],
        settings: &'a TrainingSettings,
        device: &Device,
    ) -> Result<Self, TrainingError> {
        let unit = datasets.first().map(|dataset| &dataset.unit);
        if unit.is_none() || datasets.iter().any(|dataset| Some(&dataset.unit) != unit) {
            return Err(DatasetError::Unfit(
                "is missing, or has another unit than the first".into(),
            )
            .into());
        }
        let towns = datasets
            .iter()
            .map(|dataset| Town::new(dataset, settings))
            .collect::<Result<Vec<_>, _>>()?;
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed);
        let config = settings.shape();
        let vars = match &settings.start {
            Some(start) => start.0.module().to_vars(device)?,
            None => initial_weights(config, &mut rng, device)?,
        };
        let module = MlpModule::new(config, &|name| {
            vars.get(name)
                .map(|var| var.as_tensor().clone())
                .ok_or_else(|| candle_core::Error::Msg(format!("tensor {name} is missing")))
        })?;
        let optimiser = AdamW::new(&vars, settings.learning_rate, settings.weight_decay)?;
        let average = vars
            .iter()
            .map(|(name, var)| Ok((name.clone(), var.as_tensor().detach().copy()?)))
            .collect::<Result<_, candle_core::Error>>()?;
        Ok(Self {
            average,
            towns,
            settings,
            device: device.clone(),
            vars,
            module,
            optimiser,
            rng,
            step: 0,
        })
    }

    /// Runs the steps of one epoch, tells of each, and returns their mean loss.
    pub(super) fn run_epoch(
        &mut self,
        tell: &mut dyn FnMut(usize) -> Result<(), TrainingError>,
    ) -> Result<f64, TrainingError> {
        let mut total = 0.0;
        for step in 1..=self.settings.steps_per_epoch {
            self.optimiser.set_learning_rate(self.learning_rate());
            let batch = self.draw()?;
            let loss = self.loss(&batch)?;
            total += f64::from(loss.to_scalar::<f32>()?);
            let mut gradients = loss.backward()?;
            clip(&self.vars, &mut gradients, self.settings.gradient_norm_max)?;
            self.optimiser.step(&self.vars, &gradients)?;
            self.step += 1;
            self.follow()?;
            tell(step)?;
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
        let batch = self.settings.batch;
        let columns: usize = self.towns.iter().map(|town| town.columns.len()).sum();
        let windows = (batch * self.towns.len() / columns).max(WINDOWS_PER_STEP_MIN);
        let mut rows = Rows::default();
        for _ in 0..windows {
            let town = match self.towns.len() {
                1 => &self.towns[0],
                count => &self.towns[self.rng.random_range(0..count)],
            };
            let incidents = &town.around_incidents;
            let is_around = self.settings.spoiling == Spoiling::Field
                && !incidents.is_empty()
                && self.rng.random_bool(AROUND_INCIDENTS);
            let newest = if is_around {
                let rows = &incidents[self.rng.random_range(0..incidents.len())];
                rows[self.rng.random_range(0..rows.len())]
            } else {
                town.moments[self.rng.random_range(0..town.moments.len())]
            };
            let spoil = match self.settings.spoiling {
                Spoiling::Nothing => Spoil::NOTHING,
                Spoiling::Masked => Spoil::draw_masked(&mut self.rng),
                Spoiling::Field => Spoil::draw(&mut self.rng),
            };
            let request = town.windows.request(newest, Some((&spoil, &mut self.rng)));
            let context = if spoil.is_past_hidden() {
                &town.strange
            } else {
                &town.training_contexts[town.windows.fold(newest)]
            };
            let prepared = context.prepare(&request);
            let rows_each = (batch / windows).clamp(1, town.columns.len());
            let drawn = index::sample(&mut self.rng, town.columns.len(), rows_each);
            let mut segments: Vec<usize> = drawn.iter().map(|at| town.columns[at]).collect();
            if is_around {
                let near: Vec<usize> = prepared.near_incidents().collect();
                let near: Vec<usize> = near.into_iter().filter(|at| town.is_learnt(*at)).collect();
                let count = near.len().min(rows_each / 2);
                let drawn = index::sample(&mut self.rng, near.len(), count);
                segments.truncate(rows_each - count);
                segments.extend(drawn.iter().map(|at| near[at]));
            }
            for segment in segments {
                let first = rows.features.len();
                rows.features.resize(first + FEATURE_COUNT, 0.0);
                let row = &mut rows.features[first..];
                prepared.write(segment, |feature, value| row[feature] = value);
                if spoil.hides_time {
                    FeatureContext::hide_time(row);
                }
                if spoil.hides_road {
                    FeatureContext::hide_road(row);
                }
                rows.start.extend(prepared.starts(segment));
                for step in 0..STEP_COUNT {
                    let value = town.dataset.value(newest + 1 + step, segment);
                    let share = value.map(|value| value / request.free_flow_mps[segment]);
                    rows.truth.push(share.unwrap_or(0.0));
                    let weight = share.map(|_| town.column_weight[segment]);
                    rows.known.push(weight.unwrap_or(0.0));
                }
            }
        }
        let count = rows.features.len() / FEATURE_COUNT;
        let tensor = |values, width| Tensor::from_vec(values, (count, width), &self.device);
        Ok(Batch {
            features: tensor(rows.features, FEATURE_COUNT)?,
            start: tensor(rows.start, STEP_COUNT)?,
            truth: tensor(rows.truth, STEP_COUNT)?,
            known: tensor(rows.known, STEP_COUNT)?,
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

    pub(super) fn copy_weights(&self) -> Result<HashMap<String, Tensor>, TrainingError> {
        self.average
            .iter()
            .map(|(name, average)| Ok((name.clone(), average.to_device(&Device::Cpu)?.copy()?)))
            .collect()
    }

    /// The names of the weights, in order.
    pub(super) fn weight_names(&self) -> Vec<String> {
        self.vars.keys().cloned().collect()
    }

    /// Appends weights, their average, the optimiser's memory and the place in the chances.
    pub(super) fn write_state(&self, out: &mut Vec<u8>) -> Result<(), TrainingError> {
        put_u32(out, self.step as u32);
        put_bytes(out, &self.rng.get_word_pos().to_le_bytes());
        for var in self.vars.values() {
            put_tensor(out, var.as_tensor())?;
        }
        for average in self.average.values() {
            put_tensor(out, average)?;
        }
        self.optimiser.write(out)
    }

    /// Takes back what `write_state` wrote of a run with the same settings.
    pub(super) fn read_state(&mut self, reader: &mut Reader<'_>) -> Result<(), TrainingError> {
        self.step = reader.u32()? as usize;
        let place = reader.any_bytes()?.try_into();
        let place: [u8; 16] = place.map_err(|_source| reader.malformed())?;
        self.rng.set_word_pos(u128::from_le_bytes(place));
        for var in self.vars.values() {
            var.set(&take_tensor(reader, var.as_tensor())?)?;
        }
        for average in self.average.values_mut() {
            *average = take_tensor(reader, average)?;
        }
        self.optimiser.read(reader)
    }

    /// What the training part says of each column; nothing of several datasets, whose model is for
    /// other networks.
    pub(super) fn past(&self) -> Option<Past> {
        match &self.towns[..] {
            [town] => Some(town.windows.past()),
            _ => None,
        }
    }

    pub(super) fn score(
        &self,
        weights: &HashMap<String, Tensor>,
        part: Part,
    ) -> Result<Scores, TrainingError> {
        let mlp = Mlp::from_tensors(self.card(0, 0), weights, &Device::Cpu)?;
        let cells = match part {
            Part::Validation => VALIDATION_CELLS,
            Part::Test => TEST_CELLS,
        };
        let mut all = Scores::default();
        for town in &self.towns {
            all.merge(&town.score(&mlp, part, cells / self.towns.len())?);
        }
        Ok(all)
    }

    /// Adds a few rows of features and what this machine makes of them.
    pub(super) fn with_golden(
        &self,
        mut weights: HashMap<String, Tensor>,
    ) -> Result<HashMap<String, Tensor>, TrainingError> {
        let mlp = Mlp::from_tensors(self.card(0, 0), &weights, &Device::Cpu)?;
        let Town {
            dataset,
            windows,
            context,
            ..
        } = &self.towns[0];
        let request = windows.request(windows.validation().start, None);
        let prepared = context.prepare(&request);
        let (mut input, mut output) = (Vec::new(), Vec::new());
        for row in 0..GOLDEN_ROWS {
            let segment = row * dataset.column_count() / GOLDEN_ROWS;
            let mut features = vec![0.0; FEATURE_COUNT];
            prepared.write(segment, |feature, value| features[feature] = value);
            output.extend(mlp.raw_rows(&features));
            input.extend(features);
        }
        let cpu = &Device::Cpu;
        let input = Tensor::from_vec(input, (GOLDEN_ROWS, FEATURE_COUNT), cpu)?;
        let output = Tensor::from_vec(output, (GOLDEN_ROWS, OUTPUT_COUNT), cpu)?;
        weights.insert("golden.input".to_owned(), input);
        weights.insert("golden.output".to_owned(), output);
        Ok(weights)
    }

    pub(super) fn card(&self, epochs: usize, best_epoch: usize) -> ModelCard {
        let settings = self.settings;
        ModelCard {
            name: settings.name.clone(),
            architecture: ARCHITECTURE.to_owned(),
            normalisation: "speeds as shares of the segment's free-flow speed, deviations from \
                            the profile times 4; nothing is fitted to the data"
                .to_owned(),
            weights_sha256: String::new(),
            past_sha256: None,
            golden_tolerance: 1e-3,
            config: *settings.shape(),
            data: DataCard {
                name: listed(self.towns.iter().map(|town| &town.dataset.name)),
                licence: listed(self.towns.iter().map(|town| &town.dataset.licence)),
                unit: self.towns[0].dataset.unit.clone(),
                rows: self.towns.iter().map(|town| town.dataset.row_count()).sum(),
                segments: self
                    .towns
                    .iter()
                    .map(|town| town.dataset.column_count())
                    .sum(),
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
                start: settings.start.as_ref().map(|start| format!("{start:?}")),
                holdout: settings.holdout,
            },
            metrics: Vec::new(),
        }
    }
}

/// Each text once, in order.
fn listed<'a>(texts: impl Iterator<Item = &'a String>) -> String {
    let mut all: Vec<&str> = Vec::new();
    for text in texts {
        if !all.contains(&text.as_str()) {
            all.push(text);
        }
    }
    all.join("; ")
}

/// What a batch is made of, row by row.
#[derive(Default)]
struct Rows {
    features: Vec<f32>,
    start: Vec<f32>,
    truth: Vec<f32>,
    known: Vec<f32>,
}

struct Batch {
    features: Tensor, // [row, FEATURE_COUNT]
    start: Tensor,    // [row, step]
    truth: Tensor,    // [row, step]
    known: Tensor,    // [row, step]
}
