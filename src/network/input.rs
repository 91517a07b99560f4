//! Decides what a network file is by its content and reads it.

use std::io::Read;

use super::{ImportReport, Network, NetworkError, compiled, csv, opendrive, osm, sumo};

/// The most bytes a compressed network may unpack to, 4 GiB: far above any city, below what would
/// exhaust a server.
const UNPACKED_BYTES_MAX: u64 = 4 << 30;

/// A country by its two capital letters (ISO 3166-1 alpha-2), like `CN`.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub struct CountryCode(pub [u8; 2]);

impl std::str::FromStr for CountryCode {
    type Err = String;

    fn from_str(text: &str) -> Result<Self, String> {
        match *text.as_bytes() {
            [a, b] if a.is_ascii_uppercase() && b.is_ascii_uppercase() => Ok(Self([a, b])),
            _ => Err(format!(
                "{text:?} is no country code of two capital letters"
            )),
        }
    }
}

impl std::fmt::Display for CountryCode {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        self.0
            .iter()
            .try_for_each(|&letter| write!(f, "{}", char::from(letter)))
    }
}

/// What an importer is told beside the file.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct ImportOptions {
    /// Whose law limits roads without a sign (OSM only); else the country that the file names.
    pub country: Option<CountryCode>,
}

/// Reads a network of any known format: compiled, CSV, SUMO net, OpenDRIVE map or OSM
/// extract, each also gzip-compressed. `name` is shown in messages.
///
/// # Errors
/// When the bytes are of no known format, break their format or hold no drivable road.
pub fn load(name: &str, bytes: Vec<u8>) -> Result<(Network, ImportReport), NetworkError> {
    load_with(name, bytes, ImportOptions::default())
}

/// Reads a network as [`load`] does, with `options`.
///
/// # Errors
/// As [`load`].
pub fn load_with(
    name: &str,
    bytes: Vec<u8>,
    options: ImportOptions,
) -> Result<(Network, ImportReport), NetworkError> {
    let bytes = if bytes.starts_with(&[0x1f, 0x8b]) {
        unpack(name, &bytes)?
    } else {
        bytes
    };
    if bytes.starts_with(&compiled::MAGIC) {
        return compiled::read(&bytes);
    }
    if is_osm(&bytes) {
        return osm::read_with(name, &bytes, options);
    }
    let text = bytes.strip_prefix(b"\xef\xbb\xbf").unwrap_or(&bytes);
    if is_open_drive(text) {
        opendrive::read(name, text)
    } else if text.trim_ascii_start().starts_with(b"<") {
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

/// Whether the first element of an XML text is that of OpenDRIVE; declarations and comments may
/// stand before it.
fn is_open_drive(text: &[u8]) -> bool {
    let mut rest = text.trim_ascii_start();
    loop {
        let end: &[u8] = match rest {
            [b'<', b'!', b'-', b'-', ..] => b"-->",
            [b'<', b'?' | b'!', ..] => b">",
            _ => return rest.starts_with(b"<OpenDRIVE"),
        };
        match rest.windows(end.len()).position(|window| window == end) {
            Some(place) => rest = rest[place + end.len()..].trim_ascii_start(),
            None => return false,
        }
    }
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
