//! Free-flow speeds learnt after GB/T 33171-2016: the mean of the fastest ninth of the slots of at
//! most 15 minutes between 06:00 and 24:00 over at least 30 days, capped at the limit.
//!
//! A slot's speed is that of the time its measured minutes took together. Slots are kept as a
//! histogram of speed over limit, one byte a bin: a full bin halves the segment's histogram, so
//! that what was long ago fades. It learns from measured minutes alone.

use super::super::bytes::{Reader, SnapshotError, put_f32_all, put_i64, put_u8_all, put_u16_all};
use crate::network::Network;
use crate::units::Timestamp;

/// Length of a slot, milliseconds (GB/T 33171-2016: at most 15 minutes).
const SLOT_MS: i64 = 900_000;

const DAY_MS: i64 = 86_400_000;

/// Slots count from this time of the local day on, milliseconds (06:00).
const FROM_MS: i64 = 6 * 3_600_000;

/// Days with a slot before the learnt speed holds (GB/T 33171-2016).
pub const DAYS_MIN: u16 = 30;

/// The share of slots that is free flow: the fastest ninth (GB/T 33171-2016).
const FASTEST_SHARE: f32 = 1.0 / 9.0;

/// Bins of speed over limit: from [`RATIO_LOW`] in steps of [`RATIO_STEP`]; the outermost take what
/// lies beyond. A learnt speed is exact to half a step.
const BIN_COUNT: usize = 36;
const RATIO_LOW: f32 = 0.25;
const RATIO_STEP: f32 = 0.025;

/// Learnt free-flow speeds of every segment.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FreeFlow {
    /// `BIN_COUNT` a segment.
    bins: Vec<u8>,
    /// Days with a slot, saturating.
    days: Vec<u16>,
    /// Local day of the last slot, modulo 65 536; 0 with no days.
    last_day: Vec<u16>,
    /// Seconds a metre of the open slot's measured minutes, summed.
    slot_pace: Vec<f32>,
    slot_minutes: Vec<u8>,
    /// Speed over limit that is in force; 0 before [`DAYS_MIN`] days.
    learnt: Vec<f32>,
    /// Start of the open slot.
    slot_start: Timestamp,
}

impl FreeFlow {
    /// Nothing learnt yet.
    pub(super) fn new(segment_count: usize) -> Self {
        Self {
            bins: vec![0; segment_count * BIN_COUNT],
            days: vec![0; segment_count],
            last_day: vec![0; segment_count],
            slot_pace: vec![0.0; segment_count],
            slot_minutes: vec![0; segment_count],
            learnt: vec![0.0; segment_count],
            slot_start: Timestamp::MIN,
        }
    }

    /// The learnt speed over the limit, at most 1; `None` before [`DAYS_MIN`] days with a slot.
    pub(super) fn ratio(&self, index: usize) -> Option<f32> {
        let ratio = self.learnt[index];
        (ratio > 0.0).then_some(ratio)
    }

    /// Begins the slot of a minute, in local time; the finished one is learnt from.
    pub(super) fn begin_minute(&mut self, network: &Network, local: Timestamp) {
        let slot_start = local.floor_to(SLOT_MS);
        if slot_start == self.slot_start {
            return;
        }
        let finished = self.slot_start.as_millis();
        if self.slot_start != Timestamp::MIN && finished.rem_euclid(DAY_MS) >= FROM_MS {
            let day = finished.div_euclid(DAY_MS).rem_euclid(1 << 16) as u16;
            for (index, segment) in network.segments().iter().enumerate() {
                let minutes = self.slot_minutes[index];
                if minutes > 0 {
                    let pace = self.slot_pace[index] / f32::from(minutes);
                    self.learn(index, day, 1.0 / (pace * segment.limit_mps));
                }
            }
        }
        self.slot_pace.fill(0.0);
        self.slot_minutes.fill(0);
        self.slot_start = slot_start;
    }

    /// Takes a measured minute of the open slot.
    pub(super) fn take(&mut self, index: usize, speed_mps: f32) {
        self.slot_pace[index] += 1.0 / speed_mps.max(0.1);
        self.slot_minutes[index] = self.slot_minutes[index].saturating_add(1);
    }

    /// Takes the speed over limit of a finished slot.
    fn learn(&mut self, index: usize, day: u16, ratio: f32) {
        let days = &mut self.days[index];
        if *days == 0 || self.last_day[index] != day {
            *days = days.saturating_add(1);
            self.last_day[index] = day;
        }
        let is_ripe = *days >= DAYS_MIN;
        let bins = &mut self.bins[index * BIN_COUNT..][..BIN_COUNT];
        let bin = ((ratio - RATIO_LOW) / RATIO_STEP).clamp(0.0, (BIN_COUNT - 1) as f32) as usize;
        if bins[bin] == u8::MAX {
            bins.iter_mut().for_each(|count| *count /= 2);
        }
        bins[bin] += 1;
        if is_ripe {
            self.learnt[index] = fastest_mean(bins).clamp(RATIO_LOW, 1.0);
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, self.slot_start.as_millis());
        put_u8_all(out, &self.bins);
        put_u16_all(out, &self.days);
        put_u16_all(out, &self.last_day);
        put_f32_all(out, &self.slot_pace);
        put_u8_all(out, &self.slot_minutes);
        put_f32_all(out, &self.learnt);
    }

    pub(super) fn take_back(&mut self, reader: &mut Reader<'_>) -> Result<(), SnapshotError> {
        self.slot_start = Timestamp::from_millis(reader.take_i64()?);
        reader.take_u8_all(&mut self.bins)?;
        reader.take_u16_all(&mut self.days)?;
        reader.take_u16_all(&mut self.last_day)?;
        reader.take_finite_all(&mut self.slot_pace)?;
        reader.take_u8_all(&mut self.slot_minutes)?;
        reader.take_finite_all(&mut self.learnt)?;
        Ok(())
    }
}

/// The mean of the fastest ninth of a histogram, each slot in the middle of its bin.
fn fastest_mean(bins: &[u8]) -> f32 {
    let total: u32 = bins.iter().map(|&count| u32::from(count)).sum();
    let wanted = total as f32 * FASTEST_SHARE;
    let (mut left, mut sum) = (wanted, 0.0f32);
    for (bin, &count) in bins.iter().enumerate().rev() {
        let count = f32::from(count);
        if left <= 0.0 {
            break;
        }
        let taken = count.min(left);
        sum += taken * (RATIO_LOW + RATIO_STEP * (bin as f32 + 0.5));
        left -= taken;
    }
    sum / wanted.max(f32::MIN_POSITIVE)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::congestion::fixture;

    const LIMIT_MPS: f32 = 60.0 / 3.6;

    /// Runs minutes with one speed each slot of a day, by `speed_over_limit(day, slot)`.
    fn run(days: i64, ratio: impl Fn(i64, i64) -> Option<f32>) -> FreeFlow {
        let network = fixture::line(2);
        let mut learner = FreeFlow::new(network.segment_count());
        for day in 0..days {
            for slot in 0..96 {
                let start = Timestamp::from_millis(day * DAY_MS + slot * SLOT_MS);
                learner.begin_minute(&network, start);
                if let Some(ratio) = ratio(day, slot) {
                    learner.take(0, ratio * LIMIT_MPS);
                }
            }
        }
        learner.begin_minute(&network, Timestamp::from_millis(days * DAY_MS));
        learner
    }

    #[test]
    fn the_fastest_ninth_of_thirty_days_is_free_flow() {
        // 72 slots from 06:00 on; eight of them, a ninth, at 0.9 of the limit, the others at 0.6;
        // the night, at 1.1, does not count.
        let speed = |_, slot: i64| {
            Some(match slot {
                0..24 => 1.1,
                24..32 => 0.9,
                _ => 0.6,
            })
        };
        assert_eq!(run(29, speed).ratio(0), None);
        let learnt = run(30, speed).ratio(0).expect("thirty days");
        assert!((learnt - 0.9).abs() <= 0.0125 + 1e-6, "{learnt}");
        assert_eq!(run(30, speed).ratio(1), None, "nothing was seen there");
    }

    #[test]
    fn the_limit_caps_it_and_days_without_a_slot_do_not_count() {
        let fast = |_, slot: i64| (slot >= 24).then_some(1.1);
        let learnt = run(31, fast).ratio(0).expect("thirty-one days");
        assert!((learnt - 1.0).abs() < 1e-6);
        let weekdays = |day: i64, slot: i64| (day % 7 < 5 && slot == 40).then_some(0.7);
        // Day 39 is the thirtieth of five a week.
        assert_eq!(run(39, weekdays).ratio(0), None);
        assert!(run(40, weekdays).ratio(0).is_some());
    }

    /// The exact figure of the definition beside the histogram's, on scattered slots.
    #[test]
    fn the_histogram_is_exact_to_half_a_step() {
        let mut state = 7u32;
        let mut scattered = Vec::new();
        for _ in 0..30 * 72 {
            state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
            scattered.push(0.4 + 0.55 * (state >> 8) as f32 / (1 << 24) as f32);
        }
        let speed =
            |day: i64, slot: i64| (slot >= 24).then(|| scattered[(day * 72 + slot - 24) as usize]);
        let learnt = run(30, speed).ratio(0).expect("thirty days");
        scattered.sort_by(f32::total_cmp);
        let ninth = &scattered[scattered.len() - scattered.len() / 9..];
        let exact = ninth.iter().sum::<f32>() / ninth.len() as f32;
        assert!((learnt - exact).abs() < 0.0125, "{learnt} {exact}");
    }

    #[test]
    fn a_road_that_changes_is_learnt_anew() {
        // A year at 0.9, then the limit of a school zone is obeyed: 0.5.
        let speed = |day: i64, slot: i64| (slot >= 24).then_some(if day < 90 { 0.9 } else { 0.5 });
        let learnt = run(200, speed).ratio(0).expect("many days");
        assert!(learnt < 0.53, "{learnt}");
    }

    #[test]
    fn a_slot_is_as_fast_as_its_minutes_together() {
        let network = fixture::line(2);
        let mut learner = FreeFlow::new(network.segment_count());
        for day in 0..30 {
            let noon = Timestamp::from_millis(day * DAY_MS + DAY_MS / 2);
            learner.begin_minute(&network, noon);
            // A minute at 30 and one at 60 km/h: 40 km/h together, two thirds of the limit.
            learner.take(0, LIMIT_MPS / 2.0);
            learner.take(0, LIMIT_MPS);
        }
        learner.begin_minute(&network, Timestamp::from_millis(30 * DAY_MS));
        let learnt = learner.ratio(0).expect("thirty days");
        assert!((learnt - 2.0 / 3.0).abs() <= 0.0125 + 1e-6, "{learnt}");
    }
}
