//! How far a unit's clock is off, estimated from what it sends.
//!
//! A message says when something was seen; it is received later, never earlier. So observations from
//! the future prove a fast clock. Observations from the past prove nothing by themselves: they may
//! have waited. But waiting varies, while a slow clock is late by the same time in every message.

use super::super::bytes::{put_u64, take_u64};
use crate::units::Timestamp;

/// Messages needed for an estimate, the newest ones of a unit. Chosen: two seconds of a unit at
/// 10 Hz; a unit of one message a minute is known after twenty minutes.
const MESSAGES: usize = 20;

/// A lag below this is taken for delay, however steady, ms. Chosen: above what cameras, fusion and
/// batches are known to need for every message.
const STEADY_LAG_MS_MIN: i64 = 30_000;

/// Most that three quarters of the lags may vary for a clock to be slow, ms. Chosen: above the
/// jitter of a network, below the pause between two batches of records.
const STEADY_SPREAD_MS_MAX: i64 = 2_000;

/// How far the observations of one message lie ahead of its receipt (behind: negative), ms.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct MessageLead {
    /// The newest observation: a message that gathers those of a minute has just seen this one.
    pub newest_ms: i64,
    /// The middle one: a single road user with a clock of its own does not move it.
    pub middle_ms: i64,
}

impl MessageLead {
    /// The leads of observations made at `times`, received at `received_at`; `None` without any.
    /// `times` is reordered.
    pub fn of(received_at: Timestamp, times: &mut [Timestamp]) -> Option<Self> {
        let newest = times.iter().max().copied()?;
        let (_, middle, _) = times.select_nth_unstable(times.len() / 2);
        Some(Self {
            newest_ms: newest.millis_since(received_at),
            middle_ms: middle.millis_since(received_at),
        })
    }
}

/// The leads of a unit's newest messages.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub(super) struct SeenClock {
    /// Oldest first, at most [`MESSAGES`].
    leads: Vec<MessageLead>,
    /// Whether its clock has been right for all of them at some time.
    pub(super) was_right: bool,
    /// How far it is ahead (behind: negative), ms; `None` while the leads do not tell.
    pub(super) offset_ms: Option<i64>,
}

impl SeenClock {
    /// Takes the lead of one more message. A clock ahead by up to `skew_ms_max` is right.
    pub(super) fn take(&mut self, lead: MessageLead, skew_ms_max: i64) {
        if self.leads.len() == MESSAGES {
            self.leads.remove(0);
        }
        self.leads.push(lead);
        self.offset_ms = self.estimate(skew_ms_max);
    }

    /// The least delayed message but one (a single odd time says nothing) where the clock is off.
    fn estimate(&mut self, skew_ms_max: i64) -> Option<i64> {
        if self.leads.len() < MESSAGES {
            return None;
        }
        let mut sorted = [0; MESSAGES];
        let mut quantiles = |of: fn(&MessageLead) -> i64| {
            for (to, lead) in sorted.iter_mut().zip(&self.leads) {
                *to = of(lead);
            }
            sorted.sort_unstable();
            (sorted[MESSAGES / 4], sorted[MESSAGES - 2])
        };
        let (low_ms, least_delayed_ms) = quantiles(|lead| lead.middle_ms);
        if low_ms > skew_ms_max {
            return Some(least_delayed_ms);
        }
        let (low_ms, least_delayed_ms) = quantiles(|lead| lead.newest_ms);
        let is_late = least_delayed_ms < -STEADY_LAG_MS_MIN;
        self.was_right |= !is_late;
        let is_steady = least_delayed_ms.saturating_sub(low_ms) <= STEADY_SPREAD_MS_MAX;
        (is_late && is_steady).then_some(least_delayed_ms)
    }

    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        put_u64(u64::from(self.was_right), out);
        put_u64(u64::from(self.offset_ms.is_some()), out);
        put_u64(self.offset_ms.unwrap_or_default() as u64, out);
        put_u64(self.leads.len() as u64, out);
        for lead in &self.leads {
            put_u64(lead.newest_ms as u64, out);
            put_u64(lead.middle_ms as u64, out);
        }
    }

    pub(super) fn restore(bytes: &mut &[u8]) -> Option<Self> {
        let was_right = take_u64(bytes)? != 0;
        let is_known = take_u64(bytes)? != 0;
        let offset_ms = take_u64(bytes)? as i64;
        let count = take_u64(bytes).filter(|count| *count <= MESSAGES as u64)?;
        let mut leads = Vec::with_capacity(count as usize);
        for _ in 0..count {
            leads.push(MessageLead {
                newest_ms: take_u64(bytes)? as i64,
                middle_ms: take_u64(bytes)? as i64,
            });
        }
        Some(Self {
            leads,
            was_right,
            offset_ms: is_known.then_some(offset_ms),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    /// The estimate after messages with these leads, newest and middle alike.
    fn after(leads_ms: impl IntoIterator<Item = i64>) -> SeenClock {
        let mut clock = SeenClock::default();
        for lead_ms in leads_ms {
            let lead = MessageLead {
                newest_ms: lead_ms,
                middle_ms: lead_ms,
            };
            clock.take(lead, 1_000);
        }
        clock
    }

    #[test]
    fn five_minutes_either_way_are_known_after_twenty_messages() {
        // Delays of 0 to 400 ms.
        let delay = |index: i64| index * 7 % 5 * 100;
        for skew_ms in [-300_000, 300_000] {
            let lead = |index| skew_ms - delay(index);
            assert_eq!(after((0..19).map(lead)).offset_ms, None);
            let clock = after((0..20).map(lead));
            assert_eq!(clock.offset_ms, Some(skew_ms), "{skew_ms}");
        }
    }

    #[test]
    fn what_waits_for_a_varying_time_is_late_and_no_slow_clock() {
        // Records kept for up to ten minutes; a batch a minute has one that is fresh.
        assert_eq!(
            after((0..40).map(|i| -(i * 37 % 600) * 1_000)).offset_ms,
            None
        );
        let late = after((0..40).map(|i| -60_000 - (i * 37 % 60) * 1_000));
        assert_eq!((late.offset_ms, late.was_right), (None, false));
        // A steady lag that pipelines have.
        let piped = after((0..40).map(|_| -12_000));
        assert_eq!((piped.offset_ms, piped.was_right), (None, true));
        assert_eq!(after((0..40).map(|_| 900)).offset_ms, None);
    }

    #[test]
    fn a_fast_clock_shows_even_through_varying_delays() {
        let clock = after((0..40).map(|i| 300_000 - (i * 37 % 60) * 1_000));
        assert!(
            clock
                .offset_ms
                .is_some_and(|ms| (295_000..=300_000).contains(&ms))
        );
    }

    #[test]
    fn a_clock_put_right_is_right_within_the_window() {
        for skew_ms in [-300_000, 300_000] {
            let leads = std::iter::repeat_n(skew_ms, 20).chain(std::iter::repeat_n(-50, 7));
            assert_eq!(after(leads).offset_ms, None, "{skew_ms}");
        }
    }

    #[test]
    fn one_car_with_a_fast_clock_does_not_move_its_unit() {
        let now = Timestamp::from_secs(1_000);
        let mut times = [0, 0, 25_000, -100, -50].map(|ms| now.plus_millis(ms));
        let lead = MessageLead::of(now, &mut times);
        assert_eq!(
            lead,
            Some(MessageLead {
                newest_ms: 25_000,
                middle_ms: 0
            })
        );
        let mut clock = SeenClock::default();
        for _ in 0..MESSAGES {
            clock.take(lead.unwrap(), 1_000);
        }
        assert_eq!(clock.offset_ms, None);
        assert_eq!(MessageLead::of(now, &mut []), None);
    }
}
