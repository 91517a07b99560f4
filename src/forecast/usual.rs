//! What is usual at a time of the day, as backtests and flow forecasts learn it: of workdays and of days
//! off apart, each helped by the other and by the mean of all times.

use super::STEP_MS;
use crate::state::{Calendar, DAY_KINDS};
use crate::units::Timestamp;

/// Five-minute slots of a day.
pub(super) const SLOTS: usize = (86_400_000 / STEP_MS) as usize;
/// Workdays and days off have slots of their own.
pub(super) const KINDS: usize = DAY_KINDS;
/// Slots to each side that are taken with a slot: 25 minutes in all (methods of this project).
pub(super) const SMOOTHING: usize = 2;
/// Weight of what is usual on all days beside the days of one kind, in samples (chosen).
const KIND_PRIOR: f32 = 4.0;
/// Weight of the mean of all times beside all days, in samples (chosen).
const MEAN_PRIOR: f32 = 2.0;

/// A sum and the number of samples behind it.
pub(super) type Sum = (f32, f32);

/// The kind of the local day, below [`KINDS`], and the slot of a time, below [`SLOTS`].
pub(super) fn kind_and_slot(calendar: &Calendar, at: Timestamp) -> (usize, usize) {
    let (day_type, slot) = calendar.slot_of_day(at);
    (usize::from(!day_type.is_workday()), slot)
}

/// What is usual in a slot, from what was seen on days of its kind and on the others, and the mean of
/// all times.
pub(super) fn usual(same: Sum, other: Sum, mean: f32) -> f32 {
    let all = (same.0 + other.0 + MEAN_PRIOR * mean) / (same.1 + other.1 + MEAN_PRIOR);
    (same.0 + KIND_PRIOR * all) / (same.1 + KIND_PRIOR)
}
