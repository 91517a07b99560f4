//! Lanes: where they lie beside a segment's geometry, and which lead into which.
//!
//! A network knows lanes only where its source draws them (SUMO, OpenDRIVE); elsewhere there is
//! [`Segment::lanes`](super::Segment::lanes), a count, and everything here is empty.
//!
//! Signs: offsets along count in metres from the start of the segment, as everywhere; lateral
//! metres count from the segment's geometry, positive to the left of the direction of travel,
//! negative to the right, wherever traffic keeps to. Lane 0 is the one at the kerb of the side
//! that traffic keeps to; lanes for feet, bicycles, rails and parking are not counted.

use bytemuck::{Pod, Zeroable};

use super::model::{Movement, NONE, Network};
use crate::units::{Point, SegmentId};

/// Metres beside a lane's marking that still belong to it, for rounding between lanes (chosen).
const SLACK_M: f32 = 0.05;

/// The most lanes a segment can have; an importer counts what lies beyond as left out.
pub const LANES_MAX: usize = 64;

/// A lane's place across the road: 0 at the kerb of the side that traffic keeps to.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct LaneIndex(pub u8);

/// Whom a lane is for; the values are stored in compiled networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum LaneKind {
    /// Open to private cars.
    Car = 0,
    /// Buses only, perhaps with taxis.
    Bus = 1,
    /// Others without private cars: taxis, deliveries, high occupancy.
    Restricted = 2,
    /// A lane to speed up on before merging.
    Entry = 3,
    /// A lane to slow down on before leaving.
    Exit = 4,
}

impl LaneKind {
    /// Every kind, by its stored value.
    pub const ALL: [Self; 5] = [
        Self::Car,
        Self::Bus,
        Self::Restricted,
        Self::Entry,
        Self::Exit,
    ];

    /// The label used in output.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Car => "car",
            Self::Bus => "bus",
            Self::Restricted => "restricted",
            Self::Entry => "entry",
            Self::Exit => "exit",
        }
    }
}

/// One lane on one stretch of a segment; between the ends of the stretch offset and width change
/// evenly. Where the number of lanes changes a new stretch begins, and indices count anew.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Lane {
    pub(crate) segment: u32,
    /// Where the stretch begins, metres from the start of the segment.
    pub from_m: f32,
    /// Where it ends; > `from_m`.
    pub to_m: f32,
    /// Lateral metres from the geometry to the lane's middle, at both ends; positive is left.
    pub offset_m: [f32; 2],
    /// Metres across, at both ends; >= 0.
    pub width_m: [f32; 2],
    pub(crate) index: u8,
    pub(crate) kind: u8,
    pub(crate) padding: [u8; 2],
}

impl Lane {
    /// Describes a lane; it is given to a segment by [`super::NetworkBuilder::add_lane`].
    pub fn new(
        index: LaneIndex,
        kind: LaneKind,
        (from_m, to_m): (f32, f32),
        offset_m: [f32; 2],
        width_m: [f32; 2],
    ) -> Self {
        Self {
            segment: NONE,
            from_m,
            to_m,
            offset_m,
            width_m,
            index: index.0,
            kind: kind as u8,
            padding: [0; 2],
        }
    }

    /// Its place across the road.
    pub fn index(&self) -> LaneIndex {
        LaneIndex(self.index)
    }

    /// Whom it is for.
    pub fn kind(&self) -> LaneKind {
        LaneKind::ALL
            .get(usize::from(self.kind))
            .copied()
            .unwrap_or(LaneKind::Restricted)
    }

    /// Lateral metres to its middle and metres across, at a place along the segment.
    pub fn across_at(&self, along_m: f32) -> (f32, f32) {
        let share = ((along_m - self.from_m) / (self.to_m - self.from_m)).clamp(0.0, 1.0);
        let between = |ends: [f32; 2]| ends[0] + (ends[1] - ends[0]) * share;
        (between(self.offset_m), between(self.width_m))
    }
}

/// A lane at the end of a segment that leads into a lane at the start of the next.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Pod, Zeroable)]
#[repr(C)]
pub struct LaneLink {
    pub(crate) movement: u32,
    pub(crate) signal_text: u32,
    pub(crate) from: u8,
    pub(crate) to: u8,
    pub(crate) padding: [u8; 2],
}

impl LaneLink {
    /// The lane left, counted at the end of its segment.
    pub fn from(&self) -> LaneIndex {
        LaneIndex(self.from)
    }

    /// The lane entered, counted at the start of its segment.
    pub fn to(&self) -> LaneIndex {
        LaneIndex(self.to)
    }
}

/// All lanes of a network, sorted by segment, place along and index, and their links, sorted by
/// movement.
#[derive(Clone, Debug, Default)]
pub(crate) struct LaneTable {
    pub(crate) lanes: Vec<Lane>,
    pub(crate) links: Vec<LaneLink>,
}

/// A link before movements have their final places.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct LinkDraft {
    pub(super) segments: (u32, u32),
    pub(super) lanes: (u8, u8),
    pub(super) signal_text: u32,
}

impl LaneTable {
    /// Sorts what a builder collected; links of movements that are not there are left out.
    pub(super) fn build(
        mut lanes: Vec<Lane>,
        mut drafts: Vec<LinkDraft>,
        movements: &[Movement],
    ) -> Self {
        lanes.sort_by_key(place);
        lanes.dedup_by_key(|lane| place(lane));
        drafts.sort_unstable();
        drafts.dedup_by_key(|draft| (draft.segments, draft.lanes));
        let links = drafts.into_iter().filter_map(|draft| {
            let movement = movements
                .binary_search_by_key(&draft.segments, |movement| (movement.from, movement.to))
                .ok()?;
            Some(LaneLink {
                movement: movement as u32,
                signal_text: draft.signal_text,
                from: draft.lanes.0,
                to: draft.lanes.1,
                padding: [0; 2],
            })
        });
        Self {
            links: links.collect(),
            lanes,
        }
    }

    /// Whether every index and number fits a network of so many segments, movements and texts.
    pub(super) fn is_sound(&self, segments: usize, movements: usize, texts: usize) -> bool {
        let sound = |lane: &Lane| {
            let numbers = [lane.offset_m, lane.width_m];
            (lane.segment as usize) < segments
                && usize::from(lane.index) < LANES_MAX
                && usize::from(lane.kind) < LaneKind::ALL.len()
                && lane.padding == [0; 2]
                && lane.from_m >= 0.0
                && lane.to_m > lane.from_m
                && lane.to_m.is_finite()
                && numbers.iter().flatten().all(|number| number.is_finite())
                && lane.width_m.iter().all(|&width_m| width_m >= 0.0)
        };
        let linked = |link: &LaneLink| {
            (link.movement as usize) < movements
                && (link.signal_text == NONE || (link.signal_text as usize) < texts)
                && usize::from(link.from.max(link.to)) < LANES_MAX
                && link.padding == [0; 2]
        };
        self.lanes.iter().all(sound)
            && self.lanes.is_sorted_by(|a, b| place(a) < place(b))
            && self.links.iter().all(linked)
            && self
                .links
                .is_sorted_by_key(|link| (link.movement, link.from, link.to))
    }
}

/// The order of lanes in the table; starts are >= 0, where bits order as numbers do.
fn place(lane: &Lane) -> (u32, u32, u8) {
    (lane.segment, lane.from_m.to_bits(), lane.index)
}

impl Network {
    /// Whether the source of this network draws lanes.
    pub fn has_lanes(&self) -> bool {
        !self.lanes.lanes.is_empty()
    }

    /// The lanes of a segment, by place along it and then from the kerb; empty where the source
    /// draws none.
    pub fn lanes(&self, id: SegmentId) -> &[Lane] {
        let lanes = &self.lanes.lanes;
        let first = lanes.partition_point(|lane| lane.segment < id.0);
        let count = lanes[first..].partition_point(|lane| lane.segment == id.0);
        &lanes[first..first + count]
    }

    /// The lanes at a place along a segment, from the kerb.
    pub fn lanes_at(&self, id: SegmentId, offset_m: f32) -> &[Lane] {
        let lanes = self.lanes(id);
        // The stretch that begins last at or before the place; the first one before all.
        let end = lanes.partition_point(|lane| lane.from_m <= offset_m.max(0.0));
        let Some(last) = lanes[..end].last().or(lanes.first()) else {
            return &[];
        };
        let first = lanes.partition_point(|lane| lane.from_m < last.from_m);
        let count = lanes[first..].partition_point(|lane| lane.from_m <= last.from_m);
        &lanes[first..first + count]
    }

    /// The lane `lateral_m` beside the geometry (positive is left of the direction of travel)
    /// `offset_m` along a segment; `None` beside all lanes and where lanes are not known.
    pub fn lane_at(&self, id: SegmentId, offset_m: f32, lateral_m: f32) -> Option<LaneIndex> {
        self.lanes_at(id, offset_m)
            .iter()
            .map(|lane| {
                let (middle_m, width_m) = lane.across_at(offset_m);
                ((lateral_m - middle_m).abs() - width_m / 2.0, lane.index())
            })
            .min_by(|a, b| a.0.total_cmp(&b.0))
            .filter(|&(outside_m, _)| outside_m <= SLACK_M)
            .map(|(_, index)| index)
    }

    /// Where a point lies beside a segment: metres along it and lateral metres, positive to the
    /// left of the direction of travel.
    pub fn beside(&self, id: SegmentId, point: Point) -> (f32, f32) {
        let found = self.project(id, point);
        let (on, _) = self.locate(id, found.offset_m);
        let (sin, cos) = found.heading_deg.to_radians().sin_cos();
        // Left of the heading (sin, cos) is (-cos, sin).
        let left = sin * (point.y - on.y) - cos * (point.x - on.x);
        (found.offset_m, found.distance_m.copysign(left))
    }

    /// The lane links of one movement, by its index in [`Network::movements`]; empty where the
    /// source states none.
    pub fn lane_links(&self, movement: usize) -> &[LaneLink] {
        let links = &self.lanes.links;
        let first = links.partition_point(|link| (link.movement as usize) < movement);
        let count = links[first..].partition_point(|link| link.movement as usize == movement);
        &links[first..first + count]
    }

    /// The signal that a lane link obeys, as its source calls it: controller and link index in
    /// SUMO (`B1/4`), controller and signal in OpenDRIVE.
    pub fn signal_of(&self, link: &LaneLink) -> Option<&str> {
        self.text(link.signal_text)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
    use crate::units::{LocalFrame, Position};

    /// A street of 100 m eastwards: two lanes, of which a third opens at the kerb from 60 m on.
    fn street() -> Network {
        let origin = Position::new(114.3, 30.6);
        let frame = LocalFrame::new(origin);
        let mut builder = NetworkBuilder::new(origin);
        let ends = [0.0, 100.0].map(|x| frame.to_position(Point::new(x, 0.0)));
        let [from, to] = ends.map(|end| builder.add_junction(end, false));
        let id = builder
            .add_segment(SegmentDraft {
                from,
                to,
                shape: ends.to_vec(),
                length_m: None,
                class: RoadClass::Primary,
                limit_mps: None,
                lanes: Some(2),
                flags: SegmentFlags::default(),
                layer: 0,
                source_id: "s".into(),
                source_dir: 1,
                source_pair: 0,
                name: None,
                name_en: None,
            })
            .unwrap();
        let stretches: [(f32, f32, &[f32]); 2] =
            [(60.0, 100.0, &[-5.0, -1.5, 1.5]), (0.0, 60.0, &[-1.5, 1.5])];
        for (from_m, to_m, middles) in stretches {
            for (index, &middle_m) in (0..).zip(middles) {
                let lane = Lane::new(
                    LaneIndex(index),
                    LaneKind::Car,
                    (from_m, to_m),
                    [middle_m; 2],
                    [3.0; 2],
                );
                builder.add_lane(id, lane);
            }
        }
        builder.build().unwrap()
    }

    #[test]
    fn a_place_beside_the_line_has_a_lane() {
        let network = street();
        let id = SegmentId(0);
        let lane = |offset_m, lateral_m| network.lane_at(id, offset_m, lateral_m).map(|l| l.0);
        assert_eq!(network.lanes(id).len(), 5);
        assert_eq!((lane(10.0, -1.0), lane(10.0, 1.0)), (Some(0), Some(1)));
        assert_eq!((lane(80.0, -4.5), lane(80.0, 1.0)), (Some(0), Some(2)));
        assert_eq!((lane(10.0, -4.5), lane(80.0, 9.0)), (None, None));
        assert_eq!((lane(-1.0, 1.0), lane(101.0, 1.0)), (Some(1), Some(2)));
    }

    #[test]
    fn north_of_an_eastward_street_is_left() {
        let network = street();
        for lateral_m in [-2.5, 0.0, 2.5] {
            let (along_m, got_m) = network.beside(SegmentId(0), Point::new(40.0, lateral_m));
            assert!((along_m - 40.0).abs() < 0.01 && (got_m - lateral_m).abs() < 0.01);
        }
    }
}
