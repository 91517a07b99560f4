//! The state of every segment, minute by minute: a two-speed filter and what surrounds it.

use std::sync::Arc;

use super::bytes::{
    Reader, SnapshotError, put_f32_all, put_head, put_i64, put_u8_all, put_u32_all, put_u64,
};
use super::detector::DetectorTable;
use super::level::{LevelMemory, LevelStandard};
use super::profile::{Calendar, Profiles, SLOT_MS};
use super::sums::BinSums;
use super::{MINUTE_MS, Provenance, SegmentState, StateBatch};
use crate::network::Network;
use crate::observation::DetectorReading;
use crate::units::{Interval, SegmentId, Timestamp};

const MAGIC: &[u8; 8] = b"RCSTATE\0";
const VERSION: u16 = 1;
const WHAT: &str = "state snapshot";

/// What can be set about the state room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateSettings {
    /// The congestion standard of published levels.
    pub levels: LevelStandard,
    /// How event time maps to local days.
    pub calendar: Calendar,
    /// Where the detectors stand.
    pub detectors: DetectorTable,
}

/// The memory of one segment's filter, in units of its speed limit.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Filter {
    /// Deviation of today's level from the stored profile, and its variance.
    slow: f32,
    slow_var: f32,
    /// Deviation of this minute from today's level, its variance, and their covariance.
    fast: f32,
    fast_var: f32,
    covariance: f32,
}

/// The traffic state of a network.
#[derive(Debug)]
pub struct TrafficState {
    network: Arc<Network>,
    settings: StateSettings,
    profiles: Profiles,
    filters: Vec<Filter>,
    levels: Vec<LevelMemory>,
    /// Start of the last measured minute, minutes since the epoch; `NEVER` if none.
    measured_minute: Vec<u32>,
    slot_sum_mps: Vec<f32>,
    slot_count: Vec<u32>,
    slot_start: Timestamp,
    late_part_count: u64,
}

const NEVER: u32 = u32::MAX;

impl TrafficState {
    /// Starts with nothing learnt.
    pub fn new(network: Arc<Network>, settings: StateSettings) -> Self {
        let count = network.segment_count();
        let profiles = Profiles::new(&network, settings.calendar.clone(), 0.6);
        Self {
            filters: vec![
                Filter {
                    slow_var: 0.04,
                    fast_var: 0.03,
                    ..Filter::default()
                };
                count
            ],
            levels: vec![LevelMemory::default(); count],
            measured_minute: vec![NEVER; count],
            slot_sum_mps: vec![0.0; count],
            slot_count: vec![0; count],
            slot_start: Timestamp::MIN,
            late_part_count: 0,
            network,
            settings,
            profiles,
        }
    }

    /// What is usual on each segment, as learnt so far.
    pub fn profiles(&self) -> &Profiles {
        &self.profiles
    }

    /// Takes over a profile file written by [`Profiles::save`].
    ///
    /// # Errors
    /// When the bytes are not an intact profile file of this network.
    pub fn load_profiles(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        self.profiles.load(&self.network, bytes)
    }

    /// Where the detectors stand.
    pub fn detectors(&self) -> &DetectorTable {
        &self.settings.detectors
    }

    /// Parts of stays that came after their minute had closed, since the start.
    pub fn late_part_count(&self) -> u64 {
        self.late_part_count
    }

    /// Closes one minute: takes its sums and detector readings, returns the state of every
    /// segment, measured or not.
    ///
    /// Minutes must come in order; readings of unknown detectors are ignored.
    ///
    /// # Panics
    /// When `sums` is of another network.
    pub fn close_minute(
        &mut self,
        minute: Interval,
        sums: &BinSums,
        _readings: &[DetectorReading],
    ) -> StateBatch {
        assert_eq!(
            sums.segments().len(),
            self.filters.len(),
            "sums of another network"
        );
        self.late_part_count += sums.late_part_count();
        self.roll_slot(minute.start);
        let network = Arc::clone(&self.network);
        let segments = network
            .segment_ids()
            .map(|id| self.close_segment(id, minute, sums))
            .collect();
        StateBatch {
            interval: minute,
            network: network.version(),
            segments,
        }
    }

    fn close_segment(&mut self, id: SegmentId, minute: Interval, sums: &BinSums) -> SegmentState {
        let index = id.index();
        let segment = *self.network.segment(id);
        let limit_mps = segment.limit_mps;
        let filter = &mut self.filters[index];
        let phi = 0.8f32;
        filter.fast *= phi;
        filter.covariance *= phi;
        filter.fast_var = phi * phi * filter.fast_var + 0.03 * (1.0 - phi * phi);
        filter.slow_var += 1e-5;
        let usual = self.profiles.stored_mps(index, minute.start) / limit_mps;
        let minute_index = minute.start.as_millis().div_euclid(MINUTE_MS) as u32;
        let measured = sums.get(id);
        if let Some(speed_mps) = measured.speed_mps() {
            let seconds = measured.time_ms as f32 / 1000.0;
            let noise = 0.04 / measured.vehicle_count.max(1) as f32 * (1.0 + 5.0 / seconds);
            let Filter {
                slow_var,
                fast_var,
                covariance,
                ..
            } = *filter;
            let innovation = speed_mps / limit_mps - (usual + filter.slow + filter.fast);
            let total = slow_var + fast_var + 2.0 * covariance + noise;
            let (gain_slow, gain_fast) = (
                (slow_var + covariance) / total,
                (fast_var + covariance) / total,
            );
            filter.slow += gain_slow * innovation;
            filter.fast += gain_fast * innovation;
            filter.slow_var -= gain_slow * (slow_var + covariance);
            filter.covariance -= gain_slow * (fast_var + covariance);
            filter.fast_var -= gain_fast * (fast_var + covariance);
            self.measured_minute[index] = minute_index;
            self.profiles.learn_free_flow(index, speed_mps);
            self.slot_sum_mps[index] += speed_mps;
            self.slot_count[index] += 1;
        }
        let filter = &self.filters[index];
        self.profiles.set_offset(index, filter.slow * limit_mps);
        let ratio = (usual + filter.slow + filter.fast).clamp(0.02, 1.2);
        let variance = filter.slow_var + filter.fast_var + 2.0 * filter.covariance;
        let speed_mps = ratio * limit_mps;
        let free_flow_mps = self.profiles.free_flow_at(index);
        let last = self.measured_minute[index];
        SegmentState {
            speed_mps,
            sigma_mps: variance.max(1e-4).sqrt() * limit_mps,
            free_flow_mps,
            flow_vph: None,
            density_vpkm: None,
            queue_length_m: (measured.standing_ms > 0).then_some(measured.queue_mm as f32 / 1000.0),
            level: self.levels[index].step(
                &self.settings.levels,
                segment.class(),
                speed_mps,
                free_flow_mps,
            ),
            provenance: match last {
                NEVER => Provenance::Profile,
                last if last == minute_index => Provenance::Observed,
                _ => Provenance::Estimated,
            },
            sample_count: measured.vehicle_count,
            age_s: (last != NEVER).then(|| minute_index.saturating_sub(last) * 60),
        }
    }

    /// Takes a finished five-minute slot into the profile.
    fn roll_slot(&mut self, start: Timestamp) {
        let slot_start = start.floor_to(SLOT_MS);
        if slot_start == self.slot_start {
            return;
        }
        for index in 0..self.slot_count.len() {
            if self.slot_count[index] > 0 {
                let mean_mps = self.slot_sum_mps[index] / self.slot_count[index] as f32;
                self.profiles.learn_slot(index, self.slot_start, mean_mps);
                self.slot_sum_mps[index] = 0.0;
                self.slot_count[index] = 0;
            }
        }
        self.slot_start = slot_start;
    }

    /// Appends everything needed to go on later.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, self.network.version());
        put_i64(out, self.slot_start.as_millis());
        put_u64(out, self.late_part_count);
        for filter in &self.filters {
            for value in [
                filter.slow,
                filter.slow_var,
                filter.fast,
                filter.fast_var,
                filter.covariance,
            ] {
                super::bytes::put_f32(out, value);
            }
        }
        let levels: Vec<u8> = self
            .levels
            .iter()
            .flat_map(|level| level.to_bytes())
            .collect();
        put_u8_all(out, &levels);
        put_u32_all(out, &self.measured_minute);
        put_f32_all(out, &self.slot_sum_mps);
        put_u32_all(out, &self.slot_count);
        let mut profiles = Vec::new();
        self.profiles.save(&self.network, &mut profiles);
        put_u8_all(out, &profiles);
    }

    /// Goes on where a snapshot stood; settings stay as they are.
    ///
    /// # Errors
    /// When the bytes are not an intact state snapshot of this network.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, self.network.version())?;
        let mut restored = Self::new(Arc::clone(&self.network), self.settings.clone());
        restored.slot_start = Timestamp::from_millis(reader.take_i64()?);
        restored.late_part_count = reader.take_u64()?;
        for filter in &mut restored.filters {
            for value in [
                &mut filter.slow,
                &mut filter.slow_var,
                &mut filter.fast,
                &mut filter.fast_var,
                &mut filter.covariance,
            ] {
                *value = reader.take_f32()?;
            }
        }
        let mut levels = vec![0u8; restored.levels.len() * 3];
        reader.take_u8_all(&mut levels)?;
        for (level, raw) in restored.levels.iter_mut().zip(levels.chunks_exact(3)) {
            *level = LevelMemory::from_bytes([raw[0], raw[1], raw[2]])
                .ok_or_else(|| reader.damaged())?;
        }
        reader.take_u32_all(&mut restored.measured_minute)?;
        reader.take_f32_all(&mut restored.slot_sum_mps)?;
        reader.take_u32_all(&mut restored.slot_count)?;
        let profile_bytes = reader.take_count(1)?;
        let mut profiles = vec![0u8; profile_bytes];
        for byte in &mut profiles {
            *byte = reader.take_u8()?;
        }
        reader.finish()?;
        restored.profiles.load(&self.network, &profiles)?;
        *self = restored;
        Ok(())
    }
}
