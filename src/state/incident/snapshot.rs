//! Snapshot and restore of incidents: a restart in the middle of one is as if nothing had happened.

use std::sync::Arc;

use super::detectors::LaneWatch;
use super::evidence::Learnt;
use super::life::Watch;
use super::loop_speed::LoopSpeeds;
use super::pace::Pace;
use super::room::Incidents;
use super::slow_spot::SlowSpots;
use super::{IncidentChange, IncidentEvidence, IncidentKind, IncidentState, ToldEvent};
use crate::state::bytes::{
    Reader, SnapshotError, put_f32, put_head, put_i64, put_u8, put_u32, put_u64,
};
use crate::state::roadside::snapshot::{need_text, put_code, put_text, take_code};
use crate::units::{SegmentId, Timestamp};

const MAGIC: &[u8; 8] = b"RCINCID\0";
const VERSION: u16 = 3;
const WHAT: &str = "incident snapshot";

impl Incidents {
    /// Appends everything needed to go on later.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, self.network.version());
        let cut = self.searches_cut.get();
        for number in [self.next_id, self.refused, self.orders_unknown, cut] {
            put_u64(out, number);
        }
        let known = self.learnt.iter().enumerate();
        let known: Vec<_> = known.filter(|(_, learnt)| !learnt.is_nothing()).collect();
        put_u64(out, known.len() as u64);
        for (index, learnt) in known {
            put_u32(out, index as u32);
            put_f32(out, learnt.red_s);
            put_u8(out, learnt.stands);
            put_u8(out, learnt.free_ago);
            let pace = learnt.pace;
            for number in [
                learnt.slowed,
                learnt.passed,
                pace.count,
                pace.mean_mps,
                pace.squares,
            ] {
                put_f32(out, number);
            }
        }
        self.lanes.put(out);
        self.slow_spots.put(out);
        self.loops.put(out);
        put_u64(out, self.watches.len() as u64);
        for (segment, watch) in &self.watches {
            put_u32(out, segment.0);
            put_f32(out, watch.log_odds);
            put_u32(out, watch.quiet);
            put_u8(out, watch.waits);
            put_u8(out, u8::from(watch.incident.is_some()));
            if let Some(incident) = &watch.incident {
                put_incident(incident, out);
            }
        }
        for times in [&self.queued, &self.ended] {
            put_u64(out, times.len() as u64);
            for (segment, at) in times {
                put_u32(out, segment.0);
                put_i64(out, at.as_millis());
            }
        }
        put_u64(out, self.verdicts.len() as u64);
        for (segment, (bias, until)) in &self.verdicts {
            put_u32(out, segment.0);
            put_f32(out, *bias);
            put_i64(out, until.as_millis());
        }
    }

    /// Goes on where a snapshot stood; settings stay as they are.
    ///
    /// # Errors
    /// When the bytes are not an intact snapshot of incidents of this network.
    pub fn restore(&mut self, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, self.network.version())?;
        let mut restored = Self::new(Arc::clone(&self.network), self.settings);
        let count = restored.learnt.len();
        restored.next_id = reader.take_u64()?;
        restored.refused = reader.take_u64()?;
        restored.orders_unknown = reader.take_u64()?;
        restored.searches_cut.set(reader.take_u64()?);
        for _ in 0..reader.take_count(30)? {
            let segment = take_segment(&mut reader, count)?;
            let learnt = &mut restored.learnt[segment.index()];
            learnt.red_s = reader.take_finite()?;
            learnt.stands = reader.take_u8()?;
            learnt.free_ago = reader.take_u8()?;
            let Learnt {
                slowed,
                passed,
                pace,
                ..
            } = learnt;
            let Pace {
                count,
                mean_mps,
                squares,
            } = pace;
            for number in [slowed, passed, count, mean_mps, squares] {
                *number = reader.take_finite()?;
            }
        }
        restored.lanes = LaneWatch::get(&mut reader)?;
        restored.slow_spots = SlowSpots::get(&mut reader, count)?;
        restored.loops = LoopSpeeds::get(&mut reader, count)?;
        for _ in 0..reader.take_count(14)? {
            let segment = take_segment(&mut reader, count)?;
            let mut watch = Watch {
                log_odds: reader.take_finite()?,
                quiet: reader.take_u32()?,
                waits: reader.take_u8()?,
                incident: None,
            };
            if reader.take_u8()? != 0 {
                let incident = take_incident(&mut reader, segment, count)?;
                watch.incident = Some(Box::new(incident));
            }
            restored.watches.insert(segment, watch);
        }
        for times in [&mut restored.queued, &mut restored.ended] {
            for _ in 0..reader.take_count(12)? {
                let segment = take_segment(&mut reader, count)?;
                times.insert(segment, Timestamp::from_millis(reader.take_i64()?));
            }
        }
        for _ in 0..reader.take_count(16)? {
            let segment = take_segment(&mut reader, count)?;
            let bias = reader.take_finite()?;
            let until = Timestamp::from_millis(reader.take_i64()?);
            restored.verdicts.insert(segment, (bias, until));
        }
        reader.finish()?;
        *self = restored;
        Ok(())
    }
}

fn take_segment(reader: &mut Reader<'_>, count: usize) -> Result<SegmentId, SnapshotError> {
    let segment = SegmentId(reader.take_u32()?);
    if segment.index() < count {
        Ok(segment)
    } else {
        Err(reader.damaged())
    }
}

fn put_incident(incident: &IncidentChange, out: &mut Vec<u8>) {
    put_u64(out, incident.id);
    put_u32(out, incident.revision);
    put_i64(out, incident.at.as_millis());
    put_i64(out, incident.since.as_millis());
    for code in [
        incident.state as u8,
        incident.kind as u8,
        incident.lanes_blocked,
        incident.lanes,
        incident.severity,
    ] {
        put_u8(out, code);
    }
    put_u32(out, incident.tail.0);
    for number in [
        incident.offset_m,
        incident.confidence,
        incident.tail_offset_m,
        incident.queue_m,
    ] {
        put_f32(out, number);
    }
    put_u64(out, incident.evidence.len() as u64);
    for evidence in &incident.evidence {
        put_evidence(evidence, out);
    }
    put_u8(out, u8::from(incident.is_fast_road));
    put_u8(out, u8::from(incident.usual_ratio.is_some()));
    put_f32(out, incident.usual_ratio.unwrap_or(0.0));
    put_u64(out, incident.told.len() as u64);
    for told in &incident.told {
        put_text(out, Some(&told.source));
        put_u64(out, told.event);
        put_code(out, told.code);
        put_f32(out, told.distance_m);
    }
}

fn take_incident(
    reader: &mut Reader<'_>,
    segment: SegmentId,
    count: usize,
) -> Result<IncidentChange, SnapshotError> {
    let (id, revision) = (reader.take_u64()?, reader.take_u32()?);
    let at = Timestamp::from_millis(reader.take_i64()?);
    let since = Timestamp::from_millis(reader.take_i64()?);
    let state = usize::from(reader.take_u8()?);
    let kind = usize::from(reader.take_u8()?);
    let (lanes_blocked, lanes) = (reader.take_u8()?, reader.take_u8()?);
    let severity = reader.take_u8()?;
    let (state, kind) = (IncidentState::ALL.get(state), IncidentKind::ALL.get(kind));
    let (Some(&state), Some(&kind)) = (state, kind) else {
        return Err(reader.damaged());
    };
    let tail = take_segment(reader, count)?;
    let offset_m = reader.take_finite()?;
    let confidence = reader.take_finite()?;
    let tail_offset_m = reader.take_finite()?;
    let queue_m = reader.take_finite()?;
    let mut evidence = Vec::new();
    for _ in 0..reader.take_count(1)? {
        evidence.push(take_evidence(reader)?);
    }
    let (is_fast_road, has_usual) = (reader.take_u8()? != 0, reader.take_u8()? != 0);
    let usual_ratio = reader.take_finite()?;
    let mut told = Vec::new();
    for _ in 0..reader.take_count(21)? {
        told.push(ToldEvent {
            source: need_text(reader)?,
            event: reader.take_u64()?,
            code: take_code(reader)?,
            distance_m: reader.take_finite()?,
        });
    }
    Ok(IncidentChange {
        id,
        revision,
        at,
        since,
        state,
        kind,
        segment,
        offset_m,
        lanes_blocked,
        lanes,
        severity,
        confidence,
        tail,
        tail_offset_m,
        queue_m,
        evidence,
        is_fast_road,
        usual_ratio: has_usual.then_some(usual_ratio),
        told,
    })
}

fn put_evidence(evidence: &IncidentEvidence, out: &mut Vec<u8>) {
    match *evidence {
        IncidentEvidence::Stuck {
            count,
            longest_s,
            before_end_m,
        } => {
            put_u8(out, 0);
            put_u32(out, count);
            put_f32(out, longest_s);
            put_f32(out, before_end_m);
        }
        IncidentEvidence::Passers { count } => {
            put_u8(out, 1);
            put_u32(out, count);
        }
        IncidentEvidence::DeadLanes { lanes, minutes } => {
            put_u8(out, 2);
            put_u32(out, lanes);
            put_u32(out, minutes);
        }
        IncidentEvidence::Starved { missing } => {
            put_u8(out, 3);
            put_f32(out, missing);
        }
        IncidentEvidence::Crawling { count, ratio } => {
            put_u8(out, 4);
            put_u32(out, count);
            put_f32(out, ratio);
        }
        IncidentEvidence::Operator => put_u8(out, 5),
        IncidentEvidence::Slower { ratio } => {
            put_u8(out, 7);
            put_f32(out, ratio);
        }
        IncidentEvidence::Slowed { count } => {
            put_u8(out, 6);
            put_u32(out, count);
        }
        IncidentEvidence::SpeedDrop {
            before_ratio,
            ratio,
            usual_share,
        } => {
            put_u8(out, 8);
            put_f32(out, before_ratio);
            put_f32(out, ratio);
            put_f32(out, usual_share);
        }
    }
}

fn take_evidence(reader: &mut Reader<'_>) -> Result<IncidentEvidence, SnapshotError> {
    let evidence = match reader.take_u8()? {
        0 => IncidentEvidence::Stuck {
            count: reader.take_u32()?,
            longest_s: reader.take_finite()?,
            before_end_m: reader.take_finite()?,
        },
        1 => IncidentEvidence::Passers {
            count: reader.take_u32()?,
        },
        2 => IncidentEvidence::DeadLanes {
            lanes: reader.take_u32()?,
            minutes: reader.take_u32()?,
        },
        3 => IncidentEvidence::Starved {
            missing: reader.take_finite()?,
        },
        4 => IncidentEvidence::Crawling {
            count: reader.take_u32()?,
            ratio: reader.take_finite()?,
        },
        5 => IncidentEvidence::Operator,
        7 => IncidentEvidence::Slower {
            ratio: reader.take_finite()?,
        },
        6 => IncidentEvidence::Slowed {
            count: reader.take_u32()?,
        },
        8 => IncidentEvidence::SpeedDrop {
            before_ratio: reader.take_finite()?,
            ratio: reader.take_finite()?,
            usual_share: reader.take_finite()?,
        },
        _ => return Err(reader.damaged()),
    };
    Ok(evidence)
}
