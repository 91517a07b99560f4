//! Criterion bench of this room.

fn main() {}
