//! Snapshot and restore of the whole state room: a restart is as if nothing had happened.

use std::sync::Arc;

use super::TrafficState;
use super::bytes::{
    Reader, SnapshotError, put_f32, put_f32_all, put_head, put_i64, put_u8_all, put_u32_all,
    put_u64,
};
use crate::units::Timestamp;

const MAGIC: &[u8; 8] = b"RCSTATE\0";
const VERSION: u16 = 3;
const WHAT: &str = "state snapshot";

/// Stands for "no minute yet" in the bytes.
const NO_TIME: i64 = i64::MIN;

impl TrafficState {
    /// Appends everything needed to go on later.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, self.network.version());
        put_i64(out, self.slot_start.as_millis());
        put_i64(out, self.last_minute.map_or(NO_TIME, Timestamp::as_millis));
        put_u64(out, self.late_part_count);
        for value in [self.seen_weight, self.counted, self.counted_probes] {
            put_f32(out, value);
        }
        self.prior.put(out);
        put_f32_all(out, bytemuck::cast_slice(&self.filters));
        put_u32_all(out, &self.measured_minute);
        put_f32_all(out, &self.point_mean);
        put_f32_all(out, &self.slot_sum_spm);
        put_u32_all(out, &self.slot_count);
        let mut profiles = Vec::new();
        self.profiles.save(&self.network, &mut profiles);
        put_u8_all(out, &profiles);
    }

    /// Goes on where a snapshot stood; settings stay as they are.
    ///
    /// # Errors
    /// When the bytes are not an intact state snapshot of this network.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, self.network.version())?;
        let mut restored = Self::new(Arc::clone(&self.network), self.settings.clone());
        restored.slot_start = Timestamp::from_millis(reader.take_i64()?);
        let last_ms = reader.take_i64()?;
        restored.last_minute = (last_ms != NO_TIME).then_some(Timestamp::from_millis(last_ms));
        restored.late_part_count = reader.take_u64()?;
        for value in [
            &mut restored.seen_weight,
            &mut restored.counted,
            &mut restored.counted_probes,
        ] {
            *value = reader.take_finite()?;
        }
        restored.prior.take(&mut reader)?;
        let filters: &mut [f32] = bytemuck::cast_slice_mut(&mut restored.filters);
        reader.take_finite_all(filters)?;
        reader.take_u32_all(&mut restored.measured_minute)?;
        reader.take_finite_all(&mut restored.point_mean)?;
        reader.take_finite_all(&mut restored.slot_sum_spm)?;
        reader.take_u32_all(&mut restored.slot_count)?;
        let profile_bytes = reader.take_bytes()?;
        reader.finish()?;
        restored.profiles.load(&self.network, profile_bytes)?;
        *self = restored;
        Ok(())
    }
}
