//! The live data as the engine's thread hands them over, and their encoded bodies.

use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::Instant;

use tokio::sync::watch;

use super::body::LazyBody;
use crate::forecast::{ForecastBatch, OutlookBatch};
use crate::guide::Guidance;
use crate::matching::Presence;
use crate::network::Network;
use crate::publish::Released;
use crate::publish::format::ForecastScoresMessage;
use crate::state::congestion::{CongestionBatch, DayReport};
use crate::state::{IncidentChange, PerformanceBatch, RoadsideView, StateBatch};
use crate::units::Timestamp;

/// Everything the API and the map show, as of one closed minute.
#[derive(Clone, Debug, Default)]
pub struct LiveView {
    /// The network in force; `None` until loaded.
    pub network: Option<Arc<Network>>,
    /// The newest closed minute.
    pub state: Option<Released<StateBatch>>,
    /// The newest forecast.
    pub forecast: Option<Released<ForecastBatch>>,
    /// The newest outlook, of the last five-minute mark.
    pub outlook: Option<Released<OutlookBatch>>,
    /// The advice in force, withdrawn and expired ones left out.
    pub guidance: Vec<Released<Guidance>>,
    /// Incidents that are open and may be shown.
    pub incidents: Vec<IncidentChange>,
    /// Who was where at the end of the newest closed minute.
    pub presence: Option<Arc<Presence>>,
    /// What roadside units told until the end of the newest closed minute.
    pub roadside: Option<Arc<RoadsideView>>,
    /// The index of every region in the newest closed minute.
    pub congestion: Option<Released<CongestionBatch>>,
    /// Reports of finished days, oldest first, and of the day under way.
    pub days: Vec<Released<DayReport>>,
    /// Corridors, bottlenecks, turning flows and diagrams of the newest closed minute.
    pub performance: Option<Released<PerformanceBatch>>,
    /// How forecasts have done; `None` before the first five minutes are over.
    pub scores: Option<Arc<ForecastScoresMessage>>,
    /// Event time when this view was made.
    pub event_time: Timestamp,
    /// Event seconds that pass in one second of wall clock; 1 in production.
    pub speedup: f64,
}

/// What must be there before the engine is ready.
#[derive(Debug, Default)]
struct Readiness {
    subscribed: AtomicBool,
    model_loaded: AtomicBool,
    archive_failing: AtomicBool,
}

/// The engine's end: hands over views and says what is ready.
#[derive(Clone, Debug)]
pub struct LiveSender {
    views: Arc<watch::Sender<Arc<Snapshot>>>,
    readiness: Arc<Readiness>,
}

/// The server's end.
#[derive(Clone, Debug)]
pub struct LiveReceiver {
    views: watch::Receiver<Arc<Snapshot>>,
    readiness: Arc<Readiness>,
}

/// A channel that holds the newest view only.
pub fn live_channel() -> (LiveSender, LiveReceiver) {
    let (sender, receiver) = watch::channel(Arc::new(Snapshot::new(
        LiveView::default(),
        0,
        Arc::default(),
    )));
    let readiness = Arc::new(Readiness::default());
    (
        LiveSender {
            views: Arc::new(sender),
            readiness: Arc::clone(&readiness),
        },
        LiveReceiver {
            views: receiver,
            readiness,
        },
    )
}

impl LiveSender {
    /// Replaces the view; never blocks and encodes nothing.
    pub fn publish(&self, view: LiveView) {
        self.views.send_modify(|current| {
            let same_network = match (&current.view.network, &view.network) {
                (Some(old), Some(new)) => old.version() == new.version(),
                _ => false,
            };
            let network_body = if same_network {
                Arc::clone(&current.network_body)
            } else {
                Arc::default()
            };
            *current = Arc::new(Snapshot::new(view, current.sequence + 1, network_body));
        });
    }

    /// Says whether every subscription is acknowledged by its broker.
    pub fn set_subscribed(&self, is_subscribed: bool) {
        self.readiness
            .subscribed
            .store(is_subscribed, Ordering::Relaxed);
    }

    /// Says whether the last write to the archive failed.
    pub fn set_archive_failing(&self, is_failing: bool) {
        self.readiness
            .archive_failing
            .store(is_failing, Ordering::Relaxed);
    }

    /// Says whether the configured forecast model is loaded (a baseline is loaded at once).
    pub fn set_model_loaded(&self, is_loaded: bool) {
        self.readiness
            .model_loaded
            .store(is_loaded, Ordering::Relaxed);
    }
}

impl LiveReceiver {
    /// The newest view.
    pub(super) fn newest(&self) -> Arc<Snapshot> {
        Arc::clone(&self.views.borrow())
    }

    /// What is still missing before the engine is ready, in the words of `/readyz`.
    pub(super) fn missing(&self) -> Vec<&'static str> {
        let is_there = [
            (
                "subscribed",
                self.readiness.subscribed.load(Ordering::Relaxed),
            ),
            ("network", self.views.borrow().view.network.is_some()),
            ("model", self.readiness.model_loaded.load(Ordering::Relaxed)),
            (
                "archive",
                !self.readiness.archive_failing.load(Ordering::Relaxed),
            ),
        ];
        is_there
            .into_iter()
            .filter_map(|(word, there)| (!there).then_some(word))
            .collect()
    }
}

/// One view with the bodies made of it so far.
#[derive(Debug)]
pub(super) struct Snapshot {
    pub(super) view: LiveView,
    /// Counts views from 1; 0 is the empty one before the first.
    pub(super) sequence: u64,
    /// Wall clock when the view was handed over.
    pub(super) handed_over: Instant,
    pub(super) network_body: Arc<LazyBody>,
    pub(super) state: LazyBody,
    pub(super) state_compact: LazyBody,
    pub(super) forecast: LazyBody,
    pub(super) forecast_compact: LazyBody,
    pub(super) guidance: LazyBody,
    pub(super) incidents: LazyBody,
    pub(super) junctions: LazyBody,
    pub(super) signals: LazyBody,
    pub(super) events: LazyBody,
    pub(super) parking: LazyBody,
    pub(super) index: LazyBody,
    pub(super) corridors: LazyBody,
    pub(super) freeways: LazyBody,
    pub(super) bottlenecks: LazyBody,
    pub(super) emissions: LazyBody,
    pub(super) scores: LazyBody,
}

impl Snapshot {
    fn new(view: LiveView, sequence: u64, network_body: Arc<LazyBody>) -> Self {
        Self {
            view,
            sequence,
            handed_over: Instant::now(),
            network_body,
            state: LazyBody::default(),
            state_compact: LazyBody::default(),
            forecast: LazyBody::default(),
            forecast_compact: LazyBody::default(),
            guidance: LazyBody::default(),
            incidents: LazyBody::default(),
            junctions: LazyBody::default(),
            signals: LazyBody::default(),
            events: LazyBody::default(),
            parking: LazyBody::default(),
            index: LazyBody::default(),
            corridors: LazyBody::default(),
            freeways: LazyBody::default(),
            bottlenecks: LazyBody::default(),
            emissions: LazyBody::default(),
            scores: LazyBody::default(),
        }
    }

    /// Identifies the bodies of this view for caches; changes with every view.
    pub(super) fn etag(&self) -> String {
        format!("\"{}-{}\"", self.view.event_time.as_millis(), self.sequence)
    }
}
