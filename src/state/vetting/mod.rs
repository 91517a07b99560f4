//! Which reports of a minute are believed: one car told by several is counted once, crowds out of
//! nowhere, queues that others drive through and sources that have lost trust are left out.
//!
//! It works on the stays that shards hand over with their sums, takes out of the sums what is not
//! believed, and says for each segment concerned what it did and how many independent views are
//! left. It judges sources and groups, never a person, and learns nothing about them. What one
//! source's own reports contradict is judged earlier, in `screening`.
//!
//! The rules follow the trust section of the project's methods: plausibility of single reports does
//! not stop many invented vehicles that agree with each other, so physics, counts and independent
//! sources have to.

mod association;
mod crowd;
mod trust;

use std::collections::BTreeMap;

use self::association::Association;
use self::crowd::Suspicion;
use self::trust::TrustTable;
use super::bytes::SnapshotError;
use super::stay::{NO_MOVEMENT, Stay};
use super::{BinSums, TrafficState};
use crate::network::Network;
use crate::observation::DetectorReading;
use crate::screening::ViewTally;
use crate::units::{Interval, SegmentId, ViewId};

pub use self::trust::{DatumVerdict, SourceTrust};

/// Settings of [`Vetting`].
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct VettingSettings {
    /// Two reports of one car are nowhere farther apart than this, m.
    pub association_gate_m: f32,
    /// Unproven slow vehicles on one segment in one minute that make a crowd.
    pub crowd_min: u32,
    /// Sources whose trust is below are left out, `0.0..=1.0`; 0 believes everybody.
    pub trust_min: f32,
    /// Independent views (sources or detectors) that a sudden drop of speed needs; 1 takes any.
    pub views_min: u8,
}

impl Default for VettingSettings {
    /// Chosen: 15 m is three standard deviations of two GNSS fixes and below the headway of moving
    /// cars; three make a crowd, as three make a jam in the guide; 0.4 is below what no evidence at
    /// all gives (0.5). Most places have one source, so one view is enough unless set otherwise.
    fn default() -> Self {
        Self {
            association_gate_m: 15.0,
            crowd_min: 3,
            trust_min: 0.4,
            views_min: 1,
        }
    }
}

/// Why some reports of a segment were left out in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Doubt {
    /// None were.
    #[default]
    None = 0,
    /// Their source has lost trust.
    Distrusted = 1,
    /// A crowd of vehicles that appeared there and had never driven anywhere.
    Unproven = 2,
    /// A queue that fills the road, through which others drove.
    Ghost = 3,
    /// A sudden drop of speed that too few independent views tell.
    Uncorroborated = 4,
}

impl Doubt {
    /// Every reason, in order.
    pub const ALL: [Self; 5] = [
        Self::None,
        Self::Distrusted,
        Self::Unproven,
        Self::Ghost,
        Self::Uncorroborated,
    ];

    /// The label used in messages, reports and metrics.
    pub const fn label(self) -> &'static str {
        match self {
            Self::None => "none",
            Self::Distrusted => "distrusted",
            Self::Unproven => "unproven",
            Self::Ghost => "ghost",
            Self::Uncorroborated => "uncorroborated",
        }
    }
}

/// What was found about one segment in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SegmentVerdict {
    /// The segment.
    pub segment: SegmentId,
    /// Why some reports were left out; the last rule that did.
    pub doubt: Doubt,
    /// Views whose reports were believed.
    pub views: u8,
}

/// How many reports (stays of one road user on one segment in one minute) were left out so far.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct VettingCounts {
    /// Stays looked at.
    pub stays: u64,
    /// The same car was told in another view.
    pub doubles: u64,
    /// By [`Doubt`], indexed by its code.
    pub withheld: [u64; Doubt::ALL.len()],
    /// Segments with too many stays to compare pairwise, left unassociated.
    pub crowded_segments: u64,
}

/// The judge of every minute's reports.
#[derive(Clone, Debug)]
pub struct Vetting {
    settings: VettingSettings,
    trust: TrustTable,
    counts: VettingCounts,
    /// Segments on which a crowd was found lately, with the minutes for which they stay suspected.
    suspected: BTreeMap<SegmentId, u8>,
    marks: Marks,
}

/// Minutes for which a segment stays suspected after a crowd was found there (chosen: what comes
/// late of the crowd, and what is left of it).
const SUSPECTED_MINUTES: u8 = 3;

/// Which segments need a closer look, by segment id; zero between minutes.
#[derive(Clone, Debug)]
struct Marks {
    first_view: Vec<ViewId>,
    /// Own, unproven stays.
    unproven: Vec<u16>,
    is_marked: Vec<bool>,
}

impl Vetting {
    /// A judge that has seen nothing of a network of `segment_count` segments.
    pub fn new(settings: VettingSettings, segment_count: usize) -> Self {
        Self {
            settings,
            trust: TrustTable::default(),
            counts: VettingCounts::default(),
            suspected: BTreeMap::new(),
            marks: Marks {
                first_view: vec![ViewId::NONE; segment_count],
                unproven: vec![0; segment_count],
                is_marked: vec![false; segment_count],
            },
        }
    }

    /// Takes out of `sums` what is not believed of the minute's `stays`, in any order, and says
    /// what was found, in segment order. `tallies` is what screening said of each view.
    ///
    /// # Panics
    /// When the sums or stays are of another network.
    pub fn vet(
        &mut self,
        state: &TrafficState,
        minute: Interval,
        stays: &[Stay],
        tallies: &[ViewTally],
        readings: &[DetectorReading],
        sums: &mut BinSums,
    ) -> Vec<SegmentVerdict> {
        self.counts.stays += stays.len() as u64;
        self.trust.learn_tallies(tallies);
        self.suspected.retain(|_, minutes| {
            *minutes -= 1;
            *minutes > 0
        });
        self.mark(stays);
        let mut chosen: Vec<Stay> = stays
            .iter()
            .filter(|stay| self.marks.is_marked[stay.segment().index()])
            .copied()
            .collect();
        self.unmark(stays);
        chosen.sort_unstable();
        let detected = state.detected(minute, readings);
        let mut lost = BTreeMap::new();
        let mut verdicts = Vec::new();
        for group in chosen.chunk_by(|one, other| one.segment == other.segment) {
            let segment = group[0].segment();
            let seen = Segmentwise {
                segment,
                state,
                is_suspected: self.suspected.contains_key(&segment),
                detected: detected.get(&segment).copied().unwrap_or_default(),
            };
            verdicts.push(self.judge(&seen, group, sums, &mut lost));
        }
        self.trust.learn_losses(stays, &lost);
        verdicts
    }

    /// Finds the segments seen in several views, by a crowd of unproven vehicles, or by a source
    /// without trust.
    fn mark(&mut self, stays: &[Stay]) {
        let marks = &mut self.marks;
        for stay in stays {
            let index = stay.segment().index();
            let first = &mut marks.first_view[index];
            if *first == ViewId::NONE {
                *first = stay.view;
            }
            let is_other = *first != stay.view;
            if stay.is_own && !stay.is_proven {
                marks.unproven[index] = marks.unproven[index].saturating_add(1);
            }
            let is_crowd = u32::from(marks.unproven[index]) >= self.settings.crowd_min;
            let is_distrusted = self.trust.is_below(stay.view, self.settings.trust_min);
            marks.is_marked[index] |= is_other || is_crowd || is_distrusted;
        }
        for segment in self.suspected.keys() {
            marks.is_marked[segment.index()] = true;
        }
        if self.settings.views_min > 1 {
            for stay in stays {
                marks.is_marked[stay.segment().index()] = true;
            }
        }
    }

    fn unmark(&mut self, stays: &[Stay]) {
        for segment in self.suspected.keys() {
            self.marks.is_marked[segment.index()] = false;
        }
        for stay in stays {
            let index = stay.segment().index();
            self.marks.first_view[index] = ViewId::NONE;
            self.marks.unproven[index] = 0;
            self.marks.is_marked[index] = false;
        }
    }

    /// Judges the stays of one segment, sorted, and corrects its sums.
    fn judge(
        &mut self,
        seen: &Segmentwise<'_>,
        group: &[Stay],
        sums: &mut BinSums,
        lost: &mut BTreeMap<ViewId, u32>,
    ) -> SegmentVerdict {
        let mut believed: Vec<Stay> = Vec::with_capacity(group.len());
        let mut doubt = Doubt::None;
        for stay in group {
            if self.trust.is_below(stay.view, self.settings.trust_min) {
                self.withhold(Doubt::Distrusted, 1);
                withdraw(sums, stay);
                doubt = Doubt::Distrusted;
            } else {
                believed.push(*stay);
            }
        }
        let suspicion = Suspicion::new(self.settings, seen);
        for rule in crowd::RULES {
            let found = suspicion.find(rule, &believed);
            let count = found.iter().filter(|is_found| **is_found).count();
            if count > 0 {
                self.withhold(rule, count as u64);
                doubt = rule;
                if rule == Doubt::Unproven {
                    // One more than stated: the next minute takes one off first.
                    self.suspected.insert(seen.segment, SUSPECTED_MINUTES + 1);
                }
                for (stay, _) in believed
                    .iter()
                    .zip(&found)
                    .filter(|(_, is_found)| **is_found)
                {
                    *lost.entry(stay.view).or_default() += 1;
                    withdraw(sums, stay);
                }
                let mut found = found.into_iter();
                believed.retain(|_| !found.next().unwrap_or(false));
            }
        }
        let association = Association::of(&believed, self.settings.association_gate_m);
        self.counts.doubles += association.doubles;
        self.counts.crowded_segments += u64::from(association.is_too_crowded);
        let mut views: Vec<ViewId> = believed.iter().map(|stay| stay.view).collect();
        views.dedup();
        if association.doubles > 0 || believed.len() < group.len() {
            sums.replace(seen.segment, &association.sums);
        }
        let detector = usize::from(seen.detected.count > 0.0);
        SegmentVerdict {
            segment: seen.segment,
            doubt,
            views: u8::try_from(views.len() + detector).unwrap_or(u8::MAX),
        }
    }

    fn withhold(&mut self, doubt: Doubt, count: u64) {
        self.counts.withheld[doubt as usize] += count;
    }

    /// What was left out so far.
    pub fn counts(&self) -> &VettingCounts {
        &self.counts
    }

    /// How far each view heard of so far is trusted, in the order of their numbers.
    pub fn trust(&self) -> impl Iterator<Item = SourceTrust> + '_ {
        self.trust.iter(self.settings.trust_min)
    }

    /// Appends trust and counts.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        trust::snapshot(&self.trust, &self.counts, &self.suspected, network, out);
    }

    /// Takes back what [`Vetting::snapshot`] wrote for the same network.
    ///
    /// # Errors
    /// When the bytes are not an intact snapshot of this network.
    pub fn restore(&mut self, network: &Network, bytes: &[u8]) -> Result<(), SnapshotError> {
        (self.trust, self.counts, self.suspected) = trust::restore(network, bytes)?;
        Ok(())
    }
}

/// Takes the movement of a stay that is not believed out of the sums.
fn withdraw(sums: &mut BinSums, stay: &Stay) {
    if stay.movement != NO_MOVEMENT {
        sums.withdraw(stay.movement as usize);
    }
}

/// What is known of a segment while its reports are judged.
struct Segmentwise<'a> {
    segment: SegmentId,
    state: &'a TrafficState,
    /// Whether a crowd was found here lately.
    is_suspected: bool,
    detected: Detected,
}

/// What the detectors of a segment counted in a minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Detected {
    /// Vehicles counted over the lanes that have a detector.
    pub(super) count: f32,
    /// Their mean speed, m/s.
    pub(super) speed_mps: f32,
}
