//! Reads the XML of an OpenDRIVE file into plain rows.

use std::collections::BTreeSet;

use super::geometry::{Cubic, Form, Piece, TURN_RAD_MAX};
use crate::network::NetworkError;
use crate::network::lanes::LaneKind;
use crate::network::xml::{self, Element, Problem};

/// Which end of a road.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum End {
    Start,
    End,
}

/// What follows an end of a road.
#[derive(Clone, Debug, PartialEq, Eq)]
pub(super) enum RoadLink {
    Junction(String),
    Road(String, End),
}

/// Where a lane of a section is for vehicles, and how wide it is.
#[derive(Clone, Debug)]
pub(super) struct Lane {
    /// Positive left of the centre, negative right of it.
    pub(super) id: i32,
    /// `None` for what vehicles don't drive on.
    pub(super) kind: Option<LaneKind>,
    pub(super) is_ramp: bool,
    /// Widths, and where there are none the distance of its outer border; metres along the road.
    pub(super) widths: Vec<Cubic>,
    pub(super) borders: Vec<Cubic>,
    pub(super) predecessors: Vec<i32>,
    pub(super) successors: Vec<i32>,
    /// The lowest limit along it, m/s.
    pub(super) limit_mps: Option<f32>,
}

/// A stretch of a road with the same lanes.
#[derive(Clone, Debug)]
pub(super) struct Section {
    pub(super) from_m: f64,
    pub(super) lanes: Vec<Lane>,
}

/// A traffic light beside a road.
#[derive(Clone, Debug)]
pub(super) struct Light {
    pub(super) id: String,
    pub(super) at_m: f64,
    /// Whether it holds along the reference line and against it.
    pub(super) faces: [bool; 2],
    /// Lanes it holds for; all without any.
    pub(super) lanes: Vec<(i32, i32)>,
}

/// What a road is said to be from a place on.
#[derive(Clone, Debug)]
pub(super) struct RoadType {
    pub(super) kind: String,
    pub(super) limit_mps: Option<f32>,
}

/// One road.
#[derive(Clone, Debug)]
pub(super) struct Road {
    pub(super) id: String,
    pub(super) name: Option<String>,
    /// The junction it lies in.
    pub(super) junction: Option<String>,
    pub(super) length_m: f64,
    pub(super) is_left_hand: bool,
    pub(super) before: Option<RoadLink>,
    pub(super) after: Option<RoadLink>,
    pub(super) types: Vec<RoadType>,
    pub(super) line: Vec<Piece>,
    pub(super) lane_offset: Vec<Cubic>,
    pub(super) sections: Vec<Section>,
    pub(super) lights: Vec<Light>,
    /// Metres of it on bridges and in tunnels.
    pub(super) bridge_m: f64,
    pub(super) tunnel_m: f64,
}

/// One way through a junction.
#[derive(Clone, Debug)]
pub(super) struct Connection {
    pub(super) incoming: String,
    /// The connecting road, or in a direct junction the road that follows.
    pub(super) into: String,
    pub(super) at: End,
    pub(super) lanes: Vec<(i32, i32)>,
}

/// One junction.
#[derive(Clone, Debug)]
pub(super) struct Junction {
    pub(super) id: String,
    pub(super) connections: Vec<Connection>,
}

/// Everything we use of a file.
#[derive(Debug, Default)]
pub(super) struct Drive {
    pub(super) projection: Option<String>,
    pub(super) offset_m: (f64, f64),
    pub(super) turn_rad: f64,
    pub(super) roads: Vec<Road>,
    pub(super) junctions: Vec<Junction>,
    /// Signal and the controller that runs it.
    pub(super) controlled: Vec<(String, String)>,
    /// Signals that are traffic lights.
    light_ids: BTreeSet<String>,
    pub(super) controllers: u64,
    pub(super) static_signals: u64,
    pub(super) objects: u64,
    pub(super) heights: u64,
    pub(super) other_elements: u64,
}

/// Parses the whole text.
pub(super) fn parse(input: &str, text: &str) -> Result<Drive, NetworkError> {
    let mut drive = Drive::default();
    xml::read(input, text, "OpenDRIVE", &mut |element| {
        take(&mut drive, &element)
    })?;
    for road in &mut drive.roads {
        road.lights
            .retain(|light| drive.light_ids.contains(&light.id));
    }
    Ok(drive)
}

fn take(drive: &mut Drive, element: &Element) -> Result<(), Problem> {
    match element.name.as_str() {
        "OpenDRIVE" => {}
        "header" => header(drive, element)?,
        "road" => {
            let id = element.required("id")?;
            let read = road(drive, element, id);
            let read = read.map_err(|problem| Problem {
                text: format!("road {id:?}: {}", problem.text),
                ..problem
            })?;
            drive.roads.push(read);
        }
        "junction" => {
            let id = element.required("id")?;
            let read = junction(element, id);
            let read = read.map_err(|problem| Problem {
                text: format!("junction {id:?}: {}", problem.text),
                ..problem
            })?;
            drive.junctions.push(read);
        }
        "controller" => {
            let id = element.required("id")?;
            drive.controllers += 1;
            for control in element.all("control") {
                let signal = control.required("signalId")?.to_owned();
                drive.controlled.push((signal, id.to_owned()));
            }
        }
        _ => drive.other_elements += 1,
    }
    Ok(())
}

fn header(drive: &mut Drive, element: &Element) -> Result<(), Problem> {
    let reference = element.child("geoReference").map(|child| child.text.trim());
    drive.projection = reference.filter(|text| !text.is_empty()).map(str::to_owned);
    if let Some(offset) = element.child("offset") {
        drive.offset_m = (offset.number("x")?, offset.number("y")?);
        drive.turn_rad = offset.number_or("hdg", 0.0)?;
    }
    Ok(())
}

fn road(drive: &mut Drive, element: &Element, id: &str) -> Result<Road, Problem> {
    let text = |key: &str| element.get(key).filter(|text| !text.is_empty());
    let length_m = element.number("length")?;
    if length_m < 0.0 {
        return Err(element.problem(format!("length {length_m} m is negative")));
    }
    let link = |key: &str| match element.child("link").and_then(|link| link.child(key)) {
        Some(link) => road_link(link),
        None => Ok(None),
    };
    let lanes = element.child("lanes");
    let sections = lanes
        .into_iter()
        .flat_map(|lanes| lanes.all("laneSection"))
        .map(section)
        .collect::<Result<Vec<_>, _>>()?;
    if !sections.is_sorted_by(|a, b| a.from_m <= b.from_m) {
        return Err(element.problem("lane sections are out of order".into()));
    }
    let plan = element.child("planView");
    let line = plan
        .into_iter()
        .flat_map(|plan| plan.all("geometry"))
        .map(piece)
        .collect::<Result<Vec<_>, _>>()?;
    if !line.is_sorted_by(|a, b| a.from_m <= b.from_m) {
        return Err(element.problem("pieces of the reference line are out of order".into()));
    }
    drive.objects += count_in(element, "objects");
    drive.heights += u64::from(element.child("elevationProfile").is_some_and(|profile| {
        profile.all("elevation").any(|height| {
            ["a", "b", "c", "d"]
                .iter()
                .any(|key| !matches!(height.number_or(key, 0.0), Ok(number) if number.abs() <= 0.0))
        })
    }));
    Ok(Road {
        id: id.to_owned(),
        name: text("name").map(str::to_owned),
        junction: text("junction").filter(|id| *id != "-1").map(str::to_owned),
        length_m,
        is_left_hand: text("rule") == Some("LHT"),
        before: link("predecessor")?,
        after: link("successor")?,
        types: element
            .all("type")
            .map(road_type)
            .collect::<Result<_, _>>()?,
        line,
        lane_offset: match lanes {
            Some(lanes) => cubics(lanes, "laneOffset", "s", 0.0)?,
            None => Vec::new(),
        },
        sections,
        lights: lights(drive, element)?,
        bridge_m: metres_of(element, "bridge")?,
        tunnel_m: metres_of(element, "tunnel")?,
    })
}

fn metres_of(road: &Element, name: &str) -> Result<f64, Problem> {
    let objects = road.child("objects").into_iter();
    let all = objects.flat_map(|objects| objects.all(name));
    all.map(|object| object.number("length")).sum()
}

fn count_in(element: &Element, group: &str) -> u64 {
    element
        .child(group)
        .map_or(0, |group| group.children.len() as u64)
}

fn road_link(element: &Element) -> Result<Option<RoadLink>, Problem> {
    let id = element.required("elementId")?.to_owned();
    Ok(match element.get("elementType") {
        Some("junction") => Some(RoadLink::Junction(id)),
        // A virtual junction lies somewhere along the other road: no end of it.
        _ if element.get("contactPoint").is_none() && element.get("elementS").is_some() => None,
        _ => Some(RoadLink::Road(id, contact(element)?)),
    })
}

fn contact(element: &Element) -> Result<End, Problem> {
    match element.required("contactPoint")? {
        "start" => Ok(End::Start),
        "end" => Ok(End::End),
        other => Err(element.problem(format!("contactPoint {other:?} is neither start nor end"))),
    }
}

fn road_type(element: &Element) -> Result<RoadType, Problem> {
    let speed = element.child("speed");
    Ok(RoadType {
        kind: element.get("type").unwrap_or_default().to_owned(),
        limit_mps: speed.map_or(Ok(None), limit)?,
    })
}

/// Speed where there is no limit, m/s: 130 km/h, the advisory speed of German motorways
/// (Autobahn-Richtgeschwindigkeits-Verordnung).
const NO_LIMIT_MPS: f32 = 130.0 / 3.6;

/// A `max` in m/s, whatever its unit; `None` where it is undefined.
fn limit(element: &Element) -> Result<Option<f32>, Problem> {
    let max = element.required("max")?;
    if max == "undefined" {
        return Ok(None);
    }
    if max == "no limit" {
        return Ok(Some(NO_LIMIT_MPS));
    }
    let unit = match element.get("unit").unwrap_or("m/s") {
        "m/s" => 1.0,
        "km/h" => 1.0 / 3.6,
        "mph" => 0.447_04,
        other => return Err(element.problem(format!("<speed> unit {other:?} is unknown"))),
    };
    let limit_mps = (element.number("max")? * unit) as f32;
    // Some tools write 0 or -1 where nothing is known.
    Ok((limit_mps > 0.0).then_some(limit_mps))
}

/// The cubics of children `name`, which begin at `key` after `base_m`.
fn cubics(element: &Element, name: &str, key: &str, base_m: f64) -> Result<Vec<Cubic>, Problem> {
    let read = element.all(name).map(|child| {
        Ok(Cubic {
            from_m: base_m + child.number(key)?,
            terms: terms(child, ["a", "b", "c", "d"])?,
        })
    });
    let cubics = read.collect::<Result<Vec<_>, Problem>>()?;
    if !cubics.is_sorted_by(|a, b| a.from_m <= b.from_m) {
        return Err(element.problem(format!("<{name}> are out of order")));
    }
    Ok(cubics)
}

fn terms(element: &Element, keys: [&str; 4]) -> Result<[f64; 4], Problem> {
    let mut terms = [0.0; 4];
    for (term, key) in terms.iter_mut().zip(keys) {
        *term = element.number(key)?;
    }
    Ok(terms)
}

fn piece(element: &Element) -> Result<Piece, Problem> {
    let Some(form) = element
        .children
        .iter()
        .find(|child| child.name != "userData")
    else {
        return Err(element.problem("<geometry> has no form".into()));
    };
    let piece = Piece {
        from_m: element.number("s")?,
        x: element.number("x")?,
        y: element.number("y")?,
        heading_rad: element.number("hdg")?,
        length_m: element.number("length")?,
        form: match form.name.as_str() {
            "line" => Form::Line,
            "arc" => Form::Arc(form.number("curvature")?),
            "spiral" => Form::Spiral(form.number("curvStart")?, form.number("curvEnd")?),
            "poly3" => Form::Poly3(terms(form, ["a", "b", "c", "d"])?),
            "paramPoly3" => Form::ParamPoly3 {
                ahead: terms(form, ["aU", "bU", "cU", "dU"])?,
                lateral: terms(form, ["aV", "bV", "cV", "dV"])?,
                is_normalised: form.get("pRange") != Some("arcLength"),
            },
            other => return Err(form.problem(format!("geometry <{other}> is unknown"))),
        },
    };
    let at_m = piece.from_m;
    if piece.length_m < 0.0 {
        let problem = format!(
            "geometry at s {at_m}: length {} m is negative",
            piece.length_m
        );
        return Err(element.problem(problem));
    }
    if piece.turn_rad() > TURN_RAD_MAX {
        let problem = format!("geometry at s {at_m} turns by more than {TURN_RAD_MAX} rad");
        return Err(element.problem(problem));
    }
    Ok(piece)
}

fn section(element: &Element) -> Result<Section, Problem> {
    let from_m = element.number("s")?;
    let mut lanes = Vec::new();
    for side in ["left", "right"] {
        for group in element.all(side) {
            for child in group.all("lane") {
                let lane = lane(child, from_m).map_err(|problem| Problem {
                    text: format!("lane section at s {from_m}: {}", problem.text),
                    ..problem
                })?;
                let belongs = if side == "left" {
                    lane.id > 0
                } else {
                    lane.id < 0
                };
                if !belongs {
                    let problem =
                        format!("lane section at s {from_m}: lane {} is not {side}", lane.id);
                    return Err(child.problem(problem));
                }
                lanes.push(lane);
            }
        }
    }
    lanes.sort_by_key(|lane| lane.id);
    if let Some(pair) = lanes.windows(2).find(|pair| pair[0].id == pair[1].id) {
        let problem = format!(
            "lane section at s {from_m}: lane {} appears twice",
            pair[0].id
        );
        return Err(element.problem(problem));
    }
    Ok(Section { from_m, lanes })
}

fn lane(element: &Element, section_m: f64) -> Result<Lane, Problem> {
    let links = |name: &str| {
        let links = element.child("link");
        let ids = links.into_iter().flat_map(|link| link.all(name));
        ids.map(|link| link.integer("id"))
            .collect::<Result<Vec<i32>, _>>()
    };
    let limits = element.all("speed").map(limit);
    let limits = limits.collect::<Result<Vec<_>, _>>()?;
    Ok(Lane {
        id: element.integer("id")?,
        kind: lane_kind(element),
        is_ramp: matches!(
            element.get("type"),
            Some("onRamp" | "offRamp" | "connectingRamp")
        ),
        widths: cubics(element, "width", "sOffset", section_m)?,
        borders: cubics(element, "border", "sOffset", section_m)?,
        predecessors: links("predecessor")?,
        successors: links("successor")?,
        limit_mps: limits.into_iter().flatten().reduce(f32::min),
    })
}

/// What a lane is to vehicles, by its type and its access rules (OpenDRIVE 1.7, clauses 11.7.1
/// and 11.7.4).
fn lane_kind(element: &Element) -> Option<LaneKind> {
    let kind = match element.get("type").unwrap_or_default() {
        "driving" | "bidirectional" | "onRamp" | "offRamp" | "connectingRamp" => LaneKind::Car,
        "entry" | "mwyEntry" => LaneKind::Entry,
        "exit" | "mwyExit" => LaneKind::Exit,
        "bus" => LaneKind::Bus,
        "taxi" | "HOV" => LaneKind::Restricted,
        _ => return None,
    };
    // Until 1.6 there was no rule: what an access names may drive there.
    let named = |rule: &'static str| {
        element
            .all("access")
            .filter(move |access| access.get("rule").unwrap_or("allow") == rule)
            .flat_map(|access| [access.get("restriction")].into_iter().flatten())
    };
    let car = |who: &str| matches!(who, "passengerCar" | "autonomousTraffic" | "throughTraffic");
    let wheels = |who: &str| {
        matches!(
            who,
            "bus" | "taxi" | "delivery" | "emergency" | "truck" | "trucks"
        )
    };
    if named("deny").any(car) {
        return Some(LaneKind::Restricted);
    }
    let mut allowed = named("allow").peekable();
    if allowed.peek().is_none() || named("allow").any(|who| car(who) || who == "simulator") {
        return Some(kind);
    }
    if named("allow").any(|who| who == "bus") {
        Some(LaneKind::Bus)
    } else {
        named("allow").any(wheels).then_some(LaneKind::Restricted)
    }
}

/// The light for people on foot (OpenDRIVE signal catalogue, after the German one).
const FOOT_LIGHT: &str = "1000002";

/// The traffic lights of a road, its own and those of other roads that hold here too.
fn lights(drive: &mut Drive, road: &Element) -> Result<Vec<Light>, Problem> {
    let mut lights = Vec::new();
    let Some(signals) = road.child("signals") else {
        return Ok(lights);
    };
    for signal in &signals.children {
        let is_reference = signal.name == "signalReference";
        let is_light =
            signal.get("dynamic") == Some("yes") && signal.get("type") != Some(FOOT_LIGHT);
        if !is_reference && !is_light {
            drive.static_signals += 1;
            continue;
        }
        let holds = |ways: [&str; 2]| {
            signal
                .get("orientation")
                .is_none_or(|way| ways.contains(&way))
        };
        let lanes = signal
            .all("validity")
            .map(|validity| Ok((validity.integer("fromLane")?, validity.integer("toLane")?)));
        if is_light {
            drive.light_ids.insert(signal.required("id")?.to_owned());
        }
        lights.push(Light {
            id: signal.required("id")?.to_owned(),
            at_m: signal.number("s")?,
            faces: [holds(["+", "none"]), holds(["-", "none"])],
            lanes: lanes.collect::<Result<_, Problem>>()?,
        });
    }
    Ok(lights)
}

fn junction(element: &Element, id: &str) -> Result<Junction, Problem> {
    let mut connections = Vec::new();
    for child in element.all("connection") {
        let into = child.get("connectingRoad").or(child.get("linkedRoad"));
        let (Some(incoming), Some(into)) = (child.get("incomingRoad"), into) else {
            // Virtual connections lead from no road's end.
            continue;
        };
        let lanes = child
            .all("laneLink")
            .map(|link| Ok((link.integer("from")?, link.integer("to")?)));
        connections.push(Connection {
            incoming: incoming.to_owned(),
            into: into.to_owned(),
            at: contact(child)?,
            lanes: lanes.collect::<Result<_, Problem>>()?,
        });
    }
    Ok(Junction {
        id: id.to_owned(),
        connections,
    })
}
