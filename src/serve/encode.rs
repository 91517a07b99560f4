//! Bodies of the API: GeoJSON of network and guidance, state and forecast in full and compact.

use bytes::Bytes;
use serde_json::json;

use super::live::Snapshot;
use crate::forecast::{ForecastBatch, HALF_HOUR_COUNT, STEP_COUNT};
use crate::guide::{Guidance, GuidanceKind};
use crate::network::{Network, SegmentFlags};
use crate::publish::Released;
use crate::publish::format::{
    JsonBuffer, derived_entry, guidance_entry, step_levels, write_closed, write_congestion,
    write_flow, write_issue, write_levels, write_outlook_issue, write_quantiles,
    write_segment_state, write_voice,
};
use crate::state::StateBatch;
use crate::units::{Position, SegmentId};

/// Segments as GeoJSON LineStrings in id order, then water as Polygons.
pub(super) fn network(network: &Network, water: &[Vec<Position>]) -> Bytes {
    let mut json = JsonBuffer::with_capacity(network.segment_count() * 320 + 256);
    json.raw("{\"type\":\"FeatureCollection\",\"network\":\"");
    json.raw(&network.version().to_string());
    json.raw("\",\"features\":[");
    for index in 0..network.segment_count() {
        if index > 0 {
            json.raw(",");
        }
        write_segment(&mut json, network, SegmentId(index as u32));
    }
    for outline in water {
        json.raw(
            ",{\"type\":\"Feature\",\"properties\":{\"kind\":\"water\"},\
             \"geometry\":{\"type\":\"Polygon\",\"coordinates\":[",
        );
        let closing = (outline.first() != outline.last()).then_some(outline.first());
        write_line(&mut json, outline.iter().chain(closing.flatten()).copied());
        json.raw("]}}");
    }
    json.raw("]}");
    json.into_bytes()
}

fn write_segment(json: &mut JsonBuffer, network: &Network, id: SegmentId) {
    let segment = network.segment(id);
    json.raw("{\"type\":\"Feature\",\"id\":");
    json.int(i64::from(id.0));
    json.raw(",\"properties\":{\"kind\":\"segment\",\"id\":");
    json.int(i64::from(id.0));
    json.raw(",\"source_id\":");
    json.string(network.source_id(id));
    for (key, name) in [
        (",\"name\":", network.name(id)),
        (",\"name_en\":", network.name_en(id)),
    ] {
        if let Some(name) = name {
            json.raw(key);
            json.string(name);
        }
    }
    json.raw(",\"class\":\"");
    json.raw(segment.class().label());
    json.raw("\",\"rank\":");
    json.int(segment.class() as i64);
    json.raw(",\"lanes\":");
    json.int(i64::from(segment.lanes));
    json.raw(",\"limit_kmh\":");
    json.fixed2((segment.limit_mps * 3.6).round());
    json.raw(",\"length_m\":");
    json.fixed2(segment.length_m);
    json.raw(",\"layer\":");
    json.int(i64::from(segment.layer));
    for (key, flag) in [
        (",\"bridge\":true", SegmentFlags::BRIDGE),
        (",\"tunnel\":true", SegmentFlags::TUNNEL),
        (",\"link\":true", SegmentFlags::LINK),
    ] {
        if segment.flags.contains(flag) {
            json.raw(key);
        }
    }
    if segment.twin().is_some() {
        json.raw(",\"two_way\":true");
    }
    json.raw("},\"geometry\":{\"type\":\"LineString\",\"coordinates\":");
    write_shape(json, network, id);
    json.raw("}}");
}

fn write_shape(json: &mut JsonBuffer, network: &Network, id: SegmentId) {
    let frame = network.frame();
    let positions = network
        .shape(id)
        .iter()
        .map(|&point| frame.to_position(point));
    write_line(json, positions);
}

fn write_line(json: &mut JsonBuffer, positions: impl Iterator<Item = Position>) {
    json.raw("[");
    for (index, position) in positions.enumerate() {
        json.raw(if index > 0 { ",[" } else { "[" });
        json.degrees(position.lon_deg);
        json.raw(",");
        json.degrees(position.lat_deg);
        json.raw("]");
    }
    json.raw("]");
}

/// The head of a state body, from the opening brace to `end_ms`.
fn write_minute(json: &mut JsonBuffer, snapshot: &Snapshot, state: &StateBatch) {
    json.raw("{\"network\":\"");
    json.raw(&state.network.to_string());
    json.raw("\",\"sequence\":");
    json.int(snapshot.sequence as i64);
    json.raw(",\"event_time_ms\":");
    json.int(snapshot.view.event_time.as_millis());
    json.raw(",\"start_ms\":");
    json.int(state.interval.start.as_millis());
    json.raw(",\"end_ms\":");
    json.int(state.interval.end.as_millis());
}

/// Every segment's state as an object.
pub(super) fn state(snapshot: &Snapshot, network: &Network, state: &StateBatch) -> Bytes {
    let mut json = JsonBuffer::with_capacity(state.segments.len() * 220 + 256);
    write_minute(&mut json, snapshot, state);
    json.raw(",\"segments\":[");
    for (index, segment) in state.segments.iter().enumerate() {
        json.raw(if index > 0 {
            ",{\"segment\":"
        } else {
            "{\"segment\":"
        });
        json.int(index as i64);
        json.raw(",\"source_id\":");
        json.string(network.source_id(SegmentId(index as u32)));
        write_segment_state(&mut json, segment);
        json.raw("}");
    }
    json.raw("]}");
    json.into_bytes()
}

/// Levels and provenance as one digit a segment, speeds as an array: nothing the map has already.
pub(super) fn state_compact(snapshot: &Snapshot, state: &StateBatch) -> Bytes {
    let mut json = JsonBuffer::with_capacity(state.segments.len() * 8 + 256);
    write_minute(&mut json, snapshot, state);
    json.raw(",\"level\":\"");
    for segment in &state.segments {
        json.int(i64::from(segment.level as u8));
    }
    json.raw("\",\"provenance\":\"");
    for segment in &state.segments {
        json.int(i64::from(segment.provenance as u8));
    }
    json.raw("\",\"speed_mps\":[");
    for (index, segment) in state.segments.iter().enumerate() {
        if index > 0 {
            json.raw(",");
        }
        json.fixed2(segment.speed_mps);
    }
    json.raw("]}");
    json.into_bytes()
}

fn write_forecast_head(json: &mut JsonBuffer, snapshot: &Snapshot, forecast: &ForecastBatch) {
    json.raw("{\"network\":\"");
    json.raw(&forecast.network.to_string());
    json.raw("\",\"sequence\":");
    json.int(snapshot.sequence as i64);
    json.raw(",");
    write_issue(json, forecast);
}

/// Every segment's quantiles as an object.
pub(super) fn forecast(snapshot: &Snapshot, network: &Network, forecast: &ForecastBatch) -> Bytes {
    let segment_count = forecast.quantiles.len() / STEP_COUNT;
    let mut json = JsonBuffer::with_capacity(segment_count * 320 + 256);
    write_forecast_head(&mut json, snapshot, forecast);
    json.raw(",\"segments\":[");
    for index in 0..segment_count {
        let id = SegmentId(index as u32);
        json.raw(if index > 0 {
            ",{\"segment\":"
        } else {
            "{\"segment\":"
        });
        json.int(index as i64);
        json.raw(",\"source_id\":");
        json.string(network.source_id(id));
        write_quantiles(&mut json, forecast.steps(id));
        write_voice(&mut json, forecast.speaker(id));
        write_closed(&mut json, forecast, id);
        write_flow(&mut json, forecast, id);
        json.raw("}");
    }
    json.raw("]}");
    json.into_bytes()
}

/// One string of level digits a step.
pub(super) fn forecast_compact(
    snapshot: &Snapshot,
    network: &Network,
    forecast: &ForecastBatch,
) -> Bytes {
    let segment_count = forecast.quantiles.len() / STEP_COUNT;
    let mut levels: [Vec<u8>; STEP_COUNT] =
        std::array::from_fn(|_| Vec::with_capacity(segment_count));
    for index in 0..segment_count {
        let id = SegmentId(index as u32);
        let free_flow_mps = free_flow_mps(snapshot.view.state.as_ref(), network, id);
        for (step, level) in step_levels(forecast.steps(id), free_flow_mps).enumerate() {
            levels[step].push(b'0' + level as u8);
        }
    }
    let mut json = JsonBuffer::with_capacity(segment_count * STEP_COUNT + 512);
    write_forecast_head(&mut json, snapshot, forecast);
    json.raw(",\"level\":[");
    for (step, digits) in levels.iter().enumerate() {
        json.raw(if step > 0 { ",\"" } else { "\"" });
        json.raw_bytes(digits);
        json.raw("\"");
    }
    json.raw("]}");
    json.into_bytes()
}

/// Free-flow speed as the newest state knows it; else the limit.
fn free_flow_mps(state: Option<&Released<StateBatch>>, network: &Network, id: SegmentId) -> f32 {
    state
        .and_then(|state| state.segments.get(id.index()))
        .map_or(network.segment(id).limit_mps, |state| state.free_flow_mps)
}

/// One segment with state and forecast, for the map's popup.
pub(super) fn segment(snapshot: &Snapshot, network: &Network, id: SegmentId) -> Bytes {
    let view = &snapshot.view;
    let mut json = JsonBuffer::with_capacity(1_024);
    json.raw("{\"segment\":");
    json.int(i64::from(id.0));
    json.raw(",\"source_id\":");
    json.string(network.source_id(id));
    if let Some(state) = &view.state
        && let Some(segment) = state.segments.get(id.index())
    {
        json.raw(",\"start_ms\":");
        json.int(state.interval.start.as_millis());
        json.raw(",\"end_ms\":");
        json.int(state.interval.end.as_millis());
        write_segment_state(&mut json, segment);
    }
    if let Some(performance) = &view.performance
        && let Some(state) = &view.state
        && performance.network == network.version()
        && let Some(segment) = state.segments.get(id.index())
    {
        let derived = derived_entry(network, performance, id, segment);
        json.raw(",\"derived\":");
        json.raw(&serde_json::to_string(&derived).expect("strings and finite numbers"));
    }
    if let Some(forecast) = &view.forecast
        && forecast.quantiles.len() >= (id.index() + 1) * STEP_COUNT
    {
        json.raw(",\"forecast\":{");
        write_issue(&mut json, forecast);
        let steps = forecast.steps(id);
        write_quantiles(&mut json, steps);
        write_voice(&mut json, forecast.speaker(id));
        write_closed(&mut json, forecast, id);
        write_flow(&mut json, forecast, id);
        let free_flow_mps = free_flow_mps(view.state.as_ref(), network, id);
        let is_closed = forecast.closed(id).is_some();
        write_congestion(&mut json, forecast, steps, free_flow_mps, is_closed);
        json.raw("}");
    }
    if let Some(outlook) = &view.outlook
        && outlook.network == network.version()
        && outlook.quantiles.len() >= (id.index() + 1) * HALF_HOUR_COUNT
    {
        json.raw(",\"outlook\":{");
        write_outlook_issue(&mut json, outlook);
        let halves = outlook.half_hours(id);
        write_quantiles(&mut json, halves);
        let free_flow_mps = free_flow_mps(view.state.as_ref(), network, id);
        write_levels(&mut json, halves, free_flow_mps);
        json.raw("}");
    }
    json.raw("}");
    json.into_bytes()
}

/// The advice in force as GeoJSON: a feature a drawn way, the first one of each piece of advice
/// with its message.
pub(super) fn guidance(snapshot: &Snapshot, network: &Network) -> Bytes {
    let mut features = Vec::new();
    for guidance in &snapshot.view.guidance {
        if guidance.network != network.version() {
            continue;
        }
        let message = serde_json::to_value(guidance_entry(network, guidance))
            .expect("strings and finite numbers are always valid JSON");
        for (index, (role, segments)) in ways(guidance).into_iter().enumerate() {
            let lines: Vec<Vec<[f64; 2]>> =
                segments.iter().map(|&id| line_of(network, id)).collect();
            let mut properties =
                json!({ "id": message["id"], "kind": message["kind"], "role": role });
            if index == 0 {
                properties["guidance"] = message.clone();
            }
            features.push(json!({
                "type": "Feature",
                "properties": properties,
                "geometry": { "type": "MultiLineString", "coordinates": lines },
            }));
        }
    }
    let collection = json!({
        "type": "FeatureCollection",
        "network": network.version().to_string(),
        "sequence": snapshot.sequence,
        "features": features,
    });
    collection.to_string().into()
}

/// What is drawn of a piece of advice, in driving order.
fn ways(guidance: &Guidance) -> Vec<(&'static str, Vec<SegmentId>)> {
    match &guidance.kind {
        GuidanceKind::Jam(jam) => {
            vec![("jam", jam.segments.iter().rev().copied().collect())]
        }
        GuidanceKind::Diversion(diversion) => vec![
            ("alternative", diversion.alternative.clone()),
            ("main", diversion.main.clone()),
        ],
    }
}

fn line_of(network: &Network, id: SegmentId) -> Vec<[f64; 2]> {
    let micro = |degrees: f64| (degrees * 1e6).round() / 1e6;
    network
        .shape(id)
        .iter()
        .map(|&point| {
            let position = network.frame().to_position(point);
            [micro(position.lon_deg), micro(position.lat_deg)]
        })
        .collect()
}
