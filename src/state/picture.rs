//! The picture of a closed minute: neighbours, sigma, queue, flow, provenance.
//!
//! Which level of congestion that is, `congestion` says.
//!
//! It reads what the filters came to and changes nothing they rest on but the level that unseen
//! segments start from.

use super::filter::published_sigma;
use super::pace::pace_spm;
use super::readings::SegmentReading;
use super::traffic::{NEVER, TrafficState, is_freeway, minute_index};
use super::{BinSums, Doubt, Provenance, SegmentState, SegmentSums};
use crate::network::{Network, RoadClass, Segment};
use crate::units::{Interval, SegmentId};

/// Share of a neighbour's deviation that an unmeasured segment shares, across junctions without a
/// signal (methods of this project: 0.5; behind signals no gain was measurable).
const NEIGHBOUR_SHARE: f32 = 0.5;

/// The same on freeways, where it is weighed by how sure the neighbours and the segment itself are.
const FREEWAY_NEIGHBOUR_SHARE: f32 = 0.9;

/// Variance of one freeway segment's deviation around its neighbour's, in units of the limit.
const FREEWAY_NEIGHBOUR_VAR: f32 = 0.05;

/// Weight of "the neighbours say nothing", in measured neighbours.
const NEIGHBOUR_PRIOR: f32 = 0.5;

/// Slowest and fastest published speed in units of the limit: somebody always creeps, and the
/// mean of a minute hardly exceeds the limit by more (chosen).
const RATIO_MIN: f32 = 0.02;
const RATIO_MAX: f32 = 1.15;

impl TrafficState {
    /// Moves levels to what was learnt, asks neighbours where nothing was measured, and writes the
    /// minute's states.
    pub(super) fn publish_minute(
        &mut self,
        network: &Network,
        minute: Interval,
        sums: &BinSums,
    ) -> Vec<SegmentState> {
        let slot = self.profiles.slot_at(minute.start);
        self.profiles.forget_today(self.minutes_until(minute.start));
        let mut next_reading = 0;
        let mut states = Vec::with_capacity(network.segment_count());
        for (index, segment) in network.segments().iter().enumerate() {
            let limit_mps = segment.limit_mps;
            let level_mps = self.prior.level(index, segment) * limit_mps;
            self.filters[index].slow += self.profiles.move_level(index, slot, level_mps)
                * (self.filters[index].prior_share() - 1.0)
                / limit_mps;
            let slow = self.filters[index].slow;
            let stored_mps = self.profiles.stored_at(index, slot).speed_mps;
            let usual = stored_mps / limit_mps;
            let draft = self.drafts[index];
            let id = SegmentId(index as u32);
            let shared = if is_freeway(segment) {
                self.follow_neighbours(network, id)
            } else if draft.measured || segment.is_signalised() {
                0.0
            } else {
                self.neighbour_deviation(network, id)
            };
            let ratio =
                (usual + slow + draft.estimate.deviation + shared).clamp(RATIO_MIN, RATIO_MAX);
            let sigma = published_sigma(ratio, draft.estimate.variance, draft.measured);
            let reading = self.readings.get(next_reading).copied();
            let reading = reading.filter(|reading| reading.segment == id);
            next_reading += usize::from(reading.is_some());
            let speeds = (ratio * limit_mps, sigma * limit_mps);
            let usual = usual.clamp(RATIO_MIN, RATIO_MAX);
            let usual_sigma = published_sigma(usual, f32::MAX, true);
            let measured = sums.get(id);
            if draft.measured {
                let flow_vph = reading.and_then(|reading| reading.flow_vph(segment));
                let counted = flow_vph.unwrap_or(0.0) / 60.0;
                let users = counted.max(measured.vehicle_count as f32).max(1.0);
                self.profiles
                    .learn_today(index, stored_mps, speeds.0, users);
            }
            states.push(SegmentState {
                usual_mps: usual * limit_mps,
                usual_sigma_mps: usual_sigma * limit_mps,
                ..self.state_of(segment, id, minute, speeds, measured, reading.as_ref())
            });
        }
        states
    }

    /// What the deviations of a freeway's neighbours add to its own.
    fn follow_neighbours(&self, network: &Network, id: SegmentId) -> f32 {
        let (mut sum, mut weight) = (0.0f32, 0.0f32);
        let mut take = |other: SegmentId| {
            if is_freeway(network.segment(other)) {
                let filter = &self.filters[other.index()];
                let precision = 1.0 / (filter.deviation_var() + FREEWAY_NEIGHBOUR_VAR);
                sum += precision * (filter.slow + filter.fast);
                weight += precision;
            }
        };
        for movement in network.movements_from(id) {
            take(movement.to());
        }
        for movement in network.movements_into(id) {
            take(movement.from());
        }
        if weight <= 0.0 {
            return 0.0;
        }
        let filter = &self.filters[id.index()];
        let variance = filter.deviation_var();
        let gain = variance / (variance + 1.0 / weight + FREEWAY_NEIGHBOUR_VAR);
        let own = filter.slow + filter.fast;
        gain * (FREEWAY_NEIGHBOUR_SHARE * sum / weight - own)
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
            self.slot_sum_spm[index] += pace_spm(speed_mps);
            self.slot_count[index] += 1;
        }
        let free_flow_mps = self.profiles.free_flow_at(index);
        let flow_vph = reading
            .and_then(|reading| reading.flow_vph(segment))
            .or_else(|| self.probe_flow_vph(index));
        SegmentState {
            speed_mps,
            sigma_mps,
            free_flow_mps,
            flow_vph,
            density_vpkm: flow_vph.map(|flow_vph| flow_vph / (speed_mps * 3.6)),
            queue_length_m: queue_of(measured, reading),
            provenance: match last {
                NEVER => Provenance::Profile,
                _ if is_measured => Provenance::Observed,
                _ => Provenance::Estimated,
            },
            sample_count: measured.vehicle_count,
            view_count: u8::from(measured.vehicle_count > 0) + u8::from(reading.is_some()),
            doubt: Doubt::None,
            age_s: (last != NEVER).then(|| minute_index.saturating_sub(last) * 60),
            is_counted: reading.is_some(),
            ..SegmentState::default()
        }
    }

    /// Flow from the rate of probes and their share of all vehicles.
    fn probe_flow_vph(&self, index: usize) -> Option<f32> {
        let share = self.probe_share()?;
        let rate = self.filters[index].seen_rate / self.seen_weight.max(1.0);
        (self.measured_minute[index] != NEVER).then(|| rate * 60.0 / share)
    }
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
