//! Fuel and CO2 of traffic from its mean speed.
//!
//! CO2 of light vehicles by mean speed: Barth and Boriboonsomsin (2008), "Real-world carbon dioxide
//! impacts of traffic congestion", Transportation Research Record 2058, 163-171 (also
//! escholarship.org/uc/item/07n946vd), equation 1 with the coefficients of table 1 for real-world
//! activity. They stand for the light vehicles of southern California around 2005, on freeways;
//! elsewhere the ratio of two speeds or two days tells more than the number itself. Lorries,
//! cold starts and slopes are not in it.
//!
//! A function of the state, so it has no memory: whoever may see a state may see its emissions.

use super::SegmentState;
use crate::units::Interval;

/// Coefficients of the exponent by power of the speed in mph; the result is g/mi.
const COEFFICIENTS: [f64; 5] = [
    7.613_534_994_965_56,
    -0.138_565_467_462_594,
    0.003_915_102_063_854,
    -0.000_049_451_361_017,
    0.000_000_238_630_156,
];

/// Speeds that the curve is drawn for, mph: beyond, the nearest counts.
const SPEED_MPH: (f64, f64) = (5.0, 90.0);

const METRES_A_MILE: f64 = 1_609.344;

/// CO2 of burning petrol, g a litre: 8 887 g a US gallon (US EPA and DOT (2010), Light-duty vehicle
/// greenhouse gas emission standards, 75 FR 25324, also 40 CFR 600).
const CO2_G_A_LITRE: f64 = 8_887.0 / 3.785_411_784;

/// CO2 of burning petrol, g an MJ of net heat: 69 300 kg/TJ (IPCC 2006 Guidelines, volume 2,
/// table 1.4, motor gasoline).
const CO2_G_AN_MJ: f64 = 69.3;

/// What one vehicle burns and emits, and what all of a segment do.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Emission {
    /// CO2 of a mean vehicle, g/km.
    pub co2_gpkm: f32,
    /// Fuel of a mean vehicle, as petrol, l/km.
    pub fuel_lpkm: f32,
    /// Energy of a mean vehicle, net heat of its fuel, MJ/km.
    pub energy_mjpkm: f32,
    /// CO2 of all vehicles on the segment, kg/h; `None` where flow is unknown.
    pub co2_kgph: Option<f32>,
    /// Fuel of all vehicles on the segment, as petrol, l/h; `None` where flow is unknown.
    pub fuel_lph: Option<f32>,
}

impl Emission {
    /// What traffic in `state` emits on a segment of `length_m`.
    pub fn of(state: &SegmentState, length_m: f32) -> Self {
        let co2_gpkm = co2_gpkm(state.speed_mps);
        let fuel_lpkm = (f64::from(co2_gpkm) / CO2_G_A_LITRE) as f32;
        let vehicle_km = state.flow_vph.map(|flow_vph| flow_vph * length_m / 1000.0);
        Self {
            co2_gpkm,
            fuel_lpkm,
            energy_mjpkm: (f64::from(co2_gpkm) / CO2_G_AN_MJ) as f32,
            co2_kgph: vehicle_km.map(|vehicle_km| vehicle_km * co2_gpkm / 1000.0),
            fuel_lph: vehicle_km.map(|vehicle_km| vehicle_km * fuel_lpkm),
        }
    }
}

/// CO2 of a mean light vehicle in traffic of this mean speed, g/km (equation 1).
///
/// Below 5 mph the curve ends; what is slower emits as at 5 mph.
pub fn co2_gpkm(speed_mps: f32) -> f32 {
    let mph = f64::from(speed_mps) * 3600.0 / METRES_A_MILE;
    let mph = mph.clamp(SPEED_MPH.0, SPEED_MPH.1);
    let exponent = COEFFICIENTS
        .iter()
        .rev()
        .fold(0.0, |sum, coefficient| sum * mph + coefficient);
    (exponent.exp() * 1000.0 / METRES_A_MILE) as f32
}

/// Sums of a set of segments over time, for regions and days.
#[derive(Clone, Copy, Debug, Default, PartialEq)]
pub struct EmissionSums {
    /// CO2 where flow is known, kg.
    pub co2_kg: f64,
    /// Fuel where flow is known, as petrol, l.
    pub fuel_l: f64,
    /// Vehicle-kilometres behind both.
    pub vehicle_km: f64,
}

impl EmissionSums {
    /// Adds one segment of `length_m` in `state` for the time of `interval`.
    pub fn add(&mut self, state: &SegmentState, length_m: f32, interval: Interval) {
        let hours = interval.end.millis_since(interval.start) as f64 / 3_600_000.0;
        let emission = Emission::of(state, length_m);
        let (Some(co2), Some(fuel), Some(flow)) =
            (emission.co2_kgph, emission.fuel_lph, state.flow_vph)
        else {
            return;
        };
        self.co2_kg += f64::from(co2) * hours;
        self.fuel_l += f64::from(fuel) * hours;
        self.vehicle_km += f64::from(flow) * f64::from(length_m) / 1000.0 * hours;
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::Timestamp;

    /// Equation 1 worked out by hand (in another language) at whole mph.
    #[test]
    fn the_curve_is_that_of_the_paper() {
        for (mph, g_per_mile) in [
            (5.0, 1_110.49),
            (20.0, 424.47),
            (45.0, 323.26),
            (65.0, 339.41),
        ] {
            let found =
                co2_gpkm(mph * METRES_A_MILE as f32 / 3600.0) * METRES_A_MILE as f32 / 1000.0;
            assert!((found - g_per_mile).abs() < 0.05, "{mph} mph: {found}");
        }
        let stopped = co2_gpkm(0.0);
        assert!(
            (stopped - co2_gpkm(2.0)).abs() < 1e-3,
            "the curve ends at 5 mph"
        );
    }

    #[test]
    fn stop_and_go_burns_more_than_a_steady_45() {
        assert!(co2_gpkm(4.0) > 2.0 * co2_gpkm(20.0));
        assert!(co2_gpkm(35.0) > co2_gpkm(20.0));
    }

    #[test]
    fn what_a_segment_emits_needs_its_flow() {
        let state = SegmentState {
            speed_mps: 20.0 * 0.447_04,
            flow_vph: Some(1_200.0),
            ..SegmentState::default()
        };
        let emission = Emission::of(&state, 500.0);
        // 600 vehicle-km an hour.
        let expected = 600.0 * emission.co2_gpkm / 1000.0;
        assert!((emission.co2_kgph.unwrap_or(0.0) - expected).abs() < 0.01);
        assert!((emission.fuel_lpkm * 2_347.7 - emission.co2_gpkm).abs() < 0.05);
        assert!((emission.energy_mjpkm * 69.3 - emission.co2_gpkm).abs() < 0.01);
        let unknown = SegmentState {
            flow_vph: None,
            ..state
        };
        assert_eq!(Emission::of(&unknown, 500.0).co2_kgph, None);
        let mut sums = EmissionSums::default();
        let interval = Interval {
            start: Timestamp::from_secs(0),
            end: Timestamp::from_secs(60),
        };
        sums.add(&state, 500.0, interval);
        sums.add(&unknown, 500.0, interval);
        assert!((sums.vehicle_km - 10.0).abs() < 1e-4);
        assert!((sums.co2_kg - f64::from(expected) / 60.0).abs() < 1e-4);
    }
}
