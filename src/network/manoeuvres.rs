//! Prohibited manoeuvres: sequences of three or more segments that may not be driven one after the
//! other (GDF, ISO 20524, prohibited manoeuvre), as turn restrictions over roads say.
//!
//! What may follow then depends on what was driven before. A [`Stage`] is a segment together with
//! as much of that as matters: stages below the segment count are the segments themselves, driven
//! from anywhere; the few others are segments on which a prohibited manoeuvre has begun. Who walks
//! stages instead of segments obeys everything, at no cost where nothing is prohibited. The stages
//! are the states of an Aho-Corasick automaton (Aho and Corasick 1975, Efficient string matching)
//! over segments.

use std::collections::{BTreeMap, BTreeSet};

use super::model::{Movement, Network};
use crate::units::SegmentId;

/// A segment, and what was driven before it as far as that limits how to go on.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Stage(pub u32);

impl Stage {
    /// The stage as an array index.
    pub const fn index(self) -> usize {
        self.0 as usize
    }
}

/// Where a step over a movement leads that is special at some stage.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
struct Step {
    stage: u32,
    movement: u32,
    /// `None` when the step would end a prohibited manoeuvre.
    next: Option<u32>,
}

/// The prohibited manoeuvres of one network.
#[derive(Clone, Debug, Default)]
pub(crate) struct Manoeuvres {
    /// How many segments each has, then these.
    words: Vec<u32>,
    /// The segment of each stage beyond the segments themselves.
    extra: Vec<SegmentId>,
    /// Sorted; the steps that differ from going to the next segment as from anywhere.
    steps: Vec<Step>,
}

impl Manoeuvres {
    /// Puts sequences in order, without those of fewer than three segments and those that no
    /// movements follow. `movements` are sorted.
    pub(super) fn sequences(sequences: Vec<Vec<SegmentId>>, movements: &[Movement]) -> Vec<u32> {
        let unique: BTreeSet<Vec<SegmentId>> = sequences
            .into_iter()
            .filter(|sequence| is_driven(sequence, movements))
            .collect();
        let mut words = Vec::new();
        for sequence in unique {
            words.push(sequence.len() as u32);
            words.extend(sequence.iter().map(|segment| segment.0));
        }
        words
    }

    /// Whether `words` are such sequences.
    pub(super) fn are_sound(words: &[u32], movements: &[Movement]) -> bool {
        let mut read = 0;
        for sequence in Sequences(words) {
            read += 1 + sequence.len();
            if !is_driven(&sequence, movements) {
                return false;
            }
        }
        read == words.len()
    }

    /// Derives the stages of sound `words`.
    pub(super) fn new(words: Vec<u32>, movements: &[Movement], out_start: &[u32]) -> Self {
        let sequences: BTreeSet<Vec<SegmentId>> = Sequences(&words).collect();
        let segment_count = out_start.len() as u32 - 1;
        // What has been driven of a manoeuvre, two segments or more, is a stage of its own.
        let mut begun: BTreeMap<&[SegmentId], u32> = BTreeMap::new();
        for sequence in &sequences {
            for length in 2..sequence.len() {
                begun.insert(&sequence[..length], 0);
            }
        }
        let mut extra = Vec::with_capacity(begun.len());
        for (number, (driven, stage)) in begun.iter_mut().enumerate() {
            *stage = segment_count + number as u32;
            extra.extend(driven.last());
        }
        let firsts: BTreeSet<SegmentId> = sequences.iter().map(|sequence| sequence[0]).collect();
        let singles = firsts.iter().map(|first| (first.0, vec![*first]));
        let longer = begun
            .iter()
            .map(|(driven, &stage)| (stage, driven.to_vec()));
        let mut steps = Vec::new();
        for (stage, mut driven) in singles.chain(longer) {
            let Some(&last) = driven.last() else { continue };
            let out = out_start[last.index()]..out_start[last.index() + 1];
            for movement in out {
                let to = movements[movement as usize].to();
                driven.push(to);
                let suffixes = || (0..driven.len()).map(|first| &driven[first..]);
                let is_end = suffixes().any(|suffix| sequences.contains(suffix));
                let next = suffixes().find_map(|suffix| begun.get(suffix).copied());
                if is_end || next.is_some() {
                    steps.push(Step {
                        stage,
                        movement,
                        next: next.filter(|_| !is_end),
                    });
                }
                driven.pop();
            }
        }
        steps.sort_unstable();
        Self {
            words,
            extra,
            steps,
        }
    }

    /// The sequences as they are stored.
    pub(super) fn as_words(&self) -> &[u32] {
        &self.words
    }

    /// The stage after `movement` (an index) is driven from `stage`; `None` when that is
    /// prohibited.
    fn step(&self, stage: Stage, movement: u32, to: SegmentId) -> Option<Stage> {
        let key = (stage.0, movement);
        match self
            .steps
            .binary_search_by_key(&key, |step| (step.stage, step.movement))
        {
            Ok(found) => self.steps[found].next.map(Stage),
            Err(_) => Some(Stage(to.0)),
        }
    }
}

/// The sequences in words; ends where they are cut short.
struct Sequences<'a>(&'a [u32]);

impl Iterator for Sequences<'_> {
    type Item = Vec<SegmentId>;

    fn next(&mut self) -> Option<Vec<SegmentId>> {
        let (&count, rest) = self.0.split_first()?;
        let (sequence, rest) = rest.split_at_checked(count as usize)?;
        self.0 = rest;
        Some(sequence.iter().copied().map(SegmentId).collect())
    }
}

/// Most segments of one manoeuvre; longer ones are no junction's.
const SEGMENTS_MAX: usize = 64;

/// Whether a sequence is one of three segments or more that movements connect.
fn is_driven(sequence: &[SegmentId], movements: &[Movement]) -> bool {
    (3..=SEGMENTS_MAX).contains(&sequence.len())
        && sequence.windows(2).all(|pair| {
            let key = (pair[0], pair[1]);
            movements
                .binary_search_by_key(&key, |movement| (movement.from(), movement.to()))
                .is_ok()
        })
}

impl Network {
    /// How many stages there are; those below [`Network::segment_count`] are the segments.
    pub fn stage_count(&self) -> usize {
        self.segments.len() + self.manoeuvres.extra.len()
    }

    /// The stage of who begins on a segment.
    pub fn stage_on(&self, id: SegmentId) -> Stage {
        Stage(id.0)
    }

    /// The segment a stage is on.
    ///
    /// # Panics
    /// When `stage` is of another network.
    pub fn segment_at(&self, stage: Stage) -> SegmentId {
        match stage.index().checked_sub(self.segments.len()) {
            None => SegmentId(stage.0),
            Some(index) => self.manoeuvres.extra[index],
        }
    }

    /// The permitted ways on from a stage: the movement, and the stage it leads to. Without
    /// prohibited manoeuvres these are [`Network::movements_from`].
    pub fn steps_from(&self, stage: Stage) -> impl Iterator<Item = (&Movement, Stage)> + '_ {
        self.movement_range_from(self.segment_at(stage))
            .filter_map(move |index| {
                let movement = &self.movements[index];
                let next = self.manoeuvres.step(stage, index as u32, movement.to())?;
                Some((movement, next))
            })
    }

    /// Whether movements lead along all of `segments` without a prohibited manoeuvre.
    pub fn permits(&self, segments: &[SegmentId]) -> bool {
        let Some(&first) = segments.first() else {
            return true;
        };
        let mut stage = self.stage_on(first);
        segments[1..].iter().all(|&to| {
            let mut steps = self.steps_from(stage);
            let step = steps.find(|(movement, _)| movement.to() == to);
            step.map(|(_, next)| stage = next).is_some()
        })
    }

    /// How many manoeuvres of three or more segments are prohibited.
    pub fn prohibited_manoeuvre_count(&self) -> usize {
        Sequences(self.manoeuvres.as_words()).count()
    }
}

#[cfg(test)]
mod tests;
