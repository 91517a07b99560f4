//! Small networks for the tests of this room.

use std::sync::Arc;

use crate::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use crate::units::{LocalFrame, Point, Position};

/// A street from west to east of `count` segments of 100 m, 60 km/h and two lanes, without signals;
/// its west end is the origin of the plane.
pub(crate) fn line(count: usize) -> Arc<Network> {
    line_of(count, RoadClass::Primary)
}

/// The same of another class.
pub(crate) fn line_of(count: usize, class: RoadClass) -> Arc<Network> {
    let origin = Position::new(114.3055, 30.5931);
    let frame = LocalFrame::new(origin);
    let at = |index: usize| frame.to_position(Point::new(100.0 * index as f32, 0.0));
    let mut builder = NetworkBuilder::new(origin);
    let junctions: Vec<_> = (0..=count)
        .map(|index| builder.add_junction(at(index), false))
        .collect();
    for index in 0..count {
        let draft = SegmentDraft {
            from: junctions[index],
            to: junctions[index + 1],
            shape: vec![at(index), at(index + 1)],
            length_m: None,
            class,
            limit_mps: Some(60.0 / 3.6),
            lanes: Some(2),
            flags: SegmentFlags::default(),
            layer: 0,
            source_id: format!("{index}"),
            source_dir: 1,
            source_pair: index as u32,
            name: None,
            name_en: None,
        };
        builder.add_segment(draft).expect("a valid road");
    }
    builder.connect_all(&mut |_, _| false);
    Arc::new(builder.build().expect("it has segments"))
}
