//! State messages: the retained snapshot of a tile; what follows it until the next is in `delta`.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::JsonBuffer;
use super::{TOPIC_ROOT, Tile, TileTable};
use crate::publish::OutMessage;
use crate::state::congestion::jam_factor;
use crate::state::{Doubt, SegmentState, StateBatch};
use crate::units::Timestamp;

/// The state of every segment of one tile in one closed minute.
///
/// Topic `roadcast/v1/state/{quadkey digits as levels}/segments`, retained: a full snapshot every
/// few minutes. What differs from it goes to `…/delta` in the minutes between.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateTileMessage {
    /// Network version the segment numbers belong to, first 16 hexadecimal digits of its SHA-256.
    pub network: String,
    /// Quadkey of the tile.
    pub tile: String,
    /// Start of the minute, event time, milliseconds.
    pub start_ms: i64,
    /// End of the minute, event time, milliseconds.
    pub end_ms: i64,
    /// The segments whose middle lies in the tile.
    pub segments: Vec<SegmentStateEntry>,
}

/// The state of one directed segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SegmentStateEntry {
    /// Segment number within the network version.
    pub segment: u32,
    /// What the source of the network calls the road (OSM way, SUMO edge, CSV id or row).
    pub source_id: String,
    /// Space-mean speed, m/s, two decimals.
    pub speed_mps: f32,
    /// Standard deviation of `speed_mps`, m/s.
    pub sigma_mps: f32,
    /// Speed of unhindered traffic here, m/s.
    pub free_flow_mps: f32,
    /// Whether `free_flow_mps` was learnt over 30 days; absent while it is the fallback (a quantile
    /// of the run's minutes, or the limit).
    #[serde(default, skip_serializing_if = "std::ops::Not::not")]
    pub free_flow_learnt: bool,
    /// Congestion level after the standard of `state.level_standard`, 1 (畅通) to 5 (严重拥堵).
    #[schemars(range(min = 1, max = 5))]
    pub level: u8,
    /// Jam factor, 0 (free) to 10, by the curve of docs/congestion.md over the speed ratio.
    pub jam_factor: f32,
    /// `observed`: measured in this minute by at least `min_subjects` road users; `estimated`:
    /// from fewer, from earlier minutes or neighbours; `profile`: only history speaks.
    pub provenance: ProvenanceLabel,
    /// Distinct road users seen in the minute; absent where they are fewer than `min_subjects`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sample_count: Option<u32>,
    /// Independent views (sources, roadside units, detectors) behind the minute; absent where
    /// `sample_count` is.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub views: Option<u8>,
    /// Why some reports of the minute were not believed; absent where all were.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub doubt: Option<DoubtLabel>,
    /// Seconds since the last minute with a measurement here; absent if never, and unless at least
    /// `min_subjects` road users or a detector measured in this minute.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub age_s: Option<u32>,
    /// Flow over all lanes, veh/h; absent where unknown or from fewer than `min_subjects`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub flow_vph: Option<f32>,
    /// Density over all lanes, veh/km; absent where unknown or from fewer than `min_subjects`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub density_vpkm: Option<f32>,
    /// Queue from the stop line, metres; absent where nothing was seen of it or by fewer than
    /// `min_subjects`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub queue_length_m: Option<f32>,
}

/// Where a published value comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ProvenanceLabel {
    /// Measured on this segment in this minute.
    Observed,
    /// Estimated.
    Estimated,
    /// Only the profile speaks.
    Profile,
}

/// Why reports were not believed.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DoubtLabel {
    /// Their source has lost trust, or its positions are in another datum than it states.
    Distrusted,
    /// A crowd of slow vehicles that appeared here and had never driven anywhere.
    Unproven,
    /// A queue that fills the road, through which others drove.
    Ghost,
    /// A sudden drop of speed that too few independent views tell.
    Uncorroborated,
}

/// JSON bytes one segment takes at most in practice, to size buffers.
pub(super) const ENTRY_BYTES: usize = 240;

/// The full state of one tile in a closed minute.
pub(super) fn tile_message(batch: &StateBatch, tiles: &TileTable, tile: &Tile) -> OutMessage {
    let mut json = JsonBuffer::with_capacity(160 + tile.segments.len() * ENTRY_BYTES);
    write_tile_head(&mut json, batch, tile, None);
    for (index, &segment) in tile.segments.iter().enumerate() {
        if index > 0 {
            json.raw(",");
        }
        json.raw_bytes(tiles.head(segment));
        write_segment_state(&mut json, &batch.segments[segment.index()]);
        json.raw("}");
    }
    json.raw("]}");
    OutMessage {
        topic: format!("{TOPIC_ROOT}/state/{}/segments", tile.path),
        payload: json.into_bytes(),
        qos: 0,
        retain: true,
    }
}

/// Appends what stands before the segments of a tile, up to the bracket that opens them; `since` is
/// the minute that a delta is laid over.
pub(super) fn write_tile_head(
    json: &mut JsonBuffer,
    batch: &StateBatch,
    tile: &Tile,
    since: Option<Timestamp>,
) {
    json.raw("{\"network\":\"");
    json.raw(&batch.network.to_string());
    json.raw("\",\"tile\":\"");
    json.raw(&tile.quadkey);
    if let Some(since) = since {
        json.raw("\",\"since_ms\":");
        json.int(since.as_millis());
        json.raw(",\"start_ms\":");
    } else {
        json.raw("\",\"start_ms\":");
    }
    json.int(batch.interval.start.as_millis());
    json.raw(",\"end_ms\":");
    json.int(batch.interval.end.as_millis());
    json.raw(",\"segments\":[");
}

/// Appends the fields of a segment's released state, each with a comma before it.
pub(crate) fn write_segment_state(json: &mut JsonBuffer, state: &SegmentState) {
    json.raw(",\"speed_mps\":");
    json.fixed2(state.speed_mps);
    json.raw(",\"sigma_mps\":");
    json.fixed2(state.sigma_mps);
    json.raw(",\"free_flow_mps\":");
    json.fixed2(state.free_flow_mps);
    json.raw(",\"level\":");
    json.int(i64::from(state.level as u8));
    json.raw(",\"jam_factor\":");
    json.fixed2(jam_factor(state.speed_mps, state.free_flow_mps));
    if state.is_free_flow_learnt {
        json.raw(",\"free_flow_learnt\":true");
    }
    json.raw(",\"provenance\":\"");
    json.raw(state.provenance.label());
    json.raw("\"");
    if state.sample_count > 0 {
        json.raw(",\"sample_count\":");
        json.int(i64::from(state.sample_count));
    }
    if state.view_count > 0 && state.sample_count > 0 {
        json.raw(",\"views\":");
        json.int(i64::from(state.view_count));
    }
    if state.doubt != Doubt::None {
        json.raw(",\"doubt\":\"");
        json.raw(state.doubt.label());
        json.raw("\"");
    }
    if let Some(age_s) = state.age_s {
        json.raw(",\"age_s\":");
        json.int(i64::from(age_s));
    }
    let optional = [
        (",\"flow_vph\":", state.flow_vph),
        (",\"density_vpkm\":", state.density_vpkm),
        (",\"queue_length_m\":", state.queue_length_m),
    ];
    for (key, value) in optional {
        if let Some(value) = value {
            json.raw(key);
            json.fixed2(value);
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::format::{StateTopics, fixture};

    /// The first minute's messages, all of them snapshots.
    fn snapshots(batch: &StateBatch, tiles: &TileTable) -> Vec<OutMessage> {
        StateTopics::new(5)
            .messages(&fixture::released(batch), tiles)
            .messages
    }

    #[test]
    fn messages_hold_every_segment_once_and_parse_as_the_documented_type() {
        let network = fixture::network();
        let tiles = TileTable::new(&network, 14);
        let batch = fixture::state(&network);
        let messages = snapshots(&batch, &tiles);
        assert_eq!(messages.len(), tiles.tiles().len());
        let mut count = 0;
        for message in &messages {
            let parsed: StateTileMessage =
                serde_json::from_slice(&message.payload).expect("the documented type");
            assert_eq!(
                message.topic.replace('/', ""),
                format!("roadcastv1state{}segments", parsed.tile)
            );
            assert!(message.retain);
            for entry in &parsed.segments {
                let state = &batch.segments[entry.segment as usize];
                assert!((entry.speed_mps - state.speed_mps).abs() < 0.0051);
                assert_eq!(entry.level, state.level as u8);
                count += 1;
            }
        }
        assert_eq!(count, network.segment_count());
    }

    #[test]
    fn a_small_group_is_never_published_as_measured() {
        let network = fixture::network();
        let tiles = TileTable::new(&network, 14);
        let mut batch = fixture::state(&network);
        for state in &mut batch.segments {
            state.provenance = crate::state::Provenance::Observed;
            state.sample_count = 4;
        }
        for message in snapshots(&batch, &tiles) {
            let parsed: StateTileMessage =
                serde_json::from_slice(&message.payload).expect("the documented type");
            for entry in parsed.segments {
                assert_eq!(entry.provenance, ProvenanceLabel::Estimated);
                assert_eq!(entry.sample_count, None);
            }
        }
    }

    #[test]
    fn another_network_version_is_not_published() {
        let network = fixture::network();
        let tiles = TileTable::new(&network, 14);
        let mut batch = fixture::state(&network);
        batch.network.0[0] ^= 1;
        assert!(snapshots(&batch, &tiles).is_empty());
    }
}
