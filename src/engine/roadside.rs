//! The front's memory of what roadside units tell: junctions and their areas, signals, events, car
//! parks, passages.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{SnapshotError, put_block, take_block};
use crate::matching::{Areas, JunctionRefusal, Overlay};
use crate::network::Network;
use crate::observation::{DetectorReading, JunctionReading, Observation, Reading, RejectReason};
use crate::state::{Roadside, RoadsideView};
use crate::units::{Interval, SourceId, UnitId};

/// What units told so far; owned by the front, so that records count in their order.
#[derive(Debug, Default)]
pub(super) struct RoadsideMemory {
    network: Option<Arc<Network>>,
    overlay: Arc<Overlay>,
    numbers: BTreeMap<UnitId, usize>,
    roadside: Roadside,
}

impl RoadsideMemory {
    /// Ties junctions to `network`; without one they are refused as `unsupported_kind`.
    pub(super) fn on(network: Arc<Network>) -> Self {
        Self {
            network: Some(network),
            ..Self::default()
        }
    }

    /// Whether some unit has described a junction.
    pub(super) fn has_units(&self) -> bool {
        !self.numbers.is_empty()
    }

    /// Takes one reading of `unit`; with a junction that changes areas, the new ones.
    pub(super) fn take(
        &mut self,
        reading: Reading,
        unit: Option<UnitId>,
        areas: &Areas,
    ) -> Result<Option<Arc<Areas>>, RejectReason> {
        match reading {
            Reading::Junction(junction) => return self.take_junction(junction, unit, areas),
            Reading::Signal(signal) => self.roadside.take_signal(&signal)?,
            Reading::Event(event) => self.roadside.take_event(event)?,
            Reading::Parking(parking) => self.roadside.take_parking(parking)?,
            Reading::Passage(passage) => self.roadside.take_passage(&passage)?,
            Reading::Device(_) => return Err(RejectReason::UnsupportedKind),
        }
        Ok(None)
    }

    fn take_junction(
        &mut self,
        junction: JunctionReading,
        unit: Option<UnitId>,
        areas: &Areas,
    ) -> Result<Option<Arc<Areas>>, RejectReason> {
        let network = self.network.clone().ok_or(RejectReason::UnsupportedKind)?;
        let overlay = Arc::make_mut(&mut self.overlay);
        let taken = overlay.take(&network, unit, junction);
        let change = taken.map_err(|refusal| match refusal {
            JunctionRefusal::TooFar | JunctionRefusal::Untied => RejectReason::OffRoad,
            JunctionRefusal::NoApproach => RejectReason::MissingField,
            JunctionRefusal::Full => RejectReason::TableFull,
        })?;
        if change.units.is_empty() {
            return Ok(None);
        }
        self.number_units();
        let outlined = self.outlined(areas, &network, change.units.into_iter());
        Ok(outlined.map(Arc::new))
    }

    fn number_units(&mut self) {
        let units = self.overlay.units().enumerate().skip(self.numbers.len());
        self.numbers
            .extend(units.map(|(number, unit)| (unit, number)));
    }

    /// `areas` with those of some units drawn anew; `None` for no unit.
    fn outlined(
        &self,
        areas: &Areas,
        network: &Network,
        units: impl Iterator<Item = usize>,
    ) -> Option<Areas> {
        let draw = |areas: &Areas, number| {
            areas.with_unit(network, number, &self.overlay.outline(network, number))
        };
        units.fold(None, |drawn, number| {
            Some(draw(drawn.as_ref().unwrap_or(areas), number))
        })
    }

    /// The source that stands for the area in which `unit` perceives, for what it perceives there.
    pub(super) fn source_of(
        &self,
        areas: &Areas,
        unit: Option<UnitId>,
        observation: &Observation,
    ) -> Option<SourceId> {
        let number = self.numbers.get(&unit?)?;
        areas.source_of_unit(*number, observation)
    }

    /// Closes a minute: appends what sites counted to `detectors`, and says what is as of its end.
    pub(super) fn close(
        &mut self,
        minute: Interval,
        detectors: &mut Vec<DetectorReading>,
    ) -> Arc<RoadsideView> {
        let passages = self.roadside.close(minute, detectors);
        Arc::new(self.roadside.view(minute.end, &self.overlay, passages))
    }

    /// Appends what must survive a restart.
    pub(super) fn snapshot(&self, out: &mut Vec<u8>) {
        put_block(out, |out| self.overlay.snapshot(out));
        put_block(out, |out| self.roadside.snapshot(out));
    }

    /// Takes back what [`RoadsideMemory::snapshot`] wrote, all of `bytes`, and returns `areas` with
    /// those of the units.
    pub(super) fn restore(
        &mut self,
        mut bytes: &[u8],
        areas: &Arc<Areas>,
    ) -> Result<Arc<Areas>, SnapshotError> {
        let overlay = take_block(&mut bytes, "overlay")?;
        let roadside = take_block(&mut bytes, "roadside")?;
        let restored = Roadside::restore(roadside);
        self.roadside = restored.map_err(SnapshotError::of("roadside"))?;
        let Some(network) = self.network.clone() else {
            return Ok(areas.clone());
        };
        let restored = Overlay::restore(&network, overlay);
        self.overlay = Arc::new(restored.map_err(SnapshotError::of("overlay"))?);
        self.numbers.clear();
        self.number_units();
        let outlined = self.outlined(areas, &network, 0..self.numbers.len());
        Ok(outlined.map_or_else(|| areas.clone(), Arc::new))
    }
}
