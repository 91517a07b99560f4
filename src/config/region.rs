//! Regions as they are written, inline or as GeoJSON, and as `state` uses them.

use std::path::{Path, PathBuf};

use serde::{Deserialize, Serialize};

use super::Problems;
use crate::state::congestion::RegionDraft;
use crate::units::Position;

/// One entry of `[[state.regions]]`: `name` with `outline`, `name` alone for the whole network, or
/// `file`.
#[derive(Clone, Debug, Default, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawRegion {
    /// What it is called in topics: letters, digits, `-` and `_`, at most 64 bytes. With `file`, the
    /// name of a feature without a property `name`.
    #[serde(default, skip_serializing_if = "String::is_empty")]
    pub name: String,
    /// Corners as [longitude, latitude], degrees, at least three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outline: Vec<[f64; 2]>,
    /// GeoJSON file of polygons: each feature is a region, named by its property `name`.
    #[serde(default, skip_serializing_if = "is_empty")]
    pub file: PathBuf,
}

fn is_empty(path: &Path) -> bool {
    path.as_os_str().is_empty()
}

/// All regions, and the reasons why some are none.
pub(super) fn resolve(raw: &[RawRegion], problems: &mut Problems) -> Vec<RegionDraft> {
    let mut regions = Vec::new();
    for region in raw {
        if is_empty(&region.file) {
            let ring: Vec<Position> = region.outline.iter().map(position).collect();
            regions.push(RegionDraft {
                name: region.name.clone(),
                rings: if ring.is_empty() { vec![] } else { vec![ring] },
            });
            continue;
        }
        let key = format!("state.regions: {}", region.file.display());
        if !region.outline.is_empty() {
            problems
                .0
                .push(format!("{key}: has an outline beside a file"));
        }
        let text = std::fs::read_to_string(&region.file).map_err(|error| error.to_string());
        let read = text.and_then(|text| features(&text, &region.name));
        regions.extend(problems.take(&key, read).unwrap_or_default());
    }
    regions
}

fn position(&[lon, lat]: &[f64; 2]) -> Position {
    Position::new(lon, lat)
}

/// What is read of a GeoJSON document (RFC 7946); other members are ignored.
#[derive(Deserialize)]
#[serde(tag = "type")]
enum GeoJson {
    FeatureCollection { features: Vec<Feature> },
    Feature(Feature),
    Polygon { coordinates: Vec<RawRing> },
    MultiPolygon { coordinates: Vec<Vec<RawRing>> },
}

#[derive(Deserialize)]
struct Feature {
    properties: Option<Properties>,
    geometry: Geometry,
}

#[derive(Deserialize)]
struct Properties {
    name: Option<String>,
}

#[derive(Deserialize)]
#[serde(tag = "type")]
enum Geometry {
    Polygon { coordinates: Vec<RawRing> },
    MultiPolygon { coordinates: Vec<Vec<RawRing>> },
}

/// Positions may have a height behind longitude and latitude.
type RawRing = Vec<Vec<f64>>;

/// The regions of a GeoJSON text.
fn features(text: &str, fallback: &str) -> Result<Vec<RegionDraft>, String> {
    let document: GeoJson = serde_json::from_str(text).map_err(|error| error.to_string())?;
    let features = match document {
        GeoJson::FeatureCollection { features } => features,
        GeoJson::Feature(feature) => vec![feature],
        GeoJson::Polygon { coordinates } => vec![bare(Geometry::Polygon { coordinates })],
        GeoJson::MultiPolygon { coordinates } => {
            vec![bare(Geometry::MultiPolygon { coordinates })]
        }
    };
    let regions = features.into_iter().map(|feature| {
        let name = feature.properties.and_then(|properties| properties.name);
        let polygons = match feature.geometry {
            Geometry::Polygon { coordinates } => vec![coordinates],
            Geometry::MultiPolygon { coordinates } => coordinates,
        };
        let rings = polygons.iter().flatten().map(corners);
        let rings = rings.collect::<Result<Vec<_>, String>>()?;
        if rings.is_empty() {
            return Err("a polygon without a ring".into());
        }
        Ok(RegionDraft {
            name: name.unwrap_or_else(|| fallback.to_owned()),
            rings,
        })
    });
    regions.collect()
}

fn bare(geometry: Geometry) -> Feature {
    Feature {
        properties: None,
        geometry,
    }
}

/// The corners of a closed ring, the repeated first one left out.
fn corners(ring: &RawRing) -> Result<Vec<Position>, String> {
    let mut corners = Vec::with_capacity(ring.len());
    for place in ring {
        let [lon, lat, ..] = place.as_slice() else {
            return Err(format!("{place:?} is no position"));
        };
        corners.push(Position::new(*lon, *lat));
    }
    if corners.len() > 1 && corners.first() == corners.last() {
        corners.pop();
    }
    Ok(corners)
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn geojson_features_are_regions_with_holes_and_parts() {
        let text = r#"{"type": "FeatureCollection", "features": [
            {"type": "Feature", "properties": {"name": "centre", "colour": 3}, "geometry":
                {"type": "Polygon", "coordinates": [
                    [[114.0, 30.0], [114.3, 30.0, 21.5], [114.3, 30.3], [114.0, 30.0]],
                    [[114.1, 30.05], [114.2, 30.05], [114.2, 30.1], [114.1, 30.05]]]}},
            {"type": "Feature", "properties": null, "geometry":
                {"type": "MultiPolygon", "coordinates": [
                    [[[1, 1], [2, 1], [2, 2], [1, 1]]], [[[3, 3], [4, 3], [4, 4], [3, 3]]]]}}]}"#;
        let found = features(text, "rest").expect("valid");
        let shape = |region: &RegionDraft| -> (String, Vec<usize>) {
            (
                region.name.clone(),
                region.rings.iter().map(Vec::len).collect(),
            )
        };
        assert_eq!(shape(&found[0]), ("centre".into(), vec![3, 3]));
        assert_eq!(shape(&found[1]), ("rest".into(), vec![3, 3]));
        let bare = r#"{"type":"Polygon","coordinates":[[[1,1],[2,1],[2,2],[1,1]]]}"#;
        assert_eq!(
            shape(&features(bare, "one").expect("valid")[0]),
            ("one".into(), vec![3])
        );
        for (bad, part) in [
            (r#"{"type":"Point","coordinates":[1,1]}"#, "unknown variant"),
            (r#"{"type":"Polygon","coordinates":[[[1]]]}"#, "no position"),
            (r#"{"type":"Polygon","coordinates":[]}"#, "without a ring"),
            ("{", "EOF"),
        ] {
            let problem = features(bad, "x").expect_err(bad);
            assert!(problem.contains(part), "{problem}");
        }
    }

    #[test]
    fn entries_are_inline_or_of_a_file() {
        let raw: RawRegion =
            toml::from_str("name = 'a'\noutline = [[1, 1], [2, 1], [2, 2]]").expect("known keys");
        let whole: RawRegion = toml::from_str("name = 'all'").expect("known keys");
        let missing: RawRegion = toml::from_str("file = 'no/such.geojson'").expect("known keys");
        let mut problems = Problems::default();
        let found = resolve(&[raw, whole, missing], &mut problems);
        assert_eq!(found.len(), 2);
        assert_eq!((found[0].rings.len(), found[1].rings.len()), (1, 0));
        assert!(
            problems.0[0].contains("no/such.geojson"),
            "{:?}",
            problems.0
        );
    }
}
