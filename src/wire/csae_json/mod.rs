//! Messages of T/CSAE 53 written as JSON, as Huawei DRIS and OpenV2X do.
//!
//! Members have the names and steps of the standard, in either case style. A coordinate that is a
//! JSON integer is in 1e-7 degree, one with a fraction in degrees: senders use both, and the two
//! cannot be confused.

mod down;
mod infrastructure;
mod map;
mod road_users;

pub use down::DownEvent;
pub(super) use down::{Coordinates, rsi_value, spat_value};
pub(super) use infrastructure::{roadside_information, signals};
pub(super) use map::junctions;
pub(super) use road_users::{bsm, rsm};

use std::sync::Arc;

use crate::observation::RejectReason;
use crate::units::{Position, Timestamp};

use super::csae::{nearest_minute, validity};
use super::gather::Record;
use super::tree::Node;

/// Minutes of a year, leap day included; the value says that the time is not known.
const MINUTE_OF_THE_YEAR_UNKNOWN: u64 = 527_040;

/// One coordinate in degrees; `unknown` is the value for none in steps.
fn coordinate_deg(node: Node<'_>, unknown: f64) -> Record<f64> {
    let value = node.as_number()?;
    if node.has_fraction() {
        return Ok(value);
    }
    if (value - unknown).abs() < 0.5 {
        return Err(RejectReason::MissingField);
    }
    Ok(value / 1e7)
}

/// A position of members `lat` and `lon` (or `long`).
pub(super) fn position(node: Node<'_>) -> Record<Position> {
    let lat_deg = coordinate_deg(node.need("lat")?, 900_000_001.0)?;
    let lon = node.get("lon").or_else(|| node.get("long"));
    let lon_deg = coordinate_deg(lon.ok_or(RejectReason::MissingField)?, 1_800_000_001.0)?;
    let position = Position::new(lon_deg, lat_deg);
    if position.is_valid() {
        Ok(position)
    } else {
        Err(RejectReason::OutOfRange)
    }
}

/// The position in member `name`, if it is there.
fn optional_position(node: Node<'_>, name: &str) -> Record<Option<Position>> {
    node.get(name).map(position).transpose()
}

/// `region-id` of a junction id `{"region":1,"id":301}`.
fn junction_id(node: Node<'_>) -> Record<Arc<str>> {
    if !node.is_object() {
        return node.as_text();
    }
    let (region, id) = (node.whole("region")?.unwrap_or(0), node.need_whole("id")?);
    Ok(format!("{region}-{id}").into())
}

/// The start of a minute that a message states: of the UTC year up to 527039, since the epoch beyond
/// (both are met in the field); `None` for the value that says unknown.
fn stated_minute(count: u64, near: Timestamp) -> Option<Timestamp> {
    match u32::try_from(count) {
        Ok(count) if u64::from(count) <= MINUTE_OF_THE_YEAR_UNKNOWN => nearest_minute(count, near),
        _ => minute_since_epoch(count),
    }
}

fn minute_since_epoch(count: u64) -> Option<Timestamp> {
    let count_ms = i64::try_from(count).ok()?.checked_mul(60_000)?;
    Some(Timestamp::from_millis(count_ms))
}

/// From when and until when something holds, by two counts of minutes like those of
/// [`stated_minute`].
fn holds(
    start: Option<u64>,
    end: Option<u64>,
    near: Timestamp,
) -> (Option<Timestamp>, Option<Timestamp>) {
    let of_year = |count: Option<u64>| {
        let count = count.filter(|count| *count <= MINUTE_OF_THE_YEAR_UNKNOWN)?;
        u32::try_from(count).ok()
    };
    let absolute = |count: Option<u64>| {
        minute_since_epoch(count.filter(|count| *count > MINUTE_OF_THE_YEAR_UNKNOWN)?)
    };
    let (from, until) = validity(of_year(start), of_year(end), near);
    (absolute(start).or(from), absolute(end).or(until))
}
