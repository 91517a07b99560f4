//! A whole run of the service, everything that leaves it, and no trace of who drove.
//!
//! Vehicles with plates that are easy to find report through a real Mosquitto to `roadcast serve` at
//! log level `trace`. Then log, metrics, every page of the API, every MQTT message published and
//! every file written, but for the recording, are searched for plates and for their unkeyed hashes
//! as decimal and hexadecimal digits and as bytes.

use std::collections::{BTreeMap, BTreeSet};
use std::fs::{self, File};
use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use roadcast::network::{ImportReport, NetworkFormat, compiled};
use roadcast::publish::OutMessage;
use roadcast::replay::city::{self, CitySize};
use roadcast::replay::traffic::Fleet;
use roadcast::screening::{PseudonymKeys, Pseudonyms, Secret};
use roadcast::units::{SubjectId, Timestamp};
use roadcast::wire::{ProbeRecord, VehicleName, json, subject_id};

use super::mosquitto::Mosquitto;
use super::*;

const START_S: i64 = 1_764_028_800;
const SECONDS: i64 = 250;
const VEHICLES: usize = 500;
/// What every plate contains; nothing else of the run does.
const MARK: &str = "PLATE-鄂A";
/// Vehicles in one message.
const BATCH: usize = 50;

/// A place where something was found or not.
type Outputs = BTreeMap<String, Vec<u8>>;

#[test]
fn nothing_that_leaves_tells_who_drove() {
    let Some(broker) = Mosquitto::start("privacy", "") else {
        return;
    };
    let home = std::env::temp_dir().join(format!("roadcast-privacy-{}", std::process::id()));
    fs::create_dir_all(&home).unwrap();
    let city = city::build(7, CitySize::Small).unwrap();
    let mut file = Vec::new();
    compiled::write(
        &city.network,
        &ImportReport::new(NetworkFormat::Csv),
        &mut file,
    );
    fs::write(home.join("city.rcn"), file).unwrap();
    let runtime = runtime();
    let heard = subscribe(
        connect(broker.port(), "privacy-listener", Protocol::Auto),
        "#",
        Qos::AtMostOnce,
        &runtime,
    );
    let mut served = Served::start(&home, broker.port());

    let mut fleet = Fleet::new(city.network.clone(), VEHICLES, 7);
    let output = publisher(
        connect(broker.port(), "privacy-fleet", Protocol::Auto),
        &runtime,
    );
    let plates = drive(&mut fleet, &output);
    assert_eq!(output.flush(DEADLINE), 0, "the broker took everything");
    eventually("everything is used or refused", || {
        served.metric("roadcast_records_received_total ") >= (SECONDS as usize * VEHICLES) as f64
    });
    let is_there = |outputs: &Outputs, part: &str| outputs.keys().any(|key| key.contains(part));
    let mut outputs = Outputs::new();
    eventually("all kinds of messages were published", || {
        listen(&heard, &mut outputs);
        ["/state/", "/forecast/", "v1/status"]
            .iter()
            .all(|part| is_there(&outputs, part))
    });
    served.collect_pages(&mut outputs);
    served.stop();
    listen(&heard, &mut outputs);
    let recording = collect_files(&home, &mut outputs);

    assert!(
        served_enough(&outputs),
        "the run says too little: {:?}",
        outputs.keys().collect::<Vec<_>>()
    );
    let hashes: BTreeSet<u64> = plates
        .iter()
        .map(|plate| subject_id(plate.as_bytes()).0)
        .collect();
    assert_search_finds(&hashes);
    assert!(
        contains(&recording, MARK.as_bytes()),
        "the recording holds what was sent"
    );
    assert_snapshots_hold_pseudonyms(&outputs, &plates);
    let mut found: Vec<String> = Vec::new();
    for (place, bytes) in &outputs {
        // Plates as they are, and as JSON or a log may escape them.
        for mark in [MARK, "PLATE-", "\\u9102", "%E9%84%82"] {
            if contains(bytes, mark.as_bytes()) {
                found.push(format!("{mark} in {place}"));
            }
        }
        found.extend(hashes_in(bytes, &hashes).map(|how| format!("hash as {how} in {place}")));
        let key = &outputs["file recording/pseudonym.key"];
        if !place.ends_with("pseudonym.key") && contains(bytes, key.trim_ascii_end()) {
            found.push(format!("the secret in {place}"));
        }
    }
    assert!(found.is_empty(), "{found:#?}");
    output.close(DEADLINE);
    fs::remove_dir_all(&home).unwrap();
}

/// Publishes what the fleet reports and something broken; returns all plates.
fn drive(fleet: &mut Fleet, output: &Publisher) -> BTreeSet<String> {
    let (mut plates, mut records) = (BTreeSet::new(), Vec::new());
    let publish = |topic: String, payload: Vec<u8>| {
        output.publish(OutMessage {
            topic,
            payload: payload.into(),
            qos: 1,
            retain: false,
        });
    };
    for second in 0..SECONDS {
        records.clear();
        fleet.tick(Timestamp::from_secs(START_S + second), &mut records);
        for part in records.chunks(BATCH) {
            let names: Vec<String> = part.iter().map(plate).collect();
            let named: Vec<ProbeRecord<'_>> = part
                .iter()
                .zip(&names)
                .map(|(record, name)| ProbeRecord {
                    id: VehicleName::Text(name),
                    ..*record
                })
                .collect();
            let mut payload = Vec::new();
            json::encode_batch(&named, &mut payload);
            publish(
                format!("roadcast/v1/vehicle/{}/probe/up", names[0]),
                payload,
            );
            plates.extend(names);
        }
        if second % 50 == 0 {
            // What cannot be read must not be told in a log either.
            let broken = format!("{{\"id\":\"{MARK}99999\",\"lon\":999,");
            publish(
                format!("roadcast/v1/vehicle/{MARK}99999/probe/up"),
                broken.into_bytes(),
            );
        }
    }
    plates
}

fn plate(record: &ProbeRecord<'static>) -> String {
    match record.id {
        VehicleName::Number(number) => format!("{MARK}{number:05}"),
        VehicleName::Text(text) => format!("{MARK}{text}"),
    }
}

/// Takes what has been published so far; what the vehicles sent is no output.
fn listen(heard: &Ingest, outputs: &mut Outputs) {
    while let Received::Batch(batch) = heard.batches.recv(Duration::from_millis(200)) {
        for message in batch.messages {
            if !message.topic.starts_with("roadcast/v1/vehicle/") {
                let place = format!("message {}", message.topic);
                let all = outputs.entry(place).or_default();
                all.extend_from_slice(message.topic.as_bytes());
                all.extend_from_slice(&message.payload);
            }
        }
    }
}

/// Reads every file below `home`; returns the recording, which is no output.
fn collect_files(home: &Path, outputs: &mut Outputs) -> Vec<u8> {
    let mut recording = Vec::new();
    let mut folders = vec![home.to_path_buf()];
    while let Some(folder) = folders.pop() {
        for entry in fs::read_dir(&folder).unwrap() {
            let path = entry.unwrap().path();
            let mode = fs::metadata(&path).unwrap().permissions().mode() & 0o777;
            let is_recorded = path
                .parent()
                .is_some_and(|parent| parent.ends_with("recording"));
            if path.is_dir() {
                assert!(!path.ends_with("recording") || mode == 0o700, "{mode:o}");
                folders.push(path);
                continue;
            }
            assert!(!is_recorded || mode == 0o600, "{} {mode:o}", path.display());
            let bytes = fs::read(&path).unwrap();
            if path
                .extension()
                .is_some_and(|extension| extension == "rcrec")
            {
                recording.extend(bytes);
            } else {
                let name = path.strip_prefix(home).unwrap().display().to_string();
                outputs.insert(format!("file {name}"), bytes);
            }
        }
    }
    recording
}

fn served_enough(outputs: &Outputs) -> bool {
    let large = |part: &str, bytes: usize| {
        outputs
            .iter()
            .any(|(key, value)| key.contains(part) && value.len() >= bytes)
    };
    large("file log", 1_000)
        && large(".snapshot", 10_000)
        && large("page /metrics", 1_000)
        && large("page /api/v1/state", 10_000)
        && large("page /api/v1/vehicles", 50)
        && large("message roadcast/v1/state", 1_000)
}

/// The search would find a hash in each of the ways it looks for.
fn assert_search_finds(hashes: &BTreeSet<u64>) {
    let hash = *hashes.first().unwrap();
    for text in [
        format!("subject={hash},").into_bytes(),
        format!("x{hash:016x}y").into_bytes(),
        format!("{hash:016X}").into_bytes(),
        [b"ab".as_slice(), &hash.to_le_bytes()].concat(),
        [b"abc".as_slice(), &hash.to_be_bytes(), b"d"].concat(),
    ] {
        assert!(hashes_in(&text, hashes).next().is_some(), "{text:?}");
    }
    assert!(
        hashes_in(b"nothing 12345678901234567890", hashes)
            .next()
            .is_none()
    );
}

/// The snapshots hold road users, under the names that the secret gives them.
fn assert_snapshots_hold_pseudonyms(outputs: &Outputs, plates: &BTreeSet<String>) {
    let digits = &outputs["file recording/pseudonym.key"];
    let digits = std::str::from_utf8(digits).unwrap().trim_end();
    let secret: [u8; 32] =
        std::array::from_fn(|at| u8::from_str_radix(&digits[2 * at..2 * at + 2], 16).unwrap());
    let mut keys = PseudonymKeys::new(Pseudonyms::new(Secret::new(secret), 86_400, 0));
    let now = Timestamp::from_secs(START_S);
    let names: BTreeSet<u64> = plates
        .iter()
        .map(|plate| keys.of(subject_id(plate.as_bytes()), now))
        .map(|SubjectId(name)| name)
        .collect();
    let mut snapshots = outputs.iter().filter(|(key, _)| key.contains(".snapshot"));
    assert!(
        snapshots.any(|(_, bytes)| hashes_in(bytes, &names).next().is_some()),
        "no snapshot holds a pseudonym"
    );
}

fn contains(bytes: &[u8], part: &[u8]) -> bool {
    bytes.windows(part.len()).any(|window| window == part)
}

/// In which ways one of `hashes` is written somewhere in `bytes`.
fn hashes_in(bytes: &[u8], hashes: &BTreeSet<u64>) -> impl Iterator<Item = &'static str> {
    let read = |window: &[u8], from: fn([u8; 8]) -> u64| {
        window
            .try_into()
            .is_ok_and(|bytes| hashes.contains(&from(bytes)))
    };
    let is_little = bytes
        .windows(8)
        .any(|window| read(window, u64::from_le_bytes));
    let is_big = bytes
        .windows(8)
        .any(|window| read(window, u64::from_be_bytes));
    let runs = |radix: u32, digits: usize| {
        bytes
            .split(move |byte| !char::from(*byte).is_digit(radix))
            .filter(move |run| run.len() >= digits)
    };
    let of_digits = |run: &[u8], radix| {
        let text = std::str::from_utf8(run).unwrap_or_default();
        u64::from_str_radix(text, radix).is_ok_and(|number| hashes.contains(&number))
    };
    let is_decimal = runs(10, 15)
        .any(|run| (15..=20).any(|length| run.windows(length).any(|window| of_digits(window, 10))));
    let is_hexadecimal =
        runs(16, 16).any(|run| run.windows(16).any(|window| of_digits(window, 16)));
    [
        ("little-endian bytes", is_little),
        ("big-endian bytes", is_big),
        ("decimal digits", is_decimal),
        ("hexadecimal digits", is_hexadecimal),
    ]
    .into_iter()
    .filter_map(|(how, is_found)| is_found.then_some(how))
}

/// A `roadcast serve` that logs everything into a file.
struct Served {
    child: Child,
    http_port: u16,
}

impl Served {
    fn start(home: &Path, broker_port: u16) -> Self {
        let http_port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        let place = home.display();
        let text = format!(
            "[network]\nfile = \"{place}/city.rcn\"\n[clock]\nmode = \"event\"\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{broker_port}\"\nclient_id = \"privacy\"\n\
             [forecast]\nmodel = \"baseline\"\n[publish]\ntile_zoom = 14\n\
             [http]\nbind = \"127.0.0.1:{http_port}\"\n\
             [recording]\ndir = \"{place}/recording\"\nsnapshot_minutes = 1\n"
        );
        let config: PathBuf = home.join("privacy.toml");
        fs::write(&config, text).unwrap();
        let child = Command::new(env!("CARGO_BIN_EXE_roadcast"))
            .args(["serve", "--config"])
            .arg(&config)
            .env("ROADCAST_LOG", "trace")
            .stdout(File::create(home.join("output")).unwrap())
            .stderr(File::create(home.join("log")).unwrap())
            .spawn()
            .unwrap();
        let served = Self { child, http_port };
        eventually("the engine is ready", || {
            served
                .get("/readyz")
                .is_some_and(|answer| answer.starts_with(b"HTTP/1.1 200"))
        });
        served
    }

    /// Head and body of a page; `None` when nobody answers.
    fn get(&self, path: &str) -> Option<Vec<u8>> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.http_port)).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = Vec::new();
        stream.read_to_end(&mut answer).ok()?;
        Some(answer)
    }

    fn metric(&self, name: &str) -> f64 {
        let page = self.get("/metrics").unwrap_or_default();
        let page = String::from_utf8_lossy(&page);
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(0.0)
    }

    fn collect_pages(&self, outputs: &mut Outputs) {
        let middle = "lon=114.3&lat=30.59";
        let paths = [
            "/".to_owned(),
            "/livez".to_owned(),
            "/readyz".to_owned(),
            "/metrics".to_owned(),
            "/api/v1/network".to_owned(),
            "/api/v1/state".to_owned(),
            "/api/v1/state?format=compact".to_owned(),
            "/api/v1/forecast".to_owned(),
            "/api/v1/forecast?format=compact".to_owned(),
            "/api/v1/guidance".to_owned(),
            "/api/v1/segments/0".to_owned(),
            "/api/v1/segments/1".to_owned(),
            format!("/api/v1/vehicles?{middle}&radius_m=5000"),
            format!("/api/v1/vehicles?{middle}&radius_m=1"),
            "/api/v1/status".to_owned(),
        ];
        for path in paths {
            let answer = self.get(&path).unwrap_or_default();
            assert!(answer.starts_with(b"HTTP/1.1 "), "{path} is answered");
            outputs.insert(format!("page {path}"), answer);
        }
    }

    /// Ends it as the system does, so that it writes its last snapshot.
    fn stop(&mut self) {
        let pid = self.child.id().to_string();
        let told = Command::new("kill")
            .args(["-TERM", &pid])
            .stdin(Stdio::null())
            .status();
        assert!(told.unwrap().success());
        assert!(self.child.wait().unwrap().success(), "it ends well");
    }
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}
