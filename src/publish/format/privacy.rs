//! What may be said of few road users: below the group size nothing is called a measurement.

use crate::state::{Provenance, SegmentState};

/// How many distinct road users must stand behind a value before it is published as measured.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub struct Privacy {
    /// Smallest group, distinct pseudonyms in the minute; 0 and 1 publish everything as it is.
    pub min_subjects: u32,
}

impl Default for Privacy {
    /// k = 5 (jpo-cvdp practice, 汽车数据安全管理若干规定 in spirit; chosen).
    fn default() -> Self {
        Self { min_subjects: 5 }
    }
}

impl Privacy {
    /// The provenance to publish: a measurement of a small group is called an estimate, which it
    /// is: the filter blends it with profile and neighbours.
    pub fn provenance(self, state: &SegmentState) -> Provenance {
        if state.provenance == Provenance::Observed && state.sample_count < self.min_subjects {
            Provenance::Estimated
        } else {
            state.provenance
        }
    }

    /// The count of road users to publish; `None` for a group of 1 to k - 1.
    pub fn sample_count(self, count: u32) -> Option<u32> {
        (count == 0 || count >= self.min_subjects).then_some(count)
    }
}

#[cfg(test)]
mod tests {
    use super::Privacy;
    use crate::state::{Provenance, SegmentState};

    #[test]
    fn small_groups_are_estimates_without_a_count() {
        let privacy = Privacy::default();
        let seen = |sample_count| SegmentState {
            provenance: Provenance::Observed,
            sample_count,
            ..SegmentState::default()
        };
        assert_eq!(privacy.provenance(&seen(4)), Provenance::Estimated);
        assert_eq!(privacy.provenance(&seen(5)), Provenance::Observed);
        assert_eq!(
            privacy.provenance(&SegmentState::default()),
            Provenance::Profile
        );
        assert_eq!(
            [0, 1, 4, 5].map(|count| privacy.sample_count(count)),
            [Some(0), None, None, Some(5)]
        );
    }
}
