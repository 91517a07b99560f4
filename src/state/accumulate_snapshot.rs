//! Snapshot and restore of one partition's open minutes.

use super::accumulate::{Accumulator, Track};
use super::bytes::{Reader, SnapshotError, put_head, put_i64, put_u8, put_u32, put_u64};
use super::stay::{NO_SEGMENT, STAY_BYTES, Stay};
use crate::network::Network;

const MAGIC: &[u8; 8] = b"RCACCUM\0";
const VERSION: u16 = 3;
const WHAT: &str = "accumulator snapshot";

impl Accumulator {
    /// Appends everything needed to go on later.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        put_i64(out, self.closed_until_ms);
        put_u64(out, self.late_part_count);
        put_u64(out, self.tracks.len() as u64);
        for track in &self.tracks {
            track.stay.put(out);
            put_u32(out, track.stay_ms);
            put_u32(out, track.stand_ms);
            put_u32(out, track.speed_mmps);
            put_u8(out, u8::from(track.entered));
            put_u32(out, track.driven_mm);
            put_u8(out, u8::from(track.has_crossed));
        }
        put_u64(out, self.stays.len() as u64);
        for stay in &self.stays {
            stay.put(out);
        }
    }

    /// Goes on where a snapshot stood.
    ///
    /// # Errors
    /// When the bytes are not an intact accumulator snapshot of this network.
    pub fn restore(&mut self, network: &Network, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let mut restored = Self::new();
        restored.closed_until_ms = reader.take_i64()?;
        restored.late_part_count = reader.take_u64()?;
        for _ in 0..reader.take_count(STAY_BYTES + 18)? {
            let stay = Stay::take(&mut reader, network)?;
            restored.tracks.push(Track {
                stay,
                stay_ms: reader.take_u32()?,
                stand_ms: reader.take_u32()?,
                speed_mmps: reader.take_u32()?,
                entered: reader.take_u8()? != 0,
                driven_mm: reader.take_u32()?,
                has_crossed: reader.take_u8()? != 0,
            });
        }
        for _ in 0..reader.take_count(STAY_BYTES)? {
            let stay = Stay::take(&mut reader, network)?;
            if stay.segment == NO_SEGMENT {
                return Err(reader.damaged());
            }
            restored.stays.push(stay);
        }
        reader.finish()?;
        *self = restored;
        Ok(())
    }
}
