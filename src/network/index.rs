//! The static spatial index over segment geometry.

use rstar::{AABB, RTree, primitives::GeomWithData, primitives::Rectangle};

use crate::units::{Point, SegmentId};

type Leaf = GeomWithData<Rectangle<[f32; 2]>, u32>;

/// An R-tree of the bounding boxes of all segments.
#[derive(Debug, Default)]
pub(crate) struct SegmentIndex {
    tree: RTree<Leaf>,
}

impl SegmentIndex {
    /// Builds the index from one shape a segment, in id order.
    pub(crate) fn build<'a>(shapes: impl Iterator<Item = &'a [Point]>) -> Self {
        let leaves = shapes
            .enumerate()
            .map(|(id, shape)| {
                let (mut low, mut high) = ([f32::INFINITY; 2], [f32::NEG_INFINITY; 2]);
                for point in shape {
                    low = [low[0].min(point.x), low[1].min(point.y)];
                    high = [high[0].max(point.x), high[1].max(point.y)];
                }
                Leaf::new(Rectangle::from_corners(low, high), id as u32)
            })
            .collect();
        Self {
            tree: RTree::bulk_load(leaves),
        }
    }

    /// Calls `found` with every segment whose box comes within `radius_m` of `point`.
    pub(crate) fn segments_near(
        &self,
        point: Point,
        radius_m: f32,
        found: &mut impl FnMut(SegmentId),
    ) {
        let envelope = AABB::from_corners(
            [point.x - radius_m, point.y - radius_m],
            [point.x + radius_m, point.y + radius_m],
        );
        for leaf in self.tree.locate_in_envelope_intersecting(envelope) {
            found(SegmentId(leaf.data));
        }
    }
}
