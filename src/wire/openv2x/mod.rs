//! OpenV2X JSON of roadside units, and of its radars.
//!
//! Up: `V2X/RSU/{id}/{RSM,RSI,SPAT,MAP}/UP[/{DRIVER}]` in `{"name","id","content"}`, and
//! `V2X/RADAR/{id}/{TRACK,FLOW,STATUS,CROSS,EVENT}/UP`. What a message is shows in its members, so
//! the topic is asked for the device only. Down: congestion warnings
//! ([`encode_congestion_warning`]) and events ([`encode_rsi`]). VIR and other kinds are `unsupported_kind`. Facts: the public
//! sources of OpenV2X (Apache-2.0) and its radar recordings.

mod congestion;
mod radar;

pub use congestion::{
    CongestionWarning, LaneCongestion, congestion_topic, decode_congestion_warning,
    encode_congestion_warning,
};

use std::sync::Arc;

use serde_json::json;

use crate::observation::{Decoded, RejectReason};
use crate::units::{Position, Timestamp};

use super::context::Context;
use super::csae_json::{self, Coordinates};
use super::gather::{Gather, Record};
use super::tree::{self, Node};

pub use super::csae_json::DownEvent;

/// Adds what `payload` holds to `out`; records beyond the limit are counted, not used.
pub fn decode(payload: &[u8], context: &Context<'_>, out: &mut Decoded) {
    let mut gather = Gather::new(out, context.records_max);
    let read = tree::parse(payload).and_then(|value| {
        let root = Node::new(&value);
        message(root, context, &mut gather)
    });
    if let Err(reason) = read {
        gather.refuse(reason);
    }
}

fn message(root: Node<'_>, context: &Context<'_>, gather: &mut Gather<'_>) -> Record<()> {
    if radar::is_radar(root) {
        return radar::message(root, context, gather);
    }
    let unit: Arc<str> = match context.device {
        Some(device) => device.into(),
        None => root.text("id")?.unwrap_or_else(|| "".into()),
    };
    gather.unit(unit.as_bytes());
    let node = root.get("content").unwrap_or(root);
    let has = |name: &str| node.get(name).is_some();
    if has("rsms") {
        node.list("rsms")
            .for_each(|message| csae_json::rsm(message, &unit, context, gather));
    } else if has("participants") {
        csae_json::rsm(node, &unit, context, gather);
    } else if has("rsi_datas") {
        node.list("rsi_datas").for_each(|message| {
            csae_json::roadside_information(message, &unit, context, gather);
        });
    } else if has("rsis") {
        node.list("rsis").for_each(|message| {
            csae_json::roadside_information(message, &unit, context, gather);
        });
    } else if has("rtes") || has("rtss") {
        csae_json::roadside_information(node, &unit, context, gather);
    } else if has("intersections") {
        csae_json::signals(node, context, gather);
    } else if has("nodes") || has("map") {
        csae_json::junctions(node.get("map").unwrap_or(node), context, gather);
    } else if root.is_object() {
        return Err(RejectReason::UnsupportedKind);
    } else {
        return Err(RejectReason::Malformed);
    }
    Ok(())
}

/// The topic of events to `unit`.
pub fn rsi_topic(unit: &str) -> String {
    format!("V2X/RSU/{unit}/RSI/DOWN")
}

/// Writes events for the unit `unit` at `reference`, in the form in which units send theirs up.
/// Positions are in 1e-7 degree, distances steps of 0.1 m, times minutes of the UTC year.
pub fn encode_rsi(
    unit: &str,
    issued_at: Timestamp,
    reference: Position,
    events: &[DownEvent<'_>],
) -> Vec<u8> {
    let message = csae_json::rsi_value(unit, issued_at, reference, events, Coordinates::Steps);
    let message = json!({"name": "RSI", "id": unit, "content": {"rsis": [message]}});
    message.to_string().into_bytes()
}

#[cfg(test)]
mod tests;
