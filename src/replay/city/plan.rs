//! The city as roads between nodes on the ground, before it becomes a network.

use super::names::Name;
use crate::network::{RoadClass, SegmentFlags};
use crate::units::Point;

/// Where roads meet.
#[derive(Clone, Copy, Debug)]
pub(super) struct Node {
    pub(super) at: Point,
    pub(super) has_signal: bool,
}

/// What a road is, apart from where.
#[derive(Clone, Debug)]
pub(super) struct Kind {
    pub(super) class: RoadClass,
    pub(super) lanes: u8,
    pub(super) limit_kmh: f32,
    pub(super) flags: SegmentFlags,
    pub(super) layer: i8,
    pub(super) is_oneway: bool,
    pub(super) name: Name,
}

impl Kind {
    /// The usual make of a two-way road of `class`.
    pub(super) fn street(class: RoadClass, lanes: u8, name: Name) -> Self {
        Self {
            class,
            lanes,
            limit_kmh: class.default_speed_mps() * 3.6,
            flags: SegmentFlags::default(),
            layer: 0,
            is_oneway: false,
            name,
        }
    }
}

/// A road between two nodes without a junction in between.
#[derive(Clone, Debug)]
pub(super) struct Road {
    pub(super) from: usize,
    pub(super) to: usize,
    /// Ground line from node to node, both included.
    pub(super) shape: Vec<Point>,
    pub(super) kind: Kind,
    /// Number of the river crossing it belongs to.
    pub(super) crossing: Option<usize>,
    /// Whether it leads to or from the world outside.
    pub(super) is_gateway: bool,
}

/// Everything drawn so far.
#[derive(Debug, Default)]
pub(super) struct Plan {
    pub(super) nodes: Vec<Node>,
    pub(super) roads: Vec<Road>,
}

impl Plan {
    pub(super) fn add_node(&mut self, at: Point, has_signal: bool) -> usize {
        self.nodes.push(Node { at, has_signal });
        self.nodes.len() - 1
    }

    /// Adds a road; its line is made to end exactly at the nodes.
    pub(super) fn add_road(&mut self, from: usize, to: usize, mut shape: Vec<Point>, kind: Kind) {
        if let Some(first) = shape.first_mut() {
            *first = self.nodes[from].at;
        }
        if let Some(last) = shape.last_mut() {
            *last = self.nodes[to].at;
        }
        self.roads.push(Road {
            from,
            to,
            shape,
            kind,
            crossing: None,
            is_gateway: false,
        });
    }
}
