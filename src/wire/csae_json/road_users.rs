//! BSM and RSM in JSON.

use crate::observation::{Observation, Origin, RejectReason};
use crate::units::{SubjectId, Timestamp};
use crate::wire::context::Context;
use crate::wire::csae::resolve_second_mark;
use crate::wire::gather::{Gather, Record};
use crate::wire::iso_time;
use crate::wire::quality::position_confidence_sigma_m;
use crate::wire::record::Fix;
use crate::wire::subject::{SubjectHasher, observer_id, subject_id};
use crate::wire::tree::Node;

use super::position;

/// 0.02 m/s; 8191 is unknown.
const SPEED_STEP_MPS: f64 = 0.02;
const SPEED_UNKNOWN: u64 = 8191;
/// 0.0125 degree; 28800 is unknown.
const HEADING_STEP_DEG: f64 = 0.0125;
const HEADING_UNKNOWN: u64 = 28_800;

fn speed_mps(node: Node<'_>) -> Record<Option<f64>> {
    let steps = node.whole("speed")?.filter(|steps| *steps != SPEED_UNKNOWN);
    Ok(steps.map(|steps| steps as f64 * SPEED_STEP_MPS))
}

fn heading_deg(node: Node<'_>) -> Record<Option<f64>> {
    let steps = node.whole("heading")?;
    let steps = steps.filter(|steps| *steps != HEADING_UNKNOWN);
    Ok(steps.map(|steps| steps as f64 * HEADING_STEP_DEG))
}

/// The accuracy in `pos_confidence`: a code, or an object with the code in `pos` or
/// `position_confidence`.
fn accuracy_m(node: Node<'_>) -> Record<Option<f32>> {
    let Some(confidence) = node.get("pos_confidence") else {
        return Ok(None);
    };
    let code = if confidence.is_object() {
        match confidence.whole("pos")? {
            Some(code) => Some(code),
            None => confidence.whole("position_confidence")?,
        }
    } else {
        Some(confidence.as_whole()?)
    };
    Ok(code.and_then(position_confidence_sigma_m))
}

/// Adds what a vehicle says of itself.
pub(in crate::wire) fn bsm(node: Node<'_>, gather: &mut Gather<'_>) {
    gather.observation(own_observation(node));
}

fn own_observation(node: Node<'_>) -> Record<Observation> {
    let name = node.need_text("vehicle_id")?;
    if name.is_empty() {
        return Err(RejectReason::MissingField);
    }
    let stamp = node.need("time_stamp")?;
    let observed_at = match stamp.text_itself() {
        Some(text) if text.contains('T') => iso_time::parse(text)?,
        _ => node.need_millis("time_stamp")?,
    };
    let fix = Fix {
        observed_ms: observed_at.as_millis(),
        subject: subject_id(name.as_bytes()),
        position: position(node.need("pos")?)?,
        speed_mps: speed_mps(node)?,
        heading_deg: heading_deg(node)?,
    };
    Ok(Observation {
        accuracy_m: accuracy_m(node)?,
        ..fix.observation(Origin::Bsm)?
    })
}

/// Adds the road users that a unit perceives; `unit` scopes their numbers.
pub(in crate::wire) fn rsm(
    node: Node<'_>,
    unit: &str,
    context: &Context<'_>,
    gather: &mut Gather<'_>,
) {
    let list = ["participants", "participant_list"]
        .into_iter()
        .find_map(|name| node.get(name))
        .filter(|list| list.is_list());
    let Some(list) = list else {
        return gather.refuse(RejectReason::MissingField);
    };
    for participant in list.elements() {
        gather.observation(perceived(participant, unit, context.received_at));
    }
}

/// Whether the participant counts as traffic: motor vehicles and unknown objects.
fn is_traffic(participant: Node<'_>) -> Record<bool> {
    let kind = participant.need_text("ptc_type")?;
    match &*kind {
        "0" | "1" | "unknown" | "motor" => Ok(true),
        "2" | "3" | "4" | "non-motor" | "pedestrian" | "rsu" => Ok(false),
        _ => Err(RejectReason::OutOfRange),
    }
}

fn perceived(participant: Node<'_>, unit: &str, received_at: Timestamp) -> Record<Observation> {
    if !is_traffic(participant)? {
        return Err(RejectReason::UnsupportedKind);
    }
    let mark = participant.need_whole("sec_mark")?;
    let mark = u16::try_from(mark).ok().ok_or(RejectReason::OutOfRange)?;
    let fix = Fix {
        observed_ms: resolve_second_mark(mark, received_at)?.as_millis(),
        subject: perceived_subject(participant, unit)?,
        position: position(participant.need("pos")?)?,
        speed_mps: speed_mps(participant)?,
        heading_deg: heading_deg(participant)?,
    };
    Ok(Observation {
        accuracy_m: accuracy_m(participant)?,
        observer: observer_id(unit.as_bytes()),
        ..fix.observation(Origin::Rsm)?
    })
}

/// The track number where the unit follows vehicles, else its number for the participant.
fn perceived_subject(participant: Node<'_>, unit: &str) -> Record<SubjectId> {
    let number = match participant.whole("global_track_id")? {
        Some(track) => track,
        None => participant.need_whole("ptc_id")?,
    };
    let unit = subject_id(unit.as_bytes());
    Ok(SubjectHasher::default()
        .with(&unit.0.to_le_bytes())
        .with(&number.to_be_bytes())
        .finish())
}
