//! What a person types. Nothing that holds a letter's text has a `Debug`.

use std::path::PathBuf;
use std::str::FromStr;
use std::time::Duration;

use clap::{Parser, Subcommand, ValueEnum};
use jiff::civil::Date;
use waxwing_core::id::Uid;
use waxwing_core::phone::Otp;

use crate::accounts;
use crate::clock;
use crate::name::Name;
use crate::phone::Country;
use crate::servers::Servers;
use crate::show;
use crate::trust;
use crate::who::{LettersOf, Who};

/// End-to-end encrypted letters from the terminal.
#[derive(Parser)]
#[command(name = "waxwing", version, about, after_help = EXIT_CODES)]
pub struct Args {
    /// Directory with key, contacts and letters [default: that of the account]
    #[arg(long, global = true, value_name = "DIR", conflicts_with = "account")]
    pub home: Option<PathBuf>,
    /// One of several accounts, by the name that `accounts add` has given it [default: the one that
    /// `accounts default` has named, or main, which is in $XDG_DATA_HOME/waxwing]
    #[arg(long, global = true, value_name = "NAME", value_parser = account)]
    pub account: Option<String>,
    /// The country whose numbers may be typed without its code, such as +49
    #[arg(long, global = true, value_name = "CODE", value_parser = Country::parse)]
    pub country: Option<Country>,
    /// Say on standard error what goes on; no letter, code or key is ever shown there
    #[arg(long, short, global = true)]
    pub verbose: bool,
    /// What to do [default: tui]
    #[command(subcommand)]
    command: Option<Command>,
}

impl Args {
    /// What to do.
    #[must_use]
    pub fn wanted(&self) -> &Command {
        self.command.as_ref().unwrap_or(&Command::Tui)
    }
}

/// What to do.
#[derive(Subcommand)]
pub enum Command {
    /// Register a phone with a server; may be run again, with the code, after a failure, or when the
    /// server has moved, has a new key or has lost the account
    Register(Register),
    /// Show phone, id, fingerprint and server of this home
    Whoami {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// List everybody whose key is pinned, who has a name, or who is blocked
    Contacts {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// List the conversations, and how many letters in each nobody has read
    Conversations {
        /// Those that were put away with `archive`
        #[arg(long)]
        archived: bool,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// List the strangers who have written, and have no answer
    Requests {
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Take a stranger's request: their letters are kept from now on as those of others
    Accept(Person),
    /// Give somebody a name, which can then stand in place of the phone number
    ///
    /// The name is known in this home alone. Two people cannot have names that look alike. To name a stranger
    /// is to accept their request, unless they are blocked.
    Name(Naming),
    /// Find letters by what they say
    Search(Search),
    /// Send a letter
    Send(Send),
    /// Print the letters that nobody has printed yet
    ///
    /// Of several that run at once, one prints each letter. What an open chat has shown is not
    /// printed; the other way round, an open chat shows also what this command prints. If it is
    /// killed while it prints, some letters are printed once more, and none is left out.
    Receive(Receive),
    /// Serve programs by JSON-RPC 2.0, a message a line, until their input ends
    ///
    /// `next` gives the letters that a program has not acknowledged by `ack`, whatever became of it in
    /// between, and `send` with a key sends once. docs/RPC.md says more.
    Rpc(Rpc),
    /// List the programs that get letters by `rpc`, and how many letters each is not done with
    ///
    /// The home keeps letters for each of them until it is done with them: neither `retention` nor `delete`
    /// deletes them before. One that does not come back has to be removed.
    Consumers(Consumers),
    /// Show the letters that the server has not answered for; try them now, or give one up
    Outbox(Outbox),
    /// Show all conversations on a full screen; `waxwing` without a command does the same
    ///
    /// F1 shows which key does what. Set NO_COLOR for a screen without colors; a theme in the configuration
    /// goes first.
    Tui,
    /// Talk with somebody, line by line
    ///
    /// Each line is a letter, and a blank one is none. Letters from the other show as they come. On a
    /// terminal /help shows the commands. What a program writes into it is sent line by line as it
    /// is; a line that is not UTF-8, has zero bytes or is too long for a letter is named and not sent,
    /// and the exit code is then 2.
    Chat {
        /// The name or phone number of the other person
        #[arg(value_name = "WHO", value_parser = Who::parse)]
        who: Who,
    },
    /// Show the safety number to compare with somebody, over the phone or in person
    Verify(Verify),
    /// Show the letters to and from somebody, and what became of them
    History {
        /// The name or phone number of the other person
        #[arg(value_name = "WHO", value_parser = Who::parse)]
        who: Who,
        /// How many letters at most, the newest [default: all]
        #[arg(long, value_name = "N", value_parser = clap::value_parser!(u32).range(1..))]
        limit: Option<u32>,
        /// One JSON object a line
        #[arg(long)]
        json: bool,
    },
    /// Discard the letters of somebody from now on, without showing them
    Block(Person),
    /// Take the letters of somebody again who was blocked
    Unblock(Person),
    /// Put a conversation away until something new is said in it; a muted one stays away
    Archive(Person),
    /// Put a conversation back among those that are going on
    Unarchive(Person),
    /// Show no notices of what is new in a conversation
    Mute(Mute),
    /// Show notices of a conversation again
    Unmute(Person),
    /// Delete letters from this home, and give their room on the disk back
    ///
    /// Nothing brings them back, so it asks first and says how many they are. A letter that a program is not
    /// done with stays; `waxwing consumers` shows those programs.
    Delete(Delete),
    /// Make a home whose log is damaged usable again, without what the damage hides
    ///
    /// A command that meets such damage says so. What was stored last cannot be read then, and is not in the
    /// home any more; the damaged files are kept.
    Recover {
        /// One JSON object
        #[arg(long)]
        json: bool,
    },
    /// List the accounts of this person, add one, or remove one: a home each
    Accounts(Accounts),
    /// Look into packets, make some, check their signatures; for whoever writes an implementation
    #[command(subcommand)]
    Packet(Packet),
}

/// `waxwing packet`. Packets come on standard input: in hexadecimal, in base64 or as they are, and
/// as many as there are, one behind the other.
#[derive(Debug, Subcommand)]
pub enum Packet {
    /// Take packets apart: offset, bytes, meaning, and after a ! what is wrong
    ///
    /// Exits with 1 when something is wrong, and with 78 when a file cannot be used.
    Explain(Explain),
    /// Make a packet from a description in TOML
    ///
    /// docs/packet.toml in the sources says all that can stand in one:
    ///
    ///   op = 106
    ///   sender_id = 7
    ///   content = [{ hex = "404142434445464748494a4b4c4d4e4f" }]
    ///   protection.oaep = { key = "server.pub.pem", label = "waxwing/1:106" }
    ///   sign_with = "ann.key.pem"
    #[command(verbatim_doc_comment)]
    Build(Build),
    /// Check signatures under a public key
    ///
    /// Exits with 4 when one does not hold, with 1 when there is no whole packet, and with 78 when
    /// the key cannot be used.
    Verify {
        /// The packets: as they are, in hexadecimal or base64; - reads standard input
        #[arg(value_name = "FILE", default_value = "-")]
        file: PathBuf,
        /// The public key, PEM
        #[arg(long, value_name = "FILE")]
        key: PathBuf,
    },
}

/// `waxwing packet explain`.
#[derive(Debug, clap::Args)]
pub struct Explain {
    /// The packets: as they are, in hexadecimal or base64; - reads standard input
    #[arg(value_name = "FILE", default_value = "-")]
    pub file: PathBuf,
    /// Check the server's signatures under this public key, PEM
    #[arg(long, value_name = "FILE")]
    pub server_key: Option<PathBuf>,
    /// Open sealed packets with the keys of this log; see WAXWING_KEYLOG in SECURITY.md
    #[arg(long, value_name = "FILE")]
    pub keylog: Option<PathBuf>,
}

/// `waxwing packet build`.
#[derive(Debug, clap::Args)]
pub struct Build {
    /// The description; - reads standard input
    #[arg(value_name = "FILE")]
    pub file: PathBuf,
    /// Write the bytes as they are, instead of hexadecimal
    #[arg(long)]
    pub raw: bool,
}

/// `waxwing register`.
#[derive(Debug, clap::Args)]
pub struct Register {
    /// The server; in a home that has one, where it is now [default: as before, or 127.0.0.1:9295].
    /// Where a server has several addresses, with a comma between them, they are tried in turn
    #[arg(long, value_name = "ADDR,…", value_parser = Servers::from_str)]
    pub server: Option<Servers>,
    /// The server's public key, from its operator: server.pub.pem
    #[arg(long, value_name = "FILE")]
    pub server_key: PathBuf,
    /// Trust the key in that file from now on, in place of the one that this home trusts: the
    /// fingerprint that was shown
    #[arg(long, value_name = "FINGERPRINT", value_parser = fingerprint)]
    pub accept_server_key: Option<String>,
    /// Your phone number, with + and the code of its country
    #[arg(value_parser = Who::phone)]
    pub phone: Who,
    /// The code that was sent to you
    #[arg(long, value_name = "CODE", value_parser = otp)]
    pub otp: Option<Otp>,
}

/// Somebody, for commands that need to know nothing else.
#[derive(Debug, clap::Args)]
pub struct Person {
    /// A name or phone number
    #[arg(value_name = "WHO", value_parser = Who::parse)]
    pub who: Who,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `waxwing name`.
#[derive(Debug, clap::Args)]
pub struct Naming {
    /// The phone number, or the name until now
    #[arg(value_name = "WHO", value_parser = Who::parse)]
    pub who: Who,
    /// The name
    #[arg(value_parser = Name::parse, required_unless_present = "remove")]
    pub name: Option<Name>,
    /// Take the name away
    #[arg(long, conflicts_with = "name")]
    pub remove: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `waxwing mute`.
#[derive(Debug, clap::Args)]
pub struct Mute {
    /// A name or phone number
    #[arg(value_name = "WHO", value_parser = Who::parse)]
    pub who: Who,
    /// For how long, such as 8h or 7d [default: until `unmute`]
    #[arg(long = "for", value_name = "SPAN", value_parser = clock::parse_span)]
    pub span: Option<Duration>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `waxwing search`.
#[derive(clap::Args)]
pub struct Search {
    /// A part of what a letter says, in capitals or not
    #[arg(allow_hyphen_values = true)]
    pub text: String,
    /// In the conversation with one person, by name or phone number
    #[arg(long, value_name = "WHO", value_parser = Who::parse)]
    pub with: Option<Who>,
    /// How many letters at most, the newest
    #[arg(long, value_name = "N", default_value_t = 50, value_parser = clap::value_parser!(u32).range(1..))]
    pub limit: u32,
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
}

/// `waxwing accounts`.
#[derive(Debug, clap::Args)]
pub struct Accounts {
    /// One JSON object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do
    #[command(subcommand)]
    pub action: AccountsAction,
}

/// What can be done about accounts.
#[derive(Debug, Subcommand)]
pub enum AccountsAction {
    /// List them
    List,
    /// Make an empty home for one more; `waxwing --account NAME register` goes on
    Add {
        /// Its name: letters a to z, digits and -
        #[arg(value_parser = account)]
        name: String,
    },
    /// Mean an account from now on when none is named
    Default {
        /// Its name
        #[arg(value_parser = account)]
        name: String,
    },
    /// Delete the home of an account, with its key and all letters
    ///
    /// The server keeps the account. Nobody can use it any more, unless there is a copy of the home.
    Remove {
        /// Its name
        #[arg(value_parser = account)]
        name: String,
        /// Do not ask; a program has to say so
        #[arg(long)]
        yes: bool,
    },
}

/// `waxwing send`.
#[derive(clap::Args)]
pub struct Send {
    /// The name or phone number of the recipient
    #[arg(value_name = "WHO", value_parser = Who::parse)]
    pub who: Who,
    /// The text of the letter; - reads it from standard input, up to the end
    #[arg(allow_hyphen_values = true)]
    pub text: String,
    /// How far the letter has to come before the command ends
    #[arg(long, value_enum, default_value_t = WaitFor::Stored)]
    pub wait: WaitFor,
    /// Seconds that the command may take for that; the letter stays queued after [default: 30]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// A name for this letter, which no other letter of this home has. What was sent under this name before
    /// is not sent again, and another letter with the same name is an error
    #[arg(long, value_parser = key)]
    pub key: Option<String>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// How far a letter has to come.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum)]
pub enum WaitFor {
    /// The server has it and will not lose it.
    Stored,
    /// The recipient's client has it.
    Delivered,
}

/// `waxwing receive`.
#[derive(Debug, clap::Args)]
pub struct Receive {
    /// Go on until interrupted, or until --timeout passes without a letter
    ///
    /// When the disk is full, it says so, and goes on when there is room. What comes meanwhile waits at the
    /// server.
    #[arg(long)]
    pub follow: bool,
    /// Seconds that the command may take, waiting for a letter if there is none; with --follow,
    /// seconds without one, or without one that PROGRAM is done with [default: 0, take what is there; with
    /// --follow for ever]
    #[arg(long, value_name = "S", value_parser = seconds)]
    pub timeout: Option<Duration>,
    /// A program to run for each letter in place of printing it: it gets the text on its standard input,
    /// and is done with the letter when it ends with 0
    ///
    /// LETTER_FROM, LETTER_NAME, LETTER_UID, LETTER_SENT_AT and LETTER_REQUEST say more about the letter, and
    /// LETTER_HOME where it is.
    /// One that fails gets the same letter again, with --follow after a while. `waxwing send --key` sends
    /// once, however often it is called.
    #[arg(long, value_name = "PROGRAM")]
    pub exec: Option<PathBuf>,
    /// One JSON object a line; with --exec the program gets it in place of the text
    #[arg(long)]
    pub json: bool,
}

/// `waxwing rpc`.
#[derive(Debug, clap::Args)]
pub struct Rpc {
    /// Serve programs of this user on a socket instead of standard input and output
    #[arg(long, value_name = "PATH")]
    pub socket: Option<PathBuf>,
    /// Let programs say whose keys are believed in: `verify` and `accept_key`
    #[arg(long)]
    pub allow_trust: bool,
    /// Print what can be called, as an OpenRPC document, and end
    #[arg(long)]
    pub schema: bool,
}

/// `waxwing consumers`.
#[derive(Debug, clap::Args)]
pub struct Consumers {
    /// One JSON object a line
    #[arg(long, global = true)]
    pub json: bool,
    /// What to do; without it they are listed
    #[command(subcommand)]
    pub action: Option<ConsumersAction>,
}

/// What can be done about programs that get letters.
#[derive(Debug, Subcommand)]
pub enum ConsumersAction {
    /// Forget one that does not come back
    Remove {
        /// Its name
        name: String,
        /// Do not ask; a program has to say so
        #[arg(long)]
        yes: bool,
    },
}

/// `waxwing delete`. It asks before it deletes anything.
#[derive(Debug, clap::Args)]
#[command(group(clap::ArgGroup::new("which").required(true).args(["who", "strangers", "unreadable"])))]
pub struct Delete {
    /// The letters from and to somebody, by name or phone number; the key stays pinned
    #[arg(value_name = "WHO", value_parser = Who::parse, requires = "how_many")]
    pub who: Option<Who>,
    /// All of the letters from and to WHO
    #[arg(long, group = "how_many", conflicts_with_all = ["strangers", "unreadable"])]
    pub all: bool,
    /// Those from and to WHO from before a day, YYYY-MM-DD
    #[arg(
        long,
        value_name = "DATE",
        group = "how_many",
        conflicts_with_all = ["strangers", "unreadable"],
        value_parser = date
    )]
    pub before: Option<Date>,
    /// The one from or to WHO that has this uid; `history --json` shows it
    #[arg(
        long,
        value_name = "UID",
        group = "how_many",
        conflicts_with_all = ["strangers", "unreadable"],
        value_parser = uid
    )]
    pub letter: Option<Uid>,
    /// The letters of strangers, read or not: you have never written to them, nor given them a name, nor
    /// accepted them, nor accepted or verified their key
    #[arg(long)]
    pub strangers: bool,
    /// The letters that could not be opened
    #[arg(long)]
    pub unreadable: bool,
    /// Do not ask; a program has to say so
    #[arg(long)]
    pub yes: bool,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
}

/// `waxwing outbox`. It works while another waxwing of this home is at work, too.
#[derive(Debug, clap::Args)]
pub struct Outbox {
    /// One JSON object a line
    #[arg(long)]
    pub json: bool,
    /// What to do about them; without it they are shown
    #[command(subcommand)]
    pub action: Option<OutboxAction>,
}

/// What can be done about letters that wait.
#[derive(Debug, Subcommand)]
pub enum OutboxAction {
    /// Try letters now that the server has refused for a while
    Retry {
        /// A letter's uid, with those that it waits for, or somebody's name or phone number [default:
        /// all letters]
        #[arg(value_parser = letters_of)]
        which: Option<LettersOf>,
    },
    /// Give a letter up: it is not sent, or not again
    Drop {
        /// Its uid
        #[arg(value_parser = uid)]
        uid: Uid,
    },
}

/// `waxwing verify`.
#[derive(Debug, clap::Args)]
pub struct Verify {
    /// The name or phone number of the other person
    #[arg(value_name = "WHO", value_parser = Who::parse)]
    pub who: Who,
    /// Accept the changed key that has this safety number: the sixty digits that you have compared
    #[arg(long, value_name = "NUMBER")]
    pub accept: Option<String>,
    /// One JSON object
    #[arg(long)]
    pub json: bool,
    /// The rest of a number that was typed without quotation marks.
    #[arg(hide = true, requires = "accept")]
    rest: Vec<String>,
}

impl Verify {
    /// The digits of the number that was compared, if one was named.
    ///
    /// # Errors
    /// What is wrong with it, for the person.
    pub fn compared_number(&self) -> Result<Option<String>, String> {
        let Some(first) = &self.accept else { return Ok(None) };
        let number: String = [first].into_iter().chain(&self.rest).map(String::as_str).collect();
        let shown = |why| format!("{why}; `waxwing verify {}` shows it", self.who.for_shell());
        trust::digits(&number).map(Some).map_err(shown)
    }
}

const EXIT_CODES: &str = "\
Exit codes: 0 ok, 1 failure, 2 usage, 3 network or server refused, 4 untrusted or changed key, \
5 rate-limited, 6 code wrong or expired, 7 timed out, 74 storage, 78 bad configuration, \
130 interrupted.";

fn key(text: &str) -> Result<String, String> {
    if text.len() <= 256 && !show::is_blank(text) {
        return Ok(text.to_owned());
    }
    Err("a key has at most 256 bytes, and something in it that can be seen".to_owned())
}

fn account(text: &str) -> Result<String, String> {
    accounts::check_name(text).map(|()| text.to_owned())
}

fn fingerprint(text: &str) -> Result<String, String> {
    let plain: String = text.split_whitespace().collect::<String>().to_lowercase();
    if plain.len() != 64 || !plain.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err("a fingerprint is 64 hexadecimal digits".into());
    }
    Ok(plain)
}

fn otp(text: &str) -> Result<Otp, String> {
    Otp::parse(text.as_bytes()).map_err(|_| "a code is six digits".into())
}

/// A year; nobody waits longer, and clocks can be added up to it.
const LONGEST_S: u64 = 31_536_000;

fn seconds(text: &str) -> Result<Duration, String> {
    match text.parse() {
        Ok(seconds @ 0..=LONGEST_S) => Ok(Duration::from_secs(seconds)),
        _ => Err(format!("whole seconds are needed, 0 to {LONGEST_S}, which is a year")),
    }
}

pub(crate) fn uid(text: &str) -> Result<Uid, String> {
    let wrong = || {
        "a letter's uid is 32 hexadecimal digits; `waxwing history --json` shows it, and `waxwing outbox` \
         shows those of letters that wait"
            .to_owned()
    };
    let mut uid = [0; Uid::LEN];
    if text.len() != 2 * Uid::LEN || !text.bytes().all(|byte| byte.is_ascii_hexdigit()) {
        return Err(wrong());
    }
    for (at, byte) in uid.iter_mut().enumerate() {
        *byte = u8::from_str_radix(&text[2 * at..2 * at + 2], 16).map_err(|_| wrong())?;
    }
    Ok(Uid(uid))
}

fn letters_of(text: &str) -> Result<LettersOf, String> {
    uid(text).map(LettersOf::Letter).or_else(|_| Who::parse(text).map(LettersOf::Person))
}

fn date(text: &str) -> Result<Date, String> {
    let wrong = || "a day is YYYY-MM-DD, such as 2026-01-31".to_owned();
    let is_plain = text.bytes().all(|byte| byte.is_ascii_digit() || byte == b'-');
    text.parse().ok().filter(|_| is_plain).ok_or_else(wrong)
}

#[cfg(test)]
mod tests {
    use super::*;
    use clap::CommandFactory;

    fn parse(words: &[&str]) -> Result<Args, clap::Error> {
        Args::try_parse_from([&["waxwing"], words].concat())
    }

    #[test]
    fn the_definition_is_consistent() {
        Args::command().debug_assert();
    }

    #[test]
    fn register_takes_server_key_and_phone() {
        let words = ["register", "--server", "[::1]:1", "--server-key", "s.pem", "+4915112345678"];
        let Some(Command::Register(register)) = parse(&words).unwrap().command else { panic!() };
        assert_eq!(register.server, Some("[::1]:1".parse().unwrap()));
        assert!(register.otp.is_none());
        assert!(parse(&["register", "+4915112345678"]).is_err());
        let words = ["register", "--server", "localhost", "--server-key", "s", "+4915112345678"];
        assert!(parse(&words).is_err());
    }

    #[test]
    fn delete_says_which_letters() {
        let which = |words: &[&str]| match parse(&[&["delete"], words].concat()) {
            Ok(Args { command: Some(Command::Delete(delete)), .. }) => Some(delete),
            _ => None,
        };
        let anna = "+4915112345678";
        assert!(which(&[anna, "--all"]).unwrap().all);
        let before = which(&[anna, "--before", "2026-02-28"]).unwrap().before;
        assert_eq!(before, Some(Date::constant(2026, 2, 28)));
        assert!(which(&["--strangers"]).unwrap().strangers);
        assert!(which(&["--unreadable"]).unwrap().unreadable);
        for wrong in [
            &[][..],
            &[anna],
            &["--all"],
            &["--before", "2026-02-28"],
            &[anna, "--all", "--before", "2026-02-28"],
            &[anna, "--strangers"],
            &["--strangers", "--all"],
            &["--strangers", "--unreadable"],
            &[anna, "--before", "2026-02-29"],
            &[anna, "--before", "yesterday"],
            &[anna, "--before", "2026-02-28T00:00:00"],
            &[" ", "--all"],
            &["+4915", "--all"],
        ] {
            assert!(which(wrong).is_none(), "{wrong:?}");
        }
    }

    #[test]
    fn send_waits_for_stored_and_takes_any_text() {
        let words = ["send", "+4915112345678", "-", "--timeout", "3", "--home", "/h"];
        let args = parse(&words).unwrap();
        assert_eq!(args.home, Some("/h".into()));
        let Some(Command::Send(send)) = args.command else { panic!() };
        assert_eq!((send.text.as_str(), send.wait), ("-", WaitFor::Stored));
        assert_eq!(send.timeout, Some(Duration::from_secs(3)));
        let Some(Command::Send(send)) = parse(&["send", "+4915112345678", "-:)"]).unwrap().command
        else {
            panic!()
        };
        assert_eq!(send.text, "-:)");
        assert!(parse(&["send", "+12345", "hi"]).is_err());
    }
}
