//! Congestion levels: standards as data, and the hysteresis that keeps a level from flickering.

use super::Level;
use crate::network::RoadClass;

/// What a standard compares with its boundaries.
#[derive(Clone, Debug, PartialEq)]
pub enum LevelMeasure {
    /// Speed over free-flow speed; lower boundaries of levels 1 to 4, descending. A boundary
    /// belongs to the worse level.
    SpeedRatio([f32; 4]),
    /// Speed in m/s by road class ([`RoadClass::ALL`] order); lower boundaries of levels 1 to 4,
    /// descending. A boundary belongs to the worse level.
    Speed([[f32; 4]; RoadClass::ALL.len()]),
}

/// A congestion standard: a table of boundaries and how slowly a published level follows.
#[derive(Clone, Debug, PartialEq)]
pub struct LevelStandard {
    /// Name of the standard, as published.
    pub name: String,
    /// The table.
    pub measure: LevelMeasure,
    /// Minutes in a row that must be worse before the level gets worse; at least 1.
    pub worse_after: u8,
    /// Minutes in a row that must be better before the level gets better; at least 1.
    pub better_after: u8,
    /// Margin over the boundary, as a share of it, with which the level gets better at once.
    pub better_margin: f32,
}

impl Default for LevelStandard {
    /// GB/T 33171-2016: ratio above 70 % smooth, 50-70 mostly smooth, 40-50 light, 30-40
    /// moderate, 30 and below severe; worse after 2 minutes, better after 3 or with 10 % margin.
    fn default() -> Self {
        Self {
            name: "GB/T 33171-2016".into(),
            measure: LevelMeasure::SpeedRatio([0.7, 0.5, 0.4, 0.3]),
            worse_after: 2,
            better_after: 3,
            better_margin: 0.1,
        }
    }
}

impl LevelStandard {
    /// The level of one speed by the table alone, without hysteresis.
    pub fn level(&self, class: RoadClass, speed_mps: f32, free_flow_mps: f32) -> Level {
        let (value, bounds) = match &self.measure {
            LevelMeasure::SpeedRatio(bounds) => (speed_mps / free_flow_mps.max(0.1), bounds),
            LevelMeasure::Speed(by_class) => (speed_mps, &by_class[class as usize]),
        };
        let worse = bounds.iter().filter(|&&bound| value <= bound).count();
        Level::ALL[worse]
    }
}

/// The published level of one segment and what speaks for another one.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct LevelMemory {
    /// Code of the published level; 0 before the first minute.
    level: u8,
    /// Code of the mildest change all minutes of the run agree on.
    pending: u8,
    /// Minutes in a row that were worse (positive) or better (negative).
    run: i8,
}

impl LevelMemory {
    /// Takes one more minute and returns the level to publish.
    pub fn step(
        &mut self,
        standard: &LevelStandard,
        class: RoadClass,
        speed_mps: f32,
        free_flow_mps: f32,
    ) -> Level {
        let raw = standard.level(class, speed_mps, free_flow_mps) as u8;
        if self.level == 0 || raw == self.level {
            *self = Self {
                level: raw,
                ..Self::default()
            };
        } else if raw > self.level {
            self.pending = if self.run > 0 {
                self.pending.min(raw)
            } else {
                raw
            };
            self.run = self.run.max(0).saturating_add(1);
            if self.run.unsigned_abs() >= standard.worse_after {
                self.settle(self.pending);
            }
        } else {
            self.pending = if self.run < 0 {
                self.pending.max(raw)
            } else {
                raw
            };
            self.run = self.run.min(0).saturating_sub(1);
            let cautious_mps = speed_mps / (1.0 + standard.better_margin);
            let with_margin = standard.level(class, cautious_mps, free_flow_mps) as u8;
            if self.run.unsigned_abs() >= standard.better_after {
                self.settle(self.pending.min(with_margin));
            } else if with_margin < self.level {
                self.settle(with_margin);
            }
        }
        Level::from_code(self.level)
    }

    fn settle(&mut self, level: u8) {
        *self = Self {
            level,
            ..Self::default()
        };
    }

    pub(super) fn to_bytes(self) -> [u8; 3] {
        [self.level, self.pending, self.run.to_le_bytes()[0]]
    }

    pub(super) fn from_bytes(bytes: [u8; 3]) -> Option<Self> {
        let [level, pending, run] = bytes;
        (level <= Level::Severe as u8 && pending <= Level::Severe as u8).then_some(Self {
            level,
            pending,
            run: i8::from_le_bytes([run]),
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn levels(speeds_kmh: &[f32]) -> Vec<u8> {
        let standard = LevelStandard::default();
        let mut memory = LevelMemory::default();
        speeds_kmh
            .iter()
            .map(|kmh| memory.step(&standard, RoadClass::Primary, kmh / 3.6, 60.0 / 3.6) as u8)
            .collect()
    }

    #[test]
    fn boundaries_belong_to_the_worse_level() {
        let standard = LevelStandard::default();
        for (speed, level) in [
            (10.0, Level::Smooth),
            (7.1, Level::Smooth),
            (7.0, Level::MostlySmooth),
            (5.0, Level::Light),
            (4.0, Level::Moderate),
            (3.0, Level::Severe),
            (0.0, Level::Severe),
        ] {
            assert_eq!(
                standard.level(RoadClass::Primary, speed, 10.0),
                level,
                "{speed}"
            );
            assert_eq!(Level::from_speed_ratio(speed / 10.0), level, "{speed}");
        }
    }

    #[test]
    fn absolute_speeds_follow_the_road_class() {
        // DB11/T 785, expressway column: 65, 50, 35, 20 km/h.
        let mut table = [[35.0 / 3.6, 25.0 / 3.6, 15.0 / 3.6, 10.0 / 3.6]; 8];
        table[0] = [65.0 / 3.6, 50.0 / 3.6, 35.0 / 3.6, 20.0 / 3.6];
        let standard = LevelStandard {
            measure: LevelMeasure::Speed(table),
            ..LevelStandard::default()
        };
        assert_eq!(
            standard.level(RoadClass::Motorway, 40.0 / 3.6, 99.0),
            Level::Light
        );
        assert_eq!(
            standard.level(RoadClass::Tertiary, 40.0 / 3.6, 99.0),
            Level::Smooth
        );
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
}
