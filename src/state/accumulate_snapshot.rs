//! Snapshot and restore of one partition's open minutes.

use super::accumulate::{Accumulator, NO_SEGMENT, Part, Track};
use super::bytes::{Reader, SnapshotError, put_head, put_i64, put_u8, put_u32, put_u64};
use crate::network::Network;

const MAGIC: &[u8; 8] = b"RCACCUM\0";
const VERSION: u16 = 1;
const WHAT: &str = "accumulator snapshot";

impl Accumulator {
    /// Appends everything needed to go on later.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        put_i64(out, self.closed_until_ms);
        put_u64(out, self.late_part_count);
        put_u64(out, self.tracks.len() as u64);
        for track in &self.tracks {
            put_part(out, &track.part);
            put_u32(out, track.stay_ms);
            put_u32(out, track.speed_mmps);
            put_u8(out, u8::from(track.entered));
        }
        put_u64(out, self.parts.len() as u64);
        for part in &self.parts {
            put_part(out, part);
        }
    }

    /// Goes on where a snapshot stood.
    ///
    /// # Errors
    /// When the bytes are not an intact accumulator snapshot of this network.
    pub fn restore(&mut self, network: &Network, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let mut restored = Self::new();
        let segment_count = network.segment_count() as u32;
        restored.closed_until_ms = reader.take_i64()?;
        restored.late_part_count = reader.take_u64()?;
        for _ in 0..reader.take_count(PART_BYTES + 9)? {
            let part = take_part(&mut reader, segment_count)?;
            restored.tracks.push(Track {
                part,
                stay_ms: reader.take_u32()?,
                speed_mmps: reader.take_u32()?,
                entered: reader.take_u8()? != 0,
            });
        }
        for _ in 0..reader.take_count(PART_BYTES)? {
            let part = take_part(&mut reader, segment_count)?;
            if part.segment == NO_SEGMENT {
                return Err(reader.damaged());
            }
            restored.parts.push(part);
        }
        reader.finish()?;
        *self = restored;
        Ok(())
    }
}

/// Bytes of one part in a snapshot.
const PART_BYTES: usize = 32;

fn put_part(out: &mut Vec<u8>, part: &Part) {
    put_i64(out, part.minute_ms);
    for value in [
        part.segment,
        part.distance_mm,
        part.time_ms,
        part.standing_ms,
        part.queue_mm,
        part.pass_ms,
    ] {
        put_u32(out, value);
    }
}

fn take_part(reader: &mut Reader<'_>, segment_count: u32) -> Result<Part, SnapshotError> {
    let part = Part {
        minute_ms: reader.take_i64()?,
        segment: reader.take_u32()?,
        distance_mm: reader.take_u32()?,
        time_ms: reader.take_u32()?,
        standing_ms: reader.take_u32()?,
        queue_mm: reader.take_u32()?,
        pass_ms: reader.take_u32()?,
    };
    if part.segment >= segment_count && part.segment != NO_SEGMENT {
        return Err(reader.damaged());
    }
    Ok(part)
}
