//! The documented JSON of roadcast's outputs, shared by MQTT and HTTP.
//!
//! It owns topics, fields and units of state, forecast, guidance, incidents and status, and cuts a network
//! into quadkey tiles. It sends nothing. `docs/topics.md` and `docs/schemas/` describe the same
//! for readers outside; a test holds the schemas against the types here.

mod congestion;
mod delta;
mod device;
#[cfg(test)]
pub(crate) mod fixture;
mod forecast;
mod freeways;
mod guidance;
mod incident;
mod json;
mod junctions;
mod outlook;
mod performance;
mod privacy;
mod recall;
mod roadside;
mod schema;
mod scores;
mod state;
mod status;
mod tiles;

pub use congestion::{
    CongestedSegmentEntry, DayReportMessage, IndexMessage, MostJammedEntry, PeakEntry,
    RegionDayEntry, day_message, index_entries, index_messages,
};
pub use delta::{StateDeltaMessage, StateTopics, TileMessages, has_changed};
pub use device::{DeviceAlert, DeviceMessage, device_message};
pub use forecast::{
    ClosedEntry, FlowForecastEntry, ForecastTileMessage, SegmentForecastEntry, forecast_messages,
};
pub use freeways::{
    FreewayJamEntry, FreewayPlace, FreewaysMessage, freeways_message, freeways_to_publish,
};
pub use guidance::{
    DiversionEntry, EvidenceEntry, GuidanceMessage, GuidanceTopics, JamEntry, KindLabel,
    PlaceEntry, TopicEntry,
};
pub use incident::{IncidentEvidenceEntry, IncidentMessage, IncidentTopics, incident_entry};
pub use junctions::JunctionTopics;
pub use outlook::{OutlookTileMessage, SegmentOutlookEntry, outlook_messages};
pub use performance::{
    BottlenecksMessage, CorridorMessage, CorridorsMessage, EmissionsMessage, bottlenecks_message,
    corridor_message, corridor_messages, corridors_message, emissions_message,
};
pub use privacy::Privacy;
pub use recall::guidance_of;
pub use roadside::{
    EventsMessage, JunctionsMessage, ParkingMessage, SignalsMessage, events_message,
    junctions_message, parking_message, signals_message,
};
pub use schema::schemas;
pub use scores::{
    FLOW_SPEAKERS, FlowFiguresEntry, FlowScoresEntry, ForecastFiguresEntry, ForecastScoresMessage,
    ForecasterLabel, ForecasterScoresEntry, OnsetEntry, OutlookForecasterLabel, OutlookScoresEntry,
    VoiceEntry, scored_steps, scores_message, scores_out,
};
pub use state::{ProvenanceLabel, SegmentStateEntry, StateTileMessage};
pub use status::{RunInfo, StatusLabel, StatusMessage, status_message, status_topic};
pub use tiles::{DEFAULT_TILE_ZOOM, TILE_SEGMENTS_MAX, Tile, TileTable};

pub(crate) use forecast::{
    step_levels, write_closed, write_congestion, write_flow, write_issue, write_levels,
    write_quantiles, write_voice,
};
pub(crate) use guidance::guidance_entry;
pub(crate) use json::JsonBuffer;
pub(crate) use outlook::write_outlook_issue;
pub(crate) use performance::derived_entry;
pub(crate) use state::write_segment_state;

/// Where every topic of this version begins.
pub const TOPIC_ROOT: &str = "roadcast/v1";

/// An empty retained payload: the broker forgets the topic.
fn cleared(topic: String) -> super::OutMessage {
    super::OutMessage {
        topic,
        payload: bytes::Bytes::new(),
        qos: 1,
        retain: true,
    }
}

/// A guidance id as it is written in topics and messages: 16 hexadecimal digits.
pub fn guidance_id(id: u64) -> String {
    format!("{id:016x}")
}
