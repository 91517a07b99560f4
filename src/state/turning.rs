//! Turning flows: which way vehicles leave a segment, and how many.
//!
//! Shares come from what probes did, counted per movement with fading memory; flows from the flow
//! of the segment, or from detectors where the lanes of a movement lead nowhere else.

use std::collections::BTreeMap;

use super::bytes::{Reader, put_f32_all, put_head, put_u64};
use super::{BinSums, DetectorKind, DetectorTable, MINUTE_MS, SegmentState, SnapshotError};
use crate::network::Network;
use crate::observation::DetectorReading;
use crate::units::{Interval, SegmentId, Timestamp};

/// What is left of a count after a minute: half after a quarter of an hour (chosen: turning shares
/// change with the time of day, and a movement sees a few probes a cycle).
const KEPT: f32 = 0.954_84;

/// The same for counts of detectors: half after three minutes, a few cycles (chosen).
const LANE_KEPT: f32 = 0.793_7;

/// A detector tells which way its vehicles go if it stands at most so far before the end of the
/// segment, m (chosen: behind it nobody changes lanes).
const STOP_LINE_M: f32 = 50.0;

/// Vehicles that each movement is taken to have had before any was seen, all movements of a segment
/// together.
const PRIOR: f32 = 1.0;

const MAGIC: &[u8; 8] = b"RCTURNS\0";
const VERSION: u16 = 1;
const WHAT: &str = "turning snapshot";

/// Where the flow of a movement comes from.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum TurnBasis {
    /// Detectors on all lanes that lead there, and only there.
    Detectors,
    /// The flow of the segment times the share of probes.
    Probes,
}

impl TurnBasis {
    /// The label used in messages.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Detectors => "detectors",
            Self::Probes => "probes",
        }
    }
}

/// The traffic of one movement.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TurnFlow {
    /// Index of the movement in [`Network::movements`].
    pub movement: usize,
    /// Share of the segment's vehicles that go this way, `0.0..=1.0`.
    pub ratio: f32,
    /// Standard deviation of `ratio`, from the number of vehicles seen.
    pub ratio_sigma: f32,
    /// Vehicles seen to go this way of late, those of longer ago at their weight.
    pub seen: f32,
    /// Flow, veh/h; `None` where the segment's flow is unknown.
    pub flow_vph: Option<f32>,
    /// Standard deviation of `flow_vph`, veh/h, the segment's flow taken as exact.
    pub flow_sigma_vph: Option<f32>,
    /// Where the flow comes from.
    pub basis: TurnBasis,
}

/// Counts of every movement of a network, with fading memory.
#[derive(Clone, Debug, PartialEq)]
pub struct Turning {
    /// Vehicles seen, faded, by movement.
    seen: Vec<f32>,
    /// Lanes whose every link belongs to one movement, where all lanes of that movement are so:
    /// movement by segment and lane.
    lanes: BTreeMap<(SegmentId, u8), u32>,
    /// Detected vehicles and minutes, both faded, by movement.
    detected: BTreeMap<u32, (f32, f32)>,
    last: Option<Timestamp>,
    scratch: Vec<u32>,
}

impl Turning {
    /// Nothing seen yet, with the detectors of `table`.
    pub fn new(network: &Network, table: &DetectorTable) -> Self {
        let count = network.movements().len();
        Self {
            seen: vec![0.0; count],
            lanes: exclusive_lanes(network, table),
            detected: BTreeMap::new(),
            last: None,
            scratch: vec![0; count],
        }
    }

    /// Takes a closed minute.
    ///
    /// # Panics
    /// When `sums` is of another network.
    pub fn close_minute(
        &mut self,
        network: &Network,
        minute: Interval,
        sums: &BinSums,
        readings: &[DetectorReading],
        table: &DetectorTable,
    ) {
        let minutes = self.last.map_or(1, |last| {
            (minute.start.millis_since(last) / MINUTE_MS).clamp(1, 10_000)
        });
        self.last = Some(minute.start);
        let kept = KEPT.powi(minutes as i32);
        let mut counts = std::mem::take(&mut self.scratch);
        counts.fill(0);
        sums.count_left(&mut counts);
        for (seen, &count) in self.seen.iter_mut().zip(&counts) {
            *seen = *seen * kept + count as f32;
        }
        self.scratch = counts;
        self.take_readings(network, minute, readings, table, minutes as i32);
    }

    fn take_readings(
        &mut self,
        network: &Network,
        minute: Interval,
        readings: &[DetectorReading],
        table: &DetectorTable,
        minutes: i32,
    ) {
        let kept = LANE_KEPT.powi(minutes);
        for (count, weight) in self.detected.values_mut() {
            (*count, *weight) = (*count * kept, *weight * kept);
        }
        let mut in_minute: BTreeMap<u32, f32> = BTreeMap::new();
        for reading in readings {
            if !reading.ends_in(minute) {
                continue;
            }
            let Some(place) = table.place(&reading.detector) else {
                continue;
            };
            let before_end_m = network.segment(place.segment).length_m - place.offset_m;
            if place.kind == DetectorKind::Point
                && before_end_m <= STOP_LINE_M
                && let Some(&movement) = self.lanes.get(&(place.segment, place.lane))
            {
                *in_minute.entry(movement).or_default() += reading.vehicle_count.max(0.0);
            }
        }
        for (movement, count) in in_minute {
            let detected = self.detected.entry(movement).or_default();
            detected.0 += count;
            detected.1 += 1.0;
        }
        self.detected.retain(|_, (_, weight)| *weight > 0.05);
    }

    /// The traffic of every movement that leaves `segment`, in the order of
    /// [`Network::movements_from`]; empty where none does.
    ///
    /// Shares are those of the vehicles seen, drawn towards equal shares by one vehicle; their
    /// variance is that of a binomial with the effective number behind the faded counts.
    ///
    /// # Panics
    /// When `segment` is of another network.
    pub fn of(&self, network: &Network, segment: SegmentId, state: &SegmentState) -> Vec<TurnFlow> {
        let range = network.movement_range_from(segment);
        let prior = PRIOR / range.len().max(1) as f32;
        let total: f32 = self.seen[range.clone()].iter().sum::<f32>() + PRIOR;
        // Faded counts with weights w have (sum w)^2 / sum w^2 = (1 + kept) sum w independent ones.
        let effective = total * (1.0 + KEPT);
        let flow = |movement: usize| {
            let seen = self.seen[movement];
            let ratio = (seen + prior) / total;
            let ratio_sigma = (ratio * (1.0 - ratio) / effective).sqrt();
            let counted = self.detected.get(&(movement as u32));
            let (flow_vph, flow_sigma_vph, basis) = match counted {
                Some(&(count, weight)) => {
                    let vph = count / weight * 60.0;
                    // A Poisson count over the effective minutes.
                    let minutes = weight * (1.0 + LANE_KEPT);
                    let sigma = 60.0 * (vph / 60.0 / minutes).sqrt();
                    (Some(vph), Some(sigma), TurnBasis::Detectors)
                }
                None => {
                    let of = |share: f32| state.flow_vph.map(|flow_vph| flow_vph * share);
                    (of(ratio), of(ratio_sigma), TurnBasis::Probes)
                }
            };
            TurnFlow {
                movement,
                ratio,
                ratio_sigma,
                seen,
                flow_vph,
                flow_sigma_vph,
                basis,
            }
        };
        range.map(flow).collect()
    }

    /// Forgets the counts of movements for which `is_withheld` says so, by the segment they leave and
    /// the vehicles seen of late; what detectors counted stays.
    pub fn withhold(&mut self, network: &Network, is_withheld: impl Fn(SegmentId, f32) -> bool) {
        for (movement, seen) in network.movements().iter().zip(&mut self.seen) {
            if *seen > 0.0 && is_withheld(movement.from(), *seen) {
                *seen = 0.0;
            }
        }
    }

    /// Appends everything needed to go on later.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        let last_ms = self.last.map_or(i64::MIN, Timestamp::as_millis);
        out.extend_from_slice(&last_ms.to_le_bytes());
        put_f32_all(out, &self.seen);
        put_u64(out, self.detected.len() as u64);
        for (&movement, &(count, weight)) in &self.detected {
            out.extend_from_slice(&movement.to_le_bytes());
            out.extend_from_slice(&count.to_le_bytes());
            out.extend_from_slice(&weight.to_le_bytes());
        }
    }

    /// Takes back what [`Turning::snapshot`] wrote for the same network; detectors stay as they are.
    ///
    /// # Errors
    /// When the bytes are not an intact snapshot of this network.
    pub fn restore(&mut self, network: &Network, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let last_ms = reader.take_i64()?;
        let mut seen = vec![0.0; self.seen.len()];
        reader.take_finite_all(&mut seen)?;
        let mut detected = BTreeMap::new();
        for _ in 0..reader.take_count(12)? {
            let movement = reader.take_u32()?;
            let counts = (reader.take_finite()?, reader.take_finite()?);
            if movement as usize >= seen.len() || counts.1 <= 0.0 {
                return Err(reader.damaged());
            }
            detected.insert(movement, counts);
        }
        reader.finish()?;
        self.last = (last_ms != i64::MIN).then_some(Timestamp::from_millis(last_ms));
        (self.seen, self.detected) = (seen, detected);
        Ok(())
    }
}

/// Lanes that tell a movement: every link of the lane is of one movement, every lane of the movement
/// is such a lane, and each has a point detector near the end of its segment.
fn exclusive_lanes(network: &Network, table: &DetectorTable) -> BTreeMap<(SegmentId, u8), u32> {
    let mut told = BTreeMap::new();
    let mut near: BTreeMap<SegmentId, Vec<u8>> = BTreeMap::new();
    for (_, place) in table.iter() {
        let before_end_m = network.segment(place.segment).length_m - place.offset_m;
        if place.kind == DetectorKind::Point && before_end_m <= STOP_LINE_M {
            near.entry(place.segment).or_default().push(place.lane);
        }
    }
    for (segment, detected) in near {
        let mut lanes_of: Vec<(usize, Vec<u8>)> = Vec::new();
        for movement in network.movement_range_from(segment) {
            let links = network.lane_links(movement).iter();
            let mut lanes: Vec<u8> = links.map(|link| link.from().0).collect();
            lanes.dedup();
            lanes_of.push((movement, lanes));
        }
        for (movement, lanes) in &lanes_of {
            let is_alone = |lane: &u8| {
                let others = lanes_of.iter().filter(|(other, _)| other != movement);
                others.into_iter().all(|(_, others)| !others.contains(lane))
            };
            let is_told = !lanes.is_empty()
                && lanes
                    .iter()
                    .all(|lane| is_alone(lane) && detected.contains(lane));
            if is_told {
                let keys = lanes.iter().map(|&lane| (segment, lane));
                told.extend(keys.map(|key| (key, *movement as u32)));
            }
        }
    }
    told
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::{fork, minute};

    fn counted(network: &Network, left: u32, right: u32) -> BinSums {
        let mut sums = BinSums::new(network.segment_count());
        let first = network.movement_range_from(SegmentId(0)).start;
        (0..left).for_each(|_| sums.leave(first));
        (0..right).for_each(|_| sums.leave(first + 1));
        sums
    }

    #[test]
    fn shares_are_those_of_vehicles_seen_and_their_spread_is_binomial() {
        let network = fork();
        let table = DetectorTable::default();
        let mut turning = Turning::new(&network, &table);
        for index in 0..240 {
            let sums = counted(&network, 3, 1);
            turning.close_minute(&network, minute(index), &sums, &[], &table);
        }
        let state = SegmentState {
            flow_vph: Some(800.0),
            ..SegmentState::default()
        };
        let flows = turning.of(&network, SegmentId(0), &state);
        assert_eq!(flows.len(), 2);
        assert!((flows[0].ratio - 0.75).abs() < 0.005, "{flows:?}");
        assert!((flows[0].ratio + flows[1].ratio - 1.0).abs() < 1e-5);
        // Four a minute, faded: 4 / (1 - 0.955) = 88.6 of 173 independent ones.
        let expected = (0.75f32 * 0.25 / (89.6 * 1.9548)).sqrt();
        assert!((flows[0].ratio_sigma - expected).abs() < 0.002, "{flows:?}");
        assert!((flows[0].flow_vph.unwrap_or(0.0) - 600.0).abs() < 5.0);
        assert_eq!(flows[0].basis, TurnBasis::Probes);
        let nothing = turning.of(&network, SegmentId(0), &SegmentState::default());
        assert_eq!(nothing[0].flow_vph, None);
        assert!(turning.of(&network, SegmentId(1), &state).is_empty());
    }

    #[test]
    fn before_anybody_was_seen_shares_are_equal_and_say_that_they_are_unsure() {
        let network = fork();
        let turning = Turning::new(&network, &DetectorTable::default());
        let flows = turning.of(&network, SegmentId(0), &SegmentState::default());
        assert!((flows[0].ratio - 0.5).abs() < 1e-6 && flows[0].ratio_sigma > 0.3);
        assert!(flows[0].seen < 1e-6);
    }

    #[test]
    fn who_is_withdrawn_does_not_count_and_order_does_not_matter() {
        let network = fork();
        let first = network.movement_range_from(SegmentId(0)).start;
        let mut sums = counted(&network, 2, 5);
        (0..4).for_each(|_| sums.withdraw(first + 1));
        let mut other = counted(&network, 1, 0);
        other.merge(&sums);
        sums.merge(&counted(&network, 1, 0));
        assert_eq!(sums, other);
        let mut counts = vec![0; network.movements().len()];
        sums.count_left(&mut counts);
        assert_eq!((counts[first], counts[first + 1]), (3, 1));
    }

    #[test]
    fn a_snapshot_goes_on_where_it_stood() {
        let network = fork();
        let table = DetectorTable::default();
        let mut one = Turning::new(&network, &table);
        one.close_minute(&network, minute(0), &counted(&network, 3, 1), &[], &table);
        let mut bytes = Vec::new();
        one.snapshot(&network, &mut bytes);
        let mut other = Turning::new(&network, &table);
        other.restore(&network, &bytes).expect("its own bytes");
        for turning in [&mut one, &mut other] {
            let sums = counted(&network, 0, 2);
            turning.close_minute(&network, minute(5), &sums, &[], &table);
        }
        assert_eq!(one, other);
        bytes.pop();
        assert!(other.restore(&network, &bytes).is_err());
    }
}
