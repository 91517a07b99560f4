//! What the detectors say about one minute, segment by segment.
//!
//! It turns readings into measurements of segment speed with their own noise, counts and queues.
//! Constants marked as fitted come from comparing readings with the speeds of all vehicles in a
//! simulated hour at the 79 signal approaches of Bologna that have detectors.

use super::detector::{DetectorKind, DetectorPlace, DetectorTable};
use super::filter::Measurement;
use super::vetting::Detected;
use crate::network::{Network, Segment};
use crate::observation::DetectorReading;
use crate::units::{Interval, SegmentId};

/// Share of the limit driven on the part of a segment that an area detector does not cover
/// (fitted).
const UNCOVERED_RATIO: f32 = 0.85;

/// Standard deviation of the speed from an area detector over the whole segment, and what is
/// added per uncovered share, in units of the limit (fitted).
const AREA_SIGMA: (f32, f32) = (0.01, 0.12);

/// Shortest covered length that counts, m: below it the meaning of a mean speed is lost.
const AREA_LENGTH_MIN_M: f32 = 5.0;

/// Slowest speed of counted vehicles that still says how long they were there, m/s. Chosen: below it
/// they stand.
const AREA_SPEED_MIN_MPS: f32 = 0.1;

/// How much of a point speed's deviation from its own mean the speed of a signalised segment
/// shows, and the standard deviation of the rest in units of the limit (fitted).
const POINT_SLOPE: f32 = 0.5;
const POINT_SIGMA: f32 = 0.18;

/// Point detectors off signals: noise (0.08 v)², plus (0.15 v)² when one point stands for more
/// than 300 m, and space-mean from time-mean speed by v_t - sigma²/v_t with sigma 0.15 v_t
/// (methods of this project; the variance ratio is a default).
const POINT_NOISE: f32 = 0.08;
const POINT_FAR_NOISE: f32 = 0.15;
const POINT_FAR_M: f32 = 300.0;
const POINT_SPREAD: f32 = 0.15;

/// Weight of a new minute in a point detector's own mean speed: about a quarter of an hour.
const POINT_MEAN_WEIGHT: f32 = 1.0 / 15.0;

/// What the detectors of one segment say together.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct SegmentReading {
    pub(super) segment: SegmentId,
    /// Distance driven and time spent inside area detectors.
    area_m: f32,
    area_s: f32,
    area_length_m: f32,
    area_lanes: u8,
    point_count: f32,
    point_speed_sum_mps: f32,
    point_lanes: u8,
    /// Length of the readings' interval, s.
    interval_s: f32,
    /// Longest queue at the end of the segment, m.
    pub(super) queue_m: Option<f32>,
}

impl SegmentReading {
    fn new(segment: SegmentId, interval_s: f32) -> Self {
        Self {
            segment,
            area_m: 0.0,
            area_s: 0.0,
            area_length_m: 0.0,
            area_lanes: 0,
            point_count: 0.0,
            point_speed_sum_mps: 0.0,
            point_lanes: 0,
            interval_s,
            queue_m: None,
        }
    }

    /// Adds a reading; `is_first` says whether it is the first of its detector in the minute.
    fn take(
        &mut self,
        segment: &Segment,
        place: &DetectorPlace,
        reading: &DetectorReading,
        is_first: bool,
    ) {
        let lane = u8::from(is_first);
        let speed_mps = reading.speed_mps.unwrap_or(0.0).max(0.0);
        match place.kind {
            DetectorKind::Area => {
                let seconds = match reading.sampled_seconds {
                    Some(seconds) => seconds.max(0.0),
                    None => passing_s(reading, place.length_m),
                };
                self.area_lanes = self.area_lanes.saturating_add(lane);
                self.area_s += seconds;
                self.area_m += seconds * speed_mps;
                self.area_length_m = self.area_length_m.max(place.length_m);
                let covered_end_m = place.offset_m + place.length_m;
                if let Some(queue_m) = reading.queue_length_m
                    && covered_end_m > segment.length_m - 10.0
                {
                    self.queue_m = Some(self.queue_m.unwrap_or(0.0).max(queue_m.max(0.0)));
                }
            }
            DetectorKind::Point => {
                self.point_lanes = self.point_lanes.saturating_add(lane);
                if reading.speed_mps.is_some() && reading.vehicle_count > 0.0 {
                    self.point_count += reading.vehicle_count;
                    self.point_speed_sum_mps += reading.vehicle_count * speed_mps;
                }
            }
        }
    }

    /// The speed of all vehicles on the segment after its area detectors.
    ///
    /// Vehicles on the uncovered part are added at cruising speed, as many as passed the covered
    /// one.
    pub(super) fn area_measurement(&self, segment: &Segment) -> Option<Measurement> {
        if self.area_s < 1.0 || self.area_length_m < AREA_LENGTH_MIN_M {
            return None;
        }
        let lanes = f32::from(segment.lanes.max(1));
        let missing_lanes = 1.0 - (f32::from(self.area_lanes) / lanes).min(1.0);
        let uncovered_m = (segment.length_m - self.area_length_m).max(0.0);
        let passes = self.area_m / self.area_length_m;
        let far_m = passes * uncovered_m;
        let far_s = far_m / (UNCOVERED_RATIO * segment.limit_mps);
        let speed_mps = (self.area_m + far_m) / (self.area_s + far_s);
        let unseen = uncovered_m / segment.length_m + missing_lanes;
        let sigma = AREA_SIGMA.0 + AREA_SIGMA.1 * unseen;
        Some(Measurement {
            ratio: speed_mps / segment.limit_mps,
            variance: sigma * sigma,
        })
    }

    /// Mean point speed over limit, if anybody passed.
    pub(super) fn point_ratio(&self, segment: &Segment) -> Option<f32> {
        (self.point_count > 0.0)
            .then(|| self.point_speed_sum_mps / self.point_count / segment.limit_mps)
    }

    /// The speed of all vehicles on the segment after its point detectors.
    ///
    /// Off signals a point speed is the segment's speed. Before a signal it is not, but where it
    /// leaves its own mean (`mean`), the segment leaves its level (`level`) too.
    pub(super) fn point_measurement(
        &self,
        segment: &Segment,
        level: f32,
        mean: f32,
    ) -> Option<Measurement> {
        let ratio = self.point_ratio(segment)?;
        if segment.is_signalised() {
            return Some(Measurement {
                ratio: (level + POINT_SLOPE * (ratio - mean)).clamp(0.0, 1.1),
                variance: POINT_SIGMA * POINT_SIGMA,
            });
        }
        let far = if segment.length_m > POINT_FAR_M {
            POINT_FAR_NOISE
        } else {
            0.0
        };
        let few = POINT_SPREAD * POINT_SPREAD / self.point_count.max(1.0);
        let relative = POINT_NOISE * POINT_NOISE + far * far + few;
        Some(Measurement {
            ratio: ratio * (1.0 - POINT_SPREAD * POINT_SPREAD),
            variance: relative * ratio.max(0.1) * ratio.max(0.1),
        })
    }

    /// Vehicles counted at points, with their mean speed; where there are none, passes of the area.
    pub(super) fn detected(&self) -> Detected {
        if self.point_count > 0.0 {
            return Detected {
                count: self.point_count,
                speed_mps: self.point_speed_sum_mps / self.point_count,
            };
        }
        if self.area_length_m < AREA_LENGTH_MIN_M || self.area_s < 1.0 {
            return Detected::default();
        }
        Detected {
            count: self.area_m / self.area_length_m,
            speed_mps: self.area_m / self.area_s,
        }
    }

    /// The mean to compare the next minute's point speed with.
    pub(super) fn next_point_mean(mean: f32, ratio: f32) -> f32 {
        if mean > 0.0 {
            mean + POINT_MEAN_WEIGHT * (ratio - mean)
        } else {
            ratio
        }
    }

    /// Vehicles an hour over all lanes: counted at points, else by passes of the covered area,
    /// scaled up to lanes without detector.
    pub(super) fn flow_vph(&self, segment: &Segment) -> Option<f32> {
        let lanes = f32::from(segment.lanes.max(1));
        let (count, seen_lanes) = if self.point_lanes > 0 {
            (self.point_count, self.point_lanes)
        } else if self.area_length_m >= AREA_LENGTH_MIN_M {
            (self.area_m / self.area_length_m, self.area_lanes)
        } else {
            return None;
        };
        let scale = (lanes / f32::from(seen_lanes)).max(1.0);
        (self.interval_s > 0.0).then(|| count * scale * 3600.0 / self.interval_s)
    }
}

/// Vehicle-seconds inside an area of `length_m` whose detector counts vehicles and their mean speed
/// but not the time: that of all of them passing.
fn passing_s(reading: &DetectorReading, length_m: f32) -> f32 {
    reading.speed_mps.map_or(0.0, |speed_mps| {
        reading.vehicle_count.max(0.0) * length_m / speed_mps.max(AREA_SPEED_MIN_MPS)
    })
}

/// Gathers the readings that ended in `minute` by segment, in segment order. Readings of unknown
/// detectors and of other minutes are left out.
pub(super) fn gather(
    network: &Network,
    table: &DetectorTable,
    minute: Interval,
    readings: &[DetectorReading],
    into: &mut Vec<SegmentReading>,
) {
    into.clear();
    let mut placed: Vec<(&DetectorPlace, &DetectorReading)> = readings
        .iter()
        .filter(|reading| reading.ends_in(minute))
        .filter_map(|reading| Some((table.place(&reading.detector)?, reading)))
        .collect();
    placed.sort_by(|(a, one), (b, other)| {
        (a.segment, a.lane, a.kind, &one.detector, one.start).cmp(&(
            b.segment,
            b.lane,
            b.kind,
            &other.detector,
            other.start,
        ))
    });
    let mut last_detector: Option<&str> = None;
    let mut detector_s = 0.0;
    for (place, reading) in placed {
        if into.last().is_none_or(|last| last.segment != place.segment) {
            into.push(SegmentReading::new(place.segment, 0.0));
        }
        let is_first = last_detector != Some(&*reading.detector);
        last_detector = Some(&reading.detector);
        let reading_s = reading.end.millis_since(reading.start) as f32 / 1000.0;
        detector_s = if is_first { 0.0 } else { detector_s } + reading_s;
        if let Some(last) = into.last_mut() {
            last.interval_s = last.interval_s.max(detector_s);
            last.take(network.segment(place.segment), place, reading, is_first);
        }
    }
}
