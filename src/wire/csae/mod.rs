//! T/CSAE 53 frames as observations, and frames from what roadcast knows.
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

pub use super::asn1::csae::EventSource;
pub use super::asn1::{Dialect, EncodeError, FrameError};
pub use bsm::{BsmRecord, encode_bsm};
pub use calendar::{minute_of_the_year, resolve_second_mark};
pub use envelope::{Envelope, encode_envelope, envelope_sender};
pub use rsi::{CONGESTION_EVENT_TYPE, CongestionEvent, RsiHead, encode_rsi_congestion};
pub use rsm::{PARTICIPANTS_MAX, ParticipantKind, RsmParticipant, encode_rsm, rsm_subject};

use crate::observation::{Decoded, Observation, RejectReason};
use crate::units::Timestamp;

use super::asn1::uper::{self, Hot};
use super::asn1::{csae2019, csae2020};

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
            for participant in &message.participants {
                let record = rsm::observation(&message, participant, near);
                push(record, room, out);
            }
        }
        Ok(Hot::Other) => {
            let checked = match dialect {
                Dialect::Csae2019 => csae2019::decode_frame(bytes).map(drop),
                Dialect::Csae2020 => csae2020::decode_frame(bytes).map(drop),
            };
            let reason =
                checked.map_or_else(RejectReason::from, |()| RejectReason::UnsupportedKind);
            out.rejected.add(reason, 1);
        }
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
