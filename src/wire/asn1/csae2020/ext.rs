//! The messages of T/CSAE 157 behind their numbers.

use rasn::types::OctetString;

use super::{
    MessageFrameExt, PamData, PersonalSafetyMessage, RoadsideCoordination, SensorSharingMsg,
    VehIntentionAndRequest,
};
use crate::wire::asn1::{EncodeError, FrameError, codec};

/// What the octets of a [`MessageFrameExt`] hold.
#[derive(Clone, Debug, PartialEq)]
#[non_exhaustive]
pub enum ExtMessage {
    /// 11: advice for single vehicles and for lanes (RSC).
    Rsc(RoadsideCoordination),
    /// 12: what a unit or vehicle perceives (SSM).
    Ssm(SensorSharingMsg),
    /// 13: what a vehicle intends and asks for (VIR).
    Vir(VehIntentionAndRequest),
    /// 14: a car park (PAM).
    Pam(PamData),
    /// 15: what a vulnerable road user says of itself (PSM).
    Psm(PersonalSafetyMessage),
    /// 10 (RTCM corrections), 16 (platoons, CLPMM) and 17 (payment, VPM): octets as they came, as
    /// no field table of them is at hand.
    Opaque {
        /// Number of the message.
        message_id: u16,
        /// Its UPER octets.
        octets: Vec<u8>,
    },
}

impl ExtMessage {
    /// Reads the octets of `frame` as the message its number says.
    ///
    /// # Errors
    ///
    /// `UnknownExtension` for a number that T/CSAE 157 does not give, else what is wrong with the
    /// octets.
    pub fn decode(frame: &MessageFrameExt) -> Result<Self, FrameError> {
        let octets = &frame.value[..];
        Ok(match frame.message_id {
            11 => Self::Rsc(codec::decode_exact(octets)?),
            12 => Self::Ssm(codec::decode_exact(octets)?),
            13 => Self::Vir(codec::decode_exact(octets)?),
            14 => Self::Pam(codec::decode_exact(octets)?),
            15 => Self::Psm(codec::decode_exact(octets)?),
            message_id @ (10 | 16 | 17) => Self::Opaque {
                message_id,
                octets: octets.to_vec(),
            },
            _ => return Err(FrameError::UnknownExtension),
        })
    }

    /// Writes the octets behind their number.
    ///
    /// # Errors
    ///
    /// Names the member that is outside its range.
    pub fn encode(&self) -> Result<MessageFrameExt, EncodeError> {
        let (message_id, octets) = match self {
            Self::Rsc(message) => (11, codec::encode(message)?),
            Self::Ssm(message) => (12, codec::encode(message)?),
            Self::Vir(message) => (13, codec::encode(message)?),
            Self::Pam(message) => (14, codec::encode(message)?),
            Self::Psm(message) => (15, codec::encode(message)?),
            Self::Opaque { message_id, octets } => (*message_id, octets.clone()),
        };
        Ok(MessageFrameExt {
            message_id,
            value: OctetString::from(octets),
        })
    }
}
