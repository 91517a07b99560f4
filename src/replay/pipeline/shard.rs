//! One shard on its thread.

use std::sync::mpsc::{Receiver, SyncSender};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use super::analysis::ToAnalysis;
use super::{Latency, stage_ended};
use crate::engine::{Closed, Shard, ShardCounts};
use crate::matching::Areas;
use crate::observation::Observation;
use crate::units::{Interval, SourceId};

/// Observations handed to a shard at once. Chosen; see benches/engine.rs.
pub(super) const BATCH_OBSERVATIONS: usize = 1024;
/// Batch times kept until they are asked for; later ones are not kept.
const TIMES_MAX: usize = 4096;

pub(super) type Observations = Vec<(u8, SourceId, Observation)>;

/// Observations on their way to a shard.
pub(super) struct Batch {
    observations: Observations,
    /// When the messages behind them were taken from the queue.
    taken_at: Instant,
}

pub(super) enum ToShard {
    Batch(Batch),
    Areas(Arc<Areas>),
    Flush,
    Close(Interval),
    Snapshot(SyncSender<Vec<Vec<u8>>>),
    Barrier(SyncSender<()>),
}

/// What a running shard says of itself.
#[derive(Debug, Default)]
pub(super) struct ShardProgress {
    pub(super) counts: ShardCounts,
    pub(super) tracks: u64,
    /// Time from taking messages until their records stood in the sums, s.
    pub(super) latency_s: Vec<f64>,
    /// Time spent on a batch, s.
    pub(super) busy_s: Vec<f64>,
}

/// The front's end of a shard.
pub(super) struct ShardThread {
    pub(super) queue: SyncSender<ToShard>,
    pub(super) empties: Receiver<Observations>,
    pub(super) filling: Observations,
    pub(super) taken_at: Instant,
    pub(super) progress: Arc<Mutex<ShardProgress>>,
    pub(super) thread: JoinHandle<(ShardCounts, u64, Latency)>,
}

impl ShardThread {
    pub(super) fn send(&self, message: ToShard) -> anyhow::Result<()> {
        self.queue.send(message).map_err(stage_ended)
    }

    pub(super) fn hand_over(&mut self) -> anyhow::Result<()> {
        if self.filling.is_empty() {
            return Ok(());
        }
        let empty = self.empties.try_recv();
        let empty = empty.unwrap_or_else(|_none| Vec::with_capacity(BATCH_OBSERVATIONS));
        let observations = std::mem::replace(&mut self.filling, empty);
        self.send(ToShard::Batch(Batch {
            observations,
            taken_at: self.taken_at,
        }))
    }
}

/// The shard's end.
pub(super) struct ShardWorker {
    pub(super) shard: Shard,
    pub(super) segment_count: usize,
    pub(super) to_analysis: SyncSender<ToAnalysis>,
    pub(super) spare: Arc<Mutex<Receiver<Closed>>>,
    pub(super) return_batch: SyncSender<Observations>,
    pub(super) progress: Arc<Mutex<ShardProgress>>,
    pub(super) match_ns: Latency,
}

impl ShardWorker {
    pub(super) fn run(mut self, inbox: &Receiver<ToShard>) -> (ShardCounts, u64, Latency) {
        while let Ok(message) = inbox.recv() {
            let is_alive = match message {
                ToShard::Batch(batch) => {
                    self.observe(batch);
                    true
                }
                ToShard::Areas(areas) => {
                    self.shard.set_areas(areas);
                    true
                }
                ToShard::Flush => {
                    self.shard.flush();
                    true
                }
                ToShard::Close(minute) => self.close(minute),
                ToShard::Snapshot(reply) => reply.send(self.shard.snapshot()).is_ok(),
                ToShard::Barrier(reply) => reply.send(()).is_ok(),
            };
            if !is_alive {
                break;
            }
        }
        (
            self.shard.counts().clone(),
            self.shard.track_count() as u64,
            self.match_ns,
        )
    }

    fn observe(&mut self, batch: Batch) {
        let started = Instant::now();
        let Batch {
            mut observations,
            taken_at,
        } = batch;
        let count = observations.len();
        for (partition, source, observation) in observations.drain(..) {
            self.shard.observe(partition, source, &observation);
        }
        let busy = started.elapsed();
        self.match_ns.add(busy.as_nanos() as f64 / count as f64);
        self.report(busy, taken_at.elapsed());
        // A full return queue only means that the batch is freed here.
        drop(self.return_batch.try_send(observations));
    }

    fn report(&self, busy: Duration, latency: Duration) {
        if let Ok(mut progress) = self.progress.lock() {
            progress.counts.clone_from(self.shard.counts());
            if progress.busy_s.len() < TIMES_MAX {
                progress.busy_s.push(busy.as_secs_f64());
                progress.latency_s.push(latency.as_secs_f64());
            }
        }
    }

    fn close(&mut self, minute: Interval) -> bool {
        let spare = self
            .spare
            .lock()
            .ok()
            .and_then(|spare| spare.try_recv().ok());
        let mut closed = spare.unwrap_or_else(|| Closed::new(self.segment_count));
        self.shard.close(minute, &mut closed);
        if let Ok(mut progress) = self.progress.lock() {
            progress.tracks = self.shard.track_count() as u64;
        }
        self.to_analysis
            .send(ToAnalysis::Closed { minute, closed })
            .is_ok()
    }
}
