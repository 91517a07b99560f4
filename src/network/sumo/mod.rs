//! Reads SUMO networks (`.net.xml`, SUMO documentation, Networks/SUMO Road Networks).
//!
//! Each normal edge becomes one segment; edges inside junctions become the lengths of movements.
//! The line of a segment is the mean of its lanes, where vehicles really drive, whatever the
//! edge's `spreadType`. Edges for buses or taxis alone are segments marked
//! [`SegmentFlags::RESTRICTED`]; edges for feet, bicycles, rails and ships are left out.
//!
//! A movement is permitted where a connection says so. `prohibition` is right of way, not a ban.
//! Heights (z) are not read: they tell a hill from a bridge no better than nothing; layers come
//! from the edge's parameters `layer`, `bridge` and `tunnel` (`netconvert --osm.all-attributes`).

mod lanes;
mod parse;
mod permissions;

use std::collections::BTreeMap;

use self::parse::{Edge, Lane, Net, PlanePoint};
use self::permissions::LaneUse;
use super::builder::{NetworkBuilder, SegmentDraft, middle_of};
use super::model::{Network, RoadClass, SegmentFlags};
use super::projection::{Plane, Projection};
use super::report::{ImportReport, NetworkFormat, Omission};
use super::{NetworkError, tags};
use crate::units::{JunctionId, Position, SegmentId};

/// The most lanes in a row that one connection may cross inside a junction; SUMO itself makes two.
const VIA_LANES_MAX: usize = 8;

/// Reads a network from the bytes of a `.net.xml`; `input` names it in messages.
///
/// # Errors
/// When the XML is broken or truncated, an attribute is missing or no number, an edge names an
/// unknown junction (the message names the line), the projection is not supported, or no drivable
/// edge is left.
pub fn read(input: &str, bytes: &[u8]) -> Result<(Network, ImportReport), NetworkError> {
    let malformed = |place: String, problem: String| NetworkError::Malformed {
        input: input.to_owned(),
        place,
        problem,
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| malformed(format!("byte {}", error.valid_up_to()), error.to_string()))?;
    let mut net = parse::parse(input, text)?;
    let mut report = ImportReport::new(NetworkFormat::Sumo);
    report.roads_read = net.edges.len() as u64 + net.foot_edges;
    report.omit_many(Omission::NotForVehicles, net.foot_edges);
    let plane =
        plane_of(&net, &mut report).map_err(|problem| malformed("<location>".into(), problem))?;

    net.count(&mut report);
    net.edges.retain(|edge| keep(edge, &mut report));
    let network = assemble(input, &net, plane, &mut report)?;
    Ok((network, report))
}

/// How the net's plane lies on Earth.
fn plane_of(net: &Net, report: &mut ImportReport) -> Result<Plane, String> {
    match &net.location {
        Some(location) if location.projection != "!" => {
            let projection = Projection::parse(&location.projection)?;
            let (x, y) = location.offset;
            Ok(Plane::new(Some(projection), (-x, -y), 0.0))
        }
        _ => {
            report.notes.push(
                "the net has no geographic projection: its x and y are taken as metres east \
                 and north of longitude 0, latitude 0"
                    .into(),
            );
            Ok(Plane::new(None, (0.0, 0.0), 0.0))
        }
    }
}

impl Net {
    /// Accounts for every element of the file.
    fn count(&self, report: &mut ImportReport) {
        for (what, count) in [
            ("edges inside junctions", self.internal_edges),
            ("junctions", self.junctions.len() as u64),
            ("connections between edges", self.connections.len() as u64),
            ("connections inside junctions", self.internal_connections),
            ("connections of footways", self.foot_connections),
            ("traffic lights", self.lights.len() as u64),
            ("programmes of traffic lights", self.light_programmes),
            ("rules of right of way", self.prohibitions),
            ("other elements", self.other_elements),
        ] {
            report.read(what, count);
        }
    }
}

/// Whether vehicles drive on an edge; lanes without them are removed.
fn keep(edge: &Edge, report: &mut ImportReport) -> bool {
    let cause = if edge.lanes.is_empty() {
        Omission::NoGeometry
    } else if driven(edge).next().is_none() {
        Omission::NotForVehicles
    } else if driven(edge).all(|lane| lane.length_m <= 0.0) {
        Omission::NoLength
    } else {
        return true;
    };
    report.omit(cause);
    false
}

fn driven(edge: &Edge) -> impl Iterator<Item = &Lane> {
    edge.lanes
        .iter()
        .filter(|lane| lane.lane_use != LaneUse::NotForVehicles)
}

fn assemble(
    input: &str,
    net: &Net,
    plane: Plane,
    report: &mut ImportReport,
) -> Result<Network, NetworkError> {
    let shapes: Vec<Vec<Position>> = net
        .edges
        .iter()
        .map(|edge| {
            centre_line(edge)
                .into_iter()
                .map(|at| plane.to_position(at))
                .collect()
        })
        .collect();
    let Some(middle) = middle_of(shapes.iter().flatten().copied()) else {
        return Err(NetworkError::Empty {
            input: input.to_owned(),
        });
    };
    let malformed = |edge: &Edge, problem: String| NetworkError::Malformed {
        input: input.to_owned(),
        place: format!("line {}", edge.line),
        problem,
    };
    let mut builder = NetworkBuilder::new(middle);
    let mut junctions: BTreeMap<&str, JunctionId> = BTreeMap::new();
    let mut segments: BTreeMap<&str, (SegmentId, &Edge)> = BTreeMap::new();
    for (edge, shape) in net.edges.iter().zip(shapes) {
        let mut end = |name: &String| {
            let Some((name, junction)) = net.junctions.get_key_value(name) else {
                let problem = format!("edge {:?} names the unknown junction {name:?}", edge.id);
                return Err(malformed(edge, problem));
            };
            Ok(*junctions.entry(name).or_insert_with(|| {
                builder.add_junction(plane.to_position(junction.at), junction.is_signalised)
            }))
        };
        let (from, to) = (end(&edge.from)?, end(&edge.to)?);
        let id = builder.add_segment(draft(edge, from, to, shape))?;
        if segments.insert(&edge.id, (id, edge)).is_some() {
            return Err(malformed(edge, format!("edge {:?} appears twice", edge.id)));
        }
    }
    for (id, edge) in segments.values() {
        lanes::add(&mut builder, *id, edge, &centre_line(edge));
    }
    connect(net, &segments, &mut builder, report);
    builder.build()
}

fn draft(edge: &Edge, from: JunctionId, to: JunctionId, shape: Vec<Position>) -> SegmentDraft {
    let best = driven(edge).map(|lane| lane.lane_use).max();
    let open = || driven(edge).filter(|lane| Some(lane.lane_use) == best);
    let limit_mps = open().map(|lane| lane.speed_mps).fold(0.0, f32::max);
    let lanes = u8::try_from(open().count()).unwrap_or(u8::MAX);
    let (class, is_link) = class_of(edge, limit_mps, lanes);
    SegmentDraft {
        from,
        to,
        shape,
        length_m: Some(driven(edge).map(|lane| lane.length_m).fold(0.0, f32::max)),
        class,
        limit_mps: Some(limit_mps),
        lanes: Some(lanes),
        flags: SegmentFlags::default()
            .with(SegmentFlags::LINK, is_link)
            .with(SegmentFlags::ROUNDABOUT, edge.is_roundabout)
            .with(SegmentFlags::BRIDGE, edge.is_bridge)
            .with(SegmentFlags::TUNNEL, edge.is_tunnel)
            .with(SegmentFlags::RESTRICTED, best == Some(LaneUse::Restricted)),
        layer: edge.layer,
        source_id: edge.id.clone(),
        source_dir: 1,
        source_pair: 0,
        name: edge.name.clone(),
        name_en: None,
    }
}

/// The class by the edge's type (`highway.primary`, as netconvert writes it), else by speed and
/// lanes (chosen so that the classes' default speeds agree).
fn class_of(edge: &Edge, limit_mps: f32, lanes: u8) -> (RoadClass, bool) {
    let typed = edge
        .kind
        .iter()
        .flat_map(|kind| kind.split('|'))
        .filter_map(|kind| kind.strip_prefix("highway."))
        .find_map(|value| tags::highway_class(value).ok());
    if let Some(road) = typed {
        return (road.class, road.is_link);
    }
    (tags::class_by_limit(limit_mps, lanes), false)
}

/// The mean of the driven lanes where they have equally many points, else the middle one.
fn centre_line(edge: &Edge) -> Vec<PlanePoint> {
    let lanes: Vec<&Lane> = driven(edge).collect();
    let Some(middle) = lanes.get(lanes.len() / 2) else {
        return Vec::new();
    };
    if lanes
        .iter()
        .any(|lane| lane.shape.len() != middle.shape.len())
    {
        return middle.shape.clone();
    }
    let count = lanes.len() as f64;
    (0..middle.shape.len())
        .map(|place| {
            let (x, y) = lanes.iter().fold((0.0, 0.0), |(x, y), lane| {
                (x + lane.shape[place].0, y + lane.shape[place].1)
            });
            (x / count, y / count)
        })
        .collect()
}

/// Adds one movement for each pair of segments that some lane connects: its length is the mean of
/// the ways through the junction, its lanes the lanes that lead there.
fn connect(
    net: &Net,
    segments: &BTreeMap<&str, (SegmentId, &Edge)>,
    builder: &mut NetworkBuilder,
    report: &mut ImportReport,
) {
    let mut unknown_lights = 0;
    let usable = |name: &str, lane: u32| {
        let (id, edge) = segments.get(name)?;
        Some((*id, lanes::from_kerb(edge, lane)?))
    };
    let mut ways: BTreeMap<(SegmentId, SegmentId), (f32, u32, Vec<u32>)> = BTreeMap::new();
    for connection in &net.connections {
        let light = connection
            .signal
            .as_deref()
            .and_then(|s| s.rsplit_once('/'));
        unknown_lights += u64::from(light.is_some_and(|(light, _)| !net.lights.contains(light)));
        let ends = usable(&connection.from, connection.from_lane)
            .zip(usable(&connection.to, connection.to_lane));
        let Some(((from, from_lane), (to, to_lane))) = ends else {
            report.omit(Omission::DanglingConnection);
            continue;
        };
        builder.add_lane_link(
            (from, to),
            (from_lane, to_lane),
            connection.signal.as_deref(),
        );
        let (sum_m, count, lanes) = ways.entry((from, to)).or_default();
        *sum_m += via_length_m(net, connection.via.as_deref());
        *count += 1;
        if !lanes.contains(&connection.from_lane) {
            lanes.push(connection.from_lane);
        }
    }
    for ((from, to), (sum_m, count, lanes)) in ways {
        builder.add_movement(from, to, sum_m / count as f32, lanes.len() as u32);
    }
    report.read(
        "connections with a traffic light that is not defined",
        unknown_lights,
    );
}

fn via_length_m(net: &Net, via: Option<&str>) -> f32 {
    std::iter::successors(via, |lane| net.internal_next.get(*lane).map(String::as_str))
        .take(VIA_LANES_MAX)
        .filter_map(|lane| net.internal_lanes.get(lane))
        .sum()
}

#[cfg(test)]
mod tests;
