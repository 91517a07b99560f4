//! Positions: absolute, as offsets in seven widths, and their confidence.

use rasn::prelude::*;

/// How well a position is known.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionConfidenceSet {
    /// Position.
    #[rasn(identifier = "pos")]
    pub pos: PositionConfidence,
    /// Elevation.
    #[rasn(identifier = "elevation")]
    pub elevation: Option<ElevationConfidence>,
}

/// Horizontal position is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum PositionConfidence {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `a500m`.
    #[rasn(identifier = "a500m")]
    A500m = 1,
    /// `a200m`.
    #[rasn(identifier = "a200m")]
    A200m = 2,
    /// `a100m`.
    #[rasn(identifier = "a100m")]
    A100m = 3,
    /// `a50m`.
    #[rasn(identifier = "a50m")]
    A50m = 4,
    /// `a20m`.
    #[rasn(identifier = "a20m")]
    A20m = 5,
    /// `a10m`.
    #[rasn(identifier = "a10m")]
    A10m = 6,
    /// `a5m`.
    #[rasn(identifier = "a5m")]
    A5m = 7,
    /// `a2m`.
    #[rasn(identifier = "a2m")]
    A2m = 8,
    /// `a1m`.
    #[rasn(identifier = "a1m")]
    A1m = 9,
    /// `a50cm`.
    #[rasn(identifier = "a50cm")]
    A50cm = 10,
    /// `a20cm`.
    #[rasn(identifier = "a20cm")]
    A20cm = 11,
    /// `a10cm`.
    #[rasn(identifier = "a10cm")]
    A10cm = 12,
    /// `a5cm`.
    #[rasn(identifier = "a5cm")]
    A5cm = 13,
    /// `a2cm`.
    #[rasn(identifier = "a2cm")]
    A2cm = 14,
    /// `a1cm`.
    #[rasn(identifier = "a1cm")]
    A1cm = 15,
}

/// Elevation is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum ElevationConfidence {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `elev-500-00`.
    #[rasn(identifier = "elev-500-00")]
    Elev500_00 = 1,
    /// `elev-200-00`.
    #[rasn(identifier = "elev-200-00")]
    Elev200_00 = 2,
    /// `elev-100-00`.
    #[rasn(identifier = "elev-100-00")]
    Elev100_00 = 3,
    /// `elev-050-00`.
    #[rasn(identifier = "elev-050-00")]
    Elev050_00 = 4,
    /// `elev-020-00`.
    #[rasn(identifier = "elev-020-00")]
    Elev020_00 = 5,
    /// `elev-010-00`.
    #[rasn(identifier = "elev-010-00")]
    Elev010_00 = 6,
    /// `elev-005-00`.
    #[rasn(identifier = "elev-005-00")]
    Elev005_00 = 7,
    /// `elev-002-00`.
    #[rasn(identifier = "elev-002-00")]
    Elev002_00 = 8,
    /// `elev-001-00`.
    #[rasn(identifier = "elev-001-00")]
    Elev001_00 = 9,
    /// `elev-000-50`.
    #[rasn(identifier = "elev-000-50")]
    Elev000_50 = 10,
    /// `elev-000-20`.
    #[rasn(identifier = "elev-000-20")]
    Elev000_20 = 11,
    /// `elev-000-10`.
    #[rasn(identifier = "elev-000-10")]
    Elev000_10 = 12,
    /// `elev-000-05`.
    #[rasn(identifier = "elev-000-05")]
    Elev000_05 = 13,
    /// `elev-000-02`.
    #[rasn(identifier = "elev-000-02")]
    Elev000_02 = 14,
    /// `elev-000-01`.
    #[rasn(identifier = "elev-000-01")]
    Elev000_01 = 15,
}

/// A position (WGS-84).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct Position3D {
    /// Latitude: `-900000000..=900000001`; 1e-7 degree, 900000001 unknown.
    #[rasn(identifier = "lat", value("-900000000..=900000001"))]
    pub lat: i32,
    /// Longitude: `-1799999999..=1800000001`; 1e-7 degree, 1800000001 unknown.
    #[rasn(identifier = "long", value("-1799999999..=1800000001"))]
    pub long: i32,
    /// Elevation: `-4096..=61439`; 0.1 m, -4096 unknown.
    #[rasn(identifier = "elevation", value("-4096..=61439"))]
    pub elevation: Option<i32>,
}

/// The error ellipse of a position.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionalAccuracy {
    /// Major axis: `0..=255`; 0.05 m, 255 unknown.
    #[rasn(identifier = "semiMajor", value("0..=255"))]
    pub semi_major: u8,
    /// Minor axis: `0..=255`; 0.05 m, 255 unknown.
    #[rasn(identifier = "semiMinor", value("0..=255"))]
    pub semi_minor: u8,
    /// Orientation of the major axis: `0..=65535`; 360/65535 degree, 65535 unknown.
    #[rasn(identifier = "orientation", value("0..=65535"))]
    pub orientation: u16,
}

/// A position as offset from a reference position, or absolute.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionOffsetLlv {
    /// Horizontal part.
    #[rasn(identifier = "offsetLL")]
    pub offset_ll: PositionOffsetLl,
    /// Vertical part.
    #[rasn(identifier = "offsetV")]
    pub offset_v: Option<VerticalOffset>,
}

/// Offset of up to 2047 steps of 1e-7 degree.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionLl24B {
    /// Longitude: `-2048..=2047`; 1e-7 degree.
    #[rasn(identifier = "lon", value("-2048..=2047"))]
    pub lon: i16,
    /// Latitude: `-2048..=2047`; 1e-7 degree.
    #[rasn(identifier = "lat", value("-2048..=2047"))]
    pub lat: i16,
}

/// Offset of up to 8191 steps of 1e-7 degree.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionLl28B {
    /// Longitude: `-8192..=8191`; 1e-7 degree.
    #[rasn(identifier = "lon", value("-8192..=8191"))]
    pub lon: i16,
    /// Latitude: `-8192..=8191`; 1e-7 degree.
    #[rasn(identifier = "lat", value("-8192..=8191"))]
    pub lat: i16,
}

/// Offset of up to 32 767 steps of 1e-7 degree.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionLl32B {
    /// Longitude: `-32768..=32767`; 1e-7 degree.
    #[rasn(identifier = "lon", value("-32768..=32767"))]
    pub lon: i16,
    /// Latitude: `-32768..=32767`; 1e-7 degree.
    #[rasn(identifier = "lat", value("-32768..=32767"))]
    pub lat: i16,
}

/// Offset of up to 131 071 steps of 1e-7 degree.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionLl36B {
    /// Longitude: `-131072..=131071`; 1e-7 degree.
    #[rasn(identifier = "lon", value("-131072..=131071"))]
    pub lon: i32,
    /// Latitude: `-131072..=131071`; 1e-7 degree.
    #[rasn(identifier = "lat", value("-131072..=131071"))]
    pub lat: i32,
}

/// Offset of up to 2 097 151 steps of 1e-7 degree.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionLl44B {
    /// Longitude: `-2097152..=2097151`; 1e-7 degree.
    #[rasn(identifier = "lon", value("-2097152..=2097151"))]
    pub lon: i32,
    /// Latitude: `-2097152..=2097151`; 1e-7 degree.
    #[rasn(identifier = "lat", value("-2097152..=2097151"))]
    pub lat: i32,
}

/// Offset of up to 8 388 607 steps of 1e-7 degree.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionLl48B {
    /// Longitude: `-8388608..=8388607`; 1e-7 degree.
    #[rasn(identifier = "lon", value("-8388608..=8388607"))]
    pub lon: i32,
    /// Latitude: `-8388608..=8388607`; 1e-7 degree.
    #[rasn(identifier = "lat", value("-8388608..=8388607"))]
    pub lat: i32,
}

/// An absolute position.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct PositionLlmD64b {
    /// Longitude: `-1799999999..=1800000001`; 1e-7 degree, 1800000001 unknown.
    #[rasn(identifier = "lon", value("-1799999999..=1800000001"))]
    pub lon: i32,
    /// Latitude: `-900000000..=900000001`; 1e-7 degree, 900000001 unknown.
    #[rasn(identifier = "lat", value("-900000000..=900000001"))]
    pub lat: i32,
}

/// A horizontal position: an offset in one of six widths, or absolute.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
pub enum PositionOffsetLl {
    /// Offset of up to 2047 steps of 1e-7 degree.
    #[rasn(identifier = "position-LL1")]
    PositionLl1(PositionLl24B),
    /// Offset of up to 8191 steps of 1e-7 degree.
    #[rasn(identifier = "position-LL2")]
    PositionLl2(PositionLl28B),
    /// Offset of up to 32 767 steps of 1e-7 degree.
    #[rasn(identifier = "position-LL3")]
    PositionLl3(PositionLl32B),
    /// Offset of up to 131 071 steps of 1e-7 degree.
    #[rasn(identifier = "position-LL4")]
    PositionLl4(PositionLl36B),
    /// Offset of up to 2 097 151 steps of 1e-7 degree.
    #[rasn(identifier = "position-LL5")]
    PositionLl5(PositionLl44B),
    /// Offset of up to 8 388 607 steps of 1e-7 degree.
    #[rasn(identifier = "position-LL6")]
    PositionLl6(PositionLl48B),
    /// An absolute position.
    #[rasn(identifier = "position-LatLon")]
    PositionLatLon(PositionLlmD64b),
}

/// An elevation: an offset of 0.1 m steps in one of six widths, or absolute.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
pub enum VerticalOffset {
    /// Offset in steps of 0.1 m: `-64..=63`.
    #[rasn(identifier = "offset1", value("-64..=63"))]
    Offset1(i8),
    /// Offset in steps of 0.1 m: `-128..=127`.
    #[rasn(identifier = "offset2", value("-128..=127"))]
    Offset2(i8),
    /// Offset in steps of 0.1 m: `-256..=255`.
    #[rasn(identifier = "offset3", value("-256..=255"))]
    Offset3(i16),
    /// Offset in steps of 0.1 m: `-512..=511`.
    #[rasn(identifier = "offset4", value("-512..=511"))]
    Offset4(i16),
    /// Offset in steps of 0.1 m: `-1024..=1023`.
    #[rasn(identifier = "offset5", value("-1024..=1023"))]
    Offset5(i16),
    /// Offset in steps of 0.1 m: `-2048..=2047`.
    #[rasn(identifier = "offset6", value("-2048..=2047"))]
    Offset6(i16),
    /// Absolute, in steps of 0.1 m, -4096 unknown: `-4096..=61439`; 0.1 m, -4096 unknown.
    #[rasn(identifier = "elevation", value("-4096..=61439"))]
    Elevation(i32),
}
