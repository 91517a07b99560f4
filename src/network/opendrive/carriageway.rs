//! One direction of a road: the line its traffic follows, and its lanes beside that line.

use super::geometry::{Cubic, pose_at, value_at};
use super::parse::{End, Lane, Road, Section};
use crate::network::lanes::{self, LANES_MAX, LaneIndex, LaneKind};

/// The farthest a drawn line may lie from the true one, metres: below what any receiver tells.
const TOLERANCE_M: f64 = 0.05;
/// Halvings of a piece at most (chosen: 10 km come down to 2.5 m).
const HALVINGS_MAX: u32 = 12;
/// Where lanes open or close the middle of a carriageway moves sideways; the line does so over
/// this many times the move, before and after (chosen: a merge of about 1 in 10).
const RAMP_RATIO: f64 = 5.0;
/// Sideways moves below this are drawn as they are, metres.
const JUMP_M: f64 = 0.05;
/// Shorter stretches of lanes say nothing, metres.
const STRETCH_M_MIN: f32 = 0.01;

/// Along the reference line of a road, or against it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Direction {
    Along,
    Against,
}

impl Direction {
    pub(super) const BOTH: [Self; 2] = [Self::Along, Self::Against];

    /// The direction in which a lane of a road is driven.
    pub(super) fn of(road: &Road, lane: i32) -> Self {
        if (lane < 0) == road.is_left_hand {
            Self::Against
        } else {
            Self::Along
        }
    }

    /// The end of the road that it drives towards.
    pub(super) fn towards(self) -> End {
        match self {
            Self::Along => End::End,
            Self::Against => End::Start,
        }
    }

    /// +1 along the reference line, -1 against it.
    pub(super) fn sign(self) -> i8 {
        match self {
            Self::Along => 1,
            Self::Against => -1,
        }
    }
}

/// One direction of a road.
#[derive(Clone, Debug)]
pub(super) struct Carriageway {
    /// Points of the file's plane, in the direction of travel.
    pub(super) shape: Vec<(f64, f64)>,
    pub(super) length_m: f64,
    pub(super) lanes: Vec<lanes::Lane>,
    /// Lanes for cars on the longest part of it; where there are none, of any.
    pub(super) lane_count: u8,
    pub(super) is_restricted: bool,
    pub(super) is_ramp: bool,
    /// The highest limit of its lanes, m/s.
    pub(super) limit_mps: Option<f32>,
}

/// The lanes of one direction at a section that vehicles drive on, from the kerb.
pub(super) fn driven<'a>(
    road: &'a Road,
    section: &'a Section,
    direction: Direction,
) -> Vec<&'a Lane> {
    let mut lanes: Vec<&Lane> = section
        .lanes
        .iter()
        .filter(|lane| lane.kind.is_some() && Direction::of(road, lane.id) == direction)
        .collect();
    lanes.sort_by_key(|lane| std::cmp::Reverse(lane.id.unsigned_abs()));
    lanes.truncate(LANES_MAX);
    lanes
}

/// The section at an end of a road.
pub(super) fn section_at(road: &Road, end: End) -> Option<&Section> {
    match end {
        End::Start => road.sections.first(),
        End::End => road.sections.last(),
    }
}

/// The place from the kerb of a lane at an end of its road; `None` for one not driven on.
pub(super) fn index_at(road: &Road, end: End, lane: i32) -> Option<LaneIndex> {
    let section = section_at(road, end)?;
    let lanes = driven(road, section, Direction::of(road, lane));
    let index = lanes.iter().position(|found| found.id == lane)?;
    Some(LaneIndex(index as u8))
}

impl Carriageway {
    /// One direction of a road; `None` where nobody drives in it or it has no length.
    pub(super) fn of(road: &Road, direction: Direction) -> Option<Self> {
        let middle = Middle::of(road, direction)?;
        let line = middle.line();
        let drawn_m = line.last()?.drawn_m;
        // Also false where a number of the file overflowed.
        if !(drawn_m > 0.0 && drawn_m.is_finite()) {
            return None;
        }
        let all = || {
            let sections = middle.spans.iter().map(|span| span.section);
            sections.flat_map(|section| driven(road, section, direction))
        };
        let restricted =
            |lane: &Lane| matches!(lane.kind, Some(LaneKind::Bus | LaneKind::Restricted));
        let is_restricted = all().all(restricted);
        let longest = middle
            .spans
            .iter()
            .max_by(|a, b| (a.to_m - a.from_m).total_cmp(&(b.to_m - b.from_m)))?;
        let lane_count = driven(road, longest.section, direction)
            .into_iter()
            .filter(|lane| is_restricted || !restricted(lane))
            .count();
        let mut shape: Vec<(f64, f64)> = line.iter().map(|place| place.at).collect();
        if direction == Direction::Against {
            shape.reverse();
        }
        Some(Self {
            shape,
            length_m: drawn_m,
            lanes: middle.stretches(&line),
            lane_count: u8::try_from(lane_count.max(1)).unwrap_or(u8::MAX),
            is_restricted,
            is_ramp: all().all(|lane| lane.is_ramp),
            limit_mps: all().filter_map(|lane| lane.limit_mps).reduce(f32::max),
        })
    }
}

/// A stretch of the road with one lane section that is driven in the direction.
struct Span<'a> {
    from_m: f64,
    to_m: f64,
    section: &'a Section,
}

/// A stretch on which the middle moves from one lateral place to another.
struct Ramp {
    from_m: f64,
    to_m: f64,
    lateral_m: [f64; 2],
}

/// The middle of the driven lanes, as lateral metres beside the reference line (left positive).
struct Middle<'a> {
    road: &'a Road,
    direction: Direction,
    spans: Vec<Span<'a>>,
    ramps: Vec<Ramp>,
}

/// A place of the drawn line.
struct Place {
    along_m: f64,
    at: (f64, f64),
    /// Metres drawn up to there.
    drawn_m: f64,
}

impl<'a> Middle<'a> {
    fn of(road: &'a Road, direction: Direction) -> Option<Self> {
        let ends = road.sections.iter().skip(1).map(|section| section.from_m);
        let ends = ends.chain([road.length_m]);
        let spans: Vec<Span<'_>> = road
            .sections
            .iter()
            .zip(ends)
            .map(|(section, to_m)| Span {
                from_m: section.from_m.max(0.0),
                to_m: to_m.min(road.length_m),
                section,
            })
            .filter(|span| span.to_m > span.from_m)
            .filter(|span| !driven(road, span.section, direction).is_empty())
            .collect();
        if spans.is_empty() || road.line.is_empty() {
            return None;
        }
        let mut middle = Self {
            road,
            direction,
            spans,
            ramps: Vec::new(),
        };
        middle.ramps = middle
            .spans
            .windows(2)
            .filter_map(|pair| middle.ramp(pair))
            .collect();
        Some(middle)
    }

    fn ramp(&self, pair: &[Span<'_>]) -> Option<Ramp> {
        let [before, after] = pair else { return None };
        let jump_m = self.of_lanes(after, after.from_m) - self.of_lanes(before, before.to_m);
        let gap = after.from_m > before.to_m;
        if !gap && jump_m.abs() <= JUMP_M {
            return None;
        }
        let reach_m = RAMP_RATIO * jump_m.abs();
        let from_m = before.to_m - reach_m.min((before.to_m - before.from_m) / 2.0);
        let to_m = after.from_m + reach_m.min((after.to_m - after.from_m) / 2.0);
        Some(Ramp {
            from_m,
            to_m,
            lateral_m: [self.of_lanes(before, from_m), self.of_lanes(after, to_m)],
        })
    }

    /// Half way between the outer edges of the driven lanes of a span.
    fn of_lanes(&self, span: &Span<'_>, along_m: f64) -> f64 {
        let edges = edges(self.road, span.section, self.direction, along_m);
        let low = edges.iter().map(|edge| edge.between.0.min(edge.between.1));
        let high = edges.iter().map(|edge| edge.between.0.max(edge.between.1));
        (low.fold(f64::INFINITY, f64::min) + high.fold(f64::NEG_INFINITY, f64::max)) / 2.0
    }

    fn lateral_m(&self, along_m: f64) -> f64 {
        let ramp = self
            .ramps
            .iter()
            .find(|ramp| (ramp.from_m..=ramp.to_m).contains(&along_m));
        if let Some(ramp) = ramp {
            let long_m = ramp.to_m - ramp.from_m;
            let share = if long_m > 0.0 {
                (along_m - ramp.from_m) / long_m
            } else {
                0.5
            };
            return ramp.lateral_m[0] + (ramp.lateral_m[1] - ramp.lateral_m[0]) * share;
        }
        let count = self.spans.partition_point(|span| span.from_m <= along_m);
        let span = &self.spans[count.saturating_sub(1)];
        self.of_lanes(span, along_m)
    }

    fn at(&self, along_m: f64) -> (f64, f64) {
        let (x, y, heading_rad) = pose_at(&self.road.line, along_m);
        let (sin, cos) = heading_rad.sin_cos();
        let lateral_m = self.lateral_m(along_m);
        (x - lateral_m * sin, y + lateral_m * cos)
    }

    /// Where the road ends, and where what lies across changes its formula.
    fn breaks(&self) -> Vec<f64> {
        let mut breaks: Vec<f64> = Vec::new();
        for span in &self.spans {
            breaks.extend([span.from_m, span.to_m]);
            for lane in &span.section.lanes {
                let cubics = lane.widths.iter().chain(&lane.borders);
                breaks.extend(cubics.map(|cubic| cubic.from_m));
            }
        }
        breaks.extend(self.ramps.iter().flat_map(|ramp| [ramp.from_m, ramp.to_m]));
        breaks.extend(
            self.road
                .lane_offset
                .iter()
                .map(|cubic: &Cubic| cubic.from_m),
        );
        self.within(breaks)
    }

    fn within(&self, mut breaks: Vec<f64>) -> Vec<f64> {
        let ends = self.spans.first().zip(self.spans.last());
        let ends = ends.map_or(0.0..=0.0, |(first, last)| first.from_m..=last.to_m);
        breaks.retain(|along_m| ends.contains(along_m));
        breaks.sort_by(f64::total_cmp);
        breaks.dedup_by(|later, kept| *later - *kept < 1e-6);
        breaks
    }

    /// The line within [`TOLERANCE_M`] of the true one, along the reference line.
    fn line(&self) -> Vec<Place> {
        let mut breaks = self.breaks();
        breaks.extend(self.road.line.iter().map(|piece| piece.from_m));
        let breaks = self.within(breaks);
        let mut line: Vec<Place> = Vec::new();
        let mut push = |along_m: f64, at: (f64, f64)| {
            let drawn_m = line.last().map_or(0.0, |last| {
                last.drawn_m + (at.0 - last.at.0).hypot(at.1 - last.at.1)
            });
            line.push(Place {
                along_m,
                at,
                drawn_m,
            });
        };
        if let Some(&first) = breaks.first() {
            push(first, self.at(first));
        }
        for pair in breaks.windows(2) {
            let ends = [self.at(pair[0]), self.at(pair[1])];
            self.draw([pair[0], pair[1]], ends, 0, &mut push);
        }
        line
    }

    /// Draws what lies after the first end up to the second.
    fn draw(
        &self,
        along_m: [f64; 2],
        ends: [(f64, f64); 2],
        halvings: u32,
        push: &mut impl FnMut(f64, (f64, f64)),
    ) {
        let inner = [0.25, 0.5, 0.75].map(|share| {
            let along_m = along_m[0] + (along_m[1] - along_m[0]) * share;
            (along_m, self.at(along_m))
        });
        let is_off = |&(_, at): &(f64, (f64, f64))| from_chord_m(ends, at) > TOLERANCE_M;
        if halvings >= HALVINGS_MAX || !inner.iter().any(is_off) {
            push(along_m[1], ends[1]);
            return;
        }
        let (half_m, half) = inner[1];
        self.draw([along_m[0], half_m], [ends[0], half], halvings + 1, push);
        self.draw([half_m, along_m[1]], [half, ends[1]], halvings + 1, push);
    }

    /// The lanes beside the line, on stretches in which they change evenly.
    fn stretches(&self, line: &[Place]) -> Vec<lanes::Lane> {
        let total_m = line.last().map_or(0.0, |last| last.drawn_m);
        let mut found = Vec::new();
        for pair in self.breaks().windows(2) {
            let middle_m = (pair[0] + pair[1]) / 2.0;
            let Some(span) = self
                .spans
                .iter()
                .find(|span| (span.from_m..=span.to_m).contains(&middle_m))
            else {
                continue;
            };
            let mut ends = [pair[0], pair[1]];
            let mut drawn_m = ends.map(|along_m| drawn_at(line, along_m));
            let mut sign = 1.0;
            if self.direction == Direction::Against {
                ends.reverse();
                drawn_m = [total_m - drawn_m[1], total_m - drawn_m[0]];
                sign = -1.0;
            }
            let across =
                ends.map(|along_m| edges(self.road, span.section, self.direction, along_m));
            let reach_m = (drawn_m[0].max(0.0) as f32, drawn_m[1] as f32);
            if reach_m.1 - reach_m.0 < STRETCH_M_MIN {
                continue;
            }
            let middles = ends.map(|along_m| self.lateral_m(along_m));
            for (index, (start, end)) in (0..).zip(across[0].iter().zip(&across[1])) {
                let offset = |edge: &Edge, middle: f64| {
                    (sign * ((edge.between.0 + edge.between.1) / 2.0 - middle)) as f32
                };
                let width = |edge: &Edge| (edge.between.1 - edge.between.0).abs() as f32;
                found.push(lanes::Lane::new(
                    LaneIndex(index),
                    start.kind,
                    reach_m,
                    [offset(start, middles[0]), offset(end, middles[1])],
                    [width(start), width(end)],
                ));
            }
        }
        found
    }
}

/// A driven lane across the road.
struct Edge {
    kind: LaneKind,
    /// Lateral metres of its inner and outer border.
    between: (f64, f64),
}

/// The driven lanes of one direction at a place, from the kerb.
fn edges(road: &Road, section: &Section, direction: Direction, along_m: f64) -> Vec<Edge> {
    let mut lanes: Vec<&Lane> = section
        .lanes
        .iter()
        .filter(|lane| Direction::of(road, lane.id) == direction)
        .collect();
    lanes.sort_by_key(|lane| lane.id.unsigned_abs());
    let centre_m = value_at(&road.lane_offset, along_m);
    let mut inner_m = centre_m;
    let mut edges = Vec::new();
    for lane in lanes {
        let side = f64::from(lane.id.signum());
        let outer_m = if lane.widths.is_empty() && !lane.borders.is_empty() {
            // A border is measured from the reference line.
            side * value_at(&lane.borders, along_m).abs()
        } else {
            inner_m + side * value_at(&lane.widths, along_m).max(0.0)
        };
        if let Some(kind) = lane.kind {
            edges.push(Edge {
                kind,
                between: (inner_m, outer_m),
            });
        }
        inner_m = outer_m;
    }
    edges.reverse();
    edges.truncate(LANES_MAX);
    edges
}

/// Metres drawn up to a place along the reference line.
fn drawn_at(line: &[Place], along_m: f64) -> f64 {
    let next = line.partition_point(|place| place.along_m < along_m);
    match (line.get(next.wrapping_sub(1)), line.get(next)) {
        (Some(before), Some(after)) => {
            let share = (along_m - before.along_m) / (after.along_m - before.along_m);
            before.drawn_m + (after.drawn_m - before.drawn_m) * share
        }
        (Some(last), None) => last.drawn_m,
        (None, Some(first)) => first.drawn_m,
        (None, None) => 0.0,
    }
}

/// How far a point lies from the line between two others.
fn from_chord_m([from, to]: [(f64, f64); 2], point: (f64, f64)) -> f64 {
    let (x, y) = (to.0 - from.0, to.1 - from.1);
    let (px, py) = (point.0 - from.0, point.1 - from.1);
    let square = x * x + y * y;
    let share = if square > 0.0 {
        ((px * x + py * y) / square).clamp(0.0, 1.0)
    } else {
        0.0
    };
    (px - share * x).hypot(py - share * y)
}
