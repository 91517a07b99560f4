//! Messages out: nothing lost over a killed broker, status and Last Will.

use roadcast::ingest::Status;

use super::*;
use crate::mosquitto::Mosquitto;

#[test]
fn what_a_killed_broker_had_acknowledged_and_saved_is_delivered_after_its_restart() {
    let Some(mut broker) = Mosquitto::start("saved", "") else {
        return;
    };
    let runtime = runtime();
    let settings = connect(broker.port(), "engine", Protocol::V5);
    // The engine is away, its session is not.
    subscribe(settings.clone(), "s/#", Qos::AtLeastOnce, &runtime).close(DEADLINE);
    let output = publisher(connect(broker.port(), "fleet", Protocol::V5), &runtime);
    for number in 0..500 {
        output.publish(numbered("s/x", number, 1));
    }
    assert_eq!(output.flush(DEADLINE), 0);
    broker.save();
    broker.kill();
    broker.restart();
    let input = subscribe(settings, "s/#", Qos::AtLeastOnce, &runtime);
    let mut seen = Seen::default();
    seen.collect(&input, "all that was saved", |times| times.len() == 500);
    seen.acknowledge();
}

/// A killed Mosquitto forgets what it acknowledged after its last save, so only that may be missing;
/// whatever it had not acknowledged must arrive, although it does not know us any more.
#[test]
fn what_a_killed_broker_had_not_acknowledged_is_sent_again() {
    for protocol in [Protocol::V5, Protocol::V311] {
        let name = format!("unsaved-{protocol:?}");
        let Some(mut broker) = Mosquitto::start(&name, "") else {
            return;
        };
        let runtime = runtime();
        let input = subscribe(
            connect(broker.port(), "engine", protocol),
            "s/#",
            Qos::AtLeastOnce,
            &runtime,
        );
        // The broker remembers the subscription, so that it keeps what comes before the engine.
        broker.save();
        let output = publisher(connect(broker.port(), "fleet", protocol), &runtime);
        let stats = output.stats();
        let mut seen = Seen {
            at_once: true,
            ..Seen::default()
        };
        let mut published = 0u64;
        let mut excused = Vec::new();
        for _round in 0..3 {
            for _ in 0..20_000 {
                output.publish(numbered("s/x", published, 1));
                published += 1;
            }
            let before = load(&stats.acknowledged);
            eventually("the load runs", || load(&stats.acknowledged) > before + 200);
            broker.kill();
            eventually("the loss is noticed", || {
                !stats.link.connected.load(Ordering::Relaxed)
            });
            // Mosquitto acknowledges in order: what it has not answered begins here.
            let answered = load(&stats.acknowledged);
            excused.push(answered);
            broker.restart();
            eventually("subscribed again", || input.stats.is_ready());
        }
        let first_owed = excused.last().copied().unwrap_or(0);
        seen.collect(&input, "all after the last kill", |times| {
            times.range(first_owed..).count() as u64 == published - first_owed
        });
        assert_eq!(output.flush(DEADLINE), 0);
        assert_eq!(load(&stats.acknowledged), published);
        assert_eq!((load(&stats.dropped), load(&stats.coalesced)), (0, 0));
        let missing = published - seen.times.len() as u64;
        eprintln!(
            "{name}: {missing} of {published} were acknowledged and then forgotten by the killed broker"
        );
    }
}

#[test]
fn status_says_online_offline_and_why_not_both() {
    let Some(broker) = Mosquitto::start("status", "") else {
        return;
    };
    let runtime = runtime();
    for protocol in [Protocol::V5, Protocol::V311] {
        let status = Status {
            topic: format!("roadcast/v1/status/{protocol:?}"),
            ..Status::default()
        };
        let watch = |name: &str| {
            let settings = connect(broker.port(), name, protocol);
            subscribe(settings, &status.topic, Qos::AtLeastOnce, &runtime)
        };
        let watcher = watch("watcher");
        let mut settings = connect(broker.port(), "engine", protocol);
        settings.status = Some(status.clone());
        let crashing = publisher(settings.clone(), &runtime);
        assert_eq!(next_texts(&watcher, 1), ["online"]);
        // A crash: the broker speaks for us.
        drop(crashing);
        assert_eq!(next_texts(&watcher, 1), ["offline"]);
        // A clean end.
        let ending = publisher(settings.clone(), &runtime);
        assert_eq!(next_texts(&watcher, 1), ["online"]);
        ending.publish(numbered("roadcast/v1/x", 1, 1));
        assert_eq!(ending.close(DEADLINE), 0);
        assert_eq!(next_texts(&watcher, 1), ["offline"]);
        // It is retained: who comes later hears it too.
        assert_eq!(next_texts(&watch("latecomer"), 1), ["offline"]);
        // The same of an ingest.
        let input = subscribe(settings, "nothing/#", Qos::AtLeastOnce, &runtime);
        assert_eq!(next_texts(&watcher, 1), ["online"]);
        input.close(DEADLINE);
        assert_eq!(next_texts(&watcher, 1), ["offline"]);
    }
}

#[test]
fn retained_states_survive_an_outage_as_their_newest() {
    let Some(mut broker) = Mosquitto::start("retained", "") else {
        return;
    };
    let runtime = runtime();
    let output = publisher(connect(broker.port(), "engine", Protocol::V5), &runtime);
    let stats = output.stats();
    eventually("connected", || stats.link.connected.load(Ordering::Relaxed));
    broker.kill();
    eventually("the loss is noticed", || {
        !stats.link.connected.load(Ordering::Relaxed)
    });
    for minute in 0..60 {
        output.publish(OutMessage {
            retain: true,
            ..numbered("roadcast/v1/state/1321", minute, 1)
        });
    }
    broker.restart();
    assert_eq!(output.flush(DEADLINE), 0);
    assert_eq!(load(&stats.coalesced), 59);
    let watcher = subscribe(
        connect(broker.port(), "watcher", Protocol::V5),
        "roadcast/v1/state/#",
        Qos::AtLeastOnce,
        &runtime,
    );
    assert_eq!(next_texts(&watcher, 1), ["59"]);
}

/// Full snapshots every few minutes and deltas between, through a real broker: who listens all the
/// time and who joins at the end put together the same state.
#[test]
fn who_joins_late_has_the_state_of_who_listens_all_the_time() {
    use roadcast::publish::format::StateTopics;

    let Some(broker) = Mosquitto::start("deltas", "") else {
        return;
    };
    let runtime = runtime();
    let city = roadcast::replay::city::build(7, roadcast::replay::city::CitySize::Small).unwrap();
    let network = &city.network;
    let listen = |name: &str| {
        let settings = connect(broker.port(), name, Protocol::V5);
        subscribe(settings, "roadcast/v1/state/#", Qos::AtMostOnce, &runtime)
    };
    let steady = listen("steady");
    let output = publisher(connect(broker.port(), "engine", Protocol::V5), &runtime);
    let release = roadcast::publish::Release::new(Default::default(), Default::default());
    let tiles = roadcast::publish::format::TileTable::new(network, 16);
    let mut topics = StateTopics::new(5);
    let mut batch = roadcast::state::StateBatch {
        interval: roadcast::units::Interval {
            start: roadcast::units::Timestamp::from_secs(0),
            end: roadcast::units::Timestamp::from_secs(60),
        },
        network: network.version(),
        segments: vec![
            roadcast::state::SegmentState {
                speed_mps: 12.0,
                sigma_mps: 2.0,
                free_flow_mps: 14.0,
                ..Default::default()
            };
            network.segment_count()
        ],
    };
    let (mut messages, mut deltas) = (0, 0);
    for minute in 0..13 {
        let start = roadcast::units::Timestamp::from_secs(60 * minute);
        batch.interval = roadcast::units::Interval {
            start,
            end: start.plus_secs(60),
        };
        // Every eleventh segment, another one each minute, slows down.
        for index in (minute as usize % 11..batch.segments.len()).step_by(11) {
            batch.segments[index].speed_mps -= 1.0;
        }
        let out = topics.messages(&release.states(&batch), &tiles);
        deltas += out.deltas.0;
        for message in out.messages {
            messages += 1;
            output.publish(message);
        }
        // A retained message that waits is replaced by the next of its topic.
        assert_eq!(output.flush(DEADLINE), 0);
    }
    assert!(deltas > 0, "most minutes are deltas");
    let of_steady = Tiles::of(&next_texts(&steady, messages));
    assert_eq!(of_steady.0.len(), tiles.tiles().len());
    // One retained snapshot a tile, and the delta of those that ever had one.
    let topics_retained =
        tiles.tiles().len() + of_steady.0.values().filter(|t| t[1].is_object()).count();
    let of_late = Tiles::of(&next_texts(&listen("late"), topics_retained));
    let (told, late) = (of_steady.state(), of_late.state());
    assert_eq!(told.len(), network.segment_count());
    assert_eq!(told, late);
    for (segment, entry) in told {
        let error = entry["speed_mps"].as_f64().unwrap()
            - f64::from(batch.segments[segment as usize].speed_mps);
        assert!(error.abs() < 0.51, "segment {segment} is {error} m/s off");
    }
    output.close(DEADLINE);
}

/// The newest snapshot and delta of each tile, as a subscriber keeps them.
struct Tiles(BTreeMap<String, [serde_json::Value; 2]>);

impl Tiles {
    fn of(texts: &[String]) -> Self {
        let mut tiles: BTreeMap<String, [serde_json::Value; 2]> = BTreeMap::new();
        for text in texts {
            let message: serde_json::Value = serde_json::from_str(text).unwrap();
            let tile = message["tile"].as_str().unwrap().to_owned();
            let is_delta = message["since_ms"].is_i64();
            tiles.entry(tile).or_default()[usize::from(is_delta)] = message;
        }
        Self(tiles)
    }

    fn state(&self) -> BTreeMap<u64, serde_json::Value> {
        let mut state = BTreeMap::new();
        let mut lay = |message: &serde_json::Value| {
            for entry in message["segments"].as_array().unwrap() {
                state.insert(entry["segment"].as_u64().unwrap(), entry.clone());
            }
        };
        for [snapshot, delta] in self.0.values() {
            lay(snapshot);
            if delta["since_ms"] == snapshot["end_ms"] {
                lay(delta);
            }
        }
        state
    }
}
