//! How long an operator waits for the answer of a server that has much to do, or of which a loop hangs.

use std::fs;
use std::process::{Child, Command, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use rustix::process::{Pid, Signal, kill_process};

use super::everything::Everything;
use super::operator::Operator;
use super::{Sizes, load};
use crate::cores::Side;
use crate::findings::{Findings, Goal, micros, quantile};
use crate::load::Stage;
use crate::population;
use crate::process::{Server, Settings};
use crate::scenarios::{Bench, Writing};

/// Between two commands.
const PAUSE: Duration = Duration::from_millis(200);
/// For a loop to begin, and for its being held.
const SETTLE: Duration = Duration::from_secs(1);
/// So long it is held, in microseconds.
const HELD: &str = "60000000";

pub(super) fn measure(
    bench: &mut Bench,
    findings: &mut Findings,
    sizes: &Sizes,
    half: f64,
) -> Result<()> {
    let everything = Everything::below(&bench.dir, &bench.binary)?;
    let file = bench.dir.join("live.toml");
    let change = |at: usize| fs::write(&file, format!("[otp]\nttl = \"{}s\"\n", 600 + at));
    change(0)?;
    let settings = Settings { file: Some(file.clone()), ..everything.settings() };

    let status = |operator: Operator<'_>, _| Ok(operator.status()?.0);
    let answers = beside_load(bench, &settings, (sizes.full_load(), None), &status)?;
    let name = "full load, everything on: slowest `status`";
    findings.goals.push(slowest(name, 250.0, &answers));

    let reload = |operator: Operator<'_>, at| {
        change(at + 1)?;
        let (took, said) = operator.run(&["reload"])?;
        ensure!(said["live"] == serde_json::json!(["otp.ttl"]), "reload says {said}");
        Ok(took)
    };
    let answers = beside_load(bench, &settings, (sizes.half_load(), Some(half)), &reload)?;
    let name = "half load, everything on: slowest `reload`, and nobody was cut off";
    findings.goals.push(slowest(name, 50.0, &answers));
    fs::remove_file(&file)?;

    match hanging_loop(bench) {
        Ok(took) => {
            let name = "one of two loops hangs: `status`, which names it";
            findings.goals.push(Goal::new(name, 2.0, took.as_secs_f64(), "s"));
        }
        Err(error) => {
            findings.skipped.push(format!("`status` while a loop hangs: {error:#}"));
        }
    }
    Ok(())
}

fn slowest(name: &str, limit: f64, ascending: &[Duration]) -> Goal {
    let [middle, most] = [0.5, 1.0].map(|part| micros(quantile(ascending, part)) / 1e3);
    let name = format!("{name} of {}, the middle one took {middle:.1} ms", ascending.len());
    Goal::new(name, limit, most, "ms")
}

/// How long each of many commands took while letters were written, in ascending order. Everybody has
/// their session before and after.
fn beside_load(
    bench: &mut Bench,
    settings: &Settings,
    (writing, rate): (Writing, Option<f64>),
    command: &dyn Fn(Operator<'_>, usize) -> Result<Duration>,
) -> Result<Vec<Duration>> {
    let people = population::of(2 * writing.pairs, bench.keys);
    let each = match rate {
        Some(rate) => writing.letters_at(rate),
        None => writing.letters_each(&bench.floor),
    };
    let stock = bench.stock(&people, each, writing.payload)?;
    bench.settings = settings.clone();
    let (mut data, server) = bench.start(&people, 0, 0)?;
    bench.settings = Settings::default();
    let path = data.path().to_owned();
    let operator = Operator { binary: &bench.binary, data: &path };
    let _cores = bench.half(Side::Clients)?;
    let stage = Stage { yardstick: None, ..bench.stage(&people, &stock, &server, &mut data) };
    let load = load(&writing, rate);
    let mut answers = Vec::new();
    let mut sessions = None;
    stage.relay(load, writing.span, |sight| {
        let begun = Instant::now();
        while begun.elapsed() < writing.span && !sight.is_over() {
            answers.push(command(operator, answers.len())?);
            thread::sleep(PAUSE);
        }
        sessions = operator.status()?.1["sessions"].as_u64();
        Ok(())
    })?;
    ensure!(
        sessions == Some(writing.pairs as u64),
        "of {} sessions there are {sessions:?}",
        writing.pairs
    );
    server.stop()?;
    answers.sort_unstable();
    Ok(answers)
}

/// How long `status` takes of a server that has two loops, while `strace` holds the second one.
fn hanging_loop(bench: &mut Bench) -> Result<Duration> {
    let given = bench.binary.loops.replace(2);
    let started = bench.start(&[], 0, 0);
    bench.binary.loops = given;
    let (data, server) = started?;
    let operator = Operator { binary: &bench.binary, data: data.path() };
    let held = Held::hold(&server)?;
    let (took, said) = operator.status()?;
    drop(held);
    let answers: Vec<_> = said["loops"]
        .as_array()
        .context("status names loops")?
        .iter()
        .map(|one| one["answers"].as_bool())
        .collect();
    ensure!(answers == [Some(true), Some(false)], "of the loops, these answer: {answers:?}");
    Ok(took)
}

/// A loop that does not go on.
struct Held(Child);

impl Held {
    fn hold(server: &Server) -> Result<Self> {
        // It begins when the first loop listens.
        thread::sleep(SETTLE);
        let thread = server.thread("waxwing-loop-1")?.context("the second loop has no thread")?;
        let mut strace = Command::new("strace")
            .args(["-e", "trace=epoll_wait", "-e"])
            .arg(format!("inject=epoll_wait:delay_enter={HELD}"))
            .args(["-o", "/dev/null", "-p", &thread.to_string()])
            .stderr(Stdio::null())
            .spawn()
            .context("strace, which holds the loop")?;
        thread::sleep(SETTLE);
        ensure!(strace.try_wait()?.is_none(), "strace may not hold the loop");
        Ok(Self(strace))
    }
}

impl Drop for Held {
    fn drop(&mut self) {
        let _ = kill_process(Pid::from_child(&self.0), Signal::TERM);
        let _ = self.0.wait();
    }
}
