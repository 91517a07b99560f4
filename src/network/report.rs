//! What an importer read, left out and assumed, so that nothing disappears silently.

use std::collections::BTreeMap;

/// The formats a network can be read from.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum NetworkFormat {
    /// Rows of two-point roads.
    Csv,
    /// SUMO `.net.xml`.
    Sumo,
    /// OpenStreetMap `.osm.pbf`.
    Osm,
    /// ASAM OpenDRIVE `.xodr`.
    OpenDrive,
}

impl NetworkFormat {
    /// Every format.
    pub const ALL: [Self; 4] = [Self::Csv, Self::Sumo, Self::Osm, Self::OpenDrive];

    /// The label used in files and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Sumo => "sumo",
            Self::Osm => "osm",
            Self::OpenDrive => "opendrive",
        }
    }
}

/// What a source consists of, as far as importers count it.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Part {
    /// A road: CSV row, SUMO edge, OSM way.
    Road,
    /// A stretch of a road that is kept otherwise.
    Stretch,
    /// A node that a road names.
    Node,
    /// A connection between roads.
    Connection,
    /// A turn restriction.
    Restriction,
}

/// Why an importer left a part of its input out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Omission {
    /// A road or lane only for people on foot, bicycles, rails or ships.
    NotForVehicles,
    /// A road closed to cars.
    NoAccess,
    /// A road that is planned, being built or gone.
    NotARoad,
    /// An area rather than a line.
    Area,
    /// A ferry or car train: no road, and its timetable isn't known.
    Ferry,
    /// A road without two places in the input.
    NoGeometry,
    /// A stretch of no length; its ends are one junction.
    NoLength,
    /// A node that a road names and the input lacks.
    MissingNode,
    /// A connection between roads that were left out.
    DanglingConnection,
    /// A turn restriction for lorries, buses or others but not for cars.
    RestrictionVehicle,
    /// A turn restriction that forbids no turn, like "not on red", or an unknown kind.
    RestrictionKind,
    /// A turn restriction without the members it needs.
    RestrictionShape,
    /// A turn restriction of a road that is left out or not in the input.
    RestrictionRoad,
    /// A turn restriction whose roads don't meet in the directions they are driven.
    RestrictionApart,
    /// A turn restriction over roads that holds at certain times only.
    RestrictionTime,
}

impl Omission {
    /// Every cause.
    pub const ALL: [Self; 15] = [
        Self::NotForVehicles,
        Self::NoAccess,
        Self::NotARoad,
        Self::Area,
        Self::Ferry,
        Self::NoGeometry,
        Self::NoLength,
        Self::MissingNode,
        Self::DanglingConnection,
        Self::RestrictionVehicle,
        Self::RestrictionKind,
        Self::RestrictionShape,
        Self::RestrictionRoad,
        Self::RestrictionApart,
        Self::RestrictionTime,
    ];

    /// The label used in files and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotForVehicles => "not for motor vehicles",
            Self::NoAccess => "closed to cars",
            Self::NotARoad => "planned, under construction or gone",
            Self::Area => "an area",
            Self::Ferry => "ferry",
            Self::NoGeometry => "fewer than two places",
            Self::NoLength => "no length",
            Self::MissingNode => "node missing from the input",
            Self::DanglingConnection => "connection of a road left out",
            Self::RestrictionVehicle => "turn restriction not for cars",
            Self::RestrictionKind => "turn restriction that forbids no turn",
            Self::RestrictionShape => "turn restriction without the members it needs",
            Self::RestrictionRoad => "turn restriction of a road left out or missing",
            Self::RestrictionApart => "turn restriction whose roads don't meet",
            Self::RestrictionTime => "turn restriction over roads at certain times",
        }
    }

    /// What was left out. [`Omission::NotForVehicles`] and [`Omission::NoLength`] name roads where
    /// the source has no stretches.
    pub const fn part(self) -> Part {
        match self {
            Self::NotForVehicles
            | Self::NoAccess
            | Self::NotARoad
            | Self::Area
            | Self::Ferry
            | Self::NoGeometry => Part::Road,
            Self::NoLength => Part::Stretch,
            Self::MissingNode => Part::Node,
            Self::DanglingConnection => Part::Connection,
            Self::RestrictionVehicle
            | Self::RestrictionKind
            | Self::RestrictionShape
            | Self::RestrictionRoad
            | Self::RestrictionApart
            | Self::RestrictionTime => Part::Restriction,
        }
    }
}

/// What an importer took for granted about a part that it kept.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Assumption {
    /// A road for those with leave: kept, marked, not driven through.
    PrivateRoad,
    /// A road for those who stop there: kept, marked, not driven through.
    DestinationRoad,
    /// A road whose access depends on the time: as it is at other times.
    TimedAccess,
    /// A speed limit that depends on the time or the weather: as it is otherwise.
    TimedLimit,
    /// A one-way rule that depends on the time: as it is at other times.
    TimedOneway,
    /// Lanes whose number depends on the time: as it is at other times.
    TimedLanes,
    /// A road whose direction changes with time: kept both ways, not driven through.
    ReversibleRoad,
    /// A one-way value that isn't understood: as if it were absent.
    UnknownOneway,
    /// A motorway link that doesn't say: one-way.
    OnewayLink,
    /// A road without a sign that a law limits.
    LimitByLaw,
    /// A road without sign or known law: the default of its class.
    LimitByClass,
    /// A barrier that no car passes: the road ends on both its sides.
    ClosedBarrier,
    /// A barrier on a junction, which doesn't say which road it closes: open.
    BarrierAtJunction,
    /// A turn restriction that holds at certain times or for some drivers: the turn is possible,
    /// routes avoid it.
    TimedRestriction,
    /// A turn restriction over roads instead of a node.
    RestrictionOverRoads,
}

impl Assumption {
    /// Every one.
    pub const ALL: [Self; 15] = [
        Self::PrivateRoad,
        Self::DestinationRoad,
        Self::TimedAccess,
        Self::TimedLimit,
        Self::TimedOneway,
        Self::TimedLanes,
        Self::ReversibleRoad,
        Self::UnknownOneway,
        Self::OnewayLink,
        Self::LimitByLaw,
        Self::LimitByClass,
        Self::ClosedBarrier,
        Self::BarrierAtJunction,
        Self::TimedRestriction,
        Self::RestrictionOverRoads,
    ];

    /// The label used in files and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::PrivateRoad => "road for those with leave: not driven through",
            Self::DestinationRoad => "road for those who stop there: not driven through",
            Self::TimedAccess => "access at certain times: as at other times",
            Self::TimedLimit => "limit at certain times: as at other times",
            Self::TimedOneway => "one-way at certain times: as at other times",
            Self::TimedLanes => "lanes at certain times: as at other times",
            Self::ReversibleRoad => "reversible direction: both ways, not driven through",
            Self::UnknownOneway => "one-way value not understood: as if absent",
            Self::OnewayLink => "motorway link that doesn't say: one-way",
            Self::LimitByLaw => "limit by law",
            Self::LimitByClass => "limit by road class",
            Self::ClosedBarrier => "barrier no car passes: the road ends there",
            Self::BarrierAtJunction => "barrier on a junction: open",
            Self::TimedRestriction => "turn restriction at certain times: possible, avoided",
            Self::RestrictionOverRoads => "turn restriction over roads",
        }
    }
}

/// What an importer read, left out and assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportReport {
    /// The format of the source.
    pub format: NetworkFormat,
    /// Roads of the source that were looked at: CSV rows, SUMO edges, OSM ways tagged `highway`
    /// and ferries.
    pub roads_read: u64,
    /// Those of them that the network has, whole or in part; counted for OSM only.
    pub roads_kept: u64,
    /// Turn restrictions of the source that were looked at.
    pub restrictions_read: u64,
    /// Turn restrictions that the network obeys.
    pub restrictions_kept: u64,
    omitted: BTreeMap<Omission, u64>,
    assumed: BTreeMap<Assumption, u64>,
    read: Vec<(String, u64)>,
    /// Assumptions the user should know, one sentence each.
    pub notes: Vec<String>,
}

impl ImportReport {
    /// Starts an empty report.
    pub fn new(format: NetworkFormat) -> Self {
        Self {
            format,
            roads_read: 0,
            roads_kept: 0,
            restrictions_read: 0,
            restrictions_kept: 0,
            omitted: BTreeMap::new(),
            assumed: BTreeMap::new(),
            read: Vec::new(),
            notes: Vec::new(),
        }
    }

    /// How many parts were left out for `cause`.
    pub fn omitted(&self, cause: Omission) -> u64 {
        self.omitted.get(&cause).copied().unwrap_or(0)
    }

    /// How many parts of one kind were left out, for whatever cause.
    pub fn omitted_of(&self, part: Part) -> u64 {
        self.omissions()
            .filter(|(cause, _)| cause.part() == part)
            .map(|(_, count)| count)
            .sum()
    }

    /// How many parts something was assumed of.
    pub fn assumed(&self, assumption: Assumption) -> u64 {
        self.assumed.get(&assumption).copied().unwrap_or(0)
    }

    /// What was assumed, in the order of [`Assumption::ALL`].
    pub fn assumptions(&self) -> impl Iterator<Item = (Assumption, u64)> + '_ {
        self.assumed
            .iter()
            .map(|(&assumption, &count)| (assumption, count))
    }

    /// Counts one part that something was assumed of.
    pub(crate) fn assume(&mut self, assumption: Assumption) {
        *self.assumed.entry(assumption).or_default() += 1;
    }

    /// Counts one part left out for `cause`.
    pub(crate) fn omit(&mut self, cause: Omission) {
        self.omit_many(cause, 1);
    }

    /// Counts `count` parts left out for `cause`.
    pub(crate) fn omit_many(&mut self, cause: Omission, count: u64) {
        if count > 0 {
            *self.omitted.entry(cause).or_default() += count;
        }
    }

    /// Counts what else the source holds, beside its roads.
    pub(crate) fn read(&mut self, what: &str, count: u64) {
        if count > 0 {
            self.read.push((what.to_owned(), count));
        }
    }

    /// What the source holds beside its roads, in words and numbers.
    pub fn parts(&self) -> impl Iterator<Item = (&str, u64)> + '_ {
        self.read
            .iter()
            .map(|(what, count)| (what.as_str(), *count))
    }

    /// What was left out, in the order of [`Omission::ALL`].
    pub fn omissions(&self) -> impl Iterator<Item = (Omission, u64)> + '_ {
        self.omitted.iter().map(|(&cause, &count)| (cause, count))
    }

    /// The report as lines of tab-separated words, for the compiled file.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!(
            "format\t{}\nroads\t{}\nkept\t{}\nrestrictions\t{}\t{}\n",
            self.format.label(),
            self.roads_read,
            self.roads_kept,
            self.restrictions_read,
            self.restrictions_kept
        );
        for (what, count) in self.parts() {
            text.push_str(&format!("read\t{count}\t{what}\n"));
        }
        for (cause, count) in self.omissions() {
            text.push_str(&format!("omitted\t{count}\t{}\n", cause.label()));
        }
        for (assumption, count) in self.assumptions() {
            text.push_str(&format!("assumed\t{count}\t{}\n", assumption.label()));
        }
        for note in &self.notes {
            text.push_str(&format!("note\t{}\n", note.replace(['\n', '\t'], " ")));
        }
        text
    }

    /// Reads [`ImportReport::to_text`] back, or says what is wrong.
    pub(super) fn from_text(text: &str) -> Result<Self, String> {
        let mut report = Self::new(NetworkFormat::Csv);
        for line in text.lines() {
            let wrong = || format!("import report: line {line:?} is not understood");
            let (key, value) = line.split_once('\t').ok_or_else(wrong)?;
            match key {
                "format" => {
                    report.format = NetworkFormat::ALL
                        .into_iter()
                        .find(|format| format.label() == value)
                        .ok_or_else(wrong)?;
                }
                "roads" => report.roads_read = value.parse().ok().ok_or_else(wrong)?,
                "kept" => report.roads_kept = value.parse().ok().ok_or_else(wrong)?,
                "read" => {
                    let (count, what) = value.split_once('\t').ok_or_else(wrong)?;
                    report.read(what, count.parse().ok().ok_or_else(wrong)?);
                }
                "omitted" => {
                    let (count, label) = value.split_once('\t').ok_or_else(wrong)?;
                    let cause = Omission::ALL
                        .into_iter()
                        .find(|cause| cause.label() == label)
                        .ok_or_else(wrong)?;
                    report.omit_many(cause, count.parse().ok().ok_or_else(wrong)?);
                }
                "restrictions" => {
                    let (read, kept) = value.split_once('\t').ok_or_else(wrong)?;
                    report.restrictions_read = read.parse().ok().ok_or_else(wrong)?;
                    report.restrictions_kept = kept.parse().ok().ok_or_else(wrong)?;
                }
                "assumed" => {
                    let (count, label) = value.split_once('\t').ok_or_else(wrong)?;
                    let assumption = Assumption::ALL
                        .into_iter()
                        .find(|assumption| assumption.label() == label)
                        .ok_or_else(wrong)?;
                    let count = count.parse().ok().ok_or_else(wrong)?;
                    report.assumed.insert(assumption, count);
                }
                "note" => report.notes.push(value.to_owned()),
                _ => return Err(wrong()),
            }
        }
        Ok(report)
    }
}
