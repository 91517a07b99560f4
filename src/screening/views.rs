//! The ways in which traffic is seen: one number for each source, kind of sender and observer.
//!
//! Two reports of one vehicle that belong to one view are two vehicles or a mistake; those of two
//! views may be the same vehicle. Trust is kept by view too.

use std::collections::BTreeMap;

use crate::observation::{Observation, Origin};
use crate::units::{ObserverId, SourceId, ViewId};

/// Most views numbered; reports of further ones belong to [`ViewId::NONE`] and are counted.
pub const VIEWS_MAX: usize = 50_000;

/// One way of seeing traffic.
#[derive(Clone, Copy, Debug, PartialEq, Eq, PartialOrd, Ord)]
pub struct View {
    /// The subscription or file.
    pub source: SourceId,
    /// What kind of sender.
    pub origin: Origin,
    /// Who perceives; [`ObserverId::ITSELF`] for road users that report themselves.
    pub observer: ObserverId,
}

/// Every view so far, in the order of appearance.
///
/// Invariant: a view keeps its number for ever, and numbers depend only on the order of records.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Views {
    views: Vec<View>,
    numbers: BTreeMap<View, ViewId>,
    latest: Option<(View, ViewId)>,
    unnumbered: u64,
}

impl Views {
    /// The number of the view that an observation from `source` belongs to.
    pub fn number(&mut self, source: SourceId, observation: &Observation) -> ViewId {
        let view = View {
            source,
            origin: observation.origin,
            observer: observation.observer,
        };
        if let Some((latest, number)) = self.latest
            && latest == view
        {
            return number;
        }
        let number = match self.numbers.get(&view) {
            Some(&number) => number,
            None if self.views.len() >= VIEWS_MAX => {
                self.unnumbered += 1;
                return ViewId::NONE;
            }
            None => self.add(view),
        };
        self.latest = Some((view, number));
        number
    }

    fn add(&mut self, view: View) -> ViewId {
        self.views.push(view);
        let number = ViewId(self.views.len() as u16);
        self.numbers.insert(view, number);
        number
    }

    /// What a number stands for.
    pub fn get(&self, number: ViewId) -> Option<View> {
        self.views.get(number.index().checked_sub(1)?).copied()
    }

    /// Records that came from views beyond [`VIEWS_MAX`].
    pub fn unnumbered(&self) -> u64 {
        self.unnumbered
    }

    /// Appends all views.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.extend_from_slice(&(self.views.len() as u32).to_le_bytes());
        for view in &self.views {
            out.extend_from_slice(&view.source.0.to_le_bytes());
            out.push(view.origin as u8);
            out.extend_from_slice(&view.observer.0.to_le_bytes());
        }
        out.extend_from_slice(&self.unnumbered.to_le_bytes());
    }

    /// Takes back what [`Views::snapshot`] wrote from the front of `bytes`; `None` when they are
    /// broken.
    pub fn restore(&mut self, bytes: &mut &[u8]) -> Option<()> {
        let mut restored = Self::default();
        let count = u32::from_le_bytes(take(bytes)?) as usize;
        if count > VIEWS_MAX {
            return None;
        }
        for _ in 0..count {
            let source = SourceId(u32::from_le_bytes(take(bytes)?));
            let [origin] = take(bytes)?;
            let origin = Origin::from_code(origin)?;
            let observer = ObserverId(u32::from_le_bytes(take(bytes)?));
            restored.add(View {
                source,
                origin,
                observer,
            });
        }
        restored.unnumbered = u64::from_le_bytes(take(bytes)?);
        *self = restored;
        Some(())
    }
}

fn take<const N: usize>(bytes: &mut &[u8]) -> Option<[u8; N]> {
    let (head, rest) = bytes.split_first_chunk::<N>()?;
    *bytes = rest;
    Some(*head)
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::units::{Position, SubjectId, Timestamp};

    fn seen(origin: Origin, observer: u32) -> Observation {
        Observation {
            observed_at: Timestamp::from_secs(0),
            subject: SubjectId(1),
            position: Position::default(),
            speed_mps: None,
            heading_deg: None,
            accuracy_m: None,
            altitude_m: None,
            origin,
            observer: ObserverId(observer),
            view: ViewId::NONE,
        }
    }

    #[test]
    fn numbers_stay_and_survive_a_snapshot() {
        let mut views = Views::default();
        let probe = views.number(SourceId(0), &seen(Origin::Probe, 0));
        let unit = views.number(SourceId(0), &seen(Origin::Rsm, 7));
        let other = views.number(SourceId(0), &seen(Origin::Rsm, 8));
        assert_eq!([probe.0, unit.0, other.0], [1, 2, 3]);
        let mut bytes = Vec::new();
        views.snapshot(&mut bytes);
        let mut restored = Views::default();
        assert_eq!(restored.restore(&mut bytes.as_slice()), Some(()));
        assert_eq!(restored.number(SourceId(0), &seen(Origin::Rsm, 7)), unit);
        assert_eq!(
            restored.number(SourceId(1), &seen(Origin::Rsm, 7)),
            ViewId(4)
        );
        assert_eq!(
            restored.get(unit).map(|view| view.observer),
            Some(ObserverId(7))
        );
        assert_eq!(
            Views::default().restore(&mut &bytes[..bytes.len() - 1]),
            None
        );
    }
}
