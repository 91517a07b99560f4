//! What roadside units tell, as HTTP shows it: junctions, signals, events, car parks.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use crate::matching::{LINE_DISTANCE_MAX_M, TiedApproach, TiedJunction};
use crate::network::{Candidate, Network};
use crate::observation::{Approach, ApproachLane, EventCode, ParkingReading, RoadEvent};
use crate::state::{PhaseSignal, RoadsideView};
use crate::units::{Position, Timestamp};

/// The junctions that roadside units describe (MAP), tied to the network.
///
/// HTTP `/api/v1/junctions`; each junction alone under `roadcast/v1/junction/{id}`, retained, QoS 1,
/// when it changes.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JunctionsMessage {
    /// Version of the network whose segments are named.
    pub network: String,
    /// The end of the closed minute it is about, milliseconds.
    pub as_of_ms: i64,
    /// Junctions by id.
    pub junctions: Vec<JunctionEntry>,
}

/// One junction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct JunctionEntry {
    /// What its source calls it; `{region}-{id}` in T/CSAE 53.
    pub id: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Longitude, WGS-84, degrees.
    pub lon_deg: f64,
    /// Latitude, WGS-84, degrees.
    pub lat_deg: f64,
    /// Mean distance of the tied lines from their segments, metres.
    pub mean_distance_m: f32,
    /// Share of the ways in that is tied, 0 to 1.
    pub tied_ratio: f32,
    /// The ways in, in the order of the map.
    pub approaches: Vec<ApproachEntry>,
}

/// One way into a junction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ApproachEntry {
    /// The junction it comes from.
    pub upstream: String,
    /// Its name.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Speed limit, m/s.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub limit_mps: Option<f32>,
    /// The segments it runs along, in driving order; the last ends at the junction.
    pub segments: Vec<u32>,
    /// Mean distance of its line from them, metres.
    pub mean_distance_m: f32,
    /// Share of its line that lies on them, 0 to 1.
    pub tied_ratio: f32,
    /// Why it is not tied: `no_points` or `off_network`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
    /// Its lanes.
    pub lanes: Vec<LaneEntry>,
    /// Where it leads.
    pub movements: Vec<MovementEntry>,
}

/// One lane of a way in.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LaneEntry {
    /// Its number in the map.
    pub number: i32,
    /// The lane of the network that it is, 0 at the kerb.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<u8>,
    /// Metres across.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub width_m: Option<f32>,
    /// Whom it is for: `unknown`, `vehicle`, `crosswalk`, `bicycle`, `sidewalk`, `median`,
    /// `striping`, `tracked`, `parking`.
    pub usage: String,
    /// The turns allowed: `straight`, `left`, `right`, `u_turn`; absent where not said.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub turns: Option<Vec<String>>,
    /// Where it leads.
    pub connections: Vec<ConnectionEntry>,
}

/// Where a lane leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ConnectionEntry {
    /// The junction it leads to.
    pub downstream: String,
    /// The lane it leads into, as numbered in the map.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<i32>,
    /// The signal phase that governs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<u32>,
}

/// Where a way in leads.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct MovementEntry {
    /// The junction it leads to.
    pub downstream: String,
    /// The signal phase that governs it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub phase: Option<u32>,
    /// The segment it leads into.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u32>,
    /// Why it is not tied: `off_network`, `no_exit` or `unreachable`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub problem: Option<String>,
}

/// What signals show.
///
/// HTTP `/api/v1/signals`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalsMessage {
    /// Version of the network whose segments are named.
    pub network: String,
    /// The end of the closed minute it is about, milliseconds.
    pub as_of_ms: i64,
    /// Phases by junction and number.
    pub signals: Vec<SignalEntry>,
}

/// One phase of one junction.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct SignalEntry {
    /// The junction as its source calls it.
    pub junction: String,
    /// Phase number within the junction.
    pub phase: u32,
    /// When it was so, milliseconds.
    pub observed_at_ms: i64,
    /// What it showed: `unknown`, `dark`, `flashing_red`, `red`, `flashing_green`,
    /// `permissive_green`, `protected_green`, `yellow`, `flashing_yellow`; absent where only what
    /// comes is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub light: Option<String>,
    /// Seconds from `observed_at_ms` until that probably ended.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub ends_in_s: Option<f32>,
    /// What it was to show next.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_light: Option<String>,
    /// Seconds from `observed_at_ms` until then.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub next_begins_in_s: Option<f32>,
    /// The turns it governs, by the junction's map; empty where no map is known.
    pub movements: Vec<GovernedEntry>,
}

/// A turn that a phase governs.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct GovernedEntry {
    /// The segment that ends at the signal.
    pub from: u32,
    /// The segment it leads into, where that is known.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub to: Option<u32>,
}

/// Events and signs in force or announced.
///
/// HTTP `/api/v1/events`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventsMessage {
    /// Version of the network whose segments are named.
    pub network: String,
    /// The end of the closed minute it is about, milliseconds.
    pub as_of_ms: i64,
    /// Events and signs by source and number.
    pub events: Vec<EventEntry>,
}

/// One event or sign.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EventEntry {
    /// Who tells it.
    pub source: String,
    /// Its number at that source.
    pub id: u64,
    /// By which code it is classified: `gbt29100`, `gb5768`, `etsi` or `maker`.
    pub system: String,
    /// The code.
    #[serde(rename = "type")]
    pub code: u32,
    /// The sub-cause of `etsi`.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub sub_type: Option<u32>,
    /// When it was told last, milliseconds.
    pub observed_at_ms: i64,
    /// Longitude, WGS-84, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon_deg: Option<f64>,
    /// Latitude, WGS-84, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat_deg: Option<f64>,
    /// The segment nearest to it, within 25 m.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub segment: Option<u32>,
    /// Metres from the start of that segment.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub offset_m: Option<f32>,
    /// How far around it reaches, metres.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius_m: Option<f32>,
    /// The stretches concerned, each a line of `[longitude, latitude]` along the traffic.
    pub paths: Vec<Vec<[f64; 2]>>,
    /// Lane, as the source numbers it.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lane: Option<u32>,
    /// From when it holds, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_from_ms: Option<i64>,
    /// Until when it holds, milliseconds.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub valid_until_ms: Option<i64>,
    /// How sure the source is, 0 to 1.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub confidence: Option<f32>,
    /// Free text of the source.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub description: Option<String>,
}

/// How full car parks are.
///
/// HTTP `/api/v1/parking`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParkingMessage {
    /// The end of the closed minute it is about, milliseconds.
    pub as_of_ms: i64,
    /// Car parks by id.
    pub lots: Vec<ParkingEntry>,
}

/// One car park.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct ParkingEntry {
    /// Its id.
    pub lot: String,
    /// When it was so, milliseconds.
    pub observed_at_ms: i64,
    /// Longitude, WGS-84, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon_deg: Option<f64>,
    /// Latitude, WGS-84, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat_deg: Option<f64>,
    /// Spaces in all.
    pub capacity: u32,
    /// Free spaces.
    pub free: u32,
}

fn text(text: &str) -> String {
    text.to_owned()
}

fn optional(value: Option<&std::sync::Arc<str>>) -> Option<String> {
    value.map(|value| text(value))
}

/// One junction as of `as_of`.
pub(super) fn junction_message(
    as_of: Timestamp,
    network: &Network,
    tied: &TiedJunction,
) -> JunctionsMessage {
    JunctionsMessage {
        network: network.version().to_string(),
        as_of_ms: as_of.as_millis(),
        junctions: vec![junction(tied)],
    }
}

/// The junctions of a view.
pub fn junctions_message(view: &RoadsideView, network: &Network) -> JunctionsMessage {
    JunctionsMessage {
        network: network.version().to_string(),
        as_of_ms: view.as_of.as_millis(),
        junctions: view.overlay.junctions().map(|at| junction(at)).collect(),
    }
}

fn junction(tied: &TiedJunction) -> JunctionEntry {
    let (mean_distance_m, tied_ratio) = tied.fit();
    let reading = &tied.reading;
    let parts = reading.approaches.iter().zip(&tied.approaches);
    JunctionEntry {
        id: text(&reading.junction),
        name: optional(reading.name.as_ref()),
        lon_deg: reading.position.lon_deg,
        lat_deg: reading.position.lat_deg,
        mean_distance_m,
        tied_ratio,
        approaches: parts.map(|(read, tied)| approach(read, tied)).collect(),
    }
}

fn approach(read: &Approach, tied: &TiedApproach) -> ApproachEntry {
    let lanes = read.lanes.iter().zip(&tied.lanes);
    let movements = tied.movements.iter().map(|movement| MovementEntry {
        downstream: text(&movement.downstream),
        phase: movement.phase,
        segment: movement.outgoing.map(|segment| segment.0),
        problem: movement.problem.map(|problem| text(problem.label())),
    });
    ApproachEntry {
        upstream: text(&read.upstream),
        name: optional(read.name.as_ref()),
        limit_mps: read.limit_mps,
        segments: tied.segments.iter().map(|segment| segment.0).collect(),
        mean_distance_m: tied.mean_distance_m,
        tied_ratio: tied.tied_share,
        problem: tied.problem.map(|problem| text(problem.label())),
        lanes: lanes
            .map(|(read, index)| lane(read, index.map(|index| index.0)))
            .collect(),
        movements: movements.collect(),
    }
}

fn lane(read: &ApproachLane, lane: Option<u8>) -> LaneEntry {
    let connections = read.connections.iter().map(|to| ConnectionEntry {
        downstream: text(&to.downstream),
        lane: to.lane,
        phase: to.phase,
    });
    LaneEntry {
        number: read.number,
        lane,
        width_m: read.width_m,
        usage: text(read.usage.label()),
        turns: read.turns.map(|turns| turns.labels().map(text).collect()),
        connections: connections.collect(),
    }
}

/// The signals of a view.
pub fn signals_message(view: &RoadsideView, network: &Network) -> SignalsMessage {
    SignalsMessage {
        network: network.version().to_string(),
        as_of_ms: view.as_of.as_millis(),
        signals: view.signals.iter().map(|at| signal(view, at)).collect(),
    }
}

fn signal(view: &RoadsideView, signal: &PhaseSignal) -> SignalEntry {
    let (now, next) = signal.now_and_next();
    let junction = view.overlay.junction(&signal.junction);
    let movements = junction
        .into_iter()
        .flat_map(|junction| junction.movements_of_phase(signal.phase))
        .map(|(from, to)| GovernedEntry {
            from: from.0,
            to: to.map(|to| to.0),
        });
    SignalEntry {
        junction: text(&signal.junction),
        phase: signal.phase,
        observed_at_ms: signal.observed_at.as_millis(),
        light: now.map(|state| text(state.light.label())),
        ends_in_s: now.and_then(|state| state.ends_in_s),
        next_light: next.map(|state| text(state.light.label())),
        next_begins_in_s: next.and_then(|state| state.begins_in_s),
        movements: movements.collect(),
    }
}

/// The events of a view.
pub fn events_message(view: &RoadsideView, network: &Network) -> EventsMessage {
    EventsMessage {
        network: network.version().to_string(),
        as_of_ms: view.as_of.as_millis(),
        events: view
            .events
            .iter()
            .map(|told| event(told, network))
            .collect(),
    }
}

/// Whose code it is, the code, and its sub-code.
pub(super) fn code_entry(code: EventCode) -> (&'static str, u32, Option<u32>) {
    match code {
        EventCode::Gbt29100(code) => ("gbt29100", code, None),
        EventCode::Gb5768(code) => ("gb5768", code, None),
        EventCode::Etsi(code, sub_code) => ("etsi", code, Some(sub_code)),
        EventCode::Maker(code) => ("maker", code, None),
    }
}

fn event(event: &RoadEvent, network: &Network) -> EventEntry {
    let (system, code, sub_type) = code_entry(event.code);
    let place = event.position.and_then(|at| nearest(network, at));
    let pair = |at: &Position| [at.lon_deg, at.lat_deg];
    EventEntry {
        source: text(&event.source),
        id: event.event,
        system: text(system),
        code,
        sub_type,
        observed_at_ms: event.observed_at.as_millis(),
        lon_deg: event.position.map(|at| at.lon_deg),
        lat_deg: event.position.map(|at| at.lat_deg),
        segment: place.map(|place| place.segment.0),
        offset_m: place.map(|place| place.offset_m),
        radius_m: event.radius_m,
        paths: event
            .paths
            .iter()
            .map(|path| path.iter().map(pair).collect())
            .collect(),
        lane: event.lane,
        valid_from_ms: event.valid_from.map(Timestamp::as_millis),
        valid_until_ms: event.valid_until.map(Timestamp::as_millis),
        confidence: event.confidence,
        description: optional(event.description.as_ref()),
    }
}

/// The place on the network nearest to a position, of two alike the segment first numbered.
fn nearest(network: &Network, position: Position) -> Option<Candidate> {
    let point = network.frame().to_point(position);
    let mut nearest: Option<Candidate> = None;
    network.candidates_within(point, LINE_DISTANCE_MAX_M, &mut |candidate| {
        let is_nearer = nearest.is_none_or(|known| {
            (candidate.distance_m, candidate.segment) < (known.distance_m, known.segment)
        });
        if is_nearer {
            nearest = Some(candidate);
        }
    });
    nearest
}

/// The car parks of a view.
pub fn parking_message(view: &RoadsideView) -> ParkingMessage {
    let lot = |parking: &ParkingReading| ParkingEntry {
        lot: text(&parking.lot),
        observed_at_ms: parking.observed_at.as_millis(),
        lon_deg: parking.position.map(|at| at.lon_deg),
        lat_deg: parking.position.map(|at| at.lat_deg),
        capacity: parking.capacity,
        free: parking.free,
    };
    ParkingMessage {
        as_of_ms: view.as_of.as_millis(),
        lots: view.parking.iter().map(lot).collect(),
    }
}
