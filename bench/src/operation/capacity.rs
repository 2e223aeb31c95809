//! What memory users and sessions take on a server with everything on.

use std::thread;
use std::time::Duration;

use anyhow::Result;

use super::Sizes;
use super::everything::Everything;
use crate::findings::{Findings, Goal};
use crate::process::Settings;
use crate::scenarios::Bench;

/// For the server's threads to come to rest, and for a first backup, after which memory is read.
const REST: Duration = Duration::from_secs(3);

pub(super) fn measure(bench: &mut Bench, findings: &mut Findings, sizes: &Sizes) -> Result<()> {
    let Sizes { users, sessions, .. } = *sizes;
    let none = with_users(bench, 0)?;
    let all = with_users(bench, users)?;
    let of_one = (all - none) / f64::from(users);
    let goals = &mut findings.goals;
    let name = "everything on: memory without users";
    goals.push(Goal::new(name, 7.0, none / 1_024.0, "MiB"));
    let name = format!("everything on, {users} users: memory for one");
    goals.push(Goal::new(name, 0.9, of_one, "KiB"));
    let everything = Everything::below(&bench.dir, &bench.binary)?;
    bench.settings = everything.settings();
    let idle = bench.idle(sessions);
    bench.settings = Settings::default();
    let Goal { name, reached, .. } = idle?;
    goals.push(Goal::new(format!("everything on, {name}"), 0.7, reached, "KiB"));
    Ok(())
}

/// KiB of memory with so many users, none of whom is there.
fn with_users(bench: &mut Bench, users: u16) -> Result<f64> {
    let everything = Everything::below(&bench.dir, &bench.binary)?;
    bench.settings = everything.settings();
    let started = bench.start(&[], users, 0);
    bench.settings = Settings::default();
    let (_data, server) = started?;
    thread::sleep(REST);
    let (now, _) = server.memory()?;
    server.stop()?;
    Ok(now as f64)
}
