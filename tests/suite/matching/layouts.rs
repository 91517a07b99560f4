//! Layouts that tempt a matcher: roads above, beside and around each other. What is asserted is
//! the whole committed way, over several draws of the noise.

use std::ops::Range;

use roadcast::matching::{BreakReason, MatchSettings};

use super::super::drawn::{Drawn, Drive, draw};
use super::{Run, driven, run};

const SEEDS: Range<u64> = 0..40;

/// Why the tracks of a run ended before its last fix, each reason once.
fn reasons(run: &Run) -> Vec<BreakReason> {
    let counts = run.partition.counts();
    BreakReason::ALL
        .into_iter()
        .filter(|reason| counts.ended(*reason) > 0)
        .collect()
}

/// Asserts that every seed's drive is committed as one track along exactly these segments.
fn assert_driven<'a>(drawn: &'a Drawn, expected: &str, drive: impl Fn(u64) -> Drive<'a>) {
    let wrong: Vec<String> = SEEDS
        .filter_map(|seed| {
            let run = run(drawn, &drive(seed).fixes, MatchSettings::default());
            let (driven, reasons) = (driven(drawn, &run), reasons(&run));
            let begun = run.partition.counts().begun();
            let is_right = driven == expected && begun == 1 && reasons.is_empty();
            (!is_right).then(|| format!("seed {seed}: {driven}, {begun} begun, {reasons:?}"))
        })
        .collect();
    assert!(wrong.is_empty(), "not {expected}:\n{}", wrong.join("\n"));
}

/// Asserts that every seed's drive is committed along these segments, but for rows on the segment
/// `beside` where the roads part or join and the noise hides which it is: `is_hidden` is told the
/// truth and how many fixes it has held. Such a row ends its track as rerouted, and nothing else does.
fn assert_settles<'a>(
    drawn: &'a Drawn,
    (expected, beside): (&str, &str),
    is_hidden: impl Fn(&str, usize) -> bool,
    drive: impl Fn(u64) -> Drive<'a>,
) {
    for seed in SEEDS {
        let drive = drive(seed);
        let run = run(drawn, &drive.fixes, MatchSettings::default());
        let (driven, counts) = (driven(drawn, &run), run.partition.counts());
        assert_eq!(run.steps.len(), drive.truth.len(), "seed {seed}");
        let mut strays = 0;
        for (row, (step, truth)) in run.steps.iter().zip(&drive.truth).enumerate() {
            if drawn.name(step.position.segment) == beside {
                let since = drive.truth.iter().position(|road| road == truth);
                let held = row - since.unwrap_or(row);
                assert!(
                    is_hidden(truth, held),
                    "seed {seed}: {driven}, row {row} on {truth}"
                );
                strays += 1;
            }
        }
        let rerouted = counts.ended(BreakReason::Rerouted);
        assert_eq!(counts.begun(), 1 + rerouted, "seed {seed}: {driven}");
        let others = reasons(&run)
            .into_iter()
            .filter(|reason| *reason != BreakReason::Rerouted);
        assert_eq!(others.count(), 0, "seed {seed}: {driven}");
        if strays == 0 {
            assert_eq!((driven.as_str(), rerouted), (expected, 0), "seed {seed}");
        }
    }
}

/// A one-way viaduct 25 m beside an arterial for 1.1 km, linked only by a ramp at either end.
fn viaduct() -> Drawn {
    let beside = "-".repeat(44);
    let map = format!(
        "
            E{beside}F
A-------B----{beside}-----C--------D"
    );
    let ways = [
        "A>B>C>D primary",
        "B>E trunk_link+1",
        "E>F trunk+1",
        "F>C trunk_link+1",
    ];
    draw(&map, &ways, &[])
}

#[test]
fn stays_below_a_viaduct_it_did_not_climb() {
    let drawn = viaduct();
    assert_driven(&drawn, "AB BC CD", |seed| {
        Drive::new(&drawn, 'A', 1000, 10.0, seed)
            .to('B', "AB", 14.0)
            .to('C', "BC", 14.0)
            .to('D', "CD", 14.0)
    });
}

#[test]
fn stays_on_a_viaduct_up_to_the_ramp_down() {
    let drawn = viaduct();
    let is_ramp = |truth: &str, _| ["AB", "BE", "FC"].contains(&truth);
    assert_settles(&drawn, ("AB BE EF FC CD", "BC"), is_ramp, |seed| {
        Drive::new(&drawn, 'A', 1000, 10.0, seed)
            .to('B', "AB", 14.0)
            .to('E', "BE", 14.0)
            .to('F', "EF", 14.0)
            .to('C', "FC", 14.0)
            .to('D', "CD", 14.0)
    });
}

#[test]
fn keeps_a_main_road_and_its_service_road_apart() {
    let beside = "-".repeat(44);
    let map = format!(
        "
A-------B----{beside}-----C--------D
            P{beside}Q"
    );
    let drawn = draw(&map, &["A-B-C-D primary", "B-P-Q-C service"], &[]);
    assert_driven(&drawn, "AB BC CD", |seed| {
        Drive::new(&drawn, 'A', 1000, 10.0, seed)
            .to('B', "AB", 10.0)
            .to('C', "BC", 10.0)
            .to('D', "CD", 10.0)
    });
    let is_link = |truth: &str, _| ["AB", "BP", "QC"].contains(&truth);
    assert_settles(&drawn, ("AB BP PQ QC CD", "BC"), is_link, |seed| {
        Drive::new(&drawn, 'A', 1000, 10.0, seed)
            .to('B', "AB", 10.0)
            .to('P', "BP", 10.0)
            .to('Q', "PQ", 10.0)
            .to('C', "QC", 10.0)
            .to('D', "CD", 10.0)
    });
}

#[test]
fn goes_on_through_a_tunnel_without_fixes() {
    // The street above the tunnel is hardly longer.
    let drawn = draw(
        "
A---------B----------------------------C---------D


              E--------------------F",
        &["A-B primary", "B-C primary+-1", "C-D primary", "B-E-F-C"],
        &[],
    );
    assert_driven(&drawn, "AB BC CD", |seed| {
        let mut drive = Drive::new(&drawn, 'A', 1000, 5.0, seed)
            .to('B', "AB", 15.0)
            .to('C', "BC", 15.0)
            .to('D', "CD", 15.0);
        // Two fixes from either portal are still heard.
        let is_inside = |index: usize| drive.truth.get(index).is_some_and(|road| road == "BC");
        let silent: Vec<bool> = (0..drive.fixes.len())
            .map(|index| is_inside(index.saturating_sub(2)) && is_inside(index + 2))
            .collect();
        assert!(silent.iter().filter(|is_silent| **is_silent).count() >= 40);
        let mut silent = silent.into_iter();
        drive.fixes.retain(|_| silent.next() == Some(false));
        drive
    });
}

#[test]
fn leaves_a_roundabout_at_the_third_exit() {
    let drawn = draw(
        "
            N
            |
            |
            |
            |
            |
            K
          L   J

 W-------M     H-------E

          G   I
            F
            |
            |
            |
            |
            |
            S",
        &["F>I>H>J>K>L>M>G>F", "S-F", "E-H", "N-K", "W-M"],
        &[],
    );
    assert_driven(&drawn, "SF FI IH HJ JK KL LM MW", |seed| {
        Drive::new(&drawn, 'S', 1000, 5.0, seed)
            .to('F', "SF", 9.0)
            .to('I', "FI", 7.0)
            .to('H', "IH", 7.0)
            .to('J', "HJ", 7.0)
            .to('K', "JK", 7.0)
            .to('L', "KL", 7.0)
            .to('M', "LM", 7.0)
            .to('W', "MW", 9.0)
    });
}

/// An expressway with an exit that leaves it at nine degrees.
fn exit() -> Drawn {
    draw(
        "
A-------------------G-------------------------------B

                                R


                                           C",
        &["A>G>B motorway", "G>R>C motorway_link"],
        &[],
    )
}

#[test]
fn passes_an_exit_without_taking_it() {
    let drawn = exit();
    assert_driven(&drawn, "AG GB", |seed| {
        Drive::new(&drawn, 'A', 1000, 5.0, seed)
            .to('G', "AG", 20.0)
            .to('B', "GB", 20.0)
    });
}

#[test]
fn is_on_the_exit_a_few_fixes_after_the_gore() {
    let drawn = exit();
    let is_gore = |truth: &str, held| truth == "AG" || truth == "GR" && held < 4;
    assert_settles(&drawn, ("AG GR RC", "GB"), is_gore, |seed| {
        Drive::new(&drawn, 'A', 1000, 5.0, seed)
            .to('G', "AG", 20.0)
            .to('R', "GR", 20.0)
            .to('C', "RC", 20.0)
    });
}
