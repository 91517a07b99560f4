//! How well times are known.

use rasn::prelude::*;

/// Time is within this much.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
pub enum TimeConfidence {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `time-100-000`.
    #[rasn(identifier = "time-100-000")]
    Time100_000 = 1,
    /// `time-050-000`.
    #[rasn(identifier = "time-050-000")]
    Time050_000 = 2,
    /// `time-020-000`.
    #[rasn(identifier = "time-020-000")]
    Time020_000 = 3,
    /// `time-010-000`.
    #[rasn(identifier = "time-010-000")]
    Time010_000 = 4,
    /// `time-002-000`.
    #[rasn(identifier = "time-002-000")]
    Time002_000 = 5,
    /// `time-001-000`.
    #[rasn(identifier = "time-001-000")]
    Time001_000 = 6,
    /// `time-000-500`.
    #[rasn(identifier = "time-000-500")]
    Time000_500 = 7,
    /// `time-000-200`.
    #[rasn(identifier = "time-000-200")]
    Time000_200 = 8,
    /// `time-000-100`.
    #[rasn(identifier = "time-000-100")]
    Time000_100 = 9,
    /// `time-000-050`.
    #[rasn(identifier = "time-000-050")]
    Time000_050 = 10,
    /// `time-000-020`.
    #[rasn(identifier = "time-000-020")]
    Time000_020 = 11,
    /// `time-000-010`.
    #[rasn(identifier = "time-000-010")]
    Time000_010 = 12,
    /// `time-000-005`.
    #[rasn(identifier = "time-000-005")]
    Time000_005 = 13,
    /// `time-000-002`.
    #[rasn(identifier = "time-000-002")]
    Time000_002 = 14,
    /// `time-000-001`.
    #[rasn(identifier = "time-000-001")]
    Time000_001 = 15,
    /// `time-000-000-5`.
    #[rasn(identifier = "time-000-000-5")]
    Time000_000_5 = 16,
    /// `time-000-000-2`.
    #[rasn(identifier = "time-000-000-2")]
    Time000_000_2 = 17,
    /// `time-000-000-1`.
    #[rasn(identifier = "time-000-000-1")]
    Time000_000_1 = 18,
    /// `time-000-000-05`.
    #[rasn(identifier = "time-000-000-05")]
    Time000_000_05 = 19,
    /// `time-000-000-02`.
    #[rasn(identifier = "time-000-000-02")]
    Time000_000_02 = 20,
    /// `time-000-000-01`.
    #[rasn(identifier = "time-000-000-01")]
    Time000_000_01 = 21,
    /// `time-000-000-005`.
    #[rasn(identifier = "time-000-000-005")]
    Time000_000_005 = 22,
    /// `time-000-000-002`.
    #[rasn(identifier = "time-000-000-002")]
    Time000_000_002 = 23,
    /// `time-000-000-001`.
    #[rasn(identifier = "time-000-000-001")]
    Time000_000_001 = 24,
    /// `time-000-000-000-5`.
    #[rasn(identifier = "time-000-000-000-5")]
    Time000_000_000_5 = 25,
    /// `time-000-000-000-2`.
    #[rasn(identifier = "time-000-000-000-2")]
    Time000_000_000_2 = 26,
    /// `time-000-000-000-1`.
    #[rasn(identifier = "time-000-000-000-1")]
    Time000_000_000_1 = 27,
    /// `time-000-000-000-05`.
    #[rasn(identifier = "time-000-000-000-05")]
    Time000_000_000_05 = 28,
    /// `time-000-000-000-02`.
    #[rasn(identifier = "time-000-000-000-02")]
    Time000_000_000_02 = 29,
    /// `time-000-000-000-01`.
    #[rasn(identifier = "time-000-000-000-01")]
    Time000_000_000_01 = 30,
    /// `time-000-000-000-005`.
    #[rasn(identifier = "time-000-000-000-005")]
    Time000_000_000_005 = 31,
    /// `time-000-000-000-002`.
    #[rasn(identifier = "time-000-000-000-002")]
    Time000_000_000_002 = 32,
    /// `time-000-000-000-001`.
    #[rasn(identifier = "time-000-000-000-001")]
    Time000_000_000_001 = 33,
    /// `time-000-000-000-000-5`.
    #[rasn(identifier = "time-000-000-000-000-5")]
    Time000_000_000_000_5 = 34,
    /// `time-000-000-000-000-2`.
    #[rasn(identifier = "time-000-000-000-000-2")]
    Time000_000_000_000_2 = 35,
    /// `time-000-000-000-000-1`.
    #[rasn(identifier = "time-000-000-000-000-1")]
    Time000_000_000_000_1 = 36,
    /// `time-000-000-000-000-05`.
    #[rasn(identifier = "time-000-000-000-000-05")]
    Time000_000_000_000_05 = 37,
    /// `time-000-000-000-000-02`.
    #[rasn(identifier = "time-000-000-000-000-02")]
    Time000_000_000_000_02 = 38,
    /// `time-000-000-000-000-01`.
    #[rasn(identifier = "time-000-000-000-000-01")]
    Time000_000_000_000_01 = 39,
}
