//! The state of every segment, minute by minute: filters, what is usual, neighbours, detectors.

use std::sync::Arc;

use super::detector::DetectorTable;
use super::filter::{
    Estimate, Filter, FilterParams, Kept, Measurement, ProbeSums, SIGNALISED, UNSIGNALISED,
    published_sigma,
};
use super::level::{LevelMemory, LevelStandard};
use super::prior::{LevelPrior, LevelSums};
use super::profile::{Calendar, Profiles, SLOT_MS};
use super::readings::{SegmentReading, gather};
use super::sums::BinSums;
use super::{MINUTE_MS, Provenance, SegmentState, SegmentSums, SnapshotError, StateBatch};
use crate::network::{Network, RoadClass, Segment};
use crate::observation::DetectorReading;
use crate::units::{Interval, SegmentId, Timestamp};

/// Marks a segment that was never measured.
pub(super) const NEVER: u32 = u32::MAX;

/// What is left of the exponential sum of seen vehicles after a minute: half an hour.
const SEEN_KEPT: f32 = 0.97;

/// Share of a neighbour's deviation that an unmeasured segment shares, across junctions without a
/// signal (methods of this project: 0.5; behind signals no gain was measurable).
const NEIGHBOUR_SHARE: f32 = 0.5;

/// Weight of "the neighbours say nothing", in measured neighbours.
const NEIGHBOUR_PRIOR: f32 = 0.5;

/// Slowest and fastest published speed in units of the limit: somebody always creeps, and the
/// mean of a minute hardly exceeds the limit by more (chosen).
const RATIO_MIN: f32 = 0.02;
const RATIO_MAX: f32 = 1.15;

/// Vehicles that detectors must have counted before the probe share is believed.
const COUNTED_MIN: f32 = 200.0;

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

/// What one segment's memory and the minute came to, before neighbours.
#[derive(Clone, Copy, Debug, Default)]
struct Draft {
    estimate: Estimate,
    /// Deviation that neighbours may share; 0 weight when not measured.
    measured: bool,
}

/// The traffic state of a network.
#[derive(Debug)]
pub struct TrafficState {
    pub(super) network: Arc<Network>,
    pub(super) settings: StateSettings,
    pub(super) profiles: Profiles,
    pub(super) prior: LevelPrior,
    pub(super) filters: Vec<Filter>,
    pub(super) levels: Vec<LevelMemory>,
    /// Last measured minute, minutes since the epoch; [`NEVER`] if none.
    pub(super) measured_minute: Vec<u32>,
    /// Mean of each segment's point detectors over the limit; 0 without.
    pub(super) point_mean: Vec<f32>,
    pub(super) slot_sum_mps: Vec<f32>,
    pub(super) slot_count: Vec<u32>,
    pub(super) slot_start: Timestamp,
    pub(super) last_minute: Option<Timestamp>,
    /// Sum of the weights behind [`Filter::seen_rate`].
    pub(super) seen_weight: f32,
    /// Vehicles counted by detectors, and probes that passed there.
    pub(super) counted: f32,
    pub(super) counted_probes: f32,
    pub(super) late_part_count: u64,
    drafts: Vec<Draft>,
    readings: Vec<SegmentReading>,
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
            levels: vec![LevelMemory::default(); count],
            measured_minute: vec![NEVER; count],
            point_mean: vec![0.0; count],
            slot_sum_mps: vec![0.0; count],
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
        self.filter_minute(&network, minute, sums);
        let segments = self.publish_minute(&network, minute, sums);
        self.last_minute = Some(minute.start);
        StateBatch {
            interval: minute,
            network: network.version(),
            segments,
        }
    }

    /// Runs every filter over the minute and learns what to expect of unseen segments.
    fn filter_minute(&mut self, network: &Network, minute: Interval, sums: &BinSums) {
        let minutes = self.last_minute.map_or(1, |last| {
            (minute.start.millis_since(last) / MINUTE_MS).clamp(1, 1_000_000)
        }) as f32;
        let kept = Kept::after(minutes);
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
            self.filters[index].predict(params, &kept, was_seen);
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

    /// Moves levels to what was learnt, asks neighbours where nothing was measured, and writes the
    /// minute's states.
    fn publish_minute(
        &mut self,
        network: &Network,
        minute: Interval,
        sums: &BinSums,
    ) -> Vec<SegmentState> {
        let slot = self.profiles.slot_at(minute.start);
        let mut next_reading = 0;
        let mut states = Vec::with_capacity(network.segment_count());
        for (index, segment) in network.segments().iter().enumerate() {
            let limit_mps = segment.limit_mps;
            let level_mps = self.prior.level(index, segment) * limit_mps;
            self.filters[index].slow += self.profiles.move_level(index, slot, level_mps)
                * (self.filters[index].prior_share() - 1.0)
                / limit_mps;
            let slow = self.filters[index].slow;
            self.profiles.set_offset(index, slow * limit_mps);
            let usual = self.profiles.stored_at(index, slot).speed_mps / limit_mps;
            let draft = self.drafts[index];
            let id = SegmentId(index as u32);
            let shared = if draft.measured || segment.is_signalised() {
                0.0
            } else {
                self.neighbour_deviation(network, id)
            };
            let ratio =
                (usual + slow + draft.estimate.deviation + shared).clamp(RATIO_MIN, RATIO_MAX);
            let sigma = published_sigma(ratio, draft.estimate.variance);
            let reading = self.readings.get(next_reading).copied();
            let reading = reading.filter(|reading| reading.segment == id);
            next_reading += usize::from(reading.is_some());
            let speeds = (ratio * limit_mps, sigma * limit_mps);
            let measured = sums.get(id);
            states.push(self.state_of(segment, id, minute, speeds, measured, reading.as_ref()));
        }
        states
    }

    /// How far measured neighbours across junctions without signals are from their own usual,
    /// shared: the precision of one's own estimate is left out because nothing was measured here.
    fn neighbour_deviation(&self, network: &Network, id: SegmentId) -> f32 {
        let (mut sum, mut weight) = (0.0f32, 0.0f32);
        let mut take = |other: SegmentId| {
            let draft = &self.drafts[other.index()];
            if draft.measured {
                sum += draft.estimate.deviation;
                weight += 1.0;
            }
        };
        for movement in network.movements_from(id) {
            take(movement.to());
        }
        for movement in network.movements_into(id) {
            if !network.segment(movement.from()).is_signalised() {
                take(movement.from());
            }
        }
        let share = match network.segment(id).class() {
            RoadClass::Motorway | RoadClass::Trunk => NEIGHBOUR_SHARE,
            _ => 0.5 * NEIGHBOUR_SHARE,
        };
        share * sum / (weight + NEIGHBOUR_PRIOR)
    }

    fn state_of(
        &mut self,
        segment: &Segment,
        id: SegmentId,
        minute: Interval,
        (speed_mps, sigma_mps): (f32, f32),
        measured: &SegmentSums,
        reading: Option<&SegmentReading>,
    ) -> SegmentState {
        let index = id.index();
        let minute_index = minute_index(minute.start);
        let last = self.measured_minute[index];
        let is_measured = last == minute_index;
        if is_measured {
            self.profiles.learn_free_flow(index, speed_mps);
            self.slot_sum_mps[index] += speed_mps;
            self.slot_count[index] += 1;
        }
        let free_flow_mps = self.profiles.free_flow_at(index);
        let standard = &self.settings.levels;
        let flow_vph = reading
            .and_then(|reading| reading.flow_vph(segment))
            .or_else(|| self.probe_flow_vph(index));
        let level = self.levels[index].step(standard, segment.class(), speed_mps, free_flow_mps);
        SegmentState {
            speed_mps,
            sigma_mps,
            free_flow_mps,
            flow_vph,
            density_vpkm: flow_vph.map(|flow_vph| flow_vph / (speed_mps * 3.6)),
            queue_length_m: queue_of(measured, reading),
            level,
            provenance: match last {
                NEVER => Provenance::Profile,
                _ if is_measured => Provenance::Observed,
                _ => Provenance::Estimated,
            },
            sample_count: measured.vehicle_count,
            age_s: (last != NEVER).then(|| minute_index.saturating_sub(last) * 60),
        }
    }

    /// Flow from the rate of probes and their share of all vehicles.
    fn probe_flow_vph(&self, index: usize) -> Option<f32> {
        let share = self.probe_share()?;
        let rate = self.filters[index].seen_rate / self.seen_weight.max(1.0);
        (self.measured_minute[index] != NEVER).then(|| rate * 60.0 / share)
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
}

/// The filter constants for a segment.
fn params_of(segment: &Segment) -> &'static FilterParams {
    if segment.is_signalised() {
        &SIGNALISED
    } else {
        &UNSIGNALISED
    }
}

fn minute_index(start: Timestamp) -> u32 {
    start.as_millis().div_euclid(MINUTE_MS) as u32
}

/// The queue from the end of a segment: what detectors say, else the farthest standing vehicle,
/// else none if vehicles passed freely.
fn queue_of(measured: &SegmentSums, reading: Option<&SegmentReading>) -> Option<f32> {
    let seen_m = if measured.standing_ms > 0 {
        Some(measured.queue_mm as f32 / 1000.0)
    } else if measured.pass_count > 0 {
        Some(0.0)
    } else {
        None
    };
    let detected_m = reading.and_then(|reading| reading.queue_m);
    match (seen_m, detected_m) {
        (Some(seen_m), Some(detected_m)) => Some(seen_m.max(detected_m)),
        (seen_m, detected_m) => seen_m.or(detected_m),
    }
}
