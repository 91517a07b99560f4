//! The single-threaded engine: one value that takes inputs and gives outputs.

use std::collections::VecDeque;
use std::sync::Arc;

use super::{
    Analysis, AnalysisSettings, Closed, Front, FrontSettings, Routed, Shard, ShardCounts,
    SnapshotError,
};
use crate::forecast::{ForecastBatch, ForecastRequest, OutlookBatch};
use crate::guide::Guidance;
use crate::matching::{Matcher, Presence};
use crate::observation::{DetectorReading, RawMessage, RejectCounts};
use crate::state::congestion::CongestionBatch;
use crate::state::{IncidentChange, PerformanceBatch, RoadsideView, StateBatch, Vetting};
use crate::units::{Interval, Timestamp};
use crate::wire::DecoderTable;

/// Everything that can happen to the engine.
#[derive(Debug)]
pub enum Input {
    /// A message arrived.
    Message(RawMessage),
    /// A detector reading arrived by another way than a message.
    Detector(DetectorReading),
    /// The time that [`Engine::poll_deadline`] named has come.
    Deadline,
    /// A forecast asked for by [`Output::RunForecast`] was answered.
    ForecastDone(Box<ForecastBatch>),
    /// A shadow model has answered the request of the newest five-minute mark.
    ShadowDone(Box<ForecastBatch>),
    /// There will be no more input.
    End,
}

/// Everything the engine wants done.
#[derive(Debug)]
pub enum Output {
    /// A minute has closed.
    State(Arc<StateBatch>),
    /// The index of every region in the same minute.
    Congestion(Arc<CongestionBatch>),
    /// Incidents have begun, changed or ended in the minute.
    Incidents(Vec<IncidentChange>),
    /// What was derived of the minute: corridors, bottlenecks, turning flows, diagrams.
    Derived(Arc<PerformanceBatch>),
    /// Forecast from this and answer with [`Input::ForecastDone`].
    RunForecast(Arc<ForecastRequest>),
    /// A forecast was accepted.
    Forecast(Arc<ForecastBatch>),
    /// The two hours after the forecast's hour, on each five-minute mark.
    Outlook(Arc<OutlookBatch>),
    /// Guidance that is new, changed or withdrawn.
    Publish(Box<Guidance>),
}

/// All rooms from `wire` to `guide` behind one door. It has no clock and never blocks.
///
/// Invariant: outputs are drained with [`Engine::poll_output`] until `None` before the next
/// [`Engine::handle`].
#[derive(Debug)]
pub struct Engine {
    front: Front,
    shard: Shard,
    analysis: Analysis,
    closed: Closed,
    routed: Vec<Routed>,
    outputs: VecDeque<Output>,
    /// How long after a minute's end it is closed when nothing arrives, ms.
    silence_ms: i64,
}

impl Engine {
    /// Builds an engine that has seen nothing.
    ///
    /// # Errors
    /// When the profiles are broken or of another network.
    pub fn new(
        matcher: Arc<Matcher>,
        decoder: DecoderTable,
        front: FrontSettings,
        analysis: AnalysisSettings,
    ) -> Result<Self, SnapshotError> {
        let silence_ms = front.lateness_ms.saturating_mul(2).max(1_000);
        let closed = Closed::new(matcher.network().segment_count());
        Ok(Self {
            analysis: Analysis::new(matcher.network(), analysis)?,
            front: Front::new(decoder, front)
                .with_areas(matcher.areas().clone())
                .with_network(matcher.network().clone())
                .with_pseudonyms(matcher.pseudonyms().clone()),
            shard: Shard::new(matcher, 0, 1),
            closed,
            routed: Vec::new(),
            outputs: VecDeque::new(),
            silence_ms,
        })
    }

    /// Applies one input. Total: bad input is counted, never an error.
    pub fn handle(&mut self, now: Timestamp, input: Input) {
        debug_assert!(
            self.outputs.is_empty(),
            "outputs must be drained before the next input"
        );
        let mut routed = std::mem::take(&mut self.routed);
        let mut push = |item| routed.push(item);
        match input {
            Input::Message(message) => self.front.accept(now, &message, &mut push),
            Input::Detector(reading) => self.front.accept_detector(now, reading, &mut push),
            Input::Deadline => self
                .front
                .close_until(now.plus_millis(-self.silence_ms), &mut push),
            Input::ForecastDone(forecast) => self.forecast_done(*forecast),
            Input::ShadowDone(shadow) => self.analysis.shadow_done(&shadow),
            Input::End => self.front.finish(&mut push),
        }
        for item in routed.drain(..) {
            self.apply(item);
        }
        self.routed = routed;
    }

    fn apply(&mut self, item: Routed) {
        match item {
            Routed::Observation {
                partition,
                source,
                observation,
            } => {
                self.shard.observe(partition, source, &observation);
            }
            Routed::Flush => self.shard.flush(),
            Routed::Areas(areas) => self.shard.set_areas(areas),
            Routed::Close {
                minute,
                detectors,
                roadside,
                orders,
            } => {
                self.analysis.take_roadside(roadside);
                self.analysis.take_orders(orders);
                self.close(minute, &detectors);
            }
        }
    }

    fn close(&mut self, minute: Interval, detectors: &[DetectorReading]) {
        self.closed.clear();
        self.shard.close(minute, &mut self.closed);
        let closed = &mut self.closed;
        let (state, request) = self.analysis.close_minute(minute, closed, detectors);
        self.outputs.push_back(Output::State(state));
        let congestion = self.analysis.congestion_batch().cloned();
        self.outputs.extend(congestion.map(Output::Congestion));
        let changes = self.analysis.incident_changes();
        if !changes.is_empty() {
            self.outputs.push_back(Output::Incidents(changes.to_vec()));
        }
        let derived = self.analysis.derived().cloned();
        self.outputs.extend(derived.map(Output::Derived));
        let outlook = self.analysis.outlook().cloned();
        self.outputs.extend(outlook.map(Output::Outlook));
        self.outputs.push_back(Output::RunForecast(request));
    }

    fn forecast_done(&mut self, forecast: ForecastBatch) {
        let mut guidance = Vec::new();
        let accepted = self.analysis.forecast_done(forecast, &mut guidance);
        self.outputs.extend(accepted.map(Output::Forecast));
        self.outputs
            .extend(guidance.into_iter().map(Box::new).map(Output::Publish));
    }

    /// The next thing to do, oldest first; `None` when all is done.
    pub fn poll_output(&mut self) -> Option<Output> {
        self.outputs.pop_front()
    }

    /// When [`Input::Deadline`] is due if nothing else happens before.
    pub fn poll_deadline(&self) -> Option<Timestamp> {
        let open_from = self.front.open_from()?;
        Some(open_from.plus_millis(crate::state::MINUTE_MS + self.silence_ms))
    }

    /// Who was where at the end of the minute closed last.
    pub fn presence(&self) -> &Arc<Presence> {
        self.analysis.presence()
    }

    /// The judge of reports: trust in sources, and what was left out.
    pub fn vetting(&self) -> &Vetting {
        self.analysis.vetting()
    }

    /// What roadside units told until the end of the minute closed last.
    pub fn roadside(&self) -> &Arc<RoadsideView> {
        self.analysis.roadside()
    }

    /// Records seen so far, refused ones included.
    pub fn received(&self) -> u64 {
        self.front.received()
    }

    /// Records used so far, and records refused so far by reason. Together they are
    /// [`Engine::received`].
    pub fn accounts(&self) -> (u64, RejectCounts) {
        let ShardCounts { used, mut rejected } = self.shard.counts().clone();
        rejected.merge(self.front.rejected());
        (used + self.front.detector_count(), rejected)
    }
}
