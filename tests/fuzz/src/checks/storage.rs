//! Recordings and snapshots: what roadcast has written itself, and a disk may have damaged.
//!
//! The first byte says what is read. A recording is the bytes themselves, or a block of them behind
//! a sound header and checksum. A snapshot is one that was just taken, changed by the bytes: how much
//! of it is kept, then places and what to change there. So no snapshot lies in the corpus that a
//! newer build could not read.

use std::sync::{Arc, OnceLock};

use roadcast::engine::{Front, FrontSettings, Routed, Shard};
use roadcast::matching::{MatchSettings, Matcher};
use roadcast::network::{self, Network};
use roadcast::observation::RawMessage;
use roadcast::replay::recording::SegmentReader;
use roadcast::state::{BinSums, MINUTE_MS, StateSettings, TrafficState};
use roadcast::units::{Interval, SourceId, Timestamp};
use roadcast::wire::{DecodeLimits, DecoderTable, Format, Route};

const START: Timestamp = Timestamp::from_millis(1_764_000_000_000);

/// A street of two roads, eastward.
const STREET: &str = "from,to,highway,lon1,lat1,lon2,lat2,len_m,oneway\n\
    a,b,primary,114.300,30.6,114.305,30.6,479,yes\n\
    b,c,primary,114.305,30.6,114.310,30.6,479,yes\n";

/// Reads `bytes` as what their first byte says; 1 where it was sound, else 0.
pub fn storage(bytes: &[u8]) -> usize {
    let Some((kind, rest)) = bytes.split_first() else {
        return 0;
    };
    let is_sound = match kind % 5 {
        0 => recording(rest),
        1 => recording(&block(rest)),
        2 => front(rest),
        3 => shard(rest),
        _ => state(rest),
    };
    usize::from(is_sound)
}

/// Whether `bytes` are a recording without damage.
fn recording(bytes: &[u8]) -> bool {
    let Ok(mut reader) = SegmentReader::new(bytes) else {
        return false;
    };
    let mut entries = Vec::new();
    let end = loop {
        match reader.next_block(&mut entries) {
            Ok(true) => {}
            end => break end,
        }
    };
    // The smallest entry has five bytes.
    assert!(
        entries.len() * 5 <= bytes.len(),
        "{} entries",
        entries.len()
    );
    end.is_ok() && reader.torn_tail().is_none() && !entries.is_empty()
}

/// A segment of one block that holds `body`.
fn block(body: &[u8]) -> Vec<u8> {
    let mut crc = flate2::Crc::new();
    crc.update(body);
    let mut bytes = b"roadcast\x01\0\0\0\0\0\0\0\0\0\0\0\0\0\0\0".to_vec();
    bytes.extend_from_slice(&(body.len() as u32).to_le_bytes());
    bytes.extend_from_slice(&crc.sum().to_le_bytes());
    bytes.extend_from_slice(body);
    bytes
}

/// `snapshot` as `edits` leave it: the first byte says how much is left (0: all), then come two
/// bytes of a place and one to change it with.
fn damaged(mut snapshot: Vec<u8>, edits: &[u8]) -> Vec<u8> {
    let Some((kept, edits)) = edits.split_first() else {
        return snapshot;
    };
    if *kept > 0 {
        snapshot.truncate(snapshot.len() * usize::from(*kept) / 256);
    }
    let (edits, _) = edits.as_chunks::<3>();
    for [high, low, change] in edits {
        let place = usize::from(u16::from_be_bytes([*high, *low])) % snapshot.len().max(1);
        if let Some(byte) = snapshot.get_mut(place) {
            *byte ^= change;
        }
    }
    snapshot
}

fn street() -> Arc<Network> {
    let loaded = network::load("street.csv", STREET.as_bytes().to_vec());
    Arc::new(loaded.expect("the street is a network").0)
}

fn matcher() -> Arc<Matcher> {
    static MATCHER: OnceLock<Arc<Matcher>> = OnceLock::new();
    let made = MATCHER.get_or_init(|| {
        let matcher = Matcher::new(street(), MatchSettings::default());
        Arc::new(matcher.expect("the settings are sound"))
    });
    Arc::clone(made)
}

/// A front that has seen a vehicle, a detector and a roadside unit for ten seconds.
fn used_front() -> (Front, Vec<Routed>) {
    let routes = vec![
        Route::new("probe/+", Format::NativeJson),
        Route::new("records/+", Format::NativeRecords),
        Route::new("unit/+", Format::Its0117),
    ];
    let mut front = new_front(routes);
    let mut routed = Vec::new();
    for second in 0..10 {
        let at = START.plus_secs(second);
        let (ms, lon) = (at.as_millis(), 114.3005 + 0.0001 * second as f64);
        let payloads = [
            (
                "probe/1",
                format!(
                    r#"{{"id":"car","ts":{ms},"lon":{lon},"lat":30.6,"speed":10,"heading":90}}"#
                ),
            ),
            (
                "records/1",
                format!(
                    r#"{{"kind":"detector","id":"E1","start":{ms},"end":{},"count":3,"speed":9}}"#,
                    ms + 1000
                ),
            ),
            (
                "unit/1",
                format!(r#"{{"rsuEsn":"R1","timestamp":{ms},"version":"v1"}}"#),
            ),
        ];
        for (topic, payload) in payloads {
            let message = RawMessage {
                received_at: at,
                source: SourceId(0),
                topic: topic.into(),
                payload: payload.into_bytes().into(),
            };
            front.accept(at, &message, &mut |item| routed.push(item));
        }
    }
    (front, routed)
}

fn new_front(routes: Vec<Route>) -> Front {
    let table = DecoderTable::new(routes, DecodeLimits::default());
    Front::new(table, FrontSettings::default())
}

/// Snapshots of a front, a shard of one partition and a state that have seen traffic.
fn sound() -> &'static [Vec<u8>; 3] {
    static SOUND: OnceLock<[Vec<u8>; 3]> = OnceLock::new();
    SOUND.get_or_init(|| {
        let (used, routed) = used_front();
        let mut front = Vec::new();
        used.snapshot(&mut front);
        let mut used = new_shard();
        for item in routed {
            if let Routed::Observation {
                source,
                observation,
                ..
            } = item
            {
                used.observe(0, source, &observation);
            }
        }
        assert!(used.counts().used > 5, "{:?}", used.counts());
        let shard = used.snapshot().remove(0);
        let mut used = new_state();
        let minute = Interval {
            start: START,
            end: START.plus_millis(MINUTE_MS),
        };
        let segments = matcher().network().segment_count();
        used.close_minute(minute, &BinSums::new(segments), &[]);
        let mut state = Vec::new();
        used.snapshot(&mut state);
        [front, shard, state]
    })
}

/// A shard of one partition.
fn new_shard() -> Shard {
    Shard::new(matcher(), 0, 256)
}

fn new_state() -> TrafficState {
    TrafficState::new(Arc::clone(matcher().network()), StateSettings::default())
}

fn front(edits: &[u8]) -> bool {
    let snapshot = damaged(sound()[0].clone(), edits);
    let mut front = new_front(Vec::new());
    if front.restore(&snapshot).is_err() {
        return false;
    }
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    front.snapshot(&mut once);
    front.restore(&once).expect("a snapshot can be restored");
    front.snapshot(&mut twice);
    assert_eq!(once, twice);
    true
}

fn shard(edits: &[u8]) -> bool {
    let snapshot = damaged(sound()[1].clone(), edits);
    let mut shard = new_shard();
    if shard.restore(0, &snapshot).is_err() {
        return false;
    }
    let once = shard.snapshot().remove(0);
    shard.restore(0, &once).expect("a snapshot can be restored");
    assert_eq!(once, shard.snapshot().remove(0));
    true
}

fn state(edits: &[u8]) -> bool {
    let snapshot = damaged(sound()[2].clone(), edits);
    let mut state = new_state();
    if state.restore(&snapshot).is_err() {
        return false;
    }
    let (mut once, mut twice) = (Vec::new(), Vec::new());
    state.snapshot(&mut once);
    state.restore(&once).expect("a snapshot can be restored");
    state.snapshot(&mut twice);
    assert_eq!(once, twice);
    true
}
