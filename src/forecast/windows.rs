//! Moments of a dataset as forecast requests: profile without the moment's own day, and what is
//! spoilt on purpose.

use std::ops::Range;
use std::sync::{Arc, OnceLock};

use rand::SeedableRng;
use rand_chacha::ChaCha8Rng;

use super::companion::{CompanionRegression, Fits, Moments, fold_of};
use super::fading::Fading;
use super::history::Quantity;
use super::low_rank::learn_traits;
use super::noticed::NoticedEvents;
use super::slow_levels::SLOW_LEVEL_PRIOR;
use super::spoil::{FLATTENINGS, Spoil, fill_now, spoil_history};
use super::usual::{KINDS, SLOTS, SMOOTHING, Sum, kind_and_slot, usual};
use super::{
    Calibration, Dataset, DatasetError, Disturbances, FeatureContext, ForecastRequest, LAG_COUNT,
    LEVEL_COUNT, LEVEL_STEPS, Past, STEP_COUNT, STEP_MS, SegmentTraits,
};
use crate::network::NetworkVersion;
use crate::state::{QUARTERS, UsualSpeeds};
use crate::units::SegmentId;

const DAY_MS: i64 = 86_400_000;
/// Quantile of the training values taken as free flow, as the state room's profiles take it.
const FREE_FLOW_QUANTILE: f32 = 0.94;

/// All windows of a dataset, split in time.
#[derive(Debug)]
pub(super) struct Windows<'a> {
    pub(super) dataset: &'a Dataset,
    /// First rows of validation and test.
    bounds: [usize; 2],
    free_flow_mps: Vec<f32>,
    mean_mps: Vec<f32>,
    /// Smoothed sums and counts by row, of training rows of that row's day only.
    own: Vec<Sum>,
    /// The same added up over days, `[kind][slot][column]`.
    total: Vec<Sum>,
    calibration: Arc<Calibration>,
    /// The same for profiles flattened by each of [`FLATTENINGS`], to the level of all time and of
    /// today; empty until [`Windows::learn_young`].
    young: Vec<[Arc<Calibration>; 2]>,
    traits: Vec<SegmentTraits>,
    regressions: OnceLock<Fits>,
    /// Sums and counts of the deviations seen before each row, `[row][column]`.
    before: Vec<Sum>,
    noticed: NoticedEvents,
    /// Share of input cells that are hidden in every window alike, and the seed that picks them.
    hidden: Option<(f32, u64)>,
}

impl<'a> Windows<'a> {
    pub(super) fn new(dataset: &'a Dataset, split: [usize; 3]) -> Result<Self, DatasetError> {
        let rows = dataset.row_count();
        let parts = split.iter().sum::<usize>().max(1);
        let bounds = [
            rows * split[0] / parts,
            rows * (split[0] + split[1]) / parts,
        ];
        let wanted = LAG_COUNT + STEP_COUNT;
        if [bounds[0], bounds[1] - bounds[0], rows - bounds[1]]
            .iter()
            .any(|&part| part < wanted)
        {
            return Err(DatasetError::Unfit(format!(
                "has {rows} rows, too few for a split {split:?} with {wanted} rows a part"
            )));
        }
        let mut windows = Self {
            dataset,
            bounds,
            free_flow_mps: Vec::new(),
            mean_mps: Vec::new(),
            own: Vec::new(),
            total: Vec::new(),
            calibration: Arc::new(Calibration::default()),
            young: Vec::new(),
            traits: Vec::new(),
            regressions: OnceLock::new(),
            before: Vec::new(),
            noticed: NoticedEvents::default(),
            hidden: None,
        };
        windows.learn_levels();
        windows.learn_profile();
        windows.noticed = NoticedEvents::new(dataset, |row, column| windows.deviation(row, column));
        windows.learn_traits();
        windows.sum_deviations();
        windows.learn_decay();
        Ok(windows)
    }

    /// Hides a share of the cells from every window's input; levels and profile stay as learnt, and
    /// truth is never hidden. A cell is hidden in all windows or in none.
    pub(super) fn hide(&mut self, share: f32, seed: u64) {
        if share > 0.0 {
            // They learn from what nothing is hidden of.
            self.regressions();
        }
        self.hidden = (share > 0.0).then_some((share, seed));
        self.sum_deviations();
    }

    /// A cell as an input: `None` where missing or hidden.
    fn seen(&self, row: usize, column: usize) -> Option<f32> {
        if let Some((share, seed)) = self.hidden {
            let cell = (row * self.dataset.column_count() + column) as u64;
            if unit_hash(seed, cell) < share {
                return None;
            }
        }
        self.dataset.value(row, column)
    }

    /// The speed of unhindered traffic in each column, or the level that stands for it.
    pub(super) fn free_flow_mps(&self) -> &[f32] {
        &self.free_flow_mps
    }

    /// What features need to know about the columns.
    pub(super) fn context(&self) -> FeatureContext {
        self.context_with(&self.regressions().whole)
    }

    /// The same for training windows, one a fold of the training part: what a column's past foretells
    /// in a fold was learnt from the others.
    pub(super) fn training_contexts(&self) -> Vec<FeatureContext> {
        let without = self.regressions().without.iter();
        without.map(|one| self.context_with(one)).collect()
    }

    /// The fold of the training part that a window belongs to.
    pub(super) fn fold(&self, newest: usize) -> usize {
        fold_of(&self.training(), newest)
    }

    /// What the training part says of each column, for a running engine.
    pub(super) fn past(&self) -> Past {
        let regression = Arc::clone(&self.regressions().whole);
        let usual = self.dataset.is_speed.then(|| self.usual_speeds());
        Past::new(self.dataset, self.traits.clone(), regression, usual)
    }

    /// What the training part says of usual speeds, for a running engine.
    fn usual_speeds(&self) -> UsualSpeeds {
        const ROWS_PER_QUARTER: u32 = 3;
        // Half an hour, as the profiles of an engine want it.
        const FREE_FLOW_ROWS: u32 = 6;
        let columns = self.dataset.column_count();
        let mut usual = UsualSpeeds::unknown(columns);
        let slots: Vec<(usize, usize)> = (0..self.bounds[0]).map(|row| self.slot_of(row)).collect();
        for column in 0..columns {
            let mut sums = [[(0.0_f32, 0_u32); QUARTERS]; KINDS];
            for (row, &(kind, slot)) in slots.iter().enumerate() {
                if let Some(value) = self.dataset.value(row, column) {
                    let (sum, rows) = &mut sums[kind][slot * QUARTERS / SLOTS];
                    (*sum, *rows) = (*sum + value, *rows + 1);
                }
            }
            for (kind, quarters) in sums.iter().enumerate() {
                for (quarter, &(sum, rows)) in quarters.iter().enumerate() {
                    if rows > 0 {
                        let days = rows.div_ceil(ROWS_PER_QUARTER);
                        usual.set(column, kind, quarter, sum / rows as f32, days);
                    }
                }
            }
            let rows: u32 = sums.as_flattened().iter().map(|&(_, rows)| rows).sum();
            if rows >= FREE_FLOW_ROWS {
                usual.set_free_flow(column, self.free_flow_mps[column]);
            }
        }
        usual
    }

    /// What is known of columns of whose past nothing was learnt.
    pub(super) fn context_without_past(&self) -> FeatureContext {
        let dataset = self.dataset;
        let calendar = Some(dataset.calendar.clone());
        FeatureContext::new(dataset.graph.clone(), &dataset.attributes, calendar)
    }

    fn context_with(&self, regression: &Arc<CompanionRegression>) -> FeatureContext {
        self.context_without_past()
            .with_traits(self.traits.clone())
            .with_regression(Arc::clone(regression))
    }

    /// Newest input rows whose window lies in the training part.
    pub(super) fn training(&self) -> Range<usize> {
        LAG_COUNT - 1..self.bounds[0] - STEP_COUNT
    }

    /// Those of [`Windows::training`] to learn from: something of the next hour is known.
    pub(super) fn learnable(&self) -> Vec<usize> {
        let columns = self.dataset.column_count();
        let is_known = |row: usize| (0..columns).any(|at| self.dataset.value(row, at).is_some());
        let known: Vec<bool> = (0..self.bounds[0]).map(is_known).collect();
        let is_learnable = |newest: &usize| known[newest + 1..=newest + STEP_COUNT].contains(&true);
        self.training().filter(is_learnable).collect()
    }

    /// Those of the moments `learnable` at which each noticed incident is open, of those that have any.
    pub(super) fn around_incidents(&self, learnable: &[usize]) -> Vec<Vec<usize>> {
        let within = |rows: Range<usize>| -> Vec<usize> {
            let [first, end] =
                [rows.start, rows.end].map(|row| learnable.partition_point(|&newest| newest < row));
            learnable[first..end].to_vec()
        };
        let open = self.noticed.incident_rows().map(within);
        open.filter(|rows| !rows.is_empty()).collect()
    }

    /// Newest input rows whose first target lies in validation.
    pub(super) fn validation(&self) -> Range<usize> {
        self.bounds[0] - 1..self.bounds[1] - STEP_COUNT
    }

    /// Newest input rows whose first target lies in test.
    pub(super) fn test(&self) -> Range<usize> {
        self.bounds[1] - 1..self.dataset.row_count() - STEP_COUNT
    }

    fn learn_levels(&mut self) {
        for column in 0..self.dataset.column_count() {
            let mut values: Vec<f32> = (0..self.bounds[0])
                .filter_map(|row| self.dataset.value(row, column))
                .collect();
            values.sort_unstable_by(f32::total_cmp);
            let at = (values.len() as f32 * FREE_FLOW_QUANTILE) as usize;
            let free_flow = values.get(at.min(values.len().saturating_sub(1)));
            self.free_flow_mps
                .push(free_flow.copied().unwrap_or(1.0).max(0.1));
            let mean = values.iter().sum::<f32>() / values.len().max(1) as f32;
            self.mean_mps.push(mean);
        }
    }

    fn slot_of(&self, row: usize) -> (usize, usize) {
        kind_and_slot(&self.dataset.calendar, self.dataset.times[row])
    }

    fn learn_profile(&mut self) {
        let (rows, columns) = (self.dataset.row_count(), self.dataset.column_count());
        self.own = vec![(0.0, 0.0); rows * columns];
        self.total = vec![(0.0, 0.0); KINDS * SLOTS * columns];
        let day_of = |row: usize| self.dataset.times[row].as_millis().div_euclid(DAY_MS);
        for row in 0..rows {
            let (kind, slot) = self.slot_of(row);
            for near in row.saturating_sub(SMOOTHING)..=row + SMOOTHING {
                if near >= self.bounds[0] || day_of(near) != day_of(row) {
                    continue;
                }
                for column in 0..columns {
                    if let Some(value) = self.dataset.value(near, column) {
                        let own = &mut self.own[row * columns + column];
                        *own = (own.0 + value, own.1 + 1.0);
                    }
                }
            }
            for column in 0..columns {
                let own = self.own[row * columns + column];
                let total = &mut self.total[(kind * SLOTS + slot) * columns + column];
                *total = (total.0 + own.0, total.1 + own.1);
            }
        }
    }

    /// The profile at a row from the training days other than its own.
    pub(super) fn profile_mps(&self, row: usize, column: usize) -> f32 {
        let columns = self.dataset.column_count();
        let (kind, slot) = self.slot_of(row);
        let own = self.own[row * columns + column];
        let at = |kind: usize| self.total[(kind * SLOTS + slot) * columns + column];
        let (same, other) = (at(kind), at(1 - kind));
        let without_own = (same.0 - own.0, (same.1 - own.1).max(0.0));
        usual(without_own, other, self.mean_mps[column]).max(0.0)
    }

    fn last_hour_mps(&self, newest: usize, column: usize) -> f32 {
        let known = (0..LAG_COUNT).filter_map(|lag| self.seen(newest - lag, column));
        let quantity = match self.dataset.is_speed {
            true => Quantity::Speed,
            false => Quantity::Flow,
        };
        let add = |(sum, count), value| (sum + quantity.part(value), count + 1.0);
        let (sum, count) = known.fold((0.0, 0.0), add);
        if count > 0.0 {
            quantity.mean(sum, count)
        } else {
            self.mean_mps[column]
        }
    }

    /// How far a cell is from the profile, in shares of free flow; `None` where missing.
    fn deviation(&self, row: usize, column: usize) -> Option<f32> {
        let value = self.dataset.value(row, column)?;
        Some((value - self.profile_mps(row, column)) / self.free_flow_mps[column])
    }

    fn learn_decay(&mut self) {
        self.calibration = self.calibration_of(&Spoil::NOTHING);
    }

    /// Learns what is left of deviations from young profiles, for training windows that have them.
    pub(super) fn learn_young(&mut self) {
        let of_degree =
            |degree| [false, true].map(|today| self.calibration_of(&Spoil::young(degree, today)));
        self.young = (0..FLATTENINGS.len()).map(of_degree).collect();
    }

    /// Regresses later deviations on present ones over some training moments that are spoilt alike.
    fn calibration_of(&self, spoil: &Spoil) -> Arc<Calibration> {
        let mut fading = Fading::default();
        let mut rng = ChaCha8Rng::seed_from_u64(0);
        let range = self.training();
        let stride = (range.len() / 200).max(1);
        for newest in range.step_by(stride) {
            let request = self.request(newest, Some((spoil, &mut rng)));
            for column in 0..self.dataset.column_count() {
                let id = SegmentId(column as u32);
                let (ratio, now) = (request.ratio(id), request.deviations(id));
                for (step, profile_mps) in request.profile(id).iter().enumerate() {
                    if let Some(value_mps) = self.dataset.value(newest + 1 + step, column) {
                        let later = (value_mps - profile_mps) / self.free_flow_mps[column];
                        fading.add(ratio, step, now, later);
                    }
                }
            }
        }
        Arc::new(Calibration::of(&fading))
    }

    fn calibration_for(&self, spoil: Option<&Spoil>) -> Arc<Calibration> {
        let young = spoil.and_then(|spoil| {
            let of_degree = self.young.get(spoil.young?)?;
            Some(&of_degree[usize::from(spoil.is_level_of_today)])
        });
        Arc::clone(young.unwrap_or(&self.calibration))
    }

    /// Scatter and common factors from the training part.
    fn learn_traits(&mut self) {
        let columns = self.dataset.column_count();
        let mut counts = vec![0.0; columns];
        let mut deviations = Vec::with_capacity(self.bounds[0]);
        for row in 0..self.bounds[0] {
            let mut values = vec![0.0; columns];
            for column in 0..columns {
                if let Some(deviation) = self.deviation(row, column) {
                    values[column] = deviation;
                    counts[column] += 1.0;
                }
            }
            deviations.push(values);
        }
        self.traits = learn_traits(&deviations, &counts);
    }

    /// What each column's past foretells of its next hour: learnt when it is first asked for.
    fn regressions(&self) -> &Fits {
        self.regressions.get_or_init(|| {
            let past = Moments::gather(
                self.training(),
                &self.traits,
                &|newest| self.request(newest, None),
                &|row, column| self.deviation(row, column),
            );
            past.fit(&self.dataset.graph)
        })
    }

    fn sum_deviations(&mut self) {
        let (rows, columns) = (self.dataset.row_count(), self.dataset.column_count());
        let mut before = vec![(0.0, 0.0); (rows + 1) * columns];
        for row in 0..rows {
            for column in 0..columns {
                let (mut sum, mut count) = before[row * columns + column];
                if let Some(value) = self.seen(row, column) {
                    sum += value - self.profile_mps(row, column);
                    count += 1.0;
                }
                before[(row + 1) * columns + column] = (sum, count);
            }
        }
        self.before = before;
    }

    /// Mean deviation over the `steps` rows that end with `newest`, m/s, and how much of it is known.
    fn slow_level(&self, newest: usize, column: usize, steps: usize) -> (f32, f32) {
        let columns = self.dataset.column_count();
        let at = |row: usize| self.before[row * columns + column];
        let (last, first) = (at(newest + 1), at((newest + 1).saturating_sub(steps)));
        let (sum, count) = (last.0 - first.0, last.1 - first.1);
        (sum / (count + SLOW_LEVEL_PRIOR), count / steps as f32)
    }

    /// What is known when row `newest` is the last one, spoilt if wanted.
    pub(super) fn request(
        &self,
        newest: usize,
        spoil: Option<(&Spoil, &mut ChaCha8Rng)>,
    ) -> ForecastRequest {
        let columns = self.dataset.column_count();
        let first_step = self.dataset.times[newest].plus_millis(STEP_MS);
        let mut request = ForecastRequest {
            issued_at: first_step,
            first_step,
            network: NetworkVersion::default(),
            now_mps: vec![0.0; columns],
            sigma_mps: vec![0.0; columns],
            age_min: vec![u8::MAX; columns],
            free_flow_mps: self.free_flow_mps.clone(),
            history_mps: vec![0.0; columns * LAG_COUNT],
            history_share: vec![0.0; columns * LAG_COUNT],
            past_profile_mps: vec![0.0; columns * LAG_COUNT],
            profile_mps: vec![0.0; columns * STEP_COUNT],
            level_mps: vec![0.0; columns * LEVEL_COUNT],
            level_share: vec![0.0; columns * LEVEL_COUNT],
            disturbances: match &spoil {
                Some((spoil, _)) if spoil.hides_events => Disturbances::default(),
                _ => self.noticed.at(newest, first_step, columns),
            },
            calibration: self.calibration_for(spoil.as_ref().map(|(spoil, _)| *spoil)),
        };
        let hides_past = spoil
            .as_ref()
            .is_some_and(|(spoil, _)| spoil.is_past_hidden());
        let flattened = spoil.as_ref().map_or(0.0, |(spoil, _)| spoil.flattened());
        let is_of_today = spoil
            .as_ref()
            .is_some_and(|(spoil, _)| spoil.is_level_of_today);
        for column in 0..columns {
            let level_mps = if is_of_today {
                self.last_hour_mps(newest, column)
            } else {
                self.mean_mps[column]
            };
            let profile = |row: usize| {
                let profile_mps = self.profile_mps(row, column);
                profile_mps + flattened * (level_mps - profile_mps)
            };
            for (index, steps) in LEVEL_STEPS.into_iter().enumerate() {
                if !hides_past {
                    let (level_mps, share) = self.slow_level(newest, column, steps);
                    request.level_mps[column * LEVEL_COUNT + index] = level_mps;
                    request.level_share[column * LEVEL_COUNT + index] = share;
                }
            }
            for lag in 0..LAG_COUNT {
                request.past_profile_mps[column * LAG_COUNT + lag] = profile(newest - lag);
            }
            for step in 0..STEP_COUNT {
                request.profile_mps[column * STEP_COUNT + step] = profile(newest + 1 + step);
            }
            for lag in 0..LAG_COUNT {
                if let Some(value) = self.seen(newest - lag, column) {
                    request.history_mps[column * LAG_COUNT + lag] = value;
                    request.history_share[column * LAG_COUNT + lag] = 1.0;
                }
            }
        }
        let noise = spoil.as_ref().map_or(0.0, |(spoil, _)| spoil.noise);
        if let Some((spoil, rng)) = spoil {
            spoil_history(&mut request, spoil, rng);
        }
        fill_now(&mut request, noise);
        request
    }
}

/// A number in 0..1 that a seed and an index determine (SplitMix64 of Steele, Lea and Flood, 2014,
/// "Fast splittable pseudorandom number generators").
pub(super) fn unit_hash(seed: u64, index: u64) -> f32 {
    let mut z = seed
        .wrapping_mul(0x9E37_79B9_7F4A_7C15)
        .wrapping_add(index.wrapping_add(1).wrapping_mul(0x9E37_79B9_7F4A_7C15));
    z = (z ^ (z >> 30)).wrapping_mul(0xBF58_476D_1CE4_E5B9);
    z = (z ^ (z >> 27)).wrapping_mul(0x94D0_49BB_1331_11EB);
    ((z ^ (z >> 31)) >> 40) as f32 / (1u64 << 24) as f32
}
