//! Corridors as they are written, and as `state` uses them.

use serde::{Deserialize, Serialize};

use super::Problems;
use crate::state::CorridorDraft;
use crate::units::Position;

/// One entry of `[[state.corridors]]`: `sources`, or `waypoints`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawCorridor {
    /// What it is called in topics and messages: 1 to 64 letters, digits, `-`, `_` or `.`.
    pub id: String,
    /// What people call it. Default: the id.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Ids of the network's source (OSM ways, SUMO edges, CSV rows) in driving order.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub sources: Vec<String>,
    /// Places on the way as [longitude, latitude], degrees, at least two; the fastest way at the
    /// limits is taken between them.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub waypoints: Vec<[f64; 2]>,
}

/// The corridor, with the reasons why it is none; whether it fits the network is found later.
pub(super) fn resolve(raw: &RawCorridor, problems: &mut Problems) -> CorridorDraft {
    let key = format!("state.corridors: {:?}", raw.id);
    let is_one_way = raw.sources.is_empty() != raw.waypoints.is_empty();
    if !is_one_way || raw.waypoints.len() == 1 {
        let wanted = "needs either sources or at least two waypoints";
        problems.0.push(format!("{key}: {wanted}"));
    }
    let places = raw
        .waypoints
        .iter()
        .map(|&[lon, lat]| Position::new(lon, lat));
    let waypoints: Vec<Position> = places.collect();
    for place in waypoints.iter().filter(|place| !place.is_valid()) {
        let (lon, lat) = (place.lon_deg, place.lat_deg);
        problems
            .0
            .push(format!("{key}: {lon}, {lat} is no position"));
    }
    CorridorDraft {
        id: raw.id.clone(),
        name: raw.name.clone(),
        sources: raw.sources.clone(),
        waypoints,
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_corridor_goes_over_sources_or_waypoints() {
        let told = |text: &str| {
            let raw: RawCorridor = toml::from_str(text).expect("known keys");
            let mut problems = Problems::default();
            let draft = resolve(&raw, &mut problems);
            (draft, problems.0.join("; "))
        };
        let (draft, problems) = told("id = 'ring'\nsources = ['a', 'b']");
        assert_eq!((draft.sources.len(), problems.as_str()), (2, ""));
        let (draft, problems) = told("id = 'w'\nwaypoints = [[114.3, 30.5], [114.4, 30.5]]");
        assert_eq!((draft.waypoints.len(), problems.as_str()), (2, ""));
        for (text, part) in [
            ("id = 'n'", "needs either"),
            ("id = 'n'\nwaypoints = [[114.3, 30.5]]", "needs either"),
            (
                "id = 'n'\nwaypoints = [[114.3, 30.5], [1, 99]]",
                "no position",
            ),
        ] {
            let (_, problems) = told(text);
            assert!(
                problems.contains(part) && problems.contains("\"n\""),
                "{problems}"
            );
        }
    }
}
