//! The terminal while the screen has it. However the program ends, it gets back what it was.

use std::io;
use std::os::fd::AsFd as _;
use std::panic;
use std::sync::{Mutex, Once, PoisonError};

use ratatui_core::backend::Backend as _;
use ratatui_core::terminal::Terminal;
use rustix::termios::{OptionalActions, Termios, tcgetattr, tcsetattr};

use super::screen::Screen;

/// A screen of its own, pastes as such, word of who has the keyboard.
const ENTER: &str = "\x1b[?1049h\x1b[?2004h\x1b[?1004h\x1b[22;0t\x1b]2;waxwing\x1b\\\x1b[2J";
const LEAVE: &str =
    "\x1b[0m\x1b[?1004l\x1b[?2004l\x1b[?1006l\x1b[?1000l\x1b[23;0t\x1b[?1049l\x1b[?25h";
/// The mouse, if the person wants it: then the terminal's own way of selecting text needs Shift.
const MOUSE: &str = "\x1b[?1000h\x1b[?1006h";

/// What the terminal was before, while a screen has it.
static BEFORE: Mutex<Option<Termios>> = Mutex::new(None);
static AT_PANIC: Once = Once::new();

/// A terminal that this program draws on.
pub(super) struct Tty {
    pub(super) terminal: Terminal<Screen>,
    wants_mouse: bool,
    /// The number of letters in the title of the window.
    titled: u32,
}

impl Tty {
    /// Takes the terminal.
    pub(super) fn take(wants_mouse: bool) -> io::Result<Self> {
        AT_PANIC.call_once(|| {
            let say = panic::take_hook();
            panic::set_hook(Box::new(move |panic| {
                give_back();
                say(panic);
            }));
        });
        let mut screen = Screen::default();
        enter(&mut screen, wants_mouse)?;
        Ok(Self { terminal: Terminal::new(screen)?, wants_mouse, titled: 0 })
    }

    /// Takes it once more, after others had it.
    pub(super) fn take_again(&mut self) -> io::Result<()> {
        enter(self.terminal.backend_mut(), self.wants_mouse)?;
        self.titled = 0;
        self.terminal.clear()
    }

    /// Says in the title of the window how many letters nobody has read, and nothing else of them.
    pub(super) fn title(&mut self, unread: u32) -> io::Result<()> {
        if self.titled == unread {
            return Ok(());
        }
        self.titled = unread;
        let title = if unread > 0 { format!("({unread}) waxwing") } else { "waxwing".to_owned() };
        self.control(&format!("\x1b]2;{title}\x1b\\"))
    }

    pub(super) fn control(&mut self, sequences: &str) -> io::Result<()> {
        self.terminal.backend_mut().control(sequences)
    }
}

impl Drop for Tty {
    fn drop(&mut self) {
        give_back();
    }
}

fn enter(screen: &mut Screen, wants_mouse: bool) -> io::Result<()> {
    let input = io::stdin();
    let mut attributes = tcgetattr(&input)?;
    let mut before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner);
    if before.is_none() {
        *before = Some(attributes.clone());
    }
    drop(before);
    attributes.make_raw();
    tcsetattr(&input, OptionalActions::Drain, &attributes)?;
    screen.hide_cursor()?;
    screen.control(ENTER)?;
    if wants_mouse { screen.control(MOUSE) } else { Ok(()) }
}

/// Gives the terminal back, if a screen has it. A terminal that is gone cannot be helped.
pub(super) fn give_back() {
    let before = BEFORE.lock().unwrap_or_else(PoisonError::into_inner).take();
    let Some(before) = before else { return };
    let _ = Screen::default().control(LEAVE);
    let _ = tcsetattr(io::stdin().as_fd(), OptionalActions::Drain, &before);
}

#[cfg(test)]
mod tests {
    use super::*;
    use std::env;
    use std::fs::File;
    use std::io::Read as _;
    use std::process::{Command, Stdio};

    use rustix::fs::{Mode, OFlags, open};
    use rustix::pty::{OpenptFlags, grantpt, openpt, ptsname, unlockpt};
    use rustix::termios::LocalModes;

    const PANICS: &str = "WAXWING_TEST_PANICS";

    /// This test runs itself once more, on a terminal, and there it panics.
    #[test]
    fn a_panic_gives_the_terminal_back_before_it_is_told() {
        if env::var_os(PANICS).is_some() {
            let _tty = Tty::take(true).unwrap();
            panic!("for this test");
        }
        let master =
            openpt(OpenptFlags::RDWR | OpenptFlags::NOCTTY | OpenptFlags::CLOEXEC).unwrap();
        grantpt(&master).unwrap();
        unlockpt(&master).unwrap();
        let name = ptsname(&master, Vec::new()).unwrap();
        let side = || {
            open(name.as_c_str(), OFlags::RDWR | OFlags::NOCTTY | OFlags::CLOEXEC, Mode::empty())
                .unwrap()
        };
        let kept = side();
        let before = tcgetattr(&kept).unwrap().local_modes;
        let test = "tui::desk::terminal::tests::a_panic_gives_the_terminal_back_before_it_is_told";
        let mut child = Command::new(env::current_exe().unwrap())
            .args(["--exact", test, "--nocapture", "--test-threads=1"])
            .env(PANICS, "1")
            .stdin(Stdio::from(side()))
            .stdout(Stdio::from(side()))
            .stderr(Stdio::from(side()))
            .spawn()
            .unwrap();
        // What a terminal has room for is less than a screen.
        let mut shown = File::from(master.try_clone().unwrap());
        let reader = std::thread::spawn(move || {
            let mut all = Vec::new();
            let mut bytes = [0; 4_096];
            while let Ok(len @ 1..) = shown.read(&mut bytes) {
                all.extend_from_slice(&bytes[..len]);
                if all.windows(4).any(|part| part == b"\x04end") {
                    break;
                }
            }
            String::from_utf8_lossy(&all).into_owned()
        });
        assert!(!child.wait().unwrap().success());
        assert_eq!(tcgetattr(&kept).unwrap().local_modes, before);
        assert!(before.contains(LocalModes::ECHO | LocalModes::ICANON));
        rustix::io::write(&kept, b"\x04end").unwrap();
        let shown = reader.join().unwrap();
        let (taken, after) = (shown.find("\x1b[?1049h"), shown.find("\x1b[?1049l"));
        let (said, after) = (shown.find("for this test"), after.unwrap());
        assert!(taken.unwrap() < after && after < said.unwrap(), "{shown:?}");
    }
}
