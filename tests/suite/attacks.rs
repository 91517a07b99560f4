//! Attacks and mistakes of sources, replayed through the engine: what is published stays right or
//! is marked, the counters tell, and the innocent are not dropped.

#![expect(
    clippy::unwrap_used,
    reason = "a world that does not build fails its test"
)]

use std::sync::Arc;

use bytes::Bytes;
use roadcast::engine::{AnalysisSettings, Engine, FrontSettings, Input, Output};
use roadcast::matching::{MatchSettings, Matcher};
use roadcast::observation::{RawMessage, RejectReason};
use roadcast::state::{Doubt, StateBatch, VettingSettings};
use roadcast::units::{Datum, Point, SegmentId, SourceId, Timestamp};
use roadcast::wire::csae::{BsmRecord, encode_bsm};
use roadcast::wire::{DecodeLimits, DecoderTable, Format, Route};

use crate::drawn::{Drawn, draw};

/// Start of every run, seconds since the epoch; a whole hour.
const START_S: i64 = 1_790_002_800;
/// Speed of free traffic, m/s.
const FREE_MPS: f32 = 14.0;
/// The street: four stretches of 400 m, then one back on which nobody drives.
const STREET_M: f32 = 1_600.0;

/// One message of somebody: when it is received, on which topic.
#[derive(Clone)]
struct Sent {
    at_ms: i64,
    source: u32,
    topic: &'static str,
    payload: Vec<u8>,
}

fn street() -> Drawn {
    draw(
        "A...............B...............C...............D...............E",
        &["A>B>C>D>E"],
        &[],
    )
}

fn probe(
    drawn: &Drawn,
    (source, topic): (u32, &'static str),
    at_ms: i64,
    id: &str,
    at: Point,
    speed_mps: f32,
    datum: Datum,
) -> Sent {
    let position = drawn.network.frame().to_position(at);
    let position = datum.from_wgs84(position);
    let ts = START_S * 1000 + at_ms;
    let payload = format!(
        r#"{{"id":"{id}","ts":{ts},"lon":{:.7},"lat":{:.7},"speed":{speed_mps:.2},"heading":90}}"#,
        position.lon_deg, position.lat_deg
    );
    Sent {
        at_ms,
        source,
        topic,
        payload: payload.into_bytes(),
    }
}

const FLEET: (u32, &str) = (0, "fleet/up");
const ATTACKER: (u32, &str) = (1, "fleet/other");

/// A vehicle every `every_s` seconds that drives the street from end to end at free speed.
fn traffic(
    drawn: &Drawn,
    who: (u32, &'static str),
    minutes: i64,
    every_s: i64,
    name: &str,
) -> Vec<Sent> {
    let mut sent = Vec::new();
    let trip_s = (STREET_M / FREE_MPS) as i64;
    for begin_s in (-trip_s..minutes * 60).step_by(every_s as usize) {
        for second in begin_s.max(0)..(begin_s + trip_s).min(minutes * 60) {
            let x = FREE_MPS * (second - begin_s) as f32;
            let id = format!("{name}{begin_s}");
            let at = Point::new(x, 1.0);
            sent.push(probe(
                drawn,
                who,
                second * 1000,
                &id,
                at,
                FREE_MPS,
                Datum::Wgs84,
            ));
        }
    }
    sent
}

struct Outcome {
    engine: Engine,
    states: Vec<Arc<StateBatch>>,
}

fn engine(drawn: &Drawn, vetting: VettingSettings) -> Engine {
    let routes = vec![
        Route::new("fleet/#", Format::NativeJson),
        Route::new("bsm", Format::csae_uper(false)),
        Route::new("V2X/RADAR/+/TRACK/UP", Format::OpenV2x),
    ];
    let matcher = Matcher::new(drawn.network.clone(), MatchSettings::default()).unwrap();
    Engine::new(
        Arc::new(matcher),
        DecoderTable::new(routes, DecodeLimits::default()),
        FrontSettings::default(),
        AnalysisSettings {
            vetting,
            ..AnalysisSettings::default()
        },
    )
    .unwrap()
}

/// Sends everything in the order of receipt.
fn run(drawn: &Drawn, vetting: VettingSettings, mut sent: Vec<Sent>) -> Outcome {
    sent.sort_by_key(|message| message.at_ms);
    let mut outcome = Outcome {
        engine: engine(drawn, vetting),
        states: Vec::new(),
    };
    let drain = |outcome: &mut Outcome| {
        while let Some(output) = outcome.engine.poll_output() {
            if let Output::State(state) = output {
                outcome.states.push(state);
            }
        }
    };
    for message in sent {
        let now = Timestamp::from_millis(START_S * 1000 + message.at_ms);
        let message = RawMessage {
            received_at: now,
            source: SourceId(message.source),
            topic: message.topic.into(),
            payload: Bytes::from(message.payload),
        };
        outcome.engine.handle(now, Input::Message(message));
        drain(&mut outcome);
    }
    outcome.engine.handle(Timestamp::MIN, Input::End);
    drain(&mut outcome);
    // The minute before the first message is closed too, empty.
    let start = Timestamp::from_secs(START_S);
    outcome.states.retain(|state| state.interval.start >= start);
    outcome
}

impl Outcome {
    fn rejected(&self, reason: RejectReason) -> u64 {
        self.engine.accounts().1.get(reason)
    }

    /// Largest difference of a speed from that of a run without the attack, m/s, from minute
    /// `from` on.
    fn worst_mps(&self, clean: &Self, from: usize) -> f32 {
        assert_eq!(self.states.len(), clean.states.len());
        let pairs = self.states[from..].iter().zip(&clean.states[from..]);
        pairs
            .flat_map(|(mine, theirs)| mine.segments.iter().zip(&theirs.segments))
            .map(|(mine, theirs)| (mine.speed_mps - theirs.speed_mps).abs())
            .fold(0.0, f32::max)
    }

    fn doubts(&self, segment: SegmentId) -> Vec<Doubt> {
        let of = |state: &Arc<StateBatch>| state.segments[segment.index()].doubt;
        self.states.iter().map(of).collect()
    }

    fn withheld(&self, doubt: Doubt) -> u64 {
        self.engine.vetting().counts().withheld[doubt as usize]
    }
}

/// The innocent traffic alone, ten minutes of a vehicle every six seconds.
fn clean(drawn: &Drawn) -> (Vec<Sent>, Outcome) {
    let sent = traffic(drawn, FLEET, 10, 6, "car");
    let outcome = run(drawn, VettingSettings::default(), sent.clone());
    assert_eq!(
        outcome.engine.accounts().1.total(),
        0,
        "nobody innocent is refused"
    );
    assert_eq!(outcome.withheld(Doubt::Unproven), 0);
    (sent, outcome)
}

/// Vehicles of `name` that appear on CD in minute 5 and stand there until minute 9.
fn ghosts(drawn: &Drawn, who: (u32, &'static str), count: usize) -> Vec<Sent> {
    let mut sent = Vec::new();
    for second in 300..540 {
        for ghost in 0..count {
            let x = 820.0 + 7.0 * (ghost / 2) as f32;
            let at = Point::new(x, if ghost % 2 == 0 { 1.0 } else { -1.0 });
            let id = format!("ghost{ghost}");
            let at_ms = second * 1000 + ghost as i64 % 997;
            sent.push(probe(drawn, who, at_ms, &id, at, 0.0, Datum::Wgs84));
        }
    }
    sent
}

#[test]
fn fifty_invented_vehicles_make_no_jam() {
    let drawn = street();
    let (innocent, clean) = clean(&drawn);
    // From a source of their own, and among the fleet's own messages.
    for who in [ATTACKER, FLEET] {
        let sent = [innocent.clone(), ghosts(&drawn, who, 50)].concat();
        let attacked = run(&drawn, VettingSettings::default(), sent);
        let worst_mps = attacked.worst_mps(&clean, 1);
        assert!(worst_mps < 1.0, "speeds are {worst_mps} m/s off");
        let doubts = attacked.doubts(drawn.segment("CD"));
        assert_eq!(doubts[5], Doubt::Unproven, "{who:?}");
        // A source of its own soon loses all trust.
        assert!(doubts[6..9].iter().all(|doubt| *doubt != Doubt::None));
        assert_eq!(&doubts[..5], [Doubt::None; 5]);
        assert!(attacked.withheld(Doubt::Unproven) + attacked.withheld(Doubt::Distrusted) >= 200);
        let (used, _) = clean.engine.accounts();
        assert!(
            attacked.engine.accounts().0 >= used,
            "the innocent are used"
        );
        // The fleet as a whole is not blamed for what hides in it.
        let distrusted = attacked
            .engine
            .vetting()
            .trust()
            .filter(|s| s.is_distrusted)
            .count();
        assert_eq!(distrusted, usize::from(who == ATTACKER));
    }
}

#[test]
fn a_true_jam_is_believed() {
    let drawn = street();
    // From minute 5 on everybody who comes to CD creeps through it, one behind the other.
    let mut sent = Vec::new();
    let creep_mps = 2.0;
    for begin_s in (-120..540i64).step_by(10) {
        let (mut x, mut previous_mps) = (0.0f32, FREE_MPS);
        for second in begin_s..540 {
            let is_jammed = second >= 300 && (800.0..1_200.0).contains(&x);
            let wanted_mps = if is_jammed { creep_mps } else { FREE_MPS };
            let speed_mps = wanted_mps.clamp(previous_mps - 4.0, previous_mps + 3.0);
            x += speed_mps;
            previous_mps = speed_mps;
            if second >= 0 && x < STREET_M {
                let id = format!("car{begin_s}");
                let at = Point::new(x, 1.0);
                sent.push(probe(
                    &drawn,
                    FLEET,
                    second * 1000,
                    &id,
                    at,
                    speed_mps,
                    Datum::Wgs84,
                ));
            }
        }
    }
    let outcome = run(&drawn, VettingSettings::default(), sent);
    let segment = drawn.segment("CD");
    let last = outcome.states.last().unwrap().segments[segment.index()];
    assert!(last.speed_mps < 4.0, "{last:?}");
    assert_eq!(outcome.withheld(Doubt::Unproven), 0);
    assert_eq!(outcome.engine.accounts().1.total(), 0);
}

#[test]
fn a_replayed_capture_changes_nothing() {
    let drawn = street();
    let (innocent, clean) = clean(&drawn);
    // Minute 3 again in minute 7, as it was; and every message of minute 5 twice at once.
    let captured = innocent
        .iter()
        .filter(|sent| (180_000..240_000).contains(&sent.at_ms));
    let replayed: Vec<Sent> = captured
        .map(|sent| Sent {
            at_ms: sent.at_ms + 240_000,
            ..sent.clone()
        })
        .collect();
    let doubled: Vec<Sent> = innocent
        .iter()
        .filter(|sent| (300_000..360_000).contains(&sent.at_ms))
        .cloned()
        .collect();
    let counts = (replayed.len() as u64, doubled.len() as u64);
    let attacked = run(
        &drawn,
        VettingSettings::default(),
        [innocent, replayed, doubled].concat(),
    );
    assert_eq!(attacked.rejected(RejectReason::Late), counts.0);
    assert_eq!(attacked.rejected(RejectReason::Duplicate), counts.1);
    assert_eq!(attacked.engine.accounts().0, clean.engine.accounts().0);
    assert!(attacked.worst_mps(&clean, 0) < 1e-6);
}

#[test]
fn a_stolen_id_and_a_teleporting_car_are_refused() {
    let drawn = street();
    let (innocent, clean) = clean(&drawn);
    let mut wrong = Vec::new();
    for second in 120..420i64 {
        // Somebody stands at the other end under the id of each car on its way.
        let begin_s = 120 + (second - 120) / 60 * 60;
        let id = format!("car{}", begin_s / 6 * 6);
        let x = FREE_MPS * (second - begin_s / 6 * 6) as f32;
        let at = Point::new(if x < 800.0 { 1_590.0 } else { 10.0 }, 1.0);
        wrong.push(probe(
            &drawn,
            FLEET,
            second * 1000 + 500,
            &id,
            at,
            0.0,
            Datum::Wgs84,
        ));
        // And a car that is at another end every second.
        let at = Point::new(if second % 2 == 0 { 30.0 } else { 1_550.0 }, 1.0);
        wrong.push(probe(
            &drawn,
            FLEET,
            second * 1000 + 250,
            "jumper",
            at,
            12.0,
            Datum::Wgs84,
        ));
    }
    let attacked = run(
        &drawn,
        VettingSettings::default(),
        [innocent, wrong].concat(),
    );
    assert!(attacked.rejected(RejectReason::Implausible) > 300);
    let (used, _) = clean.engine.accounts();
    let lost = used as i64 - attacked.engine.accounts().0 as i64;
    assert!(lost <= 0, "{lost} records of innocent cars were refused");
    let worst_mps = attacked.worst_mps(&clean, 1);
    assert!(worst_mps < 1.5, "speeds are {worst_mps} m/s off");
}

#[test]
fn a_flooding_subject_is_capped_and_harms_nobody() {
    let drawn = street();
    let (innocent, clean) = clean(&drawn);
    let mut flood = Vec::new();
    for step in 0..12_000i64 {
        let at_ms = 120_000 + step * 10;
        let at = Point::new(100.0, 1.0);
        flood.push(probe(
            &drawn,
            ATTACKER,
            at_ms,
            "flood",
            at,
            0.0,
            Datum::Wgs84,
        ));
    }
    let attacked = run(
        &drawn,
        VettingSettings::default(),
        [innocent, flood].concat(),
    );
    // 100 a second for two minutes; 12 a second get through.
    assert!((10_000..=10_600).contains(&attacked.rejected(RejectReason::RateCapped)));
    assert_eq!(
        attacked.engine.accounts().1.total(),
        attacked.rejected(RejectReason::RateCapped)
    );
    let distrusted = |source: &roadcast::state::SourceTrust| source.is_distrusted;
    assert_eq!(
        attacked.engine.vetting().trust().filter(distrusted).count(),
        1
    );
    assert!(attacked.worst_mps(&clean, 1) < 1.5);
}

#[test]
fn a_clock_five_minutes_off_harms_nobody() {
    let drawn = street();
    let (innocent, clean) = clean(&drawn);
    for (lead_s, reason) in [
        (300, RejectReason::FromTheFuture),
        (-300, RejectReason::Late),
    ] {
        let others = traffic(&drawn, ATTACKER, 10, 12, "other");
        let wrong: Vec<Sent> = others
            .into_iter()
            // It is sent now and says another time.
            .map(|sent| Sent {
                at_ms: sent.at_ms - lead_s * 1000,
                ..sent
            })
            .filter(|sent| (0..600_000).contains(&sent.at_ms))
            .collect();
        let count = wrong.len() as u64;
        assert!(count > 1_000);
        let attacked = run(
            &drawn,
            VettingSettings::default(),
            [innocent.clone(), wrong].concat(),
        );
        assert_eq!(
            attacked.engine.accounts().0,
            clean.engine.accounts().0,
            "{lead_s}"
        );
        assert_eq!(attacked.rejected(reason), count, "{lead_s}");
        assert!(attacked.worst_mps(&clean, 0) < 1e-6);
    }
}

#[test]
fn positions_in_another_datum_are_noticed_and_left_out() {
    // A town of parallel streets, so that positions 580 m off lie near some road, too.
    let rows: Vec<String> = [
        "A...............................................B",
        "C...............................................D",
        "E...............................................F",
        "G...............................................H",
        "I...............................................J",
        "K...............................................L",
    ]
    .iter()
    .flat_map(|row| {
        [
            (*row).to_owned(),
            String::new(),
            String::new(),
            String::new(),
        ]
    })
    .collect();
    let drawn = draw(
        &rows.join("\n"),
        &["A>B", "C>D", "E>F", "G>H", "I>J", "K>L"],
        &[],
    );
    let fleet = |who, datum, name: &str| {
        let mut sent = Vec::new();
        for car in 0..40i64 {
            let y = drawn
                .point(['A', 'C', 'E', 'G', 'I', 'K'][car as usize % 6])
                .y;
            for second in 0..480i64 {
                let x = (10.0 * (second + 29 * car) as f32) % 1_200.0;
                // A new trip each time the street ends.
                let trip = (second + 29 * car) / 120;
                let id = format!("{name}{car}-{trip}");
                let at = Point::new(x, y + 1.0);
                sent.push(probe(
                    &drawn,
                    who,
                    second * 1000 + car,
                    &id,
                    at,
                    10.0,
                    datum,
                ));
            }
        }
        sent
    };
    let right = fleet(FLEET, Datum::Wgs84, "right");
    let wrong = fleet(ATTACKER, Datum::Gcj02, "wrong");
    let outcome = run(&drawn, VettingSettings::default(), [right, wrong].concat());
    let verdicts: Vec<_> = outcome.engine.vetting().trust().collect();
    assert_eq!(verdicts.len(), 2);
    assert_eq!(
        (verdicts[0].is_distrusted, verdicts[0].datum),
        (false, None)
    );
    assert!(verdicts[1].is_distrusted);
    assert_eq!(verdicts[1].datum.unwrap().fits, Datum::Gcj02);
    // Once it is known, nothing of it is believed.
    let last = outcome.states.last().unwrap();
    assert!(last.segments.iter().all(|state| state.view_count <= 1));
}

#[test]
fn a_queue_that_others_drive_through_is_a_ghost() {
    let drawn = draw(
        "A...............B...............C...............D...............E",
        &["A>B>C>D>E"],
        &[],
    );
    let (innocent, clean) = clean(&drawn);
    // A unit invents a queue over all lanes of CD, through which the fleet drives freely.
    let mut invented = Vec::new();
    for second in 300..540i64 {
        let targets: Vec<String> = (0..160)
            .map(|object| {
                let x = 820.0 + 7.0 * (object / 2) as f32 * 0.6;
                let at = drawn.network.frame().to_position(Point::new(x, 0.0));
                format!(
                    r#"{{"targetId":{object},"targetType":3,"longitude":{:.7},"latitude":{:.7},"speed":0,"headingAngle":90}}"#,
                    at.lon_deg, at.lat_deg
                )
            })
            .collect();
        let ts = START_S * 1000 + second * 1000;
        let payload = format!(
            r#"{{"timeStamp":{ts},"deviceId":"liar","targets":[{}]}}"#,
            targets.join(",")
        );
        invented.push(Sent {
            at_ms: second * 1000,
            source: 2,
            topic: "V2X/RADAR/liar/TRACK/UP",
            payload: payload.into_bytes(),
        });
    }
    let attacked = run(
        &drawn,
        VettingSettings::default(),
        [innocent, invented].concat(),
    );
    let doubts = attacked.doubts(drawn.segment("CD"));
    assert_eq!(doubts[5], Doubt::Ghost);
    assert!(
        doubts[6..9].iter().all(|doubt| *doubt != Doubt::None),
        "{doubts:?}"
    );
    let worst_mps = attacked.worst_mps(&clean, 1);
    assert!(worst_mps < 1.0, "speeds are {worst_mps} m/s off");
}

#[test]
fn a_sudden_jam_of_one_source_waits_for_a_second_where_two_are_asked_for() {
    let drawn = street();
    let settings = VettingSettings {
        views_min: 2,
        ..VettingSettings::default()
    };
    // The fleet drives freely for six minutes; then cars with a history stand still on CD.
    let mut sent = traffic(&drawn, FLEET, 6, 6, "car");
    for car in 0..6i64 {
        for second in 290..540i64 {
            let along = FREE_MPS * (second - 290) as f32 + 300.0 + 20.0 * car as f32;
            let stop = 1_000.0 + 20.0 * car as f32;
            let speed_mps = ((stop - along) / 3.0).clamp(0.0, FREE_MPS);
            let at = Point::new(along.min(stop), 1.0);
            let id = format!("late{car}");
            sent.push(probe(
                &drawn,
                FLEET,
                second * 1000 + car,
                &id,
                at,
                speed_mps,
                Datum::Wgs84,
            ));
        }
    }
    let strict = run(&drawn, settings, sent.clone());
    let lax = run(&drawn, VettingSettings::default(), sent);
    let segment = drawn.segment("CD");
    assert!(strict.withheld(Doubt::Uncorroborated) >= 6);
    assert_eq!(lax.withheld(Doubt::Uncorroborated), 0);
    let speed = |outcome: &Outcome| outcome.states[7].segments[segment.index()].speed_mps;
    assert!(speed(&strict) > 8.0, "{}", speed(&strict));
    assert!(speed(&lax) < 4.0, "{}", speed(&lax));
    assert_eq!(strict.doubts(segment)[7], Doubt::Uncorroborated);
}

/// The same cars as a fleet's probes, as their own safety messages and as a radar's objects.
fn three_views(
    drawn: &Drawn,
    places: &dyn Fn(i64, usize) -> (Point, f32),
    cars: usize,
    seconds: i64,
) -> [Vec<Sent>; 3] {
    let mut views = [Vec::new(), Vec::new(), Vec::new()];
    // Fixed errors, a few metres for receivers, less for the radar.
    let error = |car: usize, scale: f32| scale * ((car as f32 * 2.399).sin());
    for second in 0..seconds {
        let mut targets = Vec::new();
        for car in 0..cars {
            let (at, speed_mps) = places(second, car);
            let shifted = |by: f32| Point::new(at.x + by, at.y);
            let id = format!("car{car}");
            let noisy = shifted(error(car, 3.0));
            views[0].push(probe(
                drawn,
                FLEET,
                second * 1000,
                &id,
                noisy,
                speed_mps,
                Datum::Wgs84,
            ));
            let frame = drawn.network.frame();
            let record = BsmRecord {
                id: (car as u64 + 1).to_be_bytes(),
                message_count: 0,
                observed_at: Timestamp::from_millis((START_S + second) * 1000 + 200),
                position: frame.to_position(shifted(speed_mps * 0.2 + error(car + 9, 2.0))),
                speed_mps: Some(speed_mps),
                heading_deg: Some(90.0),
                accel_mps2: None,
                length_m: 4.5,
                width_m: 1.8,
            };
            views[1].push(Sent {
                at_ms: second * 1000 + 250,
                source: 3,
                topic: "bsm",
                payload: encode_bsm(&record),
            });
            let at = frame.to_position(shifted(error(car + 5, 1.0)));
            targets.push(format!(
                r#"{{"targetId":{car},"targetType":3,"longitude":{:.7},"latitude":{:.7},"speed":{:.2},"headingAngle":90}}"#,
                at.lon_deg, at.lat_deg, speed_mps * 3.6
            ));
        }
        let ts = (START_S + second) * 1000;
        let payload = format!(
            r#"{{"timeStamp":{ts},"deviceId":"R1","targets":[{}]}}"#,
            targets.join(",")
        );
        views[2].push(Sent {
            at_ms: second * 1000 + 100,
            source: 2,
            topic: "V2X/RADAR/R1/TRACK/UP",
            payload: payload.into_bytes(),
        });
    }
    views
}

#[test]
fn a_car_told_of_three_times_counts_once() {
    let drawn = street();
    // Twelve cars 25 m apart at speed, and a queue of twelve at 7.5 m.
    let moving = |second: i64, car: usize| {
        let x = 12.0 * second as f32 + 25.0 * car as f32;
        (Point::new(x, 0.0), 12.0f32)
    };
    let queued = |_: i64, car: usize| (Point::new(790.0 - 7.5 * car as f32, 0.0), 0.0f32);
    for (name, places) in [
        ("moving", &moving as &dyn Fn(i64, usize) -> (Point, f32)),
        ("queued", &queued),
    ] {
        let views = three_views(&drawn, places, 12, 90);
        let alone = run(&drawn, VettingSettings::default(), views[2].clone());
        let all = run(&drawn, VettingSettings::default(), views.concat());
        assert_eq!(alone.engine.vetting().counts().doubles, 0);
        let counts = |outcome: &Outcome| -> Vec<u32> {
            let minute = &outcome.states[0];
            minute
                .segments
                .iter()
                .map(|state| state.sample_count)
                .collect()
        };
        assert_eq!(counts(&all), counts(&alone), "{name}");
        let seen = all.states[0]
            .segments
            .iter()
            .map(|state| state.view_count)
            .max();
        assert_eq!(seen, Some(3), "{name}");
        for (one, other) in alone.states[0].segments.iter().zip(&all.states[0].segments) {
            let apart_mps = (one.speed_mps - other.speed_mps).abs();
            assert!(apart_mps < 1.0, "{name}: {apart_mps}");
        }
    }
}
