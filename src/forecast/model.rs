//! A trained model ready to speak: card and hash checked, weights packed, bound to a network.

use std::collections::HashMap;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use rayon::prelude::*;
use sha2::{Digest, Sha256};

use super::features::PreparedFeatures;
use super::fused::{After, LANES, Layer};
use super::mlp::{MlpModule, OUTPUT_COUNT, quantiles};
use super::{
    ARCHITECTURE, FEATURE_COUNT, FeatureContext, ForecastBatch, ForecastRequest, Forecaster,
    ModelCard, ModelError, Past, ProfileResidual, STEP_COUNT, SpeedQuantiles,
};
use crate::network::{Network, NetworkVersion};
use crate::state::{Calendar, UsualSpeeds};

/// Segments that go to a device at a time; their features take about 35 MB.
const SEGMENTS_PER_TRANSFER: usize = 65_536;
/// Blocks of `LANES` segments that one task of a thread computes: about a thousand segments.
const BLOCKS_PER_TASK: usize = 21;

/// A loaded network that knows no city.
#[derive(Clone, Debug)]
pub struct Mlp {
    card: ModelCard,
    name: Arc<str>,
    device: Device,
    module: MlpModule,
    layers: Vec<Layer>,
}

impl Mlp {
    /// Loads a model from the bytes of its card and of its weight file. On a CPU device it runs
    /// fused, on others through candle.
    ///
    /// # Errors
    /// When the card is unreadable or of another architecture, the hash differs, a weight is missing
    /// or misshapen, or the golden output is not reproduced.
    pub fn load(card: &[u8], weights: &[u8], device: &Device) -> Result<Self, ModelError> {
        let card = ModelCard::parse(card)?;
        check_architecture(&card)?;
        let found = sha256_hex(weights);
        if found != card.weights_sha256 {
            return Err(ModelError::Hash {
                found,
                wanted: card.weights_sha256,
            });
        }
        let tensors = candle_core::safetensors::load_buffer(weights, device)?;
        let model = Self::from_tensors(card, &tensors, device)?;
        let golden = |name: &str| -> Result<Vec<Vec<f32>>, ModelError> {
            Ok(named(&tensors, name)?.to_vec2()?)
        };
        let (input, wanted) = (golden("golden.input")?, golden("golden.output")?);
        let found: Vec<Vec<f32>> = if device.is_cpu() {
            input.iter().map(|row| model.raw_rows(row)).collect()
        } else {
            let input = named(&tensors, "golden.input")?;
            model.module.forward(&input)?.to_vec2()?
        };
        let difference = found
            .iter()
            .zip(&wanted)
            .map(|(found, wanted)| largest_difference(found, wanted))
            .fold(if input.is_empty() { f32::INFINITY } else { 0.0 }, f32::max);
        let tolerance = model.card.golden_tolerance;
        if difference <= tolerance {
            Ok(model)
        } else {
            Err(ModelError::Golden {
                difference,
                tolerance,
            })
        }
    }

    /// The bundled model, which learnt from simulated traffic of several networks
    /// (`models/general/card.toml`).
    ///
    /// # Errors
    /// As [`Mlp::load`].
    pub fn bundled(device: &Device) -> Result<Self, ModelError> {
        Self::load(
            include_bytes!("../../models/general/card.toml"),
            include_bytes!("../../models/general/weights.safetensors"),
            device,
        )
    }

    pub(super) fn from_tensors(
        card: ModelCard,
        tensors: &HashMap<String, Tensor>,
        device: &Device,
    ) -> Result<Self, ModelError> {
        check_architecture(&card)?;
        let mut layers = Vec::new();
        for (name, outputs, inputs) in card.config.layers() {
            let weight = named(tensors, &format!("{name}.weight"))?;
            let bias = named(tensors, &format!("{name}.bias"))?;
            if weight.dims() != [outputs, inputs] || bias.dims() != [outputs] {
                return Err(ModelError::Card(format!(
                    "layer {name} has shape {:?}, {outputs} x {inputs} wanted",
                    weight.dims()
                )));
            }
            layers.push(Layer::pack(&weight.to_vec2()?, &bias.to_vec1::<f32>()?));
        }
        let module = MlpModule::new(&card.config, &|name| named(tensors, name))?;
        Ok(Self {
            name: Arc::from(card.name.as_str()),
            card,
            device: device.clone(),
            module,
            layers,
        })
    }

    /// What is known about the model.
    pub fn card(&self) -> &ModelCard {
        &self.card
    }

    /// The network as candle runs it.
    pub fn module(&self) -> &MlpModule {
        &self.module
    }

    /// Raw outputs, `[segment][output]`, of features, `[segment][feature]`, through the fused network.
    ///
    /// # Panics
    /// When there are not [`FEATURE_COUNT`] features of each segment.
    pub fn raw_rows(&self, features: &[f32]) -> Vec<f32> {
        assert!(features.len().is_multiple_of(FEATURE_COUNT));
        let mut raw = vec![0.0; features.len() / FEATURE_COUNT * OUTPUT_COUNT];
        raw.par_chunks_mut(LANES * OUTPUT_COUNT)
            .zip(features.par_chunks(LANES * FEATURE_COUNT))
            .for_each_init(
                || Block::new(self),
                |block, (raw, features)| {
                    for (lane, row) in features.chunks_exact(FEATURE_COUNT).enumerate() {
                        for (feature, &value) in row.iter().enumerate() {
                            block.features[feature * LANES + lane] = value;
                        }
                    }
                    block.run(&self.layers);
                    for (lane, raw) in raw.chunks_exact_mut(OUTPUT_COUNT).enumerate() {
                        for (output, raw) in raw.iter_mut().enumerate() {
                            *raw = block.output[output * LANES + lane];
                        }
                    }
                },
            );
        raw
    }

    /// Forecasts every segment of `request`, `STEP_COUNT` quantiles each.
    ///
    /// # Errors
    /// When the device fails; the fused CPU path cannot.
    pub fn forecast(
        &self,
        context: &FeatureContext,
        request: &ForecastRequest,
    ) -> Result<Vec<SpeedQuantiles>, ModelError> {
        let prepared = context.prepare(request);
        let mut answer = vec![SpeedQuantiles::default(); request.segment_count() * STEP_COUNT];
        if self.device.is_cpu() {
            self.run_fused(&prepared, request, &mut answer);
        } else {
            self.run_module(&prepared, request, &mut answer)?;
        }
        Ok(answer)
    }

    fn run_fused(
        &self,
        prepared: &PreparedFeatures<'_>,
        request: &ForecastRequest,
        answer: &mut [SpeedQuantiles],
    ) {
        let task_segments = BLOCKS_PER_TASK * LANES;
        answer
            .par_chunks_mut(task_segments * STEP_COUNT)
            .enumerate()
            .for_each_init(
                || Block::new(self),
                |block, (task, answer)| {
                    for (index, answer) in answer.chunks_mut(LANES * STEP_COUNT).enumerate() {
                        let first = task * task_segments + index * LANES;
                        for lane in 0..answer.len() / STEP_COUNT {
                            prepared.write(first + lane, |feature, value| {
                                block.features[feature * LANES + lane] = value;
                            });
                        }
                        block.run(&self.layers);
                        for (lane, steps) in answer.chunks_exact_mut(STEP_COUNT).enumerate() {
                            let raw = |output: usize| block.output[output * LANES + lane];
                            self.finish(prepared, request, first + lane, raw, steps);
                        }
                    }
                },
            );
    }

    fn run_module(
        &self,
        prepared: &PreparedFeatures<'_>,
        request: &ForecastRequest,
        answer: &mut [SpeedQuantiles],
    ) -> Result<(), ModelError> {
        let mut features = Vec::new();
        let transfers = answer.chunks_mut(SEGMENTS_PER_TRANSFER * STEP_COUNT);
        for (index, answer) in transfers.enumerate() {
            let first = index * SEGMENTS_PER_TRANSFER;
            let count = answer.len() / STEP_COUNT;
            features.resize(count * FEATURE_COUNT, 0.0);
            features
                .par_chunks_exact_mut(FEATURE_COUNT)
                .enumerate()
                .for_each(|(row, features)| {
                    prepared.write(first + row, |feature, value| features[feature] = value);
                });
            let features = Tensor::from_slice(&features, (count, FEATURE_COUNT), &self.device)?;
            let raw = self.module.forward(&features)?.flatten_all()?;
            let raw: Vec<f32> = raw.to_vec1()?;
            answer
                .par_chunks_exact_mut(STEP_COUNT)
                .zip(raw.par_chunks_exact(OUTPUT_COUNT))
                .enumerate()
                .for_each(|(row, (steps, raw))| {
                    self.finish(prepared, request, first + row, |output| raw[output], steps);
                });
        }
        Ok(())
    }

    fn finish(
        &self,
        prepared: &PreparedFeatures<'_>,
        request: &ForecastRequest,
        segment: usize,
        raw: impl Fn(usize) -> f32,
        steps: &mut [SpeedQuantiles],
    ) {
        let starts = prepared.starts(segment);
        for (step, (said, start)) in steps.iter_mut().zip(starts).enumerate() {
            let outputs = |index: usize| raw(index * STEP_COUNT + step);
            let free_flow_mps = request.free_flow_mps[segment];
            *said = quantiles(outputs, start, free_flow_mps);
        }
    }
}

/// One thread's buffers, `[feature or output][LANES]` each.
#[derive(Debug)]
struct Block {
    features: Vec<f32>,
    hidden: Vec<f32>,
    inner: Vec<f32>,
    output: Vec<f32>,
}

impl Block {
    fn new(model: &Mlp) -> Self {
        let len = |layer: Option<&Layer>| layer.map_or(0, Layer::output_len);
        Self {
            features: vec![0.0; FEATURE_COUNT * LANES],
            hidden: vec![0.0; len(model.layers.first())],
            inner: vec![0.0; len(model.layers.first())],
            output: vec![0.0; len(model.layers.last())],
        }
    }

    fn run(&mut self, layers: &[Layer]) {
        let [input, blocks @ .., output] = layers else {
            return;
        };
        input.apply(&self.features, &mut self.hidden, After::Relu);
        for pair in blocks.chunks_exact(2) {
            pair[0].apply(&self.hidden, &mut self.inner, After::Relu);
            pair[1].apply(&self.inner, &mut self.hidden, After::AddRelu);
        }
        output.apply(&self.hidden, &mut self.output, After::Keep);
    }
}

fn check_architecture(card: &ModelCard) -> Result<(), ModelError> {
    if card.architecture == ARCHITECTURE {
        Ok(())
    } else {
        Err(ModelError::Architecture {
            found: card.architecture.clone(),
        })
    }
}

fn named(tensors: &HashMap<String, Tensor>, name: &str) -> Result<Tensor, candle_core::Error> {
    tensors
        .get(name)
        .cloned()
        .ok_or_else(|| candle_core::Error::Msg(format!("tensor {name} is missing")))
}

fn largest_difference(found: &[f32], wanted: &[f32]) -> f32 {
    if found.len() != wanted.len() {
        return f32::INFINITY;
    }
    found
        .iter()
        .zip(wanted)
        .map(|(found, wanted)| (found - wanted).abs())
        .fold(0.0, |largest, difference| {
            if difference.is_nan() {
                f32::INFINITY
            } else {
                largest.max(difference)
            }
        })
}

/// SHA-256 of bytes in lower-case hexadecimal, as cards hold it.
pub fn sha256_hex(bytes: &[u8]) -> String {
    Sha256::digest(bytes)
        .iter()
        .map(|byte| format!("{byte:02x}"))
        .collect()
}

/// A model bound to one network.
#[derive(Clone, Debug)]
pub struct MlpForecaster {
    mlp: Mlp,
    network: NetworkVersion,
    context: FeatureContext,
    usual: Option<Arc<UsualSpeeds>>,
}

impl MlpForecaster {
    /// Binds a model to a network with its local time; `None` hides the time
    /// of day from the model. It is told that the segments' past is unknown.
    pub fn new(mlp: Mlp, network: &Network, calendar: Option<Calendar>) -> Self {
        Self {
            mlp,
            network: network.version(),
            context: FeatureContext::from_network(network, calendar),
            usual: None,
        }
    }

    /// The same, knowing what training learnt of the segments' past; `column_of[segment]` is the
    /// column that tells of it, as [`Past::columns_of`] gives them.
    ///
    /// # Panics
    /// When there is not one entry a segment.
    #[must_use]
    pub fn with_past(mut self, past: &Past, column_of: &[Option<u32>]) -> Self {
        self.context = self.context.with_past(past, column_of);
        self.usual = past.usual_speeds(column_of).map(Arc::new);
        self
    }

    /// The model.
    pub fn mlp(&self) -> &Mlp {
        &self.mlp
    }
}

impl Forecaster for MlpForecaster {
    fn name(&self) -> &str {
        &self.mlp.name
    }

    fn promised_share(&self) -> Option<[f32; STEP_COUNT]> {
        self.mlp.card.promised_share()
    }

    fn usual_speeds(&self, network: NetworkVersion) -> Option<Arc<UsualSpeeds>> {
        self.usual.clone().filter(|_| network == self.network)
    }

    /// A request about another network, or a device that fails, is answered by profile and fading
    /// deviation and marked as fallback.
    fn forecast(&self, request: &ForecastRequest) -> ForecastBatch {
        let is_ours = request.network == self.network
            && request.segment_count() == self.context.segment_count();
        let said = is_ours
            .then(|| self.mlp.forecast(&self.context, request).ok())
            .flatten();
        match said {
            Some(quantiles) => request.answer(Arc::clone(&self.mlp.name), quantiles),
            None => ForecastBatch {
                fallback: true,
                ..ProfileResidual.forecast(request)
            },
        }
    }
}
