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

#[cfg(test)]
mod tests {
    use std::sync::{Arc, Mutex};

    use super::*;
    use crate::publish::format::fixture;
    use crate::serve::{LiveView, live_channel};
    use crate::state::{IncidentChange, IncidentKind, IncidentState};
    use crate::units::{SegmentId, Timestamp};

    fn open() -> IncidentChange {
        IncidentChange {
            id: 17,
            revision: 2,
            at: Timestamp::from_secs(600),
            since: Timestamp::from_secs(480),
            state: IncidentState::Suspected,
            kind: IncidentKind::Blockage,
            segment: SegmentId(0),
            offset_m: 20.0,
            lanes_blocked: 0,
            lanes: 2,
            severity: 1,
            confidence: 0.7,
            tail: SegmentId(0),
            tail_offset_m: 5.0,
            queue_m: 15.0,
            evidence: Vec::new(),
            is_fast_road: false,
            usual_ratio: None,
            told: Vec::new(),
        }
    }

    #[test]
    fn a_verdict_on_an_open_incident_is_handed_on_and_nothing_else() {
        let network = Arc::new(fixture::network());
        let (sender, receiver) = live_channel();
        sender.publish(LiveView {
            network: Some(network.clone()),
            incidents: vec![open()],
            ..LiveView::default()
        });
        let snapshot = receiver.newest();
        let shown: serde_json::Value =
            serde_json::from_slice(&collection(&snapshot, &network)).expect("JSON");
        let incident = &shown["features"][0]["properties"]["incident"];
        assert_eq!(
            (&incident["number"], &incident["state"]),
            (&17.into(), &"suspected".into())
        );

        let taken = Arc::new(Mutex::new(Vec::new()));
        let into = taken.clone();
        let orders = OrderSender(Arc::new(move |incident, is_confirmed| {
            into.lock()
                .expect("no test panics in here")
                .push((incident, is_confirmed));
        }));
        let json = [(
            header::CONTENT_TYPE,
            "application/json".parse().expect("a value"),
        )];
        let json: HeaderMap = json.into_iter().collect();
        let told = |id: &str, headers: &HeaderMap, body: &'static str| {
            let body = Bytes::from_static(body.as_bytes());
            order(&snapshot, Some(&orders), id, headers, &body).status()
        };
        let (id, dismiss) = (guidance_id(17), r#"{"verdict":"dismiss"}"#);
        assert_eq!(
            told(&id, &HeaderMap::new(), dismiss),
            StatusCode::UNSUPPORTED_MEDIA_TYPE
        );
        assert_eq!(
            told(&guidance_id(18), &json, dismiss),
            StatusCode::NOT_FOUND
        );
        assert_eq!(told(&id, &json, "{}"), StatusCode::BAD_REQUEST);
        assert_eq!(told(&id, &json, dismiss), StatusCode::ACCEPTED);
        assert_eq!(*taken.lock().expect("as above"), [(17, false)]);
        let refused = order(
            &snapshot,
            None,
            &id,
            &json,
            &Bytes::from_static(dismiss.as_bytes()),
        );
        assert_eq!(refused.status(), StatusCode::SERVICE_UNAVAILABLE);
    }
}
