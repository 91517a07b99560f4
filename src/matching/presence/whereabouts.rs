//! The last matched position of every road user of one virtual partition, and how long its trip is
//! under way.

use super::super::MatchedPosition;
use crate::observation::Origin;
use crate::units::{SegmentId, SubjectId, Timestamp};

/// What counts as the end of a trip, where people live and work: not to be told of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripEnds {
    /// Metres from the start. Default 300.
    pub distance_m: f32,
    /// Seconds from the start; the trip is under way when both are over. Default 120.
    pub time_s: i64,
    /// Who was not matched to a road for so long, s, may have arrived there. Default 60: two reports
    /// of a taxi that reports every 30 s.
    pub silent_s: i64,
}

impl Default for TripEnds {
    fn default() -> Self {
        Self {
            distance_m: 300.0,
            time_s: 120,
            silent_s: 60,
        }
    }
}

impl TripEnds {
    /// Nothing is near an end.
    pub const NONE: Self = Self {
        distance_m: 0.0,
        time_s: 0,
        silent_s: i64::MAX / 1000,
    };
}

/// Who is not matched for so long begins a new trip, ms: two minutes, as long as a track lives
/// by default (chosen).
const TRIP_GAP_MS: i64 = 120_000;

/// What is known of a road user's trip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trip {
    /// Event time of its first position.
    pub begun_at: Timestamp,
    /// Metres driven since.
    pub driven_m: f32,
    /// Event time of its newest position on a road, committed or not; `None` once it has left the
    /// roads.
    pub on_road_at: Option<Timestamp>,
}

impl Trip {
    /// Whether at `as_of` a position of `observed_at` is away from both ends, as far as can be
    /// known: where a trip will end is not.
    pub(super) fn is_under_way(
        &self,
        ends: &TripEnds,
        observed_at: Timestamp,
        as_of: Timestamp,
    ) -> bool {
        let is_beyond_start = self.driven_m >= ends.distance_m
            && observed_at.millis_since(self.begun_at) >= ends.time_s * 1000;
        let is_heard = |at: Timestamp| as_of.millis_since(at) <= ends.silent_s.saturating_mul(1000);
        is_beyond_start && self.on_road_at.is_some_and(is_heard)
    }
}

/// Where a road user was last, on what trip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Located {
    /// The last committed position.
    pub position: MatchedPosition,
    /// The trip so far.
    pub trip: Trip,
}

/// The last matched position of every track of one virtual partition.
///
/// Invariant: at most one position a track slot, so memory is bounded by the tracks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whereabouts {
    by_track: Vec<Option<Located>>,
}

impl Whereabouts {
    /// Takes the newest position of the track in slot `track`, `driven_m` metres after the one
    /// before; 0 where the way is not known.
    pub fn record(&mut self, track: u32, position: MatchedPosition, driven_m: f32) {
        let slot = track as usize;
        if slot >= self.by_track.len() {
            self.by_track.resize(slot + 1, None);
        }
        let goes_on = |last: &&Located| {
            last.position.subject == position.subject
                && position.observed_at.millis_since(last.position.observed_at) <= TRIP_GAP_MS
        };
        let trip = match self.by_track[slot].as_ref().filter(goes_on) {
            Some(last) => Trip {
                driven_m: last.trip.driven_m + driven_m,
                ..last.trip
            },
            None => Trip {
                begun_at: position.observed_at,
                driven_m: 0.0,
                on_road_at: None,
            },
        };
        self.by_track[slot] = Some(Located { position, trip });
    }

    /// Calls the road user in slot `track` by another pseudonym.
    pub fn rename(&mut self, track: u32, subject: SubjectId) {
        if let Some(Some(located)) = self.by_track.get_mut(track as usize) {
            located.position.subject = subject;
        }
    }

    /// Appends what is not older than `since`, and forgets the rest. `on_road_at` says when the
    /// track in a slot was last matched to a road, if it still is on one.
    pub fn collect(
        &mut self,
        since: Timestamp,
        on_road_at: impl Fn(u32) -> Option<Timestamp>,
        into: &mut Vec<Located>,
    ) {
        for (track, slot) in self.by_track.iter_mut().enumerate() {
            match slot {
                Some(located) if located.position.observed_at >= since => {
                    into.push(Located {
                        trip: Trip {
                            on_road_at: on_road_at(track as u32),
                            ..located.trip
                        },
                        ..*located
                    });
                }
                _ => *slot = None,
            }
        }
    }

    /// Appends all of it as bytes, for a snapshot.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.push(SNAPSHOT_VERSION);
        for (track, located) in self.by_track.iter().enumerate() {
            let Some(Located { position, trip }) = located else {
                continue;
            };
            out.extend_from_slice(&(track as u32).to_le_bytes());
            out.extend_from_slice(&position.subject.0.to_le_bytes());
            out.extend_from_slice(&position.observed_at.as_millis().to_le_bytes());
            out.extend_from_slice(&position.segment.0.to_le_bytes());
            let speed_mps = position.speed_mps.unwrap_or(f32::NAN);
            for number in [position.offset_m, position.likelihood, speed_mps] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.push(position.origin as u8);
            out.extend_from_slice(&trip.begun_at.as_millis().to_le_bytes());
            out.extend_from_slice(&trip.driven_m.to_le_bytes());
        }
    }

    /// Takes back what [`Whereabouts::snapshot`] wrote for a network of `segment_count` segments.
    ///
    /// # Errors
    /// When the bytes are of another version or network, or cut short.
    pub fn restore(bytes: &[u8], segment_count: usize) -> Result<Self, PresenceError> {
        let (version, records) = bytes.split_first().ok_or(PresenceError::Empty)?;
        if *version != SNAPSHOT_VERSION {
            return Err(PresenceError::Version(*version));
        }
        let (records, rest) = records.as_chunks::<RECORD_BYTES>();
        if !rest.is_empty() {
            return Err(PresenceError::CutShort(rest.len()));
        }
        let mut whereabouts = Self::default();
        for record in records {
            let (track, located) = read_record(record);
            let segment = located.position.segment;
            if segment.index() >= segment_count || track >= TRACKS_MAX {
                return Err(PresenceError::OutOfRange(segment));
            }
            let slot = track as usize;
            if slot >= whereabouts.by_track.len() {
                whereabouts.by_track.resize(slot + 1, None);
            }
            whereabouts.by_track[slot] = Some(located);
        }
        Ok(whereabouts)
    }
}

const SNAPSHOT_VERSION: u8 = 2;
const RECORD_BYTES: usize = 49;
/// Most track slots a snapshot may name: far above any partition, so that a damaged one asks for
/// some 100 MB at most.
const TRACKS_MAX: u32 = 1 << 20;

fn read_record(record: &[u8; RECORD_BYTES]) -> (u32, Located) {
    fn at<const N: usize>(record: &[u8; RECORD_BYTES], from: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&record[from..from + N]);
        bytes
    }
    let number = |from| f32::from_le_bytes(at(record, from));
    let speed_mps = number(32);
    let origin = Origin::from_code(record[36]).unwrap_or(Origin::Probe);
    let position = MatchedPosition {
        lane: None,
        subject: SubjectId(u64::from_le_bytes(at(record, 4))),
        observed_at: Timestamp::from_millis(i64::from_le_bytes(at(record, 12))),
        segment: SegmentId(u32::from_le_bytes(at(record, 20))),
        offset_m: number(24),
        likelihood: number(28),
        speed_mps: (!speed_mps.is_nan()).then_some(speed_mps),
        origin,
    };
    let trip = Trip {
        begun_at: Timestamp::from_millis(i64::from_le_bytes(at(record, 37))),
        driven_m: number(45),
        on_road_at: None,
    };
    (
        u32::from_le_bytes(at(record, 0)),
        Located { position, trip },
    )
}

/// Why a snapshot of whereabouts cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresenceError {
    /// There is not even a version.
    #[error("no version")]
    Empty,
    /// Written by another build.
    #[error("version {0}, {SNAPSHOT_VERSION} expected")]
    Version(u8),
    /// The last record is not whole.
    #[error("{0} bytes after the last whole record")]
    CutShort(usize),
    /// A segment or track that cannot be.
    #[error("segment {0} or its track is out of range")]
    OutOfRange(SegmentId),
}
