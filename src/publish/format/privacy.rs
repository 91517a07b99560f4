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
    /// Whether so many road users are a group.
    pub fn is_group(self, count: u32) -> bool {
        count >= self.min_subjects
    }

    /// The count of road users to publish; `None` for fewer than a group, none included: that
    /// there is nobody would tell when there is somebody.
    pub fn sample_count(self, count: u32) -> Option<u32> {
        self.is_group(count).then_some(count)
    }

    /// A segment's state without what would tell of a small group. A measurement of few is called
    /// an estimate, which it is: the filter blends it with profile and neighbours. What detectors
    /// counted may be told, but for a queue that may be a single vehicle's.
    pub(crate) fn state(self, state: &SegmentState) -> SegmentState {
        if self.is_group(state.sample_count) {
            return *state;
        }
        let flow_vph = state.flow_vph.filter(|_| state.is_counted);
        let is_detected = state.is_counted && state.sample_count == 0;
        SegmentState {
            provenance: match state.provenance {
                Provenance::Observed => Provenance::Estimated,
                other => other,
            },
            sample_count: 0,
            flow_vph,
            density_vpkm: state.density_vpkm.filter(|_| state.is_counted),
            queue_length_m: state.queue_length_m.filter(|_| is_detected),
            // The age of a lone car's passes, segment by segment, would be its trip.
            age_s: state.age_s.filter(|_| state.is_counted),
            ..*state
        }
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
        let told = |count| privacy.state(&seen(count)).provenance;
        assert_eq!(told(4), Provenance::Estimated);
        assert_eq!(told(5), Provenance::Observed);
        let profile = privacy.state(&SegmentState::default());
        assert_eq!(profile.provenance, Provenance::Profile);
        assert_eq!(
            [0, 1, 4, 5].map(|count| privacy.sample_count(count)),
            [None, None, None, Some(5)]
        );
        let queue = SegmentState {
            is_counted: true,
            queue_length_m: Some(12.0),
            ..seen(0)
        };
        assert_eq!(privacy.state(&queue).queue_length_m, Some(12.0));
    }
}
