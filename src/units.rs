//! Quantities, time, identifiers and positions: the words every other room speaks in.
//!
//! It holds no traffic logic and does no input or output. Inside roadcast everything is SI and
//! WGS-84; other units and datums exist only in decoders and publishers.

use std::fmt;

use geo::Distance;

mod date;
mod datum;

pub use date::{civil_date, civil_ms, date_of, day_number, read_date};
pub use datum::{Datum, UnknownDatum};

/// A point in event time: milliseconds since the Unix epoch, or since the start of a simulation
/// when the input counts its own seconds.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Timestamp(i64);

impl Timestamp {
    /// The smallest representable time; earlier than any observation.
    pub const MIN: Self = Self(i64::MIN);
    /// The largest representable time; later than any observation.
    pub const MAX: Self = Self(i64::MAX);

    /// Builds a time from milliseconds.
    pub const fn from_millis(millis: i64) -> Self {
        Self(millis)
    }

    /// Builds a time from whole seconds.
    pub const fn from_secs(secs: i64) -> Self {
        Self(secs.saturating_mul(1000))
    }

    /// Milliseconds since the epoch.
    pub const fn as_millis(self) -> i64 {
        self.0
    }

    /// Whole seconds since the epoch, rounded down.
    pub const fn as_secs(self) -> i64 {
        self.0.div_euclid(1000)
    }

    /// Seconds since the epoch with their fraction.
    pub fn as_secs_f64(self) -> f64 {
        self.0 as f64 / 1000.0
    }

    /// This time moved by `millis` (negative: earlier), saturating at the ends.
    #[must_use]
    pub const fn plus_millis(self, millis: i64) -> Self {
        Self(self.0.saturating_add(millis))
    }

    /// This time moved by `secs` seconds (negative: earlier), saturating at the ends.
    #[must_use]
    pub const fn plus_secs(self, secs: i64) -> Self {
        self.plus_millis(secs.saturating_mul(1000))
    }

    /// Milliseconds from `earlier` to this time; negative when `earlier` is later.
    pub const fn millis_since(self, earlier: Self) -> i64 {
        self.0.saturating_sub(earlier.0)
    }

    /// The largest multiple of `step_ms` not after this time. `step_ms` must be positive.
    #[must_use]
    pub const fn floor_to(self, step_ms: i64) -> Self {
        Self(self.0 - self.0.rem_euclid(step_ms))
    }

    /// The smallest multiple of `step_ms` not before this time. `step_ms` must be positive.
    #[must_use]
    pub const fn ceil_to(self, step_ms: i64) -> Self {
        Self(self.0 + (step_ms - self.0.rem_euclid(step_ms)) % step_ms)
    }
}

impl fmt::Display for Timestamp {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(
            f,
            "{}.{:03} s",
            self.0.div_euclid(1000),
            self.0.rem_euclid(1000)
        )
    }
}

/// A half-open stretch of event time `[start, end)`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct Interval {
    /// First instant inside.
    pub start: Timestamp,
    /// First instant after.
    pub end: Timestamp,
}

macro_rules! quantity {
    ($(#[$doc:meta])* $name:ident, $suffix:literal) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, Default, PartialEq, PartialOrd)]
        pub struct $name(pub f64);

        impl $name {
            /// The bare number in this unit.
            pub const fn value(self) -> f64 {
                self.0
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                write!(f, concat!("{:.2} ", $suffix), self.0)
            }
        }
    };
}

quantity!(
    /// A length in metres.
    Metres,
    "m"
);
quantity!(
    /// A speed in metres per second.
    MetresPerSecond,
    "m/s"
);
quantity!(
    /// A duration in seconds.
    Seconds,
    "s"
);
quantity!(
    /// An angle in degrees; headings are clockwise from north, `0 <= heading < 360`.
    Degrees,
    "deg"
);
quantity!(
    /// A flow in vehicles per hour.
    VehiclesPerHour,
    "veh/h"
);
quantity!(
    /// A density in vehicles per kilometre of carriageway.
    VehiclesPerKilometre,
    "veh/km"
);

impl MetresPerSecond {
    /// The speed in kilometres per hour, for publishers and people.
    pub fn as_kmh(self) -> f64 {
        self.0 * 3.6
    }

    /// Builds a speed from kilometres per hour.
    pub fn from_kmh(kmh: f64) -> Self {
        Self(kmh / 3.6)
    }
}

macro_rules! id {
    ($(#[$doc:meta])* $name:ident, $int:ty) => {
        $(#[$doc])*
        #[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
        pub struct $name(pub $int);

        impl $name {
            /// The position of this id in vectors indexed by it.
            pub const fn index(self) -> usize {
                self.0 as usize
            }
        }

        impl fmt::Display for $name {
            fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
                self.0.fmt(f)
            }
        }
    };
}

id!(
    /// A directed stretch of road between two junctions (路段), dense from 0 within one network
    /// version.
    SegmentId,
    u32
);
id!(
    /// A place where segments meet (路口), dense from 0 within one network version.
    JunctionId,
    u32
);
id!(
    /// A part of the network whose state one owner computes, fixed in the compiled network.
    RegionId,
    u32
);
id!(
    /// An evaluation section (评价路段): a chain of segments that is reported as one, dense from 0
    /// within one division of one network version.
    SectionId,
    u32
);
id!(
    /// One configured source of messages (a subscription or an input file), dense from 0.
    SourceId,
    u32
);
id!(
    /// A roadside unit: a hash of what it calls itself, the same in every message of one unit.
    UnitId,
    u64
);
id!(
    /// Who perceives a road user: a hash of the roadside unit's or station's id, 0 for a road user
    /// that reports itself.
    ObserverId,
    u32
);
id!(
    /// One way of seeing traffic (a source, what kind of sender it is, and who perceives), numbered
    /// from 1 in the order of appearance; 0 is none.
    ViewId,
    u16
);
id!(
    /// The pseudonym of a road user: a hash of what its source calls it, never the name itself.
    SubjectId,
    u64
);

impl ObserverId {
    /// A road user that reports itself.
    pub const ITSELF: Self = Self(0);

    /// The observer whose id hashes to `id`; never [`ObserverId::ITSELF`].
    pub const fn of(id: SubjectId) -> Self {
        let folded = (id.0 ^ (id.0 >> 32)) as u32;
        Self(if folded == 0 { 1 } else { folded })
    }
}

impl Default for ViewId {
    fn default() -> Self {
        Self::NONE
    }
}

impl ViewId {
    /// No view: not numbered, or one too many.
    pub const NONE: Self = Self(0);
}

/// Mean Earth radius in metres (IUGG R1, Moritz 2000).
pub const EARTH_RADIUS_M: f64 = 6_371_008.8;

/// A WGS-84 position in degrees: longitude -180..=180, latitude -90..=90.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct Position {
    /// Longitude in degrees, east positive.
    pub lon_deg: f64,
    /// Latitude in degrees, north positive.
    pub lat_deg: f64,
}

impl Position {
    /// Builds a position without checking its range; see [`Position::is_valid`].
    pub const fn new(lon_deg: f64, lat_deg: f64) -> Self {
        Self { lon_deg, lat_deg }
    }

    /// Whether both coordinates are finite and in range.
    pub fn is_valid(self) -> bool {
        (-180.0..=180.0).contains(&self.lon_deg) && (-90.0..=90.0).contains(&self.lat_deg)
    }

    /// Great-circle distance in metres: haversine formula on the mean Earth radius
    /// [`EARTH_RADIUS_M`], by the `geo` crate.
    pub fn distance_to(self, other: Self) -> Metres {
        let point = |position: Self| geo::Point::new(position.lon_deg, position.lat_deg);
        Metres(geo::Haversine.distance(point(self), point(other)))
    }
}

/// A point of the local plane of a network: metres east (`x`) and north (`y`) of its origin.
///
/// `f32` resolves 8 mm at 64 km from the origin, below any positioning error.
#[derive(Clone, Copy, Debug, Default, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub struct Point {
    /// Metres east of the origin.
    pub x: f32,
    /// Metres north of the origin.
    pub y: f32,
}

impl Point {
    /// Builds a point from metres east and north of the origin.
    pub const fn new(x: f32, y: f32) -> Self {
        Self { x, y }
    }

    /// Straight-line distance in metres.
    pub fn distance_m(self, other: Self) -> f32 {
        (self.x - other.x).hypot(self.y - other.y)
    }

    /// Heading from this point towards `other`, degrees clockwise from north in `0.0..360.0`.
    pub fn heading_deg_to(self, other: Self) -> f32 {
        (other.x - self.x)
            .atan2(other.y - self.y)
            .to_degrees()
            .rem_euclid(360.0)
    }
}

/// The equirectangular plane in which a network's geometry is kept.
///
/// `x = R cos(lat0) (lon - lon0)`, `y = R (lat - lat0)` (Snyder 1987, Map Projections, p. 90);
/// the scale error is below 0.1 % within 0.1 degree of latitude of the origin at 30 degrees north
/// and grows to about 1 % at 1 degree.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct LocalFrame {
    origin: Position,
    metres_per_lon_deg: f64,
    metres_per_lat_deg: f64,
}

impl LocalFrame {
    /// Builds the plane around `origin`.
    pub fn new(origin: Position) -> Self {
        let metres_per_lat_deg = EARTH_RADIUS_M.to_radians();
        let metres_per_lon_deg = metres_per_lat_deg * origin.lat_deg.to_radians().cos();
        Self {
            origin,
            metres_per_lon_deg,
            metres_per_lat_deg,
        }
    }

    /// The position at `(0, 0)`.
    pub fn origin(&self) -> Position {
        self.origin
    }

    /// Where `position` lies in the plane.
    pub fn to_point(&self, position: Position) -> Point {
        Point {
            x: ((position.lon_deg - self.origin.lon_deg) * self.metres_per_lon_deg) as f32,
            y: ((position.lat_deg - self.origin.lat_deg) * self.metres_per_lat_deg) as f32,
        }
    }

    /// Where `point` lies on Earth.
    pub fn to_position(&self, point: Point) -> Position {
        Position {
            lon_deg: self.origin.lon_deg + f64::from(point.x) / self.metres_per_lon_deg,
            lat_deg: self.origin.lat_deg + f64::from(point.y) / self.metres_per_lat_deg,
        }
    }
}

/// The smallest angle between two headings in degrees, `0.0..=180.0`.
pub fn heading_difference_deg(a: f32, b: f32) -> f32 {
    let d = (a - b).rem_euclid(360.0);
    if d > 180.0 { 360.0 - d } else { d }
}

/// The quadkey of the Web-Mercator tile that holds `position` at `zoom` (1..=23): one digit 0..=3
/// a level, as in the Bing Maps tile system (Schwartz 2018).
pub fn quadkey(position: Position, zoom: u8) -> String {
    let n = f64::from(1u32 << zoom);
    let lat = position
        .lat_deg
        .clamp(-85.051_128_78, 85.051_128_78)
        .to_radians();
    let x = ((position.lon_deg + 180.0) / 360.0 * n).clamp(0.0, n - 1.0) as u32;
    let y = ((1.0 - (lat.tan() + 1.0 / lat.cos()).ln() / std::f64::consts::PI) / 2.0 * n)
        .clamp(0.0, n - 1.0) as u32;
    (0..zoom)
        .rev()
        .map(|bit| char::from(b'0' + ((x >> bit) & 1) as u8 + 2 * ((y >> bit) & 1) as u8))
        .collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn floors_and_ceils_times_around_zero() {
        let t = |ms| Timestamp::from_millis(ms);
        assert_eq!(t(-1).floor_to(1000), t(-1000));
        assert_eq!(t(-1).ceil_to(1000), t(0));
        assert_eq!(t(1001).floor_to(1000), t(1000));
        assert_eq!(t(1001).ceil_to(1000), t(2000));
        assert_eq!(t(2000).ceil_to(1000), t(2000));
    }

    #[test]
    fn local_frame_agrees_with_the_great_circle_across_wuhan() {
        let (hankou, optics_valley) = (Position::new(114.27, 30.58), Position::new(114.40, 30.50));
        let frame = LocalFrame::new(Position::new(114.30, 30.55));
        let plane = frame
            .to_point(hankou)
            .distance_m(frame.to_point(optics_valley));
        let sphere = hankou.distance_to(optics_valley).value();
        assert!(
            (f64::from(plane) / sphere - 1.0).abs() < 1e-3,
            "{plane} against {sphere}"
        );
        let back = frame.to_position(frame.to_point(hankou));
        assert!(back.distance_to(hankou).value() < 0.01);
    }

    #[test]
    fn quadkey_follows_the_published_example() {
        // Bing Maps tile system: tile (3, 5) at level 3 has quadkey 213.
        let n = 8.0;
        let lon_deg = 3.5 / n * 360.0 - 180.0;
        let lat_deg = (std::f64::consts::PI * (1.0 - 2.0 * 5.5 / n))
            .sinh()
            .atan()
            .to_degrees();
        assert_eq!(quadkey(Position::new(lon_deg, lat_deg), 3), "213");
    }

    #[test]
    fn headings_wrap() {
        assert!((heading_difference_deg(359.0, 2.0) - 3.0).abs() < 1e-4);
        assert!((Point::new(0.0, 0.0).heading_deg_to(Point::new(-1.0, 0.0)) - 270.0).abs() < 1e-4);
    }
}
