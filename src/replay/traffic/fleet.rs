//! A fleet that wanders over any network: cheap motion for load and throughput, no queues.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::noise::{PositionError, normal};
use crate::network::{Network, RoadClass};
use crate::units::{SegmentId, Timestamp};
use crate::wire::{ProbeRecord, VehicleName};

/// Acceleration and comfortable braking, m/s² (chosen within Treiber & Kesting 2013, table 11.2).
const ACCELERATION_MPS2: f32 = 1.8;
const BRAKING_MPS2: f32 = 2.0;
/// Cycle of the made-up signals, seconds; half of it is green.
const CYCLE_S: i64 = 72;
/// Segments a vehicle may cross in one tick; a longer jump waits for the next.
const CROSSINGS_MAX: usize = 16;

#[derive(Clone, Copy, Debug)]
struct Car {
    id: u64,
    segment: u32,
    offset_m: f32,
    speed_mps: f32,
    /// Share of the limit this driver likes.
    temper: f32,
    error: PositionError,
}

/// `N` vehicles that random-walk over a network's movements, stop at signals and report.
///
/// ```
/// # use roadcast::replay::{city, traffic::Fleet};
/// # use roadcast::units::Timestamp;
/// let city = city::build(42, city::CitySize::Small)?;
/// let mut fleet = Fleet::new(city.network, 100, 7);
/// let mut records = Vec::new();
/// fleet.tick(Timestamp::from_secs(1_764_000_000), &mut records);
/// assert_eq!(records.len(), 100);
/// # Ok::<(), roadcast::network::NetworkError>(())
/// ```
#[derive(Debug)]
pub struct Fleet {
    network: Arc<Network>,
    cars: Vec<Car>,
    rng: ChaCha8Rng,
    /// Running sum of lane metres, for drawing a place.
    lane_m: Vec<f64>,
    /// For each segment: 0 no signal at its end, 1 and 2 the phases.
    phase: Vec<u8>,
    last: Option<Timestamp>,
    next_id: u64,
}

impl Fleet {
    /// Puts `vehicles` cars on the network, spread by lane length. Ids count from 1; a car that
    /// runs off the network's end comes back elsewhere under a new id.
    pub fn new(network: Arc<Network>, vehicles: usize, seed: u64) -> Self {
        let mut total = 0.0f64;
        let lane_m = network
            .segments()
            .iter()
            .map(|segment| {
                let counts = segment.class() != RoadClass::Service;
                total += f64::from(segment.length_m)
                    * f64::from(segment.lanes)
                    * f64::from(u8::from(counts));
                total
            })
            .collect();
        let mut fleet = Self {
            phase: phases(&network),
            network,
            cars: Vec::with_capacity(vehicles),
            rng: ChaCha8Rng::seed_from_u64(seed ^ 0x0046_4c45_4554),
            lane_m,
            last: None,
            next_id: 1,
        };
        for _ in 0..vehicles {
            let car = fleet.spawn();
            fleet.cars.push(car);
        }
        fleet
    }

    /// How many vehicles there are; each tick reports them all.
    pub fn vehicle_count(&self) -> usize {
        self.cars.len()
    }

    /// Moves every vehicle to `now` and appends its report to `out`. Times must ascend; the first
    /// tick moves nothing, and a gap of more than 10 s counts as 10 s.
    pub fn tick(&mut self, now: Timestamp, out: &mut Vec<ProbeRecord<'static>>) {
        let gap_ms = self
            .last
            .map_or(0, |last| now.millis_since(last).clamp(0, 10_000));
        self.last = Some(now);
        let seconds = gap_ms as f32 / 1000.0;
        out.reserve(self.cars.len());
        for index in 0..self.cars.len() {
            let mut car = self.cars[index];
            if gap_ms > 0 {
                self.drive(&mut car, seconds, now);
            }
            out.push(self.report(&mut car, seconds, now));
            self.cars[index] = car;
        }
    }

    fn spawn(&mut self) -> Car {
        let total = self.lane_m.last().copied().unwrap_or(0.0);
        let at = self.rng.random::<f64>() * total;
        let segment = self
            .lane_m
            .partition_point(|&sum| sum <= at)
            .min(self.lane_m.len() - 1);
        let facts = self.network.segment(SegmentId(segment as u32));
        let temper = self.rng.random_range(0.72..1.02f32);
        let car = Car {
            id: self.next_id,
            segment: segment as u32,
            offset_m: facts.length_m * self.rng.random::<f32>(),
            speed_mps: facts.limit_mps * temper * self.rng.random_range(0.5..1.0f32),
            temper,
            error: PositionError::drawn(&mut self.rng),
        };
        self.next_id += 1;
        car
    }

    fn drive(&mut self, car: &mut Car, seconds: f32, now: Timestamp) {
        let facts = self.network.segment(SegmentId(car.segment));
        let wish_mps = facts.limit_mps * car.temper;
        let mut speed_mps = (car.speed_mps + ACCELERATION_MPS2 * seconds).min(wish_mps);
        let left_m = facts.length_m - car.offset_m;
        let is_red = self.is_red(car.segment, now);
        if is_red {
            speed_mps = speed_mps.min((2.0 * BRAKING_MPS2 * left_m.max(0.0)).sqrt());
        }
        car.speed_mps = speed_mps;
        car.offset_m += speed_mps * seconds;
        if is_red && car.offset_m > facts.length_m - 1.0 {
            car.offset_m = (facts.length_m - 1.0).max(0.0);
            car.speed_mps = 0.0;
            return;
        }
        for _ in 0..CROSSINGS_MAX {
            let length_m = self.network.segment(SegmentId(car.segment)).length_m;
            if car.offset_m <= length_m {
                return;
            }
            let exits = self.network.movements_from(SegmentId(car.segment));
            if exits.is_empty() {
                *car = self.spawn();
                return;
            }
            let exit = exits[self.rng.random_range(0..exits.len() as u32) as usize];
            car.offset_m -= length_m;
            car.segment = exit.to().0;
        }
        car.offset_m = 0.0;
    }

    fn is_red(&self, segment: u32, now: Timestamp) -> bool {
        let phase = self.phase[segment as usize];
        if phase == 0 {
            return false;
        }
        let junction = self.network.segment(SegmentId(segment)).to();
        let offset = i64::from(junction.0.wrapping_mul(2_654_435_769) >> 20);
        let first_half = (now.as_secs() + offset).rem_euclid(CYCLE_S) < CYCLE_S / 2;
        first_half == (phase == 1)
    }

    fn report(&mut self, car: &mut Car, seconds: f32, now: Timestamp) -> ProbeRecord<'static> {
        let (point, heading_deg) = self.network.locate(SegmentId(car.segment), car.offset_m);
        let seen = car.error.apply(point, seconds.max(1.0), &mut self.rng);
        let jitter = normal(&mut self.rng);
        ProbeRecord {
            id: VehicleName::Number(car.id),
            observed_at: now,
            position: self.network.frame().to_position(seen),
            speed_mps: Some((car.speed_mps + 0.2 * jitter).clamp(0.0, 60.0)),
            heading_deg: Some((heading_deg + 1.5 * jitter).rem_euclid(360.0)),
            accel_mps2: None,
            kind: Some("car"),
        }
    }
}

/// Which made-up phase serves each segment. Networks without signals get some at larger junctions.
fn phases(network: &Network) -> Vec<u8> {
    let is_marked = network
        .segments()
        .iter()
        .any(|segment| segment.is_signalised());
    network
        .segment_ids()
        .map(|id| {
            let segment = network.segment(id);
            let has_signal = if is_marked {
                segment.is_signalised()
            } else {
                (RoadClass::Primary..=RoadClass::Tertiary).contains(&segment.class())
                    && network.movements_from(id).len() >= 2
                    && segment.to().0.is_multiple_of(3)
            };
            let heading_deg = network.locate(id, segment.length_m).1.rem_euclid(180.0);
            match (has_signal, (45.0..135.0).contains(&heading_deg)) {
                (false, _) => 0,
                (true, false) => 1,
                (true, true) => 2,
            }
        })
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::city::{CitySize, build};

    fn run(seed: u64, seconds: i64) -> Vec<ProbeRecord<'static>> {
        let mut fleet = Fleet::new(build(1, CitySize::Small).unwrap().network, 200, seed);
        let mut records = Vec::new();
        for second in 0..seconds {
            fleet.tick(Timestamp::from_secs(1_000 + second), &mut records);
        }
        records
    }

    #[test]
    fn equal_seeds_give_equal_records() {
        assert_eq!(run(5, 30), run(5, 30));
        assert_ne!(run(5, 30), run(6, 30));
    }

    #[test]
    fn vehicles_stay_near_roads_and_never_jump() {
        let network = build(1, CitySize::Small).unwrap().network;
        let records = run(5, 120);
        assert_eq!(records.len(), 200 * 120);
        let mut last = std::collections::BTreeMap::new();
        let mut stopped = 0usize;
        for record in &records {
            let VehicleName::Number(id) = record.id else {
                panic!("numbers only");
            };
            let mut near_m = f32::INFINITY;
            let point = network.frame().to_point(record.position);
            network.candidates_within(point, 30.0, &mut |c| near_m = near_m.min(c.distance_m));
            assert!(near_m < 21.0, "{near_m} m off the road");
            stopped += usize::from(record.speed_mps.unwrap() < 0.5);
            if let Some((at, before)) = last.insert(id, (record.observed_at, point)) {
                let moved_m = point.distance_m(before);
                let seconds = record.observed_at.millis_since(at) as f32 / 1000.0;
                assert!(moved_m < 40.0 * seconds + 8.0, "{moved_m} m in {seconds} s");
            }
        }
        let share = stopped as f64 / records.len() as f64;
        assert!(
            (0.02..0.5).contains(&share),
            "{share} of the reports are of standing cars"
        );
    }
}
