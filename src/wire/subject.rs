//! The pseudonym of a road user, and what stands for a roadside unit: one stable 64-bit hash for
//! every format.

use crate::units::{ObserverId, SubjectId, UnitId};

/// Odd constants with balanced bits: the fractional parts of the golden ratio and of the square
/// roots of 3 and 7 (nothing up the sleeve).
const GOLDEN: u64 = 0x9e37_79b9_7f4a_7c15;
const ROOT_3: u64 = 0xbb67_ae85_84ca_a73b;
const ROOT_7: u64 = 0xa54f_f53a_5f1d_36f1;

/// Multiplies to 128 bits and folds the halves together, the mixing step of wyhash (Wang Yi 2019).
const fn fold(a: u64, b: u64) -> u64 {
    let product = a as u128 * b as u128;
    product as u64 ^ (product >> 64) as u64
}

/// Hashes an id given in pieces; equal to [`subject_id`] of the pieces joined when every piece but
/// the last has a multiple of 8 bytes.
#[derive(Clone, Copy, Debug)]
pub struct SubjectHasher {
    state: u64,
    length: u64,
}

impl Default for SubjectHasher {
    fn default() -> Self {
        Self {
            state: GOLDEN,
            length: 0,
        }
    }
}

impl SubjectHasher {
    /// Adds `bytes` to the id.
    #[must_use]
    pub fn with(mut self, bytes: &[u8]) -> Self {
        let (words, tail) = bytes.as_chunks::<8>();
        for word in words {
            self.state = fold(self.state ^ u64::from_le_bytes(*word), ROOT_3);
        }
        if !tail.is_empty() {
            let mut word = [0; 8];
            word[..tail.len()].copy_from_slice(tail);
            self.state = fold(self.state ^ u64::from_le_bytes(word), ROOT_3);
        }
        self.length += bytes.len() as u64;
        self
    }

    /// The pseudonym of what was added.
    pub fn finish(self) -> SubjectId {
        let length = self.length.wrapping_mul(GOLDEN);
        SubjectId(fold(self.state ^ length, ROOT_7) ^ self.state.rotate_left(32))
    }
}

/// The pseudonym of the road user that its source calls `id`.
///
/// A wyhash-like multiply-fold over the bytes in little-endian words of 8, the last padded with
/// zeros, finished with the length. It is the same on every machine, in every version and for
/// every format, so that a vehicle seen as JSON, protobuf and BSM keeps its subject. It is not
/// keyed: it shortens names, and alone does not hide them.
pub fn subject_id(id: &[u8]) -> SubjectId {
    SubjectHasher::default().with(id).finish()
}

/// What stands for the roadside unit that calls itself `name`: [`subject_id`] of the name without
/// the zeros or blanks that fill an id of 8 octets, so that it is the same as text and as octets.
pub fn unit_id(name: &[u8]) -> UnitId {
    let end = name
        .iter()
        .rposition(|octet| !matches!(octet, 0 | b' '))
        .map_or(0, |at| at + 1);
    UnitId(subject_id(&name[..end]).0)
}

/// The roadside unit that calls itself `name`, as one who perceives.
pub fn observer_id(name: &[u8]) -> ObserverId {
    ObserverId::of(SubjectId(unit_id(name).0))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn hash_is_stable_and_spreads_neighbouring_ids() {
        let ids: Vec<u64> = (0..20_000u32)
            .map(|n| subject_id(format!("veh-{n}").as_bytes()).0)
            .collect();
        let mut distinct = ids.clone();
        distinct.sort_unstable();
        distinct.dedup();
        assert_eq!(distinct.len(), ids.len());

        // Every output bit is set in about half of the hashes, also seen as 256 partitions.
        for bit in 0..64 {
            let set = ids.iter().filter(|id| *id >> bit & 1 == 1).count();
            assert!((9_500..=10_500).contains(&set), "bit {bit}: {set}");
        }
        let mut partitions = [0u32; 256];
        for id in &ids {
            partitions[(id % 256) as usize] += 1;
        }
        assert!(partitions.iter().all(|n| (30..=130).contains(n)));
    }

    #[test]
    fn a_unit_is_one_observer_however_its_id_is_filled_up() {
        let observer = observer_id(b"R0001");
        assert_eq!(observer_id(b"R0001\0\0\0"), observer);
        assert_eq!(observer_id(b"R0001   "), observer);
        assert_ne!(observer_id(b"R0002\0\0\0"), observer);
    }

    #[test]
    fn zero_padding_does_not_confuse_ids() {
        assert_ne!(subject_id(b"a"), subject_id(b"a\0"));
        assert_ne!(subject_id(b""), subject_id(b"\0\0\0\0\0\0\0\0"));
        let joined = subject_id(b"RSU-0001\x00\x2a");
        let pieces = SubjectHasher::default()
            .with(b"RSU-0001")
            .with(b"\x00\x2a")
            .finish();
        assert_eq!(joined, pieces);
    }
}
