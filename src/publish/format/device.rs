//! Retained words on roadside units: how each was last heard.

use std::collections::BTreeMap;

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TOPIC_ROOT;
use crate::observation::UplinkKind;
use crate::publish::OutMessage;
use crate::publish::downlink::{DeliveryOutcome, DownlinkStatus, LimitsState};
use crate::screening::{DeviceStatus, SkewBasis};
use crate::state::SourceTrust;

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
    /// Messages in the last whole minute, on topics or in envelopes that name the unit.
    pub messages_per_minute: u64,
    /// The same by kind; kinds without messages are absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub messages_per_minute_by_kind: BTreeMap<MessageKind, u64>,
    /// Those of them that were refused because it sends more than it may.
    pub messages_refused_per_minute: u64,
    /// How far its clock is ahead (behind: negative), milliseconds; absent while nothing tells.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_ms: Option<i64>,
    /// How that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub clock_skew_basis: Option<ClockBasis>,
    /// Whether the times of its observations are corrected by it.
    pub clock_is_corrected: bool,
    /// Share of its processor in use, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub cpu_ratio: Option<f32>,
    /// Share of its memory in use, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub memory_ratio: Option<f32>,
    /// How far what it perceives is trusted, 0 to 1; 0.5 is no evidence; absent while it has
    /// perceived nothing.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub trust: Option<f32>,
    /// Messages down to it; absent where the configuration does not name it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub down: Option<DownMessage>,
    /// What is wrong with it; empty when nothing is.
    pub alerts: Vec<DeviceAlert>,
}

/// What a roadside unit sends up.
#[derive(
    Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Serialize, Deserialize, JsonSchema,
)]
#[serde(rename_all = "snake_case")]
pub enum MessageKind {
    /// Vehicles' own messages that it passes on.
    Bsm,
    /// Events and signs.
    Rsi,
    /// Road users that it perceives.
    Rsm,
    /// Maps.
    Map,
    /// Signal phases.
    Spat,
    /// Everything else.
    Other,
}

impl From<UplinkKind> for MessageKind {
    fn from(kind: UplinkKind) -> Self {
        match kind {
            UplinkKind::Bsm => Self::Bsm,
            UplinkKind::Rsi => Self::Rsi,
            UplinkKind::Rsm => Self::Rsm,
            UplinkKind::Map => Self::Map,
            UplinkKind::Spat => Self::Spat,
            UplinkKind::Other => Self::Other,
        }
    }
}

/// How it is known that a clock is off.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum ClockBasis {
    /// The unit states its time.
    Stated,
    /// Its observations lie in the future, or in the past by a steady time.
    Observed,
}

/// Messages down to one unit that it acknowledges, counted since roadcast started.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct DownMessage {
    /// Sent for the first time; equals delivered, refused, replaced, given up and waiting.
    pub sent: u64,
    /// Sent again because no answer came in time.
    pub resent: u64,
    /// Acknowledged.
    pub delivered: u64,
    /// Answered with an error code.
    pub refused: u64,
    /// Replaced by a newer message of the same kind before an answer came.
    pub replaced: u64,
    /// Never answered.
    pub given_up: u64,
    /// Answers to nothing that was waited for.
    pub unknown: u64,
    /// Waiting for their answer.
    pub waiting: u64,
    /// Most messages a second that the unit may send, by kind; kinds without limit are absent.
    #[serde(default, skip_serializing_if = "BTreeMap::is_empty")]
    pub up_limits: BTreeMap<MessageKind, u32>,
    /// Whether it has acknowledged these limits.
    pub up_limits_acknowledged: bool,
    /// The error code with which it refuses them.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub up_limits_error_code: Option<u32>,
}

impl DownMessage {
    fn of(status: &DownlinkStatus<'_>) -> Self {
        let count = |outcome| status.counts.get(outcome);
        let limits = status.limits.iter();
        Self {
            sent: count(DeliveryOutcome::Sent),
            resent: count(DeliveryOutcome::Resent),
            delivered: count(DeliveryOutcome::Delivered),
            refused: count(DeliveryOutcome::Refused),
            replaced: count(DeliveryOutcome::Replaced),
            given_up: count(DeliveryOutcome::GivenUp),
            unknown: count(DeliveryOutcome::Unknown),
            waiting: status.waiting,
            up_limits: limits
                .map(|(kind, limit)| (kind.uplink().into(), limit))
                .collect(),
            up_limits_acknowledged: status.limits_state == LimitsState::Acknowledged,
            up_limits_error_code: match status.limits_state {
                LimitsState::Refused(code) => Some(code),
                LimitsState::Unanswered | LimitsState::Acknowledged => None,
            },
        }
    }
}

/// What can be wrong with a roadside unit.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Serialize, Deserialize, JsonSchema)]
#[serde(rename_all = "snake_case")]
pub enum DeviceAlert {
    /// Not heard for `engine.device_silent_s`.
    Silent,
    /// Its clock is off by more than `engine.device_skew_ms_max`.
    Skewed,
    /// In the last whole minute it sent more than `engine.device_messages_per_minute_max`, or some
    /// of its messages were refused because it sends more than it may.
    Flooding,
    /// What it perceives is left out: `vetting.trust_min` is not reached, or its positions fit the
    /// roads in another datum only.
    Distrusted,
}

/// The topic on which a unit's status stands; characters that mean something in topics become `_`.
fn device_topic(id: &str) -> String {
    let level = id.replace(['/', '+', '#', '\0'], "_");
    format!("{TOPIC_ROOT}/rsu/{level}/status")
}

/// The status of one unit as a message; `down` is what is known of the messages to it, `trust` how
/// far what it perceives is believed.
pub fn device_message(
    status: &DeviceStatus,
    down: Option<&DownlinkStatus<'_>>,
    trust: Option<SourceTrust>,
) -> OutMessage {
    let alerts = [
        (status.is_silent, DeviceAlert::Silent),
        (status.is_skewed, DeviceAlert::Skewed),
        (status.is_flooding, DeviceAlert::Flooding),
        (
            trust.is_some_and(|trust| trust.is_distrusted),
            DeviceAlert::Distrusted,
        ),
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
        messages_per_minute_by_kind: UplinkKind::ALL
            .into_iter()
            .zip(status.by_kind)
            .filter(|(_, count)| *count > 0)
            .map(|(kind, count)| (kind.into(), count))
            .collect(),
        messages_refused_per_minute: status.refused_per_minute,
        clock_skew_ms: status.skew.map(|skew| skew.ms),
        clock_skew_basis: status.skew.map(|skew| match skew.basis {
            SkewBasis::Stated => ClockBasis::Stated,
            SkewBasis::Observed => ClockBasis::Observed,
        }),
        clock_is_corrected: status.is_corrected,
        trust: trust.map(|trust| trust.trust),
        down: down.map(DownMessage::of),
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
    use crate::publish::downlink::DeliveryCounts;
    use crate::screening::Fleet;
    use crate::units::{Position, Timestamp, ViewId};
    use crate::wire::its0117::{Kind, UplinkLimits};

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
        let out = device_message(&status.expect("one unit"), None, None);
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

    #[test]
    fn a_unit_tells_what_it_sends_and_what_became_of_messages_to_it() {
        let mut fleet = Fleet::default();
        let at = Timestamp::from_secs(600);
        for is_admitted in [true, true, false] {
            fleet.heard(at, "R1", UplinkKind::Rsm, is_admitted);
        }
        let status = fleet.statuses(at.plus_secs(60)).next().expect("one unit");
        let counts = DeliveryCounts::default();
        let limits = UplinkLimits::default().with(Kind::Rsm, 10);
        let down = DownlinkStatus {
            counts: &counts,
            waiting: 1,
            limits: &limits,
            limits_state: LimitsState::Refused(3),
        };
        let distrusted = SourceTrust {
            view: ViewId(1),
            trust: 0.25,
            is_distrusted: true,
            datum: None,
        };
        let out = device_message(&status, Some(&down), Some(distrusted));
        let message: DeviceMessage = serde_json::from_slice(&out.payload).expect("its own form");
        assert_eq!(message.trust, Some(0.25));
        assert_eq!(message.messages_per_minute, 3);
        assert_eq!(message.messages_refused_per_minute, 1);
        let by_kind: Vec<_> = message.messages_per_minute_by_kind.into_iter().collect();
        assert_eq!(by_kind, [(MessageKind::Rsm, 3)]);
        let alerts = [DeviceAlert::Flooding, DeviceAlert::Distrusted];
        assert_eq!(message.alerts, alerts);
        let down = message.down.expect("it is configured");
        let limits: Vec<_> = down.up_limits.into_iter().collect();
        assert_eq!(limits, [(MessageKind::Rsm, 10)]);
        assert_eq!((down.waiting, down.up_limits_error_code), (1, Some(3)));
        assert!(!down.up_limits_acknowledged);
    }
}
