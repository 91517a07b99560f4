//! Cuts a network into Web-Mercator tiles, each segment in the one tile that holds its middle.

use std::collections::BTreeMap;

use super::TOPIC_ROOT;
use super::json::JsonBuffer;
use crate::network::{Network, NetworkVersion};
use crate::publish::OutMessage;
use crate::units::{SegmentId, quadkey};

/// Zoom of the tiles in topics: about 2.1 km a side at 30 degrees north (chosen: a city of
/// 100 000 segments then has some hundred tiles of some hundred segments).
pub const DEFAULT_TILE_ZOOM: u8 = 14;

/// A tile with more segments is split into its four quarters, so that a forecast of a tile stays
/// below 1 MiB (about 340 bytes a segment, 560 where its flow is counted) in the densest city; wildcards
/// over a tile's levels still catch all of it.
pub const TILE_SEGMENTS_MAX: usize = 1_800;

/// Zoom beyond which tiles are not split (the longest quadkey of the tile system).
const TILE_ZOOM_MAX: u8 = 23;

/// One tile and what lies in it.
#[derive(Clone, Debug)]
pub struct Tile {
    /// Quadkey digits, for example `13213023120213`.
    pub quadkey: String,
    /// The same digits as topic levels, for example `1/3/2/1/…`.
    pub path: String,
    /// Its segments in id order.
    pub segments: Vec<SegmentId>,
}

/// The tiles of one network version, sorted by quadkey.
#[derive(Clone, Debug)]
pub struct TileTable {
    network: NetworkVersion,
    tiles: Vec<Tile>,
    tile_of: Vec<u32>,
    heads: Vec<u8>,
    head_start: Vec<u32>,
}

impl TileTable {
    /// Cuts `network` at `zoom` (1..=23), deeper where more than [`TILE_SEGMENTS_MAX`] segments lie
    /// in a tile.
    pub fn new(network: &Network, zoom: u8) -> Self {
        let mut by_key: BTreeMap<String, Vec<SegmentId>> = BTreeMap::new();
        let mut middles = Vec::with_capacity(network.segment_count());
        let mut heads = JsonBuffer::default();
        let mut head_start = vec![0];
        for index in 0..network.segment_count() {
            let id = SegmentId(index as u32);
            let middle = network.position_at(id, network.segment(id).length_m / 2.0);
            by_key.entry(quadkey(middle, zoom)).or_default().push(id);
            middles.push(middle);
            heads.raw("{\"segment\":");
            heads.int(i64::from(id.0));
            heads.raw(",\"source_id\":");
            heads.string(network.source_id(id));
            head_start.push(heads.len() as u32);
        }
        split_crowded(&mut by_key, zoom, &middles);
        let mut tile_of = vec![0; network.segment_count()];
        let mut tiles = Vec::with_capacity(by_key.len());
        for (quadkey, segments) in by_key {
            for segment in &segments {
                tile_of[segment.index()] = tiles.len() as u32;
            }
            tiles.push(Tile {
                path: topic_levels(&quadkey),
                quadkey,
                segments,
            });
        }
        Self {
            network: network.version(),
            tiles,
            tile_of,
            heads: heads.into_bytes().to_vec(),
            head_start,
        }
    }

    /// The network version that was cut.
    pub fn network(&self) -> NetworkVersion {
        self.network
    }

    /// The tiles, sorted by quadkey; none is empty.
    pub fn tiles(&self) -> &[Tile] {
        &self.tiles
    }

    /// The tile a segment belongs to.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn tile_of(&self, segment: SegmentId) -> &Tile {
        &self.tiles[self.tile_of[segment.index()] as usize]
    }

    /// The beginning of a segment's JSON object: its id and its source's id, without closing brace.
    pub(crate) fn head(&self, segment: SegmentId) -> &[u8] {
        let index = segment.index();
        &self.heads[self.head_start[index] as usize..self.head_start[index + 1] as usize]
    }

    /// One retained message a tile, QoS 0, on `kind/{tile}/segments`, in quadkey order; none where
    /// `network` is of another version. `issue` writes what all segments share, `values` those of one.
    pub(super) fn messages(
        &self,
        kind: &str,
        network: NetworkVersion,
        entry_bytes: usize,
        issue: impl Fn(&mut JsonBuffer),
        values: impl Fn(&mut JsonBuffer, SegmentId),
    ) -> Vec<OutMessage> {
        if network != self.network {
            return Vec::new();
        }
        let encode = |tile: &Tile| {
            let mut json = JsonBuffer::with_capacity(240 + tile.segments.len() * entry_bytes);
            json.raw("{\"network\":\"");
            json.raw(&network.to_string());
            json.raw("\",\"tile\":\"");
            json.raw(&tile.quadkey);
            json.raw("\",");
            issue(&mut json);
            json.raw(",\"segments\":[");
            for (index, &segment) in tile.segments.iter().enumerate() {
                if index > 0 {
                    json.raw(",");
                }
                json.raw_bytes(self.head(segment));
                values(&mut json, segment);
                json.raw("}");
            }
            json.raw("]}");
            json.into_bytes()
        };
        let message = |tile: &Tile| OutMessage {
            topic: format!("{TOPIC_ROOT}/{kind}/{}/segments", tile.path),
            payload: encode(tile),
            qos: 0,
            retain: true,
        };
        self.tiles.iter().map(message).collect()
    }
}

/// Moves the segments of crowded tiles one zoom level down until none is crowded.
fn split_crowded(
    by_key: &mut BTreeMap<String, Vec<SegmentId>>,
    zoom: u8,
    middles: &[crate::units::Position],
) {
    for zoom in zoom..TILE_ZOOM_MAX {
        let crowded: Vec<String> = by_key
            .iter()
            .filter(|(key, ids)| key.len() == usize::from(zoom) && ids.len() > TILE_SEGMENTS_MAX)
            .map(|(key, _)| key.clone())
            .collect();
        for key in crowded {
            for id in by_key.remove(&key).unwrap_or_default() {
                let quarter = quadkey(middles[id.index()], zoom + 1);
                by_key.entry(quarter).or_default().push(id);
            }
        }
    }
}

/// Quadkey digits split by `/`.
fn topic_levels(quadkey: &str) -> String {
    let mut path = String::with_capacity(quadkey.len() * 2);
    for digit in quadkey.chars() {
        if !path.is_empty() {
            path.push('/');
        }
        path.push(digit);
    }
    path
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::format::fixture;

    #[test]
    fn every_segment_lies_in_exactly_one_tile() {
        let network = fixture::network();
        let table = TileTable::new(&network, DEFAULT_TILE_ZOOM);
        let mut seen: Vec<SegmentId> = table
            .tiles()
            .iter()
            .flat_map(|tile| tile.segments.iter().copied())
            .collect();
        seen.sort_unstable();
        let all: Vec<SegmentId> = (0..network.segment_count() as u32).map(SegmentId).collect();
        assert_eq!(seen, all);
        assert!(table.tiles().len() > 1, "the fixture spans several tiles");
        for id in all {
            assert!(table.tile_of(id).segments.contains(&id));
        }
    }

    #[test]
    fn crowded_tiles_are_split_into_their_quarters() {
        let middles: Vec<_> = (0..4 * TILE_SEGMENTS_MAX)
            .map(|index| {
                let offset_deg = index as f64 * 1e-6;
                crate::units::Position::new(114.3 + offset_deg, 30.6 + offset_deg)
            })
            .collect();
        let mut by_key: BTreeMap<String, Vec<SegmentId>> = BTreeMap::new();
        for (id, &middle) in middles.iter().enumerate() {
            let key = quadkey(middle, 14);
            by_key.entry(key).or_default().push(SegmentId(id as u32));
        }
        assert!(by_key.values().any(|ids| ids.len() > TILE_SEGMENTS_MAX));
        split_crowded(&mut by_key, 14, &middles);
        for (key, ids) in &by_key {
            assert!(ids.len() <= TILE_SEGMENTS_MAX, "{key}: {}", ids.len());
            for id in ids {
                assert_eq!(&quadkey(middles[id.index()], key.len() as u8), key);
            }
        }
        assert_eq!(by_key.values().map(Vec::len).sum::<usize>(), middles.len());
    }

    #[test]
    fn paths_spell_the_quadkey() {
        let network = fixture::network();
        let table = TileTable::new(&network, 14);
        let tile = &table.tiles()[0];
        assert_eq!(tile.quadkey.len(), 14);
        assert_eq!(tile.path.replace('/', ""), tile.quadkey);
        assert_eq!(tile.path.matches('/').count(), 13);
    }
}
