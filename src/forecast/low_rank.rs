//! What moves together in a network: each segment's scatter and its loadings on a few common
//! factors, learnt from its own past and independent of any trained network.
//!
//! The factors are the leading principal components of standardised deviations from the profile
//! (Hotelling, 1933), found by orthogonal iteration over rows, so that cost is linear in segments.

use super::windows::unit_hash;

/// Common factors.
pub const FACTOR_COUNT: usize = 4;
/// Sweeps of the orthogonal iteration (chosen: the first factors settle within a few).
const SWEEPS: usize = 12;
/// Scatter of a segment of which nothing is known, in shares of free flow (chosen).
pub(super) const UNKNOWN_SCATTER: f32 = 0.12;
/// Smallest scatter believed, in shares of free flow.
const SCATTER_MIN: f32 = 0.01;

/// What a segment's past says about how it moves with the others.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentTraits {
    /// Root mean square of the deviation from the profile, in shares of free flow.
    pub scatter: f32,
    /// Loadings on the common factors; of unit mean square over the segments, 0 where unknown.
    pub loadings: [f32; FACTOR_COUNT],
}

impl SegmentTraits {
    /// Of a segment without a past.
    pub const UNKNOWN: Self = Self {
        scatter: UNKNOWN_SCATTER,
        loadings: [0.0; FACTOR_COUNT],
    };
}

/// Learns traits from deviations in shares of free flow, `[row][segment]`, 0 where missing, and
/// their number in each segment.
pub(super) fn learn_traits(deviations: &[Vec<f32>], counts: &[f32]) -> Vec<SegmentTraits> {
    let count = counts.len();
    let mut squares = vec![0.0f64; count];
    for row in deviations {
        for (square, value) in squares.iter_mut().zip(row) {
            *square += f64::from(value * value);
        }
    }
    let scatter: Vec<f32> = squares
        .iter()
        .zip(counts)
        .map(|(square, &count)| {
            ((square / f64::from(count.max(1.0))).sqrt() as f32).max(SCATTER_MIN)
        })
        .collect();
    let factors = factors(deviations, &scatter);
    (0..count)
        .map(|segment| SegmentTraits {
            scatter: scatter[segment],
            loadings: std::array::from_fn(|factor| factors[factor][segment]),
        })
        .collect()
}

/// The leading components, of unit mean square each.
fn factors(deviations: &[Vec<f32>], scatter: &[f32]) -> [Vec<f32>; FACTOR_COUNT] {
    let count = scatter.len();
    let mut factors: [Vec<f32>; FACTOR_COUNT] = std::array::from_fn(|factor| {
        (0..count)
            .map(|segment| unit_hash(factor as u64, segment as u64) - 0.5 + f32::from(factor == 0))
            .collect()
    });
    for _ in 0..SWEEPS {
        let mut next: [Vec<f64>; FACTOR_COUNT] = std::array::from_fn(|_| vec![0.0; count]);
        for row in deviations {
            for (factor, next) in factors.iter().zip(&mut next) {
                let score: f32 = (0..count)
                    .map(|segment| row[segment] / scatter[segment] * factor[segment])
                    .sum();
                for segment in 0..count {
                    next[segment] += f64::from(score * row[segment] / scatter[segment]);
                }
            }
        }
        orthonormalise(&mut next);
        for (factor, next) in factors.iter_mut().zip(&next) {
            for (value, next) in factor.iter_mut().zip(next) {
                *value = *next as f32;
            }
        }
    }
    factors
}

/// Gram and Schmidt's process, to unit mean square; what has no direction of its own becomes 0.
fn orthonormalise(vectors: &mut [Vec<f64>; FACTOR_COUNT]) {
    let count = vectors[0].len().max(1) as f64;
    for index in 0..FACTOR_COUNT {
        let (done, rest) = vectors.split_at_mut(index);
        let vector = &mut rest[0];
        let before = vector.iter().map(|value| value * value).sum::<f64>();
        for other in done.iter() {
            let along = dot(vector, other) / count;
            for (value, other) in vector.iter_mut().zip(other) {
                *value -= along * other;
            }
        }
        let square = dot(vector, vector);
        let scale = if square > 1e-10 * before && square > 0.0 {
            (count / square).sqrt()
        } else {
            0.0
        };
        vector.iter_mut().for_each(|value| *value *= scale);
    }
}

fn dot(a: &[f64], b: &[f64]) -> f64 {
    a.iter().zip(b).map(|(a, b)| a * b).sum()
}

/// Scores of the common factors at one moment from deviations in shares of free flow and how well
/// each is known (0..=1), and the mean standardised deviation.
pub(super) fn scores(
    traits: &[SegmentTraits],
    known: impl Iterator<Item = (f32, f32)>,
) -> ([f32; FACTOR_COUNT], f32) {
    let mut sums = [0.0f32; FACTOR_COUNT];
    let (mut mean, mut total) = (0.0f32, 1e-3f32);
    for (traits, (deviation, weight)) in traits.iter().zip(known) {
        let standard = weight * deviation / traits.scatter;
        total += weight;
        mean += standard;
        for (sum, loading) in sums.iter_mut().zip(traits.loadings) {
            *sum += standard * loading;
        }
    }
    (sums.map(|sum| sum / total), mean / total)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_common_wave_is_the_first_factor_and_is_found_again() {
        let (rows, segments) = (400, 30);
        let scatter = |segment: usize| 0.1 + 0.01 * segment as f32;
        let sign = |segment: usize| if segment.is_multiple_of(3) { -1.0 } else { 1.0 };
        let deviations: Vec<Vec<f32>> = (0..rows)
            .map(|row| {
                let wave = (row as f32 / 9.0).sin();
                (0..segments)
                    .map(|segment| {
                        let noise = unit_hash(4, (row * segments + segment) as u64) - 0.5;
                        scatter(segment) * (sign(segment) * wave + 0.3 * noise)
                    })
                    .collect()
            })
            .collect();
        let traits = learn_traits(&deviations, &vec![rows as f32; segments]);
        for (segment, found) in traits.iter().enumerate() {
            let ratio = found.scatter / (scatter(segment) * 0.5f32.sqrt());
            assert!((0.9..1.1).contains(&ratio), "{ratio}");
            let loading = found.loadings[0] * traits[0].loadings[0].signum() * -sign(segment);
            assert!((loading - 1.0).abs() < 0.15, "{segment}: {loading}");
        }
        let row = &deviations[14];
        let (scores, _) = scores(&traits, row.iter().map(|&value| (value, 1.0)));
        let expected = (14.0f32 / 9.0).sin() / 0.5f32.sqrt();
        assert!((scores[0].abs() - expected.abs()).abs() < 0.1, "{scores:?}");
    }

    #[test]
    fn nothing_seen_scores_nothing() {
        let traits = vec![SegmentTraits::UNKNOWN; 3];
        let (factors, mean) = scores(&traits, [(1.0, 0.0); 3].into_iter());
        assert!(factors.iter().all(|score| score.abs() < 1e-6) && mean.abs() < 1e-6);
    }
}
