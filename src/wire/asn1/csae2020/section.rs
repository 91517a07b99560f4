//! Links in sections, the extension of the map message.

use rasn::prelude::*;

use crate::wire::asn1::csae::{
    AllowedManeuvers, LaneAttributes, NodeReferenceId, PositionOffsetLlv, RegulatorySpeedLimit,
    RoadPoint,
};

/// A road from an upstream node, in sections of constant lanes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct LinkEx {
    /// Name: 1 to 63 characters.
    #[rasn(identifier = "name", size("1..=63"))]
    pub name: Option<Ia5String>,
    /// Upstream node.
    #[rasn(identifier = "upstreamNodeId")]
    pub upstream_node_id: NodeReferenceId,
    /// Speed limits: 1 to 9.
    #[rasn(identifier = "speedLimits", size("1..=9"))]
    pub speed_limits: Option<SequenceOf<RegulatorySpeedLimit>>,
    /// Width: `0..=32767`; 0.01 m.
    #[rasn(identifier = "linkWidth", value("0..=32767"))]
    pub link_width: Option<u16>,
    /// Reference line: 2 to 31.
    #[rasn(identifier = "refLine", size("2..=31"))]
    pub ref_line: Option<SequenceOf<RoadPoint>>,
    /// Movements: 1 to 32.
    #[rasn(identifier = "movements-ex", size("1..=32"))]
    pub movements_ex: Option<SequenceOf<MovementEx>>,
    /// Sections: 1 to 16.
    #[rasn(identifier = "sections", size("1..=16"))]
    pub sections: SequenceOf<Section>,
}

/// A section of a link with constant lanes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct Section {
    /// Number of the section: `1..=63`.
    #[rasn(identifier = "secId", value("1..=63"))]
    pub sec_id: u8,
    /// Lanes: 1 to 32.
    #[rasn(identifier = "lanes", size("1..=32"))]
    pub lanes: SequenceOf<LaneEx>,
}

/// One lane of a section, described along its reference line.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct LaneEx {
    /// Number of the lane, negative to the left of the reference line: `-31..=31`.
    #[rasn(identifier = "laneRefID", value("-31..=31"))]
    pub lane_ref_id: i8,
    /// Width: `0..=32767`; 0.01 m.
    #[rasn(identifier = "laneWidth", value("0..=32767"))]
    pub lane_width: Option<u16>,
    /// Kind and use.
    #[rasn(identifier = "laneAttributes")]
    pub lane_attributes: Option<LaneAttributes>,
    /// Allowed manoeuvres.
    #[rasn(identifier = "maneuvers")]
    pub maneuvers: Option<AllowedManeuvers>,
    /// Where it leads: 1 to 32.
    #[rasn(identifier = "connectsTo-ex", size("1..=32"))]
    pub connects_to_ex: Option<SequenceOf<ConnectionEx>>,
    /// Speed limits: 1 to 9.
    #[rasn(identifier = "speedLimits", size("1..=9"))]
    pub speed_limits: Option<SequenceOf<RegulatorySpeedLimit>>,
    /// Centre line along the reference line: 2 to 63.
    #[rasn(identifier = "st-points", size("2..=63"))]
    pub st_points: Option<SequenceOf<StPoint>>,
    /// Markings.
    #[rasn(identifier = "laneLineType")]
    pub lane_line_type: Option<LaneLineType>,
}

/// The markings beside a lane.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct LaneLineType {
    /// Left marking.
    #[rasn(identifier = "leftLaneLine")]
    pub left_lane_line: DottedSolidMarkingLineType,
    /// Right marking.
    #[rasn(identifier = "rightLaneLine")]
    pub right_lane_line: DottedSolidMarkingLineType,
}

/// A lane marking.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum DottedSolidMarkingLineType {
    /// `whiteDottedLine`.
    #[rasn(identifier = "whiteDottedLine")]
    WhiteDottedLine = 0,
    /// `whiteSolidLine`.
    #[rasn(identifier = "whiteSolidLine")]
    WhiteSolidLine = 1,
    /// `yellowDottedLine`.
    #[rasn(identifier = "yellowDottedLine")]
    YellowDottedLine = 2,
    /// `yellowSolidLine`.
    #[rasn(identifier = "yellowSolidLine")]
    YellowSolidLine = 3,
    /// `whiteDotted-solidLine`.
    #[rasn(identifier = "whiteDotted-solidLine")]
    WhiteDottedSolidLine = 4,
    /// `whiteSotted-dottedLine`.
    #[rasn(identifier = "whiteSotted-dottedLine")]
    WhiteSottedDottedLine = 5,
    /// `yellowDotted-solidLine`.
    #[rasn(identifier = "yellowDotted-solidLine")]
    YellowDottedSolidLine = 6,
    /// `yellowSotted-dottedLine`.
    #[rasn(identifier = "yellowSotted-dottedLine")]
    YellowSottedDottedLine = 7,
}

/// A point along (s) and across (t) a reference line.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct StPoint {
    /// Along the reference line: `-1024..=65535`.
    #[rasn(identifier = "s-axis", value("-1024..=65535"))]
    pub s_axis: i32,
    /// Across the reference line: `-32768..=32767`.
    #[rasn(identifier = "t-axis", value("-32768..=32767"))]
    pub t_axis: i16,
}

/// Where a lane of a section leads over the intersection.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ConnectionEx {
    /// The node it leads to.
    #[rasn(identifier = "remoteIntersection")]
    pub remote_intersection: NodeReferenceId,
    /// Waiting area.
    #[rasn(identifier = "swl")]
    pub swl: Option<SignalWaitingLane>,
    /// The lane it leads into: 1 to 16.
    #[rasn(identifier = "connectingLane", size("1..=16"))]
    pub connecting_lane: Option<SequenceOf<ConnectingLaneEx>>,
    /// The phase that governs it: `0..=255`.
    #[rasn(identifier = "phaseId", value("0..=255"))]
    pub phase_id: Option<u8>,
    /// Manoeuvre.
    #[rasn(identifier = "turn-direction")]
    pub turn_direction: Option<Maneuver>,
}

/// A waiting area ahead of the stop line.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct SignalWaitingLane {
    /// Width: `0..=32767`; 0.01 m.
    #[rasn(identifier = "laneWidth", value("0..=32767"))]
    pub lane_width: u16,
    /// Centre line: 2 to 31.
    #[rasn(identifier = "points", size("2..=31"))]
    pub points: SequenceOf<RoadPoint>,
    /// Phases that let vehicles wait: 1 to 7.
    #[rasn(identifier = "allowedPhaseIds", size("1..=7"))]
    pub allowed_phase_ids: Option<SequenceOf<u8>>,
}

/// The lane a connection leads into, with the way there.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ConnectingLaneEx {
    /// Section of the lane: `1..=63`.
    #[rasn(identifier = "target-section", value("1..=63"))]
    pub target_section: u8,
    /// Lane it leads into: `-31..=31`.
    #[rasn(identifier = "target-lane", value("-31..=31"))]
    pub target_lane: i8,
    /// Width of the way there: `0..=32767`; 0.01 m.
    #[rasn(identifier = "connectingLaneWidth", value("0..=32767"))]
    pub connecting_lane_width: Option<u16>,
    /// Centre line of the way there: 2 to 31.
    #[rasn(identifier = "connectingLanePoints", size("2..=31"))]
    pub connecting_lane_points: Option<SequenceOf<RoadPoint>>,
    /// Whether the way is separated.
    #[rasn(identifier = "isolatedConnectingLane")]
    pub isolated_connecting_lane: Option<bool>,
}

/// A manoeuvre.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum Maneuver {
    /// `maneuverStraight`.
    #[rasn(identifier = "maneuverStraight")]
    ManeuverStraight = 0,
    /// `maneuverLeftTurn`.
    #[rasn(identifier = "maneuverLeftTurn")]
    ManeuverLeftTurn = 1,
    /// `maneuverRightTurn`.
    #[rasn(identifier = "maneuverRightTurn")]
    ManeuverRightTurn = 2,
    /// `maneuverUTurn`.
    #[rasn(identifier = "maneuverUTurn")]
    ManeuverUTurn = 3,
}

/// Where a link leads over the intersection, with the manoeuvre.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct MovementEx {
    /// The node it leads to.
    #[rasn(identifier = "remoteIntersection")]
    pub remote_intersection: NodeReferenceId,
    /// The phase that governs it: `0..=255`.
    #[rasn(identifier = "phaseId", value("0..=255"))]
    pub phase_id: Option<u8>,
    /// Manoeuvre.
    #[rasn(identifier = "turn-direction")]
    pub turn_direction: Option<Maneuver>,
}

/// Areas of an intersection that must be kept free.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ProhibitedZone {
    /// Central area.
    #[rasn(identifier = "centralCircleProhibitedZone")]
    pub central_circle_prohibited_zone: Option<Polygon>,
    /// Areas closed to bicycles: 1 to 16.
    #[rasn(identifier = "non-motorVehicleProhibitedZones", size("1..=16"))]
    pub non_motor_vehicle_prohibited_zones: Option<SequenceOf<Polygon>>,
    /// Yellow boxes: 2 to 16.
    #[rasn(identifier = "gridLineMarkingProhibitedZones", size("2..=16"))]
    pub grid_line_marking_prohibited_zones: Option<SequenceOf<Polygon>>,
}

/// A closed area, by its corners.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size("4..=32"))]
pub struct Polygon(pub SequenceOf<PositionOffsetLlv>);
