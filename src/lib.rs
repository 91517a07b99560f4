//! roadcast turns roadside-unit and vehicle telemetry into traffic state, forecasts and guidance.
//!
//! ```text
//!         RawMessage      Observation      MatchedPosition   SegmentState    Forecast     Guidance
//!  ingest ────────► wire ────────► screening ─────► matching ─────► state ─────► forecast ─────► guide ─────► publish
//! ```
//!
//! `units` to `engine` are the core: deterministic, without clock, threads, files or wires. The rest
//! is the shell around it. `docs/architecture.md` is the map of the house.

pub mod archive;
pub mod units;

pub mod network;
pub mod observation;

pub mod wire;

pub mod screening;

pub mod matching;

pub mod state;

pub mod forecast;

pub mod guide;

pub mod engine;

pub mod ingest;

pub mod publish;

pub mod serve;

pub mod config;

pub mod metrics;

pub mod replay;

pub mod service;

pub mod cli;
