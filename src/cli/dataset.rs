//! Reading series to learn from, dataset folders and archives: what `train`, `retrain` and
//! `backtest` share.

use std::io::Read;
use std::path::Path;

use anyhow::Context;

use super::UsageError;
use super::train::LOCAL_AHEAD_S;
use crate::archive::measured_means;
use crate::forecast::Dataset;
use crate::network::Network;
use crate::state::Calendar;

/// Local time and days off where an archive was written.
#[derive(Debug, clap::Args)]
pub(super) struct LocalDays {
    /// Seconds that local time is ahead of UTC (`state.utc_offset_s`).
    #[arg(long, default_value_t = LOCAL_AHEAD_S)]
    pub(super) utc_offset_s: i64,
    /// Whose public holidays are known (`state.calendar`).
    #[arg(long, default_value = "cn", value_name = "cn|none")]
    pub(super) calendar: String,
}

impl LocalDays {
    /// The calendar, or what is wrong with the option.
    pub(super) fn calendar(&self) -> anyhow::Result<Calendar> {
        let name = &self.calendar;
        let unknown = || UsageError(format!("--calendar {name} is neither cn nor none")).into();
        Calendar::named(name, self.utc_offset_s).ok_or_else(unknown)
    }
}

/// Reads proportions in time like `70/10/20`.
pub(super) fn parse_split(text: &str) -> anyhow::Result<[usize; 3]> {
    let parts: Option<Vec<usize>> = text.split('/').map(|part| part.parse().ok()).collect();
    parts
        .and_then(|parts| <[usize; 3]>::try_from(parts).ok())
        .filter(|parts| parts.iter().all(|&part| part > 0))
        .ok_or_else(|| UsageError(format!("--split {text} is not like 70/10/20")).into())
}

/// Reads a folder with `dataset.toml`, `series.csv[.gz]`, `graph.csv` and perhaps `segments.csv` and
/// `events.csv`.
pub(super) fn read_dataset(folder: &Path) -> anyhow::Result<Dataset> {
    let header = read_file(&folder.join("dataset.toml"))?;
    let zipped = folder.join("series.csv.gz");
    let series = if zipped.exists() {
        let mut bytes = Vec::new();
        flate2::read::MultiGzDecoder::new(read_file(&zipped)?.as_slice())
            .read_to_end(&mut bytes)
            .with_context(|| format!("{} is not gzip", zipped.display()))?;
        bytes
    } else {
        read_file(&folder.join("series.csv"))?
    };
    let graph = read_file(&folder.join("graph.csv"))?;
    let read_if_there = |name: &str| {
        let path = folder.join(name);
        path.exists().then(|| read_file(&path)).transpose()
    };
    let (segments, events) = (read_if_there("segments.csv")?, read_if_there("events.csv")?);
    Dataset::parse(
        &header,
        &series,
        &graph,
        segments.as_deref(),
        events.as_deref(),
    )
    .with_context(|| format!("dataset {}", folder.display()))
}

/// Reads what roadcast has archived of `network`: five-minute means of the measured minutes of each
/// segment, of everything or of the newest days.
pub(super) fn read_archive(
    folder: &Path,
    network: &Network,
    calendar: &Calendar,
    newest_days: Option<u32>,
) -> anyhow::Result<Dataset> {
    let place = || folder.display().to_string();
    let means =
        measured_means(folder, network, calendar.utc_offset_s, newest_days).with_context(place)?;
    let version = network.version();
    let Some(means) = means else {
        let text = format!("{} has no complete file of network {version}", place());
        return Err(UsageError(text).into());
    };
    if means.measured_minutes == 0 {
        let text = format!("no minute was measured in {}", place());
        return Err(UsageError(text).into());
    }
    eprintln!(
        "{}: {} files, {} measured minutes; {} files of other networks passed over",
        place(),
        means.files,
        means.measured_minutes,
        means.files_of_other_networks
    );
    let rows = means.speeds_mps.len() / network.segment_count().max(1);
    Ok(Dataset::of_network(
        network,
        format!("archive of network {version}, {} days", rows.div_ceil(288)),
        "own measurements".to_owned(),
        means.start.plus_secs(calendar.utc_offset_s),
        means.speeds_mps,
    )
    .with_calendar(Calendar {
        utc_offset_s: 0,
        ..calendar.clone()
    }))
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| UsageError(format!("cannot read {}: {error}", path.display())).into())
}
