//! JSON of other makers: Huawei, OpenV2X, T/ITS 0117, Orange its-client.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| {
    roadcast_fuzz::checks::vendor_json(bytes);
});
