//! The command `waxwing-bench`: starts a real server, plays its clients, and says what the server
//! costs beside what its RSA alone would cost.

mod account;
mod chart;
mod cli;
mod cores;
mod database;
mod findings;
mod floor;
mod keys;
mod letters;
mod line;
mod load;
mod operation;
mod pair;
mod population;
mod process;
mod profile;
mod program;
mod progress;
mod recipient;
mod remote;
mod report;
mod rpc;
mod scenarios;
mod snapshot;
mod tail;
mod worker;

use std::fs;
use std::io::{self, Write};

use anyhow::{Context, Result};
use clap::Parser;

use cli::{Cli, Command};
use findings::Findings;

fn main() -> Result<()> {
    let cli = Cli::parse();
    process::end_with_servers()?;
    let (mut bench, mut findings) = cli.prepare()?;
    if let Command::Report { docs, .. } = &cli.command {
        let report = report::make(&mut bench, &mut findings, cli.scale)?;
        report.write(docs)?;
    } else {
        cli.carry_out(&mut bench, &mut findings)?;
        writeln!(io::stdout(), "{findings}").context("standard output")?;
    }
    if let Some(path) = &cli.json {
        save(&findings, path).with_context(|| path.display().to_string())?;
    }
    Ok(())
}

fn save(findings: &Findings, path: &std::path::Path) -> Result<()> {
    fs::write(path, serde_json::to_string_pretty(findings)? + "\n")?;
    Ok(())
}
