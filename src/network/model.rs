//! The network as it is used: flat arrays indexed by id.

use std::collections::BTreeMap;
use std::ops::Range;

use bytemuck::{Pod, Zeroable};

use crate::units::{JunctionId, LocalFrame, Metres, Point, Position, RegionId, SegmentId};

/// Marks "no such id" in the `u32` fields of [`Segment`].
pub(crate) const NONE: u32 = u32::MAX;

/// Functional road class, best first; the values are stored in compiled networks.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RoadClass {
    /// Motorway, urban expressway (快速路).
    Motorway = 0,
    /// Trunk road.
    Trunk = 1,
    /// Primary arterial (主干路).
    Primary = 2,
    /// Secondary arterial (次干路).
    Secondary = 3,
    /// Tertiary road (支路).
    Tertiary = 4,
    /// Unclassified minor road.
    Minor = 5,
    /// Residential street, living street.
    Residential = 6,
    /// Service road, driveway.
    Service = 7,
}

impl RoadClass {
    /// Every class, best first.
    pub const ALL: [Self; 8] = [
        Self::Motorway,
        Self::Trunk,
        Self::Primary,
        Self::Secondary,
        Self::Tertiary,
        Self::Minor,
        Self::Residential,
        Self::Service,
    ];

    /// The class stored as `code`; unknown codes are [`RoadClass::Service`].
    pub fn from_code(code: u8) -> Self {
        Self::ALL
            .get(usize::from(code))
            .copied()
            .unwrap_or(Self::Service)
    }

    /// The label used in files and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Motorway => "motorway",
            Self::Trunk => "trunk",
            Self::Primary => "primary",
            Self::Secondary => "secondary",
            Self::Tertiary => "tertiary",
            Self::Minor => "unclassified",
            Self::Residential => "residential",
            Self::Service => "service",
        }
    }

    /// Free-flow speed in m/s where neither limit nor history says better: 100, 80, 60, 50, 40,
    /// 40, 30, 20 km/h (chosen within the design speeds of CJJ 37-2012, table 3.2.1).
    pub const fn default_speed_mps(self) -> f32 {
        let kmh = match self {
            Self::Motorway => 100.0,
            Self::Trunk => 80.0,
            Self::Primary => 60.0,
            Self::Secondary => 50.0,
            Self::Tertiary | Self::Minor => 40.0,
            Self::Residential => 30.0,
            Self::Service => 20.0,
        };
        kmh / 3.6
    }
}

/// Yes-or-no facts of a segment, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct SegmentFlags(pub u8);

impl SegmentFlags {
    /// A ramp or connecting link.
    pub const LINK: Self = Self(1);
    /// On a bridge or viaduct.
    pub const BRIDGE: Self = Self(2);
    /// In a tunnel.
    pub const TUNNEL: Self = Self(4);
    /// Part of a roundabout.
    pub const ROUNDABOUT: Self = Self(8);
    /// Not open to private cars at all times: for buses or taxis only, or of reversing direction.
    pub const RESTRICTED: Self = Self(16);
    /// A traffic signal stands at its end.
    pub const SIGNAL: Self = Self(32);
    /// Open to cars of those with leave alone: private grounds, roads that need a permit.
    pub const PRIVATE: Self = Self(64);
    /// Open to cars that begin or end their trip there: for residents and customers, parking
    /// aisles, driveways.
    pub const DESTINATION: Self = Self(128);

    /// Whether a car may drive through on its way elsewhere: not over segments that are restricted,
    /// private or for those who stop there.
    pub const fn carries_through_traffic(self) -> bool {
        self.0 & (Self::RESTRICTED.0 | Self::PRIVATE.0 | Self::DESTINATION.0) == 0
    }

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other` when `on`.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { self }
    }
}

/// The fixed facts of one directed segment. Geometry, names and ids are asked of [`Network`].
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Segment {
    pub(crate) from: u32,
    pub(crate) to: u32,
    pub(crate) first_point: u32,
    pub(crate) point_count: u32,
    pub(crate) source_text: u32,
    pub(crate) name_text: u32,
    pub(crate) name_en_text: u32,
    pub(crate) twin: u32,
    pub(crate) region: u32,
    /// Length in metres along the geometry, or as the source states it; > 0.
    pub length_m: f32,
    /// Speed limit in m/s; the class default where the source has none.
    pub limit_mps: f32,
    /// Index of the first node pair of this segment in its source way, digitised order.
    pub source_pair: u32,
    pub(crate) class: u8,
    /// Lanes in this direction, at least 1.
    pub lanes: u8,
    /// Yes-or-no facts.
    pub flags: SegmentFlags,
    /// Vertical layer (0 ground, 1 first viaduct level, negative underground).
    pub layer: i8,
    /// +1 along the digitised order of the source way, -1 against it.
    pub source_dir: i8,
    pub(crate) padding: [u8; 3],
}

impl Segment {
    /// The junction where it begins.
    pub fn from(&self) -> JunctionId {
        JunctionId(self.from)
    }

    /// The junction where it ends.
    pub fn to(&self) -> JunctionId {
        JunctionId(self.to)
    }

    /// The segment in the opposite direction of the same road, if there is one.
    pub fn twin(&self) -> Option<SegmentId> {
        (self.twin != NONE).then_some(SegmentId(self.twin))
    }

    /// The region whose owner computes its state.
    pub fn region(&self) -> RegionId {
        RegionId(self.region)
    }

    /// Functional class.
    pub fn class(&self) -> RoadClass {
        RoadClass::from_code(self.class)
    }

    /// Length in metres.
    pub fn length(&self) -> Metres {
        Metres(f64::from(self.length_m))
    }

    /// Whether a traffic signal stands at its end.
    pub fn is_signalised(&self) -> bool {
        self.flags.contains(SegmentFlags::SIGNAL)
    }
}

/// A permitted way from the end of one segment to the start of another (流向).
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Movement {
    pub(crate) from: u32,
    pub(crate) to: u32,
    /// Length in metres inside the junction; 0 where the source draws none.
    pub length_m: f32,
    /// Lanes that lead there; at least 1.
    pub lanes: u16,
    /// Yes-or-no facts.
    pub flags: MovementFlags,
}

/// Yes-or-no facts of a movement, one bit each.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Pod, Zeroable)]
#[repr(transparent)]
pub struct MovementFlags(pub u16);

impl MovementFlags {
    /// Forbidden at certain times or to some: possible, but nothing to advise.
    pub const AT_TIMES: Self = Self(1);

    /// Whether all bits of `other` are set.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// Sets the bits of `other` when `on`.
    #[must_use]
    pub const fn with(self, other: Self, on: bool) -> Self {
        if on { Self(self.0 | other.0) } else { self }
    }
}

impl Movement {
    /// The segment it leaves.
    pub fn from(&self) -> SegmentId {
        SegmentId(self.from)
    }

    /// The segment it enters.
    pub fn to(&self) -> SegmentId {
        SegmentId(self.to)
    }
}

/// A place where segments meet.
#[derive(Clone, Copy, Debug, PartialEq, Pod, Zeroable)]
#[repr(C)]
pub struct Junction {
    /// Where it lies in the local plane.
    pub point: Point,
    pub(crate) signal: u32,
}

impl Junction {
    /// Whether traffic signals stand here.
    pub fn is_signalised(&self) -> bool {
        self.signal != 0
    }
}

/// SHA-256 over everything a network holds; equal networks have equal versions.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct NetworkVersion(pub [u8; 32]);

impl std::fmt::Display for NetworkVersion {
    /// The first 16 hexadecimal digits, enough to tell versions apart in messages.
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0[..8]
            .iter()
            .try_for_each(|byte| write!(f, "{byte:02x}"))
    }
}

/// A place on a segment near a searched point.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Candidate {
    /// The segment.
    pub segment: SegmentId,
    /// Metres from its start, `0 <= offset <= length`.
    pub offset_m: f32,
    /// Metres from the searched point to the segment.
    pub distance_m: f32,
    /// Heading of the segment there, degrees clockwise from north.
    pub heading_deg: f32,
}

/// One version of a road network, immutable once built.
#[derive(Debug)]
pub struct Network {
    pub(crate) frame: LocalFrame,
    pub(crate) version: NetworkVersion,
    pub(crate) segments: Vec<Segment>,
    pub(crate) points: Vec<Point>,
    pub(crate) junctions: Vec<Junction>,
    /// Sorted by (from, to); `out_start[s]..out_start[s + 1]` leave segment `s`.
    pub(crate) movements: Vec<Movement>,
    pub(crate) manoeuvres: super::manoeuvres::Manoeuvres,
    pub(crate) out_start: Vec<u32>,
    /// Indices into `movements`, grouped by the segment they enter.
    pub(crate) into: Vec<u32>,
    pub(crate) into_start: Vec<u32>,
    pub(crate) text: Vec<u8>,
    pub(crate) text_start: Vec<u32>,
    pub(crate) region_count: u32,
    pub(crate) index: super::index::SegmentIndex,
    pub(crate) sections: super::sections::SectionTable,
    pub(crate) lanes: super::lanes::LaneTable,
}

impl Network {
    /// How many segments there are; ids run from 0 to this.
    pub fn segment_count(&self) -> usize {
        self.segments.len()
    }

    /// How many junctions there are.
    pub fn junction_count(&self) -> usize {
        self.junctions.len()
    }

    /// How many regions the segments are divided into.
    pub fn region_count(&self) -> usize {
        self.region_count as usize
    }

    /// All segment ids in order.
    pub fn segment_ids(&self) -> impl ExactSizeIterator<Item = SegmentId> + use<> {
        (0..self.segments.len() as u32).map(SegmentId)
    }

    /// All segments in id order.
    pub fn segments(&self) -> &[Segment] {
        &self.segments
    }

    /// All movements, sorted by the segments they leave and enter.
    pub fn movements(&self) -> &[Movement] {
        &self.movements
    }

    /// The facts of one segment.
    ///
    /// # Panics
    /// When `id` is of another network.
    pub fn segment(&self, id: SegmentId) -> &Segment {
        &self.segments[id.index()]
    }

    /// The facts of one junction.
    ///
    /// # Panics
    /// When `id` is of another network.
    pub fn junction(&self, id: JunctionId) -> &Junction {
        &self.junctions[id.index()]
    }

    /// The geometry of one segment: at least two points of the local plane, start to end.
    pub fn shape(&self, id: SegmentId) -> &[Point] {
        let segment = self.segment(id);
        let first = segment.first_point as usize;
        &self.points[first..first + segment.point_count as usize]
    }

    /// The movements that leave a segment.
    pub fn movements_from(&self, id: SegmentId) -> &[Movement] {
        &self.movements[self.movement_range_from(id)]
    }

    /// The indices (into [`Network::movements`]) of the movements that leave a segment.
    pub fn movement_range_from(&self, id: SegmentId) -> Range<usize> {
        self.out_start[id.index()] as usize..self.out_start[id.index() + 1] as usize
    }

    /// The movements that enter a segment.
    pub fn movements_into(&self, id: SegmentId) -> impl Iterator<Item = &Movement> + '_ {
        let range = self.into_start[id.index()] as usize..self.into_start[id.index() + 1] as usize;
        self.into[range]
            .iter()
            .map(|&index| &self.movements[index as usize])
    }

    /// The id the source gives the road: OSM way id, SUMO edge id, CSV id or row.
    pub fn source_id(&self, id: SegmentId) -> &str {
        self.text(self.segment(id).source_text).unwrap_or_default()
    }

    /// The segments of each source id, in id order.
    pub fn segments_by_source(&self) -> BTreeMap<&str, Vec<SegmentId>> {
        let mut found: BTreeMap<&str, Vec<SegmentId>> = BTreeMap::new();
        for id in self.segment_ids() {
            found.entry(self.source_id(id)).or_default().push(id);
        }
        found
    }

    /// The road's name in its own language, if known.
    pub fn name(&self, id: SegmentId) -> Option<&str> {
        self.text(self.segment(id).name_text)
    }

    /// The road's English name, if known.
    pub fn name_en(&self, id: SegmentId) -> Option<&str> {
        self.text(self.segment(id).name_en_text)
    }

    pub(super) fn text(&self, text: u32) -> Option<&str> {
        let index = usize::try_from(text).ok()?;
        let range =
            *self.text_start.get(index)? as usize..*self.text_start.get(index + 1)? as usize;
        std::str::from_utf8(self.text.get(range)?).ok()
    }

    /// The local plane of the geometry.
    pub fn frame(&self) -> &LocalFrame {
        &self.frame
    }

    /// How many junctions have traffic signals.
    pub fn signalised_count(&self) -> usize {
        self.junctions
            .iter()
            .filter(|junction| junction.is_signalised())
            .count()
    }

    /// The south-western and north-eastern corners of the box around the geometry.
    pub fn bounds(&self) -> (Position, Position) {
        let first = self.points.first().copied().unwrap_or_default();
        let (low, high) = self
            .points
            .iter()
            .fold((first, first), |(low, high), point| {
                (
                    Point::new(low.x.min(point.x), low.y.min(point.y)),
                    Point::new(high.x.max(point.x), high.y.max(point.y)),
                )
            });
        (self.frame.to_position(low), self.frame.to_position(high))
    }

    /// The version of this network.
    pub fn version(&self) -> NetworkVersion {
        self.version
    }

    /// The point `offset_m` along a segment and the heading there, clamped to the segment.
    ///
    /// Offsets count in the segment's stated length, which is spread evenly over its geometry.
    pub fn locate(&self, id: SegmentId, offset_m: f32) -> (Point, f32) {
        let shape = self.shape(id);
        let drawn_m: f32 = shape
            .windows(2)
            .map(|pair| pair[0].distance_m(pair[1]))
            .sum();
        let mut left_m = (offset_m / self.segment(id).length_m).clamp(0.0, 1.0) * drawn_m;
        let last = shape.len() - 2;
        for (index, pair) in shape.windows(2).enumerate() {
            let piece_m = pair[0].distance_m(pair[1]);
            if left_m <= piece_m || index == last {
                let share = if piece_m > 0.0 {
                    (left_m / piece_m).min(1.0)
                } else {
                    0.0
                };
                let point = Point {
                    x: pair[0].x + (pair[1].x - pair[0].x) * share,
                    y: pair[0].y + (pair[1].y - pair[0].y) * share,
                };
                return (point, pair[0].heading_deg_to(pair[1]));
            }
            left_m -= piece_m;
        }
        (shape[0], 0.0)
    }

    /// The position `offset_m` along a segment.
    pub fn position_at(&self, id: SegmentId, offset_m: f32) -> Position {
        self.frame.to_position(self.locate(id, offset_m).0)
    }

    /// The place on segment `id` nearest to `point`.
    pub fn project(&self, id: SegmentId, point: Point) -> Candidate {
        self.nearest_on(id, point).candidate(self.segment(id), id)
    }

    fn nearest_on(&self, id: SegmentId, point: Point) -> Nearest {
        let mut nearest = Nearest {
            distance_sq: f32::INFINITY,
            along_m: 0.0,
            drawn_m: 0.0,
            ahead: Point::default(),
        };
        for pair in self.shape(id).windows(2) {
            let ahead = Point::new(pair[1].x - pair[0].x, pair[1].y - pair[0].y);
            let (px, py) = (point.x - pair[0].x, point.y - pair[0].y);
            let piece_sq = ahead.x * ahead.x + ahead.y * ahead.y;
            let share = if piece_sq > 0.0 {
                ((px * ahead.x + py * ahead.y) / piece_sq).clamp(0.0, 1.0)
            } else {
                0.0
            };
            let (ex, ey) = (px - share * ahead.x, py - share * ahead.y);
            let distance_sq = ex * ex + ey * ey;
            let piece_m = piece_sq.sqrt();
            if distance_sq < nearest.distance_sq {
                nearest.distance_sq = distance_sq;
                nearest.along_m = nearest.drawn_m + share * piece_m;
                nearest.ahead = ahead;
            }
            nearest.drawn_m += piece_m;
        }
        nearest
    }

    /// Calls `found` with the nearest place of every segment within `radius_m` of `point`, in an
    /// order that depends only on the network.
    pub fn candidates_within(
        &self,
        point: Point,
        radius_m: f32,
        found: &mut impl FnMut(Candidate),
    ) {
        self.index.segments_near(point, radius_m, &mut |id| {
            let nearest = self.nearest_on(id, point);
            if nearest.distance_sq <= radius_m * radius_m {
                found(nearest.candidate(self.segment(id), id));
            }
        });
    }
}

/// The nearest place of one segment's geometry, before it is put in the segment's own terms.
struct Nearest {
    distance_sq: f32,
    /// Metres drawn up to there, and in all.
    along_m: f32,
    drawn_m: f32,
    /// From the start of the piece to its end, metres.
    ahead: Point,
}

impl Nearest {
    fn candidate(&self, facts: &Segment, segment: SegmentId) -> Candidate {
        let scale = if self.drawn_m > 0.0 {
            facts.length_m / self.drawn_m
        } else {
            0.0
        };
        Candidate {
            segment,
            offset_m: (self.along_m * scale).clamp(0.0, facts.length_m),
            distance_m: self.distance_sq.sqrt(),
            heading_deg: Point::default().heading_deg_to(self.ahead),
        }
    }
}
