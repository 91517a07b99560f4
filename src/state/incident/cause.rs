//! What may have caused an incident, each candidate with what it rests on: the evidence of the
//! incident, what is usual there, or an event that a roadside unit tells.
//!
//! It names candidates and no probabilities: what is seen of a blockage seldom tells why it is there.
//! Events are told apart by the cause codes of ETSI TS 102 894-2; those of other tables, whose
//! meanings are not public, are candidates under their number.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{IncidentChange, IncidentEvidence};
use crate::network::Network;
use crate::observation::{EventCode, RoadEvent};
use crate::units::{Point, Position, SegmentId, Timestamp};

/// Most events that one incident names, the nearest first.
pub const TOLD_EVENTS_MAX: usize = 4;
/// An event belongs to an incident from so near on, m, or within its own radius (chosen: a block).
const EVENT_NEAR_M: f64 = 150.0;
/// Weather belongs to it from farther away, m (chosen: units stand a few kilometres apart).
const WEATHER_NEAR_M: f64 = 3_000.0;
/// Side of the cells in which points of told weather count as one, m, and most cells that are looked
/// around: what is told beyond that is left out.
const WEATHER_CELL_M: f32 = 1_000.0;
const WEATHER_CELLS_MAX: usize = 256;
/// Traffic is usually slow where the usual speed is below this share of free flow (the share below
/// which a road is no longer smooth, GB/T 33171-2016), or so many of the earlier bins of the time of
/// day were as slow.
const USUALLY_SLOW_RATIO: f32 = 0.7;
const USUALLY_SLOW_SHARE: f32 = 0.2;

/// Why a road may be blocked.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum IncidentCause {
    /// An accident, told by a unit.
    Accident = 0,
    /// Roadworks, told by a unit.
    Roadworks = 1,
    /// The weather, told by a unit.
    Weather = 2,
    /// Something on the road, told by a unit: an obstacle, animals, people.
    Obstacle = 3,
    /// A vehicle that has broken down: told by a unit, or standing alone on a fast road.
    Breakdown = 4,
    /// An event of a table whose meanings are not public, told by a unit.
    ToldEvent = 5,
    /// A vehicle that stands in a lane while others drive past.
    StoppedVehicle = 6,
    /// All lanes are closed: nobody gets past the place.
    AllLanesClosed = 7,
    /// Fewer vehicles get past than want to, and none is known to stand.
    CapacityDrop = 8,
    /// The place is often slow at this time of day.
    RecurrentBottleneck = 9,
}

impl IncidentCause {
    /// The word for it in messages and files.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Accident => "accident",
            Self::Roadworks => "roadworks",
            Self::Weather => "weather",
            Self::Obstacle => "obstacle",
            Self::Breakdown => "breakdown",
            Self::ToldEvent => "told_event",
            Self::StoppedVehicle => "stopped_vehicle",
            Self::AllLanesClosed => "all_lanes_closed",
            Self::CapacityDrop => "capacity_drop",
            Self::RecurrentBottleneck => "recurrent_bottleneck",
        }
    }

    /// What an event tells; `None` for signs, and for what is no cause (congestion, dangers ahead).
    fn of(code: EventCode) -> Option<Self> {
        match code {
            EventCode::Etsi(2 | 92, _) => Some(Self::Accident),
            EventCode::Etsi(3, _) => Some(Self::Roadworks),
            EventCode::Etsi(6 | 17..=19, _) => Some(Self::Weather),
            EventCode::Etsi(9..=12, _) => Some(Self::Obstacle),
            EventCode::Etsi(91 | 94, _) => Some(Self::Breakdown),
            EventCode::Etsi(..) | EventCode::Gb5768(_) | EventCode::Gbt29100(707) => None,
            EventCode::Gbt29100(_) | EventCode::Maker(_) => Some(Self::ToldEvent),
        }
    }
}

/// An event that a unit told near an incident.
#[derive(Clone, Debug, PartialEq)]
pub struct ToldEvent {
    /// Who told it.
    pub source: Arc<str>,
    /// Its number at that source.
    pub event: u64,
    /// What it is.
    pub code: EventCode,
    /// How far it is from the incident, metres.
    pub distance_m: f32,
}

/// Why an incident may be there, and what says so.
#[derive(Clone, Debug, PartialEq)]
pub struct CauseCandidate {
    /// The cause.
    pub cause: IncidentCause,
    /// The kinds of evidence it rests on, by their words in messages.
    pub evidence: Vec<&'static str>,
    /// The event it rests on.
    pub told: Option<ToldEvent>,
    /// Usual speed at this time over free flow, where it rests on that.
    pub usual_ratio: Option<f32>,
}

impl CauseCandidate {
    fn seen(cause: IncidentCause, evidence: Vec<&'static str>) -> Self {
        Self {
            cause,
            evidence,
            told: None,
            usual_ratio: None,
        }
    }
}

impl IncidentChange {
    /// Candidates for its cause: what is told first, then what is seen, then what is usual.
    pub fn causes(&self) -> Vec<CauseCandidate> {
        let told = self.told.iter().filter_map(|event| {
            Some(CauseCandidate {
                told: Some(event.clone()),
                ..CauseCandidate::seen(IncidentCause::of(event.code)?, Vec::new())
            })
        });
        let mut causes: Vec<CauseCandidate> = told.collect();
        causes.extend(self.seen_cause());
        causes.extend(self.usual_cause());
        causes
    }

    fn seen_cause(&self) -> Option<CauseCandidate> {
        use IncidentEvidence as Of;
        let words = |is: fn(&IncidentEvidence) -> bool| -> Vec<&'static str> {
            let found = self.evidence.iter().filter(|evidence| is(evidence));
            found.map(IncidentEvidence::label).collect()
        };
        let stands = words(|of| matches!(of, Of::Stuck { .. } | Of::DeadLanes { .. }));
        let passes = words(|of| matches!(of, Of::Passers { .. } | Of::Slowed { .. }));
        let starved = words(|of| matches!(of, Of::Starved { .. }));
        let slow = words(|of| {
            matches!(
                of,
                Of::Crawling { .. } | Of::Slower { .. } | Of::SpeedDrop { .. }
            )
        });
        let is_closed = self.lanes_blocked >= self.lanes && passes.is_empty();
        let all = |parts: [Vec<&'static str>; 2]| parts.concat();
        match () {
            () if !starved.is_empty() || (!stands.is_empty() && is_closed) => Some(
                CauseCandidate::seen(IncidentCause::AllLanesClosed, all([stands, starved])),
            ),
            () if !stands.is_empty() => {
                let cause = if self.is_fast_road {
                    IncidentCause::Breakdown
                } else {
                    IncidentCause::StoppedVehicle
                };
                Some(CauseCandidate::seen(cause, all([stands, passes])))
            }
            () if !passes.is_empty() || !slow.is_empty() => Some(CauseCandidate::seen(
                IncidentCause::CapacityDrop,
                all([passes, slow]),
            )),
            () => None,
        }
    }

    fn usual_cause(&self) -> Option<CauseCandidate> {
        let is_often = |of: &&IncidentEvidence| matches!(of, IncidentEvidence::SpeedDrop { usual_share, .. } if *usual_share >= USUALLY_SLOW_SHARE);
        let evidence: Vec<_> = self.evidence.iter().filter(is_often).collect();
        let usual_ratio = self.usual_ratio.filter(|ratio| *ratio < USUALLY_SLOW_RATIO);
        (usual_ratio.is_some() || !evidence.is_empty()).then(|| CauseCandidate {
            usual_ratio,
            ..CauseCandidate::seen(
                IncidentCause::RecurrentBottleneck,
                evidence.into_iter().map(IncidentEvidence::label).collect(),
            )
        })
    }
}

/// The events in force at `at` that belong to a place, nearest first.
pub(super) fn told_near(
    network: &Network,
    (segment, offset_m): (SegmentId, f32),
    at: Timestamp,
    events: &[RoadEvent],
) -> Vec<ToldEvent> {
    let place = network.position_at(segment, offset_m);
    let mut found: Vec<ToldEvent> = events
        .iter()
        .filter(|event| event.valid_from.is_none_or(|from| from <= at))
        .filter_map(|event| {
            let reach_m = match IncidentCause::of(event.code)? {
                IncidentCause::Weather => WEATHER_NEAR_M,
                _ => EVENT_NEAR_M,
            };
            let distance_m = distance_m(place, event)?;
            let radius_m = event.radius_m.map_or(0.0, f64::from);
            (distance_m <= reach_m.max(radius_m)).then(|| ToldEvent {
                source: event.source.clone(),
                event: event.event,
                code: event.code,
                distance_m: distance_m as f32,
            })
        })
        .collect();
    found.sort_by(|a, b| {
        (a.distance_m.total_cmp(&b.distance_m))
            .then_with(|| (&a.source, a.event).cmp(&(&b.source, b.event)))
    });
    found.truncate(TOLD_EVENTS_MAX);
    found
}

/// Whether each segment lies in bad weather that is told at `at`; empty where none is told. Points of
/// events that lie in one square kilometre count as one, and no more than 256 of these are looked around.
pub fn bad_weather(network: &Network, events: &[RoadEvent], at: Timestamp) -> Vec<bool> {
    let mut cells: BTreeMap<[i32; 2], (Point, f32)> = BTreeMap::new();
    let told = (events.iter())
        .filter(|event| IncidentCause::of(event.code) == Some(IncidentCause::Weather))
        .filter(|event| event.valid_from.is_none_or(|from| from <= at));
    for event in told {
        let reach_m = event
            .radius_m
            .unwrap_or_default()
            .max(WEATHER_NEAR_M as f32);
        for position in event.paths.iter().flatten().chain(&event.position) {
            let point = network.frame().to_point(*position);
            let cell = [point.x, point.y].map(|metres| (metres / WEATHER_CELL_M).round() as i32);
            if cells.len() < WEATHER_CELLS_MAX || cells.contains_key(&cell) {
                let known = cells.entry(cell).or_insert((point, reach_m));
                known.1 = known.1.max(reach_m);
            }
        }
    }
    if cells.is_empty() {
        return Vec::new();
    }
    let mut is_in = vec![false; network.segment_count()];
    for (point, reach_m) in cells.into_values() {
        network.candidates_within(point, reach_m, &mut |found| {
            is_in[found.segment.index()] = true;
        });
    }
    is_in
}

/// How far a place is from an event: from its position or the nearest point of its paths.
fn distance_m(place: Position, event: &RoadEvent) -> Option<f64> {
    let points = event.paths.iter().flatten().chain(&event.position);
    points
        .map(|point| place.distance_to(*point).value())
        .min_by(f64::total_cmp)
}
