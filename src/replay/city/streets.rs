//! Arterials in a bent grid on both banks, bridges between them, and streets inside the blocks.

use rand_chacha::ChaCha8Rng;

use super::Layout;
use super::blocks::{cut_for_streets, lay_block};
use super::chart::Chart;
use super::draw::length_m;
use super::names::{Name, Names};
use super::plan::{Kind, Plan};
use crate::network::{RoadClass, SegmentFlags};

/// Arterials are cut into pieces no longer than this, metres, so that a queue shows where it is.
const LONGEST_PIECE_M: f32 = 420.0;

/// Which line of the grid an edge lies on.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Line {
    /// Across the river, between two rows of one bank.
    Column {
        column: usize,
        row: usize,
        is_north: bool,
    },
    /// Along the river, between two columns.
    Row {
        column: usize,
        row: usize,
        is_north: bool,
    },
    /// Over or under the river.
    Bridge,
    /// Out of the city.
    Gateway,
}

/// A stretch of arterial between two grid junctions; later cut where others meet it.
#[derive(Debug)]
pub(super) struct Edge {
    pub(super) line: Line,
    pub(super) from: usize,
    pub(super) to: usize,
    /// Chart places of the ends.
    pub(super) ends: [(f32, f32); 2],
    /// Junctions on the way: share of the way, node.
    pub(super) cuts: Vec<(f32, usize)>,
    pub(super) kind: Kind,
    pub(super) crossing: Option<usize>,
}

impl Edge {
    /// The chart place at a share of the way.
    pub(super) fn place(&self, share: f32) -> (f32, f32) {
        let [a, b] = self.ends;
        (a.0 + (b.0 - a.0) * share, a.1 + (b.1 - a.1) * share)
    }

    /// Adds a junction at a share of the way.
    pub(super) fn cut(&mut self, plan: &mut Plan, chart: &Chart, share: f32) -> usize {
        let (u, s) = self.place(share);
        let node = plan.add_node(chart.to_ground(u, s), false);
        self.cuts.push((share, node));
        node
    }
}

/// The grid while it is being cut.
#[derive(Debug)]
pub(super) struct Grid {
    pub(super) edges: Vec<Edge>,
}

impl Grid {
    pub(super) fn find(&self, line: Line) -> Option<usize> {
        self.edges.iter().position(|edge| edge.line == line)
    }
}

/// Lays arterials, bridges and block streets; the arterials themselves are added by [`finish`].
pub(super) fn lay_grid(
    plan: &mut Plan,
    chart: &Chart,
    layout: &Layout,
    names: &mut Names,
    rng: &mut ChaCha8Rng,
) -> Grid {
    let mut grid = Grid { edges: Vec::new() };
    for is_north in [false, true] {
        lay_bank(plan, chart, layout, names, &mut grid, is_north);
    }
    lay_bridges(plan, chart, layout, &mut grid);
    for edge in &mut grid.edges {
        cut_for_streets(plan, chart, layout, edge, rng);
    }
    for is_north in [false, true] {
        for row in 0..layout.rows_m.len() - 1 {
            for column in 0..layout.columns_m.len() - 1 {
                let is_lake = !is_north
                    && layout
                        .lake
                        .is_some_and(|(c, r)| r == row && (c == column || c + 1 == column));
                if !is_lake {
                    lay_block(plan, chart, &grid, names, rng, (column, row, is_north));
                }
            }
        }
    }
    grid
}

/// The junctions of one bank, by column and row, and which bank it is.
struct Bank<'a> {
    layout: &'a Layout,
    is_north: bool,
    nodes: Vec<Vec<usize>>,
}

impl Bank<'_> {
    fn place(&self, column: usize, row: usize) -> (f32, f32) {
        let side = if self.is_north { 1.0 } else { -1.0 };
        (
            self.layout.columns_m[column],
            side * self.layout.rows_m[row],
        )
    }

    fn node(&self, column: usize, row: usize) -> usize {
        self.nodes[column][row]
    }

    fn edge(&self, line: Line, from: (usize, usize), to: (usize, usize), kind: Kind) -> Edge {
        Edge {
            line,
            from: self.node(from.0, from.1),
            to: self.node(to.0, to.1),
            ends: [self.place(from.0, from.1), self.place(to.0, to.1)],
            cuts: Vec::new(),
            kind,
            crossing: None,
        }
    }
}

fn lay_bank(
    plan: &mut Plan,
    chart: &Chart,
    layout: &Layout,
    names: &mut Names,
    grid: &mut Grid,
    is_north: bool,
) {
    let (columns, rows) = (layout.columns_m.len(), layout.rows_m.len());
    let mut bank = Bank {
        layout,
        is_north,
        nodes: Vec::new(),
    };
    bank.nodes = (0..columns)
        .map(|column| {
            (0..rows)
                .map(|row| {
                    let (u, s) = bank.place(column, row);
                    let is_corner = row == rows - 1 && (column == 0 || column == columns - 1);
                    plan.add_node(chart.to_ground(u, s), !is_corner)
                })
                .collect()
        })
        .collect();
    lay_rows(&bank, names, grid);
    for column in 0..columns {
        lay_column(plan, chart, &bank, names, grid, column);
    }
}

fn lay_rows(bank: &Bank<'_>, names: &mut Names, grid: &mut Grid) {
    let (columns, rows) = (bank.layout.columns_m.len(), bank.layout.rows_m.len());
    let is_north = bank.is_north;
    for row in 0..rows {
        let class = row_class(row, rows);
        let name = match row {
            0 => Names::riverside(is_north),
            _ if row == rows - 1 => Names::outer_ring(),
            _ => names.next(class),
        };
        for column in 0..columns - 1 {
            let line = Line::Row {
                column,
                row,
                is_north,
            };
            let kind = arterial(class, bank.layout.columns_m[column], name.clone());
            grid.edges
                .push(bank.edge(line, (column, row), (column + 1, row), kind));
        }
    }
}

fn lay_column(
    plan: &mut Plan,
    chart: &Chart,
    bank: &Bank<'_>,
    names: &mut Names,
    grid: &mut Grid,
    column: usize,
) {
    let layout = bank.layout;
    let is_north = bank.is_north;
    let last_row = layout.rows_m.len() - 1;
    let class = column_class(layout, column);
    let name = if class == RoadClass::Trunk {
        Names::outer_ring()
    } else {
        names.next(class)
    };
    for row in 0..last_row {
        let mut kind = arterial(class, layout.columns_m[column], name.clone());
        if !is_north
            && layout
                .lake
                .is_some_and(|(c, r)| c + 1 == column && r == row)
        {
            kind.flags = kind.flags.with(SegmentFlags::BRIDGE, true);
            kind.name = Name::new("镜湖长堤", "Mirror Lake Causeway");
        }
        let line = Line::Column {
            column,
            row,
            is_north,
        };
        grid.edges
            .push(bank.edge(line, (column, row), (column, row + 1), kind));
    }
    if layout.bridges.contains(&column) {
        let (u, s) = bank.place(column, last_row);
        let out = (u, s + s.signum() * 1_150.0);
        let end = plan.add_node(chart.to_ground(out.0, out.1), false);
        grid.edges.push(Edge {
            line: Line::Gateway,
            from: bank.node(column, last_row),
            to: end,
            ends: [(u, s), out],
            cuts: Vec::new(),
            kind: arterial(RoadClass::Primary, 9_999.0, name),
            crossing: None,
        });
    }
}

fn row_class(row: usize, rows: usize) -> RoadClass {
    match row {
        0 => RoadClass::Primary,
        _ if row == rows - 1 => RoadClass::Trunk,
        _ if row.is_multiple_of(2) => RoadClass::Primary,
        _ => RoadClass::Secondary,
    }
}

fn column_class(layout: &Layout, column: usize) -> RoadClass {
    if column == 0 || column == layout.columns_m.len() - 1 {
        RoadClass::Trunk
    } else if layout.bridges.contains(&column) {
        RoadClass::Primary
    } else {
        RoadClass::Secondary
    }
}

fn arterial(class: RoadClass, u_m: f32, name: Name) -> Kind {
    let lanes = match class {
        RoadClass::Trunk => 3,
        RoadClass::Primary if u_m.abs() < 3_000.0 => 3,
        _ => 2,
    };
    let mut kind = Kind::street(class, lanes, name);
    kind.limit_kmh = match class {
        RoadClass::Trunk => 70.0,
        RoadClass::Primary => 60.0,
        _ => 50.0,
    };
    kind
}

fn lay_bridges(plan: &Plan, chart: &Chart, layout: &Layout, grid: &mut Grid) {
    let node_of = |grid: &Grid, column: usize, is_north: bool| {
        grid.find(Line::Column {
            column,
            row: 0,
            is_north,
        })
        .map(|edge| grid.edges[edge].from)
    };
    for (number, &column) in layout.bridges.iter().enumerate() {
        let ends = (node_of(grid, column, false), node_of(grid, column, true));
        let (Some(south), Some(north)) = ends else {
            continue;
        };
        let mut kind = arterial(RoadClass::Primary, 0.0, Names::crossing(number));
        let is_tunnel = number == 2;
        kind.flags = kind
            .flags
            .with(SegmentFlags::TUNNEL, is_tunnel)
            .with(SegmentFlags::BRIDGE, !is_tunnel);
        kind.layer = if is_tunnel { -1 } else { 1 };
        debug_assert!(
            plan.nodes[south]
                .at
                .distance_m(chart.to_ground(layout.columns_m[column], -layout.rows_m[0]))
                < 1.0
        );
        grid.edges.push(Edge {
            line: Line::Bridge,
            from: south,
            to: north,
            ends: [
                (layout.columns_m[column], -layout.rows_m[0]),
                (layout.columns_m[column], layout.rows_m[0]),
            ],
            cuts: Vec::new(),
            kind,
            crossing: Some(number),
        });
    }
}

/// Cuts the arterials at their junctions and adds them to the plan.
pub(super) fn finish(plan: &mut Plan, chart: &Chart, grid: Grid) {
    for edge in grid.edges {
        let mut stops = vec![(0.0, edge.from), (1.0, edge.to)];
        stops.extend(&edge.cuts);
        stops.sort_by(|a, b| a.0.total_cmp(&b.0));
        for pair in stops.windows(2) {
            let (first, last) = (pair[0], pair[1]);
            let piece_m = length_m(&chart.line(edge.place(first.0), edge.place(last.0)));
            let pieces = (piece_m / LONGEST_PIECE_M).ceil().max(1.0) as usize;
            let mut from = first;
            for piece in 1..=pieces {
                let share = first.0 + (last.0 - first.0) * piece as f32 / pieces as f32;
                let to = if piece == pieces {
                    last
                } else {
                    let (u, s) = edge.place(share);
                    (share, plan.add_node(chart.to_ground(u, s), false))
                };
                let line = chart.line(edge.place(from.0), edge.place(to.0));
                plan.add_road(from.1, to.1, line, edge.kind.clone());
                if let Some(road) = plan.roads.last_mut() {
                    road.crossing = edge.crossing;
                    road.is_gateway = edge.line == Line::Gateway && piece == pieces;
                }
                from = to;
            }
        }
    }
}
