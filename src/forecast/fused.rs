//! The residual network of `mlp` as it runs: blocks of segments side by side in vector registers.
//!
//! Activations of a block lie feature by feature, `LANES` segments each, so the result of a layer is
//! the input of the next without moving; weights are broadcast from panels packed once. Each
//! segment's sums run over the features in order, so the result depends on neither blocks nor
//! threads. Vector instructions come safely through `pulp` (AVX-512, AVX2 or none).

use pulp::{Simd, WithSimd};

/// Segments computed side by side.
pub(super) const LANES: usize = 48;
/// Outputs computed side by side: 8 outputs x 3 vectors of 16 fill 24 of the 32 AVX-512 registers.
const PANEL: usize = 8;

/// What happens to the sums of a layer.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum After {
    /// Nothing.
    Keep,
    /// Negative becomes 0.
    Relu,
    /// What was in the output is added, then negative becomes 0.
    AddRelu,
}

/// One dense layer with packed weights.
#[derive(Clone, Debug)]
pub(super) struct Layer {
    inputs: usize,
    /// `[panel][input][PANEL]`
    weights: Vec<f32>,
    /// Padded to whole panels.
    bias: Vec<f32>,
}

impl Layer {
    /// Packs `weight` (`[output][input]`) and `bias`.
    pub(super) fn pack(weight: &[Vec<f32>], bias: &[f32]) -> Self {
        let inputs = weight.first().map_or(0, Vec::len);
        let panels = weight.len().div_ceil(PANEL);
        let mut weights = vec![0.0; panels * inputs * PANEL];
        for (output, row) in weight.iter().enumerate() {
            let (panel, column) = (output / PANEL, output % PANEL);
            for (input, &value) in row.iter().enumerate() {
                weights[(panel * inputs + input) * PANEL + column] = value;
            }
        }
        let mut padded = bias.to_vec();
        padded.resize(panels * PANEL, 0.0);
        Self {
            inputs,
            weights,
            bias: padded,
        }
    }

    /// How many numbers the output of a block takes.
    pub(super) fn output_len(&self) -> usize {
        self.bias.len() * LANES
    }

    /// Computes a block: `x` is `[input][LANES]`, `y` `[output][LANES]`.
    pub(super) fn apply(&self, x: &[f32], y: &mut [f32], after: After) {
        dispatch(Apply {
            layer: self,
            x: &x[..self.inputs * LANES],
            y: &mut y[..self.output_len()],
            after,
        });
    }
}

/// Runs `work` with the widest vectors of this machine.
#[cfg(target_arch = "x86_64")]
fn dispatch<W: WithSimd>(work: W) -> W::Output {
    if let Some(v4) = pulp::x86::V4::try_new() {
        Simd::vectorize(v4, work)
    } else if let Some(v3) = pulp::x86::V3::try_new() {
        Simd::vectorize(v3, work)
    } else {
        work.with_simd(pulp::Scalar::new())
    }
}

/// Runs `work` with the vectors of this machine.
#[cfg(not(target_arch = "x86_64"))]
fn dispatch<W: WithSimd>(work: W) -> W::Output {
    pulp::Arch::new().dispatch(work)
}

struct Apply<'a> {
    layer: &'a Layer,
    x: &'a [f32],
    y: &'a mut [f32],
    after: After,
}

impl WithSimd for Apply<'_> {
    type Output = ();

    #[inline(always)]
    fn with_simd<S: Simd>(self, simd: S) {
        // 24 sums fit the 32 registers of AVX-512 and NEON, 12 the 16 of AVX2.
        if S::F32_LANES == 8 {
            self.tiles::<S, 4, 3>(simd);
        } else {
            self.tiles::<S, 8, 3>(simd);
        }
    }
}

impl Apply<'_> {
    #[inline(always)]
    fn tiles<S: Simd, const N: usize, const V: usize>(self, simd: S) {
        let zero = simd.splat_f32s(0.0);
        let vectors = LANES / S::F32_LANES;
        let panels = self
            .layer
            .weights
            .chunks_exact(self.layer.inputs * PANEL)
            .zip(self.layer.bias.chunks_exact(PANEL))
            .zip(self.y.chunks_exact_mut(PANEL * LANES));
        for ((weights, bias), y) in panels {
            for first in (0..PANEL).step_by(N) {
                for vector in (0..vectors).step_by(V) {
                    let mut sums = [[zero; V]; N];
                    for (output, row) in sums.iter_mut().enumerate() {
                        *row = [simd.splat_f32s(bias[first + output]); V];
                    }
                    let inputs = self.x.chunks_exact(LANES).zip(weights.chunks_exact(PANEL));
                    for (x, weights) in inputs {
                        let x = &S::as_simd_f32s(x).0[vector..vector + V];
                        let weights = &weights[first..first + N];
                        for output in 0..N {
                            let weight = simd.splat_f32s(weights[output]);
                            for lane in 0..V {
                                sums[output][lane] =
                                    simd.mul_add_f32s(weight, x[lane], sums[output][lane]);
                            }
                        }
                    }
                    for (output, row) in sums.iter().enumerate() {
                        let y = &mut y[(first + output) * LANES..][..LANES];
                        let y = &mut S::as_mut_simd_f32s(y).0[vector..vector + V];
                        for (sum, y) in row.iter().zip(y) {
                            *y = match self.after {
                                After::Keep => *sum,
                                After::Relu => simd.max_f32s(*sum, zero),
                                After::AddRelu => simd.max_f32s(simd.add_f32s(*sum, *y), zero),
                            };
                        }
                    }
                }
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_layer_equals_its_definition() {
        let (inputs, outputs) = (7, 13);
        let value = |index: usize| ((index * 37 % 101) as f32 - 50.0) / 25.0;
        let weight: Vec<Vec<f32>> = (0..outputs)
            .map(|output| {
                (0..inputs)
                    .map(|input| value(output * 19 + input))
                    .collect()
            })
            .collect();
        let bias: Vec<f32> = (0..outputs).map(|output| value(output * 5 + 2)).collect();
        let layer = Layer::pack(&weight, &bias);
        let x: Vec<f32> = (0..inputs * LANES).map(|index| value(index * 3)).collect();
        let before: Vec<f32> = (0..layer.output_len()).map(value).collect();
        for after in [After::Keep, After::Relu, After::AddRelu] {
            let mut y = before.clone();
            layer.apply(&x, &mut y, after);
            for output in 0..outputs {
                for lane in 0..LANES {
                    let sum: f32 = (0..inputs)
                        .map(|input| weight[output][input] * x[input * LANES + lane])
                        .sum();
                    let at = output * LANES + lane;
                    let wanted = match after {
                        After::Keep => sum + bias[output],
                        After::Relu => (sum + bias[output]).max(0.0),
                        After::AddRelu => (sum + bias[output] + before[at]).max(0.0),
                    };
                    assert!((y[at] - wanted).abs() < 1e-4, "{after:?} {output} {lane}");
                }
            }
        }
    }
}
