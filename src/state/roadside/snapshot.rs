//! The memory of what roadside units tell as bytes and back.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::passages::{COUNTS_MAX, Count, Passages, SEEN_MAX};
use super::{
    EVENTS_MAX, PARKING_LOTS_MAX, PHASES_MAX, PhaseLight, PhaseSignal, Roadside, STATES_MAX, key_of,
};
use crate::network::NetworkVersion;
use crate::observation::{EventCode, Light, ParkingReading, RoadEvent};
use crate::state::SnapshotError;
use crate::state::bytes::{Reader, put_f32, put_head, put_i64, put_u8, put_u32, put_u64};
use crate::units::{Position, SubjectId, Timestamp};

const MAGIC: &[u8; 8] = b"RCROADS\0";
const VERSION: u16 = 1;

/// Nothing here depends on the network.
const ANY_NETWORK: NetworkVersion = NetworkVersion([0; 32]);

type Taken<T> = Result<T, SnapshotError>;

impl Roadside {
    /// Appends what must survive a restart.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, ANY_NETWORK);
        put_u64(out, self.signals.len() as u64);
        for signal in self.signals.values() {
            put_text(out, Some(&signal.junction));
            put_u32(out, signal.phase);
            put_i64(out, signal.observed_at.as_millis());
            put_u8(out, signal.states.len() as u8);
            for state in &signal.states {
                put_u8(out, state.light as u8);
                put_seconds(out, state.begins_in_s);
                put_seconds(out, state.ends_in_s);
            }
        }
        put_u64(out, self.events.len() as u64);
        self.events.values().for_each(|event| put_event(out, event));
        put_u64(out, self.parking.len() as u64);
        for parking in self.parking.values() {
            put_text(out, Some(&parking.lot));
            put_i64(out, parking.observed_at.as_millis());
            put_place(out, parking.position);
            put_u32(out, parking.capacity);
            put_u32(out, parking.free);
        }
        put_u64(out, self.passages.counts.len() as u64);
        for ((minute, site, lane), count) in &self.passages.counts {
            put_i64(out, minute.as_millis());
            put_text(out, Some(site));
            put_i64(out, lane.map_or(-1, i64::from));
            put_u64(out, count.vehicles);
            put_u64(out, count.measured);
            put_u64(out, count.speed_sum_mmps);
        }
        put_u64(out, self.passages.seen.len() as u64);
        for (at, vehicle, site) in &self.passages.seen {
            put_i64(out, at.as_millis());
            put_u64(out, vehicle.0);
            put_text(out, Some(site));
        }
    }

    /// Takes back what [`Roadside::snapshot`] wrote, all of `bytes`.
    ///
    /// # Errors
    /// When the bytes are of another version or broken.
    pub fn restore(bytes: &[u8]) -> Taken<Self> {
        let mut reader = Reader::open(bytes, "roadside snapshot", MAGIC, VERSION, ANY_NETWORK)?;
        let mut roadside = Self::default();
        for _ in 0..count(&mut reader, PHASES_MAX)? {
            let signal = take_signal(&mut reader)?;
            let key = (signal.junction.clone(), signal.phase);
            roadside.signals.insert(key, signal);
        }
        for _ in 0..count(&mut reader, EVENTS_MAX)? {
            let event = take_event(&mut reader)?;
            roadside.events.insert(key_of(&event), event);
        }
        for _ in 0..count(&mut reader, PARKING_LOTS_MAX)? {
            let parking = ParkingReading {
                lot: need_text(&mut reader)?,
                observed_at: take_time(&mut reader)?,
                position: take_place(&mut reader)?,
                capacity: reader.take_u32()?,
                free: reader.take_u32()?,
            };
            roadside.parking.insert(parking.lot.clone(), parking);
        }
        roadside.passages = take_passages(&mut reader)?;
        reader.finish()?;
        Ok(roadside)
    }
}

fn count(reader: &mut Reader<'_>, max: usize) -> Taken<usize> {
    let count = reader.take_count(1)?;
    if count > max {
        return Err(reader.damaged());
    }
    Ok(count)
}

pub(in crate::state) fn put_text(out: &mut Vec<u8>, text: Option<&str>) {
    put_u8(out, u8::from(text.is_some()));
    if let Some(text) = text {
        put_u64(out, text.len() as u64);
        out.extend_from_slice(text.as_bytes());
    }
}

fn take_text(reader: &mut Reader<'_>) -> Taken<Option<Arc<str>>> {
    if reader.take_u8()? == 0 {
        return Ok(None);
    }
    let bytes = reader.take_bytes()?;
    match std::str::from_utf8(bytes) {
        Ok(text) => Ok(Some(text.into())),
        Err(_) => Err(reader.damaged()),
    }
}

pub(in crate::state) fn need_text(reader: &mut Reader<'_>) -> Taken<Arc<str>> {
    take_text(reader)?.ok_or_else(|| reader.damaged())
}

fn take_time(reader: &mut Reader<'_>) -> Taken<Timestamp> {
    Ok(Timestamp::from_millis(reader.take_i64()?))
}

/// Seconds, metres or shares; not a number stands for none.
fn put_seconds(out: &mut Vec<u8>, value: Option<f32>) {
    put_f32(out, value.unwrap_or(f32::NAN));
}

fn take_seconds(reader: &mut Reader<'_>) -> Taken<Option<f32>> {
    let value = reader.take_f32()?;
    Ok((!value.is_nan()).then_some(value))
}

fn put_place(out: &mut Vec<u8>, position: Option<Position>) {
    let position = position.unwrap_or(Position::new(f64::NAN, f64::NAN));
    put_u64(out, position.lon_deg.to_bits());
    put_u64(out, position.lat_deg.to_bits());
}

fn take_place(reader: &mut Reader<'_>) -> Taken<Option<Position>> {
    let lon_deg = f64::from_bits(reader.take_u64()?);
    let position = Position::new(lon_deg, f64::from_bits(reader.take_u64()?));
    Ok(position.is_valid().then_some(position))
}

fn put_when(out: &mut Vec<u8>, at: Option<Timestamp>) {
    put_i64(out, at.map_or(i64::MIN, Timestamp::as_millis));
}

fn take_when(reader: &mut Reader<'_>) -> Taken<Option<Timestamp>> {
    let millis = reader.take_i64()?;
    Ok((millis != i64::MIN).then_some(Timestamp::from_millis(millis)))
}

fn take_signal(reader: &mut Reader<'_>) -> Taken<PhaseSignal> {
    let junction = need_text(reader)?;
    let phase = reader.take_u32()?;
    let observed_at = take_time(reader)?;
    let mut states = Vec::new();
    let state_count = usize::from(reader.take_u8()?);
    if state_count > STATES_MAX {
        return Err(reader.damaged());
    }
    for _ in 0..state_count {
        let light = Light::from_code(u64::from(reader.take_u8()?));
        states.push(PhaseLight {
            light: light.ok_or_else(|| reader.damaged())?,
            begins_in_s: take_seconds(reader)?,
            ends_in_s: take_seconds(reader)?,
        });
    }
    Ok(PhaseSignal {
        junction,
        phase,
        observed_at,
        states,
    })
}

pub(in crate::state) fn put_code(out: &mut Vec<u8>, code: EventCode) {
    let (system, code, sub_code) = match code {
        EventCode::Gbt29100(code) => (0, code, 0),
        EventCode::Gb5768(code) => (1, code, 0),
        EventCode::Etsi(code, sub_code) => (2, code, sub_code),
        EventCode::Maker(code) => (3, code, 0),
    };
    put_u8(out, system);
    put_u32(out, code);
    put_u32(out, sub_code);
}

pub(in crate::state) fn take_code(reader: &mut Reader<'_>) -> Taken<EventCode> {
    let (system, code, sub_code) = (reader.take_u8()?, reader.take_u32()?, reader.take_u32()?);
    match system {
        0 => Ok(EventCode::Gbt29100(code)),
        1 => Ok(EventCode::Gb5768(code)),
        2 => Ok(EventCode::Etsi(code, sub_code)),
        3 => Ok(EventCode::Maker(code)),
        _ => Err(reader.damaged()),
    }
}

fn put_event(out: &mut Vec<u8>, event: &RoadEvent) {
    put_i64(out, event.observed_at.as_millis());
    put_text(out, Some(&event.source));
    put_u64(out, event.event);
    put_code(out, event.code);
    put_place(out, event.position);
    put_seconds(out, event.radius_m);
    put_u64(out, event.paths.len() as u64);
    for path in &event.paths {
        put_u64(out, path.len() as u64);
        path.iter().for_each(|point| put_place(out, Some(*point)));
    }
    put_i64(out, event.lane.map_or(-1, i64::from));
    put_when(out, event.valid_from);
    put_when(out, event.valid_until);
    put_seconds(out, event.confidence);
    put_text(out, event.description.as_deref());
}

fn take_event(reader: &mut Reader<'_>) -> Taken<RoadEvent> {
    let observed_at = take_time(reader)?;
    let source = need_text(reader)?;
    let event = reader.take_u64()?;
    let code = take_code(reader)?;
    let (position, radius_m) = (take_place(reader)?, take_seconds(reader)?);
    let mut paths = Vec::new();
    for _ in 0..reader.take_count(8)? {
        let mut path = Vec::new();
        for _ in 0..reader.take_count(16)? {
            path.push(take_place(reader)?.ok_or_else(|| reader.damaged())?);
        }
        paths.push(path);
    }
    Ok(RoadEvent {
        observed_at,
        source,
        event,
        code,
        position,
        radius_m,
        paths,
        lane: take_lane(reader)?,
        valid_from: take_when(reader)?,
        valid_until: take_when(reader)?,
        confidence: take_seconds(reader)?,
        ended: false,
        description: take_text(reader)?,
    })
}

fn take_lane(reader: &mut Reader<'_>) -> Taken<Option<u32>> {
    match reader.take_i64()? {
        -1 => Ok(None),
        lane => match u32::try_from(lane) {
            Ok(lane) => Ok(Some(lane)),
            Err(_) => Err(reader.damaged()),
        },
    }
}

fn take_passages(reader: &mut Reader<'_>) -> Taken<Passages> {
    let mut passages = Passages {
        counts: BTreeMap::new(),
        ..Passages::default()
    };
    for _ in 0..count(reader, COUNTS_MAX)? {
        let minute = take_time(reader)?;
        let key = (minute, need_text(reader)?, take_lane(reader)?);
        let count = Count {
            vehicles: reader.take_u64()?,
            measured: reader.take_u64()?,
            speed_sum_mmps: reader.take_u64()?,
        };
        passages.counts.insert(key, count);
    }
    for _ in 0..count(reader, SEEN_MAX)? {
        let at = take_time(reader)?;
        let vehicle = SubjectId(reader.take_u64()?);
        passages.seen.insert((at, vehicle, need_text(reader)?));
    }
    Ok(passages)
}
