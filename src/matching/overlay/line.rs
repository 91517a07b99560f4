//! A drawn line of a map tied to the segments it runs along.

use crate::network::{Candidate, Network};
use crate::units::{Point, SegmentId, heading_difference_deg};

/// Metres between the places of a line that are looked at, at least; longer lines are looked at in
/// [`SAMPLES_MAX`] places.
const SAMPLE_STEP_M: f32 = 10.0;
const SAMPLES_MAX: usize = 200;

/// A segment that runs more than this many degrees off is another road (chosen: half way between
/// the arms of a junction of four).
const TURN_MAX_DEG: f32 = 45.0;

/// Nearest segments kept of each place.
const CANDIDATES_MAX: usize = 8;

/// Metres that a degree of turn counts (chosen).
const METRES_PER_DEG: f32 = 0.1;

/// Metres that it costs to go on to the next segment, over one in between, and to one that does not
/// follow (chosen: above the width of a carriageway).
const NEXT_COST_M: f32 = 2.0;
const OVER_ONE_COST_M: f32 = 5.0;
const JUMP_COST_M: f32 = 40.0;

/// Metres that a place may lie behind the one before, for lines that wind.
const BACK_M: f32 = 5.0;

/// A line with the segments it runs along.
#[derive(Clone, Debug, Default, PartialEq)]
pub(super) struct TiedLine {
    /// In driving order, none twice in a row.
    pub(super) segments: Vec<SegmentId>,
    /// Mean distance of the tied places, metres; 0 without.
    pub(super) mean_distance_m: f32,
    /// Share of the places that lie on a segment, `0.0..=1.0`.
    pub(super) tied_share: f32,
}

/// One way to explain a place of the line.
#[derive(Clone, Copy)]
struct Choice {
    candidate: Candidate,
    /// Cost of the best way here, metres, and its choice at the place before.
    cost_m: f32,
    from: usize,
}

/// Ties a line to segments within `radius_m` that run its way; it takes the way of least cost over
/// all places (Viterbi), so that it keeps to one carriageway.
pub(super) fn tie(network: &Network, points: &[Point], radius_m: f32) -> TiedLine {
    let places = places(points);
    let mut columns: Vec<Vec<Choice>> = Vec::new();
    for &(point, heading_deg) in &places {
        let mut column = choices(network, point, heading_deg, radius_m);
        if column.is_empty() {
            continue;
        }
        if let Some(before) = columns.last() {
            for choice in &mut column {
                let ways = before.iter().enumerate().map(|(index, from)| {
                    (
                        from.cost_m + step_cost_m(network, &from.candidate, &choice.candidate),
                        index,
                    )
                });
                if let Some((cost_m, from)) = ways.min_by(|a, b| a.0.total_cmp(&b.0)) {
                    choice.cost_m += cost_m;
                    choice.from = from;
                }
            }
        }
        columns.push(column);
    }
    let path = best_path(&columns);
    let mut tied = TiedLine {
        tied_share: path.len() as f32 / places.len().max(1) as f32,
        ..TiedLine::default()
    };
    for candidate in &path {
        tied.mean_distance_m += candidate.distance_m / path.len() as f32;
        match tied.segments.last() {
            Some(&last) if last == candidate.segment => continue,
            Some(&last) => tied
                .segments
                .extend(between(network, last, candidate.segment)),
            None => {}
        }
        tied.segments.push(candidate.segment);
    }
    tied
}

/// Places along a line with the heading of the line there.
fn places(points: &[Point]) -> Vec<(Point, f32)> {
    let length_m: f32 = points
        .windows(2)
        .map(|pair| pair[0].distance_m(pair[1]))
        .sum();
    if !(length_m.is_finite() && length_m > 0.0) {
        return Vec::new();
    }
    let step_m = SAMPLE_STEP_M.max(length_m / SAMPLES_MAX as f32);
    let mut places = Vec::new();
    // The first place is half a step in: ends lie on stop lines and nodes, where roads meet.
    let mut next_m = (step_m / 2.0).min(length_m / 2.0);
    let mut passed_m = 0.0;
    for pair in points.windows(2) {
        let piece_m = pair[0].distance_m(pair[1]);
        let heading_deg = pair[0].heading_deg_to(pair[1]);
        while piece_m > 0.0 && next_m <= passed_m + piece_m && places.len() < SAMPLES_MAX {
            let share = (next_m - passed_m) / piece_m;
            let x = pair[0].x + (pair[1].x - pair[0].x) * share;
            let y = pair[0].y + (pair[1].y - pair[0].y) * share;
            places.push((Point::new(x, y), heading_deg));
            next_m += step_m;
        }
        passed_m += piece_m;
    }
    places
}

fn choices(network: &Network, point: Point, heading_deg: f32, radius_m: f32) -> Vec<Choice> {
    let mut found = Vec::new();
    network.candidates_within(point, radius_m, &mut |candidate| {
        let turn_deg = heading_difference_deg(candidate.heading_deg, heading_deg).abs();
        if turn_deg <= TURN_MAX_DEG {
            found.push(Choice {
                cost_m: candidate.distance_m + METRES_PER_DEG * turn_deg,
                candidate,
                from: 0,
            });
        }
    });
    let key = |choice: &Choice| (choice.cost_m, choice.candidate.segment);
    found.sort_by(|a, b| {
        let (a, b) = (key(a), key(b));
        a.0.total_cmp(&b.0).then(a.1.cmp(&b.1))
    });
    found.truncate(CANDIDATES_MAX);
    found
}

fn step_cost_m(network: &Network, from: &Candidate, to: &Candidate) -> f32 {
    if from.segment == to.segment {
        return if to.offset_m + BACK_M >= from.offset_m {
            0.0
        } else {
            JUMP_COST_M
        };
    }
    if follows(network, from.segment, to.segment) {
        NEXT_COST_M
    } else if between(network, from.segment, to.segment).is_some() {
        OVER_ONE_COST_M
    } else {
        JUMP_COST_M
    }
}

fn follows(network: &Network, from: SegmentId, to: SegmentId) -> bool {
    network
        .movements_from(from)
        .iter()
        .any(|movement| movement.to() == to)
}

/// The segment over which `to` follows on `from`, where it does not follow directly.
fn between(network: &Network, from: SegmentId, to: SegmentId) -> Option<SegmentId> {
    if follows(network, from, to) {
        return None;
    }
    network
        .movements_from(from)
        .iter()
        .map(crate::network::Movement::to)
        .find(|&via| follows(network, via, to))
}

fn best_path(columns: &[Vec<Choice>]) -> Vec<Candidate> {
    let Some(last) = columns.last() else {
        return Vec::new();
    };
    let best = (0..last.len()).min_by(|&a, &b| last[a].cost_m.total_cmp(&last[b].cost_m));
    let mut index = best.unwrap_or(0);
    let mut path = Vec::with_capacity(columns.len());
    for column in columns.iter().rev() {
        let choice = column[index];
        path.push(choice.candidate);
        index = choice.from;
    }
    path.reverse();
    path
}
