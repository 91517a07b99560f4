//! Jams on freeways as the bus and HTTP tell them.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TOPIC_ROOT;
use super::performance::two;
use crate::network::Network;
use crate::publish::{OutMessage, Released};
use crate::state::{FieldJam, PerformanceBatch};
use crate::units::SegmentId;

/// Where traffic stands on freeways: jams with head and tail, read off the speed smoothed over place
/// and time (Treiber and Helbing, 2002).
///
/// Topic `roadcast/v1/freeways`, retained; HTTP `/api/v1/freeways`. Freeways without a jam are left
/// out, and jams on none of whose segments a group was seen in the minute or a detector counts.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreewaysMessage {
    /// Network version the segment numbers belong to.
    pub network: String,
    /// Start of the minute, event time, milliseconds.
    pub start_ms: i64,
    /// End of the minute, event time, milliseconds.
    pub end_ms: i64,
    /// Freeways looked at.
    pub freeway_count: usize,
    /// Their jams, by freeway and, on it, in driving order.
    pub jams: Vec<FreewayJamEntry>,
}

/// One stretch of slow traffic on a freeway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreewayJamEntry {
    /// Number of the freeway within the network version.
    pub freeway: usize,
    /// Name of the road at the tail.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Where whoever drives up meets it.
    pub tail: FreewayPlace,
    /// Where traffic leaves it.
    pub head: FreewayPlace,
    /// From tail to head, m; whole cells of 100 m.
    pub length_m: f32,
    /// Space-mean speed inside, m/s.
    pub speed_mps: f32,
}

/// A place on a freeway.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct FreewayPlace {
    /// Segment number within the network version.
    pub segment: u32,
    /// What the source of the network calls the road.
    pub source_id: String,
    /// Metres from the start of the segment.
    pub offset_m: f32,
}

/// The jams on freeways that may be told.
pub fn freeways_message(network: &Network, batch: &Released<PerformanceBatch>) -> FreewaysMessage {
    let place = |(segment, offset_m): (SegmentId, f32)| FreewayPlace {
        segment: segment.0,
        source_id: network.source_id(segment).to_owned(),
        offset_m: two(offset_m),
    };
    let entry = |index: usize, jam: &FieldJam| {
        let freeway = &batch.freeways[index];
        let (tail, head) = (freeway.at(jam.tail_m)?, freeway.at(jam.head_m)?);
        Some(FreewayJamEntry {
            freeway: index,
            name: network.name(tail.0).map(str::to_owned),
            tail: place(tail),
            head: place(head),
            length_m: two(jam.head_m - jam.tail_m),
            speed_mps: two(jam.speed_mps),
        })
    };
    let jams = batch.fields.iter().flat_map(|field| {
        let of_field = field.jams.iter();
        of_field.filter_map(move |jam| entry(field.freeway, jam))
    });
    FreewaysMessage {
        network: batch.network.to_string(),
        start_ms: batch.interval.start.as_millis(),
        end_ms: batch.interval.end.as_millis(),
        freeway_count: batch.freeways.len(),
        jams: jams.collect(),
    }
}

/// The retained MQTT message of the jams on freeways; none on a network without freeways.
pub fn freeways_to_publish(
    network: &Network,
    batch: &Released<PerformanceBatch>,
) -> Option<OutMessage> {
    let message = freeways_message(network, batch);
    (message.freeway_count > 0).then(|| OutMessage {
        topic: format!("{TOPIC_ROOT}/freeways"),
        payload: serde_json::to_vec(&message)
            .expect("strings and finite numbers are always valid JSON")
            .into(),
        qos: 0,
        retain: true,
    })
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::matching::Zones;
    use crate::publish::Release;
    use crate::publish::format::{Privacy, fixture};
    use crate::state::{FieldMinute, Freeway};

    #[test]
    fn jams_on_freeways_are_told_by_their_ends_and_only_of_a_group() {
        let network = Arc::new(fixture::network());
        let mut batch = fixture::performance(&network);
        batch.freeways = Arc::new(vec![Freeway {
            segments: vec![SegmentId(0), SegmentId(1)],
            starts_m: vec![0.0, 250.0, 700.0],
        }]);
        let jam = FieldJam {
            tail_m: 100.0,
            head_m: 600.0,
            speed_mps: 4.0,
            most_samples: 9,
            is_counted: false,
        };
        let few = FieldJam {
            most_samples: 1,
            ..jam
        };
        let counted = FieldJam {
            is_counted: true,
            ..few
        };
        batch.fields = vec![FieldMinute {
            freeway: 0,
            cells: Vec::new(),
            jams: vec![jam, few, counted],
        }];
        let release = Release::new(Privacy { min_subjects: 5 }, Zones::default());
        let released = release.performance(&network, &batch);
        let message = freeways_to_publish(&network, &released).expect("there is a freeway");
        assert!(message.retain);
        let parsed: FreewaysMessage =
            serde_json::from_slice(&message.payload).expect("the documented type");
        assert_eq!((parsed.freeway_count, parsed.jams.len()), (1, 2));
        assert_eq!(released.fields[0].jams, [jam, counted]);
        let told = &parsed.jams[0];
        let ends = [&told.tail, &told.head].map(|end| (end.segment, end.offset_m));
        assert_eq!(ends, [(0, 100.0), (1, 350.0)]);
        assert!((told.length_m - 500.0).abs() < 1e-3);
    }
}
