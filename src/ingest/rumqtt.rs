//! [`Transport`] over rumqttc, once for MQTT 5 and once for 3.1.1.
//!
//! Each connection has its own event loop, which is dropped with it: rumqttc would otherwise
//! carry requests over to the next connection, or silently drop them there, depending on what the
//! broker remembers.

use std::sync::Arc;
use std::time::Duration;

use bytes::Bytes;
use rumqttc::v5;
use rumqttc::{self as v4, NetworkOptions, Outgoing};

use super::transport::{
    ConnectSettings, Event, Failure, NotTaken, Password, Qos, Requests, Subscription, Transport,
    TransportError,
};

/// Requests that may wait. rumqttc reads up to ten messages for each request it takes, and a broker
/// under load was seen to send beyond the Receive Maximum, so acknowledgements pile up when this
/// process is short of CPU. Beyond this many they are left out, counted as stale, and the messages
/// come again on the next connection. Memory is only used when they do pile up.
const REQUESTS_MAX: usize = 1 << 19;

/// Largest packet of MQTT, bytes. With 3.1.1 the client cannot announce a limit: refusing a packet
/// means hanging up, and a QoS 1 message would come back for ever. So the broker's limit counts.
const PACKET_BYTES_LARGEST: usize = 268_435_455;

/// A connection that speaks MQTT 5.
pub(super) struct Mqtt5 {
    client: v5::AsyncClient,
    eventloop: v5::EventLoop,
}

/// A connection that speaks MQTT 3.1.1.
pub(super) struct Mqtt311 {
    client: v4::AsyncClient,
    eventloop: v4::EventLoop,
}

impl Transport for Mqtt5 {
    fn open(settings: &ConnectSettings, password: Option<&Password>) -> Self {
        let mut options = v5::MqttOptions::new(&settings.client_id, host(settings), settings.port);
        let mut properties = v5::mqttbytes::v5::ConnectProperties::new();
        properties.receive_maximum = Some(settings.receive_maximum.max(1));
        properties.max_packet_size = Some(settings.packet_bytes_max);
        properties.session_expiry_interval =
            Some(u32::try_from(settings.session_expiry.as_secs()).unwrap_or(u32::MAX));
        options
            .set_connect_properties(properties)
            .set_clean_start(settings.session_expiry.is_zero())
            .set_keep_alive(keep_alive(settings))
            .set_connection_timeout(settings.connect_timeout.as_secs().max(1))
            .set_outgoing_inflight_upper_limit(settings.inflight_maximum.max(1))
            .set_network_options(network(settings))
            .set_manual_acks(true);
        if let Some((username, password)) = credentials(settings, password) {
            options.set_credentials(username, password);
        }
        if let Some(status) = &settings.status {
            options.set_last_will(v5::mqttbytes::v5::LastWill::new(
                &status.topic,
                status.offline.to_vec(),
                v5::mqttbytes::QoS::AtLeastOnce,
                true,
                None,
            ));
        }
        let (client, eventloop) = v5::AsyncClient::new(options, REQUESTS_MAX);
        Self { client, eventloop }
    }

    fn requests(&self) -> Arc<dyn Requests> {
        Arc::new(Requests5(self.client.clone()))
    }

    async fn next(&mut self, events: &mut Vec<Event>) -> Result<(), TransportError> {
        let first = self.eventloop.poll().await;
        let first = first.map(|event| events.extend(event_of_5(event)));
        // What was read along with it; also before an error, which would discard it.
        let rest = self.eventloop.state.events.drain(..);
        events.extend(rest.filter_map(event_of_5));
        first.map_err(error_of_5)?;
        Ok(())
    }
}

impl Transport for Mqtt311 {
    fn open(settings: &ConnectSettings, password: Option<&Password>) -> Self {
        let mut options = v4::MqttOptions::new(&settings.client_id, host(settings), settings.port);
        options
            .set_clean_session(settings.session_expiry.is_zero())
            .set_keep_alive(keep_alive(settings))
            .set_max_packet_size(PACKET_BYTES_LARGEST, settings.packet_bytes_max as usize)
            .set_inflight(settings.inflight_maximum.max(1))
            .set_manual_acks(true);
        if let Some((username, password)) = credentials(settings, password) {
            options.set_credentials(username, password);
        }
        if let Some(status) = &settings.status {
            options.set_last_will(v4::LastWill::new(
                &status.topic,
                status.offline.to_vec(),
                v4::QoS::AtLeastOnce,
                true,
            ));
        }
        let (client, mut eventloop) = v4::AsyncClient::new(options, REQUESTS_MAX);
        eventloop.network_options = network(settings);
        Self { client, eventloop }
    }

    fn requests(&self) -> Arc<dyn Requests> {
        Arc::new(Requests311(self.client.clone()))
    }

    async fn next(&mut self, events: &mut Vec<Event>) -> Result<(), TransportError> {
        let first = self.eventloop.poll().await;
        let first = first.map(|event| events.extend(event_of_311(event)));
        let rest = self.eventloop.state.events.drain(..);
        events.extend(rest.filter_map(event_of_311));
        first.map_err(error_of_311)?;
        Ok(())
    }
}

/// rumqttc puts host and port together with a colon, so an IPv6 address needs its brackets.
fn host(settings: &ConnectSettings) -> String {
    let host = &settings.host;
    if host.contains(':') && !host.starts_with('[') {
        format!("[{host}]")
    } else {
        host.clone()
    }
}

/// rumqttc asserts at least 5 s.
fn keep_alive(settings: &ConnectSettings) -> Duration {
    settings.keep_alive.clamp(
        Duration::from_secs(5),
        Duration::from_secs(u64::from(u16::MAX)),
    )
}

fn network(settings: &ConnectSettings) -> NetworkOptions {
    let mut options = NetworkOptions::new();
    options.set_tcp_nodelay(settings.tcp_nodelay);
    options.set_connection_timeout(settings.connect_timeout.as_secs().max(1));
    options
}

fn credentials<'a>(
    settings: &'a ConnectSettings,
    password: Option<&'a Password>,
) -> Option<(&'a str, &'a str)> {
    let username = settings.credentials.as_ref()?.username.as_str();
    Some((username, password.map_or("", Password::expose)))
}

fn event_of_5(event: v5::Event) -> Option<Event> {
    use v5::mqttbytes::v5::{Packet, PubAckReason, SubscribeReasonCode};
    let event = match event {
        v5::Event::Incoming(Packet::Publish(publish)) => Event::Message {
            topic: publish.topic,
            payload: publish.payload,
            packet_id: publish.pkid,
        },
        v5::Event::Incoming(Packet::PubAck(ack)) => Event::Acknowledged {
            packet_id: ack.pkid,
            accepted: matches!(
                ack.reason,
                PubAckReason::Success | PubAckReason::NoMatchingSubscribers
            ),
        },
        v5::Event::Incoming(Packet::ConnAck(ack)) => Event::Connected {
            session_present: ack.session_present,
            packet_bytes_max: ack
                .properties
                .and_then(|properties| properties.max_packet_size),
        },
        v5::Event::Incoming(Packet::SubAck(ack)) => Event::Subscribed(
            ack.return_codes
                .iter()
                .map(|code| matches!(code, SubscribeReasonCode::Success(_)))
                .collect(),
        ),
        v5::Event::Incoming(Packet::PingResp(_)) => Event::Alive,
        v5::Event::Outgoing(Outgoing::Publish(packet_id)) => Event::Sent(packet_id),
        _ => return None,
    };
    Some(event)
}

fn event_of_311(event: v4::Event) -> Option<Event> {
    use v4::{Packet, SubscribeReasonCode};
    let event = match event {
        v4::Event::Incoming(Packet::Publish(publish)) => Event::Message {
            topic: Bytes::from(publish.topic),
            payload: publish.payload,
            packet_id: publish.pkid,
        },
        v4::Event::Incoming(Packet::PubAck(ack)) => Event::Acknowledged {
            packet_id: ack.pkid,
            accepted: true,
        },
        v4::Event::Incoming(Packet::ConnAck(ack)) => Event::Connected {
            session_present: ack.session_present,
            packet_bytes_max: None,
        },
        v4::Event::Incoming(Packet::SubAck(ack)) => Event::Subscribed(
            ack.return_codes
                .iter()
                .map(|code| matches!(code, SubscribeReasonCode::Success(_)))
                .collect(),
        ),
        v4::Event::Incoming(Packet::PingResp) => Event::Alive,
        v4::Event::Outgoing(Outgoing::Publish(packet_id)) => Event::Sent(packet_id),
        _ => return None,
    };
    Some(event)
}

fn error_of_5(error: v5::ConnectionError) -> TransportError {
    use v5::mqttbytes::Error as Codec;
    use v5::mqttbytes::v5::{ConnectReturnCode as Code, DisconnectReasonCode as Reason};
    use v5::{ConnectionError as E, StateError as S};
    let failure = match &error {
        E::Io(_) | E::Timeout(_) => Failure::Unreachable,
        E::ConnectionRefused(
            Code::RefusedProtocolVersion
            | Code::UnsupportedProtocolVersion
            | Code::UnspecifiedError
            | Code::MalformedPacket
            | Code::ProtocolError,
        )
        | E::NotConnAck(_) => Failure::Handshake,
        E::ConnectionRefused(_) | E::MqttState(S::ConnFail { .. }) => Failure::Refused,
        E::MqttState(S::ServerDisconnect {
            reason_code: Reason::SessionTakenOver,
            ..
        }) => Failure::TakenOver,
        E::MqttState(
            S::IncomingPacketTooLarge { .. }
            | S::OutgoingPacketTooLarge { .. }
            | S::Deserialization(
                Codec::PayloadSizeLimitExceeded { .. } | Codec::OutgoingPacketTooLarge { .. },
            ),
        ) => Failure::Oversized,
        _ => Failure::Lost,
    };
    TransportError {
        failure,
        message: error.to_string(),
    }
}

fn error_of_311(error: v4::ConnectionError) -> TransportError {
    use v4::{ConnectReturnCode as Code, ConnectionError as E, StateError as S};
    let failure = match &error {
        E::Io(_) | E::NetworkTimeout => Failure::Unreachable,
        E::ConnectionRefused(Code::RefusedProtocolVersion) | E::NotConnAck(_) => Failure::Handshake,
        E::ConnectionRefused(_) => Failure::Refused,
        E::MqttState(S::Deserialization(
            v4::Error::PayloadSizeLimitExceeded(_) | v4::Error::OutgoingPacketTooLarge { .. },
        )) => Failure::Oversized,
        _ => Failure::Lost,
    };
    TransportError {
        failure,
        message: error.to_string(),
    }
}

struct Requests5(v5::AsyncClient);
struct Requests311(v4::AsyncClient);

impl std::fmt::Debug for Requests5 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Requests5")
    }
}

impl std::fmt::Debug for Requests311 {
    fn fmt(&self, f: &mut std::fmt::Formatter<'_>) -> std::fmt::Result {
        f.write_str("Requests311")
    }
}

impl Requests for Requests5 {
    fn subscribe(&self, subscriptions: &[Subscription]) -> Result<(), NotTaken> {
        use v5::mqttbytes::QoS;
        let filters = subscriptions.iter().map(|subscription| {
            v5::mqttbytes::v5::Filter::new(
                &subscription.filter,
                match subscription.qos {
                    Qos::AtMostOnce => QoS::AtMostOnce,
                    Qos::AtLeastOnce => QoS::AtLeastOnce,
                },
            )
        });
        self.0.try_subscribe_many(filters).map_err(|_full| NotTaken)
    }

    fn publish(&self, topic: &str, payload: Bytes, qos: Qos, retain: bool) -> Result<(), NotTaken> {
        use v5::mqttbytes::QoS;
        let qos = match qos {
            Qos::AtMostOnce => QoS::AtMostOnce,
            Qos::AtLeastOnce => QoS::AtLeastOnce,
        };
        self.0
            .try_publish(topic, qos, retain, payload)
            .map_err(|_full| NotTaken)
    }

    fn acknowledge(&self, packet_id: u16) -> Result<(), NotTaken> {
        let publish = v5::mqttbytes::v5::Publish {
            qos: v5::mqttbytes::QoS::AtLeastOnce,
            pkid: packet_id,
            ..Default::default()
        };
        self.0.try_ack(&publish).map_err(|_full| NotTaken)
    }

    fn disconnect(&self) -> Result<(), NotTaken> {
        self.0.try_disconnect().map_err(|_full| NotTaken)
    }
}

impl Requests for Requests311 {
    fn subscribe(&self, subscriptions: &[Subscription]) -> Result<(), NotTaken> {
        let filters = subscriptions.iter().map(|subscription| {
            v4::SubscribeFilter::new(subscription.filter.clone(), qos_311(subscription.qos))
        });
        self.0.try_subscribe_many(filters).map_err(|_full| NotTaken)
    }

    fn publish(&self, topic: &str, payload: Bytes, qos: Qos, retain: bool) -> Result<(), NotTaken> {
        self.0
            .try_publish(topic, qos_311(qos), retain, payload)
            .map_err(|_full| NotTaken)
    }

    fn acknowledge(&self, packet_id: u16) -> Result<(), NotTaken> {
        let mut publish = v4::Publish::new("", v4::QoS::AtLeastOnce, Vec::new());
        publish.pkid = packet_id;
        self.0.try_ack(&publish).map_err(|_full| NotTaken)
    }

    fn disconnect(&self) -> Result<(), NotTaken> {
        self.0.try_disconnect().map_err(|_full| NotTaken)
    }
}

fn qos_311(qos: Qos) -> v4::QoS {
    match qos {
        Qos::AtMostOnce => v4::QoS::AtMostOnce,
        Qos::AtLeastOnce => v4::QoS::AtLeastOnce,
    }
}
