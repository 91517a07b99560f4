//! Which of the hypotheses is believed, and how firmly.

use super::roads::{NONE, Roads};
use super::settings::MAX_HYPOTHESES;
use super::track::{Hypothesis, Place};

/// Odds of a position being right against the odds that the hypotheses give it. Ways to a place that
/// were pruned or came late are missing in the sum, so it is below the truth by a nearly constant
/// factor; fitted on the Porto Alegre and Heidelberg traces (docs/matching.md).
const CONFIDENCE_ODDS: f32 = 1.73;

/// Where the vehicle was `fixes_ago` fixes before the newest, and how likely it was on that road: the
/// road that most of the weight agrees on, and on it the likeliest segment. A road is a way of the
/// source in one direction; whether the vehicle had passed the joint of two segments of one road
/// does not make the road doubtful.
pub(crate) fn likeliest_place(
    roads: &Roads,
    hypotheses: &[Hypothesis],
    fixes_ago: usize,
) -> Option<(Place, f32)> {
    let mut places = [(NONE, Place::NOWHERE, 0.0_f32); MAX_HYPOTHESES];
    let places = &mut places[..hypotheses.len()];
    let mut total = 0.0;
    for (slot, hypothesis) in places.iter_mut().zip(hypotheses) {
        let (place, agreement) = hypothesis.place_before(fixes_ago);
        let weight = hypothesis.log_weight.exp();
        total += weight;
        if place.stage != NONE {
            *slot = (roads.road(place.stage).way, place, weight * agreement);
        }
    }
    let sum_where = |same: &dyn Fn(u32, u32) -> bool| -> f32 {
        places
            .iter()
            .filter(|(way, place, _)| *way != NONE && same(*way, place.stage))
            .map(|(_, _, weight)| weight)
            .sum()
    };
    // The first of equals wins: hypotheses are sorted.
    let mut best: Option<(Place, f32, f32)> = None;
    for &(way, place, _) in places.iter().filter(|(way, _, _)| *way != NONE) {
        let on_road = sum_where(&|other, _| other == way);
        let segment = roads.road(place.stage).segment;
        let on_segment = sum_where(&|_, other| roads.road(other).segment == segment);
        if best.is_none_or(|(_, road, segment)| (on_road, on_segment) > (road, segment)) {
            best = Some((place, on_road, on_segment));
        }
    }
    best.map(|(place, on_road, _)| (place, calibrate(on_road / total)))
}

/// The share of positions that are right where the hypotheses give their road the weight `weight`.
fn calibrate(weight: f32) -> f32 {
    let odds = CONFIDENCE_ODDS * weight;
    odds / (1.0 - weight + odds)
}
