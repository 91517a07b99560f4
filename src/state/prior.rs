//! What to expect of a segment nobody was seen on: learnt from the segments seen so far.
//!
//! Empirical Bayes: a ridge regression of the segments' levels on a few facts of the road, started
//! from the delay a signal or a priority junction usually costs, then a shift by road class. It
//! never assumes free flow.

use super::bytes::{Reader, SnapshotError, put_f32_all};
use crate::network::{RoadClass, Segment};

const FEATURE_COUNT: usize = 4;
const CLASS_COUNT: usize = RoadClass::ALL.len();

/// Delay at the end of a signalised segment, s: the middle of HCM 2010 level of service B to C
/// (exhibit 18-4).
const SIGNAL_DELAY_S: f32 = 20.0;

/// Delay at the end of any other segment, s: acceleration and giving way (chosen).
const JUNCTION_DELAY_S: f32 = 1.0;

/// Share of the limit driven between junctions (chosen; drivers' speed factors scatter around 1).
const CRUISE_RATIO: f32 = 0.95;

/// Length over which a junction's influence fades, m (chosen: half a short block).
const INFLUENCE_M: f32 = 50.0;

/// Weight of "no difference from the start values", in segments.
const RIDGE: f64 = 0.8 / 0.2;

/// Variance of levels around the regression; keeps well-measured segments from dominating.
const SCATTER_VAR: f64 = 0.1;

/// Weight of "no difference between classes", in units of the regression's weights: about four
/// well-measured segments.
const CLASS_RIDGE: f64 = 4.0 / SCATTER_VAR;

/// The learnt expectation of levels, in units of the limit.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct LevelPrior {
    /// Features of each segment that are not 0 or 1: length decay; signalised or not is a sign.
    decay: Vec<f32>,
    /// Level of each segment before anything was seen.
    start: Vec<f32>,
    beta: [f32; FEATURE_COUNT],
    class_shift: [f32; CLASS_COUNT],
}

/// Sums of the regression over the segments seen so far.
#[derive(Clone, Debug, Default)]
pub(super) struct LevelSums {
    /// Upper triangle of the normal matrix.
    normal: [[f64; FEATURE_COUNT]; FEATURE_COUNT],
    right: [f64; FEATURE_COUNT],
    class_weight: [f64; CLASS_COUNT],
    class_residual: [f64; CLASS_COUNT],
}

impl LevelPrior {
    pub(super) fn new(segments: &[Segment]) -> Self {
        Self {
            decay: segments
                .iter()
                .map(|segment| (-segment.length_m / INFLUENCE_M).exp())
                .collect(),
            start: segments.iter().map(start_level).collect(),
            beta: [0.0; FEATURE_COUNT],
            class_shift: [0.0; CLASS_COUNT],
        }
    }

    /// The expected level of segment `index` in units of its limit.
    pub(super) fn level(&self, index: usize, segment: &Segment) -> f32 {
        let learnt: f32 = self
            .features(index, segment)
            .iter()
            .zip(self.beta)
            .map(|(feature, beta)| feature * beta)
            .sum();
        let shift = self.class_shift[segment.class() as usize];
        (self.start[index] + learnt + shift).clamp(0.05, 0.98)
    }

    /// Memory of its arrays, bytes.
    pub(super) fn bytes(&self) -> usize {
        size_of_val(&*self.decay) + size_of_val(&*self.start)
    }

    fn features(&self, index: usize, segment: &Segment) -> [f32; FEATURE_COUNT] {
        let signal = f32::from(u8::from(segment.is_signalised()));
        let decay = self.decay[index];
        [1.0, signal, decay, signal * decay]
    }

    /// Adds a segment whose level was measured with `variance`.
    pub(super) fn add(
        &self,
        sums: &mut LevelSums,
        index: usize,
        segment: &Segment,
        level: f32,
        variance: f32,
    ) {
        let weight = 1.0 / (f64::from(variance) + SCATTER_VAR);
        let features = self.features(index, segment).map(f64::from);
        let class = segment.class() as usize;
        let learnt: f64 = features
            .iter()
            .zip(self.beta)
            .map(|(feature, beta)| feature * f64::from(beta))
            .sum();
        let residual = f64::from(level - self.start[index]);
        let shift = f64::from(self.class_shift[class]);
        for (row, &feature) in features.iter().enumerate() {
            sums.right[row] += weight * feature * (residual - shift);
            for (column, &other) in features.iter().enumerate().skip(row) {
                sums.normal[row][column] += weight * feature * other;
            }
        }
        sums.class_weight[class] += weight;
        sums.class_residual[class] += weight * (residual - learnt);
    }

    /// Learns from the sums of one minute.
    pub(super) fn learn(&mut self, sums: &LevelSums) {
        let mut normal = sums.normal;
        for (index, row) in normal.iter_mut().enumerate() {
            row[index] += RIDGE;
        }
        self.beta = solve(normal, sums.right).map(|beta| beta as f32);
        for class in 0..CLASS_COUNT {
            self.class_shift[class] =
                (sums.class_residual[class] / (sums.class_weight[class] + CLASS_RIDGE)) as f32;
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_f32_all(out, &self.beta);
        put_f32_all(out, &self.class_shift);
    }

    pub(super) fn take(&mut self, reader: &mut Reader<'_>) -> Result<(), SnapshotError> {
        reader.take_finite_all(&mut self.beta)?;
        reader.take_finite_all(&mut self.class_shift)
    }
}

/// The expected level before anything was seen: time at cruising speed against that plus delay.
fn start_level(segment: &Segment) -> f32 {
    let delay_s = if segment.is_signalised() {
        SIGNAL_DELAY_S
    } else {
        JUNCTION_DELAY_S
    };
    let cruise_mps = CRUISE_RATIO * segment.limit_mps;
    let level = CRUISE_RATIO * segment.length_m / (segment.length_m + cruise_mps * delay_s);
    level.clamp(0.15, CRUISE_RATIO)
}

/// Solves a symmetric positive definite system, given by its upper triangle, by Gaussian
/// elimination; what is left to eliminate stays symmetric.
fn solve(
    mut matrix: [[f64; FEATURE_COUNT]; FEATURE_COUNT],
    mut right: [f64; FEATURE_COUNT],
) -> [f64; FEATURE_COUNT] {
    for pivot in 0..FEATURE_COUNT {
        for row in pivot + 1..FEATURE_COUNT {
            let above = matrix[pivot];
            let factor = above[row] / above[pivot];
            for (value, above) in matrix[row].iter_mut().zip(above).skip(row) {
                *value -= factor * above;
            }
            right[row] -= factor * right[pivot];
        }
    }
    for pivot in (0..FEATURE_COUNT).rev() {
        for column in pivot + 1..FEATURE_COUNT {
            right[pivot] -= matrix[pivot][column] * right[column];
        }
        right[pivot] /= matrix[pivot][pivot];
    }
    right
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn solves_from_the_upper_triangle() {
        let matrix = [
            [4.0, 1.0, 0.5, 0.2],
            [0.0, 3.0, 0.3, 0.1],
            [0.0, 0.0, 2.0, 0.4],
            [0.0, 0.0, 0.0, 1.0],
        ];
        let full = |row: usize, column: usize| matrix[row.min(column)][row.max(column)];
        let expected = [1.0, -2.0, 3.0, 0.5];
        let right = std::array::from_fn(|row| {
            (0..FEATURE_COUNT)
                .map(|column| full(row, column) * expected[column])
                .sum()
        });
        for (found, expected) in solve(matrix, right).iter().zip(expected) {
            assert!((found - expected).abs() < 1e-12, "{found} {expected}");
        }
    }
}
