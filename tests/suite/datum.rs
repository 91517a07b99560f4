//! Datums against published coordinates of Chinese cities.

use std::fs;

use roadcast::units::{Datum, Position};

/// What the table's coordinates, rounded to 7 decimals by another implementation, may differ by.
const TOLERANCE_DEG: f64 = 1e-5;

#[test]
fn cities_agree_in_all_datums_both_ways() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/datum/cities.tsv"
    );
    let Ok(table) = fs::read_to_string(path) else {
        eprintln!("skipped: no table of cities at {path}");
        return;
    };
    let mut count = 0;
    for line in table.lines() {
        let (name, rest) = line.split_once('\t').unwrap();
        let numbers: Vec<f64> = rest.split('\t').map(|text| text.parse().unwrap()).collect();
        let position = |index: usize| Position::new(numbers[2 * index], numbers[2 * index + 1]);
        let wgs84 = position(0);
        for (datum, expected) in [(Datum::Gcj02, position(1)), (Datum::Bd09, position(2))] {
            let check = |found: Position, wanted: Position, way: &str| {
                let off = (found.lon_deg - wanted.lon_deg)
                    .abs()
                    .max((found.lat_deg - wanted.lat_deg).abs());
                assert!(off <= TOLERANCE_DEG, "{name} {way} {datum}: off by {off:e}");
            };
            check(datum.from_wgs84(wgs84), expected, "to");
            check(datum.to_wgs84(expected), wgs84, "from");
        }
        count += 1;
    }
    assert!(count > 600, "{count} cities");
}
