//! The log of the binary: how much goes to it, where it goes, and what its lines look like.

use std::fs::{self, File};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::{MetadataExt, PermissionsExt};
use std::path::{Path, PathBuf};
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// For failure only.
const PATIENCE: Duration = Duration::from_secs(30);

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_waxwing-server"))
}

/// A server that dies with its owner.
struct Server {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    /// With these settings, as the environment names them, in a folder with a place for a log.
    fn start(settings: impl FnOnce(&Path) -> Vec<(&'static str, String)>) -> Self {
        Self::start_as(binary(), settings)
    }

    fn start_as(
        mut program: Command,
        settings: impl FnOnce(&Path) -> Vec<(&'static str, String)>,
    ) -> Self {
        let folder = tempfile::tempdir().unwrap();
        fs::create_dir(folder.path().join("logs")).unwrap();
        let stderr = File::create(folder.path().join("stderr")).unwrap();
        let mut child = program
            .args(["--listen", "127.0.0.1:0", "--data"])
            .arg(folder.path().join("data"))
            .envs(settings(folder.path()))
            .stdout(Stdio::piped())
            .stderr(stderr)
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        let address = greeting.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        let server = Self { child, address, folder };
        eventually("commands reach it", || server.command(&["health"]).status.success());
        server
    }

    /// With its log in a file.
    fn with_file() -> Self {
        Self::start(|folder| vec![("WAXWING_LOG__FILE", log_in(folder).display().to_string())])
    }

    fn command(&self, args: &[&str]) -> Output {
        let data = self.folder.path().join("data");
        binary().args(args).arg("--json").arg("--data").arg(data).output().unwrap()
    }

    #[track_caller]
    fn answers(&self, args: &[&str]) -> Value {
        let ran = self.command(args);
        assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_slice(&ran.stdout).unwrap()
    }

    fn log_status(&self) -> Value {
        self.answers(&["status"])["log"].take()
    }

    fn stderr(&self) -> String {
        fs::read_to_string(self.folder.path().join("stderr")).unwrap()
    }

    fn log(&self) -> PathBuf {
        log_in(self.folder.path())
    }

    /// Somebody comes, says nonsense, and is told so.
    fn is_visited(&self) {
        let mut stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream.write_all(&[0xff; 1_024]).unwrap();
        assert!(stream.read(&mut [0; 64]).unwrap() > 0);
    }

    /// Commands that the audit log has, with the results that it has of them.
    fn audited(&self, command: &str) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("data/audit.jsonl")).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let mine = lines.filter(|line| line["command"] == command);
        mine.filter_map(|line| line["result"].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

fn log_in(folder: &Path) -> PathBuf {
    folder.join("logs/waxwing.log")
}

#[track_caller]
fn eventually(what: &str, is_true: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "not true: {what}");
        thread::sleep(Duration::from_millis(5));
    }
}

#[test]
fn a_level_is_set_for_a_time_and_ends_by_itself() {
    let server = Server::start(|_| Vec::new());
    let set = server.answers(&["log", "level", "trace", "--for", "2s"]);
    assert_eq!((&set["level"], &set["target"]), (&json!("trace"), &Value::Null));
    assert!(set["until"].is_string());
    server.is_visited();
    eventually("it says more", || server.stderr().contains("TRACE"));
    eventually("it ends", || server.log_status()["asked"].is_null());
    eventually("it says so", || server.stderr().contains("that of the configuration again"));
    let lines = || server.stderr().matches("TRACE").count();
    let before = lines();
    server.is_visited();
    assert_eq!(lines(), before);
    assert_eq!(server.audited("log level"), ["done"]);
}

#[test]
fn a_level_of_one_part_is_set_until_the_configuration_is_read_again() {
    let server = Server::start(|_| Vec::new());
    let part = "waxwing_server::runtime";
    server.answers(&["log", "level", "trace", "--target", part]);
    server.is_visited();
    eventually("it says more", || server.stderr().contains("TRACE"));
    for line in server.stderr().lines().filter(|line| line.contains("TRACE")) {
        assert!(line.contains(part), "{line}");
    }
    assert_eq!(server.log_status()["asked"]["target"], part);
    let other = server.answers(&["log", "level", "warn"]);
    assert_eq!((&other["level"], &other["replaced"]["target"]), (&json!("warn"), &json!(part)));
    server.answers(&["reload"]);
    assert!(server.log_status()["asked"].is_null());
    for (wrong, says) in [
        (&["log", "level", "loud"][..], "\"loud\""),
        (&["log", "level", "info", "--for", "ever"], "is no duration"),
        (&["log", "level", "info", "--target", "a b"], "path of a module"),
        (
            &["log", "level", "info", "--target", "waxwing_sever::store"],
            "begins with waxwing_server",
        ),
    ] {
        let ran = server.command(wrong);
        assert_eq!(ran.status.code(), Some(2));
        assert!(String::from_utf8_lossy(&ran.stderr).contains(says), "{wrong:?}");
    }
}

#[test]
fn a_file_takes_the_log_and_is_opened_again_after_it_was_moved() {
    let server = Server::with_file();
    let read = |path: &Path| fs::read_to_string(path).unwrap_or_default();
    eventually("the file has the log", || read(&server.log()).contains("listening"));
    assert!(!server.stderr().contains("listening"));
    assert_eq!(server.log_status()["file"], server.log().display().to_string());

    let moved = server.folder.path().join("logs/waxwing.log.1");
    fs::rename(server.log(), &moved).unwrap();
    kill_process(Pid::from_child(&server.child), Signal::USR1).unwrap();
    eventually("there is a new file", || server.log().exists());
    eventually("it is noted", || server.audited("log reopen") == ["done"]);
    server.answers(&["log", "level", "debug"]);
    eventually("the new file has the log", || read(&server.log()).contains("log level"));
    assert!(!read(&moved).contains("log level"));

    fs::rename(server.log(), &moved).unwrap();
    assert_eq!(server.answers(&["log", "reopen"])["reopened"], server.log().display().to_string());
    assert!(server.log().exists());
    assert_eq!(server.audited("log reopen"), ["done", "done"]);
}

#[test]
fn a_file_that_cannot_be_opened_stops_nobody_and_is_said() {
    let server = Server::start(|folder| {
        fs::create_dir(log_in(folder)).unwrap();
        vec![("WAXWING_LOG__FILE", log_in(folder).display().to_string())]
    });
    assert!(server.stderr().contains("the log goes to standard error"));
    assert!(server.log_status()["trouble"].as_str().unwrap().contains("it is a directory"));
    assert_eq!(server.log_status()["file"], Value::Null);
    fs::remove_dir(server.log()).unwrap();
    server.answers(&["reload"]);
    assert_eq!(server.log_status()["trouble"], Value::Null);

    // Once it is open, the log stays where it is, and whoever looks elsewhere hears of that.
    let moved = server.folder.path().join("logs/waxwing.log.1");
    fs::rename(server.log(), &moved).unwrap();
    fs::create_dir(server.log()).unwrap();
    let reopened = server.command(&["log", "reopen"]);
    assert_eq!(reopened.status.code(), Some(74));
    let said = String::from_utf8_lossy(&reopened.stderr);
    assert!(said.contains("the log goes on in the file that was opened before"), "{said}");
    assert!(server.log_status()["not_reopened"].as_str().unwrap().contains("it is a directory"));
    let reloaded = server.answers(&["reload"]);
    assert!(reloaded["log_not_reopened"].as_str().unwrap().contains("log.file"), "{reloaded}");
    // Who asked has heard it. After a signal, standard error tells it, once for each.
    let why = "it is a directory and no file: name a file, such as one in it";
    let told = server.stderr().matches(why).count();
    assert_eq!(told, 1, "at the start: {}", server.stderr());
    for (times, signal) in (told + 1..).zip([Signal::USR1, Signal::HUP]) {
        kill_process(Pid::from_child(&server.child), signal).unwrap();
        eventually("it is told", || server.stderr().matches(why).count() == times);
    }
    eventually("it goes on", || fs::read_to_string(&moved).unwrap().contains("was read again"));
    server.is_visited();
    fs::remove_dir(server.log()).unwrap();
    server.answers(&["log", "reopen"]);
    assert_eq!(server.log_status()["not_reopened"], Value::Null);
}

#[test]
fn a_file_that_takes_no_more_stops_nobody_and_what_is_lost_is_counted() {
    let mut limited = Command::new("sh");
    limited.args([
        "-c",
        "ulimit -f 800 && exec \"$0\" \"$@\"",
        env!("CARGO_BIN_EXE_waxwing-server"),
    ]);
    let server = Server::start_as(limited, |folder| {
        vec![
            ("WAXWING_LOG__FILE", log_in(folder).display().to_string()),
            ("WAXWING_LOG__LEVEL", "trace".into()),
        ]
    });
    eventually("the file is full", || {
        (0..100).for_each(|_| server.is_visited());
        server.log_status()["lost_lines"].as_u64() > Some(0)
    });
    assert!(server.log_status()["trouble"].is_string());
    assert_eq!(server.stderr().matches("the log cannot be written to").count(), 1);

    fs::rename(server.log(), server.folder.path().join("logs/waxwing.log.1")).unwrap();
    server.answers(&["log", "reopen"]);
    server.is_visited();
    eventually("it goes on", || fs::read_to_string(server.log()).unwrap().contains("TRACE"));
    assert_eq!(server.log_status()["trouble"], Value::Null);
}

#[test]
fn a_line_that_was_cut_is_not_continued_by_the_next_one() {
    let server = Server::start(|folder| {
        fs::write(log_in(folder), "cut at the sta").unwrap();
        vec![("WAXWING_LOG__FILE", log_in(folder).display().to_string())]
    });
    let read = || fs::read_to_string(server.log()).unwrap();
    eventually("the log goes on", || read().contains("listening"));
    assert!(read().starts_with("cut at the sta\n"), "{}", read());
    // A file that somebody has put in its place may have been cut, too.
    fs::rename(server.log(), server.folder.path().join("logs/waxwing.log.1")).unwrap();
    fs::write(server.log(), "cut later").unwrap();
    server.answers(&["log", "reopen"]);
    server.answers(&["log", "level", "trace"]);
    server.is_visited();
    eventually("it goes on", || read().contains("TRACE"));
    assert!(read().starts_with("cut later\n") && !read().contains("\n\n"), "{}", read());
}

#[test]
fn a_log_is_not_opened_again_where_others_could_put_another_file() {
    let server = Server::with_file();
    let logs = server.folder.path().join("logs");
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o777)).unwrap();
    let moved = logs.join("waxwing.log.1");
    fs::rename(server.log(), &moved).unwrap();
    let refused = server.command(&["log", "reopen"]);
    assert_eq!(refused.status.code(), Some(74));
    let said = String::from_utf8_lossy(&refused.stderr);
    assert!(said.contains("chmod go-w"), "{said}");
    assert!(!server.log().exists());
    fs::set_permissions(&logs, fs::Permissions::from_mode(0o700)).unwrap();
    server.answers(&["log", "reopen"]);
    assert!(server.log().exists());
}

#[test]
fn a_directory_that_is_not_there_keeps_nobody_from_serving_and_is_found_by_a_check() {
    let lost = |_: &Path| vec![("WAXWING_LOG__FILE", "/no/such/directory/log".to_owned())];
    let server = Server::start(lost);
    let why = "log.file: /no/such/directory: there is no such directory";
    assert!(server.stderr().contains(why), "{}", server.stderr());
    assert!(server.log_status().to_string().contains(why), "{}", server.log_status());
    // Nor is a reload of what is changed elsewhere refused; and who wants the log opened hears why it is not.
    let reloaded = server.answers(&["reload"]);
    assert!(reloaded["log_not_reopened"].as_str().unwrap().contains(why), "{reloaded}");
    let reopened = server.command(&["log", "reopen"]);
    assert_eq!(reopened.status.code(), Some(74));
    let said = String::from_utf8_lossy(&reopened.stderr);
    assert!(said.contains(why) && said.contains("the log still goes to standard error"), "{said}");
    // The log, which is there, too, tells what a signal has not done, and nothing tells it besides.
    assert_eq!(server.stderr().matches(why).count(), 1, "at the start: {}", server.stderr());
    kill_process(Pid::from_child(&server.child), Signal::USR1).unwrap();
    eventually("it is noted", || server.audited("log reopen").len() == 2);
    assert_eq!(server.stderr().matches(why).count(), 2, "{}", server.stderr());
    assert!(server.log_status()["trouble"].as_str().unwrap().contains(why));
    let ran = binary()
        .env("WAXWING_LOG__FILE", "/no/such/directory/log")
        .args(["run", "--check", "--listen", "127.0.0.1:0", "--data"])
        .arg(server.folder.path().join("other"))
        .output()
        .unwrap();
    assert_eq!(ran.status.code(), Some(78));
    assert!(String::from_utf8_lossy(&ran.stderr).contains(why));
}

#[test]
fn a_directory_that_comes_back_gets_the_log_when_it_is_opened_again() {
    let server = Server::start(|folder| {
        fs::remove_dir(folder.join("logs")).unwrap();
        vec![("WAXWING_LOG__FILE", log_in(folder).display().to_string())]
    });
    assert_eq!(server.command(&["log", "reopen"]).status.code(), Some(74));
    fs::create_dir(server.folder.path().join("logs")).unwrap();
    assert_eq!(server.answers(&["log", "reopen"])["reopened"], server.log().display().to_string());
    let log = server.log_status();
    assert_eq!((&log["trouble"], &log["not_reopened"]), (&Value::Null, &Value::Null));
    assert!(server.log().exists());
}

#[test]
fn lines_for_the_journal_begin_with_how_urgent_they_are() {
    let stream = |folder: &Path, of: &str| {
        let metadata = fs::metadata(folder.join(of)).unwrap();
        vec![("JOURNAL_STREAM", format!("{}:{}", metadata.dev(), metadata.ino()))]
    };
    let server = Server::start(|folder| stream(folder, "stderr"));
    assert!(server.stderr().lines().all(|line| line.starts_with(['<'])), "{}", server.stderr());
    assert!(server.stderr().contains("\n<6>"));
    assert!(server.stderr().contains("<4>"), "a first start is a warning");
    let server = Server::start(|folder| stream(folder, "logs"));
    assert!(!server.stderr().contains("<6>"));
}

#[test]
fn lines_for_programs_name_what_has_happened() {
    let server = Server::start(|_| vec![("WAXWING_LOG__FORMAT", "json".into())]);
    let text = server.stderr();
    let lines: Vec<Value> = text.lines().map(|line| serde_json::from_str(line).unwrap()).collect();
    let listening = lines.iter().find(|line| line["event"] == "listening").unwrap();
    assert_eq!(listening["level"], "INFO");
    assert_eq!(listening["fields"]["address"], server.address.to_string());
    assert!(lines.iter().any(|line| line["event"] == "first_start" && line["level"] == "WARN"));
}

#[test]
fn every_warning_and_every_error_has_a_name() {
    let mut folders = vec![Path::new(env!("CARGO_MANIFEST_DIR")).join("src")];
    let mut found = 0;
    while let Some(folder) = folders.pop() {
        for path in fs::read_dir(folder).unwrap().map(|entry| entry.unwrap().path()) {
            if path.is_dir() {
                folders.push(path);
                continue;
            }
            let text = fs::read_to_string(&path).unwrap();
            for rest in ["tracing::warn!(", "tracing::error!("].map(|call| text.split(call).skip(1))
            {
                for rest in rest {
                    found += 1;
                    let begins: String = rest.chars().take(80).collect();
                    assert!(
                        begins.trim_start().starts_with("name: \""),
                        "{}: {begins}",
                        path.display()
                    );
                }
            }
        }
    }
    assert!(found > 40, "the search has lost what it looks at");
}
