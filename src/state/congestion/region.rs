//! The figures of one region and minute: time, delay, index, accumulation, congested mileage.
//!
//! Speeds are known of every segment, if only from the profile, and each region says what share of
//! its length was observed. Flow and density are not: what needs them is summed over the segments
//! that have them, with the share of the region they are, and is absent where none has. Unknown is
//! never zero. Segments are weighted by length times lanes; the weights that GB/T 33171-2016 and
//! DB11/T 785 give to road classes are not public.

use std::sync::Arc;

use super::diagram::{COVERAGE_MIN, RegionDiagram};
use super::index::{delay_proportion, travel_time_index};
use super::regions::Region;
use super::standard::{IndexMeasure, LaneDensity, Standard};
use crate::network::{Network, Segment};
use crate::state::{Level, Provenance, SegmentState, StateBatch};

/// The figures of one region in one minute.
///
/// Invariant: every number is finite and not negative.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionIndex {
    /// Name of the region.
    pub region: Arc<str>,
    /// Length of its segments, km.
    pub length_km: f32,
    /// Length times lanes, km.
    pub lane_km: f32,
    /// Share of the length that was measured in the minute.
    pub observed_share: f32,
    /// Share of the length that was measured earlier or is estimated from neighbours; the rest is
    /// known from the profile alone.
    pub estimated_share: f32,
    /// Share of the length judged by the standard's own measure.
    pub judged_share: f32,
    /// Share of the length whose free-flow speed is the learnt one.
    pub learnt_share: f32,
    /// Mean speed over length and lanes, m/s: distance over time.
    pub speed_mps: f32,
    /// Travel time index, at least 1.
    pub tti: f32,
    /// Delay time proportion, 0 to 1.
    pub dtp: f32,
    /// Traffic performance index, 0 to 10; `None` where the standard has none.
    pub tpi: Option<f32>,
    /// Mean jam factor over length and lanes, 0 to 10.
    pub jam_factor: f32,
    /// Length at each level, km.
    pub level_km: [f32; 5],
    /// Length at each level of service of the Highway Capacity Manual, km; of freeways whose
    /// density is known.
    pub service_km: [f32; 6],
    /// Share of length times lanes with a known flow.
    pub flow_share: f32,
    /// Vehicles on the segments with a known flow; `None` where there are none.
    pub accumulation_veh: Option<f32>,
    /// Mean flow over length and lanes of the same segments, veh/h and lane.
    pub production_vph: Option<f32>,
    /// Delay of the vehicles of the same segments, vehicle hours an hour.
    pub delay_vehh_per_h: Option<f32>,
    /// Vehicles in the whole region at which its production is highest; `None` before its diagram
    /// has shown both branches.
    pub critical_veh: Option<f32>,
    /// Accumulation over the critical one, both per lane; `None` where either is unknown.
    pub critical_ratio: Option<f32>,
    /// Distinct road users on a single segment, the most of all segments.
    pub most_samples: u32,
    /// Distinct road users of each segment, summed.
    pub samples: u64,
    /// Whether detectors counted on every segment with a known flow.
    pub is_counted: bool,
}

impl RegionIndex {
    /// Length at level 3 or worse, km.
    pub fn congested_km(&self) -> f32 {
        self.level_km[2..].iter().sum()
    }

    /// Length at level 4 or worse, km.
    pub fn jammed_km(&self) -> f32 {
        self.level_km[3..].iter().sum()
    }

    /// Share of the length at the worst level.
    pub fn severe_share(&self) -> f32 {
        self.level_km[Level::Severe as usize - 1] / self.length_km.max(f32::MIN_POSITIVE)
    }
}

/// Sums over the segments of a region.
#[derive(Clone, Copy, Debug, Default)]
struct Sums {
    observed_m: f64,
    estimated_m: f64,
    judged_m: f64,
    learnt_m: f64,
    level_m: [f64; 5],
    service_m: [f64; 6],
    lane_m: f64,
    /// Time over each lane's length, s.
    lane_s: f64,
    /// The same in free flow, and never longer than the time.
    free_lane_s: f64,
    factor_lane_m: f64,
    flow_lane_m: f64,
    vehicles: f64,
    /// Flow times length, veh/h m.
    flow_m: f64,
    delay_vehh_per_h: f64,
    most_samples: u32,
    samples: u64,
    uncounted: bool,
}

/// What one segment adds to the sums of the day.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct SegmentMinute {
    /// Time to travel it, s.
    pub(super) time_s: f32,
    /// Delay against free flow, s, at least 0.
    pub(super) delay_s: f32,
    /// Jam factor.
    pub(super) factor: f32,
    /// Whether the standard's own measure judged it.
    pub(super) is_judged: bool,
}

impl SegmentMinute {
    pub(super) fn of(standard: &Standard, segment: &Segment, state: &SegmentState) -> Self {
        let speed_mps = state.speed_mps.max(0.1);
        let free_flow_mps = state.free_flow_mps.max(0.1);
        let time_s = segment.length_m / speed_mps;
        Self {
            time_s,
            delay_s: (time_s - segment.length_m / free_flow_mps).max(0.0),
            factor: standard.jam_factor.at(speed_mps / free_flow_mps),
            is_judged: false,
        }
    }

    /// Delay of all vehicles of a segment, vehicle hours an hour; `None` without a flow.
    pub(super) fn delay_vehh_per_h(&self, state: &SegmentState) -> Option<f32> {
        state
            .flow_vph
            .map(|flow_vph| self.delay_s * flow_vph / 3600.0)
    }
}

impl Sums {
    fn add(
        &mut self,
        segment: &Segment,
        state: &SegmentState,
        minute: &SegmentMinute,
        services: &LaneDensity,
    ) {
        let length_m = f64::from(segment.length_m);
        let lanes = f64::from(segment.lanes.max(1));
        match state.provenance {
            Provenance::Observed => self.observed_m += length_m,
            Provenance::Estimated => self.estimated_m += length_m,
            Provenance::Profile => {}
        }
        self.level_m[state.level as usize - 1] += length_m;
        if minute.is_judged {
            self.judged_m += length_m;
        }
        if state.is_free_flow_learnt {
            self.learnt_m += length_m;
        }
        self.lane_m += length_m * lanes;
        self.lane_s += f64::from(minute.time_s) * lanes;
        self.free_lane_s += f64::from(minute.time_s - minute.delay_s) * lanes;
        self.factor_lane_m += f64::from(minute.factor) * length_m * lanes;
        self.most_samples = self.most_samples.max(state.sample_count);
        self.samples += u64::from(state.sample_count);
        if let (Some(flow_vph), Some(density_vpkm)) = (state.flow_vph, state.density_vpkm) {
            self.flow_lane_m += length_m * lanes;
            self.vehicles += f64::from(density_vpkm) * length_m / 1000.0;
            self.flow_m += f64::from(flow_vph) * length_m;
            self.delay_vehh_per_h += f64::from(minute.delay_s * flow_vph) / 3600.0;
            self.uncounted |= !state.is_counted;
            if services.applies(segment) {
                let per_lane = density_vpkm / lanes as f32;
                self.service_m[services.service(per_lane, false) as usize] += length_m;
            }
        }
    }
}

/// The figures of a region in a closed minute whose levels stand; its diagram takes the minute.
pub(super) fn region_index(
    network: &Network,
    region: &Region,
    standard: &Standard,
    services: &LaneDensity,
    (batch, minutes): (&StateBatch, &[SegmentMinute]),
    diagram: &mut RegionDiagram,
) -> RegionIndex {
    let mut sums = Sums::default();
    for &id in &region.segments {
        let index = id.index();
        let state = &batch.segments[index];
        sums.add(network.segment(id), state, &minutes[index], services);
    }
    let length_m = region.length_km * 1000.0;
    let share = |part_m: f64| (part_m / length_m).min(1.0) as f32;
    let dtp = delay_proportion(sums.lane_s, sums.free_lane_s);
    let jam_factor = (sums.factor_lane_m / sums.lane_m) as f32;
    let level_km = sums.level_m.map(|m| (m / 1000.0) as f32);
    let tpi = match &standard.index {
        IndexMeasure::DelayProportion(curve) => Some(curve.at(dtp)),
        IndexMeasure::SevereMileage(curve) => {
            Some(curve.at(share(sums.level_m[Level::Severe as usize - 1])))
        }
        IndexMeasure::JamFactor => Some(jam_factor),
        IndexMeasure::None => None,
    };
    let flow_share = (sums.flow_lane_m / sums.lane_m).min(1.0) as f32;
    let is_known = sums.flow_lane_m > 0.0;
    let density_vpkm = (sums.vehicles / (sums.flow_lane_m / 1000.0)) as f32;
    let production_vph = (sums.flow_m / sums.flow_lane_m) as f32;
    if is_known && flow_share >= COVERAGE_MIN {
        diagram.add(density_vpkm, production_vph);
    }
    let critical_vpkm = diagram.critical().map(|point| point.density_vpkm);
    RegionIndex {
        region: region.name.clone(),
        length_km: region.length_km as f32,
        lane_km: region.lane_km as f32,
        observed_share: share(sums.observed_m),
        estimated_share: share(sums.estimated_m),
        judged_share: share(sums.judged_m),
        learnt_share: share(sums.learnt_m),
        speed_mps: (sums.lane_m / sums.lane_s) as f32,
        tti: travel_time_index(sums.lane_s, sums.free_lane_s),
        dtp,
        tpi,
        jam_factor,
        level_km,
        service_km: sums.service_m.map(|m| (m / 1000.0) as f32),
        flow_share,
        accumulation_veh: is_known.then_some(sums.vehicles as f32),
        production_vph: is_known.then_some(production_vph),
        delay_vehh_per_h: is_known.then_some(sums.delay_vehh_per_h as f32),
        critical_veh: critical_vpkm.map(|vpkm| vpkm * region.lane_km as f32),
        critical_ratio: critical_vpkm
            .filter(|_| is_known && flow_share >= COVERAGE_MIN)
            .map(|vpkm| density_vpkm / vpkm),
        most_samples: sums.most_samples,
        samples: sums.samples,
        is_counted: is_known && !sums.uncounted,
    }
}
