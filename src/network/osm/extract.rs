//! Picks out of an `.osm.pbf` the ways, nodes and restrictions that driving needs.
//!
//! The file is decoded twice, so that only the nodes of drivable ways are ever kept, and a third
//! time, in part, where nobody says which country it shows.

use std::collections::BTreeMap;
use std::ops::ControlFlow;

use super::access::{self, Barrier};
use super::limits::{Country, limits_of};
use super::pbf::{Element, for_each};
use super::restriction::{Restriction, restriction};
use super::road::{Road, road};
use super::speed::country_named;
use super::tags::Tags;
use crate::network::report::{ImportReport, Omission};
use crate::network::{CountryCode, ImportOptions, NetworkError};
use crate::units::Position;

/// So many ways that name their country are enough to know it (chosen).
const COUNTRY_WITNESSES: u32 = 1_000;

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
    pub(super) barrier: Barrier,
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
    options: ImportOptions,
    report: &mut ImportReport,
) -> Result<Extract, NetworkError> {
    let country = country(input, bytes, options, report)?;
    let (mut ways, mut restrictions) = (Vec::new(), Vec::new());
    for_each(input, bytes, &mut |element| {
        match element {
            Element::Way { id, nodes, tags } => match way(&tags, country, report) {
                Some(Ok(road)) => ways.push(Way { id, nodes, road }),
                Some(Err(cause)) => report.omit(cause),
                None => {}
            },
            Element::Relation { members, tags } => {
                restrictions.extend(restriction(&tags, &members, report));
            }
            Element::Node { .. } => {}
        }
        ControlFlow::Continue(())
    })?;
    let nodes = nodes(input, bytes, &ways)?;
    Ok(Extract {
        ways,
        nodes,
        restrictions,
    })
}

/// Reads a way; `None` when it is neither road nor ferry.
fn way(
    tags: &Tags<'_>,
    country: Option<&'static Country>,
    report: &mut ImportReport,
) -> Option<Result<Road, Omission>> {
    let is_ferry = tags.is_any(&["route"], &["ferry", "shuttle_train"]);
    if tags.get("highway").is_some() {
        report.roads_read += 1;
        Some(road(tags, country))
    } else if is_ferry {
        report.roads_read += 1;
        Some(Err(Omission::Ferry))
    } else {
        None
    }
}

/// The country that is given, else the one that most ways name.
fn country(
    input: &str,
    bytes: &[u8],
    options: ImportOptions,
    report: &mut ImportReport,
) -> Result<Option<&'static Country>, NetworkError> {
    let code = match options.country {
        Some(code) => Some(code),
        None => most_named(input, bytes)?,
    };
    let known = code.and_then(limits_of);
    report.notes.push(match (code, known) {
        (Some(code), Some(_)) => format!("roads without a sign have the limits of {code}"),
        (Some(code), None) => {
            format!(
                "the limits of {code} aren't known: roads without a sign have those of their class"
            )
        }
        (None, _) => {
            "no country is named: roads without a sign have the limits of their class".into()
        }
    });
    Ok(known)
}

fn most_named(input: &str, bytes: &[u8]) -> Result<Option<CountryCode>, NetworkError> {
    let mut named: BTreeMap<CountryCode, u32> = BTreeMap::new();
    let mut left = COUNTRY_WITNESSES;
    for_each(input, bytes, &mut |element| {
        if let Element::Way { tags, .. } = element
            && let Some(code) = country_named(&tags)
        {
            *named.entry(code).or_default() += 1;
            left -= 1;
        }
        if left == 0 {
            ControlFlow::Break(())
        } else {
            ControlFlow::Continue(())
        }
    })?;
    // The first in the alphabet of equally many.
    let most = named
        .iter()
        .max_by_key(|&(code, &count)| (count, std::cmp::Reverse(code)));
    Ok(most.map(|(&code, _)| code))
}

/// The nodes of the ways, sorted by id.
fn nodes(input: &str, bytes: &[u8], ways: &[Way]) -> Result<Vec<Node>, NetworkError> {
    let mut ids: Vec<i64> = ways
        .iter()
        .flat_map(|way| way.nodes.iter().copied())
        .collect();
    ids.sort_unstable();
    ids.dedup();
    let unknown = |id| Node {
        id,
        position: None,
        signal: [false; 2],
        barrier: Barrier::Open,
    };
    let mut nodes: Vec<Node> = ids.into_iter().map(unknown).collect();
    for_each(input, bytes, &mut |element| {
        if let Element::Node {
            id,
            lon_deg,
            lat_deg,
            tags,
        } = element
            && let Ok(index) = nodes.binary_search_by_key(&id, |node| node.id)
        {
            let position = Position::new(lon_deg, lat_deg);
            nodes[index] = Node {
                id,
                position: Some(position).filter(|position| position.is_valid()),
                signal: signal(&tags),
                barrier: access::of_node(&tags),
            };
        }
        ControlFlow::Continue(())
    })?;
    Ok(nodes)
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
