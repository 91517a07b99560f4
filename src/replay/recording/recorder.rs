//! The thread that writes the write-ahead log: group commit, and word of what is durable.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::sync::mpsc::{self, Receiver, RecvTimeoutError, SyncSender};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::{RecordingError, Writer};
use crate::observation::RawMessage;
use crate::units::Timestamp;

/// First wait after the file system refused a write; doubles up to [`RETRY_MAX`].
const RETRY_MIN: Duration = Duration::from_millis(50);
/// Longest wait between two attempts to write. Chosen: a full disk that was cleared is noticed soon.
const RETRY_MAX: Duration = Duration::from_secs(5);
/// Attempts after the recorder was told to finish, so that a full disk cannot hold up a shutdown.
const FINISH_ATTEMPTS: u32 = 4;

/// When written messages are forced to the disk.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum SyncPolicy {
    /// Group commit: at most one `fdatasync` in this time, and one that begins at most this time
    /// after a message was written. Survives loss of power.
    AtMostEvery(Duration),
    /// Never: a message counts as durable once the system has it. Survives a crash of the process,
    /// not of the machine.
    Never,
}

/// Settings of the recorder.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct RecorderSettings {
    /// When written messages are forced to the disk.
    pub sync: SyncPolicy,
    /// Batches that may wait for the writer; [`Recorder::append`] blocks beyond.
    pub queue_batches: usize,
}

impl Default for RecorderSettings {
    /// 20 ms, the house's bound on the delay of an acknowledgement; 64 batches, chosen.
    fn default() -> Self {
        Self {
            sync: SyncPolicy::AtMostEvery(Duration::from_millis(20)),
            queue_batches: 64,
        }
    }
}

/// What the recorder did so far; readable from any thread.
#[derive(Debug, Default)]
pub struct RecorderStats {
    /// Messages written.
    pub written: AtomicU64,
    /// Messages that stand: what a restart will find.
    pub durable: AtomicU64,
    /// Times the disk was waited for.
    pub syncs: AtomicU64,
    /// Writes that the file system refused and that were tried again.
    pub retries: AtomicU64,
    /// Messages larger than a recording can hold.
    pub refused: AtomicU64,
    /// Files deleted because their messages were too old.
    pub expired_by_age: AtomicU64,
    /// Files deleted because all together were too large.
    pub expired_by_size: AtomicU64,
    /// Whether the last write was refused: nothing is acknowledged until this is over.
    pub failing: AtomicBool,
}

/// Batches that now stand in the recording.
#[derive(Debug)]
pub struct Durable<'a, T> {
    /// Messages before this sequence number stand.
    pub sequence: u64,
    /// The tokens given with the batches, in order.
    pub tokens: std::vec::Drain<'a, T>,
}

/// The recorder has stopped: see the result of [`Recorder::finish`].
#[derive(Debug, thiserror::Error)]
#[error("the recorder has stopped")]
pub struct RecorderClosed;

/// A handle on the thread that writes the write-ahead log.
#[derive(Debug)]
pub struct Recorder<T> {
    jobs: SyncSender<Job<T>>,
    stats: Arc<RecorderStats>,
    finishing: Arc<AtomicBool>,
    thread: JoinHandle<Result<u64, RecordingError>>,
    sequence: u64,
}

#[derive(Debug)]
enum Job<T> {
    Append {
        now: Timestamp,
        messages: Arc<Vec<RawMessage>>,
        token: T,
    },
    Expire(Timestamp),
    ProtectFrom(u64),
}

impl<T: Send + 'static> Recorder<T> {
    /// Starts the thread. `on_durable` runs on it and must not block.
    ///
    /// # Errors
    ///
    /// The system gives no thread.
    pub fn spawn(
        writer: Writer,
        settings: RecorderSettings,
        on_durable: impl FnMut(Durable<'_, T>) + Send + 'static,
    ) -> std::io::Result<Self> {
        let (jobs, queue) = mpsc::sync_channel(settings.queue_batches);
        let stats = Arc::new(RecorderStats::default());
        let finishing = Arc::new(AtomicBool::new(false));
        let sequence = writer.sequence();
        let log = Log {
            writer,
            settings,
            stats: Arc::clone(&stats),
            finishing: Arc::clone(&finishing),
            waiting: Vec::new(),
            on_durable,
            last_sync: None,
        };
        let thread = std::thread::Builder::new()
            .name("recorder".into())
            .spawn(move || log.run(&queue))?;
        Ok(Self {
            jobs,
            stats,
            finishing,
            thread,
            sequence,
        })
    }

    /// Hands over a batch received by the engine at `now`; blocks while the queue is full. Returns
    /// the sequence number behind the batch. `token` comes back when the batch stands.
    ///
    /// # Errors
    ///
    /// The recorder has stopped.
    pub fn append(
        &mut self,
        now: Timestamp,
        messages: Arc<Vec<RawMessage>>,
        token: T,
    ) -> Result<u64, RecorderClosed> {
        let count = messages.len() as u64;
        self.jobs
            .send(Job::Append {
                now,
                messages,
                token,
            })
            .map_err(|_returned| RecorderClosed)?;
        self.sequence += count;
        Ok(self.sequence)
    }

    /// Keeps every segment that holds message `sequence` or a later one.
    ///
    /// # Errors
    ///
    /// The recorder has stopped.
    pub fn protect_from(&self, sequence: u64) -> Result<(), RecorderClosed> {
        self.jobs
            .send(Job::ProtectFrom(sequence))
            .map_err(|_returned| RecorderClosed)?;
        Ok(())
    }

    /// Deletes what is too old at `now`.
    ///
    /// # Errors
    ///
    /// The recorder has stopped.
    pub fn expire(&self, now: Timestamp) -> Result<(), RecorderClosed> {
        self.jobs
            .send(Job::Expire(now))
            .map_err(|_returned| RecorderClosed)?;
        Ok(())
    }

    /// What the recorder did so far.
    pub fn stats(&self) -> Arc<RecorderStats> {
        Arc::clone(&self.stats)
    }

    /// Writes what is queued, syncs, stops; returns the number of messages that stand.
    ///
    /// # Errors
    ///
    /// What stopped the recorder, now or earlier.
    pub fn finish(self) -> Result<u64, RecordingError> {
        self.finishing.store(true, Ordering::Relaxed);
        drop(self.jobs);
        match self.thread.join() {
            Ok(result) => result,
            Err(panic) => std::panic::resume_unwind(panic),
        }
    }
}

/// The thread's own state.
struct Log<T, F> {
    writer: Writer,
    settings: RecorderSettings,
    stats: Arc<RecorderStats>,
    finishing: Arc<AtomicBool>,
    waiting: Vec<T>,
    on_durable: F,
    last_sync: Option<Instant>,
}

impl<T, F: FnMut(Durable<'_, T>)> Log<T, F> {
    fn run(mut self, queue: &Receiver<Job<T>>) -> Result<u64, RecordingError> {
        loop {
            match self.next_job(queue) {
                Ok(job) => self.take(job)?,
                Err(RecvTimeoutError::Timeout) => {}
                Err(RecvTimeoutError::Disconnected) => {
                    self.settle()?;
                    return Ok(self.writer.sequence());
                }
            }
            if self.sync_due().is_some_and(|wait| wait.is_zero()) {
                self.settle()?;
            }
        }
    }

    fn next_job(&self, queue: &Receiver<Job<T>>) -> Result<Job<T>, RecvTimeoutError> {
        match self.sync_due() {
            Some(wait) => queue.recv_timeout(wait),
            None => queue
                .recv()
                .map_err(|_closed| RecvTimeoutError::Disconnected),
        }
    }

    /// How long until what was written must be forced to the disk; `None` when nothing waits.
    fn sync_due(&self) -> Option<Duration> {
        if self.waiting.is_empty() {
            return None;
        }
        let wait = match (self.settings.sync, self.last_sync) {
            (SyncPolicy::AtMostEvery(interval), Some(last)) => {
                interval.saturating_sub(last.elapsed())
            }
            _ => Duration::ZERO,
        };
        Some(wait)
    }

    fn take(&mut self, job: Job<T>) -> Result<(), RecordingError> {
        match job {
            Job::Append {
                now,
                messages,
                token,
            } => {
                for message in messages.iter() {
                    if let Err(error) = self.writer.stage(now, message) {
                        self.stats.refused.fetch_add(1, Ordering::Relaxed);
                        tracing::error!(%error, "A message cannot be recorded.");
                    }
                }
                self.persist(Writer::commit)?;
                self.stats
                    .written
                    .fetch_add(messages.len() as u64, Ordering::Relaxed);
                self.waiting.push(token);
            }
            Job::ProtectFrom(sequence) => self.writer.protect_from(sequence),
            Job::Expire(now) => self.persist(|writer| writer.expire(now))?,
        }
        let expired = self.writer.expired();
        let stats = &self.stats;
        stats
            .expired_by_age
            .store(expired.by_age, Ordering::Relaxed);
        stats
            .expired_by_size
            .store(expired.by_size, Ordering::Relaxed);
        Ok(())
    }

    /// Makes what was written stand and says so.
    fn settle(&mut self) -> Result<(), RecordingError> {
        if let SyncPolicy::AtMostEvery(_) = self.settings.sync {
            // Not tried again: after a failed fsync nobody knows what the file holds.
            self.writer.sync()?;
            self.stats.syncs.fetch_add(1, Ordering::Relaxed);
            self.last_sync = Some(Instant::now());
        }
        let sequence = self.writer.sequence();
        self.stats.durable.store(sequence, Ordering::Relaxed);
        if !self.waiting.is_empty() {
            (self.on_durable)(Durable {
                sequence,
                tokens: self.waiting.drain(..),
            });
        }
        Ok(())
    }

    /// Runs `step` until the file system lets it pass.
    fn persist(
        &mut self,
        step: impl Fn(&mut Writer) -> Result<(), RecordingError>,
    ) -> Result<(), RecordingError> {
        let mut wait = RETRY_MIN;
        let mut attempts_left = FINISH_ATTEMPTS;
        while let Err(error) = step(&mut self.writer) {
            if !self.stats.failing.swap(true, Ordering::Relaxed) {
                tracing::error!(%error, "The recording cannot be written; nothing is acknowledged.");
            }
            self.stats.retries.fetch_add(1, Ordering::Relaxed);
            if self.finishing.load(Ordering::Relaxed) {
                attempts_left -= 1;
                if attempts_left == 0 {
                    return Err(error);
                }
            }
            std::thread::sleep(wait);
            wait = (wait * 2).min(RETRY_MAX);
        }
        if self.stats.failing.swap(false, Ordering::Relaxed) {
            tracing::warn!("The recording can be written again.");
        }
        Ok(())
    }
}
