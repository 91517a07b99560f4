//! The filter of one segment: a scalar speed made of what is usual, a slow deviation of today, a
//! fast deviation of the last minutes, and a deviation of this minute alone.
//!
//! Everything here is in units of the segment's speed limit, which makes segments comparable. It
//! knows no network, no time of day and no neighbours.
//!
//! Speeds of minutes on signalised segments scatter from cycle to cycle: three quarters of the
//! variance around a segment's mean is gone one minute later, the rest fades over about eight
//! minutes (autocorrelation of simulated minutes in Bologna). One Kalman filter with an
//! autoregressive residual would either chase that scatter or miss the jam; two speeds and a
//! minute-only term separate them. The constants were fitted to minutes of three SUMO runs (two
//! demands and seeds of Bologna, one of Cologne) at 5, 10 and 30 % probes, on mean absolute error.

/// How the two kinds of segments move and scatter.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct FilterParams {
    /// Stationary variance of the fast deviation.
    fast_var: f32,
    /// Share of it that is left where traffic is expected to move freely: there speeds stay.
    calm: f32,
    /// Variance the slow deviation gains a minute.
    slow_step: f32,
    /// Variance of the minute-only deviation in mid range.
    minute_var: f32,
    /// Variance of what one vehicle tells about all, if it is seen the minute long in mid range.
    vehicle_var: f32,
    /// Weight of "nobody was seen, so it is hardly jammed".
    absence: f32,
    /// Share by which vehicles seen for a moment only overstate the speed: they are the moving ones.
    brief_bias: f32,
    /// How far one vehicle's speed is from the mean, as a share of the speed; 0 where `vehicle_var`
    /// says it.
    vehicle_spread: f32,
    /// What is left of the fast deviation after a minute.
    fast_kept: f32,
}

/// Segments that end at a traffic signal.
pub(super) const SIGNALISED: FilterParams = FilterParams {
    fast_var: 0.0078,
    calm: 1.0,
    slow_step: 1e-4,
    minute_var: 0.0213,
    vehicle_var: 0.0102,
    absence: 0.0,
    brief_bias: 0.12,
    vehicle_spread: 0.0,
    fast_kept: FAST_KEPT,
};

/// All other segments.
pub(super) const UNSIGNALISED: FilterParams = FilterParams {
    fast_var: 0.0018,
    calm: 1.0,
    slow_step: 1e-4,
    minute_var: 0.0257,
    vehicle_var: 0.0018,
    absence: 0.3,
    brief_bias: 0.0,
    vehicle_spread: 0.0,
    fast_kept: FAST_KEPT,
};

/// Motorways and trunk roads without signals: jams last, and one vehicle tells little of the four
/// lanes (methods of this project: one record scatters by 20 % of the speed, 3 mph at least).
/// Variances and persistence were fitted on the fifth day of the loop week with the first four as
/// history; `cargo bench --bench state -- --loop-week` scores the last two.
pub(super) const FREEWAY: FilterParams = FilterParams {
    fast_var: 0.03,
    calm: 0.1,
    slow_step: 1e-6,
    minute_var: 0.0008,
    vehicle_var: 0.0,
    absence: 0.0,
    brief_bias: 0.0,
    vehicle_spread: 0.2,
    fast_kept: 0.98,
};

/// How much a reading itself, beside what was expected, says about its scatter.
const SEEN_SHARE: f32 = 0.3;

/// Speed over limit from which traffic counts as free, and how far below it it no longer does.
const CALM_FROM: f32 = 0.95;
const CALM_WIDTH: f32 = 0.3;

/// Least scatter of one vehicle's speed on a freeway in units of the limit: 3 mph at 70 mph.
const VEHICLE_SIGMA_MIN: f32 = 0.043;

/// Variance of a segment's slow deviation before anything was seen there.
pub(super) const SLOW_VAR_START: f32 = 0.2;

/// What is left of the slow deviation after a minute: it fades over a day.
const SLOW_KEPT: f32 = 1.0 - 1.0 / 1440.0;

/// What is left of the fast deviation after a minute: time constant 6.7 minutes.
const FAST_KEPT: f32 = 0.861;

/// Power of the number of vehicles by which the noise falls: more than 1, because the more are seen
/// of a minute, the larger the share of all that it is (sampling without replacement, Cochran 1977,
/// Sampling Techniques, 2.6). Fitted to a SUMO hour of Bologna of another seed at 5, 10 and 30 %.
const SHARE_SEEN: f32 = 1.3;

/// How much less brief sightings tell: the noise is multiplied by (1 + BRIEF_S / t)², s.
const BRIEF_S: f32 = 18.0;

/// Least of 4 r (1 - r) in the shapes.
const SHAPE_MIN: f32 = 0.1;

/// Share of the squared innovation over its variance beyond which the fast variance is reopened:
/// a regime change (methods of this project: gate at 9).
const GATE: f32 = 9.0;

/// A measurement of this minute's speed in units of the limit, with its variance.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Measurement {
    /// Speed over limit.
    pub(super) ratio: f32,
    /// Variance of the error against the mean speed of all vehicles in the minute.
    pub(super) variance: f32,
}

impl Measurement {
    /// Both together, weighted by precision.
    pub(super) fn fuse(self, other: Option<Self>) -> Self {
        let Some(other) = other else { return self };
        let total = self.variance + other.variance;
        let weight = other.variance / total;
        Self {
            ratio: self.ratio * weight + other.ratio * (1.0 - weight),
            variance: self.variance * other.variance / total,
        }
    }
}

/// What probes of one minute say, before it is weighted.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct ProbeSums {
    /// Speed over limit.
    pub(super) ratio: f32,
    /// Vehicles seen.
    pub(super) vehicle_count: f32,
    /// Their time on the segment, s.
    pub(super) time_s: f32,
    /// Effective number of vehicles: squared sum of times over sum of squared times.
    pub(super) effective_count: f32,
}

/// The memory of one segment.
#[derive(Clone, Copy, Debug, PartialEq, bytemuck::Pod, bytemuck::Zeroable)]
#[repr(C)]
pub(super) struct Filter {
    /// Deviation of today from what is usual.
    pub(super) slow: f32,
    pub(super) slow_var: f32,
    /// Deviation of the last minutes from today.
    pub(super) fast: f32,
    pub(super) fast_var: f32,
    pub(super) covariance: f32,
    /// Vehicles seen a minute, exponential sum.
    pub(super) seen_rate: f32,
}

/// The estimate of one minute.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub(super) struct Estimate {
    /// Deviation of the minute's speed from what is usual plus the slow deviation.
    pub(super) deviation: f32,
    /// Variance of the minute's speed.
    pub(super) variance: f32,
}

impl Filter {
    /// Nothing seen yet.
    pub(super) fn new(params: &FilterParams) -> Self {
        Self {
            slow: 0.0,
            slow_var: SLOW_VAR_START,
            fast: 0.0,
            fast_var: params.fast_var,
            covariance: 0.0,
            seen_rate: 0.0,
        }
    }

    /// Moves the memory `kept.minutes` on.
    pub(super) fn predict(
        &mut self,
        params: &FilterParams,
        kept: &Kept,
        usual: f32,
        was_seen: bool,
    ) {
        let expected = usual + self.slow + self.fast;
        let stir = ((CALM_FROM - expected) / CALM_WIDTH).clamp(0.0, 1.0);
        let fast_var = params.fast_var * (params.calm + (1.0 - params.calm) * stir);
        self.slow *= kept.slow;
        self.fast *= kept.fast;
        self.covariance *= kept.fast * kept.slow;
        self.fast_var =
            kept.fast * kept.fast * self.fast_var + fast_var * (1.0 - kept.fast * kept.fast);
        if was_seen {
            self.slow_var = (self.slow_var + params.slow_step * kept.minutes).min(SLOW_VAR_START);
        }
    }

    /// Weighs what probes say against what was expected.
    pub(super) fn weigh_probes(
        params: &FilterParams,
        probes: &ProbeSums,
        expected: f32,
    ) -> Measurement {
        if params.vehicle_spread > 0.0 {
            // By what was expected more than by what was seen: a low reading is no surer than a
            // high one, and taking it for surer makes free traffic look 2 mph slower.
            let speed = (1.0 - SEEN_SHARE) * expected.clamp(0.0, 1.0) + SEEN_SHARE * probes.ratio;
            let sigma = (params.vehicle_spread * speed).max(VEHICLE_SIGMA_MIN);
            return Measurement {
                ratio: probes.ratio.clamp(0.0, 1.3),
                variance: sigma * sigma / probes.effective_count.max(0.1),
            };
        }
        let mean_time_s = (probes.time_s / probes.vehicle_count.max(1.0)).max(0.5);
        let bias = if params.brief_bias > 0.0 {
            params.brief_bias * (-mean_time_s / 15.0).exp()
        } else {
            0.0
        };
        let brief = (1.0 + BRIEF_S / mean_time_s).powi(2);
        Measurement {
            ratio: probes.ratio.clamp(0.0, 1.1) * (1.0 - bias),
            variance: params.vehicle_var / probes.effective_count.max(0.1).powf(SHARE_SEEN) * brief,
        }
    }

    /// Takes a measurement of this minute and returns the minute's estimate.
    pub(super) fn update(
        &mut self,
        params: &FilterParams,
        usual: f32,
        measurement: &Measurement,
    ) -> Estimate {
        let expected = usual + self.slow + self.fast;
        let minute_var = params.minute_var * scatter(expected);
        let noise = measurement.variance;
        let innovation = measurement.ratio - expected;
        let mut total = self.speed_var() + minute_var + noise;
        if innovation * innovation > GATE * total {
            self.fast_var += innovation * innovation / GATE - total;
            total = innovation * innovation / GATE;
        }
        let variance = self.speed_var() + minute_var;
        let gain_slow = (self.slow_var + self.covariance) / total;
        let gain_fast = (self.fast_var + self.covariance) / total;
        let gain_minute = minute_var / total;
        self.slow += gain_slow * innovation;
        self.fast += gain_fast * innovation;
        let (slow_and, fast_and) = (
            self.slow_var + self.covariance,
            self.fast_var + self.covariance,
        );
        self.slow_var = (self.slow_var - gain_slow * slow_and).max(1e-6);
        self.fast_var = (self.fast_var - gain_fast * fast_and).max(1e-6);
        self.covariance -= gain_slow * fast_and;
        Estimate {
            deviation: self.fast + gain_minute * innovation,
            variance: variance * noise / total,
        }
    }

    /// The estimate of a minute in which nothing measured the segment.
    ///
    /// That no probe was seen speaks against a jam: at speed v the expected probe time is
    /// `rate L / v`, and the logarithm of the chance of seeing none rises with v by
    /// `rate L / v²` (Poisson arrivals); `seconds_at_limit` is L over the limit.
    pub(super) fn unmeasured(
        &self,
        params: &FilterParams,
        usual: f32,
        seen_a_minute: f32,
        seconds_at_limit: f32,
    ) -> Estimate {
        let expected = (usual + self.slow + self.fast).clamp(0.03, 0.97);
        let variance = self.speed_var() + params.minute_var * scatter(expected);
        let slope =
            params.absence * seen_a_minute * seconds_at_limit / 60.0 / expected.max(0.1).powi(2);
        Estimate {
            deviation: self.fast + (variance * slope).min(0.5 * variance.sqrt()),
            variance,
        }
    }

    /// Variance of the deviations together.
    pub(super) fn deviation_var(&self) -> f32 {
        self.speed_var().max(1e-6)
    }

    /// What a minute is expected to come to before it is measured: speed over limit, and variance.
    pub(super) fn expected(&self, params: &FilterParams, usual: f32) -> (f32, f32) {
        let expected = (usual + self.slow + self.fast).clamp(0.03, 1.0);
        (
            expected,
            self.speed_var() + params.minute_var * scatter(expected),
        )
    }

    /// How much of the level still rests on what was expected before anything was seen.
    pub(super) fn prior_share(&self) -> f32 {
        (self.slow_var / SLOW_VAR_START).clamp(0.0, 1.0)
    }

    /// Variance of what was expected of a minute, without the minute's own scatter.
    fn speed_var(&self) -> f32 {
        self.slow_var + self.fast_var + 2.0 * self.covariance
    }
}

/// What is left of the deviations after some minutes.
#[derive(Clone, Copy, Debug, PartialEq)]
pub(super) struct Kept {
    minutes: f32,
    slow: f32,
    fast: f32,
}

impl Kept {
    /// After `minutes` minutes.
    pub(super) fn after(params: &FilterParams, minutes: f32) -> Self {
        Self {
            minutes,
            slow: SLOW_KEPT.powf(minutes),
            fast: params.fast_kept.powf(minutes),
        }
    }
}

/// Minutes scatter less near standstill and near the limit: with the root of 4 r (1 - r), at least
/// of [`SHAPE_MIN`].
fn scatter(ratio: f32) -> f32 {
    (4.0 * ratio * (1.0 - ratio)).max(SHAPE_MIN).sqrt()
}

/// What the shaped standard deviation of a measured minute is multiplied by (fitted with it).
const MEASURED_FACTOR: f32 = 0.97;

/// Standard deviation to publish with an estimate, in units of the limit: the filter's, shaped to
/// the smaller scatter near standstill and near the limit (fitted to 90 % intervals over all and
/// over congested minutes of the same simulated runs).
///
/// Where nothing was measured it is wider, but near standstill and near the limit: a jam that
/// nobody has seen is the usual way to be wrong. The factors were fitted on a SUMO run of Bologna
/// with another seed, so that congested minutes lie inside as often as all, and chosen beside the
/// recorded hour: its coverage is no independent test of them.
pub(super) fn published_sigma(ratio: f32, variance: f32, is_measured: bool) -> f32 {
    let shape = (4.0 * ratio * (1.0 - ratio)).max(0.05);
    let sigma = (1.6 * variance.min(0.06) * shape * shape.sqrt() + 0.0004).sqrt();
    if is_measured {
        return MEASURED_FACTOR * sigma;
    }
    let from_standstill = ((ratio - 0.07) / 0.07).clamp(0.0, 1.0);
    let from_limit = ((0.9 - ratio) / 0.1).clamp(0.0, 1.0);
    let wider = if ratio < 0.45 { 0.3 } else { 0.4 };
    sigma * (1.0 + wider * from_standstill * from_limit)
}
