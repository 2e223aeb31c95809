//! The full screen, on a terminal that says what it shows.

use std::fs::{self, File};
use std::io::{self, Read as _, Write as _};
use std::os::unix::process::CommandExt as _;
use std::process::{Child, Command, ExitStatus, Stdio};
use std::sync::atomic::{AtomicBool, Ordering};
use std::sync::{Arc, Condvar, Mutex};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use waxwing::backend::load_key;
use waxwing_core::crypto::PrivateKey as _;
use waxwing_core::testing::keys::pkcs8_der;

use rustix::event::{PollFd, PollFlags, poll};
use rustix::fs::{Mode, OFlags, open};
use rustix::process::{Pid, Signal, WaitOptions, kill_process, waitpid};
use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
use rustix::termios::{LocalModes, Winsize, tcgetattr, tcsetwinsize};

use crate::disk::SmallDisk;
use crate::keys::{number, replace_key};
use crate::process::{PATIENCE, eventually};
use crate::test_server::{Person, TestServer};

const ENTER: &str = "\r";
const CTRL_Q: &str = "\x11";
const CTRL_Z: &str = "\x1a";

/// A terminal with the full screen of somebody.
struct Terminal {
    child: Child,
    /// The end that the person has.
    master: File,
    shown: Arc<(Mutex<vt100::Parser>, Condvar)>,
    is_over: Arc<AtomicBool>,
    reader: Option<JoinHandle<()>>,
}

/// Who goes on with the program when it is stopped.
#[derive(PartialEq)]
enum Shell {
    /// Nobody: the terminal runs the program alone, and tells it when it is gone.
    None,
    /// Whoever has started it.
    Starter,
}

impl Terminal {
    fn of(person: &Person) -> Self {
        Self::with(person, Shell::None, &[])
    }

    fn with(person: &Person, shell: Shell, variables: &[(&str, &str)]) -> Self {
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let master = File::from(master);
        resize(&master, 80, 24);
        let wanted = person.command(&[]);
        let mut command = if shell == Shell::None {
            // A session of its own, whose terminal this is.
            let mut command = Command::new("setsid");
            command.arg("-c").arg(wanted.get_program());
            command
        } else {
            let mut command = Command::new(wanted.get_program());
            command.process_group(0);
            command
        };
        command.args(wanted.get_args()).env("TERM", "xterm-256color").env_remove("NO_COLOR");
        command.env("XDG_CONFIG_HOME", "/nonexistent").envs(variables.iter().copied());
        let flags = OFlags::RDWR | OFlags::NOCTTY;
        let side = || Stdio::from(open(name.as_c_str(), flags, Mode::empty()).unwrap());
        let child = command.stdin(side()).stdout(side()).stderr(side()).spawn().unwrap();
        drop(command);
        let shown = Arc::new((Mutex::new(vt100::Parser::new(24, 80, 0)), Condvar::new()));
        let is_over = Arc::new(AtomicBool::new(false));
        let reader = {
            let (shown, is_over) = (shown.clone(), is_over.clone());
            let master = master.try_clone().unwrap();
            Some(thread::spawn(move || show(master, &shown, &is_over)))
        };
        Self { child, master, shown, is_over, reader }
    }

    fn types(&mut self, text: &str) {
        self.master.write_all(text.as_bytes()).unwrap();
    }

    /// Waits until the rows of the screen are as they are to be.
    #[track_caller]
    fn waits(&self, what: &str, is_there: impl Fn(&vt100::Screen) -> bool) {
        let parser = self.shown.0.lock().unwrap();
        let is_missing = |parser: &mut vt100::Parser| !is_there(parser.screen());
        let (parser, waited) =
            self.shown.1.wait_timeout_while(parser, PATIENCE, is_missing).unwrap();
        assert!(!waited.timed_out(), "never: {what}\n{}", parser.screen().contents());
    }

    #[track_caller]
    fn shows(&self, what: &str) {
        self.waits(what, |screen| screen.contents().contains(what));
    }

    fn is_shown(&self, what: &str) -> bool {
        self.shown.0.lock().unwrap().screen().contents().contains(what)
    }

    /// The program's terminal gets this size. The emulator panics when a line wraps in one row, or a wide
    /// character comes in one column, so it never has less than two of each.
    fn resizes(&self, columns: u16, rows: u16) {
        self.shown.0.lock().unwrap().screen_mut().set_size(rows.max(2), columns.max(2));
        resize(&self.master, columns, rows);
    }

    fn signals(&self, signal: Signal) {
        kill_process(Pid::from_child(&self.child), signal).unwrap();
    }

    /// Waits until it is stopped.
    fn is_stopped(&self) {
        let pid = Pid::from_child(&self.child);
        let (_, status) = waitpid(Some(pid), WaitOptions::UNTRACED).unwrap().unwrap();
        assert!(status.stopped(), "{status:?}");
    }

    /// Waits until it has ended by itself.
    #[track_caller]
    fn ends(&mut self) -> ExitStatus {
        let child = &mut self.child;
        eventually("the end of the full screen", || child.try_wait().unwrap())
    }

    /// The window is closed.
    fn closes(&mut self) {
        self.is_over.store(true, Ordering::SeqCst);
        self.reader.take().unwrap().join().unwrap();
        // The last one that is open.
        self.master = File::open("/dev/null").unwrap();
    }

    /// Whether the terminal is as it was: no screen of its own, and it shows what is typed.
    fn is_given_back(&self) -> bool {
        let modes = tcgetattr(&self.master).unwrap().local_modes;
        let is_plain = modes.contains(LocalModes::ECHO | LocalModes::ICANON | LocalModes::ISIG);
        is_plain && !self.shown.0.lock().unwrap().screen().alternate_screen()
    }
}

impl Drop for Terminal {
    fn drop(&mut self) {
        let _ = self.child.kill();
        let _ = self.child.wait();
        self.is_over.store(true, Ordering::SeqCst);
    }
}

fn resize(master: &File, columns: u16, rows: u16) {
    let size = Winsize { ws_row: rows, ws_col: columns, ws_xpixel: 0, ws_ypixel: 0 };
    tcsetwinsize(master, size).unwrap();
}

/// Shows what comes, until nothing can come any more.
fn show(mut master: File, shown: &(Mutex<vt100::Parser>, Condvar), is_over: &AtomicBool) {
    let mut bytes = [0; 4_096];
    while !is_over.load(Ordering::SeqCst) {
        let mut readable = [PollFd::new(&master, PollFlags::IN)];
        let tick = rustix::time::Timespec { tv_sec: 0, tv_nsec: 20_000_000 };
        if poll(&mut readable, Some(&tick)).unwrap() == 0 {
            continue;
        }
        let Ok(len @ 1..) = master.read(&mut bytes) else { break };
        shown.0.lock().unwrap().process(&bytes[..len]);
        shown.1.notify_all();
    }
}

/// Two people who have written to each other.
fn acquainted(server: &TestServer) -> (Person, Person) {
    let (anna, bert) = server.anna_and_bert();
    anna.send(&bert, "hello").exits(0);
    bert.receives(&["hello"]);
    bert.send(&anna, "good morning").exits(0);
    anna.run(&["name", &bert.phone, "Bert"]).exits(0);
    (anna, bert)
}

#[test]
fn two_people_talk_on_full_screens() {
    let server = TestServer::new();
    let (anna, bert) = acquainted(&server);
    let mut annas = Terminal::with(&anna, Shell::None, &[("WAXWING_RECEIPTS", "true")]);
    annas.shows("connected");
    annas.shows("good morning");
    annas.types(ENTER);
    annas.types("two lines:\x1b\rgrüße 日本語 👩\u{200d}🔬");
    annas.shows("   grüße 日本語");
    annas.types(ENTER);
    annas.shows("✓");
    let mut berts = Terminal::with(&bert, Shell::None, &[("WAXWING_RECEIPTS", "true")]);
    berts.shows("┃ grüße 日本語");
    annas.shows("✓✓");
    berts.types(ENTER);
    annas.shows("✓✓ read");
    // What comes does not disturb what is typed.
    annas.types("half a sen");
    annas.shows("> half a sen");
    berts.types("an answer");
    berts.types(ENTER);
    annas.shows("┃ an answer");
    annas.types("tence");
    annas.shows("> half a sentence");
    for terminal in [&mut annas, &mut berts] {
        terminal.types(CTRL_Q);
        assert!(terminal.ends().success());
        assert!(terminal.is_given_back());
    }
    // Whoever has read it here has it behind them elsewhere.
    anna.receives_nothing();
    bert.receives_nothing();
}

#[test]
fn what_is_begun_is_there_again_however_the_screen_has_ended() {
    let server = TestServer::new();
    let (anna, _) = acquainted(&server);
    let mut begun = String::new();
    for (at, end) in ["quit", "close", "terminate", "kill"].into_iter().enumerate() {
        let mut terminal = Terminal::of(&anna);
        terminal.shows("Bert");
        terminal.types(ENTER);
        terminal.shows(format!("> {begun}").trim_end());
        let more = format!("part {at}, ");
        terminal.types(&more);
        begun.push_str(&more);
        terminal.shows(begun.trim_end());
        match end {
            "quit" => terminal.types(CTRL_Q),
            "close" => terminal.closes(),
            "terminate" => terminal.signals(Signal::TERM),
            _ => {
                // After a pause of somebody who writes.
                eventually("the draft on the disk", || {
                    let drafts = "SELECT 1 FROM conversations WHERE draft = ?";
                    anna.database().query_row(drafts, [&begun], |_| Ok(())).ok()
                });
                terminal.signals(Signal::KILL);
            }
        }
        terminal.ends();
    }
    let mut terminal = Terminal::of(&anna);
    terminal.types(ENTER);
    terminal.shows(begun.trim_end());
}

#[test]
fn a_storm_of_sizes_leaves_the_screen_whole() {
    let server = TestServer::new();
    let (anna, _) = acquainted(&server);
    let mut terminal = Terminal::of(&anna);
    terminal.shows("good morning");
    terminal.types(ENTER);
    for at in 0..300_u16 {
        let (columns, rows) = (1 + at * 7 % 120, 1 + at * 5 % 50);
        terminal.resizes(columns, rows);
        terminal.types("x");
    }
    terminal.resizes(80, 24);
    let typed = "x".repeat(76);
    terminal.shows(&typed);
    terminal.shows("good morning");
    terminal.resizes(12, 3);
    terminal.shows("too small");
    terminal.resizes(80, 24);
    terminal.shows("┃ good morning");
}

#[test]
fn a_screen_that_is_stopped_gives_the_terminal_back_and_goes_on() {
    let server = TestServer::new();
    let (anna, bert) = acquainted(&server);
    let mut terminal = Terminal::with(&anna, Shell::Starter, &[]);
    terminal.shows("good morning");
    terminal.types(ENTER);
    terminal.types("kept");
    for at in 0..10 {
        terminal.shows("> kept");
        terminal.types(CTRL_Z);
        terminal.is_stopped();
        eventually("the terminal as it was", || terminal.is_given_back().then_some(()));
        if at == 5 {
            bert.send(&anna, "while you were away").exits(0);
        }
        terminal.signals(Signal::CONT);
        terminal.waits("the screen", vt100::Screen::alternate_screen);
    }
    terminal.shows("while you were away");
    terminal.shows("> kept");
}

#[test]
fn a_lost_server_is_said_and_what_is_written_waits_for_it() {
    let mut server = TestServer::new();
    let (anna, bert) = acquainted(&server);
    let mut terminal = Terminal::of(&anna);
    terminal.shows("connected");
    server.stop();
    terminal.waits("why there is no connection", |screen| {
        let shown = screen.contents();
        shown.contains("no connection: the server has ended the session")
            || shown.contains("cannot be reached")
    });
    terminal.types(ENTER);
    terminal.types("written meanwhile");
    terminal.types(ENTER);
    terminal.shows("queued");
    terminal.shows("1 waiting");
    server.start();
    terminal.waits("no letter waits", |screen| !screen.contents().contains("waiting"));
    bert.receives(&["written meanwhile"]);
}

#[test]
fn an_account_that_was_removed_is_said_and_is_not_tried_for_ever() {
    let server = TestServer::new();
    let (anna, _) = acquainted(&server);
    let mut terminal = Terminal::of(&anna);
    terminal.shows("connected");
    server.administer(&["users", "remove", "--yes", &anna.phone]).exits(0);
    terminal.shows("no connection: the server has ended the session");
    // What is tried by itself comes later.
    eventually("the reason", || {
        terminal.types("\x12");
        terminal.is_shown("no connection: account unknown or key refused").then_some(())
    });
    terminal.types("\x12");
    terminal.waits("what to do", |screen| {
        let contents = screen.contents();
        let words: Vec<_> = contents.split_whitespace().collect();
        words.join(" ").contains("`waxwing register --server-key FILE PHONE` finds out which")
    });
    terminal.types(ENTER);
    terminal.types("is kept");
    terminal.types(ENTER);
    terminal.shows("1 waiting");
    // After three refusals nobody holds the session any more, so other commands find out more.
    let other = server.newcomer("elsewhere", &anna.phone);
    other.register().exits(0);
    eventually("what has become of the phone", || {
        terminal.types("\x12");
        let again = anna.register();
        again.err.contains("registered +4915112345601 from another home").then_some(())
    });
}

#[test]
fn a_screen_goes_on_when_its_account_is_registered_again() {
    let server = TestServer::new();
    let (anna, bert) = acquainted(&server);
    let mut terminal = Terminal::of(&anna);
    terminal.shows("connected");
    server.administer(&["users", "remove", "--yes", &anna.phone]).exits(0);
    eventually("the reason", || {
        terminal.types("\x12");
        terminal.is_shown("no connection: account unknown or key refused").then_some(())
    });
    // After three refusals nobody holds the session any more.
    eventually("the account", || {
        let again = anna.register();
        if again.code != Some(0) {
            terminal.types("\x12");
        }
        again.out.contains("registered").then_some(())
    });
    // Nobody has to ask for a connection then.
    terminal.shows("· connected");
    bert.send(&anna, "you are here again").exits(0);
    terminal.shows("you are here again");
}

#[test]
fn a_screen_whose_session_was_taken_over_comes_back_when_somebody_asks() {
    let server = TestServer::new();
    let (anna, bert) = acquainted(&server);
    let mut terminal = Terminal::of(&anna);
    terminal.shows("connected");
    let copy = server.copy_of(&anna);
    let following = copy.start(&["receive", "--follow", "--json"]);
    terminal.shows("no connection: another session took over");
    bert.send(&copy, "to the copy").exits(0);
    following.wait_for_out(|out| out.contains("to the copy"));
    terminal.types("\x12");
    terminal.shows("· connected");
    following.finish().exits(3).says("took over");
}

#[test]
fn a_changed_key_is_compared_on_the_screen_and_letters_go_on() {
    let mut server = TestServer::new();
    let (anna, bert) = acquainted(&server);
    let false_key = load_key(pkcs8_der(0)).unwrap().spki().as_bytes().to_vec();
    replace_key(&mut server, &bert, &false_key);
    let number = number(&anna, &bert, 4);
    let last = number.split_whitespace().last().unwrap();
    let mut terminal = Terminal::of(&anna);
    terminal.shows("!! Bert: the key has changed. v: compare");
    assert!(!terminal.is_shown("waxwing verify"), "a command is no help on the screen");
    terminal.types(ENTER);
    terminal.types("held\r");
    terminal.shows("1 waiting");
    terminal.types("\t");
    terminal.types("v");
    terminal.shows("The key of Bert has changed");
    terminal.shows(last);
    terminal.types("00000\r");
    terminal.shows("Another number.");
    terminal.types("\x15");
    terminal.types(last);
    terminal.types(ENTER);
    terminal.shows("✓ compared");
    terminal.waits("the letter goes out", |screen| !screen.contents().contains("waiting"));
    anna.run(&["contacts"]).exits(0).says("verified");
}

#[test]
fn a_full_disk_is_said_and_what_was_typed_stays() {
    let server = TestServer::new();
    let (anna, bert) =
        (server.newcomer("anna", "+4915112345601"), server.person("bert", "+4915112345602"));
    fs::create_dir(&anna.home).unwrap();
    let Some(disk) = SmallDisk::over(&anna.home, "8m") else {
        let _ = writeln!(io::stderr(), "a full disk: SKIPPED: only root can mount a small one");
        return;
    };
    anna.register().exits(0);
    anna.send(&bert, "hello").exits(0);
    let mut terminal = Terminal::of(&anna);
    terminal.shows("┃ hello");
    terminal.types(ENTER);
    disk.fill();
    // The log of the database has some room in it.
    let mut letters = 0;
    loop {
        letters += 1;
        terminal.types(&format!("\x1b[200~{} end-{letters}\x1b[201~", "words ".repeat(9_000)));
        terminal.shows(&format!("end-{letters}"));
        terminal.types(ENTER);
        terminal.waits("what becomes of the letter", |screen| {
            let shown = screen.contents();
            let is_stored = shown.contains("write to") && shown.contains(&format!("end-{letters}"));
            is_stored || shown.contains("not sent")
        });
        if terminal.is_shown("not sent") {
            break;
        }
        assert!(letters < 100, "the disk is never full");
    }
    terminal.shows(&format!("end-{letters}"));
    // It stays, although the draft cannot be kept, either.
    terminal.shows("not sent: the disk is full; make room on it. Your words are in the line again");
    disk.make_room();
    terminal.types(ENTER);
    terminal.shows("write to");
    let received = eventually("all letters", || {
        let received = bert.run(&["receive", "--json"]).out;
        received.contains(&format!("end-{letters}\"")).then_some(received)
    });
    assert_eq!(received.matches(&format!(" end-{letters}\"")).count(), 1);
}

#[test]
fn an_editor_has_the_terminal_and_gives_its_text_back() {
    let server = TestServer::new();
    let (anna, _) = acquainted(&server);
    let editor = "stty -a > /dev/null && printf 'edited\\nin two lines' >";
    let mut terminal = Terminal::with(&anna, Shell::None, &[("EDITOR", editor)]);
    terminal.shows("good morning");
    terminal.types(ENTER);
    terminal.types("begun\x07");
    terminal.shows("> edited");
    terminal.shows("in two lines");
    terminal.types(" and more");
    terminal.shows("in two lines and more");
    // One that deletes the file changes nothing.
    let mut terminal = Terminal::with(&anna, Shell::None, &[("EDITOR", "rm")]);
    terminal.shows("good morning");
    terminal.types(ENTER);
    terminal.types("\x15as it was\x07");
    terminal.shows("the editor has left no text; what you had begun is as it was");
    terminal.shows("> as it was");
    // Nothing of it is left in a file of its own.
    let left = fs::read_dir(&anna.home).unwrap().map(|entry| entry.unwrap().file_name());
    assert!(!left.into_iter().any(|name| name.to_string_lossy().starts_with("editing")));
}

#[test]
fn what_is_older_than_it_is_kept_goes_while_the_screen_is_there() {
    let server = TestServer::new();
    let (anna, _) = acquainted(&server);
    let sql = "UPDATE items SET stored_at = stored_at - 40 * 86400 WHERE text = 'hello'";
    assert_eq!(anna.database().execute(sql, []).unwrap(), 1);
    let terminal = Terminal::with(&anna, Shell::None, &[("WAXWING_RETENTION", "30d")]);
    terminal.waits("the old letter is gone", |screen| {
        let shown = screen.contents();
        shown.contains("┃ good morning") && !shown.contains("┃ hello")
    });
}

#[test]
fn keys_and_the_program_for_notices_are_those_of_the_configuration() {
    let server = TestServer::new();
    let (anna, bert) = acquainted(&server);
    let (config, heard) = (anna.home.join("config"), anna.home.join("heard"));
    fs::create_dir_all(config.join("waxwing")).unwrap();
    let configure = |program: &str| {
        let text = format!(
            "[keys]\nquit = \"ctrl-x\"\n[notify]\n\
             command = [{program:?}, \"-c\", 'echo $LETTER_NAME $LETTER_UNREAD $LETTER_TEXT >>$0', {heard:?}]\n"
        );
        fs::write(config.join("waxwing/config.toml"), text).unwrap();
    };
    configure("sh");
    let variables = [("XDG_CONFIG_HOME", config.to_str().unwrap())];
    let mut terminal = Terminal::with(&anna, Shell::None, &variables);
    terminal.shows("good morning");
    // Its window has not the keyboard any more.
    terminal.types("\x1b[O");
    bert.send(&anna, "are you there?").exits(0);
    eventually("the program", || {
        let heard = fs::read_to_string(&heard).ok().filter(|heard| heard.ends_with('\n'))?;
        assert_eq!(heard, "Bert 2\n");
        Some(())
    });
    terminal.types(CTRL_Q);
    terminal.types("\x1bOP");
    terminal.shows("Ctrl-X     end");
    terminal.types("\x18");
    assert!(terminal.ends().success());

    configure("false");
    let mut terminal = Terminal::with(&anna, Shell::None, &variables);
    terminal.shows("are you there?");
    terminal.types("\x1b[O");
    bert.send(&anna, "once more").exits(0);
    terminal.shows("the program of notify.command has failed (exit status: 1)");
    terminal.types("\x18");
    assert!(terminal.ends().success());

    configure("/nonexistent/program");
    let mut terminal = Terminal::with(&anna, Shell::None, &variables);
    terminal.shows("once more");
    terminal.types("\x1b[O");
    bert.send(&anna, "hello?").exits(0);
    terminal.shows("/nonexistent/program, cannot be started");
    terminal.shows("no such program");
}

/// A tmux of its own, until it is dropped.
struct Tmux(std::path::PathBuf);

impl Tmux {
    fn run(&self, args: &[&str]) -> String {
        let mut tmux = Command::new("tmux");
        tmux.arg("-u").arg("-S").arg(&self.0).args(["-f", "/dev/null"]).args(args);
        let done = tmux.env("TERM", "xterm-256color").env_remove("TMUX").output().unwrap();
        assert!(done.status.success(), "{args:?}: {done:?}");
        String::from_utf8(done.stdout).unwrap()
    }

    #[track_caller]
    fn shows(&self, what: &str) {
        let begin = Instant::now();
        loop {
            let shown = self.run(&["capture-pane", "-p"]);
            if shown.contains(what) {
                return;
            }
            assert!(begin.elapsed() < PATIENCE, "no {what:?} in:\n{shown}");
            thread::sleep(Duration::from_millis(10));
        }
    }
}

impl Drop for Tmux {
    fn drop(&mut self) {
        let _ = Command::new("tmux").arg("-S").arg(&self.0).arg("kill-server").output();
    }
}

#[test]
fn in_tmux_the_screen_is_as_it_is_elsewhere() {
    if Command::new("tmux").arg("-V").output().is_err() {
        let _ = writeln!(io::stderr(), "tmux: SKIPPED: it is not installed");
        return;
    }
    let server = TestServer::new();
    let (anna, bert) = acquainted(&server);
    let tmux = Tmux(anna.home.join("tmux"));
    let wanted = anna.command(&[]);
    let mut words =
        vec!["new-session", "-d", "-x", "80", "-y", "24", "-e", "XDG_CONFIG_HOME=/nonexistent"];
    // A shell says how the program has ended: tmux itself sometimes does not look.
    words.extend(["sh", "-c", "\"$@\"; echo \"ended with $?\"; read -r _", "sh"]);
    words.push(wanted.get_program().to_str().unwrap());
    words.extend(wanted.get_args().map(|word| word.to_str().unwrap()));
    tmux.run(&words);
    tmux.shows("┃ good morning");
    tmux.run(&["send-keys", "Enter", "grüße 日本語", "M-Enter", "👩\u{200d}🔬 line two"]);
    tmux.shows("line two");
    tmux.run(&["resize-window", "-x", "40", "-y", "12"]);
    tmux.shows("line two");
    tmux.run(&["resize-window", "-x", "100", "-y", "30"]);
    tmux.run(&["send-keys", "Enter"]);
    tmux.shows("┃ grüße 日本語");
    tmux.shows("✓");
    bert.send(&anna, "an answer").exits(0);
    tmux.shows("┃ an answer");
    bert.receives(&["grüße 日本語\n👩\u{200d}🔬 line two"]);
    tmux.run(&["send-keys", "C-q"]);
    tmux.shows("ended with 0");
}

#[test]
fn without_a_terminal_the_full_screen_says_what_to_use() {
    let server = TestServer::new();
    let anna = server.person("anna", "+4915112345601");
    anna.run(&["tui"]).exits(2).says("waxwing chat");
    anna.run(&[]).exits(2).says("waxwing chat");
}
