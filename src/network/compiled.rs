//! The compiled network file (`.rcn`): flat arrays, read as they are.
//!
//! ```text
//!    0  magic, 8 bytes                 80  origin: longitude, latitude, f64 degrees
//!    8  format version, u32            96  region count, u32, and 4 zero bytes
//!   12  section count, u32            104  bytes of each section, u64 each
//!   16  network version, SHA-256      240  sections, each padded with zeros to 8 bytes:
//!   48  check of the rest, SHA-256         segments, points, junctions, movements, prohibited
//!                                          manoeuvres, texts, text starts | movements out,
//!                                          movements in, their order, index nodes, index
//!                                          leaves, import report, starts of evaluation
//!                                          sections, their segments, lanes, lane links
//! ```
//!
//! All numbers are little-endian. The network version is the hash of what the network holds (the
//! sections left of the bar, and lanes with their links where there are any), equal to that of the network built from its source; the check covers
//! the header and the sections right of it. Reading verifies both and every index in the arrays,
//! so that a damaged file is an error, never a wrong network.

use bytemuck::Pod;
use sha2::{Digest, Sha256};

use super::NetworkError;
use super::builder::Parts;
use super::index::SegmentIndex;
use super::lanes::LaneTable;
use super::manoeuvres::Manoeuvres;
use super::model::{NONE, Network, NetworkVersion, RoadClass, Segment};
use super::report::ImportReport;
use super::sections::SectionTable;
use crate::units::{LocalFrame, Point, Position, SegmentId};

const _: () = assert!(
    cfg!(target_endian = "little"),
    "compiled networks are read in place and are little-endian"
);

/// The first bytes of every compiled network; the line ends betray a transfer as text.
pub const MAGIC: [u8; 8] = *b"RCNET\r\n\x1a";
/// The layout this build writes and reads.
pub const FORMAT: u32 = 4;

const SECTIONS: usize = 17;
const VERSION_AT: usize = 16;
const CHECK_AT: usize = 48;
const ORIGIN_AT: usize = 80;
const REGIONS_AT: usize = 96;
const LENGTHS_AT: usize = 104;
const HEADER_BYTES: usize = LENGTHS_AT + 8 * SECTIONS;
/// The first section that the check and not the network version covers.
const FIRST_DERIVED: usize = 7;

/// Appends the compiled form of `network` to `out`, with the report of its import.
pub fn write(network: &Network, report: &ImportReport, out: &mut Vec<u8>) {
    let report = report.to_text();
    let section_members: Vec<u32> = network.sections.members.iter().map(|id| id.0).collect();
    let sections: [&[u8]; SECTIONS] = [
        bytemuck::cast_slice(&network.segments),
        bytemuck::cast_slice(&network.points),
        bytemuck::cast_slice(&network.junctions),
        bytemuck::cast_slice(&network.movements),
        bytemuck::cast_slice(network.manoeuvres.as_words()),
        &network.text,
        bytemuck::cast_slice(&network.text_start),
        bytemuck::cast_slice(&network.out_start),
        bytemuck::cast_slice(&network.into_start),
        bytemuck::cast_slice(&network.into),
        bytemuck::cast_slice(&network.index.nodes),
        bytemuck::cast_slice(&network.index.leaf_ids),
        report.as_bytes(),
        bytemuck::cast_slice(&network.sections.start),
        bytemuck::cast_slice(&section_members),
        bytemuck::cast_slice(&network.lanes.lanes),
        bytemuck::cast_slice(&network.lanes.links),
    ];
    let mut header = [0u8; HEADER_BYTES];
    let mut put = |at: usize, bytes: &[u8]| header[at..at + bytes.len()].copy_from_slice(bytes);
    put(0, &MAGIC);
    put(8, &FORMAT.to_le_bytes());
    put(12, &(SECTIONS as u32).to_le_bytes());
    put(VERSION_AT, &network.version.0);
    let origin = network.frame.origin();
    put(ORIGIN_AT, &origin.lon_deg.to_le_bytes());
    put(ORIGIN_AT + 8, &origin.lat_deg.to_le_bytes());
    put(REGIONS_AT, &network.region_count.to_le_bytes());
    for (index, section) in sections.iter().enumerate() {
        put(
            LENGTHS_AT + 8 * index,
            &(section.len() as u64).to_le_bytes(),
        );
    }
    let check = check(&header, &sections);
    header[CHECK_AT..ORIGIN_AT].copy_from_slice(&check);
    out.extend_from_slice(&header);
    for section in sections {
        out.extend_from_slice(section);
        out.resize(out.len() + padding(section.len()), 0);
    }
}

/// Reads a compiled network and the report of its import.
///
/// # Errors
/// When the bytes are no compiled network of this [`FORMAT`], are cut short, or are damaged.
pub fn read(bytes: &[u8]) -> Result<(Network, ImportReport), NetworkError> {
    let result = (|| {
        let (header, sections) = split(bytes)?;
        if check(header, &sections) != header[CHECK_AT..ORIGIN_AT] {
            return Err("the check of header and index differs: the file is damaged".to_owned());
        }
        let parts = parts(header, &sections)?;
        let version = parts.version();
        if version.0 != header[VERSION_AT..CHECK_AT] {
            return Err("the hash of the network differs: the file is damaged".to_owned());
        }
        validate(&parts)?;
        let report = std::str::from_utf8(sections[12])
            .map_err(|error| error.to_string())
            .and_then(ImportReport::from_text)?;
        let network = network(parts, version, &sections)?;
        Ok((network, report))
    })();
    result.map_err(|problem| NetworkError::Compiled { problem })
}

/// The header and the sections, their places checked.
fn split(bytes: &[u8]) -> Result<(&[u8], [&[u8]; SECTIONS]), String> {
    if !bytes.starts_with(&MAGIC) {
        return Err("does not begin as a compiled network".into());
    }
    let too_short = || format!("cut short at {} bytes", bytes.len());
    let (header, mut rest) = bytes.split_at_checked(HEADER_BYTES).ok_or_else(too_short)?;
    let format = u32_at(header, 8);
    if format != FORMAT {
        return Err(format!(
            "has format {format}, this build reads {FORMAT}: build it again"
        ));
    }
    let mut sections = [&bytes[..0]; SECTIONS];
    for (index, slot) in sections.iter_mut().enumerate() {
        let length = usize::try_from(u64_at(header, LENGTHS_AT + 8 * index))
            .map_err(|error| error.to_string())?;
        let (section, after) = rest.split_at_checked(length).ok_or_else(too_short)?;
        let (zeros, after) = after
            .split_at_checked(padding(length))
            .ok_or_else(too_short)?;
        if zeros.iter().any(|&byte| byte != 0) {
            return Err(format!("padding of section {index} is not zero"));
        }
        (*slot, rest) = (section, after);
    }
    if !rest.is_empty() {
        return Err(format!("{} bytes after its end", rest.len()));
    }
    Ok((header, sections))
}

fn check(header: &[u8], sections: &[&[u8]; SECTIONS]) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(&header[..CHECK_AT]);
    hash.update(&header[ORIGIN_AT..]);
    for section in &sections[FIRST_DERIVED..] {
        hash.update(section);
    }
    hash.finalize().into()
}

fn parts(header: &[u8], sections: &[&[u8]; SECTIONS]) -> Result<Parts, String> {
    let origin = Position::new(f64_at(header, ORIGIN_AT), f64_at(header, ORIGIN_AT + 8));
    if !origin.is_valid() {
        return Err(format!(
            "origin {}, {} out of range",
            origin.lon_deg, origin.lat_deg
        ));
    }
    Ok(Parts {
        frame: LocalFrame::new(origin),
        segments: array(sections[0], "segments")?,
        points: array(sections[1], "points")?,
        junctions: array(sections[2], "junctions")?,
        movements: array(sections[3], "movements")?,
        manoeuvres: array(sections[4], "prohibited manoeuvres")?,
        text: sections[5].to_vec(),
        text_start: array(sections[6], "text starts")?,
        region_count: u32_at(header, REGIONS_AT),
        lanes: LaneTable {
            lanes: array(sections[15], "lanes")?,
            links: array(sections[16], "lane links")?,
        },
    })
}

/// Copies a section into an aligned array.
fn array<T: Pod>(bytes: &[u8], name: &str) -> Result<Vec<T>, String> {
    let size = size_of::<T>();
    if !bytes.len().is_multiple_of(size) {
        return Err(format!(
            "{name}: {} bytes are no multiple of {size}",
            bytes.len()
        ));
    }
    let mut items = vec![T::zeroed(); bytes.len() / size];
    bytemuck::cast_slice_mut::<T, u8>(&mut items).copy_from_slice(bytes);
    Ok(items)
}

/// Checks every index and number that the rest of the program relies on.
fn validate(parts: &Parts) -> Result<(), String> {
    let (texts, ends) = (&parts.text_start, parts.text.len());
    let text = std::str::from_utf8(&parts.text).map_err(|error| format!("texts: {error}"))?;
    let in_order = texts.first() == Some(&0)
        && texts.last().is_some_and(|&last| last as usize == ends)
        && texts.is_sorted()
        && texts
            .iter()
            .all(|&start| text.is_char_boundary(start as usize));
    if !in_order {
        return Err("text starts are out of order".into());
    }
    if parts.segments.is_empty() {
        return Err("holds no segment".into());
    }
    let finite = |point: &Point| point.x.is_finite() && point.y.is_finite();
    if !parts.points.iter().all(finite) {
        return Err("a point is not finite".into());
    }
    if !parts
        .junctions
        .iter()
        .all(|junction| finite(&junction.point))
    {
        return Err("a junction is not finite".into());
    }
    if let Some(bad) = parts
        .segments
        .iter()
        .position(|segment| !is_sound(segment, parts))
    {
        return Err(format!("segment {bad} is out of range"));
    }
    let count = parts.segments.len() as u32;
    let sound = |movement: &super::Movement| {
        movement.from < count
            && movement.to < count
            && movement.lanes > 0
            && movement.length_m.is_finite()
            && movement.length_m >= 0.0
    };
    if let Some(bad) = parts.movements.iter().position(|movement| !sound(movement)) {
        return Err(format!("movement {bad} is out of range"));
    }
    let ascending = parts
        .movements
        .is_sorted_by(|a, b| (a.from, a.to) < (b.from, b.to));
    if !ascending {
        return Err("movements are out of order".into());
    }
    if !Manoeuvres::are_sound(&parts.manoeuvres, &parts.movements) {
        return Err("prohibited manoeuvres don't follow the movements".into());
    }
    let text_count = texts.len() - 1;
    let lanes = &parts.lanes;
    if !lanes.is_sound(parts.segments.len(), parts.movements.len(), text_count) {
        return Err("lanes do not fit the segments".into());
    }
    Ok(())
}

fn is_sound(segment: &Segment, parts: &Parts) -> bool {
    let (junctions, segments) = (parts.junctions.len() as u32, parts.segments.len() as u32);
    let texts = parts.text_start.len() as u32 - 1;
    let optional = |id: u32, count: u32| id == NONE || id < count;
    let last_point = u64::from(segment.first_point) + u64::from(segment.point_count);
    let positive = |value: f32| value.is_finite() && value > 0.0;
    segment.from < junctions
        && segment.to < junctions
        && segment.point_count >= 2
        && last_point <= parts.points.len() as u64
        && segment.source_text < texts
        && optional(segment.name_text, texts)
        && optional(segment.name_en_text, texts)
        && optional(segment.twin, segments)
        && segment.region < parts.region_count
        && positive(segment.length_m)
        && positive(segment.limit_mps)
        && usize::from(segment.class) < RoadClass::ALL.len()
        && segment.lanes > 0
        && segment.source_dir.abs() == 1
}

fn network(
    parts: Parts,
    version: NetworkVersion,
    sections: &[&[u8]; SECTIONS],
) -> Result<Network, String> {
    let out_start: Vec<u32> = array(sections[7], "movements out")?;
    let into_start: Vec<u32> = array(sections[8], "movements in")?;
    let into: Vec<u32> = array(sections[9], "order of movements in")?;
    let (count, movements) = (parts.segments.len(), &parts.movements);
    let groups = |starts: &[u32]| {
        starts.len() == count + 1
            && starts.first() == Some(&0)
            && starts.last() == Some(&(movements.len() as u32))
            && starts.is_sorted()
    };
    if !groups(&out_start) || !groups(&into_start) || into.len() != movements.len() {
        return Err("adjacency does not fit the movements".into());
    }
    let members =
        |starts: &[u32], segment: usize| starts[segment] as usize..starts[segment + 1] as usize;
    for segment in 0..count {
        let out = &movements[members(&out_start, segment)];
        let entering = &into[members(&into_start, segment)];
        let fits = out.iter().all(|movement| movement.from as usize == segment)
            && entering.is_sorted_by(|a, b| a < b)
            && entering.iter().all(|&index| {
                movements
                    .get(index as usize)
                    .is_some_and(|movement| movement.to as usize == segment)
            });
        if !fits {
            return Err(format!(
                "adjacency of segment {segment} does not fit the movements"
            ));
        }
    }
    let (nodes, leaves) = (
        array(sections[10], "index nodes")?,
        array(sections[11], "index leaves")?,
    );
    let index = SegmentIndex::from_parts(nodes, leaves, count)
        .ok_or("the spatial index does not fit the segments")?;
    let manoeuvres = Manoeuvres::new(parts.manoeuvres, movements, &out_start);
    let mut network = Network {
        frame: parts.frame,
        version,
        segments: parts.segments,
        points: parts.points,
        junctions: parts.junctions,
        movements: parts.movements,
        manoeuvres,
        out_start,
        into,
        into_start,
        text: parts.text,
        text_start: parts.text_start,
        region_count: parts.region_count,
        index,
        sections: SectionTable::default(),
        lanes: parts.lanes,
    };
    let members: Vec<u32> = array(sections[14], "segments of evaluation sections")?;
    network.sections = SectionTable::from_parts(
        array(sections[13], "starts of evaluation sections")?,
        members.into_iter().map(SegmentId).collect(),
        &network,
    )
    .ok_or("the evaluation sections do not fit the segments")?;
    Ok(network)
}

const fn padding(length: usize) -> usize {
    length.wrapping_neg() % 8
}

fn bytes_at<const N: usize>(header: &[u8], at: usize) -> [u8; N] {
    let mut bytes = [0; N];
    bytes.copy_from_slice(&header[at..at + N]);
    bytes
}

fn u32_at(header: &[u8], at: usize) -> u32 {
    u32::from_le_bytes(bytes_at(header, at))
}

fn u64_at(header: &[u8], at: usize) -> u64 {
    u64::from_le_bytes(bytes_at(header, at))
}

fn f64_at(header: &[u8], at: usize) -> f64 {
    f64::from_le_bytes(bytes_at(header, at))
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{SectionRules, csv};

    const SMALL: &str = "\
from,to,highway,lon1,lat1,lon2,lat2,len_m,id,oneway,lanes,limit_mps,name
a,b,primary,114.30,30.55,114.301,30.55,96,r0,yes,3,16.67,珞喻路
b,d,primary_link,114.301,30.55,114.302,30.55,96,r1,yes,,,
b,c,residential,114.301,30.55,114.301,30.551,111,r2,,,,
d,e,footway,114.301,30.55,114.301,30.551,111,r3,no,,,
";

    fn compiled(text: &str) -> (Network, ImportReport, Vec<u8>) {
        let (network, report) = csv::read("x.csv", text.as_bytes()).unwrap();
        let network = network.with_sections(&SectionRules::default());
        let mut bytes = Vec::new();
        write(&network, &report, &mut bytes);
        (network, report, bytes)
    }

    /// Every array of a network, for comparison.
    fn contents(network: &Network) -> String {
        format!("{network:?}")
    }

    #[test]
    fn reads_back_what_it_wrote() {
        let (network, report, bytes) = compiled(SMALL);
        assert_eq!(bytes.len() % 8, 0);
        let (back, back_report) = read(&bytes).unwrap();
        assert_eq!(contents(&back), contents(&network));
        assert_eq!(back.version(), network.version());
        assert_eq!(back_report, report);
        let (loaded, _) = crate::network::load("x.rcn", bytes.clone()).unwrap();
        assert_eq!(loaded.version(), network.version());
        let (again, _, same) = compiled(SMALL);
        assert_eq!((again.version(), same), (network.version(), bytes));
    }

    #[test]
    fn the_version_tells_networks_apart() {
        let (network, _, _) = compiled(SMALL);
        for (from, to) in [
            ("珞喻路", "珞瑜路"),
            (",96,r1", ",97,r1"),
            ("r2", "r9"),
            ("30.551", "30.552"),
        ] {
            let (other, _, _) = compiled(&SMALL.replacen(from, to, 1));
            assert_ne!(other.version(), network.version(), "{from}");
        }
    }

    #[test]
    fn every_truncation_is_an_error() {
        let (_, _, bytes) = compiled(SMALL);
        for end in 0..bytes.len() {
            assert!(read(&bytes[..end]).is_err(), "cut at {end}");
        }
        assert!(read(&[&bytes[..], b"more"].concat()).is_err());
    }

    #[test]
    fn every_flipped_byte_is_an_error() {
        let (_, _, bytes) = compiled(SMALL);
        for at in 0..bytes.len() {
            for bit in [1, 0x80] {
                let mut damaged = bytes.clone();
                damaged[at] ^= bit;
                assert!(read(&damaged).is_err(), "byte {at}");
            }
        }
    }

    /// A file made wrong on purpose has right hashes: the arrays themselves must be checked.
    #[test]
    fn arrays_out_of_range_are_errors_although_the_hashes_agree() {
        let (_, _, bytes) = compiled(SMALL);
        let mut refused = 0;
        for at in (HEADER_BYTES..bytes.len()).step_by(4) {
            for value in [u32::MAX - 1, 7_777, f32::NAN.to_bits()] {
                let mut forged = bytes.clone();
                forged[at..at + 4].copy_from_slice(&value.to_le_bytes());
                sign(&mut forged);
                match read(&forged) {
                    Err(_) => refused += 1,
                    Ok((network, _)) => use_everything(&network),
                }
            }
        }
        assert!(refused > 300, "{refused}");
    }

    fn sign(forged: &mut [u8]) {
        let (header, sections) = split(forged).map_or_else(
            |_| (Vec::new(), None),
            |(header, sections)| {
                let version = parts(header, &sections).map(|parts| parts.version().0);
                (
                    version.map_or(Vec::new(), |version| version.to_vec()),
                    Some(()),
                )
            },
        );
        if sections.is_none() || header.is_empty() {
            return;
        }
        forged[VERSION_AT..CHECK_AT].copy_from_slice(&header);
        let check = split(forged).map(|(header, sections)| check(header, &sections));
        if let Ok(check) = check {
            forged[CHECK_AT..ORIGIN_AT].copy_from_slice(&check);
        }
    }

    fn use_everything(network: &Network) {
        for id in network.segment_ids() {
            let facts = network.segment(id);
            let (from, to) = (network.junction(facts.from()), network.junction(facts.to()));
            assert!(from.point.x.is_finite() && to.point.x.is_finite());
            assert!(network.source_id(id).len() + network.name(id).map_or(0, str::len) < 1_000);
            let found = network.project(id, network.shape(id)[0]);
            assert!((0.0..=facts.length_m).contains(&found.offset_m));
            for movement in network.movements_from(id) {
                assert!(
                    network
                        .movements_into(movement.to())
                        .any(|other| other == movement)
                );
            }
            network.candidates_within(network.shape(id)[0], 1_000.0, &mut |_| {});
        }
    }
}
