//! The one table of metrics.

use super::Stage;
use crate::observation::RejectReason;

/// Name of the metric that carries versions.
pub(super) const BUILD_INFO: &str = "roadcast_build_info";

/// The type of a metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub enum Kind {
    /// Only rises.
    Counter,
    /// Goes up and down.
    Gauge,
    /// A distribution over these bucket bounds.
    Histogram(&'static [f64]),
}

/// What values a label can take.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum LabelValues {
    /// The labels of [`RejectReason`].
    Reasons,
    /// The labels of [`Stage`].
    Stages,
    /// The names of the configured regions, `city` without any, at most 64.
    Regions,
    /// These words.
    Words(&'static [&'static str]),
}

/// One metric.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Definition {
    /// Full name.
    pub name: &'static str,
    /// Type.
    pub kind: Kind,
    /// Labels with the values they can take.
    pub labels: &'static [(&'static str, LabelValues)],
    /// What it says, with its unit.
    pub help: &'static str,
}

impl Definition {
    /// Every combination of label values.
    pub fn known_values(&self) -> Vec<Vec<&'static str>> {
        let mut combinations = vec![Vec::new()];
        for (_, values) in self.labels {
            let values: Vec<&'static str> = match values {
                LabelValues::Reasons => RejectReason::ALL.iter().map(|r| r.label()).collect(),
                LabelValues::Stages => Stage::ALL.iter().map(|stage| stage.label()).collect(),
                LabelValues::Regions => vec!["city"],
                LabelValues::Words(words) => words.to_vec(),
            };
            combinations = combinations
                .into_iter()
                .flat_map(|head| {
                    values.iter().map(move |value| {
                        let mut combination = head.clone();
                        combination.push(*value);
                        combination
                    })
                })
                .collect();
        }
        combinations
    }
}

/// Stage times from 0.1 ms to 10 s.
const DURATION_BUCKETS_S: &[f64] = &[
    1e-4, 2.5e-4, 5e-4, 1e-3, 2.5e-3, 5e-3, 1e-2, 2.5e-2, 5e-2, 0.1, 0.25, 0.5, 1.0, 2.5, 5.0, 10.0,
];

/// What becomes of messages down to roadside units.
pub(super) const DELIVERY_OUTCOMES: &[&str] = &[
    "sent",
    "resent",
    "delivered",
    "refused",
    "replaced",
    "given_up",
    "unknown",
];

/// Who forecasts.
const FORECASTER: (&str, LabelValues) = (
    "forecaster",
    LabelValues::Words(&[
        "running",
        "last_value",
        "profile",
        "profile_residual",
        "shadow",
        "published",
    ]),
);

/// How far ahead.
const HORIZON: (&str, LabelValues) = (
    "horizon",
    LabelValues::Words(&["5min", "15min", "30min", "60min"]),
);

/// Who looks beyond the hour.
const OUTLOOK_FORECASTER: (&str, LabelValues) = (
    "forecaster",
    LabelValues::Words(&["outlook", "last_value", "profile", "profile_residual"]),
);

/// Who forecasts flow.
const FLOW_FORECASTER: (&str, LabelValues) = (
    "forecaster",
    LabelValues::Words(&["published", "last_value", "profile", "profile_residual"]),
);

/// How far ahead a half hour of the outlook ends.
const HALF_HOUR: (&str, LabelValues) = (
    "horizon",
    LabelValues::Words(&["90min", "120min", "150min", "180min"]),
);

const fn metric(
    name: &'static str,
    kind: Kind,
    labels: &'static [(&'static str, LabelValues)],
    help: &'static str,
) -> Definition {
    Definition {
        name,
        kind,
        labels,
        help,
    }
}

/// Every metric but the build information, in the order of the documentation.
pub const DEFINITIONS: &[Definition] = &[
    metric(
        "roadcast_messages_received_total",
        Kind::Counter,
        &[],
        "MQTT messages received.",
    ),
    metric(
        "roadcast_received_bytes_total",
        Kind::Counter,
        &[],
        "Payload bytes received over MQTT.",
    ),
    metric(
        "roadcast_messages_acknowledged_total",
        Kind::Counter,
        &[],
        "QoS 1 messages acknowledged after they stood in the recording.",
    ),
    metric(
        "roadcast_records_received_total",
        Kind::Counter,
        &[],
        "Records decoded or refused; equals used plus dropped plus those under way.",
    ),
    metric(
        "roadcast_records_used_total",
        Kind::Counter,
        &[],
        "Records that entered the traffic state.",
    ),
    metric(
        "roadcast_records_dropped_total",
        Kind::Counter,
        &[("reason", LabelValues::Reasons)],
        "Records refused, by reason.",
    ),
    metric(
        "roadcast_mqtt_connected",
        Kind::Gauge,
        &[],
        "Whether the broker is connected, 0 or 1.",
    ),
    metric(
        "roadcast_mqtt_subscribed",
        Kind::Gauge,
        &[],
        "Whether every subscription was granted since the last connect, 0 or 1.",
    ),
    metric(
        "roadcast_mqtt_reconnects_total",
        Kind::Counter,
        &[],
        "Connections to the broker after the first.",
    ),
    metric(
        "roadcast_outbox_messages",
        Kind::Gauge,
        &[],
        "Messages waiting to be published or acknowledged.",
    ),
    metric(
        "roadcast_outbox_dropped_total",
        Kind::Counter,
        &[],
        "Messages dropped from the full outbox, oldest first.",
    ),
    metric(
        "roadcast_published_messages_total",
        Kind::Counter,
        &[],
        "Messages handed to the broker.",
    ),
    metric(
        "roadcast_stage_duration_seconds",
        Kind::Histogram(DURATION_BUCKETS_S),
        &[("stage", LabelValues::Stages)],
        "Time a stage took: decode and match for one batch of messages, the others for one minute.",
    ),
    metric(
        "roadcast_ingest_latency_seconds",
        Kind::Histogram(DURATION_BUCKETS_S),
        &[],
        "Time from receiving a batch of messages until its records stand in the shards' sums.",
    ),
    metric(
        "roadcast_event_time_timestamp_seconds",
        Kind::Gauge,
        &[],
        "Event time of the newest record, seconds since the epoch.",
    ),
    metric(
        "roadcast_data_age_seconds",
        Kind::Gauge,
        &[],
        "Engine time minus the end of the last closed minute.",
    ),
    metric(
        "roadcast_devices",
        Kind::Gauge,
        &[(
            "state",
            LabelValues::Words(&["known", "silent", "skewed", "flooding"]),
        )],
        "Roadside units heard of, and those of them with something wrong.",
    ),
    metric(
        "roadcast_devices_refused_total",
        Kind::Counter,
        &[],
        "Messages and reports of roadside units that are not remembered because 20 000 others are.",
    ),
    metric(
        "roadcast_gate_crowded_messages_total",
        Kind::Counter,
        &[],
        "Messages refused as rate_capped because 65 536 devices were sending more than their share.",
    ),
    metric(
        "roadcast_deliveries_total",
        Kind::Counter,
        &[("outcome", LabelValues::Words(DELIVERY_OUTCOMES))],
        "Messages down to roadside units that acknowledge them: sent equals delivered, refused, \
         replaced, given up and waiting; resent counts repetitions, unknown answers nobody waited for.",
    ),
    metric(
        "roadcast_deliveries_waiting_messages",
        Kind::Gauge,
        &[],
        "Messages down to roadside units that wait for their acknowledgement.",
    ),
    metric(
        "roadcast_infos_unanswered_total",
        Kind::Counter,
        &[],
        "INFO that was not acknowledged because more than 1 000 asked for it in a second.",
    ),
    metric(
        "roadcast_stays_total",
        Kind::Counter,
        &[],
        "Stays (one road user on one segment in one minute) looked at before they count.",
    ),
    metric(
        "roadcast_stays_double_total",
        Kind::Counter,
        &[],
        "Stays that told of a car which another source told too; it counts once.",
    ),
    metric(
        "roadcast_stays_withheld_total",
        Kind::Counter,
        &[(
            "doubt",
            LabelValues::Words(&["distrusted", "unproven", "ghost", "uncorroborated"]),
        )],
        "Stays that were not believed, by the reason for doubt.",
    ),
    metric(
        "roadcast_segments_unassociated_total",
        Kind::Counter,
        &[],
        "Segments and minutes with too many stays to tell cars together.",
    ),
    metric(
        "roadcast_sources",
        Kind::Gauge,
        &[(
            "state",
            LabelValues::Words(&["known", "distrusted", "wrong_datum"]),
        )],
        "Sources (subscription, kind of sender, perceiving unit) heard of, and those of them left out.",
    ),
    metric(
        "roadcast_roadside_entries",
        Kind::Gauge,
        &[(
            "kind",
            LabelValues::Words(&[
                "junction",
                "approach_tied",
                "approach_untied",
                "signal",
                "event",
                "parking",
            ]),
        )],
        "What roadside units told that is known now: junctions with their ways in, signal phases, events and signs, car parks.",
    ),
    metric(
        "roadcast_junctions_refused_total",
        Kind::Counter,
        &[(
            "reason",
            LabelValues::Words(&["too_far", "no_approach", "untied", "full"]),
        )],
        "Descriptions of junctions that could not be tied to the network, by reason.",
    ),
    metric(
        "roadcast_passages_per_minute",
        Kind::Gauge,
        &[],
        "Vehicles that sites (checkpoints, gantries, radar lines) counted in the last closed minute.",
    ),
    metric(
        "roadcast_vehicles_tracked",
        Kind::Gauge,
        &[],
        "Road users tracked at the last close of a minute.",
    ),
    metric(
        "roadcast_presence_vehicles",
        Kind::Gauge,
        &[],
        "Road users that could be asked for by place at the last close of a minute.",
    ),
    metric(
        "roadcast_presence_left_out_vehicles",
        Kind::Gauge,
        &[],
        "Road users left out of them because there were more than matching.presence_vehicles_max.",
    ),
    metric(
        "roadcast_segments_ratio",
        Kind::Gauge,
        &[(
            "provenance",
            LabelValues::Words(&["observed", "estimated", "profile"]),
        )],
        "Share of segments by where their state comes from, 0 to 1.",
    ),
    metric(
        "roadcast_congested_length_ratio",
        Kind::Gauge,
        &[],
        "Share of the network's length at level 3 or worse, 0 to 1.",
    ),
    metric(
        "roadcast_mean_speed_metres_per_second",
        Kind::Gauge,
        &[],
        "Length-weighted harmonic mean speed over segments not known from the profile alone.",
    ),
    metric(
        "roadcast_region_performance_index",
        Kind::Gauge,
        &[("region", LabelValues::Regions)],
        "Traffic performance index (TPI) of a region, 0 to 10; absent where the standard has none.",
    ),
    metric(
        "roadcast_region_travel_time_ratio",
        Kind::Gauge,
        &[("region", LabelValues::Regions)],
        "Travel time index (TTI) of a region: travel time over that of free flow, at least 1.",
    ),
    metric(
        "roadcast_region_observed_ratio",
        Kind::Gauge,
        &[("region", LabelValues::Regions)],
        "Share of a region's length that was measured in the minute, 0 to 1.",
    ),
    metric(
        "roadcast_region_congested_metres",
        Kind::Gauge,
        &[("region", LabelValues::Regions)],
        "Length of a region at level 3 or worse, m.",
    ),
    metric(
        "roadcast_forecast_error_metres_per_second",
        Kind::Gauge,
        &[FORECASTER, HORIZON],
        "Rolling mean absolute error of median speeds against what was observed later.",
    ),
    metric(
        "roadcast_forecast_error_rms_metres_per_second",
        Kind::Gauge,
        &[FORECASTER, HORIZON],
        "Rolling root of the mean squared error of median speeds.",
    ),
    metric(
        "roadcast_forecast_congested_error_metres_per_second",
        Kind::Gauge,
        &[FORECASTER, HORIZON],
        "Rolling mean absolute error where what was observed lies below 0.6 of free flow; absent before any.",
    ),
    metric(
        "roadcast_forecast_pinball_metres_per_second",
        Kind::Gauge,
        &[FORECASTER, HORIZON],
        "Rolling mean pinball loss of the quantiles .05, .1, .5, .9 and .95.",
    ),
    metric(
        "roadcast_forecast_coverage_ratio",
        Kind::Gauge,
        &[
            (
                "forecaster",
                LabelValues::Words(&["running", "shadow", "published"]),
            ),
            ("interval", LabelValues::Words(&["80", "90"])),
            ("traffic", LabelValues::Words(&["all", "congested"])),
            HORIZON,
        ],
        "Rolling share of what was observed inside the forecast's interval of 80 or 90 %, 0 to 1; congested below 0.6 of free flow.",
    ),
    metric(
        "roadcast_forecast_onset_hits_ratio",
        Kind::Gauge,
        &[FORECASTER],
        "Rolling share of beginnings of congestion that were announced in the hour before; absent without any.",
    ),
    metric(
        "roadcast_forecast_false_alarms_ratio",
        Kind::Gauge,
        &[FORECASTER],
        "Rolling share of announced beginnings of congestion that did not happen; absent without any.",
    ),
    metric(
        "roadcast_forecast_onset_lead_seconds",
        Kind::Gauge,
        &[FORECASTER],
        "Rolling mean time from the first right announcement to the beginning of congestion; absent without any.",
    ),
    metric(
        "roadcast_forecast_drift_ratio",
        Kind::Gauge,
        &[("against", LabelValues::Words(&["card", "long_run"]))],
        "Rolling error of the running model over what its card promises beside profile and residual, and over its own in the same hours of two weeks; absent where unknown.",
    ),
    metric(
        "roadcast_forecast_voice_ratio",
        Kind::Gauge,
        &[(
            "forecaster",
            LabelValues::Words(&["running", "last_value", "profile", "profile_residual"]),
        )],
        "Share of segments for which a forecaster spoke in the last closed minute, 0 to 1.",
    ),
    metric(
        "roadcast_outlook_error_metres_per_second",
        Kind::Gauge,
        &[OUTLOOK_FORECASTER, HALF_HOUR],
        "Rolling mean absolute error of the outlook's median, and of the baselines beside it, against means of half an hour observed later.",
    ),
    metric(
        "roadcast_outlook_error_rms_metres_per_second",
        Kind::Gauge,
        &[OUTLOOK_FORECASTER, HALF_HOUR],
        "Rolling root of the mean squared error of the same.",
    ),
    metric(
        "roadcast_outlook_congested_error_metres_per_second",
        Kind::Gauge,
        &[OUTLOOK_FORECASTER, HALF_HOUR],
        "Rolling mean absolute error of the same where the half hour's mean lies below 0.6 of free flow; absent before any.",
    ),
    metric(
        "roadcast_outlook_pinball_metres_per_second",
        Kind::Gauge,
        &[OUTLOOK_FORECASTER, HALF_HOUR],
        "Rolling mean pinball loss of the quantiles .05, .1, .5, .9 and .95 of the same.",
    ),
    metric(
        "roadcast_outlook_coverage_ratio",
        Kind::Gauge,
        &[
            ("interval", LabelValues::Words(&["80", "90"])),
            ("traffic", LabelValues::Words(&["all", "congested"])),
            HALF_HOUR,
        ],
        "Rolling share of the half hours' means inside the outlook's interval of 80 or 90 %, 0 to 1; congested below 0.6 of free flow.",
    ),
    metric(
        "roadcast_flow_forecast_segments",
        Kind::Gauge,
        &[],
        "Counted segments whose flow is forecast, at most 20 000; those counted later are left out.",
    ),
    metric(
        "roadcast_flow_forecast_error_vehicles_per_hour",
        Kind::Gauge,
        &[FLOW_FORECASTER, HORIZON],
        "Rolling mean absolute error of the median flow, against means of five minutes counted later.",
    ),
    metric(
        "roadcast_flow_forecast_coverage_ratio",
        Kind::Gauge,
        &[FLOW_FORECASTER, HORIZON],
        "Rolling share of the same means inside the interval of 80 %, 0 to 1.",
    ),
    metric(
        "roadcast_forecast_fallbacks_total",
        Kind::Counter,
        &[],
        "Forecasts in which baselines spoke for every segment: the model was late, or has lost to them everywhere.",
    ),
    metric(
        "roadcast_incidents_active",
        Kind::Gauge,
        &[(
            "state",
            LabelValues::Words(&["suspected", "confirmed", "clearing"]),
        )],
        "Incidents that are open.",
    ),
    metric(
        "roadcast_incident_changes_total",
        Kind::Counter,
        &[(
            "state",
            LabelValues::Words(&["suspected", "confirmed", "clearing", "closed", "dismissed"]),
        )],
        "Changes in the lives of incidents, by the state they led to.",
    ),
    metric(
        "roadcast_incident_places_refused_total",
        Kind::Counter,
        &[],
        "Places that showed something in a minute and were not watched, because 2000 were.",
    ),
    metric(
        "roadcast_incident_searches_cut_total",
        Kind::Counter,
        &[],
        "Searches for the head or tail of a queue that ended at 128 segments.",
    ),
    metric(
        "roadcast_incident_slow_spots_forgotten_total",
        Kind::Counter,
        &[],
        "Places where somebody was slowed that were forgotten early, because 16 were known on the segment.",
    ),
    metric(
        "roadcast_incident_orders_unknown_total",
        Kind::Counter,
        &[],
        "Verdicts of operators on incidents that were not open.",
    ),
    metric(
        "roadcast_diagrams",
        Kind::Gauge,
        &[(
            "state",
            LabelValues::Words(&["counted", "fitted", "classes", "left_out"]),
        )],
        "Fundamental diagrams: segments with counts, those with a fit of their own, classes with a fit, and counted segments of the newest minute that found no room.",
    ),
    metric(
        "roadcast_bottlenecks_active",
        Kind::Gauge,
        &[],
        "Bottlenecks that are active.",
    ),
    metric(
        "roadcast_bottleneck_extents_cut_total",
        Kind::Counter,
        &[],
        "Jams behind bottlenecks that were followed over 500 segments and no further.",
    ),
    metric(
        "roadcast_bottleneck_minutes_left_out_total",
        Kind::Counter,
        &[],
        "Active minutes of bottlenecks beyond the most that are remembered of a day.",
    ),
    metric(
        "roadcast_guidance_active",
        Kind::Gauge,
        &[("kind", LabelValues::Words(&["jam", "diversion"]))],
        "Pieces of guidance in force.",
    ),
    metric(
        "roadcast_guidance_messages_total",
        Kind::Counter,
        &[("kind", LabelValues::Words(&["jam", "diversion"]))],
        "Guidance messages published, renewals and withdrawals included.",
    ),
    metric(
        "roadcast_guidance_withheld_total",
        Kind::Counter,
        &[],
        "Guidance messages kept back because they tell of a segment in a sensitive zone.",
    ),
    metric(
        "roadcast_recording_messages_total",
        Kind::Counter,
        &[],
        "Messages written to the recording.",
    ),
    metric(
        "roadcast_recording_syncs_total",
        Kind::Counter,
        &[],
        "Group commits of the recording.",
    ),
    metric(
        "roadcast_recording_expired_files_total",
        Kind::Counter,
        &[("reason", LabelValues::Words(&["age", "size"]))],
        "Files of the recording deleted because of recording.keep_days, or because all exceed 8 GiB.",
    ),
    metric(
        "roadcast_snapshot_timestamp_seconds",
        Kind::Gauge,
        &[],
        "Event time up to which the last snapshot reaches, seconds since the epoch.",
    ),
    metric(
        "roadcast_profiles_timestamp_seconds",
        Kind::Gauge,
        &[],
        "Start of the oldest open minute when the file of learnt profiles was written, event time.",
    ),
    metric(
        "roadcast_state_messages_total",
        Kind::Counter,
        &[("kind", LabelValues::Words(&["snapshot", "delta"]))],
        "Messages of state published by tile: full snapshots, and what has changed since.",
    ),
    metric(
        "roadcast_state_bytes_total",
        Kind::Counter,
        &[("kind", LabelValues::Words(&["snapshot", "delta"]))],
        "Payload bytes of these messages.",
    ),
    metric(
        "roadcast_archive_rows_total",
        Kind::Counter,
        &[("table", LabelValues::Words(&["state", "guidance"]))],
        "Rows that stand in complete files of the archive.",
    ),
    metric(
        "roadcast_archive_files_total",
        Kind::Counter,
        &[],
        "Files the archive has completed.",
    ),
    metric(
        "roadcast_archive_bytes_total",
        Kind::Counter,
        &[],
        "Bytes of these files.",
    ),
    metric(
        "roadcast_archive_waiting_rows",
        Kind::Gauge,
        &[],
        "Rows that stand in the archive's journals and not yet in a complete file.",
    ),
    metric(
        "roadcast_archive_failures_total",
        Kind::Counter,
        &[],
        "Writes to the archive that failed; they are tried again each minute.",
    ),
    metric(
        "roadcast_archive_dropped_rows_total",
        Kind::Counter,
        &[(
            "reason",
            LabelValues::Words(&["queue_full", "unwritable", "known"]),
        )],
        "Rows the archive did not take: its queue was full, its files could not be written, or the \
         minute is in it already.",
    ),
    metric(
        "roadcast_archive_expired_files_total",
        Kind::Counter,
        &[],
        "Files of the archive deleted because they were older than archive.keep_days.",
    ),
];

/// The text of `docs/metrics.md`.
pub fn documentation() -> String {
    let mut text = String::from(
        "# Metrics\n\nServed at `/metrics` in the prometheus text format. This page is written from the table in\n\
         `src/metrics/definitions.rs`; a test holds both together.\n\n\
         | metric | type | labels | meaning |\n| --- | --- | --- | --- |\n\
         | `roadcast_build_info` | gauge | version, network, model | Versions of this process; always 1. |\n",
    );
    for definition in DEFINITIONS {
        let kind = match definition.kind {
            Kind::Counter => "counter",
            Kind::Gauge => "gauge",
            Kind::Histogram(_) => "histogram",
        };
        let labels: Vec<String> = definition
            .labels
            .iter()
            .map(|(label, values)| match values {
                LabelValues::Words(words) => format!("{label}: {}", words.join(", ")),
                LabelValues::Regions => format!("{label}: names of state.regions, at most 64"),
                LabelValues::Reasons => format!("{label}: see below"),
                LabelValues::Stages => {
                    format!("{label}: {}", Stage::ALL.map(Stage::label).join(", "))
                }
            })
            .collect();
        let (name, help) = (definition.name, definition.help);
        text.push_str(&format!(
            "| `{name}` | {kind} | {} | {help} |
",
            labels.join("; ")
        ));
    }
    text.push_str("\nReasons for which records are dropped: ");
    text.push_str(
        &RejectReason::ALL
            .map(|reason| format!("`{}`", reason.label()))
            .join(", "),
    );
    text.push_str(".\n");
    text
}
