//! Where the next queue ahead of each segment stands, how long it is, and whether its tail comes
//! nearer: what lets a network foretell that a queue spills back before it does.
//!
//! A queue grows against the traffic that feeds it (Lighthill and Whitham 1955, Richards 1956). How
//! fast is not computed from flows, which are seldom known, but told by pictures of several moments.

use rayon::prelude::*;

use super::{ForecastRequest, LAG_COUNT, RoadGraph};

/// How many numbers tell of queues.
pub(super) const QUEUE_COUNT: usize = 11;

/// Speed inside a queue as a share of free flow (chosen).
const IN_QUEUE: f32 = 0.2;
/// A segment with less than this share queued, a mean speed above 0.71 of free flow, counts as free.
const QUEUED_MIN: f32 = 0.1;
/// No queue is looked for further ahead, m.
const GAP_MAX_M: f32 = 1_500.0;
/// No queue counts as longer, m.
const AHEAD_MAX_M: f32 = 3_000.0;
/// Nor over more segments than this.
const HOPS_MAX: usize = 12;
/// Gap over which the nearness of a queue falls to 1/e, m (chosen).
const NEAR_M: f32 = 400.0;
/// The lags that the present is compared with.
const LAGS: [usize; 2] = [1, 3];
/// Seconds from the older of them to the present, about: 720 to 1 020 in a running engine, where the
/// newest lag may be unfinished.
const COMPARED_S: f32 = 900.0;
/// Speed at which a tail is taken to move up, m/s: least, where it was not there before, and most.
const TAIL_MPS: [f32; 3] = [0.3, 1.5, 4.0];
/// Time over which an arrival matters, s.
const ARRIVAL_S: f32 = 900.0;

/// The share of a segment that is queued, 0..=1: with that share at the speed of a queue and the rest
/// free, travel times add up to the ratio of mean speed to free flow.
fn queued(ratio: f32) -> f32 {
    ((1.0 / ratio.max(0.05) - 1.0) / (1.0 / IN_QUEUE - 1.0)).clamp(0.0, 1.0)
}

/// Hands values on upstream from the segments of `front`, over [`HOPS_MAX`] segments at most: each hands
/// on `handed_m` of its number and its own value, and who gets a better one, by a metre at least, hands
/// it on in the next round if it `goes_on`. What a round hands on is read before any of it arrives, so
/// the order of segments changes nothing.
fn spread(
    graph: &RoadGraph,
    mut front: Vec<u32>,
    values_m: &mut [f32],
    handed_m: impl Fn(usize, f32) -> f32,
    is_better: impl Fn(f32, f32) -> bool,
    goes_on: impl Fn(usize) -> bool,
) {
    for _ in 0..HOPS_MAX {
        let handed: Vec<f32> = front
            .iter()
            .map(|&segment| handed_m(segment as usize, values_m[segment as usize]))
            .collect();
        let mut next = Vec::new();
        for (&segment, &found_m) in front.iter().zip(&handed) {
            for &up in graph.upstream_of(segment as usize) {
                if is_better(found_m, values_m[up as usize]) {
                    values_m[up as usize] = found_m;
                    if goes_on(up as usize) {
                        next.push(up);
                    }
                }
            }
        }
        next.sort_unstable();
        next.dedup();
        front = next;
    }
}

/// The queues of one moment, one entry a segment.
#[derive(Clone, Debug)]
struct Picture {
    /// Share of the segment that is queued.
    queued: Vec<f32>,
    /// Metres of queue that begin right at its end, along the worst way ahead.
    ahead_m: Vec<f32>,
    /// Metres from its end to the tail of the next queue, at most [`GAP_MAX_M`].
    gap_m: Vec<f32>,
}

impl Picture {
    fn new(graph: &RoadGraph, lengths_m: &[f32], queued: Vec<f32>) -> Self {
        let count = queued.len();
        let mut ahead_m = vec![0.0_f32; count];
        let mut gap_m = vec![GAP_MAX_M; count];
        let is_queued = |at: usize| queued[at] >= QUEUED_MIN;
        let front: Vec<u32> = (0..count as u32)
            .filter(|&segment| is_queued(segment as usize))
            .collect();
        // Queues, from their tails upstream; what a segment hands on shrinks with what of it is free.
        spread(
            graph,
            front.clone(),
            &mut ahead_m,
            |at, ahead_m| (queued[at] * (lengths_m[at] + ahead_m)).min(AHEAD_MAX_M),
            |found_m, known_m| found_m > known_m + 1.0,
            is_queued,
        );
        // The free way to them. A queue hides what lies beyond it.
        spread(
            graph,
            front,
            &mut gap_m,
            |at, gap_m| match is_queued(at) {
                true => (1.0 - queued[at]) * lengths_m[at],
                false => lengths_m[at] + gap_m,
            },
            |found_m, known_m| found_m + 1.0 < known_m,
            |at| !is_queued(at),
        );
        Self {
            queued,
            ahead_m,
            gap_m,
        }
    }

    fn nearness(&self, segment: usize) -> f32 {
        let gap_m = self.gap_m[segment];
        if gap_m < GAP_MAX_M {
            (-gap_m / NEAR_M).exp()
        } else {
            0.0
        }
    }
}

/// The queues of the present, of two earlier moments, and as usual at this time.
#[derive(Clone, Debug)]
pub(super) struct Queues {
    now: Picture,
    earlier: [Picture; 2],
    usual: Picture,
}

impl Queues {
    /// Reads the queues of a network whose segments have these lengths, m.
    pub(super) fn new(graph: &RoadGraph, lengths_m: &[f32], request: &ForecastRequest) -> Self {
        let usual = |segment: usize, lag: usize| {
            request.past_profile_mps[segment * LAG_COUNT + lag] / request.unhindered_mps(segment)
        };
        // Now, as usual, and at the two lags.
        let shares: Vec<[f32; 4]> = (0..lengths_m.len())
            .into_par_iter()
            .with_min_len(4_096)
            .map(|segment| {
                let residuals = request.carried_residuals(segment);
                let at_lag = |lag: usize| usual(segment, lag) + residuals[lag];
                let as_usual = usual(segment, 0);
                let now = as_usual + request.now_residual(segment);
                [now, as_usual, at_lag(LAGS[0]), at_lag(LAGS[1])].map(queued)
            })
            .collect();
        let picture = |of: usize| {
            let queued = shares.iter().map(|share| share[of]).collect();
            Picture::new(graph, lengths_m, queued)
        };
        let ((now, usual), (later, earlier)) = rayon::join(
            || rayon::join(|| picture(0), || picture(1)),
            || rayon::join(|| picture(2), || picture(3)),
        );
        Self {
            now,
            earlier: [later, earlier],
            usual,
        }
    }

    /// What a network reads of the queues ahead of one segment, each about 1 at most.
    pub(super) fn features(&self, segment: usize) -> [f32; QUEUE_COUNT] {
        let Self {
            now,
            earlier: [late, early],
            usual,
        } = self;
        let near = now.nearness(segment);
        let grown = |than: &Picture, scale_m: f32| {
            ((now.ahead_m[segment] - than.ahead_m[segment]) / scale_m).clamp(-2.0, 2.0)
        };
        [
            now.queued[segment],
            now.queued[segment] - late.queued[segment],
            near,
            near - late.nearness(segment),
            near - early.nearness(segment),
            near - usual.nearness(segment),
            now.ahead_m[segment] / 1_000.0,
            grown(late, 300.0),
            grown(early, 600.0),
            grown(usual, 1_000.0),
            self.arrival(segment),
        ]
    }

    /// How soon the tail would arrive if it went on as it has come, 1 for now and 0 for never.
    fn arrival(&self, segment: usize) -> f32 {
        let gap_m = self.now.gap_m[segment];
        if gap_m >= GAP_MAX_M {
            return 0.0;
        }
        let [least_mps, new_mps, most_mps] = TAIL_MPS;
        let early_m = self.earlier[1].gap_m[segment];
        let tail_mps = if early_m >= GAP_MAX_M {
            new_mps
        } else {
            ((early_m - gap_m) / COMPARED_S).clamp(least_mps, most_mps)
        };
        (-gap_m / tail_mps / ARRIVAL_S).exp()
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// 0 -> 1 -> … -> 5, 400 m each.
    fn chain() -> (RoadGraph, Vec<f32>) {
        let edges: Vec<_> = (0..5).map(|from| (from, from + 1, 1.0)).collect();
        (RoadGraph::from_edges(6, &edges), vec![400.0; 6])
    }

    fn assert_near(found: f32, wanted: f32) {
        assert!((found - wanted).abs() < 0.5, "{found}, not {wanted}");
    }

    #[test]
    fn a_mean_speed_tells_the_share_that_is_queued() {
        assert!(queued(1.0).abs() < 1e-6 && queued(1.3).abs() < 1e-6);
        assert!((queued(0.5) - 0.25).abs() < 1e-6);
        assert!((queued(IN_QUEUE) - 1.0).abs() < 1e-6 && queued(0.0) <= 1.0);
    }

    #[test]
    fn the_tail_is_found_from_every_segment_before_it() {
        let (graph, lengths_m) = chain();
        // Segments 4 and 5 are full, a quarter of 3 is.
        let picture = Picture::new(&graph, &lengths_m, vec![0.0, 0.0, 0.0, 0.25, 1.0, 1.0]);
        for (segment, gap_m) in [(2, 300.0), (1, 700.0), (0, 1_100.0)] {
            assert_near(picture.gap_m[segment], gap_m);
        }
        // The full part of segment 3 lies at its end, right before 4.
        assert_near(picture.ahead_m[3], 800.0);
        assert_near(picture.ahead_m[2], 0.25 * (400.0 + 800.0));
        assert_near(picture.ahead_m[1], 0.0);
        assert_near(picture.ahead_m[5], 0.0);
        assert_near(picture.gap_m[5], GAP_MAX_M);
    }

    #[test]
    fn the_numbering_of_segments_changes_nothing() {
        const COUNT: u32 = 20;
        let picture = |edge: &dyn Fn(u32) -> (u32, u32, f32)| {
            let edges: Vec<_> = (0..COUNT - 1).map(edge).collect();
            let graph = RoadGraph::from_edges(COUNT as usize, &edges);
            Picture::new(&graph, &[60.0; COUNT as usize], vec![1.0; COUNT as usize])
        };
        let rising = picture(&|from| (from, from + 1, 1.0));
        let mut falling = picture(&|to| (to + 1, to, 1.0));
        falling.ahead_m.reverse();
        for (rising_m, falling_m) in rising.ahead_m.iter().zip(&falling.ahead_m) {
            assert_near(*rising_m, *falling_m);
        }
        // Counted over no more segments than is said.
        assert_near(rising.ahead_m[0], 60.0 * HOPS_MAX as f32);
    }

    #[test]
    fn of_two_ways_the_worse_counts_and_rings_end() {
        // 0 leads to 1 and 2; 2 to itself through 3.
        let graph = RoadGraph::from_edges(4, &[(0, 1, 1.0), (0, 2, 1.0), (2, 3, 1.0), (3, 2, 1.0)]);
        let picture = Picture::new(&graph, &[100.0; 4], vec![0.0, 0.5, 1.0, 1.0]);
        assert_near(picture.gap_m[0], 0.0);
        assert!(picture.ahead_m[0] > 900.0 && picture.ahead_m[0] <= AHEAD_MAX_M);
    }
}
