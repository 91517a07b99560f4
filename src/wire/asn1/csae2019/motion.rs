//! Speed, heading, acceleration and what is known of them.

use rasn::prelude::*;

/// Acceleration along four axes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct AccelerationSet4Way {
    /// Along: `-2000..=2001`; 0.01 m/s², 2001 unknown.
    #[rasn(value("-2000..=2001"))]
    pub long: i16,
    /// Across: `-2000..=2001`; 0.01 m/s², 2001 unknown.
    #[rasn(value("-2000..=2001"))]
    pub lat: i16,
    /// Upwards: `-127..=127`; 0.02 g, -127 unknown.
    #[rasn(value("-127..=127"))]
    pub vert: i8,
    /// Yaw rate: `-32767..=32767`; 0.01 degree/s.
    #[rasn(value("-32767..=32767"))]
    pub yaw: i16,
}

/// How well speed, heading and steering are known.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct MotionConfidenceSet {
    /// Confidence of the speed.
    pub speed_cfd: Option<SpeedConfidence>,
    /// Confidence of the heading.
    pub heading_cfd: Option<HeadingConfidence>,
    /// Confidence of the steering wheel angle.
    pub steer_cfd: Option<SteeringWheelAngleConfidence>,
}

/// Heading is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum HeadingConfidence {
    /// `unavailable`.
    Unavailable = 0,
    /// `prec10deg`.
    Prec10deg = 1,
    /// `prec05deg`.
    Prec05deg = 2,
    /// `prec01deg`.
    Prec01deg = 3,
    /// `prec0-1deg`.
    Prec0_1deg = 4,
    /// `prec0-05deg`.
    Prec0_05deg = 5,
    /// `prec0-01deg`.
    Prec0_01deg = 6,
    /// `prec0-0125deg`.
    Prec0_0125deg = 7,
}

/// Speed is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum SpeedConfidence {
    /// `unavailable`.
    Unavailable = 0,
    /// `prec100ms`.
    Prec100ms = 1,
    /// `prec10ms`.
    Prec10ms = 2,
    /// `prec5ms`.
    Prec5ms = 3,
    /// `prec1ms`.
    Prec1ms = 4,
    /// `prec0-1ms`.
    Prec0_1ms = 5,
    /// `prec0-05ms`.
    Prec0_05ms = 6,
    /// `prec0-01ms`.
    Prec0_01ms = 7,
}

/// Steering wheel angle is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum SteeringWheelAngleConfidence {
    /// `unavailable`.
    Unavailable = 0,
    /// `prec2deg`.
    Prec2deg = 1,
    /// `prec1deg`.
    Prec1deg = 2,
    /// `prec0-02deg`.
    Prec0_02deg = 3,
}
