//! Who may drive along a way or past a barrier (OSM wiki, Key:access, Key:barrier).
//!
//! The most particular key decides: `motorcar`, `motor_vehicle`, `vehicle`, `access`, each with
//! `:forward` or `:backward` before the plain one. What only some may use is kept and marked, so
//! that a vehicle on it is found there; routes don't lead through it.

use super::conditional::{Holds, clauses};
use super::tags::Tags;

/// Modes a car belongs to, the most particular first (OSM wiki, Key:access, transport mode
/// hierarchy).
pub(super) const CAR_MODES: [&str; 4] = ["motorcar", "motor_vehicle", "vehicle", "access"];

/// Who may drive somewhere, the most open first.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum Access {
    /// Every car.
    Open,
    /// Cars that begin or end their trip here.
    Destination,
    /// Cars of those with leave.
    Private,
    /// Buses or taxis alone.
    Restricted,
    /// No car, or those of the emergency services, farms and the like.
    Closed,
}

/// Who may drive along a way in one direction: `suffix` is `:forward` or `:backward`.
pub(super) fn of_way(tags: &Tags<'_>, suffix: &str) -> Access {
    let said = said(tags, suffix).map_or(Access::Open, |(_, value)| grade(value));
    match said {
        Access::Closed | Access::Restricted if admits_buses(tags) => Access::Restricted,
        // Open to cars at some hours: kept for those who then drive here.
        Access::Closed if opens_at_times(tags, suffix) => Access::Private,
        Access::Restricted => Access::Closed,
        said => said,
    }
}

/// Whether access depends on the time, or on who drives, in a way that a network without a clock
/// can't hold.
pub(super) fn is_timed(tags: &Tags<'_>) -> bool {
    CAR_MODES.iter().any(|mode| {
        ["", ":forward", ":backward"].iter().any(|suffix| {
            let value = tags.get(&format!("{mode}{suffix}:conditional"));
            value.is_some_and(|value| clauses(value).any(|(_, holds)| holds == Holds::Sometimes))
        })
    })
}

/// Whether cars, not merely vehicles of any kind, are let in by name.
pub(super) fn admits_cars_by_name(tags: &Tags<'_>) -> bool {
    tags.first(&["motorcar", "motor_vehicle"])
        .is_some_and(|value| {
            matches!(
                value,
                "yes" | "designated" | "permissive" | "destination" | "delivery" | "customers"
            )
        })
}

/// The mode and value that decide.
fn said<'a>(tags: &Tags<'a>, suffix: &str) -> Option<(&'static str, &'a str)> {
    CAR_MODES.iter().find_map(|&mode| {
        let value = tags.get(&format!("{mode}{suffix}"));
        Some((mode, value.or_else(|| tags.get(mode))?))
    })
}

fn admits_buses(tags: &Tags<'_>) -> bool {
    tags.is_any(
        &[
            "bus",
            "psv",
            "taxi",
            "tourist_bus",
            "access",
            "motor_vehicle",
        ],
        &["yes", "designated", "official", "bus", "psv", "taxi"],
    )
}

fn opens_at_times(tags: &Tags<'_>, suffix: &str) -> bool {
    CAR_MODES.iter().any(|mode| {
        let directed = tags.get(&format!("{mode}{suffix}:conditional"));
        let value = directed.or_else(|| tags.get(&format!("{mode}:conditional")));
        value.is_some_and(|value| {
            clauses(value).any(|(said, holds)| {
                holds != Holds::Never && grade(said) <= Access::Private && !said.is_empty()
            })
        })
    })
}

/// What an access value grants; of several (`agricultural;destination`) the most open counts.
/// Unknown words grant access, as an absent tag does.
fn grade(value: &str) -> Access {
    let one = |value: &str| match value.trim() {
        "destination" | "customers" | "customer" | "delivery" | "visitors" => Access::Destination,
        "private" | "permit" | "residents" | "resident" | "employees" | "students" | "key"
        | "restricted" | "members" => Access::Private,
        "bus" | "psv" | "taxi" => Access::Restricted,
        "no" | "agricultural" | "forestry" | "emergency" | "military" | "official" | "hgv"
        | "bicycle" | "foot" | "horse" | "use_sidepath" | "dismount" | "service" => Access::Closed,
        _ => Access::Open,
    };
    value.split(';').map(one).min().unwrap_or(Access::Open)
}

/// What a `barrier` node does to those who drive there.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub(super) enum Barrier {
    /// None, or one that cars pass: gates without a word on access stand open or open to those
    /// with leave, which the road behind says better.
    #[default]
    Open,
    /// Buses pass.
    Buses,
    /// Nobody passes.
    Closed,
}

/// What a node's tags do to those who drive there.
pub(super) fn of_node(tags: &Tags<'_>) -> Barrier {
    let Some(kind) = tags.get("barrier").filter(|&kind| kind != "no") else {
        return Barrier::Open;
    };
    let names_buses = tags.is_any(&["bus", "psv", "tourist_bus"], &["yes", "designated"]);
    let for_buses = if names_buses {
        Barrier::Buses
    } else {
        Barrier::Closed
    };
    if let Some((mode, value)) = said(tags, "") {
        // `access=yes` on a bollard is meant for those on foot.
        let is_for_cars = mode != "access" && mode != "vehicle" || !stops_cars(kind);
        match grade(value) {
            Access::Closed | Access::Restricted => return for_buses,
            _ if is_for_cars => return Barrier::Open,
            _ => {}
        }
    }
    let sinks = tags.is_any(&["bollard"], &["rising"]);
    match kind {
        "bus_trap" | "sump_buster" => Barrier::Buses,
        _ if stops_cars(kind) && !sinks => for_buses,
        _ => Barrier::Open,
    }
}

/// Kinds of barrier (OSM wiki, Key:barrier) that are too narrow or too solid for a car. Gates,
/// toll booths, border posts, cattle grids, height restrictors and unknown kinds are not.
fn stops_cars(kind: &str) -> bool {
    matches!(
        kind,
        "bollard"
            | "block"
            | "jersey_barrier"
            | "cycle_barrier"
            | "motorcycle_barrier"
            | "log"
            | "debris"
            | "chain"
            | "rope"
            | "planter"
            | "stile"
            | "turnstile"
            | "full-height_turnstile"
            | "kissing_gate"
            | "tank_trap"
            | "barrier_board"
            | "delineators"
    )
}

#[cfg(test)]
mod tests {
    use super::*;

    fn way(tags: &[(&'static str, &'static str)]) -> Access {
        of_way(&Tags(tags.to_vec()), ":forward")
    }

    #[test]
    fn the_most_particular_key_decides() {
        for (tags, expected) in [
            (&[][..], Access::Open),
            (&[("access", "private")], Access::Private),
            (&[("access", "no"), ("motorcar", "yes")], Access::Open),
            (
                &[("vehicle", "no"), ("motor_vehicle", "destination")],
                Access::Destination,
            ),
            (
                &[("motor_vehicle", "agricultural;forestry")],
                Access::Closed,
            ),
            (
                &[("motor_vehicle", "agricultural; destination")],
                Access::Destination,
            ),
            (&[("access", "no"), ("bus", "yes")], Access::Restricted),
            (&[("motor_vehicle", "psv")], Access::Restricted),
            (&[("motor_vehicle:forward", "no")], Access::Closed),
            (&[("motor_vehicle:backward", "no")], Access::Open),
            (
                &[("motorcar", "no"), ("access", "yes"), ("foot", "yes")],
                Access::Restricted,
            ),
            (&[("access", "permissive"), ("hgv", "no")], Access::Open),
            (
                &[
                    ("motor_vehicle", "no"),
                    ("motor_vehicle:conditional", "delivery @ (06:00-10:00)"),
                ],
                Access::Private,
            ),
            (
                &[
                    ("motor_vehicle", "no"),
                    ("motor_vehicle:conditional", "yes @ (weight>3.5)"),
                ],
                Access::Closed,
            ),
        ] {
            assert_eq!(way(tags), expected, "{tags:?}");
        }
    }

    #[test]
    fn barriers_stop_those_they_are_made_for() {
        for (tags, expected) in [
            (&[][..], Barrier::Open),
            (&[("barrier", "bollard")], Barrier::Closed),
            (
                &[("barrier", "bollard"), ("bollard", "rising")],
                Barrier::Open,
            ),
            (
                &[("barrier", "bollard"), ("access", "yes")],
                Barrier::Closed,
            ),
            (
                &[("barrier", "bollard"), ("motor_vehicle", "private")],
                Barrier::Open,
            ),
            (&[("barrier", "bollard"), ("bus", "yes")], Barrier::Buses),
            (&[("barrier", "bus_trap")], Barrier::Buses),
            (&[("barrier", "gate")], Barrier::Open),
            (&[("barrier", "gate"), ("access", "private")], Barrier::Open),
            (
                &[("barrier", "lift_gate"), ("access", "no")],
                Barrier::Closed,
            ),
            (
                &[("barrier", "lift_gate"), ("motor_vehicle", "forestry")],
                Barrier::Closed,
            ),
            (
                &[("barrier", "lift_gate"), ("access", "no"), ("psv", "yes")],
                Barrier::Buses,
            ),
            (&[("barrier", "toll_booth")], Barrier::Open),
            (&[("barrier", "border_control")], Barrier::Open),
            (&[("barrier", "cattle_grid")], Barrier::Open),
        ] {
            assert_eq!(of_node(&Tags(tags.to_vec())), expected, "{tags:?}");
        }
    }
}
