//! Reading dataset folders: what `train` and `backtest` share.

use std::io::Read;
use std::path::Path;

use anyhow::Context;

use super::UsageError;
use crate::forecast::Dataset;

/// Reads proportions in time like `70/10/20`.
pub(super) fn parse_split(text: &str) -> anyhow::Result<[usize; 3]> {
    let parts: Option<Vec<usize>> = text.split('/').map(|part| part.parse().ok()).collect();
    parts
        .and_then(|parts| <[usize; 3]>::try_from(parts).ok())
        .filter(|parts| parts.iter().all(|&part| part > 0))
        .ok_or_else(|| UsageError(format!("--split {text} is not like 70/10/20")).into())
}

/// Reads a folder with `dataset.toml`, `series.csv[.gz]`, `graph.csv` and perhaps `segments.csv`.
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
    let segments = folder.join("segments.csv");
    let segments = segments
        .exists()
        .then(|| read_file(&segments))
        .transpose()?;
    Dataset::parse(&header, &series, &graph, segments.as_deref())
        .with_context(|| format!("dataset {}", folder.display()))
}

fn read_file(path: &Path) -> anyhow::Result<Vec<u8>> {
    std::fs::read(path)
        .map_err(|error| UsageError(format!("cannot read {}: {error}", path.display())).into())
}
