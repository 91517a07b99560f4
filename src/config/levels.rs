//! Congestion standards as they are written in `config/levels/*.toml`, and as `state` uses them.
//!
//! Those of this project are compiled in and chosen by name; any other is a file of the same form.

use std::path::Path;

use serde::Deserialize;

use crate::network::RoadClass;
use crate::state::Level;
use crate::state::congestion::{
    Curve, GBT33171_RATIOS, IndexMeasure, KM_PER_MILE, LaneDensity, LevelMeasure, MINUTES_MAX,
    Standard,
};

/// The standards that are compiled in: name and text.
pub const BUNDLED: [(&str, &str); 4] = [
    (
        "gbt33171-2016",
        include_str!("../../config/levels/gbt33171-2016.toml"),
    ),
    (
        "db11t785",
        include_str!("../../config/levels/db11t785.toml"),
    ),
    ("hcm-los", include_str!("../../config/levels/hcm-los.toml")),
    (
        "jam-factor",
        include_str!("../../config/levels/jam-factor.toml"),
    ),
];

/// The ending by which `state.level_standard` is a file.
const FILE_ENDING: &str = ".toml";

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawStandard {
    name: String,
    version: u32,
    source: String,
    holes: Vec<String>,
    levels: RawLevels,
    hysteresis: RawHysteresis,
    jam_factor: Option<RawCurve>,
    index: Option<RawIndex>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "measure", rename_all = "snake_case", deny_unknown_fields)]
enum RawLevels {
    SpeedRatio {
        boundary: Boundary,
        bounds: [f32; 4],
    },
    Speed {
        boundary: Boundary,
        unit: SpeedUnit,
        by_class: toml::Table,
        otherwise: Option<[f32; 4]>,
    },
    JamFactor {
        boundary: Boundary,
        bounds: [f32; 4],
    },
    LaneDensity {
        boundary: Boundary,
        unit: DensityUnit,
        bounds: [f32; 5],
        levels: [u8; 6],
        classes: Vec<String>,
        otherwise: Option<[f32; 4]>,
    },
}

#[derive(Clone, Copy, Debug, Deserialize, PartialEq)]
#[serde(rename_all = "snake_case")]
enum Boundary {
    Worse,
    Better,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum SpeedUnit {
    #[serde(rename = "km/h")]
    KilometresPerHour,
    #[serde(rename = "m/s")]
    MetresPerSecond,
}

#[derive(Clone, Copy, Debug, Deserialize)]
enum DensityUnit {
    #[serde(rename = "pc/mi/ln")]
    PerMile,
    #[serde(rename = "veh/km/ln")]
    PerKilometre,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawHysteresis {
    worse_after_minutes: u8,
    better_after_minutes: u8,
    better_margin: f32,
}

#[derive(Debug, Deserialize)]
#[serde(deny_unknown_fields)]
struct RawCurve {
    curve: Vec<(f32, f32)>,
}

#[derive(Debug, Deserialize)]
#[serde(tag = "measure", rename_all = "snake_case", deny_unknown_fields)]
enum RawIndex {
    DelayProportion { curve: Vec<(f32, f32)> },
    SevereMileage { curve: Vec<(f32, f32)> },
    JamFactor,
}

/// The standard that `state.level_standard` names: one of [`BUNDLED`], or a file.
///
/// # Errors
/// Every reason why it cannot be used, in one text.
pub fn standard(name: &str) -> Result<Standard, String> {
    if name.ends_with(FILE_ENDING) {
        let text =
            std::fs::read_to_string(Path::new(name)).map_err(|error| format!("{name}: {error}"))?;
        return parse(&text).map_err(|problem| format!("{name}: {problem}"));
    }
    let text = BUNDLED.iter().find(|(known, _)| *known == name);
    let (_, text) = text.ok_or_else(|| {
        let known = BUNDLED.map(|(known, _)| known).join(", ");
        format!("{name:?} is none of {known}, and no file ending in {FILE_ENDING}")
    })?;
    parse(text)
}

/// Reads the text of a standard.
fn parse(text: &str) -> Result<Standard, String> {
    let raw: RawStandard =
        toml::from_str(text).map_err(|error: toml::de::Error| error.to_string())?;
    let mut problems = Vec::new();
    if raw.name.is_empty() || raw.source.is_empty() {
        problems.push("name and source must not be empty".to_owned());
    }
    let hysteresis = &raw.hysteresis;
    for (key, minutes) in [
        ("worse_after_minutes", hysteresis.worse_after_minutes),
        ("better_after_minutes", hysteresis.better_after_minutes),
    ] {
        if !(1..=MINUTES_MAX).contains(&minutes) {
            problems.push(format!(
                "hysteresis.{key} = {minutes} is outside 1..={MINUTES_MAX}"
            ));
        }
    }
    if !(0.0..=1.0).contains(&hysteresis.better_margin) {
        let margin = hysteresis.better_margin;
        problems.push(format!(
            "hysteresis.better_margin = {margin} is outside 0..=1"
        ));
    }
    let (boundary, measure, otherwise) = levels(raw.levels, &mut problems);
    let jam_factor = match raw.jam_factor {
        Some(raw) => curve("jam_factor.curve", raw.curve, &mut problems),
        None => Curve::jam_factor(),
    };
    let points = jam_factor.points();
    if points[0].1 < points[points.len() - 1].1 {
        problems.push("jam_factor.curve must fall with the speed ratio".into());
    }
    let index = match raw.index {
        None => IndexMeasure::None,
        Some(RawIndex::JamFactor) => IndexMeasure::JamFactor,
        Some(RawIndex::DelayProportion { curve: points }) => {
            IndexMeasure::DelayProportion(rising(points, &mut problems))
        }
        Some(RawIndex::SevereMileage { curve: points }) => {
            IndexMeasure::SevereMileage(rising(points, &mut problems))
        }
    };
    if !problems.is_empty() {
        return Err(problems.join("; "));
    }
    Ok(Standard {
        name: raw.name.into(),
        version: raw.version,
        source: raw.source,
        measure,
        boundary_is_worse: boundary == Boundary::Worse,
        otherwise: otherwise.unwrap_or(GBT33171_RATIOS),
        jam_factor,
        index,
        worse_after: raw.hysteresis.worse_after_minutes,
        better_after: raw.hysteresis.better_after_minutes,
        better_margin: raw.hysteresis.better_margin,
        holes: raw.holes,
    })
}

fn levels(
    raw: RawLevels,
    problems: &mut Vec<String>,
) -> (Boundary, LevelMeasure, Option<[f32; 4]>) {
    match raw {
        RawLevels::SpeedRatio { boundary, bounds } => {
            check(
                "levels.bounds",
                &bounds,
                Order::Falling,
                (0.0, 1.0),
                problems,
            );
            (boundary, LevelMeasure::SpeedRatio(bounds), None)
        }
        RawLevels::JamFactor { boundary, bounds } => {
            check(
                "levels.bounds",
                &bounds,
                Order::Rising,
                (0.0, 10.0),
                problems,
            );
            (boundary, LevelMeasure::JamFactor(bounds), None)
        }
        RawLevels::Speed {
            boundary,
            unit,
            by_class,
            otherwise,
        } => {
            let table = speeds(unit, by_class, problems);
            check_otherwise(otherwise.as_ref(), problems);
            (boundary, LevelMeasure::Speed(table), otherwise)
        }
        RawLevels::LaneDensity {
            boundary,
            unit,
            bounds,
            levels,
            classes,
            otherwise,
        } => {
            let vpkm = match unit {
                DensityUnit::PerMile => bounds.map(|bound| bound / KM_PER_MILE),
                DensityUnit::PerKilometre => bounds,
            };
            check(
                "levels.bounds",
                &vpkm,
                Order::Rising,
                (0.0, 200.0),
                problems,
            );
            if levels.windows(2).any(|pair| pair[1] < pair[0])
                || levels.iter().any(|level| !(1..=5).contains(level))
            {
                problems.push(format!("levels.levels = {levels:?} must rise within 1..=5"));
            }
            let mut applies = [false; RoadClass::ALL.len()];
            for name in &classes {
                match class(name) {
                    Some(class) => applies[class as usize] = true,
                    None => problems.push(format!("levels.classes: no class {name:?}")),
                }
            }
            check_otherwise(otherwise.as_ref(), problems);
            let density = LaneDensity {
                bounds_vpkm: vpkm,
                levels: levels.map(Level::from_code),
                classes: applies,
            };
            (boundary, LevelMeasure::LaneDensity(density), otherwise)
        }
    }
}

fn speeds(
    unit: SpeedUnit,
    by_class: toml::Table,
    problems: &mut Vec<String>,
) -> [Option<[f32; 4]>; RoadClass::ALL.len()] {
    let mut table = [None; RoadClass::ALL.len()];
    for (name, row) in by_class {
        let key = format!("levels.by_class.{name}");
        let Some(class) = class(&name) else {
            problems.push(format!("{key}: no such road class"));
            continue;
        };
        let row: [f32; 4] = match row.try_into() {
            Ok(row) => row,
            Err(error) => {
                problems.push(format!("{key}: {error}"));
                continue;
            }
        };
        let mps = match unit {
            SpeedUnit::KilometresPerHour => row.map(|kmh| kmh / 3.6),
            SpeedUnit::MetresPerSecond => row,
        };
        check(&key, &mps, Order::Falling, (0.0, 70.0), problems);
        table[class as usize] = Some(mps);
    }
    if table.iter().all(Option::is_none) {
        problems.push("levels.by_class names no road class".into());
    }
    table
}

fn class(name: &str) -> Option<RoadClass> {
    RoadClass::ALL
        .into_iter()
        .find(|class| class.label() == name)
}

fn check_otherwise(bounds: Option<&[f32; 4]>, problems: &mut Vec<String>) {
    if let Some(bounds) = bounds {
        check(
            "levels.otherwise",
            bounds,
            Order::Falling,
            (0.0, 1.0),
            problems,
        );
    }
}

#[derive(Clone, Copy, PartialEq)]
enum Order {
    Falling,
    Rising,
}

/// Bounds must lie strictly inside a range and strictly rise or fall.
fn check(key: &str, bounds: &[f32], order: Order, (low, high): (f32, f32), out: &mut Vec<String>) {
    let is_inside = |bound: &f32| *bound > low && *bound < high;
    if let Some(bound) = bounds.iter().find(|bound| !is_inside(bound)) {
        out.push(format!("{key}: {bound} is not between {low} and {high}"));
    }
    let in_order = |pair: &[f32]| match order {
        Order::Falling => pair[1] < pair[0],
        Order::Rising => pair[1] > pair[0],
    };
    if !bounds.windows(2).all(in_order) {
        let word = if order == Order::Falling {
            "fall"
        } else {
            "rise"
        };
        out.push(format!(
            "{key}: {bounds:?} must {word} from each to the next"
        ));
    }
}

fn curve(key: &str, points: Vec<(f32, f32)>, problems: &mut Vec<String>) -> Curve {
    Curve::new(points).unwrap_or_else(|error| {
        problems.push(format!("{key}: {error}"));
        Curve::jam_factor()
    })
}

fn rising(points: Vec<(f32, f32)>, problems: &mut Vec<String>) -> Curve {
    let index = Curve::new(points).unwrap_or_else(|error| {
        problems.push(format!("index.curve: {error}"));
        Curve::annex_c()
    });
    let points = index.points();
    if points[0].1 > points[points.len() - 1].1 {
        problems.push("index.curve must rise".into());
    }
    index
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn the_standard_without_configuration_is_the_bundled_one() {
        let bundled = standard("gbt33171-2016").expect("it is valid");
        let compiled = Standard {
            source: bundled.source.clone(),
            holes: bundled.holes.clone(),
            ..Standard::default()
        };
        assert_eq!(bundled, compiled);
    }

    #[test]
    fn every_bundled_standard_is_valid_and_names_its_source_and_holes() {
        for (name, _) in BUNDLED {
            let standard = standard(name).expect(name);
            assert!(
                !standard.source.is_empty() && !standard.holes.is_empty(),
                "{name}"
            );
            assert_eq!(
                (standard.worse_after, standard.better_after),
                (2, 3),
                "{name}"
            );
        }
    }

    #[test]
    fn bundled_values_are_those_of_the_sources() {
        let LevelMeasure::Speed(table) = standard("db11t785").expect("valid").measure else {
            unreachable!("DB11/T 785 goes by speed");
        };
        let kmh =
            |class: RoadClass| table[class as usize].map(|row| row.map(|v| (v * 3.6).round()));
        assert_eq!(kmh(RoadClass::Motorway), Some([65.0, 50.0, 35.0, 20.0]));
        assert_eq!(kmh(RoadClass::Primary), Some([45.0, 35.0, 25.0, 15.0]));
        assert_eq!(kmh(RoadClass::Tertiary), Some([35.0, 25.0, 15.0, 10.0]));
        assert_eq!(kmh(RoadClass::Service), None);
        let hcm = standard("hcm-los").expect("valid");
        assert_eq!(hcm.measure, LevelMeasure::LaneDensity(LaneDensity::hcm()));
        assert_eq!(
            (hcm.index, hcm.boundary_is_worse),
            (IndexMeasure::None, false)
        );
        let jam = standard("jam-factor").expect("valid");
        assert_eq!(jam.index, IndexMeasure::JamFactor);
        for (found, ours) in jam
            .jam_factor
            .points()
            .iter()
            .zip(Curve::jam_factor().points())
        {
            assert!((found.0 - ours.0).abs() < 1e-6 && (found.1 - ours.1).abs() < 1e-6);
        }
    }

    /// DB11/T 785: bands of the severe-mileage ratio.
    #[test]
    fn severe_mileage_bands_as_worked_examples() {
        let IndexMeasure::SevereMileage(curve) = standard("db11t785").expect("valid").index else {
            unreachable!("DB11/T 785 goes by severe mileage");
        };
        for (ratio, tpi) in [
            (0.0, 0.0),
            (0.02, 1.0),
            (0.04, 2.0),
            (0.06, 3.0),
            (0.08, 4.0),
            (0.095, 5.0),
            (0.11, 6.0),
            (0.125, 7.0),
            (0.14, 8.0),
            (0.19, 9.0),
            (0.24, 10.0),
            (0.5, 10.0),
        ] {
            assert!(
                (curve.at(ratio) - tpi).abs() < 1e-4,
                "{ratio}: {}",
                curve.at(ratio)
            );
        }
    }

    #[test]
    fn what_cannot_be_a_standard_says_why_with_everything_at_once() {
        let good = BUNDLED[0].1;
        for (from, to, part) in [
            ("[0.7, 0.5, 0.4, 0.3]", "[0.7, 0.5, 0.5, 0.3]", "must fall"),
            (
                "[0.7, 0.5, 0.4, 0.3]",
                "[1.7, 0.5, 0.4, 0.3]",
                "1.7 is not between",
            ),
            ("[0.7, 0.5, 0.4, 0.3]", "[0.7, 0.5, 0.4]", "length 4"),
            (
                "worse_after_minutes = 2",
                "worse_after_minutes = 0",
                "outside 1..=9",
            ),
            (
                "better_margin = 0.1",
                "better_margin = nan",
                "outside 0..=1",
            ),
            (
                "measure = \"speed_ratio\"",
                "measure = \"mood\"",
                "unknown variant",
            ),
            (
                "boundary = \"worse\"",
                "boundary = \"worse\"\nmood = 1",
                "unknown field",
            ),
            ("[0.5, 4.0]", "[0.2, 4.0]", "breaks the order"),
            ("source = ", "sauce = ", "unknown field"),
        ] {
            assert!(good.contains(from), "{from}");
            let problem = parse(&good.replace(from, to)).expect_err(to);
            assert!(problem.contains(part), "{to}: {problem}");
        }
        let two = good
            .replace("[0.7, 0.5, 0.4, 0.3]", "[0.3, 0.4, 0.5, 0.7]")
            .replace("better_after_minutes = 3", "better_after_minutes = 77");
        let problem = parse(&two).expect_err("two problems");
        assert!(
            problem.contains("must fall") && problem.contains("77"),
            "{problem}"
        );
        assert!(
            standard("gbt")
                .expect_err("no such")
                .contains("gbt33171-2016, db11t785")
        );
        assert!(
            standard("no/such.toml")
                .expect_err("no file")
                .contains("no/such.toml")
        );
    }
}
