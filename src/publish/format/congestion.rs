//! Messages of the index of regions and of the reports of days.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TOPIC_ROOT;
use crate::network::Network;
use crate::publish::{OutMessage, Released};
use crate::state::congestion::{
    CURVE_MINUTES, CongestedSegment, CongestionBatch, CurvePoint, DayReport, Peak, RegionDay,
    RegionIndex, extra_time_band,
};
use crate::units::{Interval, date_of};

/// The index of one region in one closed minute.
///
/// Topic `roadcast/v1/index/{region}`, retained, QoS 0.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IndexMessage {
    /// Name of the region.
    pub region: String,
    /// Start of the minute, event time, milliseconds.
    pub start_ms: i64,
    /// End of the minute, event time, milliseconds.
    pub end_ms: i64,
    /// Network version, first 16 hexadecimal digits of its SHA-256.
    pub network: String,
    /// Name and version of the congestion standard.
    pub standard: String,
    /// Length of the region's segments, km.
    pub length_km: f64,
    /// Length times lanes, km.
    pub lane_km: f64,
    /// Share of the length measured in the minute, 0 to 1; 0 also where too few road users were.
    pub observed_share: f64,
    /// Share of the length measured earlier or estimated; the rest is known from the profile alone.
    pub estimated_share: f64,
    /// Share of the length judged by the standard's own measure, not by speed ratio in its place.
    pub judged_share: f64,
    /// Share of the length whose free-flow speed was learnt over 30 days; the rest has a fallback.
    pub learnt_share: f64,
    /// Mean speed over length and lanes, m/s.
    pub speed_mps: f64,
    /// Travel time index, at least 1.
    pub tti: f64,
    /// Delay time proportion, 0 to 1.
    pub dtp: f64,
    /// Traffic performance index, 0 to 10; absent where the standard has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpi: Option<f64>,
    /// Mean jam factor over length and lanes, 0 to 10.
    pub jam_factor: f64,
    /// Travel time beyond that of free flow, as a share of it (TTI - 1).
    pub extra_time: f64,
    /// Band of `extra_time`, 1 (under 0.2) to 5 (1.1 and more).
    #[schemars(range(min = 1, max = 5))]
    pub extra_time_band: u8,
    /// Length at levels 1 to 5, km.
    pub level_km: [f64; 5],
    /// Length at level 3 or worse, km.
    pub congested_km: f64,
    /// Share of the length at level 5.
    pub severe_share: f64,
    /// Length of freeways at levels of service A to F of the Highway Capacity Manual, km; of those
    /// whose density is known.
    pub service_km: [f64; 6],
    /// Share of length times lanes with a known flow, on which the next fields rest.
    pub flow_share: f64,
    /// Vehicles on the segments with a known flow; absent where unknown or of too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub accumulation_veh: Option<f64>,
    /// Mean flow over length and lanes, veh/h and lane; absent like `accumulation_veh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub production_vph: Option<f64>,
    /// Delay of these vehicles, vehicle hours an hour; absent like `accumulation_veh`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_vehh_per_h: Option<f64>,
    /// Vehicles in the region at which its production is highest; absent before its macroscopic
    /// diagram has shown both branches.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical_veh: Option<f64>,
    /// Accumulation over the critical one; absent where either is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub critical_ratio: Option<f64>,
}

/// The report of one local day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DayReportMessage {
    /// Local date, YYYY-MM-DD.
    pub date: String,
    /// Whether the day is over; else it is reported as far as it came.
    pub is_over: bool,
    /// Network version the segment numbers belong to.
    pub network: String,
    /// Name and version of the congestion standard.
    pub standard: String,
    /// One entry a region.
    pub regions: Vec<RegionDayEntry>,
}

/// The day of one region.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct RegionDayEntry {
    /// Name of the region.
    pub region: String,
    /// Closed minutes of the day, at most 1440.
    pub minutes: u32,
    /// Mean share of the length measured.
    pub observed_share: f64,
    /// Mean share of length times lanes with a known flow.
    pub flow_share: f64,
    /// Minutes of each slot of the curves.
    pub curve_minutes: u32,
    /// Mean traffic performance index of each slot from midnight on; null where there is none.
    pub tpi: Vec<Option<f64>>,
    /// Mean travel time index of each slot; null where no minute was closed.
    pub tti: Vec<Option<f64>>,
    /// The worst hour before noon; absent where no hour is complete.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub morning_peak: Option<PeakEntry>,
    /// The worst hour after noon.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub evening_peak: Option<PeakEntry>,
    /// Minutes with the performance index in its bands 1 (0 to 2) to 5 (8 to 10); all 0 without one.
    pub band_minutes: [u32; 5],
    /// Mean length at levels 1 to 5, km.
    pub level_km: [f64; 5],
    /// Most length at level 4 or worse, and when; absent where there was none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub most_jammed: Option<MostJammedEntry>,
    /// Delay of the day, vehicle hours, over what had a known flow; absent without any, or of too
    /// few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_vehh: Option<f64>,
    /// The segments with the most delay, worst first, at most 20.
    pub by_delay: Vec<CongestedSegmentEntry>,
    /// The segments longest at level 4 or worse, at most 20.
    pub by_time: Vec<CongestedSegmentEntry>,
}

/// The worst hour of half a day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct PeakEntry {
    /// When it begins, local time, HH:MM.
    pub start: String,
    /// Mean performance index; absent where the standard has none.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub tpi: Option<f64>,
    /// Mean travel time index.
    pub tti: f64,
}

/// The moment with the most jammed length.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MostJammedEntry {
    /// Local time, HH:MM.
    pub at: String,
    /// Length at level 4 or worse, km.
    pub km: f64,
}

/// A congested segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CongestedSegmentEntry {
    /// Segment number within the network version.
    pub segment: u32,
    /// What the source of the network calls the road; absent where the network is another by now.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub source_id: Option<String>,
    /// Name of the road.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Delay of its vehicles, vehicle hours; absent where none was known, or of too few.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub delay_vehh: Option<f64>,
    /// Minutes at level 4 or worse.
    pub jammed_minutes: u16,
}

/// A number to four decimals.
fn fixed(value: f32) -> f64 {
    (f64::from(value) * 1e4).round() / 1e4
}

/// One message a region, in their order.
pub fn index_entries(batch: &CongestionBatch) -> impl Iterator<Item = IndexMessage> + '_ {
    let regions = batch.regions.iter();
    regions.map(|index| index_message(batch, batch.interval, index))
}

fn index_message(batch: &CongestionBatch, interval: Interval, index: &RegionIndex) -> IndexMessage {
    let optional = |value: Option<f32>| value.map(fixed);
    let extra = (index.tti - 1.0).max(0.0);
    IndexMessage {
        region: index.region.to_string(),
        start_ms: interval.start.as_millis(),
        end_ms: interval.end.as_millis(),
        network: batch.network.to_string(),
        standard: batch.standard.to_string(),
        length_km: fixed(index.length_km),
        lane_km: fixed(index.lane_km),
        observed_share: fixed(index.observed_share),
        estimated_share: fixed(index.estimated_share),
        judged_share: fixed(index.judged_share),
        learnt_share: fixed(index.learnt_share),
        speed_mps: fixed(index.speed_mps),
        tti: fixed(index.tti),
        dtp: fixed(index.dtp),
        tpi: optional(index.tpi),
        jam_factor: fixed(index.jam_factor),
        extra_time: fixed(extra),
        extra_time_band: extra_time_band(extra),
        level_km: index.level_km.map(fixed),
        congested_km: fixed(index.congested_km()),
        severe_share: fixed(index.severe_share()),
        service_km: index.service_km.map(fixed),
        flow_share: fixed(index.flow_share),
        accumulation_veh: optional(index.accumulation_veh),
        production_vph: optional(index.production_vph),
        delay_vehh_per_h: optional(index.delay_vehh_per_h),
        critical_veh: optional(index.critical_veh),
        critical_ratio: optional(index.critical_ratio),
    }
}

/// The index as MQTT messages, one a region.
pub fn index_messages(batch: &Released<CongestionBatch>) -> Vec<OutMessage> {
    let message = |entry: IndexMessage| OutMessage {
        topic: format!("{TOPIC_ROOT}/index/{}", entry.region),
        payload: serde_json::to_vec(&entry)
            .expect("finite numbers and strings are always valid JSON")
            .into(),
        qos: 0,
        retain: true,
    };
    index_entries(batch).map(message).collect()
}

/// The report of a day with the names of `network`, if it is the report's.
pub fn day_message(network: &Network, report: &DayReport) -> DayReportMessage {
    let known = (network.version() == report.network).then_some(network);
    let regions = report.regions.iter();
    DayReportMessage {
        date: date_of(report.day),
        is_over: report.is_over,
        network: report.network.to_string(),
        standard: report.standard.to_string(),
        regions: regions.map(|region| region_entry(known, region)).collect(),
    }
}

fn region_entry(network: Option<&Network>, day: &RegionDay) -> RegionDayEntry {
    let curve = |value: fn(&CurvePoint) -> Option<f32>| {
        let points = day.curve.iter();
        points
            .map(|point| point.as_ref().and_then(value).map(fixed))
            .collect()
    };
    let peak = |peak: &Option<Peak>| {
        peak.map(|peak| PeakEntry {
            start: time_of(peak.start_minute),
            tpi: peak.mean.tpi.map(fixed),
            tti: fixed(peak.mean.tti),
        })
    };
    let entry = |one: &CongestedSegment| CongestedSegmentEntry {
        segment: one.segment.0,
        source_id: network.map(|network| network.source_id(one.segment).to_owned()),
        name: network.and_then(|network| network.name(one.segment).map(str::to_owned)),
        delay_vehh: (one.delay_vehh > 0.0).then(|| fixed(one.delay_vehh)),
        jammed_minutes: one.jammed_minutes,
    };
    RegionDayEntry {
        region: day.region.to_string(),
        minutes: day.minutes,
        observed_share: fixed(day.observed_share),
        flow_share: fixed(day.flow_share),
        curve_minutes: CURVE_MINUTES,
        tpi: curve(|point| point.tpi),
        tti: curve(|point| Some(point.tti)),
        morning_peak: peak(&day.peaks[0]),
        evening_peak: peak(&day.peaks[1]),
        band_minutes: day.band_minutes,
        level_km: day.level_km.map(fixed),
        most_jammed: day.most_jammed.map(|(minute, km)| MostJammedEntry {
            at: time_of(minute),
            km: fixed(km),
        }),
        delay_vehh: day.delay_vehh.map(|value| (value * 1e4).round() / 1e4),
        by_delay: day.by_delay.iter().map(entry).collect(),
        by_time: day.by_time.iter().map(entry).collect(),
    }
}

/// Minute of the day as HH:MM.
fn time_of(minute: u16) -> String {
    format!("{:02}:{:02}", minute / 60, minute % 60)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::format::fixture;
    use crate::state::congestion::{Congestion, CongestionSettings};

    #[test]
    fn messages_are_of_the_documented_type_and_complete() {
        let network = std::sync::Arc::new(fixture::network());
        let mut congestion = Congestion::new(network.clone(), CongestionSettings::default());
        let mut state = fixture::state(&network);
        let batch = congestion.close_minute(&mut state);
        let release = fixture::release();
        let messages = index_messages(&release.congestion(&batch));
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].topic, "roadcast/v1/index/city");
        assert!(messages[0].retain);
        let told: IndexMessage =
            serde_json::from_slice(&messages[0].payload).expect("the documented type");
        assert!(told.tpi.is_some() && told.tti >= 1.0, "{told:?}");
        let total: f64 = told.level_km.iter().sum();
        assert!((total - told.length_km).abs() < 0.01, "{told:?}");
        let day = congestion.today().expect("a minute was closed");
        let message = day_message(&network, &release.day(&std::sync::Arc::new(day)));
        let text = serde_json::to_vec(&message).expect("JSON");
        let read: DayReportMessage = serde_json::from_slice(&text).expect("the documented type");
        assert_eq!(read, message);
        assert_eq!((read.date.as_str(), read.is_over), ("1970-01-01", false));
        assert_eq!(read.regions[0].tti.len(), 288);
    }
}
