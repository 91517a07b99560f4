//! What a vehicle says of itself beside position and motion.

use rasn::prelude::*;

use super::motion::MotionConfidenceSet;
use super::position::{Position3D, PositionConfidenceSet, PositionOffsetLlv, PositionalAccuracy};
use super::time::{DdateTime, TimeConfidence};

/// State of the brakes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct BrakeSystemStatus {
    /// Brake pedal.
    pub brake_padel: Option<BrakePedalStatus>,
    /// Wheels braking: 5 bits (0 unavailable, 1 leftFront, 2 leftRear, 3 rightFront, 4 rightRear).
    #[rasn(size(5))]
    pub wheel_brakes: Option<BitString>,
    /// Traction control.
    pub traction: Option<TractionControlStatus>,
    /// Anti-lock brakes.
    pub abs: Option<AntiLockBrakeStatus>,
    /// Stability control.
    pub scs: Option<StabilityControlStatus>,
    /// Brake booster.
    pub brake_boost: Option<BrakeBoostApplied>,
    /// Auxiliary brakes.
    pub aux_brakes: Option<AuxiliaryBrakeStatus>,
}

/// Brake pedal.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum BrakePedalStatus {
    /// `unavailable`.
    Unavailable = 0,
    /// `off`.
    Off = 1,
    /// `on`.
    On = 2,
}

/// Brake booster.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum BrakeBoostApplied {
    /// `unavailable`.
    Unavailable = 0,
    /// `off`.
    Off = 1,
    /// `on`.
    On = 2,
}

/// Traction control.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum TractionControlStatus {
    /// `unavailable`.
    Unavailable = 0,
    /// `off`.
    Off = 1,
    /// `on`.
    On = 2,
    /// `engaged`.
    Engaged = 3,
}

/// Anti-lock brakes.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum AntiLockBrakeStatus {
    /// `unavailable`.
    Unavailable = 0,
    /// `off`.
    Off = 1,
    /// `on`.
    On = 2,
    /// `engaged`.
    Engaged = 3,
}

/// Stability control.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum StabilityControlStatus {
    /// `unavailable`.
    Unavailable = 0,
    /// `off`.
    Off = 1,
    /// `on`.
    On = 2,
    /// `engaged`.
    Engaged = 3,
}

/// Auxiliary brakes.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum AuxiliaryBrakeStatus {
    /// `unavailable`.
    Unavailable = 0,
    /// `off`.
    Off = 1,
    /// `on`.
    On = 2,
    /// `reserved`.
    Reserved = 3,
}

/// Class of a vehicle.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct VehicleClassification {
    /// Class: `0..=255`; class code.
    #[rasn(value("0..=255"))]
    pub classification: u8,
    /// Fuel: `0..=15`; fuel code.
    #[rasn(value("0..=15"))]
    pub fuel_type: Option<u8>,
}

/// What an emergency vehicle is doing.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct VehicleEmergencyExtensions {
    /// How it moves.
    pub response_type: Option<ResponseType>,
    /// Siren.
    pub siren_use: Option<SirenInUse>,
    /// Light bar.
    pub lights_use: Option<LightbarInUse>,
}

/// How an emergency vehicle is moving.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum ResponseType {
    /// `notInUseOrNotEquipped`.
    NotInUseOrNotEquipped = 0,
    /// `emergency`.
    Emergency = 1,
    /// `nonEmergency`.
    NonEmergency = 2,
    /// `pursuit`.
    Pursuit = 3,
    /// `stationary`.
    Stationary = 4,
    /// `slowMoving`.
    SlowMoving = 5,
    /// `stopAndGoMovement`.
    StopAndGoMovement = 6,
}

/// Siren.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum SirenInUse {
    /// `unavailable`.
    Unavailable = 0,
    /// `notInUse`.
    NotInUse = 1,
    /// `inUse`.
    InUse = 2,
    /// `reserved`.
    Reserved = 3,
}

/// Light bar.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum LightbarInUse {
    /// `unavailable`.
    Unavailable = 0,
    /// `notInUse`.
    NotInUse = 1,
    /// `inUse`.
    InUse = 2,
    /// `yellowCautionLights`.
    YellowCautionLights = 3,
    /// `schooldBusLights`.
    SchooldBusLights = 4,
    /// `arrowSignsActive`.
    ArrowSignsActive = 5,
    /// `slowMovingVehicle`.
    SlowMovingVehicle = 6,
    /// `freqStops`.
    FreqStops = 7,
}

/// Further safety data of a vehicle.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct VehicleSafetyExtensions {
    /// What is happening: 13 bits (0 eventHazardLights, 1 eventStopLineViolation, 2
    /// eventABSactivated, 3 eventTractionControlLoss, 4 eventStabilityControlactivated, 5
    /// eventHazardousMaterials, 6 eventReserved1, 7 eventHardBraking, 8 eventLightsChanged, 9
    /// eventWipersChanged, 10 eventFlatTire, 11 eventDisabledVehicle, 12 eventAirBagDeployment).
    #[rasn(size(13, extensible))]
    pub events: Option<BitString>,
    /// Where it was.
    pub path_history: Option<PathHistory>,
    /// Where it is heading.
    pub path_prediction: Option<PathPrediction>,
    /// Lights on: 9 bits (0 lowBeamHeadlightsOn, 1 highBeamHeadlightsOn, 2 leftTurnSignalOn, 3
    /// rightTurnSignalOn, 4 hazardSignalOn, 5 automaticLightControlOn, 6 daytimeRunningLightsOn, 7
    /// fogLightOn, 8 parkingLightsOn).
    #[rasn(size(9, extensible))]
    pub lights: Option<BitString>,
}

/// Where the vehicle has been.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PathHistory {
    /// Where the history starts.
    pub initial_position: Option<FullPositionVector>,
    /// State of positioning: 8 bits (0 unavailable, 1 isHealthy, 2 isMonitored, 3 baseStationType,
    /// 4 aPDOPofUnder5, 5 inViewOfUnder5, 6 localCorrectionsPresent, 7 networkCorrectionsPresent).
    #[rasn(size(8))]
    pub curr_gnss_status: Option<BitString>,
    /// Points, newest first: 1 to 23.
    #[rasn(size("1..=23"))]
    pub crumb_data: SequenceOf<PathHistoryPoint>,
}

/// A position with time, motion and accuracy.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct FullPositionVector {
    /// When.
    pub utc_time: Option<DdateTime>,
    /// Position.
    pub pos: Position3D,
    /// Heading: `0..=28800`; 0.0125 degree clockwise from north, 28800 unknown.
    #[rasn(value("0..=28800"))]
    pub heading: Option<u16>,
    /// Gear.
    pub transmission: Option<TransmissionState>,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(value("0..=8191"))]
    pub speed: Option<u16>,
    /// Accuracy of the position.
    pub pos_accuracy: Option<PositionalAccuracy>,
    /// Confidence of the position.
    pub pos_conficence: Option<PositionConfidenceSet>,
    /// How well the time is known.
    pub time_confidence: Option<TimeConfidence>,
    /// Confidence of the motion.
    pub motion_cfd: Option<MotionConfidenceSet>,
}

/// One point of a path history.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PathHistoryPoint {
    /// Where.
    pub llv_offset: PositionOffsetLlv,
    /// How long ago: `1..=65535`; 0.01 s, 65535 unknown.
    #[rasn(value("1..=65535"))]
    pub time_offset: u16,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(value("0..=8191"))]
    pub speed: Option<u16>,
    /// Accuracy of the position.
    pub pos_accuracy: Option<PositionConfidenceSet>,
    /// Heading: `0..=240`; 1.5 degrees, 240 unknown.
    #[rasn(value("0..=240"))]
    pub heading: Option<u8>,
}

/// Where the vehicle is heading.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PathPrediction {
    /// Radius of the path: `-32767..=32767`; 0.1 m, 32767 straight.
    #[rasn(value("-32767..=32767"))]
    pub radius_of_curve: i16,
    /// How sure: `0..=200`; 0.5 %.
    #[rasn(value("0..=200"))]
    pub confidence: u8,
}

/// Outer size of a vehicle.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct VehicleSize {
    /// Width: `0..=1023`; 0.01 m, 0 unknown.
    #[rasn(value("0..=1023"))]
    pub width: u16,
    /// Length: `0..=4095`; 0.01 m, 0 unknown.
    #[rasn(value("0..=4095"))]
    pub length: u16,
    /// Height: `0..=127`; 0.05 m, 0 unknown.
    #[rasn(value("0..=127"))]
    pub height: Option<u8>,
}

/// Gear.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum TransmissionState {
    /// `neutral`.
    Neutral = 0,
    /// `park`.
    Park = 1,
    /// `forwardGears`.
    ForwardGears = 2,
    /// `reverseGears`.
    ReverseGears = 3,
    /// `reserved1`.
    Reserved1 = 4,
    /// `reserved2`.
    Reserved2 = 5,
    /// `reserved3`.
    Reserved3 = 6,
    /// `unavailable`.
    Unavailable = 7,
}
