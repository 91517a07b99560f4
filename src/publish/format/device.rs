//! Retained words on roadside units: how each was last heard.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TOPIC_ROOT;
use crate::publish::OutMessage;
use crate::screening::DeviceStatus;

/// How a roadside unit was last heard.
///
/// Topic `roadcast/v1/rsu/{id}/status`, retained, QoS 1, each minute.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DeviceMessage {
    /// What it calls itself.
    pub id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// When it was last heard, milliseconds.
    pub last_seen_ms: i64,
    /// Longitude, WGS-84, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon_deg: Option<f64>,
    /// Latitude, WGS-84, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat_deg: Option<f64>,
    /// Version of its software.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub version: Option<String>,
    /// Version of the protocol it speaks.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub protocol: Option<String>,
    /// Messages in the last whole minute, on topics that name the unit.
    pub messages_per_minute: u64,
    /// How far its clock is ahead (behind: negative), milliseconds; absent before it stated a time.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    /// Share of its processor in use, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ratio: Option<f32>,
    /// Share of its memory in use, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_ratio: Option<f32>,
    /// What is wrong with it; empty when nothing is.
    pub alerts: Vec<DeviceAlert>,
}

/// What can be wrong with a roadside unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceAlert {
    /// Not heard for `engine.device_silent_s`.
    Silent,
    /// Its clock is off by more than `engine.device_skew_ms_max`; its times are corrected.
    Skewed,
    /// It sent more than `engine.device_messages_per_minute_max` in the last whole minute.
    Flooding,
}

/// The topic on which a unit's status stands; characters that mean something in topics become `_`.
fn device_topic(id: &str) -> String {
    let level = id.replace(['/', '+', '#', '\0'], "_");
    format!("{TOPIC_ROOT}/rsu/{level}/status")
}

/// The status of one unit as a message.
pub fn device_message(status: &DeviceStatus) -> OutMessage {
    let alerts = [
        (status.is_silent, DeviceAlert::Silent),
        (status.is_skewed, DeviceAlert::Skewed),
        (status.is_flooding, DeviceAlert::Flooding),
    ];
    let report = &status.report;
    let text = |text: &Option<std::sync::Arc<str>>| text.as_deref().map(str::to_owned);
    let message = DeviceMessage {
        id: report.device.to_string(),
        name: text(&report.name),
        last_seen_ms: status.last_seen.as_millis(),
        lon_deg: report.position.map(|position| position.lon_deg),
        lat_deg: report.position.map(|position| position.lat_deg),
        version: text(&report.version),
        protocol: text(&report.protocol),
        messages_per_minute: status.messages_per_minute,
        clock_skew_ms: status.skew_ms,
        cpu_ratio: report.cpu,
        memory_ratio: report.memory,
        alerts: alerts
            .into_iter()
            .filter_map(|(is_on, alert)| is_on.then_some(alert))
            .collect(),
    };
    OutMessage {
        topic: device_topic(&report.device),
        payload: serde_json::to_vec(&message)
            .expect("a struct of numbers and texts is JSON")
            .into(),
        qos: 1,
        retain: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::observation::DeviceReport;
    use crate::screening::Fleet;
    use crate::units::{Position, Timestamp};

    #[test]
    fn a_silent_unit_is_told_under_a_level_of_its_own() {
        let mut fleet = Fleet::default();
        fleet.report(&DeviceReport {
            received_at: Timestamp::from_secs(1_000),
            device: "R/1+".into(),
            position: Some(Position::new(114.3, 30.6)),
            ..DeviceReport::default()
        });
        let status = fleet.statuses(Timestamp::from_secs(2_000)).next();
        let out = device_message(&status.expect("one unit"));
        assert_eq!(out.topic, "roadcast/v1/rsu/R_1_/status");
        assert!(out.retain);
        let message: DeviceMessage = serde_json::from_slice(&out.payload).expect("its own form");
        assert_eq!(message.alerts, [DeviceAlert::Silent]);
        assert_eq!(
            (message.id.as_str(), message.last_seen_ms),
            ("R/1+", 1_000_000)
        );
        assert_eq!(message.clock_skew_ms, None);
    }
}
