//! Geodetic datums met on Chinese roads, to and from WGS-84.
//!
//! CGCS2000 equals WGS-84 within centimetres. GCJ-02 shifts positions in China by up to some 700 m;
//! BD-09 shifts them once more. The formulas are public knowledge (see `docs/wire.md`); they have no
//! exact inverse, so the way back is iterated. GCJ-02 applies inside the rectangle that map
//! services use for China and is the identity outside; no border is kept here.

use std::fmt;
use std::str::FromStr;

use thiserror::Error;

use super::Position;

/// Semi-major axis, m, and squared eccentricity of the ellipsoid of Krasovsky (1940), on which the
/// shift of GCJ-02 is defined.
const SEMI_MAJOR_M: f64 = 6_378_245.0;
const ECCENTRICITY_SQUARED: f64 = 0.006_693_421_622_965_943;

/// Where GCJ-02 applies: longitudes and latitudes, degrees.
const CHINA_LON_DEG: (f64, f64) = (72.004, 137.8347);
const CHINA_LAT_DEG: (f64, f64) = (0.8293, 55.8271);

/// Constant shift of BD-09 from GCJ-02, degrees.
const BAIDU_SHIFT_LON_DEG: f64 = 0.0065;
const BAIDU_SHIFT_LAT_DEG: f64 = 0.006;

/// The inverse stops when the last step is below this, degrees (1 mm; the promise is 0.5 m).
const INVERSE_STEP_DEG: f64 = 1e-8;
/// The shift changes by less than 1 % over its own length, so each round gains two digits.
const INVERSE_ROUNDS_MAX: usize = 10;

/// The coordinate system of a source or consumer.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Datum {
    /// WGS-84 (`wgs84`), the one inside roadcast.
    #[default]
    Wgs84,
    /// China Geodetic Coordinate System 2000 (`cgcs2000`), taken as WGS-84.
    Cgcs2000,
    /// GCJ-02 (`gcj02`), the shifted coordinates of Chinese maps.
    Gcj02,
    /// BD-09 (`bd09`), GCJ-02 shifted once more.
    Bd09,
}

/// A datum label nobody knows.
#[derive(Clone, Debug, PartialEq, Eq, Error)]
#[error("unknown datum `{0}`: use wgs84, cgcs2000, gcj02 or bd09")]
pub struct UnknownDatum(String);

impl Datum {
    /// Every datum.
    pub const ALL: [Self; 4] = [Self::Wgs84, Self::Cgcs2000, Self::Gcj02, Self::Bd09];

    /// The word for it in configuration.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Wgs84 => "wgs84",
            Self::Cgcs2000 => "cgcs2000",
            Self::Gcj02 => "gcj02",
            Self::Bd09 => "bd09",
        }
    }

    /// Whether positions in it are WGS-84 as they stand.
    pub const fn is_wgs84(self) -> bool {
        matches!(self, Self::Wgs84 | Self::Cgcs2000)
    }

    /// `position`, given in this datum, in WGS-84.
    ///
    /// # Examples
    ///
    /// ```
    /// use roadcast::units::{Datum, Position};
    /// // A street in Wuhan; in the wrong datum it would lie 586 m away.
    /// let wgs84 = Datum::Gcj02.to_wgs84(Position::new(114.3053942, 30.5931044));
    /// assert!(wgs84.distance_to(Position::new(114.2999512, 30.5955177)).value() < 1.5);
    /// ```
    #[must_use]
    pub fn to_wgs84(self, position: Position) -> Position {
        match self {
            Self::Wgs84 | Self::Cgcs2000 => position,
            Self::Gcj02 => inverse(position, gcj02_from_wgs84),
            Self::Bd09 => inverse(inverse(position, bd09_from_gcj02), gcj02_from_wgs84),
        }
    }

    /// `position`, given in WGS-84, in this datum.
    #[must_use]
    pub fn from_wgs84(self, position: Position) -> Position {
        match self {
            Self::Wgs84 | Self::Cgcs2000 => position,
            Self::Gcj02 => gcj02_from_wgs84(position),
            Self::Bd09 => bd09_from_gcj02(gcj02_from_wgs84(position)),
        }
    }
}

impl fmt::Display for Datum {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str(self.label())
    }
}

impl FromStr for Datum {
    type Err = UnknownDatum;

    fn from_str(label: &str) -> Result<Self, UnknownDatum> {
        Self::ALL
            .into_iter()
            .find(|datum| datum.label() == label)
            .ok_or_else(|| UnknownDatum(label.to_owned()))
    }
}

fn is_in_china(position: Position) -> bool {
    let within = |(low, high), value| (low..=high).contains(&value);
    within(CHINA_LON_DEG, position.lon_deg) && within(CHINA_LAT_DEG, position.lat_deg)
}

/// Three sine waves that the shift of GCJ-02 has in common: of 6 and 2 per degree of `x`.
fn ripple(x: f64) -> f64 {
    let sine = |per_degree: f64| (per_degree * x * std::f64::consts::PI).sin();
    (20.0 * sine(6.0) + 20.0 * sine(2.0)) * 2.0 / 3.0
}

/// The shift of GCJ-02 in metres east and north, at `x`, `y` degrees from 105 E, 35 N.
fn shift_m(x: f64, y: f64) -> (f64, f64) {
    let sine = |degrees: f64| (degrees * std::f64::consts::PI).sin();
    let root = x.abs().sqrt();
    let east = 300.0
        + x
        + 2.0 * y
        + 0.1 * x * x
        + 0.1 * x * y
        + 0.1 * root
        + ripple(x)
        + (20.0 * sine(x) + 40.0 * sine(x / 3.0)) * 2.0 / 3.0
        + (150.0 * sine(x / 12.0) + 300.0 * sine(x / 30.0)) * 2.0 / 3.0;
    let north = -100.0
        + 2.0 * x
        + 3.0 * y
        + 0.2 * y * y
        + 0.1 * x * y
        + 0.2 * root
        + ripple(x)
        + (20.0 * sine(y) + 40.0 * sine(y / 3.0)) * 2.0 / 3.0
        + (160.0 * sine(y / 12.0) + 320.0 * sine(y / 30.0)) * 2.0 / 3.0;
    (east, north)
}

fn gcj02_from_wgs84(position: Position) -> Position {
    if !is_in_china(position) {
        return position;
    }
    let (east_m, north_m) = shift_m(position.lon_deg - 105.0, position.lat_deg - 35.0);
    let lat = position.lat_deg.to_radians();
    let flattening = 1.0 - ECCENTRICITY_SQUARED * lat.sin() * lat.sin();
    // Radii of curvature in the prime vertical and along the meridian (Snyder 1987, p. 25).
    let across_m = SEMI_MAJOR_M / flattening.sqrt() * lat.cos();
    let along_m = SEMI_MAJOR_M * (1.0 - ECCENTRICITY_SQUARED) / (flattening * flattening.sqrt());
    Position {
        lon_deg: position.lon_deg + (east_m / across_m).to_degrees(),
        lat_deg: position.lat_deg + (north_m / along_m).to_degrees(),
    }
}

fn bd09_from_gcj02(position: Position) -> Position {
    if !is_in_china(position) {
        return position;
    }
    let (x, y) = (position.lon_deg, position.lat_deg);
    // 3000 waves a turn.
    let wave = 3000.0 * std::f64::consts::PI / 180.0;
    let radius = x.hypot(y) + 0.000_02 * (y * wave).sin();
    let angle = y.atan2(x) + 0.000_003 * (x * wave).cos();
    Position {
        lon_deg: radius * angle.cos() + BAIDU_SHIFT_LON_DEG,
        lat_deg: radius * angle.sin() + BAIDU_SHIFT_LAT_DEG,
    }
}

/// The position that `forward` takes to `wanted`, by fixed-point iteration: the shift is nearly
/// the same at both ends.
fn inverse(wanted: Position, forward: fn(Position) -> Position) -> Position {
    let mut found = wanted;
    for _ in 0..INVERSE_ROUNDS_MAX {
        let there = forward(found);
        let (lon, lat) = (
            wanted.lon_deg - there.lon_deg,
            wanted.lat_deg - there.lat_deg,
        );
        found = Position::new(found.lon_deg + lon, found.lat_deg + lat);
        if lon.abs().max(lat.abs()) < INVERSE_STEP_DEG {
            break;
        }
    }
    found
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    #[test]
    fn a_street_in_wuhan_is_586_m_apart() {
        let wgs84 = Position::new(114.299_951_2, 30.595_517_7);
        let gcj02 = Datum::Gcj02.from_wgs84(wgs84);
        let bd09 = Datum::Bd09.from_wgs84(wgs84);
        assert!((gcj02.lon_deg - 114.305_394_2).abs() < 1e-5, "{gcj02:?}");
        assert!((gcj02.lat_deg - 30.593_104_4).abs() < 1e-5, "{gcj02:?}");
        assert!((bd09.lon_deg - 114.311_975_5).abs() < 1e-5, "{bd09:?}");
        assert!((bd09.lat_deg - 30.598_773_2).abs() < 1e-5, "{bd09:?}");
        assert!((wgs84.distance_to(gcj02).value() - 586.0).abs() < 2.0);
    }

    #[test]
    fn labels_are_their_datums() {
        for datum in Datum::ALL {
            assert_eq!(datum.label().parse(), Ok(datum));
        }
        assert!("wgs-84".parse::<Datum>().is_err());
    }

    proptest! {
        #[test]
        fn there_and_back_is_within_half_a_metre(lon in 73.0f64..135.0, lat in 17.0f64..54.0) {
            let position = Position::new(lon, lat);
            for datum in Datum::ALL {
                let back = datum.to_wgs84(datum.from_wgs84(position));
                prop_assert!(back.distance_to(position).value() < 0.5, "{datum}: {back:?}");
            }
        }

        #[test]
        fn abroad_nothing_moves(lon in -180.0f64..70.0, lat in -80.0f64..80.0) {
            let position = Position::new(lon, lat);
            for datum in Datum::ALL {
                prop_assert_eq!(datum.from_wgs84(position), position);
                prop_assert_eq!(datum.to_wgs84(position), position);
            }
        }
    }
}
