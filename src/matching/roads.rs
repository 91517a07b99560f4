//! The network as the matcher walks it: straight pieces with their directions, exits with their
//! lengths and prior costs, bounding circles for quick refusal.

use crate::network::{Network, RoadClass, Segment, SegmentFlags, Stage};
use crate::units::{Point, SegmentId, heading_difference_deg};

/// Marks "no segment".
pub(crate) const NONE: u32 = u32::MAX;

/// One straight piece of a segment. Lengths are in the segment's stated metres, so `(ux, uy)` has
/// the length drawn metres per stated metre.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Piece {
    pub(crate) x: f32,
    pub(crate) y: f32,
    pub(crate) ux: f32,
    pub(crate) uy: f32,
    pub(crate) start_m: f32,
    pub(crate) length_m: f32,
}

/// One segment, or one stage of it: what may follow can depend on what was driven before
/// ([`Stage`]). Stages below the segment count are the segments.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Road {
    /// The segment it is; several stages may share one.
    pub(crate) segment: u32,
    /// Middle and radius of a circle around its geometry.
    pub(crate) middle: Point,
    pub(crate) radius_m: f32,
    pub(crate) length_m: f32,
    pub(crate) first_piece: u32,
    pub(crate) piece_count: u32,
    pub(crate) first_exit: u32,
    pub(crate) exit_count: u32,
    pub(crate) twin: u32,
    /// The way of the source and its direction: segments cut from one road share it.
    pub(crate) way: u32,
    /// Vertical layer, 0 on the ground.
    pub(crate) layer: i8,
    /// Whether vehicles wait at its end.
    pub(crate) is_signalised: bool,
    /// Logarithm of how likely a vehicle is met here, up to a constant.
    pub(crate) prior: f32,
}

/// One permitted way out of a segment.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Exit {
    pub(crate) to: u32,
    /// Metres inside the junction.
    pub(crate) junction_m: f32,
    /// Logarithm of the share of vehicles that take it.
    pub(crate) prior: f32,
}

/// All stages of one network.
#[derive(Debug)]
pub(crate) struct Roads {
    roads: Vec<Road>,
    pieces: Vec<Piece>,
    exits: Vec<Exit>,
}

/// How much traffic a road of each class draws at a junction against the others; chosen, mild,
/// since service roads lead to destinations.
const CLASS_WEIGHT: [f32; 8] = [4.0, 4.0, 3.0, 2.5, 2.0, 1.5, 1.5, 1.0];

/// Share of that on a busway: beside one run the lanes of all others. Chosen; buses are still
/// matched to it where their positions and turns leave no other road.
const RESTRICTED_WEIGHT: f32 = 0.03;

/// Logarithm of how likely a vehicle is to turn round at a junction or a dead end within a trip,
/// beyond its share of the exits; chosen, else time spent waiting unseen looks like a drive to the
/// next dead end and back.
const U_TURN_PRIOR: f32 = -4.0;

/// Share of the traffic of its class that a road draws which only those with leave, or those who
/// stop there, may use; chosen.
const PRIVATE_WEIGHT: f32 = 0.25;
const DESTINATION_WEIGHT: f32 = 0.5;

/// How likely a turn is against going straight on, by angle in steps of 45 degrees; chosen within
/// the usual turning shares of urban junctions (60 to 70 % straight, 15 % each turn).
const TURN_WEIGHT: [f32; 5] = [1.0, 0.6, 0.3, 0.15, 0.02];

impl Roads {
    pub(crate) fn new(network: &Network) -> Self {
        let mut roads = Vec::with_capacity(network.stage_count());
        let mut pieces = Vec::new();
        let mut exits = Vec::with_capacity(network.movements().len());
        for stage in (0..network.stage_count() as u32).map(Stage) {
            let id = network.segment_at(stage);
            let segment = network.segment(id);
            let first_piece = pieces.len() as u32;
            push_pieces(network.shape(id), segment.length_m, &mut pieces);
            let first_exit = exits.len() as u32;
            push_exits(network, stage, &mut exits);
            let (middle, radius_m) = circle_around(network.shape(id));
            roads.push(Road {
                segment: id.0,
                middle,
                radius_m,
                length_m: segment.length_m,
                first_piece,
                piece_count: pieces.len() as u32 - first_piece,
                first_exit,
                exit_count: exits.len() as u32 - first_exit,
                twin: segment.twin().map_or(NONE, |twin| twin.0),
                way: way_of(segment, id),
                layer: segment.layer,
                is_signalised: segment.is_signalised(),
                prior: class_weight(segment).ln(),
            });
        }
        Self {
            roads,
            pieces,
            exits,
        }
    }

    pub(crate) fn road(&self, id: u32) -> &Road {
        &self.roads[id as usize]
    }

    pub(crate) fn count(&self) -> usize {
        self.roads.len()
    }

    pub(crate) fn pieces(&self, road: &Road) -> &[Piece] {
        &self.pieces[road.first_piece as usize..][..road.piece_count as usize]
    }

    pub(crate) fn exits(&self, road: &Road) -> &[Exit] {
        &self.exits[road.first_exit as usize..][..road.exit_count as usize]
    }

    /// Where a road ends.
    pub(crate) fn end(&self, road: &Road) -> Point {
        self.pieces(road)
            .last()
            .map_or(road.middle, |piece| piece.point_at(piece.length_m))
    }

    /// Where a road begins.
    pub(crate) fn start(&self, road: &Road) -> Point {
        self.pieces(road)
            .first()
            .map_or(road.middle, |piece| piece.point_at(0.0))
    }
}

impl Piece {
    /// The point `along_m` from the start of the piece.
    pub(crate) fn point_at(&self, along_m: f32) -> Point {
        Point {
            x: self.x + self.ux * along_m,
            y: self.y + self.uy * along_m,
        }
    }
}

impl Road {
    /// Least metres from `point` to the road; may be less than the true distance, never more.
    pub(crate) fn clearance_m(&self, point: Point) -> f32 {
        self.middle.distance_m(point) - self.radius_m
    }
}

/// Never [`NONE`]; segments without an id of the source are roads of their own.
fn way_of(segment: &Segment, id: SegmentId) -> u32 {
    if segment.source_text == NONE {
        (id.0 << 1 | 1) ^ (1 << 31)
    } else {
        segment.source_text << 1 | u32::from(segment.source_dir < 0)
    }
}

fn class_weight(segment: &Segment) -> f32 {
    let share = if segment.flags.contains(SegmentFlags::RESTRICTED) {
        RESTRICTED_WEIGHT
    } else if segment.flags.contains(SegmentFlags::PRIVATE) {
        PRIVATE_WEIGHT
    } else if segment.flags.contains(SegmentFlags::DESTINATION) {
        DESTINATION_WEIGHT
    } else {
        1.0
    };
    share * CLASS_WEIGHT[segment.class() as usize]
}

fn push_pieces(shape: &[Point], stated_m: f32, pieces: &mut Vec<Piece>) {
    let drawn_m: f32 = shape
        .windows(2)
        .map(|pair| pair[0].distance_m(pair[1]))
        .sum();
    let stated_per_drawn = if drawn_m > 0.0 {
        stated_m / drawn_m
    } else {
        1.0
    };
    let first = pieces.len();
    let mut start_m = 0.0;
    for pair in shape.windows(2) {
        let length_m = pair[0].distance_m(pair[1]) * stated_per_drawn;
        if length_m > 0.0 {
            pieces.push(Piece {
                x: pair[0].x,
                y: pair[0].y,
                ux: (pair[1].x - pair[0].x) / length_m,
                uy: (pair[1].y - pair[0].y) / length_m,
                start_m,
                length_m,
            });
            start_m += length_m;
        }
    }
    if pieces.len() == first {
        // A segment whose positions coincide: a point with a stated length.
        pieces.push(Piece {
            x: shape[0].x,
            y: shape[0].y,
            length_m: stated_m,
            ..Piece::default()
        });
    }
}

fn push_exits(network: &Network, stage: Stage, exits: &mut Vec<Exit>) {
    let id = network.segment_at(stage);
    let arriving_deg = end_heading_deg(network.shape(id), false);
    let twin = network.segment(id).twin();
    let weight_of = |to: SegmentId| {
        let turn_deg =
            heading_difference_deg(arriving_deg, end_heading_deg(network.shape(to), true));
        let step = if Some(to) == twin {
            TURN_WEIGHT.len() - 1
        } else {
            ((turn_deg + 22.5) / 45.0) as usize
        };
        TURN_WEIGHT[step.min(TURN_WEIGHT.len() - 1)] * class_weight(network.segment(to))
    };
    let total: f32 = network
        .steps_from(stage)
        .map(|(movement, _)| weight_of(movement.to()))
        .sum();
    exits.extend(network.steps_from(stage).map(|(movement, next)| Exit {
        to: next.0,
        junction_m: movement.length_m,
        prior: (weight_of(movement.to()) / total).ln()
            + if Some(movement.to()) == twin {
                U_TURN_PRIOR
            } else {
                0.0
            },
    }));
}

/// Heading of the first or last stretch of a shape.
fn end_heading_deg(shape: &[Point], at_start: bool) -> f32 {
    let pair = if at_start {
        [shape[0], shape[1]]
    } else {
        [shape[shape.len() - 2], shape[shape.len() - 1]]
    };
    pair[0].heading_deg_to(pair[1])
}

fn circle_around(shape: &[Point]) -> (Point, f32) {
    let (mut low, mut high) = (shape[0], shape[0]);
    for point in shape {
        low = Point::new(low.x.min(point.x), low.y.min(point.y));
        high = Point::new(high.x.max(point.x), high.y.max(point.y));
    }
    let middle = Point::new(0.5 * (low.x + high.x), 0.5 * (low.y + high.y));
    let radius_m = shape
        .iter()
        .map(|point| middle.distance_m(*point))
        .fold(0.0, f32::max);
    (middle, radius_m)
}

/// The class weights cover every class.
const _: () = assert!(CLASS_WEIGHT.len() == RoadClass::ALL.len());
