//! A shard of stage 1: the tracks and sums of a set of virtual partitions.

use std::collections::BTreeMap;
use std::sync::Arc;

use super::{PARTITION_COUNT, SnapshotError, put_block, take_block};
use crate::matching::{Advance, Areas, Located, Matcher, Partition, Scratch, Whereabouts, datum};
use crate::observation::{Observation, RejectCounts};
use crate::screening::{PseudonymKeys, Tallies, ViewTally};
use crate::state::{Accumulator, BinSums, Stay};
use crate::units::{Interval, SourceId, SubjectId};

/// What a shard has done so far.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct ShardCounts {
    /// Observations that were used.
    pub used: u64,
    /// Observations refused by screening and matching.
    pub rejected: RejectCounts,
}

impl ShardCounts {
    /// Adds all of `other`.
    pub fn merge(&mut self, other: &Self) {
        self.used += other.used;
        self.rejected.merge(&other.rejected);
    }
}

/// One virtual partition.
#[derive(Debug, Default)]
struct Owned {
    tracks: Partition,
    sums: Accumulator,
    whereabouts: Whereabouts,
}

impl Owned {
    /// The pseudonym of the road user behind an observation. Around a rotation of the key a road
    /// user known under the earlier pseudonym goes on under the new one.
    fn pseudonym(
        &mut self,
        keys: &mut PseudonymKeys,
        source: SourceId,
        observation: &Observation,
    ) -> SubjectId {
        let (subject, at) = (observation.subject, observation.observed_at);
        let pseudonym = keys.of(subject, at);
        if !keys.is_overlap(at) || self.tracks.knows(source, pseudonym) {
            return pseudonym;
        }
        let after = keys.after(subject, at);
        if self.tracks.knows(source, after) {
            return after;
        }
        let before = keys.before(subject, at);
        if let Some(track) = self.tracks.rename(source, before, pseudonym) {
            self.whereabouts.rename(track, pseudonym);
        }
        pseudonym
    }
}

/// The owner of some virtual partitions; single-threaded.
#[derive(Debug)]
pub struct Shard {
    matcher: Arc<Matcher>,
    scratch: Scratch,
    keys: PseudonymKeys,
    /// Indexed by `partition / shard count`.
    owned: Vec<Owned>,
    index: usize,
    shard_count: usize,
    forget_after_ms: i64,
    counts: ShardCounts,
    /// What screening said of each view in the open minutes.
    tallies: Tallies,
    /// The same as a snapshot brought it, by the partition it came with.
    carried: BTreeMap<u8, Tallies>,
}

/// What shards hand over of a closed minute; merging commutes but for the order of the lists, which
/// nothing may depend on.
#[derive(Debug)]
pub struct Closed {
    /// What all road users did, by segment.
    pub sums: BinSums,
    /// What each of them did.
    pub stays: Vec<Stay>,
    /// Where those still there were last.
    pub present: Vec<Located>,
    /// What screening said of their views.
    pub tallies: Tallies,
}

impl Closed {
    /// An empty minute of a network of `segment_count` segments.
    pub fn new(segment_count: usize) -> Self {
        Self {
            sums: BinSums::new(segment_count),
            stays: Vec::new(),
            present: Vec::new(),
            tallies: Tallies::default(),
        }
    }

    /// Adds what another shard handed over.
    pub fn merge(&mut self, other: &Self) {
        self.sums.merge(&other.sums);
        self.stays.extend_from_slice(&other.stays);
        self.present.extend_from_slice(&other.present);
        self.tallies.merge(&other.tallies);
    }

    /// Forgets everything but the capacity.
    pub fn clear(&mut self) {
        self.sums.clear();
        self.stays.clear();
        self.present.clear();
        self.tallies = Tallies::default();
    }
}

impl Shard {
    /// Builds shard `index` of `shard_count`; it owns the partitions `p` with
    /// `p % shard_count == index`.
    ///
    /// # Panics
    /// When `index >= shard_count` or there are more shards than partitions.
    pub fn new(matcher: Arc<Matcher>, index: usize, shard_count: usize) -> Self {
        assert!(
            index < shard_count && shard_count <= PARTITION_COUNT,
            "shard {index} of {shard_count}"
        );
        let owned = (index..PARTITION_COUNT)
            .step_by(shard_count)
            .map(|_| Owned::default())
            .collect();
        Self {
            scratch: Scratch::default(),
            keys: PseudonymKeys::new(matcher.pseudonyms().clone()),
            forget_after_ms: matcher.settings().forget_after_s.saturating_mul(1000),
            matcher,
            owned,
            index,
            shard_count,
            counts: ShardCounts::default(),
            tallies: Tallies::default(),
            carried: BTreeMap::new(),
        }
    }

    /// Matches what comes later in other areas of roadside units.
    pub fn set_areas(&mut self, areas: Arc<Areas>) {
        self.matcher = Arc::new(self.matcher.in_areas(areas));
    }

    /// Which of `shard_count` shards owns a partition.
    pub fn owner_of(partition: u8, shard_count: usize) -> usize {
        usize::from(partition) % shard_count
    }

    /// Matches one observation of an owned partition, under the pseudonym of its road user, and adds
    /// what it commits to the sums.
    pub fn observe(&mut self, partition: u8, source: SourceId, observation: &Observation) {
        // By the unkeyed hash: no result may depend on the key.
        let is_sampled = datum::is_sampled(observation);
        let owned = &mut self.owned[usize::from(partition) / self.shard_count];
        let observation = Observation {
            subject: owned.pseudonym(&mut self.keys, source, observation),
            ..*observation
        };
        let network = self.matcher.network();
        let outcome = owned.tracks.observe(
            &self.matcher,
            &mut self.scratch,
            source,
            &observation,
            &mut |advance| {
                owned.sums.advance(network, &advance);
                owned
                    .whereabouts
                    .record(advance.track, advance.position, advance.driven_m());
            },
        );
        let tally = self.tallies.of(observation.view);
        match outcome {
            Ok(()) => {
                self.counts.used += 1;
                tally.used += 1;
            }
            Err(reason) => {
                self.counts.rejected.add(reason, 1);
                tally.refused += u64::from(ViewTally::speaks_against(reason));
            }
        }
        if is_sampled {
            datum::sample(network, observation.position, tally);
        }
    }

    /// Commits everything pending: the input has ended.
    pub fn flush(&mut self) {
        let network = self.matcher.network();
        for owned in &mut self.owned {
            let commit = &mut |advance: Advance<'_>| {
                owned.sums.advance(network, &advance);
                owned
                    .whereabouts
                    .record(advance.track, advance.position, advance.driven_m());
            };
            owned.tracks.flush(&self.matcher, &mut self.scratch, commit);
        }
    }

    /// Closes a minute: adds what road users did to `into`, and forgets those that have gone silent.
    pub fn close(&mut self, minute: Interval, into: &mut Closed) {
        let silent_since = minute.end.plus_millis(-self.forget_after_ms);
        let network = self.matcher.network();
        for owned in &mut self.owned {
            let commit = &mut |advance: Advance<'_>| {
                owned.sums.advance(network, &advance);
                owned
                    .whereabouts
                    .record(advance.track, advance.position, advance.driven_m());
            };
            owned
                .tracks
                .expire(&self.matcher, &mut self.scratch, silent_since, commit);
            owned.sums.close(minute, &mut into.sums, &mut into.stays);
            let tracks = &owned.tracks;
            let on_road_at = |track| tracks.on_road_at(track);
            owned
                .whereabouts
                .collect(silent_since, on_road_at, &mut into.present);
        }
        into.tallies.merge(&std::mem::take(&mut self.tallies));
        for tallies in std::mem::take(&mut self.carried).values() {
            into.tallies.merge(tallies);
        }
    }

    /// What has been done so far.
    pub fn counts(&self) -> &ShardCounts {
        &self.counts
    }

    /// Road users tracked at the moment.
    pub fn track_count(&self) -> usize {
        self.owned
            .iter()
            .map(|owned| owned.tracks.track_count())
            .sum()
    }

    /// Appends one block a partition, in order of this shard's partitions.
    pub fn snapshot(&self) -> Vec<Vec<u8>> {
        let first = self.index;
        self.owned
            .iter()
            .enumerate()
            .map(|(index, owned)| {
                let mut bytes = Vec::new();
                // What belongs to no partition goes with the first.
                let mut tallies = if index == 0 {
                    self.tallies.clone()
                } else {
                    Tallies::default()
                };
                let partition = (first + index * self.shard_count) as u8;
                if let Some(carried) = self.carried.get(&partition) {
                    tallies.merge(carried);
                }
                put_block(&mut bytes, |out| tallies.snapshot(out));
                put_block(&mut bytes, |out| owned.tracks.snapshot(out));
                put_block(&mut bytes, |out| {
                    owned.sums.snapshot(self.matcher.network(), out);
                });
                put_block(&mut bytes, |out| owned.whereabouts.snapshot(out));
                bytes
            })
            .collect()
    }

    /// Takes back the block of one owned partition.
    ///
    /// # Errors
    /// When the bytes are of another version or broken.
    pub fn restore(&mut self, partition: u8, mut bytes: &[u8]) -> Result<(), SnapshotError> {
        let owned = &mut self.owned[usize::from(partition) / self.shard_count];
        let block = take_block(&mut bytes, "tallies")?;
        let tallies = Tallies::restore(block).ok_or_else(|| SnapshotError {
            room: "tallies",
            problem: "the bytes are broken".to_owned(),
        })?;
        self.carried.insert(partition, tallies);
        let block = take_block(&mut bytes, "matching")?;
        owned.tracks = Partition::restore(block).map_err(SnapshotError::of("matching"))?;
        let block = take_block(&mut bytes, "sums")?;
        owned
            .sums
            .restore(self.matcher.network(), block)
            .map_err(SnapshotError::of("sums"))?;
        let block = take_block(&mut bytes, "whereabouts")?;
        owned.whereabouts = Whereabouts::restore(block, self.matcher.network().segment_count())
            .map_err(SnapshotError::of("whereabouts"))?;
        Ok(())
    }
}
