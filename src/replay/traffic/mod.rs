//! Seeded traffic: a kinematic fleet for load, and a simulation with queues and signals.
//!
//! It makes telemetry and the truth behind it. It reads no clock and opens no connection: time is
//! an argument and reports are values, so that equal seeds give equal bytes.

mod demand;
mod fleet;
pub mod history;
mod noise;
mod roads;

pub use fleet::Fleet;
