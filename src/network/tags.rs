//! The OSM `highway` classes, which CSV and SUMO files speak too.

use super::model::RoadClass;
use super::report::Omission;

/// What a `highway` value says about a road.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) struct HighwayClass {
    pub(super) class: RoadClass,
    pub(super) is_link: bool,
    /// A road for buses alone.
    pub(super) is_busway: bool,
}

/// Reads a `highway` value (OSM wiki, Key:highway), or says why such a road is left out.
pub(super) fn highway_class(value: &str) -> Result<HighwayClass, Omission> {
    let (base, is_link) = match value.strip_suffix("_link") {
        Some(base) => (base, true),
        None => (value, false),
    };
    let class = match base {
        "motorway" => RoadClass::Motorway,
        "trunk" => RoadClass::Trunk,
        "primary" => RoadClass::Primary,
        "secondary" => RoadClass::Secondary,
        "tertiary" => RoadClass::Tertiary,
        "unclassified" | "road" => RoadClass::Minor,
        "residential" | "living_street" => RoadClass::Residential,
        "service" | "track" | "busway" | "bus_guideway" => RoadClass::Service,
        "construction" | "proposed" | "planned" | "abandoned" | "disused" | "razed" => {
            return Err(Omission::NotARoad);
        }
        _ => return Err(Omission::NotForVehicles),
    };
    Ok(HighwayClass {
        class,
        is_link,
        is_busway: base.starts_with("bus"),
    })
}

/// The class of a road of which only the limit and the lanes of one direction are known (chosen so
/// that the classes' default speeds agree).
pub(super) fn class_by_limit(limit_mps: f32, lanes: u8) -> RoadClass {
    match limit_mps * 3.6 {
        kmh if kmh > 95.0 => RoadClass::Motorway,
        kmh if kmh > 75.0 => RoadClass::Trunk,
        kmh if kmh > 45.0 && lanes >= 3 => RoadClass::Primary,
        kmh if kmh > 45.0 && lanes == 2 => RoadClass::Secondary,
        kmh if kmh > 35.0 => RoadClass::Tertiary,
        kmh if kmh > 22.0 => RoadClass::Residential,
        _ => RoadClass::Service,
    }
}
