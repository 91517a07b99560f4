//! What an operator says of an incident: `roadcast/v1/incident/{id}/order` with
//! `{"verdict":"confirm"}` or `{"verdict":"dismiss"}`.
//!
//! It says whether a topic is one of orders and what the order is; it knows no incident.

use serde::Deserialize;

/// Filter of the topics that carry orders.
pub const INCIDENT_ORDERS: &str = "roadcast/v1/incident/+/order";

/// Most bytes of an order; more is no order.
const ORDER_BYTES_MAX: usize = 256;

#[derive(Deserialize)]
#[serde(deny_unknown_fields)]
struct Order {
    verdict: Verdict,
}

#[derive(Deserialize)]
#[serde(rename_all = "lowercase")]
enum Verdict {
    Confirm,
    Dismiss,
}

/// The topic on which the verdict on an incident goes.
pub fn incident_order_topic(incident: u64) -> String {
    format!("roadcast/v1/incident/{incident}/order")
}

/// Whether a topic is one of orders.
pub fn is_incident_order(topic: &str) -> bool {
    middle_of(topic).is_some()
}

/// The incident and whether the operator confirms it; `None` where the message is no order.
pub fn incident_order(topic: &str, payload: &[u8]) -> Option<(u64, bool)> {
    let incident = middle_of(topic)?.parse().ok()?;
    if payload.len() > ORDER_BYTES_MAX {
        return None;
    }
    let order: Order = serde_json::from_slice(payload).ok()?;
    Some((incident, matches!(order.verdict, Verdict::Confirm)))
}

fn middle_of(topic: &str) -> Option<&str> {
    topic
        .strip_prefix("roadcast/v1/incident/")?
        .strip_suffix("/order")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_order_names_incident_and_verdict() {
        let topic = incident_order_topic(17);
        let told = |payload: &str| incident_order(&topic, payload.as_bytes());
        assert_eq!(told(r#"{"verdict":"confirm"}"#), Some((17, true)));
        assert_eq!(told(r#"{"verdict":"dismiss"}"#), Some((17, false)));
        for wrong in [
            "",
            "{}",
            r#"{"verdict":"close"}"#,
            r#"{"verdict":"confirm","x":1}"#,
        ] {
            assert_eq!(told(wrong), None, "{wrong}");
        }
        assert!(!is_incident_order("roadcast/v1/incident/3102/17"));
        let odd = incident_order("roadcast/v1/incident/x/order", br#"{"verdict":"confirm"}"#);
        assert_eq!(odd, None);
    }
}
