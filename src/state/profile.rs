//! What is usual: speeds by day type and five-minute slot, today's level, free-flow speeds.
//!
//! Learnt online from the minutes that were measured, never from estimates. Where little was seen
//! the level comes from what the run has seen on similar segments, never from the speed limit.

mod file;

use std::collections::VecDeque;

use super::calendar::{Calendar, DayType};
use super::today::Today;
use super::usual::{QUARTERS, UsualSpeeds};
use crate::network::Network;
use crate::units::{SegmentId, Timestamp};

/// Length of a profile slot, milliseconds.
pub const SLOT_MS: i64 = 300_000;

const DAY_MS: i64 = 86_400_000;
const HOUR_MS: i64 = 3_600_000;
pub(super) const SLOTS_PER_HOUR: usize = (HOUR_MS / SLOT_MS) as usize;
const HOURS_PER_DAY: usize = (DAY_MS / HOUR_MS) as usize;
const SLOTS_PER_DAY: usize = SLOTS_PER_HOUR * HOURS_PER_DAY;

/// Weights of slots 0, 5, 10 … minutes away: a bell of 25 minutes between its halves (methods of
/// this project: circular smoothing over 25 minutes).
const SMOOTHING: [f32; 6] = [1.0, 0.895, 0.642, 0.368, 0.169, 0.062];

/// The day type that resembles each most, and what its samples count.
const SIBLINGS: [usize; DayType::COUNT] = [1, 0, 3, 2, 3];
const SIBLING_SHARE: f32 = 0.6;

/// Pooled samples that weigh as much as the prior: P = (n P' + m prior) / (n + m), empirical Bayes
/// shrinkage; m was fitted on the fifth day of the loop week. One day pools to about five.
const PRIOR_SAMPLES: f32 = 1.0;

/// Slots that wait before they count, and how long that is, ms: what is usual must not hold the last
/// hours themselves, which forecasts hold against it, an hour back and the smoothing around that.
const WAITING_MAX: usize = 24;
const WAITING_MS: i64 = SLOT_MS * WAITING_MAX as i64;

/// Samples after which a slot forgets: the mean becomes exponential over about this many days.
const SAMPLES_MAX: u16 = 30;

/// From so many days on one day counts no more than so far away, as a share of the limit: between
/// a mean and the median (Huber 1964), which would have to keep the days.
const ROBUST_FROM: u16 = 4;
const ROBUST_SHARE: f32 = 0.15;

/// Minutes measured before a learnt free-flow speed replaces the limit (chosen: half an hour of
/// measured minutes holds three above its 90 % quantile).
const FREE_FLOW_MINUTES: f32 = 30.0;

/// What a free-flow speed that somebody else has learnt counts as: from here on own minutes move it by
/// the least step (chosen).
const FREE_FLOW_TOLD_MINUTES: f32 = 100.0;

/// The quantile taken as free flow: GB/T 33171-2016 takes the mean of the fastest ninth, which for
/// a symmetric tail lies near the 94 % quantile.
const FREE_FLOW_QUANTILE: f32 = 0.94;

/// The slots of one hour of one day type for every segment.
#[derive(Clone, Debug, PartialEq)]
struct Hour {
    /// Mean speed in cm/s, `SLOTS_PER_HOUR` a segment.
    speed_cmps: Vec<u16>,
    /// Samples behind it.
    samples: Vec<u16>,
}

impl Hour {
    fn empty(cells: usize) -> Self {
        Self {
            speed_cmps: vec![0; cells],
            samples: vec![0; cells],
        }
    }
}

/// A five-minute slot of a day type.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct Slot {
    hour: usize,
    slot: usize,
}

/// What the slots around a time say together.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Pooled {
    speed_mps: f32,
    /// Samples behind it, far ones counted less.
    samples: f32,
}

/// What the stored profile says.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Stored {
    pub(super) speed_mps: f32,
    /// Share of it that is the segment's level.
    pub(super) level_share: f32,
}

/// Usual speeds of every segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Profiles {
    calendar: Calendar,
    segment_count: usize,
    /// By day type and hour; allocated when first learnt.
    hours: Vec<Option<Hour>>,
    limit_mps: Vec<f32>,
    /// Today's level of each segment, m/s: what the profile gives where no slot has samples, kept
    /// by the filter.
    level_mps: Vec<f32>,
    today: Today,
    /// Running high quantile of measured minutes, m/s.
    fast_mps: Vec<f32>,
    measured_minutes: Vec<f32>,
    /// Finished slots that do not count yet, oldest first; at most [`WAITING_MAX`].
    waiting: VecDeque<Waiting>,
    /// What the stored slots say at the slot of the open minute, by segment.
    now: Option<(Slot, Vec<Pooled>)>,
}

/// The means of one finished slot, cm/s; 0 where nothing was measured.
#[derive(Clone, Debug, PartialEq)]
struct Waiting {
    start: Timestamp,
    speed_cmps: Vec<u16>,
}

/// One stored slot that says something about a time, and how much.
struct Tap<'a> {
    hour: &'a Hour,
    slot: usize,
    share: f32,
}

impl Profiles {
    /// Nothing learnt yet: every segment stands at its level.
    pub(super) fn new(network: &Network, calendar: Calendar, level_mps: Vec<f32>) -> Self {
        let limit_mps: Vec<f32> = network
            .segments()
            .iter()
            .map(|segment| segment.limit_mps)
            .collect();
        let segment_count = limit_mps.len();
        Self {
            calendar,
            segment_count,
            hours: vec![None; DayType::COUNT * HOURS_PER_DAY],
            level_mps,
            today: Today::new(segment_count),
            fast_mps: limit_mps.clone(),
            measured_minutes: vec![0.0; segment_count],
            limit_mps,
            waiting: VecDeque::new(),
            now: None,
        }
    }

    /// The usual speed of a segment at a time, m/s: the slot's mean shrunk towards the segment's
    /// level, as much slower or faster as the last hours were.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn speed_mps(&self, segment: SegmentId, at: Timestamp) -> f32 {
        let index = segment.index();
        self.moved_mps(index, self.stored_at(index, self.slot_at(at)))
    }

    /// Speed at which traffic moves unhindered, m/s: the learnt high quantile capped by the limit,
    /// or the limit until enough minutes were measured.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn free_flow_mps(&self, segment: SegmentId) -> f32 {
        self.free_flow_at(segment.index())
    }

    pub(super) fn free_flow_at(&self, index: usize) -> f32 {
        let limit_mps = self.limit_mps[index];
        if self.measured_minutes[index] < FREE_FLOW_MINUTES {
            limit_mps
        } else {
            self.fast_mps[index].clamp(limit_mps * 0.2, limit_mps)
        }
    }

    /// The place of a time in the stored profile, shared by all segments.
    pub(super) fn slot_at(&self, at: Timestamp) -> Slot {
        let (day_type, hour, slot) = self.calendar.slot(at);
        Slot {
            hour: day_type as usize * HOURS_PER_DAY + hour,
            slot,
        }
    }

    /// The stored profile alone: what the slots around say, shrunk towards the level.
    pub(super) fn stored_at(&self, index: usize, slot: Slot) -> Stored {
        self.shrunk(index, slot, || Self::pooled(&self.taps(slot), index))
    }

    fn shrunk(&self, index: usize, slot: Slot, pooled: impl FnOnce() -> Pooled) -> Stored {
        let level_mps = self.level_mps[index];
        let pooled = match &self.now {
            Some((at, pooled)) if *at == slot => pooled[index],
            _ => pooled(),
        };
        let level_share = PRIOR_SAMPLES / (pooled.samples + PRIOR_SAMPLES);
        Stored {
            speed_mps: (1.0 - level_share) * pooled.speed_mps + level_share * level_mps,
            level_share,
        }
    }

    /// The stored slots within half an hour of `slot`, those of the day type's sibling included.
    fn taps(&self, slot: Slot) -> Vec<Tap<'_>> {
        let day_type = slot.hour / HOURS_PER_DAY;
        let in_day = (slot.hour % HOURS_PER_DAY) * SLOTS_PER_HOUR + slot.slot;
        let mut taps = Vec::new();
        for (day_type, share) in [(day_type, 1.0), (SIBLINGS[day_type], SIBLING_SHARE)] {
            let mut tap = |at: usize, near: f32| {
                let at = at % SLOTS_PER_DAY;
                let hour = &self.hours[day_type * HOURS_PER_DAY + at / SLOTS_PER_HOUR];
                taps.extend(hour.as_ref().map(|hour| Tap {
                    hour,
                    slot: at % SLOTS_PER_HOUR,
                    share: share * near,
                }));
            };
            for (distance, &near) in SMOOTHING.iter().enumerate() {
                tap(in_day + distance, near);
                if distance > 0 {
                    tap(in_day + SLOTS_PER_DAY - distance, near);
                }
            }
        }
        taps
    }

    /// What some slots say together of one segment.
    fn pooled(taps: &[Tap<'_>], index: usize) -> Pooled {
        let (mut sum, mut weight) = (0.0f32, 0.0f32);
        for tap in taps {
            let cell = index * SLOTS_PER_HOUR + tap.slot;
            let samples = tap.share * f32::from(tap.hour.samples[cell]);
            sum += samples * f32::from(tap.hour.speed_cmps[cell]);
            weight += samples;
        }
        let speed_mps = if weight > 0.0 {
            sum / weight / 100.0
        } else {
            0.0
        };
        Pooled {
            speed_mps,
            samples: weight,
        }
    }

    /// [`Profiles::speed_mps`] of any segment at some times: the slots are looked up once.
    pub fn speeds_at(&self, times: &[Timestamp]) -> impl Fn(SegmentId, usize) -> f32 + Sync + '_ {
        let slots: Vec<(Slot, Vec<Tap<'_>>)> = times
            .iter()
            .map(|&time| self.slot_at(time))
            .map(|slot| (slot, self.taps(slot)))
            .collect();
        move |segment, time| {
            let index = segment.index();
            let (slot, taps) = &slots[time];
            let stored = self.shrunk(index, *slot, || Self::pooled(taps, index));
            self.moved_mps(index, stored)
        }
    }

    /// A stored speed, m/s, as much slower or faster as the last hours were.
    fn moved_mps(&self, index: usize, stored: Stored) -> f32 {
        let moved_mps = self
            .today
            .moved_mps(index, stored.speed_mps, 1.0 - stored.level_share);
        moved_mps.clamp(0.0, self.limit_mps[index] * 1.3)
    }

    /// Takes in how fast so many road users were on a segment in a minute in which `usual_mps` is stored.
    pub(super) fn learn_today(&mut self, index: usize, usual_mps: f32, speed_mps: f32, users: f32) {
        self.today.learn(index, usual_mps, speed_mps, users);
    }

    /// Knows nothing of the last hours: they were another run's.
    pub(super) fn begin_today(&mut self) {
        self.today = Today::new(self.segment_count);
    }

    /// Lets so many minutes pass: what the last hours were like is forgotten.
    pub(super) fn forget_today(&mut self, minutes: f32) {
        self.today.forget(minutes);
    }

    /// Gathers what the stored slots say at `slot`, which is asked for every minute; once a slot.
    pub(super) fn move_to(&mut self, slot: Slot) {
        if self.now.as_ref().is_some_and(|(at, _)| *at == slot) {
            return;
        }
        let mut pooled = self.now.take().map_or_else(Vec::new, |(_, pooled)| pooled);
        pooled.clear();
        if self.hours.iter().all(Option::is_none) {
            pooled.resize(self.segment_count, Pooled::default());
        } else {
            let taps = self.taps(slot);
            pooled.extend((0..self.segment_count).map(|index| Self::pooled(&taps, index)));
        }
        self.now = Some((slot, pooled));
    }

    /// Sets a segment's level and returns by how much that moves the stored speed at `slot`, m/s.
    pub(super) fn move_level(&mut self, index: usize, slot: Slot, level_mps: f32) -> f32 {
        let moved_mps = level_mps - self.level_mps[index];
        let before = self.stored_at(index, slot);
        self.level_mps[index] = level_mps;
        let moved_mps = moved_mps * before.level_share;
        self.today
            .follow(index, before.speed_mps, before.speed_mps + moved_mps);
        moved_mps
    }

    /// Memory of its arrays but the slots of the week, bytes.
    pub(super) fn bytes_beside_slots(&self) -> usize {
        let rows = [
            &self.limit_mps,
            &self.level_mps,
            &self.today.took_spm,
            &self.today.usually_spm,
            &self.fast_mps,
            &self.measured_minutes,
        ];
        let now = self.now.as_ref().map_or(0, |(_, now)| size_of_val(&**now));
        rows.iter().map(|row| size_of_val(&***row)).sum::<usize>() + now
    }

    /// Learns the free-flow quantile from a measured minute (stochastic approximation of a
    /// quantile, Robbins and Monro 1951, with steps that shrink to a floor).
    pub(super) fn learn_free_flow(&mut self, index: usize, speed_mps: f32) {
        let minutes = &mut self.measured_minutes[index];
        if *minutes == 0.0 {
            self.fast_mps[index] = speed_mps;
        }
        *minutes += 1.0;
        let step_mps = self.limit_mps[index] * (1.0 / *minutes).max(0.01);
        let fast = &mut self.fast_mps[index];
        *fast += step_mps
            * if speed_mps > *fast {
                FREE_FLOW_QUANTILE
            } else {
                FREE_FLOW_QUANTILE - 1.0
            };
        *fast = fast.clamp(0.0, self.limit_mps[index] * 1.3);
    }

    /// Takes the mean of one finished slot of one segment; it counts after [`WAITING_MS`].
    pub(super) fn learn_slot(&mut self, index: usize, start: Timestamp, speed_mps: f32) {
        if self.waiting.back().is_none_or(|slot| slot.start != start) {
            let speed_cmps = vec![0; self.segment_count];
            self.waiting.push_back(Waiting { start, speed_cmps });
        }
        if let Some(slot) = self.waiting.back_mut() {
            slot.speed_cmps[index] = (speed_mps * 100.0).round().clamp(1.0, 65_535.0) as u16;
        }
    }

    /// Lets the slots count that have waited long enough at `now`, when the next slot begins, and
    /// those that lie ahead: they come from a file of another run over the same hours.
    pub(super) fn settle(&mut self, now: Timestamp) {
        let (ready, waiting): (VecDeque<_>, VecDeque<_>) = std::mem::take(&mut self.waiting)
            .into_iter()
            .partition(|slot| now.millis_since(slot.start) >= WAITING_MS || slot.start >= now);
        self.waiting = waiting;
        ready.iter().for_each(|slot| self.count(slot));
    }

    fn count(&mut self, learnt: &Waiting) {
        // The open slot is another one, but smoothing reaches it.
        self.now = None;
        let Slot { hour, slot } = self.slot_at(learnt.start);
        let cells = self.segment_count * SLOTS_PER_HOUR;
        let hour = self.hours[hour].get_or_insert_with(|| Hour::empty(cells));
        for (index, &speed_cmps) in learnt.speed_cmps.iter().enumerate() {
            if speed_cmps == 0 {
                continue;
            }
            let cell = index * SLOTS_PER_HOUR + slot;
            let samples = hour.samples[cell].min(SAMPLES_MAX - 1);
            let mean_mps = f32::from(hour.speed_cmps[cell]) / 100.0;
            let mut away_mps = f32::from(speed_cmps) / 100.0 - mean_mps;
            if samples >= ROBUST_FROM {
                let far_mps = ROBUST_SHARE * self.limit_mps[index];
                away_mps = away_mps.clamp(-far_mps, far_mps);
            }
            let mean_mps = mean_mps + away_mps / f32::from(samples + 1);
            hour.speed_cmps[cell] = (mean_mps * 100.0).round().clamp(0.0, 65_535.0) as u16;
            hour.samples[cell] = samples + 1;
        }
    }

    /// Starts from what is usual as somebody else has learnt it, where nothing is learnt yet.
    ///
    /// # Panics
    /// When it tells of another number of segments.
    pub(super) fn start_from(&mut self, usual: &UsualSpeeds) {
        assert_eq!(usual.segment_count(), self.segment_count);
        self.now = None;
        for index in 0..self.segment_count {
            if let (Some(mps), true) = (
                usual.free_flow_mps(index),
                self.measured_minutes[index] <= 0.0,
            ) {
                self.fast_mps[index] = mps;
                self.measured_minutes[index] = FREE_FLOW_TOLD_MINUTES;
            }
        }
        for (kind, day_type) in [DayType::Weekday, DayType::Sunday].into_iter().enumerate() {
            for at in 0..SLOTS_PER_DAY {
                self.start_slot(usual, kind, day_type, at);
            }
        }
    }

    fn start_slot(&mut self, usual: &UsualSpeeds, kind: usize, day_type: DayType, at: usize) {
        let quarter = at * QUARTERS / SLOTS_PER_DAY;
        let cells = self.segment_count * SLOTS_PER_HOUR;
        let hour = &mut self.hours[day_type as usize * HOURS_PER_DAY + at / SLOTS_PER_HOUR];
        for index in 0..self.segment_count {
            let Some((speed_cmps, days)) = usual.get(index, kind, quarter) else {
                continue;
            };
            let hour = hour.get_or_insert_with(|| Hour::empty(cells));
            let cell = index * SLOTS_PER_HOUR + at % SLOTS_PER_HOUR;
            if hour.samples[cell] == 0 {
                hour.speed_cmps[cell] = speed_cmps;
                hour.samples[cell] = days.min(SAMPLES_MAX);
            }
        }
    }
}
