//! The speed limit of a way (OSM wiki, Key:maxspeed): its sign, else the zone it lies in, else the
//! law of its country.

use super::limits::{Country, Setting, limits_of};
use super::tags::Tags;
use crate::network::CountryCode;

/// Where a limit comes from, the surest first.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum LimitSource {
    /// `maxspeed` itself.
    Stated,
    /// A zone (`CN:urban`) or a road type that the country's law limits.
    Law,
    /// Neither: the default of the road class.
    Class,
}

/// Tags that name the zone a way lies in.
pub(super) const ZONE_KEYS: [&str; 4] = [
    "maxspeed:type",
    "source:maxspeed",
    "zone:traffic",
    "zone:maxspeed",
];

/// The limit in m/s of one direction (`suffix` is `:forward` or `:backward`), and where it is from.
pub(super) fn limit_mps(
    tags: &Tags<'_>,
    suffix: &str,
    road: Setting,
    country: Option<&'static Country>,
) -> (Option<f32>, LimitSource) {
    let own = |key: &str| {
        tags.get(&format!("{key}{suffix}"))
            .or_else(|| tags.get(key))
    };
    let said = [
        own("maxspeed"),
        own("maxspeed:practical"),
        own("maxspeed:advisory"),
    ];
    let stated = said[0].and_then(|text| stated_kmh(text, road, country));
    if let Some(kmh) = stated {
        return sensible(kmh, LimitSource::Stated);
    }
    let zones = ZONE_KEYS.iter().filter_map(|key| own(key));
    let mut zoned = zones.filter_map(|text| zone_kmh(text, road, country));
    if let Some(kmh) = zoned.next() {
        return sensible(kmh, LimitSource::Law);
    }
    let advised = said[1].or(said[2]);
    if let Some(kmh) = advised.and_then(|text| stated_kmh(text, road, country)) {
        return sensible(kmh, LimitSource::Stated);
    }
    match country.and_then(|country| country.unsigned(road)) {
        Some(kmh) => sensible(kmh, LimitSource::Law),
        None => (None, LimitSource::Class),
    }
}

/// Limits outside 1 to 70 m/s are typing errors.
fn sensible(kmh: f32, source: LimitSource) -> (Option<f32>, LimitSource) {
    let mps = kmh / 3.6;
    if (1.0..=70.0).contains(&mps) {
        (Some(mps), source)
    } else {
        (None, LimitSource::Class)
    }
}

/// Walking pace, km/h (StVO zeichen 325.1, read by German courts as 4 to 7 km/h).
const WALK_KMH: f32 = 7.0;

fn stated_kmh(text: &str, road: Setting, country: Option<&'static Country>) -> Option<f32> {
    let text = text.trim();
    match text {
        "walk" => Some(WALK_KMH),
        // No limit: what the law recommends, else the default of the class.
        "none" => country.and_then(|country| country.of_zone("motorway", road.class)),
        _ => number_kmh(text).or_else(|| zone_kmh(text, road, country)),
    }
}

/// The first number with its unit: `50`, `30 mph`, `60;40`, `80|100`.
fn number_kmh(text: &str) -> Option<f32> {
    let first = text
        .split([';', '|', ','])
        .next()
        .unwrap_or_default()
        .trim();
    let end = first
        .find(|c: char| !c.is_ascii_digit() && c != '.')
        .unwrap_or(first.len());
    let value = first[..end].parse::<f32>().ok()?;
    let unit_kmh = match first[end..].trim() {
        "" | "km/h" | "kmh" | "kph" => 1.0,
        "mph" => 1.609_344,
        "knots" => 1.852,
        _ => return None,
    };
    Some(value * unit_kmh)
}

/// A zone: `CN:urban`, `RO:rural`, `DE:zone:30`, `DE:zone30`, `FR:zone30`, `GB:nsl_single`. The
/// country before the colon goes before that of the file.
fn zone_kmh(text: &str, road: Setting, country: Option<&'static Country>) -> Option<f32> {
    let (country, zone) = match text.trim().split_once(':') {
        Some((prefix, zone)) => {
            let named = country_of(prefix).and_then(limits_of);
            (named.or(country), zone)
        }
        None => (country, text.trim()),
    };
    if zone == "walk" {
        return Some(WALK_KMH);
    }
    let number = zone
        .strip_prefix("zone")
        .map_or(zone, |number| number.trim_start_matches([':', '-']));
    number_kmh(number).or_else(|| country?.of_zone(zone, road.class))
}

/// The country of a zone's prefix: `DE`, `BE-VLG`, `US_CA`.
fn country_of(prefix: &str) -> Option<CountryCode> {
    prefix.get(..2)?.parse().ok()
}

/// The country that a way's tags name.
pub(super) fn country_named(tags: &Tags<'_>) -> Option<CountryCode> {
    let address = tags.first(&["addr:country", "is_in:country_code", "ISO3166-1:alpha2"]);
    if let Some(code) = address.and_then(|text| text.parse().ok()) {
        return Some(code);
    }
    let zones = ZONE_KEYS.iter().chain(&["maxspeed"]);
    zones
        .filter_map(|key| tags.get(key)?.split_once(':'))
        .find_map(|(prefix, _)| country_of(prefix))
}

/// Whether a way lies in a town, where its tags tell: by its zone, else by street lamps and
/// pavements (chosen).
pub(super) fn is_urban(tags: &Tags<'_>) -> Option<bool> {
    let mut zones = ZONE_KEYS.iter().chain(&["maxspeed"]).filter_map(|key| {
        let zone = tags.get(key)?.split_once(':')?.1;
        match zone {
            "rural" | "nsl_single" | "nsl_dual" | "motorroad" | "trunk" => Some(false),
            "urban" | "nsl_restricted" => Some(true),
            _ if zone.contains("zone") => Some(true),
            _ => None,
        }
    });
    let is_built_up = tags.is_any(
        &[
            "sidewalk",
            "sidewalk:both",
            "sidewalk:left",
            "sidewalk:right",
        ],
        &["both", "left", "right", "yes", "separate"],
    ) || tags.is_any(&["lit"], &["yes", "24/7"])
        || tags.is_any(&["highway"], &["residential", "living_street"]);
    zones.next().or(is_built_up.then_some(true))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::model::RoadClass;

    const STREET: Setting = Setting {
        class: RoadClass::Primary,
        is_urban: None,
        is_living_street: false,
        is_link: false,
        is_motorroad: false,
        is_unmarked: false,
    };

    fn kmh(tags: &[(&'static str, &'static str)], country: &str) -> (u16, LimitSource) {
        let country = country.parse().ok().and_then(limits_of);
        let (mps, source) = limit_mps(&Tags(tags.to_vec()), ":forward", STREET, country);
        ((mps.unwrap_or(0.0) * 3.6).round() as u16, source)
    }

    #[test]
    fn reads_signs_in_every_unit() {
        for (text, expected) in [
            ("50", 50),
            ("30 mph", 48),
            ("5 knots", 9),
            ("60;40", 60),
            ("80|100", 80),
            ("CN:urban", 50),
            ("RO:urban", 50),
            ("BE-VLG:urban", 50),
            ("GB:nsl_single", 97),
            ("DE:zone:30", 30),
            ("DE:zone30", 30),
            ("RU:living_street", 20),
            ("walk", 7),
            ("DE:walk", 7),
        ] {
            assert_eq!(kmh(&[("maxspeed", text)], "").0, expected, "{text}");
        }
        for text in [
            "none",
            "signals",
            "",
            "fast",
            "1000",
            "50 leagues",
            "-5",
            "é50",
            ":",
            "é:x",
        ] {
            assert_eq!(kmh(&[("maxspeed", text)], "").0, 0, "{text}");
        }
        assert_eq!(kmh(&[("maxspeed", "none")], "DE").0, 130);
    }

    #[test]
    fn directions_zones_and_laws_follow_signs() {
        use LimitSource::{Class, Law, Stated};
        for (tags, country, expected) in [
            (
                &[("maxspeed:forward", "60"), ("maxspeed", "50")][..],
                "DE",
                (60, Stated),
            ),
            (
                &[("maxspeed:backward", "60"), ("maxspeed", "50")],
                "DE",
                (50, Stated),
            ),
            (&[("source:maxspeed", "DE:rural")], "CN", (100, Law)),
            (
                &[("maxspeed:type", "sign"), ("zone:traffic", "DE:urban")],
                "",
                (50, Law),
            ),
            (&[("zone:maxspeed", "30")], "DE", (30, Law)),
            (&[("source:maxspeed", "BR:urban")], "", (60, Law)),
            (&[], "DE", (0, Class)),
            (&[], "", (0, Class)),
        ] {
            assert_eq!(kmh(tags, country), expected, "{tags:?}");
        }
    }

    #[test]
    fn finds_the_country_and_the_town() {
        let tags = |tags: &[(&'static str, &'static str)]| Tags(tags.to_vec());
        let code = |tags: Tags<'_>| country_named(&tags).map(|code| code.to_string());
        assert_eq!(code(tags(&[("addr:country", "DE")])).as_deref(), Some("DE"));
        assert_eq!(
            code(tags(&[("maxspeed", "CN:urban")])).as_deref(),
            Some("CN")
        );
        assert_eq!(code(tags(&[("zone:maxspeed", "30")])), None);
        assert_eq!(is_urban(&tags(&[("lit", "yes")])), Some(true));
        assert_eq!(
            is_urban(&tags(&[("lit", "yes"), ("zone:traffic", "DE:rural")])),
            Some(false)
        );
        assert_eq!(is_urban(&tags(&[("highway", "primary")])), None);
    }
}
