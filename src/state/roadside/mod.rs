//! What roadside units tell beside road users: signals, events, car parks and passages, as they are
//! now.
//!
//! It keeps the newest of each and forgets what is over. Passages become readings of detectors, one
//! a site, lane and minute. It ties nothing to the network: which segments a phase governs says the
//! overlay (`matching::Overlay`), which the view carries along.

mod passages;
pub(super) mod snapshot;

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::matching::Overlay;
use crate::observation::{
    DetectorReading, EventCode, Light, ParkingReading, Passage, RejectReason, RoadEvent,
    SignalReading,
};
use crate::units::{Interval, Timestamp};

use passages::Passages;

/// Most phases, events and car parks kept; what is new beyond is refused as `table_full`.
pub const PHASES_MAX: usize = 160_000;
/// Likewise of events and signs.
pub const EVENTS_MAX: usize = 20_000;
/// Likewise of car parks.
pub const PARKING_LOTS_MAX: usize = 20_000;

/// Most states of one phase (T/CSAE 53: 16); further ones are refused.
const STATES_MAX: usize = 16;

/// A phase not heard of for so long is forgotten, ms (chosen: several cycles).
const SIGNAL_KEPT_MS: i64 = 300_000;
/// An event without an end is over when it has not been told for so long, ms (chosen: units repeat
/// what is in force at least every minute).
const EVENT_KEPT_MS: i64 = 1_800_000;
/// A car park not heard of for so long is forgotten, ms (chosen).
const PARKING_KEPT_MS: i64 = 86_400_000;

/// What one phase shows and will show.
#[derive(Clone, Debug, PartialEq)]
pub struct PhaseSignal {
    /// The junction as its source calls it.
    pub junction: Arc<str>,
    /// Phase number within the junction.
    pub phase: u32,
    /// When it was so, event time.
    pub observed_at: Timestamp,
    /// Its states, the one that shows first; at least one.
    pub states: Vec<PhaseLight>,
}

/// One state of a phase.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct PhaseLight {
    /// What it shows.
    pub light: Light,
    /// Seconds from the phase's `observed_at` until it shows it; 0 is now.
    pub begins_in_s: Option<f32>,
    /// Seconds from the phase's `observed_at` until it probably ends.
    pub ends_in_s: Option<f32>,
}

impl PhaseSignal {
    /// The state that shows at `observed_at`, and the one that shows next.
    pub fn now_and_next(&self) -> (Option<&PhaseLight>, Option<&PhaseLight>) {
        let begins = |state: &&PhaseLight| state.begins_in_s.unwrap_or(0.0);
        let now = self.states.iter().find(|state| begins(state) <= 0.0);
        let coming = self.states.iter().filter(|state| begins(state) > 0.0);
        let next = coming.min_by(|a, b| begins(a).total_cmp(&begins(b)));
        (now, next)
    }
}

/// Whether an event is a sign, and its number: what a source tells apart.
type EventKey = (Arc<str>, bool, u64);

fn key_of(event: &RoadEvent) -> EventKey {
    let is_sign = matches!(event.code, EventCode::Gb5768(_));
    (event.source.clone(), is_sign, event.event)
}

/// The newest of everything that roadside units tell.
///
/// Invariant: it is bounded by [`PHASES_MAX`], [`EVENTS_MAX`], [`PARKING_LOTS_MAX`] and the limits
/// of passages, and depends only on what it was given in its order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Roadside {
    signals: BTreeMap<(Arc<str>, u32), PhaseSignal>,
    events: BTreeMap<EventKey, RoadEvent>,
    parking: BTreeMap<Arc<str>, ParkingReading>,
    passages: Passages,
}

/// What roadside units told until the end of a minute; shown by publishers.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct RoadsideView {
    /// The end of the minute, event time.
    pub as_of: Timestamp,
    /// The junctions that units describe.
    pub overlay: Arc<Overlay>,
    /// Every phase heard of lately, by junction and phase.
    pub signals: Vec<PhaseSignal>,
    /// Events and signs in force or announced, by source and number.
    pub events: Vec<RoadEvent>,
    /// Car parks by id.
    pub parking: Vec<ParkingReading>,
    /// Passages counted in the minute.
    pub passage_count: u64,
}

impl Roadside {
    /// Takes what a phase shows. States of one message, which have one time, belong together.
    ///
    /// # Errors
    /// `out_of_order` when newer states are known, `table_full` and `too_many_records` beyond the
    /// limits.
    pub fn take_signal(&mut self, signal: &SignalReading) -> Result<(), RejectReason> {
        let key = (signal.junction.clone(), signal.phase);
        let is_full = self.signals.len() >= PHASES_MAX;
        let state = PhaseLight {
            light: signal.light,
            begins_in_s: signal.begins_in_s,
            ends_in_s: signal.ends_in_s,
        };
        match self.signals.get_mut(&key) {
            Some(known) if known.observed_at > signal.observed_at => Err(RejectReason::OutOfOrder),
            Some(known) if known.observed_at == signal.observed_at => {
                if known.states.contains(&state) {
                    Err(RejectReason::Duplicate)
                } else if known.states.len() >= STATES_MAX {
                    Err(RejectReason::TooManyRecords)
                } else {
                    known.states.push(state);
                    Ok(())
                }
            }
            Some(known) => {
                known.observed_at = signal.observed_at;
                known.states.clear();
                known.states.push(state);
                Ok(())
            }
            None if is_full => Err(RejectReason::TableFull),
            None => {
                let phase = PhaseSignal {
                    junction: signal.junction.clone(),
                    phase: signal.phase,
                    observed_at: signal.observed_at,
                    states: vec![state],
                };
                self.signals.insert(key, phase);
                Ok(())
            }
        }
    }

    /// Takes an event or sign; the newest word on it replaces the others, and one that has ended is
    /// forgotten.
    ///
    /// # Errors
    /// `out_of_order` when something newer is known, `table_full` beyond the limit.
    pub fn take_event(&mut self, event: RoadEvent) -> Result<(), RejectReason> {
        let key = key_of(&event);
        let known = self.events.get(&key);
        if known.is_some_and(|known| known.observed_at > event.observed_at) {
            return Err(RejectReason::OutOfOrder);
        }
        if event.ended {
            self.events.remove(&key);
        } else if known.is_none() && self.events.len() >= EVENTS_MAX {
            return Err(RejectReason::TableFull);
        } else {
            self.events.insert(key, event);
        }
        Ok(())
    }

    /// Takes how full a car park is; where it lies is kept when it is left out.
    ///
    /// # Errors
    /// `out_of_order` when something newer is known, `table_full` beyond the limit.
    pub fn take_parking(&mut self, parking: ParkingReading) -> Result<(), RejectReason> {
        let is_full = self.parking.len() >= PARKING_LOTS_MAX;
        match self.parking.get_mut(&parking.lot) {
            Some(known) if known.observed_at > parking.observed_at => {
                return Err(RejectReason::OutOfOrder);
            }
            Some(known) => {
                let position = parking.position.or(known.position);
                *known = ParkingReading {
                    position,
                    ..parking
                };
            }
            None if is_full => return Err(RejectReason::TableFull),
            None => drop(self.parking.insert(parking.lot.clone(), parking)),
        }
        Ok(())
    }

    /// Counts a passage in its minute; one in two parts counts when the vehicle leaves.
    ///
    /// # Errors
    /// `duplicate` when the same vehicle was counted there at that very time, `table_full` beyond
    /// the limits.
    pub fn take_passage(&mut self, passage: &Passage) -> Result<(), RejectReason> {
        self.passages.take(passage)
    }

    /// Closes a minute: forgets what is over at its end, appends what the sites counted in it as
    /// readings of detectors, and returns how many passages that were.
    pub fn close(&mut self, minute: Interval, detectors: &mut Vec<DetectorReading>) -> u64 {
        let end = minute.end;
        let is_recent = |at: Timestamp, kept_ms| end.millis_since(at) <= kept_ms;
        self.signals
            .retain(|_, signal| is_recent(signal.observed_at, SIGNAL_KEPT_MS));
        self.events.retain(|_, event| match event.valid_until {
            Some(until) => until > end,
            None => is_recent(event.observed_at, EVENT_KEPT_MS),
        });
        self.parking
            .retain(|_, parking| is_recent(parking.observed_at, PARKING_KEPT_MS));
        self.passages.close(minute, detectors)
    }

    /// Everything as of `as_of`, with the junctions of `overlay`.
    pub fn view(
        &self,
        as_of: Timestamp,
        overlay: &Arc<Overlay>,
        passage_count: u64,
    ) -> RoadsideView {
        RoadsideView {
            as_of,
            overlay: overlay.clone(),
            signals: self.signals.values().cloned().collect(),
            events: self.events.values().cloned().collect(),
            parking: self.parking.values().cloned().collect(),
            passage_count,
        }
    }
}

#[cfg(test)]
mod tests;
