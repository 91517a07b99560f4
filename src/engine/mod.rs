//! The engine: decoding, matching, state, forecast and guidance composed, without a clock.
//!
//! Two stages. Stage 1 ([`Front`] and [`Shard`]) decodes, judges the watermark record by record and
//! matches each road user in one of [`PARTITION_COUNT`] virtual partitions. Stage 2 ([`Analysis`])
//! closes minutes and runs state, forecast and guidance. Between them go integer sums, so how many
//! shards there are, and how messages were batched, never changes a result. [`Engine`] is the
//! single-threaded composition; the shell runs the same values on threads.

mod analysis;
mod composition;
mod front;
mod roadside;
mod shard;
mod snapshot;

pub use analysis::{Analysis, AnalysisSettings};
pub use composition::{Engine, Input, Output};
pub use front::{CLOCK_TOPIC, Front, FrontSettings, ORDERS_MAX, Routed, clock_time};
pub use shard::{Closed, Shard, ShardCounts};
pub use snapshot::SnapshotError;
use snapshot::{put_block, take_block};

/// How many virtual partitions the road users are divided into. Fixed: snapshots are kept per
/// partition.
pub const PARTITION_COUNT: usize = 256;
