//! How forecasts have done, as metrics.

use crate::forecast::{
    ErrorTracker, FlowForecaster, ForecastBatch, HALF_HOUR_MS, OutlookSpeaker, OutlookTracker,
    Speaker, StepScores,
};
use crate::metrics::Metrics;
use crate::publish::format::{FLOW_SPEAKERS, scored_steps};

/// Whose intervals are told of.
const COVERED: [Speaker; 3] = [Speaker::Running, Speaker::Shadow, Speaker::Published];

/// Names of gauges: errors (mean absolute, root mean square, where congested), pinball loss.
type ErrorNames = [&'static str; 4];

const FORECAST_ERRORS: ErrorNames = [
    "roadcast_forecast_error_metres_per_second",
    "roadcast_forecast_error_rms_metres_per_second",
    "roadcast_forecast_congested_error_metres_per_second",
    "roadcast_forecast_pinball_metres_per_second",
];
const OUTLOOK_ERRORS: ErrorNames = [
    "roadcast_outlook_error_metres_per_second",
    "roadcast_outlook_error_rms_metres_per_second",
    "roadcast_outlook_congested_error_metres_per_second",
    "roadcast_outlook_pinball_metres_per_second",
];

/// Sets the gauges of the errors of one forecaster at one horizon.
fn measure_errors(metrics: &Metrics, names: &ErrorNames, labels: [&str; 2], scores: &StepScores) {
    let values = [
        Some(scores.plain.mae()),
        Some(scores.plain.rmse()),
        scores.congested_mae(),
        Some(scores.mean_pinball()),
    ];
    for (name, value) in names.iter().zip(values) {
        if let Some(value) = value {
            metrics.gauge(name, &labels, value);
        }
    }
}

/// Hands on the shares of truths that intervals hold, each with interval and traffic as labels.
fn coverages(scores: &StepScores, mut set: impl FnMut([&str; 2], f64)) {
    for (labels, share) in [
        (["90", "all"], Some(scores.coverage_90())),
        (["80", "all"], Some(scores.coverage_80())),
        (["90", "congested"], scores.congested_coverage_90()),
        (["80", "congested"], scores.congested_coverage_80()),
    ] {
        if let Some(share) = share {
            set(labels, share);
        }
    }
}

/// Sets the gauges of rolling scores, voices and drift.
pub(super) fn measure_scores(metrics: &Metrics, errors: &ErrorTracker) {
    for speaker in Speaker::ALL {
        let label = speaker.label();
        for (minutes, scores) in scored_steps(errors.scores(speaker)) {
            let horizon = format!("{minutes}min");
            measure_errors(metrics, &FORECAST_ERRORS, [label, &horizon], scores);
            if COVERED.contains(&speaker) {
                coverages(scores, |[interval, traffic], share| {
                    let labels = [label, interval, traffic, &horizon];
                    metrics.gauge("roadcast_forecast_coverage_ratio", &labels, share);
                });
            }
        }
        let onsets = errors.onsets(speaker);
        let lead_s = onsets.lead_min().map(|minutes| 60.0 * minutes);
        for (name, value) in [
            ("roadcast_forecast_onset_hits_ratio", onsets.hit_rate()),
            (
                "roadcast_forecast_false_alarms_ratio",
                onsets.false_alarm_rate(),
            ),
            ("roadcast_forecast_onset_lead_seconds", lead_s),
        ] {
            if let Some(value) = value {
                metrics.gauge(name, &[label], value);
            }
        }
    }
    let drift = errors.drift();
    for (against, ratio) in [("card", drift.card), ("long_run", drift.long_run)] {
        if let Some(ratio) = ratio {
            metrics.gauge("roadcast_forecast_drift_ratio", &[against], ratio);
        }
    }
}

/// Sets the gauges of the outlook's rolling scores and of the baselines beside it.
pub(super) fn measure_outlooks(metrics: &Metrics, outlooks: &OutlookTracker) {
    for speaker in OutlookSpeaker::ALL {
        for (halves, scores) in (1..).zip(outlooks.scores(speaker)) {
            if scores.plain.count() <= 0.0 {
                continue;
            }
            let horizon = format!("{}min", 60 + halves * HALF_HOUR_MS / 60_000);
            measure_errors(
                metrics,
                &OUTLOOK_ERRORS,
                [speaker.label(), &horizon],
                scores,
            );
            if speaker == OutlookSpeaker::Outlook {
                coverages(scores, |[interval, traffic], share| {
                    let labels = [interval, traffic, &horizon];
                    metrics.gauge("roadcast_outlook_coverage_ratio", &labels, share);
                });
            }
        }
    }
}

/// Sets the gauges of the rolling scores of flow forecasts.
pub(super) fn measure_flows(metrics: &Metrics, flows: &FlowForecaster) {
    metrics.gauge(
        "roadcast_flow_forecast_segments",
        &[],
        flows.counted() as f64,
    );
    for speaker in FLOW_SPEAKERS {
        for (minutes, scores) in scored_steps(flows.errors().scores(speaker)) {
            let horizon = format!("{minutes}min");
            let labels = [speaker.label(), &*horizon];
            let name = "roadcast_flow_forecast_error_vehicles_per_hour";
            metrics.gauge(name, &labels, scores.plain.mae());
            let name = "roadcast_flow_forecast_coverage_ratio";
            metrics.gauge(name, &labels, scores.coverage_80());
        }
    }
}

/// Sets the shares of segments that each forecaster spoke for.
pub(super) fn measure_voices(metrics: &Metrics, forecast: &ForecastBatch) {
    let count = forecast.speakers.len().max(1) as f64;
    for speaker in Speaker::SPEAKING {
        let spoken = forecast.speakers.iter().filter(|&&who| who == speaker);
        let share = spoken.count() as f64 / count;
        metrics.gauge("roadcast_forecast_voice_ratio", &[speaker.label()], share);
    }
}
