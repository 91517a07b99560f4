//! The life of one incident, from minute to minute.

use super::evidence::Finding;
use super::loop_speed::OPEN_MINUTES;
use super::{
    IncidentChange, IncidentEvidence, IncidentKind, IncidentSettings, IncidentState, probability,
};
use crate::network::Segment;
use crate::units::Timestamp;

/// Highest log-odds kept, so that an incident that ends is seen to end.
const LOG_ODDS_MAX: f32 = 8.0;
/// What a minute without evidence takes away, and one in which traffic passes the place freely.
const FADING: f32 = 1.0;
const PASSED_FREELY: f32 = 3.0;
/// How far beyond the threshold an operator's word goes.
const OPERATOR_MARGIN: f32 = 2.0;

/// What is watched at one segment.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct Watch {
    pub(super) log_odds: f32,
    /// Minutes in a row without evidence.
    pub(super) quiet: u32,
    /// Minutes in which loops, whose evidence it rests on, tell nothing new.
    pub(super) waits: u8,
    /// The incident that has come of it, if any.
    pub(super) incident: Option<Box<IncidentChange>>,
}

impl Watch {
    /// Begins with the prior odds, moved by what operators said here.
    pub(super) fn new(settings: &IncidentSettings, bias: f32) -> Self {
        Self {
            log_odds: settings.prior + bias,
            quiet: 0,
            waits: 0,
            incident: None,
        }
    }

    /// Takes what a minute shows, or does not show; `floor` is the lowest log-odds.
    pub(super) fn weigh(&mut self, finding: Option<&Finding>, is_passed: bool, floor: f32) {
        match finding {
            Some(finding) if finding.weight > 0.0 => {
                self.log_odds = (self.log_odds + finding.weight).min(LOG_ODDS_MAX);
                self.quiet = 0;
                self.waits = if finding.is_dropped {
                    OPEN_MINUTES
                } else {
                    self.waits.saturating_sub(1)
                };
            }
            _ if self.waits > 0 => self.waits -= 1,
            _ => {
                let loss = if is_passed { PASSED_FREELY } else { FADING };
                self.log_odds = (self.log_odds - loss).max(floor);
                self.quiet += 1;
            }
        }
    }

    /// The state that the odds ask for, if it is another one.
    pub(super) fn next_state(&self, settings: &IncidentSettings) -> Option<IncidentState> {
        use IncidentState::{Clearing, Closed, Confirmed, Dismissed, Suspected};
        let Some(incident) = &self.incident else {
            return if self.log_odds >= settings.confirm {
                Some(Confirmed)
            } else {
                (self.log_odds >= settings.suspect).then_some(Suspected)
            };
        };
        match incident.state {
            Suspected if self.log_odds >= settings.confirm => Some(Confirmed),
            Suspected if self.log_odds < settings.suspect - 3.0 => Some(Dismissed),
            Confirmed if self.quiet >= settings.clear_minutes => Some(Clearing),
            Clearing if self.quiet == 0 => Some(Confirmed),
            Clearing if self.quiet >= 2 * settings.clear_minutes => Some(Closed),
            _ => None,
        }
    }

    /// Whether nothing is left to watch.
    pub(super) fn is_over(&self, floor: f32) -> bool {
        match &self.incident {
            Some(incident) => incident.state.is_over(),
            None => self.log_odds <= floor,
        }
    }

    /// What an operator says.
    pub(super) fn order(&mut self, is_confirmed: bool, settings: &IncidentSettings) {
        if is_confirmed {
            self.log_odds = self.log_odds.max(settings.confirm + OPERATOR_MARGIN);
        } else {
            self.log_odds = settings.prior;
        }
    }
}

/// Moves an incident to a state, with what the minute shows.
pub(super) fn advance(
    incident: &mut IncidentChange,
    state: IncidentState,
    at: Timestamp,
    log_odds: f32,
    finding: Option<&Finding>,
    segment: &Segment,
) {
    incident.revision += 1;
    incident.at = at;
    incident.state = state;
    incident.confidence = probability(log_odds);
    if let Some(finding) = finding.filter(|finding| finding.weight > 0.0) {
        incident.kind = kind_of(finding);
        incident.offset_m = finding.place_m.clamp(0.0, segment.length_m);
        incident.lanes_blocked = blocked(finding, segment);
        incident.evidence.clone_from(&finding.evidence);
    }
    incident.severity = severity(incident);
}

/// What kind of incident a minute shows.
pub(super) fn kind_of(finding: &Finding) -> IncidentKind {
    if finding.is_crawling && finding.stuck == 0 && finding.lanes == 0 {
        IncidentKind::SuddenJam
    } else if finding.stuck == 1 && finding.passers > 0 {
        IncidentKind::StoppedVehicle
    } else {
        IncidentKind::Blockage
    }
}

/// Lanes known to be blocked: those that detectors say; one of several where others drive past.
pub(super) fn blocked(finding: &Finding, segment: &Segment) -> u8 {
    if finding.lanes > 0 {
        finding.lanes.min(u32::from(segment.lanes)) as u8
    } else {
        u8::from(finding.passers > 0 || finding.slowed > 0)
    }
}

/// By the queue and by how much of the road is closed. Chosen: 300 m and 1 km are a few blocks and
/// a district in town.
pub(super) fn severity(incident: &IncidentChange) -> u8 {
    let by_queue = match incident.queue_m {
        queue_m if queue_m >= 1_000.0 => 4,
        queue_m if queue_m >= 300.0 => 3,
        queue_m if queue_m >= 50.0 => 2,
        _ => 1,
    };
    let is_closed = incident.lanes_blocked >= incident.lanes && incident.lanes_blocked > 0;
    let is_starved =
        |evidence: &IncidentEvidence| matches!(evidence, IncidentEvidence::Starved { .. });
    let by_lanes = if is_closed || incident.evidence.iter().any(is_starved) {
        3
    } else {
        1
    };
    by_queue.max(by_lanes)
}
