//! Reads OpenStreetMap extracts (`.osm.pbf`).
//!
//! Ways for motor vehicles are split where they meet; each stretch is one segment in each direction
//! it is driven. Node pairs are counted along the way's digitised order over the nodes that the
//! extract has. Turn restrictions over nodes are obeyed; those over ways or at certain times are
//! counted and left out.

mod extract;
mod road;
mod turns;

use self::extract::{Extract, Node, Way};
use self::road::Direction;
use self::turns::{Stretch, TurnRules};
use super::NetworkError;
use super::builder::{NetworkBuilder, SegmentDraft, middle_of};
use super::model::{NONE, Network, SegmentFlags};
use super::report::{ImportReport, NetworkFormat, Omission};
use crate::units::{JunctionId, Position};

/// A signal this near before a junction, metres along the road, is the junction's (chosen: stop
/// lines stand up to two crossings and a lane's width away).
const SIGNAL_REACH_M: f64 = 40.0;

/// Reads a network from the bytes of an `.osm.pbf`; `input` names it in messages.
///
/// # Errors
/// When a blob is broken or cut short (the message says which), or no drivable way is left.
pub fn read(input: &str, bytes: &[u8]) -> Result<(Network, ImportReport), NetworkError> {
    let mut report = ImportReport::new(NetworkFormat::Osm);
    let mut extract = extract::extract(input, bytes, &mut report)?;
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
    let splits = splits(&extract);
    let signals = signals(&extract, &splits);
    let mut assembly = Assembly {
        builder: NetworkBuilder::new(middle),
        junctions: vec![NONE; extract.nodes.len()],
        nodes: &extract.nodes,
        signals: &signals,
        stretches: Vec::new(),
    };
    for way in &extract.ways {
        for piece in pieces(way, &splits) {
            assembly.add(way, piece, &mut report)?;
        }
    }
    let Assembly {
        mut builder,
        stretches,
        ..
    } = assembly;
    let rules = TurnRules::new(extract.restrictions, &stretches);
    builder
        .connect_all(&mut |from, to| rules.forbid(stretches[from.index()], stretches[to.index()]));
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

/// Whether ways are split at each node: where a way ends, and where nodes are used twice.
fn splits(extract: &Extract) -> Vec<bool> {
    let mut uses = vec![0u8; extract.nodes.len()];
    for way in &extract.ways {
        let last = way.nodes.len() - 1;
        for (place, &node) in way.nodes.iter().enumerate() {
            let weight = if place == 0 || place == last { 2 } else { 1 };
            let uses = &mut uses[node as usize];
            *uses = uses.saturating_add(weight);
        }
    }
    uses.into_iter().map(|uses| uses >= 2).collect()
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
fn signals(extract: &Extract, splits: &[bool]) -> Vec<bool> {
    let mut signals: Vec<bool> = extract
        .nodes
        .iter()
        .map(|node| node.signal[0] || node.signal[1])
        .collect();
    for way in &extract.ways {
        for piece in pieces(way, splits) {
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
    signals: &'a [bool],
    /// One for each segment, in id order.
    stretches: Vec<Stretch>,
}

impl Assembly<'_> {
    fn add(
        &mut self,
        way: &Way,
        piece: std::ops::RangeInclusive<usize>,
        report: &mut ImportReport,
    ) -> Result<(), NetworkError> {
        let pair = *piece.start() as u32;
        let places = &way.nodes[piece];
        let mut shape: Vec<Position> = positions(self.nodes, places).collect();
        let length_m: f64 = shape
            .windows(2)
            .map(|pair| pair[0].distance_to(pair[1]).value())
            .sum();
        let (Some(&first), Some(&last)) = (places.first(), places.last()) else {
            return Ok(());
        };
        if length_m <= 0.0 {
            report.omit(Omission::NoLength);
            return Ok(());
        }
        let (from, to) = (self.junction(first), self.junction(last));
        for (source_dir, direction) in [(1, way.road.along), (-1, way.road.against)] {
            let Some(direction) = direction else {
                continue;
            };
            let (from, to, first, last) = if source_dir > 0 {
                (from, to, first, last)
            } else {
                shape.reverse();
                (to, from, last, first)
            };
            let mut draft = draft(way, direction, shape.clone(), length_m as f32);
            (draft.from, draft.to) = (from, to);
            (draft.source_dir, draft.source_pair) = (source_dir, pair);
            self.builder.add_segment(draft)?;
            self.stretches.push(Stretch {
                way: way.id,
                pair,
                from_node: self.nodes[first as usize].id,
                to_node: self.nodes[last as usize].id,
            });
        }
        Ok(())
    }

    fn junction(&mut self, node: i64) -> JunctionId {
        let slot = &mut self.junctions[node as usize];
        if *slot == NONE {
            let position = self.nodes[node as usize].position.unwrap_or_default();
            *slot = self
                .builder
                .add_junction(position, self.signals[node as usize])
                .0;
        }
        JunctionId(*slot)
    }
}

fn draft(way: &Way, direction: Direction, shape: Vec<Position>, length_m: f32) -> SegmentDraft {
    SegmentDraft {
        from: JunctionId(0),
        to: JunctionId(0),
        shape,
        length_m: Some(length_m),
        class: way.road.class,
        limit_mps: direction.limit_mps,
        lanes: direction.lanes,
        flags: way
            .road
            .flags
            .with(SegmentFlags::RESTRICTED, direction.is_restricted),
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
