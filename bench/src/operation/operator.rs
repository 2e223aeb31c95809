//! Commands of an operator, each a process of its own as in a terminal.

use std::path::Path;
use std::process::Child;
use std::process::Stdio;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, ensure};
use serde_json::Value;

use crate::process::ServerBinary;

/// Gives commands to the server that uses a data directory.
#[derive(Clone, Copy)]
pub(crate) struct Operator<'a> {
    pub(crate) binary: &'a ServerBinary,
    pub(crate) data: &'a Path,
}

/// A command that runs.
pub(crate) struct Running {
    child: Child,
    begun: Instant,
}

impl Operator<'_> {
    pub(crate) fn begin(self, command: &[&str]) -> Result<Running> {
        let begun = Instant::now();
        let child = self
            .binary
            .command()
            .arg("--data")
            .arg(self.data)
            .args(command)
            .arg("--json")
            .stdin(Stdio::null())
            .stdout(Stdio::piped())
            .spawn()
            .context("a command of the operator")?;
        Ok(Running { child, begun })
    }

    /// How long a command takes, from its start to its end, and the first line of what it says.
    pub(crate) fn run(self, command: &[&str]) -> Result<(Duration, Value)> {
        self.begin(command)?.end()
    }

    /// How the server is, and how long it took to say so.
    pub(crate) fn status(self) -> Result<(Duration, Value)> {
        self.run(&["status"])
    }
}

impl Running {
    pub(crate) fn has_ended(&mut self) -> Result<bool> {
        Ok(self.child.try_wait()?.is_some())
    }

    pub(crate) fn end(self) -> Result<(Duration, Value)> {
        let out = self.child.wait_with_output()?;
        let took = self.begun.elapsed();
        ensure!(out.status.success(), "a command of the operator ended with {}", out.status);
        let text = String::from_utf8(out.stdout)?;
        let line = text.lines().next().unwrap_or("null");
        Ok((took, serde_json::from_str(line)?))
    }
}
