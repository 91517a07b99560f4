//! What goes down to roadside units and has to arrive: RSI, CONFIG with the rates they may send at,
//! MAP; and the acknowledgement of their INFO (T/ITS 0117).
//!
//! It has no clock and no connection: the caller says what time it is, hands in what units answer
//! and publishes what it returns. RSI and MAP in UPER carry no number that a unit could answer with;
//! whatever it answers on the topic of the kind is taken for an answer to the last one. CONFIG
//! carries `seqNum`.

use std::collections::{BTreeMap, BTreeSet};
use std::path::Path;
use std::sync::Arc;

use bytes::Bytes;

use super::OutMessage;
use crate::config::RsuTarget;
use crate::units::Timestamp;
use crate::wire::Dialect;
use crate::wire::asn1::{csae2019, csae2020};
use crate::wire::its0117::{
    Acknowledgement, Delimiter, Deliveries, DeliverySettings, Due, Kind, Outcome, Sending, Topic,
    UplinkLimits, answered_by, decode_acknowledgement, encode_acknowledgement, info_answer_topic,
    info_head,
};

/// Shortest pause between two starts of CONFIG and MAP for one unit, ms: a unit that says INFO all
/// the time is told once in a while. Chosen.
pub const TELL_PAUSE_MS: i64 = 10_000;

/// Most INFO that are acknowledged in a second; beyond, units ask again. Chosen: every unit of a
/// city that comes back at once within a minute.
pub const INFO_ANSWERS_PER_S_MAX: u32 = 1_000;

/// What becomes of messages down, as a label.
///
/// Invariant: sent = delivered + refused + replaced + given up + waiting.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum DeliveryOutcome {
    /// Sent for the first time, and waited for.
    Sent,
    /// Sent again because no answer came in time.
    Resent,
    /// Acknowledged.
    Delivered,
    /// Answered with an error code.
    Refused,
    /// Replaced by a newer message of its kind before an answer came.
    Replaced,
    /// Never answered, or forgotten because too many were waited for.
    GivenUp,
    /// An answer to nothing that is waited for, or one that cannot be read.
    Unknown,
}

impl DeliveryOutcome {
    /// Every outcome, in order.
    pub const ALL: [Self; 7] = [
        Self::Sent,
        Self::Resent,
        Self::Delivered,
        Self::Refused,
        Self::Replaced,
        Self::GivenUp,
        Self::Unknown,
    ];

    /// The label value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Sent => "sent",
            Self::Resent => "resent",
            Self::Delivered => "delivered",
            Self::Refused => "refused",
            Self::Replaced => "replaced",
            Self::GivenUp => "given_up",
            Self::Unknown => "unknown",
        }
    }
}

/// Messages down by what became of them.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct DeliveryCounts([u64; DeliveryOutcome::ALL.len()]);

impl DeliveryCounts {
    fn add(&mut self, outcome: DeliveryOutcome) {
        self.0[outcome as usize] += 1;
    }

    /// How many came to `outcome`.
    pub fn get(&self, outcome: DeliveryOutcome) -> u64 {
        self.0[outcome as usize]
    }
}

/// What a unit was told of its limits.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LimitsState {
    /// Nothing yet, or it has not answered.
    Unanswered,
    /// It has acknowledged them.
    Acknowledged,
    /// It refuses them, with this error code.
    Refused(u32),
}

/// What is known of the messages down to one unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct DownlinkStatus<'a> {
    /// By what became of them, since the start.
    pub counts: &'a DeliveryCounts,
    /// How many wait for their answer.
    pub waiting: u64,
    /// How many messages a second it may send, by kind.
    pub limits: &'a UplinkLimits,
    /// Whether it has taken these limits.
    pub limits_state: LimitsState,
}

#[derive(Debug)]
struct Unit {
    id: Arc<str>,
    delimiter: Delimiter,
    acknowledges: BTreeSet<Kind>,
    limits: UplinkLimits,
    limits_state: LimitsState,
    map: Option<Bytes>,
    counts: DeliveryCounts,
    /// Whether CONFIG and MAP are to go out.
    is_due: bool,
    told_at: Option<Timestamp>,
    last_seen: Option<Timestamp>,
}

/// Why a MAP cannot be sent.
#[derive(Debug, thiserror::Error)]
pub enum MapFileError {
    /// The file cannot be read.
    #[error("{0}")]
    Unreadable(#[from] std::io::Error),
    /// It holds something else.
    #[error("no MAP frame of dialect {0}")]
    NoMap(&'static str),
}

/// The messages down to the units of the configuration, and their answers.
#[derive(Debug)]
pub struct Downlink {
    deliveries: Deliveries,
    units: Vec<Unit>,
    by_id: BTreeMap<Arc<str>, usize>,
    counts: DeliveryCounts,
    /// The second, and the INFO acknowledged in it.
    info_answers: (i64, u32),
    unanswered: u64,
}

impl Downlink {
    /// Everything that `targets` are to be told at the start is due; numbers count from `begin_at`.
    ///
    /// # Errors
    /// With the file that is no MAP.
    pub fn new(
        targets: &[RsuTarget],
        settings: DeliverySettings,
        begin_at: Timestamp,
    ) -> Result<Self, (String, MapFileError)> {
        let mut units = Vec::with_capacity(targets.len());
        for target in targets {
            let map = read_map(&target.map_file, target.dialect)
                .map_err(|error| (target.map_file.display().to_string(), error))?;
            units.push(Unit {
                id: target.id.as_str().into(),
                delimiter: target.delimiter,
                acknowledges: target.acknowledges.clone(),
                limits: target.up_limits.clone(),
                limits_state: LimitsState::Unanswered,
                map,
                counts: DeliveryCounts::default(),
                is_due: true,
                told_at: None,
                last_seen: None,
            });
        }
        let by_id = units
            .iter()
            .zip(0..)
            .map(|(unit, at)| (unit.id.clone(), at));
        let begin = u64::try_from(begin_at.as_millis()).unwrap_or_default();
        Ok(Self {
            deliveries: Deliveries::new(settings).numbered_from(begin),
            by_id: by_id.collect(),
            units,
            counts: DeliveryCounts::default(),
            info_answers: (0, 0),
            unanswered: 0,
        })
    }

    /// The topic filters on which units answer. With dots each topic has to be named.
    pub fn filters(&self) -> Vec<String> {
        let mut filters = BTreeSet::new();
        for unit in &self.units {
            for &kind in &unit.acknowledges {
                filters.insert(match unit.delimiter {
                    Delimiter::Slash => "V2X/RSU/+/+/DOWN/ACK".to_owned(),
                    Delimiter::Dot => {
                        let topic = Topic::DownAcknowledged(kind, &unit.id);
                        unit.delimiter.write(&topic)
                    }
                });
            }
        }
        filters.into_iter().collect()
    }

    /// Waits for the answer to `message`, which is being sent at `now`, where its topic says that it
    /// goes down to a unit that acknowledges such messages.
    pub fn sending(&mut self, now: Timestamp, message: &OutMessage) {
        let spellings = [Delimiter::Slash, Delimiter::Dot];
        let read = |delimiter: Delimiter| delimiter.read(&message.topic);
        let Some(Topic::Down(kind, unit)) = spellings.into_iter().find_map(read) else {
            return;
        };
        if let Some(&index) = self.by_id.get(unit) {
            self.wait_for(now, index, kind, message.payload.clone());
        }
    }

    fn wait_for(&mut self, now: Timestamp, index: usize, kind: Kind, payload: Bytes) {
        let unit = &self.units[index];
        if unit.acknowledges.contains(&kind) {
            let sending = self
                .deliveries
                .send_unnumbered(now, &unit.id, kind, payload);
            self.count_sending(&sending);
        }
    }

    fn count_sending(&mut self, sending: &Sending) {
        self.count(&sending.delivery.unit, DeliveryOutcome::Sent);
        if let Some(replaced) = &sending.replaced {
            self.count(&replaced.unit, DeliveryOutcome::Replaced);
        }
        if let Some(given_up) = &sending.given_up {
            self.count(&given_up.unit, DeliveryOutcome::GivenUp);
        }
    }

    fn count(&mut self, unit: &str, outcome: DeliveryOutcome) {
        self.counts.add(outcome);
        if let Some(&index) = self.by_id.get(unit) {
            self.units[index].counts.add(outcome);
        }
    }

    /// Takes a message if it is a unit's acknowledgement; `false` where it is none.
    pub fn take_answer(&mut self, topic: &str, payload: &[u8]) -> bool {
        let Some((kind, unit)) = answered_by(topic) else {
            return false;
        };
        let outcome = match decode_acknowledgement(payload) {
            Ok(answer) => self.deliveries.acknowledged(unit, kind, &answer),
            Err(_unreadable) => Outcome::Unknown,
        };
        let (counted, state) = match outcome {
            Outcome::Delivered(_) => (DeliveryOutcome::Delivered, Some(LimitsState::Acknowledged)),
            Outcome::Refused(_, code) => {
                tracing::warn!(unit, ?kind, code, "A roadside unit refuses a message.");
                (DeliveryOutcome::Refused, Some(LimitsState::Refused(code)))
            }
            Outcome::Unknown => (DeliveryOutcome::Unknown, None),
        };
        self.count(unit, counted);
        if let (Kind::Config, Some(state), Some(&index)) = (kind, state, self.by_id.get(unit)) {
            self.units[index].limits_state = state;
        }
        true
    }

    /// Takes an INFO that came in on `topic` at `now`: the unit is told again what it may have lost.
    /// Returns the acknowledgement, where the unit asks for one; `None` for other topics.
    pub fn take_info(&mut self, now: Timestamp, topic: &str, payload: &[u8]) -> Option<OutMessage> {
        let answer_topic = info_answer_topic(topic)?;
        // What cannot be read is counted by the decoder of its route.
        let head = info_head(payload).ok()?;
        let known = head.unit.as_deref().and_then(|unit| self.by_id.get(unit));
        if let Some(&index) = known {
            self.units[index].is_due = true;
        }
        if !head.wants_answer {
            return None;
        }
        if self.info_answers.0 != now.as_secs() {
            self.info_answers = (now.as_secs(), 0);
        }
        if self.info_answers.1 >= INFO_ANSWERS_PER_S_MAX {
            self.unanswered += 1;
            return None;
        }
        self.info_answers.1 += 1;
        let answer = Acknowledgement {
            sequence: head.sequence,
            error_code: 0,
        };
        Some(down(answer_topic, encode_acknowledgement(&answer).into()))
    }

    /// INFO that asked for an acknowledgement and got none because of [`INFO_ANSWERS_PER_S_MAX`].
    pub fn unanswered(&self) -> u64 {
        self.unanswered
    }

    /// Looks whether units are back after a silence of more than `silent_ms`; `last_seen` says when
    /// each was last heard.
    pub fn look(&mut self, silent_ms: i64, last_seen: impl Fn(&str) -> Option<Timestamp>) {
        for unit in &mut self.units {
            let Some(seen) = last_seen(&unit.id) else {
                continue;
            };
            unit.is_due |= match unit.last_seen.replace(seen) {
                Some(before) => seen.millis_since(before) > silent_ms,
                // What it was sent at the start may have come too early.
                None => unit.limits_state != LimitsState::Acknowledged,
            };
        }
    }

    /// What is to be sent at `now`.
    pub fn due(&mut self, now: Timestamp) -> Vec<OutMessage> {
        let mut out = Vec::new();
        while let Some(due) = self.deliveries.poll(now) {
            match due {
                Due::Resend(delivery) => {
                    self.count(&delivery.unit, DeliveryOutcome::Resent);
                    let delimiter = self
                        .by_id
                        .get(&delivery.unit)
                        .map(|&index| self.units[index].delimiter);
                    let topic = Topic::Down(delivery.kind, &delivery.unit);
                    let topic = delimiter.unwrap_or_default().write(&topic);
                    out.push(down(topic, delivery.payload));
                }
                Due::GivenUp(delivery) => {
                    tracing::warn!(
                        unit = &*delivery.unit,
                        kind = ?delivery.kind,
                        attempts = delivery.attempts,
                        "A roadside unit does not acknowledge a message."
                    );
                    self.count(&delivery.unit, DeliveryOutcome::GivenUp);
                }
            }
        }
        for index in 0..self.units.len() {
            let unit = &self.units[index];
            let rests = |at: Timestamp| now.millis_since(at) < TELL_PAUSE_MS;
            if unit.is_due && !unit.told_at.is_some_and(rests) {
                self.tell(now, index, &mut out);
            }
        }
        out
    }

    /// Sends a unit its limits and its map.
    fn tell(&mut self, now: Timestamp, index: usize, out: &mut Vec<OutMessage>) {
        let unit = &mut self.units[index];
        (unit.is_due, unit.told_at) = (false, Some(now));
        let topic = |unit: &Unit, kind| unit.delimiter.write(&Topic::Down(kind, &unit.id));
        if !unit.limits.is_empty() {
            unit.limits_state = LimitsState::Unanswered;
            let (topic, limits) = (topic(unit, Kind::Config), unit.limits.clone());
            let write = |sequence| Bytes::from(limits.encode(sequence));
            let (id, is_awaited) = (unit.id.clone(), unit.acknowledges.contains(&Kind::Config));
            let sending = self.deliveries.send(now, &id, Kind::Config, write);
            let payload = sending.delivery.payload.clone();
            if is_awaited {
                self.count_sending(&sending);
            } else {
                self.deliveries.forget_newest(&id, Kind::Config);
            }
            out.push(down(topic, payload));
        }
        let unit = &self.units[index];
        if let Some(map) = unit.map.clone() {
            out.push(down(topic(unit, Kind::Map), map.clone()));
            self.wait_for(now, index, Kind::Map, map);
        }
    }

    /// What became of all messages so far.
    pub fn counts(&self) -> &DeliveryCounts {
        &self.counts
    }

    /// Messages that wait for their answer.
    pub fn waiting(&self) -> usize {
        self.deliveries.waiting()
    }

    /// What is known of the messages down to `unit`; `None` where the configuration has none.
    pub fn status(&self, unit: &str) -> Option<DownlinkStatus<'_>> {
        let unit = &self.units[*self.by_id.get(unit)?];
        let waits = |kind: &&Kind| self.deliveries.is_waiting(&unit.id, **kind);
        Some(DownlinkStatus {
            counts: &unit.counts,
            waiting: unit.acknowledges.iter().filter(waits).count() as u64,
            limits: &unit.limits,
            limits_state: unit.limits_state,
        })
    }
}

fn down(topic: String, payload: Bytes) -> OutMessage {
    OutMessage {
        topic,
        payload,
        qos: 1,
        retain: false,
    }
}

/// The MAP frame in the file at `path`; `None` without a path.
fn read_map(path: &Path, dialect: Dialect) -> Result<Option<Bytes>, MapFileError> {
    if path.as_os_str().is_empty() {
        return Ok(None);
    }
    let bytes = std::fs::read(path)?;
    let is_map = match dialect {
        Dialect::Csae2019 => matches!(
            csae2019::decode_frame(&bytes),
            Ok(csae2019::MessageFrame::MapFrame(_))
        ),
        Dialect::Csae2020 => matches!(
            csae2020::decode_frame(&bytes),
            Ok(csae2020::MessageFrame::MapFrame(_))
        ),
    };
    if is_map {
        Ok(Some(bytes.into()))
    } else {
        Err(MapFileError::NoMap(dialect.label()))
    }
}

#[cfg(test)]
mod tests;
