//! Vehicle intention and request, and planned paths.

use rasn::prelude::*;

use super::attitude::AccSet4WayConfidence;
use super::bsm::DdateTime;
use super::pam::ParkingType;
use super::rsi::ReferencePath;
use super::section::MovementEx;
use crate::wire::asn1::csae::{
    AccelerationSet4Way, HeadingConfidence, NodeReferenceId, Position3D, PositionConfidenceSet,
    PositionOffsetLlv, ReferenceLink, SpeedConfidence, VehicleClassification,
};

/// What a vehicle intends and asks for (VIR).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct VehIntentionAndRequest {
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
    /// Intention and requests.
    #[rasn(identifier = "intAndReq")]
    pub int_and_req: IarData,
}

/// What a vehicle intends and asks for.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct IarData {
    /// Where it is.
    #[rasn(identifier = "currentPos")]
    pub current_pos: Option<PathPlanningPoint>,
    /// Planned path: 1 to 100.
    #[rasn(identifier = "path-Planning", size("1..=100"))]
    pub path_planning: Option<SequenceOf<PathPlanningPoint>>,
    /// Behaviour.
    #[rasn(identifier = "currentBehavior")]
    pub current_behavior: Option<DriveBehavior>,
    /// Requests: 1 to 8.
    #[rasn(identifier = "reqs", size("1..=8"))]
    pub reqs: Option<SequenceOf<DriveRequest>>,
}

/// One request of a vehicle.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct DriveRequest {
    /// Number of the request: `0..=255`.
    #[rasn(identifier = "reqID", value("0..=255"))]
    pub req_id: u8,
    /// State.
    #[rasn(identifier = "status")]
    pub status: ReqStatus,
    /// Priority, in the three high bits: 1 octet.
    #[rasn(identifier = "reqPriority")]
    pub req_priority: Option<FixedOctetString<1>>,
    /// Vehicle asked: 8 octets.
    #[rasn(identifier = "targetVeh")]
    pub target_veh: Option<FixedOctetString<8>>,
    /// Unit asked: 8 octets.
    #[rasn(identifier = "targetRSU")]
    pub target_rsu: Option<FixedOctetString<8>>,
    /// What is asked for.
    #[rasn(identifier = "info")]
    pub info: Option<ReqInfo>,
    /// How long it holds: `1..=65535`; 0.01 s, 65535 unknown.
    #[rasn(identifier = "lifeTime", value("1..=65535"))]
    pub life_time: Option<u16>,
}

/// State of a request.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum ReqStatus {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `request`.
    #[rasn(identifier = "request")]
    Request = 1,
    /// `comfirmed`.
    #[rasn(identifier = "comfirmed")]
    Comfirmed = 2,
    /// `cancel`.
    #[rasn(identifier = "cancel")]
    Cancel = 3,
    /// `complete`.
    #[rasn(identifier = "complete")]
    Complete = 4,
}

/// What is asked for.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
#[non_exhaustive]
pub enum ReqInfo {
    /// A lane change.
    #[rasn(identifier = "laneChange")]
    LaneChange(ReqLaneChange),
    /// A free stretch.
    #[rasn(identifier = "clearTheWay")]
    ClearTheWay(ReqClearTheWay),
    /// Priority at a signal.
    #[rasn(identifier = "signalPriority")]
    SignalPriority(ReqSignalPriority),
    /// What is perceived.
    #[rasn(identifier = "sensorSharing")]
    SensorSharing(ReqSensorSharing),
    /// Parking.
    #[rasn(identifier = "parking")]
    Parking(ReqParkingArea),
}

/// Asks to change lane.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ReqLaneChange {
    /// Upstream node.
    #[rasn(identifier = "upstreamNode")]
    pub upstream_node: NodeReferenceId,
    /// Downstream node.
    #[rasn(identifier = "downstreamNode")]
    pub downstream_node: NodeReferenceId,
    /// Lane concerned: `0..=255`.
    #[rasn(identifier = "targetLane", value("0..=255"))]
    pub target_lane: u8,
}

/// Asks to clear a stretch.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ReqClearTheWay {
    /// Upstream node.
    #[rasn(identifier = "upstreamNode")]
    pub upstream_node: NodeReferenceId,
    /// Downstream node.
    #[rasn(identifier = "downstreamNode")]
    pub downstream_node: NodeReferenceId,
    /// Lane concerned: `0..=255`.
    #[rasn(identifier = "targetLane", value("0..=255"))]
    pub target_lane: u8,
    /// Path concerned.
    #[rasn(identifier = "relatedPath")]
    pub related_path: Option<ReferencePath>,
    /// Start.
    #[rasn(identifier = "tBegin")]
    pub t_begin: Option<DdateTime>,
    /// End.
    #[rasn(identifier = "tEnd")]
    pub t_end: Option<DdateTime>,
}

/// Asks for priority at a signal.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ReqSignalPriority {
    /// The intersection.
    #[rasn(identifier = "intersectionId")]
    pub intersection_id: NodeReferenceId,
    /// Movement.
    #[rasn(identifier = "requiredMov")]
    pub required_mov: MovementEx,
    /// Time to arrival: `1..=65535`; 0.01 s, 65535 unknown.
    #[rasn(identifier = "estimatedArrivalTime", value("1..=65535"))]
    pub estimated_arrival_time: Option<u16>,
    /// Distance (0.1 m): `0..=10000`.
    #[rasn(identifier = "distance2Intersection", value("0..=10000"))]
    pub distance2_intersection: Option<u16>,
}

/// Asks for what is perceived along paths.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ReqSensorSharing {
    /// Paths to watch: 1 to 8.
    #[rasn(identifier = "detectArea", size("1..=8"))]
    pub detect_area: SequenceOf<ReferencePath>,
}

/// Asks for parking.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ReqParkingArea {
    /// Class.
    #[rasn(identifier = "vehicleClass")]
    pub vehicle_class: VehicleClassification,
    /// What is wanted.
    #[rasn(identifier = "req")]
    pub req: ParkingRequest,
    /// Kind of slot.
    #[rasn(identifier = "parkingType")]
    pub parking_type: Option<ParkingType>,
    /// Slot wished for: `0..=65535`.
    #[rasn(identifier = "expectedParkingSlotID", value("0..=65535"))]
    pub expected_parking_slot_id: Option<u16>,
}

/// What is wanted of a car park: 12 bits or more: 0 enter, 1 exit, 2 park, 3 pay, 4
/// unloadPassenger, 5 pickupPassenger, 6 unloadCargo, 7 loadCargo, 8 reserved1, 9 reverved2, 10
/// reserved3, 11 reverved4.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(12, extensible))]
pub struct ParkingRequest(pub BitString);

/// One point of a planned path.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PathPlanningPoint {
    /// Link it lies on.
    #[rasn(identifier = "posInMap")]
    pub pos_in_map: Option<ReferenceLink>,
    /// Position.
    #[rasn(identifier = "pos")]
    pub pos: PositionOffsetLlv,
    /// Confidence of the position.
    #[rasn(identifier = "posAccuracy")]
    pub pos_accuracy: Option<PositionConfidenceSet>,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "speed", value("0..=8191"))]
    pub speed: Option<u16>,
    /// Confidence of the speed.
    #[rasn(identifier = "speedCfd")]
    pub speed_cfd: Option<SpeedConfidence>,
    /// Heading: `0..=28800`; 0.0125 degree clockwise from north, 28800 unknown.
    #[rasn(identifier = "heading", value("0..=28800"))]
    pub heading: Option<u16>,
    /// Confidence of the heading.
    #[rasn(identifier = "headingCfd")]
    pub heading_cfd: Option<HeadingConfidence>,
    /// Acceleration.
    #[rasn(identifier = "accelSet")]
    pub accel_set: Option<AccelerationSet4Way>,
    /// Confidence of the acceleration.
    #[rasn(identifier = "acc4WayConfidence")]
    pub acc4_way_confidence: Option<AccSet4WayConfidence>,
    /// When it is reached: `1..=65535`; 0.01 s, 65535 unknown.
    #[rasn(identifier = "estimatedTime", value("1..=65535"))]
    pub estimated_time: Option<u16>,
    /// How well the time is known: `0..=200`; 0.5 %.
    #[rasn(identifier = "timeConfidence", value("0..=200"))]
    pub time_confidence: Option<u8>,
}

/// Behaviour: 14 bits or more: 0 goStraightForward, 1 laneChangingToLeft, 2 laneChangingToRight, 3
/// rampIn, 4 rampOut, 5 intersectionStraightThrough, 6 intersectionTurnLeft, 7
/// intersectionTurnRight, 8 intersectionUTurn, 9 stop-and-go, 10 stop, 11 slow-down, 12 speed-up,
/// 13 parking.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(14, extensible))]
pub struct DriveBehavior(pub BitString);
