//! What happens in a simulated world, as bytes that a fuzzer may change anywhere: a change reaches one
//! step, and what a step is does not depend on the steps before it.
//!
//! A byte of 128 or more begins a step, and says what happens in it: [`Act::ALL`], by its number. The
//! bytes below 128 behind it are the step's choices: the first chooses the person, and the others are
//! rolled where the step leaves something open. When there are no more, numbers follow that are drawn
//! from the choices. The bytes before the first step choose what the world is made of.

use std::fmt;

use waxwing_core_fuzz::readable::Form;
use waxwing_testkit::simulation::{Act, Dice, Options, Script};

/// The byte that begins a step has this bit.
const STEP: u8 = 128;
/// Steps of a run, at most.
const STEPS: usize = 400;

/// Of so many runs one has large letters.
pub const LARGE: usize = 16;

/// A run's decisions.
#[derive(Clone, Copy)]
pub struct Decisions<'a>(pub &'a [u8]);

impl<'a> Decisions<'a> {
    /// What the world is made of, and the script for it.
    #[must_use]
    pub fn play(self) -> (Options, impl Script + use<'a>) {
        let mut player = Player { steps: self.steps(), choices: Choices::new(self.setup()) };
        let options = Options {
            people: 2 + player.roll(3),
            hostile: player.roll(2),
            shards: 1 + player.roll(3) as u16,
            pair_letters: 4,
            bad_network: player.roll(2) != 0,
            bad_storage: player.roll(2) != 0,
            short_lives: player.roll(2) != 0,
            crashes: player.roll(2) != 0,
            // They take ten times as long.
            large_letters: player.roll(LARGE) == LARGE - 1,
            key_changes: player.roll(2) != 0,
            steps: STEPS,
            seed: 7,
            trace: false,
        };
        (options, player)
    }

    /// The steps, each with its choices.
    fn steps(self) -> impl Iterator<Item = (Act, &'a [u8])> + use<'a> {
        let steps = self.0.get(self.setup().len()..).unwrap_or_default();
        steps.chunk_by(|_, next| next & STEP == 0).filter_map(|step| {
            let (head, choices) = step.split_first()?;
            let (act, _) = Act::ALL[usize::from(head & !STEP) % Act::ALL.len()];
            Some((act, choices))
        })
    }

    fn setup(self) -> &'a [u8] {
        let len = self.0.iter().position(|byte| byte & STEP != 0);
        &self.0[..len.unwrap_or(self.0.len())]
    }
}

impl Form for Decisions<'_> {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        writeln!(f, "{:#?}", Decisions(bytes).play().0)?;
        for (act, choices) in Decisions(bytes).steps() {
            writeln!(f, "{act:?} {choices:?}")?;
        }
        Ok(())
    }
}

/// The bytes of a step, for seeds.
///
/// # Panics
/// When a choice is not below 128.
#[must_use]
pub fn step(act: Act, choices: &[u8]) -> Vec<u8> {
    assert!(choices.iter().all(|choice| choice & STEP == 0), "a choice is below 128");
    let at = Act::ALL.iter().position(|(one, _)| *one == act).expect("all acts are there");
    [&[STEP | at as u8], choices].concat()
}

/// The choices of a step, and what follows from them.
struct Choices<'a> {
    left: &'a [u8],
    drawn: u64,
}

impl<'a> Choices<'a> {
    fn new(choices: &'a [u8]) -> Self {
        // The FNV hash: steps with different choices go on differently.
        let mix = |hash: u64, byte: &u8| (hash ^ u64::from(*byte)).wrapping_mul(0x100_0000_01b3);
        Self { left: choices, drawn: choices.iter().fold(0xcbf2_9ce4_8422_2325, mix) }
    }

    /// A number below `sides`: of as many choices as that takes.
    fn roll(&mut self, sides: usize) -> usize {
        let (mut value, mut range) = (0, 1);
        while range < sides {
            value = value * 128 + self.next();
            range *= 128;
        }
        value % sides
    }

    fn next(&mut self) -> usize {
        if let Some((choice, left)) = self.left.split_first() {
            self.left = left;
            return usize::from(*choice);
        }
        // SplitMix64.
        self.drawn = self.drawn.wrapping_add(0x9e37_79b9_7f4a_7c15);
        let mixed = (self.drawn ^ (self.drawn >> 30)).wrapping_mul(0xbf58_476d_1ce4_e5b9);
        let mixed = (mixed ^ (mixed >> 27)).wrapping_mul(0x94d0_49bb_1331_11eb);
        (mixed >> 57) as usize
    }
}

struct Player<'a, I> {
    steps: I,
    choices: Choices<'a>,
}

impl<I> Dice for Player<'_, I> {
    fn roll(&mut self, sides: usize) -> usize {
        self.choices.roll(sides)
    }
}

impl<'a, I: Iterator<Item = (Act, &'a [u8])>> Script for Player<'a, I> {
    fn next_step(&mut self, people: usize) -> Option<(usize, Act)> {
        let (act, choices) = self.steps.next()?;
        self.choices = Choices::new(choices);
        Some((self.choices.roll(people), act))
    }
}
