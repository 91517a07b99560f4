//! Stage 1 of the engine and its snapshots; stage 2 would bring the models in.

mod front;
mod roadside;
mod shard;
mod snapshot;

pub use front::{Front, FrontSettings, Routed};
pub use shard::{Shard, ShardCounts};
pub use snapshot::SnapshotError;
use snapshot::{put_block, take_block};

/// As in the engine itself.
pub const PARTITION_COUNT: usize = 256;
