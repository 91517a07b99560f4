//! Pseudonyms: keyed hashes of road users under a key that changes at least once a day.
//!
//! A decoder's [`SubjectId`] is an unkeyed hash of the id that the sender gave: who knows the id
//! knows the hash, so it is as good as the id wherever it is written down. What is remembered of a
//! road user stands under SipHash-2-4 (Aumasson and Bernstein 2012) of that hash, under a key of
//! the epoch: event time over the rotation period. The key is HMAC-SHA256 (RFC 2104) of the epoch
//! under a [`Secret`], cut to 128 bits, so that nodes that share the secret give the same
//! pseudonyms and a restart finds its tracks again.
//!
//! Which partition a road user belongs to is decided before, by the unkeyed hash: neither key nor
//! rotation moves anybody, and no result depends on them. This room keeps no secret file and draws
//! no random bytes; the shell does.

use std::fmt;

use hmac::{Hmac, Mac};
use sha2::{Digest, Sha256};
use siphasher::sip::SipHasher24;

use crate::units::{SubjectId, Timestamp};

/// Longest time a key is in use, s: a day (methods of this project; the local day of a commuter is
/// then never tied to the next one).
pub const ROTATION_S_MAX: i64 = 86_400;

/// Epoch keys kept in memory: the running one, its neighbours, and one for stragglers.
const KEYS_KEPT: usize = 4;

/// 32 bytes from which every key is derived. It is never printed.
#[derive(Clone)]
pub struct Secret([u8; 32]);

impl Secret {
    /// A secret of these bytes; they should be random.
    pub fn new(bytes: [u8; 32]) -> Self {
        Self(bytes)
    }

    /// The secret of a seed, for replays and tests: everybody can compute it.
    pub fn of_seed(seed: u64) -> Self {
        let mut hash = Sha256::new();
        hash.update(b"roadcast pseudonyms of seed");
        hash.update(seed.to_le_bytes());
        Self(hash.finalize().into())
    }

    /// The key of one epoch.
    fn key(&self, epoch: i64) -> SipHasher24 {
        let mut mac =
            Hmac::<Sha256>::new_from_slice(&self.0).expect("HMAC takes keys of any length");
        mac.update(b"roadcast pseudonym");
        mac.update(&epoch.to_le_bytes());
        let mut key = [0; 16];
        key.copy_from_slice(&mac.finalize().into_bytes()[..16]);
        SipHasher24::new_with_key(&key)
    }
}

impl fmt::Debug for Secret {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.write_str("Secret(..)")
    }
}

/// How road users are named: secret, rotation and overlap.
#[derive(Clone, Debug)]
pub struct Pseudonyms {
    secret: Secret,
    period_ms: i64,
    overlap_ms: i64,
}

impl Pseudonyms {
    /// Keys that rotate every `rotation_s` seconds of event time. For `overlap_ms` around a
    /// rotation a road user is also looked for under the neighbouring key; it must be no shorter
    /// than the life of a silent track, or tracks break there.
    ///
    /// # Panics
    /// When `rotation_s` is outside `1..=`[`ROTATION_S_MAX`] or the overlap is negative.
    pub fn new(secret: Secret, rotation_s: i64, overlap_ms: i64) -> Self {
        assert!(
            (1..=ROTATION_S_MAX).contains(&rotation_s) && overlap_ms >= 0,
            "rotation {rotation_s} s, overlap {overlap_ms} ms"
        );
        Self {
            secret,
            period_ms: rotation_s * 1000,
            overlap_ms,
        }
    }
}

impl Default for Pseudonyms {
    /// The secret of seed 0, a day, and an overlap of four minutes: for tests, not for service.
    fn default() -> Self {
        Self::new(Secret::of_seed(0), ROTATION_S_MAX, 240_000)
    }
}

/// A key with the time in which it is in use.
#[derive(Clone)]
struct EpochKey {
    start_ms: i64,
    end_ms: i64,
    hasher: SipHasher24,
}

/// The keys at hand; one a thread. They are derived again after a restart and never stored.
#[derive(Clone)]
pub struct PseudonymKeys {
    rule: Pseudonyms,
    /// Newest derived first, at most [`KEYS_KEPT`].
    kept: Vec<EpochKey>,
}

impl fmt::Debug for PseudonymKeys {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        f.debug_struct("PseudonymKeys").finish_non_exhaustive()
    }
}

impl PseudonymKeys {
    /// No key derived yet.
    pub fn new(rule: Pseudonyms) -> Self {
        Self {
            rule,
            kept: Vec::with_capacity(KEYS_KEPT),
        }
    }

    /// The pseudonym of a road user at `at`.
    pub fn of(&mut self, subject: SubjectId, at: Timestamp) -> SubjectId {
        hash(self.at(at.as_millis()), subject)
    }

    /// Whether a rotation is so near to `at` that road users may be known under a neighbouring key.
    pub fn is_overlap(&mut self, at: Timestamp) -> bool {
        let (at_ms, overlap_ms) = (at.as_millis(), self.rule.overlap_ms);
        let key = self.at(at_ms);
        at_ms - key.start_ms < overlap_ms || key.end_ms - at_ms <= overlap_ms
    }

    /// The pseudonym that the road user had before the last rotation.
    pub fn before(&mut self, subject: SubjectId, at: Timestamp) -> SubjectId {
        let start_ms = self.at(at.as_millis()).start_ms;
        hash(self.at(start_ms.saturating_sub(1)), subject)
    }

    /// The pseudonym that the road user will have after the next rotation: a report from before
    /// it that was overtaken by one from after it belongs to the same track.
    pub fn after(&mut self, subject: SubjectId, at: Timestamp) -> SubjectId {
        let end_ms = self.at(at.as_millis()).end_ms;
        hash(self.at(end_ms), subject)
    }

    /// The key in use at `at_ms`.
    fn at(&mut self, at_ms: i64) -> &EpochKey {
        let holds = |key: &EpochKey| (key.start_ms..key.end_ms).contains(&at_ms);
        let index = match self.kept.iter().position(holds) {
            Some(index) => index,
            None => {
                let epoch = at_ms.div_euclid(self.rule.period_ms);
                let start_ms = epoch.saturating_mul(self.rule.period_ms);
                self.kept.truncate(KEYS_KEPT - 1);
                self.kept.insert(
                    0,
                    EpochKey {
                        start_ms,
                        end_ms: start_ms.saturating_add(self.rule.period_ms),
                        hasher: self.rule.secret.key(epoch),
                    },
                );
                0
            }
        };
        &self.kept[index]
    }
}

fn hash(key: &EpochKey, subject: SubjectId) -> SubjectId {
    SubjectId(key.hasher.hash(&subject.0.to_le_bytes()))
}

#[cfg(test)]
mod tests {
    use super::*;

    const DAY_MS: i64 = ROTATION_S_MAX * 1000;

    fn keys(seed: u64) -> PseudonymKeys {
        PseudonymKeys::new(Pseudonyms::new(
            Secret::of_seed(seed),
            ROTATION_S_MAX,
            60_000,
        ))
    }

    fn ms(millis: i64) -> Timestamp {
        Timestamp::from_millis(millis)
    }

    #[test]
    fn a_pseudonym_holds_for_an_epoch_and_depends_on_the_secret() {
        let (mut one, mut same, mut other) = (keys(1), keys(1), keys(2));
        let subject = SubjectId(0x1234_5678_9abc_def0);
        let first = one.of(subject, ms(0));
        assert_eq!(first, same.of(subject, ms(DAY_MS - 1)));
        assert_ne!(first, subject);
        assert_ne!(first, other.of(subject, ms(0)));
        assert_ne!(first, one.of(subject, ms(DAY_MS)));
        assert_ne!(first, one.of(subject, ms(-1)));
        assert_ne!(first, one.of(SubjectId(subject.0 + 1), ms(0)));
        // Bits of neighbouring road users agree by chance only.
        let mut agreeing = 0;
        for number in 0..1_000 {
            let (a, b) = (SubjectId(number), SubjectId(number + 1));
            agreeing += (one.of(a, ms(0)).0 ^ one.of(b, ms(0)).0).count_zeros();
        }
        assert!((31_000..33_000).contains(&agreeing), "{agreeing} of 64 000");
    }

    #[test]
    fn around_a_rotation_the_neighbouring_pseudonyms_are_told() {
        let mut keys = keys(7);
        let subject = SubjectId(99);
        for (at_ms, expected) in [
            (DAY_MS - 60_001, false),
            (DAY_MS - 60_000, true),
            (DAY_MS - 1, true),
            (DAY_MS, true),
            (DAY_MS + 59_999, true),
            (DAY_MS + 60_000, false),
        ] {
            assert_eq!(keys.is_overlap(ms(at_ms)), expected, "{at_ms}");
        }
        let (old, new) = (
            keys.of(subject, ms(DAY_MS - 5)),
            keys.of(subject, ms(DAY_MS)),
        );
        assert_eq!(keys.before(subject, ms(DAY_MS + 5)), old);
        assert_eq!(keys.after(subject, ms(DAY_MS - 5)), new);
        // However far times jump, few keys are kept.
        for epoch in 0..100 {
            keys.of(subject, ms(epoch * DAY_MS));
        }
        assert_eq!(keys.kept.len(), KEYS_KEPT);
        for extreme in [i64::MIN, i64::MAX] {
            keys.of(subject, ms(extreme));
        }
    }

    #[test]
    fn nothing_prints_a_secret() {
        let secret = Secret::new([0xab; 32]);
        let rule = Pseudonyms::new(secret.clone(), 3_600, 0);
        let mut keys = PseudonymKeys::new(rule.clone());
        keys.of(SubjectId(1), ms(0));
        let text = format!("{secret:?} {rule:?} {keys:?} {keys:#?}");
        for part in ["ab", "AB", "171", "k0", "v0"] {
            assert!(!text.contains(part), "{part} in {text}");
        }
    }
}
