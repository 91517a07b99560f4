//! Outputs to messages: topics, JSON, V2X frames, the MQTT outbox and files.

pub mod downlink;
pub mod format;
pub mod mqtt;
pub mod outbox;
mod release;
pub mod rsi;

pub use release::{Release, Released};

/// One message on its way out, whatever carries it.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct OutMessage {
    /// MQTT topic.
    pub topic: String,
    /// The payload.
    pub payload: bytes::Bytes,
    /// MQTT quality of service, 0 or 1.
    pub qos: u8,
    /// Whether the broker keeps it for those who subscribe later.
    pub retain: bool,
}
