//! The analysis on its thread: merges the shards' sums minute by minute and runs stage 2.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, SyncSender, sync_channel};
use std::time::{Duration, Instant};

use anyhow::{Context, anyhow};

use super::{Latency, spawn, stage_ended};
use crate::engine::Analysis;
use crate::forecast::{ForecastBatch, ForecastRequest, Forecaster, ProfileResidual};
use crate::matching::Located;
use crate::observation::DetectorReading;
use crate::replay::outputs::{MinuteTimes, OutputSink};
use crate::state::BinSums;
use crate::units::Interval;

pub(super) enum ToAnalysis {
    Closing {
        minute: Interval,
        detectors: Vec<DetectorReading>,
    },
    Sums {
        minute: Interval,
        sums: BinSums,
        present: Vec<Located>,
    },
    Snapshot(SyncSender<Vec<u8>>),
    Barrier(SyncSender<()>),
}

#[derive(Default)]
pub(super) struct PendingMinute {
    detectors: Vec<DetectorReading>,
    sums: Option<BinSums>,
    present: Vec<Located>,
    missing: usize,
}

pub(super) struct AnalysisWorker<S> {
    pub(super) stage2: Analysis,
    pub(super) sink: S,
    pub(super) forecasts: Forecasts,
    pub(super) shard_count: usize,
    pub(super) pending: BTreeMap<Interval, PendingMinute>,
    pub(super) return_sums: SyncSender<BinSums>,
    pub(super) state_us: Latency,
    pub(super) forecast_us: Latency,
    pub(super) guide_us: Latency,
}

pub(super) struct AnalysisEnd<S> {
    pub(super) sink: S,
    pub(super) profiles: Vec<u8>,
    pub(super) state_us: Latency,
    pub(super) forecast_us: Latency,
    pub(super) guide_us: Latency,
}

impl<S: OutputSink> AnalysisWorker<S> {
    pub(super) fn run(mut self, inbox: &Receiver<ToAnalysis>) -> anyhow::Result<AnalysisEnd<S>> {
        while let Ok(message) = inbox.recv() {
            match message {
                ToAnalysis::Closing { minute, detectors } => {
                    let missing = self.shard_count;
                    self.pending.insert(
                        minute,
                        PendingMinute {
                            detectors,
                            sums: None,
                            present: Vec::new(),
                            missing,
                        },
                    );
                }
                ToAnalysis::Sums {
                    minute,
                    sums,
                    present,
                } => self.collect(minute, sums, present)?,
                ToAnalysis::Snapshot(reply) => {
                    let mut bytes = Vec::new();
                    self.stage2.snapshot(&mut bytes);
                    reply.send(bytes).map_err(stage_ended)?;
                }
                ToAnalysis::Barrier(reply) => reply.send(()).map_err(stage_ended)?,
            }
        }
        self.sink.finish()?;
        let mut profiles = Vec::new();
        self.stage2.save_profiles(&mut profiles);
        Ok(AnalysisEnd {
            profiles,
            sink: self.sink,
            state_us: self.state_us,
            forecast_us: self.forecast_us,
            guide_us: self.guide_us,
        })
    }

    /// Merges one shard's sums; the last one of a minute closes it. Shards close minutes in order,
    /// so minutes complete in order too.
    fn collect(
        &mut self,
        minute: Interval,
        mut sums: BinSums,
        present: Vec<Located>,
    ) -> anyhow::Result<()> {
        let pending = self
            .pending
            .get_mut(&minute)
            .context("sums of a minute never closed")?;
        pending.missing -= 1;
        if pending.present.is_empty() {
            pending.present = present;
        } else {
            pending.present.extend(present);
        }
        match &mut pending.sums {
            None => pending.sums = Some(sums),
            Some(merged) => {
                merged.merge(&sums);
                sums.clear();
                drop(self.return_sums.try_send(sums));
            }
        }
        if pending.missing > 0 {
            return Ok(());
        }
        let pending = self.pending.remove(&minute).unwrap_or_default();
        let mut sums = pending.sums.context("a minute without sums")?;
        self.stage2.locate(minute.end, pending.present);
        self.close(minute, &sums, &pending.detectors)?;
        sums.clear();
        drop(self.return_sums.try_send(sums));
        Ok(())
    }

    fn close(
        &mut self,
        minute: Interval,
        sums: &BinSums,
        detectors: &[DetectorReading],
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let (state, request) = self.stage2.close_minute(minute, sums, detectors);
        let state_s = started.elapsed().as_secs_f64();
        self.sink.state(&state)?;
        let started = Instant::now();
        let forecast = self.forecasts.answer(&request)?;
        let forecast_s = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let mut guidance = Vec::new();
        let forecast = self.stage2.forecast_done(forecast, &mut guidance);
        let took = MinuteTimes {
            state_s,
            forecast_s,
            guide_s: started.elapsed().as_secs_f64(),
        };
        self.state_us.add(took.state_s * 1e6);
        self.forecast_us.add(took.forecast_s * 1e6);
        self.guide_us.add(took.guide_s * 1e6);
        if let Some(forecast) = &forecast {
            self.sink.forecast(forecast)?;
        }
        for message in &guidance {
            self.sink.guidance(message)?;
        }
        self.sink.minute_done(&self.stage2, took)
    }
}

/// Runs forecasts: at once, or on a thread with a deadline after which the baseline speaks.
pub(super) struct Forecasts {
    forecaster: Arc<dyn Forecaster>,
    worker: Option<ForecastThread>,
}

struct ForecastThread {
    deadline: Duration,
    requests: SyncSender<Arc<ForecastRequest>>,
    answers: Receiver<ForecastBatch>,
}

impl Forecasts {
    pub(super) fn new(
        forecaster: Arc<dyn Forecaster>,
        deadline: Option<Duration>,
    ) -> anyhow::Result<Self> {
        let Some(deadline) = deadline else {
            return Ok(Self {
                forecaster,
                worker: None,
            });
        };
        let (requests, inbox) = sync_channel::<Arc<ForecastRequest>>(1);
        let (outbox, answers) = sync_channel(2);
        let model = forecaster.clone();
        spawn("forecast", move || {
            while let Ok(request) = inbox.recv() {
                if outbox.send(model.forecast(&request)).is_err() {
                    break;
                }
            }
        })
        .context("starting forecast")?;
        Ok(Self {
            forecaster,
            worker: Some(ForecastThread {
                deadline,
                requests,
                answers,
            }),
        })
    }

    /// The answer to `request`: the model's, or the baseline's where the model is late.
    fn answer(&self, request: &Arc<ForecastRequest>) -> anyhow::Result<ForecastBatch> {
        let Some(worker) = &self.worker else {
            return Ok(self.forecaster.forecast(request));
        };
        let issued_at = request.issued_at;
        // A worker still busy with an earlier request is late for this one too.
        if worker.requests.try_send(request.clone()).is_ok() {
            let until = Instant::now() + worker.deadline;
            loop {
                let left = until.saturating_duration_since(Instant::now());
                match worker.answers.recv_timeout(left) {
                    Ok(answer) if answer.issued_at == issued_at => return Ok(answer),
                    Ok(_stale) => {}
                    Err(RecvTimeoutError::Timeout) => break,
                    Err(RecvTimeoutError::Disconnected) => {
                        return Err(anyhow!("the forecast thread has ended"));
                    }
                }
            }
        }
        let mut answer = ProfileResidual.forecast(request);
        answer.fallback = true;
        Ok(answer)
    }
}
