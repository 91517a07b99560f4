//! The release rule: what becomes of a value before it leaves.
//!
//! Every way out takes what is [`Released`], which only [`Release`] makes: MQTT, HTTP and the live
//! map, and files of a replay with `--released`. The rule judges by the numbers of road users that
//! the engine gives and by where something is; it knows no road user. Who is near an end of a trip
//! or in a zone is left out before, in `matching::Presence`. Why, and what it cannot do:
//! docs/privacy.md.

use std::ops::Deref;
use std::sync::Arc;

use super::format::Privacy;
use crate::forecast::{
    FlowBatch, ForecastBatch, HALF_HOUR_COUNT, NORMAL_P90, OutlookBatch, STEP_COUNT, Speaker,
    SpeedQuantiles,
};
use crate::guide::{Evidence, Guidance, GuidanceKind};
use crate::matching::Zones;
use crate::network::Network;
use crate::state::congestion::{CongestionBatch, DayReport, RegionIndex};
use crate::state::{
    IncidentChange, IncidentEvidence, Level, PerformanceBatch, Provenance, SegmentState, StateBatch,
};
use crate::units::SegmentId;

/// Something as it may leave.
#[derive(Debug)]
pub struct Released<T>(Arc<T>);

impl<T> Clone for Released<T> {
    fn clone(&self) -> Self {
        Self(Arc::clone(&self.0))
    }
}

impl<T> Deref for Released<T> {
    type Target = T;

    fn deref(&self) -> &T {
        &self.0
    }
}

/// The rule. It remembers nothing, so that a restart changes nothing of what leaves.
#[derive(Clone, Debug)]
pub struct Release {
    privacy: Privacy,
    zones: Zones,
}

impl Release {
    /// Values of groups as `privacy` says, and of `zones` only what is usual.
    pub fn new(privacy: Privacy, zones: Zones) -> Self {
        Self { privacy, zones }
    }

    /// The minute as it may leave.
    ///
    /// A value is called observed only with enough distinct road users in the minute; with fewer,
    /// their number, the queue, the flow and the age are withheld unless detectors counted. In zones
    /// only the profile speaks.
    pub fn states(&self, batch: &StateBatch) -> Released<StateBatch> {
        let segments = batch.segments.iter().zip(0..).map(|(state, id)| {
            if self.zones.holds(SegmentId(id)) {
                usual(state)
            } else {
                self.privacy.state(state)
            }
        });
        Released(Arc::new(StateBatch {
            interval: batch.interval,
            network: batch.network,
            segments: segments.collect(),
        }))
    }

    /// What was derived of a minute as it may leave: no corridor, bottleneck or jam of a freeway that
    /// touches a zone, no jam that neither a group on one of its segments nor a detector measured, no
    /// speed of a freeway's cells, and no turning share of fewer road users than a group, or in a zone.
    pub fn performance(
        &self,
        network: &Network,
        batch: &PerformanceBatch,
    ) -> Released<PerformanceBatch> {
        let mut released = batch.clone();
        released.travel_times.retain(|state| {
            let segments = &batch.corridors[state.corridor].segments;
            !segments.iter().any(|&id| self.zones.holds(id))
        });
        for day in [&mut released.bottlenecks, &mut released.yesterday] {
            day.ranked.retain(|known| !self.zones.holds(known.segment));
        }
        for field in &mut released.fields {
            let freeway = &batch.freeways[field.freeway];
            field.jams.retain(|jam| {
                let is_open = !freeway.under(jam).any(|id| self.zones.holds(id));
                is_open && (jam.is_counted || self.privacy.is_group(jam.most_samples))
            });
            field.cells.clear();
        }
        released.turning.withhold(network, |segment, seen| {
            self.zones.holds(segment) || !self.privacy.is_group(seen as u32)
        });
        Released(Arc::new(released))
    }

    /// The forecast as it may leave: in zones it says what is usual, as `states` does.
    pub fn forecast(
        &self,
        batch: &Arc<ForecastBatch>,
        states: Option<&Released<StateBatch>>,
    ) -> Released<ForecastBatch> {
        let Some(states) = states.filter(|_| !self.zones.is_empty()) else {
            return Released(Arc::clone(batch));
        };
        let mut quantiles = batch.quantiles.clone();
        // Who speaks would tell how fast it is.
        let mut speakers = batch.speakers.clone();
        speakers.resize(states.segments.len(), Speaker::default());
        let steps = quantiles.chunks_exact_mut(STEP_COUNT).zip(&states.segments);
        for ((steps, state), id) in steps.zip(0..) {
            if self.zones.holds(SegmentId(id)) {
                speakers[id as usize] = Speaker::Profile;
                steps.fill(usual_quantiles(state));
            }
        }
        let released = ForecastBatch {
            issued_at: batch.issued_at,
            first_step: batch.first_step,
            network: batch.network,
            model: batch.model.clone(),
            fallback: batch.fallback,
            speakers,
            quantiles,
            closures: Arc::default(),
            flows: Arc::new(FlowBatch::clone(&batch.flows).without(|id| self.zones.holds(id))),
        };
        Released(Arc::new(released.with_closures(&batch.closures)))
    }

    /// The outlook as it may leave: in zones it says what is usual, as `states` does.
    pub fn outlook(
        &self,
        batch: &Arc<OutlookBatch>,
        states: Option<&Released<StateBatch>>,
    ) -> Released<OutlookBatch> {
        let Some(states) = states.filter(|_| !self.zones.is_empty()) else {
            return Released(Arc::clone(batch));
        };
        let mut released = OutlookBatch::clone(batch);
        let halves = released.quantiles.chunks_exact_mut(HALF_HOUR_COUNT);
        for ((halves, state), id) in halves.zip(&states.segments).zip(0..) {
            if self.zones.holds(SegmentId(id)) {
                halves.fill(usual_quantiles(state));
            }
        }
        Released(Arc::new(released.with_closures(&batch.closures)))
    }

    /// The index of regions as it may leave: speeds, times and levels as they are; what rests on
    /// counts of road users only of a group.
    ///
    /// Zones take no part in regions (`service::congestion_settings`).
    pub fn congestion(&self, batch: &Arc<CongestionBatch>) -> Released<CongestionBatch> {
        if batch.regions.iter().all(|index| self.is_of_group(index)) {
            return Released(Arc::clone(batch));
        }
        let mut released = CongestionBatch::clone(batch);
        for index in &mut released.regions {
            if !self.is_of_group(index) {
                *index = without_counts(index);
            }
        }
        Released(Arc::new(released))
    }

    /// Whether a region's counts are surely of a group: so many road users on one segment, or so
    /// many stays that nobody can be behind them alone, or counts of detectors.
    fn is_of_group(&self, index: &RegionIndex) -> bool {
        let fewest = u64::from(self.privacy.min_subjects) * SEGMENTS_A_MINUTE;
        index.is_counted || self.privacy.is_group(index.most_samples) || index.samples >= fewest
    }

    /// The report of a day as it may leave: delays only of regions that a group was seen in.
    pub fn day(&self, report: &Arc<DayReport>) -> Released<DayReport> {
        let mut released = DayReport::clone(report);
        for region in &mut released.regions {
            if !self.privacy.is_group(region.most_samples) {
                region.delay_vehh = None;
                region.by_delay.clear();
                for one in &mut region.by_time {
                    one.delay_vehh = 0.0;
                }
            }
        }
        Released(Arc::new(released))
    }

    /// Whether a piece of advice may not leave: it tells of a segment in a zone.
    pub fn withholds(&self, guidance: &Guidance) -> bool {
        let touches = |segments: &[SegmentId]| segments.iter().any(|&id| self.zones.holds(id));
        match &guidance.kind {
            GuidanceKind::Jam(jam) => touches(&jam.segments) || touches(&[jam.head.0, jam.tail.0]),
            GuidanceKind::Diversion(diversion) => {
                touches(&[diversion.decision])
                    || touches(&diversion.main)
                    || touches(&diversion.alternative)
            }
        }
    }

    /// An incident as it may leave: none in a zone; a queue that ends in a zone is not told where,
    /// and numbers of too few road users are 0.
    pub fn incident(&self, change: &IncidentChange) -> Option<IncidentChange> {
        if self.zones.holds(change.segment) {
            return None;
        }
        let mut told = change.clone();
        if self.zones.holds(told.tail) {
            (told.tail, told.tail_offset_m) = (told.segment, told.offset_m);
        }
        for evidence in &mut told.evidence {
            if let IncidentEvidence::Stuck { count, .. }
            | IncidentEvidence::Passers { count }
            | IncidentEvidence::Slowed { count }
            | IncidentEvidence::Crawling { count, .. } = evidence
            {
                *count = self.privacy.sample_count(*count).unwrap_or(0);
            }
        }
        Some(told)
    }

    /// A piece of advice as it may leave: numbers of too few road users are 0, which formats leave
    /// out; one that may not leave is withdrawn, in case an earlier revision did.
    pub fn guidance(&self, guidance: &Guidance) -> Released<Guidance> {
        let told = |count: u32| self.privacy.sample_count(count).unwrap_or(0);
        let mut released = guidance.clone();
        released.withdrawn |= self.withholds(guidance);
        for evidence in &mut released.because {
            match evidence {
                Evidence::State { sample_count, .. } => *sample_count = told(*sample_count),
                Evidence::Vehicles {
                    in_jam, near_tail, ..
                } => {
                    *in_jam = told(*in_jam);
                    *near_tail = told(*near_tail);
                }
                Evidence::Forecast { .. } | Evidence::TravelTimes { .. } => {}
            }
        }
        Released(Arc::new(released))
    }
}

/// Most segments that a road user is on in one minute (chosen: one a second).
const SEGMENTS_A_MINUTE: u64 = 60;

/// The index of a region without what rests on counts of too few: what was measured is called an
/// estimate, as for segments.
fn without_counts(index: &RegionIndex) -> RegionIndex {
    RegionIndex {
        observed_share: 0.0,
        estimated_share: index.estimated_share + index.observed_share,
        service_km: [0.0; 6],
        flow_share: 0.0,
        accumulation_veh: None,
        production_vph: None,
        delay_vehh_per_h: None,
        critical_ratio: None,
        most_samples: 0,
        samples: 0,
        ..index.clone()
    }
}

/// What a forecast may say of a segment in a zone, of which `state` is what may be said.
fn usual_quantiles(state: &SegmentState) -> SpeedQuantiles {
    let reach_mps = NORMAL_P90 * state.sigma_mps;
    let (low, high) = (state.speed_mps - reach_mps, state.speed_mps + reach_mps);
    SpeedQuantiles::ordered(low, state.speed_mps, high, state.free_flow_mps)
}

/// What may be said of a segment in a zone.
fn usual(state: &SegmentState) -> SegmentState {
    let ratio = state.usual_mps / state.free_flow_mps.max(0.1);
    SegmentState {
        speed_mps: state.usual_mps,
        sigma_mps: state.usual_sigma_mps,
        free_flow_mps: state.free_flow_mps,
        is_free_flow_learnt: state.is_free_flow_learnt,
        level: Level::from_speed_ratio(ratio),
        provenance: Provenance::Profile,
        usual_mps: state.usual_mps,
        usual_sigma_mps: state.usual_sigma_mps,
        ..SegmentState::default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::matching::{Outline, ZoneDraft};
    use crate::publish::format::fixture;
    use crate::state::congestion::{Congestion, CongestionSettings};
    use crate::units::{Metres, Timestamp};

    fn release(network: &Network, zone: Option<SegmentId>) -> Release {
        let drafts = zone.map(|id| ZoneDraft {
            name: "school".into(),
            outline: Outline::Circle {
                centre: network.position_at(id, network.segment(id).length_m / 2.0),
                radius: Metres(100.0),
            },
        });
        let zones = Zones::new(network, drafts.as_slice()).expect("a segment lies there");
        Release::new(Privacy::default(), zones)
    }

    #[test]
    fn of_a_small_group_neither_number_nor_flow_nor_queue_leave() {
        let network = fixture::network();
        let release = release(&network, None);
        let mut batch = fixture::state(&network);
        for (state, count) in batch.segments.iter_mut().zip([4, 5, 0, 4]) {
            state.sample_count = count;
            state.flow_vph = Some(300.0);
            state.density_vpkm = Some(20.0);
            state.queue_length_m = Some(44.0);
            state.age_s = Some(0);
        }
        batch.segments[3].is_counted = true;
        let told = release.states(&batch);
        let of = |state: &SegmentState| {
            let numbers = (state.flow_vph, state.density_vpkm, state.queue_length_m);
            (state.provenance, state.sample_count, numbers, state.age_s)
        };
        let nothing = (Provenance::Estimated, 0, (None, None, None), None);
        assert_eq!(of(&told.segments[0]), nothing);
        let numbers = (Some(300.0), Some(20.0), Some(44.0));
        let all = (Provenance::Observed, 5, numbers, Some(0));
        assert_eq!(of(&told.segments[1]), all);
        assert_eq!(of(&told.segments[2]), nothing, "nobody looks like a few");
        // Detectors identify nobody: their flow leaves; a queue may be that of a single vehicle.
        let counted = (Some(300.0), Some(20.0), None);
        let by_detector = (Provenance::Estimated, 0, counted, Some(0));
        assert_eq!(of(&told.segments[3]), by_detector);
        for (state, own) in told.segments.iter().zip(&batch.segments) {
            assert_eq!((state.speed_mps, state.level), (own.speed_mps, own.level));
        }
    }

    #[test]
    fn the_index_of_a_region_of_few_tells_no_counts() {
        let network = Arc::new(fixture::network());
        let release = release(&network, None);
        let told = |sample_count: u32, is_counted: bool| {
            let settings = CongestionSettings::default();
            let mut congestion = Congestion::new(network.clone(), settings);
            let mut batch = fixture::state(&network);
            for state in &mut batch.segments {
                (state.sample_count, state.is_counted) = (sample_count, is_counted);
                (state.flow_vph, state.density_vpkm) = (Some(600.0), Some(20.0));
            }
            let index = congestion.close_minute(&mut batch);
            let day = congestion
                .today()
                .map(Arc::new)
                .expect("a minute was closed");
            let regions = release.congestion(&index).regions.clone();
            (regions[0].clone(), release.day(&day).regions[0].clone())
        };
        let (of_few, day) = told(4, false);
        assert_eq!(
            (of_few.accumulation_veh, of_few.delay_vehh_per_h),
            (None, None)
        );
        assert!(of_few.observed_share < 1e-6 && of_few.estimated_share > 0.99);
        assert!(of_few.tpi.is_some() && of_few.flow_share < 1e-6);
        assert!(day.delay_vehh.is_none() && day.by_delay.is_empty());
        let (of_group, day) = told(5, false);
        assert!(of_group.accumulation_veh.is_some() && of_group.observed_share > 0.99);
        assert!(day.delay_vehh.is_some() && !day.by_delay.is_empty());
        assert!(
            (of_group.tti - of_few.tti).abs() < 1e-6,
            "times are told in any case"
        );
        let (by_detectors, _) = told(0, true);
        assert!(by_detectors.accumulation_veh.is_some());
    }

    #[test]
    fn in_a_zone_only_the_profile_speaks_and_advice_stays_away() {
        let network = fixture::network();
        let zone = SegmentId(1);
        let release = release(&network, Some(zone));
        let mut batch = fixture::state(&network);
        for state in &mut batch.segments {
            state.usual_mps = 14.0;
            state.usual_sigma_mps = 2.0;
        }
        let told = release.states(&batch);
        let state = &told.segments[zone.index()];
        assert_eq!((state.speed_mps, state.level), (14.0, Level::Smooth));
        assert_eq!(state.provenance, Provenance::Profile);
        assert_eq!(
            (state.flow_vph, state.queue_length_m, state.age_s),
            (None, None, None)
        );
        assert!((told.segments[0].speed_mps - batch.segments[0].speed_mps).abs() < 1e-6);

        let forecast = Arc::new(fixture::forecast(&network));
        let outside = release.forecast(&forecast, Some(&told));
        assert_eq!(outside.steps(SegmentId(0)), forecast.steps(SegmentId(0)));
        for step in outside.steps(zone) {
            assert!((step.p50_mps - 14.0).abs() < 1e-6 && step.is_valid());
            assert!((step.p90_mps - 16.5632).abs() < 1e-4, "{step:?}");
        }

        let outlook = Arc::new(fixture::outlook(&network));
        let outside = release.outlook(&outlook, Some(&told));
        let open = SegmentId(0);
        assert_eq!(outside.half_hours(open), outlook.half_hours(open));
        for half in outside.half_hours(zone) {
            assert!((half.p50_mps - 14.0).abs() < 1e-6 && half.is_valid());
            assert!((half.p90_mps - 16.5632).abs() < 1e-4, "{half:?}");
        }

        let jam = fixture::jam(&network);
        assert!(release.withholds(&jam) && release.guidance(&jam).withdrawn);
        assert!(release.withholds(&fixture::diversion(&network)));
        let open = Release::new(Privacy::default(), Zones::default());
        assert!(!open.withholds(&jam) && !open.guidance(&jam).withdrawn);
    }

    #[test]
    fn corridors_through_zones_and_turns_of_few_stay_inside() {
        let network = Arc::new(fixture::network());
        let mut batch = fixture::performance(&network);
        assert_eq!(batch.travel_times.len(), 1);
        let told = |zone, batch: &PerformanceBatch| {
            release(&network, zone)
                .performance(&network, batch)
                .travel_times
                .len()
        };
        assert_eq!(
            (told(None, &batch), told(Some(SegmentId(1)), &batch)),
            (1, 0)
        );
        let from = SegmentId(0);
        let movement = network.movement_range_from(from).start;
        let mut sums = crate::state::BinSums::new(network.segment_count());
        let table = crate::state::DetectorTable::default();
        for (count, is_told) in [(4, false), (3, true)] {
            (0..count).for_each(|_| sums.leave(movement));
            let minute = batch.interval;
            batch
                .turning
                .close_minute(&network, minute, &sums, &[], &table);
            sums.clear();
            let told = release(&network, None).performance(&network, &batch);
            let seen = told.turning.of(&network, from, &SegmentState::default())[0].seen;
            assert_eq!(seen > 0.0, is_told, "{count}: {seen}");
        }
    }

    #[test]
    fn evidence_of_few_is_withheld() {
        let network = fixture::network();
        let mut jam = fixture::jam(&network);
        jam.because.push(Evidence::Vehicles {
            at: Timestamp::from_secs(28_860),
            in_jam: 4,
            near_tail: 6,
            radius_m: 300.0,
        });
        let told = release(&network, None).guidance(&jam);
        let counts: Vec<_> = (told.because.iter())
            .flat_map(|evidence| match evidence {
                Evidence::State { sample_count, .. } => vec![*sample_count],
                Evidence::Vehicles {
                    in_jam, near_tail, ..
                } => vec![*in_jam, *near_tail],
                _ => vec![],
            })
            .collect();
        assert_eq!(counts, [0, 0, 6]);
    }
}
