//! The elevated ring and the radial expressways, with ramps and interchanges.

use super::Layout;
use super::chart::Chart;
use super::names::{Name, Names};
use super::plan::{Kind, Plan};
use super::streets::{Grid, Line};
use crate::network::{RoadClass, SegmentFlags};
use crate::units::Point;

/// Half the distance between the middles of the two carriageways, metres.
const CARRIAGEWAY_M: f32 = 13.0;
/// Distance of the ramp's foot from the middle line, metres.
const RAMP_FOOT_M: f32 = 46.0;
/// Distance of a ramp's nose from the crossing road, metres.
const RAMP_REACH_M: f32 = 330.0;
/// Distance of the noses of a fork from its middle, metres.
const FORK_REACH_M: f32 = 300.0;
/// Interchanges keep at least this distance, metres.
const INTERCHANGE_GAP_M: f32 = 820.0;
/// Carriageways are cut into pieces no longer than this, metres.
const LONGEST_PIECE_M: f32 = 480.0;
/// Radius of the ring's corners in the chart, metres.
const CORNER_M: f32 = 950.0;

/// The middle line of an expressway with what joins it.
struct Expressway {
    points: Vec<Point>,
    chart_s: Vec<f32>,
    along: Vec<f32>,
    is_closed: bool,
    name: Name,
    /// Junctions along each carriageway: (metres along the line, node).
    forward: Vec<(f32, usize)>,
    backward: Vec<(f32, usize)>,
    /// Where interchanges are, metres along.
    interchanges: Vec<f32>,
    lanes: u8,
    is_ring: bool,
}

impl Expressway {
    fn new(chart: &Chart, places: &[(f32, f32)], is_closed: bool, name: Name, lanes: u8) -> Self {
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

    fn length_m(&self) -> f32 {
        self.along[self.along.len() - 1]
    }

    fn wrap(&self, at_m: f32) -> f32 {
        if self.is_closed {
            at_m.rem_euclid(self.length_m())
        } else {
            at_m.clamp(0.0, self.length_m())
        }
    }

    fn piece(&self, at_m: f32) -> (usize, f32) {
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
    fn beside(&self, at_m: f32, right_m: f32) -> (Point, (f32, f32)) {
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
    fn nearest(&self, to: Point) -> f32 {
        let best = (0..self.points.len()).min_by(|&a, &b| {
            self.points[a]
                .distance_m(to)
                .total_cmp(&self.points[b].distance_m(to))
        });
        self.along[best.unwrap_or(0)]
    }

    fn is_free(&self, at_m: f32) -> bool {
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
    fn join(&mut self, plan: &mut Plan, at_m: f32, is_forward: bool) -> usize {
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

    fn ramp_kind(&self) -> Kind {
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

impl Layout {
    /// Column gaps in which the radial expressways leave: north bank, south bank.
    pub(super) fn radial_gaps(&self) -> (usize, usize) {
        let middle = (self.columns_m.len() - 1) / 2;
        (middle + 1, middle - 1)
    }
}

/// Lays the ring and the radials and cuts the arterials where ramps meet them.
pub(super) fn lay(plan: &mut Plan, chart: &Chart, layout: &Layout, grid: &mut Grid) {
    let mut ring = Expressway::new(chart, &ring_places(layout), true, Names::ring(), 3);
    let last_row = layout.rows_m.len() - 1;
    let last_gap = layout.columns_m.len() - 2;
    let (ring_column, ring_row) = layout.ring_gap;
    let (north, south) = layout.radial_gaps();
    let middle = |a: f32, b: f32| (a + b) / 2.0;
    let column = |gap: usize| middle(layout.columns_m[gap], layout.columns_m[gap + 1]);
    let (west_m, east_m) = (column(ring_column), column(last_gap - ring_column));
    let ring_s = layout.ring_half_m().1;
    let out_s = layout.rows_m[last_row] + 2_100.0;
    let out_u = layout.columns_m[last_gap + 1] + 2_100.0;
    let bank_s = middle(layout.rows_m[0], layout.rows_m[1]);
    let row = |column: usize, is_north: bool| Line::Row {
        column,
        row: last_row,
        is_north,
    };
    let side = |column: usize, is_north: bool| Line::Column {
        column,
        row: 0,
        is_north,
    };
    // Gateway, foot at the ring, outer ring edge passed over.
    let radials = [
        (
            (column(north), out_s),
            (column(north), ring_s),
            row(north, true),
        ),
        (
            (column(south), -out_s),
            (column(south), -ring_s),
            row(south, false),
        ),
        ((out_u, bank_s), (east_m, bank_s), side(last_gap + 1, true)),
        ((-out_u, -bank_s), (west_m, -bank_s), side(0, false)),
    ];
    for (number, &(gate, foot, trunk)) in radials.iter().enumerate() {
        lay_radial(
            plan,
            chart,
            grid,
            &mut ring,
            Names::radial(number),
            (gate, foot, trunk),
        );
    }
    for index in 0..grid.edges.len() {
        let share = match grid.edges[index].line {
            Line::Column { row, .. } if row == ring_row => {
                let [a, b] = grid.edges[index].ends;
                let inside = a.0 > west_m + CORNER_M * 0.8 && a.0 < east_m - CORNER_M * 0.8;
                inside.then(|| (ring_s - a.1.abs()) / (b.1.abs() - a.1.abs()))
            }
            Line::Row { column, row, .. } if row <= ring_row => {
                let [a, b] = grid.edges[index].ends;
                let inside = a.1.abs() < ring_s - CORNER_M * 0.8;
                if !inside {
                    None
                } else if column == ring_column {
                    Some((west_m - a.0) / (b.0 - a.0))
                } else if column == last_gap - ring_column {
                    Some((east_m - a.0) / (b.0 - a.0))
                } else {
                    None
                }
            }
            _ => None,
        };
        if let Some(share) = share {
            lay_diamond(plan, chart, grid, index, share, &mut ring);
        }
    }
    lay_carriageways(plan, &mut ring);
}

/// The ring's middle line in the chart, counter-clockwise from the middle of the south side, a
/// place every 45 m or so.
fn ring_places(layout: &Layout) -> Vec<(f32, f32)> {
    let (column, _) = layout.ring_gap;
    let last = layout.columns_m.len() - 1;
    let west = (layout.columns_m[column] + layout.columns_m[column + 1]) / 2.0;
    let east = (layout.columns_m[last - column] + layout.columns_m[last - column - 1]) / 2.0;
    let half_s = layout.ring_half_m().1;
    let mut places: Vec<(f32, f32)> = Vec::new();
    let mut straight = |from: (f32, f32), to: (f32, f32)| {
        let count = ((to.0 - from.0).hypot(to.1 - from.1) / 45.0)
            .ceil()
            .max(1.0) as usize;
        let step = move |n: usize| {
            let share = n as f32 / count as f32;
            (
                from.0 + (to.0 - from.0) * share,
                from.1 + (to.1 - from.1) * share,
            )
        };
        places.extend((0..count).map(step));
    };
    let r = CORNER_M;
    let corners = [
        ((east - r, -half_s + r), -90.0f32),
        ((east - r, half_s - r), 0.0),
        ((west + r, half_s - r), 90.0),
        ((west + r, -half_s + r), 180.0),
    ];
    let start = ((west + east) / 2.0, -half_s);
    let mut at = start;
    for (centre, from_deg) in corners {
        let arc = |deg: f32| {
            let angle = deg.to_radians();
            (centre.0 + r * angle.cos(), centre.1 + r * angle.sin())
        };
        straight(at, arc(from_deg));
        for step in 0..12 {
            let deg = from_deg + 90.0 * step as f32 / 12.0;
            straight(arc(deg), arc(deg + 7.5));
        }
        at = arc(from_deg + 90.0);
    }
    straight(at, start);
    places.push(start);
    places
}

type Place = (f32, f32);

fn lay_radial(
    plan: &mut Plan,
    chart: &Chart,
    grid: &mut Grid,
    ring: &mut Expressway,
    name: Name,
    (gate, foot, trunk): (Place, Place, Line),
) {
    let count = ((foot.0 - gate.0).hypot(foot.1 - gate.1) / 45.0).ceil() as usize;
    let places: Vec<Place> = (0..=count)
        .map(|n| {
            let share = n as f32 / count as f32;
            (
                gate.0 + (foot.0 - gate.0) * share,
                gate.1 + (foot.1 - gate.1) * share,
            )
        })
        .collect();
    let mut radial = Expressway::new(chart, &places, false, name, 2);
    radial.join(plan, 0.0, true);
    radial.join(plan, 0.0, false);
    if let Some(index) = grid.find(trunk) {
        let [a, b] = grid.edges[index].ends;
        let share = if (b.0 - a.0).abs() > (b.1 - a.1).abs() {
            (gate.0 - a.0) / (b.0 - a.0)
        } else {
            (gate.1 - a.1) / (b.1 - a.1)
        };
        lay_diamond(plan, chart, grid, index, share, &mut radial);
    }
    let end_m = radial.length_m() - FORK_REACH_M - 40.0;
    let inward = radial.join(plan, end_m, true);
    let outward = radial.join(plan, end_m, false);
    let at_m = ring.nearest(chart.to_ground(foot.0, foot.1));
    ring.interchanges.push(at_m);
    let before = ring.wrap(at_m - FORK_REACH_M);
    let after = ring.wrap(at_m + FORK_REACH_M);
    let ring_in_forward = ring.join(plan, after, true);
    let ring_in_backward = ring.join(plan, before, false);
    let ring_out_forward = ring.join(plan, before, true);
    let ring_out_backward = ring.join(plan, after, false);
    let ahead = |road: &Expressway, at_m: f32, is_forward: bool| {
        let (_, d) = road.beside(at_m, 0.0);
        if is_forward { d } else { (-d.0, -d.1) }
    };
    let (into, out) = (ahead(&radial, end_m, true), ahead(&radial, end_m, false));
    let links = [
        (inward, into, ring_in_forward, ahead(ring, after, true), 1),
        (
            inward,
            into,
            ring_in_backward,
            ahead(ring, before, false),
            2,
        ),
        (ring_out_forward, ahead(ring, before, true), outward, out, 1),
        (
            ring_out_backward,
            ahead(ring, after, false),
            outward,
            out,
            2,
        ),
    ];
    for (from, leaving, to, arriving, layer) in links {
        let mut kind = radial.ramp_kind();
        kind.layer = layer;
        kind.limit_kmh = 60.0;
        let line = curve(plan.nodes[from].at, leaving, plan.nodes[to].at, arriving);
        plan.add_road(from, to, line, kind);
    }
    lay_carriageways(plan, &mut radial);
}

/// A smooth line from one point and direction to another (cubic Hermite).
fn curve(from: Point, leaving: (f32, f32), to: Point, arriving: (f32, f32)) -> Vec<Point> {
    let pull = from.distance_m(to) * 1.1;
    (0..=10)
        .map(|step| {
            let t = step as f32 / 10.0;
            let (t2, t3) = (t * t, t * t * t);
            let (h0, h1) = (2.0 * t3 - 3.0 * t2 + 1.0, t3 - 2.0 * t2 + t);
            let (h2, h3) = (3.0 * t2 - 2.0 * t3, t3 - t2);
            Point::new(
                h0 * from.x + h1 * pull * leaving.0 + h2 * to.x + h3 * pull * arriving.0,
                h0 * from.y + h1 * pull * leaving.1 + h2 * to.y + h3 * pull * arriving.1,
            )
        })
        .collect()
}

/// Four ramps between an expressway and the arterial edge it passes over at `share`.
fn lay_diamond(
    plan: &mut Plan,
    chart: &Chart,
    grid: &mut Grid,
    index: usize,
    share: f32,
    road: &mut Expressway,
) {
    let edge = &mut grid.edges[index];
    let (u, s) = edge.place(share);
    let middle = chart.to_ground(u, s);
    let at_m = road.nearest(middle);
    let reach_m = RAMP_REACH_M + 30.0;
    let is_inside = road.is_closed
        || (at_m > reach_m && at_m < road.length_m() - reach_m - FORK_REACH_M - 120.0);
    if !road.is_free(at_m) || !is_inside {
        return;
    }
    road.interchanges.push(at_m);
    let [a, b] = edge.ends;
    let step = RAMP_FOOT_M / (b.0 - a.0).hypot(b.1 - a.1);
    let feet = [
        edge.cut(plan, chart, share - step),
        edge.cut(plan, chart, share + step),
    ];
    let (_, ahead) = road.beside(at_m, 0.0);
    let to_right = |p: Point| (p.x - middle.x) * ahead.1 - (p.y - middle.y) * ahead.0;
    let first_is_right = to_right(plan.nodes[feet[0]].at) > 0.0;
    for is_forward in [true, false] {
        let foot = if is_forward == first_is_right {
            feet[0]
        } else {
            feet[1]
        };
        let sign = if is_forward { 1.0 } else { -1.0 };
        let nose = |side: f32| at_m + sign * side * RAMP_REACH_M;
        let (leave, enter) = (nose(-1.0), nose(1.0));
        let off = road.join(plan, leave, is_forward);
        let on = road.join(plan, enter, is_forward);
        let shape = |side: f32| -> Vec<Point> {
            [(0.72f32, 20.0f32), (0.42, 31.0), (0.14, 41.0)]
                .into_iter()
                .map(|(reach, right)| {
                    road.beside(at_m + sign * side * reach * RAMP_REACH_M, sign * right)
                        .0
                })
                .collect()
        };
        let mut down = vec![plan.nodes[off].at];
        down.extend(shape(-1.0));
        down.push(plan.nodes[foot].at);
        let mut up = vec![plan.nodes[foot].at];
        up.extend(shape(1.0).into_iter().rev());
        up.push(plan.nodes[on].at);
        plan.add_road(off, foot, down, road.ramp_kind());
        plan.add_road(foot, on, up, road.ramp_kind());
    }
}

/// Adds both carriageways between their junctions.
fn lay_carriageways(plan: &mut Plan, road: &mut Expressway) {
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
