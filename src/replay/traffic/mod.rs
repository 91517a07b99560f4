//! Seeded traffic: a kinematic fleet for load, and a simulation with queues and signals.
//!
//! It makes telemetry and the truth behind it. It reads no clock and opens no connection: time is
//! an argument and reports are values, so that equal seeds give equal bytes.

mod demand;
mod fleet;
pub mod history;
mod junctions;
mod land;
mod motion;
mod noise;
mod report;
mod roads;
mod settings;
mod simulation;
mod truth;

pub use fleet::Fleet;
pub use report::{BSM_TOPIC, RSM_TOPIC, Report, default_routes};
pub use settings::{Incident, TrafficSettings};
pub use simulation::{Counts, Simulation};
pub use truth::{Truth, TruthMinute};

#[cfg(test)]
mod tests;
