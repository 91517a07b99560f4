//! The front of stage 1: decodes messages, judges lateness, routes records to partitions and says
//! when a minute closes.

use std::sync::Arc;

use super::roadside::RoadsideMemory;
use super::{PARTITION_COUNT, SnapshotError};
use crate::matching::Areas;
use crate::network::Network;
use crate::observation::{
    Decoded, DetectorReading, Observation, RawMessage, Reading, RejectCounts, RejectReason,
};
use crate::screening::{
    Fleet, FleetSettings, Gate, GateSettings, MessageLead, PseudonymKeys, Pseudonyms, Views,
};
use crate::state::{IncidentOrder, MINUTE_MS, RoadsideView};
use crate::units::{Interval, SourceId, SubjectId, Timestamp, UnitId};
use crate::wire::{
    DecoderTable, Sender, filter_matches, incident_order, is_incident_order, unit_id,
};

/// The topic that says what time it is: everything observed before has been sent. The payload is
/// the event time in milliseconds as decimal digits. It is recorded like any message, so that a
/// replay closes the same minutes.
pub const CLOCK_TOPIC: &str = "roadcast/v1/clock";

/// Most orders of operators that wait for the end of a minute; further ones are refused as
/// `table_full`.
pub const ORDERS_MAX: usize = 1_000;

/// The time in a message of [`CLOCK_TOPIC`].
pub fn clock_time(payload: &[u8]) -> Option<Timestamp> {
    let millis: i64 = std::str::from_utf8(payload).ok()?.trim().parse().ok()?;
    Some(Timestamp::from_millis(millis))
}

/// Settings of the [`Front`].
#[derive(Clone, Debug)]
pub struct FrontSettings {
    /// How long a minute waits for stragglers after its end, in event time, ms.
    pub lateness_ms: i64,
    /// How far an observation may lie ahead of `now`, ms; `None` where `now` itself follows the
    /// observations (replays of files, the event clock).
    pub future_ms_max: Option<i64>,
    /// When roadside units are silent, skewed or flooding.
    pub fleet: FleetSettings,
    /// How many messages a device may send.
    pub gate: GateSettings,
}

impl Default for FrontSettings {
    /// Lateness 5 s, chosen: twice the slowest RSU's reporting period seen in the field recordings;
    /// clocks up to 10 s ahead are believed.
    fn default() -> Self {
        Self {
            lateness_ms: 5_000,
            future_ms_max: Some(10_000),
            fleet: FleetSettings::default(),
            gate: GateSettings::default(),
        }
    }
}

/// One thing that leaves the front, in order.
#[derive(Debug)]
pub enum Routed {
    /// An observation for the shard that owns the partition.
    Observation {
        /// Its virtual partition.
        partition: u8,
        /// Where it came from.
        source: SourceId,
        /// The measurement.
        observation: Observation,
    },
    /// Every shard commits what is pending: the input has ended.
    Flush,
    /// Every shard matches what comes behind this in these areas of roadside units.
    Areas(Arc<Areas>),
    /// Every shard closes this minute; the readings go to the analysis with it.
    Close {
        /// The minute.
        minute: Interval,
        /// Detector readings that ended in the minute, in order of arrival, and then what sites
        /// counted in it.
        detectors: Vec<DetectorReading>,
        /// What roadside units told until its end.
        roadside: Arc<RoadsideView>,
        /// What operators said of incidents before its end, in order of arrival.
        orders: Vec<IncidentOrder>,
    },
}

/// The front of stage 1; one a run, fed with every message in order.
#[derive(Debug)]
pub struct Front {
    decoder: DecoderTable,
    settings: FrontSettings,
    decoded: Decoded,
    /// Start of the oldest minute still open; `None` before the first record.
    open_from: Option<Timestamp>,
    newest: Timestamp,
    detectors: Vec<DetectorReading>,
    /// What operators said since the last minute was closed.
    orders: Vec<IncidentOrder>,
    received: u64,
    rejected: RejectCounts,
    /// Detector readings, reports of devices and other readings accepted.
    detector_count: u64,
    fleet: Fleet,
    views: Views,
    /// Names the vehicles of passages; everybody else is named by a shard.
    keys: PseudonymKeys,
    gate: Gate,
    /// Times of the observations of the message at hand.
    times: Vec<Timestamp>,
    areas: Arc<Areas>,
    roadside: RoadsideMemory,
    /// Numbers of the areas that take the message at hand.
    areas_of_topic: Vec<u32>,
}

impl Front {
    /// Builds a front that has seen nothing.
    ///
    /// Where `now` follows the observations there is no telling from times of receipt how fast
    /// somebody sends or how far a clock is off: the gate is open, and clocks are known only where
    /// they are stated.
    pub fn new(decoder: DecoderTable, mut settings: FrontSettings) -> Self {
        if settings.future_ms_max.is_none() {
            settings.gate = GateSettings::open();
            settings.fleet.is_clock_seen = false;
        }
        Self {
            decoder,
            fleet: Fleet::new(settings.fleet),
            gate: Gate::new(settings.gate.clone()),
            times: Vec::new(),
            settings,
            decoded: Decoded::default(),
            open_from: None,
            newest: Timestamp::MIN,
            detectors: Vec::new(),
            orders: Vec::new(),
            received: 0,
            rejected: RejectCounts::default(),
            detector_count: 0,
            views: Views::default(),
            keys: PseudonymKeys::new(Pseudonyms::default()),
            areas: Arc::default(),
            roadside: RoadsideMemory::default(),
            areas_of_topic: Vec::new(),
        }
    }

    /// Gives objects that roadside units perceive in `areas` the sources that stand for these.
    #[must_use]
    pub fn with_areas(mut self, areas: Arc<Areas>) -> Self {
        self.areas = areas;
        self
    }

    /// Names the vehicles of passages by `pseudonyms`.
    #[must_use]
    pub fn with_pseudonyms(mut self, pseudonyms: Pseudonyms) -> Self {
        self.keys = PseudonymKeys::new(pseudonyms);
        self
    }

    /// Ties the junctions that roadside units describe to `network`; without one they are refused
    /// as `unsupported_kind`.
    #[must_use]
    pub fn with_network(mut self, network: Arc<Network>) -> Self {
        self.roadside = RoadsideMemory::on(network);
        self
    }

    /// The areas in force: the configured ones, and those of the units that described junctions.
    pub fn areas(&self) -> &Arc<Areas> {
        &self.areas
    }

    /// Decodes one message and hands on what it holds, record by record.
    pub fn accept(&mut self, now: Timestamp, message: &RawMessage, out: &mut dyn FnMut(Routed)) {
        if &*message.topic == CLOCK_TOPIC {
            if let Some(time) = clock_time(&message.payload) {
                self.close_until(time, out);
            } else {
                self.received += 1;
                self.rejected.add(RejectReason::Malformed, 1);
            }
            return;
        }
        if is_incident_order(&message.topic) {
            self.accept_order(message);
            return;
        }
        let address = self.decoder.address(message);
        if let Some(sender) = &address.sender
            && !self.is_admitted(message.received_at, sender)
        {
            self.received += 1;
            self.rejected.add(RejectReason::RateCapped, 1);
            return;
        }
        let mut decoded = std::mem::take(&mut self.decoded);
        self.decoder
            .decode_addressed(&address, message, &mut decoded);
        self.take_reports(&decoded.readings);
        let device = address.sender.as_ref().map(|sender| sender.device);
        let correction_ms = device.map_or(0, |device| {
            self.correction_ms(message.received_at, device, &decoded)
        });
        let is_asked = self.roadside.has_units() || !decoded.readings.is_empty();
        // Where the topic names the unit, its messages all have that name.
        let unit = device
            .filter(|_| is_asked)
            .map(|name| unit_id(name.as_bytes()));
        let unit = unit.or(decoded.unit);
        for mut reading in decoded.readings.drain(..) {
            reading.correct_time(correction_ms);
            self.accept_reading(now, unit, reading, out);
        }
        self.received += decoded.rejected.total();
        self.rejected.merge(&decoded.rejected);
        self.areas_of_topic.clear();
        if !self.areas.is_empty() {
            let takes = |filter: &str| filter_matches(filter, &message.topic);
            self.areas.of_topic(takes, &mut self.areas_of_topic);
        }
        for &observation in &decoded.observations {
            let areas = &self.areas;
            let area = areas
                .source_of(&self.areas_of_topic, &observation)
                .or_else(|| self.roadside.source_of(areas, unit, &observation));
            let source = area.unwrap_or(message.source);
            let observation = Observation {
                view: self.views.number(message.source, &observation),
                observed_at: observation.observed_at.plus_millis(correction_ms),
                ..observation
            };
            self.route(now, source, observation, out);
        }
        for mut reading in decoded.detectors.drain(..) {
            reading.start = reading.start.plus_millis(correction_ms);
            reading.end = reading.end.plus_millis(correction_ms);
            self.accept_detector(now, reading, out);
        }
        self.decoded = decoded;
    }

    /// What an operator says counts with the minute that is closed next.
    fn accept_order(&mut self, message: &RawMessage) {
        self.received += 1;
        match incident_order(&message.topic, &message.payload) {
            None => self.rejected.add(RejectReason::Malformed, 1),
            Some(_) if self.orders.len() >= ORDERS_MAX => {
                self.rejected.add(RejectReason::TableFull, 1);
            }
            Some((incident, is_confirmed)) => {
                self.orders.push(IncidentOrder {
                    incident,
                    is_confirmed,
                });
                self.detector_count += 1;
            }
        }
    }

    /// Devices' reports go to the fleet, before anything of the message is judged by its clock.
    fn take_reports(&mut self, readings: &[Reading]) {
        for reading in readings {
            if let Reading::Device(report) = reading {
                self.fleet.report(report);
                self.received += 1;
                self.detector_count += 1;
            }
        }
    }

    /// Takes a reading of `unit` that is no report of a device. Only passages move the watermark:
    /// they are traffic, and the others may be told long before or after they are so. A junction
    /// holds while it is told and has no time of its own.
    fn accept_reading(
        &mut self,
        now: Timestamp,
        unit: Option<UnitId>,
        mut reading: Reading,
        out: &mut dyn FnMut(Routed),
    ) {
        let observed_at = reading.observed_at();
        let is_passage = matches!(reading, Reading::Passage(_));
        let late = match &reading {
            Reading::Device(_) => return,
            Reading::Junction(_) => None,
            Reading::Passage(_) => self.judge(now, observed_at, observed_at),
            _ => {
                let future = self.settings.future_ms_max;
                let ahead_ms = observed_at.millis_since(now);
                if future.is_some_and(|limit_ms| ahead_ms > limit_ms) {
                    Some(RejectReason::FromTheFuture)
                } else {
                    let open_from = self.open_from.filter(|open| observed_at < *open);
                    open_from.map(|_| RejectReason::Late)
                }
            }
        };
        self.received += 1;
        if let Reading::Passage(passage) = &mut reading {
            let named = passage
                .vehicle
                .map(|vehicle| self.keys.of(vehicle, observed_at));
            passage.vehicle = named;
        }
        let taken = match late {
            Some(reason) => Err(reason),
            None => self.roadside.take(reading, unit, &self.areas),
        };
        match taken {
            Err(reason) => self.rejected.add(reason, 1),
            Ok(areas) => {
                self.detector_count += 1;
                if let Some(areas) = areas {
                    self.areas = areas.clone();
                    out(Routed::Areas(areas));
                }
                if is_passage {
                    self.progress(now, observed_at, out);
                }
            }
        }
    }

    /// Whether the gate lets a message of `sender` in; those of units, and of what has told about
    /// itself like one, are counted.
    fn is_admitted(&mut self, received_at: Timestamp, sender: &Sender<'_>) -> bool {
        let keys = &mut self.keys;
        let named = |device| keys.of(device, received_at);
        let is_admitted = self
            .gate
            .admit(received_at, sender.device, sender.kind, named);
        if sender.is_unit || self.fleet.last_seen(sender.device).is_some() {
            self.fleet
                .heard(received_at, sender.device, sender.kind, is_admitted);
        }
        is_admitted
    }

    /// What to add to the times that a message of `device` gives, ms: 0 for what is no unit.
    fn correction_ms(&mut self, received_at: Timestamp, device: &str, decoded: &Decoded) -> i64 {
        if self.fleet.last_seen(device).is_none() {
            return 0;
        }
        self.times.clear();
        let observed = decoded.observations.iter();
        self.times.extend(observed.map(|seen| seen.observed_at));
        let lead = MessageLead::of(received_at, &mut self.times);
        self.fleet.correction_ms(device, lead)
    }

    fn route(
        &mut self,
        now: Timestamp,
        source: SourceId,
        observation: Observation,
        out: &mut dyn FnMut(Routed),
    ) {
        self.received += 1;
        let observed_at = observation.observed_at;
        if let Some(reason) = self.judge(now, observed_at, observed_at) {
            self.rejected.add(reason, 1);
            return;
        }
        let partition = partition_of(source, observation.subject);
        out(Routed::Observation {
            partition,
            source,
            observation,
        });
        self.progress(now, observed_at, out);
    }

    /// Takes one detector reading; it counts for the minute in which it ends.
    pub fn accept_detector(
        &mut self,
        now: Timestamp,
        reading: DetectorReading,
        out: &mut dyn FnMut(Routed),
    ) {
        self.received += 1;
        let last_inside = reading.end.plus_millis(-1).max(reading.start);
        if let Some(reason) = self.judge(now, last_inside, reading.end) {
            self.rejected.add(reason, 1);
            return;
        }
        self.detector_count += 1;
        self.detectors.push(reading);
        self.progress(now, last_inside, out);
    }

    /// Whether something that counts for `counts_at` and was known at `known_at` is refused.
    fn judge(
        &mut self,
        now: Timestamp,
        counts_at: Timestamp,
        known_at: Timestamp,
    ) -> Option<RejectReason> {
        let future = self.settings.future_ms_max;
        if future.is_some_and(|limit_ms| known_at.millis_since(now) > limit_ms) {
            return Some(RejectReason::FromTheFuture);
        }
        let first = self.first_open(now, counts_at);
        let open_from = *self.open_from.get_or_insert(first);
        (counts_at < open_from).then_some(RejectReason::Late)
    }

    /// The minute with which a run begins whose first record counts for `counts_at`. With a clock of
    /// its own that is what the lateness allows, whatever the record says: after one of 1970 every
    /// minute since would be closed, after one from the future the right ones would be late.
    fn first_open(&self, now: Timestamp, counts_at: Timestamp) -> Timestamp {
        let begin = match self.settings.future_ms_max {
            Some(_) => now.plus_millis(-self.settings.lateness_ms),
            None => counts_at,
        };
        begin.floor_to(MINUTE_MS)
    }

    /// Moves the watermark and closes the minutes it has passed.
    ///
    /// Invariant: with a clock of its own, the watermark never passes `now` less the lateness: one
    /// source ahead of the others, within what is believed of it, does not make these late.
    fn progress(&mut self, now: Timestamp, observed_at: Timestamp, out: &mut dyn FnMut(Routed)) {
        self.newest = self.newest.max(observed_at);
        let reached = match self.settings.future_ms_max {
            Some(_) => observed_at.min(now),
            None => observed_at,
        };
        self.close_until(reached.plus_millis(-self.settings.lateness_ms), out);
    }

    /// Closes the minutes that ended at or before `time`, for a clock that runs without input.
    pub fn close_until(&mut self, time: Timestamp, out: &mut dyn FnMut(Routed)) {
        while let Some(start) = self.open_from {
            let end = start.plus_millis(MINUTE_MS);
            if end > time {
                break;
            }
            self.open_from = Some(end);
            let minute = Interval { start, end };
            let (mut due, later): (Vec<_>, Vec<_>) = std::mem::take(&mut self.detectors)
                .into_iter()
                .partition(|reading: &DetectorReading| reading.end <= end);
            self.detectors = later;
            let roadside = self.roadside.close(minute, &mut due);
            out(Routed::Close {
                minute,
                detectors: due,
                roadside,
                orders: std::mem::take(&mut self.orders),
            });
        }
    }

    /// Ends the input: pending matches are committed and every minute with input is closed.
    pub fn finish(&mut self, out: &mut dyn FnMut(Routed)) {
        if self.newest == Timestamp::MIN {
            return;
        }
        out(Routed::Flush);
        let last_end = self.newest.floor_to(MINUTE_MS).plus_millis(MINUTE_MS);
        self.close_until(last_end, out);
    }

    /// Records seen so far, refused ones included.
    pub fn received(&self) -> u64 {
        self.received
    }

    /// The roadside units heard of.
    pub fn fleet(&self) -> &Fleet {
        &self.fleet
    }

    /// The views in which traffic was seen so far.
    pub fn views(&self) -> &Views {
        &self.views
    }

    /// The gate, for what it could not meter.
    pub fn gate(&self) -> &Gate {
        &self.gate
    }

    /// Detector readings, reports of devices and other readings accepted so far.
    pub fn detector_count(&self) -> u64 {
        self.detector_count
    }

    /// Records refused so far, by reason.
    pub fn rejected(&self) -> &RejectCounts {
        &self.rejected
    }

    /// Event time of the newest record, if any.
    pub fn newest(&self) -> Option<Timestamp> {
        (self.newest != Timestamp::MIN).then_some(self.newest)
    }

    /// The first instant of event time not yet closed; `None` before the first record.
    pub fn open_from(&self) -> Option<Timestamp> {
        self.open_from
    }

    /// Appends what must survive a restart: watermark, counts, waiting detector readings, devices
    /// gate, views and what roadside units told.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.push(SNAPSHOT_VERSION);
        let times = [
            self.open_from.map_or(i64::MIN, Timestamp::as_millis),
            self.newest.as_millis(),
        ];
        for value in times {
            out.extend_from_slice(&value.to_le_bytes());
        }
        for value in [self.received, self.detector_count] {
            out.extend_from_slice(&value.to_le_bytes());
        }
        for (_, count) in self.rejected.iter() {
            out.extend_from_slice(&count.to_le_bytes());
        }
        out.extend_from_slice(&(self.detectors.len() as u32).to_le_bytes());
        for reading in &self.detectors {
            put_reading(reading, out);
        }
        out.extend_from_slice(&(self.orders.len() as u32).to_le_bytes());
        for order in &self.orders {
            out.extend_from_slice(&order.incident.to_le_bytes());
            out.push(u8::from(order.is_confirmed));
        }
        self.fleet.snapshot(out);
        self.gate.snapshot(out);
        self.views.snapshot(out);
        self.roadside.snapshot(out);
    }

    /// Takes back what [`Front::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version or end early.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut cursor = Cursor { bytes };
        let [version] = cursor.take::<1>()?;
        if version != SNAPSHOT_VERSION {
            return Err(cursor.broken(format!("version {version}, {SNAPSHOT_VERSION} expected")));
        }
        let open_from = cursor.i64()?;
        self.open_from = (open_from != i64::MIN).then_some(Timestamp::from_millis(open_from));
        self.newest = Timestamp::from_millis(cursor.i64()?);
        self.received = cursor.i64()? as u64;
        self.detector_count = cursor.i64()? as u64;
        self.rejected = RejectCounts::default();
        for reason in RejectReason::ALL {
            let count = cursor.i64()? as u64;
            self.rejected.add(reason, count);
        }
        let waiting = u32::from_le_bytes(cursor.take()?);
        self.detectors.clear();
        for _ in 0..waiting {
            let reading = cursor.reading()?;
            self.detectors.push(reading);
        }
        let waiting = u32::from_le_bytes(cursor.take()?);
        self.orders.clear();
        for _ in 0..waiting {
            let incident = u64::from_le_bytes(cursor.take()?);
            let [is_confirmed] = cursor.take::<1>()?;
            self.orders.push(IncidentOrder {
                incident,
                is_confirmed: is_confirmed != 0,
            });
        }
        let restored = self.fleet.restore(&mut cursor.bytes);
        restored.ok_or_else(|| cursor.broken("the devices are broken".into()))?;
        let restored = self.gate.restore(&mut cursor.bytes);
        restored.ok_or_else(|| cursor.broken("the gate is broken".into()))?;
        let restored = self.views.restore(&mut cursor.bytes);
        restored.ok_or_else(|| cursor.broken("the views are broken".into()))?;
        self.areas = self.roadside.restore(cursor.bytes, &self.areas)?;
        Ok(())
    }
}

const SNAPSHOT_VERSION: u8 = 4;

fn put_reading(reading: &DetectorReading, out: &mut Vec<u8>) {
    out.extend_from_slice(&reading.start.as_millis().to_le_bytes());
    out.extend_from_slice(&reading.end.as_millis().to_le_bytes());
    let optional = |value: Option<f32>| value.unwrap_or(f32::NAN).to_le_bytes();
    out.extend_from_slice(&reading.vehicle_count.to_le_bytes());
    for value in [
        reading.speed_mps,
        reading.occupancy,
        reading.sampled_seconds,
        reading.queue_length_m,
    ] {
        out.extend_from_slice(&optional(value));
    }
    out.extend_from_slice(&(reading.detector.len() as u32).to_le_bytes());
    out.extend_from_slice(reading.detector.as_bytes());
}

struct Cursor<'a> {
    bytes: &'a [u8],
}

impl Cursor<'_> {
    fn broken(&self, problem: String) -> SnapshotError {
        SnapshotError {
            room: "front",
            problem,
        }
    }

    fn take<const N: usize>(&mut self) -> Result<[u8; N], SnapshotError> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<N>() else {
            return Err(self.broken(format!("{} bytes left, {N} needed", self.bytes.len())));
        };
        self.bytes = rest;
        Ok(*head)
    }

    fn i64(&mut self) -> Result<i64, SnapshotError> {
        Ok(i64::from_le_bytes(self.take()?))
    }

    fn f32(&mut self) -> Result<f32, SnapshotError> {
        Ok(f32::from_le_bytes(self.take()?))
    }

    fn optional(&mut self) -> Result<Option<f32>, SnapshotError> {
        let value = self.f32()?;
        Ok((!value.is_nan()).then_some(value))
    }

    fn reading(&mut self) -> Result<DetectorReading, SnapshotError> {
        let start = Timestamp::from_millis(self.i64()?);
        let end = Timestamp::from_millis(self.i64()?);
        let vehicle_count = self.f32()?;
        let (speed_mps, occupancy) = (self.optional()?, self.optional()?);
        let (sampled_seconds, queue_length_m) = (self.optional()?, self.optional()?);
        let length = u32::from_le_bytes(self.take()?) as usize;
        let Some((name, rest)) = self.bytes.split_at_checked(length) else {
            return Err(self.broken(format!("detector name of {length} bytes is cut off")));
        };
        let Ok(detector) = std::str::from_utf8(name) else {
            return Err(self.broken("detector name is not UTF-8".into()));
        };
        self.bytes = rest;
        Ok(DetectorReading {
            start,
            end,
            detector: detector.into(),
            vehicle_count,
            speed_mps,
            occupancy,
            sampled_seconds,
            queue_length_m,
        })
    }
}

/// The virtual partition of a road user: the top bits of a Fibonacci hash (Knuth, TAOCP 6.4) of
/// subject and source.
fn partition_of(source: SourceId, subject: SubjectId) -> u8 {
    const { assert!(PARTITION_COUNT == 256) };
    let mixed =
        (subject.0 ^ u64::from(source.0).rotate_left(32)).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 56) as u8
}
