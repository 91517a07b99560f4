//! The basic safety message.

use super::reader::Reader;
use crate::wire::asn1::csae::{Position3D, PositionConfidence, PositionalAccuracy};
use crate::wire::asn1::{Dialect, FrameError};

type Read<T> = Result<T, FrameError>;

/// What an observation needs of a BSM.
#[derive(Clone, Debug, PartialEq)]
pub(crate) struct Bsm {
    pub(crate) id: [u8; 8],
    pub(crate) sec_mark: u16,
    pub(crate) pos: Position3D,
    pub(crate) pos_accuracy: Option<PositionalAccuracy>,
    pub(crate) pos_confidence: Option<PositionConfidence>,
    pub(crate) speed: u16,
    pub(crate) heading: u16,
}

pub(super) fn read(reader: &mut Reader<'_>, dialect: Dialect) -> Read<Bsm> {
    reader.no_extension()?;
    let [
        time_confidence,
        accuracy,
        confidence,
        angle,
        motion,
        safety,
        emergency,
    ] = reader.presence()?;
    // msgCnt
    reader.bits(7)?;
    let id = reader.octets_8()?;
    let sec_mark = reader.bits(16)? as u16;
    if time_confidence {
        skip_time_confidence(reader)?;
    }
    let pos = reader.position_3d()?;
    let pos_accuracy = match accuracy {
        true => Some(reader.positional_accuracy()?),
        false => None,
    };
    let pos_confidence = match confidence {
        true => Some(reader.position_confidence()?),
        false => None,
    };
    // transmission
    reader.bits(3)?;
    let speed = reader.bits(13)? as u16;
    let heading = reader.heading()?;
    if angle {
        reader.skip_steering_angle()?;
    }
    if motion {
        reader.skip_motion_confidence()?;
    }
    reader.skip_acceleration()?;
    skip_brakes(reader)?;
    reader.skip_vehicle_size()?;
    reader.skip_vehicle_class()?;
    if safety {
        skip_safety(reader, dialect)?;
    }
    if emergency {
        skip_emergency(reader)?;
    }
    Ok(Bsm {
        id,
        sec_mark,
        pos,
        pos_accuracy,
        pos_confidence,
        speed,
        heading,
    })
}

fn skip_time_confidence(reader: &mut Reader<'_>) -> Read<()> {
    reader.up_to(6, 39)?;
    Ok(())
}

fn skip_brakes(reader: &mut Reader<'_>) -> Read<()> {
    let [pedal, wheels, traction, abs, stability, boost, auxiliary] = reader.presence()?;
    if pedal {
        reader.up_to(2, 2)?;
    }
    let count = |present, bits| if present { bits } else { 0 };
    reader.skip(count(wheels, 5) + count(traction, 2) + count(abs, 2) + count(stability, 2))?;
    if boost {
        reader.up_to(2, 2)?;
    }
    reader.skip(count(auxiliary, 2))?;
    Ok(())
}

fn skip_safety(reader: &mut Reader<'_>, dialect: Dialect) -> Read<()> {
    reader.no_extension()?;
    let [events, history, prediction, lights] = reader.presence()?;
    if events {
        reader.skip_extensible_bit_string(13)?;
    }
    if history {
        skip_history(reader, dialect)?;
    }
    if prediction {
        reader.no_extension()?;
        // radiusOfCurve, confidence
        reader.up_to(16, 65_534)?;
        reader.up_to(8, 200)?;
    }
    if lights {
        reader.skip_extensible_bit_string(9)?;
    }
    Ok(())
}

fn skip_history(reader: &mut Reader<'_>, dialect: Dialect) -> Read<()> {
    reader.no_extension()?;
    let [initial, gnss] = reader.presence()?;
    if initial {
        skip_full_position(reader, dialect)?;
    }
    if gnss {
        reader.bits(8)?;
    }
    let crumbs = reader.up_to(5, 22)? + 1;
    for _ in 0..crumbs {
        reader.no_extension()?;
        let [speed, accuracy, heading] = reader.presence()?;
        reader.position_offset()?;
        // timeOffset
        reader.up_to(16, 65_534)?;
        if speed {
            reader.bits(13)?;
        }
        if accuracy {
            reader.position_confidence()?;
        }
        if heading {
            reader.up_to(8, 240)?;
        }
    }
    Ok(())
}

/// The releases differ here: 2019 tells accuracy and confidence of the position, 2020 only
/// confidence (under the name of the other).
fn skip_full_position(reader: &mut Reader<'_>, dialect: Dialect) -> Read<()> {
    reader.no_extension()?;
    let [time, heading, transmission, speed] = reader.presence()?;
    let accuracy = dialect == Dialect::Csae2019 && reader.bit()?;
    let [confidence, time_confidence, motion] = reader.presence()?;
    if time {
        skip_date_time(reader, dialect)?;
    }
    reader.position_3d()?;
    if heading {
        reader.heading()?;
    }
    if transmission {
        reader.bits(3)?;
    }
    if speed {
        reader.bits(13)?;
    }
    if accuracy {
        reader.positional_accuracy()?;
    }
    if confidence {
        reader.position_confidence()?;
    }
    if time_confidence {
        skip_time_confidence(reader)?;
    }
    if motion {
        reader.skip_motion_confidence()?;
    }
    Ok(())
}

fn skip_date_time(reader: &mut Reader<'_>, dialect: Dialect) -> Read<()> {
    let (hour_max, offset_max) = match dialect {
        Dialect::Csae2019 => (24, 1441),
        Dialect::Csae2020 => (31, 1680),
    };
    let present: [bool; 7] = reader.presence()?;
    // year, month, day, hour, minute, second, offset
    let ranges = [
        (12, 4095),
        (4, 12),
        (5, 31),
        (5, hour_max),
        (6, 60),
        (16, 65_535),
        (11, offset_max),
    ];
    for ((bits, max), present) in ranges.into_iter().zip(present) {
        if present {
            reader.up_to(bits, max)?;
        }
    }
    Ok(())
}

fn skip_emergency(reader: &mut Reader<'_>) -> Read<()> {
    reader.no_extension()?;
    let [response, siren, lights] = reader.presence()?;
    if response {
        reader.no_extension()?;
        reader.up_to(3, 6)?;
    }
    reader.skip(2 * usize::from(siren) + 3 * usize::from(lights))?;
    Ok(())
}
