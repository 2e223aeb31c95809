//! `waxwing receive`: prints letters that nobody has printed.

use std::path::Path;
use std::time::{Duration, Instant};

use super::{Console, open};
use crate::args::Receive;
use crate::courier::{Account, Desk, Reached};
use crate::exit::Failure;
use crate::home::{Home, PrintingLock};
use crate::show;

/// Letters read from the home at a time.
const PAGE: usize = 256;
/// How long news of sent letters may take to come.
const SETTLING: Duration = Duration::from_secs(3);
/// How long a backlog may take to come.
const BACKLOG: Duration = Duration::from_mins(5);
/// How long another process may print.
const TURN: Duration = Duration::from_secs(10);

pub(super) fn run(dir: &Path, receive: &Receive, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, identity) = open(dir)?;
    let account = Account::new(identity)?;
    if account.user_id().is_none() {
        return Err(Failure::not_registered());
    }
    let mut desk = Desk::new(&home, &account, &console.remarks)?;
    let done = if receive.follow {
        follow(&home, &mut desk, receive, console)
    } else {
        once(&home, &mut desk, receive, console)
    };
    let left = desk.leave();
    tell_of_discarded(&home, console)?;
    done?;
    left
}

/// Everything that is there, or the first that comes.
fn once(
    home: &Home,
    desk: &mut Desk<'_>,
    receive: &Receive,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let backlog = Instant::now() + BACKLOG;
    let mut came = desk.wait_until(Some(backlog), false, |desk| Ok(desk.has_backlog()))?;
    if came == Reached::Yes {
        // What lies in the outbox goes along, and news of what was sent comes in.
        let settling = Instant::now() + SETTLING;
        came = desk.wait_until(Some(settling), false, Desk::is_settled)?;
    }
    let turn = turn_to_print(home, desk)?;
    let mut printed = print(home, turn, receive, console)?;
    if printed > 0 || came == Reached::Interrupted {
        return Ok(());
    }
    let deadline = Instant::now() + receive.timeout.unwrap_or(Duration::ZERO);
    let (came, turn) = letters(home, desk, Some(deadline), receive.timeout.is_some())?;
    printed += print(home, turn, receive, console)?;
    if printed > 0 || came == Reached::Interrupted {
        return Ok(());
    }
    Err(desk.take_problem().unwrap_or_else(|| Failure::TimedOut("no letter".into())))
}

/// Waits until no other process prints; `None` when the person interrupts.
fn turn_to_print(home: &Home, desk: &mut Desk<'_>) -> Result<Option<PrintingLock>, Failure> {
    let mut turn = None;
    let deadline = Instant::now() + TURN;
    let reached = desk.wait_until(Some(deadline), true, |_| {
        turn = home.try_lock_printing()?;
        Ok(turn.is_some())
    })?;
    if reached == Reached::TimedOut {
        return Err(Failure::General(
            "another `waxwing receive` prints the letters of this home and does not get on, \
             because nobody reads what it prints; read that, or end it"
                .into(),
        ));
    }
    Ok(turn)
}

/// Waits for letters, and for the right to print them.
fn letters(
    home: &Home,
    desk: &mut Desk<'_>,
    deadline: Option<Instant>,
    is_persistent: bool,
) -> Result<(Reached, Option<PrintingLock>), Failure> {
    let mut turn = None;
    let reached = desk.wait_until(deadline, is_persistent, |_| {
        if !home.letters().unprinted(1)?.is_empty() {
            turn = home.try_lock_printing()?;
        }
        Ok(turn.is_some())
    })?;
    Ok((reached, turn))
}

/// Until the person interrupts, or nothing has come for so long.
fn follow(
    home: &Home,
    desk: &mut Desk<'_>,
    receive: &Receive,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut ever = 0;
    loop {
        let deadline = receive.timeout.map(|timeout| Instant::now() + timeout);
        let (came, turn) = letters(home, desk, deadline, true)?;
        ever += print(home, turn, receive, console)?;
        match came {
            Reached::Interrupted => return Ok(()),
            Reached::TimedOut if ever == 0 => return Err(Failure::TimedOut("no letter".into())),
            Reached::TimedOut => return Ok(()),
            Reached::Yes | Reached::Offline => {}
        }
    }
}

/// Prints what is unprinted, and notes that it was, if this process may.
fn print(
    home: &Home,
    turn: Option<PrintingLock>,
    receive: &Receive,
    console: &mut Console<'_>,
) -> Result<usize, Failure> {
    let mut printed = 0;
    let Some(_turn) = turn else { return Ok(printed) };
    loop {
        let letters = home.letters().unprinted(PAGE)?;
        if letters.is_empty() {
            return Ok(printed);
        }
        for letter in &letters {
            let line = if receive.json {
                show::letter_json(letter)
            } else {
                show::letter_text(letter, &console.page())
            };
            writeln!(console.output, "{line}")?;
        }
        console.output.flush()?;
        let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
        home.letters().mark_printed(&ids)?;
        printed += letters.len();
    }
}

/// Letters for which there was no room: how many, why, and what to do.
fn tell_of_discarded(home: &Home, console: &mut Console<'_>) -> Result<(), Failure> {
    for (quota, letters) in home.letters().take_discarded()? {
        writeln!(console.remarks, "{}", show::discarded_text(quota, letters))?;
    }
    Ok(())
}
