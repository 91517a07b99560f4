//! Routes, headers and time limits.

use std::sync::Arc;
use std::time::Duration;

use axum::Router;
use axum::extract::{DefaultBodyLimit, Path, Query, Request, State};
use axum::http::{HeaderMap, HeaderName, HeaderValue, StatusCode, header};
use axum::middleware::{self, Next};
use axum::response::{IntoResponse, Response};
use axum::routing::{get, post};
use bytes::Bytes;
use serde::{Deserialize, Serialize};
use tokio::sync::Semaphore;

use super::assets::{self, Asset};
use super::body::{Body, LazyBody};
use super::history::{self, HistoryParams};
use super::live::{LiveReceiver, LiveView, Snapshot};
use super::vehicles::{self, VehiclesQuery};
use super::{MetricsText, ServeOptions, encode, incidents};
use crate::network::Network;
use crate::publish::format::{
    IndexMessage, bottlenecks_message, corridors_message, day_message, emissions_message,
    events_message, freeways_message, index_entries, junctions_message, parking_message,
    signals_message,
};
use crate::units::{SegmentId, date_of};

const JSON: &str = "application/json";
const GEOJSON: &str = "application/geo+json";
/// Longest body of a verdict, bytes; a longer one is answered with 413.
const ORDER_BODY_BYTES_MAX: usize = 1_024;
const METRICS: &str = "text/plain; version=0.0.4; charset=utf-8";

/// Nothing but our own files may load, run or be connected to; `data:` images are the icons inside
/// MapLibre's style sheet.
const CONTENT_SECURITY_POLICY: &str = "default-src 'none'; script-src 'self'; worker-src 'self'; \
    style-src 'self'; img-src 'self' data:; connect-src 'self'; base-uri 'none'; \
    form-action 'none'; frame-ancestors 'none'";

struct App {
    options: ServeOptions,
    /// Questions about the past that are answered at the same time.
    history_permits: Semaphore,
    live: LiveReceiver,
    metrics: MetricsText,
    assets: Vec<Asset>,
}

type Shared = State<Arc<App>>;

/// Builds the routes.
pub(super) fn router(options: ServeOptions, live: LiveReceiver, metrics: MetricsText) -> Router {
    let request_timeout = options.request_timeout;
    let app = Arc::new(App {
        options,
        history_permits: Semaphore::new(history::CONCURRENT_MAX),
        live,
        metrics,
        assets: assets::all(),
    });
    Router::new()
        .route("/", get(page))
        .route("/assets/{*name}", get(asset))
        .route("/livez", get(|| async { "ok\n" }))
        .route("/readyz", get(readyz))
        .route("/metrics", get(metrics_page))
        .route("/api/v1/network", get(network))
        .route("/api/v1/state", get(state))
        .route("/api/v1/forecast", get(forecast))
        .route("/api/v1/guidance", get(guidance))
        .route("/api/v1/incidents", get(open_incidents))
        .route(
            "/api/v1/incidents/{id}/order",
            post(order).layer(DefaultBodyLimit::max(ORDER_BODY_BYTES_MAX)),
        )
        .route("/api/v1/junctions", get(junctions))
        .route("/api/v1/signals", get(signals))
        .route("/api/v1/events", get(events))
        .route("/api/v1/parking", get(parking))
        .route("/api/v1/index", get(index))
        .route("/api/v1/index/{region}", get(region_index))
        .route("/api/v1/report/day", get(day_report))
        .route("/api/v1/corridors", get(corridors))
        .route("/api/v1/freeways", get(freeways))
        .route("/api/v1/bottlenecks", get(bottlenecks))
        .route("/api/v1/emissions", get(emissions))
        .route("/api/v1/scores", get(scores))
        .route("/api/v1/segments/{id}", get(segment))
        .route("/api/v1/vehicles", get(vehicles_near))
        .route("/api/v1/history", get(past))
        .route("/api/v1/status", get(status))
        .with_state(app)
        .layer(middleware::from_fn(move |request, next| {
            guard(request_timeout, request, next)
        }))
}

/// Bounds the time of a request and adds the headers every answer carries.
async fn guard(request_timeout: Duration, request: Request, next: Next) -> Response {
    let mut response = tokio::time::timeout(request_timeout, next.run(request))
        .await
        .unwrap_or_else(|_| StatusCode::SERVICE_UNAVAILABLE.into_response());
    let headers = [
        (header::CONTENT_SECURITY_POLICY, CONTENT_SECURITY_POLICY),
        (header::X_CONTENT_TYPE_OPTIONS, "nosniff"),
        (header::REFERRER_POLICY, "no-referrer"),
        (
            HeaderName::from_static("cross-origin-resource-policy"),
            "same-origin",
        ),
    ];
    for (name, value) in headers {
        response
            .headers_mut()
            .insert(name, HeaderValue::from_static(value));
    }
    response
}

async fn page(state: Shared, headers: HeaderMap) -> Response {
    asset(state, Path("index.html".to_owned()), headers).await
}

async fn asset(State(app): Shared, Path(name): Path<String>, headers: HeaderMap) -> Response {
    match app.assets.iter().find(|asset| asset.name == name) {
        Some(asset) => asset.body().respond(&headers, asset.content_type),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

#[derive(Serialize)]
struct ReadyBody {
    ready: bool,
    missing: Vec<&'static str>,
}

async fn readyz(State(app): Shared) -> Response {
    let missing = app.live.missing();
    let status = if missing.is_empty() {
        StatusCode::OK
    } else {
        StatusCode::SERVICE_UNAVAILABLE
    };
    let body = ReadyBody {
        ready: missing.is_empty(),
        missing,
    };
    (status, axum::Json(body)).into_response()
}

async fn metrics_page(State(app): Shared) -> Response {
    let metrics = Arc::clone(&app.metrics);
    match tokio::task::spawn_blocking(move || metrics()).await {
        Ok(text) => ([(header::CONTENT_TYPE, METRICS)], text).into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

/// What `?format=` asks for.
#[derive(Clone, Copy, Debug, Default, Deserialize, PartialEq, Eq)]
#[serde(rename_all = "lowercase")]
enum Format {
    /// One object a segment.
    #[default]
    Full,
    /// Levels and speeds by index.
    Compact,
}

#[derive(Debug, Deserialize)]
struct FormatQuery {
    #[serde(default)]
    format: Format,
}

/// Answers with a body of a view; makes it off the reactor when nobody has asked for it yet.
/// 404 while there is nothing to show.
async fn respond(
    snapshot: Arc<Snapshot>,
    headers: HeaderMap,
    content_type: &'static str,
    cell: fn(&Snapshot) -> &LazyBody,
    make: impl FnOnce(&Snapshot, &Network) -> Option<Bytes> + Send + 'static,
    etag: String,
) -> Response {
    if let Some(body) = cell(&snapshot).get() {
        return body.respond(&headers, content_type);
    }
    let made = tokio::task::spawn_blocking(move || {
        let network = snapshot.view.network.as_deref()?;
        if cell(&snapshot).get().is_none() {
            let plain = make(&snapshot, network)?;
            cell(&snapshot).get_or_make(|| Body::new(plain, etag));
        }
        let body = cell(&snapshot).get()?;
        Some(body.respond(&headers, content_type))
    });
    match made.await {
        Ok(Some(response)) => response,
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn network(State(app): Shared, headers: HeaderMap) -> Response {
    let snapshot = app.live.newest();
    let Some(network) = &snapshot.view.network else {
        return StatusCode::NOT_FOUND.into_response();
    };
    let etag = format!("\"{}\"", network.version());
    let cell: fn(&Snapshot) -> &LazyBody = |snapshot| &snapshot.network_body;
    let make =
        move |_: &Snapshot, network: &Network| Some(encode::network(network, &app.options.water));
    respond(snapshot, headers, GEOJSON, cell, make, etag).await
}

async fn state(
    State(app): Shared,
    Query(query): Query<FormatQuery>,
    headers: HeaderMap,
) -> Response {
    let snapshot = app.live.newest();
    let etag = snapshot.etag();
    let cell: fn(&Snapshot) -> &LazyBody = match query.format {
        Format::Full => |snapshot| &snapshot.state,
        Format::Compact => |snapshot| &snapshot.state_compact,
    };
    let make = move |snapshot: &Snapshot, network: &Network| {
        let state = snapshot.view.state.as_ref()?;
        Some(match query.format {
            Format::Full => encode::state(snapshot, network, state),
            Format::Compact => encode::state_compact(snapshot, state),
        })
    };
    respond(snapshot, headers, JSON, cell, make, etag).await
}

async fn forecast(
    State(app): Shared,
    Query(query): Query<FormatQuery>,
    headers: HeaderMap,
) -> Response {
    let snapshot = app.live.newest();
    let etag = snapshot.etag();
    let cell: fn(&Snapshot) -> &LazyBody = match query.format {
        Format::Full => |snapshot| &snapshot.forecast,
        Format::Compact => |snapshot| &snapshot.forecast_compact,
    };
    let make = move |snapshot: &Snapshot, network: &Network| {
        let forecast = snapshot.view.forecast.as_ref()?;
        Some(match query.format {
            Format::Full => encode::forecast(snapshot, network, forecast),
            Format::Compact => encode::forecast_compact(snapshot, network, forecast),
        })
    };
    respond(snapshot, headers, JSON, cell, make, etag).await
}

async fn guidance(State(app): Shared, headers: HeaderMap) -> Response {
    let snapshot = app.live.newest();
    let etag = snapshot.etag();
    let make =
        move |snapshot: &Snapshot, network: &Network| Some(encode::guidance(snapshot, network));
    respond(
        snapshot,
        headers,
        GEOJSON,
        |snapshot| &snapshot.guidance,
        make,
        etag,
    )
    .await
}

async fn open_incidents(State(app): Shared, headers: HeaderMap) -> Response {
    let snapshot = app.live.newest();
    let etag = snapshot.etag();
    let make =
        |snapshot: &Snapshot, network: &Network| Some(incidents::collection(snapshot, network));
    let cell: fn(&Snapshot) -> &LazyBody = |snapshot| &snapshot.incidents;
    respond(snapshot, headers, GEOJSON, cell, make, etag).await
}

async fn order(
    State(app): Shared,
    Path(id): Path<String>,
    headers: HeaderMap,
    body: Bytes,
) -> Response {
    let orders = app.options.orders.as_ref();
    incidents::order(&app.live.newest(), orders, &id, &headers, &body)
}

/// Answers with a message about the newest view, as JSON; 404 where the view holds nothing of it.
async fn respond_message<T: Serialize + 'static>(
    app: Arc<App>,
    headers: HeaderMap,
    cell: fn(&Snapshot) -> &LazyBody,
    message: fn(&LiveView, &Network) -> Option<T>,
) -> Response {
    let snapshot = app.live.newest();
    let etag = snapshot.etag();
    let make = move |snapshot: &Snapshot, network: &Network| {
        let message = message(&snapshot.view, network)?;
        serde_json::to_vec(&message).ok().map(Bytes::from)
    };
    respond(snapshot, headers, JSON, cell, make, etag).await
}

async fn junctions(State(app): Shared, headers: HeaderMap) -> Response {
    let message = |view: &LiveView, network: &Network| {
        Some(junctions_message(view.roadside.as_deref()?, network))
    };
    respond_message(app, headers, |snapshot| &snapshot.junctions, message).await
}

async fn signals(State(app): Shared, headers: HeaderMap) -> Response {
    let message = |view: &LiveView, network: &Network| {
        Some(signals_message(view.roadside.as_deref()?, network))
    };
    respond_message(app, headers, |snapshot| &snapshot.signals, message).await
}

async fn events(State(app): Shared, headers: HeaderMap) -> Response {
    let message = |view: &LiveView, network: &Network| {
        Some(events_message(view.roadside.as_deref()?, network))
    };
    respond_message(app, headers, |snapshot| &snapshot.events, message).await
}

async fn parking(State(app): Shared, headers: HeaderMap) -> Response {
    let message = |view: &LiveView, _: &Network| Some(parking_message(view.roadside.as_deref()?));
    respond_message(app, headers, |snapshot| &snapshot.parking, message).await
}

async fn index(State(app): Shared, headers: HeaderMap) -> Response {
    let message = |view: &LiveView, _: &Network| -> Option<Vec<IndexMessage>> {
        Some(index_entries(view.congestion.as_deref()?).collect())
    };
    respond_message(app, headers, |snapshot| &snapshot.index, message).await
}

async fn region_index(State(app): Shared, Path(region): Path<String>) -> Response {
    let snapshot = app.live.newest();
    let congestion = snapshot.view.congestion.as_deref();
    let entry =
        congestion.and_then(|batch| index_entries(batch).find(|entry| entry.region == region));
    match entry {
        Some(entry) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(entry)).into_response(),
        None => StatusCode::NOT_FOUND.into_response(),
    }
}

/// Which day; the one under way where none is named.
#[derive(Debug, Deserialize)]
struct DayQuery {
    date: Option<String>,
}

async fn day_report(State(app): Shared, Query(query): Query<DayQuery>) -> Response {
    let snapshot = app.live.newest();
    let view = &snapshot.view;
    let day = view.days.iter().rev().find(|day| match &query.date {
        Some(date) => date_of(day.day) == *date,
        None => true,
    });
    match (day, view.network.as_deref()) {
        (Some(day), Some(network)) => {
            let body = axum::Json(day_message(network, day));
            ([(header::CACHE_CONTROL, "no-store")], body).into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn corridors(State(app): Shared, headers: HeaderMap) -> Response {
    let message = |view: &LiveView, network: &Network| {
        Some(corridors_message(network, view.performance.as_ref()?))
    };
    respond_message(app, headers, |snapshot| &snapshot.corridors, message).await
}

async fn freeways(State(app): Shared, headers: HeaderMap) -> Response {
    let message = |view: &LiveView, network: &Network| {
        Some(freeways_message(network, view.performance.as_ref()?))
    };
    respond_message(app, headers, |snapshot| &snapshot.freeways, message).await
}

async fn bottlenecks(State(app): Shared, headers: HeaderMap) -> Response {
    let message = |view: &LiveView, network: &Network| {
        Some(bottlenecks_message(network, view.performance.as_ref()?))
    };
    respond_message(app, headers, |snapshot| &snapshot.bottlenecks, message).await
}

async fn emissions(State(app): Shared, headers: HeaderMap) -> Response {
    let message =
        |view: &LiveView, network: &Network| Some(emissions_message(network, view.state.as_ref()?));
    respond_message(app, headers, |snapshot| &snapshot.emissions, message).await
}

async fn scores(State(app): Shared, headers: HeaderMap) -> Response {
    let message = |view: &LiveView, _: &Network| view.scores.as_deref().cloned();
    respond_message(app, headers, |snapshot| &snapshot.scores, message).await
}

async fn segment(State(app): Shared, Path(id): Path<u32>) -> Response {
    let snapshot = app.live.newest();
    match snapshot.view.network.as_deref() {
        Some(network) if (id as usize) < network.segment_count() => {
            let body = encode::segment(&snapshot, network, SegmentId(id));
            (
                [
                    (header::CONTENT_TYPE, JSON),
                    (header::CACHE_CONTROL, "no-store"),
                ],
                body,
            )
                .into_response()
        }
        _ => StatusCode::NOT_FOUND.into_response(),
    }
}

async fn vehicles_near(State(app): Shared, Query(query): Query<VehiclesQuery>) -> Response {
    if let Some(problem) = query.problem() {
        return (StatusCode::BAD_REQUEST, problem).into_response();
    }
    let snapshot = app.live.newest();
    let privacy = app.options.privacy;
    let answer = tokio::task::spawn_blocking(move || {
        let (presence, network) = snapshot
            .view
            .presence
            .as_deref()
            .zip(snapshot.view.network.as_deref())?;
        Some(vehicles::vehicles(presence, network, privacy, &query))
    });
    match answer.await {
        Ok(Some(body)) => ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response(),
        Ok(None) => StatusCode::NOT_FOUND.into_response(),
        Err(_) => StatusCode::INTERNAL_SERVER_ERROR.into_response(),
    }
}

async fn past(State(app): Shared, Query(params): Query<HistoryParams>) -> Response {
    let Some(history) = app.options.history.clone() else {
        return (StatusCode::NOT_FOUND, "archive.dir is not set\n").into_response();
    };
    let Ok(_permit) = app.history_permits.try_acquire() else {
        let busy = "other questions about the past are being answered\n";
        let again = [(header::RETRY_AFTER, "1")];
        return (StatusCode::SERVICE_UNAVAILABLE, again, busy).into_response();
    };
    history::respond(history, params).await
}

/// What the page polls once a second; encoded anew each time because of `age_ms`.
#[derive(Serialize)]
struct StatusBody<'a> {
    version: &'static str,
    /// Counts views; data are fetched again when it changes.
    sequence: u64,
    network: Option<String>,
    model: Option<String>,
    fallback: bool,
    event_time_ms: i64,
    state_end_ms: Option<i64>,
    forecast_issued_at_ms: Option<i64>,
    /// End of the newest five minutes that count in `/api/v1/scores`.
    scores_until_ms: Option<i64>,
    guidance_count: usize,
    /// The index of the first region.
    index: Option<StatusIndex<'a>>,
    /// Wall clock since the view was handed over.
    age_ms: u64,
    /// Event seconds a second of wall clock.
    speedup: f64,
    /// Local time of the city, seconds ahead of UTC.
    utc_offset_s: i64,
    city: Option<&'a str>,
    city_en: Option<&'a str>,
    missing: Vec<&'static str>,
}

/// The index of one region, for the head of the map.
#[derive(Serialize)]
struct StatusIndex<'a> {
    region: &'a str,
    standard: &'a str,
    tpi: Option<f32>,
    tti: f32,
}

async fn status(State(app): Shared) -> Response {
    let snapshot = app.live.newest();
    let view = &snapshot.view;
    let body = StatusBody {
        version: env!("CARGO_PKG_VERSION"),
        sequence: snapshot.sequence,
        network: view
            .network
            .as_ref()
            .map(|network| network.version().to_string()),
        model: view
            .forecast
            .as_ref()
            .map(|forecast| forecast.model.to_string()),
        fallback: view
            .forecast
            .as_ref()
            .is_some_and(|forecast| forecast.fallback),
        event_time_ms: view.event_time.as_millis(),
        state_end_ms: view
            .state
            .as_ref()
            .map(|state| state.interval.end.as_millis()),
        forecast_issued_at_ms: view
            .forecast
            .as_ref()
            .map(|forecast| forecast.issued_at.as_millis()),
        scores_until_ms: view.scores.as_ref().map(|scores| scores.until_ms),
        guidance_count: view.guidance.len(),
        index: view.congestion.as_ref().and_then(|batch| {
            let first = batch.regions.first()?;
            Some(StatusIndex {
                region: &first.region,
                standard: &batch.standard,
                tpi: first.tpi,
                tti: first.tti,
            })
        }),
        age_ms: u64::try_from(snapshot.handed_over.elapsed().as_millis()).unwrap_or(u64::MAX),
        speedup: view.speedup,
        utc_offset_s: app.options.utc_offset_s,
        city: app.options.city.as_ref().map(|(name, _)| name.as_str()),
        city_en: app
            .options
            .city
            .as_ref()
            .map(|(_, name_en)| name_en.as_str()),
        missing: app.live.missing(),
    };
    ([(header::CACHE_CONTROL, "no-store")], axum::Json(body)).into_response()
}
