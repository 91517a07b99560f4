//! Which turns OSM's restrictions forbid.

use std::collections::{BTreeMap, BTreeSet};

use super::extract::Restriction;

/// One segment as restrictions see it.
#[derive(Clone, Copy, Debug)]
pub(super) struct Stretch {
    pub(super) way: i64,
    /// Index of its first node pair in the way.
    pub(super) pair: u32,
    /// OSM node ids.
    pub(super) from_node: i64,
    pub(super) to_node: i64,
}

struct Rule {
    to: Vec<i64>,
    is_only: bool,
    is_u_turn: bool,
}

/// The restrictions of a network, by the node they are over and the way they are from.
pub(super) struct TurnRules {
    rules: BTreeMap<(i64, i64), Vec<Rule>>,
}

impl TurnRules {
    /// Collects the restrictions that `stretches` can follow: an "only" towards a way that doesn't
    /// leave the node would forbid every turn and is not kept.
    pub(super) fn new(restrictions: Vec<Restriction>, stretches: &[Stretch]) -> Self {
        let leaving: BTreeSet<(i64, i64)> = stretches
            .iter()
            .map(|stretch| (stretch.from_node, stretch.way))
            .collect();
        let mut rules: BTreeMap<(i64, i64), Vec<Rule>> = BTreeMap::new();
        for restriction in restrictions {
            let reachable = |way: &i64| leaving.contains(&(restriction.via, *way));
            if restriction.is_only && !restriction.to.iter().any(reachable) {
                continue;
            }
            for &from in &restriction.from {
                rules
                    .entry((restriction.via, from))
                    .or_default()
                    .push(Rule {
                        to: restriction.to.clone(),
                        is_only: restriction.is_only,
                        is_u_turn: restriction.is_u_turn,
                    });
            }
        }
        Self { rules }
    }

    /// Whether the turn from one stretch into another is forbidden.
    pub(super) fn forbid(&self, from: Stretch, to: Stretch) -> bool {
        let Some(rules) = self.rules.get(&(from.to_node, from.way)) else {
            return false;
        };
        let turns_back = from.way == to.way && from.pair == to.pair;
        let mut only = rules.iter().filter(|rule| rule.is_only).peekable();
        if only.peek().is_some() && !only.any(|rule| rule.to.contains(&to.way) && !turns_back) {
            return true;
        }
        rules.iter().filter(|rule| !rule.is_only).any(|rule| {
            // Turning back on one way spares those who go straight on along it.
            let spared = rule.is_u_turn && from.way == to.way && !turns_back;
            rule.to.contains(&to.way) && !spared
        })
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    fn stretch(way: i64, pair: u32, from_node: i64, to_node: i64) -> Stretch {
        Stretch {
            way,
            pair,
            from_node,
            to_node,
        }
    }

    fn rules(kind: &str, to: i64, stretches: &[Stretch]) -> TurnRules {
        let restriction = Restriction {
            from: vec![10],
            via: 1,
            to: vec![to],
            is_only: kind.starts_with("only_"),
            is_u_turn: kind == "no_u_turn",
        };
        TurnRules::new(vec![restriction], stretches)
    }

    //           2 (way 20)
    //           │
    //  0 ─ 10 ─ 1 ─ 10 ─ 3        way 10 passes through node 1 in two pairs
    //           │
    //           4 (way 40)
    #[test]
    fn forbids_as_told() {
        let arriving = stretch(10, 0, 0, 1);
        let (left, ahead, right) = (
            stretch(20, 0, 1, 2),
            stretch(10, 1, 1, 3),
            stretch(40, 0, 1, 4),
        );
        let back = stretch(10, 0, 1, 0);
        let all = [arriving, left, ahead, right, back];
        let forbidden =
            |rules: &TurnRules| [left, ahead, right, back].map(|to| rules.forbid(arriving, to));
        assert_eq!(
            forbidden(&rules("no_left_turn", 20, &all)),
            [true, false, false, false]
        );
        assert_eq!(
            forbidden(&rules("only_right_turn", 40, &all)),
            [true, true, false, true]
        );
        assert_eq!(
            forbidden(&rules("only_straight_on", 10, &all)),
            [true, false, true, true]
        );
        assert_eq!(
            forbidden(&rules("no_u_turn", 10, &all)),
            [false, false, false, true]
        );
        // Way 99 isn't here, so nobody could obey.
        assert_eq!(forbidden(&rules("only_left_turn", 99, &all)), [false; 4]);
        // From another way the rule says nothing.
        assert!(!rules("no_left_turn", 20, &all).forbid(stretch(40, 0, 4, 1), left));
    }
}
