//! Roadside information: congestion told to roadside units.

use encoding_rs::GBK;
use rasn::types::{Ia5String, OctetString};

use crate::units::{Position, Timestamp};
use crate::wire::asn1::csae::{Description, EventSource, PositionOffsetLlv, RsiTimeDetails};
use crate::wire::asn1::{Dialect, EncodeError, csae2019, csae2020};

use super::calendar::minute_of_the_year;
use super::quantity::{offset_from, position_3d};

/// Congestion among the event types of GB/T 29100.
pub const CONGESTION_EVENT_TYPE: u16 = 707;

/// Most points of one path (`PathPointList`).
const PATH_POINTS_MAX: usize = 32;

/// Most octets of a description.
const DESCRIPTION_MAX: usize = 512;

/// One congested stretch, for senders.
#[derive(Clone, Debug, PartialEq)]
pub struct CongestionEvent<'a> {
    /// Number of the event, stable while it lasts.
    pub event_id: u8,
    /// Who found it.
    pub source: EventSource,
    /// Where it is; roadcast gives the tail of the queue.
    pub position: Position,
    /// How far around `position` it is, metres, in steps of 0.1 up to 6553.5.
    pub radius_m: f64,
    /// 0 (lowest) to 7 (highest).
    pub priority: u8,
    /// The congested stretches (1 to 8), each a line along the traffic; a line of more than 32
    /// points is thinned evenly.
    pub paths: &'a [Vec<Position>],
    /// Half width of every path, metres, in steps of 0.1.
    pub path_radius_m: f64,
    /// Text of up to 512 octets, in ASCII or else in GBK; text that is neither does not leave.
    pub description: Option<&'a str>,
    /// Since when, to the minute.
    pub start: Timestamp,
    /// Until when it is told, to the minute.
    pub end: Timestamp,
    /// How sure it is, `0.0..=1.0`.
    pub confidence: Option<f64>,
}

/// Who tells what, where and when: the same for all events of one message.
#[derive(Clone, Copy, Debug)]
pub struct RsiHead {
    /// The unit that tells.
    pub rsu_id: [u8; 8],
    /// Counts the unit's messages; taken modulo 128.
    pub message_count: u8,
    /// When it tells, to the minute.
    pub issued_at: Timestamp,
    /// Where the unit stands.
    pub reference: Position,
}

/// Writes `events` (1 to 8) as roadside information, as one UPER message frame of `dialect`.
///
/// # Errors
///
/// When there are no events or paths, more than eight of either, or, in the 2020 release, a path of
/// a single point.
pub fn encode_rsi_congestion(
    dialect: Dialect,
    head: RsiHead,
    events: &[CongestionEvent<'_>],
) -> Result<Vec<u8>, EncodeError> {
    let bytes = match dialect {
        Dialect::Csae2019 => frame_2019(head, events)?,
        Dialect::Csae2020 => frame_2020(head, events)?,
    };
    Ok(bytes)
}

/// The releases have the same members here under different bounds, so in different types.
macro_rules! congestion_frame {
    ($name:ident, $release:ident) => {
        fn $name(head: RsiHead, events: &[CongestionEvent<'_>]) -> Result<Vec<u8>, EncodeError> {
            let rte = |event: &CongestionEvent<'_>| $release::RteData {
                rte_id: event.event_id,
                event_type: CONGESTION_EVENT_TYPE,
                event_source: event.source,
                event_pos: Some(offset_from(head.reference, event.position)),
                event_radius: Some(radius_steps(event.radius_m)),
                description: event.description.and_then(description),
                time_details: Some(time_details(event)),
                priority: Some([event.priority.min(7) << 5].into()),
                reference_paths: Some(
                    paths(head.reference, event)
                        .map(|active_path| $release::ReferencePath {
                            active_path,
                            path_radius: radius_steps(event.path_radius_m),
                        })
                        .collect(),
                ),
                reference_links: None,
                event_confidence: event
                    .confidence
                    .map(|share| (share.clamp(0.0, 1.0) * 200.0).round() as u8),
            };
            $release::encode_frame(&$release::MessageFrame::RsiFrame(
                $release::RoadSideInformation {
                    msg_cnt: head.message_count % 128,
                    moy: Some(minute_of_the_year(head.issued_at)),
                    id: head.rsu_id.into(),
                    ref_pos: position_3d(head.reference),
                    rtes: Some(events.iter().map(rte).collect()),
                    rtss: None,
                },
            ))
        }
    };
}

congestion_frame!(frame_2019, csae2019);
congestion_frame!(frame_2020, csae2020);

fn paths(
    reference: Position,
    event: &CongestionEvent<'_>,
) -> impl Iterator<Item = Vec<PositionOffsetLlv>> {
    event.paths.iter().map(move |path| {
        thinned(path)
            .map(|point| offset_from(reference, point))
            .collect()
    })
}

fn time_details(event: &CongestionEvent<'_>) -> RsiTimeDetails {
    RsiTimeDetails {
        start_time: Some(minute_of_the_year(event.start)),
        end_time: Some(minute_of_the_year(event.end)),
        end_time_confidence: None,
    }
}

/// `text` as far as it fits; `None` when empty or written in neither ASCII nor GBK.
fn description(text: &str) -> Option<Description> {
    if text.is_ascii() {
        let fitting = text.get(..text.len().min(DESCRIPTION_MAX))?;
        let fitting = Ia5String::from_iso646_bytes(fitting.as_bytes()).ok()?;
        return (!text.is_empty()).then_some(Description::TextString(fitting));
    }
    let mut octets = Vec::new();
    for character in text.chars() {
        let mut utf8 = [0; 4];
        let (encoded, _, unmappable) = GBK.encode(character.encode_utf8(&mut utf8));
        if unmappable {
            return None;
        }
        if octets.len() + encoded.len() > DESCRIPTION_MAX {
            break;
        }
        octets.extend_from_slice(&encoded);
    }
    Some(Description::TextGb2312(OctetString::from(octets)))
}

/// Steps of 0.1 m.
fn radius_steps(metres: f64) -> u16 {
    (metres * 10.0).round().clamp(0.0, 65_535.0) as u16
}

/// At most 32 points of `path`, evenly chosen, its ends among them.
fn thinned(path: &[Position]) -> impl Iterator<Item = Position> + '_ {
    let count = path.len().min(PATH_POINTS_MAX);
    let steps = count.saturating_sub(1).max(1);
    (0..count).map(move |index| path[index * (path.len() - 1) / steps])
}
