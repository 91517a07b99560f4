//! Writing and reading the memory of scores and of what is learnt from them.

use std::sync::Arc;

use super::super::fading::Fading;
use super::super::intervals::AdaptiveIntervals;
use super::super::onset::OnsetBook;
use super::super::snapshot::{Reader, SnapshotError, put_f32s, put_f64, put_i64, put_u32};
use super::super::{Calibration, STEP_COUNT};
use super::drift::DriftSums;
use super::issued::Issued;
use super::speaker::{Choice, Speaker};
use super::{ErrorTracker, MAX_TRACKED_SEGMENTS};
use crate::units::Timestamp;

const SNAPSHOT_VERSION: u32 = 5;

impl ErrorTracker {
    /// Appends this memory to `out`.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_u32(out, SNAPSHOT_VERSION);
        out.extend_from_slice(&self.network.0);
        put_u32(out, self.stride as u32);
        put_i64(out, self.finished.map_or(i64::MIN, Timestamp::as_millis));
        for mut scores in self.scores.as_flattened().iter().copied() {
            let sums = scores.sums_mut().into_iter();
            sums.for_each(|sum| put_f64(out, *sum));
        }
        self.onsets.snapshot(out);
        self.intervals
            .iter()
            .for_each(|intervals| intervals.snapshot(out));
        self.fading.snapshot(out);
        put_f32s(out, &self.spread);
        self.calibration.snapshot(out);
        self.choice.snapshot(out);
        self.drift.snapshot(out);
        put_u32(out, self.issued.len() as u32);
        self.issued.iter().for_each(|issued| issued.snapshot(out));
    }

    /// Reads what [`ErrorTracker::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, cut off or malformed.
    pub fn restore(bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut reader = Reader::new(bytes, SNAPSHOT_VERSION)?;
        let mut tracker = Self::new();
        tracker.network.0.copy_from_slice(reader.take(32)?);
        tracker.stride = reader.u32()?.max(1) as usize;
        tracker.finished = match reader.i64()? {
            i64::MIN => None,
            millis => Some(Timestamp::from_millis(millis)),
        };
        for scores in tracker.scores.as_flattened_mut() {
            for sum in scores.sums_mut() {
                *sum = reader.f64()?;
            }
        }
        let speakers = Speaker::ALL.len();
        tracker.onsets = OnsetBook::restore(&mut reader, speakers, MAX_TRACKED_SEGMENTS)?;
        for intervals in &mut tracker.intervals {
            *intervals = AdaptiveIntervals::restore(&mut reader, STEP_COUNT)?;
        }
        tracker.renew_stretches();
        tracker.fading = Fading::restore(&mut reader)?;
        tracker.spread = reader.f32s(tracker.spread.len())?;
        tracker.calibration = Arc::new(Calibration::restore(&mut reader)?);
        tracker.choice = Choice::restore(&mut reader)?;
        tracker.drift = DriftSums::restore(&mut reader)?;
        let issued_count = reader.u32()? as usize;
        if issued_count > STEP_COUNT {
            return Err(reader.malformed());
        }
        for _ in 0..issued_count {
            let issued = Issued::restore(&mut reader)?;
            if issued.len() != tracker.onsets.segment_count() {
                return Err(reader.malformed());
            }
            tracker.issued.push_back(issued);
        }
        reader.finish()?;
        Ok(tracker)
    }
}
