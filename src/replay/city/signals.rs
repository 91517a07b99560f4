//! Fixed-time plans of the signalised junctions: two phases by approach heading.

use std::collections::BTreeMap;

use rand::Rng;
use rand_chacha::ChaCha8Rng;

use crate::network::Network;
use crate::units::{JunctionId, SegmentId, heading_difference_deg};

/// Time lost between two greens, seconds: 3 s amber and 1 s all red (chosen within
/// GB 14886-2016's 3 s to 5 s of amber).
const LOST_S: u32 = 4;

/// One phase of a plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalPhase {
    /// Approaches that may go.
    pub approaches: Vec<SegmentId>,
    /// Start of green in the cycle, seconds.
    pub green_from_s: u32,
    /// End of green in the cycle, seconds.
    pub green_until_s: u32,
}

/// A fixed-time plan.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct SignalPlan {
    /// Cycle time, seconds.
    pub cycle_s: u32,
    /// Second of the cycle at time 0.
    pub offset_s: u32,
    /// Its phases in order.
    pub phases: Vec<SignalPhase>,
}

impl SignalPlan {
    /// Whether `approach` has green at `second` (whole seconds of event time).
    pub fn is_green(&self, approach: SegmentId, second: i64) -> bool {
        let at = (second + i64::from(self.offset_s)).rem_euclid(i64::from(self.cycle_s)) as u32;
        self.phases.iter().any(|phase| {
            (phase.green_from_s..phase.green_until_s).contains(&at)
                && phase.approaches.contains(&approach)
        })
    }
}

/// Makes a plan for every signalised junction of a network; also used for imported networks.
pub(crate) fn plans(network: &Network, rng: &mut ChaCha8Rng) -> BTreeMap<JunctionId, SignalPlan> {
    let mut approaches: BTreeMap<JunctionId, Vec<SegmentId>> = BTreeMap::new();
    for id in network.segment_ids() {
        let segment = network.segment(id);
        if segment.is_signalised() {
            approaches.entry(segment.to()).or_default().push(id);
        }
    }
    approaches
        .into_iter()
        .map(|(junction, approaches)| (junction, plan(network, &approaches, rng)))
        .collect()
}

fn plan(network: &Network, approaches: &[SegmentId], rng: &mut ChaCha8Rng) -> SignalPlan {
    let heading_deg = |id: SegmentId| network.locate(id, network.segment(id).length_m).1;
    let weight = |id: &SegmentId| match network.segment(*id).lanes {
        1 => 1.0f32,
        2 => 2.0,
        _ => 2.8,
    };
    let main = approaches
        .iter()
        .copied()
        .min_by_key(|&id| (network.segment(id).class(), id))
        .map_or(0.0, heading_deg);
    let (along, across): (Vec<SegmentId>, Vec<SegmentId>) =
        approaches.iter().copied().partition(|&id| {
            let turn = heading_difference_deg(heading_deg(id), main);
            turn.min(180.0 - turn) < 45.0
        });
    let cycle_s: u32 = [64, 72, 80, 88][rng.random_range(0..4usize)];
    let offset_s = rng.random_range(0..cycle_s);
    if across.is_empty() {
        // Only one axis meets here: a crossing for pedestrians.
        return SignalPlan {
            cycle_s,
            offset_s,
            phases: vec![SignalPhase {
                approaches: along,
                green_from_s: 0,
                green_until_s: cycle_s - 22,
            }],
        };
    }
    let heaviest = |side: &[SegmentId]| side.iter().map(weight).fold(1.0, f32::max);
    let share = heaviest(&along) / (heaviest(&along) + heaviest(&across));
    let green_s = (cycle_s - 2 * LOST_S) as f32;
    let first_s = (green_s * share).round().clamp(16.0, green_s - 16.0) as u32;
    SignalPlan {
        cycle_s,
        offset_s,
        phases: vec![
            SignalPhase {
                approaches: along,
                green_from_s: 0,
                green_until_s: first_s,
            },
            SignalPhase {
                approaches: across,
                green_from_s: first_s + LOST_S,
                green_until_s: cycle_s - LOST_S,
            },
        ],
    }
}
