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

pub use analysis::{Analysis, AnalysisSettings};
pub use composition::{Engine, Input, Output};
pub use front::{CLOCK_TOPIC, Front, FrontSettings, Routed, clock_time};
pub use shard::{Shard, ShardCounts};

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

impl SnapshotError {
    /// Says which room's memory an error is about.
    fn of<E: std::fmt::Display>(room: &'static str) -> impl FnOnce(E) -> Self {
        move |error| Self {
            room,
            problem: error.to_string(),
        }
    }
}

/// Splits a length-prefixed block (`u32` little-endian) off the front of `bytes`.
fn take_block<'a>(bytes: &mut &'a [u8], room: &'static str) -> Result<&'a [u8], SnapshotError> {
    let truncated = || SnapshotError {
        room,
        problem: format!("ends after {} bytes", bytes.len()),
    };
    let (head, rest) = bytes.split_first_chunk::<4>().ok_or_else(truncated)?;
    let length = u32::from_le_bytes(*head) as usize;
    if rest.len() < length {
        return Err(truncated());
    }
    let (block, rest) = rest.split_at(length);
    *bytes = rest;
    Ok(block)
}

/// Appends what `write` writes as a length-prefixed block.
fn put_block(out: &mut Vec<u8>, write: impl FnOnce(&mut Vec<u8>)) {
    let start = out.len();
    out.extend_from_slice(&[0; 4]);
    write(out);
    let length = (out.len() - start - 4) as u32;
    out[start..start + 4].copy_from_slice(&length.to_le_bytes());
}
