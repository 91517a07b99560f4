//! The archive's thread and the end of it that the outputs of a run are handed to.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{Receiver, SyncSender, TrySendError, sync_channel};
use std::thread::JoinHandle;

use anyhow::Context;

use super::block::Block;
use super::store::{Minute, OpenMinutes, Store, Taken};
use super::tables::TABLES;
use super::{ArchiveSettings, History};
use crate::guide::{Guidance, GuidanceKind};
use crate::network::Network;
use crate::publish::Released;
use crate::publish::format::guidance_entry;
use crate::state::StateBatch;
use crate::units::Timestamp;

/// Minutes that may wait for the archive's thread. Chosen: a disk that stands still for longer has
/// failed.
const QUEUE_MINUTES: usize = 8;

/// What happens to a minute when the queue is full.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Overflow {
    /// It is dropped and counted: a running service waits for no disk.
    Drop,
    /// The caller waits: a replay loses nothing.
    Wait,
}

/// Counters of an archive, readable from any thread.
#[derive(Debug, Default)]
pub struct ArchiveStats {
    /// Rows in complete files, by table.
    pub rows: [AtomicU64; TABLES.len()],
    /// Complete files.
    pub files: AtomicU64,
    /// Their bytes.
    pub bytes: AtomicU64,
    /// Files deleted for age or size.
    pub expired: AtomicU64,
    /// Writes that failed.
    pub failures: AtomicU64,
    /// Rows dropped because the queue was full.
    pub queue_full: AtomicU64,
    /// Rows given up because files could not be written for too long, or whose network is gone.
    pub unwritable: AtomicU64,
    /// Rows of minutes that were in the archive already.
    pub known: AtomicU64,
    /// Rows in journals.
    pub waiting: AtomicU64,
    /// Whether the last write failed.
    pub is_failing: AtomicBool,
}

struct Job {
    state: Released<StateBatch>,
    /// Rows of the other tables: a JSON object a line, and how many.
    events: [(Vec<u8>, usize); TABLES.len() - 1],
}

/// The end that outputs are handed to, minute by minute.
#[derive(Debug)]
pub struct Archiver {
    queue: Option<SyncSender<Job>>,
    thread: Option<JoinHandle<()>>,
    overflow: Overflow,
    stats: Arc<ArchiveStats>,
    state: Option<Released<StateBatch>>,
    events: [(Vec<u8>, usize); TABLES.len() - 1],
}

impl Archiver {
    /// Opens the folder, takes up what a crash has left there, and starts the thread. With it comes
    /// what answers questions about the past.
    ///
    /// # Errors
    /// When the folder cannot be made, read or written, or the thread cannot be started.
    pub fn start(
        settings: ArchiveSettings,
        network: Arc<Network>,
        overflow: Overflow,
    ) -> anyhow::Result<(Self, History)> {
        let open = OpenMinutes::default();
        let history = History::new(&settings, network.clone(), open.clone());
        let profile_rows = settings.profile_rows;
        let place = format!("archive.dir {}", settings.dir.display());
        let store = Store::open(settings, network, open).context(place)?;
        let stats = Arc::new(ArchiveStats::default());
        let (queue, jobs) = sync_channel(QUEUE_MINUTES);
        let mut writer = Writer {
            store,
            profile_rows,
            stats: stats.clone(),
        };
        writer.count();
        let thread = std::thread::Builder::new()
            .name("archive".into())
            .spawn(move || writer.run(&jobs))
            .context("starting the archive's thread")?;
        let archiver = Self {
            queue: Some(queue),
            thread: Some(thread),
            overflow,
            stats,
            state: None,
            events: Default::default(),
        };
        Ok((archiver, history))
    }

    /// What happened so far.
    pub fn stats(&self) -> &Arc<ArchiveStats> {
        &self.stats
    }

    /// Begins a minute with its states.
    pub fn state(&mut self, batch: &Released<StateBatch>) {
        self.state = Some(batch.clone());
    }

    /// Adds a change of advice to the minute; what may not leave must not come here.
    pub fn guidance(&mut self, network: &Network, guidance: &Released<Guidance>) {
        if let Some(state) = &self.state {
            let row = guidance_row(network, state.interval.start, guidance);
            self.event(0, &row);
        }
    }

    /// Adds a row to the table behind the states with this number.
    fn event(&mut self, table: usize, row: &serde_json::Value) {
        let (bytes, count) = &mut self.events[table];
        bytes.extend_from_slice(row.to_string().as_bytes());
        bytes.push(b'\n');
        *count += 1;
    }

    /// Hands the minute over; waits only with [`Overflow::Wait`].
    pub fn minute_done(&mut self) {
        let Some(state) = self.state.take() else {
            return;
        };
        let events = std::mem::take(&mut self.events);
        let Some(queue) = &self.queue else { return };
        let rows = |job: &Job| {
            let events: usize = job.events.iter().map(|(_, count)| count).sum();
            (job.state.segments.len() + events) as u64
        };
        let job = Job { state, events };
        let lost = match self.overflow {
            Overflow::Wait => queue.send(job).err().map(|error| rows(&error.0)),
            Overflow::Drop => match queue.try_send(job) {
                Ok(()) => None,
                Err(TrySendError::Full(job) | TrySendError::Disconnected(job)) => Some(rows(&job)),
            },
        };
        if let Some(rows) = lost {
            self.stats.queue_full.fetch_add(rows, Ordering::Relaxed);
        }
    }

    /// Waits until everything handed over stands in complete files.
    pub fn finish(&mut self) {
        self.minute_done();
        self.queue = None;
        if let Some(thread) = self.thread.take()
            && thread.join().is_err()
        {
            tracing::error!("The archive's thread has ended early.");
        }
    }
}

impl Drop for Archiver {
    fn drop(&mut self) {
        self.finish();
    }
}

struct Writer {
    store: Store,
    profile_rows: bool,
    stats: Arc<ArchiveStats>,
}

impl Writer {
    fn run(&mut self, jobs: &Receiver<Job>) {
        while let Ok(job) = jobs.recv() {
            let start = job.state.interval.start;
            let mut minute: Minute = Default::default();
            minute[0] = Some(Block::of_states(&job.state, self.profile_rows));
            for (slot, (bytes, row_count)) in minute[1..].iter_mut().zip(job.events) {
                *slot = Some(Block {
                    start,
                    row_count,
                    bytes,
                });
            }
            let rows: usize = minute.iter().flatten().map(|block| block.row_count).sum();
            let taken = self.store.take(start, minute);
            if let Ok(Taken::Known) = taken {
                self.stats.known.fetch_add(rows as u64, Ordering::Relaxed);
            }
            self.settle(taken.map(|_| ()));
        }
        let completed = self.store.complete();
        self.settle(completed);
    }

    fn settle(&mut self, result: anyhow::Result<()>) {
        if let Err(error) = &result {
            self.stats.failures.fetch_add(1, Ordering::Relaxed);
            tracing::error!("The archive cannot be written: {error:#}");
        }
        self.stats
            .is_failing
            .store(result.is_err(), Ordering::Relaxed);
        self.count();
    }

    fn count(&mut self) {
        let (stats, done) = (&self.stats, std::mem::take(&mut self.store.done));
        for (total, rows) in stats.rows.iter().zip(done.rows) {
            total.fetch_add(rows, Ordering::Relaxed);
        }
        for (total, count) in [
            (&stats.files, done.files),
            (&stats.bytes, done.bytes),
            (&stats.expired, done.expired),
            (&stats.unwritable, done.unwritable),
        ] {
            total.fetch_add(count, Ordering::Relaxed);
        }
        let waiting = self.store.waiting_rows() as u64;
        stats.waiting.store(waiting, Ordering::Relaxed);
    }
}

/// A change of advice as a row of [`super::GUIDANCE`].
fn guidance_row(network: &Network, minute: Timestamp, guidance: &Guidance) -> serde_json::Value {
    let told = guidance_entry(network, guidance);
    let kind = match &guidance.kind {
        GuidanceKind::Jam(_) => "jam",
        GuidanceKind::Diversion(_) => "diversion",
    };
    let mut row = serde_json::json!({
        "id": told.id,
        "revision": told.revision,
        "kind": kind,
        "network": told.network,
        "minute": minute.as_millis(),
        "valid_from": told.valid_from_ms,
        "valid_until": told.valid_until_ms,
        "withdrawn": guidance.withdrawn,
    });
    // Of what is withdrawn nothing more is told: it may have moved into a zone.
    if !guidance.withdrawn {
        let jam = told.jam.as_ref();
        let diversion = told.diversion.as_ref();
        let place = jam
            .map(|jam| &jam.head)
            .or(diversion.map(|diversion| &diversion.decision));
        row["confidence"] = told.confidence.into();
        row["segment"] = place.map(|place| place.segment).into();
        row["source_id"] = place.map(|place| place.source_id.clone()).into();
        row["level"] = jam.map(|jam| jam.level).into();
        row["length_m"] = jam.map(|jam| jam.length_m).into();
        row["speed_mps"] = jam.map(|jam| jam.speed_mps).into();
        row["delay_s"] = jam.map(|jam| jam.delay_s).into();
        row["onset"] = jam.map(|jam| jam.onset_ms).into();
        row["main_s"] = diversion.map(|diversion| diversion.main_s).into();
        row["alternative_s"] = diversion.map(|diversion| diversion.alternative_s).into();
        row["share"] = diversion.map(|diversion| diversion.share).into();
        row["message"] = serde_json::to_string(&told).unwrap_or_default().into();
    }
    row
}
