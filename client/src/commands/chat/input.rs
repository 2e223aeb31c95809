//! What a person types into a chat.

use std::io::{IsTerminal, stdin};
use std::sync::mpsc::{Receiver, sync_channel};

use crate::commands::typed::{Line, Lines};
use crate::exit::Failure;
use crate::session::Session;
use crate::system;

/// Lines that wait for the conversation; who types faster waits.
const AHEAD: usize = 64;

/// What `/help` says.
pub(super) const HELP: &str = "\
/help   shows this
/quit   ends the chat, like Ctrl-D
//text  sends /text
Every other line is a letter. ✓ means that the server has it, ✓✓ that it was delivered.";

/// Lines as they come.
pub(super) struct Input {
    pub(super) lines: Receiver<Line>,
    /// A person types them. What comes from a program is sent as it is.
    pub(super) is_terminal: bool,
}

/// What is typed comes from a thread of its own, because reading a terminal blocks.
pub(super) fn listen(session: &Session<'_>) -> Result<Input, Failure> {
    let (typed, lines) = sync_channel(AHEAD);
    let waker = session.waker();
    std::thread::Builder::new()
        .name("input".into())
        .spawn(move || {
            for line in Lines::of(stdin().lock()) {
                if typed.send(line).is_err() {
                    break;
                }
                // Without the wake-up the line waits for the next look.
                let _ = waker.wake();
            }
        })
        .map_err(|error| {
            Failure::General(format!("no thread for input: {}", system::of_machine(&error)))
        })?;
    Ok(Input { lines, is_terminal: stdin().is_terminal() })
}

/// What a line means.
#[derive(Debug, PartialEq, Eq)]
pub(super) enum Meaning {
    Nothing,
    Letter(String),
    Help,
    Quit,
    /// Looks like a command and is none.
    Unknown(String),
}

impl Input {
    pub(super) fn meaning(&self, line: String) -> Meaning {
        meaning(line, self.is_terminal)
    }
}

fn meaning(line: String, is_typed: bool) -> Meaning {
    if line.trim().is_empty() {
        return Meaning::Nothing;
    }
    match line.strip_prefix('/').filter(|_| is_typed) {
        None => Meaning::Letter(line),
        Some(letter) if letter.starts_with('/') => Meaning::Letter(letter.to_owned()),
        Some(command) => match command.trim_end() {
            "help" => Meaning::Help,
            "quit" => Meaning::Quit,
            _ => Meaning::Unknown(line),
        },
    }
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn a_person_has_commands_and_a_program_has_letters() {
        let letter = |text: &str| Meaning::Letter(text.to_owned());
        for (line, typed, piped) in [
            ("hello", letter("hello"), letter("hello")),
            (" ", Meaning::Nothing, Meaning::Nothing),
            ("/help", Meaning::Help, letter("/help")),
            ("/quit ", Meaning::Quit, letter("/quit ")),
            ("//quit", letter("/quit"), letter("//quit")),
            ("/etc/passwd", Meaning::Unknown("/etc/passwd".into()), letter("/etc/passwd")),
            ("/", Meaning::Unknown("/".into()), letter("/")),
            ("and/or", letter("and/or"), letter("and/or")),
            (" /quit", letter(" /quit"), letter(" /quit")),
        ] {
            assert_eq!(meaning(line.into(), true), typed, "{line}");
            assert_eq!(meaning(line.into(), false), piped, "{line}");
        }
    }
}
