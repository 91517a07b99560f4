//! Outlook messages: the two hours after the forecast's hour, one retained message a tile and
//! five-minute mark.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TileTable;
use super::forecast::{write_levels, write_quantiles};
use super::json::JsonBuffer;
use crate::forecast::{HALF_HOUR_COUNT, HALF_HOUR_MS, OutlookBatch};
use crate::publish::{OutMessage, Released};
use crate::state::StateBatch;

/// The outlook of every segment of one tile.
///
/// Topic `roadcast/v1/outlook/{quadkey digits as levels}/segments`, retained, QoS 0. Half hour k
/// (from 0) covers `[start_ms + 1000 step_s k, start_ms + 1000 step_s (k + 1))`; a value is the mean
/// speed over it.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct OutlookTileMessage {
    /// Network version the segment numbers belong to.
    pub network: String,
    /// Quadkey of the tile.
    pub tile: String,
    /// End of the last closed minute the outlook knows, event time, milliseconds; a multiple of five
    /// minutes.
    pub issued_at_ms: i64,
    /// Start of the first half hour, an hour after `issued_at_ms`, event time, milliseconds.
    pub start_ms: i64,
    /// Length of a step, seconds: half an hour.
    pub step_s: u32,
    /// The segments whose middle lies in the tile.
    pub segments: Vec<SegmentOutlookEntry>,
}

/// The outlook of one directed segment, four half hours.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentOutlookEntry {
    /// Segment number within the network version.
    pub segment: u32,
    /// What the source of the network calls the road.
    pub source_id: String,
    /// Mean speed that one half hour in ten is slower than, m/s.
    pub p10_mps: [f32; HALF_HOUR_COUNT],
    /// Median of the mean speed, m/s.
    pub p50_mps: [f32; HALF_HOUR_COUNT],
    /// Mean speed that one half hour in ten is faster than, m/s.
    pub p90_mps: [f32; HALF_HOUR_COUNT],
    /// Congestion level of the median, 1 to 5; absent before the first state.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub level: Option<[u8; HALF_HOUR_COUNT]>,
}

/// JSON bytes one segment takes at most in practice, to size buffers.
const ENTRY_BYTES: usize = 170;

/// Encodes an outlook, one message a tile in quadkey order.
///
/// Levels come from the free-flow speeds of `state`, where given. QoS 0: the next issue replaces
/// what was lost. Nothing is returned when `batch` is of another network version than `tiles`.
pub fn outlook_messages(
    batch: &Released<OutlookBatch>,
    state: Option<&StateBatch>,
    tiles: &TileTable,
) -> Vec<OutMessage> {
    let state = state.filter(|state| state.network == batch.network);
    let head = |json: &mut JsonBuffer| write_outlook_issue(json, batch);
    tiles.messages(
        "outlook",
        batch.network,
        ENTRY_BYTES,
        head,
        |json, segment| {
            let halves = batch.half_hours(segment);
            write_quantiles(json, halves);
            if let Some(state) = state {
                write_levels(json, halves, state.segments[segment.index()].free_flow_mps);
            }
        },
    )
}

/// Appends what a whole outlook has in common, from `issued_at_ms` to `step_s`.
pub(crate) fn write_outlook_issue(json: &mut JsonBuffer, batch: &OutlookBatch) {
    json.raw("\"issued_at_ms\":");
    json.int(batch.issued_at.as_millis());
    json.raw(",\"start_ms\":");
    json.int(batch.start.as_millis());
    json.raw(",\"step_s\":");
    json.int(HALF_HOUR_MS / 1000);
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::matching::Zones;
    use crate::publish::Release;
    use crate::publish::format::{Privacy, fixture};
    use crate::units::SegmentId;

    #[test]
    fn messages_parse_as_the_documented_type() {
        let network = fixture::network();
        let tiles = TileTable::new(&network, 14);
        let state = fixture::state(&network);
        let open = Release::new(Privacy::default(), Zones::default());
        let batch = open.outlook(&Arc::new(fixture::outlook(&network)), None);
        let messages = outlook_messages(&batch, Some(&state), &tiles);
        assert_eq!(messages.len(), tiles.tiles().len());
        let mut count = 0;
        for message in &messages {
            assert!(message.retain && message.qos == 0);
            assert!(message.topic.starts_with("roadcast/v1/outlook/"));
            let parsed: OutlookTileMessage =
                serde_json::from_slice(&message.payload).expect("the documented type");
            assert_eq!(parsed.step_s, 1_800);
            assert_eq!(parsed.start_ms - parsed.issued_at_ms, 3_600_000);
            for entry in &parsed.segments {
                let halves = batch.half_hours(SegmentId(entry.segment));
                for (half, quantiles) in halves.iter().enumerate() {
                    assert!((entry.p10_mps[half] - quantiles.p10_mps).abs() < 0.0051);
                    assert!((entry.p50_mps[half] - quantiles.p50_mps).abs() < 0.0051);
                    assert!((entry.p90_mps[half] - quantiles.p90_mps).abs() < 0.0051);
                }
                assert_eq!(entry.level.expect("a state was given").len(), 4);
                count += 1;
            }
        }
        assert_eq!(count, network.segment_count());
        let mut foreign = fixture::outlook(&network);
        foreign.network.0[0] ^= 1;
        let foreign = open.outlook(&Arc::new(foreign), None);
        assert_eq!(outlook_messages(&foreign, None, &tiles), []);
    }
}
