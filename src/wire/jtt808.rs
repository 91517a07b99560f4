//! Location reports of JT/T 808 terminals (2013 and 2019) in MQTT payloads.
//!
//! A payload is one or more frames `7e … 7e`: `7d 02` stands for `7e`, `7d 01` for `7d`; the last
//! byte is the exclusive or of the ones before. Read are 0x0200 (one location) and 0x0704 (several).
//! Encrypted messages and parts of a message sent in several packets are `unsupported_kind`, as are
//! other messages. Additional items are walked over: mileage, recorder speed and the like are not
//! used, but an item that is cut off refuses the report. Many terminals send GCJ-02: say so with
//! the route's `datum`.

use crate::observation::{Decoded, Observation, Origin, RejectReason};
use crate::units::{Position, SubjectId, Timestamp, civil_date, civil_ms};

use super::context::Context;
use super::gather::{Gather, Record};
use super::iso_time;
use super::record::Fix;
use super::subject::subject_id;

const FLAG: u8 = 0x7e;
const ESCAPE: u8 = 0x7d;

/// Message ids.
const LOCATION: u16 = 0x0200;
const LOCATIONS: u16 = 0x0704;

/// Bits of the body's properties.
const LENGTH_MASK: u16 = 0x03ff;
const ENCRYPTION_MASK: u16 = 0x1c00;
const MULTI_PACKET: u16 = 0x2000;
const VERSION_2019: u16 = 0x4000;

/// Bits of a location's status.
const LOCATED: u32 = 1 << 1;
const SOUTH: u32 = 1 << 2;
const WEST: u32 = 1 << 3;

/// Terminals write Beijing time, UTC+8.
const BEIJING_MS: i64 = 8 * 3_600_000;

/// Which release of the standard a terminal follows.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Release {
    /// JT/T 808-2013: 12 digits of a phone number.
    Y2013,
    /// JT/T 808-2019: a protocol version and 20 digits.
    Y2019,
}

/// One location report, for senders.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LocationReport {
    /// The terminal's phone number; 12 digits in 2013, 20 in 2019.
    pub phone: u64,
    /// Counts the terminal's messages.
    pub serial: u16,
    /// When, to the second.
    pub observed_at: Timestamp,
    /// Where, in the datum of the receiver, in steps of 1e-6 degree.
    pub position: Position,
    /// Speed in m/s, in steps of 0.1 km/h.
    pub speed_mps: f64,
    /// Heading in whole degrees clockwise from north.
    pub heading_deg: f64,
}

/// Adds what `payload` holds to `out`; records beyond the limit are counted, not used.
pub fn decode(payload: &[u8], context: &Context<'_>, out: &mut Decoded) {
    let mut gather = Gather::new(out, context.records_max);
    let mut rest = payload;
    if rest.is_empty() {
        gather.refuse(RejectReason::Truncated);
    }
    while let Some((first, behind)) = rest.split_first() {
        if *first != FLAG {
            return gather.refuse(RejectReason::Malformed);
        }
        let Some(end) = behind.iter().position(|byte| *byte == FLAG) else {
            return gather.refuse(RejectReason::Truncated);
        };
        if let Err(reason) = frame(&behind[..end], &mut gather) {
            gather.refuse(reason);
        }
        rest = &behind[end + 1..];
    }
}

fn unescaped(bytes: &[u8]) -> Record<Vec<u8>> {
    let mut plain = Vec::with_capacity(bytes.len());
    let mut bytes = bytes.iter();
    while let Some(byte) = bytes.next() {
        plain.push(match byte {
            &ESCAPE => match bytes.next() {
                Some(1) => ESCAPE,
                Some(2) => FLAG,
                Some(_) => return Err(RejectReason::Malformed),
                None => return Err(RejectReason::Truncated),
            },
            byte => *byte,
        });
    }
    Ok(plain)
}

/// What is left of a message to read, most significant byte first.
struct Reader<'a>(&'a [u8]);

impl<'a> Reader<'a> {
    fn take<const N: usize>(&mut self) -> Record<[u8; N]> {
        let (head, rest) = self.0.split_first_chunk().ok_or(RejectReason::Truncated)?;
        self.0 = rest;
        Ok(*head)
    }

    fn u8(&mut self) -> Record<u8> {
        let [byte] = self.take()?;
        Ok(byte)
    }

    fn u16(&mut self) -> Record<u16> {
        Ok(u16::from_be_bytes(self.take()?))
    }

    fn u32(&mut self) -> Record<u32> {
        Ok(u32::from_be_bytes(self.take()?))
    }

    fn bytes(&mut self, count: usize) -> Record<&'a [u8]> {
        let (head, rest) = self
            .0
            .split_at_checked(count)
            .ok_or(RejectReason::Truncated)?;
        self.0 = rest;
        Ok(head)
    }
}

fn frame(escaped: &[u8], gather: &mut Gather<'_>) -> Record<()> {
    let plain = unescaped(escaped)?;
    let (check, message) = plain.split_last().ok_or(RejectReason::Truncated)?;
    if message.iter().fold(0, |sum, byte| sum ^ byte) != *check {
        return Err(RejectReason::Malformed);
    }
    let mut reader = Reader(message);
    let (id, properties) = (reader.u16()?, reader.u16()?);
    if properties & (ENCRYPTION_MASK | MULTI_PACKET) != 0 {
        return Err(RejectReason::UnsupportedKind);
    }
    let phone_bytes = if properties & VERSION_2019 == 0 {
        6
    } else {
        reader.u8()?;
        10
    };
    let terminal = terminal(reader.bytes(phone_bytes)?)?;
    reader.u16()?;
    let stated = usize::from(properties & LENGTH_MASK);
    match reader.0.len() {
        found if found < stated => return Err(RejectReason::Truncated),
        found if found > stated => return Err(RejectReason::TrailingBytes),
        _ => {}
    }
    match id {
        LOCATION => gather.observation(location(reader.0, terminal)),
        LOCATIONS => locations(reader, terminal, gather)?,
        _ => return Err(RejectReason::UnsupportedKind),
    }
    Ok(())
}

/// Two decimal digits of a byte.
fn bcd(byte: u8) -> Record<i64> {
    let (high, low) = (byte >> 4, byte & 15);
    if high > 9 || low > 9 {
        return Err(RejectReason::Malformed);
    }
    Ok(i64::from(high * 10 + low))
}

/// The pseudonym of a phone number, leading zeros left out, so that both releases give the same.
fn terminal(phone: &[u8]) -> Record<SubjectId> {
    let mut digits = String::with_capacity(2 * phone.len());
    for byte in phone {
        digits.push_str(&format!("{:02}", bcd(*byte)?));
    }
    match digits.trim_start_matches('0') {
        "" => Err(RejectReason::MissingField),
        digits => Ok(subject_id(digits.as_bytes())),
    }
}

fn locations(mut reader: Reader<'_>, terminal: SubjectId, gather: &mut Gather<'_>) -> Record<()> {
    let count = reader.u16()?;
    // 0 as they come, 1 sent again after a gap: both are dated.
    reader.u8()?;
    for _ in 0..count {
        let length = reader.u16()?;
        let body = reader.bytes(usize::from(length))?;
        gather.observation(location(body, terminal));
    }
    if reader.0.is_empty() {
        Ok(())
    } else {
        Err(RejectReason::TrailingBytes)
    }
}

fn location(body: &[u8], subject: SubjectId) -> Record<Observation> {
    let mut reader = Reader(body);
    let (_alarm, status) = (reader.u32()?, reader.u32()?);
    let (lat, lon) = (reader.u32()?, reader.u32()?);
    let _height_m = reader.u16()?;
    let (speed, heading) = (reader.u16()?, reader.u16()?);
    let observed_ms = beijing_time_ms(reader.take()?)?;
    while !reader.0.is_empty() {
        let (_item, length) = (reader.u8()?, reader.u8()?);
        reader.bytes(usize::from(length))?;
    }
    if status & LOCATED == 0 {
        return Err(RejectReason::MissingField);
    }
    let degrees = |steps: u32, negative: u32| {
        let degrees = f64::from(steps) / 1e6;
        if status & negative == 0 {
            degrees
        } else {
            -degrees
        }
    };
    let fix = Fix {
        observed_ms,
        subject,
        position: Position::new(degrees(lon, WEST), degrees(lat, SOUTH)),
        speed_mps: Some(f64::from(speed) / 36.0),
        heading_deg: Some(f64::from(heading)),
    };
    fix.observation(Origin::Probe)
}

/// The time of `YY-MM-DD-hh-mm-ss` in decimal digits.
fn beijing_time_ms(digits: [u8; 6]) -> Record<i64> {
    let mut fields = [0; 6];
    for (field, byte) in fields.iter_mut().zip(digits) {
        *field = bcd(byte)?;
    }
    let [year, month, day, hour, minute, second] = fields;
    civil_ms([2000 + year, month, day], [hour, minute, second])
        .map(|local_ms| local_ms - BEIJING_MS)
        .ok_or(RejectReason::OutOfRange)
}

/// Appends `report` to `out` as one 0x0200 frame. Values beyond their range are clamped; digits of
/// the phone number beyond the release's are left out.
pub fn encode_location(report: &LocationReport, release: Release, out: &mut Vec<u8>) {
    let mut message = LOCATION.to_be_bytes().to_vec();
    let (properties, phone_bytes) = match release {
        Release::Y2013 => (28u16, 6),
        Release::Y2019 => (28 | VERSION_2019, 10),
    };
    message.extend_from_slice(&properties.to_be_bytes());
    if release == Release::Y2019 {
        message.push(1);
    }
    let digits = format!("{:020}", report.phone);
    let digits = digits.as_bytes();
    for pair in digits[digits.len() - 2 * phone_bytes..].chunks_exact(2) {
        message.push(((pair[0] - b'0') << 4) | (pair[1] - b'0'));
    }
    message.extend_from_slice(&report.serial.to_be_bytes());
    put_location(report, &mut message);
    let check = message.iter().fold(0, |sum, byte| sum ^ byte);
    message.push(check);
    out.push(FLAG);
    for byte in message {
        match byte {
            FLAG => out.extend_from_slice(&[ESCAPE, 2]),
            ESCAPE => out.extend_from_slice(&[ESCAPE, 1]),
            byte => out.push(byte),
        }
    }
    out.push(FLAG);
}

fn put_location(report: &LocationReport, message: &mut Vec<u8>) {
    let Position { lon_deg, lat_deg } = report.position;
    let mut status = LOCATED;
    if lat_deg < 0.0 {
        status |= SOUTH;
    }
    if lon_deg < 0.0 {
        status |= WEST;
    }
    let micro = |degrees: f64| (degrees.abs() * 1e6).round() as u32;
    let steps = |value: f64, max: f64| value.round().clamp(0.0, max) as u16;
    message.extend_from_slice(&0u32.to_be_bytes());
    message.extend_from_slice(&status.to_be_bytes());
    message.extend_from_slice(&micro(lat_deg).to_be_bytes());
    message.extend_from_slice(&micro(lon_deg).to_be_bytes());
    message.extend_from_slice(&0u16.to_be_bytes());
    message.extend_from_slice(&steps(report.speed_mps * 36.0, 65_535.0).to_be_bytes());
    let heading = report.heading_deg.rem_euclid(360.0);
    message.extend_from_slice(&(steps(heading, 360.0) % 360).to_be_bytes());
    let local = report.observed_at.plus_millis(BEIJING_MS).as_millis();
    let [year, month, day] = civil_date(local.div_euclid(iso_time::DAY_MS));
    let second = local.rem_euclid(iso_time::DAY_MS) / 1000;
    for field in [
        year,
        month,
        day,
        second / 3600,
        second / 60 % 60,
        second % 60,
    ] {
        let field = field.rem_euclid(100) as u8;
        message.push(((field / 10) << 4) | (field % 10));
    }
}

#[cfg(test)]
mod tests;
