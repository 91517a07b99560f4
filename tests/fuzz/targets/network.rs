//! A network file of any format: compiled, CSV, SUMO, OSM, each also gzip-compressed.
#![no_main]

use libfuzzer_sys::fuzz_target;

fuzz_target!(|bytes: &[u8]| roadcast_fuzz::read_and_walk(bytes));
