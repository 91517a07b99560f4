//! Matching 100 000 vehicles that report at 1 Hz, on one thread, warm; the unit is one record.
//!
//! Workloads: a generated grid of 79 600 segments, and the Wuhan network where the shared data are
//! there. Vehicles wander over the permitted movements, stop at random, and report with errors of
//! 4 m per axis, 70 % of the variance persisting over 30 s. The share of records put on the segment
//! truly driven is asserted.
//!
//! Group `presence`: the same vehicles kept findable by place. The unit of `update_*` is one second
//! of 100 000 vehicles that all have moved, that of `query_*` one question for everybody within
//! 300 m of a vehicle. Compared are an R-tree changed vehicle by vehicle, an R-tree packed anew, and
//! a hash grid with cells of 150 m; that all three find the same is asserted.

use std::collections::HashMap;
use std::hint::black_box;
use std::path::Path;
use std::sync::Arc;
use std::time::{Duration, Instant};

use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use roadcast::matching::{
    Advance, Located, MatchSettings, MatchedPosition, Matcher, Partition, Presence,
    PresenceSettings, Scratch, Trip,
};
use roadcast::network::{Network, NetworkBuilder, RoadClass, SegmentDraft, SegmentFlags};
use roadcast::observation::{Observation, Origin};
use roadcast::units::{LocalFrame, Point, Position, SegmentId, SourceId, SubjectId, Timestamp};
use rstar::RTree;
use rstar::primitives::GeomWithData;

const VEHICLES: usize = 100_000;
const WARM_TICKS: usize = 8;
const TICKS: usize = 30;
const PARTITIONS: usize = 256;
const SIGMA_M: f32 = 4.0;

/// A square grid of two-way streets 150 m apart, every fifth one primary.
fn grid(side: usize) -> Network {
    let origin = Position::new(114.3055, 30.5931);
    let frame = LocalFrame::new(origin);
    let mut builder = NetworkBuilder::new(origin);
    let at = |column: usize, row: usize| {
        let metres = |index: usize| (index as f32 - side as f32 / 2.0) * 150.0;
        frame.to_position(Point::new(metres(column), metres(row)))
    };
    let mut junctions = Vec::new();
    for row in 0..side {
        for column in 0..side {
            junctions.push(builder.add_junction(at(column, row), (row + column) % 3 == 0));
        }
    }
    let mut connect = |a: (usize, usize), b: (usize, usize), line: usize| {
        for (from, to) in [(a, b), (b, a)] {
            let draft = SegmentDraft {
                from: junctions[from.1 * side + from.0],
                to: junctions[to.1 * side + to.0],
                shape: vec![at(from.0, from.1), at(to.0, to.1)],
                length_m: None,
                class: if line.is_multiple_of(5) {
                    RoadClass::Primary
                } else {
                    RoadClass::Residential
                },
                limit_mps: None,
                lanes: None,
                flags: SegmentFlags::default(),
                layer: 0,
                source_id: format!("{a:?}"),
                source_dir: 1,
                source_pair: 0,
                name: None,
                name_en: None,
            };
            builder.add_segment(draft).expect("a drawn street is valid");
        }
    };
    for line in 0..side {
        for step in 0..side - 1 {
            connect((step, line), (step + 1, line), line);
            connect((line, step), (line, step + 1), line);
        }
    }
    builder.connect_all(&mut |_, _| false);
    builder.build().expect("the grid has segments")
}

fn wuhan() -> Option<Network> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR"))
        .join("../shared/data/networks/wuhan_edges_wgs84.csv.gz");
    let bytes = std::fs::read(&path).ok()?;
    let (network, _) = roadcast::network::load("wuhan", bytes).expect("the file is well formed");
    Some(network)
}

struct Walk {
    /// One vector a second, one observation a vehicle.
    ticks: Vec<Vec<Observation>>,
    truth: Vec<Vec<u32>>,
}

struct Car {
    segment: SegmentId,
    offset_m: f32,
    speed_mps: f32,
    stop_s: u32,
    error: [f32; 2],
}

/// Vehicles that wander, stop and report.
fn walk(network: &Network, vehicles: usize) -> Walk {
    let mut random = ChaCha8Rng::seed_from_u64(1);
    let normal =
        |random: &mut ChaCha8Rng| (0..12).map(|_| random.random::<f32>()).sum::<f32>() - 6.0;
    let persisting = SIGMA_M * 0.7f32.sqrt();
    let fresh = SIGMA_M * 0.3f32.sqrt();
    let keep = (-1.0f32 / 30.0).exp();
    let mut cars: Vec<Car> = (0..vehicles)
        .map(|_| Car {
            segment: SegmentId(random.random_range(0..network.segment_count() as u32)),
            offset_m: 0.0,
            speed_mps: random.random_range(5.0..16.0),
            stop_s: 0,
            error: [
                persisting * normal(&mut random),
                persisting * normal(&mut random),
            ],
        })
        .collect();
    let mut walk = Walk {
        ticks: Vec::new(),
        truth: Vec::new(),
    };
    for tick in 0..TICKS {
        let mut observations = Vec::with_capacity(vehicles);
        let mut truth = Vec::with_capacity(vehicles);
        for (index, car) in cars.iter_mut().enumerate() {
            drive(network, car, &mut random);
            let (point, heading_deg) = network.locate(car.segment, car.offset_m);
            for error in &mut car.error {
                let gain = persisting * (1.0 - keep * keep).sqrt();
                *error = *error * keep + gain * normal(&mut random);
            }
            let seen = Point::new(
                point.x + car.error[0] + fresh * normal(&mut random),
                point.y + car.error[1] + fresh * normal(&mut random),
            );
            let speed_mps = if car.stop_s > 0 { 0.0 } else { car.speed_mps };
            observations.push(Observation {
                observed_at: Timestamp::from_secs(1_790_000_000 + tick as i64),
                subject: SubjectId((index as u64).wrapping_mul(0x9E37_79B9_7F4A_7C15)),
                position: network.frame().to_position(seen),
                speed_mps: Some((speed_mps + 0.3 * normal(&mut random)).max(0.0)),
                heading_deg: Some((heading_deg + 4.0 * normal(&mut random)).rem_euclid(360.0)),
                accuracy_m: Some(SIGMA_M),
                altitude_m: None,
                origin: Origin::Probe,
                observer: roadcast::units::ObserverId::ITSELF,
                view: roadcast::units::ViewId::NONE,
            });
            truth.push(car.segment.0);
        }
        walk.ticks.push(observations);
        walk.truth.push(truth);
    }
    walk
}

fn drive(network: &Network, car: &mut Car, random: &mut ChaCha8Rng) {
    if car.stop_s > 0 {
        car.stop_s -= 1;
        return;
    }
    car.offset_m += car.speed_mps;
    loop {
        let length_m = network.segment(car.segment).length_m;
        if car.offset_m <= length_m {
            return;
        }
        let exits = network.movements_from(car.segment);
        if exits.is_empty() || random.random_range(0..8) == 0 {
            car.offset_m = length_m;
            car.stop_s = if exits.is_empty() { u32::MAX } else { 20 };
            return;
        }
        car.offset_m -= length_m;
        car.segment = exits[random.random_range(0..exits.len())].to();
    }
}

/// All partitions, driven tick by tick.
struct Rig {
    partitions: Vec<Partition>,
    scratch: Scratch,
    next_tick: usize,
    committed: u64,
}

impl Rig {
    fn new() -> Self {
        Self {
            partitions: (0..PARTITIONS).map(|_| Partition::new()).collect(),
            scratch: Scratch::default(),
            next_tick: 0,
            committed: 0,
        }
    }

    fn tick(&mut self, matcher: &Matcher, walk: &Walk, sink: &mut impl FnMut(Advance<'_>)) {
        for (index, observation) in walk.ticks[self.next_tick].iter().enumerate() {
            let partition = &mut self.partitions[index % PARTITIONS];
            let committed = &mut self.committed;
            let count = &mut |advance: Advance<'_>| {
                *committed += 1;
                sink(advance);
            };
            // Refusals are part of the workload: vehicles at the drawn edge of the network.
            let _refused = partition
                .observe(matcher, &mut self.scratch, SourceId(0), observation, count)
                .is_err();
        }
        self.next_tick += 1;
    }
}

/// The share of records matched to the segment truly driven.
fn share_right(matcher: &Matcher, walk: &Walk) -> f64 {
    let mut rig = Rig::new();
    let index_of: std::collections::BTreeMap<u64, usize> = walk.ticks[0]
        .iter()
        .enumerate()
        .map(|(index, observation)| (observation.subject.0, index))
        .collect();
    let (mut right, mut total) = (0u64, 0u64);
    for _ in 0..TICKS {
        rig.tick(matcher, walk, &mut |advance| {
            let tick = advance.position.observed_at.as_secs() - 1_790_000_000;
            let index = index_of[&advance.position.subject.0];
            total += 1;
            right += u64::from(walk.truth[tick as usize][index] == advance.position.segment.0);
        });
    }
    right as f64 / total as f64
}

fn bench(criterion: &mut Criterion, name: &str, network: Network, share_min: f64) {
    let network = Arc::new(network);
    let walk = walk(&network, VEHICLES);
    let matcher = Matcher::new(Arc::clone(&network), MatchSettings::default())
        .expect("the defaults are valid");
    let share = share_right(&matcher, &walk);
    eprintln!("{name}: {:.1} % on the segment driven", 100.0 * share);
    assert!(share >= share_min, "{name}: {share}");
    let mut group = criterion.benchmark_group("matching");
    group.throughput(Throughput::Elements(VEHICLES as u64));
    group.sample_size(10);
    let mut rig = Rig::new();
    group.bench_function(name, |bencher| {
        bencher.iter_custom(|ticks| {
            let mut spent = Duration::ZERO;
            for _ in 0..ticks {
                if rig.next_tick == 0 || rig.next_tick == TICKS {
                    rig = Rig::new();
                    for _ in 0..WARM_TICKS {
                        rig.tick(&matcher, &walk, &mut |_| {});
                    }
                }
                let started = Instant::now();
                rig.tick(&matcher, &walk, &mut |advance| {
                    black_box(advance.position.segment);
                });
                spent += started.elapsed();
            }
            spent
        });
    });
    group.finish();
}

fn matching(criterion: &mut Criterion) {
    bench(criterion, "grid_100k_vehicles_1hz", grid(200), 0.9);
    match wuhan() {
        Some(network) => bench(criterion, "wuhan_100k_vehicles_1hz", network, 0.75),
        None => eprintln!("skipped: no Wuhan network beside the project"),
    }
}

const RADIUS_M: f32 = 300.0;
const CELL_M: f32 = 150.0;

type Place = GeomWithData<[f32; 2], u32>;

/// Where every vehicle truly is, second by second.
fn drives(network: &Network) -> Vec<Vec<MatchedPosition>> {
    let mut random = ChaCha8Rng::seed_from_u64(2);
    let mut cars: Vec<Car> = (0..VEHICLES)
        .map(|_| Car {
            segment: SegmentId(random.random_range(0..network.segment_count() as u32)),
            offset_m: 0.0,
            speed_mps: random.random_range(5.0..16.0),
            stop_s: 0,
            error: [0.0; 2],
        })
        .collect();
    let mut tick = |second: i64| {
        let mut positions = Vec::with_capacity(cars.len());
        for (index, car) in cars.iter_mut().enumerate() {
            drive(network, car, &mut random);
            positions.push(MatchedPosition {
                lane: None,
                subject: SubjectId(index as u64),
                observed_at: Timestamp::from_secs(second),
                segment: car.segment,
                offset_m: car.offset_m,
                likelihood: 1.0,
                speed_mps: Some(car.speed_mps),
                origin: Origin::Probe,
            });
        }
        positions
    };
    (0..8).map(&mut tick).collect()
}

/// The same positions on trips that began long ago.
fn on_trips(positions: &[MatchedPosition]) -> Vec<Located> {
    let located = positions.iter().map(|&position| Located {
        position,
        trip: Trip {
            begun_at: Timestamp::from_secs(-3_600),
            driven_m: 10_000.0,
            on_road_at: Some(position.observed_at),
        },
    });
    located.collect()
}

/// Vehicles in square cells of a hash map.
#[derive(Default)]
struct Grid {
    cells: HashMap<(i32, i32), Vec<u32>>,
    points: Vec<[f32; 2]>,
}

impl Grid {
    fn cell(point: [f32; 2]) -> (i32, i32) {
        let of = |metres: f32| (metres / CELL_M).floor() as i32;
        (of(point[0]), of(point[1]))
    }

    fn update(&mut self, points: &[[f32; 2]]) {
        for (index, &point) in points.iter().enumerate() {
            let to = Self::cell(point);
            match self.points.get_mut(index) {
                Some(old) => {
                    let from = Self::cell(*old);
                    *old = point;
                    if from == to {
                        continue;
                    }
                    if let Some(members) = self.cells.get_mut(&from)
                        && let Some(place) = members.iter().position(|&one| one == index as u32)
                    {
                        members.swap_remove(place);
                    }
                }
                None => self.points.push(point),
            }
            self.cells.entry(to).or_default().push(index as u32);
        }
    }

    fn count_within(&self, centre: [f32; 2]) -> usize {
        let low = Self::cell([centre[0] - RADIUS_M, centre[1] - RADIUS_M]);
        let high = Self::cell([centre[0] + RADIUS_M, centre[1] + RADIUS_M]);
        let mut count = 0;
        for column in low.0..=high.0 {
            for row in low.1..=high.1 {
                let members = self
                    .cells
                    .get(&(column, row))
                    .map_or(&[][..], Vec::as_slice);
                count += members
                    .iter()
                    .filter(|&&one| {
                        let [x, y] = self.points[one as usize];
                        (x - centre[0]).powi(2) + (y - centre[1]).powi(2) <= RADIUS_M * RADIUS_M
                    })
                    .count();
            }
        }
        count
    }
}

fn places(points: &[[f32; 2]]) -> Vec<Place> {
    let place = |(index, &point): (usize, &[f32; 2])| GeomWithData::new(point, index as u32);
    points.iter().enumerate().map(place).collect()
}

fn count_within(tree: &RTree<Place>, centre: [f32; 2]) -> usize {
    tree.locate_within_distance(centre, RADIUS_M * RADIUS_M)
        .count()
}

fn presence(criterion: &mut Criterion) {
    let network = grid(200);
    let drives = drives(&network);
    let points: Vec<Vec<[f32; 2]>> = drives
        .iter()
        .map(|positions| {
            positions
                .iter()
                .map(|position| network.locate(position.segment, position.offset_m).0)
                .map(|point| [point.x, point.y])
                .collect()
        })
        .collect();
    let packed = RTree::bulk_load(places(&points[7]));
    let mut changed = RTree::bulk_load(places(&points[0]));
    let mut cells = Grid::default();
    cells.update(&points[0]);
    let mut second = 0;
    let mut group = criterion.benchmark_group("presence");
    group.throughput(Throughput::Elements(VEHICLES as u64));
    group.sample_size(10);
    group.bench_function("update_rtree_remove_and_insert", |bencher| {
        bencher.iter(|| {
            let (from, to) = (&points[second % 8], &points[(second + 1) % 8]);
            second += 1;
            for (index, (&old, &new)) in from.iter().zip(to).enumerate() {
                changed.remove(&GeomWithData::new(old, index as u32));
                changed.insert(GeomWithData::new(new, index as u32));
            }
        });
    });
    group.bench_function("update_rtree_packed_anew", |bencher| {
        let mut second = 0;
        bencher.iter(|| {
            second += 1;
            RTree::bulk_load(places(&points[second % 8])).size()
        });
    });
    group.bench_function("update_grid", |bencher| {
        let mut second = 0;
        bencher.iter(|| {
            second += 1;
            cells.update(&points[second % 8]);
        });
    });
    let located: Vec<Vec<Located>> = drives.iter().map(|drive| on_trips(drive)).collect();
    group.bench_function("update_presence", |bencher| {
        let settings = PresenceSettings::default();
        let mut second = 0;
        bencher.iter(|| {
            second += 1;
            let as_of = Timestamp::from_secs(8);
            Presence::new(&network, &settings, as_of, located[second % 8].clone()).as_of()
        });
    });
    while second % 8 != 7 {
        let (from, to) = (&points[second % 8], &points[(second + 1) % 8]);
        second += 1;
        for (index, (&old, &new)) in from.iter().zip(to).enumerate() {
            assert!(
                changed
                    .remove(&GeomWithData::new(old, index as u32))
                    .is_some()
            );
            changed.insert(GeomWithData::new(new, index as u32));
        }
    }
    cells.update(&points[7]);
    let as_of = Timestamp::from_secs(8);
    let presence = Presence::new(
        &network,
        &PresenceSettings::default(),
        as_of,
        located[7].clone(),
    );
    let centres: Vec<[f32; 2]> = points[7].iter().copied().step_by(101).collect();
    for &centre in &centres {
        let expected = count_within(&packed, centre);
        let point = Point::new(centre[0], centre[1]);
        assert_eq!(count_within(&changed, centre), expected);
        assert_eq!(cells.count_within(centre), expected);
        assert_eq!(presence.within(point, RADIUS_M).len(), expected);
    }
    group.throughput(Throughput::Elements(centres.len() as u64));
    let mut ask = |name, count: &dyn Fn([f32; 2]) -> usize| {
        group.bench_function(name, |bencher| {
            bencher.iter(|| centres.iter().map(|&centre| count(centre)).sum::<usize>());
        });
    };
    ask("query_rtree_remove_and_insert", &|centre| {
        count_within(&changed, centre)
    });
    ask("query_rtree_packed_anew", &|centre| {
        count_within(&packed, centre)
    });
    ask("query_grid", &|centre| cells.count_within(centre));
    ask("query_presence", &|[x, y]| {
        presence.within(Point::new(x, y), RADIUS_M).len()
    });
    group.finish();
}

criterion_group!(benches, matching, presence);
criterion_main!(benches);
