//! Bottlenecks: where traffic jams up and is free behind, for how long and at what cost, ranked by
//! day.
//!
//! On freeways after Chen, Skabardonis and Varaiya (2004), "Systematic identification of freeway
//! bottlenecks", Transportation Research Record 1867: upstream slower than 40 mph, downstream more
//! than 20 mph faster, sustained when true in five of seven intervals; here an interval is a
//! minute, theirs is five. In town the same with speeds over free flow: upstream at most half (a
//! light jam of GB/T 33171-2016), downstream more than 0.7 (smooth). The extent is the jam that
//! hangs together upstream of it, the delay that of everybody in it against free flow.

use std::collections::{BTreeMap, BTreeSet};

use super::bytes::{Reader, put_head, put_i64, put_u8, put_u8_all, put_u32, put_u64};
use super::{Calendar, DiagramFits, Provenance, SegmentState, SnapshotError, StateBatch};
use crate::network::{Network, RoadClass, Segment};
use crate::units::{SegmentId, Timestamp};

/// Freeways: fastest speed of a jam, and what it is faster behind it, m/s (40 and 20 mph).
const FREEWAY_JAM_MPS: f32 = 40.0 * 0.447_04;
const FREEWAY_DIFFERENCE_MPS: f32 = 20.0 * 0.447_04;

/// In town: speed over free flow in the jam at most, and behind it at least.
const TOWN_JAM_RATIO: f32 = 0.5;
const TOWN_FREE_RATIO: f32 = 0.7;

/// Minutes looked back at, how many of them make it active, and how few end it.
const WINDOW_MASK: u8 = 0b0111_1111;
const ACTIVE_MINUTES: u32 = 5;
const OVER_MINUTES: u32 = 2;

/// Most segments of one jam that are walked; a longer one is counted up to there.
const EXTENT_SEGMENTS_MAX: usize = 500;

/// Most bottlenecks remembered of a day; further ones are left out and counted.
pub const BOTTLENECKS_MAX: usize = 5_000;

const MAGIC: &[u8; 8] = b"RCBOTTL\0";
const VERSION: u16 = 2;
const WHAT: &str = "bottleneck snapshot";

/// One bottleneck on one day.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Bottleneck {
    /// The segment that is jammed up to its end.
    pub segment: SegmentId,
    /// Times it became active.
    pub activations: u32,
    /// Minutes it was active.
    pub active_minutes: u32,
    /// Start of the first active minute.
    pub first: Timestamp,
    /// End of the newest active minute.
    pub until: Timestamp,
    /// Whether it was active in the newest minute.
    pub is_active: bool,
    /// Length of its jam, m: of the newest active minute, and the longest of the day.
    pub extent_m: f32,
    /// See `extent_m`.
    pub extent_m_max: f32,
    /// Delay of all vehicles in its jams against free flow, veh·h.
    pub delay_veh_h: f64,
    /// Part of `delay_veh_h` whose flow was read from fundamental diagrams, not counted or derived
    /// from probes, veh·h.
    pub estimated_veh_h: f64,
}

/// The bottlenecks of one local day, worst first.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct BottleneckDay {
    /// Local date as days since 1970-01-01.
    pub day: i64,
    /// By delay, then by active minutes, then by segment.
    pub ranked: Vec<Bottleneck>,
}

/// The memory of bottlenecks.
#[derive(Clone, Debug, PartialEq)]
pub struct Bottlenecks {
    calendar: Calendar,
    /// For each segment the minutes in which the rule held, newest lowest.
    held: Vec<u8>,
    active: BTreeSet<SegmentId>,
    day: i64,
    today: BTreeMap<SegmentId, Bottleneck>,
    /// The day before, finished.
    yesterday: BottleneckDay,
    left_out: u64,
    extents_cut: u64,
}

impl Bottlenecks {
    /// None seen yet on a network of `segment_count` segments.
    pub fn new(calendar: Calendar, segment_count: usize) -> Self {
        Self {
            calendar,
            held: vec![0; segment_count],
            active: BTreeSet::new(),
            day: i64::MIN,
            today: BTreeMap::new(),
            yesterday: BottleneckDay::default(),
            left_out: 0,
            extents_cut: 0,
        }
    }

    /// Takes a closed minute.
    ///
    /// # Panics
    /// When `batch` is of another network.
    pub fn close_minute(&mut self, network: &Network, diagrams: &DiagramFits, batch: &StateBatch) {
        self.roll_day(batch.interval.start);
        let states = &batch.segments;
        let jammed = |id: SegmentId| is_jammed(network.segment(id), &states[id.index()]);
        for (index, held) in self.held.iter_mut().enumerate() {
            let id = SegmentId(index as u32);
            let holds = jammed(id) && is_free_behind(network, id, states);
            *held = ((*held << 1) | u8::from(holds)) & WINDOW_MASK;
            let count = held.count_ones();
            if count >= ACTIVE_MINUTES {
                self.active.insert(id);
            } else if count < OVER_MINUTES {
                self.active.remove(&id);
            }
        }
        self.today
            .values_mut()
            .for_each(|known| known.is_active = false);
        let mut taken = BTreeSet::new();
        for &head in &self.active {
            if self.today.len() >= BOTTLENECKS_MAX && !self.today.contains_key(&head) {
                self.left_out += 1;
                continue;
            }
            let (jam, is_cut) = walk(network, head, &jammed, &mut taken);
            self.extents_cut += u64::from(is_cut);
            let is_new = !self.today.contains_key(&head);
            let known = self.today.entry(head).or_insert(Bottleneck {
                segment: head,
                activations: 0,
                active_minutes: 0,
                first: batch.interval.start,
                until: batch.interval.start,
                is_active: false,
                extent_m: 0.0,
                extent_m_max: 0.0,
                delay_veh_h: 0.0,
                estimated_veh_h: 0.0,
            });
            if is_new || known.until < batch.interval.start {
                known.activations += 1;
            }
            known.active_minutes += 1;
            known.until = batch.interval.end;
            known.is_active = true;
            known.extent_m = 0.0;
            for id in jam {
                let (segment, state) = (network.segment(id), &states[id.index()]);
                known.extent_m += segment.length_m;
                let (delay, is_estimated) = delay_veh_h(network, diagrams, id, state);
                known.delay_veh_h += delay;
                known.estimated_veh_h += if is_estimated { delay } else { 0.0 };
            }
            known.extent_m_max = known.extent_m_max.max(known.extent_m);
        }
    }

    fn roll_day(&mut self, start: Timestamp) {
        let local_s = start.as_secs() + self.calendar.utc_offset_s;
        let day = local_s.div_euclid(86_400);
        if day != self.day {
            self.yesterday = self.today();
            self.day = day;
            self.today.clear();
        }
    }

    /// The bottlenecks of the local day of the newest minute so far, worst first.
    pub fn today(&self) -> BottleneckDay {
        let mut ranked: Vec<Bottleneck> = self.today.values().copied().collect();
        ranked.sort_by(|one, other| {
            let by_delay = other.delay_veh_h.total_cmp(&one.delay_veh_h);
            by_delay
                .then(other.active_minutes.cmp(&one.active_minutes))
                .then(one.segment.cmp(&other.segment))
        });
        BottleneckDay {
            day: self.day,
            ranked,
        }
    }

    /// Those of the day before, finished; without any where that day was not seen.
    pub fn yesterday(&self) -> &BottleneckDay {
        &self.yesterday
    }

    /// How many are active now.
    pub fn active_count(&self) -> usize {
        self.active.len()
    }

    /// Active minutes of bottlenecks that found no room in their day ([`BOTTLENECKS_MAX`]).
    pub fn left_out_count(&self) -> u64 {
        self.left_out
    }

    /// Jams that were longer than the most segments that are followed, a minute at a time.
    pub fn extents_cut_count(&self) -> u64 {
        self.extents_cut
    }

    /// Appends everything needed to go on later.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        put_i64(out, self.day);
        put_u64(out, self.left_out);
        put_u64(out, self.extents_cut);
        put_u8_all(out, &self.held);
        put_u64(out, self.active.len() as u64);
        self.active
            .iter()
            .for_each(|segment| put_u32(out, segment.0));
        put_u64(out, self.today.len() as u64);
        self.today
            .values()
            .for_each(|known| put_bottleneck(out, known));
        put_i64(out, self.yesterday.day);
        put_u64(out, self.yesterday.ranked.len() as u64);
        self.yesterday
            .ranked
            .iter()
            .for_each(|known| put_bottleneck(out, known));
    }

    /// Takes back what [`Bottlenecks::snapshot`] wrote for the same network.
    ///
    /// # Errors
    /// When the bytes are not an intact snapshot of this network.
    pub fn restore(&mut self, network: &Network, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let mut restored = Self::new(self.calendar.clone(), self.held.len());
        restored.day = reader.take_i64()?;
        restored.left_out = reader.take_u64()?;
        restored.extents_cut = reader.take_u64()?;
        reader.take_u8_all(&mut restored.held)?;
        for _ in 0..reader.take_count(4)? {
            let segment = SegmentId(reader.take_u32()?);
            if segment.index() >= network.segment_count() {
                return Err(reader.damaged());
            }
            restored.active.insert(segment);
        }
        for _ in 0..reader.take_count(8)? {
            let known = take_bottleneck(&mut reader, network)?;
            restored.today.insert(known.segment, known);
        }
        restored.yesterday.day = reader.take_i64()?;
        for _ in 0..reader.take_count(8)? {
            let known = take_bottleneck(&mut reader, network)?;
            restored.yesterday.ranked.push(known);
        }
        reader.finish()?;
        *self = restored;
        Ok(())
    }
}

/// Whether the freeway rule applies.
fn is_freeway(segment: &Segment) -> bool {
    matches!(segment.class(), RoadClass::Motorway | RoadClass::Trunk) && !segment.is_signalised()
}

/// Whether a segment is jammed, by what was measured or estimated and not by what is usual.
fn is_jammed(segment: &Segment, state: &SegmentState) -> bool {
    let bound_mps = if is_freeway(segment) {
        FREEWAY_JAM_MPS.min(TOWN_FREE_RATIO * state.free_flow_mps)
    } else {
        TOWN_JAM_RATIO * state.free_flow_mps
    };
    state.provenance != Provenance::Profile && state.speed_mps < bound_mps
}

/// Whether traffic is free on everything that a segment leads to, and something is.
fn is_free_behind(network: &Network, id: SegmentId, states: &[SegmentState]) -> bool {
    let mine = &states[id.index()];
    let is_fast = |to: SegmentId| {
        let (segment, state) = (network.segment(to), &states[to.index()]);
        if is_freeway(network.segment(id)) && is_freeway(segment) {
            state.speed_mps > mine.speed_mps + FREEWAY_DIFFERENCE_MPS
        } else {
            state.speed_mps > TOWN_FREE_RATIO * state.free_flow_mps
        }
    };
    let ways = network.movements_from(id);
    !ways.is_empty() && ways.iter().all(|movement| is_fast(movement.to()))
}

/// The jam that hangs together upstream of `head`, nearest first, and whether there was more of it;
/// what another head has is left to it.
fn walk(
    network: &Network,
    head: SegmentId,
    is_jammed: &impl Fn(SegmentId) -> bool,
    taken: &mut BTreeSet<SegmentId>,
) -> (Vec<SegmentId>, bool) {
    let (mut jam, mut is_cut) = (Vec::new(), false);
    if taken.insert(head) {
        jam.push(head);
    }
    let mut next = 0;
    while next < jam.len() {
        for movement in network.movements_into(jam[next]) {
            let from = movement.from();
            if !is_jammed(from) || taken.contains(&from) {
                continue;
            }
            if jam.len() >= EXTENT_SEGMENTS_MAX {
                is_cut = true;
                continue;
            }
            taken.insert(from);
            jam.push(from);
        }
        next += 1;
    }
    (jam, is_cut)
}

/// Delay of everybody on a segment in one minute, veh·h, and whether its flow is an estimate.
fn delay_veh_h(
    network: &Network,
    diagrams: &DiagramFits,
    id: SegmentId,
    state: &SegmentState,
) -> (f64, bool) {
    let segment = network.segment(id);
    let (speed_mps, free_mps) = (state.speed_mps.max(0.3), state.free_flow_mps.max(0.3));
    let lost_s = segment.length_m / speed_mps - segment.length_m / free_mps;
    let flow_vph = state.flow_vph.unwrap_or_else(|| {
        let diagram = diagrams.of(network, id, state.free_flow_mps);
        let flow = diagram.flow_from_speed(state.speed_mps, state.sigma_mps, segment.lanes);
        flow.value
    });
    let vehicles = f64::from(flow_vph) / 60.0;
    let delay = vehicles * f64::from(lost_s.max(0.0)) / 3600.0;
    (delay, state.flow_vph.is_none())
}

fn put_bottleneck(out: &mut Vec<u8>, known: &Bottleneck) {
    put_u32(out, known.segment.0);
    put_u32(out, known.activations);
    put_u32(out, known.active_minutes);
    put_i64(out, known.first.as_millis());
    put_i64(out, known.until.as_millis());
    put_u8(out, u8::from(known.is_active));
    for number in [known.extent_m, known.extent_m_max] {
        out.extend_from_slice(&number.to_le_bytes());
    }
    for number in [known.delay_veh_h, known.estimated_veh_h] {
        put_u64(out, number.to_bits());
    }
}

fn take_bottleneck(
    reader: &mut Reader<'_>,
    network: &Network,
) -> Result<Bottleneck, SnapshotError> {
    let known = Bottleneck {
        segment: SegmentId(reader.take_u32()?),
        activations: reader.take_u32()?,
        active_minutes: reader.take_u32()?,
        first: Timestamp::from_millis(reader.take_i64()?),
        until: Timestamp::from_millis(reader.take_i64()?),
        is_active: reader.take_u8()? != 0,
        extent_m: reader.take_finite()?,
        extent_m_max: reader.take_finite()?,
        delay_veh_h: f64::from_bits(reader.take_u64()?),
        estimated_veh_h: f64::from_bits(reader.take_u64()?),
    };
    let is_sound = known.segment.index() < network.segment_count()
        && known.delay_veh_h.is_finite()
        && known.estimated_veh_h.is_finite();
    is_sound.then_some(known).ok_or_else(|| reader.damaged())
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::state::testing::{minute, road};

    fn batch(network: &Network, index: i64, speeds_mps: &[f32]) -> StateBatch {
        let segments = speeds_mps.iter().map(|&speed_mps| SegmentState {
            speed_mps,
            free_flow_mps: 30.0,
            flow_vph: Some(1_800.0),
            provenance: Provenance::Observed,
            ..SegmentState::default()
        });
        StateBatch {
            interval: minute(index),
            network: network.version(),
            segments: segments.collect(),
        }
    }

    /// ```text
    ///   ──0──> ──1──> ──2──> ──3──>      the jam ends at the end of 2
    /// ```
    const JAM: [f32; 4] = [28.0, 10.0, 5.0, 27.0];
    const FREE: [f32; 4] = [28.0; 4];

    fn run(network: &Network, minutes: impl IntoIterator<Item = [f32; 4]>) -> Bottlenecks {
        let mut bottlenecks = Bottlenecks::new(Calendar::default(), network.segment_count());
        for (index, speeds) in (0..).zip(minutes) {
            let batch = batch(network, index, &speeds);
            bottlenecks.close_minute(network, &DiagramFits::default(), &batch);
        }
        bottlenecks
    }

    #[test]
    fn it_is_active_from_the_fifth_minute_until_traffic_is_free_again() {
        let network = road(4, RoadClass::Motorway, false);
        let minutes = [[JAM; 20].as_slice(), &[FREE; 10]].concat();
        let bottlenecks = run(&network, minutes);
        let ranked = bottlenecks.today().ranked;
        assert_eq!(ranked.len(), 1, "{ranked:?}");
        let found = ranked[0];
        assert_eq!((found.segment, found.activations), (SegmentId(2), 1));
        // Minutes 4 to 25: the rule held in 2 of 7 minutes until then.
        assert_eq!(found.active_minutes, 21, "{found:?}");
        assert_eq!(found.first, minute(4).start);
        assert!(!found.is_active && bottlenecks.active_count() == 0);
        assert!((found.extent_m_max - 1_000.0).abs() < 0.1);
        // 30 veh a minute lose 500/10 - 500/30 and 500/5 - 500/30 s: 0.97 veh·h a minute, for 16
        // jammed minutes; afterwards the head alone loses next to nothing.
        let a_minute = 30.0 * (33.33 + 83.33) / 3600.0;
        let after = 5.0 * 30.0 * (500.0 / 28.0 - 500.0 / 30.0) / 3600.0;
        assert!(
            (found.delay_veh_h - 16.0 * a_minute - after).abs() < 0.05,
            "{found:?}"
        );
        assert!(found.estimated_veh_h.abs() < 1e-9);
    }

    #[test]
    fn four_minutes_or_a_jam_without_end_are_none() {
        let network = road(4, RoadClass::Motorway, false);
        let short = [[JAM; 4].as_slice(), &[FREE; 10]].concat();
        assert!(run(&network, short).today().ranked.is_empty());
        let jammed_through = [[9.0f32, 8.0, 7.0, 9.0]; 20];
        assert!(run(&network, jammed_through).today().ranked.is_empty());
    }

    #[test]
    fn in_town_the_ratio_decides() {
        // 14 m/s of 30 are a jam, 19 behind it are not free.
        let network = road(4, RoadClass::Secondary, false);
        let ends = [[28.0f32, 27.0, 14.0, 22.0]; 10];
        assert_eq!(run(&network, ends).today().ranked[0].segment, SegmentId(2));
        let slow = [[28.0f32, 27.0, 14.0, 19.0]; 10];
        assert!(run(&network, slow).today().ranked.is_empty());
    }

    #[test]
    fn a_day_ends_at_local_midnight_and_a_restart_changes_nothing() {
        let network = road(4, RoadClass::Motorway, false);
        // UTC+8: the local day changes at 16:00 UTC.
        let mut one = Bottlenecks::new(Calendar::default(), 4);
        for index in 950..960 {
            one.close_minute(
                &network,
                &DiagramFits::default(),
                &batch(&network, index, &JAM),
            );
        }
        let mut bytes = Vec::new();
        one.snapshot(&network, &mut bytes);
        let mut other = Bottlenecks::new(Calendar::default(), 4);
        other.restore(&network, &bytes).expect("its own bytes");
        for bottlenecks in [&mut one, &mut other] {
            for index in 960..963 {
                let batch = batch(&network, index, &JAM);
                bottlenecks.close_minute(&network, &DiagramFits::default(), &batch);
            }
        }
        assert_eq!(one, other);
        assert_eq!(one.yesterday().ranked[0].active_minutes, 6);
        assert_eq!(one.today().ranked[0].active_minutes, 3);
        assert!(other.restore(&network, &bytes[..bytes.len() - 1]).is_err());
    }

    #[test]
    fn what_is_only_usual_is_no_bottleneck_and_unknown_flow_is_estimated() {
        let network = road(4, RoadClass::Motorway, false);
        let mut bottlenecks = Bottlenecks::new(Calendar::default(), 4);
        let mut estimated = Bottlenecks::new(Calendar::default(), 4);
        for index in 0..10 {
            let mut batch = batch(&network, index, &JAM);
            batch
                .segments
                .iter_mut()
                .for_each(|state| state.flow_vph = None);
            estimated.close_minute(&network, &DiagramFits::default(), &batch);
            let usual = |state: &mut SegmentState| state.provenance = Provenance::Profile;
            batch.segments.iter_mut().for_each(usual);
            bottlenecks.close_minute(&network, &DiagramFits::default(), &batch);
        }
        assert!(bottlenecks.today().ranked.is_empty());
        let found = estimated.today().ranked[0];
        assert!(found.delay_veh_h > 1.0);
        assert!((found.delay_veh_h - found.estimated_veh_h).abs() < 1e-9);
    }
}
