//! What arrives and what it is understood as: raw messages, observations, and the closed list of
//! reasons for which something is refused.
//!
//! Decoding lives in `wire`, judging in `screening`.

use std::sync::Arc;

use bytes::Bytes;

use crate::units::{
    Interval, ObserverId, Position, SourceId, SubjectId, Timestamp, UnitId, ViewId,
};

mod junction;
mod reading;
mod uplink;

pub use junction::{
    Approach, ApproachLane, ApproachMovement, JunctionReading, LaneConnection, LaneUsage, Turns,
};
pub use reading::{
    DeviceReport, EventCode, Light, ParkingReading, Passage, PassagePart, Reading, RoadEvent,
    SignalReading,
};
pub use uplink::UplinkKind;

/// One message as the transport handed it over: bytes untouched, size bounded by the transport.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct RawMessage {
    /// When the shell received it; in a replay, when it was received in the recorded run.
    pub received_at: Timestamp,
    /// The configured source (subscription or file) it came from.
    pub source: SourceId,
    /// MQTT topic, or the name of the input file.
    pub topic: Arc<str>,
    /// The payload.
    pub payload: Bytes,
}

/// What kind of sender stands behind an observation.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum Origin {
    /// A fleet vehicle's probe record.
    Probe = 0,
    /// A vehicle's own basic safety message.
    Bsm = 1,
    /// An object perceived by a roadside unit (RSM participant).
    Rsm = 2,
}

impl Origin {
    /// The origin with this code, as snapshots keep it.
    pub const fn from_code(code: u8) -> Option<Self> {
        match code {
            0 => Some(Self::Probe),
            1 => Some(Self::Bsm),
            2 => Some(Self::Rsm),
            _ => None,
        }
    }

    /// Whether the road user reports itself.
    pub const fn is_own(self) -> bool {
        !matches!(self, Self::Rsm)
    }
}

/// One decoded measurement of one road user.
///
/// Invariant: finite, in range, WGS-84, SI (checked by the decoder).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Observation {
    /// Event time of the measurement.
    pub observed_at: Timestamp,
    /// Pseudonym of the road user, unique within its source.
    pub subject: SubjectId,
    /// Where it was.
    pub position: Position,
    /// Speed over ground in m/s, `0.0..=70.0`; `None` when the sender did not know.
    pub speed_mps: Option<f32>,
    /// Heading in degrees clockwise from north, `0.0..360.0`.
    pub heading_deg: Option<f32>,
    /// Standard deviation of the position per axis in metres, when the sender states it.
    pub accuracy_m: Option<f32>,
    /// Metres above the sea or the ellipsoid, when reported; matching uses its changes along a trip.
    pub altitude_m: Option<f32>,
    /// What kind of sender says so.
    pub origin: Origin,
    /// Who perceives it, for [`Origin::Rsm`]; [`ObserverId::ITSELF`] for all others.
    pub observer: ObserverId,
    /// The view it belongs to, given by the engine's front; decoders leave [`ViewId::NONE`].
    pub view: ViewId,
}

/// An aggregate of one detector over one interval (loop or lane area).
#[derive(Clone, Debug, PartialEq)]
pub struct DetectorReading {
    /// Start of the aggregation interval.
    pub start: Timestamp,
    /// End of the aggregation interval.
    pub end: Timestamp,
    /// The detector's own id; its place is configuration.
    pub detector: Arc<str>,
    /// Vehicles counted in the interval.
    pub vehicle_count: f32,
    /// Mean speed of the counted vehicles in m/s; `None` when none passed.
    pub speed_mps: Option<f32>,
    /// Share of the interval in which the detector was occupied, `0.0..=1.0`.
    pub occupancy: Option<f32>,
    /// Vehicle-seconds spent inside a lane-area detector.
    pub sampled_seconds: Option<f32>,
    /// Longest queue in the interval, metres (lane area only).
    pub queue_length_m: Option<f32>,
}

impl DetectorReading {
    /// Whether its aggregation interval ends in `minute`: the minute that it counts for.
    pub fn ends_in(&self, minute: Interval) -> bool {
        minute.start < self.end && self.end <= minute.end
    }
}

/// Why a message or record was not used. The names are metric labels and report keys.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
#[repr(u8)]
pub enum RejectReason {
    /// The payload is larger than the limit.
    Oversized,
    /// The payload ends inside a value.
    Truncated,
    /// The payload is not of the configured format.
    Malformed,
    /// Bytes are left over behind a complete message.
    TrailingBytes,
    /// A value is outside the range its format allows.
    OutOfRange,
    /// A field without which the record means nothing is missing.
    MissingField,
    /// A message kind this decoder knows but does not use for traffic state.
    UnsupportedKind,
    /// No decoder is configured for the topic.
    UnknownTopic,
    /// More records in one message than the limit.
    TooManyRecords,
    /// Older than the watermark allows.
    Late,
    /// Further in the future of the receiving clock than the limit.
    FromTheFuture,
    /// The same subject and time were already seen.
    Duplicate,
    /// Not later than the newest observation of the same subject.
    OutOfOrder,
    /// The subject sends faster than the rate cap.
    RateCapped,
    /// The position contradicts the subject's last one (faster than 70 m/s).
    Implausible,
    /// No segment lies within the search radius.
    OffRoad,
    /// The detector's place is not configured.
    UnknownDetector,
    /// Dropped because a bounded queue was full (oldest first).
    QueueFull,
    /// One more signal, event, car park, site or junction than can be kept.
    TableFull,
}

impl RejectReason {
    /// Every reason, in order.
    pub const ALL: [Self; 19] = [
        Self::Oversized,
        Self::Truncated,
        Self::Malformed,
        Self::TrailingBytes,
        Self::OutOfRange,
        Self::MissingField,
        Self::UnsupportedKind,
        Self::UnknownTopic,
        Self::TooManyRecords,
        Self::Late,
        Self::FromTheFuture,
        Self::Duplicate,
        Self::OutOfOrder,
        Self::RateCapped,
        Self::Implausible,
        Self::OffRoad,
        Self::UnknownDetector,
        Self::QueueFull,
        Self::TableFull,
    ];

    /// The label used in metrics, reports and logs.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Oversized => "oversized",
            Self::Truncated => "truncated",
            Self::Malformed => "malformed",
            Self::TrailingBytes => "trailing_bytes",
            Self::OutOfRange => "out_of_range",
            Self::MissingField => "missing_field",
            Self::UnsupportedKind => "unsupported_kind",
            Self::UnknownTopic => "unknown_topic",
            Self::TooManyRecords => "too_many_records",
            Self::Late => "late",
            Self::FromTheFuture => "from_the_future",
            Self::Duplicate => "duplicate",
            Self::OutOfOrder => "out_of_order",
            Self::RateCapped => "rate_capped",
            Self::Implausible => "implausible",
            Self::OffRoad => "off_road",
            Self::UnknownDetector => "unknown_detector",
            Self::QueueFull => "queue_full",
            Self::TableFull => "table_full",
        }
    }
}

/// How many records were refused, by reason.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct RejectCounts([u64; RejectReason::ALL.len()]);

impl RejectCounts {
    /// Counts `count` more records refused for `reason`.
    pub fn add(&mut self, reason: RejectReason, count: u64) {
        self.0[reason as usize] += count;
    }

    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        for (mine, theirs) in self.0.iter_mut().zip(other.0) {
            *mine += theirs;
        }
    }

    /// How many were refused for `reason`.
    pub fn get(&self, reason: RejectReason) -> u64 {
        self.0[reason as usize]
    }

    /// How many were refused in all.
    pub fn total(&self) -> u64 {
        self.0.iter().sum()
    }

    /// Reasons with their counts, in order, zeros included.
    pub fn iter(&self) -> impl Iterator<Item = (RejectReason, u64)> + '_ {
        RejectReason::ALL
            .into_iter()
            .map(|reason| (reason, self.get(reason)))
    }
}

/// What one payload was understood as. The buffers are reused from payload to payload.
#[derive(Clone, Debug, Default)]
pub struct Decoded {
    /// Measurements of single road users, in payload order.
    pub observations: Vec<Observation>,
    /// Aggregate readings, in payload order.
    pub detectors: Vec<DetectorReading>,
    /// Everything else, in payload order.
    pub readings: Vec<Reading>,
    /// The roadside unit that speaks, where the payload names it.
    pub unit: Option<UnitId>,
    /// Records of the payload that were refused; a payload refused whole counts one.
    pub rejected: RejectCounts,
}

impl Decoded {
    /// Records used so far: all but those refused.
    pub fn len(&self) -> usize {
        self.observations.len() + self.detectors.len() + self.readings.len()
    }

    /// Whether nothing was used.
    pub fn is_empty(&self) -> bool {
        self.len() == 0
    }

    /// Forgets everything but the capacity.
    pub fn clear(&mut self) {
        self.observations.clear();
        self.detectors.clear();
        self.readings.clear();
        self.unit = None;
        self.rejected = RejectCounts::default();
    }
}
