//! What screening said of each view in a minute.

use crate::observation::RejectReason;
use crate::units::{Datum, ViewId};

/// The datums in which sampled positions are held against the roads: as the route states it
/// (WGS-84 by then), and as if they were in one of the others.
pub const DATUMS_TRIED: [Datum; 3] = [Datum::Wgs84, Datum::Gcj02, Datum::Bd09];

/// Sums of one view over one minute. All are integers, so that merging commutes exactly.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ViewTally {
    /// The view.
    pub view: ViewId,
    /// Records used.
    pub used: u64,
    /// Records refused for a reason that speaks against the sender, see
    /// [`ViewTally::speaks_against`].
    pub refused: u64,
    /// Positions sampled for their datum.
    pub sampled: u64,
    /// Sum of their distances to the nearest road, mm, each at most [`MISS_MM_MAX`], by
    /// [`DATUMS_TRIED`].
    pub miss_mm: [u64; DATUMS_TRIED.len()],
}

/// No sum of a minute in a snapshot is larger, records or mm: what is has been damaged (chosen; far
/// beyond any fleet, and far from where adding up overflows).
const SUM_MAX: u64 = 1 << 48;

/// Distances to the nearest road end here, mm: farther off is off.
pub const MISS_MM_MAX: u64 = 50_000;

impl ViewTally {
    /// Whether a refusal speaks against the sender: an impossible movement, too many messages, or a
    /// place without a road. What came twice or late may be the network's doing.
    pub const fn speaks_against(reason: RejectReason) -> bool {
        matches!(
            reason,
            RejectReason::Implausible | RejectReason::RateCapped | RejectReason::OffRoad
        )
    }

    /// Adds what another part of the same view came to.
    pub fn merge(&mut self, other: &Self) {
        // Saturating: a damaged snapshot may name one view often.
        self.used = self.used.saturating_add(other.used);
        self.refused = self.refused.saturating_add(other.refused);
        self.sampled = self.sampled.saturating_add(other.sampled);
        for (mine, theirs) in self.miss_mm.iter_mut().zip(other.miss_mm) {
            *mine = mine.saturating_add(theirs);
        }
    }
}

/// The tallies of a minute, by view.
#[derive(Clone, Debug, Default)]
pub struct Tallies {
    /// Indexed by view; only those with something in them count.
    by_view: Vec<ViewTally>,
}

impl Tallies {
    /// The tally of a view.
    pub fn of(&mut self, view: ViewId) -> &mut ViewTally {
        let index = view.index();
        if index >= self.by_view.len() {
            self.by_view.resize(index + 1, ViewTally::default());
        }
        let tally = &mut self.by_view[index];
        tally.view = view;
        tally
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for tally in other.iter() {
            self.of(tally.view).merge(&tally);
        }
    }

    /// Every view that sent something, in the order of their numbers.
    pub fn iter(&self) -> impl Iterator<Item = ViewTally> + '_ {
        let is_there = |tally: &&ViewTally| tally.used.max(tally.refused).max(tally.sampled) > 0;
        self.by_view.iter().filter(is_there).copied()
    }

    /// Appends everything.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        for tally in self.iter() {
            out.extend_from_slice(&tally.view.0.to_le_bytes());
            let sums = [tally.used, tally.refused, tally.sampled];
            for value in sums.into_iter().chain(tally.miss_mm) {
                out.extend_from_slice(&value.to_le_bytes());
            }
        }
    }

    /// Reads what [`Tallies::snapshot`] wrote; `None` when the bytes are broken.
    pub fn restore(bytes: &[u8]) -> Option<Self> {
        const RECORD_BYTES: usize = 2 + 8 * (3 + DATUMS_TRIED.len());
        let mut restored = Self::default();
        let (records, rest) = bytes.as_chunks::<RECORD_BYTES>();
        for record in records {
            let (view, values) = record.split_first_chunk::<2>()?;
            let mut values = values.as_chunks::<8>().0.iter().copied();
            let mut next = || values.next().map(u64::from_le_bytes);
            let view = ViewId(u16::from_le_bytes(*view));
            let mut tally = ViewTally {
                view,
                used: next()?,
                refused: next()?,
                sampled: next()?,
                ..ViewTally::default()
            };
            for miss_mm in &mut tally.miss_mm {
                *miss_mm = next()?;
            }
            let counts = [tally.used, tally.refused, tally.sampled];
            if counts
                .iter()
                .chain(&tally.miss_mm)
                .any(|&sum| sum > SUM_MAX)
            {
                return None;
            }
            restored.of(view).merge(&tally);
        }
        rest.is_empty().then_some(restored)
    }
}
