//! Who may leave a segment: signals, priority, and claims at junctions without either.

use crate::network::{Network, RoadClass, SegmentFlags};
use crate::replay::city::City;
use crate::units::{JunctionId, SegmentId};

use super::roads::yields;

/// When a segment's end has green: whole seconds of a cycle.
#[derive(Clone, Copy, Debug, Default)]
struct Green {
    cycle_s: u32,
    offset_s: u32,
    from_s: u32,
    until_s: u32,
}

/// Right of way over a whole city.
#[derive(Debug)]
pub(super) struct Junctions {
    green: Vec<Option<Green>>,
    /// Segments one must let pass, where one must.
    rivals: Vec<Vec<u32>>,
    /// Where equals meet: the last second somebody crossed and from where.
    claims: Vec<(i64, u32)>,
}

impl Junctions {
    pub(super) fn new(city: &City) -> Self {
        let network = &city.network;
        let ids = || network.segment_ids();
        Self {
            green: ids().map(|id| green(city, id)).collect(),
            rivals: ids().map(|id| rivals(network, id)).collect(),
            claims: vec![(i64::MIN, 0); network.junction_count()],
        }
    }

    /// Whether there is a signal at the end of the segment, and it is red.
    pub(super) fn is_red(&self, segment: u32, second: i64) -> bool {
        self.green[segment as usize].is_some_and(|green| {
            let at =
                (second + i64::from(green.offset_s)).rem_euclid(i64::from(green.cycle_s)) as u32;
            !(green.from_s..green.until_s).contains(&at)
        })
    }

    pub(super) fn has_signal(&self, segment: u32) -> bool {
        self.green[segment as usize].is_some()
    }

    pub(super) fn rivals(&self, segment: u32) -> &[u32] {
        &self.rivals[segment as usize]
    }

    /// Whether nobody from elsewhere crossed in this second.
    pub(super) fn is_clear(&self, junction: JunctionId, segment: u32, second: i64) -> bool {
        let (last, by) = self.claims[junction.index()];
        last != second || by == segment
    }

    pub(super) fn claim(&mut self, junction: JunctionId, segment: u32, second: i64) {
        self.claims[junction.index()] = (second, segment);
    }
}

fn green(city: &City, id: SegmentId) -> Option<Green> {
    let plan = city.signals.get(&city.network.segment(id).to())?;
    let phase = plan
        .phases
        .iter()
        .find(|phase| phase.approaches.contains(&id))?;
    Some(Green {
        cycle_s: plan.cycle_s,
        offset_s: plan.offset_s,
        from_s: phase.green_from_s,
        until_s: phase.green_until_s,
    })
}

fn rivals(network: &Network, id: SegmentId) -> Vec<u32> {
    let segment = network.segment(id);
    let merges = segment.flags.contains(SegmentFlags::LINK)
        && network
            .movements_from(id)
            .iter()
            .all(|m| network.segment(m.to()).class() == RoadClass::Motorway);
    // On expressways one merges into the gap there is; nobody stops on the carriageway.
    if merges
        || segment.class() == RoadClass::Motorway && !segment.flags.contains(SegmentFlags::LINK)
        || !yields(network, id)
    {
        return Vec::new();
    }
    let mut rivals: Vec<u32> = network
        .movements_from(id)
        .iter()
        .flat_map(|movement| network.movements_into(movement.to()))
        .map(|movement| movement.from())
        .filter(|&other| other != id && !yields(network, other))
        .map(|other| other.0)
        .collect();
    rivals.sort_unstable();
    rivals.dedup();
    rivals
}
