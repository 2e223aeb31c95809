//! `waxwing rpc`: an interface for programs. JSON-RPC 2.0, a message a line, on standard input and output
//! or on a socket.
//!
//! ```text
//! lines ──▶ inbox ──▶ clerk: message, methods, home ──▶ outgoing ──▶ lines
//!             ▲
//! courier ────┘ news: the home has changed, the connection is lost
//! ```
//!
//! One courier has the session of a home. Each program has a clerk, with the home open by itself, so that
//! one that is slow or hostile holds up nobody else. What a program gets for certain it gets by `next`,
//! from a cursor in the home (`home/consumers.rs`).
//!
//! `reception` reads the lines. Each account that a program names has an office with a courier (`offices`), and
//! a clerk for each program.

mod clerk;
mod inbox;
mod message;
mod methods;
mod offices;
mod outgoing;
mod params;
mod reception;
mod refusal;
mod schema;
mod shapes;
mod socket;
mod subscription;
mod values;

use std::fs::File;
use std::io;
use std::os::fd::AsFd;
use std::path::{Path, PathBuf};
use std::sync::{Arc, Mutex, MutexGuard, PoisonError, Weak};
use std::thread;
use std::time::{Duration, Instant};

use signal_hook::iterator::Signals;
use waxwing_core::phone::Phone;

use crate::commands::discarded::Discarded;
use crate::console::Remarks;
use crate::courier::{Connection, Courier, Hands, News, Surroundings};
use crate::exit::Failure;
use crate::home::Home;
use crate::interrupt;
use crate::phone::Country;
use crate::system;
use inbox::Inbox;
use offices::Offices;
use outgoing::Stop;
use socket::SocketFile;

/// How long letters may go without any of them being answered, once a program has nothing more to say.
const STALLED: Duration = Duration::from_secs(5);

/// What programs are served with.
#[derive(Clone)]
pub(crate) struct Options {
    /// The home.
    pub(crate) dir: PathBuf,
    /// The country whose numbers may be written without its code.
    pub(crate) country: Option<Country>,
    /// Whether those whose letters are read are told so.
    pub(crate) receipts: bool,
    /// Whether programs may say whose keys are believed in.
    pub(crate) allow_trust: bool,
    /// What the courier takes from the program that it runs in.
    pub(crate) surroundings: Surroundings,
}

/// What all programs share.
struct Office {
    dir: PathBuf,
    country: Option<Country>,
    receipts: bool,
    allow_trust: bool,
    /// `None` once it has left.
    courier: Mutex<Option<Courier>>,
    board: Arc<Board>,
    /// Letters that were without an answer at the start.
    unanswered: u32,
    /// Letters for which there was no room.
    discarded: Mutex<Discarded>,
}

/// What everybody is told who listens.
#[derive(Default)]
struct Board(Mutex<Listeners>);

#[derive(Default)]
struct Listeners {
    inboxes: Vec<Weak<Inbox>>,
    connection: Option<Connection>,
    is_over: bool,
}

impl Board {
    fn lock(&self) -> MutexGuard<'_, Listeners> {
        self.0.lock().unwrap_or_else(PoisonError::into_inner)
    }

    /// Takes in what the courier tells.
    fn tell(&self, news: News) {
        match news {
            News::Changed => self.lock().each(Inbox::look_at_home),
            News::Connection(connection) => {
                let mut listeners = self.lock();
                listeners.each(|inbox| inbox.hear_of(&connection));
                listeners.connection = Some(connection);
            }
            News::Remark(words) => {
                // A remark never fails.
                let _ = writeln!(Remarks::new(io::stderr()), "{words}");
            }
            News::Key(phone, word) => self.lock().each(|inbox| inbox.hear_of_key(phone, &word)),
            News::Gone => self.end(),
        }
    }

    /// Nobody is served any more.
    fn end(&self) {
        let mut listeners = self.lock();
        listeners.is_over = true;
        listeners.each(Inbox::end);
    }

    /// An inbox that hears everything from now on, and how it stands with the connection.
    fn listen(&self) -> Arc<Inbox> {
        let inbox = Arc::<Inbox>::default();
        let mut listeners = self.lock();
        if let Some(connection) = &listeners.connection {
            inbox.hear_of(connection);
        }
        if listeners.is_over {
            inbox.end();
        }
        listeners.inboxes.push(Arc::downgrade(&inbox));
        inbox
    }
}

impl Listeners {
    /// Tells each that is still there.
    fn each(&mut self, tell: impl Fn(&Inbox)) {
        self.inboxes.retain(|inbox| match inbox.upgrade() {
            Some(inbox) => {
                tell(&inbox);
                true
            }
            None => false,
        });
    }
}

impl Office {
    fn open(options: Options) -> Result<Self, Failure> {
        let Options { dir, country, receipts, allow_trust, surroundings } = options;
        let board = Arc::<Board>::default();
        end_by_signal(&board)?;
        let told = board.clone();
        let courier = Courier::start(dir.clone(), surroundings, move |news| told.tell(news))?;
        let courier = Mutex::new(Some(courier));
        let unanswered = Home::open(&dir)?.outbox().unanswered()?;
        let discarded = Mutex::default();
        Ok(Self { dir, country, receipts, allow_trust, courier, board, unanswered, discarded })
    }

    /// Tells the person of letters for which there was no room, as other commands do.
    fn tell_discarded(&self, home: &Home) {
        let mut discarded = self.discarded.lock().unwrap_or_else(PoisonError::into_inner);
        // It is told later then, and a remark never fails.
        let _ = discarded.tell(home, Instant::now(), &mut Remarks::new(io::stderr()));
    }

    /// Has the courier look at the outbox at once.
    fn wake(&self) {
        self.carry(|_| ());
    }

    /// Has the server asked what somebody's key is; every inbox hears of it.
    fn ask_key(&self, phone: Phone) {
        let courier = self.courier.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(courier) = &*courier {
            courier.ask_key(phone);
        }
    }

    /// Has a connection made now, if there is none.
    fn connect(&self) {
        let courier = self.courier.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(courier) = &*courier {
            courier.hurry();
        }
    }

    fn carry(&self, errand: impl FnOnce(&mut Hands<'_, '_>) + Send + 'static) {
        let courier = self.courier.lock().unwrap_or_else(PoisonError::into_inner);
        if let Some(courier) = &*courier {
            courier.carry(errand);
        }
    }

    /// Ends the connection, and says why the courier has ended if that was by itself.
    fn leave(&self) -> Result<(), Failure> {
        let courier = self.courier.lock().unwrap_or_else(PoisonError::into_inner).take();
        courier.map_or(Ok(()), Courier::leave)
    }

    /// Lets letters go out until no more are without an answer than at the start, as long as that gets on.
    fn settle(&self) -> Result<(), Failure> {
        let home = Home::open(&self.dir)?;
        let inbox = self.board.listen();
        let mut left = home.outbox().unanswered()?;
        let mut until = Instant::now() + STALLED;
        while left > self.unanswered && Instant::now() < until {
            let work = inbox.take(Some(until));
            if work.is_over || matches!(work.connection, Some(Connection::Lost(_))) {
                break;
            }
            let still = home.outbox().unanswered()?;
            if still < left {
                (left, until) = (still, Instant::now() + STALLED);
            }
        }
        Ok(())
    }
}

/// Serves the program at standard input and output until it has nothing more to say.
///
/// # Errors
/// [`Failure`] when the home does not work, or nobody reads what is said.
pub(crate) fn serve_stdio(options: Options) -> Result<(), Failure> {
    // The console holds the lock of standard output as long as a command runs.
    let output = File::from(io::stdout().as_fd().try_clone_to_owned()?);
    let offices = Arc::new(Offices::open(options)?);
    let board = &offices.usual.board;
    let done = reception::serve(&offices, &board.listen(), io::stdin(), output);
    let settled = if done.is_ok() { offices.settle() } else { Ok(()) };
    let is_over = board.lock().is_over;
    let left = offices.leave();
    match done {
        Ok(()) => settled.and(left),
        Err(Stop::Failed(failure)) => Err(failure),
        Err(Stop::Gone) if is_over => left,
        Err(Stop::Gone) => Err(Failure::Output(io::ErrorKind::BrokenPipe.into())),
    }
}

/// Serves programs of the same user on a socket, until this process is to end.
///
/// # Errors
/// [`Failure`] when the home does not work, or the socket cannot be made.
pub(crate) fn serve_socket(options: Options, path: &Path) -> Result<(), Failure> {
    let offices = Arc::new(Offices::open(options)?);
    let inbox = offices.usual.board.listen();
    let (listener, socket) = SocketFile::bind(path)?;
    let served = offices.clone();
    let accept = move || socket::accept(&listener, &served);
    let thread = thread::Builder::new().name("accept".into()).spawn(accept);
    thread
        .map_err(|error| Failure::General(format!("no thread: {}", system::of_machine(&error))))?;
    while !inbox.take(None).is_over {}
    drop(socket);
    offices.leave()
}

/// Has everything end when the person, or the system, wants that.
fn end_by_signal(board: &Arc<Board>) -> Result<(), Failure> {
    let failed = |error| {
        Failure::General(format!("signals cannot be watched: {}", system::of_machine(&error)))
    };
    let mut signals = Signals::new(interrupt::SIGNALS).map_err(failed)?;
    let board = board.clone();
    let watch = move || {
        for _ in signals.forever() {
            board.end();
        }
    };
    thread::Builder::new().name("signals".into()).spawn(watch).map_err(failed)?;
    Ok(())
}

/// What can be called, as OpenRPC.
pub(crate) fn schema() -> String {
    format!("{:#}", schema::document())
}
