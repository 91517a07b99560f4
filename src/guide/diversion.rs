//! Ways round a jam: where drivers decide, where both ways meet again, and what each way costs by
//! the forecast.

use super::GuideSettings;
use super::jam::{CREEPING_MPS, Run};
use crate::forecast::{ForecastBatch, NORMAL_P90, STEP_MS, SpeedQuantiles};
use crate::network::paths::{PathLimits, Router};
use crate::network::{Network, RoadClass, SegmentFlags};
use crate::state::StateBatch;
use crate::units::{SegmentId, Timestamp};

/// How far upstream of the tail drivers may be told to turn off, m (chosen).
const DECISION_REACH_M: f32 = 3_000.0;
/// How far downstream of the head both ways may meet again, m (chosen).
const REJOIN_REACH_M: f32 = 3_000.0;
/// Places to decide, and places to meet again, tried at most (chosen; each pair is one search).
const DECISIONS_MAX: usize = 4;
const REJOINS_MAX: usize = 3;
/// Segments one search may settle.
const SETTLED_MAX: u32 = 20_000;
/// The alternative may take this much longer than the main way without the jam (plateau rule of
/// Abraham et al. 2013, "Alternative routes in road networks", bounded stretch 1.3).
const STRETCH_MAX: f32 = 1.3;
/// Extra seconds each residential or service segment costs, so that guidance keeps to the roads
/// that are made for it (chosen).
const MINOR_ROAD_PENALTY_S: f32 = 30.0;
/// Standard deviation of a travel time that is not forecast to vary, as a share (chosen).
const SIGMA_SHARE_MIN: f32 = 0.05;

/// A diversion that is worth advising.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Plan {
    /// From the decision segment through the jam to the segment where both ways meet.
    pub(super) main: Vec<SegmentId>,
    /// The other way between the same two segments.
    pub(super) alternative: Vec<SegmentId>,
    pub(super) main_s: f32,
    pub(super) alternative_s: f32,
    /// Probability that the alternative is faster.
    pub(super) probability: f32,
    /// Share of drivers that should take it.
    pub(super) share: f32,
}

/// Travel times of two routes that start now.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Times {
    pub(super) main_s: f32,
    pub(super) alternative_s: f32,
    pub(super) probability: f32,
}

/// The travel time of one route, and standard deviations of it towards less and towards more.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
struct Drive {
    time_s: f32,
    faster_s: f32,
    slower_s: f32,
}

/// Everything a search looks at.
pub(super) struct Planner<'a> {
    pub(super) network: &'a Network,
    pub(super) states: &'a StateBatch,
    pub(super) forecast: &'a ForecastBatch,
    pub(super) jam_of: &'a [u64],
    pub(super) settings: &'a GuideSettings,
}

impl Planner<'_> {
    /// The way round a jam that saves most, if it saves enough.
    pub(super) fn plan(&self, run: &Run, now: Timestamp) -> Option<Plan> {
        let approach = self.approach(run.chain[0]);
        let exit = self.exit(*run.chain.last()?);
        let mut router = Router::new(self.network);
        let mut best: Option<Plan> = None;
        for (reach, decision) in self.decisions(&approach) {
            for rejoin in self.rejoins(&exit) {
                let mut main: Vec<SegmentId> = approach[..=reach].iter().rev().copied().collect();
                main.extend(&run.chain);
                main.extend(&exit[..=rejoin]);
                let Some(plan) =
                    self.compare_with_best(&mut router, main, decision, exit[rejoin], now)
                else {
                    continue;
                };
                let saving = |plan: &Plan| plan.main_s - plan.alternative_s;
                if best
                    .as_ref()
                    .is_none_or(|best| saving(&plan) > saving(best) + 30.0)
                {
                    best = Some(plan);
                }
            }
        }
        best
    }

    /// The main way compared with the best way that avoids every jam and what is closed when a driver
    /// would come there.
    fn compare_with_best(
        &self,
        router: &mut Router<'_>,
        main: Vec<SegmentId>,
        decision: SegmentId,
        rejoin: SegmentId,
        now: Timestamp,
    ) -> Option<Plan> {
        let cost = |id: SegmentId, at: Timestamp| {
            if id == decision {
                // Ways part at its end, where the clock starts.
                return 0.0;
            }
            let segment = self.network.segment(id);
            let is_jammed = self.jam_of[id.index()] != 0 && id != rejoin;
            if is_jammed
                || self.forecast.closures.is_closed(id, at)
                || !segment.flags.carries_through_traffic()
            {
                return f32::INFINITY;
            }
            let is_minor = segment.class() >= RoadClass::Residential;
            self.travel_s(id, at) + if is_minor { MINOR_ROAD_PENALTY_S } else { 0.0 }
        };
        let limits = PathLimits {
            expansions_max: SETTLED_MAX,
            ..PathLimits::default()
        };
        let path = router.shortest(decision, rejoin, now, &cost, limits)?;
        let alternative = path.segments;
        if alternative == main {
            return None;
        }
        let times = self.compare(&main, &alternative, now);
        let free_s: f32 = main.iter().map(|&id| self.free_s(id)).sum();
        let alternative_free_s: f32 = alternative.iter().map(|&id| self.free_s(id)).sum();
        let saving_s = times.main_s - times.alternative_s;
        let share_s = (self.settings.saving_share_min * times.main_s).max(60.0);
        let is_enough = saving_s >= self.settings.saving_s_min.min(share_s);
        // A long way round is only sensible where the jam makes it short by comparison.
        let is_reasonable =
            alternative_free_s <= STRETCH_MAX * free_s || times.alternative_s <= 0.7 * times.main_s;
        if !(is_enough && is_reasonable && times.probability >= self.settings.probability_min) {
            return None;
        }
        Some(Plan {
            share: self.share(&main, &alternative, &times),
            main,
            alternative,
            main_s: times.main_s,
            alternative_s: times.alternative_s,
            probability: times.probability,
        })
    }

    /// Travel times of two routes that start now, and the probability that the second is faster:
    /// errors fully correlated along each route, independent between the routes (cautious:
    /// correlation between the routes would only raise a clear saving's probability), each normal
    /// with the spread of the side that matters. Travel times of jams are skewed: that the jam may
    /// last much longer than expected does not make the way through it more likely to be the faster.
    pub(super) fn compare(
        &self,
        main: &[SegmentId],
        alternative: &[SegmentId],
        now: Timestamp,
    ) -> Times {
        let through = self.drive(main, now);
        let around = self.drive(alternative, now);
        let saving_s = through.time_s - around.time_s;
        let sigma_s = if saving_s >= 0.0 {
            through.faster_s.hypot(around.slower_s)
        } else {
            through.slower_s.hypot(around.faster_s)
        };
        Times {
            main_s: through.time_s,
            alternative_s: around.time_s,
            probability: normal_cdf(saving_s / sigma_s.max(1.0)),
        }
    }

    /// Whether a segment of a route is closed when a driver who starts now comes there.
    pub(super) fn is_closed_on_the_way(&self, route: &[SegmentId], now: Timestamp) -> bool {
        let closures = &self.forecast.closures;
        let mut at = now;
        !closures.is_empty()
            && route.iter().skip(1).any(|&id| {
                let is_closed = closures.is_closed(id, at);
                at = at.plus_millis((f64::from(self.travel_s(id, at)) * 1e3) as i64);
                is_closed
            })
    }

    /// From the end of the first segment of a route to the start of its last: both ways share the
    /// two end segments.
    fn drive(&self, route: &[SegmentId], now: Timestamp) -> Drive {
        let mut drive = Drive::default();
        for &id in &route[1..route.len().max(2) - 1] {
            let at = now.plus_millis((f64::from(drive.time_s) * 1e3) as i64);
            let quantiles = self.quantiles(id, at);
            let length_m = self.network.segment(id).length_m;
            let time_s = |speed_mps: f32| length_m / speed_mps.max(CREEPING_MPS);
            let median_s = time_s(quantiles.p50_mps);
            drive.time_s += median_s;
            drive.faster_s += (median_s - time_s(quantiles.p90_mps)) / NORMAL_P90;
            drive.slower_s += (time_s(quantiles.p10_mps) - median_s) / NORMAL_P90;
        }
        let least_s = SIGMA_SHARE_MIN * drive.time_s;
        drive.faster_s = drive.faster_s.max(least_s);
        drive.slower_s = drive.slower_s.max(least_s);
        drive
    }

    /// The speed on `id` at `at`: between the end of the last closed minute, whose state is known,
    /// and the middle of the first step a straight line, then the forecast of the step.
    fn quantiles(&self, id: SegmentId, at: Timestamp) -> SpeedQuantiles {
        let steps = self.forecast.steps(id);
        let first = self.forecast.first_step;
        let since_first_ms = at.millis_since(first);
        let step = since_first_ms.div_euclid(STEP_MS).max(0) as usize;
        let forecast = steps[step.min(steps.len() - 1)];
        let now = self.states.interval.end;
        let reach_ms = first.plus_millis(STEP_MS / 2).millis_since(now);
        let since_now_ms = at.millis_since(now);
        if since_now_ms >= reach_ms {
            return forecast;
        }
        let state = &self.states.segments[id.index()];
        let share = since_now_ms.max(0) as f32 / reach_ms as f32;
        let between = |now_mps: f32, then_mps: f32| now_mps + share * (then_mps - now_mps);
        let tenth_mps = NORMAL_P90 * state.sigma_mps;
        SpeedQuantiles::ordered(
            between(state.speed_mps - tenth_mps, steps[0].p10_mps),
            between(state.speed_mps, steps[0].p50_mps),
            between(state.speed_mps + tenth_mps, steps[0].p90_mps),
            state.speed_mps,
        )
    }

    fn travel_s(&self, id: SegmentId, at: Timestamp) -> f32 {
        let speed_mps = self.quantiles(id, at).p50_mps.max(CREEPING_MPS);
        self.network.segment(id).length_m / speed_mps
    }

    fn free_s(&self, id: SegmentId) -> f32 {
        let free_mps = self.states.segments[id.index()]
            .free_flow_mps
            .max(CREEPING_MPS);
        self.network.segment(id).length_m / free_mps
    }

    /// The smallest share of the flow that makes both ways equally long, by bisection, with delay
    /// growing by the BPR function `t = t0 (1 + 0.15 (v/c)^4)` (Bureau of Public Roads 1964), at most
    /// what the alternative can carry at 90 % of its capacity; the default share where the flow on
    /// the main way is unknown.
    fn share(&self, main: &[SegmentId], alternative: &[SegmentId], times: &Times) -> f32 {
        let flow = |route: &[SegmentId]| {
            let flows = route
                .iter()
                .filter_map(|id| self.states.segments[id.index()].flow_vph);
            flows.fold(None, |most: Option<f32>, flow| {
                Some(most.map_or(flow, |most| most.max(flow)))
            })
        };
        let Some(main_flow_vph) = flow(main).filter(|flow| *flow > 0.0) else {
            return self.settings.share_default;
        };
        let background_vph = flow(alternative).unwrap_or(0.0);
        let capacity_vph = alternative
            .iter()
            .map(|&id| f32::from(self.network.segment(id).lanes) * LANE_CAPACITY_VPH)
            .fold(f32::INFINITY, f32::min);
        let no_harm = ((0.9 * capacity_vph - background_vph) / main_flow_vph).clamp(0.0, 1.0);
        let bpr = |flow_vph: f32| 1.0 + 0.15 * (flow_vph / capacity_vph).powi(4);
        let base_s = times.alternative_s / bpr(background_vph);
        let is_balanced = |share: f32| {
            let alternative_s = base_s * bpr(background_vph + share * main_flow_vph);
            times.main_s * (1.0 - share) <= alternative_s
        };
        let (mut low, mut high) = (0.0f32, 1.0f32);
        for _ in 0..20 {
            let middle = 0.5 * (low + high);
            if is_balanced(middle) {
                high = middle;
            } else {
                low = middle;
            }
        }
        high.min(no_harm)
    }

    /// Upstream of the tail along the main inflow: nearest first. The first entry is the segment
    /// before the tail.
    fn approach(&self, tail: SegmentId) -> Vec<SegmentId> {
        self.follow(tail, DECISION_REACH_M, |id| {
            self.network
                .movements_into(id)
                .map(|movement| movement.from())
                .collect()
        })
    }

    /// Downstream of the head along the main outflow.
    fn exit(&self, head: SegmentId) -> Vec<SegmentId> {
        self.follow(head, REJOIN_REACH_M, |id| {
            self.network
                .movements_from(id)
                .iter()
                .map(|movement| movement.to())
                .collect()
        })
    }

    /// From `start` (left out) along the neighbour most like it: same name, best class, least turn.
    fn follow(
        &self,
        start: SegmentId,
        reach_m: f32,
        neighbours: impl Fn(SegmentId) -> Vec<SegmentId>,
    ) -> Vec<SegmentId> {
        let mut walk = Vec::new();
        let (mut id, mut walked_m) = (start, 0.0);
        while walked_m < reach_m {
            let segment = self.network.segment(id);
            let name = self.network.name(id);
            let next = neighbours(id)
                .into_iter()
                .filter(|&next| {
                    let is_restricted = self
                        .network
                        .segment(next)
                        .flags
                        .contains(SegmentFlags::RESTRICTED);
                    next != start
                        && !walk.contains(&next)
                        && segment.twin() != Some(next)
                        && !is_restricted
                })
                .min_by_key(|&next| {
                    let other = self.network.segment(next);
                    let is_other_name = name.is_none() || self.network.name(next) != name;
                    let class_gap = (other.class() as i32 - segment.class() as i32).abs();
                    (is_other_name, class_gap, self.turn_deg(id, next), next)
                });
            let Some(next) = next else { break };
            walked_m += self.network.segment(next).length_m;
            walk.push(next);
            id = next;
        }
        walk
    }

    /// Difference of headings of two segments, whole degrees, from middle to middle.
    fn turn_deg(&self, a: SegmentId, b: SegmentId) -> i32 {
        let heading = |id: SegmentId| {
            let half_m = self.network.segment(id).length_m / 2.0;
            self.network.locate(id, half_m).1
        };
        crate::units::heading_difference_deg(heading(a), heading(b)) as i32
    }

    /// Positions on the approach where more than one way leads on, with their segments.
    fn decisions(&self, approach: &[SegmentId]) -> Vec<(usize, SegmentId)> {
        let has_choice = |id: SegmentId| {
            let twin = self.network.segment(id).twin();
            let onward = self.network.movements_from(id).iter();
            onward
                .filter(|movement| Some(movement.to()) != twin)
                .count()
                > 1
        };
        approach
            .iter()
            .copied()
            .enumerate()
            .filter(|&(_, id)| self.jam_of[id.index()] == 0 && has_choice(id))
            .take(DECISIONS_MAX)
            .collect()
    }

    /// Positions on the exit where another way leads in.
    fn rejoins(&self, exit: &[SegmentId]) -> Vec<usize> {
        (0..exit.len())
            .filter(|&index| {
                let twin = self.network.segment(exit[index]).twin();
                let into = self.network.movements_into(exit[index]);
                into.filter(|movement| Some(movement.from()) != twin)
                    .count()
                    > 1
            })
            .take(REJOINS_MAX)
            .collect()
    }
}

/// Capacity of one lane, veh/h: 1 800 through a green of half the cycle would be 900; taken as a
/// middle between signalised and free roads (HCM 2010, exhibits 18-28 and 10-6).
const LANE_CAPACITY_VPH: f32 = 1_200.0;

/// The standard normal distribution function, error below 1.5e-7 (Abramowitz and Stegun 7.1.26).
fn normal_cdf(z: f32) -> f32 {
    let x = f64::from(z.abs()) / std::f64::consts::SQRT_2;
    let t = 1.0 / (1.0 + 0.327_591_1 * x);
    let series = t
        * (0.254_829_592
            + t * (-0.284_496_736
                + t * (1.421_413_741 + t * (-1.453_152_027 + t * 1.061_405_429))));
    let upper = 0.5 * series * (-x * x).exp();
    (if z >= 0.0 { 1.0 - upper } else { upper }) as f32
}

#[cfg(test)]
mod tests {
    use super::normal_cdf;

    #[test]
    fn the_normal_distribution_has_its_textbook_values() {
        for (z, p) in [
            (0.0, 0.5),
            (1.0, 0.841_345),
            (-1.96, 0.024_998),
            (3.0, 0.998_650),
        ] {
            assert!((normal_cdf(z) - p).abs() < 1e-5, "{z}");
        }
    }
}
