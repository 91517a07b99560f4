//! The retained word on whether this engine is up; also the Last Will.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TOPIC_ROOT;
use crate::publish::OutMessage;

/// Whether an engine is up and what it runs.
///
/// Topic `roadcast/v1/status`, retained, QoS 1.
#[derive(Clone, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct StatusMessage {
    /// `online` or `offline`.
    pub status: StatusLabel,
    /// Version of roadcast.
    pub version: String,
    /// Network version in force, first 16 hexadecimal digits of its SHA-256.
    pub network: String,
    /// Forecast model in force.
    pub model: String,
    /// When this run started, wall clock, milliseconds since the Unix epoch.
    pub started_at_ms: i64,
}

/// Up or not.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum StatusLabel {
    /// Running and publishing.
    Online,
    /// Stopped, or the broker lost it.
    Offline,
}

/// What a run says of itself.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RunInfo {
    /// Network version in force.
    pub network: crate::network::NetworkVersion,
    /// Forecast model in force.
    pub model: String,
    /// When the run started, wall clock.
    pub started_at: crate::units::Timestamp,
}

/// The topic of the status message.
pub fn status_topic() -> String {
    format!("{TOPIC_ROOT}/status")
}

/// The status message: `is_online` false is the Last Will and the last word before exit.
pub fn status_message(info: &RunInfo, is_online: bool) -> OutMessage {
    let message = StatusMessage {
        status: if is_online {
            StatusLabel::Online
        } else {
            StatusLabel::Offline
        },
        version: env!("CARGO_PKG_VERSION").to_owned(),
        network: info.network.to_string(),
        model: info.model.clone(),
        started_at_ms: info.started_at.as_millis(),
    };
    OutMessage {
        topic: status_topic(),
        payload: serde_json::to_vec(&message)
            .expect("strings and integers are always valid JSON")
            .into(),
        qos: 1,
        retain: true,
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::NetworkVersion;
    use crate::units::Timestamp;

    #[test]
    fn online_and_offline_differ_only_in_the_word() {
        let info = RunInfo {
            network: NetworkVersion::default(),
            model: "residual-mlp 1".into(),
            started_at: Timestamp::from_secs(5),
        };
        let parse = |message: OutMessage| -> StatusMessage {
            assert!(message.retain);
            assert_eq!(message.topic, "roadcast/v1/status");
            serde_json::from_slice(&message.payload).expect("the documented type")
        };
        let mut offline = parse(status_message(&info, false));
        assert_eq!(offline.status, StatusLabel::Offline);
        offline.status = StatusLabel::Online;
        assert_eq!(offline, parse(status_message(&info, true)));
    }
}
