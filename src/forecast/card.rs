//! The card beside every weight file: what the model is, what it learnt from, how well it does, and
//! the hash that ties it to its weights.

use serde::{Deserialize, Serialize};

use super::{Holdout, MlpConfig, STEP_COUNT};

/// The one architecture this build runs, as cards name it: five quantiles from what
/// [`super::FeatureContext`] gathers.
pub const ARCHITECTURE: &str = "residual-mlp-4";

/// A model card, stored as TOML.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct ModelCard {
    /// Name and version, as published with every forecast.
    pub name: String,
    /// Which code can run it.
    pub architecture: String,
    /// How the numbers it reads are scaled.
    pub normalisation: String,
    /// Hexadecimal SHA-256 of the weight file.
    pub weights_sha256: String,
    /// Hexadecimal SHA-256 of `past.bin` beside the weights: what training learnt of each segment's
    /// own past; none where the folder holds none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub past_sha256: Option<String>,
    /// Largest difference allowed between the golden output in the weight file and what this
    /// machine computes, in raw output units.
    pub golden_tolerance: f32,
    /// The shape of the network.
    pub config: MlpConfig,
    /// What it was trained on.
    pub data: DataCard,
    /// How it was trained.
    pub training: TrainingCard,
    /// How well it does on the test part, one entry a step.
    pub metrics: Vec<StepMetrics>,
}

/// The data a model was trained on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct DataCard {
    /// The dataset's name.
    pub name: String,
    /// Its licence.
    pub licence: String,
    /// Its unit, in which the metrics are.
    pub unit: String,
    /// Rows in time.
    pub rows: usize,
    /// Columns: segments or sensors.
    pub segments: usize,
    /// Parts in time for training, validation and test.
    pub split: [usize; 3],
}

/// How a model was trained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct TrainingCard {
    /// Version of roadcast.
    pub roadcast: String,
    /// Seed of every random choice.
    pub seed: u64,
    /// Epochs run before it stopped.
    pub epochs: usize,
    /// The epoch whose weights were kept, from 1; 0 where none was better than what it went on from.
    pub best_epoch: usize,
    /// Steps of the optimiser an epoch.
    pub steps_per_epoch: usize,
    /// Rows a step.
    pub batch: usize,
    /// Highest learning rate.
    pub learning_rate: f64,
    /// Name and SHA-256 of the weights that it went on from, if it did.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub start: Option<String>,
    /// The columns left out, if any were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub holdout: Option<Holdout>,
}

/// Mean absolute errors of the medians at one step, in the unit of the data.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct StepMetrics {
    /// Minutes ahead: the end of the step.
    pub minutes: usize,
    /// Of the model.
    pub model: f64,
    /// Of last value.
    pub last_value: f64,
    /// Of the profile.
    pub profile: f64,
    /// Of profile and fading deviation.
    pub profile_residual: f64,
    /// Share of truths between p10 and p90; 0.8 is wanted.
    pub coverage: f64,
}

impl ModelCard {
    /// Reads a card.
    ///
    /// # Errors
    /// When it is not UTF-8 TOML with exactly these keys.
    pub fn parse(bytes: &[u8]) -> Result<Self, ModelError> {
        let text =
            std::str::from_utf8(bytes).map_err(|error| ModelError::Card(error.to_string()))?;
        toml::from_str(text).map_err(|error| ModelError::Card(error.to_string()))
    }

    /// Its mean absolute error as a share of profile and residual's on the same test data, by step;
    /// `None` where the card lacks a step or states no error of theirs.
    pub fn promised_share(&self) -> Option<[f32; STEP_COUNT]> {
        let shares = self.metrics.iter().map(|step| {
            let share = (step.model / step.profile_residual) as f32;
            (share.is_finite() && share > 0.0).then_some(share)
        });
        let shares: Vec<f32> = shares.collect::<Option<_>>()?;
        shares.try_into().ok()
    }

    /// Writes the card.
    ///
    /// # Errors
    /// When a number cannot be written as TOML.
    pub fn to_toml(&self) -> Result<String, ModelError> {
        toml::to_string_pretty(self).map_err(|error| ModelError::Card(error.to_string()))
    }
}

/// Why a model could not be loaded.
#[derive(Debug, thiserror::Error)]
pub enum ModelError {
    /// The card is not readable.
    #[error("model card: {0}")]
    Card(String),
    /// The card names code that this build lacks.
    #[error("model architecture {found} is not known to this build")]
    Architecture {
        /// What the card names.
        found: String,
    },
    /// The weights are not those the card was written for.
    #[error("weights have SHA-256 {found}, the card says {wanted}")]
    Hash {
        /// Of the bytes given.
        found: String,
        /// In the card.
        wanted: String,
    },
    /// This machine computes something else than the machine that trained the model.
    #[error("golden output differs by {difference}, {tolerance} allowed")]
    Golden {
        /// Largest absolute difference.
        difference: f32,
        /// What the card allows.
        tolerance: f32,
    },
    /// The weight file is malformed or lacks a tensor.
    #[error("weights: {0}")]
    Weights(#[from] candle_core::Error),
}
