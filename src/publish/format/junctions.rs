//! Retained junctions: what roadside units describe by MAP, one topic a junction.

use std::collections::BTreeMap;
use std::sync::Arc;

use bytes::Bytes;

use super::roadside::junction_message;
use super::{TOPIC_ROOT, cleared};
use crate::matching::Overlay;
use crate::network::Network;
use crate::publish::OutMessage;
use crate::state::RoadsideView;

/// Remembers what stands under each topic, so that only what changes goes out.
#[derive(Debug, Default)]
pub struct JunctionTopics {
    overlay: Option<Arc<Overlay>>,
    /// Payloads by topic.
    retained: BTreeMap<String, Bytes>,
}

impl JunctionTopics {
    /// The messages for junctions that are new or tied differently, and empty ones for those that
    /// are gone.
    pub fn messages(&mut self, view: &RoadsideView, network: &Network) -> Vec<OutMessage> {
        let known = self.overlay.as_ref();
        if known.is_some_and(|known| Arc::ptr_eq(known, &view.overlay)) {
            return Vec::new();
        }
        self.overlay = Some(view.overlay.clone());
        let mut gone = std::mem::take(&mut self.retained);
        let mut changed = Vec::new();
        for junction in view.overlay.junctions() {
            let message = junction_message(view.as_of, network, junction);
            let topic = junction_topic(&junction.reading.junction);
            // The time alone is no change.
            let content = serde_json::to_vec(&message.junctions);
            let content: Bytes = content.expect("numbers and texts are JSON").into();
            if gone.remove(&topic).as_ref() != Some(&content) {
                let payload = serde_json::to_vec(&message).expect("numbers and texts are JSON");
                changed.push(OutMessage {
                    topic: topic.clone(),
                    payload: payload.into(),
                    qos: 1,
                    retain: true,
                });
            }
            self.retained.insert(topic, content);
        }
        changed.extend(gone.into_keys().map(cleared));
        changed
    }
}

/// The topic of a junction; characters that mean something in topics become `_`.
fn junction_topic(id: &str) -> String {
    let level = id.replace(['/', '+', '#', '\0'], "_");
    format!("{TOPIC_ROOT}/junction/{level}")
}

#[cfg(test)]
mod tests {
    use super::super::{JunctionsMessage, fixture};
    use super::*;
    use crate::observation::{Approach, JunctionReading};
    use crate::units::{Position, Timestamp};

    /// A junction at the end of the fixture's first road.
    fn junction(id: &str, name: &str) -> JunctionReading {
        let on = |share: f64| Position::new(114.28 + 0.04 * share, 30.59);
        JunctionReading {
            observed_at: Timestamp::from_secs(28_850),
            junction: id.into(),
            name: Some(name.into()),
            position: on(1.0),
            approaches: vec![Approach {
                upstream: "0-4".into(),
                points: vec![on(0.1), on(0.9)],
                ..Approach::default()
            }],
        }
    }

    fn view(network: &Network, junctions: &[JunctionReading], as_of_s: i64) -> RoadsideView {
        let mut overlay = Overlay::default();
        for reading in junctions {
            let taken = overlay.take(network, None, reading.clone());
            taken.expect("it is near a road");
        }
        RoadsideView {
            as_of: Timestamp::from_secs(as_of_s),
            overlay: Arc::new(overlay),
            ..RoadsideView::default()
        }
    }

    #[test]
    fn a_junction_is_told_when_it_changes_and_cleared_when_it_is_gone() {
        let network = fixture::network();
        let mut topics = JunctionTopics::default();
        let first = view(&network, &[junction("0-5", "光谷广场")], 28_860);
        let told = topics.messages(&first, &network);
        assert_eq!(told.len(), 1);
        assert_eq!(told[0].topic, "roadcast/v1/junction/0-5");
        assert!(told[0].retain);
        let message: JunctionsMessage =
            serde_json::from_slice(&told[0].payload).expect("its own form");
        assert_eq!(message.junctions[0].name.as_deref(), Some("光谷广场"));

        // The same map again, told a minute later: nothing new.
        let again = view(&network, &[junction("0-5", "光谷广场")], 28_920);
        assert!(topics.messages(&again, &network).is_empty());

        let other = view(&network, &[junction("0/6", "鲁巷")], 28_980);
        let told = topics.messages(&other, &network);
        let topics: Vec<_> = told
            .iter()
            .map(|message| (message.topic.as_str(), message.payload.is_empty()))
            .collect();
        let wanted = [
            ("roadcast/v1/junction/0_6", false),
            ("roadcast/v1/junction/0-5", true),
        ];
        assert_eq!(topics, wanted);
    }
}
