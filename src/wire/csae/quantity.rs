//! Steps of the message set to SI and back.

use crate::observation::RejectReason;
use crate::units::Position;
use crate::wire::asn1::csae::{
    AccelerationSet4Way, Position3D, PositionConfidence, PositionLl24B, PositionLl28B,
    PositionLl32B, PositionLl36B, PositionLl44B, PositionLl48B, PositionLlmD64b, PositionOffsetLl,
    PositionOffsetLlv, PositionalAccuracy, VehicleSize,
};

/// 1e-7 degree.
const STEPS_PER_DEG: f64 = 1e7;

/// One step of a speed in m/s.
const SPEED_STEP_MPS: f64 = 0.02;
const SPEED_UNKNOWN: u16 = 8191;

/// One step of a heading in degrees.
const HEADING_STEP_DEG: f64 = 0.0125;
const HEADING_UNKNOWN: u16 = 28_800;

const LATITUDE_UNKNOWN: i32 = 900_000_001;
const LONGITUDE_UNKNOWN: i32 = 1_800_000_001;

/// One step of the axes of an error ellipse in metres (one standard deviation).
const AXIS_STEP_M: f64 = 0.05;
const AXIS_UNKNOWN: u8 = 255;

/// Radius of the circle that holds 95 % of a circular normal distribution, in standard deviations
/// of one axis: sqrt(-2 ln 0.05).
const RADIUS_95_SIGMAS: f32 = 2.448;

pub(super) fn speed_mps(steps: u16) -> Option<f64> {
    (steps != SPEED_UNKNOWN).then(|| f64::from(steps) * SPEED_STEP_MPS)
}

pub(super) fn heading_deg(steps: u16) -> Option<f64> {
    (steps != HEADING_UNKNOWN).then(|| f64::from(steps) * HEADING_STEP_DEG)
}

pub(super) fn speed_steps(speed_mps: Option<f32>) -> u16 {
    speed_mps.map_or(SPEED_UNKNOWN, |speed| {
        let steps = f64::from(speed) / SPEED_STEP_MPS;
        steps.round().clamp(0.0, f64::from(SPEED_UNKNOWN - 1)) as u16
    })
}

pub(super) fn heading_steps(heading_deg: Option<f32>) -> u16 {
    heading_deg.map_or(HEADING_UNKNOWN, |heading| {
        let steps = f64::from(heading).rem_euclid(360.0) / HEADING_STEP_DEG;
        steps.round() as u16 % HEADING_UNKNOWN
    })
}

/// A position of the message set in steps.
#[derive(Clone, Copy)]
pub(super) struct Steps {
    pub(super) lon: i32,
    pub(super) lat: i32,
}

impl Steps {
    /// The nearest steps; what is not a position becomes the values for unknown.
    pub(super) fn of(position: Position) -> Self {
        if !position.is_valid() {
            return Self {
                lon: LONGITUDE_UNKNOWN,
                lat: LATITUDE_UNKNOWN,
            };
        }
        let steps = |deg: f64| (deg * STEPS_PER_DEG).round() as i32;
        Self {
            lon: steps(position.lon_deg).max(-1_799_999_999),
            lat: steps(position.lat_deg),
        }
    }

    pub(super) fn known(self) -> Result<Self, RejectReason> {
        if self.lon == LONGITUDE_UNKNOWN || self.lat == LATITUDE_UNKNOWN {
            return Err(RejectReason::MissingField);
        }
        Ok(self)
    }

    pub(super) fn position(self) -> Position {
        Position::new(
            f64::from(self.lon) / STEPS_PER_DEG,
            f64::from(self.lat) / STEPS_PER_DEG,
        )
    }
}

impl From<&Position3D> for Steps {
    fn from(position: &Position3D) -> Self {
        Self {
            lon: position.long,
            lat: position.lat,
        }
    }
}

pub(super) fn position_3d(position: Position) -> Position3D {
    let steps = Steps::of(position);
    Position3D {
        lat: steps.lat,
        long: steps.lon,
        elevation: None,
    }
}

/// Where an offset from `reference` leads.
pub(super) fn resolve_offset(
    reference: &Position3D,
    offset: &PositionOffsetLl,
) -> Result<Position, RejectReason> {
    let (lon, lat) = match offset {
        PositionOffsetLl::PositionLl1(o) => (i32::from(o.lon), i32::from(o.lat)),
        PositionOffsetLl::PositionLl2(o) => (i32::from(o.lon), i32::from(o.lat)),
        PositionOffsetLl::PositionLl3(o) => (i32::from(o.lon), i32::from(o.lat)),
        PositionOffsetLl::PositionLl4(o) => (o.lon, o.lat),
        PositionOffsetLl::PositionLl5(o) => (o.lon, o.lat),
        PositionOffsetLl::PositionLl6(o) => (o.lon, o.lat),
        PositionOffsetLl::PositionLatLon(absolute) => {
            let steps = Steps {
                lon: absolute.lon,
                lat: absolute.lat,
            };
            return Ok(steps.known()?.position());
        }
    };
    // 1.8e9 + 8.4e6 steps fit.
    let reference = Steps::from(reference).known()?;
    let there = Steps {
        lon: reference.lon + lon,
        lat: reference.lat + lat,
    };
    Ok(there.position())
}

/// `position` as the narrowest offset from `reference` that holds it.
pub(super) fn offset_from(reference: Position, position: Position) -> PositionOffsetLlv {
    let (from, to) = (Steps::of(reference), Steps::of(position));
    let (lon, lat) = (
        i64::from(to.lon) - i64::from(from.lon),
        i64::from(to.lat) - i64::from(from.lat),
    );
    let fits = |bits: u32| {
        let bound = 1i64 << (bits - 1);
        (-bound..bound).contains(&lon) && (-bound..bound).contains(&lat)
    };
    let (wide, narrow) = ((lon as i32, lat as i32), (lon as i16, lat as i16));
    let offset_ll = if fits(12) {
        PositionOffsetLl::PositionLl1(PositionLl24B {
            lon: narrow.0,
            lat: narrow.1,
        })
    } else if fits(14) {
        PositionOffsetLl::PositionLl2(PositionLl28B {
            lon: narrow.0,
            lat: narrow.1,
        })
    } else if fits(16) {
        PositionOffsetLl::PositionLl3(PositionLl32B {
            lon: narrow.0,
            lat: narrow.1,
        })
    } else if fits(18) {
        PositionOffsetLl::PositionLl4(PositionLl36B {
            lon: wide.0,
            lat: wide.1,
        })
    } else if fits(22) {
        PositionOffsetLl::PositionLl5(PositionLl44B {
            lon: wide.0,
            lat: wide.1,
        })
    } else if fits(24) {
        PositionOffsetLl::PositionLl6(PositionLl48B {
            lon: wide.0,
            lat: wide.1,
        })
    } else {
        PositionOffsetLl::PositionLatLon(PositionLlmD64b {
            lon: to.lon,
            lat: to.lat,
        })
    };
    PositionOffsetLlv {
        offset_ll,
        offset_v: None,
    }
}

/// The standard deviation per axis of an error ellipse of one standard deviation (SAE J2735,
/// DF_PositionalAccuracy), metres: the root mean square of its half axes.
pub(super) fn ellipse_sigma_m(accuracy: &PositionalAccuracy) -> Option<f32> {
    if accuracy.semi_major == AXIS_UNKNOWN || accuracy.semi_minor == AXIS_UNKNOWN {
        return None;
    }
    let axis_m = |steps: u8| f64::from(steps) * AXIS_STEP_M;
    let (major, minor) = (axis_m(accuracy.semi_major), axis_m(accuracy.semi_minor));
    Some(((major * major + minor * minor) / 2.0).sqrt() as f32)
}

/// The standard deviation per axis, metres, of a position known to lie within a radius with 95 %
/// confidence (SAE J2735, DE_PositionConfidence).
pub(super) fn confidence_sigma_m(confidence: PositionConfidence) -> Option<f32> {
    let radius_m = match confidence {
        PositionConfidence::Unavailable => return None,
        PositionConfidence::A500m => 500.0,
        PositionConfidence::A200m => 200.0,
        PositionConfidence::A100m => 100.0,
        PositionConfidence::A50m => 50.0,
        PositionConfidence::A20m => 20.0,
        PositionConfidence::A10m => 10.0,
        PositionConfidence::A5m => 5.0,
        PositionConfidence::A2m => 2.0,
        PositionConfidence::A1m => 1.0,
        PositionConfidence::A50cm => 0.5,
        PositionConfidence::A20cm => 0.2,
        PositionConfidence::A10cm => 0.1,
        PositionConfidence::A5cm => 0.05,
        PositionConfidence::A2cm => 0.02,
        PositionConfidence::A1cm => 0.01,
    };
    Some(radius_m / RADIUS_95_SIGMAS)
}

/// Acceleration along the vehicle, the other axes unknown.
pub(super) fn acceleration(along_mps2: Option<f32>) -> AccelerationSet4Way {
    const UNKNOWN: i16 = 2001;
    let long = along_mps2.map_or(UNKNOWN, |a| {
        (a * 100.0).round().clamp(-2000.0, 2000.0) as i16
    });
    AccelerationSet4Way {
        long,
        lat: UNKNOWN,
        vert: -127,
        yaw: 0,
    }
}

/// Outer size; 0 m is unknown.
pub(super) fn vehicle_size(length_m: f32, width_m: f32) -> VehicleSize {
    let centimetres = |metres: f32, max: f32| (metres * 100.0).round().clamp(0.0, max) as u16;
    VehicleSize {
        width: centimetres(width_m, 1023.0),
        length: centimetres(length_m, 4095.0),
        height: None,
    }
}
