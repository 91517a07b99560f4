//! Evaluation sections on drawn and on real networks.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test itself"
)]

use std::path::Path;
use std::sync::Arc;

use roadcast::network::{Network, Section, SectionRules, compiled};
use roadcast::units::{Metres, SegmentId};

use crate::drawn::{Drawn, draw};

/// The sections of a drawing as the letters of their segments.
fn divide(drawn: Drawn, expressway_m: f64, street_m: f64) -> Vec<String> {
    let rules = SectionRules {
        expressway: Metres(expressway_m),
        street: Metres(street_m),
    };
    let names: Vec<String> = drawn
        .network
        .segment_ids()
        .map(|id| drawn.name(id).to_owned())
        .collect();
    let network = Arc::into_inner(drawn.network)
        .unwrap()
        .with_sections(&rules);
    assert_sound(&network);
    let told = |section: Section<'_>| {
        let letters: Vec<&str> = section
            .segments
            .iter()
            .map(|id| names[id.index()].as_str())
            .collect();
        letters.join(" ")
    };
    network.sections().map(told).collect()
}

/// Every segment in one section, every section one way to drive on one kind of road.
fn assert_sound(network: &Network) {
    let mut count_of = vec![0; network.segment_count()];
    for (index, section) in network.sections().enumerate() {
        for &id in section.segments {
            count_of[id.index()] += 1;
            assert_eq!(network.section_of(id).unwrap().index(), index);
        }
        for pair in section.segments.windows(2) {
            assert!(
                network
                    .movements_from(pair[0])
                    .iter()
                    .any(|movement| movement.to() == pair[1])
            );
        }
        let length_m: f64 = section
            .segments
            .iter()
            .map(|&id| network.segment(id).length().value())
            .sum();
        assert!((section.length.value() - length_m).abs() < 1e-6);
    }
    assert!(count_of.iter().all(|&count| count == 1));
}

fn expressway() -> Drawn {
    draw(
        "
        A----B----C----D----E----F----G
                 /           \\
        P---Q---R             S---T",
        &[
            "A>B>C>D>E>F>G motorway 二环线",
            "R>C motorway_link",
            "E>S motorway_link",
            "P>Q>R secondary",
            "S>T secondary",
        ],
        &[],
    )
}

#[test]
fn expressways_end_at_ramps_only() {
    assert_eq!(
        divide(expressway(), 200.0, 1.0),
        ["AB BC", "CD DE", "EF FG", "RC", "ES", "PQ QR", "ST"]
    );
}

#[test]
fn short_stretches_between_ramps_are_joined() {
    assert_eq!(
        divide(expressway(), 240.0, 1.0)[..3],
        ["AB BC", "CD DE", "EF FG"]
    );
    // Two stretches of 250 m make 500 m, but the third would be left too short.
    assert_eq!(divide(expressway(), 260.0, 1.0)[0], "AB BC CD DE EF FG");
    assert_eq!(divide(expressway(), 3_000.0, 1.0)[0], "AB BC CD DE EF FG");
}

#[test]
fn streets_end_at_stop_lines() {
    // Signals at c and f; a driveway at D, a tertiary road at E.
    let drawn = draw(
        "
                    H    I
                    |    |
        A----B----c----D----E----f----G",
        &["A-B-c-D-E-f-G", "D-H service", "E-I tertiary"],
        &[],
    );
    let sections = divide(drawn, 1.0, 1.0);
    assert_eq!(
        sections,
        [
            "AB Bc", "cD DE", "Ef", "fG", "Gf", "fE", "ED Dc", "cB BA", "DH", "HD", "EI", "IE"
        ]
    );
}

#[test]
fn another_name_is_another_road() {
    let drawn = draw(
        "
        A----B----C----D",
        &[
            "A>B primary 珞喻路",
            "B>C primary 珞喻路",
            "C>D primary 武珞路",
        ],
        &[],
    );
    assert_eq!(divide(drawn, 1.0, 5_000.0), ["AB BC", "CD"]);
}

#[test]
fn a_road_does_not_go_round_the_corner_and_ramps_stay_whole() {
    let drawn = draw(
        "
        A----B
             |
             C----D",
        &["A>B>C secondary", "C>D trunk_link"],
        &[],
    );
    assert_eq!(divide(drawn, 1.0, 1.0), ["AB", "BC", "CD"]);
}

#[test]
fn a_ring_begins_at_its_ramp() {
    let drawn = draw(
        "
          B--C
         A    D---R
         H    E
          G--F",
        &["A>B>C>D>E>F>G>H>A trunk", "R>D trunk_link"],
        &[],
    );
    assert_eq!(divide(drawn, 1.0, 1.0), ["RD", "DE EF FG GH HA AB BC CD"]);
}

#[test]
fn a_network_that_was_not_divided_has_no_sections() {
    let network = expressway().network;
    assert_eq!((network.section_count(), network.sections().len()), (0, 0));
    assert_eq!(network.section_of(SegmentId(0)), None);
}

/// Real extracts: sound, and the same after compiling.
#[test]
fn real_networks_are_divided_whole() {
    let folder = Path::new(concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/networks"
    ));
    for name in ["monaco.osm.pbf", "poa.osm.pbf"] {
        let Ok(bytes) = std::fs::read(folder.join(name)) else {
            eprintln!("skipped: no {name} beside the project");
            continue;
        };
        let (network, report) = roadcast::network::load(name, bytes).unwrap();
        let version = network.version();
        let rules = SectionRules::default();
        let network = network.with_sections(&rules);
        assert_sound(&network);
        assert_eq!(network.version(), version);
        assert!(network.section_count() < network.segment_count());
        let mut bytes = Vec::new();
        compiled::write(&network, &report, &mut bytes);
        let (back, _) = compiled::read(&bytes).unwrap();
        assert!(back.sections().eq(network.sections()), "{name}");
    }
}

/// What the fuzzers begin from and what they once found: none of it may panic.
#[test]
fn the_corpus_of_the_fuzzers_is_read_or_refused() {
    let corpus = std::path::Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus/network");
    let mut read = Vec::new();
    for entry in std::fs::read_dir(corpus).unwrap() {
        let path = entry.unwrap().path();
        let name = path.file_name().unwrap().to_string_lossy().into_owned();
        let loaded = roadcast::network::load(&name, std::fs::read(&path).unwrap());
        let is_seed = path.extension().is_some_and(|kind| kind != "rcn");
        assert!(loaded.is_ok() || !is_seed, "{name}: {:?}", loaded.err());
        read.push(name);
    }
    assert!(read.len() >= 3, "{read:?}");
}
