//! One step of the hidden Markov model: where can each hypothesis be at the next fix, and how well
//! does that explain what was reported?
//!
//! Candidates are found by walking the network from the hypotheses kept, no farther than the
//! vehicle can have come; the spatial index is asked only for new tracks and for lost ones.

use std::cmp::Reverse;
use std::collections::BinaryHeap;
use std::sync::Arc;

use super::area::Area;
use super::belief::{Belief, Passage};
use super::roads::{NONE, Road, Roads};
use super::settings::MatchSettings;
use super::track::{Hypothesis, Place, Track};
use crate::network::{Candidate, Network};
use crate::units::{Point, SegmentId};

/// Farthest a vehicle is followed along the network between two fixes, metres.
const MAX_REACH_M: f32 = 4_000.0;

/// Most segments visited from one hypothesis in one step.
const MAX_VISITED: usize = 2_000;

/// How many standard deviations beyond the expected distance are searched.
const REACH_SIGMAS: f32 = 3.5;

/// Searched beyond the expected distance in any case, metres.
const REACH_SLACK_M: f32 = 5.0;

/// Variance of the place along a segment before the first fix is seen, m^2: (100 m)^2, vague.
const SEED_VAR: f32 = 1e4;

/// Speed assumed before any is known, m/s, and its variance.
const SEED_SPEED_MPS: f32 = 8.0;
const SEED_SPEED_VAR: f32 = 64.0;

/// Squared normalised innovation (2 degrees of freedom) of the best hypothesis beyond which the
/// neighbourhood is searched anew: passed by chance once in 1 800 fixes (chi-square table).
const LOST_SURPRISE: f32 = 15.0;

/// Logarithm of how likely a vehicle is to leave the drawn network between two fixes; chosen.
const RESEED_PRIOR: f32 = -6.0;

/// Logarithm of how likely a vehicle is to turn back in mid-road between two fixes; chosen.
const TURN_BACK_PRIOR: f32 = -6.0;

/// Variance of where it turned, m^2.
const TURN_BACK_VAR: f32 = 100.0;

/// Logarithm of how likely a vehicle is to come to stand behind a signal, or a junction with an area
/// of its own, rather than before it; chosen, vehicles wait at stop lines. Where two segments merely
/// join there is no such line.
const STANDING_CROSSING_PRIOR: f32 = -3.0;

/// Below this reported speed a vehicle stands, m/s.
const STANDING_MPS: f32 = 0.5;

/// Logarithm of how likely a vehicle is to come over a stop line while it brakes to a halt, just
/// before it stands, and the speed from which braking says nothing, m/s (the prior fades linearly
/// to there). Without it the queue before a signal leaks into the short segment behind it. Fitted to
/// minute speeds of a SUMO hour of Bologna of another seed.
const BRAKING_CROSSING_PRIOR: f32 = -6.0;
const BRAKING_BELOW_MPS: f32 = 9.0;
/// Who slows down less than this may be turning, m/s²: the rate that yellow times count with (10
/// ft/s², ITE 2020, Guidelines for Determining Traffic Signal Change and Clearance Intervals).
const BRAKING_MPS2: f32 = 3.0;
/// Longest time between two fixes over which that holds, s: in more, a vehicle can have come over
/// the line long before it brakes.
const BRAKING_STEP_MAX_S: f32 = 2.5;

/// Below this speed a heading says nothing, m/s.
const HEADING_MIN_MPS: f32 = 1.5;

/// Share of headings that have nothing to do with the road (turning, changing lanes); chosen.
const HEADING_OUTLIERS: f32 = 0.01;

/// How much the less likely ways to a segment count where no speed is reported. Unseen, a standing
/// vehicle seems to creep over the joint before it again and again, and each time counts; chosen.
const UNSEEN_SPEED_CREDIT: f32 = 0.5;

/// A hypothesis this much (natural logarithm) less likely than the best is dropped.
const PRUNE: f32 = 10.0;

/// One fix as the step needs it.
#[derive(Clone, Copy, Debug)]
pub(crate) struct Fix {
    pub(crate) point: Point,
    pub(crate) speed_mps: Option<f32>,
    /// Sine and cosine of the heading.
    pub(crate) heading: Option<(f32, f32)>,
    pub(crate) altitude_m: Option<f32>,
    /// Variance of the error that is new at every fix, m^2 per axis.
    pub(crate) white_var: f32,
    /// Variance of the persisting error, m^2 per axis.
    pub(crate) bias_var: f32,
    pub(crate) radius_m: f32,
    /// Seconds since the last fix of the track.
    pub(crate) elapsed_s: f32,
}

/// Reusable memory of the search, one a thread.
#[derive(Debug, Default)]
pub(crate) struct Search {
    /// Where the observation can only be, if its source sees no more than that.
    area: Option<Arc<Area>>,
    candidates: Vec<Hypothesis>,
    seeds: Vec<u32>,
    frontier: BinaryHeap<Reverse<(u32, u32, u32)>>,
    /// Prior of the way to each frontier entry.
    priors: Vec<f32>,
    visited: Vec<u32>,
    visit: u32,
    best: f32,
    best_surprise: f32,
}

/// What a hypothesis predicts before the road is looked at.
struct Prediction<'a> {
    parent: &'a Hypothesis,
    belief: Belief,
    log_weight: f32,
}

/// Moves `track` to the time of `fix`; false when no road explains it (the track is unchanged).
pub(crate) fn step(
    network: &Network,
    roads: &Roads,
    settings: &MatchSettings,
    search: &mut Search,
    track: &mut Track,
    fix: &Fix,
) -> bool {
    let elapsed_s = fix.elapsed_s;
    search.begin(roads);
    let decay = (-elapsed_s / settings.correlation_s).exp();
    let passage = Passage {
        elapsed_s,
        decay,
        bias_gain: fix.bias_var * (1.0 - decay * decay),
        acceleration_density: settings.acceleration_density,
    };
    let speed_var = settings.speed_sigma_mps * settings.speed_sigma_mps;
    for parent in track.hypotheses() {
        let mut belief = parent.belief;
        belief.pass(&passage);
        let mut log_weight = parent.log_weight;
        if let Some(speed_mps) = fix.speed_mps {
            log_weight += belief.observe_speed(speed_mps, speed_var);
        }
        belief.mean[1] = belief.mean[1].max(0.0);
        let prediction = Prediction {
            parent,
            belief,
            log_weight,
        };
        search.explore(roads, settings, &prediction, fix);
    }
    if search.candidates.is_empty() || search.best_surprise > LOST_SURPRISE {
        let parent = track.hypotheses().first().unwrap_or(&Hypothesis::EMPTY);
        search.seed(network, roads, settings, parent, fix);
    }
    if search.candidates.is_empty() {
        return false;
    }
    search.keep_best(settings.hypotheses, track);
    true
}

impl Search {
    /// Looks in `area` only, or everywhere, from the next step on.
    pub(crate) fn confine(&mut self, area: Option<&Arc<Area>>) {
        if self.area.is_some() || area.is_some() {
            self.area = area.cloned();
        }
    }

    fn admits(&self, segment: u32) -> bool {
        self.area
            .as_ref()
            .is_none_or(|area| area.contains(SegmentId(segment)))
    }

    fn begin(&mut self, roads: &Roads) {
        self.candidates.clear();
        self.best = f32::NEG_INFINITY;
        self.best_surprise = f32::INFINITY;
        if self.visited.len() != roads.count() {
            self.visited = vec![0; roads.count()];
            self.visit = 0;
        }
    }

    fn next_visit(&mut self) {
        self.frontier.clear();
        self.priors.clear();
        self.visit = self.visit.wrapping_add(1);
        if self.visit == 0 {
            self.visited.fill(0);
            self.visit = 1;
        }
    }

    /// Walks from a hypothesis to every segment it can have reached.
    fn explore(
        &mut self,
        roads: &Roads,
        settings: &MatchSettings,
        prediction: &Prediction<'_>,
        fix: &Fix,
    ) {
        let belief = &prediction.belief;
        let home = prediction.parent.stage;
        let reach_m = (belief.mean[0] + REACH_SIGMAS * belief.s_var().sqrt() + REACH_SLACK_M)
            .min(MAX_REACH_M);
        let road = roads.road(home);
        let opposed = self.consider(roads, settings, prediction, fix, home, 0.0, 0.0);
        if opposed && road.twin != NONE && self.admits(road.twin) {
            let turned_at_m = prediction.parent.belief.mean[0];
            let mut turned = Prediction {
                parent: prediction.parent,
                belief: *belief,
                log_weight: prediction.log_weight,
            };
            turned.belief.turn_back(TURN_BACK_VAR);
            let start_m = 2.0 * turned_at_m - road.length_m;
            let prior = TURN_BACK_PRIOR;
            self.consider(roads, settings, &turned, fix, road.twin, start_m, prior);
        }
        if road.length_m > reach_m {
            return;
        }
        self.next_visit();
        self.visited[home as usize] = self.visit;
        let stopping = stopping_prior(fix, prediction.parent.belief.mean[1]);
        self.push_exits(roads, road, road.length_m, (0.0, stopping), reach_m);
        let mut visited_count = 0;
        while let Some(Reverse((start_bits, stage, label))) = self.frontier.pop() {
            if self.visited[stage as usize] == self.visit {
                continue;
            }
            self.visited[stage as usize] = self.visit;
            visited_count += 1;
            let start_m = f32::from_bits(start_bits);
            let prior = self.priors[label as usize];
            let road = roads.road(stage);
            let clearance_m = road.clearance_m(fix.point);
            if clearance_m <= fix.radius_m && self.admits(road.segment) {
                self.consider(roads, settings, prediction, fix, stage, start_m, prior);
            }
            let can_return = clearance_m <= fix.radius_m + (reach_m - start_m);
            if can_return && visited_count < MAX_VISITED {
                let end_m = start_m + road.length_m;
                self.push_exits(roads, road, end_m, (prior, stopping), reach_m);
            }
        }
    }

    fn push_exits(
        &mut self,
        roads: &Roads,
        road: &Road,
        end_m: f32,
        (prior, stopping): (f32, f32),
        reach_m: f32,
    ) {
        for exit in roads.exits(road) {
            let start_m = end_m + exit.junction_m;
            if start_m <= reach_m && self.visited[exit.to as usize] != self.visit {
                let label = self.priors.len() as u32;
                let has_stop_line = road.is_signalised || exit.junction_m > 0.0;
                let mut exit_prior = prior + exit.prior;
                if has_stop_line {
                    exit_prior += stopping;
                }
                self.priors.push(exit_prior);
                // The bits of positive floats sort like the floats.
                self.frontier
                    .push(Reverse((start_m.to_bits(), exit.to, label)));
            }
        }
    }

    /// Weighs the hypothesis on one segment that begins `start_m` along its way. Returns whether
    /// the reported heading is opposed to the segment.
    #[expect(
        clippy::too_many_arguments,
        reason = "the innermost step, all of it varies"
    )]
    fn consider(
        &mut self,
        roads: &Roads,
        settings: &MatchSettings,
        prediction: &Prediction<'_>,
        fix: &Fix,
        stage: u32,
        start_m: f32,
        prior: f32,
    ) -> bool {
        let road = roads.road(stage);
        let pieces = roads.pieces(road);
        let mut ahead = prediction.belief;
        ahead.mean[0] -= start_m;
        let mut index = nearest_piece(pieces, &ahead, fix);
        let mut tries = 0;
        let (belief, mut log_likelihood, mut surprise) = loop {
            let piece = &pieces[index];
            let mut belief = ahead;
            let (log_likelihood, surprise) = belief.observe_position(
                piece.start_m,
                (piece.x - fix.point.x, piece.y - fix.point.y),
                (piece.ux, piece.uy),
                fix.white_var,
            );
            let there = piece_at(pieces, belief.mean[0]);
            tries += 1;
            if there == index || tries == 2 {
                break (belief, log_likelihood, surprise);
            }
            index = there;
        };
        let mut belief = belief;
        let held_m = belief.mean[0].clamp(0.0, road.length_m);
        if (held_m - belief.mean[0]).abs() > 0.0 {
            let held = belief.hold_at(held_m);
            log_likelihood += held;
            surprise -= 2.0 * held;
        }
        let piece = &pieces[piece_at(pieces, held_m)];
        let at = piece.point_at(held_m - piece.start_m);
        let is_near = at.distance_m(fix.point) <= fix.radius_m;
        let (heading_likelihood, is_opposed) = weigh_heading(settings, fix, piece, &belief);
        if !is_near {
            return is_opposed;
        }
        let log_weight = prediction.log_weight
            + log_likelihood
            + heading_likelihood
            + settings.exit_prior * prior;
        if log_weight >= self.best - PRUNE {
            let mut candidate = prediction.parent.moved_to(stage, belief, log_weight);
            if let Some(altitude_m) = fix.altitude_m {
                let ground = &mut candidate.ground;
                candidate.log_weight += ground.observe(altitude_m, road.layer, fix.elapsed_s);
            }
            self.offer(roads, candidate, surprise, credit_of(fix));
        }
        is_opposed
    }

    /// Keeps the likeliest way to each segment.
    fn offer(&mut self, roads: &Roads, candidate: Hypothesis, surprise: f32, credit: f32) {
        if candidate.log_weight > self.best {
            self.best = candidate.log_weight;
            self.best_surprise = surprise;
        }
        let mut known = self.candidates.iter_mut();
        match known.find(|other| other.stage == candidate.stage) {
            Some(other) => merge(roads, other, candidate, credit),
            None => self.candidates.push(candidate),
        }
    }

    /// Adds every segment near the fix, as a place to start from or to go on from when lost.
    fn seed(
        &mut self,
        network: &Network,
        roads: &Roads,
        settings: &MatchSettings,
        parent: &Hypothesis,
        fix: &Fix,
    ) {
        let is_new = parent.stage == NONE;
        let log_weight = if is_new { 0.0 } else { RESEED_PRIOR };
        let mut seeds = std::mem::take(&mut self.seeds);
        seeds.clear();
        let mut take = |candidate: Candidate| seeds.push(candidate.segment.0);
        match &self.area {
            Some(area) => area.candidates_within(network, fix.point, fix.radius_m, &mut take),
            None => network.candidates_within(fix.point, fix.radius_m, &mut take),
        }
        for &segment in &seeds {
            let road = roads.road(segment);
            let (v_mps, v_var) = match fix.speed_mps {
                Some(speed_mps) => (speed_mps, settings.speed_sigma_mps.powi(2)),
                None => (SEED_SPEED_MPS, SEED_SPEED_VAR),
            };
            let offset_m = network.project(SegmentId(segment), fix.point).offset_m;
            let prediction = Prediction {
                parent,
                belief: Belief::vague(offset_m, SEED_VAR, v_mps, v_var, fix.bias_var),
                log_weight,
            };
            let prior = road.prior;
            self.consider(roads, settings, &prediction, fix, segment, 0.0, prior);
        }
        self.seeds = seeds;
    }

    fn keep_best(&mut self, limit: usize, track: &mut Track) {
        self.candidates.sort_unstable_by(|a, b| {
            b.log_weight
                .total_cmp(&a.log_weight)
                .then(a.stage.cmp(&b.stage))
        });
        let best = self.candidates[0].log_weight;
        let mut count = 0;
        for candidate in self.candidates.iter().take(limit) {
            if candidate.log_weight < best - PRUNE {
                break;
            }
            track.hypotheses[count] = *candidate;
            track.hypotheses[count].log_weight -= best;
            count += 1;
        }
        track.hypothesis_count = count as u8;
    }
}

/// Logarithm of how likely a vehicle that was `before_mps` fast is to have come over a stop line.
fn stopping_prior(fix: &Fix, before_mps: f32) -> f32 {
    let Some(speed_mps) = fix.speed_mps else {
        return 0.0;
    };
    if speed_mps < STANDING_MPS {
        return STANDING_CROSSING_PRIOR;
    }
    let brakes = before_mps - speed_mps >= BRAKING_MPS2 * fix.elapsed_s;
    if brakes && fix.elapsed_s <= BRAKING_STEP_MAX_S {
        BRAKING_CROSSING_PRIOR * (1.0 - speed_mps / BRAKING_BELOW_MPS).max(0.0)
    } else {
        0.0
    }
}

fn credit_of(fix: &Fix) -> f32 {
    if fix.speed_mps.is_some() {
        1.0
    } else {
        UNSEEN_SPEED_CREDIT
    }
}

/// Two ways to one segment: the likelier one is kept with the weight of both, as in the forward
/// algorithm (Rabiner 1989, "A tutorial on hidden Markov models", III.A), and the other weakens or
/// strengthens what its history says.
fn merge(roads: &Roads, kept: &mut Hypothesis, mut other: Hypothesis, credit: f32) {
    if other.log_weight > kept.log_weight {
        std::mem::swap(kept, &mut other);
    }
    let share = (other.log_weight - kept.log_weight).exp();
    let way_of = |place: Place| match place.stage {
        NONE => NONE,
        stage => roads.road(stage).way,
    };
    for age in 0..kept.history.len() {
        let agrees = way_of(kept.history[age]) == way_of(other.history[age]);
        let support = if agrees { other.agreement[age] } else { 0.0 };
        kept.agreement[age] = (kept.agreement[age] + share * support) / (1.0 + share);
    }
    kept.log_weight += credit * share.ln_1p();
}

/// The piece on which the vehicle most likely is, weighing the expected distance driven against
/// the position reported.
fn nearest_piece(pieces: &[super::roads::Piece], ahead: &Belief, fix: &Fix) -> usize {
    if pieces.len() == 1 {
        return 0;
    }
    let along_weight = 1.0 / ahead.s_var();
    let off_weight = 1.0 / (fix.white_var + ahead.bias_var());
    let (x, y) = (fix.point.x - ahead.mean[2], fix.point.y - ahead.mean[3]);
    let (mut best, mut best_cost) = (0, f32::INFINITY);
    for (index, piece) in pieces.iter().enumerate() {
        let (dx, dy) = (x - piece.x, y - piece.y);
        let expected_m = ahead.mean[0] - piece.start_m;
        let square = piece.ux * piece.ux + piece.uy * piece.uy;
        let along_m = ((along_weight * expected_m + off_weight * (dx * piece.ux + dy * piece.uy))
            / (along_weight + off_weight * square))
            .clamp(0.0, piece.length_m);
        let (ex, ey) = (dx - along_m * piece.ux, dy - along_m * piece.uy);
        let ds = along_m - expected_m;
        let cost = along_weight * ds * ds + off_weight * (ex * ex + ey * ey);
        if cost < best_cost {
            best_cost = cost;
            best = index;
        }
    }
    best
}

/// The piece that holds `offset_m`, clamped to the ends.
fn piece_at(pieces: &[super::roads::Piece], offset_m: f32) -> usize {
    pieces
        .iter()
        .rposition(|piece| piece.start_m <= offset_m)
        .unwrap_or(0)
}

fn weigh_heading(
    settings: &MatchSettings,
    fix: &Fix,
    piece: &super::roads::Piece,
    belief: &Belief,
) -> (f32, bool) {
    let Some((sin, cos)) = fix.heading else {
        return (0.0, false);
    };
    if fix.speed_mps.unwrap_or(belief.mean[1]) < HEADING_MIN_MPS {
        return (0.0, false);
    }
    let drawn = piece.ux.hypot(piece.uy);
    if drawn <= 0.0 {
        return (0.0, false);
    }
    let agreement = (piece.ux * sin + piece.uy * cos) / drawn;
    // Von Mises density with the concentration of a normal one of the same width, over a floor of
    // outliers.
    let concentration = settings.heading_sigma_deg.to_radians().powi(-2);
    let likelihood = (concentration * (agreement - 1.0)).exp() + HEADING_OUTLIERS;
    (likelihood.ln(), agreement < -0.7)
}
