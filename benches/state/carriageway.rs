//! Which loop station of the loop week comes next on the same carriageway.
//!
//! The weights of the graph are those of a Gaussian kernel of the distance by road and say nothing
//! of direction. Where a station is as far from another by road as through the air, both stand on
//! one carriageway; where it is much farther from one close by, that one stands on the opposite
//! carriageway, which traffic that keeps right has on its left.

use std::collections::BTreeMap;

use crate::losloop::LoopWeek;

/// Width of the kernel, m: with it the nearest stations of a carriageway are as far by road as
/// through the air.
const KERNEL_M: f64 = 2_580.0;
/// Farthest station that comes next, m, and how much farther by road than through the air.
const REACH_M: f64 = 3_000.0;
const DETOUR: (f64, f64) = (1.15, 20.0);
/// The opposite carriageway: so near through the air, m, and so many times farther by road.
const OPPOSITE_M: f64 = 150.0;
const OPPOSITE_DETOUR: f64 = 8.0;
/// Stations nearer than this stand at one place, m.
const APART_M: f64 = 40.0;
/// A station beyond another is as far as both ways together, within this, m.
const BEYOND_M: f64 = 60.0;

/// The next stations of each, with the distance in metres, nearest first; at most two.
pub(crate) type Ahead = Vec<Vec<(usize, f64)>>;

struct Map {
    at: Vec<(f64, f64)>,
    /// Distance by road of the pairs that have a weight, m.
    road_m: BTreeMap<(usize, usize), f64>,
}

impl Map {
    fn new(week: &LoopWeek) -> Self {
        let metre = 111_195.0;
        let flat = 34.1f64.to_radians().cos();
        let at = week
            .places
            .iter()
            .map(|place| (place.lon_deg * metre * flat, place.lat_deg * metre));
        let far = |weight: f64| KERNEL_M * (-weight.min(1.0).ln()).sqrt();
        let pairs = week.pairs.iter().filter(|(from, to, _)| from != to);
        Self {
            at: at.collect(),
            road_m: pairs.map(|(from, to, w)| ((*from, *to), far(*w))).collect(),
        }
    }

    fn way(&self, from: usize, to: usize) -> (f64, f64) {
        let ((a, b), (c, d)) = (self.at[from], self.at[to]);
        (c - a, d - b)
    }

    fn air_m(&self, from: usize, to: usize) -> f64 {
        let (x, y) = self.way(from, to);
        x.hypot(y)
    }

    /// The stations of the same carriageway within reach, nearest first.
    fn along(&self, station: usize) -> Vec<(usize, f64)> {
        let pairs = self.road_m.range((station, 0)..(station + 1, 0));
        let mut found: Vec<(usize, f64)> = pairs
            .map(|(&(_, to), &road_m)| (to, road_m))
            .filter(|&(to, road_m)| {
                let air_m = self.air_m(station, to);
                let is_direct = road_m < DETOUR.0 * air_m + DETOUR.1;
                is_direct && air_m > APART_M && road_m < REACH_M
            })
            .collect();
        found.sort_by(|one, other| one.1.total_cmp(&other.1).then(one.0.cmp(&other.0)));
        found
    }

    /// The driving direction that the opposite carriageway tells.
    fn direction(&self, station: usize) -> Option<(f64, f64)> {
        let opposite = (0..self.at.len())
            .filter(|&other| other != station && self.air_m(station, other) < OPPOSITE_M)
            .filter(|&other| {
                let road_m = self.road_m.get(&(station, other));
                road_m.is_none_or(|m| *m > OPPOSITE_DETOUR * self.air_m(station, other))
            })
            .min_by(|a, b| self.air_m(station, *a).total_cmp(&self.air_m(station, *b)))?;
        let (x, y) = self.way(station, opposite);
        Some((y, -x))
    }
}

fn is_forward((x, y): (f64, f64), (along, across): (f64, f64)) -> bool {
    x * along + y * across > 0.0
}

/// Finds the next stations of all.
pub(crate) fn ahead(week: &LoopWeek) -> Ahead {
    let map = Map::new(week);
    let count = map.at.len();
    let mut directions: Vec<Option<(f64, f64)>> =
        (0..count).map(|station| map.direction(station)).collect();
    // From those that are known to the nearest that are not.
    loop {
        let known = (0..count).filter(|&station| directions[station].is_some());
        let next = known
            .flat_map(|from| {
                map.along(from)
                    .into_iter()
                    .map(move |(to, m)| (m, from, to))
            })
            .filter(|&(_, _, to)| directions[to].is_none())
            .min_by(|a, b| a.0.total_cmp(&b.0).then((a.1, a.2).cmp(&(b.1, b.2))));
        let Some((_, from, to)) = next else { break };
        let (x, y) = map.way(from, to);
        let is_ahead = directions[from].is_some_and(|direction| is_forward((x, y), direction));
        directions[to] = Some(if is_ahead { (x, y) } else { (-x, -y) });
    }
    let is_ahead = |from: usize, to: usize| {
        let way = map.way(from, to);
        let is_along = |station: usize| directions[station].is_some_and(|d| is_forward(way, d));
        is_along(from) && is_along(to)
    };
    let next = |from: usize| {
        let mut found: Vec<(usize, f64)> = Vec::new();
        for (to, road_m) in map.along(from) {
            let is_beyond = found.iter().any(|&(near, near_m)| {
                let rest_m = map.road_m.get(&(near, to));
                rest_m.is_some_and(|rest_m| (near_m + rest_m - road_m).abs() < BEYOND_M)
            });
            if found.len() < 2 && is_ahead(from, to) && !is_beyond {
                found.push((to, road_m));
            }
        }
        found
    };
    (0..count).map(next).collect()
}
