//! Basic safety messages.

use crate::observation::{Observation, Origin, RejectReason};
use crate::units::{Position, Timestamp};
use crate::wire::asn1::csae2019::{
    BasicSafetyMessage, BrakeSystemStatus, MessageFrame, TransmissionState, VehicleClassification,
    encode_frame,
};
use crate::wire::asn1::uper;
use crate::wire::record::Fix;
use crate::wire::subject::subject_id;

use super::calendar::{resolve_second_mark, second_mark};
use super::quantity::{
    Steps, acceleration, confidence_sigma_m, ellipse_sigma_m, heading_deg, heading_steps,
    position_3d, speed_mps, speed_steps, vehicle_size,
};

/// Class code of a passenger vehicle of unknown kind (T/CSAE 53, DE_BasicVehicleClass).
const PASSENGER_VEHICLE: u8 = 10;

/// What one vehicle says of itself, for senders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct BsmRecord {
    /// The vehicle's temporary id.
    pub id: [u8; 8],
    /// Counts the vehicle's messages; taken modulo 128.
    pub message_count: u8,
    /// When; only the milliseconds in the minute leave.
    pub observed_at: Timestamp,
    /// Where (WGS-84).
    pub position: Position,
    /// Speed in m/s, in steps of 0.02 up to 163.8.
    pub speed_mps: Option<f32>,
    /// Heading in degrees clockwise from north, in steps of 0.0125.
    pub heading_deg: Option<f32>,
    /// Acceleration along the vehicle in m/s², within 20.
    pub accel_mps2: Option<f32>,
    /// Length in metres, up to 40.95; 0 is unknown.
    pub length_m: f32,
    /// Width in metres, up to 10.23; 0 is unknown.
    pub width_m: f32,
}

/// What `message` says of its sender.
pub(super) fn observation(
    message: &uper::Bsm,
    received_at: Timestamp,
) -> Result<Observation, RejectReason> {
    let fix = Fix {
        observed_ms: resolve_second_mark(message.sec_mark, received_at)?.as_millis(),
        subject: subject_id(&message.id),
        position: Steps::from(&message.pos).known()?.position(),
        speed_mps: speed_mps(message.speed),
        heading_deg: heading_deg(message.heading),
    };
    let accuracy_m = message
        .pos_accuracy
        .as_ref()
        .and_then(ellipse_sigma_m)
        .or_else(|| {
            let confidence = message.pos_confidence?;
            confidence_sigma_m(confidence)
        });
    Ok(Observation {
        accuracy_m,
        ..fix.observation(Origin::Bsm)?
    })
}

/// Writes `record` as one UPER message frame, which is the same in both dialects. Values beyond
/// their range are clamped; a position that is none leaves as unknown.
pub fn encode_bsm(record: &BsmRecord) -> Vec<u8> {
    let message = BasicSafetyMessage {
        msg_cnt: record.message_count % 128,
        id: record.id.into(),
        sec_mark: second_mark(record.observed_at),
        time_confidence: None,
        pos: position_3d(record.position),
        pos_accuracy: None,
        pos_confidence: None,
        transmission: TransmissionState::ForwardGears,
        speed: speed_steps(record.speed_mps),
        heading: heading_steps(record.heading_deg),
        angle: None,
        motion_cfd: None,
        accel_set: acceleration(record.accel_mps2),
        brakes: BrakeSystemStatus {
            brake_padel: None,
            wheel_brakes: None,
            traction: None,
            abs: None,
            scs: None,
            brake_boost: None,
            aux_brakes: None,
        },
        size: vehicle_size(record.length_m, record.width_m),
        vehicle_class: VehicleClassification {
            classification: PASSENGER_VEHICLE,
            fuel_type: None,
        },
        safety_ext: None,
        emergency_ext: None,
    };
    encode_frame(&MessageFrame::BsmFrame(message)).expect("every member is clamped to its range")
}
