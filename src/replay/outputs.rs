//! Where outputs go: the trait the pipeline feeds, and the files `roadcast replay` writes.

use std::fs::File;
use std::io::{BufWriter, Write};
use std::path::{Path, PathBuf};
use std::sync::Arc;

use anyhow::Context;

use super::columns::{Column, Kind, Writer};
use super::digest::Digest;
use crate::engine::Analysis;
use crate::forecast::{Baseline, ForecastBatch, OutlookBatch, STEP_COUNT, SpeedQuantiles};
use crate::guide::Guidance;
use crate::network::Network;
use crate::publish::{Release, Released};
use crate::state::congestion::CongestionBatch;
use crate::state::{IncidentChange, PerformanceBatch, StateBatch};
use crate::units::SegmentId;

/// How long the stages of one minute took, s.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct MinuteTimes {
    /// Closing the minute.
    pub state_s: f64,
    /// Forecasting.
    pub forecast_s: f64,
    /// Guidance.
    pub guide_s: f64,
}

/// Takes the outputs of a run, in order, on the thread of the analysis.
pub trait OutputSink: Send {
    /// A minute has closed.
    ///
    /// # Errors
    /// When the output cannot be written; the run ends with it.
    fn state(&mut self, batch: &Arc<StateBatch>) -> anyhow::Result<()>;

    /// The index of every region in the minute, after its state.
    ///
    /// # Errors
    /// When the output cannot be written; the run ends with it.
    fn congestion(&mut self, batch: &Arc<CongestionBatch>) -> anyhow::Result<()> {
        let _unused = batch;
        Ok(())
    }

    /// What was derived of the minute: corridors, bottlenecks, turning flows, diagrams.
    ///
    /// # Errors
    /// When the output cannot be written; the run ends with it.
    fn performance(&mut self, batch: &Arc<PerformanceBatch>) -> anyhow::Result<()> {
        let _unused = batch;
        Ok(())
    }

    /// The two hours after the forecast's hour, on each five-minute mark.
    ///
    /// # Errors
    /// When the output cannot be written; the run ends with it.
    fn outlook(&mut self, batch: &Arc<OutlookBatch>) -> anyhow::Result<()> {
        let _unused = batch;
        Ok(())
    }

    /// A forecast was accepted.
    ///
    /// # Errors
    /// When the output cannot be written; the run ends with it.
    fn forecast(&mut self, batch: &Arc<ForecastBatch>) -> anyhow::Result<()>;

    /// Incidents have begun, changed or ended in the minute whose state came last.
    ///
    /// # Errors
    /// When the output cannot be written; the run ends with it.
    fn incidents(&mut self, changes: &[IncidentChange]) -> anyhow::Result<()> {
        let _unused = changes;
        Ok(())
    }

    /// Guidance is new, changed or withdrawn.
    ///
    /// # Errors
    /// When the output cannot be written; the run ends with it.
    fn guidance(&mut self, guidance: &Guidance) -> anyhow::Result<()>;

    /// All outputs of the minute are out.
    ///
    /// # Errors
    /// When the output cannot be written; the run ends with it.
    fn minute_done(&mut self, analysis: &Analysis, took: MinuteTimes) -> anyhow::Result<()> {
        let _unused = (analysis, took);
        Ok(())
    }

    /// Appends what the sink must remember over a restart; it stands in the pipeline's snapshot.
    fn snapshot(&self, out: &mut Vec<u8>) {
        let _unused = out;
    }

    /// Takes back what [`OutputSink::snapshot`] appended, before the first output.
    ///
    /// # Errors
    /// When the bytes are of another version or broken.
    fn restore(&mut self, bytes: &[u8]) -> anyhow::Result<()> {
        let _unused = bytes;
        Ok(())
    }

    /// There will be no more outputs.
    ///
    /// # Errors
    /// When the output cannot be finished.
    fn finish(&mut self) -> anyhow::Result<()> {
        Ok(())
    }
}

/// Which files to write; `None` writes none.
#[derive(Clone, Debug, Default)]
pub struct OutputFiles {
    /// States as Parquet.
    pub states: Option<PathBuf>,
    /// Forecasts as Parquet.
    pub forecasts: Option<PathBuf>,
    /// Guidance as one JSON object a line.
    pub guidance: Option<PathBuf>,
    /// The index of each region and minute as one JSON object a line.
    pub index: Option<PathBuf>,
    /// Changes of incidents as one JSON object a line.
    pub incidents: Option<PathBuf>,
    /// Travel times of corridors as one JSON object a line.
    pub corridors: Option<PathBuf>,
}

/// Hashes all outputs and writes the files asked for: the engine's own values, or what the release
/// rule makes of them.
#[derive(Debug)]
pub struct FileOutputs {
    /// The hash over everything so far.
    pub digest: Digest,
    /// Minutes, forecasts and guidance messages so far.
    pub counts: [u64; 3],
    network: Arc<Network>,
    source_ids: Vec<Arc<str>>,
    states: Option<Writer>,
    forecasts: Option<Writer>,
    guidance: Option<BufWriter<File>>,
    index: Option<BufWriter<File>>,
    incidents: Option<BufWriter<File>>,
    corridors: Option<BufWriter<File>>,
    release: Option<Release>,
    /// The newest released minute, where there is a rule.
    released: Option<Released<StateBatch>>,
}

const STATE_COLUMNS: [(&str, Kind); 9] = [
    ("segment", Kind::I32),
    ("source_id", Kind::Text),
    ("length_m", Kind::F32),
    ("start", Kind::I64),
    ("speed_mps", Kind::F32),
    ("sigma_mps", Kind::F32),
    ("provenance", Kind::Text),
    ("samples", Kind::I32),
    ("level", Kind::I32),
];

const FORECAST_COLUMNS: [(&str, Kind); 11] = [
    ("segment", Kind::I32),
    ("source_id", Kind::Text),
    ("length_m", Kind::F32),
    ("issued_at", Kind::I64),
    ("start", Kind::I64),
    ("p05", Kind::F32),
    ("p10", Kind::F32),
    ("p50", Kind::F32),
    ("p90", Kind::F32),
    ("p95", Kind::F32),
    ("model", Kind::Text),
];

impl FileOutputs {
    /// Creates the files.
    ///
    /// # Errors
    /// When a file cannot be created.
    pub fn create(network: Arc<Network>, files: &OutputFiles) -> anyhow::Result<Self> {
        let create = |path: &Option<PathBuf>, columns: &[(&str, Kind)]| {
            path.as_deref()
                .map(|path| Writer::create(path, columns))
                .transpose()
        };
        let lines = |path: &Option<PathBuf>| {
            let create = |path: &Path| {
                let file = File::create(path);
                file.with_context(|| format!("writing {}", path.display()))
            };
            let file = path.as_deref().map(create).transpose();
            file.map(|file| file.map(BufWriter::new))
        };
        Ok(Self {
            digest: Digest::default(),
            counts: [0; 3],
            source_ids: network
                .segment_ids()
                .map(|id| Arc::from(network.source_id(id)))
                .collect(),
            network,
            states: create(&files.states, &STATE_COLUMNS)?,
            forecasts: create(&files.forecasts, &FORECAST_COLUMNS)?,
            guidance: lines(&files.guidance)?,
            index: lines(&files.index)?,
            incidents: lines(&files.incidents)?,
            corridors: lines(&files.corridors)?,
            release: None,
            released: None,
        })
    }

    /// The same with what may leave in the files; the digest stays that of the engine's own values.
    #[must_use]
    pub fn released(self, release: Release) -> Self {
        Self {
            release: Some(release),
            ..self
        }
    }

    fn lengths(&self) -> impl Iterator<Item = f32> + '_ {
        self.network
            .segments()
            .iter()
            .map(|segment| segment.length_m)
    }

    fn write_states(&mut self, batch: &StateBatch) -> anyhow::Result<()> {
        let lengths: Vec<f32> = self.lengths().collect();
        let Some(writer) = &mut self.states else {
            return Ok(());
        };
        let states = &batch.segments;
        let labels: [Arc<str>; 3] = ["observed".into(), "estimated".into(), "profile".into()];
        let rows = states.len();
        writer.append(&[
            Column::I32((0..rows as i32).collect()),
            Column::Text(self.source_ids.clone()),
            Column::F32(lengths),
            Column::I64(vec![batch.interval.start.as_secs(); rows]),
            Column::F32(states.iter().map(|state| state.speed_mps).collect()),
            Column::F32(states.iter().map(|state| state.sigma_mps).collect()),
            Column::Text(
                states
                    .iter()
                    .map(|state| labels[state.provenance as usize].clone())
                    .collect(),
            ),
            Column::I32(
                states
                    .iter()
                    .map(|state| state.sample_count as i32)
                    .collect(),
            ),
            Column::I32(states.iter().map(|state| state.level as i32).collect()),
        ])
    }

    fn write_forecast(&mut self, batch: &ForecastBatch) -> anyhow::Result<()> {
        let lengths: Vec<f32> = self.lengths().collect();
        let Some(writer) = &mut self.forecasts else {
            return Ok(());
        };
        let rows = batch.quantiles.len();
        let segment_of = |row: usize| SegmentId((row / STEP_COUNT) as u32);
        let start_of = |row: usize| batch.interval(row % STEP_COUNT).start.as_secs();
        let quantile = |pick: fn(&SpeedQuantiles) -> f32| {
            Column::F32(batch.quantiles.iter().map(pick).collect())
        };
        let baselines = Baseline::ALL.map(|baseline| Arc::from(baseline.name()));
        let model_of = |row: usize| match batch.speaker(segment_of(row)).baseline() {
            Some(baseline) => Arc::clone(&baselines[baseline as usize]),
            None => Arc::clone(&batch.model),
        };
        writer.append(&[
            Column::I32((0..rows).map(|row| segment_of(row).0 as i32).collect()),
            Column::Text(
                (0..rows)
                    .map(|row| self.source_ids[segment_of(row).index()].clone())
                    .collect(),
            ),
            Column::F32(
                (0..rows)
                    .map(|row| lengths[segment_of(row).index()])
                    .collect(),
            ),
            Column::I64(vec![batch.issued_at.as_secs(); rows]),
            Column::I64((0..rows).map(start_of).collect()),
            quantile(|step| step.p05_mps),
            quantile(|step| step.p10_mps),
            quantile(|step| step.p50_mps),
            quantile(|step| step.p90_mps),
            quantile(|step| step.p95_mps),
            Column::Text((0..rows).map(model_of).collect()),
        ])
    }

    fn write_corridors(&mut self, batch: &PerformanceBatch) -> anyhow::Result<()> {
        if let Some(file) = &mut self.corridors {
            for state in &batch.travel_times {
                let message = crate::publish::format::corridor_message(&self.network, batch, state);
                serde_json::to_writer(&mut *file, &message)?;
                file.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn write_guidance(&mut self, guidance: &Guidance) -> anyhow::Result<()> {
        if let Some(file) = &mut self.guidance {
            let entry = crate::publish::format::guidance_entry(&self.network, guidance);
            serde_json::to_writer(&mut *file, &entry)?;
            file.write_all(b"\n")?;
        }
        Ok(())
    }
}

/// Appends one JSON object a region.
fn write_index(file: &mut impl Write, batch: &CongestionBatch) -> anyhow::Result<()> {
    for message in crate::publish::format::index_entries(batch) {
        serde_json::to_writer(&mut *file, &message)?;
        file.write_all(b"\n")?;
    }
    Ok(())
}

impl OutputSink for FileOutputs {
    fn state(&mut self, batch: &Arc<StateBatch>) -> anyhow::Result<()> {
        self.digest.state(batch);
        self.counts[0] += 1;
        self.released = self.release.as_ref().map(|rule| rule.states(batch));
        match self.released.clone() {
            Some(released) => self.write_states(&released),
            None => self.write_states(batch),
        }
    }

    fn congestion(&mut self, batch: &Arc<CongestionBatch>) -> anyhow::Result<()> {
        self.digest.congestion(batch);
        let Some(file) = &mut self.index else {
            return Ok(());
        };
        match &self.release {
            Some(rule) => write_index(file, &rule.congestion(batch)),
            None => write_index(file, batch),
        }
    }

    fn performance(&mut self, batch: &Arc<PerformanceBatch>) -> anyhow::Result<()> {
        self.digest.performance(batch);
        match &self.release {
            Some(rule) => {
                let released = rule.performance(&self.network, batch);
                self.write_corridors(&released)
            }
            None => self.write_corridors(batch),
        }
    }

    fn outlook(&mut self, batch: &Arc<OutlookBatch>) -> anyhow::Result<()> {
        self.digest.outlook(batch);
        Ok(())
    }

    fn forecast(&mut self, batch: &Arc<ForecastBatch>) -> anyhow::Result<()> {
        self.digest.forecast(batch);
        self.counts[1] += 1;
        match &self.release {
            Some(rule) => {
                let released = rule.forecast(batch, self.released.as_ref());
                self.write_forecast(&released)
            }
            None => self.write_forecast(batch),
        }
    }

    fn incidents(&mut self, changes: &[IncidentChange]) -> anyhow::Result<()> {
        for change in changes {
            self.digest.incident(change);
            let told = match &self.release {
                Some(rule) => rule.incident(change),
                None => Some(change.clone()),
            };
            if let (Some(file), Some(told)) = (&mut self.incidents, told) {
                let entry = crate::publish::format::incident_entry(&self.network, &told);
                serde_json::to_writer(&mut *file, &entry)?;
                file.write_all(b"\n")?;
            }
        }
        Ok(())
    }

    fn guidance(&mut self, guidance: &Guidance) -> anyhow::Result<()> {
        self.digest.guidance(guidance);
        self.counts[2] += 1;
        match &self.release {
            Some(rule) if rule.withholds(guidance) => Ok(()),
            Some(rule) => {
                let released = rule.guidance(guidance);
                self.write_guidance(&released)
            }
            None => self.write_guidance(guidance),
        }
    }

    fn finish(&mut self) -> anyhow::Result<()> {
        for writer in [self.states.take(), self.forecasts.take()]
            .into_iter()
            .flatten()
        {
            writer.close()?;
        }
        let files = [
            self.guidance.take(),
            self.index.take(),
            self.incidents.take(),
            self.corridors.take(),
        ];
        for mut file in files.into_iter().flatten() {
            file.flush()?;
        }
        Ok(())
    }
}
