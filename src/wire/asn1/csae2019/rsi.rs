//! Roadside information: events and signs.

use rasn::prelude::*;

use super::map::NodeReferenceId;
use super::position::{Position3D, PositionOffsetLlv};
use super::time::TimeConfidence;

/// Events and signs a roadside unit tells (RSI).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RoadSideInformation {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(value("0..=127"))]
    pub msg_cnt: u8,
    /// Minute of the year: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(value("0..=527040"))]
    pub moy: Option<u32>,
    /// The sender's or object's id: 8 octets.
    pub id: FixedOctetString<8>,
    /// Reference position of the offsets.
    pub ref_pos: Position3D,
    /// Events: 1 to 8.
    #[rasn(size("1..=8"))]
    pub rtes: Option<SequenceOf<RteData>>,
    /// Signs: 1 to 16.
    #[rasn(size("1..=16"))]
    pub rtss: Option<SequenceOf<RtsData>>,
}

/// One traffic event.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RteData {
    /// Number of the event: `0..=255`.
    #[rasn(value("0..=255"))]
    pub rte_id: u8,
    /// Kind of event: `0..=65535`; GB/T 29100; 707 congestion.
    #[rasn(value("0..=65535"))]
    pub event_type: u16,
    /// Who reported it.
    pub event_source: EventSource,
    /// Where.
    pub event_pos: Option<PositionOffsetLlv>,
    /// How far around: `0..=65535`; 0.1 m.
    #[rasn(value("0..=65535"))]
    pub event_radius: Option<u16>,
    /// Text.
    pub description: Option<Description>,
    /// When valid.
    pub time_details: Option<RsiTimeDetails>,
    /// Priority: one octet, 0..7 in the three high bits.
    pub priority: Option<FixedOctetString<1>>,
    /// Stretches concerned: 1 to 8.
    #[rasn(size("1..=8"))]
    pub reference_paths: Option<SequenceOf<ReferencePath>>,
    /// Links concerned: 1 to 16.
    #[rasn(size("1..=16"))]
    pub reference_links: Option<SequenceOf<ReferenceLink>>,
    /// How sure: `0..=200`; 0.5 %.
    #[rasn(value("0..=200"))]
    pub event_confidence: Option<u8>,
}

/// Who reported the event.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum EventSource {
    /// `unknown`.
    Unknown = 0,
    /// `police`.
    Police = 1,
    /// `government`.
    Government = 2,
    /// `meteorological`.
    Meteorological = 3,
    /// `internet`.
    Internet = 4,
    /// `detection`.
    Detection = 5,
}

/// When an event or sign is valid.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct RsiTimeDetails {
    /// Start: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(value("0..=527040"))]
    pub start_time: Option<u32>,
    /// End: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(value("0..=527040"))]
    pub end_time: Option<u32>,
    /// How well the end is known.
    pub end_time_confidence: Option<TimeConfidence>,
}

/// A stretch of road an event or sign concerns.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ReferencePath {
    /// Points of the stretch, along the traffic: 1 to 32.
    #[rasn(size("1..=32"))]
    pub active_path: SequenceOf<PositionOffsetLlv>,
    /// Half width of the stretch: `0..=65535`; 0.1 m.
    #[rasn(value("0..=65535"))]
    pub path_radius: u16,
}

/// One traffic sign.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct RtsData {
    /// Number of the sign: `0..=255`.
    #[rasn(value("0..=255"))]
    pub rts_id: u8,
    /// Kind of sign: `0..=65535`; GB 5768.2.
    #[rasn(value("0..=65535"))]
    pub sign_type: u16,
    /// Where.
    pub sign_pos: Option<PositionOffsetLlv>,
    /// Text.
    pub description: Option<Description>,
    /// When valid.
    pub time_details: Option<RsiTimeDetails>,
    /// Priority: one octet, 0..7 in the three high bits.
    pub priority: Option<FixedOctetString<1>>,
    /// Stretches concerned: 1 to 8.
    #[rasn(size("1..=8"))]
    pub reference_paths: Option<SequenceOf<ReferencePath>>,
    /// Links concerned: 1 to 16.
    #[rasn(size("1..=16"))]
    pub reference_links: Option<SequenceOf<ReferenceLink>>,
}

/// A text.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
pub enum Description {
    /// ASCII text, 1 to 512 characters.
    #[rasn(size("1..=512"))]
    TextString(Ia5String),
    /// Text in GB 2312, 2 to 512 octets.
    #[rasn(size("2..=512"))]
    TextGb2312(OctetString),
}

/// A link between two nodes an event or sign concerns.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ReferenceLink {
    /// Upstream node.
    pub upstream_node_id: NodeReferenceId,
    /// Downstream node.
    pub downstream_node_id: NodeReferenceId,
    /// Lanes concerned: 16 bits (0 reserved, 1 lane1, 2 lane2, 3 lane3, 4 lane4, 5 lane5, 6 lane6,
    /// 7 lane7, 8 lane8, 9 lane9, 10 lane10, 11 lane11, 12 lane12, 13 lane13, 14 lane14, 15
    /// lane15).
    #[rasn(size(16))]
    pub reference_lanes: Option<BitString>,
}
