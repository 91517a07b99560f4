//! Whether positions are in the datum that their source states: distances of a sample of them to
//! the nearest road, as they are and as if they were in another datum.

use crate::network::Network;
use crate::observation::Observation;
use crate::screening::{DATUMS_TRIED, MISS_MM_MAX, ViewTally};
use crate::units::Position;

/// One observation in so many is sampled.
const SAMPLE_STRIDE: u64 = 64;

/// Whether an observation is one of the sample: decided by its content alone, so that neither
/// batches nor threads change it.
pub fn is_sampled(observation: &Observation) -> bool {
    // The golden ratio spreads consecutive times and pseudonyms (Knuth, TAOCP vol. 3, 6.4).
    let at = observation.observed_at.as_millis() as u64;
    let mixed = (observation.subject.0 ^ at).wrapping_mul(0x9E37_79B9_7F4A_7C15);
    (mixed >> 32).is_multiple_of(SAMPLE_STRIDE)
}

/// Adds one position to its view's tally. Outside China, where all datums are one, it adds nothing.
pub fn sample(network: &Network, position: Position, tally: &mut ViewTally) {
    let mut tried = DATUMS_TRIED.map(|datum| datum.to_wgs84(position));
    // Taken as WGS-84 the position is what it is.
    tried[0] = position;
    // The shifts are metres at least wherever there are any.
    let is_one = |other: &Position| (other.lon_deg - position.lon_deg).abs() < 1e-9;
    if tried[1..].iter().all(is_one) {
        return;
    }
    tally.sampled += 1;
    for (sum, position) in tally.miss_mm.iter_mut().zip(tried) {
        *sum += miss_mm(network, position);
    }
}

fn miss_mm(network: &Network, position: Position) -> u64 {
    let point = network.frame().to_point(position);
    let mut nearest_sq = f32::INFINITY;
    network.candidates_within(point, MISS_MM_MAX as f32 / 1000.0, &mut |candidate| {
        nearest_sq = nearest_sq.min(candidate.distance_m * candidate.distance_m);
    });
    let miss_mm = nearest_sq.sqrt() * 1000.0;
    (miss_mm.min(MISS_MM_MAX as f32)) as u64
}
