//! What is derived of a minute: corridors, bottlenecks, emissions, and a segment's turning flows and
//! fundamental diagram.

use schemars::JsonSchema;
use serde::{Deserialize, Serialize};

use super::TOPIC_ROOT;
use crate::network::Network;
use crate::publish::{OutMessage, Released};
use crate::state::{
    Bottleneck, BottleneckDay, CorridorState, Emission, PerformanceBatch, SegmentState, StateBatch,
};
use crate::units::SegmentId;

/// The travel time along one corridor in one closed minute.
///
/// Topic `roadcast/v1/corridor/{id}`, retained; HTTP `/api/v1/corridors` has all of them.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorridorMessage {
    /// Network version the segment numbers belong to, first 16 hexadecimal digits of its SHA-256.
    pub network: String,
    /// What the configuration calls the corridor.
    pub id: String,
    /// What people call it.
    pub name: String,
    /// Start of the minute, event time, milliseconds.
    pub start_ms: i64,
    /// End of the minute, event time, milliseconds.
    pub end_ms: i64,
    /// Metres along segments and junctions.
    pub length_m: f32,
    /// Mean travel time of the minute, s: the sum over its segments (instantaneous).
    pub time_s: f32,
    /// Standard deviation of `time_s`, s.
    pub sigma_s: f32,
    /// Nine of ten trips take at least this long, and at most `high_s`, s.
    pub low_s: f32,
    /// See `low_s`, s.
    pub high_s: f32,
    /// Travel time of who arrives at the end of the minute, s; absent before enough minutes were seen.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub experienced_s: Option<f32>,
    /// Travel time at free-flow speed, s.
    pub free_flow_s: f32,
    /// Share of the length whose speed was measured or estimated, not only usual, 0 to 1.
    pub known_ratio: f32,
    /// Its segments in driving order.
    pub legs: Vec<LegEntry>,
}

/// One segment of a corridor.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct LegEntry {
    /// Segment number within the network version.
    pub segment: u32,
    /// What the source of the network calls the road.
    pub source_id: String,
    /// Mean time to drive it, the junction before it included, s.
    pub time_s: f32,
    /// Standard deviation of `time_s`, s.
    pub sigma_s: f32,
}

/// Every corridor. HTTP `/api/v1/corridors`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct CorridorsMessage {
    /// Corridors in the order of the configuration.
    pub corridors: Vec<CorridorMessage>,
}

/// The bottlenecks of today and yesterday, worst first. HTTP `/api/v1/bottlenecks`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BottlenecksMessage {
    /// Network version the segment numbers belong to.
    pub network: String,
    /// End of the closed minute it is about, milliseconds.
    pub as_of_ms: i64,
    /// The local day so far.
    pub today: Vec<BottleneckEntry>,
    /// The local day before.
    pub yesterday: Vec<BottleneckEntry>,
}

/// One bottleneck on one day.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct BottleneckEntry {
    /// The segment that is jammed up to its end.
    pub segment: u32,
    /// What the source of the network calls the road.
    pub source_id: String,
    /// Name of the road.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub name: Option<String>,
    /// Whether it is active in the newest minute.
    pub active: bool,
    /// Times it became active.
    pub activations: u32,
    /// Minutes it was active.
    pub active_minutes: u32,
    /// Start of the first active minute, milliseconds.
    pub first_ms: i64,
    /// End of the newest active minute, milliseconds.
    pub until_ms: i64,
    /// Length of its jam in the newest active minute, m.
    pub extent_m: f32,
    /// The longest of the day, m.
    pub extent_m_max: f32,
    /// Delay of all vehicles in its jams against free flow, veh·h.
    pub delay_veh_h: f64,
    /// Part of `delay_veh_h` whose flow was read from fundamental diagrams, veh·h.
    pub estimated_veh_h: f64,
}

/// Fuel and CO2 of one minute. HTTP `/api/v1/emissions`.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmissionsMessage {
    /// Network version the segment numbers belong to.
    pub network: String,
    /// Start of the minute, event time, milliseconds.
    pub start_ms: i64,
    /// End of the minute, event time, milliseconds.
    pub end_ms: i64,
    /// Whose curve it is.
    pub model: String,
    /// CO2 of all segments with known flow, kg/h.
    pub co2_kgph: f64,
    /// Fuel of all segments with known flow, as petrol, l/h.
    pub fuel_lph: f64,
    /// Share of the network's length with known flow, 0 to 1.
    pub known_ratio: f64,
    /// Every segment, in order.
    pub segments: Vec<EmissionEntry>,
}

/// Fuel and CO2 on one segment.
#[derive(Clone, Debug, PartialEq, Serialize, Deserialize, JsonSchema)]
#[serde(deny_unknown_fields)]
pub struct EmissionEntry {
    /// Segment number within the network version.
    pub segment: u32,
    /// CO2 of a mean light vehicle, g/km.
    pub co2_gpkm: f32,
    /// Its fuel, as petrol, l/km.
    pub fuel_lpkm: f32,
    /// Its energy, net heat of the fuel, MJ/km.
    pub energy_mjpkm: f32,
    /// CO2 of all vehicles, kg/h; absent where flow is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub co2_kgph: Option<f32>,
    /// Fuel of all vehicles, as petrol, l/h; absent where flow is unknown.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub fuel_lph: Option<f32>,
}

/// What HTTP `/api/v1/segments/{id}` tells under `derived`.
#[derive(Clone, Debug, PartialEq, Serialize)]
pub(crate) struct DerivedEntry {
    /// Which way vehicles leave; movements of fewer road users than a group are left out.
    turns: Vec<TurnEntry>,
    diagram: DiagramEntry,
    /// Where flow is unknown: what the diagram says at this speed.
    #[serde(skip_serializing_if = "Option::is_none")]
    estimate: Option<EstimateEntry>,
    emission: EmissionEntry,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct TurnEntry {
    to: u32,
    to_source_id: String,
    ratio: f32,
    ratio_sigma: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_vph: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    flow_sigma_vph: Option<f32>,
    basis: &'static str,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct DiagramEntry {
    basis: &'static str,
    free_mps: f32,
    capacity_vph_lane: f32,
    critical_density_vpkm_lane: f32,
    jam_density_vpkm_lane: f32,
    wave_mps: f32,
    #[serde(skip_serializing_if = "Option::is_none")]
    minutes: Option<u32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    r_squared: Option<f32>,
    #[serde(skip_serializing_if = "Option::is_none")]
    rmse_vph_lane: Option<f32>,
}

#[derive(Clone, Debug, PartialEq, Serialize)]
struct EstimateEntry {
    density_vpkm: f32,
    density_sigma_vpkm: f32,
    flow_vph: f32,
    flow_sigma_vph: f32,
}

/// Rounds to two decimals for messages.
pub(super) fn two(value: f32) -> f32 {
    (value * 100.0).round() / 100.0
}

/// One corridor's message.
pub fn corridor_message(
    network: &Network,
    batch: &PerformanceBatch,
    state: &CorridorState,
) -> CorridorMessage {
    let corridor = &batch.corridors[state.corridor];
    let legs = state.legs.iter().map(|leg| LegEntry {
        segment: leg.segment.0,
        source_id: network.source_id(leg.segment).to_owned(),
        time_s: two(leg.time_s),
        sigma_s: two(leg.sigma_s),
    });
    CorridorMessage {
        network: batch.network.to_string(),
        id: corridor.id.clone(),
        name: corridor.name.clone(),
        start_ms: batch.interval.start.as_millis(),
        end_ms: batch.interval.end.as_millis(),
        length_m: two(corridor.length_m),
        time_s: two(state.time_s),
        sigma_s: two(state.sigma_s),
        low_s: two(state.low_s),
        high_s: two(state.high_s),
        experienced_s: state.experienced_s.map(two),
        free_flow_s: two(state.free_flow_s),
        known_ratio: two(state.known_ratio),
        legs: legs.collect(),
    }
}

/// Retained MQTT messages, one a corridor that may be told.
pub fn corridor_messages(network: &Network, batch: &Released<PerformanceBatch>) -> Vec<OutMessage> {
    let encode = |state: &CorridorState| {
        let message = corridor_message(network, batch, state);
        OutMessage {
            topic: format!("{TOPIC_ROOT}/corridor/{}", message.id),
            payload: serde_json::to_vec(&message)
                .expect("strings and finite numbers are always valid JSON")
                .into(),
            qos: 0,
            retain: true,
        }
    };
    batch.travel_times.iter().map(encode).collect()
}

/// All corridors that may be told.
pub fn corridors_message(
    network: &Network,
    batch: &Released<PerformanceBatch>,
) -> CorridorsMessage {
    let states = batch.travel_times.iter();
    CorridorsMessage {
        corridors: states
            .map(|state| corridor_message(network, batch, state))
            .collect(),
    }
}

/// The bottlenecks of both days.
pub fn bottlenecks_message(
    network: &Network,
    batch: &Released<PerformanceBatch>,
) -> BottlenecksMessage {
    let entry = |known: &Bottleneck| BottleneckEntry {
        segment: known.segment.0,
        source_id: network.source_id(known.segment).to_owned(),
        name: network.name(known.segment).map(str::to_owned),
        active: known.is_active,
        activations: known.activations,
        active_minutes: known.active_minutes,
        first_ms: known.first.as_millis(),
        until_ms: known.until.as_millis(),
        extent_m: two(known.extent_m),
        extent_m_max: two(known.extent_m_max),
        delay_veh_h: known.delay_veh_h,
        estimated_veh_h: known.estimated_veh_h,
    };
    let day = |day: &BottleneckDay| day.ranked.iter().map(entry).collect();
    BottlenecksMessage {
        network: batch.network.to_string(),
        as_of_ms: batch.interval.end.as_millis(),
        today: day(&batch.bottlenecks),
        yesterday: day(&batch.yesterday),
    }
}

/// Emissions of a released minute.
pub fn emissions_message(network: &Network, batch: &Released<StateBatch>) -> EmissionsMessage {
    let mut message = EmissionsMessage {
        network: batch.network.to_string(),
        start_ms: batch.interval.start.as_millis(),
        end_ms: batch.interval.end.as_millis(),
        model: "Barth and Boriboonsomsin 2008".into(),
        co2_kgph: 0.0,
        fuel_lph: 0.0,
        known_ratio: 0.0,
        segments: Vec::with_capacity(batch.segments.len()),
    };
    let mut all_m = 0.0f64;
    for (state, id) in batch.segments.iter().zip(0..) {
        let entry = emission_entry(network, SegmentId(id), state);
        let length_m = f64::from(network.segment(SegmentId(id)).length_m);
        all_m += length_m;
        if let (Some(co2), Some(fuel)) = (entry.co2_kgph, entry.fuel_lph) {
            message.co2_kgph += f64::from(co2);
            message.fuel_lph += f64::from(fuel);
            message.known_ratio += length_m;
        }
        message.segments.push(entry);
    }
    message.known_ratio /= all_m.max(1.0);
    message
}

fn emission_entry(network: &Network, id: SegmentId, state: &SegmentState) -> EmissionEntry {
    let emission = Emission::of(state, network.segment(id).length_m);
    EmissionEntry {
        segment: id.0,
        co2_gpkm: two(emission.co2_gpkm),
        fuel_lpkm: emission.fuel_lpkm,
        energy_mjpkm: two(emission.energy_mjpkm),
        co2_kgph: emission.co2_kgph.map(two),
        fuel_lph: emission.fuel_lph.map(two),
    }
}

/// What was derived for one segment, whose released state is `state`.
pub(crate) fn derived_entry(
    network: &Network,
    batch: &Released<PerformanceBatch>,
    id: SegmentId,
    state: &SegmentState,
) -> DerivedEntry {
    let movements = network.movements();
    let flows = batch.turning.of(network, id, state).into_iter();
    // A movement without anybody is one of too few, or one that nobody took: neither is told apart.
    let told = flows.filter(|flow| flow.seen > 0.0 || flow.basis.label() == "detectors");
    let turns = told.map(|flow| {
        let to = movements[flow.movement].to();
        TurnEntry {
            to: to.0,
            to_source_id: network.source_id(to).to_owned(),
            ratio: flow.ratio,
            ratio_sigma: flow.ratio_sigma,
            flow_vph: flow.flow_vph.map(two),
            flow_sigma_vph: flow.flow_sigma_vph.map(two),
            basis: flow.basis.label(),
        }
    });
    let known = batch.diagrams.of(network, id, state.free_flow_mps);
    let (diagram, goodness) = (known.diagram, known.goodness);
    let lanes = network.segment(id).lanes;
    let estimate = || {
        let density = known.density_from_speed(state.speed_mps, state.sigma_mps, lanes);
        let flow = known.flow_from_speed(state.speed_mps, state.sigma_mps, lanes);
        EstimateEntry {
            density_vpkm: two(density.value),
            density_sigma_vpkm: two(density.sigma),
            flow_vph: two(flow.value),
            flow_sigma_vph: two(flow.sigma),
        }
    };
    DerivedEntry {
        turns: turns.collect(),
        diagram: DiagramEntry {
            basis: known.basis.label(),
            free_mps: two(diagram.free_mps),
            capacity_vph_lane: two(diagram.capacity_vph),
            critical_density_vpkm_lane: two(diagram.critical_density_vpkm()),
            jam_density_vpkm_lane: two(diagram.jam_density_vpkm()),
            wave_mps: two(diagram.wave_mps),
            minutes: goodness.map(|goodness| goodness.minutes),
            r_squared: goodness.map(|goodness| two(goodness.r_squared)),
            rmse_vph_lane: goodness.map(|goodness| two(goodness.rmse_vph)),
        },
        estimate: state.flow_vph.is_none().then(estimate),
        emission: emission_entry(network, id, state),
    }
}

#[cfg(test)]
mod tests {
    use std::sync::Arc;

    use super::*;
    use crate::matching::Zones;
    use crate::publish::Release;
    use crate::publish::format::{Privacy, fixture};

    #[test]
    fn a_corridor_is_retained_under_its_id_and_parses_as_documented() {
        let network = Arc::new(fixture::network());
        let release = Release::new(Privacy::default(), Zones::default());
        let released = release.performance(&network, &fixture::performance(&network));
        let messages = corridor_messages(&network, &released);
        assert_eq!(messages.len(), 1);
        assert_eq!(messages[0].topic, "roadcast/v1/corridor/north");
        assert!(messages[0].retain);
        let parsed: CorridorMessage =
            serde_json::from_slice(&messages[0].payload).expect("the documented type");
        let sum: f32 = parsed.legs.iter().map(|leg| leg.time_s).sum();
        assert!((sum - parsed.time_s).abs() < 0.05, "{parsed:?}");
        assert!(parsed.low_s < parsed.time_s && parsed.time_s < parsed.high_s);
        assert_eq!(parsed.experienced_s, None, "one minute is too short a past");
    }

    #[test]
    fn sums_of_emissions_are_those_of_segments_with_flow() {
        let network = fixture::network();
        let mut batch = fixture::state(&network);
        batch.segments[2].is_counted = true;
        batch.segments[2].flow_vph = Some(600.0);
        let message = emissions_message(&network, &fixture::released(&batch));
        let known: f64 = message
            .segments
            .iter()
            .filter_map(|entry| entry.co2_kgph)
            .map(f64::from)
            .sum();
        assert!(
            (message.co2_kgph - known).abs() < 0.1 && known > 0.0,
            "{known}"
        );
        assert!(message.known_ratio > 0.0 && message.known_ratio < 1.0);
        assert!(message.segments.iter().all(|entry| entry.co2_gpkm > 100.0));
    }
}
