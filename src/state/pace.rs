//! Mean speeds over several minutes: all the way driven over all the time it took (the space mean of
//! Edie, 1963, "Discussion of traffic stream measurements and definitions"). Of minutes in each of which
//! as many vehicles drive along a segment it is the harmonic mean, one over the mean pace.
//!
//! A mean of speeds would let a minute in which everybody waits at a red light count as little as its
//! speed, and be faster than anybody gets through.

/// No minute counts as slower, m/s.
const SLOWEST_MPS: f32 = 0.1;

/// The time a metre takes at a speed, s/m.
pub fn pace_spm(speed_mps: f32) -> f32 {
    1.0 / speed_mps.max(SLOWEST_MPS)
}

/// The speed at which paces of so many minutes, s/m, add up to `sum_spm`, m/s.
pub fn mean_speed_mps(sum_spm: f32, minutes: f32) -> f32 {
    minutes / sum_spm
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_minute_of_standing_counts_as_the_time_it_takes() {
        // 100 m at 10 m/s and 100 m at 2.5 m/s take 50 s.
        let sum_spm = pace_spm(10.0) + pace_spm(2.5);
        assert!((mean_speed_mps(sum_spm, 2.0) - 4.0).abs() < 1e-6);
        assert!((mean_speed_mps(pace_spm(0.0), 1.0) - SLOWEST_MPS).abs() < 1e-6);
    }
}
