//! Recordings, drivers, the city and traffic generator, digest and report.

pub mod recording;
