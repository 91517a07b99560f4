//! Which lanes lead into which, through the connecting roads of junctions.

use std::collections::BTreeMap;

use super::carriageway::{Carriageway, Direction, driven, index_at, section_at};
use super::parse::{Connection, Drive, End, Light, Road, RoadLink};
use crate::network::lanes::LaneIndex;

/// The most connecting roads in a row through one junction (chosen).
const CONNECTING_ROADS_MAX: usize = 8;
/// The most ways followed from one lane, against files in which everything leads everywhere.
const WAYS_MAX: usize = 256;
/// A light this near before the end of a road holds at that end, metres (chosen: stop lines stand
/// up to two crossings and a lane's width away).
const LIGHT_REACH_M: f64 = 40.0;

/// A direction of a road, by the place of the road in the file.
pub(super) type Side = (usize, Direction);

/// A way from a lane at the end of one segment to a lane at the start of another.
#[derive(Clone, Debug)]
pub(super) struct Way {
    pub(super) from: Side,
    pub(super) to: Side,
    pub(super) lanes: (LaneIndex, LaneIndex),
    /// Metres on connecting roads.
    pub(super) length_m: f64,
    /// The light it obeys, as `controller/signal`.
    pub(super) light: Option<String>,
}

/// What is asked while following lanes.
pub(super) struct Links<'a> {
    roads: &'a [Road],
    carriageways: &'a [[Option<Carriageway>; 2]],
    by_id: BTreeMap<&'a str, usize>,
    by_incoming: BTreeMap<(&'a str, &'a str), Vec<&'a Connection>>,
    inside: BTreeMap<&'a str, Vec<usize>>,
    controllers: BTreeMap<&'a str, &'a str>,
    /// Links to roads that the file lacks or lanes that nobody drives on.
    pub(super) dangling: u64,
}

/// How far one has come.
struct Reached {
    road: usize,
    lane: i32,
    length_m: f64,
    light: Option<String>,
    connecting: usize,
}

impl<'a> Links<'a> {
    pub(super) fn new(drive: &'a Drive, carriageways: &'a [[Option<Carriageway>; 2]]) -> Self {
        let mut by_incoming: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for junction in &drive.junctions {
            for connection in &junction.connections {
                let key = (junction.id.as_str(), connection.incoming.as_str());
                by_incoming.entry(key).or_default().push(connection);
            }
        }
        let mut inside: BTreeMap<_, Vec<_>> = BTreeMap::new();
        for (index, road) in drive.roads.iter().enumerate() {
            if let Some(junction) = &road.junction {
                inside.entry(junction.as_str()).or_default().push(index);
            }
        }
        let ids = drive.roads.iter().enumerate();
        let controlled = drive.controlled.iter();
        Self {
            roads: &drive.roads,
            carriageways,
            by_id: ids.map(|(index, road)| (road.id.as_str(), index)).collect(),
            by_incoming,
            inside,
            controllers: controlled
                .map(|(signal, by)| (signal.as_str(), by.as_str()))
                .collect(),
            dangling: 0,
        }
    }

    /// The place of a road in the file.
    pub(super) fn road(&self, id: &str) -> Option<usize> {
        self.by_id.get(id).copied()
    }

    /// All ways from the lanes at the end of one segment.
    pub(super) fn ways_from(&mut self, (road, direction): Side, found: &mut Vec<Way>) {
        let facts = &self.roads[road];
        let end = direction.towards();
        let Some(section) = section_at(facts, end) else {
            return;
        };
        for lane in driven(facts, section, direction) {
            let Some(from_lane) = index_at(facts, end, lane.id) else {
                continue;
            };
            let mut open = vec![Reached {
                road,
                lane: lane.id,
                length_m: 0.0,
                light: self.light_before_end(facts, direction, lane.id),
                connecting: 0,
            }];
            let mut followed = 0;
            while let Some(reached) = open.pop() {
                followed += 1;
                if followed > WAYS_MAX {
                    self.dangling += 1 + open.len() as u64;
                    break;
                }
                for (next, at, lane) in self.next(&reached) {
                    let way = self.enter(&reached, next, at, lane, &mut open);
                    found.extend(way.map(|(to, to_lane)| Way {
                        from: (road, direction),
                        to,
                        lanes: (from_lane, to_lane),
                        length_m: reached.length_m,
                        light: reached.light.clone(),
                    }));
                }
            }
        }
    }

    /// The roads, their ends and their lanes that follow a lane at the end of its road.
    fn next(&mut self, reached: &Reached) -> Vec<(usize, End, i32)> {
        let road = &self.roads[reached.road];
        let direction = Direction::of(road, reached.lane);
        let link = match direction.towards() {
            End::Start => &road.before,
            End::End => &road.after,
        };
        match link {
            None => Vec::new(),
            Some(RoadLink::Road(id, at)) => {
                let Some(next) = self.road(id) else {
                    self.dangling += 1;
                    return Vec::new();
                };
                let lanes = self.linked_lanes(reached, next, *at);
                lanes.into_iter().map(|lane| (next, *at, lane)).collect()
            }
            Some(RoadLink::Junction(junction)) => {
                let key = (junction.as_str(), road.id.as_str());
                let connections = self.by_incoming.get(&key).cloned().unwrap_or_default();
                let mut found = Vec::new();
                for connection in connections {
                    let Some(next) = self.road(&connection.into) else {
                        self.dangling += 1;
                        continue;
                    };
                    let pairs = &connection.lanes;
                    let to = pairs.iter().filter(|(from, _)| *from == reached.lane);
                    found.extend(to.map(|&(_, to)| (next, connection.at, to)));
                    if pairs.is_empty() {
                        // Without links a lane leads into the one of the same number (1.7, 12.4).
                        found.push((next, connection.at, reached.lane));
                    }
                }
                self.connecting_back(reached, junction, &mut found);
                found
            }
        }
    }

    /// Connecting roads that name this road's end themselves: many tools list a connecting road
    /// with lanes both ways under one of its incoming roads alone.
    fn connecting_back(
        &self,
        reached: &Reached,
        junction: &str,
        found: &mut Vec<(usize, End, i32)>,
    ) {
        let road = &self.roads[reached.road];
        let end = Direction::of(road, reached.lane).towards();
        let here = RoadLink::Road(road.id.clone(), end);
        for &next in self.inside.get(junction).map_or(&[][..], Vec::as_slice) {
            let other = &self.roads[next];
            for (at, link) in [(End::Start, &other.before), (End::End, &other.after)] {
                if link.as_ref() != Some(&here) {
                    continue;
                }
                let lanes = section_at(other, at)
                    .into_iter()
                    .flat_map(|section| &section.lanes);
                for lane in lanes {
                    let links = match at {
                        End::Start => &lane.predecessors,
                        End::End => &lane.successors,
                    };
                    let leads_away = Direction::of(other, lane.id).towards() != at;
                    let way = (next, at, lane.id);
                    if leads_away && links.contains(&reached.lane) && !found.contains(&way) {
                        found.push(way);
                    }
                }
            }
        }
    }

    /// The lanes of the next road that a lane leads into, as either side says.
    fn linked_lanes(&self, reached: &Reached, next: usize, at: End) -> Vec<i32> {
        let road = &self.roads[reached.road];
        let end = Direction::of(road, reached.lane).towards();
        let own = section_at(road, end)
            .and_then(|section| section.lanes.iter().find(|lane| lane.id == reached.lane));
        let stated = own.map_or(&[][..], |lane| match end {
            End::Start => &lane.predecessors,
            End::End => &lane.successors,
        });
        if !stated.is_empty() {
            return stated.to_vec();
        }
        let there = section_at(&self.roads[next], at);
        let lanes = there.into_iter().flat_map(|section| &section.lanes);
        let back = lanes.filter(|lane| {
            let links = match at {
                End::Start => &lane.predecessors,
                End::End => &lane.successors,
            };
            links.contains(&reached.lane)
        });
        back.map(|lane| lane.id).collect()
    }

    /// Enters a road at one of its ends: a segment ends the way, a connecting road leads on.
    fn enter(
        &mut self,
        reached: &Reached,
        next: usize,
        at: End,
        lane: i32,
        open: &mut Vec<Reached>,
    ) -> Option<(Side, LaneIndex)> {
        let road = &self.roads[next];
        let direction = Direction::of(road, lane);
        let index = index_at(road, at, lane).filter(|_| direction.towards() != at);
        let Some(index) = index else {
            self.dangling += 1;
            return None;
        };
        let carriageway = self.carriageways[next][direction as usize].as_ref()?;
        if road.junction.is_none() {
            return Some(((next, direction), index));
        }
        if reached.connecting >= CONNECTING_ROADS_MAX {
            self.dangling += 1;
            return None;
        }
        let light = reached.light.clone().or_else(|| {
            let lights = road.lights.iter();
            let mut held = lights.filter(|light| holds(light, direction, lane));
            held.next().map(|light| self.light_name(light))
        });
        for lane in through(road, direction, lane) {
            open.push(Reached {
                road: next,
                lane,
                length_m: reached.length_m + carriageway.length_m,
                light: light.clone(),
                connecting: reached.connecting + 1,
            });
        }
        None
    }

    /// The last light before the end of a road that holds for a lane.
    fn light_before_end(&self, road: &Road, direction: Direction, lane: i32) -> Option<String> {
        let before_m = |light: &Light| match direction {
            Direction::Along => road.length_m - light.at_m,
            Direction::Against => light.at_m,
        };
        road.lights
            .iter()
            .filter(|light| holds(light, direction, lane) && before_m(light) <= LIGHT_REACH_M)
            .min_by(|a, b| before_m(a).total_cmp(&before_m(b)))
            .map(|light| self.light_name(light))
    }

    fn light_name(&self, light: &Light) -> String {
        match self.controllers.get(light.id.as_str()) {
            Some(controller) => format!("{controller}/{}", light.id),
            None => light.id.clone(),
        }
    }
}

fn holds(light: &Light, direction: Direction, lane: i32) -> bool {
    let valid = |&(from, to): &(i32, i32)| (from.min(to)..=from.max(to)).contains(&lane);
    light.faces[direction as usize] && (light.lanes.is_empty() || light.lanes.iter().any(valid))
}

/// The lanes at the far end of a road that a lane at its near end becomes.
fn through(road: &Road, direction: Direction, lane: i32) -> Vec<i32> {
    let mut sections: Vec<_> = road.sections.iter().collect();
    if direction == Direction::Against {
        sections.reverse();
    }
    let mut lanes = vec![lane];
    for pair in sections.windows(2) {
        let mut next: Vec<i32> = Vec::new();
        for after in &pair[1].lanes {
            let back = match direction {
                Direction::Along => &after.predecessors,
                Direction::Against => &after.successors,
            };
            let led = pair[0].lanes.iter().any(|before| {
                let ahead = match direction {
                    Direction::Along => &before.successors,
                    Direction::Against => &before.predecessors,
                };
                lanes.contains(&before.id)
                    && (ahead.contains(&after.id) || back.contains(&before.id))
            });
            if led && after.kind.is_some() && Direction::of(road, after.id) == direction {
                next.push(after.id);
            }
        }
        lanes = next;
    }
    lanes
}
