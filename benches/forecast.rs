//! Forecasting every segment of a network, twelve steps each, features and means over neighbours
//! and queues ahead included; the unit is one segment. Nine of ten segments are
//! queued, the worst there is for it. «network» is one of the shape that `train` makes, 64 wide as the
//! bundled one or as said, «with a past» the same with regressions of its own for every segment. In the
//! road network each segment leads to the next one and to one a thousand further. Built with
//! `--features cuda`, on a machine with a device, the same goes through it too.

#[path = "state/grid.rs"]
mod grid;

use std::hint::black_box;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use roadcast::forecast::{
    Calibration, Dataset, Disturbances, FEATURE_COUNT, FeatureContext, ForecastRequest, Forecaster,
    HALF_HOUR_COUNT, LAG_COUNT, LEVEL_COUNT, Mlp, MlpConfig, ModelCard, OutlookTracker, Past,
    ProfileResidual, RoadGraph, STEP_COUNT, SegmentAttributes, SpeedQuantiles, TrainingSettings,
    sha256_hex, train,
};
use roadcast::network::{NetworkVersion, RoadClass};
use roadcast::state::{BinSums, SegmentSums, StateSettings, TrafficState};
use roadcast::units::{Interval, SegmentId, Timestamp};

const SEGMENTS: usize = 100_000;

fn request(segments: usize) -> ForecastRequest {
    let wave = |len: usize, base: f32| -> Vec<f32> {
        (0..len)
            .map(|index| base + ((index * 37) % 101) as f32 / 20.0)
            .collect()
    };
    ForecastRequest {
        issued_at: Timestamp::from_secs(1_790_000_100),
        first_step: Timestamp::from_secs(1_790_000_100),
        network: NetworkVersion::default(),
        now_mps: wave(segments, 8.0),
        sigma_mps: wave(segments, 0.5),
        age_min: vec![0; segments],
        free_flow_mps: wave(segments, 13.0),
        history_mps: wave(segments * LAG_COUNT, 9.0),
        history_share: vec![1.0; segments * LAG_COUNT],
        past_profile_mps: wave(segments * LAG_COUNT, 10.0),
        profile_mps: wave(segments * STEP_COUNT, 10.0),
        level_mps: wave(segments * LEVEL_COUNT, 0.0),
        level_share: vec![1.0; segments * LEVEL_COUNT],
        disturbances: Disturbances::default(),
        calibration: Arc::new(Calibration::default()),
    }
}

fn context(segments: usize) -> FeatureContext {
    let count = segments as u32;
    let edges: Vec<_> = (0..count)
        .flat_map(|from| [1, 1_000].map(|further| (from, (from + further) % count, 1.0)))
        .collect();
    let attributes = SegmentAttributes {
        class: RoadClass::Secondary,
        lanes: 2.0,
        length_m: 150.0,
        limit_mps: 13.9,
        is_signalised: false,
    };
    FeatureContext::new(
        RoadGraph::from_edges(segments, &edges),
        &vec![Some(attributes); segments],
        None,
    )
}

/// A model trained for one step only: its speed is that of any other.
/// With it the past of its two columns.
fn network_of(hidden: usize, device: &Device) -> (Mlp, Past) {
    let mut series = String::from("time,a,b");
    (0..900)
        .for_each(|row| series.push_str(&format!("\n{},{},{}", row * 300, 9 + row % 7, row % 5)));
    let header = b"name='bench'\nquantity='speed'\nunit='m/s'\nstep_s=300\n";
    let dataset = Dataset::parse(header, series.as_bytes(), b"from,to\na,b\n", None, None)
        .expect("it is well formed");
    let settings = TrainingSettings {
        config: MlpConfig {
            hidden,
            ..MlpConfig::default()
        },
        epochs: 1,
        steps_per_epoch: 1,
        ..TrainingSettings::default()
    };
    let trained =
        train(&[dataset], &settings, &Device::Cpu, &mut |_| {}).expect("it fits the split");
    let name = format!("roadcast-bench-{}.safetensors", std::process::id());
    let path = std::env::temp_dir().join(name);
    candle_core::safetensors::save(&trained.tensors, &path).expect("the folder is writable");
    let weights = std::fs::read(&path).expect("it was just written");
    std::fs::remove_file(&path).expect("it was just written");
    let card = ModelCard {
        weights_sha256: sha256_hex(&weights),
        ..trained.card
    };
    let card = card.to_toml().expect("all numbers are finite");
    let mlp = Mlp::load(card.as_bytes(), &weights, device).expect("it was just made");
    (mlp, trained.past.expect("two days are long enough"))
}

fn forecast(criterion: &mut Criterion) {
    let (request, context) = (request(SEGMENTS), context(SEGMENTS));
    let (network, past) = network_of(64, &Device::Cpu);
    let said = network
        .forecast(&context, &request)
        .expect("a CPU does not fail");
    assert_eq!(said.len(), SEGMENTS * STEP_COUNT);
    assert!(said.iter().all(SpeedQuantiles::is_valid));

    let mut group = criterion.benchmark_group("forecast/100000 segments");
    group.throughput(Throughput::Elements(SEGMENTS as u64));
    group.sample_size(10);
    group.bench_function("network", |bencher| {
        bencher.iter(|| network.forecast(&context, black_box(&request)));
    });
    let (wide, _) = network_of(128, &Device::Cpu);
    group.bench_function("network, 128 wide", |bencher| {
        bencher.iter(|| wide.forecast(&context, black_box(&request)));
    });
    assert_eq!(past.foretold_count(), 2);
    let column_of: Vec<Option<u32>> = (0..SEGMENTS as u32).map(|at| Some(at % 2)).collect();
    let knowing = context.clone().with_past(&past, &column_of);
    group.bench_function("network with a past", |bencher| {
        bencher.iter(|| network.forecast(&knowing, black_box(&request)));
    });
    if let Ok(device @ Device::Cuda(_)) = Device::cuda_if_available(0) {
        for hidden in [64, 128, 512] {
            let (on_device, _) = network_of(hidden, &device);
            group.bench_function(format!("network, {hidden} wide, CUDA"), |bencher| {
                bencher.iter(|| on_device.forecast(&context, black_box(&request)));
            });
            let rows = rows_of_ones(&device);
            group.bench_function(format!("network alone, {hidden} wide, CUDA"), |bencher| {
                bencher.iter(|| {
                    let said = on_device.module().forward(black_box(&rows));
                    device.synchronize().expect("the device answers");
                    said
                });
            });
        }
    }
    group.bench_function("features alone", |bencher| {
        bencher.iter(|| {
            let prepared = context.prepare(black_box(&request));
            let mut sum = 0.0;
            (0..SEGMENTS).for_each(|segment| prepared.write(segment, |_, value| sum += value));
            sum
        });
    });
    let ones = vec![1.0; SEGMENTS * FEATURE_COUNT];
    group.bench_function("network alone", |bencher| {
        bencher.iter(|| network.raw_rows(black_box(&ones)));
    });
    let rows = rows_of_ones(&Device::Cpu);
    group.bench_function("network alone, through candle", |bencher| {
        bencher.iter(|| network.module().forward(black_box(&rows)));
    });
    group.bench_function("profile-residual", |bencher| {
        bencher.iter(|| ProfileResidual.forecast(black_box(&request)));
    });
    group.finish();
}

/// The outlook of a large city whose profile has learnt five hours of today: what is usual is looked
/// up, and errors are learnt from as a running engine does. The unit is one segment; asked for once in
/// five minutes.
fn outlook(criterion: &mut Criterion) {
    let network = grid::grid(159);
    let segments = network.segment_count();
    let mut state = TrafficState::new(Arc::clone(&network), StateSettings::default());
    let mut sums = BinSums::new(segments);
    let day_s = 1_790_000_100 - 5 * 3_600;
    for index in 0..300 {
        sums.clear();
        for id in 0..segments as u32 {
            let one = SegmentSums {
                distance_mm: 20_000 * (4 + u64::from(id % 9)),
                time_ms: 20_000,
                squared_time_ms2: 400_000_000,
                vehicle_count: 1,
                ..SegmentSums::default()
            };
            sums.add(SegmentId(id), &one);
        }
        let start = Timestamp::from_secs(day_s + 60 * index);
        let minute = Interval {
            start,
            end: start.plus_secs(60),
        };
        state.close_minute(minute, &sums, &[]);
    }
    // Of the second of the five hours, whose two hours to come have been learnt.
    let at = Timestamp::from_secs(day_s);
    let request = ForecastRequest {
        issued_at: at,
        first_step: at,
        ..request(segments)
    };
    let mut tracker = OutlookTracker::new();
    let said = tracker.issue(&request, state.profiles());
    let said = said.expect("it is a five-minute mark").quantiles;
    assert_eq!(said.len(), segments * HALF_HOUR_COUNT);
    assert!(said.iter().all(SpeedQuantiles::is_valid));
    let mut group = criterion.benchmark_group("forecast/outlook");
    group.sample_size(20);
    group.throughput(Throughput::Elements(segments as u64));
    group.bench_function(format!("{segments} segments"), |bencher| {
        bencher.iter(|| tracker.issue(black_box(&request), state.profiles()));
    });
    group.finish();
}

/// Features of every segment, for the network alone.
fn rows_of_ones(device: &Device) -> Tensor {
    let shape = (SEGMENTS, FEATURE_COUNT);
    Tensor::ones(shape, candle_core::DType::F32, device).expect("it fits into memory")
}

/// Whether the cost of a segment depends on how many there are.
fn sizes(criterion: &mut Criterion) {
    let (model, _) = network_of(64, &Device::Cpu);
    let mut group = criterion.benchmark_group("forecast/network");
    group.sample_size(10);
    for segments in [1_000, 10_000, 100_000, 1_000_000] {
        let (request, context) = (request(segments), context(segments));
        group.throughput(Throughput::Elements(segments as u64));
        group.bench_function(format!("{segments} segments"), |bencher| {
            bencher.iter(|| model.forecast(&context, black_box(&request)));
        });
    }
    group.finish();
}

criterion_group!(benches, forecast, outlook, sizes);
criterion_main!(benches);
