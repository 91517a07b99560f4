//! The engine's stages on threads: the caller's thread is the front, each shard has one, the
//! analysis has one. Queues are bounded and block; nothing is dropped here.

mod analysis;
mod forecasts;
mod shard;

use std::collections::BTreeMap;
use std::sync::mpsc::{SyncSender, sync_channel};
use std::sync::{Arc, Mutex};
use std::thread::JoinHandle;
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use self::analysis::{AnalysisEnd, AnalysisWorker, ToAnalysis};
pub use self::forecasts::Forecasters;
use self::forecasts::Forecasts;
use self::shard::{BATCH_OBSERVATIONS, ShardProgress, ShardThread, ShardWorker, ToShard};
use super::outputs::OutputSink;
use super::report::Latency;
use crate::engine::{Analysis, AnalysisSettings, Front, FrontSettings, Routed, Shard, ShardCounts};
use crate::matching::Matcher;
use crate::network::NetworkVersion;
use crate::observation::{DetectorReading, RawMessage, RejectCounts};
use crate::publish::format::ForecastScoresMessage;
use crate::state::VettingCounts;
use crate::state::congestion::DayReport;
use crate::units::Timestamp;
use crate::wire::DecoderTable;

/// Batches waiting at a shard before the front blocks.
const SHARD_QUEUE_BATCHES: usize = 16;
/// Messages waiting at the analysis before a shard blocks.
const ANALYSIS_QUEUE_MESSAGES: usize = 64;
/// One message in this many has its decoding timed.
const DECODE_TIMING_STRIDE: u64 = 32;

/// How the pipeline runs; none of it changes a result.
#[derive(Clone, Debug)]
pub struct PipelineSettings {
    /// Threads that match, 1..=256.
    pub shard_count: usize,
    /// How long a forecast may take before the baseline speaks; `None` waits for it.
    pub forecast_deadline: Option<Duration>,
}

/// What the stages of the pipeline are made of.
#[derive(Debug)]
pub struct Parts {
    /// Network and matching settings.
    pub matcher: Arc<Matcher>,
    /// Which decoder serves which topic.
    pub decoder: DecoderTable,
    /// Settings of the front.
    pub front: FrontSettings,
    /// Settings of the analysis.
    pub analysis: AnalysisSettings,
}

/// What a finished run has counted and measured.
#[derive(Debug, Default)]
pub struct RunFigures {
    /// Records seen, refused ones included.
    pub received: u64,
    /// Records used.
    pub used: u64,
    /// Records refused, by reason.
    pub rejected: RejectCounts,
    /// Road users still tracked at the end.
    pub tracks: u64,
    /// Decoding, ns a message.
    pub decode_ns: Latency,
    /// Matching and summing, ns a record (mean of each batch).
    pub match_ns: Latency,
    /// Closing a minute, us.
    pub state_us: Latency,
    /// Forecasting, us.
    pub forecast_us: Latency,
    /// Guidance, us.
    pub guide_us: Latency,
    /// Which reports were believed.
    pub vetting: VettingCounts,
    /// How forecasts have done, where anything was scored.
    pub scores: Option<ForecastScoresMessage>,
    /// The profiles learnt, as [`crate::state::Profiles::save`] writes them.
    pub profiles: Vec<u8>,
    /// Reports of the days of the run, the last one as far as it came.
    pub days: Vec<Arc<DayReport>>,
}

/// What the shards of a running pipeline have done so far.
#[derive(Debug, Default)]
pub struct Progress {
    /// Records used and refused.
    pub counts: ShardCounts,
    /// Road users tracked at the last close of a minute.
    pub tracks: u64,
    /// Times from taking messages until their records stood in the sums, s.
    pub latency_s: Vec<f64>,
    /// Times spent on a batch, s.
    pub busy_s: Vec<f64>,
}

/// The running stages. Feed it in order, then [`Pipeline::finish`].
pub struct Pipeline<S> {
    network: NetworkVersion,
    front: Front,
    shards: Vec<ShardThread>,
    analysis: SyncSender<ToAnalysis>,
    analysis_thread: JoinHandle<anyhow::Result<AnalysisEnd<S>>>,
    decode_ns: Latency,
    messages: u64,
}

impl<S> std::fmt::Debug for Pipeline<S> {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Pipeline")
            .field("shards", &self.shards.len())
            .finish_non_exhaustive()
    }
}

impl<S: OutputSink + 'static> Pipeline<S> {
    /// Starts the threads; `snapshot` is what [`Pipeline::snapshot`] returned in an earlier run
    /// with the same network, whatever its number of shards.
    ///
    /// # Errors
    /// When the snapshot cannot be restored or a thread cannot be started.
    pub fn start(
        settings: &PipelineSettings,
        parts: Parts,
        forecasters: impl Into<Forecasters>,
        mut sink: S,
        snapshot: Option<&[u8]>,
    ) -> anyhow::Result<Self> {
        let Parts {
            matcher,
            decoder,
            front,
            mut analysis,
        } = parts;
        let forecasters: Forecasters = forecasters.into();
        analysis.promised_share = forecasters.running.promised_share();
        analysis.usual = forecasters
            .running
            .usual_speeds(matcher.network().version());
        let mut front = Front::new(decoder, front)
            .with_areas(matcher.areas().clone())
            .with_network(matcher.network().clone())
            .with_pseudonyms(matcher.pseudonyms().clone());
        let shard_count = settings.shard_count;
        let mut shards: Vec<Shard> = (0..shard_count)
            .map(|i| Shard::new(matcher.clone(), i, shard_count))
            .collect();
        let mut stage2 = Analysis::new(matcher.network(), analysis)?;
        if let Some(bytes) = snapshot {
            restore(bytes, &mut front, &mut shards, &mut stage2, &mut sink)?;
        }
        let (to_analysis, analysis_queue) = sync_channel(ANALYSIS_QUEUE_MESSAGES);
        let (return_closed, spare) = sync_channel(shard_count * 2);
        let worker = AnalysisWorker {
            stage2,
            sink,
            forecasts: Forecasts::new(forecasters, settings.forecast_deadline)?,
            shard_count,
            pending: BTreeMap::new(),
            return_closed,
            state_us: Latency::default(),
            forecast_us: Latency::default(),
            guide_us: Latency::default(),
        };
        let analysis_thread =
            spawn("analysis", move || worker.run(&analysis_queue)).context("starting analysis")?;
        let spare = Arc::new(Mutex::new(spare));
        let mut threads = Vec::with_capacity(shard_count);
        for shard in shards {
            let (queue, inbox) = sync_channel(SHARD_QUEUE_BATCHES);
            let (return_batch, empties) = sync_channel(SHARD_QUEUE_BATCHES + 2);
            let progress = Arc::new(Mutex::new(ShardProgress::default()));
            let worker = ShardWorker {
                shard,
                segment_count: matcher.network().segment_count(),
                to_analysis: to_analysis.clone(),
                spare: spare.clone(),
                return_batch,
                progress: progress.clone(),
                match_ns: Latency::default(),
            };
            let thread = spawn("shard", move || worker.run(&inbox)).context("starting shard")?;
            let filling = Vec::with_capacity(BATCH_OBSERVATIONS);
            let taken_at = Instant::now();
            threads.push(ShardThread {
                taken_at,
                progress,
                queue,
                empties,
                filling,
                thread,
            });
        }
        Ok(Self {
            network: matcher.network().version(),
            front,
            shards: threads,
            analysis: to_analysis,
            analysis_thread,
            decode_ns: Latency::default(),
            messages: 0,
        })
    }

    /// Takes one message; `now` is the time at which it was received.
    ///
    /// # Errors
    /// When a stage has ended early.
    pub fn accept(&mut self, now: Timestamp, message: &RawMessage) -> anyhow::Result<()> {
        let mut failed = Ok(());
        let (shards, analysis) = (&mut self.shards, &self.analysis);
        let mut route = |item| {
            if failed.is_ok() {
                failed = dispatch(shards, analysis, item);
            }
        };
        let timed = self.messages.is_multiple_of(DECODE_TIMING_STRIDE);
        self.messages += 1;
        let started = timed.then(Instant::now);
        self.front.accept(now, message, &mut route);
        if let Some(started) = started {
            self.decode_ns.add(started.elapsed().as_nanos() as f64);
        }
        failed
    }

    /// Takes one detector reading.
    ///
    /// # Errors
    /// When a stage has ended early.
    pub fn accept_detector(
        &mut self,
        now: Timestamp,
        reading: DetectorReading,
    ) -> anyhow::Result<()> {
        self.with_front(|front, route| front.accept_detector(now, reading, route))
    }

    /// Closes the minutes that ended at or before `time`.
    ///
    /// # Errors
    /// When a stage has ended early.
    pub fn close_until(&mut self, time: Timestamp) -> anyhow::Result<()> {
        self.with_front(|front, route| front.close_until(time, route))
    }

    /// Hands half-filled batches to the shards, so that nothing waits for company.
    ///
    /// # Errors
    /// When a stage has ended early.
    pub fn hand_over(&mut self) -> anyhow::Result<()> {
        self.shards.iter_mut().try_for_each(ShardThread::hand_over)
    }

    /// The network in force.
    pub fn network(&self) -> NetworkVersion {
        self.network
    }

    /// The front of stage 1, for its counts and its watermark.
    pub fn front(&self) -> &Front {
        &self.front
    }

    /// Marks what follows as taken from the queue at `taken_at`, for latencies.
    pub fn begin_batch(&mut self, taken_at: Instant) {
        self.shards
            .iter_mut()
            .for_each(|shard| shard.taken_at = taken_at);
    }

    /// Waits until everything fed so far has been matched, and the outputs of every minute closed
    /// so far are out.
    ///
    /// # Errors
    /// When a stage has ended early.
    pub fn barrier(&mut self) -> anyhow::Result<()> {
        self.hand_over()?;
        for shard in &self.shards {
            let (reply, answer) = sync_channel(1);
            shard.send(ToShard::Barrier(reply))?;
            answer.recv().map_err(stage_ended)?;
        }
        let (reply, answer) = sync_channel(1);
        self.analysis
            .send(ToAnalysis::Barrier(reply))
            .map_err(stage_ended)?;
        answer.recv().map_err(stage_ended)
    }

    /// What the shards have done so far; the times since the last call are moved out.
    pub fn progress(&self) -> Progress {
        let mut sum = Progress::default();
        for shard in &self.shards {
            let Ok(mut progress) = shard.progress.lock() else {
                continue;
            };
            sum.counts.merge(&progress.counts);
            sum.tracks += progress.tracks;
            sum.latency_s.append(&mut progress.latency_s);
            sum.busy_s.append(&mut progress.busy_s);
        }
        sum
    }

    /// The memory of all stages at this point of the input.
    ///
    /// # Errors
    /// When a stage has ended early.
    pub fn snapshot(&mut self) -> anyhow::Result<Vec<u8>> {
        self.hand_over()?;
        let mut replies = Vec::new();
        for shard in &self.shards {
            let (reply, answer) = sync_channel(1);
            shard.send(ToShard::Snapshot(reply))?;
            replies.push(answer);
        }
        let mut partitions = Vec::new();
        for answer in replies {
            partitions.push(answer.recv().map_err(stage_ended)?);
        }
        let (reply, answer) = sync_channel(1);
        self.analysis
            .send(ToAnalysis::Snapshot(reply))
            .map_err(stage_ended)?;
        let [stage2, sink] = answer.recv().map_err(stage_ended)?;
        let mut front = Vec::new();
        self.front.snapshot(&mut front);
        let mut bytes = Vec::new();
        put(&mut bytes, &front);
        put(&mut bytes, &stage2);
        put(&mut bytes, &sink);
        for partition in 0..crate::engine::PARTITION_COUNT {
            let owner = partition % partitions.len();
            put(&mut bytes, &partitions[owner][partition / partitions.len()]);
        }
        Ok(bytes)
    }

    /// The profiles learnt from the minutes that the analysis has closed so far, as
    /// [`crate::state::Profiles::save`] writes them.
    ///
    /// # Errors
    /// When the analysis has ended early.
    pub fn profiles(&self) -> anyhow::Result<Vec<u8>> {
        let (reply, answer) = sync_channel(1);
        self.analysis
            .send(ToAnalysis::Profiles(reply))
            .map_err(stage_ended)?;
        answer.recv().map_err(stage_ended)
    }

    /// Ends the input, waits for every output and returns the counts and the sink.
    ///
    /// # Errors
    /// When a stage or an output has failed.
    pub fn finish(mut self) -> anyhow::Result<(RunFigures, S)> {
        let finished = self
            .with_front(Front::finish)
            .and_then(|()| self.hand_over());
        self.stop(finished)
    }

    /// Stops without ending the input: open minutes stay open, for a snapshot taken before.
    ///
    /// # Errors
    /// When a stage or an output has failed.
    pub fn abandon(mut self) -> anyhow::Result<(RunFigures, S)> {
        let finished = self.hand_over();
        self.stop(finished)
    }

    fn stop(self, finished: anyhow::Result<()>) -> anyhow::Result<(RunFigures, S)> {
        let mut figures = RunFigures {
            received: self.front.received(),
            used: self.front.detector_count(),
            rejected: self.front.rejected().clone(),
            decode_ns: self.decode_ns,
            ..RunFigures::default()
        };
        drop(self.analysis);
        for shard in self.shards {
            drop(shard.queue);
            let (counts, tracks, match_ns) = shard
                .thread
                .join()
                .map_err(|_panic| anyhow!("a shard thread panicked"))?;
            figures.used += counts.used;
            figures.rejected.merge(&counts.rejected);
            figures.tracks += tracks;
            figures.match_ns.merge(match_ns);
        }
        let end = self
            .analysis_thread
            .join()
            .map_err(|_panic| anyhow!("the analysis thread panicked"))??;
        finished?;
        figures.state_us = end.state_us;
        figures.forecast_us = end.forecast_us;
        figures.guide_us = end.guide_us;
        figures.profiles = end.profiles;
        figures.days = end.days;
        figures.vetting = end.vetting;
        figures.scores = end.scores;
        Ok((figures, end.sink))
    }

    fn with_front(
        &mut self,
        act: impl FnOnce(&mut Front, &mut dyn FnMut(Routed)),
    ) -> anyhow::Result<()> {
        let mut failed = Ok(());
        let (shards, analysis) = (&mut self.shards, &self.analysis);
        act(&mut self.front, &mut |item| {
            if failed.is_ok() {
                failed = dispatch(shards, analysis, item);
            }
        });
        failed
    }
}

fn spawn<T: Send + 'static>(
    name: &str,
    run: impl FnOnce() -> T + Send + 'static,
) -> std::io::Result<JoinHandle<T>> {
    std::thread::Builder::new().name(name.into()).spawn(run)
}

fn stage_ended<E>(_: E) -> anyhow::Error {
    anyhow!("a stage of the pipeline has ended early")
}

fn dispatch(
    shards: &mut [ShardThread],
    analysis: &SyncSender<ToAnalysis>,
    item: Routed,
) -> anyhow::Result<()> {
    match item {
        Routed::Observation {
            partition,
            source,
            observation,
        } => {
            let owner = Shard::owner_of(partition, shards.len());
            let shard = &mut shards[owner];
            shard.filling.push((partition, source, observation));
            if shard.filling.len() == BATCH_OBSERVATIONS {
                shard.hand_over()?;
            }
        }
        Routed::Flush => {
            for shard in shards {
                shard.hand_over()?;
                shard.send(ToShard::Flush)?;
            }
        }
        Routed::Areas(areas) => {
            for shard in shards {
                shard.hand_over()?;
                shard.send(ToShard::Areas(areas.clone()))?;
            }
        }
        Routed::Close {
            minute,
            detectors,
            roadside,
            orders,
        } => {
            analysis
                .send(ToAnalysis::Closing {
                    minute,
                    detectors,
                    roadside,
                    orders,
                })
                .map_err(stage_ended)?;
            for shard in shards {
                shard.hand_over()?;
                shard.send(ToShard::Close(minute))?;
            }
        }
    }
    Ok(())
}

fn put(out: &mut Vec<u8>, block: &[u8]) {
    out.extend_from_slice(&(block.len() as u64).to_le_bytes());
    out.extend_from_slice(block);
}

fn take<'a>(bytes: &mut &'a [u8]) -> anyhow::Result<&'a [u8]> {
    let (head, rest) = bytes
        .split_first_chunk::<8>()
        .context("snapshot ends early")?;
    let length = usize::try_from(u64::from_le_bytes(*head)).context("snapshot block too large")?;
    let (block, rest) = rest
        .split_at_checked(length)
        .context("snapshot ends early")?;
    *bytes = rest;
    Ok(block)
}

fn restore(
    mut bytes: &[u8],
    front: &mut Front,
    shards: &mut [Shard],
    stage2: &mut Analysis,
    sink: &mut impl OutputSink,
) -> anyhow::Result<()> {
    front.restore(take(&mut bytes)?)?;
    shards
        .iter_mut()
        .for_each(|shard| shard.set_areas(front.areas().clone()));
    stage2.restore(take(&mut bytes)?)?;
    let memory = take(&mut bytes)?;
    if !memory.is_empty() {
        sink.restore(memory)?;
    }
    for partition in 0..=u8::MAX {
        let owner = Shard::owner_of(partition, shards.len());
        shards[owner].restore(partition, take(&mut bytes)?)?;
    }
    anyhow::ensure!(
        bytes.is_empty(),
        "{} bytes left behind the snapshot",
        bytes.len()
    );
    Ok(())
}
