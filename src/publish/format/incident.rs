//! Incidents as messages: one retained message an incident, cleared when it is over, and one line a
//! change in files.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::guidance::{PlaceEntry, place};
use super::{TOPIC_ROOT, TileTable, guidance_id};
use crate::network::Network;
use crate::publish::OutMessage;
use crate::state::{IncidentChange, IncidentEvidence};
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
    /// Network version the segment numbers belong to.
    pub network: String,
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
            IncidentEvidence::DeadLanes { lanes, minutes } => Self::DeadLanes { lanes, minutes },
            IncidentEvidence::Starved { missing } => Self::Starved { missing },
            IncidentEvidence::Crawling { count, ratio } => Self::Crawling { count, ratio },
            IncidentEvidence::Operator => Self::Operator {},
        }
    }
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
