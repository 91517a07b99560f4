//! Sensor sharing: what a unit or vehicle perceives.

use rasn::prelude::*;

use super::attitude::{
    AccSet4WayConfidence, AngularVelocity, AngularVelocityConfidence, Attitude, AttitudeConfidence,
};
use super::bsm::PathHistory;
use super::psm::NonMotorData;
use super::rsi::RteData;
use super::section::Polygon;
use super::vir::{DriveBehavior, PathPlanningPoint};
use crate::wire::asn1::csae::{
    AccelerationSet4Way, ExteriorLights, HeadingConfidence, ParticipantData, Position3D,
    PositionConfidenceSet, PositionOffsetLlv, SourceType, SpeedConfidence,
};

/// What a unit or vehicle perceives (SSM).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct SensorSharingMsg {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(identifier = "msgCnt", value("0..=127"))]
    pub msg_cnt: u8,
    /// The sender's or object's id: 8 octets.
    #[rasn(identifier = "id")]
    pub id: FixedOctetString<8>,
    /// What the sender is.
    #[rasn(identifier = "equipmentType")]
    pub equipment_type: EquipmentType,
    /// When in the minute: `0..=65535`; milliseconds in the minute, 60000 leap second, 65535
    /// unknown.
    #[rasn(identifier = "secMark", value("0..=65535"))]
    pub sec_mark: u16,
    /// Where the sensor is; reference position of the offsets.
    #[rasn(identifier = "sensorPos")]
    pub sensor_pos: Position3D,
    /// Area that is watched: 1 to 8.
    #[rasn(identifier = "detectedRegion", size("1..=8"))]
    pub detected_region: Option<SequenceOf<Polygon>>,
    /// Road users: 1 to 512.
    #[rasn(identifier = "participants", size("1..=512"))]
    pub participants: Option<SequenceOf<DetectedPtcData>>,
    /// Obstacles: 1 to 64.
    #[rasn(identifier = "obstacles", size("1..=64"))]
    pub obstacles: Option<SequenceOf<DetectedObstacleData>>,
    /// Events: 1 to 8.
    #[rasn(identifier = "rtes", size("1..=8"))]
    pub rtes: Option<SequenceOf<RteData>>,
}

/// What shares its sensors.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum EquipmentType {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `rsu`.
    #[rasn(identifier = "rsu")]
    Rsu = 1,
    /// `obu`.
    #[rasn(identifier = "obu")]
    Obu = 2,
    /// `vru`.
    #[rasn(identifier = "vru")]
    Vru = 3,
}

/// One road user that was detected.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct DetectedPtcData {
    /// The road user.
    #[rasn(identifier = "ptc")]
    pub ptc: ParticipantData,
    /// Confidence of the size.
    #[rasn(identifier = "objSizeConfidence")]
    pub obj_size_confidence: Option<ObjectSizeConfidence>,
    /// Finer kind.
    #[rasn(identifier = "detectedPTCType")]
    pub detected_ptc_type: Option<DetectedPtcType>,
    /// How sure the kind is: `0..=200`; 0.5 %.
    #[rasn(identifier = "typeConfidence", value("0..=200"))]
    pub type_confidence: Option<u8>,
    /// Confidence of the acceleration.
    #[rasn(identifier = "acc4WayConfidence")]
    pub acc4_way_confidence: Option<AccSet4WayConfidence>,
    /// For how long it is as it is: `1..=65535`; 0.01 s, 65535 unknown.
    #[rasn(identifier = "statusDuration", value("1..=65535"))]
    pub status_duration: Option<u16>,
    /// Where it was.
    #[rasn(identifier = "pathHistory")]
    pub path_history: Option<PathHistory>,
    /// Where it may go: 1 to 8.
    #[rasn(identifier = "planningList", size("1..=8"))]
    pub planning_list: Option<SequenceOf<Planning>>,
    /// For how long it is tracked: `1..=65535`.
    #[rasn(identifier = "tracking", value("1..=65535"))]
    pub tracking: Option<u16>,
    /// Outline.
    #[rasn(identifier = "polygon")]
    pub polygon: Option<Polygon>,
    /// More, by its kind.
    #[rasn(identifier = "type-relatedExt")]
    pub type_related_ext: Option<TypeRelatedExt>,
}

/// Kind of road user, finer than in RSM.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum DetectedPtcType {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `unknown-movable`.
    #[rasn(identifier = "unknown-movable")]
    UnknownMovable = 1,
    /// `unknown-unmovable`.
    #[rasn(identifier = "unknown-unmovable")]
    UnknownUnmovable = 2,
    /// `car`.
    #[rasn(identifier = "car")]
    Car = 3,
    /// `van`.
    #[rasn(identifier = "van")]
    Van = 4,
    /// `truck`.
    #[rasn(identifier = "truck")]
    Truck = 5,
    /// `bus`.
    #[rasn(identifier = "bus")]
    Bus = 6,
    /// `cyclist`.
    #[rasn(identifier = "cyclist")]
    Cyclist = 7,
    /// `motorcyclist`.
    #[rasn(identifier = "motorcyclist")]
    Motorcyclist = 8,
    /// `tricyclist`.
    #[rasn(identifier = "tricyclist")]
    Tricyclist = 9,
    /// `pedestrian`.
    #[rasn(identifier = "pedestrian")]
    Pedestrian = 10,
}

/// More of a road user, by its kind.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
#[non_exhaustive]
pub enum TypeRelatedExt {
    /// Of a motor vehicle.
    #[rasn(identifier = "motorExt")]
    MotorExt(MotorDataExtension),
    /// Of a vulnerable road user.
    #[rasn(identifier = "non-motorExt")]
    NonMotorExt(NonMotorDataExtension),
}

/// More of a motor vehicle.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct MotorDataExtension {
    /// Lights on.
    #[rasn(identifier = "lights")]
    pub lights: Option<ExteriorLights>,
    /// Attitude.
    #[rasn(identifier = "vehAttitude")]
    pub veh_attitude: Option<Attitude>,
    /// Confidence of the attitude.
    #[rasn(identifier = "vehAttitudeConfidence")]
    pub veh_attitude_confidence: Option<AttitudeConfidence>,
    /// Angular velocity.
    #[rasn(identifier = "vehAngVel")]
    pub veh_ang_vel: Option<AngularVelocity>,
    /// Confidence of the angular velocity.
    #[rasn(identifier = "vehAngVelConfidence")]
    pub veh_ang_vel_confidence: Option<AngularVelocityConfidence>,
}

/// More of a vulnerable road user.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct NonMotorDataExtension {
    /// Radius of the group (0.1 m): `0..=200`.
    #[rasn(identifier = "overallRadius", value("0..=200"))]
    pub overall_radius: u8,
    /// What the road user is and does.
    #[rasn(identifier = "non-motorData")]
    pub non_motor_data: NonMotorData,
}

/// One obstacle that was detected.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct DetectedObstacleData {
    /// Kind.
    #[rasn(identifier = "obsType")]
    pub obs_type: ObstacleType,
    /// How sure the kind is: `0..=200`; 0.5 %.
    #[rasn(identifier = "objTypeConfidence", value("0..=200"))]
    pub obj_type_confidence: Option<u8>,
    /// Number the sender gave: `0..=65535`.
    #[rasn(identifier = "obsId", value("0..=65535"))]
    pub obs_id: u16,
    /// What perceived it.
    #[rasn(identifier = "source")]
    pub source: SourceType,
    /// When in the minute: `0..=65535`; milliseconds in the minute, 60000 leap second, 65535
    /// unknown.
    #[rasn(identifier = "secMark", value("0..=65535"))]
    pub sec_mark: u16,
    /// Position.
    #[rasn(identifier = "pos")]
    pub pos: PositionOffsetLlv,
    /// Confidence of the position.
    #[rasn(identifier = "posConfidence")]
    pub pos_confidence: PositionConfidenceSet,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "speed", value("0..=8191"))]
    pub speed: u16,
    /// Confidence of the speed.
    #[rasn(identifier = "speedCfd")]
    pub speed_cfd: Option<SpeedConfidence>,
    /// Heading: `0..=28800`; 0.0125 degree clockwise from north, 28800 unknown.
    #[rasn(identifier = "heading", value("0..=28800"))]
    pub heading: u16,
    /// Confidence of the heading.
    #[rasn(identifier = "headingCfd")]
    pub heading_cfd: Option<HeadingConfidence>,
    /// Vertical speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "verSpeed", value("0..=8191"))]
    pub ver_speed: Option<u16>,
    /// Confidence of the vertical speed.
    #[rasn(identifier = "verSpeedConfidence")]
    pub ver_speed_confidence: Option<SpeedConfidence>,
    /// Acceleration.
    #[rasn(identifier = "accelSet")]
    pub accel_set: Option<AccelerationSet4Way>,
    /// Size.
    #[rasn(identifier = "size")]
    pub size: ObjectSize,
    /// Confidence of the size.
    #[rasn(identifier = "objSizeConfidence")]
    pub obj_size_confidence: Option<ObjectSizeConfidence>,
    /// For how long it is tracked: `1..=65535`.
    #[rasn(identifier = "tracking", value("1..=65535"))]
    pub tracking: Option<u16>,
    /// Outline.
    #[rasn(identifier = "polygon")]
    pub polygon: Option<Polygon>,
}

/// Kind of obstacle.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum ObstacleType {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `rockfall`.
    #[rasn(identifier = "rockfall")]
    Rockfall = 1,
    /// `landslide`.
    #[rasn(identifier = "landslide")]
    Landslide = 2,
    /// `animal-intrusion`.
    #[rasn(identifier = "animal-intrusion")]
    AnimalIntrusion = 3,
    /// `liquid-spill`.
    #[rasn(identifier = "liquid-spill")]
    LiquidSpill = 4,
    /// `goods-scattered`.
    #[rasn(identifier = "goods-scattered")]
    GoodsScattered = 5,
    /// `trafficcone`.
    #[rasn(identifier = "trafficcone")]
    Trafficcone = 6,
    /// `safety-triangle`.
    #[rasn(identifier = "safety-triangle")]
    SafetyTriangle = 7,
    /// `traffic-roadblock`.
    #[rasn(identifier = "traffic-roadblock")]
    TrafficRoadblock = 8,
    /// `inspection-shaft-without-cover`.
    #[rasn(identifier = "inspection-shaft-without-cover")]
    InspectionShaftWithoutCover = 9,
    /// `unknown-fragments`.
    #[rasn(identifier = "unknown-fragments")]
    UnknownFragments = 10,
    /// `unknown-hard-object`.
    #[rasn(identifier = "unknown-hard-object")]
    UnknownHardObject = 11,
    /// `unknown-soft-object`.
    #[rasn(identifier = "unknown-soft-object")]
    UnknownSoftObject = 12,
}

/// Outer size of an object.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ObjectSize {
    /// Width: `0..=1023`; 0.01 m, 0 unknown.
    #[rasn(identifier = "width", value("0..=1023"))]
    pub width: u16,
    /// Length: `0..=1023`; 0.01 m, 0 unknown.
    #[rasn(identifier = "length", value("0..=1023"))]
    pub length: u16,
    /// Height: `0..=1023`; 0.01 m, 0 unknown.
    #[rasn(identifier = "height", value("0..=1023"))]
    pub height: Option<u16>,
}

/// How well the size is known.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ObjectSizeConfidence {
    /// Width.
    #[rasn(identifier = "widthConf")]
    pub width_conf: SizeValueConfidence,
    /// Length.
    #[rasn(identifier = "lengthConf")]
    pub length_conf: SizeValueConfidence,
    /// Height.
    #[rasn(identifier = "heightConf")]
    pub height_conf: Option<SizeValueConfidence>,
}

/// Size is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum SizeValueConfidence {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `size-100-00`.
    #[rasn(identifier = "size-100-00")]
    Size100_00 = 1,
    /// `size-050-00`.
    #[rasn(identifier = "size-050-00")]
    Size050_00 = 2,
    /// `size-020-00`.
    #[rasn(identifier = "size-020-00")]
    Size020_00 = 3,
    /// `size-010-00`.
    #[rasn(identifier = "size-010-00")]
    Size010_00 = 4,
    /// `size-005-00`.
    #[rasn(identifier = "size-005-00")]
    Size005_00 = 5,
    /// `size-002-00`.
    #[rasn(identifier = "size-002-00")]
    Size002_00 = 6,
    /// `size-001-00`.
    #[rasn(identifier = "size-001-00")]
    Size001_00 = 7,
    /// `size-000-50`.
    #[rasn(identifier = "size-000-50")]
    Size000_50 = 8,
    /// `size-000-20`.
    #[rasn(identifier = "size-000-20")]
    Size000_20 = 9,
    /// `size-000-10`.
    #[rasn(identifier = "size-000-10")]
    Size000_10 = 10,
    /// `size-000-05`.
    #[rasn(identifier = "size-000-05")]
    Size000_05 = 11,
    /// `size-000-02`.
    #[rasn(identifier = "size-000-02")]
    Size000_02 = 12,
    /// `size-000-01`.
    #[rasn(identifier = "size-000-01")]
    Size000_01 = 13,
}

/// Where a road user is expected to go.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct Planning {
    /// For how long: `0..=600`; 0.1 s.
    #[rasn(identifier = "duration", value("0..=600"))]
    pub duration: Option<u16>,
    /// How sure: `0..=200`; 0.5 %.
    #[rasn(identifier = "planConfidence", value("0..=200"))]
    pub plan_confidence: Option<u8>,
    /// Behaviour.
    #[rasn(identifier = "drivingBehavior")]
    pub driving_behavior: Option<DriveBehavior>,
    /// Path: 1 to 100.
    #[rasn(identifier = "pathPlanning", size("1..=100"))]
    pub path_planning: Option<SequenceOf<PathPlanningPoint>>,
}
