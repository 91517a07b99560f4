//! Flow where nothing counts it: from probes and their share of all vehicles.
//!
//! What probes drove on a segment over its length is how many of them passed it (Edie 1963,
//! "Discussion of traffic stream measurements and definitions"): a vehicle that waits through
//! three minutes passes once, and one that turns in half-way counts half. Their share is learnt
//! where detectors count.

use super::bytes::{Reader, put_f32, put_f32_all, put_head, put_i64};
use super::{BinSums, MINUTE_MS, SnapshotError, StateBatch};
use crate::network::Network;
use crate::units::Timestamp;

/// What is left of passes after a minute: half after eleven minutes. On a simulated hour of Bologna
/// at 10 and 30 % probes errors are the same from here to half an hour, and grow below.
const KEPT: f32 = 0.94;

/// What is left of the counts behind the share after a minute: half after half a day (chosen:
/// fleets come and go slowly).
const SHARE_KEPT: f32 = 0.999;

/// Vehicles that detectors must have counted before the share is believed.
const COUNTED_MIN: f32 = 200.0;

/// Slowest speed at which flow over speed is a density, m/s.
const SPEED_MIN_MPS: f32 = 0.3;

const MAGIC: &[u8; 8] = b"RCFLOWS\0";
const VERSION: u16 = 1;
const WHAT: &str = "flow snapshot";

/// Passes of probes on every segment, and their share of all vehicles.
#[derive(Clone, Debug, PartialEq)]
pub struct ProbeFlow {
    /// Passes, faded, by segment.
    passes: Vec<f32>,
    /// Minutes behind them, faded.
    weight: f32,
    /// Vehicles counted by detectors, and probes that passed there, both faded.
    counted: f32,
    counted_probes: f32,
    last: Option<Timestamp>,
}

impl ProbeFlow {
    /// Nothing seen yet on a network of `segment_count` segments.
    pub fn new(segment_count: usize) -> Self {
        Self {
            passes: vec![0.0; segment_count],
            weight: 0.0,
            counted: 0.0,
            counted_probes: 0.0,
            last: None,
        }
    }

    /// Share of the vehicles that are probes; `None` before enough were counted.
    pub fn share(&self) -> Option<f32> {
        (self.counted >= COUNTED_MIN && self.counted_probes > 0.0)
            .then(|| (self.counted_probes / self.counted).min(1.0))
    }

    /// Takes a closed minute, and gives every segment of `batch` that no detector counts and that
    /// probes have been on of late its flow and density.
    ///
    /// # Panics
    /// When batch or sums are of another network.
    pub fn fill(&mut self, network: &Network, batch: &mut StateBatch, sums: &BinSums) {
        let start = batch.interval.start;
        let minutes = self.last.map_or(1, |last| {
            (start.millis_since(last) / MINUTE_MS).clamp(1, 100_000)
        }) as i32;
        self.last = Some(start);
        let kept = KEPT.powi(minutes);
        let share_kept = SHARE_KEPT.powi(minutes);
        self.weight = self.weight * kept + 1.0;
        self.counted *= share_kept;
        self.counted_probes *= share_kept;
        let segments = network.segments().iter().zip(sums.segments());
        for ((passes, state), (segment, sums)) in
            self.passes.iter_mut().zip(&batch.segments).zip(segments)
        {
            let passed = sums.distance_mm as f32 / 1000.0 / segment.length_m;
            *passes = *passes * kept + passed;
            if let Some(flow_vph) = state.flow_vph.filter(|_| state.is_counted) {
                self.counted += flow_vph / 60.0;
                self.counted_probes += passed;
            }
        }
        let share = self.share();
        for (&passes, state) in self.passes.iter().zip(&mut batch.segments) {
            if state.is_counted {
                continue;
            }
            let flow_vph = share.map(|share| passes / self.weight * 60.0 / share);
            state.flow_vph = flow_vph.filter(|_| state.age_s.is_some());
            let speed_kmh = state.speed_mps.max(SPEED_MIN_MPS) * 3.6;
            state.density_vpkm = state.flow_vph.map(|flow_vph| flow_vph / speed_kmh);
        }
    }

    /// Appends everything needed to go on later.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        put_i64(out, self.last.map_or(i64::MIN, Timestamp::as_millis));
        for number in [self.weight, self.counted, self.counted_probes] {
            put_f32(out, number);
        }
        put_f32_all(out, &self.passes);
    }

    /// Takes back what [`ProbeFlow::snapshot`] wrote for the same network.
    ///
    /// # Errors
    /// When the bytes are not an intact snapshot of this network.
    pub fn restore(network: &Network, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let mut restored = Self::new(network.segment_count());
        let last_ms = reader.take_i64()?;
        restored.last = (last_ms != i64::MIN).then_some(Timestamp::from_millis(last_ms));
        restored.weight = reader.take_finite()?;
        restored.counted = reader.take_finite()?;
        restored.counted_probes = reader.take_finite()?;
        reader.take_finite_all(&mut restored.passes)?;
        reader.finish()?;
        Ok(restored)
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::RoadClass;
    use crate::state::testing::{minute, road};
    use crate::state::{SegmentState, SegmentSums};
    use crate::units::SegmentId;

    /// Segment 0 is counted: 1 200 veh/h, of which two probes a minute (10 %). On segment 1 a probe
    /// needs two minutes for its 500 m, two at a time: one passes a minute.
    fn close(flow: &mut ProbeFlow, network: &Network, index: i64) -> StateBatch {
        let mut sums = BinSums::new(3);
        for (id, distance_mm, vehicle_count) in [(0, 1_000_000, 2), (1, 500_000, 2)] {
            let one = SegmentSums {
                distance_mm,
                time_ms: 120_000,
                vehicle_count,
                ..SegmentSums::default()
            };
            sums.add(SegmentId(id), &one);
        }
        let state = |is_counted: bool, age_s| SegmentState {
            speed_mps: 5.0,
            flow_vph: is_counted.then_some(1_200.0),
            is_counted,
            age_s,
            ..SegmentState::default()
        };
        let mut batch = StateBatch {
            interval: minute(index),
            network: network.version(),
            segments: vec![
                state(true, Some(0)),
                state(false, Some(0)),
                state(false, None),
            ],
        };
        flow.fill(network, &mut batch, &sums);
        batch
    }

    #[test]
    fn flow_is_passes_over_the_share_learnt_where_vehicles_are_counted() {
        let network = road(3, RoadClass::Primary, false);
        let mut flow = ProbeFlow::new(3);
        let early = close(&mut flow, &network, 0);
        assert_eq!(
            early.segments[1].flow_vph, None,
            "20 counted vehicles are too few"
        );
        for index in 1..60 {
            close(&mut flow, &network, index);
        }
        let batch = close(&mut flow, &network, 60);
        assert!((flow.share().expect("1 200 were counted") - 0.1).abs() < 1e-3);
        let state = batch.segments[1];
        assert!(
            (state.flow_vph.expect("probes were there") - 600.0).abs() < 6.0,
            "{state:?}"
        );
        assert!((state.density_vpkm.expect("with its flow") - 600.0 / 18.0).abs() < 0.5);
        assert_eq!(batch.segments[0].flow_vph, Some(1_200.0), "counts stay");
        assert_eq!(batch.segments[2].flow_vph, None, "nobody was ever there");
    }

    #[test]
    fn a_restart_goes_on_where_it_stood() {
        let network = road(3, RoadClass::Primary, false);
        let mut one = ProbeFlow::new(3);
        for index in 0..30 {
            close(&mut one, &network, index);
        }
        let mut bytes = Vec::new();
        one.snapshot(&network, &mut bytes);
        let mut other = ProbeFlow::restore(&network, &bytes).expect("its own bytes");
        let batches = [&mut one, &mut other].map(|flow| close(flow, &network, 33));
        assert_eq!(batches[0], batches[1]);
        assert_eq!(one, other);
        assert!(ProbeFlow::restore(&network, &bytes[1..]).is_err());
    }
}
