//! Who is where now: the last matched position of every road user, asked by place.
//!
//! [`Whereabouts`] remembers the positions of one virtual partition, one a track; [`Presence`] is
//! all of them at one instant of event time, in an R-tree. It judges no traffic and publishes
//! nothing: pseudonyms stay in here, and who is near an end of a trip or in a sensitive zone is
//! marked as not to be told of.
//!
//! The tree is packed anew for each instant instead of being changed with every position: at
//! 100 000 road users that all move every second, bulk loading is the fastest use of an R-tree
//! (benches/matching.rs, group `presence`; figures in docs/benchmarks.md).

use rstar::primitives::GeomWithData;
use rstar::{AABB, PointDistance, RTree};

use super::{MatchedPosition, Zones};
use crate::network::Network;
use crate::observation::Origin;
use crate::units::{Point, SegmentId, SubjectId, Timestamp};

/// What counts as the end of a trip, where people live and work: not to be told of.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct TripEnds {
    /// Metres from the start. Default 300.
    pub distance_m: f32,
    /// Seconds from the start; the trip is under way when both are over. Default 120.
    pub time_s: i64,
    /// Who was not matched to a road for so long, s, may have arrived there. Default 60: two reports
    /// of a taxi that reports every 30 s.
    pub silent_s: i64,
}

impl Default for TripEnds {
    fn default() -> Self {
        Self {
            distance_m: 300.0,
            time_s: 120,
            silent_s: 60,
        }
    }
}

impl TripEnds {
    /// Nothing is near an end.
    pub const NONE: Self = Self {
        distance_m: 0.0,
        time_s: 0,
        silent_s: i64::MAX / 1000,
    };
}

/// Who is not matched for so long begins a new trip, ms: two minutes, as long as a track lives
/// by default (chosen).
const TRIP_GAP_MS: i64 = 120_000;

/// What is known of a road user's trip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Trip {
    /// Event time of its first position.
    pub begun_at: Timestamp,
    /// Metres driven since.
    pub driven_m: f32,
    /// Event time of its newest position on a road, committed or not; `None` once it has left the
    /// roads.
    pub on_road_at: Option<Timestamp>,
}

impl Trip {
    /// Whether at `as_of` a position of `observed_at` is away from both ends, as far as can be
    /// known: where a trip will end is not.
    fn is_under_way(&self, ends: &TripEnds, observed_at: Timestamp, as_of: Timestamp) -> bool {
        let is_beyond_start = self.driven_m >= ends.distance_m
            && observed_at.millis_since(self.begun_at) >= ends.time_s * 1000;
        let is_heard = |at: Timestamp| as_of.millis_since(at) <= ends.silent_s.saturating_mul(1000);
        is_beyond_start && self.on_road_at.is_some_and(is_heard)
    }
}

/// Where a road user was last, on what trip.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Located {
    /// The last committed position.
    pub position: MatchedPosition,
    /// The trip so far.
    pub trip: Trip,
}

/// How long and how many road users are remembered, and who is not told of.
#[derive(Clone, Debug)]
pub struct PresenceSettings {
    /// A position older than this, in event time, says nothing about now, s. Default 120: two
    /// minutes, four reports of a taxi that reports every 30 s.
    pub expire_after_s: i64,
    /// Most road users at once; beyond, those seen longest ago are left out and counted. Default
    /// 1 000 000, 60 MB.
    pub vehicles_max: usize,
    /// What counts as the end of a trip.
    pub trip_ends: TripEnds,
    /// Where nobody is told of.
    pub zones: Zones,
}

impl Default for PresenceSettings {
    fn default() -> Self {
        Self {
            expire_after_s: 120,
            vehicles_max: 1_000_000,
            trip_ends: TripEnds::default(),
            zones: Zones::default(),
        }
    }
}

/// The last matched position of every track of one virtual partition.
///
/// Invariant: at most one position a track slot, so memory is bounded by the tracks.
#[derive(Clone, Debug, Default, PartialEq)]
pub struct Whereabouts {
    by_track: Vec<Option<Located>>,
}

impl Whereabouts {
    /// Takes the newest position of the track in slot `track`, `driven_m` metres after the one
    /// before; 0 where the way is not known.
    pub fn record(&mut self, track: u32, position: MatchedPosition, driven_m: f32) {
        let slot = track as usize;
        if slot >= self.by_track.len() {
            self.by_track.resize(slot + 1, None);
        }
        let goes_on = |last: &&Located| {
            last.position.subject == position.subject
                && position.observed_at.millis_since(last.position.observed_at) <= TRIP_GAP_MS
        };
        let trip = match self.by_track[slot].as_ref().filter(goes_on) {
            Some(last) => Trip {
                driven_m: last.trip.driven_m + driven_m,
                ..last.trip
            },
            None => Trip {
                begun_at: position.observed_at,
                driven_m: 0.0,
                on_road_at: None,
            },
        };
        self.by_track[slot] = Some(Located { position, trip });
    }

    /// Calls the road user in slot `track` by another pseudonym.
    pub fn rename(&mut self, track: u32, subject: SubjectId) {
        if let Some(Some(located)) = self.by_track.get_mut(track as usize) {
            located.position.subject = subject;
        }
    }

    /// Appends what is not older than `since`, and forgets the rest. `on_road_at` says when the
    /// track in a slot was last matched to a road, if it still is on one.
    pub fn collect(
        &mut self,
        since: Timestamp,
        on_road_at: impl Fn(u32) -> Option<Timestamp>,
        into: &mut Vec<Located>,
    ) {
        for (track, slot) in self.by_track.iter_mut().enumerate() {
            match slot {
                Some(located) if located.position.observed_at >= since => {
                    into.push(Located {
                        trip: Trip {
                            on_road_at: on_road_at(track as u32),
                            ..located.trip
                        },
                        ..*located
                    });
                }
                _ => *slot = None,
            }
        }
    }

    /// Appends all of it as bytes, for a snapshot.
    pub fn snapshot(&self, out: &mut Vec<u8>) {
        out.push(SNAPSHOT_VERSION);
        for (track, located) in self.by_track.iter().enumerate() {
            let Some(Located { position, trip }) = located else {
                continue;
            };
            out.extend_from_slice(&(track as u32).to_le_bytes());
            out.extend_from_slice(&position.subject.0.to_le_bytes());
            out.extend_from_slice(&position.observed_at.as_millis().to_le_bytes());
            out.extend_from_slice(&position.segment.0.to_le_bytes());
            let speed_mps = position.speed_mps.unwrap_or(f32::NAN);
            for number in [position.offset_m, position.likelihood, speed_mps] {
                out.extend_from_slice(&number.to_le_bytes());
            }
            out.push(position.origin as u8);
            out.extend_from_slice(&trip.begun_at.as_millis().to_le_bytes());
            out.extend_from_slice(&trip.driven_m.to_le_bytes());
        }
    }

    /// Takes back what [`Whereabouts::snapshot`] wrote for a network of `segment_count` segments.
    ///
    /// # Errors
    /// When the bytes are of another version or network, or cut short.
    pub fn restore(bytes: &[u8], segment_count: usize) -> Result<Self, PresenceError> {
        let (version, records) = bytes.split_first().ok_or(PresenceError::Empty)?;
        if *version != SNAPSHOT_VERSION {
            return Err(PresenceError::Version(*version));
        }
        let (records, rest) = records.as_chunks::<RECORD_BYTES>();
        if !rest.is_empty() {
            return Err(PresenceError::CutShort(rest.len()));
        }
        let mut whereabouts = Self::default();
        for record in records {
            let (track, located) = read_record(record);
            let segment = located.position.segment;
            if segment.index() >= segment_count || track >= TRACKS_MAX {
                return Err(PresenceError::OutOfRange(segment));
            }
            let slot = track as usize;
            if slot >= whereabouts.by_track.len() {
                whereabouts.by_track.resize(slot + 1, None);
            }
            whereabouts.by_track[slot] = Some(located);
        }
        Ok(whereabouts)
    }
}

const SNAPSHOT_VERSION: u8 = 2;
const RECORD_BYTES: usize = 49;
/// Most track slots a snapshot may name: far above any partition, so that a damaged one asks for
/// some 100 MB at most.
const TRACKS_MAX: u32 = 1 << 20;

fn read_record(record: &[u8; RECORD_BYTES]) -> (u32, Located) {
    fn at<const N: usize>(record: &[u8; RECORD_BYTES], from: usize) -> [u8; N] {
        let mut bytes = [0; N];
        bytes.copy_from_slice(&record[from..from + N]);
        bytes
    }
    let number = |from| f32::from_le_bytes(at(record, from));
    let speed_mps = number(32);
    let origin = Origin::from_code(record[36]).unwrap_or(Origin::Probe);
    let position = MatchedPosition {
        lane: None,
        subject: SubjectId(u64::from_le_bytes(at(record, 4))),
        observed_at: Timestamp::from_millis(i64::from_le_bytes(at(record, 12))),
        segment: SegmentId(u32::from_le_bytes(at(record, 20))),
        offset_m: number(24),
        likelihood: number(28),
        speed_mps: (!speed_mps.is_nan()).then_some(speed_mps),
        origin,
    };
    let trip = Trip {
        begun_at: Timestamp::from_millis(i64::from_le_bytes(at(record, 37))),
        driven_m: number(45),
        on_road_at: None,
    };
    (
        u32::from_le_bytes(at(record, 0)),
        Located { position, trip },
    )
}

/// Why a snapshot of whereabouts cannot be restored.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum PresenceError {
    /// There is not even a version.
    #[error("no version")]
    Empty,
    /// Written by another build.
    #[error("version {0}, {SNAPSHOT_VERSION} expected")]
    Version(u8),
    /// The last record is not whole.
    #[error("{0} bytes after the last whole record")]
    CutShort(usize),
    /// A segment or track that cannot be.
    #[error("segment {0} or its track is out of range")]
    OutOfRange(SegmentId),
}

/// One road user who is there.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Present {
    /// Where it was last, with speed, origin and event time.
    pub position: MatchedPosition,
    /// The same place in the local plane, on the road.
    pub point: Point,
    /// Whether anything that leaves may rest on it: it is not near an end of its trip, as far as can
    /// be known, and not in a sensitive zone.
    pub may_be_told: bool,
}

/// A road user and how far it is from the place asked about.
#[derive(Clone, Copy, Debug, PartialEq)]
pub struct Nearby<'a> {
    /// The road user.
    pub vehicle: &'a Present,
    /// Straight-line metres from the place asked about.
    pub distance_m: f32,
}

/// Every road user at one instant of event time.
///
/// Invariant: nobody is in it whose last position is older than
/// [`PresenceSettings::expire_after_s`] before [`Presence::as_of`], and there are at most
/// [`PresenceSettings::vehicles_max`]. Equal inputs in any order give equal answers.
#[derive(Debug)]
pub struct Presence {
    as_of: Timestamp,
    /// Sorted by segment, offset, subject and time.
    vehicles: Vec<Present>,
    /// Places in `vehicles`.
    tree: RTree<GeomWithData<[f32; 2], u32>>,
    left_out_count: usize,
}

impl Presence {
    /// Nobody is anywhere.
    pub fn empty() -> Self {
        Self {
            as_of: Timestamp::MIN,
            vehicles: Vec::new(),
            tree: RTree::new(),
            left_out_count: 0,
        }
    }

    /// Everybody of `positions` who was seen lately enough before `as_of`.
    ///
    /// # Panics
    /// When a position is of another network.
    pub fn new(
        network: &Network,
        settings: &PresenceSettings,
        as_of: Timestamp,
        mut positions: Vec<Located>,
    ) -> Self {
        let since = as_of.plus_millis(-settings.expire_after_s.saturating_mul(1000));
        positions.retain(|located| located.position.observed_at >= since);
        let left_out_count = positions.len().saturating_sub(settings.vehicles_max);
        if left_out_count > 0 {
            // By pseudonym last: who is left out must not depend on the key of the day.
            positions.sort_unstable_by(|a, b| {
                let (a, b) = (&a.position, &b.position);
                (b.observed_at.cmp(&a.observed_at))
                    .then(a.segment.cmp(&b.segment))
                    .then(a.offset_m.total_cmp(&b.offset_m))
                    .then(a.subject.cmp(&b.subject))
            });
            positions.truncate(settings.vehicles_max);
        }
        positions.sort_unstable_by(|a, b| {
            let (a, b) = (&a.position, &b.position);
            (a.segment.cmp(&b.segment))
                .then(a.offset_m.total_cmp(&b.offset_m))
                .then(a.subject.cmp(&b.subject))
                .then(a.observed_at.cmp(&b.observed_at))
        });
        let vehicles: Vec<Present> = positions
            .into_iter()
            .map(|Located { position, trip }| Present {
                position,
                point: network.locate(position.segment, position.offset_m).0,
                may_be_told: !settings.zones.holds(position.segment)
                    && trip.is_under_way(&settings.trip_ends, position.observed_at, as_of),
            })
            .collect();
        let places = vehicles.iter().enumerate().map(|(index, vehicle)| {
            GeomWithData::new([vehicle.point.x, vehicle.point.y], index as u32)
        });
        Self {
            as_of,
            tree: RTree::bulk_load(places.collect()),
            vehicles,
            left_out_count,
        }
    }

    /// The instant of event time this is about.
    pub fn as_of(&self) -> Timestamp {
        self.as_of
    }

    /// Everybody, sorted by segment and metres along it.
    pub fn vehicles(&self) -> &[Present] {
        &self.vehicles
    }

    /// How many were left out because there were more than the limit.
    pub fn left_out_count(&self) -> usize {
        self.left_out_count
    }

    /// Everybody within `radius_m` of `point`, nearest first, then by subject.
    pub fn within(&self, point: Point, radius_m: f32) -> Vec<Nearby<'_>> {
        let is_askable = point.x.is_finite() && point.y.is_finite() && radius_m >= 0.0;
        if !is_askable {
            return Vec::new();
        }
        let near = self
            .tree
            .locate_within_distance([point.x, point.y], radius_m * radius_m)
            .map(|place| self.nearby(place.data, point));
        nearest_first(near.collect())
    }

    /// The `count` nearest to `point`, nearest first, then by subject.
    pub fn nearest(&self, point: Point, count: usize) -> Vec<Nearby<'_>> {
        if count == 0 || !(point.x.is_finite() && point.y.is_finite()) {
            return Vec::new();
        }
        let centre = [point.x, point.y];
        let mut farthest_sq = f32::INFINITY;
        let mut found = Vec::with_capacity(count.min(self.vehicles.len()));
        for place in self.tree.nearest_neighbor_iter(centre) {
            // All that are as far as the last one are looked at: the subject decides among them.
            let distance_sq = place.distance_2(&centre);
            if distance_sq > farthest_sq {
                break;
            }
            found.push(self.nearby(place.data, point));
            if found.len() == count {
                farthest_sq = distance_sq;
            }
        }
        let mut found = nearest_first(found);
        found.truncate(count);
        found
    }

    /// Everybody inside a polygon, sorted by segment and metres along it. The outline closes by
    /// itself; fewer than three corners hold nobody. Where it crosses itself the even-odd rule holds.
    pub fn within_polygon(&self, outline: &[Point]) -> Vec<&Present> {
        let corners = outline.iter().map(|corner| [corner.x, corner.y]);
        if outline.len() < 3 || !corners.clone().flatten().all(f32::is_finite) {
            return Vec::new();
        }
        let around = AABB::from_points(corners.collect::<Vec<_>>().iter());
        let mut inside: Vec<u32> = self
            .tree
            .locate_in_envelope(around)
            .map(|place| place.data)
            .filter(|&index| is_inside(self.vehicles[index as usize].point, outline))
            .collect();
        inside.sort_unstable();
        inside
            .into_iter()
            .map(|index| &self.vehicles[index as usize])
            .collect()
    }

    /// Everybody on one segment, by metres along it.
    pub fn on_segment(&self, segment: SegmentId) -> &[Present] {
        let from = self
            .vehicles
            .partition_point(|vehicle| vehicle.position.segment < segment);
        let count =
            self.vehicles[from..].partition_point(|vehicle| vehicle.position.segment == segment);
        &self.vehicles[from..from + count]
    }

    /// Everybody on some segments, segment by segment in the order given.
    pub fn on_segments(&self, segments: &[SegmentId]) -> impl Iterator<Item = &Present> {
        segments
            .iter()
            .flat_map(|&segment| self.on_segment(segment))
    }

    fn nearby(&self, index: u32, point: Point) -> Nearby<'_> {
        let vehicle = &self.vehicles[index as usize];
        Nearby {
            vehicle,
            distance_m: vehicle.point.distance_m(point),
        }
    }
}

fn nearest_first(mut found: Vec<Nearby<'_>>) -> Vec<Nearby<'_>> {
    found.sort_unstable_by(|a, b| {
        let (x, y) = (&a.vehicle.position, &b.vehicle.position);
        (a.distance_m.total_cmp(&b.distance_m))
            .then(x.subject.cmp(&y.subject))
            .then(x.segment.cmp(&y.segment))
            .then(x.observed_at.cmp(&y.observed_at))
    });
    found
}

/// Even-odd rule: a ray to the east crosses the outline an odd number of times (Shimrat 1962,
/// Algorithm 112, CACM 5(8)).
pub(super) fn is_inside(point: Point, outline: &[Point]) -> bool {
    let mut is_inside = false;
    let Some(mut from) = outline.last() else {
        return false;
    };
    for to in outline {
        if (from.y > point.y) != (to.y > point.y) {
            let share = (point.y - from.y) / (to.y - from.y);
            if point.x < from.x + share * (to.x - from.x) {
                is_inside = !is_inside;
            }
        }
        from = to;
    }
    is_inside
}

#[cfg(test)]
mod tests {
    use rand::seq::SliceRandom;
    use rand::{Rng, SeedableRng};
    use rand_chacha::ChaCha8Rng;

    use super::*;
    use crate::matching::{Outline, ZoneDraft};
    use crate::network::csv;
    use crate::units::{Metres, Position};

    /// Three roads of about 960 m, one behind the other.
    fn network() -> Network {
        let text = "from,to,highway,oneway,lon1,lat1,lon2,lat2,len_m\n\
            A,B,primary,yes,114.30,30.59,114.31,30.59,957\n\
            B,C,primary,yes,114.31,30.59,114.32,30.59,957\n\
            C,D,primary,yes,114.32,30.59,114.33,30.59,957\n";
        csv::read("three.csv", text.as_bytes())
            .expect("three roads")
            .0
    }

    fn seen(subject: u64, segment: u32, offset_m: f32, at_s: i64) -> MatchedPosition {
        MatchedPosition {
            lane: None,
            subject: SubjectId(subject),
            observed_at: Timestamp::from_secs(at_s),
            segment: SegmentId(segment),
            offset_m,
            likelihood: 1.0,
            speed_mps: Some(10.0),
            origin: Origin::Probe,
        }
    }

    /// The same on a trip of long ago.
    fn on_trip(position: MatchedPosition) -> Located {
        let trip = Trip {
            begun_at: position.observed_at.plus_millis(-3_600_000),
            driven_m: 10_000.0,
            on_road_at: Some(position.observed_at),
        };
        Located { position, trip }
    }

    fn crowd(network: &Network, count: u64) -> Vec<Located> {
        let mut random = ChaCha8Rng::seed_from_u64(11);
        (0..count)
            .map(|subject| {
                let segment = random.random_range(0..network.segment_count() as u32);
                let length_m = network.segment(SegmentId(segment)).length_m;
                // Whole steps of 8 m, so that many stand in the same place.
                let offset_m = (random.random_range(0.0..length_m) / 8.0).floor() * 8.0;
                on_trip(seen(
                    subject,
                    segment,
                    offset_m,
                    random.random_range(0..200),
                ))
            })
            .collect()
    }

    fn subjects<'a>(found: impl IntoIterator<Item = &'a Present>) -> Vec<u64> {
        found
            .into_iter()
            .map(|vehicle| vehicle.position.subject.0)
            .collect()
    }

    #[test]
    fn a_full_scan_finds_the_same() {
        let network = network();
        let settings = PresenceSettings::default();
        let now = Timestamp::from_secs(200);
        let mut positions = crowd(&network, 3_000);
        let presence = Presence::new(&network, &settings, now, positions.clone());
        positions.shuffle(&mut ChaCha8Rng::seed_from_u64(3));
        let shuffled = Presence::new(&network, &settings, now, positions);
        assert!(presence.vehicles().len() > 1_000 && presence.vehicles().len() < 3_000);
        assert!(presence.vehicles() == shuffled.vehicles());
        let mut random = ChaCha8Rng::seed_from_u64(5);
        for _ in 0..100 {
            let (low, high) = network.bounds();
            let (low, high) = (
                network.frame().to_point(low),
                network.frame().to_point(high),
            );
            let point = Point::new(
                random.random_range(low.x..high.x),
                random.random_range(low.y - 50.0..high.y + 50.0),
            );
            let radius_m = random.random_range(0.0..400.0f32);
            let mut all: Vec<(f32, u64)> = presence
                .vehicles()
                .iter()
                .map(|vehicle| (vehicle.point.distance_m(point), vehicle.position.subject.0))
                .collect();
            all.sort_by(|a, b| a.0.total_cmp(&b.0).then(a.1.cmp(&b.1)));
            let expected: Vec<u64> = all
                .iter()
                .filter(|(distance_m, _)| *distance_m <= radius_m)
                .map(|&(_, subject)| subject)
                .collect();
            for one in [&presence, &shuffled] {
                let found = subjects(one.within(point, radius_m).iter().map(|near| near.vehicle));
                assert!(found == expected, "{point:?} {radius_m}");
                let found = subjects(one.nearest(point, 17).iter().map(|near| near.vehicle));
                let nearest: Vec<u64> = all[..17].iter().map(|&(_, subject)| subject).collect();
                assert!(found == nearest, "{point:?}");
            }
        }
        let on_all = subjects(presence.on_segments(&[SegmentId(2), SegmentId(0), SegmentId(1)]));
        assert_eq!(on_all.len(), presence.vehicles().len());
        assert!(
            presence
                .on_segment(SegmentId(1))
                .iter()
                .all(|vehicle| vehicle.position.segment == SegmentId(1))
        );
    }

    #[test]
    fn a_polygon_holds_who_is_inside() {
        let network = network();
        let now = Timestamp::from_secs(60);
        let positions = vec![
            on_trip(seen(1, 0, 100.0, 60)),
            on_trip(seen(2, 0, 500.0, 60)),
            on_trip(seen(3, 1, 100.0, 60)),
        ];
        let presence = Presence::new(&network, &PresenceSettings::default(), now, positions);
        let at = |segment, offset_m, up_m: f32| {
            let (point, _) = network.locate(SegmentId(segment), offset_m);
            Point::new(point.x, point.y + up_m)
        };
        let outline = [
            at(0, 400.0, -20.0),
            at(1, 200.0, -20.0),
            at(1, 200.0, 20.0),
            at(0, 400.0, 20.0),
        ];
        assert_eq!(subjects(presence.within_polygon(&outline)), [2, 3]);
        // A notch cut into it leaves the second one out.
        let notched = [
            outline[0],
            at(0, 480.0, -20.0),
            at(0, 500.0, 15.0),
            at(0, 520.0, -20.0),
            outline[1],
            outline[2],
            outline[3],
        ];
        assert_eq!(subjects(presence.within_polygon(&notched)), [3]);
        assert!(presence.within_polygon(&outline[..2]).is_empty());
        let broken = [outline[0], Point::new(f32::NAN, 0.0), outline[2]];
        assert!(presence.within_polygon(&broken).is_empty());
    }

    #[test]
    fn the_silent_and_the_surplus_are_left_out() {
        let network = network();
        let now = Timestamp::from_secs(1_000);
        let settings = PresenceSettings {
            expire_after_s: 30,
            vehicles_max: 2,
            ..PresenceSettings::default()
        };
        let positions = vec![
            on_trip(seen(1, 0, 1.0, 969)),
            on_trip(seen(2, 0, 2.0, 970)),
            on_trip(seen(3, 0, 3.0, 990)),
            on_trip(seen(4, 0, 4.0, 1_003)),
        ];
        let presence = Presence::new(&network, &settings, now, positions);
        assert_eq!(subjects(presence.vehicles()), [3, 4]);
        assert_eq!((presence.left_out_count(), presence.as_of()), (1, now));
        assert!(Presence::empty().within(Point::default(), 1e9).is_empty());
        assert!(presence.within(Point::default(), f32::NAN).is_empty());
        assert!(presence.nearest(Point::new(f32::NAN, 0.0), 1).is_empty());
    }

    #[test]
    fn whereabouts_keep_the_last_place_of_a_track_and_survive_a_restart() {
        let network = network();
        let mut whereabouts = Whereabouts::default();
        whereabouts.record(5, seen(50, 0, 1.0, 10), 0.0);
        whereabouts.record(2, seen(20, 1, 2.0, 95), 0.0);
        whereabouts.record(5, seen(50, 0, 9.0, 100), 8.0);
        whereabouts.record(
            3,
            MatchedPosition {
                lane: None,
                speed_mps: None,
                origin: Origin::Rsm,
                ..seen(30, 2, 3.0, 20)
            },
            0.0,
        );
        let mut bytes = Vec::new();
        whereabouts.snapshot(&mut bytes);
        let mut back = Whereabouts::restore(&bytes, network.segment_count()).expect("whole");
        assert!(back == whereabouts);
        for (bytes, count, problem) in [
            (&bytes[..0], 3, PresenceError::Empty),
            (&bytes[..20], 3, PresenceError::CutShort(19)),
            (&bytes[..], 2, PresenceError::OutOfRange(SegmentId(2))),
            (&[9][..], 3, PresenceError::Version(9)),
        ] {
            assert_eq!(Whereabouts::restore(bytes, count), Err(problem));
        }
        let mut present = Vec::new();
        back.collect(Timestamp::from_secs(90), |_| None, &mut present);
        let offsets: Vec<f32> = present
            .iter()
            .map(|located| located.position.offset_m)
            .collect();
        assert_eq!(offsets, [2.0, 9.0]);
        present.clear();
        back.collect(Timestamp::MIN, |_| None, &mut present);
        assert_eq!(present.len(), 2, "what was too old is forgotten");
    }

    #[test]
    fn the_ends_of_a_trip_and_zones_are_not_told_of() {
        let network = network();
        let zone = ZoneDraft {
            name: "clinic".into(),
            outline: Outline::Circle {
                centre: network.position_at(SegmentId(2), 500.0),
                radius: Metres(50.0),
            },
        };
        let settings = PresenceSettings {
            zones: Zones::new(&network, &[zone]).expect("a segment lies there"),
            ..PresenceSettings::default()
        };
        // 5 m/s along the first road, then 10 m/s: 300 m are behind it before two minutes are.
        let mut whereabouts = Whereabouts::default();
        let mut told_at = |second: i64, on_road_at: Option<i64>| {
            let (segment, offset_m) = (second as u32 / 200, (second % 200) as f32 * 4.0);
            whereabouts.record(0, seen(1, segment, offset_m, second), 4.0);
            let mut present = Vec::new();
            let on_road_at = on_road_at.map(Timestamp::from_secs);
            whereabouts.collect(Timestamp::MIN, |_| on_road_at, &mut present);
            let now = Timestamp::from_secs(second);
            Presence::new(&network, &settings, now, present).vehicles()[0].may_be_told
        };
        for (second, expected) in [(0, false), (76, false), (119, false), (120, false)] {
            assert_eq!(told_at(second, Some(second)), expected, "{second} s");
        }
        // Positions came too rarely above: 4 m each. Now they come every second.
        let mut first = None;
        for second in 121..400 {
            if told_at(second, Some(second)) {
                first.get_or_insert(second);
            }
        }
        // 300 m are 75 steps of 4 m, of which four were taken before.
        assert_eq!(first, Some(120 + 75 - 3));
        assert!(told_at(399, Some(339)), "heard of a minute ago");
        assert!(!told_at(399, Some(338)), "may have arrived");
        assert!(!told_at(399, None), "has left the roads");
        assert!(!told_at(401, Some(401)), "the third road lies in the zone");
        assert!(!told_at(530, Some(530)), "a new trip after a silence");
        let nowhere = ZoneDraft {
            name: "typo".into(),
            outline: Outline::Circle {
                centre: Position::new(0.0, 0.0),
                radius: Metres(50.0),
            },
        };
        let error = Zones::new(&network, &[nowhere]).expect_err("nothing lies there");
        assert!(error.to_string().contains("typo"), "{error}");
    }
}
