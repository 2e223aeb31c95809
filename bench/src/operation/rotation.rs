//! What people notice when another key takes the place of the server's: all connections end in one moment, and
//! everybody comes back in the long form of 106.

use std::sync::atomic::{AtomicBool, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use waxwing_server::clock;

use super::Sizes;
use super::everything::Everything;
use super::operator::Operator;
use crate::account::Account;
use crate::cores::Side;
use crate::findings::{Findings, Goal, micros, quantile};
use crate::population::{self, Clients, Errand};
use crate::process::Settings;
use crate::scenarios::{Bench, thousands};

/// Where the pause of a client lies whose session is lost (PROTOCOL.md, "Retry rules").
const PAUSE: [Duration; 2] = [Duration::from_secs(1), Duration::from_secs(10)];
/// From the plan to its moment, besides what it takes to sign the first packets: a busy machine takes some seconds to
/// make the key.
const LEAD: Duration = Duration::from_secs(8);
/// For the moment to come, and for all connections to end then.
const PATIENCE: Duration = Duration::from_mins(2);
/// Between two looks at the server.
const LOOK: Duration = Duration::from_millis(200);
/// The default, which is raised for other runs.
const RECONNECTS: (&str, &str) = ("limits.reconnect_operations_per_second", "1000");

pub(super) fn measure(bench: &mut Bench, findings: &mut Findings, sizes: &Sizes) -> Result<()> {
    let people = population::of(sizes.sessions, bench.keys);
    let everything = Everything::below(&bench.dir, &bench.binary)?;
    bench.settings = everything.settings();
    bench.settings.values.push((RECONNECTS.0, RECONNECTS.1.into()));
    let started = bench.start(&people, 0, 0);
    bench.settings = Settings::default();
    let (data, server) = started?;
    let _cores = bench.half(Side::Clients)?;
    let (address, own_key) = (server.address(), data.server_key());
    let mut before = Clients::new(&people, address, own_key, Errand::Reconnect)?;
    before.connect(0..people.len(), Some(f64::from(RECONNECTS.1.parse::<u32>()?) / 2.0))?;

    let operator = Operator { binary: &bench.binary, data: data.path() };
    let signing = Duration::from_secs_f64(2.0 * bench.floor.sign / 1e6 * people.len() as f64);
    let lead = i64::try_from((LEAD + signing).as_secs())?;
    let from = clock::written(clock::unix_now().shifted(lead));
    operator.run(&["key", "rotate", "--from", &from, "--force"])?;
    let mut after = Clients::new(&people, address, data.next_server_key()?, Errand::Return)?;

    let numbers = everything.page()?;
    let account = Account::open(Some(&server), Some(bench.yardstick))?;
    let ended = before.await_end(PATIENCE)?;
    let pace = people.len() as f64 / (PAUSE[1] - PAUSE[0]).as_secs_f64();
    let is_over = AtomicBool::new(false);
    let (took, statuses) = thread::scope(|scope| {
        let asking = scope.spawn(|| asked_until(operator, &is_over));
        thread::sleep(PAUSE[0].saturating_sub(ended.elapsed()));
        let took = after.connect(0..people.len(), Some(pace));
        is_over.store(true, Relaxed);
        let statuses = asking.join().map_err(|_| anyhow!("a panic")).flatten();
        Ok::<_, anyhow::Error>((took?, statuses?))
    })?;
    let all_back = ended.elapsed();
    let spent = account.close()?;
    let more = Growth { before: &numbers, now: &everything.page()? };

    let who =
        format!("another key of the server, {} sessions", thousands(u32::try_from(people.len())?));
    let [middle, most] = [0.5, 1.0].map(|part| micros(quantile(&took, part)) / 1e3);
    let goals = &mut findings.goals;
    let name = format!("{who}: all are back");
    goals.push(Goal::new(name, 15.0, all_back.as_secs_f64(), "s"));
    let name = format!("{who}: slowest `status` of {} meanwhile", statuses.len());
    goals.push(Goal::new(name, 250.0, micros(quantile(&statuses, 1.0)) / 1e3, "ms"));
    let turn = more.within("waxwing_turn_seconds", 1.0);
    let commit = more.within("waxwing_commit_seconds", 0.99);
    findings.remarks.push(format!(
        "{who}: clients come back evenly over 1 to 10 s after the moment. From connecting to a session takes \
         {middle:.0} ms in the middle, and {most:.0} ms at most; {} were refused for now and came again. The server \
         takes {:.2} s of processor time; its longest turn is at most {turn} s, and 99 of 100 of its commits take \
         at most {commit} s",
        after.refusals(),
        spent.processor.as_secs_f64(),
    ));
    server.stop()
}

/// How long each `status` took, in ascending order.
fn asked_until(operator: Operator<'_>, is_over: &AtomicBool) -> Result<Vec<Duration>> {
    let mut took = Vec::new();
    while !is_over.load(Relaxed) {
        let begun = Instant::now();
        took.push(operator.status()?.0);
        thread::sleep(LOOK.saturating_sub(begun.elapsed()));
    }
    took.sort_unstable();
    Ok(took)
}

/// What has come to the server's histograms between two pages of its numbers.
struct Growth<'a> {
    before: &'a str,
    now: &'a str,
}

impl Growth<'_> {
    /// The bound within which such a part lies, in the words of the page.
    fn within(&self, name: &str, part: f64) -> String {
        let [before, now] = [self.before, self.now].map(|page| buckets(page, name));
        let new: Vec<_> = now
            .iter()
            .map(|(bound, count)| {
                let known = before.iter().find(|(other, _)| other == bound);
                (*bound, count - known.map_or(0.0, |(_, count)| *count))
            })
            .collect();
        let all = new.last().map_or(0.0, |(_, count)| *count);
        let within = new.iter().find(|(_, count)| *count >= part * all);
        within.map_or_else(|| "?".into(), |(bound, _)| (*bound).to_owned())
    }
}

/// The bounds of a histogram, and how many are within each.
fn buckets<'a>(page: &'a str, name: &str) -> Vec<(&'a str, f64)> {
    let begin = format!("{name}_bucket{{le=\"");
    let lines = page.lines().filter_map(|line| line.strip_prefix(&*begin)?.split_once("\"} "));
    lines.filter_map(|(bound, count)| Some((bound, count.parse().ok()?))).collect()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn only_what_is_new_counts() {
        let page = |counts: [u32; 3]| {
            let [one, two, all] = counts;
            format!(
                "x_bucket{{le=\"0.1\"}} {one}\nx_bucket{{le=\"0.2\"}} {two}\nx_bucket{{le=\"+Inf\"}} {all}\n"
            )
        };
        let (before, now) = (page([0, 5, 9]), page([98, 104, 109]));
        let more = Growth { before: &before, now: &now };
        assert_eq!(more.within("x", 0.5), "0.1");
        assert_eq!(more.within("x", 0.99), "0.2");
        assert_eq!(more.within("x", 1.0), "+Inf");
        assert_eq!(more.within("y", 1.0), "?");
    }
}
