//! Signal phase and timing.

use rasn::prelude::*;

use super::road::NodeReferenceId;
use super::time::TimeConfidence;

/// States of the signals of one or more intersections (SPAT).
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct Spat {
    /// Counts the sender's messages: `0..=127`; running number.
    #[rasn(identifier = "msgCnt", value("0..=127"))]
    pub msg_cnt: u8,
    /// Minute of the year: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(identifier = "moy", value("0..=527040"))]
    pub moy: Option<u32>,
    /// When: `0..=65535`; milliseconds in the minute, 60000 leap second, 65535 unknown.
    #[rasn(identifier = "timeStamp", value("0..=65535"))]
    pub time_stamp: Option<u16>,
    /// Name: 1 to 63 characters.
    #[rasn(identifier = "name", size("1..=63"))]
    pub name: Option<Ia5String>,
    /// Intersections: 1 to 32.
    #[rasn(identifier = "intersections", size("1..=32"))]
    pub intersections: SequenceOf<IntersectionState>,
}

/// All phases of one intersection.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct IntersectionState {
    /// The intersection.
    #[rasn(identifier = "intersectionId")]
    pub intersection_id: NodeReferenceId,
    /// State of the controller.
    #[rasn(identifier = "status")]
    pub status: IntersectionStatusObject,
    /// Minute of the year: `0..=527040`; minute of the year (UTC), 527040 unknown.
    #[rasn(identifier = "moy", value("0..=527040"))]
    pub moy: Option<u32>,
    /// When: `0..=65535`; milliseconds in the minute, 60000 leap second, 65535 unknown.
    #[rasn(identifier = "timeStamp", value("0..=65535"))]
    pub time_stamp: Option<u16>,
    /// How well the time is known.
    #[rasn(identifier = "timeConfidence")]
    pub time_confidence: Option<TimeConfidence>,
    /// Phases: 1 to 16.
    #[rasn(identifier = "phases", size("1..=16"))]
    pub phases: SequenceOf<Phase>,
}

/// State of a controller: 16 bits: 0 manualControlIsEnabled, 1 stopTimeIsActivated, 2 failureFlash,
/// 3 preemptIsActive, 4 signalPriorityIsActive, 5 fixedTimeOperation, 6 trafficDependentOperation,
/// 7 standbyOperation, 8 failureMode, 9 off, 10 recentMAPmessageUpdate, 11
/// recentChangeInMAPassignedLanesIDsUsed, 12 noValidMAPisAvailableAtThisTime, 13
/// noValidSPATisAvailableAtThisTime.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(delegate, size(16))]
pub struct IntersectionStatusObject(pub BitString);

/// The states one phase is and will be in.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct Phase {
    /// Number of the phase: `0..=255`.
    #[rasn(identifier = "id", value("0..=255"))]
    pub id: u8,
    /// States: 1 to 16.
    #[rasn(identifier = "phaseStates", size("1..=16"))]
    pub phase_states: SequenceOf<PhaseState>,
}

/// One state of a phase.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
#[non_exhaustive]
pub struct PhaseState {
    /// What the signal shows.
    #[rasn(identifier = "light")]
    pub light: LightState,
    /// When it changes.
    #[rasn(identifier = "timing")]
    pub timing: Option<TimeChangeDetails>,
}

/// What a signal shows.
#[derive(AsnType, Clone, Copy, Debug, Decode, Encode, Eq, Hash, PartialEq)]
#[rasn(enumerated)]
#[non_exhaustive]
pub enum LightState {
    /// `unavailable`.
    #[rasn(identifier = "unavailable")]
    Unavailable = 0,
    /// `dark`.
    #[rasn(identifier = "dark")]
    Dark = 1,
    /// `flashing-red`.
    #[rasn(identifier = "flashing-red")]
    FlashingRed = 2,
    /// `red`.
    #[rasn(identifier = "red")]
    Red = 3,
    /// `flashing-green`.
    #[rasn(identifier = "flashing-green")]
    FlashingGreen = 4,
    /// `permissive-green`.
    #[rasn(identifier = "permissive-green")]
    PermissiveGreen = 5,
    /// `protected-green`.
    #[rasn(identifier = "protected-green")]
    ProtectedGreen = 6,
    /// `yellow`.
    #[rasn(identifier = "yellow")]
    Yellow = 7,
    /// `flashing-yellow`.
    #[rasn(identifier = "flashing-yellow")]
    FlashingYellow = 8,
}

/// When a light changes.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(choice, automatic_tags)]
#[non_exhaustive]
pub enum TimeChangeDetails {
    /// Change times as time left.
    #[rasn(identifier = "counting")]
    Counting(TimeCountingDown),
    /// Change times as points in the hour.
    #[rasn(identifier = "utcTiming")]
    UtcTiming(UtcTiming),
}

/// Change times as points in the hour.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct UtcTiming {
    /// Start: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "startUTCTime", value("0..=36001"))]
    pub start_utc_time: u16,
    /// Earliest end: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "minEndUTCTime", value("0..=36001"))]
    pub min_end_utc_time: Option<u16>,
    /// Latest end: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "maxEndUTCTime", value("0..=36001"))]
    pub max_end_utc_time: Option<u16>,
    /// Likely end: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "likelyEndUTCTime", value("0..=36001"))]
    pub likely_end_utc_time: u16,
    /// How well the time is known: `0..=200`; 0.5 %.
    #[rasn(identifier = "timeConfidence", value("0..=200"))]
    pub time_confidence: Option<u8>,
    /// Next start: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "nextStartUTCTime", value("0..=36001"))]
    pub next_start_utc_time: Option<u16>,
    /// Next end: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "nextEndUTCTime", value("0..=36001"))]
    pub next_end_utc_time: Option<u16>,
}

/// Change times as time left.
#[derive(AsnType, Clone, Debug, Decode, Encode, PartialEq)]
#[rasn(automatic_tags)]
pub struct TimeCountingDown {
    /// Start: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "startTime", value("0..=36001"))]
    pub start_time: u16,
    /// Earliest end: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "minEndTime", value("0..=36001"))]
    pub min_end_time: Option<u16>,
    /// Latest end: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "maxEndTime", value("0..=36001"))]
    pub max_end_time: Option<u16>,
    /// Likely end: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "likelyEndTime", value("0..=36001"))]
    pub likely_end_time: u16,
    /// How well the time is known: `0..=200`; 0.5 %.
    #[rasn(identifier = "timeConfidence", value("0..=200"))]
    pub time_confidence: Option<u8>,
    /// Next start: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "nextStartTime", value("0..=36001"))]
    pub next_start_time: Option<u16>,
    /// Next duration: `0..=36001`; 0.1 s, in the hour where a point in time; 36001 unknown.
    #[rasn(identifier = "nextDuration", value("0..=36001"))]
    pub next_duration: Option<u16>,
}
