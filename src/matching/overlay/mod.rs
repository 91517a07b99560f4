//! The junctions that roadside units describe (MAP), tied to the network.
//!
//! A unit's map has its own lines, lane numbers and phases; the overlay says which segments, lanes
//! and turns of the network these are, and how well they fit. The lines of a unit's junctions also
//! bound the area in which it perceives ([`Overlay::outline`]). It holds no signal states, and it
//! changes no network: where both disagree, the network stands and the tie has a problem.

mod line;
mod snapshot;
mod tie;

use std::collections::{BTreeMap, BTreeSet};
use std::sync::Arc;

pub use snapshot::OverlayError;
pub use tie::{
    JUNCTION_DISTANCE_MAX_M, JunctionRefusal, LINE_DISTANCE_MAX_M, TieProblem, TiedApproach,
    TiedJunction, TiedMovement,
};

use crate::network::Network;
use crate::observation::JunctionReading;
use crate::units::{Point, UnitId};

/// Most junctions kept; further ones are refused as [`JunctionRefusal::Full`].
pub const JUNCTIONS_MAX: usize = 10_000;

/// Most units whose junctions are told apart; the junctions of further ones are kept, but they have
/// no area.
pub const UNITS_MAX: usize = 10_000;

/// A unit perceives so far beside the lines of its map, metres (chosen: pavements, and the other
/// half of a junction).
const OUTLINE_MARGIN_M: f32 = 15.0;

/// Every junction that a unit has described so far.
///
/// Invariant: it holds at most [`JUNCTIONS_MAX`] junctions, and what it holds depends only on the
/// network and on the readings in their order.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Overlay {
    junctions: BTreeMap<Arc<str>, Arc<TiedJunction>>,
    /// The junctions of each unit, units in the order in which they were first heard.
    units: Vec<(UnitId, BTreeSet<Arc<str>>)>,
    refused: [u64; JunctionRefusal::ALL.len()],
}

/// What a reading has changed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OverlayChange {
    /// Whether the junction is new or described otherwise than before.
    pub is_changed: bool,
    /// The numbers of the units whose outlines may have changed.
    pub units: Vec<usize>,
}

impl Overlay {
    /// Takes what `unit` says about a junction; the newest description of a junction holds.
    ///
    /// # Errors
    /// Why it is not taken; it is counted here too.
    pub fn take(
        &mut self,
        network: &Network,
        unit: Option<UnitId>,
        reading: JunctionReading,
    ) -> Result<OverlayChange, JunctionRefusal> {
        let name = reading.junction.clone();
        let is_changed = match self.junctions.get_mut(&name) {
            Some(known) if describes_alike(&known.reading, &reading) => false,
            known => {
                let is_full = known.is_none() && self.junctions.len() >= JUNCTIONS_MAX;
                let tied = if is_full {
                    Err(JunctionRefusal::Full)
                } else {
                    TiedJunction::new(network, reading)
                };
                match tied {
                    Ok(tied) => drop(self.junctions.insert(name.clone(), Arc::new(tied))),
                    Err(refusal) => {
                        self.refused[refusal as usize] += 1;
                        return Err(refusal);
                    }
                }
                true
            }
        };
        let number = unit.and_then(|unit| self.number_of(unit));
        let is_new = number.is_some_and(|number| self.units[number].1.insert(name.clone()));
        let units = if is_changed {
            let told = self.units.iter().enumerate();
            told.filter(|(_, (_, names))| names.contains(&name))
                .map(|(number, _)| number)
                .collect()
        } else {
            number.filter(|_| is_new).into_iter().collect()
        };
        Ok(OverlayChange { is_changed, units })
    }

    /// The number of a unit, a new one where there is room.
    fn number_of(&mut self, unit: UnitId) -> Option<usize> {
        let known = self.units.iter().position(|(known, _)| *known == unit);
        if known.is_none() && self.units.len() < UNITS_MAX {
            self.units.push((unit, BTreeSet::new()));
            return Some(self.units.len() - 1);
        }
        known
    }

    /// Every junction, by name.
    pub fn junctions(&self) -> impl ExactSizeIterator<Item = &Arc<TiedJunction>> {
        self.junctions.values()
    }

    /// A junction by its name.
    pub fn junction(&self, name: &str) -> Option<&Arc<TiedJunction>> {
        self.junctions.get(name)
    }

    /// How many readings were refused, by reason.
    pub fn refused(&self) -> impl Iterator<Item = (JunctionRefusal, u64)> + '_ {
        JunctionRefusal::ALL
            .into_iter()
            .map(|refusal| (refusal, self.refused[refusal as usize]))
    }

    /// The units that have described junctions, by number.
    pub fn units(&self) -> impl ExactSizeIterator<Item = UnitId> + '_ {
        self.units.iter().map(|(unit, _)| *unit)
    }

    /// The outline around all tied lines of a unit's junctions, widened by 15 m: what it perceives
    /// lies inside. Empty where nothing is tied.
    ///
    /// # Panics
    /// When there is no unit of that number.
    pub fn outline(&self, network: &Network, number: usize) -> Vec<Point> {
        let names = self.units[number].1.iter();
        let mut corners = Vec::new();
        for junction in names.filter_map(|name| self.junctions.get(name)) {
            let parts = junction.reading.approaches.iter().zip(&junction.approaches);
            for (approach, _) in parts.filter(|(_, tied)| !tied.segments.is_empty()) {
                let of_lanes = approach.lanes.iter().flat_map(|lane| &lane.points);
                for &position in approach.points.iter().chain(of_lanes) {
                    let point = network.frame().to_point(position);
                    for eighth in 0..8u8 {
                        let (sin, cos) = (f32::from(eighth) * 45.0).to_radians().sin_cos();
                        corners.push(Point::new(
                            point.x + OUTLINE_MARGIN_M * sin,
                            point.y + OUTLINE_MARGIN_M * cos,
                        ));
                    }
                }
            }
        }
        convex_hull(corners)
    }
}

/// Whether two readings say the same but for the time.
fn describes_alike(a: &JunctionReading, b: &JunctionReading) -> bool {
    a.position == b.position && a.name == b.name && a.approaches == b.approaches
}

/// The convex hull, counter-clockwise (Andrew 1979, Another efficient algorithm for convex hulls in
/// two dimensions).
fn convex_hull(mut points: Vec<Point>) -> Vec<Point> {
    points.sort_by(|a, b| a.x.total_cmp(&b.x).then(a.y.total_cmp(&b.y)));
    points.dedup();
    if points.len() < 3 {
        return points;
    }
    let turn = |a: Point, b: Point, c: Point| {
        f64::from(b.x - a.x) * f64::from(c.y - a.y) - f64::from(b.y - a.y) * f64::from(c.x - a.x)
    };
    let half = |points: &mut dyn Iterator<Item = Point>| {
        let mut hull: Vec<Point> = Vec::new();
        for point in points {
            while let [.., a, b] = hull[..]
                && turn(a, b, point) <= 0.0
            {
                hull.pop();
            }
            hull.push(point);
        }
        hull.pop();
        hull
    };
    let mut hull = half(&mut points.iter().copied());
    hull.extend(half(&mut points.iter().rev().copied()));
    hull
}

#[cfg(test)]
mod tests;
