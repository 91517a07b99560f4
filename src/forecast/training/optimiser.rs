//! AdamW (Loshchilov and Hutter, 2019, "Decoupled weight decay regularization", algorithm 2), step by
//! step as in candle-nn, with a memory that can be written down and taken up again.

use std::collections::BTreeMap;

use candle_core::backprop::GradStore;
use candle_core::{Device, Tensor, Var};

use super::super::snapshot::{Reader, put_f32s, put_u32};
use super::TrainingError;

/// What the moving averages of the gradient and of its square keep of themselves a step, and what
/// keeps the divisor from 0: the published values.
const BETA: [f64; 2] = [0.9, 0.999];
const EPSILON: f64 = 1e-8;

/// The optimiser and its memory.
pub(super) struct AdamW {
    learning_rate: f64,
    weight_decay: f64,
    steps: u32,
    /// Averages of the gradient and of its square, by name of the weight.
    moments: BTreeMap<String, [Tensor; 2]>,
}

impl AdamW {
    pub(super) fn new(
        vars: &BTreeMap<String, Var>,
        learning_rate: f64,
        weight_decay: f64,
    ) -> Result<Self, TrainingError> {
        let moments = vars
            .iter()
            .map(|(name, var)| Ok((name.clone(), [var.zeros_like()?, var.zeros_like()?])))
            .collect::<Result<_, TrainingError>>()?;
        Ok(Self {
            learning_rate,
            weight_decay,
            steps: 0,
            moments,
        })
    }

    pub(super) fn set_learning_rate(&mut self, learning_rate: f64) {
        self.learning_rate = learning_rate;
    }

    /// Moves every weight that has a gradient.
    pub(super) fn step(
        &mut self,
        vars: &BTreeMap<String, Var>,
        gradients: &GradStore,
    ) -> Result<(), TrainingError> {
        self.steps += 1;
        let scale = BETA.map(|beta| 1.0 / (1.0 - beta.powi(self.steps as i32)));
        let decay = self.learning_rate * self.weight_decay;
        for (name, [first, second]) in &mut self.moments {
            let Some((var, gradient)) = vars
                .get(name)
                .and_then(|var| Some((var, gradients.get(var)?)))
            else {
                continue;
            };
            let square = gradient.sqr()?;
            *first = ((&*first * BETA[0])? + (gradient * (1.0 - BETA[0]))?)?.detach();
            *second = ((&*second * BETA[1])? + (square * (1.0 - BETA[1]))?)?.detach();
            let root = ((&*second * scale[1])?.sqrt()? + EPSILON)?;
            let step = ((&*first * scale[0])? / root)?;
            let decayed = (var.as_tensor() * (1.0 - decay))?;
            var.set(&(decayed - (step * self.learning_rate)?)?)?;
        }
        Ok(())
    }

    pub(super) fn write(&self, out: &mut Vec<u8>) -> Result<(), TrainingError> {
        put_u32(out, self.steps);
        for tensor in self.moments.values().flatten() {
            put_tensor(out, tensor)?;
        }
        Ok(())
    }

    /// Takes back what `write` wrote for weights of the same shapes.
    pub(super) fn read(&mut self, reader: &mut Reader<'_>) -> Result<(), TrainingError> {
        self.steps = reader.u32()?;
        for tensor in self.moments.values_mut().flatten() {
            *tensor = take_tensor(reader, tensor)?;
        }
        Ok(())
    }
}

/// Cuts gradients, all together, to a norm of at most `norm_max`.
pub(super) fn clip(
    vars: &BTreeMap<String, Var>,
    gradients: &mut GradStore,
    norm_max: f64,
) -> Result<(), TrainingError> {
    let mut square = 0.0f64;
    for var in vars.values() {
        if let Some(gradient) = gradients.get(var) {
            square += f64::from(gradient.sqr()?.sum_all()?.to_scalar::<f32>()?);
        }
    }
    let norm = square.sqrt();
    if norm > norm_max {
        let scale = norm_max / norm;
        for var in vars.values() {
            if let Some(gradient) = gradients.get(var) {
                let scaled = gradient.affine(scale, 0.0)?;
                gradients.insert(var, scaled);
            }
        }
    }
    Ok(())
}

/// Appends the numbers of a tensor.
pub(super) fn put_tensor(out: &mut Vec<u8>, tensor: &Tensor) -> Result<(), TrainingError> {
    let flat = tensor.to_device(&Device::Cpu)?.flatten_all()?;
    put_f32s(out, &flat.to_vec1()?);
    Ok(())
}

/// Reads a tensor of the shape and on the device of `like`.
pub(super) fn take_tensor(reader: &mut Reader<'_>, like: &Tensor) -> Result<Tensor, TrainingError> {
    let numbers = reader.f32s(like.elem_count())?;
    Ok(Tensor::from_vec(numbers, like.shape(), like.device())?)
}

#[cfg(test)]
mod tests {
    use candle_nn::{Optimizer, ParamsAdamW};

    use super::*;

    /// Four weights that are drawn to the root of 2.
    fn gradients(var: &Var) -> GradStore {
        let error = (var.as_tensor().sqr().unwrap() - 2.0).unwrap();
        error.sqr().unwrap().sum_all().unwrap().backward().unwrap()
    }

    fn start() -> Var {
        Var::new(&[0.3f32, -1.0, 2.5, 0.0], &Device::Cpu).unwrap()
    }

    fn numbers(var: &Var) -> Vec<f32> {
        var.as_tensor().to_vec1().unwrap()
    }

    #[test]
    fn steps_are_those_of_candle_and_go_on_after_a_break() {
        let rate = |step: usize| 0.1 / (1.0 + step as f64 / 20.0);
        let theirs = start();
        let mut of_candle = candle_nn::AdamW::new(
            vec![theirs.clone()],
            ParamsAdamW {
                weight_decay: 0.05,
                ..ParamsAdamW::default()
            },
        )
        .unwrap();
        let ours = start();
        let vars = BTreeMap::from([("w".to_owned(), ours.clone())]);
        let mut optimiser = AdamW::new(&vars, 1.0, 0.05).unwrap();
        for step in 0..60 {
            of_candle.set_learning_rate(rate(step));
            of_candle.step(&gradients(&theirs)).unwrap();
            if step == 30 {
                let mut bytes = Vec::new();
                put_u32(&mut bytes, 7);
                optimiser.write(&mut bytes).unwrap();
                optimiser = AdamW::new(&vars, 1.0, 0.05).unwrap();
                let mut reader = Reader::new(&bytes, 7).unwrap();
                optimiser.read(&mut reader).unwrap();
                reader.finish().unwrap();
            }
            optimiser.set_learning_rate(rate(step));
            optimiser.step(&vars, &gradients(&ours)).unwrap();
        }
        assert_eq!(numbers(&ours), numbers(&theirs));
        assert!((numbers(&ours)[0] - 2.0f32.sqrt()).abs() < 0.05);
    }
}
