//! The folder: journals of what is open, complete files by day, and what is deleted.

use std::fs::{self, File};
use std::io;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};

use anyhow::Context;

use super::block::Block;
use super::groups::{event_groups, state_groups};
use super::journal::{self, Journal};
use super::tables::{STATE, TABLES, Table};
use super::{ArchiveSettings, parquet_file, scan};
use crate::network::Network;
use crate::units::{Timestamp, date_of};

const HOUR_S: i64 = 3600;
const DAY_S: i64 = 24 * HOUR_S;

/// The minutes of the state table that stand in no complete file yet, oldest first; shared with
/// those who ask for history.
#[derive(Clone, Debug, Default)]
pub struct OpenMinutes(Arc<Mutex<Vec<Arc<Block>>>>);

impl OpenMinutes {
    fn lock(&self) -> MutexGuard<'_, Vec<Arc<Block>>> {
        // Whole after every call, so a poisoned lock is as good as any.
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// The minutes as they are now.
    pub(super) fn blocks(&self) -> Vec<Arc<Block>> {
        self.lock().clone()
    }
}

/// What a minute brought: one block a table, in the order of [`TABLES`]; empty ones are left out.
pub(super) type Minute = [Option<Block>; TABLES.len()];

/// What became of a minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Taken {
    /// It is kept.
    Kept,
    /// It, or a later one, was in the archive already.
    Known,
}

/// What completing files and deleting old ones has done.
#[derive(Clone, Copy, Debug, Default)]
pub(super) struct Done {
    pub(super) rows: [u64; TABLES.len()],
    pub(super) files: u64,
    pub(super) bytes: u64,
    pub(super) expired: u64,
    /// Rows given up because files could not be written for too long.
    pub(super) unwritable: u64,
}

#[derive(Debug)]
struct Open {
    blocks: Vec<Arc<Block>>,
    journal: Journal,
}

impl Open {
    fn row_count(&self) -> usize {
        self.blocks.iter().map(|block| block.row_count).sum()
    }

    fn append(&mut self, block: Block) -> io::Result<()> {
        let block = Arc::new(block);
        self.blocks.push(block.clone());
        if self.journal.is_begun() {
            return self.journal.append(&block);
        }
        // The first block, or all of them where an earlier write had failed.
        self.blocks
            .iter()
            .try_for_each(|block| self.journal.append(block))
    }
}

/// The archive's folder.
#[derive(Debug)]
pub(super) struct Store {
    settings: ArchiveSettings,
    network: Arc<Network>,
    open: [Open; TABLES.len()],
    shared: OpenMinutes,
    newest: Option<Timestamp>,
    pub(super) done: Done,
}

/// Creates a folder that its group may read, and those above it.
fn create_folder(path: &Path) -> io::Result<()> {
    use std::os::unix::fs::DirBuilderExt;
    let mut builder = fs::DirBuilder::new();
    builder.recursive(true).mode(0o750).create(path)
}

/// The folder name of a local day, counted in days since 1970-01-01.
pub(super) fn day_name(day: i64) -> String {
    format!("date={}", date_of(day))
}

/// The folders of days under `dir`, oldest first.
pub(super) fn days(dir: &Path) -> io::Result<Vec<PathBuf>> {
    let mut found = Vec::new();
    for entry in fs::read_dir(dir)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with("date=") && path.is_dir() {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

/// The complete files of `table` in a day's folder, oldest first.
pub(super) fn files(day: &Path, table: &Table) -> io::Result<Vec<PathBuf>> {
    let prefix = format!("{}-", table.name);
    let mut found = Vec::new();
    for entry in fs::read_dir(day)? {
        let path = entry?.path();
        let name = path.file_name().unwrap_or_default().to_string_lossy();
        if name.starts_with(&prefix) && name.ends_with(".parquet") {
            found.push(path);
        }
    }
    found.sort();
    Ok(found)
}

impl Store {
    /// Opens a folder and takes up the journals that a crash has left.
    pub(super) fn open(
        settings: ArchiveSettings,
        network: Arc<Network>,
        shared: OpenMinutes,
    ) -> anyhow::Result<Self> {
        let dir = settings.dir.clone();
        create_folder(&dir).with_context(|| dir.display().to_string())?;
        let version = network.version();
        let newest = newest_minute(&dir)?;
        let open = TABLES.map(|table| {
            let path = dir.join(format!("{}.journal", table.name));
            Open {
                blocks: Vec::new(),
                journal: Journal::new(path, version),
            }
        });
        let mut store = Self {
            settings,
            network,
            open,
            shared,
            newest,
            done: Done::default(),
        };
        store.recover()?;
        Ok(store)
    }

    /// Takes what journals hold that is in no file.
    fn recover(&mut self) -> anyhow::Result<()> {
        let in_files = self.newest;
        for (open, table) in self.open.iter_mut().zip(TABLES) {
            let path = self.settings.dir.join(format!("{}.journal", table.name));
            let found = journal::read(&path).with_context(|| path.display().to_string())?;
            let Some((network, mut blocks)) = found else {
                continue;
            };
            blocks.retain(|block| in_files.is_none_or(|newest| block.start > newest));
            if network != self.network.version() {
                let rows: usize = blocks.iter().map(|block| block.row_count).sum();
                tracing::warn!(rows, path = %path.display(), "A journal of another network is given up.");
                self.done.unwritable += rows as u64;
                blocks.clear();
            }
            open.journal
                .clear()
                .with_context(|| path.display().to_string())?;
            self.newest = self.newest.max(blocks.last().map(|block| block.start));
            open.blocks = blocks;
            open.blocks
                .iter()
                .try_for_each(|block| open.journal.append(block))
                .with_context(|| path.display().to_string())?;
        }
        self.share();
        Ok(())
    }

    fn share(&self) {
        self.shared.lock().clone_from(&self.open[0].blocks);
    }

    /// Rows in journals.
    pub(super) fn waiting_rows(&self) -> usize {
        self.open.iter().map(Open::row_count).sum()
    }

    /// The local time of `at`, s.
    fn local_s(&self, at: Timestamp) -> i64 {
        at.as_secs() + self.settings.utc_offset_s
    }

    /// Takes a minute; minutes come in order, and what is not newer than the newest is known.
    ///
    /// Whatever fails, the minute is in memory and is written with the next that does not fail.
    pub(super) fn take(&mut self, start: Timestamp, minute: Minute) -> anyhow::Result<Taken> {
        if self.newest.is_some_and(|newest| start <= newest) {
            return Ok(Taken::Known);
        }
        let mut result = Ok(());
        if self.is_full(start, &minute) {
            result = self.complete();
            self.give_up_surplus();
        }
        self.newest = Some(start);
        for (open, block) in self.open.iter_mut().zip(minute) {
            let Some(block) = block.filter(|block| block.row_count > 0) else {
                continue;
            };
            let appended = open.append(block).context("appending to a journal");
            result = result.and(appended);
        }
        self.share();
        result.map(|()| Taken::Kept)
    }

    /// Whether what is open must be completed before a minute that begins at `start`.
    fn is_full(&self, start: Timestamp, minute: &Minute) -> bool {
        let hour = |at: Timestamp| self.local_s(at).div_euclid(HOUR_S);
        self.open.iter().zip(minute).any(|(open, block)| {
            let more = block.as_ref().map_or(0, |block| block.row_count);
            open.blocks
                .first()
                .is_some_and(|first| hour(first.start) != hour(start))
                || !open.blocks.is_empty()
                    && open.row_count() + more > self.settings.rows_per_file_max
        })
    }

    /// Bounds memory where files cannot be written: beyond two files the oldest minutes go.
    fn give_up_surplus(&mut self) {
        for open in &mut self.open {
            while open.row_count() > 2 * self.settings.rows_per_file_max {
                self.done.unwritable += open.blocks.remove(0).row_count as u64;
            }
        }
    }

    /// Writes what is open into complete files, and deletes what is too old.
    pub(super) fn complete(&mut self) -> anyhow::Result<()> {
        for (index, table) in TABLES.iter().enumerate() {
            let blocks = std::mem::take(&mut self.open[index].blocks);
            if blocks.is_empty() {
                continue;
            }
            match self.write_file(table, &blocks) {
                Ok((rows, bytes)) => {
                    self.done.rows[index] += rows;
                    self.done.files += 1;
                    self.done.bytes += bytes;
                    self.open[index].journal.clear().context("a journal")?;
                }
                Err(error) => {
                    self.open[index].blocks = blocks;
                    return Err(error);
                }
            }
        }
        self.share();
        self.expire()
    }

    fn write_file(&self, table: &Table, blocks: &[Arc<Block>]) -> anyhow::Result<(u64, u64)> {
        let (Some(first), Some(last)) = (blocks.first(), blocks.last()) else {
            return Ok((0, 0));
        };
        let local_s = self.local_s(first.start);
        let folder = (self.settings.dir).join(day_name(local_s.div_euclid(DAY_S)));
        let place = || folder.display().to_string();
        create_folder(&folder).with_context(place)?;
        let in_day_s = local_s.rem_euclid(DAY_S);
        let (hour, minute) = (in_day_s / HOUR_S, in_day_s % HOUR_S / 60);
        let stem = format!("{}-{hour:02}{minute:02}", table.name);
        let unfinished = folder.join(format!(".{stem}.unfinished"));
        let metadata = [
            ("network", self.network.version().to_string()),
            ("first_start_ms", first.start.as_millis().to_string()),
            ("last_start_ms", last.start.as_millis().to_string()),
        ];
        let written = if table.name == STATE.name {
            let per_group = self.settings.segments_per_row_group;
            let groups = state_groups(blocks, &self.network, per_group);
            parquet_file::write(&unfinished, table, &metadata, groups)?
        } else {
            parquet_file::write(&unfinished, table, &metadata, event_groups(table, blocks))?
        };
        let path = folder.join(format!("{stem}.parquet"));
        fs::rename(&unfinished, &path).with_context(place)?;
        File::open(&folder)
            .and_then(|folder| folder.sync_all())
            .with_context(place)?;
        Ok(written)
    }

    /// Deletes days that are too old, and the oldest while all of it is too large.
    fn expire(&mut self) -> anyhow::Result<()> {
        let Some(newest) = self.newest else {
            return Ok(());
        };
        let today = self.local_s(newest).div_euclid(DAY_S);
        let oldest = day_name(today - i64::from(self.settings.keep_days));
        let place = || self.settings.dir.display().to_string();
        let days = days(&self.settings.dir).with_context(place)?;
        let mut sizes = Vec::new();
        for day in &days {
            let mut bytes = 0;
            for table in &TABLES {
                for file in files(day, table).with_context(place)? {
                    bytes += fs::metadata(&file).with_context(place)?.len();
                }
            }
            sizes.push(bytes);
        }
        let mut total: u64 = sizes.iter().sum();
        let last = days.len().saturating_sub(1);
        for (index, (day, bytes)) in days.iter().zip(sizes).enumerate() {
            let is_old = day
                .file_name()
                .is_some_and(|name| name.to_string_lossy().as_ref() < oldest.as_str());
            if !is_old && (total <= self.settings.bytes_max || index == last) {
                continue;
            }
            total -= bytes;
            for table in &TABLES {
                for file in files(day, table).with_context(place)? {
                    fs::remove_file(file).with_context(place)?;
                    self.done.expired += 1;
                }
            }
            // Whatever else somebody put there stays, and the folder with it.
            fs::remove_dir(day).ok();
        }
        Ok(())
    }
}

/// Start of the newest minute in a complete file of the state table.
fn newest_minute(dir: &Path) -> anyhow::Result<Option<Timestamp>> {
    let place = || dir.display().to_string();
    for day in days(dir).with_context(place)?.iter().rev() {
        for file in files(day, &STATE).with_context(place)?.iter().rev() {
            match scan::last_start(file) {
                Ok(start) => return Ok(Some(start)),
                Err(error) => {
                    tracing::warn!(path = %file.display(), %error, "A file of the archive is passed over.");
                }
            }
        }
    }
    Ok(None)
}
