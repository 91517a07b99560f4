//! The server over real sockets on loopback.

use std::net::SocketAddr;
use std::sync::Arc;

use serde_json::Value;
use tokio::io::{AsyncReadExt, AsyncWriteExt};
use tokio::net::TcpStream;
use tokio::sync::oneshot;

use super::{LiveSender, LiveView, ServeOptions, Server, live_channel, spawn};
use crate::matching::{Located, MatchedPosition, Presence, PresenceSettings, Trip, Zones};
use crate::network::Network;
use crate::observation::Origin;
use crate::publish::Release;
use crate::publish::format::{Privacy, fixture};
use crate::state::congestion::{Congestion, CongestionSettings};
use crate::units::{Position, SegmentId, SubjectId, Timestamp};

struct Running {
    server: Server,
    live: LiveSender,
    stop: oneshot::Sender<()>,
}

async fn start(options: ServeOptions) -> Running {
    let (live, receiver) = live_channel();
    let (stop, stopped) = oneshot::channel::<()>();
    let options = ServeOptions {
        addr: SocketAddr::from(([127, 0, 0, 1], 0)),
        ..options
    };
    let metrics = Arc::new(|| "roadcast_up 1\n".to_owned());
    let server = spawn(options, receiver, metrics, async {
        stopped.await.ok();
    })
    .await
    .expect("a free port");
    Running { server, live, stop }
}

fn view(network: Arc<Network>) -> LiveView {
    let release = Release::new(Privacy::default(), Zones::default());
    let forecast = Arc::new(fixture::forecast(&network));
    let advice = [fixture::jam(&network), fixture::diversion(&network)];
    let mut congestion = Congestion::new(network.clone(), CongestionSettings::default());
    let index = congestion.close_minute(&mut fixture::state(&network));
    let today = congestion.today().map(Arc::new);
    LiveView {
        congestion: Some(release.congestion(&index)),
        days: today.iter().map(|day| release.day(day)).collect(),
        state: Some(release.states(&fixture::state(&network))),
        forecast: Some(release.forecast(&forecast, None)),
        outlook: Some(release.outlook(&Arc::new(fixture::outlook(&network)), None)),
        guidance: advice
            .iter()
            .map(|advice| release.guidance(advice))
            .collect(),
        incidents: Vec::new(),
        presence: None,
        roadside: None,
        scores: Some(Arc::new(fixture::scores(&network))),
        performance: Some(release.performance(&network, &fixture::performance(&network))),
        event_time: Timestamp::from_secs(28_880),
        speedup: 20.0,
        network: Some(network),
    }
}

/// Status line, headers and body of one request on its own connection.
async fn get_with(addr: SocketAddr, path: &str, headers: &str) -> (u16, String, Vec<u8>) {
    let mut stream = TcpStream::connect(addr).await.expect("connects");
    let request =
        format!("GET {path} HTTP/1.1\r\nhost: roadcast\r\nconnection: close\r\n{headers}\r\n");
    stream.write_all(request.as_bytes()).await.expect("sends");
    let mut answer = Vec::new();
    stream.read_to_end(&mut answer).await.expect("answers");
    let end = answer
        .windows(4)
        .position(|window| window == b"\r\n\r\n")
        .expect("headers end");
    let head = String::from_utf8_lossy(&answer[..end]).to_lowercase();
    let status = head[9..12].parse().expect("a status code");
    let body = &answer[end + 4..];
    if head.contains("transfer-encoding: chunked") {
        return (status, head, joined(body));
    }
    (status, head, body.to_vec())
}

/// The body that was sent in chunks (RFC 9112, section 7.1).
fn joined(mut chunks: &[u8]) -> Vec<u8> {
    let mut body = Vec::new();
    loop {
        let end = chunks
            .windows(2)
            .position(|window| window == b"\r\n")
            .expect("a chunk begins with its size");
        let size = std::str::from_utf8(&chunks[..end]).expect("a size is text");
        let size = usize::from_str_radix(size, 16).expect("a size is hexadecimal");
        if size == 0 {
            return body;
        }
        body.extend_from_slice(&chunks[end + 2..][..size]);
        chunks = &chunks[end + 2 + size + 2..];
    }
}

async fn get(addr: SocketAddr, path: &str) -> (u16, String, Vec<u8>) {
    get_with(addr, path, "").await
}

async fn get_json(addr: SocketAddr, path: &str) -> Value {
    let (status, _, body) = get(addr, path).await;
    assert_eq!(status, 200, "{path}");
    serde_json::from_slice(&body).expect("JSON")
}

#[tokio::test]
async fn is_ready_once_subscribed_with_network_and_model() {
    let running = start(ServeOptions::default()).await;
    let addr = running.server.addr;
    assert_eq!(get(addr, "/livez").await.0, 200);
    let (status, _, body) = get(addr, "/readyz").await;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!(status, 503);
    assert_eq!(
        body["missing"],
        serde_json::json!(["subscribed", "network", "model"])
    );
    for path in ["network", "state", "forecast", "guidance", "segments/0"] {
        assert_eq!(get(addr, &format!("/api/v1/{path}")).await.0, 404, "{path}");
    }
    running.live.set_subscribed(true);
    running.live.set_model_loaded(true);
    running.live.publish(view(Arc::new(fixture::network())));
    assert_eq!(get(addr, "/readyz").await.0, 200);
    running.live.set_subscribed(false);
    let (status, _, body) = get(addr, "/readyz").await;
    let body: Value = serde_json::from_slice(&body).expect("JSON");
    assert_eq!((status, &body["missing"][0]), (503, &"subscribed".into()));
}

#[tokio::test]
async fn the_api_shows_the_view() {
    let water = vec![vec![
        Position::new(114.2, 30.5),
        Position::new(114.3, 30.5),
        Position::new(114.3, 30.6),
    ]];
    let running = start(ServeOptions {
        water,
        ..ServeOptions::default()
    })
    .await;
    let addr = running.server.addr;
    let network = Arc::new(fixture::network());
    running.live.publish(view(Arc::clone(&network)));

    let body = get_json(addr, "/api/v1/network").await;
    let features = body["features"].as_array().expect("features");
    assert_eq!(features.len(), network.segment_count() + 1);
    assert_eq!(features[1]["properties"]["name_en"], "North Street");
    assert_eq!(features[1]["properties"]["limit_kmh"], 60);
    assert_eq!(features[1]["properties"]["bridge"], true);
    let ring = features[4]["geometry"]["coordinates"][0]
        .as_array()
        .expect("a ring");
    assert_eq!((ring.len(), &ring[0]), (4, &ring[3]));

    let body = get_json(addr, "/api/v1/state?format=compact").await;
    assert_eq!(body["level"], "1542");
    assert_eq!(body["provenance"], "1000");
    assert_eq!(body["speed_mps"][0], 12.35);
    let full = get_json(addr, "/api/v1/state").await;
    assert_eq!(full["segments"][1]["queue_length_m"], 340);
    assert_eq!(full["segments"][0]["sample_count"], Value::Null);

    let body = get_json(addr, "/api/v1/forecast?format=compact").await;
    assert_eq!(body["level"].as_array().map(Vec::len), Some(12));
    assert_eq!(body["level"][0], "5555");
    assert_eq!(body["level"][11], "1111");
    let full = get_json(addr, "/api/v1/forecast").await;
    assert_eq!(full["segments"][3]["p50_mps"][11], 12.23);

    let body = get_json(addr, "/api/v1/guidance").await;
    let roles: Vec<&Value> = (0..3)
        .map(|index| &body["features"][index]["properties"]["role"])
        .collect();
    assert_eq!(roles, ["jam", "alternative", "main"]);
    assert_eq!(
        body["features"][0]["properties"]["guidance"]["jam"]["length_m"],
        2300.0
    );

    let body = get_json(addr, "/api/v1/segments/1").await;
    assert_eq!(body["level"], 5);
    assert_eq!(
        body["forecast"]["p90_mps"].as_array().map(Vec::len),
        Some(12)
    );
    let outlook = &body["outlook"];
    assert_eq!(
        (&outlook["start_ms"], &outlook["step_s"]),
        (&32_400_000.into(), &1_800.into())
    );
    for key in ["p10_mps", "p50_mps", "p90_mps", "level"] {
        assert_eq!(outlook[key].as_array().map(Vec::len), Some(4), "{key}");
    }
    assert_eq!(outlook["p50_mps"][1], 3.35);
    assert_eq!(get(addr, "/api/v1/segments/4").await.0, 404);

    assert_eq!(body["derived"]["diagram"]["basis"], "default");
    assert!(body["derived"]["emission"]["co2_gpkm"].as_f64() > Some(100.0));
    let corridors = get_json(addr, "/api/v1/corridors").await;
    let corridor = &corridors["corridors"][0];
    assert_eq!(
        (&corridor["id"], &corridor["name"]),
        (&"north".into(), &"北街".into())
    );
    assert_eq!(corridor["legs"].as_array().map(Vec::len), Some(2));
    assert!(corridor["low_s"].as_f64() < corridor["time_s"].as_f64());
    let bottlenecks = get_json(addr, "/api/v1/bottlenecks").await;
    assert_eq!(
        bottlenecks["today"],
        serde_json::json!([]),
        "one minute makes none"
    );
    let emissions = get_json(addr, "/api/v1/emissions").await;
    assert_eq!(emissions["segments"].as_array().map(Vec::len), Some(4));

    let scores = get_json(addr, "/api/v1/scores").await;
    let published = &scores["forecasters"][0];
    assert_eq!(published["forecaster"], "published");
    assert_eq!(published["horizons"][1]["minutes"], 15);
    assert!(published["all"]["minutes"].is_null());
    let body = get_json(addr, "/api/v1/status").await;
    assert_eq!(body["scores_until_ms"], scores["until_ms"]);
    assert_eq!(
        (&body["sequence"], &body["speedup"]),
        (&1.into(), &20.0.into())
    );
}

#[tokio::test]
async fn the_index_and_the_report_of_a_day_are_told() {
    let running = start(ServeOptions::default()).await;
    let addr = running.server.addr;
    assert_eq!(get(addr, "/api/v1/index").await.0, 404);
    assert_eq!(get(addr, "/api/v1/report/day").await.0, 404);
    running.live.publish(view(Arc::new(fixture::network())));
    let all = get_json(addr, "/api/v1/index").await;
    assert_eq!(all.as_array().map(Vec::len), Some(1));
    assert_eq!(
        (&all[0]["region"], &all[0]["standard"]),
        (&"city".into(), &"GB/T 33171-2016 v1".into())
    );
    let one = get_json(addr, "/api/v1/index/city").await;
    assert_eq!(one, all[0]);
    assert!(one["tpi"].as_f64().is_some_and(|tpi| tpi > 0.0), "{one}");
    assert_eq!(get(addr, "/api/v1/index/nowhere").await.0, 404);
    // The minute of the fixture begins at 16:00 of the first day of the epoch in UTC.
    let today = get_json(addr, "/api/v1/report/day").await;
    assert_eq!(
        (&today["date"], &today["is_over"]),
        (&"1970-01-01".into(), &false.into())
    );
    assert_eq!(
        get_json(addr, "/api/v1/report/day?date=1970-01-01").await,
        today
    );
    assert_eq!(get(addr, "/api/v1/report/day?date=1970-01-02").await.0, 404);
    let status = get_json(addr, "/api/v1/status").await;
    assert_eq!(status["index"]["region"], "city");
}

/// Five taxis on one road, one on the next: told as a group, never alone.
#[tokio::test]
async fn vehicles_are_told_as_groups_without_identity() {
    let running = start(ServeOptions::default()).await;
    let addr = running.server.addr;
    let network = Arc::new(fixture::network());
    let ask = |segment, offset_m: f32, radius_m: f32| {
        let at = network.position_at(SegmentId(segment), offset_m);
        format!(
            "/api/v1/vehicles?lon={}&lat={}&radius_m={radius_m}",
            at.lon_deg, at.lat_deg
        )
    };
    assert_eq!(get(addr, &ask(0, 0.0, 300.0)).await.0, 404);
    let taxi = |subject: u64, segment, offset_m| Located {
        position: MatchedPosition {
            lane: None,
            subject: SubjectId(0xC0FF_EE00 + subject),
            observed_at: Timestamp::from_secs(28_850),
            segment: SegmentId(segment),
            offset_m,
            likelihood: 1.0,
            speed_mps: Some(8.0 + subject as f32),
            origin: Origin::Probe,
        },
        trip: Trip {
            begun_at: Timestamp::from_secs(28_000),
            driven_m: 5_000.0,
            on_road_at: Some(Timestamp::from_secs(28_855)),
        },
    };
    let mut taxis: Vec<Located> = (0..5)
        .map(|index| taxi(index, 1, 100.0 + 7.0 * index as f32))
        .collect();
    taxis.push(taxi(9, 0, 50.0));
    // On South Street are four and one who has just set off.
    taxis.extend((20..25).map(|index| taxi(index, 2, 3_000.0)));
    if let Some(last) = taxis.last_mut() {
        last.trip.driven_m = 299.0;
    }
    let as_of = Timestamp::from_secs(28_860);
    let presence = Presence::new(&network, &PresenceSettings::default(), as_of, taxis);
    running.live.publish(LiveView {
        presence: Some(Arc::new(presence)),
        ..view(Arc::clone(&network))
    });

    let all = get_json(addr, &ask(1, 110.0, 5_000.0)).await;
    assert_eq!(
        (&all["count"], &all["as_of_ms"]),
        (&10.into(), &28_860_000.into())
    );
    assert_eq!(
        all["segments"],
        serde_json::json!([{"segment": 1, "count": 5}])
    );
    assert_eq!(all["positions"].as_array().map(Vec::len), Some(5));
    assert!(all["mean_speed_mps"].is_number());
    let taxi_of_five = &all["positions"][0];
    let told = Position::new(
        taxi_of_five["lon_deg"].as_f64().expect("a number"),
        taxi_of_five["lat_deg"].as_f64().expect("a number"),
    );
    let point = network.frame().to_point(told);
    for metres in [point.x, point.y] {
        assert!(
            (metres / 10.0 - (metres / 10.0).round()).abs() < 0.05,
            "{metres}"
        );
    }
    assert!(!all.to_string().contains(&0xC0FF_EE00u64.to_string()));

    let alone = get_json(addr, &ask(0, 50.0, 20.0)).await;
    assert_eq!(
        (
            &alone["count"],
            &alone["mean_speed_mps"],
            &alone["positions"]
        ),
        (&Value::Null, &Value::Null, &serde_json::json!([]))
    );
    let nobody = get_json(addr, &ask(3, 50.0, 20.0)).await;
    assert_eq!(
        nobody["count"], alone["count"],
        "nobody is told like somebody"
    );
    let four = get_json(addr, &ask(2, 3_000.0, 20.0)).await;
    assert_eq!(four["count"], Value::Null, "who sets off does not count");
    for bad in [
        "lon=114.3&lat=30.6",
        "lon=114.3&lat=99&radius_m=50",
        "lon=114.3&lat=30.6&radius_m=6000",
    ] {
        assert_eq!(
            get(addr, &format!("/api/v1/vehicles?{bad}")).await.0,
            400,
            "{bad}"
        );
    }
}

#[tokio::test]
async fn unchanged_bodies_are_not_sent_again() {
    let running = start(ServeOptions::default()).await;
    let addr = running.server.addr;
    let network = Arc::new(fixture::network());
    running.live.publish(view(Arc::clone(&network)));
    let if_none_match = |head: &str| {
        let tag = head
            .lines()
            .find_map(|line| line.strip_prefix("etag: "))
            .expect("an entity tag")
            .to_owned();
        format!("if-none-match: {tag}\r\n")
    };
    let network_tag = if_none_match(&get(addr, "/api/v1/network").await.1);
    assert!(network_tag.contains(&network.version().to_string()));
    let state_tag = if_none_match(&get(addr, "/api/v1/state").await.1);
    let status = async |path, headers: &str| get_with(addr, path, headers).await.0;
    assert_eq!(status("/api/v1/state", &state_tag).await, 304);
    running.live.publish(view(network));
    assert_eq!(status("/api/v1/state", &state_tag).await, 200);
    assert_eq!(status("/api/v1/network", &network_tag).await, 304);
}

#[tokio::test]
async fn large_bodies_are_compressed_for_those_who_accept_it() {
    let running = start(ServeOptions::default()).await;
    let addr = running.server.addr;
    let (_, head, gzip) = get_with(
        addr,
        "/assets/vendor/maplibre-gl.css",
        "accept-encoding: gzip, br\r\n",
    )
    .await;
    assert!(head.contains("content-encoding: gzip"), "{head}");
    let plain = get(addr, "/assets/vendor/maplibre-gl.css").await.2;
    let mut unpacked = Vec::new();
    std::io::Read::read_to_end(&mut flate2::read::GzDecoder::new(&gzip[..]), &mut unpacked)
        .expect("gzip");
    assert!(gzip.len() < plain.len() && unpacked == plain);
}

#[tokio::test]
async fn the_page_loads_only_what_is_embedded() {
    let running = start(ServeOptions::default()).await;
    let addr = running.server.addr;
    let (status, head, body) = get(addr, "/").await;
    assert_eq!(status, 200);
    assert!(head.contains("content-security-policy: default-src 'none'"));
    let page = String::from_utf8(body).expect("UTF-8");
    assert!(!page.contains("http://") && !page.contains("https://") && !page.contains("style=\""));
    let mut loaded = 0;
    for reference in page
        .split(['"', '\''])
        .filter(|part| part.starts_with("/assets/"))
    {
        assert_eq!(get(addr, reference).await.0, 200, "{reference}");
        loaded += 1;
    }
    assert!(loaded >= 3, "{loaded} assets");
    assert_eq!(get(addr, "/assets/../Cargo.toml").await.0, 404);
    assert_eq!(get(addr, "/metrics").await.2, b"roadcast_up 1\n");
}

#[tokio::test]
async fn stops_with_an_idle_connection_open() {
    let running = start(ServeOptions::default()).await;
    let idle = TcpStream::connect(running.server.addr)
        .await
        .expect("connects");
    running.stop.send(()).expect("the server runs");
    running.server.task.await.expect("the server ends");
    drop(idle);
}

#[tokio::test]
async fn a_silent_connection_is_closed_and_gives_its_place_back() {
    let running = start(ServeOptions {
        max_connections: 1,
        idle_timeout: std::time::Duration::from_millis(50),
        ..ServeOptions::default()
    })
    .await;
    let mut silent = TcpStream::connect(running.server.addr)
        .await
        .expect("connects");
    let mut rest = Vec::new();
    silent
        .read_to_end(&mut rest)
        .await
        .expect("closed by the server");
    assert_eq!(get(running.server.addr, "/livez").await.0, 200);
}

#[tokio::test]
async fn what_roadside_units_tell_is_served_in_its_documented_form() {
    use crate::matching::Overlay;
    use crate::observation::{
        Approach, ApproachMovement, EventCode, JunctionReading, Light, RoadEvent, SignalReading,
    };
    use crate::publish::format::{EventsMessage, JunctionsMessage, ParkingMessage, SignalsMessage};
    use crate::state::Roadside;

    let running = start(ServeOptions::default()).await;
    let addr = running.server.addr;
    let network = Arc::new(fixture::network());
    running.live.publish(view(network.clone()));
    let (status, _, _) = get_with(addr, "/api/v1/signals", "").await;
    assert_eq!(status, 404, "nothing told yet");

    // The way from A to B is segment 0; phase 3 governs its end.
    let at = Timestamp::from_secs(28_850);
    let on = |share: f64| Position::new(114.28 + 0.04 * share, 30.59);
    let junction = JunctionReading {
        observed_at: at,
        junction: "0-5".into(),
        name: None,
        position: on(1.0),
        approaches: vec![Approach {
            upstream: "0-4".into(),
            points: vec![on(0.1), on(0.9)],
            movements: vec![ApproachMovement {
                downstream: "0-6".into(),
                phase: Some(3),
            }],
            ..Approach::default()
        }],
    };
    let mut overlay = Overlay::default();
    overlay.take(&network, None, junction).expect("near a road");
    let mut roadside = Roadside::default();
    let signal = SignalReading {
        observed_at: at,
        junction: "0-5".into(),
        phase: 3,
        light: Light::Red,
        begins_in_s: None,
        ends_in_s: Some(7.5),
    };
    roadside.take_signal(&signal).expect("the first");
    let event = RoadEvent {
        observed_at: at,
        source: "R1".into(),
        event: 7,
        code: EventCode::Gbt29100(707),
        position: Some(on(0.5)),
        radius_m: None,
        paths: vec![vec![on(0.4), on(0.5)]],
        lane: None,
        valid_from: None,
        valid_until: None,
        confidence: None,
        ended: false,
        description: Some("拥堵".into()),
    };
    roadside.take_event(event).expect("the first");
    let end = Timestamp::from_secs(28_860);
    running.live.publish(LiveView {
        roadside: Some(Arc::new(roadside.view(end, &Arc::new(overlay), 0))),
        ..view(network)
    });

    let (_, _, body) = get_with(addr, "/api/v1/junctions", "").await;
    let junctions: JunctionsMessage = serde_json::from_slice(&body).expect("its own form");
    let approach = &junctions.junctions[0].approaches[0];
    assert_eq!(
        (&approach.segments[..], &approach.problem),
        (&[0][..], &None)
    );
    assert_eq!(approach.movements[0].problem.as_deref(), Some("no_exit"));
    let (_, _, body) = get_with(addr, "/api/v1/signals", "").await;
    let signals: SignalsMessage = serde_json::from_slice(&body).expect("its own form");
    let signal = &signals.signals[0];
    assert_eq!(
        (signal.light.as_deref(), signal.ends_in_s),
        (Some("red"), Some(7.5))
    );
    assert_eq!(
        (signal.movements[0].from, signal.movements[0].to),
        (0, None)
    );
    let (_, _, body) = get_with(addr, "/api/v1/events", "").await;
    let events: EventsMessage = serde_json::from_slice(&body).expect("its own form");
    assert_eq!(
        (events.events[0].code, events.events[0].segment),
        (707, Some(0))
    );
    assert_eq!(events.events[0].description.as_deref(), Some("拥堵"));
    let (_, _, body) = get_with(addr, "/api/v1/parking", "").await;
    let parking: ParkingMessage = serde_json::from_slice(&body).expect("its own form");
    assert_eq!((parking.as_of_ms, parking.lots.len()), (28_860_000, 0));
    running.stop.send(()).expect("still running");
}

#[tokio::test]
async fn history_is_told_as_json_and_csv_and_bad_questions_with_their_reason() {
    use crate::archive::{ArchiveSettings, Archiver, Overflow};

    let network = Arc::new(fixture::network());
    let dir = std::env::temp_dir().join(format!("roadcast-past-{}", std::process::id()));
    let settings = ArchiveSettings {
        dir: dir.clone(),
        ..ArchiveSettings::default()
    };
    let (mut archiver, history) =
        Archiver::start(settings, network.clone(), Overflow::Wait).expect("a folder");
    let mut batch = fixture::state(&network);
    let begin_ms = batch.interval.start.as_millis();
    for _ in 0..3 {
        archiver.state(&fixture::released(&batch));
        archiver.guidance(
            &network,
            &Release::new(Privacy::default(), Zones::default()).guidance(&fixture::jam(&network)),
        );
        archiver.minute_done();
        batch.interval.start = batch.interval.start.plus_secs(60);
        batch.interval.end = batch.interval.end.plus_secs(60);
    }
    archiver.finish();
    let running = start(ServeOptions {
        history: Some(Arc::new(history)),
        ..ServeOptions::default()
    })
    .await;
    let addr = running.server.addr;
    let span = format!("from={begin_ms}&to={}", begin_ms + 300_000);
    let path = format!("/api/v1/history?segment=1,0&{span}&step=60");
    let body = get_json(addr, &path).await;
    let rows = body["rows"].as_array().expect("rows");
    assert_eq!((rows.len(), &body["files"]), (6, &1.into()));
    assert_eq!(body["network"], network.version().to_string());
    assert_eq!(rows[0]["segment"], 0);
    assert_eq!(rows[3]["level_worst"], 5);
    let speed = rows[0]["speed_mps"].as_f64().expect("a speed");
    assert!((speed - 12.35).abs() < 0.011, "{speed}");
    assert_eq!(rows[0]["coverage"], 1);
    assert_eq!(rows[0].get("samples"), None, "four are no group");
    assert_eq!(rows[3]["samples"], 5);
    // The longest step has three of its minutes.
    let hour = get_json(
        addr,
        &format!("/api/v1/history?bbox=114,30,115,31&{span}&step=3600"),
    )
    .await;
    assert_eq!(
        hour["rows"].as_array().map(Vec::len),
        Some(network.segment_count())
    );
    assert_eq!(
        (&hour["rows"][0]["minutes"], &hour["rows"][0]["coverage"]),
        (&3.into(), &0.05.into())
    );
    let (status, head, csv) = get(addr, &format!("{path}&format=csv")).await;
    let csv = String::from_utf8_lossy(&csv).into_owned();
    assert_eq!(status, 200);
    assert!(head.contains("text/csv"));
    assert!(
        csv.contains("segment,source_id,start_ms,speed_mps"),
        "{csv}"
    );
    assert!(
        csv.contains(&format!("0,\"way \"\"0\"\"\",{begin_ms},")),
        "{csv}"
    );
    for (question, reason) in [
        (
            format!("segment=0&bbox=1,2,3,4&{span}"),
            "either segment or bbox",
        ),
        (format!("segment=x&{span}"), "no segment number"),
        (format!("segment=99&{span}"), "segments 0 to 3"),
        (format!("bbox=3,2,1,0&{span}"), "west,south,east,north"),
        (format!("segment=0&{span}&step=61"), "step 61"),
        (
            "segment=0,1&from=0&to=99999999999999&step=60".to_owned(),
            "100000 at most",
        ),
    ] {
        let (status, _, body) = get(addr, &format!("/api/v1/history?{question}")).await;
        let body = String::from_utf8_lossy(&body).into_owned();
        assert_eq!(status, 400, "{question}");
        assert!(body.contains(reason), "{question}: {body}");
    }
    running.stop.send(()).ok();
    let without = start(ServeOptions::default()).await;
    assert_eq!(get(without.server.addr, &path).await.0, 404);
    std::fs::remove_dir_all(&dir).expect("the folder can be removed");
}
