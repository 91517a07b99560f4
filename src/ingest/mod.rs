//! MQTT sessions in: subscriptions, bounded hand-over, acknowledgement.
