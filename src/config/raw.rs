//! The configuration as it is written: sections and keys, each with unit, range and default.
//!
//! The serialised defaults are `config/default.toml`; a test holds both together.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::area::RawArea;
use super::closure::RawClosure;
use super::corridor::RawCorridor;
use super::privacy::RawPrivacy;
use super::region::RawRegion;
use super::rsu::{RawRsu, RawUpLimits};
use crate::state::VettingSettings;

/// Everything that can be configured.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawConfig {
    /// The road network.
    pub network: RawNetwork,
    /// Where time comes from.
    pub clock: RawClock,
    /// The broker and the subscriptions.
    pub mqtt: RawMqtt,
    /// Threads, lateness and limits of the engine.
    pub engine: RawEngine,
    /// Map matching.
    pub matching: RawMatching,
    /// Which reports are believed.
    pub vetting: RawVetting,
    /// Traffic state.
    pub state: RawState,
    /// Forecasts.
    pub forecast: RawForecast,
    /// What is published and how.
    pub publish: RawPublish,
    /// Pseudonyms, and what may be told of few road users.
    pub privacy: RawPrivacy,
    /// The HTTP server.
    pub http: RawHttp,
    /// The recording and the snapshots.
    pub recording: RawRecording,
    /// What was published, kept as Parquet.
    pub archive: RawArchive,
}

/// `[network]`
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawNetwork {
    /// File: CSV, SUMO .net.xml[.gz], OSM .osm.pbf or compiled .rcn. Required by `serve`.
    pub file: PathBuf,
}

/// `[clock]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawClock {
    /// `wall`: the system clock; `event`: time follows the newest observation or
    /// `roadcast/v1/clock`. Default `wall`.
    pub mode: String,
}

impl Default for RawClock {
    fn default() -> Self {
        Self {
            mode: "wall".into(),
        }
    }
}

/// `[mqtt]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawMqtt {
    /// Broker, `mqtt://host:port`. Default `mqtt://127.0.0.1:1883`.
    pub url: String,
    /// Client id; must be the engine's alone. Default `roadcast`.
    pub client_id: String,
    /// `5`, `3.1.1`, or `auto` (5, and 3.1.1 where the broker refuses it). Default `auto`.
    pub protocol: String,
    /// User name; empty for none.
    pub username: String,
    /// File that holds the password; empty for none.
    pub password_file: PathBuf,
    /// Keep-alive interval, s, 5..=1200. Default 30.
    pub keep_alive_s: u16,
    /// Longest pause between attempts to connect, s, 1..=600. Default 30.
    pub reconnect_s_max: u64,
    /// Messages of each quality of service that may wait for the engine, 1024..=1048576. Default
    /// 65536.
    pub queue_messages: usize,
    /// File of codes of signal states beside the public ones: a line each of system, code and light,
    /// separated by tabs; for GB/T 20999 and GA/T 1049, whose tables are not public. Empty for none.
    pub signal_codes_file: PathBuf,
    /// Subscriptions with the decoder that serves them; the first that fits a topic decides.
    pub routes: Vec<RawRoute>,
}

/// One entry of `[[mqtt.routes]]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawRoute {
    /// MQTT topic filter.
    pub filter: String,
    /// `json`, `protobuf`, `csae-uper`, `csae-uper-envelope`, `json-records`, `huawei`, `openv2x`,
    /// `its0117`, `jtt808`, `its-client` or `gtfs-rt`.
    pub format: String,
    /// Datum of the positions: `wgs84`, `cgcs2000`, `gcj02` or `bd09`. Default `wgs84`.
    #[serde(default = "default_datum")]
    pub datum: String,
    /// Release of T/CSAE 53 that the source speaks, `2019` or `2020`; only with the `csae-uper`
    /// formats. It is never guessed: RSI and MAP of the releases do not tell themselves apart.
    /// Default 2019.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub dialect: Option<String>,
    /// Quality of service to subscribe with, 0 or 1. Default 1.
    #[serde(default = "default_qos")]
    pub qos: u8,
}

fn default_qos() -> u8 {
    1
}

pub(super) fn default_datum() -> String {
    "wgs84".into()
}

pub(super) fn default_delimiter() -> String {
    ".".into()
}

impl Default for RawMqtt {
    fn default() -> Self {
        let route = |filter: &str, format: &str| RawRoute {
            filter: filter.into(),
            format: format.into(),
            datum: default_datum(),
            dialect: None,
            qos: 1,
        };
        Self {
            url: "mqtt://127.0.0.1:1883".into(),
            client_id: "roadcast".into(),
            protocol: "auto".into(),
            username: String::new(),
            password_file: PathBuf::new(),
            keep_alive_s: 30,
            reconnect_s_max: 30,
            queue_messages: 65_536,
            signal_codes_file: PathBuf::new(),
            routes: vec![
                route("roadcast/v1/vehicle/+/probe/up", "json"),
                route("roadcast/v1/rsu/+/probe/up", "json"),
                route("roadcast/v1/vehicle/+/batch/up", "protobuf"),
                route("roadcast/v1/rsu/+/batch/up", "protobuf"),
                route("roadcast/v1/detector/+/+/up", "json-records"),
                route("V2X/RSU/BSM/UP", "csae-uper-envelope"),
                route("V2X/RSU/RSM/UP", "csae-uper-envelope"),
                route("V2X/RSU/MAP/UP", "csae-uper-envelope"),
                route("V2X/RSU/SPAT/UP", "csae-uper-envelope"),
                route("V2X/RSU/RSI/UP", "csae-uper-envelope"),
                route("V2X.RSU.BSM.UP", "csae-uper-envelope"),
                route("V2X.RSU.RSM.UP", "csae-uper-envelope"),
                route("V2X.RSU.MAP.UP", "csae-uper-envelope"),
                route("V2X.RSU.SPAT.UP", "csae-uper-envelope"),
                route("V2X.RSU.RSI.UP", "csae-uper-envelope"),
                route("V2X/RSU/INFO/UP", "its0117"),
                route("V2X/RSU/HB/UP", "its0117"),
                route("V2X/RSU/BASEINFO/UP", "its0117"),
                route("V2X/RSU/RUNNINGINFO/UP", "its0117"),
                route("V2X.RSU.INFO.UP", "its0117"),
                route("V2X.RSU.HB.UP", "its0117"),
                route("V2X.RSU.BASEINFO.UP", "its0117"),
                route("V2X.RSU.RUNNINGINFO.UP", "its0117"),
            ],
        }
    }
}

/// `[engine]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawEngine {
    /// Threads that match, 1..=256; 0 for one a core. Default 0.
    pub shards: usize,
    /// How long a minute waits for stragglers, ms of event time, 0..=600000. Default 5000.
    pub lateness_ms: i64,
    /// How far ahead of the clock an observation may lie, ms, 0..=86400000. Default 10000.
    pub future_ms_max: i64,
    /// Largest payload, bytes, 1024..=16777216. Default 1048576.
    pub payload_bytes_max: usize,
    /// Most records in one message, 1..=1000000. Default 65536.
    pub records_max: usize,
    /// A roadside unit not heard for so long is silent, s, 10..=86400. Default 180.
    pub device_silent_s: i64,
    /// A unit's clock off by more is skewed and its times are corrected, ms, 100..=3600000. Default
    /// 1000.
    pub device_skew_ms_max: i64,
    /// A unit that sends more messages in a minute floods, 1..=1000000. Default 6000.
    pub device_messages_per_minute_max: u64,
    /// Most messages a second of any device that a topic or an envelope names, over time,
    /// 0..=1000000; more are refused as `rate_capped`, 0 refuses none. Off with `clock.mode` `event`.
    /// Default 200.
    pub device_messages_per_second_max: u32,
    /// Messages that a device may send at once after a pause, 1..=1000000. Default 2000.
    pub device_burst_messages: u32,
}

impl Default for RawEngine {
    fn default() -> Self {
        Self {
            shards: 0,
            lateness_ms: 5_000,
            future_ms_max: 10_000,
            payload_bytes_max: 1 << 20,
            records_max: 1 << 16,
            device_silent_s: 180,
            device_skew_ms_max: 1_000,
            device_messages_per_minute_max: 6_000,
            device_messages_per_second_max: 200,
            device_burst_messages: 2_000,
        }
    }
}

/// `[matching]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawMatching {
    /// Standard deviation of positions per axis where the sender states none, m, 0.5..=100.
    /// Default 8.
    pub sigma_m: f32,
    /// How many fixes later a position is committed at the latest, 0..=4. Default 2.
    pub lag_fixes: u8,
    /// Road users silent for longer are forgotten, s, 10..=86400. Default 120.
    pub forget_after_s: i64,
    /// Most road users that can be asked for by place at once, 1000..=10000000; beyond, those seen
    /// longest ago are left out and counted. Default 1000000 (60 MB).
    pub presence_vehicles_max: usize,
    /// Areas of roadside units: objects they perceive are matched to the segments there only.
    pub areas: Vec<RawArea>,
}

impl Default for RawMatching {
    fn default() -> Self {
        Self {
            sigma_m: 8.0,
            lag_fixes: 2,
            forget_after_s: 120,
            presence_vehicles_max: 1_000_000,
            areas: Vec::new(),
        }
    }
}

/// `[vetting]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawVetting {
    /// Reports of different sources about one car are nowhere farther apart than this, m, 1..=50.
    /// Default 15.
    pub association_gate_m: f32,
    /// Slow vehicles that appear on one segment and have never driven anywhere make a crowd from so
    /// many on, 2..=1000. Default 3.
    pub crowd_min: u32,
    /// Sources whose trust is below are left out, 0..=1; 0 believes everybody. Default 0.4.
    pub trust_min: f32,
    /// Independent sources or detectors that a sudden drop of speed needs, 1..=5. Default 1.
    pub views_min: u8,
}

impl Default for RawVetting {
    fn default() -> Self {
        let VettingSettings {
            association_gate_m,
            crowd_min,
            trust_min,
            views_min,
        } = VettingSettings::default();
        Self {
            association_gate_m,
            crowd_min,
            trust_min,
            views_min,
        }
    }
}

/// `[state]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawState {
    /// Local time minus UTC, s, -50400..=50400. Default 28800 (China Standard Time).
    pub utc_offset_s: i64,
    /// Whose public holidays are known: `cn` (China, 2025 and 2026, with the weekends that are worked
    /// for them) or `none`. Default `cn`.
    pub calendar: String,
    /// Local dates (YYYY-MM-DD) that are public holidays besides.
    pub holidays: Vec<String>,
    /// Saturdays and Sundays (YYYY-MM-DD) that are worked besides.
    pub workdays: Vec<String>,
    /// Files that say where detectors stand: CSV (id, lon, lat, heading, lane, length) or SUMO
    /// additional files.
    pub detectors: Vec<PathBuf>,
    /// Congestion standard of levels and index: `gbt33171-2016`, `db11t785`, `hcm-los`,
    /// `jam-factor`, or a file of the same form ending in `.toml`. Default `gbt33171-2016`.
    pub level_standard: String,
    /// Regions that have an index, at most 64; none for one region `city` of all segments.
    pub regions: Vec<RawRegion>,
    /// Folder to which the report of each finished local day is written, `day-YYYY-MM-DD.json`;
    /// empty for none.
    pub report_dir: PathBuf,
    /// File of learnt profiles, read at start and written every `recording.snapshot_minutes` and at
    /// shutdown; empty for none.
    pub profiles_file: PathBuf,
    /// Corridors whose travel times are told.
    pub corridors: Vec<RawCorridor>,
    /// Roads that will be closed: forecasts say 0 m/s there, no diversion leads over them, and they are no
    /// incidents.
    pub closures: Vec<RawClosure>,
}

impl Default for RawState {
    fn default() -> Self {
        Self {
            utc_offset_s: 8 * 3600,
            calendar: "cn".into(),
            holidays: Vec::new(),
            workdays: Vec::new(),
            detectors: Vec::new(),
            level_standard: "gbt33171-2016".into(),
            regions: Vec::new(),
            report_dir: PathBuf::new(),
            profiles_file: PathBuf::new(),
            corridors: Vec::new(),
            closures: Vec::new(),
        }
    }
}

/// `[forecast]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawForecast {
    /// `bundled`, `baseline`, or a model folder. Default `bundled`.
    pub model: String,
    /// How long the model may take before the baseline speaks, ms, 10..=60000. Default 5000.
    pub deadline_ms: u64,
    /// A second model that is run and scored beside the others and never published: `bundled`,
    /// `baseline`, or a model folder; empty for none. Default empty.
    pub shadow: String,
    /// Which processor forecasts: `cpu`, `cuda`, which does not start without one, or `auto`, which
    /// takes CUDA where it was built in and a device is there. Default `cpu`, which is faster for all
    /// but wide networks.
    pub device: String,
}

impl Default for RawForecast {
    fn default() -> Self {
        Self {
            model: "bundled".into(),
            deadline_ms: 5_000,
            shadow: String::new(),
            device: "cpu".into(),
        }
    }
}

/// `[publish]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPublish {
    /// Whether state, forecast and guidance go out over MQTT. Default true.
    pub enabled: bool,
    /// Zoom of the quadkey tiles, 8..=18. Default 14.
    pub tile_zoom: u8,
    /// Minutes from one full snapshot of a tile's state over MQTT to the next, 1..=60; between them
    /// goes what has changed. Default 5.
    pub state_snapshot_minutes: u32,
    /// Datum of the positions in guidance over MQTT: `wgs84`, `cgcs2000`, `gcj02` or `bd09`. Default
    /// `wgs84`.
    pub datum: String,
    /// Messages that may wait for the broker, 16..=10000000. Default 100000.
    pub outbox_messages_max: usize,
    /// How long a roadside unit has to acknowledge a message, ms, 100..=600000. Default 5000.
    pub delivery_timeout_ms: i64,
    /// How often it is sent at most, 1..=20. Default 3.
    pub delivery_attempts_max: u32,
    /// Roadside units that get congestion as T/CSAE 53 RSI.
    pub rsus: Vec<RawRsu>,
    /// Most messages a second that these units may send, by kind.
    pub up_limits: RawUpLimits,
}

pub(super) fn default_dialect() -> String {
    "2019".into()
}

impl Default for RawPublish {
    fn default() -> Self {
        Self {
            enabled: true,
            tile_zoom: 14,
            state_snapshot_minutes: 5,
            datum: default_datum(),
            outbox_messages_max: 100_000,
            delivery_timeout_ms: 5_000,
            delivery_attempts_max: 3,
            rsus: Vec::new(),
            up_limits: RawUpLimits::default(),
        }
    }
}

/// `[http]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawHttp {
    /// Address and port to listen on. Default `127.0.0.1:8080`.
    pub bind: String,
}

impl Default for RawHttp {
    fn default() -> Self {
        Self {
            bind: "127.0.0.1:8080".into(),
        }
    }
}

/// `[recording]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawRecording {
    /// Folder of the recording and the snapshots; empty keeps neither, and QoS 1 messages are then
    /// acknowledged when the engine has taken them.
    pub dir: PathBuf,
    /// Longest wait before written messages are synced to disk, ms, 0..=1000; -1 never syncs.
    /// Default 20.
    pub sync_interval_ms: i64,
    /// A new file begins at this size, bytes. Default 268435456.
    pub file_bytes_max: u64,
    /// Closed minutes between snapshots, 1..=1440. Default 5.
    pub snapshot_minutes: u32,
    /// Recorded messages older than this are deleted, days, 1..=366, but for what a restart from the
    /// newest snapshot needs. Default 7.
    pub keep_days: u32,
}

impl Default for RawRecording {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            sync_interval_ms: 20,
            file_bytes_max: 1 << 28,
            snapshot_minutes: 5,
            keep_days: 7,
        }
    }
}

/// `[archive]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawArchive {
    /// Folder of the archive; empty keeps none, and there is no history to ask for.
    pub dir: PathBuf,
    /// Days older than this before the newest archived minute are deleted, 1..=36600. Default 90.
    pub keep_days: u32,
    /// The oldest days are deleted beyond this size of all files, bytes. Default 107374182400
    /// (100 GiB).
    pub bytes_max: u64,
    /// A file is completed with the hour, or before it would hold more rows,
    /// 10000..=100000000; 36 bytes of memory and journal each until then. Default 2000000.
    pub rows_per_file_max: usize,
    /// Segments in a row group, the least that is read for one of them, 1..=100000. Default 256.
    pub segments_per_row_group: usize,
    /// Whether rows are kept of which only the profile speaks. Default true.
    pub profile_rows: bool,
}

impl Default for RawArchive {
    fn default() -> Self {
        Self {
            dir: PathBuf::new(),
            keep_days: 90,
            bytes_max: 100 << 30,
            rows_per_file_max: 2_000_000,
            segments_per_row_group: 256,
            profile_rows: true,
        }
    }
}
