//! The corpora of the fuzzers: what they begin from and what they once found. Each input is put
//! through the check of its target, which fails where a bound or a promise breaks.

#![expect(
    clippy::unwrap_used,
    reason = "a corpus that cannot be read fails its test"
)]

use std::fs;
use std::path::Path;

#[expect(
    unreachable_pub,
    clippy::panic,
    reason = "the fuzz targets are another crate, and a check fails by a panic"
)]
#[path = "../fuzz/src/checks/mod.rs"]
mod checks;

/// Puts every file of `family` through its check and returns how much of it was understood, so that
/// a corpus cannot pass by being refused.
fn replayed(family: &str, check: fn(&[u8]) -> usize) -> usize {
    let folder = Path::new(env!("CARGO_MANIFEST_DIR")).join("tests/fuzz/corpus");
    let files = fs::read_dir(folder.join(family)).unwrap();
    let mut understood = 0;
    for file in files {
        let path = file.unwrap().path();
        let bytes = fs::read(&path).unwrap();
        assert!(bytes.len() < 4096, "{}: a corpus is small", path.display());
        let whole = check(&bytes);
        understood += whole;
        // Half of it, and all of it twice, are inputs too.
        check(&bytes[..bytes.len() / 2]);
        check(&bytes.repeat(2));
    }
    understood
}

#[test]
fn the_corpus_of_csae_frames_holds() {
    assert!(replayed("csae", checks::csae) >= 16);
}

#[test]
fn the_corpus_of_native_formats_holds() {
    assert!(replayed("native", checks::native) >= 13);
}

#[test]
fn the_corpus_of_other_makers_json_holds() {
    assert!(replayed("vendor_json", checks::vendor_json) >= 20);
}

#[test]
fn the_corpus_of_other_makers_binary_holds() {
    assert!(replayed("binary", checks::binary) >= 7);
}

#[test]
fn the_corpus_of_recordings_and_snapshots_holds() {
    assert!(replayed("storage", checks::storage::storage) >= 5);
}
