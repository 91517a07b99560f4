//! What flow is usual on counted segments: by workday and day off and five-minute slot.

use std::collections::VecDeque;

use super::super::SpeedProfile;
use super::super::snapshot::{Reader, SnapshotError, put_f32s, put_i64, put_u32};
use super::super::usual::{KINDS, SLOTS, SMOOTHING, Sum, kind_and_slot, usual};
use crate::state::Calendar;
use crate::units::{SegmentId, Timestamp};

/// Samples after which a slot forgets: about thirty days, as speed profiles do.
const SAMPLES_MAX: f32 = 30.0;
/// Steps that wait before they count, two hours: what is usual must not hold the last hour, which
/// forecasts hold against it.
const WAITING: usize = 24;
/// Smallest scale of a segment, veh/h.
const SCALE_MIN_VPH: f32 = 60.0;

/// Mean flow, veh/h, and samples behind it.
type Slot = (f32, f32);

/// The profile of every counted segment, called columns here and numbered from 0.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct FlowProfile {
    calendar: Calendar,
    /// `[column][kind][slot]`.
    slots: Vec<Slot>,
    /// Of all times, by column.
    means: Vec<Slot>,
    /// The largest usual flow so far, by column.
    most_vph: Vec<f32>,
    /// Steps that do not count yet, oldest first; not a number where nothing was counted.
    waiting: VecDeque<(Timestamp, Vec<f32>)>,
}

fn take(slot: &mut Slot, value: f32, most: f32) {
    slot.1 = (slot.1 + 1.0).min(most);
    slot.0 += (value - slot.0) / slot.1;
}

impl FlowProfile {
    pub(super) const fn new(calendar: Calendar) -> Self {
        Self {
            calendar,
            slots: Vec::new(),
            means: Vec::new(),
            most_vph: Vec::new(),
            waiting: VecDeque::new(),
        }
    }

    /// Has so many columns from now on; new ones know nothing.
    pub(super) fn grow(&mut self, columns: usize) {
        self.slots.resize(columns * KINDS * SLOTS, (0.0, 0.0));
        self.means.resize(columns, (0.0, 0.0));
        self.most_vph.resize(columns, SCALE_MIN_VPH);
        for (_, row) in &mut self.waiting {
            row.resize(columns, f32::NAN);
        }
    }

    /// Takes the flows of a finished step, veh/h, not a number where nothing was counted.
    pub(super) fn push(&mut self, start: Timestamp, flows_vph: Vec<f32>) {
        for (column, &flow_vph) in flows_vph.iter().enumerate() {
            if !flow_vph.is_nan() {
                take(&mut self.means[column], flow_vph, f32::MAX);
            }
        }
        self.waiting.push_back((start, flows_vph));
        if self.waiting.len() <= WAITING {
            return;
        }
        let Some((start, row)) = self.waiting.pop_front() else {
            return;
        };
        let (kind, slot) = kind_and_slot(&self.calendar, start);
        for (column, flow_vph) in row.into_iter().enumerate() {
            if !flow_vph.is_nan() {
                let slot = &mut self.slots[(column * KINDS + kind) * SLOTS + slot];
                take(slot, flow_vph, SAMPLES_MAX);
                self.most_vph[column] = self.most_vph[column].max(slot.0);
            }
        }
    }

    /// Sum of flows and samples around a slot of one kind of day.
    fn around(&self, column: usize, kind: usize, slot: usize) -> Sum {
        let of_kind = &self.slots[(column * KINDS + kind) * SLOTS..][..SLOTS];
        let near =
            (SLOTS + slot - SMOOTHING..=SLOTS + slot + SMOOTHING).map(|at| of_kind[at % SLOTS]);
        near.fold((0.0, 0.0), |(sum, count), (mean, samples)| {
            (sum + samples * mean, count + samples)
        })
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        let pairs = |slots: &[Slot]| -> Vec<f32> {
            slots
                .iter()
                .flat_map(|&(mean, samples)| [mean, samples])
                .collect()
        };
        put_f32s(out, &pairs(&self.slots));
        put_f32s(out, &pairs(&self.means));
        put_f32s(out, &self.most_vph);
        put_u32(out, self.waiting.len() as u32);
        for (start, row) in &self.waiting {
            put_i64(out, start.as_millis());
            put_f32s(out, row);
        }
    }

    /// Reads what [`FlowProfile::snapshot`] wrote about so many columns.
    pub(super) fn restore(
        reader: &mut Reader<'_>,
        calendar: Calendar,
        columns: usize,
    ) -> Result<Self, SnapshotError> {
        let mut pairs = |count: usize| -> Result<Vec<Slot>, SnapshotError> {
            let numbers = reader.f32s(2 * count)?;
            let (pairs, _none_left) = numbers.as_chunks::<2>();
            Ok(pairs
                .iter()
                .map(|&[mean, samples]| (mean, samples))
                .collect())
        };
        let mut profile = Self::new(calendar);
        profile.slots = pairs(columns * KINDS * SLOTS)?;
        profile.means = pairs(columns)?;
        profile.most_vph = reader.f32s(columns)?;
        let waiting = reader.u32()? as usize;
        if waiting > WAITING {
            return Err(reader.malformed());
        }
        for _ in 0..waiting {
            let start = Timestamp::from_millis(reader.i64()?);
            profile.waiting.push_back((start, reader.f32s(columns)?));
        }
        Ok(profile)
    }
}

/// The quantity is flow, veh/h: a column's usual flow, and as its scale the largest.
impl SpeedProfile for FlowProfile {
    fn speed_mps(&self, column: SegmentId, at: Timestamp) -> f32 {
        let column = column.index();
        let (kind, slot) = kind_and_slot(&self.calendar, at);
        let (same, other) = (
            self.around(column, kind, slot),
            self.around(column, 1 - kind, slot),
        );
        usual(same, other, self.means[column].0)
    }

    fn free_flow_mps(&self, column: SegmentId) -> f32 {
        self.most_vph[column.index()].max(self.means[column.index()].0)
    }
}
