//! Two nodes on one database of two machines: one serves, the other stands by. What stands between the
//! server and the database is what a driver uses (`store/shared`); what the database does with statements
//! is what PostgreSQL would (`machine.rs`, `database.rs`).

mod connection;
mod database;
mod engine;
mod faults;
mod machine;
mod node;
mod promises;
mod run;

use std::panic;

use faults::Fault;
use run::{Options, Run};
use waxwing_testkit::simulation::on_all_processors;

use crate::number;

mod seeds {
    use super::*;

    #[test]
    fn nothing_is_lost_or_repeated_whatever_happens_to_two_servers_and_their_database() {
        if let Some(seed) = number("SIM_SEED") {
            let options = Options { trace: true, ..Options::of_seed(seed) };
            eprintln!("{options:?}");
            return Run::new(options).play();
        }
        // Half as many as of one server: they take longer.
        let seeds = 0..number("SIM_SEEDS").unwrap_or(60) / 2;
        on_all_processors(seeds, |seed| Run::new(Options::of_seed(seed)).play());
    }
}

/// Seeds of which one has to find a fault.
const SEEDS: u64 = 300;

#[test]
fn a_fault_that_is_put_in_by_hand_is_found() {
    for fault in Fault::ALL {
        let finds = |seed: &u64| {
            let options = Options { fault: Some(fault), losses: true, ..Options::of_seed(*seed) };
            panic::catch_unwind(|| Run::new(options).play()).is_err()
        };
        let found = (0..SEEDS).find(finds);
        eprintln!("{fault:?} is found by seed {found:?}");
        assert!(found.is_some(), "nobody finds {fault:?}");
    }
}
