//! What detectors tell about single lanes: lanes on which vehicles are and none gets through, and
//! places that nobody reaches any more.

use std::collections::BTreeMap;

use crate::observation::DetectorReading;
use crate::state::bytes::{Reader, SnapshotError, put_f32, put_u8, put_u16, put_u32, put_u64};
use crate::state::detector::{DetectorKind, DetectorTable};
use crate::units::{Interval, SegmentId};

/// Shortest stretch that tells whether a lane is full, m (chosen: three cars).
const LENGTH_MIN_M: f32 = 20.0;
/// Vehicles that are on a dead lane at least, as a mean over the minute.
const PRESENT_MIN: f32 = 0.9;
/// Passes of a dead lane in a minute, at most: in two quiet hours of a town the longest such time
/// was three minutes.
const DEAD_PASSES_MAX: f32 = 0.3;
/// Weight of a minute in the usual rate of passes: half an hour.
const RATE_WEIGHT: f32 = 1.0 / 30.0;
/// Minutes before the usual rate is believed.
const RATE_MINUTES_MIN: u16 = 8;
/// Occupancy of a stretch that is full: jam spacing 7.5 m, a car 4.5 m, a lane not quite full.
const FULL_OCCUPANCY: f32 = 0.45;

/// Passes of a full stretch in a minute that does not move on, fewer than.
const FULL_PASSES_MAX: f32 = 3.0;

/// The memory of one detector.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Lane {
    /// Usual passes a minute.
    rate: f32,
    /// Minutes heard, at most `u16::MAX`.
    minutes: u16,
    /// Minutes in a row in which vehicles were there and none got through.
    dead: u8,
    /// Passes that were to be expected since the last one.
    missing: f32,
}

/// What the detectors of one segment say together in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Lanes {
    /// Lanes that are dead, and for how many minutes the longest.
    pub(super) dead: u32,
    pub(super) dead_minutes: u32,
    dead_lanes: u32,
    /// Passes of all other lanes in the minute.
    pub(super) passes: f32,
    /// Whether somebody passed one of them, or it is not known how many usually do.
    is_reached: bool,
    /// Passes of points and of areas that were expected since anybody passed.
    missing_point: f32,
    missing_area: f32,
    /// Where the first of them stands, metres from the start.
    pub(super) from_m: f32,
    /// Whether some stretch is full.
    pub(super) is_full: bool,
    /// Vehicles counted at points and the sum of their speeds, m/s.
    pub(super) point_count: f32,
    pub(super) point_speed_mps: f32,
}

impl Lanes {
    /// Passes that were to be expected since anybody reached one of the detectors; 0 where somebody
    /// did in the minute.
    pub(super) fn missing(&self) -> f32 {
        if self.is_reached {
            0.0
        } else {
            self.missing_point.max(self.missing_area)
        }
    }
}

/// The memory of all detectors.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct LaneWatch {
    lanes: BTreeMap<Box<str>, Lane>,
}

impl LaneWatch {
    /// Takes the readings that ended in `minute`; those of unknown detectors are left out.
    pub(super) fn take(
        &mut self,
        table: &DetectorTable,
        minute: Interval,
        readings: &[DetectorReading],
    ) -> BTreeMap<SegmentId, Lanes> {
        let mut ordered: Vec<&DetectorReading> = readings
            .iter()
            .filter(|reading| reading.ends_in(minute))
            .collect();
        ordered.sort_by(|a, b| (&a.detector, a.start, a.end).cmp(&(&b.detector, b.start, b.end)));
        let mut found: BTreeMap<SegmentId, Lanes> = BTreeMap::new();
        for group in ordered.chunk_by(|a, b| a.detector == b.detector) {
            let Some(place) = table.place(&group[0].detector) else {
                continue;
            };
            let is_area = place.kind == DetectorKind::Area;
            if is_area && place.length_m < LENGTH_MIN_M {
                continue;
            }
            let (mut passes, mut present, mut occupancy) = (0.0f32, 0.0f32, 0.0f32);
            let mut speed_sum = 0.0;
            for reading in group {
                let speed_mps = reading.speed_mps.unwrap_or(0.0).max(0.0);
                if is_area {
                    let seconds = reading.sampled_seconds.unwrap_or(0.0).max(0.0);
                    passes += seconds * speed_mps / place.length_m;
                    present += seconds / 60.0;
                } else {
                    passes += reading.vehicle_count.max(0.0);
                    speed_sum += reading.vehicle_count.max(0.0) * speed_mps;
                }
                occupancy = occupancy.max(reading.occupancy.unwrap_or(0.0));
            }
            let lane = self
                .lanes
                .entry(group[0].detector.as_ref().into())
                .or_default();
            let is_dead = if is_area {
                present >= PRESENT_MIN && passes < DEAD_PASSES_MAX
            } else {
                occupancy >= 0.95 && passes < DEAD_PASSES_MAX
            };
            lane.step(passes, is_dead);
            let all = found.entry(place.segment).or_insert_with(|| Lanes {
                from_m: f32::INFINITY,
                ..Lanes::default()
            });
            all.from_m = all.from_m.min(place.offset_m);
            all.is_full |= is_area && occupancy >= FULL_OCCUPANCY && passes < FULL_PASSES_MAX;
            if lane.dead > 0 {
                all.dead_lanes |= 1 << place.lane.min(31);
                all.dead = all.dead_lanes.count_ones();
                all.dead_minutes = all.dead_minutes.max(u32::from(lane.dead));
            } else {
                all.passes += passes;
            }
            all.is_reached |= lane.missing <= 0.0;
            if is_area {
                all.missing_area += lane.missing;
            } else {
                all.missing_point += lane.missing;
                all.point_count += passes;
                all.point_speed_mps += speed_sum;
            }
        }
        found
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.lanes.len() as u64);
        for (name, lane) in &self.lanes {
            put_u32(out, name.len() as u32);
            out.extend_from_slice(name.as_bytes());
            put_f32(out, lane.rate);
            put_u16(out, lane.minutes);
            put_u8(out, lane.dead);
            put_f32(out, lane.missing);
        }
    }

    pub(super) fn get(reader: &mut Reader<'_>) -> Result<Self, SnapshotError> {
        let mut watch = Self::default();
        for _ in 0..reader.take_count(4 + 11)? {
            let length = reader.take_u32()? as usize;
            let mut name = Vec::with_capacity(length.min(256));
            for _ in 0..length {
                name.push(reader.take_u8()?);
            }
            let name = String::from_utf8(name).map_err(|_utf8| reader.damaged())?;
            let lane = Lane {
                rate: reader.take_finite()?,
                minutes: reader.take_u16()?,
                dead: reader.take_u8()?,
                missing: reader.take_finite()?,
            };
            watch.lanes.insert(name.into(), lane);
        }
        Ok(watch)
    }
}

impl Lane {
    fn step(&mut self, passes: f32, is_dead: bool) {
        self.dead = if is_dead {
            self.dead.saturating_add(1)
        } else {
            0
        };
        let is_known = self.minutes >= RATE_MINUTES_MIN;
        self.missing = if passes < DEAD_PASSES_MAX && is_known {
            (self.missing + self.rate).min(100.0)
        } else {
            0.0
        };
        // What is missing is not what is usual.
        if self.missing < 3.0 {
            let weight = RATE_WEIGHT.max(1.0 / (f32::from(self.minutes) + 1.0));
            self.rate += weight * (passes - self.rate);
        }
        self.minutes = self.minutes.saturating_add(1);
    }
}
