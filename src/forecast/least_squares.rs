//! Ridge regression by normal equations (Hoerl and Kennard, 1970, "Ridge regression: biased
//! estimation for nonorthogonal problems"), solved by Cholesky's factorisation.

/// Smallest square of a pivot: what has no direction of its own gets next to no weight.
const PIVOT_MIN: f64 = 1e-12;

/// Sums of squares and products of regressions of several targets on the same inputs.
///
/// A row whose target is missing counts for the other targets and not for that one.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct NormalEquations {
    inputs: usize,
    /// Lower triangle of the squares of all rows, row by row.
    square: Vec<f64>,
    /// `[target][input]`.
    cross: Vec<f64>,
    /// For each target the squares of the rows that it misses; empty where it misses none.
    missed: Vec<Vec<f64>>,
}

impl NormalEquations {
    pub(super) fn new(inputs: usize, targets: usize) -> Self {
        Self {
            inputs,
            square: vec![0.0; inputs * (inputs + 1) / 2],
            cross: vec![0.0; inputs * targets],
            missed: vec![Vec::new(); targets],
        }
    }

    fn target_count(&self) -> usize {
        self.missed.len()
    }

    /// Takes in one row; `target` is not a number where missing.
    pub(super) fn add(&mut self, row: &[f64], targets: &[f64]) {
        debug_assert_eq!((row.len(), targets.len()), (self.inputs, self.missed.len()));
        add_square(&mut self.square, row);
        let crosses = self.cross.chunks_exact_mut(self.inputs);
        for ((cross, missed), &target) in crosses.zip(&mut self.missed).zip(targets) {
            if target.is_nan() {
                missed.resize(self.square.len(), 0.0);
                add_square(missed, row);
            } else {
                for (sum, value) in cross.iter_mut().zip(row) {
                    *sum += target * value;
                }
            }
        }
    }

    /// Adds all that `other` took in.
    pub(super) fn merge(&mut self, other: &Self) {
        add(&mut self.square, &other.square);
        add(&mut self.cross, &other.cross);
        for (sums, values) in self.missed.iter_mut().zip(&other.missed) {
            if !values.is_empty() {
                sums.resize(values.len(), 0.0);
                add(sums, values);
            }
        }
    }

    /// The weights of each target, `[target][input]`, each input penalised by its part of `penalty`.
    pub(super) fn solve(&self, penalty: &[f64]) -> Vec<f64> {
        let shared = Lower::factorise(&self.square, penalty);
        let mut weights = self.cross.clone();
        for (target, weights) in weights.chunks_exact_mut(self.inputs).enumerate() {
            let missed = &self.missed[target];
            if missed.is_empty() {
                shared.solve(weights);
            } else {
                let square: Vec<f64> = self.square.iter().zip(missed).map(|(a, b)| a - b).collect();
                Lower::factorise(&square, penalty).solve(weights);
            }
        }
        debug_assert_eq!(weights.len(), self.inputs * self.target_count());
        weights
    }
}

fn add(sums: &mut [f64], values: &[f64]) {
    for (sum, value) in sums.iter_mut().zip(values) {
        *sum += value;
    }
}

/// Adds the products of a row with itself to a lower triangle.
fn add_square(triangle: &mut [f64], row: &[f64]) {
    let mut at = 0;
    for (index, &value) in row.iter().enumerate() {
        for (sum, &other) in triangle[at..=at + index].iter_mut().zip(row) {
            *sum += value * other;
        }
        at += index + 1;
    }
}

/// A lower triangle L with L L' = the matrix, row by row.
struct Lower(Vec<f64>);

impl Lower {
    fn factorise(triangle: &[f64], penalty: &[f64]) -> Self {
        let mut lower = triangle.to_vec();
        let start = |row: usize| row * (row + 1) / 2;
        for i in 0..penalty.len() {
            let (above, here) = lower.split_at_mut(start(i));
            for j in 0..=i {
                let other = if j < i { &above[start(j)..] } else { &[] };
                let before: f64 = if j < i {
                    here[..j].iter().zip(other).map(|(a, b)| a * b).sum()
                } else {
                    here[..i].iter().map(|a| a * a).sum()
                };
                here[j] = if i == j {
                    (here[i] + penalty[i] - before).max(PIVOT_MIN).sqrt()
                } else {
                    (here[j] - before) / other[j]
                };
            }
        }
        Self(lower)
    }

    /// Solves L L' w = right in place.
    fn solve(&self, right: &mut [f64]) {
        let row = |i: usize| &self.0[i * (i + 1) / 2..][..=i];
        for i in 0..right.len() {
            let before: f64 = row(i)[..i].iter().zip(&*right).map(|(a, b)| a * b).sum();
            right[i] = (right[i] - before) / row(i)[i];
        }
        for i in (0..right.len()).rev() {
            right[i] /= row(i)[i];
            let solved = right[i];
            for (value, a) in right[..i].iter_mut().zip(row(i)) {
                *value -= a * solved;
            }
        }
    }
}

#[cfg(test)]
mod tests {
    use super::super::windows::unit_hash;
    use super::*;

    const INPUTS: usize = 15;

    fn row(seed: u64, index: u64) -> Vec<f64> {
        (0..INPUTS as u64)
            .map(|input| f64::from(unit_hash(seed, index * 31 + input)) - 0.5)
            .collect()
    }

    fn plane(of: usize, row: &[f64]) -> f64 {
        let weights = (0..INPUTS).map(|input| input as f64 - 7.0 + of as f64);
        weights.zip(row).map(|(w, x)| w * x).sum()
    }

    #[test]
    fn a_solution_equals_the_planes_it_was_made_from() {
        let mut halves = [0, 1].map(|_| NormalEquations::new(INPUTS, 2));
        for index in 0..200 {
            let row = row(5, index);
            // The second target misses every third row, whose input is out of its plane.
            let second = if index % 3 == 0 {
                f64::NAN
            } else {
                plane(4, &row)
            };
            halves[usize::from(index < 70)].add(&row, &[plane(0, &row), second]);
        }
        let [mut all, other] = halves;
        all.merge(&other);
        let found = all.solve(&[0.0; INPUTS]);
        for (at, found) in found.iter().enumerate() {
            let wanted = (at % INPUTS) as f64 - 7.0 + 4.0 * (at / INPUTS) as f64;
            assert!((found - wanted).abs() < 1e-6, "{found} {wanted}");
        }
        // A heavy penalty shrinks towards nothing, and only what it is laid upon.
        assert!(all.solve(&[1e9; INPUTS]).iter().all(|w| w.abs() < 1e-6));
        let mut penalty = [0.0; INPUTS];
        penalty[3] = 1e9;
        let found = all.solve(&penalty);
        assert!(found[3].abs() < 1e-6 && found[1].abs() > 1.0, "{found:?}");
    }

    #[test]
    fn an_input_that_says_nothing_new_does_no_harm() {
        let mut sums = NormalEquations::new(2, 1);
        for index in 0..50 {
            let x = f64::from(index);
            sums.add(&[x, 2.0 * x], &[3.0 * x]);
        }
        let found = sums.solve(&[1e-3, 1e-3]);
        assert!((found[0] + 2.0 * found[1] - 3.0).abs() < 1e-3, "{found:?}");
    }
}
