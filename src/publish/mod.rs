//! Outputs to messages: topics, JSON, V2X frames, the MQTT outbox and files.
