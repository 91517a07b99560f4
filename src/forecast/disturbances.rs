//! What is known to disturb traffic besides its speeds, open incidents and bad weather, as a network
//! reads it: whether an incident is on a segment or ahead of it or just behind, and for how long.
//!
//! A queue whose head is an incident grows while the incident lasts and another dissolves with the
//! peak: pictures of speeds alone do not tell the two apart.

use std::collections::{BTreeMap, BTreeSet};

use super::RoadGraph;
use crate::units::SegmentId;

/// How many numbers tell of disturbances.
pub(super) const DISTURBANCE_COUNT: usize = 6;
/// How many of them need to know the road: they come first.
pub(super) const ALONG_THE_ROAD: usize = 3;

/// No incident matters from further away, m: ahead, and behind.
const AHEAD_MAX_M: f32 = 3_000.0;
const BEHIND_MAX_M: f32 = 1_500.0;
/// Nor over more segments than this, and as many as lead to one place.
const REACHED_MAX: usize = 500;
/// Distance over which it matters less by 1/e, m (chosen).
const NEAR_M: f32 = 800.0;
/// Age beyond which an incident counts as no older, minutes.
const AGE_MAX_MIN: f32 = 60.0;

/// An incident that is known and not over.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct OpenIncident {
    /// Where it is.
    pub segment: SegmentId,
    /// Minutes since it began or was first suspected.
    pub age_min: f32,
}

/// What is known of one moment. Whoever knows of nothing leaves it empty.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Disturbances {
    /// Open incidents, in any order.
    pub incidents: Vec<OpenIncident>,
    /// Whether bad weather is told, one a segment; empty where none is.
    pub bad_weather: Vec<bool>,
}

/// What incidents mean for the segments around them.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct NearIncidents {
    /// Nearness and age of the nearest incident ahead, nearness of the nearest behind, whether one is
    /// here and its age; each 0..=1.
    of: BTreeMap<u32, [f32; DISTURBANCE_COUNT - 1]>,
}

/// The segments reached from `start` within `most_m`, each with the metres between the two.
fn reached<'a>(
    start: u32,
    lengths_m: &[f32],
    most_m: f32,
    next: impl Fn(usize) -> &'a [u32],
) -> BTreeMap<u32, f32> {
    let mut between_m = BTreeMap::from([(start, 0.0_f32)]);
    // Metres as an order of whole decimetres, so that ties fall by number.
    let mut open = BTreeSet::from([(0_u32, start)]);
    while let Some((so_far, segment)) = open.pop_first() {
        if between_m.len() >= REACHED_MAX {
            break;
        }
        let own_m = match segment == start {
            true => 0.0,
            false => lengths_m[segment as usize],
        };
        let further_m = so_far as f32 / 10.0 + own_m;
        if further_m > most_m {
            continue;
        }
        for &other in next(segment as usize) {
            if between_m
                .get(&other)
                .is_none_or(|&known_m| further_m < known_m)
            {
                between_m.insert(other, further_m);
                open.insert(((10.0 * further_m) as u32, other));
            }
        }
    }
    between_m.remove(&start);
    between_m
}

impl NearIncidents {
    /// Looks around the open incidents; along the road only where `lengths_m` are known.
    pub(super) fn new(graph: &RoadGraph, lengths_m: &[f32], incidents: &[OpenIncident]) -> Self {
        let mut of: BTreeMap<u32, [f32; DISTURBANCE_COUNT - 1]> = BTreeMap::new();
        for incident in incidents {
            let start = incident.segment.0;
            let age = (incident.age_min / AGE_MAX_MIN).clamp(0.0, 1.0);
            let here = of.entry(start).or_default();
            (here[3], here[4]) = (1.0, age.max(here[4]));
            if lengths_m.is_empty() {
                continue;
            }
            let nearness = |between_m: f32| (-between_m / NEAR_M).exp();
            let before = reached(start, lengths_m, AHEAD_MAX_M, |at| graph.upstream_of(at));
            for (segment, between_m) in before {
                let known = of.entry(segment).or_default();
                let near = nearness(between_m);
                if near > known[0] {
                    (known[0], known[1]) = (near, near * age);
                }
            }
            let after = reached(start, lengths_m, BEHIND_MAX_M, |at| graph.downstream_of(at));
            for (segment, between_m) in after {
                let known = of.entry(segment).or_default();
                known[2] = known[2].max(nearness(between_m));
            }
        }
        Self { of }
    }

    /// The segments that are told of an incident, in order.
    pub(super) fn segments(&self) -> impl Iterator<Item = usize> + '_ {
        self.of.keys().map(|&segment| segment as usize)
    }

    /// What a network reads, without the weather.
    pub(super) fn features(&self, segment: usize) -> [f32; DISTURBANCE_COUNT - 1] {
        let known = self.of.get(&(segment as u32));
        known.copied().unwrap_or_default()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn an_incident_is_seen_from_both_sides_and_the_nearest_counts() {
        // 0 -> 1 -> … -> 7, 500 m each; 8 leads to 5, too.
        let mut edges: Vec<_> = (0..7).map(|from| (from, from + 1, 1.0)).collect();
        edges.push((8, 5, 1.0));
        let graph = RoadGraph::from_edges(9, &edges);
        let at = |segment, age_min| OpenIncident {
            segment: SegmentId(segment),
            age_min,
        };
        let near = NearIncidents::new(&graph, &[500.0; 9], &[at(5, 30.0)]);
        let nearness = |metres: f32| (-metres / NEAR_M).exp();
        let assert_is = |segment: usize, wanted: [f32; 5]| {
            let found = near.features(segment);
            let off = found.iter().zip(wanted).map(|(a, b)| (a - b).abs());
            assert!(off.fold(0.0, f32::max) < 1e-5, "{segment}: {found:?}");
        };
        assert_is(5, [0.0, 0.0, 0.0, 1.0, 0.5]);
        assert_is(4, [1.0, 0.5, 0.0, 0.0, 0.0]);
        assert_is(8, [1.0, 0.5, 0.0, 0.0, 0.0]);
        assert_is(
            2,
            [nearness(1_000.0), 0.5 * nearness(1_000.0), 0.0, 0.0, 0.0],
        );
        assert_is(7, [0.0, 0.0, nearness(500.0), 0.0, 0.0]);
        let both = NearIncidents::new(&graph, &[500.0; 9], &[at(2, 90.0), at(5, 0.0)]);
        assert!((both.features(1)[0] - 1.0).abs() < 1e-6);
        assert!((both.features(1)[1] - 1.0).abs() < 1e-6, "an hour at most");
        assert!((both.features(3)[2] - 1.0).abs() < 1e-6);
        assert!((both.features(0)[0] - nearness(500.0)).abs() < 1e-6);
        // Without lengths nothing is told along the road.
        let sensors = NearIncidents::new(&graph, &[], &[at(5, 30.0)]);
        assert!(sensors.features(4).iter().all(|value| value.abs() < 1e-9));
        assert!((sensors.features(5)[3] - 1.0).abs() < 1e-6);
    }

    #[test]
    fn rings_end_and_so_does_the_reach() {
        let edges: Vec<_> = (0..40).map(|from| (from, (from + 1) % 40, 1.0)).collect();
        let graph = RoadGraph::from_edges(40, &edges);
        let incident = OpenIncident {
            segment: SegmentId(20),
            age_min: 5.0,
        };
        let near = NearIncidents::new(&graph, &[400.0; 40], &[incident]);
        assert!(near.features(12)[0] > 0.0 && near.features(11)[0] < 1e-9);
        assert!(near.features(24)[2] > 0.0 && near.features(25)[2] < 1e-9);
    }
}
