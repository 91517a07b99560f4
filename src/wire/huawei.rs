//! Huawei DRIS JSON: messages of roadside units and vehicles, and the flow of road sections.
//!
//! Up: bare messages of the devices (`v2x/v1/rsu/{esn}/{bsm,map,rsi,rsm,spat}/up`,
//! `v2x/v1/signalcontroller/{id}/spat/up`) and northbound ones in `{"header","body"}`
//! (`v2x-v1-{bsm,rsi,rsm,spat,edge-flow}`). Down: `{"name","content"}`, the content being JSON in a
//! string. What a message is shows in its members, so the topic is not asked. Facts: the public API
//! documents of the service «DRIS» (api-v2x, 2023-12 to 2025-01). Tracks (`v2x-v1-tracks`) are not
//! described there; they are `unsupported_kind`.

use std::sync::Arc;

use serde_json::{Value, json};

use crate::observation::{Decoded, DetectorReading, RejectReason, SignalReading};
use crate::units::{Position, Timestamp};

use super::context::Context;
use super::csae_json::{self, Coordinates};
use super::gather::{Gather, Record};
use super::iso_time;
use super::tree::{self, Node};

pub use super::csae_json::DownEvent;

/// Adds what `payload` holds to `out`; records beyond the limit are counted, not used.
pub fn decode(payload: &[u8], context: &Context<'_>, out: &mut Decoded) {
    let mut gather = Gather::new(out, context.records_max);
    if let Err(reason) = document(payload, context, &mut gather) {
        gather.refuse(reason);
    }
}

fn document(payload: &[u8], context: &Context<'_>, gather: &mut Gather<'_>) -> Record<()> {
    let value = tree::parse(payload)?;
    let root = Node::new(&value);
    let Some(content) = root.get("content") else {
        return message(root.get("body").unwrap_or(root), context, gather);
    };
    match content.text_itself() {
        Some(text) => {
            let inner = tree::parse(text.as_bytes())?;
            message(Node::new(&inner), context, gather)?;
        }
        None => message(content, context, gather)?,
    }
    Ok(())
}

/// Which device speaks: the one that the message names, else the one of the topic.
fn device(node: Node<'_>, source: &str, context: &Context<'_>) -> Arc<str> {
    let source = node.get(source);
    let named = source
        .and_then(|source| source.get("esn"))
        .or_else(|| source.and_then(|source| source.get("source_id")))
        .or_else(|| source.and_then(|source| source.get("rsm_source_id")))
        .or_else(|| node.get("esn"))
        .and_then(|name| name.as_text().ok());
    named.unwrap_or_else(|| context.device_name().into())
}

fn message(node: Node<'_>, context: &Context<'_>, gather: &mut Gather<'_>) -> Record<()> {
    let has = |name: &str| node.get(name).is_some();
    if has("section_id") || has("average_speed") {
        gather.detector(section_flow(node, context));
    } else if has("rsms") {
        for message in node.list("rsms") {
            let unit = device(message, "rsm_source", context);
            gather.unit(unit.as_bytes());
            csae_json::rsm(message, &unit, context, gather);
        }
    } else if has("participants") || has("participant_list") {
        let unit = device(node, "rsm_source", context);
        gather.unit(unit.as_bytes());
        csae_json::rsm(node, &unit, context, gather);
    } else if has("bsm_datas") {
        node.list("bsm_datas")
            .for_each(|vehicle| csae_json::bsm(vehicle, gather));
    } else if has("vehicle_id") {
        csae_json::bsm(node, gather);
    } else if has("intersections") {
        csae_json::signals(node, context, gather);
    } else if has("rsi_datas") {
        let source = node.text("rsi_source_id")?;
        let source = source.unwrap_or_else(|| context.device_name().into());
        node.list("rsi_datas").for_each(|message| {
            csae_json::roadside_information(message, &source, context, gather);
        });
    } else if has("rtes") || has("rtss") {
        let source = device(node, "rsi_source", context);
        csae_json::roadside_information(node, &source, context, gather);
    } else if has("nodes") || has("map") {
        let unit = device(node, "map_source", context);
        gather.unit(unit.as_bytes());
        csae_json::junctions(node.get("map").unwrap_or(node), context, gather);
    } else if node.is_object() {
        return Err(RejectReason::UnsupportedKind);
    } else {
        return Err(RejectReason::Malformed);
    }
    Ok(())
}

/// The flow of one section; its detector is `{cross_id or esn or device}/{section_id}`. The unit of
/// `occupancy` is not public: it is left out.
fn section_flow(node: Node<'_>, context: &Context<'_>) -> Record<DetectorReading> {
    let site = match node.text("cross_id")?.filter(|id| !id.is_empty()) {
        Some(site) => site,
        None => device(node, "source", context),
    };
    let detector = match node.whole("section_id")? {
        Some(section) => format!("{site}/{section}").into(),
        None if site.is_empty() => return Err(RejectReason::MissingField),
        None => site,
    };
    let end = iso_time::parse(&node.need_text("time")?)?;
    let period_s = node.need_number("period")?;
    let count = node.need_number("flow")?;
    let speed_kmh = node.number("average_speed")?;
    // Bounds of the interface description.
    if !(0.0..=1e8).contains(&period_s) || !(0.0..=1e8).contains(&count) {
        return Err(RejectReason::OutOfRange);
    }
    let speed_mps = speed_kmh
        .filter(|_| count > 0.0)
        .map(|kmh| super::record::checked_speed_mps(kmh / 3.6))
        .transpose()?;
    Ok(DetectorReading {
        start: end.plus_millis(-((period_s * 1000.0) as i64)),
        end,
        detector,
        vehicle_count: count as f32,
        speed_mps,
        occupancy: None,
        sampled_seconds: None,
        queue_length_m: None,
    })
}

/// Wraps `content` as messages down to devices are: `{"name", "content": "<JSON>"}`.
pub fn encode_down(name: &str, content: &Value) -> Vec<u8> {
    let message = json!({"name": name, "content": content.to_string()});
    message.to_string().into_bytes()
}

/// Writes events for the unit `unit` at `reference`; with `sequence` it is asked to acknowledge.
/// Positions are degrees with 7 decimals, distances steps of 0.1 m, times minutes of the UTC year.
pub fn encode_rsi(
    unit: &str,
    issued_at: Timestamp,
    reference: Position,
    events: &[DownEvent<'_>],
    sequence: Option<&str>,
) -> Vec<u8> {
    let message = csae_json::rsi_value(unit, issued_at, reference, events, Coordinates::Degrees);
    let mut content = json!({
        "rsiSourceId": "roadcast",
        "ack": sequence.is_some(),
        "rsiDatas": [message],
    });
    if let (Some(sequence), Some(members)) = (sequence, content.as_object_mut()) {
        members.insert("seqNum".to_owned(), sequence.into());
    }
    encode_down("RSI", &content)
}

/// Writes what signals show, for units and vehicles: consecutive readings of one junction and time
/// become one intersection, of one phase its states. Times are ms, what is left steps of 0.1 s (the
/// value for unknown from an hour on). A junction named `region-id` leaves as its two numbers, as in
/// T/CSAE 53, any other as its name.
pub fn encode_spat(signals: &[SignalReading]) -> Vec<u8> {
    encode_down("SPAT", &csae_json::spat_value(signals))
}

#[cfg(test)]
mod tests;
