//! What is derived of each closed minute: flow from probes, fundamental diagrams, bottlenecks,
//! corridors, turning flows, the speed field of freeways.
//!
//! One owner of six memories, so that stage 2 closes, snapshots and restores them together. Of a
//! state they change flow and density where no detector counts, and nothing else.

use std::sync::Arc;

use super::bytes::{Reader, put_head, put_u8_all};
use super::{
    BinSums, BottleneckDay, Bottlenecks, Calendar, Corridor, CorridorState, Corridors,
    DetectorTable, DiagramFits, Diagrams, Doubt, FieldMinute, FieldSettings, Freeway, Freeways,
    ProbeFlow, SnapshotError, StateBatch, Stay, Turning,
};
use crate::network::{Network, NetworkVersion};
use crate::observation::DetectorReading;
use crate::units::{Interval, SegmentId};

const MAGIC: &[u8; 8] = b"RCPERFO\0";
const VERSION: u16 = 2;
const WHAT: &str = "performance snapshot";
/// Stretch of road that a detector at a point speaks for, m.
const POINT_M: f32 = 1.0;

/// What was derived of one closed minute.
#[derive(Clone, Debug)]
pub struct PerformanceBatch {
    /// The minute.
    pub interval: Interval,
    /// The network the ids belong to.
    pub network: NetworkVersion,
    /// The corridors, in the order of the configuration.
    pub corridors: Arc<Vec<Corridor>>,
    /// Travel times, one a corridor that may be told.
    pub travel_times: Vec<CorridorState>,
    /// Bottlenecks of the local day so far, worst first.
    pub bottlenecks: BottleneckDay,
    /// Those of the day before.
    pub yesterday: BottleneckDay,
    /// Turning flows.
    pub turning: Turning,
    /// Fundamental diagrams.
    pub diagrams: DiagramFits,
    /// The freeways of the network.
    pub freeways: Arc<Vec<Freeway>>,
    /// Their speed over place and their jams, one entry a freeway.
    pub fields: Vec<FieldMinute>,
}

/// What a minute was closed with.
#[derive(Clone, Copy, Debug)]
pub struct PerformanceMinute<'a> {
    /// What was added up.
    pub sums: &'a BinSums,
    /// What each road user did.
    pub stays: &'a [Stay],
    /// What detectors measured.
    pub readings: &'a [DetectorReading],
    /// Where they stand.
    pub table: &'a DetectorTable,
}

/// The six memories.
#[derive(Clone, Debug)]
pub struct Performance {
    flow: ProbeFlow,
    diagrams: Diagrams,
    bottlenecks: Bottlenecks,
    corridors: Corridors,
    told_corridors: Arc<Vec<Corridor>>,
    turning: Turning,
    freeways: Freeways,
}

impl Performance {
    /// Nothing seen yet, on a network with these corridors and detectors.
    pub fn new(
        network: &Arc<Network>,
        calendar: Calendar,
        corridors: Vec<Corridor>,
        table: &DetectorTable,
    ) -> Self {
        Self {
            flow: ProbeFlow::new(network.segment_count()),
            diagrams: Diagrams::new(),
            bottlenecks: Bottlenecks::new(calendar, network.segment_count()),
            told_corridors: Arc::new(corridors.clone()),
            corridors: Corridors::new(corridors),
            turning: Turning::new(network, table),
            freeways: Freeways::new(network, FieldSettings::of_minutes())
                .expect("the settings of minutes are sound"),
        }
    }

    /// Takes a closed minute with what it was closed with; gives it flow and density where no
    /// detector counts.
    ///
    /// # Panics
    /// When anything is of another network.
    pub fn close_minute(
        &mut self,
        network: &Network,
        batch: &mut StateBatch,
        minute: &PerformanceMinute<'_>,
    ) -> PerformanceBatch {
        let PerformanceMinute {
            sums,
            readings,
            table,
            ..
        } = *minute;
        self.flow.fill(network, batch, sums);
        let batch = &*batch;
        self.diagrams.observe(network, batch);
        self.bottlenecks
            .close_minute(network, self.diagrams.fits(), batch);
        self.turning
            .close_minute(network, batch.interval, sums, readings, table);
        PerformanceBatch {
            interval: batch.interval,
            network: batch.network,
            corridors: Arc::clone(&self.told_corridors),
            travel_times: self.corridors.close_minute(network, batch, sums),
            bottlenecks: self.bottlenecks.today(),
            yesterday: self.bottlenecks.yesterday().clone(),
            turning: self.turning.clone(),
            diagrams: self.diagrams.fits().clone(),
            freeways: Arc::clone(self.freeways.all()),
            fields: self.close_fields(batch, minute),
        }
    }

    /// Takes what was measured on freeways and is believed, and closes their minute.
    fn close_fields(
        &mut self,
        batch: &StateBatch,
        minute: &PerformanceMinute<'_>,
    ) -> Vec<FieldMinute> {
        let is_believed = |segment: SegmentId| batch.segments[segment.index()].doubt == Doubt::None;
        // Sums of fractions depend on their order, and stays come in that of shards.
        let mut stays: Vec<&Stay> = minute
            .stays
            .iter()
            .filter(|stay| is_believed(stay.segment()))
            .filter(|stay| self.freeways.place(stay.segment()).is_some())
            .collect();
        stays.sort_by_key(|stay| {
            let speed = stay.speed_mps().map(f32::to_bits);
            (stay.segment(), stay.stretch_dm(), speed)
        });
        for stay in stays {
            self.freeways.take_stay(stay);
        }
        for reading in minute.readings {
            let place = minute.table.place(&reading.detector);
            let Some(place) = place.filter(|_| reading.ends_in(batch.interval)) else {
                continue;
            };
            if let Some(speed_mps) = reading.speed_mps.filter(|_| reading.vehicle_count > 0.0) {
                let until_m = place.offset_m + place.length_m.max(POINT_M);
                let stretch_m = (place.offset_m, until_m);
                self.freeways
                    .take(place.segment, stretch_m, speed_mps, reading.vehicle_count);
            }
        }
        let mut minutes = self.freeways.close_minute();
        for minute in &mut minutes {
            let freeway = &self.freeways.all()[minute.freeway];
            for jam in &mut minute.jams {
                for id in freeway.under(&jam.clone()) {
                    let state = &batch.segments[id.index()];
                    jam.most_samples = jam.most_samples.max(state.sample_count);
                    jam.is_counted |= state.is_counted;
                }
            }
        }
        minutes
    }

    /// Share of the vehicles that are probes; `None` before enough were counted.
    pub fn probe_share(&self) -> Option<f32> {
        self.flow.share()
    }

    /// Fundamental diagrams as learnt so far.
    pub fn diagrams(&self) -> &Diagrams {
        &self.diagrams
    }

    /// Bottlenecks as seen so far.
    pub fn bottlenecks(&self) -> &Bottlenecks {
        &self.bottlenecks
    }

    /// Turning flows as of the newest minute.
    pub fn turning(&self) -> &Turning {
        &self.turning
    }

    /// Appends all six memories.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        let mut block = Vec::new();
        let mut put = |write: &dyn Fn(&mut Vec<u8>)| {
            block.clear();
            write(&mut block);
            put_u8_all(out, &block);
        };
        put(&|block| self.flow.snapshot(network, block));
        put(&|block| self.diagrams.snapshot(network, block));
        put(&|block| self.bottlenecks.snapshot(network, block));
        put(&|block| self.corridors.snapshot(network, block));
        put(&|block| self.turning.snapshot(network, block));
        put(&|block| self.freeways.snapshot(network, block));
    }

    /// Takes back what [`Performance::snapshot`] wrote for the same network; corridors and detectors
    /// stay as configured.
    ///
    /// # Errors
    /// When the bytes are not an intact snapshot of this network.
    pub fn restore(&mut self, network: &Network, bytes: &[u8]) -> Result<(), SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let mut restored = self.clone();
        restored.flow = ProbeFlow::restore(network, reader.take_bytes()?)?;
        restored.diagrams = Diagrams::restore(network, reader.take_bytes()?)?;
        restored
            .bottlenecks
            .restore(network, reader.take_bytes()?)?;
        restored.corridors.restore(network, reader.take_bytes()?)?;
        restored.turning.restore(network, reader.take_bytes()?)?;
        restored.freeways.restore(network, reader.take_bytes()?)?;
        reader.finish()?;
        *self = restored;
        Ok(())
    }
}
