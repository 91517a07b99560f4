//! Forecast messages: one retained message a tile and issue.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::JsonBuffer;
use super::{ForecasterLabel, TileTable};
use crate::forecast::{FlowQuantiles, ForecastBatch, STEP_COUNT, STEP_MS, Speaker, SpeedQuantiles};
use crate::publish::{OutMessage, Released};
use crate::state::{Level, StateBatch};
use crate::units::SegmentId;

/// The forecast of every segment of one tile.
///
/// Topic `roadcast/v1/forecast/{quadkey digits as levels}/segments`, retained. Step k (from 0)
/// covers `[first_step_ms + 1000 step_s k, first_step_ms + 1000 step_s (k + 1))`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ForecastTileMessage {
    /// Network version the segment numbers belong to.
    pub network: String,
    /// Quadkey of the tile.
    pub tile: String,
    /// End of the last closed minute the forecast knows, event time, milliseconds.
    pub issued_at_ms: i64,
    /// Start of the first step, event time, milliseconds.
    pub first_step_ms: i64,
    /// Length of a step, seconds.
    pub step_s: u32,
    /// Name and version of the model that speaks, or, where `fallback`, of the baseline.
    pub model: String,
    /// Whether baselines speak for every segment, because the configured model did not answer in
    /// time or has lost to them everywhere.
    pub fallback: bool,
    /// The segments whose middle lies in the tile.
    pub segments: Vec<SegmentForecastEntry>,
}

/// The forecast of one directed segment, twelve steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentForecastEntry {
    /// Segment number within the network version.
    pub segment: u32,
    /// What the source of the network calls the road.
    pub source_id: String,
    /// Speed that one in ten is slower than, m/s.
    pub p10_mps: [f32; STEP_COUNT],
    /// Median speed, m/s.
    pub p50_mps: [f32; STEP_COUNT],
    /// Speed that one in ten is faster than, m/s.
    pub p90_mps: [f32; STEP_COUNT],
    /// The baseline that speaks for this segment, because the model has lost to it for long where
    /// traffic is as it is here, or has not answered; absent where the model speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub voice: Option<ForecasterLabel>,
    /// When the road is closed as planned, the next time within the forecast's reach; speeds are 0 in the
    /// steps that are closed for half of them or longer.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub closed: Option<ClosedEntry>,
    /// The flow, where detectors count it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow: Option<FlowForecastEntry>,
    /// Congestion level of the median, 1 to 5; absent before the first state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<[u8; STEP_COUNT]>,
}

/// The flow of a segment, twelve steps.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FlowForecastEntry {
    /// Flow that one in ten is less than, veh/h.
    pub p10_vph: [f32; STEP_COUNT],
    /// Median flow, veh/h.
    pub p50_vph: [f32; STEP_COUNT],
    /// Flow that one in ten is more than, veh/h.
    pub p90_vph: [f32; STEP_COUNT],
}

/// When a road is closed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ClosedEntry {
    /// When it begins, event time, milliseconds.
    pub from_ms: i64,
    /// When it ends, event time, milliseconds.
    pub until_ms: i64,
}

/// JSON bytes one segment takes at most in practice, to size buffers.
const ENTRY_BYTES: usize = 340;

/// Encodes a forecast, one message a tile in quadkey order.
///
/// Levels come from the free-flow speeds of `state`, where given. QoS 0: the next issue replaces
/// what was lost. Nothing is returned when `batch` is of another network version than `tiles`.
pub fn forecast_messages(
    batch: &Released<ForecastBatch>,
    state: Option<&StateBatch>,
    tiles: &TileTable,
) -> Vec<OutMessage> {
    let state = state.filter(|state| state.network == batch.network);
    let head = |json: &mut JsonBuffer| write_issue(json, batch);
    tiles.messages(
        "forecast",
        batch.network,
        ENTRY_BYTES,
        head,
        |json, segment| {
            let steps = batch.steps(segment);
            write_quantiles(json, steps);
            write_voice(json, batch.speaker(segment));
            write_closed(json, batch, segment);
            write_flow(json, batch, segment);
            if let Some(state) = state {
                write_levels(json, steps, state.segments[segment.index()].free_flow_mps);
            }
        },
    )
}

/// Appends what a whole forecast has in common, from `issued_at_ms` to `fallback`.
pub(crate) fn write_issue(json: &mut JsonBuffer, batch: &ForecastBatch) {
    json.raw("\"issued_at_ms\":");
    json.int(batch.issued_at.as_millis());
    json.raw(",\"first_step_ms\":");
    json.int(batch.first_step.as_millis());
    json.raw(",\"step_s\":");
    json.int(STEP_MS / 1000);
    json.raw(",\"model\":");
    json.string(&batch.model);
    json.raw(if batch.fallback {
        ",\"fallback\":true"
    } else {
        ",\"fallback\":false"
    });
}

/// Appends the three quantile arrays, each with a comma before it.
pub(crate) fn write_quantiles(json: &mut JsonBuffer, steps: &[SpeedQuantiles]) {
    type Pick = fn(&SpeedQuantiles) -> f32;
    let quantiles: [(&str, Pick); 3] = [
        (",\"p10_mps\":[", |step| step.p10_mps),
        (",\"p50_mps\":[", |step| step.p50_mps),
        (",\"p90_mps\":[", |step| step.p90_mps),
    ];
    for (key, pick) in quantiles {
        json.raw(key);
        for (index, step) in steps.iter().enumerate() {
            if index > 0 {
                json.raw(",");
            }
            json.fixed2(pick(step));
        }
        json.raw("]");
    }
}

/// Appends who speaks for a segment, with a comma before it, where it is not the model.
pub(crate) fn write_voice(json: &mut JsonBuffer, speaker: Speaker) {
    if speaker != Speaker::Running {
        json.raw(",\"voice\":\"");
        json.raw(speaker.label());
        json.raw("\"");
    }
}

/// Appends when a segment is closed the next time, with a comma before it, where it is.
pub(crate) fn write_closed(json: &mut JsonBuffer, batch: &ForecastBatch, segment: SegmentId) {
    if let Some(closed) = batch.closed(segment) {
        json.raw(",\"closed\":{\"from_ms\":");
        json.int(closed.start.as_millis());
        json.raw(",\"until_ms\":");
        json.int(closed.end.as_millis());
        json.raw("}");
    }
}

/// Appends the flow of a segment, with a comma before it, where it is counted.
pub(crate) fn write_flow(json: &mut JsonBuffer, batch: &ForecastBatch, segment: SegmentId) {
    type Pick = fn(&FlowQuantiles) -> f32;
    let quantiles: [(&str, Pick); 3] = [
        (",\"flow\":{\"p10_vph\":[", |step| step.p10_vph),
        ("],\"p50_vph\":[", |step| step.p50_vph),
        ("],\"p90_vph\":[", |step| step.p90_vph),
    ];
    let Some(steps) = batch.flows.steps(segment) else {
        return;
    };
    for (key, pick) in quantiles {
        json.raw(key);
        for (index, step) in steps.iter().enumerate() {
            if index > 0 {
                json.raw(",");
            }
            json.int(pick(step).round() as i64);
        }
    }
    json.raw("]}");
}

/// Appends the levels of the medians, with a comma before them.
pub(crate) fn write_levels(json: &mut JsonBuffer, steps: &[SpeedQuantiles], free_flow_mps: f32) {
    json.raw(",\"level\":[");
    for (step, level) in step_levels(steps, free_flow_mps).enumerate() {
        if step > 0 {
            json.raw(",");
        }
        json.int(i64::from(level as u8));
    }
    json.raw("]");
}

/// The congestion level of each step's median.
pub(crate) fn step_levels(
    steps: &[SpeedQuantiles],
    free_flow_mps: f32,
) -> impl Iterator<Item = Level> + '_ {
    steps.iter().map(move |step| {
        if free_flow_mps > 0.0 {
            Level::from_speed_ratio(step.p50_mps / free_flow_mps)
        } else {
            Level::Smooth
        }
    })
}

/// The probability of each level, the best first, where free flow is known; they add up to 1.
fn level_probabilities(step: &SpeedQuantiles, free_flow_mps: f32) -> [f32; Level::ALL.len()] {
    let at_most = |ratio: &f32| step.probability_below(ratio * free_flow_mps);
    let edges = Level::RATIO_EDGES;
    std::array::from_fn(|level| {
        let from_worse = edges.get(level).map_or(0.0, at_most);
        let from_here = level
            .checked_sub(1)
            .map_or(1.0, |before| at_most(&edges[before]));
        (from_here - from_worse).max(0.0)
    })
}

/// Appends what the quantiles say of one segment's congestion: `level_probability`, by step the
/// probabilities of levels 1 to 5, and the start of the first step whose median is congested
/// (level 3 or worse), `onset_ms`, or, where the first step's is, that of the first whose median is
/// not any more, `clearance_ms`; neither where nothing changes within the hour, nor where the road is
/// closed meanwhile, which is no congestion.
pub(crate) fn write_congestion(
    json: &mut JsonBuffer,
    batch: &ForecastBatch,
    steps: &[SpeedQuantiles],
    free_flow_mps: f32,
    is_closed: bool,
) {
    json.raw(",\"level_probability\":[");
    for (index, step) in steps.iter().enumerate() {
        for (level, probability) in level_probabilities(step, free_flow_mps)
            .into_iter()
            .enumerate()
        {
            json.raw(match (index, level) {
                (0, 0) => "[",
                (_, 0) => "],[",
                _ => ",",
            });
            json.fixed2(probability);
        }
    }
    json.raw("]]");
    let mut is_congested = step_levels(steps, free_flow_mps).map(|level| level >= Level::Light);
    let at_first = is_congested.next() == Some(true);
    let changes = 1 + is_congested.take_while(|&now| now == at_first).count();
    if changes < steps.len() && !is_closed {
        json.raw(if at_first {
            ",\"clearance_ms\":"
        } else {
            ",\"onset_ms\":"
        });
        json.int(batch.interval(changes).start.as_millis());
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::sync::Arc;

    use crate::matching::Zones;
    use crate::publish::Release;
    use crate::publish::format::{Privacy, fixture};
    use crate::state::{ClosureDraft, Closures};

    #[test]
    fn levels_have_probabilities_that_add_up_and_congestion_a_beginning_or_an_end() {
        let network = fixture::network();
        let batch = fixture::forecast(&network);
        let told = |median_mps: &dyn Fn(usize) -> f32| -> serde_json::Value {
            let steps: [SpeedQuantiles; STEP_COUNT] = std::array::from_fn(|step| {
                let p50_mps = median_mps(step);
                SpeedQuantiles::ordered(p50_mps - 2.0, p50_mps, p50_mps + 2.0, p50_mps)
            });
            let mut json = JsonBuffer::with_capacity(1_024);
            json.raw("{\"a\":0");
            write_congestion(&mut json, &batch, &steps, 20.0, false);
            json.raw("}");
            serde_json::from_slice(&json.into_bytes()).expect("it is JSON")
        };
        let jam_comes = told(&|step| if step < 4 { 18.0 } else { 6.9 });
        for of_step in jam_comes["level_probability"].as_array().expect("an array") {
            let five: Vec<f64> = of_step
                .as_array()
                .expect("an array")
                .iter()
                .filter_map(|p| p.as_f64())
                .collect();
            assert_eq!(five.len(), 5);
            assert!((five.iter().sum::<f64>() - 1.0).abs() < 0.03, "{five:?}");
        }
        // Median 18 of 20 m/s is smooth; 6.9 lies between 0.3 and 0.4 of free flow.
        let likely =
            |step: usize, level: usize| jam_comes["level_probability"][step][level].as_f64();
        assert!(
            likely(0, 0) > Some(0.9) && likely(4, 3) > Some(0.3),
            "{jam_comes}"
        );
        assert!(likely(4, 0) < Some(0.01));
        let start_ms = |step: usize| batch.interval(step).start.as_millis();
        assert_eq!(jam_comes["onset_ms"].as_i64(), Some(start_ms(4)));
        assert!(jam_comes.get("clearance_ms").is_none());
        let jam_goes = told(&|step| if step < 2 { 5.0 } else { 17.0 });
        assert_eq!(jam_goes["clearance_ms"].as_i64(), Some(start_ms(2)));
        assert!(jam_goes.get("onset_ms").is_none());
        for steady in [told(&|_| 5.0), told(&|_| 18.0)] {
            assert!(steady.get("onset_ms").is_none() && steady.get("clearance_ms").is_none());
        }
    }

    #[test]
    fn a_closed_road_has_no_speed_while_it_is_closed() {
        let network = fixture::network();
        let forecast = fixture::forecast(&network);
        let start = |step: usize| forecast.interval(step).start;
        let source = network.source_id(SegmentId(0)).to_owned();
        // All of step 2, most of step 3 and a little of step 4.
        let draft = ClosureDraft {
            id: "works".into(),
            sources: vec![source],
            from: start(2),
            until: start(3).plus_secs(180),
        };
        let closures = Closures::resolve(&network, &[draft]).expect("the way is there");
        let forecast = forecast.clone().with_closures(&Arc::new(closures));
        let moves = |step: usize| forecast.steps(SegmentId(0))[step].p95_mps > 0.0;
        assert_eq!([0, 1, 2, 3, 4].map(moves), [true, true, false, false, true]);
        let release = Release::new(Privacy::default(), Zones::default());
        let tiles = TileTable::new(&network, 14);
        let batch = release.forecast(&Arc::new(forecast.clone()), None);
        let mut told = Vec::new();
        for message in forecast_messages(&batch, None, &tiles) {
            let parsed: ForecastTileMessage =
                serde_json::from_slice(&message.payload).expect("the documented type");
            let closed = parsed
                .segments
                .iter()
                .filter(|entry| entry.closed.is_some());
            told.extend(closed.map(|entry| {
                (
                    network.source_id(SegmentId(entry.segment)).to_owned(),
                    entry.closed,
                )
            }));
        }
        let wanted = ClosedEntry {
            from_ms: start(2).as_millis(),
            until_ms: start(3).plus_secs(180).as_millis(),
        };
        assert!(!told.is_empty());
        assert!(
            told.iter()
                .all(|it| *it == (network.source_id(SegmentId(0)).to_owned(), Some(wanted)))
        );
    }

    #[test]
    fn messages_parse_as_the_documented_type() {
        let network = fixture::network();
        let tiles = TileTable::new(&network, 14);
        let state = fixture::state(&network);
        let open = Release::new(Privacy::default(), Zones::default());
        let mut forecast = fixture::forecast(&network);
        forecast.speakers = vec![Speaker::Running; network.segment_count()];
        forecast.speakers[1] = Speaker::LastValue;
        let batch = open.forecast(&Arc::new(forecast), None);
        let messages = forecast_messages(&batch, Some(&state), &tiles);
        let mut count = 0;
        for message in &messages {
            let parsed: ForecastTileMessage =
                serde_json::from_slice(&message.payload).expect("the documented type");
            assert_eq!(parsed.model, &*batch.model);
            assert_eq!(parsed.step_s, 300);
            for entry in &parsed.segments {
                let steps = batch.steps(SegmentId(entry.segment));
                for (step, quantiles) in steps.iter().enumerate() {
                    assert!((entry.p50_mps[step] - quantiles.p50_mps).abs() < 0.0051);
                    assert!(entry.p10_mps[step] <= entry.p50_mps[step]);
                    assert!(entry.p50_mps[step] <= entry.p90_mps[step]);
                }
                assert!(entry.level.expect("a state was given").contains(&5));
                let voice = (entry.segment == 1).then_some(ForecasterLabel::LastValue);
                assert_eq!(entry.voice, voice);
                count += 1;
            }
        }
        assert_eq!(count, network.segment_count());
    }
}
