//! The documented JSON of roadcast's outputs, shared by MQTT and HTTP.
//!
//! It owns topics, fields and units of state, forecast, guidance and status, and cuts a network
//! into quadkey tiles. It sends nothing. `docs/topics.md` and `docs/schemas/` describe the same
//! for readers outside; a test holds the schemas against the types here.

mod delta;
mod device;
#[cfg(test)]
pub(crate) mod fixture;
mod forecast;
mod guidance;
mod json;
mod privacy;
mod recall;
mod roadside;
mod schema;
mod state;
mod status;
mod tiles;

pub use delta::{StateDeltaMessage, StateTopics, TileMessages, has_changed};
pub use device::{DeviceAlert, DeviceMessage, device_message};
pub use forecast::{ForecastTileMessage, SegmentForecastEntry, forecast_messages};
pub use guidance::{
    DiversionEntry, EvidenceEntry, GuidanceMessage, GuidanceTopics, JamEntry, KindLabel,
    PlaceEntry, TopicEntry,
};
pub use privacy::Privacy;
pub use recall::guidance_of;
pub use roadside::{
    EventsMessage, JunctionsMessage, ParkingMessage, SignalsMessage, events_message,
    junctions_message, parking_message, signals_message,
};
pub use schema::schemas;
pub use state::{ProvenanceLabel, SegmentStateEntry, StateTileMessage};
pub use status::{RunInfo, StatusLabel, StatusMessage, status_message, status_topic};
pub use tiles::{DEFAULT_TILE_ZOOM, TILE_SEGMENTS_MAX, Tile, TileTable};

pub(crate) use forecast::{step_levels, write_issue, write_quantiles};
pub(crate) use guidance::guidance_entry;
pub(crate) use json::JsonBuffer;
pub(crate) use state::write_segment_state;

/// Where every topic of this version begins.
pub const TOPIC_ROOT: &str = "roadcast/v1";

/// A guidance id as it is written in topics and messages: 16 hexadecimal digits.
pub fn guidance_id(id: u64) -> String {
    format!("{id:016x}")
}
