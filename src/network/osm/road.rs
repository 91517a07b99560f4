//! What the tags of an OSM way say about driving on it (OSM wiki, Key:access, Key:oneway,
//! Key:lanes, Key:maxspeed).

use crate::network::model::{RoadClass, SegmentFlags};
use crate::network::report::Omission;
use crate::network::tags::highway_class;

/// The tags of one element.
pub(super) struct Tags<'a>(pub(super) Vec<(&'a str, &'a str)>);

impl<'a> Tags<'a> {
    pub(super) fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .iter()
            .find(|(name, _)| *name == key)
            .map(|&(_, value)| value)
    }

    fn is_any(&self, keys: &[&str], values: &[&str]) -> bool {
        keys.iter()
            .filter_map(|key| self.get(key))
            .any(|value| values.contains(&value))
    }

    fn is_set(&self, key: &str) -> bool {
        self.get(key).is_some_and(|value| value != "no")
    }
}

/// Driving along or against the digitised order of a way.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Direction {
    /// Open to buses or taxis alone.
    pub(super) is_restricted: bool,
    pub(super) lanes: Option<u8>,
    pub(super) limit_mps: Option<f32>,
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
}

/// Reads the tags of a way that has a `highway` tag, or says why it is left out.
pub(super) fn road(tags: &Tags<'_>) -> Result<Road, Omission> {
    let highway = highway_class(tags.get("highway").unwrap_or_default())?;
    if tags.get("area") == Some("yes") {
        return Err(Omission::NotARoad);
    }
    let is_restricted = match access(tags) {
        Access::Open => highway.is_busway,
        Access::Restricted => true,
        Access::Closed => return Err(Omission::NoAccess),
    };
    let is_roundabout = tags.is_any(&["junction"], &["roundabout", "circular"]);
    let (along, against) = directions(tags, highway.class == RoadClass::Motorway || is_roundabout)?;
    let both = along && against;
    let direction = |suffix: &str, is_open: bool, is_contraflow: bool| {
        (is_open || is_contraflow).then(|| Direction {
            is_restricted: is_restricted || !is_open,
            lanes: if is_open {
                lanes(tags, suffix, both)
            } else {
                Some(1)
            },
            limit_mps: limit_mps(tags, suffix),
        })
    };
    // A bus lane against the traffic of a one-way street.
    let contraflow = tags.is_any(&["oneway:bus", "oneway:psv"], &["no"])
        || tags.is_any(
            &["busway", "busway:left", "busway:right"],
            &["opposite_lane"],
        );
    let flags = SegmentFlags::default()
        .with(SegmentFlags::LINK, highway.is_link)
        .with(SegmentFlags::BRIDGE, tags.is_set("bridge"))
        .with(SegmentFlags::TUNNEL, tags.is_set("tunnel"))
        .with(SegmentFlags::ROUNDABOUT, is_roundabout);
    let text = |keys: [&str; 3]| {
        let first = keys.iter().find_map(|key| tags.get(key));
        first.filter(|text| !text.is_empty()).map(str::to_owned)
    };
    Ok(Road {
        class: highway.class,
        flags,
        layer: layer(tags),
        along: direction(":forward", along, contraflow),
        against: direction(":backward", against, contraflow),
        name: text(["name", "name:zh", "ref"]),
        name_en: text(["name:en", "int_name", "name:latin"]),
    })
}

enum Access {
    Open,
    Restricted,
    Closed,
}

const DENIED: [&str; 9] = [
    "no",
    "private",
    "agricultural",
    "forestry",
    "emergency",
    "military",
    "bus",
    "psv",
    "official",
];

/// The most particular key decides (OSM wiki, Key:access, transport mode hierarchy).
fn access(tags: &Tags<'_>) -> Access {
    let said = ["motorcar", "motor_vehicle", "vehicle", "access"]
        .iter()
        .find_map(|key| tags.get(key));
    if said.is_none_or(|value| !DENIED.contains(&value)) {
        return Access::Open;
    }
    let public = ["bus", "psv", "taxi", "tourist_bus", "access"];
    if tags.is_any(&public, &["yes", "designated", "official", "bus", "psv"]) {
        Access::Restricted
    } else {
        Access::Closed
    }
}

/// Whether cars drive along and against the digitised order.
fn directions(tags: &Tags<'_>, is_implied_oneway: bool) -> Result<(bool, bool), Omission> {
    let said = ["oneway:motorcar", "oneway:motor_vehicle", "oneway"]
        .iter()
        .find_map(|key| tags.get(key));
    match said {
        Some("yes" | "true" | "1") => Ok((true, false)),
        Some("-1" | "reverse") => Ok((false, true)),
        Some("reversible") => Err(Omission::Reversible),
        Some("no" | "false" | "0" | "alternating") => Ok((true, true)),
        _ => Ok((true, !is_implied_oneway)),
    }
}

/// Lanes in the direction of `suffix`: its own tag, else a fair share of all.
fn lanes(tags: &Tags<'_>, suffix: &str, both: bool) -> Option<u8> {
    let read = |key: &str| {
        let first = tags.get(key)?.split(';').next()?.trim();
        let lanes = first
            .parse::<f32>()
            .ok()
            .filter(|&lanes| (1.0..64.0).contains(&lanes))?;
        Some(lanes as u8)
    };
    read(&format!("lanes{suffix}")).or_else(|| {
        let share = if both { 2 } else { 1 };
        read("lanes").map(|lanes| (lanes / share).max(1))
    })
}

fn limit_mps(tags: &Tags<'_>, suffix: &str) -> Option<f32> {
    let said = tags
        .get(&format!("maxspeed{suffix}"))
        .or_else(|| tags.get("maxspeed"))
        .or_else(|| tags.get("maxspeed:type"))?;
    speed_mps(said)
}

/// Reads a `maxspeed`: a number in km/h or with its unit, or a place like `CN:urban`. The limits
/// of places are those of the Chinese Road Traffic Safety Law regulations, art. 45 and 78, which
/// most countries come near.
pub(super) fn speed_mps(text: &str) -> Option<f32> {
    let text = text.trim();
    let zone = text.split_once(':').map_or(text, |(_, zone)| zone);
    let kmh = match zone {
        "walk" => 7.0,
        "living_street" => 20.0,
        "urban" => 50.0,
        "rural" => 70.0,
        "trunk" => 100.0,
        "motorway" => 120.0,
        _ => {
            let number = zone
                .strip_prefix("zone")
                .unwrap_or(zone)
                .trim_start_matches(':');
            let first = number
                .split([';', '|', ','])
                .next()
                .unwrap_or_default()
                .trim();
            let digits = first.trim_end_matches(|c: char| !c.is_ascii_digit());
            let value = digits.parse::<f32>().ok()?;
            let unit_kmh = match first[digits.len()..].trim() {
                "" | "km/h" | "kmh" | "kph" => 1.0,
                "mph" => 1.609_344,
                "knots" => 1.852,
                _ => return None,
            };
            value * unit_kmh
        }
    };
    Some(kmh / 3.6).filter(|limit| (1.0..=70.0).contains(limit))
}

/// The stated layer, else one up on bridges and one down in tunnels (OSM wiki, Key:layer).
fn layer(tags: &Tags<'_>) -> i8 {
    let implied = match (tags.is_set("bridge"), tags.is_set("tunnel")) {
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
        road(&Tags(tags.to_vec()))
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
        let reversible = check(&[("highway", "primary"), ("oneway", "reversible")]);
        assert_eq!(reversible, Err(Omission::Reversible));
    }

    #[test]
    fn reads_access() {
        let closed = |tags: &[(&'static str, &'static str)]| check(tags).unwrap_err();
        assert_eq!(closed(&[("highway", "footway")]), Omission::NotForVehicles);
        assert_eq!(closed(&[("highway", "construction")]), Omission::NotARoad);
        assert_eq!(
            closed(&[("highway", "service"), ("access", "private")]),
            Omission::NoAccess
        );
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
        assert!(bus.unwrap().along.unwrap().is_restricted);
        let contraflow = check(&[
            ("highway", "primary"),
            ("oneway", "yes"),
            ("oneway:bus", "no"),
        ])
        .unwrap();
        assert!(
            !contraflow.along.unwrap().is_restricted && contraflow.against.unwrap().is_restricted
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
            lanes(&[("highway", "primary"), ("lanes", "many")]),
            (None, None)
        );
    }

    #[test]
    fn reads_speeds_in_km_h() {
        for (text, kmh) in [
            ("50", 50.0),
            ("30 mph", 48.28),
            ("60;40", 60.0),
            ("CN:urban", 50.0),
            ("DE:zone:30", 30.0),
            ("DE:zone30", 30.0),
            ("RU:living_street", 20.0),
        ] {
            let read_kmh = speed_mps(text).unwrap() * 3.6;
            assert!((read_kmh - kmh).abs() < 0.01, "{text}: {read_kmh}");
        }
        for text in ["none", "signals", "", "fast", "1000", "50 leagues", "-5"] {
            assert_eq!(speed_mps(text), None, "{text}");
        }
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
