//! The overlay as bytes and back: what units said; the ties are found again.

use std::collections::BTreeSet;
use std::sync::Arc;

use super::{JUNCTIONS_MAX, Overlay, TiedJunction, UNITS_MAX};
use crate::network::Network;
use crate::observation::{
    Approach, ApproachLane, ApproachMovement, JunctionReading, LaneConnection, LaneUsage, Turns,
};
use crate::units::{Position, Timestamp, UnitId};

/// Layout of the bytes; raised whenever it changes.
const SNAPSHOT_VERSION: u8 = 1;

const USAGES: [LaneUsage; 9] = [
    LaneUsage::Unknown,
    LaneUsage::Vehicle,
    LaneUsage::Crosswalk,
    LaneUsage::Bicycle,
    LaneUsage::Sidewalk,
    LaneUsage::Median,
    LaneUsage::Striping,
    LaneUsage::Tracked,
    LaneUsage::Parking,
];

/// Why an overlay cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum OverlayError {
    /// The bytes are of another layout.
    #[error("version {0}, {SNAPSHOT_VERSION} expected")]
    Version(u8),
    /// The bytes end early, hold a value out of range, or go on behind the end.
    #[error("damaged with {0} bytes left")]
    Damaged(usize),
}

impl Overlay {
    /// Appends what must survive a restart.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.push(SNAPSHOT_VERSION);
        for count in self.refused {
            put_u64(count, out);
        }
        put_u64(self.junctions.len() as u64, out);
        for junction in self.junctions.values() {
            put_reading(&junction.reading, out);
        }
        put_u64(self.units.len() as u64, out);
        for (unit, names) in &self.units {
            put_u64(unit.0, out);
            put_u64(names.len() as u64, out);
            names.iter().for_each(|name| put_text(Some(name), out));
        }
    }

    /// Takes back what [`Overlay::snapshot`] wrote, all of `bytes`, on the same network.
    ///
    /// # Errors
    /// When the bytes are of another version or broken.
    pub fn restore(network: &Network, bytes: &[u8]) -> Result<Self, OverlayError> {
        let mut reader = Reader { bytes };
        let version = reader.take_u8();
        match version {
            Some(SNAPSHOT_VERSION) => {}
            Some(other) => return Err(OverlayError::Version(other)),
            None => return Err(OverlayError::Damaged(0)),
        }
        let restored = reader.overlay(network);
        match restored {
            Some(overlay) if reader.bytes.is_empty() => Ok(overlay),
            _ => Err(OverlayError::Damaged(reader.bytes.len())),
        }
    }
}

fn put_u64(value: u64, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.to_le_bytes());
}

fn put_text(text: Option<&str>, out: &mut Vec<u8>) {
    put_u64(text.map_or(u64::MAX, |text| text.len() as u64), out);
    out.extend_from_slice(text.unwrap_or_default().as_bytes());
}

fn put_f32(value: Option<f32>, out: &mut Vec<u8>) {
    out.extend_from_slice(&value.unwrap_or(f32::NAN).to_le_bytes());
}

fn put_position(position: Position, out: &mut Vec<u8>) {
    put_u64(position.lon_deg.to_bits(), out);
    put_u64(position.lat_deg.to_bits(), out);
}

fn put_points(points: &[Position], out: &mut Vec<u8>) {
    put_u64(points.len() as u64, out);
    points.iter().for_each(|point| put_position(*point, out));
}

/// A number that may be missing.
fn put_number(value: Option<i64>, out: &mut Vec<u8>) {
    put_u64(value.unwrap_or(i64::MIN) as u64, out);
}

fn put_reading(reading: &JunctionReading, out: &mut Vec<u8>) {
    put_u64(reading.observed_at.as_millis() as u64, out);
    put_text(Some(&reading.junction), out);
    put_text(reading.name.as_deref(), out);
    put_position(reading.position, out);
    put_u64(reading.approaches.len() as u64, out);
    for approach in &reading.approaches {
        put_text(Some(&approach.upstream), out);
        put_text(approach.name.as_deref(), out);
        put_f32(approach.limit_mps, out);
        put_f32(approach.width_m, out);
        put_points(&approach.points, out);
        put_u64(approach.movements.len() as u64, out);
        for movement in &approach.movements {
            put_text(Some(&movement.downstream), out);
            put_number(movement.phase.map(i64::from), out);
        }
        put_u64(approach.lanes.len() as u64, out);
        for lane in &approach.lanes {
            put_number(Some(i64::from(lane.number)), out);
            put_f32(lane.width_m, out);
            put_number(Some(lane.usage as i64), out);
            put_number(lane.turns.map(|turns| i64::from(turns.0)), out);
            put_points(&lane.points, out);
            put_u64(lane.connections.len() as u64, out);
            for connection in &lane.connections {
                put_text(Some(&connection.downstream), out);
                put_number(connection.lane.map(i64::from), out);
                put_number(connection.phase.map(i64::from), out);
            }
        }
    }
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn take_u8(&mut self) -> Option<u8> {
        let (first, rest) = self.bytes.split_first()?;
        self.bytes = rest;
        Some(*first)
    }

    fn take_u64(&mut self) -> Option<u64> {
        let (head, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        Some(u64::from_le_bytes(*head))
    }

    /// The outer option is for broken bytes, the inner one for what is missing.
    fn take_f32(&mut self) -> Option<Option<f32>> {
        let (head, rest) = self.bytes.split_first_chunk()?;
        self.bytes = rest;
        let value = f32::from_le_bytes(*head);
        Some((!value.is_nan()).then_some(value))
    }

    fn text(&mut self) -> Option<Option<Arc<str>>> {
        let length = self.take_u64()?;
        if length == u64::MAX {
            return Some(None);
        }
        let (text, rest) = self.bytes.split_at_checked(usize::try_from(length).ok()?)?;
        self.bytes = rest;
        Some(Some(std::str::from_utf8(text).ok()?.into()))
    }

    fn number<T: TryFrom<i64>>(&mut self) -> Option<Option<T>> {
        let value = self.take_u64()? as i64;
        if value == i64::MIN {
            return Some(None);
        }
        Some(Some(T::try_from(value).ok()?))
    }

    fn position(&mut self) -> Option<Position> {
        let lon_deg = f64::from_bits(self.take_u64()?);
        let position = Position::new(lon_deg, f64::from_bits(self.take_u64()?));
        position.is_valid().then_some(position)
    }

    /// A list; nothing is allocated ahead of its elements.
    fn list<T>(&mut self, read: impl Fn(&mut Self) -> Option<T>) -> Option<Vec<T>> {
        let count = self.take_u64()?;
        let mut list = Vec::new();
        for _ in 0..count {
            list.push(read(self)?);
        }
        Some(list)
    }

    fn overlay(&mut self, network: &Network) -> Option<Overlay> {
        let mut overlay = Overlay::default();
        for count in &mut overlay.refused {
            *count = self.take_u64()?;
        }
        for reading in self.list(Self::reading)? {
            let name = reading.junction.clone();
            let tied = TiedJunction::new(network, reading).ok()?;
            overlay.junctions.insert(name, Arc::new(tied));
        }
        overlay.units = self.list(|reader| {
            let unit = UnitId(reader.take_u64()?);
            let names = reader.list(|reader| reader.text()?)?;
            Some((unit, names.into_iter().collect::<BTreeSet<_>>()))
        })?;
        let is_bounded =
            overlay.junctions.len() <= JUNCTIONS_MAX && overlay.units.len() <= UNITS_MAX;
        is_bounded.then_some(overlay)
    }

    fn reading(&mut self) -> Option<JunctionReading> {
        Some(JunctionReading {
            observed_at: Timestamp::from_millis(self.take_u64()? as i64),
            junction: self.text()??,
            name: self.text()?,
            position: self.position()?,
            approaches: self.list(Self::approach)?,
        })
    }

    fn approach(&mut self) -> Option<Approach> {
        Some(Approach {
            upstream: self.text()??,
            name: self.text()?,
            limit_mps: self.take_f32()?,
            width_m: self.take_f32()?,
            points: self.list(Self::position)?,
            movements: self.list(|reader| {
                Some(ApproachMovement {
                    downstream: reader.text()??,
                    phase: reader.number()?,
                })
            })?,
            lanes: self.list(Self::lane)?,
        })
    }

    fn lane(&mut self) -> Option<ApproachLane> {
        Some(ApproachLane {
            number: self.number()??,
            width_m: self.take_f32()?,
            usage: *USAGES.get(self.number::<usize>()??)?,
            turns: self.number()?.map(Turns),
            points: self.list(Self::position)?,
            connections: self.list(|reader| {
                Some(LaneConnection {
                    downstream: reader.text()??,
                    lane: reader.number()?,
                    phase: reader.number()?,
                })
            })?,
        })
    }
}
