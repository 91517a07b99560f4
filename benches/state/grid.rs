//! A large city to time things on.

use std::sync::Arc;

use roadcast::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use roadcast::units::Position;

/// A square grid of two-way streets with `side` junctions a side, every third one signalised.
pub(super) fn grid(side: usize) -> Arc<Network> {
    let at = |row: usize, column: usize| {
        Position::new(114.0 + 0.0016 * column as f64, 30.4 + 0.0014 * row as f64)
    };
    let mut builder = NetworkBuilder::new(at(side / 2, side / 2));
    let mut junctions = Vec::new();
    for row in 0..side {
        for column in 0..side {
            junctions.push(builder.add_junction(at(row, column), (row + column) % 3 == 0));
        }
    }
    let mut street = |a: (usize, usize), b: (usize, usize)| {
        for ((from_row, from_column), (to_row, to_column)) in [(a, b), (b, a)] {
            let draft = SegmentDraft {
                from: junctions[from_row * side + from_column],
                to: junctions[to_row * side + to_column],
                shape: vec![at(from_row, from_column), at(to_row, to_column)],
                length_m: None,
                class: RoadClass::ALL[2 + from_row % 4],
                limit_mps: None,
                lanes: None,
                flags: SegmentFlags::default(),
                layer: 0,
                source_id: "grid".into(),
                source_dir: 1,
                source_pair: 0,
                name: None,
                name_en: None,
            };
            builder
                .add_segment(draft)
                .expect("a street is a valid segment");
        }
    };
    for row in 0..side {
        for column in 0..side {
            if column + 1 < side {
                street((row, column), (row, column + 1));
            }
            if row + 1 < side {
                street((row, column), (row + 1, column));
            }
        }
    }
    builder.connect_all(&mut |_, _| false);
    Arc::new(builder.build().expect("a grid is a network"))
}
