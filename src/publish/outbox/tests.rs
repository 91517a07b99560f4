use bytes::Bytes;
use proptest::prelude::*;

use super::*;

fn message(topic: &str, payload: &str, qos: u8, retain: bool) -> OutMessage {
    OutMessage {
        topic: topic.into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
        qos,
        retain,
    }
}

fn outbox(messages: usize, window: usize) -> Outbox {
    Outbox::new(OutboxSettings {
        messages,
        bytes: 10_000,
        window,
    })
}

/// Hands over everything that may go and returns the payloads.
fn pump(outbox: &mut Outbox) -> Vec<String> {
    let mut handed = Vec::new();
    while let Some(next) = outbox.next() {
        handed.push(String::from_utf8(next.payload.to_vec()).unwrap());
        outbox.hand_over();
    }
    handed
}

#[test]
fn what_was_not_acknowledged_goes_out_again_in_order() {
    let mut outbox = outbox(100, 3);
    for payload in ["a", "b", "c", "d"] {
        outbox.insert(message("guidance/1", payload, 1, false));
    }
    assert!(
        pump(&mut outbox).is_empty(),
        "nothing goes without a connection"
    );
    outbox.connected();
    assert_eq!(pump(&mut outbox), ["a", "b", "c"]);
    outbox.sent(1);
    outbox.sent(2);
    assert!(outbox.acknowledged(1));
    assert!(!outbox.acknowledged(1), "an answer counts once");
    assert_eq!(pump(&mut outbox), ["d"]);
    outbox.disconnected();
    assert!(
        !outbox.acknowledged(2),
        "ids of the lost connection mean nothing"
    );
    outbox.connected();
    assert_eq!(pump(&mut outbox), ["b", "c", "d"]);
    for packet_id in 1..=3 {
        outbox.sent(packet_id);
        assert!(outbox.acknowledged(packet_id));
    }
    assert!(outbox.is_empty());
    assert_eq!(outbox.bytes(), 0);
}

#[test]
fn qos_0_is_done_when_sent() {
    let mut outbox = outbox(100, 10);
    outbox.connected();
    outbox.insert(message("state/1", "a", 0, false));
    assert_eq!(pump(&mut outbox), ["a"]);
    assert_eq!(outbox.len(), 1);
    outbox.sent(0);
    assert!(outbox.is_empty());
}

#[test]
fn without_a_connection_only_the_newest_state_of_a_topic_is_kept() {
    let mut outbox = outbox(100, 10);
    outbox.insert(message("state/1", "1@08:00", 1, true));
    outbox.insert(message("state/2", "2@08:00", 1, true));
    let displaced = outbox.insert(message("state/1", "1@08:01", 1, true));
    assert_eq!((displaced.coalesced, displaced.dropped), (1, 0));
    outbox.insert(message("guidance/1", "jam", 1, false));
    outbox.connected();
    assert_eq!(pump(&mut outbox), ["2@08:00", "1@08:01", "jam"]);
    outbox.insert(message("state/1", "1@08:02", 1, true));
    outbox.insert(message("state/1", "1@08:03", 1, true));
    assert_eq!(
        pump(&mut outbox),
        ["1@08:02", "1@08:03"],
        "with a connection all go"
    );
}

#[test]
fn when_full_the_oldest_event_goes_before_any_state() {
    let mut outbox = outbox(3, 10);
    outbox.insert(message("state/1", "s1", 1, true));
    outbox.insert(message("guidance/1", "g1", 1, false));
    outbox.insert(message("guidance/2", "g2", 1, false));
    let displaced = outbox.insert(message("state/2", "s2", 1, true));
    assert_eq!(displaced.dropped, 1);
    outbox.insert(message("state/3", "s3", 1, true));
    let displaced = outbox.insert(message("state/2", "s2 new", 1, true));
    assert_eq!((displaced.coalesced, displaced.dropped), (1, 0));
    outbox.connected();
    assert_eq!(pump(&mut outbox), ["s1", "s3", "s2 new"]);
    // All on their way: there is nothing to make room with.
    let displaced = outbox.insert(message("guidance/3", "g3", 1, false));
    assert_eq!(displaced.dropped, 1);
    assert_eq!(outbox.len(), 3);
}

#[derive(Clone, Debug)]
enum Step {
    Insert(u8, bool),
    Pump,
    Sent,
    Acknowledge(usize),
    Connect,
    Disconnect,
}

fn steps() -> impl Strategy<Value = Vec<Step>> {
    let step = prop_oneof![
        4 => (0..6u8, any::<bool>()).prop_map(|(topic, retain)| Step::Insert(topic, retain)),
        2 => Just(Step::Pump),
        3 => Just(Step::Sent),
        3 => (0..8usize).prop_map(Step::Acknowledge),
        1 => Just(Step::Connect),
        1 => Just(Step::Disconnect),
    ];
    prop::collection::vec(step, 0..200)
}

proptest! {
    /// Whatever happens, each message accepted is acknowledged, displaced and counted, or still
    /// there; and the bounds hold.
    #[test]
    fn no_message_is_lost_unaccounted(steps in steps()) {
        let mut outbox = outbox(16, 4);
        let mut packet_id = 0u16;
        let mut sent = Vec::new();
        let (mut inserted, mut displaced, mut acknowledged) = (0u64, 0u64, 0u64);
        for step in steps {
            match step {
                Step::Insert(topic, retain) => {
                    let lost = outbox.insert(message(&format!("t/{topic}"), "x", 1, retain));
                    inserted += 1;
                    displaced += lost.coalesced + lost.dropped;
                }
                Step::Pump => {
                    pump(&mut outbox);
                }
                Step::Sent => {
                    if !outbox.handed.is_empty() {
                        packet_id += 1;
                        outbox.sent(packet_id);
                        sent.push(packet_id);
                    }
                }
                Step::Acknowledge(index) => {
                    if !sent.is_empty() {
                        let id = sent.remove(index % sent.len());
                        acknowledged += u64::from(outbox.acknowledged(id));
                    }
                }
                Step::Connect => outbox.connected(),
                Step::Disconnect => {
                    outbox.disconnected();
                    sent.clear();
                }
            }
            prop_assert!(outbox.len() <= 16);
            prop_assert!(outbox.on_their_way() <= 4);
            prop_assert_eq!(inserted, acknowledged + displaced + outbox.len() as u64);
            let waiting = outbox.waiting_events.len() + outbox.waiting_retained.len();
            prop_assert_eq!(outbox.len(), waiting + outbox.on_their_way());
        }
        // A connection that lasts empties it.
        outbox.disconnected();
        outbox.connected();
        while !outbox.is_empty() {
            let handed = pump(&mut outbox).len();
            prop_assert!(handed > 0);
            for _ in 0..handed {
                packet_id += 1;
                outbox.sent(packet_id);
                outbox.acknowledged(packet_id);
            }
        }
        prop_assert_eq!(outbox.bytes(), 0);
        prop_assert!(outbox.newest_retained.is_empty());
    }
}
