//! Incidents as messages: one retained message an incident, cleared when it is over, and one line a
//! change in files.

use std::collections::BTreeMap;
use std::sync::LazyLock;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::guidance::{PlaceEntry, place};
use super::roadside::code_entry;
use super::{TOPIC_ROOT, TileTable, guidance_id};
use crate::network::Network;
use crate::publish::OutMessage;
use crate::state::{CauseCandidate, IncidentChange, IncidentEvidence, IncidentKind, ToldEvent};
use crate::units::Datum;

/// An incident as it is since its last change.
///
/// Topic `roadcast/v1/incident/{quadkey digits as levels}/{id}`, retained, QoS 1; an empty payload
/// ends it. Files hold one such object a line for every change.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct IncidentMessage {
    /// 16 hexadecimal digits, stable while it lasts.
    pub id: String,
    /// The same as a number, as orders name it.
    pub number: u64,
    /// Counts changes under the same id, from 1.
    pub revision: u32,
    /// When the minute that brought the change ended, event time, seconds.
    pub at: f64,
    /// When it was first suspected, event time, seconds.
    pub since: f64,
    /// `suspected`, `confirmed`, `clearing`, `closed` or `dismissed`.
    pub state: String,
    /// `stopped_vehicle`, `blockage` or `sudden_jam`.
    pub kind: String,
    /// Codes of its kind in the tables of standards (`config/event-codes.toml`): `gbt29100`, `etsi`.
    pub codes: BTreeMap<String, u32>,
    /// Number of the blocked segment within the network version.
    pub segment: u32,
    /// What the source of the network calls the road.
    pub source_id: String,
    /// Metres from the start of the segment.
    pub offset_m: f32,
    /// The same place with its coordinates.
    pub place: PlaceEntry,
    /// Lanes known to be blocked; 0 where it is not known which.
    pub lanes_blocked: u8,
    /// Lanes of the segment.
    pub lanes: u8,
    /// 1 slight, 2 moderate, 3 serious, 4 grave.
    #[schemars(range(min = 1, max = 4))]
    pub severity: u8,
    /// Probability that it is an incident, 0 to 1.
    pub confidence: f32,
    /// Where the queue ends.
    pub tail: PlaceEntry,
    /// Length of the queue, metres.
    pub queue_m: f32,
    /// What the last minute with evidence showed.
    pub evidence: Vec<IncidentEvidenceEntry>,
    /// Candidates for its cause: what units tell, then what is seen, then what is usual.
    pub causes: Vec<CauseEntry>,
    /// Network version the segment numbers belong to.
    pub network: String,
}

/// A candidate for the cause of an incident, with what it rests on.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CauseEntry {
    /// `accident`, `roadworks`, `weather`, `obstacle`, `breakdown`, `told_event`, `stopped_vehicle`,
    /// `all_lanes_closed`, `capacity_drop` or `recurrent_bottleneck`.
    pub cause: String,
    /// The kinds of evidence it rests on.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub evidence: Vec<String>,
    /// The event of a unit it rests on.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub told: Option<ToldEntry>,
    /// Usual speed at this time over free-flow speed, where it rests on that.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub usual_ratio: Option<f32>,
}

/// An event that a unit tells near an incident.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ToldEntry {
    /// The unit that tells it.
    pub source: String,
    /// Its number at that unit.
    pub id: u64,
    /// Whose code it is: `gbt29100`, `gb5768`, `etsi` or `maker`.
    pub system: String,
    /// The code.
    pub code: u32,
    /// How far it is from the incident, metres.
    pub distance_m: f32,
}

impl From<CauseCandidate> for CauseEntry {
    fn from(candidate: CauseCandidate) -> Self {
        Self {
            cause: candidate.cause.label().to_owned(),
            evidence: candidate.evidence.into_iter().map(str::to_owned).collect(),
            told: candidate.told.map(Into::into),
            usual_ratio: candidate.usual_ratio,
        }
    }
}

impl From<ToldEvent> for ToldEntry {
    fn from(told: ToldEvent) -> Self {
        let (system, code, _) = code_entry(told.code);
        Self {
            source: told.source.to_string(),
            id: told.event,
            system: system.to_owned(),
            code,
            distance_m: told.distance_m.round(),
        }
    }
}

/// A finding with its figures.
#[derive(Clone, Copy, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case", deny_unknown_fields)]
pub enum IncidentEvidenceEntry {
    /// Road users stand longer than a red light lasts, with nothing standing before them.
    Stuck {
        /// How many.
        count: u32,
        /// The longest stand, seconds.
        longest_s: f32,
        /// Distance of the foremost from the end of the segment, metres.
        before_end_m: f32,
    },
    /// Road users drove past those that stand.
    Passers {
        /// How many in the minute.
        count: u32,
    },
    /// Road users slow down at one place and drive freely behind it.
    Slowed {
        /// How many within the last minutes.
        count: u32,
    },
    /// Road users pass slower than is usual here, and nothing further on explains it.
    Slower {
        /// Their mean speed over the usual one.
        ratio: f32,
    },
    /// Lanes on which vehicles are and none gets through.
    DeadLanes {
        /// How many lanes.
        lanes: u32,
        /// For how long, minutes.
        minutes: u32,
    },
    /// No vehicle reaches the detectors behind the place.
    Starved {
        /// Vehicles that would have come at the usual rate.
        missing: f32,
    },
    /// Road users crawl on a road without signals where traffic was free.
    Crawling {
        /// How many.
        count: u32,
        /// Their mean speed over the limit.
        ratio: f32,
    },
    /// The mean speed at loops fell within a quarter of an hour, as it seldom does at this time of
    /// day, and traffic at the next loops ahead is not as slow.
    SpeedDrop {
        /// Speed over free-flow speed before.
        before_ratio: f32,
        /// The same in the last five minutes.
        ratio: f32,
        /// Share of earlier five minutes at this time of day that were as slow.
        usual_share: f32,
    },
    /// An operator has said so.
    Operator {},
}

impl From<IncidentEvidence> for IncidentEvidenceEntry {
    fn from(evidence: IncidentEvidence) -> Self {
        match evidence {
            IncidentEvidence::Stuck {
                count,
                longest_s,
                before_end_m,
            } => Self::Stuck {
                count,
                longest_s,
                before_end_m,
            },
            IncidentEvidence::Passers { count } => Self::Passers { count },
            IncidentEvidence::Slowed { count } => Self::Slowed { count },
            IncidentEvidence::Slower { ratio } => Self::Slower { ratio },
            IncidentEvidence::DeadLanes { lanes, minutes } => Self::DeadLanes { lanes, minutes },
            IncidentEvidence::Starved { missing } => Self::Starved { missing },
            IncidentEvidence::Crawling { count, ratio } => Self::Crawling { count, ratio },
            IncidentEvidence::SpeedDrop {
                before_ratio,
                ratio,
                usual_share,
            } => Self::SpeedDrop {
                before_ratio,
                ratio,
                usual_share,
            },
            IncidentEvidence::Operator => Self::Operator {},
        }
    }
}

/// Codes by kind of incident and standard.
type Codes = BTreeMap<String, BTreeMap<String, u32>>;

/// The table of codes, as it stands in the repository.
static CODES: LazyLock<Codes> = LazyLock::new(|| {
    let text = include_str!("../../../config/event-codes.toml");
    toml::from_str(text).expect("the table is held against its form by a test")
});

fn codes_of(kind: IncidentKind) -> BTreeMap<String, u32> {
    CODES.get(kind.label()).cloned().unwrap_or_default()
}

/// The message of a change.
pub fn incident_entry(network: &Network, change: &IncidentChange) -> IncidentMessage {
    let place_entry = place(network, change.segment, change.offset_m);
    IncidentMessage {
        id: guidance_id(change.id),
        number: change.id,
        revision: change.revision,
        at: change.at.as_secs_f64(),
        since: change.since.as_secs_f64(),
        state: change.state.label().to_owned(),
        kind: change.kind.label().to_owned(),
        codes: codes_of(change.kind),
        segment: change.segment.0,
        source_id: place_entry.source_id.clone(),
        offset_m: place_entry.offset_m,
        place: place_entry,
        lanes_blocked: change.lanes_blocked,
        lanes: change.lanes,
        severity: change.severity,
        confidence: (change.confidence * 1e3).round() / 1e3,
        tail: place(network, change.tail, change.tail_offset_m),
        queue_m: change.queue_m.round(),
        evidence: change.evidence.iter().copied().map(Into::into).collect(),
        causes: change.causes().into_iter().map(Into::into).collect(),
        network: network.version().to_string(),
    }
}

/// The topics of incidents that are published, so that each can be cleared where it stands.
#[derive(Debug, Default)]
pub struct IncidentTopics {
    live: BTreeMap<u64, String>,
    datum: Datum,
}

impl IncidentTopics {
    /// The same with positions in `datum`.
    pub fn in_datum(datum: Datum) -> Self {
        Self {
            datum,
            ..Self::default()
        }
    }

    /// The message for a change; `None` where one is over that was never published.
    pub fn message(
        &mut self,
        network: &Network,
        tiles: &TileTable,
        change: &IncidentChange,
    ) -> Option<OutMessage> {
        let (topic, payload) = if change.state.is_over() {
            (self.live.remove(&change.id)?, Vec::new())
        } else {
            let mut entry = incident_entry(network, change);
            if !self.datum.is_wgs84() {
                entry.place.move_to(self.datum);
                entry.tail.move_to(self.datum);
            }
            let payload = serde_json::to_vec(&entry)
                .expect("strings and finite numbers are always valid JSON");
            let topic = self.live.entry(change.id).or_insert_with(|| {
                let path = &tiles.tile_of(change.segment).path;
                format!("{TOPIC_ROOT}/incident/{path}/{}", entry.id)
            });
            (topic.clone(), payload)
        };
        Some(OutMessage {
            topic,
            payload: payload.into(),
            qos: 1,
            retain: true,
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::format::fixture;
    use crate::state::IncidentState;
    use crate::units::{SegmentId, Timestamp};

    fn change(state: IncidentState) -> IncidentChange {
        IncidentChange {
            id: 17,
            revision: 1,
            at: Timestamp::from_secs(600),
            since: Timestamp::from_secs(480),
            state,
            kind: IncidentKind::Blockage,
            segment: SegmentId(0),
            offset_m: 20.0,
            lanes_blocked: 1,
            lanes: 2,
            severity: 2,
            confidence: 0.93,
            tail: SegmentId(0),
            tail_offset_m: 5.0,
            queue_m: 15.0,
            evidence: vec![
                IncidentEvidence::Passers { count: 3 },
                IncidentEvidence::Operator,
            ],
            is_fast_road: false,
            usual_ratio: None,
            told: Vec::new(),
        }
    }

    #[test]
    fn an_incident_is_retained_where_it_is_and_cleared_when_it_is_over() {
        let network = fixture::network();
        let tiles = TileTable::new(&network, 14);
        let mut topics = IncidentTopics::default();
        let over = topics.message(&network, &tiles, &change(IncidentState::Closed));
        assert_eq!(over, None);
        let mut told = |state| topics.message(&network, &tiles, &change(state));
        let open = told(IncidentState::Confirmed).expect("it is published");
        assert!(open.retain && open.qos == 1);
        assert!(
            open.topic.starts_with("roadcast/v1/incident/"),
            "{}",
            open.topic
        );
        assert!(open.topic.ends_with("/0000000000000011"), "{}", open.topic);
        let message: IncidentMessage = serde_json::from_slice(&open.payload).expect("its own form");
        assert_eq!((message.at, message.number), (600.0, 17));
        assert_eq!(message.codes["gbt29100"], 707);
        let end = told(IncidentState::Dismissed).expect("its end is published");
        assert_eq!((end.topic, end.payload.len()), (open.topic, 0));
    }

    #[test]
    fn every_kind_is_in_the_table_of_codes_and_nothing_else() {
        let known: Vec<&str> = IncidentKind::ALL.iter().map(|kind| kind.label()).collect();
        assert!(CODES.keys().all(|kind| known.contains(&kind.as_str())));
        for kind in IncidentKind::ALL {
            let codes = codes_of(kind);
            assert!(!codes.is_empty(), "{}", kind.label());
            assert!(
                codes
                    .keys()
                    .all(|name| ["gbt29100", "etsi"].contains(&name.as_str()))
            );
        }
    }
}
