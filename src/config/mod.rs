//! Configuration: layers of raw TOML resolved once into validated settings of the rooms.
//!
//! Precedence, lowest first: compiled defaults, the file given with `--config`, environment
//! variables `ROADCAST__SECTION__KEY`, command-line flags. Unknown keys are errors; all problems are
//! reported together. After start nobody sees raw configuration.

mod area;
mod calendar;
mod closure;
mod corridor;
mod device;
mod levels;
mod privacy;
mod raw;
mod region;
mod rsu;

use std::collections::BTreeSet;
use std::path::{Path, PathBuf};

pub use area::RawArea;
pub use device::DeviceChoice;
pub use levels::{BUNDLED as BUNDLED_LEVEL_STANDARDS, standard as level_standard};
pub use privacy::{RawPrivacy, RawZone};
pub use raw::{
    RawArchive, RawClock, RawConfig, RawEngine, RawForecast, RawHttp, RawMatching, RawMqtt,
    RawNetwork, RawPublish, RawRecording, RawRoute, RawState, RawVetting,
};
pub use region::RawRegion;
pub use rsu::{RawRsu, RawUpLimits};

use crate::engine::FrontSettings;
use crate::matching::{AreaDraft, ZoneDraft};
use crate::observation::UplinkKind;
use crate::screening::{FleetSettings, GateSettings};
use crate::state::congestion::{RegionDraft, Standard, check_regions};
use crate::state::{Calendar, ClosureDraft, CorridorDraft, VettingSettings};
use crate::units::{Datum, Metres, Position};
use crate::wire::its0117::{Delimiter, Kind, UplinkLimits};
use crate::wire::{DecodeLimits, DecoderTable, Dialect, Format, Route};

/// Prefix of environment variables that set a key: `ROADCAST__MQTT__URL` sets `mqtt.url`.
pub const ENVIRONMENT_PREFIX: &str = "ROADCAST__";

/// Why a configuration cannot be used.
#[derive(Debug, thiserror::Error)]
pub enum ConfigError {
    /// A file cannot be read.
    #[error("{path}: {source}")]
    Unreadable {
        /// Which file.
        path: PathBuf,
        /// Why.
        source: std::io::Error,
    },
    /// A layer is not valid TOML of the known keys.
    #[error("{layer}: {problem}")]
    Malformed {
        /// File name or `environment`.
        layer: String,
        /// What is wrong and where.
        problem: String,
    },
    /// Values are out of range or contradict each other; one line a problem.
    #[error("{}", .0.join("\n"))]
    Invalid(Vec<String>),
}

/// Where time comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum ClockMode {
    /// The system clock.
    Wall,
    /// The newest observation or the clock topic.
    Event,
}

/// Which MQTT version is spoken.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Protocol {
    /// MQTT 5 only.
    V5,
    /// MQTT 3.1.1 only.
    V311,
    /// MQTT 5, and 3.1.1 where the broker refuses it.
    Auto,
}

/// A roadside unit that is told of jams, and how much it may send.
#[derive(Clone, Debug, PartialEq)]
pub struct RsuTarget {
    /// Its id: 1 to 8 bytes in T/CSAE 53, 1 to 64 in Huawei's JSON.
    pub id: String,
    /// How it is told of jams.
    pub format: RsuFormat,
    /// Where it stands.
    pub position: Position,
    /// Jams nearer than this are told to it.
    pub radius: Metres,
    /// In which datum it wants positions.
    pub datum: Datum,
    /// How its topics are written.
    pub delimiter: Delimiter,
    /// Release of T/CSAE 53 that it speaks.
    pub dialect: Dialect,
    /// Which messages down it acknowledges.
    pub acknowledges: BTreeSet<Kind>,
    /// File of the MAP frame it is sent; empty for none.
    pub map_file: PathBuf,
    /// Most messages a second that it may send, by kind.
    pub up_limits: UplinkLimits,
}

/// In which form a roadside unit is told of jams.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum RsuFormat {
    /// T/CSAE 53 RSI in UPER on topics of T/ITS 0117.
    #[default]
    Csae,
    /// Huawei's DRIS JSON on `v2x/v1/rsu/{esn}/rsi/down`.
    Huawei,
}

/// The configuration as the rooms use it.
#[derive(Clone, Debug)]
pub struct Config {
    /// What was written, validated.
    pub raw: RawConfig,
    /// Where time comes from.
    pub clock: ClockMode,
    /// Which processor forecasts.
    pub forecast_device: DeviceChoice,
    /// Broker host and port.
    pub broker: (String, u16),
    /// MQTT version.
    pub protocol: Protocol,
    /// Which decoder serves which topic.
    pub routes: Vec<Route>,
    /// Limits of decoding.
    pub limits: DecodeLimits,
    /// Threads that match.
    pub shard_count: usize,
    /// Settings of the front.
    pub front: FrontSettings,
    /// How event time maps to local days.
    pub calendar: Calendar,
    /// The congestion standard of levels and index.
    pub level_standard: Standard,
    /// Regions that have an index.
    pub regions: Vec<RegionDraft>,
    /// Corridors whose travel times are told.
    pub corridors: Vec<CorridorDraft>,
    /// Roads that will be closed, not yet found on the network.
    pub closures: Vec<ClosureDraft>,
    /// Areas of roadside units.
    pub areas: Vec<AreaDraft>,
    /// Which reports are believed.
    pub vetting: VettingSettings,
    /// Sensitive zones.
    pub zones: Vec<ZoneDraft>,
    /// Roadside units that are told of jams.
    pub rsus: Vec<RsuTarget>,
    /// In which datum guidance goes out over MQTT.
    pub publish_datum: Datum,
    /// Where HTTP listens.
    pub bind: std::net::SocketAddr,
}

impl Config {
    /// For how long around a rotation road users are looked for under both keys, ms: as long as a
    /// silent track may live until the minute of its end is closed.
    pub fn pseudonym_overlap_ms(&self) -> i64 {
        let forget_after_ms = self.raw.matching.forget_after_s * 1000;
        forget_after_ms + self.raw.engine.lateness_ms + crate::state::MINUTE_MS
    }

    /// The decoders the routes ask for.
    pub fn decoder_table(&self) -> DecoderTable {
        DecoderTable::new(self.routes.clone(), self.limits)
    }
}

/// Reads the layers: compiled defaults, `file`, and `environment` (name and value pairs).
///
/// # Errors
/// When a layer cannot be read, has an unknown key or a value of the wrong type.
pub fn read(
    file: Option<&Path>,
    environment: impl Iterator<Item = (String, String)>,
) -> Result<RawConfig, ConfigError> {
    let mut table = toml::Table::new();
    if let Some(path) = file {
        let unreadable = |source| ConfigError::Unreadable {
            path: path.to_owned(),
            source,
        };
        let text = std::fs::read_to_string(path).map_err(unreadable)?;
        let layer = path.display().to_string();
        table = parse(&layer, &text)?;
        check_keys(&layer, &table)?;
    }
    let mut variables: Vec<(String, String)> = environment
        .filter(|(name, _)| name.starts_with(ENVIRONMENT_PREFIX))
        .collect();
    variables.sort();
    for (name, value) in variables {
        set(&mut table, &name, &value)?;
    }
    check_keys("environment", &table)
}

fn parse(layer: &str, text: &str) -> Result<toml::Table, ConfigError> {
    text.parse()
        .map_err(|error: toml::de::Error| ConfigError::Malformed {
            layer: layer.to_owned(),
            problem: error.to_string(),
        })
}

fn check_keys(layer: &str, table: &toml::Table) -> Result<RawConfig, ConfigError> {
    RawConfig::deserialize_table(table).map_err(|problem| ConfigError::Malformed {
        layer: layer.to_owned(),
        problem,
    })
}

impl RawConfig {
    fn deserialize_table(table: &toml::Table) -> Result<Self, String> {
        serde::Deserialize::deserialize(table.clone())
            .map_err(|error: toml::de::Error| error.to_string())
    }
}

/// Sets one key from an environment variable; the value is TOML where it parses as such, else text.
fn set(table: &mut toml::Table, name: &str, value: &str) -> Result<(), ConfigError> {
    let path = name[ENVIRONMENT_PREFIX.len()..].to_lowercase();
    let Some((section, key)) = path.split_once("__") else {
        return Err(ConfigError::Malformed {
            layer: "environment".into(),
            problem: format!("{name}: expected {ENVIRONMENT_PREFIX}SECTION__KEY"),
        });
    };
    let value = format!("value = {value}")
        .parse::<toml::Table>()
        .ok()
        .and_then(|mut parsed| parsed.remove("value"))
        .unwrap_or_else(|| toml::Value::String(value.to_owned()));
    let section = table
        .entry(section.to_owned())
        .or_insert_with(|| toml::Value::Table(toml::Table::new()));
    if let toml::Value::Table(section) = section {
        section.insert(key.to_owned(), value);
    }
    Ok(())
}

/// Collects what is wrong, so that everything is reported together.
#[derive(Default)]
struct Problems(Vec<String>);

impl Problems {
    fn range<T: PartialOrd + std::fmt::Display>(&mut self, key: &str, value: T, low: T, high: T) {
        if !(low <= value && value <= high) {
            self.0
                .push(format!("{key} = {value} is outside {low}..={high}"));
        }
    }

    fn take<T>(&mut self, key: &str, result: Result<T, String>) -> Option<T> {
        match result {
            Ok(value) => Some(value),
            Err(problem) => {
                self.0.push(format!("{key}: {problem}"));
                None
            }
        }
    }
}

/// Validates everything and converts it into the settings of the rooms.
///
/// # Errors
/// [`ConfigError::Invalid`] with every problem found.
pub fn resolve(raw: RawConfig) -> Result<Config, ConfigError> {
    let mut problems = Problems::default();
    check_ranges(&raw, &mut problems);
    let clock = problems.take(
        "clock.mode",
        match raw.clock.mode.as_str() {
            "wall" => Ok(ClockMode::Wall),
            "event" => Ok(ClockMode::Event),
            other => Err(format!("{other:?} is neither wall nor event")),
        },
    );
    let protocol = problems.take(
        "mqtt.protocol",
        match raw.mqtt.protocol.as_str() {
            "5" => Ok(Protocol::V5),
            "3.1.1" => Ok(Protocol::V311),
            "auto" => Ok(Protocol::Auto),
            other => Err(format!("{other:?} is none of 5, 3.1.1, auto")),
        },
    );
    let forecast_device = problems.take("forecast.device", raw.forecast.device.parse());
    let broker = problems.take("mqtt.url", parse_broker_url(&raw.mqtt.url));
    let bind = problems.take(
        "http.bind",
        raw.http
            .bind
            .parse()
            .map_err(|error| format!("{:?}: {error}", raw.http.bind)),
    );
    let mut routes = Vec::new();
    for route in &raw.mqtt.routes {
        let format = problems.take("mqtt.routes", resolve_format(route));
        let datum = problems.take("mqtt.routes.datum", parse_datum(&route.datum));
        if let (Some(format), Some(datum)) = (format, datum) {
            routes.push(Route::new(&route.filter, format).in_datum(datum));
        }
        if let Err(error) = crate::wire::check_filter(&route.filter) {
            problems
                .0
                .push(format!("mqtt.routes: {:?}: {error}", route.filter));
        }
        problems.range("mqtt.routes.qos", route.qos, 0, 1);
    }
    let calendar = calendar::resolve(&raw.state, &mut problems);
    let standard = problems.take(
        "state.level_standard",
        levels::standard(&raw.state.level_standard),
    );
    let regions = region::resolve(&raw.state.regions, &mut problems);
    problems.take(
        "state.regions",
        check_regions(&regions).map_err(|error| error.to_string()),
    );
    let closures = (raw.state.closures.iter())
        .map(|entry| closure::resolve(entry, raw.state.utc_offset_s, &mut problems))
        .collect();
    let entries = raw.state.corridors.iter();
    let corridors = entries
        .map(|entry| corridor::resolve(entry, &mut problems))
        .collect();
    let areas = raw
        .matching
        .areas
        .iter()
        .filter_map(|area| area::resolve(area, &mut problems))
        .collect();
    let zones = privacy::resolve(&raw.privacy, raw.matching.forget_after_s, &mut problems);
    let up_limits = &raw.publish.up_limits;
    let up_limits = rsu::resolve_limits("publish.up_limits", up_limits, &mut problems);
    let rsus: Vec<RsuTarget> = raw
        .publish
        .rsus
        .iter()
        .map(|rsu| rsu::resolve(rsu, &up_limits, &mut problems))
        .collect();
    let publish_datum = problems.take("publish.datum", parse_datum(&raw.publish.datum));
    let (
        Some(clock),
        Some(forecast_device),
        Some(level_standard),
        Some(protocol),
        Some(broker),
        Some(bind),
        Some(publish_datum),
        true,
    ) = (
        clock,
        forecast_device,
        standard,
        protocol,
        broker,
        bind,
        publish_datum,
        problems.0.is_empty(),
    )
    else {
        return Err(ConfigError::Invalid(problems.0));
    };
    Ok(Config {
        clock,
        forecast_device,
        broker,
        protocol,
        routes,
        limits: DecodeLimits {
            payload_bytes_max: raw.engine.payload_bytes_max,
            records_max: raw.engine.records_max,
        },
        shard_count: match raw.engine.shards {
            0 => std::thread::available_parallelism().map_or(1, |cores| cores.get().min(256)),
            count => count,
        },
        front: front_settings(&raw, clock, &rsus),
        vetting: VettingSettings {
            association_gate_m: raw.vetting.association_gate_m,
            crowd_min: raw.vetting.crowd_min,
            trust_min: raw.vetting.trust_min,
            views_min: raw.vetting.views_min,
        },
        calendar,
        level_standard,
        regions,
        corridors,
        closures,
        areas,
        zones,
        rsus,
        publish_datum,
        bind,
        raw,
    })
}

fn front_settings(raw: &RawConfig, clock: ClockMode, rsus: &[RsuTarget]) -> FrontSettings {
    let engine = &raw.engine;
    let limits = |rsu: &RsuTarget| {
        let mut by_kind = [None; UplinkKind::ALL.len()];
        for (kind, limit) in rsu.up_limits.iter() {
            by_kind[kind.uplink() as usize] = Some(limit);
        }
        (rsu.id.as_str().into(), by_kind)
    };
    FrontSettings {
        lateness_ms: engine.lateness_ms,
        future_ms_max: (clock == ClockMode::Wall).then_some(engine.future_ms_max),
        fleet: FleetSettings {
            silent_after_ms: engine.device_silent_s * 1000,
            skew_ms_max: engine.device_skew_ms_max,
            messages_per_minute_max: engine.device_messages_per_minute_max,
            ..FleetSettings::default()
        },
        gate: GateSettings {
            messages_per_second_max: engine.device_messages_per_second_max,
            burst_messages: engine.device_burst_messages,
            limits: rsus.iter().map(limits).collect(),
        },
    }
}

fn check_ranges(raw: &RawConfig, problems: &mut Problems) {
    problems.range("mqtt.keep_alive_s", raw.mqtt.keep_alive_s, 5, 1200);
    problems.range("mqtt.reconnect_s_max", raw.mqtt.reconnect_s_max, 1, 600);
    problems.range(
        "mqtt.queue_messages",
        raw.mqtt.queue_messages,
        1024,
        1 << 20,
    );
    if raw.mqtt.client_id.is_empty() {
        problems
            .0
            .push("mqtt.client_id is empty; a persistent session needs one".into());
    }
    problems.range("engine.shards", raw.engine.shards, 0, 256);
    problems.range("engine.lateness_ms", raw.engine.lateness_ms, 0, 600_000);
    problems.range(
        "engine.future_ms_max",
        raw.engine.future_ms_max,
        0,
        86_400_000,
    );
    problems.range(
        "engine.payload_bytes_max",
        raw.engine.payload_bytes_max,
        1024,
        16 << 20,
    );
    problems.range("engine.records_max", raw.engine.records_max, 1, 1_000_000);
    check_device_ranges(&raw.engine, problems);
    problems.range("matching.sigma_m", raw.matching.sigma_m, 0.5, 100.0);
    problems.range("matching.lag_fixes", raw.matching.lag_fixes, 0, 4);
    problems.range(
        "matching.forget_after_s",
        raw.matching.forget_after_s,
        10,
        86_400,
    );
    problems.range(
        "matching.presence_vehicles_max",
        raw.matching.presence_vehicles_max,
        1_000,
        10_000_000,
    );
    check_vetting_ranges(&raw.vetting, problems);
    problems.range(
        "state.utc_offset_s",
        raw.state.utc_offset_s,
        -50_400,
        50_400,
    );
    problems.range("forecast.deadline_ms", raw.forecast.deadline_ms, 10, 60_000);
    problems.range("publish.tile_zoom", raw.publish.tile_zoom, 8, 18);
    let minutes = raw.publish.state_snapshot_minutes;
    problems.range("publish.state_snapshot_minutes", minutes, 1, 60);
    problems.range(
        "publish.outbox_messages_max",
        raw.publish.outbox_messages_max,
        16,
        10_000_000,
    );
    let timeout_ms = raw.publish.delivery_timeout_ms;
    problems.range("publish.delivery_timeout_ms", timeout_ms, 100, 600_000);
    let attempts = raw.publish.delivery_attempts_max;
    problems.range("publish.delivery_attempts_max", attempts, 1, 20);
    problems.range(
        "recording.sync_interval_ms",
        raw.recording.sync_interval_ms,
        -1,
        1000,
    );
    problems.range(
        "recording.file_bytes_max",
        raw.recording.file_bytes_max,
        1 << 16,
        1 << 40,
    );
    problems.range(
        "recording.snapshot_minutes",
        raw.recording.snapshot_minutes,
        1,
        1440,
    );
    problems.range("recording.keep_days", raw.recording.keep_days, 1, 366);
    let archive = &raw.archive;
    problems.range("archive.keep_days", archive.keep_days, 1, 36_600);
    let rows = archive.rows_per_file_max;
    problems.range("archive.rows_per_file_max", rows, 10_000, 100_000_000);
    let segments = archive.segments_per_row_group;
    problems.range("archive.segments_per_row_group", segments, 1, 100_000);
}

fn check_vetting_ranges(vetting: &RawVetting, problems: &mut Problems) {
    let gate_m = vetting.association_gate_m;
    problems.range("vetting.association_gate_m", gate_m, 1.0, 50.0);
    problems.range("vetting.crowd_min", vetting.crowd_min, 2, 1_000);
    problems.range("vetting.trust_min", vetting.trust_min, 0.0, 1.0);
    problems.range("vetting.views_min", vetting.views_min, 1, 5);
}

fn check_device_ranges(engine: &RawEngine, problems: &mut Problems) {
    let silent_s = engine.device_silent_s;
    problems.range("engine.device_silent_s", silent_s, 10, 86_400);
    let skew_ms = engine.device_skew_ms_max;
    problems.range("engine.device_skew_ms_max", skew_ms, 100, 3_600_000);
    let messages = engine.device_messages_per_minute_max;
    let key = "engine.device_messages_per_minute_max";
    problems.range(key, messages, 1, 1_000_000);
    let messages = engine.device_messages_per_second_max;
    let key = "engine.device_messages_per_second_max";
    problems.range(key, messages, 0, 1_000_000);
    let burst = engine.device_burst_messages;
    problems.range("engine.device_burst_messages", burst, 1, 1_000_000);
}

/// The format of `route` in the dialect of its source.
fn resolve_format(route: &raw::RawRoute) -> Result<Format, String> {
    let format: Format = route
        .format
        .parse()
        .map_err(|error: crate::wire::UnknownFormat| error.to_string())?;
    let Some(dialect) = &route.dialect else {
        return Ok(format);
    };
    let dialect = dialect
        .parse()
        .map_err(|error: crate::wire::UnknownDialect| error.to_string())?;
    format
        .in_dialect(dialect)
        .ok_or_else(|| format!("{:?}: `{format}` has no dialects", route.filter))
}

fn parse_datum(label: &str) -> Result<Datum, String> {
    label
        .parse()
        .map_err(|error: crate::units::UnknownDatum| error.to_string())
}

/// Host and port of `mqtt://host[:port]`; the port defaults to 1883.
///
/// # Errors
/// When it is no such URL; the message never holds credentials.
pub fn parse_broker_url(url: &str) -> Result<(String, u16), String> {
    let Some(rest) = url
        .strip_prefix("mqtt://")
        .or_else(|| url.strip_prefix("tcp://"))
    else {
        return Err("expected mqtt://host[:port]".into());
    };
    let rest = rest.trim_end_matches('/');
    if rest.contains('@') {
        return Err("credentials belong in mqtt.username and mqtt.password_file".into());
    }
    let (host, port) = match rest.rsplit_once(':') {
        Some((host, port)) if !host.ends_with(']') || rest.starts_with('[') => (
            host,
            port.parse()
                .map_err(|error| format!("port {port:?}: {error}"))?,
        ),
        _ => (rest, 1883),
    };
    if host.is_empty() {
        return Err("the host is empty".into());
    }
    Ok((host.trim_matches(['[', ']']).to_owned(), port))
}

#[cfg(test)]
mod tests {
    use super::*;

    fn with(text: &str, variables: &[(&str, &str)]) -> Result<Config, String> {
        let dir = std::env::temp_dir().join(format!("roadcast-config-{}", std::process::id()));
        std::fs::create_dir_all(&dir).unwrap();
        let path = dir.join(format!("{:x}.toml", text.len() * 31 + variables.len()));
        std::fs::write(&path, text).unwrap();
        let variables = variables
            .iter()
            .map(|(name, value)| ((*name).into(), (*value).into()));
        let raw = read(Some(&path), variables).map_err(|error| error.to_string())?;
        resolve(raw).map_err(|error| error.to_string())
    }

    #[test]
    fn layers_override_each_other() {
        let text = "[http]\nbind = \"127.0.0.1:9000\"\n[engine]\nshards = 3\n";
        let config = with(text, &[("ROADCAST__ENGINE__SHARDS", "4"), ("PATH", "x")]).unwrap();
        assert_eq!(config.bind.port(), 9000);
        assert_eq!(config.shard_count, 4);
        assert_eq!(config.raw.recording.sync_interval_ms, 20);
    }

    #[test]
    fn unknown_keys_are_errors() {
        let error = with("[engine]\nthreads = 3\n", &[]).unwrap_err();
        assert!(error.contains("threads"), "{error}");
        let error = with("", &[("ROADCAST__ENGINE__THREADS", "3")]).unwrap_err();
        assert!(error.contains("threads"), "{error}");
    }

    #[test]
    fn all_problems_are_reported_together() {
        let text = "[clock]\nmode = \"sun\"\n[forecast]\ndevice = \"tpu\"\n[publish]\ntile_zoom = 3\n\
                    [[mqtt.routes]]\nfilter = \"a/#/b\"\nformat = \"xml\"\n";
        let error = with(text, &[]).unwrap_err();
        for part in ["sun", "tpu", "tile_zoom = 3", "a/#/b", "xml"] {
            assert!(error.contains(part), "{part} not in {error}");
        }
    }

    #[test]
    fn units_have_the_limits_of_all_or_their_own() {
        let text = "[publish]\nup_limits = { rsm = 10, bsm = 5 }\n\
                    [[publish.rsus]]\nid = \"R1\"\nlon = 114.3\nlat = 30.6\nradius_m = 300\n\
                    acknowledges = [\"rsi\", \"config\"]\nup_limits = { bsm = 0 }\n";
        let config = with(text, &[]).unwrap();
        let limits = &config.rsus[0].up_limits;
        assert_eq!(
            (limits.get(Kind::Bsm), limits.get(Kind::Rsm)),
            (Some(0), Some(10))
        );
        let gate = &config.front.gate;
        assert_eq!(gate.limits["R1"][UplinkKind::Rsm as usize], Some(10));
        assert_eq!(gate.limits["R1"][UplinkKind::Spat as usize], None);
        assert_eq!(gate.messages_per_second_max, 200);
        let wrong = text
            .replace("\"rsi\"", "\"rsm\"")
            .replace("rsm = 10", "rsm = 10001");
        let error = with(&wrong, &[]).unwrap_err();
        for part in ["\"rsm\" is none of", "up_limits = 10001"] {
            assert!(error.contains(part), "{part} not in {error}");
        }
    }

    #[test]
    fn broker_urls() {
        assert_eq!(
            parse_broker_url("mqtt://broker.city:8883").unwrap(),
            ("broker.city".into(), 8883)
        );
        assert_eq!(parse_broker_url("mqtt://127.0.0.1").unwrap().1, 1883);
        let error = parse_broker_url("mqtt://user:secret@host").unwrap_err();
        assert!(!error.contains("secret"), "{error}");
        assert!(parse_broker_url("http://host").is_err());
    }

    #[test]
    fn the_shipped_default_file_is_the_compiled_default() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/config/default.toml");
        let expected = toml::to_string(&RawConfig::default()).unwrap();
        if std::env::var_os("ROADCAST_UPDATE_DOCS").is_some() {
            std::fs::write(path, &expected).unwrap();
        }
        let found = std::fs::read_to_string(path).unwrap_or_default();
        assert_eq!(
            found, expected,
            "run the tests with ROADCAST_UPDATE_DOCS=1 to write {path}"
        );
    }
}
