//! `audit show` and `audit verify`. They read the files themselves, so that nobody has to believe a
//! server; whoever may not open the files asks the server, which reads them and sends what there is to
//! print.

use std::io::{self, Write};

use super::super::audit::{self, AuditLog};
use super::super::control::{Answer, Connection};
use super::super::protocol::{self, Asked, Line, Request};
use super::super::running::{Interrupted, Running};
use super::{AuditCommand, Paper};
use crate::data_dir::DataDir;
use crate::exit::Failure;

// ---- In the server ----

pub(super) fn answer(
    running: &Running,
    command: AuditCommand,
    json: bool,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    let mut lines = Lines { answer, unfinished: Vec::new() };
    Ok(audit::print(&running.audit, command, json, &mut lines)?)
}

/// Sends each line that is written as an item.
struct Lines<'l, 'a> {
    answer: &'l mut Answer<'a>,
    unfinished: Vec<u8>,
}

impl Write for Lines<'_, '_> {
    fn write(&mut self, bytes: &[u8]) -> io::Result<usize> {
        for piece in bytes.split_inclusive(|byte| *byte == b'\n') {
            self.unfinished.extend(piece);
            if self.unfinished.pop_if(|last| *last == b'\n').is_some() {
                let line = String::from_utf8_lossy(&self.unfinished).into_owned();
                self.answer.line(&Line::Item(line).to_json())?;
                self.unfinished.clear();
            }
        }
        Ok(bytes.len())
    }

    fn flush(&mut self) -> io::Result<()> {
        Ok(())
    }
}

// ---- For the operator ----

pub(super) fn ask(
    connection: Connection,
    command: AuditCommand,
    paper: &mut Paper<'_>,
) -> Result<(), Failure> {
    let request = match command {
        AuditCommand::Show => Request::ShowAudit { json: paper.json },
        AuditCommand::Verify => Request::VerifyAudit { json: paper.json },
    };
    let asked = Asked::new(paper.config, request);
    protocol::ask(connection, &asked, |line: String| {
        writeln!(paper.out, "{line}").map_err(Failure::output)
    })
}

/// Without a server.
pub(super) fn read(command: AuditCommand, paper: &mut Paper<'_>) -> Result<(), Failure> {
    let log = AuditLog::of(&DataDir::existing(&paper.config.server.data)?);
    audit::print(&log, command, paper.json, paper.out)
}
