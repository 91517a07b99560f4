//! Plausibility of one source: duplicates, order, rate caps and implausible jumps of one subject.
//!
//! Pure functions on the small [`LastSeen`] that each track keeps, the [`Fleet`] of roadside units
//! with their clocks and rates, and the [`Gate`] that no device floods. It does not look at the road.
//! Limits follow the trust rules of the project: speed up to 70 m/s and 12 messages a second a
//! pseudonym.

mod bytes;
mod fleet;
mod gate;
mod pseudonym;
mod tally;
mod views;

pub use fleet::{
    ClockSkew, DEVICES_MAX, DeviceStatus, Fleet, FleetSettings, MessageLead, SkewBasis,
};
pub use gate::{BUCKETS_MAX, Gate, GateSettings};
pub use pseudonym::{PseudonymKeys, Pseudonyms, ROTATION_S_MAX, Secret};
pub use tally::{DATUMS_TRIED, MISS_MM_MAX, Tallies, ViewTally};
pub use views::{VIEWS_MAX, View, Views};

use crate::observation::{Observation, RejectReason};
use crate::units::{Point, Timestamp};

/// Highest believable speed in m/s (252 km/h); observations above it never leave a decoder.
pub const MAX_SPEED_MPS: f32 = 70.0;

/// Most messages a second from one subject, with bursts of one second allowed.
pub const MAX_RATE_HZ: f32 = 12.0;

/// Hardest braking and acceleration of a road vehicle, m/s² (methods of this project give no bound;
/// chosen: dry-road tyres reach 10).
pub const MAX_ACCELERATION_MPS2: f32 = 10.0;

/// What reported speeds may be off, m/s, in addition to what acceleration allows.
const SPEED_SLACK_MPS: f32 = 5.0;

/// Reports further apart in time are not compared by speed and heading, s: too much can happen.
const MOTION_S_MAX: f32 = 10.0;

/// From this speed on a car cannot turn on the spot, m/s: the sideways acceleration of
/// [`MAX_ACCELERATION_MPS2`] allows 57 degrees a second.
const STEADY_MPS: f32 = 10.0;
const TURN_DEG_PER_S: f32 = 57.0;
/// What reported headings may be off, degrees: some senders report the direction of the road, which
/// turns at once at a corner.
const HEADING_SLACK_DEG: f32 = 100.0;

/// After so many implausible positions in a row the subject is believed to be where it says: the
/// next one counts as a teleport. Chosen: one bad fix is noise, three agree.
pub const IMPLAUSIBLE_LIMIT: u8 = 2;

/// What is remembered of a subject's last accepted observation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct LastSeen {
    /// Event time of the last accepted observation.
    pub at: Timestamp,
    /// Where it was, in the local plane.
    pub point: Point,
    /// How it moved then.
    pub motion: Motion,
    /// Messages it may still send at `at` before the rate cap bites, `0.0..=12.0`.
    pub allowance: f32,
    /// Implausible positions refused since.
    pub strikes: u8,
    /// Event time of the last of them: what is sent again is no second strike.
    pub refused_at: Timestamp,
}

/// How a subject says that it moves; NaN where it does not say.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Motion {
    /// Speed over ground, m/s.
    pub speed_mps: f32,
    /// Degrees clockwise from north.
    pub heading_deg: f32,
}

impl Motion {
    /// Nothing is said.
    pub const UNKNOWN: Self = Self {
        speed_mps: f32::NAN,
        heading_deg: f32::NAN,
    };

    /// What an observation says.
    pub fn of(observation: &Observation) -> Self {
        Self {
            speed_mps: observation.speed_mps.unwrap_or(f32::NAN),
            heading_deg: observation.heading_deg.unwrap_or(f32::NAN),
        }
    }

    /// Whether a vehicle can move so and `elapsed_s` later as `next`, `distance_m` away, when both
    /// places together may be `slack_m` off. What is not said contradicts nothing.
    fn allows(&self, next: &Self, elapsed_s: f32, distance_m: f32, slack_m: f32) -> bool {
        if elapsed_s > MOTION_S_MAX {
            return true;
        }
        let gained_mps = MAX_ACCELERATION_MPS2 * elapsed_s;
        let (slower, faster) = (
            self.speed_mps.min(next.speed_mps),
            self.speed_mps.max(next.speed_mps),
        );
        let is_known = !self.speed_mps.is_nan() && !next.speed_mps.is_nan();
        if is_known && faster - slower > gained_mps + SPEED_SLACK_MPS {
            return false;
        }
        let farthest_m = (faster + gained_mps / 2.0) * elapsed_s + slack_m;
        if is_known && distance_m > farthest_m {
            return false;
        }
        let turn_deg = (next.heading_deg - self.heading_deg + 540.0).rem_euclid(360.0) - 180.0;
        // Comparisons with NaN are false: an unknown heading or speed allows everything.
        !(slower > STEADY_MPS
            && is_known
            && turn_deg.abs() > TURN_DEG_PER_S * elapsed_s + HEADING_SLACK_DEG)
    }
}

/// How an acceptable observation relates to the last one.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Verdict {
    /// It can follow the last one.
    Follows,
    /// It cannot, but the subject insists: it starts anew there.
    Teleports,
}

impl LastSeen {
    /// What is remembered of the first observation of a subject.
    pub fn first(at: Timestamp, point: Point, motion: Motion) -> Self {
        Self {
            at,
            point,
            motion,
            allowance: MAX_RATE_HZ - 1.0,
            strikes: 0,
            refused_at: Timestamp::MIN,
        }
    }

    /// Judges an observation at `at` and `point` against the last accepted one; `slack_m` is how
    /// far the two positions may be apart through positioning error alone. Impossible are jumps
    /// faster than [`MAX_SPEED_MPS`], speeds that no brake or engine reaches, distances that the
    /// reported speeds do not cover, and turns on the spot at speed.
    ///
    /// # Errors
    /// [`RejectReason::Duplicate`], [`RejectReason::OutOfOrder`], [`RejectReason::RateCapped`] or
    /// [`RejectReason::Implausible`].
    pub fn judge(
        &self,
        at: Timestamp,
        point: Point,
        motion: Motion,
        slack_m: f32,
    ) -> Result<Verdict, RejectReason> {
        if at <= self.at || at == self.refused_at {
            return Err(if at == self.at || at == self.refused_at {
                RejectReason::Duplicate
            } else {
                RejectReason::OutOfOrder
            });
        }
        let elapsed_s = at.millis_since(self.at) as f32 / 1000.0;
        if self.allowance_after(elapsed_s) < 1.0 {
            return Err(RejectReason::RateCapped);
        }
        let distance_m = self.point.distance_m(point);
        let is_jump = distance_m > MAX_SPEED_MPS * elapsed_s + slack_m;
        if is_jump || !self.motion.allows(&motion, elapsed_s, distance_m, slack_m) {
            if self.strikes >= IMPLAUSIBLE_LIMIT {
                return Ok(Verdict::Teleports);
            }
            return Err(RejectReason::Implausible);
        }
        Ok(Verdict::Follows)
    }

    /// What is remembered once an observation at `at` and `point` is accepted.
    #[must_use]
    pub fn accepted(&self, at: Timestamp, point: Point, motion: Motion) -> Self {
        let elapsed_s = at.millis_since(self.at) as f32 / 1000.0;
        Self {
            at,
            point,
            motion,
            allowance: self.allowance_after(elapsed_s) - 1.0,
            strikes: 0,
            refused_at: Timestamp::MIN,
        }
    }

    /// What is remembered once an observation at `at` is refused for `reason`.
    #[must_use]
    pub fn refused(&self, at: Timestamp, reason: RejectReason) -> Self {
        if reason != RejectReason::Implausible {
            return *self;
        }
        Self {
            strikes: self.strikes.saturating_add(1),
            refused_at: at,
            ..*self
        }
    }

    fn allowance_after(&self, elapsed_s: f32) -> f32 {
        (self.allowance + MAX_RATE_HZ * elapsed_s).min(MAX_RATE_HZ)
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn ms(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn refuses_the_same_time_and_earlier_times() {
        let last = LastSeen::first(ms(5000), Point::new(0.0, 0.0), Motion::UNKNOWN);
        let judge = |at| last.judge(ms(at), Point::new(1.0, 0.0), Motion::UNKNOWN, 30.0);
        assert_eq!(judge(5000), Err(RejectReason::Duplicate));
        assert_eq!(judge(4999), Err(RejectReason::OutOfOrder));
        assert_eq!(judge(5100), Ok(Verdict::Follows));
    }

    #[test]
    fn caps_a_subject_at_twelve_messages_a_second() {
        let mut last = LastSeen::first(ms(0), Point::default(), Motion::UNKNOWN);
        let mut accepted = 0;
        for step in 1..=500 {
            let at = ms(step * 20);
            match last.judge(at, Point::default(), Motion::UNKNOWN, 30.0) {
                Ok(_) => {
                    last = last.accepted(at, Point::default(), Motion::UNKNOWN);
                    accepted += 1;
                }
                Err(reason) => assert_eq!(reason, RejectReason::RateCapped),
            }
        }
        // 50 Hz for 10 s: the burst of one second plus 12 a second.
        assert!((120..=132).contains(&accepted), "{accepted}");
    }

    #[test]
    fn believes_a_jump_only_when_it_is_repeated() {
        let mut last = LastSeen::first(ms(0), Point::default(), Motion::UNKNOWN);
        let far = Point::new(5_000.0, 0.0);
        for at in 1..=i64::from(IMPLAUSIBLE_LIMIT) {
            let verdict = last.judge(ms(at * 1000), far, Motion::UNKNOWN, 30.0);
            assert_eq!(verdict, Err(RejectReason::Implausible));
            last = last.refused(ms(at * 1000), RejectReason::Implausible);
        }
        assert_eq!(
            last.judge(ms(3000), far, Motion::UNKNOWN, 30.0),
            Ok(Verdict::Teleports)
        );
        assert_eq!(
            last.judge(ms(3000), Point::new(10.0, 0.0), Motion::UNKNOWN, 30.0),
            Ok(Verdict::Follows)
        );
    }

    #[test]
    fn refuses_movements_that_no_vehicle_makes() {
        let moving = |speed_mps, heading_deg| Motion {
            speed_mps,
            heading_deg,
        };
        let last = LastSeen::first(ms(0), Point::default(), moving(20.0, 90.0));
        let judge = |seconds: i64, x, motion| {
            last.judge(ms(seconds * 1000), Point::new(x, 0.0), motion, 10.0)
        };
        let impossible = Err(RejectReason::Implausible);
        assert_eq!(judge(1, 20.0, moving(21.0, 95.0)), Ok(Verdict::Follows));
        // Full braking and full acceleration are possible, standing still at once is not.
        assert_eq!(judge(1, 15.0, moving(6.0, 90.0)), Ok(Verdict::Follows));
        assert_eq!(judge(1, 0.0, moving(0.0, 90.0)), impossible);
        assert_eq!(judge(1, 40.0, moving(36.0, 90.0)), impossible);
        // 40 m in a second at 20 m/s.
        assert_eq!(judge(1, 40.0, moving(20.0, 90.0)), impossible);
        // A turn back at speed, at once and over five seconds.
        assert_eq!(judge(1, 0.0, moving(18.0, 270.0)), impossible);
        assert_eq!(judge(5, 0.0, moving(18.0, 270.0)), Ok(Verdict::Follows));
        // Who says nothing of it is not judged by it.
        assert_eq!(judge(1, 60.0, Motion::UNKNOWN), Ok(Verdict::Follows));
    }
}
