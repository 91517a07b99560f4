//! Weeks of link speeds in seconds: a macroscopic model of the same city for training forecasts.
//!
//! Every link holds vehicles on the move and a queue at its end; a step of `STEP_S` moves them by
//! turning shares of the assigned flows, bounded by capacity and by the room downstream (a link
//! transmission model with point queues and spillback, after Yperman 2007, coarsened). Days differ by
//! weekday, weather, incidents and chance. Speeds are space means over five minutes (Edie 1963).

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::demand::{Demand, Flows, Tide};
use super::noise::normal;
use super::roads::Roads;
use crate::network::RoadClass;
use crate::replay::city::City;
use crate::units::{SegmentId, Timestamp};

/// Length of one inner step, seconds; about the time a vehicle needs for one link.
const STEP_S: f32 = 20.0;
/// Length of one row, seconds.
pub const ROW_S: u32 = 300;
const STEPS_A_ROW: usize = (ROW_S as f32 / STEP_S) as usize;
const ROWS_A_DAY: usize = 86_400 / ROW_S as usize;
/// Share of its capacity a full link still takes, so that rings of full links dissolve.
const TRICKLE: f32 = 0.06;
/// Speeds are not below this, m/s: walking pace of a standing queue.
const SPEED_MIN_MPS: f32 = 0.6;
/// Trips an hour at the top of the morning, for each vehicle storage place of the city. Chosen so
/// that a tenth of the arterials is congested at the peak.
const LOAD: f32 = 0.24;

/// Five-minute mean speeds of every segment.
#[derive(Clone, Debug, PartialEq)]
pub struct Series {
    /// Start of the first row.
    pub start: Timestamp,
    /// Length of a row, seconds.
    pub step_s: u32,
    /// Segments, in id order.
    pub segments: usize,
    /// Row after row, one speed a segment, m/s.
    pub speeds_mps: Vec<f32>,
    /// What disturbed traffic.
    pub events: Vec<SeriesEvent>,
}

/// An incident or rain, from the start of one row to that of another.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct SeriesEvent {
    /// Where an incident is; `None`: it rains, everywhere.
    pub incident: Option<SegmentId>,
    /// The rows.
    pub rows: (usize, usize),
}

impl Series {
    /// How many rows there are.
    pub fn row_count(&self) -> usize {
        self.speeds_mps.len() / self.segments.max(1)
    }

    /// The start of a row.
    pub fn time(&self, row: usize) -> Timestamp {
        self.start.plus_secs(row as i64 * i64::from(self.step_s))
    }

    /// The speeds of one row, m/s, in segment order.
    pub fn row(&self, row: usize) -> &[f32] {
        &self.speeds_mps[row * self.segments..][..self.segments]
    }
}

/// Generates `days` days from midnight (UTC+8) of a Monday. A day of the demo city takes about a
/// second and a half.
pub fn generate(city: &City, days: usize, seed: u64) -> Series {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x4849_5354_4f52);
    let roads = Roads::new(city);
    let places: f32 = roads.storage.iter().sum();
    let trips_vph = LOAD * places;
    let mut demand = |tide| Demand::new(city, &roads, tide, trips_vph, 3, &mut rng).flows;
    let tides = [demand(Tide::Morning), demand(Tide::Evening)];
    let mut model = Model::new(city, &roads, tides, trips_vph);
    // Monday 2026-11-02 00:00 at UTC+8.
    let start = Timestamp::from_secs(1_793_548_800);
    let mut speeds_mps = Vec::with_capacity(days * ROWS_A_DAY * model.count);
    let mut events = Vec::new();
    for day in 0..days {
        let plan = Day::draw(city, day, &mut rng);
        events.extend(plan.events(day * ROWS_A_DAY));
        for row in 0..ROWS_A_DAY {
            model.run_row(&plan, row, &mut rng);
            model.read_row(&plan, row, &mut rng, &mut speeds_mps);
        }
    }
    Series {
        start,
        step_s: ROW_S,
        segments: model.count,
        speeds_mps,
        events,
    }
}

/// An incident in the history.
#[derive(Clone, Copy, Debug)]
struct Incident {
    segment: usize,
    rows: (usize, usize),
    /// Share of the capacity left.
    left: f32,
}

/// What one day is like.
#[derive(Debug)]
struct Day {
    weekday: usize,
    scale: f32,
    shift_h: f32,
    /// Rows of rain, with its strength 0..1.
    rain: Option<(usize, usize, f32)>,
    incidents: Vec<Incident>,
}

impl Day {
    fn draw(city: &City, day: usize, rng: &mut ChaCha8Rng) -> Self {
        let rain = rng.random_bool(0.3).then(|| {
            let from = rng.random_range(0..ROWS_A_DAY - 24);
            (
                from,
                from + rng.random_range(18..96usize),
                rng.random_range(0.3..1.0f32),
            )
        });
        let arterials: Vec<SegmentId> = city
            .network
            .segment_ids()
            .filter(|&id| city.network.segment(id).class() <= RoadClass::Secondary)
            .collect();
        let incidents = (0..rng.random_range(20..40usize))
            .map(|_| {
                let from = rng.random_range(72..264usize);
                Incident {
                    segment: arterials[rng.random_range(0..arterials.len() as u32) as usize]
                        .index(),
                    rows: (from, from + rng.random_range(3..11usize)),
                    left: rng.random_range(0.12..0.5f32),
                }
            })
            .collect();
        Self {
            weekday: day % 7,
            scale: 1.0 + 0.04 * normal(rng),
            shift_h: 0.12 * normal(rng),
            rain,
            incidents,
        }
    }

    /// What happens, counted in rows of the series in which the day begins with row `first`.
    fn events(&self, first: usize) -> impl Iterator<Item = SeriesEvent> + '_ {
        let of = move |incident, (from, until): (usize, usize)| SeriesEvent {
            incident,
            rows: (first + from, first + until.min(ROWS_A_DAY)),
        };
        let incidents = self.incidents.iter();
        let incidents = incidents.map(move |it| of(Some(SegmentId(it.segment as u32)), it.rows));
        incidents.chain(
            self.rain
                .map(move |(from, until, _)| of(None, (from, until))),
        )
    }

    /// Trips an hour relative to the top of a weekday morning, for the morning and evening tide.
    fn levels(&self, hour: f32) -> [f32; 2] {
        let bump = |at: f32, wide: f32| (-((hour - self.shift_h - at) / wide).powi(2)).exp();
        let night = 0.05
            + 0.32 * (1.0 / (1.0 + (-(hour - 6.6) * 2.2).exp()))
                / (1.0 + ((hour - 21.6) * 1.3).exp());
        let (morning, evening) = match self.weekday {
            5 | 6 => (
                0.30 * bump(10.2, 1.9) + 0.9 * night,
                0.36 * bump(16.8, 2.6) + 0.9 * night,
            ),
            weekday => {
                let friday = if weekday == 4 { 1.1 } else { 1.0 };
                (
                    0.86 * bump(7.95, 0.95) + 0.55 * night,
                    friday * (0.78 * bump(17.75, 1.15) + 0.12 * bump(12.4, 1.2)) + 0.55 * night,
                )
            }
        };
        [morning * self.scale, evening * self.scale]
    }

    fn wet(&self, row: usize) -> f32 {
        match self.rain {
            Some((from, until, strength)) if (from..until).contains(&row) => strength,
            _ => 0.0,
        }
    }
}

struct Model<'a> {
    city: &'a City,
    roads: &'a Roads,
    count: usize,
    tides: [Flows; 2],
    trips_vph: f32,
    moving: Vec<f32>,
    queue: Vec<f32>,
    /// Turning shares by movement index, and the share that ends its trip by segment.
    share: Vec<f32>,
    ends: Vec<f32>,
    begins_vps: Vec<f32>,
    capacity_vps: Vec<f32>,
    inflow: Vec<f32>,
    passed: Vec<f32>,
    present_vs: Vec<f32>,
    /// Local swing of demand, one slow walk for each of 16 zones, and each segment's zone.
    swing: [f32; 16],
    zone: Vec<u8>,
    is_even: bool,
}

impl<'a> Model<'a> {
    fn new(city: &'a City, roads: &'a Roads, tides: [Flows; 2], trips_vph: f32) -> Self {
        let network = &city.network;
        let count = network.segment_count();
        let zone = network
            .segment_ids()
            .map(|id| {
                let at = network.shape(id)[0];
                let cell = |v: f32| ((v + 6_000.0) / 3_000.0).clamp(0.0, 3.0) as u8;
                cell(at.x) * 4 + cell(at.y)
            })
            .collect();
        Self {
            city,
            roads,
            count,
            share: vec![0.0; network.movements().len()],
            tides,
            trips_vph,
            moving: vec![0.0; count],
            queue: vec![0.0; count],
            ends: vec![0.0; count],
            begins_vps: vec![0.0; count],
            capacity_vps: roads.capacity_vps.clone(),
            inflow: vec![0.0; count],
            passed: vec![0.0; count],
            present_vs: vec![0.0; count],
            swing: [0.0; 16],
            zone,
            is_even: false,
        }
    }

    fn run_row(&mut self, day: &Day, row: usize, rng: &mut ChaCha8Rng) {
        self.set_row(day, row, rng);
        self.passed.fill(0.0);
        self.present_vs.fill(0.0);
        for _ in 0..STEPS_A_ROW {
            self.step();
        }
    }

    /// Sets what holds for one row: turning shares, demand, capacities.
    fn set_row(&mut self, day: &Day, row: usize, rng: &mut ChaCha8Rng) {
        for swing in &mut self.swing {
            *swing = 0.92 * *swing + 0.035 * normal(rng);
        }
        let hour = row as f32 * 24.0 / ROWS_A_DAY as f32;
        let [a, b] = day.levels(hour);
        let [morning, evening] = &self.tides;
        let network = &self.city.network;
        let wet = day.wet(row);
        for index in 0..self.count {
            let passing = a * morning.segment[index] + b * evening.segment[index];
            let ending = a * morning.ended[index] + b * evening.ended[index];
            let beginning = a * morning.begun[index] + b * evening.begun[index];
            self.ends[index] = if passing > 0.0 { ending / passing } else { 1.0 };
            let swing = (1.0 + self.swing[usize::from(self.zone[index])]).max(0.3);
            self.begins_vps[index] = beginning * self.trips_vph / 3600.0 * swing;
            self.capacity_vps[index] = self.roads.capacity_vps[index] * (1.0 - 0.16 * wet);
            let range = network.movement_range_from(SegmentId(index as u32));
            for movement in range {
                let turning = a * morning.movement[movement] + b * evening.movement[movement];
                self.share[movement] = if passing > 0.0 {
                    turning / passing
                } else {
                    0.0
                };
            }
        }
        for incident in &day.incidents {
            if (incident.rows.0..incident.rows.1).contains(&row) {
                self.capacity_vps[incident.segment] *= incident.left;
            }
        }
    }

    fn step(&mut self) {
        for index in 0..self.count {
            self.moving[index] += self.begins_vps[index] * STEP_S;
            let arriving = self.moving[index] * (STEP_S / self.roads.free_s[index]).min(1.0);
            self.moving[index] -= arriving;
            self.queue[index] += arriving;
            self.inflow[index] = 0.0;
        }
        self.is_even = !self.is_even;
        for place in 0..self.count {
            // The direction changes from step to step, so that no one is always served first.
            let index = if self.is_even {
                place
            } else {
                self.count - 1 - place
            };
            self.discharge(index);
        }
        for index in 0..self.count {
            self.moving[index] += self.inflow[index];
            self.present_vs[index] += (self.moving[index] + self.queue[index]) * STEP_S;
        }
    }

    fn discharge(&mut self, index: usize) {
        let wish = self.queue[index].min(self.capacity_vps[index] * STEP_S);
        if wish <= 0.0 {
            return;
        }
        let movements = self.city.network.movements();
        let range = self
            .city
            .network
            .movement_range_from(SegmentId(index as u32));
        let mut out = wish;
        for movement in range.clone() {
            let share = self.share[movement];
            if share > 0.0 {
                let to = movements[movement].to().index();
                let held = self.moving[to] + self.queue[to] + self.inflow[to];
                let room = (self.roads.storage[to] - held)
                    .max(TRICKLE * self.roads.capacity_vps[to] * STEP_S);
                let open = (self.roads.capacity_vps[to] * STEP_S * 1.3 - self.inflow[to]).max(0.0);
                out = out.min(room.min(open) / share);
            }
        }
        self.queue[index] -= out;
        self.passed[index] += out;
        for movement in range {
            self.inflow[movements[movement].to().index()] += out * self.share[movement];
        }
    }

    /// Time lost below capacity, seconds, at a used share `x` of it: on expressways t0 x^3 / 4, else
    /// the random queue at the line, 6 s x^2 / (1.1 - x) (the shape of Webster 1958's second term).
    fn busy_s(&self, index: usize, x: f32) -> f32 {
        if self.city.network.segments()[index].class() == RoadClass::Motorway {
            0.25 * self.roads.free_s[index] * x.powi(3)
        } else {
            6.0 * x * x / (1.1 - x)
        }
    }

    /// Appends the row's speeds with sampling noise.
    fn read_row(&self, day: &Day, row: usize, rng: &mut ChaCha8Rng, speeds_mps: &mut Vec<f32>) {
        let slow = 1.0 - 0.09 * day.wet(row);
        let network = &self.city.network;
        for index in 0..self.count {
            let length_m = network.segments()[index].length_m;
            let free_s = self.roads.free_s[index];
            let free_mps = length_m / free_s;
            let count = self.passed[index];
            // Vehicles on the move at the end of a step count half a step too long; the smaller of
            // both times corrects it.
            let mean_s = if self.present_vs[index] > 0.0 {
                (self.present_vs[index] / count.max(0.05)).max(free_s)
            } else {
                free_s
            };
            let queued_s = (mean_s - free_s.max(STEP_S)).max(0.0);
            let used = count / (self.capacity_vps[index] * ROW_S as f32);
            let busy_s = self.busy_s(index, used.min(1.0));
            let speed = length_m / (free_s + busy_s + queued_s) * slow;
            let spread = 0.05 + 0.10 / (1.0 + count).sqrt();
            let noisy = speed * (1.0 + spread * normal(rng));
            speeds_mps.push(noisy.clamp(SPEED_MIN_MPS, free_mps * 1.25));
        }
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::replay::city::{CitySize, build};

    #[test]
    fn peaks_slow_the_city_down_and_nights_set_it_free() {
        let city = build(42, CitySize::Small).unwrap();
        let series = generate(&city, 1, 1);
        assert_eq!(series.row_count(), ROWS_A_DAY);
        assert_eq!(series, generate(&city, 1, 1));
        let mean = |from: usize| {
            let rows = &series.speeds_mps[from * series.segments..][..18 * series.segments];
            rows.iter().sum::<f32>() / rows.len() as f32
        };
        let (night, peak) = (mean(30), mean(92));
        assert!(peak < 0.995 * night, "peak {peak} m/s, night {night} m/s");
        assert!(
            series
                .speeds_mps
                .iter()
                .all(|v| v.is_finite() && *v > 0.0 && *v < 45.0)
        );
    }
}
