//! The native JSON probe record.
//!
//! ```json
//! {"id":"veh-17","ts":1764000000000,"lon":114.2999512,"lat":30.5955177,
//!  "speed":12.5,"heading":87.5,"accel":0.1,"type":"car"}
//! {"records":[{...},{...}]}
//! ```
//!
//! `id` (text or integer), `ts` (ms), `lon` and `lat` (degrees) are required; `speed` (m/s),
//! `heading` (degrees clockwise from north), `accuracy` (standard deviation per axis, m) and `fix`
//! (quality code of an NMEA GGA sentence) may be missing or `null`; `accel`, `type` and any other
//! member are skipped. Members may come in any order; of a repeated one the last counts.
//!
//! The decoder is one pass over the bytes without allocation. It is strict about JSON's grammar in
//! everything it walks over, except that text it does not use may be invalid UTF-8.

mod cursor;
mod encode;

pub use encode::{encode_batch, encode_record};

use crate::observation::{Decoded, Observation, Origin, RejectReason};
use crate::units::{Position, SubjectId};

use super::quality::FixQuality;
use super::record::Fix;
use super::subject::subject_id;
use cursor::{Cursor, Text};

/// Largest accepted `accuracy`, m: beyond it there is no position.
const ACCURACY_M_MAX: f64 = 10_000.0;

/// Longest accepted `id`, bytes.
pub const ID_BYTES_MAX: usize = 128;

/// Adds what `payload` holds to `out`: records that can be used, and counts of those that cannot.
/// Records beyond `records_max` are counted, not used. A payload that breaks off or breaks the
/// grammar keeps the records before that place and counts one `truncated` or `malformed`.
pub fn decode(payload: &[u8], records_max: usize, out: &mut Decoded) {
    let mut cursor = Cursor::new(payload);
    let room = records_max.saturating_add(out.observations.len());
    if let Err(reason) = document(&mut cursor, room, out) {
        out.rejected.add(reason, 1);
    }
}

/// A whole payload: one record, or an object whose `records` is a list of them.
fn document(cursor: &mut Cursor<'_>, room: usize, out: &mut Decoded) -> Result<(), RejectReason> {
    cursor.skip_space();
    let mut fields = Fields::default();
    let mut is_batch = false;
    cursor.object(|cursor, key| {
        if key.is(b"records") && cursor.peek() == Some(b'[') {
            is_batch = true;
            cursor.array(|cursor| {
                push(record(cursor)?, room, out);
                Ok(())
            })
        } else {
            fields.member(cursor, key)
        }
    })?;
    cursor.skip_space();
    if !cursor.at_end() {
        return Err(RejectReason::TrailingBytes);
    }
    if !is_batch {
        push(fields.finish(), room, out);
    }
    Ok(())
}

/// Keeps or counts one record.
fn push(record: Result<Observation, RejectReason>, room: usize, out: &mut Decoded) {
    match record {
        Ok(_) if out.observations.len() >= room => {
            out.rejected.add(RejectReason::TooManyRecords, 1);
        }
        Ok(observation) => out.observations.push(observation),
        Err(reason) => out.rejected.add(reason, 1),
    }
}

/// One element of `records`. The outer result is the grammar's, the inner one the record's own.
fn record(cursor: &mut Cursor<'_>) -> Result<Result<Observation, RejectReason>, RejectReason> {
    if cursor.peek() != Some(b'{') {
        cursor.skip_value()?;
        return Ok(Err(RejectReason::Malformed));
    }
    let mut fields = Fields::default();
    cursor.object(|cursor, key| fields.member(cursor, key))?;
    Ok(fields.finish())
}

/// The members of one record read so far.
#[derive(Default)]
struct Fields {
    subject: Option<SubjectId>,
    ts_ms: Option<f64>,
    lon_deg: Option<f64>,
    lat_deg: Option<f64>,
    speed_mps: Option<f64>,
    heading_deg: Option<f64>,
    accuracy_m: Option<f64>,
    fix: Option<f64>,
    wrong_type: bool,
}

impl Fields {
    /// Reads the value of member `key`.
    fn member(&mut self, cursor: &mut Cursor<'_>, key: Text<'_>) -> Result<(), RejectReason> {
        let mut unescaped = [0; ID_BYTES_MAX];
        let Some(key) = key.unescape(&mut unescaped) else {
            return cursor.skip_value();
        };
        let field = match key {
            b"id" => return self.id(cursor),
            b"ts" => &mut self.ts_ms,
            b"lon" => &mut self.lon_deg,
            b"lat" => &mut self.lat_deg,
            b"speed" => &mut self.speed_mps,
            b"heading" => &mut self.heading_deg,
            b"accuracy" => &mut self.accuracy_m,
            b"fix" => &mut self.fix,
            _ => return cursor.skip_value(),
        };
        match cursor.peek() {
            Some(b'-' | b'0'..=b'9') => *field = Some(cursor.number()?),
            Some(b'n') => {
                *field = None;
                cursor.skip_value()?;
            }
            _ => {
                self.wrong_type = true;
                cursor.skip_value()?;
            }
        }
        Ok(())
    }

    fn id(&mut self, cursor: &mut Cursor<'_>) -> Result<(), RejectReason> {
        let mut unescaped = [0; ID_BYTES_MAX];
        let name = match cursor.peek() {
            Some(b'"') => cursor.text()?.unescape(&mut unescaped).filter(|name| {
                // Escapes decode to UTF-8; what came as bytes has to be it.
                name.len() <= ID_BYTES_MAX && (name.is_ascii() || str::from_utf8(name).is_ok())
            }),
            Some(b'-' | b'0'..=b'9') => Some(cursor.number_token()?)
                .filter(|token| token.iter().all(|b| matches!(b, b'-' | b'0'..=b'9'))),
            Some(b'n') => {
                self.subject = None;
                return cursor.skip_value();
            }
            _ => {
                cursor.skip_value()?;
                None
            }
        };
        match name {
            Some(b"") => self.subject = None,
            Some(name) => self.subject = Some(subject_id(name)),
            None => self.wrong_type = true,
        }
        Ok(())
    }

    fn finish(&self) -> Result<Observation, RejectReason> {
        if self.wrong_type {
            return Err(RejectReason::Malformed);
        }
        let (Some(subject), Some(ts_ms), Some(lon_deg), Some(lat_deg)) =
            (self.subject, self.ts_ms, self.lon_deg, self.lat_deg)
        else {
            return Err(RejectReason::MissingField);
        };
        // The cast saturates, and both ends are out of range.
        let fix = Fix {
            observed_ms: ts_ms.round() as i64,
            subject,
            position: Position::new(lon_deg, lat_deg),
            speed_mps: self.speed_mps,
            heading_deg: self.heading_deg,
        };
        Ok(Observation {
            accuracy_m: self.accuracy_m()?,
            ..fix.observation(Origin::Probe)?
        })
    }

    /// The accuracy that the sender states, else the one of its receiver's fix.
    fn accuracy_m(&self) -> Result<Option<f32>, RejectReason> {
        match (self.accuracy_m, self.fix) {
            (Some(sigma_m), _) if !(0.0..=ACCURACY_M_MAX).contains(&sigma_m) => {
                Err(RejectReason::OutOfRange)
            }
            (Some(sigma_m), _) => Ok(Some(sigma_m as f32)),
            (None, Some(code)) => Ok(FixQuality::from_code(code as u64).map(FixQuality::sigma_m)),
            (None, None) => Ok(None),
        }
    }
}

#[cfg(test)]
mod tests;
