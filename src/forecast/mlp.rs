//! A residual multilayer perceptron, one row a segment: linear in segments, inductive, and free of
//! any city's ids.
//!
//! Dense layers with ReLU and skip connections after He et al. (2016), "Deep residual learning for
//! image recognition"; quantiles by pinball loss after Koenker and Bassett (1978), ordered by
//! construction: the outer ones are the median minus and plus a positive distance. The network says
//! what to add to profile and fading deviation, so untrained it is that baseline.

use candle_core::{Device, Result, Tensor, Var};
use rand::Rng;
use rand_chacha::ChaCha8Rng;
use serde::{Deserialize, Serialize};
use std::collections::BTreeMap;

use super::{FEATURE_COUNT, STEP_COUNT, SpeedQuantiles};

/// Numbers that the network gives of a segment: a median and four distances a step.
pub(super) const OUTPUT_COUNT: usize = 5 * STEP_COUNT;
/// Outputs for the median are multiplied by this to become shares of free flow, and those for the
/// distances by [`REACH_SCALE`] (chosen near the spread of each, so that outputs stay near one).
const MEDIAN_SCALE: f32 = 0.25;
const REACH_SCALE: f32 = 0.1;
/// A share of free flow beyond which no median is believed.
const RATIO_MAX: f32 = 3.0;

/// The shape of the network.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize)]
#[serde(deny_unknown_fields)]
pub struct MlpConfig {
    /// Width of the hidden layers.
    pub hidden: usize,
    /// Residual blocks of two layers.
    pub blocks: usize,
}

impl Default for MlpConfig {
    fn default() -> Self {
        Self {
            hidden: 64,
            blocks: 3,
        }
    }
}

impl MlpConfig {
    /// Name, outputs and inputs of each layer, in the order they are run.
    pub(super) fn layers(&self) -> Vec<(String, usize, usize)> {
        let hidden = self.hidden;
        let mut layers = vec![("input".to_owned(), hidden, FEATURE_COUNT)];
        for block in 0..self.blocks {
            layers.push((format!("block.{block}.first"), hidden, hidden));
            layers.push((format!("block.{block}.second"), hidden, hidden));
        }
        layers.push(("output".to_owned(), OUTPUT_COUNT, hidden));
        layers
    }
}

/// Starting weights: He et al. (2015) uniform for layers before a ReLU, near zero for the last of
/// each block and for the output, so that training starts from the baseline.
pub(super) fn initial_weights(
    config: &MlpConfig,
    rng: &mut ChaCha8Rng,
    device: &Device,
) -> Result<BTreeMap<String, Var>> {
    let mut weights = BTreeMap::new();
    for (name, outputs, inputs) in config.layers() {
        let damp = if name == "output" || name.ends_with("second") {
            0.1
        } else {
            1.0
        };
        let bound = damp * (6.0 / inputs as f32).sqrt();
        let values: Vec<f32> = (0..outputs * inputs)
            .map(|_| rng.random_range(-bound..bound))
            .collect();
        let weight = Tensor::from_vec(values, (outputs, inputs), device)?;
        weights.insert(format!("{name}.weight"), Var::from_tensor(&weight)?);
        let bias = Tensor::zeros(outputs, candle_core::DType::F32, device)?;
        weights.insert(format!("{name}.bias"), Var::from_tensor(&bias)?);
    }
    Ok(weights)
}

#[derive(Clone, Debug)]
struct Linear {
    weight: Tensor, // [output, input]
    bias: Tensor,   // [output]
}

impl Linear {
    fn forward(&self, x: &Tensor) -> Result<Tensor> {
        x.matmul(&self.weight.t()?)?.broadcast_add(&self.bias)
    }
}

/// The network as candle sees it: for training, for GPUs, and as the reference of the fused one.
#[derive(Clone, Debug)]
pub struct MlpModule {
    input: Linear,
    blocks: Vec<(Linear, Linear)>,
    output: Linear,
}

impl MlpModule {
    /// Takes its weights by name.
    pub(super) fn new(
        config: &MlpConfig,
        weights: &impl Fn(&str) -> Result<Tensor>,
    ) -> Result<Self> {
        let linear = |name: &str| -> Result<Linear> {
            Ok(Linear {
                weight: weights(&format!("{name}.weight"))?,
                bias: weights(&format!("{name}.bias"))?,
            })
        };
        Ok(Self {
            input: linear("input")?,
            blocks: (0..config.blocks)
                .map(|block| {
                    Ok((
                        linear(&format!("block.{block}.first"))?,
                        linear(&format!("block.{block}.second"))?,
                    ))
                })
                .collect::<Result<_>>()?,
            output: linear("output")?,
        })
    }

    /// Copies of its weights, named as in weight files, as variables on `device`.
    pub(super) fn to_vars(&self, device: &Device) -> Result<BTreeMap<String, Var>> {
        let mut vars = BTreeMap::new();
        let mut put = |name: String, linear: &Linear| -> Result<()> {
            for (part, tensor) in [("weight", &linear.weight), ("bias", &linear.bias)] {
                let copy = tensor.detach().to_device(device)?.copy()?;
                vars.insert(format!("{name}.{part}"), Var::from_tensor(&copy)?);
            }
            Ok(())
        };
        put("input".to_owned(), &self.input)?;
        for (block, (first, second)) in self.blocks.iter().enumerate() {
            put(format!("block.{block}.first"), first)?;
            put(format!("block.{block}.second"), second)?;
        }
        put("output".to_owned(), &self.output)?;
        Ok(vars)
    }

    /// Raw outputs, `[segment, output]`, of features, `[segment, feature]`.
    ///
    /// # Errors
    /// When the shapes do not fit or the device fails.
    pub fn forward(&self, features: &Tensor) -> Result<Tensor> {
        let mut hidden = self.input.forward(features)?.relu()?; // [segment, hidden]
        for (first, second) in &self.blocks {
            let inner = first.forward(&hidden)?.relu()?;
            hidden = (hidden + second.forward(&inner)?)?.relu()?;
        }
        self.output.forward(&hidden)
    }
}

/// Median and the distances from one quantile to the next outer one (p50 to p10, p50 to p90, p10 to
/// p05, p90 to p95) as shares of free flow, `[segment, step]` each, from raw outputs and the baseline
/// they are added to.
pub(super) fn ratios(raw: &Tensor, start: &Tensor) -> Result<[Tensor; 5]> {
    let part = |index: usize| raw.narrow(1, index * STEP_COUNT, STEP_COUNT);
    let median = (start + part(0)?.affine(f64::from(MEDIAN_SCALE), 0.0)?)?;
    let reach = |part: Tensor| -> Result<Tensor> {
        (part.sqr()?.affine(1.0, 4.0)?.sqrt()? + part)?.affine(0.5 * f64::from(REACH_SCALE), 0.0)
    };
    Ok([
        median,
        reach(part(1)?)?,
        reach(part(2)?)?,
        reach(part(3)?)?,
        reach(part(4)?)?,
    ])
}

/// The same for one segment and step in m/s; `raw` gives its outputs by their number.
pub(super) fn quantiles(
    raw: impl Fn(usize) -> f32,
    start: f32,
    free_flow_mps: f32,
) -> SpeedQuantiles {
    let ratio = (start + MEDIAN_SCALE * raw(0)).clamp(0.0, RATIO_MAX);
    // Positive and smooth without an exponential: (x + sqrt(x^2 + 4)) / 2.
    let reach = |index: usize| {
        let x = raw(index);
        0.5 * REACH_SCALE * (x + (x * x + 4.0).sqrt())
    };
    let (low, high) = (ratio - reach(1), ratio + reach(2));
    let otherwise_mps = start * free_flow_mps;
    SpeedQuantiles::ordered_five(
        [low - reach(3), low, ratio, high, high + reach(4)].map(|share| share * free_flow_mps),
        otherwise_mps,
    )
}
