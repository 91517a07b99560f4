//! Reads OpenStreetMap extracts (`.osm.pbf`).
//!
//! Ways for motor vehicles are split where they meet and where a barrier closes them; each stretch
//! is one segment in each direction it is driven. Node pairs are counted along the way's digitised
//! order over the nodes that the extract has. Turn restrictions over nodes become movements that
//! are missing, those over ways prohibited manoeuvres. What holds at certain times only can't be
//! held by a network without a clock: [`Assumption`] says what becomes of it, the report counts it.

mod access;
mod conditional;
mod extract;
mod limits;
mod pbf;
mod restriction;
mod road;
mod speed;
mod tags;
mod turns;

use self::access::Barrier;
use self::extract::{Extract, Node, Way};
use self::road::Direction;
use self::turns::{Stretch, TurnRules};
use super::builder::{NetworkBuilder, SegmentDraft, middle_of};
use super::model::{NONE, Network, SegmentFlags};
use super::report::{Assumption, ImportReport, NetworkFormat, Omission};
use super::{ImportOptions, NetworkError};
use crate::units::{JunctionId, Position};

/// A signal this near before a junction, metres along the road, is the junction's (chosen: stop
/// lines stand up to two crossings and a lane's width away).
const SIGNAL_REACH_M: f64 = 40.0;

/// Reads a network from the bytes of an `.osm.pbf`; `input` names it in messages.
///
/// # Errors
/// When a blob is broken or cut short (the message says which, and the element), or no drivable
/// way is left.
pub fn read(input: &str, bytes: &[u8]) -> Result<(Network, ImportReport), NetworkError> {
    read_with(input, bytes, ImportOptions::default())
}

/// Reads a network as [`read`] does, with `options`.
///
/// # Errors
/// As [`read`].
pub fn read_with(
    input: &str,
    bytes: &[u8],
    options: ImportOptions,
) -> Result<(Network, ImportReport), NetworkError> {
    let mut report = ImportReport::new(NetworkFormat::Osm);
    let mut extract = extract::extract(input, bytes, options, &mut report)?;
    keep_known_nodes(&mut extract, &mut report);
    let positions = extract
        .ways
        .iter()
        .flat_map(|way| positions(&extract.nodes, &way.nodes));
    let Some(middle) = middle_of(positions) else {
        return Err(NetworkError::Empty {
            input: input.to_owned(),
        });
    };
    let joints = Joints::new(&extract, &mut report);
    let signals = signals(&extract, &joints);
    let mut assembly = Assembly {
        builder: NetworkBuilder::new(middle),
        junctions: vec![NONE; extract.nodes.len()],
        nodes: &extract.nodes,
        joints: &joints,
        signals: &signals,
        stretches: Vec::new(),
    };
    for way in &extract.ways {
        assembly.add_way(way, &mut report)?;
    }
    let Assembly {
        mut builder,
        stretches,
        ..
    } = assembly;
    if stretches.is_empty() {
        return Err(NetworkError::Empty {
            input: input.to_owned(),
        });
    }
    let node_of = |id: i64| {
        let index = extract.nodes.binary_search_by_key(&id, |node| node.id);
        index.ok().map(|index| joints.roots[index])
    };
    let mut rules = TurnRules::new(extract.restrictions, &stretches, &node_of, &mut report);
    for manoeuvre in rules.take_manoeuvres() {
        builder.forbid_manoeuvre(manoeuvre);
    }
    builder.connect_by(&mut |from, to| rules.rule(from, to));
    let network = builder.build()?;
    Ok((network, report))
}

/// Replaces node ids by indices, leaving out the nodes that the extract lacks and the ways that
/// are then no lines.
fn keep_known_nodes(extract: &mut Extract, report: &mut ImportReport) {
    let nodes = &extract.nodes;
    extract.ways.retain_mut(|way| {
        let before = way.nodes.len();
        let known = way.nodes.iter().filter_map(|&id| {
            let index = nodes.binary_search_by_key(&id, |node| node.id).ok()?;
            nodes[index].position.is_some().then_some(index as i64)
        });
        way.nodes = known.collect();
        report.omit_many(Omission::MissingNode, (before - way.nodes.len()) as u64);
        let is_line = way.nodes.len() >= 2;
        if !is_line {
            report.omit(Omission::NoGeometry);
        }
        is_line
    });
}

fn positions<'a>(nodes: &'a [Node], indices: &'a [i64]) -> impl Iterator<Item = Position> + 'a {
    indices
        .iter()
        .filter_map(|&index| nodes[index as usize].position)
}

/// How ways meet at nodes.
struct Joints {
    /// Where ways are split: where one ends, where they meet, and at closed barriers.
    splits: Vec<bool>,
    /// Barriers that close the road. Nodes where more than two stretches meet are left open: the
    /// barrier is on one of them and the data doesn't say on which.
    closed: Vec<Barrier>,
    /// The node that stands for each: nodes that only stretches of no length part are one place.
    roots: Vec<u32>,
}

impl Joints {
    fn new(extract: &Extract, report: &mut ImportReport) -> Self {
        let count = extract.nodes.len();
        let (mut arms, mut splits) = (vec![0u8; count], vec![false; count]);
        for way in &extract.ways {
            let last = way.nodes.len() - 1;
            for (place, &node) in way.nodes.iter().enumerate() {
                let is_end = place == 0 || place == last;
                let node = node as usize;
                arms[node] = arms[node].saturating_add(if is_end { 1 } else { 2 });
                splits[node] |= is_end || arms[node] > 2;
            }
        }
        let mut closed = vec![Barrier::Open; count];
        for (index, node) in extract.nodes.iter().enumerate() {
            if node.barrier == Barrier::Open {
                continue;
            }
            if arms[index] > 2 {
                report.assume(Assumption::BarrierAtJunction);
            } else if arms[index] == 2 {
                report.assume(Assumption::ClosedBarrier);
                closed[index] = node.barrier;
                splits[index] = true;
            }
        }
        let mut joints = Self {
            splits,
            closed,
            roots: (0..count as u32).collect(),
        };
        joints.unite(extract);
        joints
    }

    /// Makes one place of nodes that a stretch of no length connects.
    fn unite(&mut self, extract: &Extract) {
        let mut pairs = Vec::new();
        for way in &extract.ways {
            for piece in pieces(way, &self.splits) {
                let places = &way.nodes[piece];
                let (first, last) = (places[0] as usize, places[places.len() - 1] as usize);
                let is_open = [first, last]
                    .iter()
                    .all(|&end| self.closed[end] == Barrier::Open);
                if first != last && is_open && length_m(&extract.nodes, places) <= 0.0 {
                    pairs.push((first as u32, last as u32));
                }
            }
        }
        for (a, b) in pairs {
            let (a, b) = (self.root(a), self.root(b));
            self.roots[a.max(b) as usize] = a.min(b);
        }
        for node in 0..self.roots.len() as u32 {
            self.roots[node as usize] = self.root(node);
        }
    }

    fn root(&self, node: u32) -> u32 {
        let mut at = node;
        while self.roots[at as usize] != at {
            at = self.roots[at as usize];
        }
        at
    }
}

fn length_m(nodes: &[Node], places: &[i64]) -> f64 {
    let mut last: Option<Position> = None;
    let mut length_m = 0.0;
    for position in positions(nodes, places) {
        length_m += last.map_or(0.0, |last| last.distance_to(position).value());
        last = Some(position);
    }
    length_m
}

/// The stretches of a way between split nodes, as ranges of places that share their ends.
fn pieces<'a>(
    way: &'a Way,
    splits: &'a [bool],
) -> impl Iterator<Item = std::ops::RangeInclusive<usize>> + 'a {
    let mut first = 0;
    (1..way.nodes.len())
        .filter(|&place| splits[way.nodes[place] as usize])
        .map(move |place| std::mem::replace(&mut first, place)..=place)
}

/// Which nodes are signalised: those tagged so, and junctions right behind a tagged node.
fn signals(extract: &Extract, joints: &Joints) -> Vec<bool> {
    let mut signals: Vec<bool> = extract
        .nodes
        .iter()
        .map(|node| node.signal[0] || node.signal[1])
        .collect();
    for way in &extract.ways {
        for piece in pieces(way, &joints.splits) {
            let along = &way.nodes[piece];
            let against: Vec<i64> = along.iter().rev().copied().collect();
            for (side, nodes) in [(0, along), (1, &against)] {
                let open = if side == 0 {
                    way.road.along
                } else {
                    way.road.against
                };
                if open.is_some()
                    && signal_before_end(&extract.nodes, nodes, side)
                    && let Some(&end) = nodes.last()
                {
                    signals[end as usize] = true;
                }
            }
        }
    }
    for node in 0..signals.len() {
        let is_signalised = signals[node];
        signals[joints.roots[node] as usize] |= is_signalised;
    }
    signals
}

fn signal_before_end(nodes: &[Node], driven: &[i64], side: usize) -> bool {
    let mut ahead_m = 0.0;
    for pair in driven.windows(2).rev() {
        let [before, after] = [pair[0], pair[1]].map(|index| nodes[index as usize]);
        let apart_m = before.position.zip(after.position);
        ahead_m += apart_m.map_or(0.0, |(a, b)| a.distance_to(b).value());
        if ahead_m > SIGNAL_REACH_M {
            return false;
        }
        if before.signal[side] && pair[0] != driven[0] {
            return true;
        }
    }
    false
}

/// The network under construction.
struct Assembly<'a> {
    builder: NetworkBuilder,
    /// The junction at each node, [`NONE`] before it is needed.
    junctions: Vec<u32>,
    nodes: &'a [Node],
    joints: &'a Joints,
    signals: &'a [bool],
    /// One for each segment, in id order.
    stretches: Vec<Stretch>,
}

impl Assembly<'_> {
    fn add_way(&mut self, way: &Way, report: &mut ImportReport) -> Result<(), NetworkError> {
        let before = self.stretches.len();
        let joints = self.joints;
        for piece in pieces(way, &joints.splits) {
            self.add(way, piece, report)?;
        }
        if self.stretches.len() > before {
            report.roads_kept += 1;
            way.road.count(report);
        } else {
            report.omit(Omission::NoGeometry);
        }
        Ok(())
    }

    fn add(
        &mut self,
        way: &Way,
        piece: std::ops::RangeInclusive<usize>,
        report: &mut ImportReport,
    ) -> Result<(), NetworkError> {
        let pair = *piece.start() as u32;
        let places = &way.nodes[piece];
        let length_m = length_m(self.nodes, places);
        let (Some(&first), Some(&last)) = (places.first(), places.last()) else {
            return Ok(());
        };
        if length_m <= 0.0 {
            report.omit(Omission::NoLength);
            return Ok(());
        }
        let sides = [way.road.along, way.road.against];
        let is_for_buses = sides
            .iter()
            .flatten()
            .all(|side| side.access.contains(SegmentFlags::RESTRICTED));
        let [first, last] = [first, last].map(|node| self.joints.roots[node as usize]);
        let junctions = [first, last].map(|node| self.junction(node, is_for_buses));
        let mut shape: Vec<Position> = positions(self.nodes, places).collect();
        for (source_dir, side) in [1, -1].into_iter().zip(sides) {
            let Some(side) = side else {
                continue;
            };
            let (mut ends, mut nodes) = (junctions, [first, last]);
            if source_dir < 0 {
                shape.reverse();
                ends.reverse();
                nodes.reverse();
            }
            let mut draft = draft(way, side, shape.clone(), length_m as f32);
            [draft.from, draft.to] = ends;
            (draft.source_dir, draft.source_pair) = (source_dir, pair);
            self.builder.add_segment(draft)?;
            self.stretches.push(Stretch {
                way: way.id,
                pair,
                from_node: nodes[0],
                to_node: nodes[1],
            });
        }
        Ok(())
    }

    /// The junction at a node. At a closed barrier each road has its own, where it ends.
    fn junction(&mut self, node: u32, is_for_buses: bool) -> JunctionId {
        let is_closed = match self.joints.closed[node as usize] {
            Barrier::Open => false,
            Barrier::Buses => !is_for_buses,
            Barrier::Closed => true,
        };
        if !is_closed && self.junctions[node as usize] != NONE {
            return JunctionId(self.junctions[node as usize]);
        }
        let position = self.nodes[node as usize].position.unwrap_or_default();
        let is_signalised = self.signals[node as usize];
        let junction = self.builder.add_junction(position, is_signalised);
        if !is_closed {
            self.junctions[node as usize] = junction.0;
        }
        junction
    }
}

fn draft(way: &Way, side: Direction, shape: Vec<Position>, length_m: f32) -> SegmentDraft {
    SegmentDraft {
        from: JunctionId(0),
        to: JunctionId(0),
        shape,
        length_m: Some(length_m),
        class: way.road.class,
        limit_mps: side.limit_mps,
        lanes: side.lanes,
        flags: SegmentFlags(way.road.flags.0 | side.access.0),
        layer: way.road.layer,
        source_id: way.id.to_string(),
        source_dir: 1,
        source_pair: 0,
        name: way.road.name.clone(),
        name_en: way.road.name_en.clone(),
    }
}

#[cfg(test)]
mod tests;
