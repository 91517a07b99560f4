//! Places where road users slow down to a walk and drive freely behind them, one after the other:
//! what a lane that is blocked beside an open one looks like to those who pass.
//!
//! It is asked of fast roads only: in town road users are slowed at the same places every day.

use std::collections::BTreeMap;

use crate::network::Segment;
use crate::state::MINUTE_MS;
use crate::state::bytes::{Reader, SnapshotError, put_i64, put_u16, put_u32, put_u64};
use crate::state::stay::{SAMPLE_MS, Stay};
use crate::units::SegmentId;

/// Slow is below this share of the limit, and below so many m/s; free is above this share (chosen).
const SLOW_RATIO: f32 = 0.3;
const SLOW_MPS_MAX: f32 = 8.0;
const FREE_RATIO: f32 = 0.4;
/// A slow spot nearer to the end of a segment is a matter of the junction, m (chosen).
const END_M: f32 = 40.0;
/// Spots no further apart are of one place, dm (chosen: a few lengths of cars that merge before it).
const TOGETHER_DM: u16 = 400;
/// How long a spot is remembered, minutes, and how many on a segment; the oldest is forgotten first.
const KEPT_MINUTES: i64 = 6;
pub(super) const SPOTS_MAX: usize = 16;
/// Share of those who pass a place with one of several lanes blocked that are slowed by it (chosen:
/// about half of those on one of three lanes).
const HINDERED: f32 = 0.15;
/// What is known of the share without a blockage before anybody has passed: so many slowed of so
/// many.
const PRIOR_SLOWED: f32 = 0.5;
const PRIOR_PASSED: f32 = 20.0;
/// Most that slow spots weigh in a minute.
const WEIGHT_MAX: f32 = 5.0;

/// When and where somebody was slowed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Spot {
    minute_ms: i64,
    place_dm: u16,
}

/// The slow spots of the last minutes.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct SlowSpots {
    spots: BTreeMap<SegmentId, Vec<Spot>>,
    forgotten: u64,
}

/// Who was slowed on one segment in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Slowing {
    /// Road users that were slowed somewhere, and those that drove freely.
    pub(super) slowed: u32,
    pub(super) passed: u32,
    /// Those that were slowed where others had been before.
    at_place: u32,
    /// Road users slowed at that place within the last minutes.
    pub(super) together: u32,
    /// The place: the foremost, metres from the start of the segment.
    pub(super) place_m: f32,
}

impl Slowing {
    /// Log-likelihood ratio of the minute, where so many were slowed and passed without a blockage.
    pub(super) fn weight(&self, slowed: f32, passed: f32) -> f32 {
        if self.at_place == 0 {
            return 0.0;
        }
        let share = (slowed + PRIOR_SLOWED) / (slowed + passed + PRIOR_PASSED);
        let each = (HINDERED / share).ln().max(0.0);
        let unhindered = ((1.0 - HINDERED) / (1.0 - share)).ln();
        let weight = self.at_place as f32 * each + self.passed as f32 * unhindered;
        weight.min(WEIGHT_MAX)
    }
}

impl SlowSpots {
    /// Takes what the road users of one segment did in a minute.
    pub(super) fn take(
        &mut self,
        minute_ms: i64,
        id: SegmentId,
        segment: &Segment,
        stays: &[Stay],
    ) -> Slowing {
        let mut found = Slowing::default();
        let mut places_dm = Vec::new();
        for stay in stays {
            let (spot, is_moving) = spot_of(stay, segment);
            match spot.filter(|place_m| *place_m <= segment.length_m - END_M) {
                Some(place_m) => places_dm.push((place_m * 10.0) as u16),
                None => found.passed += u32::from(is_moving),
            }
        }
        if places_dm.is_empty() {
            return found;
        }
        found.slowed = places_dm.len() as u32;
        places_dm.sort_unstable();
        let spots = self.spots.entry(id).or_default();
        for place_dm in places_dm {
            let is_near = |spot: &&Spot| spot.place_dm.abs_diff(place_dm) <= TOGETHER_DM;
            let before = spots.iter().filter(is_near).count() as u32;
            if before > 0 {
                found.at_place += 1;
                found.together = found.together.max(before + 1);
                found.place_m = found.place_m.max(f32::from(place_dm) / 10.0);
            }
            spots.push(Spot {
                minute_ms,
                place_dm,
            });
        }
        let more = spots.len().saturating_sub(SPOTS_MAX);
        self.forgotten += more as u64;
        spots.drain(..more);
        found
    }

    /// Spots that were forgotten early because a segment had more than [`SPOTS_MAX`].
    pub(super) fn forgotten(&self) -> u64 {
        self.forgotten
    }

    /// Forgets what is longer ago than [`KEPT_MINUTES`].
    pub(super) fn forget(&mut self, minute_ms: i64) {
        let oldest_ms = minute_ms - KEPT_MINUTES * MINUTE_MS;
        self.spots.retain(|_, spots| {
            spots.retain(|spot| spot.minute_ms > oldest_ms);
            !spots.is_empty()
        });
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.forgotten);
        put_u64(out, self.spots.len() as u64);
        for (segment, spots) in &self.spots {
            put_u32(out, segment.0);
            put_u64(out, spots.len() as u64);
            for spot in spots {
                put_i64(out, spot.minute_ms);
                put_u16(out, spot.place_dm);
            }
        }
    }

    pub(super) fn get(reader: &mut Reader<'_>, count: usize) -> Result<Self, SnapshotError> {
        let mut all = Self {
            forgotten: reader.take_u64()?,
            ..Self::default()
        };
        for _ in 0..reader.take_count(12)? {
            let segment = SegmentId(reader.take_u32()?);
            if segment.index() >= count {
                return Err(reader.damaged());
            }
            let mut spots = Vec::new();
            for _ in 0..reader.take_count(10)? {
                spots.push(Spot {
                    minute_ms: reader.take_i64()?,
                    place_dm: reader.take_u16()?,
                });
            }
            all.spots.insert(segment, spots);
        }
        Ok(all)
    }
}

/// Where a road user that was slow last drove freely again, metres from the segment's start, and
/// whether it drove freely anywhere on the segment.
fn spot_of(stay: &Stay, segment: &Segment) -> (Option<f32>, bool) {
    let slow_mps = (SLOW_RATIO * segment.limit_mps).min(SLOW_MPS_MAX);
    let free_mps = FREE_RATIO * segment.limit_mps;
    let (mut last, mut slow_until, mut spot, mut is_moving) = (None, None, None, false);
    for sample in stay.samples() {
        let at_m = sample.map(|(place_dm, _)| f32::from(place_dm) / 10.0);
        if let (Some(from_m), Some(at_m)) = (last, at_m) {
            let speed_mps = (at_m - from_m) / (SAMPLE_MS as f32 / 1e3);
            if speed_mps < slow_mps {
                slow_until = Some(at_m);
            } else if speed_mps > free_mps {
                is_moving = true;
                if slow_until.is_some() {
                    spot = slow_until.take();
                }
            }
        }
        last = at_m;
    }
    (spot, is_moving)
}
