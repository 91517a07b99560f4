//! The static spatial index over segment geometry.
//!
//! A packed R-tree: boxes sorted along a Hilbert curve and filled into full nodes (Kamel and
//! Faloutsos 1993, On packing R-trees), kept as flat arrays that the compiled file stores as they
//! are. It never changes after it is built.

use bytemuck::{Pod, Zeroable};

use super::model::NONE;
use crate::units::{Point, SegmentId};

/// Boxes a node. Chosen: 16 tests of four bounds fill whole vector registers.
pub(crate) const FANOUT: usize = 16;

/// The boxes of up to [`FANOUT`] children, bound by bound; unused places hold an inverted box.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub(crate) struct Node {
    min_x: [f32; FANOUT],
    min_y: [f32; FANOUT],
    max_x: [f32; FANOUT],
    max_y: [f32; FANOUT],
}

const EMPTY: Node = Node {
    min_x: [f32::INFINITY; FANOUT],
    min_y: [f32::INFINITY; FANOUT],
    max_x: [f32::NEG_INFINITY; FANOUT],
    max_y: [f32::NEG_INFINITY; FANOUT],
};

/// A rectangle of the local plane, metres.
#[derive(Clone, Copy, Debug)]
struct Bounds {
    min: Point,
    max: Point,
}

impl Bounds {
    const NOTHING: Self = Self {
        min: Point::new(f32::INFINITY, f32::INFINITY),
        max: Point::new(f32::NEG_INFINITY, f32::NEG_INFINITY),
    };

    fn including(self, other: Self) -> Self {
        Self {
            min: Point::new(self.min.x.min(other.min.x), self.min.y.min(other.min.y)),
            max: Point::new(self.max.x.max(other.max.x), self.max.y.max(other.max.y)),
        }
    }
}

impl Node {
    fn set(&mut self, slot: usize, bounds: Bounds) {
        self.min_x[slot] = bounds.min.x;
        self.min_y[slot] = bounds.min.y;
        self.max_x[slot] = bounds.max.x;
        self.max_y[slot] = bounds.max.y;
    }

    fn bounds(&self) -> Bounds {
        (0..FANOUT).fold(Bounds::NOTHING, |all, slot| {
            all.including(Bounds {
                min: Point::new(self.min_x[slot], self.min_y[slot]),
                max: Point::new(self.max_x[slot], self.max_y[slot]),
            })
        })
    }

    /// One bit for each child whose box comes within the radius.
    fn near(&self, point: Point, radius_sq: f32) -> u32 {
        let mut within = [0u32; FANOUT];
        for (slot, hit) in within.iter_mut().enumerate() {
            let dx = larger(
                larger(self.min_x[slot] - point.x, point.x - self.max_x[slot]),
                0.0,
            );
            let dy = larger(
                larger(self.min_y[slot] - point.y, point.y - self.max_y[slot]),
                0.0,
            );
            *hit = u32::from(dx * dx + dy * dy <= radius_sq) << slot;
        }
        within.iter().fold(0, |mask, hit| mask | hit)
    }
}

/// The larger of two numbers that are not NaN; compiles to one instruction, unlike `f32::max`.
fn larger(a: f32, b: f32) -> f32 {
    if a > b { a } else { b }
}

/// A packed R-tree of the bounding boxes of all segments.
#[derive(Debug, Default)]
pub(crate) struct SegmentIndex {
    /// Leaves first, the root last; child `slot` of node `k` of a level is node
    /// `k * FANOUT + slot` of the level below.
    pub(crate) nodes: Vec<Node>,
    /// The segment in each place of each leaf, [`NONE`] where empty.
    pub(crate) leaf_ids: Vec<u32>,
    /// Where each level begins in `nodes`, leaves first.
    level_start: Vec<usize>,
}

impl SegmentIndex {
    /// Builds the index from one shape a segment, in id order.
    pub(crate) fn build<'a>(shapes: impl Iterator<Item = &'a [Point]>) -> Self {
        let boxes: Vec<Bounds> = shapes
            .map(|shape| {
                shape.iter().fold(Bounds::NOTHING, |all, &point| {
                    all.including(Bounds {
                        min: point,
                        max: point,
                    })
                })
            })
            .collect();
        let all = boxes
            .iter()
            .fold(Bounds::NOTHING, |all, &bounds| all.including(bounds));
        let mut order: Vec<(u32, u32)> = boxes
            .iter()
            .enumerate()
            .map(|(id, bounds)| (hilbert_of(*bounds, all), id as u32))
            .collect();
        order.sort_unstable();

        let (level_start, node_count) = levels(boxes.len());
        let mut nodes = vec![EMPTY; node_count];
        let leaf_count = boxes.len().div_ceil(FANOUT);
        let mut leaf_ids = vec![NONE; leaf_count * FANOUT];
        for (place, &(_, id)) in order.iter().enumerate() {
            nodes[place / FANOUT].set(place % FANOUT, boxes[id as usize]);
            leaf_ids[place] = id;
        }
        for pair in level_start.windows(2) {
            for child in 0..pair[1] - pair[0] {
                let bounds = nodes[pair[0] + child].bounds();
                nodes[pair[1] + child / FANOUT].set(child % FANOUT, bounds);
            }
        }
        Self {
            nodes,
            leaf_ids,
            level_start,
        }
    }

    /// Takes the arrays of a compiled file; `None` when they don't fit `segment_count`.
    pub(crate) fn from_parts(
        nodes: Vec<Node>,
        leaf_ids: Vec<u32>,
        segment_count: usize,
    ) -> Option<Self> {
        let (level_start, node_count) = levels(segment_count);
        let places = segment_count.div_ceil(FANOUT) * FANOUT;
        let mut seen = vec![false; segment_count];
        let each_once = leaf_ids.iter().enumerate().all(|(place, &id)| {
            if place >= segment_count {
                return id == NONE;
            }
            seen.get_mut(id as usize)
                .is_some_and(|seen| !std::mem::replace(seen, true))
        });
        (nodes.len() == node_count && leaf_ids.len() == places && each_once).then_some(Self {
            nodes,
            leaf_ids,
            level_start,
        })
    }

    /// Calls `found` with every segment whose box comes within `radius_m` of `point`, in an order
    /// that depends only on the index.
    pub(crate) fn segments_near(
        &self,
        point: Point,
        radius_m: f32,
        found: &mut impl FnMut(SegmentId),
    ) {
        let searchable = point.x.is_finite() && point.y.is_finite() && radius_m >= 0.0;
        if let Some(root_level) = self.level_start.len().checked_sub(1).filter(|_| searchable) {
            self.visit(root_level, 0, point, radius_m * radius_m, found);
        }
    }

    fn visit(
        &self,
        level: usize,
        node: usize,
        point: Point,
        radius_sq: f32,
        found: &mut impl FnMut(SegmentId),
    ) {
        let Some(boxes) = self.nodes.get(self.level_start[level] + node) else {
            return;
        };
        let mut hits = boxes.near(point, radius_sq);
        while hits != 0 {
            let child = node * FANOUT + hits.trailing_zeros() as usize;
            hits &= hits - 1;
            if level > 0 {
                self.visit(level - 1, child, point, radius_sq, found);
            } else if let Some(&id) = self.leaf_ids.get(child).filter(|&&id| id != NONE) {
                found(SegmentId(id));
            }
        }
    }
}

/// Where each level begins, leaves first, and how many nodes there are in all.
fn levels(segment_count: usize) -> (Vec<usize>, usize) {
    let (mut starts, mut total) = (Vec::new(), 0);
    let mut count = segment_count.div_ceil(FANOUT);
    while count > 0 {
        starts.push(total);
        total += count;
        count = if count == 1 {
            0
        } else {
            count.div_ceil(FANOUT)
        };
    }
    (starts, total)
}

/// Where the middle of `bounds` lies on a Hilbert curve of order 16 over `all`.
fn hilbert_of(bounds: Bounds, all: Bounds) -> u32 {
    let scaled = |low: f32, high: f32, from: f32, to: f32| {
        let width = to - from;
        if width > 0.0 {
            (((low + high) / 2.0 - from) / width * 65_535.0) as u32
        } else {
            0
        }
    };
    hilbert(
        scaled(bounds.min.x, bounds.max.x, all.min.x, all.max.x).min(65_535),
        scaled(bounds.min.y, bounds.max.y, all.min.y, all.max.y).min(65_535),
    )
}

/// Distance along the Hilbert curve of order 16 (Warren 2013, Hacker's Delight, ch. 16).
pub(super) fn hilbert(mut x: u32, mut y: u32) -> u32 {
    let mut distance = 0;
    for bit in (0..16).rev() {
        let (rx, ry) = ((x >> bit) & 1, (y >> bit) & 1);
        distance |= ((3 * rx) ^ ry) << (2 * bit);
        if ry == 0 {
            if rx == 1 {
                (x, y) = (65_535 - x, 65_535 - y);
            }
            (x, y) = (y, x);
        }
    }
    distance
}

#[cfg(test)]
mod tests {
    use super::*;
    use rand::{Rng, SeedableRng};

    #[test]
    fn finds_what_a_full_scan_finds() {
        let mut random = rand_chacha::ChaCha8Rng::seed_from_u64(7);
        for count in [0usize, 1, 16, 17, 256, 257, 5_000] {
            let shapes: Vec<[Point; 2]> = (0..count)
                .map(|_| {
                    let (x, y) = (random.random_range(0.0..3e3), random.random_range(0.0..2e3));
                    let end = Point::new(
                        x + random.random_range(-90.0..90.0),
                        y + random.random_range(-90.0..90.0),
                    );
                    [Point::new(x, y), end]
                })
                .collect();
            let index = SegmentIndex::build(shapes.iter().map(|shape| &shape[..]));
            for _ in 0..50 {
                let point =
                    Point::new(random.random_range(0.0..3e3), random.random_range(0.0..2e3));
                let radius_m = random.random_range(0.0..200.0f32);
                let mut found = Vec::new();
                index.segments_near(point, radius_m, &mut |id| found.push(id.0));
                found.sort_unstable();
                let expected: Vec<u32> = (0..count as u32)
                    .filter(|&id| {
                        let [a, b] = shapes[id as usize];
                        let dx = (a.x.min(b.x) - point.x)
                            .max(point.x - a.x.max(b.x))
                            .max(0.0);
                        let dy = (a.y.min(b.y) - point.y)
                            .max(point.y - a.y.max(b.y))
                            .max(0.0);
                        dx * dx + dy * dy <= radius_m * radius_m
                    })
                    .collect();
                assert_eq!(found, expected, "{count} segments around {point:?}");
            }
        }
    }

    #[test]
    fn a_point_that_is_no_number_finds_nothing() {
        let shape = [Point::new(0.0, 0.0), Point::new(1.0, 1.0)];
        let index = SegmentIndex::build(std::iter::once(&shape[..]));
        index.segments_near(Point::new(f32::NAN, 0.0), 50.0, &mut |id| {
            panic!("found {id}");
        });
    }

    #[test]
    fn the_curve_visits_neighbours() {
        let mut cells: Vec<(u32, u32, u32)> = (0..16)
            .flat_map(|x| (0..16).map(move |y| (hilbert(x << 12, y << 12), x, y)))
            .collect();
        cells.sort_unstable();
        for pair in cells.windows(2) {
            assert_eq!(
                pair[0].1.abs_diff(pair[1].1) + pair[0].2.abs_diff(pair[1].2),
                1
            );
        }
    }
}
