//! Roadside units through the front: reports, corrected clocks, snapshots.

use bytes::Bytes;
use roadcast::engine::{Front, FrontSettings, Routed};
use roadcast::observation::{Observation, RawMessage, RejectReason, UplinkKind};
use roadcast::publish::downlink::DeliveryOutcome;
use roadcast::units::{SourceId, Timestamp};
use roadcast::wire::csae::encode_envelope;
use roadcast::wire::{DecodeLimits, DecoderTable, Format, Route};

const NOW: Timestamp = Timestamp::from_millis(1_764_000_000_000);

fn front() -> Front {
    let routes = vec![
        Route::new("V2X/RSU/+/HB/UP", Format::Its0117),
        Route::new("V2X/RSU/+/#", Format::OpenV2x),
    ];
    let table = DecoderTable::new(routes, DecodeLimits::default());
    Front::new(table, FrontSettings::default())
}

/// Hands a message received at `NOW` in, and returns the observations that come out.
fn accept(front: &mut Front, topic: &str, payload: &str) -> Vec<Observation> {
    let message = RawMessage {
        received_at: NOW,
        source: SourceId(0),
        topic: topic.into(),
        payload: Bytes::copy_from_slice(payload.as_bytes()),
    };
    let mut seen = Vec::new();
    front.accept(NOW, &message, &mut |routed| {
        if let Routed::Observation { observation, .. } = routed {
            seen.push(observation);
        }
    });
    seen
}

fn heartbeat(front: &mut Front, device: &str, lead_ms: i64) {
    let stated = NOW.plus_millis(lead_ms).as_millis();
    let payload = format!(r#"{{"rsuEsn":"{device}","timestamp":{stated}}}"#);
    accept(front, &format!("V2X/RSU/{device}/HB/UP"), &payload);
}

/// A car that `device` sees at its own time.
fn car(front: &mut Front, device: &str, lead_ms: i64) -> Vec<Observation> {
    let stated = NOW.plus_millis(lead_ms).as_millis();
    let payload = format!(
        r#"{{"timeStamp":{stated},"deviceId":"{device}","targets":[{{"targetId":1,
        "targetType":3,"longitude":114.3,"latitude":30.6,"speed":36}}]}}"#
    );
    accept(front, &format!("V2X/RSU/{device}/TRACK/UP"), &payload)
}

#[test]
fn what_a_unit_with_a_wrong_clock_sees_is_seen_now() {
    let mut front = front();
    heartbeat(&mut front, "fast", 60_000);
    heartbeat(&mut front, "right", 300);
    // Without its heartbeat, a minute ahead would be from the future.
    assert_eq!(car(&mut front, "fast", 60_000)[0].observed_at, NOW);
    let right = NOW.plus_millis(300);
    assert_eq!(car(&mut front, "right", 300)[0].observed_at, right);
    assert!(car(&mut front, "unknown", 60_000).is_empty());
    assert_eq!(front.rejected().get(RejectReason::FromTheFuture), 1);
    assert_eq!(front.received(), 5);

    let statuses: Vec<_> = front.fleet().statuses(NOW).collect();
    let names: Vec<&str> = statuses.iter().map(|unit| &*unit.report.device).collect();
    assert_eq!(names, ["fast", "right", "unknown"]);
    let skew_ms = |index: usize| statuses[index].skew.map(|skew| skew.ms);
    assert_eq!((skew_ms(0), skew_ms(2)), (Some(60_000), None));
    assert_eq!(
        (statuses[0].is_skewed, statuses[1].is_skewed),
        (true, false)
    );
}

#[test]
fn clocks_are_remembered_over_a_restart() {
    let mut before = front();
    heartbeat(&mut before, "fast", 60_000);
    let mut bytes = Vec::new();
    before.snapshot(&mut bytes);
    let mut after = front();
    after.restore(&bytes).unwrap();
    assert_eq!(after.fleet(), before.fleet());
    assert_eq!(car(&mut after, "fast", 60_000)[0].observed_at, NOW);
    assert!(front().restore(&bytes[..bytes.len() - 1]).is_err());
}

/// What one vehicle's record at `observed_at` does when it arrives at `now`: how many observations
/// come out and which minutes close.
fn record(front: &mut Front, now: Timestamp, observed_at: Timestamp) -> (usize, Vec<Timestamp>) {
    let payload = format!(
        r#"{{"id":"a","ts":{},"lon":114.3,"lat":30.6}}"#,
        observed_at.as_millis()
    );
    let message = RawMessage {
        received_at: now,
        source: SourceId(0),
        topic: "probes".into(),
        payload: payload.into_bytes().into(),
    };
    let (mut count, mut closed) = (0, Vec::new());
    front.accept(now, &message, &mut |routed| match routed {
        Routed::Observation { .. } => count += 1,
        Routed::Close { minute, .. } => closed.push(minute.end),
        Routed::Flush | Routed::Areas(_) => {}
    });
    (count, closed)
}

fn probes(future_ms_max: Option<i64>) -> Front {
    let routes = vec![Route::new("probes", Format::NativeJson)];
    let table = DecoderTable::new(routes, DecodeLimits::default());
    let settings = FrontSettings {
        future_ms_max,
        ..FrontSettings::default()
    };
    Front::new(table, settings)
}

#[test]
fn a_fast_clock_does_not_make_the_others_late() {
    // A whole minute; the default lateness is 5 s, and clocks up to 10 s ahead are believed.
    let minute = NOW;
    let mut front = probes(Some(10_000));
    record(&mut front, minute.plus_secs(-30), minute.plus_secs(-30));
    let now = minute.plus_secs(-3);
    let ahead = record(&mut front, now, now.plus_secs(9));
    assert_eq!(ahead, (1, vec![]), "used, and no minute closed by it");
    // Right clocks, and one 4 s late, still count for the minute that goes on.
    assert_eq!(record(&mut front, now, now.plus_secs(-4)), (1, vec![]));
    let now = minute.plus_secs(5);
    assert_eq!(record(&mut front, now, now), (1, vec![minute]));
    assert_eq!(front.rejected().total(), 0);

    // Where time follows the observations, they alone say what time it is.
    let mut front = probes(None);
    record(&mut front, minute.plus_secs(-30), minute.plus_secs(-30));
    let ahead = record(&mut front, minute.plus_secs(-3), minute.plus_secs(6));
    assert_eq!(ahead, (1, vec![minute]));
}

#[test]
fn a_first_record_of_1970_does_not_close_every_minute_since() {
    let mut front = probes(Some(10_000));
    assert_eq!(
        record(&mut front, NOW, Timestamp::from_millis(0)),
        (0, vec![])
    );
    assert_eq!(front.rejected().get(RejectReason::Late), 1);
    assert_eq!(record(&mut front, NOW, NOW), (1, vec![]));
}

/// A car that `device`, which never says what time it is, sees at its own time `lead_ms` ahead.
fn seen_at(front: &mut Front, received_at: Timestamp, device: &str, lead_ms: i64) -> Outcome {
    let message = RawMessage {
        received_at,
        source: SourceId(0),
        topic: format!("V2X/RSU/{device}/TRACK/UP").into(),
        payload: track(device, received_at.plus_millis(lead_ms)).into(),
    };
    let mut seen = None;
    let refused = front.rejected().total();
    front.accept(received_at, &message, &mut |routed| {
        if let Routed::Observation { observation, .. } = routed {
            seen = Some(observation.observed_at);
        }
    });
    match seen {
        Some(observed_at) => Outcome::UsedAt(observed_at),
        None => Outcome::Refused(front.rejected().total() - refused),
    }
}

#[derive(Clone, Copy, Debug, PartialEq)]
enum Outcome {
    UsedAt(Timestamp),
    Refused(u64),
}

fn track(device: &str, stated: Timestamp) -> String {
    format!(
        r#"{{"timeStamp":{},"deviceId":"{device}","targets":[{{"targetId":1,
        "targetType":3,"longitude":114.3,"latitude":30.6,"speed":36}}]}}"#,
        stated.as_millis()
    )
}

#[test]
fn clocks_five_minutes_off_both_ways_are_known_by_what_is_seen() {
    let mut front = front();
    let (mut late, mut early) = (Vec::new(), Vec::new());
    for second in 0..60 {
        let now = NOW.plus_secs(second);
        // Messages take up to 300 ms.
        let delay_ms = second * 7 % 4 * 100;
        let behind = seen_at(&mut front, now, "behind", -300_000 - delay_ms);
        let ahead = seen_at(&mut front, now, "ahead", 300_000 - delay_ms);
        // The others are used as they are: right, delayed by anything, and 9 s ahead.
        let right = seen_at(&mut front, now, "right", -delay_ms);
        assert_eq!(right, Outcome::UsedAt(now.plus_millis(-delay_ms)));
        if second < 19 {
            assert_eq!((behind, ahead), (Outcome::Refused(1), Outcome::Refused(1)));
        } else {
            late.push((now, behind));
            early.push((now, ahead));
        }
    }
    for (now, outcome) in late.into_iter().chain(early) {
        let Outcome::UsedAt(observed_at) = outcome else {
            panic!("refused though the clock is known, at {now:?}")
        };
        let off_ms = observed_at.millis_since(now);
        assert!((-300..=0).contains(&off_ms), "{off_ms} ms");
    }
    let statuses: Vec<_> = front.fleet().statuses(NOW.plus_secs(60)).collect();
    let skewed: Vec<_> = statuses
        .iter()
        .map(|unit| (&*unit.report.device, unit.is_skewed, unit.is_corrected))
        .collect();
    assert_eq!(
        skewed,
        [
            ("ahead", true, true),
            ("behind", true, true),
            ("right", false, false)
        ]
    );
    let reasons = [RejectReason::Late, RejectReason::FromTheFuture];
    assert_eq!(reasons.map(|reason| front.rejected().get(reason)), [19, 19]);
}

#[test]
fn one_flooding_unit_among_twenty_costs_the_others_nothing() {
    let mut front = front();
    let mut used = std::collections::BTreeMap::new();
    for step in 0..2_000 {
        let now = NOW.plus_millis(step * 10);
        // 2 000 a second of one unit, and twenty at 10 Hz.
        for _ in 0..20 {
            let outcome = seen_at(&mut front, now, "flood", 0);
            let is_used = matches!(outcome, Outcome::UsedAt(_));
            *used.entry("flood".to_owned()).or_insert(0) += u64::from(is_used);
        }
        if step % 10 == 0 {
            for unit in 0..20 {
                let name = format!("good{unit:02}");
                let outcome = seen_at(&mut front, now, &name, -30);
                *used.entry(name).or_insert(0) += u64::from(matches!(outcome, Outcome::UsedAt(_)));
            }
        }
    }
    let flooded = used.remove("flood").unwrap();
    // The burst of 2 000, and 200 a second over 20 s.
    assert!((5_990..=6_000).contains(&flooded), "{flooded}");
    assert_eq!(used.len(), 20);
    assert!(used.values().all(|count| *count == 200), "{used:?}");
    let refused = front.rejected().get(RejectReason::RateCapped);
    assert_eq!(refused, 40_000 - flooded);
    assert_eq!(front.rejected().total(), refused);
    assert_eq!(front.received(), 40_000 + 20 * 200);
    let statuses: Vec<_> = front.fleet().statuses(NOW.plus_secs(60)).collect();
    let flooding: Vec<_> = statuses
        .iter()
        .filter(|unit| unit.is_flooding)
        .map(|unit| (&*unit.report.device, unit.refused_per_minute))
        .collect();
    assert_eq!(flooding, [("flood", refused)]);
}

#[test]
fn limits_hold_for_units_that_only_their_envelope_names() {
    let topic = "V2X.RSU.RSM.UP";
    let route = Route::new(topic, Format::csae_uper(true));
    let table = DecoderTable::new(vec![route], DecodeLimits::default());
    let mut settings = FrontSettings::default();
    let mut limits = [None; UplinkKind::ALL.len()];
    limits[UplinkKind::Rsm as usize] = Some(2);
    settings.gate.limits.insert("R1".into(), limits);
    let mut front = Front::new(table, settings);
    let mut send = |unit: &[u8; 8], at: Timestamp| {
        let mut payload = Vec::new();
        let frames: [&[u8]; 0] = [];
        encode_envelope(*unit, at, &frames, &mut payload);
        let message = RawMessage {
            received_at: at,
            source: SourceId(0),
            topic: topic.into(),
            payload: payload.into(),
        };
        let before = front.rejected().get(RejectReason::RateCapped);
        front.accept(at, &message, &mut |_| {});
        front.rejected().get(RejectReason::RateCapped) - before
    };
    let mut refused = [0, 0];
    for step in 0..100 {
        let at = NOW.plus_millis(step * 100);
        refused[0] += send(b"R1      ", at);
        refused[1] += send(b"R2      ", at);
    }
    // 100 messages, of which 4 at once and 2 a second pass.
    assert!((76..=78).contains(&refused[0]), "{refused:?}");
    assert_eq!(refused[1], 0);
}

#[test]
fn a_flood_goes_on_being_cut_over_a_restart() {
    let mut before = front();
    for _ in 0..2_500 {
        seen_at(&mut before, NOW, "flood", 0);
    }
    let mut bytes = Vec::new();
    before.snapshot(&mut bytes);
    let mut after = front();
    after.restore(&bytes).unwrap();
    for front in [&mut before, &mut after] {
        assert_eq!(seen_at(front, NOW, "flood", 0), Outcome::Refused(1));
    }
    assert_eq!(after.fleet(), before.fleet());
    assert_eq!(after.gate(), before.gate());
    assert_eq!(after.rejected(), before.rejected());
}

#[test]
fn every_outcome_of_a_delivery_is_a_label() {
    let definition = roadcast::metrics::DEFINITIONS
        .iter()
        .find(|definition| definition.name == "roadcast_deliveries_total")
        .unwrap();
    let labels: Vec<&str> = definition.known_values().concat();
    assert_eq!(labels, DeliveryOutcome::ALL.map(DeliveryOutcome::label));
}
