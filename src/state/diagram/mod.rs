//! Fundamental diagrams: how flow, density and speed hang together on a segment.
//!
//! A diagram is fitted where detectors count, from a histogram of fixed size; where they do not,
//! that of the road class stands in, and where the class has none, a cited default. The answer says
//! which of the three it is. Everything in a diagram is per lane.

mod defaults;
mod fit;
mod grid;
mod table;

pub use table::{DIAGRAM_SEGMENTS_MAX, DiagramFits, Diagrams};

/// A triangular fundamental diagram of one lane (Daganzo 1994).
///
/// Invariant: every number is finite and positive, and `free_mps > wave_mps`.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Diagram {
    /// Speed of traffic below critical density, m/s; signals at the end are part of it.
    pub free_mps: f32,
    /// Greatest flow, veh/h and lane.
    pub capacity_vph: f32,
    /// Speed at which congestion travels upstream, m/s.
    pub wave_mps: f32,
}

impl Diagram {
    /// Density at capacity, veh/km and lane.
    pub fn critical_density_vpkm(&self) -> f32 {
        self.capacity_vph / (self.free_mps * 3.6)
    }

    /// Density of standing traffic, veh/km and lane.
    pub fn jam_density_vpkm(&self) -> f32 {
        self.critical_density_vpkm() + self.capacity_vph / (self.wave_mps * 3.6)
    }

    /// Flow at a density, veh/h and lane.
    pub fn flow_vph(&self, density_vpkm: f32) -> f32 {
        let free = density_vpkm * self.free_mps * 3.6;
        let congested = (self.jam_density_vpkm() - density_vpkm) * self.wave_mps * 3.6;
        free.min(congested).max(0.0)
    }

    /// Density of congested traffic at a speed, veh/km and lane; `None` at free speed and above,
    /// where any density up to the critical one goes with it.
    pub fn congested_density_vpkm(&self, speed_mps: f32) -> Option<f32> {
        // v k = w (k_jam - k)
        let speed_mps = speed_mps.max(0.0);
        (speed_mps < self.free_mps)
            .then(|| self.jam_density_vpkm() * self.wave_mps / (speed_mps + self.wave_mps))
    }
}

/// Where a diagram comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Basis {
    /// Fitted to counts of this segment.
    Segment,
    /// Fitted to counts of all segments of its class, with or without a signal at the end.
    Class,
    /// A default of the Highway Capacity Manual.
    Default,
}

impl Basis {
    /// The label used in messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Segment => "segment",
            Self::Class => "class",
            Self::Default => "default",
        }
    }
}

/// How well a fitted diagram tells the flow of the minutes it was fitted to.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Goodness {
    /// Minutes behind it.
    pub minutes: u32,
    /// Share of the variance of flow that it explains, at most 1.
    pub r_squared: f32,
    /// Root mean square of its error in flow, veh/h and lane.
    pub rmse_vph: f32,
}

/// The diagram of one segment with where it comes from.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct SegmentDiagram {
    /// The diagram, per lane.
    pub diagram: Diagram,
    /// Where it comes from.
    pub basis: Basis,
    /// How well it fits; `None` for a default.
    pub goodness: Option<Goodness>,
}

/// A value with its standard deviation.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Estimated {
    /// The value.
    pub value: f32,
    /// Its standard deviation, in the same unit.
    pub sigma: f32,
}

/// Relative standard deviation of a density read from a diagram that was not fitted to counts of
/// its own (chosen).
const FOREIGN_SPREAD: f32 = 0.25;

/// Places of equal probability under a normal distribution, in standard deviations: medians of its
/// sevenths.
const NORMAL_SEVENTHS: [f32; 7] = [-1.4652, -0.7916, -0.3661, 0.0, 0.3661, 0.7916, 1.4652];

impl SegmentDiagram {
    /// Density over all lanes at a speed known to `sigma_mps`, veh/km: an estimate, for where flow
    /// is not known.
    ///
    /// At free speed the diagram says no more than "between none and critical", so the estimate is
    /// the middle with the standard deviation of a uniform distribution; below it the speed tells
    /// the density. The speed's own uncertainty is carried through.
    pub fn density_from_speed(&self, speed_mps: f32, sigma_mps: f32, lanes: u8) -> Estimated {
        self.at_speed(speed_mps, sigma_mps, lanes, |_| 1.0)
    }

    /// Flow over all lanes at a speed known to `sigma_mps`, veh/h; see
    /// [`SegmentDiagram::density_from_speed`].
    pub fn flow_from_speed(&self, speed_mps: f32, sigma_mps: f32, lanes: u8) -> Estimated {
        self.at_speed(speed_mps, sigma_mps, lanes, |speed_mps| speed_mps * 3.6)
    }

    fn at_speed(
        &self,
        speed_mps: f32,
        sigma_mps: f32,
        lanes: u8,
        scale: impl Fn(f32) -> f32,
    ) -> Estimated {
        let lanes = f32::from(lanes.max(1));
        let critical = self.diagram.critical_density_vpkm();
        let (mut mean, mut square) = (0.0f32, 0.0f32);
        for step in NORMAL_SEVENTHS {
            let speed_mps = (speed_mps + step * sigma_mps).max(0.0);
            let (density, sigma) = match self.diagram.congested_density_vpkm(speed_mps) {
                Some(density) => (density, self.spread_vpkm(density, speed_mps)),
                None => (critical / 2.0, critical / 12f32.sqrt()),
            };
            let scale = scale(speed_mps.min(self.diagram.free_mps)) * lanes;
            mean += density * scale / 7.0;
            square += (density * density + sigma * sigma) * scale * scale / 7.0;
        }
        Estimated {
            value: mean,
            sigma: (square - mean * mean).max(0.0).sqrt(),
        }
    }

    /// Standard deviation of congested density at a given speed, veh/km and lane: the error in flow
    /// seen along the line of that speed.
    fn spread_vpkm(&self, density_vpkm: f32, speed_mps: f32) -> f32 {
        match (self.basis, self.goodness) {
            (Basis::Segment, Some(goodness)) => {
                goodness.rmse_vph / ((speed_mps + self.diagram.wave_mps) * 3.6)
            }
            _ => FOREIGN_SPREAD * density_vpkm,
        }
    }
}

#[cfg(test)]
mod tests;
