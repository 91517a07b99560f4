//! Roadside units that are told their limits by a running engine, and acknowledge them.

use roadcast::publish::OutMessage;
use roadcast::service::broker::Embedded;
use roadcast::wire::its0117::{
    Acknowledgement, Delimiter, Kind, Topic, UplinkLimits, encode_acknowledgement,
};

use super::engine::{Served, free_port, write_city};
use super::*;

/// What two units hear, one that writes topics with slashes and one with dots.
struct Units {
    heard: Ingest,
    voice: Publisher,
}

impl Units {
    fn connect(port: u16, runtime: &Runtime) -> Self {
        let filters = ["V2X/RSU/#", "V2X.RSU.CONFIG.R2.DOWN"];
        let subscriptions = filters.map(|filter| subscription(filter, Qos::AtLeastOnce));
        let link = |name| connect(port, name, Protocol::V311);
        let settings = IngestSettings::new(link("units-in"), subscriptions.into());
        let heard = ingest::spawn(settings, runtime.handle());
        eventually("the units are subscribed", || heard.stats.is_ready());
        Self {
            heard,
            voice: publisher(link("units-out"), runtime),
        }
    }

    /// The payload of the next message on `topic`.
    fn next_on(&self, topic: &str) -> Bytes {
        let deadline = Instant::now() + DEADLINE;
        loop {
            assert!(Instant::now() < deadline, "in vain: a message on {topic}");
            if let Received::Batch(batch) = self.heard.batches.recv(Duration::from_millis(100)) {
                let found = batch
                    .messages
                    .iter()
                    .find(|message| &*message.topic == topic)
                    .map(|message| message.payload.clone());
                batch.ack.acknowledge();
                if let Some(payload) = found {
                    return payload;
                }
            }
        }
    }

    fn say(&self, topic: String, payload: Vec<u8>) {
        self.voice.publish(OutMessage {
            topic,
            payload: payload.into(),
            qos: 1,
            retain: false,
        });
    }
}

#[test]
fn units_are_told_their_limits_until_they_acknowledge_them() {
    let broker = Embedded::start(0).unwrap();
    let port = broker.address().port();
    let directory = std::env::temp_dir().join(format!("roadcast-units-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    write_city(&directory);
    let runtime = runtime();
    let units = Units::connect(port, &runtime);
    let http_port = free_port();
    let unit = |id: &str, delimiter: &str| {
        format!(
            "[[publish.rsus]]\nid = \"{id}\"\nlon = 114.3\nlat = 30.6\nradius_m = 300\n\
             delimiter = \"{delimiter}\"\n"
        )
    };
    let text = format!(
        "[network]\nfile = \"{}/city.rcn\"\n\
         [mqtt]\nurl = \"mqtt://127.0.0.1:{port}\"\nclient_id = \"units\"\n\
         protocol = \"3.1.1\"\n[forecast]\nmodel = \"baseline\"\n\
         [http]\nbind = \"127.0.0.1:{http_port}\"\n\
         [publish]\ndelivery_timeout_ms = 500\ndelivery_attempts_max = 20\n\
         up_limits = {{ rsm = 10 }}\n{}{}",
        directory.display(),
        unit("R1", "/"),
        unit("R2", "."),
    );
    let served = Served::with_config(&directory, "units", http_port, &text);

    for (delimiter, unit) in [(Delimiter::Slash, "R1"), (Delimiter::Dot, "R2")] {
        let topic = delimiter.write(&Topic::Down(Kind::Config, unit));
        let first = units.next_on(&topic);
        assert_eq!(units.next_on(&topic), first, "sent again until answered");
        let (sequence, limits) = UplinkLimits::decode(&first).unwrap();
        assert_eq!(limits.get(Kind::Rsm), Some(10));
        let answer = Acknowledgement {
            sequence,
            error_code: 0,
        };
        let topic = delimiter.write(&Topic::DownAcknowledged(Kind::Config, unit));
        units.say(topic, encode_acknowledgement(&answer));
    }
    let outcome = |label| {
        served.metric(&format!(
            "roadcast_deliveries_total{{outcome=\"{label}\"}} "
        ))
    };
    eventually("both have acknowledged", || outcome("delivered") >= 2.0);
    assert!(outcome("resent") >= 2.0);
    assert!(outcome("given_up") < 1.0);

    let info = br#"{"rsuEsn":"R1","seqNum":"8","ack":true}"#;
    units.say("V2X/RSU/INFO/UP".to_owned(), info.to_vec());
    let answer = units.next_on("V2X/RSU/INFO/UP/ACK");
    let expected = Acknowledgement {
        sequence: Some(8),
        error_code: 0,
    };
    assert_eq!(answer[..], encode_acknowledgement(&expected)[..]);
    drop(served);
    std::fs::remove_dir_all(&directory).unwrap();
}
