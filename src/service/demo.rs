//! The demo: a bundled city with simulated traffic behind the embedded broker, on the event clock.

use std::path::PathBuf;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::time::{Duration, Instant};

use anyhow::Context;
use bytes::Bytes;

use super::broker::Embedded;
use super::{Plan, Service};
use crate::config::{self, RawConfig, RawRsu, RawUpLimits};
use crate::engine::CLOCK_TOPIC;
use crate::forecast::Forecaster;
use crate::ingest::{self, ConnectSettings, Ingest, IngestSettings, Qos, Received, Subscription};
use crate::network::Network;
use crate::publish::OutMessage;
use crate::publish::mqtt::Publisher;
use crate::publish::outbox::OutboxSettings;
use crate::replay::city::{self, City, CitySize};
use crate::replay::dataset;
use crate::replay::traffic::{Report, Simulation, TrafficSettings, history};
use crate::units::{SourceId, Timestamp};

/// Simulated time before the demo goes live, s: the engine has then seen a good part of the peak,
/// and the incident is four minutes away.
const WARM_UP_S: u32 = 24 * 60;
/// During the warm-up every source reports this many times more rarely.
const WARM_UP_THINNING: u32 = 2;
/// How long a minute waits for stragglers, ms of event time. The embedded broker serves one filter
/// after the other, so that at a high speedup one format may be a second of wall clock behind.
const LATENESS_MS: i64 = 20_000;
/// Longest wait for the engine to acknowledge a tick of the warm-up.
const TICK_TIMEOUT: Duration = Duration::from_secs(10);
/// Jams nearer than this are told to a roadside unit, m.
const RSU_REACH_M: f64 = 800.0;
/// Days of history in the dataset that `--record` writes.
const DATASET_DAYS: usize = 14;

/// What the demo is asked for.
#[derive(Clone, Debug)]
pub struct DemoOptions {
    /// Port of the embedded broker (MQTT 3.1.1); 0 for any.
    pub mqtt_port: u16,
    /// Port of HTTP; 0 for any.
    pub http_port: u16,
    /// Vehicles on the road at the top of the peak.
    pub vehicles: usize,
    /// Event seconds in one second of wall clock.
    pub speedup: f64,
    /// Seed of city and traffic.
    pub seed: u64,
    /// Where a recording and a dataset folder are written, if anywhere.
    pub record: Option<PathBuf>,
}

/// A running demo.
#[derive(Debug)]
pub struct Demo {
    /// The engine behind it.
    pub service: Service,
    /// Where the broker listens.
    pub broker: std::net::SocketAddr,
    stop: Arc<AtomicBool>,
    traffic: std::thread::JoinHandle<anyhow::Result<()>>,
}

impl Demo {
    /// Builds the city, starts broker and engine, waits until they are ready and lets the traffic
    /// begin. `forecaster` makes the forecaster for the city's network.
    ///
    /// # Errors
    /// When a port is taken or a part does not start.
    pub async fn start(
        options: DemoOptions,
        forecaster: impl FnOnce(&Network) -> anyhow::Result<Arc<dyn Forecaster>>,
    ) -> anyhow::Result<Self> {
        let broker = Embedded::start(options.mqtt_port)?;
        let city = city::build(options.seed, CitySize::Demo)?;
        if let Some(directory) = &options.record {
            let series = history::generate(&city, DATASET_DAYS, options.seed);
            let folder = directory.join("dataset");
            dataset::write(&folder, "roadcast-city", &city.network, &series)
                .with_context(|| folder.display().to_string())?;
        }
        let traffic = TrafficSettings {
            vehicles: options.vehicles,
            seed: options.seed,
            ..TrafficSettings::default()
        };
        let begin = traffic.start;
        let forecaster = forecaster(&city.network)?;
        let plan = Plan {
            config: configure(&options, &city, broker.address())?,
            network: city.network.clone(),
            forecasters: forecaster.into(),
            city: Some((city.name.0.to_owned(), city.name.1.to_owned())),
            water: city.water.clone(),
            speedup: options.speedup,
            begin_at: Some(begin),
        };
        let service = Service::start(plan).await?;
        let waiting_since = Instant::now();
        while !service.is_subscribed() {
            anyhow::ensure!(
                waiting_since.elapsed() < TICK_TIMEOUT,
                "the broker does not answer"
            );
            anyhow::ensure!(!service.has_ended(), "the engine has ended");
            tokio::time::sleep(Duration::from_millis(5)).await;
        }
        let stop = Arc::new(AtomicBool::new(false));
        let runtime = tokio::runtime::Handle::current();
        let driver = Driver::connect(broker.address(), &runtime, stop.clone());
        let speedup = options.speedup;
        let traffic = std::thread::Builder::new()
            .name("traffic".into())
            .spawn(move || driver.run(&city, traffic, speedup))
            .context("starting the traffic")?;
        Ok(Self {
            service,
            broker: broker.address(),
            stop,
            traffic,
        })
    }

    /// Stops the traffic, then the engine.
    ///
    /// # Errors
    /// When either had failed.
    pub async fn stop(self) -> anyhow::Result<()> {
        self.stop.store(true, Ordering::Relaxed);
        let traffic = self.traffic;
        let ended = tokio::task::spawn_blocking(move || traffic.join()).await?;
        self.service.stop().await?;
        ended.map_err(|_panic| anyhow::anyhow!("the traffic thread panicked"))?
    }
}

fn configure(
    options: &DemoOptions,
    city: &City,
    broker: std::net::SocketAddr,
) -> anyhow::Result<config::Config> {
    let mut raw = RawConfig::default();
    raw.clock.mode = "event".into();
    raw.mqtt.url = format!("mqtt://{broker}");
    raw.mqtt.client_id = "roadcast-demo".into();
    raw.mqtt.protocol = "3.1.1".into();
    raw.engine.lateness_ms = LATENESS_MS;
    // Nothing is kept across restarts, and the embedded broker is better at QoS 0.
    raw.mqtt.routes.iter_mut().for_each(|route| route.qos = 0);
    raw.http.bind = format!("127.0.0.1:{}", options.http_port);
    if let Some(directory) = &options.record {
        raw.recording.dir = directory.join("recording");
    }
    raw.publish.rsus = city
        .rsus
        .iter()
        .map(|rsu| RawRsu {
            format: "csae".into(),
            id: rsu.id.clone(),
            lon: rsu.position.lon_deg,
            lat: rsu.position.lat_deg,
            radius_m: RSU_REACH_M,
            datum: "wgs84".into(),
            delimiter: ".".into(),
            dialect: "2019".into(),
            acknowledges: Vec::new(),
            map_file: PathBuf::new(),
            up_limits: RawUpLimits::default(),
        })
        .collect();
    Ok(config::resolve(raw)?)
}

/// Drives the simulation and publishes what it reports.
struct Driver {
    publisher: Publisher,
    acks: Ingest,
    stop: Arc<AtomicBool>,
}

impl Driver {
    fn connect(
        broker: std::net::SocketAddr,
        runtime: &tokio::runtime::Handle,
        stop: Arc<AtomicBool>,
    ) -> Self {
        let connect = |client_id: &str| {
            let mut connect =
                ConnectSettings::new(&broker.ip().to_string(), broker.port(), client_id);
            connect.protocol = config::Protocol::V311;
            connect
        };
        let publisher =
            Publisher::spawn(connect("roadcast-city"), OutboxSettings::default(), runtime);
        let subscription = Subscription {
            filter: format!("{CLOCK_TOPIC}/ack"),
            qos: Qos::AtMostOnce,
            source: SourceId(0),
        };
        let settings = IngestSettings::new(connect("roadcast-city-clock"), vec![subscription]);
        Self {
            publisher,
            acks: ingest::spawn(settings, runtime),
            stop,
        }
    }

    fn run(self, city: &City, settings: TrafficSettings, speedup: f64) -> anyhow::Result<()> {
        let mut simulation = Simulation::new(city, settings);
        let began = Instant::now();
        self.warm_up(&mut simulation)?;
        tracing::info!(
            seconds = began.elapsed().as_secs_f64(),
            "Warm-up done, traffic is live."
        );
        let second = Duration::from_secs_f64(1.0 / speedup);
        let mut due = Instant::now();
        let mut reports = Vec::new();
        while !self.is_stopped() {
            simulation.step(&mut reports);
            self.send(&mut reports);
            due += second;
            match due.checked_duration_since(Instant::now()) {
                Some(rest) => std::thread::sleep(rest),
                // On a machine too slow for the speedup, time stretches and nothing piles up.
                None => due = Instant::now(),
            }
        }
        self.publisher.close(Duration::from_secs(1));
        self.acks.close(Duration::from_secs(1));
        Ok(())
    }

    /// Simulates as fast as the engine takes it, in lock-step over the clock topic.
    fn warm_up(&self, simulation: &mut Simulation) -> anyhow::Result<()> {
        let mut failed = Ok(());
        simulation.warm_up(WARM_UP_S, WARM_UP_THINNING, |now, reports| {
            if failed.is_err() || self.is_stopped() {
                return;
            }
            self.send(reports);
            if now.as_secs() % 60 == 0 {
                // One minute behind what was sent: the broker may still hold some of this one back.
                failed = self.tick(now.plus_secs(-60));
            }
        });
        failed
    }

    fn send(&self, reports: &mut Vec<Report>) {
        for report in reports.drain(..) {
            self.publisher.publish(OutMessage {
                topic: report.topic.to_string(),
                payload: report.payload,
                qos: 0,
                retain: false,
            });
        }
    }

    /// Says what time it is and waits until the engine has put out everything up to it.
    fn tick(&self, now: Timestamp) -> anyhow::Result<()> {
        let payload = Bytes::from(now.as_millis().to_string());
        self.publisher.publish(OutMessage {
            topic: CLOCK_TOPIC.to_owned(),
            payload: payload.clone(),
            qos: 1,
            retain: false,
        });
        let until = Instant::now() + TICK_TIMEOUT;
        while !self.is_stopped() {
            anyhow::ensure!(
                Instant::now() < until,
                "the engine did not acknowledge {now}"
            );
            if let Received::Batch(batch) = self.acks.batches.recv(Duration::from_millis(50)) {
                batch.ack.acknowledge();
                if batch
                    .messages
                    .iter()
                    .any(|message| message.payload == payload)
                {
                    break;
                }
            }
        }
        Ok(())
    }

    fn is_stopped(&self) -> bool {
        self.stop.load(Ordering::Relaxed)
    }
}
