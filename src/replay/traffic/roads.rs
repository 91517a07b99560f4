//! What traffic needs to know of roads beyond the network: turns, green shares, capacities.

use crate::network::{Network, RoadClass, SegmentFlags};
use crate::replay::city::City;
use crate::units::SegmentId;

/// Flow a lane can carry past a line when nothing stops it, vehicles an hour: 1 900 on
/// expressways, 1 650 on city streets (chosen near HCM 6's base saturation flows less local
/// friction).
const LANE_FLOW_VPH: (f32, f32) = (1_900.0, 1_650.0);
/// Share of the base flow that a street without priority passes at its end. Chosen.
const YIELD_SHARE: f32 = 0.55;

/// Which way a movement turns.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Turn {
    Straight,
    Left,
    Right,
    Back,
}

impl Turn {
    fn of(network: &Network, from: SegmentId, to: SegmentId) -> Self {
        let arriving = network.locate(from, network.segment(from).length_m).1;
        let leaving = network.locate(to, 0.0).1;
        let by_deg = (leaving - arriving + 540.0).rem_euclid(360.0) - 180.0;
        match by_deg {
            d if d.abs() <= 40.0 => Self::Straight,
            d if d.abs() > 155.0 => Self::Back,
            d if d < 0.0 => Self::Left,
            _ => Self::Right,
        }
    }

    /// Time a turn costs beyond driving straight on, milliseconds. Chosen.
    fn penalty_ms(self) -> u32 {
        match self {
            Self::Straight => 0,
            Self::Right => 2_000,
            Self::Left => 7_000,
            Self::Back => 30_000,
        }
    }
}

/// Derived facts of a city's roads, by segment and by movement.
#[derive(Debug)]
pub(super) struct Roads {
    /// By movement index.
    pub(super) turn: Vec<Turn>,
    /// By movement index, milliseconds.
    pub(super) turn_ms: Vec<u32>,
    /// Flow that can leave the segment, vehicles a second.
    pub(super) capacity_vps: Vec<f32>,
    /// Free-flow travel time with the mean wait at a signal, seconds.
    pub(super) free_s: Vec<f32>,
    /// Vehicles that fit on the segment at a standstill.
    pub(super) storage: Vec<f32>,
}

/// Length of road one standing vehicle takes, metres (jam density 133 veh/km a lane).
pub(super) const JAM_SPACING_M: f32 = 7.5;

impl Roads {
    pub(super) fn new(city: &City) -> Self {
        let network = &city.network;
        let turn: Vec<Turn> = network
            .movements()
            .iter()
            .map(|movement| Turn::of(network, movement.from(), movement.to()))
            .collect();
        let count = network.segment_count();
        let mut roads = Self {
            turn_ms: turn.iter().map(|turn| turn.penalty_ms()).collect(),
            turn,
            capacity_vps: Vec::with_capacity(count),
            free_s: Vec::with_capacity(count),
            storage: Vec::with_capacity(count),
        };
        for id in network.segment_ids() {
            let segment = network.segment(id);
            let lanes = f32::from(segment.lanes);
            let (fast, slow) = LANE_FLOW_VPH;
            let base = if segment.class() == RoadClass::Motorway {
                fast
            } else {
                slow
            };
            let (share, wait_s) = end_of(city, id);
            roads.capacity_vps.push(base / 3600.0 * lanes * share);
            roads
                .free_s
                .push(segment.length_m / (0.93 * segment.limit_mps) + wait_s);
            roads
                .storage
                .push((segment.length_m / JAM_SPACING_M * lanes).max(2.0));
        }
        roads
    }
}

/// Share of time the end of a segment is open, and the mean wait there at low flow: for a red of
/// `r` in a cycle of `c` seconds r^2 / (2 c) (uniform arrivals; Webster 1958, first term).
fn end_of(city: &City, id: SegmentId) -> (f32, f32) {
    let network = &city.network;
    let segment = network.segment(id);
    if let Some(plan) = city.signals.get(&segment.to()) {
        let green: u32 = plan
            .phases
            .iter()
            .filter(|phase| phase.approaches.contains(&id))
            .map(|phase| phase.green_until_s - phase.green_from_s)
            .sum();
        let (green, cycle) = (green as f32, plan.cycle_s as f32);
        return (green / cycle, (cycle - green).powi(2) / (2.0 * cycle));
    }
    if yields(network, id) {
        return (YIELD_SHARE, 3.0);
    }
    (1.0, 0.0)
}

/// Whether a better road also ends where `id` ends, without a signal to share the place.
pub(super) fn yields(network: &Network, id: SegmentId) -> bool {
    let segment = network.segment(id);
    if segment.is_signalised() {
        return false;
    }
    let is_ramp = segment.flags.contains(SegmentFlags::LINK);
    let rank = |class: RoadClass, is_link: bool| class as u8 * 2 + u8::from(is_link);
    network.movements_from(id).iter().any(|movement| {
        network.movements_into(movement.to()).any(|other| {
            let rival = network.segment(other.from());
            let rival_ramp = rival.flags.contains(SegmentFlags::LINK);
            // A ramp's foot on an arterial gives way to it although its class is better.
            let foot = is_ramp && !rival_ramp && rival.class() != RoadClass::Motorway;
            let head = rival_ramp && !is_ramp && segment.class() != RoadClass::Motorway;
            foot || (!head && rank(rival.class(), rival_ramp) < rank(segment.class(), is_ramp))
        })
    })
}
