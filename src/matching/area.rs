//! Areas of roadside units: objects perceived there are matched to the roads there.
//!
//! A camera or radar sees a known piece of road. An [`Area`] lists the segments of that piece once,
//! so that an object perceived by the unit is weighed against a handful of segments instead of
//! being looked for in the whole city, and never jumps to a road the unit cannot see: with
//! [`AreaDraft::layer`], not to the street below a viaduct either. It perceives nothing itself and
//! does not decide which unit a message is of.

use std::sync::Arc;

use super::presence::is_inside;
use crate::network::{Candidate, Network};
use crate::observation::{Observation, Origin};
use crate::units::{LocalFrame, Metres, Point, Position, SegmentId, SourceId};

/// Most areas of one engine.
pub const AREAS_MAX: usize = 10_000;

/// Most segments of one area; a unit that sees more is given a smaller outline.
pub const AREA_SEGMENTS_MAX: usize = 1_000;

/// An object this far outside the outline still counts as inside, metres: its position has an
/// error, and outlines are drawn by hand (chosen).
const MARGIN_M: f32 = 10.0;

/// The first of the sources that stand for areas: observations of area `n` come from source
/// `AREA_SOURCES + n`, so that a unit's objects have tracks of their own.
const AREA_SOURCES: u32 = 1 << 30;

/// The first of the sources that stand for the areas of units' own maps, behind all others.
const UNIT_SOURCES: u32 = AREA_SOURCES + AREAS_MAX as u32;

/// The filter of an area that names no topic.
const EVERY_TOPIC: &str = "#";

/// The shape of an area.
#[derive(Clone, Debug, PartialEq)]
pub enum Outline {
    /// Everything within `radius` of `centre`.
    Circle {
        /// The middle.
        centre: Position,
        /// Metres around it, more than 0.
        radius: Metres,
    },
    /// Everything inside a closed line of at least three corners.
    Polygon(Vec<Position>),
}

/// An area as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct AreaDraft {
    /// What the operator calls it, for messages.
    pub name: String,
    /// MQTT topic filter of the messages whose objects it takes.
    pub filter: String,
    /// Where it is.
    pub outline: Outline,
    /// Only segments on this vertical layer, where given: 0 ground, 1 first viaduct level.
    pub layer: Option<i8>,
}

/// Why an area cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
pub enum AreaError {
    /// Nothing to match to.
    #[error("area {name}: no segment{on_layer} lies in it")]
    NoSegment {
        /// Which area.
        name: String,
        /// ` on layer N`, or nothing.
        on_layer: String,
    },
    /// More than [`AREA_SEGMENTS_MAX`].
    #[error("area {name}: {count} segments lie in it, at most {AREA_SEGMENTS_MAX} can be used")]
    TooManySegments {
        /// Which area.
        name: String,
        /// How many.
        count: usize,
    },
    /// More than [`AREAS_MAX`].
    #[error("{0} areas, at most {AREAS_MAX} can be used")]
    TooManyAreas(usize),
}

/// The part of a network that one unit sees.
#[derive(Debug)]
pub struct Area {
    filter: String,
    /// The outline as corners; none for a circle.
    corners: Vec<Point>,
    centre: Point,
    radius_m: f32,
    /// Ascending.
    segments: Vec<SegmentId>,
}

impl Area {
    /// An area without segments.
    fn outlined(network: &Network, outline: &Outline, filter: String) -> Self {
        let frame = network.frame();
        match outline {
            Outline::Circle { centre, radius } => Self {
                filter,
                corners: Vec::new(),
                centre: frame.to_point(*centre),
                radius_m: radius.value() as f32,
                segments: Vec::new(),
            },
            Outline::Polygon(positions) => {
                let corners: Vec<Point> = positions
                    .iter()
                    .map(|&position| frame.to_point(position))
                    .collect();
                let (centre, radius_m) = circle_around(&corners);
                Self {
                    filter,
                    corners,
                    centre,
                    radius_m,
                    segments: Vec::new(),
                }
            }
        }
    }

    /// The segments that lie in it, also in part, in id order.
    fn find(&self, network: &Network) -> Vec<SegmentId> {
        let mut segments = Vec::new();
        network.candidates_within(self.centre, self.radius_m, &mut |candidate| {
            if self.touches(network.shape(candidate.segment)) {
                segments.push(candidate.segment);
            }
        });
        segments.sort_unstable();
        segments
    }

    /// Finds the segments of an area.
    ///
    /// # Errors
    /// When there are none or too many.
    pub fn new(network: &Network, draft: &AreaDraft) -> Result<Self, AreaError> {
        let mut area = Self::outlined(network, &draft.outline, draft.filter.clone());
        let mut segments = area.find(network);
        if let Some(layer) = draft.layer {
            segments.retain(|&id| network.segment(id).layer == layer);
        }
        if segments.is_empty() {
            return Err(AreaError::NoSegment {
                name: draft.name.clone(),
                on_layer: draft
                    .layer
                    .map_or_else(String::new, |layer| format!(" on layer {layer}")),
            });
        }
        if segments.len() > AREA_SEGMENTS_MAX {
            return Err(AreaError::TooManySegments {
                name: draft.name.clone(),
                count: segments.len(),
            });
        }
        area.segments = segments;
        Ok(area)
    }

    /// Its segments in id order.
    pub fn segments(&self) -> &[SegmentId] {
        &self.segments
    }

    /// Whether a segment is one of its own.
    pub fn contains(&self, segment: SegmentId) -> bool {
        self.segments.binary_search(&segment).is_ok()
    }

    /// Whether an object at `point` is inside, a little beyond the outline included.
    pub fn holds(&self, point: Point) -> bool {
        if self.centre.distance_m(point) > self.radius_m + MARGIN_M {
            return false;
        }
        self.corners.is_empty()
            || is_inside(point, &self.corners)
            || self
                .edges()
                .any(|(from, to)| distance_m(point, from, to) <= MARGIN_M)
    }

    /// Calls `found` with the nearest place of each of its segments within `radius_m` of `point`,
    /// in id order: [`Network::candidates_within`] without the search.
    pub fn candidates_within(
        &self,
        network: &Network,
        point: Point,
        radius_m: f32,
        found: &mut impl FnMut(Candidate),
    ) {
        for &segment in &self.segments {
            let candidate = network.project(segment, point);
            if candidate.distance_m <= radius_m {
                found(candidate);
            }
        }
    }

    fn edges(&self) -> impl Iterator<Item = (Point, Point)> + '_ {
        let next = self.corners.iter().cycle().skip(1);
        self.corners.iter().copied().zip(next.copied())
    }

    /// Whether a line has a point inside the outline; circles are judged by the caller's search.
    fn touches(&self, shape: &[Point]) -> bool {
        self.corners.is_empty()
            || shape.iter().any(|&point| is_inside(point, &self.corners))
            || shape.windows(2).any(|pair| {
                self.edges()
                    .any(|(from, to)| crosses(pair[0], pair[1], from, to))
            })
    }
}

/// The segments that lie in an outline, also in part, in id order.
pub(super) fn segments_in(network: &Network, outline: &Outline) -> Vec<SegmentId> {
    Area::outlined(network, outline, String::new()).find(network)
}

/// All areas of an engine.
#[derive(Debug, Default)]
pub struct Areas {
    frame: Option<LocalFrame>,
    areas: Vec<Arc<Area>>,
    /// Areas that units draw by their own maps, by the number of the unit; `None` where it has none
    /// that can be used.
    of_units: Vec<Option<Arc<Area>>>,
}

impl Areas {
    /// Finds the segments of every area.
    ///
    /// # Errors
    /// When one has no segment or too many, or when there are too many areas.
    pub fn new(network: &Network, drafts: &[AreaDraft]) -> Result<Self, AreaError> {
        if drafts.len() > AREAS_MAX {
            return Err(AreaError::TooManyAreas(drafts.len()));
        }
        let areas = drafts
            .iter()
            .map(|draft| Area::new(network, draft).map(Arc::new));
        Ok(Self {
            frame: Some(*network.frame()),
            areas: areas.collect::<Result<_, _>>()?,
            of_units: Vec::new(),
        })
    }

    /// The same areas, and for unit `number` the one inside `outline` (corners in the plane of the
    /// network), none where no or too many segments lie in it.
    #[must_use]
    pub fn with_unit(&self, network: &Network, number: usize, outline: &[Point]) -> Self {
        let frame = network.frame();
        let draft = AreaDraft {
            name: String::new(),
            filter: String::new(),
            outline: Outline::Polygon(outline.iter().map(|at| frame.to_position(*at)).collect()),
            layer: None,
        };
        let area = if outline.len() < 3 {
            None
        } else {
            Area::new(network, &draft).ok().map(Arc::new)
        };
        let mut of_units = self.of_units.clone();
        of_units.resize(of_units.len().max(number + 1), None);
        of_units[number] = area;
        Self {
            frame: Some(*frame),
            areas: self.areas.clone(),
            of_units,
        }
    }

    /// How many units have an area by their own maps.
    pub fn unit_count(&self) -> usize {
        self.of_units.iter().flatten().count()
    }

    /// The source that stands for the area of unit `number`, for an object that it perceives there.
    pub fn source_of_unit(&self, number: usize, observation: &Observation) -> Option<SourceId> {
        let area = self.of_units.get(number)?.as_ref()?;
        let point = self.frame.as_ref()?.to_point(observation.position);
        let is_taken = observation.origin == Origin::Rsm && area.holds(point);
        is_taken.then_some(SourceId(UNIT_SOURCES + number as u32))
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.areas.is_empty()
    }

    /// Appends the numbers of the areas that take messages of a topic, as `takes` says of their
    /// filters.
    pub fn of_topic(&self, takes: impl Fn(&str) -> bool, into: &mut Vec<u32>) {
        into.extend(
            (0..)
                .zip(&self.areas)
                .filter(|(_, area)| takes(&area.filter))
                .map(|(number, _)| number),
        );
    }

    /// The source that stands for the first of the areas `numbers` that takes an observation:
    /// perceived objects that lie in it, from topics it names also those that say nothing of how
    /// they were seen, never what a vehicle says of itself.
    pub fn source_of(&self, numbers: &[u32], observation: &Observation) -> Option<SourceId> {
        let point = self.frame.as_ref()?.to_point(observation.position);
        let takes = |area: &Area| match observation.origin {
            Origin::Bsm => false,
            Origin::Rsm => area.holds(point),
            Origin::Probe => area.filter != EVERY_TOPIC && area.holds(point),
        };
        numbers
            .iter()
            .find(|&&number| takes(&self.areas[number as usize]))
            .map(|number| SourceId(AREA_SOURCES + number))
    }

    /// The area a source stands for; `None` for every other source.
    pub fn of_source(&self, source: SourceId) -> Option<&Arc<Area>> {
        if let Some(number) = source.0.checked_sub(UNIT_SOURCES) {
            return self.of_units.get(number as usize)?.as_ref();
        }
        self.areas.get(source.0.checked_sub(AREA_SOURCES)? as usize)
    }
}

fn circle_around(corners: &[Point]) -> (Point, f32) {
    let Some(&first) = corners.first() else {
        return (Point::default(), 0.0);
    };
    let (mut low, mut high) = (first, first);
    for corner in corners {
        low = Point::new(low.x.min(corner.x), low.y.min(corner.y));
        high = Point::new(high.x.max(corner.x), high.y.max(corner.y));
    }
    let centre = Point::new((low.x + high.x) / 2.0, (low.y + high.y) / 2.0);
    (centre, centre.distance_m(high))
}

/// Metres from `point` to the straight line between two others.
fn distance_m(point: Point, from: Point, to: Point) -> f32 {
    let (dx, dy) = (to.x - from.x, to.y - from.y);
    let square = dx * dx + dy * dy;
    let share = if square > 0.0 {
        (((point.x - from.x) * dx + (point.y - from.y) * dy) / square).clamp(0.0, 1.0)
    } else {
        0.0
    };
    point.distance_m(Point::new(from.x + share * dx, from.y + share * dy))
}

/// Whether two straight lines cross, by the sides on which their ends lie.
fn crosses(a: Point, b: Point, c: Point, d: Point) -> bool {
    let side = |from: Point, to: Point, point: Point| {
        (to.x - from.x) * (point.y - from.y) - (to.y - from.y) * (point.x - from.x)
    };
    side(a, b, c) * side(a, b, d) < 0.0 && side(c, d, a) * side(c, d, b) < 0.0
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::{NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
    use crate::units::{SubjectId, Timestamp};

    /// A street of four pieces of 100 m from west to east, and a viaduct right above it.
    fn network() -> Network {
        let origin = Position::new(114.3055, 30.5931);
        let frame = LocalFrame::new(origin);
        let mut builder = NetworkBuilder::new(origin);
        for layer in [0, 1] {
            let at = |index: usize| frame.to_position(Point::new(100.0 * index as f32, 0.0));
            let junctions: Vec<_> = (0..5)
                .map(|index| builder.add_junction(at(index), false))
                .collect();
            for index in 0..4 {
                let draft = SegmentDraft {
                    from: junctions[index],
                    to: junctions[index + 1],
                    shape: vec![at(index), at(index + 1)],
                    length_m: None,
                    class: RoadClass::Primary,
                    limit_mps: None,
                    lanes: None,
                    flags: SegmentFlags::default().with(SegmentFlags::BRIDGE, layer > 0),
                    layer,
                    source_id: format!("{layer}"),
                    source_dir: 1,
                    source_pair: index as u32,
                    name: None,
                    name_en: None,
                };
                builder.add_segment(draft).expect("a valid road");
            }
        }
        builder.connect_all(&mut |_, _| false);
        builder.build().expect("eight segments")
    }

    fn draft(network: &Network, outline: &[(f32, f32)], layer: Option<i8>) -> AreaDraft {
        let position = |&(x, y): &(f32, f32)| network.frame().to_position(Point::new(x, y));
        AreaDraft {
            name: "bridge".into(),
            filter: "a/+".into(),
            outline: Outline::Polygon(outline.iter().map(position).collect()),
            layer,
        }
    }

    fn ids(area: &Area) -> Vec<u32> {
        area.segments().iter().map(|segment| segment.0).collect()
    }

    #[test]
    fn an_area_lists_the_segments_that_touch_it() {
        let network = network();
        let across = [(140.0, -20.0), (260.0, -20.0), (260.0, 20.0), (140.0, 20.0)];
        let area = Area::new(&network, &draft(&network, &across, None)).expect("segments");
        assert_eq!(ids(&area), [1, 2, 5, 6]);
        let area = Area::new(&network, &draft(&network, &across, Some(1))).expect("segments");
        assert_eq!(ids(&area), [5, 6]);
        // No corner of the road lies in it, but the road crosses it.
        let narrow = [(140.0, -20.0), (160.0, -20.0), (160.0, 20.0), (140.0, 20.0)];
        let area = Area::new(&network, &draft(&network, &narrow, Some(0))).expect("segments");
        assert_eq!(ids(&area), [1]);
        let circle = AreaDraft {
            outline: Outline::Circle {
                centre: network.frame().to_position(Point::new(350.0, 30.0)),
                radius: Metres(40.0),
            },
            ..draft(&network, &[], Some(0))
        };
        let area = Area::new(&network, &circle).expect("segments");
        assert_eq!(ids(&area), [3]);
        let beside = [(140.0, 20.0), (160.0, 20.0), (160.0, 40.0)];
        let error = Area::new(&network, &draft(&network, &beside, Some(2))).unwrap_err();
        assert_eq!(
            error.to_string(),
            "area bridge: no segment on layer 2 lies in it"
        );
    }

    #[test]
    fn candidates_are_those_of_the_network_that_are_in_the_area() {
        let network = network();
        let across = [(140.0, -20.0), (260.0, -20.0), (260.0, 20.0), (140.0, 20.0)];
        let area = Area::new(&network, &draft(&network, &across, Some(1))).expect("segments");
        for x in [120.0, 195.0, 205.0, 330.0] {
            let point = Point::new(x, 4.0);
            let mut found = Vec::new();
            area.candidates_within(&network, point, 50.0, &mut |candidate| {
                found.push(candidate);
            });
            let mut expected = Vec::new();
            network.candidates_within(point, 50.0, &mut |candidate| expected.push(candidate));
            expected.retain(|candidate| area.contains(candidate.segment));
            expected.sort_by_key(|candidate| candidate.segment);
            assert_eq!(found, expected, "at {x}");
        }
    }

    #[test]
    fn an_object_belongs_to_the_area_of_its_topic_and_place() {
        let network = network();
        let west = [(0.0, -20.0), (150.0, -20.0), (150.0, 20.0), (0.0, 20.0)];
        let east = [(150.0, -20.0), (400.0, -20.0), (400.0, 20.0), (150.0, 20.0)];
        let drafts = [
            draft(&network, &west, Some(1)),
            draft(&network, &east, Some(0)),
            AreaDraft {
                filter: "b".into(),
                ..draft(&network, &west, None)
            },
        ];
        let areas = Areas::new(&network, &drafts).expect("three areas");
        let seen = |x, y, origin| Observation {
            observed_at: Timestamp::from_secs(0),
            subject: SubjectId(1),
            position: network.frame().to_position(Point::new(x, y)),
            speed_mps: None,
            heading_deg: None,
            accuracy_m: None,
            altitude_m: None,
            origin,
            observer: crate::units::ObserverId::ITSELF,
            view: crate::units::ViewId::NONE,
        };
        let mut numbers = Vec::new();
        areas.of_topic(|filter| filter == "a/+", &mut numbers);
        assert_eq!(numbers, [0, 1]);
        let source = areas
            .source_of(&numbers, &seen(100.0, 25.0, Origin::Rsm))
            .expect("west");
        let area = areas.of_source(source).expect("an area");
        assert_eq!(ids(area), [4, 5], "a little beyond the outline counts");
        let source = areas
            .source_of(&numbers, &seen(300.0, 0.0, Origin::Probe))
            .expect("east");
        let area = areas.of_source(source).expect("an area");
        assert_eq!(ids(area), [1, 2, 3]);
        for elsewhere in [
            seen(100.0, 40.0, Origin::Rsm),
            seen(100.0, 0.0, Origin::Bsm),
        ] {
            assert_eq!(areas.source_of(&numbers, &elsewhere), None);
        }
        assert!(areas.of_source(SourceId(0)).is_none());
        assert!(Areas::default().is_empty());
        let nowhere = seen(0.0, 0.0, Origin::Rsm);
        assert_eq!(Areas::default().source_of(&[], &nowhere), None);
        let everywhere = AreaDraft {
            filter: "#".into(),
            ..draft(&network, &west, None)
        };
        let areas = Areas::new(&network, &[everywhere]).expect("one area");
        for (origin, is_taken) in [(Origin::Rsm, true), (Origin::Probe, false)] {
            let source = areas.source_of(&[0], &seen(50.0, 0.0, origin));
            assert_eq!(source.is_some(), is_taken, "{origin:?}");
        }
    }
}
