//! Many seeds of the simulation. `SIM_SEED=n` repeats one and prints what happens in it, and
//! `SIM_SEEDS=n` runs so many; a release build is ten times as fast.

use std::env;

use waxwing_core::server::LetterState;
use waxwing_testkit::simulation::{Options, Seeded, run, run_seeds};

const STEPS: usize = 500;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect("a number"))
}

#[test]
fn nothing_is_lost_misdelivered_or_repeated_whatever_happens() {
    match number("SIM_SEED") {
        Some(seed) => {
            let options = Options { trace: true, ..Options::of_seed(seed, STEPS) };
            eprintln!("{options:?}");
            run(&mut Seeded::new(seed), options);
        }
        None => {
            let seeds = number("SIM_SEEDS").unwrap_or(200);
            let seen = run_seeds(0..seeds, STEPS);
            let possible = LetterState::POSSIBLE.into_iter();
            let missing: Vec<_> = possible.filter(|state| !seen.contains(state)).collect();
            assert!(missing.is_empty(), "no letter in hand was ever {missing:?}");
        }
    }
}
