use super::*;
use crate::network::csv;

/// ```text
///   a ──0──► b ──1──► c ──2──► d      4 comes into b from f, and 3 leaves c for e
/// ```
const AVENUE: &str = "\
from,to,highway,lon1,lat1,lon2,lat2,len_m,oneway
a,b,primary,114.30,30.55,114.301,30.55,96,yes
b,c,primary,114.301,30.55,114.302,30.55,96,yes
c,d,primary,114.302,30.55,114.303,30.55,96,yes
c,e,primary,114.302,30.55,114.302,30.551,111,yes
f,b,primary,114.301,30.549,114.301,30.55,111,yes
";

fn with(sequences: &[&[u32]]) -> Network {
    let (mut network, _) = csv::read("avenue.csv", AVENUE.as_bytes()).unwrap();
    let named = |ids: &&[u32]| ids.iter().copied().map(SegmentId).collect();
    let words = Manoeuvres::sequences(sequences.iter().map(named).collect(), &network.movements);
    assert!(Manoeuvres::are_sound(&words, &network.movements));
    network.manoeuvres = Manoeuvres::new(words, &network.movements, &network.out_start);
    network
}

fn permits(network: &Network, ids: &[u32]) -> bool {
    let segments: Vec<SegmentId> = ids.iter().copied().map(SegmentId).collect();
    network.permits(&segments)
}

#[test]
fn forbids_a_way_on_to_those_who_came_one_way_only() {
    let network = with(&[&[0, 1, 3]]);
    assert_eq!(network.stage_count(), network.segment_count() + 1);
    assert_eq!(network.prohibited_manoeuvre_count(), 1);
    assert!(!permits(&network, &[0, 1, 3]));
    assert!(permits(&network, &[4, 1, 3]) && permits(&network, &[0, 1, 2]));
    assert!(permits(&network, &[1, 3]) && permits(&network, &[0, 1]) && permits(&network, &[]));
    assert!(!permits(&network, &[0, 3]));
}

#[test]
fn costs_nothing_where_nothing_is_prohibited() {
    let network = with(&[]);
    assert_eq!(network.stage_count(), network.segment_count());
    for id in network.segment_ids() {
        let steps = network.steps_from(network.stage_on(id));
        let same: Vec<_> = steps
            .map(|(movement, stage)| {
                assert_eq!(network.segment_at(stage), movement.to());
                *movement
            })
            .collect();
        assert_eq!(same, network.movements_from(id));
    }
}

#[test]
fn leaves_out_what_no_movement_follows() {
    let network = with(&[&[0, 2, 3], &[0, 1], &[]]);
    assert_eq!(network.prohibited_manoeuvre_count(), 0);
    for words in [&[3, 0, 1][..], &[2, 0, 1], &[3, 0, 2, 3], &[0], &[u32::MAX]] {
        assert!(
            !Manoeuvres::are_sound(words, &network.movements),
            "{words:?}"
        );
    }
}
