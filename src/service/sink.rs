//! Where a service's outputs go: MQTT, the live view, metrics.

use std::collections::BTreeMap;
use std::sync::atomic::{AtomicU64, Ordering};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError};
use std::time::Instant;

use super::clock::ServiceClock;
use super::reports::DayReports;
use super::scores::{measure_flows, measure_outlooks, measure_scores, measure_voices};
use crate::archive::{Archiver, TABLES};
use crate::engine::Analysis;
use crate::forecast::{ForecastBatch, OutlookBatch};
use crate::guide::{Guidance, GuidanceKind};
use crate::metrics::{Metrics, Stage};
use crate::network::Network;
use crate::publish::downlink::Downlink;
use crate::publish::format::{ForecastScoresMessage, TileMessages, scores_message};
use crate::publish::mqtt::Publisher;
use crate::publish::rsi::RsiWriter;
use crate::publish::{Release, Released};
use crate::replay::mqtt_outputs::MqttOutputs;
use crate::replay::outputs::{MinuteTimes, OutputSink};
use crate::serve::{LiveSender, LiveView};
use crate::state::congestion::{Congestion, CongestionBatch, DayReport};
use crate::state::{
    Doubt, IncidentChange, IncidentState, Incidents, Level, Performance, PerformanceBatch,
    Provenance, RoadsideView, SourceTrust, StateBatch, Vetting,
};
use crate::units::SegmentId;

/// The sink of a running service.
pub(super) struct ServiceSink {
    pub(super) network: Arc<Network>,
    /// `None` where nothing is published.
    pub(super) mqtt: Option<MqttOutputs>,
    /// `None` where nothing is archived.
    pub(super) archive: Option<Archiver>,
    pub(super) rsi: RsiWriter,
    /// What becomes of values before they leave.
    pub(super) release: Release,
    pub(super) downlink: Arc<Mutex<Downlink>>,
    pub(super) live: LiveSender,
    pub(super) clock: ServiceClock,
    pub(super) speedup: f64,
    pub(super) metrics: Metrics,
    /// Where reports of finished days are written.
    pub(super) reports: DayReports,
    /// Guidance in force that may leave, by id.
    pub(super) active: BTreeMap<u64, Released<Guidance>>,
    pub(super) latest: Latest,
    /// How far each view is trusted, as of the last closed minute.
    pub(super) trust: Arc<Mutex<Vec<SourceTrust>>>,
}

/// The newest outputs.
#[derive(Default)]
pub(super) struct Latest {
    /// The engine's own values, for metrics of the whole network.
    own: Option<Arc<StateBatch>>,
    /// Reports of finished days, oldest first.
    days: Vec<Released<DayReport>>,
    state: Option<Released<StateBatch>>,
    congestion: Option<Released<CongestionBatch>>,
    forecast: Option<Released<ForecastBatch>>,
    /// The newest outlook; kept over minutes.
    outlook: Option<Released<OutlookBatch>>,
    performance: Option<Released<PerformanceBatch>>,
    /// How forecasts have done; kept over minutes.
    scores: Option<Arc<ForecastScoresMessage>>,
    published_s: f64,
}

impl ServiceSink {
    /// Publishes, and adds what that took to the minute's publishing time.
    fn publish(&mut self, publish: impl FnOnce(&mut MqttOutputs, &Latest)) {
        let Some(mqtt) = &mut self.mqtt else { return };
        let started = Instant::now();
        publish(mqtt, &self.latest);
        self.latest.published_s += started.elapsed().as_secs_f64();
    }

    /// Incidents that are open and may be shown.
    fn open_incidents(&self, analysis: &Analysis) -> Vec<IncidentChange> {
        let open = analysis.incidents().active();
        open.filter_map(|incident| self.release.incident(incident))
            .collect()
    }

    /// The publisher, for the clock's acknowledgement and for metrics.
    pub(super) fn publisher(&self) -> Option<Arc<Publisher>> {
        self.mqtt.as_ref().map(|mqtt| mqtt.publisher().clone())
    }

    fn measure_roadside(&self, roadside: &RoadsideView) {
        let metrics = &self.metrics;
        let overlay = &roadside.overlay;
        let approaches = overlay
            .junctions()
            .flat_map(|junction| &junction.approaches);
        let (tied, untied): (Vec<_>, Vec<_>) =
            approaches.partition(|approach| approach.problem.is_none());
        for (kind, count) in [
            ("junction", overlay.junctions().len()),
            ("approach_tied", tied.len()),
            ("approach_untied", untied.len()),
            ("signal", roadside.signals.len()),
            ("event", roadside.events.len()),
            ("parking", roadside.parking.len()),
        ] {
            metrics.gauge("roadcast_roadside_entries", &[kind], count as f64);
        }
        for (refusal, count) in overlay.refused() {
            let name = "roadcast_junctions_refused_total";
            metrics.counter_to(name, &[refusal.label()], count);
        }
        let passages = roadside.passage_count as f64;
        metrics.gauge("roadcast_passages_per_minute", &[], passages);
    }

    /// Reports of all days there are, that of the day under way made anew.
    fn days(&mut self, congestion: &Congestion) -> Vec<Released<DayReport>> {
        let newest = congestion.days().back().map(|day| day.day);
        if self.latest.days.last().map(|day| day.day) != newest {
            let finished = congestion.days().iter();
            self.latest.days = finished.map(|day| self.release.day(day)).collect();
        }
        let today = congestion.today().map(Arc::new);
        let today = today.map(|day| self.release.day(&day));
        self.latest.days.iter().cloned().chain(today).collect()
    }

    fn measure_archive(&self) {
        let Some(archive) = &self.archive else { return };
        let (metrics, stats) = (&self.metrics, archive.stats());
        let load = |counter: &AtomicU64| counter.load(Ordering::Relaxed);
        self.live
            .set_archive_failing(stats.is_failing.load(Ordering::Relaxed));
        for (table, rows) in TABLES.iter().zip(&stats.rows) {
            metrics.counter_to("roadcast_archive_rows_total", &[table.name], load(rows));
        }
        for (name, total) in [
            ("roadcast_archive_files_total", &stats.files),
            ("roadcast_archive_bytes_total", &stats.bytes),
            ("roadcast_archive_failures_total", &stats.failures),
            ("roadcast_archive_expired_files_total", &stats.expired),
        ] {
            metrics.counter_to(name, &[], load(total));
        }
        for (reason, rows) in [
            ("queue_full", &stats.queue_full),
            ("unwritable", &stats.unwritable),
            ("known", &stats.known),
        ] {
            let name = "roadcast_archive_dropped_rows_total";
            metrics.counter_to(name, &[reason], load(rows));
        }
        let waiting = load(&stats.waiting) as f64;
        metrics.gauge("roadcast_archive_waiting_rows", &[], waiting);
    }

    fn measure(&self, analysis: &Analysis, took: MinuteTimes) {
        let metrics = &self.metrics;
        metrics.stage_seconds(Stage::State, took.state_s);
        metrics.stage_seconds(Stage::Forecast, took.forecast_s);
        metrics.stage_seconds(Stage::Guide, took.guide_s);
        metrics.stage_seconds(Stage::Publish, self.latest.published_s);
        let presence = analysis.presence();
        let present = presence.vehicles().len();
        metrics.gauge("roadcast_presence_vehicles", &[], present as f64);
        metrics.gauge(
            "roadcast_presence_left_out_vehicles",
            &[],
            presence.left_out_count() as f64,
        );
        measure_vetting(metrics, analysis.vetting());
        measure_performance(metrics, analysis.performance());
        self.measure_archive();
        self.measure_roadside(analysis.roadside());
        measure_incidents(metrics, analysis.incidents());
        let (jams, diversions) = analysis.guide().active_counts();
        metrics.gauge("roadcast_guidance_active", &["jam"], jams as f64);
        metrics.gauge(
            "roadcast_guidance_active",
            &["diversion"],
            diversions as f64,
        );
        if analysis.has_scored() {
            measure_scores(metrics, analysis.errors());
            measure_outlooks(metrics, analysis.outlooks());
            measure_flows(metrics, analysis.flows());
        }
        if let Some(state) = &self.latest.own {
            measure_state(metrics, &self.network, state);
        }
    }
}

fn measure_incidents(metrics: &Metrics, incidents: &Incidents) {
    for state in [
        IncidentState::Suspected,
        IncidentState::Confirmed,
        IncidentState::Clearing,
    ] {
        let is_so = |incident: &&IncidentChange| incident.state == state;
        let count = incidents.active().filter(is_so).count();
        let name = "roadcast_incidents_active";
        metrics.gauge(name, &[state.label()], count as f64);
    }
    let (refused, unknown) = (incidents.refused(), incidents.orders_unknown());
    metrics.counter_to("roadcast_incident_places_refused_total", &[], refused);
    metrics.counter_to("roadcast_incident_orders_unknown_total", &[], unknown);
    let (cut, forgotten) = (incidents.searches_cut(), incidents.slow_spots_forgotten());
    metrics.counter_to("roadcast_incident_searches_cut_total", &[], cut);
    metrics.counter_to(
        "roadcast_incident_slow_spots_forgotten_total",
        &[],
        forgotten,
    );
}

fn measure_performance(metrics: &Metrics, performance: &Performance) {
    let diagrams = performance.diagrams();
    let (fitted, classes) = diagrams.fits().counts();
    for (state, count) in [
        ("counted", diagrams.counted_count() as f64),
        ("fitted", fitted as f64),
        ("classes", classes as f64),
        ("left_out", diagrams.left_out_count() as f64),
    ] {
        metrics.gauge("roadcast_diagrams", &[state], count);
    }
    let bottlenecks = performance.bottlenecks();
    let active = bottlenecks.active_count() as f64;
    metrics.gauge("roadcast_bottlenecks_active", &[], active);
    let left_out = bottlenecks.left_out_count();
    metrics.counter_to("roadcast_bottleneck_minutes_left_out_total", &[], left_out);
    let cut = bottlenecks.extents_cut_count();
    metrics.counter_to("roadcast_bottleneck_extents_cut_total", &[], cut);
}

fn measure_vetting(metrics: &Metrics, vetting: &Vetting) {
    let counts = vetting.counts();
    metrics.counter_to("roadcast_stays_total", &[], counts.stays);
    metrics.counter_to("roadcast_stays_double_total", &[], counts.doubles);
    let crowded = counts.crowded_segments;
    metrics.counter_to("roadcast_segments_unassociated_total", &[], crowded);
    for doubt in Doubt::ALL.into_iter().filter(|doubt| *doubt != Doubt::None) {
        let withheld = counts.withheld[doubt as usize];
        metrics.counter_to("roadcast_stays_withheld_total", &[doubt.label()], withheld);
    }
    let (mut known, mut distrusted, mut wrong_datum) = (0.0, 0.0, 0.0);
    for source in vetting.trust() {
        known += 1.0;
        distrusted += f64::from(u8::from(source.is_distrusted));
        wrong_datum += f64::from(u8::from(source.datum.is_some()));
    }
    for (state, count) in [
        ("known", known),
        ("distrusted", distrusted),
        ("wrong_datum", wrong_datum),
    ] {
        metrics.gauge("roadcast_sources", &[state], count);
    }
}

fn measure_congestion(metrics: &Metrics, batch: &CongestionBatch) {
    for index in &batch.regions {
        let labels = [&*index.region];
        if let Some(tpi) = index.tpi {
            metrics.gauge("roadcast_region_performance_index", &labels, f64::from(tpi));
        }
        for (name, value) in [
            ("roadcast_region_travel_time_ratio", index.tti),
            ("roadcast_region_observed_ratio", index.observed_share),
            (
                "roadcast_region_congested_metres",
                index.congested_km() * 1000.0,
            ),
        ] {
            metrics.gauge(name, &labels, f64::from(value));
        }
    }
}

/// What is shared is whole after every call, so a poisoned lock is as good as any.
pub(super) fn lock<T>(shared: &Mutex<T>) -> MutexGuard<'_, T> {
    shared.lock().unwrap_or_else(PoisonError::into_inner)
}

fn measure_state(metrics: &Metrics, network: &Network, batch: &StateBatch) {
    let mut by_provenance = [0u32; 3];
    let (mut congested_m, mut total_m) = (0.0f64, 0.0f64);
    let (mut known_m, mut known_s) = (0.0f64, 0.0f64);
    for (index, state) in batch.segments.iter().enumerate() {
        let length_m = f64::from(network.segment(SegmentId(index as u32)).length_m);
        by_provenance[state.provenance as usize] += 1;
        total_m += length_m;
        if state.level >= Level::Light {
            congested_m += length_m;
        }
        if state.provenance != Provenance::Profile {
            known_m += length_m;
            known_s += length_m / f64::from(state.speed_mps).max(0.1);
        }
    }
    let count = batch.segments.len().max(1) as f64;
    for provenance in [
        Provenance::Observed,
        Provenance::Estimated,
        Provenance::Profile,
    ] {
        let share = f64::from(by_provenance[provenance as usize]) / count;
        metrics.gauge("roadcast_segments_ratio", &[provenance.label()], share);
    }
    metrics.gauge(
        "roadcast_congested_length_ratio",
        &[],
        congested_m / total_m.max(1.0),
    );
    if known_s > 0.0 {
        metrics.gauge(
            "roadcast_mean_speed_metres_per_second",
            &[],
            known_m / known_s,
        );
    }
}

impl OutputSink for ServiceSink {
    fn state(&mut self, batch: &Arc<StateBatch>) -> anyhow::Result<()> {
        let released = self.release.states(batch);
        self.latest = Latest {
            days: std::mem::take(&mut self.latest.days),
            own: Some(batch.clone()),
            state: Some(released.clone()),
            congestion: None,
            forecast: None,
            outlook: self.latest.outlook.take(),
            performance: None,
            scores: self.latest.scores.take(),
            published_s: 0.0,
        };
        if let Some(archive) = &mut self.archive {
            archive.state(&released);
        }
        let mut told = TileMessages::default();
        self.publish(|mqtt, _| told = mqtt.state(&released));
        for (kind, (messages, bytes)) in [("snapshot", told.snapshots), ("delta", told.deltas)] {
            let metrics = &self.metrics;
            metrics.count_by("roadcast_state_messages_total", &[kind], messages);
            metrics.count_by("roadcast_state_bytes_total", &[kind], bytes);
        }
        Ok(())
    }

    fn congestion(&mut self, batch: &Arc<CongestionBatch>) -> anyhow::Result<()> {
        let released = self.release.congestion(batch);
        self.publish(|mqtt, _| mqtt.congestion(&released));
        if let Some(day) = &batch.ended_day {
            self.reports.write(&self.network, &self.release.day(day));
        }
        measure_congestion(&self.metrics, batch);
        self.latest.congestion = Some(released);
        Ok(())
    }

    fn performance(&mut self, batch: &Arc<PerformanceBatch>) -> anyhow::Result<()> {
        let released = self.release.performance(&self.network, batch);
        self.latest.performance = Some(released.clone());
        self.publish(|mqtt, _| mqtt.performance(&released));
        Ok(())
    }

    fn outlook(&mut self, batch: &Arc<OutlookBatch>) -> anyhow::Result<()> {
        let released = self.release.outlook(batch, self.latest.state.as_ref());
        self.latest.outlook = Some(released.clone());
        self.publish(|mqtt, latest| mqtt.outlook(&released, latest.state.as_deref()));
        Ok(())
    }

    fn forecast(&mut self, batch: &Arc<ForecastBatch>) -> anyhow::Result<()> {
        let released = self.release.forecast(batch, self.latest.state.as_ref());
        self.latest.forecast = Some(released.clone());
        measure_voices(&self.metrics, batch);
        if batch.fallback {
            self.metrics.count("roadcast_forecast_fallbacks_total", &[]);
        }
        self.publish(|mqtt, latest| mqtt.forecast(&released, latest.state.as_deref()));
        Ok(())
    }

    fn incidents(&mut self, changes: &[IncidentChange]) -> anyhow::Result<()> {
        for change in changes {
            let labels = [change.state.label()];
            self.metrics
                .count("roadcast_incident_changes_total", &labels);
        }
        let told = changes
            .iter()
            .filter_map(|change| self.release.incident(change));
        let told: Vec<IncidentChange> = told.collect();
        self.publish(|mqtt, _| mqtt.incidents(&told));
        Ok(())
    }

    fn guidance(&mut self, guidance: &Guidance) -> anyhow::Result<()> {
        let kind = match &guidance.kind {
            GuidanceKind::Jam(_) => "jam",
            GuidanceKind::Diversion(_) => "diversion",
        };
        self.metrics
            .count("roadcast_guidance_messages_total", &[kind]);
        if self.release.withholds(guidance) {
            let name = "roadcast_guidance_withheld_total";
            self.metrics.count(name, &[]);
        }
        let released = self.release.guidance(guidance);
        // Nobody is told that there was something of which nothing may be told.
        let is_secret = self.release.withholds(guidance) && !self.active.contains_key(&guidance.id);
        if let Some(archive) = self.archive.as_mut().filter(|_| !is_secret) {
            archive.guidance(&self.network, &released);
        }
        if released.withdrawn {
            self.active.remove(&released.id);
        } else {
            self.active.insert(released.id, released.clone());
        }
        self.publish(|mqtt, _| mqtt.guidance(&released));
        Ok(())
    }

    fn minute_done(&mut self, analysis: &Analysis, took: MinuteTimes) -> anyhow::Result<()> {
        let Some(state) = self.latest.state.clone() else {
            return Ok(());
        };
        let now = state.interval.end;
        self.active.retain(|_, guidance| guidance.valid_until > now);
        let active = self.active.values().map(|guidance| &**guidance);
        let told = self.rsi.messages(&self.network, now, active);
        if self.mqtt.is_some() {
            let sent_at = self.clock.wall_now();
            let mut downlink = lock(&self.downlink);
            told.iter()
                .for_each(|message| downlink.sending(sent_at, message));
        }
        if analysis.has_scored() || self.latest.scores.is_none() {
            self.latest.scores =
                scores_message(analysis.errors(), analysis.outlooks(), analysis.flows())
                    .map(Arc::new);
            self.publish(|mqtt, latest| {
                latest.scores.iter().for_each(|scores| mqtt.scores(scores));
            });
        }
        *lock(&self.trust) = analysis.vetting().trust().collect();
        self.publish(|mqtt, _| {
            mqtt.expire(now);
            mqtt.junctions(analysis.roadside());
            told.into_iter()
                .for_each(|message| mqtt.publisher().publish(message));
        });
        let days = self.days(analysis.congestion());
        self.live.publish(LiveView {
            network: Some(self.network.clone()),
            forecast: self.latest.forecast.clone(),
            outlook: self.latest.outlook.clone(),
            state: Some(state),
            guidance: self.active.values().cloned().collect(),
            incidents: self.open_incidents(analysis),
            presence: Some(analysis.presence().clone()),
            roadside: Some(analysis.roadside().clone()),
            congestion: self.latest.congestion.clone(),
            days,
            performance: self.latest.performance.clone(),
            scores: self.latest.scores.clone(),
            event_time: self.clock.now().max(now),
            speedup: self.speedup,
        });
        if let Some(archive) = &mut self.archive {
            archive.minute_done();
        }
        self.measure(analysis, took);
        Ok(())
    }

    fn snapshot(&self, out: &mut Vec<u8>) {
        super::memory::snapshot(self, out);
    }

    fn restore(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        super::memory::restore(self, bytes)
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        if let Some(archive) = &mut self.archive {
            archive.finish();
        }
        Ok(())
    }
}
