//! `waxwing chat`: a conversation, line by line.

mod input;
mod sent;

use std::sync::mpsc::TryRecvError;
use std::time::{Duration, Instant};

use waxwing_core::id::Uid;
use waxwing_core::phone::Phone;

use super::discarded::{self, Discarded};
use super::key_news::KeyNews;
use super::typed::Line;
use super::{Console, Place, host, require_unblocked};
use crate::backend::rng;
use crate::clock;
use crate::exit::Failure;
use crate::home::{Home, Reading, Writing};
use crate::session::{Account, Session};
use crate::show;
use crate::system;
use crate::who::Who;
use input::{HELP, Input, Meaning};
use sent::Sent;

/// Letters read from the home at a time.
const PAGE: usize = 64;
/// Lines taken in before the conversation goes on: a program may write without an end.
const LINES: usize = 64;
/// How long the conversation sleeps at most.
const LOOK: Duration = Duration::from_millis(50);
/// How long a person who leaves waits for answers to what was typed.
const LEAVING: Duration = Duration::from_secs(3);
/// How long a program's letters may go without any of them being answered, once its input has ended.
const STALLED: Duration = Duration::from_secs(5);

pub(super) fn run(place: &Place<'_>, who: &Who, console: &mut Console<'_>) -> Result<(), Failure> {
    let (home, identity) = place.open()?;
    let phone = &place.find(&home, who, console)?;
    if identity.phone == *phone {
        return Err(Failure::to_oneself());
    }
    let account = Account::new(identity)?;
    require_unblocked(&home, phone)?;
    let host = host::telling_no_keys(&console.remarks);
    let mut session = Session::new(&home, &account, host)?;
    let input = input::listen(&session)?;
    writeln!(
        console.remarks,
        "chat with {}: one line is one letter; ✓ stored, ✓✓ delivered; end with Ctrl-D{}",
        phone.as_str(),
        if input.is_terminal { "; /help shows more" } else { "" }
    )?;
    let reading = home.letters().read_from(phone)?;
    let with = home.conversations().with(phone)?;
    let name = with.and_then(|with| with.name);
    let sent = Sent::default();
    let keys = KeyNews::of(phone);
    let mut chat =
        Chat { place, home: &home, phone, name, input, reading, sent, keys, unusable: 0 };
    let done = chat.talk(&mut session, console);
    let forgotten = place.forget_old(&home, &session);
    let left = session.leave();
    let told = chat.tell_of_unsent(console);
    discarded::tell(&home, &mut console.remarks)?;
    done?;
    forgotten?;
    left?;
    told?;
    if chat.is_held()? {
        return Err(Failure::key_changed(chat.name.as_deref(), phone));
    }
    chat.require_usable()
}

struct Chat<'a> {
    place: &'a Place<'a>,
    home: &'a Home,
    phone: &'a Phone,
    name: Option<String>,
    input: Input,
    reading: Reading,
    sent: Sent,
    keys: KeyNews,
    /// Lines that were no letters.
    unusable: u32,
}

impl Chat<'_> {
    fn talk(
        &mut self,
        session: &mut Session<'_>,
        console: &mut Console<'_>,
    ) -> Result<(), Failure> {
        let mut told = None;
        let mut discarded = Discarded::default();
        let mut leaving: Option<Leaving> = None;
        loop {
            if leaving.is_none() && self.read(console)? {
                leaving = Some(Leaving::new(self.sent.unanswered()));
            }
            self.print_letters(console)?;
            self.keys.tell(self.home, &mut console.remarks)?;
            self.sent.tell(self.home, self.input.is_terminal, console)?;
            let is_held = self.is_held()?;
            if is_held {
                // A person can accept the key meanwhile, and a program cannot.
                if !self.input.is_terminal {
                    return Err(Failure::key_changed(self.name.as_deref(), self.phone));
                }
                self.sent.tell_all_held(console)?;
            }
            discarded.tell(self.home, Instant::now(), &mut console.remarks)?;
            let problem = session.problem().map(|problem| problem.in_brief(self.home.dir()));
            if problem != told {
                if let Some(problem) = &problem {
                    writeln!(console.remarks, "(no connection: {problem}; letters are kept)")?;
                }
                told = problem;
            }
            let may_leave = match &mut leaving {
                None => false,
                Some(leaving) => {
                    let unanswered = self.sent.unanswered();
                    told.is_some()
                        || is_held
                        || leaving.is_over(unanswered, self.input.is_terminal)
                        || self.sent.are_put_off(self.home)?
                }
            };
            if session.is_interrupted() || may_leave {
                return Ok(());
            }
            session.turn(LOOK)?;
        }
    }

    /// Takes in some of what was typed; `true` when nothing more will be.
    fn read(&mut self, console: &mut Console<'_>) -> Result<bool, Failure> {
        for _ in 0..LINES {
            let line = match self.input.lines.try_recv() {
                Ok(line) => line,
                Err(TryRecvError::Empty) => return Ok(false),
                Err(TryRecvError::Disconnected) => return Ok(true),
            };
            match line {
                Line::Text(line) => match self.input.meaning(line) {
                    Meaning::Nothing => {}
                    Meaning::Letter(text) => self.write(text, console)?,
                    Meaning::Help => writeln!(console.remarks, "{HELP}")?,
                    Meaning::Quit => return Ok(true),
                    Meaning::Unknown(line) => writeln!(
                        console.remarks,
                        "not sent: there is no command {}; /help shows the commands, and /{} sends \
                         this line",
                        show::for_line(&line),
                        show::for_line(&line)
                    )?,
                },
                Line::Unusable { number, why } => {
                    self.unusable += 1;
                    writeln!(console.remarks, "line {number} is not sent: {why}")?;
                }
                Line::Broken(error) => {
                    return Err(Failure::General(format!(
                        "standard input cannot be read any further: {}; what came before is \
                         in the outbox",
                        system::of_file(&error)
                    )));
                }
            }
        }
        Ok(false)
    }

    fn write(&mut self, text: String, console: &mut Console<'_>) -> Result<(), Failure> {
        let excerpt = text.clone();
        let writing = Writing::text(text).map_err(|error| Failure::Usage(error.to_string()))?;
        let uid = Uid::generate(&mut rng());
        match self.home.outbox().queue(&uid, self.phone, &writing, clock::now()) {
            Ok(id) => {
                self.sent.add(id, &excerpt);
                Ok(())
            }
            Err(error) => {
                // The chat ends, and nobody has to type it once more.
                writeln!(console.remarks, "not sent: {}", show::for_line(&excerpt))?;
                Err(error.into())
            }
        }
    }

    /// Everything that the other says is shown, whoever else prints it meanwhile.
    fn print_letters(&mut self, console: &mut Console<'_>) -> Result<(), Failure> {
        let letters = self.home.letters().next(&mut self.reading, PAGE)?;
        if letters.is_empty() {
            return Ok(());
        }
        for letter in &letters {
            writeln!(
                console.output,
                "{}",
                show::letter_text(letter, self.name.as_deref(), &console.page())
            )?;
        }
        console.output.flush()?;
        let ids: Vec<_> = letters.iter().map(|letter| letter.id).collect();
        self.place.note_read(self.home, &ids)?;
        Ok(())
    }

    /// Says what has not gone out, however the chat ended.
    fn tell_of_unsent(&self, console: &mut Console<'_>) -> Result<(), Failure> {
        let unsent = self.home.outbox().unanswered_to(self.phone)?;
        if unsent > 0 {
            writeln!(
                console.remarks,
                "{} to {} {} not with the server yet; what is left stays in the outbox and goes out \
                 next time that waxwing connects, unless it is held back",
                counted(unsent, "letter"),
                self.phone.as_str(),
                if unsent == 1 { "is" } else { "are" },
            )?;
        }
        Ok(())
    }

    /// Whether letters wait because the other's key has changed.
    fn is_held(&self) -> Result<bool, Failure> {
        if self.sent.unanswered() == 0 {
            return Ok(false);
        }
        let contact = self.home.contacts().by_phone(self.phone)?;
        Ok(contact.is_some_and(|contact| contact.changed.is_some()))
    }

    /// Fails when lines of a program's input were no letters.
    fn require_usable(&self) -> Result<(), Failure> {
        let unusable = self.unusable;
        if unusable == 0 || self.input.is_terminal {
            return Ok(());
        }
        Err(Failure::Usage(format!(
            "{} of the input {} not sent, for the reasons above; the others were taken",
            counted(unusable, "line"),
            if unusable == 1 { "was" } else { "were" },
        )))
    }
}

fn counted(count: u32, one: &str) -> String {
    format!("{count} {one}{}", if count == 1 { "" } else { "s" })
}

/// A chat whose input has ended.
struct Leaving {
    since: Instant,
    moved: Instant,
    unanswered: usize,
}

impl Leaving {
    fn new(unanswered: usize) -> Self {
        let now = Instant::now();
        Self { since: now, moved: now, unanswered }
    }

    /// Whether waiting any longer makes no sense.
    fn is_over(&mut self, unanswered: usize, is_terminal: bool) -> bool {
        if unanswered < self.unanswered {
            (self.unanswered, self.moved) = (unanswered, Instant::now());
        }
        let is_late = if is_terminal {
            self.since.elapsed() > LEAVING
        } else {
            self.moved.elapsed() > STALLED
        };
        unanswered == 0 || is_late
    }
}
