//! Five-minute space means of the measured minutes of an archive: what forecasters learn from.
//!
//! Only complete files are read. A minute that was estimated, or of which only the profile speaks,
//! is no truth and counts as missing.

use std::path::{Path, PathBuf};

use anyhow::Context;

use super::scan::{Seen, Span, Wanted, scan, span};
use super::store::{day_name, days, files};
use super::tables::STATE;
use crate::network::Network;
use crate::state::{MINUTE_MS, Provenance, mean_speed_mps, pace_spm};
use crate::units::Timestamp;

/// Length of a row, ms.
const STEP_MS: i64 = 5 * MINUTE_MS;
const DAY_MS: i64 = 1440 * MINUTE_MS;

/// Means of measured minutes, a row every five minutes without gaps.
#[derive(Clone, Debug, PartialEq)]
pub struct MeasuredMeans {
    /// Start of the first row, UTC; a multiple of five minutes.
    pub start: Timestamp,
    /// `[row][segment]`, m/s; not a number where no minute was measured.
    pub speeds_mps: Vec<f32>,
    /// Files that were read.
    pub files: usize,
    /// Files of other network versions, which were passed over.
    pub files_of_other_networks: usize,
    /// Minutes that were measured, of all segments.
    pub measured_minutes: u64,
}

/// Reads the archive in `dir` about the segments of `network`: everything, or the `newest_days` last
/// times 24 hours of it. Days of folders are local, UTC plus `utc_offset_s`. `None` where nothing is
/// archived of this network.
///
/// Memory: 5 bytes a segment and row, 144 kB a segment in 100 days.
///
/// # Errors
/// When a file cannot be read.
pub fn measured_means(
    dir: &Path,
    network: &Network,
    utc_offset_s: i64,
    newest_days: Option<u32>,
) -> anyhow::Result<Option<MeasuredMeans>> {
    let version = network.version().to_string();
    let mut found = Vec::new();
    let mut files_of_other_networks = 0;
    let since = |last_ms: i64| newest_days.map(|count| last_ms - i64::from(count) * DAY_MS);
    let mut newest_ms: Option<i64> = None;
    // From the newest day back, so that old days are not even opened.
    for folder in days(dir)
        .with_context(|| dir.display().to_string())?
        .iter()
        .rev()
    {
        let first_day = newest_ms.and_then(since).map(|ms| {
            let local_ms = ms + utc_offset_s * 1000;
            day_name(local_ms.div_euclid(DAY_MS))
        });
        let name = folder.file_name().unwrap_or_default().to_string_lossy();
        if first_day.is_some_and(|first| *name < *first) {
            break;
        }
        for path in files(folder, &STATE)?.into_iter().rev() {
            let span = span(&path).with_context(|| path.display().to_string())?;
            if span.network == version {
                newest_ms = newest_ms.max(Some(span.last_ms + MINUTE_MS));
                found.push((path, span));
            } else {
                files_of_other_networks += 1;
            }
        }
    }
    let Some(until_ms) = newest_ms else {
        return Ok(None);
    };
    let oldest_ms = found.iter().map(|(_, span)| span.first_ms).min();
    let from_ms = oldest_ms.max(since(until_ms)).unwrap_or(until_ms);
    let mut means = Sums::new(from_ms, until_ms, network.segment_count());
    let files = means.read(&version, &found)?;
    Ok(Some(means.finish(files, files_of_other_networks)))
}

/// Sums of a mean in the making, and how many minutes are behind each.
struct Sums {
    from_ms: i64,
    until_ms: i64,
    segments: usize,
    sum_spm: Vec<f32>,
    minutes: Vec<u8>,
    measured_minutes: u64,
}

impl Sums {
    fn new(from_ms: i64, until_ms: i64, segments: usize) -> Self {
        let from_ms = from_ms.div_euclid(STEP_MS) * STEP_MS;
        let steps = (until_ms - from_ms + STEP_MS - 1).div_euclid(STEP_MS);
        let cells = usize::try_from(steps).unwrap_or(0) * segments;
        Self {
            from_ms,
            until_ms,
            segments,
            sum_spm: vec![0.0; cells],
            minutes: vec![0; cells],
            measured_minutes: 0,
        }
    }

    /// Adds what the files hold of the time asked for; returns how many were read.
    fn read(&mut self, network: &str, found: &[(PathBuf, Span)]) -> anyhow::Result<usize> {
        let ids: Vec<u32> = (0..self.segments as u32).collect();
        let wanted = Wanted {
            network,
            segments: &ids,
            from_ms: self.from_ms,
            to_ms: self.until_ms,
        };
        let mut files = 0;
        for (path, span) in found {
            if span.last_ms < self.from_ms {
                continue;
            }
            scan(path, &wanted, |seen| self.add(seen))
                .with_context(|| path.display().to_string())?;
            files += 1;
        }
        Ok(files)
    }

    fn add(&mut self, seen: &Seen) {
        if seen.provenance != Provenance::Observed {
            return;
        }
        let row = usize::try_from((seen.start_ms - self.from_ms).div_euclid(STEP_MS));
        let Ok(row) = row else { return };
        let cell = row * self.segments + seen.segment as usize;
        if let (Some(sum), Some(minutes)) = (self.sum_spm.get_mut(cell), self.minutes.get_mut(cell))
        {
            *sum += pace_spm(seen.speed_mps);
            *minutes = minutes.saturating_add(1);
            self.measured_minutes += 1;
        }
    }

    fn finish(mut self, files: usize, files_of_other_networks: usize) -> MeasuredMeans {
        // In place: paces become speeds.
        for (sum, &minutes) in self.sum_spm.iter_mut().zip(&self.minutes) {
            *sum = if minutes > 0 {
                mean_speed_mps(*sum, f32::from(minutes))
            } else {
                f32::NAN
            };
        }
        MeasuredMeans {
            start: Timestamp::from_millis(self.from_ms),
            speeds_mps: self.sum_spm,
            files,
            files_of_other_networks,
            measured_minutes: self.measured_minutes,
        }
    }
}
