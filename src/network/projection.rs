//! From the metres of a projected plane back to WGS-84.
//!
//! Inverse transverse Mercator by the Krüger series in the third flattening, to its fourth power
//! (Karney 2011, Transverse Mercator with an accuracy of a few nanometers, eqs. 14, 26, 36; the
//! series from conformal to geographic latitude is Kawase 2011, eq. 17): below 0.1 mm within a
//! zone.

use crate::units::{EARTH_RADIUS_M, Position};

/// WGS-84 equatorial radius in metres (NIMA TR8350.2).
const EQUATOR_M: f64 = 6_378_137.0;
/// WGS-84 flattening (NIMA TR8350.2).
const FLATTENING: f64 = 1.0 / 298.257_223_563;

/// How a source's own plane lies on Earth: turned, moved, then projected.
#[derive(Clone, Copy, Debug)]
pub(super) struct Plane {
    /// `None`: metres around longitude 0, latitude 0.
    projection: Option<Projection>,
    shift_m: (f64, f64),
    /// Cosine and sine of the turn, counter-clockwise.
    turn: (f64, f64),
}

impl Plane {
    /// A plane whose points, turned by `turn_rad` and moved by `shift_m`, are those of
    /// `projection`.
    pub(super) fn new(projection: Option<Projection>, shift_m: (f64, f64), turn_rad: f64) -> Self {
        Self {
            projection,
            shift_m,
            turn: (turn_rad.cos(), turn_rad.sin()),
        }
    }

    /// The position of a point of the plane, metres.
    pub(super) fn to_position(self, (x, y): (f64, f64)) -> Position {
        let (cos, sin) = self.turn;
        let east_m = x * cos - y * sin + self.shift_m.0;
        let north_m = x * sin + y * cos + self.shift_m.1;
        match self.projection {
            Some(Projection::TransverseMercator(plane)) => plane.to_position(east_m, north_m),
            Some(Projection::Mercator(plane)) => plane.to_position(east_m, north_m),
            None => Position::new(
                (east_m / EARTH_RADIUS_M).to_degrees(),
                (north_m / EARTH_RADIUS_M).to_degrees(),
            ),
        }
    }
}

/// A projection that a network file can name.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) enum Projection {
    TransverseMercator(TransverseMercator),
    Mercator(Mercator),
}

impl Projection {
    /// Reads a PROJ string: `+proj=utm +zone=32 [+south]`, `+proj=tmerc` or `+proj=merc` with
    /// `lon_0`, `lat_0` or `lat_ts`, `k` and offsets, all on WGS-84. The problem is said where
    /// another is asked for.
    pub(super) fn parse(parameters: &str) -> Result<Self, String> {
        let words = Words(parameters);
        words.known("ellps", ["WGS84", "GRS80", "wgs84"])?;
        words.known("datum", ["WGS84", "ETRS89", "wgs84"])?;
        words.known("units", ["m", "metre", "meter"])?;
        match words.get("proj") {
            Some("utm") => {
                let zone = words
                    .get("zone")
                    .and_then(|text| text.parse::<u8>().ok())
                    .filter(|zone| (1..=60).contains(zone))
                    .ok_or_else(|| words.unsupported())?;
                let is_south = parameters.split_whitespace().any(|word| word == "+south");
                let plane = TransverseMercator::utm(zone, is_south);
                Ok(Self::TransverseMercator(plane))
            }
            Some("tmerc") => Ok(Self::TransverseMercator(TransverseMercator::read(&words)?)),
            Some("merc") => Ok(Self::Mercator(Mercator::read(&words)?)),
            _ => Err(words.unsupported()),
        }
    }
}

/// The words of a PROJ string.
struct Words<'a>(&'a str);

impl<'a> Words<'a> {
    fn unsupported(&self) -> String {
        format!(
            "projection {:?} is not supported (utm, tmerc or merc on WGS84, metres)",
            self.0
        )
    }

    fn get(&self, key: &str) -> Option<&'a str> {
        self.0
            .split_whitespace()
            .find_map(|word| word.strip_prefix('+')?.strip_prefix(key)?.strip_prefix('='))
    }

    fn known(&self, key: &str, values: [&str; 3]) -> Result<(), String> {
        let is_known = self.get(key).is_none_or(|value| values.contains(&value));
        is_known.then_some(()).ok_or_else(|| self.unsupported())
    }

    /// The number under the first of `keys` that is there.
    fn number(&self, keys: [&str; 2], default: f64) -> Result<f64, String> {
        let Some(text) = keys.iter().find_map(|key| self.get(key)) else {
            return Ok(default);
        };
        text.parse::<f64>()
            .ok()
            .filter(|number| number.is_finite())
            .ok_or_else(|| self.unsupported())
    }

    /// The scale, which is no scale unless positive.
    fn scale(&self) -> Result<f64, String> {
        let scale = self.number(["k", "k_0"], 1.0)?;
        (scale > 0.0)
            .then_some(scale)
            .ok_or_else(|| self.unsupported())
    }
}

/// A Mercator plane on the ellipsoid (Snyder 1987, Map Projections, eqs. 7-6 to 7-12).
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Mercator {
    central_lon_deg: f64,
    scale: f64,
    false_east_m: f64,
    false_north_m: f64,
}

impl Mercator {
    fn read(words: &Words<'_>) -> Result<Self, String> {
        let true_lat = words.number(["lat_ts", "lat_ts"], 0.0)?.to_radians();
        let squared = FLATTENING * (2.0 - FLATTENING);
        let at_true_lat = true_lat.cos() / (1.0 - squared * true_lat.sin().powi(2)).sqrt();
        Ok(Self {
            central_lon_deg: words.number(["lon_0", "lon_0"], 0.0)?,
            scale: words.scale()? * at_true_lat,
            false_east_m: words.number(["x_0", "x_0"], 0.0)?,
            false_north_m: words.number(["y_0", "y_0"], 0.0)?,
        })
    }

    fn to_position(self, east_m: f64, north_m: f64) -> Position {
        let unit_m = self.scale * EQUATOR_M;
        let lon = (east_m - self.false_east_m) / unit_m;
        let conformal = ((north_m - self.false_north_m) / unit_m).sinh().atan();
        Position {
            lon_deg: self.central_lon_deg + lon.to_degrees(),
            lat_deg: geographic(conformal).to_degrees(),
        }
    }
}

/// The geographic latitude of a conformal one, radians (Kawase 2011, eq. 17).
fn geographic(conformal: f64) -> f64 {
    let n = third_flattening();
    let (n2, n3, n4) = (n * n, n * n * n, n * n * n * n);
    let delta = [
        n * 2.0 - n2 * 2.0 / 3.0 - n3 * 2.0 + n4 * 116.0 / 45.0,
        n2 * 7.0 / 3.0 - n3 * 8.0 / 5.0 - n4 * 227.0 / 45.0,
        n3 * 56.0 / 15.0 - n4 * 136.0 / 35.0,
        n4 * 4279.0 / 630.0,
    ];
    let series: f64 = (1..)
        .zip(delta)
        .map(|(term, delta)| delta * (2.0 * f64::from(term) * conformal).sin())
        .sum();
    conformal + series
}

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

    fn read(words: &Words<'_>) -> Result<Self, String> {
        let scale = words.scale()?;
        let origin_north_m = scale * meridian_arc_m(words.number(["lat_0", "lat_0"], 0.0)?);
        Ok(Self {
            central_lon_deg: words.number(["lon_0", "lon_0"], 0.0)?,
            scale,
            false_east_m: words.number(["x_0", "x_0"], 0.0)?,
            false_north_m: words.number(["y_0", "y_0"], 0.0)? - origin_north_m,
        })
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
        let lon = eta_sphere.sinh().atan2(xi_sphere.cos());
        Position {
            lon_deg: self.central_lon_deg + lon.to_degrees(),
            lat_deg: geographic(conformal).to_degrees(),
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

    fn plane(text: &str) -> Plane {
        Plane::new(Some(Projection::parse(text).unwrap()), (0.0, 0.0), 0.0)
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
            let back = plane("+proj=tmerc +lon_0=114 +ellps=GRS80")
                .to_position((0.0, meridian_arc_m(lat_deg)));
            assert!(
                (back.lat_deg - lat_deg).abs() < 1e-9,
                "{lat_deg} came back as {back:?}"
            );
        }
    }

    #[test]
    fn reads_proj_strings() {
        let utm = plane("+proj=utm +zone=32 +ellps=WGS84 +datum=WGS84 +units=m +no_defs");
        let same = plane("+proj=tmerc +lat_0=0 +lon_0=9 +k=0.9996 +x_0=500000 +y_0=0");
        let at = utm.to_position((683_195.0, 4_928_877.0));
        assert_at(at, 11.3, 44.49, 3_000.0);
        let moved = same.to_position((683_195.0, 4_928_877.0));
        assert_at(at, moved.lon_deg, moved.lat_deg, 1e-4);
        // Made with pyproj 3.7.2: Proj(text)(114.3, 30.6).
        let mercator = plane("+proj=merc +lon_0=114 +k=1 +x_0=10 +y_0=20 +datum=WGS84");
        assert_at(
            mercator.to_position((33405.847, 3559182.296)),
            114.3,
            30.6,
            0.01,
        );
        for bad in [
            "!",
            "+proj=utm",
            "+proj=utm +zone=61",
            "+proj=lcc",
            "+proj=utm +zone=3 +ellps=bessel",
        ] {
            assert!(Projection::parse(bad).is_err(), "{bad}");
        }
    }
}
