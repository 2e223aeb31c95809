//! The control socket, with a server behind it that knows a few requests of these tests: who is served,
//! what hostile ends can do to one another, and what there may be in the socket's place.

use std::fs::{self, Permissions};
use std::io::{self, BufRead, BufReader, ErrorKind, Read, Write};
use std::net::Shutdown;
use std::os::fd::OwnedFd;
use std::os::unix::fs::{FileTypeExt, MetadataExt, PermissionsExt, symlink};
use std::os::unix::net::{UnixListener, UnixStream};
use std::os::unix::process::CommandExt;
use std::path::{Path, PathBuf};
use std::process::Command;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::{Duration, Instant};

use rustix::fs::{Mode, RawMode};
use rustix::net::{AddressFamily, SocketAddrUnix, SocketType, listen, socket};
use rustix::process::{getegid, geteuid, umask};
use tempfile::TempDir;
use waxwing_server::admin::control::{
    Answer, Caller, Connection, Limits, Listener, MAX_LINE, MAX_REQUEST, Refusal, RefusalCode,
    Serve,
};
use waxwing_server::config::LONGEST_SOCKET_PATH;
use waxwing_server::exit::Exit;

/// For what happens at once unless something is wrong.
const SOON: Duration = Duration::from_secs(30);
/// For limits that a test waits for.
const SHORT: Duration = Duration::from_millis(50);
/// Between two steps of somebody who is slow, and would be done after [`SHORT`] many times over.
const PACE: Duration = Duration::from_millis(5);
/// For limits that no test waits for.
const LONG: Duration = Duration::from_hours(1);

/// Whose limits no test reaches by being slow.
const PATIENT: Limits =
    Limits { connections: 8, request: LONG, line: LONG, last_words: SHORT, ending: SOON };

/// Tells the test how each request ended.
struct Fake {
    ended: Mutex<Sender<io::Result<()>>>,
    begun: Mutex<Sender<Caller>>,
    /// Requests that wait for the test hold until it drops this.
    held: Mutex<Receiver<()>>,
}

impl Fake {
    fn answer(&self, request: &str, answer: &mut Answer<'_>) -> io::Result<()> {
        match request {
            "\"lines\"" => (0..1_000).try_for_each(|number| answer.line(&number.to_string())),
            "\"flood\"" => {
                let line = format!("\"{}\"", "x".repeat(MAX_LINE - 2));
                (0..100).try_for_each(|_| answer.line(&line))
            }
            "\"long\"" => {
                let line = format!("\"{}\"", "x".repeat(MAX_LINE - 2));
                (0..4).try_for_each(|_| answer.line(&line))
            }
            "\"watch\"" => {
                answer.line("\"watching\"")?;
                answer.pause(LONG)?;
                answer.line("\"an hour has passed\"")
            }
            "\"hold\"" => {
                answer.line("\"holding\"")?;
                // An error says that the test wants it to end.
                let _ = self.held.lock().unwrap().recv();
                Ok(())
            }
            "\"hold, and answer\"" => {
                answer.line("\"holding\"")?;
                let _ = self.held.lock().unwrap().recv();
                answer.line("\"answered\"")
            }
            "\"two lines\"" => answer.line("1\n2"),
            "\"too long\"" => answer.line(&"1".repeat(MAX_LINE + 1)),
            other => answer.line(other),
        }
    }
}

impl Serve for Fake {
    fn serve(&self, caller: Caller, request: &str, answer: &mut Answer<'_>) -> io::Result<()> {
        self.begun.lock().unwrap().send(caller).unwrap();
        let result = self.answer(request, answer);
        let told = result.as_ref().map(|_| ()).map_err(|error| error.kind().into());
        self.ended.lock().unwrap().send(told).unwrap();
        result
    }
}

/// A server in a directory of its own.
struct Server {
    listener: Option<Listener>,
    begun: Receiver<Caller>,
    ended: Receiver<io::Result<()>>,
    release: Option<Sender<()>>,
    path: PathBuf,
    directory: TempDir,
}

impl Server {
    fn start() -> Self {
        Self::with(PATIENT, None)
    }

    fn with(limits: Limits, group: Option<u32>) -> Self {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("control.sock");
        let (ended, told_ended) = channel();
        let (begun, told_begun) = channel();
        let (release, held) = channel();
        let fake =
            Fake { ended: Mutex::new(ended), begun: Mutex::new(begun), held: Mutex::new(held) };
        let listener = Listener::bind(&path, group, limits, Arc::new(fake)).unwrap();
        assert_eq!(listener.path(), path);
        Self {
            listener: Some(listener),
            begun: told_begun,
            ended: told_ended,
            release: Some(release),
            path,
            directory,
        }
    }

    fn raw(&self) -> UnixStream {
        let stream = UnixStream::connect(&self.path).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream.set_write_timeout(Some(SOON)).unwrap();
        stream
    }

    fn ask(&self, request: &str) -> Vec<String> {
        let connection = Connection::open(&self.path).unwrap().expect("a server listens");
        let mut answers = connection.ask(request).unwrap();
        std::iter::from_fn(|| answers.next_line().unwrap()).collect()
    }

    /// How the request that was begun first, of those that were not asked for yet, has ended.
    fn ended(&self) -> io::Result<()> {
        self.ended.recv_timeout(SOON).expect("a request ends")
    }

    /// Nothing that happened before has done it any harm.
    fn is_well(&self) {
        assert_eq!(self.ask("{\"is\":\"well\"}"), ["{\"is\":\"well\"}"]);
        assert!(self.ended().is_ok());
    }
}

/// Nothing can go wrong when a server is bound that would need to be told.
struct Nothing;

impl Serve for Nothing {
    fn serve(&self, _: Caller, _: &str, _: &mut Answer<'_>) -> io::Result<()> {
        Ok(())
    }
}

fn bind(path: &Path) -> Result<Listener, waxwing_server::exit::Failure> {
    Listener::bind(path, None, Limits::default(), Arc::new(Nothing))
}

#[track_caller]
fn refused_with(stream: UnixStream, code: RefusalCode) -> String {
    let mut reader = BufReader::new(stream);
    let mut line = String::new();
    reader.read_line(&mut line).unwrap();
    let refusal = Refusal::in_line(line.trim_end()).unwrap_or_else(|| panic!("{line:?}"));
    assert_eq!(refusal.code, code, "{refusal}");
    is_closed(reader.into_inner());
    refusal.message
}

/// The server has closed the connection, and did not keep what nobody read.
#[track_caller]
fn is_closed(mut stream: UnixStream) {
    match stream.read(&mut [0]) {
        Ok(0) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        other => panic!("{other:?}"),
    }
}

#[test]
fn a_request_has_an_answer_of_as_many_lines_as_it_needs() {
    let server = Server::start();
    let expected: Vec<_> = (0..1_000).map(|number: i32| number.to_string()).collect();
    assert_eq!(server.ask("\"lines\""), expected);
    server.ended().unwrap();
    let caller = server.begun.recv_timeout(SOON).unwrap();
    let pid = i32::try_from(std::process::id()).unwrap();
    let (uid, gid) = (geteuid().as_raw(), getegid().as_raw());
    assert_eq!(caller, Caller { uid, gid, pid });
    server.is_well();
}

#[test]
fn a_request_that_comes_in_pieces_is_one_request_and_what_follows_is_none() {
    let server = Server::start();
    let mut stream = server.raw();
    for piece in ["{\"a\"", ":", "1}\n{\"b\":2}\n"] {
        stream.write_all(piece.as_bytes()).unwrap();
    }
    let lines: Vec<_> = BufReader::new(stream).lines().map_while(Result::ok).collect();
    assert_eq!(lines, ["{\"a\":1}"]);
    server.ended().unwrap();
    server.is_well();
    assert_eq!(server.begun.try_iter().count(), 2);
}

#[test]
fn a_client_that_has_stopped_writing_still_reads_its_answer() {
    let server = Server::start();
    let mut stream = server.raw();
    stream.write_all(b"\"watch\"\n").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    let mut line = String::new();
    let mut reader = BufReader::new(stream);
    reader.read_line(&mut line).unwrap();
    assert_eq!(line, "\"watching\"\n");
    assert!(server.ended.try_recv().is_err());
    drop(reader);
    assert_eq!(server.ended().unwrap_err().kind(), ErrorKind::BrokenPipe);
}

#[test]
fn the_longest_request_is_taken_and_one_byte_more_is_not() {
    let server = Server::start();
    let longest = format!("\"{}\"", "x".repeat(MAX_REQUEST - 2));
    assert_eq!(server.ask(&longest), [&*longest]);
    server.ended().unwrap();
    let mut stream = server.raw();
    stream.write_all(format!(" {longest}\n").as_bytes()).unwrap();
    refused_with(stream, RefusalCode::TooLong);
    server.is_well();
    // The command does not even send it.
    let connection = Connection::open(&server.path).unwrap().unwrap();
    assert!(connection.ask(&format!(" {longest}")).is_err());
    let connection = Connection::open(&server.path).unwrap().unwrap();
    assert!(connection.ask("1\n2").is_err());
}

#[test]
fn of_a_gigabyte_without_an_end_only_the_first_bytes_are_read() {
    let server = Server::start();
    let mut stream = server.raw();
    let part = vec![b'x'; 1 << 20];
    let mut sent = 0;
    let error = loop {
        match stream.write(&part) {
            Ok(written) => sent += written,
            Err(error) => break error,
        }
        assert!(sent < 1 << 30, "the server takes it all");
    };
    assert_eq!(error.kind(), ErrorKind::BrokenPipe);
    refused_with(stream, RefusalCode::TooLong);
    server.is_well();
}

#[test]
fn what_is_no_text_or_no_json_is_refused() {
    let server = Server::start();
    for bytes in [
        &b"\n"[..],
        b"status\n",
        b"{\n",
        b"{} {}\n",
        b"\"\xff\"\n",
        b"\0\n",
        &[&b"[".repeat(MAX_REQUEST)[..], b"\n"].concat(),
    ] {
        let mut stream = server.raw();
        stream.write_all(bytes).unwrap();
        refused_with(stream, RefusalCode::NotJson);
    }
    server.is_well();
}

#[test]
fn whoever_closes_before_the_end_of_the_request_is_gone() {
    let server = Server::start();
    drop(server.raw());
    let mut half = server.raw();
    half.write_all(b"{\"half").unwrap();
    drop(half);
    let nothing = server.raw();
    nothing.shutdown(Shutdown::Write).unwrap();
    is_closed(nothing);
    let mut half = server.raw();
    half.write_all(b"{}").unwrap();
    half.shutdown(Shutdown::Write).unwrap();
    refused_with(half, RefusalCode::Incomplete);
    server.is_well();
    assert_eq!(server.begun.try_iter().count(), 1);
}

#[test]
fn whoever_sends_no_whole_request_in_time_is_told_so() {
    let server = Server::with(Limits { request: SHORT, ..PATIENT }, None);
    refused_with(server.raw(), RefusalCode::TooLate);
    let mut half = server.raw();
    half.write_all(b"{\"half").unwrap();
    refused_with(half, RefusalCode::TooLate);
}

#[test]
fn a_byte_now_and_then_does_not_make_the_time_longer() {
    let server = Server::with(Limits { request: SHORT, ..PATIENT }, None);
    let stream = server.raw();
    let mut copy = stream.try_clone().unwrap();
    let begun = Instant::now();
    let drip = thread::spawn(move || {
        while copy.write_all(b" ").is_ok() {
            assert!(begun.elapsed() < SOON, "the server waits for ever");
            thread::sleep(PACE);
        }
    });
    refused_with(stream, RefusalCode::TooLate);
    drip.join().unwrap();
}

#[test]
fn a_client_that_reads_a_little_now_and_then_is_left_after_a_while() {
    let server = Server::with(Limits { line: SHORT, ..PATIENT }, None);
    let mut stream = server.raw();
    stream.write_all(b"\"flood\"\n").unwrap();
    let begun = Instant::now();
    let end = loop {
        if let Ok(end) = server.ended.try_recv() {
            break end;
        }
        assert!(begun.elapsed() < SOON, "the server waits for ever");
        stream.read_exact(&mut [0; 1_024]).unwrap();
        thread::sleep(PACE);
    };
    assert_eq!(end.unwrap_err().kind(), ErrorKind::TimedOut);
}

#[test]
fn eight_are_served_at_once_and_one_of_root_and_others_are_told() {
    let mut server = Server::start();
    let mut served = Vec::new();
    let places = 8 + usize::from(geteuid().is_root());
    for _ in 0..places {
        let connection = Connection::open(&server.path).unwrap().unwrap();
        let mut answers = connection.ask("\"hold\"").unwrap();
        assert_eq!(answers.next_line().unwrap().as_deref(), Some("\"holding\""));
        served.push(answers);
    }
    for _ in 0..12 {
        let message = refused_with(server.raw(), RefusalCode::Busy);
        assert!(message.contains(&format!("{places} commands already")), "{message}");
        let lines = server.ask("\"lines\"");
        let [line] = &*lines else { panic!("{lines:?}") };
        assert_eq!(Refusal::in_line(line).unwrap().code, RefusalCode::Busy);
    }
    drop(server.release.take());
    for mut answers in served {
        assert_eq!(answers.next_line().unwrap(), None);
        server.ended().unwrap();
    }
    for _ in 0..20 {
        server.is_well();
    }
}

#[test]
fn twenty_at_once_are_each_served_or_told() {
    let server = Server::start();
    let path = &server.path;
    let asked = thread::scope(|scope| {
        let ask = move || {
            let mut answers = Connection::open(path).unwrap().unwrap().ask("\"lines\"").unwrap();
            let lines: Vec<_> = std::iter::from_fn(|| answers.next_line().unwrap()).collect();
            match &*lines {
                [line] => {
                    assert_eq!(Refusal::in_line(line).unwrap().code, RefusalCode::Busy);
                    0
                }
                lines => {
                    assert_eq!(lines.len(), 1_000);
                    1
                }
            }
        };
        let all: Vec<_> = (0..20).map(|_| scope.spawn(ask)).collect();
        all.into_iter().map(|one| one.join().unwrap()).sum::<usize>()
    });
    assert!(asked >= 8, "{asked}");
    for _ in 0..asked {
        server.ended().unwrap();
    }
    server.is_well();
}

#[test]
fn a_client_that_does_not_read_is_left_after_a_while() {
    let server = Server::with(Limits { line: SHORT, ..PATIENT }, None);
    let mut stream = server.raw();
    stream.write_all(b"\"flood\"\n").unwrap();
    assert_eq!(server.ended().unwrap_err().kind(), ErrorKind::TimedOut);
    // What the system holds for a connection was all that was sent.
    let mut taken = Vec::new();
    stream.read_to_end(&mut taken).unwrap();
    assert!(taken.len() < 8 << 20, "{}", taken.len());
}

#[test]
fn a_client_that_closes_in_the_middle_ends_its_answer() {
    let server = Server::start();
    let mut stream = server.raw();
    stream.write_all(b"\"flood\"\n").unwrap();
    stream.read_exact(&mut [0; 100]).unwrap();
    drop(stream);
    let kind = server.ended().unwrap_err().kind();
    assert!(matches!(kind, ErrorKind::BrokenPipe | ErrorKind::ConnectionReset), "{kind}");
    server.is_well();
}

#[test]
fn a_client_that_reads_is_given_all_of_a_long_answer() {
    let server = Server::start();
    let lines = server.ask("\"long\"");
    assert_eq!(lines.len(), 4);
    assert!(lines.iter().all(|line| line.len() == MAX_LINE));
}

#[test]
fn what_no_client_would_understand_is_not_sent() {
    let server = Server::start();
    for request in ["\"two lines\"", "\"too long\""] {
        assert_eq!(server.ask(request), [""; 0]);
        assert_eq!(server.ended().unwrap_err().kind(), ErrorKind::InvalidInput);
    }
    server.is_well();
}

#[test]
fn stopping_ends_what_is_open_and_removes_the_socket() {
    let mut server = Server::start();
    let silent = server.raw();
    let mut half = server.raw();
    half.write_all(b"{").unwrap();
    let mut watching = Connection::open(&server.path).unwrap().unwrap().ask("\"watch\"").unwrap();
    assert!(watching.next_line().unwrap().is_some());
    let mut unread = server.raw();
    unread.write_all(b"\"flood\"\n").unwrap();
    unread.read_exact(&mut [0; 100]).unwrap();
    drop(server.listener.take());
    // They have ended already.
    for _ in 0..2 {
        assert_eq!(server.ended.try_recv().unwrap().unwrap_err().kind(), ErrorKind::BrokenPipe);
    }
    assert!(server.ended.try_recv().is_err());
    assert_eq!(watching.next_line().unwrap(), None);
    is_closed(silent);
    is_closed(half);
    assert!(!server.path.exists());
    assert_eq!(fs::read_dir(server.directory.path()).unwrap().count(), 0);
    assert!(Connection::open(&server.path).unwrap().is_none());
}

#[test]
fn whoever_is_being_answered_when_the_server_ends_hears_the_end() {
    let mut server = Server::with(Limits { last_words: LONG, ..PATIENT }, None);
    let connection = Connection::open(&server.path).unwrap().unwrap();
    let mut held = connection.ask("\"hold, and answer\"").unwrap();
    assert!(held.next_line().unwrap().is_some());
    let (listener, release) = (server.listener.take(), server.release.take());
    let path = server.path.clone();
    let ending = thread::spawn(move || drop(listener));
    // The socket is removed first, so the end has begun.
    while path.exists() {
        thread::yield_now();
    }
    drop(release);
    assert_eq!(held.next_line().unwrap().as_deref(), Some("\"answered\""));
    ending.join().unwrap();
    server.ended().unwrap();
}

#[test]
fn stopping_does_not_wait_for_ever_for_a_command() {
    let limits = Limits { ending: SHORT, ..PATIENT };
    let mut server = Server::with(limits, None);
    let mut held = Connection::open(&server.path).unwrap().unwrap().ask("\"hold\"").unwrap();
    assert!(held.next_line().unwrap().is_some());
    let begun = Instant::now();
    drop(server.listener.take());
    assert!(begun.elapsed() < SOON);
    assert!(server.ended.try_recv().is_err());
    drop(server.release.take());
    server.ended().unwrap();
}

#[test]
fn the_socket_is_for_its_owner_alone_whatever_the_umask_is() {
    // The umask is of the whole process: this is a test of another process.
    if std::env::var_os(CHILD).is_none() {
        for mask in ["000", "022", "027", "077", "777"] {
            let ran = this_test_again(&std::env::current_exe().unwrap(), mask)
                .args(["--exact", "the_socket_is_for_its_owner_alone_whatever_the_umask_is"])
                .output()
                .unwrap();
            assert!(ran.status.success(), "{mask}: {ran:?}");
            assert!(String::from_utf8_lossy(&ran.stdout).contains("1 passed"), "{ran:?}");
        }
        return;
    }
    let directory = tempfile::tempdir().unwrap();
    let mask = RawMode::from_str_radix(&std::env::var(CHILD).unwrap(), 8).unwrap();
    umask(Mode::from_raw_mode(mask));
    let path = directory.path().join("control.sock");
    for (group, mode) in [(None, 0o600), (Some(getegid().as_raw()), 0o660)] {
        let listener = Listener::bind(&path, group, Limits::default(), Arc::new(Nothing)).unwrap();
        let metadata = fs::symlink_metadata(&path).unwrap();
        assert!(metadata.file_type().is_socket());
        assert_eq!(metadata.permissions().mode() & 0o7777, mode);
        assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
        drop(listener);
    }
}

/// Tells a test that it is the other process of a test.
const CHILD: &str = "WAXWING_TEST_CONTROL_CHILD";

fn this_test_again(program: &Path, what: &str) -> Command {
    let mut command = Command::new(program);
    command.env(CHILD, what).args(["--nocapture", "--test-threads=1"]);
    command
}

#[test]
fn another_user_is_kept_out_unless_a_group_is_set() {
    const NOBODY: u32 = 65_534;
    const GROUP: u32 = 54_321;
    if let Some(path) = std::env::var_os(CHILD) {
        // What this user hears is what the test is told.
        match Connection::open(Path::new(&path)) {
            Err(failure) => println!("HEARD {failure}"),
            Ok(connection) => {
                let mut answers = connection.expect("a server listens").ask("{}").unwrap();
                println!("HEARD {}", answers.next_line().unwrap().unwrap());
            }
        }
        return;
    }
    if !geteuid().is_root() {
        // Not through the macro, whose output is kept from view.
        let _ = writeln!(io::stderr(), "another user: SKIPPED: only root can be somebody else");
        return;
    }
    // Where another user can run it.
    let place = tempfile::tempdir().unwrap();
    fs::set_permissions(place.path(), Permissions::from_mode(0o755)).unwrap();
    let program = place.path().join("control_socket");
    fs::copy(std::env::current_exe().unwrap(), &program).unwrap();
    let heard = |path: &Path, gid: u32| {
        let ran = this_test_again(&program, path.to_str().unwrap())
            .args(["--exact", "another_user_is_kept_out_unless_a_group_is_set"])
            .uid(NOBODY)
            .gid(gid)
            .output()
            .unwrap();
        let said = String::from_utf8(ran.stdout).unwrap();
        let heard = said.lines().find_map(|line| line.split_once("HEARD ").map(|(_, heard)| heard));
        heard.unwrap_or_else(|| panic!("{said}")).to_owned()
    };
    let open = |server: &Server, mode| {
        fs::set_permissions(server.directory.path(), Permissions::from_mode(0o755)).unwrap();
        if let Some(mode) = mode {
            fs::set_permissions(&server.path, Permissions::from_mode(mode)).unwrap();
        }
    };

    // The mode of the file refuses.
    let server = Server::start();
    open(&server, None);
    assert!(heard(&server.path, NOBODY).contains("this user may not use the control socket"));
    // So does the server, if somebody has opened the file.
    open(&server, Some(0o666));
    let refusal = Refusal::in_line(&heard(&server.path, NOBODY)).unwrap();
    assert_eq!(refusal.code, RefusalCode::NotAllowed);
    server.is_well();

    // A place is kept for root, and for root alone.
    let server = Server::with(Limits { connections: 0, ..PATIENT }, Some(GROUP));
    open(&server, None);
    let refusal = Refusal::in_line(&heard(&server.path, GROUP)).unwrap();
    assert_eq!(refusal.code, RefusalCode::Busy);
    server.is_well();

    let server = Server::with(PATIENT, Some(GROUP));
    open(&server, None);
    assert_eq!(fs::metadata(&server.path).unwrap().gid(), GROUP);
    assert!(heard(&server.path, NOBODY).contains("this user may not use the control socket"));
    assert_eq!(heard(&server.path, GROUP), "{}");
    let caller = server.begun.recv_timeout(SOON).unwrap();
    assert_eq!((caller.uid, caller.gid), (NOBODY, GROUP));
}

#[test]
fn the_socket_of_a_server_that_is_dead_is_replaced() {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    drop(UnixListener::bind(&path).unwrap());
    let nest = directory.path().join("control.sock.new");
    fs::create_dir(&nest).unwrap();
    drop(UnixListener::bind(nest.join("s")).unwrap());
    assert!(Connection::open(&path).unwrap().is_none());
    let listener = bind(&path).unwrap();
    assert!(Connection::open(&path).unwrap().is_some());
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 1);
    drop(listener);
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 0);
}

#[test]
fn the_socket_of_a_server_that_lives_is_not_taken() {
    let server = Server::start();
    let failure = bind(&server.path).err().unwrap();
    assert_eq!(failure.exit(), Exit::Failure);
    assert!(failure.to_string().contains("another server listens"), "{failure}");
    server.is_well();
}

#[test]
fn a_socket_that_another_has_put_there_is_not_removed() {
    let mut server = Server::start();
    fs::remove_file(&server.path).unwrap();
    let _other = UnixListener::bind(&server.path).unwrap();
    drop(server.listener.take());
    assert!(server.path.exists());
}

#[test]
fn what_is_no_socket_is_neither_used_nor_removed() {
    let directory = tempfile::tempdir().unwrap();
    let place = |name: &str| directory.path().join(name);
    fs::write(place("file"), "precious").unwrap();
    fs::create_dir(place("directory")).unwrap();
    symlink(place("file"), place("link")).unwrap();
    symlink(place("absent"), place("loose")).unwrap();
    for (name, what) in [
        ("file", "a plain file is in the place"),
        ("directory", "a directory is in the place"),
        ("link", "a link is in the place"),
        ("loose", "a link is in the place"),
    ] {
        let failure = bind(&place(name)).err().unwrap();
        assert_eq!(failure.exit(), Exit::Storage, "{failure}");
        assert!(failure.to_string().contains(what), "{failure}");
        assert!(failure.to_string().contains("move it away"), "{failure}");
    }
    assert_eq!(fs::read_to_string(place("file")).unwrap(), "precious");
    assert_eq!(fs::read_dir(directory.path()).unwrap().count(), 4);

    // Nor is what is where the socket is made.
    fs::create_dir(place("control.new")).unwrap();
    fs::write(place("control.new/s"), "precious").unwrap();
    let failure = bind(&place("control")).err().unwrap();
    assert!(failure.to_string().contains("control.new is in the way"), "{failure}");
    assert_eq!(fs::read_to_string(place("control.new/s")).unwrap(), "precious");
}

#[test]
fn a_directory_that_is_absent_or_that_others_can_write_to_is_refused() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    let path = inner.join("control.sock");
    let failure = bind(&path).err().unwrap();
    assert_eq!(failure.exit(), Exit::Storage);
    assert!(failure.to_string().contains("make it"), "{failure}");
    fs::create_dir(&inner).unwrap();
    for (outer_mode, mode, refused) in [
        (0o700, 0o777, Some("chmod go-w")),
        (0o700, 0o1777, Some("name a directory of its own")),
        (0o700, 0o770, Some("chmod go-w")),
        (0o777, 0o700, Some("chmod o-w")),
        (0o700, 0o755, None),
        (0o755, 0o700, None),
    ] {
        fs::set_permissions(directory.path(), Permissions::from_mode(outer_mode)).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(mode)).unwrap();
        let bound = bind(&path);
        let Some(hint) = refused else {
            bound.unwrap();
            continue;
        };
        let failure = bound.err().unwrap();
        assert_eq!(failure.exit(), Exit::Storage, "{mode:o}");
        assert!(failure.to_string().contains(hint), "{failure}");
        assert!(!path.exists());
    }
}

#[test]
fn the_longest_path_that_may_be_set_can_be_bound() {
    let directory = tempfile::tempdir().unwrap();
    let room = LONGEST_SOCKET_PATH - directory.path().as_os_str().len() - 1;
    let path = directory.path().join("x".repeat(room));
    let listener = bind(&path).unwrap();
    assert!(Connection::open(&path).unwrap().is_some());
    drop(listener);
    let path = directory.path().join("x".repeat(200));
    assert!(bind(&path).is_err());
    assert!(Connection::open(&path).is_err());
}

#[test]
fn a_command_says_when_nobody_listens() {
    let directory = tempfile::tempdir().unwrap();
    assert!(Connection::open(&directory.path().join("control.sock")).unwrap().is_none());
    assert!(Connection::open(&directory.path().join("absent/control.sock")).unwrap().is_none());
    let file = directory.path().join("file");
    fs::write(&file, "").unwrap();
    assert!(Connection::open(&file).unwrap().is_none());
}

fn with_a_short_queue(path: &Path) -> OwnedFd {
    let listener = socket(AddressFamily::UNIX, SocketType::STREAM, None).unwrap();
    rustix::net::bind(&listener, &SocketAddrUnix::new(path).unwrap()).unwrap();
    listen(&listener, 1).unwrap();
    listener
}

#[test]
fn a_command_does_not_believe_a_socket_that_others_could_have_put_there() {
    let directory = tempfile::tempdir().unwrap();
    let inner = directory.path().join("inner");
    fs::create_dir(&inner).unwrap();
    let path = inner.join("control.sock");
    let _listener = bind(&path).unwrap();
    for (outer_mode, mode, open) in [
        (0o755, 0o755, None),
        (0o1777, 0o700, None),
        (0o700, 0o1777, Some(&*inner)),
        (0o700, 0o720, Some(&*inner)),
        (0o777, 0o700, Some(directory.path())),
    ] {
        fs::set_permissions(directory.path(), Permissions::from_mode(outer_mode)).unwrap();
        fs::set_permissions(&inner, Permissions::from_mode(mode)).unwrap();
        let opened = Connection::open(&path);
        let Some(open) = open else {
            assert!(opened.unwrap().is_some());
            continue;
        };
        let failure = opened.unwrap_err().to_string();
        assert!(failure.ends_with(&format!("run: chmod go-w {}", open.display())), "{failure}");
    }
}

/// A server that accepts one connection and does this with it.
fn strange(
    what: impl FnOnce(&mut UnixStream) + Send + 'static,
) -> (TempDir, PathBuf, thread::JoinHandle<()>) {
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let listener = UnixListener::bind(&path).unwrap();
    let server = thread::spawn(move || {
        let (mut stream, _) = listener.accept().unwrap();
        what(&mut stream);
    });
    (directory, path, server)
}

#[track_caller]
fn answered_with(what: impl FnOnce(&mut UnixStream) + Send + 'static) -> String {
    let (_directory, path, server) = strange(what);
    let connection = Connection::open(&path).unwrap().unwrap();
    let mut answers = connection.ask("{}").unwrap();
    let failure = loop {
        match answers.next_line() {
            Ok(line) => assert!(line.is_some(), "no error"),
            Err(failure) => break failure,
        }
    };
    assert_eq!(failure.exit(), Exit::Failure);
    drop(answers);
    server.join().unwrap();
    failure.to_string()
}

#[test]
fn a_server_that_answers_garbage_is_an_error() {
    let garbage = answered_with(|stream| {
        stream.write_all(b"{}\n\xff\xfe\n").unwrap();
    });
    assert!(garbage.contains("is no text"), "{garbage}");
    let endless = answered_with(|stream| while stream.write_all(&[b'x'; 1 << 16]).is_ok() {});
    assert!(endless.contains("a line of more than 1048576 bytes"), "{endless}");
    let half = answered_with(|stream| {
        stream.write_all(b"{}\n{\"half\":").unwrap();
    });
    assert!(half.contains("in the middle of an answer"), "{half}");
}

#[test]
fn a_server_that_does_not_answer_does_not_hang_the_command() {
    // One that accepts and says nothing, and one that says half a line.
    for half in ["", "{\"half\":"] {
        let (done, wait) = channel::<()>();
        let (_directory, path, server) = strange(move |stream| {
            stream.write_all(half.as_bytes()).unwrap();
            let _ = wait.recv();
        });
        let connection = Connection::open_within(&path, SHORT).unwrap().unwrap();
        let failure = connection.ask("{}").unwrap().next_line().unwrap_err();
        assert!(failure.to_string().contains("the server does not answer"), "{failure}");
        drop(done);
        server.join().unwrap();
    }
    // One that does not even accept, when its queue is full.
    let directory = tempfile::tempdir().unwrap();
    let path = directory.path().join("control.sock");
    let _listener = with_a_short_queue(&path);
    let mut waiting = Vec::new();
    let failure = loop {
        match Connection::open_within(&path, SHORT) {
            Ok(connection) => waiting.push(connection.unwrap()),
            Err(failure) => break failure,
        }
        assert!(waiting.len() < 100);
    };
    assert!(failure.to_string().contains("the server does not answer"), "{failure}");
    let failure = bind(&path).err().unwrap();
    assert!(failure.to_string().contains("cannot be looked at"), "{failure}");
}

#[test]
fn a_server_that_closes_at_once_has_no_answer() {
    let (_directory, path, server) = strange(|_| {});
    let connection = Connection::open(&path).unwrap().unwrap();
    assert_eq!(connection.ask("{}").unwrap().next_line().unwrap(), None);
    server.join().unwrap();
}
