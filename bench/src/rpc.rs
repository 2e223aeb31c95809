//! Letters that one program sends, and that one program receives and acknowledges, over `waxwing rpc`.
//!
//! The client whose program it is has half of the cores, on a machine with two that is one; the server and
//! everybody else have the other half.

use std::collections::BTreeSet;
use std::io::{BufRead, BufReader, Write};
use std::net::SocketAddr;
use std::path::{Path, PathBuf};
use std::process::{Child, ChildStdin, ChildStdout, Command, Stdio};
use std::time::{Duration, Instant};

use anyhow::{Context, Result, bail, ensure};
use clap::Args;
use serde_json::{Value, json};

use crate::cores::{Half, Side};
use crate::findings::{Findings, Goal, micros};
use crate::process::{Server, processor_time, without_settings};
use crate::scenarios::Bench;

/// Calls without an answer that a program makes at most.
const CALLS: u64 = 64;
/// Letters that a program takes at a time.
const TOGETHER: usize = 100;
/// The name of the program that receives, and of the person.
const NAME: &str = "bench";

/// Who writes, and how much.
#[derive(Debug, Args)]
pub(crate) struct Programs {
    /// The client [default: waxwing beside this program]
    #[arg(long, value_name = "PATH")]
    client: Option<PathBuf>,
    /// Letters that are sent, and as many that are received
    #[arg(long, default_value_t = 10_000, value_name = "N")]
    letters: usize,
    /// People who get those that are sent, and send those that are received
    #[arg(long, default_value_t = 16, value_name = "N")]
    people: usize,
}

/// A client with a home of its own.
struct Person<'a> {
    client: &'a Path,
    home: PathBuf,
    phone: String,
}

impl Person<'_> {
    fn command(&self, arguments: &[&str]) -> Command {
        let mut command = without_settings(self.client);
        // Nor what somebody has set for their own client.
        command.env("XDG_CONFIG_HOME", &self.home).arg("--home").arg(&self.home).args(arguments);
        command
    }

    fn register(&self, server: SocketAddr, key: &Path) -> Result<()> {
        let server = server.to_string();
        let mut command = self.command(&["register", "--server", &server, "--server-key"]);
        let ran = command.arg(key).arg(&self.phone).stdin(Stdio::null()).output()?;
        ensure!(ran.status.success(), "cannot register: {}", String::from_utf8_lossy(&ran.stderr));
        Ok(())
    }

    /// `waxwing rpc` with a program of this person's.
    fn program(&self) -> Result<Program> {
        let mut child = self
            .command(&["rpc"])
            .stdin(Stdio::piped())
            .stdout(Stdio::piped())
            .spawn()
            .with_context(|| format!("cannot start {}", self.client.display()))?;
        let requests = child.stdin.take().context("it takes nothing")?;
        let answers = BufReader::new(child.stdout.take().context("it says nothing")?);
        Ok(Program { child, requests: Some(requests), answers, calls: 0, answered: 0 })
    }
}

/// A program, which speaks with a client through its standard input and output.
struct Program {
    child: Child,
    requests: Option<ChildStdin>,
    answers: BufReader<ChildStdout>,
    calls: u64,
    answered: u64,
}

impl Program {
    fn ask(&mut self, method: &str, params: &Value) -> Result<()> {
        self.calls += 1;
        let call =
            json!({ "jsonrpc": "2.0", "id": self.calls, "method": method, "params": params });
        let requests = self.requests.as_mut().context("it takes no more")?;
        writeln!(requests, "{call}").context("a call")
    }

    /// What comes next: the answer to the oldest call, or a notification.
    fn read(&mut self) -> Result<Value> {
        let mut line = String::new();
        ensure!(self.answers.read_line(&mut line)? > 0, "the client has ended");
        let message: Value = serde_json::from_str(&line).context("an answer")?;
        if let Some(error) = message.get("error") {
            bail!("a call was refused: {error}");
        }
        if message.get("id").is_some() {
            self.answered += 1;
        }
        Ok(message)
    }

    fn call(&mut self, method: &str, params: &Value) -> Result<Value> {
        self.ask(method, params)?;
        loop {
            let mut message = self.read()?;
            if message.get("id").is_some() {
                return Ok(message["result"].take());
            }
        }
    }

    /// Sends letters to these phones in turn, and waits until the server has stored all of them.
    fn send(&mut self, letters: usize, phones: &[String]) -> Result<()> {
        self.call("subscribe", &json!({ "events": ["status"] }))?;
        let mut stored = BTreeSet::new();
        let mut next = 0..letters;
        while stored.len() < letters {
            while self.calls - self.answered < CALLS {
                let Some(number) = next.next() else { break };
                let text =
                    format!("a hundred bytes of text, as in the other figures: {number:>50}");
                let to = &phones[number % phones.len()];
                self.ask("send", &json!({ "to": to, "text": text }))?;
            }
            let message = self.read()?;
            let about = &message["params"];
            match about["status"].as_str() {
                Some("stored" | "delivered") => {
                    stored.insert(about["uid"].as_str().context("a letter's uid")?.to_owned());
                }
                Some(other @ ("refused" | "expired")) => bail!("a letter was {other}: {about}"),
                _ => {}
            }
        }
        Ok(())
    }

    /// Receives and acknowledges so many letters.
    fn receive(&mut self, letters: usize) -> Result<()> {
        let next = json!({ "consumer": NAME, "begin": "oldest", "limit": TOGETHER, "wait_s": 60 });
        let mut received = 0;
        while received < letters {
            let page = self.call("next", &next)?;
            let page = page.as_array().context("letters")?;
            let last = page.last().context("no letter came for a minute")?;
            received += page.len();
            self.call("ack", &json!({ "consumer": NAME, "id": last["id"] }))?;
        }
        Ok(())
    }

    /// The client's processor time so far.
    fn spent(&self) -> Result<Duration> {
        processor_time(self.child.id())
    }

    /// Lets it end, as when the program ends.
    fn end(mut self) -> Result<()> {
        drop(self.requests.take());
        let ended = self.child.wait()?;
        ensure!(ended.success(), "the client ended with {ended}");
        Ok(())
    }
}

impl Drop for Program {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

/// One client that sends and then receives.
pub(crate) fn measure(
    bench: &Bench,
    findings: &mut Findings,
    beside: &Path,
    programs: &Programs,
) -> Result<()> {
    ensure!(programs.letters > 0 && programs.people > 0, "nobody writes");
    let client = programs.client.clone().unwrap_or_else(|| beside.join("waxwing"));
    ensure!(client.exists(), "there is no client {}", client.display());
    let root = tempfile::Builder::new().prefix("waxwing-bench-").tempdir_in(&bench.dir)?;
    let data = root.path().join("server");

    let _server_half = Half::of(Side::Server)?;
    let server = Server::start(&bench.binary, &data, &bench.settings)?;
    let person = |number: usize| Person {
        client: &client,
        home: root.path().join(format!("home-{number}")),
        phone: format!("+4915100{number:05}"),
    };
    let one = person(0);
    let others: Vec<_> = (1..=programs.people).map(person).collect();
    for person in [&one].into_iter().chain(&others) {
        person.register(server.address(), &data.join("server.pub.pem"))?;
    }
    let phones: Vec<_> = others.iter().map(|other| other.phone.clone()).collect();

    let sending = timed(&one, |program| program.send(programs.letters, &phones))?;
    // The people whom it wrote to are no strangers, so all of their letters are kept.
    let share = programs.letters.div_ceil(others.len());
    for other in &others {
        let mut program = other.program()?;
        program.send(share, std::slice::from_ref(&one.phone))?;
        program.end()?;
    }
    let received = share * others.len();
    let receiving = timed(&one, |program| program.receive(received))?;
    server.stop()?;

    for (what, limit, letters, (span, processor)) in [
        ("a letter that one program sends", 1_000.0, programs.letters, sending),
        ("a letter that one program receives", 1_000.0 / 1.5, received, receiving),
    ] {
        let each = |time: Duration| micros(time) / letters as f64;
        findings.goals.push(Goal::new(format!("{what}: time"), limit, each(span), "µs"));
        findings.goals.push(Goal::new(
            format!("{what}: processor time of its client"),
            limit,
            each(processor),
            "µs",
        ));
    }
    Ok(())
}

/// How long a program takes from the start of its client on, and the processor time of that.
fn timed(
    person: &Person<'_>,
    work: impl FnOnce(&mut Program) -> Result<()>,
) -> Result<(Duration, Duration)> {
    let begun = Instant::now();
    let mut program = {
        let _half = Half::of(Side::Clients)?;
        person.program()?
    };
    work(&mut program)?;
    let took = (begun.elapsed(), program.spent()?);
    program.end()?;
    Ok(took)
}
