//! The index figures of speeds and times: TTI, DTP, TPI, jam factor, extra travel time.
//!
//! Pure functions of numbers; nothing here remembers anything. Definitions: GB/T 33171-2016 for
//! TTI, DTP and the points of annex C, as far as public; docs/congestion.md names what is not.

/// Most points of a curve.
pub const CURVE_POINTS_MAX: usize = 16;

/// A piecewise linear function, constant beyond its ends.
#[derive(Clone, Debug, PartialEq)]
pub struct Curve(Vec<(f32, f32)>);

/// Why points are no curve.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum CurveError {
    /// Too few or too many points.
    #[error("{0} points, needs 2 to {CURVE_POINTS_MAX}")]
    Count(usize),
    /// A number that is not finite.
    #[error("point {0} is not finite")]
    NotFinite(usize),
    /// The first coordinates do not rise, or the second turn back.
    #[error(
        "point {0} breaks the order: first numbers must rise, second must all rise or all fall"
    )]
    Order(usize),
    /// A value outside 0..=10.
    #[error("point {0} has a value outside 0..=10")]
    Range(usize),
}

impl Curve {
    /// A monotone curve with values from 0 to 10.
    ///
    /// # Errors
    /// When the points are not that.
    pub fn new(points: Vec<(f32, f32)>) -> Result<Self, CurveError> {
        if !(2..=CURVE_POINTS_MAX).contains(&points.len()) {
            return Err(CurveError::Count(points.len()));
        }
        for (index, (x, y)) in points.iter().enumerate() {
            if !x.is_finite() || !y.is_finite() {
                return Err(CurveError::NotFinite(index + 1));
            }
            if !(0.0..=10.0).contains(y) {
                return Err(CurveError::Range(index + 1));
            }
        }
        let rises = points[0].1 <= points[points.len() - 1].1;
        for (index, pair) in points.windows(2).enumerate() {
            let [(from_x, from_y), (to_x, to_y)] = [pair[0], pair[1]];
            if to_x <= from_x || (to_y >= from_y) != rises && (to_y - from_y).abs() > 0.0 {
                return Err(CurveError::Order(index + 2));
            }
        }
        Ok(Self(points))
    }

    /// Annex C of GB/T 33171-2016: DTP 0.3, 0.5, 0.6, 0.7 are TPI 2, 4, 6, 8, linear between; the
    /// ends 0 and 1 follow from the ranges of both.
    pub fn annex_c() -> Self {
        Self(ANNEX_C.into())
    }

    /// The jam factor over the speed ratio: ours, the points of annex C with DTP = 1 - ratio. How
    /// others compute a figure of this name and range from speeds is not public.
    pub fn jam_factor() -> Self {
        let mut points = Self::annex_c().0;
        points.reverse();
        Self(points.into_iter().map(|(dtp, y)| (1.0 - dtp, y)).collect())
    }

    /// The value at `x`; that of the nearest end beyond the ends.
    pub fn at(&self, x: f32) -> f32 {
        interpolate(&self.0, x)
    }

    /// Its points, first coordinates ascending.
    pub fn points(&self) -> &[(f32, f32)] {
        &self.0
    }
}

const ANNEX_C: [(f32, f32); 6] = [
    (0.0, 0.0),
    (0.3, 2.0),
    (0.5, 4.0),
    (0.6, 6.0),
    (0.7, 8.0),
    (1.0, 10.0),
];

fn interpolate(points: &[(f32, f32)], x: f32) -> f32 {
    let (mut from_x, mut from_y) = points[0];
    if x <= from_x {
        return from_y;
    }
    for &(to_x, to_y) in &points[1..] {
        if x <= to_x {
            return from_y + (to_y - from_y) * (x - from_x) / (to_x - from_x);
        }
        (from_x, from_y) = (to_x, to_y);
    }
    from_y
}

/// The jam factor of a speed by the curve of this project ([`Curve::jam_factor`]), 0 to 10.
pub fn jam_factor(speed_mps: f32, free_flow_mps: f32) -> f32 {
    interpolate(&ANNEX_C, 1.0 - speed_mps / free_flow_mps.max(0.1))
}

/// Travel time index: travel time over travel time in free flow, at least 1 (GB/T 33171-2016).
pub fn travel_time_index(time_s: f64, free_flow_s: f64) -> f32 {
    if free_flow_s > 0.0 {
        (time_s / free_flow_s).max(1.0) as f32
    } else {
        1.0
    }
}

/// Delay time proportion: the share of the travel time that is delay, at least 0
/// (GB/T 33171-2016).
pub fn delay_proportion(time_s: f64, free_flow_s: f64) -> f32 {
    if time_s > 0.0 {
        ((time_s - free_flow_s) / time_s).max(0.0) as f32
    } else {
        0.0
    }
}

/// Extra travel time over that of free flow at which the bands 2 to 5 of the index begin: 0.2, 0.5,
/// 0.8, 1.1 (Beijing's wording of the bands, docs/congestion.md).
pub const EXTRA_TIME_BANDS: [f32; 4] = [0.2, 0.5, 0.8, 1.1];

/// The band 1 to 5 of an extra travel time (TTI - 1); a boundary belongs to the worse band.
pub fn extra_time_band(extra: f32) -> u8 {
    1 + EXTRA_TIME_BANDS
        .iter()
        .filter(|&&bound| extra >= bound)
        .count() as u8
}

/// The band 1 to 5 of a TPI: two points each, a boundary belongs to the worse band.
pub fn index_band(tpi: f32) -> u8 {
    1 + [2.0, 4.0, 6.0, 8.0]
        .iter()
        .filter(|&&bound| tpi >= bound)
        .count() as u8
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    /// GB/T 33171-2016, clause of TTI and DTP, with numbers of our own: 1 km at 60 km/h takes 60 s
    /// in free flow.
    #[test]
    fn worked_examples_of_tti_dtp_and_tpi() {
        for (time_s, tti, dtp, tpi) in [
            (60.0, 1.0, 0.0, 0.0),
            (48.0, 1.0, 0.0, 0.0),
            (75.0, 1.25, 0.2, 4.0 / 3.0),
            (60.0 / 0.7, 1.0 / 0.7, 0.3, 2.0),
            (120.0, 2.0, 0.5, 4.0),
            (150.0, 2.5, 0.6, 6.0),
            (200.0, 10.0 / 3.0, 0.7, 8.0),
            (600.0, 10.0, 0.9, 8.0 + 4.0 / 3.0),
        ] {
            let close = |found: f32, expected: f32| (found - expected).abs() < 1e-4;
            let found = delay_proportion(time_s, 60.0);
            assert!(close(travel_time_index(time_s, 60.0), tti), "{time_s}");
            assert!(close(found, dtp), "{time_s}: {found}");
            assert!(close(Curve::annex_c().at(found), tpi), "{time_s}");
            // The jam factor is the same curve over the speed ratio.
            let ratio = (60.0 / time_s) as f32;
            assert!(close(Curve::jam_factor().at(ratio), tpi), "{time_s}");
            assert!(close(jam_factor(ratio * 20.0, 20.0), tpi), "{time_s}");
        }
        assert!((Curve::annex_c().at(1.0) - 10.0).abs() < 1e-6);
        assert!((travel_time_index(5.0, 0.0) - 1.0).abs() < 1e-6);
        assert!(delay_proportion(0.0, 5.0).abs() < 1e-6);
    }

    #[test]
    fn a_boundary_belongs_to_the_worse_band() {
        let bands = [0.0, 0.19, 0.2, 0.5, 0.8, 1.1, 3.0].map(extra_time_band);
        assert_eq!(bands, [1, 1, 2, 3, 4, 5, 5]);
        let bands = [0.0, 1.99, 2.0, 4.0, 6.0, 8.0, 10.0].map(index_band);
        assert_eq!(bands, [1, 1, 2, 3, 4, 5, 5]);
    }

    #[test]
    fn points_that_are_no_curve_are_refused() {
        let new = |points: &[(f32, f32)]| Curve::new(points.to_vec());
        assert_eq!(new(&[(0.0, 0.0)]), Err(CurveError::Count(1)));
        assert_eq!(
            new(&[(0.0, 0.0), (f32::NAN, 1.0)]),
            Err(CurveError::NotFinite(2))
        );
        assert_eq!(new(&[(0.0, 0.0), (0.0, 1.0)]), Err(CurveError::Order(2)));
        assert_eq!(
            new(&[(0.0, 0.0), (0.5, 3.0), (1.0, 2.0)]),
            Err(CurveError::Order(3))
        );
        assert_eq!(
            new(&[(0.0, 5.0), (0.5, 6.0), (1.0, 2.0)]),
            Err(CurveError::Order(2))
        );
        assert_eq!(new(&[(0.0, 0.0), (1.0, 11.0)]), Err(CurveError::Range(2)));
        assert_eq!(new(Curve::annex_c().points()), Ok(Curve::annex_c()));
        assert_eq!(new(Curve::jam_factor().points()), Ok(Curve::jam_factor()));
        assert!(new(&[(0.0, 0.0), (0.5, 0.0), (1.0, 1.0)]).is_ok());
    }

    proptest! {
        /// Slower is never better.
        #[test]
        fn figures_never_fall_with_travel_time(
            free_s in 1.0f64..1000.0,
            a in 1.0f64..5000.0,
            more in 0.0f64..5000.0,
        ) {
            let (dtp_a, dtp_b) = (delay_proportion(a, free_s), delay_proportion(a + more, free_s));
            prop_assert!(dtp_a <= dtp_b && (0.0..1.0).contains(&dtp_b));
            prop_assert!(travel_time_index(a, free_s) <= travel_time_index(a + more, free_s));
            prop_assert!(Curve::annex_c().at(dtp_a) <= Curve::annex_c().at(dtp_b));
            let ratio = |time: f64| (free_s / time) as f32;
            let curve = Curve::jam_factor();
            prop_assert!(curve.at(ratio(a)) <= curve.at(ratio(a + more)));
        }
    }
}
