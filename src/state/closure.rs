//! Planned closures: roads on which nobody may drive for a while, known beforehand.

use std::collections::BTreeMap;

use crate::network::Network;
use crate::units::{Interval, SegmentId, Timestamp};

/// Most closures that are taken.
pub const CLOSURES_MAX: usize = 1_000;

/// A closure as it is announced, before it is found on the network.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct ClosureDraft {
    /// What it is called where something is wrong with it.
    pub id: String,
    /// Ids of the network's source (OSM ways, SUMO edges, CSV rows): all segments of each, or, with `+`
    /// or `-` behind the id, those that run along the way or against it.
    pub sources: Vec<String>,
    /// When it begins.
    pub from: Timestamp,
    /// When the road is open again.
    pub until: Timestamp,
}

/// Why a closure cannot be.
#[derive(Clone, Debug, PartialEq, Eq, thiserror::Error)]
#[error("closure {closure:?} {problem}")]
pub struct ClosureError {
    /// Its id.
    pub closure: String,
    /// What is wrong, with the value.
    pub problem: String,
}

/// What is closed on one network and when.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Closures {
    /// Earliest first; those that touch are one.
    of: BTreeMap<SegmentId, Vec<Interval>>,
}

impl Closures {
    /// The closures of `drafts` on `network`.
    ///
    /// # Errors
    /// The first draft that does not end after it begins, or names a source that is not there, or one too many.
    pub fn resolve(network: &Network, drafts: &[ClosureDraft]) -> Result<Self, ClosureError> {
        if drafts.is_empty() {
            return Ok(Self::default());
        }
        let by_source = network.segments_by_source();
        let segments_of = |source: &str| -> Vec<SegmentId> {
            if let Some(all) = by_source.get(source) {
                return all.clone();
            }
            let one_way = |end: char, is_back: bool| {
                let all = by_source.get(source.strip_suffix(end)?)?;
                let is_it = |id: &&SegmentId| (network.segment(**id).source_dir < 0) == is_back;
                Some(all.iter().filter(is_it).copied().collect())
            };
            one_way('+', false)
                .or_else(|| one_way('-', true))
                .unwrap_or_default()
        };
        let mut closures = Self::default();
        for (index, draft) in drafts.iter().enumerate() {
            let wrong = |problem: String| ClosureError {
                closure: draft.id.clone(),
                problem,
            };
            if index >= CLOSURES_MAX {
                return Err(wrong(format!("is one more than {CLOSURES_MAX}")));
            }
            if draft.until <= draft.from {
                return Err(wrong("does not end after it begins".into()));
            }
            for source in &draft.sources {
                let segments = segments_of(source);
                if segments.is_empty() {
                    return Err(wrong(format!(
                        "names {source:?}, which the network has not"
                    )));
                }
                for segment in segments {
                    let during = Interval {
                        start: draft.from,
                        end: draft.until,
                    };
                    closures.of.entry(segment).or_default().push(during);
                }
            }
        }
        for intervals in closures.of.values_mut() {
            intervals.sort_by_key(|interval| (interval.start, interval.end));
            intervals.dedup_by(|later, kept| {
                let touches = later.start <= kept.end;
                if touches {
                    kept.end = kept.end.max(later.end);
                }
                touches
            });
        }
        Ok(closures)
    }

    /// Whether nothing is closed, ever.
    pub fn is_empty(&self) -> bool {
        self.of.is_empty()
    }

    /// The first closure of a segment that has a part in `during`.
    pub fn first(&self, segment: SegmentId, during: Interval) -> Option<Interval> {
        let mut intervals = self.of.get(&segment)?.iter();
        let has_part = |it: &&Interval| it.start < during.end && during.start < it.end;
        intervals.find(has_part).copied()
    }

    /// Which segments are closed for half or longer of which of `count` intervals, in order.
    pub fn covered(
        &self,
        count: usize,
        interval: impl Fn(usize) -> Interval,
    ) -> Vec<(SegmentId, usize)> {
        let pairs = self
            .segments()
            .flat_map(|id| (0..count).map(move |at| (id, at)));
        pairs
            .filter(|&(id, at)| self.covers_half(id, interval(at)))
            .collect()
    }

    fn covers_half(&self, segment: SegmentId, during: Interval) -> bool {
        let closed_ms = |closed: &Interval| {
            let end = closed.end.min(during.end);
            end.millis_since(closed.start.max(during.start)).max(0)
        };
        let all: i64 = self
            .of
            .get(&segment)
            .map_or(0, |of| of.iter().map(closed_ms).sum());
        2 * all >= during.end.millis_since(during.start)
    }

    /// Whether a segment is closed at a time.
    pub fn is_closed(&self, segment: SegmentId, at: Timestamp) -> bool {
        let moment = Interval {
            start: at,
            end: at.plus_millis(1),
        };
        self.first(segment, moment).is_some()
    }

    /// The segments that are closed at some time, in order.
    pub fn segments(&self) -> impl Iterator<Item = SegmentId> + '_ {
        self.of.keys().copied()
    }
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::csv;

    /// Ways `a` and `b` one after the other, both with two directions.
    fn network() -> Network {
        let rows = "from,to,highway,lon1,lat1,lon2,lat2,len_m,id,oneway\n\
                    j0,j1,primary,114.300,30.55,114.302,30.55,192,a,no\n\
                    j1,j2,primary,114.302,30.55,114.304,30.55,192,b,no\n";
        csv::read("ways.csv", rows.as_bytes()).unwrap().0
    }

    fn draft(sources: &[&str], from_s: i64, until_s: i64) -> ClosureDraft {
        ClosureDraft {
            id: "night works".into(),
            sources: sources.iter().map(|&source| source.to_owned()).collect(),
            from: Timestamp::from_secs(from_s),
            until: Timestamp::from_secs(until_s),
        }
    }

    #[test]
    fn a_way_is_closed_whole_or_in_one_direction() {
        let network = network();
        let closed = |sources: &[&str]| {
            let closures = Closures::resolve(&network, &[draft(sources, 100, 200)]).unwrap();
            let names = closures.segments().map(|id| {
                (
                    network.source_id(id).to_owned(),
                    network.segment(id).source_dir,
                )
            });
            names.collect::<Vec<_>>()
        };
        assert_eq!(closed(&["a"]).len(), 2);
        assert_eq!(closed(&["b-"]), [("b".to_owned(), -1)]);
        assert_eq!(closed(&["a+", "b+"]).len(), 2);
    }

    #[test]
    fn closures_that_touch_are_one_and_have_ends() {
        let network = network();
        let drafts = [
            draft(&["a+"], 300, 400),
            draft(&["a+"], 100, 200),
            draft(&["a"], 150, 250),
        ];
        let closures = Closures::resolve(&network, &drafts).unwrap();
        let forward = (closures.segments())
            .find(|&id| network.segment(id).source_dir > 0)
            .unwrap();
        let at = |s: i64| closures.is_closed(forward, Timestamp::from_secs(s));
        assert_eq!(
            [99, 100, 220, 249, 250, 300, 399, 400].map(at),
            [false, true, true, true, false, true, true, false]
        );
        let hour = Interval {
            start: Timestamp::from_secs(260),
            end: Timestamp::from_secs(3_860),
        };
        let next = closures.first(forward, hour).unwrap();
        assert_eq!((next.start.as_secs(), next.end.as_secs()), (300, 400));
        let covers = |start_s: i64, end_s: i64| {
            let (start, end) = (Timestamp::from_secs(start_s), Timestamp::from_secs(end_s));
            closures.covers_half(forward, Interval { start, end })
        };
        assert!(covers(100, 400) && covers(350, 450) && covers(200, 350));
        assert!(!covers(351, 451) && !covers(0, 199));
    }

    #[test]
    fn what_cannot_be_closed_is_named() {
        let network = network();
        let told = |draft: ClosureDraft| {
            Closures::resolve(&network, &[draft])
                .unwrap_err()
                .to_string()
        };
        assert!(told(draft(&["c"], 1, 2)).contains("\"c\""));
        assert!(told(draft(&["a"], 2, 2)).contains("after it begins"));
        let many = vec![draft(&["a"], 1, 2); CLOSURES_MAX + 1];
        assert!(Closures::resolve(&network, &many).is_err());
        assert!(Closures::resolve(&network, &[]).unwrap().is_empty());
    }
}
