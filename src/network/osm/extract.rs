//! Reads the blobs of an `.osm.pbf` into the ways, nodes and restrictions that driving needs.
//!
//! The file is decoded twice, so that only the nodes of drivable ways are ever kept.

use osmpbf::{BlobDecode, BlobReader, Element, RelMemberType, Relation};

use super::road::{Road, Tags, road};
use crate::network::NetworkError;
use crate::network::report::{ImportReport, Omission};
use crate::units::Position;

/// One drivable way.
pub(super) struct Way {
    pub(super) id: i64,
    /// OSM node ids, then indices into [`Extract::nodes`] of those that the file has.
    pub(super) nodes: Vec<i64>,
    pub(super) road: Road,
}

/// One node of a drivable way.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) id: i64,
    /// `None` when the file lacks the node.
    pub(super) position: Option<Position>,
    /// A traffic signal for those who drive along, and against, the way it is on.
    pub(super) signal: [bool; 2],
}

/// A turn restriction over one node.
pub(super) struct Restriction {
    pub(super) from: Vec<i64>,
    /// OSM node id.
    pub(super) via: i64,
    pub(super) to: Vec<i64>,
    pub(super) is_only: bool,
    pub(super) is_u_turn: bool,
}

/// What a file holds for driving.
pub(super) struct Extract {
    pub(super) ways: Vec<Way>,
    /// Sorted by id.
    pub(super) nodes: Vec<Node>,
    pub(super) restrictions: Vec<Restriction>,
}

/// Reads everything from the bytes of a file.
pub(super) fn extract(
    input: &str,
    bytes: &[u8],
    report: &mut ImportReport,
) -> Result<Extract, NetworkError> {
    let (mut ways, mut restrictions) = (Vec::new(), Vec::new());
    for_each(input, bytes, &mut |element| match element {
        Element::Way(way) => {
            let tags = Tags(way.tags().collect());
            if tags.get("highway").is_none() {
                return;
            }
            report.roads_read += 1;
            match road(&tags) {
                Ok(road) => ways.push(Way {
                    id: way.id(),
                    nodes: way.refs().collect(),
                    road,
                }),
                Err(cause) => report.omit(cause),
            }
        }
        Element::Relation(relation) => restrictions.extend(restriction(&relation, report)),
        Element::Node(_) | Element::DenseNode(_) => {}
    })?;

    let mut ids: Vec<i64> = ways
        .iter()
        .flat_map(|way| way.nodes.iter().copied())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let mut nodes: Vec<Node> = ids
        .into_iter()
        .map(|id| Node {
            id,
            position: None,
            signal: [false; 2],
        })
        .collect();
    for_each(input, bytes, &mut |element| {
        let (id, nano_lon, nano_lat) = match &element {
            Element::Node(node) => (node.id(), node.nano_lon(), node.nano_lat()),
            Element::DenseNode(node) => (node.id(), node.nano_lon(), node.nano_lat()),
            Element::Way(_) | Element::Relation(_) => return,
        };
        if let Ok(index) = nodes.binary_search_by_key(&id, |node| node.id) {
            let position = Position::new(nano_lon as f64 / 1e9, nano_lat as f64 / 1e9);
            nodes[index].position = Some(position).filter(|position| position.is_valid());
            nodes[index].signal = match &element {
                Element::Node(node) => signal(&Tags(node.tags().collect())),
                Element::DenseNode(node) => signal(&Tags(node.tags().collect())),
                Element::Way(_) | Element::Relation(_) => [false; 2],
            };
        }
    })?;
    Ok(Extract {
        ways,
        nodes,
        restrictions,
    })
}

/// Calls `found` with every element of the file, in its order.
fn for_each(
    input: &str,
    bytes: &[u8],
    found: &mut impl FnMut(Element<'_>),
) -> Result<(), NetworkError> {
    for (index, blob) in BlobReader::new(bytes).enumerate() {
        let malformed = |problem: String| NetworkError::Malformed {
            input: input.to_owned(),
            place: format!("blob {index}"),
            problem,
        };
        let blob = blob.map_err(|error| malformed(error.to_string()))?;
        match blob
            .decode()
            .map_err(|error| malformed(error.to_string()))?
        {
            BlobDecode::OsmHeader(header) => {
                let known = ["OsmSchema-V0.6", "DenseNodes"];
                let mut features = header.required_features().iter();
                if let Some(feature) = features.find(|feature| !known.contains(&feature.as_str())) {
                    return Err(malformed(format!("needs the unknown feature {feature:?}")));
                }
            }
            BlobDecode::OsmData(block) => {
                if index == 0 {
                    return Err(malformed("data comes before the header".into()));
                }
                block.for_each_element(&mut *found);
            }
            BlobDecode::Unknown(_) => {}
        }
    }
    Ok(())
}

/// Whom a node's traffic signal stops (OSM wiki, Key:traffic_signals:direction).
fn signal(tags: &Tags<'_>) -> [bool; 2] {
    if tags.get("highway") != Some("traffic_signals") {
        return [false; 2];
    }
    match tags.get("traffic_signals:direction") {
        Some("forward") => [true, false],
        Some("backward") => [false, true],
        _ => [true; 2],
    }
}

/// Reads a turn restriction (OSM wiki, Relation:restriction); `None` for other relations and for
/// those that don't bind cars.
fn restriction(relation: &Relation<'_>, report: &mut ImportReport) -> Option<Restriction> {
    let tags = Tags(relation.tags().collect());
    if tags.get("type") != Some("restriction") {
        return None;
    }
    let binds_cars = tags.get("except").is_none_or(|except| {
        !except
            .split(';')
            .any(|mode| matches!(mode.trim(), "motorcar" | "motor_vehicle"))
    });
    let keys = [
        "restriction:motorcar",
        "restriction:motor_vehicle",
        "restriction",
    ];
    let kind = keys.iter().find_map(|key| tags.get(key));
    let timed = ["restriction:conditional", "day_on", "hour_on"]
        .iter()
        .any(|key| tags.get(key).is_some());
    if timed {
        report.omit(Omission::RestrictionTime);
        return None;
    }
    let kind = kind.filter(|_| binds_cars)?;
    let (mut from, mut to, mut via) = (Vec::new(), Vec::new(), Vec::new());
    let mut is_over_way = false;
    for member in relation.members() {
        match (member.role().unwrap_or_default(), member.member_type) {
            ("from", RelMemberType::Way) => from.push(member.member_id),
            ("to", RelMemberType::Way) => to.push(member.member_id),
            ("via", RelMemberType::Node) => via.push(member.member_id),
            ("via", _) => is_over_way = true,
            _ => {}
        }
    }
    let is_only = kind.starts_with("only_");
    let is_known = is_only || kind.starts_with("no_");
    if !is_known || is_over_way || via.len() != 1 || from.is_empty() || to.is_empty() {
        report.omit(Omission::RestrictionShape);
        return None;
    }
    Some(Restriction {
        from,
        via: via[0],
        to,
        is_only,
        is_u_turn: kind == "no_u_turn",
    })
}
