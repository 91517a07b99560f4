//! MAP in JSON.
//!
//! Points are `{"lat","lon"}`, or as the standard nests them: `{"posOffset":{"offsetLL":…}}` with
//! `positionLatLon` in place or an offset in 1e-7 degree under any other name. How allowed turns are
//! written is not public; they are left out.

use crate::observation::{
    Approach, ApproachLane, ApproachMovement, JunctionReading, LaneConnection, LaneUsage, Reading,
    RejectReason,
};
use crate::units::{Position, Timestamp};
use crate::wire::context::Context;
use crate::wire::gather::{Gather, Record};
use crate::wire::tree::Node;

use super::{junction_id, position};

/// 0.02 m/s, of limits.
const LIMIT_STEP_MPS: f64 = 0.02;
/// Maximum speed for vehicles (T/CSAE 53, DE_SpeedLimitType).
const LIMIT_FOR_VEHICLES: u64 = 5;
/// 0.01 m.
const WIDTH_STEP_M: f64 = 0.01;
/// 1e-7 degree.
const STEPS_PER_DEG: f64 = 1e7;

/// Most ways in, lanes, movements or connections of one parent (T/CSAE 53: 32); a junction with
/// more is refused.
const PARTS_MAX: usize = 32;
/// Most points of one line (T/CSAE 53: 31, and 63 in sections).
const POINTS_MAX: usize = 63;

/// Adds the junctions of a MAP message.
pub(in crate::wire) fn junctions(node: Node<'_>, context: &Context<'_>, gather: &mut Gather<'_>) {
    for junction in node.list("nodes") {
        let reading = junction_reading(junction, context.received_at);
        gather.reading(reading.map(Reading::Junction));
    }
}

fn junction_reading(node: Node<'_>, observed_at: Timestamp) -> Record<JunctionReading> {
    let here = position(node.need("ref_pos")?)?;
    Ok(JunctionReading {
        observed_at,
        junction: junction_id(node.need("id")?)?,
        name: node.text("name")?,
        position: here,
        approaches: parts(node, "in_links", |link| approach(link, here))?,
    })
}

/// The parts in the list `name`, at most [`PARTS_MAX`].
fn parts<T>(node: Node<'_>, name: &str, read: impl Fn(Node<'_>) -> Record<T>) -> Record<Vec<T>> {
    if node.list(name).nth(PARTS_MAX).is_some() {
        return Err(RejectReason::OutOfRange);
    }
    node.list(name).map(read).collect()
}

fn approach(node: Node<'_>, here: Position) -> Record<Approach> {
    Ok(Approach {
        upstream: junction_id(node.need("upstream_node_id")?)?,
        name: node.text("name")?,
        limit_mps: limit_mps(node)?,
        width_m: width_m(node, "link_width")?,
        points: line(node, here)?,
        movements: parts(node, "movements", |movement| {
            Ok(ApproachMovement {
                downstream: junction_id(movement.need("remote_intersection")?)?,
                phase: movement.small("phase_id")?,
            })
        })?,
        lanes: parts(node, "lanes", |lane| approach_lane(lane, here))?,
    })
}

fn approach_lane(node: Node<'_>, here: Position) -> Record<ApproachLane> {
    let number = match node.get("lane_id") {
        Some(number) => lane_number(number)?,
        None => 0,
    };
    Ok(ApproachLane {
        number,
        width_m: width_m(node, "lane_width")?,
        usage: LaneUsage::Unknown,
        turns: None,
        points: line(node, here)?,
        connections: parts(node, "connects_to", connection)?,
    })
}

fn connection(node: Node<'_>) -> Record<LaneConnection> {
    let lane = match node.get("connecting_lane") {
        Some(lane) if lane.is_object() => lane.get("lane").map(lane_number).transpose()?,
        Some(lane) => Some(lane_number(lane)?),
        None => None,
    };
    Ok(LaneConnection {
        downstream: junction_id(node.need("remote_intersection")?)?,
        lane,
        phase: node.small("phase_id")?,
    })
}

fn lane_number(node: Node<'_>) -> Record<i32> {
    let number = node.as_number()?;
    if (-255.0..=255.0).contains(&number) {
        Ok(number as i32)
    } else {
        Err(RejectReason::OutOfRange)
    }
}

fn limit_mps(node: Node<'_>) -> Record<Option<f32>> {
    for limit in node.list("speed_limits") {
        if limit.whole("type")? == Some(LIMIT_FOR_VEHICLES) {
            let steps = limit.number("speed")?;
            return Ok(steps.map(|steps| (steps * LIMIT_STEP_MPS) as f32));
        }
    }
    Ok(None)
}

fn width_m(node: Node<'_>, name: &str) -> Record<Option<f32>> {
    match node.number(name)? {
        Some(steps) if !(0.0..=32_767.0).contains(&steps) => Err(RejectReason::OutOfRange),
        steps => Ok(steps
            .filter(|steps| *steps > 0.0)
            .map(|steps| (steps * WIDTH_STEP_M) as f32)),
    }
}

fn line(node: Node<'_>, here: Position) -> Record<Vec<Position>> {
    if node.list("points").nth(POINTS_MAX).is_some() {
        return Err(RejectReason::OutOfRange);
    }
    node.list("points").map(|node| point(node, here)).collect()
}

fn point(node: Node<'_>, here: Position) -> Record<Position> {
    let node = node.get("pos_offset").unwrap_or(node);
    let Some(offset) = node.get("offset_ll") else {
        return position(node);
    };
    for name in ["position_lat_lon", "position-LatLon"] {
        if let Some(absolute) = offset.get(name) {
            return position(absolute);
        }
    }
    if offset.get("lat").is_some() {
        return position(offset);
    }
    let alternative = (1..=6)
        .flat_map(|width| [format!("position_ll{width}"), format!("position-LL{width}")])
        .find_map(|name| offset.get(&name))
        .ok_or(RejectReason::MissingField)?;
    let steps = |name| alternative.need_number(name);
    let there = Position::new(
        here.lon_deg + steps("lon")? / STEPS_PER_DEG,
        here.lat_deg + steps("lat")? / STEPS_PER_DEG,
    );
    if there.is_valid() {
        Ok(there)
    } else {
        Err(RejectReason::OutOfRange)
    }
}
