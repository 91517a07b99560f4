//! The state of every segment, minute by minute: filters, what is usual, neighbours, detectors.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::calendar::Calendar;
use super::detector::DetectorTable;
use super::filter::{
    Estimate, FREEWAY, Filter, FilterParams, Kept, Measurement, ProbeSums, SIGNALISED, UNSIGNALISED,
};
use super::pace::mean_speed_mps;
use super::prior::{LevelPrior, LevelSums};
use super::profile::{Profiles, SLOT_MS};
use super::readings::{SegmentReading, gather};
use super::sums::BinSums;
use super::usual::UsualSpeeds;
use super::vetting::Detected;
use super::{MINUTE_MS, SegmentSums, SnapshotError, StateBatch};
use crate::network::{Network, RoadClass, Segment};
use crate::observation::DetectorReading;
use crate::units::{Interval, SegmentId, Timestamp};

/// Marks a segment that was never measured.
pub(super) const NEVER: u32 = u32::MAX;

/// What is left of the exponential sum of seen vehicles after a minute: half an hour.
const SEEN_KEPT: f32 = 0.97;

/// Vehicles that detectors must have counted before the probe share is believed.
const COUNTED_MIN: f32 = 200.0;

/// What can be set about the state room.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct StateSettings {
    /// How event time maps to local days.
    pub calendar: Calendar,
    /// Where the detectors stand.
    pub detectors: DetectorTable,
}

/// What one segment's memory and the minute came to, before neighbours.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Draft {
    pub(super) estimate: Estimate,
    /// Deviation that neighbours may share; 0 weight when not measured.
    pub(super) measured: bool,
}

/// The traffic state of a network.
#[derive(Debug)]
pub struct TrafficState {
    pub(super) network: Arc<Network>,
    pub(super) settings: StateSettings,
    pub(super) profiles: Profiles,
    pub(super) prior: LevelPrior,
    pub(super) filters: Vec<Filter>,
    /// Last measured minute, minutes since the epoch; [`NEVER`] if none.
    pub(super) measured_minute: Vec<u32>,
    /// Mean of each segment's point detectors over the limit; 0 without.
    pub(super) point_mean: Vec<f32>,
    pub(super) slot_sum_spm: Vec<f32>,
    pub(super) slot_count: Vec<u32>,
    pub(super) slot_start: Timestamp,
    pub(super) last_minute: Option<Timestamp>,
    /// Sum of the weights behind [`Filter::seen_rate`].
    pub(super) seen_weight: f32,
    /// Vehicles counted by detectors, and probes that passed there.
    pub(super) counted: f32,
    pub(super) counted_probes: f32,
    pub(super) late_part_count: u64,
    pub(super) drafts: Vec<Draft>,
    pub(super) readings: Vec<SegmentReading>,
}

impl TrafficState {
    /// Starts with nothing learnt.
    pub fn new(network: Arc<Network>, settings: StateSettings) -> Self {
        let count = network.segment_count();
        let prior = LevelPrior::new(network.segments());
        let levels: Vec<f32> = network
            .segments()
            .iter()
            .enumerate()
            .map(|(index, segment)| prior.level(index, segment) * segment.limit_mps)
            .collect();
        let filters = network
            .segments()
            .iter()
            .map(|segment| Filter::new(params_of(segment)))
            .collect();
        Self {
            profiles: Profiles::new(&network, settings.calendar.clone(), levels),
            prior,
            filters,
            measured_minute: vec![NEVER; count],
            point_mean: vec![0.0; count],
            slot_sum_spm: vec![0.0; count],
            slot_count: vec![0; count],
            slot_start: Timestamp::MIN,
            last_minute: None,
            seen_weight: 0.0,
            counted: 0.0,
            counted_probes: 0.0,
            late_part_count: 0,
            drafts: vec![Draft::default(); count],
            readings: Vec::new(),
            network,
            settings,
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
        self.profiles.load(&self.network, bytes)?;
        self.profiles.begin_today();
        Ok(())
    }

    /// Starts from what is usual as somebody else has learnt it, where nothing is learnt yet.
    ///
    /// # Panics
    /// When it tells of another number of segments.
    pub fn start_from(&mut self, usual: &UsualSpeeds) {
        self.profiles.start_from(usual);
    }

    /// Memory kept a segment between minutes, bytes: arrays of this room and what the profiles hold
    /// beside their slots.
    pub fn segment_bytes(&self) -> usize {
        let bytes = size_of_val(&*self.filters)
            + size_of_val(&*self.measured_minute)
            + size_of_val(&*self.point_mean)
            + size_of_val(&*self.slot_sum_spm)
            + size_of_val(&*self.slot_count)
            + size_of_val(&*self.drafts)
            + self.prior.bytes()
            + self.profiles.bytes_beside_slots();
        bytes.div_ceil(self.filters.len().max(1))
    }

    /// The network whose state it is.
    pub fn network(&self) -> &Network {
        &self.network
    }

    /// The speed expected of a segment in the minute to be closed next, and the standard deviation
    /// of that, m/s.
    pub(super) fn expected_mps(&self, segment: SegmentId) -> (f32, f32) {
        let index = segment.index();
        let about = self.network.segment(segment);
        let next = self.last_minute.map(|last| last.plus_millis(MINUTE_MS));
        let slot = self.profiles.slot_at(next.unwrap_or(Timestamp::MIN));
        let usual = self.profiles.stored_at(index, slot).speed_mps / about.limit_mps;
        let (ratio, variance) = self.filters[index].expected(params_of(about), usual);
        (ratio * about.limit_mps, variance.sqrt() * about.limit_mps)
    }

    /// What the detectors of each segment counted in `minute`.
    pub(super) fn detected(
        &self,
        minute: Interval,
        readings: &[DetectorReading],
    ) -> BTreeMap<SegmentId, Detected> {
        let mut gathered = Vec::new();
        let table = &self.settings.detectors;
        gather(&self.network, table, minute, readings, &mut gathered);
        let counted = gathered
            .iter()
            .map(|reading| (reading.segment, reading.detected()));
        counted.collect()
    }

    /// How event time maps to local days.
    pub fn calendar(&self) -> &Calendar {
        &self.settings.calendar
    }

    /// Where the detectors stand.
    pub fn detectors(&self) -> &DetectorTable {
        &self.settings.detectors
    }

    /// Parts of stays that came after their minute had closed, since the start.
    pub fn late_part_count(&self) -> u64 {
        self.late_part_count
    }

    /// Share of the vehicles that are probes, learnt where detectors count; `None` before enough
    /// were counted.
    pub fn probe_share(&self) -> Option<f32> {
        (self.counted >= COUNTED_MIN && self.counted_probes > 0.0)
            .then(|| (self.counted_probes / self.counted).min(1.0))
    }

    /// Closes one minute: takes its sums and detector readings, returns the state of every
    /// segment, measured or not.
    ///
    /// Minutes must come in order. Readings belong to the minute in which they end; those of
    /// unknown detectors are ignored.
    ///
    /// # Panics
    /// When `sums` is of another network.
    pub fn close_minute(
        &mut self,
        minute: Interval,
        sums: &BinSums,
        readings: &[DetectorReading],
    ) -> StateBatch {
        assert_eq!(
            sums.segments().len(),
            self.filters.len(),
            "sums of another network"
        );
        self.late_part_count += sums.late_part_count();
        self.roll_slot(minute.start);
        let network = Arc::clone(&self.network);
        let mut gathered = std::mem::take(&mut self.readings);
        gather(
            &network,
            &self.settings.detectors,
            minute,
            readings,
            &mut gathered,
        );
        self.readings = gathered;
        self.profiles.move_to(self.profiles.slot_at(minute.start));
        self.filter_minute(&network, minute, sums);
        let segments = self.publish_minute(&network, minute, sums);
        self.last_minute = Some(minute.start);
        StateBatch {
            interval: minute,
            network: network.version(),
            segments,
        }
    }

    /// Minutes from the one closed last to the one that begins at `start`, one at least.
    pub(super) fn minutes_until(&self, start: Timestamp) -> f32 {
        let minutes = |last| (start.millis_since(last) / MINUTE_MS).clamp(1, 1_000_000);
        self.last_minute.map_or(1, minutes) as f32
    }

    /// Runs every filter over the minute and learns what to expect of unseen segments.
    fn filter_minute(&mut self, network: &Network, minute: Interval, sums: &BinSums) {
        let minutes = self.minutes_until(minute.start);
        let [signalised, freeway, other] =
            [&SIGNALISED, &FREEWAY, &UNSIGNALISED].map(|params| Kept::after(params, minutes));
        let seen_kept = SEEN_KEPT.powf(minutes);
        let seen_weight = self.seen_weight.max(1.0);
        let minute_index = minute_index(minute.start);
        let slot = self.profiles.slot_at(minute.start);
        let mut level_sums = LevelSums::default();
        let mut next_reading = 0;
        for (index, segment) in network.segments().iter().enumerate() {
            let reading = self.readings.get(next_reading).copied();
            let reading = reading.filter(|reading| reading.segment.index() == index);
            next_reading += usize::from(reading.is_some());
            let measured = &sums.segments()[index];
            let params = params_of(segment);
            let was_seen = self.measured_minute[index] != NEVER;
            let usual = self.profiles.stored_at(index, slot).speed_mps / segment.limit_mps;
            let kept = match () {
                () if segment.is_signalised() => &signalised,
                () if is_freeway(segment) => &freeway,
                () => &other,
            };
            self.filters[index].predict(params, kept, usual, was_seen);
            let measurement = self.measure(index, segment, usual, measured, reading.as_ref());
            let filter = &mut self.filters[index];
            let estimate = match measurement {
                Some(measurement) => filter.update(params, usual, &measurement),
                None if was_seen => filter.unmeasured(
                    params,
                    usual,
                    filter.seen_rate / seen_weight,
                    segment.length_m / segment.limit_mps,
                ),
                None => filter.unmeasured(params, usual, 0.0, 0.0),
            };
            let filter = &mut self.filters[index];
            filter.seen_rate = filter.seen_rate * seen_kept + measured.vehicle_count as f32;
            self.drafts[index] = Draft {
                estimate,
                measured: measurement.is_some(),
            };
            if measurement.is_some() {
                self.measured_minute[index] = minute_index;
            }
            if was_seen || measurement.is_some() {
                let level = usual + filter.slow;
                let prior = &self.prior;
                prior.add(&mut level_sums, index, segment, level, filter.slow_var);
            }
        }
        self.seen_weight = self.seen_weight * seen_kept + 1.0;
        self.prior.learn(&level_sums);
    }

    /// What the minute says about one segment's speed, all sources together.
    fn measure(
        &mut self,
        index: usize,
        segment: &Segment,
        usual: f32,
        measured: &SegmentSums,
        reading: Option<&SegmentReading>,
    ) -> Option<Measurement> {
        let params = params_of(segment);
        let mut fused = measured.speed_mps().map(|speed_mps| {
            Filter::weigh_probes(
                params,
                &ProbeSums {
                    ratio: speed_mps / segment.limit_mps,
                    vehicle_count: measured.vehicle_count as f32,
                    time_s: measured.time_ms as f32 / 1000.0,
                    effective_count: (measured.time_ms as f64).powi(2) as f32
                        / (measured.squared_time_ms2 as f32).max(1.0),
                },
                self.filters[index].expected(params, usual).0,
            )
        });
        let Some(reading) = reading else { return fused };
        if let Some(area) = reading.area_measurement(segment) {
            fused = Some(area.fuse(fused));
        } else if let Some(ratio) = reading.point_ratio(segment) {
            let level = usual + self.filters[index].slow;
            let mean = self.point_mean[index];
            if let Some(point) = reading.point_measurement(segment, level, mean)
                && (mean > 0.0 || !segment.is_signalised())
            {
                fused = Some(point.fuse(fused));
            }
            self.point_mean[index] = SegmentReading::next_point_mean(mean, ratio);
        }
        if let Some(flow_vph) = reading.flow_vph(segment) {
            self.counted += flow_vph / 60.0;
            self.counted_probes += measured.pass_count as f32;
        }
        fused
    }

    /// Takes a finished five-minute slot into the profile.
    fn roll_slot(&mut self, start: Timestamp) {
        let slot_start = start.floor_to(SLOT_MS);
        if slot_start == self.slot_start {
            return;
        }
        self.profiles.settle(slot_start);
        for index in 0..self.slot_count.len() {
            if self.slot_count[index] > 0 {
                let (sum_spm, minutes) = (self.slot_sum_spm[index], self.slot_count[index] as f32);
                let mean_mps = mean_speed_mps(sum_spm, minutes);
                self.profiles.learn_slot(index, self.slot_start, mean_mps);
                self.slot_sum_spm[index] = 0.0;
                self.slot_count[index] = 0;
            }
        }
        self.slot_start = slot_start;
    }
}

/// The filter constants for a segment.
fn params_of(segment: &Segment) -> &'static FilterParams {
    if segment.is_signalised() {
        &SIGNALISED
    } else if is_freeway(segment) {
        &FREEWAY
    } else {
        &UNSIGNALISED
    }
}

/// Whether jams on a segment run as on freeways: a motorway or trunk road without a signal.
pub(super) fn is_freeway(segment: &Segment) -> bool {
    !segment.is_signalised() && matches!(segment.class(), RoadClass::Motorway | RoadClass::Trunk)
}

pub(super) fn minute_index(start: Timestamp) -> u32 {
    start.as_millis().div_euclid(MINUTE_MS) as u32
}
