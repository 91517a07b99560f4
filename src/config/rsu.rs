//! `[[publish.rsus]]`: the roadside units that are told something.

use std::collections::BTreeSet;
use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::raw::{default_datum, default_delimiter, default_dialect};
use super::{Problems, RsuFormat, RsuTarget, parse_datum};
use crate::units::{Metres, Position};
use crate::wire::Dialect;
use crate::wire::its0117::{Kind, UplinkLimits};

/// Kinds of messages down that a unit can acknowledge (T/ITS 0117).
const ACKNOWLEDGED: [(&str, Kind); 3] = [
    ("config", Kind::Config),
    ("rsi", Kind::Rsi),
    ("map", Kind::Map),
];

/// Most messages a second that a limit may name.
const LIMIT_MAX: u32 = 10_000;

/// Longest id, bytes: of a T/CSAE 53 envelope, and of a serial number in a Huawei topic (chosen).
const ID_BYTES_MAX: usize = 8;
const ESN_BYTES_MAX: usize = 64;

/// One entry of `[[publish.rsus]]`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawRsu {
    /// The RSU's id, as in its topics; 1 to 8 characters, up to 64 with `format = "huawei"`.
    pub id: String,
    /// In which form it is told of jams: `csae` (T/CSAE 53 in UPER, topics of T/ITS 0117) or
    /// `huawei` (DRIS JSON; takes no CONFIG, MAP or acknowledgements). Default `csae`.
    #[serde(default = "default_format")]
    pub format: String,
    /// Longitude, degrees.
    pub lon: f64,
    /// Latitude, degrees.
    pub lat: f64,
    /// Jams nearer than this are told to it, m, 10..=10000.
    pub radius_m: f64,
    /// Datum of the positions it is told: `wgs84`, `cgcs2000`, `gcj02` or `bd09`. Default `wgs84`.
    #[serde(default = "default_datum")]
    pub datum: String,
    /// How its topics are written, `.` or `/`. Default `.`.
    #[serde(default = "default_delimiter")]
    pub delimiter: String,
    /// Release of T/CSAE 53 that it speaks, `2019` or `2020`. Default 2019.
    #[serde(default = "default_dialect")]
    pub dialect: String,
    /// Which messages down it acknowledges: `config`, `rsi`, `map`; the others are sent once and not
    /// waited for. Default `config`.
    #[serde(default = "default_acknowledges")]
    pub acknowledges: Vec<String>,
    /// File of one T/CSAE 53 MAP frame in UPER, in its dialect and datum, that it is sent; empty for
    /// none.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub map_file: PathBuf,
    /// Limits of its own, where they differ from `publish.up_limits`.
    #[serde(default)]
    pub up_limits: RawUpLimits,
}

/// Most messages a second that units may send, by kind, 0..=10000; kinds left out are not limited.
#[derive(Clone, Debug, Default, PartialEq, Eq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawUpLimits {
    /// Vehicles' own messages that it passes on.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub bsm: Option<u32>,
    /// Events and signs.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsi: Option<u32>,
    /// Road users that it perceives.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub rsm: Option<u32>,
    /// Maps.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub map: Option<u32>,
    /// Signal phases.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub spat: Option<u32>,
}

fn default_acknowledges() -> Vec<String> {
    vec!["config".into()]
}

fn default_format() -> String {
    "csae".into()
}

fn is_empty(path: &std::path::Path) -> bool {
    path.as_os_str().is_empty()
}

/// The limits that `raw`, read at `key`, names.
pub(super) fn resolve_limits(
    key: &str,
    raw: &RawUpLimits,
    problems: &mut Problems,
) -> UplinkLimits {
    let named = [
        (Kind::Bsm, raw.bsm),
        (Kind::Rsi, raw.rsi),
        (Kind::Rsm, raw.rsm),
        (Kind::Map, raw.map),
        (Kind::Spat, raw.spat),
    ];
    let mut limits = UplinkLimits::default();
    for (kind, limit) in named {
        if let Some(limit) = limit {
            problems.range(key, limit, 0, LIMIT_MAX);
            limits = limits.with(kind, limit);
        }
    }
    limits
}

/// One unit, with `default` where it has no limits of its own.
pub(super) fn resolve(rsu: &RawRsu, default: &UplinkLimits, problems: &mut Problems) -> RsuTarget {
    let (format, id_bytes_max) = match rsu.format.as_str() {
        "csae" => (RsuFormat::Csae, ID_BYTES_MAX),
        "huawei" => (RsuFormat::Huawei, ESN_BYTES_MAX),
        other => {
            let problem = format!("publish.rsus.format: {other:?} is neither csae nor huawei");
            problems.0.push(problem);
            (RsuFormat::Csae, ID_BYTES_MAX)
        }
    };
    let is_level = !rsu.id.contains(['/', '+', '#']) || format == RsuFormat::Csae;
    if rsu.id.is_empty() || rsu.id.len() > id_bytes_max || !is_level {
        problems.0.push(format!(
            "publish.rsus: id {:?} is not one topic level of 1 to {id_bytes_max} bytes",
            rsu.id
        ));
    }
    let position = Position::new(rsu.lon, rsu.lat);
    if !position.is_valid() {
        problems.0.push(format!(
            "publish.rsus: {}, {} is no position",
            rsu.lon, rsu.lat
        ));
    }
    let datum = problems.take("publish.rsus.datum", parse_datum(&rsu.datum));
    let delimiter = problems.take("publish.rsus.delimiter", rsu.delimiter.parse());
    problems.range("publish.rsus.radius_m", rsu.radius_m, 10.0, 10_000.0);
    let dialect = rsu
        .dialect
        .parse()
        .map_err(|error: crate::wire::UnknownDialect| error.to_string());
    let dialect = problems.take("publish.rsus.dialect", dialect);
    let mut acknowledges = BTreeSet::new();
    for word in &rsu.acknowledges {
        let known = ACKNOWLEDGED.iter().find(|(label, _)| label == word);
        let kind = known
            .map(|(_, kind)| *kind)
            .ok_or_else(|| format!("{word:?} is none of config, rsi, map"));
        acknowledges.extend(problems.take("publish.rsus.acknowledges", kind));
    }
    let own = resolve_limits("publish.rsus.up_limits", &rsu.up_limits, problems);
    let is_huawei = format == RsuFormat::Huawei;
    if is_huawei && (!is_empty(&rsu.map_file) || rsu.up_limits != RawUpLimits::default()) {
        problems.0.push(format!(
            "publish.rsus: {:?} takes huawei JSON, so it gets no map_file and no up_limits",
            rsu.id
        ));
    }
    if is_huawei {
        acknowledges.clear();
    }
    RsuTarget {
        id: rsu.id.clone(),
        format,
        position,
        // With a problem the configuration is refused whole.
        dialect: dialect.unwrap_or(Dialect::Csae2019),
        radius: Metres(rsu.radius_m),
        datum: datum.unwrap_or_default(),
        delimiter: delimiter.unwrap_or_default(),
        acknowledges,
        map_file: rsu.map_file.clone(),
        up_limits: if is_huawei {
            UplinkLimits::default()
        } else {
            own.or(default)
        },
    }
}
