//! Messages down that a unit has to acknowledge: sent again after a timeout, given up after a few
//! attempts.
//!
//! It has no clock and no connection: the caller says what time it is, sends what falls due and
//! hands in what units answer.

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

use bytes::Bytes;

use crate::units::Timestamp;

use super::{Acknowledgement, Kind};

/// Settings of [`Deliveries`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DeliverySettings {
    /// How long an acknowledgement is waited for, ms.
    pub timeout_ms: i64,
    /// How often a message is sent in all.
    pub attempts_max: u32,
    /// Most messages under way; the oldest is given up for one more.
    pub waiting_max: usize,
}

impl Default for DeliverySettings {
    /// Chosen: three attempts of 5 s are over before the next minute's message is due.
    fn default() -> Self {
        Self {
            timeout_ms: 5_000,
            attempts_max: 3,
            waiting_max: 10_000,
        }
    }
}

/// One message under way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Delivery {
    /// Its number, `seqNum` where the format has one.
    pub sequence: u64,
    /// Whether the message says its number, so that the answer must say it too.
    pub is_numbered: bool,
    /// The unit it is for.
    pub unit: Arc<str>,
    /// What it is.
    pub kind: Kind,
    /// The payload, the number in it.
    pub payload: Bytes,
    /// How often it was sent.
    pub attempts: u32,
}

/// What an acknowledgement meant.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Outcome {
    /// The unit has taken the message.
    Delivered(Delivery),
    /// The unit refuses it with an error code.
    Refused(Delivery, u32),
    /// Nothing of that number is waited for: late, repeated or invented.
    Unknown,
}

/// What sending a message does.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Sending {
    /// What to send.
    pub delivery: Delivery,
    /// An older message of the kind for the unit, which nobody waits for any more.
    pub replaced: Option<Delivery>,
    /// The oldest message of all, given up to make room.
    pub given_up: Option<Delivery>,
}

/// What falls due.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Due {
    /// Send this again.
    Resend(Delivery),
    /// Nobody answered; it is forgotten.
    GivenUp(Delivery),
}

/// Every message that waits for its acknowledgement.
///
/// Invariant: at most one message of a kind waits for a unit; a newer one replaces it.
#[derive(Clone, Debug, Default)]
pub struct Deliveries {
    settings: DeliverySettings,
    last_sequence: u64,
    waiting: BTreeMap<u64, (Timestamp, Delivery)>,
    due: BTreeSet<(Timestamp, u64)>,
    newest: BTreeMap<(Arc<str>, Kind), u64>,
}

impl Deliveries {
    /// Nothing under way.
    pub fn new(settings: DeliverySettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// The same with numbers from above `sequence`, so that those of an earlier run do not come
    /// again.
    #[must_use]
    pub fn numbered_from(self, sequence: u64) -> Self {
        Self {
            last_sequence: sequence,
            ..self
        }
    }

    /// Takes a message that is being sent at `now`; `write` writes it with its number.
    pub fn send(
        &mut self,
        now: Timestamp,
        unit: &Arc<str>,
        kind: Kind,
        write: impl FnOnce(u64) -> Bytes,
    ) -> Sending {
        self.start(now, unit, kind, true, write)
    }

    /// Takes a message of a format without numbers that is being sent at `now`. Whatever the unit
    /// answers on the topic of the kind is taken for an answer to it, so a late answer to the
    /// message before it is too: the format cannot tell them apart.
    pub fn send_unnumbered(
        &mut self,
        now: Timestamp,
        unit: &Arc<str>,
        kind: Kind,
        payload: Bytes,
    ) -> Sending {
        self.start(now, unit, kind, false, |_| payload)
    }

    fn start(
        &mut self,
        now: Timestamp,
        unit: &Arc<str>,
        kind: Kind,
        is_numbered: bool,
        write: impl FnOnce(u64) -> Bytes,
    ) -> Sending {
        let older = self.newest.get(&(unit.clone(), kind)).copied();
        let replaced = older.and_then(|older| self.forget(older));
        let oldest = self.waiting.keys().next().copied();
        let given_up = oldest
            .filter(|_| self.waiting.len() >= self.settings.waiting_max)
            .and_then(|oldest| self.forget(oldest));
        self.last_sequence += 1;
        let sequence = self.last_sequence;
        let delivery = Delivery {
            sequence,
            is_numbered,
            unit: unit.clone(),
            kind,
            payload: write(sequence),
            attempts: 1,
        };
        self.newest.insert((unit.clone(), kind), sequence);
        self.wait(now, delivery.clone());
        Sending {
            delivery,
            replaced,
            given_up,
        }
    }

    fn wait(&mut self, now: Timestamp, delivery: Delivery) {
        let due = now.plus_millis(self.settings.timeout_ms);
        self.due.insert((due, delivery.sequence));
        self.waiting.insert(delivery.sequence, (due, delivery));
    }

    fn forget(&mut self, sequence: u64) -> Option<Delivery> {
        let (due, delivery) = self.waiting.remove(&sequence)?;
        self.due.remove(&(due, sequence));
        self.newest.remove(&(delivery.unit.clone(), delivery.kind));
        Some(delivery)
    }

    /// Takes the answer of `unit` to a message of `kind`.
    pub fn acknowledged(&mut self, unit: &str, kind: Kind, answer: &Acknowledgement) -> Outcome {
        let newest = self.newest.get(&(unit.into(), kind)).copied();
        let answered = newest.filter(|sequence| {
            let waiting = self.waiting.get(sequence);
            waiting.is_some_and(|(_, delivery)| {
                !delivery.is_numbered || answer.sequence == Some(*sequence)
            })
        });
        match answered.and_then(|sequence| self.forget(sequence)) {
            Some(delivery) if answer.error_code == 0 => Outcome::Delivered(delivery),
            Some(delivery) => Outcome::Refused(delivery, answer.error_code),
            None => Outcome::Unknown,
        }
    }

    /// Waits no longer for the message of `kind` for `unit`.
    pub fn forget_newest(&mut self, unit: &Arc<str>, kind: Kind) -> Option<Delivery> {
        let newest = self.newest.get(&(unit.clone(), kind)).copied()?;
        self.forget(newest)
    }

    /// Whether a message of `kind` for `unit` waits for its answer.
    pub fn is_waiting(&self, unit: &Arc<str>, kind: Kind) -> bool {
        self.newest.contains_key(&(unit.clone(), kind))
    }

    /// What falls due by `now`, the longest due first; `None` when that was all.
    pub fn poll(&mut self, now: Timestamp) -> Option<Due> {
        let (_, sequence) = self.due.first().copied().filter(|(due, _)| *due <= now)?;
        let mut delivery = self.forget(sequence)?;
        if delivery.attempts >= self.settings.attempts_max {
            return Some(Due::GivenUp(delivery));
        }
        delivery.attempts += 1;
        let key = (delivery.unit.clone(), delivery.kind);
        self.newest.insert(key, sequence);
        self.wait(now, delivery.clone());
        Some(Due::Resend(delivery))
    }

    /// When [`Deliveries::poll`] has something next.
    pub fn poll_deadline(&self) -> Option<Timestamp> {
        self.due.first().map(|(due, _)| *due)
    }

    /// Messages under way.
    pub fn waiting(&self) -> usize {
        self.waiting.len()
    }
}
