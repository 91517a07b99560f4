//! The running service: wiring, clock, shutdown, embedded broker.
//!
//! ```text
//!  ingest ──batches──► engine loop ──► pipeline (shards, analysis) ──► sink ──► publisher, live view
//!                         │  ▲                                           │
//!                     recording, snapshots (restart)                  metrics
//! ```

pub mod broker;
mod clock;
pub mod demo;
mod engine_loop;
mod memory;
mod profiles;
mod reports;
mod scores;
mod secret;
mod sink;
mod snapshots;

use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::Duration;

use anyhow::Context;

use crate::archive::{ArchiveSettings, Archiver, History, Overflow};
use crate::config::{ClockMode, Config, RsuTarget};
use crate::engine::{AnalysisSettings, CLOCK_TOPIC};
use crate::guide::GuideSettings;
use crate::ingest::{
    self, ConnectSettings, IngestSettings, IngestStats, Qos, Status, Subscription,
};
use crate::matching::{Areas, MatchSettings, Matcher, PresenceSettings, Zones};
use crate::metrics::Metrics;
use crate::network::Network;
use crate::publish::OutMessage;
use crate::publish::Release;
use crate::publish::downlink::Downlink;
use crate::publish::format::{Privacy, RunInfo, status_message};
use crate::publish::mqtt::Publisher;
use crate::publish::outbox::OutboxSettings;
use crate::publish::rsi::RsiWriter;
use crate::replay::mqtt_outputs::MqttOutputs;
use crate::replay::pipeline::{Forecasters, Parts};
use crate::screening::{Pseudonyms, Secret};
use crate::serve::{self, LiveView, OrderSender, ServeOptions};
use crate::state::congestion::{CongestionSettings, RegionDraft, regions};
use crate::state::{Closures, CorridorDraft, IncidentSettings, StateSettings};
use crate::units::{Position, SourceId, Timestamp};
use crate::wire::its0117::DeliverySettings;
use crate::wire::records::LightCodes;
use crate::wire::{DecoderTable, INCIDENT_ORDERS, incident_order_topic};

pub use clock::ServiceClock;
pub use secret::{SecretError, secret};

/// How long shutdown may take for what is still waiting to go out.
const SHUTDOWN_GRACE: Duration = Duration::from_secs(3);

/// What a service runs with.
#[derive(Clone)]
pub struct Plan {
    /// The resolved configuration.
    pub config: Config,
    /// The network in force.
    pub network: Arc<Network>,
    /// The forecaster in force, and perhaps a shadow.
    pub forecasters: Forecasters,
    /// Name of the city for the map, in its own language and in English.
    pub city: Option<(String, String)>,
    /// Outlines of water for the map.
    pub water: Vec<Vec<Position>>,
    /// Event seconds in one second of wall clock, for the map; 1 in production.
    pub speedup: f64,
    /// Where the event clock begins, if it is not the newest observation's.
    pub begin_at: Option<Timestamp>,
}

impl std::fmt::Debug for Plan {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.debug_struct("Plan")
            .field("config", &self.config)
            .finish_non_exhaustive()
    }
}

/// A running service.
#[derive(Debug)]
pub struct Service {
    /// Where HTTP is served.
    pub http: std::net::SocketAddr,
    stop: Arc<AtomicBool>,
    ingest_stats: Arc<IngestStats>,
    engine: std::thread::JoinHandle<anyhow::Result<()>>,
    http_stop: tokio::sync::oneshot::Sender<()>,
    http_task: tokio::task::JoinHandle<()>,
}

impl Service {
    /// Starts everything; must be called inside a tokio runtime.
    ///
    /// # Errors
    /// When a file of the configuration cannot be read, an address cannot be bound, or a snapshot
    /// or recording cannot be taken up.
    pub async fn start(plan: Plan) -> anyhow::Result<Self> {
        let runtime = tokio::runtime::Handle::current();
        let Plan {
            config,
            network,
            forecasters,
            city,
            water,
            speedup,
            begin_at,
        } = plan;
        let clock = match config.clock {
            ClockMode::Wall => ServiceClock::wall(),
            ClockMode::Event => ServiceClock::event(begin_at),
        };
        if let Some(year) = config.calendar.knows_nothing_of(clock.wall_now()) {
            tracing::warn!(
                year,
                "No public holidays are known of this year: see state.calendar and state.holidays."
            );
        }
        let info = RunInfo {
            network: network.version(),
            model: forecasters.running.name().to_owned(),
            started_at: ingest::Clock::wall().now(),
        };
        let metrics = Metrics::new(
            env!("CARGO_PKG_VERSION"),
            &network.version().to_string(),
            forecasters.running.name(),
        )?;
        let (live, live_receiver) = serve::live_channel();
        live.publish(LiveView {
            network: Some(network.clone()),
            event_time: clock.now(),
            speedup,
            ..LiveView::default()
        });
        live.set_model_loaded(true);

        let publisher = publisher(&config, &info, &runtime).map(Arc::new);
        let downlink = downlink(&config, clock.wall_now())?;
        let ingest = ingest::spawn(ingest_settings(&config, &clock, &downlink), &runtime);
        let downlink = Arc::new(Mutex::new(downlink));
        let ingest_stats = ingest.stats.clone();
        let zoom = config.raw.publish.tile_zoom;
        let orders = publisher.as_ref().map(orders_to);
        let mqtt = publisher.map(|publisher| {
            MqttOutputs::new(publisher, network.clone(), zoom)
                .in_datum(config.publish_datum)
                .with_snapshots_every(config.raw.publish.state_snapshot_minutes)
        });
        let (archive, history) = archive(&config, &network, Overflow::Drop)?.unzip();
        let sink = sink::ServiceSink {
            network: network.clone(),
            mqtt,
            archive,
            rsi: RsiWriter::new(&config.rsus),
            release: release(&config, &network)?,
            downlink: downlink.clone(),
            live: live.clone(),
            clock: clock.clone(),
            speedup,
            metrics: metrics.clone(),
            reports: reports::DayReports::new(&config.raw.state.report_dir)?,
            active: Default::default(),
            latest: Default::default(),
            trust: Arc::default(),
        };
        let parts = parts(&config, network)?;
        let stop = Arc::new(AtomicBool::new(false));
        let worker = engine_loop::EngineLoop::start(engine_loop::Start {
            parts,
            forecasters,
            sink,
            downlink,
            ingest,
            live,
            clock,
            metrics: metrics.clone(),
            config: config.clone(),
            stop: stop.clone(),
        })?;
        let engine = std::thread::Builder::new()
            .name("engine".into())
            .spawn(move || worker.run(SHUTDOWN_GRACE))
            .context("starting the engine thread")?;

        let options = ServeOptions {
            addr: config.bind,
            city,
            utc_offset_s: config.calendar.utc_offset_s,
            privacy: privacy(&config),
            water,
            orders,
            history: history.map(Arc::new),
            ..ServeOptions::default()
        };
        let (http_stop, stopped) = tokio::sync::oneshot::channel();
        let text = Arc::new(move || metrics.render());
        let server = serve::spawn(options, live_receiver, text, async move {
            // A dropped sender stops the server too.
            stopped.await.ok();
        })
        .await?;
        Ok(Self {
            http: server.addr,
            ingest_stats,
            stop,
            engine,
            http_stop,
            http_task: server.task,
        })
    }

    /// Whether every subscription is granted.
    pub fn is_subscribed(&self) -> bool {
        self.ingest_stats.is_ready()
    }

    /// Whether the engine has ended by itself.
    pub fn has_ended(&self) -> bool {
        self.engine.is_finished()
    }

    /// Stops reading, drains, says goodbye and ends.
    ///
    /// # Errors
    /// When the engine had failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let engine = self.engine;
        let ended = tokio::task::spawn_blocking(move || engine.join()).await?;
        self.http_stop.send(()).ok();
        self.http_task.await?;
        ended.map_err(|_panic| anyhow::anyhow!("the engine thread panicked"))?
    }
}

/// Verdicts on incidents go to the broker and come back with the other messages, so that they stand
/// in the recording at their place. The publisher is not kept alive by it.
fn orders_to(publisher: &Arc<Publisher>) -> OrderSender {
    let publisher = Arc::downgrade(publisher);
    OrderSender(Arc::new(move |incident, is_confirmed| {
        let verdict = if is_confirmed { "confirm" } else { "dismiss" };
        if let Some(publisher) = publisher.upgrade() {
            publisher.publish(OutMessage {
                topic: incident_order_topic(incident),
                payload: format!(r#"{{"verdict":"{verdict}"}}"#).into_bytes().into(),
                qos: 1,
                retain: false,
            });
        }
    }))
}

fn publisher(
    config: &Config,
    info: &RunInfo,
    runtime: &tokio::runtime::Handle,
) -> Option<Publisher> {
    if !config.raw.publish.enabled {
        return None;
    }
    let client_id = format!("{}-publish", config.raw.mqtt.client_id);
    let mut connect = ConnectSettings::from_config(config, &client_id);
    let online = status_message(info, true);
    connect.status = Some(Status {
        topic: online.topic,
        online: online.payload,
        offline: status_message(info, false).payload,
    });
    let outbox = OutboxSettings {
        messages: config.raw.publish.outbox_messages_max,
        ..OutboxSettings::default()
    };
    Some(Publisher::spawn(connect, outbox, runtime))
}

/// What goes down to units; nothing where nothing is published.
fn downlink(config: &Config, begin_at: Timestamp) -> anyhow::Result<Downlink> {
    let publish = &config.raw.publish;
    let targets: &[RsuTarget] = if publish.enabled { &config.rsus } else { &[] };
    let settings = DeliverySettings {
        timeout_ms: publish.delivery_timeout_ms,
        attempts_max: publish.delivery_attempts_max,
        ..DeliverySettings::default()
    };
    Downlink::new(targets, settings, begin_at)
        .map_err(|(path, error)| anyhow::Error::new(error).context(path))
}

fn ingest_settings(config: &Config, clock: &ServiceClock, downlink: &Downlink) -> IngestSettings {
    let mut settings = IngestSettings::from_config(config);
    // Ticks keep their place among the data only within one quality of service.
    let qos = settings
        .subscriptions
        .iter()
        .map(|subscription| subscription.qos)
        .max();
    settings.subscriptions.push(Subscription {
        filter: CLOCK_TOPIC.to_owned(),
        qos: qos.unwrap_or(Qos::AtLeastOnce),
        source: SourceId(settings.subscriptions.len() as u32),
    });
    settings.subscriptions.push(Subscription {
        filter: INCIDENT_ORDERS.to_owned(),
        qos: qos.unwrap_or(Qos::AtLeastOnce),
        source: SourceId(settings.subscriptions.len() as u32),
    });
    for filter in downlink.filters() {
        settings.subscriptions.push(Subscription {
            filter,
            qos: Qos::AtLeastOnce,
            source: SourceId(settings.subscriptions.len() as u32),
        });
    }
    settings.clock = clock.for_ingest();
    settings
}

fn parts(config: &Config, network: Arc<Network>) -> anyhow::Result<Parts> {
    let mut state = StateSettings {
        calendar: config.calendar.clone(),
        ..StateSettings::default()
    };
    for path in &config.raw.state.detectors {
        let bytes = std::fs::read(path).with_context(|| path.display().to_string())?;
        let name = path.to_string_lossy();
        state.detectors.read(&network, &name, &bytes)?;
    }
    let profiles_file = &config.raw.state.profiles_file;
    let profiles = if profiles_file.as_os_str().is_empty() || !profiles_file.exists() {
        None
    } else {
        let place = || profiles_file.display().to_string();
        Some(std::fs::read(profiles_file).with_context(place)?)
    };
    let presence = presence_settings(config, &network)?;
    let congestion = congestion_settings(config, &network)?;
    let corridors = CorridorDraft::resolve_all(&network, &config.corridors)?;
    let closures = Closures::resolve(&network, &config.closures)?;
    Ok(Parts {
        matcher: Arc::new(matcher(config, network, secret(&config.raw)?)?),
        decoder: decoder(config)?,
        front: config.front.clone(),
        analysis: AnalysisSettings {
            incidents: IncidentSettings::default(),
            state,
            congestion,
            guide: GuideSettings::default(),
            vetting: config.vetting,
            presence,
            corridors,
            closures,
            profiles,
            // The pipeline asks the model.
            promised_share: None,
            usual: None,
        },
    })
}

/// The decoders a configuration asks for, with the site's codes of signal states.
///
/// # Errors
/// When the file of codes cannot be read or used.
pub fn decoder(config: &Config) -> anyhow::Result<DecoderTable> {
    let table = config.decoder_table();
    let path = &config.raw.mqtt.signal_codes_file;
    if path.as_os_str().is_empty() {
        return Ok(table);
    }
    let place = || format!("mqtt.signal_codes_file {}", path.display());
    let text = std::fs::read_to_string(path).with_context(place)?;
    let codes = LightCodes::read(&text).with_context(place)?;
    Ok(table.with_light_codes(codes))
}

/// The matcher a configuration asks for, with the areas of its roadside units and the pseudonyms
/// of `secret`.
///
/// # Errors
/// When a setting is out of range or an area does not fit the network.
pub fn matcher(config: &Config, network: Arc<Network>, secret: Secret) -> anyhow::Result<Matcher> {
    let areas = Areas::new(&network, &config.areas).context("matching.areas")?;
    let rotation_s = config.raw.privacy.rotation_s;
    let pseudonyms = Pseudonyms::new(secret, rotation_s, config.pseudonym_overlap_ms());
    Ok(Matcher::new(network, match_settings(config))?
        .with_areas(areas)
        .with_pseudonyms(pseudonyms))
}

/// The archive that a configuration asks for, and what answers from it; `None` where it names no
/// folder.
///
/// # Errors
/// When the folder cannot be made, read or written.
pub fn archive(
    config: &Config,
    network: &Arc<Network>,
    overflow: Overflow,
) -> anyhow::Result<Option<(Archiver, History)>> {
    let raw = &config.raw.archive;
    if raw.dir.as_os_str().is_empty() {
        return Ok(None);
    }
    let settings = ArchiveSettings {
        dir: raw.dir.clone(),
        utc_offset_s: config.calendar.utc_offset_s,
        keep_days: raw.keep_days,
        bytes_max: raw.bytes_max,
        rows_per_file_max: raw.rows_per_file_max,
        segments_per_row_group: raw.segments_per_row_group,
        profile_rows: raw.profile_rows,
    };
    Archiver::start(settings, network.clone(), overflow).map(Some)
}

/// The size of a group that a configuration asks for.
fn privacy(config: &Config) -> Privacy {
    Privacy {
        min_subjects: config.raw.privacy.subjects_min,
    }
}

/// The release rule that a configuration asks for.
///
/// # Errors
/// When a zone does not fit the network.
pub fn release(config: &Config, network: &Network) -> anyhow::Result<Release> {
    let zones = Zones::new(network, &config.zones).context("privacy.zones")?;
    Ok(Release::new(privacy(config), zones))
}

/// The congestion standard and the regions of a configuration; segments in sensitive zones take no
/// part in regions.
///
/// # Errors
/// When a zone or a region does not fit the network.
pub fn congestion_settings(
    config: &Config,
    network: &Network,
) -> anyhow::Result<CongestionSettings> {
    let zones = Zones::new(network, &config.zones).context("privacy.zones")?;
    let city = [RegionDraft::city()];
    let drafts = match config.regions.as_slice() {
        [] => &city,
        drafts => drafts,
    };
    let is_left_out = |id| zones.holds(id);
    Ok(CongestionSettings {
        standard: config.level_standard.clone(),
        regions: regions(network, drafts, is_left_out).context("state.regions")?,
        utc_offset_s: config.calendar.utc_offset_s,
    })
}

/// How many road users are remembered and who is not told of, as a configuration asks for.
///
/// # Errors
/// When a zone does not fit the network.
pub fn presence_settings(config: &Config, network: &Network) -> anyhow::Result<PresenceSettings> {
    Ok(PresenceSettings {
        expire_after_s: config.raw.matching.forget_after_s,
        vehicles_max: config.raw.matching.presence_vehicles_max,
        trip_ends: config.raw.privacy.trip_ends(),
        zones: Zones::new(network, &config.zones).context("privacy.zones")?,
    })
}

/// The matching settings a configuration asks for.
pub fn match_settings(config: &Config) -> MatchSettings {
    let matching = &config.raw.matching;
    MatchSettings {
        sigma_m: matching.sigma_m,
        lag_fixes: matching.lag_fixes,
        forget_after_s: matching.forget_after_s,
        ..MatchSettings::default()
    }
}
