//! Reads the XML of a SUMO network into plain rows.

use std::borrow::Cow;
use std::collections::BTreeMap;

use quick_xml::events::{BytesStart, Event};
use quick_xml::{Reader, XmlVersion};

use super::permissions::{LaneUse, lane_use};
use crate::network::NetworkError;

/// A point of the net's own plane, metres.
pub(super) type PlanePoint = (f64, f64);

/// One lane of an edge.
#[derive(Debug)]
pub(super) struct Lane {
    pub(super) index: u32,
    pub(super) speed_mps: f32,
    pub(super) length_m: f32,
    pub(super) lane_use: LaneUse,
    pub(super) shape: Vec<PlanePoint>,
}

/// One edge that is not inside a junction.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) id: String,
    pub(super) from: String,
    pub(super) to: String,
    pub(super) kind: Option<String>,
    pub(super) name: Option<String>,
    pub(super) is_roundabout: bool,
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
    roundabout_edges: Vec<String>,
}

/// Parses the whole text.
pub(super) fn parse(input: &str, text: &str) -> Result<Net, NetworkError> {
    let mut reader = Reader::from_str(text);
    let mut net = Net::default();
    let mut open = Open::None;
    let mut path: usize = 0;
    let mut ended = false;
    let (mut line, mut counted) = (1, 0);
    loop {
        let at = reader.buffer_position() as usize;
        line += line_breaks(text, counted, at);
        counted = at;
        let fault = |problem: String| malformed(input, text, at, problem);
        match reader.read_event() {
            Ok(Event::Start(element)) => {
                if path == 0 && element.name().as_ref() != "net" {
                    let name = element.name().as_ref().to_owned();
                    return Err(fault(format!("root element <{name}> is not <net>")));
                }
                path += 1;
                begin(&mut net, &mut open, &element, line).map_err(fault)?;
            }
            Ok(Event::Empty(element)) => {
                begin(&mut net, &mut open, &element, line).map_err(fault)?;
                if element.name().as_ref() == "edge" {
                    open = Open::None;
                }
            }
            Ok(Event::End(element)) => {
                path = path.saturating_sub(1);
                ended |= path == 0;
                if element.name().as_ref() == "edge" {
                    open = Open::None;
                }
            }
            Ok(Event::Eof) if ended => break,
            Ok(Event::Eof) => return Err(fault("ends before </net>".into())),
            Ok(_) => {}
            Err(error) => {
                let at = reader.error_position() as usize;
                return Err(malformed(input, text, at, error.to_string()));
            }
        }
    }
    let roundabouts: std::collections::BTreeSet<&str> =
        net.roundabout_edges.iter().map(String::as_str).collect();
    for edge in &mut net.edges {
        edge.is_roundabout = roundabouts.contains(edge.id.as_str());
    }
    Ok(net)
}

/// What the lanes that follow belong to.
enum Open {
    None,
    Edge,
    Internal,
}

fn begin(
    net: &mut Net,
    open: &mut Open,
    element: &BytesStart<'_>,
    line: usize,
) -> Result<(), String> {
    match element.name().as_ref() {
        "location" => {
            let attributes = Attributes::of(element)?;
            net.location = Some(Location {
                offset: point(attributes.required("netOffset")?)?,
                projection: attributes.required("projParameter")?.to_owned(),
            });
        }
        "edge" => *open = begin_edge(net, &Attributes::of(element)?, line)?,
        "lane" => match open {
            Open::Edge => {
                let lane = lane(&Attributes::of(element)?)?;
                if let Some(edge) = net.edges.last_mut() {
                    edge.lanes.push(lane);
                }
            }
            Open::Internal => {
                let attributes = Attributes::of(element)?;
                let length_m = attributes.number("length")? as f32;
                net.internal_lanes
                    .insert(attributes.required("id")?.to_owned(), length_m);
            }
            Open::None => {}
        },
        "junction" => {
            let attributes = Attributes::of(element)?;
            let kind = attributes.get("type").unwrap_or_default();
            if kind != "internal" {
                let junction = NetJunction {
                    at: (attributes.number("x")?, attributes.number("y")?),
                    is_signalised: kind.starts_with("traffic_light"),
                };
                net.junctions
                    .insert(attributes.required("id")?.to_owned(), junction);
            }
        }
        "connection" => connection(net, &Attributes::of(element)?)?,
        "roundabout" => {
            let attributes = Attributes::of(element)?;
            let edges = attributes.get("edges").unwrap_or_default();
            net.roundabout_edges
                .extend(edges.split_whitespace().map(str::to_owned));
        }
        _ => {}
    }
    Ok(())
}

fn begin_edge(net: &mut Net, attributes: &Attributes<'_>, line: usize) -> Result<Open, String> {
    match attributes.get("function").unwrap_or("normal") {
        "internal" => Ok(Open::Internal),
        "crossing" | "walkingarea" => {
            net.foot_edges += 1;
            Ok(Open::None)
        }
        _ => {
            net.edges.push(Edge {
                id: attributes.required("id")?.to_owned(),
                from: attributes.required("from")?.to_owned(),
                to: attributes.required("to")?.to_owned(),
                kind: attributes.get("type").map(str::to_owned),
                name: attributes
                    .get("name")
                    .filter(|name| !name.is_empty())
                    .map(str::to_owned),
                is_roundabout: false,
                lanes: Vec::new(),
                line,
            });
            Ok(Open::Edge)
        }
    }
}

fn lane(attributes: &Attributes<'_>) -> Result<Lane, String> {
    let shape = attributes
        .required("shape")?
        .split_whitespace()
        .map(point)
        .collect::<Result<Vec<_>, _>>()?;
    if shape.len() < 2 {
        return Err(format!(
            "lane shape has {} points, at least 2 needed",
            shape.len()
        ));
    }
    Ok(Lane {
        index: attributes.index("index")?,
        speed_mps: attributes.number("speed")? as f32,
        length_m: attributes.number("length")? as f32,
        lane_use: lane_use(attributes.get("allow"), attributes.get("disallow")),
        shape,
    })
}

fn connection(net: &mut Net, attributes: &Attributes<'_>) -> Result<(), String> {
    let from = attributes.required("from")?;
    let from_lane = attributes.index("fromLane")?;
    let via = attributes.get("via");
    if from.starts_with(':') {
        if let Some(via) = via {
            net.internal_next
                .insert(format!("{from}_{from_lane}"), via.to_owned());
        }
        return Ok(());
    }
    net.connections.push(Connection {
        from: from.to_owned(),
        to: attributes.required("to")?.to_owned(),
        from_lane,
        to_lane: attributes.index("toLane")?,
        via: via.map(str::to_owned),
    });
    Ok(())
}

/// The attributes of one element, unescaped.
struct Attributes<'a> {
    element: String,
    pairs: Vec<(&'a str, Cow<'a, str>)>,
}

impl<'a> Attributes<'a> {
    fn of(element: &'a BytesStart<'_>) -> Result<Self, String> {
        let pairs = element
            .attributes()
            .map(|attribute| {
                let attribute = attribute.map_err(|error| error.to_string())?;
                let value = attribute
                    .normalized_value(XmlVersion::Implicit1_0)
                    .map_err(|error| error.to_string())?;
                Ok((attribute.key.into_inner(), value))
            })
            .collect::<Result<Vec<_>, String>>()?;
        Ok(Self {
            element: element.name().as_ref().to_owned(),
            pairs,
        })
    }

    fn get(&self, key: &str) -> Option<&str> {
        self.pairs
            .iter()
            .find(|(name, _)| *name == key)
            .map(|(_, value)| value.as_ref())
    }

    fn required(&self, key: &str) -> Result<&str, String> {
        self.get(key)
            .ok_or_else(|| format!("<{}> has no {key}", self.element))
    }

    fn number(&self, key: &str) -> Result<f64, String> {
        let text = self.required(key)?;
        text.parse::<f64>()
            .ok()
            .filter(|value| value.is_finite())
            .ok_or_else(|| format!("<{}> {key} {text:?} is not a number", self.element))
    }

    fn index(&self, key: &str) -> Result<u32, String> {
        let text = self.required(key)?;
        text.parse()
            .map_err(|error| format!("<{}> {key} {text:?}: {error}", self.element))
    }
}

fn point(text: &str) -> Result<PlanePoint, String> {
    let mut parts = text.split(',').map(str::parse::<f64>);
    match (parts.next(), parts.next()) {
        (Some(Ok(x)), Some(Ok(y))) if x.is_finite() && y.is_finite() => Ok((x, y)),
        _ => Err(format!("{text:?} is not a pair of coordinates")),
    }
}

fn line_breaks(text: &str, from: usize, to: usize) -> usize {
    let bytes = text.as_bytes().get(from..to.min(text.len()));
    bytes.map_or(0, |bytes| {
        bytes.iter().filter(|&&byte| byte == b'\n').count()
    })
}

fn malformed(input: &str, text: &str, at: usize, problem: String) -> NetworkError {
    NetworkError::Malformed {
        input: input.to_owned(),
        place: format!("line {}", 1 + line_breaks(text, 0, at)),
        problem,
    }
}
