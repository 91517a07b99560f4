//! Roadside safety messages.

use crate::observation::{Observation, Origin, RejectReason};
use crate::units::{ObserverId, Position, SubjectId, Timestamp};
use crate::wire::asn1::EncodeError;
use crate::wire::asn1::csae2019::{
    MessageFrame, ParticipantData, ParticipantType, PositionConfidence, PositionConfidenceSet,
    RoadsideSafetyMessage, SourceType, encode_frame,
};
use crate::wire::asn1::uper;
use crate::wire::record::Fix;
use crate::wire::subject::{SubjectHasher, observer_id};

use super::calendar::{resolve_second_mark, second_mark};
use super::quantity::{
    confidence_sigma_m, heading_deg, heading_steps, offset_from, position_3d, resolve_offset,
    speed_mps, speed_steps, vehicle_size,
};

/// Most road users of one message.
pub const PARTICIPANTS_MAX: usize = 16;

/// Kind of road user, for senders.
pub use crate::wire::asn1::csae::ParticipantType as ParticipantKind;

/// One road user as a roadside unit perceives it, for senders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct RsmParticipant {
    /// The number the roadside unit gave it.
    pub participant_id: u16,
    /// What it is; only motor vehicles and unknown objects count as traffic.
    pub kind: ParticipantKind,
    /// When; only the milliseconds in the minute leave.
    pub observed_at: Timestamp,
    /// Where (WGS-84).
    pub position: Position,
    /// Speed in m/s, in steps of 0.02 up to 163.8.
    pub speed_mps: Option<f32>,
    /// Heading in degrees clockwise from north, in steps of 0.0125.
    pub heading_deg: Option<f32>,
    /// Length in metres, up to 40.95; 0 is unknown.
    pub length_m: f32,
    /// Width in metres, up to 10.23; 0 is unknown.
    pub width_m: f32,
}

/// The pseudonym of the object that the unit `rsu_id` calls `participant_id`.
pub fn rsm_subject(rsu_id: [u8; 8], participant_id: u16) -> SubjectId {
    SubjectHasher::default()
        .with(&rsu_id)
        .with(&participant_id.to_be_bytes())
        .finish()
}

/// Who the unit `rsu_id` is as an observer.
fn observer(rsu_id: [u8; 8]) -> ObserverId {
    observer_id(&rsu_id)
}

/// What `message` says of `participant`.
pub(super) fn observation(
    message: &uper::Rsm,
    participant: &uper::Participant,
    received_at: Timestamp,
) -> Result<Observation, RejectReason> {
    match participant.ptc_type {
        ParticipantType::Motor | ParticipantType::Unknown => {}
        _ => return Err(RejectReason::UnsupportedKind),
    }
    let fix = Fix {
        observed_ms: resolve_second_mark(participant.sec_mark, received_at)?.as_millis(),
        subject: rsm_subject(message.id, participant.ptc_id),
        position: resolve_offset(&message.ref_pos, &participant.pos)?,
        speed_mps: speed_mps(participant.speed),
        heading_deg: heading_deg(participant.heading),
    };
    Ok(Observation {
        accuracy_m: confidence_sigma_m(participant.pos_confidence),
        altitude_m: None,
        observer: observer(message.id),
        ..fix.observation(Origin::Rsm)?
    })
}

/// Writes `participants` (1 to 16) as the unit `rsu_id` standing at `reference` perceives them, as
/// one UPER message frame, which is the same in both dialects. `message_count` is taken modulo 128;
/// values beyond their range are clamped.
///
/// # Errors
///
/// When there is no participant or more than [`PARTICIPANTS_MAX`].
pub fn encode_rsm(
    rsu_id: [u8; 8],
    message_count: u8,
    reference: Position,
    participants: &[RsmParticipant],
) -> Result<Vec<u8>, EncodeError> {
    let participants = participants
        .iter()
        .map(|participant| ParticipantData {
            ptc_type: participant.kind,
            ptc_id: participant.participant_id,
            source: SourceType::Integrated,
            id: None,
            sec_mark: second_mark(participant.observed_at),
            pos: offset_from(reference, participant.position),
            pos_confidence: PositionConfidenceSet {
                pos: PositionConfidence::Unavailable,
                elevation: None,
            },
            transmission: None,
            speed: speed_steps(participant.speed_mps),
            heading: heading_steps(participant.heading_deg),
            angle: None,
            motion_cfd: None,
            accel_set: None,
            size: vehicle_size(participant.length_m, participant.width_m),
            vehicle_class: None,
        })
        .collect();
    encode_frame(&MessageFrame::RsmFrame(RoadsideSafetyMessage {
        msg_cnt: message_count % 128,
        id: rsu_id.into(),
        ref_pos: position_3d(reference),
        participants,
    }))
}
