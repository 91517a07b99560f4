//! What a vehicle says of itself beside position and motion.

use rasn::prelude::*;

use super::position::{PositionConfidenceSet, PositionOffsetLlv};

/// State of the brakes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct BrakeSystemStatus {
    /// Brake pedal.
    #[rasn(identifier = "brakePadel")]
    pub brake_padel: Option<BrakePedalStatus>,
    /// Wheels braking.
    #[rasn(identifier = "wheelBrakes")]
    pub wheel_brakes: Option<BrakeAppliedStatus>,
    /// Traction control.
    #[rasn(identifier = "traction")]
    pub traction: Option<TractionControlStatus>,
    /// Anti-lock brakes.
    #[rasn(identifier = "abs")]
    pub abs: Option<AntiLockBrakeStatus>,
    /// Stability control.
    #[rasn(identifier = "scs")]
    pub scs: Option<StabilityControlStatus>,
    /// Brake booster.
    #[rasn(identifier = "brakeBoost")]
    pub brake_boost: Option<BrakeBoostApplied>,
    /// Auxiliary brakes.
    #[rasn(identifier = "auxBrakes")]
    pub aux_brakes: Option<AuxiliaryBrakeStatus>,
}

/// Brake pedal.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum BrakePedalStatus {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `off`.
    #[rasn(identifier = "off")]
    Off = 1,
    /// `on`.
    #[rasn(identifier = "on")]
    On = 2,
}

/// Wheels braking: 5 bits: 0 unavailable, 1 leftFront, 2 leftRear, 3 rightFront, 4 rightRear.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(5))]
pub struct BrakeAppliedStatus(pub BitString);

/// Brake booster.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum BrakeBoostApplied {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `off`.
    #[rasn(identifier = "off")]
    Off = 1,
    /// `on`.
    #[rasn(identifier = "on")]
    On = 2,
}

/// Traction control.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum TractionControlStatus {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `off`.
    #[rasn(identifier = "off")]
    Off = 1,
    /// `on`.
    #[rasn(identifier = "on")]
    On = 2,
    /// `engaged`.
    #[rasn(identifier = "engaged")]
    Engaged = 3,
}

/// Anti-lock brakes.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum AntiLockBrakeStatus {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `off`.
    #[rasn(identifier = "off")]
    Off = 1,
    /// `on`.
    #[rasn(identifier = "on")]
    On = 2,
    /// `engaged`.
    #[rasn(identifier = "engaged")]
    Engaged = 3,
}

/// Stability control.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum StabilityControlStatus {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `off`.
    #[rasn(identifier = "off")]
    Off = 1,
    /// `on`.
    #[rasn(identifier = "on")]
    On = 2,
    /// `engaged`.
    #[rasn(identifier = "engaged")]
    Engaged = 3,
}

/// Auxiliary brakes.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum AuxiliaryBrakeStatus {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `off`.
    #[rasn(identifier = "off")]
    Off = 1,
    /// `on`.
    #[rasn(identifier = "on")]
    On = 2,
    /// `reserved`.
    #[rasn(identifier = "reserved")]
    Reserved = 3,
}

/// Class of a vehicle.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct VehicleClassification {
    /// Class: `0..=255`; class code.
    #[rasn(identifier = "classification", value("0..=255"))]
    pub classification: u8,
    /// Fuel: `0..=15`; fuel code.
    #[rasn(identifier = "fuelType", value("0..=15"))]
    pub fuel_type: Option<u8>,
}

/// What an emergency vehicle is doing.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct VehicleEmergencyExtensions {
    /// How it moves.
    #[rasn(identifier = "responseType")]
    pub response_type: Option<ResponseType>,
    /// Siren.
    #[rasn(identifier = "sirenUse")]
    pub siren_use: Option<SirenInUse>,
    /// Light bar.
    #[rasn(identifier = "lightsUse")]
    pub lights_use: Option<LightbarInUse>,
}

/// How an emergency vehicle is moving.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum ResponseType {
    /// `notInUseOrNotEquipped`.
    #[rasn(identifier = "notInUseOrNotEquipped")]
    NotInUseOrNotEquipped = 0,
    /// `emergency`.
    #[rasn(identifier = "emergency")]
    Emergency = 1,
    /// `nonEmergency`.
    #[rasn(identifier = "nonEmergency")]
    NonEmergency = 2,
    /// `pursuit`.
    #[rasn(identifier = "pursuit")]
    Pursuit = 3,
    /// `stationary`.
    #[rasn(identifier = "stationary")]
    Stationary = 4,
    /// `slowMoving`.
    #[rasn(identifier = "slowMoving")]
    SlowMoving = 5,
    /// `stopAndGoMovement`.
    #[rasn(identifier = "stopAndGoMovement")]
    StopAndGoMovement = 6,
}

/// Siren.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum SirenInUse {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `notInUse`.
    #[rasn(identifier = "notInUse")]
    NotInUse = 1,
    /// `inUse`.
    #[rasn(identifier = "inUse")]
    InUse = 2,
    /// `reserved`.
    #[rasn(identifier = "reserved")]
    Reserved = 3,
}

/// Light bar.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum LightbarInUse {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `notInUse`.
    #[rasn(identifier = "notInUse")]
    NotInUse = 1,
    /// `inUse`.
    #[rasn(identifier = "inUse")]
    InUse = 2,
    /// `yellowCautionLights`.
    #[rasn(identifier = "yellowCautionLights")]
    YellowCautionLights = 3,
    /// `schooldBusLights`.
    #[rasn(identifier = "schooldBusLights")]
    SchooldBusLights = 4,
    /// `arrowSignsActive`.
    #[rasn(identifier = "arrowSignsActive")]
    ArrowSignsActive = 5,
    /// `slowMovingVehicle`.
    #[rasn(identifier = "slowMovingVehicle")]
    SlowMovingVehicle = 6,
    /// `freqStops`.
    #[rasn(identifier = "freqStops")]
    FreqStops = 7,
}

/// State of positioning: 8 bits: 0 unavailable, 1 isHealthy, 2 isMonitored, 3 baseStationType, 4
/// aPDOPofUnder5, 5 inViewOfUnder5, 6 localCorrectionsPresent, 7 networkCorrectionsPresent.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(8))]
pub struct GnssStatus(pub BitString);

/// One point of a path history.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PathHistoryPoint {
    /// Where.
    #[rasn(identifier = "llvOffset")]
    pub llv_offset: PositionOffsetLlv,
    /// How long ago: `1..=65535`; 0.01 s, 65535 unknown.
    #[rasn(identifier = "timeOffset", value("1..=65535"))]
    pub time_offset: u16,
    /// Speed: `0..=8191`; 0.02 m/s, 8191 unknown.
    #[rasn(identifier = "speed", value("0..=8191"))]
    pub speed: Option<u16>,
    /// Confidence of the position.
    #[rasn(identifier = "posAccuracy")]
    pub pos_accuracy: Option<PositionConfidenceSet>,
    /// Heading: `0..=240`; 1.5 degrees, 240 unknown.
    #[rasn(identifier = "heading", value("0..=240"))]
    pub heading: Option<u8>,
}

/// Where the vehicle is heading.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PathPrediction {
    /// Radius of the path: `-32767..=32767`; 0.1 m, 32767 straight.
    #[rasn(identifier = "radiusOfCurve", value("-32767..=32767"))]
    pub radius_of_curve: i16,
    /// How sure: `0..=200`; 0.5 %.
    #[rasn(identifier = "confidence", value("0..=200"))]
    pub confidence: u8,
}

/// What is happening: 13 bits or more: 0 eventHazardLights, 1 eventStopLineViolation, 2
/// eventABSactivated, 3 eventTractionControlLoss, 4 eventStabilityControlactivated, 5
/// eventHazardousMaterials, 6 eventReserved1, 7 eventHardBraking, 8 eventLightsChanged, 9
/// eventWipersChanged, 10 eventFlatTire, 11 eventDisabledVehicle, 12 eventAirBagDeployment.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(13, extensible))]
pub struct VehicleEventFlags(pub BitString);

/// Lights on: 9 bits or more: 0 lowBeamHeadlightsOn, 1 highBeamHeadlightsOn, 2 leftTurnSignalOn, 3
/// rightTurnSignalOn, 4 hazardSignalOn, 5 automaticLightControlOn, 6 daytimeRunningLightsOn, 7
/// fogLightOn, 8 parkingLightsOn.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(9, extensible))]
pub struct ExteriorLights(pub BitString);

/// Outer size of a vehicle.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct VehicleSize {
    /// Width: `0..=1023`; 0.01 m, 0 unknown.
    #[rasn(identifier = "width", value("0..=1023"))]
    pub width: u16,
    /// Length: `0..=4095`; 0.01 m, 0 unknown.
    #[rasn(identifier = "length", value("0..=4095"))]
    pub length: u16,
    /// Height: `0..=127`; 0.05 m, 0 unknown.
    #[rasn(identifier = "height", value("0..=127"))]
    pub height: Option<u8>,
}

/// Gear.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum TransmissionState {
    /// `neutral`.
    #[rasn(identifier = "neutral")]
    Neutral = 0,
    /// `park`.
    #[rasn(identifier = "park")]
    Park = 1,
    /// `forwardGears`.
    #[rasn(identifier = "forwardGears")]
    ForwardGears = 2,
    /// `reverseGears`.
    #[rasn(identifier = "reverseGears")]
    ReverseGears = 3,
    /// `reserved1`.
    #[rasn(identifier = "reserved1")]
    Reserved1 = 4,
    /// `reserved2`.
    #[rasn(identifier = "reserved2")]
    Reserved2 = 5,
    /// `reserved3`.
    #[rasn(identifier = "reserved3")]
    Reserved3 = 6,
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 7,
}
