//! Everything on beside nothing on: processor time for a letter, tails at half load, memory.

use std::thread;
use std::time::Duration;

use anyhow::{Context, Result};

use super::everything::{Everything, has_canary};
use super::operator::Operator;
use super::{Sizes, load};
use crate::cores::Side;
use crate::findings::{Comparison, Findings, Goal, Run, Spread};
use crate::floor::Work;
use crate::load::Stage;
use crate::population;
use crate::process::Settings;
use crate::scenarios::{Bench, Writing};

/// Between two looks at a server that has just started.
const LOOK: Duration = Duration::from_millis(50);

/// What the runs of one kind have shown.
#[derive(Default)]
struct Series {
    /// Microseconds of processor time for a letter.
    processor: Vec<f64>,
    /// Milliseconds.
    p99: Vec<f64>,
    /// MiB at the end, and at most.
    memory: Vec<f64>,
    peak: Vec<f64>,
}

impl Series {
    fn add(&mut self, run: &Run, anonymous: u64) {
        self.processor.push(run.processor);
        self.p99.extend(run.latency.map(|[_, p99, _]| p99 / 1e3));
        self.memory.push(anonymous as f64 / 1_024.0);
        self.peak.push(run.memory.1 as f64 / 1_024.0);
    }
}

/// At full and at half load, with nothing on and with everything.
pub(super) fn measure(
    bench: &mut Bench,
    findings: &mut Findings,
    sizes: &Sizes,
    half: f64,
) -> Result<()> {
    let [mut full_off, mut full_on, mut half_off, mut half_on] =
        [(); 4].map(|()| Series::default());
    for _ in 0..sizes.rounds {
        for (is_on, full_load, half_load) in
            [(false, &mut full_off, &mut half_off), (true, &mut full_on, &mut half_on)]
        {
            once(bench, sizes.full_load(), None, is_on, full_load)?;
            once(bench, sizes.half_load(), Some(half), is_on, half_load)?;
        }
    }
    let mut compare = |what: &str, unit: &str, limit, off: &[f64], on: &[f64]| -> Result<()> {
        let [without, with_it] = [off, on].map(|all| Spread::of(all).context("there were no runs"));
        let (without, with_it) = (without?, with_it?);
        let (name, unit) = (what.to_owned(), unit.to_owned());
        findings.comparisons.push(Comparison { name, unit, without, with: with_it, limit });
        Ok(())
    };
    let processor = "processor time a letter";
    let (off, on) = (&full_off, &full_on);
    compare(&format!("full load: {processor}"), "µs", 1.03, &off.processor, &on.processor)?;
    let (off, on) = (&half_off, &half_on);
    compare(&format!("half load: {processor}"), "µs", 1.03, &off.processor, &on.processor)?;
    compare("half load: p99 until a letter is stored", "ms", 1.5, &off.p99, &on.p99)?;
    for (load, off, on) in [("full", &full_off, &full_on), ("half", &half_off, &half_on)] {
        for (what, off, on) in
            [("memory", &off.memory, &on.memory), ("peak of memory", &off.peak, &on.peak)]
        {
            let [off, on] = [off, on].map(|all| Spread::of(all).map_or(f64::NAN, |all| all.middle));
            let name = format!("{load} load, everything on: {what}, beside {off:.1} MiB without");
            findings.goals.push(Goal::new(name, 2.0, on - off, "MiB more"));
        }
    }
    Ok(())
}

fn once(
    bench: &mut Bench,
    writing: Writing,
    rate: Option<f64>,
    is_on: bool,
    series: &mut Series,
) -> Result<()> {
    let people = population::of(2 * writing.pairs, bench.keys);
    let each = match rate {
        Some(rate) => writing.letters_at(rate),
        None => writing.letters_each(&bench.floor),
    };
    let stock = bench.stock(&people, each, writing.payload)?;
    let everything = is_on.then(|| Everything::below(&bench.dir, &bench.binary)).transpose()?;
    bench.settings = everything.as_ref().map_or_else(Settings::default, Everything::settings);
    let (mut data, server) = bench.start(&people, 0, 0)?;
    bench.settings = Settings::default();
    let _cores = bench.half(Side::Clients)?;
    if is_on {
        let operator = Operator { binary: &bench.binary, data: data.path() };
        settle(operator, has_canary(&bench.binary))?;
    }
    let stage = bench.stage(&people, &stock, &server, &mut data);
    // A tail is a few letters, which the yardstick would make wait.
    let yardstick = if rate.is_some() { None } else { stage.yardstick };
    let load = load(&writing, rate);
    let measured = Stage { yardstick, ..stage }.relay(load, writing.span, |_| {
        everything.as_ref().map_or(Ok(()), |everything| everything.scrape_for(writing.span))
    })?;
    let run =
        Run::new(String::new(), &bench.floor, Work::V, None).with_load(&measured, server.memory()?);
    series.add(&run, server.anonymous_memory()?);
    server.stop()
}

/// Waits for what the server does once: a first backup, and keys for its canary.
fn settle(operator: Operator<'_>, has_canary: bool) -> Result<()> {
    loop {
        let (_, status) = operator.status()?;
        let has = |part: &str, moment: &str| !status[part][moment].is_null();
        if has("backup", "verified") && (!has_canary || has("canary", "succeeded")) {
            return Ok(());
        }
        thread::sleep(LOOK);
    }
}
