//! A connection kept up: connect, fall back, come back, say that we are there and that we leave.

use std::pin::pin;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, AtomicU64, Ordering};
use std::time::{Duration, Instant};

use rand::{Rng, SeedableRng};
use rand_chacha::ChaCha8Rng;
use tokio::sync::watch;

use crate::config::Protocol;

use super::rumqtt::{Mqtt5, Mqtt311};
use super::transport::{
    BackoffSettings, ConnectSettings, Event, Failure, Password, Qos, Requests, Transport,
    TransportError,
};

/// A connection that lasted this long was a good one: the next wait begins at the minimum again.
/// Chosen; two clients of one id that throw each other out never get there.
const STABLE_AFTER: Duration = Duration::from_secs(10);
/// Short connections in a row that raise the alarm. Chosen: a broker that is being restarted makes
/// one or two.
const SUSPICIOUS: u64 = 3;
/// Longest time spent on saying goodbye.
const GOODBYE_TIMEOUT: Duration = Duration::from_secs(2);

/// State of a connection and how it fared; readable from any thread.
#[derive(Debug, Default)]
pub struct LinkStats {
    /// Whether the broker has accepted us and the connection stands.
    pub connected: AtomicBool,
    /// Connections made.
    pub connects: AtomicU64,
    /// Attempts that failed and connections that broke.
    pub failures: AtomicU64,
    /// Connections in a row that broke within seconds. From three on, most likely another client
    /// uses our client id: each connect throws the other one out. (MQTT 5 brokers say so, but
    /// Mosquitto in a form that rumqttc 0.25 skips; 3.1.1 has no words for it.)
    pub short_lived: AtomicU64,
    /// Connections on which a packet exceeded the limit of one side.
    pub oversized: AtomicU64,
}

impl LinkStats {
    /// Connections made after the first.
    pub fn reconnects(&self) -> u64 {
        self.connects.load(Ordering::Relaxed).saturating_sub(1)
    }
}

/// What is done with a connection while it stands.
pub trait Handler: Send {
    /// The broker accepted the connection.
    fn connected(&mut self, requests: &Arc<dyn Requests>, packet_bytes_max: Option<u32>);

    /// Takes all of `events`.
    fn handle(&mut self, events: &mut Vec<Event>, requests: &Arc<dyn Requests>);

    /// Waits until more can be taken; nothing is read from the connection meanwhile.
    fn ready(&self) -> impl Future<Output = ()> + Send;

    /// The connection is gone; requests to it are void.
    fn disconnected(&mut self);
}

/// Keeps a connection up until `closing` holds `true`.
pub async fn run<H: Handler>(
    settings: ConnectSettings,
    stats: &LinkStats,
    mut handler: H,
    mut closing: watch::Receiver<bool>,
) {
    let mut backoff = Backoff::new(settings.backoff);
    let mut protocol = settings.protocol;
    let mut settled = protocol != Protocol::Auto;
    loop {
        let began = Instant::now();
        let before = stats.connects.load(Ordering::Relaxed);
        let error = match attempt(&settings, protocol, stats, &mut handler, &mut closing).await {
            Ok(()) => return,
            Err(error) => error,
        };
        stats.failures.fetch_add(1, Ordering::Relaxed);
        let was_connected = stats.connects.load(Ordering::Relaxed) != before;
        count(&settings, stats, &error, was_connected);
        if was_connected {
            settled = true;
            if began.elapsed() > STABLE_AFTER {
                backoff.reset();
                stats.short_lived.store(0, Ordering::Relaxed);
            } else if stats.short_lived.fetch_add(1, Ordering::Relaxed) + 1 == SUSPICIOUS {
                tracing::error!(client_id = %settings.client_id,
                    "The connection breaks again and again: another client may use our client id.");
            }
        } else if !settled && matches!(error.failure, Failure::Handshake | Failure::Lost) {
            protocol = match protocol {
                Protocol::V311 => Protocol::V5,
                _ => Protocol::V311,
            };
        }
        tokio::select! {
            () = tokio::time::sleep(backoff.next_wait()) => {}
            () = asked_to_close(&mut closing) => return,
        }
    }
}

fn count(settings: &ConnectSettings, stats: &LinkStats, error: &TransportError, connected: bool) {
    let client_id = &settings.client_id;
    match error.failure {
        Failure::TakenOver => {
            tracing::error!(%client_id, "Another client uses our client id.");
        }
        Failure::Oversized => {
            stats.oversized.fetch_add(1, Ordering::Relaxed);
            tracing::error!(%client_id, %error, "A packet exceeded the limit.");
        }
        Failure::Refused => tracing::error!(%client_id, %error, "The broker refuses us."),
        _ if connected => tracing::warn!(%client_id, %error, "The connection broke."),
        _ => tracing::warn!(%client_id, %error, "The broker could not be reached."),
    }
}

/// One connection; `Ok` when closed on request.
async fn attempt<H: Handler>(
    settings: &ConnectSettings,
    protocol: Protocol,
    stats: &LinkStats,
    handler: &mut H,
    closing: &mut watch::Receiver<bool>,
) -> Result<(), TransportError> {
    let password = match &settings.credentials {
        Some(credentials) => {
            let path = &credentials.password_file;
            let password = Password::read(path).map_err(|error| TransportError {
                failure: Failure::Refused,
                message: format!("password file {}: {error}", path.display()),
            })?;
            Some(password)
        }
        None => None,
    };
    let password = password.as_ref();
    let result = match protocol {
        Protocol::Auto | Protocol::V5 => {
            drive(
                Mqtt5::open(settings, password),
                settings,
                stats,
                handler,
                closing,
            )
            .await
        }
        Protocol::V311 => {
            drive(
                Mqtt311::open(settings, password),
                settings,
                stats,
                handler,
                closing,
            )
            .await
        }
    };
    if stats.connected.swap(false, Ordering::Relaxed) {
        handler.disconnected();
    }
    result
}

async fn drive<T: Transport, H: Handler>(
    mut transport: T,
    settings: &ConnectSettings,
    stats: &LinkStats,
    handler: &mut H,
    closing: &mut watch::Receiver<bool>,
) -> Result<(), TransportError> {
    let requests = transport.requests();
    let mut events = Vec::new();
    let mut own_status = OwnStatus::default();
    let mut closed = pin!(asked_to_close(closing));
    loop {
        let result = tokio::select! {
            result = transport.next(&mut events) => result,
            () = &mut closed => {
                goodbye(transport, settings, &requests).await;
                return Ok(());
            }
        };
        if let Some(Event::Connected {
            packet_bytes_max, ..
        }) = events.first()
        {
            let packet_bytes_max = *packet_bytes_max;
            if let Some(status) = &settings.status {
                let online = status.online.clone();
                own_status.awaited = requests
                    .publish(&status.topic, online, Qos::AtLeastOnce, true)
                    .is_ok();
            }
            stats.connects.fetch_add(1, Ordering::Relaxed);
            stats.connected.store(true, Ordering::Relaxed);
            handler.connected(&requests, packet_bytes_max);
            tracing::info!(client_id = %settings.client_id, "Connected.");
        }
        own_status.take_out(&mut events);
        handler.handle(&mut events, &requests);
        result?;
        tokio::select! {
            biased;
            () = handler.ready() => {}
            () = &mut closed => {
                goodbye(transport, settings, &requests).await;
                return Ok(());
            }
        }
    }
}

/// Waits until the owner wants the connection closed, or is gone.
async fn asked_to_close(closing: &mut watch::Receiver<bool>) {
    if closing.wait_for(|closing| *closing).await.is_err() {
        tracing::debug!("The owner of a connection is gone.");
    }
}

/// Publishes `offline`, disconnects, and waits until the broker hangs up.
async fn goodbye<T: Transport>(
    mut transport: T,
    settings: &ConnectSettings,
    requests: &Arc<dyn Requests>,
) {
    let mut asked = Ok(());
    if let Some(status) = &settings.status {
        asked = requests.publish(
            &status.topic,
            status.offline.clone(),
            Qos::AtLeastOnce,
            true,
        );
    }
    let asked = asked.and_then(|()| requests.disconnect());
    let hung_up = async {
        let mut events = Vec::new();
        while transport.next(&mut events).await.is_ok() {
            events.clear();
        }
    };
    let left = tokio::time::timeout(GOODBYE_TIMEOUT, hung_up).await;
    if asked.is_err() || left.is_err() {
        tracing::warn!(client_id = %settings.client_id, "The broker did not hear us leave.");
    }
}

/// Keeps the handler from seeing the fate of the session's own status message, which is the first
/// QoS 1 message of a connection.
#[derive(Default)]
struct OwnStatus {
    awaited: bool,
    packet_id: Option<u16>,
}

impl OwnStatus {
    fn take_out(&mut self, events: &mut Vec<Event>) {
        if !self.awaited && self.packet_id.is_none() {
            return;
        }
        events.retain(|event| match event {
            Event::Sent(packet_id) if self.awaited => {
                self.awaited = false;
                self.packet_id = Some(*packet_id);
                false
            }
            Event::Acknowledged { packet_id, .. } if self.packet_id == Some(*packet_id) => {
                self.packet_id = None;
                false
            }
            _ => true,
        });
    }
}

/// Doubling waits with jitter.
struct Backoff {
    settings: BackoffSettings,
    next: Duration,
    rng: ChaCha8Rng,
}

impl Backoff {
    fn new(settings: BackoffSettings) -> Self {
        Self {
            settings,
            next: settings.min,
            rng: ChaCha8Rng::seed_from_u64(settings.seed),
        }
    }

    fn reset(&mut self) {
        self.next = self.settings.min;
    }

    fn next_wait(&mut self) -> Duration {
        let wait = self.next.mul_f64(self.rng.random_range(0.5..=1.0));
        self.next = (self.next * 2).min(self.settings.max);
        wait
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn waits_double_up_to_the_cap_and_begin_anew() {
        let settings = BackoffSettings {
            min: Duration::from_millis(100),
            max: Duration::from_secs(1),
            seed: 7,
        };
        let mut backoff = Backoff::new(settings);
        let mut again = Backoff::new(settings);
        for whole_ms in [100, 200, 400, 800, 1000, 1000] {
            let wait = backoff.next_wait();
            assert!(wait <= Duration::from_millis(whole_ms));
            assert!(wait >= Duration::from_millis(whole_ms / 2));
            assert_eq!(wait, again.next_wait(), "the seed decides");
        }
        backoff.reset();
        assert!(backoff.next_wait() <= Duration::from_millis(100));
    }

    #[test]
    fn the_status_message_is_not_shown_to_the_handler() {
        let mut own = OwnStatus {
            awaited: true,
            packet_id: None,
        };
        let ack = |packet_id| Event::Acknowledged {
            packet_id,
            accepted: true,
        };
        let mut events = vec![Event::Sent(1), Event::Sent(2), ack(2), ack(1), ack(1)];
        own.take_out(&mut events);
        assert_eq!(events, [Event::Sent(2), ack(2), ack(1)]);
    }
}
