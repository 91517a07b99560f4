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
