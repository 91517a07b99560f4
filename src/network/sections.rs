//! Evaluation sections (评价路段): the chains of segments for which traffic operation is reported.
//!
//! Segments end wherever the source draws a junction, which suits matching and state but is far
//! finer than the stretches a report speaks of. GB/T 33171-2016 evaluates expressways from ramp to
//! ramp and other roads from stop line to stop line, and has short stretches joined; its text is
//! not public, so the lengths here are settings with stated defaults (docs/decisions/0003). Sections
//! are a table over the segments and change none of them: every segment belongs to exactly one
//! section, and what is known of a segment keeps its place.

use super::model::{NONE, Network, RoadClass, Segment, SegmentFlags};
use crate::units::{Metres, SectionId, SegmentId, heading_difference_deg};

/// Sharpest bend that still is the same road, degrees (chosen: beyond, a turn).
const BEND_DEG_MAX: f32 = 60.0;

/// How long sections are to be, where the roads allow.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SectionRules {
    /// Expressways: stretches from ramp to ramp are joined up to this length. Default 3 km.
    pub expressway: Metres,
    /// Other roads: stretches from stop line to stop line are joined up to this length. Default
    /// 1.5 km.
    pub street: Metres,
}

impl Default for SectionRules {
    fn default() -> Self {
        Self {
            expressway: Metres(3_000.0),
            street: Metres(1_500.0),
        }
    }
}

/// What kind of road a section is of.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum SectionKind {
    /// Carriageway of a motorway or trunk road, from ramp to ramp.
    Expressway,
    /// A ramp or connecting link, whole.
    Ramp,
    /// Any other road, from stop line to stop line.
    Street,
}

impl SectionKind {
    /// Every kind.
    pub const ALL: [Self; 3] = [Self::Expressway, Self::Ramp, Self::Street];

    /// The label used in files and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Expressway => "expressway",
            Self::Ramp => "ramp",
            Self::Street => "street",
        }
    }

    fn of(segment: &Segment) -> Self {
        if segment.flags.contains(SegmentFlags::LINK) {
            Self::Ramp
        } else if segment.class() <= RoadClass::Trunk {
            Self::Expressway
        } else {
            Self::Street
        }
    }
}

/// One section.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Section<'a> {
    /// Its segments in driving order, at least one.
    pub segments: &'a [SegmentId],
    /// What kind of road it is of; the same for all its segments.
    pub kind: SectionKind,
    /// Sum of the lengths of its segments.
    pub length: Metres,
}

/// The table of sections; empty in a network that was not divided.
///
/// Invariant: empty, or every segment is a member of exactly one section and each member can be
/// driven to from the one before.
#[derive(Debug, Default)]
pub(crate) struct SectionTable {
    /// Members of `section` are `members[start[section]..start[section + 1]]`.
    pub(crate) start: Vec<u32>,
    pub(crate) members: Vec<SegmentId>,
    section_of: Vec<u32>,
}

impl SectionTable {
    /// Takes the arrays of a compiled file; `None` when they don't fit the network.
    pub(crate) fn from_parts(
        start: Vec<u32>,
        members: Vec<SegmentId>,
        network: &Network,
    ) -> Option<Self> {
        if start.is_empty() && members.is_empty() {
            return Some(Self::default());
        }
        let count = network.segment_count();
        let covers = start.first() == Some(&0)
            && start.last() == Some(&(count as u32))
            && start.is_sorted_by(|a, b| a < b)
            && members.len() == count;
        if !covers {
            return None;
        }
        let mut section_of = vec![NONE; count];
        for (section, ends) in start.windows(2).enumerate() {
            let chain = &members[ends[0] as usize..ends[1] as usize];
            for &member in chain {
                let slot = section_of.get_mut(member.index())?;
                if std::mem::replace(slot, section as u32) != NONE {
                    return None;
                }
            }
            let is_road = chain.windows(2).all(|pair| {
                SectionKind::of(network.segment(pair[0]))
                    == SectionKind::of(network.segment(pair[1]))
                    && network
                        .movements_from(pair[0])
                        .iter()
                        .any(|movement| movement.to() == pair[1])
            });
            if !is_road {
                return None;
            }
        }
        Some(Self {
            start,
            members,
            section_of,
        })
    }

    /// Divides a network.
    pub(super) fn build(network: &Network, rules: &SectionRules) -> Self {
        let mut table = Self {
            start: vec![0],
            members: Vec::with_capacity(network.segment_count()),
            section_of: vec![NONE; network.segment_count()],
        };
        for chain in chains(network) {
            let enough_m = match SectionKind::of(network.segment(chain[0])) {
                SectionKind::Expressway => rules.expressway.value(),
                SectionKind::Street => rules.street.value(),
                SectionKind::Ramp => f64::INFINITY,
            };
            table.cut(network, &chain, enough_m);
        }
        table
    }

    /// Cuts a chain where a cut may be, as soon as `enough_m` lies behind and still lies ahead.
    fn cut(&mut self, network: &Network, chain: &[SegmentId], enough_m: f64) {
        let length_m = |id: SegmentId| network.segment(id).length().value();
        let mut ahead_m: f64 = chain.iter().map(|&id| length_m(id)).sum();
        let mut behind_m = 0.0;
        for (index, &id) in chain.iter().enumerate() {
            self.section_of[id.index()] = self.start.len() as u32 - 1;
            self.members.push(id);
            behind_m += length_m(id);
            ahead_m -= length_m(id);
            let is_end = match chain.get(index + 1) {
                None => true,
                Some(&next) => {
                    behind_m >= enough_m && ahead_m >= enough_m && may_cut(network, id, next)
                }
            };
            if is_end {
                self.start.push(self.members.len() as u32);
                behind_m = 0.0;
            }
        }
    }

    fn count(&self) -> usize {
        self.start.len().saturating_sub(1)
    }
}

impl Network {
    /// Divides the segments into evaluation sections. The network version stays: it names the
    /// segments, and they do not change.
    #[must_use]
    pub fn with_sections(mut self, rules: &SectionRules) -> Self {
        self.sections = SectionTable::build(&self, rules);
        self
    }

    /// How many sections there are; 0 in a network that was not divided.
    pub fn section_count(&self) -> usize {
        self.sections.count()
    }

    /// The section a segment belongs to; `None` in a network that was not divided.
    ///
    /// # Panics
    /// When `id` is of another network and this one is divided.
    pub fn section_of(&self, id: SegmentId) -> Option<SectionId> {
        let sections = &self.sections.section_of;
        (!sections.is_empty()).then(|| SectionId(sections[id.index()]))
    }

    /// One section.
    ///
    /// # Panics
    /// When `id` is of another network.
    pub fn section(&self, id: SectionId) -> Section<'_> {
        let table = &self.sections;
        let (from, to) = (table.start[id.index()], table.start[id.index() + 1]);
        let segments = &table.members[from as usize..to as usize];
        Section {
            segments,
            kind: SectionKind::of(self.segment(segments[0])),
            length: Metres(
                segments
                    .iter()
                    .map(|&id| self.segment(id).length().value())
                    .sum(),
            ),
        }
    }

    /// All sections in id order.
    pub fn sections(&self) -> impl ExactSizeIterator<Item = Section<'_>> {
        (0..self.section_count() as u32).map(|id| self.section(SectionId(id)))
    }
}

/// Every segment once, in chains along one carriageway; chains in order of their first segments,
/// rings last.
fn chains(network: &Network) -> Vec<Vec<SegmentId>> {
    let onward: Vec<Option<SegmentId>> = network
        .segment_ids()
        .map(|id| {
            let next = onward_of(network, id)?;
            (origin_of(network, next) == Some(id)).then_some(next)
        })
        .collect();
    let mut has_origin = vec![false; onward.len()];
    for next in onward.iter().flatten() {
        has_origin[next.index()] = true;
    }
    let mut is_taken = vec![false; onward.len()];
    let mut chains = Vec::new();
    let mut follow = |first: SegmentId| {
        let mut chain = Vec::new();
        let mut next = Some(first);
        while let Some(id) = next.filter(|id| !is_taken[id.index()]) {
            is_taken[id.index()] = true;
            chain.push(id);
            next = onward[id.index()];
        }
        chain
    };
    for first in network.segment_ids() {
        if !has_origin[first.index()] {
            chains.push(follow(first));
        }
    }
    for id in network.segment_ids() {
        let mut ring = follow(id);
        let Some(&last) = ring.last() else { continue };
        // A ring begins where it may be cut, not where its lowest number happens to lie.
        let before = |index: usize| index.checked_sub(1).map_or(last, |index| ring[index]);
        let first = (0..ring.len()).find(|&at| may_cut(network, before(at), ring[at]));
        ring.rotate_left(first.unwrap_or(0));
        chains.push(ring);
    }
    chains
}

/// How a road goes on after `id`: the exit of the same kind and name that bends least.
fn onward_of(network: &Network, id: SegmentId) -> Option<SegmentId> {
    let exits = network.movements_from(id).iter().map(|exit| exit.to());
    exits
        .filter_map(|next| Some((kinship(network, id, next)?, next)))
        .min_by(|(a, x), (b, y)| a.total_cmp(b).then(x.cmp(y)))
        .map(|(_, next)| next)
}

/// Where a road comes from before `id`.
fn origin_of(network: &Network, id: SegmentId) -> Option<SegmentId> {
    let entries = network.movements_into(id).map(|entry| entry.from());
    entries
        .filter_map(|before| Some((kinship(network, before, id)?, before)))
        .min_by(|(a, x), (b, y)| a.total_cmp(b).then(x.cmp(y)))
        .map(|(_, before)| before)
}

/// How much `next` looks like the same road as `id`, less is more; `None` when it is another one.
/// A shared name outweighs any bend, an equal class half of the sharpest.
fn kinship(network: &Network, id: SegmentId, next: SegmentId) -> Option<f32> {
    let (here, there) = (network.segment(id), network.segment(next));
    if next == id || here.twin() == Some(next) || SectionKind::of(here) != SectionKind::of(there) {
        return None;
    }
    let is_named_alike = match (network.name(id), network.name(next)) {
        (Some(a), Some(b)) if a != b => return None,
        (Some(_), Some(_)) => true,
        _ => false,
    };
    let (shape, onward) = (network.shape(id), network.shape(next));
    let arriving_deg = shape[shape.len() - 2].heading_deg_to(shape[shape.len() - 1]);
    let bend_deg = heading_difference_deg(arriving_deg, onward[0].heading_deg_to(onward[1]));
    if bend_deg > BEND_DEG_MAX {
        return None;
    }
    let name_deg = if is_named_alike {
        0.0
    } else {
        2.0 * BEND_DEG_MAX
    };
    let class_deg = if here.class() == there.class() {
        0.0
    } else {
        0.5 * BEND_DEG_MAX
    };
    Some(bend_deg + name_deg + class_deg)
}

/// Whether a section may end between two segments of a chain: on an expressway where a ramp or
/// another carriageway leaves or joins, on a street at a stop line, which is a signal or a
/// junction with a road that is no less important than this one or a tertiary road.
fn may_cut(network: &Network, id: SegmentId, next: SegmentId) -> bool {
    let (here, there) = (network.segment(id), network.segment(next));
    let least = here.class().max(RoadClass::Tertiary);
    let counts = |other: SegmentId| match SectionKind::of(here) {
        SectionKind::Expressway => true,
        SectionKind::Ramp => false,
        SectionKind::Street => network.segment(other).class() <= least,
    };
    let leaves = network
        .movements_from(id)
        .iter()
        .map(|exit| exit.to())
        .any(|other| other != next && here.twin() != Some(other) && counts(other));
    let joins = network
        .movements_into(next)
        .map(|entry| entry.from())
        .any(|other| other != id && there.twin() != Some(other) && counts(other));
    let is_stop_line = SectionKind::of(here) == SectionKind::Street && here.is_signalised();
    leaves || joins || is_stop_line
}
