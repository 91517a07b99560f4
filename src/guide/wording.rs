//! The sentences of guidance, in English and Chinese.

use super::jam::Run;
use crate::network::Network;
use crate::units::SegmentId;

/// The name of a road in both languages; its id where it has none.
fn names(network: &Network, id: SegmentId) -> (String, String) {
    let own = network.name(id);
    let english = network.name_en(id).or(own);
    let unnamed = || format!("road {}", network.source_id(id));
    let unnamed_zh = || format!("道路{}", network.source_id(id));
    (
        english.map_or_else(unnamed, str::to_owned),
        own.map_or_else(unnamed_zh, str::to_owned),
    )
}

fn kmh(speed_mps: f32) -> u32 {
    (speed_mps * 3.6).round() as u32
}

/// Whole minutes, at least 1.
pub(super) fn minutes(seconds: f32) -> u32 {
    (seconds / 60.0).round().max(1.0) as u32
}

/// Why a jam is reported. `ends_in_s` is the time until its forecast end, if it has one.
pub(super) fn jam(network: &Network, run: &Run, ends_in_s: Option<f32>) -> (String, String) {
    let head = run.segments[0];
    let (name, name_zh) = names(network, head);
    let (speed, length_m) = (kmh(run.speed_mps), (run.length_m / 10.0).round() * 10.0);
    let delay = minutes(run.delay_s);
    let (end, end_zh) = match ends_in_s {
        Some(seconds) => {
            let minutes = minutes(seconds);
            (
                format!("forecast to clear in about {minutes} min"),
                format!("预计约{minutes}分钟后缓解"),
            )
        }
        None => (
            "not forecast to clear within the hour".into(),
            "预计一小时内不会缓解".into(),
        ),
    };
    (
        format!(
            "Traffic on {name} moves at {speed} km/h over {length_m} m, {delay} min longer than free \
             flow; {end}."
        ),
        format!(
            "{name_zh}车速{speed}公里/小时，拥堵{length_m}米，比畅通时多{delay}分钟；{end_zh}。"
        ),
    )
}

/// Why a diversion is advised, by its two travel times and the roads they use most.
pub(super) fn diversion(
    network: &Network,
    jam_head: SegmentId,
    alternative: &[SegmentId],
    [main_s, alternative_s]: [f32; 2],
) -> (String, String) {
    let (avoided, avoided_zh) = names(network, jam_head);
    let (via, via_zh) = longest_named(network, alternative, jam_head);
    let (main, other) = (minutes(main_s), minutes(alternative_s));
    (
        format!(
            "Going via {via} takes {other} min against {main} min through the jam on {avoided}."
        ),
        format!("绕行{via_zh}约{other}分钟，经{avoided_zh}拥堵路段约{main}分钟。"),
    )
}

/// The road with the most metres on a route, other than the one avoided.
fn longest_named(network: &Network, route: &[SegmentId], avoided: SegmentId) -> (String, String) {
    let mut metres: std::collections::BTreeMap<Option<&str>, (f32, SegmentId)> = Default::default();
    for &id in route {
        let name = network.name(id);
        if name.is_some() && name == network.name(avoided) {
            continue;
        }
        let entry = metres.entry(name).or_insert((0.0, id));
        entry.0 += network.segment(id).length_m;
    }
    let named = metres.iter().filter(|(name, _)| name.is_some());
    let best = named.max_by(|a, b| a.1.0.total_cmp(&b.1.0));
    let any = best
        .or_else(|| metres.iter().next())
        .map(|(_, (_, id))| *id);
    names(network, any.unwrap_or(avoided))
}
