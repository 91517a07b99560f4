//! The engine as a process under QoS 1 load: killed, restarted, and compared with one that was not.

use std::io::{Read, Write};
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Stdio};

use roadcast::network::{ImportReport, NetworkFormat, compiled};
use roadcast::publish::OutMessage;
use roadcast::replay::city::{self, CitySize};
use roadcast::replay::traffic::Fleet;
use roadcast::units::Timestamp;
use roadcast::wire::protobuf;

use super::mosquitto::Mosquitto;
use super::*;

const START_S: i64 = 1_764_028_800;
const SECONDS: i64 = 420;
const VEHICLES: usize = 400;
const TOPIC: &str = "roadcast/v1/vehicle/fleet/batch/up";

/// A `roadcast serve` of its own, with its own recording.
pub(crate) struct Served {
    config: PathBuf,
    child: Child,
    http_port: u16,
}

impl Served {
    fn start(directory: &Path, name: &str, broker_port: u16) -> Self {
        let http_port = free_port();
        let home = directory.display();
        let text = format!(
            "[network]\nfile = \"{home}/city.rcn\"\n[clock]\nmode = \"event\"\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{broker_port}\"\nclient_id = \"kill-{name}\"\n\
             routes = [{{ filter = \"{TOPIC}\", format = \"protobuf\", qos = 1 }}]\n\
             [forecast]\nmodel = \"baseline\"\n[publish]\nenabled = false\n\
             [http]\nbind = \"127.0.0.1:{http_port}\"\n\
             [recording]\ndir = \"{home}/{name}\"\nsnapshot_minutes = 1\n"
        );
        Self::with_config(directory, name, http_port, &text)
    }

    /// Starts one with the configuration `text`, which has it serve HTTP on `http_port`.
    pub(crate) fn with_config(directory: &Path, name: &str, http_port: u16, text: &str) -> Self {
        let config = directory.join(format!("{name}.toml"));
        std::fs::write(&config, text).unwrap();
        let child = Self::launch(&config);
        let served = Self {
            config,
            child,
            http_port,
        };
        served.wait_ready();
        served
    }

    fn launch(config: &Path) -> Child {
        Command::new(env!("CARGO_BIN_EXE_roadcast"))
            .args(["serve", "--config"])
            .arg(config)
            .env("ROADCAST_LOG", "warn")
            .stdout(Stdio::null())
            .spawn()
            .unwrap()
    }

    /// `kill -9`, then a new process on the same recording.
    pub(crate) fn kill_and_restart(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
        self.child = Self::launch(&self.config);
        self.wait_ready();
    }

    fn wait_ready(&self) {
        eventually("the engine is ready", || {
            self.get("/readyz").is_some_and(|(status, _)| status == 200)
        });
    }

    /// Status and body of a page; `None` when nobody answers.
    pub(crate) fn get(&self, path: &str) -> Option<(u16, String)> {
        let mut stream = TcpStream::connect((Ipv4Addr::LOCALHOST, self.http_port)).ok()?;
        write!(
            stream,
            "GET {path} HTTP/1.1\r\nhost: localhost\r\nconnection: close\r\n\r\n"
        )
        .ok()?;
        let mut answer = String::new();
        stream.read_to_string(&mut answer).ok()?;
        let (head, body) = answer.split_once("\r\n\r\n")?;
        let status = head.split_whitespace().nth(1)?.parse().ok()?;
        Some((status, body.to_owned()))
    }

    pub(crate) fn metric(&self, name: &str) -> f64 {
        let page = self
            .get("/metrics")
            .map(|(_, body)| body)
            .unwrap_or_default();
        let value = page
            .lines()
            .find_map(|line| line.strip_prefix(name)?.trim().parse().ok());
        value.unwrap_or(0.0)
    }

    /// The segments of the state that begins at `start`, once it is the newest.
    pub(crate) fn segments_at(&self, start: Timestamp) -> serde_json::Value {
        let mut found = serde_json::Value::Null;
        eventually("the last minute is closed", || {
            let Some((200, body)) = self.get("/api/v1/state") else {
                return false;
            };
            let Ok(state) = serde_json::from_str::<serde_json::Value>(&body) else {
                return false;
            };
            found = state["segments"].clone();
            state["start_ms"] == start.as_millis()
        });
        found
    }
}

/// A port of loopback that nobody listens on.
pub(crate) fn free_port() -> u16 {
    TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
        .and_then(|listener| listener.local_addr())
        .unwrap()
        .port()
}

/// Writes the compiled network of a small city to `city.rcn` in `directory`.
pub(crate) fn write_city(directory: &Path) -> city::City {
    let city = city::build(7, CitySize::Small).unwrap();
    let mut file = Vec::new();
    compiled::write(
        &city.network,
        &ImportReport::new(NetworkFormat::Csv),
        &mut file,
    );
    std::fs::write(directory.join("city.rcn"), file).unwrap();
    city
}

impl Drop for Served {
    fn drop(&mut self) {
        self.child.kill().ok();
        self.child.wait().ok();
    }
}

#[test]
fn an_engine_killed_under_load_ends_like_one_never_stopped() {
    let Some(broker) = Mosquitto::start("engine-kill", "") else {
        return;
    };
    let directory = std::env::temp_dir().join(format!("roadcast-kill-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let city = write_city(&directory);

    let mut killed = Served::start(&directory, "killed", broker.port());
    let steady = Served::start(&directory, "steady", broker.port());
    let runtime = runtime();
    let connect = connect(broker.port(), "kill-load", Protocol::Auto);
    let publisher = Publisher::spawn(connect, OutboxSettings::default(), runtime.handle());
    let mut fleet = Fleet::new(city.network.clone(), VEHICLES, 7);
    let mut records = Vec::new();
    let mut publish = |seconds: std::ops::Range<i64>| {
        for second in seconds {
            records.clear();
            fleet.tick(Timestamp::from_secs(START_S + second), &mut records);
            let mut payload = Vec::new();
            protobuf::encode_batch(&records, &mut payload);
            publisher.publish(OutMessage {
                topic: TOPIC.into(),
                payload: payload.into(),
                qos: 1,
                retain: false,
            });
        }
    };
    let used = "roadcast_records_used_total ";
    publish(0..150);
    eventually("the first part is used", || {
        killed.metric(used) > 100.0 * VEHICLES as f64
    });
    // Killed while messages are on their way; more arrive while it is down.
    publish(150..200);
    killed.kill_and_restart();
    publish(200..300);
    killed.kill_and_restart();
    publish(300..SECONDS);
    assert_eq!(publisher.flush(DEADLINE), 0, "the broker took everything");

    // 420 s of records: the minute from 300 s on is the last that the watermark closes.
    let last = Timestamp::from_secs(START_S + 300);
    let (after_kills, never_stopped) = (killed.segments_at(last), steady.segments_at(last));
    assert!(
        never_stopped
            .as_array()
            .is_some_and(|segments| segments.len() > 100)
    );
    let differing = |(a, b): &(&serde_json::Value, &serde_json::Value)| a != b;
    let pairs = after_kills.as_array().into_iter().flatten();
    let pairs = pairs.zip(never_stopped.as_array().into_iter().flatten());
    let different: Vec<_> = pairs.filter(differing).take(3).collect();
    assert!(different.is_empty(), "states differ, first: {different:?}");
    let total = (VEHICLES as i64 * SECONDS) as f64;
    eventually("the steady engine used everything", || {
        let dropped = steady.metric("roadcast_records_received_total ") - steady.metric(used);
        steady.metric(used) + dropped >= total
    });
    publisher.close(DEADLINE);
    drop((killed, steady));
    std::fs::remove_dir_all(&directory).unwrap();
}

/// Ends it as `systemctl stop` does.
fn stop(mut served: Served) {
    let pid = served.child.id().to_string();
    let told = Command::new("kill").args(["-TERM", &pid]).status().unwrap();
    assert!(told.success());
    assert!(served.child.wait().unwrap().success());
}

#[test]
fn a_second_run_begins_with_the_profiles_of_the_first() {
    use std::os::unix::fs::PermissionsExt;

    let Some(broker) = Mosquitto::start("profiles", "") else {
        return;
    };
    let directory = std::env::temp_dir().join(format!("roadcast-learnt-{}", std::process::id()));
    std::fs::create_dir_all(&directory).unwrap();
    let city = write_city(&directory);
    let profiles = directory.join("profiles");
    // No recording: nothing but the file of profiles outlives a run.
    let start = |name: &str, profiles: &str| {
        let http_port = free_port();
        let text = format!(
            "[network]\nfile = \"{}/city.rcn\"\n[clock]\nmode = \"event\"\n\
             [mqtt]\nurl = \"mqtt://127.0.0.1:{}\"\nclient_id = \"{name}\"\n\
             routes = [{{ filter = \"{TOPIC}\", format = \"protobuf\", qos = 1 }}]\n\
             [state]\nprofiles_file = \"{profiles}\"\n\
             [forecast]\nmodel = \"baseline\"\n[publish]\nenabled = false\n\
             [http]\nbind = \"127.0.0.1:{http_port}\"\n",
            directory.display(),
            broker.port()
        );
        Served::with_config(&directory, name, http_port, &text)
    };
    let runtime = runtime();
    let settings = connect(broker.port(), "profiles-load", Protocol::Auto);
    let publisher = Publisher::spawn(settings, OutboxSettings::default(), runtime.handle());
    let publish = |vehicles: usize, seconds: std::ops::Range<i64>| {
        let mut fleet = Fleet::new(city.network.clone(), vehicles, 7);
        for second in seconds {
            let mut records = Vec::new();
            fleet.tick(Timestamp::from_secs(START_S + second), &mut records);
            let mut payload = Vec::new();
            protobuf::encode_batch(&records, &mut payload);
            publisher.publish(OutMessage {
                topic: TOPIC.into(),
                payload: payload.into(),
                qos: 1,
                retain: false,
            });
        }
    };
    let place = profiles.display().to_string();
    let first = start("first", &place);
    publish(VEHICLES, 0..SECONDS);
    let learnt_until = Timestamp::from_secs(START_S + 300);
    first.segments_at(learnt_until);
    stop(first);
    let mode = std::fs::metadata(&profiles).unwrap().permissions().mode();
    assert_eq!(mode & 0o777, 0o600);
    // A single vehicle later: of nearly all segments only the profile speaks.
    let (second, ignorant) = (start("second", &place), start("ignorant", ""));
    // Only the first of its minutes is closed, and stays the newest.
    publish(1, SECONDS..SECONDS + 70);
    let later = Timestamp::from_secs(START_S + SECONDS);
    let (knows, knows_not) = (second.segments_at(later), ignorant.segments_at(later));
    let pairs = knows.as_array().unwrap().iter();
    let pairs = pairs.zip(knows_not.as_array().unwrap());
    let differing = pairs
        .filter(|(a, b)| a["provenance"] == "profile" && a["speed_mps"] != b["speed_mps"])
        .count();
    assert!(
        differing > 50,
        "{differing} profiles differ from the limit's"
    );
    publisher.close(DEADLINE);
    drop((second, ignorant));
    std::fs::remove_dir_all(&directory).unwrap();
}
