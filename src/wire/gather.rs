//! Where decoded records go: kept while there is room, refused by reason otherwise.

use crate::observation::{Decoded, DetectorReading, Observation, Reading, RejectReason};

use super::subject::unit_id;

/// The result of one record.
pub(super) type Record<T> = Result<T, RejectReason>;

/// Collects the records of one payload.
pub(super) struct Gather<'a> {
    out: &'a mut Decoded,
    room: usize,
}

impl<'a> Gather<'a> {
    pub(super) fn new(out: &'a mut Decoded, records_max: usize) -> Self {
        let room = records_max.saturating_add(out.len());
        Self { out, room }
    }

    pub(super) fn refuse(&mut self, reason: RejectReason) {
        self.out.rejected.add(reason, 1);
    }

    /// Says what the unit that speaks calls itself, where nothing has said so yet.
    pub(super) fn unit(&mut self, name: &[u8]) {
        if !name.is_empty() {
            self.out.unit.get_or_insert_with(|| unit_id(name));
        }
    }

    fn take<T>(&mut self, record: Record<T>, keep: fn(&mut Decoded, T)) {
        match record {
            Ok(_) if self.out.len() >= self.room => self.refuse(RejectReason::TooManyRecords),
            Ok(record) => keep(self.out, record),
            Err(reason) => self.refuse(reason),
        }
    }

    pub(super) fn observation(&mut self, record: Record<Observation>) {
        self.take(record, |out, record| out.observations.push(record));
    }

    pub(super) fn detector(&mut self, record: Record<DetectorReading>) {
        self.take(record, |out, record| out.detectors.push(record));
    }

    pub(super) fn reading(&mut self, record: Record<Reading>) {
        self.take(record, |out, record| out.readings.push(record));
    }
}
