//! Who lies upstream and downstream of whom, as sparse rows for averages over neighbours.

use std::collections::BTreeSet;

use rayon::prelude::*;

use crate::network::Network;

/// Distance over which the weight of a neighbour falls to 1/e, metres (chosen).
const KERNEL_M: f32 = 600.0;
/// A neighbour always weighs something, so that long segments have neighbours too.
const WEIGHT_MIN: f32 = 1e-6;

/// Weighted neighbours of every segment on one side.
#[derive(Clone, Debug, PartialEq, Default)]
struct Side {
    /// `start[s]..start[s + 1]` are the neighbours of segment `s`.
    start: Vec<u32>,
    other: Vec<u32>,
    weight: Vec<f32>,
}

impl Side {
    /// Rows from (segment, neighbour, weight), which need not be sorted.
    fn new(count: usize, mut edges: Vec<(u32, u32, f32)>) -> Self {
        edges.sort_by_key(|&(segment, other, _)| (segment, other));
        let mut start = vec![0u32; count + 1];
        for &(segment, _, _) in &edges {
            start[segment as usize + 1] += 1;
        }
        for segment in 0..count {
            start[segment + 1] += start[segment];
        }
        Self {
            start,
            other: edges.iter().map(|edge| edge.1).collect(),
            weight: edges.iter().map(|edge| edge.2).collect(),
        }
    }

    /// The weighted mean of `values` over the neighbours of each segment, 0 where there are none.
    fn mean<const N: usize>(&self, values: &[[f32; N]]) -> Vec<[f32; N]> {
        (0..values.len())
            .into_par_iter()
            .with_min_len(4_096)
            .map(|segment| {
                let range = self.start[segment] as usize..self.start[segment + 1] as usize;
                let (mut sums, mut total) = ([0.0f32; N], 0.0f32);
                for (&other, &weight) in self.other[range.clone()].iter().zip(&self.weight[range]) {
                    let neighbour = &values[other as usize];
                    total += weight;
                    for (sum, value) in sums.iter_mut().zip(neighbour) {
                        *sum += weight * value;
                    }
                }
                if total > 0.0 {
                    sums.iter_mut().for_each(|sum| *sum /= total);
                }
                sums
            })
            .collect()
    }
}

/// Neighbours of every segment, both ways.
#[derive(Clone, Debug, PartialEq, Default)]
pub struct RoadGraph {
    upstream: Side,
    downstream: Side,
}

impl RoadGraph {
    /// The movements of a network, weighted by the distance between the middles of the segments
    /// they join, as the generator weights its datasets.
    pub fn from_network(network: &Network) -> Self {
        let edges: Vec<_> = network
            .movements()
            .iter()
            .map(|movement| {
                let (from, to) = (movement.from(), movement.to());
                let half_m = |id| network.segment(id).length_m / 2.0;
                let weight = (-((half_m(from) + half_m(to)) / KERNEL_M).powi(2)).exp();
                (from.0, to.0, weight.max(WEIGHT_MIN))
            })
            .collect();
        Self::from_edges(network.segment_count(), &edges)
    }

    /// Edges (from, to, weight) in the direction of travel among `count` segments. Loops, unknown
    /// ends and weights that are not positive are left out.
    pub fn from_edges(count: usize, edges: &[(u32, u32, f32)]) -> Self {
        let kept = || {
            edges.iter().copied().filter(|&(from, to, weight)| {
                from != to
                    && (from as usize) < count
                    && (to as usize) < count
                    && weight.is_finite()
                    && weight > 0.0
            })
        };
        Self {
            upstream: Side::new(count, kept().map(|(from, to, w)| (to, from, w)).collect()),
            downstream: Side::new(count, kept().collect()),
        }
    }

    /// How many segments there are.
    pub fn segment_count(&self) -> usize {
        self.downstream.start.len().saturating_sub(1)
    }

    /// The segments that lead to `segment`.
    pub(super) fn upstream_of(&self, segment: usize) -> &[u32] {
        let range =
            self.upstream.start[segment] as usize..self.upstream.start[segment + 1] as usize;
        &self.upstream.other[range]
    }

    /// The segments that `segment` leads to.
    pub(super) fn downstream_of(&self, segment: usize) -> &[u32] {
        let range =
            self.downstream.start[segment] as usize..self.downstream.start[segment + 1] as usize;
        &self.downstream.other[range]
    }

    /// The `most` segments nearest to `segment` by hops up- and downstream, without itself; where the
    /// graph leads to fewer, the first of the others.
    pub(super) fn nearest(&self, segment: usize, most: usize) -> Vec<u32> {
        let mut seen = BTreeSet::from([segment as u32]);
        let mut found = vec![segment as u32];
        let mut next = 0;
        while next < found.len() && found.len() <= most {
            let from = found[next] as usize;
            for side in [&self.upstream, &self.downstream] {
                let range = side.start[from] as usize..side.start[from + 1] as usize;
                found.extend(
                    side.other[range]
                        .iter()
                        .filter(|&&other| seen.insert(other)),
                );
            }
            next += 1;
        }
        let others = 0..self.segment_count() as u32;
        let missing = (most + 1).saturating_sub(found.len());
        found.extend(others.filter(|other| !seen.contains(other)).take(missing));
        found.truncate(most + 1);
        found.split_off(1)
    }

    /// Means of `values` over neighbours: one hop up, two up, one down, two down.
    pub(super) fn hops<const N: usize>(&self, values: &[[f32; N]]) -> [Vec<[f32; N]>; 4] {
        let up = self.upstream.mean(values);
        let up_up = self.upstream.mean(&up);
        let down = self.downstream.mean(values);
        let down_down = self.downstream.mean(&down);
        [up, up_up, down, down_down]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_nearest_come_by_hops_and_then_by_number() {
        // 5 -> 3 -> 4 -> 0, and 1 and 2 apart.
        let graph = RoadGraph::from_edges(6, &[(5, 3, 1.0), (3, 4, 1.0), (4, 0, 1.0)]);
        assert_eq!(graph.nearest(3, 2), [5, 4]);
        assert_eq!(graph.nearest(3, 4), [5, 4, 0, 1]);
        assert_eq!(graph.nearest(1, 9), [0, 2, 3, 4, 5]);
    }
}
