//! Sensitive zones: segments about which only what is usual there may be said.
//!
//! It knows which segments they are; what is said of them is decided where values leave.

use std::sync::Arc;

use super::area::{Outline, segments_in};
use crate::network::Network;
use crate::units::SegmentId;

/// A zone as it is configured.
#[derive(Clone, Debug, PartialEq)]
pub struct ZoneDraft {
    /// What the operator calls it, for messages.
    pub name: String,
    /// Where it is.
    pub outline: Outline,
}

/// Why a zone cannot be used.
#[derive(Clone, Debug, PartialEq, thiserror::Error)]
#[error("zone {0}: no segment lies in it")]
pub struct ZoneError(pub String);

/// The segments of all zones.
#[derive(Clone, Debug, Default)]
pub struct Zones {
    /// By segment; empty without zones.
    is_inside: Arc<[bool]>,
}

impl Zones {
    /// Finds every segment that lies in a zone, also in part, on any layer.
    ///
    /// # Errors
    /// When a zone has no segment: a place that was mistyped would protect nobody.
    pub fn new(network: &Network, drafts: &[ZoneDraft]) -> Result<Self, ZoneError> {
        if drafts.is_empty() {
            return Ok(Self::default());
        }
        let mut is_inside = vec![false; network.segment_count()];
        for draft in drafts {
            let segments = segments_in(network, &draft.outline);
            if segments.is_empty() {
                return Err(ZoneError(draft.name.clone()));
            }
            for segment in segments {
                is_inside[segment.index()] = true;
            }
        }
        Ok(Self {
            is_inside: is_inside.into(),
        })
    }

    /// Whether there are none.
    pub fn is_empty(&self) -> bool {
        self.is_inside.is_empty()
    }

    /// Whether a segment lies in one.
    pub fn holds(&self, segment: SegmentId) -> bool {
        self.is_inside
            .get(segment.index())
            .copied()
            .unwrap_or(false)
    }
}
