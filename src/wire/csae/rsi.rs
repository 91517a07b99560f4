//! Roadside information: congestion told to roadside units.

use rasn::types::Ia5String;

use crate::units::{Position, Timestamp};
use crate::wire::asn1::csae2019::{
    Description, EncodeError, EventSource, MessageFrame, ReferencePath, RoadSideInformation,
    RsiTimeDetails, RteData, encode_frame,
};

use super::calendar::minute_of_the_year;
use super::quantity::{offset_from, position_3d};

/// Congestion among the event types of GB/T 29100.
pub const CONGESTION_EVENT_TYPE: u16 = 707;

/// Most points of one path (2019 release).
const PATH_POINTS_MAX: usize = 32;

/// Most characters of a description.
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
    /// ASCII text of up to 512 characters; other text does not leave.
    pub description: Option<&'a str>,
    /// Since when, to the minute.
    pub start: Timestamp,
    /// Until when it is told, to the minute.
    pub end: Timestamp,
    /// How sure it is, `0.0..=1.0`.
    pub confidence: Option<f64>,
}

/// Writes `events` (1 to 8) as the roadside information of the unit `rsu_id` standing at
/// `reference`, as one UPER message frame. `message_count` is taken modulo 128.
///
/// # Errors
///
/// When there are no events or paths, or more than eight of either.
pub fn encode_rsi_congestion(
    rsu_id: [u8; 8],
    message_count: u8,
    issued_at: Timestamp,
    reference: Position,
    events: &[CongestionEvent<'_>],
) -> Result<Vec<u8>, EncodeError> {
    let events = events.iter().map(|event| rte(reference, event)).collect();
    encode_frame(&MessageFrame::RsiFrame(RoadSideInformation {
        msg_cnt: message_count % 128,
        moy: Some(minute_of_the_year(issued_at)),
        id: rsu_id.into(),
        ref_pos: position_3d(reference),
        rtes: Some(events),
        rtss: None,
    }))
}

fn rte(reference: Position, event: &CongestionEvent<'_>) -> RteData {
    let paths = event.paths.iter().map(|path| ReferencePath {
        active_path: thinned(path)
            .map(|point| offset_from(reference, point))
            .collect(),
        path_radius: radius_steps(event.path_radius_m),
    });
    let description = event
        .description
        .filter(|text| !text.is_empty())
        .and_then(|text| text.get(..text.len().min(DESCRIPTION_MAX)))
        .and_then(|text| Ia5String::from_iso646_bytes(text.as_bytes()).ok())
        .map(Description::TextString);
    RteData {
        rte_id: event.event_id,
        event_type: CONGESTION_EVENT_TYPE,
        event_source: event.source,
        event_pos: Some(offset_from(reference, event.position)),
        event_radius: Some(radius_steps(event.radius_m)),
        description,
        time_details: Some(RsiTimeDetails {
            start_time: Some(minute_of_the_year(event.start)),
            end_time: Some(minute_of_the_year(event.end)),
            end_time_confidence: None,
        }),
        priority: Some([event.priority.min(7) << 5].into()),
        reference_paths: Some(paths.collect()),
        reference_links: None,
        event_confidence: event
            .confidence
            .map(|share| (share.clamp(0.0, 1.0) * 200.0).round() as u8),
    }
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
