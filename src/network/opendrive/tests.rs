use proptest::prelude::*;

use super::*;
use crate::network::{LaneIndex, LaneKind};
use crate::units::EARTH_RADIUS_M;

const LINE: &str = "<geometry s=\"0\" x=\"0\" y=\"0\" hdg=\"0\" length=\"100\"><line/></geometry>";

fn lane(id: i32, kind: &str, width: f64, link: &str) -> String {
    format!(
        "<lane id=\"{id}\" type=\"{kind}\"><link>{link}</link>\
         <width sOffset=\"0\" a=\"{width}\" b=\"0\" c=\"0\" d=\"0\"/></lane>"
    )
}

/// A road with one lane section.
fn road(head: &str, link: &str, line: &str, left: &str, right: &str) -> String {
    format!(
        "<road {head}>\n<link>{link}</link>\n<type s=\"0\" type=\"town\">\
         <speed max=\"50\" unit=\"km/h\"/></type>\n<planView>{line}</planView>\n\
         <lanes><laneSection s=\"0\"><left>{left}</left><center/><right>{right}</right>\
         </laneSection></lanes>\n</road>\n"
    )
}

fn file(header: &str, content: &str) -> String {
    format!(
        "<?xml version=\"1.0\"?>\n<OpenDRIVE>\n<header revMajor=\"1\">{header}</header>\n{content}</OpenDRIVE>\n"
    )
}

/// A street with two lanes eastwards and one back, a footway on either side.
fn street(rule: &str) -> String {
    let head = format!("id=\"7\" name=\"High St\" length=\"100\" junction=\"-1\" rule=\"{rule}\"");
    let left = lane(2, "sidewalk", 2.0, "") + &lane(1, "driving", 4.0, "");
    let right = [
        (-1, "driving", 3.0),
        (-2, "bus", 3.0),
        (-3, "sidewalk", 2.0),
    ]
    .map(|(id, kind, width)| lane(id, kind, width, ""));
    file("", &road(&head, "", LINE, &left, &right.concat()))
}

/// A crossing with a light: road 1 from the west, whose lane -1 turns left over an arc of radius
/// 20 m into road 2 northwards.
fn crossing() -> String {
    let own = lane(-1, "driving", 3.0, "") + &lane(-2, "driving", 3.0, "");
    let first = road(
        "id=\"1\" length=\"100\" junction=\"-1\"",
        "<successor elementType=\"junction\" elementId=\"9\"/>",
        LINE,
        "",
        &own,
    )
    .replace(
        "</road>",
        "<signals><signal id=\"s1\" s=\"98\" t=\"-5\" dynamic=\"yes\" orientation=\"+\" type=\"1000001\">\
         <validity fromLane=\"-1\" toLane=\"-1\"/></signal></signals></road>",
    );
    let arc = "<geometry s=\"0\" x=\"100\" y=\"0\" hdg=\"0\" length=\"31.41592653589793\">\
               <arc curvature=\"0.05\"/></geometry>";
    let linked = "<predecessor id=\"-1\"/><successor id=\"-1\"/>";
    let turn = road(
        "id=\"3\" length=\"31.41592653589793\" junction=\"9\"",
        "<predecessor elementType=\"road\" elementId=\"1\" contactPoint=\"end\"/>\
         <successor elementType=\"road\" elementId=\"2\" contactPoint=\"start\"/>",
        arc,
        "",
        &lane(-1, "driving", 3.0, linked),
    );
    let north = "<geometry s=\"0\" x=\"120\" y=\"20\" hdg=\"1.5707963267948966\" length=\"50\"><line/></geometry>";
    let second = road(
        "id=\"2\" length=\"50\" junction=\"-1\"",
        "<predecessor elementType=\"junction\" elementId=\"9\"/>",
        north,
        "",
        &lane(-1, "driving", 3.0, ""),
    );
    let junction = "<controller id=\"c\"><control signalId=\"s1\"/></controller>\n\
                    <junction id=\"9\"><connection id=\"0\" incomingRoad=\"1\" connectingRoad=\"3\" \
                    contactPoint=\"start\"><laneLink from=\"-1\" to=\"-1\"/></connection></junction>\n";
    file("", &(first + &turn + &second + junction))
}

fn read_text(text: &str) -> (Network, ImportReport) {
    read("x.xodr", text.as_bytes()).unwrap()
}

fn problem(text: &str) -> String {
    read("x.xodr", text.as_bytes()).unwrap_err().to_string()
}

/// The ends of a segment in a file without reference, metres.
fn ends(network: &Network, id: u32) -> [(f64, f64); 2] {
    let id = SegmentId(id);
    [0.0, network.segment(id).length_m].map(|offset_m| {
        let at = network.position_at(id, offset_m);
        (
            at.lon_deg.to_radians() * EARTH_RADIUS_M,
            at.lat_deg.to_radians() * EARTH_RADIUS_M,
        )
    })
}

fn assert_ends(network: &Network, id: u32, want: [(f64, f64); 2]) {
    for (got, want) in ends(network, id).into_iter().zip(want) {
        let apart_m = (got.0 - want.0).hypot(got.1 - want.1);
        assert!(apart_m < 0.1, "segment {id}: {got:?}, not {want:?}");
    }
}

#[test]
fn each_direction_of_a_road_is_a_segment() {
    let (network, report) = read_text(&street("RHT"));
    assert_eq!((network.segment_count(), report.roads_read), (2, 1));
    assert_ends(&network, 0, [(0.0, -3.0), (100.0, -3.0)]);
    assert_ends(&network, 1, [(100.0, 2.0), (0.0, 2.0)]);
    let (along, against) = (network.segment(SegmentId(0)), network.segment(SegmentId(1)));
    assert_eq!((along.source_dir, against.source_dir), (1, -1));
    assert_eq!((along.twin(), along.lanes), (Some(SegmentId(1)), 1));
    assert!((along.limit_mps - 50.0 / 3.6).abs() < 1e-4);
    assert_eq!(network.source_id(SegmentId(1)), "7");
    assert_eq!(network.name(SegmentId(0)), Some("High St"));

    let lanes: Vec<_> = network
        .lanes(SegmentId(0))
        .iter()
        .map(|l| (l.index().0, l.kind()))
        .collect();
    assert_eq!(lanes, [(0, LaneKind::Bus), (1, LaneKind::Car)]);
    assert_eq!(
        network.lane_at(SegmentId(0), 50.0, -1.5),
        Some(LaneIndex(0))
    );
    assert_eq!(network.lane_at(SegmentId(0), 50.0, 1.5), Some(LaneIndex(1)));
    assert_eq!(network.lane_at(SegmentId(0), 50.0, 3.5), None);
    assert_eq!(network.lane_at(SegmentId(1), 50.0, 0.0), Some(LaneIndex(0)));
}

#[test]
fn where_traffic_keeps_left_the_directions_swap() {
    let (network, _) = read_text(&street("LHT"));
    assert_ends(&network, 0, [(0.0, 2.0), (100.0, 2.0)]);
    assert_ends(&network, 1, [(100.0, -3.0), (0.0, -3.0)]);
    assert_eq!(network.segment(SegmentId(0)).source_dir, 1);
    // The kerb is on the left: the bus lane lies left of the middle for who drives westwards.
    assert_eq!(network.lane_at(SegmentId(1), 50.0, 1.5), Some(LaneIndex(0)));
}

#[test]
fn lanes_lead_through_the_connecting_roads_of_a_junction() {
    let (network, report) = read_text(&crossing());
    assert_eq!(network.segment_count(), 2);
    assert_ends(&network, 1, [(121.5, 20.0), (121.5, 70.0)]);
    let [movement] = network.movements() else {
        unreachable!("one movement, not {}", network.movements().len())
    };
    assert_eq!(
        (movement.from(), movement.to(), movement.lanes),
        (SegmentId(0), SegmentId(1), 1)
    );
    // A quarter of a circle, 1.5 m outside the reference line.
    assert!((movement.length_m - 21.5 * std::f32::consts::FRAC_PI_2).abs() < 0.1);
    let [link] = network.lane_links(0) else {
        unreachable!("one lane link")
    };
    assert_eq!((link.from(), link.to()), (LaneIndex(1), LaneIndex(0)));
    assert_eq!(network.signal_of(link), Some("c/s1"));
    assert!(network.segment(SegmentId(0)).is_signalised());
    assert!(!network.segment(SegmentId(1)).is_signalised());
    assert_eq!(
        network.segment(SegmentId(0)).to(),
        network.segment(SegmentId(1)).from()
    );
    assert_eq!(report.omissions().count(), 0);
}

#[test]
fn a_lane_that_opens_moves_the_line_gently() {
    let more = format!(
        "</laneSection><laneSection s=\"60\"><center/><right>{}{}</right></laneSection>",
        lane(-1, "driving", 3.0, ""),
        lane(-2, "driving", 3.0, "")
    );
    let text = file(
        "",
        &road(
            "id=\"1\" length=\"100\"",
            "",
            LINE,
            "",
            &lane(-1, "driving", 3.0, ""),
        ),
    )
    .replacen("</laneSection>", &more, 1);
    let (network, _) = read_text(&text);
    let id = SegmentId(0);
    assert_ends(&network, 0, [(0.0, -1.5), (100.0, -3.0)]);
    assert!(network.segment(id).length_m < 100.2);
    assert_eq!(network.lanes_at(id, 30.0).len(), 1);
    assert_eq!(network.lanes_at(id, 90.0).len(), 2);
    // 1 m right of the reference line, before and behind the place where the lane opens.
    for along_m in [10.0, 58.0, 62.0, 95.0] {
        let point = network.frame().to_point(Position::new(
            f64::from(along_m as f32 / EARTH_RADIUS_M as f32).to_degrees(),
            (-1.0 / EARTH_RADIUS_M).to_degrees(),
        ));
        let (offset_m, lateral_m) = network.beside(id, point);
        let want = if along_m < 60.0 { 0 } else { 1 };
        assert_eq!(
            network.lane_at(id, offset_m, lateral_m),
            Some(LaneIndex(want)),
            "{along_m}"
        );
    }
}

#[test]
fn a_file_lies_where_its_reference_and_offset_say() {
    let header = "<geoReference><![CDATA[+proj=utm +zone=32 +datum=WGS84]]></geoReference>\
                  <offset x=\"500000\" y=\"1000\" z=\"0\" hdg=\"1.5707963267948966\"/>";
    let (network, report) =
        read_text(&street("RHT").replace("<header revMajor=\"1\">", &format!("<header>{header}")));
    assert!(report.notes.is_empty());
    // Turned, the street leads north, its lanes 3 m east of 9 degrees east.
    let end = network.position_at(SegmentId(0), 100.0);
    let want = Projection::parse("+proj=utm +zone=32").unwrap();
    let want = Plane::new(Some(want), (0.0, 0.0), 0.0).to_position((500_003.0, 1_100.0));
    assert!(end.distance_to(want).value() < 0.1, "{end:?}");
}

#[test]
fn speeds_come_in_three_units_or_none() {
    for (speed, want_mps) in [
        ("max=\"15\"", 15.0),
        ("max=\"30\" unit=\"mph\"", 13.41),
        ("max=\"no limit\"", 36.11),
    ] {
        let (network, _) = read_text(&street("RHT").replace("max=\"50\" unit=\"km/h\"", speed));
        assert!(
            (network.segment(SegmentId(0)).limit_mps - want_mps).abs() < 0.01,
            "{speed}"
        );
    }
}

#[test]
fn says_where_a_file_is_wrong() {
    let street = street("RHT");
    assert_eq!(
        problem(&street.replace("<line/>", "<arc curvature=\"x\"/>")),
        "x.xodr: line 7: road \"7\": <arc> curvature \"x\" is not a number"
    );
    assert_eq!(
        problem(&street.replace("id=\"-2\"", "id=\"-1\"")),
        "x.xodr: line 8: road \"7\": lane section at s 0: lane -1 appears twice"
    );
    assert!(
        problem(&street.replace("km/h", "knots")).contains("road \"7\": <speed> unit \"knots\"")
    );
    assert!(
        problem(
            &street
                .replace("driving", "none")
                .replace("\"bus\"", "\"none\"")
        )
        .contains("no drivable")
    );
    let unknown = crossing().replace("id=\"9\"", "name=\"9\"");
    assert!(problem(&unknown).contains("<junction> has no id"));
    assert!(
        problem(&crossing().replace("contactPoint=\"start\"><", "contactPoint=\"up\"><"))
            .contains("junction \"9\"")
    );
}

#[test]
fn every_truncation_is_an_error() {
    let text = crossing();
    for end in 0..text.trim_end().len() {
        assert!(read("x", &text.as_bytes()[..end]).is_err(), "cut at {end}");
    }
}

proptest! {
    /// Whatever happens to a byte, there is a network or an error, never a panic.
    #[test]
    fn damaged_files_never_panic(at in 0usize..4_000, byte: u8, cut in 0usize..40) {
        let mut bytes = crossing().into_bytes();
        let at = at % bytes.len();
        bytes[at] = byte;
        bytes.drain(at..(at + cut).min(bytes.len()));
        if let Ok((network, _)) = read("x", &bytes) {
            prop_assert!(network.segment_count() > 0);
        }
    }
}
