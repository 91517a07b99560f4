//! The elevated ring and the radial expressways, with ramps and interchanges.

use super::Layout;
use super::carriageway::{Expressway, lay_carriageways};
use super::chart::Chart;
use super::names::{Name, Names};
use super::plan::Plan;
use super::streets::{Edge, Grid, Line};
use crate::units::Point;

/// Distance of the ramp's foot from the middle line, metres.
const RAMP_FOOT_M: f32 = 46.0;
/// Distance of a ramp's nose from the crossing road, metres.
const RAMP_REACH_M: f32 = 330.0;
/// Distance of the noses of a fork from its middle, metres.
const FORK_REACH_M: f32 = 300.0;
/// Radius of the ring's corners in the chart, metres.
const CORNER_M: f32 = 950.0;

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
    let (north, south) = layout.radial_gaps();
    let middle = |a: f32, b: f32| (a + b) / 2.0;
    let column = |gap: usize| middle(layout.columns_m[gap], layout.columns_m[gap + 1]);
    let (west_m, east_m) = layout.ring_ends_m();
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
        if let Some(share) = ring_crossing(layout, &grid.edges[index]) {
            lay_diamond(plan, chart, grid, index, share, &mut ring);
        }
    }
    lay_carriageways(plan, &mut ring);
}

/// Where on an edge the ring's straight sides pass over it, as a share of its length.
fn ring_crossing(layout: &Layout, edge: &Edge) -> Option<f32> {
    let (west_m, east_m) = layout.ring_ends_m();
    let ring_s = layout.ring_half_m().1;
    let (ring_column, ring_row) = layout.ring_gap;
    let east_gap = layout.columns_m.len() - 2 - ring_column;
    let [a, b] = edge.ends;
    let side_m = match edge.line {
        Line::Column { row, .. } if row == ring_row => {
            let is_straight = a.0 > west_m + CORNER_M * 0.8 && a.0 < east_m - CORNER_M * 0.8;
            return is_straight.then(|| (ring_s - a.1.abs()) / (b.1.abs() - a.1.abs()));
        }
        Line::Row { column, row, .. } if row <= ring_row => match column {
            _ if column == ring_column => west_m,
            _ if column == east_gap => east_m,
            _ => return None,
        },
        _ => return None,
    };
    let is_straight = a.1.abs() < ring_s - CORNER_M * 0.8;
    is_straight.then(|| (side_m - a.0) / (b.0 - a.0))
}

/// The ring's middle line in the chart, counter-clockwise from the middle of the south side, a
/// place every 45 m or so.
fn ring_places(layout: &Layout) -> Vec<(f32, f32)> {
    let (west, east) = layout.ring_ends_m();
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
    let at_m = ring.nearest(chart.to_ground(foot.0, foot.1));
    lay_fork(plan, &mut radial, ring, at_m);
    lay_carriageways(plan, &mut radial);
}

/// Joins the end of a radial to both carriageways of the ring, `at_m` along it, by four links.
fn lay_fork(plan: &mut Plan, radial: &mut Expressway, ring: &mut Expressway, at_m: f32) {
    let end_m = radial.length_m() - FORK_REACH_M - 40.0;
    let inward = radial.join(plan, end_m, true);
    let outward = radial.join(plan, end_m, false);
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
    let (into, out) = (ahead(radial, end_m, true), ahead(radial, end_m, false));
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
