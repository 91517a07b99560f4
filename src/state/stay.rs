//! One road user on one segment in one minute: what it did there and, coarsely, where it was when.
//!
//! Stays are what reports of one car are told together by, and what doubtful reports are taken out
//! by again. They hold no identity: only the view in which the road user was seen.

use super::SnapshotError;
use super::bytes::{Reader, put_i64, put_u8, put_u16, put_u32};
use super::sums::SegmentSums;
use crate::network::Network;
use crate::units::{SegmentId, ViewId};

pub(super) const NO_SEGMENT: u32 = u32::MAX;

/// Stands for "has not left over a movement of the network".
pub(super) const NO_MOVEMENT: u32 = u32::MAX;

/// Time between two places that are kept of a stay, ms (chosen: cars a few seconds apart on one
/// lane are never at one place at the same time, and three fit on a short street).
pub(super) const SAMPLE_MS: i64 = 5_000;

/// Places kept of a minute.
pub(super) const SAMPLES: usize = 12;

/// Stands for "was not on the segment then".
const ABSENT: u16 = u16::MAX;

/// A straight piece of a stay in time and place.
#[derive(Clone, Copy, Debug)]
pub(super) struct Line {
    pub(super) from_ms: i64,
    pub(super) until_ms: i64,
    pub(super) from_m: f32,
    pub(super) until_m: f32,
    /// Whether the road user stands there.
    pub(super) is_standing: bool,
}

/// Where a road user was on its segment during one minute; times in ms of the minute, places in
/// decimetres from the segment's start.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) struct Trace {
    first_ms: u16,
    first_dm: u16,
    last_ms: u16,
    last_dm: u16,
    samples_dm: [u16; SAMPLES],
    /// Bit k: it stood at sample k, by the speed it reported.
    standing: u16,
}

impl Trace {
    const NONE: Self = Self {
        first_ms: ABSENT,
        first_dm: 0,
        last_ms: 0,
        last_dm: 0,
        samples_dm: [ABSENT; SAMPLES],
        standing: 0,
    };

    /// Adds a piece that lies within the minute beginning at `minute_ms`.
    pub(super) fn drive(&mut self, line: Line, minute_ms: i64) {
        let (from_ms, until_ms) = (line.from_ms - minute_ms, line.until_ms - minute_ms);
        if self.first_ms == ABSENT {
            (self.first_ms, self.first_dm) = (from_ms as u16, decimetres(line.from_m));
        }
        (self.last_ms, self.last_dm) = (until_ms as u16, decimetres(line.until_m));
        let (first, last) = ((from_ms + SAMPLE_MS - 1) / SAMPLE_MS, until_ms / SAMPLE_MS);
        for index in first..=last.min(SAMPLES as i64 - 1) {
            let share = (index * SAMPLE_MS - from_ms) as f32 / (until_ms - from_ms).max(1) as f32;
            let place_m = line.from_m + share * (line.until_m - line.from_m);
            self.samples_dm[index as usize] = decimetres(place_m);
            let bit = 1 << index;
            self.standing = if line.is_standing {
                self.standing | bit
            } else {
                self.standing & !bit
            };
        }
    }

    /// Where it was at each multiple of [`SAMPLE_MS`] of the minute, decimetres, and whether it
    /// stood; `None` where it was not on the segment.
    pub(super) fn samples(&self) -> impl Iterator<Item = Option<(u16, bool)>> + '_ {
        let places = self.samples_dm.iter().enumerate();
        places.map(|(index, place_dm)| {
            (*place_dm != ABSENT).then_some((*place_dm, self.standing >> index & 1 != 0))
        })
    }

    /// From when to when it was there, ms of the minute; `None` if it never was.
    pub(super) fn span_ms(&self) -> Option<(u16, u16)> {
        (self.first_ms != ABSENT).then_some((self.first_ms, self.last_ms))
    }

    /// How far two road users were apart when both were there, decimetres: greatest and summed
    /// squares over the number of times compared; `None` where they never were together.
    pub(super) fn apart(&self, other: &Self) -> Option<Apart> {
        let pairs = self.samples_dm.iter().zip(&other.samples_dm);
        let mut apart = Apart::default();
        for (mine, theirs) in pairs {
            if *mine != ABSENT && *theirs != ABSENT {
                apart.add(i32::from(*mine) - i32::from(*theirs));
            }
        }
        if apart.compared == 0 {
            let (mine, theirs) = (self.span_ms()?, other.span_ms()?);
            let (from, until) = (mine.0.max(theirs.0), mine.1.min(theirs.1));
            if from > until {
                return None;
            }
            for at in [from, until] {
                apart.add(self.between_dm(at) - other.between_dm(at));
            }
        }
        Some(apart)
    }

    /// Where it was at a time inside its span, as if it had driven evenly.
    fn between_dm(&self, at_ms: u16) -> i32 {
        let span = i32::from(self.last_ms - self.first_ms);
        let (first, last) = (i32::from(self.first_dm), i32::from(self.last_dm));
        if span == 0 {
            return first;
        }
        first + (last - first) * i32::from(at_ms - self.first_ms) / span
    }
}

/// How far apart two road users were.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) struct Apart {
    /// Greatest distance, dm.
    pub(super) greatest_dm: u32,
    /// Sum of squared distances, dm².
    pub(super) squares: u64,
    /// Times compared.
    pub(super) compared: u32,
}

impl Apart {
    fn add(&mut self, difference_dm: i32) {
        let distance = difference_dm.unsigned_abs();
        self.greatest_dm = self.greatest_dm.max(distance);
        self.squares += u64::from(distance) * u64::from(distance);
        self.compared += 1;
    }
}

pub(super) fn decimetres(place_m: f32) -> u16 {
    (place_m.max(0.0) * 10.0).round().min(f32::from(ABSENT - 1)) as u16
}

/// What one road user did on one segment in one minute.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct Stay {
    pub(super) segment: u32,
    pub(super) view: ViewId,
    pub(super) trace: Trace,
    /// Start of the minute, ms.
    pub(super) minute_ms: i64,
    pub(super) distance_mm: u32,
    pub(super) time_ms: u32,
    pub(super) standing_ms: u32,
    pub(super) queue_mm: u32,
    /// Time of the pass this stay completes, ms; 0 for none.
    pub(super) pass_ms: u32,
    /// Longest time without moving until some moment of the minute, ms; what stands since earlier
    /// minutes counts from when it stopped.
    pub(super) stand_ms: u32,
    /// Where that was, decimetres from the segment's start.
    pub(super) stand_dm: u16,
    /// The movement over which it left, by its index in the network; [`NO_MOVEMENT`] if it has not.
    pub(super) movement: u32,
    /// Whether the road user reports itself.
    pub(super) is_own: bool,
    /// Whether its track has driven far enough, over a junction, to be believed.
    pub(super) is_proven: bool,
    /// Whether it left the segment at its end.
    pub(super) has_left: bool,
}

impl Stay {
    pub(super) const NOWHERE: Self = Self {
        segment: NO_SEGMENT,
        view: ViewId::NONE,
        trace: Trace::NONE,
        minute_ms: 0,
        distance_mm: 0,
        time_ms: 0,
        standing_ms: 0,
        queue_mm: 0,
        pass_ms: 0,
        stand_ms: 0,
        stand_dm: 0,
        movement: NO_MOVEMENT,
        is_own: true,
        is_proven: false,
        has_left: false,
    };

    /// The segment.
    pub fn segment(&self) -> SegmentId {
        SegmentId(self.segment)
    }

    /// Where it was every five seconds of the minute, decimetres from the segment's start, and
    /// whether it stood there; `None` where it was not on the segment.
    pub fn samples(&self) -> impl Iterator<Item = Option<(u16, bool)>> + '_ {
        self.trace.samples()
    }

    /// Its longest stand, s, with what it stood in earlier minutes, and where, metres from the
    /// segment's start.
    pub fn stand(&self) -> (f32, f32) {
        (self.stand_ms as f32 / 1e3, f32::from(self.stand_dm) / 10.0)
    }

    /// Whether it left the segment or drove again after it last stood.
    pub(super) fn has_moved_on(&self) -> bool {
        let last = self.samples().flatten().last();
        self.has_left || last.is_some_and(|(_, is_standing)| !is_standing)
    }

    /// In which view it was seen.
    pub fn view(&self) -> ViewId {
        self.view
    }

    /// An empty stay of the same road user on `segment`.
    pub(super) fn next(&self, segment: u32, minute_ms: i64) -> Self {
        Self {
            segment,
            minute_ms,
            view: self.view,
            is_own: self.is_own,
            is_proven: self.is_proven,
            ..Self::NOWHERE
        }
    }

    /// Mean speed, m/s; `None` without time.
    pub(super) fn speed_mps(&self) -> Option<f32> {
        (self.time_ms > 0).then(|| self.distance_mm as f32 / self.time_ms as f32)
    }

    /// The stretch of its segment that it was on, decimetres; `None` if it never was there.
    pub(super) fn stretch_dm(&self) -> Option<(u16, u16)> {
        self.trace.span_ms()?;
        let (first, last) = (self.trace.first_dm, self.trace.last_dm);
        Some((first.min(last), first.max(last)))
    }

    pub(super) fn is_on_road(&self) -> bool {
        self.time_ms > 0 || self.distance_mm > 0
    }

    /// What it adds to the sums of its segment.
    pub(super) fn sums(&self) -> SegmentSums {
        SegmentSums {
            distance_mm: u64::from(self.distance_mm),
            time_ms: u64::from(self.time_ms),
            standing_ms: u64::from(self.standing_ms),
            squared_time_ms2: u64::from(self.time_ms) * u64::from(self.time_ms),
            pass_ms: u64::from(self.pass_ms),
            squared_pass_ms2: u64::from(self.pass_ms) * u64::from(self.pass_ms),
            pass_count: u32::from(self.pass_ms > 0),
            vehicle_count: u32::from(self.is_on_road()),
            queue_mm: self.queue_mm,
        }
    }

    pub(super) fn put(&self, out: &mut Vec<u8>) {
        put_i64(out, self.minute_ms);
        for value in [
            self.segment,
            self.distance_mm,
            self.time_ms,
            self.standing_ms,
            self.queue_mm,
            self.pass_ms,
            self.stand_ms,
            self.movement,
        ] {
            put_u32(out, value);
        }
        let trace = &self.trace;
        let ends = [trace.first_ms, trace.first_dm, trace.last_ms, trace.last_dm];
        for value in ends.iter().chain(&trace.samples_dm) {
            put_u16(out, *value);
        }
        put_u16(out, trace.standing);
        put_u16(out, self.stand_dm);
        put_u16(out, self.view.0);
        put_u8(
            out,
            u8::from(self.is_own) | u8::from(self.is_proven) << 1 | u8::from(self.has_left) << 2,
        );
    }

    pub(super) fn take(reader: &mut Reader<'_>, network: &Network) -> Result<Self, SnapshotError> {
        let minute_ms = reader.take_i64()?;
        let mut stay = Self {
            minute_ms,
            segment: reader.take_u32()?,
            distance_mm: reader.take_u32()?,
            time_ms: reader.take_u32()?,
            standing_ms: reader.take_u32()?,
            queue_mm: reader.take_u32()?,
            pass_ms: reader.take_u32()?,
            stand_ms: reader.take_u32()?,
            movement: reader.take_u32()?,
            ..Self::NOWHERE
        };
        let trace = &mut stay.trace;
        let ends = [
            &mut trace.first_ms,
            &mut trace.first_dm,
            &mut trace.last_ms,
            &mut trace.last_dm,
        ];
        for value in ends.into_iter().chain(&mut trace.samples_dm) {
            *value = reader.take_u16()?;
        }
        trace.standing = reader.take_u16()?;
        stay.stand_dm = reader.take_u16()?;
        stay.view = ViewId(reader.take_u16()?);
        let flags = reader.take_u8()?;
        (stay.is_own, stay.is_proven) = (flags & 1 != 0, flags & 2 != 0);
        stay.has_left = flags & 4 != 0;
        let is_somewhere =
            stay.segment == NO_SEGMENT || (stay.segment as usize) < network.segment_count();
        let has_movement =
            stay.movement == NO_MOVEMENT || (stay.movement as usize) < network.movements().len();
        let is_in_order = trace_is_sound(&stay.trace);
        if is_somewhere && has_movement && is_in_order {
            Ok(stay)
        } else {
            Err(reader.damaged())
        }
    }
}

fn trace_is_sound(trace: &Trace) -> bool {
    trace.first_ms == ABSENT || trace.first_ms <= trace.last_ms
}

/// Bytes of one stay in a snapshot.
pub(super) const STAY_BYTES: usize = 8 + 32 + 8 + 2 * SAMPLES + 7;

#[cfg(test)]
mod tests {
    use super::*;

    fn line(from_ms: i64, until_ms: i64, from_m: f32, until_m: f32) -> Line {
        Line {
            from_ms,
            until_ms,
            from_m,
            until_m,
            is_standing: false,
        }
    }

    #[test]
    fn a_trace_tells_where_it_was_every_five_seconds() {
        let mut trace = Trace::NONE;
        for second in 3..13 {
            let at_m = 10.0 * second as f32;
            let piece = line(second * 1000, (second + 1) * 1000, at_m, at_m + 10.0);
            trace.drive(piece, 0);
        }
        assert_eq!(trace.span_ms(), Some((3_000, 13_000)));
        assert_eq!(&trace.samples_dm[..4], [ABSENT, 500, 1_000, ABSENT]);
    }

    #[test]
    fn short_stays_are_compared_where_they_overlap() {
        let (mut one, mut other, mut later) = (Trace::NONE, Trace::NONE, Trace::NONE);
        one.drive(line(1_000, 4_000, 0.0, 30.0), 0);
        other.drive(line(2_000, 4_500, 12.0, 37.0), 0);
        later.drive(line(4_600, 4_900, 0.0, 3.0), 0);
        let apart = one.apart(&other).expect("they overlap");
        assert_eq!((apart.greatest_dm, apart.compared), (20, 2));
        assert_eq!(one.apart(&later), None);
    }
}
