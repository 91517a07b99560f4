//! Reads ASAM OpenDRIVE maps (`.xodr`, versions 1.4 to 1.7; clauses are those of 1.7).
//!
//! Each road outside junctions becomes one segment in each direction that has lanes for vehicles,
//! drawn along the middle of those lanes to within 0.05 m; a segment's `source_id` is the road's
//! id, its `source_dir` +1 along the reference line. Connecting roads inside junctions become the
//! lengths of movements, as lanes inside junctions of SUMO nets do, so that matching sees both
//! alike. Heights are counted and left out: the model has layers alone, which come from
//! `<bridge>` and `<tunnel>` where they cover half of a road.

mod carriageway;
mod geometry;
mod links;
mod parse;

use std::collections::BTreeMap;

use self::carriageway::{Carriageway, Direction};
use self::links::{Links, Side, Way};
use self::parse::{Drive, End, Road, RoadLink};
use super::builder::{NetworkBuilder, SegmentDraft, middle_of};
use super::model::{Network, RoadClass, SegmentFlags};
use super::projection::{Plane, Projection};
use super::report::{ImportReport, NetworkFormat, Omission};
use super::{NetworkError, tags};
use crate::units::{JunctionId, Position, SegmentId};

/// Reads a network from the bytes of an `.xodr`; `input` names it in messages.
///
/// # Errors
/// When the XML is broken or truncated, an attribute is missing or no number (the message names
/// line, road and place along it), the projection is not supported, or no drivable road is left.
pub fn read(input: &str, bytes: &[u8]) -> Result<(Network, ImportReport), NetworkError> {
    let malformed = |place: String, problem: String| NetworkError::Malformed {
        input: input.to_owned(),
        place,
        problem,
    };
    let text = std::str::from_utf8(bytes)
        .map_err(|error| malformed(format!("byte {}", error.valid_up_to()), error.to_string()))?;
    let drive = parse::parse(input, text)?;
    let mut report = ImportReport::new(NetworkFormat::OpenDrive);
    let plane = plane_of(&drive, &mut report)
        .map_err(|problem| malformed("<geoReference>".into(), problem))?;
    if let Some(id) = twice(&drive) {
        return Err(malformed(format!("road {id:?}"), "appears twice".into()));
    }
    let carriageways: Vec<[Option<Carriageway>; 2]> = drive
        .roads
        .iter()
        .map(|road| Direction::BOTH.map(|direction| Carriageway::of(road, direction)))
        .collect();
    count(&drive, &carriageways, &mut report);
    let network = Assembly {
        drive: &drive,
        carriageways: &carriageways,
        plane,
    }
    .build(input, &mut report)?;
    Ok((network, report))
}

fn plane_of(drive: &Drive, report: &mut ImportReport) -> Result<Plane, String> {
    let named = drive.projection.as_deref();
    let is_longlat = |text: &&str| text.contains("+proj=longlat") || text.contains("+proj=latlong");
    let projection = match named.filter(|text| !is_longlat(text)) {
        Some(text) => Some(Projection::parse(text)?),
        None => {
            report.notes.push(format!(
                "the map {}: its x and y are taken as metres east and north of longitude 0, \
                 latitude 0",
                match named {
                    Some(_) => "names longitude and latitude, no plane in metres",
                    None => "has no geographic reference",
                }
            ));
            None
        }
    };
    Ok(Plane::new(projection, drive.offset_m, drive.turn_rad))
}

fn twice(drive: &Drive) -> Option<&str> {
    let mut ids: Vec<&str> = drive.roads.iter().map(|road| road.id.as_str()).collect();
    ids.sort_unstable();
    ids.windows(2)
        .find(|pair| pair[0] == pair[1])
        .map(|pair| pair[0])
}

/// Accounts for every road and for what else the file holds.
fn count(drive: &Drive, carriageways: &[[Option<Carriageway>; 2]], report: &mut ImportReport) {
    let mut connecting = 0;
    for (road, ways) in drive.roads.iter().zip(carriageways) {
        if road.junction.is_some() {
            connecting += 1;
            continue;
        }
        report.roads_read += 1;
        if ways.iter().any(Option::is_some) {
            continue;
        }
        let is_driven = || {
            let lanes = road.sections.iter().flat_map(|section| &section.lanes);
            lanes.into_iter().any(|lane| lane.kind.is_some())
        };
        report.omit(match road {
            road if road.line.is_empty() => Omission::NoGeometry,
            _ if is_driven() => Omission::NoLength,
            _ => Omission::NotForVehicles,
        });
    }
    let connections = drive
        .junctions
        .iter()
        .map(|junction| junction.connections.len() as u64);
    for (what, count) in [
        ("roads inside junctions", connecting),
        ("junctions", drive.junctions.len() as u64),
        ("connections through junctions", connections.sum()),
        (
            "traffic lights",
            drive
                .roads
                .iter()
                .map(|road| road.lights.len() as u64)
                .sum(),
        ),
        ("signal controllers", drive.controllers),
        ("signs and lights for feet", drive.static_signals),
        ("objects beside roads", drive.objects),
        ("roads with heights, which are not used", drive.heights),
        ("other elements", drive.other_elements),
    ] {
        report.read(what, count);
    }
}

/// The network under construction.
struct Assembly<'a> {
    drive: &'a Drive,
    carriageways: &'a [[Option<Carriageway>; 2]],
    plane: Plane,
}

impl Assembly<'_> {
    fn build(&self, input: &str, report: &mut ImportReport) -> Result<Network, NetworkError> {
        let sides: Vec<Side> = (0..self.drive.roads.len())
            .filter(|&road| self.drive.roads[road].junction.is_none())
            .flat_map(|road| Direction::BOTH.map(|direction| (road, direction)))
            .filter(|&(road, direction)| self.carriageways[road][direction as usize].is_some())
            .collect();
        let mut links = Links::new(self.drive, self.carriageways);
        let mut ways = Vec::new();
        for &side in &sides {
            links.ways_from(side, &mut ways);
        }
        report.omit_many(Omission::DanglingConnection, links.dangling);
        let meetings = Meetings::of(self.drive, &links);

        let shapes: Vec<Vec<Position>> = sides.iter().map(|&side| self.shape(side)).collect();
        let Some(middle) = middle_of(shapes.iter().flatten().copied()) else {
            return Err(NetworkError::Empty {
                input: input.to_owned(),
            });
        };
        let mut builder = NetworkBuilder::new(middle);
        let junctions = add_junctions(&mut builder, &sides, &shapes, &meetings, &ways);
        let mut segments: BTreeMap<Side, SegmentId> = BTreeMap::new();
        for (&(road, direction), shape) in sides.iter().zip(shapes) {
            let Some(carriageway) = &self.carriageways[road][direction as usize] else {
                continue;
            };
            let to = direction.towards();
            let [from, to] = [opposite(to), to].map(|end| junctions[&meetings.at(road, end)]);
            let draft = draft(&self.drive.roads[road], direction, carriageway, shape);
            let id = builder.add_segment(SegmentDraft { from, to, ..draft })?;
            for &lane in &carriageway.lanes {
                builder.add_lane(id, lane);
            }
            segments.insert((road, direction), id);
        }
        connect(&mut builder, &segments, &ways);
        builder.build()
    }

    fn shape(&self, (road, direction): Side) -> Vec<Position> {
        let carriageway = self.carriageways[road][direction as usize].as_ref();
        let points = carriageway.into_iter().flat_map(|way| &way.shape);
        points.map(|&point| self.plane.to_position(point)).collect()
    }
}

fn opposite(end: End) -> End {
    match end {
        End::Start => End::End,
        End::End => End::Start,
    }
}

/// Which ends of roads meet: those of one junction, and those that name each other.
struct Meetings {
    /// The parent of each road end, then of each junction; roots are their own.
    parents: Vec<usize>,
}

impl Meetings {
    fn of(drive: &Drive, links: &Links<'_>) -> Self {
        let ends = 2 * drive.roads.len();
        let ids = drive.junctions.iter().enumerate();
        let junctions: BTreeMap<&str, usize> = ids
            .map(|(index, junction)| (junction.id.as_str(), ends + index))
            .collect();
        let mut meetings = Self {
            parents: (0..ends + drive.junctions.len()).collect(),
        };
        for (index, road) in drive.roads.iter().enumerate() {
            let inside = road
                .junction
                .as_ref()
                .and_then(|id| junctions.get(id.as_str()));
            for (end, link) in [(0, &road.before), (1, &road.after)] {
                let own = inside.copied().unwrap_or(2 * index + end);
                let other = match link {
                    Some(RoadLink::Junction(id)) => junctions.get(id.as_str()).copied(),
                    Some(RoadLink::Road(id, at)) => links.road(id).map(|next| {
                        let next_inside = drive.roads[next].junction.as_deref();
                        let inside = next_inside.and_then(|id| junctions.get(id));
                        inside.copied().unwrap_or(2 * next + *at as usize)
                    }),
                    None => None,
                };
                if let Some(other) = other {
                    let (a, b) = (meetings.root(own), meetings.root(other));
                    meetings.parents[a.max(b)] = a.min(b);
                }
            }
        }
        meetings
    }

    fn root(&self, mut place: usize) -> usize {
        while self.parents[place] != place {
            place = self.parents[place];
        }
        place
    }

    /// The place at which an end of a road meets others.
    fn at(&self, road: usize, end: End) -> usize {
        self.root(2 * road + end as usize)
    }
}

/// One junction where ends meet, in the middle of them.
fn add_junctions(
    builder: &mut NetworkBuilder,
    sides: &[Side],
    shapes: &[Vec<Position>],
    meetings: &Meetings,
    ways: &[Way],
) -> BTreeMap<usize, JunctionId> {
    let lights = ways.iter().filter(|way| way.light.is_some());
    let signalised: std::collections::BTreeSet<usize> = lights
        .map(|way| meetings.at(way.from.0, way.from.1.towards()))
        .collect();
    let mut ends: BTreeMap<usize, Vec<Position>> = BTreeMap::new();
    for (&(road, direction), shape) in sides.iter().zip(shapes) {
        let to = direction.towards();
        for (end, place) in [(opposite(to), shape.first()), (to, shape.last())] {
            ends.entry(meetings.at(road, end))
                .or_default()
                .extend(place);
        }
    }
    ends.into_iter()
        .map(|(place, ends)| {
            let middle = middle_of(ends.into_iter()).unwrap_or_default();
            (
                place,
                builder.add_junction(middle, signalised.contains(&place)),
            )
        })
        .collect()
}

fn draft(
    road: &Road,
    direction: Direction,
    carriageway: &Carriageway,
    shape: Vec<Position>,
) -> SegmentDraft {
    let stated = road
        .types
        .iter()
        .filter_map(|kind| kind.limit_mps)
        .reduce(f32::max);
    let limit_mps = carriageway.limit_mps.or(stated);
    let covers = |metres: f64| metres > road.length_m / 2.0;
    let (is_bridge, is_tunnel) = (covers(road.bridge_m), covers(road.tunnel_m));
    SegmentDraft {
        from: JunctionId(0),
        to: JunctionId(0),
        shape,
        length_m: Some(carriageway.length_m as f32),
        class: class_of(road, limit_mps, carriageway.lane_count),
        limit_mps,
        lanes: Some(carriageway.lane_count),
        flags: SegmentFlags::default()
            .with(SegmentFlags::LINK, carriageway.is_ramp)
            .with(SegmentFlags::BRIDGE, is_bridge)
            .with(SegmentFlags::TUNNEL, is_tunnel)
            .with(SegmentFlags::RESTRICTED, carriageway.is_restricted),
        layer: i8::from(is_bridge) - i8::from(is_tunnel),
        source_id: road.id.clone(),
        source_dir: direction.sign(),
        source_pair: 0,
        name: road.name.clone(),
        name_en: None,
    }
}

/// The class by the road's first type (clause 10.3), else by limit and lanes; `town` says nothing.
fn class_of(road: &Road, limit_mps: Option<f32>, lanes: u8) -> RoadClass {
    match road.types.first().map_or("", |first| first.kind.as_str()) {
        "motorway" => RoadClass::Motorway,
        "townExpressway" => RoadClass::Trunk,
        "townArterial" => RoadClass::Primary,
        "rural" | "townCollector" => RoadClass::Secondary,
        "townLocal" | "lowSpeed" | "townPlayStreet" => RoadClass::Residential,
        "townPrivate" => RoadClass::Service,
        _ => tags::class_by_limit(limit_mps.unwrap_or(50.0 / 3.6), lanes),
    }
}

/// Adds one movement for each pair of segments that some lane connects: its length is the mean of
/// the ways through the junction, its lanes the lanes that lead there.
fn connect(builder: &mut NetworkBuilder, segments: &BTreeMap<Side, SegmentId>, ways: &[Way]) {
    let mut movements: BTreeMap<(SegmentId, SegmentId), Vec<&Way>> = BTreeMap::new();
    for way in ways {
        if let Some((&from, &to)) = segments.get(&way.from).zip(segments.get(&way.to)) {
            movements.entry((from, to)).or_default().push(way);
            builder.add_lane_link((from, to), way.lanes, way.light.as_deref());
        }
    }
    for ((from, to), ways) in movements {
        let sum_m: f64 = ways.iter().map(|way| way.length_m).sum();
        let mut lanes: Vec<u8> = ways.iter().map(|way| way.lanes.0.0).collect();
        lanes.sort_unstable();
        lanes.dedup();
        let length_m = (sum_m / ways.len() as f64) as f32;
        builder.add_movement(from, to, length_m, lanes.len() as u32);
    }
}

#[cfg(test)]
mod tests;
