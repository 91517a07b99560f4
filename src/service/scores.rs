//! How forecasts have done, as metrics.

use crate::forecast::{
    ErrorTracker, FlowForecaster, ForecastBatch, HALF_HOUR_MS, OutlookSpeaker, OutlookTracker,
    STEP_MS, Speaker,
};
use crate::metrics::Metrics;
use crate::publish::format::{FLOW_SPEAKERS, SCORED_STEPS};

/// Who is scored at what coverage.
const COVERED: [Speaker; 3] = [Speaker::Running, Speaker::Shadow, Speaker::Published];

/// Sets the gauges of rolling scores, voices and drift.
pub(super) fn measure_scores(metrics: &Metrics, errors: &ErrorTracker) {
    for speaker in Speaker::ALL {
        let label = speaker.label();
        for step in SCORED_STEPS {
            let scores = &errors.scores(speaker)[step];
            if scores.plain.count() <= 0.0 {
                continue;
            }
            let horizon = format!("{}min", (step as i64 + 1) * STEP_MS / 60_000);
            let labels = [label, &*horizon];
            for (name, value) in [
                (
                    "roadcast_forecast_error_metres_per_second",
                    scores.plain.mae(),
                ),
                (
                    "roadcast_forecast_error_rms_metres_per_second",
                    scores.plain.rmse(),
                ),
                (
                    "roadcast_forecast_pinball_metres_per_second",
                    scores.mean_pinball(),
                ),
            ] {
                metrics.gauge(name, &labels, value);
            }
            if let Some(mae_mps) = scores.congested_mae() {
                let name = "roadcast_forecast_congested_error_metres_per_second";
                metrics.gauge(name, &labels, mae_mps);
            }
            if COVERED.contains(&speaker) {
                for (interval, traffic, share) in [
                    ("90", "all", Some(scores.coverage_90())),
                    ("80", "all", Some(scores.coverage_80())),
                    ("90", "congested", scores.congested_coverage_90()),
                    ("80", "congested", scores.congested_coverage_80()),
                ] {
                    if let Some(share) = share {
                        let labels = [label, interval, traffic, &*horizon];
                        metrics.gauge("roadcast_forecast_coverage_ratio", &labels, share);
                    }
                }
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
            let labels = [speaker.label(), &*horizon];
            for (name, value) in [
                (
                    "roadcast_outlook_error_metres_per_second",
                    Some(scores.plain.mae()),
                ),
                (
                    "roadcast_outlook_error_rms_metres_per_second",
                    Some(scores.plain.rmse()),
                ),
                (
                    "roadcast_outlook_congested_error_metres_per_second",
                    scores.congested_mae(),
                ),
                (
                    "roadcast_outlook_pinball_metres_per_second",
                    Some(scores.mean_pinball()),
                ),
            ] {
                if let Some(value) = value {
                    metrics.gauge(name, &labels, value);
                }
            }
            if speaker != OutlookSpeaker::Outlook {
                continue;
            }
            for (interval, traffic, share) in [
                ("90", "all", Some(scores.coverage_90())),
                ("80", "all", Some(scores.coverage_80())),
                ("90", "congested", scores.congested_coverage_90()),
                ("80", "congested", scores.congested_coverage_80()),
            ] {
                if let Some(share) = share {
                    let labels = [interval, traffic, &*horizon];
                    metrics.gauge("roadcast_outlook_coverage_ratio", &labels, share);
                }
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
        for step in SCORED_STEPS {
            let scores = &flows.errors().scores(speaker)[step];
            if scores.plain.count() <= 0.0 {
                continue;
            }
            let horizon = format!("{}min", (step as i64 + 1) * STEP_MS / 60_000);
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
