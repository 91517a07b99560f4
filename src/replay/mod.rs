//! Recordings, drivers, the city and traffic generator, digest and report.
