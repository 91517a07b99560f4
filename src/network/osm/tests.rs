use super::*;
use crate::network::Part;
use crate::network::model::RoadClass;
use crate::units::SegmentId;
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
    // Two routes turn back where a track and a footpath meet the road; turning back is a movement
    // only where nothing else leaves.
    let back = [
        "\"hei0003\" turns back on 187145017",
        "\"hei0006\" turns back on 29993772",
    ];
    for (extract, routes, expected) in [
        (
            "networks/poa.osm.pbf",
            "traces/poa_routes.jsonl.gz",
            &[][..],
        ),
        (
            "networks/heidelberg.osm.pbf",
            "traces/heidelberg_routes.jsonl.gz",
            &back,
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
        let mut exceptions = BTreeSet::new();
        for line in gunzip(&routes).lines() {
            let route: serde_json::Value = serde_json::from_str(line).unwrap();
            let mut driven: Vec<SegmentId> = Vec::new();
            for pair in route["segs"].as_array().unwrap() {
                let key = (
                    pair[0].to_string(),
                    pair[1].as_i64().unwrap() as i8,
                    pair[2].as_u64().unwrap() as u32,
                );
                let id = known.get(&key).copied().map(SegmentId);
                assert!(
                    id.is_some(),
                    "{extract}: {key:?} of {} is missing",
                    route["trace_id"]
                );
                driven.extend(id.filter(|id| driven.last() != Some(id)));
            }
            for pair in driven.windows(2).filter(|pair| !network.permits(pair)) {
                let facts = network.segment(pair[0]);
                let turns_back = facts.twin() == Some(pair[1]);
                let what = if turns_back {
                    "turns back on"
                } else {
                    "may not leave"
                };
                exceptions.insert(format!(
                    "{} {what} {}",
                    route["trace_id"],
                    network.source_id(pair[0])
                ));
            }
            let after_turns = driven.split(|id| {
                network
                    .segment(*id)
                    .twin()
                    .is_some_and(|twin| driven.contains(&twin))
            });
            for part in after_turns {
                assert!(
                    network.permits(part),
                    "{extract}: {} breaks a rule",
                    route["trace_id"]
                );
            }
        }
        let exceptions: Vec<&str> = exceptions.iter().map(String::as_str).collect();
        assert_eq!(exceptions, expected, "{extract}");
    }
}

/// Every way with a `highway` tag, every ferry and every restriction is kept or left out for a
/// named reason.
#[test]
fn every_way_and_restriction_is_accounted_for() {
    for (name, ways, restrictions) in [
        ("heidelberg", 25_359 + 6, 476),
        ("poa", 15_886, 0),
        ("monaco", 2_927 + 1, 27),
    ] {
        let Some(bytes) = shared(&format!("networks/{name}.osm.pbf")) else {
            return;
        };
        let (network, report) = read(name, &bytes).unwrap();
        println!(
            "{name}: {} segments, {} of {} ways kept",
            network.segment_count(),
            report.roads_kept,
            report.roads_read
        );
        println!(
            "  {} of {} restrictions kept",
            report.restrictions_kept, report.restrictions_read
        );
        for (cause, count) in report.omissions() {
            println!("  left out {count} {}", cause.label());
        }
        for (assumption, count) in report.assumptions() {
            println!("  assumed {count} {}", assumption.label());
        }
        println!("  {}", report.notes.join("; "));
        assert_eq!(
            (report.roads_read, report.restrictions_read),
            (ways, restrictions)
        );
        assert_eq!(report.roads_kept + report.omitted_of(Part::Road), ways);
        assert_eq!(
            report.restrictions_kept + report.omitted_of(Part::Restriction),
            restrictions
        );
        let kept: BTreeSet<&str> = network
            .segment_ids()
            .map(|id| network.source_id(id))
            .collect();
        assert_eq!(kept.len() as u64, report.roads_kept);
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
