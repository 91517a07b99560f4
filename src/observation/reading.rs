//! Readings that are neither a road user's position nor a detector's sums: signals, events, parking,
//! passages, maps and the health of devices.
//!
//! All are in SI units, WGS-84 and event time, whatever format carried them. Rooms that have no use
//! for a kind leave it alone; the engine counts what it does not use.

use std::sync::Arc;

use super::junction::JunctionReading;
use crate::units::{Position, SubjectId, Timestamp};

/// One decoded reading.
#[derive(Clone, Debug, PartialEq)]
pub enum Reading {
    /// What a signal phase shows.
    Signal(SignalReading),
    /// Something that happens or is ordered on the road.
    Event(RoadEvent),
    /// How full a car park is.
    Parking(ParkingReading),
    /// One vehicle at a fixed place (video checkpoint 卡口, ETC gantry, radar line).
    Passage(Passage),
    /// A junction as a roadside unit describes it.
    Junction(JunctionReading),
    /// A device about itself.
    Device(DeviceReport),
}

/// What a signal lamp shows (T/CSAE 53, DE_LightState).
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum Light {
    /// Not known.
    Unknown,
    /// Off.
    Dark,
    /// Red, flashing.
    FlashingRed,
    /// Red.
    Red,
    /// Green, flashing.
    FlashingGreen,
    /// Green, giving way to others.
    PermissiveGreen,
    /// Green with right of way.
    ProtectedGreen,
    /// Yellow.
    Yellow,
    /// Yellow, flashing.
    FlashingYellow,
}

impl Light {
    /// Every state, in the order of their codes from 0.
    pub const ALL: [Self; 9] = [
        Self::Unknown,
        Self::Dark,
        Self::FlashingRed,
        Self::Red,
        Self::FlashingGreen,
        Self::PermissiveGreen,
        Self::ProtectedGreen,
        Self::Yellow,
        Self::FlashingYellow,
    ];

    /// The state with this code of T/CSAE 53.
    pub fn from_code(code: u64) -> Option<Self> {
        Self::ALL.get(usize::try_from(code).ok()?).copied()
    }

    /// The word for it in native records.
    pub const fn label(self) -> &'static str {
        match self {
            Self::Unknown => "unknown",
            Self::Dark => "dark",
            Self::FlashingRed => "flashing_red",
            Self::Red => "red",
            Self::FlashingGreen => "flashing_green",
            Self::PermissiveGreen => "permissive_green",
            Self::ProtectedGreen => "protected_green",
            Self::Yellow => "yellow",
            Self::FlashingYellow => "flashing_yellow",
        }
    }
}

/// What one phase of one junction shows, or will show.
#[derive(Clone, Debug, PartialEq)]
pub struct SignalReading {
    /// Event time.
    pub observed_at: Timestamp,
    /// The junction as its source calls it.
    pub junction: Arc<str>,
    /// Phase number within the junction.
    pub phase: u32,
    /// What it shows.
    pub light: Light,
    /// Seconds from `observed_at` until it shows it; 0 is now.
    pub begins_in_s: Option<f32>,
    /// Seconds from `observed_at` until it probably ends.
    pub ends_in_s: Option<f32>,
}

/// By which code an event is classified.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum EventCode {
    /// Event type of GB/T 29100; 707 is congestion.
    Gbt29100(u32),
    /// Sign type of GB 5768.2.
    Gb5768(u32),
    /// Cause and sub-cause of ETSI TS 102 894-2.
    Etsi(u32, u32),
    /// A number whose meaning the maker of the device defines.
    Maker(u32),
}

/// An event or a sign in force.
#[derive(Clone, Debug, PartialEq)]
pub struct RoadEvent {
    /// Event time of the message that tells it.
    pub observed_at: Timestamp,
    /// Who tells it.
    pub source: Arc<str>,
    /// Its number at that source.
    pub event: u64,
    /// What it is.
    pub code: EventCode,
    /// Where.
    pub position: Option<Position>,
    /// How far around `position` it reaches, metres.
    pub radius_m: Option<f32>,
    /// The stretches concerned, each a line along the traffic.
    pub paths: Vec<Vec<Position>>,
    /// Lane, as the source numbers it.
    pub lane: Option<u32>,
    /// From when it holds.
    pub valid_from: Option<Timestamp>,
    /// Until when it holds.
    pub valid_until: Option<Timestamp>,
    /// How sure the source is, `0.0..=1.0`.
    pub confidence: Option<f32>,
    /// Whether the source says that it is over.
    pub ended: bool,
    /// Free text.
    pub description: Option<Arc<str>>,
}

/// How full a car park is.
#[derive(Clone, Debug, PartialEq)]
pub struct ParkingReading {
    /// Event time.
    pub observed_at: Timestamp,
    /// The car park's id.
    pub lot: Arc<str>,
    /// Where it is.
    pub position: Option<Position>,
    /// Spaces in all.
    pub capacity: u32,
    /// Free spaces, at most `capacity`.
    pub free: u32,
}

/// Which part of a passage is told.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord, Hash)]
pub enum PassagePart {
    /// The whole of it in one record.
    Whole,
    /// The vehicle reaches the place.
    Enters,
    /// The vehicle leaves the place.
    Leaves,
}

/// One vehicle at a fixed place.
#[derive(Clone, Debug, PartialEq)]
pub struct Passage {
    /// Event time.
    pub observed_at: Timestamp,
    /// The site's id.
    pub site: Arc<str>,
    /// Lane, as the site numbers it.
    pub lane: Option<u32>,
    /// Pseudonym of the vehicle: a hash of plate or tag, never the plate itself. It is the same at
    /// every site, so that passages can be paired.
    pub vehicle: Option<SubjectId>,
    /// Speed in m/s.
    pub speed_mps: Option<f32>,
    /// Which part of the passage.
    pub part: PassagePart,
}

/// A device about itself: base information, running information or heartbeat.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DeviceReport {
    /// Event time by the device's own clock; `None` where it states none.
    pub stated_at: Option<Timestamp>,
    /// Event time of receipt.
    pub received_at: Timestamp,
    /// The device.
    pub device: Arc<str>,
    /// Its name.
    pub name: Option<Arc<str>>,
    /// Where it stands.
    pub position: Option<Position>,
    /// Version of its software.
    pub version: Option<Arc<str>>,
    /// Version of the protocol it speaks.
    pub protocol: Option<Arc<str>>,
    /// Share of processor and memory in use, `0.0..=1.0`.
    pub cpu: Option<f32>,
    /// Likewise of memory.
    pub memory: Option<f32>,
}

impl Reading {
    /// Replaces every position by what `transform` makes of it.
    pub fn map_positions(&mut self, transform: impl Fn(Position) -> Position) {
        let move_one = |position: &mut Option<Position>| {
            if let Some(position) = position {
                *position = transform(*position);
            }
        };
        match self {
            Self::Signal(_) | Self::Passage(_) => {}
            Self::Parking(parking) => move_one(&mut parking.position),
            Self::Device(device) => move_one(&mut device.position),
            Self::Junction(junction) => junction.map_positions(transform),
            Self::Event(event) => {
                move_one(&mut event.position);
                for point in event.paths.iter_mut().flatten() {
                    *point = transform(*point);
                }
            }
        }
    }

    /// When it counts, event time.
    pub fn observed_at(&self) -> Timestamp {
        match self {
            Self::Signal(signal) => signal.observed_at,
            Self::Event(event) => event.observed_at,
            Self::Parking(parking) => parking.observed_at,
            Self::Passage(passage) => passage.observed_at,
            Self::Junction(junction) => junction.observed_at,
            Self::Device(device) => device.received_at,
        }
    }

    /// Adds `correction_ms` to the time at which it counts, for units whose clock is off; a device
    /// is judged by the time of receipt, which stays.
    pub fn correct_time(&mut self, correction_ms: i64) {
        let observed_at = match self {
            Self::Signal(signal) => &mut signal.observed_at,
            Self::Event(event) => &mut event.observed_at,
            Self::Parking(parking) => &mut parking.observed_at,
            Self::Passage(passage) => &mut passage.observed_at,
            Self::Junction(junction) => &mut junction.observed_at,
            Self::Device(_) => return,
        };
        *observed_at = observed_at.plus_millis(correction_ms);
    }

    /// The word for its kind in reports and native records.
    pub const fn label(&self) -> &'static str {
        match self {
            Self::Signal(_) => "signal",
            Self::Event(_) => "event",
            Self::Parking(_) => "parking",
            Self::Passage(_) => "passage",
            Self::Junction(_) => "junction",
            Self::Device(_) => "device",
        }
    }
}
