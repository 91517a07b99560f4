//! Reads the XML of a SUMO network into plain rows.

use std::collections::{BTreeMap, BTreeSet};

use super::permissions::{LaneUse, is_bus_lane, lane_use};
use crate::network::NetworkError;
use crate::network::xml::{self, Element, Problem};

/// A point of the net's own plane, metres.
pub(super) type PlanePoint = (f64, f64);

/// One lane of an edge.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) index: u32,
    pub(super) speed_mps: f32,
    pub(super) length_m: f32,
    pub(super) lane_use: LaneUse,
    pub(super) is_bus_lane: bool,
    /// Only for speeding up before a merge.
    pub(super) is_acceleration: bool,
    pub(super) width_m: f32,
    pub(super) shape: Vec<PlanePoint>,
}

/// What a lane is wide where the net doesn't say (SUMO documentation, default lane width).
const LANE_WIDTH_M: f64 = 3.2;

/// One edge that is not inside a junction.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) is_roundabout: bool,
    /// Vertical layer, where the net was made from a map that has them.
    pub(super) layer: i8,
    pub(super) is_bridge: bool,
    pub(super) is_tunnel: bool,
    pub(super) lanes: Vec<Lane>,
    /// For messages.
    pub(super) line: usize,
}

/// One junction.
#[derive(Debug)]
pub(super) struct NetJunction {
    pub(super) at: PlanePoint,
    pub(super) is_signalised: bool,
}

/// A connection that starts on an edge outside junctions.
#[derive(Debug)]
pub(super) struct Connection {
    pub(super) from: String,
    pub(super) to: String,
    pub(super) from_lane: u32,
    pub(super) to_lane: u32,
    pub(super) via: Option<String>,
    /// The traffic light and its link that this connection obeys, `light/link`.
    pub(super) signal: Option<String>,
}

/// The net's plane.
#[derive(Debug, Default)]
pub(super) struct Location {
    pub(super) offset: PlanePoint,
    pub(super) projection: String,
}

/// Everything we use of a net file.
#[derive(Debug, Default)]
pub(super) struct Net {
    pub(super) location: Option<Location>,
    pub(super) edges: Vec<Edge>,
    pub(super) junctions: BTreeMap<String, NetJunction>,
    pub(super) connections: Vec<Connection>,
    /// Length in metres of each lane inside a junction.
    pub(super) internal_lanes: BTreeMap<String, f32>,
    /// The lane inside a junction that follows another inside the same junction.
    pub(super) internal_next: BTreeMap<String, String>,
    /// Edges for pedestrians only: crossings, walking areas.
    pub(super) foot_edges: u64,
    /// Edges inside junctions.
    pub(super) internal_edges: u64,
    /// Connections that start inside a junction.
    pub(super) internal_connections: u64,
    /// Connections between edges and crossings or walking areas.
    pub(super) foot_connections: u64,
    /// Traffic lights, by the `tlLogic` that runs them.
    pub(super) lights: BTreeSet<String>,
    /// Programmes of traffic lights; a light may have several.
    pub(super) light_programmes: u64,
    /// Right of way between connections at junctions without lights, which routes don't need.
    pub(super) prohibitions: u64,
    /// Elements that say nothing of roads: edge types, stops and the like.
    pub(super) other_elements: u64,
    foot_names: BTreeSet<String>,
    roundabout_edges: BTreeSet<String>,
}

/// Parses the whole text.
pub(super) fn parse(input: &str, text: &str) -> Result<Net, NetworkError> {
    let mut net = Net::default();
    xml::read(input, text, "net", &mut |element| take(&mut net, &element))?;
    for edge in &mut net.edges {
        edge.is_roundabout = net.roundabout_edges.contains(&edge.id);
    }
    let before = net.connections.len();
    let feet = &net.foot_names;
    net.connections
        .retain(|connection| !feet.contains(&connection.from) && !feet.contains(&connection.to));
    net.foot_connections += (before - net.connections.len()) as u64;
    Ok(net)
}

fn take(net: &mut Net, element: &Element) -> Result<(), Problem> {
    match element.name.as_str() {
        "net" => {}
        "location" => {
            net.location = Some(Location {
                offset: point(element, element.required("netOffset")?)?,
                projection: element.required("projParameter")?.to_owned(),
            });
        }
        "edge" => edge(net, element)?,
        "junction" => junction(net, element)?,
        "connection" => connection(net, element)?,
        "roundabout" => {
            let edges = element.get("edges").unwrap_or_default();
            net.roundabout_edges
                .extend(edges.split_whitespace().map(str::to_owned));
        }
        "tlLogic" => {
            net.lights.insert(element.required("id")?.to_owned());
            net.light_programmes += 1;
        }
        "prohibition" => net.prohibitions += 1,
        _ => net.other_elements += 1,
    }
    Ok(())
}

fn junction(net: &mut Net, element: &Element) -> Result<(), Problem> {
    let kind = element.get("type").unwrap_or_default();
    if kind == "internal" {
        return Ok(());
    }
    let junction = NetJunction {
        at: (element.number("x")?, element.number("y")?),
        is_signalised: kind.starts_with("traffic_light"),
    };
    net.junctions
        .insert(element.required("id")?.to_owned(), junction);
    Ok(())
}

fn edge(net: &mut Net, element: &Element) -> Result<(), Problem> {
    match element.get("function").unwrap_or("normal") {
        "internal" => {
            net.internal_edges += 1;
            for lane in element.all("lane") {
                let length_m = lane.number("length")? as f32;
                net.internal_lanes
                    .insert(lane.required("id")?.to_owned(), length_m);
            }
        }
        "crossing" | "walkingarea" => {
            net.foot_edges += 1;
            net.foot_names.insert(element.required("id")?.to_owned());
        }
        _ => {
            let parameter = |key: &str| {
                element
                    .all("param")
                    .find(|param| param.get("key") == Some(key))
                    .and_then(|param| param.get("value"))
            };
            let says_yes = |key: &str| parameter(key).is_some_and(|value| value != "no");
            let text = |key: &str| element.get(key).filter(|text| !text.is_empty());
            net.edges.push(Edge {
                id: element.required("id")?.to_owned(),
                from: element.required("from")?.to_owned(),
                to: element.required("to")?.to_owned(),
                kind: text("type").map(str::to_owned),
                name: text("name").map(str::to_owned),
                is_roundabout: false,
                layer: parameter("layer")
                    .and_then(|layer| layer.trim().parse().ok())
                    .unwrap_or(0),
                is_bridge: says_yes("bridge"),
                is_tunnel: says_yes("tunnel"),
                lanes: element.all("lane").map(lane).collect::<Result<_, _>>()?,
                line: element.line,
            });
        }
    }
    Ok(())
}

fn lane(element: &Element) -> Result<Lane, Problem> {
    let shape = element
        .required("shape")?
        .split_whitespace()
        .map(|text| point(element, text))
        .collect::<Result<Vec<_>, _>>()?;
    if shape.len() < 2 {
        return Err(element.problem(format!(
            "lane shape has {} points, at least 2 needed",
            shape.len()
        )));
    }
    let (allow, disallow) = (element.get("allow"), element.get("disallow"));
    Ok(Lane {
        index: element.integer("index")?,
        speed_mps: element.number("speed")? as f32,
        length_m: element.number("length")? as f32,
        lane_use: lane_use(allow, disallow),
        is_bus_lane: is_bus_lane(allow),
        is_acceleration: element
            .get("acceleration")
            .is_some_and(|value| matches!(value, "1" | "true" | "yes")),
        width_m: element.number_or("width", LANE_WIDTH_M)?.max(0.0) as f32,
        shape,
    })
}

fn connection(net: &mut Net, element: &Element) -> Result<(), Problem> {
    let from = element.required("from")?;
    let from_lane: u32 = element.integer("fromLane")?;
    let via = element.get("via");
    if from.starts_with(':') {
        net.internal_connections += 1;
        if let Some(via) = via {
            net.internal_next
                .insert(format!("{from}_{from_lane}"), via.to_owned());
        }
        return Ok(());
    }
    let signal = match element.get("tl") {
        Some(light) => Some(format!("{light}/{}", element.integer::<u32>("linkIndex")?)),
        None => None,
    };
    net.connections.push(Connection {
        from: from.to_owned(),
        to: element.required("to")?.to_owned(),
        from_lane,
        to_lane: element.integer("toLane")?,
        via: via.map(str::to_owned),
        signal,
    });
    Ok(())
}

/// A point `x,y` or `x,y,z` of a shape.
fn point(element: &Element, text: &str) -> Result<PlanePoint, Problem> {
    let mut parts = text.split(',').map(str::parse::<f64>);
    match (parts.next(), parts.next()) {
        (Some(Ok(x)), Some(Ok(y))) if x.is_finite() && y.is_finite() => Ok((x, y)),
        _ => Err(element.problem(format!("{text:?} is not a pair of coordinates"))),
    }
}
