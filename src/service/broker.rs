//! The embedded broker: rumqttd on loopback, for the demo, tests and replays through a broker.
//!
//! It is not meant for production: all is in memory, a slow QoS 1 subscriber loses messages, and
//! it cannot be stopped before the process ends.

use std::collections::HashMap;
use std::net::{Ipv4Addr, SocketAddr, TcpListener, TcpStream};
use std::thread;
use std::time::{Duration, Instant};

use rumqttd::{Broker, Config, ConnectionSettings, RouterConfig, ServerSettings};

/// Bytes of one segment of the broker's log of one filter; the smallest that holds a second of the
/// demo's traffic many times over (chosen).
const SEGMENT_BYTES: usize = 16 << 20;
/// Segments of one filter's log; the oldest is dropped beyond.
const SEGMENT_COUNT: usize = 4;
/// Clients at a time.
const MAX_CONNECTIONS: usize = 256;
/// Largest packet, bytes: 1 MiB of payload and its headers.
const MAX_PACKET_BYTES: usize = (1 << 20) + (1 << 16);
/// Unacknowledged messages of one client.
const MAX_INFLIGHT: usize = 1000;
/// How long a client may take for its CONNECT, milliseconds.
const CONNECT_TIMEOUT_MS: u16 = 5000;
/// How long the broker may take until it accepts.
const READY_TIMEOUT: Duration = Duration::from_secs(5);
/// Pause between two attempts to reach it.
const READY_POLL: Duration = Duration::from_millis(2);

/// What can keep the embedded broker from starting.
#[derive(Debug, thiserror::Error)]
pub enum BrokerError {
    /// The port is taken or may not be used.
    #[error("port {port} of loopback: {source}")]
    Port {
        /// The port asked for; 0 means any.
        port: u16,
        /// What the system said.
        source: std::io::Error,
    },
    /// The system gives no thread.
    #[error("starting the broker's thread: {0}")]
    Thread(std::io::Error),
    /// It does not accept connections.
    #[error("the embedded broker does not accept connections on {0}")]
    NotAccepting(SocketAddr),
}

/// A running embedded broker.
#[derive(Debug)]
pub struct Embedded {
    v4: SocketAddr,
    v5: SocketAddr,
}

impl Embedded {
    /// Starts a broker on `port` of loopback (0: any free one) and waits until it accepts.
    /// MQTT 3.1.1 is spoken on that port, MQTT 5 on another, free one.
    ///
    /// # Errors
    ///
    /// The port is taken, or the broker does not come up.
    pub fn start(port: u16) -> Result<Self, BrokerError> {
        let (v4, v5) = free_addresses(port)?;
        let mut broker = Broker::new(config(v4, v5));
        thread::Builder::new()
            .name("broker".into())
            .spawn(move || {
                if let Err(error) = broker.start() {
                    tracing::error!(%error, "The embedded broker stopped.");
                }
            })
            .map_err(BrokerError::Thread)?;
        wait_until_accepting(v4)?;
        wait_until_accepting(v5)?;
        Ok(Self { v4, v5 })
    }

    /// Where MQTT 3.1.1 is spoken.
    pub fn address(&self) -> SocketAddr {
        self.v4
    }

    /// Where MQTT 5 is spoken.
    pub fn v5_address(&self) -> SocketAddr {
        self.v5
    }
}

fn config(v4: SocketAddr, v5: SocketAddr) -> Config {
    Config {
        router: RouterConfig {
            max_connections: MAX_CONNECTIONS,
            max_outgoing_packet_count: 200,
            max_segment_size: SEGMENT_BYTES,
            max_segment_count: SEGMENT_COUNT,
            // One log that takes every topic: without a matching filter the broker would throw a
            // publisher out, and a log for each topic would grow without bound.
            initialized_filters: Some(vec!["#".into()]),
            ..RouterConfig::default()
        },
        v4: Some(HashMap::from([("v4".into(), server("broker-v4", v4))])),
        v5: Some(HashMap::from([("v5".into(), server("broker-v5", v5))])),
        ..Config::default()
    }
}

fn server(name: &str, listen: SocketAddr) -> ServerSettings {
    ServerSettings {
        name: name.into(),
        listen,
        tls: None,
        next_connection_delay_ms: 0,
        connections: ConnectionSettings {
            connection_timeout_ms: CONNECT_TIMEOUT_MS,
            max_payload_size: MAX_PACKET_BYTES,
            max_inflight_count: MAX_INFLIGHT,
            auth: None,
            external_auth: None,
            dynamic_filters: false,
        },
    }
}

/// `port` and another port of loopback that nobody listens on. The broker binds by itself and only
/// logs a failure, so a port in use is found here.
fn free_addresses(port: u16) -> Result<(SocketAddr, SocketAddr), BrokerError> {
    let bind = |port| {
        TcpListener::bind((Ipv4Addr::LOCALHOST, port))
            .and_then(|listener| Ok((listener.local_addr()?, listener)))
            .map_err(|source| BrokerError::Port { port, source })
    };
    let (v4, _held) = bind(port)?;
    let (v5, _) = bind(0)?;
    Ok((v4, v5))
}

fn wait_until_accepting(address: SocketAddr) -> Result<(), BrokerError> {
    let deadline = Instant::now() + READY_TIMEOUT;
    while TcpStream::connect(address).is_err() {
        if Instant::now() > deadline {
            return Err(BrokerError::NotAccepting(address));
        }
        thread::sleep(READY_POLL);
    }
    Ok(())
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn takes_a_free_port_and_refuses_a_taken_one() {
        let broker = Embedded::start(0).unwrap();
        let port = broker.address().port();
        assert_ne!(port, 0);
        assert!(matches!(
            Embedded::start(port),
            Err(BrokerError::Port { .. })
        ));
    }
}
