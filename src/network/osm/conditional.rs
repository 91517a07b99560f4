//! Values that hold under conditions: `no_left_turn @ (Mo-Fr 07:00-09:00); no @ (weight>7.5)`
//! (OSM wiki, Conditional restrictions).

/// When a condition holds for a car.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(super) enum Holds {
    Always,
    /// At certain hours, in certain weather, for certain people.
    Sometimes,
    /// For other vehicles only.
    Never,
}

/// The values of a conditional tag, each with when it holds for a car.
pub(super) fn clauses(text: &str) -> impl Iterator<Item = (&str, Holds)> {
    split_outside_brackets(text).filter_map(|clause| {
        let (value, condition) = clause.split_once('@')?;
        Some((value.trim(), holds(condition)))
    })
}

/// Splits at the semicolons that stand outside brackets; those inside belong to opening hours.
fn split_outside_brackets(text: &str) -> impl Iterator<Item = &str> {
    let mut depth = 0i32;
    text.split(move |c: char| {
        match c {
            '(' => depth += 1,
            ')' => depth -= 1,
            _ => {}
        }
        c == ';' && depth <= 0
    })
}

/// Lorries' measures, and vehicles that a car is not.
const MEASURES: [&str; 7] = [
    "weight", "length", "height", "width", "axle", "wheels", "tons",
];
const OTHER_VEHICLES: [&str; 11] = [
    "hgv",
    "goods",
    "bus",
    "psv",
    "trailer",
    "caravan",
    "hazmat",
    "bicycle",
    "motorcycle",
    "taxi",
    "moped",
];

fn holds(condition: &str) -> Holds {
    let condition = condition.trim().trim_matches(['(', ')']).to_lowercase();
    let mut all = Holds::Always;
    for part in condition.split(" and ") {
        let part_holds = if MEASURES.iter().any(|word| part.contains(word)) {
            // A car is below every limit that is set for lorries.
            if part.contains('<') {
                Holds::Always
            } else {
                Holds::Never
            }
        } else if OTHER_VEHICLES.iter().any(|word| part.trim() == *word) {
            Holds::Never
        } else {
            Holds::Sometimes
        };
        all = match (all, part_holds) {
            (Holds::Never, _) | (_, Holds::Never) => Holds::Never,
            (Holds::Always, Holds::Always) => Holds::Always,
            _ => Holds::Sometimes,
        };
    }
    all
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn tells_hours_from_lorries() {
        use Holds::{Always, Never, Sometimes};
        for (text, expected) in [
            (
                "no @ (Mo-Fr 07:00-09:00; Sa 10:00-12:00)",
                vec![("no", Sometimes)],
            ),
            ("no @ (weight>7.5)", vec![("no", Never)]),
            (
                "yes @ weight<3.5; no @ hgv",
                vec![("yes", Always), ("no", Never)],
            ),
            ("30 @ (22:00-06:00 AND weight>3.5)", vec![("30", Never)]),
            ("80 @ wet", vec![("80", Sometimes)]),
            ("no", vec![]),
            ("", vec![]),
        ] {
            let read: Vec<(&str, Holds)> = clauses(text).collect();
            assert_eq!(read, expected, "{text}");
        }
    }
}
