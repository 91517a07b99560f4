//! JSON Schemas of the messages, generated from their types.

use schemars::Schema;

use super::{
    BottlenecksMessage, CorridorMessage, CorridorsMessage, DayReportMessage, DeviceMessage,
    EmissionsMessage, EventsMessage, ForecastScoresMessage, ForecastTileMessage, FreewaysMessage,
    GuidanceMessage, IncidentMessage, IndexMessage, JunctionsMessage, OutlookTileMessage,
    ParkingMessage, SignalsMessage, StateDeltaMessage, StateTileMessage, StatusMessage,
};

/// File name and schema of every message, as kept in `docs/schemas/`.
pub fn schemas() -> [(&'static str, Schema); 20] {
    [
        (
            "bottlenecks.schema.json",
            schemars::schema_for!(BottlenecksMessage),
        ),
        (
            "corridor.schema.json",
            schemars::schema_for!(CorridorMessage),
        ),
        (
            "corridors.schema.json",
            schemars::schema_for!(CorridorsMessage),
        ),
        (
            "day-report.schema.json",
            schemars::schema_for!(DayReportMessage),
        ),
        (
            "emissions.schema.json",
            schemars::schema_for!(EmissionsMessage),
        ),
        ("device.schema.json", schemars::schema_for!(DeviceMessage)),
        ("events.schema.json", schemars::schema_for!(EventsMessage)),
        (
            "forecast.schema.json",
            schemars::schema_for!(ForecastTileMessage),
        ),
        (
            "freeways.schema.json",
            schemars::schema_for!(FreewaysMessage),
        ),
        (
            "guidance.schema.json",
            schemars::schema_for!(GuidanceMessage),
        ),
        ("index.schema.json", schemars::schema_for!(IndexMessage)),
        (
            "incident.schema.json",
            schemars::schema_for!(IncidentMessage),
        ),
        (
            "junctions.schema.json",
            schemars::schema_for!(JunctionsMessage),
        ),
        (
            "outlook.schema.json",
            schemars::schema_for!(OutlookTileMessage),
        ),
        ("parking.schema.json", schemars::schema_for!(ParkingMessage)),
        ("signals.schema.json", schemars::schema_for!(SignalsMessage)),
        (
            "scores.schema.json",
            schemars::schema_for!(ForecastScoresMessage),
        ),
        ("state.schema.json", schemars::schema_for!(StateTileMessage)),
        (
            "state_delta.schema.json",
            schemars::schema_for!(StateDeltaMessage),
        ),
        ("status.schema.json", schemars::schema_for!(StatusMessage)),
    ]
}

#[cfg(test)]
mod tests {
    use super::schemas;

    /// Run once with `ROADCAST_WRITE_SCHEMAS=1` after a change of the types.
    #[test]
    fn documented_schemas_are_those_of_the_types() {
        let folder = concat!(env!("CARGO_MANIFEST_DIR"), "/docs/schemas");
        let write = std::env::var_os("ROADCAST_WRITE_SCHEMAS").is_some();
        for (name, schema) in schemas() {
            let path = format!("{folder}/{name}");
            let mut text = serde_json::to_string_pretty(&schema).expect("a schema is JSON");
            text.push('\n');
            if write {
                std::fs::create_dir_all(folder).expect("docs/schemas can be made");
                std::fs::write(&path, &text).expect("docs/schemas can be written");
            }
            let documented = std::fs::read_to_string(&path).unwrap_or_default();
            assert!(
                documented == text,
                "{path} differs from the types: ROADCAST_WRITE_SCHEMAS=1 cargo test --lib schema"
            );
        }
    }
}
