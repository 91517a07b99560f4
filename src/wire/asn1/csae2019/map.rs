//! The map message: nodes, links, lanes and their connections.

use rasn::prelude::*;

use super::position::{Position3D, PositionOffsetLlv};

/// Nodes with their incoming links (MAP).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct MapData {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(value("0..=127"))]
    pub msg_cnt: u8,
    /// When: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(value("0..=527040"))]
    pub time_stamp: Option<u32>,
    /// Nodes: 1 to 63.
    #[rasn(size("1..=63"))]
    pub nodes: SequenceOf<Node>,
}

/// One lane of a link.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct Lane {
    /// Number of the lane: `0..=255`.
    #[rasn(value("0..=255"))]
    pub lane_id: u8,
    /// Width: `0..=32767`; 0.01 m.
    #[rasn(value("0..=32767"))]
    pub lane_width: Option<u16>,
    /// Kind and use.
    pub lane_attributes: Option<LaneAttributes>,
    /// Allowed manoeuvres: 12 bits (0 maneuverStraightAllowed, 1 maneuverLeftAllowed, 2
    /// maneuverRightAllowed, 3 maneuverUTurnAllowed, 4 maneuverLeftTurnOnRedAllowed, 5
    /// maneuverRightTurnOnRedAllowed, 6 maneuverLaneChangeAllowed, 7 maneuverNoStoppingAllowed, 8
    /// yieldAllwaysRequired, 9 goWithHalt, 10 caution, 11 reserved1).
    #[rasn(size(12))]
    pub maneuvers: Option<BitString>,
    /// Where it leads: 1 to 16.
    #[rasn(size("1..=16"))]
    pub connects_to: Option<SequenceOf<Connection>>,
    /// Speed limits: 1 to 9.
    #[rasn(size("1..=9"))]
    pub speed_limits: Option<SequenceOf<RegulatorySpeedLimit>>,
    /// Centre line: 2 to 31.
    #[rasn(size("2..=31"))]
    pub points: Option<SequenceOf<RoadPoint>>,
}

/// Where a lane leads over the intersection.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct Connection {
    /// The node it leads to.
    pub remote_intersection: NodeReferenceId,
    /// The lane it leads into.
    pub connecting_lane: Option<ConnectingLane>,
    /// The phase that governs it: `0..=255`.
    #[rasn(value("0..=255"))]
    pub phase_id: Option<u8>,
}

/// The lane a connection leads into.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ConnectingLane {
    /// Lane: `0..=255`.
    #[rasn(value("0..=255"))]
    pub lane: u8,
    /// Allowed manoeuvres: 12 bits (0 maneuverStraightAllowed, 1 maneuverLeftAllowed, 2
    /// maneuverRightAllowed, 3 maneuverUTurnAllowed, 4 maneuverLeftTurnOnRedAllowed, 5
    /// maneuverRightTurnOnRedAllowed, 6 maneuverLaneChangeAllowed, 7 maneuverNoStoppingAllowed, 8
    /// yieldAllwaysRequired, 9 goWithHalt, 10 caution, 11 reserved1).
    #[rasn(size(12))]
    pub maneuver: Option<BitString>,
}

/// Kind and use of a lane.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct LaneAttributes {
    /// With whom it is shared: 10 bits (0 overlappingLaneDescriptionProvided, 1
    /// multipleLanesTreatedAsOneLane, 2 otherNonMotorizedTrafficTypes, 3
    /// individualMotorizedVehicleTraffic, 4 busVehicleTraffic, 5 taxiVehicleTraffic, 6
    /// pedestriansTraffic, 7 cyclistVehicleTraffic, 8 trackedVehicleTraffic, 9 pedestrianTraffic).
    #[rasn(size(10))]
    pub share_with: Option<BitString>,
    /// Kind.
    pub lane_type: LaneTypeAttributes,
}

/// Kind of a lane, with the attribute bits of that kind.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
#[non_exhaustive]
pub enum LaneTypeAttributes {
    /// Vehicle lane: 8 bits (0 isVehicleRevocableLane, 1 isVehicleFlyOverLane, 2 hovLaneUseOnly, 3
    /// restrictedToBusUse, 4 restrictedToTaxiUse, 5 restrictedFromPublicUse, 6 hasIRbeaconCoverage,
    /// 7 permissionOnRequest).
    #[rasn(size(8, extensible))]
    Vehicle(BitString),
    /// Crosswalk lane: 16 bits (0 crosswalkRevocableLane, 1 bicyleUseAllowed, 2 isXwalkFlyOverLane,
    /// 3 fixedCycleTime, 4 biDirectionalCycleTimes, 5 hasPushToWalkButton, 6 audioSupport, 7
    /// rfSignalRequestPresent, 8 unsignalizedSegmentsPresent).
    #[rasn(size(16))]
    Crosswalk(BitString),
    /// BikeLane lane: 16 bits (0 bikeRevocableLane, 1 pedestrianUseAllowed, 2 isBikeFlyOverLane, 3
    /// fixedCycleTime, 4 biDirectionalCycleTimes, 5 isolatedByBarrier, 6
    /// unsignalizedSegmentsPresent).
    #[rasn(size(16))]
    BikeLane(BitString),
    /// Sidewalk lane: 16 bits (0 sidewalk-RevocableLane, 1 bicyleUseAllowed, 2
    /// isSidewalkFlyOverLane, 3 walkBikes).
    #[rasn(size(16))]
    Sidewalk(BitString),
    /// Median lane: 16 bits (0 median-RevocableLane, 1 median, 2 whiteLineHashing, 3 stripedLines,
    /// 4 doubleStripedLines, 5 trafficCones, 6 constructionBarrier, 7 trafficChannels, 8 lowCurbs,
    /// 9 highCurbs).
    #[rasn(size(16))]
    Median(BitString),
    /// Striping lane: 16 bits (0 stripeToConnectingLanesRevocableLane, 1 stripeDrawOnLeft, 2
    /// stripeDrawOnRight, 3 stripeToConnectingLanesLeft, 4 stripeToConnectingLanesRight, 5
    /// stripeToConnectingLanesAhead).
    #[rasn(size(16))]
    Striping(BitString),
    /// TrackedVehicle lane: 16 bits (0 spec-RevocableLane, 1 spec-commuterRailRoadTrack, 2
    /// spec-lightRailRoadTrack, 3 spec-heavyRailRoadTrack, 4 spec-otherRailType).
    #[rasn(size(16))]
    TrackedVehicle(BitString),
    /// Parking lane: 16 bits (0 parkingRevocableLane, 1 parallelParkingInUse, 2 headInParkingInUse,
    /// 3 doNotParkZone, 4 parkingForBusUse, 5 parkingForTaxiUse, 6 noPublicParkingUse).
    #[rasn(size(16))]
    Parking(BitString),
}

/// The lanes from an upstream node to the node they belong to.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct Link {
    /// Name: 1 to 63 characters.
    #[rasn(size("1..=63"))]
    pub name: Option<Ia5String>,
    /// Upstream node.
    pub upstream_node_id: NodeReferenceId,
    /// Speed limits: 1 to 9.
    #[rasn(size("1..=9"))]
    pub speed_limits: Option<SequenceOf<RegulatorySpeedLimit>>,
    /// Width: `0..=32767`; 0.01 m.
    #[rasn(value("0..=32767"))]
    pub link_width: Option<u16>,
    /// Centre line: 2 to 31.
    #[rasn(size("2..=31"))]
    pub points: Option<SequenceOf<RoadPoint>>,
    /// Movements: 1 to 32.
    #[rasn(size("1..=32"))]
    pub movements: Option<SequenceOf<Movement>>,
    /// Lanes: 1 to 32.
    #[rasn(size("1..=32"))]
    pub lanes: SequenceOf<Lane>,
}

/// Where a link leads over the intersection.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct Movement {
    /// The node it leads to.
    pub remote_intersection: NodeReferenceId,
    /// The phase that governs it: `0..=255`.
    #[rasn(value("0..=255"))]
    pub phase_id: Option<u8>,
}

/// An intersection or other node.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct Node {
    /// Name: 1 to 63 characters.
    #[rasn(size("1..=63"))]
    pub name: Option<Ia5String>,
    /// The sender's or object's id.
    pub id: NodeReferenceId,
    /// Reference position of the offsets.
    pub ref_pos: Position3D,
    /// Incoming links: 1 to 32.
    #[rasn(size("1..=32"))]
    pub in_links: Option<SequenceOf<Link>>,
}

/// A node, unique together with its region.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct NodeReferenceId {
    /// Region of the node: `0..=65535`.
    #[rasn(value("0..=65535"))]
    pub region: Option<u16>,
    /// The sender's or object's id: `0..=65535`.
    #[rasn(value("0..=65535"))]
    pub id: u16,
}

/// A point of a lane's or link's centre line.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RoadPoint {
    /// Position.
    pub pos_offset: PositionOffsetLlv,
}

/// A speed limit and whom it concerns.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct RegulatorySpeedLimit {
    /// Whom it concerns.
    pub kind: SpeedLimitType,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(value("0..=8191"))]
    pub speed: u16,
}

/// Whom a speed limit concerns.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum SpeedLimitType {
    /// `unknown`.
    Unknown = 0,
    /// `maxSpeedInSchoolZone`.
    MaxSpeedInSchoolZone = 1,
    /// `maxSpeedInSchoolZoneWhenChildrenArePresent`.
    MaxSpeedInSchoolZoneWhenChildrenArePresent = 2,
    /// `maxSpeedInConstructionZone`.
    MaxSpeedInConstructionZone = 3,
    /// `vehicleMinSpeed`.
    VehicleMinSpeed = 4,
    /// `vehicleMaxSpeed`.
    VehicleMaxSpeed = 5,
    /// `vehicleNightMaxSpeed`.
    VehicleNightMaxSpeed = 6,
    /// `truckMinSpeed`.
    TruckMinSpeed = 7,
    /// `truckMaxSpeed`.
    TruckMaxSpeed = 8,
    /// `truckNightMaxSpeed`.
    TruckNightMaxSpeed = 9,
    /// `vehiclesWithTrailersMinSpeed`.
    VehiclesWithTrailersMinSpeed = 10,
    /// `vehiclesWithTrailersMaxSpeed`.
    VehiclesWithTrailersMaxSpeed = 11,
    /// `vehiclesWithTrailersNightMaxSpeed`.
    VehiclesWithTrailersNightMaxSpeed = 12,
}
