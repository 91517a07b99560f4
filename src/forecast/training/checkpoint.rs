//! Training as it stands after an epoch, as bytes: a run that goes on from them ends with the weights
//! of one that was never interrupted.

use std::collections::HashMap;

use candle_core::Tensor;
use sha2::{Digest, Sha256};

use super::super::snapshot::{Reader, put_bytes, put_f64, put_u32};
use super::learner::Learner;
use super::optimiser::{put_tensor, take_tensor};
use super::{Dataset, EpochReport, TrainingError, TrainingSettings};

const MAGIC: &[u8; 8] = b"RCTRAIN\0";
const VERSION: u32 = 1;

/// The epochs so far and the best of them.
pub(super) struct Course {
    pub(super) curve: Vec<EpochReport>,
    /// Validation error, epoch and weights; epoch 0 before the first.
    pub(super) best: (f64, usize, HashMap<String, Tensor>),
}

impl Course {
    /// Whether all epochs are run, or the last ones brought nothing.
    pub(super) fn has_ended(&self, settings: &TrainingSettings) -> bool {
        let epochs = self.curve.len();
        epochs >= settings.epochs || (epochs > 0 && epochs >= self.best.1 + settings.patience)
    }
}

/// What a checkpoint must agree in to be gone on from: build, settings, data.
pub(super) fn fingerprint(datasets: &[Dataset], settings: &TrainingSettings) -> [u8; 32] {
    let mut hash = Sha256::new();
    hash.update(env!("CARGO_PKG_VERSION"));
    hash.update(format!("{settings:?}"));
    for dataset in datasets {
        hash.update(format!("{:?}{:?}", dataset.times, dataset.columns));
        hash.update(format!("{:?}{:?}", dataset.events, dataset.calendar));
        for value in &dataset.values {
            hash.update(value.to_le_bytes());
        }
    }
    hash.finalize().into()
}

/// Writes a checkpoint.
pub(super) fn write(
    fingerprint: &[u8; 32],
    course: &Course,
    learner: &Learner<'_>,
) -> Result<Vec<u8>, TrainingError> {
    let mut out = MAGIC.to_vec();
    put_u32(&mut out, VERSION);
    put_bytes(&mut out, fingerprint);
    put_u32(&mut out, course.curve.len() as u32);
    for report in &course.curve {
        put_f64(&mut out, report.loss);
        put_f64(&mut out, report.validation_mae);
        put_u32(&mut out, u32::from(report.is_best));
    }
    let (mae, epoch, weights) = &course.best;
    put_f64(&mut out, *mae);
    put_u32(&mut out, *epoch as u32);
    for name in learner.weight_names() {
        if let Some(tensor) = weights.get(&name) {
            put_tensor(&mut out, tensor)?;
        }
    }
    learner.write_state(&mut out)?;
    Ok(out)
}

/// Brings `learner` and the course to where `bytes` say they were.
pub(super) fn read(
    bytes: &[u8],
    fingerprint: &[u8; 32],
    course: &mut Course,
    learner: &mut Learner<'_>,
) -> Result<(), TrainingError> {
    let bytes = bytes.strip_prefix(MAGIC).ok_or(TrainingError::OtherRun)?;
    let mut reader = Reader::new(bytes, VERSION)?;
    if reader.any_bytes()? != fingerprint {
        return Err(TrainingError::OtherRun);
    }
    for epoch in 1..=reader.u32()? as usize {
        course.curve.push(EpochReport {
            epoch,
            loss: reader.f64()?,
            validation_mae: reader.f64()?,
            is_best: reader.u32()? == 1,
        });
    }
    let (mae, epoch, weights) = &mut course.best;
    *mae = reader.f64()?;
    *epoch = reader.u32()? as usize;
    for name in learner.weight_names() {
        if let Some(tensor) = weights.get_mut(&name) {
            *tensor = take_tensor(&mut reader, tensor)?;
        }
    }
    learner.read_state(&mut reader)?;
    reader.finish()?;
    Ok(())
}
