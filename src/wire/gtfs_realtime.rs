//! Bus positions: GTFS-Realtime `FeedMessage` with vehicle positions, protobuf.
//!
//! Only what traffic state needs is declared; fields beyond it are skipped by protobuf's own rules.
//! Trip updates and alerts are `unsupported_kind`. Source: the GTFS-Realtime reference (v2.0),
//! gtfs-realtime.proto.

use prost::Message;

use crate::observation::{Decoded, Observation, Origin, RejectReason};
use crate::units::{Position, Timestamp};

use super::context::Context;
use super::gather::{Gather, Record};
use super::record::Fix;
use super::subject::subject_id;

#[derive(Clone, PartialEq, prost::Message)]
struct FeedMessage {
    #[prost(message, optional, tag = "1")]
    header: Option<FeedHeader>,
    #[prost(message, repeated, tag = "2")]
    entity: Vec<FeedEntity>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FeedHeader {
    #[prost(string, tag = "1")]
    gtfs_realtime_version: String,
    #[prost(uint64, optional, tag = "3")]
    timestamp: Option<u64>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FeedEntity {
    #[prost(string, tag = "1")]
    id: String,
    #[prost(bool, optional, tag = "2")]
    is_deleted: Option<bool>,
    #[prost(message, optional, tag = "4")]
    vehicle: Option<VehiclePosition>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VehiclePosition {
    #[prost(message, optional, tag = "2")]
    position: Option<FeedPosition>,
    #[prost(uint64, optional, tag = "5")]
    timestamp: Option<u64>,
    #[prost(message, optional, tag = "8")]
    vehicle: Option<VehicleDescriptor>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct FeedPosition {
    #[prost(float, optional, tag = "1")]
    latitude: Option<f32>,
    #[prost(float, optional, tag = "2")]
    longitude: Option<f32>,
    #[prost(float, optional, tag = "3")]
    bearing: Option<f32>,
    #[prost(float, optional, tag = "5")]
    speed: Option<f32>,
}

#[derive(Clone, PartialEq, prost::Message)]
struct VehicleDescriptor {
    #[prost(string, optional, tag = "1")]
    id: Option<String>,
}

/// One bus, for senders.
#[derive(Clone, Debug, PartialEq)]
pub struct BusPosition {
    /// What its operator calls it; not empty.
    pub id: String,
    /// When, to the second.
    pub observed_at: Timestamp,
    /// Where, to the precision of `f32` (about 1 m at 114 E).
    pub position: Position,
    /// Speed in m/s.
    pub speed_mps: Option<f32>,
    /// Heading in degrees clockwise from north.
    pub heading_deg: Option<f32>,
}

/// Adds the buses of `payload` to `out`; records beyond the limit are counted, not used. Protobuf
/// that breaks off is refused whole.
pub fn decode(payload: &[u8], context: &Context<'_>, out: &mut Decoded) {
    let mut gather = Gather::new(out, context.records_max);
    // An empty payload is a feed without its header, which the format requires.
    let feed = match FeedMessage::decode(payload) {
        Ok(feed) if feed.header.is_some() => feed,
        Ok(_) => return gather.refuse(RejectReason::MissingField),
        Err(_) => return gather.refuse(RejectReason::Malformed),
    };
    let sent_s = feed.header.and_then(|header| header.timestamp);
    for entity in &feed.entity {
        if entity.is_deleted != Some(true) {
            gather.observation(observation(entity, sent_s));
        }
    }
}

fn observation(entity: &FeedEntity, sent_s: Option<u64>) -> Record<Observation> {
    let vehicle = entity
        .vehicle
        .as_ref()
        .ok_or(RejectReason::UnsupportedKind)?;
    let seconds = vehicle.timestamp.or(sent_s);
    let seconds = seconds.ok_or(RejectReason::MissingField)?;
    let place = vehicle
        .position
        .as_ref()
        .ok_or(RejectReason::MissingField)?;
    let (Some(lat), Some(lon)) = (place.latitude, place.longitude) else {
        return Err(RejectReason::MissingField);
    };
    let named = vehicle.vehicle.as_ref().and_then(|named| named.id.as_ref());
    let name = named.filter(|name| !name.is_empty()).unwrap_or(&entity.id);
    if name.is_empty() {
        return Err(RejectReason::MissingField);
    }
    let fix = Fix {
        observed_ms: i64::try_from(seconds)
            .unwrap_or(i64::MAX)
            .saturating_mul(1000),
        subject: subject_id(name.as_bytes()),
        position: Position::new(f64::from(lon), f64::from(lat)),
        speed_mps: place.speed.map(f64::from),
        heading_deg: place.bearing.map(f64::from),
    };
    fix.observation(Origin::Probe)
}

/// Writes `buses` as one feed message of `sent_at`.
pub fn encode(sent_at: Timestamp, buses: &[BusPosition]) -> Vec<u8> {
    let seconds = |at: Timestamp| u64::try_from(at.as_secs()).unwrap_or(0);
    let entity = buses.iter().map(|bus| FeedEntity {
        id: bus.id.clone(),
        is_deleted: None,
        vehicle: Some(VehiclePosition {
            position: Some(FeedPosition {
                latitude: Some(bus.position.lat_deg as f32),
                longitude: Some(bus.position.lon_deg as f32),
                bearing: bus.heading_deg,
                speed: bus.speed_mps,
            }),
            timestamp: Some(seconds(bus.observed_at)),
            vehicle: Some(VehicleDescriptor {
                id: Some(bus.id.clone()),
            }),
        }),
    });
    let feed = FeedMessage {
        header: Some(FeedHeader {
            gtfs_realtime_version: "2.0".to_owned(),
            timestamp: Some(seconds(sent_at)),
        }),
        entity: entity.collect(),
    };
    feed.encode_to_vec()
}

#[cfg(test)]
mod tests {
    use proptest::prelude::*;

    use super::*;

    fn decoded(payload: &[u8]) -> Decoded {
        let context = Context {
            received_at: Timestamp::from_secs(0),
            device: None,
            records_max: 100,
            light_codes: crate::wire::records::LightCodes::public(),
        };
        let mut out = Decoded::default();
        decode(payload, &context, &mut out);
        out
    }

    #[test]
    fn bytes_written_by_hand_are_read() {
        // header { version "2.0", timestamp 1764000000 }, entity { id "1", vehicle { position
        // { latitude 30.5, longitude 114.25, bearing 90, speed 8 }, vehicle { id "B" } } }
        let position = [
            0x0d, 0, 0, 0xf4, 0x41, 0x15, 0, 0x80, 0xe4, 0x42, 0x1d, 0, 0, 0xb4, 0x42, 0x2d, 0, 0,
            0, 0x41,
        ];
        let mut vehicle = vec![0x12, position.len() as u8];
        vehicle.extend(position);
        vehicle.extend([0x42, 3, 0x0a, 1, b'B']);
        let mut entity = vec![0x0a, 1, b'1', 0x22, vehicle.len() as u8];
        entity.extend(&vehicle);
        let mut feed = vec![0x0a, 11, 0x0a, 3, b'2', b'.', b'0', 0x18];
        feed.extend([0x80, 0x82, 0x92, 0xc9, 0x06]);
        feed.extend([0x12, entity.len() as u8]);
        feed.extend(&entity);
        let out = decoded(&feed);
        let [bus] = out.observations[..] else {
            panic!("{out:?}")
        };
        assert_eq!(bus.subject, subject_id(b"B"));
        assert_eq!(bus.position, Position::new(114.25, 30.5));
        assert_eq!((bus.speed_mps, bus.heading_deg), (Some(8.0), Some(90.0)));
        assert_eq!(decoded(&[]).rejected.get(RejectReason::MissingField), 1);
        assert_eq!(
            decoded(&feed[..feed.len() - 1])
                .rejected
                .get(RejectReason::Malformed),
            1
        );
    }

    proptest! {
        #[test]
        fn buses_come_back(
            buses in proptest::collection::vec(
                ("[a-z0-9]{1,8}", 0i64..4_000_000_000, -180.0f32..180.0, -90.0f32..90.0,
                 proptest::option::of(0.0f32..70.0)), 0..6),
        ) {
            let buses: Vec<BusPosition> = buses
                .into_iter()
                .map(|(id, second, lon, lat, speed_mps)| BusPosition {
                    id,
                    observed_at: Timestamp::from_secs(second),
                    position: Position::new(f64::from(lon), f64::from(lat)),
                    speed_mps,
                    heading_deg: speed_mps,
                })
                .collect();
            let out = decoded(&encode(Timestamp::from_secs(1), &buses));
            prop_assert_eq!(out.observations.len(), buses.len());
            for (back, bus) in out.observations.iter().zip(&buses) {
                prop_assert_eq!(back.subject, subject_id(bus.id.as_bytes()));
                prop_assert_eq!(back.observed_at, bus.observed_at);
                prop_assert_eq!(back.position, bus.position);
                prop_assert_eq!(back.speed_mps, bus.speed_mps);
            }
        }

        #[test]
        fn any_bytes_are_read_without_panic(bytes in proptest::collection::vec(any::<u8>(), 0..60)) {
            decoded(&bytes);
        }
    }
}
