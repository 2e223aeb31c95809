//! The binary when its configuration is read again.

use std::fs::{self, File, Permissions};
use std::io::{BufRead, BufReader, Read, Write};
use std::net::{SocketAddr, TcpStream};
use std::os::unix::fs::PermissionsExt;
use std::path::PathBuf;
use std::process::{Child, Command, Output, Stdio};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::{Pid, Signal, kill_process};
use serde_json::{Value, json};
use tempfile::TempDir;

/// For failure only.
const PATIENCE: Duration = Duration::from_secs(30);
const LOCAL: &[&str] = &["--listen", "127.0.0.1:0"];

fn binary() -> Command {
    Command::new(env!("CARGO_BIN_EXE_waxwing-server"))
}

/// A server with a file that it reads again, which dies with its owner.
struct Server {
    child: Child,
    address: SocketAddr,
    folder: TempDir,
}

impl Server {
    fn start(text: &str, flags: &[&str]) -> Self {
        let folder = tempfile::tempdir().unwrap();
        let file = folder.path().join("waxwing.toml");
        fs::write(&file, text).unwrap();
        let log = File::create(folder.path().join("log")).unwrap();
        let mut child = binary()
            .arg("--config")
            .arg(&file)
            .arg("--data")
            .arg(folder.path().join("data"))
            .args(flags)
            .env("WAXWING_SERVER__LOOPS", "3")
            .stdout(Stdio::piped())
            .stderr(log)
            .spawn()
            .unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        let address = greeting.trim().strip_prefix("listening on ").unwrap().parse().unwrap();
        let server = Self { child, address, folder };
        // Commands reach it a moment later.
        eventually(|| server.command(&["health"]).status.success());
        server
    }

    fn file(&self) -> PathBuf {
        self.folder.path().join("waxwing.toml")
    }

    fn writes(&self, text: &str) {
        fs::write(self.file(), text).unwrap();
    }

    fn command(&self, args: &[&str]) -> Output {
        let data = self.folder.path().join("data");
        binary().args(args).arg("--data").arg(data).output().unwrap()
    }

    /// As a unit calls it: with the file, and without a data directory.
    fn reload(&self) -> Output {
        let mut reload = binary();
        reload.arg("--config").arg(self.file()).arg("reload").arg("--json");
        reload.env("WAXWING_SERVER__DATA", self.folder.path().join("data")).output().unwrap()
    }

    #[track_caller]
    fn reloads(&self) -> Value {
        let ran = self.reload();
        assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
        serde_json::from_slice(&ran.stdout).unwrap()
    }

    #[track_caller]
    fn refuses(&self, why: &str) {
        let ran = self.reload();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(78), "{why}: {said}");
        assert!(said.contains(why), "{why}: {said}");
        let told: Value = serde_json::from_slice(&ran.stdout).unwrap();
        assert!(told["exit"] == 78 && told["error"].as_str().unwrap().contains(why), "{told}");
        let failure = self.status()["configuration"]["failure"].as_str().unwrap().to_owned();
        assert!(failure.contains(why), "{why}: {failure}");
    }

    fn status(&self) -> Value {
        serde_json::from_slice(&self.command(&["status", "--json"]).stdout).unwrap()
    }

    fn doctor_on_configuration(&self) -> Value {
        let mut doctor = binary();
        doctor.arg("--config").arg(self.file()).args(["doctor", "--json"]);
        let ran = doctor.env("WAXWING_SERVER__DATA", self.folder.path().join("data")).output();
        let said = String::from_utf8(ran.unwrap().stdout).unwrap();
        let mut lines = said.lines().map(|line| serde_json::from_str::<Value>(line).unwrap());
        lines.find(|line| line["check"] == "configuration").unwrap()
    }

    fn codes_left(&self) -> Option<u64> {
        self.status()["codes_left"].as_u64()
    }

    fn log(&self) -> String {
        fs::read_to_string(self.folder.path().join("log")).unwrap()
    }

    fn signal(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    fn connect(&self) -> TcpStream {
        let stream = TcpStream::connect(self.address).unwrap();
        stream.set_read_timeout(Some(PATIENCE)).unwrap();
        stream
    }

    /// What the audit log says became of reloads.
    fn audited(&self) -> Vec<String> {
        let text = fs::read_to_string(self.folder.path().join("data/audit.jsonl")).unwrap();
        let lines = text.lines().filter_map(|line| serde_json::from_str::<Value>(line).ok());
        let reloads = lines.filter(|line| line["command"] == "reload");
        reloads.filter_map(|line| line["result"].as_str().map(str::to_owned)).collect()
    }
}

impl Drop for Server {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
    }
}

#[track_caller]
fn eventually(is_true: impl Fn() -> bool) {
    let deadline = Instant::now() + PATIENCE;
    while !is_true() {
        assert!(Instant::now() < deadline, "it does not come true");
        thread::sleep(Duration::from_millis(5));
    }
}

/// Whether somebody who says nonsense on this connection is told so.
#[track_caller]
fn is_served(mut stream: TcpStream) {
    stream.write_all(&[0xff; 1_024]).unwrap();
    assert!(stream.read(&mut [0; 64]).unwrap() > 0);
}

#[test]
fn a_list_of_phones_is_read_anew_and_counted_although_no_setting_has_changed() {
    let folder = tempfile::tempdir().unwrap();
    let list = folder.path().join("phones");
    fs::write(&list, "+15550001111\n").unwrap();
    fs::set_permissions(&list, Permissions::from_mode(0o600)).unwrap();
    let server = Server::start(&format!("registration.allow_file = {list:?}\n"), LOCAL);
    fs::write(&list, "+15550001111\n# more\n+15550002222\n").unwrap();
    let nothing = json!([]);
    let expected = json!({ "live": nothing, "restart": nothing, "allowed_phones": 2 });
    assert_eq!(server.reloads(), expected);
    let said = String::from_utf8(server.command(&["reload"]).stdout).unwrap();
    assert!(said.contains("registration.allow_file, with 2 phones"), "{said}");
    assert!(server.log().contains("allowed_phones=2"), "{}", server.log());
    fs::write(&list, "# nobody\n").unwrap();
    let remark = server.reloads()["remark"].take();
    assert!(remark.as_str().unwrap().contains("nobody can register"), "{remark}");
    let said = String::from_utf8(server.command(&["reload"]).stdout).unwrap();
    assert!(said.contains(remark.as_str().unwrap()), "{said}");
    let is_warned = |line: &str| line.contains("WARN") && line.contains(remark.as_str().unwrap());
    assert!(server.log().lines().any(is_warned), "{}", server.log());
    fs::remove_file(&list).unwrap();
    server.refuses("phones: there is no such file; make it");
}

#[test]
fn what_is_live_changes_what_is_not_waits_and_no_connection_is_cut() {
    let server = Server::start("limits.codes_per_day = 100\n", LOCAL);
    let before = server.connect();
    assert_eq!(server.codes_left(), Some(100));
    assert_eq!(server.reloads(), json!({ "live": [], "restart": [], "allowed_phones": null }));

    server.writes(
        "limits.codes_per_day = 70\nstorage.id_rest = \"90d\"\nstorage.tidy_after = \"2s\"\n\
         server.keepalive = \"2m\"\nserver.user_timeout = \"2m\"\n",
    );
    let waiting = json!(["server.keepalive", "server.user_timeout", "storage.id_rest"]);
    let live = ["limits.codes_per_day", "storage.tidy_after"];
    let reloaded = json!({ "live": live, "restart": waiting, "allowed_phones": null });
    assert_eq!(server.reloads(), reloaded);
    assert_eq!(server.codes_left(), Some(70));
    let configuration = server.status()["configuration"].take();
    assert_eq!(configuration["waiting"], waiting);
    assert!(configuration["reloaded"].is_string() && configuration["failure"].is_null());

    // What waits is said again as long as it waits.
    server.writes("limits.codes_per_day = 70\nstorage.id_rest = \"90d\"\n");
    let (live, restart) = (["storage.tidy_after"], ["storage.id_rest"]);
    let reloaded = json!({ "live": live, "restart": restart, "allowed_phones": null });
    assert_eq!(server.reloads(), reloaded);
    server.writes("");
    server.reloads();
    assert_eq!(server.status()["configuration"]["waiting"], json!([]));
    is_served(before);
    is_served(server.connect());
    assert_eq!(server.audited(), ["done"; 4]);
}

#[test]
fn a_mistake_changes_nothing_and_is_said_by_the_command_the_status_and_the_log() {
    let good = "limits.codes_per_day = 100\n";
    let server = Server::start(good, LOCAL);
    for (mistake, why) in [
        ("limits.codes_per_day = = 7\n", "waxwing.toml: TOML parse error at line 1"),
        ("otp.webhook.headers = [\"Authorization: s3cret\"\n", "at line 1"),
        ("limits.codes_per_day = 7\nlimits.codes_per_dya = 7\n", "did you mean"),
        ("limits.codes_per_day = \"many\"\n", "limits.codes_per_day"),
        ("limits.codes_per_day = 7\nlimits.exempt = 5\n", "limits.exempt"),
        ("limits.codes_per_day = 0\n", "limits.codes_per_day has to be from"),
        ("limits.codes_per_day = 7\notp.delivery = \"exec\"\n", "needs otp.exec.program"),
        (
            "limits.codes_per_day = 7\n[otp]\ndelivery = \"exec\"\nexec.program = \"/no/such\"\n",
            "otp.exec.program",
        ),
    ] {
        server.writes(mistake);
        server.refuses(why);
        assert_eq!(server.codes_left(), Some(100), "{mistake}");
    }
    server.writes("limits.codes_per_day = 7\n");
    fs::set_permissions(server.file(), Permissions::from_mode(0o646)).unwrap();
    server.refuses("chmod o-w");
    fs::remove_file(server.file()).unwrap();
    server.refuses("there is no such file; make it");
    fs::create_dir(server.file()).unwrap();
    server.refuses("no plain file");
    fs::remove_dir(server.file()).unwrap();
    assert_eq!(server.codes_left(), Some(100));
    let log = server.log();
    assert_eq!(log.matches("the configuration could not be read again").count(), 11, "{log}");
    assert!(!log.contains("s3cret"));

    server.writes("limits.codes_per_day = 50\n");
    server.reloads();
    assert_eq!(server.codes_left(), Some(50));
    assert!(server.status()["configuration"]["failure"].is_null());
    assert_eq!(server.audited().last().unwrap(), "done");
    assert_eq!(server.audited().iter().filter(|result| *result == "failed").count(), 11);
}

#[test]
fn a_reload_that_was_refused_is_in_the_numbers_until_one_is_not() {
    let text = "metrics.listen = \"127.0.0.1:0\"\n";
    let server = Server::start(text, LOCAL);
    let numbers = || {
        let log = server.log();
        let (_, address) = log.split_once("address=").unwrap();
        let address = address.split_whitespace().next().unwrap();
        let mut stream = TcpStream::connect(address).unwrap();
        stream.write_all(b"GET /metrics HTTP/1.1\r\nHost: x\r\n\r\n").unwrap();
        let mut page = String::new();
        stream.read_to_string(&mut page).unwrap();
        page
    };
    eventually(|| server.log().contains("numbers and health can be read"));
    assert!(numbers().contains("\nwaxwing_reload_failing 0\n"), "{}", numbers());
    assert!(numbers().contains("\nwaxwing_storage_shared 0\n"));
    server.writes("limits.codes_per_dya = 7\n");
    server.refuses("there is no key `limits.codes_per_dya`");
    assert!(numbers().contains("\nwaxwing_reload_failing 1\n"), "{}", numbers());
    server.writes(text);
    server.reloads();
    assert!(numbers().contains("\nwaxwing_reload_failing 0\n"), "{}", numbers());
}

#[test]
fn whoever_asks_a_server_reaches_it_although_its_file_has_a_mistake() {
    let server = Server::start("", LOCAL);
    server.writes("limits.codes_per_dya = 7\n");
    let with_file = |args: &[&str]| {
        let mut command = binary();
        command.arg("--config").arg(server.file()).args(args);
        command.env("WAXWING_SERVER__DATA", server.folder.path().join("data")).output().unwrap()
    };
    let backup = server.folder.path().join("backup.db");
    let backup = backup.to_str().unwrap();
    for (asked, code) in [
        (&["health"][..], 0),
        (&["users", "list"], 0),
        (&["users", "show", "7"], 1),
        (&["backup", "create", backup], 0),
        (&["audit", "verify"], 0),
        (&["key", "show"], 0),
        (&["otp", "test", "+15550001111"], 0),
        // These are not about a running server.
        (&["storage", "schema"], 78),
        (&["backup", "list"], 78),
    ] {
        let ran = with_file(asked);
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(code), "{asked:?}: {said}");
        assert!(said.contains("there is no key `limits.codes_per_dya`"), "{asked:?}: {said}");
    }
    server.signal(Signal::TERM);
    eventually(|| server.command(&["health"]).status.code() == Some(1));
    // Without a server nothing is read or changed by settings that are not known.
    for (asked, code) in [(&["users", "list"][..], 78), (&["audit", "show"], 78), (&["health"], 1)]
    {
        let ran = with_file(asked);
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(code), "{asked:?}: {said}");
        assert!(said.contains("there is no key `limits.codes_per_dya`"), "{asked:?}: {said}");
    }
}

#[test]
fn the_doctor_says_what_the_server_makes_of_its_file() {
    let server = Server::start("", LOCAL);
    let configuration = || server.doctor_on_configuration();
    assert_eq!(configuration()["verdict"], "ok", "{}", configuration());
    server.writes("limits.codes_per_dya = 7\n");
    server.refuses("there is no key `limits.codes_per_dya`");
    // It is right again, and the server does not know.
    server.writes("backup.keep = 3\n");
    assert_eq!(configuration()["verdict"], "fail", "{}", configuration());
    server.reloads();
    let waits = configuration();
    assert_eq!(waits["verdict"], "warn", "{waits}");
    assert!(waits["found"].as_str().unwrap().contains("backup.keep"), "{waits}");
    // What was written since, the server does not know.
    server.writes("backup.keep = 3\nserver.loops = 2\nlimits.codes_per_day = 7\n");
    let unread = configuration();
    assert_eq!(unread["verdict"], "warn", "{unread}");
    let found = unread["found"].as_str().unwrap();
    assert!(
        found.ends_with("other values than the configuration, of: limits.codes_per_day"),
        "{unread}"
    );
}

#[test]
fn a_hangup_does_the_same() {
    let server = Server::start("limits.codes_per_day = 100\n", LOCAL);
    server.writes("limits.codes_per_day = 50\n");
    server.signal(Signal::HUP);
    eventually(|| server.codes_left() == Some(50));
    server.writes("limits.codes_per_day = none\n");
    server.signal(Signal::HUP);
    eventually(|| server.status()["configuration"]["failure"].is_string());
    assert_eq!(server.codes_left(), Some(50));
    eventually(|| server.audited() == ["done", "failed"]);
    is_served(server.connect());
}

#[test]
fn what_the_command_line_and_the_environment_say_still_counts() {
    let server = Server::start("", &[LOCAL, &["--log-level", "warn"]].concat());
    server.writes("log.level = \"trace\"\nserver.loops = 7\nlog.format = \"json\"\n");
    assert_eq!(
        server.reloads(),
        json!({ "live": ["log.format"], "restart": [], "allowed_phones": null })
    );
    is_served(server.connect());
    assert!(!server.log().contains("TRACE"));
}

#[test]
fn the_log_follows_its_settings() {
    let server = Server::start("", LOCAL);
    is_served(server.connect());
    assert!(!server.log().contains("TRACE"));
    server.writes("log.level = \"trace\"\nlog.format = \"json\"\n");
    server.reloads();
    is_served(server.connect());
    eventually(|| server.log().contains("\"level\":\"TRACE\""));
}

#[test]
fn codes_do_not_go_in_band_before_an_address_that_others_reach_is_given_up() {
    let server = Server::start("server.listen = \"0.0.0.0:0\"\n", &[]);
    // The doctor finds that before a reload does.
    server.writes("server.listen = \"127.0.0.1:0\"\notp.delivery = \"in-band\"\n");
    let found = server.doctor_on_configuration();
    assert_eq!(found["verdict"], "fail", "{found}");
    assert!(found["found"].as_str().unwrap().contains("has changed, and the server"), "{found}");
    server.writes("server.listen = \"0.0.0.0:0\"\notp.delivery = \"in-band\"\n");
    server.refuses("lets everybody who can reach");
    // A start could use this one.
    server.writes("server.listen = \"127.0.0.1:0\"\notp.delivery = \"in-band\"\n");
    server.refuses("restart the server");
    assert_eq!(server.audited(), ["failed", "failed"]);
}

#[test]
fn the_way_that_codes_no_longer_take_is_neither_tested_nor_told_to_rest() {
    let server =
        Server::start("otp.delivery = \"exec\"\notp.exec.program = \"/bin/false\"\n", LOCAL);
    let test = || server.command(&["otp", "test", "+4915112345617"]);
    (0..5).for_each(|_| assert_eq!(test().status.code(), Some(1)));
    assert_eq!(server.status()["failing_ways"][0]["way"], "exec");
    server.writes("otp.delivery = \"in-band\"\n");
    server.reloads();
    assert_eq!(server.status()["failing_ways"], json!([]));
    let ran = test();
    let said = String::from_utf8(ran.stderr).unwrap();
    assert_eq!(ran.status.code(), Some(78), "{said}");
    assert!(said.contains("otp.delivery is \"in-band\""), "{said}");
}

#[test]
fn a_reload_without_a_server_says_so() {
    let folder = tempfile::tempdir().unwrap();
    let ran = binary().arg("reload").arg("--data").arg(folder.path()).output().unwrap();
    assert_eq!(ran.status.code(), Some(3));
}
