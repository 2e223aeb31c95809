//! `waxwing chat`: a conversation, line by line.

use std::collections::BTreeMap;
use std::io::BufRead;
use std::path::Path;
use std::sync::mpsc::{Receiver, TryRecvError, channel};
use std::time::Duration;

use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;

use super::{Console, obstacle, open};
use crate::backend::rng;
use crate::clock;
use crate::courier::{Account, Desk};
use crate::exit::Failure;
use crate::home::{Home, OutboxId, State, Writing};
use crate::show;

/// Letters read from the home at a time.
const PAGE: usize = 64;
/// How long the conversation sleeps at most.
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn run(dir: &Path, phone: &Phone, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, identity) = open(dir)?;
    let account = Account::new(identity)?;
    if account.user_id().is_none() {
        return Err(Failure::not_registered());
    }
    let mut desk = Desk::new(&home, &account, &console.remarks)?;
    let lines = read_lines(&desk)?;
    writeln!(
        console.remarks,
        "chat with {}: one line is one letter; ✓ stored, ✓✓ delivered; end with Ctrl-D",
        phone.as_str()
    )?;
    let done = talk(&home, &mut desk, phone, &lines, console);
    let left = desk.leave();
    done?;
    left
}

/// What is typed comes from a thread of its own, because reading a terminal blocks.
fn read_lines(desk: &Desk<'_>) -> Result<Receiver<String>, Failure> {
    let (typed, lines) = channel();
    let waker = desk.waker();
    std::thread::Builder::new()
        .name("input".into())
        .spawn(move || {
            for line in std::io::stdin().lock().lines() {
                let Ok(line) = line else { break };
                if typed.send(line).is_err() {
                    break;
                }
                // Without the wake-up the line waits for the next look.
                let _ = waker.wake();
            }
        })
        .map_err(|error| Failure::General(format!("no thread for input: {error}")))?;
    Ok(lines)
}

fn talk(
    home: &Home,
    desk: &mut Desk<'_>,
    phone: &Phone,
    lines: &Receiver<String>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut open_letters: BTreeMap<OutboxId, (String, State)> = BTreeMap::new();
    let mut told = None;
    let mut ended = false;
    loop {
        loop {
            match lines.try_recv() {
                Ok(line) if line.trim().is_empty() => {}
                Ok(line) => {
                    let writing = Writing::text(line.clone())
                        .map_err(|error| Failure::Usage(error.to_string()))?;
                    let uid = Uid::generate(&mut rng());
                    let id = home.outbox().queue(&uid, phone, &writing, clock::now())?;
                    open_letters.insert(id, (line, State::Waiting));
                }
                Err(TryRecvError::Empty) => break,
                Err(TryRecvError::Disconnected) => {
                    ended = true;
                    break;
                }
            }
        }
        print_letters(home, phone, console)?;
        print_ticks(home, phone, &mut open_letters, console)?;
        let problem = desk.problem().map(ToString::to_string);
        if problem != told {
            if let Some(problem) = &problem {
                writeln!(console.remarks, "({problem}; letters are kept)")?;
            }
            told = problem;
        }
        // At the end of input, what was typed still goes out as far as it can.
        let unsent = open_letters.values().any(|(_, state)| *state < State::Refused);
        if desk.is_interrupted() || (ended && (!unsent || told.is_some())) {
            if unsent {
                writeln!(console.remarks, "some letters are queued; they go out next time")?;
            }
            return Ok(());
        }
        desk.turn(LOOK)?;
    }
}

fn print_letters(home: &Home, phone: &Phone, console: &mut Console<'_>) -> Result<(), Failure> {
    let letters = home.letters().unprinted_from(phone, PAGE)?;
    for letter in &letters {
        writeln!(console.output, "{}", show::letter_text(letter, &console.page()))?;
    }
    console.output.flush()?;
    let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
    if !ids.is_empty() {
        home.letters().mark_printed(&ids)?;
    }
    Ok(())
}

/// Enough of a line to know which it was.
fn excerpt(line: &str) -> String {
    let mut short: String = show::for_line(line).chars().take(40).collect();
    if line.chars().count() > 40 {
        short.push('…');
    }
    short
}

fn print_ticks(
    home: &Home,
    phone: &Phone,
    letters: &mut BTreeMap<OutboxId, (String, State)>,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    for (id, (line, known)) in letters.iter_mut() {
        let Some(status) = home.outbox().status_of(*id)? else { continue };
        if status.state == State::Waiting
            && let Some(distrust @ Failure::Untrusted(_)) = obstacle(home, *id)?
        {
            return Err(distrust);
        }
        if status.state == *known {
            continue;
        }
        *known = status.state;
        let tick = match status.state {
            State::Waiting | State::Sent => continue,
            State::Stored => "✓".to_owned(),
            State::Delivered => "✓✓".to_owned(),
            _ => show::status_text(&status),
        };
        writeln!(console.output, "  {tick} {}", excerpt(line))?;
    }
    console.output.flush()?;
    let contact = home.contacts().by_phone(phone)?;
    let held_back = contact.is_some_and(|contact| contact.changed.is_some());
    if held_back && letters.values().any(|(_, state)| *state == State::Waiting) {
        return Err(Failure::key_changed(phone));
    }
    letters.retain(|_, (_, state)| matches!(state, State::Waiting | State::Sent | State::Stored));
    Ok(())
}
