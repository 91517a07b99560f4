//! Binary formats of other makers: JT/T 808, GTFS-Realtime.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    roadcast_fuzz::checks::binary(bytes);
});
