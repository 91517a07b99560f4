//! Congestion standards as data: what is measured, its boundaries, how slowly a published level
//! follows, and how an index of a region comes from it.
//!
//! A standard is read from `config/levels/*.toml` by the configuration; the one that is in force
//! where nothing is configured, GB/T 33171-2016, stands here too. What a standard leaves to a table
//! that is not public is named in [`Standard::holes`] and never filled with a guess.

use std::sync::Arc;

use super::index::Curve;
use crate::network::{RoadClass, Segment};
use crate::state::Level;

/// Which boundaries a standard compares with what.
#[derive(Clone, Debug, PartialEq)]
pub enum LevelMeasure {
    /// Speed over free-flow speed; lower boundaries of levels 1 to 4, descending.
    SpeedRatio([f32; 4]),
    /// Speed in m/s by road class ([`RoadClass::ALL`] order); lower boundaries of levels 1 to 4,
    /// descending; `None` where the standard has no column for the class.
    Speed([Option<[f32; 4]>; RoadClass::ALL.len()]),
    /// Jam factor, 0 to 10, by the curve of the standard over the speed ratio; upper boundaries of
    /// levels 1 to 4, ascending.
    JamFactor([f32; 4]),
    /// Density in veh/km and lane; a level of service each.
    LaneDensity(LaneDensity),
}

/// Levels of service by density, and where they apply.
#[derive(Clone, Debug, PartialEq)]
pub struct LaneDensity {
    /// Upper boundaries of the services A to E, veh/km and lane, ascending.
    pub bounds_vpkm: [f32; 5],
    /// The level of the five-level scale that is published for the services A to F, never falling.
    pub levels: [Level; 6],
    /// Road classes for which the standard has levels of service, [`RoadClass::ALL`] order; a
    /// segment that ends at a signal has none.
    pub classes: [bool; RoadClass::ALL.len()],
}

/// Level of service of a freeway after the Highway Capacity Manual.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Service {
    /// Free flow.
    A = 0,
    /// Reasonably free flow.
    B = 1,
    /// Flow near free-flow speed, freedom to change lanes noticeably restricted.
    C = 2,
    /// Speeds begin to fall with flow.
    D = 3,
    /// At capacity.
    E = 4,
    /// Broken down.
    F = 5,
}

impl Service {
    /// Every level of service, best first.
    pub const ALL: [Self; 6] = [Self::A, Self::B, Self::C, Self::D, Self::E, Self::F];

    /// The letter.
    pub const fn label(self) -> &'static str {
        ["A", "B", "C", "D", "E", "F"][self as usize]
    }
}

impl LaneDensity {
    /// The Highway Capacity Manual's densities of basic freeway segments, 11, 18, 26, 35 and
    /// 45 pc/mi/ln, with a vehicle taken as one passenger car; levels chosen (see
    /// `config/levels/hcm-los.toml`).
    pub fn hcm() -> Self {
        Self {
            bounds_vpkm: [11.0f32, 18.0, 26.0, 35.0, 45.0].map(|per_mile| per_mile / KM_PER_MILE),
            levels: [
                Level::Smooth,
                Level::Smooth,
                Level::MostlySmooth,
                Level::Light,
                Level::Moderate,
                Level::Severe,
            ],
            classes: RoadClass::ALL
                .map(|class| matches!(class, RoadClass::Motorway | RoadClass::Trunk)),
        }
    }

    /// Whether the standard speaks of such a segment at all.
    pub fn applies(&self, segment: &Segment) -> bool {
        self.classes[segment.class() as usize] && !segment.is_signalised()
    }

    /// The level of service at a density, veh/km and lane; a boundary belongs to the better service
    /// unless `boundary_is_worse`.
    pub fn service(&self, density_vpkm: f32, boundary_is_worse: bool) -> Service {
        let beyond =
            |bound: &&f32| density_vpkm > **bound || (boundary_is_worse && density_vpkm >= **bound);
        Service::ALL[self.bounds_vpkm.iter().filter(beyond).count()]
    }
}

/// Kilometres of a statute mile.
pub const KM_PER_MILE: f32 = 1.609_344;

/// Which figure of a region becomes its traffic performance index (TPI, 0 to 10).
#[derive(Clone, Debug, PartialEq)]
pub enum IndexMeasure {
    /// The delay time proportion of the region over a curve.
    DelayProportion(Curve),
    /// The share of length at the worst level over a curve.
    SevereMileage(Curve),
    /// The mean jam factor over length and lanes.
    JamFactor,
    /// The standard has no index.
    None,
}

/// A congestion standard: a table of boundaries and how slowly a published level follows.
#[derive(Clone, Debug, PartialEq)]
pub struct Standard {
    /// Name of the standard, as published.
    pub name: Arc<str>,
    /// Version of the table, counted up with every change of a value.
    pub version: u32,
    /// Where the values come from.
    pub source: String,
    /// What is compared with which boundaries.
    pub measure: LevelMeasure,
    /// Whether a value right on a boundary belongs to the worse level.
    pub boundary_is_worse: bool,
    /// Boundaries of the speed ratio for segments that `measure` says nothing of, for lack of a
    /// column or of a density; a boundary belongs to the worse level. Such levels are counted apart.
    pub otherwise: [f32; 4],
    /// Jam factor over the speed ratio, descending from 10.
    pub jam_factor: Curve,
    /// How the index of a region is made.
    pub index: IndexMeasure,
    /// Minutes in a row that must be worse before the level gets worse; at least 1.
    pub worse_after: u8,
    /// Minutes in a row that must be better before the level gets better; at least 1.
    pub better_after: u8,
    /// Margin over the boundary, as a share of it, with which the level gets better at once.
    pub better_margin: f32,
    /// What the standard defines and this table lacks, because it is not public.
    pub holes: Vec<String>,
}

/// Boundaries of GB/T 33171-2016: ratio above 70 % smooth, 50-70 mostly smooth, 40-50 light, 30-40
/// moderate, 30 and below severe.
pub const GBT33171_RATIOS: [f32; 4] = [0.7, 0.5, 0.4, 0.3];

impl Default for Standard {
    /// GB/T 33171-2016 with the index of its annex C; the same as
    /// `config/levels/gbt33171-2016.toml`.
    fn default() -> Self {
        Self {
            name: "GB/T 33171-2016".into(),
            version: 1,
            source: String::new(),
            measure: LevelMeasure::SpeedRatio(GBT33171_RATIOS),
            boundary_is_worse: true,
            otherwise: GBT33171_RATIOS,
            jam_factor: Curve::jam_factor(),
            index: IndexMeasure::DelayProportion(Curve::annex_c()),
            worse_after: 2,
            better_after: 3,
            better_margin: 0.1,
            holes: Vec::new(),
        }
    }
}

/// What is known of a segment in a minute that a standard can look at.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Seen {
    /// Speed, m/s.
    pub speed_mps: f32,
    /// Free-flow speed, m/s.
    pub free_flow_mps: f32,
    /// Density in veh/km and lane, where it is known.
    pub lane_density_vpkm: Option<f32>,
}

impl Seen {
    /// The same a little worse: what counts as better by a margin must be better even so.
    #[must_use]
    pub(super) fn worse_by(self, margin: f32) -> Self {
        Self {
            speed_mps: self.speed_mps / (1.0 + margin),
            free_flow_mps: self.free_flow_mps,
            lane_density_vpkm: self
                .lane_density_vpkm
                .map(|density| density * (1.0 + margin)),
        }
    }

    /// Speed over free-flow speed.
    pub fn ratio(&self) -> f32 {
        self.speed_mps / self.free_flow_mps.max(0.1)
    }
}

impl Standard {
    /// Whether the standard's own measure judges a segment, or [`Standard::otherwise`].
    pub fn judges(&self, segment: &Segment, seen: &Seen) -> bool {
        match &self.measure {
            LevelMeasure::SpeedRatio(_) | LevelMeasure::JamFactor(_) => true,
            LevelMeasure::Speed(by_class) => by_class[segment.class() as usize].is_some(),
            LevelMeasure::LaneDensity(density) => {
                seen.lane_density_vpkm.is_some() && density.applies(segment)
            }
        }
    }

    /// The level of one segment and minute by the table alone, without hysteresis.
    pub fn level(&self, segment: &Segment, seen: &Seen) -> Level {
        match &self.measure {
            LevelMeasure::SpeedRatio(bounds) => {
                falling(seen.ratio(), bounds, self.boundary_is_worse)
            }
            LevelMeasure::Speed(by_class) => match &by_class[segment.class() as usize] {
                Some(bounds) => falling(seen.speed_mps, bounds, self.boundary_is_worse),
                None => falling(seen.ratio(), &self.otherwise, true),
            },
            LevelMeasure::JamFactor(bounds) => {
                let factor = self.jam_factor.at(seen.ratio());
                let beyond = |bound: &&f32| {
                    factor > **bound || (self.boundary_is_worse && factor >= **bound)
                };
                Level::ALL[bounds.iter().filter(beyond).count()]
            }
            LevelMeasure::LaneDensity(density) => match seen.lane_density_vpkm {
                Some(vpkm) if density.applies(segment) => {
                    density.levels[density.service(vpkm, self.boundary_is_worse) as usize]
                }
                _ => falling(seen.ratio(), &self.otherwise, true),
            },
        }
    }
}

/// The level of a value that is worse the smaller it is.
fn falling(value: f32, bounds: &[f32; 4], boundary_is_worse: bool) -> Level {
    let below = |bound: &&f32| value < **bound || (boundary_is_worse && value <= **bound);
    Level::ALL[bounds.iter().filter(below).count()]
}
