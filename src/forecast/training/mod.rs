//! Trains the network on a dataset: AdamW, cosine, clipped gradients, early stop, all seeded.
//!
//! Each step draws a few moments and some segments of each. What the network sees is spoilt on
//! purpose (cells masked, speeds blurred, profiles flattened, the time of day hidden) so that it can
//! speak for cities with few probes and young profiles. Training windows never see the profile of
//! their own day.

mod checkpoint;
mod curve;
mod evaluation;
mod learner;
mod optimiser;

use std::collections::HashMap;

use candle_core::{Device, Tensor};

use super::snapshot::SnapshotError;
use super::{Dataset, DatasetError, Holdout, Mlp, MlpConfig, ModelCard, ModelError, Past};
use checkpoint::Course;
use learner::{Learner, Part};

pub use curve::curve_csv;

/// A model whose weights a training run goes on from; equal where the weights are.
#[derive(Clone)]
pub struct Start(pub Mlp);

impl std::fmt::Debug for Start {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        let card = self.0.card();
        write!(f, "{} {}", card.name, card.weights_sha256)
    }
}

impl PartialEq for Start {
    fn eq(&self, other: &Self) -> bool {
        self.0.card().weights_sha256 == other.0.card().weights_sha256
    }
}

/// How to train.
#[derive(Clone, Debug, PartialEq)]
pub struct TrainingSettings {
    /// Name and version of the model, as published.
    pub name: String,
    /// Shape of the network; where it goes on from another, the shape of that one.
    pub config: MlpConfig,
    /// The model whose weights it goes on from; `None` begins with weights drawn by chance.
    pub start: Option<Start>,
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
    /// What inputs are spoilt with on purpose.
    pub spoiling: Spoiling,
    /// Columns that are not learnt from, if any.
    pub holdout: Option<Holdout>,
    /// Epochs without a better validation error after which training stops.
    pub patience: usize,
}

/// What training inputs are spoilt with.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Spoiling {
    /// Nothing.
    Nothing,
    /// Up to half of the cells are hidden: for models of the network they were trained on.
    Masked,
    /// Cells hidden, speeds blurred, profiles flattened, time hidden: for models that go to other
    /// cities, with few probes and young profiles.
    Field,
}

impl Default for TrainingSettings {
    fn default() -> Self {
        Self {
            name: "residual-mlp".to_owned(),
            config: MlpConfig::default(),
            start: None,
            split: [70, 10, 20],
            seed: 1,
            epochs: 40,
            steps_per_epoch: 250,
            batch: 1024,
            learning_rate: 2e-3,
            weight_decay: 1e-2,
            gradient_norm_max: 1.0,
            spoiling: Spoiling::Field,
            holdout: None,
            patience: 8,
        }
    }
}

impl TrainingSettings {
    /// The shape that the network has in the end.
    fn shape(&self) -> &MlpConfig {
        match &self.start {
            Some(start) => &start.0.card().config,
            None => &self.config,
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
    /// What the training part says of each column, for `past.bin`.
    pub past: Option<Past>,
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
    /// A checkpoint is of other data, settings or another build, or none at all.
    #[error("the checkpoint is of another run: data, settings and build must be the same")]
    OtherRun,
    /// A checkpoint is cut off or malformed.
    #[error("checkpoint: {0}")]
    Checkpoint(#[from] SnapshotError),
    /// Whoever heard of the progress stopped the run.
    #[error("stopped: {0}")]
    Stopped(String),
}

/// What is heard of a training run while it lasts.
#[derive(Clone, Copy, Debug)]
pub enum Progress<'a> {
    /// A step of the optimiser was taken.
    Step {
        /// Of which epoch, from 1.
        epoch: usize,
        /// Which step of it, from 1.
        step: usize,
    },
    /// An epoch has ended.
    Epoch {
        /// What it brought.
        report: &'a EpochReport,
        /// What [`train_from`] takes to go on after it.
        checkpoint: &'a [u8],
    },
}

/// Trains on `datasets`, each window on one of them drawn evenly; `progress` hears of every epoch.
/// Deterministic on a CPU device.
///
/// # Errors
/// When there is no dataset, one is too short for its split, they have several units, or the device
/// fails.
pub fn train(
    datasets: &[Dataset],
    settings: &TrainingSettings,
    device: &Device,
    progress: &mut dyn FnMut(&EpochReport),
) -> Result<TrainedModel, TrainingError> {
    train_from(datasets, settings, device, None, &mut |heard| {
        if let Progress::Epoch { report, .. } = heard {
            progress(report);
        }
        Ok(())
    })
}

/// The same, from where a checkpoint of the same data and settings left off, if one is given: the
/// weights become those of a run without interruption. `hear` hears of every step and may stop the
/// run with an error.
///
/// # Errors
/// As [`train`], and when the checkpoint is of another run or `hear` says so.
pub fn train_from(
    datasets: &[Dataset],
    settings: &TrainingSettings,
    device: &Device,
    checkpoint: Option<&[u8]>,
    hear: &mut dyn FnMut(Progress<'_>) -> Result<(), TrainingError>,
) -> Result<TrainedModel, TrainingError> {
    let mut learner = Learner::new(datasets, settings, device)?;
    let mut course = Course {
        curve: Vec::new(),
        best: (f64::INFINITY, 0, learner.copy_weights()?),
    };
    let fingerprint = checkpoint::fingerprint(datasets, settings);
    if let Some(bytes) = checkpoint {
        checkpoint::read(bytes, &fingerprint, &mut course, &mut learner)?;
    } else if settings.start.is_some() {
        // What is gone on from is kept unless an epoch is better.
        course.best.0 = learner.score(&course.best.2, Part::Validation)?.mean_mae();
    }
    while !course.has_ended(settings) {
        let epoch = course.curve.len() + 1;
        let loss = learner.run_epoch(&mut |step| hear(Progress::Step { epoch, step }))?;
        let scores = learner.score(&learner.copy_weights()?, Part::Validation)?;
        let validation_mae = scores.mean_mae();
        let is_best = validation_mae < course.best.0;
        if is_best {
            course.best = (validation_mae, epoch, learner.copy_weights()?);
        }
        let report = EpochReport {
            epoch,
            loss,
            validation_mae,
            is_best,
        };
        course.curve.push(report);
        hear(Progress::Epoch {
            report: &report,
            checkpoint: &checkpoint::write(&fingerprint, &course, &learner)?,
        })?;
    }
    let Course { curve, best } = course;
    let (_, best_epoch, weights) = best;
    let scores = learner.score(&weights, Part::Test)?;
    let tensors = learner.with_golden(weights)?;
    let mut card = learner.card(curve.len(), best_epoch);
    card.metrics = scores.metrics();
    Ok(TrainedModel {
        tensors,
        card,
        past: learner.past(),
        curve,
    })
}
