//! A minute of one table as it lies in memory and in the journal.

use crate::state::{Doubt, Level, Provenance, SegmentState, StateBatch};
use crate::units::{SegmentId, Timestamp};

/// Bytes of one state in a block.
pub(super) const ROW_BYTES: usize = 36;
/// Stands for an age that is not told, and for ages that do not fit.
const NO_AGE: u16 = u16::MAX;

/// The rows of a minute.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Block {
    /// Start of the minute.
    pub(super) start: Timestamp,
    /// How many rows.
    pub(super) row_count: usize,
    /// States of [`ROW_BYTES`] in segment order, or a JSON object a line.
    pub(super) bytes: Vec<u8>,
}

/// One state as it is archived: speeds in hundredths, as they are published.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct StateRow {
    pub(super) segment: u32,
    /// Speed, sigma, free-flow speed, usual speed and its sigma, cm/s.
    pub(super) speeds_cmps: [u16; 5],
    /// Flow veh/h, density veh/km, queue m; NaN where not known.
    pub(super) known: [f32; 3],
    pub(super) samples: u16,
    pub(super) views: u8,
    pub(super) level: Level,
    pub(super) provenance: Provenance,
    pub(super) doubt: Doubt,
    pub(super) age_s: Option<u16>,
}

fn hundredths(value: f32) -> u16 {
    (value * 100.0).round() as u16
}

impl StateRow {
    fn of(segment: u32, state: &SegmentState) -> Self {
        let speeds = [
            state.speed_mps,
            state.sigma_mps,
            state.free_flow_mps,
            state.usual_mps,
            state.usual_sigma_mps,
        ];
        let known = [state.flow_vph, state.density_vpkm, state.queue_length_m];
        let two_decimals = |value: f32| (f64::from(value) * 100.0).round() / 100.0;
        Self {
            segment,
            speeds_cmps: speeds.map(hundredths),
            known: known.map(|value| value.map_or(f32::NAN, |value| two_decimals(value) as f32)),
            samples: u16::try_from(state.sample_count).unwrap_or(u16::MAX),
            views: if state.sample_count > 0 {
                state.view_count
            } else {
                0
            },
            level: state.level,
            provenance: state.provenance,
            doubt: state.doubt,
            age_s: (state.age_s).map(|age_s| u16::try_from(age_s).unwrap_or(NO_AGE - 1)),
        }
    }

    fn write(&self, out: &mut Vec<u8>) {
        let begin = out.len();
        out.extend_from_slice(&self.segment.to_le_bytes());
        for speed in self.speeds_cmps {
            out.extend_from_slice(&speed.to_le_bytes());
        }
        for number in self.known {
            out.extend_from_slice(&number.to_le_bytes());
        }
        out.extend_from_slice(&self.samples.to_le_bytes());
        out.extend_from_slice(&self.age_s.unwrap_or(NO_AGE).to_le_bytes());
        out.extend_from_slice(&[
            self.views,
            self.level as u8,
            self.provenance as u8,
            self.doubt as u8,
        ]);
        out.resize(begin + ROW_BYTES, 0);
    }

    /// Reads what [`StateRow::write`] wrote; labels out of range, which no journal that passes its
    /// checksum has, become the first of theirs.
    pub(super) fn read(bytes: &[u8; ROW_BYTES]) -> Self {
        let short = |at: usize| u16::from_le_bytes([bytes[at], bytes[at + 1]]);
        let word = |at: usize| [bytes[at], bytes[at + 1], bytes[at + 2], bytes[at + 3]];
        let age_s = short(28);
        Self {
            segment: u32::from_le_bytes(word(0)),
            speeds_cmps: [short(4), short(6), short(8), short(10), short(12)],
            known: [14, 18, 22].map(|at| f32::from_le_bytes(word(at))),
            samples: short(26),
            age_s: (age_s != NO_AGE).then_some(age_s),
            views: bytes[30],
            level: Level::from_code(bytes[31]),
            provenance: match bytes[32] {
                0 => Provenance::Observed,
                1 => Provenance::Estimated,
                _ => Provenance::Profile,
            },
            doubt: (Doubt::ALL.get(usize::from(bytes[33])).copied()).unwrap_or(Doubt::None),
        }
    }

    pub(super) fn speed_mps(&self) -> f32 {
        f32::from(self.speeds_cmps[0]) / 100.0
    }
}

impl Block {
    /// The states of a minute, those of which only the profile speaks where `profile_rows` says so.
    pub(super) fn of_states(batch: &StateBatch, profile_rows: bool) -> Self {
        let is_kept =
            |state: &SegmentState| profile_rows || state.provenance != Provenance::Profile;
        let mut bytes = Vec::with_capacity(batch.segments.len() * ROW_BYTES);
        for (state, segment) in batch.segments.iter().zip(0..) {
            if is_kept(state) {
                StateRow::of(segment, state).write(&mut bytes);
            }
        }
        Self {
            start: batch.interval.start,
            row_count: bytes.len() / ROW_BYTES,
            bytes,
        }
    }

    /// The state in `row`.
    pub(super) fn state(&self, row: usize) -> Option<StateRow> {
        let bytes = self.bytes.get(row * ROW_BYTES..)?;
        bytes.first_chunk().map(StateRow::read)
    }

    /// The segment in `row`.
    pub(super) fn segment(&self, row: usize) -> Option<u32> {
        let bytes = self.bytes.get(row * ROW_BYTES..)?;
        bytes.first_chunk().map(|word| u32::from_le_bytes(*word))
    }

    /// The first row of `segment` or of one behind it.
    pub(super) fn row_from(&self, segment: u32) -> usize {
        let (mut low, mut high) = (0, self.row_count);
        while low < high {
            let middle = low.midpoint(high);
            if self.segment(middle).is_some_and(|found| found < segment) {
                low = middle + 1;
            } else {
                high = middle;
            }
        }
        low
    }

    /// The state of `segment`, if it is kept.
    pub(super) fn state_of(&self, segment: SegmentId) -> Option<StateRow> {
        self.state(self.row_from(segment.0))
            .filter(|row| row.segment == segment.0)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::publish::format::fixture;

    #[test]
    fn states_come_back_as_they_are_published() {
        let network = fixture::network();
        let mut batch = fixture::state(&network);
        batch.segments[1].provenance = Provenance::Profile;
        batch.segments[2].sample_count = 0;
        let block = Block::of_states(&batch, true);
        assert_eq!(block.row_count, batch.segments.len());
        for (state, segment) in batch.segments.iter().zip(0..) {
            let row = block.state_of(SegmentId(segment)).expect("every segment");
            assert!((row.speed_mps() - state.speed_mps).abs() < 0.0051);
            assert_eq!((row.level, row.provenance), (state.level, state.provenance));
            assert_eq!(
                (row.doubt, row.age_s),
                (state.doubt, state.age_s.map(|_| 0))
            );
            assert_eq!(u32::from(row.samples), state.sample_count);
            assert_eq!(row.views > 0, state.sample_count > 0);
            assert_eq!(row.known[0].is_nan(), state.flow_vph.is_none());
        }
        let known = Block::of_states(&batch, false);
        assert_eq!(known.row_count, batch.segments.len() - 1);
        assert!(known.state_of(SegmentId(1)).is_none());
        // A flow that is not known is NaN, which equals nothing.
        let told = |block: &Block| format!("{:?}", block.state_of(SegmentId(2)));
        assert_eq!(told(&known), told(&block));
    }
}
