//! The engine: decoding, matching, state, forecast and guidance composed, without a clock.

mod front;

pub use front::{Front, FrontSettings, Routed};

/// How many virtual partitions the road users are divided into. Fixed: snapshots are kept per
/// partition.
pub const PARTITION_COUNT: usize = 256;

/// Why a snapshot cannot be restored.
#[derive(Debug, thiserror::Error)]
#[error("snapshot of {room}: {problem}")]
pub struct SnapshotError {
    /// Whose memory it is.
    pub room: &'static str,
    /// What is wrong, with the value.
    pub problem: String,
}
