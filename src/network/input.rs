//! Decides what a network file is by its content and reads it.

use std::io::Read;

use super::{ImportReport, Network, NetworkError, compiled, csv, osm, sumo};

/// The most bytes a compressed network may unpack to, 4 GiB: far above any city, below what would
/// exhaust a server.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;

/// Reads a network of any known format: compiled, CSV, SUMO net or OSM extract, each also
/// gzip-compressed. `name` is shown in
/// messages.
///
/// # Errors
/// When the bytes are of no known format, break their format or hold no drivable road.
pub fn load(name: &str, bytes: Vec<u8>) -> Result<(Network, ImportReport), NetworkError> {
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        unpack(name, &bytes)?
    } else {
        bytes
    };
    if bytes.starts_with(&compiled::MAGIC) {
        return compiled::read(&bytes);
    }
    if is_osm(&bytes) {
        return osm::read(name, &bytes);
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if text.trim_ascii_start().starts_with(b"<") {
        sumo::read(name, text)
    } else {
        csv::read(name, text)
    }
}

/// Whether the bytes begin as an OSM extract: a length, then a blob header of type `OSMHeader`
/// (OSM wiki, PBF Format).
fn is_osm(bytes: &[u8]) -> bool {
    let kind = b"OSMHeader";
    bytes
        .get(4..64.min(bytes.len()))
        .is_some_and(|head| head.windows(kind.len()).any(|window| window == kind))
}

fn unpack(name: &str, packed: &[u8]) -> Result<Vec<u8>, NetworkError> {
    let malformed = |problem: String| NetworkError::Malformed {
        input: name.to_owned(),
        place: "gzip".into(),
        problem,
    };
    let mut bytes = Vec::new();
    flate2::read::MultiGzDecoder::new(packed)
        .take(UNPACKED_BYTES_MAX)
        .read_to_end(&mut bytes)
        .map_err(|error| malformed(error.to_string()))?;
    if bytes.len() as u64 == UNPACKED_BYTES_MAX {
        return Err(malformed(format!(
            "unpacks to {UNPACKED_BYTES_MAX} bytes or more"
        )));
    }
    Ok(bytes)
}
