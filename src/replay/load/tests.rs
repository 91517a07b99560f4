use super::*;
use crate::observation::{Decoded, RawMessage};
use crate::replay::city::{CitySize, build};
use crate::units::SourceId;
use crate::wire::{DecodeLimits, DecoderTable, Format, Route};

#[test]
fn every_format_and_batch_decodes_to_every_record() {
    let network = build(1, CitySize::Small).unwrap().network;
    let route = |filter: &str, format| Route::new(filter, format);
    let mut routes = crate::replay::traffic::default_routes();
    routes.push(route(
        "roadcast/v1/vehicle/+/batch/up",
        Format::NativeProtobuf,
    ));
    routes.push(route("roadcast/v1/rsu/+/batch/up", Format::NativeProtobuf));
    let table = DecoderTable::new(routes, DecodeLimits::default());
    for format in [LoadFormat::Json, LoadFormat::Protobuf, LoadFormat::Csae] {
        for batch in [1usize, 50, 300] {
            let settings = LoadSettings {
                host: String::new(),
                port: 0,
                credentials: None,
                client_id: String::new(),
                vehicles: 600,
                rate_hz: 2.0,
                batch,
                format,
                seconds: 2,
                is_acknowledged: false,
                seed: 1,
            };
            let (groups, mut ready) = mpsc::channel(1_000);
            make(&settings, Arc::clone(&network), &groups);
            drop(groups);
            let mut decoded = Decoded::default();
            let (mut claimed, mut read) = (0usize, 0usize);
            while let Ok(group) = ready.try_recv() {
                for message in group.messages {
                    claimed += message.records as usize;
                    decoded.clear();
                    table.decode(
                        &RawMessage {
                            received_at: Clock::wall().now(),
                            source: SourceId(0),
                            topic: message.topic,
                            payload: message.payload.into(),
                        },
                        &mut decoded,
                    );
                    assert_eq!(decoded.rejected.total(), 0);
                    read += decoded.observations.len();
                }
            }
            assert_eq!((claimed, read), (2_400, 2_400), "{format:?} {batch}");
        }
    }
}
