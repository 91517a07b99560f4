use std::collections::BTreeMap;

use proptest::prelude::*;

use super::*;
use crate::publish::format::{StateTileMessage, fixture};
use crate::state::{Doubt, Level, Provenance};
use crate::units::Interval;

/// What a subscriber keeps, after the rule of docs/topics.md: the newest snapshot and the newest
/// delta of each tile.
#[derive(Default)]
struct Subscriber {
    tiles: BTreeMap<String, (Option<StateTileMessage>, Option<StateDeltaMessage>)>,
}

impl Subscriber {
    fn take(&mut self, message: &OutMessage) {
        if message.topic.ends_with("/delta") {
            let delta: StateDeltaMessage =
                serde_json::from_slice(&message.payload).expect("the documented type");
            let tile = self.tiles.entry(delta.tile.clone()).or_default();
            tile.1 = Some(delta);
        } else {
            let snapshot: StateTileMessage =
                serde_json::from_slice(&message.payload).expect("the documented type");
            let tile = self.tiles.entry(snapshot.tile.clone()).or_default();
            tile.0 = Some(snapshot);
        }
    }

    /// The segments of the tiles whose state at `end_ms` it knows.
    fn state_at(&self, end_ms: i64) -> BTreeMap<u32, SegmentStateEntry> {
        let mut state = BTreeMap::new();
        for (snapshot, delta) in self.tiles.values() {
            let Some(snapshot) = snapshot else { continue };
            let delta = delta
                .as_ref()
                .filter(|delta| delta.since_ms == snapshot.end_ms);
            if delta.map_or(snapshot.end_ms, |delta| delta.end_ms) != end_ms {
                continue;
            }
            let told = snapshot.segments.iter();
            let told = told.chain(delta.into_iter().flat_map(|delta| &delta.segments));
            state.extend(told.map(|entry| (entry.segment, entry.clone())));
        }
        state
    }
}

fn levels() -> impl Strategy<Value = Level> {
    (1u8..=5).prop_map(Level::from_code)
}

fn segment_states() -> impl Strategy<Value = SegmentState> {
    let numbers = (0.1f32..30.0, 0.1f32..4.0, 8.0f32..30.0);
    let labels = (levels(), 0usize..3, 0usize..3);
    let known = (
        proptest::option::of(0.0f32..2000.0),
        proptest::option::of(0.0f32..120.0),
        proptest::option::of(0.0f32..400.0),
    );
    (numbers, labels, known, 0u32..40, 0u8..6).prop_map(
        |((speed, sigma, free), (level, provenance, doubt), known, samples, views)| SegmentState {
            speed_mps: speed,
            sigma_mps: sigma,
            free_flow_mps: free,
            level,
            provenance: [
                Provenance::Observed,
                Provenance::Estimated,
                Provenance::Profile,
            ][provenance],
            doubt: [Doubt::None, Doubt::Unproven, Doubt::Ghost][doubt],
            flow_vph: known.0,
            density_vpkm: known.1,
            queue_length_m: known.2,
            sample_count: samples,
            view_count: views,
            age_s: (samples > 0).then_some(0),
            ..SegmentState::default()
        },
    )
}

/// What a minute does to a segment: nothing, a little to its speed, or something else altogether.
fn changes() -> impl Strategy<Value = Option<Result<f32, SegmentState>>> {
    prop_oneof![
        4 => Just(None),
        3 => (-0.6f32..0.6).prop_map(|step| Some(Ok(step))),
        1 => segment_states().prop_map(|state| Some(Err(state))),
    ]
}

/// Rounding to two decimals, on both sides.
const ROUNDED: f32 = 0.011;

fn is_within(told: &SegmentStateEntry, state: &SegmentState) -> bool {
    let speed = |told: f32, own: f32| {
        let step = (told - own).abs();
        step < SPEED_STEP_MPS + ROUNDED && step < SPEED_STEP_RATIO * told.abs() + ROUNDED
    };
    let either = |told: f32, own: f32, least: f32, ratio: f32| {
        let step = (told - own).abs();
        step < least + ROUNDED || step < ratio * told.abs() + ROUNDED
    };
    let known = |told: Option<f32>, own: Option<f32>, least: f32, ratio: f32| {
        told.is_some() == own.is_some()
            && told
                .zip(own)
                .is_none_or(|(told, own)| either(told, own, least, ratio))
    };
    let samples = told.sample_count.unwrap_or(0);
    let step = samples.abs_diff(state.sample_count);
    told.level == state.level as u8
        && format!("{:?}", told.provenance) == format!("{:?}", state.provenance)
        && told.doubt.is_some() == (state.doubt != Doubt::None)
        && told.age_s == state.age_s
        && speed(told.speed_mps, state.speed_mps)
        && speed(told.free_flow_mps, state.free_flow_mps)
        && either(
            told.sigma_mps,
            state.sigma_mps,
            SIGMA_STEP_MPS,
            SIGMA_STEP_RATIO,
        )
        && (samples > 0) == (state.sample_count > 0)
        && (step <= 1 || (step as f32) < COUNT_STEP_RATIO * samples as f32)
        && known(
            told.flow_vph,
            state.flow_vph,
            FLOW_STEP_VPH,
            FLOW_STEP_RATIO,
        )
        && known(
            told.density_vpkm,
            state.density_vpkm,
            DENSITY_STEP_VPKM,
            FLOW_STEP_RATIO,
        )
        && known(told.queue_length_m, state.queue_length_m, QUEUE_STEP_M, 0.0)
}

const SEGMENTS: usize = 4;

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    /// Whatever the states do and whichever deltas are lost, what a subscriber puts together is the
    /// state within the thresholds; somebody who joins late needs the retained messages alone.
    #[test]
    fn snapshot_and_newest_delta_are_the_state(
        first in proptest::collection::vec(segment_states(), SEGMENTS),
        minutes in proptest::collection::vec(
            (proptest::collection::vec(changes(), SEGMENTS), any::<bool>()), 1..25),
        every in 1u32..8,
        zoom in 9u8..15,
    ) {
        let network = fixture::network();
        let tiles = TileTable::new(&network, zoom);
        let mut batch = fixture::state(&network);
        batch.segments = first;
        let mut topics = StateTopics::new(every);
        let (mut steady, mut lossy) = (Subscriber::default(), Subscriber::default());
        let mut retained = BTreeMap::new();
        for (index, (changes, is_lost)) in minutes.into_iter().enumerate() {
            let start = Timestamp::from_secs(28_800 + 60 * index as i64);
            batch.interval = Interval { start, end: start.plus_secs(60) };
            for (state, change) in batch.segments.iter_mut().zip(changes) {
                match change {
                    None => {}
                    Some(Ok(step)) => state.speed_mps = (state.speed_mps + step).max(0.1),
                    Some(Err(other)) => *state = other,
                }
            }
            let out = topics.messages(&fixture::as_is(&batch), &tiles);
            prop_assert_eq!(out.messages.len(), tiles.tiles().len());
            for message in &out.messages {
                steady.take(message);
                if !(is_lost && message.topic.ends_with("/delta")) {
                    lossy.take(message);
                }
                retained.insert(message.topic.clone(), message.clone());
            }
            let mut late = Subscriber::default();
            retained.values().for_each(|message| late.take(message));
            let end_ms = batch.interval.end.as_millis();
            for (name, subscriber) in [("steady", &steady), ("late", &late)] {
                let told = subscriber.state_at(end_ms);
                prop_assert_eq!(told.len(), SEGMENTS, "{} knows every tile", name);
                for (entry, state) in told.values().zip(&batch.segments) {
                    prop_assert!(is_within(entry, state), "{}: {:?} is not {:?}", name, entry, state);
                }
            }
            // Who lost a delta is behind in that minute, and right again after the next message.
            for (segment, entry) in lossy.state_at(end_ms) {
                prop_assert!(is_within(&entry, &batch.segments[segment as usize]));
            }
            if !is_lost {
                prop_assert_eq!(lossy.state_at(end_ms).len(), SEGMENTS);
            }
        }
    }
}

#[test]
fn snapshots_are_spread_over_the_minutes_and_all_come_after_a_loss() {
    let network = fixture::network();
    let tiles = TileTable::new(&network, 14);
    let count = tiles.tiles().len() as u64;
    assert!(count >= 3, "the roads lie in several tiles");
    let mut batch = fixture::state(&network);
    let mut topics = StateTopics::new(4);
    let mut minute = |topics: &mut StateTopics, index: i64| {
        let start = Timestamp::from_secs(28_800 + 60 * index);
        batch.interval = Interval {
            start,
            end: start.plus_secs(60),
        };
        topics.messages(&fixture::as_is(&batch), &tiles)
    };
    assert_eq!(
        minute(&mut topics, 0).snapshots.0,
        count,
        "all at the start"
    );
    let mut snapshots = 0;
    for index in 1..=8 {
        let out = minute(&mut topics, index);
        assert!(out.snapshots.0 <= count.div_ceil(4), "never many at once");
        assert_eq!(out.snapshots.0 + out.deltas.0, count);
        assert!(out.deltas.1 < 200 * out.deltas.0, "nothing has changed");
        snapshots += out.snapshots.0;
    }
    assert_eq!(snapshots, 2 * count);
    topics.forget();
    assert_eq!(minute(&mut topics, 9).snapshots.0, count);
}

#[test]
fn a_change_of_half_the_tile_is_told_as_a_snapshot() {
    let network = fixture::network();
    let tiles = TileTable::new(&network, 9);
    let mut batch = fixture::state(&network);
    let mut topics = StateTopics::new(60);
    let first = topics.messages(&fixture::as_is(&batch), &tiles);
    assert_eq!(first.snapshots.0, tiles.tiles().len() as u64);
    batch.interval = Interval {
        start: batch.interval.end,
        end: batch.interval.end.plus_secs(60),
    };
    for state in &mut batch.segments {
        state.level = Level::Light;
    }
    let out = topics.messages(&fixture::as_is(&batch), &tiles);
    assert_eq!(out.deltas.0, 0);
}
