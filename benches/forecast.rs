//! Forecasting 100 000 segments, twelve steps each, features and means over neighbours included; the
//! unit is one segment. «mlp» is the bundled model (three quantiles), «second» one of the shape that
//! `train` makes (five quantiles, features of the hour and of the network), «second with a past» the
//! same with regressions of its own for every segment; the network is a chain.

use std::hint::black_box;
use std::sync::Arc;

use candle_core::{Device, Tensor};
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use roadcast::forecast::{
    Calibration, Dataset, FeatureContext, ForecastRequest, Forecaster, LAG_COUNT, LEVEL_COUNT, Mlp,
    ModelCard, Past, ProfileResidual, RoadGraph, STEP_COUNT, SpeedQuantiles, TrainingSettings,
    sha256_hex, train,
};
use roadcast::network::NetworkVersion;
use roadcast::units::Timestamp;

const SEGMENTS: usize = 100_000;

fn request() -> ForecastRequest {
    let wave = |len: usize, base: f32| -> Vec<f32> {
        (0..len)
            .map(|index| base + ((index * 37) % 101) as f32 / 20.0)
            .collect()
    };
    ForecastRequest {
        issued_at: Timestamp::from_secs(1_790_000_100),
        first_step: Timestamp::from_secs(1_790_000_100),
        network: NetworkVersion::default(),
        now_mps: wave(SEGMENTS, 8.0),
        sigma_mps: wave(SEGMENTS, 0.5),
        age_min: vec![0; SEGMENTS],
        free_flow_mps: wave(SEGMENTS, 13.0),
        history_mps: wave(SEGMENTS * LAG_COUNT, 9.0),
        history_share: vec![1.0; SEGMENTS * LAG_COUNT],
        past_profile_mps: wave(SEGMENTS * LAG_COUNT, 10.0),
        profile_mps: wave(SEGMENTS * STEP_COUNT, 10.0),
        level_mps: wave(SEGMENTS * LEVEL_COUNT, 0.0),
        level_share: vec![1.0; SEGMENTS * LEVEL_COUNT],
        calibration: Arc::new(Calibration::default()),
    }
}

fn context() -> FeatureContext {
    // Two ways on from each segment: the next one, and one a thousand further.
    let count = SEGMENTS as u32;
    let edges: Vec<_> = (0..count)
        .flat_map(|from| {
            [
                (from, (from + 1) % count, 1.0),
                (from, (from + 1_000) % count, 1.0),
            ]
        })
        .collect();
    FeatureContext::new(
        RoadGraph::from_edges(SEGMENTS, &edges),
        &vec![None; SEGMENTS],
        None,
    )
}

/// A model of the newest architecture, trained for one step only: its speed is that of any other.
/// With it the past of its two columns.
fn second() -> (Mlp, Past) {
    let mut series = String::from("time,a,b");
    (0..900)
        .for_each(|row| series.push_str(&format!("\n{},{},{}", row * 300, 9 + row % 7, row % 5)));
    let header = b"name='bench'\nquantity='speed'\nunit='m/s'\nstep_s=300\n";
    let dataset = Dataset::parse(header, series.as_bytes(), b"from,to\na,b\n", None)
        .expect("it is well formed");
    let settings = TrainingSettings {
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
    let mlp = Mlp::load(card.as_bytes(), &weights, &Device::Cpu).expect("it was just made");
    (mlp, trained.past.expect("two days are long enough"))
}

fn forecast(criterion: &mut Criterion) {
    let (request, context) = (request(), context());
    let model = Mlp::bundled(&Device::Cpu).expect("the bundled model loads");
    let said = model
        .forecast(&context, &request)
        .expect("a CPU does not fail");
    assert_eq!(said.len(), SEGMENTS * STEP_COUNT);
    assert!(said.iter().all(SpeedQuantiles::is_valid));

    let mut group = criterion.benchmark_group("forecast/100000 segments");
    group.throughput(Throughput::Elements(SEGMENTS as u64));
    group.sample_size(10);
    group.bench_function("mlp", |bencher| {
        bencher.iter(|| model.forecast(&context, black_box(&request)));
    });
    let (second, past) = second();
    group.bench_function("second", |bencher| {
        bencher.iter(|| second.forecast(&context, black_box(&request)));
    });
    assert_eq!(past.foretold_count(), 2);
    let column_of: Vec<Option<u32>> = (0..SEGMENTS as u32).map(|at| Some(at % 2)).collect();
    let knowing = context.clone().with_past(&past, &column_of);
    group.bench_function("second with a past", |bencher| {
        bencher.iter(|| second.forecast(&knowing, black_box(&request)));
    });
    group.bench_function("second features alone", |bencher| {
        bencher.iter(|| {
            let prepared = context.prepare(black_box(&request), second.architecture());
            let mut sum = 0.0;
            (0..SEGMENTS).for_each(|segment| prepared.write(segment, |_, value| sum += value));
            sum
        });
    });
    group.bench_function("mlp features alone", |bencher| {
        bencher.iter(|| {
            let prepared = context.prepare(black_box(&request), model.architecture());
            let mut sum = 0.0;
            (0..SEGMENTS).for_each(|segment| prepared.write(segment, |_, value| sum += value));
            sum
        });
    });
    let rows = Tensor::ones(
        (SEGMENTS, model.architecture().feature_count()),
        candle_core::DType::F32,
        &Device::Cpu,
    )
    .expect("it fits into memory");
    group.bench_function("mlp through candle, network alone", |bencher| {
        bencher.iter(|| model.module().forward(black_box(&rows)));
    });
    group.bench_function("profile-residual", |bencher| {
        bencher.iter(|| ProfileResidual.forecast(black_box(&request)));
    });
    group.finish();
}

criterion_group!(benches, forecast);
criterion_main!(benches);
