//! Congestion for roadside units: jam warnings as RSI, of T/CSAE 53 in UPER or of Huawei in JSON.
//!
//! A unit gets the jams that reach into its radius, once a minute while they last. The message is
//! not retained: it says itself until when it holds, and a unit that missed one gets the next.

use std::collections::{BTreeMap, BTreeSet};

use rstar::RTree;
use rstar::primitives::{GeomWithData, Line};

use super::OutMessage;
use crate::config::{RsuFormat, RsuTarget};
use crate::guide::{Guidance, GuidanceKind, JamWarning};
use crate::network::Network;
use crate::units::{Metres, Point, Position, Timestamp};
use crate::wire::csae::{
    CONGESTION_EVENT_TYPE, CongestionEvent, EncodeError, EventSource, RsiHead,
    encode_rsi_congestion,
};
use crate::wire::huawei::{self, DownEvent};
use crate::wire::its0117::{Kind, Topic};

/// Most events one RSI carries (`RTEList`); the worst jams go first.
const EVENTS_MAX: usize = 8;

/// Half width told for a congested carriageway, metres (chosen: two lanes of 3.5 m).
const PATH_RADIUS_M: f64 = 7.0;

/// Largest radius an event can carry, metres (RSI radius has
/// steps of 0.1 m in 16 bits).
const RADIUS_M_MAX: f64 = 6_553.5;

/// Writes RSI for the units of the configuration.
#[derive(Debug)]
pub struct RsiWriter {
    units: Vec<Unit>,
    /// Event numbers of the jams last told, by guidance id.
    event_ids: BTreeMap<u64, u8>,
    next_event_id: u8,
}

#[derive(Debug)]
struct Unit {
    target: RsuTarget,
    topic: String,
    message_count: u8,
}

impl RsiWriter {
    /// A writer for `targets`; with none it never writes anything.
    pub fn new(targets: &[RsuTarget]) -> Self {
        let units = targets.iter().map(|target| Unit {
            topic: match target.format {
                RsuFormat::Csae => target.delimiter.write(&Topic::Down(Kind::Rsi, &target.id)),
                RsuFormat::Huawei => format!("v2x/v1/rsu/{}/rsi/down", target.id),
            },
            target: target.clone(),
            message_count: 0,
        });
        Self {
            units: units.collect(),
            event_ids: BTreeMap::new(),
            next_event_id: 0,
        }
    }

    /// One message for every unit that has a jam of `guidance` within its radius. `issued_at` is
    /// event time; `guidance` holds what is in force.
    pub fn messages<'a>(
        &mut self,
        network: &Network,
        issued_at: Timestamp,
        guidance: impl IntoIterator<Item = &'a Guidance>,
    ) -> Vec<OutMessage> {
        let mut jams: Vec<(&Guidance, &JamWarning)> = guidance
            .into_iter()
            .filter(|advice| !advice.withdrawn && advice.network == network.version())
            .filter_map(|advice| match &advice.kind {
                GuidanceKind::Jam(jam) => Some((advice, jam)),
                GuidanceKind::Diversion(_) => None,
            })
            .collect();
        jams.sort_by(|(a, x), (b, y)| {
            let by_length = y.length_m.total_cmp(&x.length_m);
            y.level.cmp(&x.level).then(by_length).then(a.id.cmp(&b.id))
        });
        self.number(&jams);
        let (index, event_ids) = (JamIndex::new(network, &jams), &self.event_ids);
        self.units
            .iter_mut()
            .filter_map(|unit| unit.message(network, issued_at, &jams, &index, event_ids))
            .collect()
    }

    /// Keeps the numbers of jams that go on, gives new ones their own and forgets the rest.
    fn number(&mut self, jams: &[(&Guidance, &JamWarning)]) {
        self.event_ids
            .retain(|id, _| jams.iter().any(|(advice, _)| advice.id == *id));
        for (advice, _) in jams {
            if !self.event_ids.contains_key(&advice.id) {
                self.event_ids.insert(advice.id, self.next_event_id);
                self.next_event_id = self.next_event_id.wrapping_add(1);
            }
        }
    }
}

impl Unit {
    fn message(
        &mut self,
        network: &Network,
        issued_at: Timestamp,
        jams: &[(&Guidance, &JamWarning)],
        index: &JamIndex,
        event_ids: &BTreeMap<u64, u8>,
    ) -> Option<OutMessage> {
        let here = network.frame().to_point(self.target.position);
        let near: Vec<_> = index
            .within(here, self.target.radius)
            .into_iter()
            .take(EVENTS_MAX)
            .map(|index| &jams[index])
            .collect();
        let datum = self.target.datum;
        let paths: Vec<Vec<Position>> = near
            .iter()
            .map(|(_, jam)| {
                path(network, jam)
                    .into_iter()
                    .map(|point| datum.from_wgs84(point))
                    .collect()
            })
            .collect();
        let events: Vec<CongestionEvent<'_>> = near
            .iter()
            .zip(&paths)
            .map(|((advice, jam), path)| CongestionEvent {
                event_id: event_ids.get(&advice.id).copied().unwrap_or_default(),
                source: EventSource::Detection,
                position: datum.from_wgs84(network.position_at(jam.tail.0, jam.tail.1)),
                radius_m: f64::from(jam.length_m).min(RADIUS_M_MAX),
                priority: jam.level as u8 + 1,
                paths: std::slice::from_ref(path),
                path_radius_m: PATH_RADIUS_M,
                description: network.name_en(jam.tail.0),
                start: jam.onset,
                end: advice.valid_until,
                confidence: Some(f64::from(advice.confidence)),
            })
            .collect();
        if events.is_empty() {
            return None;
        }
        match self.encode(issued_at, &events) {
            Ok(frame) => {
                self.message_count = (self.message_count + 1) % 128;
                Some(OutMessage {
                    topic: self.topic.clone(),
                    payload: frame.into(),
                    qos: 1,
                    retain: false,
                })
            }
            Err(error) => {
                tracing::warn!(rsu = self.target.id, %error, "Could not encode an RSI.");
                None
            }
        }
    }
}

impl Unit {
    fn encode(
        &self,
        issued_at: Timestamp,
        events: &[CongestionEvent<'_>],
    ) -> Result<Vec<u8>, EncodeError> {
        let target = &self.target;
        let reference = target.datum.from_wgs84(target.position);
        match target.format {
            RsuFormat::Csae => {
                let mut rsu_id = [b' '; 8];
                for (byte, of_id) in rsu_id.iter_mut().zip(target.id.bytes()) {
                    *byte = of_id;
                }
                let head = RsiHead {
                    rsu_id,
                    message_count: self.message_count,
                    issued_at,
                    reference,
                };
                encode_rsi_congestion(target.dialect, head, events)
            }
            RsuFormat::Huawei => {
                let events: Vec<DownEvent<'_>> = events.iter().map(down_event).collect();
                let message = huawei::encode_rsi(&target.id, issued_at, reference, &events, None);
                Ok(message)
            }
        }
    }
}

fn down_event<'a>(event: &CongestionEvent<'a>) -> DownEvent<'a> {
    DownEvent {
        event_id: event.event_id,
        event_type: u32::from(CONGESTION_EVENT_TYPE),
        position: event.position,
        radius_m: event.radius_m,
        priority: event.priority,
        paths: event.paths,
        path_radius_m: event.path_radius_m,
        description: event.description,
        confidence: event.confidence,
        valid: (event.start, event.end),
    }
}

/// Where the jams of one minute lie: every straight piece of their roads, with the jam's place in
/// the list. Jams move, so this tree is built anew each minute.
struct JamIndex(RTree<GeomWithData<Line<[f32; 2]>, usize>>);

impl JamIndex {
    fn new(network: &Network, jams: &[(&Guidance, &JamWarning)]) -> Self {
        let mut pieces = Vec::new();
        for (index, (_, jam)) in jams.iter().enumerate() {
            for &segment in &jam.segments {
                pieces.extend(network.shape(segment).windows(2).map(|ends| {
                    let line = Line::new([ends[0].x, ends[0].y], [ends[1].x, ends[1].y]);
                    GeomWithData::new(line, index)
                }));
            }
        }
        Self(RTree::bulk_load(pieces))
    }

    /// The jams that come within `radius` of `point`, in the order of the list.
    fn within(&self, point: Point, radius: Metres) -> BTreeSet<usize> {
        let radius_m = radius.value() as f32;
        let near = self
            .0
            .locate_within_distance([point.x, point.y], radius_m * radius_m);
        near.map(|piece| piece.data).collect()
    }
}

/// The queue as one line along the traffic, from tail to head.
fn path(network: &Network, jam: &JamWarning) -> Vec<Position> {
    let mut line: Vec<Position> = Vec::new();
    for &segment in jam.segments.iter().rev() {
        for &point in network.shape(segment) {
            let position = network.frame().to_position(point);
            if line.last() != Some(&position) {
                line.push(position);
            }
        }
    }
    line
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::format::fixture;
    use crate::units::Datum;
    use crate::units::Metres;
    use crate::wire::Dialect;
    use crate::wire::asn1::csae2019::{MessageFrame, decode_frame};
    use crate::wire::its0117::Delimiter;

    fn target(id: &str, position: Position) -> RsuTarget {
        RsuTarget {
            id: id.into(),
            format: RsuFormat::Csae,
            position,
            radius: Metres(300.0),
            datum: Datum::Wgs84,
            delimiter: Delimiter::Dot,
            dialect: Dialect::Csae2019,
            acknowledges: Default::default(),
            map_file: Default::default(),
            up_limits: Default::default(),
        }
    }

    #[test]
    fn only_units_near_the_jam_are_told_of_it() {
        let network = fixture::network();
        let on_the_jam = network.position_at(crate::units::SegmentId(1), 900.0);
        let far_away = network.position_at(crate::units::SegmentId(3), 0.0);
        let mut writer = RsiWriter::new(&[target("R0000001", on_the_jam), target("R2", far_away)]);
        let advice = [fixture::jam(&network), fixture::diversion(&network)];
        let issued_at = Timestamp::from_secs(28_860);
        let messages = writer.messages(&network, issued_at, &advice);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].topic, "V2X.RSU.RSI.R0000001.DOWN");
        let Ok(MessageFrame::RsiFrame(rsi)) = decode_frame(&messages[0].payload) else {
            unreachable!("an RSI was encoded")
        };
        let events = rsi.rtes.expect("events");
        assert_eq!((events.len(), events[0].event_type), (1, 707));
        assert_eq!((rsi.msg_cnt, events[0].rte_id), (0, 0));

        let again = writer.messages(&network, issued_at.plus_secs(60), &advice);
        let Ok(MessageFrame::RsiFrame(rsi)) = decode_frame(&again[0].payload) else {
            unreachable!("an RSI was encoded")
        };
        let events = rsi.rtes.expect("events");
        assert_eq!((rsi.msg_cnt, events[0].rte_id), (1, 0));
    }

    #[test]
    fn a_unit_of_huawei_is_told_of_the_same_jam_in_json() {
        let network = fixture::network();
        let here = network.position_at(crate::units::SegmentId(1), 900.0);
        let unit = RsuTarget {
            format: RsuFormat::Huawei,
            ..target("ESN-2102312QDL6RK", here)
        };
        let mut writer = RsiWriter::new(&[unit]);
        let issued_at = Timestamp::from_secs(28_860);
        let told = writer.messages(&network, issued_at, &[fixture::jam(&network)]);
        assert_eq!(told[0].topic, "v2x/v1/rsu/ESN-2102312QDL6RK/rsi/down");
        let message: serde_json::Value = serde_json::from_slice(&told[0].payload).expect("JSON");
        assert_eq!(message["name"], "RSI");
        let content = message["content"].as_str().expect("JSON in a string");
        let content: serde_json::Value = serde_json::from_str(content).expect("JSON");
        let event = &content["rsiDatas"][0]["rtes"][0];
        assert_eq!(event["eventType"], 707, "{event}");
    }

    #[test]
    fn nothing_is_told_once_the_jam_is_withdrawn() {
        let network = fixture::network();
        let here = network.position_at(crate::units::SegmentId(1), 900.0);
        let mut writer = RsiWriter::new(&[target("R1", here)]);
        let mut jam = fixture::jam(&network);
        jam.withdrawn = true;
        assert!(
            writer
                .messages(&network, Timestamp::from_secs(28_860), &[jam])
                .is_empty()
        );
    }
}
