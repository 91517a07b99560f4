//! The map message: nodes, links, lanes and their connections.

use rasn::prelude::*;

use super::section::{LinkEx, ProhibitedZone};
use crate::wire::asn1::csae::{
    AllowedManeuvers, Connection, LaneAttributes, Movement, NodeReferenceId, Position3D,
    RegulatorySpeedLimit, RoadPoint,
};

/// Nodes with their incoming links (MAP).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct MapData {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(identifier = "msgCnt", value("0..=127"))]
    pub msg_cnt: u8,
    /// When: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(identifier = "timeStamp", value("0..=527040"))]
    pub time_stamp: Option<u32>,
    /// Nodes: 1 to 32.
    #[rasn(identifier = "nodes", size("1..=32"))]
    pub nodes: SequenceOf<Node>,
}

/// An intersection or other node.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct Node {
    /// Name: 1 to 63 characters.
    #[rasn(identifier = "name", size("1..=63"))]
    pub name: Option<Ia5String>,
    /// The node.
    #[rasn(identifier = "id")]
    pub id: NodeReferenceId,
    /// Reference position of the offsets.
    #[rasn(identifier = "refPos")]
    pub ref_pos: Position3D,
    /// Incoming links: 1 to 32.
    #[rasn(identifier = "inLinks", size("1..=32"))]
    pub in_links: Option<SequenceOf<Link>>,
    /// Incoming links in sections: 1 to 32.
    #[rasn(extension_addition, identifier = "inLinks-ex", size("1..=32"))]
    pub in_links_ex: Option<SequenceOf<LinkEx>>,
    /// Areas to keep free.
    #[rasn(extension_addition, identifier = "prohibitedzone")]
    pub prohibitedzone: Option<ProhibitedZone>,
}

/// The lanes from an upstream node to the node they belong to.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct Link {
    /// Name: 1 to 63 characters.
    #[rasn(identifier = "name", size("1..=63"))]
    pub name: Option<Ia5String>,
    /// Upstream node.
    #[rasn(identifier = "upstreamNodeId")]
    pub upstream_node_id: NodeReferenceId,
    /// Speed limits: 1 to 9.
    #[rasn(identifier = "speedLimits", size("1..=9"))]
    pub speed_limits: Option<SequenceOf<RegulatorySpeedLimit>>,
    /// Width: `0..=32767`; 0.01 m.
    #[rasn(identifier = "linkWidth", value("0..=32767"))]
    pub link_width: u16,
    /// Centre line: 2 to 31.
    #[rasn(identifier = "points", size("2..=31"))]
    pub points: Option<SequenceOf<RoadPoint>>,
    /// Movements: 1 to 32.
    #[rasn(identifier = "movements", size("1..=32"))]
    pub movements: Option<SequenceOf<Movement>>,
    /// Lanes: 1 to 32.
    #[rasn(identifier = "lanes", size("1..=32"))]
    pub lanes: SequenceOf<Lane>,
}

/// One lane of a link.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct Lane {
    /// Number of the lane: `0..=255`.
    #[rasn(identifier = "laneID", value("0..=255"))]
    pub lane_id: u8,
    /// Width: `0..=32767`; 0.01 m.
    #[rasn(identifier = "laneWidth", value("0..=32767"))]
    pub lane_width: Option<u16>,
    /// Kind and use.
    #[rasn(identifier = "laneAttributes")]
    pub lane_attributes: Option<LaneAttributes>,
    /// Allowed manoeuvres.
    #[rasn(identifier = "maneuvers")]
    pub maneuvers: Option<AllowedManeuvers>,
    /// Where it leads: 1 to 8.
    #[rasn(identifier = "connectsTo", size("1..=8"))]
    pub connects_to: Option<SequenceOf<Connection>>,
    /// Speed limits: 1 to 9.
    #[rasn(identifier = "speedLimits", size("1..=9"))]
    pub speed_limits: Option<SequenceOf<RegulatorySpeedLimit>>,
    /// Centre line: 2 to 31.
    #[rasn(identifier = "points", size("2..=31"))]
    pub points: Option<SequenceOf<RoadPoint>>,
}
