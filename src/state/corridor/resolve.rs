//! From what the configuration says of a corridor to its segments.

use super::{CORRIDOR_SEGMENTS_MAX, CORRIDORS_MAX, Corridor};
use crate::network::Network;
use crate::network::paths::{PathLimits, Router};
use crate::units::{Position, SegmentId, Timestamp};

/// How far a waypoint may lie from its segment, m (chosen: a wide carriageway, as for detectors).
const WAYPOINT_DISTANCE_MAX_M: f32 = 50.0;

/// Segments tried for each waypoint, nearest first: both directions of the road and of one beside.
const CANDIDATES_MAX: usize = 4;

/// A corridor as it is configured: over sources, or routed over waypoints.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct CorridorDraft {
    /// What it is called in topics and messages.
    pub id: String,
    /// What people call it; empty for the id.
    pub name: String,
    /// Ids of the network's source (OSM ways, SUMO edges, CSV rows) in driving order.
    pub sources: Vec<String>,
    /// Places on the way, WGS-84; the fastest way at the limits is taken between them.
    pub waypoints: Vec<Position>,
}

/// Why a corridor cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("corridor {corridor:?} {problem}")]
pub struct CorridorError {
    /// The corridor's id.
    pub corridor: String,
    /// What is wrong, with the value.
    pub problem: String,
}

impl CorridorDraft {
    /// The corridors of `drafts` on `network`.
    ///
    /// # Errors
    /// The first draft that leads nowhere, has the id of another, or is one too many.
    pub fn resolve_all(network: &Network, drafts: &[Self]) -> Result<Vec<Corridor>, CorridorError> {
        for (index, draft) in drafts.iter().enumerate() {
            if drafts[..index].iter().any(|other| other.id == draft.id) {
                return Err(draft.problem("has an id that another has".into()));
            }
            if index >= CORRIDORS_MAX {
                return Err(draft.problem(format!("is one more than {CORRIDORS_MAX}")));
            }
        }
        drafts.iter().map(|draft| draft.resolve(network)).collect()
    }

    /// The corridor on `network`.
    ///
    /// # Errors
    /// When a source is unknown, a waypoint is off the network, or nothing leads from one to the
    /// next.
    pub fn resolve(&self, network: &Network) -> Result<Corridor, CorridorError> {
        let is_topic_level = |id: &str| {
            let allowed = |c: char| c.is_alphanumeric() || matches!(c, '-' | '_' | '.');
            !id.is_empty() && id.len() <= 64 && id.chars().all(allowed)
        };
        if !is_topic_level(&self.id) {
            let wanted = "needs an id of 1 to 64 letters, digits, '-', '_' or '.'";
            return Err(self.problem(wanted.into()));
        }
        let segments = match (self.sources.is_empty(), self.waypoints.is_empty()) {
            (false, true) => self.along_sources(network)?,
            (true, false) => self.over_waypoints(network)?,
            _ => return Err(self.problem("needs either source ids or waypoints".into())),
        };
        let name = if self.name.is_empty() {
            &self.id
        } else {
            &self.name
        };
        Corridor::new(network, &self.id, name, segments)
    }

    fn problem(&self, problem: String) -> CorridorError {
        CorridorError {
            corridor: self.id.clone(),
            problem,
        }
    }

    /// The segments of the sources in order; of a source with two directions, the one from which
    /// the next can be driven.
    fn along_sources(&self, network: &Network) -> Result<Vec<SegmentId>, CorridorError> {
        let mut chains: Vec<[Vec<SegmentId>; 2]> = Vec::new();
        for source in &self.sources {
            let mut chain = [Vec::new(), Vec::new()];
            for id in network
                .segment_ids()
                .filter(|&id| network.source_id(id) == source)
            {
                let direction = usize::from(network.segment(id).source_dir < 0);
                chain[direction].push(id);
            }
            let [along, against] = &mut chain;
            along.sort_by_key(|&id| network.segment(id).source_pair);
            against.sort_by_key(|&id| std::cmp::Reverse(network.segment(id).source_pair));
            if along.is_empty() && against.is_empty() {
                return Err(self.problem(format!("names source {source:?}, which is unknown")));
            }
            chains.push(chain);
        }
        // Directions from the back: one fits if the next fits behind it.
        let leads = |from: &[SegmentId], to: &[SegmentId]| match (from.last(), to.first()) {
            (Some(&from), Some(&to)) => network
                .movements_from(from)
                .iter()
                .any(|movement| movement.to() == to),
            _ => false,
        };
        let mut fits = vec![[false; 2]; chains.len()];
        for index in (0..chains.len()).rev() {
            for direction in 0..2 {
                let chain = &chains[index][direction];
                fits[index][direction] = !chain.is_empty()
                    && chains.get(index + 1).is_none_or(|next| {
                        (0..2).any(|d| fits[index + 1][d] && leads(chain, &next[d]))
                    });
            }
        }
        let mut segments: Vec<SegmentId> = Vec::new();
        for (index, chain) in chains.iter().enumerate() {
            let fitting = (0..2).find(|&direction| {
                fits[index][direction]
                    && (segments.is_empty() || leads(&segments, &chain[direction]))
            });
            let Some(direction) = fitting else {
                let source = &self.sources[index];
                return Err(self.problem(format!("cannot be driven over source {source:?}")));
            };
            segments.extend_from_slice(&chain[direction]);
        }
        Ok(segments)
    }

    /// The fastest way at the limits over all waypoints.
    fn over_waypoints(&self, network: &Network) -> Result<Vec<SegmentId>, CorridorError> {
        let mut router = Router::new(network);
        let mut ways: Vec<(f32, Vec<SegmentId>)> = Vec::new();
        for (index, &waypoint) in self.waypoints.iter().enumerate() {
            let near = near(network, waypoint);
            if near.is_empty() {
                let at = format!("{}, {}", waypoint.lon_deg, waypoint.lat_deg);
                return Err(self.problem(format!("has no road near its waypoint at {at}")));
            }
            if index == 0 {
                let alone = |id| {
                    (
                        network.segment(id).length_m / network.segment(id).limit_mps,
                        vec![id],
                    )
                };
                ways = near.into_iter().map(alone).collect();
                continue;
            }
            let mut longer = Vec::new();
            for to in near {
                let reached = ways
                    .iter()
                    .filter_map(|way| extended(network, &mut router, way, to));
                let best = reached.min_by(|one, other| one.0.total_cmp(&other.0));
                longer.extend(best);
            }
            if longer.is_empty() {
                let place = index + 1;
                return Err(self.problem(format!("has no way to its waypoint {place}")));
            }
            ways = longer;
        }
        let best = ways
            .into_iter()
            .min_by(|one, other| one.0.total_cmp(&other.0));
        Ok(best.map(|(_, segments)| segments).unwrap_or_default())
    }
}

/// Segments near a place, nearest first, then by id.
fn near(network: &Network, waypoint: Position) -> Vec<SegmentId> {
    let point = network.frame().to_point(waypoint);
    let mut found = Vec::new();
    network.candidates_within(point, WAYPOINT_DISTANCE_MAX_M, &mut |candidate| {
        found.push((candidate.distance_m, candidate.segment));
    });
    found.sort_by(|one, other| one.0.total_cmp(&other.0).then(one.1.cmp(&other.1)));
    found.truncate(CANDIDATES_MAX);
    found.into_iter().map(|(_, segment)| segment).collect()
}

/// A way that goes on to the end of `to`; `None` where nothing leads there.
fn extended(
    network: &Network,
    router: &mut Router<'_>,
    (time_s, segments): &(f32, Vec<SegmentId>),
    to: SegmentId,
) -> Option<(f32, Vec<SegmentId>)> {
    let last = *segments.last()?;
    if last == to {
        return Some((*time_s, segments.clone()));
    }
    let at_limit = |id: SegmentId, _: Timestamp| {
        let about = network.segment(id);
        about.length_m / about.limit_mps
    };
    let depart = Timestamp::from_secs(0);
    let path = router.shortest(last, to, depart, &at_limit, PathLimits::default())?;
    let mut longer = segments.clone();
    longer.extend_from_slice(&path.segments[1..]);
    (longer.len() <= CORRIDOR_SEGMENTS_MAX)
        .then(|| (time_s + path.travel_time_s - at_limit(last, depart), longer))
}
