//! The runs of `all`, and which of the goals each is for.

use std::time::Duration;

use anyhow::Result;

use crate::findings::{Findings, Goal, Run};
use crate::scenarios::{Bench, Writing, count, median};

const PAYLOAD: usize = 100;

/// Sizes at scale 1.
struct Sizes {
    span: Duration,
    clients: usize,
    storm: usize,
    pace: f64,
    newcomers: usize,
    few_letters: u32,
    many_letters: u32,
    many_pairs: usize,
}

impl Sizes {
    fn new(scale: f64) -> Self {
        let scaled = |number: f64| ((number * scale) as usize).max(10);
        let letters = |number: f64| (number * scale) as u32;
        Self {
            span: Duration::from_secs_f64(3.0 * scale),
            clients: scaled(10_000.0),
            storm: scaled(5_000.0),
            pace: 250.0,
            newcomers: scaled(500.0),
            few_letters: letters(1_000.0).max(1),
            many_letters: letters(1_000_000.0).max(1),
            many_pairs: scaled(500.0),
        }
    }

    fn writing(&self, pairs: usize, window: u8) -> Writing {
        Writing { pairs, window, payload: PAYLOAD, span: self.span }
    }
}

/// People that [`run`] plays at most.
pub(crate) fn population(scale: f64) -> usize {
    let sizes = Sizes::new(scale);
    sizes.clients.max(sizes.storm + 100).max(2 * sizes.many_pairs)
}

/// Everything.
pub(crate) fn run(bench: &mut Bench, findings: &mut Findings, scale: f64) -> Result<()> {
    let sizes = Sizes::new(scale);
    let alone = bench.relay(sizes.writing(1, 1))?;
    findings.goals.push(median(&alone, 0.3)?);
    findings.add(alone);
    findings.add(bench.relay(sizes.writing(50, 64))?);
    loops(bench, findings, &sizes)?;
    findings.add(bench.relay(sizes.writing(50, 1))?);
    findings.add(bench.relay(sizes.writing(sizes.many_pairs, 1))?);

    for payload in [64, 4_000, 60_000] {
        // Everything is signed before: large letters for a shorter time.
        let span = sizes.span.mul_f64((4_000.0 / payload as f64).min(1.0));
        let writing = Writing { payload, span, ..sizes.writing(50, 64) };
        let run = bench.relay_once(writing)?;
        let name = format!("{}, {payload} bytes of text", run.name);
        findings.runs.push(Run { name, goal: None, ..run });
    }

    let few = bench.offline(sizes.writing(50, 64), sizes.few_letters)?;
    let many = bench.offline(sizes.writing(50, 64), sizes.many_letters)?;
    let growth = |what: &str, few: &Run, many: &Run| {
        let name = format!("{what} a full database, beside an empty one");
        Goal::new(name, 1.3, many.ratio() / few.ratio(), "times")
    };
    let grown = [
        growth("sending to", &few.sending, &many.sending),
        growth("draining", &few.draining, &many.draining),
    ];
    for run in [few.sending, few.draining, many.sending, many.draining] {
        findings.add(run);
    }
    findings.goals.extend(grown);
    findings.goals.push(many.start);

    findings.add(bench.register(sizes.newcomers)?);
    let (run, goal) = bench.storm(sizes.clients)?;
    findings.add(run);
    findings.goals.push(goal);
    findings.goals.push(bench.idle(sizes.clients)?);
    // Long enough for the storm.
    let span = Duration::from_secs_f64(sizes.storm as f64 / sizes.pace);
    let writing = Writing { span, ..sizes.writing(50, 64) };
    let (runs, goal) = bench.latency(writing, sizes.storm, sizes.pace)?;
    findings.runs.extend(runs);
    findings.goals.push(goal);
    Ok(())
}

/// One event loop beside two.
fn loops(bench: &mut Bench, findings: &mut Findings, sizes: &Sizes) -> Result<()> {
    if !bench.binary.knows("server.loops") {
        findings.skipped.push("two loops beside one; the server has no setting for it".into());
        return Ok(());
    }
    let given = bench.binary.loops;
    bench.apart = true;
    let mut with = |loops| -> Result<Run> {
        bench.binary.loops = Some(loops);
        let run = bench.relay(sizes.writing(50, 64))?;
        Ok(Run {
            name: format!("{}, {}, apart", run.name, count(loops as usize, "loop")),
            goal: None,
            ..run
        })
    };
    let (one, two) = (with(1)?, with(2)?);
    (bench.binary.loops, bench.apart) = (given, false);
    let reached = two.ratio() / one.ratio();
    findings.goals.push(Goal::new("two loops beside one: processor time", 1.1, reached, "times"));
    findings.runs.extend([one, two]);
    Ok(())
}
