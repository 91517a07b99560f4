//! Where detectors stand: detector id to segment, offset, lane and kind.
//!
//! Read from SUMO additional files, or from CSV with positions; readings of detectors that are not listed are refused by the
//! caller ([`crate::observation::RejectReason::UnknownDetector`]).

use std::collections::BTreeMap;

use quick_xml::Reader;
use quick_xml::events::{BytesStart, Event};

use crate::network::Network;
use crate::units::SegmentId;

/// Most detectors one table takes; beyond it reading fails.
pub const DETECTOR_COUNT_MAX: usize = 1_000_000;

/// What a detector measures.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum DetectorKind {
    /// Counts and point speeds at one place of one lane (induction loop, SUMO e1).
    Point,
    /// Speeds, occupancy and queue along a stretch of one lane (camera, radar, SUMO e2).
    Area,
}

/// Where one detector stands.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct DetectorPlace {
    /// The segment.
    pub segment: SegmentId,
    /// Metres from the start of the segment to the detector, or to the start of its stretch.
    pub offset_m: f32,
    /// Covered length in metres; 0 for a point.
    pub length_m: f32,
    /// Lane from the right, 0 first.
    pub lane: u8,
    /// What it measures.
    pub kind: DetectorKind,
}

/// Why a detector file could not be read.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum DetectorError {
    /// The file is not well-formed XML.
    #[error("detector file is not well-formed at byte {at}: {problem}")]
    Xml {
        /// Where, bytes from the start.
        at: u64,
        /// What the parser said.
        problem: String,
    },
    /// A row of CSV, or its header, is not as it should be.
    #[error("detector file, line {line}: {problem}")]
    Csv {
        /// Which line, from 1; 0 where the parser does not say.
        line: u64,
        /// What is wrong there.
        problem: String,
    },
    /// There are more than [`DETECTOR_COUNT_MAX`] detectors.
    #[error("more than {DETECTOR_COUNT_MAX} detectors")]
    TooMany,
}

/// All known detectors by id.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DetectorTable {
    places: BTreeMap<Box<str>, DetectorPlace>,
    skipped: Vec<String>,
}

impl DetectorTable {
    /// Adds or replaces one detector.
    pub fn insert(&mut self, id: &str, place: DetectorPlace) {
        self.places.insert(id.into(), place);
    }

    /// Lists an entry that could not be placed.
    pub(super) fn skip(&mut self, id: &str) {
        self.skipped.push(id.to_owned());
    }

    /// Adds the detectors of a SUMO additional file: `e1Detector`, `inductionLoop`, `e2Detector`,
    /// `laneAreaDetector` with `id`, `lane` (`<edge>_<index>`), `pos` and, for areas, `length` or
    /// `endPos`.
    ///
    /// A SUMO edge that the network splits into several segments is walked in driving order. An
    /// entry that is incomplete or on an unknown edge is skipped and listed by
    /// [`DetectorTable::skipped`].
    ///
    /// # Errors
    /// When the bytes are not well-formed XML or hold too many detectors.
    pub fn read_sumo(&mut self, network: &Network, bytes: &[u8]) -> Result<(), DetectorError> {
        let mut edges = network.segments_by_source();
        for segments in edges.values_mut() {
            segments.sort_by_key(|&id| (network.segment(id).source_pair, id));
        }
        let mut reader = Reader::from_reader(bytes);
        let mut buffer = Vec::new();
        loop {
            let event = reader.read_event_into(&mut buffer);
            match event {
                Ok(Event::Start(element) | Event::Empty(element)) => {
                    self.take_element(network, &edges, &element);
                }
                Ok(Event::Eof) => return Ok(()),
                Ok(_) => {}
                Err(error) => {
                    return Err(DetectorError::Xml {
                        at: reader.error_position(),
                        problem: error.to_string(),
                    });
                }
            }
            if self.places.len() > DETECTOR_COUNT_MAX {
                return Err(DetectorError::TooMany);
            }
            buffer.clear();
        }
    }

    fn take_element(
        &mut self,
        network: &Network,
        edges: &BTreeMap<&str, Vec<SegmentId>>,
        element: &BytesStart<'_>,
    ) {
        let kind = match element.name().as_ref() {
            "e1Detector" | "inductionLoop" => DetectorKind::Point,
            "e2Detector" | "laneAreaDetector" => DetectorKind::Area,
            _ => return,
        };
        let attribute = |name: &str| -> Option<String> {
            let attribute = element.try_get_attribute(name).ok().flatten()?;
            Some(attribute.value.into_owned())
        };
        let number = |name: &str| -> Option<f32> {
            let value: f32 = attribute(name)?.trim().parse().ok()?;
            value.is_finite().then_some(value)
        };
        let id = attribute("id").unwrap_or_default();
        let lane = attribute("lane").unwrap_or_default();
        let place = lane.rsplit_once('_').and_then(|(edge, lane)| {
            let lane: u8 = lane.parse().ok()?;
            let position_m = number("pos")?;
            let length_m = match kind {
                DetectorKind::Point => 0.0,
                DetectorKind::Area => {
                    number("length").or_else(|| Some(number("endPos")? - position_m))?
                }
            };
            place_on_edge(network, edges.get(edge)?, position_m, length_m, lane, kind)
        });
        match place {
            Some(place) if !id.is_empty() => self.insert(&id, place),
            _ => self.skipped.push(id),
        }
    }

    /// Where a detector stands, if it is known. The lane `site/lane` of a site that counts passages
    /// stands where the site does, unless it has a place of its own.
    pub fn place(&self, id: &str) -> Option<&DetectorPlace> {
        self.places.get(id).or_else(|| {
            let (site, _) = id.rsplit_once('/')?;
            self.places.get(site)
        })
    }

    /// All detectors in id order.
    pub fn iter(&self) -> impl Iterator<Item = (&str, &DetectorPlace)> {
        self.places.iter().map(|(id, place)| (&**id, place))
    }

    /// How many detectors are known.
    pub fn len(&self) -> usize {
        self.places.len()
    }

    /// Whether no detector is known.
    pub fn is_empty(&self) -> bool {
        self.places.is_empty()
    }

    /// Ids of entries that could not be placed, in file order.
    pub fn skipped(&self) -> &[String] {
        &self.skipped
    }
}

/// Walks the segments of one edge to `position_m` (negative: from the end, as SUMO has it).
fn place_on_edge(
    network: &Network,
    segments: &[SegmentId],
    position_m: f32,
    length_m: f32,
    lane: u8,
    kind: DetectorKind,
) -> Option<DetectorPlace> {
    let edge_m: f32 = segments
        .iter()
        .map(|&id| network.segment(id).length_m)
        .sum();
    let from_start_m = if position_m < 0.0 {
        edge_m + position_m
    } else {
        position_m
    };
    let mut left_m = from_start_m.clamp(0.0, edge_m);
    for (index, &segment) in segments.iter().enumerate() {
        let segment_m = network.segment(segment).length_m;
        if left_m <= segment_m || index + 1 == segments.len() {
            let offset_m = left_m.min(segment_m);
            return Some(DetectorPlace {
                segment,
                offset_m,
                length_m: length_m.clamp(0.0, segment_m - offset_m),
                lane,
                kind,
            });
        }
        left_m -= segment_m;
    }
    None
}
