//! The basic safety message: one vehicle, ten times a second.

use rasn::prelude::*;

use super::motion::{AccelerationSet4Way, MotionConfidenceSet};
use super::position::{Position3D, PositionConfidenceSet, PositionalAccuracy};
use super::time::TimeConfidence;
use super::vehicle::{
    BrakeSystemStatus, TransmissionState, VehicleClassification, VehicleEmergencyExtensions,
    VehicleSafetyExtensions, VehicleSize,
};

/// What a vehicle says of itself (BSM).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct BasicSafetyMessage {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(value("0..=127"))]
    pub msg_cnt: u8,
    /// The sender's or object's id: 8 octets.
    pub id: FixedOctetString<8>,
    /// When in the minute: `0..=65535`; milliseconds in the minute, 60000 leap second, 65535
    /// unknown.
    #[rasn(value("0..=65535"))]
    pub sec_mark: u16,
    /// How well the time is known.
    pub time_confidence: Option<TimeConfidence>,
    /// Position.
    pub pos: Position3D,
    /// Accuracy of the position.
    pub pos_accuracy: Option<PositionalAccuracy>,
    /// Confidence of the position.
    pub pos_confidence: Option<PositionConfidenceSet>,
    /// Gear.
    pub transmission: TransmissionState,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(value("0..=8191"))]
    pub speed: u16,
    /// Heading: `0..=28800`; 0.0125 degree clockwise from north, 28800 unknown.
    #[rasn(value("0..=28800"))]
    pub heading: u16,
    /// Steering wheel angle: `-126..=127`; 1.5 degrees, 127 unknown.
    #[rasn(value("-126..=127"))]
    pub angle: Option<i8>,
    /// Confidence of the motion.
    pub motion_cfd: Option<MotionConfidenceSet>,
    /// Acceleration.
    pub accel_set: AccelerationSet4Way,
    /// Brakes.
    pub brakes: BrakeSystemStatus,
    /// Size.
    pub size: VehicleSize,
    /// Class.
    pub vehicle_class: VehicleClassification,
    /// Safety extensions.
    pub safety_ext: Option<VehicleSafetyExtensions>,
    /// Emergency extensions.
    pub emergency_ext: Option<VehicleEmergencyExtensions>,
}
