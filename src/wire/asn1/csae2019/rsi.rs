//! Roadside information: events and signs.

use rasn::prelude::*;

use crate::wire::asn1::csae::{
    Description, EventSource, Position3D, PositionOffsetLlv, ReferenceLink, RsiTimeDetails,
};

/// Events and signs a roadside unit tells (RSI).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RoadSideInformation {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(identifier = "msgCnt", value("0..=127"))]
    pub msg_cnt: u8,
    /// Minute of the year: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(identifier = "moy", value("0..=527040"))]
    pub moy: Option<u32>,
    /// The sender's or object's id: 8 octets.
    #[rasn(identifier = "id")]
    pub id: FixedOctetString<8>,
    /// Reference position of the offsets.
    #[rasn(identifier = "refPos")]
    pub ref_pos: Position3D,
    /// Events: 1 to 8.
    #[rasn(identifier = "rtes", size("1..=8"))]
    pub rtes: Option<SequenceOf<RteData>>,
    /// Signs: 1 to 16.
    #[rasn(identifier = "rtss", size("1..=16"))]
    pub rtss: Option<SequenceOf<RtsData>>,
}

/// One traffic event.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RteData {
    /// Number of the event: `0..=255`.
    #[rasn(identifier = "rteId", value("0..=255"))]
    pub rte_id: u8,
    /// Kind of event (GB/T 29100; 707 congestion): `0..=65535`.
    #[rasn(identifier = "eventType", value("0..=65535"))]
    pub event_type: u16,
    /// Who reported it.
    #[rasn(identifier = "eventSource")]
    pub event_source: EventSource,
    /// Where.
    #[rasn(identifier = "eventPos")]
    pub event_pos: Option<PositionOffsetLlv>,
    /// How far around: `0..=65535`; 0.1 m.
    #[rasn(identifier = "eventRadius", value("0..=65535"))]
    pub event_radius: Option<u16>,
    /// Text.
    #[rasn(identifier = "description")]
    pub description: Option<Description>,
    /// When valid.
    #[rasn(identifier = "timeDetails")]
    pub time_details: Option<RsiTimeDetails>,
    /// Priority: 1 octet.
    #[rasn(identifier = "priority")]
    pub priority: Option<FixedOctetString<1>>,
    /// Stretches concerned: 1 to 8.
    #[rasn(identifier = "referencePaths", size("1..=8"))]
    pub reference_paths: Option<SequenceOf<ReferencePath>>,
    /// Links concerned: 1 to 16.
    #[rasn(identifier = "referenceLinks", size("1..=16"))]
    pub reference_links: Option<SequenceOf<ReferenceLink>>,
    /// How sure: `0..=200`; 0.5 %.
    #[rasn(identifier = "eventConfidence", value("0..=200"))]
    pub event_confidence: Option<u8>,
}

/// One traffic sign.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RtsData {
    /// Number of the sign: `0..=255`.
    #[rasn(identifier = "rtsId", value("0..=255"))]
    pub rts_id: u8,
    /// Kind of sign (GB 5768.2): `0..=65535`.
    #[rasn(identifier = "signType", value("0..=65535"))]
    pub sign_type: u16,
    /// Where.
    #[rasn(identifier = "signPos")]
    pub sign_pos: Option<PositionOffsetLlv>,
    /// Text.
    #[rasn(identifier = "description")]
    pub description: Option<Description>,
    /// When valid.
    #[rasn(identifier = "timeDetails")]
    pub time_details: Option<RsiTimeDetails>,
    /// Priority: 1 octet.
    #[rasn(identifier = "priority")]
    pub priority: Option<FixedOctetString<1>>,
    /// Stretches concerned: 1 to 8.
    #[rasn(identifier = "referencePaths", size("1..=8"))]
    pub reference_paths: Option<SequenceOf<ReferencePath>>,
    /// Links concerned: 1 to 16.
    #[rasn(identifier = "referenceLinks", size("1..=16"))]
    pub reference_links: Option<SequenceOf<ReferenceLink>>,
}

/// A stretch of road an event or sign concerns.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ReferencePath {
    /// Points of the stretch, along the traffic: 1 to 32.
    #[rasn(identifier = "activePath", size("1..=32"))]
    pub active_path: SequenceOf<PositionOffsetLlv>,
    /// Half width of the stretch: `0..=65535`; 0.1 m.
    #[rasn(identifier = "pathRadius", value("0..=65535"))]
    pub path_radius: u16,
}
