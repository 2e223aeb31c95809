//! What it costs to look after a server: everything on that an operator can turn on, beside a server
//! that nobody looks after, in turn and in one run.

mod answers;
mod backup;
mod capacity;
mod cost;
mod everything;
mod operator;
mod rotation;
pub(crate) mod section;

use std::io::{self, Write};
use std::time::Duration;

use anyhow::Result;
use clap::ValueEnum;

pub(crate) use self::everything::has_canary;
use crate::findings::Findings;
use crate::load::Load;
use crate::pair::Until;
use crate::process::Settings;
use crate::scenarios::{Bench, Writing};

const PAYLOAD: usize = 100;
/// How long it is measured what half load is.
const CAPACITY_SPAN: Duration = Duration::from_secs(3);

/// What can be measured by itself.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub(crate) enum Part {
    /// Processor time, tails and memory, with everything on and without
    Cost,
    /// How long `status` and `reload` take
    Answers,
    /// What letters notice of a backup, and what memory it takes
    Backup,
    /// Memory for users and sessions
    Capacity,
    /// How long it takes until everybody is back under another key of the server
    Rotation,
}

impl Part {
    pub(crate) const ALL: [Self; 5] =
        [Self::Cost, Self::Answers, Self::Capacity, Self::Rotation, Self::Backup];
}

/// Sizes at scale 1.
pub(crate) struct Sizes {
    pairs: usize,
    /// Runs with everything on, and as many without.
    rounds: usize,
    /// At full load.
    full: Duration,
    /// At half load.
    half: Duration,
    /// In the database that is backed up.
    users: u16,
    letters: u32,
    sessions: usize,
}

impl Sizes {
    pub(crate) fn new(rounds: usize, letters: u32, scale: f64) -> Self {
        let scaled = |number: f64, least: f64| (number * scale).max(least);
        let span = |seconds| Duration::from_secs_f64(scaled(seconds, 0.2));
        Self {
            pairs: scaled(50.0, 2.0) as usize,
            rounds,
            full: span(8.0),
            half: span(20.0),
            users: scaled(65_535.0, 100.0) as u16,
            letters,
            sessions: scaled(10_000.0, 2.0) as usize,
        }
    }

    /// People that are played at most.
    pub(crate) fn population(&self) -> usize {
        self.sessions.max(4 * self.pairs)
    }

    fn full_load(&self) -> Writing {
        Writing { pairs: self.pairs, window: 64, payload: PAYLOAD, span: self.full }
    }

    /// At half load letters are written by the clock; a window that is hardly ever full is none.
    fn half_load(&self) -> Writing {
        Writing { window: 128, span: self.half, ..self.full_load() }
    }
}

/// Letters to people who are away, so many a second or as fast as it goes: each has to be on the disk
/// before it is stored.
fn load(writing: &Writing, rate: Option<f64>) -> Load {
    Load { recipients: false, until: Until::Answered, rate, ..writing.load() }
}

/// Measures `parts`.
pub(crate) fn measure(
    bench: &mut Bench,
    findings: &mut Findings,
    parts: &[Part],
    sizes: &Sizes,
) -> Result<()> {
    bench.apart = true;
    let span = CAPACITY_SPAN.min(sizes.full);
    let capacity = bench.relay_once(Writing { window: 1, span, ..sizes.full_load() })?;
    let half = capacity.per_second / 2.0;
    findings.remarks.push(format!("half load is {half:.0} letters a second"));
    for part in parts {
        // A backup has the cores that the server leaves, so both sides have all of them.
        bench.apart = *part != Part::Backup;
        let measured = match part {
            Part::Cost => cost::measure(bench, findings, sizes, half),
            Part::Answers => answers::measure(bench, findings, sizes, half),
            Part::Backup => backup::measure(bench, findings, sizes, half),
            Part::Capacity => capacity::measure(bench, findings, sizes),
            Part::Rotation => rotation::measure(bench, findings, sizes),
        };
        bench.settings = Settings::default();
        // The others may have taken long.
        if let Err(error) = measured {
            findings.skipped.push(format!("{part:?}: {error:#}"));
        }
        writeln!(io::stderr(), "\n{findings}")?;
    }
    bench.apart = false;
    Ok(())
}
