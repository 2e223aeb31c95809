//! The thread of the terminal: it waits for keys, signals and news, lets the state say what follows, does
//! that, and draws.

pub(super) mod carry;
mod editor;
mod inbox;
mod notifier;
pub(super) mod reading;
mod screen;
mod terminal;

use std::collections::VecDeque;
use std::io::{self, ErrorKind};
use std::os::fd::{AsFd as _, AsRawFd as _};
use std::path::PathBuf;
use std::sync::Arc;
use std::time::Duration;

use base64ct::{Base64, Encoding as _};
use mio::unix::SourceFd;
use mio::{Events, Interest, Poll, Token, Waker};
use ratatui_core::layout::Size;
use rustix::process::{Signal, kill_current_process_group};
use signal_hook::consts::{SIGCHLD, SIGCONT, SIGHUP, SIGINT, SIGTERM, SIGWINCH};
use signal_hook_mio::v1_0::Signals;
use waxwing_core::time::Instant;

use super::bindings::Bindings;
use super::draw;
use super::event::{Act, Errand, Event, Notice};
use super::input::Parser;
use super::state::{Model, Owner, letter_text};
use super::theme::Theme;
use crate::clock;
use crate::courier::{Courier, Surroundings};
use crate::exit::Failure;
use crate::home::{Home, HomeError, Identity, Window};
use crate::settings::Notify;
use inbox::Inbox;
use notifier::Notifier;
use screen::Screen;
use terminal::Tty;

const INPUT: Token = Token(0);
const SIGNALS: Token = Token(1);
const NEWS: Token = Token(2);

/// What belongs to one key comes at once, or so soon after.
const KEY: Duration = Duration::from_millis(40);
/// Changes of the home are looked at no more often.
const LOOK: Duration = Duration::from_millis(30);
/// How long the shell may take to stop a program that has asked for it.
const STOPPING: Duration = Duration::from_millis(300);

/// What somebody wants of a screen.
#[derive(Clone, Debug)]
pub struct Wishes {
    /// Whose it is.
    pub owner: Owner,
    /// Whether those whose letters are read are told so.
    pub receipts: bool,
    /// Whether the mouse does something.
    pub mouse: bool,
    /// The colors.
    pub theme: Theme,
    /// Which key does what.
    pub keys: Bindings,
    /// What tells of new letters while nobody looks.
    pub notify: Notify,
}

/// Shows the home in `dir` until the person ends it. How many letters the server has not answered for then.
///
/// # Errors
/// [`Failure`] when home, terminal or session do not work.
pub fn run(
    dir: PathBuf,
    home: Home,
    identity: Identity,
    wishes: Wishes,
    surroundings: Surroundings,
) -> Result<u32, Failure> {
    let waiting = Waiting::new().map_err(no_terminal)?;
    let inbox = Arc::new(Inbox::default());
    let (told, waker) = (inbox.clone(), waiting.waker.clone());
    let courier = Courier::start(dir, surroundings, move |news| {
        told.tell(news);
        // Without the wake-up the news waits for the next key.
        let _ = waker.wake();
    })?;
    let size = Screen::size();
    let (owner, keys) = (wishes.owner.clone(), wishes.keys.clone());
    let (model, acts) = Model::new(owner, keys, size.width, size.height, clock::both());
    let desk = Desk {
        home,
        identity,
        courier,
        inbox,
        waiting,
        notifier: Notifier::new(wishes.notify.command.clone()),
        wishes,
        model,
        size,
        parser: Parser::default(),
        looked_at: Instant::default(),
    };
    desk.work(acts)
}

/// What the person has typed and the home has not taken, when nobody can try again: it is told, so that
/// nobody has to think of it once more.
fn lost(event: Event) -> Option<Failure> {
    let (what, with, text, why) = match event {
        Event::NotSent { to, text, why } => ("sent", to, text, why),
        Event::DraftNotKept { with, text, why } => ("kept", with, text, why),
        _ => return None,
    };
    let with = with.as_str();
    Some(Failure::General(format!(
        "what you have written to {with} is not {what}: {why}. It says:\n{text}"
    )))
}

fn no_terminal(error: io::Error) -> Failure {
    Failure::General(format!("the terminal does not work: {error}"))
}

/// What the thread of the terminal waits for.
struct Waiting {
    poll: Poll,
    events: Events,
    signals: Signals,
    waker: Arc<Waker>,
}

/// What has come.
#[derive(Default)]
struct Came {
    input: bool,
    /// The window has another size, or the program goes on after it was stopped.
    is_back: bool,
    end: Option<End>,
}

/// Why it ends.
#[derive(Clone, Copy, Debug, PartialEq, Eq)]
enum End {
    /// Somebody wants that.
    Asked,
    /// Nobody can see it any more.
    TerminalGone,
    /// There is nobody who would carry anything.
    CourierGone,
}

impl Waiting {
    fn new() -> io::Result<Self> {
        let poll = Poll::new()?;
        let mut signals = Signals::new([SIGTERM, SIGHUP, SIGINT, SIGWINCH, SIGCONT, SIGCHLD])?;
        poll.registry().register(&mut signals, SIGNALS, Interest::READABLE)?;
        let waker = Arc::new(Waker::new(poll.registry(), NEWS)?);
        let input = io::stdin().as_fd().as_raw_fd();
        poll.registry().register(&mut SourceFd(&input), INPUT, Interest::READABLE)?;
        Ok(Self { poll, events: Events::with_capacity(16), signals, waker })
    }

    fn wait(&mut self, patience: Option<Duration>) -> io::Result<Came> {
        // What is there already counts as news.
        let input = io::stdin().as_fd().as_raw_fd();
        self.poll.registry().reregister(&mut SourceFd(&input), INPUT, Interest::READABLE)?;
        match self.poll.poll(&mut self.events, patience) {
            Err(error) if error.kind() != ErrorKind::Interrupted => return Err(error),
            _ => {}
        }
        let input = self.events.iter().any(|event| event.token() == INPUT);
        let mut came = Came { input, ..Came::default() };
        for signal in self.signals.pending() {
            match signal {
                SIGTERM | SIGINT => came.end = Some(End::Asked),
                SIGHUP => came.end = Some(End::TerminalGone),
                SIGCONT => came.is_back = true,
                // The size is looked at every time, and so is whether a program has ended.
                _ => {}
            }
        }
        Ok(came)
    }
}

struct Desk {
    home: Home,
    identity: Identity,
    courier: Courier,
    inbox: Arc<Inbox>,
    waiting: Waiting,
    notifier: Notifier,
    wishes: Wishes,
    model: Model,
    size: Size,
    parser: Parser,
    /// When changes of the home were looked at last.
    looked_at: Instant,
}

impl Desk {
    fn work(mut self, acts: Vec<Act>) -> Result<u32, Failure> {
        let mut tty = Tty::take(self.wishes.mouse).map_err(no_terminal)?;
        let ended = self.go_round(acts, &mut tty);
        // The person has their terminal back before the server has answered.
        drop(tty);
        for act in self.model.leave() {
            if let Act::Carry(errand) = act {
                self.carry(errand);
            }
        }
        let left = self.courier.leave();
        if let Some(lost) = std::iter::from_fn(|| self.inbox.next()).find_map(lost) {
            return Err(lost);
        }
        match ended {
            Ok(End::Asked) | Err(Failure::Interrupted) => {
                left.and_then(|()| Ok(self.home.outbox().unanswered()?))
            }
            Ok(End::CourierGone) => {
                left.and_then(|()| Err(Failure::General("the session has ended by itself".into())))
            }
            Ok(End::TerminalGone) => Err(Failure::General("the terminal is gone".into())),
            Err(failure) => Err(failure),
        }
    }

    fn go_round(&mut self, acts: Vec<Act>, tty: &mut Tty) -> Result<End, Failure> {
        if let Some(end) = self.act(acts, tty)? {
            return Ok(end);
        }
        loop {
            if self.draw(tty).is_err() {
                return Ok(End::TerminalGone);
            }
            let came = self.waiting.wait(self.patience()).map_err(no_terminal)?;
            if let Some(end) = came.end {
                return Ok(end);
            }
            if let Some(end) = self.take_in(&came, tty)? {
                return Ok(end);
            }
        }
    }

    fn draw(&mut self, tty: &mut Tty) -> io::Result<()> {
        let (model, theme) = (&self.model, self.wishes.theme);
        tty.terminal.draw(|frame| draw::frame(model, theme, frame))?;
        tty.title(model.unread())
    }

    /// Until something is to be done although nothing has come.
    fn patience(&self) -> Option<Duration> {
        let now = clock::both().instant;
        let key = self.parser.is_in_doubt().then_some(KEY);
        let state = self.model.due().map(|due| due.since(now));
        let look = self.inbox.has_changed().then(|| self.looked_at.after(LOOK).since(now));
        [key, state, look].into_iter().flatten().min()
    }

    fn take_in(&mut self, came: &Came, tty: &mut Tty) -> Result<Option<End>, Failure> {
        let size = Screen::size();
        if size != self.size {
            self.size = size;
            let Size { width, height } = size;
            let ended = self.happen(Event::Resized { width, height }, tty)?;
            if ended.is_some() {
                return Ok(ended);
            }
        }
        if came.is_back && tty.take_again().is_err() {
            return Ok(Some(End::TerminalGone));
        }
        if came.input {
            let mut bytes = [0; 4_096];
            match rustix::io::read(io::stdin().as_fd(), &mut bytes) {
                Ok(0) => return Ok(Some(End::TerminalGone)),
                Ok(len) => self.parser.push(&bytes[..len]),
                Err(rustix::io::Errno::INTR | rustix::io::Errno::AGAIN) => {}
                Err(_) => return Ok(Some(End::TerminalGone)),
            }
            while let Some(input) = self.parser.next() {
                if let Some(end) = self.happen(Event::Input(input), tty)? {
                    return Ok(Some(end));
                }
            }
        } else if let Some(input) = self.parser.end_of_key()
            && let Some(end) = self.happen(Event::Input(input), tty)?
        {
            return Ok(Some(end));
        }
        if let Err(why) = self.notifier.go_on()
            && let Some(end) = self.happen(Event::Failed(why), tty)?
        {
            return Ok(Some(end));
        }
        self.take_news(tty)
    }

    fn take_news(&mut self, tty: &mut Tty) -> Result<Option<End>, Failure> {
        while let Some(event) = self.inbox.next() {
            if let Some(end) = self.happen(event, tty)? {
                return Ok(Some(end));
            }
        }
        let now = clock::both().instant;
        if self.looked_at.after(LOOK) <= now && self.inbox.take_change() {
            self.looked_at = now;
            if let Some(end) = self.happen(Event::Changed, tty)? {
                return Ok(Some(end));
            }
        }
        if self.inbox.is_gone() {
            return Ok(Some(End::CourierGone));
        }
        if self.model.due().is_some_and(|due| due <= now) {
            return self.happen(Event::Time, tty);
        }
        Ok(None)
    }

    fn happen(&mut self, event: Event, tty: &mut Tty) -> Result<Option<End>, Failure> {
        let acts = self.model.handle(event, clock::both());
        self.act(acts, tty)
    }

    /// Does what the state wants, and what follows from that.
    fn act(&mut self, acts: Vec<Act>, tty: &mut Tty) -> Result<Option<End>, Failure> {
        let mut acts = VecDeque::from(acts);
        while let Some(act) = acts.pop_front() {
            let event = match act {
                Act::Quit => return Ok(Some(End::Asked)),
                Act::Carry(errand) => {
                    self.carry(errand);
                    None
                }
                Act::List { .. }
                | Act::Open(_)
                | Act::Page { .. }
                | Act::Search { .. }
                | Act::Number(_) => Some(self.read(act)?),
                Act::Notify(_) | Act::Copy(_) | Act::Redraw | Act::Suspend | Act::Edit(_) => {
                    match self.at_terminal(act, tty) {
                        Ok(event) => event,
                        Err(_) => return Ok(Some(End::TerminalGone)),
                    }
                }
            };
            if let Some(event) = event {
                acts.extend(self.model.handle(event, clock::both()));
            }
        }
        Ok(None)
    }

    fn read(&self, act: Act) -> Result<Event, HomeError> {
        let home = &self.home;
        match act {
            Act::List { since } => reading::list(home, since),
            Act::Open(with) => reading::open(home, with),
            Act::Page { with, window, limit } => reading::page(home, with, window, limit),
            Act::Search { text, with } => reading::search(home, &text, with.as_ref()),
            Act::Number(with) => reading::number(home, &self.identity, with),
            _ => Ok(Event::Time),
        }
    }

    fn carry(&self, errand: Errand) {
        match errand {
            Errand::AskKey(phone) => return self.courier.ask_key(phone),
            Errand::Hurry => return self.courier.hurry(),
            _ => {}
        }
        let (inbox, waker) = (self.inbox.clone(), self.waiting.waker.clone());
        let receipts = self.wishes.receipts;
        self.courier.carry(move |hands| {
            if let Some(event) = carry::carry(errand, hands, receipts) {
                inbox.answer(event);
                // Without the wake-up it waits for the next key.
                let _ = waker.wake();
            }
        });
    }

    fn at_terminal(&mut self, act: Act, tty: &mut Tty) -> io::Result<Option<Event>> {
        match act {
            // A bell, and a notice for terminals that show one. It says nothing of what is new.
            Act::Notify(news) => {
                tty.control("\x07\x1b]9;waxwing: a new letter\x1b\\")?;
                self.notify(news);
                return Ok(self.notifier.go_on().err().map(Event::Failed));
            }
            Act::Copy(text) => {
                let text = Base64::encode_string(text.as_bytes());
                tty.control(&format!("\x1b]52;c;{text}\x1b\\"))?;
            }
            Act::Redraw => tty.terminal.clear()?,
            Act::Suspend => {
                self.suspend(tty)?;
                return Ok(Some(Event::Back));
            }
            Act::Edit(text) => {
                terminal::give_back();
                let edited = editor::edit(self.home.dir(), &text);
                tty.take_again()?;
                // Ctrl-C in the editor was not meant for this program.
                let signals = self.waiting.signals.pending();
                if signals.into_iter().any(|signal| matches!(signal, SIGTERM | SIGHUP)) {
                    return Err(io::Error::from(ErrorKind::Interrupted));
                }
                return Ok(Some(Event::Edited(edited)));
            }
            _ => {}
        }
        Ok(None)
    }

    /// Has the person's program told, if there is one.
    fn notify(&mut self, news: Vec<Notice>) {
        if !self.notifier.has_program() {
            return;
        }
        for notice in news {
            let last = || self.home.page(&notice.with, Window::Last, 1).ok()?.pop();
            let entry = self.wishes.notify.text.then(last).flatten();
            let text = entry.map(|entry| letter_text(&entry).0.to_owned());
            self.notifier.tell(notice, text);
        }
    }

    /// Stops as Ctrl-Z stops other programs. Where there is no shell that could go on with it, nothing
    /// stops.
    fn suspend(&mut self, tty: &mut Tty) -> io::Result<()> {
        terminal::give_back();
        kill_current_process_group(Signal::TSTP)?;
        // The system may stop this thread a little later.
        let until = clock::both().instant.after(STOPPING);
        loop {
            let left = until.since(clock::both().instant);
            let came = self.waiting.wait(Some(left))?;
            if came.end.is_some() {
                return Err(io::Error::from(ErrorKind::Interrupted));
            }
            if came.is_back || left.is_zero() {
                return tty.take_again();
            }
        }
    }
}
