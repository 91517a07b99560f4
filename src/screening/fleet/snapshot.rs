//! The fleet's memory over restarts.

use std::sync::Arc;

use super::super::bytes::{put_u64, take_u64};
use super::clock::SeenClock;
use super::{Counts, Device, Fleet, LEADS};
use crate::observation::DeviceReport;
use crate::units::{Position, Timestamp};

impl Fleet {
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
    for counts in [&device.counted, &device.counted_before] {
        for count in counts.by_kind {
            put_u64(count, out);
        }
        put_u64(counts.refused, out);
    }
    device.seen_clock.snapshot(out);
}

fn take_counts(bytes: &mut &[u8]) -> Option<Counts> {
    let mut counts = Counts::default();
    for count in &mut counts.by_kind {
        *count = take_u64(bytes)?;
    }
    counts.refused = take_u64(bytes)?;
    Some(counts)
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
    let position = Position::new(f64::from_bits(next()?), f64::from_bits(next()?));
    let (cpu, memory) = (take_share(bytes)?, take_share(bytes)?);
    let lead_count = take_u64(bytes).filter(|count| *count <= LEADS as u64)?;
    let leads: Option<Vec<i64>> = (0..lead_count)
        .map(|_| take_u64(bytes).map(|lead| lead as i64))
        .collect();
    let (counted, counted_before) = (take_counts(bytes)?, take_counts(bytes)?);
    let seen_clock = SeenClock::restore(bytes)?;
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
        seen_clock,
    })
}
