//! The thread between ingest and pipeline: records, feeds, keeps time, snapshots, measures.

use std::collections::BTreeMap;
use std::path::PathBuf;
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Mutex};
use std::time::{Duration, Instant};

use anyhow::Context;

use super::clock::ServiceClock;
use super::profiles::ProfilesFile;
use super::sink::{ServiceSink, lock};
use super::snapshots;
use crate::config::Config;
use crate::engine::{CLOCK_TOPIC, clock_time};
use crate::ingest::{AckToken, Batch, Ingest, Received};
use crate::metrics::{Metrics, Stage};
use crate::observation::{RawMessage, RejectCounts};
use crate::publish::OutMessage;
use crate::publish::downlink::{DeliveryOutcome, Downlink};
use crate::publish::format::device_message;
use crate::publish::mqtt::Publisher;
use crate::replay::pipeline::{Forecasters, Parts, Pipeline, PipelineSettings};
use crate::replay::recording::{
    Durable, Recorder, RecorderSettings, Recording, Rotation, SyncPolicy, Writer,
};
use crate::screening::Views;
use crate::serve::LiveSender;
use crate::state::SourceTrust;
use crate::units::{ObserverId, SourceId, Timestamp};
use crate::wire::observer_id;

/// Longest wait for messages before the clock is looked at.
const IDLE_WAIT: Duration = Duration::from_millis(20);
/// Pause between two updates of the counters.
const MEASURE_EVERY: Duration = Duration::from_millis(500);
/// Pause between two log lines about records refused for one reason.
const LOG_REFUSALS_EVERY: Duration = Duration::from_secs(60);
/// How long after its lateness a minute is closed when nothing arrives, ms (wall clock only).
const SILENCE_MS: i64 = 5_000;
/// Longest wait for the recording before a snapshot.
const RECORDER_PATIENCE: Duration = Duration::from_secs(30);
/// Topic on which a tick of the clock topic is acknowledged.
const CLOCK_ACK_TOPIC: &str = "roadcast/v1/clock/ack";

/// Everything the loop is made of.
pub(super) struct Start {
    pub(super) parts: Parts,
    pub(super) forecasters: Forecasters,
    pub(super) sink: ServiceSink,
    pub(super) downlink: Arc<Mutex<Downlink>>,
    pub(super) ingest: Ingest,
    pub(super) live: LiveSender,
    pub(super) clock: ServiceClock,
    pub(super) metrics: Metrics,
    pub(super) config: Config,
    pub(super) stop: Arc<AtomicBool>,
}

/// The write-ahead log with its snapshots.
struct Log {
    recorder: Recorder<AckToken>,
    directory: PathBuf,
    /// Messages appended so far, those of earlier runs included.
    sequence: u64,
    snapshot_minutes: i64,
    /// Messages recorded by earlier runs.
    begin: u64,
    /// Start of the oldest open minute at the last snapshot.
    snapshot_at: Option<Timestamp>,
}

impl Log {
    /// Waits until every message appended so far stands in the recording.
    fn wait_until_written(&self) -> anyhow::Result<()> {
        let stats = self.recorder.stats();
        let since = Instant::now();
        while self.sequence > self.begin && stats.durable.load(Ordering::Relaxed) < self.sequence {
            let is_stuck = since.elapsed() > RECORDER_PATIENCE;
            anyhow::ensure!(
                !is_stuck,
                "the recording does not keep up: is its disk full?"
            );
            std::thread::park_timeout(Duration::from_millis(1));
        }
        Ok(())
    }
}

/// The loop, ready to run on its thread.
pub(super) struct EngineLoop {
    pipeline: Pipeline<ServiceSink>,
    log: Option<Log>,
    profiles: Option<ProfilesFile>,
    ingest: Ingest,
    publisher: Option<Arc<Publisher>>,
    downlink: Arc<Mutex<Downlink>>,
    /// How far each view is trusted; the sink writes it each minute.
    trust: Arc<Mutex<Vec<SourceTrust>>>,
    /// Silence after which a unit may have forgotten what it was told, ms.
    device_silent_ms: i64,
    live: LiveSender,
    clock: ServiceClock,
    metrics: Metrics,
    stop: Arc<AtomicBool>,
    silence_ms: i64,
    measured_at: Instant,
    /// Refusals as last logged, and when.
    refusals_logged: (RejectCounts, Instant),
    /// The minute in which the roadside units were last told of.
    devices_minute: i64,
}

impl EngineLoop {
    /// Takes up the last snapshot and the rest of the recording, if there are any.
    pub(super) fn start(start: Start) -> anyhow::Result<Self> {
        let Start {
            parts,
            forecasters,
            sink,
            downlink,
            ingest,
            live,
            clock,
            metrics,
            config,
            stop,
        } = start;
        let settings = PipelineSettings {
            shard_count: config.shard_count,
            forecast_deadline: Some(Duration::from_millis(config.raw.forecast.deadline_ms)),
        };
        let (publisher, trust) = (sink.publisher(), sink.trust.clone());
        let network = parts.matcher.network().version();
        let directory = config.raw.recording.dir.clone();
        let has_log = !directory.as_os_str().is_empty();
        let snapshot = if has_log {
            snapshots::newest(&directory, network)?
        } else {
            None
        };
        let memory = snapshot.as_ref().map(|snapshot| snapshot.memory.as_slice());
        let mut pipeline = Pipeline::start(&settings, parts, forecasters, sink, memory)?;
        let log = if has_log {
            let sequence = snapshot.map_or(0, |snapshot| snapshot.sequence);
            catch_up(&mut pipeline, &directory, sequence, &clock)?;
            Some(open_log(&config, directory, sequence)?)
        } else {
            None
        };
        let profiles = ProfilesFile::new(
            &config.raw.state.profiles_file,
            config.raw.recording.snapshot_minutes,
        );
        let silence_ms = config.front.lateness_ms + SILENCE_MS;
        let measured_at = Instant::now();
        Ok(Self {
            pipeline,
            log,
            profiles,
            ingest,
            publisher,
            downlink,
            trust,
            device_silent_ms: config.front.fleet.silent_after_ms,
            live,
            clock,
            metrics,
            stop,
            silence_ms,
            measured_at,
            refusals_logged: (RejectCounts::default(), measured_at),
            devices_minute: i64::MIN,
        })
    }

    /// Runs until told to stop, then drains and says goodbye within `grace`.
    pub(super) fn run(mut self, grace: Duration) -> anyhow::Result<()> {
        while !self.stop.load(Ordering::Relaxed) {
            match self.ingest.batches.recv(IDLE_WAIT) {
                Received::Batch(batch) => self.take(batch)?,
                Received::Idle => {}
                Received::Closed => break,
            }
            self.keep_time()?;
            self.deliver();
            if self.measured_at.elapsed() >= MEASURE_EVERY {
                self.measured_at = Instant::now();
                self.measure();
                self.tell_devices();
            }
        }
        self.ingest.stop_reading();
        while let Received::Batch(batch) = self.ingest.batches.recv(Duration::ZERO) {
            self.take(batch)?;
        }
        if let Some(log) = &mut self.log {
            snapshot(log, &mut self.pipeline, &self.metrics)?;
        }
        self.keep_profiles(true)?;
        // Open minutes are in the snapshot and go on after a restart.
        let Self {
            pipeline,
            log,
            ingest,
            publisher,
            ..
        } = self;
        let (_, sink) = pipeline.abandon()?;
        drop(sink);
        if let Some(log) = log {
            log.recorder.finish().context("finishing the recording")?;
        }
        ingest.close(grace);
        if let Some(publisher) = publisher.and_then(Arc::into_inner) {
            let left = publisher.close(grace);
            if left > 0 {
                tracing::warn!(
                    messages = left,
                    "Some messages did not go out before the exit."
                );
            }
        }
        Ok(())
    }

    fn take(&mut self, batch: Batch) -> anyhow::Result<()> {
        let taken_at = Instant::now();
        let Batch { mut messages, ack } = batch;
        let now = self.clock.now();
        self.take_answers(&mut messages);
        let messages = Arc::new(messages);
        let mut ack = Some(ack);
        if let Some(log) = &mut self.log {
            let token = ack.take().unwrap_or_default();
            log.sequence = log.recorder.append(now, messages.clone(), token)?;
        }
        self.pipeline.begin_batch(taken_at);
        for message in messages.iter() {
            self.pipeline.accept(now, message)?;
            if &*message.topic == CLOCK_TOPIC {
                self.tick(message)?;
            }
        }
        self.pipeline.hand_over()?;
        self.metrics
            .stage_seconds(Stage::Decode, taken_at.elapsed().as_secs_f64());
        if let Some(newest) = self.pipeline.front().newest() {
            self.clock.advance_to(newest);
        }
        if let Some(ack) = ack {
            ack.acknowledge();
        }
        Ok(())
    }

    /// Takes what units answer out of `messages`, as no telemetry and no part of the recording, and
    /// answers what they ask.
    fn take_answers(&mut self, messages: &mut Vec<RawMessage>) {
        let Some(publisher) = &self.publisher else {
            return;
        };
        let now = self.clock.wall_now();
        let mut downlink = lock(&self.downlink);
        messages.retain(|message| !downlink.take_answer(&message.topic, &message.payload));
        for message in &*messages {
            let answer = downlink.take_info(now, &message.topic, &message.payload);
            if let Some(answer) = answer {
                publisher.publish(answer);
            }
        }
    }

    /// Sends what is due to the units.
    fn deliver(&mut self) {
        if let Some(publisher) = &self.publisher {
            let due = lock(&self.downlink).due(self.clock.wall_now());
            due.into_iter()
                .for_each(|message| publisher.publish(message));
        }
    }

    /// Waits until the outputs of a tick of the clock topic are out, and acknowledges it.
    fn tick(&mut self, message: &RawMessage) -> anyhow::Result<()> {
        let Some(time) = clock_time(&message.payload) else {
            return Ok(());
        };
        self.clock.advance_to(time);
        self.pipeline.barrier()?;
        if let Some(publisher) = &self.publisher {
            publisher.publish(OutMessage {
                topic: CLOCK_ACK_TOPIC.to_owned(),
                payload: message.payload.clone(),
                qos: 1,
                retain: false,
            });
        }
        Ok(())
    }

    /// Closes minutes for which nothing has arrived, and snapshots when it is time.
    fn keep_time(&mut self) -> anyhow::Result<()> {
        let open_from = self.pipeline.front().open_from();
        if let Some(open_from) = open_from
            && !self.clock.follows_events()
        {
            let time = self.clock.now().plus_millis(-self.silence_ms);
            if time >= open_from.plus_millis(crate::state::MINUTE_MS) {
                self.record_tick(time)?;
                self.pipeline.close_until(time)?;
            }
        }
        if let (Some(log), Some(open_from)) = (&mut self.log, self.pipeline.front().open_from()) {
            let at = *log.snapshot_at.get_or_insert(open_from);
            let minutes = open_from.millis_since(at) / crate::state::MINUTE_MS;
            if minutes >= log.snapshot_minutes {
                log.snapshot_at = Some(open_from);
                snapshot(log, &mut self.pipeline, &self.metrics)?;
            }
        }
        self.keep_profiles(false)
    }

    /// Writes the learnt profiles to their file when it is time, or when this is the `end`.
    fn keep_profiles(&mut self, is_end: bool) -> anyhow::Result<()> {
        if let (Some(file), Some(open_from)) =
            (&mut self.profiles, self.pipeline.front().open_from())
            && (file.is_due(open_from) || is_end)
        {
            let profiles = self.pipeline.profiles()?;
            match file.write(open_from, &profiles) {
                Ok(()) => self.metrics.gauge(
                    "roadcast_profiles_timestamp_seconds",
                    &[],
                    open_from.as_secs_f64(),
                ),
                // The old file is whole, and the snapshot has the profiles too.
                Err(error) => tracing::error!("The profiles were not written: {error:#}"),
            }
        }
        Ok(())
    }

    /// What the clock closes must be in the recording too, or a restart would close other minutes.
    fn record_tick(&mut self, time: Timestamp) -> anyhow::Result<()> {
        if let Some(log) = &mut self.log {
            let now = self.clock.now();
            let tick = RawMessage {
                received_at: now,
                source: SourceId(u32::MAX),
                topic: CLOCK_TOPIC.into(),
                payload: time.as_millis().to_string().into_bytes().into(),
            };
            log.sequence = log
                .recorder
                .append(now, Arc::new(vec![tick]), AckToken::default())?;
        }
        Ok(())
    }

    /// Publishes, once a minute, how each roadside unit was last heard.
    fn tell_devices(&mut self) {
        let now = self.clock.now();
        let mut downlink = lock(&self.downlink);
        let front = self.pipeline.front();
        let fleet = front.fleet();
        downlink.look(self.device_silent_ms, |unit| fleet.last_seen(unit));
        let minute = now.as_secs().div_euclid(60);
        if minute == self.devices_minute {
            return;
        }
        self.devices_minute = minute;
        self.expire(now);
        let trust = trust_of_observers(front.views(), &lock(&self.trust));
        let (mut known, mut silent, mut skewed, mut flooding) = (0.0, 0.0, 0.0, 0.0);
        for status in fleet.statuses(now) {
            known += 1.0;
            silent += f64::from(u8::from(status.is_silent));
            skewed += f64::from(u8::from(status.is_skewed));
            flooding += f64::from(u8::from(status.is_flooding));
            if let Some(publisher) = &self.publisher {
                let told = downlink.status(&status.report.device);
                let observer = observer_id(status.report.device.as_bytes());
                let trust = trust.get(&observer).copied();
                publisher.publish(device_message(&status, told.as_ref(), trust));
            }
        }
        for (state, count) in [
            ("known", known),
            ("silent", silent),
            ("skewed", skewed),
            ("flooding", flooding),
        ] {
            self.metrics.gauge("roadcast_devices", &[state], count);
        }
    }

    /// Lets the recording delete what is too old, also when nothing arrives.
    fn expire(&self, now: Timestamp) {
        let Some(log) = &self.log else { return };
        if log.recorder.expire(now).is_err() {
            // The next message to record ends the engine with the reason.
            tracing::error!("The recording has ended; nothing in it expires.");
        }
    }

    /// What is counted of roadside units and the messages to them.
    fn measure_units(&self) {
        let (metrics, front) = (&self.metrics, self.pipeline.front());
        let downlink = lock(&self.downlink);
        for (name, total) in [
            ("roadcast_devices_refused_total", front.fleet().refused()),
            (
                "roadcast_gate_crowded_messages_total",
                front.gate().crowded(),
            ),
            ("roadcast_infos_unanswered_total", downlink.unanswered()),
        ] {
            metrics.counter_to(name, &[], total);
        }
        for outcome in DeliveryOutcome::ALL {
            let count = downlink.counts().get(outcome);
            metrics.counter_to("roadcast_deliveries_total", &[outcome.label()], count);
        }
        let waiting = downlink.waiting() as f64;
        metrics.gauge("roadcast_deliveries_waiting_messages", &[], waiting);
    }

    fn measure(&mut self) {
        let (metrics, stats) = (&self.metrics, &self.ingest.stats);
        let load = |counter: &std::sync::atomic::AtomicU64| counter.load(Ordering::Relaxed);
        self.live.set_subscribed(stats.is_ready());
        metrics.gauge("roadcast_mqtt_connected", &[], is(&stats.link.connected));
        metrics.gauge("roadcast_mqtt_subscribed", &[], is(&stats.subscribed));
        metrics.counter_to(
            "roadcast_mqtt_reconnects_total",
            &[],
            stats.link.reconnects(),
        );
        metrics.counter_to(
            "roadcast_messages_received_total",
            &[],
            load(&stats.received),
        );
        metrics.counter_to(
            "roadcast_received_bytes_total",
            &[],
            load(&stats.received_bytes),
        );
        metrics.counter_to(
            "roadcast_messages_acknowledged_total",
            &[],
            load(&stats.acknowledged),
        );
        let front = self.pipeline.front();
        let progress = self.pipeline.progress();
        let mut rejected = stats.drops();
        let before_decoding = rejected.total();
        rejected.merge(front.rejected());
        rejected.merge(&progress.counts.rejected);
        for (reason, count) in rejected.iter() {
            metrics.dropped_to(reason, count);
        }
        let is_due = self.refusals_logged.1.elapsed() >= LOG_REFUSALS_EVERY;
        let to_log = is_due.then(|| rejected.clone());
        let received = front.received() + before_decoding;
        metrics.counter_to("roadcast_records_received_total", &[], received);
        let used = progress.counts.used + front.detector_count();
        metrics.counter_to("roadcast_records_used_total", &[], used);
        metrics.gauge("roadcast_vehicles_tracked", &[], progress.tracks as f64);
        for seconds in progress.latency_s {
            metrics.observe("roadcast_ingest_latency_seconds", &[], seconds);
        }
        for seconds in progress.busy_s {
            metrics.stage_seconds(Stage::Match, seconds);
        }
        if let Some(newest) = front.newest() {
            metrics.gauge(
                "roadcast_event_time_timestamp_seconds",
                &[],
                newest.as_secs_f64(),
            );
        }
        if let Some(open_from) = front.open_from() {
            let age_ms = self.clock.now().millis_since(open_from).max(0);
            metrics.gauge("roadcast_data_age_seconds", &[], age_ms as f64 / 1e3);
        }
        if let Some(publisher) = &self.publisher {
            let stats = publisher.stats();
            let queued = stats.queued.load(Ordering::Relaxed);
            metrics.gauge("roadcast_outbox_messages", &[], queued as f64);
            metrics.counter_to("roadcast_outbox_dropped_total", &[], load(&stats.dropped));
            let published = load(&stats.acknowledged) + load(&stats.sent);
            metrics.counter_to("roadcast_published_messages_total", &[], published);
        }
        self.measure_units();
        if let Some(log) = &self.log {
            let stats = log.recorder.stats();
            metrics.counter_to(
                "roadcast_recording_messages_total",
                &[],
                load(&stats.written),
            );
            metrics.counter_to("roadcast_recording_syncs_total", &[], load(&stats.syncs));
            for (reason, count) in [
                ("age", &stats.expired_by_age),
                ("size", &stats.expired_by_size),
            ] {
                let name = "roadcast_recording_expired_files_total";
                metrics.counter_to(name, &[reason], load(count));
            }
        }
        if let Some(rejected) = to_log {
            self.log_refusals(rejected);
        }
    }

    /// One line a minute for each reason, with how many records it met since the last: no line names
    /// a record or whoever sent it.
    fn log_refusals(&mut self, rejected: RejectCounts) {
        let (logged, at) = &mut self.refusals_logged;
        for (reason, count) in rejected.iter() {
            let records = count.saturating_sub(logged.get(reason));
            if records > 0 {
                let reason = reason.label();
                tracing::info!(reason, records, "Records were refused.");
            }
        }
        (*logged, *at) = (rejected, Instant::now());
    }
}

fn is(flag: &AtomicBool) -> f64 {
    f64::from(u8::from(flag.load(Ordering::Relaxed)))
}

/// Feeds what was recorded after the snapshot.
fn catch_up(
    pipeline: &mut Pipeline<ServiceSink>,
    directory: &std::path::Path,
    sequence: u64,
    clock: &ServiceClock,
) -> anyhow::Result<()> {
    if !directory.exists() || std::fs::read_dir(directory)?.next().is_none() {
        return Ok(());
    }
    let mut recording = Recording::open_at(directory, sequence)?;
    let (mut entries, mut count) = (Vec::new(), 0u64);
    while recording.next_block(&mut entries)? {
        for (now, message) in entries.drain(..) {
            pipeline.accept(now, &message)?;
            count += 1;
        }
    }
    pipeline.barrier()?;
    if let Some(newest) = pipeline.front().newest() {
        clock.advance_to(newest);
    }
    tracing::info!(
        from = sequence,
        messages = count,
        "The recording was taken up."
    );
    Ok(())
}

/// Continues the recording; what the newest snapshot, which reaches to `needed_from`, needs is kept.
fn open_log(config: &Config, directory: PathBuf, needed_from: u64) -> anyhow::Result<Log> {
    let recording = &config.raw.recording;
    let rotation = Rotation {
        segment_bytes: recording.file_bytes_max,
        retain_age_ms: i64::from(recording.keep_days) * 86_400_000,
        ..Rotation::default()
    };
    let mut writer = Writer::open_dir(&directory, rotation)?;
    writer.protect_from(needed_from);
    let sequence = writer.sequence();
    let sync = match u64::try_from(recording.sync_interval_ms) {
        Ok(millis) => SyncPolicy::AtMostEvery(Duration::from_millis(millis)),
        Err(_negative) => SyncPolicy::Never,
    };
    let settings = RecorderSettings {
        sync,
        ..RecorderSettings::default()
    };
    let recorder = Recorder::spawn(writer, settings, |durable: Durable<'_, AckToken>| {
        durable.tokens.for_each(AckToken::acknowledge);
    })
    .context("starting the recorder")?;
    Ok(Log {
        recorder,
        directory,
        sequence,
        snapshot_minutes: i64::from(recording.snapshot_minutes),
        begin: sequence,
        snapshot_at: None,
    })
}

fn snapshot(
    log: &mut Log,
    pipeline: &mut Pipeline<ServiceSink>,
    metrics: &Metrics,
) -> anyhow::Result<()> {
    // A snapshot must never reach further than the recording on disk: after a crash the numbers of
    // new messages would begin below it, and the next restart would pass them over.
    log.wait_until_written()?;
    let memory = pipeline.snapshot()?;
    let network = pipeline.network();
    snapshots::write(&log.directory, log.sequence, network, &memory)?;
    log.recorder.protect_from(log.sequence)?;
    if let Some(open_from) = pipeline.front().open_from() {
        metrics.gauge(
            "roadcast_snapshot_timestamp_seconds",
            &[],
            open_from.as_secs_f64(),
        );
    }
    Ok(())
}

/// How far those who perceive are trusted: where one is heard in several views, the worst.
fn trust_of_observers(views: &Views, trust: &[SourceTrust]) -> BTreeMap<ObserverId, SourceTrust> {
    let mut by_observer = BTreeMap::new();
    for &found in trust {
        let Some(view) = views.get(found.view) else {
            continue;
        };
        if view.observer == ObserverId::ITSELF {
            continue;
        }
        let known = by_observer.entry(view.observer).or_insert(found);
        if (!found.is_distrusted, found.trust) < (!known.is_distrusted, known.trust) {
            *known = found;
        }
    }
    by_observer
}
