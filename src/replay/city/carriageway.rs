//! An expressway's middle line, the junctions along it, and its two carriageways.

use super::chart::Chart;
use super::names::{Name, Names};
use super::plan::{Kind, Plan};
use crate::network::{RoadClass, SegmentFlags};
use crate::units::Point;

/// Half the distance between the middles of the two carriageways, metres.
const CARRIAGEWAY_M: f32 = 13.0;
/// Interchanges keep at least this distance, metres.
const INTERCHANGE_GAP_M: f32 = 820.0;
/// Carriageways are cut into pieces no longer than this, metres.
const LONGEST_PIECE_M: f32 = 480.0;

/// The middle line of an expressway with what joins it.
pub(super) struct Expressway {
    points: Vec<Point>,
    chart_s: Vec<f32>,
    along: Vec<f32>,
    pub(super) is_closed: bool,
    name: Name,
    /// Junctions along each carriageway: (metres along the line, node).
    forward: Vec<(f32, usize)>,
    backward: Vec<(f32, usize)>,
    /// Where interchanges are, metres along.
    pub(super) interchanges: Vec<f32>,
    lanes: u8,
    is_ring: bool,
}

impl Expressway {
    pub(super) fn new(
        chart: &Chart,
        places: &[(f32, f32)],
        is_closed: bool,
        name: Name,
        lanes: u8,
    ) -> Self {
        let points: Vec<Point> = places.iter().map(|&(u, s)| chart.to_ground(u, s)).collect();
        let mut along = vec![0.0f32];
        for pair in points.windows(2) {
            along.push(along[along.len() - 1] + pair[0].distance_m(pair[1]));
        }
        Self {
            points,
            chart_s: places.iter().map(|place| place.1).collect(),
            along,
            is_closed,
            name,
            forward: Vec::new(),
            backward: Vec::new(),
            interchanges: Vec::new(),
            lanes,
            is_ring: is_closed,
        }
    }

    pub(super) fn length_m(&self) -> f32 {
        self.along[self.along.len() - 1]
    }

    pub(super) fn wrap(&self, at_m: f32) -> f32 {
        if self.is_closed {
            at_m.rem_euclid(self.length_m())
        } else {
            at_m.clamp(0.0, self.length_m())
        }
    }

    pub(super) fn piece(&self, at_m: f32) -> (usize, f32) {
        let at_m = self.wrap(at_m);
        let low = self
            .along
            .partition_point(|&m| m <= at_m)
            .clamp(1, self.points.len() - 1)
            - 1;
        let long_m = (self.along[low + 1] - self.along[low]).max(1e-3);
        (low, ((at_m - self.along[low]) / long_m).clamp(0.0, 1.0))
    }

    /// The ground point `right_m` to the right of the middle line; and the unit vector ahead.
    pub(super) fn beside(&self, at_m: f32, right_m: f32) -> (Point, (f32, f32)) {
        let (low, share) = self.piece(at_m);
        let (a, b) = (self.points[low], self.points[low + 1]);
        // The direction is blended with the next piece's, so that offsets stay smooth in bends.
        let next = self.points[(low + 2).min(self.points.len() - 1)];
        let unit = |p: Point, q: Point| {
            let long_m = p.distance_m(q).max(1e-3);
            ((q.x - p.x) / long_m, (q.y - p.y) / long_m)
        };
        let (d, e) = (
            unit(a, b),
            if next == b { unit(a, b) } else { unit(b, next) },
        );
        let ahead = (d.0 + (e.0 - d.0) * share, d.1 + (e.1 - d.1) * share);
        let point = Point::new(
            a.x + (b.x - a.x) * share + ahead.1 * right_m,
            a.y + (b.y - a.y) * share - ahead.0 * right_m,
        );
        (point, ahead)
    }

    /// Metres along the line nearest to a ground point.
    pub(super) fn nearest(&self, to: Point) -> f32 {
        let best = (0..self.points.len()).min_by(|&a, &b| {
            self.points[a]
                .distance_m(to)
                .total_cmp(&self.points[b].distance_m(to))
        });
        self.along[best.unwrap_or(0)]
    }

    pub(super) fn is_free(&self, at_m: f32) -> bool {
        self.interchanges.iter().all(|&other| {
            let apart = (other - at_m).abs();
            let apart = if self.is_closed {
                apart.min(self.length_m() - apart)
            } else {
                apart
            };
            apart > INTERCHANGE_GAP_M
        })
    }

    /// Adds a node on one carriageway.
    pub(super) fn join(&mut self, plan: &mut Plan, at_m: f32, is_forward: bool) -> usize {
        let at_m = self.wrap(at_m);
        let side = if is_forward { 1.0 } else { -1.0 };
        let node = plan.add_node(self.beside(at_m, side * CARRIAGEWAY_M).0, false);
        if is_forward {
            self.forward.push((at_m, node));
        } else {
            self.backward.push((at_m, node));
        }
        node
    }

    pub(super) fn ramp_kind(&self) -> Kind {
        let name = Name::new(
            &format!("{}匝道", self.name.zh),
            &format!("{} Ramp", self.name.en),
        );
        let mut kind = Kind::street(RoadClass::Motorway, 1, name);
        kind.limit_kmh = 45.0;
        kind.flags = SegmentFlags::LINK;
        kind.layer = 1;
        kind.is_oneway = true;
        kind
    }
}

/// Adds both carriageways between their junctions.
pub(super) fn lay_carriageways(plan: &mut Plan, road: &mut Expressway) {
    for is_forward in [true, false] {
        let mut stops = if is_forward {
            road.forward.clone()
        } else {
            road.backward.clone()
        };
        stops.sort_by(|a, b| a.0.total_cmp(&b.0));
        if road.is_closed {
            let first = stops[0];
            stops.push((first.0 + road.length_m(), first.1));
        }
        for pair in stops.windows(2) {
            let ((from_m, from), (to_m, to)) = (pair[0], pair[1]);
            let pieces = ((to_m - from_m) / LONGEST_PIECE_M).ceil().max(1.0) as usize;
            let step = (to_m - from_m) / pieces as f32;
            let mut last = from;
            for piece in 1..=pieces {
                let (low_m, high_m) = (
                    from_m + step * (piece - 1) as f32,
                    from_m + step * piece as f32,
                );
                let side = if is_forward {
                    CARRIAGEWAY_M
                } else {
                    -CARRIAGEWAY_M
                };
                let next = if piece == pieces {
                    to
                } else {
                    plan.add_node(road.beside(high_m, side).0, false)
                };
                lay_piece(plan, road, is_forward, (low_m, last), (high_m, next));
                last = next;
            }
        }
    }
}

fn lay_piece(
    plan: &mut Plan,
    road: &Expressway,
    is_forward: bool,
    (low_m, low): (f32, usize),
    (high_m, high): (f32, usize),
) {
    let side = if is_forward {
        CARRIAGEWAY_M
    } else {
        -CARRIAGEWAY_M
    };
    let count = ((high_m - low_m) / 70.0).ceil().max(1.0) as usize;
    let mut line: Vec<Point> = (0..=count)
        .map(|n| {
            road.beside(low_m + (high_m - low_m) * n as f32 / count as f32, side)
                .0
        })
        .collect();
    let (mut from, mut to) = (low, high);
    if !is_forward {
        line.reverse();
        std::mem::swap(&mut from, &mut to);
    }
    let over_river = {
        let (index, _) = road.piece((low_m + high_m) / 2.0);
        road.is_ring && road.chart_s[index].abs() < 500.0
    };
    let name = if over_river {
        let (index, _) = road.piece((low_m + high_m) / 2.0);
        // The south-to-north side of a counter-clockwise ring is the downstream one.
        let is_upstream =
            road.chart_s[(index + 1).min(road.chart_s.len() - 1)] < road.chart_s[index];
        Names::ring_bridge(is_upstream)
    } else {
        road.name.clone()
    };
    let mut kind = Kind::street(RoadClass::Motorway, road.lanes, name);
    kind.limit_kmh = if road.is_ring { 80.0 } else { 100.0 };
    kind.flags = SegmentFlags::BRIDGE;
    kind.layer = 1;
    kind.is_oneway = true;
    plan.add_road(from, to, line, kind);
    let ends_outside = !road.is_closed && low_m < 1.0;
    if let Some(added) = plan.roads.last_mut() {
        added.is_gateway = ends_outside;
    }
}
