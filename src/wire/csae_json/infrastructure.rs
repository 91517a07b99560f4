//! SPAT and RSI in JSON.

use std::sync::Arc;

use crate::observation::{EventCode, Light, Reading, RejectReason, RoadEvent, SignalReading};
use crate::units::{Position, Timestamp};
use crate::wire::context::Context;
use crate::wire::csae::{resolve_second_mark, within_minute};
use crate::wire::gather::{Gather, Record};
use crate::wire::tree::Node;

use super::{holds, junction_id, optional_position, position, stated_minute};

/// 0.1 s of the hour, or of a count-down; 36001 is unknown.
const TIME_MARK_STEP_S: f32 = 0.1;
const TIME_MARK_UNKNOWN: u64 = 36_001;
/// 0.1 m.
const RADIUS_STEP_M: f64 = 0.1;
/// Largest `timeStamp` that counts milliseconds of a minute, by its type; 65535 is unknown.
const SECOND_MARK_MAX: f64 = 65_535.0;

/// Adds the phases of every junction of a SPAT message.
pub(in crate::wire) fn signals(node: Node<'_>, context: &Context<'_>, gather: &mut Gather<'_>) {
    for intersection in node.list("intersections") {
        let head = junction_time(intersection, context.received_at);
        let (junction, observed_at) = match head {
            Ok(head) => head,
            Err(reason) => {
                gather.refuse(reason);
                continue;
            }
        };
        for phase in intersection.list("phases") {
            for state in phase.list("phase_states") {
                let signal = signal(phase, state, &junction, observed_at);
                gather.reading(signal.map(Reading::Signal));
            }
        }
    }
}

fn junction_time(node: Node<'_>, received_at: Timestamp) -> Record<(Arc<str>, Timestamp)> {
    let junction = junction_id(node.need("intersection_id")?)?;
    let minute = node.whole("moy")?;
    let minute = minute.and_then(|count| stated_minute(count, received_at));
    let mark = match node.get("time_stamp") {
        Some(stamp) if stamp.as_number()? > SECOND_MARK_MAX => {
            return Ok((junction, node.need_millis("time_stamp")?));
        }
        Some(stamp) => u16::try_from(stamp.as_whole()?).ok(),
        None => None,
    };
    let mark = mark.filter(|mark| *mark != u16::MAX);
    let observed_at = match (minute, mark) {
        // The mark resolved within the stated minute lies within it.
        (Some(minute), Some(mark)) => resolve_second_mark(mark, minute.plus_millis(29_999))?,
        (None, Some(mark)) => resolve_second_mark(mark, received_at)?,
        (Some(minute), None) => within_minute(minute, received_at),
        (None, None) => received_at,
    };
    Ok((junction, observed_at))
}

fn signal(
    phase: Node<'_>,
    state: Node<'_>,
    junction: &Arc<str>,
    observed_at: Timestamp,
) -> Record<SignalReading> {
    let number = phase.get("phase_id").or_else(|| phase.get("id"));
    let number = number.ok_or(RejectReason::MissingField)?.as_whole()?;
    let light = Light::from_code(state.need_whole("light")?).ok_or(RejectReason::OutOfRange)?;
    let counting = state
        .get("timing")
        .and_then(|timing| timing.get("counting"));
    let mark = |name| {
        counting
            .and_then(|counting| counting.get(name))
            .map(time_mark_s)
            .transpose()
            .map(Option::flatten)
    };
    Ok(SignalReading {
        observed_at,
        junction: junction.clone(),
        phase: u32::try_from(number).ok().ok_or(RejectReason::OutOfRange)?,
        light,
        begins_in_s: mark("start_time")?,
        ends_in_s: mark("likely_end_time")?,
    })
}

/// Seconds of a time mark, bare or as `{"timeMark":…}`.
fn time_mark_s(node: Node<'_>) -> Record<Option<f32>> {
    let marks = if node.is_object() {
        node.need_whole("time_mark")?
    } else {
        node.as_whole()?
    };
    match marks {
        TIME_MARK_UNKNOWN => Ok(None),
        0..TIME_MARK_UNKNOWN => Ok(Some(marks as f32 * TIME_MARK_STEP_S)),
        _ => Err(RejectReason::OutOfRange),
    }
}

/// Adds the events and signs of one RSI message of `source`.
pub(in crate::wire) fn roadside_information(
    node: Node<'_>,
    source: &Arc<str>,
    context: &Context<'_>,
    gather: &mut Gather<'_>,
) {
    let near = context.received_at;
    let stamp = match node.whole("time_stamp") {
        Ok(None) => node.whole("moy"),
        stamp => stamp,
    };
    let observed_at = match stamp {
        Ok(stamp) => stamp
            .and_then(|count| stated_minute(count, near))
            .map_or(near, |minute| within_minute(minute, near)),
        Err(reason) => return gather.refuse(reason),
    };
    let here = Telling {
        source,
        observed_at,
        near,
    };
    for event in node.list("rtes") {
        gather.reading(here.event(event).map(Reading::Event));
    }
    for sign in node.list("rtss") {
        gather.reading(here.sign(sign).map(Reading::Event));
    }
}

/// What the events of one message have in common.
struct Telling<'a> {
    source: &'a Arc<str>,
    observed_at: Timestamp,
    near: Timestamp,
}

impl Telling<'_> {
    fn event(&self, node: Node<'_>) -> Record<RoadEvent> {
        let code = node.need_whole("event_type")?;
        let confidence = node.number("event_confidence")?;
        let mut event = self.common(node, "rte_id", EventCode::Gbt29100(code_number(code)?))?;
        event.position = match optional_position(node, "event_position")? {
            Some(position) => Some(position),
            None => optional_position(node, "event_pos")?,
        };
        event.radius_m = node
            .number("event_radius")?
            .map(|steps| (steps * RADIUS_STEP_M) as f32);
        // DE_Confidence has steps of 0.5 %.
        event.confidence = confidence.map(|steps| (steps / 200.0).clamp(0.0, 1.0) as f32);
        event.description = node.text("event_description")?.or(event.description);
        Ok(event)
    }

    fn sign(&self, node: Node<'_>) -> Record<RoadEvent> {
        let code = node.need_whole("sign_type")?;
        let mut sign = self.common(node, "rts_id", EventCode::Gb5768(code_number(code)?))?;
        sign.position = match optional_position(node, "sign_position")? {
            Some(position) => Some(position),
            None => optional_position(node, "sign_pos")?,
        };
        sign.description = node.text("sign_description")?.or(sign.description);
        Ok(sign)
    }

    fn common(&self, node: Node<'_>, number: &str, code: EventCode) -> Record<RoadEvent> {
        let details = node.get("time_details");
        let minute = |name| details.map_or(Ok(None), |details| details.whole(name));
        let (valid_from, valid_until) =
            holds(minute("start_time")?, minute("end_time")?, self.near);
        Ok(RoadEvent {
            observed_at: self.observed_at,
            source: self.source.clone(),
            event: node.need_whole(number)?,
            code,
            position: None,
            radius_m: None,
            paths: paths(node)?,
            lane: None,
            valid_from,
            valid_until,
            confidence: None,
            ended: false,
            description: node
                .get("description")
                .filter(|text| !text.is_object())
                .map(Node::as_text)
                .transpose()?,
        })
    }
}

fn code_number(code: u64) -> Record<u32> {
    u32::try_from(code).ok().ok_or(RejectReason::OutOfRange)
}

fn paths(node: Node<'_>) -> Record<Vec<Vec<Position>>> {
    node.list("reference_paths")
        .map(|path| path.list("active_path").map(position).collect())
        .collect()
}
