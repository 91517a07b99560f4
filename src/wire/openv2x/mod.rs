//! OpenV2X JSON of roadside units, and of its radars.
//!
//! Up: `V2X/RSU/{id}/{RSM,RSI,SPAT,MAP}/UP[/{DRIVER}]` in `{"name","id","content"}`, and
//! `V2X/RADAR/{id}/{TRACK,FLOW,STATUS,CROSS,EVENT}/UP`. What a message is shows in its members, so
//! the topic is asked for the device only. Down: congestion warnings
//! ([`encode_congestion_warning`]). VIR and other kinds are `unsupported_kind`. Facts: the public
//! sources of OpenV2X (Apache-2.0) and its radar recordings.

mod congestion;
mod radar;

pub use congestion::{LaneCongestion, congestion_topic, encode_congestion_warning};

use std::sync::Arc;

use crate::observation::{Decoded, RejectReason};

use super::context::Context;
use super::csae_json;
use super::gather::{Gather, Record};
use super::tree::{self, Node};

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

#[cfg(test)]
mod tests;
