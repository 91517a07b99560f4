//! The analysis on its thread: merges what the shards hand over minute by minute and runs stage 2.

use std::collections::BTreeMap;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, SyncSender};
use std::time::Instant;

use anyhow::Context;

use super::forecasts::Forecasts;
use super::{Latency, stage_ended};
use crate::engine::{Analysis, Closed};
use crate::observation::DetectorReading;
use crate::publish::format::{ForecastScoresMessage, scores_message};
use crate::replay::outputs::{MinuteTimes, OutputSink};
use crate::state::congestion::DayReport;
use crate::state::{IncidentOrder, RoadsideView, VettingCounts};
use crate::units::Interval;

pub(super) enum ToAnalysis {
    Closing {
        minute: Interval,
        detectors: Vec<DetectorReading>,
        roadside: Arc<RoadsideView>,
        orders: Vec<IncidentOrder>,
    },
    Closed {
        minute: Interval,
        closed: Closed,
    },
    /// Asks for the memory of the analysis and that of the sink.
    Snapshot(SyncSender<[Vec<u8>; 2]>),
    Profiles(SyncSender<Vec<u8>>),
    Barrier(SyncSender<()>),
}

#[derive(Default)]
pub(super) struct PendingMinute {
    detectors: Vec<DetectorReading>,
    roadside: Arc<RoadsideView>,
    orders: Vec<IncidentOrder>,
    closed: Option<Closed>,
    missing: usize,
}

pub(super) struct AnalysisWorker<S> {
    pub(super) stage2: Analysis,
    pub(super) sink: S,
    pub(super) forecasts: Forecasts,
    pub(super) shard_count: usize,
    pub(super) pending: BTreeMap<Interval, PendingMinute>,
    pub(super) return_closed: SyncSender<Closed>,
    pub(super) state_us: Latency,
    pub(super) forecast_us: Latency,
    pub(super) guide_us: Latency,
}

pub(super) struct AnalysisEnd<S> {
    pub(super) sink: S,
    pub(super) profiles: Vec<u8>,
    /// Reports of the days of the run, the last one as far as it came.
    pub(super) days: Vec<Arc<DayReport>>,
    pub(super) vetting: VettingCounts,
    pub(super) scores: Option<ForecastScoresMessage>,
    pub(super) state_us: Latency,
    pub(super) forecast_us: Latency,
    pub(super) guide_us: Latency,
}

impl<S: OutputSink> AnalysisWorker<S> {
    pub(super) fn run(mut self, inbox: &Receiver<ToAnalysis>) -> anyhow::Result<AnalysisEnd<S>> {
        while let Ok(message) = inbox.recv() {
            match message {
                ToAnalysis::Closing {
                    minute,
                    detectors,
                    roadside,
                    orders,
                } => {
                    let missing = self.shard_count;
                    self.pending.insert(
                        minute,
                        PendingMinute {
                            detectors,
                            roadside,
                            orders,
                            closed: None,
                            missing,
                        },
                    );
                }
                ToAnalysis::Closed { minute, closed } => self.collect(minute, closed)?,
                ToAnalysis::Snapshot(reply) => {
                    let [mut stage2, mut sink] = [Vec::new(), Vec::new()];
                    self.stage2.snapshot(&mut stage2);
                    self.sink.snapshot(&mut sink);
                    reply.send([stage2, sink]).map_err(stage_ended)?;
                }
                ToAnalysis::Profiles(reply) => {
                    let mut bytes = Vec::new();
                    self.stage2.save_profiles(&mut bytes);
                    reply.send(bytes).map_err(stage_ended)?;
                }
                ToAnalysis::Barrier(reply) => reply.send(()).map_err(stage_ended)?,
            }
        }
        self.sink.finish()?;
        let mut profiles = Vec::new();
        self.stage2.save_profiles(&mut profiles);
        let congestion = self.stage2.congestion();
        let finished = congestion.days().iter().cloned();
        let days = finished.chain(congestion.today().map(Arc::new)).collect();
        Ok(AnalysisEnd {
            profiles,
            days,
            vetting: *self.stage2.vetting().counts(),
            scores: scores_message(
                self.stage2.errors(),
                self.stage2.outlooks(),
                self.stage2.flows(),
            ),
            sink: self.sink,
            state_us: self.state_us,
            forecast_us: self.forecast_us,
            guide_us: self.guide_us,
        })
    }

    /// Merges what one shard hands over; the last one of a minute closes it. Shards close minutes in
    /// order, so minutes complete in order too.
    fn collect(&mut self, minute: Interval, mut closed: Closed) -> anyhow::Result<()> {
        let pending = self
            .pending
            .get_mut(&minute)
            .context("a shard closed a minute that the front did not")?;
        pending.missing -= 1;
        match &mut pending.closed {
            None => pending.closed = Some(closed),
            Some(merged) => {
                merged.merge(&closed);
                closed.clear();
                drop(self.return_closed.try_send(closed));
            }
        }
        if pending.missing > 0 {
            return Ok(());
        }
        let pending = self.pending.remove(&minute).unwrap_or_default();
        let mut closed = pending.closed.context("a minute that no shard closed")?;
        self.stage2.take_roadside(pending.roadside);
        self.stage2.take_orders(pending.orders);
        self.close(minute, &mut closed, &pending.detectors)?;
        closed.clear();
        drop(self.return_closed.try_send(closed));
        Ok(())
    }

    fn close(
        &mut self,
        minute: Interval,
        closed: &mut Closed,
        detectors: &[DetectorReading],
    ) -> anyhow::Result<()> {
        let started = Instant::now();
        let (state, request) = self.stage2.close_minute(minute, closed, detectors);
        let state_s = started.elapsed().as_secs_f64();
        self.sink.state(&state)?;
        if let Some(congestion) = self.stage2.congestion_batch() {
            self.sink.congestion(congestion)?;
        }
        let changes = self.stage2.incident_changes();
        if !changes.is_empty() {
            self.sink.incidents(changes)?;
        }
        if let Some(derived) = self.stage2.derived() {
            self.sink.performance(derived)?;
        }
        if let Some(outlook) = self.stage2.outlook() {
            self.sink.outlook(outlook)?;
        }
        let started = Instant::now();
        let forecast = self.forecasts.answer(&request)?;
        let forecast_s = started.elapsed().as_secs_f64();
        let started = Instant::now();
        let mut guidance = Vec::new();
        let forecast = self.stage2.forecast_done(forecast, &mut guidance);
        let shadow = self.forecasts.shadow(&request);
        shadow.iter().for_each(|said| self.stage2.shadow_done(said));
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
