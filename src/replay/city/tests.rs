use std::collections::BTreeSet;

use super::*;
use crate::network::SegmentFlags;

/// Segments that can be reached from `starts` along movements, forwards or backwards.
fn reach(network: &Network, starts: &[SegmentId], is_forward: bool) -> BTreeSet<SegmentId> {
    let mut seen: BTreeSet<SegmentId> = starts.iter().copied().collect();
    let mut stack = starts.to_vec();
    while let Some(at) = stack.pop() {
        let next: Vec<SegmentId> = if is_forward {
            network.movements_from(at).iter().map(|m| m.to()).collect()
        } else {
            network.movements_into(at).map(|m| m.from()).collect()
        };
        for id in next {
            if seen.insert(id) {
                stack.push(id);
            }
        }
    }
    seen
}

#[test]
fn the_demo_city_is_connected_and_of_the_promised_size() {
    for seed in [1, 7, 42] {
        let city = build(seed, CitySize::Demo).unwrap();
        let network = &city.network;
        let count = network.segment_count();
        assert!((2_000..=4_500).contains(&count), "{count} segments");
        let heart = city.crossings[1].directions[0][0];
        let inner = reach(network, &[heart], true);
        let in_town = |id: &SegmentId| network.segment(*id).class() != RoadClass::Motorway;
        let ids: Vec<SegmentId> = network.segment_ids().collect();
        let missing: Vec<_> = ids
            .iter()
            .filter(|&id| in_town(id) && !inner.contains(id))
            .collect();
        assert!(
            missing.is_empty(),
            "seed {seed}: {missing:?} cannot be reached"
        );
        let mut starts = city.gateways.clone();
        starts.push(heart);
        let (out, back) = (
            reach(network, &starts, true),
            reach(network, &starts, false),
        );
        for id in &ids {
            assert!(out.contains(id), "seed {seed}: {id} cannot be reached");
            assert!(back.contains(id), "seed {seed}: {id} leads nowhere");
        }
    }
}

#[test]
fn equal_seeds_give_equal_cities_and_others_do_not() {
    let version = |seed| build(seed, CitySize::Small).unwrap().network.version();
    assert_eq!(version(3), version(3));
    assert_ne!(version(3), version(4));
}

#[test]
fn every_road_is_named_in_both_languages() {
    let city = build(42, CitySize::Demo).unwrap();
    for id in city.network.segment_ids() {
        let zh = city.network.name(id).unwrap();
        let en = city.network.name_en(id).unwrap();
        assert!(!zh.is_ascii(), "{zh}");
        assert!(en.is_ascii() && !en.is_empty(), "{en}");
    }
    assert_eq!(
        city.network.name_en(city.crossings[1].directions[0][0]),
        Some("Yunhan Bridge")
    );
}

#[test]
fn bridges_tunnel_ramps_signals_and_units_stand_where_they_should() {
    let city = build(42, CitySize::Demo).unwrap();
    let network = &city.network;
    let all = |flag: SegmentFlags, ids: &[SegmentId]| {
        ids.iter()
            .all(|&id| network.segment(id).flags.contains(flag))
    };
    assert_eq!(city.crossings.len(), 3);
    assert!(all(SegmentFlags::BRIDGE, &city.crossings[0].directions[0]));
    assert!(all(SegmentFlags::TUNNEL, &city.crossings[2].directions[1]));
    for crossing in &city.crossings {
        for direction in &crossing.directions {
            for pair in direction.windows(2) {
                let joined = network
                    .movements_from(pair[0])
                    .iter()
                    .any(|m| m.to() == pair[1]);
                assert!(joined, "{} is broken", crossing.name_en);
            }
        }
    }
    let links = network
        .segments()
        .iter()
        .filter(|s| s.flags.contains(SegmentFlags::LINK))
        .count();
    assert!(links >= 40, "{links} ramps");
    assert!(city.signals.len() >= 100, "{} signals", city.signals.len());
    for (junction, plan) in &city.signals {
        assert!(network.junction(*junction).is_signalised());
        let green: u32 = plan
            .phases
            .iter()
            .map(|p| p.green_until_s - p.green_from_s)
            .sum();
        assert!(green < plan.cycle_s && (60..=90).contains(&plan.cycle_s));
    }
    assert_eq!(city.rsus.len(), 40);
    assert!(
        city.rsus
            .iter()
            .all(|rsu| rsu.id.len() == 8 && rsu.name.contains(" / "))
    );
    assert!(
        city.gateways.len() >= 14,
        "{} gateways",
        city.gateways.len()
    );
    assert_eq!(city.water.len(), 2);
}

#[test]
fn no_segment_is_too_short_to_hold_a_car() {
    for seed in [1, 7, 42] {
        let city = build(seed, CitySize::Demo).unwrap();
        for (index, segment) in city.network.segments().iter().enumerate() {
            assert!(
                (15.0..=700.0).contains(&segment.length_m),
                "seed {seed}: segment {index} is {} m",
                segment.length_m
            );
        }
    }
}
