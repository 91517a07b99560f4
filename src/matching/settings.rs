//! What can be tuned in matching, with units and defaults.

/// Most committed positions a track may lag behind its newest observation.
pub const MAX_LAG_FIXES: u8 = 4;

/// Most hypotheses a track keeps; what falls out is the least likely.
pub const MAX_HYPOTHESES: usize = 10;

/// Settings of the matcher; [`MatchSettings::default`] holds the documented defaults.
#[derive(Clone, Debug, PartialEq)]
pub struct MatchSettings {
    /// Standard deviation of a position per axis in metres where the source states none, > 0.
    pub sigma_m: f32,
    /// Share of the error variance that persists from fix to fix, `0.0..1.0`. GNSS errors are
    /// strongly correlated in time; chosen.
    pub correlated_share: f32,
    /// Time in seconds after which the persisting error has decayed to 1/e, > 0; chosen.
    pub correlation_s: f32,
    /// Farthest a segment may be from a position to be considered, metres, > 0. Grows to four
    /// standard deviations where the position is worse.
    pub search_radius_m: f32,
    /// How many later observations are awaited before a position is committed, `0..=4`.
    pub lag_fixes: u8,
    /// How many seconds later an observation may be to be awaited, where bounded; the smaller of
    /// both bounds counts, >= 0.
    pub lag_s: Option<f32>,
    /// Standard deviation of a reported speed, m/s, > 0.
    pub speed_sigma_mps: f32,
    /// Standard deviation of a reported heading while driving, degrees, > 0.
    pub heading_sigma_deg: f32,
    /// Whether reported speed and heading are used at all.
    pub use_kinematics: bool,
    /// Spectral density of the longitudinal acceleration, m^2/s^3, > 0: speed changes by about
    /// `sqrt(density * t)` in `t` seconds.
    pub acceleration_density: f32,
    /// Weight of the prior over the exits of a junction (straight on before turning, large roads
    /// before small ones), `0.0..`.
    pub exit_prior: f32,
    /// Most hypotheses kept for one track, `1..=10`.
    pub hypotheses: usize,
    /// Silence in seconds after which a track has ended and its vehicle is forgotten, > 0.
    pub forget_after_s: i64,
}

impl Default for MatchSettings {
    fn default() -> Self {
        Self {
            sigma_m: 8.0,
            correlated_share: 0.6,
            correlation_s: 20.0,
            search_radius_m: 50.0,
            lag_fixes: 2,
            lag_s: None,
            speed_sigma_mps: 0.6,
            heading_sigma_deg: 8.0,
            use_kinematics: true,
            acceleration_density: 3.0,
            exit_prior: 1.5,
            hypotheses: 8,
            forget_after_s: 120,
        }
    }
}

/// Why settings or a snapshot cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum MatchError {
    /// A setting is out of its range.
    #[error("matching: {name} = {value} is out of range {range}")]
    Setting {
        /// Name of the setting.
        name: &'static str,
        /// Its value.
        value: String,
        /// What is allowed.
        range: &'static str,
    },
    /// A snapshot that does not fit.
    #[error("matching snapshot: {problem}")]
    Snapshot {
        /// What is wrong with it.
        problem: String,
    },
}

impl MatchSettings {
    /// Checks every setting against its range.
    ///
    /// # Errors
    /// [`MatchError::Setting`] for the first one out of range.
    pub fn validate(&self) -> Result<(), MatchError> {
        let positive = [
            ("sigma_m", self.sigma_m),
            ("correlation_s", self.correlation_s),
            ("search_radius_m", self.search_radius_m),
            ("speed_sigma_mps", self.speed_sigma_mps),
            ("heading_sigma_deg", self.heading_sigma_deg),
            ("acceleration_density", self.acceleration_density),
        ];
        for (name, value) in positive {
            if !(value.is_finite() && value > 0.0) {
                return Err(out_of_range(name, value, "> 0"));
            }
        }
        if !(0.0..1.0).contains(&self.correlated_share) {
            let value = self.correlated_share;
            return Err(out_of_range("correlated_share", value, "0.0..1.0"));
        }
        if !(self.exit_prior.is_finite() && self.exit_prior >= 0.0) {
            return Err(out_of_range("exit_prior", self.exit_prior, ">= 0"));
        }
        if self.lag_fixes > MAX_LAG_FIXES {
            return Err(out_of_range("lag_fixes", self.lag_fixes, "0..=4"));
        }
        if let Some(lag_s) = self
            .lag_s
            .filter(|lag_s| !(lag_s.is_finite() && *lag_s >= 0.0))
        {
            return Err(out_of_range("lag_s", lag_s, ">= 0"));
        }
        if !(1..=MAX_HYPOTHESES).contains(&self.hypotheses) {
            return Err(out_of_range("hypotheses", self.hypotheses, "1..=10"));
        }
        if self.forget_after_s <= 0 {
            return Err(out_of_range("forget_after_s", self.forget_after_s, "> 0"));
        }
        Ok(())
    }
}

fn out_of_range(name: &'static str, value: impl ToString, range: &'static str) -> MatchError {
    MatchError::Setting {
        name,
        value: value.to_string(),
        range,
    }
}
