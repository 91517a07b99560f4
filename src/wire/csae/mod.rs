//! T/CSAE 53-2019 frames as observations, and frames from what roadcast knows.
//!
//! BSM and the motor vehicles (or unknown objects) of RSM become observations; other road users
//! and other messages are counted as `unsupported_kind`. Frames come bare or in the RSU-to-centre
//! [`Envelope`].

mod bsm;
mod calendar;
mod envelope;
mod quantity;
mod rsi;
mod rsm;

pub use super::asn1::csae2019::{EncodeError, EventSource, FrameError};
pub use bsm::{BsmRecord, encode_bsm};
pub use calendar::{minute_of_the_year, resolve_second_mark};
pub use envelope::{Envelope, encode_envelope};
pub use rsi::{CONGESTION_EVENT_TYPE, CongestionEvent, encode_rsi_congestion};
pub use rsm::{PARTICIPANTS_MAX, ParticipantKind, RsmParticipant, encode_rsm, rsm_subject};

use crate::observation::{Decoded, Observation, RejectReason};
use crate::units::Timestamp;

use super::asn1::csae2019::{self, MessageFrame};

impl From<FrameError> for RejectReason {
    fn from(error: FrameError) -> Self {
        match error {
            FrameError::Truncated => Self::Truncated,
            FrameError::Malformed => Self::Malformed,
            FrameError::TrailingBytes => Self::TrailingBytes,
        }
    }
}

/// Adds what one bare frame holds to `out`. The seconds in the frame are resolved against
/// `received_at`; records beyond `records_max` are counted, not used.
pub fn decode(payload: &[u8], received_at: Timestamp, records_max: usize, out: &mut Decoded) {
    let room = records_max.saturating_add(out.observations.len());
    decode_frame(payload, received_at, room, out);
}

/// Adds what an envelope of frames holds to `out`, like [`decode`] for each of them, with the
/// seconds resolved against the time at which the unit sent, which no queue on the way can delay.
/// An envelope whose lengths do not add up is refused whole.
pub fn decode_enveloped(payload: &[u8], records_max: usize, out: &mut Decoded) {
    let room = records_max.saturating_add(out.observations.len());
    match Envelope::parse(payload) {
        Err(error) => out.rejected.add(error.into(), 1),
        Ok(envelope) => {
            for frame in envelope.frames {
                decode_frame(frame, envelope.sent_at, room, out);
            }
        }
    }
}

fn decode_frame(bytes: &[u8], near: Timestamp, room: usize, out: &mut Decoded) {
    match csae2019::decode_frame(bytes) {
        Err(error) => out.rejected.add(error.into(), 1),
        Ok(MessageFrame::BsmFrame(message)) => {
            push(bsm::observation(&message, near), room, out);
        }
        Ok(MessageFrame::RsmFrame(message)) => {
            for participant in &message.participants {
                let record = rsm::observation(&message, participant, near);
                push(record, room, out);
            }
        }
        Ok(_) => out.rejected.add(RejectReason::UnsupportedKind, 1),
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
