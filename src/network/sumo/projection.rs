//! From the metres of a projected plane back to WGS-84.
//!
//! Inverse transverse Mercator by the Krüger series in the third flattening, to its fourth power
//! (Karney 2011, Transverse Mercator with an accuracy of a few nanometers, eqs. 14, 26, 36; the
//! series from conformal to geographic latitude is Kawase 2011, eq. 17): below 0.1 mm within a
//! zone.

use crate::units::Position;

/// WGS-84 equatorial radius in metres (NIMA TR8350.2).
const EQUATOR_M: f64 = 6_378_137.0;
/// WGS-84 flattening (NIMA TR8350.2).
const FLATTENING: f64 = 1.0 / 298.257_223_563;

/// A transverse Mercator plane.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct TransverseMercator {
    central_lon_deg: f64,
    scale: f64,
    false_east_m: f64,
    /// False northing, and the northing of the latitude of origin taken off.
    false_north_m: f64,
}

impl TransverseMercator {
    /// UTM zone `zone` (1..=60) (Snyder 1987, Map Projections, p. 57).
    pub(super) fn utm(zone: u8, is_south: bool) -> Self {
        Self {
            central_lon_deg: f64::from(zone) * 6.0 - 183.0,
            scale: 0.9996,
            false_east_m: 500_000.0,
            false_north_m: if is_south { 10_000_000.0 } else { 0.0 },
        }
    }

    /// Reads a PROJ string: `+proj=utm +zone=32 [+south]`, or `+proj=tmerc` with `lon_0`, `lat_0`,
    /// `k` and offsets, both on WGS-84. The problem is said where another is asked for.
    pub(super) fn parse(parameters: &str) -> Result<Self, String> {
        let unsupported =
            || format!("projection {parameters:?} is not supported (utm or tmerc on WGS84)");
        let get = |key: &str| {
            parameters
                .split_whitespace()
                .find_map(|word| word.strip_prefix('+')?.strip_prefix(key)?.strip_prefix('='))
        };
        let number = |keys: [&str; 2], default: f64| match keys.iter().find_map(|key| get(key)) {
            None => Ok(default),
            Some(text) => text
                .parse::<f64>()
                .ok()
                .filter(|n| n.is_finite())
                .ok_or_else(unsupported),
        };
        let known =
            |key: &str, values: [&str; 3]| get(key).is_none_or(|value| values.contains(&value));
        if !known("ellps", ["WGS84", "GRS80", "wgs84"])
            || !known("datum", ["WGS84", "ETRS89", "wgs84"])
        {
            return Err(unsupported());
        }
        match get("proj") {
            Some("utm") => {
                let zone = get("zone")
                    .and_then(|text| text.parse::<u8>().ok())
                    .filter(|zone| (1..=60).contains(zone))
                    .ok_or_else(unsupported)?;
                let is_south = parameters.split_whitespace().any(|word| word == "+south");
                Ok(Self::utm(zone, is_south))
            }
            Some("tmerc") => {
                let scale = number(["k", "k_0"], 1.0)?;
                let origin_north_m = scale * meridian_arc_m(number(["lat_0", "lat_0"], 0.0)?);
                Ok(Self {
                    central_lon_deg: number(["lon_0", "lon_0"], 0.0)?,
                    scale,
                    false_east_m: number(["x_0", "x_0"], 0.0)?,
                    false_north_m: number(["y_0", "y_0"], 0.0)? - origin_north_m,
                })
            }
            _ => Err(unsupported()),
        }
    }

    /// The position at `east_m`, `north_m` of the plane.
    pub(super) fn to_position(self, east_m: f64, north_m: f64) -> Position {
        let n = third_flattening();
        let (n2, n3, n4) = (n * n, n * n * n, n * n * n * n);
        let beta = [
            n / 2.0 - n2 * 2.0 / 3.0 + n3 * 37.0 / 96.0 - n4 / 360.0,
            n2 / 48.0 + n3 / 15.0 - n4 * 437.0 / 1440.0,
            n3 * 17.0 / 480.0 - n4 * 37.0 / 840.0,
            n4 * 4397.0 / 161_280.0,
        ];
        let delta = [
            n * 2.0 - n2 * 2.0 / 3.0 - n3 * 2.0 + n4 * 116.0 / 45.0,
            n2 * 7.0 / 3.0 - n3 * 8.0 / 5.0 - n4 * 227.0 / 45.0,
            n3 * 56.0 / 15.0 - n4 * 136.0 / 35.0,
            n4 * 4279.0 / 630.0,
        ];
        let unit_m = self.scale * rectifying_radius_m();
        let xi = (north_m - self.false_north_m) / unit_m;
        let eta = (east_m - self.false_east_m) / unit_m;
        let (mut xi_sphere, mut eta_sphere) = (xi, eta);
        for (term, beta) in (1..).zip(beta) {
            let twice = 2.0 * f64::from(term);
            xi_sphere -= beta * (twice * xi).sin() * (twice * eta).cosh();
            eta_sphere -= beta * (twice * xi).cos() * (twice * eta).sinh();
        }
        let conformal = (xi_sphere.sin() / eta_sphere.cosh()).asin();
        let series: f64 = (1..)
            .zip(delta)
            .map(|(term, delta)| delta * (2.0 * f64::from(term) * conformal).sin())
            .sum();
        let lon = eta_sphere.sinh().atan2(xi_sphere.cos());
        Position {
            lon_deg: self.central_lon_deg + lon.to_degrees(),
            lat_deg: (conformal + series).to_degrees(),
        }
    }
}

fn third_flattening() -> f64 {
    FLATTENING / (2.0 - FLATTENING)
}

/// Radius of the sphere whose meridian is as long as the ellipsoid's, metres.
fn rectifying_radius_m() -> f64 {
    let n = third_flattening();
    EQUATOR_M / (1.0 + n) * (1.0 + n * n / 4.0 + n * n * n * n / 64.0)
}

/// Metres along the meridian from the equator (Kawase 2011, eq. 5, by the conformal latitude).
fn meridian_arc_m(lat_deg: f64) -> f64 {
    let n = third_flattening();
    let (n2, n3, n4) = (n * n, n * n * n, n * n * n * n);
    let alpha = [
        n / 2.0 - n2 * 2.0 / 3.0 + n3 * 5.0 / 16.0 + n4 * 41.0 / 180.0,
        n2 * 13.0 / 48.0 - n3 * 3.0 / 5.0 + n4 * 557.0 / 1440.0,
        n3 * 61.0 / 240.0 - n4 * 103.0 / 140.0,
        n4 * 49_561.0 / 161_280.0,
    ];
    let sin = lat_deg.to_radians().sin();
    let eccentricity = (FLATTENING * (2.0 - FLATTENING)).sqrt();
    let conformal = (sin.atanh() - eccentricity * (eccentricity * sin).atanh())
        .sinh()
        .atan();
    let series: f64 = (1..)
        .zip(alpha)
        .map(|(term, alpha)| alpha * (2.0 * f64::from(term) * conformal).sin())
        .sum();
    rectifying_radius_m() * (conformal + series)
}

#[cfg(test)]
mod tests {
    use super::*;

    fn assert_at(got: Position, lon_deg: f64, lat_deg: f64, within_m: f64) {
        let apart_m = got.distance_to(Position::new(lon_deg, lat_deg)).value();
        assert!(apart_m < within_m, "{got:?} is {apart_m} m off");
    }

    #[test]
    fn agrees_with_published_points() {
        // CN Tower: zone 17, 630 084 m E, 4 833 438 m N is 43°38'33.24"N 79°23'13.7"W.
        let tower = TransverseMercator::utm(17, false).to_position(630_084.0, 4_833_438.0);
        assert_at(
            tower,
            -(79.0 + 23.0 / 60.0 + 13.7 / 3600.0),
            43.0 + 38.0 / 60.0 + 33.24 / 3600.0,
            1.5,
        );
        // A quarter of the meridian is 10 001 965.729 m long on WGS-84.
        assert!((meridian_arc_m(90.0) - 10_001_965.729).abs() < 1e-3);
        let pole =
            TransverseMercator::utm(32, false).to_position(500_000.0, 10_001_965.729 * 0.9996);
        assert!((pole.lat_deg - 90.0).abs() < 1e-8);
    }

    #[test]
    fn meridian_arc_and_inverse_agree_along_the_central_meridian() {
        for lat_deg in [-60.0, -5.0, 0.0, 22.5, 44.5, 70.0] {
            let plane = TransverseMercator::parse("+proj=tmerc +lon_0=114 +ellps=GRS80").unwrap();
            let back = plane.to_position(0.0, meridian_arc_m(lat_deg));
            assert!(
                (back.lat_deg - lat_deg).abs() < 1e-9,
                "{lat_deg} came back as {back:?}"
            );
        }
    }

    #[test]
    fn reads_proj_strings() {
        let utm = TransverseMercator::parse(
            "+proj=utm +zone=32 +ellps=WGS84 +datum=WGS84 +units=m +no_defs",
        );
        assert_eq!(utm, Ok(TransverseMercator::utm(32, false)));
        let same =
            TransverseMercator::parse("+proj=tmerc +lat_0=0 +lon_0=9 +k=0.9996 +x_0=500000 +y_0=0");
        let (a, b) = (utm.unwrap(), same.unwrap());
        assert_at(a.to_position(683_195.0, 4_928_877.0), 11.3, 44.49, 3_000.0);
        let moved = b.to_position(683_195.0, 4_928_877.0);
        assert_at(
            a.to_position(683_195.0, 4_928_877.0),
            moved.lon_deg,
            moved.lat_deg,
            1e-4,
        );
        for bad in [
            "!",
            "+proj=utm",
            "+proj=utm +zone=61",
            "+proj=lcc",
            "+proj=utm +zone=3 +ellps=bessel",
        ] {
            assert!(TransverseMercator::parse(bad).is_err(), "{bad}");
        }
    }
}
