//! Companion regressions as bytes.

use std::sync::Arc;

use super::super::STEP_COUNT;
use super::super::snapshot::{Reader, SnapshotError, put_bytes, put_f32s, put_i16s, put_u32};
use super::{COMPANION_COUNT, CompanionRegression, INPUT_COUNT, NOBODY, Weights};

impl CompanionRegression {
    /// Appends the regressions: 1.6 kB a segment that has one, 33 bytes one that has none.
    pub(in crate::forecast) fn write(&self, out: &mut Vec<u8>) {
        put_u32(out, COMPANION_COUNT as u32);
        put_u32(out, INPUT_COUNT as u32);
        for companion in self.companions.as_flattened() {
            put_u32(out, *companion);
        }
        let is_known = self.weights.iter().map(|one| u8::from(one.is_some()));
        put_bytes(out, &is_known.collect::<Vec<u8>>());
        for weights in self.weights.iter().flatten() {
            put_f32s(out, &weights.unit);
            put_i16s(out, weights.numbers.as_flattened());
        }
    }

    /// Reads what `write` wrote about `segments` segments.
    pub(in crate::forecast) fn read(
        reader: &mut Reader<'_>,
        segments: usize,
    ) -> Result<Self, SnapshotError> {
        if [reader.u32()?, reader.u32()?] != [COMPANION_COUNT as u32, INPUT_COUNT as u32] {
            return Err(reader.malformed());
        }
        let mut companions = Vec::new();
        for _ in 0..segments {
            let mut of_segment = [NOBODY; COMPANION_COUNT];
            for companion in &mut of_segment {
                *companion = reader.u32()?;
                if *companion != NOBODY && *companion as usize >= segments {
                    return Err(reader.malformed());
                }
            }
            companions.push(of_segment);
        }
        let mut weights = Vec::new();
        for is_known in reader.bytes(segments)? {
            weights.push(match is_known {
                0 => None,
                1 => Some(Box::new(read_weights(reader)?)),
                _ => return Err(reader.malformed()),
            });
        }
        Ok(Self {
            companions: Arc::new(companions),
            weights,
        })
    }
}

fn read_weights(reader: &mut Reader<'_>) -> Result<Weights, SnapshotError> {
    let mut weights = Weights {
        unit: [0.0; STEP_COUNT],
        numbers: [[0; STEP_COUNT]; INPUT_COUNT],
    };
    weights.unit.copy_from_slice(&reader.f32s(STEP_COUNT)?);
    let numbers = reader.i16s(INPUT_COUNT * STEP_COUNT)?;
    let flat = weights.numbers.as_flattened_mut();
    flat.copy_from_slice(&numbers);
    if weights.unit.iter().all(|unit| unit.is_finite()) {
        Ok(weights)
    } else {
        Err(reader.malformed())
    }
}
