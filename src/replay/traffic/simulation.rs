//! The simulation itself: vehicles in lanes, second by second.
//!
//! Car following is Gipps-like with the safe speed of Krauss 1998 (eq. 2.12), lanes are chosen when
//! a segment is entered, signals are fixed-time, a full segment takes nobody. Vehicles are
//! moved lane by lane, leaders first, so no two can overlap.

use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use super::demand::{Demand, Tide};
use super::junctions::Junctions;
use super::noise::PositionError;
use super::report::{Report, Reporter};
use super::roads::{JAM_SPACING_M, Roads};
use super::settings::{Incident, TrafficSettings};
use super::truth::Truth;
use crate::network::Network;
use crate::replay::city::City;
use crate::units::{SegmentId, Timestamp};

/// Variants of every route, so that not everybody takes the same way.
const VARIANTS: usize = 3;
/// How much longer a trip takes than without queues. Measured on the demo city, seed 42.
const TRIP_STRETCH: f32 = 1.15;
/// Share of the wanted vehicles that may be on the road at most.
const CROWD_MAX: f32 = 1.15;

/// How a vehicle makes itself known.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Voice {
    Silent,
    ProbeInBatch,
    ProbeAlone,
    Bsm,
}

#[derive(Clone, Copy, Debug)]
pub(super) struct Vehicle {
    pub(super) serial: u32,
    /// Index into the demand's trees.
    pub(super) tree: u32,
    pub(super) segment: u32,
    pub(super) lane: u8,
    pub(super) voice: Voice,
    /// Seconds at a standstill at the head of its lane.
    pub(super) waited_s: u16,
    /// Next segment, or `NOWHERE` on the last one.
    pub(super) next: u32,
    pub(super) offset_m: f32,
    pub(super) speed_mps: f32,
    pub(super) accel_mps2: f32,
    /// Share of the limit this driver likes.
    pub(super) temper: f32,
    /// The second in which it last moved.
    pub(super) moved_at: i64,
    pub(super) error: PositionError,
}

/// Counts of what became of the vehicles.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Counts {
    /// Vehicles put on the road.
    pub departed: u64,
    /// Vehicles that reached their destination.
    pub arrived: u64,
    /// Vehicles that turned off into a yard after waiting too long.
    pub given_up: u64,
    /// Vehicles on the road.
    pub active: u64,
}

/// A running city.
#[derive(Debug)]
pub struct Simulation {
    pub(super) network: Arc<Network>,
    pub(super) roads: Roads,
    pub(super) junctions: Junctions,
    pub(super) demand: Demand,
    pub(super) settings: TrafficSettings,
    pub(super) rng: ChaCha8Rng,
    pub(super) now: Timestamp,
    pub(super) vehicles: Vec<Vehicle>,
    free_slots: Vec<u32>,
    /// First lane of each segment in `lanes`.
    pub(super) lane_start: Vec<u32>,
    /// Vehicles of each lane, the foremost first.
    pub(super) lanes: Vec<Vec<u32>>,
    pub(super) truth: Truth,
    pub(super) incident: Option<Incident>,
    /// When the last vehicle entered the place of the incident.
    pub(super) incident_entry: Timestamp,
    reporter: Reporter,
    counts: Counts,
    next_serial: u32,
    /// Trips due but not begun.
    due: f32,
}

impl Simulation {
    /// Sets up the city's traffic at `settings.start`, with vehicles under way.
    pub fn new(city: &City, settings: TrafficSettings) -> Self {
        let mut rng = ChaCha8Rng::seed_from_u64(settings.seed ^ 0x0054_5241_4646);
        let roads = Roads::new(city);
        let hour = local_hour(settings.start);
        let tide = if hour < 12.5 {
            Tide::Morning
        } else {
            Tide::Evening
        };
        // A city trip takes about a sixth of an hour.
        let trips_vph = settings.vehicles as f32 * 6.0;
        let demand = Demand::new(city, &roads, tide, trips_vph, VARIANTS, &mut rng);
        let network = Arc::clone(&city.network);
        let mut lane_start = Vec::with_capacity(network.segment_count());
        let mut lane_count = 0u32;
        for segment in network.segments() {
            lane_start.push(lane_count);
            lane_count += u32::from(segment.lanes);
        }
        let mut simulation = Self {
            incident: choose_incident(city, &demand, &settings),
            junctions: Junctions::new(city),
            reporter: Reporter::new(city, &settings),
            truth: Truth::new(settings.start, network.segment_count()),
            now: settings.start,
            network,
            roads,
            demand,
            settings,
            rng,
            vehicles: Vec::new(),
            free_slots: Vec::new(),
            lane_start,
            lanes: vec![Vec::new(); lane_count as usize],
            incident_entry: Timestamp::MIN,
            counts: Counts::default(),
            next_serial: 1,
            due: 0.0,
        };
        simulation.populate();
        simulation
    }

    /// The event time reached.
    pub fn now(&self) -> Timestamp {
        self.now
    }

    /// What became of the vehicles so far.
    pub fn counts(&self) -> Counts {
        self.counts
    }

    /// The truth by segment and minute.
    pub fn truth(&self) -> &Truth {
        &self.truth
    }

    /// The incident, if one is planned.
    pub fn incident(&self) -> Option<Incident> {
        self.incident
    }

    /// Moves everything by one second and appends what is reported at its end.
    pub fn step(&mut self, reports: &mut Vec<Report>) {
        self.step_thinned(1, reports);
    }

    /// Runs `seconds` as fast as possible, each source reporting `thinning` times more rarely,
    /// and hands the reports of each second to `sink`.
    pub fn warm_up(
        &mut self,
        seconds: u32,
        thinning: u32,
        mut sink: impl FnMut(Timestamp, &mut Vec<Report>),
    ) {
        let mut reports = Vec::new();
        for _ in 0..seconds {
            self.step_thinned(thinning.max(1), &mut reports);
            sink(self.now, &mut reports);
            reports.clear();
        }
    }

    fn step_thinned(&mut self, thinning: u32, reports: &mut Vec<Report>) {
        self.truth.roll(self.now);
        self.now = self.now.plus_secs(1);
        for segment in 0..self.lane_start.len() as u32 {
            for lane in 0..self.network.segment(SegmentId(segment)).lanes {
                if !self.lanes[self.lane_index(segment, lane)].is_empty() {
                    self.move_lane(segment, lane);
                }
            }
        }
        self.depart();
        let mut reporter = std::mem::take(&mut self.reporter);
        reporter.report(self, thinning, reports);
        self.reporter = reporter;
    }

    pub(super) fn lane_index(&self, segment: u32, lane: u8) -> usize {
        (self.lane_start[segment as usize] + u32::from(lane)) as usize
    }

    /// The rearmost vehicle of a lane.
    pub(super) fn rearmost(&self, segment: u32, lane: u8) -> Option<&Vehicle> {
        self.lanes[self.lane_index(segment, lane)]
            .last()
            .map(|&slot| &self.vehicles[slot as usize])
    }

    /// Takes a vehicle that is in no lane any more off the road.
    pub(super) fn remove(&mut self, slot: u32, has_arrived: bool) {
        self.vehicles[slot as usize].voice = Voice::Silent;
        self.free_slots.push(slot);
        self.counts.active -= 1;
        if has_arrived {
            self.counts.arrived += 1;
        } else {
            self.counts.given_up += 1;
        }
    }

    /// Starts the trips that are due, as far as there is room.
    fn depart(&mut self) {
        let wanted = level(self.now) * self.settings.vehicles as f32;
        self.due += wanted / (self.demand.flows.trip_s * TRIP_STRETCH);
        self.due = self.due.min(60.0);
        let mut tries = 2 * self.due as u32 + 2;
        while self.due >= 1.0 && tries > 0 && (self.counts.active as f32) < wanted * CROWD_MAX {
            tries -= 1;
            let (origin, destination) = self.demand.draw(&mut self.rng);
            let variant = self.rng.random_range(0..self.demand.variants as u32);
            let tree = variant * self.demand.destinations.len() as u32 + destination as u32;
            if self.demand.next(tree as usize, origin).is_some()
                && self.enter_new(origin.0, tree, 0.0)
            {
                self.due -= 1.0;
            }
        }
    }

    /// Puts the first vehicles somewhere along their ways.
    fn populate(&mut self) {
        let wanted = (level(self.now) * self.settings.vehicles as f32) as usize;
        let mut tries = wanted * 3;
        while (self.counts.active as usize) < wanted && tries > 0 {
            tries -= 1;
            let (origin, destination) = self.demand.draw(&mut self.rng);
            let variant = self.rng.random_range(0..self.demand.variants as u32);
            let tree = variant * self.demand.destinations.len() as u32 + destination as u32;
            let mut way = vec![origin];
            let mut total_s = 0.0f32;
            while let Some(next) = self.demand.next(tree as usize, way[way.len() - 1]) {
                total_s += self.roads.free_s[next.index()];
                way.push(next);
            }
            let mut left_s = total_s * self.rng.random::<f32>();
            let mut at = way[0];
            for &segment in &way[1..] {
                at = segment;
                left_s -= self.roads.free_s[segment.index()];
                if left_s <= 0.0 {
                    break;
                }
            }
            if self.demand.next(tree as usize, at).is_some() {
                let share = self.rng.random::<f32>();
                let length_m = self.network.segment(at).length_m;
                self.enter_new(at.0, tree, share * length_m);
            }
        }
    }

    /// Adds a vehicle at most `offset_m` along a segment, behind those who are there.
    fn enter_new(&mut self, segment: u32, tree: u32, offset_m: f32) -> bool {
        let lane_count = self.network.segment(SegmentId(segment)).lanes;
        let lane = self.rng.random_range(0..u32::from(lane_count)) as u8;
        let room_m = self
            .rearmost(segment, lane)
            .map_or(f32::INFINITY, |last| last.offset_m - 2.0 * JAM_SPACING_M);
        if room_m < 0.0 {
            return false;
        }
        let voice = self.draw_voice();
        let next = self.demand.next(tree as usize, SegmentId(segment));
        let vehicle = Vehicle {
            serial: self.next_serial,
            tree,
            segment,
            lane,
            voice,
            waited_s: 0,
            next: next.map_or(super::demand::NOWHERE, |next| next.0),
            offset_m: offset_m.min(room_m),
            speed_mps: 4.0,
            accel_mps2: 0.0,
            temper: self.rng.random_range(0.86..1.08f32),
            moved_at: i64::MIN,
            error: PositionError::drawn(&mut self.rng),
        };
        self.next_serial += 1;
        let slot = match self.free_slots.pop() {
            Some(slot) => {
                self.vehicles[slot as usize] = vehicle;
                slot
            }
            None => {
                self.vehicles.push(vehicle);
                self.vehicles.len() as u32 - 1
            }
        };
        let index = self.lane_index(segment, lane);
        self.lanes[index].push(slot);
        self.truth.entered(segment);
        self.counts.departed += 1;
        self.counts.active += 1;
        true
    }

    fn draw_voice(&mut self) -> Voice {
        let (a, b, c) = (
            self.rng.random::<f64>(),
            self.rng.random::<f64>(),
            self.rng.random::<f64>(),
        );
        let settings = &self.settings;
        match (
            a < settings.equipped_share,
            b < settings.bsm_share,
            c < settings.single_share,
        ) {
            (false, _, _) => Voice::Silent,
            (_, true, _) => Voice::Bsm,
            (_, _, true) => Voice::ProbeAlone,
            _ => Voice::ProbeInBatch,
        }
    }
}

/// Hour of the day at UTC+8.
fn local_hour(at: Timestamp) -> f32 {
    (at.as_secs() + 8 * 3600).rem_euclid(86_400) as f32 / 3600.0
}

/// Vehicles on the road relative to the top of the peak: a morning and an evening hump over a
/// day's base.
fn level(at: Timestamp) -> f32 {
    let hour = local_hour(at);
    let hump = |middle: f32, wide: f32| (-((hour - middle) / wide).powi(2)).exp();
    let base = if (6.5..21.5).contains(&hour) {
        0.42
    } else {
        0.15
    };
    base + (1.0 - base) * (hump(8.1, 1.15) + 0.9 * hump(17.9, 1.3)).min(1.0)
}

/// Picks the bridge direction that carries most and still flows, and sets the squeeze so that half
/// of its traffic gets through.
fn choose_incident(city: &City, demand: &Demand, settings: &TrafficSettings) -> Option<Incident> {
    let (from_s, until_s) = settings.incident_s?;
    let per_trip = settings.vehicles as f32 * 3600.0 / (demand.flows.trip_s * TRIP_STRETCH);
    let flow_vph = |id: SegmentId| demand.flows.segment[id.index()] * per_trip;
    // The last crossing is the tunnel; an incident there would be another story.
    let bridges = &city.crossings[..city.crossings.len().min(2)];
    let (segment, flow) = bridges
        .iter()
        .flat_map(|bridge| &bridge.directions)
        .filter_map(|direction| direction.get(direction.len() / 2))
        .map(|&id| (id, flow_vph(id)))
        .max_by(|a, b| a.1.total_cmp(&b.1).then(b.0.cmp(&a.0)))?;
    Some(Incident {
        segment,
        from: settings.start.plus_secs(from_s),
        until: settings.start.plus_secs(until_s),
        lanes_closed: city.network.segment(segment).lanes.saturating_sub(1),
        headway_s: (3600.0 / (0.5 * flow).max(60.0)).clamp(2.5, 60.0),
        speed_mps: 5.0,
    })
}
