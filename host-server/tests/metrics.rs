//! Numbers and health over HTTP: what is on the page, and what hostile scrapers can do to others.

mod support;

use std::collections::{BTreeMap, BTreeSet};
use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr, TcpStream};
use std::path::Path;
use std::process::{Command, Stdio};
use std::sync::mpsc::{Receiver, channel};
use std::sync::{Arc, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use clap::Parser;
use waxwing_core::server::{Fullness, Report};
use waxwing_core::time::UnixTime;
use waxwing_server::admin::commands;
use waxwing_server::admin::control::{self, Listener};
use waxwing_server::admin::http::{Endpoint, Limits, MAX_HEAD};
use waxwing_server::admin::reports::Reports;
use waxwing_server::admin::running::Running;
use waxwing_server::cli::{self, Cli};
use waxwing_server::config::Config;
use waxwing_server::data_dir::DataDir;
use waxwing_server::exit::{Exit, Failure};
use waxwing_server::runtime::{Message, Request, Route, ShardLines, ShardReport};
use waxwing_server::store::{MemoryStorage, StorageThread, ThreadOptions};

type Inbox = Receiver<Vec<Message<()>>>;

/// For what happens at once unless something is wrong.
const SOON: Duration = Duration::from_secs(30);
/// For limits that a test waits for.
const SHORT: Duration = Duration::from_millis(100);
/// For limits that no test waits for.
const LONG: Duration = Duration::from_hours(1);

/// Whose limits no test reaches by being slow.
const PATIENT: Limits = Limits { connections: 16, request: LONG, answer: LONG, ending: SOON };

/// A server with fake shards, which say what the test wants them to.
struct Fake {
    directory: tempfile::TempDir,
    running: Arc<Running>,
    endpoint: Option<Endpoint>,
    machine: Arc<Mutex<Report>>,
    shards: Vec<JoinHandle<()>>,
    storage: Option<StorageThread>,
}

impl Fake {
    fn new() -> Self {
        Self::with(PATIENT, 2).0
    }

    /// With `answering` shards that answer, and the inboxes of as many as are left to two.
    fn with(limits: Limits, answering: usize) -> (Self, Vec<Inbox>) {
        let directory = tempfile::tempdir().unwrap();
        let data = DataDir::existing(directory.path()).unwrap();
        let (routes, mut inboxes): (Vec<_>, Vec<_>) = (0..2)
            .map(|_| {
                let (inbox, messages) = channel();
                (Route { inbox, waker: Arc::new(|| {}) }, messages)
            })
            .unzip();
        let hanging = inboxes.split_off(answering);
        let storage = Box::new(MemoryStorage::new());
        let (storage, _clients) =
            StorageThread::spawn(storage, ThreadOptions::default(), Vec::new()).unwrap();
        let running = Arc::new(Running {
            reports: Reports::with_patience(if hanging.is_empty() { SOON } else { SHORT }),
            listening: Vec::new(),
            ..support::running(&data, ShardLines::new(&routes), storage.inspector())
        });
        let machine = Arc::new(Mutex::new(Report {
            sessions: 7,
            codes_left: Some(3),
            free_ids: Some(9),
            ..Report::default()
        }));
        let shards = inboxes.into_iter().map(|inbox| {
            let machine = Arc::clone(&machine);
            thread::spawn(move || answer(&inbox, &machine))
        });
        let shards = shards.collect();
        let any = "127.0.0.1:0".parse().unwrap();
        let endpoint = Endpoint::bind(any, limits, running.clone()).unwrap();
        let (endpoint, storage) = (Some(endpoint), Some(storage));
        (Self { directory, running, endpoint, machine, shards, storage }, hanging)
    }

    fn address(&self) -> SocketAddr {
        self.endpoint.as_ref().unwrap().address()
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address()).unwrap();
        stream.set_read_timeout(Some(SOON)).unwrap();
        stream
    }

    /// What the server answers to these bytes, after which nothing more comes.
    fn ask(&self, request: &[u8]) -> String {
        let mut stream = self.connect();
        stream.write_all(request).unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        rest(&mut stream)
    }

    fn get(&self, path: &str) -> (String, String) {
        let answer = self.ask(format!("GET {path} HTTP/1.1\r\nHost: x\r\n\r\n").as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap();
        (head.lines().next().unwrap().to_owned(), body.to_owned())
    }

    fn page(&self) -> String {
        let (status, page) = self.get("/metrics");
        assert_eq!(status, "HTTP/1.1 200 OK");
        page
    }

    fn is_served(&self) {
        assert_eq!(self.get("/healthz").0, "HTTP/1.1 200 OK");
    }
}

impl Drop for Fake {
    fn drop(&mut self) {
        drop(self.endpoint.take());
        drop(self.storage.take());
        if thread::panicking() {
            return;
        }
        // The shards end when nobody can ask them any more.
        let gone = ShardLines::new::<()>(&[]);
        if let Some(running) = Arc::get_mut(&mut self.running) {
            running.shards = gone;
            self.shards.drain(..).for_each(|shard| shard.join().unwrap());
        }
    }
}

/// Answers every request for a report until the server ends.
fn answer(inbox: &Inbox, machine: &Mutex<Report>) {
    for message in inbox.iter().flatten() {
        if let Message::Request(Request::Report(answer)) = message {
            let machine = *machine.lock().unwrap();
            let mut report =
                ShardReport { machine, free_disk: Some(5 << 30), ..ShardReport::default() };
            report.events.registered = 4;
            let _ = answer.send(report);
        }
    }
}

/// All that still comes.
fn rest(stream: &mut TcpStream) -> String {
    let mut answer = Vec::new();
    match stream.read_to_end(&mut answer) {
        Ok(_) => {}
        Err(error) if error.kind() == ErrorKind::ConnectionReset => {}
        Err(error) => panic!("{error}"),
    }
    String::from_utf8(answer).unwrap()
}

// ---- The page ----

/// A metric, as the page or the document describes it.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
struct Described {
    kind: String,
    meaning: String,
    label: Option<(String, Vec<String>)>,
}

fn on_the_page(page: &str) -> BTreeMap<String, Described> {
    let mut all: BTreeMap<String, Described> = BTreeMap::new();
    for line in page.lines() {
        if let Some(help) = line.strip_prefix("# HELP ") {
            let (name, meaning) = help.split_once(' ').unwrap();
            let described = Described { meaning: meaning.into(), ..Described::default() };
            assert!(all.insert(name.into(), described).is_none(), "{name} is there twice");
        } else if let Some(kind) = line.strip_prefix("# TYPE ") {
            let (name, kind) = kind.split_once(' ').unwrap();
            all.get_mut(name).unwrap().kind = kind.into();
        } else if let Some((name, labels)) = line.split_once('{') {
            let Some(metric) = all.get_mut(name).filter(|metric| metric.kind != "histogram") else {
                continue;
            };
            let (labels, _) = labels.split_once('}').unwrap();
            let (label, value) = labels.split_once('=').unwrap();
            let values = metric.label.get_or_insert_with(|| (label.into(), Vec::new()));
            assert_eq!(values.0, label, "{name} has one label");
            values.1.push(value.trim_matches('"').into());
        }
    }
    all
}

/// The rows of the table in the document: name, kind, meaning, label with its values.
fn in_the_document() -> BTreeMap<String, Described> {
    let path = Path::new(env!("CARGO_MANIFEST_DIR")).join("../docs/METRICS.md");
    let text = std::fs::read_to_string(path).unwrap();
    let rows = text.lines().filter_map(|line| line.strip_prefix("| `waxwing_"));
    let row = |row: &str| {
        let cells: Vec<_> = row.trim_end_matches('|').split('|').map(str::trim).collect();
        let [name, kind, meaning, labels] = cells[..] else { panic!("{row}") };
        let label = (!labels.is_empty()).then(|| {
            let (label, values) = labels.split_once(": ").unwrap();
            let values = values.split(", ").map(|value| value.trim_matches('`').to_owned());
            (label.trim_matches('`').to_owned(), values.collect())
        });
        let described = Described { kind: kind.into(), meaning: meaning.into(), label };
        (format!("waxwing_{}", name.trim_matches('`')), described)
    };
    let rows: Vec<_> = rows.map(row).collect();
    let all: BTreeMap<_, _> = rows.iter().cloned().collect();
    assert_eq!(rows.len(), all.len(), "a metric has one row");
    all
}

#[test]
fn the_document_describes_every_metric_and_no_other() {
    let mut page = on_the_page(&Fake::new().page());
    let version = &mut page.get_mut("waxwing_build_info").unwrap().label;
    let (_, versions) = version.as_mut().unwrap();
    assert_eq!(*versions, [env!("CARGO_PKG_VERSION")]);
    *versions = vec!["…".into()];
    let document = in_the_document();
    for (name, described) in &page {
        assert_eq!(document.get(name), Some(described), "{name}");
    }
    let undescribed: BTreeSet<_> =
        document.keys().filter(|name| !page.contains_key(*name)).collect();
    assert!(undescribed.is_empty(), "the server does not give out {undescribed:?}");
}

#[test]
fn the_page_is_what_prometheus_reads() {
    let page = Fake::new().page();
    let promtool = Command::new("promtool")
        .args(["check", "metrics"])
        .stdin(Stdio::piped())
        .stdout(Stdio::piped())
        .stderr(Stdio::piped())
        .spawn();
    let mut promtool = match promtool {
        Ok(promtool) => promtool,
        Err(error) => {
            eprintln!("SKIPPED: promtool cannot be run ({error}); Debian has it in prometheus");
            return;
        }
    };
    promtool.stdin.take().unwrap().write_all(page.as_bytes()).unwrap();
    let checked = promtool.wait_with_output().unwrap();
    let said = [checked.stdout, checked.stderr].concat();
    assert!(checked.status.success(), "{}\n{page}", String::from_utf8_lossy(&said));
    assert_eq!(String::from_utf8_lossy(&said), "");
}

#[test]
fn the_page_has_the_sums_of_all_loops() {
    let fake = Fake::new();
    {
        let mut machine = fake.machine.lock().unwrap();
        machine.handed_in.submitted = 5;
        machine.outcomes.delivered = 2;
        machine.private_operations.signed = 3;
        machine.mailboxes = Fullness { fullest_percent: 93, nearly_full: 4 };
    }
    let page = fake.page();
    for line in [
        "waxwing_sessions 14",
        "waxwing_letters_total{way=\"submitted\"} 10",
        "waxwing_letters_total{way=\"delivered\"} 4",
        "waxwing_private_operations_total{kind=\"sign\"} 6",
        "waxwing_registrations_total 8",
        "waxwing_fullest_ratio{of=\"mailbox\"} 0.93",
        "waxwing_nearly_full{of=\"mailbox\"} 8",
        "waxwing_loops{state=\"answers\"} 2",
        // The registrar alone knows these, and here both say so.
        "waxwing_codes_left 3",
        "waxwing_disk_free_bytes 5368709120",
        "waxwing_process_start_time_seconds 1795350896",
    ] {
        assert!(page.lines().any(|other| other == line), "{line} is not in {page}");
    }
}

// ---- Health ----

#[test]
fn a_loop_that_hangs_is_named_and_is_asked_once_however_often_somebody_looks() {
    let (fake, hanging) = Fake::with(PATIENT, 1);
    for _ in 0..3 {
        let (status, why) = fake.get("/healthz");
        assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
        assert_eq!(why, "event loop 1 does not answer within 1.5 seconds\n");
    }
    let page = fake.page();
    assert!(page.contains("waxwing_sessions 7\n"), "{page}");
    assert!(page.contains("waxwing_loops{state=\"hangs\"} 1\n"), "{page}");
    assert_eq!(hanging[0].try_iter().count(), 1);
}

#[test]
fn the_numbers_of_a_loop_that_begins_to_hang_stay_and_come_back() {
    let (fake, mut hanging) = Fake::with(PATIENT, 1);
    let inbox = hanging.remove(0);
    let machine = Mutex::new(Report { users: 4, ..Report::default() });
    let reply = |inbox: &Inbox| {
        let message = inbox.recv().unwrap().remove(0);
        let Message::Request(Request::Report(answer)) = message else { panic!() };
        let machine = *machine.lock().unwrap();
        let _ = answer.send(ShardReport { machine, ..ShardReport::default() });
    };
    thread::scope(|scope| {
        let page = scope.spawn(|| fake.page());
        reply(&inbox);
        assert!(page.join().unwrap().contains("waxwing_users 4\n"));
    });
    assert!(fake.page().contains("waxwing_users 4\n"));
    assert!(fake.page().contains("waxwing_loops{state=\"hangs\"} 1\n"));
    // The answer to the old question comes late, and the next question is a new one.
    reply(&inbox);
    machine.lock().unwrap().users = 5;
    thread::scope(|scope| {
        let page = scope.spawn(|| fake.page());
        reply(&inbox);
        assert!(page.join().unwrap().contains("waxwing_users 5\n"));
    });
}

#[test]
fn storage_that_takes_no_writes_makes_the_server_not_ready() {
    let fake = Fake::new();
    assert_eq!(fake.get("/readyz").0, "HTTP/1.1 200 OK");
    fake.machine.lock().unwrap().storage_is_in_trouble = true;
    let (status, why) = fake.get("/readyz");
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(why, "storage has not taken the last write, and is asked again each second\n");
    assert_eq!(fake.get("/healthz").0, "HTTP/1.1 200 OK");
    assert!(fake.page().contains("waxwing_storage_up 0\n"));
}

#[test]
fn a_server_that_is_drained_is_not_ready_and_alive() {
    let fake = Fake::new();
    *fake.running.drained_by.lock().unwrap() = Some(UnixTime::from_seconds(1_795_360_000));
    let (status, why) = fake.get("/readyz");
    assert_eq!(status, "HTTP/1.1 503 Service Unavailable");
    assert_eq!(why, "the server sends all sessions away, and then stops\n");
    assert_eq!(fake.get("/healthz").0, "HTTP/1.1 200 OK");
    let page = fake.page();
    for line in ["waxwing_ready 0\n", "waxwing_draining 1\n", "waxwing_audit_log_writable 1\n"] {
        assert!(page.contains(line), "{line}");
    }
    std::fs::write(fake.directory.path().join("audit.jsonl"), "no line\n").unwrap();
    assert!(fake.page().contains("waxwing_audit_log_writable 0\n"));
}

/// What `waxwing-server health` prints, and how it ends.
fn health(config: &Config, line: &str) -> (String, Result<(), Failure>) {
    let words = ["waxwing-server", "health"].into_iter().chain(line.split_whitespace());
    let cli = Cli::try_parse_from(words).unwrap();
    let mut out = Vec::new();
    let Ok(cli::Command::Operator(command)) = cli.command() else { panic!("{line}") };
    let ended = commands::run(config, &command, cli.json(), &mut out);
    (String::from_utf8(out).unwrap(), ended)
}

#[test]
fn the_command_asks_the_control_socket_or_else_the_endpoint() {
    let fake = Fake::new();
    let mut config = Config::default();
    config.server.data = fake.directory.path().to_owned();
    let (_, ended) = health(&config, "");
    let failure = ended.unwrap_err();
    assert_eq!(failure.exit(), Exit::Failure);
    assert!(failure.to_string().starts_with("no server answers at "), "{failure}");

    let socket = fake.directory.path().join("control.sock");
    let serve = Arc::clone(&fake.running) as _;
    let listener = Listener::bind(&socket, None, control::Limits::default(), serve).unwrap();
    let listen = |address: SocketAddr| {
        let mut config = config.clone();
        config.metrics.listen = Some(address);
        config
    };
    // It may have been changed since the server has started, which goes on with what it was.
    let nobody = std::net::TcpListener::bind("127.0.0.1:0").unwrap().local_addr().unwrap();
    let changed = listen(nobody);
    let over_http = listen(fake.address());
    let says_how_it_is = |config: &Config| {
        fake.machine.lock().unwrap().storage_is_in_trouble = false;
        assert_eq!(health(config, ""), ("every event loop answers\n".into(), Ok(())));
        let well = "{\"healthy\":true,\"message\":\"every event loop answers, and storage takes what is written\"}\n";
        assert_eq!(health(config, "--ready --json"), (well.into(), Ok(())));
        fake.machine.lock().unwrap().storage_is_in_trouble = true;
        assert_eq!(health(config, "").1, Ok(()));
        let (out, ended) = health(config, "--ready");
        assert_eq!(out, "");
        let failure = ended.unwrap_err();
        assert_eq!(failure.exit(), Exit::Failure);
        assert!(failure.to_string().starts_with("storage has not taken"), "{failure}");
        let (out, ended) = health(config, "--ready --json");
        assert_eq!(out, "");
        let told = ended.unwrap_err().to_json();
        assert!(told.contains("\"exit\":1,\"healthy\":false,\"message\":"), "{told}");
    };
    for config in [&config, &over_http, &listen("127.0.0.1:0".parse().unwrap()), &changed] {
        says_how_it_is(config);
    }

    drop(listener);
    // Another server may answer there: nobody uses the data directory.
    let failure = health(&over_http, "").1.unwrap_err();
    assert!(failure.to_string().starts_with("no server answers at "), "{failure}");
    let _used = DataDir::existing(fake.directory.path()).unwrap().lock().unwrap();
    says_how_it_is(&over_http);
    let failure = health(&changed, "").1.unwrap_err();
    assert!(failure.to_string().contains("the address of metrics.listen"), "{failure}");
}

#[test]
fn the_command_says_when_something_else_listens_there() {
    let other = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let mut config = Config::default();
    config.metrics.listen = Some(other.local_addr().unwrap());
    for (answer, why) in [
        ("SSH-2.0-x\r\n", "does not speak HTTP"),
        ("", "does not speak HTTP"),
        ("HTTP/1.1 302 Found\r\n\r\n", "answers with the status 302"),
    ] {
        thread::scope(|scope| {
            scope.spawn(|| {
                let (mut stream, _) = other.accept().unwrap();
                let mut request = [0; 1_024];
                assert!(stream.read(&mut request).unwrap() > 0);
                stream.write_all(answer.as_bytes()).unwrap();
            });
            let failure = health(&config, "").1.unwrap_err();
            assert_eq!(failure.exit(), Exit::Failure);
            assert!(failure.to_string().contains(why), "{failure}");
        });
    }
}

// ---- What is asked ----

#[test]
fn each_kind_of_request_has_its_answer() {
    let fake = Fake::new();
    let long = format!("GET /metrics HTTP/1.1\r\nX: {}\r\n\r\n", "x".repeat(MAX_HEAD));
    let many = format!("GET /metrics HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(33));
    let fits = format!("GET /healthz HTTP/1.1\r\n{}\r\n", "X: y\r\n".repeat(32));
    for (request, status) in [
        ("GET /healthz HTTP/1.0\r\n\r\n", "200 OK"),
        ("GET /healthz?verbose HTTP/1.1\r\nHost: x\r\n\r\n", "200 OK"),
        (&fits, "200 OK"),
        ("HEAD /metrics HTTP/1.1\r\n\r\n", "200 OK"),
        ("GET /healthz HTTP/1.1\nHost: x\n\n", "200 OK"),
        ("GET / HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("GET /metrics/ HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("GET /../metrics HTTP/1.1\r\n\r\n", "404 Not Found"),
        ("POST /metrics HTTP/1.1\r\nContent-Length: 3\r\n\r\nabc", "405 Method Not Allowed"),
        ("OPTIONS * HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("get /metrics HTTP/1.1\r\n\r\n", "405 Method Not Allowed"),
        ("GET /metrics\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/2.0\r\n\r\n", "400 Bad Request"),
        ("GET /metrics HTTP/1.1\r\nX", "400 Bad Request"),
        ("PRI * HTTP/2.0\r\n\r\nSM\r\n\r\n", "400 Bad Request"),
        ("\0\0\0\0", "400 Bad Request"),
        ("\u{16}\u{3}\u{1}\u{2}", "400 Bad Request"),
        (&many, "400 Bad Request"),
        (&long, "400 Bad Request"),
    ] {
        let answer = fake.ask(request.as_bytes());
        let (head, body) = answer.split_once("\r\n\r\n").unwrap_or_else(|| panic!("{request:?}"));
        assert_eq!(head.lines().next(), Some(&*format!("HTTP/1.1 {status}")), "{request:?}");
        assert!(head.contains("\r\nConnection: close"), "{head}");
        assert_eq!(head.contains("\r\nAllow: GET, HEAD\r\n"), status.starts_with("405"), "{head}");
        let length = head.split_once("Content-Length: ").unwrap().1.lines().next().unwrap();
        let length: usize = length.parse().unwrap();
        assert!(length > 0);
        assert_eq!(body.len(), if request.starts_with("HEAD") { 0 } else { length });
    }
    let answer = fake.ask(b"HEAD /metrics HTTP/1.1\r\n\r\n");
    assert!(answer.contains("\r\nContent-Type: text/plain; version=0.0.4"), "{answer}");
}

#[test]
fn a_head_may_come_in_pieces() {
    let fake = Fake::new();
    let mut stream = fake.connect();
    stream.set_nodelay(true).unwrap();
    for byte in b"GET /healthz HTTP/1.1\r\nHost: x\r\n\r\n" {
        stream.write_all(&[*byte]).unwrap();
    }
    assert!(rest(&mut stream).starts_with("HTTP/1.1 200 OK\r\n"));
}

// ---- Hostile scrapers ----

#[test]
fn whoever_sends_nothing_half_a_line_or_a_byte_now_and_then_is_closed_in_time() {
    let (fake, _) = Fake::with(Limits { request: SHORT, ..PATIENT }, 2);
    for begin in [&b""[..], b"GET /met", b"GET /metrics HTTP/1.1\r\nHost: x\r\n"] {
        let mut stream = fake.connect();
        stream.write_all(begin).unwrap();
        assert_eq!(rest(&mut stream), "", "{begin:?}");
    }
    let stream = fake.connect();
    let mut writer = stream.try_clone().unwrap();
    let dripping = thread::spawn(move || {
        writer.write_all(b"GET /metrics HTTP/1.1\r\nX: ").unwrap();
        let begun = Instant::now();
        // The server closes, or the test fails.
        while writer.write_all(b"x").is_ok() {
            assert!(begun.elapsed() < SOON);
            thread::yield_now();
        }
    });
    let mut stream = stream;
    let answer = rest(&mut stream);
    // Bytes that come quickly fill the head before the time is over.
    assert!(answer.is_empty() || answer.starts_with("HTTP/1.1 400 "), "{answer}");
    // Whoever has an answer may go on for a while; nobody has to wait for that here.
    let _ = stream.shutdown(Shutdown::Both);
    dripping.join().unwrap();
    fake.is_served();
}

#[test]
fn whoever_sends_without_end_is_closed_after_a_few_kibibytes() {
    let fake = Fake::new();
    for begin in ["GET /metrics HTTP/1.1\r\nX: ", "POST / HTTP/1.1\r\n\r\n", ""] {
        let stream = fake.connect();
        let mut writer = stream.try_clone().unwrap();
        let sent = thread::spawn(move || {
            let chunk = vec![b'x'; 1 << 16];
            let mut sent = writer.write(begin.as_bytes()).unwrap();
            while sent < 1 << 30 {
                match writer.write(&chunk) {
                    Ok(written) => sent += written,
                    Err(_) => break,
                }
            }
            sent
        });
        let sent = sent.join().unwrap();
        assert!(sent < 1 << 30, "the server took all {sent} bytes");
        drop(stream);
        fake.is_served();
    }
}

#[test]
fn whoever_does_not_take_the_answer_is_closed_in_time() {
    let (fake, _) = Fake::with(Limits { answer: SHORT, connections: 1, ..PATIENT }, 2);
    let mut stream = fake.connect();
    // The answer fits into the buffers of the system, and the client never ends its own half.
    stream.write_all(b"GET /metrics HTTP/1.1\r\n\r\n").unwrap();
    // There is one place, and this stalls on it until the time is over.
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < SOON);
        let mut next = fake.connect();
        let sent = next.write_all(b"GET /healthz HTTP/1.1\r\n\r\n");
        let _ = next.shutdown(Shutdown::Write);
        if sent.is_ok() && rest(&mut next).starts_with("HTTP/1.1 200 OK") {
            break;
        }
    }
    assert!(rest(&mut stream).starts_with("HTTP/1.1 200 OK"));
}

#[test]
fn one_connection_too_many_is_closed_and_the_others_are_served() {
    let fake = Fake::new();
    let mut open: Vec<_> = (0..PATIENT.connections).map(|_| fake.connect()).collect();
    let mut one_too_many = fake.connect();
    assert_eq!(rest(&mut one_too_many), "");
    for stream in &mut open {
        stream.write_all(b"GET /healthz HTTP/1.1\r\n\r\n").unwrap();
        stream.shutdown(Shutdown::Write).unwrap();
        assert!(rest(stream).starts_with("HTTP/1.1 200 OK"));
    }
    // Their places are free again.
    let begun = Instant::now();
    loop {
        assert!(begun.elapsed() < SOON);
        let mut next = fake.connect();
        let sent = next.write_all(b"GET /healthz HTTP/1.1\r\n\r\n");
        let _ = next.shutdown(Shutdown::Write);
        if sent.is_ok() && rest(&mut next).starts_with("HTTP/1.1 200 OK") {
            break;
        }
    }
}

#[test]
fn the_end_of_the_server_ends_whoever_stalls() {
    let mut fake = Fake::new();
    let address = fake.address();
    let mut stalls = fake.connect();
    stalls.write_all(b"GET /").unwrap();
    let begun = Instant::now();
    drop(fake.endpoint.take());
    assert!(begun.elapsed() < SOON);
    assert_eq!(rest(&mut stalls), "");
    assert!(TcpStream::connect(address).is_err());
}
