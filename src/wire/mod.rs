//! Wire formats: bytes to messages to observations and back, one file a format.
//!
//! Decoding is total: it never fails and never panics. What cannot be read is counted in
//! [`Decoded::rejected`](crate::observation::Decoded) under a named reason, and the rest of the
//! payload is still used. Which format serves a topic is configuration: [`DecoderTable`].

pub mod asn1;
pub mod csae;
pub mod gtfs_realtime;
pub mod huawei;
pub mod its0117;
pub mod json;
pub mod jtt808;
pub mod openv2x;
pub mod orange;
pub mod protobuf;
pub mod quality;
pub mod records;

mod context;
mod csae_json;
mod gather;
mod iso_time;
mod order;
mod record;
mod subject;
mod table;
mod topic;
mod tree;

pub use asn1::{Dialect, UnknownDialect};
pub use context::Context;
pub use order::{INCIDENT_ORDERS, incident_order, incident_order_topic, is_incident_order};
pub use record::{ProbeRecord, SPEED_MPS_MAX, VehicleName};
pub use subject::{SubjectHasher, observer_id, subject_id, unit_id};
pub use table::{
    Address, DecodeLimits, DecoderTable, Format, Route, Sender, UnknownFormat, decode,
};
pub use topic::{FilterError, check_filter, filter_capture, filter_matches};
