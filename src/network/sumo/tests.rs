use super::*;
use crate::network::LaneKind;

/// A signalised crossing of a street with a bus lane and a footpath:
///
/// ```text
///   a ══ in (2 lanes) ══► x ── out ──► b        x: traffic light
///                         └── bus ──► c         bus lane only
///   a ── path ──► b                             pedestrians only
/// ```
fn small() -> String {
    let lane = |id: &str, index: u32, y: f64, x: (f64, f64), extra: &str| {
        format!(
            "<lane id=\"{id}_{index}\" index=\"{index}\" {extra} speed=\"13.89\" length=\"{}\" \
             shape=\"{},{y} {},{y}\"/>",
            x.1 - x.0,
            x.0,
            x.1
        )
    };
    format!(
        "<?xml version=\"1.0\"?>\n<net version=\"1.20\">\n\
         <location netOffset=\"-500000.00,0.00\" convBoundary=\"0,0,300,10\" \
          origBoundary=\"0,0,0,0\" projParameter=\"+proj=utm +zone=32 +ellps=WGS84\"/>\n\
         <edge id=\":x_0\" function=\"internal\">{}{}</edge>\n\
         <edge id=\":x_2\" function=\"internal\">{}</edge>\n\
         <edge id=\"in\" from=\"a\" to=\"x\" type=\"highway.primary\" name=\"A &amp; B\" spreadType=\"center\">{}{}</edge>\n\
         <edge id=\"out\" from=\"x\" to=\"b\">{}</edge>\n\
         <edge id=\"bus\" from=\"x\" to=\"c\">{}</edge>\n\
         <edge id=\"path\" from=\"a\" to=\"b\">{}</edge>\n\
         <tlLogic id=\"x\" type=\"static\" programID=\"0\" offset=\"0\"/>\n\
         <junction id=\"a\" type=\"dead_end\" x=\"0\" y=\"0\"/>\n\
         <junction id=\"x\" type=\"traffic_light\" x=\"105\" y=\"0\"/>\n\
         <junction id=\"b\" type=\"dead_end\" x=\"210\" y=\"0\"/>\n\
         <junction id=\"c\" type=\"dead_end\" x=\"300\" y=\"0\"/>\n\
         <junction id=\":x_2_0\" type=\"internal\" x=\"100\" y=\"0\"/>\n\
         <connection from=\"in\" to=\"out\" fromLane=\"0\" toLane=\"0\" via=\":x_0_0\" tl=\"x\" linkIndex=\"0\" dir=\"s\" state=\"O\"/>\n\
         <connection from=\"in\" to=\"out\" fromLane=\"1\" toLane=\"0\" via=\":x_0_1\" dir=\"s\" state=\"O\"/>\n\
         <connection from=\"in\" to=\"bus\" fromLane=\"0\" toLane=\"0\" via=\":x_0_0\" dir=\"s\" state=\"O\"/>\n\
         <connection from=\"in\" to=\"path\" fromLane=\"0\" toLane=\"0\" dir=\"s\" state=\"O\"/>\n\
         <connection from=\":x_0\" to=\"out\" fromLane=\"1\" toLane=\"0\" via=\":x_2_0\" dir=\"s\" state=\"M\"/>\n\
         </net>\n",
        lane(":x_0", 0, 0.0, (100.0, 110.0), ""),
        lane(":x_0", 1, 3.0, (100.0, 112.0), ""),
        lane(":x_2", 0, 3.0, (100.0, 106.0), ""),
        lane("in", 0, 0.0, (0.0, 100.0), ""),
        lane("in", 1, 4.0, (0.0, 100.0), ""),
        lane("out", 0, 0.0, (110.0, 210.0), "disallow=\"tram\""),
        lane("bus", 0, 0.0, (110.0, 300.0), "allow=\"bus taxi\""),
        lane("path", 0, 9.0, (0.0, 210.0), "allow=\"pedestrian\""),
    )
}

fn problem(text: &str) -> String {
    read("x.net.xml", text.as_bytes()).unwrap_err().to_string()
}

#[test]
fn reads_a_crossing() {
    let (network, report) = read("x.net.xml", small().as_bytes()).unwrap();
    let ids: Vec<&str> = network
        .segment_ids()
        .map(|id| network.source_id(id))
        .collect();
    assert_eq!(ids, ["in", "out", "bus"]);
    assert_eq!(report.omitted(Omission::NotForVehicles), 1);
    assert_eq!(report.omitted(Omission::DanglingConnection), 1);

    let street = network.segment(SegmentId(0));
    assert_eq!((street.lanes, street.class()), (2, RoadClass::Primary));
    assert!(street.is_signalised() && (street.length_m - 100.0).abs() < 1e-3);
    assert_eq!(network.name(SegmentId(0)), Some("A & B"));
    let bus = network.segment(SegmentId(2));
    assert!(bus.flags.contains(SegmentFlags::RESTRICTED));
    assert!(
        !network
            .segment(SegmentId(1))
            .flags
            .contains(SegmentFlags::RESTRICTED)
    );
    assert_eq!(network.segment(SegmentId(1)).class(), RoadClass::Tertiary);

    let movements = network.movements_from(SegmentId(0));
    assert_eq!(movements.len(), 2);
    // Over lane 0 10 m, over lane 1 12 m and 6 m more: 14 m in the mean.
    assert!((movements[0].length_m - 14.0).abs() < 1e-3 && movements[0].lanes == 2);
    assert!((movements[1].length_m - 10.0).abs() < 1e-3 && movements[1].lanes == 1);

    // Lane 0 of "in" lies 2 m right of the middle of the two, 3.2 m wide.
    let [kerb, inner] = network.lanes(SegmentId(0)) else {
        unreachable!("two lanes")
    };
    assert!((kerb.offset_m[0] + 2.0).abs() < 1e-3 && (inner.offset_m[1] - 2.0).abs() < 1e-3);
    assert_eq!(
        network.lane_at(SegmentId(0), 50.0, -2.5),
        Some(kerb.index())
    );
    assert_eq!(network.lane_at(SegmentId(0), 50.0, 0.0), None);
    assert_eq!(network.lanes(SegmentId(2))[0].kind(), LaneKind::Bus);
    let links = network.lane_links(0);
    assert_eq!(links.len(), 2);
    assert_eq!(
        (links[1].from(), links[1].to()),
        (inner.index(), kerb.index())
    );
    assert_eq!(network.signal_of(&links[0]), Some("x/0"));
    assert_eq!(network.signal_of(&links[1]), None);
    let parts: Vec<(&str, u64)> = report.parts().collect();
    assert!(
        parts.contains(&("edges inside junctions", 2)) && parts.contains(&("traffic lights", 1))
    );

    // The centre line lies between the lanes, 2 m north of the equator at 9 degrees east.
    let start = network.position_at(SegmentId(0), 0.0);
    assert!(
        start
            .distance_to(Position::new(9.0, 2.0 / 110_574.0))
            .value()
            < 0.2,
        "{start:?}"
    );
}

#[test]
fn a_net_without_projection_lies_around_zero() {
    let text = small().replace("+proj=utm +zone=32 +ellps=WGS84", "!");
    let (network, report) = read("x.net.xml", text.as_bytes()).unwrap();
    assert!(report.notes[0].contains("no geographic projection"));
    let end = network.position_at(SegmentId(0), 100.0);
    let apart_m = end.distance_to(Position::new(0.0, 0.0)).value();
    assert!((apart_m - 100.02).abs() < 0.05, "{apart_m}");
}

#[test]
fn says_where_a_net_is_wrong() {
    let small = small();
    assert_eq!(
        problem(&small.replace("from=\"a\" to=\"x\"", "from=\"q\" to=\"x\"")),
        "x.net.xml: line 6: edge \"in\" names the unknown junction \"q\""
    );
    assert_eq!(
        problem(&small.replace(
            "id=\"b\" type=\"dead_end\" x=\"210\"",
            "id=\"b\" type=\"dead_end\""
        )),
        "x.net.xml: line 13: <junction> has no x"
    );
    assert_eq!(
        problem(&small.replace("zone=32", "zone=99")),
        "x.net.xml: <location>: projection \"+proj=utm +zone=99 +ellps=WGS84\" is not supported \
         (utm, tmerc or merc on WGS84, metres)"
    );
    assert_eq!(
        problem(&small.replace("speed=\"13.89\"", "speed=\"fast\"")),
        "x.net.xml: line 6: <lane> speed \"fast\" is not a number"
    );
    assert!(problem("<osm></osm>").contains("root element <osm> is not <net>"));
    assert!(problem("<net></net>").contains("no drivable segment"));
    assert!(problem(&small.replace("</edge>", "</egde>")).contains("line 4"));
}

#[test]
fn every_truncation_is_an_error() {
    let small = small();
    let whole = small.trim_end().len();
    for end in 0..whole {
        assert!(read("x", &small.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

#[test]
fn reads_bologna() {
    let path = concat!(
        env!("CARGO_MANIFEST_DIR"),
        "/../shared/data/bologna/scenario/joined_buslanes.net.xml.gz"
    );
    let Ok(bytes) = std::fs::read(path) else {
        println!("skipped: {path} is absent");
        return;
    };
    let (network, report) = crate::network::load("bologna", bytes).unwrap();
    assert_eq!(network.segment_count(), 267);
    let cars = network
        .segments()
        .iter()
        .filter(|segment| !segment.flags.contains(SegmentFlags::RESTRICTED))
        .count();
    assert_eq!(cars, 243);
    assert_eq!(report.omissions().count(), 0);
    // The middle of the town, 44.49 N 11.33 E.
    let middle = network.frame().origin();
    assert!(
        middle.distance_to(Position::new(11.322, 44.495)).value() < 2_000.0,
        "{middle:?}"
    );
    // Every gap that a movement spans is about as long as its lanes inside the junction.
    for movement in network.movements() {
        let gap_m = network
            .shape(movement.from())
            .last()
            .unwrap()
            .distance_m(network.shape(movement.to())[0]);
        assert!(
            movement.length_m + 12.0 > gap_m,
            "{movement:?} spans {gap_m} m"
        );
    }
}
