//! Attitude, angular velocity and acceleration, and how well they are known.

use rasn::prelude::*;

use crate::wire::asn1::csae::HeadingConfidence;

/// Attitude about three axes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct Attitude {
    /// Pitch: `-7200..=7200`; 0.02 degree.
    #[rasn(identifier = "pitch", value("-7200..=7200"))]
    pub pitch: i16,
    /// Roll: `-7200..=7200`; 0.02 degree.
    #[rasn(identifier = "roll", value("-7200..=7200"))]
    pub roll: i16,
    /// Yaw: `-14400..=14400`; 0.02 degree.
    #[rasn(identifier = "yaw", value("-14400..=14400"))]
    pub yaw: i16,
}

/// How well the attitude is known.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct AttitudeConfidence {
    /// Pitch.
    #[rasn(identifier = "pitchConfidence")]
    pub pitch_confidence: HeadingConfidence,
    /// Roll.
    #[rasn(identifier = "rollRateConfidence")]
    pub roll_rate_confidence: HeadingConfidence,
    /// Yaw rate.
    #[rasn(identifier = "yawRate")]
    pub yaw_rate: HeadingConfidence,
}

/// Angular velocity about three axes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct AngularVelocity {
    /// Pitch rate: `-32767..=32767`; 0.01 degree/s.
    #[rasn(identifier = "pitchRate", value("-32767..=32767"))]
    pub pitch_rate: i16,
    /// Roll rate: `-32767..=32767`; 0.01 degree/s.
    #[rasn(identifier = "rollRate", value("-32767..=32767"))]
    pub roll_rate: i16,
    /// Yaw rate: `-32767..=32767`; 0.01 degree/s.
    #[rasn(identifier = "yawRate", value("-32767..=32767"))]
    pub yaw_rate: i16,
}

/// How well the angular velocity is known.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct AngularVelocityConfidence {
    /// Pitch rate.
    #[rasn(identifier = "pitchRate")]
    pub pitch_rate: AngularVConfidence,
    /// Roll rate.
    #[rasn(identifier = "rollRate")]
    pub roll_rate: AngularVConfidence,
    /// Yaw rate.
    #[rasn(identifier = "yawRate")]
    pub yaw_rate: AngularVConfidence,
}

/// Angular velocity is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum AngularVConfidence {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `prec100deg`.
    #[rasn(identifier = "prec100deg")]
    Prec100deg = 1,
    /// `prec10deg`.
    #[rasn(identifier = "prec10deg")]
    Prec10deg = 2,
    /// `prec5deg`.
    #[rasn(identifier = "prec5deg")]
    Prec5deg = 3,
    /// `prec1deg`.
    #[rasn(identifier = "prec1deg")]
    Prec1deg = 4,
    /// `prec0-1deg`.
    #[rasn(identifier = "prec0-1deg")]
    Prec0_1deg = 5,
    /// `prec0-05deg`.
    #[rasn(identifier = "prec0-05deg")]
    Prec0_05deg = 6,
    /// `prec0-01deg`.
    #[rasn(identifier = "prec0-01deg")]
    Prec0_01deg = 7,
}

/// How well the acceleration is known.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct AccSet4WayConfidence {
    /// Along.
    #[rasn(identifier = "lonAccConfidence")]
    pub lon_acc_confidence: AccConfidence,
    /// Across.
    #[rasn(identifier = "latAccConfidence")]
    pub lat_acc_confidence: AccConfidence,
    /// Upwards.
    #[rasn(identifier = "vertAccConfidence")]
    pub vert_acc_confidence: AccConfidence,
    /// Yaw rate.
    #[rasn(identifier = "yawRateCon")]
    pub yaw_rate_con: AngularVConfidence,
}

/// Acceleration is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum AccConfidence {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `prec100deg`.
    #[rasn(identifier = "prec100deg")]
    Prec100deg = 1,
    /// `prec10deg`.
    #[rasn(identifier = "prec10deg")]
    Prec10deg = 2,
    /// `prec5deg`.
    #[rasn(identifier = "prec5deg")]
    Prec5deg = 3,
    /// `prec1deg`.
    #[rasn(identifier = "prec1deg")]
    Prec1deg = 4,
    /// `prec0-1deg`.
    #[rasn(identifier = "prec0-1deg")]
    Prec0_1deg = 5,
    /// `prec0-05deg`.
    #[rasn(identifier = "prec0-05deg")]
    Prec0_05deg = 6,
    /// `prec0-01deg`.
    #[rasn(identifier = "prec0-01deg")]
    Prec0_01deg = 7,
}
