//! OpenStreetMap extracts drawn in the test: what the importer keeps, forbids and counts, and that
//! no broken file harms it.

#![expect(
    clippy::unwrap_used,
    reason = "the helpers of a test fail like the test itself"
)]

use std::collections::BTreeMap;

use proptest::prelude::*;
use roadcast::network::{
    Assumption, CountryCode, ImportOptions, ImportReport, MovementFlags, Network, Omission, Part,
    SegmentFlags, compiled, load_with,
};
use roadcast::units::SegmentId;

/// Writes the fields of protocol buffers (encoding of protobuf.dev).
#[derive(Clone, Default)]
struct Fields(Vec<u8>);

impl Fields {
    fn varint(&mut self, mut value: u64) {
        while value >= 0x80 {
            self.0.push(value as u8 | 0x80);
            value >>= 7;
        }
        self.0.push(value as u8);
    }

    fn number(mut self, field: u64, value: u64) -> Self {
        self.varint(field << 3);
        self.varint(value);
        self
    }

    fn bytes(mut self, field: u64, bytes: &[u8]) -> Self {
        self.varint(field << 3 | 2);
        self.varint(bytes.len() as u64);
        self.0.extend_from_slice(bytes);
        self
    }

    fn packed(self, field: u64, values: impl Iterator<Item = u64>) -> Self {
        let mut inner = Self::default();
        values.for_each(|value| inner.varint(value));
        self.bytes(field, &inner.0)
    }
}

fn zigzag(value: i64) -> u64 {
    ((value << 1) ^ (value >> 63)) as u64
}

fn differences(values: &[i64]) -> impl Iterator<Item = u64> + '_ {
    let before = std::iter::once(0).chain(values.iter().copied());
    values
        .iter()
        .zip(before)
        .map(|(value, before)| zigzag(value - before))
}

/// The strings of a block, numbered as they come.
#[derive(Default)]
struct Texts(Vec<String>);

impl Texts {
    fn id(&mut self, text: &str) -> u64 {
        let found = self.0.iter().position(|known| known == text);
        found.unwrap_or_else(|| {
            self.0.push(text.to_owned());
            self.0.len() - 1
        }) as u64
    }

    fn tags(&mut self, element: Fields, tags: &[&str]) -> Fields {
        let pairs: Vec<(u64, u64)> = tags
            .iter()
            .map(|tag| {
                let (key, value) = tag.split_once('=').unwrap();
                (self.id(key), self.id(&value.replace('~', " ")))
            })
            .collect();
        element
            .packed(2, pairs.iter().map(|pair| pair.0))
            .packed(3, pairs.iter().map(|pair| pair.1))
    }
}

/// An `.osm.pbf` of lines: `n1 EAST NORTH tag…` in units of 100 m, `w10 1,2,3 tag…`,
/// `r1 w10:from,n2:via,w20:to tag…`; `~` in a tag is a space.
fn pbf(lines: &str) -> Vec<u8> {
    let mut texts = Texts(vec![String::new()]);
    let mut group = Fields::default();
    for line in lines.lines().map(str::trim).filter(|line| !line.is_empty()) {
        let words: Vec<&str> = line.split(' ').collect();
        let id: i64 = words[0][1..].parse().unwrap();
        group = match &words[0][..1] {
            "n" => {
                // 0.001 degree is 111 m; the unit of the file is 1e-7 degree.
                let place = |word: &str| zigzag((word.parse::<f64>().unwrap() * 1e4) as i64);
                let node = Fields::default().number(1, zigzag(id));
                let node = texts.tags(node, &words[3..]);
                let node = node.number(8, place(words[2])).number(9, place(words[1]));
                group.bytes(1, &node.0)
            }
            "w" => {
                let nodes: Vec<i64> = words[1].split(',').map(|id| id.parse().unwrap()).collect();
                let way = texts.tags(Fields::default().number(1, id as u64), &words[2..]);
                group.bytes(3, &way.packed(8, differences(&nodes)).0)
            }
            "r" => {
                let members: Vec<(&str, &str)> = words[1]
                    .split(',')
                    .map(|member| member.split_once(':').unwrap())
                    .collect();
                let ids: Vec<i64> = members
                    .iter()
                    .map(|(id, _)| id[1..].parse().unwrap())
                    .collect();
                let relation = texts.tags(Fields::default().number(1, id as u64), &words[2..]);
                let roles: Vec<u64> = members.iter().map(|(_, role)| texts.id(role)).collect();
                let kinds = members.iter().map(|(id, _)| u64::from(id.starts_with('w')));
                let relation = relation
                    .packed(8, roles.into_iter())
                    .packed(9, differences(&ids))
                    .packed(10, kinds);
                group.bytes(4, &relation.0)
            }
            other => unreachable!("{other}"),
        };
    }
    let table = texts.0.iter().fold(Fields::default(), |table, text| {
        table.bytes(1, text.as_bytes())
    });
    let block = Fields::default().bytes(1, &table.0).bytes(2, &group.0);
    let header = Fields::default().bytes(4, b"OsmSchema-V0.6");
    [blob("OSMHeader", &header.0), blob("OSMData", &block.0)].concat()
}

fn blob(kind: &str, content: &[u8]) -> Vec<u8> {
    let body = Fields::default().bytes(1, content);
    let header = Fields::default()
        .bytes(1, kind.as_bytes())
        .number(3, body.0.len() as u64);
    let length = (header.0.len() as u32).to_be_bytes();
    [&length[..], &header.0, &body.0].concat()
}

fn read(lines: &str) -> (Network, ImportReport) {
    let country = Some(CountryCode(*b"CN"));
    let (network, report) = load_with("x.osm.pbf", pbf(lines), ImportOptions { country }).unwrap();
    assert_eq!(
        report.roads_read,
        report.roads_kept + report.omitted_of(Part::Road)
    );
    let restrictions = report.restrictions_kept + report.omitted_of(Part::Restriction);
    assert_eq!(report.restrictions_read, restrictions);
    (network, report)
}

/// The segment of a way's stretch.
fn segment(network: &Network, way: &str, pair: u32, dir: i8) -> SegmentId {
    let is_it = |id: &SegmentId| {
        let facts = network.segment(*id);
        network.source_id(*id) == way && (facts.source_pair, facts.source_dir) == (pair, dir)
    };
    network.segment_ids().find(is_it).unwrap()
}

/// A street with a side street, and an avenue of two carriageways that it crosses:
/// ```text
///        5   7
///        ▲   │
///       30   40
///        │   ▼
///  1─10──2─20─3──50──4
///        │   │
///       31   41
///        │   ▼
///        6   8            31 leads up into 2, 41 down from 3
/// ```
const CROSSING: &str = "
n1 0 0
n2 1 0
n3 1.2 0
n4 3 0
n5 1 1
n6 1 -1
n7 1.2 1
n8 1.2 -1
w10 1,2 highway=secondary name=珞喻路 name:en=Luoyu~Road lanes=4 lit=yes
w20 2,3 highway=secondary lanes=1
w50 3,4 highway=residential
w30 2,5 highway=primary oneway=yes
w31 6,2 highway=primary oneway=yes
w40 7,3 highway=primary oneway=yes
w41 3,8 highway=primary oneway=yes
";

fn with(more: &str) -> (Network, ImportReport) {
    read(&format!("{CROSSING}{more}"))
}

#[test]
fn keeps_the_facts_of_a_road() {
    let (network, report) =
        with("w60 4,8,1 highway=trunk_link bridge=yes oneway=-1 maxspeed=30~mph");
    let road = segment(&network, "10", 0, 1);
    let facts = network.segment(road);
    assert_eq!(network.name(road), Some("珞喻路"));
    assert_eq!(network.name_en(road), Some("Luoyu Road"));
    assert_eq!((facts.lanes, facts.limit_mps.round() as u32), (2, 14));
    let link = network.segment(segment(&network, "60", 1, -1));
    assert!(link.flags.contains(SegmentFlags::LINK) && link.flags.contains(SegmentFlags::BRIDGE));
    assert_eq!((link.layer, link.limit_mps.round() as u32), (1, 13));
    assert_eq!(report.roads_kept, 8);
    let mut bytes = Vec::new();
    compiled::write(&network, &report, &mut bytes);
    let (back, back_report) = compiled::read(&bytes).unwrap();
    assert_eq!((back.version(), back_report), (network.version(), report));
}

#[test]
fn restrictions_over_roads_bind_those_who_came_that_way() {
    let back = "r1 w31:from,w20:via,w41:to type=restriction restriction=no_u_turn";
    let (network, report) = with(back);
    assert_eq!(report.restrictions_kept, 1);
    assert_eq!(report.assumed(Assumption::RestrictionOverRoads), 1);
    let named = |ways: [(&str, i8); 3]| ways.map(|(way, dir)| segment(&network, way, 0, dir));
    assert!(!network.permits(&named([("31", 1), ("20", 1), ("41", 1)])));
    assert!(network.permits(&named([("31", 1), ("20", 1), ("50", 1)])));
    assert!(network.permits(&named([("10", 1), ("20", 1), ("41", 1)])));
    assert_eq!(network.prohibited_manoeuvre_count(), 1);
    let mut bytes = Vec::new();
    compiled::write(&network, &report, &mut bytes);
    let (back, _) = compiled::read(&bytes).unwrap();
    assert!(!back.permits(&named([("31", 1), ("20", 1), ("41", 1)])));
    assert_eq!(
        (back.version(), back.stage_count()),
        (network.version(), network.stage_count())
    );
}

#[test]
fn only_over_roads_prescribes_the_whole_way() {
    let only = "r1 w31:from,w20:via,w50:to type=restriction restriction=only_straight_on";
    let (network, _) = with(only);
    let permits = |ways: &[(&str, i8)]| {
        let ids: Vec<SegmentId> = ways
            .iter()
            .map(|(way, dir)| segment(&network, way, 0, *dir))
            .collect();
        network.permits(&ids)
    };
    assert!(permits(&[("31", 1), ("20", 1), ("50", 1)]));
    assert!(!permits(&[("31", 1), ("20", 1), ("41", 1)]) && !permits(&[("31", 1), ("30", 1)]));
    assert!(permits(&[("10", 1), ("30", 1)]) && permits(&[("10", 1), ("20", 1), ("41", 1)]));
}

#[test]
fn counts_every_restriction_once() {
    let (network, report) = with(
        "
r1 w10:from,n2:via,w30:to type=restriction restriction=no_left_turn
r2 w10:from,n2:via,w30:to type=restriction restriction:hgv=no_left_turn
r3 w31:from,n2:via,w10:to type=restriction restriction:conditional=no_left_turn@(Mo-Fr)
r4 w10:from,n2:via,w99:to type=restriction restriction=no_right_turn
r5 w30:from,n2:via,w10:to type=restriction restriction=no_right_turn
r6 w10:from,w20:to type=restriction restriction=no_straight_on
r7 w10:from,n2:via,w30:to type=route
r8 w31:from,w20:via,w41:to type=restriction restriction:conditional=no_u_turn@(22:00-06:00)
",
    );
    let from = |way, to| {
        let id = segment(&network, way, 0, 1);
        let mut movements = network.movements_from(id).iter();
        movements.find(|movement| network.source_id(movement.to()) == to)
    };
    assert!(from("10", "30").is_none());
    assert!(
        from("31", "10")
            .unwrap()
            .flags
            .contains(MovementFlags::AT_TIMES)
    );
    assert_eq!((report.restrictions_read, report.restrictions_kept), (7, 2));
    for cause in [
        Omission::RestrictionVehicle,
        Omission::RestrictionRoad,
        Omission::RestrictionApart,
        Omission::RestrictionShape,
        Omission::RestrictionTime,
    ] {
        assert_eq!(report.omitted(cause), 1, "{cause:?}");
    }
    assert_eq!(report.assumed(Assumption::TimedRestriction), 1);
}

#[test]
fn counts_every_road_once() {
    let (network, report) = with(
        "
n11 5 5 barrier=bollard
n12 6 5
n13 6 5
n14 7 5
n15 8 5 barrier=toll_booth
n16 9 5
w60 4,12 highway=footway
w61 4,12 highway=service access=no
w62 4,12 highway=proposed
w63 4,12,4 highway=service area=yes
w64 4,12 route=ferry
w65 4,999 highway=service
w66 4,11,12 highway=service
w67 12,13 highway=service
w68 13,14,999,15,16 highway=service access=private
w69 14,14 highway=service
w70 12 highway=service
",
    );
    for (cause, count) in [
        (Omission::NotForVehicles, 1),
        (Omission::NoAccess, 1),
        (Omission::NotARoad, 1),
        (Omission::Area, 1),
        (Omission::Ferry, 1),
        (Omission::MissingNode, 2),
        // Node 999 is missing, 12 and 13 are one place, 14 comes twice, 70 has one node.
        (Omission::NoGeometry, 4),
    ] {
        assert_eq!(report.omitted(cause), count, "{cause:?}");
    }
    assert_eq!(report.roads_read, 7 + 11);
    assert_eq!(report.assumed(Assumption::ClosedBarrier), 1);
    // The bollard parts the road; beyond it one comes through the places of no length.
    let beyond = segment(&network, "66", 1, 1);
    let private = segment(&network, "68", 0, 1);
    assert!(network.permits(&[beyond, private]));
    assert!(!network.permits(&[segment(&network, "66", 0, 1), beyond]));
    assert!(
        network
            .segment(private)
            .flags
            .contains(SegmentFlags::PRIVATE)
    );
    // The pairs of way 68 count the nodes that are there.
    assert_eq!(network.shape(private).len(), 2);
    assert_eq!(
        network.segment(segment(&network, "68", 1, 1)).source_pair,
        1
    );
}

#[test]
fn circles_and_loops_are_roads() {
    let (network, _) = with(
        "
n20 10 10
n21 11 10
n22 10 11
w80 4,20 highway=tertiary
w81 20,21,22,20 highway=tertiary junction=roundabout
w82 21,22,21 highway=service
",
    );
    let circle = segment(&network, "81", 0, 1);
    assert!(
        network
            .segment(circle)
            .flags
            .contains(SegmentFlags::ROUNDABOUT)
    );
    let is_against =
        |id: SegmentId| network.source_id(id) == "81" && network.segment(id).source_dir < 0;
    assert!(!network.segment_ids().any(is_against));
    assert!(network.permits(&[segment(&network, "80", 0, 1), circle]));
}

#[test]
fn every_cut_and_every_flipped_byte_is_read_or_refused() {
    let bytes = pbf(CROSSING);
    let try_read = |bytes: &[u8]| {
        let read = roadcast::network::load("cut.osm.pbf", bytes.to_vec());
        read.map(|_| ()).map_err(|error| error.to_string())
    };
    for end in 0..bytes.len() {
        let problem = try_read(&bytes[..end]).unwrap_err();
        assert!(problem.contains("cut.osm.pbf"), "cut at {end}: {problem}");
    }
    let mut problems: BTreeMap<String, u32> = BTreeMap::new();
    for at in 0..bytes.len() {
        for bit in [1, 0x10, 0x80] {
            let mut damaged = bytes.clone();
            damaged[at] ^= bit;
            if let Err(problem) = try_read(&damaged) {
                *problems.entry(problem).or_default() += 1;
            }
        }
    }
    assert!(
        problems.keys().any(|problem| problem.contains("way 10: ")),
        "{problems:?}"
    );
    assert!(
        problems
            .keys()
            .all(|problem| problem.contains("cut.osm.pbf"))
    );
}

proptest! {
    /// Whatever tags a way and a node have, the way is kept or left out for a reason.
    #[test]
    fn no_tag_harms(
        key in "(access|oneway|maxspeed|lanes|layer|motor_vehicle|zone:traffic|maxspeed:conditional|turn:lanes|service|junction|bridge|barrier|name)",
        value in "[ -~é珞]{0,12}",
    ) {
        let value = value.replace(' ', "~");
        let lines = format!("n1 0 0\nn2 1 0 {key}={value}\nn3 2 0\nw9 1,2,3 highway=primary {key}={value}\nw8 1,3 highway=primary");
        let (_, report) = read(&lines);
        prop_assert_eq!(report.roads_read, 2);
    }
}
