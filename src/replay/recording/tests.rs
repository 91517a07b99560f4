use std::fs;
use std::os::unix::fs::PermissionsExt;
use std::sync::mpsc;

use bytes::Bytes;

use super::reader::segment_paths;
use super::*;
use crate::units::SourceId;
use std::sync::Arc;

fn entry(index: u64) -> Entry {
    let now = Timestamp::from_millis(1_000_000 + 7 * index as i64);
    (
        now,
        RawMessage {
            received_at: now.plus_millis(-((index % 3) as i64)),
            source: SourceId((index % 2) as u32),
            topic: Arc::from(format!("roadcast/v1/vehicle/鄂A{}/probe/up", index % 5)),
            payload: Bytes::from(vec![index as u8; (index % 40) as usize]),
        },
    )
}

fn directory(name: &str) -> PathBuf {
    let path =
        std::env::temp_dir().join(format!("roadcast-recording-{name}-{}", std::process::id()));
    if path.exists() {
        fs::remove_dir_all(&path).unwrap();
    }
    path
}

fn read_all(recording: &mut Recording) -> Vec<Entry> {
    let mut entries = Vec::new();
    while recording.next_block(&mut entries).unwrap() {}
    entries
}

#[test]
fn what_was_written_is_read_back_over_segments() {
    let path = directory("segments");
    let rotation = Rotation {
        segment_bytes: 2000,
        ..Rotation::default()
    };
    let written: Vec<Entry> = (0..1000).map(entry).collect();
    let mut writer = Writer::open_dir(&path, rotation).unwrap();
    for batch in written[..600].chunks(17) {
        writer.append(batch).unwrap();
    }
    assert_eq!(writer.sync().unwrap(), 600);
    drop(writer);
    // A second run continues where the first stopped.
    let mut writer = Writer::open_dir(&path, rotation).unwrap();
    assert_eq!(writer.sequence(), 600);
    writer.append(&written[600..]).unwrap();
    writer.sync().unwrap();

    let mut recording = Recording::open(&path).unwrap();
    assert_eq!(read_all(&mut recording), written);
    assert_eq!(recording.sequence(), 1000);
    assert!(recording.torn_tails().is_empty());
    for start in [1, 16, 17, 18, 599, 600, 999, 1000] {
        let mut recording = Recording::open_at(&path, start).unwrap();
        assert_eq!(
            read_all(&mut recording),
            written[start as usize..],
            "from {start}"
        );
    }
    fs::remove_dir_all(&path).unwrap();
}

#[test]
fn a_torn_tail_costs_only_its_own_block() {
    let path = directory("torn");
    let written: Vec<Entry> = (0..30).map(entry).collect();
    let mut writer = Writer::open_dir(&path, Rotation::default()).unwrap();
    for batch in written.chunks(10) {
        writer.append(batch).unwrap();
    }
    drop(writer);
    let segment = path.join("00000000000000000000.rcrec");
    let whole = fs::read(&segment).unwrap();
    let mut ends = Vec::new();
    let mut reader = SegmentReader::new(&whole[..]).unwrap();
    let mut entries = Vec::new();
    while reader.next_block(&mut entries).unwrap() {
        ends.push((reader.offset(), entries.len()));
    }
    for length in format::HEADER_BYTES..whole.len() {
        let mut reader = SegmentReader::new(&whole[..length]).unwrap();
        let mut entries = Vec::new();
        while reader.next_block(&mut entries).unwrap() {}
        let whole_blocks = ends.iter().rev().find(|(end, _)| *end <= length as u64);
        let expected = whole_blocks.map_or(0, |(_, count)| *count);
        assert_eq!(entries, written[..expected], "cut at {length}");
        let clean =
            length == format::HEADER_BYTES || ends.iter().any(|(end, _)| *end == length as u64);
        assert_eq!(reader.torn_tail().is_none(), clean, "cut at {length}");
    }
    // A flipped bit is found by the checksum, and a new run continues behind what is readable.
    let mut flipped = whole.clone();
    let last = flipped.len() - 1;
    flipped[last] ^= 1;
    fs::write(&segment, &flipped).unwrap();
    let mut writer = Writer::open_dir(&path, Rotation::default()).unwrap();
    assert_eq!(writer.sequence(), 20);
    writer.append(&written[20..]).unwrap();
    writer.sync().unwrap();
    let mut recording = Recording::open(&path).unwrap();
    assert_eq!(read_all(&mut recording), written);
    assert_eq!(recording.torn_tails().len(), 1);
    assert_eq!(recording.torn_tails()[0].1.what, "checksum differs");
    fs::remove_dir_all(&path).unwrap();
}

#[test]
fn retention_deletes_the_oldest_segments_but_none_that_is_protected() {
    let path = directory("retention");
    let rotation = Rotation {
        segment_bytes: 1000,
        retain_bytes: 5000,
        ..Rotation::default()
    };
    let mut writer = Writer::open_dir(&path, rotation).unwrap();
    writer.protect_from(100);
    for index in 0..500 {
        writer.append(&[entry(index)]).unwrap();
    }
    let mut recording = Recording::open_at(&path, 100).unwrap();
    assert_eq!(read_all(&mut recording).len(), 400);
    writer.protect_from(u64::MAX);
    for index in 500..600 {
        writer.append(&[entry(index)]).unwrap();
    }
    let bytes: u64 = fs::read_dir(&path)
        .unwrap()
        .map(|file| file.unwrap().metadata().unwrap().len())
        .sum();
    assert!(bytes <= 5000 + 2 * 1200, "{bytes} bytes are kept");
    assert!(matches!(
        Recording::open_at(&path, 100),
        Err(RecordingError::Gap { expected: 100, .. })
    ));
    let mut recording = Recording::open(&path).unwrap();
    let kept = read_all(&mut recording);
    assert_eq!(kept.last(), Some(&entry(599)));
    fs::remove_dir_all(&path).unwrap();
}

#[test]
fn nobody_else_may_read_a_recording_and_what_is_old_goes_also_in_silence() {
    let mode = |path: &std::path::Path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
    let path = directory("expiry");
    fs::remove_dir_all(&path).ok();
    let day_ms = 86_400_000;
    let rotation = Rotation {
        retain_age_ms: 7 * day_ms,
        ..Rotation::default()
    };
    let at_day = |day: i64, index| (Timestamp::from_millis(day * day_ms), entry(index).1);
    let mut writer = Writer::open_dir(&path, rotation).unwrap();
    assert_eq!(mode(&path), 0o700);
    for day in 0..5 {
        writer.append(&[at_day(day, day as u64)]).unwrap();
        // Messages of a new day close the segment of the day before.
        writer.append(&[at_day(day, day as u64)]).unwrap();
        writer
            .expire(Timestamp::from_millis(day * day_ms + 3_600_000))
            .unwrap();
    }
    let segments = || segment_paths(&path).unwrap();
    assert_eq!(segments().len(), 6, "five closed and an empty one");
    assert!(segments().iter().all(|segment| mode(segment) == 0o600));
    // The newest snapshot needs messages from number 2 on: the second segment.
    writer.protect_from(2);
    writer.expire(Timestamp::from_millis(30 * day_ms)).unwrap();
    assert_eq!((segments().len(), writer.expired().by_age), (5, 1));
    writer.protect_from(8);
    writer
        .expire(Timestamp::from_millis(9 * day_ms + day_ms / 2))
        .unwrap();
    assert_eq!((segments().len(), writer.expired().by_age), (3, 3));
    let mut recording = Recording::open_at(&path, 8).unwrap();
    assert_eq!(read_all(&mut recording).len(), 2);
    drop(writer);

    // Files of an earlier build were open to others.
    let first = &segments()[0];
    fs::set_permissions(first, fs::Permissions::from_mode(0o644)).unwrap();
    drop(Writer::open_dir(&path, rotation).unwrap());
    assert_eq!(mode(first), 0o600);
    fs::remove_dir_all(&path).unwrap();
}

#[test]
fn more_topics_than_the_table_holds_start_it_anew() {
    let mut encoder = format::BlockEncoder::default();
    let mut bytes = format::header(5).to_vec();
    let message = |index: u64| RawMessage {
        received_at: Timestamp::MIN,
        source: SourceId(u32::MAX),
        topic: Arc::from(format!("t{index}")),
        payload: Bytes::new(),
    };
    let count = (1 << 18) + 1000;
    for index in (0..count).chain([0, 1, count]) {
        encoder
            .push(Timestamp::MAX, &message(index), &mut bytes)
            .unwrap();
    }
    encoder.close(&mut bytes);
    let mut reader = SegmentReader::new(&bytes[..]).unwrap();
    let mut entries = Vec::new();
    while reader.next_block(&mut entries).unwrap() {}
    assert_eq!(reader.sequence(), 5 + count + 3);
    let indices = (0..count).chain([0, 1, count]);
    for ((now, read), index) in entries.iter().zip(indices) {
        assert_eq!((*now, read), (Timestamp::MAX, &message(index)));
    }
}

#[test]
fn foreign_files_and_versions_are_refused() {
    assert!(matches!(
        SegmentReader::new(&b"PAR1"[..]),
        Err(RecordingError::NotARecording)
    ));
    let mut header = format::header(0);
    header[8] = 9;
    assert!(matches!(
        SegmentReader::new(&header[..]),
        Err(RecordingError::Version { found: 9, .. })
    ));
}

#[test]
fn tokens_come_back_in_order_and_only_for_what_is_on_disk() {
    for sync in [
        SyncPolicy::Never,
        SyncPolicy::AtMostEvery(std::time::Duration::from_millis(5)),
    ] {
        let path = directory(&format!("recorder-{}", matches!(sync, SyncPolicy::Never)));
        let writer = Writer::open_dir(&path, Rotation::default()).unwrap();
        let settings = RecorderSettings {
            sync,
            queue_batches: 4,
        };
        let (sender, receiver) = mpsc::channel();
        let on_disk = path.clone();
        let mut recorder = Recorder::spawn(writer, settings, move |durable: Durable<'_, u64>| {
            let stands = read_all(&mut Recording::open(&on_disk).unwrap()).len() as u64;
            assert!(stands >= durable.sequence);
            for token in durable.tokens {
                sender.send(token).unwrap();
            }
        })
        .unwrap();
        for batch in 0..50u64 {
            let messages: Vec<_> = (0..20).map(|i| entry(batch * 20 + i).1).collect();
            let behind = recorder
                .append(entry(batch).0, Arc::new(messages), batch)
                .unwrap();
            assert_eq!(behind, (batch + 1) * 20);
        }
        let stats = recorder.stats();
        assert_eq!(recorder.finish().unwrap(), 1000);
        assert_eq!(
            receiver.iter().collect::<Vec<_>>(),
            (0..50).collect::<Vec<_>>()
        );
        assert_eq!(
            stats.durable.load(std::sync::atomic::Ordering::Relaxed),
            1000
        );
        fs::remove_dir_all(&path).unwrap();
    }
}
