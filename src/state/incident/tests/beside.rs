//! Road users that stand in the queue of an incident and seem to stand on a road beside it.

use super::*;

const RAMP: u32 = 3;
const BACK: u32 = 4;

/// The street, a ramp 8 m beside its middle block, and a road the other way as near to it.
///
/// ```text
///                <--back--
/// a --first--> b --middle--> c --last--> d
///                --ramp--->
/// ```
fn with_ramp() -> Street {
    let line = |id: &str, nodes: [u32; 2], lon: [f64; 2], lat: f64| {
        let ([from, to], [a, b]) = (nodes, lon);
        format!("{id},{from},{to},primary,{a},{lat},{b},{lat},{BLOCK_M},yes,2,14\n")
    };
    let lon = [0, 1, 2, 3].map(|node| 114.3 + f64::from(node) * 0.002_92);
    let beside_deg = 8.0 / 111_000.0;
    let text = [
        "id,from,to,highway,lon1,lat1,lon2,lat2,len_m,oneway,lanes,limit_mps\n".to_owned(),
        line("first", [0, 1], [lon[0], lon[1]], 30.6),
        line("middle", [1, 2], [lon[1], lon[2]], 30.6),
        line("last", [2, 3], [lon[2], lon[3]], 30.6),
        line("ramp", [4, 5], [lon[1], lon[2]], 30.6 - beside_deg),
        line("back", [6, 7], [lon[2], lon[1]], 30.6 + beside_deg),
    ];
    let (network, _) = crate::network::load("ramp.csv", text.concat().into_bytes()).unwrap();
    assert_eq!(network.segment_count(), 5);
    let mut street = Street::new(14.0);
    street.room = Incidents::new(Arc::new(network), IncidentSettings::default());
    street
}

/// What is seen on the middle block.
#[derive(Clone, Copy, PartialEq)]
enum Middle {
    Free,
    Queued,
    Unseen,
}

/// The segments of which something is told, where somebody seems to stand in the middle of one beside
/// the middle block, which leads to an incident unless it is free.
fn told(beside: u32, middle: Middle) -> Vec<u32> {
    told_at(beside, 140.0, middle)
}

fn told_at(beside: u32, place_m: f32, middle: Middle) -> Vec<u32> {
    let mut street = with_ramp();
    street.free(0, 3);
    for minute in 3..18 {
        let since = |from: i64| (minute - from + 1) as f32 * 60.0;
        let mut stays = vec![driving(FIRST, minute, 5, 12.0)];
        if middle == Middle::Free {
            stays.push(driving(MIDDLE, minute, 5, 12.0));
        } else {
            stays.push(standing(LAST, minute, 140.0, since(3)));
        }
        if middle == Middle::Queued {
            stays.push(standing(MIDDLE, minute, 200.0, since(3)));
        }
        if minute >= 8 {
            stays.push(standing(beside, minute, place_m, since(8)));
        }
        street.close(minute, &stays, &[]);
    }
    let mut segments: Vec<u32> = street.changes.iter().map(|c| c.segment.0).collect();
    segments.sort_unstable();
    segments.dedup();
    segments
}

#[test]
fn who_seems_to_stand_beside_a_queue_stands_in_it() {
    assert_eq!(told(RAMP, Middle::Free), [RAMP]);
    assert_eq!(told(RAMP, Middle::Queued), [LAST]);
    assert_eq!(told(RAMP, Middle::Unseen), [LAST]);
}

#[test]
fn who_stands_on_the_other_carriageway_does_not() {
    assert_eq!(told(BACK, Middle::Queued), [LAST, BACK]);
}

#[test]
fn who_stands_at_the_end_of_the_road_before_does_not() {
    // The middle block lies in line and is not seen; its queue would begin behind the incident.
    let told = told_at(FIRST, BLOCK_M - 8.0, Middle::Unseen);
    assert_eq!(told, [FIRST, LAST]);
}
