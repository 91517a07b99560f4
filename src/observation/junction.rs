//! A junction as a roadside unit describes it (MAP): the ways in, their lanes, and where these lead.
//!
//! It says what the unit says; which segments of the network that is, `matching` finds out.

use std::sync::Arc;

use crate::units::{Position, Timestamp};

/// A junction as a MAP message describes it.
#[derive(Clone, Debug, PartialEq)]
pub struct JunctionReading {
    /// When the description was heard, event time. A map says when it was made, which may be months
    /// ago; it holds while it is sent.
    pub observed_at: Timestamp,
    /// The junction as its source calls it: `{region}-{id}` in T/CSAE 53, region 0 where none is
    /// stated.
    pub junction: Arc<str>,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Where it is.
    pub position: Position,
    /// The ways in.
    pub approaches: Vec<Approach>,
}

/// A way into a junction, from another one.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Approach {
    /// The junction it comes from.
    pub upstream: Arc<str>,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Speed limit in m/s.
    pub limit_mps: Option<f32>,
    /// Metres across.
    pub width_m: Option<f32>,
    /// Its line along the traffic, from upstream to the junction.
    pub points: Vec<Position>,
    /// Where it leads over the junction.
    pub movements: Vec<ApproachMovement>,
    /// Its lanes, in the order of the message.
    pub lanes: Vec<ApproachLane>,
}

/// Where an approach leads over the junction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ApproachMovement {
    /// The junction it leads to.
    pub downstream: Arc<str>,
    /// The signal phase that governs it.
    pub phase: Option<u32>,
}

/// One lane of an approach.
#[derive(Clone, Debug, PartialEq)]
pub struct ApproachLane {
    /// Its number within the approach; negative to the left of a reference line (T/CSAE 53-2020).
    pub number: i32,
    /// Metres across.
    pub width_m: Option<f32>,
    /// Whom it is for.
    pub usage: LaneUsage,
    /// The turns allowed from it; `None` where not said.
    pub turns: Option<Turns>,
    /// Its middle along the traffic; may be missing.
    pub points: Vec<Position>,
    /// Where it leads over the junction.
    pub connections: Vec<LaneConnection>,
}

/// Where a lane leads over the junction.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct LaneConnection {
    /// The junction it leads to.
    pub downstream: Arc<str>,
    /// The lane it leads into, as numbered there.
    pub lane: Option<i32>,
    /// The signal phase that governs it.
    pub phase: Option<u32>,
}

/// Whom a lane is for (T/CSAE 53, DF_LaneTypeAttributes).
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum LaneUsage {
    /// Not said.
    #[default]
    Unknown,
    /// Vehicles.
    Vehicle,
    /// People who cross.
    Crosswalk,
    /// Bicycles.
    Bicycle,
    /// People on foot.
    Sidewalk,
    /// Nobody: a median.
    Median,
    /// Nobody: striped.
    Striping,
    /// Trams and trains.
    Tracked,
    /// Parked vehicles.
    Parking,
}

impl LaneUsage {
    /// The word for it in output.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Vehicle => "vehicle",
            Self::Crosswalk => "crosswalk",
            Self::Bicycle => "bicycle",
            Self::Sidewalk => "sidewalk",
            Self::Median => "median",
            Self::Striping => "striping",
            Self::Tracked => "tracked",
            Self::Parking => "parking",
        }
    }
}

/// A set of turns.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq, Hash)]
pub struct Turns(pub u8);

impl Turns {
    /// Straight on.
    pub const STRAIGHT: Self = Self(1);
    /// To the left.
    pub const LEFT: Self = Self(2);
    /// To the right.
    pub const RIGHT: Self = Self(4);
    /// Back.
    pub const U_TURN: Self = Self(8);

    /// Every single turn with the word for it in output.
    pub const NAMED: [(Self, &'static str); 4] = [
        (Self::STRAIGHT, "straight"),
        (Self::LEFT, "left"),
        (Self::RIGHT, "right"),
        (Self::U_TURN, "u_turn"),
    ];

    /// Whether all of `other` are in it.
    pub const fn contains(self, other: Self) -> bool {
        self.0 & other.0 == other.0
    }

    /// The words for its turns.
    pub fn labels(self) -> impl Iterator<Item = &'static str> {
        Self::NAMED
            .into_iter()
            .filter(move |(turn, _)| self.contains(*turn))
            .map(|(_, label)| label)
    }
}

impl JunctionReading {
    /// Replaces every position by what `transform` makes of it.
    pub fn map_positions(&mut self, transform: impl Fn(Position) -> Position) {
        self.position = transform(self.position);
        for approach in &mut self.approaches {
            let of_lanes = approach.lanes.iter_mut().flat_map(|lane| &mut lane.points);
            for point in approach.points.iter_mut().chain(of_lanes) {
                *point = transform(*point);
            }
        }
    }
}
