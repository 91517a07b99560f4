//! State over MQTT in few bytes: a full snapshot of a tile every few minutes, and each minute what
//! has changed since.
//!
//! A delta holds every segment that differs from the tile's last snapshot by more than
//! [`has_changed`] allows, however often it changed. So a subscriber's state is its snapshot with
//! the newest delta of that snapshot laid over it: a lost delta is healed by the next one, and
//! whoever joins late needs no more than the two retained messages.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::json::JsonBuffer;
use super::state::{SegmentStateEntry, write_segment_state, write_tile_head};
use super::{TOPIC_ROOT, Tile, TileTable};
use crate::publish::{OutMessage, Released};
use crate::state::{MINUTE_MS, SegmentState, StateBatch};
use crate::units::Timestamp;

/// A speed, its free-flow speed or its sigma has changed from so much on, m/s. Chosen: the levels of
/// GB/T 33171-2016 are tenths of free flow, at least three times as far apart on any street.
const SPEED_STEP_MPS: f32 = 0.5;
/// A speed has also changed from this share of the older value on.
const SPEED_STEP_RATIO: f32 = 0.05;
/// A flow or a density has changed from this share of the older value on, and from
/// [`FLOW_STEP_VPH`] or [`DENSITY_STEP_VPKM`] on.
const FLOW_STEP_RATIO: f32 = 0.1;
/// Least change of a flow, veh/h: one vehicle a minute.
const FLOW_STEP_VPH: f32 = 60.0;
/// Least change of a density, veh/km.
const DENSITY_STEP_VPKM: f32 = 1.0;
/// A queue has changed from so much on, m: two cars.
const QUEUE_STEP_M: f32 = 15.0;
/// A number of road users has changed from this share of the older one on.
const COUNT_STEP_RATIO: f32 = 0.25;
/// A standard deviation has changed from this share of the older value on, and from
/// [`SIGMA_STEP_MPS`] on.
const SIGMA_STEP_RATIO: f32 = 0.25;
/// Least change of a standard deviation, m/s.
const SIGMA_STEP_MPS: f32 = 0.25;

/// A delta with more than this share of a tile's segments goes out as a snapshot: it costs little
/// more, and the deltas after it are small again.
const SNAPSHOT_SHARE: f32 = 0.5;

/// What has changed in one tile since its last snapshot.
///
/// Topic `roadcast/v1/state/{quadkey digits as levels}/delta`, retained.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StateDeltaMessage {
    /// Network version the segment numbers belong to, first 16 hexadecimal digits of its SHA-256.
    pub network: String,
    /// Quadkey of the tile.
    pub tile: String,
    /// `end_ms` of the snapshot that this is to be laid over.
    pub since_ms: i64,
    /// Start of the minute, event time, milliseconds.
    pub start_ms: i64,
    /// End of the minute, event time, milliseconds.
    pub end_ms: i64,
    /// The segments that differ from the snapshot, whole; all others are as there.
    pub segments: Vec<SegmentStateEntry>,
}

/// Whether `now` differs from `before` so much that a subscriber must hear of it.
///
/// Level, provenance, doubt, age, and whether a value is known at all have no tolerance.
pub fn has_changed(before: &SegmentState, now: &SegmentState) -> bool {
    let exact = |state: &SegmentState| {
        (
            (state.level, state.provenance, state.doubt, state.age_s),
            state.flow_vph.is_some(),
            state.density_vpkm.is_some(),
            state.queue_length_m.is_some(),
            state.sample_count > 0,
            state.view_count > 0,
        )
    };
    let speed = |before_mps: f32, now_mps: f32| {
        let step = (now_mps - before_mps).abs();
        step >= SPEED_STEP_MPS || step >= SPEED_STEP_RATIO * before_mps.abs() && step > 0.0
    };
    let both = |before: f32, now: f32, least: f32, ratio: f32| {
        let step = (now - before).abs();
        step >= least && step >= ratio * before.abs()
    };
    let known = |before: Option<f32>, now: Option<f32>, least: f32, ratio: f32| {
        before
            .zip(now)
            .is_some_and(|(before, now)| both(before, now, least, ratio))
    };
    let counts = |before: u32, now: u32| {
        let step = before.abs_diff(now);
        step > 1 && step as f32 >= COUNT_STEP_RATIO * before as f32
    };
    exact(before) != exact(now)
        || speed(before.speed_mps, now.speed_mps)
        || speed(before.free_flow_mps, now.free_flow_mps)
        || both(
            before.sigma_mps,
            now.sigma_mps,
            SIGMA_STEP_MPS,
            SIGMA_STEP_RATIO,
        )
        || counts(before.sample_count, now.sample_count)
        || counts(before.view_count.into(), now.view_count.into())
        || known(
            before.flow_vph,
            now.flow_vph,
            FLOW_STEP_VPH,
            FLOW_STEP_RATIO,
        )
        || known(
            before.density_vpkm,
            now.density_vpkm,
            DENSITY_STEP_VPKM,
            FLOW_STEP_RATIO,
        )
        || known(before.queue_length_m, now.queue_length_m, QUEUE_STEP_M, 0.0)
}

/// The messages of one minute.
#[derive(Debug, Default)]
pub struct TileMessages {
    /// Every tile's message in quadkey order.
    pub messages: Vec<OutMessage>,
    /// How many of them are snapshots, and their payload bytes.
    pub snapshots: (u64, u64),
    /// How many of them are deltas, and their payload bytes.
    pub deltas: (u64, u64),
}

/// What subscribers hold of each tile, and when it is told anew.
#[derive(Debug)]
pub struct StateTopics {
    /// Minutes from one snapshot of a tile to the next.
    every_minutes: i64,
    /// The state of each segment in its tile's last snapshot.
    told: Vec<SegmentState>,
    /// End of the minute of each tile's last snapshot; `None` before it.
    since: Vec<Option<Timestamp>>,
}

impl StateTopics {
    /// Nothing told yet: each tile begins with a snapshot. Later snapshots come every
    /// `every_minutes` (at least 1: no deltas), in each minute those of another part of the tiles.
    pub fn new(every_minutes: u32) -> Self {
        Self {
            every_minutes: i64::from(every_minutes.max(1)),
            told: Vec::new(),
            since: Vec::new(),
        }
    }

    /// What was told may have been lost: every tile is told in full in the next minute.
    pub fn forget(&mut self) {
        self.since.fill(None);
    }

    /// The messages of a closed minute, one a tile; none where `batch` is of another network
    /// version than `tiles`. QoS 0: the next minute replaces what was lost.
    pub fn messages(&mut self, batch: &Released<StateBatch>, tiles: &TileTable) -> TileMessages {
        let mut out = TileMessages::default();
        if batch.network != tiles.network() {
            return out;
        }
        if self.told.len() != batch.segments.len() || self.since.len() != tiles.tiles().len() {
            self.told.clone_from(&batch.segments);
            self.since = vec![None; tiles.tiles().len()];
        }
        let minute = batch.interval.start.as_millis().div_euclid(MINUTE_MS);
        for (index, tile) in tiles.tiles().iter().enumerate() {
            let since = self.since[index].filter(|since| {
                let age = batch.interval.end.millis_since(*since) / MINUTE_MS;
                let is_turn = (minute + index as i64) % self.every_minutes == 0;
                (1..self.every_minutes).contains(&age) && !is_turn
            });
            let delta = since.and_then(|since| self.delta(batch, tiles, tile, since));
            let (message, count) = match delta {
                Some(message) => (message, &mut out.deltas),
                None => {
                    self.since[index] = Some(batch.interval.end);
                    for segment in &tile.segments {
                        self.told[segment.index()] = batch.segments[segment.index()];
                    }
                    (
                        super::state::tile_message(batch, tiles, tile),
                        &mut out.snapshots,
                    )
                }
            };
            count.0 += 1;
            count.1 += message.payload.len() as u64;
            out.messages.push(message);
        }
        out
    }

    /// The delta of `tile` against its snapshot; `None` where a snapshot is as good.
    fn delta(
        &self,
        batch: &StateBatch,
        tiles: &TileTable,
        tile: &Tile,
        since: Timestamp,
    ) -> Option<OutMessage> {
        let changed: Vec<_> = (tile.segments.iter())
            .filter(|id| has_changed(&self.told[id.index()], &batch.segments[id.index()]))
            .collect();
        if changed.len() as f32 > SNAPSHOT_SHARE * tile.segments.len() as f32 {
            return None;
        }
        let mut json = JsonBuffer::with_capacity(180 + changed.len() * super::state::ENTRY_BYTES);
        write_tile_head(&mut json, batch, tile, Some(since));
        for (index, &&segment) in changed.iter().enumerate() {
            if index > 0 {
                json.raw(",");
            }
            json.raw_bytes(tiles.head(segment));
            write_segment_state(&mut json, &batch.segments[segment.index()]);
            json.raw("}");
        }
        json.raw("]}");
        Some(OutMessage {
            topic: format!("{TOPIC_ROOT}/state/{}/delta", tile.path),
            payload: json.into_bytes(),
            qos: 0,
            retain: true,
        })
    }
}

#[cfg(test)]
mod tests;
