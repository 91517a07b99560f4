//! Reports of one car in several views, told together by where it was when.
//!
//! A car that sends its own messages, is seen by a roadside unit and takes part in a fleet stands in
//! three views. Within one view two stays are two cars. Across views two stays are one car where
//! they were never farther apart than the gate at the times both were there; of several candidates
//! the nearest wins (global nearest neighbour, Blackman and Popoli 1999, section 6.4, solved
//! greedily). The result does not depend on the order of the input, which is sorted.

use super::super::stay::Stay;
use super::super::sums::SegmentSums;

/// Most stays of a segment that are compared pairwise in a minute: 1000 m of six lanes of standing
/// cars in two views. Beyond, none are associated, and the segment is counted.
const STAYS_MAX: usize = 1_600;

/// The cars of one segment.
pub(super) struct Association {
    /// What all cars together did, each counted once.
    pub(super) sums: SegmentSums,
    /// Stays that told of a car already told.
    pub(super) doubles: u64,
    pub(super) is_too_crowded: bool,
}

struct Pair {
    mean_square_dm2: u64,
    one: u32,
    other: u32,
}

impl Association {
    /// Associates the stays of one segment, sorted.
    pub(super) fn of(stays: &[Stay], gate_m: f32) -> Self {
        let is_too_crowded = stays.len() > STAYS_MAX;
        let is_single = stays.windows(2).all(|pair| pair[0].view == pair[1].view);
        let mut car_of: Vec<u32> = (0..stays.len() as u32).collect();
        if !is_too_crowded && !is_single {
            for pair in pairs(stays, (gate_m * 10.0) as u32) {
                join(stays, &mut car_of, pair.one, pair.other);
            }
        }
        let mut association = Self {
            sums: SegmentSums::default(),
            doubles: 0,
            is_too_crowded,
        };
        let mut car: Vec<&Stay> = Vec::new();
        for first in 0..stays.len() {
            if car_of[first] != first as u32 {
                continue;
            }
            car.clear();
            let members = car_of.iter().zip(stays);
            car.extend(
                members
                    .filter(|(of, _)| **of == first as u32)
                    .map(|(_, stay)| stay),
            );
            association.doubles += car.len() as u64 - 1;
            association.sums.merge(&together(&mut car));
        }
        association
    }
}

/// Every pair of stays in different views that may be one car, nearest first.
fn pairs(stays: &[Stay], gate_dm: u32) -> Vec<Pair> {
    let mut pairs = Vec::new();
    for (index, one) in stays.iter().enumerate() {
        for (offset, other) in stays[index + 1..].iter().enumerate() {
            if one.view == other.view {
                continue;
            }
            let Some(apart) = one.trace.apart(&other.trace) else {
                continue;
            };
            if apart.greatest_dm <= gate_dm {
                pairs.push(Pair {
                    mean_square_dm2: apart.squares / u64::from(apart.compared),
                    one: index as u32,
                    other: (index + 1 + offset) as u32,
                });
            }
        }
    }
    pairs.sort_unstable_by_key(|pair| (pair.mean_square_dm2, pair.one, pair.other));
    pairs
}

/// Makes one car of two, unless a view would then have it twice.
fn join(stays: &[Stay], car_of: &mut [u32], one: u32, other: u32) {
    let (keep, drop) = (car_of[one as usize], car_of[other as usize]);
    let (keep, drop) = (keep.min(drop), keep.max(drop));
    if keep == drop {
        return;
    }
    let members = |car: u32| {
        (0..stays.len())
            .filter(|&index| car_of[index] == car)
            .map(|index| stays[index].view)
            .collect::<Vec<_>>()
    };
    let (mine, theirs) = (members(keep), members(drop));
    if mine.iter().any(|view| theirs.contains(view)) {
        return;
    }
    for car in car_of.iter_mut().filter(|car| **car == drop) {
        *car = keep;
    }
}

/// What one car did, told by `stays`: the one that saw most of it, and of the others what they saw
/// while it did not.
fn together(stays: &mut [&Stay]) -> SegmentSums {
    if let [only] = stays {
        return only.sums();
    }
    stays.sort_by(|one, other| (other.time_ms, one).cmp(&(one.time_ms, other)));
    let mut sums = SegmentSums::default();
    let mut seen: Vec<(u16, u16)> = Vec::new();
    for stay in stays.iter() {
        let new = stay.sums();
        let Some((from, until)) = stay.trace.span_ms() else {
            continue;
        };
        let span = u64::from(until - from).max(1);
        let known: u64 = seen
            .iter()
            .map(|&(a, b)| u64::from(until.min(b).saturating_sub(from.max(a))))
            .sum();
        let left = span.saturating_sub(known.min(span));
        let share = |whole: u64| whole * left / span;
        sums.distance_mm += share(new.distance_mm);
        sums.time_ms += share(new.time_ms);
        sums.standing_ms += share(new.standing_ms);
        sums.queue_mm = sums.queue_mm.max(new.queue_mm);
        if sums.pass_count == 0 {
            (sums.pass_ms, sums.pass_count) = (new.pass_ms, new.pass_count);
            sums.squared_pass_ms2 = new.squared_pass_ms2;
        }
        add_span(&mut seen, (from, until));
    }
    sums.squared_time_ms2 = sums.time_ms * sums.time_ms;
    sums.vehicle_count = u32::from(sums.time_ms > 0 || sums.distance_mm > 0);
    sums
}

/// Adds a span of time to some that do not overlap, keeping them so.
fn add_span(spans: &mut Vec<(u16, u16)>, (mut from, mut until): (u16, u16)) {
    spans.retain(|&(a, b)| {
        let is_apart = b < from || a > until;
        if !is_apart {
            (from, until) = (from.min(a), until.max(b));
        }
        is_apart
    });
    spans.push((from, until));
}
