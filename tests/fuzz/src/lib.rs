//! The rooms under test, and what must hold whatever bytes they are given.

// Links to the sources, so that these rooms find each other as in the crate itself; the checks are
// shared with the ordinary tests and call them by its name.
extern crate self as roadcast;

pub mod checks;
pub mod engine;
pub mod matching;
pub mod network;
pub mod observation;
pub mod replay;
pub mod screening;
pub mod state;
pub mod units;
pub mod wire;

/// Reads `bytes` as a network of any format and asks it everything a walk needs.
pub fn read_and_walk(bytes: &[u8]) {
    let Ok((network, report)) = network::load("fuzz", bytes.to_vec()) else {
        return;
    };
    for id in network.segment_ids() {
        let facts = network.segment(id);
        assert!(facts.length_m > 0.0 && facts.limit_mps > 0.0 && facts.lanes > 0);
        let found = network.project(id, network.shape(id)[0]);
        assert!((0.0..=facts.length_m).contains(&found.offset_m));
        for (movement, stage) in network.steps_from(network.stage_on(id)) {
            assert_eq!(network.segment_at(stage), movement.to());
        }
    }
    let mut compiled = Vec::new();
    network::compiled::write(&network, &report, &mut compiled);
    let back = network::compiled::read(&compiled).map(|(back, _)| back.version());
    assert!(back.is_ok_and(|version| version == network.version()));
}
