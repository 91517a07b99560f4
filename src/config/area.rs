//! Areas of roadside units as they are written, and as `matching` uses them.

use serde::{Deserialize, Serialize};

use super::Problems;
use crate::matching::{AreaDraft, Outline};
use crate::units::{Metres, Position};
use crate::wire::check_filter;

/// One entry of `[[matching.areas]]`: `lon`, `lat` and `radius_m`, or `outline`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawArea {
    /// What it is called in messages.
    pub name: String,
    /// MQTT topic filter of the messages whose perceived objects it takes. Default `#`.
    #[serde(default = "every_topic")]
    pub filter: String,
    /// Longitude of the centre, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon: Option<f64>,
    /// Latitude of the centre, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat: Option<f64>,
    /// Radius around the centre, m, 10..=2000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius_m: Option<f64>,
    /// Corners as [longitude, latitude], degrees, at least three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outline: Vec<[f64; 2]>,
    /// Only segments on this vertical layer: 0 ground, 1 first viaduct level. Default: all.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub layer: Option<i8>,
}

fn every_topic() -> String {
    "#".into()
}

/// The area, or the reasons why it is none.
pub(super) fn resolve(raw: &RawArea, problems: &mut Problems) -> Option<AreaDraft> {
    let key = format!("matching.areas: {:?}", raw.name);
    if let Err(error) = check_filter(&raw.filter) {
        problems.0.push(format!("{key}: {:?}: {error}", raw.filter));
    }
    let circle = (raw.lon, raw.lat, raw.radius_m);
    let outline = outline(&key, circle, &raw.outline, 2_000.0, problems)?;
    Some(AreaDraft {
        name: raw.name.clone(),
        filter: raw.filter.clone(),
        outline,
        layer: raw.layer,
    })
}

/// A circle of longitude, latitude and radius or a polygon, or the reasons why it is neither.
pub(super) fn outline(
    key: &str,
    circle: (Option<f64>, Option<f64>, Option<f64>),
    corners: &[[f64; 2]],
    radius_m_max: f64,
    problems: &mut Problems,
) -> Option<Outline> {
    let outline = match (circle, corners) {
        ((Some(lon), Some(lat), Some(radius_m)), []) => {
            problems.range(&format!("{key}: radius_m"), radius_m, 10.0, radius_m_max);
            Outline::Circle {
                centre: Position::new(lon, lat),
                radius: Metres(radius_m),
            }
        }
        ((None, None, None), [_, _, _, ..]) => Outline::Polygon(
            corners
                .iter()
                .map(|&[lon, lat]| Position::new(lon, lat))
                .collect(),
        ),
        _ => {
            problems.0.push(format!(
                "{key}: needs either lon, lat and radius_m or an outline of at least three corners"
            ));
            return None;
        }
    };
    let corners = match &outline {
        Outline::Circle { centre, .. } => std::slice::from_ref(centre),
        Outline::Polygon(corners) => corners,
    };
    for corner in corners.iter().filter(|corner| !corner.is_valid()) {
        let (lon, lat) = (corner.lon_deg, corner.lat_deg);
        problems
            .0
            .push(format!("{key}: {lon}, {lat} is no position"));
    }
    Some(outline)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn resolved(text: &str) -> Result<AreaDraft, Vec<String>> {
        let raw: RawArea = toml::from_str(text).expect("known keys");
        let mut problems = Problems::default();
        let draft = resolve(&raw, &mut problems);
        match draft {
            Some(draft) if problems.0.is_empty() => Ok(draft),
            _ => Err(problems.0),
        }
    }

    #[test]
    fn circles_and_polygons_are_areas_and_all_else_says_why() {
        let circle =
            resolved("name = 'R1'\nlon = 114.3\nlat = 30.6\nradius_m = 150").expect("good");
        assert_eq!((circle.filter.as_str(), circle.layer), ("#", None));
        let polygon = resolved(
            "name = 'R2'\nfilter = 'V2X/RSU/R2/RSM/UP'\nlayer = 1\n\
             outline = [[114.3, 30.6], [114.31, 30.6], [114.31, 30.61]]",
        )
        .expect("good");
        assert!(matches!(polygon.outline, Outline::Polygon(corners) if corners.len() == 3));
        for (bad, part) in [
            ("name = 'R3'\nlon = 114.3\nlat = 30.6", "needs either"),
            ("name = 'R3'\noutline = [[1, 2], [3, 4]]", "needs either"),
            (
                "name = 'R3'\nlon = 1\nlat = 99\nradius_m = 50",
                "no position",
            ),
            (
                "name = 'R3'\nlon = 1\nlat = 9\nradius_m = 5",
                "outside 10..=2000",
            ),
            (
                "name = 'R3'\nfilter = 'a/#/b'\nlon = 1\nlat = 9\nradius_m = 50",
                "a/#/b",
            ),
        ] {
            let problems = resolved(bad).unwrap_err().join("; ");
            assert!(
                problems.contains(part) && problems.contains("R3"),
                "{problems}"
            );
        }
    }
}
