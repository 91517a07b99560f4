//! Reports of finished days as files, one a local day.

use crate::units::date_of;
use std::path::{Path, PathBuf};

use anyhow::Context;

use crate::network::Network;
use crate::publish::Released;
use crate::publish::format::day_message;
use crate::state::congestion::DayReport;

/// The folder of the reports, if there is one. Files are never deleted.
#[derive(Debug)]
pub(super) struct DayReports(Option<PathBuf>);

impl DayReports {
    /// Makes the folder; an empty path writes nothing.
    ///
    /// # Errors
    /// When the folder cannot be made.
    pub(super) fn new(folder: &Path) -> anyhow::Result<Self> {
        if folder.as_os_str().is_empty() {
            return Ok(Self(None));
        }
        let place = || format!("state.report_dir {}", folder.display());
        std::fs::create_dir_all(folder).with_context(place)?;
        Ok(Self(Some(folder.to_owned())))
    }

    /// Writes a report; where that fails it is logged, and the report stays with the API.
    pub(super) fn write(&self, network: &Network, report: &Released<DayReport>) {
        let Some(folder) = &self.0 else { return };
        let path = folder.join(format!("day-{}.json", date_of(report.day)));
        if let Err(error) = write(&path, network, report) {
            tracing::error!(%error, path = %path.display(), "A report of a day cannot be written.");
        }
    }
}

/// Writes beside and renames, so that nobody reads half a report.
fn write(path: &Path, network: &Network, report: &DayReport) -> anyhow::Result<()> {
    let text = serde_json::to_string_pretty(&day_message(network, report))?;
    let partial = path.with_extension("json.partial");
    std::fs::write(&partial, text)?;
    std::fs::rename(&partial, path)?;
    Ok(())
}
