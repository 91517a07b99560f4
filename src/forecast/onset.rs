//! Whether the beginning of congestion is forecast: hits, false alarms, lead time.
//!
//! Congestion is a value below 0.6 of free flow for at least three steps; its onset is the first of
//! these after at least three steps without. A forecast announces an onset when its medians fall
//! below for three steps while the newest value does not lie below. An onset is hit when a
//! forecast issued in the hour before announced it to within two steps; announcements without a
//! break are one alarm, and an alarm is false when none of its announcements met an onset. Where the
//! truth of the three announced steps is not known, the announcement counts for nothing.
//!
//! Backtests and the running engine count with the same [`OnsetBook`], row by row.

use super::snapshot::{Reader, SnapshotError, put_bytes, put_f64, put_u32};
use super::{STEP_COUNT, STEP_MS};

/// Share of free flow below which a value is congested.
pub const CONGESTED_BELOW: f32 = 0.6;
/// Steps that congestion must last, and that must be free before its onset.
const LASTING: usize = 3;
/// Steps that an announcement may be off.
const TOLERANCE: usize = 2;
/// Announcements kept of a segment.
const KEPT: usize = OnsetBook::JUDGED_AFTER + 1;

/// How well onsets are forecast. Counts are no whole numbers where older ones fade.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct OnsetScores {
    /// Onsets in the truth.
    pub onsets: f64,
    /// Those that were announced.
    pub hits: f64,
    /// Alarms that were judged: announcements without a break.
    pub alarms: f64,
    /// Alarms that met no onset.
    pub false_alarms: f64,
    /// Sum over the hits of the steps from the first announcement that met the onset to the onset.
    lead_steps: f64,
}

impl OnsetScores {
    /// Mean time from the first announcement that met an onset to the onset, minutes; `None` without
    /// a hit.
    pub fn lead_min(&self) -> Option<f64> {
        let minutes = STEP_MS as f64 / 60_000.0;
        (self.hits > 0.0).then(|| self.lead_steps * minutes / self.hits)
    }

    /// Share of the onsets that were announced; `None` without any.
    pub fn hit_rate(&self) -> Option<f64> {
        (self.onsets > 0.0).then(|| self.hits / self.onsets)
    }

    /// Share of the alarms that met no onset; `None` without any.
    pub fn false_alarm_rate(&self) -> Option<f64> {
        (self.alarms > 0.0).then(|| self.false_alarms / self.alarms)
    }

    fn as_array(&self) -> [f64; 5] {
        let Self {
            onsets,
            hits,
            alarms,
            false_alarms,
            lead_steps,
        } = *self;
        [onsets, hits, alarms, false_alarms, lead_steps]
    }

    const fn from_array([onsets, hits, alarms, false_alarms, lead_steps]: [f64; 5]) -> Self {
        Self {
            onsets,
            hits,
            alarms,
            false_alarms,
            lead_steps,
        }
    }
}

/// Whether a value counts as congested.
pub(super) fn is_congested(value: f32, free_flow: f32) -> bool {
    value < CONGESTED_BELOW * free_flow
}

/// The step from 1 at which medians announce an onset; 0 for none.
fn announced_step(free_flow: f32, median: impl Fn(usize) -> f32) -> u8 {
    let mut lasting = 0;
    for step in 0..STEP_COUNT {
        lasting = if is_congested(median(step), free_flow) {
            lasting + 1
        } else {
            0
        };
        if lasting == LASTING {
            return (step + 2 - LASTING) as u8;
        }
    }
    0
}

/// The newest rows of one segment; bit `k` is `k` rows before the newest.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Rows {
    known: u32,
    congested: u32,
    onset: u32,
}

impl Rows {
    /// Takes the next row; says whether it shows that an onset lay `LASTING - 1` rows before it.
    fn push(&mut self, is_congested: Option<bool>) -> bool {
        self.known = self.known << 1 | u32::from(is_congested.is_some());
        self.congested = self.congested << 1 | u32::from(is_congested == Some(true));
        self.onset <<= 1;
        let looked_at = (1 << (2 * LASTING)) - 1;
        let found =
            self.known & looked_at == looked_at && self.congested & looked_at == (1 << LASTING) - 1;
        if found {
            self.onset |= 1 << (LASTING - 1);
        }
        found
    }
}

/// Whether alarms stand.
const NO_ALARM: u8 = 0;
const UNMET: u8 = 1;
const MET: u8 = 2;

/// Follows what was announced and what happened, row by row, on a number of segments.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct OnsetBook {
    segments: usize,
    /// Where in the rings the newest row lies, below [`KEPT`].
    slot: usize,
    rows: Vec<Rows>,
    /// Step from 1 at which an onset is announced, 0 for none: `[forecaster][segment][slot]`.
    announced: Vec<u8>,
    /// Whether an alarm stands in what is judged: `[forecaster][segment]`.
    alarm: Vec<u8>,
    scores: Vec<OnsetScores>,
}

impl OnsetBook {
    /// Rows after which all that an announcement can meet is known: the last step, the tolerance,
    /// and the steps that an onset must last to be one.
    pub(super) const JUDGED_AFTER: usize = STEP_COUNT + TOLERANCE + LASTING - 1;

    /// Starts without any past.
    pub(super) fn new(forecasters: usize, segments: usize) -> Self {
        Self {
            segments,
            slot: 0,
            rows: vec![Rows::default(); segments],
            announced: vec![0; forecasters * segments * KEPT],
            alarm: vec![NO_ALARM; forecasters * segments],
            scores: vec![OnsetScores::default(); forecasters],
        }
    }

    /// The same scores, with nothing remembered of `segments` segments.
    pub(super) fn forget(&mut self, segments: usize) {
        let scores = std::mem::take(&mut self.scores);
        *self = Self::new(scores.len(), segments);
        self.scores = scores;
    }

    /// How many segments are followed.
    pub(super) fn segment_count(&self) -> usize {
        self.segments
    }

    /// What one forecaster scored.
    pub(super) fn scores(&self, forecaster: usize) -> OnsetScores {
        self.scores[forecaster]
    }

    /// Lets what was counted count `keep` of what it did.
    pub(super) fn fade(&mut self, keep: f64) {
        for scores in &mut self.scores {
            *scores = OnsetScores::from_array(scores.as_array().map(|sum| keep * sum));
        }
    }

    /// Takes the next row of truths: whether each segment was congested, where that is known.
    pub(super) fn take_row(&mut self, truth: impl Fn(usize) -> Option<bool>) {
        self.slot = (self.slot + 1) % KEPT;
        for segment in 0..self.segments {
            let has_begun = self.rows[segment].push(truth(segment));
            for forecaster in 0..self.scores.len() {
                if has_begun {
                    self.count_onset(forecaster, segment);
                }
                self.judge(forecaster, segment);
                self.announced[(forecaster * self.segments + segment) * KEPT + self.slot] = 0;
            }
        }
    }

    /// Takes the medians that a forecaster issued for one segment on the newest row.
    /// `is_congested_now` is asked where the truth of that row is not known.
    pub(super) fn announce(
        &mut self,
        forecaster: usize,
        segment: usize,
        free_flow: f32,
        is_congested_now: bool,
        median: impl Fn(usize) -> f32,
    ) {
        let Rows {
            known, congested, ..
        } = self.rows[segment];
        let is_congested_now = if known & 1 == 1 {
            congested & 1 == 1
        } else {
            is_congested_now
        };
        if !is_congested_now {
            let at = (forecaster * self.segments + segment) * KEPT + self.slot;
            self.announced[at] = announced_step(free_flow, median);
        }
    }

    /// What was announced `ago` rows before the newest; 0 for nothing.
    fn announced(&self, forecaster: usize, segment: usize, ago: usize) -> usize {
        let slot = (self.slot + KEPT - ago) % KEPT;
        usize::from(self.announced[(forecaster * self.segments + segment) * KEPT + slot])
    }

    /// An onset lay `LASTING - 1` rows before the newest: looks for who announced it in the hour
    /// before.
    fn count_onset(&mut self, forecaster: usize, segment: usize) {
        let onset_ago = LASTING - 1;
        let met = (1..=STEP_COUNT).rev().find(|&lead| {
            let step = self.announced(forecaster, segment, onset_ago + lead);
            step > 0 && step.abs_diff(lead) <= TOLERANCE
        });
        let scores = &mut self.scores[forecaster];
        scores.onsets += 1.0;
        if let Some(lead) = met {
            scores.hits += 1.0;
            scores.lead_steps += lead as f64;
        }
    }

    /// Judges what was announced on the oldest row kept.
    fn judge(&mut self, forecaster: usize, segment: usize) {
        let step = self.announced(forecaster, segment, Self::JUDGED_AFTER);
        let Rows { known, onset, .. } = self.rows[segment];
        let alarm = &mut self.alarm[forecaster * self.segments + segment];
        if step == 0 {
            let scores = &mut self.scores[forecaster];
            if *alarm != NO_ALARM {
                scores.alarms += 1.0;
                scores.false_alarms += f64::from(u8::from(*alarm == UNMET));
            }
            *alarm = NO_ALARM;
            return;
        }
        let ago = Self::JUDGED_AFTER - step;
        let announced_rows = ((1 << LASTING) - 1) << (ago + 1 - LASTING);
        let near = ((1 << (2 * TOLERANCE + 1)) - 1) << (ago - TOLERANCE);
        if onset & near != 0 {
            *alarm = MET;
        } else if known & announced_rows == announced_rows && *alarm == NO_ALARM {
            *alarm = UNMET;
        }
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        put_u32(out, self.segments as u32);
        put_u32(out, self.slot as u32);
        for rows in &self.rows {
            for bits in [rows.known, rows.congested, rows.onset] {
                put_u32(out, bits);
            }
        }
        put_bytes(out, &self.announced);
        put_bytes(out, &self.alarm);
        for scores in &self.scores {
            for sum in scores.as_array() {
                put_f64(out, sum);
            }
        }
    }

    /// Reads what [`OnsetBook::snapshot`] wrote of so many forecasters and at most `segments_max`
    /// segments.
    pub(super) fn restore(
        reader: &mut Reader<'_>,
        forecasters: usize,
        segments_max: usize,
    ) -> Result<Self, SnapshotError> {
        let segments = reader.u32()? as usize;
        if segments > segments_max {
            return Err(reader.malformed());
        }
        let mut book = Self::new(forecasters, segments);
        book.slot = reader.u32()? as usize % KEPT;
        for rows in &mut book.rows {
            *rows = Rows {
                known: reader.u32()?,
                congested: reader.u32()?,
                onset: reader.u32()?,
            };
        }
        book.announced = reader.bytes(book.announced.len())?;
        book.alarm = reader.bytes(book.alarm.len())?;
        for scores in &mut book.scores {
            let mut sums = [0.0; 5];
            for sum in &mut sums {
                *sum = reader.f64()?;
            }
            *scores = OnsetScores::from_array(sums);
        }
        Ok(book)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 40 from row 30 to 39, 100 before and after.
    fn is_jam(row: usize) -> bool {
        (30..40).contains(&row)
    }

    /// Feeds rows 0 to 79 and, on rows 20 to 47, medians of 40 from step `from(row)` on (from 0) and
    /// of 100 before, and returns the scores.
    fn run(truth: impl Fn(usize) -> Option<bool>, from: impl Fn(usize) -> usize) -> OnsetScores {
        let mut book = OnsetBook::new(1, 1);
        for row in 0..80 {
            book.take_row(|_| truth(row));
            if (20..48).contains(&row) {
                let median = |step| if step >= from(row) { 40.0 } else { 100.0 };
                book.announce(0, 0, 100.0, false, median);
            }
            let mut bytes = Vec::new();
            book.snapshot(&mut bytes);
            let mut versioned = 1u32.to_le_bytes().to_vec();
            versioned.extend(bytes);
            let mut reader = Reader::new(&versioned, 1).unwrap();
            let restored = OnsetBook::restore(&mut reader, 1, 1).unwrap();
            reader.finish().unwrap();
            assert_eq!(restored, book);
            book = restored;
        }
        book.scores(0)
    }

    #[test]
    fn an_announced_onset_is_a_hit_with_its_lead() {
        // From row 24 on the jam is announced for row 31, one step late.
        let scores = run(
            |row| Some(is_jam(row)),
            |row| match row {
                24..30 => 31 - row - 1,
                _ => STEP_COUNT,
            },
        );
        assert_eq!(scores.as_array()[..4], [1.0, 1.0, 1.0, 0.0]);
        assert_eq!(scores.lead_min(), Some(30.0));
        assert_eq!(scores.hit_rate(), Some(1.0));
    }

    #[test]
    fn an_alarm_without_a_jam_is_false_and_a_silent_forecast_hits_nothing() {
        // Announced when it is long over; while it lasts nothing is announced.
        let from = |row| if row >= 42 { 2 } else { STEP_COUNT };
        let scores = run(|row| Some(is_jam(row)), from);
        assert_eq!(scores.as_array()[..4], [1.0, 0.0, 1.0, 1.0]);
        assert_eq!(scores.lead_min(), None);
    }

    #[test]
    fn nobody_is_blamed_where_the_truth_is_unknown() {
        let from = |row| if row >= 42 { 2 } else { STEP_COUNT };
        let truth = |row: usize| (row < 42).then(|| is_jam(row));
        let scores = run(truth, from);
        assert_eq!(scores.as_array()[..4], [1.0, 0.0, 0.0, 0.0]);
    }

    #[test]
    fn counts_fade() {
        let mut book = OnsetBook::new(2, 1);
        for row in 0..40 {
            book.take_row(|_| Some(is_jam(row)));
        }
        book.fade(0.5);
        assert!((book.scores(1).onsets - 0.5).abs() < 1e-12);
        book.forget(3);
        assert!((book.scores(0).onsets - 0.5).abs() < 1e-12);
        assert_eq!(book.segment_count(), 3);
    }
}
