//! Ridge regression by normal equations (Hoerl and Kennard, 1970, "Ridge regression: biased
//! estimation for nonorthogonal problems"), solved by Cholesky's factorisation.

use super::snapshot::{Reader, SnapshotError, put_f64};

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

/// Sums of a regression on `K` inputs through the origin that is shrunk towards weights known before,
/// small enough to be kept for many classes apart.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Products<const K: usize> {
    /// Sums of products of two inputs; only `[i][j]` with `j <= i` is kept.
    square: [[f64; K]; K],
    /// Sums of products of an input and the target.
    target: [f64; K],
}

impl<const K: usize> Default for Products<K> {
    fn default() -> Self {
        Self {
            square: [[0.0; K]; K],
            target: [0.0; K],
        }
    }
}

impl<const K: usize> Products<K> {
    /// Takes in one row.
    pub(super) fn add(&mut self, inputs: [f32; K], target: f32) {
        let (inputs, target) = (inputs.map(f64::from), f64::from(target));
        for i in 0..K {
            for j in 0..=i {
                self.square[i][j] += inputs[i] * inputs[j];
            }
            self.target[i] += inputs[i] * target;
        }
    }

    /// Lets what was taken in count `keep` of what it did.
    pub(super) fn fade(&mut self, keep: f64) {
        self.sums_mut().for_each(|sum| *sum *= keep);
    }

    /// The weights by least squares, `prior` counting as much as a square of `prior_square` of each
    /// input would.
    pub(super) fn towards(&self, prior: [f64; K], prior_square: f64) -> [f64; K] {
        let rows = self.square.iter().enumerate();
        let triangle: Vec<f64> = rows.flat_map(|(i, row)| &row[..=i]).copied().collect();
        let mut weights: [f64; K] =
            std::array::from_fn(|of| self.target[of] + prior_square * prior[of]);
        Lower::factorise(&triangle, &[prior_square; K]).solve(&mut weights);
        weights
    }

    /// Squares, products of two inputs, products with the target: `K (K + 3) / 2` numbers.
    fn sums(&self) -> impl Iterator<Item = f64> + '_ {
        let squares = (0..K).map(|i| self.square[i][i]);
        let rows = self.square.iter().enumerate();
        let products = rows.flat_map(|(i, row)| &row[..i]).copied();
        squares.chain(products).chain(self.target)
    }

    fn sums_mut(&mut self) -> impl Iterator<Item = &mut f64> {
        let (mut squares, mut products) = (Vec::with_capacity(K), Vec::with_capacity(K * K));
        for (i, row) in self.square.iter_mut().enumerate() {
            let (before, from_here) = row.split_at_mut(i);
            products.extend(before);
            squares.extend(from_here.first_mut());
        }
        squares.into_iter().chain(products).chain(&mut self.target)
    }

    /// Appends the sums to `out`.
    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        self.sums().for_each(|sum| put_f64(out, sum));
    }

    /// Reads what [`Products::snapshot`] appended.
    pub(super) fn restore(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut products = Self::default();
        for sum in products.sums_mut() {
            *sum = reader.f64()?;
        }
        Ok(products)
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

    #[test]
    fn products_find_the_plane_and_keep_to_the_prior_where_nothing_is_known() {
        let mut sums = Products::<4>::default();
        let prior = [0.5, -0.5, 0.25, 0.0];
        let near = |found: [f64; 4], wanted: [f64; 4]| {
            let off = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f64::max) < 1e-3, "{found:?} {wanted:?}");
        };
        near(sums.towards(prior, 1.0), prior);
        let wanted = [0.4, -0.2, 0.1, 0.3];
        for index in 0..20_000 {
            let inputs: [f32; 4] =
                std::array::from_fn(|at| unit_hash(9, index * 4 + at as u64) - 0.5);
            let target = inputs.iter().zip(wanted).map(|(x, w)| x * w as f32).sum();
            sums.add(inputs, target);
        }
        near(sums.towards(prior, 1.0), wanted);
        // A prior that weighs much more than all that was seen, and one that weighs as much as it.
        near(sums.towards(prior, 1e9), prior);
        sums.fade(1e-9);
        near(sums.towards(prior, 1.0), prior);
    }

    #[test]
    fn products_survive_a_restart() {
        let mut sums = Products::<3>::default();
        for index in 0..40 {
            let inputs: [f32; 3] =
                std::array::from_fn(|at| unit_hash(2, index * 3 + at as u64) - 0.5);
            sums.add(inputs, inputs[1]);
        }
        let mut bytes = 1u32.to_le_bytes().to_vec();
        sums.snapshot(&mut bytes);
        assert_eq!(bytes.len(), 4 + 8 * 9);
        let mut reader = Reader::new(&bytes, 1).unwrap();
        assert_eq!(Products::restore(&mut reader), Ok(sums));
    }
}
