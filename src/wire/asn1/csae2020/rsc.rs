//! Roadside coordination: advice for vehicles and lanes.

use rasn::prelude::*;

use super::bsm::DdateTime;
use super::rsi::ReferencePath;
use super::vir::{DriveBehavior, PathPlanningPoint};
use crate::wire::asn1::csae::{Description, Position3D, ReferenceLink};

/// Advice for single vehicles and for lanes (RSC).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RoadsideCoordination {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(identifier = "msgCnt", value("0..=127"))]
    pub msg_cnt: u8,
    /// The sender's or object's id: 8 octets.
    #[rasn(identifier = "id")]
    pub id: FixedOctetString<8>,
    /// When in the minute: `0..=65535`; milliseconds in the minute, 60000 leap second, 65535
    /// unknown.
    #[rasn(identifier = "secMark", value("0..=65535"))]
    pub sec_mark: u16,
    /// Reference position of the offsets.
    #[rasn(identifier = "refPos")]
    pub ref_pos: Position3D,
    /// Advice for vehicles: 1 to 16.
    #[rasn(identifier = "coordinates", size("1..=16"))]
    pub coordinates: Option<SequenceOf<VehicleCoordination>>,
    /// Advice for lanes: 1 to 8.
    #[rasn(identifier = "laneCoordinates", size("1..=8"))]
    pub lane_coordinates: Option<SequenceOf<LaneCoordination>>,
}

/// Advice for one vehicle.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct VehicleCoordination {
    /// The vehicle: 8 octets.
    #[rasn(identifier = "vehId")]
    pub veh_id: FixedOctetString<8>,
    /// What to do.
    #[rasn(identifier = "driveSuggestion")]
    pub drive_suggestion: Option<DriveSuggestion>,
    /// Path to follow: 1 to 100.
    #[rasn(identifier = "pathGuidance", size("1..=100"))]
    pub path_guidance: Option<SequenceOf<PathPlanningPoint>>,
    /// Why.
    #[rasn(identifier = "info")]
    pub info: Option<CoordinationInfo>,
}

/// Advice for a lane.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct LaneCoordination {
    /// Lane concerned.
    #[rasn(identifier = "targetLane")]
    pub target_lane: ReferenceLink,
    /// Path concerned.
    #[rasn(identifier = "relatedPath")]
    pub related_path: Option<ReferencePath>,
    /// Start.
    #[rasn(identifier = "tBegin")]
    pub t_begin: Option<DdateTime>,
    /// End.
    #[rasn(identifier = "tEnd")]
    pub t_end: Option<DdateTime>,
    /// Speed to keep: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "recommendedSpeed", value("0..=8191"))]
    pub recommended_speed: Option<u16>,
    /// Behaviour.
    #[rasn(identifier = "recommendedBehavior")]
    pub recommended_behavior: Option<DriveBehavior>,
    /// Why.
    #[rasn(identifier = "info")]
    pub info: Option<CoordinationInfo>,
    /// Text.
    #[rasn(identifier = "description")]
    pub description: Option<Description>,
}

/// What a vehicle should do.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct DriveSuggestion {
    /// Behaviour.
    #[rasn(identifier = "suggestion")]
    pub suggestion: DriveBehavior,
    /// How long it holds: `1..=65535`; 0.01 s, 65535 unknown.
    #[rasn(identifier = "lifeTime", value("1..=65535"))]
    pub life_time: Option<u16>,
    /// Link concerned.
    #[rasn(identifier = "relatedLink")]
    pub related_link: Option<ReferenceLink>,
    /// Path concerned.
    #[rasn(identifier = "relatedPath")]
    pub related_path: Option<ReferencePath>,
}

/// Why advice is given: 8 bits or more: 0 cooperativeLaneChanging, 1 cooperativeVehMerging, 2
/// laneChangingAtIntersection, 3 no-signalIntersectionPassing, 4 dynamicLaneManagement, 5
/// laneReservation, 6 laneRestriction, 7 signalPriority.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(8, extensible))]
pub struct CoordinationInfo(pub BitString);
