//! Streets inside the blocks between arterials: paired across, bent, and left out here and there.

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use super::chart::Chart;
use super::draw::length_m;
use super::names::Names;
use super::plan::{Kind, Plan};
use super::streets::{Edge, Grid, Line};
use super::{CitySize, Layout};
use crate::network::RoadClass;

/// Streets longer than this are cut in the middle, metres.
const LONGEST_STREET_M: f32 = 520.0;
/// Share of the streets between two inner junctions that are left out, so that no block repeats.
const GAP_SHARE: f32 = 0.16;

/// Whether the ring or a radial expressway passes over the middle of the edge.
fn is_crossed(layout: &Layout, line: Line) -> bool {
    let last_gap = layout.columns_m.len() - 2;
    let (ring_column, ring_row) = layout.ring_gap;
    let last_row = layout.rows_m.len() - 1;
    match line {
        Line::Column { column, row, .. } => {
            row == ring_row || (row == 0 && (column == 0 || column == last_gap + 1))
        }
        Line::Row { column, row, .. } => {
            ((column == ring_column || column == last_gap - ring_column) && row <= ring_row)
                || (row == last_row
                    && (column == layout.radial_gaps().0 || column == layout.radial_gaps().1))
        }
        Line::Bridge | Line::Gateway => false,
    }
}

/// Makes the junctions where block streets will meet the edge.
pub(super) fn cut_for_streets(
    plan: &mut Plan,
    chart: &Chart,
    layout: &Layout,
    edge: &mut Edge,
    rng: &mut ChaCha8Rng,
) {
    if matches!(edge.line, Line::Bridge | Line::Gateway) {
        return;
    }
    if is_crossed(layout, edge.line) {
        for share in [0.2f32, 0.8] {
            let at = share + rng.random_range(-0.04..0.04f32);
            if rng.random_bool(0.8) {
                edge.cut(plan, chart, at);
            }
        }
        return;
    }
    let (u, s) = edge.place(0.5);
    let out_m = u.hypot(s.abs() - layout.rows_m[0]);
    let chance: f32 = rng.random();
    let count = match (layout.size, out_m) {
        (CitySize::Small, _) => 1,
        (_, m) if m < 2_600.0 => 1 + usize::from(chance > 0.12) + usize::from(chance > 0.68),
        (_, m) if m < 4_400.0 => 1 + usize::from(chance > 0.38) + usize::from(chance > 0.9),
        _ => 1 + usize::from(chance > 0.7),
    };
    let gap = 1.0 / (count + 1) as f32;
    for number in 1..=count {
        let at = gap * (number as f32 + rng.random_range(-0.22..0.22f32));
        edge.cut(plan, chart, at);
    }
}

/// One street through a block: its chart ends, its junctions by share, its make.
struct Street {
    ends: [(f32, f32); 2],
    stops: Vec<(f32, usize, (f32, f32))>,
    kind: Kind,
}

impl Street {
    fn crossing(&self, other: &Self) -> Option<(f32, f32)> {
        let [p, q] = self.ends;
        let [a, b] = other.ends;
        let (dx, dy) = (q.0 - p.0, q.1 - p.1);
        let (ex, ey) = (b.0 - a.0, b.1 - a.1);
        let det = dx * ey - dy * ex;
        if det.abs() < 1.0 {
            return None;
        }
        let mine = ((a.0 - p.0) * ey - (a.1 - p.1) * ex) / det;
        let theirs = ((a.0 - p.0) * dy - (a.1 - p.1) * dx) / det;
        let inside = 0.01..0.99;
        (inside.contains(&mine) && inside.contains(&theirs)).then_some((mine, theirs))
    }
}

/// Lays the streets inside one block: (column, row, bank).
pub(super) fn lay_block(
    plan: &mut Plan,
    chart: &Chart,
    grid: &Grid,
    names: &mut Names,
    rng: &mut ChaCha8Rng,
    (column, row, is_north): (usize, usize, bool),
) {
    let find = |line: Line| grid.find(line).map(|edge| &grid.edges[edge]);
    let sides = (
        find(Line::Row {
            column,
            row,
            is_north,
        }),
        find(Line::Row {
            column,
            row: row + 1,
            is_north,
        }),
        find(Line::Column {
            column,
            row,
            is_north,
        }),
        find(Line::Column {
            column: column + 1,
            row,
            is_north,
        }),
    );
    let (Some(near), Some(far), Some(west), Some(east)) = sides else {
        return;
    };
    let mut across = streets_between(plan, near, far, names, rng);
    let mut along = streets_between(plan, west, east, names, rng);
    let first_inner = plan.nodes.len();
    for street in &mut across {
        for other in &mut along {
            let Some((mine, theirs)) = street.crossing(other) else {
                continue;
            };
            let [p, q] = street.ends;
            let at = (
                p.0 + (q.0 - p.0) * mine + rng.random_range(-28.0..28.0f32),
                p.1 + (q.1 - p.1) * mine + rng.random_range(-28.0..28.0f32),
            );
            let node = plan.add_node(chart.to_ground(at.0, at.1), false);
            street.stops.push((mine, node, at));
            other.stops.push((theirs, node, at));
        }
    }
    let mut pieces = Vec::new();
    for street in across.iter_mut().chain(&mut along) {
        street.stops.sort_by(|a, b| a.0.total_cmp(&b.0));
        for pair in street.stops.windows(2) {
            pieces.push((
                (pair[0].1, pair[0].2),
                (pair[1].1, pair[1].2),
                street.kind.clone(),
            ));
        }
    }
    lay_pieces(plan, chart, rng, first_inner, pieces);
}

/// A piece of street between two stops (node, chart place), and its make.
type Piece = ((usize, (f32, f32)), (usize, (f32, f32)), Kind);

/// Adds the pieces but for some between inner junctions; none of these loses its last two roads.
fn lay_pieces(
    plan: &mut Plan,
    chart: &Chart,
    rng: &mut ChaCha8Rng,
    first_inner: usize,
    pieces: Vec<Piece>,
) {
    let mut degree = vec![0usize; plan.nodes.len() - first_inner];
    for (a, b, _) in &pieces {
        for node in [a.0, b.0] {
            if node >= first_inner {
                degree[node - first_inner] += 1;
            }
        }
    }
    for (a, b, kind) in pieces {
        let is_inner = a.0 >= first_inner && b.0 >= first_inner;
        if is_inner && rng.random_bool(f64::from(GAP_SHARE)) {
            let (da, db) = (degree[a.0 - first_inner], degree[b.0 - first_inner]);
            if da > 3 && db > 3 {
                degree[a.0 - first_inner] -= 1;
                degree[b.0 - first_inner] -= 1;
                continue;
            }
        }
        let line = chart.line(a.1, b.1);
        if length_m(&line) > LONGEST_STREET_M {
            let middle = ((a.1.0 + b.1.0) / 2.0, (a.1.1 + b.1.1) / 2.0);
            let node = plan.add_node(chart.to_ground(middle.0, middle.1), false);
            plan.add_road(a.0, node, chart.line(a.1, middle), kind.clone());
            plan.add_road(node, b.0, chart.line(middle, b.1), kind);
        } else {
            plan.add_road(a.0, b.0, line, kind);
        }
    }
}

/// Pairs the junctions of two opposite sides of a block into streets.
fn streets_between(
    plan: &mut Plan,
    one: &Edge,
    other: &Edge,
    names: &mut Names,
    rng: &mut ChaCha8Rng,
) -> Vec<Street> {
    let sorted = |edge: &Edge| {
        let mut cuts = edge.cuts.clone();
        cuts.sort_by(|a, b| a.0.total_cmp(&b.0));
        cuts
    };
    let (a, b) = (sorted(one), sorted(other));
    let count = a.len().min(b.len());
    // The longer side leaves its first or last junctions without a street.
    let skip_a = if a.len() > count && rng.random_bool(0.5) {
        a.len() - count
    } else {
        0
    };
    let skip_b = if b.len() > count && rng.random_bool(0.5) {
        b.len() - count
    } else {
        0
    };
    (0..count)
        .map(|number| {
            let (from, to) = (a[skip_a + number], b[skip_b + number]);
            let class = if rng.random_bool(0.3) {
                RoadClass::Tertiary
            } else {
                RoadClass::Residential
            };
            if class == RoadClass::Tertiary && rng.random_bool(0.35) {
                plan.nodes[from.1].has_signal = true;
            }
            let ends = [one.place(from.0), other.place(to.0)];
            Street {
                ends,
                stops: vec![(0.0, from.1, ends[0]), (1.0, to.1, ends[1])],
                kind: Kind::street(class, 1, names.next(class)),
            }
        })
        .collect()
}
