//! What a network consists of, table by table, for those who look at sizes and times.

use super::builder::group_starts;
use super::index::SegmentIndex;
use super::model::{Junction, Movement, Network, Segment};
use super::sections::{SectionRules, SectionTable};
use crate::units::Point;

/// One table of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct TableSize {
    /// Which one.
    pub table: Table,
    /// How many items it holds.
    pub item_count: usize,
    /// Bytes it takes in memory and in the compiled file.
    pub byte_count: usize,
}

/// The tables of a network.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Table {
    /// Directed segments.
    Segments,
    /// Points of their geometry.
    Points,
    /// Junctions.
    Junctions,
    /// Permitted movements.
    Movements,
    /// Prohibited manoeuvres over three or more segments; its items are the stages they take.
    Manoeuvres,
    /// Names and ids, each once.
    Texts,
    /// Which movements leave and enter each segment.
    Adjacency,
    /// The packed R-tree over the geometry; its items are nodes.
    SpatialIndex,
    /// Evaluation sections with their members.
    Sections,
    /// Lanes with their links; its items are lanes.
    Lanes,
}

impl Table {
    /// Every table, those that come from the source first.
    pub const ALL: [Self; 10] = [
        Self::Segments,
        Self::Points,
        Self::Junctions,
        Self::Movements,
        Self::Manoeuvres,
        Self::Texts,
        Self::Adjacency,
        Self::SpatialIndex,
        Self::Sections,
        Self::Lanes,
    ];

    /// The label used in output.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Segments => "segments",
            Self::Points => "points",
            Self::Junctions => "junctions",
            Self::Movements => "movements",
            Self::Manoeuvres => "manoeuvres",
            Self::Texts => "texts",
            Self::Adjacency => "adjacency",
            Self::SpatialIndex => "spatial index",
            Self::Sections => "sections",
            Self::Lanes => "lanes",
        }
    }
}

impl Network {
    /// How large each table is.
    pub fn tables(&self) -> [TableSize; Table::ALL.len()] {
        Table::ALL.map(|table| {
            let (item_count, byte_count) = match table {
                Table::Segments => sizes::<Segment>(self.segments.len()),
                Table::Points => sizes::<Point>(self.points.len()),
                Table::Junctions => sizes::<Junction>(self.junctions.len()),
                Table::Movements => sizes::<Movement>(self.movements.len()),
                Table::Manoeuvres => (
                    self.stage_count() - self.segment_count(),
                    size_of_val(self.manoeuvres.as_words()),
                ),
                Table::Texts => (
                    self.text_start.len().saturating_sub(1),
                    self.text.len() + size_of_val(&*self.text_start),
                ),
                Table::Adjacency => (
                    self.into.len(),
                    size_of_val(&*self.out_start)
                        + size_of_val(&*self.into_start)
                        + size_of_val(&*self.into),
                ),
                Table::SpatialIndex => (
                    self.index.nodes.len(),
                    size_of_val(&*self.index.nodes) + size_of_val(&*self.index.leaf_ids),
                ),
                Table::Sections => (
                    self.section_count(),
                    size_of_val(&*self.sections.start) + size_of_val(&*self.sections.members),
                ),
                Table::Lanes => (
                    self.lanes.lanes.len(),
                    size_of_val(&*self.lanes.lanes) + size_of_val(&*self.lanes.links),
                ),
            };
            TableSize {
                table,
                item_count,
                byte_count,
            }
        })
    }

    /// Builds a table anew from the others and throws it away, so that the caller can measure how
    /// long that takes; false for what only the source can tell.
    pub fn rehearse(&self, table: Table) -> bool {
        let built = match table {
            Table::Segments
            | Table::Points
            | Table::Junctions
            | Table::Movements
            | Table::Manoeuvres
            | Table::Texts
            | Table::Lanes => return false,
            Table::Adjacency => {
                let count = self.segments.len();
                let leaving = self.movements.iter().map(|movement| movement.from);
                let entering = self.movements.iter().map(|movement| movement.to);
                group_starts(count, leaving).len()
                    + super::builder::group_members(
                        &group_starts(count, entering.clone()),
                        entering,
                    )
                    .len()
            }
            Table::SpatialIndex => {
                let shapes = self.segment_ids().map(|id| self.shape(id));
                SegmentIndex::build(shapes).nodes.len()
            }
            Table::Sections => SectionTable::build(self, &SectionRules::default())
                .members
                .len(),
        };
        std::hint::black_box(built) > 0
    }
}

fn sizes<T>(count: usize) -> (usize, usize) {
    (count, count * size_of::<T>())
}
