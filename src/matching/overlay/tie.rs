//! One junction tied to the network.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::line::{self, TiedLine};
use crate::network::{LaneIndex, Network};
use crate::observation::{Approach, JunctionReading};
use crate::units::{Point, SegmentId};

/// A junction farther from every segment is not one of this network, metres (chosen: wider than the
/// widest junction).
pub const JUNCTION_DISTANCE_MAX_M: f32 = 100.0;

/// A line is tied to segments no farther than this, metres (chosen: half the width of a wide
/// carriageway, and the errors of map and network).
pub const LINE_DISTANCE_MAX_M: f32 = 25.0;

/// The way out of a junction is looked for beside the line in, at most so far, metres (chosen: the
/// other carriageway of a wide street).
const EXIT_DISTANCE_MAX_M: f32 = 40.0;

/// Least share of a line that lies on segments (chosen).
const TIED_SHARE_MIN: f32 = 0.5;

/// How far a way out may lie behind the stop line, over segments inside the junction: metres and
/// segments (chosen).
const REACH_M: f32 = 150.0;
const REACH_SEGMENTS: u8 = 4;

/// Why a junction is not taken.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum JunctionRefusal {
    /// It lies farther than [`JUNCTION_DISTANCE_MAX_M`] from every segment.
    TooFar,
    /// It describes no way in.
    NoApproach,
    /// None of its ways in could be tied.
    Untied,
    /// The table of junctions is full.
    Full,
}

impl JunctionRefusal {
    /// Every reason, in order.
    pub const ALL: [Self; 4] = [Self::TooFar, Self::NoApproach, Self::Untied, Self::Full];

    /// The label used in metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::TooFar => "too_far",
            Self::NoApproach => "no_approach",
            Self::Untied => "untied",
            Self::Full => "full",
        }
    }
}

/// Why a part of a junction could not be tied.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum TieProblem {
    /// The way in has no line of at least two points, nor has a lane of it.
    NoPoints,
    /// Less than half of its line lies on segments that run its way.
    OffNetwork,
    /// No way in comes from where the movement leads, so that its way out is not known.
    NoExit,
    /// The way out is known, but the network allows no turn into it.
    Unreachable,
}

impl TieProblem {
    /// The word for it in output.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NoPoints => "no_points",
            Self::OffNetwork => "off_network",
            Self::NoExit => "no_exit",
            Self::Unreachable => "unreachable",
        }
    }
}

/// A junction with the parts of the network that it describes.
#[derive(Clone, Debug, PartialEq)]
pub struct TiedJunction {
    /// What the unit says.
    pub reading: JunctionReading,
    /// One for each of its ways in, in their order.
    pub approaches: Vec<TiedApproach>,
}

/// A way into a junction with its segments.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct TiedApproach {
    /// The segments it runs along, in driving order; the last one ends at the junction. Empty where
    /// it is not tied.
    pub segments: Vec<SegmentId>,
    /// Mean distance of its line from them, metres.
    pub mean_distance_m: f32,
    /// Share of its line that lies on them, `0.0..=1.0`.
    pub tied_share: f32,
    /// Why it is not tied.
    pub problem: Option<TieProblem>,
    /// Where it leads: its movements, or where it has none those of its lanes.
    pub movements: Vec<TiedMovement>,
    /// The lane of the network that each of its lanes is, where lines of lanes and lanes of the
    /// network are known.
    pub lanes: Vec<Option<LaneIndex>>,
}

/// A movement with the segment it leads into.
#[derive(Clone, Debug, PartialEq)]
pub struct TiedMovement {
    /// The junction it leads to.
    pub downstream: Arc<str>,
    /// The signal phase that governs it.
    pub phase: Option<u32>,
    /// The segment it leads into; `None` where it is not tied.
    pub outgoing: Option<SegmentId>,
    /// Why it is not tied.
    pub problem: Option<TieProblem>,
}

impl TiedApproach {
    /// The segment that ends at the junction.
    pub fn incoming(&self) -> Option<SegmentId> {
        self.segments.last().copied()
    }
}

impl TiedJunction {
    /// Ties what a unit says to the network.
    ///
    /// # Errors
    /// Why nothing of it could be tied.
    pub fn new(network: &Network, reading: JunctionReading) -> Result<Self, JunctionRefusal> {
        if reading.approaches.is_empty() {
            return Err(JunctionRefusal::NoApproach);
        }
        let here = network.frame().to_point(reading.position);
        let mut is_near = false;
        network.candidates_within(here, JUNCTION_DISTANCE_MAX_M, &mut |_| is_near = true);
        if !is_near {
            return Err(JunctionRefusal::TooFar);
        }
        let lines: Vec<Vec<Point>> = reading
            .approaches
            .iter()
            .map(|approach| points(network, approach))
            .collect();
        let mut approaches: Vec<TiedApproach> = reading
            .approaches
            .iter()
            .zip(&lines)
            .map(|(approach, points)| tie_approach(network, approach, points))
            .collect();
        if approaches
            .iter()
            .all(|approach| approach.segments.is_empty())
        {
            return Err(JunctionRefusal::Untied);
        }
        let exits = exits(network, &reading, &lines);
        for (approach, tied) in reading.approaches.iter().zip(&mut approaches) {
            tied.movements = movements(network, approach, tied.incoming(), &exits);
        }
        Ok(Self {
            reading,
            approaches,
        })
    }

    /// Mean distance of the tied lines from their segments, metres, and the share of all ways in
    /// that is tied.
    pub fn fit(&self) -> (f32, f32) {
        let tied: Vec<&TiedApproach> = self
            .approaches
            .iter()
            .filter(|approach| !approach.segments.is_empty())
            .collect();
        let sum_m: f32 = tied.iter().map(|approach| approach.mean_distance_m).sum();
        let count = tied.len() as f32;
        (
            sum_m / count.max(1.0),
            count / self.approaches.len().max(1) as f32,
        )
    }

    /// The movements that a phase governs: the segment in and, where it is known, the segment out.
    pub fn movements_of_phase(
        &self,
        phase: u32,
    ) -> impl Iterator<Item = (SegmentId, Option<SegmentId>)> + '_ {
        self.approaches
            .iter()
            .filter_map(|approach| Some((approach.incoming()?, approach)))
            .flat_map(move |(incoming, approach)| {
                let governed = approach.movements.iter();
                governed
                    .filter(move |movement| movement.phase == Some(phase))
                    .map(move |movement| (incoming, movement.outgoing))
            })
    }
}

/// The line of an approach, or of its first lane that has one.
fn points(network: &Network, approach: &Approach) -> Vec<Point> {
    let of_lanes = approach.lanes.iter().map(|lane| &lane.points);
    let line = std::iter::once(&approach.points)
        .chain(of_lanes)
        .find(|points| points.len() >= 2);
    let frame = network.frame();
    line.into_iter()
        .flatten()
        .map(|&position| frame.to_point(position))
        .collect()
}

fn tie_approach(network: &Network, approach: &Approach, points: &[Point]) -> TiedApproach {
    if points.len() < 2 {
        return TiedApproach {
            problem: Some(TieProblem::NoPoints),
            lanes: vec![None; approach.lanes.len()],
            ..TiedApproach::default()
        };
    }
    let TiedLine {
        segments,
        mean_distance_m,
        tied_share,
    } = line::tie(network, points, LINE_DISTANCE_MAX_M);
    let is_tied = tied_share >= TIED_SHARE_MIN;
    let segments = if is_tied { segments } else { Vec::new() };
    let lane = |lane: &crate::observation::ApproachLane| {
        let segment = *segments.last()?;
        // The lane at the stop line is the one that signals govern.
        let end = network.frame().to_point(*lane.points.last()?);
        let (offset_m, lateral_m) = network.beside(segment, end);
        network.lane_at(segment, offset_m, lateral_m)
    };
    TiedApproach {
        lanes: approach.lanes.iter().map(lane).collect(),
        problem: (!is_tied).then_some(TieProblem::OffNetwork),
        movements: Vec::new(),
        segments,
        mean_distance_m,
        tied_share,
    }
}

/// The segments that lead away towards each neighbour: those along the line that comes from it,
/// the other way round.
fn exits(
    network: &Network,
    reading: &JunctionReading,
    lines: &[Vec<Point>],
) -> BTreeMap<Arc<str>, Vec<SegmentId>> {
    let mut exits = BTreeMap::new();
    for (approach, points) in reading.approaches.iter().zip(lines) {
        let back: Vec<Point> = points.iter().rev().copied().collect();
        let segments = line::tie(network, &back, EXIT_DISTANCE_MAX_M).segments;
        exits.entry(approach.upstream.clone()).or_insert(segments);
    }
    exits
}

fn movements(
    network: &Network,
    approach: &Approach,
    incoming: Option<SegmentId>,
    exits: &BTreeMap<Arc<str>, Vec<SegmentId>>,
) -> Vec<TiedMovement> {
    let reachable = incoming.map_or_else(Vec::new, |incoming| reachable(network, incoming));
    let of_lanes = approach.lanes.iter().flat_map(|lane| &lane.connections);
    let mut wanted: Vec<(&Arc<str>, Option<u32>)> = if approach.movements.is_empty() {
        of_lanes.map(|to| (&to.downstream, to.phase)).collect()
    } else {
        let movements = approach.movements.iter();
        movements.map(|to| (&to.downstream, to.phase)).collect()
    };
    let mut seen = Vec::new();
    wanted.retain(|movement| {
        let is_new = !seen.contains(movement);
        seen.push(*movement);
        is_new
    });
    let tied = wanted.into_iter().map(|(downstream, phase)| {
        let segments = exits.get(downstream).filter(|exit| !exit.is_empty());
        let outgoing = segments.and_then(|segments| {
            let mut segments = segments.iter().copied();
            segments.find(|segment| reachable.contains(segment))
        });
        let problem = match (incoming, segments, outgoing) {
            (_, _, Some(_)) => None,
            (None, ..) => Some(TieProblem::OffNetwork),
            (_, None, _) => Some(TieProblem::NoExit),
            (_, Some(_), None) => Some(TieProblem::Unreachable),
        };
        TiedMovement {
            downstream: downstream.clone(),
            phase,
            outgoing,
            problem,
        }
    });
    tied.collect()
}

/// The segments that can be entered from the end of `incoming` without going far: its exits, and
/// theirs as long as what lies between is short enough to lie inside a junction.
fn reachable(network: &Network, incoming: SegmentId) -> Vec<SegmentId> {
    let mut found = Vec::new();
    let mut open = vec![(incoming, 0.0f32)];
    for _ in 0..REACH_SEGMENTS {
        let mut next = Vec::new();
        for (segment, passed_m) in open {
            for movement in network.movements_from(segment) {
                let to = movement.to();
                if !found.contains(&to) {
                    found.push(to);
                    let behind_m = passed_m + network.segment(to).length_m;
                    if behind_m <= REACH_M {
                        next.push((to, behind_m));
                    }
                }
            }
        }
        open = next;
    }
    found
}
