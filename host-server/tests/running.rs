//! Commands of the operator against a server of which parts hang.

mod support;

use std::io::{BufRead, BufReader, Write};
use std::os::unix::net::UnixListener;
use std::path::Path;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

use clap::Parser;
use serde_json::Value;
use waxwing_core::server::{Report, SessionPage};
use waxwing_server::admin::commands;
use waxwing_server::admin::control::{Limits, Listener};
use waxwing_server::admin::reports::Reports;
use waxwing_server::admin::running::Running;
use waxwing_server::cli::{Cli, Command, OperatorCommand};
use waxwing_server::config::Config;
use waxwing_server::data_dir::DataDir;
use waxwing_server::exit::{Exit, Failure};
use waxwing_server::runtime::{AboutRange, Message, Request, Route, ShardLines, ShardReport};
use waxwing_server::store::{
    Job, MemoryStorage, Outlet, StorageClient, StorageThread, ThreadOptions,
};

type Inbox = Receiver<Vec<Message<()>>>;

/// A server of a few shards, which do what the test does with their inboxes.
struct Fake {
    directory: tempfile::TempDir,
    inboxes: Vec<Inbox>,
    storage: Option<StorageThread>,
    listener: Option<Listener>,
    /// Storage is given something to do by it, and hangs then until `goes_on` is dropped.
    client: Option<StorageClient>,
    goes_on: Option<Sender<()>>,
}

impl Fake {
    fn new() -> Self {
        Self::with(2, Reports::default())
    }

    fn with(shards: usize, reports: Reports) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::existing(directory.path()).unwrap();
        let (routes, inboxes): (Vec<_>, Vec<_>) = (0..shards)
            .map(|_| {
                let (inbox, messages) = channel();
                (Route { inbox, waker: Arc::new(|| {}) }, messages)
            })
            .unzip();
        let mut storage = MemoryStorage::new();
        support::apply(&mut storage, [support::create(7)]).unwrap();
        let (goes_on, hangs) = channel::<()>();
        let hangs = Mutex::new(hangs);
        let waker = move || assert!(hangs.lock().unwrap().recv().is_err());
        let outlet = Outlet { done: channel().0, waker: Box::new(waker) };
        let (storage, mut clients) =
            StorageThread::spawn(Box::new(storage), ThreadOptions::default(), vec![outlet])
                .unwrap();
        let running = support::running(&data, ShardLines::new(&routes), storage.inspector());
        let storage_patience = Duration::from_millis(400);
        let running = Running { reports, storage_patience, ..running };
        let socket = directory.path().join("control.sock");
        let listener = Listener::bind(&socket, None, Limits::default(), Arc::new(running));
        let (storage, listener) = (Some(storage), Some(listener.unwrap()));
        let (client, goes_on) = (clients.pop(), Some(goes_on));
        Self { directory, inboxes, storage, listener, client, goes_on }
    }

    /// Ends the server.
    fn end(&mut self) {
        drop((self.goes_on.take(), self.client.take(), self.listener.take(), self.storage.take()));
    }

    fn path(&self) -> &Path {
        self.directory.path()
    }

    /// What a command prints, and how it ends.
    fn run(path: &Path, line: &str) -> (String, Result<(), Failure>) {
        let mut config = Config::default();
        config.server.data = path.to_owned();
        let words = ["waxwing-server"].into_iter().chain(line.split_whitespace());
        let cli = Cli::try_parse_from(words).unwrap();
        let mut out = Vec::new();
        let ended = commands::run(&config, &asked(&cli), cli.json(), &mut out);
        (String::from_utf8(out).unwrap(), ended)
    }
}

fn asked(cli: &Cli) -> OperatorCommand {
    let Ok(Command::Operator(command)) = cli.command() else { panic!("{cli:?}") };
    command
}

/// Answers every request for a report until the server ends.
fn report(inbox: &Inbox) {
    let machine = Report { sessions: 7, ..Report::default() };
    let report = ShardReport { machine, free_disk: Some(5 << 30), ..ShardReport::default() };
    for message in inbox.iter().flatten() {
        if let Message::Request(Request::Report(answer)) = message {
            let _ = answer.send(report);
        }
    }
}

#[test]
fn a_loop_that_hangs_is_named_and_the_others_are_told_of() {
    let mut fake = Fake::new();
    let hangs = fake.inboxes.pop().unwrap();
    let works = fake.inboxes.pop().unwrap();
    let answering = thread::spawn(move || report(&works));
    let (out, ended) = Fake::run(fake.path(), "status --json");
    assert_eq!(ended, Ok(()));
    let status: Value = serde_json::from_str(&out).unwrap();
    let answers: Vec<_> =
        status["loops"].as_array().unwrap().iter().map(|one| &one["answers"]).collect();
    assert_eq!(answers, [true, false]);
    assert_eq!(status["sessions"], 7);
    let (out, _) = Fake::run(fake.path(), "status");
    assert!(out.contains("DOES NOT ANSWER: 1"), "{out}");
    drop(hangs);
    fake.end();
    answering.join().unwrap();
}

/// Does what an operator asks of a shard that has no sessions, and tells what was asked.
fn obey(inbox: &Inbox, told: &Sender<&'static str>) {
    let mut ban = None;
    for message in inbox.iter().flatten() {
        let Message::Request(request) = message else { panic!("no operator asks that") };
        let what = match request {
            Request::Report(answer) => {
                let _ = answer.send(ShardReport::default());
                continue;
            }
            Request::AboutRange(_, answer) => {
                let _ = answer.send(AboutRange { ban: ban.clone(), ..AboutRange::default() });
                continue;
            }
            Request::Ban(new, answer) => {
                ban = Some(new);
                let _ = answer.send(1);
                "ban"
            }
            Request::EndBan(_, answer) => {
                let _ = answer.send(());
                "end of a ban"
            }
            Request::Configure(next) => {
                let _ = next.taken.send(());
                "configuration"
            }
            Request::Sessions(_, answer) => {
                let _ = answer.send(SessionPage { sessions: Vec::new(), next: None });
                "sessions"
            }
            Request::Drain(_, answer) => {
                let _ = answer.send(());
                "drain"
            }
            Request::Undrain(answer) => {
                let _ = answer.send(());
                "undrain"
            }
            other => panic!("{other:?} is not expected"),
        };
        told.send(what).unwrap();
    }
}

#[test]
fn a_loop_that_hangs_keeps_no_other_from_what_all_are_to_do() {
    let mut fake = Fake::with(3, Reports::with_patience(Duration::from_millis(400)));
    let last = fake.inboxes.pop().unwrap();
    let hangs = fake.inboxes.pop().unwrap();
    let first = fake.inboxes.pop().unwrap();
    let (tell, told) = channel();
    let shards: Vec<_> = [first, last]
        .into_iter()
        .map(|inbox| {
            let tell = tell.clone();
            thread::spawn(move || obey(&inbox, &tell))
        })
        .collect();
    for (line, what, done, meanwhile) in [
        ("ban add 203.0.113.0/24", "ban", "ended 2 connections", "who is banned is still served"),
        ("ban remove 203.0.113.0/24", "end of a ban", "no longer banned", "nobody from these"),
        ("reload", "configuration", "was read again", "the configuration before counts there"),
        ("sessions list", "sessions", "", "nobody can say who has a session there"),
        ("drain --over 60s", "drain", "the server stops", "nobody is sent away there"),
        ("undrain", "undrain", "the server goes on", "sessions are still sent away there"),
    ] {
        let (out, ended) = Fake::run(fake.path(), line);
        assert!(out.contains(done), "{line}: {out}");
        let failure = ended.unwrap_err();
        assert_eq!(failure.exit(), Exit::Failure, "{line}");
        let failure = failure.to_string();
        let why = "event loop 1 does not answer within 0.4 seconds: until that changes, ";
        assert!(failure.starts_with(why) && failure.contains(meanwhile), "{line}: {failure}");
        // Both of the others have heard of it, and that loop does when it goes on.
        assert_eq!([told.recv().unwrap(), told.recv().unwrap()], [what; 2], "{line}");
        let waits = |message: &Message<()>| match message {
            Message::Request(request) => !matches!(request, Request::Report(_)),
            _ => false,
        };
        assert_eq!(hangs.try_iter().flatten().filter(waits).count(), 1, "{line}");
    }
    let (shown, _) = Fake::run(fake.path(), "audit show");
    assert_eq!(shown.matches("event loop 1 does not answer").count(), 5, "{shown}");
    drop(hangs);
    fake.end();
    for shard in shards {
        shard.join().unwrap();
    }
}

/// What one loop alone is to do.
const FOR_ONE: [&str; 5] = [
    "sessions end 7",
    "users remove 7 --yes",
    "users suspend 7",
    "users limits 7 --letters 5",
    "queue expire 7 --older-than 1d --yes",
];

#[test]
fn what_a_loop_that_hangs_has_not_begun_is_taken_back() {
    let mut fake = Fake::with(1, Reports::with_patience(Duration::from_millis(200)));
    let hangs = fake.inboxes.pop().unwrap();
    for line in FOR_ONE {
        let (out, ended) = Fake::run(fake.path(), line);
        let failure = ended.unwrap_err();
        assert_eq!((failure.exit(), out.as_str()), (Exit::Failure, ""), "{line}");
        let why = "event loop 0 does not answer within 0.2 seconds, and nothing was done";
        assert!(failure.to_string().starts_with(why), "{line}: {failure}");
    }
    let (shown, _) = Fake::run(fake.path(), "audit show");
    let noted = shown.matches("failed").count();
    assert_eq!((noted, shown.matches("nothing was done").count()), (5, 5), "{shown}");
    // When the loop goes on, it finds nothing to do.
    let offered: Vec<_> = hangs
        .try_iter()
        .flatten()
        .filter_map(|message| match message {
            Message::Request(Request::Offered(offer, _)) => Some(offer.claim()),
            _ => None,
        })
        .collect();
    assert_eq!(offered, [false; 5]);
    drop(hangs);
    fake.end();
}

#[test]
fn a_loop_that_hangs_after_it_has_begun_is_named_and_the_audit_log_does_not_say_how_it_ended() {
    let mut fake = Fake::with(1, Reports::with_patience(Duration::from_millis(200)));
    let inbox = fake.inboxes.pop().unwrap();
    let begins = thread::spawn(move || {
        let mut begun = Vec::new();
        for message in inbox.iter().flatten() {
            if let Message::Request(Request::Offered(offer, request)) = message {
                assert!(offer.claim());
                begun.push(request);
            }
        }
    });
    for line in FOR_ONE {
        let (_, ended) = Fake::run(fake.path(), line);
        let failure = ended.unwrap_err().to_string();
        let why = "event loop 0 does not answer within 0.2 seconds: what was asked has begun";
        assert!(failure.starts_with(why), "{line}: {failure}");
    }
    let (shown, _) = Fake::run(fake.path(), "audit show");
    assert_eq!(shown.matches("unknown").count(), 5, "{shown}");
    fake.end();
    begins.join().unwrap();
}

#[test]
fn storage_that_hangs_keeps_no_command_waiting_and_does_later_nothing_that_was_taken_back() {
    let mut fake = Fake::with(1, Reports::default());
    let inbox = fake.inboxes.pop().unwrap();
    let (tell, told) = channel();
    let shard = thread::spawn(move || obey(&inbox, &tell));
    fake.client.as_ref().unwrap().send(Job::Batch(support::batch([])));
    for line in
        ["users show 7", "users list", "queue list", "sessions end 7", "ban add 203.0.113.1"]
    {
        let (_, ended) = Fake::run(fake.path(), line);
        let failure = ended.unwrap_err();
        assert_eq!(failure.exit(), Exit::Storage, "{line}");
        let why = "storage does not answer within 0.4 seconds";
        assert!(failure.to_string().starts_with(why), "{line}: {failure}");
    }
    let (shown, _) = Fake::run(fake.path(), "audit show");
    assert!(shown.contains("failed") && shown.contains("nothing was done"), "{shown}");
    fake.goes_on = None;
    let (out, ended) = Fake::run(fake.path(), "users show 7");
    assert_eq!(ended, Ok(()));
    assert!(out.starts_with("id         7"), "{out}");
    // No loop has heard of the ban.
    assert!(told.try_recv().is_err());
    fake.end();
    shard.join().unwrap();
}

#[test]
fn a_command_hears_when_the_server_stops_before_it_has_answered() {
    let mut fake = Fake::new();
    // They drop whatever they are asked, as shards that have stopped do.
    fake.inboxes.clear();
    let (out, ended) = Fake::run(fake.path(), "sessions list");
    assert_eq!(out, "", "a list that cannot be had has no head");
    let failure = ended.unwrap_err();
    assert_eq!(failure.exit(), Exit::Failure);
    assert!(failure.to_string().contains("the server stops"), "{failure}");
    fake.end();
}

#[test]
fn a_request_of_another_version_is_refused_and_says_so() {
    use std::io::{BufRead, BufReader, Write};
    let fake = Fake::new();
    for request in [
        "{\"data\":null,\"request\":{\"command\":\"fly\"}}",
        "{\"data\":null,\"request\":{\"command\":\"status\",\"watch\":false,\"x\":1}}",
        "7",
    ] {
        let socket = fake.path().join("control.sock");
        let mut stream = std::os::unix::net::UnixStream::connect(socket).unwrap();
        stream.write_all(format!("{request}\n").as_bytes()).unwrap();
        let mut line = String::new();
        BufReader::new(stream).read_line(&mut line).unwrap();
        let answer: Value = serde_json::from_str(&line).unwrap();
        assert_eq!(answer["error"]["exit"], 2, "{line}");
        assert!(answer["error"]["message"].as_str().unwrap().contains("does not know"), "{line}");
    }
}

#[test]
fn a_command_that_means_another_server_is_refused() {
    let (fake, other) = (Fake::new(), tempfile::tempdir().unwrap());
    let mut config = Config::default();
    config.server.control = fake.path().join("control.sock");
    config.server.data = other.path().to_owned();
    let cli = Cli::try_parse_from(["waxwing-server", "users", "list"]).unwrap();
    let mut out = Vec::new();
    let refused = commands::run(&config, &asked(&cli), false, &mut out).unwrap_err();
    assert_eq!((refused.exit(), out), (Exit::Config, Vec::new()));
    assert!(refused.to_string().contains("and not in"), "{refused}");
    // A name with a mistake in it is the name of no server.
    config.server.data = other.path().join("absent");
    let refused = commands::run(&config, &asked(&cli), false, &mut Vec::new()).unwrap_err();
    assert!(refused.to_string().contains("absent"), "{refused}");
    // Whoever cannot see the directory that the configuration names means whoever answers, and so does who
    // looks from elsewhere for the one of a name that depends on the place.
    std::fs::write(other.path().join("file"), "").unwrap();
    for unseen in [other.path().join("file/data"), "no-such-directory".into()] {
        config.server.data = unseen;
        commands::run(&config, &asked(&cli), false, &mut Vec::new()).unwrap();
    }
    config.server.data = fake.path().to_owned();
    let mut out = Vec::new();
    commands::run(&config, &asked(&cli), false, &mut out).unwrap();
    assert!(out.starts_with(b"   id"));
}

#[test]
fn whoever_waits_for_long_is_told_once_that_the_server_is_at_it() {
    let directory = tempfile::tempdir().unwrap();
    let listener = UnixListener::bind(directory.path().join("control.sock")).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        BufReader::new(&stream).read_line(&mut String::new()).unwrap();
        stream.write_all(b"{\"waiting\":{}}\n{\"waiting\":{}}\n{\"done\":{}}\n").unwrap();
    });
    let mut command = std::process::Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
    command.arg("--data").arg(directory.path()).args(["sessions", "list"]);
    let ran = command.output().unwrap();
    server.join().unwrap();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert!(ran.status.success() && said.contains("whether an event loop hangs"), "{said}");
    assert_eq!(said.lines().count(), 1, "{said}");
}
