//! Which turns and manoeuvres OSM's restrictions forbid.

use std::collections::{BTreeMap, BTreeSet};

use super::restriction::{Restriction, Via};
use crate::network::TurnRule;
use crate::network::report::{Assumption, ImportReport, Omission};
use crate::units::SegmentId;

/// Most segments of a restricted manoeuvre, and most ways to drive it: restrictions over roads are
/// for single junctions with separate carriageways (chosen).
const MANOEUVRE_SEGMENTS_MAX: usize = 32;
const MANOEUVRES_MAX: usize = 64;

/// One segment as restrictions see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) way: i64,
    /// Index of its first node pair in the way.
    pub(super) pair: u32,
    /// Indices of nodes; nodes at one place have one index.
    pub(super) from_node: u32,
    pub(super) to_node: u32,
}

impl Stretch {
    /// Whether `to` is the same stretch driven back.
    fn turns_back(self, to: Self) -> bool {
        self.way == to.way && self.pair == to.pair
    }
}

struct Rule {
    to: Vec<i64>,
    is_only: bool,
    is_u_turn: bool,
    is_timed: bool,
}

/// The restrictions of a network, by the node they are over and the way they are from.
pub(super) struct TurnRules<'a> {
    stretches: &'a [Stretch],
    ways: BTreeSet<i64>,
    /// The stretches that leave a node, and that arrive there, by way.
    leaving: BTreeMap<(u32, i64), Vec<u32>>,
    arriving: BTreeSet<(u32, i64)>,
    rules: BTreeMap<(u32, i64), Vec<Rule>>,
    /// Turns off the road that an "only" over roads prescribes.
    astray: BTreeSet<(u32, u32)>,
    manoeuvres: Vec<Vec<SegmentId>>,
}

impl<'a> TurnRules<'a> {
    /// Applies `restrictions` to `stretches` (in segment order) and counts those that can't be;
    /// `node_of` finds the index of an OSM node.
    pub(super) fn new(
        restrictions: Vec<Restriction>,
        stretches: &'a [Stretch],
        node_of: &impl Fn(i64) -> Option<u32>,
        report: &mut ImportReport,
    ) -> Self {
        let mut leaving: BTreeMap<(u32, i64), Vec<u32>> = BTreeMap::new();
        for (segment, stretch) in stretches.iter().enumerate() {
            let key = (stretch.from_node, stretch.way);
            leaving.entry(key).or_default().push(segment as u32);
        }
        let mut rules = Self {
            stretches,
            ways: stretches.iter().map(|stretch| stretch.way).collect(),
            leaving,
            arriving: stretches
                .iter()
                .map(|stretch| (stretch.to_node, stretch.way))
                .collect(),
            rules: BTreeMap::new(),
            astray: BTreeSet::new(),
            manoeuvres: Vec::new(),
        };
        for restriction in restrictions {
            let applied = match &restriction.via {
                Via::Node(node) => rules.apply_at(node_of(*node), &restriction),
                Via::Ways(via) => rules.apply_over(via, &restriction),
            };
            match applied {
                Err(cause) => report.omit(cause),
                Ok(()) => {
                    report.restrictions_kept += 1;
                    if restriction.is_timed {
                        report.assume(Assumption::TimedRestriction);
                    }
                    if matches!(restriction.via, Via::Ways(_)) {
                        report.assume(Assumption::RestrictionOverRoads);
                    }
                }
            }
        }
        rules
    }

    /// The manoeuvres that are forbidden; what follows no movements is still among them.
    pub(super) fn take_manoeuvres(&mut self) -> Vec<Vec<SegmentId>> {
        std::mem::take(&mut self.manoeuvres)
    }

    fn apply_at(&mut self, via: Option<u32>, restriction: &Restriction) -> Result<(), Omission> {
        let (from, to) = self.known(restriction)?;
        let via = via.ok_or(Omission::RestrictionRoad)?;
        let from: Vec<i64> = from
            .into_iter()
            .filter(|&way| self.arriving.contains(&(via, way)))
            .collect();
        let to: Vec<i64> = to
            .into_iter()
            .filter(|&way| self.leaving.contains_key(&(via, way)))
            .collect();
        // An "only" towards a way that doesn't leave the node would forbid every turn.
        if from.is_empty() || to.is_empty() {
            return Err(Omission::RestrictionApart);
        }
        for from in from {
            let rules = self.rules.entry((via, from)).or_default();
            rules.push(Rule {
                to: to.clone(),
                is_only: restriction.is_only,
                is_u_turn: restriction.is_u_turn,
                is_timed: restriction.is_timed,
            });
        }
        Ok(())
    }

    /// The ways of a restriction that the network has, from and to.
    fn known(&self, restriction: &Restriction) -> Result<(Vec<i64>, Vec<i64>), Omission> {
        let known = |ways: &[i64]| -> Vec<i64> {
            let ways = ways.iter().copied();
            ways.filter(|way| self.ways.contains(way)).collect()
        };
        let (from, to) = (known(&restriction.from), known(&restriction.to));
        if from.is_empty() || to.is_empty() {
            return Err(Omission::RestrictionRoad);
        }
        Ok((from, to))
    }

    fn apply_over(&mut self, via: &[i64], restriction: &Restriction) -> Result<(), Omission> {
        let (from, to) = self.known(restriction)?;
        if via.iter().any(|way| !self.ways.contains(way)) {
            return Err(Omission::RestrictionRoad);
        }
        if restriction.is_timed {
            return Err(Omission::RestrictionTime);
        }
        let mut routes = Vec::new();
        for (segment, stretch) in self.stretches.iter().enumerate() {
            if from.contains(&stretch.way) {
                self.follow(&mut vec![segment as u32], via, &to, &mut routes);
            }
        }
        if routes.is_empty() {
            return Err(Omission::RestrictionApart);
        }
        if restriction.is_only {
            self.prescribe(&routes);
        } else {
            let named = |route: Vec<u32>| route.into_iter().map(SegmentId).collect();
            self.manoeuvres.extend(routes.into_iter().map(named));
        }
        Ok(())
    }

    /// Collects the routes that go on from `route` over all `via` ways into one of `to`.
    fn follow(&self, route: &mut Vec<u32>, via: &[i64], to: &[i64], routes: &mut Vec<Vec<u32>>) {
        let Some(&last) = route.last() else { return };
        let here = self.stretches[last as usize];
        let on = |ways: &[i64]| -> Vec<u32> {
            let exits = ways
                .iter()
                .filter_map(|&way| self.leaving.get(&(here.to_node, way)));
            let ahead = exits.flatten().copied();
            ahead
                .filter(|&next| !here.turns_back(self.stretches[next as usize]))
                .collect()
        };
        let is_over = |way: &i64| {
            let mut driven = route[1..].iter();
            driven.any(|&segment| self.stretches[segment as usize].way == *way)
        };
        let ends = if via.iter().all(is_over) {
            on(to)
        } else {
            Vec::new()
        };
        for &end in &ends {
            if routes.len() < MANOEUVRES_MAX {
                routes.push([&route[..], &[end]].concat());
            }
        }
        if !ends.is_empty() || route.len() >= MANOEUVRE_SEGMENTS_MAX {
            return;
        }
        for next in on(via) {
            let circles = route.iter().any(|&driven| {
                let (driven, next) = (
                    self.stretches[driven as usize],
                    self.stretches[next as usize],
                );
                driven.turns_back(next)
            });
            if !circles {
                route.push(next);
                self.follow(route, via, to, routes);
                route.pop();
            }
        }
    }

    /// Forbids every way off `routes`: who begins one has to go to its end (OSM wiki,
    /// Relation:restriction, only_*).
    fn prescribe(&mut self, routes: &[Vec<u32>]) {
        let mut allowed: BTreeMap<&[u32], BTreeSet<u32>> = BTreeMap::new();
        for route in routes {
            for length in 1..route.len() {
                let next = allowed.entry(&route[..length]).or_default();
                next.insert(route[length]);
            }
        }
        for (driven, allowed) in allowed {
            let Some(&last) = driven.last() else { continue };
            let node = self.stretches[last as usize].to_node;
            let exits = self.leaving.range((node, i64::MIN)..=(node, i64::MAX));
            for &exit in exits.flat_map(|(_, exits)| exits) {
                if allowed.contains(&exit) {
                    continue;
                }
                if driven.len() == 1 {
                    self.astray.insert((last, exit));
                } else {
                    let sequence = driven.iter().chain([&exit]).copied();
                    self.manoeuvres.push(sequence.map(SegmentId).collect());
                }
            }
        }
    }

    /// Whether the turn from one segment into another may be made.
    pub(super) fn rule(&self, from: SegmentId, to: SegmentId) -> TurnRule {
        if self.astray.contains(&(from.0, to.0)) {
            return TurnRule::Forbidden;
        }
        let (from, to) = (self.stretches[from.index()], self.stretches[to.index()]);
        let Some(rules) = self.rules.get(&(from.to_node, from.way)) else {
            return TurnRule::Open;
        };
        if forbid(rules.iter().filter(|rule| !rule.is_timed), from, to) {
            TurnRule::Forbidden
        } else if forbid(rules.iter().filter(|rule| rule.is_timed), from, to) {
            TurnRule::AtTimes
        } else {
            TurnRule::Open
        }
    }
}

/// Whether one of `rules` forbids to turn from one stretch into another.
fn forbid<'r>(rules: impl Iterator<Item = &'r Rule> + Clone, from: Stretch, to: Stretch) -> bool {
    let turns_back = from.turns_back(to);
    let mut only = rules.clone().filter(|rule| rule.is_only).peekable();
    if only.peek().is_some()
        && !only.any(|rule| rule.to.contains(&to.way) && (!turns_back || rule.is_u_turn))
    {
        return true;
    }
    let mut no = rules.filter(|rule| !rule.is_only);
    no.any(|rule| {
        // Turning back on one way spares those who go straight on along it.
        let spared = rule.is_u_turn && from.way == to.way && !turns_back;
        rule.to.contains(&to.way) && !spared
    })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::network::report::NetworkFormat;

    fn stretch(way: i64, pair: u32, from_node: u32, to_node: u32) -> Stretch {
        Stretch {
            way,
            pair,
            from_node,
            to_node,
        }
    }

    fn restriction(kind: &str, from: i64, via: Via, to: i64) -> Restriction {
        Restriction {
            from: vec![from],
            via,
            to: vec![to],
            is_only: kind.starts_with("only_"),
            is_u_turn: kind.ends_with("u_turn"),
            is_timed: false,
        }
    }

    fn apply(restriction: Restriction, stretches: &[Stretch]) -> (TurnRules<'_>, ImportReport) {
        let mut report = ImportReport::new(NetworkFormat::Osm);
        let node_of = |id: i64| u32::try_from(id).ok();
        let rules = TurnRules::new(vec![restriction], stretches, &node_of, &mut report);
        (rules, report)
    }

    //           2 (way 20)
    //           │
    //  0 ─ 10 ─ 1 ─ 10 ─ 3        way 10 passes through node 1 in two pairs
    //           │
    //           4 (way 40)
    #[test]
    fn forbids_turns_as_told() {
        let arriving = stretch(10, 0, 0, 1);
        let exits = [
            stretch(20, 0, 1, 2),
            stretch(10, 1, 1, 3),
            stretch(40, 0, 1, 4),
            stretch(10, 0, 1, 0),
        ];
        let all: Vec<Stretch> = [arriving].into_iter().chain(exits).collect();
        let forbidden = |kind: &str, from: i64, to: i64| {
            let (rules, _) = apply(restriction(kind, from, Via::Node(1), to), &all);
            [1, 2, 3, 4]
                .map(|exit| rules.rule(SegmentId(0), SegmentId(exit)) == TurnRule::Forbidden)
        };
        assert_eq!(
            forbidden("no_left_turn", 10, 20),
            [true, false, false, false]
        );
        assert_eq!(
            forbidden("only_right_turn", 10, 40),
            [true, true, false, true]
        );
        assert_eq!(
            forbidden("only_straight_on", 10, 10),
            [true, false, true, true]
        );
        assert_eq!(forbidden("no_u_turn", 10, 10), [false, false, false, true]);
        // Way 99 isn't here, so nobody could obey; from way 40 nobody arrives.
        assert_eq!(forbidden("only_left_turn", 10, 99), [false; 4]);
        assert_eq!(forbidden("no_left_turn", 40, 20), [false; 4]);
        let dropped = |from, to| {
            let (_, report) = apply(restriction("no_left_turn", from, Via::Node(1), to), &all);
            assert_eq!(report.restrictions_kept, 0);
            report.omissions().next().unwrap().0
        };
        assert_eq!(dropped(10, 99), Omission::RestrictionRoad);
        assert_eq!(dropped(40, 20), Omission::RestrictionApart);
        let timed = Restriction {
            is_timed: true,
            ..restriction("no_left_turn", 10, Via::Node(1), 20)
        };
        let (rules, _) = apply(timed, &all);
        assert_eq!(rules.rule(SegmentId(0), SegmentId(1)), TurnRule::AtTimes);
    }

    //  0 ─ 10 ─► 1 ─ 50 ─► 2 ─ 50 ─► 3 ─ 30 ─► 5     way 50 has a side street (60) at node 2
    //                      │         │
    //                      60        40
    //                      ▼         ▼
    //                      6         4
    const AVENUE: [Stretch; 6] = [
        Stretch {
            way: 10,
            pair: 0,
            from_node: 0,
            to_node: 1,
        },
        Stretch {
            way: 50,
            pair: 0,
            from_node: 1,
            to_node: 2,
        },
        Stretch {
            way: 50,
            pair: 1,
            from_node: 2,
            to_node: 3,
        },
        Stretch {
            way: 30,
            pair: 0,
            from_node: 3,
            to_node: 5,
        },
        Stretch {
            way: 40,
            pair: 0,
            from_node: 3,
            to_node: 4,
        },
        Stretch {
            way: 60,
            pair: 0,
            from_node: 2,
            to_node: 6,
        },
    ];

    fn manoeuvres(restriction: Restriction) -> Vec<Vec<u32>> {
        let (mut rules, report) = apply(restriction, &AVENUE);
        assert_eq!(
            report.assumed(Assumption::RestrictionOverRoads),
            report.restrictions_kept
        );
        let raw =
            |sequence: Vec<SegmentId>| sequence.into_iter().map(|segment| segment.0).collect();
        rules.take_manoeuvres().into_iter().map(raw).collect()
    }

    #[test]
    fn forbids_manoeuvres_over_roads() {
        let over = |kind, to| restriction(kind, 10, Via::Ways(vec![50]), to);
        assert_eq!(manoeuvres(over("no_u_turn", 40)), [[0, 1, 2, 4]]);
        assert_eq!(
            manoeuvres(over("only_straight_on", 30)),
            [vec![0, 1, 5], vec![0, 1, 2, 4]]
        );
        assert!(manoeuvres(over("no_left_turn", 99)).is_empty());
        // Way 60 is no way on to way 30.
        assert!(manoeuvres(restriction("no_left_turn", 10, Via::Ways(vec![60]), 30)).is_empty());
    }
}
