//! Recordings and snapshots.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    roadcast_fuzz::checks::storage::storage(bytes);
});
