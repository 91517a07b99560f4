//! `[privacy]` as it is written, and what the rooms make of it.

use std::path::PathBuf;

use serde::{Deserialize, Serialize};

use super::Problems;
use super::area::outline;
use crate::matching::{TripEnds, ZoneDraft};
use crate::screening::ROTATION_S_MAX;

/// `[privacy]`
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(default, deny_unknown_fields)]
pub struct RawPrivacy {
    /// File with the secret of pseudonyms, 32 bytes, raw or hexadecimal, mode 0600; the same for all
    /// nodes. Empty: `pseudonym.key` in `recording.dir`, made at the first start.
    pub key_file: PathBuf,
    /// Seconds of event time after which pseudonyms change, 3600..=86400, not below
    /// `matching.forget_after_s`. Default 86400.
    pub rotation_s: i64,
    /// Distinct road users needed before a measured value is published as measured, 1..=100.
    /// Default 5.
    pub subjects_min: u32,
    /// Metres at the start of a trip during which a road user is not told of, 0..=10000. Default
    /// 300.
    pub trip_end_m: f32,
    /// Seconds at the start of a trip during which a road user is not told of, 0..=3600. Default
    /// 120.
    pub trip_end_s: i64,
    /// A road user not matched to a road for so long may have ended its trip there and is not told
    /// of, s, 1..=3600. Default 60.
    pub trip_silent_s: i64,
    /// Sensitive zones: segments there are published as profile only.
    pub zones: Vec<RawZone>,
}

impl Default for RawPrivacy {
    fn default() -> Self {
        let ends = TripEnds::default();
        Self {
            key_file: PathBuf::new(),
            rotation_s: ROTATION_S_MAX,
            subjects_min: 5,
            trip_end_m: ends.distance_m,
            trip_end_s: ends.time_s,
            trip_silent_s: ends.silent_s,
            zones: Vec::new(),
        }
    }
}

impl RawPrivacy {
    /// What is near the ends of a trip.
    pub fn trip_ends(&self) -> TripEnds {
        TripEnds {
            distance_m: self.trip_end_m,
            time_s: self.trip_end_s,
            silent_s: self.trip_silent_s,
        }
    }
}

/// One entry of `[[privacy.zones]]`: `lon`, `lat` and `radius_m`, or `outline`.
#[derive(Clone, Debug, PartialEq, Deserialize, Serialize)]
#[serde(deny_unknown_fields)]
pub struct RawZone {
    /// What it is called in messages.
    pub name: String,
    /// Longitude of the centre, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lon: Option<f64>,
    /// Latitude of the centre, degrees.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub lat: Option<f64>,
    /// Radius around the centre, m, 10..=20000.
    #[serde(default, skip_serializing_if = "Option::is_none")]
    pub radius_m: Option<f64>,
    /// Corners as [longitude, latitude], degrees, at least three.
    #[serde(default, skip_serializing_if = "Vec::is_empty")]
    pub outline: Vec<[f64; 2]>,
}

/// Checks the section and gives its zones. `forget_after_s` is how long a silent track lives.
pub(super) fn resolve(
    raw: &RawPrivacy,
    forget_after_s: i64,
    problems: &mut Problems,
) -> Vec<ZoneDraft> {
    let rotation_s = raw.rotation_s;
    problems.range("privacy.rotation_s", rotation_s, 3_600, ROTATION_S_MAX);
    if rotation_s < forget_after_s {
        problems.0.push(format!(
            "privacy.rotation_s = {rotation_s} is below matching.forget_after_s = {forget_after_s}"
        ));
    }
    problems.range("privacy.subjects_min", raw.subjects_min, 1, 100);
    problems.range("privacy.trip_end_m", raw.trip_end_m, 0.0, 10_000.0);
    problems.range("privacy.trip_end_s", raw.trip_end_s, 0, 3_600);
    problems.range("privacy.trip_silent_s", raw.trip_silent_s, 1, 3_600);
    let zones = raw.zones.iter().filter_map(|zone| {
        let key = format!("privacy.zones: {:?}", zone.name);
        let circle = (zone.lon, zone.lat, zone.radius_m);
        let outline = outline(&key, circle, &zone.outline, 20_000.0, problems)?;
        Some(ZoneDraft {
            name: zone.name.clone(),
            outline,
        })
    });
    zones.collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    fn problems(text: &str) -> String {
        let raw: RawPrivacy = toml::from_str(text).expect("known keys");
        let mut problems = Problems::default();
        resolve(&raw, 120, &mut problems);
        problems.0.join("; ")
    }

    #[test]
    fn what_is_out_of_range_is_said() {
        assert_eq!(problems(""), "");
        let zone = "[[zones]]\nname = 'barracks'\nlon = 114.3\nlat = 30.6\nradius_m = 300";
        assert_eq!(problems(zone), "");
        for (text, part) in [
            ("rotation_s = 86401", "outside 3600..=86400"),
            ("subjects_min = 0", "outside 1..=100"),
            ("trip_end_m = -1", "trip_end_m"),
            ("trip_silent_s = 0", "trip_silent_s"),
            ("[[zones]]\nname = 'barracks'", "needs either"),
            (
                "[[zones]]\nname = 'x'\nlon = 1\nlat = 1\nradius_m = 20001",
                "outside 10..=20000",
            ),
        ] {
            assert!(problems(text).contains(part), "{text}: {}", problems(text));
        }
        let raw = RawPrivacy {
            rotation_s: 3_600,
            ..RawPrivacy::default()
        };
        let mut found = Problems::default();
        resolve(&raw, 7_200, &mut found);
        assert!(
            found.0[0].contains("forget_after_s = 7200"),
            "{:?}",
            found.0
        );
    }
}
