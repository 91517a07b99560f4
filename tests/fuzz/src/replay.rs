//! Recordings alone.

pub mod recording;
