//! Counts of forecast errors by size, from which quantiles are read.

/// Errors are counted in cells of this share of free flow, from -1 to 1.
const CELL_WIDTH: f32 = 0.025;
/// How many there are.
pub(super) const CELLS: usize = 80;

/// How many made-up errors the spread starts with in each class (chosen).
const PRIOR_ERRORS: f32 = 50.0;
/// The cell of an error in shares of free flow.
pub(super) fn cell_of(error: f32) -> usize {
    let cell = ((error + 1.0) / CELL_WIDTH).floor();
    cell.clamp(0.0, CELLS as f32 - 1.0) as usize
}

/// Counts of `PRIOR_ERRORS` normally distributed errors.
pub(super) fn normal_counts(scatter: f32) -> [f32; CELLS] {
    let mut counts: [f32; CELLS] = std::array::from_fn(|cell| {
        let middle = (cell as f32 + 0.5) * CELL_WIDTH - 1.0;
        (-0.5 * (middle / scatter).powi(2)).exp()
    });
    let total: f32 = counts.iter().sum();
    counts
        .iter_mut()
        .for_each(|count| *count *= PRIOR_ERRORS / total);
    counts
}

/// The error below which a share `level` of the counted ones lies, interpolated inside its cell.
pub(super) fn quantile(counts: &[f32], level: f32) -> f32 {
    let mut left = level * counts.iter().sum::<f32>();
    for (cell, &count) in counts.iter().enumerate() {
        if left <= count && count > 0.0 {
            return (cell as f32 + left / count) * CELL_WIDTH - 1.0;
        }
        left -= count;
    }
    1.0
}
