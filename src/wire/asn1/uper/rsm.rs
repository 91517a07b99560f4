//! The roadside safety message.

use super::reader::Reader;
use crate::wire::asn1::FrameError;
use crate::wire::asn1::csae::{ParticipantType, Position3D, PositionConfidence, PositionOffsetLl};

type Read<T> = Result<T, FrameError>;

/// What observations need of an RSM.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Rsm {
    pub(crate) id: [u8; 8],
    pub(crate) ref_pos: Position3D,
    pub(crate) participants: Vec<Participant>,
}

/// What an observation needs of one road user.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Participant {
    pub(crate) ptc_type: ParticipantType,
    pub(crate) ptc_id: u16,
    pub(crate) sec_mark: u16,
    pub(crate) pos: PositionOffsetLl,
    pub(crate) pos_confidence: PositionConfidence,
    pub(crate) speed: u16,
    pub(crate) heading: u16,
}

pub(super) fn read(reader: &mut Reader<'_>) -> Read<Rsm> {
    reader.no_extension()?;
    // msgCnt
    reader.bits(7)?;
    let id = reader.octets_8()?;
    let ref_pos = reader.position_3d()?;
    let count = reader.bits(4)? as usize + 1;
    let mut participants = Vec::with_capacity(count);
    for _ in 0..count {
        participants.push(participant(reader)?);
    }
    Ok(Rsm {
        id,
        ref_pos,
        participants,
    })
}

fn participant(reader: &mut Reader<'_>) -> Read<Participant> {
    reader.no_extension()?;
    let [id, transmission, angle, motion, acceleration, class] = reader.presence()?;
    reader.no_extension()?;
    let ptc_type = match reader.up_to(3, 4)? {
        0 => ParticipantType::Unknown,
        1 => ParticipantType::Motor,
        2 => ParticipantType::NonMotor,
        3 => ParticipantType::Pedestrian,
        _ => ParticipantType::Rsu,
    };
    let ptc_id = reader.bits(16)? as u16;
    // source
    reader.no_extension()?;
    reader.bits(3)?;
    if id {
        reader.skip(64)?;
    }
    let sec_mark = reader.bits(16)? as u16;
    let pos = reader.position_offset()?;
    let pos_confidence = reader.position_confidence()?;
    if transmission {
        reader.bits(3)?;
    }
    let speed = reader.bits(13)? as u16;
    let heading = reader.heading()?;
    if angle {
        reader.skip_steering_angle()?;
    }
    if motion {
        reader.skip_motion_confidence()?;
    }
    if acceleration {
        reader.skip_acceleration()?;
    }
    reader.skip_vehicle_size()?;
    if class {
        reader.skip_vehicle_class()?;
    }
    Ok(Participant {
        ptc_type,
        ptc_id,
        sec_mark,
        pos,
        pos_confidence,
        speed,
        heading,
    })
}
