//! The production event handlers of all shards and the production turns of storage, in one thread:
//! time, network, disk, channels, wake-ups and signals come out of a seed. `SIM_SEED=n` repeats one
//! and prints what happens in it, and `SIM_SEEDS=n` runs so many. `cluster` has two such servers on one
//! database.

mod cluster;
mod contents;
mod disk;
mod letters;
mod memory_loop;
mod network;
mod order;
mod person;
mod process;
mod run;
mod simulated;
mod timeline;
mod world;

use std::env;

use run::{Options, Run};
use waxwing_testkit::simulation::on_all_processors;

fn number(name: &str) -> Option<u64> {
    env::var(name).ok().map(|value| value.parse().expect("a number"))
}

mod seeds {
    use super::*;

    #[test]
    fn nothing_is_lost_or_repeated_whatever_happens_to_the_server() {
        if let Some(seed) = number("SIM_SEED") {
            let options = Options { trace: true, ..Options::of_seed(seed) };
            eprintln!("{options:?}");
            return Run::new(options).play();
        }
        let seeds = 0..number("SIM_SEEDS").unwrap_or(60);
        on_all_processors(seeds, |seed| Run::new(Options::of_seed(seed)).play());
    }
}
