//! One second in one lane: following, stopping, crossing.

use super::demand::NOWHERE;
use super::roads::{JAM_SPACING_M, Turn};
use super::simulation::{Simulation, Vehicle};
use crate::network::SegmentFlags;
use crate::units::SegmentId;

/// Acceleration, m/s² (Treiber & Kesting 2013, table 11.2: 1 to 2).
const ACCELERATION_MPS2: f32 = 1.9;
/// Braking drivers count on, m/s² (Krauss 1998: 4.5; gentler here).
const BRAKING_MPS2: f32 = 3.2;
/// Reaction time, seconds (Krauss 1998).
const REACTION_S: f32 = 1.0;
/// Speed through a turn, m/s. Chosen.
const TURN_MPS: f32 = 6.5;
/// Distance from the line at which a driver looks at the junction, metres.
const LOOK_M: f32 = 70.0;
/// Who has right of way arrives within this time, seconds: wait.
const RIVAL_S: f32 = 3.2;
/// After this wait a driver edges out, seconds.
const PATIENCE_S: u16 = 18;
/// After this wait a driver looks for another way, seconds.
const DETOUR_S: u16 = 100;
/// After this wait a driver turns off into a yard, seconds.
const GIVE_UP_S: u16 = 280;

/// What the foremost vehicle of a lane finds at the line.
enum Ahead {
    /// It must stop there.
    Stop,
    /// It may go, with this much room beyond the line and this speed of who is there.
    Go {
        lane: u8,
        room_m: f32,
        lead_mps: f32,
    },
    /// Its trip ends on this segment.
    Home,
}

impl Simulation {
    /// Moves the vehicles of one lane, foremost first.
    pub(super) fn move_lane(&mut self, segment: u32, lane: u8) {
        let index = self.lane_index(segment, lane);
        let second = self.now.as_secs();
        let mut queue = std::mem::take(&mut self.lanes[index]);
        let mut leader: Option<(f32, f32)> = None;
        queue.retain(|&slot| {
            let mut vehicle = self.vehicles[slot as usize];
            if vehicle.moved_at == second {
                leader = Some((vehicle.offset_m, vehicle.speed_mps));
                return true;
            }
            vehicle.moved_at = second;
            let stays = self.move_vehicle(slot, &mut vehicle, leader);
            self.vehicles[slot as usize] = vehicle;
            if stays {
                leader = Some((vehicle.offset_m, vehicle.speed_mps));
            }
            stays
        });
        // Nobody can have entered this very lane meanwhile: a movement never leads back into the
        // segment it leaves.
        debug_assert!(self.lanes[index].is_empty());
        self.lanes[index] = queue;
    }

    /// Moves one vehicle; says whether it is still in its lane.
    fn move_vehicle(
        &mut self,
        slot: u32,
        vehicle: &mut Vehicle,
        leader: Option<(f32, f32)>,
    ) -> bool {
        let facts = *self.network.segment(SegmentId(vehicle.segment));
        let before_mps = vehicle.speed_mps;
        let mut wish_mps = (facts.limit_mps * vehicle.temper).min(before_mps + ACCELERATION_MPS2);
        if let Some(incident) = self
            .incident
            .filter(|i| i.segment.0 == vehicle.segment && i.is_on(self.now))
        {
            wish_mps = wish_mps.min(incident.speed_mps);
        }
        let left_m = facts.length_m - vehicle.offset_m;
        if left_m < LOOK_M {
            wish_mps = wish_mps.min(self.turn_speed(vehicle, left_m));
        }
        let ahead = match leader {
            Some(_) => None,
            None if left_m < LOOK_M => Some(self.look_ahead(vehicle)),
            None => Some(Ahead::Go {
                lane: 0,
                room_m: f32::INFINITY,
                lead_mps: 0.0,
            }),
        };
        let (gap_m, lead_mps) = match (&ahead, leader) {
            (_, Some((offset_m, speed_mps))) => {
                (offset_m - JAM_SPACING_M - vehicle.offset_m, speed_mps)
            }
            (Some(Ahead::Stop), _) => (left_m - 1.0, 0.0),
            (
                Some(Ahead::Go {
                    room_m, lead_mps, ..
                }),
                _,
            ) => (left_m + room_m, *lead_mps),
            _ => (f32::INFINITY, 0.0),
        };
        let speed_mps = wish_mps.min(safe_speed(gap_m.max(0.0), lead_mps)).max(0.0);
        vehicle.speed_mps = speed_mps;
        vehicle.accel_mps2 = speed_mps - before_mps;
        vehicle.offset_m += speed_mps;
        self.truth.drove(vehicle.segment, speed_mps, 1.0);
        let is_home = vehicle.next == NOWHERE && vehicle.offset_m > 0.6 * facts.length_m;
        if is_home {
            self.remove(slot, true);
            return false;
        }
        if leader.is_none() {
            vehicle.waited_s = if speed_mps < 0.3 {
                vehicle.waited_s.saturating_add(1)
            } else {
                0
            };
            if vehicle.waited_s > DETOUR_S && self.give_up(slot, vehicle) {
                return false;
            }
        }
        if vehicle.offset_m > facts.length_m {
            return match ahead {
                Some(Ahead::Go { lane, room_m, .. }) if room_m.is_finite() || left_m < LOOK_M => {
                    !self.cross(slot, vehicle, lane, facts.length_m)
                }
                _ => {
                    vehicle.offset_m = facts.length_m;
                    true
                }
            };
        }
        true
    }

    /// Speed that still allows to slow down for the turn ahead.
    fn turn_speed(&self, vehicle: &Vehicle, left_m: f32) -> f32 {
        match self.turn(vehicle.segment, vehicle.next) {
            Turn::Straight => f32::INFINITY,
            _ if self
                .network
                .segment(SegmentId(vehicle.segment))
                .flags
                .contains(SegmentFlags::LINK)
                || vehicle.next != NOWHERE
                    && self
                        .network
                        .segment(SegmentId(vehicle.next))
                        .flags
                        .contains(SegmentFlags::LINK) =>
            {
                (11.0f32.powi(2) + 4.0 * left_m.max(0.0)).sqrt()
            }
            _ => (TURN_MPS.powi(2) + 4.0 * left_m.max(0.0)).sqrt(),
        }
    }

    fn turn(&self, from: u32, to: u32) -> Turn {
        let movements = self.network.movements();
        self.network
            .movement_range_from(SegmentId(from))
            .find(|&index| movements[index].to().0 == to)
            .map_or(Turn::Straight, |index| self.roads.turn[index])
    }

    fn look_ahead(&self, vehicle: &Vehicle) -> Ahead {
        if vehicle.next == NOWHERE {
            return Ahead::Home;
        }
        let second = self.now.as_secs();
        if self.junctions.is_red(vehicle.segment, second) || !self.has_way(vehicle, second) {
            return Ahead::Stop;
        }
        match self.entry(vehicle) {
            Some((lane, room_m, lead_mps)) => Ahead::Go {
                lane,
                room_m,
                lead_mps,
            },
            None => Ahead::Stop,
        }
    }

    /// Whether priority lets the vehicle leave its segment.
    fn has_way(&self, vehicle: &Vehicle, second: i64) -> bool {
        if self.junctions.has_signal(vehicle.segment) {
            return true;
        }
        let rivals = self.junctions.rivals(vehicle.segment);
        let is_patient = vehicle.waited_s < PATIENCE_S;
        let is_met = rivals.iter().any(|&rival| {
            let facts = self.network.segment(SegmentId(rival));
            (0..facts.lanes).any(|lane| {
                let foremost = self.lanes[self.lane_index(rival, lane)].first();
                foremost.is_some_and(|&slot| {
                    let other = &self.vehicles[slot as usize];
                    let left_m = facts.length_m - other.offset_m;
                    other.speed_mps > 1.5 && left_m < other.speed_mps * RIVAL_S
                })
            })
        });
        let junction = self.network.segment(SegmentId(vehicle.segment)).to();
        !(is_met && is_patient)
            && (rivals.is_empty() || self.junctions.is_clear(junction, vehicle.segment, second))
    }

    /// The lane of the next segment with most room: lane, metres free behind its last vehicle, and
    /// that vehicle's speed.
    fn entry(&self, vehicle: &Vehicle) -> Option<(u8, f32, f32)> {
        let next = vehicle.next;
        let lanes = self.network.segment(SegmentId(next)).lanes;
        let mut closed = 0u8;
        if let Some(incident) = self
            .incident
            .filter(|i| i.segment.0 == next && i.is_on(self.now))
        {
            closed = incident.lanes_closed;
            let since_s = self.now.millis_since(self.incident_entry) as f32 / 1000.0;
            if since_s < incident.headway_s {
                return None;
            }
        }
        let after = self.demand.next(vehicle.tree as usize, SegmentId(next));
        let turn = after.map_or(Turn::Straight, |after| self.turn(next, after.0));
        let is_any = vehicle.waited_s >= PATIENCE_S;
        let fits = |lane: u8| {
            is_any
                || match (turn, lanes) {
                    (_, 1) => true,
                    (Turn::Right, _) => lane == 0,
                    (Turn::Left | Turn::Back, _) => lane == lanes - 1,
                    (Turn::Straight, 2) => true,
                    (Turn::Straight, _) => lane < lanes - 1 || lanes == 3 && closed > 0,
                }
        };
        (closed..lanes)
            .filter(|&lane| fits(lane) || closed > 0)
            .map(|lane| match self.rearmost(next, lane) {
                Some(last) => (lane, last.offset_m - JAM_SPACING_M, last.speed_mps),
                None => (lane, 500.0, 30.0),
            })
            .filter(|&(_, room_m, _)| room_m >= 0.0)
            .max_by(|a, b| (a.1 + 4.0 * a.2).total_cmp(&(b.1 + 4.0 * b.2)))
    }

    /// Takes the vehicle into the next segment; says whether it went.
    fn cross(&mut self, slot: u32, vehicle: &mut Vehicle, lane: u8, length_m: f32) -> bool {
        let room_m = self
            .rearmost(vehicle.next, lane)
            .map_or(f32::INFINITY, |last| last.offset_m - JAM_SPACING_M);
        if room_m < 0.0 {
            vehicle.offset_m = length_m;
            return false;
        }
        let junction = self.network.segment(SegmentId(vehicle.segment)).to();
        self.junctions
            .claim(junction, vehicle.segment, self.now.as_secs());
        if self
            .incident
            .is_some_and(|incident| incident.segment.0 == vehicle.next)
        {
            self.incident_entry = self.now;
        }
        let entered_m = self.network.segment(SegmentId(vehicle.next)).length_m;
        vehicle.offset_m = (vehicle.offset_m - length_m).min(room_m).min(entered_m);
        vehicle.segment = vehicle.next;
        vehicle.lane = lane;
        vehicle.waited_s = 0;
        vehicle.next = self
            .demand
            .next(vehicle.tree as usize, SegmentId(vehicle.segment))
            .map_or(NOWHERE, |next| next.0);
        let index = self.lane_index(vehicle.segment, lane);
        self.lanes[index].push(slot);
        self.truth.entered(vehicle.segment);
        true
    }

    /// After a long wait: takes another exit, or leaves the road. Says whether the vehicle is gone.
    fn give_up(&mut self, slot: u32, vehicle: &mut Vehicle) -> bool {
        // Whoever stands before the place of the incident knows why and waits.
        if self
            .incident
            .is_some_and(|i| i.is_on(self.now) && i.segment.0 == vehicle.next)
        {
            return false;
        }
        if vehicle.waited_s > GIVE_UP_S {
            self.remove(slot, false);
            return true;
        }
        let tree = vehicle.tree as usize;
        let other = self
            .network
            .movements_from(SegmentId(vehicle.segment))
            .iter()
            .map(|movement| movement.to())
            .filter(|to| {
                to.0 != vehicle.next
                    && self
                        .demand
                        .next(tree, *to)
                        .is_some_and(|n| n.0 != vehicle.segment)
            })
            .find(|to| {
                self.rearmost(to.0, 0)
                    .is_none_or(|last| last.offset_m > 2.0 * JAM_SPACING_M)
            });
        if let Some(to) = other {
            vehicle.next = to.0;
            vehicle.waited_s = PATIENCE_S;
        }
        false
    }
}

/// The largest speed at which one can still stop behind a leader that brakes (Krauss 1998), and
/// never more than the gap allows in this second.
fn safe_speed(gap_m: f32, lead_mps: f32) -> f32 {
    let b = BRAKING_MPS2 * REACTION_S;
    let safe = (b * b + lead_mps * lead_mps + 2.0 * BRAKING_MPS2 * gap_m).sqrt() - b;
    safe.min(gap_m)
}
