//! Turns the plan into a network and finds crossings and gateways in it again.

use std::collections::BTreeMap;

use super::Crossing;
use super::names::Names;
use super::plan::{Plan, Road};
use crate::network::{Network, NetworkBuilder, NetworkError, SegmentDraft, SegmentFlags};
use crate::units::{LocalFrame, Point, Position, SegmentId, heading_difference_deg};

/// Turns sharper than this are not made, degrees (chosen: slip roads meet at less).
const SHARPEST_TURN_DEG: f32 = 150.0;

/// The network and which segments each road of the plan became: forward, and back if two-way.
pub(super) struct Drawn {
    pub(super) network: Network,
    pub(super) segments: Vec<(SegmentId, Option<SegmentId>)>,
}

struct End {
    road: usize,
    is_link: bool,
    heading_out_deg: f32,
    heading_in_deg: f32,
}

/// Builds the network.
pub(super) fn draw(
    plan: &Plan,
    centre: Position,
    frame: &LocalFrame,
) -> Result<Drawn, NetworkError> {
    let mut builder = NetworkBuilder::new(centre);
    let mut used = vec![false; plan.nodes.len()];
    for road in &plan.roads {
        used[road.from] = true;
        used[road.to] = true;
    }
    let mut junctions = BTreeMap::new();
    for (index, node) in plan.nodes.iter().enumerate() {
        if used[index] {
            let id = builder.add_junction(frame.to_position(node.at), node.has_signal);
            junctions.insert(index, id);
        }
    }
    let mut ends: Vec<End> = Vec::new();
    let mut segments = Vec::with_capacity(plan.roads.len());
    for (number, road) in plan.roads.iter().enumerate() {
        let mut add = |is_back: bool| -> Result<SegmentId, NetworkError> {
            let mut shape = road.shape.clone();
            if is_back {
                shape.reverse();
            }
            ends.push(End {
                road: number,
                is_link: road.kind.flags.contains(SegmentFlags::LINK),
                heading_out_deg: shape[0].heading_deg_to(shape[1]),
                heading_in_deg: shape[shape.len() - 2].heading_deg_to(shape[shape.len() - 1]),
            });
            let (from, to) = if is_back {
                (road.to, road.from)
            } else {
                (road.from, road.to)
            };
            let id = builder.add_segment(SegmentDraft {
                from: junctions[&from],
                to: junctions[&to],
                shape: shape.iter().map(|&p| frame.to_position(p)).collect(),
                length_m: None,
                class: road.kind.class,
                limit_mps: Some(road.kind.limit_kmh / 3.6),
                lanes: Some(road.kind.lanes),
                flags: road.kind.flags,
                layer: road.kind.layer,
                source_id: format!("{}yh{number:04}", if is_back { "-" } else { "" }),
                source_dir: if is_back { -1 } else { 1 },
                source_pair: 0,
                name: Some(road.kind.name.zh.clone()),
                name_en: Some(road.kind.name.en.clone()),
            })?;
            Ok(id)
        };
        let forward = add(false)?;
        let back = if road.kind.is_oneway {
            None
        } else {
            Some(add(true)?)
        };
        segments.push((forward, back));
    }
    builder.connect_all(&mut |from, to| {
        let (a, b) = (&ends[from.index()], &ends[to.index()]);
        let turn_deg = heading_difference_deg(a.heading_in_deg, b.heading_out_deg);
        (a.is_link && b.is_link) || (a.road != b.road && turn_deg > SHARPEST_TURN_DEG)
    });
    Ok(Drawn {
        network: builder.build()?,
        segments,
    })
}

/// The river crossings, upstream to downstream.
pub(super) fn crossings(plan: &Plan, drawn: &Drawn) -> Vec<Crossing> {
    let mut by_number: BTreeMap<usize, Vec<(usize, &Road)>> = BTreeMap::new();
    for (index, road) in plan.roads.iter().enumerate() {
        if let Some(number) = road.crossing {
            by_number.entry(number).or_default().push((index, road));
        }
    }
    by_number
        .into_iter()
        .map(|(number, roads)| {
            let name = Names::crossing(number);
            let there = roads
                .iter()
                .map(|&(index, _)| drawn.segments[index].0)
                .collect();
            let back = roads
                .iter()
                .rev()
                .filter_map(|&(index, _)| drawn.segments[index].1)
                .collect();
            Crossing {
                name: name.zh,
                name_en: name.en,
                directions: [there, back],
            }
        })
        .collect()
}

/// Segments at the edge of the world.
pub(super) fn gateways(plan: &Plan, drawn: &Drawn) -> Vec<SegmentId> {
    plan.roads
        .iter()
        .zip(&drawn.segments)
        .filter(|(road, _)| road.is_gateway)
        .flat_map(|(_, &(forward, back))| std::iter::once(forward).chain(back))
        .collect()
}

/// Length of a ground line, metres.
pub(super) fn length_m(line: &[Point]) -> f32 {
    line.windows(2)
        .map(|pair| pair[0].distance_m(pair[1]))
        .sum()
}
