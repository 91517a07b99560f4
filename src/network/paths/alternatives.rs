//! Ways that differ from the fastest and are hardly slower.
//!
//! The penalty method (Bader, Dees, Geisberger and Sanders 2011, Alternative route graphs in road
//! networks, section 4): search, make what was found slower, search again. A way counts when it is
//! short and different enough (Abraham, Delling, Goldberg and Werneck 2013, Alternative routes in
//! road networks, section 3: uniformly bounded stretch and limited sharing).

use std::collections::BTreeSet;

use super::{Path, PathLimits, Router};
use crate::network::Network;
use crate::units::{SegmentId, Timestamp};

/// What counts as another way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct AlternativeSettings {
    /// Ways wanted, the fastest included.
    pub paths_max: usize,
    /// Searches made for them.
    pub searches_max: u32,
    /// Travel time at most this many times that of the fastest.
    pub stretch_max: f32,
    /// Share of the length between the two ends, of the shorter of two ways, that they may have in
    /// common.
    pub overlap_max: f32,
    /// What is found grows slower by this share before the next search.
    pub penalty: f32,
}

impl Default for AlternativeSettings {
    /// Two ways in up to 6 searches, 1.3 times as long, 70 % in common (Abraham and others use
    /// 1.25 and 80 %; a diversion should differ more and may cost more), 40 % slower (Bader and
    /// others, 20 to 60 %).
    fn default() -> Self {
        Self {
            paths_max: 2,
            searches_max: 6,
            stretch_max: 1.3,
            overlap_max: 0.7,
            penalty: 0.4,
        }
    }
}

impl Router<'_> {
    /// The fastest way and others that are hardly slower and not the same, in the order found; empty
    /// when there is no way. See [`Router::shortest`].
    ///
    /// # Panics
    /// When `from` or `to` is of another network.
    pub fn alternatives(
        &mut self,
        from: SegmentId,
        to: SegmentId,
        depart: Timestamp,
        travel_time_s: &impl Fn(SegmentId, Timestamp) -> f32,
        settings: AlternativeSettings,
        limits: PathLimits,
    ) -> Vec<Path> {
        let mut paths: Vec<Path> = Vec::new();
        for _ in 0..settings.searches_max {
            if paths.len() >= settings.paths_max {
                break;
            }
            let Some(segments) = self.search(from, to, depart, travel_time_s, limits) else {
                break;
            };
            for segment in &segments {
                self.scratch.penalty[segment.index()] *= 1.0 + settings.penalty;
            }
            let Some(path) = self.follow(segments, depart, travel_time_s, limits) else {
                break;
            };
            let short = paths.first().is_none_or(|fastest| {
                path.travel_time_s <= settings.stretch_max * fastest.travel_time_s
            });
            let different = paths
                .iter()
                .all(|other| overlap(self.network, &path, other) <= settings.overlap_max);
            if short && different {
                paths.push(path);
            }
        }
        self.scratch.penalty.fill(1.0);
        paths
    }
}

/// The share of the shorter path's length, its two ends left out, that both use; 1 when one of them
/// has nothing but its ends.
pub(super) fn overlap(network: &Network, a: &Path, b: &Path) -> f32 {
    let inner = |path: &Path| -> BTreeSet<SegmentId> {
        let last = path.segments.len().saturating_sub(1);
        path.segments
            .get(1..last)
            .unwrap_or_default()
            .iter()
            .copied()
            .collect()
    };
    let length_m = |segments: &mut dyn Iterator<Item = &SegmentId>| {
        segments.fold(0.0, |sum_m, &id| sum_m + network.segment(id).length_m)
    };
    let (a, b) = (inner(a), inner(b));
    let shorter_m = length_m(&mut a.iter()).min(length_m(&mut b.iter()));
    if shorter_m > 0.0 {
        length_m(&mut a.intersection(&b)) / shorter_m
    } else {
        1.0
    }
}
