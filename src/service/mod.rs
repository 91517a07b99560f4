//! The running service: wiring, clock, shutdown, embedded broker.
