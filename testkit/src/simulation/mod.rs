//! People, honest and hostile, whose connections, processes, disks, storage and server come and go at
//! random, and an operator who intervenes; and a model of a few lines that everything is held against after every step. Honest people
//! are [participants](crate::participant): client machine and messenger over a profile in memory.
//! Their processes die between any two steps, and the profile fails at any change; between two steps
//! another process writes letters, gives them up, blocks people, accepts keys and deletes. Hostile
//! people, and those without an account, send packets by hand.
//!
//! From person to person (`letters.rs`):
//!
//! - What a person is shown was written, by the one whose letter it is said to be, to this person, and
//!   with these words; it is shown once, and letters of one person in the order of their writing.
//! - In the end every letter that was not given up is delivered, or has expired, or nobody has that
//!   phone; its author knows, and what is delivered was shown, unless its author is blocked.
//! - What is said to be delivered is durable at its recipient. What goes out is durable at its author:
//!   letters, and acknowledgments of letters.
//! - No conversation has two letters on their way in a session.
//!
//! On the connections of honest people, where somebody with their keys reads along (`packets.rs`):
//!
//! - No letter that was said to be stored is lost, across crashes, unless its life is over; what was
//!   said to be delivered was acknowledged, and what was said to have expired has.
//! - Nobody gets a letter that nobody has signed for them.
//! - Within a session every letter is handed over at most once and in the order of the queue; never
//!   more than the window is unacknowledged; 255 comes once, after the last letter that was pending
//!   at the confirmation.
//! - Whoever gives good bytes is not refused, and no client ends a connection because of what the
//!   server does there.
//!
//! And at the server:
//!
//! - No crash sends anybody a code more than the limits allow.
//! - The counters of every mailbox that is known are the letters that storage holds or the server has in
//!   hand, after every step; and what a sender has pending is what counts in all mailboxes, and in the
//!   mail between machines.
//! - The machine never reports an error of its own.
//!
//! When the server gets another key, everybody who was told of it goes on without being asked: what is
//! said above holds before and after, whatever their clocks say.

mod act;
mod dice;
mod hostile;
mod letters;
mod network;
mod observer;
mod other_process;
mod packets;
mod people;
mod run;
mod strangers;

use std::collections::BTreeSet;
use std::panic::RefUnwindSafe;

use waxwing_core::server::LetterState;

pub use act::Act;
pub use dice::{Dice, Script, Seeded};

use people::KeyRing;

/// What a run is made of.
#[derive(Clone, Copy, Debug)]
pub struct Options {
    /// Honest people.
    pub people: usize,
    /// People with accounts who keep to no rule.
    pub hostile: usize,
    /// Machines that are the server together, with delays between them.
    pub shards: u16,
    /// Letters that one of them may have in the mailbox of another.
    pub pair_letters: u32,
    /// Some letters have 60,000 bytes. Without them people have less memory, and a run takes less time.
    pub large_letters: bool,
    /// Steps, at most: it ends when there are no more decisions.
    pub steps: usize,
    /// The network delays, cuts, and lets bits fall over.
    pub bad_network: bool,
    /// Storage refuses now and then.
    pub bad_storage: bool,
    /// Letters live for a minute, and the clock is set forward now and then.
    pub short_lives: bool,
    /// The server gets another key now and then, after it has told everybody.
    pub key_changes: bool,
    /// Processes of people die, their disks have no room, and they have other processes.
    pub crashes: bool,
    /// The seed of everybody's keys and nonces.
    pub seed: u64,
    /// Every step is printed.
    pub trace: bool,
}

impl Options {
    /// The options that a seed stands for: 2 to 50 people, trouble of every kind.
    #[must_use]
    pub fn of_seed(seed: u64, steps: usize) -> Self {
        let mut dice = Seeded::new(!seed);
        let people = match dice.roll(64) {
            0 => 50,
            1..4 => 7 + dice.roll(20),
            _ => 2 + dice.roll(5),
        };
        let [bad_network, bad_storage] = [dice.roll(4) != 0, dice.roll(2) == 0];
        let hostile = dice.roll(3);
        let shards = 1 + dice.roll(4) as u16;
        let short_lives = dice.roll(4) == 0;
        let crashes = dice.roll(4) != 0;
        let key_changes = dice.roll(3) == 0;
        Self {
            people,
            hostile,
            shards,
            pair_letters: 12,
            large_letters: true,
            steps,
            bad_network,
            bad_storage,
            short_lives,
            key_changes,
            crashes,
            seed,
            trace: false,
        }
    }
}

/// What has come about in a run.
#[derive(Debug, Default)]
pub struct Played {
    /// The states of letters in hand that there were.
    pub letter_states: BTreeSet<LetterState>,
    /// What the steps have come to, in words.
    pub steps: BTreeSet<&'static str>,
    /// Letters that were shown to whom they were written.
    pub shown: usize,
    /// Bytes of the longest of them.
    pub longest: usize,
}

/// One run, to its end.
///
/// # Panics
/// When something does not hold.
pub fn run(script: &mut dyn Script, options: Options) -> Played {
    let keys = KeyRing::new(&options);
    run::Run::new(script, options, &keys).play()
}

/// Runs seeds on all processors, and says which have failed. Gives the states of letters in hand that
/// there were.
///
/// # Panics
/// When one did.
pub fn run_seeds(seeds: std::ops::Range<u64>, steps: usize) -> BTreeSet<LetterState> {
    let run = |seed| run(&mut Seeded::new(seed), Options::of_seed(seed, steps)).letter_states;
    on_all_processors(seeds, run).into_iter().flatten().collect()
}

/// Runs something for each seed on all processors, and says for which it has failed. Gives what came
/// of each, in no order.
///
/// # Panics
/// When it did for one.
pub fn on_all_processors<T: Send>(
    seeds: std::ops::Range<u64>,
    run: impl Fn(u64) -> T + RefUnwindSafe + Sync,
) -> Vec<T> {
    let next = std::sync::atomic::AtomicU64::new(seeds.start);
    let work = || {
        let (mut failed, mut results) = (Vec::new(), Vec::new());
        loop {
            let seed = next.fetch_add(1, std::sync::atomic::Ordering::Relaxed);
            if seed >= seeds.end {
                return (failed, results);
            }
            match std::panic::catch_unwind(|| run(seed)) {
                Ok(result) => results.push(result),
                Err(_) => {
                    eprintln!("seed {seed} failed: SIM_SEED={seed} shows it");
                    failed.push(seed);
                }
            }
        }
    };
    let processors = std::thread::available_parallelism().map_or(1, std::num::NonZero::get);
    let ends: Vec<_> = std::thread::scope(|scope| {
        let threads: Vec<_> = (0..processors).map(|_| scope.spawn(work)).collect();
        threads.into_iter().map(|thread| thread.join().unwrap()).collect()
    });
    let (failed, results): (Vec<Vec<u64>>, Vec<Vec<T>>) = ends.into_iter().unzip();
    let failed = failed.concat();
    assert!(failed.is_empty(), "seeds {failed:?} failed");
    results.into_iter().flatten().collect()
}
