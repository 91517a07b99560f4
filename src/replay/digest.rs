//! The digest: one hash over all outputs in their defined order, to compare runs with.
//!
//! Order: minute by minute, first the states by segment, then the index by region, then changes of
//! incidents, then corridors and bottlenecks, then the outlook where there is one, then the forecast
//! by segment and step, then guidance as emitted. Numbers enter with their exact bits.

use sha2::{Digest as _, Sha256};

use crate::forecast::{ForecastBatch, OutlookBatch, SpeedQuantiles};
use crate::guide::{Guidance, GuidanceKind};
use crate::state::congestion::{CongestionBatch, RegionIndex};
use crate::state::{IncidentChange, PerformanceBatch, StateBatch};
use crate::units::SegmentId;

/// A running hash over outputs.
#[derive(Clone, Debug, Default)]
pub struct Digest {
    hash: Sha256,
    buffer: Vec<u8>,
}

impl Digest {
    /// Adds one minute of states.
    pub fn state(&mut self, batch: &StateBatch) {
        self.tag(b'S', batch.interval.start.as_millis());
        for state in &batch.segments {
            let numbers = [state.speed_mps, state.sigma_mps, state.free_flow_mps];
            let optional = [state.flow_vph, state.density_vpkm, state.queue_length_m];
            for number in numbers
                .into_iter()
                .chain(optional.map(|value| value.unwrap_or(-1.0)))
            {
                self.buffer
                    .extend_from_slice(&number.to_bits().to_le_bytes());
            }
            self.buffer
                .extend_from_slice(&[state.level as u8, state.provenance as u8]);
            self.buffer
                .extend_from_slice(&state.sample_count.to_le_bytes());
            self.buffer
                .extend_from_slice(&state.age_s.unwrap_or(u32::MAX).to_le_bytes());
        }
        self.absorb();
    }

    /// Adds the index of every region in one minute.
    pub fn congestion(&mut self, batch: &CongestionBatch) {
        self.tag(b'C', batch.interval.start.as_millis());
        self.buffer.extend_from_slice(batch.standard.as_bytes());
        for index in &batch.regions {
            self.buffer.extend_from_slice(index.region.as_bytes());
            for number in numbers(index) {
                self.buffer
                    .extend_from_slice(&number.to_bits().to_le_bytes());
            }
            self.buffer.extend_from_slice(&index.samples.to_le_bytes());
        }
        self.buffer.push(u8::from(batch.ended_day.is_some()));
        self.absorb();
    }

    /// Adds what was derived of one minute: travel times of corridors, bottlenecks, jams on freeways.
    pub fn performance(&mut self, batch: &PerformanceBatch) {
        self.tag(b'P', batch.interval.start.as_millis());
        for state in &batch.travel_times {
            let experienced_s = state.experienced_s.unwrap_or(-1.0);
            let numbers = [
                state.time_s,
                state.sigma_s,
                state.low_s,
                state.high_s,
                experienced_s,
            ];
            for number in numbers {
                self.buffer
                    .extend_from_slice(&number.to_bits().to_le_bytes());
            }
        }
        for known in &batch.bottlenecks.ranked {
            self.buffer
                .extend_from_slice(&known.segment.0.to_le_bytes());
            self.buffer
                .extend_from_slice(&known.active_minutes.to_le_bytes());
            self.buffer
                .extend_from_slice(&known.delay_veh_h.to_bits().to_le_bytes());
        }
        for jam in batch.fields.iter().flat_map(|field| &field.jams) {
            for number in [jam.tail_m, jam.head_m, jam.speed_mps] {
                self.buffer
                    .extend_from_slice(&number.to_bits().to_le_bytes());
            }
        }
        self.absorb();
    }

    /// Adds one forecast.
    pub fn forecast(&mut self, batch: &ForecastBatch) {
        self.tag(b'F', batch.issued_at.as_millis());
        self.buffer.extend_from_slice(batch.model.as_bytes());
        self.buffer.push(u8::from(batch.fallback));
        let speakers = batch.speakers.iter();
        self.buffer.extend(speakers.map(|&speaker| speaker as u8));
        self.quantiles(&batch.quantiles);
        for segment in batch.flows.segments() {
            self.buffer.extend_from_slice(&segment.0.to_le_bytes());
            for step in batch.flows.steps(segment).into_iter().flatten() {
                for flow_vph in [step.p10_vph, step.p50_vph, step.p90_vph] {
                    self.buffer
                        .extend_from_slice(&flow_vph.to_bits().to_le_bytes());
                }
            }
        }
        for segment in batch.closures.segments() {
            if let Some(closed) = batch.closed(segment) {
                self.buffer.extend_from_slice(&segment.0.to_le_bytes());
                for end in [closed.start, closed.end] {
                    self.buffer
                        .extend_from_slice(&end.as_millis().to_le_bytes());
                }
            }
        }
        self.absorb();
    }

    /// Adds one outlook.
    pub fn outlook(&mut self, batch: &OutlookBatch) {
        self.tag(b'O', batch.issued_at.as_millis());
        self.quantiles(&batch.quantiles);
        self.absorb();
    }

    fn quantiles(&mut self, all: &[SpeedQuantiles]) {
        let numbers = all.iter().flat_map(SpeedQuantiles::as_array);
        for number in numbers {
            self.buffer
                .extend_from_slice(&number.to_bits().to_le_bytes());
        }
    }

    /// Adds one change of an incident.
    pub fn incident(&mut self, change: &IncidentChange) {
        self.tag(b'I', change.at.as_millis());
        self.buffer.extend_from_slice(&change.id.to_le_bytes());
        self.buffer
            .extend_from_slice(&change.revision.to_le_bytes());
        let codes = [
            change.state as u8,
            change.kind as u8,
            change.severity,
            change.lanes_blocked,
        ];
        self.buffer.extend_from_slice(&codes);
        self.segments(&[change.segment, change.tail]);
        for number in [
            change.offset_m,
            change.confidence,
            change.tail_offset_m,
            change.queue_m,
        ] {
            self.buffer
                .extend_from_slice(&number.to_bits().to_le_bytes());
        }
        self.absorb();
    }

    /// Adds one guidance.
    pub fn guidance(&mut self, guidance: &Guidance) {
        self.tag(b'G', guidance.valid_from.as_millis());
        self.buffer.extend_from_slice(&guidance.id.to_le_bytes());
        self.buffer
            .extend_from_slice(&guidance.revision.to_le_bytes());
        self.buffer
            .extend_from_slice(&guidance.valid_until.as_millis().to_le_bytes());
        self.buffer
            .extend_from_slice(&guidance.confidence.to_bits().to_le_bytes());
        self.buffer.push(u8::from(guidance.withdrawn));
        self.buffer.extend_from_slice(guidance.reason.as_bytes());
        match &guidance.kind {
            GuidanceKind::Jam(jam) => self.segments(&jam.segments),
            GuidanceKind::Diversion(diversion) => {
                self.segments(&diversion.main);
                self.segments(&diversion.alternative);
            }
        }
        self.absorb();
    }

    /// The digest of everything so far, in hexadecimal.
    pub fn hex(&self) -> String {
        self.hash
            .clone()
            .finalize()
            .iter()
            .map(|byte| format!("{byte:02x}"))
            .collect()
    }

    fn tag(&mut self, kind: u8, at_ms: i64) {
        self.buffer.clear();
        self.buffer.push(kind);
        self.buffer.extend_from_slice(&at_ms.to_le_bytes());
    }

    fn segments(&mut self, segments: &[SegmentId]) {
        self.buffer
            .extend_from_slice(&(segments.len() as u32).to_le_bytes());
        for segment in segments {
            self.buffer.extend_from_slice(&segment.0.to_le_bytes());
        }
    }

    fn absorb(&mut self) {
        self.hash.update(&self.buffer);
    }
}

/// All figures of a region in a fixed order; -1 where there is none.
fn numbers(index: &RegionIndex) -> impl Iterator<Item = f32> + '_ {
    let always = [
        index.observed_share,
        index.estimated_share,
        index.judged_share,
        index.learnt_share,
        index.speed_mps,
        index.tti,
        index.dtp,
        index.jam_factor,
        index.flow_share,
    ];
    let sometimes = [
        index.tpi,
        index.accumulation_veh,
        index.production_vph,
        index.delay_vehh_per_h,
        index.critical_veh,
        index.critical_ratio,
    ];
    let lengths = index.level_km.iter().chain(&index.service_km).copied();
    let sometimes = sometimes.map(|value| value.unwrap_or(-1.0));
    always.into_iter().chain(sometimes).chain(lengths)
}
