//! Incidents over HTTP: what is open, and an operator's verdict on it.

use axum::Json;
use axum::body::Bytes;
use axum::http::{HeaderMap, StatusCode, header};
use axum::response::{IntoResponse, Response};
use serde_json::json;

use super::OrderSender;
use super::live::Snapshot;
use crate::network::Network;
use crate::publish::format::{guidance_id, incident_entry};
use crate::wire::{incident_order, incident_order_topic};

/// What is open as GeoJSON: a point an incident, its message in `incident`.
pub(super) fn collection(snapshot: &Snapshot, network: &Network) -> Bytes {
    let feature = |change| {
        let entry = incident_entry(network, change);
        json!({
            "type": "Feature",
            "properties": { "id": entry.id, "state": entry.state, "incident": entry },
            "geometry": {
                "type": "Point",
                "coordinates": [entry.place.lon_deg, entry.place.lat_deg],
            },
        })
    };
    let features: Vec<_> = snapshot.view.incidents.iter().map(feature).collect();
    let collection = json!({
        "type": "FeatureCollection",
        "network": network.version().to_string(),
        "sequence": snapshot.sequence,
        "features": features,
    });
    collection.to_string().into()
}

/// Takes a verdict. JSON alone is taken, so that no page of another origin can send one without
/// being asked first (Fetch standard, CORS-safelisted request headers).
pub(super) fn order(
    snapshot: &Snapshot,
    orders: Option<&OrderSender>,
    id: &str,
    headers: &HeaderMap,
    body: &Bytes,
) -> Response {
    let content_type = headers.get(header::CONTENT_TYPE);
    let is_json = content_type
        .and_then(|value| value.to_str().ok())
        .is_some_and(|value| {
            value.split(';').next().unwrap_or_default().trim() == "application/json"
        });
    if !is_json {
        return StatusCode::UNSUPPORTED_MEDIA_TYPE.into_response();
    }
    let open = snapshot.view.incidents.iter();
    let Some(incident) = open
        .map(|change| change.id)
        .find(|number| guidance_id(*number) == id)
    else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let Some((_, is_confirmed)) = incident_order(&incident_order_topic(incident), body) else {
        let problem =
            json!({ "error": "a body {\"verdict\":\"confirm\"} or \"dismiss\" is needed" });
        return (StatusCode::BAD_REQUEST, Json(problem)).into_response();
    };
    match orders {
        None => StatusCode::SERVICE_UNAVAILABLE.into_response(),
        Some(orders) => {
            (orders.0)(incident, is_confirmed);
            StatusCode::ACCEPTED.into_response()
        }
    }
}
