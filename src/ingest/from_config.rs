//! Settings of the connections from the configuration.

use std::time::Duration;

use super::transport::{ConnectSettings, Credentials, Qos, Subscription};
use super::{IngestSettings, QueueSettings};
use crate::config::Config;
use crate::units::SourceId;

impl ConnectSettings {
    /// The connection `[mqtt]` describes, for the client called `client_id`.
    pub fn from_config(config: &Config, client_id: &str) -> Self {
        let (host, port) = &config.broker;
        let raw = &config.raw.mqtt;
        let mut settings = Self::new(host, *port, client_id);
        settings.protocol = config.protocol;
        settings.keep_alive = Duration::from_secs(u64::from(raw.keep_alive_s));
        settings.backoff.max = Duration::from_secs(raw.reconnect_s_max);
        settings.credentials = (!raw.username.is_empty()).then(|| Credentials {
            username: raw.username.clone(),
            password_file: raw.password_file.clone(),
        });
        settings
    }
}

impl IngestSettings {
    /// The ingest `[mqtt]` describes. The source of a message is the position of its route.
    pub fn from_config(config: &Config) -> Self {
        let raw = &config.raw.mqtt;
        let subscriptions = raw
            .routes
            .iter()
            .zip(0..)
            .map(|(route, index)| Subscription {
                filter: route.filter.clone(),
                qos: match route.qos {
                    0 => Qos::AtMostOnce,
                    _ => Qos::AtLeastOnce,
                },
                source: SourceId(index),
            })
            .collect();
        let connect = ConnectSettings::from_config(config, &raw.client_id);
        let mut settings = Self::new(connect, subscriptions);
        settings.queue = QueueSettings {
            messages: raw.queue_messages,
            ..settings.queue
        };
        settings.payload_bytes_max = config.limits.payload_bytes_max;
        settings
    }
}
