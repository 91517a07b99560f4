//! What is usual on segments as somebody else has learnt it: where a run starts that has seen nothing
//! yet.

/// Quarters of an hour of a day.
pub const QUARTERS: usize = 96;
/// Workdays, then days off.
pub const DAY_KINDS: usize = 2;
const CELLS: usize = DAY_KINDS * QUARTERS;

/// Mean speeds of segments by quarter of an hour, local time, of workdays and of days off, and their
/// speeds of free flow; cm/s, 0 where unknown.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct UsualSpeeds {
    free_flow_cmps: Vec<u16>,
    /// `[segment][kind][quarter]`.
    speed_cmps: Vec<u16>,
    /// Days behind each, 255 at most.
    days: Vec<u8>,
}

fn to_cmps(speed_mps: f32) -> u16 {
    (100.0 * speed_mps).round().clamp(1.0, 65_535.0) as u16
}

fn to_mps(speed_cmps: u16) -> Option<f32> {
    (speed_cmps > 0).then_some(f32::from(speed_cmps) / 100.0)
}

impl UsualSpeeds {
    /// Of `segments` segments, of which nothing is known.
    pub fn unknown(segments: usize) -> Self {
        Self {
            free_flow_cmps: vec![0; segments],
            speed_cmps: vec![0; CELLS * segments],
            days: vec![0; CELLS * segments],
        }
    }

    /// How many segments it tells of.
    pub fn segment_count(&self) -> usize {
        self.free_flow_cmps.len()
    }

    /// Of how many of them something is known.
    pub fn known_count(&self) -> usize {
        let days = self.days.chunks_exact(CELLS);
        days.filter(|days| days.iter().any(|&days| days > 0))
            .count()
    }

    /// Says how fast unhindered traffic is on a segment, m/s.
    ///
    /// # Panics
    /// When there is no such segment.
    pub fn set_free_flow(&mut self, segment: usize, speed_mps: f32) {
        self.free_flow_cmps[segment] = to_cmps(speed_mps);
    }

    /// Says what is usual on a segment in one quarter of an hour, m/s, as seen on so many days.
    ///
    /// # Panics
    /// When there is no such segment, kind of day or quarter.
    pub fn set(&mut self, segment: usize, kind: usize, quarter: usize, speed_mps: f32, days: u32) {
        assert!(
            kind < DAY_KINDS && quarter < QUARTERS,
            "kind {kind}, quarter {quarter}"
        );
        let cell = segment * CELLS + kind * QUARTERS + quarter;
        self.speed_cmps[cell] = to_cmps(speed_mps);
        self.days[cell] = days.min(u32::from(u8::MAX)) as u8;
    }

    /// How fast unhindered traffic is on a segment, m/s.
    pub(super) fn free_flow_mps(&self, segment: usize) -> Option<f32> {
        to_mps(self.free_flow_cmps[segment])
    }

    /// The usual speed of a segment in one quarter of an hour, cm/s, and the days behind it.
    pub(super) fn get(&self, segment: usize, kind: usize, quarter: usize) -> Option<(u16, u16)> {
        let cell = segment * CELLS + kind * QUARTERS + quarter;
        (self.days[cell] > 0).then(|| (self.speed_cmps[cell], u16::from(self.days[cell])))
    }

    /// The same for other segments, `told_by` each the one of these that tells of it.
    ///
    /// # Panics
    /// When one of those is not there.
    #[must_use]
    pub fn told_by(&self, told_by: &[Option<u32>]) -> Self {
        let mut told = Self::unknown(told_by.len());
        for (segment, from) in told_by.iter().enumerate() {
            let Some(from) = from.map(|from| from as usize) else {
                continue;
            };
            let (to, from_cells) = (segment * CELLS, from * CELLS..(from + 1) * CELLS);
            told.free_flow_cmps[segment] = self.free_flow_cmps[from];
            told.speed_cmps[to..to + CELLS].copy_from_slice(&self.speed_cmps[from_cells.clone()]);
            told.days[to..to + CELLS].copy_from_slice(&self.days[from_cells]);
        }
        told
    }

    /// As bytes, two a segment and three a quarter of an hour.
    pub fn to_bytes(&self) -> Vec<u8> {
        let speeds = self.free_flow_cmps.iter().chain(&self.speed_cmps);
        let mut bytes: Vec<u8> = speeds.flat_map(|speed| speed.to_le_bytes()).collect();
        bytes.extend_from_slice(&self.days);
        bytes
    }

    /// Reads what [`UsualSpeeds::to_bytes`] gave of so many segments; `None` if there are not as many
    /// bytes as that takes, or a speed is missing.
    pub fn from_bytes(segments: usize, bytes: &[u8]) -> Option<Self> {
        let cells = segments.checked_mul(CELLS)?;
        let (free_flow, rest) = bytes.split_at_checked(segments.checked_mul(2)?)?;
        let (speeds, days) = rest.split_at_checked(cells.checked_mul(2)?)?;
        let numbers = |bytes: &[u8]| -> Vec<u16> {
            let pairs = bytes.as_chunks().0.iter().copied();
            pairs.map(u16::from_le_bytes).collect()
        };
        let read = Self {
            free_flow_cmps: numbers(free_flow),
            speed_cmps: numbers(speeds),
            days: days.to_vec(),
        };
        let mut pairs = read.speed_cmps.iter().zip(&read.days);
        let is_whole =
            days.len() == cells && pairs.all(|(&speed, &days)| (speed > 0) == (days > 0));
        is_whole.then_some(read)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn bytes_give_back_what_was_set_and_others_are_refused() {
        let mut usual = UsualSpeeds::unknown(3);
        usual.set_free_flow(1, 13.9);
        usual.set(1, 0, 32, 6.25, 4);
        usual.set(1, 1, 95, 0.001, 1_000);
        assert_eq!((usual.segment_count(), usual.known_count()), (3, 1));
        assert_eq!(usual.get(1, 0, 32), Some((625, 4)));
        assert_eq!(usual.get(1, 1, 95), Some((1, 255)), "bounded");
        assert_eq!(usual.get(1, 1, 32), None);
        let mut bytes = usual.to_bytes();
        assert_eq!(UsualSpeeds::from_bytes(3, &bytes), Some(usual.clone()));
        assert_eq!(UsualSpeeds::from_bytes(2, &bytes), None);
        let moved = usual.told_by(&[Some(1), None]);
        assert_eq!(moved.get(0, 0, 32), Some((625, 4)));
        assert_eq!(moved.free_flow_mps(0), Some(13.9));
        assert_eq!((moved.free_flow_mps(1), moved.known_count()), (None, 1));
        if let Some(last) = bytes.last_mut() {
            *last = 7; // Days without a speed.
        }
        assert_eq!(UsualSpeeds::from_bytes(3, &bytes), None);
    }
}
