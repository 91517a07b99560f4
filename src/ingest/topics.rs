//! Topics of arriving messages: shared strings, and which subscription they belong to.

use std::collections::HashMap;
use std::sync::Arc;

use bytes::Bytes;

use super::transport::Subscription;
use crate::units::SourceId;
use crate::wire::filter_matches;

/// Topics remembered at a time; the table starts anew beyond. Chosen: a topic for each of 100 000
/// vehicles fits.
const MAX_TOPICS: usize = 1 << 17;

/// Remembers the topics seen.
#[derive(Debug)]
pub(super) struct Topics {
    subscriptions: Arc<[Subscription]>,
    known: HashMap<Bytes, Known>,
}

#[derive(Clone, Debug)]
struct Known {
    topic: Arc<str>,
    source: Option<SourceId>,
}

impl Topics {
    pub(super) fn new(subscriptions: Arc<[Subscription]>) -> Self {
        Self {
            subscriptions,
            known: HashMap::new(),
        }
    }

    /// The topic as a shared string and its source, `None` when no subscription asks for it. `None`
    /// in all when it is not UTF-8.
    pub(super) fn resolve(&mut self, topic: &Bytes) -> Option<(Arc<str>, Option<SourceId>)> {
        if let Some(known) = self.known.get(topic) {
            return Some((Arc::clone(&known.topic), known.source));
        }
        let text = std::str::from_utf8(topic).ok()?;
        let source = self
            .subscriptions
            .iter()
            .find(|subscription| matches(&subscription.filter, text))
            .map(|subscription| subscription.source);
        let known = Known {
            topic: Arc::from(text),
            source,
        };
        if self.known.len() >= MAX_TOPICS {
            self.known.clear();
        }
        // A copy: the original is a slice of a whole read buffer.
        self.known
            .insert(Bytes::copy_from_slice(topic), known.clone());
        Some((known.topic, known.source))
    }
}

/// Whether `topic` falls under `filter`, which may be that of a shared subscription (MQTT 5,
/// section 4.8.2).
fn matches(filter: &str, topic: &str) -> bool {
    let filter = filter
        .strip_prefix("$share/")
        .and_then(|shared| shared.split_once('/'))
        .map_or(filter, |(_, filter)| filter);
    filter_matches(filter, topic)
}

#[cfg(test)]
mod tests {
    use super::super::transport::Qos;
    use super::*;

    #[test]
    fn the_first_subscription_that_matches_names_the_source() {
        let subscription = |filter: &str, source| Subscription {
            filter: filter.into(),
            qos: Qos::AtLeastOnce,
            source: SourceId(source),
        };
        let all = [
            subscription("$share/engines/a/b", 3),
            subscription("a/#", 4),
        ];
        let mut topics = Topics::new(Arc::from(all));
        let mut source = |topic: &'static str| {
            let (text, source) = topics
                .resolve(&Bytes::from_static(topic.as_bytes()))
                .unwrap();
            assert_eq!(&*text, topic);
            source
        };
        assert_eq!(source("a/b"), Some(SourceId(3)));
        assert_eq!(source("a/c"), Some(SourceId(4)));
        assert_eq!(source("a/b"), Some(SourceId(3)));
        assert_eq!(source("b"), None);
        assert!(topics.resolve(&Bytes::from_static(b"\xff")).is_none());
    }
}
