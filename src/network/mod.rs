//! The road network: directed segments, junctions, movements and their geometry.
//!
//! It owns what is fixed while a network version is in force. It does not read files (importers
//! here take bytes) and knows nothing of traffic. Junction and link terms follow SUMO and
//! GB/T 29107.

mod builder;
pub mod compiled;
pub mod csv;
mod directions;
mod index;
mod input;
mod lanes;
mod manoeuvres;
mod model;
pub mod opendrive;
pub mod osm;
pub mod paths;
mod projection;
mod report;
mod sections;
pub mod sumo;
mod tables;
mod tags;
mod xml;

pub use builder::{NetworkBuilder, SegmentDraft, TurnRule};
pub use manoeuvres::Stage;
pub use model::{
    Candidate, Junction, Movement, MovementFlags, Network, NetworkVersion, RoadClass, Segment,
    SegmentFlags,
};

pub use input::{CountryCode, ImportOptions, load, load_with};
pub use lanes::{LANES_MAX, Lane, LaneIndex, LaneKind, LaneLink};
pub use report::{Assumption, ImportReport, NetworkFormat, Omission, Part};
pub use sections::{Section, SectionKind, SectionRules};
pub use tables::{Table, TableSize};

/// Why a network could not be built or read.
#[derive(Debug, thiserror::Error)]
pub enum NetworkError {
    /// The input breaks its format.
    #[error("{input}: {place}: {problem}")]
    Malformed {
        /// Which input.
        input: String,
        /// Line, element or byte offset.
        place: String,
        /// What is wrong, with the value.
        problem: String,
    },
    /// Nothing drivable was found.
    #[error("{input}: no drivable segment found")]
    Empty {
        /// Which input.
        input: String,
    },
    /// A compiled file of another version or with a wrong hash.
    #[error("compiled network: {problem}")]
    Compiled {
        /// What is wrong, with the value.
        problem: String,
    },
}
