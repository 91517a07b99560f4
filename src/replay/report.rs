//! The report of a run: counts, rates, stage times and the digest.

use std::collections::BTreeMap;

use serde::Serialize;

use crate::publish::format::ForecastScoresMessage;

/// Samples kept of one stage at the most; further ones replace every second, third, ... earlier one.
const LATENCY_SAMPLES_MAX: usize = 1 << 16;

/// A bounded, evenly thinned sample of how long a stage took, unit as named by its holder.
#[derive(Clone, Debug)]
pub struct Latency {
    samples: Vec<f64>,
    stride: u64,
    seen: u64,
}

impl Default for Latency {
    fn default() -> Self {
        Self {
            samples: Vec::new(),
            stride: 1,
            seen: 0,
        }
    }
}

impl Latency {
    /// Adds one measurement.
    pub fn add(&mut self, value: f64) {
        if self.seen.is_multiple_of(self.stride) {
            self.samples.push(value);
            if self.samples.len() == LATENCY_SAMPLES_MAX {
                let mut keep = false;
                self.samples.retain(|_| {
                    keep = !keep;
                    keep
                });
                self.stride *= 2;
            }
        }
        self.seen += 1;
    }

    /// Adds the samples of another thread.
    pub fn merge(&mut self, other: Self) {
        self.samples.extend(other.samples);
        self.seen += other.seen;
    }

    /// The value below which the share `q` of the samples lies; `None` without samples.
    pub fn quantile(&self, q: f64) -> Option<f64> {
        let mut sorted = self.samples.clone();
        sorted.sort_by(f64::total_cmp);
        let index = ((sorted.len() as f64 - 1.0) * q).round();
        sorted.get(index.max(0.0) as usize).copied()
    }
}

/// p50 and p99 of one stage.
#[derive(Clone, Debug, Default, PartialEq, Serialize)]
pub struct StageTimes {
    /// Unit of both figures.
    pub unit: &'static str,
    /// Median.
    pub p50: Option<f64>,
    /// 99th percentile.
    pub p99: Option<f64>,
}

impl StageTimes {
    /// Summarises the samples of a stage.
    pub fn of(latency: &Latency, unit: &'static str) -> Self {
        Self {
            unit,
            p50: latency.quantile(0.5),
            p99: latency.quantile(0.99),
        }
    }
}

/// What `roadcast replay` says at the end. The keys are a contract.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub struct Report {
    /// Records received, refused ones included.
    pub records: u64,
    /// Records that were used; `records = used + sum of drops`.
    pub used: u64,
    /// Seconds of processing, reading of files left out.
    pub wall_s: f64,
    /// CPU seconds of the process during `wall_s`.
    pub cpu_s: f64,
    /// `records / wall_s`.
    pub records_per_s: f64,
    /// `cpu_s / records` in microseconds.
    pub cpu_us_per_record: f64,
    /// Time of each stage.
    pub stages: BTreeMap<&'static str, StageTimes>,
    /// Records dropped, by reason; reasons that did not occur are left out.
    pub drops: BTreeMap<&'static str, u64>,
    /// Stays (one road user on one segment in one minute) looked at (`stays`), told twice
    /// (`doubles`) and left out, by reason for doubt.
    pub vetting: BTreeMap<&'static str, u64>,
    /// How forecasts have done against what was measured later, over about the last six hours of the
    /// run; absent where nothing was measured for five minutes.
    #[serde(skip_serializing_if = "Option::is_none")]
    pub forecasts: Option<ForecastScoresMessage>,
    /// Largest resident set of the process, bytes.
    pub peak_rss_bytes: u64,
    /// Minutes closed.
    pub minutes: u64,
    /// Guidance messages emitted.
    pub guidance: u64,
    /// Shards used.
    pub shards: usize,
    /// Version of the network.
    pub network: String,
    /// SHA-256 over all outputs.
    pub digest: String,
}

/// CPU seconds used by the process so far, user and system, 10 ms steps (Linux `/proc`).
pub fn cpu_seconds() -> Option<f64> {
    let stat = std::fs::read_to_string("/proc/self/stat").ok()?;
    // Fields 14 and 15, counted behind the parenthesised command name (man 5 proc).
    let mut fields = stat.rsplit_once(')')?.1.split_whitespace().skip(11);
    let user: f64 = fields.next()?.parse().ok()?;
    let system: f64 = fields.next()?.parse().ok()?;
    Some((user + system) / 100.0)
}

/// The largest resident set of the process so far, bytes (Linux `/proc`).
pub fn peak_rss_bytes() -> Option<u64> {
    let status = std::fs::read_to_string("/proc/self/status").ok()?;
    let line = status.lines().find(|line| line.starts_with("VmHWM:"))?;
    let kib: u64 = line.split_whitespace().nth(1)?.parse().ok()?;
    Some(kib * 1024)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn latency_keeps_its_quantiles_when_thinned() {
        let mut latency = Latency::default();
        for value in 0..200_000 {
            latency.add(f64::from(value));
        }
        let median = latency.quantile(0.5).unwrap();
        assert!((median / 100_000.0 - 1.0).abs() < 0.01, "{median}");
        assert!(latency.samples.len() < LATENCY_SAMPLES_MAX);
    }

    #[test]
    fn reads_its_own_process() {
        assert!(peak_rss_bytes().unwrap() > 1_000_000);
        assert!(cpu_seconds().unwrap() >= 0.0);
    }
}
