//! Traffic radars of OpenV2X sites.
//!
//! Units are not written down in public; they were held against the recordings. TRACK speeds are
//! km/h: a target recorded at −16.47 moves 4.52 m in the second to the next frame, which is
//! 16.3 km/h; the sign says towards (−) or away from the radar and is dropped. `averageTimeShare`
//! counts half per cent (it reaches 200 and not beyond). FLOW states no period: its readings begin
//! when they end, which leaves the flow out and keeps speed and occupancy. A device and its lane
//! make a detector: `{device}/{lane}`.

use std::sync::Arc;

use crate::observation::{
    DetectorReading, EventCode, Observation, Origin, Passage, PassagePart, Reading, RejectReason,
    RoadEvent,
};
use crate::units::{Position, Timestamp};
use crate::wire::context::Context;
use crate::wire::gather::{Gather, Record};
use crate::wire::record::{Fix, checked_speed_mps};
use crate::wire::subject::{SubjectHasher, observer_id, subject_id};
use crate::wire::tree::Node;

/// Kinds of targets: 1 pedestrian, 2 non-motor, 3 small, 4 medium, 5 large vehicle.
const KIND_SMALL: u64 = 3;
const KIND_LARGE: u64 = 5;
/// Steps of `averageTimeShare` of the whole time.
const SHARE_STEPS: f64 = 200.0;

pub(super) fn is_radar(root: Node<'_>) -> bool {
    [
        "targets",
        "traffic_flows",
        "traffic_status_informations",
        "passing_imformations",
        "scope",
    ]
    .into_iter()
    .any(|name| root.get(name).is_some())
}

/// One message of a radar.
struct Frame {
    device: Arc<str>,
    observed_at: Timestamp,
}

pub(super) fn message(
    root: Node<'_>,
    context: &Context<'_>,
    gather: &mut Gather<'_>,
) -> Record<()> {
    let device = match root.text("device_id")? {
        Some(device) => device,
        None => context.device.ok_or(RejectReason::MissingField)?.into(),
    };
    let frame = Frame {
        device,
        observed_at: root.need_millis("time_stamp")?,
    };
    for target in root.list("targets") {
        gather.observation(frame.target(target));
    }
    for lane in root.list("traffic_flows") {
        gather.detector(frame.flow(lane));
    }
    for lane in root.list("traffic_status_informations") {
        gather.detector(frame.queue(lane));
    }
    for passage in root.list("passing_imformations") {
        gather.reading(frame.passage(passage).map(Reading::Passage));
    }
    if root.get("scope").is_some() {
        gather.reading(frame.event(root).map(Reading::Event));
    }
    Ok(())
}

fn position(node: Node<'_>) -> Record<Position> {
    let position = Position::new(
        node.need_number("longitude")?,
        node.need_number("latitude")?,
    );
    if position.is_valid() {
        Ok(position)
    } else {
        Err(RejectReason::OutOfRange)
    }
}

fn check_kind(kind: u64) -> Record<()> {
    match kind {
        KIND_SMALL..=KIND_LARGE => Ok(()),
        1 | 2 => Err(RejectReason::UnsupportedKind),
        _ => Err(RejectReason::OutOfRange),
    }
}

impl Frame {
    fn target(&self, node: Node<'_>) -> Record<Observation> {
        check_kind(node.need_whole("target_type")?)?;
        let number = node.need_whole("target_id")?;
        let device = subject_id(self.device.as_bytes());
        let fix = Fix {
            observed_ms: self.observed_at.as_millis(),
            subject: SubjectHasher::default()
                .with(&device.0.to_le_bytes())
                .with(&number.to_be_bytes())
                .finish(),
            position: position(node)?,
            speed_mps: node.number("speed")?.map(|kmh| kmh.abs() / 3.6),
            heading_deg: node.number("heading_angle")?,
        };
        Ok(Observation {
            observer: observer_id(self.device.as_bytes()),
            ..fix.observation(Origin::Rsm)?
        })
    }

    fn detector(&self, lane: Node<'_>) -> Record<Arc<str>> {
        let number = lane.need_whole("aisle_id")?;
        Ok(format!("{}/{number}", self.device).into())
    }

    fn flow(&self, lane: Node<'_>) -> Record<DetectorReading> {
        let mut count = 0.0;
        for class in ["total_flow_a", "total_flow_b", "total_flow_c"] {
            count += lane.whole(class)?.unwrap_or(0) as f32;
        }
        let speed_kmh = lane.number("average_speed")?.filter(|_| count > 0.0);
        let share = lane.number("average_time_share")?;
        if share.is_some_and(|share| !(0.0..=SHARE_STEPS).contains(&share)) {
            return Err(RejectReason::OutOfRange);
        }
        Ok(DetectorReading {
            start: self.observed_at,
            end: self.observed_at,
            detector: self.detector(lane)?,
            vehicle_count: count,
            speed_mps: speed_kmh
                .map(|kmh| checked_speed_mps(kmh / 3.6))
                .transpose()?,
            occupancy: share.map(|share| (share / SHARE_STEPS) as f32),
            sampled_seconds: None,
            queue_length_m: None,
        })
    }

    fn queue(&self, lane: Node<'_>) -> Record<DetectorReading> {
        let queue_m = lane.need_whole("queue_length")?;
        Ok(DetectorReading {
            start: self.observed_at,
            end: self.observed_at,
            detector: self.detector(lane)?,
            vehicle_count: 0.0,
            speed_mps: None,
            occupancy: None,
            sampled_seconds: None,
            queue_length_m: Some(queue_m.min(u64::from(u16::MAX)) as f32),
        })
    }

    fn passage(&self, node: Node<'_>) -> Record<Passage> {
        check_kind(node.need_whole("vehicle_type")?)?;
        let part = match node.need_whole("existence_state")? {
            0 => PassagePart::Enters,
            1 => PassagePart::Leaves,
            _ => return Err(RejectReason::OutOfRange),
        };
        Ok(Passage {
            observed_at: self.observed_at,
            site: self.device.clone(),
            lane: node.small("aisle_id")?,
            vehicle: None,
            speed_mps: node
                .number("speed")?
                .map(|kmh| checked_speed_mps(kmh / 3.6))
                .transpose()?,
            part,
        })
    }

    fn event(&self, node: Node<'_>) -> Record<RoadEvent> {
        let code = node
            .small("event_type")?
            .ok_or(RejectReason::MissingField)?;
        Ok(RoadEvent {
            observed_at: self.observed_at,
            source: self.device.clone(),
            event: u64::from(code),
            code: EventCode::Maker(code),
            position: Some(position(node)?),
            radius_m: None,
            paths: Vec::new(),
            lane: node.small("lane")?,
            valid_from: None,
            valid_until: None,
            confidence: None,
            ended: false,
            description: None,
        })
    }
}
