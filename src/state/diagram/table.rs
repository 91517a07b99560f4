//! The diagrams of a network: learnt minute by minute where detectors count.

use std::collections::BTreeMap;

use super::defaults::{default_of, through};
use super::fit::fit;
use super::grid::{Grid, Pool};
use super::{Basis, Diagram, Goodness, SegmentDiagram};
use crate::network::{Network, RoadClass, Segment};
use crate::state::bytes::{Reader, put_head, put_u32, put_u64};
use crate::state::{MINUTE_MS, SnapshotError, StateBatch};
use crate::units::SegmentId;

/// Most counted segments that have a histogram of their own, 1.4 kB each; further ones use their
/// class, and [`Diagrams::left_out_count`] tells how many.
pub const DIAGRAM_SEGMENTS_MAX: usize = 20_000;

/// Minutes between two fits of a segment; segments take turns, so that no minute fits many.
const FIT_EVERY_MINUTES: i64 = 30;

/// Minutes of a class before its diagram is fitted, and between two fits of all classes.
const CLASS_EVERY_MINUTES: i64 = 60;

/// Slowest speed at which flow over speed is a density, m/s.
const SPEED_MIN_MPS: f32 = 0.3;

/// Classes, with and without a signal at the end.
const POOLS: usize = 2 * RoadClass::ALL.len();

const MAGIC: &[u8; 8] = b"RCDIAGR\0";
const VERSION: u16 = 1;
const WHAT: &str = "diagram snapshot";

type Fit = (Diagram, Goodness);

/// The fitted diagrams of a network, without what they were fitted to.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct DiagramFits {
    own: BTreeMap<u32, Fit>,
    classes: [Option<Fit>; POOLS],
}

impl DiagramFits {
    /// The diagram of a segment on which traffic moves freely at `free_flow_mps`: its own, that of
    /// its class, or a default. A class lends capacity and wave speed; the free speed stays that of
    /// the segment.
    ///
    /// # Panics
    /// When `id` is of another network.
    pub fn of(&self, network: &Network, id: SegmentId, free_flow_mps: f32) -> SegmentDiagram {
        let segment = network.segment(id);
        let own = self.own.get(&id.0).copied();
        let (diagram, basis, goodness) = match (own, self.classes[pool_of(segment)]) {
            (Some((diagram, goodness)), _) => (diagram, Basis::Segment, Some(goodness)),
            (None, Some((class, goodness))) => {
                let lent = through(free_flow_mps, class.capacity_vph, Some(class.wave_mps));
                (lent, Basis::Class, Some(goodness))
            }
            (None, None) => (default_of(segment, free_flow_mps), Basis::Default, None),
        };
        SegmentDiagram {
            diagram,
            basis,
            goodness,
        }
    }

    /// How many segments, and classes, have a diagram of their own.
    pub fn counts(&self) -> (usize, usize) {
        (self.own.len(), self.classes.iter().flatten().count())
    }
}

/// The fundamental diagrams of a network, learnt from counts.
#[derive(Clone, Debug, PartialEq)]
pub struct Diagrams {
    counted: BTreeMap<u32, Grid>,
    fits: DiagramFits,
    /// Segments that found no room.
    left_out: u64,
    /// The minute of the newest fit of classes, minutes since the epoch.
    classes_fitted: i64,
}

impl Default for Diagrams {
    fn default() -> Self {
        Self::new()
    }
}

impl Diagrams {
    /// Nothing learnt yet.
    pub fn new() -> Self {
        Self {
            counted: BTreeMap::new(),
            fits: DiagramFits::default(),
            left_out: 0,
            classes_fitted: i64::MIN,
        }
    }

    /// What was fitted so far.
    pub fn fits(&self) -> &DiagramFits {
        &self.fits
    }

    /// Takes what detectors counted in a closed minute.
    ///
    /// # Panics
    /// When `batch` is of another network.
    pub fn observe(&mut self, network: &Network, batch: &StateBatch) {
        let minute = batch.interval.start.as_millis().div_euclid(MINUTE_MS);
        self.left_out = 0;
        let states = batch.segments.iter().zip(network.segments()).zip(0u32..);
        for ((state, segment), id) in states.filter(|((state, _), _)| state.is_counted) {
            let Some(flow_vph) = state.flow_vph else {
                continue;
            };
            if flow_vph <= 0.0 || state.speed_mps < SPEED_MIN_MPS {
                continue;
            }
            if self.counted.len() >= DIAGRAM_SEGMENTS_MAX && !self.counted.contains_key(&id) {
                self.left_out += 1;
                continue;
            }
            let grid = self.counted.entry(id).or_insert_with(Grid::new);
            let lanes = f32::from(segment.lanes.max(1));
            let flow_vph = flow_vph / lanes;
            grid.add(flow_vph / (state.speed_mps * 3.6), flow_vph);
            if (minute + i64::from(id)).rem_euclid(FIT_EVERY_MINUTES) == 0 {
                match fit(grid) {
                    Some(fit) => self.fits.own.insert(id, fit),
                    None => self.fits.own.remove(&id),
                };
            }
        }
        if minute.saturating_sub(self.classes_fitted) >= CLASS_EVERY_MINUTES
            || minute.rem_euclid(CLASS_EVERY_MINUTES) == 0
        {
            self.fit_classes(network);
            self.classes_fitted = minute;
        }
    }

    fn fit_classes(&mut self, network: &Network) {
        let mut pools: Vec<Pool> = vec![Pool::new(); POOLS];
        for (&id, grid) in &self.counted {
            pools[pool_of(network.segment(SegmentId(id)))].add(grid);
        }
        for (class, pool) in self.fits.classes.iter_mut().zip(&pools) {
            *class = fit(&pool.thinned());
        }
    }

    /// Segments with counts of their own.
    pub fn counted_count(&self) -> usize {
        self.counted.len()
    }

    /// Counted segments of the newest minute that found no room ([`DIAGRAM_SEGMENTS_MAX`]).
    pub fn left_out_count(&self) -> u64 {
        self.left_out
    }

    /// Appends everything needed to go on later.
    pub fn snapshot(&self, network: &Network, out: &mut Vec<u8>) {
        put_head(out, MAGIC, VERSION, network.version());
        out.extend_from_slice(&self.classes_fitted.to_le_bytes());
        put_u64(out, self.left_out);
        put_u64(out, self.counted.len() as u64);
        for (&id, grid) in &self.counted {
            put_u32(out, id);
            grid.put(out);
            put_fit(out, self.fits.own.get(&id).copied());
        }
        for class in &self.fits.classes {
            put_fit(out, *class);
        }
    }

    /// Takes back what [`Diagrams::snapshot`] wrote for the same network.
    ///
    /// # Errors
    /// When the bytes are not an intact snapshot of this network.
    pub fn restore(network: &Network, bytes: &[u8]) -> Result<Self, SnapshotError> {
        let mut reader = Reader::open(bytes, WHAT, MAGIC, VERSION, network.version())?;
        let mut restored = Self::new();
        restored.classes_fitted = reader.take_i64()?;
        restored.left_out = reader.take_u64()?;
        let count = reader.take_count(1_300)?;
        for _ in 0..count {
            let id = reader.take_u32()?;
            if id as usize >= network.segment_count() || count > DIAGRAM_SEGMENTS_MAX {
                return Err(reader.damaged());
            }
            restored.counted.insert(id, Grid::take(&mut reader)?);
            if let Some(fit) = take_fit(&mut reader)? {
                restored.fits.own.insert(id, fit);
            }
        }
        for class in &mut restored.fits.classes {
            *class = take_fit(&mut reader)?;
        }
        reader.finish()?;
        Ok(restored)
    }
}

fn pool_of(segment: &Segment) -> usize {
    2 * segment.class() as usize + usize::from(segment.is_signalised())
}

fn put_fit(out: &mut Vec<u8>, fit: Option<Fit>) {
    let (diagram, goodness) = fit.unwrap_or((
        Diagram {
            free_mps: 0.0,
            capacity_vph: 0.0,
            wave_mps: 0.0,
        },
        Goodness {
            minutes: 0,
            r_squared: 0.0,
            rmse_vph: 0.0,
        },
    ));
    put_u32(out, goodness.minutes);
    for number in [
        diagram.free_mps,
        diagram.capacity_vph,
        diagram.wave_mps,
        goodness.r_squared,
        goodness.rmse_vph,
    ] {
        out.extend_from_slice(&number.to_le_bytes());
    }
}

/// A fit without minutes is none.
fn take_fit(reader: &mut Reader<'_>) -> Result<Option<Fit>, SnapshotError> {
    let minutes = reader.take_u32()?;
    let diagram = Diagram {
        free_mps: reader.take_finite()?,
        capacity_vph: reader.take_finite()?,
        wave_mps: reader.take_finite()?,
    };
    let goodness = Goodness {
        minutes,
        r_squared: reader.take_finite()?,
        rmse_vph: reader.take_finite()?,
    };
    let is_sound = diagram.wave_mps > 0.0
        && diagram.free_mps > diagram.wave_mps
        && diagram.capacity_vph > 0.0
        && goodness.rmse_vph >= 0.0;
    match minutes {
        0 => Ok(None),
        _ if is_sound => Ok(Some((diagram, goodness))),
        _ => Err(reader.damaged()),
    }
}
