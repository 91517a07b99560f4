//! Freeways as chains of segments, each with a field of its own: where a jam begins and ends.

use std::sync::Arc;

use super::{FIELD_CELLS_MAX, FieldCell, FieldError, FieldSettings, SpeedField};
use crate::network::{Network, RoadClass, Segment};
use crate::state::Stay;
use crate::units::SegmentId;

/// Shortest freeway that gets a field, in cells: below it there is nothing to smooth over.
const CELLS_MIN: usize = 5;

/// Stands for a segment that was not looked at yet, and for one that has no freeway.
const UNSEEN: u32 = u32::MAX;
const NOWHERE: u32 = u32::MAX - 1;

/// A chain of segments without signal, each the only freeway behind the one before it.
#[derive(Clone, Debug, PartialEq)]
pub struct Freeway {
    /// The segments in driving order.
    pub segments: Vec<SegmentId>,
    /// Where each segment begins, m from the freeway's start; one more than segments, the last
    /// is the freeway's length.
    pub starts_m: Vec<f32>,
}

/// A stretch of slow traffic on a freeway.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct FieldJam {
    /// Where it begins for whoever comes from behind, m from the freeway's start.
    pub tail_m: f32,
    /// Where traffic leaves it, m from the freeway's start.
    pub head_m: f32,
    /// Space-mean speed inside, m/s.
    pub speed_mps: f32,
    /// Road users that were seen in the minute on that of its segments where most were; 0 until
    /// [`crate::state::Performance`] fills it in, as the following.
    pub most_samples: u32,
    /// Whether a detector counts on one of its segments.
    pub is_counted: bool,
}

/// What a freeway was like in a settled minute.
#[derive(Clone, Debug, PartialEq)]
pub struct FieldMinute {
    /// Which freeway, in the order of [`Freeways::all`].
    pub freeway: usize,
    /// Its cells from the start, [`FieldSettings::cell_m`] each.
    pub cells: Vec<FieldCell>,
    /// Its jams from the start.
    pub jams: Vec<FieldJam>,
}

/// The freeways of a network and their fields.
#[derive(Clone, Debug)]
pub struct Freeways {
    freeways: Arc<Vec<Freeway>>,
    /// By segment: freeway and place in it.
    places: Vec<(u32, u32)>,
    pub(super) fields: Vec<SpeedField>,
    cell_m: f32,
}

fn is_freeway(segment: &Segment) -> bool {
    matches!(segment.class(), RoadClass::Motorway | RoadClass::Trunk) && !segment.is_signalised()
}

/// The freeway that goes on behind `id`, if there is one and one only.
fn next_of(network: &Network, id: SegmentId) -> Option<SegmentId> {
    let class = network.segment(id).class();
    let is_same = |other: SegmentId| {
        let segment = network.segment(other);
        is_freeway(segment) && segment.class() == class
    };
    let movements = network.movements_from(id).iter();
    let mut ahead = movements.map(|to| to.to()).filter(|&to| is_same(to));
    let next = ahead.next()?;
    let mut behind = network.movements_into(next).map(|from| from.from());
    let is_only = ahead.next().is_none() && behind.all(|other| other == id || !is_same(other));
    (is_only && next != id).then_some(next)
}

impl Freeways {
    /// Finds the freeways of a network.
    ///
    /// # Errors
    /// When a setting is out of range.
    pub fn new(network: &Arc<Network>, settings: FieldSettings) -> Result<Self, FieldError> {
        settings.check()?;
        let count = network.segment_count();
        let mut next = vec![None; count];
        let mut has_before = vec![false; count];
        for id in network
            .segment_ids()
            .filter(|&id| is_freeway(network.segment(id)))
        {
            next[id.index()] = next_of(network, id);
            if let Some(next) = next[id.index()] {
                has_before[next.index()] = true;
            }
        }
        let mut freeways = Vec::new();
        let mut found = Self {
            freeways: Arc::default(),
            places: vec![(UNSEEN, 0); count],
            fields: Vec::new(),
            cell_m: settings.cell_m,
        };
        let heads = network.segment_ids().filter(|id| !has_before[id.index()]);
        // Rings have no head; they begin at their lowest id.
        for head in heads.chain(network.segment_ids()) {
            if is_freeway(network.segment(head)) && found.places[head.index()].0 == UNSEEN {
                found.add(network, settings, head, &next, &mut freeways)?;
            }
        }
        found.freeways = Arc::new(freeways);
        Ok(found)
    }

    fn add(
        &mut self,
        network: &Network,
        settings: FieldSettings,
        head: SegmentId,
        next: &[Option<SegmentId>],
        freeways: &mut Vec<Freeway>,
    ) -> Result<(), FieldError> {
        let mut freeway = Freeway {
            segments: Vec::new(),
            starts_m: vec![0.0],
        };
        let (mut at, mut length_m) = (Some(head), 0.0f32);
        while let Some(id) = at.filter(|id| self.places[id.index()].0 == UNSEEN) {
            let longer_m = length_m + network.segment(id).length_m;
            if longer_m / self.cell_m >= FIELD_CELLS_MAX as f32 {
                break;
            }
            let place = (freeways.len() as u32, freeway.segments.len() as u32);
            self.places[id.index()] = place;
            length_m = longer_m;
            freeway.segments.push(id);
            freeway.starts_m.push(length_m);
            at = next[id.index()];
        }
        let cell_count = (length_m / self.cell_m).ceil() as usize;
        if cell_count < CELLS_MIN {
            for id in &freeway.segments {
                self.places[id.index()] = (NOWHERE, 0);
            }
            return Ok(());
        }
        self.fields.push(SpeedField::new(settings, cell_count)?);
        freeways.push(freeway);
        Ok(())
    }

    /// Every freeway, by its first segment; rings last.
    pub fn all(&self) -> &Arc<Vec<Freeway>> {
        &self.freeways
    }

    /// The freeway that a segment belongs to, and where on it the segment begins, m.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn place(&self, segment: SegmentId) -> Option<(usize, f32)> {
        let (freeway, place) = self.places[segment.index()];
        let found = self.freeways.get(freeway as usize)?;
        Some((freeway as usize, found.starts_m[place as usize]))
    }

    /// Takes what one road user did in the open minute. It returns whether it was on a freeway.
    ///
    /// # Panics
    /// When the stay is of another network.
    pub fn take_stay(&mut self, stay: &Stay) -> bool {
        let (Some(speed_mps), Some((from_dm, until_dm))) = (stay.speed_mps(), stay.stretch_dm())
        else {
            return false;
        };
        let stretch_m = (f32::from(from_dm) / 10.0, f32::from(until_dm) / 10.0);
        self.take(stay.segment(), stretch_m, speed_mps, 1.0)
    }

    /// Takes a speed measured on a stretch of a segment in the open minute; its weight counts in
    /// every cell that it touches. It returns whether it was taken.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn take(
        &mut self,
        segment: SegmentId,
        (from_m, until_m): (f32, f32),
        speed_mps: f32,
        weight: f32,
    ) -> bool {
        let Some((freeway, start_m)) = self.place(segment) else {
            return false;
        };
        let field = &mut self.fields[freeway];
        let last = field.cell_count() - 1;
        let cell = |at_m: f32| (((start_m + at_m) / self.cell_m).max(0.0) as usize).min(last);
        let (first, last) = (cell(from_m), cell(until_m));
        (first..=last).all(|cell| field.observe(cell, speed_mps, weight))
    }

    /// Closes the open minute of every freeway and returns those that are settled by it.
    pub fn close_minute(&mut self) -> Vec<FieldMinute> {
        let mut minutes = Vec::new();
        for (freeway, field) in self.fields.iter_mut().enumerate() {
            let mut cells = Vec::with_capacity(field.cell_count());
            if field.close_step(&mut cells).is_some() {
                let jams = jams_of(&cells, self.cell_m, field.settings().transition.0);
                minutes.push(FieldMinute {
                    freeway,
                    cells,
                    jams,
                });
            }
        }
        minutes
    }
}

impl Freeway {
    /// The segment that holds a place, and how far into it the place lies, m. A place beyond the end
    /// is the end.
    pub fn at(&self, place_m: f32) -> Option<(SegmentId, f32)> {
        let after = self.starts_m.partition_point(|&start_m| start_m <= place_m);
        let index = after.clamp(1, self.segments.len().max(1)) - 1;
        let length_m = self.starts_m.get(index + 1)? - self.starts_m[index];
        let offset_m = (place_m - self.starts_m[index]).clamp(0.0, length_m);
        Some((*self.segments.get(index)?, offset_m))
    }

    /// The segments that a jam lies on, in driving order.
    pub fn under<'a>(&'a self, jam: &FieldJam) -> impl Iterator<Item = SegmentId> + 'a {
        let (tail_m, head_m) = (jam.tail_m, jam.head_m);
        let stretches = self.starts_m.windows(2).zip(&self.segments);
        stretches
            .filter(move |(ends, _)| ends[0] < head_m && tail_m < ends[1])
            .map(|(_, &segment)| segment)
    }
}

/// Stretches of cells slower than `jam_mps`, the middle between congested and free; cells that
/// nothing is known of end one.
fn jams_of(cells: &[FieldCell], cell_m: f32, jam_mps: f32) -> Vec<FieldJam> {
    let is_slow = |cell: &FieldCell| cell.weight > 0.0 && cell.speed_mps < jam_mps;
    let mut jams = Vec::new();
    let mut index = 0;
    while index < cells.len() {
        let slow = cells[index..]
            .iter()
            .take_while(|cell| is_slow(cell))
            .count();
        if slow > 0 {
            let pace = cells[index..index + slow].iter();
            let slowness: f32 = pace.map(|cell| 1.0 / cell.speed_mps.max(0.1)).sum();
            jams.push(FieldJam {
                tail_m: index as f32 * cell_m,
                head_m: (index + slow) as f32 * cell_m,
                speed_mps: slow as f32 / slowness,
                most_samples: 0,
                is_counted: false,
            });
        }
        index += slow + 1;
    }
    jams
}
