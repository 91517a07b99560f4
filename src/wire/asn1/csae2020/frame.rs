//! The frame around a message.

use rasn::prelude::*;

use super::bsm::BasicSafetyMessage;
use super::map::MapData;
use super::rsi::RoadSideInformation;
use crate::wire::asn1::csae::{RoadsideSafetyMessage, Spat};

/// Any message of the set; what goes on the wire.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
#[non_exhaustive]
pub enum MessageFrame {
    /// What a vehicle says of itself (BSM).
    #[rasn(identifier = "bsmFrame")]
    BsmFrame(BasicSafetyMessage),
    /// Nodes with their incoming links (MAP).
    #[rasn(identifier = "mapFrame")]
    MapFrame(MapData),
    /// What a roadside unit perceives (RSM).
    #[rasn(identifier = "rsmFrame")]
    RsmFrame(RoadsideSafetyMessage),
    /// States of the signals of one or more intersections (SPAT).
    #[rasn(identifier = "spatFrame")]
    SpatFrame(Spat),
    /// Events and signs a roadside unit tells (RSI).
    #[rasn(identifier = "rsiFrame")]
    RsiFrame(RoadSideInformation),
    /// A message of T/CSAE 157.
    #[rasn(extension_addition, identifier = "msgFrameExt")]
    MsgFrameExt(MessageFrameExt),
}

/// A message of T/CSAE 157: its number and its UPER octets.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct MessageFrameExt {
    /// Number of the message: `0..=32767`.
    #[rasn(identifier = "messageId", value("0..=32767"))]
    pub message_id: u16,
    /// The UPER octets of that message.
    #[rasn(identifier = "value")]
    pub value: OctetString,
}
