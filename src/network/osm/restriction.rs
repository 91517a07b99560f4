//! Reads turn restrictions (OSM wiki, Relation:restriction).
//!
//! A restriction binds cars unless it names other vehicles (`restriction:hgv`) or excepts cars.
//! What holds at certain times or not for everybody becomes a turn that is possible but avoided.

use super::conditional::{Holds, clauses};
use super::pbf::{Member, MemberKind};
use super::tags::Tags;
use crate::network::report::{ImportReport, Omission};

/// A turn restriction that binds cars.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Restriction {
    /// OSM way ids.
    pub(super) from: Vec<i64>,
    pub(super) via: Via,
    pub(super) to: Vec<i64>,
    pub(super) is_only: bool,
    pub(super) is_u_turn: bool,
    /// At certain times, or not for everybody.
    pub(super) is_timed: bool,
}

/// What a restricted turn leads over.
#[derive(Clone, Debug, PartialEq)]
pub(super) enum Via {
    /// An OSM node id.
    Node(i64),
    /// OSM way ids, in the order driven.
    Ways(Vec<i64>),
}

/// Reads a relation; `None` for those that are no restriction and for what the report then counts.
pub(super) fn restriction(
    tags: &Tags<'_>,
    members: &[Member<'_>],
    report: &mut ImportReport,
) -> Option<Restriction> {
    let kind = tags.get("type")?;
    let mode = match kind.split_once(':') {
        None if kind == "restriction" => None,
        Some(("restriction", mode)) => Some(mode),
        _ => return None,
    };
    report.restrictions_read += 1;
    let read = said(tags, mode).and_then(|said| shape(said, members));
    read.map_err(|cause| report.omit(cause)).ok()
}

/// What a restriction's tags say to cars.
#[derive(Clone, Copy, Debug)]
struct Said<'a> {
    kind: &'a str,
    is_timed: bool,
}

/// The modes that bind cars, the most particular first.
const MODES: [&str; 4] = [":motorcar", ":motor_vehicle", ":vehicle", ""];

fn said<'a>(tags: &Tags<'a>, mode: Option<&str>) -> Result<Said<'a>, Omission> {
    if mode.is_some_and(|mode| !MODES[..3].iter().any(|known| known[1..] == *mode)) {
        return Err(Omission::RestrictionVehicle);
    }
    let excepted = tags.get("except").unwrap_or_default();
    let mut excepted = excepted.split(';').map(str::trim);
    if excepted
        .clone()
        .any(|mode| matches!(mode, "motorcar" | "motor_vehicle" | "vehicle"))
    {
        return Err(Omission::RestrictionVehicle);
    }
    let spares_some = excepted.any(|mode| matches!(mode, "destination" | "delivery" | "residents"));
    let has_hours = ["day_on", "day_off", "hour_on", "hour_off"]
        .iter()
        .any(|key| tags.get(key).is_some());
    let plain = MODES
        .iter()
        .find_map(|mode| tags.get(&format!("restriction{mode}")));
    let conditional = MODES
        .iter()
        .find_map(|mode| tags.get(&format!("restriction{mode}:conditional")));
    if let Some(kind) = plain {
        // With a condition beside it, it has exceptions.
        let is_timed = has_hours || spares_some || conditional.is_some();
        return Ok(Said { kind, is_timed });
    }
    let Some(conditional) = conditional else {
        let names_others = tags
            .0
            .iter()
            .any(|(key, _)| key.starts_with("restriction:"));
        return Err(if names_others {
            Omission::RestrictionVehicle
        } else {
            Omission::RestrictionShape
        });
    };
    let mut for_cars = clauses(conditional).filter(|(_, holds)| *holds != Holds::Never);
    let (kind, holds) = for_cars.next().ok_or(Omission::RestrictionVehicle)?;
    Ok(Said {
        kind,
        is_timed: has_hours || spares_some || holds == Holds::Sometimes,
    })
}

fn shape(said: Said<'_>, members: &[Member<'_>]) -> Result<Restriction, Omission> {
    let Some((is_only, turn)) = said
        .kind
        .strip_prefix("only_")
        .map(|turn| (true, turn))
        .or_else(|| Some((false, said.kind.strip_prefix("no_")?)))
    else {
        return Err(Omission::RestrictionKind);
    };
    // Turns on red and the like forbid no turn.
    let turns = [
        "left_turn",
        "right_turn",
        "straight_on",
        "u_turn",
        "entry",
        "exit",
    ];
    if !turns.contains(&turn) {
        return Err(Omission::RestrictionKind);
    }
    let (mut from, mut to) = (Vec::new(), Vec::new());
    let (mut via_nodes, mut via_ways) = (Vec::new(), Vec::new());
    for member in members {
        match (member.role, member.kind) {
            ("from", MemberKind::Way) => from.push(member.id),
            ("to", MemberKind::Way) => to.push(member.id),
            ("via", MemberKind::Node) => via_nodes.push(member.id),
            ("via", MemberKind::Way) => via_ways.push(member.id),
            ("via" | "from" | "to", _) => return Err(Omission::RestrictionShape),
            _ => {}
        }
    }
    let via = match (via_nodes.as_slice(), via_ways.is_empty()) {
        ([node], true) => Via::Node(*node),
        ([], false) => Via::Ways(via_ways),
        _ => return Err(Omission::RestrictionShape),
    };
    if from.is_empty() || to.is_empty() {
        return Err(Omission::RestrictionShape);
    }
    Ok(Restriction {
        from,
        via,
        to,
        is_only,
        is_u_turn: turn == "u_turn",
        is_timed: said.is_timed,
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::report::NetworkFormat;

    const MEMBERS: [(&str, MemberKind, i64); 3] = [
        ("from", MemberKind::Way, 1),
        ("via", MemberKind::Node, 2),
        ("to", MemberKind::Way, 3),
    ];

    fn read(
        tags: &[(&'static str, &'static str)],
        members: &[(&'static str, MemberKind, i64)],
    ) -> Result<Restriction, Omission> {
        let members: Vec<Member<'_>> = members
            .iter()
            .map(|&(role, kind, id)| Member { kind, id, role })
            .collect();
        let mut report = ImportReport::new(NetworkFormat::Osm);
        let all = [&[("type", "restriction")], tags].concat();
        let read = restriction(&Tags(all), &members, &mut report);
        assert_eq!(report.restrictions_read, 1);
        read.ok_or_else(|| report.omissions().next().unwrap().0)
    }

    #[test]
    fn binds_cars_or_says_why_not() {
        use Omission::{RestrictionKind, RestrictionShape, RestrictionVehicle};
        let timed = |tags: &[(&'static str, &'static str)]| {
            read(tags, &MEMBERS).map(|read| (read.is_only, read.is_timed))
        };
        for (tags, expected) in [
            (&[("restriction", "no_left_turn")][..], Ok((false, false))),
            (&[("restriction", "only_straight_on")], Ok((true, false))),
            (
                &[("restriction:motorcar", "no_left_turn")],
                Ok((false, false)),
            ),
            (
                &[("restriction:hgv", "no_left_turn")],
                Err(RestrictionVehicle),
            ),
            (
                &[("restriction", "no_left_turn"), ("except", "psv;bicycle")],
                Ok((false, false)),
            ),
            (
                &[("restriction", "no_left_turn"), ("except", "psv; motorcar")],
                Err(RestrictionVehicle),
            ),
            (
                &[("restriction", "no_entry"), ("except", "psv;destination")],
                Ok((false, true)),
            ),
            (
                &[(
                    "restriction:conditional",
                    "no_left_turn @ (Mo-Fr 07:00-09:00)",
                )],
                Ok((false, true)),
            ),
            (
                &[("restriction:conditional", "no_left_turn @ (weight>7.5)")],
                Err(RestrictionVehicle),
            ),
            (
                &[(
                    "restriction:hgv:conditional",
                    "no_left_turn @ (22:00-06:00)",
                )],
                Err(RestrictionVehicle),
            ),
            (
                &[("restriction", "no_u_turn"), ("hour_on", "07:00")],
                Ok((false, true)),
            ),
            (
                &[("restriction", "no_right_turn_on_red")],
                Err(RestrictionKind),
            ),
            (&[("restriction", "give_way")], Err(RestrictionKind)),
            (&[], Err(RestrictionShape)),
        ] {
            assert_eq!(timed(tags), expected, "{tags:?}");
        }
    }

    #[test]
    fn needs_from_via_and_to() {
        use MemberKind::{Node, Relation, Way};
        let tags = [("restriction", "no_u_turn")];
        let over_ways = read(
            &tags,
            &[
                ("from", Way, 1),
                ("via", Way, 5),
                ("via", Way, 6),
                ("to", Way, 3),
            ],
        );
        assert_eq!(over_ways.unwrap().via, Via::Ways(vec![5, 6]));
        for members in [
            &[][..],
            &[("from", Way, 1), ("to", Way, 3)],
            &[("from", Way, 1), ("via", Node, 2)],
            &[
                ("from", Way, 1),
                ("via", Node, 2),
                ("via", Way, 5),
                ("to", Way, 3),
            ],
            &[
                ("from", Way, 1),
                ("via", Node, 2),
                ("via", Node, 4),
                ("to", Way, 3),
            ],
            &[("from", Relation, 1), ("via", Node, 2), ("to", Way, 3)],
        ] {
            assert_eq!(
                read(&tags, members),
                Err(Omission::RestrictionShape),
                "{members:?}"
            );
        }
    }
}
