//! Snapshot and restore of fields: a restart is as if nothing had happened.

use super::{FIELD_STEPS_MAX, Freeways, SpeedField, Step};
use crate::network::Network;
use crate::state::SnapshotError;
use crate::state::bytes::{Reader, put_f32_all, put_head, put_u32, put_u64};

const MAGIC: &[u8; 8] = b"RCFIELDS";
const VERSION: u16 = 1;
const WHAT: &str = "field snapshot";

impl SpeedField {
    fn put(&self, out: &mut Vec<u8>) {
        put_u64(out, self.open_step);
        put_u32(out, self.steps.len() as u32);
        let mut row = vec![0.0; 2 * self.cell_count];
        for step in &self.steps {
            for (pair, &(sum, weight)) in row.chunks_exact_mut(2).zip(&step.sums) {
                pair.copy_from_slice(&[sum, weight]);
            }
            put_f32_all(out, &row);
        }
    }

    fn take(&mut self, reader: &mut Reader<'_>) -> Result<(), SnapshotError> {
        self.open_step = reader.take_u64()?;
        let count = reader.take_u32()? as usize;
        let needed = self.open_step.min(self.settings.lag_steps as u64) as usize;
        if count <= needed || count > FIELD_STEPS_MAX {
            return Err(reader.damaged());
        }
        let mut row = vec![0.0; 2 * self.cell_count];
        self.steps.clear();
        for _ in 0..count {
            reader.take_finite_all(&mut row)?;
            if row.iter().any(|value| *value < 0.0) {
                return Err(reader.damaged());
            }
            let sums = row.chunks_exact(2).map(|pair| (pair[0], pair[1])).collect();
            self.steps.push_back(Step { sums });
        }
        Ok(())
    }
}

impl Freeways {
    /// Appends everything needed to go on later.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        for field in &self.fields {
            field.put(out);
        }
    }

    /// Goes on where a snapshot stood; settings stay as they are.
    ///
    /// # Errors
    /// When the bytes are not an intact snapshot of the same freeways.
    pub fn restore(&mut self, network: &Network, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let mut restored = self.fields.clone();
        for field in &mut restored {
            field.take(&mut reader)?;
        }
        reader.finish()?;
        self.fields = restored;
        Ok(())
    }
}
