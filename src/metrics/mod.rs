//! The prometheus registry: every metric roadcast has, with closed label sets.
//!
//! [`DEFINITIONS`] is the one table of metrics; `docs/metrics.md` is written from it and a test
//! holds both together. Values of single segments or vehicles never become metrics.

mod definitions;

use std::sync::Arc;

use prometheus::{
    Encoder, GaugeVec, HistogramOpts, HistogramVec, IntCounterVec, IntGaugeVec, Opts, Registry,
    TextEncoder,
};

pub use definitions::{DEFINITIONS, Definition, Kind, LabelValues, documentation};

use crate::observation::RejectReason;

/// A stage of the engine, as a label.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Stage {
    /// Bytes to observations.
    Decode,
    /// Observations to positions on the network and sums.
    Match,
    /// Closing a minute.
    State,
    /// Forecasting.
    Forecast,
    /// Guidance.
    Guide,
    /// Encoding and handing over to the broker.
    Publish,
}

impl Stage {
    /// Every stage, in order.
    pub const ALL: [Self; 6] = [
        Self::Decode,
        Self::Match,
        Self::State,
        Self::Forecast,
        Self::Guide,
        Self::Publish,
    ];

    /// The label value.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Decode => "decode",
            Self::Match => "match",
            Self::State => "state",
            Self::Forecast => "forecast",
            Self::Guide => "guide",
            Self::Publish => "publish",
        }
    }
}

/// All metrics of one running service.
#[derive(Clone, Debug)]
pub struct Metrics {
    registry: Registry,
    counters: Arc<Vec<(&'static str, IntCounterVec)>>,
    gauges: Arc<Vec<(&'static str, GaugeVec)>>,
    histograms: Arc<Vec<(&'static str, HistogramVec)>>,
}

/// Why the metrics could not be registered or written.
#[derive(Debug, thiserror::Error)]
pub enum MetricsError {
    /// The prometheus crate refuses a definition.
    #[error("metric {name}: {problem}")]
    Definition {
        /// Which metric.
        name: &'static str,
        /// What the crate says.
        problem: String,
    },
}

impl Metrics {
    /// Registers every definition and sets the known label values to zero.
    ///
    /// # Errors
    /// When a definition is not valid for prometheus.
    pub fn new(version: &str, network: &str, model: &str) -> Result<Self, MetricsError> {
        let registry = Registry::new();
        let (mut counters, mut gauges, mut histograms) = (Vec::new(), Vec::new(), Vec::new());
        for definition in DEFINITIONS {
            let name = definition.name;
            let broken = |error: prometheus::Error| MetricsError::Definition {
                name,
                problem: error.to_string(),
            };
            let options = Opts::new(name, definition.help);
            let labels: Vec<&str> = definition.labels.iter().map(|(label, _)| *label).collect();
            match definition.kind {
                Kind::Counter => {
                    let vector = IntCounterVec::new(options, &labels).map_err(broken)?;
                    registry
                        .register(Box::new(vector.clone()))
                        .map_err(broken)?;
                    for values in definition.known_values() {
                        vector.with_label_values(&values).inc_by(0);
                    }
                    counters.push((name, vector));
                }
                Kind::Gauge => {
                    let vector = GaugeVec::new(options, &labels).map_err(broken)?;
                    registry
                        .register(Box::new(vector.clone()))
                        .map_err(broken)?;
                    gauges.push((name, vector));
                }
                Kind::Histogram(buckets) => {
                    let options =
                        HistogramOpts::new(name, definition.help).buckets(buckets.to_vec());
                    let vector = HistogramVec::new(options, &labels).map_err(broken)?;
                    registry
                        .register(Box::new(vector.clone()))
                        .map_err(broken)?;
                    histograms.push((name, vector));
                }
            }
        }
        let info = IntGaugeVec::new(
            Opts::new(
                definitions::BUILD_INFO,
                "Versions of this process; always 1.",
            ),
            &["version", "network", "model"],
        );
        let broken = |error: prometheus::Error| MetricsError::Definition {
            name: definitions::BUILD_INFO,
            problem: error.to_string(),
        };
        let info = info.map_err(broken)?;
        registry.register(Box::new(info.clone())).map_err(broken)?;
        info.with_label_values(&[version, network, model]).set(1);
        Ok(Self {
            registry,
            counters: Arc::new(counters),
            gauges: Arc::new(gauges),
            histograms: Arc::new(histograms),
        })
    }

    /// Raises a counter to `total` if it is lower; for totals counted elsewhere.
    ///
    /// # Panics
    /// When the name or the number of labels is not in [`DEFINITIONS`].
    pub fn counter_to(&self, name: &str, labels: &[&str], total: u64) {
        let counter = find(&self.counters, name).with_label_values(labels);
        counter.inc_by(total.saturating_sub(counter.get()));
    }

    /// Raises a counter by one.
    ///
    /// # Panics
    /// When the name or the number of labels is not in [`DEFINITIONS`].
    pub fn count(&self, name: &str, labels: &[&str]) {
        find(&self.counters, name).with_label_values(labels).inc();
    }

    /// Raises a counter by `count`.
    ///
    /// # Panics
    /// When the name or the number of labels is not in [`DEFINITIONS`].
    pub fn count_by(&self, name: &str, labels: &[&str], count: u64) {
        let counter = find(&self.counters, name).with_label_values(labels);
        counter.inc_by(count);
    }

    /// Sets a gauge.
    ///
    /// # Panics
    /// When the name or the number of labels is not in [`DEFINITIONS`].
    pub fn gauge(&self, name: &str, labels: &[&str], value: f64) {
        find(&self.gauges, name)
            .with_label_values(labels)
            .set(value);
    }

    /// Adds one measurement to a histogram.
    ///
    /// # Panics
    /// When the name or the number of labels is not in [`DEFINITIONS`].
    pub fn observe(&self, name: &str, labels: &[&str], value: f64) {
        find(&self.histograms, name)
            .with_label_values(labels)
            .observe(value);
    }

    /// Adds the time a stage took, seconds.
    pub fn stage_seconds(&self, stage: Stage, seconds: f64) {
        self.observe("roadcast_stage_duration_seconds", &[stage.label()], seconds);
    }

    /// Raises the count of records dropped for a reason to `total`.
    pub fn dropped_to(&self, reason: RejectReason, total: u64) {
        self.counter_to("roadcast_records_dropped_total", &[reason.label()], total);
    }

    /// Everything in the prometheus text format.
    pub fn render(&self) -> String {
        let mut out = Vec::new();
        match TextEncoder::new().encode(&self.registry.gather(), &mut out) {
            Ok(()) => String::from_utf8_lossy(&out).into_owned(),
            Err(error) => {
                tracing::error!(%error, "Metrics cannot be written.");
                String::new()
            }
        }
    }
}

fn find<'a, T>(vectors: &'a [(&'static str, T)], name: &str) -> &'a T {
    let found = vectors.iter().find(|(known, _)| *known == name);
    &found.expect("metric names are those of DEFINITIONS").1
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn every_definition_registers_and_follows_the_naming_rules() {
        let metrics = Metrics::new("0.1.0", "abc", "mlp").unwrap();
        let text = metrics.render();
        assert!(
            text.contains("roadcast_build_info{model=\"mlp\",network=\"abc\",version=\"0.1.0\"} 1")
        );
        for definition in DEFINITIONS {
            let name = definition.name;
            assert!(name.starts_with("roadcast_"), "{name}");
            assert_eq!(
                name.ends_with("_total"),
                definition.kind == Kind::Counter,
                "{name}"
            );
            if definition.kind == Kind::Counter {
                assert!(text.contains(name), "{name} is not initialised");
            }
        }
    }

    #[test]
    fn counters_only_rise() {
        let metrics = Metrics::new("0.1.0", "abc", "mlp").unwrap();
        metrics.dropped_to(RejectReason::Late, 5);
        metrics.dropped_to(RejectReason::Late, 3);
        assert!(
            metrics
                .render()
                .contains("roadcast_records_dropped_total{reason=\"late\"} 5")
        );
    }

    #[test]
    fn the_documentation_lists_exactly_these_metrics() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/metrics.md");
        let expected = documentation();
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
