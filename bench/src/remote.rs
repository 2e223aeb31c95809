//! A server that runs already, under a load of a chosen size for a chosen time: what an operator does to see
//! whether a machine is large enough. The server is not looked into; it may be on another machine.

use std::fmt;
use std::fs;
use std::io::{self, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow, ensure};
use clap::Args;
use rand_chacha::rand_core::Rng;
use waxwing_aws_lc::{AwsLc, AwsLcPublicKey};
use waxwing_core::crypto::{PrivateKey, Provider, Spki};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::phone::Phone;
use waxwing_server::backend;

use crate::findings::{Findings, micros, quantile};
use crate::keys;
use crate::letters::Stock;
use crate::load::{Load, Measured, Stage};
use crate::pair::Tally;
use crate::population::{self, Clients, Errand, Person};
use crate::scenarios::{Bench, Writing};

/// Letters are signed for so long, sent, and signed anew: they are fresh for some minutes only.
const ROUND: Duration = Duration::from_secs(30);
/// Who registers at a time: a server has a budget for those who are new.
const NEWCOMERS: f64 = 50.0;

/// Which server, and how much.
#[derive(Clone, Debug, Args)]
pub(crate) struct RemoteArgs {
    /// Where it listens
    #[arg(value_name = "ADDRESS:PORT")]
    address: SocketAddr,
    /// Its public key, server.pub.pem
    #[arg(long, value_name = "FILE")]
    server_key: PathBuf,
    /// Pairs of people; they are registered, and stay on the server
    #[arg(long, default_value_t = 50, value_name = "N")]
    pub(crate) pairs: usize,
    /// Letters a second, of all pairs together
    #[arg(long, default_value_t = 200.0, value_name = "N")]
    rate: f64,
    /// Bytes of text in a letter
    #[arg(long, default_value_t = 100, value_name = "B")]
    payload: usize,
    /// How long
    #[arg(long, default_value_t = 10.0, value_name = "MINUTES")]
    minutes: f64,
}

/// Registers people, and has them write to each other until the time is over.
pub(crate) fn run(args: &RemoteArgs, bench: &Bench, findings: &mut Findings) -> Result<()> {
    let span = Duration::try_from_secs_f64(args.minutes * 60.0).context("--minutes")?;
    ensure!(args.pairs > 0 && args.rate > 0.0, "nobody writes");
    let server_key = read_key(&args.server_key)?;
    let people = newcomers(args, server_key)?;
    let (mut rounds, mut tally, begun) = (Vec::new(), Tally::default(), Instant::now());
    while let Some(left) = span.checked_sub(begun.elapsed()).filter(|left| !left.is_zero()) {
        let writing = Writing {
            pairs: args.pairs,
            window: 128,
            payload: args.payload,
            span: left.min(ROUND),
        };
        let stock = Stock::sign(&people, writing.letters_at(args.rate), args.payload)?;
        let stage = Stage {
            people: &people,
            stock: &stock,
            server: None,
            address: args.address,
            server_key,
            threads: bench.threads,
            yardstick: None,
        };
        let load = Load { rate: Some(args.rate), ..writing.load() };
        let measured = stage.relay(load, writing.span, |_| Ok(()))?;
        tally.add(&measured.tally);
        let round = Round::of(&measured);
        writeln!(io::stderr(), "\nafter {:.0} s: {round}", begun.elapsed().as_secs_f64())?;
        rounds.push(round);
    }
    let all = Round::all(rounds).context("--minutes is too short for a letter")?;
    let (pairs, rate) = (args.pairs, args.rate);
    findings.remarks.push(format!("{pairs} pairs, {rate} letters a second wanted: {all}"));
    let Tally { lost, duplicated, .. } = tally;
    ensure!(lost == 0 && duplicated == 0, "{lost} letters were lost, and {duplicated} came twice");
    Ok(())
}

/// What some seconds have shown.
struct Round {
    letters: usize,
    span: Duration,
    /// How long half of the letters took at most, 99 of 100, and all: from their going out to their recipients.
    took: [Duration; 3],
}

impl Round {
    fn of(measured: &Measured) -> Self {
        let took = [0.5, 0.99, 1.0].map(|part| quantile(&measured.latencies, part));
        Self { letters: measured.letters, span: measured.spent.span, took }
    }

    /// All of them together, where the worst one counts.
    fn all(rounds: Vec<Self>) -> Option<Self> {
        rounds.into_iter().reduce(|all, one| Self {
            letters: all.letters + one.letters,
            span: all.span + one.span,
            took: [0, 1, 2].map(|at| all.took[at].max(one.took[at])),
        })
    }
}

impl fmt::Display for Round {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let per_second = self.letters as f64 / self.span.as_secs_f64();
        let [half, most, all] = self.took.map(|took| micros(took) / 1e3);
        write!(
            f,
            "{} letters arrived, {per_second:.0} a second; half of them within {half:.1} ms, 99 of 100 within \
             {most:.1} ms, and all within {all:.1} ms",
            self.letters
        )
    }
}

fn read_key(file: &Path) -> Result<&'static AwsLcPublicKey> {
    let wrong = || file.display().to_string();
    let pem = fs::read(file).with_context(wrong)?;
    let (_, der) =
        pem_rfc7468::decode_vec(&pem).map_err(|error| anyhow!("{error}")).with_context(wrong)?;
    let spki = Spki::parse(&der)
        .map_err(|_| anyhow!("this is no public key of a server"))
        .with_context(wrong)?;
    let key =
        AwsLc.public_key(&spki).map_err(|_| anyhow!("this key is refused")).with_context(wrong)?;
    Ok(Box::leak(Box::new(key)))
}

/// People whom the server does not know: with new keys, and phones of a country that there is not.
fn newcomers(args: &RemoteArgs, server_key: &'static AwsLcPublicKey) -> Result<Vec<Person>> {
    let directory = tempfile::tempdir()?;
    let count = 2 * args.pairs;
    let keys = keys::pool(&directory.path().join("keys"), count)?;
    ensure!(
        keys.len() == count,
        "--pairs: at most {} of them have keys of their own",
        keys.len() / 2
    );
    let mut people = population::of(count, keys);
    let block = backend::random().next_u32() % 10_000;
    for (number, person) in people.iter_mut().enumerate() {
        person.phone = Phone::parse(format!("+9799{block:04}{number:04}").as_bytes())?;
        person.fingerprint = Fingerprint::of(&AwsLc, &person.phone, person.keys.private.spki());
        person.last_session = None;
    }
    let mut clients = Clients::new(&people, args.address, server_key, Errand::Register)?;
    clients.connect(0..count, Some(NEWCOMERS)).context(
        "they cannot be registered: the server has to say codes in band (otp.delivery = \"in-band\"), and its \
         limits.exempt has to name the address of this machine",
    )?;
    let users = clients.users()?;
    drop(clients);
    people.iter_mut().zip(users).for_each(|(person, user)| person.user = user);
    Ok(people)
}
