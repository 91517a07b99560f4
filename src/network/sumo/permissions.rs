//! Who may drive on a SUMO lane (SUMO documentation, Abstract Vehicle Classes).

/// What a lane is to us.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub(super) enum LaneUse {
    /// Only feet, bicycles, rails or ships.
    NotForVehicles,
    /// Buses, taxis, deliveries or emergency vehicles, but no private cars.
    Restricted,
    /// Private cars.
    Cars,
}

const CARS: [&str; 2] = ["passenger", "private"];
const RESTRICTED: [&str; 12] = [
    "bus",
    "coach",
    "taxi",
    "delivery",
    "truck",
    "trailer",
    "hov",
    "emergency",
    "authority",
    "army",
    "vip",
    "evehicle",
];

/// Judges a lane by its `allow` and `disallow` lists; without either it is open to all.
pub(super) fn lane_use(allow: Option<&str>, disallow: Option<&str>) -> LaneUse {
    let permits = |class: &str| match (allow, disallow) {
        (Some(list), _) => names(list, class),
        (None, Some(list)) => !names(list, class),
        (None, None) => true,
    };
    if CARS.iter().any(|class| permits(class)) {
        LaneUse::Cars
    } else if RESTRICTED.iter().any(|class| permits(class)) {
        LaneUse::Restricted
    } else {
        LaneUse::NotForVehicles
    }
}

/// Whether a lane is for buses, perhaps with taxis and bicycles, and nobody else who matters here.
pub(super) fn is_bus_lane(allow: Option<&str>) -> bool {
    allow.is_some_and(|list| names(list, "bus") && !names(list, "passenger"))
}

fn names(list: &str, class: &str) -> bool {
    list.split_whitespace()
        .any(|word| word == class || word == "all")
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn judges_lanes() {
        assert_eq!(lane_use(None, None), LaneUse::Cars);
        assert_eq!(lane_use(Some("all"), None), LaneUse::Cars);
        assert_eq!(lane_use(None, Some("pedestrian tram")), LaneUse::Cars);
        assert_eq!(lane_use(Some("bus"), None), LaneUse::Restricted);
        assert_eq!(
            lane_use(Some("bus taxi bicycle"), None),
            LaneUse::Restricted
        );
        assert_eq!(
            lane_use(None, Some("passenger private")),
            LaneUse::Restricted
        );
        assert_eq!(
            lane_use(Some("pedestrian bicycle"), None),
            LaneUse::NotForVehicles
        );
        assert_eq!(lane_use(None, Some("all")), LaneUse::NotForVehicles);
        assert_eq!(
            lane_use(Some("tram rail_urban"), None),
            LaneUse::NotForVehicles
        );
    }
}
