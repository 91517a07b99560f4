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
}

impl NetworkFormat {
    /// Every format.
    pub const ALL: [Self; 3] = [Self::Csv, Self::Sumo, Self::Osm];

    /// The label used in files and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Csv => "csv",
            Self::Sumo => "sumo",
            Self::Osm => "osm",
        }
    }
}

/// Why an importer left a part of its input out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Omission {
    /// A road or lane only for people on foot, bicycles, rails or ships.
    NotForVehicles,
    /// A road closed to the public.
    NoAccess,
    /// A road that is planned, being built or an area rather than a line.
    NotARoad,
    /// A road whose direction changes with time.
    Reversible,
    /// A road without two places in the input.
    NoGeometry,
    /// A stretch of no length.
    NoLength,
    /// A node that a road names and the input lacks.
    MissingNode,
    /// A connection between roads that were left out.
    DanglingConnection,
    /// A turn restriction over a way instead of a node, or with unknown members.
    RestrictionShape,
    /// A turn restriction that holds at certain times only.
    RestrictionTime,
}

impl Omission {
    /// Every cause.
    pub const ALL: [Self; 10] = [
        Self::NotForVehicles,
        Self::NoAccess,
        Self::NotARoad,
        Self::Reversible,
        Self::NoGeometry,
        Self::NoLength,
        Self::MissingNode,
        Self::DanglingConnection,
        Self::RestrictionShape,
        Self::RestrictionTime,
    ];

    /// The label used in files and messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::NotForVehicles => "not for motor vehicles",
            Self::NoAccess => "closed to the public",
            Self::NotARoad => "planned, under construction or an area",
            Self::Reversible => "reversible direction",
            Self::NoGeometry => "fewer than two places",
            Self::NoLength => "no length",
            Self::MissingNode => "node missing from the input",
            Self::DanglingConnection => "connection of a road left out",
            Self::RestrictionShape => "turn restriction not over one node",
            Self::RestrictionTime => "turn restriction at certain times",
        }
    }
}

/// What an importer read, left out and assumed.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ImportReport {
    /// The format of the source.
    pub format: NetworkFormat,
    /// Roads of the source that were looked at: CSV rows, SUMO edges, OSM ways tagged `highway`.
    pub roads_read: u64,
    omitted: BTreeMap<Omission, u64>,
    /// Assumptions the user should know, one sentence each.
    pub notes: Vec<String>,
}

impl ImportReport {
    /// Starts an empty report.
    pub fn new(format: NetworkFormat) -> Self {
        Self {
            format,
            roads_read: 0,
            omitted: BTreeMap::new(),
            notes: Vec::new(),
        }
    }

    /// How many parts were left out for `cause`.
    pub fn omitted(&self, cause: Omission) -> u64 {
        self.omitted.get(&cause).copied().unwrap_or(0)
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

    /// What was left out, in the order of [`Omission::ALL`].
    pub fn omissions(&self) -> impl Iterator<Item = (Omission, u64)> + '_ {
        self.omitted.iter().map(|(&cause, &count)| (cause, count))
    }

    /// The report as lines of tab-separated words, for the compiled file.
    pub(super) fn to_text(&self) -> String {
        let mut text = format!(
            "format\t{}\nroads\t{}\n",
            self.format.label(),
            self.roads_read
        );
        for (cause, count) in self.omissions() {
            text.push_str(&format!("omitted\t{count}\t{}\n", cause.label()));
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
                "omitted" => {
                    let (count, label) = value.split_once('\t').ok_or_else(wrong)?;
                    let cause = Omission::ALL
                        .into_iter()
                        .find(|cause| cause.label() == label)
                        .ok_or_else(wrong)?;
                    report.omit_many(cause, count.parse().ok().ok_or_else(wrong)?);
                }
                "note" => report.notes.push(value.to_owned()),
                _ => return Err(wrong()),
            }
        }
        Ok(report)
    }
}
