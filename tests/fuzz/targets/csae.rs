//! T/CSAE 53: frames of both dialects, envelopes, lines of JSON.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    roadcast_fuzz::checks::csae(bytes);
});
