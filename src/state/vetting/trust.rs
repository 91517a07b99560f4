//! How far each view is trusted, from what screening refused of it, what it lost against others,
//! and whether its positions fit the roads in another datum better than in the one stated.
//!
//! Beta reputation with forgetting (Jøsang and Ismail 2002, "The beta reputation system"): trust is
//! (r + 1) / (r + s + 2) of good and bad evidence r and s, both fading by a constant factor a
//! minute. A minute counts as one observation, split by the share of its records that were refused,
//! so that a large source is judged no faster than a small one; what a view lost against others
//! counts [`LOSS_WEIGHT`] times its share.

use std::collections::BTreeMap;

use super::super::bytes::{
    Reader, SnapshotError, put_f32, put_head, put_u8, put_u16, put_u32, put_u64,
};
use super::super::stay::Stay;
use super::{Doubt, VettingCounts};
use crate::network::Network;
use crate::screening::{DATUMS_TRIED, ViewTally};
use crate::units::{Datum, SegmentId, ViewId};

const MAGIC: &[u8; 8] = b"RCTRUST\0";
const VERSION: u16 = 1;
const WHAT: &str = "trust snapshot";

/// What is left of evidence after a minute: half is gone after 23 minutes (chosen: a unit that was
/// repaired is believed again within the hour).
const KEPT: f32 = 0.97;

/// Minutes of refusal that one minute of reports lost against others counts as (chosen: a new
/// source is left out after its first such minute, one of long standing after a quarter of an hour).
const LOSS_WEIGHT: f32 = 3.0;

/// Sampled positions before another datum is believed, and the share of the distance to the roads
/// that it must leave: in the wrong datum positions lie 300 to 1200 m off, so that their distances
/// to the nearest road are those of places taken at random (chosen; a right one leaves a tenth).
const DATUM_SAMPLES_MIN: f32 = 100.0;
const DATUM_SHARE_MAX: f32 = 0.4;

/// Mean distance to the roads from which another datum is thought of, m.
const DATUM_MISS_M_MIN: f32 = 10.0;

/// What the positions of a view say of its datum.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DatumVerdict {
    /// The datum in which its positions fit the roads.
    pub fits: Datum,
    /// Mean distance to the nearest road as stated and in `fits`, m; distances end at 50 m.
    pub miss_m: (f32, f32),
}

/// How far a view is trusted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SourceTrust {
    /// The view.
    pub view: ViewId,
    /// Trust, `0.0..=1.0`; 0.5 is no evidence.
    pub trust: f32,
    /// Whether its reports are left out.
    pub is_distrusted: bool,
    /// Set where its positions fit the roads in another datum only; it is then left out too.
    pub datum: Option<DatumVerdict>,
}

#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Evidence {
    good: f32,
    bad: f32,
    /// Positions sampled, and their distances to the roads in each datum tried, m; fading.
    sampled: f32,
    miss_m: [f32; DATUMS_TRIED.len()],
}

impl Evidence {
    fn trust(&self) -> f32 {
        (self.good + 1.0) / (self.good + self.bad + 2.0)
    }

    fn fade(&mut self) {
        for value in [&mut self.good, &mut self.bad, &mut self.sampled] {
            *value *= KEPT;
        }
        for miss_m in &mut self.miss_m {
            *miss_m *= KEPT;
        }
    }

    fn datum(&self) -> Option<DatumVerdict> {
        if self.sampled < DATUM_SAMPLES_MIN {
            return None;
        }
        let mean = |index: usize| self.miss_m[index] / self.sampled;
        let stated_m = mean(0);
        let best = (1..DATUMS_TRIED.len()).min_by(|&a, &b| mean(a).total_cmp(&mean(b)))?;
        let fits = stated_m >= DATUM_MISS_M_MIN && mean(best) <= DATUM_SHARE_MAX * stated_m;
        fits.then(|| DatumVerdict {
            fits: DATUMS_TRIED[best],
            miss_m: (stated_m, mean(best)),
        })
    }
}

/// The evidence about every view.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TrustTable {
    views: BTreeMap<ViewId, Evidence>,
    /// Views left out for their datum or trust at the last minute, ascending; asked on every stay.
    cached: Vec<(f32, bool)>,
}

impl TrustTable {
    /// Whether a view's reports are left out at `trust_min`.
    pub(super) fn is_below(&self, view: ViewId, trust_min: f32) -> bool {
        self.cached
            .get(view.index())
            .is_some_and(|&(trust, is_in_other_datum)| is_in_other_datum || trust < trust_min)
    }

    /// Takes what screening said of the minute; old evidence fades.
    pub(super) fn learn_tallies(&mut self, tallies: &[ViewTally]) {
        for evidence in self.views.values_mut() {
            evidence.fade();
        }
        for tally in tallies.iter().filter(|tally| tally.view != ViewId::NONE) {
            let evidence = self.views.entry(tally.view).or_default();
            let total = tally.used + tally.refused;
            if total > 0 {
                let refused = tally.refused as f32 / total as f32;
                evidence.good += 1.0 - refused;
                evidence.bad += refused;
            }
            evidence.sampled += tally.sampled as f32;
            for (sum, miss_mm) in evidence.miss_m.iter_mut().zip(tally.miss_mm) {
                *sum += miss_mm as f32 / 1000.0;
            }
        }
        self.cache();
    }

    /// Takes how many of a view's stays were found to be wrong this minute.
    pub(super) fn learn_losses(&mut self, stays: &[Stay], lost: &BTreeMap<ViewId, u32>) {
        if lost.is_empty() {
            return;
        }
        let mut totals: BTreeMap<ViewId, u32> = BTreeMap::new();
        for stay in stays.iter().filter(|stay| lost.contains_key(&stay.view)) {
            *totals.entry(stay.view).or_default() += 1;
        }
        for (view, count) in lost.iter().filter(|(view, _)| **view != ViewId::NONE) {
            let total = totals.get(view).copied().unwrap_or(*count).max(*count);
            let evidence = self.views.entry(*view).or_default();
            evidence.bad += LOSS_WEIGHT * *count as f32 / total as f32;
        }
        self.cache();
    }

    fn cache(&mut self) {
        let count = self.views.keys().last().map_or(0, |view| view.index() + 1);
        self.cached.clear();
        self.cached.resize(count, (1.0, false));
        for (view, evidence) in &self.views {
            self.cached[view.index()] = (evidence.trust(), evidence.datum().is_some());
        }
    }

    pub(super) fn iter(&self, trust_min: f32) -> impl Iterator<Item = SourceTrust> + '_ {
        self.views.iter().map(move |(&view, evidence)| SourceTrust {
            view,
            trust: evidence.trust(),
            is_distrusted: self.is_below(view, trust_min),
            datum: evidence.datum(),
        })
    }
}

pub(super) fn snapshot(
    table: &TrustTable,
    counts: &VettingCounts,
    suspected: &BTreeMap<SegmentId, u8>,
    network: &Network,
    out: &mut Vec<u8>,
) {
    put_head(out, MAGIC, VERSION, network.version());
    for count in [counts.stays, counts.doubles, counts.crowded_segments] {
        put_u64(out, count);
    }
    put_u8(out, counts.withheld.len() as u8);
    for count in counts.withheld {
        put_u64(out, count);
    }
    put_u64(out, suspected.len() as u64);
    for (segment, minutes) in suspected {
        put_u32(out, segment.0);
        put_u8(out, *minutes);
    }
    put_u64(out, table.views.len() as u64);
    for (view, evidence) in &table.views {
        put_u16(out, view.0);
        put_f32(out, evidence.good);
        put_f32(out, evidence.bad);
        put_f32(out, evidence.sampled);
        for miss_m in evidence.miss_m {
            put_f32(out, miss_m);
        }
    }
}

/// Trust, counts, and suspected segments.
type Restored = (TrustTable, VettingCounts, BTreeMap<SegmentId, u8>);

pub(super) fn restore(network: &Network, bytes: &[u8]) -> Result<Restored, SnapshotError> {
    let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
    let mut counts = VettingCounts {
        stays: reader.take_u64()?,
        doubles: reader.take_u64()?,
        crowded_segments: reader.take_u64()?,
        ..VettingCounts::default()
    };
    if usize::from(reader.take_u8()?) != Doubt::ALL.len() {
        return Err(reader.damaged());
    }
    for count in &mut counts.withheld {
        *count = reader.take_u64()?;
    }
    let mut suspected = BTreeMap::new();
    for _ in 0..reader.take_count(5)? {
        let segment = SegmentId(reader.take_u32()?);
        let minutes = reader.take_u8()?;
        if segment.index() >= network.segment_count() || minutes == 0 {
            return Err(reader.damaged());
        }
        suspected.insert(segment, minutes);
    }
    let mut table = TrustTable::default();
    for _ in 0..reader.take_count(14 + 4 * DATUMS_TRIED.len())? {
        let view = ViewId(reader.take_u16()?);
        let mut evidence = Evidence {
            good: reader.take_finite()?,
            bad: reader.take_finite()?,
            sampled: reader.take_finite()?,
            ..Evidence::default()
        };
        for miss_m in &mut evidence.miss_m {
            *miss_m = reader.take_finite()?;
        }
        table.views.insert(view, evidence);
    }
    reader.finish()?;
    table.cache();
    Ok((table, counts, suspected))
}
