//! The native probe record, whatever bytes carry it, and the checks that make it an observation.

use crate::observation::{Observation, Origin, RejectReason};
use crate::units::{ObserverId, Position, SubjectId, Timestamp, ViewId};

use super::subject::subject_id;

/// Fastest believable road speed, m/s (252 km/h); the same bound screening uses between positions.
pub const SPEED_MPS_MAX: f64 = 70.0;

/// The last millisecond of the year 9999 (UTC): what lies behind is a unit error.
const TIMESTAMP_MS_MAX: i64 = 253_402_300_799_999;

/// What a source calls a vehicle.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub enum VehicleName<'a> {
    /// A text of 1 to 128 bytes.
    Text(&'a str),
    /// A number; it has the same pseudonym as its decimal digits given as a text.
    Number(u64),
}

impl VehicleName<'_> {
    /// The pseudonym of the vehicle.
    pub fn subject(self) -> SubjectId {
        match self {
            Self::Text(text) => subject_id(text.as_bytes()),
            Self::Number(number) => subject_id(Decimal::of(number).as_bytes()),
        }
    }
}

/// One native probe record, for senders: encode it with [`json`](super::json) or
/// [`protobuf`](super::protobuf).
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct ProbeRecord<'a> {
    /// What the source calls the vehicle.
    pub id: VehicleName<'a>,
    /// Event time of the measurement.
    pub observed_at: Timestamp,
    /// Where it was (WGS-84).
    pub position: Position,
    /// Speed over ground in m/s, `0.0..=70.0`.
    pub speed_mps: Option<f32>,
    /// Heading in degrees clockwise from north, `0.0..360.0`.
    pub heading_deg: Option<f32>,
    /// Acceleration along the heading in m/s²; informative.
    pub accel_mps2: Option<f32>,
    /// Kind of vehicle, a word of the sender's such as `car`; informative.
    pub kind: Option<&'a str>,
}

/// The checked values of one probe record before they become an observation.
#[derive(Clone, Copy, Debug)]
pub(super) struct Fix {
    pub(super) observed_ms: i64,
    pub(super) subject: SubjectId,
    pub(super) position: Position,
    pub(super) speed_mps: Option<f64>,
    pub(super) heading_deg: Option<f64>,
}

impl Fix {
    /// Checks every range; a heading of 360 or a negative one is normalised.
    pub(super) fn observation(self, origin: Origin) -> Result<Observation, RejectReason> {
        let in_time = (0..=TIMESTAMP_MS_MAX).contains(&self.observed_ms);
        let speed_ok = self
            .speed_mps
            .is_none_or(|speed| (0.0..=SPEED_MPS_MAX).contains(&speed));
        let heading_ok = self
            .heading_deg
            .is_none_or(|heading| (-360.0..=360.0).contains(&heading));
        if !(in_time && speed_ok && heading_ok && self.position.is_valid()) {
            return Err(RejectReason::OutOfRange);
        }
        Ok(Observation {
            observed_at: Timestamp::from_millis(self.observed_ms),
            subject: self.subject,
            position: self.position,
            speed_mps: self.speed_mps.map(|speed| speed as f32),
            heading_deg: self.heading_deg.map(normalised_heading_deg),
            accuracy_m: None,
            altitude_m: None,
            origin,
            observer: ObserverId::ITSELF,
            view: ViewId::NONE,
        })
    }
}

/// A time in milliseconds since the epoch, if it is one.
pub(super) fn timestamp_ms(millis: f64) -> Result<Timestamp, RejectReason> {
    let millis = millis.round();
    if !(0.0..=TIMESTAMP_MS_MAX as f64).contains(&millis) {
        return Err(RejectReason::OutOfRange);
    }
    Ok(Timestamp::from_millis(millis as i64))
}

/// A speed in m/s, if it is believable.
pub(super) fn checked_speed_mps(speed_mps: f64) -> Result<f32, RejectReason> {
    if !(0.0..=SPEED_MPS_MAX).contains(&speed_mps) {
        return Err(RejectReason::OutOfRange);
    }
    Ok(speed_mps as f32)
}

/// `heading` (finite, degrees) brought to `0.0..360.0`, after rounding to `f32` too.
pub(super) fn normalised_heading_deg(heading: f64) -> f32 {
    let heading = if (0.0..360.0).contains(&heading) {
        heading as f32
    } else {
        heading.rem_euclid(360.0) as f32
    };
    if heading < 360.0 { heading } else { 0.0 }
}

/// The decimal digits of a number, written without allocation.
pub(super) struct Decimal {
    digits: [u8; 20],
    start: usize,
}

impl Decimal {
    pub(super) fn of(mut number: u64) -> Self {
        let mut digits = [b'0'; 20];
        let mut start = digits.len();
        loop {
            start -= 1;
            digits[start] = b'0' + (number % 10) as u8;
            number /= 10;
            if number == 0 {
                break Self { digits, start };
            }
        }
    }

    pub(super) fn as_bytes(&self) -> &[u8] {
        &self.digits[self.start..]
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn headings_are_normalised_even_where_rounding_reaches_360() {
        for (given, expected) in [
            (360.0, 0.0),
            (-90.0, 270.0),
            (359.999_999_99, 0.0),
            (0.0, 0.0),
        ] {
            let heading = normalised_heading_deg(given);
            assert!(
                (heading - expected).abs() < 1e-4 && heading < 360.0,
                "{given}: {heading}"
            );
        }
    }

    #[test]
    fn numbers_are_named_by_their_digits() {
        assert_eq!(Decimal::of(0).as_bytes(), b"0");
        assert_eq!(Decimal::of(u64::MAX).as_bytes(), b"18446744073709551615");
        assert_eq!(
            VehicleName::Number(417).subject(),
            VehicleName::Text("417").subject()
        );
    }
}
