//! Compares the Rust decoder with another one, which is a program: it reads inputs from its standard
//! input and prints a line for each (`verdicts.py` is one, and says how). `fuzz/differential` runs it.

use std::collections::BTreeMap;
use std::io::{self, BufRead, BufReader, BufWriter, Write};
use std::process::{Command, ExitCode, Stdio};
use std::sync::mpsc;
use std::time::Instant;
use std::{env, thread};

use rand_chacha::ChaCha8Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_testkit::differential::{Input, Inputs, Kind, kept, verdict};

const USAGE: &str =
    "usage: differential [--inputs N] [--seed S] [--input KIND HEX] -- DECODER ARGUMENT ...";
/// After so many differences the run ends.
const ENOUGH: usize = 10;

struct Options {
    inputs: usize,
    seed: u64,
    /// The only input.
    only: Option<Input>,
    decoder: Vec<String>,
}

fn main() -> ExitCode {
    let Some(options) = options(env::args().skip(1)) else {
        eprintln!("{USAGE}");
        return ExitCode::from(2);
    };
    match compare(&options) {
        Ok(0) => ExitCode::SUCCESS,
        Ok(found) => {
            println!("differential: {found} differences; the seed is {}", options.seed);
            ExitCode::FAILURE
        }
        Err(error) => {
            println!("differential: the other decoder cannot be run, or ended early: {error}");
            ExitCode::FAILURE
        }
    }
}

fn options(mut words: impl Iterator<Item = String>) -> Option<Options> {
    let mut options = Options { inputs: 1_000_000, seed: 1, only: None, decoder: Vec::new() };
    while let Some(word) = words.next() {
        match word.as_str() {
            "--inputs" => options.inputs = words.next()?.parse().ok()?,
            "--seed" => options.seed = words.next()?.parse().ok()?,
            "--input" => {
                let name = words.next()?;
                let kind = Kind::ALL.into_iter().find(|kind| format!("{kind:?}") == name)?;
                options.only = Some((kind, unhex(&words.next()?)?));
            }
            "--" => options.decoder = words.by_ref().collect(),
            _ => return None,
        }
    }
    (!options.decoder.is_empty()).then_some(options)
}

/// Gives the same inputs to both; how many they disagree about.
fn compare(options: &Options) -> io::Result<usize> {
    let begun = Instant::now();
    let mut other = Command::new(&options.decoder[0])
        .args(&options.decoder[1..])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .spawn()?;
    let (mut to, from) = (other.stdin.take(), other.stdout.take());
    let mut to = BufWriter::new(to.take().expect("it is piped"));
    let from = BufReader::new(from.expect("it is piped"));

    let mut inputs = kept();
    let count = inputs.len();
    let mut drawn = Inputs::new(ChaCha8Rng::seed_from_u64(options.seed), inputs.clone());
    if let Some(only) = &options.only {
        inputs = vec![only.clone()];
    }
    let more = if options.only.is_some() { 0 } else { options.inputs.saturating_sub(count) };
    let (said, awaited) = mpsc::channel();
    let writer = thread::spawn(move || -> io::Result<()> {
        for (kind, bytes) in inputs.into_iter().chain((0..more).map(|_| drawn.draw())) {
            to.write_all(&(bytes.len() as u32).to_le_bytes())?;
            to.write_all(&[kind as u8])?;
            to.write_all(&bytes)?;
            let _ = said.send((kind, verdict(kind, &bytes), bytes));
        }
        to.flush()
    });

    let mut taken = BTreeMap::<String, [usize; 2]>::new();
    let mut found = 0;
    for line in from.lines() {
        let line = line?;
        let Ok((kind, ours, bytes)) = awaited.recv() else {
            return Err(io::Error::other(format!("it says more than it was asked: {line}")));
        };
        taken.entry(format!("{kind:?}")).or_default()[usize::from(!is_taken(&ours))] += 1;
        if ours != line {
            found += 1;
            println!("--input {kind:?} {}\n  Rust:  {ours}\n  other: {line}", hex(&bytes));
            if found == ENOUGH {
                break;
            }
        }
    }
    if found == ENOUGH {
        other.kill()?;
        let _ = other.wait();
        return Ok(found);
    }
    let silent = awaited.try_recv();
    other.wait()?;
    if let Ok((kind, _, bytes)) = silent {
        let what = format!("it has no verdict on --input {kind:?} {}", hex(&bytes));
        return Err(io::Error::other(what));
    }
    writer.join().expect("the generator does not panic")?;
    report(&taken, begun);
    Ok(found)
}

fn is_taken(line: &str) -> bool {
    !line.ends_with("failed")
        && !["malformed", "bad phone", "weak key", "no packet"].contains(&line)
}

fn report(taken: &BTreeMap<String, [usize; 2]>, begun: Instant) {
    println!("{:<22} {:>9} {:>9}", "kind", "accepted", "refused");
    for (kind, [accepted, refused]) in taken {
        println!("{kind:<22} {accepted:>9} {refused:>9}");
    }
    let sum: usize = taken.values().flatten().sum();
    println!("differential: {sum} inputs in {:.1} s", begun.elapsed().as_secs_f32());
}

fn hex(bytes: &[u8]) -> String {
    bytes.iter().map(|byte| format!("{byte:02x}")).collect()
}

fn unhex(text: &str) -> Option<Vec<u8>> {
    let pairs = text.as_bytes().chunks(2);
    pairs.map(|pair| u8::from_str_radix(std::str::from_utf8(pair).ok()?, 16).ok()).collect()
}
