//! Roadside units through the front: reports, corrected clocks, snapshots.

use bytes::Bytes;
use roadcast::engine::{Front, FrontSettings, Routed};
use roadcast::observation::{Observation, RawMessage, RejectReason};
use roadcast::units::{SourceId, Timestamp};
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
    assert_eq!(names, ["fast", "right"]);
    assert_eq!(statuses[0].skew_ms, Some(60_000));
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
        Routed::Flush => {}
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
