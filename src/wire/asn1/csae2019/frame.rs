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
}
