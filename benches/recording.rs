//! Append and read throughput of the recording.
//!
//! Workloads: messages of one 200-byte JSON record (54 000 a second is what Mosquitto carries at
//! QoS 1), and protobuf batches of 25 bytes a record, 1000 records a message. Unit: messages; the
//! figure in records is 1000 times that of the second. The recorder workload includes the thread,
//! the bounded channel and group commit with `fdatasync` every 20 ms.

use std::hint::black_box;
use std::path::PathBuf;
use std::sync::Arc;
use std::sync::mpsc;

use bytes::Bytes;
use criterion::{Criterion, Throughput, criterion_group, criterion_main};
use roadcast::observation::RawMessage;
use roadcast::replay::recording::{Entry, Recorder, RecorderSettings, Recording, Rotation, Writer};
use roadcast::units::{SourceId, Timestamp};

const BATCH: usize = 256;

fn entries(payload_bytes: usize, topics: usize) -> Vec<Entry> {
    let topics: Vec<Arc<str>> = (0..topics)
        .map(|topic| Arc::from(format!("roadcast/v1/vehicle/{topic}/probe/up")))
        .collect();
    (0..BATCH)
        .map(|index| {
            let now = Timestamp::from_millis(1_764_028_800_000 + index as i64);
            let message = RawMessage {
                received_at: now,
                source: SourceId(0),
                topic: Arc::clone(&topics[index * 7919 % topics.len()]),
                payload: Bytes::from(vec![index as u8; payload_bytes]),
            };
            (now, message)
        })
        .collect()
}

fn directory(name: &str) -> PathBuf {
    let path = std::env::temp_dir().join(format!("roadcast-bench-{name}-{}", std::process::id()));
    if path.exists() {
        std::fs::remove_dir_all(&path).expect("an old bench folder can be removed");
    }
    path
}

fn bench(criterion: &mut Criterion) {
    for (name, payload_bytes, topics) in [("single", 200, 100_000), ("batch1000", 25_000, 100)] {
        let batch = entries(payload_bytes, topics);
        let rotation = Rotation {
            segment_bytes: 64 << 20,
            retain_bytes: 256 << 20,
            ..Rotation::default()
        };
        let mut group = criterion.benchmark_group(format!("recording/{name}"));
        group.throughput(Throughput::Elements(BATCH as u64));

        let path = directory(name);
        let mut writer = Writer::open_dir(&path, rotation).expect("the folder can be written");
        group.bench_function("append", |bencher| {
            bencher.iter(|| writer.append(&batch).expect("the disk takes it"));
        });
        let written = writer.sync().expect("the disk takes it");
        assert_eq!(written % BATCH as u64, 0);
        std::fs::remove_dir_all(&path).expect("the folder can be removed");

        let writer = Writer::open_dir(&path, rotation).expect("the folder can be written");
        let (durable_to, durable) = mpsc::channel();
        let mut recorder = Recorder::spawn(writer, RecorderSettings::default(), move |done| {
            if durable_to.send(done.tokens.count()).is_err() {
                black_box(());
            }
        })
        .expect("a thread");
        let messages: Arc<Vec<RawMessage>> =
            Arc::new(batch.iter().map(|(_, message)| message.clone()).collect());
        let mut given = 0;
        group.bench_function("recorder", |bencher| {
            bencher.iter(|| {
                given += 1;
                recorder
                    .append(batch[0].0, Arc::clone(&messages), ())
                    .expect("it runs")
            });
        });
        let stands = recorder.finish().expect("the disk takes it");
        assert_eq!(stands, given * BATCH as u64);
        assert_eq!(durable.iter().sum::<usize>() as u64, given);
        std::fs::remove_dir_all(&path).expect("the folder can be removed");

        std::fs::create_dir_all(&path).expect("the folder can be written");
        let file = path.join("read.rcrec");
        let mut writer = Writer::create(&file).expect("the file can be written");
        for _ in 0..(64 << 20) / (payload_bytes * BATCH) {
            writer.append(&batch).expect("the disk takes it");
        }
        let count = writer.sync().expect("the disk takes it");
        group.throughput(Throughput::Elements(count));
        group.bench_function("read", |bencher| {
            bencher.iter(|| {
                let mut recording = Recording::open(&file).expect("it is there");
                let mut entries = Vec::new();
                let mut read = 0;
                while recording.next_block(&mut entries).expect("it is whole") {
                    read += entries.len() as u64;
                    entries.clear();
                }
                assert_eq!(read, count);
            });
        });
        group.finish();
        std::fs::remove_dir_all(&path).expect("the folder can be removed");
    }
}

criterion_group! {
    name = benches;
    config = Criterion::default().sample_size(20);
    targets = bench
}
criterion_main!(benches);
