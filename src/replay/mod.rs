//! Recordings, drivers, the city and traffic generator, digest and report.
//!
//! It runs recorded input through the engine as fast as possible or paced, and says what came out.

pub mod city;
pub mod columns;
pub mod dataset;
pub mod digest;
pub mod load;
pub mod mqtt_outputs;
pub mod outputs;
pub mod pipeline;
pub mod recording;
pub mod report;
pub mod round_trip;
pub mod source;
pub mod traffic;
