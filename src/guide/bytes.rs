//! The little-endian bytes of the guide's snapshot.

use super::GuideError;
use crate::network::Network;
use crate::units::{SegmentId, Timestamp};

pub(super) fn put_u32(out: &mut Vec<u8>, value: u32) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_u64(out: &mut Vec<u8>, value: u64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_i64(out: &mut Vec<u8>, value: i64) {
    out.extend_from_slice(&value.to_le_bytes());
}

pub(super) fn put_f32(out: &mut Vec<u8>, value: f32) {
    out.extend_from_slice(&value.to_le_bytes());
}

/// Takes values off the front of a snapshot.
pub(super) struct Reader<'a> {
    bytes: &'a [u8],
}

impl<'a> Reader<'a> {
    pub(super) fn new(bytes: &'a [u8]) -> Self {
        Self { bytes }
    }

    pub(super) fn take<const N: usize>(&mut self) -> Result<[u8; N], GuideError> {
        let Some((head, rest)) = self.bytes.split_first_chunk::<N>() else {
            return Err(GuideError(format!(
                "{} bytes left, {N} needed",
                self.bytes.len()
            )));
        };
        self.bytes = rest;
        Ok(*head)
    }

    pub(super) fn u32(&mut self) -> Result<u32, GuideError> {
        Ok(u32::from_le_bytes(self.take()?))
    }

    pub(super) fn u64(&mut self) -> Result<u64, GuideError> {
        Ok(u64::from_le_bytes(self.take()?))
    }

    /// A finite number.
    pub(super) fn f32(&mut self) -> Result<f32, GuideError> {
        let value = f32::from_le_bytes(self.take()?);
        if value.is_finite() {
            Ok(value)
        } else {
            Err(GuideError(format!("number {value}")))
        }
    }

    pub(super) fn time(&mut self) -> Result<Timestamp, GuideError> {
        Ok(Timestamp::from_millis(i64::from_le_bytes(self.take()?)))
    }

    pub(super) fn segment(&mut self, network: &Network) -> Result<SegmentId, GuideError> {
        let id = SegmentId(self.u32()?);
        if id.index() < network.segment_count() {
            Ok(id)
        } else {
            Err(GuideError(format!(
                "segment {id} of {}",
                network.segment_count()
            )))
        }
    }
}
