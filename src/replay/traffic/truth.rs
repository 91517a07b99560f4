//! What really happened, by segment and minute: the yardstick for everything estimated from it.

use std::collections::VecDeque;

use super::history::{ROW_S, Series};
use crate::units::{Interval, SegmentId, Timestamp};

/// Minutes kept; older ones are forgotten.
const MINUTES_MAX: usize = 240;

/// Sums of one minute.
#[derive(Clone, Debug, PartialEq)]
pub struct TruthMinute {
    /// Which minute.
    pub interval: Interval,
    distance_m: Vec<f32>,
    time_s: Vec<f32>,
    entered: Vec<u16>,
}

impl TruthMinute {
    fn new(start: Timestamp, segments: usize) -> Self {
        Self {
            interval: Interval {
                start,
                end: start.plus_secs(60),
            },
            distance_m: vec![0.0; segments],
            time_s: vec![0.0; segments],
            entered: vec![0; segments],
        }
    }

    /// Space-mean speed in m/s (distance over time of all vehicles, Edie 1963); `None` when no
    /// vehicle was there.
    pub fn speed_mps(&self, segment: SegmentId) -> Option<f32> {
        let time_s = self.time_s[segment.index()];
        (time_s > 0.0).then(|| self.distance_m[segment.index()] / time_s)
    }

    /// Vehicles that entered in the minute.
    pub fn entered(&self, segment: SegmentId) -> u32 {
        u32::from(self.entered[segment.index()])
    }

    /// Mean number of vehicles on the segment.
    pub fn mean_present(&self, segment: SegmentId) -> f32 {
        self.time_s[segment.index()] / 60.0
    }
}

/// The last four hours of truth.
#[derive(Clone, Debug)]
pub struct Truth {
    segments: usize,
    closed: VecDeque<TruthMinute>,
    open: TruthMinute,
}

impl Truth {
    pub(super) fn new(start: Timestamp, segments: usize) -> Self {
        Self {
            segments,
            closed: VecDeque::new(),
            open: TruthMinute::new(start.floor_to(60_000), segments),
        }
    }

    /// Closed minutes, oldest first.
    pub fn minutes(&self) -> &VecDeque<TruthMinute> {
        &self.closed
    }

    /// The newest closed minute.
    pub fn newest(&self) -> Option<&TruthMinute> {
        self.closed.back()
    }

    pub(super) fn roll(&mut self, now: Timestamp) {
        if now >= self.open.interval.end {
            let fresh = TruthMinute::new(now.floor_to(60_000), self.segments);
            self.closed
                .push_back(std::mem::replace(&mut self.open, fresh));
            if self.closed.len() > MINUTES_MAX {
                self.closed.pop_front();
            }
        }
    }

    pub(super) fn drove(&mut self, segment: u32, distance_m: f32, time_s: f32) {
        self.open.distance_m[segment as usize] += distance_m;
        self.open.time_s[segment as usize] += time_s;
    }

    pub(super) fn entered(&mut self, segment: u32) {
        let count = &mut self.open.entered[segment as usize];
        *count = count.saturating_add(1);
    }

    /// Five-minute speeds of the closed minutes, whole rows only; NaN where no vehicle was.
    pub fn series(&self) -> Series {
        let row_ms = i64::from(ROW_S) * 1000;
        let first = self
            .closed
            .front()
            .map_or(Timestamp::default(), |m| m.interval.start);
        let start = first.ceil_to(row_ms);
        let mut speeds_mps = Vec::new();
        let minutes: Vec<&TruthMinute> = self
            .closed
            .iter()
            .filter(|m| m.interval.start >= start)
            .collect();
        for row in minutes.chunks_exact(ROW_S as usize / 60) {
            for segment in 0..self.segments {
                let distance_m: f32 = row.iter().map(|m| m.distance_m[segment]).sum();
                let time_s: f32 = row.iter().map(|m| m.time_s[segment]).sum();
                speeds_mps.push(if time_s > 0.0 {
                    distance_m / time_s
                } else {
                    f32::NAN
                });
            }
        }
        Series {
            start,
            step_s: ROW_S,
            segments: self.segments,
            speeds_mps,
            events: Vec::new(),
        }
    }
}
