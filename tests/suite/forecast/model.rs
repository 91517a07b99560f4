//! The network, its card and its training.

use std::sync::atomic::{AtomicU32, Ordering};
use std::sync::{Arc, OnceLock};

use candle_core::{Device, Tensor};
use proptest::prelude::*;
use roadcast::forecast::{
    Calibration, Dataset, Disturbances, FEATURE_COUNT, FeatureContext, ForecastRequest, Forecaster,
    LAG_COUNT, LEVEL_COUNT, Mlp, MlpConfig, MlpForecaster, ModelCard, ModelError, Progress,
    RoadGraph, STEP_COUNT, SpeedQuantiles, Spoiling, Start, TrainedModel, TrainingError,
    TrainingSettings, curve_csv, sha256_hex, train, train_from,
};
use roadcast::network::{
    Network, NetworkBuilder, NetworkVersion, RoadClass, SegmentDraft, SegmentFlags,
};
use roadcast::state::Calendar;
use roadcast::units::{Position, Timestamp};

/// Six days of twelve sensors in a row: a dip that starts downstream each morning, at a time that
/// differs from day to day.
fn toy_dataset() -> Dataset {
    let mut series = String::from("time");
    (0..12).for_each(|column| series.push_str(&format!(",s{column}")));
    for row in 0..6 * 288_i32 {
        let (day, slot) = (row / 288, row % 288);
        series.push_str(&format!("\n{}", row * 300));
        for column in 0..12 {
            let onset = 84 + 5 * (day % 3) + (11 - column);
            let depth = if (onset..onset + 36).contains(&slot) {
                40.0
            } else {
                0.0
            };
            let ripple = f64::from((row * 7 + column * 13) % 11) * 0.3;
            series.push_str(&format!(",{:.1}", 80.0 - depth + ripple));
        }
    }
    let mut graph = String::from("from,to,weight\n");
    (0..11).for_each(|from| graph.push_str(&format!("s{from},s{},1\n", from + 1)));
    let header = b"name='toy'\nquantity='speed'\nunit='km/h'\nstep_s=300\nlicence='Apache-2.0'\n";
    Dataset::parse(header, series.as_bytes(), graph.as_bytes(), None, None)
        .expect("it is well formed")
}

fn toy_settings() -> TrainingSettings {
    TrainingSettings {
        name: "toy".into(),
        config: MlpConfig {
            hidden: 16,
            blocks: 1,
        },
        split: [4, 1, 1],
        epochs: 3,
        steps_per_epoch: 60,
        learning_rate: 5e-3,
        spoiling: Spoiling::Nothing,
        batch: 32,
        ..TrainingSettings::default()
    }
}

fn train_toy() -> TrainedModel {
    train(&[toy_dataset()], &toy_settings(), &Device::Cpu, &mut |_| {}).expect("it fits the split")
}

/// Card and weight file of the toy model, as a folder would hold them.
fn toy_files() -> &'static (String, Vec<u8>) {
    static FILES: OnceLock<(String, Vec<u8>)> = OnceLock::new();
    FILES.get_or_init(|| files_of(train_toy()))
}

fn files_of(trained: TrainedModel) -> (String, Vec<u8>) {
    static NUMBER: AtomicU32 = AtomicU32::new(0);
    let number = NUMBER.fetch_add(1, Ordering::Relaxed);
    let name = format!("roadcast-toy-{}-{number}", std::process::id());
    let folder = std::env::temp_dir().join(name);
    std::fs::create_dir_all(&folder).expect("the temporary folder is writable");
    let path = folder.join("weights.safetensors");
    candle_core::safetensors::save(&trained.tensors, &path).expect("the folder is writable");
    let weights = std::fs::read(&path).expect("it was just written");
    std::fs::remove_dir_all(&folder).expect("it was just made");
    let card = ModelCard {
        weights_sha256: sha256_hex(&weights),
        ..trained.card
    };
    (card.to_toml().expect("all numbers are finite"), weights)
}

fn toy_model() -> Mlp {
    let (card, weights) = toy_files();
    Mlp::load(card.as_bytes(), weights, &Device::Cpu).expect("it was just written")
}

/// A request whose numbers come from `noise`, 0..=1 each.
fn request_of(count: usize, mut noise: impl FnMut() -> f32) -> ForecastRequest {
    let mut many =
        |len: usize, most: f32| -> Vec<f32> { (0..len).map(|_| most * noise()).collect() };
    let free_flow_mps: Vec<f32> = many(count, 30.0).into_iter().map(|v| v + 1.0).collect();
    ForecastRequest {
        issued_at: Timestamp::from_secs(1_790_000_100),
        first_step: Timestamp::from_secs(1_790_000_100),
        network: NetworkVersion::default(),
        now_mps: many(count, 40.0),
        sigma_mps: many(count, 9.0),
        age_min: many(count, 255.0).into_iter().map(|v| v as u8).collect(),
        free_flow_mps,
        history_mps: many(count * LAG_COUNT, 40.0),
        history_share: many(count * LAG_COUNT, 1.0)
            .into_iter()
            .map(f32::round)
            .collect(),
        past_profile_mps: many(count * LAG_COUNT, 35.0),
        profile_mps: many(count * STEP_COUNT, 35.0),
        level_mps: many(count * LEVEL_COUNT, 5.0),
        level_share: many(count * LEVEL_COUNT, 1.0),
        disturbances: Disturbances::default(),
        calibration: Arc::new(Calibration::default()),
    }
}

/// Numbers 0..=1 that look random and are the same every time.
fn hashed() -> impl FnMut() -> f32 {
    let mut state = 9_u32;
    move || {
        state = state.wrapping_mul(1_664_525).wrapping_add(1_013_904_223);
        (state >> 8) as f32 / (1 << 24) as f32
    }
}

fn chain(count: usize) -> FeatureContext {
    let edges: Vec<_> = (1..count as u32).map(|to| (to - 1, to, 1.0)).collect();
    FeatureContext::new(
        RoadGraph::from_edges(count, &edges),
        &vec![None; count],
        Some(Calendar::default()),
    )
}

#[test]
fn fused_blocks_equal_the_candle_module() {
    let (model, context) = (toy_model(), chain(1_111));
    let request = request_of(1_111, hashed());
    let prepared = context.prepare(&request);
    let mut rows = vec![0.0; 1_111 * FEATURE_COUNT];
    for (segment, row) in rows.chunks_exact_mut(FEATURE_COUNT).enumerate() {
        prepared.write(segment, |feature, value| row[feature] = value);
    }
    let tensor = Tensor::from_slice(&rows, (1_111, FEATURE_COUNT), &Device::Cpu).unwrap();
    let wanted: Vec<Vec<f32>> = model.module().forward(&tensor).unwrap().to_vec2().unwrap();
    let (found, wanted) = (model.raw_rows(&rows), wanted.concat());
    assert_eq!(found.len(), wanted.len());
    for (found, wanted) in found.iter().zip(&wanted) {
        assert!((found - wanted).abs() <= 1e-4, "{found} and {wanted}");
    }
    // A row does not notice in which block it is computed.
    let last = rows.len() - FEATURE_COUNT;
    assert_eq!(
        model.raw_rows(&rows[last..]),
        found[found.len() - 5 * STEP_COUNT..]
    );
}

/// The device of the machine that runs the tests; without one a message says that the test ran nothing.
#[cfg(feature = "cuda")]
fn cuda() -> Option<Device> {
    match Device::new_cuda(0) {
        Ok(device) => Some(device),
        Err(error) => {
            eprintln!("skipped, no CUDA device answers: {error}");
            None
        }
    }
}

#[cfg(feature = "cuda")]
#[test]
fn a_gpu_forecasts_what_the_cpu_forecasts() {
    let Some(device) = cuda() else { return };
    // More than go to the device at a time, and not a multiple of that.
    const SEGMENTS: usize = 70_001;
    let (card, weights) = toy_files();
    let on_device = Mlp::load(card.as_bytes(), weights, &device).expect("its golden output is met");
    let (context, request) = (chain(SEGMENTS), request_of(SEGMENTS, hashed()));
    let wanted = toy_model().forecast(&context, &request).unwrap();
    let found = on_device.forecast(&context, &request).unwrap();
    assert_eq!(found.len(), SEGMENTS * STEP_COUNT);
    for (index, (found, wanted)) in found.iter().zip(&wanted).enumerate() {
        let free_flow_mps = request.free_flow_mps[index / STEP_COUNT];
        for (found, wanted) in found.as_array().into_iter().zip(wanted.as_array()) {
            let difference = (found - wanted).abs() / free_flow_mps;
            assert!(difference <= 1e-4, "{index}: {found} and {wanted} m/s");
        }
    }
}

#[cfg(feature = "cuda")]
#[test]
fn a_gpu_learns_what_the_cpu_learns() {
    let Some(device) = cuda() else { return };
    let on_device = train(&[toy_dataset()], &toy_settings(), &device, &mut |_| {}).unwrap();
    let on_cpu = train_toy();
    for (found, wanted) in on_device.curve.iter().zip(&on_cpu.curve) {
        let difference = (found.validation_mae / wanted.validation_mae - 1.0).abs();
        assert!(difference < 0.02, "{found:?} and {wanted:?}");
    }
    // What a device has learnt runs on a CPU.
    let (card, weights) = files_of(on_device);
    Mlp::load(card.as_bytes(), &weights, &Device::Cpu).expect("it was just written");
}

#[test]
fn threads_do_not_change_a_forecast() {
    let (model, context) = (toy_model(), chain(5_000));
    let request = request_of(5_000, hashed());
    let run = |threads: usize| {
        rayon::ThreadPoolBuilder::new()
            .num_threads(threads)
            .build()
            .unwrap()
            .install(|| model.forecast(&context, &request).unwrap())
    };
    let alone = run(1);
    assert_eq!(alone.len(), 5_000 * STEP_COUNT);
    assert!(alone.iter().all(SpeedQuantiles::is_valid));
    assert_eq!(alone, run(3));
    // A segment does not notice in which block it is computed.
    let (short, first) = (chain(50), request_of(50, hashed()));
    let single = chain(1);
    let said = model.forecast(&short, &first).unwrap();
    assert_eq!(said.len(), 50 * STEP_COUNT);
    assert_eq!(single.segment_count(), 1);
}

#[test]
fn a_model_is_refused_when_card_and_weights_do_not_belong_together() {
    let (card, weights) = toy_files();
    let load = |card: &str, weights: &[u8]| Mlp::load(card.as_bytes(), weights, &Device::Cpu);
    let mut tampered = weights.clone();
    *tampered.last_mut().unwrap() ^= 1;
    assert!(matches!(
        load(card, &tampered),
        Err(ModelError::Hash { .. })
    ));
    let rehashed = card.replace(&sha256_hex(weights), &sha256_hex(&tampered));
    let other = card.replace("residual-mlp-4", "residual-mlp-9");
    assert!(matches!(
        load(&other, weights),
        Err(ModelError::Architecture { .. })
    ));
    assert!(matches!(
        load("hidden = 3", weights),
        Err(ModelError::Card(_))
    ));
    assert!(matches!(
        load(&card.replace("hidden = 16", "hidden = 32"), weights),
        Err(ModelError::Card(_))
    ));
    // The tampered bit alone, with a card that vouches for it, is caught or harmless.
    assert!(matches!(
        load(&rehashed, &tampered),
        Ok(_) | Err(ModelError::Golden { .. })
    ));
}

#[test]
fn a_wrong_golden_output_is_refused() {
    let (card, weights) = toy_files();
    let mut tensors = candle_core::safetensors::load_buffer(weights, &Device::Cpu).unwrap();
    let moved = tensors["golden.output"].affine(1.0, 0.5).unwrap();
    tensors.insert("golden.output".into(), moved);
    let (card, weights) = files_of(TrainedModel {
        past: None,
        tensors,
        card: ModelCard::parse(card.as_bytes()).unwrap(),
        curve: Vec::new(),
    });
    let loaded = Mlp::load(card.as_bytes(), &weights, &Device::Cpu);
    assert!(matches!(loaded, Err(ModelError::Golden { difference, .. }) if difference > 0.4));
}

#[test]
fn training_falls_repeats_and_beats_the_last_value() {
    let (first, second) = (train_toy(), train_toy());
    assert_eq!(first.curve, second.curve);
    assert_eq!(first.card, second.card);
    for (name, tensor) in &first.tensors {
        let values = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(values(tensor), values(&second.tensors[name]), "{name}");
    }
    let losses: Vec<f64> = first.curve.iter().map(|epoch| epoch.loss).collect();
    assert!(losses.last() < losses.first(), "{losses:?}");
    let hour = &first.card.metrics[11];
    assert_eq!(hour.minutes, 60);
    assert!(hour.model < hour.last_value, "{hour:?}");
    assert!(curve_csv(&first.curve).lines().count() == first.curve.len() + 1);
    let other = TrainingSettings {
        seed: 2,
        ..toy_settings()
    };
    let third = train(&[toy_dataset()], &other, &Device::Cpu, &mut |_| {}).unwrap();
    assert_ne!(first.curve, third.curve);
}

#[test]
fn a_column_that_follows_another_is_foretold_without_a_road_between_them() {
    // Two columns of chance, each repeated by another column one step later; no graph.
    let mut next = hashed();
    let mut last = [50.0f32; 2];
    let mut series = String::from("time,a,b,after_b,after_a");
    for row in 0..6 * 288 {
        let [a, b] = [(); 2].map(|()| 40.0 + 20.0 * next());
        let [after_a, after_b] = std::mem::replace(&mut last, [a, b]);
        let row_s = row * 300;
        series.push_str(&format!(
            "\n{row_s},{a:.2},{b:.2},{after_b:.2},{after_a:.2}"
        ));
    }
    let header = b"name='echo'\nquantity='flow'\nunit='veh/5min'\nstep_s=300\n";
    let dataset = Dataset::parse(header, series.as_bytes(), b"from,to\n", None, None).unwrap();
    let trained = train(&[dataset], &toy_settings(), &Device::Cpu, &mut |_| {}).unwrap();
    // Half of the columns are known five minutes ahead, and nobody ten minutes ahead.
    let [five, ten] = [0, 1].map(|step| trained.card.metrics[step]);
    assert!(five.model < 0.65 * five.profile, "{five:?}");
    assert!(ten.model > 0.95 * ten.profile, "{ten:?}");
}

/// Trains the toy and stops it in epoch `stopped_in`; returns the last checkpoint.
fn interrupted(settings: &TrainingSettings, stopped_in: usize) -> Vec<u8> {
    let mut last = Vec::new();
    let stopped = train_from(
        &[toy_dataset()],
        settings,
        &Device::Cpu,
        None,
        &mut |heard| {
            match heard {
                Progress::Step { epoch, step } if epoch == stopped_in && step == 17 => {
                    return Err(TrainingError::Stopped("power is out".into()));
                }
                Progress::Step { .. } => {}
                Progress::Epoch { checkpoint, .. } => last = checkpoint.to_vec(),
            }
            Ok(())
        },
    );
    assert!(matches!(stopped, Err(TrainingError::Stopped(_))));
    last
}

#[test]
fn an_interrupted_run_ends_with_the_weights_of_one_that_was_not() {
    let settings = TrainingSettings {
        spoiling: Spoiling::Field,
        ..toy_settings()
    };
    let whole = train(&[toy_dataset()], &settings, &Device::Cpu, &mut |_| {}).unwrap();
    let checkpoint = interrupted(&settings, 3);
    let mut epochs = Vec::new();
    let resume = |bytes: &[u8], settings: &TrainingSettings, epochs: &mut Vec<usize>| {
        train_from(
            &[toy_dataset()],
            settings,
            &Device::Cpu,
            Some(bytes),
            &mut |heard| {
                if let Progress::Epoch { report, .. } = heard {
                    epochs.push(report.epoch);
                }
                Ok(())
            },
        )
    };
    let resumed = resume(&checkpoint, &settings, &mut epochs).unwrap();
    assert_eq!(epochs, [3]);
    assert_eq!((resumed.card, resumed.curve), (whole.card, whole.curve));
    assert_eq!(resumed.tensors.len(), whole.tensors.len());
    for (name, tensor) in &whole.tensors {
        let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
        assert_eq!(numbers(&resumed.tensors[name]), numbers(tensor), "{name}");
    }
    let refused = |bytes: &[u8], settings: &TrainingSettings| {
        resume(bytes, settings, &mut Vec::new()).unwrap_err()
    };
    let other = TrainingSettings {
        seed: 2,
        ..settings.clone()
    };
    assert!(matches!(
        refused(&checkpoint, &other),
        TrainingError::OtherRun
    ));
    assert!(matches!(
        refused(b"no checkpoint", &settings),
        TrainingError::OtherRun
    ));
    let cut = &checkpoint[..checkpoint.len() - 1];
    assert!(matches!(
        refused(cut, &settings),
        TrainingError::Checkpoint(_)
    ));
}

#[test]
fn a_run_may_go_on_from_the_weights_of_another() {
    let (card, weights) = toy_files();
    let toy = Mlp::load(card.as_bytes(), weights, &Device::Cpu).unwrap();
    let settings = TrainingSettings {
        start: Some(Start(toy.clone())),
        config: MlpConfig::default(),
        epochs: 1,
        steps_per_epoch: 2,
        learning_rate: 0.0,
        ..toy_settings()
    };
    let still = train(&[toy_dataset()], &settings, &Device::Cpu, &mut |_| {}).unwrap();
    assert_eq!(still.card.config, toy.card().config);
    let from = still.card.training.start.as_deref().unwrap_or_default();
    assert!(from.contains(&toy.card().weights_sha256), "{from}");
    let further = |learning_rate| {
        let settings = TrainingSettings {
            learning_rate,
            ..settings.clone()
        };
        train(&[toy_dataset()], &settings, &Device::Cpu, &mut |_| {}).unwrap()
    };
    let (moved, spoilt) = (further(1e-3), further(3.0));
    let validation_mae = |trained: &TrainedModel| trained.curve[0].validation_mae;
    assert!((validation_mae(&moved) - validation_mae(&still)).abs() > 1e-6);
    // What is worse than what it began with is not kept.
    assert!(validation_mae(&spoilt) > 1.5 * validation_mae(&still));
    assert_eq!(spoilt.card.training.best_epoch, 0);
    let known = candle_core::safetensors::load_buffer(weights, &Device::Cpu).unwrap();
    let numbers = |tensor: &Tensor| tensor.flatten_all().unwrap().to_vec1::<f32>().unwrap();
    let mut layers = 0;
    for (name, tensor) in known.iter().filter(|(name, _)| !name.starts_with("golden")) {
        for trained in [&still, &spoilt] {
            let pairs = numbers(&trained.tensors[name])
                .into_iter()
                .zip(numbers(tensor));
            let largest = pairs.map(|(a, b)| (a - b).abs()).fold(0.0, f32::max);
            assert!(largest < 1e-6, "{name}: {largest}");
        }
        layers += 1;
    }
    assert_eq!(layers, 2 * (2 + 2 * toy.card().config.blocks));
}

#[test]
fn a_short_dataset_is_refused() {
    let settings = TrainingSettings {
        split: [500, 1, 1],
        ..toy_settings()
    };
    assert!(train(&[toy_dataset()], &settings, &Device::Cpu, &mut |_| {}).is_err());
}

/// Three segments in a row.
fn street() -> Network {
    let at = |index: i32| Position::new(114.30 + 0.002 * f64::from(index), 30.55);
    let mut builder = NetworkBuilder::new(at(0));
    let junctions: Vec<_> = (0..4)
        .map(|index| builder.add_junction(at(index), index == 2))
        .collect();
    for index in 0..3 {
        builder
            .add_segment(SegmentDraft {
                from: junctions[index],
                to: junctions[index + 1],
                shape: vec![at(index as i32), at(index as i32 + 1)],
                length_m: None,
                class: RoadClass::Primary,
                limit_mps: None,
                lanes: None,
                flags: SegmentFlags::default(),
                layer: 0,
                source_id: format!("{index}"),
                source_dir: 1,
                source_pair: 0,
                name: None,
                name_en: None,
            })
            .expect("the shape is fine");
    }
    builder.connect_all(&mut |_, _| false);
    builder.build().expect("there are segments")
}

#[test]
fn the_bundled_model_speaks_for_its_network_and_no_other() {
    let network = street();
    let model = Mlp::bundled(&Device::Cpu).unwrap();
    assert_eq!(model.card().metrics.len(), STEP_COUNT);
    let forecaster = MlpForecaster::new(model, &network, Some(Calendar::default()));
    let mut request = request_of(3, hashed());
    let stranger = forecaster.forecast(&request);
    assert!(stranger.fallback);
    assert_eq!(stranger.model.as_ref(), "profile-residual");
    request.network = network.version();
    let said = forecaster.forecast(&request);
    assert!(!said.fallback);
    assert_eq!(said.model.as_ref(), forecaster.name());
    assert!(said.quantiles.iter().all(SpeedQuantiles::is_valid));
}

proptest! {
    #![proptest_config(ProptestConfig::with_cases(64))]

    #[test]
    fn quantiles_are_finite_and_ordered_for_any_input(
        numbers in proptest::collection::vec(0.0f32..1.0, 200),
        is_masked in any::<bool>(),
        exponent in -3i32..4,
    ) {
        let mut at = 0;
        let mut request = request_of(3, || { at += 1; numbers[at % numbers.len()] });
        if is_masked {
            request.history_mps.fill(0.0);
            request.history_share.fill(0.0);
        }
        let stretch = 10f32.powi(exponent);
        request.now_mps.iter_mut().for_each(|v| *v *= stretch);
        request.profile_mps.iter_mut().for_each(|v| *v /= stretch);
        let said = toy_model().forecast(&chain(3), &request).unwrap();
        prop_assert_eq!(said.len(), 3 * STEP_COUNT);
        prop_assert!(said.iter().all(SpeedQuantiles::is_valid));
    }
}
