//! Reading of the public data that the accuracy tables of this bench need.

use std::path::{Path, PathBuf};

/// A file of the data folder: `ROADCAST_DATA`, or `../shared/data`. `None`, with a message, where
/// it is not there.
pub(crate) fn file(name: &str) -> Option<PathBuf> {
    let root = std::env::var_os("ROADCAST_DATA").map_or("../shared/data".into(), PathBuf::from);
    let path = root.join(name);
    if !path.is_file() {
        println!("skipped: {} is not there", path.display());
        return None;
    }
    Some(path)
}

/// A matrix of doubles as NumPy writes it (format version 1); rows and columns, row by row.
pub(crate) fn read_npy(path: &Path) -> (usize, usize, Vec<f64>) {
    let bytes = std::fs::read(path).expect("readable");
    assert_eq!(&bytes[..8], b"\x93NUMPY\x01\0", "a file of NumPy");
    let head_bytes = usize::from(u16::from_le_bytes([bytes[8], bytes[9]]));
    let (head, body) = bytes[10..].split_at(head_bytes);
    let head = std::str::from_utf8(head).expect("text");
    assert!(head.contains("'<f8'"), "doubles: {head}");
    let (_, shape) = head.split_once("'shape': (").expect("a shape");
    let (shape, _) = shape.split_once(')').expect("a shape");
    let mut sides = shape
        .split(',')
        .map(|side| side.trim().parse().expect("a side"));
    let (rows, columns): (usize, usize) =
        (sides.next().expect("rows"), sides.next().expect("columns"));
    let value = |index: usize| {
        let mut raw = [0u8; 8];
        raw.copy_from_slice(&body[8 * index..8 * index + 8]);
        f64::from_le_bytes(raw)
    };
    let by_columns = head.contains("'fortran_order': True");
    let cells = (0..rows * columns).map(|index| {
        let (row, column) = (index / columns, index % columns);
        value(if by_columns {
            column * rows + row
        } else {
            index
        })
    });
    (rows, columns, cells.collect())
}
