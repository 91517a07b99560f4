//! The report of a day: how congested each region was, when, and where.
//!
//! A day is a local one. What is not closed yet is reported as what it is so far.

use std::sync::Arc;

use super::index::index_band;
use super::region::RegionIndex;
use super::regions::Region;
use crate::network::NetworkVersion;
use crate::units::SegmentId;

/// Minutes of a slot of the curve.
pub const CURVE_MINUTES: u32 = 5;

/// Slots of a day.
pub const CURVE_SLOTS: usize = (24 * 60 / CURVE_MINUTES) as usize;

/// Slots of a peak: an hour.
const PEAK_SLOTS: usize = 12;

/// Most segments of each ranking.
pub const RANKED_MAX: usize = 20;

/// Most finished days kept.
pub const DAYS_MAX: usize = 31;

/// Means of one slot of the curve.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct CurvePoint {
    /// Traffic performance index; `None` where the standard has none.
    pub tpi: Option<f32>,
    /// Travel time index.
    pub tti: f32,
}

/// The worst hour of half a day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Peak {
    /// Minute of the local day at which it begins.
    pub start_minute: u16,
    /// Means of the hour.
    pub mean: CurvePoint,
}

/// A congested segment of the day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct CongestedSegment {
    /// Which.
    pub segment: SegmentId,
    /// Delay of its vehicles, vehicle hours, over the minutes in which its flow was known.
    pub delay_vehh: f32,
    /// Minutes at level 4 or worse.
    pub jammed_minutes: u16,
}

/// The day of one region.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionDay {
    /// Name of the region.
    pub region: Arc<str>,
    /// Closed minutes of the day.
    pub minutes: u32,
    /// Mean share of the length that was measured.
    pub observed_share: f32,
    /// Mean share of length times lanes with a known flow.
    pub flow_share: f32,
    /// Means of each slot of [`CURVE_MINUTES`] of the day; `None` where no minute was closed.
    pub curve: Vec<Option<CurvePoint>>,
    /// The hour with the highest mean before and after noon, by TPI where there is one, else TTI.
    pub peaks: [Option<Peak>; 2],
    /// Minutes with the index in each of its bands; all 0 where the standard has none.
    pub band_minutes: [u32; 5],
    /// Mean length at each level, km.
    pub level_km: [f32; 5],
    /// Most length at level 4 or worse, km, and the minute of the day when it was.
    pub most_jammed: Option<(u16, f32)>,
    /// Delay, vehicle hours, over the segments and minutes with a known flow; `None` without any.
    pub delay_vehh: Option<f64>,
    /// Distinct road users on a single segment in a single minute, the most of the day.
    pub most_samples: u32,
    /// The segments with the most delay, at most [`RANKED_MAX`].
    pub by_delay: Vec<CongestedSegment>,
    /// The segments longest at level 4 or worse, at most [`RANKED_MAX`].
    pub by_time: Vec<CongestedSegment>,
}

/// The report of one local day.
#[derive(Clone, Debug, PartialEq)]
pub struct DayReport {
    /// Days since 1970-01-01 of the local calendar.
    pub day: i64,
    /// The network the ids belong to.
    pub network: NetworkVersion,
    /// Name and version of the standard.
    pub standard: Arc<str>,
    /// Whether the day is over.
    pub is_over: bool,
    /// One entry a region.
    pub regions: Vec<RegionDay>,
}

/// The sums of a slot of the curve.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct SlotSums {
    pub(super) tti: f32,
    pub(super) tpi: f32,
    pub(super) minutes: u8,
    pub(super) tpi_minutes: u8,
}

impl SlotSums {
    fn mean(&self) -> Option<CurvePoint> {
        (self.minutes > 0).then(|| CurvePoint {
            tpi: (self.tpi_minutes > 0).then(|| self.tpi / f32::from(self.tpi_minutes)),
            tti: self.tti / f32::from(self.minutes),
        })
    }
}

/// The sums of one region over the day so far.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct RegionSums {
    pub(super) slots: Vec<SlotSums>,
    pub(super) minutes: u32,
    pub(super) flow_minutes: u32,
    pub(super) observed_share: f64,
    pub(super) flow_share: f64,
    pub(super) delay_vehh: f64,
    pub(super) level_km: [f64; 5],
    pub(super) band_minutes: [u32; 5],
    /// Minute of the day and km; km is 0 before any.
    pub(super) most_jammed: (u16, f32),
    pub(super) most_samples: u32,
}

impl Default for RegionSums {
    fn default() -> Self {
        Self {
            slots: vec![SlotSums::default(); CURVE_SLOTS],
            minutes: 0,
            flow_minutes: 0,
            observed_share: 0.0,
            flow_share: 0.0,
            delay_vehh: 0.0,
            level_km: [0.0; 5],
            band_minutes: [0; 5],
            most_jammed: (0, 0.0),
            most_samples: 0,
        }
    }
}

impl RegionSums {
    fn add(&mut self, minute_of_day: u16, index: &RegionIndex) {
        let slot = &mut self.slots[usize::from(minute_of_day) / CURVE_MINUTES as usize];
        slot.tti += index.tti;
        slot.minutes = slot.minutes.saturating_add(1);
        if let Some(tpi) = index.tpi {
            slot.tpi += tpi;
            slot.tpi_minutes = slot.tpi_minutes.saturating_add(1);
            self.band_minutes[usize::from(index_band(tpi)) - 1] += 1;
        }
        self.minutes += 1;
        self.observed_share += f64::from(index.observed_share);
        self.flow_share += f64::from(index.flow_share);
        if let Some(delay) = index.delay_vehh_per_h {
            self.delay_vehh += f64::from(delay) / 60.0;
            self.flow_minutes += 1;
        }
        for (sum, km) in self.level_km.iter_mut().zip(index.level_km) {
            *sum += f64::from(km);
        }
        self.most_samples = self.most_samples.max(index.most_samples);
        let jammed_km = index.jammed_km();
        if jammed_km > self.most_jammed.1 {
            self.most_jammed = (minute_of_day, jammed_km);
        }
    }
}

/// The day under way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Today {
    /// Local day; `None` before the first minute.
    pub(super) day: Option<i64>,
    /// One entry a region.
    pub(super) regions: Vec<RegionSums>,
    /// Vehicle hours of delay a segment.
    pub(super) delay_vehh: Vec<f32>,
    /// Minutes at level 4 or worse a segment.
    pub(super) jammed_minutes: Vec<u16>,
}

impl Today {
    pub(super) fn new(region_count: usize, segment_count: usize) -> Self {
        Self {
            day: None,
            regions: vec![RegionSums::default(); region_count],
            delay_vehh: vec![0.0; segment_count],
            jammed_minutes: vec![0; segment_count],
        }
    }

    /// Forgets all but its size.
    pub(super) fn clear(&mut self) {
        *self = Self::new(self.regions.len(), self.delay_vehh.len());
    }

    pub(super) fn add(&mut self, minute_of_day: u16, indices: &[RegionIndex]) {
        for (sums, index) in self.regions.iter_mut().zip(indices) {
            sums.add(minute_of_day, index);
        }
    }

    /// The report of what there is; `None` before the first minute.
    pub(super) fn report(
        &self,
        regions: &[Region],
        network: NetworkVersion,
        standard: &Arc<str>,
        is_over: bool,
    ) -> Option<DayReport> {
        let days = regions.iter().zip(&self.regions);
        Some(DayReport {
            day: self.day?,
            network,
            standard: Arc::clone(standard),
            is_over,
            regions: days
                .map(|(region, sums)| self.region_day(region, sums))
                .collect(),
        })
    }

    fn region_day(&self, region: &Region, sums: &RegionSums) -> RegionDay {
        let curve: Vec<_> = sums.slots.iter().map(SlotSums::mean).collect();
        let minutes = f64::from(sums.minutes.max(1));
        let half = CURVE_SLOTS / 2;
        let of = |id: SegmentId| CongestedSegment {
            segment: id,
            delay_vehh: self.delay_vehh[id.index()],
            jammed_minutes: self.jammed_minutes[id.index()],
        };
        let all = || region.segments.iter().map(|&id| of(id));
        RegionDay {
            region: Arc::clone(&region.name),
            minutes: sums.minutes,
            observed_share: (sums.observed_share / minutes) as f32,
            flow_share: (sums.flow_share / minutes) as f32,
            peaks: [peak(&curve[..half], 0), peak(&curve[half..], half)],
            curve,
            band_minutes: sums.band_minutes,
            level_km: sums.level_km.map(|sum| (sum / minutes) as f32),
            most_jammed: (sums.most_jammed.1 > 0.0).then_some(sums.most_jammed),
            delay_vehh: (sums.flow_minutes > 0).then_some(sums.delay_vehh),
            most_samples: sums.most_samples,
            by_delay: first_by(all(), |one| one.delay_vehh),
            by_time: first_by(all(), |one| f32::from(one.jammed_minutes)),
        }
    }
}

/// Those with the highest figures above 0, highest first, of the same one the first, at most
/// [`RANKED_MAX`].
fn first_by(
    all: impl Iterator<Item = CongestedSegment>,
    figure: impl Fn(&CongestedSegment) -> f32,
) -> Vec<CongestedSegment> {
    let mut first: Vec<CongestedSegment> = Vec::with_capacity(RANKED_MAX + 1);
    for one in all {
        let is_full = first.len() == RANKED_MAX;
        let least = if is_full {
            figure(&first[RANKED_MAX - 1])
        } else {
            0.0
        };
        if figure(&one) > least {
            let place = first.partition_point(|other| figure(other) >= figure(&one));
            first.insert(place, one);
            first.truncate(RANKED_MAX);
        }
    }
    first
}

/// The hour with the highest mean; `None` where no hour is complete.
fn peak(curve: &[Option<CurvePoint>], first_slot: usize) -> Option<Peak> {
    let mut best: Option<(f32, Peak)> = None;
    for (start, hour) in curve.windows(PEAK_SLOTS).enumerate() {
        let Some(points) = hour.iter().copied().collect::<Option<Vec<_>>>() else {
            continue;
        };
        let count = PEAK_SLOTS as f32;
        let tpi = points.iter().map(|point| point.tpi).sum::<Option<f32>>();
        let mean = CurvePoint {
            tpi: tpi.map(|sum| sum / count),
            tti: points.iter().map(|point| point.tti).sum::<f32>() / count,
        };
        let rank = mean.tpi.unwrap_or(mean.tti);
        if best.is_none_or(|(highest, _)| rank > highest) {
            let start_minute = ((first_slot + start) as u32 * CURVE_MINUTES) as u16;
            best = Some((rank, Peak { start_minute, mean }));
        }
    }
    best.map(|(_, peak)| peak)
}
