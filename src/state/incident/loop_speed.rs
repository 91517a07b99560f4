//! The statistical channel of loops: the mean speed of five minutes falls at one station, as it
//! seldom does there at this time of day, and traffic at the next station ahead does not explain it.
//!
//! It works on stations of fast roads, whatever the interval of their readings is up to five
//! minutes. What is usual is learnt of each station: how often its speed is how low by half hour of
//! workdays and of other days, so that a jam of every day is none. After the rule of this project's
//! methods (a fall within three bins, below 0.65 of free flow, told apart from recurrent congestion
//! and from what reaches a station from ahead), with likelihoods in the place of its thresholds.

use std::collections::{BTreeMap, BTreeSet};

use super::detectors::Lanes;
use crate::network::Network;
use crate::state::Calendar;
use crate::state::StateBatch;
use crate::state::bytes::{Reader, SnapshotError, put_f32, put_i64, put_u8, put_u32, put_u64};
use crate::units::{Interval, SegmentId, Timestamp};

/// Length of a bin, ms, and minutes in which none ends.
const BIN_MS: i64 = 300_000;
pub(super) const OPEN_MINUTES: u8 = 4;
/// Bins that are remembered one by one; older ones count as usual. Two hours, so that an incident
/// does not make itself usual.
const RECENT: usize = 24;
const LAST: usize = RECENT - 1;
/// Stands for a bin in which nobody was counted.
const UNKNOWN: u8 = u8::MAX;
/// Classes of speed over free flow, and how wide one is; the last one is open.
const CLASSES: usize = 12;
const CLASS_WIDTH: f32 = 0.1;
/// Half hours of a day, of workdays and of other days.
const SLOTS: usize = 48;
const CELLS: usize = 2 * SLOTS * CLASSES;
/// Bins of a station before it tells anything: half a day.
const KNOWN_BINS: u32 = 144;
/// What the half hours before and after count.
const BESIDE: f32 = 0.5;
/// Bins of the time of day and bins of the whole day that the prior weighs as much as.
const PRIOR_OF_SLOT: f32 = 3.0;
const PRIOR_OF_DAY: f32 = 10.0;

/// Traffic was free where one of so many bins before was above this share of free flow, or above the
/// lower one where no larger share of the bins at this time of day is as slow as the newest.
const FREE_RATIO: f32 = 0.75;
const FREE_RATIO_SELDOM: f32 = 0.7;
const SELDOM_SHARE: f32 = 0.05;
const FREE_BINS: usize = 3;
/// A fall is one to below this share of the mean of those bins.
const FALL_RATIO: f32 = 0.8;
/// Deviation of a bin from that mean, as a share of free flow.
const DEVIATION: f32 = 0.06;
/// Probability of such a fall without an incident in one bin: anywhere, and by the shares of bins of
/// this time of day and of all day that are as slow.
const FALL_EVER: f32 = 0.005;
const FALL_BY_SLOT: f32 = 0.5;
const FALL_BY_DAY: f32 = 0.5;
/// As slow is up to so much above a speed, as a factor and a share of free flow.
const AS_SLOW: (f32, f32) = (1.05, 0.05);
/// Share of this time of day from which a speed is usual and no evidence.
const USUAL_SHARE: f32 = 0.7;
/// After a fall a bin below this share of free flow is still slow; above the other it is over.
const STILL_RATIO: f32 = 0.7;
const OVER_RATIO: f32 = 0.8;
/// What a bin that is still slow weighs where that is never so, by what times the usual share it weighs
/// less, and what it does at least: enough to keep an incident open, and too little to make one of a
/// jam that lasts.
const STILL: f32 = 1.5;
const STILL_USUAL: f32 = 1.5;
const STILL_MIN: f32 = 0.004;
/// Traffic ahead explains a fall where it was below this share of free flow in this bin or the last,
/// and not faster by more than the other.
const AHEAD_RATIO: f32 = 0.6;
const AHEAD_FASTER: f32 = 0.05;
/// It explains nothing where it is as slow at this time of day so many times as often as it is here,
/// and in so large a share of the bins more: that jam seldom reaches this station (chosen; see the loop
/// week in `docs/incidents.md`).
const AHEAD_OFTENER: f32 = 2.0;
const AHEAD_MORE: f32 = 0.1;
/// How far ahead the next station is looked for, m, and on how many segments.
const AHEAD_REACH_M: f32 = 3_000.0;
const AHEAD_SEGMENTS_MAX: usize = 32;
/// Weight of a unit of the logarithm of the ratio: a fall confirms at once where it happens in about
/// three of a hundred bins.
const SCALE: f32 = 2.5;
const WEIGHT_MAX: f32 = 10.0;

/// What a closed bin shows at a station: a fall, or that it is still slow after one.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SpeedDrop {
    pub(super) weight: f32,
    /// Speed over free flow before and in the bin.
    pub(super) before: f32,
    pub(super) ratio: f32,
    /// Share of bins at this time of day that are as slow.
    pub(super) usual: f32,
}

/// The memory of the loops of one segment.
#[derive(Clone, Debug, PartialEq)]
struct Station {
    /// Vehicles of the open bin and the sum of their speeds, m/s.
    count: f32,
    speed_sum: f32,
    /// Speed over free flow in the last bins, hundredths, the newest last.
    recent: [u8; RECENT],
    /// Bins by day, half hour and class.
    usual: Box<[u8]>,
    /// Speed over free flow before a fall that nothing explains and after which it is still slow.
    fallen_from: Option<f32>,
}

impl Default for Station {
    fn default() -> Self {
        Self {
            count: 0.0,
            speed_sum: 0.0,
            recent: [UNKNOWN; RECENT],
            usual: vec![0; CELLS].into(),
            fallen_from: None,
        }
    }
}

/// The stations of fast roads.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LoopSpeeds {
    stations: BTreeMap<SegmentId, Station>,
    /// Start of the bin that is open or comes next, ms; `None` before the first minute.
    open_ms: Option<i64>,
}

impl LoopSpeeds {
    /// Takes what loops of fast roads counted in a minute; where a bin ends with it, what the bin
    /// shows.
    pub(super) fn take(
        &mut self,
        network: &Network,
        batch: &StateBatch,
        calendar: &Calendar,
        counted: impl Iterator<Item = (SegmentId, Lanes)>,
    ) -> BTreeMap<SegmentId, SpeedDrop> {
        let Interval { start, end } = batch.interval;
        let mut found = BTreeMap::new();
        let bin_ms = start.floor_to(BIN_MS).as_millis();
        // The last minute of the bin has never come: it is closed, and those between are unknown.
        if let Some(open_ms) = self.open_ms.filter(|open_ms| *open_ms < bin_ms) {
            let missed = ((bin_ms - open_ms) / BIN_MS).min(RECENT as i64);
            for number in 0..missed {
                self.close(bin_ms - (missed - number) * BIN_MS, batch, calendar);
            }
        }
        self.open_ms = Some(bin_ms);
        for (segment, lanes) in counted.filter(|(_, lanes)| lanes.point_count > 0.0) {
            let station = self.stations.entry(segment).or_default();
            station.count += lanes.point_count;
            station.speed_sum += lanes.point_speed_mps;
        }
        if end.as_millis() == bin_ms + BIN_MS {
            self.close(bin_ms, batch, calendar);
            self.open_ms = Some(bin_ms + BIN_MS);
            found = self.judge(network, calendar, start);
        }
        found
    }

    fn close(&mut self, bin_ms: i64, batch: &StateBatch, calendar: &Calendar) {
        let oldest = Timestamp::from_millis(bin_ms - RECENT as i64 * BIN_MS);
        let slot = slot_of(calendar, oldest);
        for (segment, station) in &mut self.stations {
            let free_flow_mps = batch.segments[segment.index()].free_flow_mps;
            station.close(slot, free_flow_mps);
        }
    }

    fn judge(
        &mut self,
        network: &Network,
        calendar: &Calendar,
        at: Timestamp,
    ) -> BTreeMap<SegmentId, SpeedDrop> {
        let slot = slot_of(calendar, at);
        let mut found = BTreeMap::new();
        let drops = self.stations.iter().filter_map(|(segment, station)| {
            let drop = station.look(slot)?;
            let is_explained = self.is_explained(network, *segment, slot, &drop);
            (!is_explained).then_some((*segment, drop))
        });
        found.extend(drops);
        for (segment, station) in &mut self.stations {
            station.fallen_from = found.get(segment).map(|drop| drop.before);
        }
        found
    }

    /// Whether a station of this segment has been heard.
    pub(super) fn is_heard(&self, segment: SegmentId) -> bool {
        self.stations.contains_key(&segment)
    }

    /// Whether traffic at the next stations ahead is, or was in the bin before, as slow, and is not so
    /// far oftener than here.
    fn is_explained(
        &self,
        network: &Network,
        start: SegmentId,
        slot: usize,
        drop: &SpeedDrop,
    ) -> bool {
        let explains = |station: &Station| {
            station
                .slower_than(drop.ratio + AHEAD_FASTER)
                .is_some_and(|ratio| {
                    let usual = station.usual_share(slot, ratio);
                    usual < AHEAD_OFTENER * drop.usual + AHEAD_MORE
                })
        };
        let mut seen = BTreeSet::from([start]);
        let mut waiting = vec![(start, 0.0f32)];
        while let Some((id, walked_m)) = waiting.pop() {
            for next in network.movements_from(id).iter().map(|way| way.to()) {
                if seen.len() >= AHEAD_SEGMENTS_MAX || !seen.insert(next) {
                    continue;
                }
                let reach_m = walked_m + network.segment(next).length_m;
                match self.stations.get(&next) {
                    Some(station) if explains(station) => return true,
                    None if reach_m < AHEAD_REACH_M => waiting.push((next, reach_m)),
                    _ => {}
                }
            }
        }
        false
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u8(out, u8::from(self.open_ms.is_some()));
        put_i64(out, self.open_ms.unwrap_or(0));
        put_u64(out, self.stations.len() as u64);
        for (segment, station) in &self.stations {
            put_u32(out, segment.0);
            put_f32(out, station.count);
            put_f32(out, station.speed_sum);
            put_u8(out, u8::from(station.fallen_from.is_some()));
            put_f32(out, station.fallen_from.unwrap_or(0.0));
            out.extend_from_slice(&station.recent);
            out.extend_from_slice(&station.usual);
        }
    }

    pub(super) fn get(reader: &mut Reader<'_>, count: usize) -> Result<Self, SnapshotError> {
        let is_open = reader.take_u8()? != 0;
        let open_ms = reader.take_i64()?;
        let mut all = Self {
            open_ms: is_open.then_some(open_ms),
            ..Self::default()
        };
        for _ in 0..reader.take_count(17 + RECENT + CELLS)? {
            let segment = SegmentId(reader.take_u32()?);
            if segment.index() >= count {
                return Err(reader.damaged());
            }
            let mut station = Station {
                count: reader.take_finite()?,
                speed_sum: reader.take_finite()?,
                ..Station::default()
            };
            let has_fallen = reader.take_u8()? != 0;
            let before = reader.take_finite()?;
            station.fallen_from = has_fallen.then_some(before);
            for cell in station.recent.iter_mut().chain(station.usual.iter_mut()) {
                *cell = reader.take_u8()?;
            }
            all.stations.insert(segment, station);
        }
        Ok(all)
    }
}

impl Station {
    /// Ends a bin; the oldest that is remembered, of the slot given, counts as usual from here on.
    fn close(&mut self, slot: usize, free_flow_mps: f32) {
        if self.recent[0] != UNKNOWN {
            self.learn(slot, class_of(ratio_of(self.recent[0])));
        }
        self.recent.copy_within(1.., 0);
        self.recent[LAST] = if self.count > 0.0 {
            let ratio = self.speed_sum / self.count / free_flow_mps.max(0.1);
            (ratio * 100.0).round().clamp(0.0, f32::from(UNKNOWN - 1)) as u8
        } else {
            UNKNOWN
        };
        (self.count, self.speed_sum) = (0.0, 0.0);
    }

    fn learn(&mut self, slot: usize, class: usize) {
        let cells = &mut self.usual[slot * CLASSES..][..CLASSES];
        if cells[class] == u8::MAX {
            cells.iter_mut().for_each(|cell| *cell /= 2);
        }
        cells[class] += 1;
    }

    fn known(&self) -> impl Iterator<Item = f32> + '_ {
        let before = self.recent[LAST - FREE_BINS..LAST].iter();
        before
            .filter(|bin| **bin != UNKNOWN)
            .map(|bin| ratio_of(*bin))
    }

    /// The slower of the last two bins, where it is slower than `ratio`.
    fn slower_than(&self, ratio: f32) -> Option<f32> {
        self.recent[LAST - 1..]
            .iter()
            .filter(|bin| **bin != UNKNOWN)
            .map(|bin| ratio_of(*bin))
            .min_by(f32::total_cmp)
            .filter(|slower| *slower < AHEAD_RATIO.min(ratio))
    }

    /// Share of the bins of about this time of day that are about as slow.
    fn usual_share(&self, slot: usize, ratio: f32) -> f32 {
        self.shares(slot, AS_SLOW.0 * ratio + AS_SLOW.1).0
    }

    /// What the newest bin shows, whatever traffic ahead is like.
    fn look(&self, slot: usize) -> Option<SpeedDrop> {
        let newest = self.recent[LAST];
        let count = self.known().count();
        let bins: u32 = self.usual.iter().map(|cell| u32::from(*cell)).sum();
        if newest == UNKNOWN || count == 0 || bins < KNOWN_BINS {
            return None;
        }
        let ratio = ratio_of(newest);
        let (usual, all_day) = self.shares(slot, AS_SLOW.0 * ratio + AS_SLOW.1);
        let fastest = self.known().fold(0.0, f32::max);
        let mean = self.known().sum::<f32>() / count as f32;
        let before = self.fallen_from.unwrap_or(fastest);
        let free_ratio = if usual <= SELDOM_SHARE {
            FREE_RATIO_SELDOM
        } else {
            FREE_RATIO
        };
        let was_free = self.fallen_from.is_some() || fastest >= free_ratio;
        let fall = fall_weight(mean.clamp(0.3, 1.1), ratio, usual, all_day);
        let is_still = self.fallen_from.is_some() && ratio < STILL_RATIO;
        let weight = match () {
            () if usual > USUAL_SHARE || ratio > OVER_RATIO => 0.0,
            () if fall > 0.0 && was_free => fall,
            () if is_still => STILL * (1.0 - STILL_USUAL * usual).max(0.0),
            () => 0.0,
        };
        let weight = if is_still {
            weight.max(STILL_MIN)
        } else {
            weight
        };
        (weight > 0.0).then(|| SpeedDrop {
            weight: (SCALE * weight).min(WEIGHT_MAX),
            before,
            ratio,
            usual,
        })
    }

    /// Shares of the bins of about this time of day, and of all day, that are slower than `ratio`. A jam
    /// of every day is usual from its first bin on: of this half hour and the one that comes, each
    /// alone and both with the one before, the largest share counts.
    fn shares(&self, slot: usize, ratio: f32) -> (f32, f32) {
        let day = slot / SLOTS * SLOTS;
        let count = |slot: usize| self.slower(slot, ratio);
        let (mut slower, mut all) = (1.0, PRIOR_OF_DAY);
        for slot in day..day + SLOTS {
            let (some, number) = count(slot);
            (slower, all) = (slower + some, all + number);
        }
        let of_day = slower / all;
        let in_day = slot % SLOTS;
        let beside = |place: usize| count(day + (in_day + place) % SLOTS);
        let (before, here, next) = (beside(SLOTS - 1), beside(0), beside(1));
        let around = (
            here.0 + BESIDE * (before.0 + next.0),
            here.1 + BESIDE * (before.1 + next.1),
        );
        let share =
            |(some, number): (f32, f32)| (some + PRIOR_OF_SLOT * of_day) / (number + PRIOR_OF_SLOT);
        let usual = share(around).max(share(here)).max(share(next));
        (usual, of_day)
    }

    /// How many bins of a slot are slower than `ratio`, as if they lay evenly in their class, of how
    /// many.
    fn slower(&self, slot: usize, ratio: f32) -> (f32, f32) {
        let cells = &self.usual[slot * CLASSES..][..CLASSES];
        let class = class_of(ratio);
        let part = (ratio / CLASS_WIDTH - class as f32).clamp(0.0, 1.0);
        let sum = |cells: &[u8]| cells.iter().map(|cell| f32::from(*cell)).sum::<f32>();
        let below = sum(&cells[..class]) + part * f32::from(cells[class]);
        (below, sum(cells))
    }
}

/// Logarithm of the ratio of the likelihoods of a bin after such a mean: with a blockage nineteen in
/// twenty fall to any speed below [`FALL_RATIO`], without one most stay as they were.
fn fall_weight(mean: f32, ratio: f32, usual: f32, all_day: f32) -> f32 {
    let off = (ratio - mean).min(0.0) / DEVIATION;
    let stays = (-0.5 * off * off).exp() / (DEVIATION * (2.0 * std::f32::consts::PI).sqrt());
    let lowest = FALL_RATIO * mean;
    let falls = if ratio < lowest { 1.0 / lowest } else { 0.0 };
    let share = (FALL_EVER + FALL_BY_SLOT * usual + FALL_BY_DAY * all_day).min(0.9);
    ((0.95 * falls + 0.05 * stays) / ((1.0 - share) * stays + share / lowest)).ln()
}

fn ratio_of(bin: u8) -> f32 {
    f32::from(bin) / 100.0
}

fn class_of(ratio: f32) -> usize {
    ((ratio / CLASS_WIDTH) as usize).min(CLASSES - 1)
}

/// The half hour of a workday, or of another day.
fn slot_of(calendar: &Calendar, at: Timestamp) -> usize {
    let (is_workday, half_hour) = calendar.half_hour(at);
    half_hour + if is_workday { 0 } else { SLOTS }
}
