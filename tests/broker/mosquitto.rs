//! A Mosquitto of one test: its own port, its own files, killed at will.

use std::fs;
use std::net::{Ipv4Addr, TcpListener, TcpStream};
use std::path::PathBuf;
use std::process::{Child, Command, Stdio};
use std::time::SystemTime;

use crate::eventually;

pub(crate) struct Mosquitto {
    directory: PathBuf,
    child: Child,
    port: u16,
}

impl Mosquitto {
    /// Starts a broker with `extra` lines in its configuration; `None`, with a message, when
    /// Mosquitto is not installed.
    pub(crate) fn start(test: &str, extra: &str) -> Option<Self> {
        if Command::new("mosquitto")
            .arg("-h")
            .stdout(Stdio::null())
            .status()
            .is_err()
        {
            eprintln!("skipped: mosquitto is not installed (apt-get install mosquitto)");
            return None;
        }
        let directory =
            std::env::temp_dir().join(format!("roadcast-broker-{test}-{}", std::process::id()));
        fs::create_dir_all(&directory).unwrap();
        let port = TcpListener::bind((Ipv4Addr::LOCALHOST, 0))
            .and_then(|listener| listener.local_addr())
            .unwrap()
            .port();
        // Persistent like deploy/mosquitto, in the test's own folder and on its own port. Started by
        // root it would change to a user that may not write there.
        let configuration = format!(
            "user root\nlistener {port} 127.0.0.1\nallow_anonymous true\nset_tcp_nodelay true\n\
             max_inflight_messages 65535\nmax_queued_messages 1000000\nmax_queued_bytes 0\n\
             persistence true\npersistence_location {}/\nautosave_interval 3600\n\
             log_dest file {}/log\n{extra}\n",
            directory.display(),
            directory.display(),
        );
        fs::write(directory.join("mosquitto.conf"), configuration).unwrap();
        let child = launch(&directory, port);
        Some(Self {
            directory,
            child,
            port,
        })
    }

    pub(crate) fn port(&self) -> u16 {
        self.port
    }

    /// Ends it as `kill -9` does.
    pub(crate) fn kill(&mut self) {
        self.child.kill().unwrap();
        self.child.wait().unwrap();
    }

    pub(crate) fn restart(&mut self) {
        self.child = launch(&self.directory, self.port);
    }

    /// Makes it write its database and waits until that is there.
    pub(crate) fn save(&self) {
        let database = self.directory.join("mosquitto.db");
        let written = |since: SystemTime| {
            fs::metadata(&database)
                .and_then(|m| m.modified())
                .is_ok_and(|at| at > since)
        };
        let before = fs::metadata(&database)
            .and_then(|m| m.modified())
            .unwrap_or(SystemTime::UNIX_EPOCH);
        let pid = self.child.id().to_string();
        assert!(
            Command::new("kill")
                .args(["-USR1", &pid])
                .status()
                .unwrap()
                .success()
        );
        eventually("the broker has saved", || written(before));
    }
}

impl Drop for Mosquitto {
    fn drop(&mut self) {
        // The test is over, well or badly: nothing more to learn from failures here.
        self.child.kill().ok();
        self.child.wait().ok();
        fs::remove_dir_all(&self.directory).ok();
    }
}

fn launch(directory: &std::path::Path, port: u16) -> Child {
    let child = Command::new("mosquitto")
        .arg("-c")
        .arg(directory.join("mosquitto.conf"))
        .stdout(Stdio::null())
        .stderr(Stdio::null())
        .spawn()
        .unwrap();
    eventually("mosquitto accepts", || {
        TcpStream::connect((Ipv4Addr::LOCALHOST, port)).is_ok()
    });
    child
}
