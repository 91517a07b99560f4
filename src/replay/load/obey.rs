//! CONFIG as the made-up units of a load obey it.

use std::collections::BTreeMap;
use std::sync::{Mutex, PoisonError};

use crate::units::Timestamp;
use crate::wire::its0117::{
    Acknowledgement, Delimiter, Kind, Topic, UplinkLimits, UplinkMeter, encode_acknowledgement,
};

/// Where the units are told their limits.
pub(super) const CONFIG_FILTER: &str = "V2X/RSU/CONFIG/+/DOWN";

/// The units that were told limits; those not in it send what they like.
#[derive(Debug, Default)]
pub(super) struct ObedientUnits(Mutex<BTreeMap<String, UplinkMeter>>);

impl ObedientUnits {
    /// Takes a CONFIG over, and returns topic and payload of its acknowledgement; `None` for what is
    /// none, cannot be read or has no number.
    pub(super) fn take_config(&self, topic: &str, payload: &[u8]) -> Option<(String, Vec<u8>)> {
        let Some(Topic::Down(Kind::Config, unit)) = Delimiter::Slash.read(topic) else {
            return None;
        };
        let (sequence, limits) = UplinkLimits::decode(payload).ok()?;
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = meters
            .entry(unit.to_owned())
            .or_insert_with(|| UplinkMeter::new(UplinkLimits::default()));
        meter.set_limits(limits);
        let answer = Acknowledgement {
            sequence: Some(sequence?),
            error_code: 0,
        };
        let topic = Delimiter::Slash.write(&Topic::DownAcknowledged(Kind::Config, unit));
        Some((topic, encode_acknowledgement(&answer)))
    }

    /// Whether the unit with this id may send one more envelope of BSM at `now`.
    pub(super) fn may_send(&self, now: Timestamp, unit: &[u8; 8]) -> bool {
        let mut meters = self.0.lock().unwrap_or_else(PoisonError::into_inner);
        let meter = std::str::from_utf8(unit)
            .ok()
            .and_then(|unit| meters.get_mut(unit));
        meter.is_none_or(|meter| meter.admit(now, Kind::Bsm))
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::wire::its0117::decode_acknowledgement;

    #[test]
    fn a_unit_sends_what_its_config_allows_and_says_so() {
        let units = ObedientUnits::default();
        let config = UplinkLimits::default().with(Kind::Bsm, 2).encode(7);
        let (topic, answer) = units
            .take_config("V2X/RSU/CONFIG/LOAD0012/DOWN", &config)
            .unwrap();
        assert_eq!(topic, "V2X/RSU/CONFIG/LOAD0012/DOWN/ACK");
        let answer = decode_acknowledgement(&answer).unwrap();
        assert_eq!((answer.sequence, answer.error_code), (Some(7), 0));
        let sent = |unit: &[u8; 8]| {
            let times = (0..30).map(|step| Timestamp::from_millis(step * 100));
            times.filter(|at| units.may_send(*at, unit)).count()
        };
        assert_eq!(sent(&super::super::unit_id(12)), 6);
        assert_eq!(sent(&super::super::unit_id(13)), 30);
        assert_eq!(units.take_config("V2X/RSU/MAP/R1/DOWN", &config), None);
    }
}
