//! A person's own program that tells of new letters. It gets what it needs in variables, and no shell
//! comes near it: names are words of others.

use std::collections::VecDeque;
use std::process::{Child, Command, Stdio};

use crate::system;
use crate::tui::event::Notice;

/// Notices that wait for the program to end; older ones give way.
const WAITING: usize = 8;

/// Runs the program, once at a time.
#[derive(Debug)]
pub(super) struct Notifier {
    command: Option<Vec<String>>,
    running: Option<Child>,
    waiting: VecDeque<(Notice, Option<String>)>,
}

impl Notifier {
    pub(super) const fn new(command: Option<Vec<String>>) -> Self {
        Self { command, running: None, waiting: VecDeque::new() }
    }

    pub(super) const fn has_program(&self) -> bool {
        self.command.is_some()
    }

    /// There is something new, with what it says if the program is to get that.
    pub(super) fn tell(&mut self, notice: Notice, text: Option<String>) {
        if self.waiting.len() == WAITING {
            self.waiting.pop_front();
        }
        self.waiting.push_back((notice, text));
    }

    /// Goes on, if the program has ended. Why it cannot, or what was wrong with it, for the person.
    pub(super) fn go_on(&mut self) -> Result<(), String> {
        let Some(ended) = self.running.as_mut().map(Child::try_wait) else {
            return self.start_next();
        };
        if matches!(ended, Ok(None)) {
            return Ok(());
        }
        // What cannot be waited for has ended.
        self.running = None;
        self.start_next()?;
        match ended.ok().flatten().filter(|status| !status.success()) {
            Some(status) => Err(format!(
                "the program of notify.command has failed ({status}); run it by hand to see why"
            )),
            None => Ok(()),
        }
    }

    fn start_next(&mut self) -> Result<(), String> {
        let Some([program, arguments @ ..]) = self.command.as_deref() else { return Ok(()) };
        let Some((notice, text)) = self.waiting.pop_front() else { return Ok(()) };
        let Notice { with, name, unread } = notice;
        let mut command = Command::new(program);
        command.args(arguments);
        command.stdin(Stdio::null()).stdout(Stdio::null()).stderr(Stdio::null());
        command.env("LETTER_FROM", with.as_str()).env("LETTER_NAME", name.unwrap_or_default());
        command.env("LETTER_UNREAD", unread.to_string());
        match text {
            Some(text) => command.env("LETTER_TEXT", text.replace('\0', "\u{fffd}")),
            None => command.env_remove("LETTER_TEXT"),
        };
        match command.spawn() {
            Ok(child) => {
                self.running = Some(child);
                Ok(())
            }
            Err(error) => {
                self.waiting.clear();
                Err(format!(
                    "the program of notify.command, {program}, cannot be started: {}",
                    system::of_program(program.as_ref(), &error)
                ))
            }
        }
    }
}

impl Drop for Notifier {
    /// One that does not end by itself is not left behind.
    fn drop(&mut self) {
        if let Some(mut running) = self.running.take() {
            let _ = running.kill();
            let _ = running.wait();
        }
    }
}
