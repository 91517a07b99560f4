//! Profiles as a file: everything learnt, for a later run of the same network.

use super::super::bytes::{
    Reader, SnapshotError, put_f32_all, put_head, put_i64, put_u8, put_u16_all,
};
use super::{Hour, Profiles, SLOTS_PER_HOUR, WAITING_MAX, Waiting};
use crate::network::Network;
use crate::units::Timestamp;

const MAGIC: &[u8; 8] = b"RCPROFIL";
const VERSION: u16 = 3;
const WHAT: &str = "profile file";

impl Profiles {
    /// Appends everything learnt as a profile file.
    pub fn save(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        put_i64(out, self.calendar.utc_offset_s);
        for row in [
            &self.level_mps,
            &self.today.took_spm,
            &self.today.usually_spm,
            &self.fast_mps,
            &self.measured_minutes,
        ] {
            put_f32_all(out, row);
        }
        for hour in &self.hours {
            put_u8(out, u8::from(hour.is_some()));
            if let Some(hour) = hour {
                put_u16_all(out, &hour.speed_cmps);
                put_u16_all(out, &hour.samples);
            }
        }
        put_u8(out, self.waiting.len() as u8);
        for slot in &self.waiting {
            put_i64(out, slot.start.as_millis());
            put_u16_all(out, &slot.speed_cmps);
        }
    }

    /// Takes over a profile file of the same network.
    ///
    /// # Errors
    /// When the bytes are not an intact profile file of this network.
    pub fn load(&mut self, network: &Network, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let mut loaded = self.clone();
        loaded.calendar.utc_offset_s = reader.take_i64()?;
        for row in [
            &mut loaded.level_mps,
            &mut loaded.today.took_spm,
            &mut loaded.today.usually_spm,
            &mut loaded.fast_mps,
            &mut loaded.measured_minutes,
        ] {
            reader.take_finite_all(row)?;
        }
        let count = loaded.segment_count * SLOTS_PER_HOUR;
        for hour in &mut loaded.hours {
            *hour = match reader.take_u8()? {
                0 => None,
                1 => {
                    let mut read = Hour::empty(count);
                    reader.take_u16_all(&mut read.speed_cmps)?;
                    reader.take_u16_all(&mut read.samples)?;
                    Some(read)
                }
                _ => return Err(reader.damaged()),
            };
        }
        loaded.waiting.clear();
        let waiting = usize::from(reader.take_u8()?);
        if waiting > WAITING_MAX {
            return Err(reader.damaged());
        }
        for _ in 0..waiting {
            let start = Timestamp::from_millis(reader.take_i64()?);
            let mut speed_cmps = vec![0; loaded.segment_count];
            reader.take_u16_all(&mut speed_cmps)?;
            loaded.waiting.push_back(Waiting { start, speed_cmps });
        }
        reader.finish()?;
        loaded.now = None;
        *self = loaded;
        Ok(())
    }
}
