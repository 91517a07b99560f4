//! Recordings, drivers, the city and traffic generator, digest and report.

pub mod city;
pub mod dataset;
pub mod recording;
pub mod traffic;
