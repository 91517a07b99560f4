//! Plausibility of one source: duplicates, order, rate caps and implausible jumps of one subject.
//!
//! Pure functions on the small [`LastSeen`] that each track keeps, the [`Fleet`] of roadside units
//! with their clocks and rates, and the [`Gate`] that no device floods. It does not look at the road.
//! Limits follow the trust rules of the project: speed up to 70 m/s and 12 messages a second a
//! pseudonym.

mod bytes;
mod fleet;
mod gate;

pub use fleet::{
    ClockSkew, DEVICES_MAX, DeviceStatus, Fleet, FleetSettings, MessageLead, SkewBasis,
};
pub use gate::{BUCKETS_MAX, Gate, GateSettings};

use crate::observation::RejectReason;
use crate::units::{Point, Timestamp};

/// Highest believable speed in m/s (252 km/h); observations above it never leave a decoder.
pub const MAX_SPEED_MPS: f32 = 70.0;

/// Most messages a second from one subject, with bursts of one second allowed.
pub const MAX_RATE_HZ: f32 = 12.0;

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
    /// Messages it may still send at `at` before the rate cap bites, `0.0..=12.0`.
    pub allowance: f32,
    /// Implausible positions refused since.
    pub strikes: u8,
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
    pub fn first(at: Timestamp, point: Point) -> Self {
        Self {
            at,
            point,
            allowance: MAX_RATE_HZ - 1.0,
            strikes: 0,
        }
    }

    /// Judges an observation at `at` and `point` against the last accepted one; `slack_m` is how
    /// far the two positions may be apart through positioning error alone.
    ///
    /// # Errors
    /// [`RejectReason::Duplicate`], [`RejectReason::OutOfOrder`], [`RejectReason::RateCapped`] or
    /// [`RejectReason::Implausible`].
    pub fn judge(
        &self,
        at: Timestamp,
        point: Point,
        slack_m: f32,
    ) -> Result<Verdict, RejectReason> {
        if at <= self.at {
            return Err(if at == self.at {
                RejectReason::Duplicate
            } else {
                RejectReason::OutOfOrder
            });
        }
        let elapsed_s = at.millis_since(self.at) as f32 / 1000.0;
        if self.allowance_after(elapsed_s) < 1.0 {
            return Err(RejectReason::RateCapped);
        }
        if self.point.distance_m(point) > MAX_SPEED_MPS * elapsed_s + slack_m {
            if self.strikes >= IMPLAUSIBLE_LIMIT {
                return Ok(Verdict::Teleports);
            }
            return Err(RejectReason::Implausible);
        }
        Ok(Verdict::Follows)
    }

    /// What is remembered once an observation at `at` and `point` is accepted.
    #[must_use]
    pub fn accepted(&self, at: Timestamp, point: Point) -> Self {
        let elapsed_s = at.millis_since(self.at) as f32 / 1000.0;
        Self {
            at,
            point,
            allowance: self.allowance_after(elapsed_s) - 1.0,
            strikes: 0,
        }
    }

    /// What is remembered once an observation is refused for `reason`.
    #[must_use]
    pub fn refused(&self, reason: RejectReason) -> Self {
        let strike = u8::from(reason == RejectReason::Implausible);
        Self {
            strikes: self.strikes.saturating_add(strike),
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
        let last = LastSeen::first(ms(5000), Point::new(0.0, 0.0));
        let judge = |at| last.judge(ms(at), Point::new(1.0, 0.0), 30.0);
        assert_eq!(judge(5000), Err(RejectReason::Duplicate));
        assert_eq!(judge(4999), Err(RejectReason::OutOfOrder));
        assert_eq!(judge(5100), Ok(Verdict::Follows));
    }

    #[test]
    fn caps_a_subject_at_twelve_messages_a_second() {
        let mut last = LastSeen::first(ms(0), Point::default());
        let mut accepted = 0;
        for step in 1..=500 {
            let at = ms(step * 20);
            match last.judge(at, Point::default(), 30.0) {
                Ok(_) => {
                    last = last.accepted(at, Point::default());
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
        let mut last = LastSeen::first(ms(0), Point::default());
        let far = Point::new(5_000.0, 0.0);
        for at in 1..=i64::from(IMPLAUSIBLE_LIMIT) {
            let verdict = last.judge(ms(at * 1000), far, 30.0);
            assert_eq!(verdict, Err(RejectReason::Implausible));
            last = last.refused(RejectReason::Implausible);
        }
        assert_eq!(last.judge(ms(3000), far, 30.0), Ok(Verdict::Teleports));
        assert_eq!(
            last.judge(ms(3000), Point::new(10.0, 0.0), 30.0),
            Ok(Verdict::Follows)
        );
    }
}
