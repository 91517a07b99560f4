//! History: states of the archive, downsampled.

use std::io;
use std::path::PathBuf;
use std::sync::Arc;

use super::scan::{Seen, Wanted, scan};
use super::store::{OpenMinutes, day_name, files};
use super::tables::STATE;
use super::{ArchiveSettings, block::StateRow};
use crate::network::Network;
use crate::state::{Level, MINUTE_MS, Provenance};
use crate::units::{SegmentId, Timestamp};

/// Lengths of a step that can be asked for, s.
pub const STEPS_S: [i64; 4] = [60, 300, 900, 3600];
/// Most rows in one answer.
pub const HISTORY_ROWS_MAX: usize = 100_000;
/// Below this a speed counts as this in travel times, m/s.
const SPEED_MPS_MIN: f32 = 0.1;

/// What is asked for.
#[derive(Clone, Debug, PartialEq)]
pub struct HistoryQuery {
    /// Segments, ascending and each once.
    pub segments: Vec<SegmentId>,
    /// Begin; the step it lies in is the first.
    pub from: Timestamp,
    /// End, itself not asked for.
    pub to: Timestamp,
    /// Length of a step, one of [`STEPS_S`], s.
    pub step_s: i64,
}

/// Why there is no answer.
#[derive(Debug, thiserror::Error)]
pub enum HistoryError {
    /// The question is not one that can be answered.
    #[error("{0}")]
    Question(String),
    /// The archive cannot be read.
    #[error("the archive cannot be read: {0:#}")]
    Unreadable(#[from] anyhow::Error),
}

/// One segment over one step.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct HistoryRow {
    /// The segment.
    pub segment: SegmentId,
    /// Start of the step.
    pub start: Timestamp,
    /// Speed, m/s: length over the mean of the minutes' travel times.
    pub speed_mps: f32,
    /// Mean travel time of the minutes over the segment, s.
    pub travel_time_s: f32,
    /// Worst level.
    pub level_worst: Level,
    /// Share of the minutes at level 3 or worse.
    pub congested_share: f32,
    /// Share of the minutes that were observed.
    pub observed_share: f32,
    /// Share of the minutes that were estimated; the rest is the profile's.
    pub estimated_share: f32,
    /// Minutes of the step that the archive has.
    pub minutes: u32,
    /// Road users of all minutes that tell them; `None` where none does.
    pub samples: Option<u32>,
    /// Mean flow of the minutes that know one, veh/h.
    pub flow_vph: Option<f32>,
    /// Longest queue, m.
    pub queue_max_m: Option<f32>,
}

/// The answer.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct HistoryAnswer {
    /// By segment, then time; steps without a minute in the archive are left out.
    pub rows: Vec<HistoryRow>,
    /// Files that were read.
    pub files: usize,
    /// Files in the time asked for that are of another network version.
    pub files_of_other_networks: usize,
    /// Rows that were decoded.
    pub rows_read: u64,
}

/// Reads the archive; may be asked by several threads at once.
#[derive(Debug)]
pub struct History {
    dir: PathBuf,
    utc_offset_s: i64,
    network: Arc<Network>,
    open: OpenMinutes,
}

#[derive(Clone, Copy, Debug, Default)]
struct Sum {
    minutes: u32,
    /// Seconds a metre.
    pace: f64,
    worst: u8,
    congested: u32,
    observed: u32,
    estimated: u32,
    samples: Option<u32>,
    flow_vph: f64,
    flow_minutes: u32,
    queue_m: Option<f32>,
}

impl Sum {
    fn add(&mut self, seen: &Seen) {
        self.minutes += 1;
        self.pace += 1.0 / f64::from(seen.speed_mps.max(SPEED_MPS_MIN));
        self.worst = self.worst.max(seen.level);
        self.congested += u32::from(seen.level >= Level::Light as u8);
        match seen.provenance {
            Provenance::Observed => self.observed += 1,
            Provenance::Estimated => self.estimated += 1,
            Provenance::Profile => {}
        }
        if let Some(samples) = seen.samples {
            self.samples = Some(self.samples.unwrap_or(0).saturating_add(samples));
        }
        if let Some(flow_vph) = seen.flow_vph {
            self.flow_vph += f64::from(flow_vph);
            self.flow_minutes += 1;
        }
        if let Some(queue_m) = seen.queue_m {
            self.queue_m = Some(self.queue_m.map_or(queue_m, |longest| longest.max(queue_m)));
        }
    }

    fn row(&self, segment: SegmentId, start: Timestamp, length_m: f32) -> HistoryRow {
        let count = f64::from(self.minutes);
        let share = |minutes: u32| (f64::from(minutes) / count) as f32;
        let pace = self.pace / count;
        HistoryRow {
            segment,
            start,
            speed_mps: (1.0 / pace) as f32,
            travel_time_s: (f64::from(length_m) * pace) as f32,
            level_worst: Level::from_code(self.worst),
            congested_share: share(self.congested),
            observed_share: share(self.observed),
            estimated_share: share(self.estimated),
            minutes: self.minutes,
            samples: self.samples,
            flow_vph: (self.flow_minutes > 0)
                .then(|| (self.flow_vph / f64::from(self.flow_minutes)) as f32),
            queue_max_m: self.queue_m,
        }
    }
}

impl Seen {
    fn of(row: &StateRow, start: Timestamp) -> Self {
        let known = |value: f32| (!value.is_nan()).then_some(value);
        Self {
            segment: row.segment,
            start_ms: start.as_millis(),
            speed_mps: row.speed_mps(),
            level: row.level as u8,
            provenance: row.provenance,
            samples: (row.samples > 0).then(|| row.samples.into()),
            flow_vph: known(row.known[0]),
            queue_m: known(row.known[2]),
        }
    }
}

impl History {
    /// The history of an archive for the segments of `network`; `open` are the minutes its archiver
    /// has in no complete file yet.
    pub fn new(settings: &ArchiveSettings, network: Arc<Network>, open: OpenMinutes) -> Self {
        Self {
            dir: settings.dir.clone(),
            utc_offset_s: settings.utc_offset_s,
            network,
            open,
        }
    }

    /// The network whose segments can be asked for.
    pub fn network(&self) -> &Arc<Network> {
        &self.network
    }

    /// Answers; reads files, so not to be called from a task.
    ///
    /// # Errors
    /// When the question asks for too much or nothing, or the archive cannot be read.
    pub fn answer(&self, query: &HistoryQuery) -> Result<HistoryAnswer, HistoryError> {
        let refuse = |problem: String| Err(HistoryError::Question(problem));
        if !STEPS_S.contains(&query.step_s) {
            return refuse(format!("step {} is none of {STEPS_S:?}", query.step_s));
        }
        if query.from >= query.to {
            return refuse("from is not before to".into());
        }
        let count = self.network.segment_count();
        if query.segments.iter().any(|id| id.index() >= count) {
            return refuse(format!("the network has segments 0 to {}", count - 1));
        }
        let step_ms = query.step_s * 1000;
        let first_ms = query.from.as_millis().div_euclid(step_ms) * step_ms;
        let span_ms = query.to.as_millis().saturating_sub(first_ms);
        let steps = usize::try_from((span_ms - 1) / step_ms + 1).unwrap_or(usize::MAX);
        let rows = steps.saturating_mul(query.segments.len());
        if rows > HISTORY_ROWS_MAX {
            return refuse(format!(
                "{} segments over {steps} steps are {rows} rows, {HISTORY_ROWS_MAX} at most: ask for \
                 a longer step, a shorter time or fewer segments",
                query.segments.len()
            ));
        }
        let segments: Vec<u32> = query.segments.iter().map(|id| id.0).collect();
        let mut sums = vec![Sum::default(); rows];
        let mut answer = HistoryAnswer::default();
        let mut add = |seen: &Seen| {
            let step = usize::try_from((seen.start_ms - first_ms) / step_ms);
            if let (Ok(index), Ok(step)) = (segments.binary_search(&seen.segment), step)
                && let Some(sum) = sums.get_mut(index * steps + step)
            {
                sum.add(seen);
            }
        };
        // What is completed while the files are read stands in `open` too, and counts from there.
        let open = self.open.blocks();
        let to_ms = query.to.as_millis();
        let in_files_until = open.first().map_or(to_ms, |block| block.start.as_millis());
        let network = self.network.version().to_string();
        let wanted = Wanted {
            network: &network,
            segments: &segments,
            from_ms: first_ms,
            to_ms: to_ms.min(in_files_until),
        };
        self.scan_files(&wanted, &mut answer, &mut add)?;
        for block in &open {
            if (first_ms..to_ms).contains(&block.start.as_millis()) {
                let rows = query.segments.iter().filter_map(|&id| block.state_of(id));
                rows.for_each(|row| add(&Seen::of(&row, block.start)));
            }
        }
        for (index, &id) in query.segments.iter().enumerate() {
            let length_m = self.network.segment(id).length_m;
            for (step, sum) in sums[index * steps..][..steps].iter().enumerate() {
                if sum.minutes > 0 {
                    let start = Timestamp::from_millis(first_ms + step as i64 * step_ms);
                    answer.rows.push(sum.row(id, start, length_m));
                }
            }
        }
        Ok(answer)
    }

    fn scan_files(
        &self,
        wanted: &Wanted<'_>,
        answer: &mut HistoryAnswer,
        add: &mut impl FnMut(&Seen),
    ) -> anyhow::Result<()> {
        if wanted.from_ms >= wanted.to_ms {
            return Ok(());
        }
        let local = |ms: i64| ms + self.utc_offset_s * 1000;
        let (from_ms, to_ms) = (local(wanted.from_ms), local(wanted.to_ms - 1));
        const DAY_MS: i64 = 1440 * MINUTE_MS;
        let folders = match super::store::days(&self.dir) {
            Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(()),
            folders => folders?,
        };
        let (first, last) = (
            day_name(from_ms.div_euclid(DAY_MS)),
            day_name(to_ms.div_euclid(DAY_MS)),
        );
        for folder in folders {
            let name = folder.file_name().unwrap_or_default().to_string_lossy();
            if !(first.as_str()..=last.as_str()).contains(&&*name) {
                continue;
            }
            let hours = [(&first, from_ms), (&last, to_ms)]
                .map(|(day, ms)| (*day == *name).then(|| ms.rem_euclid(DAY_MS) / (60 * MINUTE_MS)));
            for file in files(&folder, &STATE)? {
                let hour = hour_of(&file);
                let is_outside = hour.is_some_and(|hour| {
                    hours[0].is_some_and(|first| hour < first)
                        || hours[1].is_some_and(|last| hour > last)
                });
                if is_outside {
                    continue;
                }
                match scan(&file, wanted, &mut *add) {
                    Ok(Some(rows)) => {
                        answer.files += 1;
                        answer.rows_read += rows;
                    }
                    Ok(None) => answer.files_of_other_networks += 1,
                    // Expired meanwhile.
                    Err(_) if !file.exists() => {}
                    Err(error) => return Err(error.context(file.display().to_string())),
                }
            }
        }
        Ok(())
    }
}

/// The local hour that a file is of.
fn hour_of(file: &std::path::Path) -> Option<i64> {
    let stem = file.file_stem()?.to_str()?;
    stem.strip_prefix("state-")?.get(..2)?.parse().ok()
}
