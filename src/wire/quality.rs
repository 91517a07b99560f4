//! How good a position is: codes of receivers and messages as standard deviations.

/// Radius of the circle that holds 95 % of a circular normal distribution, in standard deviations
/// of one axis: sqrt(-2 ln 0.05).
pub(super) const RADIUS_95_SIGMAS: f32 = 2.448;

/// How a satellite receiver got its position (NMEA 0183, GGA, fix quality).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum FixQuality {
    /// On its own (1).
    Single,
    /// With differential corrections (2).
    Differential,
    /// Carrier phase, ambiguities resolved (4).
    RtkFixed,
    /// Carrier phase, ambiguities floating (5).
    RtkFloat,
}

impl FixQuality {
    /// The quality with this code of a GGA sentence; `None` for no fix and for estimates.
    pub fn from_code(code: u64) -> Option<Self> {
        match code {
            1 => Some(Self::Single),
            2 => Some(Self::Differential),
            4 => Some(Self::RtkFixed),
            5 => Some(Self::RtkFloat),
            _ => None,
        }
    }

    /// Standard deviation per axis in metres under an open sky. Within 95 %: 8 m alone (GPS SPS
    /// Performance Standard 2020, global average); chosen: 2.5 m with corrections, 0.5 m with
    /// floating and 0.05 m with fixed ambiguities.
    pub fn sigma_m(self) -> f32 {
        let radius_m = match self {
            Self::Single => 8.0,
            Self::Differential => 2.5,
            Self::RtkFloat => 0.5,
            Self::RtkFixed => 0.05,
        };
        radius_m / RADIUS_95_SIGMAS
    }
}

/// The standard deviation per axis, metres, of a position confidence given by its code (SAE J2735,
/// DE_PositionConfidence): 0 unknown, 1 within 500 m … 15 within 1 cm, with 95 % confidence.
pub(super) fn position_confidence_sigma_m(code: u64) -> Option<f32> {
    const RADII_M: [f32; 15] = [
        500.0, 200.0, 100.0, 50.0, 20.0, 10.0, 5.0, 2.0, 1.0, 0.5, 0.2, 0.1, 0.05, 0.02, 0.01,
    ];
    let index = usize::try_from(code).ok()?.checked_sub(1)?;
    RADII_M
        .get(index)
        .map(|radius_m| radius_m / RADIUS_95_SIGMAS)
}
