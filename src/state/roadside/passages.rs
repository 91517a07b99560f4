//! Vehicles at fixed places, counted by site, lane and minute.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use crate::observation::{DetectorReading, Passage, PassagePart, RejectReason};
use crate::state::MINUTE_MS;
use crate::units::{Interval, SubjectId, Timestamp};

/// Most sites and lanes counted in minutes still open.
pub(super) const COUNTS_MAX: usize = 100_000;

/// Most passages remembered in minutes still open, to know the same one again; beyond, repeats are
/// counted.
pub(super) const SEEN_MAX: usize = 1_000_000;

/// Passages of one site and lane in one minute. Sums are whole numbers, so that their order is
/// none.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Count {
    pub(super) vehicles: u64,
    /// Vehicles whose speed is known, and the sum of their speeds, mm/s.
    pub(super) measured: u64,
    pub(super) speed_sum_mmps: u64,
}

/// Start of the minute, site and lane.
pub(super) type CountKey = (Timestamp, Arc<str>, Option<u32>);

/// Passages of minutes still open.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Passages {
    pub(super) counts: BTreeMap<CountKey, Count>,
    /// Time, vehicle and site of those that say which vehicle it was. `vehicle` is the
    /// keyed pseudonym that the front gives.
    pub(super) seen: BTreeSet<(Timestamp, SubjectId, Arc<str>)>,
}

impl Passages {
    pub(super) fn take(&mut self, passage: &Passage) -> Result<(), RejectReason> {
        if passage.part == PassagePart::Enters {
            return Ok(());
        }
        if let Some(vehicle) = passage.vehicle {
            let seen = (passage.observed_at, vehicle, passage.site.clone());
            if self.seen.contains(&seen) {
                return Err(RejectReason::Duplicate);
            }
            if self.seen.len() < SEEN_MAX {
                self.seen.insert(seen);
            }
        }
        let minute = passage.observed_at.floor_to(MINUTE_MS);
        let key = (minute, passage.site.clone(), passage.lane);
        if self.counts.len() >= COUNTS_MAX && !self.counts.contains_key(&key) {
            return Err(RejectReason::TableFull);
        }
        let count = self.counts.entry(key).or_default();
        count.vehicles += 1;
        if let Some(speed_mps) = passage.speed_mps {
            count.measured += 1;
            count.speed_sum_mmps += (f64::from(speed_mps.max(0.0)) * 1e3).round() as u64;
        }
        Ok(())
    }

    /// Appends what was counted in a minute, and forgets it.
    pub(super) fn close(&mut self, minute: Interval, detectors: &mut Vec<DetectorReading>) -> u64 {
        self.seen.retain(|(at, ..)| *at >= minute.end);
        let mut vehicles = 0;
        while let Some(entry) = self.counts.first_entry() {
            if entry.key().0 >= minute.end {
                break;
            }
            let ((_, site, lane), count) = entry.remove_entry();
            vehicles += count.vehicles;
            detectors.push(DetectorReading {
                start: minute.start,
                end: minute.end,
                detector: match lane {
                    Some(lane) => format!("{site}/{lane}").into(),
                    None => site,
                },
                vehicle_count: count.vehicles as f32,
                speed_mps: (count.measured > 0)
                    .then(|| (count.speed_sum_mmps as f64 / count.measured as f64 / 1e3) as f32),
                occupancy: None,
                sampled_seconds: None,
                queue_length_m: None,
            });
        }
        vehicles
    }
}
