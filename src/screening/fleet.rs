//! The roadside units that feed roadcast: when each was last heard, how much it sends, and how far
//! its clock is off.
//!
//! A unit is known from its first report about itself on (INFO, base or running information,
//! heartbeat). It owns no clock: times are those of receipt. It judges devices, not road users.

use std::collections::BTreeMap;
use std::sync::Arc;

use crate::observation::DeviceReport;
use crate::units::{Position, Timestamp};

/// Most units remembered; reports of further ones are counted and forgotten.
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
}

impl Default for FleetSettings {
    /// Chosen: three heartbeats of 60 s; 1 s, above what a network delays; 6 000 a minute, ten kinds
    /// of messages at 10 Hz.
    fn default() -> Self {
        Self {
            silent_after_ms: 180_000,
            skew_ms_max: 1_000,
            messages_per_minute_max: 6_000,
        }
    }
}

/// What is known of one unit.
#[derive(Clone, Debug, PartialEq)]
pub struct DeviceStatus {
    /// What it said last; members that it left out keep their last value.
    pub report: DeviceReport,
    /// When it was last heard.
    pub last_seen: Timestamp,
    /// Messages in the last whole minute.
    pub messages_per_minute: u64,
    /// How far its clock is ahead (behind: negative), ms; `None` before it stated its time.
    pub skew_ms: Option<i64>,
    /// Not heard for too long.
    pub is_silent: bool,
    /// Its clock is too far off.
    pub is_skewed: bool,
    /// It sends too much.
    pub is_flooding: bool,
}

#[derive(Clone, Debug, PartialEq)]
struct Device {
    report: DeviceReport,
    last_seen: Timestamp,
    /// The minute being counted and its messages; messages of the minute before.
    minute: i64,
    counted: u64,
    counted_before: u64,
    /// The newest clock differences, oldest first.
    leads_ms: Vec<i64>,
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
            counted: 0,
            counted_before: 0,
            leads_ms: Vec::new(),
            report,
        }
    }

    fn turn_to(&mut self, now: Timestamp) {
        let minute = now.as_secs().div_euclid(60);
        if minute > self.minute {
            let is_next = minute == self.minute + 1;
            self.counted_before = if is_next { self.counted } else { 0 };
            (self.minute, self.counted) = (minute, 0);
        }
    }

    /// The lead of the report that was delayed least: delays on the way only ever make a clock look
    /// late.
    fn skew_ms(&self) -> Option<i64> {
        self.leads_ms.iter().copied().max()
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

impl Fleet {
    /// A fleet without units.
    pub fn new(settings: FleetSettings) -> Self {
        Self {
            settings,
            ..Self::default()
        }
    }

    /// Counts a message of `device`, if it is known.
    pub fn heard(&mut self, received_at: Timestamp, device: &str) {
        if let Some(device) = self.devices.get_mut(device) {
            device.turn_to(received_at);
            device.counted += 1;
            device.last_seen = device.last_seen.max(received_at);
        }
    }

    /// Takes what a unit says of itself.
    pub fn report(&mut self, report: &DeviceReport) {
        if !self.devices.contains_key(&report.device) {
            if self.devices.len() >= DEVICES_MAX {
                self.refused += 1;
                return;
            }
            let device = Device::new(report.clone());
            self.devices.insert(report.device.clone(), device);
        }
        if let Some(device) = self.devices.get_mut(&report.device) {
            device.turn_to(report.received_at);
            device.last_seen = device.last_seen.max(report.received_at);
            device.take(report);
        }
    }

    /// What to add to the times that `device` gives, ms: 0 for a clock that is right or unknown.
    pub fn correction_ms(&self, device: &str) -> i64 {
        let skew_ms = self.devices.get(device).and_then(Device::skew_ms);
        match skew_ms {
            Some(skew_ms) if self.is_skewed(skew_ms) => skew_ms.saturating_neg(),
            _ => 0,
        }
    }

    fn is_skewed(&self, skew_ms: i64) -> bool {
        skew_ms.saturating_abs() > self.settings.skew_ms_max
    }

    /// The state of every unit at `now`, in the order of their ids.
    pub fn statuses(&self, now: Timestamp) -> impl Iterator<Item = DeviceStatus> + '_ {
        self.devices.values().map(move |device| {
            let mut counting = device.clone();
            counting.turn_to(now);
            let skew_ms = device.skew_ms();
            let messages_per_minute = counting.counted_before;
            let silent_ms = now.millis_since(device.last_seen);
            DeviceStatus {
                last_seen: device.last_seen,
                messages_per_minute,
                skew_ms,
                is_silent: silent_ms > self.settings.silent_after_ms,
                is_skewed: skew_ms.is_some_and(|skew_ms| self.is_skewed(skew_ms)),
                is_flooding: messages_per_minute > self.settings.messages_per_minute_max,
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

    /// Reports of units beyond [`DEVICES_MAX`].
    pub fn refused(&self) -> u64 {
        self.refused
    }

    /// Appends what must survive a restart.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_u64(self.refused, out);
        put_u64(self.devices.len() as u64, out);
        for device in self.devices.values() {
            put_device(device, out);
        }
    }

    /// Takes back what [`Fleet::snapshot`] wrote, and leaves `bytes` behind it; `None` when they are
    /// broken.
    #[must_use]
    pub fn restore(&mut self, bytes: &mut &[u8]) -> Option<()> {
        self.refused = take_u64(bytes)?;
        let count = take_u64(bytes)?;
        self.devices.clear();
        for _ in 0..count {
            let device = take_device(bytes)?;
            self.devices.insert(device.report.device.clone(), device);
        }
        Some(())
    }
}

fn put_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_text(text: Option<&str>, out: &mut Vec<u8>) {
    put_u64(text.map_or(u64::MAX, |text| text.len() as u64), out);
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
}

fn put_device(device: &Device, out: &mut Vec<u8>) {
    let report = &device.report;
    put_text(Some(&report.device), out);
    for text in [&report.name, &report.version, &report.protocol] {
        put_text(text.as_deref(), out);
    }
    let position = report.position;
    let stated_at = report.stated_at.map_or(i64::MIN, Timestamp::as_millis);
    for value in [
        stated_at as u64,
        report.received_at.as_millis() as u64,
        device.last_seen.as_millis() as u64,
        device.minute as u64,
        device.counted,
        device.counted_before,
        position.map_or(f64::NAN, |at| at.lon_deg).to_bits(),
        position.map_or(f64::NAN, |at| at.lat_deg).to_bits(),
        u64::from(report.cpu.unwrap_or(f32::NAN).to_bits()),
        u64::from(report.memory.unwrap_or(f32::NAN).to_bits()),
        device.leads_ms.len() as u64,
    ] {
        put_u64(value, out);
    }
    for lead_ms in &device.leads_ms {
        put_u64(*lead_ms as u64, out);
    }
}

fn take_u64(bytes: &mut &[u8]) -> Option<u64> {
    let (head, rest) = bytes.split_first_chunk()?;
    *bytes = rest;
    Some(u64::from_le_bytes(*head))
}

/// The outer option is for broken bytes, the inner one for no text.
fn take_text(bytes: &mut &[u8]) -> Option<Option<Arc<str>>> {
    let length = take_u64(bytes)?;
    if length == u64::MAX {
        return Some(None);
    }
    let (text, rest) = bytes.split_at_checked(usize::try_from(length).ok()?)?;
    *bytes = rest;
    Some(Some(std::str::from_utf8(text).ok()?.into()))
}

fn take_share(bytes: &mut &[u8]) -> Option<Option<f32>> {
    let share = f32::from_bits(u32::try_from(take_u64(bytes)?).ok()?);
    Some((!share.is_nan()).then_some(share))
}

fn take_device(bytes: &mut &[u8]) -> Option<Device> {
    let device = take_text(bytes)??;
    let (name, version) = (take_text(bytes)?, take_text(bytes)?);
    let protocol = take_text(bytes)?;
    let mut next = || take_u64(bytes);
    let stated_ms = next()? as i64;
    let received_at = Timestamp::from_millis(next()? as i64);
    let last_seen = Timestamp::from_millis(next()? as i64);
    let minute = next()? as i64;
    let (counted, counted_before) = (next()?, next()?);
    let position = Position::new(f64::from_bits(next()?), f64::from_bits(next()?));
    let (cpu, memory) = (take_share(bytes)?, take_share(bytes)?);
    let lead_count = take_u64(bytes).filter(|count| *count <= LEADS as u64)?;
    let leads: Option<Vec<i64>> = (0..lead_count)
        .map(|_| take_u64(bytes).map(|lead| lead as i64))
        .collect();
    Some(Device {
        report: DeviceReport {
            stated_at: (stated_ms != i64::MIN).then_some(Timestamp::from_millis(stated_ms)),
            received_at,
            device,
            name,
            position: position.is_valid().then_some(position),
            version,
            protocol,
            cpu,
            memory,
        },
        last_seen,
        minute,
        counted,
        counted_before,
        leads_ms: leads?,
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    fn at(seconds: i64) -> Timestamp {
        Timestamp::from_secs(seconds)
    }

    /// A heartbeat received at `seconds`, its clock `lead_ms` ahead.
    fn heartbeat(device: &str, seconds: i64, lead_ms: i64) -> DeviceReport {
        DeviceReport {
            stated_at: Some(at(seconds).plus_millis(lead_ms)),
            received_at: at(seconds),
            device: device.into(),
            ..DeviceReport::default()
        }
    }

    fn only(fleet: &Fleet, now: i64) -> DeviceStatus {
        let mut statuses = fleet.statuses(at(now));
        let first = statuses.next().unwrap();
        assert!(statuses.next().is_none());
        drop(statuses);
        first
    }

    #[test]
    fn a_unit_falls_silent_and_speaks_again() {
        let mut fleet = Fleet::default();
        fleet.heard(at(0), "R1");
        assert!(fleet.is_empty(), "unknown before its first report");
        fleet.report(&heartbeat("R1", 0, 0));
        assert!(!only(&fleet, 180).is_silent);
        assert!(only(&fleet, 181).is_silent);
        fleet.heard(at(200), "R1");
        assert!(!only(&fleet, 201).is_silent);
        assert_eq!(only(&fleet, 201).last_seen, at(200));
    }

    #[test]
    fn what_a_report_leaves_out_is_kept() {
        let mut fleet = Fleet::default();
        let mut info = heartbeat("R1", 0, 0);
        info.version = Some("v2".into());
        info.position = Some(Position::new(114.3, 30.6));
        fleet.report(&info);
        fleet.report(&heartbeat("R1", 60, 0));
        let status = only(&fleet, 61);
        assert_eq!(status.report.version.as_deref(), Some("v2"));
        assert!(status.report.position.is_some());
    }

    #[test]
    fn the_least_delayed_report_tells_the_skew() {
        let mut fleet = Fleet::default();
        for (index, lead_ms) in [-900, -40, -1_500].into_iter().enumerate() {
            fleet.report(&heartbeat("R1", 60 * index as i64, lead_ms));
        }
        assert_eq!(only(&fleet, 130).skew_ms, Some(-40));
        assert_eq!(fleet.correction_ms("R1"), 0);
        for index in 3..11 {
            fleet.report(&heartbeat("R1", 60 * index, 5_000));
        }
        assert!(only(&fleet, 610).is_skewed);
        assert_eq!(fleet.correction_ms("R1"), -5_000);
        assert_eq!(fleet.correction_ms("R2"), 0);
    }

    #[test]
    fn a_flood_shows_in_the_minute_after_it() {
        let mut fleet = Fleet::default();
        fleet.report(&heartbeat("R1", 0, 0));
        for message in 0..6_001 {
            fleet.heard(Timestamp::from_millis(message * 9), "R1");
        }
        assert!(!only(&fleet, 59).is_flooding);
        let status = only(&fleet, 60);
        assert_eq!(
            (status.messages_per_minute, status.is_flooding),
            (6_001, true)
        );
        assert!(!only(&fleet, 120).is_flooding);
    }

    #[test]
    fn a_snapshot_restores_everything_and_broken_ones_are_refused() {
        let mut fleet = Fleet::default();
        let mut info = heartbeat("R1", 0, 3_000);
        info.name = Some("解放大道".into());
        info.position = Some(Position::new(114.3, 30.6));
        info.cpu = Some(0.5);
        fleet.report(&info);
        fleet.report(&heartbeat("R2", 10, 0));
        fleet.heard(at(61), "R1");
        let mut bytes = Vec::new();
        fleet.snapshot(&mut bytes);
        let mut back = Fleet::default();
        let mut rest = &bytes[..];
        assert_eq!(back.restore(&mut rest), Some(()));
        assert!(rest.is_empty());
        assert_eq!(back, fleet);
        for end in 0..bytes.len() {
            assert_eq!(Fleet::default().restore(&mut &bytes[..end]), None, "{end}");
        }
    }
}
