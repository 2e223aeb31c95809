//! The command line.

use std::ffi::OsString;
use std::fmt::Display;
use std::net::SocketAddr;
use std::ops::RangeInclusive;
use std::path::{Path, PathBuf};
use std::str::FromStr;
use std::time::Duration;

use clap::{Args, Parser, Subcommand};
use waxwing_core::phone::Phone;
use waxwing_core::time::{Timestamp, UnixTime};

use crate::admin::commands;
use crate::config::{
    AddressRange, Config, ConfigError, Layered, LogLevel, Override, Place, parse_address,
    parse_duration, parse_level, parse_size, show_duration,
};
use crate::exit::{Exit, Failure};
use crate::manual;
use crate::runtime::Read;
use crate::store::UserName;

/// The Waxwing server: keeps sealed letters until their recipients take them.
#[derive(Clone, Debug, Parser)]
#[command(name = "waxwing-server", version, after_long_help = manual::exit_codes_as_text())]
pub struct Cli {
    #[command(flatten)]
    common: CommonArgs,
    #[command(flatten)]
    run: RunArgs,
    #[command(subcommand)]
    command: Option<Command>,
}

/// What every command understands.
#[derive(Clone, Debug, Args)]
struct CommonArgs {
    /// Directory of key and database [default: waxwing-data]
    #[arg(long, global = true, value_name = "DIR")]
    data: Option<String>,
    /// Configuration file
    #[arg(long, global = true, value_name = "FILE")]
    config: Option<PathBuf>,
    /// How much to log
    #[arg(long, global = true, value_parser = ["error", "warn", "info", "debug", "trace"])]
    log_level: Option<String>,
    /// What the log looks like
    #[arg(long, global = true, value_parser = ["text", "json"])]
    log_format: Option<String>,
    /// Print what the command says as JSON, an object a line
    #[arg(long, global = true)]
    json: bool,
}

/// What `run` understands, which is also understood without it.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct RunArgs {
    #[command(flatten)]
    settings: SettingArgs,
    /// Read the whole database and look for damage before serving
    #[arg(long)]
    pub check: bool,
    /// Read the whole database; if it is damaged, move it aside and go on with what can be read of it
    #[arg(long)]
    pub recover: bool,
    /// Go on with a key that is not the database's: the one that is there, or else a new one. Every
    /// client has to be given its public half by hand
    #[arg(long)]
    pub new_key: bool,
    /// Begin with an empty database beside a key that is there: all users have to register again
    #[arg(long)]
    pub new_database: bool,
    /// Go on with a database whose log is missing: letters and users that were stored last are lost
    #[arg(long)]
    pub without_log: bool,
}

/// What of it are settings.
#[derive(Clone, Debug, Default, PartialEq, Eq, Args)]
pub struct SettingArgs {
    /// Where to listen.
    #[arg(
        long,
        value_name = "ADDR",
        value_parser = parse_address,
        help = "IP address and port to listen on, such as 0.0.0.0:9295 or [::]:9295; may be given several \
                times [default: 127.0.0.1:9295]"
    )]
    listen: Vec<SocketAddr>,
    /// Give whoever asks for a one-time password that password at once, on any address: for trying out only
    #[arg(long)]
    allow_unverified: bool,
}

/// What to do.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum Command {
    /// Run the server; this is what it does without a command
    Run(RunArgs),
    /// Something that an operator does.
    #[command(flatten)]
    Operator(OperatorCommand),
    /// Print an example of a configuration file, or the one that counts here, or check one
    #[command(subcommand)]
    Config(ConfigCommand),
}

/// What an operator does with a server, or with its data.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum OperatorCommand {
    /// Tell how the running server is
    Status {
        /// Show it again each second, until Ctrl-C
        #[arg(long)]
        watch: bool,
    },
    /// Say whether the running server is well: the exit code is 0 if it is, else 1
    Health {
        /// Whether storage takes writes, too, so that people can be sent to it
        #[arg(long)]
        ready: bool,
    },
    /// Have the running server read its configuration again: what is live changes, and nobody is
    /// disconnected. A mistake changes nothing
    Reload,
    /// Look for what is wrong with the server and its machine, whether it runs or not; nothing is changed.
    /// The exit code is 1 if something is
    Doctor {
        /// Have the running server send a letter all the way from one account of its own to another, over
        /// the network, and say how long that took
        #[arg(long)]
        live: bool,
    },
    /// Stop the server so that people hardly notice: nobody is let in any more, sessions end one after
    /// the other, and when the last one has ended it stops. Given again, it gives those who are left another
    /// time. Where a database is shared, all end at once, and another server takes over
    Drain {
        /// How long that takes at most: up to 1d
        #[arg(long, default_value = "60s", value_name = "TIME", value_parser = parse_over)]
        over: Duration,
    },
    /// Take a drain back while it goes on
    Undrain,
    /// Change how much the running server writes to its log, or have it open the file of its log again
    #[command(subcommand)]
    Log(LogCommand),
    /// Look at the sessions of the running server, or end one
    #[command(subcommand)]
    Sessions(SessionsCommand),
    /// Look at letters that wait in the running server, or have some expire
    #[command(subcommand)]
    Queue(QueueCommand),
    /// Look at users, keep one out or let them in again, or remove one
    #[command(subcommand)]
    Users(UsersCommand),
    /// Make backups, see whether they can be used, and bring one back
    #[command(subcommand)]
    Backup(BackupCommand),
    /// Find out whether one-time passwords reach phones
    #[command(subcommand)]
    Otp(OtpCommand),
    /// See which versions can use the database, move it, or go on with one that has lost something
    #[command(subcommand)]
    Storage(StorageCommand),
    /// Serve nobody who comes from some addresses, or look at such bans
    #[command(subcommand)]
    Ban(BanCommand),
    /// Look at what operators did
    #[command(subcommand)]
    Audit(AuditCommand),
    /// Tell the fingerprint of the server's own key, or plan another key
    #[command(subcommand)]
    Key(KeyCommand),
}

/// What to do with the log.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum LogCommand {
    /// Change how much goes to the log: error, warn, info, debug or trace. The change ends when its time is
    /// over, and when the configuration is read again
    Level {
        /// How much
        #[arg(value_parser = parse_level)]
        level: LogLevel,
        /// For how long, such as 10m; without it, until the configuration is read again
        #[arg(long = "for", value_name = "TIME", value_parser = parse_span)]
        time: Option<Duration>,
        /// Change it for this part of the program alone, such as waxwing_server::store
        #[arg(long, value_name = "MODULE", value_parser = parse_target)]
        target: Option<String>,
    },
    /// Open the file of the log again, after somebody has moved it
    Reopen,
}

/// The parts of the program that write to the log.
const LOGGED: [&str; 2] = ["waxwing_server", "waxwing_transport_mio"];

fn parse_target(text: &str) -> Result<String, String> {
    let is_path = !text.is_empty()
        && text.len() <= 128
        && text.bytes().all(|byte| byte.is_ascii_alphanumeric() || b"_:".contains(&byte));
    // Another name would change nothing, and nobody would notice.
    let is_ours = text.split("::").next().is_some_and(|part| LOGGED.contains(&part));
    if is_path && is_ours {
        return Ok(text.into());
    }
    Err(format!(
        "write the path of a module, as lines of the log show it: waxwing_server::store. It begins with {}",
        LOGGED.join(" or ")
    ))
}

/// What to do with users.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum UsersCommand {
    /// List all users
    List {
        /// Show whole phones; the audit log notes it
        #[arg(long)]
        full: bool,
        /// Those who have no session and began the last one so long ago, such as 90d, or never had one
        #[arg(long, value_name = "TIME", value_parser = parse_duration)]
        idle: Option<Duration>,
    },
    /// Show one user
    Show {
        /// Id, or phone with its +
        user: UserName,
        /// Show the whole phone; the audit log notes it
        #[arg(long)]
        full: bool,
    },
    /// Remove a user: the session ends, and letters that wait are not delivered
    #[command(alias = "delete", alias = "rm")]
    Remove {
        /// Id, or phone with its +
        user: UserName,
        /// Also take out of the audit log what names them, and forget what became of their letters
        #[arg(long)]
        erase: bool,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
    /// Write all that is held about a user, as JSON, an object a line, with the whole phone; the audit log
    /// notes it
    Export {
        /// Id, or phone with its +
        user: UserName,
        /// With the sealed letters from and to the user, in Base64
        #[arg(long)]
        letters: bool,
        /// To this file, which must not be there yet, and which nobody but you can read
        #[arg(long, value_name = "FILE")]
        output: Option<PathBuf>,
    },
    /// Let more or less wait for a user than for others; what waits already stays
    #[command(alias = "quota", group(clap::ArgGroup::new("what").required(true).multiple(true)))]
    Limits {
        /// Id, or phone with its +
        user: UserName,
        /// So many letters; what is not named stays as it was
        #[arg(
            long,
            value_name = "NUMBER",
            value_parser = parse_letters,
            conflicts_with = "default",
            group = "what"
        )]
        letters: Option<u32>,
        /// So much of letters, such as 64MiB
        #[arg(
            long,
            value_name = "SIZE",
            value_parser = parse_size::<u64>,
            conflicts_with = "default",
            group = "what"
        )]
        bytes: Option<u64>,
        /// As much as for everybody
        #[arg(long, group = "what")]
        default: bool,
    },
    /// Keep a user out, or let them in again.
    #[command(flatten)]
    Suspension(SuspensionCommand),
}

/// What to do with suspensions.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum SuspensionCommand {
    /// Keep a user out: the session ends, and letters to them wait
    #[command(alias = "block", alias = "disable", alias = "lock")]
    Suspend {
        /// Id, or phone with its +
        user: UserName,
        /// Until this moment, such as 2026-12-24 or 2026-12-24T18:00:00Z
        #[arg(long, value_name = "TIME", value_parser = parse_moment, conflicts_with = "time")]
        until: Option<UnixTime>,
        /// For so long, such as 7d
        #[arg(long = "for", id = "time", value_name = "TIME", value_parser = parse_span)]
        time: Option<Duration>,
        /// Why; only operators see it
        #[arg(long, default_value = "", value_parser = parse_reason)]
        reason: String,
    },
    /// Let a user in again who was suspended
    #[command(alias = "unblock", alias = "enable", alias = "unlock")]
    Resume {
        /// Id, or phone with its +
        user: UserName,
    },
}

/// What to do with the database.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum StorageCommand {
    /// Say which schema the database has, which this version writes, and what it would do with it: the
    /// exit code is 74 if it cannot use it
    Schema,
    /// Copy everything from SQLite to a database of PostgreSQL, or back, while no server runs, and read it
    /// back; what it was copied from is used by no server any more. What was interrupted goes on when it is
    /// repeated
    Copy {
        /// From server.data to the empty database of this URL, which is written as storage.url is
        #[arg(long, value_name = "URL", required_unless_present = "from")]
        to: Option<String>,
        /// From the database of this URL to server.data
        #[arg(long, value_name = "URL", conflicts_with = "to")]
        from: Option<String>,
    },
    /// Go on with the database of storage.url although it has lost what it had confirmed, as after a restore
    /// to yesterday: for 30 days nobody is told that a letter was delivered only because it is not there
    Adopt {
        /// How many users may have registered in what is lost: so many ids are given to nobody for 60 days
        #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = parse_ids)]
        registered_since: u16,
    },
}

/// What to do with backups.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum BackupCommand {
    /// Make a backup now, also while the server runs, and read it back
    Create {
        /// The file for it, which must not be there yet [default: a new one in backup.directory]
        file: Option<PathBuf>,
    },
    /// List the backups in backup.directory, the newest last: those that the clock has made, of which
    /// backup.keep are kept, and those made by hand, which stay
    List,
    /// Put a backup in the place of the database, while no server runs; the one before is moved aside
    Restore {
        /// The file; its manifest FILE.json has to be beside it
        #[arg(required_unless_present = "undo")]
        file: Option<PathBuf>,
        /// Take it even if it belongs to a server with another key than the one here
        #[arg(long)]
        other_key: bool,
        /// How many users may have registered since the backup was made, or with --undo since the restore if
        /// the restored database is gone: so many ids are given to nobody for 60 days
        #[arg(long, value_name = "NUMBER", default_value_t = 1_000, value_parser = parse_ids)]
        registered_since: u16,
        /// Take the last restore back: the database that it has moved aside is the database again, and the
        /// restored one is moved aside
        #[arg(long, conflicts_with_all = ["file", "other_key"])]
        undo: bool,
    },
    /// See whether people could go on with a backup: restore it in a directory of its own, start a server
    /// with it that nobody else reaches, and have a letter go all the way. The running server goes on
    Drill {
        /// The file; its manifest FILE.json has to be beside it
        #[arg(required_unless_present = "url")]
        file: Option<PathBuf>,
        /// With PostgreSQL, in place of a file: the database, written as storage.url is, into which its own
        /// tools have brought the backup back. Everything in it is read, and nothing changed
        #[arg(long, value_name = "URL", conflicts_with = "file", requires = "directory")]
        url: Option<String>,
        /// Where to restore it; it needs as much room as the backup has, twice as much with --url, and is
        /// empty again in the end [default: beside the file]
        #[arg(long, value_name = "DIR")]
        directory: Option<PathBuf>,
    },
    /// Read a backup from end to end, and say whether it is what was written
    Verify {
        /// The file; its manifest FILE.json has to be beside it
        file: PathBuf,
        /// Take it even if it belongs to a server with another key than the one here
        #[arg(long)]
        other_key: bool,
    },
}

/// What to do with the audit log.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum AuditCommand {
    /// Show what operators did, the newest last
    Show,
    /// Say whether the lines are still as they were written, or which is the first that is not
    Verify,
}

/// What to do with one-time passwords.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum OtpCommand {
    /// Have the running server send a code to a phone, and say how long that took. The code proves nothing
    Test {
        /// The phone, with its +
        #[arg(value_parser = commands::otp::parse)]
        phone: Phone,
        /// Send it in the way that otp.fallback names, and not in that of otp.delivery
        #[arg(long)]
        fallback: bool,
    },
}

/// What to do with sessions.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum SessionsCommand {
    /// List all sessions
    List,
    /// End the session of a user; the client is told to come back later
    End {
        /// Id, or phone with its +
        user: UserName,
    },
}

/// What to do with letters that wait.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum QueueCommand {
    /// List the mailboxes with the most letters
    List {
        /// How many of them
        #[arg(long, default_value_t = 20, value_name = "NUMBER", value_parser = parse_top)]
        top: u16,
    },
    /// List the letters that wait for a user: who sent them, when, and how large they are
    Show {
        /// Id, or phone with its +
        user: UserName,
    },
    /// Have the letters that wait for a user expire; their senders are told so
    Expire {
        /// Id, or phone with its +
        user: UserName,
        /// Those that the server accepted so long ago, such as 7d or 12h
        #[arg(long, value_name = "AGE", value_parser = parse_duration)]
        older_than: Duration,
        /// Do it
        #[arg(long)]
        yes: bool,
    },
}

/// What to do with bans.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum BanCommand {
    /// Serve nobody from these addresses any more; connections from there end
    Add {
        /// An address, or a range such as 192.0.2.0/24 or 2001:db8::/32
        range: AddressRange,
        /// For so long, such as 1h or 7d [default: until it is removed]
        #[arg(long = "for", value_name = "TIME", value_parser = parse_span)]
        duration: Option<Duration>,
        /// Why, for whoever lists the bans
        #[arg(long, value_name = "TEXT")]
        reason: Option<String>,
        /// Ban it even if it contains an address of yours, of this machine, of limits.exempt or of server.proxies
        #[arg(long)]
        force: bool,
    },
    /// List all bans
    List,
    /// Serve these addresses again
    Remove {
        /// A range as the list shows it
        range: AddressRange,
    },
}

/// What to do with the key.
#[derive(Clone, Copy, Debug, PartialEq, Eq, Subcommand)]
pub enum KeyCommand {
    /// Print what clients compare before they pin the key
    Fingerprint,
    /// Show the key, and the one that is planned
    Show,
    /// Plan another key for the running server: clients that connect before the day hear of it, and go on
    /// by themselves. All others are cut off then
    #[command(group(clap::ArgGroup::new("what").required(true)))]
    Rotate {
        /// From this moment on, such as 2026-12-24 or 2026-12-24T03:00:00Z: in seven days at the earliest
        #[arg(long, value_name = "TIME", value_parser = parse_moment, group = "what")]
        from: Option<UnixTime>,
        /// Keep the present key after all, and forget the other one. This works while no server runs, too
        #[arg(long, group = "what")]
        cancel: bool,
        /// Even if that is sooner than in seven days
        #[arg(long, requires = "from")]
        force: bool,
    },
}

/// What to do with configuration files.
#[derive(Clone, Debug, PartialEq, Eq, Subcommand)]
pub enum ConfigCommand {
    /// Print a file with every key, its meaning and its default
    Example,
    /// Print the configuration that a server would run with here: that of --config, of the environment,
    /// and of the flags. Secrets are left out
    Show {
        /// Say which layer each value comes from; --json always does
        #[arg(long)]
        origin: bool,
        /// Flags of `run`
        #[command(flatten)]
        settings: SettingArgs,
    },
    /// Say whether a server can use a file, in this environment. Key, database and addresses are not looked at
    Check {
        /// The file
        file: PathBuf,
    },
}

/// Whether somebody asks for JSON, be the rest of the command line what it may. The arguments are those behind the
/// name of the program.
pub fn asks_for_json(arguments: impl IntoIterator<Item = OsString>) -> bool {
    arguments
        .into_iter()
        .take_while(|argument| argument != "--")
        .any(|argument| argument == "--json")
}

impl Cli {
    /// The command, with what was given before its name.
    ///
    /// # Errors
    /// When flags of `run` were given to another command.
    pub fn command(&self) -> Result<Command, Failure> {
        if self.common.json && matches!(self.command, None | Some(Command::Run(_))) {
            let message = "--json belongs to commands that print something; the log of a server is in \
                           JSON with --log-format json";
            return Err(Failure::new(Exit::Usage, message));
        }
        match &self.command {
            None => Ok(Command::Run(self.run.clone())),
            Some(Command::Run(run)) => Ok(Command::Run(RunArgs {
                settings: self.run.settings.and(&run.settings),
                check: run.check || self.run.check,
                recover: run.recover || self.run.recover,
                new_key: run.new_key || self.run.new_key,
                new_database: run.new_database || self.run.new_database,
                without_log: run.without_log || self.run.without_log,
            })),
            Some(Command::Config(ConfigCommand::Show { origin, settings }))
                if self.run.is_settings() =>
            {
                let settings = self.run.settings.and(settings);
                Ok(Command::Config(ConfigCommand::Show { origin: *origin, settings }))
            }
            Some(other) if self.run == RunArgs::default() => Ok(other.clone()),
            Some(_) => Err(Failure::new(
                Exit::Usage,
                "--listen, --allow-unverified, --check, --recover, --new-key, --new-database and \
                 --without-log belong to the command run: leave them out here",
            )),
        }
    }

    /// Whether to print JSON.
    #[must_use]
    pub const fn json(&self) -> bool {
        self.common.json
    }

    /// The configuration for `command`.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_config(&self, command: &Command) -> Result<Config, ConfigError> {
        let none = SettingArgs::default();
        let settings = match command {
            Command::Run(run) => &run.settings,
            _ => &none,
        };
        self.load_with(settings).map(|layered| layered.config)
    }

    /// The configuration that a server with these flags would run with, and where it comes from.
    ///
    /// # Errors
    /// As [`Config::load`].
    pub fn load_with(&self, settings: &SettingArgs) -> Result<Layered, ConfigError> {
        let mut flags = self.common.overrides();
        flags.extend(settings.overrides());
        let below: Vec<_> = settings.wishes().collect();
        Layered::load(&below, self.common.config.as_deref(), std::env::vars_os(), &flags)
    }

    /// What reads the configuration of a server again, with the same command line.
    ///
    /// # Errors
    /// As [`Cli::command`].
    pub fn reader(self) -> Result<Read, Failure> {
        let command = self.command()?;
        Ok(Box::new(move || self.load_config(&command)))
    }

    /// Where the server is, as far as that can be read of a configuration with mistakes.
    #[must_use]
    pub fn place_of_server(&self) -> Place {
        let flags = self.common.overrides();
        Config::place_of_server(self.common.config.as_deref(), std::env::vars_os(), &flags)
    }

    /// Says whether a server can use `file`, here and now: with what the environment sets,
    /// and with what the file names. Returns that configuration.
    ///
    /// # Errors
    /// When it cannot.
    pub fn check_config(&self, file: &Path) -> Result<Config, Failure> {
        if self.common.config.is_some() {
            let message = "config check looks at the file that follows it; leave --config out";
            return Err(Failure::new(Exit::Usage, message));
        }
        let flags = self.common.overrides();
        let config = Config::load(Some(file), std::env::vars_os(), &flags)?;
        config.check_serving()?;
        config.check_directories()?;
        Ok(config)
    }
}

impl CommonArgs {
    fn overrides(&self) -> Vec<Override> {
        let Self { data, log_level, log_format, config: _, json: _ } = self;
        [
            given("--data", "server.data", data.clone()),
            given("--log-level", "log.level", log_level.clone()),
            given("--log-format", "log.format", log_format.clone()),
        ]
        .into_iter()
        .flatten()
        .collect()
    }
}

impl RunArgs {
    /// Whether nothing but settings was given.
    fn is_settings(&self) -> bool {
        *self == Self { settings: self.settings.clone(), ..Self::default() }
    }
}

impl SettingArgs {
    /// Those that were given before the name of the command, and those after it.
    fn and(&self, after: &Self) -> Self {
        Self {
            listen: [&self.listen[..], &after.listen].concat(),
            allow_unverified: self.allow_unverified || after.allow_unverified,
        }
    }

    /// Whoever allows codes in band wants them, unless another way is set.
    fn wishes(&self) -> impl Iterator<Item = Override> {
        let in_band = self.allow_unverified.then(|| "in-band".to_owned());
        given("--allow-unverified", "otp.delivery", in_band).into_iter()
    }

    fn overrides(&self) -> impl Iterator<Item = Override> {
        let listen: Vec<_> = self.listen.iter().map(ToString::to_string).collect();
        let listen = (!listen.is_empty()).then(|| listen.join(","));
        let allowed = self.allow_unverified.then(|| true.to_string());
        let listen = given("--listen", "server.listen", listen);
        listen.into_iter().chain(given("--allow-unverified", "otp.allow_unverified", allowed))
    }
}

/// How long something is to last that ends by itself.
fn parse_span(text: &str) -> Result<Duration, String> {
    parse_between(text, Duration::from_secs(1), Duration::from_hours(24 * 3_650))
}

/// How long a drain may take.
fn parse_over(text: &str) -> Result<Duration, String> {
    parse_between(text, Duration::ZERO, commands::drain::LONGEST)
}

fn parse_between(text: &str, least: Duration, most: Duration) -> Result<Duration, String> {
    let span = parse_duration(text)?;
    if (least..=most).contains(&span) {
        return Ok(span);
    }
    // A file has them in quotes.
    let [least, most] = [least, most].map(|bound| show_duration(&bound).replace('"', ""));
    Err(format!("give a time from {least} to {most}"))
}

/// So many mailboxes of all that there may be.
fn parse_top(text: &str) -> Result<u16, String> {
    parse_number(text, 1..=u16::MAX)
}

/// So many ids of all that there are.
fn parse_ids(text: &str) -> Result<u16, String> {
    parse_number(text, 0..=u16::MAX)
}

fn parse_letters(text: &str) -> Result<u32, String> {
    parse_number(text, commands::limits::LETTERS)
}

fn parse_number<T>(text: &str, range: RangeInclusive<T>) -> Result<T, String>
where
    T: FromStr + PartialOrd + Display,
{
    let number = text.parse().ok().filter(|number| range.contains(number));
    number.ok_or_else(|| format!("give a whole number from {} to {}", range.start(), range.end()))
}

/// A moment in UTC: a day, or a day and a time.
fn parse_moment(text: &str) -> Result<UnixTime, &'static str> {
    let wrong = "write a day, or a day and a time in UTC, as in 2026-12-24 or 2026-12-24T18:00:00Z";
    let whole = match text.strip_suffix('Z') {
        Some(moment) => moment.replacen('T', " ", 1),
        None => format!("{text} 00:00:00"),
    };
    let bytes = whole.as_bytes().try_into().map_err(|_| wrong)?;
    Timestamp::parse(bytes).map(Timestamp::to_unix).map_err(|_| wrong)
}

/// One line that is not long.
fn parse_reason(text: &str) -> Result<String, &'static str> {
    if text.chars().count() > 200 || text.chars().any(char::is_control) {
        return Err("a reason is one line of at most 200 characters");
    }
    Ok(text.to_owned())
}

fn given(flag: &'static str, key: &'static str, value: Option<String>) -> Option<Override> {
    value.map(|value| Override { flag, key, value })
}

#[cfg(test)]
mod tests {
    use super::*;
    use crate::config::DeliveryKind;
    use clap::CommandFactory;

    fn parse(line: &str) -> Cli {
        Cli::try_parse_from(line.split_whitespace()).unwrap()
    }

    #[test]
    fn the_definition_is_consistent() {
        <Cli as CommandFactory>::command().debug_assert();
    }

    #[test]
    fn run_is_the_default_and_takes_its_flags_on_either_side() {
        let expected = RunArgs {
            settings: SettingArgs {
                listen: vec!["127.0.0.1:1".parse().unwrap()],
                allow_unverified: true,
            },
            check: true,
            recover: true,
            new_key: true,
            new_database: true,
            without_log: true,
        };
        for line in [
            "waxwing-server --listen 127.0.0.1:1 --allow-unverified --check --recover --new-key \
             --new-database --without-log",
            "waxwing-server run --recover --listen 127.0.0.1:1 --allow-unverified --check --new-key \
             --new-database --without-log",
            "waxwing-server --check --recover --listen 127.0.0.1:1 --new-key --without-log run \
             --allow-unverified --new-database",
        ] {
            assert_eq!(parse(line).command(), Ok(Command::Run(expected.clone())), "{line}");
        }
        let failure = parse("waxwing-server --check users list").command().unwrap_err();
        assert_eq!(failure.exit(), Exit::Usage);
    }

    #[test]
    fn flags_become_configuration() {
        let cli = parse("waxwing-server --log-level debug run --data /x --listen [::1]:7");
        let config = cli.load_config(&cli.command().unwrap()).unwrap();
        assert_eq!(config.server.data, Path::new("/x"));
        assert_eq!(config.server.listen, ["[::1]:7".parse().unwrap()]);
        assert_eq!(config.log.level, LogLevel::Debug);
        let cli = parse("waxwing-server --listen 0.0.0.0:7 run --listen [::]:7 --listen [::1]:8");
        let config = cli.load_config(&cli.command().unwrap()).unwrap();
        let all = ["0.0.0.0:7", "[::]:7", "[::1]:8"].map(|address| address.parse().unwrap());
        assert_eq!(config.server.listen, all);
        let cli = parse("waxwing-server --listen 0.0.0.0:7 --allow-unverified");
        let otp = cli.load_config(&cli.command().unwrap()).unwrap().otp;
        assert!(otp.allow_unverified && otp.delivery == DeliveryKind::InBand);
    }

    #[test]
    fn codes_go_in_band_only_when_somebody_has_said_so() {
        let delivery = |line: &str| {
            let cli = parse(line);
            cli.load_config(&cli.command().unwrap()).unwrap().otp.delivery
        };
        assert_eq!(delivery("waxwing-server"), DeliveryKind::Console);
        assert_eq!(delivery("waxwing-server --allow-unverified"), DeliveryKind::InBand);
        let directory = tempfile::tempdir().unwrap();
        let file = directory.path().join("waxwing.toml");
        std::fs::write(&file, "otp.delivery = \"console\"").unwrap();
        let line = format!("waxwing-server --config {} --allow-unverified", file.display());
        assert_eq!(delivery(&line), DeliveryKind::Console);
    }

    #[test]
    fn a_moment_is_a_day_or_a_day_and_a_time() {
        let day = 1_798_070_400;
        for (text, seconds) in [
            ("2026-12-24", Some(day)),
            ("2026-12-24T18:00:00Z", Some(day + 18 * 3_600)),
            ("2026-12-24 18:00:00", None),
            ("2026-02-30", None),
            ("tomorrow", None),
            ("", None),
            ("2026-12-24T18:00:00+01", None),
        ] {
            assert_eq!(parse_moment(text).ok().map(UnixTime::as_seconds), seconds, "{text}");
        }
    }

    #[test]
    fn numbers_and_times_that_make_no_sense_are_refused() {
        for (line, says) in [
            ("ban add 192.0.2.1 --for 0s", "from 1s to 3650d"),
            ("ban add 192.0.2.1 --for 999ms", "from 1s to 3650d"),
            ("ban add 192.0.2.1 --for 3651d", "from 1s to 3650d"),
            ("log level debug --for 0ms", "from 1s to 3650d"),
            ("users suspend 7 --for 0h", "from 1s to 3650d"),
            ("users suspend 7 --for 18446744073709551615d", "is no duration"),
            ("drain --over 86401s", "from 0ms to 1d"),
            ("queue list --top 0", "a whole number from 1 to 65535"),
            ("queue list --top 65536", "a whole number from 1 to 65535"),
            ("queue list --top many", "a whole number from 1 to 65535"),
            ("users limits 7", "<--letters <NUMBER>|--bytes <SIZE>|--default>"),
            ("users limits 7 --letters 0", "a whole number from 1 to 10000000"),
            ("backup restore FILE --registered-since 65536", "a whole number from 0 to 65535"),
            ("backup restore FILE --undo", "cannot be used with"),
            ("backup restore", "<FILE>"),
        ] {
            let line = format!("waxwing-server {line}");
            let refused = Cli::try_parse_from(line.split_whitespace()).unwrap_err().to_string();
            assert!(refused.contains(says), "{line}: {refused}");
        }
        for line in [
            "ban add 192.0.2.1 --for 1s",
            "users suspend 7 --for 3650d",
            "drain --over 0s",
            "drain --over 1d",
            "queue expire 7 --older-than 0s",
            "users list --idle 0s",
            "queue list --top 65535",
            "backup restore --undo",
            "backup restore --undo --registered-since 5",
        ] {
            parse(&format!("waxwing-server {line}"));
        }
    }

    #[test]
    fn a_reason_is_one_short_line() {
        assert!(parse_reason(&"ä".repeat(200)).is_ok());
        for bad in ["two\nlines", "\u{1b}[2J", &"x".repeat(201)] {
            assert!(parse_reason(bad).is_err());
        }
    }

    #[test]
    fn users_are_named_by_id_or_phone() {
        for (text, well_formed) in
            [("7", true), ("+4915112345678", true), ("0", false), ("65536", false), ("+0", false)]
        {
            let line = ["waxwing-server", "users", "show", text];
            assert_eq!(Cli::try_parse_from(line).is_ok(), well_formed, "{text}");
        }
    }
}
