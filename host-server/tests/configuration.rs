//! Every setting, through the binary: what is out of range is refused when a file is checked, and
//! when a server starts, and what a server would run with is shown.

use std::fs;
use std::io::{BufRead, BufReader};
use std::os::unix::fs::PermissionsExt;
use std::path::{Path, PathBuf};
use std::process::{Command, Output, Stdio};

use rustix::process::{Pid, Signal, kill_process};
use tempfile::TempDir;

fn binary() -> Command {
    let mut command = Command::new(env!("CARGO_BIN_EXE_waxwing-server"));
    for (name, _) in std::env::vars_os() {
        if name.to_string_lossy().starts_with("WAXWING_") {
            command.env_remove(name);
        }
    }
    command
}

/// A setting as the example file shows it.
struct Setting {
    name: String,
    default: String,
    /// As they are written there.
    range: Option<(String, String)>,
}

impl Setting {
    fn all() -> Vec<Self> {
        let keys = binary().args(["config", "example", "--json"]).output().unwrap().stdout;
        let setting = |line: &str| {
            let key: serde_json::Value = serde_json::from_str(line).unwrap();
            let range = key["range"].as_str().and_then(|range| range.split_once(" to "));
            Self {
                name: key["key"].as_str().unwrap().into(),
                default: key["default"].as_str().unwrap().into(),
                range: range.map(|(least, most)| (least.into(), most.into())),
            }
        };
        let all: Vec<_> = String::from_utf8(keys).unwrap().lines().map(setting).collect();
        assert!(all.len() > 40);
        all
    }

    fn variable(&self) -> String {
        format!("WAXWING_{}", self.name.replace('.', "__").to_uppercase())
    }

    /// Values next to the range, and those that no quantity has, as TOML.
    fn wrong(&self) -> Vec<String> {
        let of_another_kind =
            if ["true", "false"].contains(&&*self.default) { "17" } else { "true" };
        let mut wrong = vec![of_another_kind.to_owned()];
        let Some((least, most)) = &self.range else { return wrong };
        wrong.extend(
            [beside(most, |number| number.checked_add(1)), Some("-1".into())].into_iter().flatten(),
        );
        wrong.push(with_number(most, "18446744073709551615"));
        wrong.push(with_number(most, "99999999999999999999999"));
        wrong.push(with_number(most, "-1"));
        wrong.push(with_number(most, "1.5"));
        wrong.extend(beside(least, |number| number.checked_sub(1)));
        if number(least) > 0 {
            wrong.push(with_number(least, "0"));
        }
        wrong
    }
}

fn number(amount: &str) -> u64 {
    amount.chars().filter(char::is_ascii_digit).collect::<String>().parse().unwrap()
}

/// The amount with another number and the same unit.
fn with_number(amount: &str, number: &str) -> String {
    let unit: String = amount.chars().filter(|c| !c.is_ascii_digit()).collect();
    match unit.strip_prefix('"') {
        Some(unit) => format!("\"{number}{unit}"),
        None => number.into(),
    }
}

fn beside(amount: &str, step: impl Fn(u64) -> Option<u64>) -> Option<String> {
    step(number(amount)).map(|number| with_number(amount, &number.to_string()))
}

struct Folder(TempDir);

impl Folder {
    fn new() -> Self {
        Self(tempfile::tempdir().unwrap())
    }

    fn file(&self, text: &str) -> PathBuf {
        let path = self.0.path().join("waxwing.toml");
        fs::write(&path, text).unwrap();
        path
    }
}

fn check(file: &Path) -> Command {
    let mut command = binary();
    command.args(["config", "check"]).arg(file);
    command
}

#[track_caller]
fn refused(ran: &Output, because: &str) {
    let said = String::from_utf8_lossy(&ran.stderr);
    assert_eq!(ran.status.code(), Some(78), "{because}: {said}");
    assert!(said.contains(because), "{because}: {said}");
    assert!(ran.stdout.is_empty());
}

#[test]
fn every_setting_refuses_what_is_out_of_its_range_or_of_another_kind() {
    let folder = Folder::new();
    for setting in Setting::all() {
        let (_, leaf) = setting.name.rsplit_once('.').unwrap();
        for value in setting.wrong() {
            let line = format!("{} = {value}\n", setting.name);
            // Where a number is too large for TOML itself, the place is named. The line may be secret.
            let because = if line.parse::<toml::Table>().is_ok() { leaf } else { "line 1, column" };
            refused(&check(&folder.file(&line)).output().unwrap(), because);
        }
    }
}

#[test]
fn what_the_environment_sets_is_checked_with_the_file_and_at_the_start() {
    let folder = Folder::new();
    let file = folder.file("");
    for setting in Setting::all().iter().filter(|setting| setting.range.is_some()) {
        for value in setting.wrong() {
            let set = |command: &mut Command| {
                command.env(setting.variable(), value.trim_matches('"')).output().unwrap()
            };
            if value != "true" {
                refused(&set(&mut check(&file)), &setting.name);
            }
        }
        let outside = setting.wrong().pop().unwrap();
        let mut start = binary();
        start.arg("--data").arg(folder.0.path().join("data"));
        refused(
            &start.env(setting.variable(), outside.trim_matches('"')).output().unwrap(),
            &setting.name,
        );
    }
    refused(&check(&file).env("WAXWING_OTP__TLL", "1s").output().unwrap(), "WAXWING_OTP__TLL");
}

#[test]
fn a_server_serves_with_the_least_and_with_the_most_of_everything() {
    for most in [false, true] {
        let data = tempfile::tempdir().unwrap();
        let mut command = binary();
        command.args(["--listen", "127.0.0.1:0", "--data"]).arg(data.path().join("data"));
        for setting in Setting::all() {
            if let Some(range) = &setting.range {
                let value = if most { &range.1 } else { &range.0 };
                command.env(setting.variable(), value.trim_matches('"'));
            }
        }
        let mut child = command.stdout(Stdio::piped()).stderr(Stdio::piped()).spawn().unwrap();
        let mut greeting = String::new();
        BufReader::new(child.stdout.take().unwrap()).read_line(&mut greeting).unwrap();
        kill_process(Pid::from_child(&child), Signal::TERM).unwrap();
        let ran = child.wait_with_output().unwrap();
        assert!(greeting.starts_with("listening on "), "{}", String::from_utf8_lossy(&ran.stderr));
        assert_eq!(ran.status.code(), Some(0), "{}", String::from_utf8_lossy(&ran.stderr));
    }
}

#[test]
fn what_is_no_file_of_a_sensible_size_is_refused_and_not_waited_for() {
    let folder = Folder::new();
    let pipe = folder.0.path().join("pipe");
    let made = Command::new("mkfifo").arg(&pipe).status().unwrap();
    assert!(made.success());
    let large = folder.0.path().join("large");
    fs::File::create(&large).unwrap().set_len(1 << 30).unwrap();
    for (path, why) in [
        (Path::new("/dev/zero"), "no plain file"),
        (&pipe, "no plain file"),
        (folder.0.path(), "no plain file"),
        (&large, "larger than 1 MiB"),
        (Path::new("/no/such/file"), "there is no such file; make it"),
    ] {
        refused(&check(path).output().unwrap(), why);
        refused(&binary().arg("--config").arg(path).output().unwrap(), why);
    }
}

#[test]
fn a_file_that_everybody_can_change_or_replace_is_refused_with_the_command_that_helps() {
    let folder = Folder::new();
    let below = folder.0.path().join("below");
    fs::create_dir(&below).unwrap();
    let file = below.join("waxwing.toml");
    fs::write(&file, "log.level = \"info\"\n").unwrap();
    let set_mode =
        |path: &Path, mode| fs::set_permissions(path, fs::Permissions::from_mode(mode)).unwrap();
    for (of_directory, of_file, open) in
        [(0o755, 0o664, None), (0o755, 0o646, Some(&file)), (0o777, 0o644, Some(&below))]
    {
        set_mode(&below, of_directory);
        set_mode(&file, of_file);
        let output = check(&file).output().unwrap();
        match open {
            None => assert!(output.status.success(), "{output:?}"),
            Some(open) => refused(&output, &format!("run: chmod o-w {}", open.display())),
        }
    }
}

#[test]
fn a_program_or_a_directory_that_cannot_be_used_is_refused_before_the_start() {
    let folder = Folder::new();
    let program = folder.0.path().join("send");
    fs::write(&program, "#!/bin/sh\n").unwrap();
    let named = |program: &Path| {
        format!("otp.delivery = \"exec\"\notp.exec.program = \"{}\"\n", program.display())
    };
    for (text, why) in [
        (named(&program), "otp.exec.program"),
        (named(Path::new("/no/such/program")), "otp.exec.program"),
        (format!("server.data = \"{}\"\n", program.display()), "server.data"),
    ] {
        let file = folder.file(&text);
        refused(&check(&file).output().unwrap(), why);
        refused(&binary().arg("--config").arg(&file).output().unwrap(), why);
    }
    let file = folder.file(&named(Path::new("/bin/sh")));
    assert!(check(&file).output().unwrap().status.success());
}

#[test]
fn a_log_that_is_to_go_where_no_plain_file_can_be_is_refused_by_a_check() {
    let folder = Folder::new();
    let [directory, link, log] =
        ["directory", "link", "log"].map(|name| folder.0.path().join(name));
    fs::create_dir(&directory).unwrap();
    std::os::unix::fs::symlink(&log, &link).unwrap();
    let named = |path: &Path| folder.file(&format!("log.file = \"{}\"\n", path.display()));
    for (path, why) in [
        (&*directory, "directory: it is a directory and no file"),
        (&*link, "link: it is a link"),
        (Path::new("/dev/full"), "log.file: /dev/full: it is no plain file"),
    ] {
        refused(&check(&named(path)).output().unwrap(), why);
    }
    for is_there in [false, true] {
        let ran = check(&named(&log)).output().unwrap();
        assert!(ran.status.success(), "{ran:?}");
        assert!(log.exists() == is_there);
        fs::write(&log, "").unwrap();
    }
    // Who can change it can say what is in it.
    fs::set_permissions(&log, fs::Permissions::from_mode(0o666)).unwrap();
    refused(&check(&named(&log)).output().unwrap(), "log: others can change it; run: chmod go-w");
}

#[test]
fn an_address_without_a_number_is_refused_with_an_example() {
    for listen in ["localhost:9295", "127.0.0.1", "9295", "::1:9295", "127.0.0.1:65536", ""] {
        let ran = binary().args(["--listen", listen]).output().unwrap();
        let said = String::from_utf8(ran.stderr).unwrap();
        assert_eq!(ran.status.code(), Some(2), "{listen}");
        assert!(said.contains("as in 127.0.0.1:9295"), "{said}");
        let folder = Folder::new();
        let file = folder.file(&format!("server.listen = \"{listen}\"\n"));
        refused(&check(&file).output().unwrap(), "as in 127.0.0.1:9295");
    }
}

#[test]
fn a_check_looks_at_one_file() {
    let folder = Folder::new();
    let file = folder.file("");
    let ran = check(&file).arg("--config").arg(&file).output().unwrap();
    assert_eq!(ran.status.code(), Some(2));
    let data = check(&file).args(["--data", ""]).output().unwrap();
    refused(&data, "server.data");
}

fn show(flags: &[&str], file: &Path) -> Command {
    let mut command = binary();
    command.args(["config", "show"]).args(flags).arg("--config").arg(file);
    command
}

#[track_caller]
fn printed(command: &mut Command) -> String {
    let ran = command.output().unwrap();
    assert!(ran.status.success(), "{}", String::from_utf8_lossy(&ran.stderr));
    String::from_utf8(ran.stdout).unwrap()
}

#[test]
fn what_counts_is_shown_with_the_layer_that_each_value_comes_from() {
    let folder = Folder::new();
    let file =
        folder.file("log.level = \"warn\"\nletters.life = \"8d\"\nlimits.codes_per_day = 7\n");
    let flags = ["--log-level", "debug", "--listen", "127.0.0.1:7", "--allow-unverified"];
    let layered = |more: &[&str]| {
        printed(show(&[&flags, more].concat(), &file).env("WAXWING_LETTERS__LIFE", "9d"))
    };
    let shown = layered(&["--origin"]);
    let of_file = file.display();
    for (section, line) in [
        ("server", "listen = \"127.0.0.1:7\" # --listen"),
        ("server", "loops = 1 # default"),
        ("otp", "delivery = \"in-band\" # --allow-unverified"),
        ("letters", "life = \"9d\" # environment variable WAXWING_LETTERS__LIFE"),
        ("limits", &format!("codes_per_day = 7 # {of_file}")),
        ("log", "level = \"debug\" # --log-level"),
    ] {
        let lines = shown.split_once(&format!("[{section}]\n")).unwrap().1;
        let lines = lines.split("\n\n").next().unwrap();
        assert!(lines.lines().any(|shown| shown == line), "{line}\n{shown}");
    }
    assert!(!layered(&[]).contains('#'));
    // The command line of a server, with the command behind it.
    let mut behind = binary();
    behind.args(flags).arg("--config").arg(&file).args(["config", "show", "--origin"]);
    assert_eq!(printed(behind.env("WAXWING_LETTERS__LIFE", "9d")), shown);
    let json = layered(&["--json"]);
    assert_eq!(json.lines().count(), Setting::all().len());
    let life = json.lines().find(|line| line.contains("letters.life")).unwrap();
    let life: serde_json::Value = serde_json::from_str(life).unwrap();
    let origin = "environment variable WAXWING_LETTERS__LIFE";
    let expected = serde_json::json!({
        "key": "letters.life", "value": "\"9d\"", "masked": false, "origin": origin,
    });
    assert_eq!(life, expected);
}

#[test]
fn what_is_shown_gives_the_same_configuration_as_a_file() {
    let folder = Folder::new();
    let changes = "server.listen = [\"127.0.0.1:7\", \"[::1]:8\"]\nserver.proxies = [\"10.1.0.0/16\"]\n\
        server.data = \"/a \\\"b\\\" # c\"\notp.fallback = \"webhook\"\n\
        otp.webhook.url = \"https://host.example/send\"\n\
        otp.webhook.secret_file = \"/secret\"\nmetrics.listen = \"127.0.0.1:9\"\n\
        letters.life = \"90s\"\nlimits.half_received = \"200000B\"\nregistration.open = false\n";
    for text in ["", changes] {
        let first = folder.file(text);
        let [plain, origins] =
            [&[][..], &["--origin"]].map(|flags| printed(&mut show(flags, &first)));
        assert_eq!(plain.contains("/secret"), !text.is_empty());
        for shown in [&plain, &origins] {
            assert_eq!(printed(&mut show(&[], &folder.file(shown))), plain, "{shown}");
        }
    }
}

#[test]
fn secrets_are_not_shown_and_are_missed_when_what_is_shown_is_used() {
    let folder = Folder::new();
    let file = folder.file(
        "otp.delivery = \"webhook\"\notp.webhook.url = \"https://host.example/x?key=s3cret\"\n\
         otp.webhook.body = \"key=s3cret&to={phone}&text={code}\"\n\
         otp.webhook.headers = [\"Content-Type: application/x-www-form-urlencoded\", \"A: s3cret\"]\n\
         otp.exec.args = [\"--key\", \"s3cret\"]\n",
    );
    let plain = printed(&mut show(&[], &file));
    for line in [
        "# Not shown with its secret: url = \"https://host.example/x?…\"",
        "# Not shown with its secret: headers = [\"Content-Type: …\", \"A: …\"]",
        "# Not shown with its secret: body = \"…{phone}…{code}…\"",
        "# Not shown with its secret: args = [\"…\", \"…\"]",
    ] {
        assert!(plain.lines().any(|shown| shown == line), "{line}\n{plain}");
    }
    for flags in [&["--origin"][..], &["--json"]] {
        let shown = printed(&mut show(flags, &file));
        assert!(shown.contains("https://host.example/x?…") && !shown.contains("s3cret"), "{shown}");
    }
    assert!(!plain.contains("s3cret"));
    refused(&check(&folder.file(&plain)).output().unwrap(), "otp.webhook.url");
}

#[test]
fn what_cannot_be_used_is_not_shown() {
    let folder = Folder::new();
    let file = folder.file("server.loops = 0\n");
    refused(&show(&[], &file).output().unwrap(), "server.loops");
    for args in [
        &["config", "check", "--listen", "127.0.0.1:7", "x"][..],
        &["--listen", "127.0.0.1:7", "config", "example"],
        &["--check", "config", "show"],
    ] {
        assert_eq!(binary().args(args).output().unwrap().status.code(), Some(2), "{args:?}");
    }
}
