//! `waxwing receive`: prints letters that nobody has printed.

mod exec;

use std::thread;
use std::time::{Duration, Instant};

use super::discarded::{self, Discarded};
use super::key_news::KeyNews;
use super::{Console, Place, host};
use crate::args::Receive;
use crate::console::Remarks;
use crate::exit::Failure;
use crate::home::{Home, Letter, LetterId, PrintingLock, Relation};
use crate::interrupt;
use crate::session::{Account, Reached, Session};
use crate::show;

/// Letters read from the home at a time.
const PAGE: usize = 256;
/// How long news of sent letters may take to come.
const SETTLING: Duration = Duration::from_secs(3);
/// How long nothing of a backlog may come. As long as letters come, it goes on.
const BACKLOG: Duration = Duration::from_mins(2);
/// How long another process may print.
const TURN: Duration = Duration::from_secs(10);
/// Until a full disk is looked at again, and how often it is asked meanwhile whether to stop.
const FULL: Duration = Duration::from_secs(5);
const LOOK: Duration = Duration::from_millis(50);

pub(super) fn run(
    place: &Place<'_>,
    receive: &Receive,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let (home, identity) = place.open()?;
    let account = Account::new(identity)?;
    if let Some(program) = &receive.exec {
        exec::require(program)?;
    }
    let done = if receive.follow {
        follow(place, &home, &account, receive, console)
    } else {
        let mut keys = KeyNews::from_now(&home)?;
        let host = host::telling_no_keys(&console.remarks);
        let session = Session::new(&home, &account, host)?;
        let done = once(place, &home, session, receive, console);
        keys.tell(&home, &mut console.remarks)?;
        done
    };
    discarded::tell(&home, &mut console.remarks)?;
    done
}

/// Everything that is there, or the first that comes.
fn once(
    place: &Place<'_>,
    home: &Home,
    session: Session<'_>,
    receive: &Receive,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    // Without a time of its own the command takes what is there, as long as that comes.
    let timeout = receive.timeout.filter(|timeout| !timeout.is_zero());
    let mut session = session.until(timeout.map(|timeout| Instant::now() + timeout));
    let done = once_at(place, home, &mut session, receive, console);
    let left = session.leave();
    done?;
    Ok(left?)
}

fn once_at(
    place: &Place<'_>,
    home: &Home,
    session: &mut Session<'_>,
    receive: &Receive,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut came = wait_for_backlog(home, session)?;
    let has_all = came == Reached::Yes;
    if has_all {
        // What lies in the outbox goes along, and news of what was sent comes in.
        let settling = Instant::now() + SETTLING;
        came = session.wait_until(Some(settling), false, |session| {
            session.is_settled().map_err(Failure::from)
        })?;
    }
    place.forget_old(home, session)?;
    let turn = turn_to_print(home, session)?;
    let mut unnoted = Vec::new();
    let printed = take(place, home, session, turn, receive, &mut unnoted, console)?;
    if printed.letters > 0 || came == Reached::Interrupted {
        return send_receipts(session, &printed);
    }
    if receive.timeout.is_some_and(|timeout| !timeout.is_zero()) {
        let (came, turn) = letters(home, session, None, |_| Ok(()))?;
        let printed = take(place, home, session, turn, receive, &mut unnoted, console)?;
        if printed.letters > 0 || came == Reached::Interrupted {
            return send_receipts(session, &printed);
        }
    }
    Err(session.take_problem().map_or_else(if has_all { no_letter } else { no_time }, Into::into))
}

/// Lets receipts go out with this connection. If that takes long, they go with the next one.
fn send_receipts(session: &mut Session<'_>, printed: &Printed) -> Result<(), Failure> {
    if printed.receipts > 0 {
        let settling = Instant::now() + SETTLING;
        let _ = session.wait_until(Some(settling), false, |session| {
            session.is_settled().map_err(Failure::from)
        })?;
    }
    Ok(())
}

fn wait_for_backlog(home: &Home, session: &mut Session<'_>) -> Result<Reached, Failure> {
    loop {
        let before = home.letters().last()?;
        let patience = Instant::now() + BACKLOG;
        let came = session
            .wait_until(Some(patience), false, |session| Ok::<_, Failure>(session.has_backlog()))?;
        let is_stuck = Instant::now() < patience || home.letters().last()? == before;
        if came != Reached::TimedOut || is_stuck {
            return Ok(came);
        }
    }
}

/// Waits until no other process prints; `None` when the person interrupts.
fn turn_to_print(home: &Home, session: &mut Session<'_>) -> Result<Option<PrintingLock>, Failure> {
    let mut turn = None;
    let deadline = Instant::now() + TURN;
    let reached = session.wait_until(Some(deadline), true, |_| -> Result<bool, Failure> {
        turn = home.try_lock_printing()?;
        Ok(turn.is_some())
    })?;
    if reached == Reached::TimedOut {
        // The one that prints may be the one that has the session, and be stopped.
        let busy = || {
            if Instant::now() < deadline {
                let busy = "another `waxwing receive` prints the letters of this home just now";
                return Failure::TimedOut(busy.into());
            }
            Failure::General(
                "another `waxwing receive` prints the letters of this home and does not get on, \
                 because nobody reads what it prints; read that, or end it"
                    .into(),
            )
        };
        return Err(session.take_problem().map_or_else(busy, Into::into));
    }
    Ok(turn)
}

/// Waits for letters, and for the right to print them, whatever becomes of the connection, of which
/// `watch` may tell.
fn letters(
    home: &Home,
    session: &mut Session<'_>,
    deadline: Option<Instant>,
    mut watch: impl FnMut(&Session<'_>) -> Result<(), Failure>,
) -> Result<(Reached, Option<PrintingLock>), Failure> {
    let mut turn = None;
    let reached = session.wait_until(deadline, true, |session| -> Result<bool, Failure> {
        watch(session)?;
        if !home.letters().unprinted(1)?.is_empty() {
            turn = home.try_lock_printing()?;
        }
        Ok(turn.is_some())
    })?;
    Ok((reached, turn))
}

/// What `receive --follow` knows, whatever becomes of its sessions.
#[derive(Default)]
struct Following {
    /// Letters that it has printed.
    ever: usize,
    /// It has said that there is no connection, or no room.
    is_lost: bool,
    /// Letters for which there is no room.
    discarded: Discarded,
    /// Keys that have changed, and letters that wait because of them.
    keys: KeyNews,
    /// What was printed, and could not be noted.
    unnoted: Vec<LetterId>,
    /// When it ends if nothing comes.
    deadline: Option<Instant>,
}

/// Until the person interrupts, or nothing has come for so long. What has no room on a full disk stays at
/// the server until there is room: a program that runs for months does not end because of an hour.
fn follow(
    place: &Place<'_>,
    home: &Home,
    account: &Account,
    receive: &Receive,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    let mut following = Following::default();
    let mut is_first = true;
    loop {
        let host = host::telling_no_keys(&console.remarks);
        let take = if is_first { Session::new } else { Session::again };
        let mut session = take(home, account, host)?;
        is_first = false;
        let done = follow_at(place, home, &mut session, receive, &mut following, console);
        let Err(Failure::Storage(error)) = done else {
            let now = receive.timeout.map(|_| Instant::now());
            let left = session.until(now).leave();
            done?;
            return Ok(left?);
        };
        drop(session);
        if !error.is_full(home.dir()) {
            return Err(Failure::Storage(error));
        }
        if !following.is_lost {
            following.is_lost = true;
            writeln!(
                console.remarks,
                "the disk of the home in {} is full: what comes waits at the server until there is room; \
                 trying again until then",
                home.dir().display()
            )?;
        }
        let until = Instant::now() + FULL;
        let until = following.deadline.map_or(until, |deadline| until.min(deadline));
        while Instant::now() < until && !interrupt::has_come() {
            thread::sleep(LOOK);
        }
        if interrupt::has_come() {
            return Ok(());
        }
        if following.deadline.is_some_and(|deadline| deadline <= Instant::now()) {
            return Err(Failure::Storage(error));
        }
    }
}

fn follow_at(
    place: &Place<'_>,
    home: &Home,
    session: &mut Session<'_>,
    receive: &Receive,
    following: &mut Following,
    console: &mut Console<'_>,
) -> Result<(), Failure> {
    loop {
        let after = || receive.timeout.map(|timeout| Instant::now() + timeout);
        following.deadline = following.deadline.or_else(after);
        let (came, turn) = letters(home, session, following.deadline, |session| {
            tell_of_connection(session, &mut following.is_lost, &mut console.remarks)?;
            following.discarded.tell(home, Instant::now(), &mut console.remarks)?;
            following.keys.tell(home, &mut console.remarks)
        })?;
        let unnoted = &mut following.unnoted;
        following.ever += take(place, home, session, turn, receive, unnoted, console)?.letters;
        place.forget_old(home, session)?;
        match came {
            Reached::Interrupted => return Ok(()),
            Reached::TimedOut if following.ever == 0 => {
                return Err(session.take_problem().map_or_else(no_letter, Into::into));
            }
            Reached::TimedOut => return Ok(()),
            Reached::Yes | Reached::Offline => following.deadline = None,
        }
    }
}

/// Says once that the connection is lost, and once that it is there again.
fn tell_of_connection(
    session: &Session<'_>,
    is_lost: &mut bool,
    remarks: &mut Remarks,
) -> Result<(), Failure> {
    match session.problem() {
        Some(problem) if !*is_lost => {
            *is_lost = true;
            let problem = Failure::from(problem);
            writeln!(remarks, "no connection: {problem}; trying again until it is back")?;
        }
        None if *is_lost && session.has_backlog() => {
            *is_lost = false;
            writeln!(remarks, "connected again")?;
        }
        _ => {}
    }
    Ok(())
}

fn no_letter() -> Failure {
    Failure::TimedOut("no letter".into())
}

fn no_time() -> Failure {
    let text =
        "no letter came in time, and some may wait; run `waxwing receive` with more --timeout";
    Failure::TimedOut(text.into())
}

/// What was printed.
#[derive(Default)]
struct Printed {
    letters: usize,
    /// How many of their senders are to be told that they were read.
    receipts: usize,
}

/// Prints what is unprinted, or hands it over to the person's program, if this process may. What could not be
/// noted the last time is `unnoted`, and is not printed once more.
fn take(
    place: &Place<'_>,
    home: &Home,
    session: &mut Session<'_>,
    turn: Option<PrintingLock>,
    receive: &Receive,
    unnoted: &mut Vec<LetterId>,
    console: &mut Console<'_>,
) -> Result<Printed, Failure> {
    let Some(_turn) = turn else { return Ok(Printed::default()) };
    let receipts = note(place, home, unnoted)?;
    let mut printed = match &receive.exec {
        Some(program) => {
            let (json, persistent, timeout) = (receive.json, receive.follow, receive.timeout);
            let hands = exec::Hands { place, home, program, json, persistent, timeout };
            hands.hand_over(session, unnoted, console)?
        }
        None => print(place, home, receive, unnoted, console)?,
    };
    printed.receipts += receipts;
    Ok(printed)
}

/// Notes that letters were printed; how many of their senders are to be told.
fn note(place: &Place<'_>, home: &Home, unnoted: &mut Vec<LetterId>) -> Result<usize, Failure> {
    if unnoted.is_empty() {
        return Ok(0);
    }
    let receipts = place.note_read(home, unnoted)?;
    unnoted.clear();
    Ok(receipts)
}

/// Prints what is unprinted, and notes that it was.
fn print(
    place: &Place<'_>,
    home: &Home,
    receive: &Receive,
    unnoted: &mut Vec<LetterId>,
    console: &mut Console<'_>,
) -> Result<Printed, Failure> {
    let (mut printed, mut receipts) = (0, 0);
    loop {
        let letters = home.letters().unprinted(PAGE)?;
        if letters.is_empty() {
            return Ok(Printed { letters: printed, receipts });
        }
        let names = home.conversations().names()?;
        for letter in &letters {
            let name = letter.from.and_then(|from| names.get(&from)).map(String::as_str);
            let line = if receive.json {
                let is_stranger = is_stranger(home, letter)?;
                show::letter_json(letter, &show::Sender { name, is_stranger })
            } else {
                show::letter_text(letter, name, &console.page())
            };
            writeln!(console.output, "{line}")?;
        }
        console.output.flush()?;
        unnoted.extend(letters.iter().map(|letter| letter.id));
        printed += letters.len();
        receipts += note(place, home, unnoted)?;
    }
}

fn is_stranger(home: &Home, letter: &Letter) -> Result<bool, Failure> {
    let Some(from) = &letter.from else { return Ok(false) };
    Ok(home.relations().with(from)? == Relation::Stranger)
}
