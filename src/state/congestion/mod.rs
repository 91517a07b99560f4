//! Congestion: levels of segments and the index of regions, after a standard that is data.
//!
//! It takes each closed minute, writes the levels and the learnt free-flow speeds into it, and
//! gives the figures of every region and the report of every local day. It estimates no speed: what
//! a segment is like comes from the filter, which knows no standard. Definitions, sources and what
//! is not public: docs/congestion.md.

mod day;
mod diagram;
#[cfg(test)]
pub(crate) mod fixture;
mod free_flow;
mod index;
mod level;
mod region;
mod regions;
mod snapshot;
mod standard;
#[cfg(test)]
mod tests;

use std::collections::VecDeque;
use std::sync::Arc;

pub use day::{
    CURVE_MINUTES, CURVE_SLOTS, CongestedSegment, CurvePoint, DAYS_MAX, DayReport, Peak,
    RANKED_MAX, RegionDay,
};
pub use diagram::{DiagramPoint, RegionDiagram};
pub use free_flow::DAYS_MIN;
pub use index::{
    CURVE_POINTS_MAX, Curve, CurveError, EXTRA_TIME_BANDS, delay_proportion, extra_time_band,
    index_band, jam_factor, travel_time_index,
};
pub use level::{LevelMemory, MINUTES_MAX};
pub use region::RegionIndex;
pub use regions::{
    REGION_CORNERS_MAX, REGION_NAME_BYTES_MAX, REGIONS_MAX, Region, RegionDraft, RegionError,
    check_regions, regions,
};
pub use standard::{
    GBT33171_RATIOS, IndexMeasure, KM_PER_MILE, LaneDensity, LevelMeasure, Seen, Service, Standard,
};

use self::day::Today;
use self::free_flow::FreeFlow;
use self::region::{SegmentMinute, region_index};
use super::{Level, Provenance, StateBatch};
use crate::network::{Network, NetworkVersion};
use crate::units::Interval;

const DAY_MS: i64 = 86_400_000;
const MINUTE_MS: i64 = super::MINUTE_MS;

/// What can be set about congestion.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CongestionSettings {
    /// The standard of levels and index.
    pub standard: Standard,
    /// The regions, as [`regions`] finds them; none for one region `city` of all segments.
    pub regions: Vec<Region>,
    /// Local time minus UTC, seconds.
    pub utc_offset_s: i64,
}

/// The index of every region in one closed minute.
#[derive(Clone, Debug, PartialEq)]
pub struct CongestionBatch {
    /// The minute.
    pub interval: Interval,
    /// The network it is of.
    pub network: NetworkVersion,
    /// Name and version of the standard.
    pub standard: Arc<str>,
    /// One entry a region, in the order of the settings.
    pub regions: Vec<RegionIndex>,
    /// The report of the day that was over before this minute, in the first minute after it.
    pub ended_day: Option<Arc<DayReport>>,
}

/// The owner of levels, learnt free-flow speeds, regions, diagrams and days.
#[derive(Debug)]
pub struct Congestion {
    network: Arc<Network>,
    settings: CongestionSettings,
    /// Name and version of the standard, as published.
    standard: Arc<str>,
    services: LaneDensity,
    levels: Vec<LevelMemory>,
    free_flow: FreeFlow,
    diagrams: Vec<RegionDiagram>,
    today: Today,
    /// Finished days, oldest first, at most [`DAYS_MAX`].
    days: VecDeque<Arc<DayReport>>,
    minutes: Vec<SegmentMinute>,
    latest: Option<Arc<CongestionBatch>>,
}

impl Congestion {
    /// Starts with nothing learnt.
    pub fn new(network: Arc<Network>, mut settings: CongestionSettings) -> Self {
        if settings.regions.is_empty() {
            let city = regions(&network, &[RegionDraft::city()], |_| false);
            settings.regions = city.unwrap_or_default();
        }
        let (count, region_count) = (network.segment_count(), settings.regions.len());
        let standard = &settings.standard;
        Self {
            standard: format!("{} v{}", standard.name, standard.version).into(),
            services: match &standard.measure {
                LevelMeasure::LaneDensity(density) => density.clone(),
                _ => LaneDensity::hcm(),
            },
            levels: vec![LevelMemory::default(); count],
            free_flow: FreeFlow::new(count),
            diagrams: vec![RegionDiagram::default(); region_count],
            today: Today::new(region_count, count),
            days: VecDeque::new(),
            minutes: vec![SegmentMinute::default(); count],
            latest: None,
            network,
            settings,
        }
    }

    /// Judges a closed minute: writes levels and learnt free-flow speeds into it and gives the index
    /// of every region. Minutes must come in order.
    ///
    /// # Panics
    /// When `batch` is of another network.
    pub fn close_minute(&mut self, batch: &mut StateBatch) -> Arc<CongestionBatch> {
        assert_eq!(
            batch.segments.len(),
            self.levels.len(),
            "a minute of another network"
        );
        let local = batch.interval.start.plus_secs(self.settings.utc_offset_s);
        let ended_day = self.begin_minute(local.as_millis().div_euclid(DAY_MS));
        let network = Arc::clone(&self.network);
        self.free_flow.begin_minute(&network, local);
        self.judge(batch);
        let mut indices = Vec::with_capacity(self.settings.regions.len());
        for (region, diagram) in self.settings.regions.iter().zip(&mut self.diagrams) {
            indices.push(region_index(
                &network,
                region,
                &self.settings.standard,
                &self.services,
                (batch, &self.minutes),
                diagram,
            ));
        }
        let minute_of_day = local.as_millis().rem_euclid(DAY_MS) / MINUTE_MS;
        self.today.add(minute_of_day as u16, &indices);
        let closed = Arc::new(CongestionBatch {
            interval: batch.interval,
            network: batch.network,
            standard: Arc::clone(&self.standard),
            regions: indices,
            ended_day,
        });
        self.latest = Some(Arc::clone(&closed));
        closed
    }

    /// Ends the day before `day`, if there was one.
    fn begin_minute(&mut self, day: i64) -> Option<Arc<DayReport>> {
        let before = self.today.day.replace(day);
        if before.is_none_or(|before| before == day) {
            return None;
        }
        self.today.day = before;
        let ended = self.report(true).map(Arc::new);
        self.today.clear();
        self.today.day = Some(day);
        self.days.extend(ended.clone());
        while self.days.len() > DAYS_MAX {
            self.days.pop_front();
        }
        ended
    }

    /// Levels, free flow and the day's sums of every segment.
    fn judge(&mut self, batch: &mut StateBatch) {
        let standard = &self.settings.standard;
        let segments = self.network.segments().iter().zip(&mut batch.segments);
        for (index, (segment, state)) in segments.enumerate() {
            if state.provenance == Provenance::Observed {
                self.free_flow.take(index, state.speed_mps);
            }
            if let Some(ratio) = self.free_flow.ratio(index) {
                state.free_flow_mps = ratio * segment.limit_mps;
                state.is_free_flow_learnt = true;
            }
            let lanes = f32::from(segment.lanes.max(1));
            let seen = Seen {
                speed_mps: state.speed_mps,
                free_flow_mps: state.free_flow_mps,
                lane_density_vpkm: state.density_vpkm.map(|density| density / lanes),
            };
            state.level = self.levels[index].step(standard, segment, &seen);
            let minute = &mut self.minutes[index];
            *minute = SegmentMinute::of(standard, segment, state);
            minute.is_judged = standard.judges(segment, &seen);
            if let Some(delay) = minute.delay_vehh_per_h(state) {
                self.today.delay_vehh[index] += delay / 60.0;
            }
            if state.level >= Level::Moderate {
                let jammed = &mut self.today.jammed_minutes[index];
                *jammed = jammed.saturating_add(1);
            }
        }
    }

    /// The figures of the minute closed last.
    pub fn latest(&self) -> Option<&Arc<CongestionBatch>> {
        self.latest.as_ref()
    }

    /// Reports of finished days, oldest first, at most [`DAYS_MAX`].
    pub fn days(&self) -> &VecDeque<Arc<DayReport>> {
        &self.days
    }

    /// The report of the day under way; `None` before the first minute.
    pub fn today(&self) -> Option<DayReport> {
        self.report(false)
    }

    /// The standard in force.
    pub fn standard(&self) -> &Standard {
        &self.settings.standard
    }

    /// The regions, in the order of every batch.
    pub fn regions(&self) -> &[Region] {
        &self.settings.regions
    }

    /// The macroscopic diagrams of the regions, in the same order.
    pub fn diagrams(&self) -> &[RegionDiagram] {
        &self.diagrams
    }

    fn report(&self, is_over: bool) -> Option<DayReport> {
        let version = self.network.version();
        self.today
            .report(&self.settings.regions, version, &self.standard, is_over)
    }
}
