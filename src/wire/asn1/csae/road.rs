//! Nodes, points and lanes, as maps and roadside information speak of them.

use rasn::prelude::*;

use super::position::PositionOffsetLlv;

/// A node, unique together with its region.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct NodeReferenceId {
    /// Region of the node: `0..=65535`.
    #[rasn(identifier = "region", value("0..=65535"))]
    pub region: Option<u16>,
    /// Number of the node: `0..=65535`.
    #[rasn(identifier = "id", value("0..=65535"))]
    pub id: u16,
}

/// Where a link leads over the intersection.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct Movement {
    /// The node it leads to.
    #[rasn(identifier = "remoteIntersection")]
    pub remote_intersection: NodeReferenceId,
    /// The phase that governs it: `0..=255`.
    #[rasn(identifier = "phaseId", value("0..=255"))]
    pub phase_id: Option<u8>,
}

/// A point of a lane's or link's centre line.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RoadPoint {
    /// Position.
    #[rasn(identifier = "posOffset")]
    pub pos_offset: PositionOffsetLlv,
}

/// A speed limit and whom it concerns.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct RegulatorySpeedLimit {
    /// Whom it concerns.
    #[rasn(identifier = "type")]
    pub kind: SpeedLimitType,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "speed", value("0..=8191"))]
    pub speed: u16,
}

/// Whom a speed limit concerns.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum SpeedLimitType {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `maxSpeedInSchoolZone`.
    #[rasn(identifier = "maxSpeedInSchoolZone")]
    MaxSpeedInSchoolZone = 1,
    /// `maxSpeedInSchoolZoneWhenChildrenArePresent`.
    #[rasn(identifier = "maxSpeedInSchoolZoneWhenChildrenArePresent")]
    MaxSpeedInSchoolZoneWhenChildrenArePresent = 2,
    /// `maxSpeedInConstructionZone`.
    #[rasn(identifier = "maxSpeedInConstructionZone")]
    MaxSpeedInConstructionZone = 3,
    /// `vehicleMinSpeed`.
    #[rasn(identifier = "vehicleMinSpeed")]
    VehicleMinSpeed = 4,
    /// `vehicleMaxSpeed`.
    #[rasn(identifier = "vehicleMaxSpeed")]
    VehicleMaxSpeed = 5,
    /// `vehicleNightMaxSpeed`.
    #[rasn(identifier = "vehicleNightMaxSpeed")]
    VehicleNightMaxSpeed = 6,
    /// `truckMinSpeed`.
    #[rasn(identifier = "truckMinSpeed")]
    TruckMinSpeed = 7,
    /// `truckMaxSpeed`.
    #[rasn(identifier = "truckMaxSpeed")]
    TruckMaxSpeed = 8,
    /// `truckNightMaxSpeed`.
    #[rasn(identifier = "truckNightMaxSpeed")]
    TruckNightMaxSpeed = 9,
    /// `vehiclesWithTrailersMinSpeed`.
    #[rasn(identifier = "vehiclesWithTrailersMinSpeed")]
    VehiclesWithTrailersMinSpeed = 10,
    /// `vehiclesWithTrailersMaxSpeed`.
    #[rasn(identifier = "vehiclesWithTrailersMaxSpeed")]
    VehiclesWithTrailersMaxSpeed = 11,
    /// `vehiclesWithTrailersNightMaxSpeed`.
    #[rasn(identifier = "vehiclesWithTrailersNightMaxSpeed")]
    VehiclesWithTrailersNightMaxSpeed = 12,
}

/// Where a lane leads over the intersection.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct Connection {
    /// The node it leads to.
    #[rasn(identifier = "remoteIntersection")]
    pub remote_intersection: NodeReferenceId,
    /// The lane it leads into.
    #[rasn(identifier = "connectingLane")]
    pub connecting_lane: Option<ConnectingLane>,
    /// The phase that governs it: `0..=255`.
    #[rasn(identifier = "phaseId", value("0..=255"))]
    pub phase_id: Option<u8>,
}

/// The lane a connection leads into.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ConnectingLane {
    /// Lane: `0..=255`.
    #[rasn(identifier = "lane", value("0..=255"))]
    pub lane: u8,
    /// Allowed manoeuvres.
    #[rasn(identifier = "maneuver")]
    pub maneuver: Option<AllowedManeuvers>,
}

/// Allowed manoeuvres: 12 bits: 0 maneuverStraightAllowed, 1 maneuverLeftAllowed, 2
/// maneuverRightAllowed, 3 maneuverUTurnAllowed, 4 maneuverLeftTurnOnRedAllowed, 5
/// maneuverRightTurnOnRedAllowed, 6 maneuverLaneChangeAllowed, 7 maneuverNoStoppingAllowed, 8
/// yieldAllwaysRequired, 9 goWithHalt, 10 caution, 11 reserved1.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(12))]
pub struct AllowedManeuvers(pub BitString);

/// Kind and use of a lane.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct LaneAttributes {
    /// With whom it is shared.
    #[rasn(identifier = "shareWith")]
    pub share_with: Option<LaneSharing>,
    /// Kind.
    #[rasn(identifier = "laneType")]
    pub lane_type: LaneTypeAttributes,
}

/// With whom a lane is shared: 10 bits: 0 overlappingLaneDescriptionProvided, 1
/// multipleLanesTreatedAsOneLane, 2 otherNonMotorizedTrafficTypes, 3
/// individualMotorizedVehicleTraffic, 4 busVehicleTraffic, 5 taxiVehicleTraffic, 6
/// pedestriansTraffic, 7 cyclistVehicleTraffic, 8 trackedVehicleTraffic, 9 pedestrianTraffic.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(10))]
pub struct LaneSharing(pub BitString);

/// Kind of a lane, with the attribute bits of that kind.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
#[non_exhaustive]
pub enum LaneTypeAttributes {
    /// Vehicle lane.
    #[rasn(identifier = "vehicle")]
    Vehicle(LaneAttributesVehicle),
    /// Crosswalk.
    #[rasn(identifier = "crosswalk")]
    Crosswalk(LaneAttributesCrosswalk),
    /// Bicycle lane.
    #[rasn(identifier = "bikeLane")]
    BikeLane(LaneAttributesBike),
    /// Sidewalk.
    #[rasn(identifier = "sidewalk")]
    Sidewalk(LaneAttributesSidewalk),
    /// Median.
    #[rasn(identifier = "median")]
    Median(LaneAttributesBarrier),
    /// Striping.
    #[rasn(identifier = "striping")]
    Striping(LaneAttributesStriping),
    /// Tracked lane.
    #[rasn(identifier = "trackedVehicle")]
    TrackedVehicle(LaneAttributesTrackedVehicle),
    /// Parking lane.
    #[rasn(identifier = "parking")]
    Parking(LaneAttributesParking),
}

/// Attributes of a vehicle lane; bits 1 and 6 are isVehicleFlyOverLane and hasIRbeaconCoverage in
/// 2019: 8 bits or more: 0 isVehicleRevocableLane, 1 isVehicleFlyOverLane, 2 hovLaneUseOnly, 3
/// restrictedToBusUse, 4 restrictedToTaxiUse, 5 restrictedFromPublicUse, 6 hasIRbeaconCoverage, 7
/// permissionOnRequest.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(8, extensible))]
pub struct LaneAttributesVehicle(pub BitString);

/// Attributes of a crosswalk: 16 bits: 0 crosswalkRevocableLane, 1 bicyleUseAllowed, 2
/// isXwalkFlyOverLane, 3 fixedCycleTime, 4 biDirectionalCycleTimes, 5 hasPushToWalkButton, 6
/// audioSupport, 7 rfSignalRequestPresent, 8 unsignalizedSegmentsPresent.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(16))]
pub struct LaneAttributesCrosswalk(pub BitString);

/// Attributes of a bicycle lane: 16 bits: 0 bikeRevocableLane, 1 pedestrianUseAllowed, 2
/// isBikeFlyOverLane, 3 fixedCycleTime, 4 biDirectionalCycleTimes, 5 isolatedByBarrier, 6
/// unsignalizedSegmentsPresent.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(16))]
pub struct LaneAttributesBike(pub BitString);

/// Attributes of a sidewalk: 16 bits: 0 sidewalk-RevocableLane, 1 bicyleUseAllowed, 2
/// isSidewalkFlyOverLane, 3 walkBikes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(16))]
pub struct LaneAttributesSidewalk(pub BitString);

/// Attributes of a median: 16 bits: 0 median-RevocableLane, 1 median, 2 whiteLineHashing, 3
/// stripedLines, 4 doubleStripedLines, 5 trafficCones, 6 constructionBarrier, 7 trafficChannels, 8
/// lowCurbs, 9 highCurbs.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(16))]
pub struct LaneAttributesBarrier(pub BitString);

/// Attributes of striping: 16 bits: 0 stripeToConnectingLanesRevocableLane, 1 stripeDrawOnLeft, 2
/// stripeDrawOnRight, 3 stripeToConnectingLanesLeft, 4 stripeToConnectingLanesRight, 5
/// stripeToConnectingLanesAhead.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(16))]
pub struct LaneAttributesStriping(pub BitString);

/// Attributes of a tracked lane: 16 bits: 0 spec-RevocableLane, 1 spec-commuterRailRoadTrack, 2
/// spec-lightRailRoadTrack, 3 spec-heavyRailRoadTrack, 4 spec-otherRailType.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(16))]
pub struct LaneAttributesTrackedVehicle(pub BitString);

/// Attributes of a parking lane: 16 bits: 0 parkingRevocableLane, 1 parallelParkingInUse, 2
/// headInParkingInUse, 3 doNotParkZone, 4 parkingForBusUse, 5 parkingForTaxiUse, 6
/// noPublicParkingUse.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(16))]
pub struct LaneAttributesParking(pub BitString);
