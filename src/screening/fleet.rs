//! The roadside units that feed roadcast: when each was last heard, how much it sends, and how far
//! its clock is off.
//!
//! A unit is known from its first message on, or from its first report about itself (INFO, base or
//! running information, heartbeat). The fleet owns no clock: times are those of receipt. It judges
//! devices, not road users.

mod clock;
mod snapshot;

pub use clock::MessageLead;

use std::collections::BTreeMap;
use std::sync::Arc;

use self::clock::SeenClock;
use crate::observation::{DeviceReport, UplinkKind};
use crate::units::Timestamp;

/// Most units remembered; messages and reports of further ones are counted and forgotten.
pub const DEVICES_MAX: usize = 20_000;

/// Clock differences remembered of a unit.
const LEADS: usize = 8;

/// Settings of the [`Fleet`].
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct FleetSettings {
    /// A unit not heard for so long is silent, ms.
    pub silent_after_ms: i64,
    /// A clock off by more is skewed, and what the unit observes is corrected, ms.
    pub skew_ms_max: i64,
    /// A unit that sends more messages in a minute floods.
    pub messages_per_minute_max: u64,
    /// Whether clocks are judged by what units observe, too. Only where the time of receipt is that
    /// of a clock, and does not follow the observations themselves.
    pub is_clock_seen: bool,
}

impl Default for FleetSettings {
    /// Chosen: three heartbeats of 60 s; 1 s, above what a network delays; 6 000 a minute, ten kinds
    /// of messages at 10 Hz.
    fn default() -> Self {
        Self {
            silent_after_ms: 180_000,
            skew_ms_max: 1_000,
            messages_per_minute_max: 6_000,
            is_clock_seen: true,
        }
    }
}

/// How it is known that a unit's clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SkewBasis {
    /// The unit states its time.
    Stated,
    /// Its observations lie in the future, or in the past by a steady time.
    Observed,
}

/// How far a unit's clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ClockSkew {
    /// How far it is ahead (behind: negative), ms.
    pub ms: i64,
    /// How that is known.
    pub basis: SkewBasis,
    /// Whether times may be corrected by it.
    pub is_sure: bool,
}

/// What is known of one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceStatus {
    /// What it said last; members that it left out keep their last value.
    pub report: DeviceReport,
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// Messages in the last whole minute, those refused at the gate included.
    pub messages_per_minute: u64,
    /// The same by kind, in the order of [`UplinkKind::ALL`].
    pub by_kind: [u64; UplinkKind::ALL.len()],
    /// Those of them that were refused because the unit sends more than it may.
    pub refused_per_minute: u64,
    /// How far its clock is off; `None` while nothing tells.
    pub skew: Option<ClockSkew>,
    /// Not heard for too long.
    pub is_silent: bool,
    /// Its clock is too far off.
    pub is_skewed: bool,
    /// What it observes is moved to the time at which it was seen.
    pub is_corrected: bool,
    /// It sends too much.
    pub is_flooding: bool,
}

/// Messages of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
struct Counts {
    by_kind: [u64; UplinkKind::ALL.len()],
    refused: u64,
}

#[derive(Clone, Debug, PartialEq)]
struct Device {
    report: DeviceReport,
    last_seen: Timestamp,
    /// The minute being counted.
    minute: i64,
    counted: Counts,
    counted_before: Counts,
    /// The newest differences of stated times, oldest first.
    leads_ms: Vec<i64>,
    seen_clock: SeenClock,
}

/// Every known unit.
///
/// Invariant: it holds at most [`DEVICES_MAX`] units, and what it says depends only on the messages
/// and times it was given.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Fleet {
    settings: FleetSettings,
    devices: BTreeMap<Arc<str>, Device>,
    refused: u64,
}

impl Device {
    fn new(report: DeviceReport) -> Self {
        Self {
            last_seen: report.received_at,
            minute: report.received_at.as_secs().div_euclid(60),
            counted: Counts::default(),
            counted_before: Counts::default(),
            leads_ms: Vec::new(),
            seen_clock: SeenClock::default(),
            report,
        }
    }

    fn turn_to(&mut self, now: Timestamp) {
        let minute = now.as_secs().div_euclid(60);
        if minute > self.minute {
            let is_next = minute == self.minute + 1;
            self.counted_before = if is_next {
                self.counted
            } else {
                Counts::default()
            };
            (self.minute, self.counted) = (minute, Counts::default());
        }
    }

    /// What is known of its clock.
    ///
    /// Of stated times the lead of the report that was delayed least: delays on the way only ever
    /// make a clock look late. Observations from the future count before it, as nothing but a fast
    /// clock makes them. Steadily late ones count only without it: a unit whose clock is right has a
    /// steady delay. And they are not corrected where the unit has had a right clock before: a
    /// capture that is played again while the unit is silent looks like this.
    fn skew(&self) -> Option<ClockSkew> {
        let seen_ms = self.seen_clock.offset_ms;
        let of = |ms, basis, is_sure| ClockSkew { ms, basis, is_sure };
        if let Some(ms) = seen_ms.filter(|ms| *ms > 0) {
            return Some(of(ms, SkewBasis::Observed, true));
        }
        if let Some(ms) = self.leads_ms.iter().copied().max() {
            return Some(of(ms, SkewBasis::Stated, true));
        }
        seen_ms.map(|ms| of(ms, SkewBasis::Observed, !self.seen_clock.was_right))
    }

    /// Takes over what a report says, and keeps what it leaves out.
    fn take(&mut self, report: &DeviceReport) {
        let DeviceReport {
            stated_at,
            received_at,
            device: _,
            name,
            position,
            version,
            protocol,
            cpu,
            memory,
        } = report;
        let mine = &mut self.report;
        (mine.stated_at, mine.received_at) = (*stated_at, *received_at);
        mine.position = position.or(mine.position);
        mine.cpu = cpu.or(mine.cpu);
        mine.memory = memory.or(mine.memory);
        for (mine, theirs) in [
            (&mut mine.name, name),
            (&mut mine.version, version),
            (&mut mine.protocol, protocol),
        ] {
            if theirs.is_some() {
                mine.clone_from(theirs);
            }
        }
        if let Some(stated_at) = stated_at {
            if self.leads_ms.len() == LEADS {
                self.leads_ms.remove(0);
            }
            self.leads_ms.push(stated_at.millis_since(*received_at));
        }
    }
}

impl FleetSettings {
    fn is_skewed(&self, skew_ms: i64) -> bool {
        skew_ms.saturating_abs() > self.skew_ms_max
    }
}

impl Fleet {
    /// A fleet without units.
    pub fn new(settings: FleetSettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Counts a message of `device`, which the gate has let in or not.
    pub fn heard(
        &mut self,
        received_at: Timestamp,
        device: &str,
        kind: UplinkKind,
        is_admitted: bool,
    ) {
        if !self.devices.contains_key(device) {
            let report = DeviceReport {
                received_at,
                device: device.into(),
                ..DeviceReport::default()
            };
            self.meet(report);
        }
        if let Some(device) = self.devices.get_mut(device) {
            device.turn_to(received_at);
            device.counted.by_kind[kind as usize] += 1;
            device.counted.refused += u64::from(!is_admitted);
            device.last_seen = device.last_seen.max(received_at);
        }
    }

    /// Takes what a unit says of itself.
    pub fn report(&mut self, report: &DeviceReport) {
        if !self.devices.contains_key(&report.device) {
            self.meet(report.clone());
        }
        if let Some(device) = self.devices.get_mut(&report.device) {
            device.turn_to(report.received_at);
            device.last_seen = device.last_seen.max(report.received_at);
            device.take(report);
        }
    }

    fn meet(&mut self, report: DeviceReport) {
        if self.devices.len() >= DEVICES_MAX {
            self.refused += 1;
        } else {
            let device = Device::new(report);
            self.devices.insert(device.report.device.clone(), device);
        }
    }

    /// Takes how far the observations of one message of `device` lie ahead of its receipt, and says
    /// what to add to the times that the message gives, ms: 0 for a clock that is right or unknown.
    pub fn correction_ms(&mut self, device: &str, lead: Option<MessageLead>) -> i64 {
        let settings = self.settings;
        let Some(device) = self.devices.get_mut(device) else {
            return 0;
        };
        if let Some(lead) = lead.filter(|_| settings.is_clock_seen) {
            device.seen_clock.take(lead, settings.skew_ms_max);
        }
        match device.skew() {
            Some(skew) if skew.is_sure && settings.is_skewed(skew.ms) => skew.ms.saturating_neg(),
            _ => 0,
        }
    }

    /// When `device` was last heard, where it is known.
    pub fn last_seen(&self, device: &str) -> Option<Timestamp> {
        self.devices.get(device).map(|device| device.last_seen)
    }

    /// The state of every unit at `now`, in the order of their ids.
    pub fn statuses(&self, now: Timestamp) -> impl Iterator<Item = DeviceStatus> + '_ {
        self.devices.values().map(move |device| {
            let mut counting = device.clone();
            counting.turn_to(now);
            let skew = device.skew();
            let is_skewed = skew.is_some_and(|skew| self.settings.is_skewed(skew.ms));
            let Counts { by_kind, refused } = counting.counted_before;
            let messages_per_minute = by_kind.iter().sum();
            let silent_ms = now.millis_since(device.last_seen);
            DeviceStatus {
                last_seen: device.last_seen,
                messages_per_minute,
                by_kind,
                refused_per_minute: refused,
                skew,
                is_silent: silent_ms > self.settings.silent_after_ms,
                is_skewed,
                is_corrected: is_skewed && skew.is_some_and(|skew| skew.is_sure),
                is_flooding: messages_per_minute > self.settings.messages_per_minute_max
                    || refused > 0,
                report: counting.report,
            }
        })
    }

    /// How many units are known.
    pub fn len(&self) -> usize {
        self.devices.len()
    }

    /// Whether no unit is known.
    pub fn is_empty(&self) -> bool {
        self.devices.is_empty()
    }

    /// Messages and reports of units beyond [`DEVICES_MAX`].
    pub fn refused(&self) -> u64 {
        self.refused
    }
}

#[cfg(test)]
mod tests;
