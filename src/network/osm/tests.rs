use super::*;
use crate::network::model::RoadClass;
use std::collections::{BTreeMap, BTreeSet};

fn shared(name: &str) -> Option<Vec<u8>> {
    let path = format!("{}/../shared/data/{name}", env!("CARGO_MANIFEST_DIR"));
    let bytes = std::fs::read(&path).ok();
    if bytes.is_none() {
        println!("skipped: {path} is absent");
    }
    bytes
}

#[test]
fn reads_monaco() {
    let Some(bytes) = shared("networks/monaco.osm.pbf") else {
        return;
    };
    let (network, report) = crate::network::load("monaco.osm.pbf", bytes.clone()).unwrap();
    assert_eq!(report.format, NetworkFormat::Osm);
    assert!(
        network.segment_count() > 2_000,
        "{}",
        network.segment_count()
    );
    assert!(network.signalised_count() > 10);
    assert!(report.omitted(Omission::NotForVehicles) > 0);
    assert!(report.omitted(Omission::NoAccess) > 0);
    let middle = network.frame().origin();
    assert!(
        middle.distance_to(Position::new(7.42, 43.74)).value() < 10_000.0,
        "{middle:?}"
    );
    let with = |flag| {
        network
            .segments()
            .iter()
            .filter(|segment| segment.flags.contains(flag))
            .count()
    };
    assert!(with(SegmentFlags::TUNNEL) > 50 && with(SegmentFlags::ROUNDABOUT) > 20);
    for id in network.segment_ids() {
        let facts = network.segment(id);
        // Twins are of one stretch and run in opposite directions.
        if let Some(twin) = facts
            .twin()
            .filter(|&twin| network.source_id(twin) == network.source_id(id))
        {
            assert_eq!(facts.source_dir, -network.segment(twin).source_dir);
        }
        // One-way motorways have no twin of their own way.
        if facts.class() == RoadClass::Motorway && !facts.flags.contains(SegmentFlags::LINK) {
            assert_eq!(facts.source_dir, 1);
        }
    }
    // Stretches of one way and direction don't overlap and leave no gap that is not omitted.
    let mut pairs: BTreeMap<(&str, i8), Vec<(u32, u32)>> = BTreeMap::new();
    for id in network.segment_ids() {
        let facts = network.segment(id);
        let last = facts.source_pair + network.shape(id).len() as u32 - 1;
        pairs
            .entry((network.source_id(id), facts.source_dir))
            .or_default()
            .push((facts.source_pair, last));
    }
    for ((way, _), mut ranges) in pairs {
        ranges.sort_unstable();
        assert!(
            ranges.windows(2).all(|pair| pair[0].1 <= pair[1].0),
            "way {way}: {ranges:?}"
        );
    }
}

#[test]
fn true_routes_are_movements_of_the_network() {
    for (extract, routes) in [
        ("networks/poa.osm.pbf", "traces/poa_routes.jsonl.gz"),
        (
            "networks/heidelberg.osm.pbf",
            "traces/heidelberg_routes.jsonl.gz",
        ),
    ] {
        let (Some(bytes), Some(routes)) = (shared(extract), shared(routes)) else {
            return;
        };
        let (network, _) = read(extract, &bytes).unwrap();
        let mut known: BTreeMap<(String, i8, u32), u32> = BTreeMap::new();
        for id in network.segment_ids() {
            let facts = network.segment(id);
            for pair in 0..network.shape(id).len() as u32 - 1 {
                known.insert(
                    (
                        network.source_id(id).to_owned(),
                        facts.source_dir,
                        facts.source_pair + pair,
                    ),
                    id.0,
                );
            }
        }
        let (mut missing, mut pairs, mut unconnected, mut steps) = (BTreeSet::new(), 0, 0, 0);
        let text = gunzip(&routes);
        for line in text.lines() {
            let route: serde_json::Value = serde_json::from_str(line).unwrap();
            let mut last = None;
            for pair in route["segs"].as_array().unwrap() {
                pairs += 1;
                let key = (
                    pair[0].to_string(),
                    pair[1].as_i64().unwrap() as i8,
                    pair[2].as_u64().unwrap() as u32,
                );
                let Some(&id) = known.get(&key) else {
                    missing.insert(key);
                    last = None;
                    continue;
                };
                if let Some(last) = last.filter(|&last| last != id) {
                    steps += 1;
                    let from = crate::units::SegmentId(last);
                    if !network
                        .movements_from(from)
                        .iter()
                        .any(|movement| movement.to().0 == id)
                    {
                        unconnected += 1;
                    }
                }
                last = Some(id);
            }
        }
        // Some routes use roads closed to the public, which are left out, and few turns that
        // restrictions forbid.
        println!(
            "{extract}: {} of {pairs} pairs and {unconnected} of {steps} turns missing",
            missing.len()
        );
        assert!(missing.len() * 100 <= pairs && unconnected * 200 <= steps);
    }
}

fn gunzip(bytes: &[u8]) -> String {
    use std::io::Read;
    let mut text = String::new();
    flate2::read::GzDecoder::new(bytes)
        .read_to_string(&mut text)
        .unwrap();
    text
}

#[test]
fn broken_extracts_are_errors() {
    let Some(bytes) = shared("networks/monaco.osm.pbf") else {
        return;
    };
    let problem = |bytes: &[u8]| read("x.osm.pbf", bytes).unwrap_err().to_string();
    for end in [10, 100, 5_000, bytes.len() / 2, bytes.len() - 1] {
        assert!(
            problem(&bytes[..end]).contains("blob"),
            "cut at {end}: {}",
            problem(&bytes[..end])
        );
    }
    let mut damaged = bytes.clone();
    damaged[bytes.len() / 2] ^= 0x55;
    assert!(problem(&damaged).contains("blob"));
    assert!(problem(b"").contains("no drivable segment"));
}
