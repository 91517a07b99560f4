//! What the events and signs of roadside information are made of.

use rasn::prelude::*;

use super::road::NodeReferenceId;
use super::time::TimeConfidence;

/// Who reported the event.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum EventSource {
    /// `unknown`.
    #[rasn(identifier = "unknown")]
    Unknown = 0,
    /// `police`.
    #[rasn(identifier = "police")]
    Police = 1,
    /// `government`.
    #[rasn(identifier = "government")]
    Government = 2,
    /// `meteorological`.
    #[rasn(identifier = "meteorological")]
    Meteorological = 3,
    /// `internet`.
    #[rasn(identifier = "internet")]
    Internet = 4,
    /// `detection`.
    #[rasn(identifier = "detection")]
    Detection = 5,
}

/// When an event or sign is valid.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct RsiTimeDetails {
    /// Start: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(identifier = "startTime", value("0..=527040"))]
    pub start_time: Option<u32>,
    /// End: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(identifier = "endTime", value("0..=527040"))]
    pub end_time: Option<u32>,
    /// How well the end is known.
    #[rasn(identifier = "endTimeConfidence")]
    pub end_time_confidence: Option<TimeConfidence>,
}

/// A text.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
pub enum Description {
    /// ASCII text: 1 to 512 characters.
    #[rasn(identifier = "textString", size("1..=512"))]
    TextString(Ia5String),
    /// Text in GB 2312 or its superset GBK: 2 to 512 octets.
    #[rasn(identifier = "textGB2312", size("2..=512"))]
    TextGb2312(OctetString),
}

/// A link between two nodes an event or sign concerns.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct ReferenceLink {
    /// Upstream node.
    #[rasn(identifier = "upstreamNodeId")]
    pub upstream_node_id: NodeReferenceId,
    /// Downstream node.
    #[rasn(identifier = "downstreamNodeId")]
    pub downstream_node_id: NodeReferenceId,
    /// Lanes concerned.
    #[rasn(identifier = "referenceLanes")]
    pub reference_lanes: Option<ReferenceLanes>,
}

/// Lanes concerned: 16 bits: 0 reserved, 1 lane1, 2 lane2, 3 lane3, 4 lane4, 5 lane5, 6 lane6, 7
/// lane7, 8 lane8, 9 lane9, 10 lane10, 11 lane11, 12 lane12, 13 lane13, 14 lane14, 15 lane15.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(16))]
pub struct ReferenceLanes(pub BitString);
