//! Stage 2: closes minutes and runs state, forecast and guidance, in that order.

use std::sync::Arc;

use super::{SnapshotError, put_block, take_block};
use crate::forecast::{ErrorTracker, ForecastBatch, ForecastRequest, History};
use crate::guide::{Guidance, Guide, GuideSettings};
use crate::matching::{Located, Presence, PresenceSettings};
use crate::network::Network;
use crate::observation::DetectorReading;
use crate::state::{BinSums, StateBatch, StateSettings, TrafficState};
use crate::units::{Interval, Timestamp};

/// Settings of stage 2.
#[derive(Clone, Debug, Default)]
pub struct AnalysisSettings {
    /// Settings of the state room.
    pub state: StateSettings,
    /// Settings of the guide room.
    pub guide: GuideSettings,
    /// How long and how many road users are present.
    pub presence: PresenceSettings,
    /// Profiles learnt in an earlier run of the same network, as
    /// [`crate::state::Profiles::save`] wrote them.
    pub profiles: Option<Vec<u8>>,
}

/// The owner of everything that is decided once a minute; single-threaded.
#[derive(Debug)]
pub struct Analysis {
    network: Arc<Network>,
    state: TrafficState,
    history: History,
    errors: ErrorTracker,
    guide: Guide,
    presence: Arc<Presence>,
    presence_settings: PresenceSettings,
    /// The newest state and what was asked from it.
    latest: Option<(Arc<StateBatch>, Arc<ForecastRequest>)>,
}

impl Analysis {
    /// Builds a stage 2 that has seen nothing.
    ///
    /// # Errors
    /// When the profiles are broken or of another network.
    pub fn new(network: &Arc<Network>, settings: AnalysisSettings) -> Result<Self, SnapshotError> {
        let mut state = TrafficState::new(network.clone(), settings.state);
        if let Some(profiles) = &settings.profiles {
            let broken = SnapshotError::of("profiles");
            state.load_profiles(profiles).map_err(broken)?;
        }
        Ok(Self {
            state,
            history: History::new(),
            errors: ErrorTracker::new(),
            guide: Guide::new(network.clone(), settings.guide),
            presence: Arc::new(Presence::empty()),
            presence_settings: settings.presence,
            latest: None,
            network: network.clone(),
        })
    }

    /// Takes where every road user was last, in any order, at `as_of`: the end of the minute that
    /// is closed next.
    pub fn locate(&mut self, as_of: Timestamp, present: Vec<Located>) {
        let settings = &self.presence_settings;
        self.presence = Arc::new(Presence::new(&self.network, settings, as_of, present));
    }

    /// Who was where at the last [`Analysis::locate`].
    pub fn presence(&self) -> &Arc<Presence> {
        &self.presence
    }

    /// Closes one minute and says what is to be forecast from it.
    pub fn close_minute(
        &mut self,
        minute: Interval,
        sums: &BinSums,
        detectors: &[DetectorReading],
    ) -> (Arc<StateBatch>, Arc<ForecastRequest>) {
        let batch = Arc::new(self.state.close_minute(minute, sums, detectors));
        self.history.push(&batch);
        self.errors.observe(&self.history);
        let request = self
            .history
            .forecast_request(self.state.profiles(), self.errors.calibration());
        let request = Arc::new(request.expect("a minute was pushed just now"));
        self.latest = Some((batch.clone(), request.clone()));
        (batch, request)
    }

    /// Takes an answered forecast, appends the guidance that changes with it, and returns the
    /// forecast to publish: the same, or the baseline's where the model has been losing to it. An
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
        let forecast = Arc::new(self.errors.settle(request, forecast));
        self.guide
            .update(state, Some(&forecast), &self.presence, guidance);
        Some(forecast)
    }

    /// Appends the profiles learnt so far, for a later run of the same network.
    pub fn save_profiles(&self, out: &mut Vec<u8>) {
        self.state.profiles().save(&self.network, out);
    }

    /// Rolling errors of the running forecaster and the baselines.
    pub fn errors(&self) -> &ErrorTracker {
        &self.errors
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
        self.errors = ErrorTracker::restore(block).map_err(SnapshotError::of("errors"))?;
        let block = take_block(&mut bytes, "guide")?;
        self.guide
            .restore(block)
            .map_err(SnapshotError::of("guide"))?;
        Ok(())
    }
}
