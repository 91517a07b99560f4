//! Regions: named sets of segments for which an index is made.
//!
//! A region is everything, or the segments whose middle lies inside its rings. Regions may overlap;
//! they cost memory and time for each of their segments.

use std::sync::Arc;

use crate::network::Network;
use crate::units::{Point, Position, SegmentId};

/// Most regions of one engine; each is a topic, and a label of metrics.
pub const REGIONS_MAX: usize = 64;

/// Longest name of a region, bytes.
pub const REGION_NAME_BYTES_MAX: usize = 64;

/// Most corners of all rings of one region.
pub const REGION_CORNERS_MAX: usize = 100_000;

/// A region as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct RegionDraft {
    /// What it is called in topics and messages: letters, digits, `-` and `_`.
    pub name: String,
    /// Closed lines; a place is inside where an odd number of them is around it, so that a ring in
    /// a ring is a hole. None: the whole network.
    pub rings: Vec<Vec<Position>>,
}

impl RegionDraft {
    /// The region of all segments.
    pub fn city() -> Self {
        Self {
            name: "city".into(),
            rings: Vec::new(),
        }
    }
}

/// Why a region cannot be used.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
pub enum RegionError {
    /// The name cannot be part of a topic.
    #[error(
        "region {0:?}: a name is 1 to {REGION_NAME_BYTES_MAX} bytes of letters, digits, - and _"
    )]
    Name(String),
    /// Two regions share a name.
    #[error("region {0:?} is defined twice")]
    Twice(String),
    /// A ring is no area.
    #[error("region {0:?}: a ring has fewer than three corners")]
    Ring(String),
    /// A corner is no position.
    #[error("region {0:?}: {1}, {2} is no position")]
    Corner(String, String, String),
    /// More corners than [`REGION_CORNERS_MAX`].
    #[error("region {0:?}: {1} corners, at most {REGION_CORNERS_MAX} can be used")]
    Corners(String, usize),
    /// No segment has its middle in it.
    #[error("region {0:?}: no segment has its middle in it")]
    Empty(String),
    /// More than [`REGIONS_MAX`].
    #[error("{0} regions, at most {REGIONS_MAX} can be used")]
    TooMany(usize),
}

/// The segments of one region.
#[derive(Clone, Debug, PartialEq)]
pub struct Region {
    /// What it is called.
    pub name: Arc<str>,
    /// Its segments, ascending.
    pub segments: Vec<SegmentId>,
    /// Their length together, km.
    pub length_km: f64,
    /// Length times lanes together, km.
    pub lane_km: f64,
}

/// Checks what can be checked of regions without a network.
///
/// # Errors
/// The first reason why they cannot be used.
pub fn check_regions(drafts: &[RegionDraft]) -> Result<(), RegionError> {
    if drafts.len() > REGIONS_MAX {
        return Err(RegionError::TooMany(drafts.len()));
    }
    for (index, draft) in drafts.iter().enumerate() {
        let name = || draft.name.clone();
        let is_word = |letter: char| letter.is_alphanumeric() || letter == '-' || letter == '_';
        if !(1..=REGION_NAME_BYTES_MAX).contains(&draft.name.len())
            || !draft.name.chars().all(is_word)
        {
            return Err(RegionError::Name(name()));
        }
        if drafts[..index].iter().any(|other| other.name == draft.name) {
            return Err(RegionError::Twice(name()));
        }
        let corner_count: usize = draft.rings.iter().map(Vec::len).sum();
        if corner_count > REGION_CORNERS_MAX {
            return Err(RegionError::Corners(name(), corner_count));
        }
        for ring in &draft.rings {
            if ring.len() < 3 {
                return Err(RegionError::Ring(name()));
            }
            if let Some(corner) = ring.iter().find(|corner| !corner.is_valid()) {
                let (lon, lat) = (corner.lon_deg.to_string(), corner.lat_deg.to_string());
                return Err(RegionError::Corner(name(), lon, lat));
            }
        }
    }
    Ok(())
}

/// Finds the segments of every region; those that `is_left_out` names take no part in any.
///
/// # Errors
/// When a region cannot be used or has no segment.
pub fn regions(
    network: &Network,
    drafts: &[RegionDraft],
    is_left_out: impl Fn(SegmentId) -> bool,
) -> Result<Vec<Region>, RegionError> {
    check_regions(drafts)?;
    let frame = network.frame();
    let mut found = Vec::with_capacity(drafts.len());
    for draft in drafts {
        let rings: Vec<Ring> = draft
            .rings
            .iter()
            .map(|ring| Ring::new(ring.iter().map(|&corner| frame.to_point(corner)).collect()))
            .collect();
        let is_in = |id: SegmentId| {
            if is_left_out(id) {
                return false;
            }
            let middle = network.position_at(id, network.segment(id).length_m / 2.0);
            let middle = frame.to_point(middle);
            rings.is_empty() || rings.iter().filter(|ring| ring.holds(middle)).count() % 2 == 1
        };
        let segments: Vec<SegmentId> = network.segment_ids().filter(|&id| is_in(id)).collect();
        if segments.is_empty() {
            return Err(RegionError::Empty(draft.name.clone()));
        }
        let (mut length_km, mut lane_km) = (0.0, 0.0);
        for &id in &segments {
            let segment = network.segment(id);
            let km = f64::from(segment.length_m) / 1000.0;
            length_km += km;
            lane_km += km * f64::from(segment.lanes.max(1));
        }
        found.push(Region {
            name: draft.name.as_str().into(),
            segments,
            length_km,
            lane_km,
        });
    }
    Ok(found)
}

/// A closed line with the box around it.
struct Ring {
    corners: Vec<Point>,
    low: Point,
    high: Point,
}

impl Ring {
    fn new(corners: Vec<Point>) -> Self {
        let (mut low, mut high) = (corners[0], corners[0]);
        for corner in &corners {
            low = Point::new(low.x.min(corner.x), low.y.min(corner.y));
            high = Point::new(high.x.max(corner.x), high.y.max(corner.y));
        }
        Self { corners, low, high }
    }

    /// Whether a point is inside: a ray to the east crosses the line an odd number of times.
    fn holds(&self, point: Point) -> bool {
        if point.x < self.low.x
            || point.x > self.high.x
            || point.y < self.low.y
            || point.y > self.high.y
        {
            return false;
        }
        let mut is_inside = false;
        let mut from = self.corners[self.corners.len() - 1];
        for &to in &self.corners {
            if (from.y > point.y) != (to.y > point.y) {
                let x = from.x + (to.x - from.x) * (point.y - from.y) / (to.y - from.y);
                is_inside ^= x > point.x;
            }
            from = to;
        }
        is_inside
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::congestion::fixture;
    use crate::units::LocalFrame;

    /// A rectangle in metres of the network's plane.
    fn ring(frame: &LocalFrame, [west, south, east, north]: [f32; 4]) -> Vec<Position> {
        [(west, south), (east, south), (east, north), (west, north)]
            .map(|(x, y)| frame.to_position(Point::new(x, y)))
            .into()
    }

    fn draft(name: &str, rings: Vec<Vec<Position>>) -> RegionDraft {
        RegionDraft {
            name: name.into(),
            rings,
        }
    }

    #[test]
    fn segments_belong_where_their_middle_lies_and_holes_are_holes() {
        // Segments of 100 m from west to east: middles at 50, 150, … 950 m.
        let network = fixture::line(10);
        let frame = network.frame();
        let drafts = [
            RegionDraft::city(),
            draft("west", vec![ring(frame, [-10.0, -50.0, 200.0, 50.0])]),
            draft(
                "ring",
                vec![
                    ring(frame, [-10.0, -50.0, 2_000.0, 50.0]),
                    ring(frame, [240.0, -20.0, 700.0, 20.0]),
                ],
            ),
            draft(
                "two",
                vec![
                    ring(frame, [0.0, -50.0, 100.0, 50.0]),
                    ring(frame, [900.0, -50.0, 1_000.0, 50.0]),
                ],
            ),
        ];
        let found = regions(&network, &drafts, |id| id.0 == 9).expect("all hold segments");
        let ids =
            |index: usize| -> Vec<u32> { found[index].segments.iter().map(|id| id.0).collect() };
        assert_eq!(ids(0), (0..9).collect::<Vec<_>>(), "the last is left out");
        assert_eq!(ids(1), [0, 1]);
        assert_eq!(ids(2), [0, 1, 7, 8]);
        assert_eq!(ids(3), [0]);
        assert!((found[1].length_km - 0.2).abs() < 1e-3);
        assert!((found[1].lane_km - 0.4).abs() < 1e-3);
    }

    #[test]
    fn what_cannot_be_a_region_says_why() {
        let network = fixture::line(3);
        let frame = network.frame();
        let good = || ring(frame, [0.0, -50.0, 100.0, 50.0]);
        let refused = |drafts: &[RegionDraft]| regions(&network, drafts, |_| false).unwrap_err();
        let far = ring(frame, [5_000.0, 0.0, 6_000.0, 50.0]);
        assert_eq!(
            refused(&[draft("a", vec![far])]),
            RegionError::Empty("a".into())
        );
        assert_eq!(
            refused(&[draft("a/b", vec![])]),
            RegionError::Name("a/b".into())
        );
        assert_eq!(refused(&[draft("", vec![])]), RegionError::Name("".into()));
        let twice = [draft("a", vec![]), draft("a", vec![good()])];
        assert_eq!(refused(&twice), RegionError::Twice("a".into()));
        let line = good()[..2].to_vec();
        assert_eq!(
            refused(&[draft("a", vec![line])]),
            RegionError::Ring("a".into())
        );
        let mut broken = good();
        broken[0].lat_deg = 99.0;
        assert!(matches!(
            refused(&[draft("a", vec![broken])]),
            RegionError::Corner(..)
        ));
        let many: Vec<RegionDraft> = (0..65).map(|n| draft(&n.to_string(), vec![])).collect();
        assert_eq!(refused(&many), RegionError::TooMany(65));
    }
}
