//! roadcast's own formats: JSON probes, JSON records, protobuf batches.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    roadcast_fuzz::checks::native(bytes);
});
