//! A roadside unit on a viaduct right above a street: what it perceives is on the viaduct.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test itself"
)]

use std::collections::BTreeSet;
use std::sync::Arc;

use roadcast::config::RawConfig;
use roadcast::engine::{AnalysisSettings, Engine, FrontSettings, Input};
use roadcast::matching::{AreaDraft, Areas, MatchSettings, Matcher, Outline, Partition, Scratch};
use roadcast::network::{
    Lane, LaneIndex, LaneKind, Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags,
};
use roadcast::observation::{Observation, Origin, RawMessage, RejectReason};
use roadcast::units::{LocalFrame, Metres, Point, Position, SourceId, SubjectId, Timestamp};

pub(crate) const ORIGIN: Position = Position::new(114.3055, 30.5931);
const START_S: i64 = 1_764_028_800;
const PIECES: usize = 6;

/// A street of six pieces of 100 m, and a viaduct 2 m beside and above it.
pub(crate) fn street_and_viaduct() -> Arc<Network> {
    let frame = LocalFrame::new(ORIGIN);
    let mut builder = NetworkBuilder::new(ORIGIN);
    for layer in [0u8, 1] {
        let at = |index: usize| {
            frame.to_position(Point::new(100.0 * index as f32, 2.0 * f32::from(layer)))
        };
        let junctions: Vec<_> = (0..=PIECES)
            .map(|index| builder.add_junction(at(index), false))
            .collect();
        for index in 0..PIECES {
            let draft = SegmentDraft {
                from: junctions[index],
                to: junctions[index + 1],
                shape: vec![at(index), at(index + 1)],
                length_m: None,
                class: RoadClass::Primary,
                limit_mps: None,
                lanes: None,
                flags: SegmentFlags::default().with(SegmentFlags::BRIDGE, layer > 0),
                layer: layer as i8,
                source_id: format!("layer {layer}"),
                source_dir: 1,
                source_pair: index as u32,
                name: None,
                name_en: None,
            };
            let id = builder.add_segment(draft).unwrap();
            for (index, middle_m) in [(0, -1.75), (1, 1.75)] {
                let lane = Lane::new(
                    LaneIndex(index),
                    LaneKind::Car,
                    (0.0, 100.0),
                    [middle_m; 2],
                    [3.5; 2],
                );
                builder.add_lane(id, lane);
            }
        }
    }
    builder.connect_all(&mut |_, _| false);
    Arc::new(builder.build().unwrap())
}

/// Layers on which an object is found that drives along the street's own line, as the unit R1 tells
/// it; and how many records were used and refused as off the road.
fn layers(area: Option<AreaDraft>, y: f32) -> (BTreeSet<i8>, u64, u64) {
    let network = street_and_viaduct();
    let areas = Areas::new(&network, &area.into_iter().collect::<Vec<_>>()).unwrap();
    let matcher = Matcher::new(network.clone(), MatchSettings::default())
        .unwrap()
        .with_areas(areas);
    let decoder = roadcast::config::resolve(RawConfig::default())
        .unwrap()
        .decoder_table();
    let front = FrontSettings {
        future_ms_max: None,
        ..FrontSettings::default()
    };
    let analysis = AnalysisSettings::default();
    let mut engine = Engine::new(Arc::new(matcher), decoder, front, analysis).unwrap();
    let mut handle = |now, input| {
        engine.handle(now, input);
        while engine.poll_output().is_some() {}
    };
    for second in 0..40 {
        let at = Timestamp::from_secs(START_S + second);
        let seen = Point::new(10.0 + 10.0 * second as f32, y);
        let position = network.frame().to_position(seen);
        let payload = format!(
            r#"{{"id":"object 7","ts":{},"lon":{},"lat":{},"speed":10,"heading":90,"accel":0,"type":"car"}}"#,
            at.as_millis(),
            position.lon_deg,
            position.lat_deg
        );
        let message = RawMessage {
            received_at: at,
            source: SourceId(0),
            topic: "roadcast/v1/rsu/R1/probe/up".into(),
            payload: payload.into_bytes().into(),
        };
        handle(at, Input::Message(message));
    }
    handle(Timestamp::from_secs(START_S + 120), Input::End);
    let layers = engine
        .presence()
        .vehicles()
        .iter()
        .map(|vehicle| network.segment(vehicle.position.segment).layer)
        .collect();
    let (used, rejected) = engine.accounts();
    (layers, used, rejected.get(RejectReason::OffRoad))
}

fn unit(filter: &str, layer: Option<i8>) -> Option<AreaDraft> {
    Some(AreaDraft {
        name: "R1".into(),
        filter: filter.into(),
        outline: Outline::Circle {
            centre: LocalFrame::new(ORIGIN).to_position(Point::new(300.0, 0.0)),
            radius: Metres(320.0),
        },
        layer,
    })
}

#[test]
fn an_object_is_on_the_level_its_unit_sees() {
    let own_topic = "roadcast/v1/rsu/R1/+/up";
    // The positions lie on the street: only the area says that it is the viaduct.
    assert_eq!(layers(None, 0.0), ([0].into(), 40, 0));
    assert_eq!(layers(unit(own_topic, Some(1)), 0.0), ([1].into(), 40, 0));
    assert_eq!(layers(unit(own_topic, Some(0)), 2.0), ([0].into(), 40, 0));
    // The area of another unit, or of every perceived object, does not take this topic's records.
    for filter in ["roadcast/v1/rsu/R2/+/up", "#"] {
        assert_eq!(layers(unit(filter, Some(1)), 0.0), ([0].into(), 40, 0));
    }
}

#[test]
fn what_a_unit_perceives_is_put_on_its_lane() {
    let network = street_and_viaduct();
    let areas = Areas::new(&network, &[unit("#", Some(0)).unwrap()]).unwrap();
    let matcher = Matcher::new(network.clone(), MatchSettings::default())
        .unwrap()
        .with_areas(areas);
    // The sender's accuracy, metres to the left of the street's middle, and the lane expected.
    for (accuracy_m, y, expected) in [
        (Some(0.5), -1.5, Some(LaneIndex(0))),
        (None, 1.9, Some(LaneIndex(1))),
        (Some(4.0), 1.9, None),
    ] {
        let (mut partition, mut scratch) = (Partition::new(), Scratch::default());
        let mut lanes = Vec::new();
        for second in 0..10 {
            let seen = Point::new(150.0 + 10.0 * second as f32, y);
            let observation = Observation {
                observed_at: Timestamp::from_secs(START_S + second),
                subject: SubjectId(7),
                position: network.frame().to_position(seen),
                speed_mps: Some(10.0),
                heading_deg: Some(90.0),
                accuracy_m,
                altitude_m: None,
                origin: Origin::Rsm,
                observer: roadcast::units::ObserverId::ITSELF,
                view: roadcast::units::ViewId::NONE,
            };
            let source = matcher.areas().source_of(&[0], &observation).unwrap();
            let sink = &mut |advance: roadcast::matching::Advance<'_>| {
                lanes.push(advance.position.lane);
            };
            partition
                .observe(&matcher, &mut scratch, source, &observation, sink)
                .unwrap();
        }
        assert_eq!(lanes, vec![expected; 8], "{accuracy_m:?} {y}");
    }
}
