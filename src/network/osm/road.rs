//! What the tags of an OSM way say about driving on it (OSM wiki, Key:oneway, Key:lanes,
//! Key:layer, Key:name).

use super::access::{self, Access};
use super::conditional::{Holds, clauses};
use super::limits::{Country, Setting};
use super::speed::{LimitSource, is_urban, limit_mps};
use super::tags::Tags;
use crate::network::model::{RoadClass, SegmentFlags};
use crate::network::report::{Assumption, ImportReport, Omission};
use crate::network::tags::{HighwayClass, highway_class};

/// Driving along or against the digitised order of a way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Direction {
    /// Who may drive here, as flags.
    pub(super) access: SegmentFlags,
    pub(super) lanes: Option<u8>,
    pub(super) limit_mps: Option<f32>,
    pub(super) limit_source: LimitSource,
}

/// One drivable way.
#[derive(Clone, Debug, PartialEq)]
pub(super) struct Road {
    pub(super) class: RoadClass,
    pub(super) flags: SegmentFlags,
    pub(super) layer: i8,
    /// Along the digitised order, and against it.
    pub(super) along: Option<Direction>,
    pub(super) against: Option<Direction>,
    pub(super) name: Option<String>,
    pub(super) name_en: Option<String>,
    /// What was assumed of it.
    pub(super) assumptions: Vec<Assumption>,
}

impl Road {
    /// Counts what was assumed of a road that is kept.
    pub(super) fn count(&self, report: &mut ImportReport) {
        for &assumption in &self.assumptions {
            report.assume(assumption);
        }
        let sides = [self.along, self.against];
        if sides
            .iter()
            .flatten()
            .any(|side| side.limit_source == LimitSource::Law)
        {
            report.assume(Assumption::LimitByLaw);
        }
        if sides
            .iter()
            .flatten()
            .any(|side| side.limit_source == LimitSource::Class)
        {
            report.assume(Assumption::LimitByClass);
        }
        let with = |flag| {
            sides
                .iter()
                .flatten()
                .any(|side| side.access.contains(flag))
        };
        for (flag, assumption) in [
            (SegmentFlags::PRIVATE, Assumption::PrivateRoad),
            (SegmentFlags::DESTINATION, Assumption::DestinationRoad),
        ] {
            if with(flag) {
                report.assume(assumption);
            }
        }
    }
}

/// Reads the tags of a way that has a `highway` tag, or says why it is left out.
pub(super) fn road(tags: &Tags<'_>, country: Option<&'static Country>) -> Result<Road, Omission> {
    let highway = class_of(tags)?;
    let mut assumptions = Vec::new();
    let is_roundabout = tags.is_any(&["junction"], &["roundabout", "circular"]);
    let oneway = Oneway::read(tags, highway, is_roundabout, &mut assumptions);
    let (along, against) = oneway.open();
    // A bus lane against the traffic of a one-way street.
    let contraflow = tags.is_any(&["oneway:bus", "oneway:psv"], &["no"])
        || tags.is_any(
            &["busway", "busway:left", "busway:right"],
            &["opposite_lane"],
        );
    let lanes = Lanes::read(tags, along && against);
    let setting = Setting {
        class: highway.class,
        is_urban: is_urban(tags),
        is_living_street: tags.get("highway") == Some("living_street"),
        is_link: highway.is_link,
        is_motorroad: tags.get("motorroad") == Some("yes"),
        is_unmarked: tags.get("lane_markings") == Some("no")
            || along && against && lanes.total == Some(1),
    };
    let side = |suffix: &str, is_open: bool, lanes: Option<u8>| {
        let access = access_flags(tags, suffix, highway.is_busway)?;
        if !is_open && !contraflow {
            return None;
        }
        let (limit_mps, limit_source) = limit_mps(tags, suffix, setting, country);
        Some(Direction {
            access: if is_open {
                access.with(SegmentFlags::RESTRICTED, oneway == Oneway::Reversible)
            } else {
                SegmentFlags::RESTRICTED
            },
            lanes: if is_open { lanes } else { Some(1) },
            limit_mps,
            limit_source,
        })
    };
    let (along, against) = (
        side(":forward", along, lanes.along),
        side(":backward", against, lanes.against),
    );
    if along.is_none() && against.is_none() {
        return Err(Omission::NoAccess);
    }
    note_conditions(tags, &mut assumptions);
    let text = |keys: &[&str]| {
        let mut said = keys.iter().filter_map(|key| tags.get(key)).map(str::trim);
        said.find(|text| !text.is_empty()).map(str::to_owned)
    };
    Ok(Road {
        class: highway.class,
        flags: SegmentFlags::default()
            .with(SegmentFlags::LINK, highway.is_link)
            .with(SegmentFlags::BRIDGE, tags.is_set("bridge"))
            .with(SegmentFlags::TUNNEL, tags.is_set("tunnel"))
            .with(SegmentFlags::ROUNDABOUT, is_roundabout),
        layer: layer(tags),
        along,
        against,
        name: text(&[
            "name",
            "name:zh",
            "name:zh-Hans",
            "official_name",
            "loc_name",
            "ref",
        ]),
        name_en: text(&[
            "name:en",
            "int_name",
            "name:latin",
            "name:zh_pinyin",
            "int_ref",
        ]),
        assumptions,
    })
}

/// The class of a way; paths that let cars in by name are drivable too.
fn class_of(tags: &Tags<'_>) -> Result<HighwayClass, Omission> {
    let value = tags.get("highway").unwrap_or_default();
    let class = match value {
        "pedestrian" | "footway" | "cycleway" | "path" if access::admits_cars_by_name(tags) => {
            highway_class("service")
        }
        "services" | "rest_area" => Err(Omission::Area),
        _ => highway_class(value),
    }?;
    if tags.get("area") == Some("yes") {
        return Err(Omission::Area);
    }
    Ok(class)
}

/// Who may drive along (or against) a way, as flags; `None` for nobody.
fn access_flags(tags: &Tags<'_>, suffix: &str, is_busway: bool) -> Option<SegmentFlags> {
    let service = match tags.get("service") {
        Some("parking_aisle" | "driveway" | "drive-through") => Access::Destination,
        Some("emergency_access") => Access::Private,
        Some("bus" | "busbay") => Access::Restricted,
        _ if is_busway => Access::Restricted,
        _ => Access::Open,
    };
    let flags = SegmentFlags::default();
    match access::of_way(tags, suffix).max(service) {
        Access::Open => Some(flags),
        Access::Destination => Some(SegmentFlags::DESTINATION),
        Access::Private => Some(SegmentFlags::PRIVATE),
        Access::Restricted => Some(SegmentFlags::RESTRICTED),
        Access::Closed => None,
    }
}

/// Which ways a road is driven.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum Oneway {
    Both,
    Along,
    Against,
    /// One or the other, by the hour.
    Reversible,
}

impl Oneway {
    fn read(
        tags: &Tags<'_>,
        highway: HighwayClass,
        is_roundabout: bool,
        assumptions: &mut Vec<Assumption>,
    ) -> Self {
        let keys = [
            "oneway:motorcar",
            "oneway:motor_vehicle",
            "oneway:vehicle",
            "oneway",
        ];
        match tags.first(&keys) {
            Some("yes" | "true" | "1") => return Self::Along,
            Some("-1" | "reverse") => return Self::Against,
            Some("reversible") => {
                assumptions.push(Assumption::ReversibleRoad);
                return Self::Reversible;
            }
            // Alternating: both directions in turn, within minutes.
            Some("no" | "false" | "0" | "alternating") => return Self::Both,
            Some(_) => assumptions.push(Assumption::UnknownOneway),
            None => {}
        }
        if highway.class == RoadClass::Motorway && highway.is_link {
            assumptions.push(Assumption::OnewayLink);
        }
        if highway.class == RoadClass::Motorway || is_roundabout {
            Self::Along
        } else {
            Self::Both
        }
    }

    /// Whether cars drive along and against the digitised order.
    fn open(self) -> (bool, bool) {
        match self {
            Self::Both | Self::Reversible => (true, true),
            Self::Along => (true, false),
            Self::Against => (false, true),
        }
    }
}

/// Counts what holds at certain times only: the network keeps what holds otherwise.
fn note_conditions(tags: &Tags<'_>, assumptions: &mut Vec<Assumption>) {
    if access::is_timed(tags) {
        assumptions.push(Assumption::TimedAccess);
    }
    for (keys, assumption) in [
        (
            &[
                "maxspeed:conditional",
                "maxspeed:forward:conditional",
                "maxspeed:backward:conditional",
                "maxspeed:variable",
            ][..],
            Assumption::TimedLimit,
        ),
        (
            &["oneway:conditional", "oneway:motor_vehicle:conditional"],
            Assumption::TimedOneway,
        ),
        (&["lanes:conditional"], Assumption::TimedLanes),
    ] {
        let is_timed = keys.iter().filter_map(|key| tags.get(key)).any(|text| {
            !text.contains('@') && text != "no"
                || clauses(text).any(|(_, holds)| holds == Holds::Sometimes)
        });
        if is_timed {
            assumptions.push(assumption);
        }
    }
}

/// Lanes along, against and in all (OSM wiki, Key:lanes).
struct Lanes {
    along: Option<u8>,
    against: Option<u8>,
    total: Option<u8>,
}

impl Lanes {
    /// Each direction's own tag, else what the other leaves of all, else a fair share; the lane
    /// for turning left from both sides belongs to neither.
    fn read(tags: &Tags<'_>, both: bool) -> Self {
        let number = |key: &str| {
            let first = tags.get(key)?.split(';').next()?.trim();
            let lanes = first.parse::<f32>().ok()?;
            (1.0..64.0).contains(&lanes).then_some(lanes as u8)
        };
        let marked = |key: &str| {
            let count = tags.get(key)?.split('|').count();
            u8::try_from(count).ok().filter(|&count| count < 64)
        };
        let total = number("lanes");
        let middle = number("lanes:both_ways").unwrap_or(0);
        let forward = number("lanes:forward").or_else(|| marked("turn:lanes:forward"));
        let backward = number("lanes:backward").or_else(|| marked("turn:lanes:backward"));
        if !both {
            let all = total.or_else(|| marked("turn:lanes"));
            return Self {
                along: forward.or(all),
                against: backward.or(all),
                total,
            };
        }
        let left_by = |other: Option<u8>| {
            let left = total?.saturating_sub(middle).saturating_sub(other?);
            Some(left.max(1))
        };
        let share = total.map(|total| (total.saturating_sub(middle) / 2).max(1));
        Self {
            along: forward.or_else(|| left_by(backward)).or(share),
            against: backward.or_else(|| left_by(forward)).or(share),
            total,
        }
    }
}

/// The stated layer, else one up on bridges and one down in tunnels (OSM wiki, Key:layer). A
/// passage through a building lies on the ground.
fn layer(tags: &Tags<'_>) -> i8 {
    let is_passage = tags.is_any(
        &["tunnel"],
        &["building_passage", "covered", "avalanche_protector"],
    );
    let implied = match (tags.is_set("bridge"), tags.is_set("tunnel") && !is_passage) {
        (true, _) => 1,
        (_, true) => -1,
        _ => 0,
    };
    tags.get("layer")
        .and_then(|text| text.trim().parse::<i8>().ok())
        .unwrap_or(implied)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn check(tags: &[(&'static str, &'static str)]) -> Result<Road, Omission> {
        road(&Tags(tags.to_vec()), None)
    }

    fn open(tags: &[(&'static str, &'static str)]) -> (bool, bool) {
        let road = check(tags).unwrap();
        (road.along.is_some(), road.against.is_some())
    }

    #[test]
    fn reads_directions() {
        assert_eq!(open(&[("highway", "primary")]), (true, true));
        assert_eq!(
            open(&[("highway", "primary"), ("oneway", "yes")]),
            (true, false)
        );
        assert_eq!(
            open(&[("highway", "primary"), ("oneway", "-1")]),
            (false, true)
        );
        assert_eq!(open(&[("highway", "motorway")]), (true, false));
        assert_eq!(
            open(&[("highway", "motorway_link"), ("oneway", "no")]),
            (true, true)
        );
        assert_eq!(
            open(&[("highway", "tertiary"), ("junction", "roundabout")]),
            (true, false)
        );
        let car = [
            ("highway", "primary"),
            ("oneway", "yes"),
            ("oneway:motorcar", "no"),
        ];
        assert_eq!(open(&car), (true, true));
        let backward = [("highway", "primary"), ("motor_vehicle:backward", "no")];
        assert_eq!(open(&backward), (true, false));
        let reversible = check(&[("highway", "primary"), ("oneway", "reversible")]).unwrap();
        let open = [reversible.along, reversible.against].map(|side| side.unwrap().access);
        assert_eq!(open, [SegmentFlags::RESTRICTED; 2]);
        assert_eq!(reversible.assumptions, [Assumption::ReversibleRoad]);
    }

    #[test]
    fn reads_access() {
        let closed = |tags: &[(&'static str, &'static str)]| check(tags).unwrap_err();
        assert_eq!(closed(&[("highway", "footway")]), Omission::NotForVehicles);
        assert_eq!(closed(&[("highway", "construction")]), Omission::NotARoad);
        assert_eq!(
            closed(&[("highway", "service"), ("access", "no")]),
            Omission::NoAccess
        );
        assert_eq!(closed(&[("highway", "services")]), Omission::Area);
        let access =
            |tags: &[(&'static str, &'static str)]| check(tags).unwrap().along.unwrap().access;
        let private = [("highway", "service"), ("access", "private")];
        assert_eq!(access(&private), SegmentFlags::PRIVATE);
        let aisle = [("highway", "service"), ("service", "parking_aisle")];
        assert_eq!(access(&aisle), SegmentFlags::DESTINATION);
        let zone = [("highway", "pedestrian"), ("motor_vehicle", "destination")];
        assert_eq!(access(&zone), SegmentFlags::DESTINATION);
        assert_eq!(
            open(&[
                ("highway", "service"),
                ("access", "no"),
                ("motorcar", "yes")
            ]),
            (true, true)
        );
        let bus = check(&[
            ("highway", "service"),
            ("access", "no"),
            ("bus", "yes"),
            ("oneway", "yes"),
        ]);
        assert!(
            bus.unwrap()
                .along
                .unwrap()
                .access
                .contains(SegmentFlags::RESTRICTED)
        );
        let contraflow = check(&[
            ("highway", "primary"),
            ("oneway", "yes"),
            ("oneway:bus", "no"),
        ])
        .unwrap();
        assert!(
            contraflow.along.unwrap().access == SegmentFlags::default()
                && contraflow.against.unwrap().access == SegmentFlags::RESTRICTED
        );
    }

    #[test]
    fn shares_lanes() {
        let lanes = |tags: &[(&'static str, &'static str)]| {
            let road = check(tags).unwrap();
            (
                road.along.and_then(|side| side.lanes),
                road.against.and_then(|side| side.lanes),
            )
        };
        assert_eq!(
            lanes(&[("highway", "primary"), ("lanes", "4")]),
            (Some(2), Some(2))
        );
        assert_eq!(
            lanes(&[("highway", "primary"), ("lanes", "3"), ("oneway", "yes")]),
            (Some(3), None)
        );
        let split = [
            ("highway", "primary"),
            ("lanes", "3"),
            ("lanes:forward", "2"),
            ("lanes:backward", "1"),
        ];
        assert_eq!(lanes(&split), (Some(2), Some(1)));
        assert_eq!(
            lanes(&[
                ("highway", "primary"),
                ("lanes", "3"),
                ("lanes:forward", "2")
            ]),
            (Some(2), Some(1))
        );
        assert_eq!(
            lanes(&[
                ("highway", "primary"),
                ("lanes", "5"),
                ("lanes:both_ways", "1")
            ]),
            (Some(2), Some(2))
        );
        let marked = [
            ("highway", "primary"),
            ("oneway", "yes"),
            ("turn:lanes", "left|through|"),
        ];
        assert_eq!(lanes(&marked), (Some(3), None));
        assert_eq!(
            lanes(&[("highway", "primary"), ("lanes", "many")]),
            (None, None)
        );
    }

    #[test]
    fn reads_layers_and_names() {
        let road = check(&[
            ("highway", "trunk_link"),
            ("bridge", "viaduct"),
            ("name", "二环线"),
            ("name:en", "2nd Ring Road"),
        ])
        .unwrap();
        assert_eq!(road.layer, 1);
        assert!(
            road.flags.contains(SegmentFlags::BRIDGE) && road.flags.contains(SegmentFlags::LINK)
        );
        assert_eq!(road.name.as_deref(), Some("二环线"));
        assert_eq!(road.name_en.as_deref(), Some("2nd Ring Road"));
        assert_eq!(
            check(&[("highway", "trunk"), ("tunnel", "yes")])
                .unwrap()
                .layer,
            -1
        );
        assert_eq!(
            check(&[("highway", "trunk"), ("layer", "2")])
                .unwrap()
                .layer,
            2
        );
    }
}
