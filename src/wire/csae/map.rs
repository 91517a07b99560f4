//! MAP messages as junctions.

use std::sync::Arc;

use rasn::types::BitString;

use crate::observation::{
    Approach, ApproachLane, ApproachMovement, JunctionReading, LaneConnection, LaneUsage,
    RejectReason, Turns,
};
use crate::units::{Position, Timestamp};
use crate::wire::asn1::csae::{
    AllowedManeuvers, Connection, LaneAttributes, LaneTypeAttributes, Movement, NodeReferenceId,
    Position3D, RegulatorySpeedLimit, RoadPoint, SpeedLimitType,
};
use crate::wire::asn1::csae2020::{LaneEx, LinkEx, MovementEx, Section};
use crate::wire::asn1::{csae2019, csae2020};

use super::quantity::{Steps, resolve_offset, speed_mps};

type Record<T> = Result<T, RejectReason>;

/// One step of a width in metres.
const WIDTH_STEP_M: f32 = 0.01;

/// How a junction is called: `{region}-{id}`, region 0 where none is stated.
pub(super) fn node_name(node: &NodeReferenceId) -> Arc<str> {
    format!("{}-{}", node.region.unwrap_or(0), node.id).into()
}

/// The releases have the same members here under different bounds, so in different types.
macro_rules! junctions_of {
    ($name:ident, $release:ident, $more:expr) => {
        /// The junctions of a message received at `near`, in its order.
        pub(super) fn $name(
            message: &$release::MapData,
            near: Timestamp,
        ) -> impl Iterator<Item = Record<JunctionReading>> + '_ {
            let junction = move |node: &$release::Node| -> Record<JunctionReading> {
                let here = &node.ref_pos;
                let links = node.in_links.iter().flatten();
                let mut approaches = links
                    .map(|link| {
                        let lanes = link.lanes.iter().map(|lane| {
                            Ok(ApproachLane {
                                number: i32::from(lane.lane_id),
                                width_m: width_m(lane.lane_width),
                                usage: usage(lane.lane_attributes.as_ref()),
                                turns: lane.maneuvers.as_ref().map(turns),
                                points: points(here, lane.points.as_deref())?,
                                connections: lane
                                    .connects_to
                                    .iter()
                                    .flatten()
                                    .map(connection)
                                    .collect(),
                            })
                        });
                        Ok(Approach {
                            upstream: node_name(&link.upstream_node_id),
                            name: link.name.as_ref().map(|name| name.to_string().into()),
                            limit_mps: limit_mps(link.speed_limits.as_deref()),
                            width_m: width_m(link.link_width.into()),
                            points: points(here, link.points.as_deref())?,
                            movements: link.movements.iter().flatten().map(movement).collect(),
                            lanes: lanes.collect::<Record<_>>()?,
                        })
                    })
                    .collect::<Record<Vec<_>>>()?;
                $more(node, &mut approaches)?;
                Ok(JunctionReading {
                    observed_at: near,
                    junction: node_name(&node.id),
                    name: node.name.as_ref().map(|name| name.to_string().into()),
                    position: Steps::from(here).known()?.position(),
                    approaches,
                })
            };
            message.nodes.iter().map(junction)
        }
    };
}

junctions_of!(
    junctions_2019,
    csae2019,
    |_: &csae2019::Node, _: &mut Vec<Approach>| Ok::<(), RejectReason>(())
);
junctions_of!(junctions_2020, csae2020, add_sectioned);

/// Adds the links that are described in sections, where they are not described as plain ones too.
fn add_sectioned(node: &csae2020::Node, approaches: &mut Vec<Approach>) -> Record<()> {
    for link in node.in_links_ex.iter().flatten() {
        let upstream = node_name(&link.upstream_node_id);
        if approaches.iter().all(|known| known.upstream != upstream) {
            approaches.push(sectioned(&node.ref_pos, link, upstream)?);
        }
    }
    Ok(())
}

/// A link in sections; its lanes are those of the section that reaches the junction, which is the
/// last one.
fn sectioned(here: &Position3D, link: &LinkEx, upstream: Arc<str>) -> Record<Approach> {
    let last = link.sections.iter().max_by_key(|section| section.sec_id);
    let lanes = last.map_or(&[][..], |section: &Section| &section.lanes);
    Ok(Approach {
        upstream,
        name: link.name.as_ref().map(|name| name.to_string().into()),
        limit_mps: limit_mps(link.speed_limits.as_deref()),
        width_m: width_m(link.link_width),
        points: points(here, link.ref_line.as_deref())?,
        movements: link
            .movements_ex
            .iter()
            .flatten()
            .map(movement_ex)
            .collect(),
        lanes: lanes.iter().map(lane_ex).collect(),
    })
}

/// Lines along and across a reference line are left out: they would need its exact geometry.
fn lane_ex(lane: &LaneEx) -> ApproachLane {
    let connections = lane.connects_to_ex.iter().flatten().map(|connection| {
        let lanes = connection.connecting_lane.as_deref();
        LaneConnection {
            downstream: node_name(&connection.remote_intersection),
            lane: lanes
                .and_then(<[_]>::first)
                .map(|lane| i32::from(lane.target_lane)),
            phase: connection.phase_id.map(u32::from),
        }
    });
    ApproachLane {
        number: i32::from(lane.lane_ref_id),
        width_m: width_m(lane.lane_width),
        usage: usage(lane.lane_attributes.as_ref()),
        turns: lane.maneuvers.as_ref().map(turns),
        points: Vec::new(),
        connections: connections.collect(),
    }
}

fn movement_ex(movement: &MovementEx) -> ApproachMovement {
    ApproachMovement {
        downstream: node_name(&movement.remote_intersection),
        phase: movement.phase_id.map(u32::from),
    }
}

fn movement(movement: &Movement) -> ApproachMovement {
    ApproachMovement {
        downstream: node_name(&movement.remote_intersection),
        phase: movement.phase_id.map(u32::from),
    }
}

fn connection(connection: &Connection) -> LaneConnection {
    let lane = connection.connecting_lane.as_ref();
    LaneConnection {
        downstream: node_name(&connection.remote_intersection),
        lane: lane.map(|lane| i32::from(lane.lane)),
        phase: connection.phase_id.map(u32::from),
    }
}

fn width_m(steps: Option<u16>) -> Option<f32> {
    steps
        .filter(|steps| *steps > 0)
        .map(|steps| f32::from(steps) * WIDTH_STEP_M)
}

fn limit_mps(limits: Option<&[RegulatorySpeedLimit]>) -> Option<f32> {
    let limit = limits?
        .iter()
        .find(|limit| limit.kind == SpeedLimitType::VehicleMaxSpeed)?;
    speed_mps(limit.speed).map(|speed| speed as f32)
}

fn points(reference: &Position3D, points: Option<&[RoadPoint]>) -> Record<Vec<Position>> {
    points
        .unwrap_or_default()
        .iter()
        .map(|point| {
            let position = resolve_offset(reference, &point.pos_offset.offset_ll)?;
            // Offsets may lead over a pole.
            if position.is_valid() {
                Ok(position)
            } else {
                Err(RejectReason::OutOfRange)
            }
        })
        .collect()
}

/// Bits 0 to 3 are straight, left, right and back (DE_AllowedManeuvers).
fn turns(allowed: &AllowedManeuvers) -> Turns {
    let bits: &BitString = &allowed.0;
    let is_set = |index: usize| bits.get(index).is_some_and(|bit| *bit);
    let set = Turns::NAMED
        .into_iter()
        .enumerate()
        .filter(|(index, _)| is_set(*index))
        .fold(0, |set, (_, (turn, _))| set | turn.0);
    Turns(set)
}

fn usage(attributes: Option<&LaneAttributes>) -> LaneUsage {
    match attributes.map(|attributes| &attributes.lane_type) {
        None => LaneUsage::Unknown,
        Some(LaneTypeAttributes::Vehicle(_)) => LaneUsage::Vehicle,
        Some(LaneTypeAttributes::Crosswalk(_)) => LaneUsage::Crosswalk,
        Some(LaneTypeAttributes::BikeLane(_)) => LaneUsage::Bicycle,
        Some(LaneTypeAttributes::Sidewalk(_)) => LaneUsage::Sidewalk,
        Some(LaneTypeAttributes::Median(_)) => LaneUsage::Median,
        Some(LaneTypeAttributes::Striping(_)) => LaneUsage::Striping,
        Some(LaneTypeAttributes::TrackedVehicle(_)) => LaneUsage::Tracked,
        Some(LaneTypeAttributes::Parking(_)) => LaneUsage::Parking,
    }
}
