//! A seeded river city: network, water, roadside units and signal plans, all invented.
//!
//! It draws no map tiles and knows no vehicles; `traffic` drives on it. Every line is laid out in a
//! rectangular chart (along the river, across the river) and bent onto the ground by `chart`, so
//! topology is simple where it is decided and irregular where it is seen.

use std::collections::BTreeMap;
use std::sync::Arc;

use rand::Rng;
use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;

use crate::network::{Network, NetworkError, RoadClass};
use crate::units::{JunctionId, LocalFrame, Point, Position, SegmentId};

mod blocks;
mod carriageway;
mod chart;
mod draw;
mod expressway;
mod names;
mod plan;
mod signals;
mod streets;

pub use signals::{SignalPhase, SignalPlan};

use chart::Chart;
use plan::Plan;

/// Where the middle of the city lies: an invented city, so any place would do; this one is on the
/// middle Yangtze.
const CENTRE: Position = Position::new(114.30, 30.60);

/// How far a roadside unit sees other road users, metres (chosen: camera and radar at one signal).
const RSU_RADIUS_M: f32 = 150.0;

/// How large a city to build.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub enum CitySize {
    /// Some hundred segments, for tests.
    Small,
    /// The bundled city of the demo, some 3 000 segments on 11 km by 9 km.
    #[default]
    Demo,
}

/// A roadside unit of the city.
#[derive(Clone, Debug, PartialEq)]
pub struct Rsu {
    /// Its id, exactly eight ASCII characters as the RSU-to-centre envelope has them.
    pub id: String,
    /// The junction it watches.
    pub junction: JunctionId,
    /// Where it stands.
    pub position: Position,
    /// How far it perceives road users, metres.
    pub radius_m: f32,
    /// The junction's name in Chinese, "road / road".
    pub name: String,
    /// The junction's name in English.
    pub name_en: String,
}

/// A river crossing for ordinary traffic.
#[derive(Clone, Debug, PartialEq)]
pub struct Crossing {
    /// Chinese name.
    pub name: String,
    /// English name.
    pub name_en: String,
    /// Segments of one direction in driving order, then those of the other.
    pub directions: [Vec<SegmentId>; 2],
}

/// A generated city.
#[derive(Clone, Debug)]
pub struct City {
    /// The roads.
    pub network: Arc<Network>,
    /// Roadside units, by id.
    pub rsus: Vec<Rsu>,
    /// Fixed-time plans, by junction.
    pub signals: BTreeMap<JunctionId, SignalPlan>,
    /// Bridges and tunnels over the river, from upstream to downstream.
    pub crossings: Vec<Crossing>,
    /// Closed outlines of river and lake, for drawing.
    pub water: Vec<Vec<Position>>,
    /// Segments that lead into the city from outside, and out of it.
    pub gateways: Vec<SegmentId>,
    /// Name of the city, Chinese and English.
    pub name: (&'static str, &'static str),
}

/// Builds the city of `seed`; equal arguments give equal cities.
///
/// # Errors
/// Never for the sizes there are, as long as the layout rules hold; a broken rule shows as the
/// network builder's error.
pub fn build(seed: u64, size: CitySize) -> Result<City, NetworkError> {
    let mut rng = ChaCha8Rng::seed_from_u64(seed ^ 0x0043_4954_5900);
    let layout = Layout::new(size, &mut rng);
    let chart = Chart::new(
        &mut rng,
        layout.columns_m[layout.columns_m.len() - 1],
        layout.rows_m[layout.rows_m.len() - 1],
    );
    let mut names = names::Names::new(&mut rng);
    let mut plan = Plan::default();
    let mut grid = streets::lay_grid(&mut plan, &chart, &layout, &mut names, &mut rng);
    expressway::lay(&mut plan, &chart, &layout, &mut grid);
    streets::finish(&mut plan, &chart, grid);
    let frame = LocalFrame::new(CENTRE);
    let drawn = draw::draw(&plan, CENTRE, &frame)?;
    let signals = signals::plans(&drawn.network, &mut rng);
    let rsus = place_rsus(&drawn.network, size);
    Ok(City {
        crossings: draw::crossings(&plan, &drawn),
        gateways: draw::gateways(&plan, &drawn),
        network: Arc::new(drawn.network),
        rsus,
        signals,
        water: chart
            .water(&layout)
            .into_iter()
            .map(|line| line.into_iter().map(|p| frame.to_position(p)).collect())
            .collect(),
        name: ("云汉市", "Yunhan"),
    })
}

/// Where the lines of the chart lie.
#[derive(Debug)]
struct Layout {
    size: CitySize,
    /// Along the river, metres, ascending; symmetric to about 0.
    columns_m: Vec<f32>,
    /// Away from the river's middle, metres, ascending; the same on both banks.
    rows_m: Vec<f32>,
    /// Columns that cross the river.
    bridges: Vec<usize>,
    /// The ring runs between column `ring_gap.0` and the next (both ends), and beyond row
    /// `ring_gap.1`.
    ring_gap: (usize, usize),
    /// The lake lies on the south bank in the two blocks beyond this (column, row).
    lake: Option<(usize, usize)>,
}

impl Layout {
    fn new(size: CitySize, rng: &mut ChaCha8Rng) -> Self {
        let (columns, rows, bridges, ring_gap, lake) = match size {
            CitySize::Small => (6usize, 3usize, vec![2, 3], (0, 1), None),
            CitySize::Demo => (12, 5, vec![3, 5, 8], (1, 2), Some((6, 1))),
        };
        let mut columns_m = Vec::with_capacity(columns);
        let mut u = 0.0f32;
        for _ in 0..columns {
            columns_m.push(u);
            u += rng.random_range(880.0..1120.0f32);
        }
        let middle = (columns_m[0] + columns_m[columns - 1]) / 2.0;
        columns_m.iter_mut().for_each(|u| *u -= middle);
        let mut rows_m = vec![570.0f32];
        for row in 1..rows {
            let step = rng.random_range(840.0..1040.0f32);
            rows_m.push(rows_m[row - 1] + step);
        }
        Self {
            size,
            columns_m,
            rows_m,
            bridges,
            ring_gap,
            lake,
        }
    }

    /// The chart's western and eastern end of the ring, metres.
    fn ring_ends_m(&self) -> (f32, f32) {
        let column = self.ring_gap.0;
        let last = self.columns_m.len() - 1;
        let middle = |gap: usize| (self.columns_m[gap] + self.columns_m[gap + 1]) / 2.0;
        (middle(column), middle(last - column - 1))
    }

    /// The chart's half sides of the ring, metres: along and across the river.
    fn ring_half_m(&self) -> (f32, f32) {
        let row = self.ring_gap.1;
        let (west, east) = self.ring_ends_m();
        (
            (east - west) / 2.0,
            (self.rows_m[row] + self.rows_m[row + 1]) / 2.0,
        )
    }
}

/// Puts roadside units at the signalised junctions of arterials nearest to the middle.
fn place_rsus(network: &Network, size: CitySize) -> Vec<Rsu> {
    let limit = match size {
        CitySize::Small => 6,
        CitySize::Demo => 40,
    };
    let mut roads: BTreeMap<JunctionId, Vec<SegmentId>> = BTreeMap::new();
    for id in network.segment_ids() {
        let segment = network.segment(id);
        if segment.is_signalised() && segment.class() <= RoadClass::Secondary {
            roads.entry(segment.to()).or_default().push(id);
        }
    }
    let mut places: Vec<(JunctionId, Vec<SegmentId>)> = roads
        .into_iter()
        .filter(|(_, approaches)| approaches.len() >= 3)
        .collect();
    let middle = Point::new(0.0, 0.0);
    places.sort_by(|a, b| {
        let key = |j: JunctionId| network.junction(j).point.distance_m(middle);
        key(a.0).total_cmp(&key(b.0)).then(a.0.cmp(&b.0))
    });
    places
        .into_iter()
        .take(limit)
        .enumerate()
        .map(|(number, (junction, approaches))| {
            let joined = |name: &dyn Fn(SegmentId) -> Option<String>| {
                let mut seen: Vec<String> = Vec::new();
                for text in approaches.iter().filter_map(|&id| name(id)) {
                    if !seen.contains(&text) {
                        seen.push(text);
                    }
                }
                seen.truncate(2);
                seen.join(" / ")
            };
            Rsu {
                id: format!("YHRSU{:03}", number + 1),
                junction,
                position: network
                    .frame()
                    .to_position(network.junction(junction).point),
                radius_m: RSU_RADIUS_M,
                name: joined(&|id| network.name(id).map(str::to_owned)),
                name_en: joined(&|id| network.name_en(id).map(str::to_owned)),
            }
        })
        .collect()
}

#[cfg(test)]
mod tests;
