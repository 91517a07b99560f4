//! Killed in the middle of a jam, an engine comes back with the same levels and the same advice, at
//! the broker as in the API, and clears at the broker what ends afterwards.

use std::collections::BTreeSet;

use roadcast::publish::OutMessage;
use roadcast::replay::traffic::{Simulation, TrafficSettings};
use roadcast::units::Timestamp;

use super::engine::{Served, free_port, write_city};
use super::mosquitto::Mosquitto;
use super::*;

/// 07:20 at UTC+8 on Monday 2026-11-23.
const START_S: i64 = 1_795_389_600;

fn serve(directory: &std::path::Path, name: &str, broker_port: u16, publishes: bool) -> Served {
    let http_port = free_port();
    let home = directory.display();
    let text = format!(
        "[network]\nfile = \"{home}/city.rcn\"\n[clock]\nmode = \"event\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{broker_port}\"\nclient_id = \"restart-{name}\"\n\
         [forecast]\nmodel = \"baseline\"\n[publish]\nenabled = {publishes}\n\
         [http]\nbind = \"127.0.0.1:{http_port}\"\n\
         [recording]\ndir = \"{home}/{name}\"\nsnapshot_minutes = 1\n\
         [archive]\ndir = \"{home}/{name}-archive\"\n"
    );
    Served::with_config(directory, name, http_port, &text)
}

/// Ids and revisions of the advice in force.
fn advice(served: &Served) -> BTreeSet<(String, i64)> {
    let (_, body) = served.get("/api/v1/guidance").unwrap();
    let body: serde_json::Value = serde_json::from_str(&body).unwrap();
    let told = body["features"].as_array().unwrap().iter();
    let told = told.filter_map(|feature| feature["properties"]["guidance"].as_object());
    told.map(|told| {
        let id = told["id"].as_str().unwrap().to_owned();
        (id, told["revision"].as_i64().unwrap())
    })
    .collect()
}

fn levels(segments: &serde_json::Value) -> Vec<i64> {
    let segments = segments.as_array().unwrap().iter();
    segments
        .map(|entry| entry["level"].as_i64().unwrap())
        .collect()
}

#[test]
fn an_engine_killed_in_a_jam_shows_it_again_under_the_same_id() {
    let Some(broker) = Mosquitto::start("restart", "") else {
        return;
    };
    let directory = std::env::temp_dir().join(format!("roadcast-restart-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let city = write_city(&directory);
    let mut killed = serve(&directory, "killed", broker.port(), true);
    let steady = serve(&directory, "steady", broker.port(), false);
    let runtime = runtime();
    let settings = connect(broker.port(), "restart-load", Protocol::Auto);
    let publisher = Publisher::spawn(settings, OutboxSettings::default(), runtime.handle());
    let traffic = TrafficSettings {
        vehicles: 700,
        probe_period_s: 4,
        bsm_period_s: 4,
        rsm_period_s: 4,
        start: Timestamp::from_secs(START_S),
        incident_s: Some((4 * 60, 22 * 60)),
        ..TrafficSettings::default()
    };
    let mut simulation = Simulation::new(&city, traffic);
    let mut reports = Vec::new();
    let mut publish = |seconds: i64| {
        for _ in 0..seconds {
            simulation.step(&mut reports);
            for report in reports.drain(..) {
                publisher.publish(OutMessage {
                    topic: report.topic.to_string(),
                    payload: report.payload,
                    qos: 1,
                    retain: false,
                });
            }
        }
        assert_eq!(publisher.flush(DEADLINE), 0, "the broker took everything");
    };
    // 15 minutes and 30 s: the minute from the fourteenth on is the last that closes.
    publish(15 * 60 + 30);
    let at = |minute: i64| Timestamp::from_secs(START_S + 60 * minute);
    let before = killed.segments_at(at(14));
    assert_eq!(levels(&before), levels(&steady.segments_at(at(14))));
    let told = advice(&killed);
    assert!(!told.is_empty(), "a jam is told");
    assert_eq!(told, advice(&steady));
    killed.kill_and_restart();
    publish(60);
    let (after, unbroken) = (killed.segments_at(at(15)), steady.segments_at(at(15)));
    assert_eq!(levels(&after), levels(&unbroken));
    let told_after = advice(&killed);
    assert_eq!(told_after, advice(&steady));
    let ids = |told: &BTreeSet<(String, i64)>| -> BTreeSet<String> {
        told.iter().map(|(id, _)| id.clone()).collect()
    };
    assert!(!ids(&told).is_disjoint(&ids(&told_after)), "the same jam");
    // The broker keeps the same advice for those who subscribe now.
    let late = subscribe(
        connect(broker.port(), "restart-late", Protocol::V5),
        "roadcast/v1/guidance/#",
        Qos::AtLeastOnce,
        &runtime,
    );
    let retained: BTreeSet<(String, i64)> = next_texts(&late, told_after.len())
        .iter()
        .map(|text| {
            let message: serde_json::Value = serde_json::from_str(text).unwrap();
            let id = message["id"].as_str().unwrap().to_owned();
            (id, message["revision"].as_i64().unwrap())
        })
        .collect();
    assert_eq!(retained, told_after);
    publisher.close(DEADLINE);
    drop((killed, steady));
    std::fs::remove_dir_all(&directory).unwrap();
}
