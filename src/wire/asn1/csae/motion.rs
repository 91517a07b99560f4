//! Speed, heading, acceleration and what is known of them.

use rasn::prelude::*;

/// Acceleration along four axes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct AccelerationSet4Way {
    /// Along: `-2000..=2001`; 0.01 m/s², 2001 unknown.
    #[rasn(identifier = "long", value("-2000..=2001"))]
    pub long: i16,
    /// Across: `-2000..=2001`; 0.01 m/s², 2001 unknown.
    #[rasn(identifier = "lat", value("-2000..=2001"))]
    pub lat: i16,
    /// Upwards: `-127..=127`; 0.02 g, -127 unknown.
    #[rasn(identifier = "vert", value("-127..=127"))]
    pub vert: i8,
    /// Yaw rate: `-32767..=32767`; 0.01 degree/s.
    #[rasn(identifier = "yaw", value("-32767..=32767"))]
    pub yaw: i16,
}

/// How well speed, heading and steering are known.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct MotionConfidenceSet {
    /// Confidence of the speed.
    #[rasn(identifier = "speedCfd")]
    pub speed_cfd: Option<SpeedConfidence>,
    /// Confidence of the heading.
    #[rasn(identifier = "headingCfd")]
    pub heading_cfd: Option<HeadingConfidence>,
    /// Confidence of the steering wheel angle.
    #[rasn(identifier = "steerCfd")]
    pub steer_cfd: Option<SteeringWheelAngleConfidence>,
}

/// Heading is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum HeadingConfidence {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `prec10deg`.
    #[rasn(identifier = "prec10deg")]
    Prec10deg = 1,
    /// `prec05deg`.
    #[rasn(identifier = "prec05deg")]
    Prec05deg = 2,
    /// `prec01deg`.
    #[rasn(identifier = "prec01deg")]
    Prec01deg = 3,
    /// `prec0-1deg`.
    #[rasn(identifier = "prec0-1deg")]
    Prec0_1deg = 4,
    /// `prec0-05deg`.
    #[rasn(identifier = "prec0-05deg")]
    Prec0_05deg = 5,
    /// `prec0-01deg`.
    #[rasn(identifier = "prec0-01deg")]
    Prec0_01deg = 6,
    /// `prec0-0125deg`.
    #[rasn(identifier = "prec0-0125deg")]
    Prec0_0125deg = 7,
}

/// Speed is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum SpeedConfidence {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `prec100ms`.
    #[rasn(identifier = "prec100ms")]
    Prec100ms = 1,
    /// `prec10ms`.
    #[rasn(identifier = "prec10ms")]
    Prec10ms = 2,
    /// `prec5ms`.
    #[rasn(identifier = "prec5ms")]
    Prec5ms = 3,
    /// `prec1ms`.
    #[rasn(identifier = "prec1ms")]
    Prec1ms = 4,
    /// `prec0-1ms`.
    #[rasn(identifier = "prec0-1ms")]
    Prec0_1ms = 5,
    /// `prec0-05ms`.
    #[rasn(identifier = "prec0-05ms")]
    Prec0_05ms = 6,
    /// `prec0-01ms`.
    #[rasn(identifier = "prec0-01ms")]
    Prec0_01ms = 7,
}

/// Steering wheel angle is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum SteeringWheelAngleConfidence {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `prec2deg`.
    #[rasn(identifier = "prec2deg")]
    Prec2deg = 1,
    /// `prec1deg`.
    #[rasn(identifier = "prec1deg")]
    Prec1deg = 2,
    /// `prec0-02deg`.
    #[rasn(identifier = "prec0-02deg")]
    Prec0_02deg = 3,
}
