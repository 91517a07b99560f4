//! The tables and their columns: the one list that files, documentation and readers follow.

/// The type of a column, as Parquet has it.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Kind {
    /// INT32.
    Int,
    /// INT64, TIMESTAMP in milliseconds of UTC.
    Time,
    /// FLOAT.
    Float,
    /// BYTE_ARRAY, UTF-8.
    Text,
    /// BOOLEAN.
    Flag,
}

impl Kind {
    /// The type as the documentation names it.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Int => "int32",
            Self::Time => "timestamp (ms, UTC)",
            Self::Float => "float",
            Self::Text => "string",
            Self::Flag => "boolean",
        }
    }
}

/// One column.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct ColumnSpec {
    /// Its name.
    pub name: &'static str,
    /// Its type.
    pub kind: Kind,
    /// Its unit, `-` for none.
    pub unit: &'static str,
    /// Whether it may be null.
    pub is_nullable: bool,
    /// What it says.
    pub meaning: &'static str,
}

const fn column(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    meaning: &'static str,
) -> ColumnSpec {
    ColumnSpec {
        name,
        kind,
        unit,
        is_nullable: false,
        meaning,
    }
}

const fn nullable(
    name: &'static str,
    kind: Kind,
    unit: &'static str,
    meaning: &'static str,
) -> ColumnSpec {
    ColumnSpec {
        is_nullable: true,
        ..column(name, kind, unit, meaning)
    }
}

/// A table of the archive.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Table {
    /// Its name, the first part of its files' names.
    pub name: &'static str,
    /// What one row is.
    pub row: &'static str,
    /// Its columns in order.
    pub columns: &'static [ColumnSpec],
}

/// The state of each segment in each minute.
pub const STATE: Table = Table {
    name: "state",
    row: "one segment in one minute, ordered by segment, then time",
    columns: &[
        column(
            "segment",
            Kind::Int,
            "-",
            "number of the segment in this network version",
        ),
        column(
            "source_id",
            Kind::Text,
            "-",
            "what the network's source calls the road",
        ),
        column(
            "network",
            Kind::Text,
            "-",
            "network version: first 16 hexadecimal digits of its SHA-256",
        ),
        column("length_m", Kind::Float, "m", "length of the segment"),
        column("start", Kind::Time, "ms", "start of the minute, event time"),
        column(
            "speed_mps",
            Kind::Float,
            "m/s",
            "space-mean speed, two decimals",
        ),
        column("sigma_mps", Kind::Float, "m/s", "its standard deviation"),
        column(
            "free_flow_mps",
            Kind::Float,
            "m/s",
            "speed of unhindered traffic here",
        ),
        column(
            "usual_mps",
            Kind::Float,
            "m/s",
            "speed that is usual here at this time of day, whatever the minute brought",
        ),
        column(
            "usual_sigma_mps",
            Kind::Float,
            "m/s",
            "standard deviation of a minute around it",
        ),
        column(
            "level",
            Kind::Int,
            "1 to 5",
            "congestion level, 1 smooth to 5 severe",
        ),
        column(
            "provenance",
            Kind::Text,
            "-",
            "`observed`, `estimated` or `profile`",
        ),
        nullable(
            "samples",
            Kind::Int,
            "-",
            "distinct road users in the minute; null below `privacy.subjects_min`",
        ),
        nullable(
            "views",
            Kind::Int,
            "-",
            "independent sources behind the minute; null where `samples` is",
        ),
        nullable(
            "doubt",
            Kind::Text,
            "-",
            "why reports were not believed; null where all were",
        ),
        nullable(
            "age_s",
            Kind::Int,
            "s",
            "since the last minute with a measurement here",
        ),
        nullable(
            "flow_vph",
            Kind::Float,
            "veh/h",
            "flow over all lanes, where known",
        ),
        nullable(
            "density_vpkm",
            Kind::Float,
            "veh/km",
            "density over all lanes, where known",
        ),
        nullable(
            "queue_length_m",
            Kind::Float,
            "m",
            "queue from the stop line, where seen",
        ),
    ],
};

/// Each change of a piece of advice.
pub const GUIDANCE: Table = Table {
    name: "guidance",
    row: "one change of a piece of advice, in order",
    columns: &[
        column("id", Kind::Text, "-", "the advice, stable while it goes on"),
        column("revision", Kind::Int, "-", "counts its changes from 1"),
        column("kind", Kind::Text, "-", "`jam` or `diversion`"),
        column("network", Kind::Text, "-", "network version"),
        column(
            "minute",
            Kind::Time,
            "ms",
            "start of the minute that brought the change",
        ),
        column("valid_from", Kind::Time, "ms", "from when it holds"),
        column(
            "valid_until",
            Kind::Time,
            "ms",
            "until when it holds unless renewed",
        ),
        column(
            "withdrawn",
            Kind::Flag,
            "-",
            "whether it ends here; what follows is then null",
        ),
        nullable(
            "confidence",
            Kind::Float,
            "0 to 1",
            "probability that it is right",
        ),
        nullable(
            "segment",
            Kind::Int,
            "-",
            "head of the jam, or where drivers decide",
        ),
        nullable(
            "source_id",
            Kind::Text,
            "-",
            "what the network's source calls that road",
        ),
        nullable("level", Kind::Int, "1 to 5", "worst level in the jam"),
        nullable("length_m", Kind::Float, "m", "length of the jam"),
        nullable("speed_mps", Kind::Float, "m/s", "mean speed in the jam"),
        nullable(
            "delay_s",
            Kind::Float,
            "s",
            "extra travel time in the jam against free flow",
        ),
        nullable("onset", Kind::Time, "ms", "when the jam was first seen"),
        nullable(
            "main_s",
            Kind::Float,
            "s",
            "forecast travel time on the usual way",
        ),
        nullable(
            "alternative_s",
            Kind::Float,
            "s",
            "forecast travel time on the recommended way",
        ),
        nullable(
            "share",
            Kind::Float,
            "0 to 1",
            "share of drivers that should take it",
        ),
        nullable(
            "message",
            Kind::Text,
            "-",
            "the whole advice as JSON (schemas/guidance.schema.json)",
        ),
    ],
};

/// Every table; the first is keyed by segment, all others are rows of JSON in their journals.
pub const TABLES: [Table; 2] = [STATE, GUIDANCE];

/// The columns of every table as Markdown, as it stands in docs/archive.md.
pub fn documentation() -> String {
    let mut text = String::new();
    for table in TABLES {
        text += &format!("### {}\n\nA row is {}.\n\n", table.name, table.row);
        text += "| column | type | unit | meaning |\n| --- | --- | --- | --- |\n";
        for column in table.columns {
            let null = if column.is_nullable { ", nullable" } else { "" };
            text += &format!(
                "| `{}` | {}{null} | {} | {} |\n",
                column.name,
                column.kind.label(),
                column.unit,
                column.meaning
            );
        }
        text.push('\n');
    }
    text
}

#[cfg(test)]
mod tests {
    /// Run once with `ROADCAST_UPDATE_DOCS=1` after a change of the columns.
    #[test]
    fn documented_columns_are_those_of_the_files() {
        let path = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/archive.md");
        let (begin, end) = ("<!-- columns -->\n", "<!-- end of columns -->\n");
        let text = std::fs::read_to_string(path).expect("docs/archive.md can be read");
        let (head, rest) = text.split_once(begin).expect("docs/archive.md has columns");
        let (found, tail) = rest.split_once(end).expect("docs/archive.md has columns");
        let expected = super::documentation();
        if std::env::var_os("ROADCAST_UPDATE_DOCS").is_some() {
            let text = format!("{head}{begin}{expected}{end}{tail}");
            std::fs::write(path, text).expect("docs/archive.md can be written");
        } else {
            assert_eq!(
                found, expected,
                "ROADCAST_UPDATE_DOCS=1 cargo test --lib archive::tables"
            );
        }
    }
}
