//! The published level of a segment: a standard's table with the hysteresis that keeps a level from
//! flickering.
//!
//! A worse level is published after `worse_after` minutes that agree on it; a better one after
//! `better_after`, or at once when it would be better even by a margin (methods of this project).

use super::standard::{Seen, Standard};
use crate::network::Segment;
use crate::state::Level;

/// Most minutes that a standard can ask to agree.
pub const MINUTES_MAX: u8 = 9;

/// Bits of one level in the memory.
const LEVEL_BITS: u32 = 3;
const LEVEL_MASK: u32 = 7;

/// The published level of one segment and the levels by the table of its last [`MINUTES_MAX`]
/// minutes: in the lowest bits the published one, then the newest to the oldest; 0 is none.
///
/// The published level is moved as little as needed to lie between what the last `worse_after`
/// minutes all reach and what the last `better_after` minutes all keep, so who is slower in every
/// minute is never at the better level.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelMemory(u32);

impl LevelMemory {
    /// Takes one more minute and returns the level to publish.
    pub fn step(&mut self, standard: &Standard, segment: &Segment, seen: &Seen) -> Level {
        let newest = standard.level(segment, seen) as u32;
        let published = self.0 & LEVEL_MASK;
        if published == 0 {
            self.0 = (0..=u32::from(MINUTES_MAX)).fold(0, |all, _| all << LEVEL_BITS | newest);
            return Level::from_code(newest as u8);
        }
        let last = (self.0 & !LEVEL_MASK) << LEVEL_BITS | newest << LEVEL_BITS;
        let of = |minutes: u8| {
            (1..=u32::from(minutes)).map(move |at| last >> (at * LEVEL_BITS) & LEVEL_MASK)
        };
        let worse = of(standard.worse_after).fold(newest, u32::min);
        // Where the minute is no better than what is published, nothing can become better.
        let better = if newest >= published {
            published
        } else {
            let cautious = standard.level(segment, &seen.worse_by(standard.better_margin)) as u32;
            let agreed = of(standard.better_after).fold(newest, u32::max);
            agreed.min(cautious)
        };
        let published = published.clamp(worse, better.max(worse));
        self.0 = last & (u32::MAX >> 2) | published;
        Level::from_code(published as u8)
    }

    pub(super) fn to_bits(self) -> u32 {
        self.0
    }

    pub(super) fn from_bits(bits: u32) -> Option<Self> {
        let levels = |at: u32| bits >> (at * LEVEL_BITS) & LEVEL_MASK;
        let is_known = |level: u32| (1..=Level::Severe as u32).contains(&level);
        let all_known = (0..=u32::from(MINUTES_MAX)).all(|at| is_known(levels(at)));
        (bits == 0 || (all_known && bits >> 30 == 0)).then_some(Self(bits))
    }
}

#[cfg(test)]
mod tests {
    use bytemuck::Zeroable;
    use proptest::prelude::*;

    use super::*;
    use crate::network::{RoadClass, SegmentFlags};
    use crate::state::congestion::standard::{LaneDensity, LevelMeasure, Service};

    fn segment(class: RoadClass) -> Segment {
        Segment {
            class: class as u8,
            ..Segment::zeroed()
        }
    }

    fn seen(speed_mps: f32, free_flow_mps: f32) -> Seen {
        Seen {
            speed_mps,
            free_flow_mps,
            lane_density_vpkm: None,
        }
    }

    fn levels(speeds_kmh: &[f32]) -> Vec<u8> {
        let (standard, primary) = (Standard::default(), segment(RoadClass::Primary));
        let mut memory = LevelMemory::default();
        speeds_kmh
            .iter()
            .map(|kmh| memory.step(&standard, &primary, &seen(kmh / 3.6, 60.0 / 3.6)) as u8)
            .collect()
    }

    #[test]
    fn a_boundary_of_the_ratio_belongs_to_the_worse_level() {
        let (standard, primary) = (Standard::default(), segment(RoadClass::Primary));
        for (speed, level) in [
            (10.0, Level::Smooth),
            (7.1, Level::Smooth),
            (7.0, Level::MostlySmooth),
            (5.0, Level::Light),
            (4.0, Level::Moderate),
            (3.0, Level::Severe),
            (0.0, Level::Severe),
        ] {
            let found = standard.level(&primary, &seen(speed, 10.0));
            assert_eq!(found, level, "{speed}");
            assert_eq!(Level::from_speed_ratio(speed / 10.0), level, "{speed}");
        }
    }

    #[test]
    fn classes_without_a_column_are_judged_by_ratio_and_said_so() {
        let mut table = [None; 8];
        table[0] = Some([65.0 / 3.6, 50.0 / 3.6, 35.0 / 3.6, 20.0 / 3.6]);
        let standard = Standard {
            measure: LevelMeasure::Speed(table),
            ..Standard::default()
        };
        let (motorway, service) = (segment(RoadClass::Motorway), segment(RoadClass::Service));
        let slow = seen(40.0 / 3.6, 12.0);
        assert_eq!(standard.level(&motorway, &slow), Level::Light);
        assert_eq!(standard.level(&service, &slow), Level::Smooth);
        assert!(standard.judges(&motorway, &slow) && !standard.judges(&service, &slow));
    }

    #[test]
    fn services_need_a_density_and_a_freeway() {
        let standard = Standard {
            measure: LevelMeasure::LaneDensity(LaneDensity::hcm()),
            boundary_is_worse: false,
            ..Standard::default()
        };
        let density = LaneDensity::hcm();
        // HCM: A up to 11 pc/mi/ln, F above 45; a boundary belongs to the better service.
        for (per_mile, service, level) in [
            (11.0, Service::A, Level::Smooth),
            (11.1, Service::B, Level::Smooth),
            (18.0, Service::B, Level::Smooth),
            (26.0, Service::C, Level::MostlySmooth),
            (35.0, Service::D, Level::Light),
            (45.0, Service::E, Level::Moderate),
            (45.1, Service::F, Level::Severe),
        ] {
            let vpkm = per_mile / crate::state::congestion::standard::KM_PER_MILE;
            assert_eq!(density.service(vpkm, false), service, "{per_mile}");
            let known = Seen {
                lane_density_vpkm: Some(vpkm),
                ..seen(3.0, 10.0)
            };
            assert_eq!(standard.level(&segment(RoadClass::Motorway), &known), level);
            // A street, and a freeway whose density nobody knows, are judged by ratio.
            let street = segment(RoadClass::Primary);
            assert_eq!(standard.level(&street, &known), Level::Severe);
            assert!(!standard.judges(&street, &known));
        }
        let unknown = seen(3.0, 10.0);
        let motorway = segment(RoadClass::Motorway);
        assert_eq!(standard.level(&motorway, &unknown), Level::Severe);
        assert!(!standard.judges(&motorway, &unknown));
        let signalised = Segment {
            flags: SegmentFlags::SIGNAL,
            ..motorway
        };
        assert!(!density.applies(&signalised) && density.applies(&motorway));
    }

    #[test]
    fn jam_factors_have_levels_too() {
        let standard = Standard {
            measure: LevelMeasure::JamFactor([2.0, 4.0, 6.0, 8.0]),
            ..Standard::default()
        };
        let primary = segment(RoadClass::Primary);
        for (ratio, level) in [
            (1.0, Level::Smooth),
            (0.71, Level::Smooth),
            (0.6, Level::MostlySmooth),
            (0.45, Level::Light),
            (0.35, Level::Moderate),
            (0.2, Level::Severe),
        ] {
            let found = standard.level(&primary, &seen(ratio, 1.0));
            assert_eq!(found, level, "{ratio}");
        }
    }

    #[test]
    fn worse_needs_two_minutes_in_a_row() {
        // Free flow is 60 km/h: 18 and less is severe, 60 smooth.
        assert_eq!(levels(&[60.0, 20.0, 60.0, 20.0, 60.0]), [1, 1, 1, 1, 1]);
        assert_eq!(levels(&[60.0, 17.0, 15.0]), [1, 1, 5]);
        // One severe and one light minute agree on light only.
        assert_eq!(levels(&[60.0, 15.0, 28.0]), [1, 1, 3]);
    }

    #[test]
    fn better_needs_three_minutes_or_ten_percent() {
        // Severe ends at 18 km/h: 19 is less than 10 % above, 20 is more.
        assert_eq!(levels(&[15.0, 19.0, 19.0, 19.0]), [5, 5, 5, 4]);
        assert_eq!(levels(&[15.0, 20.0]), [5, 4]);
        assert_eq!(levels(&[15.0, 19.0, 15.0, 19.0, 19.0]), [5, 5, 5, 5, 5]);
        // Far above is believed at once.
        assert_eq!(levels(&[15.0, 60.0]), [5, 1]);
    }

    proptest! {
        /// Who was slower in every minute is never at the better level.
        #[test]
        fn slower_all_along_is_never_better(
            minutes in proptest::collection::vec((1.0f32..70.0, 0.0f32..30.0), 1..60),
        ) {
            let fast: Vec<f32> = minutes.iter().map(|(fast, _)| *fast).collect();
            let slow: Vec<f32> = minutes.iter().map(|(fast, less)| (fast - less).max(0.5)).collect();
            for (fast, slow) in fast.iter().zip(&slow) {
                let primary = segment(RoadClass::Primary);
                let standard = Standard::default();
                let of = |kmh: f32| standard.level(&primary, &seen(kmh / 3.6, 60.0 / 3.6));
                prop_assert!(of(*slow) >= of(*fast));
            }
            for (fast, slow) in levels(&fast).iter().zip(levels(&slow)) {
                prop_assert!(slow >= *fast, "{slow} {fast}");
            }
        }
    }
}
