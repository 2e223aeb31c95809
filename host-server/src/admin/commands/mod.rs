//! The commands that talk with a running server. Each has what the server does and what the operator
//! reads in one file.

mod audit;
mod backup;
mod ban;
mod doctor;
pub(crate) mod drain;
pub(crate) mod erase;
mod export;
mod health;
mod key;
pub(crate) mod limits;
mod log;
mod mailboxes;
pub(crate) mod otp;
mod queue;
mod reach;
pub(crate) mod reload;
mod sessions;
pub(crate) mod status;
mod storage;
mod suspensions;
mod users;

use std::io::{self, Write};
use std::path::Path;

use serde::Serialize;
use serde::de::DeserializeOwned;

use super::control::{Answer, Caller, Connection, Serve};
use super::protocol::{self, Asked, Line, Problem, Request};
use super::running::{Interrupted, Running};
use super::standby::StandingBy;
use crate::cli::{AuditCommand, BackupCommand, KeyCommand, OperatorCommand};
use crate::config::Config;
use crate::exit::{Exit, Failure};

impl Serve for Running {
    fn serve(&self, caller: Caller, request: &str, answer: &mut Answer<'_>) -> io::Result<()> {
        serve(&self.data, request, answer, |request, answer| {
            carry_out(self, caller, request, answer)
        })
    }
}

/// Most commands need the server that serves.
impl Serve for StandingBy {
    fn serve(&self, _: Caller, request: &str, answer: &mut Answer<'_>) -> io::Result<()> {
        serve(&self.data, request, answer, |request, answer| match request {
            Request::Status { watch } => status::answer_standby(self, watch, answer),
            Request::Health { ready } => health::answer(self, ready, answer),
            _ => Err(Self::elsewhere().into()),
        })
    }
}

fn serve(
    data: &Path,
    request: &str,
    answer: &mut Answer<'_>,
    carry_out: impl FnOnce(Request, &mut Answer<'_>) -> Result<(), Interrupted>,
) -> io::Result<()> {
    let ended = match serde_json::from_str(request) {
        Ok(Asked { data: meant, request }) => {
            is_meant(meant, data).and_then(|()| carry_out(request, answer))
        }
        Err(error) => {
            let message = format!("this server does not know the request: {error}");
            Err(Problem::new(Exit::Usage, message).into())
        }
    };
    match ended {
        Ok(()) => answer.line(&Line::<()>::Done {}.to_json()),
        Err(Interrupted::Problem(problem) | Interrupted::Unclear(problem)) => {
            answer.line(&Line::<()>::Error(problem).to_json())
        }
        Err(Interrupted::Gone) => Ok(()),
    }
}

/// Whether a command that was told of a data directory means the server that has this one.
fn is_meant(meant: Option<String>, own: &Path) -> Result<(), Interrupted> {
    match (meant, protocol::whole(own)) {
        (Some(meant), Some(own)) if meant != own => Err(Problem::new(
            Exit::Config,
            format!(
                "the server at this control socket keeps its data in {own}, and not in {meant}: \
                 give the command the --config or the --data of the server that you mean"
            ),
        )
        .into()),
        _ => Ok(()),
    }
}

fn carry_out(
    running: &Running,
    caller: Caller,
    request: Request,
    answer: &mut Answer<'_>,
) -> Result<(), Interrupted> {
    match request {
        Request::Status { watch } => status::answer(running, watch, answer),
        Request::Health { ready } => health::answer(running, ready, answer),
        Request::LogLevel { level, target, for_ms } => {
            log::set_level(running, caller, (level, target, for_ms), answer)
        }
        Request::ReopenLog => log::reopen(running, caller, answer),
        Request::Reload => reload::carry_out(running, caller, answer),
        Request::NotReloaded => reload::preview(running, answer),
        Request::Sessions => sessions::answer(running, answer),
        Request::EndSession { user } => sessions::end(running, caller, user, answer),
        Request::Mailboxes { top } => queue::largest(running, top, answer),
        Request::Letters { user } => queue::letters(running, user, answer),
        Request::ExpireLetters { user, older_than_s } => {
            queue::expire(running, caller, (user, older_than_s), answer)
        }
        Request::Users { full, idle_s } => {
            users::answer_all(running, caller, (full, idle_s), answer)
        }
        Request::User { user, full } => users::answer_one(running, caller, user, full, answer),
        Request::CreateBackup { file } => backup::create(running, caller, file, answer),
        Request::RemoveUser { user, erase: false } => users::remove(running, caller, user, answer),
        Request::RemoveUser { user, erase: true } => erase::remove(running, caller, user, answer),
        Request::ShowAudit { json } => audit::answer(running, AuditCommand::Show, json, answer),
        Request::VerifyAudit { json } => audit::answer(running, AuditCommand::Verify, json, answer),
        Request::Fingerprint => key::answer(running, answer),
        Request::Keys => key::answer_all(running, answer),
        Request::RotateKey { from, force } => key::rotate(running, caller, (from, force), answer),
        Request::KeepKey => key::keep(running, caller, answer),
        Request::Suspend { user, until, reason } => {
            suspensions::suspend(running, caller, (user, until, &reason), answer)
        }
        Request::Resume { user } => suspensions::resume(running, caller, user, answer),
        Request::Export { user, letters } => {
            export::answer(running, caller, (user, letters), answer)
        }
        Request::SetLimits { user, limits } => limits::set(running, caller, (user, limits), answer),
        Request::TestCode { phone, fallback } => {
            otp::test(running, caller, (&phone, fallback), answer)
        }
        Request::Canary => doctor::live(running, answer),
        Request::Drain { over_s } => drain::begin(running, caller, over_s, answer),
        Request::Undrain => drain::end(running, caller, answer),
        Request::Bans => ban::all(running, answer),
        Request::Ban(new) => ban::add(running, caller, new, answer),
        Request::EndBan { range } => ban::remove(running, caller, range, answer),
    }
}

/// Why no command reaches a server.
pub(crate) const NO_SOCKET: &str = "the path of the data directory is too long for a control socket in it: let server.control name a \
     shorter one, such as /run/waxwing/control.sock, and start the server again";

/// Carries out a command of the operator that concerns a running server, or could. Writes to `out` what
/// it has to say: text for people, or one JSON object a line.
///
/// # Errors
/// When no server runs and the command needs one ([`Exit::Network`]), and for the reasons of each
/// command.
pub fn run(
    config: &Config,
    command: &OperatorCommand,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let paper = &mut Paper { out, json, config };
    match command {
        OperatorCommand::Status { watch } => status::run(*watch, paper),
        OperatorCommand::Health { ready } => health::run(*ready, paper),
        OperatorCommand::Log(command) => log::run(reach::connect(config)?, command, paper),
        OperatorCommand::Reload => reload::run(reach::connect(config)?, paper),
        OperatorCommand::Sessions(command) => {
            sessions::run(reach::connect(config)?, command, paper)
        }
        OperatorCommand::Ban(command) => ban::run(reach::connect(config)?, command, paper),
        OperatorCommand::Queue(command) => queue::run(reach::connect(config)?, command, paper),
        OperatorCommand::Backup(command) => backup::run(command, paper),
        OperatorCommand::Otp(command) => otp::run(reach::connect(config)?, command, paper),
        OperatorCommand::Storage(command) => storage::run(command, paper),
        OperatorCommand::Users(command) => match reach::try_to_connect(config)? {
            Some(connection) => users::run(connection, command, paper),
            None => users::run_alone(config, command, paper),
        },
        OperatorCommand::Doctor { live: true } => doctor::run_live(reach::connect(config)?, paper),
        OperatorCommand::Doctor { live: false } => doctor::run(paper),
        OperatorCommand::Drain { over } => drain::run(reach::connect(config)?, *over, paper),
        OperatorCommand::Undrain => drain::run_back(reach::connect(config)?, paper),
        OperatorCommand::Audit(command) => match reach::instead_of(config, "audit.jsonl")? {
            Some(connection) => audit::ask(connection, *command, paper),
            None => audit::read(*command, paper),
        },
        OperatorCommand::Key(command @ KeyCommand::Rotate { cancel: true, .. }) => {
            match reach::try_to_connect(config)? {
                Some(connection) => key::ask(connection, command, paper),
                None => key::keep_alone(paper),
            }
        }
        OperatorCommand::Key(command @ KeyCommand::Rotate { .. }) => {
            key::ask(reach::connect(config)?, command, paper)
        }
        OperatorCommand::Key(command) => match reach::instead_of(config, "server.key.pem")? {
            Some(connection) => key::ask(connection, command, paper),
            None => key::read(command, paper),
        },
    }
}

/// Whether a running server can be asked for what a command is about.
#[must_use]
pub const fn can_be_asked(command: &OperatorCommand) -> bool {
    match command {
        OperatorCommand::Storage(_) | OperatorCommand::Doctor { live: false } => false,
        OperatorCommand::Backup(command) => matches!(command, BackupCommand::Create { .. }),
        _ => true,
    }
}

/// Whether a server answers where this configuration says.
#[must_use]
pub fn reaches_server(config: &Config) -> bool {
    matches!(reach::try_to_connect(config), Ok(Some(_)))
}

/// Why a command is not carried out whose configuration cannot be read, and how to reach a server without it.
#[must_use]
pub fn without_file(command: &OperatorCommand, unreadable: &Failure) -> Failure {
    // That code says that a server is not well, whatever the reason.
    let exit = match command {
        OperatorCommand::Health { .. } => Exit::Failure,
        _ => unreadable.exit(),
    };
    Failure::new(
        exit,
        format!(
            "{unreadable}. Where the control socket of the server is may stand there, too: put it right, or name \
             the socket for this command, as in WAXWING_SERVER__CONTROL=/run/waxwing/control.sock; with sudo, \
             that stands behind the name of the user"
        ),
    )
}

/// Has a running server carry out a command that it [can be asked](can_be_asked) for, and does nothing without
/// it. Of the configuration, only the place of the server counts.
///
/// # Errors
/// As [`run`]; when no server runs, [`Exit::Network`].
pub fn ask(
    config: &Config,
    command: &OperatorCommand,
    json: bool,
    out: &mut dyn Write,
) -> Result<(), Failure> {
    let connect = || reach::connect(config);
    let paper = &mut Paper { out, json, config };
    match command {
        OperatorCommand::Users(command) => users::run(connect()?, command, paper),
        OperatorCommand::Audit(command) => audit::ask(connect()?, *command, paper),
        OperatorCommand::Key(command) => key::ask(connect()?, command, paper),
        OperatorCommand::Backup(BackupCommand::Create { file }) => {
            backup::ask(connect()?, file.as_deref(), paper)
        }
        // All others are for a running server in any case.
        _ => run(config, command, json, paper.out),
    }
}

/// Where a command writes.
struct Paper<'a> {
    out: &'a mut dyn Write,
    json: bool,
    config: &'a Config,
}

impl Paper<'_> {
    /// Writes one thing: as JSON, or as `text` says it.
    fn write<T: Serialize>(
        &mut self,
        item: &T,
        text: impl FnOnce(&mut dyn Write, &T) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let written = if self.json {
            // Nothing in an item can fail to be written.
            writeln!(self.out, "{}", serde_json::to_string(item).unwrap_or_default())
        } else {
            text(self.out, item)
        };
        // Whoever watches wants to see it now.
        written.and_then(|()| self.out.flush()).map_err(Failure::output)
    }

    /// Writes the heads of columns, for people.
    fn head(&mut self, head: &str) -> Result<(), Failure> {
        if self.json {
            return Ok(());
        }
        writeln!(self.out, "{head}").map_err(Failure::output)
    }

    /// Asks the server, and writes each item of its answer.
    fn ask<T: Serialize + DeserializeOwned>(
        &mut self,
        connection: Connection,
        request: Request,
        mut text: impl FnMut(&mut dyn Write, &T) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let asked = Asked::new(self.config, request);
        protocol::ask(connection, &asked, |item| self.write(&item, &mut text))
    }

    /// The same for a list below the heads of its columns. A list that cannot be had has none.
    fn list<T: Serialize + DeserializeOwned>(
        &mut self,
        connection: Connection,
        request: Request,
        head: &str,
        text: impl Fn(&mut dyn Write, &T) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let asked = Asked::new(self.config, request);
        let mut has_head = false;
        protocol::ask(connection, &asked, |item| {
            if !std::mem::replace(&mut has_head, true) {
                self.head(head)?;
            }
            self.write(&item, &text)
        })?;
        if has_head { Ok(()) } else { self.head(head) }
    }

    /// Asks the server to do something, and writes what it has done.
    fn act<T: Serialize + DeserializeOwned>(
        &mut self,
        connection: Connection,
        request: Request,
        text: impl Fn(&mut dyn Write, &T) -> io::Result<()>,
    ) -> Result<(), Failure> {
        let asked = Asked::new(self.config, request);
        protocol::ask(connection, &asked, |item| self.done(&item, &text))
    }

    /// Writes what was done. If that cannot be written, it was done all the same.
    fn done<T: Serialize>(
        &mut self,
        item: &T,
        text: impl Fn(&mut dyn Write, &T) -> io::Result<()>,
    ) -> Result<(), Failure> {
        self.write(item, text).map_err(|failure| {
            if failure.is_silent() {
                return failure;
            }
            Failure::new(failure.exit(), format!("it was done, but {failure}"))
        })
    }
}
