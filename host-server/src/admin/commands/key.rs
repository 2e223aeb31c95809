//! `key fingerprint`. It reads the key itself; whoever may not asks the server that uses it.

use std::io::{self, Write};

use serde::{Deserialize, Serialize};

use super::super::control::{Answer, Connection};
use super::super::protocol::{Request, item};
use super::super::running::{Interrupted, Running};
use super::Paper;
use crate::data_dir::DataDir;
use crate::exit::Failure;
use crate::key;

#[derive(Clone, Debug, PartialEq, Eq, Deserialize, Serialize)]
struct Fingerprint {
    /// The SHA-256 of the public key, in hexadecimal.
    fingerprint: String,
}

impl Fingerprint {
    fn line(out: &mut dyn Write, Self { fingerprint }: &Self) -> io::Result<()> {
        writeln!(out, "{fingerprint}")
    }
}

// ---- In the server ----

pub(super) fn answer(running: &Running, answer: &mut Answer<'_>) -> Result<(), Interrupted> {
    item(answer, Fingerprint { fingerprint: running.fingerprint.clone() })
}

// ---- For the operator ----

pub(super) fn ask(connection: Connection, paper: &mut Paper<'_>) -> Result<(), Failure> {
    paper.ask(connection, Request::Fingerprint, Fingerprint::line)
}

/// Without a server.
pub(super) fn read(paper: &mut Paper<'_>) -> Result<(), Failure> {
    let directory = DataDir::existing(&paper.config.server.data)?;
    paper.write(&Fingerprint { fingerprint: key::fingerprint(&directory)? }, Fingerprint::line)
}
