//! T/CSAE 53 frames as observations, and frames from what roadcast knows.
//!
//! BSM and the motor vehicles (or unknown objects) of RSM become observations, MAP junctions, SPAT
//! signals, RSI events and signs; other road users and the messages of T/CSAE 157 are counted as
//! `unsupported_kind`. Frames come bare or in the RSU-to-centre [`Envelope`].

mod bsm;
mod calendar;
mod envelope;
mod events;
mod map;
mod quantity;
mod rsi;
mod rsm;
mod spat;

pub use super::asn1::csae::EventSource;
pub use super::asn1::{Dialect, EncodeError, FrameError};
pub use bsm::{BsmRecord, encode_bsm};
pub use calendar::{minute_of_the_year, resolve_second_mark};
pub use envelope::{Envelope, encode_envelope, envelope_sender};
pub use rsi::{CONGESTION_EVENT_TYPE, CongestionEvent, RsiHead, encode_rsi_congestion};
pub use rsm::{PARTICIPANTS_MAX, ParticipantKind, RsmParticipant, encode_rsm, rsm_subject};

pub(super) use calendar::{nearest_minute, validity, within_minute};

use crate::observation::{Decoded, Observation, Reading, RejectReason};
use crate::units::Timestamp;

use super::asn1::uper::{self, Hot};
use super::asn1::{csae2019, csae2020};
use super::gather::Gather;
use super::subject::unit_id;

impl From<FrameError> for RejectReason {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Truncated => Self::Truncated,
            FrameError::Malformed | FrameError::UnknownExtension | FrameError::Padding => {
                Self::Malformed
            }
            FrameError::OutOfRange => Self::OutOfRange,
            FrameError::TrailingBytes => Self::TrailingBytes,
        }
    }
}

/// Adds what one bare frame of `dialect` holds to `out`. The seconds in the frame are resolved
/// against `received_at`; records beyond `records_max` are counted, not used.
pub fn decode(
    payload: &[u8],
    dialect: Dialect,
    received_at: Timestamp,
    records_max: usize,
    out: &mut Decoded,
) {
    let room = records_max.saturating_add(out.observations.len());
    decode_frame(payload, dialect, received_at, room, out);
}

/// Adds what an envelope of frames holds to `out`, like [`decode`] for each of them, with the
/// seconds resolved against the time at which the unit sent, which no queue on the way can delay.
/// An envelope whose lengths do not add up is refused whole.
pub fn decode_enveloped(payload: &[u8], dialect: Dialect, records_max: usize, out: &mut Decoded) {
    let room = records_max.saturating_add(out.observations.len());
    match Envelope::parse(payload) {
        Err(error) => out.rejected.add(error.into(), 1),
        Ok(envelope) => {
            out.unit = Some(unit_id(&envelope.rsu_id));
            for frame in envelope.frames {
                decode_frame(frame, dialect, envelope.sent_at, room, out);
            }
        }
    }
}

fn decode_frame(bytes: &[u8], dialect: Dialect, near: Timestamp, room: usize, out: &mut Decoded) {
    match uper::read(dialect, bytes) {
        Err(error) => out.rejected.add(error.into(), 1),
        Ok(Hot::Bsm(message)) => push(bsm::observation(&message, near), room, out),
        Ok(Hot::Rsm(message)) => {
            out.unit.get_or_insert_with(|| unit_id(&message.id));
            for participant in &message.participants {
                let record = rsm::observation(&message, participant, near);
                push(record, room, out);
            }
        }
        Ok(Hot::Other) => decode_other(bytes, dialect, near, room, out),
    }
}

/// Adds what a frame that is neither BSM nor RSM holds to `out`.
fn decode_other(bytes: &[u8], dialect: Dialect, near: Timestamp, room: usize, out: &mut Decoded) {
    let mut gather = Gather::new(out, room.saturating_sub(out.len()));
    // The releases have their own types; the same members of both become the same readings.
    macro_rules! take {
        ($release:ident, $junctions:ident, $events:ident) => {
            match $release::decode_frame(bytes) {
                Ok($release::MessageFrame::MapFrame(message)) => map::$junctions(&message, near)
                    .for_each(|record| gather.reading(record.map(Reading::Junction))),
                Ok($release::MessageFrame::SpatFrame(message)) => spat::signals(&message, near)
                    .for_each(|record| gather.reading(record.map(Reading::Signal))),
                Ok($release::MessageFrame::RsiFrame(message)) => {
                    gather.unit(&*message.id);
                    events::$events(&message, near)
                        .for_each(|record| gather.reading(record.map(Reading::Event)));
                }
                Ok(_) => gather.refuse(RejectReason::UnsupportedKind),
                Err(error) => gather.refuse(error.into()),
            }
        };
    }
    match dialect {
        Dialect::Csae2019 => take!(csae2019, junctions_2019, events_2019),
        Dialect::Csae2020 => take!(csae2020, junctions_2020, events_2020),
    }
}

fn push(record: Result<Observation, RejectReason>, room: usize, out: &mut Decoded) {
    match record {
        Ok(_) if out.observations.len() >= room => {
            out.rejected.add(RejectReason::TooManyRecords, 1);
        }
        Ok(observation) => out.observations.push(observation),
        Err(reason) => out.rejected.add(reason, 1),
    }
}

#[cfg(test)]
mod tests;
