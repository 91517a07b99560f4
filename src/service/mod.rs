//! The running service: wiring, clock, shutdown, embedded broker.

pub mod broker;
