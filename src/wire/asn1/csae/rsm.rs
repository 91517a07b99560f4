//! The roadside safety message: what a roadside unit perceives.

use rasn::prelude::*;

use super::motion::{AccelerationSet4Way, MotionConfidenceSet};
use super::position::{Position3D, PositionConfidenceSet, PositionOffsetLlv};
use super::vehicle::{TransmissionState, VehicleClassification, VehicleSize};

/// What a roadside unit perceives (RSM).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RoadsideSafetyMessage {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(identifier = "msgCnt", value("0..=127"))]
    pub msg_cnt: u8,
    /// The sender's or object's id: 8 octets.
    #[rasn(identifier = "id")]
    pub id: FixedOctetString<8>,
    /// Reference position of the offsets.
    #[rasn(identifier = "refPos")]
    pub ref_pos: Position3D,
    /// Road users: 1 to 16.
    #[rasn(identifier = "participants", size("1..=16"))]
    pub participants: SequenceOf<ParticipantData>,
}

/// One road user that a roadside unit perceives.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct ParticipantData {
    /// Kind.
    #[rasn(identifier = "ptcType")]
    pub ptc_type: ParticipantType,
    /// Number the roadside unit gave: `0..=65535`.
    #[rasn(identifier = "ptcId", value("0..=65535"))]
    pub ptc_id: u16,
    /// What perceived it.
    #[rasn(identifier = "source")]
    pub source: SourceType,
    /// The sender's or object's id: 8 octets.
    #[rasn(identifier = "id")]
    pub id: Option<FixedOctetString<8>>,
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
    /// Gear.
    #[rasn(identifier = "transmission")]
    pub transmission: Option<TransmissionState>,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "speed", value("0..=8191"))]
    pub speed: u16,
    /// Heading: `0..=28800`; 0.0125 degree clockwise from north, 28800 unknown.
    #[rasn(identifier = "heading", value("0..=28800"))]
    pub heading: u16,
    /// Steering wheel angle: `-126..=127`; 1.5 degrees, 127 unknown.
    #[rasn(identifier = "angle", value("-126..=127"))]
    pub angle: Option<i8>,
    /// Confidence of the motion.
    #[rasn(identifier = "motionCfd")]
    pub motion_cfd: Option<MotionConfidenceSet>,
    /// Acceleration.
    #[rasn(identifier = "accelSet")]
    pub accel_set: Option<AccelerationSet4Way>,
    /// Size.
    #[rasn(identifier = "size")]
    pub size: VehicleSize,
    /// Class.
    #[rasn(identifier = "vehicleClass")]
    pub vehicle_class: Option<VehicleClassification>,
}

/// Kind of road user.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum ParticipantType {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `motor`.
    #[rasn(identifier = "motor")]
    Motor = 1,
    /// `non-motor`.
    #[rasn(identifier = "non-motor")]
    NonMotor = 2,
    /// `pedestrian`.
    #[rasn(identifier = "pedestrian")]
    Pedestrian = 3,
    /// `rsu`.
    #[rasn(identifier = "rsu")]
    Rsu = 4,
}

/// What perceived the road user.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum SourceType {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `selfinfo`.
    #[rasn(identifier = "selfinfo")]
    Selfinfo = 1,
    /// `v2x`.
    #[rasn(identifier = "v2x")]
    V2x = 2,
    /// `video`.
    #[rasn(identifier = "video")]
    Video = 3,
    /// `microwaveRadar`.
    #[rasn(identifier = "microwaveRadar")]
    MicrowaveRadar = 4,
    /// `loop`.
    #[rasn(identifier = "loop")]
    Loop = 5,
    /// `lidar`.
    #[rasn(identifier = "lidar")]
    Lidar = 6,
    /// `integrated`.
    #[rasn(identifier = "integrated")]
    Integrated = 7,
}
