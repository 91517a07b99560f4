//! What corridors remember: how differently road users fare, and the speeds of past minutes.

use std::collections::{BTreeMap, VecDeque};

use super::{CORRELATION_M, Corridor, CorridorState, Leg, SPEED_MIN_MPS, log_normal_bounds};
use crate::network::Network;
use crate::state::bytes::{Reader, put_f32_all, put_head, put_i64, put_u32, put_u64};
use crate::state::{BinSums, MINUTE_MS, Provenance, SegmentState, SnapshotError, StateBatch};
use crate::units::{SegmentId, Timestamp};

/// Past minutes kept: a road user who needs longer has no experienced time.
const PAST_MINUTES: usize = 90;

/// What is left of a pass in the learnt spread after a minute: half after an hour (chosen).
const KEPT: f32 = 0.988_5;

/// Relative variance of single passes around a segment's mean before any was seen: with a signal at
/// the end, and without. Means over the edges of a simulated hour of Bologna with 30 passes and more
/// (docs/diagrams.md).
const SPREAD_SIGNALISED: f32 = 0.4;
const SPREAD_FREE: f32 = 0.12;

/// Passes that the prior is worth.
const PRIOR_PASSES: f32 = 10.0;

const MAGIC: &[u8; 8] = b"RCCORRI\0";
const VERSION: u16 = 1;
const WHAT: &str = "corridor snapshot";

/// How differently vehicles fare on a segment.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Spread {
    /// Passes, faded.
    passes: f32,
    /// Sum of their squared relative deviations from the minute's mean, faded.
    squares: f32,
}

/// The corridors with their memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Corridors {
    corridors: Vec<Corridor>,
    spreads: BTreeMap<SegmentId, Spread>,
    /// Speeds of the segments in each past minute, newest last, by corridor, m/s.
    past: Vec<VecDeque<Vec<f32>>>,
    last: Option<Timestamp>,
}

impl Corridors {
    /// Corridors that have seen nothing.
    pub fn new(corridors: Vec<Corridor>) -> Self {
        let segments = corridors.iter().flat_map(|corridor| &corridor.segments);
        Self {
            spreads: segments
                .map(|&segment| (segment, Spread::default()))
                .collect(),
            past: vec![VecDeque::new(); corridors.len()],
            corridors,
            last: None,
        }
    }

    /// The corridors, in the order of the configuration.
    pub fn corridors(&self) -> &[Corridor] {
        &self.corridors
    }

    /// Takes a closed minute and tells the travel time of every corridor.
    ///
    /// # Panics
    /// When batch or sums are of another network.
    pub fn close_minute(
        &mut self,
        network: &Network,
        batch: &StateBatch,
        sums: &BinSums,
    ) -> Vec<CorridorState> {
        let start = batch.interval.start;
        let is_next = |last: Timestamp| start.millis_since(last) == MINUTE_MS;
        if !self.last.is_some_and(is_next) {
            self.past.iter_mut().for_each(VecDeque::clear);
        }
        self.last = Some(start);
        for (&segment, spread) in &mut self.spreads {
            let state = &batch.segments[segment.index()];
            let mean_s = network.segment(segment).length_m / state.speed_mps.max(SPEED_MIN_MPS);
            spread.take(sums, segment, mean_s);
        }
        for (corridor, past) in self.corridors.iter().zip(&mut self.past) {
            let speeds = corridor
                .segments
                .iter()
                .map(|&id| batch.segments[id.index()].speed_mps);
            past.push_back(speeds.collect());
            if past.len() > PAST_MINUTES {
                past.pop_front();
            }
        }
        (0..self.corridors.len())
            .map(|index| self.state(network, batch, index))
            .collect()
    }

    fn state(&self, network: &Network, batch: &StateBatch, index: usize) -> CorridorState {
        let corridor = &self.corridors[index];
        let mut legs = Vec::with_capacity(corridor.segments.len());
        let (mut trip_variance, mut free_flow_s, mut known_m) = (0.0f32, 0.0f32, 0.0f32);
        for (&segment, &junction_s) in corridor.segments.iter().zip(&corridor.junction_s) {
            let about = network.segment(segment);
            let state = &batch.segments[segment.index()];
            let (time_s, sigma_s) = leg_time(state, about.length_m);
            free_flow_s += junction_s + about.length_m / state.free_flow_mps.max(SPEED_MIN_MPS);
            if state.provenance != Provenance::Profile {
                known_m += about.length_m;
            }
            let spread = self.spreads.get(&segment).copied().unwrap_or_default();
            trip_variance += spread.relative(about.is_signalised()) * time_s * time_s;
            legs.push(Leg {
                segment,
                time_s: time_s + junction_s,
                sigma_s,
            });
        }
        let time_s: f32 = legs.iter().map(|leg| leg.time_s).sum();
        let variance = correlated(corridor, &legs);
        let (low_s, high_s) = log_normal_bounds(time_s, (variance + trip_variance).sqrt());
        let segments_m = corridor
            .segments
            .iter()
            .map(|&id| network.segment(id).length_m);
        CorridorState {
            corridor: index,
            time_s,
            sigma_s: variance.sqrt(),
            low_s,
            high_s,
            experienced_s: experienced_s(network, corridor, &self.past[index]),
            free_flow_s,
            known_ratio: known_m / segments_m.sum::<f32>().max(1.0),
            legs,
        }
    }

    /// Appends everything needed to go on later.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        put_i64(out, self.last.map_or(i64::MIN, Timestamp::as_millis));
        put_u64(out, self.spreads.len() as u64);
        for (&segment, spread) in &self.spreads {
            put_u32(out, segment.0);
            out.extend_from_slice(&spread.passes.to_le_bytes());
            out.extend_from_slice(&spread.squares.to_le_bytes());
        }
        put_u64(out, self.corridors.len() as u64);
        for (corridor, past) in self.corridors.iter().zip(&self.past) {
            put_u64(out, corridor.segments.len() as u64);
            corridor
                .segments
                .iter()
                .for_each(|segment| put_u32(out, segment.0));
            put_u64(out, past.len() as u64);
            past.iter().for_each(|speeds| put_f32_all(out, speeds));
        }
    }

    /// Takes back what [`Corridors::snapshot`] wrote for the same network. Of a corridor that has
    /// changed in the configuration since, the past is left out.
    ///
    /// # Errors
    /// When the bytes are not an intact snapshot of this network.
    pub fn restore(&mut self, network: &Network, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let last_ms = reader.take_i64()?;
        let mut restored = Self::new(self.corridors.clone());
        restored.last = (last_ms != i64::MIN).then_some(Timestamp::from_millis(last_ms));
        for _ in 0..reader.take_count(12)? {
            let segment = SegmentId(reader.take_u32()?);
            let spread = Spread {
                passes: reader.take_finite()?,
                squares: reader.take_finite()?,
            };
            if let Some(mine) = restored.spreads.get_mut(&segment) {
                *mine = spread;
            }
        }
        for index in 0..reader.take_count(16)? {
            let count = reader.take_count(4)?;
            let mut segments = Vec::with_capacity(count);
            for _ in 0..count {
                segments.push(SegmentId(reader.take_u32()?));
            }
            let mut past = VecDeque::new();
            for _ in 0..reader.take_count(8)? {
                let mut speeds = vec![0.0; count];
                reader.take_finite_all(&mut speeds)?;
                past.push_back(speeds);
            }
            let mine = restored.corridors.get(index);
            if mine.is_some_and(|corridor| corridor.segments == segments) {
                restored.past[index] = past;
            }
        }
        reader.finish()?;
        *self = restored;
        Ok(())
    }
}

impl Spread {
    /// Takes the passes of a minute whose mean time was `mean_s`.
    fn take(&mut self, sums: &BinSums, segment: SegmentId, mean_s: f32) {
        self.passes *= KEPT;
        self.squares *= KEPT;
        let sums = sums.get(segment);
        if sums.pass_count == 0 {
            return;
        }
        // Sum of (t - m)^2 = sum of t^2 - 2 m sum of t + n m^2, in s.
        let count = f64::from(sums.pass_count);
        let (time_s, mean) = (sums.pass_ms as f64 / 1e3, f64::from(mean_s));
        let squares =
            sums.squared_pass_ms2 as f64 / 1e6 - 2.0 * mean * time_s + count * mean * mean;
        self.passes += count as f32;
        self.squares += (squares / (mean * mean)).max(0.0) as f32;
    }

    /// Relative variance of a single pass.
    fn relative(&self, is_signalised: bool) -> f32 {
        let prior = if is_signalised {
            SPREAD_SIGNALISED
        } else {
            SPREAD_FREE
        };
        (self.squares + PRIOR_PASSES * prior) / (self.passes + PRIOR_PASSES)
    }
}

/// Mean time to drive a segment and its standard deviation, s, to first order in that of the speed.
fn leg_time(state: &SegmentState, length_m: f32) -> (f32, f32) {
    let speed_mps = state.speed_mps.max(SPEED_MIN_MPS);
    let time_s = length_m / speed_mps;
    (time_s, time_s * state.sigma_mps / speed_mps)
}

/// Variance of a sum of leg times whose errors are correlated by distance, s².
///
/// One pass: legs lie in order, so `exp(-d)` to all earlier ones is a running sum that decays.
fn correlated(corridor: &Corridor, legs: &[Leg]) -> f32 {
    let (mut variance, mut carried, mut at_m) = (0.0f32, 0.0f32, 0.0f32);
    for (leg, &middle_m) in legs.iter().zip(&corridor.middle_m) {
        carried *= (-(middle_m - at_m) / CORRELATION_M).exp();
        at_m = middle_m;
        variance += leg.sigma_s * (leg.sigma_s + 2.0 * carried);
        carried += leg.sigma_s;
    }
    variance
}

/// Travel time of who arrives at the end of the newest minute, s: the corridor is walked backwards,
/// each minute at its own speeds; `None` when that leads before the oldest minute kept.
fn experienced_s(network: &Network, corridor: &Corridor, past: &VecDeque<Vec<f32>>) -> Option<f32> {
    let minute_s = MINUTE_MS as f32 / 1000.0;
    let mut before_s = 0.0f32;
    for index in (0..corridor.segments.len()).rev() {
        let mut left_m = network.segment(corridor.segments[index]).length_m;
        while left_m > 0.0 {
            let minutes_back = (before_s / minute_s) as usize;
            let minute = past.len().checked_sub(1 + minutes_back)?;
            let speed_mps = past[minute][index].max(SPEED_MIN_MPS);
            let minute_left_s = (minutes_back + 1) as f32 * minute_s - before_s;
            let needed_s = left_m / speed_mps;
            if needed_s <= minute_left_s {
                before_s += needed_s;
                left_m = 0.0;
            } else {
                // At least a millisecond, so that rounding cannot stop the walk at a boundary.
                before_s += minute_left_s.max(1e-3);
                left_m -= speed_mps * minute_left_s;
            }
        }
        before_s += corridor.junction_s[index];
    }
    Some(before_s)
}
