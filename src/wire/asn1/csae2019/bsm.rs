//! The basic safety message: one vehicle, ten times a second.

use rasn::prelude::*;

use crate::wire::asn1::csae::{
    AccelerationSet4Way, BrakeSystemStatus, ExteriorLights, GnssStatus, MotionConfidenceSet,
    PathHistoryPoint, PathPrediction, Position3D, PositionConfidenceSet, PositionalAccuracy,
    TimeConfidence, TransmissionState, VehicleClassification, VehicleEmergencyExtensions,
    VehicleEventFlags, VehicleSize,
};

/// What a vehicle says of itself (BSM).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct BasicSafetyMessage {
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
    /// How well the time is known.
    #[rasn(identifier = "timeConfidence")]
    pub time_confidence: Option<TimeConfidence>,
    /// Position.
    #[rasn(identifier = "pos")]
    pub pos: Position3D,
    /// Accuracy of the position.
    #[rasn(identifier = "posAccuracy")]
    pub pos_accuracy: Option<PositionalAccuracy>,
    /// Confidence of the position.
    #[rasn(identifier = "posConfidence")]
    pub pos_confidence: Option<PositionConfidenceSet>,
    /// Gear.
    #[rasn(identifier = "transmission")]
    pub transmission: TransmissionState,
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
    pub accel_set: AccelerationSet4Way,
    /// Brakes.
    #[rasn(identifier = "brakes")]
    pub brakes: BrakeSystemStatus,
    /// Size.
    #[rasn(identifier = "size")]
    pub size: VehicleSize,
    /// Class.
    #[rasn(identifier = "vehicleClass")]
    pub vehicle_class: VehicleClassification,
    /// Safety extensions.
    #[rasn(identifier = "safetyExt")]
    pub safety_ext: Option<VehicleSafetyExtensions>,
    /// Emergency extensions.
    #[rasn(identifier = "emergencyExt")]
    pub emergency_ext: Option<VehicleEmergencyExtensions>,
}

/// Further safety data of a vehicle.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct VehicleSafetyExtensions {
    /// What is happening.
    #[rasn(identifier = "events")]
    pub events: Option<VehicleEventFlags>,
    /// Where it was.
    #[rasn(identifier = "pathHistory")]
    pub path_history: Option<PathHistory>,
    /// Where it is heading.
    #[rasn(identifier = "pathPrediction")]
    pub path_prediction: Option<PathPrediction>,
    /// Lights on.
    #[rasn(identifier = "lights")]
    pub lights: Option<ExteriorLights>,
}

/// Where the vehicle has been.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PathHistory {
    /// Where the history starts.
    #[rasn(identifier = "initialPosition")]
    pub initial_position: Option<FullPositionVector>,
    /// State of positioning.
    #[rasn(identifier = "currGNSSstatus")]
    pub curr_gnss_status: Option<GnssStatus>,
    /// Points, newest first: 1 to 23.
    #[rasn(identifier = "crumbData", size("1..=23"))]
    pub crumb_data: SequenceOf<PathHistoryPoint>,
}

/// A position with time, motion and accuracy.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct FullPositionVector {
    /// When.
    #[rasn(identifier = "utcTime")]
    pub utc_time: Option<DdateTime>,
    /// Position.
    #[rasn(identifier = "pos")]
    pub pos: Position3D,
    /// Heading: `0..=28800`; 0.0125 degree clockwise from north, 28800 unknown.
    #[rasn(identifier = "heading", value("0..=28800"))]
    pub heading: Option<u16>,
    /// Gear.
    #[rasn(identifier = "transmission")]
    pub transmission: Option<TransmissionState>,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "speed", value("0..=8191"))]
    pub speed: Option<u16>,
    /// Accuracy of the position.
    #[rasn(identifier = "posAccuracy")]
    pub pos_accuracy: Option<PositionalAccuracy>,
    /// Confidence of the position.
    #[rasn(identifier = "posConficence")]
    pub pos_conficence: Option<PositionConfidenceSet>,
    /// How well the time is known.
    #[rasn(identifier = "timeConfidence")]
    pub time_confidence: Option<TimeConfidence>,
    /// Confidence of the motion.
    #[rasn(identifier = "motionCfd")]
    pub motion_cfd: Option<MotionConfidenceSet>,
}

/// A date and time of which any part may be missing.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct DdateTime {
    /// Year: `0..=4095`.
    #[rasn(identifier = "year", value("0..=4095"))]
    pub year: Option<u16>,
    /// Month: `0..=12`.
    #[rasn(identifier = "month", value("0..=12"))]
    pub month: Option<u8>,
    /// Day: `0..=31`.
    #[rasn(identifier = "day", value("0..=31"))]
    pub day: Option<u8>,
    /// Hour: `0..=24`.
    #[rasn(identifier = "hour", value("0..=24"))]
    pub hour: Option<u8>,
    /// Minute: `0..=60`.
    #[rasn(identifier = "minute", value("0..=60"))]
    pub minute: Option<u8>,
    /// Milliseconds in the minute: `0..=65535`; milliseconds in the minute, 60000 leap second,
    /// 65535 unknown.
    #[rasn(identifier = "second", value("0..=65535"))]
    pub second: Option<u16>,
    /// Offset from UTC: `-720..=721`; minutes from UTC.
    #[rasn(identifier = "offset", value("-720..=721"))]
    pub offset: Option<i16>,
}
