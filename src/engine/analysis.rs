//! Stage 2: closes minutes and runs state, forecast and guidance, in that order.

use std::sync::Arc;

use super::{Closed, SnapshotError, put_block, take_block};
use crate::forecast::{
    Disturbances, ErrorTracker, FlowBatch, FlowForecaster, ForecastBatch, ForecastRequest, History,
    OpenIncident, OutlookBatch, OutlookTracker, STEP_COUNT,
};
use crate::guide::{Guidance, Guide, GuideSettings};
use crate::matching::{Presence, PresenceSettings};
use crate::network::Network;
use crate::observation::DetectorReading;
use crate::screening::ViewTally;
use crate::state::congestion::{Congestion, CongestionBatch, CongestionSettings};
use crate::state::{
    Closures, Corridor, IncidentChange, IncidentMinute, IncidentOrder, IncidentSettings,
    IncidentState, Incidents, Performance, PerformanceBatch, PerformanceMinute, RoadsideView,
    StateBatch, StateSettings, TrafficState, UsualSpeeds, Vetting, VettingSettings, bad_weather,
};
use crate::units::{Interval, Timestamp};

/// Settings of stage 2.
#[derive(Clone, Debug, Default)]
pub struct AnalysisSettings {
    /// Settings of the state room.
    pub state: StateSettings,
    /// The congestion standard and the regions.
    pub congestion: CongestionSettings,
    /// Settings of the guide room.
    pub guide: GuideSettings,
    /// Which reports are believed.
    pub vetting: VettingSettings,
    /// When something is an incident.
    pub incidents: IncidentSettings,
    /// How long and how many road users are present.
    pub presence: PresenceSettings,
    /// Corridors whose travel times are told, each on the same network.
    pub corridors: Vec<Corridor>,
    /// Roads that will be closed, on the same network.
    pub closures: Closures,
    /// Profiles learnt in an earlier run of the same network, as
    /// [`crate::state::Profiles::save`] wrote them.
    pub profiles: Option<Vec<u8>>,
    /// What is usual as the running model knows it, on the same segments; taken where no profiles are
    /// given.
    pub usual: Option<Arc<UsualSpeeds>>,
    /// What the running model's card states of its errors: [`crate::forecast::Forecaster::promised_share`].
    pub promised_share: Option<[f32; STEP_COUNT]>,
}

/// The owner of everything that is decided once a minute; single-threaded.
#[derive(Debug)]
pub struct Analysis {
    network: Arc<Network>,
    state: TrafficState,
    congestion: Congestion,
    history: History,
    errors: ErrorTracker,
    flows: FlowForecaster,
    /// The flow forecast of the minute closed last.
    flow: Arc<FlowBatch>,
    outlooks: OutlookTracker,
    /// Of the minute closed last, if it ended on a five-minute mark.
    outlook: Option<Arc<OutlookBatch>>,
    guide: Guide,
    vetting: Vetting,
    incidents: Incidents,
    incident_changes: Vec<IncidentChange>,
    orders: Vec<IncidentOrder>,
    performance: Performance,
    derived: Option<Arc<PerformanceBatch>>,
    presence: Arc<Presence>,
    presence_settings: PresenceSettings,
    roadside: Arc<RoadsideView>,
    closures: Arc<Closures>,
    /// The newest state and what was asked from it.
    latest: Option<(Arc<StateBatch>, Arc<ForecastRequest>)>,
}

impl Analysis {
    /// Builds a stage 2 that has seen nothing.
    ///
    /// # Errors
    /// When the profiles are broken or of another network.
    pub fn new(network: &Arc<Network>, settings: AnalysisSettings) -> Result<Self, SnapshotError> {
        let performance = Performance::new(
            network,
            settings.state.calendar.clone(),
            settings.corridors,
            &settings.state.detectors,
        );
        let mut state = TrafficState::new(network.clone(), settings.state);
        if let Some(profiles) = &settings.profiles {
            let broken = SnapshotError::of("profiles");
            state.load_profiles(profiles).map_err(broken)?;
        } else if let Some(usual) = &settings.usual {
            state.start_from(usual);
        }
        Ok(Self {
            flows: FlowForecaster::new(state.calendar().clone()),
            state,
            congestion: Congestion::new(network.clone(), settings.congestion),
            performance,
            derived: None,
            history: History::new(),
            errors: ErrorTracker::new().promising(settings.promised_share),
            flow: Arc::default(),
            outlooks: OutlookTracker::new(),
            outlook: None,
            guide: Guide::new(network.clone(), settings.guide),
            vetting: Vetting::new(settings.vetting, network.segment_count()),
            incidents: Incidents::new(network.clone(), settings.incidents),
            incident_changes: Vec::new(),
            orders: Vec::new(),
            presence: Arc::new(Presence::empty()),
            presence_settings: settings.presence,
            roadside: Arc::default(),
            closures: Arc::new(settings.closures),
            latest: None,
            network: network.clone(),
        })
    }

    /// Who was where at the end of the minute closed last.
    pub fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    /// Takes what roadside units told until the end of the minute that is closed next.
    pub fn take_roadside(&mut self, roadside: Arc<RoadsideView>) {
        self.roadside = roadside;
    }

    /// What roadside units told until the last [`Analysis::take_roadside`].
    pub fn roadside(&self) -> &Arc<RoadsideView> {
        &self.roadside
    }

    /// Takes what operators said until the end of the minute that is closed next.
    pub fn take_orders(&mut self, orders: Vec<IncidentOrder>) {
        self.orders.extend(orders);
    }

    /// Incidents that are open.
    pub fn incidents(&self) -> &Incidents {
        &self.incidents
    }

    /// What the minute closed last has changed about incidents.
    pub fn incident_changes(&self) -> &[IncidentChange] {
        &self.incident_changes
    }

    /// Closes one minute and says what is to be forecast from it. What is not believed is taken out
    /// of the sums; where road users were last is taken out whole.
    pub fn close_minute(
        &mut self,
        minute: Interval,
        closed: &mut Closed,
        detectors: &[DetectorReading],
    ) -> (Arc<StateBatch>, Arc<ForecastRequest>) {
        let present = std::mem::take(&mut closed.present);
        let settings = &self.presence_settings;
        self.presence = Arc::new(Presence::new(&self.network, settings, minute.end, present));
        let tallies: Vec<ViewTally> = closed.tallies.iter().collect();
        let (state, sums) = (&self.state, &mut closed.sums);
        let vetting = &mut self.vetting;
        let verdicts = vetting.vet(state, minute, &closed.stays, &tallies, detectors, sums);
        let mut batch = self.state.close_minute(minute, &closed.sums, detectors);
        for verdict in &verdicts {
            let segment = &mut batch.segments[verdict.segment.index()];
            (segment.doubt, segment.view_count) = (verdict.doubt, verdict.views);
        }
        let derived = self.performance.close_minute(
            &self.network,
            &mut batch,
            &PerformanceMinute {
                sums: &closed.sums,
                stays: &closed.stays,
                readings: detectors,
                table: self.state.detectors(),
            },
        );
        self.derived = Some(Arc::new(derived));
        self.congestion.close_minute(&mut batch);
        let batch = Arc::new(batch);
        let orders = std::mem::take(&mut self.orders);
        let seen = IncidentMinute {
            batch: &batch,
            stays: &closed.stays,
            readings: detectors,
            detectors: self.state.detectors(),
            orders: &orders,
            calendar: self.state.calendar(),
            events: &self.roadside.events,
            closures: &self.closures,
        };
        self.incident_changes.clear();
        self.incidents
            .close_minute(&seen, &mut self.incident_changes);
        self.history.push(&batch);
        self.history.learn_levels(self.state.profiles());
        self.errors.observe(&self.history);
        self.outlooks.observe(&self.history);
        self.flow = Arc::new(self.flows.close_minute(&batch).unwrap_or_default());
        let request = self
            .history
            .forecast_request(self.state.profiles(), self.errors.calibration());
        let mut request = request.expect("a minute was pushed just now");
        request.disturbances = self.disturbances(minute.end);
        let request = Arc::new(request);
        let outlook = self.outlooks.issue(&request, self.state.profiles());
        self.outlook = outlook.map(|outlook| Arc::new(outlook.with_closures(&self.closures)));
        self.latest = Some((batch.clone(), request.clone()));
        (batch, request)
    }

    /// What is known to disturb traffic: confirmed incidents until they are closed, and the weather that units tell.
    fn disturbances(&self, at: Timestamp) -> Disturbances {
        let open = self.incidents.active();
        let is_known = |state| matches!(state, IncidentState::Confirmed | IncidentState::Clearing);
        let open = open.filter(|incident| is_known(incident.state));
        let incidents = open.map(|incident| OpenIncident {
            segment: incident.segment,
            age_min: at.millis_since(incident.since) as f32 / 60_000.0,
        });
        Disturbances {
            incidents: incidents.collect(),
            bad_weather: bad_weather(&self.network, &self.roadside.events, at),
        }
    }

    /// Takes an answered forecast, appends the guidance that changes with it, and returns the
    /// forecast to publish: with intervals as wide as truth has taught, and what baselines say where
    /// the model has been losing to them. An
    /// answer to an older minute than the latest is stale: it is dropped and gives `None`.
    pub fn forecast_done(
        &mut self,
        forecast: ForecastBatch,
        guidance: &mut Vec<Guidance>,
    ) -> Option<Arc<ForecastBatch>> {
        let (state, request) = self.latest.as_ref()?;
        if forecast.issued_at != request.issued_at {
            return None;
        }
        let forecast = self.errors.settle(request, forecast);
        let mut forecast = forecast.with_closures(&self.closures);
        if self.closures.is_empty() {
            forecast.flows = Arc::clone(&self.flow);
        } else {
            let flows = FlowBatch::clone(&self.flow);
            let flows = flows.with_closures(&self.closures, |step| forecast.interval(step));
            forecast.flows = Arc::new(flows);
        }
        let forecast = Arc::new(forecast);
        self.guide
            .update(state, Some(&forecast), &self.presence, guidance);
        Some(forecast)
    }

    /// Takes what a shadow model answers to the request of the newest five-minute mark, after that of
    /// the running model: it is scored, never published. A stale answer is dropped.
    pub fn shadow_done(&mut self, shadow: &ForecastBatch) {
        self.errors.take_shadow(shadow);
    }

    /// Levels, index of the regions and reports of days.
    pub fn congestion(&self) -> &Congestion {
        &self.congestion
    }

    /// The index of the minute closed last.
    pub fn congestion_batch(&self) -> Option<&Arc<CongestionBatch>> {
        self.congestion.latest()
    }

    /// The judge of reports: trust in sources, and what was left out.
    pub fn vetting(&self) -> &Vetting {
        &self.vetting
    }

    /// What was derived of the minute closed last: corridors, bottlenecks, turning flows, diagrams, fields;
    /// `None` before the first.
    pub fn derived(&self) -> Option<&Arc<PerformanceBatch>> {
        self.derived.as_ref()
    }

    /// The memory behind [`Analysis::derived`].
    pub fn performance(&self) -> &Performance {
        &self.performance
    }

    /// Appends the profiles learnt so far, for a later run of the same network.
    pub fn save_profiles(&self, out: &mut Vec<u8>) {
        self.state.profiles().save(&self.network, out);
    }

    /// Rolling errors of the running forecaster and the baselines.
    pub fn errors(&self) -> &ErrorTracker {
        &self.errors
    }

    /// What forecasts the flow where it is counted, with its rolling errors.
    pub fn flows(&self) -> &FlowForecaster {
        &self.flows
    }

    /// The two hours after the forecast's hour, as the minute closed last lets expect them; `None`
    /// where it ended between two five-minute marks.
    pub fn outlook(&self) -> Option<&Arc<OutlookBatch>> {
        self.outlook.as_ref()
    }

    /// Rolling errors of outlooks and of the baselines beside them.
    pub fn outlooks(&self) -> &OutlookTracker {
        &self.outlooks
    }

    /// Whether the minute closed last ended five minutes whose truth counts in
    /// [`Analysis::errors`].
    pub fn has_scored(&self) -> bool {
        let closed_until = self.history.closed_until();
        closed_until.is_some() && closed_until == self.errors.scored_until()
    }

    /// The guide room, for what is in force.
    pub fn guide(&self) -> &Guide {
        &self.guide
    }

    /// Appends the memory of all rooms.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_block(out, |out| self.state.snapshot(out));
        put_block(out, |out| self.history.snapshot(out));
        put_block(out, |out| self.errors.snapshot(out));
        put_block(out, |out| self.guide.snapshot(out));
        put_block(out, |out| self.vetting.snapshot(&self.network, out));
        put_block(out, |out| self.congestion.snapshot(out));
        put_block(out, |out| self.incidents.snapshot(out));
        put_block(out, |out| self.performance.snapshot(&self.network, out));
        put_block(out, |out| self.flows.snapshot(out));
        put_block(out, |out| self.outlooks.snapshot(out));
    }

    /// Takes back what [`Analysis::snapshot`] wrote for the same network.
    ///
    /// # Errors
    /// When the bytes are of another version or network, or broken.
    pub fn restore(&mut self, mut bytes: &[u8]) -> Result<(), SnapshotError> {
        let block = take_block(&mut bytes, "state")?;
        self.state
            .restore(block)
            .map_err(SnapshotError::of("state"))?;
        let block = take_block(&mut bytes, "history")?;
        self.history = History::restore(block).map_err(SnapshotError::of("history"))?;
        let block = take_block(&mut bytes, "errors")?;
        self.errors = ErrorTracker::restore(block)
            .map_err(SnapshotError::of("errors"))?
            .promising(self.errors.promised_share());
        let block = take_block(&mut bytes, "guide")?;
        self.guide
            .restore(block)
            .map_err(SnapshotError::of("guide"))?;
        let block = take_block(&mut bytes, "vetting")?;
        self.vetting
            .restore(&self.network, block)
            .map_err(SnapshotError::of("vetting"))?;
        let block = take_block(&mut bytes, "congestion")?;
        self.congestion
            .restore(block)
            .map_err(SnapshotError::of("congestion"))?;
        let block = take_block(&mut bytes, "incidents")?;
        self.incidents
            .restore(block)
            .map_err(SnapshotError::of("incidents"))?;
        let block = take_block(&mut bytes, "performance")?;
        self.performance
            .restore(&self.network, block)
            .map_err(SnapshotError::of("performance"))?;
        let block = take_block(&mut bytes, "flows")?;
        let calendar = self.state.calendar().clone();
        self.flows =
            FlowForecaster::restore(block, calendar).map_err(SnapshotError::of("flows"))?;
        let block = take_block(&mut bytes, "outlooks")?;
        self.outlooks = OutlookTracker::restore(block).map_err(SnapshotError::of("outlooks"))?;
        Ok(())
    }
}
