//! Turns what an importer read into a [`Network`]: ids, adjacency, twins, regions, hash.

use std::collections::BTreeMap;

use sha2::{Digest, Sha256};

use super::NetworkError;
use super::index::SegmentIndex;
use super::lanes::{LANES_MAX, Lane, LaneIndex, LaneTable, LinkDraft};
use super::manoeuvres::Manoeuvres;
use super::model::{
    Junction, Movement, MovementFlags, NONE, Network, NetworkVersion, RoadClass, Segment,
    SegmentFlags,
};
use super::sections::SectionTable;
use crate::units::{JunctionId, LocalFrame, Point, Position, SegmentId};

/// One directed segment as an importer describes it.
#[derive(Clone, Debug)]
pub struct SegmentDraft {
    /// Where it begins.
    pub from: JunctionId,
    /// Where it ends.
    pub to: JunctionId,
    /// Geometry, start to end, at least two positions.
    pub shape: Vec<Position>,
    /// Length in metres where the source states one; else measured along the shape.
    pub length_m: Option<f32>,
    /// Functional class.
    pub class: RoadClass,
    /// Speed limit in m/s where known.
    pub limit_mps: Option<f32>,
    /// Lanes in this direction where known; else 1, 2 for primary and better.
    pub lanes: Option<u8>,
    /// Yes-or-no facts ([`SegmentFlags::SIGNAL`] is set from the junction).
    pub flags: SegmentFlags,
    /// Vertical layer.
    pub layer: i8,
    /// The source's id of the road.
    pub source_id: String,
    /// +1 along the digitised order of the source, -1 against it.
    pub source_dir: i8,
    /// Index of the first node pair in the source way, digitised order.
    pub source_pair: u32,
    /// Name in its own language.
    pub name: Option<String>,
    /// English name.
    pub name_en: Option<String>,
}

/// Whether a turn may be made.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnRule {
    /// Always.
    Open,
    /// Not at certain times or not by everybody: vehicles are found there, routes avoid it.
    AtTimes,
    /// Never.
    Forbidden,
}

/// Collects junctions, segments and movements and builds the network from them.
#[derive(Debug)]
pub struct NetworkBuilder {
    frame: LocalFrame,
    junctions: Vec<Junction>,
    segments: Vec<Segment>,
    points: Vec<Point>,
    movements: Vec<Movement>,
    /// The first junction whose position is out of range.
    lost_junction: Option<(JunctionId, Position)>,
    manoeuvres: Vec<Vec<SegmentId>>,
    lanes: Vec<Lane>,
    links: Vec<LinkDraft>,
    text_ids: BTreeMap<String, u32>,
    text: Vec<u8>,
    text_start: Vec<u32>,
}

/// Side of the square cells that group segments into regions, metres. Chosen: a region of a dense
/// city then holds some thousand segments.
const REGION_CELL_M: f32 = 4_000.0;

/// Roads of different sources between the same junctions are the two directions of one where their
/// middles lie at most this share of the length apart. Chosen: the halves of a circle lie 0.64
/// (2/pi) apart, dual carriageways a small part of their length.
const TWIN_APART_SHARE: f32 = 0.3;

impl NetworkBuilder {
    /// Starts an empty network around `origin`, best near its middle.
    pub fn new(origin: Position) -> Self {
        Self {
            frame: LocalFrame::new(origin),
            junctions: Vec::new(),
            segments: Vec::new(),
            points: Vec::new(),
            movements: Vec::new(),
            lost_junction: None,
            manoeuvres: Vec::new(),
            lanes: Vec::new(),
            links: Vec::new(),
            text_ids: BTreeMap::new(),
            text: Vec::new(),
            text_start: vec![0],
        }
    }

    /// Adds a junction and returns its id.
    pub fn add_junction(&mut self, position: Position, is_signalised: bool) -> JunctionId {
        let point = self.frame.to_point(position);
        self.junctions.push(Junction {
            point,
            signal: u32::from(is_signalised),
        });
        let id = JunctionId(self.junctions.len() as u32 - 1);
        if !position.is_valid() {
            self.lost_junction.get_or_insert((id, position));
        }
        id
    }

    /// Adds a directed segment and returns its id.
    ///
    /// # Errors
    /// When the shape has fewer than two positions, has a position out of range or a length that
    /// is not positive, or when a junction is unknown.
    pub fn add_segment(&mut self, draft: SegmentDraft) -> Result<SegmentId, NetworkError> {
        let malformed = |problem: String| NetworkError::Malformed {
            input: "network".into(),
            place: format!("road {}", draft.source_id),
            problem,
        };
        if draft.shape.len() < 2 {
            return Err(malformed(format!(
                "{} positions, at least 2 needed",
                draft.shape.len()
            )));
        }
        if let Some(bad) = draft.shape.iter().find(|position| !position.is_valid()) {
            return Err(malformed(format!(
                "position {}, {} out of range",
                bad.lon_deg, bad.lat_deg
            )));
        }
        let known = self.junctions.len();
        if draft.from.index() >= known || draft.to.index() >= known {
            return Err(malformed(format!(
                "junction {} or {} unknown",
                draft.from, draft.to
            )));
        }
        let first_point = self.points.len() as u32;
        self.points.extend(
            draft
                .shape
                .iter()
                .map(|&position| self.frame.to_point(position)),
        );
        let drawn_m: f32 = self.points[first_point as usize..]
            .windows(2)
            .map(|pair| pair[0].distance_m(pair[1]))
            .sum();
        let length_m = draft.length_m.unwrap_or(drawn_m);
        if !(length_m.is_finite() && length_m > 0.0) {
            self.points.truncate(first_point as usize);
            return Err(malformed(format!("length {length_m} m is not positive")));
        }
        let default_lanes = if draft.class <= RoadClass::Primary {
            2
        } else {
            1
        };
        let limit_mps = draft
            .limit_mps
            .filter(|limit| limit.is_finite() && *limit > 0.0);
        let source_text = self.intern(&draft.source_id);
        let name_text = draft.name.as_deref().map_or(NONE, |name| self.intern(name));
        let name_en_text = draft
            .name_en
            .as_deref()
            .map_or(NONE, |name| self.intern(name));
        let signal = self.junctions[draft.to.index()].is_signalised();
        self.segments.push(Segment {
            from: draft.from.0,
            to: draft.to.0,
            first_point,
            point_count: draft.shape.len() as u32,
            source_text,
            name_text,
            name_en_text,
            twin: NONE,
            region: 0,
            length_m,
            limit_mps: limit_mps.unwrap_or(draft.class.default_speed_mps()),
            source_pair: draft.source_pair,
            class: draft.class as u8,
            lanes: draft.lanes.unwrap_or(default_lanes).max(1),
            flags: draft.flags.with(SegmentFlags::SIGNAL, signal),
            layer: draft.layer,
            source_dir: draft.source_dir,
            padding: [0; 3],
        });
        Ok(SegmentId(self.segments.len() as u32 - 1))
    }

    /// Permits going from one segment to another over `length_m` metres of junction; repeated calls
    /// keep the first length and the larger lane count.
    pub fn add_movement(&mut self, from: SegmentId, to: SegmentId, length_m: f32, lanes: u32) {
        self.movements.push(Movement {
            from: from.0,
            to: to.0,
            length_m,
            lanes: u16::try_from(lanes.max(1)).unwrap_or(u16::MAX),
            flags: MovementFlags::default(),
        });
    }

    /// Forbids to drive three or more segments one after the other. Sequences that no movements
    /// follow are left out, as is what shorter ones forbid already.
    pub fn forbid_manoeuvre(&mut self, sequence: Vec<SegmentId>) {
        self.manoeuvres.push(sequence);
    }

    /// Gives a segment a lane; one beyond the first [`LANES_MAX`] is left out.
    pub fn add_lane(&mut self, segment: SegmentId, lane: Lane) {
        if usize::from(lane.index) < LANES_MAX && lane.to_m > lane.from_m {
            self.lanes.push(Lane {
                segment: segment.0,
                ..lane
            });
        }
    }

    /// Says that a lane at the end of `from` leads into a lane at the start of `to`, and which
    /// signal it obeys there. It counts where that movement is permitted.
    pub fn add_lane_link(
        &mut self,
        (from, to): (SegmentId, SegmentId),
        lanes: (LaneIndex, LaneIndex),
        signal: Option<&str>,
    ) {
        let signal_text = signal.map_or(NONE, |signal| self.intern(signal));
        self.links.push(LinkDraft {
            segments: (from.0, to.0),
            lanes: (lanes.0.0, lanes.1.0),
            signal_text,
        });
    }

    /// Permits every movement at every junction but those for which `banned` says yes; turning back
    /// into the twin is permitted only where nothing else leaves.
    pub fn connect_all(&mut self, banned: &mut impl FnMut(SegmentId, SegmentId) -> bool) {
        self.connect_by(&mut |from, to| {
            if banned(from, to) {
                TurnRule::Forbidden
            } else {
                TurnRule::Open
            }
        });
    }

    /// As [`NetworkBuilder::connect_all`], for turns that `rule` tells apart.
    pub fn connect_by(&mut self, rule: &mut impl FnMut(SegmentId, SegmentId) -> TurnRule) {
        self.find_twins();
        let starts = group_starts(
            self.junctions.len(),
            self.segments.iter().map(|segment| segment.from),
        );
        let leaving = group_members(&starts, self.segments.iter().map(|segment| segment.from));
        for id in 0..self.segments.len() as u32 {
            let segment = self.segments[id as usize];
            let (first, last) = (starts[segment.to as usize], starts[segment.to as usize + 1]);
            let exits = &leaving[first as usize..last as usize];
            let only_back = exits.iter().all(|&exit| exit == segment.twin);
            for &exit in exits {
                let turns_back = exit == segment.twin;
                if turns_back && !only_back {
                    continue;
                }
                let rule = rule(SegmentId(id), SegmentId(exit));
                if rule != TurnRule::Forbidden {
                    let flags = MovementFlags::default();
                    self.movements.push(Movement {
                        from: id,
                        to: exit,
                        length_m: 0.0,
                        lanes: 1,
                        flags: flags.with(MovementFlags::AT_TIMES, rule == TurnRule::AtTimes),
                    });
                }
            }
        }
    }

    fn intern(&mut self, text: &str) -> u32 {
        if let Some(&id) = self.text_ids.get(text) {
            return id;
        }
        let id = self.text_ids.len() as u32;
        self.text.extend_from_slice(text.as_bytes());
        self.text_start.push(self.text.len() as u32);
        self.text_ids.insert(text.to_owned(), id);
        id
    }

    /// Pairs segments between the same two junctions in opposite directions: the two directions of
    /// one source road, else the road nearest in length that runs beside it.
    fn find_twins(&mut self) {
        let mut between: Vec<(u32, u32, u32)> = self
            .segments
            .iter()
            .enumerate()
            .map(|(id, segment)| (segment.from, segment.to, id as u32))
            .collect();
        between.sort_unstable();
        for id in 0..self.segments.len() {
            let segment = &self.segments[id];
            let back = (segment.to, segment.from);
            let first = between.partition_point(|&(from, to, _)| (from, to) < back);
            let best = between[first..]
                .iter()
                .take_while(|&&(from, to, _)| (from, to) == back)
                .map(|&(_, _, other)| other)
                .filter(|&other| other != id as u32)
                .filter_map(|other| Some((self.twin_rank(segment, other as usize)?, other)))
                .min_by(|(a, _), (b, _)| a.0.cmp(&b.0).then(a.1.total_cmp(&b.1)));
            self.segments[id].twin = best.map_or(NONE, |(_, twin)| twin);
        }
    }

    /// How well `other` is the opposite direction of `segment`, smaller is better; `None` for the
    /// two halves of a roundabout and other loops.
    fn twin_rank(&self, segment: &Segment, other: usize) -> Option<(bool, f32)> {
        let other = &self.segments[other];
        let longer_m = (other.length_m - segment.length_m).abs();
        if segment.source_text == other.source_text {
            let opposite = segment.source_dir == -other.source_dir;
            return (opposite && segment.source_pair == other.source_pair)
                .then_some((false, longer_m));
        }
        let circles = |segment: &Segment| segment.flags.contains(SegmentFlags::ROUNDABOUT);
        let apart_m = self.half_way(segment).distance_m(self.half_way(other));
        let beside = apart_m <= TWIN_APART_SHARE * segment.length_m;
        (beside && !circles(segment) && !circles(other)).then_some((true, longer_m))
    }

    fn half_way(&self, segment: &Segment) -> Point {
        let shape = &self.points[segment.first_point as usize..][..segment.point_count as usize];
        let pieces_m = shape.windows(2).map(|pair| pair[0].distance_m(pair[1]));
        let mut left_m = pieces_m.clone().sum::<f32>() / 2.0;
        for (pair, piece_m) in shape.windows(2).zip(pieces_m) {
            if left_m <= piece_m && piece_m > 0.0 {
                let share = left_m / piece_m;
                return Point::new(
                    pair[0].x + (pair[1].x - pair[0].x) * share,
                    pair[0].y + (pair[1].y - pair[0].y) * share,
                );
            }
            left_m -= piece_m;
        }
        shape[0]
    }

    fn assign_regions(&mut self) -> u32 {
        let mut cells: BTreeMap<(i32, i32), u32> = BTreeMap::new();
        let cell_of = |point: Point| {
            (
                (point.x / REGION_CELL_M + 0.5).floor() as i32,
                (point.y / REGION_CELL_M + 0.5).floor() as i32,
            )
        };
        for segment in &self.segments {
            cells
                .entry(cell_of(self.points[segment.first_point as usize]))
                .or_default();
        }
        for (next, region) in cells.values_mut().enumerate() {
            *region = next as u32;
        }
        for segment in &mut self.segments {
            segment.region = cells[&cell_of(self.points[segment.first_point as usize])];
        }
        cells.len() as u32
    }

    /// Finishes the network. Segments without any movement out are kept: they end at the border.
    ///
    /// # Errors
    /// When there is no segment, or a junction's position is out of range.
    pub fn build(mut self) -> Result<Network, NetworkError> {
        if self.segments.is_empty() {
            return Err(NetworkError::Empty {
                input: "network".into(),
            });
        }
        if let Some((id, position)) = self.lost_junction {
            return Err(NetworkError::Malformed {
                input: "network".into(),
                place: format!("junction {id}"),
                problem: format!(
                    "position {}, {} out of range",
                    position.lon_deg, position.lat_deg
                ),
            });
        }
        self.find_twins();
        let region_count = self.assign_regions();
        self.movements
            .sort_by_key(|movement| (movement.from, movement.to));
        self.movements.dedup_by(|later, kept| {
            let same = (later.from, later.to) == (kept.from, kept.to);
            if same {
                kept.lanes = kept.lanes.max(later.lanes);
            }
            same
        });
        let manoeuvres = Manoeuvres::sequences(self.manoeuvres, &self.movements);
        let lanes = LaneTable::build(self.lanes, self.links, &self.movements);
        Ok(assemble(Parts {
            frame: self.frame,
            segments: self.segments,
            points: self.points,
            junctions: self.junctions,
            movements: self.movements,
            manoeuvres,
            text: self.text,
            text_start: self.text_start,
            region_count,
            lanes,
        }))
    }
}

/// The middle of the box around `positions`, degrees; `None` without any.
pub(super) fn middle_of(positions: impl Iterator<Item = Position>) -> Option<Position> {
    let mut bounds: Option<(Position, Position)> = None;
    for position in positions {
        let (low, high) = bounds.get_or_insert((position, position));
        low.lon_deg = low.lon_deg.min(position.lon_deg);
        low.lat_deg = low.lat_deg.min(position.lat_deg);
        high.lon_deg = high.lon_deg.max(position.lon_deg);
        high.lat_deg = high.lat_deg.max(position.lat_deg);
    }
    bounds.map(|(low, high)| {
        Position::new(
            (low.lon_deg + high.lon_deg) / 2.0,
            (low.lat_deg + high.lat_deg) / 2.0,
        )
    })
}

/// What a network consists of before anything is derived from it.
#[derive(Debug)]
pub(super) struct Parts {
    pub(super) frame: LocalFrame,
    pub(super) segments: Vec<Segment>,
    pub(super) points: Vec<Point>,
    pub(super) junctions: Vec<Junction>,
    pub(super) movements: Vec<Movement>,
    /// The segments of prohibited manoeuvres, each preceded by how many they are.
    pub(super) manoeuvres: Vec<u32>,
    pub(super) text: Vec<u8>,
    pub(super) text_start: Vec<u32>,
    pub(super) region_count: u32,
    pub(super) lanes: LaneTable,
}

impl Parts {
    /// The hash of everything here; each array is preceded by its length in bytes. Lanes
    /// count only where there are any.
    pub(super) fn version(&self) -> NetworkVersion {
        let mut hash = Sha256::new();
        let origin = self.frame.origin();
        hash.update(origin.lon_deg.to_le_bytes());
        hash.update(origin.lat_deg.to_le_bytes());
        hash.update(self.region_count.to_le_bytes());
        for bytes in [
            bytemuck::cast_slice(&self.segments),
            bytemuck::cast_slice(&self.points),
            bytemuck::cast_slice(&self.junctions),
            bytemuck::cast_slice(&self.movements),
            bytemuck::cast_slice(&self.manoeuvres),
            self.text.as_slice(),
            bytemuck::cast_slice(&self.text_start),
        ] {
            hash.update((bytes.len() as u64).to_le_bytes());
            hash.update(bytes);
        }
        if !self.lanes.lanes.is_empty() {
            for bytes in [
                bytemuck::cast_slice::<_, u8>(&self.lanes.lanes),
                bytemuck::cast_slice(&self.lanes.links),
            ] {
                hash.update((bytes.len() as u64).to_le_bytes());
                hash.update(bytes);
            }
        }
        NetworkVersion(hash.finalize().into())
    }
}

/// Derives adjacency, index and version.
fn assemble(parts: Parts) -> Network {
    let count = parts.segments.len();
    let out_start = group_starts(count, parts.movements.iter().map(|movement| movement.from));
    let into_start = group_starts(count, parts.movements.iter().map(|movement| movement.to));
    let into = group_members(
        &into_start,
        parts.movements.iter().map(|movement| movement.to),
    );
    let index = SegmentIndex::build(parts.segments.iter().map(|segment| {
        &parts.points[segment.first_point as usize..][..segment.point_count as usize]
    }));
    let manoeuvres = Manoeuvres::new(parts.manoeuvres.clone(), &parts.movements, &out_start);
    Network {
        version: parts.version(),
        frame: parts.frame,
        segments: parts.segments,
        points: parts.points,
        junctions: parts.junctions,
        movements: parts.movements,
        manoeuvres,
        out_start,
        into,
        into_start,
        text: parts.text,
        text_start: parts.text_start,
        region_count: parts.region_count,
        index,
        sections: SectionTable::default(),
        lanes: parts.lanes,
    }
}

/// Where each group begins when things are sorted by their group.
pub(super) fn group_starts(groups: usize, keys: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut starts = vec![0u32; groups + 1];
    for key in keys {
        starts[key as usize + 1] += 1;
    }
    for group in 0..groups {
        starts[group + 1] += starts[group];
    }
    starts
}

/// The positions of the things in each group, in order.
pub(super) fn group_members(starts: &[u32], keys: impl Iterator<Item = u32>) -> Vec<u32> {
    let mut next = starts.to_vec();
    let mut members = vec![0u32; starts.last().copied().unwrap_or(0) as usize];
    for (position, key) in keys.enumerate() {
        let slot = &mut next[key as usize];
        members[*slot as usize] = position as u32;
        *slot += 1;
    }
    members
}
