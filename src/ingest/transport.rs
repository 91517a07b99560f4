//! The seam between roadcast and an MQTT client library: what a connection is told and what it
//! tells.
//!
//! A [`Transport`] is one connection, from CONNECT to its loss; it never reconnects and keeps
//! nothing for the next one (`session` does both). Why it is cut here stands in
//! `docs/decisions/0002-mqtt-transport.md`.

use std::fmt;
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;

use crate::config::Protocol;
use crate::units::SourceId;

/// Quality of service roadcast uses; it subscribes to nothing at QoS 2.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Qos {
    /// QoS 0: at most once, never acknowledged.
    AtMostOnce,
    /// QoS 1: at least once, acknowledged.
    AtLeastOnce,
}

/// One topic filter to subscribe to.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Subscription {
    /// MQTT topic filter; `$share/<group>/` in front is allowed.
    pub filter: String,
    /// Highest quality of service wanted.
    pub qos: Qos,
    /// Stamped on each message that matches this filter and none before it.
    pub source: SourceId,
}

/// User name, and the file whose first line is the password. The file is read at every connect, so
/// that a rotated secret is picked up; its content is never logged.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Credentials {
    /// User name.
    pub username: String,
    /// File that holds the password.
    pub password_file: PathBuf,
}

/// A password that does not show itself.
#[derive(Clone, PartialEq, Eq)]
pub struct Password(String);

impl Password {
    /// Reads the first line of `path`.
    ///
    /// # Errors
    ///
    /// The file cannot be read.
    pub fn read(path: &std::path::Path) -> std::io::Result<Self> {
        let text = std::fs::read_to_string(path)?;
        Ok(Self(text.lines().next().unwrap_or_default().to_owned()))
    }

    /// The secret itself, for the transport alone.
    pub(super) fn expose(&self) -> &str {
        &self.0
    }
}

impl fmt::Debug for Password {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Password(…)")
    }
}

/// A retained topic that says whether this client is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Status {
    /// The topic.
    pub topic: String,
    /// Published, retained, at every connect.
    pub online: Bytes,
    /// The Last Will, and published before a clean disconnect; retained.
    pub offline: Bytes,
}

impl Default for Status {
    fn default() -> Self {
        Self {
            topic: "roadcast/v1/status".into(),
            online: Bytes::from_static(b"online"),
            offline: Bytes::from_static(b"offline"),
        }
    }
}

/// How to reach a broker and what to ask of it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ConnectSettings {
    /// Host name or address.
    pub host: String,
    /// TCP port.
    pub port: u16,
    /// Client id. Must be unique at the broker and stable over restarts: the broker keeps what was
    /// not acknowledged under it, and a second client of the same name throws the first one out.
    pub client_id: String,
    /// Version of MQTT; `Auto` begins with 5.
    pub protocol: Protocol,
    /// User name and password file, when the broker wants them.
    pub credentials: Option<Credentials>,
    /// Longest silence before a ping; 5 s to 18 h.
    pub keep_alive: Duration,
    /// How long the broker keeps the session of an absent client; zero starts a clean one each
    /// time. MQTT 3.1.1 knows only zero and for ever.
    pub session_expiry: Duration,
    /// Messages in each direction that may be unacknowledged at a time (MQTT 5 Receive Maximum;
    /// with 3.1.1 the broker's own setting counts for what it sends).
    pub receive_maximum: u16,
    /// Messages of ours that may be unacknowledged at a time.
    pub inflight_maximum: u16,
    /// Largest packet accepted and sent, bytes. Larger than the payload limit, so that a payload
    /// just above that is received, counted and thrown away.
    pub packet_bytes_max: u32,
    /// Whether small packets leave at once. rumqttc writes each acknowledgement by itself; left to
    /// Nagle's algorithm (RFC 896) many share a segment, and the broker is not woken for each.
    pub tcp_nodelay: bool,
    /// Longest time for connecting, CONNACK included.
    pub connect_timeout: Duration,
    /// Where to say that we are there.
    pub status: Option<Status>,
    /// Waits between attempts to connect.
    pub backoff: BackoffSettings,
}

/// Waits between attempts to connect: doubling, capped, and each shortened at random to between
/// half and the whole, so that clients do not come back in step.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct BackoffSettings {
    /// First wait.
    pub min: Duration,
    /// Longest wait.
    pub max: Duration,
    /// Seed of the jitter.
    pub seed: u64,
}

impl ConnectSettings {
    /// Settings for a client called `client_id` of the broker at `host` and `port`.
    ///
    /// Chosen: keep-alive 30 s, sessions kept for a day, 8192 messages on their way in (54 k
    /// messages/s times the 20 ms of a group commit and the round trip need some 3000) and 256 out,
    /// packets up to 4 MiB, 100 ms to 10 s between attempts.
    pub fn new(host: &str, port: u16, client_id: &str) -> Self {
        Self {
            host: host.to_owned(),
            port,
            client_id: client_id.to_owned(),
            protocol: Protocol::Auto,
            credentials: None,
            keep_alive: Duration::from_secs(30),
            session_expiry: Duration::from_secs(86_400),
            receive_maximum: 8192,
            inflight_maximum: 256,
            packet_bytes_max: 4 << 20,
            tcp_nodelay: false,
            connect_timeout: Duration::from_secs(5),
            status: None,
            backoff: BackoffSettings {
                min: Duration::from_millis(100),
                max: Duration::from_secs(10),
                seed: client_id
                    .bytes()
                    .fold(0, |seed, byte| seed.rotate_left(7) ^ u64::from(byte)),
            },
        }
    }
}

/// What happened on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Event {
    /// The broker accepted the connection; always the first event.
    Connected {
        /// Whether the broker knew us.
        session_present: bool,
        /// Largest packet the broker takes, bytes, where it says so.
        packet_bytes_max: Option<u32>,
    },
    /// Answer to a subscription: for each filter, in order, whether it was granted.
    Subscribed(Vec<bool>),
    /// A message arrived.
    Message {
        /// Topic, not yet known to be UTF-8.
        topic: Bytes,
        /// Payload.
        payload: Bytes,
        /// Packet id to acknowledge; 0 at QoS 0.
        packet_id: u16,
    },
    /// A message of ours went out, in the order of the requests; packet id 0 at QoS 0.
    Sent(u16),
    /// The broker answered a QoS 1 message of ours.
    Acknowledged {
        /// The packet id it went out with.
        packet_id: u16,
        /// Whether the broker took it.
        accepted: bool,
    },
    /// The broker answered a ping.
    Alive,
}

/// Why a connection ended or never began.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum Failure {
    /// Nobody answers at the address.
    Unreachable,
    /// The peer does not speak this version of MQTT, or hangs up on it.
    Handshake,
    /// The broker refuses us, with a reason.
    Refused,
    /// Another client came with our client id.
    TakenOver,
    /// A packet was larger than the limit.
    Oversized,
    /// The connection broke.
    Lost,
}

/// How a connection ended.
#[derive(Debug, thiserror::Error)]
#[error("{message}")]
pub struct TransportError {
    /// What kind of end it was.
    pub failure: Failure,
    /// What the library says.
    pub message: String,
}

/// The queue of requests to a connection is full, or the connection is gone.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[error("the connection takes no requests at the moment")]
pub struct NotTaken;

/// One MQTT connection.
pub trait Transport: Sized + Send {
    /// Prepares a connection; nothing happens on the wire before [`Transport::next`].
    fn open(settings: &ConnectSettings, password: Option<&Password>) -> Self;

    /// The way to ask something of this connection, from any thread.
    fn requests(&self) -> Arc<dyn Requests>;

    /// Waits for the next thing to happen, and appends it, and what happened along with it, to
    /// `events`. Nothing is sent or received while nobody waits here. Dropping the future before
    /// it is ready may lose a packet: do so only to end the connection.
    fn next(
        &mut self,
        events: &mut Vec<Event>,
    ) -> impl Future<Output = Result<(), TransportError>> + Send;
}

/// Requests to one connection. None of them waits; all are void once the connection is gone.
pub trait Requests: Send + Sync + fmt::Debug {
    /// Subscribes to all of `subscriptions` in one packet.
    ///
    /// # Errors
    ///
    /// [`NotTaken`].
    fn subscribe(&self, subscriptions: &[Subscription]) -> Result<(), NotTaken>;

    /// Publishes a message.
    ///
    /// # Errors
    ///
    /// [`NotTaken`].
    fn publish(&self, topic: &str, payload: Bytes, qos: Qos, retain: bool) -> Result<(), NotTaken>;

    /// Acknowledges the message that came with `packet_id`.
    ///
    /// # Errors
    ///
    /// [`NotTaken`]: the broker will send the message again.
    fn acknowledge(&self, packet_id: u16) -> Result<(), NotTaken>;

    /// Says goodbye.
    ///
    /// # Errors
    ///
    /// [`NotTaken`].
    fn disconnect(&self) -> Result<(), NotTaken>;
}
