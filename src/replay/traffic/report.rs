//! What the outside gets to know: probe records, BSM and RSM as messages ready to send.
//!
//! | topic | payload | who |
//! | --- | --- | --- |
//! | `roadcast/v1/vehicle/{id}/probe/up` | native JSON, one record | a few connected cars |
//! | `roadcast/v1/rsu/{id}/probe/up` | native JSON, `{"records":[…]}` | an area's connected cars |
//! | `V2X/RSU/BSM/UP` | T/CSAE 53 BSM, UPER, in the RSU's envelope | cars heard by a unit |
//! | `V2X/RSU/RSM/UP` | T/CSAE 53 RSM, UPER, in the RSU's envelope | cars seen by a unit |

use std::sync::Arc;

use bytes::Bytes;

use super::noise::normal;
use super::settings::TrafficSettings;
use super::simulation::{Simulation, Vehicle, Voice};
use crate::replay::city::City;
use crate::units::{Point, Position, SegmentId, Timestamp};
use crate::wire::csae::{
    BsmRecord, PARTICIPANTS_MAX, ParticipantKind, RsmParticipant, encode_bsm, encode_envelope,
    encode_rsm,
};
use crate::wire::{Format, ProbeRecord, Route, VehicleName, json};

/// Topic of BSM in the envelope.
pub const BSM_TOPIC: &str = "V2X/RSU/BSM/UP";
/// Topic of RSM in the envelope.
pub const RSM_TOPIC: &str = "V2X/RSU/RSM/UP";
/// Width of a lane, metres (CJJ 37-2012, table 5.3.2: 3.25 to 3.75).
const LANE_M: f32 = 3.25;
/// A unit hears cars up to here, metres. Chosen: 5.9 GHz in town.
const RADIO_M: f32 = 900.0;
/// BSM of one envelope at most; its count is one byte.
const BSM_PER_ENVELOPE: usize = 250;
/// Standard deviation of a unit's perception on each axis, metres. Chosen.
const PERCEPTION_SIGMA_M: f32 = 0.6;

/// One message on its way.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Report {
    /// Event time of what it says.
    pub at: Timestamp,
    /// MQTT topic.
    pub topic: Arc<str>,
    /// Payload.
    pub payload: Bytes,
}

/// The routes that serve every topic of [`Report`]s.
pub fn default_routes() -> Vec<Route> {
    let route = |filter: &str, format| Route::new(filter, format);
    vec![
        route("roadcast/v1/vehicle/+/probe/up", Format::NativeJson),
        route("roadcast/v1/rsu/+/probe/up", Format::NativeJson),
        route(BSM_TOPIC, Format::csae_uper(true)),
        route(RSM_TOPIC, Format::csae_uper(true)),
    ]
}

#[derive(Debug)]
struct Unit {
    id: [u8; 8],
    topic: Arc<str>,
    position: Position,
    point: Point,
    radius_m: f32,
    /// Segments of which a part is in sight.
    watched: Vec<u32>,
    message_count: u8,
    probes: Vec<ProbeRecord<'static>>,
    bsm: Vec<Vec<u8>>,
}

/// Collects and encodes the reports of one second.
#[derive(Debug, Default)]
pub(super) struct Reporter {
    units: Vec<Unit>,
    /// The unit nearest to each segment, and whether it hears cars there.
    nearest: Vec<(u16, bool)>,
    probe_period_s: u32,
    bsm_period_s: u32,
    rsm_period_s: u32,
}

impl Reporter {
    pub(super) fn new(city: &City, settings: &TrafficSettings) -> Self {
        let network = &city.network;
        let units: Vec<Unit> = city
            .rsus
            .iter()
            .map(|rsu| {
                let point = network.junction(rsu.junction).point;
                let mut watched = Vec::new();
                network.candidates_within(point, rsu.radius_m, &mut |found| {
                    watched.push(found.segment.0)
                });
                watched.sort_unstable();
                let mut id = [b' '; 8];
                for (to, from) in id.iter_mut().zip(rsu.id.bytes()) {
                    *to = from;
                }
                Unit {
                    id,
                    topic: format!("roadcast/v1/rsu/{}/probe/up", rsu.id).into(),
                    position: rsu.position,
                    point,
                    radius_m: rsu.radius_m,
                    watched,
                    message_count: 0,
                    probes: Vec::new(),
                    bsm: Vec::new(),
                }
            })
            .collect();
        let nearest = network
            .segment_ids()
            .map(|id| {
                let middle = network.locate(id, network.segment(id).length_m / 2.0).0;
                let best = (0..units.len())
                    .map(|unit| (unit as u16, units[unit].point.distance_m(middle)))
                    .min_by(|a, b| a.1.total_cmp(&b.1));
                best.map_or((0, false), |(unit, far_m)| (unit, far_m < RADIO_M))
            })
            .collect();
        Self {
            units,
            nearest,
            probe_period_s: settings.probe_period_s.max(1),
            bsm_period_s: settings.bsm_period_s.max(1),
            rsm_period_s: settings.rsm_period_s.max(1),
        }
    }

    /// Appends the reports due in this second, in an order that depends only on the simulation.
    pub(super) fn report(
        &mut self,
        simulation: &mut Simulation,
        thinning: u32,
        out: &mut Vec<Report>,
    ) {
        let second = simulation.now.as_secs();
        for slot in 0..simulation.vehicles.len() {
            let mut vehicle = simulation.vehicles[slot];
            let period_s = match vehicle.voice {
                Voice::Silent => continue,
                Voice::Bsm => self.bsm_period_s,
                _ => self.probe_period_s,
            } * thinning;
            if (second + i64::from(vehicle.serial)).rem_euclid(i64::from(period_s)) != 0 {
                continue;
            }
            self.report_vehicle(simulation, &mut vehicle, period_s as f32, out);
            simulation.vehicles[slot].error = vehicle.error;
        }
        for unit in &mut self.units {
            unit.flush(simulation.now, out);
        }
        let period_s = i64::from(self.rsm_period_s * thinning);
        for (number, unit) in self.units.iter_mut().enumerate() {
            if (second + number as i64).rem_euclid(period_s) == 0 {
                unit.perceive(simulation, out);
            }
        }
    }

    fn report_vehicle(
        &mut self,
        simulation: &mut Simulation,
        vehicle: &mut Vehicle,
        elapsed_s: f32,
        out: &mut Vec<Report>,
    ) {
        let (point, heading_deg) = place(simulation, vehicle);
        let seen = vehicle.error.apply(point, elapsed_s, &mut simulation.rng);
        let jitter = normal(&mut simulation.rng);
        let position = simulation.network.frame().to_position(seen);
        let speed_mps = (vehicle.speed_mps + 0.15 * jitter).max(0.0);
        let heading_deg = (heading_deg + 1.5 * jitter).rem_euclid(360.0);
        let (unit, is_heard) = self.nearest[vehicle.segment as usize];
        let at = simulation.now;
        if vehicle.voice == Voice::Bsm {
            if !is_heard {
                return;
            }
            let mut id = *b"YHCA\0\0\0\0";
            id[4..].copy_from_slice(&vehicle.serial.to_be_bytes());
            self.units[usize::from(unit)]
                .bsm
                .push(encode_bsm(&BsmRecord {
                    id,
                    message_count: (at.as_secs().rem_euclid(128)) as u8,
                    observed_at: at,
                    position,
                    speed_mps: Some(speed_mps),
                    heading_deg: Some(heading_deg),
                    accel_mps2: Some(vehicle.accel_mps2),
                    length_m: 4.6,
                    width_m: 1.8,
                }));
            return;
        }
        let record = ProbeRecord {
            id: VehicleName::Number(u64::from(vehicle.serial)),
            observed_at: at,
            position,
            speed_mps: Some(speed_mps),
            heading_deg: Some(heading_deg),
            accel_mps2: Some(vehicle.accel_mps2),
            kind: Some("car"),
        };
        if vehicle.voice == Voice::ProbeAlone || self.units.is_empty() {
            let mut payload = Vec::with_capacity(160);
            json::encode_record(&record, &mut payload);
            out.push(Report {
                at,
                topic: format!("roadcast/v1/vehicle/{}/probe/up", vehicle.serial).into(),
                payload: payload.into(),
            });
        } else {
            self.units[usize::from(unit)].probes.push(record);
        }
    }
}

impl Unit {
    /// Sends what was collected from cars.
    fn flush(&mut self, at: Timestamp, out: &mut Vec<Report>) {
        if !self.probes.is_empty() {
            let mut payload = Vec::with_capacity(160 * self.probes.len());
            json::encode_batch(&self.probes, &mut payload);
            self.probes.clear();
            out.push(Report {
                at,
                topic: Arc::clone(&self.topic),
                payload: payload.into(),
            });
        }
        for frames in self.bsm.chunks(BSM_PER_ENVELOPE) {
            let mut payload = Vec::new();
            encode_envelope(self.id, at, frames, &mut payload);
            out.push(Report {
                at,
                topic: BSM_TOPIC.into(),
                payload: payload.into(),
            });
        }
        self.bsm.clear();
    }

    /// Sends what the unit sees itself, at most [`PARTICIPANTS_MAX`] cars a frame.
    fn perceive(&mut self, simulation: &mut Simulation, out: &mut Vec<Report>) {
        let mut seen = Vec::new();
        for index in 0..self.watched.len() {
            let segment = self.watched[index];
            for lane in 0..simulation.network.segment(SegmentId(segment)).lanes {
                for &slot in &simulation.lanes[simulation.lane_index(segment, lane)] {
                    let vehicle = simulation.vehicles[slot as usize];
                    let (point, heading_deg) = place(simulation, &vehicle);
                    if point.distance_m(self.point) > self.radius_m {
                        continue;
                    }
                    let rng = &mut simulation.rng;
                    let point = Point::new(
                        point.x + PERCEPTION_SIGMA_M * normal(rng),
                        point.y + PERCEPTION_SIGMA_M * normal(rng),
                    );
                    seen.push(RsmParticipant {
                        participant_id: vehicle.serial as u16,
                        kind: ParticipantKind::Motor,
                        observed_at: simulation.now,
                        position: simulation.network.frame().to_position(point),
                        speed_mps: Some((vehicle.speed_mps + 0.3 * normal(rng)).max(0.0)),
                        heading_deg: Some(heading_deg),
                        length_m: 4.6,
                        width_m: 1.8,
                    });
                }
            }
        }
        let mut frames = Vec::new();
        for participants in seen.chunks(PARTICIPANTS_MAX) {
            self.message_count = self.message_count.wrapping_add(1) % 128;
            // A chunk holds 1 to PARTICIPANTS_MAX, so the encoder has nothing to refuse.
            if let Ok(frame) = encode_rsm(self.id, self.message_count, self.position, participants)
            {
                frames.push(frame);
            }
        }
        if !frames.is_empty() {
            let mut payload = Vec::new();
            encode_envelope(self.id, simulation.now, &frames, &mut payload);
            out.push(Report {
                at: simulation.now,
                topic: RSM_TOPIC.into(),
                payload: payload.into(),
            });
        }
    }
}

/// Where a vehicle is, in its lane, and where it heads.
pub(super) fn place(simulation: &Simulation, vehicle: &Vehicle) -> (Point, f32) {
    let id = SegmentId(vehicle.segment);
    let segment = simulation.network.segment(id);
    let (point, heading_deg) = simulation.network.locate(id, vehicle.offset_m);
    let from_kerb = f32::from(vehicle.lane);
    let lanes = f32::from(segment.lanes);
    // Two-way roads are drawn along the middle, carriageways along their own middle.
    let right_m = if segment.twin().is_some() {
        (lanes - 0.5 - from_kerb) * LANE_M
    } else {
        ((lanes - 1.0) / 2.0 - from_kerb) * LANE_M
    };
    let heading = heading_deg.to_radians();
    let point = Point::new(
        point.x + right_m * heading.cos(),
        point.y - right_m * heading.sin(),
    );
    (point, heading_deg)
}
