//! Mean deviations from what is usual over three hours and over a day, one pair a segment, kept
//! while the engine runs.
//!
//! The last 36 steps are kept one by one; what is older as means of whole hours. So the level over
//! three hours is exact to half a centimetre a second, and the level over a day counts its oldest
//! hour by the share of it that lies in the day, as if deviations were spread evenly over that hour.
//! That takes 140 bytes a segment where a day of steps would take 576.

use std::collections::VecDeque;

use super::snapshot::{Reader, SnapshotError, put_bytes, put_i16s, put_i32s, put_i64, put_u32};
use super::{LEVEL_COUNT, LEVEL_STEPS, STEP_MS};
use crate::units::Timestamp;

/// Steps kept one by one.
const RECENT: usize = LEVEL_STEPS[0];
/// Steps of an hour.
const HOUR: i64 = 3_600_000 / STEP_MS;
/// Finished hours that reach into the day and not into the recent steps, at most.
const HOURS_MAX: usize = (LEVEL_STEPS[1] - RECENT).div_ceil(HOUR as usize);
/// Stands for a step without a measured minute.
const NOTHING: i16 = i16::MIN;
/// Weight of no deviation beside the steps of a slow level (chosen).
pub(super) const SLOW_LEVEL_PRIOR: f32 = 6.0;

/// An hour of deviations, all of whose steps are older than the recent ones.
#[derive(Clone, Debug, PartialEq)]
struct Hour {
    /// Mean deviation, cm/s.
    mean_cmps: Vec<i16>,
    /// Steps behind it, 0..=12.
    steps: Vec<u8>,
}

/// The deviations of the last day.
#[derive(Clone, Debug, PartialEq, Default)]
pub(super) struct SlowLevels {
    /// Number of the newest step taken, steps since 1970; `None` before the first.
    newest: Option<i64>,
    /// Deviations in cm/s of the last steps up to the newest, oldest first.
    recent: VecDeque<Vec<i16>>,
    /// Finished hours, oldest first; the step before the recent ones lies in the hour after the last.
    hours: VecDeque<Hour>,
    /// Sum in cm/s and number of the steps of the hour that leaves the recent ones.
    open_cmps: Vec<i32>,
    open_steps: Vec<u8>,
}

impl SlowLevels {
    /// Takes the deviations from the profile of one finished step, m/s, one a segment, not a number
    /// where nothing was measured. A step that is not newer than the last is ignored.
    pub(super) fn push(&mut self, start: Timestamp, deviations_mps: impl Iterator<Item = f32>) {
        let number = start.as_millis().div_euclid(STEP_MS);
        if self.newest.is_some_and(|newest| number <= newest) {
            return;
        }
        let row: Vec<i16> = deviations_mps.map(centimetres).collect();
        let is_lost = self
            .newest
            .is_none_or(|newest| number - newest >= LEVEL_STEPS[1] as i64);
        if is_lost || self.open_cmps.len() != row.len() {
            *self = Self {
                newest: Some(number - 1),
                open_cmps: vec![0; row.len()],
                open_steps: vec![0; row.len()],
                ..Self::default()
            };
        }
        while let Some(newest) = self.newest.filter(|newest| newest + 1 < number) {
            self.append(newest + 1, vec![NOTHING; row.len()]);
        }
        self.append(number, row);
    }

    fn append(&mut self, number: i64, row: Vec<i16>) {
        self.newest = Some(number);
        self.recent.push_back(row);
        if self.recent.len() <= RECENT {
            return;
        }
        let leaving = self.recent.pop_front().unwrap_or_default();
        let open = self.open_cmps.iter_mut().zip(&mut self.open_steps);
        for ((sum, steps), cmps) in open.zip(leaving) {
            if cmps != NOTHING {
                *sum += i32::from(cmps);
                *steps += 1;
            }
        }
        if (number - RECENT as i64).rem_euclid(HOUR) == HOUR - 1 {
            self.finish_hour();
        }
    }

    fn finish_hour(&mut self) {
        if self.hours.len() == HOURS_MAX {
            self.hours.pop_front();
        }
        let open = self.open_cmps.iter_mut().zip(&self.open_steps);
        let mean_cmps = open.map(|(sum, &steps)| {
            let mean = (*sum as f32 / f32::from(steps.max(1))).round() as i16;
            *sum = 0;
            mean
        });
        self.hours.push_back(Hour {
            mean_cmps: mean_cmps.collect(),
            steps: self.open_steps.clone(),
        });
        self.open_steps.fill(0);
    }

    /// The levels of `segments` segments over the steps that had ended at `now`: mean deviations in
    /// m/s, and how much of the time is known, 0..=1, `LEVEL_COUNT` each.
    pub(super) fn levels(&self, now: Timestamp, segments: usize) -> (Vec<f32>, Vec<f32>) {
        let mut sums = vec![[(0.0f32, 0.0f32); LEVEL_COUNT]; segments];
        if self.open_cmps.len() == segments {
            let newest = now.as_millis().div_euclid(STEP_MS) - 1;
            self.add_up(newest, &mut sums);
        }
        let of = |index: usize, (sum, count): (f32, f32)| {
            let share = count / LEVEL_STEPS[index] as f32;
            (sum / 100.0 / (count + SLOW_LEVEL_PRIOR), share)
        };
        let each = sums
            .iter()
            .flat_map(|sums| sums.iter().enumerate().map(|(index, &sum)| of(index, sum)));
        each.unzip()
    }

    /// Adds deviations in cm/s and their number, counted from the step `newest` backwards.
    fn add_up(&self, newest: i64, sums: &mut [[(f32, f32); LEVEL_COUNT]]) {
        let Some(last) = self.newest else { return };
        let first_of = LEVEL_STEPS.map(|steps| newest + 1 - steps as i64);
        for (row, number) in self.recent.iter().rev().zip((i64::MIN..=last).rev()) {
            let is_within = first_of.map(|first| f32::from(u8::from(number >= first)));
            for (sums, &cmps) in sums.iter_mut().zip(row) {
                let is_known = cmps != NOTHING;
                for (sum, within) in sums.iter_mut().zip(is_within) {
                    sum.0 += if is_known {
                        within * f32::from(cmps)
                    } else {
                        0.0
                    };
                    sum.1 += if is_known { within } else { 0.0 };
                }
            }
        }
        // Hours end before the recent steps, so they count for the day alone.
        let left = last - RECENT as i64;
        let open_hour = (left + 1).div_euclid(HOUR);
        let share = |hour: i64| {
            let inside = HOUR * (hour + 1) - first_of[1];
            (inside as f32 / HOUR as f32).clamp(0.0, 1.0)
        };
        for (back, hour) in (1..).zip(self.hours.iter().rev()) {
            let share = share(open_hour - back);
            let means = hour.mean_cmps.iter().zip(&hour.steps);
            for (sums, (&mean, &steps)) in sums.iter_mut().zip(means) {
                let count = share * f32::from(steps);
                sums[1].0 += count * f32::from(mean);
                sums[1].1 += count;
            }
        }
        let share = share(open_hour);
        let open = self.open_cmps.iter().zip(&self.open_steps);
        for (sums, (&sum, &steps)) in sums.iter_mut().zip(open) {
            sums[1].0 += share * sum as f32;
            sums[1].1 += share * f32::from(steps);
        }
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        put_i64(out, self.newest.unwrap_or(i64::MIN));
        put_i32s(out, &self.open_cmps);
        put_bytes(out, &self.open_steps);
        put_u32(out, self.recent.len() as u32);
        self.recent.iter().for_each(|row| put_i16s(out, row));
        put_u32(out, self.hours.len() as u32);
        for hour in &self.hours {
            put_i16s(out, &hour.mean_cmps);
            put_bytes(out, &hour.steps);
        }
    }

    /// Reads what `snapshot` wrote about `segments` segments, or about none yet.
    pub(super) fn restore(reader: &mut Reader<'_>, segments: usize) -> Result<Self, SnapshotError> {
        let newest = Some(reader.i64()?).filter(|&newest| newest != i64::MIN);
        let count = if newest.is_some() { segments } else { 0 };
        let mut levels = Self {
            newest,
            open_cmps: reader.i32s(count)?,
            open_steps: reader.bytes(count)?,
            ..Self::default()
        };
        let rows = reader.u32()? as usize;
        if rows > RECENT {
            return Err(reader.malformed());
        }
        for _ in 0..rows {
            levels.recent.push_back(reader.i16s(count)?);
        }
        let hours = reader.u32()? as usize;
        if hours > HOURS_MAX {
            return Err(reader.malformed());
        }
        for _ in 0..hours {
            levels.hours.push_back(Hour {
                mean_cmps: reader.i16s(count)?,
                steps: reader.bytes(count)?,
            });
        }
        let most = HOUR as u8;
        let mut steps = levels.hours.iter().flat_map(|hour| &hour.steps);
        if steps.any(|&steps| steps > most) || levels.open_steps.iter().any(|&steps| steps > most) {
            return Err(reader.malformed());
        }
        Ok(levels)
    }
}

fn centimetres(deviation_mps: f32) -> i16 {
    if deviation_mps.is_nan() {
        NOTHING
    } else {
        (100.0 * deviation_mps).round().clamp(-32_767.0, 32_767.0) as i16
    }
}
