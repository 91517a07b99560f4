//! What one minute shows at one segment, and how much likelier that is with a lane blocked there
//! than without.
//!
//! The weights are natural logarithms of likelihood ratios. They are chosen after simulated hours
//! of towns and a motorway with and without blockages (`tests/long incidents`, development seeds).

use std::collections::BTreeSet;

use super::IncidentEvidence;
use super::detectors::Lanes;
use super::loop_speed::SpeedDrop;
use super::pace::{Pace, speed_of};
use super::slow_spot::Slowing;
use crate::network::{Network, Segment};
use crate::state::stay::Stay;
use crate::units::SegmentId;

/// A stand is long from here, s, where it is not known how long red lasts, and within which bounds
/// where it is known. Chosen: in two simulated quiet hours of Bologna nine probes of a tenth of the
/// traffic stood for longer than 112 s, and three for longer than 170 s; in 32 of other networks three
/// for longer than 112 s.
const LONG_STAND_S: f32 = 112.0;
const LONG_STAND_MIN_S: f32 = 90.0;
const LONG_STAND_MAX_S: f32 = 170.0;
/// The same on roads without signals that are driven fast (chosen: nobody waits for a signal
/// there, and stops in stop-and-go traffic are shorter).
const FAST_STAND_S: f32 = 45.0;
/// Stands that must have ended on the network before they say how long road users usually stand,
/// and by how much a long one exceeds the longest.
const KNOWN_STANDS: u32 = 100;
const RED_FACTOR: f32 = 1.3;
/// Longest stand that is learnt as usual, s, so that an incident that is not seen as one does not
/// hide the next.
const LEARNT_STAND_MAX_S: f32 = 130.0;
/// Road users of whom it is remembered whether they were slowed; beyond, half of them is forgotten.
const SLOWED_MEMORY: f32 = 1_000.0;
/// From this limit on a road without signals is driven fast, m/s, and no signal stands so far ahead
/// of it, m.
const FAST_MPS: f32 = 19.0;
const FAST_REACH_M: f32 = 800.0;
/// By how much a stand must be longer, and a lane be dead for longer, in town near an incident that is
/// known: its queue spreads over junctions and gives way slowly, and what stands there for long is
/// more often that than a second one (chosen; see the campaign).
const NEAR_KNOWN_FACTOR: f32 = 1.6;
/// A stand near the end of a segment is no matter of the junction from here, s (chosen: in 34
/// simulated quiet hours one probe stood there for longer).
const GIVING_WAY_S: f32 = 240.0;
/// A stand nearer to the end of the segment is a matter of the junction, m: at signals, and
/// elsewhere (chosen: seven and four cars, and a place that is some metres off).
const SIGNAL_NEAR_M: f32 = 58.0;
const JUNCTION_NEAR_M: f32 = 38.0;
/// A neighbour that drives past is faster, m/s (chosen: twice a brisk walk).
const PASSING_MPS: f32 = 5.0;
/// How far before and behind a place a passer is seen, m.
const BESIDE_M: f32 = 15.0;
/// Crawling: below this share of the limit; free: above. What is not longer ago, minutes, was so a
/// short while ago.
const CRAWL_RATIO: f32 = 0.3;
const FREE_RATIO: f32 = 0.6;
const FREE_AGO_MAX: u8 = 20;

/// A vehicle that stands too long for a red light, the first minute and each further one.
const STUCK_FIRST: f32 = 6.5;
const STUCK_MORE: f32 = 3.0;
/// Others drive past it.
const PASSED: f32 = 1.0;
/// A lane is dead in its fifth minute and in each further one, and others beside it are not: in
/// quiet hours of a town a full road behind the junction holds a lane for up to four.
const DEAD: f32 = 3.5;
const DEAD_BESIDE: f32 = 1.0;
const DEAD_MINUTES_MIN: u32 = 5;
/// Missing passes say nothing up to here; each further one as much, up to a limit (a Poisson count
/// of none has the probability `exp(-missing)`).
const MISSING_FREE: f32 = 3.0;
const MISSING_MAX: f32 = 5.0;
/// A road user that crawls on a fast road that was free lately.
const CRAWL: f32 = 2.0;
/// Most that a kind of evidence weighs in one minute.
const KIND_MAX: f32 = 8.0;

/// What is learnt of one segment over hours.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Learnt {
    /// Longest of the stands that have ended and were no incident's, s; it fades.
    pub(super) red_s: f32,
    /// How many such stands are known, at most 255.
    pub(super) stands: u8,
    /// Minutes since traffic was free on a fast road, at most 255; 255 is never.
    pub(super) free_ago: u8,
    /// Road users that were slowed at some place without a blockage, and those that were not; both
    /// fade.
    pub(super) slowed: f32,
    pub(super) passed: f32,
    /// How fast single road users pass.
    pub(super) pace: Pace,
}

impl Learnt {
    pub(super) const NOTHING: Self = Self {
        red_s: 0.0,
        stands: 0,
        free_ago: u8::MAX,
        slowed: 0.0,
        passed: 0.0,
        pace: Pace {
            count: 0.0,
            mean_mps: 0.0,
            squares: 0.0,
        },
    };

    /// Whether nothing is known.
    pub(super) fn is_nothing(&self) -> bool {
        *self == Self::NOTHING
    }

    /// Takes the longest of the stands that ended in a minute, and how many did.
    pub(super) fn learn_stands(&mut self, longest_s: f32, count: u8) {
        self.red_s = longest_s.min(LEARNT_STAND_MAX_S).max(self.red_s * 0.99);
        self.stands = self.stands.saturating_add(count);
    }

    /// Takes who was slowed in a minute in which there was no incident, and how fast all passed.
    pub(super) fn learn_passes(&mut self, slowing: &Slowing, stays: &[Stay]) {
        let kept = if self.passed > SLOWED_MEMORY {
            0.5
        } else {
            1.0
        };
        self.slowed = (self.slowed + slowing.slowed as f32) * kept;
        self.passed = (self.passed + slowing.passed as f32) * kept;
        let speeds_mps = stays.iter().filter_map(speed_of);
        speeds_mps.for_each(|speed_mps| self.pace.learn(speed_mps));
    }
}

/// How long road users stand anywhere on the network without an incident.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct UsualStands {
    longest_s: f32,
    count: u32,
}

impl UsualStands {
    /// Gathers what is learnt of all segments.
    pub(super) fn of(learnt: &[Learnt]) -> Self {
        learnt.iter().fold(Self::default(), |all, one| Self {
            longest_s: all.longest_s.max(one.red_s),
            count: all.count.saturating_add(u32::from(one.stands)),
        })
    }

    /// From where on a stand is too long, s.
    pub(super) fn long_stand_s(self, is_fast: bool) -> f32 {
        if is_fast {
            FAST_STAND_S
        } else if self.count >= KNOWN_STANDS {
            (self.longest_s * RED_FACTOR).clamp(LONG_STAND_MIN_S, LONG_STAND_MAX_S)
        } else {
            LONG_STAND_S
        }
    }
}

/// The segments that are fast roads: without a signal at their end or within reach ahead.
pub(super) fn fast_roads(network: &Network) -> Vec<bool> {
    let is_fast = |id: SegmentId| {
        let mut seen = BTreeSet::from([id]);
        let mut waiting = vec![(id, 0.0f32)];
        while let Some((here, walked_m)) = waiting.pop() {
            if network.segment(here).is_signalised() {
                return false;
            }
            for movement in network.movements_from(here) {
                let next = movement.to();
                let reach_m = walked_m + network.segment(next).length_m;
                if walked_m < FAST_REACH_M && seen.insert(next) {
                    waiting.push((next, reach_m));
                }
            }
        }
        true
    };
    let ids = network.segment_ids();
    ids.map(|id| network.segment(id).limit_mps >= FAST_MPS && is_fast(id))
        .collect()
}

/// A segment with what is known of it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Place<'a> {
    pub(super) segment: &'a Segment,
    /// Minutes since traffic was free, on a fast road.
    pub(super) free_ago: u8,
    pub(super) is_fast: bool,
    /// From where on a stand is too long, s.
    pub(super) long_stand_s: f32,
    /// By what times are multiplied until they say something.
    pub(super) patience: f32,
}

/// By what times are multiplied until they say something, near an incident that is known and
/// elsewhere.
pub(super) fn patience(is_near_known: bool) -> f32 {
    if is_near_known {
        NEAR_KNOWN_FACTOR
    } else {
        1.0
    }
}

/// What one minute shows at one segment.
#[derive(Clone, Debug, Default)]
pub(super) struct Finding {
    /// Log-likelihood ratio of the minute.
    pub(super) weight: f32,
    /// Where, metres from the start of the segment.
    pub(super) place_m: f32,
    /// Road users that stand too long, wherever on the segment.
    pub(super) stuck: u32,
    /// Whether the foremost of them stands too near to the end to tell it from the junction.
    pub(super) is_at_end: bool,
    /// Lanes known to be blocked.
    pub(super) lanes: u32,
    /// Road users that drove past the place.
    pub(super) passers: u32,
    /// Road users that were slowed at the place.
    pub(super) slowed: u32,
    /// Whether traffic crawls on a fast road.
    pub(super) is_crawling: bool,
    /// Whether loops tell so.
    pub(super) is_crawl_counted: bool,
    /// Whether loops tell of a fall of speed, which they do once in five minutes.
    pub(super) is_dropped: bool,
    pub(super) evidence: Vec<IncidentEvidence>,
}

impl Finding {
    /// Whether detectors show it, which stand where they stand, and not road users alone.
    pub(super) fn rests_on_detectors(&self) -> bool {
        let is_starved =
            |evidence: &IncidentEvidence| matches!(evidence, IncidentEvidence::Starved { .. });
        self.lanes > 0
            || self.is_dropped
            || self.is_crawl_counted
            || self.evidence.iter().any(is_starved)
    }
}

/// Weighs what the stays and detectors of one segment show.
pub(super) fn weigh(place: &Place<'_>, stays: &[Stay], lanes: Option<&Lanes>) -> Finding {
    let mut finding = Finding::default();
    weigh_stuck(place, stays, &mut finding);
    if let Some(lanes) = lanes {
        weigh_lanes(place, stays, lanes, &mut finding);
    }
    if place.is_fast {
        weigh_crawl(place, stays, lanes, &mut finding);
    }
    finding
}

/// Weighs who was slowed at one place, on a fast road, against how many usually are.
pub(super) fn weigh_slowed(slowing: &Slowing, learnt: &Learnt, finding: &mut Finding) {
    let weight = slowing.weight(learnt.slowed, learnt.passed);
    if weight <= 0.0 {
        return;
    }
    finding.weight += weight;
    if finding.stuck == 0 {
        finding.place_m = slowing.place_m;
    }
    finding.slowed = slowing.together;
    finding.evidence.push(IncidentEvidence::Slowed {
        count: slowing.together,
    });
}

/// Weighs how fast road users pass a fast road against how fast they usually do.
pub(super) fn weigh_slower(
    segment: &Segment,
    learnt: &Learnt,
    stays: &[Stay],
    finding: &mut Finding,
) {
    let weighed = learnt.pace.weigh(segment, stays);
    let Some((weight, ratio)) = weighed.filter(|(weight, _)| *weight > 0.0) else {
        return;
    };
    finding.weight += weight;
    if finding.evidence.is_empty() {
        finding.place_m = segment.length_m / 2.0;
    }
    finding.evidence.push(IncidentEvidence::Slower { ratio });
}

/// Weighs how far the speed at loops has fallen, on a fast road.
pub(super) fn weigh_drop(
    segment: &Segment,
    drop: &SpeedDrop,
    lanes: Option<&Lanes>,
    finding: &mut Finding,
) {
    finding.weight += drop.weight;
    finding.is_crawling = true;
    finding.is_dropped = true;
    if finding.evidence.is_empty() {
        finding.place_m = lanes.map_or(segment.length_m / 2.0, |lanes| lanes.from_m);
    }
    finding.evidence.push(IncidentEvidence::SpeedDrop {
        before_ratio: drop.before,
        ratio: drop.ratio,
        usual_share: drop.usual,
    });
}

fn weigh_stuck(place: &Place<'_>, stays: &[Stay], finding: &mut Finding) {
    let segment = place.segment;
    let long_s = place.long_stand_s * place.patience;
    let near_m = if segment.is_signalised() {
        SIGNAL_NEAR_M
    } else {
        JUNCTION_NEAR_M
    };
    let stuck = || {
        stays
            .iter()
            .map(Stay::stand)
            .filter(|stand| stand.0 >= long_s)
    };
    let foremost_m = stuck()
        .map(|stand| stand.1)
        .fold(f32::NEG_INFINITY, f32::max);
    finding.stuck = stuck().count() as u32;
    if finding.stuck == 0 {
        return;
    }
    let before_end_m = (segment.length_m - foremost_m).max(0.0);
    finding.place_m = foremost_m;
    finding.is_at_end = before_end_m < near_m;
    let longest_s = stuck().map(|stand| stand.0).fold(0.0, f32::max);
    finding.evidence.push(IncidentEvidence::Stuck {
        count: finding.stuck,
        longest_s,
        before_end_m,
    });
    finding.passers = passers(stays, foremost_m);
    let is_giving_way = longest_s < GIVING_WAY_S * place.patience;
    if finding.is_at_end && is_giving_way {
        return;
    }
    // First in the minute in which it has become too long.
    let is_first = |stay: &Stay| stay.stand().0 - stay.standing_ms as f32 / 1e3 < long_s;
    let too_long = stays.iter().filter(|stay| stay.stand().0 >= long_s);
    let mut weight: f32 = too_long
        .map(|stay| {
            if is_first(stay) {
                STUCK_FIRST
            } else {
                STUCK_MORE
            }
        })
        .sum();
    if finding.passers > 0 {
        weight += PASSED;
        let count = finding.passers;
        finding.evidence.push(IncidentEvidence::Passers { count });
    }
    finding.weight += weight.min(KIND_MAX);
}

/// Road users that drove over a place faster than [`PASSING_MPS`].
fn passers(stays: &[Stay], place_m: f32) -> u32 {
    let drives_past = |stay: &&Stay| {
        let mut last: Option<f32> = None;
        stay.samples().any(|sample| {
            let at_m = sample.map(|(place_dm, _)| f32::from(place_dm) / 10.0);
            let from_m = std::mem::replace(&mut last, at_m);
            let (Some(from_m), Some(at_m)) = (from_m, at_m) else {
                return false;
            };
            from_m <= place_m + BESIDE_M
                && at_m >= place_m - BESIDE_M
                && at_m - from_m >= PASSING_MPS * 5.0
        })
    };
    stays.iter().filter(drives_past).count() as u32
}

fn weigh_lanes(place: &Place<'_>, stays: &[Stay], lanes: &Lanes, finding: &mut Finding) {
    let segment = place.segment;
    let dead_minutes_min = DEAD_MINUTES_MIN as f32 * place.patience;
    if lanes.dead > 0 && lanes.dead_minutes as f32 >= dead_minutes_min {
        finding.lanes = lanes.dead;
        let is_beside = lanes.passes >= 2.0;
        finding.weight += DEAD + if is_beside { DEAD_BESIDE } else { 0.0 };
        finding.evidence.push(IncidentEvidence::DeadLanes {
            lanes: lanes.dead,
            minutes: lanes.dead_minutes,
        });
        if finding.stuck == 0 {
            finding.place_m = (lanes.from_m + segment.length_m) / 2.0;
        }
        // The queue of a dead lane stands before it, whatever else stands at the end.
        finding.is_at_end = false;
    }
    let stands_before = |stay: &Stay| {
        let (stand_s, place_m) = stay.stand();
        stand_s >= 45.0 && place_m < lanes.from_m + 10.0
    };
    let is_waited = finding.stuck > 0 || stays.iter().any(stands_before);
    let missing = lanes.missing();
    if missing > MISSING_FREE && is_waited && !lanes.is_full {
        finding.weight += (missing - MISSING_FREE).min(MISSING_MAX);
        finding.evidence.push(IncidentEvidence::Starved { missing });
        if finding.stuck == 0 {
            let places = stays.iter().filter(|stay| stands_before(stay));
            finding.place_m = places.map(|stay| stay.stand().1).fold(0.0, f32::max);
        }
    }
}

fn weigh_crawl(place: &Place<'_>, stays: &[Stay], lanes: Option<&Lanes>, finding: &mut Finding) {
    let segment = place.segment;
    let crawl_mps = CRAWL_RATIO * segment.limit_mps;
    let speeds = || stays.iter().filter(|stay| stay.time_ms >= 15_000);
    let crawling = |stay: &&Stay| {
        stay.speed_mps()
            .is_some_and(|speed_mps| speed_mps < crawl_mps)
    };
    let mut count = speeds().filter(crawling).count() as u32;
    let mut speed_sum_mps: f32 = speeds().filter(crawling).filter_map(Stay::speed_mps).sum();
    if let Some(lanes) = lanes
        && lanes.point_count >= 2.0
        && lanes.point_speed_mps < crawl_mps * lanes.point_count
    {
        finding.is_crawl_counted = true;
        count += 1;
        speed_sum_mps += lanes.point_speed_mps / lanes.point_count;
    }
    if count == 0 {
        return;
    }
    finding.is_crawling = true;
    let was_free = place.free_ago <= FREE_AGO_MAX;
    if finding.place_m <= 0.0 {
        let reached = speeds().filter(crawling).filter_map(Stay::stretch_dm);
        let foremost_dm = reached.map(|(_, until_dm)| until_dm).max().unwrap_or(0);
        finding.place_m = f32::from(foremost_dm) / 10.0;
    }
    if was_free {
        finding.weight += (CRAWL * count as f32).min(KIND_MAX);
        let ratio = speed_sum_mps / count as f32 / segment.limit_mps;
        finding
            .evidence
            .push(IncidentEvidence::Crawling { count, ratio });
    }
}

/// Whether road users or detectors drove freely on a segment: the mean of those who were there.
pub(super) fn is_free(segment: &Segment, stays: &[Stay], lanes: Option<&Lanes>) -> bool {
    let (distance, time) = stays.iter().fold((0u64, 0u64), |sum, stay| {
        (
            sum.0 + u64::from(stay.distance_mm),
            sum.1 + u64::from(stay.time_ms),
        )
    });
    let free_mps = FREE_RATIO * segment.limit_mps;
    let is_driven = time > 0 && distance as f32 / time as f32 > free_mps;
    let is_counted = lanes.is_some_and(|lanes| {
        lanes.point_count >= 1.0 && lanes.point_speed_mps > free_mps * lanes.point_count
    });
    is_driven || (time == 0 && is_counted)
}
