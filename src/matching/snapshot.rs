//! A partition as bytes and back: versioned, little-endian, the same bytes for the same tracks.

use bytemuck::{bytes_of, pod_read_unaligned};

use super::partition::Partition;
use super::settings::{MAX_HYPOTHESES, MatchError};
use super::track::{Committed, Hypothesis, MAX_PENDING, Pending, Place, Track};
use super::{BreakReason, TrackCounts};
use crate::observation::Origin;
use crate::screening::{LastSeen, Motion};
use crate::units::{Point, SourceId, SubjectId, Timestamp, ViewId};

/// Layout of the bytes; raised whenever it changes.
const SNAPSHOT_VERSION: u32 = 6;

/// Stands for a missing point.
const NO_POINT: Point = Point {
    x: f32::NAN,
    y: f32::NAN,
};

impl Partition {
    /// Appends all tracks to `out`.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put(out, SNAPSHOT_VERSION);
        put(out, self.counts.begun);
        for count in self.counts.ended {
            put(out, count);
        }
        put(out, self.free.len() as u32);
        for &slot in &self.free {
            put(out, slot);
        }
        put(out, self.tracks.len() as u32);
        for track in &self.tracks {
            write_track(track, out);
        }
    }

    /// Reads what [`Partition::snapshot`] wrote.
    ///
    /// # Errors
    /// When the bytes are of another version, cut short, too long or contradict themselves.
    pub fn restore(bytes: &[u8]) -> Result<Self, MatchError> {
        let mut reader = Reader { bytes };
        let version: u32 = reader.get()?;
        if version != SNAPSHOT_VERSION {
            return Err(broken(format!(
                "version {version}, {SNAPSHOT_VERSION} expected"
            )));
        }
        let begun = reader.get()?;
        let mut ended = [0; BreakReason::ALL.len()];
        for count in &mut ended {
            *count = reader.get()?;
        }
        let mut partition = Self {
            counts: TrackCounts { begun, ended },
            ..Self::default()
        };
        let free_count: u32 = reader.get()?;
        for _ in 0..free_count {
            partition.free.push(reader.get()?);
        }
        let track_count: u32 = reader.get()?;
        for slot in 0..track_count {
            let track = read_track(&mut reader)?;
            if track.is_live {
                let key = (track.source, track.subject);
                if partition.slots.insert(key, slot).is_some() {
                    return Err(broken(format!("slot {slot} repeats a road user")));
                }
            }
            partition.tracks.push(track);
        }
        let is_free = |slot: &u32| {
            partition
                .tracks
                .get(*slot as usize)
                .is_some_and(|track| !track.is_live)
        };
        if !partition.free.iter().all(is_free) {
            return Err(broken("a free slot is in use or unknown".into()));
        }
        if !reader.bytes.is_empty() {
            return Err(broken(format!("{} bytes left over", reader.bytes.len())));
        }
        Ok(partition)
    }
}

fn write_track(track: &Track, out: &mut Vec<u8>) {
    put(out, u8::from(track.is_live));
    put(out, track.source.0);
    put(out, track.subject.0);
    put(out, track.off_road_count);
    put(out, track.seen.at.as_millis());
    put(out, track.seen.point);
    put(out, track.seen.motion.speed_mps);
    put(out, track.seen.motion.heading_deg);
    put(out, track.seen.allowance);
    put(out, track.seen.strikes);
    put(out, track.seen.refused_at.as_millis());
    put(out, track.matched_at.as_millis());
    put(out, u8::from(track.committed.is_some()));
    if let Some(committed) = track.committed {
        put(out, committed.at.as_millis());
        put(out, committed.place);
    }
    put(out, track.pending_count);
    for pending in track.pending() {
        put(out, pending.at.as_millis());
        put(out, pending.speed_mps.unwrap_or(f32::NAN));
        put(out, pending.origin as u8);
        put(out, pending.view.0);
        put(out, pending.lane_point.unwrap_or(NO_POINT));
        put(out, pending.age);
    }
    put(out, track.hypothesis_count);
    for hypothesis in track.hypotheses() {
        put(out, *hypothesis);
    }
}

fn read_track(reader: &mut Reader<'_>) -> Result<Track, MatchError> {
    let is_live = reader.get::<u8>()? != 0;
    let source = SourceId(reader.get()?);
    let subject = SubjectId(reader.get()?);
    let off_road_count = reader.get()?;
    let seen = LastSeen {
        at: Timestamp::from_millis(reader.get()?),
        point: reader.get::<Point>()?,
        motion: Motion {
            speed_mps: reader.get()?,
            heading_deg: reader.get()?,
        },
        allowance: reader.get()?,
        strikes: reader.get()?,
        refused_at: Timestamp::from_millis(reader.get()?),
    };
    let matched_at = Timestamp::from_millis(reader.get()?);
    let mut track = Track::new(source, subject, seen);
    track.is_live = is_live;
    track.off_road_count = off_road_count;
    track.seen = seen;
    track.matched_at = matched_at;
    if reader.get::<u8>()? != 0 {
        track.committed = Some(Committed {
            at: Timestamp::from_millis(reader.get()?),
            place: reader.get::<Place>()?,
        });
    }
    let pending_count: u8 = reader.get()?;
    if usize::from(pending_count) > MAX_PENDING {
        return Err(broken(format!("{pending_count} positions pending")));
    }
    for _ in 0..pending_count {
        let at = Timestamp::from_millis(reader.get()?);
        let speed_mps = Some(reader.get::<f32>()?).filter(|speed| !speed.is_nan());
        let code: u8 = reader.get()?;
        let origin = Origin::from_code(code).ok_or_else(|| broken(format!("origin {code}")))?;
        let view = ViewId(reader.get()?);
        let lane_point = Some(reader.get::<Point>()?).filter(|point| !point.x.is_nan());
        let age = reader.get()?;
        track.push_pending(Pending {
            at,
            speed_mps,
            origin,
            view,
            lane_point,
            age,
        });
    }
    track.hypothesis_count = reader.get()?;
    let count = usize::from(track.hypothesis_count);
    if count > MAX_HYPOTHESES {
        return Err(broken(format!("{count} hypotheses")));
    }
    for hypothesis in &mut track.hypotheses[..count] {
        *hypothesis = reader.get::<Hypothesis>()?;
    }
    Ok(track)
}

fn put<T: bytemuck::NoUninit>(out: &mut Vec<u8>, value: T) {
    out.extend_from_slice(bytes_of(&value));
}

struct Reader<'a> {
    bytes: &'a [u8],
}

impl Reader<'_> {
    fn get<T: bytemuck::AnyBitPattern>(&mut self) -> Result<T, MatchError> {
        let Some((head, rest)) = self.bytes.split_at_checked(size_of::<T>()) else {
            return Err(broken("ends inside a value".into()));
        };
        self.bytes = rest;
        Ok(pod_read_unaligned(head))
    }
}

fn broken(problem: String) -> MatchError {
    MatchError::Snapshot { problem }
}
