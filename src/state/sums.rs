//! The sums of one minute: what stage 1 hands to stage 2.
//!
//! Everything is an integer, so that merging commutes exactly and neither sharding nor the order
//! inside a minute can change a bin.

use crate::units::SegmentId;

/// What all road users together did on one segment in one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct SegmentSums {
    /// Distance driven on the segment, millimetres.
    pub distance_mm: u64,
    /// Time spent on the segment, vehicle-milliseconds.
    pub time_ms: u64,
    /// Part of `time_ms` spent below [`super::STANDING_MPS`], vehicle-milliseconds.
    pub standing_ms: u64,
    /// Sum over vehicles of the square of their time on the segment in this minute, ms²; with
    /// `time_ms` it gives the effective number of vehicles.
    pub squared_time_ms2: u64,
    /// Time of the complete passes that ended in this minute, from entering to leaving, also what
    /// lies in earlier minutes, vehicle-milliseconds.
    pub pass_ms: u64,
    /// Sum of the squares of the times in `pass_ms`, ms²: how differently vehicles fared.
    pub squared_pass_ms2: u64,
    /// Complete passes that ended in this minute.
    pub pass_count: u32,
    /// Vehicles seen on the segment in this minute; one that leaves and returns counts twice.
    pub vehicle_count: u32,
    /// Farthest distance of a standing vehicle from the end of the segment, millimetres.
    pub queue_mm: u32,
}

impl SegmentSums {
    /// Adds what other vehicles did.
    pub fn merge(&mut self, other: &Self) {
        self.distance_mm += other.distance_mm;
        self.time_ms += other.time_ms;
        self.standing_ms += other.standing_ms;
        self.squared_time_ms2 += other.squared_time_ms2;
        self.pass_ms += other.pass_ms;
        self.squared_pass_ms2 += other.squared_pass_ms2;
        self.pass_count += other.pass_count;
        self.vehicle_count += other.vehicle_count;
        self.queue_mm = self.queue_mm.max(other.queue_mm);
    }

    /// Space-mean speed, distance over time (Edie 1963), m/s; `None` without time.
    pub fn speed_mps(&self) -> Option<f32> {
        (self.time_ms > 0).then(|| (self.distance_mm as f64 / self.time_ms as f64) as f32)
    }
}

/// The sums of every segment in one minute.
///
/// Dense, so that merging is additions; the touched segments are kept beside it, so that a quiet
/// minute of a large network costs little.
#[derive(Clone, Debug, Default)]
pub struct BinSums {
    sums: Vec<SegmentSums>,
    touched: Vec<u32>,
    /// The movement of every vehicle that left a segment over one, by index in the network.
    left: Vec<u32>,
    /// Those of them that are not believed after all.
    withdrawn: Vec<u32>,
    late_part_count: u64,
}

impl BinSums {
    /// Empty sums for a network of `segment_count` segments.
    pub fn new(segment_count: usize) -> Self {
        Self {
            sums: vec![SegmentSums::default(); segment_count],
            touched: Vec::new(),
            left: Vec::new(),
            withdrawn: Vec::new(),
            late_part_count: 0,
        }
    }

    /// Forgets everything but the capacity.
    pub fn clear(&mut self) {
        for &segment in &self.touched {
            self.sums[segment as usize] = SegmentSums::default();
        }
        self.touched.clear();
        self.left.clear();
        self.withdrawn.clear();
        self.late_part_count = 0;
    }

    /// Adds to one segment.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn add(&mut self, segment: SegmentId, sums: &SegmentSums) {
        let mine = &mut self.sums[segment.index()];
        // Not by the vehicle count: a part that is credited late brings time but no vehicle.
        if *mine == SegmentSums::default() && *sums != SegmentSums::default() {
            self.touched.push(segment.0);
        }
        mine.merge(sums);
    }

    /// Takes `sums` for all that was added to one segment.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn replace(&mut self, segment: SegmentId, sums: &SegmentSums) {
        let mine = &mut self.sums[segment.index()];
        if *mine == SegmentSums::default() && *sums != SegmentSums::default() {
            self.touched.push(segment.0);
        }
        *mine = *sums;
    }

    /// Adds all of `other`; the order of merging does not matter.
    ///
    /// # Panics
    /// When `other` is of a larger network.
    pub fn merge(&mut self, other: &Self) {
        for &segment in &other.touched {
            self.add(SegmentId(segment), &other.sums[segment as usize]);
        }
        self.left.extend_from_slice(&other.left);
        self.withdrawn.extend_from_slice(&other.withdrawn);
        self.late_part_count += other.late_part_count;
    }

    /// Adds a vehicle that left its segment over a movement of the network, given by its index.
    pub fn leave(&mut self, movement: usize) {
        self.left.push(movement as u32);
    }

    /// Takes one vehicle added by [`BinSums::leave`] out again.
    pub fn withdraw(&mut self, movement: usize) {
        self.withdrawn.push(movement as u32);
    }

    /// Adds to `counts`, indexed by movement, how many vehicles left over each. The order in which
    /// they were added does not matter.
    ///
    /// # Panics
    /// When a movement is of a larger network.
    pub fn count_left(&self, counts: &mut [u32]) {
        for &movement in &self.left {
            counts[movement as usize] += 1;
        }
        for &movement in &self.withdrawn {
            let count = &mut counts[movement as usize];
            *count = count.saturating_sub(1);
        }
    }

    /// The sums of one segment; zero where nobody was.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn get(&self, segment: SegmentId) -> &SegmentSums {
        &self.sums[segment.index()]
    }

    /// The sums of all segments, indexed by segment id.
    pub fn segments(&self) -> &[SegmentSums] {
        &self.sums
    }

    /// How many segments somebody was on.
    pub fn touched_count(&self) -> usize {
        self.touched.len()
    }

    /// Parts that belonged to an earlier, already closed minute and are credited to this one.
    pub fn late_part_count(&self) -> u64 {
        self.late_part_count
    }

    pub(super) fn count_late_parts(&mut self, count: u64) {
        self.late_part_count += count;
    }
}

impl PartialEq for BinSums {
    /// Equal sums are equal however they came together.
    fn eq(&self, other: &Self) -> bool {
        let sorted = |movements: &[u32]| {
            let mut sorted = movements.to_vec();
            sorted.sort_unstable();
            sorted
        };
        self.sums == other.sums
            && self.late_part_count == other.late_part_count
            && sorted(&self.left) == sorted(&other.left)
            && sorted(&self.withdrawn) == sorted(&other.withdrawn)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_part_without_a_vehicle_is_merged_and_cleared_like_any_other() {
        let late = SegmentSums {
            time_ms: 700,
            distance_mm: 5_000,
            ..SegmentSums::default()
        };
        let mut sums = BinSums::new(2);
        sums.add(SegmentId(1), &late);
        let mut merged = BinSums::new(2);
        merged.merge(&sums);
        assert_eq!(merged.get(SegmentId(1)), &late);
        merged.clear();
        assert_eq!(merged.get(SegmentId(1)), &SegmentSums::default());
    }

    #[test]
    fn clearing_leaves_nothing_behind() {
        let mut sums = BinSums::new(3);
        let one = SegmentSums {
            distance_mm: 10_000,
            time_ms: 2_000,
            vehicle_count: 1,
            queue_mm: 7,
            ..SegmentSums::default()
        };
        sums.add(SegmentId(1), &one);
        sums.add(SegmentId(1), &one);
        assert_eq!(sums.get(SegmentId(1)).vehicle_count, 2);
        assert_eq!(sums.get(SegmentId(1)).queue_mm, 7);
        assert_eq!(sums.get(SegmentId(1)).speed_mps(), Some(5.0));
        assert_eq!(sums.touched_count(), 1);
        sums.clear();
        assert_eq!(sums, BinSums::new(3));
        assert_eq!(sums.get(SegmentId(1)).speed_mps(), None);
    }
}
