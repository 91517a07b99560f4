//! The archive: what was published, kept as Parquet by day, and the history read from it.
//!
//! It takes values as they may leave ([`crate::publish::Released`]) on the analysis' thread, hands
//! them to a thread of its own over a bounded queue, and never waits for the disk. Minutes lie in a
//! journal until a file of at most an hour is complete. It computes nothing about traffic. Columns
//! and layout: docs/archive.md.

mod archiver;
mod block;
mod groups;
mod history;
mod journal;
mod means;
mod parquet_file;
mod scan;
mod store;
mod tables;

pub use archiver::{ArchiveStats, Archiver, Overflow};
pub use history::{
    HISTORY_ROWS_MAX, History, HistoryAnswer, HistoryError, HistoryQuery, HistoryRow, STEPS_S,
};
pub use means::{MeasuredMeans, measured_means};
pub use store::OpenMinutes;
pub use tables::{ColumnSpec, GUIDANCE, Kind, STATE, TABLES, Table, documentation};

use std::path::PathBuf;

/// What is kept, where and for how long.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ArchiveSettings {
    /// The folder; made if need be.
    pub dir: PathBuf,
    /// Local time minus UTC, s: days and hours of files are local.
    pub utc_offset_s: i64,
    /// Days older than this before the newest archived minute are deleted.
    pub keep_days: u32,
    /// The oldest days are deleted beyond this size of all files, bytes.
    pub bytes_max: u64,
    /// A file is completed with the hour, or before it would hold more rows of one table.
    pub rows_per_file_max: usize,
    /// Segments in a row group of the state table: the least that is read for one segment.
    pub segments_per_row_group: usize,
    /// Whether rows are kept of which only the profile speaks.
    pub profile_rows: bool,
}

impl Default for ArchiveSettings {
    /// Chosen: two million rows are 68 MB of memory and journal at most, the hour of 33 000
    /// segments.
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            utc_offset_s: 8 * 3600,
            keep_days: 90,
            bytes_max: 100 << 30,
            rows_per_file_max: 2_000_000,
            segments_per_row_group: 256,
            profile_rows: true,
        }
    }
}
