//! Messages in: redelivery, refusals, sizes, full queues, other brokers.

use std::io::Write as _;
use std::net::TcpListener;
use std::sync::Mutex;

use roadcast::ingest::QueueSettings;
use roadcast::observation::RejectReason;
use roadcast::replay::recording::{
    Durable, Recorder, RecorderSettings, Recording, Rotation, Writer,
};
use roadcast::service::broker::Embedded;
use roadcast::units::Timestamp;

use super::*;
use crate::mosquitto::Mosquitto;

const TOPIC: &str = "roadcast/v1/vehicle/7/probe/up";
const FILTER: &str = "roadcast/v1/vehicle/+/probe/up";

#[test]
fn the_embedded_broker_carries_both_versions_and_5_falls_back() {
    let broker = Embedded::start(0).unwrap();
    let (v4, v5) = (broker.address().port(), broker.v5_address().port());
    let runtime = runtime();
    for (name, port, protocol) in [
        ("v311", v4, Protocol::V311),
        ("v5", v5, Protocol::V5),
        ("auto", v4, Protocol::Auto),
    ] {
        let filter = format!("{name}/#");
        let input = subscribe(
            connect(port, name, protocol),
            &filter,
            Qos::AtLeastOnce,
            &runtime,
        );
        let output = publisher(
            connect(v4, &format!("{name}-out"), Protocol::V311),
            &runtime,
        );
        for number in 0..100 {
            output.publish(numbered(&format!("{name}/x"), number, 1));
        }
        let mut seen = Seen::default();
        seen.collect(&input, name, |times| times.len() == 100);
        seen.acknowledge();
        assert_eq!(output.flush(DEADLINE), 0);
        eventually("acknowledged", || load(&input.stats.acknowledged) >= 100);
    }
}

#[test]
fn a_restarted_broker_is_found_again_and_subscribed_to() {
    let Some(mut broker) = Mosquitto::start("found-again", "") else {
        return;
    };
    let runtime = runtime();
    for (protocol, qos) in [
        (Protocol::V5, Qos::AtMostOnce),
        (Protocol::V311, Qos::AtMostOnce),
    ] {
        let name = format!("{protocol:?}");
        let settings = connect(broker.port(), &name, protocol);
        let input = subscribe(settings, &format!("{name}/#"), qos, &runtime);
        let before = load(&input.stats.link.connects);
        broker.kill();
        eventually("the loss is noticed", || !input.stats.is_ready());
        broker.restart();
        eventually("subscribed again", || input.stats.is_ready());
        assert!(load(&input.stats.link.connects) > before);
        let output = publisher(connect(broker.port(), "out", protocol), &runtime);
        output.publish(numbered(&format!("{name}/x"), 0, 1));
        Seen::default().collect(&input, "a message", |times| times.len() == 1);
    }
}

/// The first engine leaves in order, so that the broker has its acknowledgements; the second one
/// crashes with everything unacknowledged.
#[test]
fn what_a_crashed_engine_had_not_acknowledged_comes_again_and_nothing_else() {
    let Some(broker) = Mosquitto::start("crash", "") else {
        return;
    };
    let runtime = runtime();
    let settings = connect(broker.port(), "engine", Protocol::V5);
    let output = publisher(connect(broker.port(), "fleet", Protocol::V5), &runtime);
    let publish = |numbers: std::ops::Range<u64>| {
        for number in numbers {
            output.publish(numbered(TOPIC, number, 1));
        }
        assert_eq!(output.flush(DEADLINE), 0);
    };
    let start = || subscribe(settings.clone(), FILTER, Qos::AtLeastOnce, &runtime);

    let input = start();
    publish(0..50);
    let mut seen = Seen::default();
    seen.collect(&input, "the first fifty", |times| times.len() == 50);
    seen.acknowledge();
    input.close(DEADLINE);

    publish(50..100);
    let input = start();
    let mut seen = Seen::default();
    seen.collect(&input, "the second fifty", |times| times.len() == 50);
    assert!(seen.has(50..100), "{:?}", seen.times);
    drop(input);

    let input = start();
    // Tokens of the old connection must not answer for messages of the new one.
    seen.acknowledge();
    let mut again = Seen::default();
    again.collect(&input, "the second fifty again", |times| times.len() == 50);
    assert!(again.has(50..100), "{:?}", again.times);
    assert_eq!(load(&input.stats.acknowledged), 0);
    again.acknowledge();
    assert_eq!(load(&input.stats.acknowledged), 50);
}

#[test]
fn the_recording_and_what_comes_again_hold_every_message() {
    let Some(broker) = Mosquitto::start("wal", "") else {
        return;
    };
    let runtime = runtime();
    let directory =
        std::env::temp_dir().join(format!("roadcast-broker-wal-log-{}", std::process::id()));
    let output = publisher(connect(broker.port(), "fleet", Protocol::V5), &runtime);
    let mut settings = connect(broker.port(), "engine", Protocol::V5);
    settings.receive_maximum = 200;
    let mut published = 0;
    for run in 0..4 {
        let input = subscribe(settings.clone(), FILTER, Qos::AtLeastOnce, &runtime);
        let writer = Writer::open_dir(&directory, Rotation::default()).unwrap();
        let on_durable = |durable: Durable<'_, AckToken>| {
            durable.tokens.for_each(AckToken::acknowledge);
        };
        let mut recorder =
            Recorder::spawn(writer, RecorderSettings::default(), on_durable).unwrap();
        for _ in 0..1000 {
            output.publish(numbered(TOPIC, published, 1));
            published += 1;
        }
        // The engine dies after some hundred messages, with others anywhere on their way.
        let mut taken = 0;
        while taken < 300 + 100 * run {
            if let Received::Batch(batch) = input.batches.recv(DEADLINE) {
                taken += batch.messages.len();
                let now = Timestamp::from_millis(taken as i64);
                recorder
                    .append(now, Arc::new(batch.messages), batch.ack)
                    .unwrap();
            }
        }
        drop(input);
        recorder.finish().unwrap();
    }
    assert_eq!(output.flush(DEADLINE), 0);
    let input = subscribe(settings, FILTER, Qos::AtLeastOnce, &runtime);
    let mut seen = Seen::default();
    let mut recording = Recording::open(&directory).unwrap();
    let mut entries = Vec::new();
    while recording.next_block(&mut entries).unwrap() {}
    for (_, message) in &entries {
        let number = std::str::from_utf8(&message.payload)
            .unwrap()
            .parse()
            .unwrap();
        *seen.times.entry(number).or_default() += 1;
    }
    let recorded = seen.times.len();
    assert!(recorded >= 300, "{recorded} recorded");
    let deadline = Instant::now() + DEADLINE;
    while seen.times.len() < published as usize {
        assert!(
            Instant::now() < deadline,
            "{} of {published}",
            seen.times.len()
        );
        let mut more = Seen::default();
        more.collect(&input, "the rest", |times| !times.is_empty());
        more.acknowledge();
        seen.times.append(&mut more.times);
    }
    assert!(seen.has(0..published));
    std::fs::remove_dir_all(&directory).unwrap();
}

#[test]
fn oversized_payloads_are_counted_and_the_flow_goes_on() {
    let Some(broker) = Mosquitto::start("oversized", "") else {
        return;
    };
    let runtime = runtime();
    for protocol in [Protocol::V5, Protocol::V311] {
        let name = format!("{protocol:?}");
        let filter = format!("{name}/#");
        let input = subscribe(
            connect(broker.port(), &name, protocol),
            &filter,
            Qos::AtLeastOnce,
            &runtime,
        );
        // A client of somebody else's, with no scruples about size.
        let (foreign, poll) = foreign_client(broker.port(), &runtime);
        let topic = format!("{name}/x");
        let exactly = vec![b'7'; ingest::PAYLOAD_BYTES_MAX];
        runtime.block_on(async {
            use rumqttc::QoS::AtLeastOnce;
            let sizes = [(1 << 20) + 1, 3 << 20, 5 << 20];
            for size in sizes {
                foreign
                    .publish(&topic, AtLeastOnce, false, vec![0xff; size])
                    .await
                    .unwrap();
            }
            foreign
                .publish(&topic, AtLeastOnce, false, exactly.clone())
                .await
                .unwrap();
            foreign
                .publish(&topic, AtLeastOnce, false, "after")
                .await
                .unwrap();
        });
        let texts = next_texts(&input, 2);
        assert_eq!(texts[0].len(), exactly.len(), "the limit itself is allowed");
        assert_eq!(texts[1], "after");
        // Behind our packet limit an MQTT 5 broker sends nothing; 3.1.1 has no such limit.
        let counted = if protocol == Protocol::V5 { 2 } else { 3 };
        assert_eq!(input.stats.dropped(RejectReason::Oversized), counted);
        assert_eq!(load(&input.stats.link.failures), 0);
        eventually("all are acknowledged", || {
            load(&input.stats.acknowledged) == counted + 2
        });
        poll.abort();
    }
}

fn foreign_client(
    port: u16,
    runtime: &Runtime,
) -> (rumqttc::AsyncClient, tokio::task::JoinHandle<()>) {
    let mut options = rumqttc::MqttOptions::new("foreign", "127.0.0.1", port);
    options.set_max_packet_size(64 << 20, 64 << 20);
    let (client, mut eventloop) = rumqttc::AsyncClient::new(options, 16);
    let poll = runtime.spawn(async move { while eventloop.poll().await.is_ok() {} });
    (client, poll)
}

#[test]
fn a_refused_subscription_is_noticed() {
    let plugin = ["x86_64-linux-gnu", "aarch64-linux-gnu"]
        .map(|triple| format!("/usr/lib/{triple}/mosquitto_dynamic_security.so"))
        .into_iter()
        .find(|path| std::path::Path::new(path).exists());
    let Some(plugin) = plugin else {
        eprintln!("skipped: mosquitto's dynamic security plugin is not installed");
        return;
    };
    // Anonymous clients may subscribe to what vehicles send and to nothing else.
    let rules = r#"{
      "defaultACLAccess": {"publishClientSend": true, "publishClientReceive": true,
                           "subscribe": false, "unsubscribe": true},
      "anonymousGroup": "everybody",
      "groups": [{"groupname": "everybody", "clients": [], "roles": [{"rolename": "engine"}]}],
      "roles": [{"rolename": "engine", "acls": [
        {"acltype": "subscribePattern", "topic": "roadcast/v1/vehicle/#", "allow": true}]}],
      "clients": []
    }"#;
    let file = std::env::temp_dir().join(format!("roadcast-acl-{}.json", std::process::id()));
    std::fs::write(&file, rules).unwrap();
    let extra = format!("plugin {plugin}\nplugin_opt_config_file {}", file.display());
    let Some(broker) = Mosquitto::start("acl", &extra) else {
        return;
    };
    let runtime = runtime();
    for protocol in [Protocol::V5, Protocol::V311] {
        let settings = connect(broker.port(), &format!("{protocol:?}"), protocol);
        let subscriptions = vec![
            subscription(FILTER, Qos::AtLeastOnce),
            subscription("V2X/RSU/#", Qos::AtLeastOnce),
        ];
        let input = ingest::spawn(
            IngestSettings::new(settings, subscriptions),
            runtime.handle(),
        );
        eventually("the refusal is shown", || {
            input.stats.refused_subscriptions.load(Ordering::Relaxed) == 1
        });
        assert!(
            !input.stats.is_ready(),
            "not ready while something is refused"
        );
        assert!(input.stats.link.connected.load(Ordering::Relaxed));
        // What was granted flows nevertheless.
        let output = publisher(connect(broker.port(), "out", Protocol::V5), &runtime);
        output.publish(numbered(TOPIC, 0, 1));
        Seen::default().collect(&input, "a granted message", |times| times.len() == 1);
    }
    std::fs::remove_file(&file).unwrap();
}

#[test]
fn a_stalled_consumer_loses_nothing_at_qos_1_and_counts_what_it_loses_at_qos_0() {
    let Some(broker) = Mosquitto::start("stalled", "") else {
        return;
    };
    let runtime = runtime();
    let small = QueueSettings {
        messages: 100,
        batch_messages: 10,
        ..QueueSettings::default()
    };
    let spawn = |name: &str, qos| {
        let mut settings = IngestSettings::new(
            connect(broker.port(), name, Protocol::V5),
            vec![subscription(FILTER, qos)],
        );
        settings.queue = small;
        let input = ingest::spawn(settings, runtime.handle());
        eventually("subscribed", || input.stats.is_ready());
        input
    };
    let (safe, fast) = (
        spawn("safe", Qos::AtLeastOnce),
        spawn("fast", Qos::AtMostOnce),
    );
    let output = publisher(connect(broker.port(), "out", Protocol::V5), &runtime);
    for number in 0..5000 {
        output.publish(numbered(TOPIC, number, 1));
    }
    assert_eq!(output.flush(DEADLINE), 0);
    eventually("QoS 0 overflows", || {
        fast.stats.dropped(RejectReason::QueueFull) == 4900
    });
    eventually("QoS 1 pauses", || load(&safe.stats.pauses) > 0);

    let mut seen = Seen::default();
    seen.collect(&safe, "all of QoS 1", |times| times.len() == 5000);
    seen.acknowledge();
    assert_eq!(safe.stats.drops().total(), 0);
    assert!(seen.times.values().all(|times| *times == 1));
    let mut kept = Seen::default();
    kept.collect(&fast, "the newest of QoS 0", |times| times.len() == 100);
    assert!(kept.has(4900..5000), "the oldest went first");
}

#[test]
fn a_second_client_with_our_id_is_noticed() {
    let Some(broker) = Mosquitto::start("twins", "") else {
        return;
    };
    let runtime = runtime();
    let settings = connect(broker.port(), "engine", Protocol::V5);
    let first = subscribe(settings.clone(), FILTER, Qos::AtLeastOnce, &runtime);
    let subscriptions = vec![subscription(FILTER, Qos::AtLeastOnce)];
    let _second = ingest::spawn(
        IngestSettings::new(settings, subscriptions),
        runtime.handle(),
    );
    eventually("the quarrel is shown", || {
        load(&first.stats.link.short_lived) >= 3
    });
}

#[test]
fn a_peer_that_talks_garbage_does_no_harm() {
    let listener = TcpListener::bind("127.0.0.1:0").unwrap();
    let port = listener.local_addr().unwrap().port();
    let open = Arc::new(Mutex::new(Vec::new()));
    let peers = Arc::clone(&open);
    std::thread::spawn(move || {
        for (index, peer) in listener.incoming().enumerate() {
            let Ok(mut peer) = peer else { return };
            let garbage: [&[u8]; 4] = [
                b"HTTP/1.1 400 Bad Request\r\n\r\n",
                &[0x20, 0xff, 0xff, 0xff, 0xff],
                &[0xff; 64],
                &[0x20, 0x02, 0x00, 0x05],
            ];
            if peer.write_all(garbage[index % 4]).is_err() {
                continue;
            }
            peers.lock().unwrap().push(peer);
        }
    });
    let runtime = runtime();
    let mut settings = connect(port, "engine", Protocol::Auto);
    settings.connect_timeout = Duration::from_secs(1);
    let subscriptions = vec![subscription(FILTER, Qos::AtLeastOnce)];
    let input = ingest::spawn(
        IngestSettings::new(settings, subscriptions),
        runtime.handle(),
    );
    eventually("it keeps trying", || load(&input.stats.link.failures) >= 8);
    assert!(!input.stats.is_ready());
    assert_eq!(load(&input.stats.link.connects), 0);
}
