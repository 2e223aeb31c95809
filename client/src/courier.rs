//! The courier of a home: a thread that has the session, and carries out what changes something.
//!
//! A program that must not wait (a full screen) gives its errands to the courier, and hears news. The
//! courier writes to the home, and only the courier does; others read the home by themselves. What was
//! handed in before [`Courier::leave`] is still carried out.

use std::path::{Path, PathBuf};
use std::rc::Rc;
use std::sync::Arc;
use std::sync::mpsc::{Receiver, RecvTimeoutError, Sender, TryRecvError, channel, sync_channel};
use std::thread::{self, JoinHandle};
use std::time::{Duration, Instant};

use waxwing_core::crypto::Spki;
use waxwing_core::phone::Phone;

use crate::exit::Failure;
use crate::home::{Home, HomeError, Registration, Which};
use crate::servers::Servers;
use crate::session::{Account, Host, Note, Session, SessionError, Tell};
use crate::system;

/// How long the courier waits for news of others before it looks at the home by itself.
const LOOK: Duration = Duration::from_millis(50);
/// Until a session is begun again that the home, or this machine, would not let go on.
const PAUSE: Duration = Duration::from_secs(5);
/// The same after what no further attempt mends, such as an account that the server does not know: the
/// slowest pace at which a client may go on.
const GIVEN_UP: Duration = Duration::from_mins(5);
/// How long the server may take to say what a key is.
const PATIENCE: Duration = Duration::from_secs(10);
/// Items that are put into the index of the search at a time, once nothing has come for a moment.
const INDEXED: u32 = 200;
const QUIET: Duration = Duration::from_secs(1);

/// How often letters are looked for that are older than they are kept.
const FORGET: Duration = Duration::from_mins(1);

/// What a courier has at hand for an errand.
pub struct Hands<'h, 'a> {
    /// The home, which the errand may change.
    pub home: &'a Home,
    /// Whose home it is.
    pub account: &'a Account,
    /// The session, unless it could not go on a moment ago.
    pub session: Option<&'h mut Session<'a>>,
}

/// Something to be carried out.
pub type Errand = Box<dyn FnOnce(&mut Hands<'_, '_>) + Send>;

/// Whether there is a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Connection {
    /// One is being made.
    Begun,
    /// Everything that was pending at the server has come.
    Stands,
    /// There is none, for this reason.
    Lost(Loss),
}

/// Why there is no connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Loss {
    /// In a few words.
    pub brief: String,
    /// In a sentence that says what to do, if there is something.
    pub why: String,
}

impl Loss {
    /// What a problem of the session of `home` comes to.
    fn of(problem: &SessionError, home: &Home) -> Self {
        let why = match problem {
            // For how long, is another time with each look.
            SessionError::HolderSilent(_) => problem.to_string(),
            problem => Failure::from(problem).to_string(),
        };
        Self { brief: problem.in_brief(home.dir()), why }
    }
}

/// What the server says about somebody's key.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum KeyWord {
    /// What the home has is what the server has said now.
    Said,
    /// It knows nobody with this phone, or does not say.
    Nothing,
    /// What it says cannot be believed, for this reason.
    Refused(String),
    /// It was not asked, or has not answered, for this reason.
    Unasked(String),
}

/// What a courier has to tell.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum News {
    /// Something that a list of conversations, or a page of one, shows is not as it was.
    Changed,
    /// There is another state of the connection.
    Connection(Connection),
    /// What a person may want to know, in words.
    Remark(String),
    /// The answer to [`Courier::ask_key`].
    Key(Phone, KeyWord),
    /// The courier is gone and carries nothing any more.
    Gone,
}

/// A thread that has the session of a home.
pub struct Courier {
    orders: Sender<Order>,
    waker: Arc<mio::Waker>,
    thread: JoinHandle<Result<(), Failure>>,
}

enum Order {
    Carry(Errand),
    AskKey(Phone),
    Hurry,
}

impl Courier {
    /// Sends a courier out. `tell` is called in its thread, and must not wait.
    ///
    /// # Errors
    /// [`Failure`] when the home does not open or has no account.
    pub fn start(
        dir: PathBuf,
        host: Surroundings,
        tell: impl Fn(News) + Send + 'static,
    ) -> Result<Self, Failure> {
        let (orders, given) = channel();
        let (ready, begun) = sync_channel(1);
        let thread = thread::Builder::new()
            .name("courier".into())
            .spawn(move || {
                let tell: Rc<dyn Fn(News)> = Rc::new(tell);
                let _gone = TellAtEnd(tell.clone());
                run(dir, host, &tell, &given, |waker| {
                    // Whoever waits for it has been told that the thread has begun.
                    let _ = ready.send(waker);
                })
            })
            .map_err(|error| {
                Failure::General(format!(
                    "no thread for the session: {}",
                    system::of_machine(&error)
                ))
            })?;
        match begun.recv() {
            Ok(waker) => Ok(Self { orders, waker, thread }),
            Err(_) => Err(ended(thread).err().unwrap_or(Failure::Interrupted)),
        }
    }

    /// Has something carried out, after what was handed in before.
    pub fn carry(&self, errand: impl FnOnce(&mut Hands<'_, '_>) + Send + 'static) {
        self.order(Order::Carry(Box::new(errand)));
    }

    /// Has the server asked what somebody's key is.
    pub fn ask_key(&self, phone: Phone) {
        self.order(Order::AskKey(phone));
    }

    /// Has a connection made now, if there is none, and letters tried that were put off.
    pub fn hurry(&self) {
        self.order(Order::Hurry);
    }

    fn order(&self, order: Order) {
        // A courier that is gone has said so. Without the wake-up the order waits for the next look.
        let _ = self.orders.send(order);
        let _ = self.waker.wake();
    }

    /// Waits until everything is carried out, and the server has been told goodbye.
    ///
    /// # Errors
    /// [`Failure`] when the courier could not go on, or the home refuses what came in last.
    pub fn leave(self) -> Result<(), Failure> {
        drop(self.orders);
        let _ = self.waker.wake();
        ended(self.thread)
    }
}

/// What a courier takes from the program that it runs in.
#[derive(Clone, Copy)]
pub struct Surroundings {
    /// Clocks and generator, with somebody who is told what a person may want to know.
    pub host: fn(Tell) -> Host,
    /// What a person is told of a note.
    pub words: fn(Note<'_>) -> Option<String>,
    /// How long letters are kept; `None` is for ever.
    pub kept: Option<Duration>,
}

fn ended(thread: JoinHandle<Result<(), Failure>>) -> Result<(), Failure> {
    let panicked = |_| Failure::General("the thread with the session has failed".into());
    thread.join().map_err(panicked)?
}

/// However the thread ends, whoever waits for news hears of it.
struct TellAtEnd(Rc<dyn Fn(News)>);

impl Drop for TellAtEnd {
    fn drop(&mut self) {
        (self.0)(News::Gone);
    }
}

fn run(
    dir: PathBuf,
    surroundings: Surroundings,
    tell: &Rc<dyn Fn(News)>,
    given: &Receiver<Order>,
    begun: impl FnOnce(Arc<mio::Waker>),
) -> Result<(), Failure> {
    let home = Home::open(&dir)?;
    let identity = home.identity()?.filter(|identity| identity.user_id().is_some());
    let identity = identity.ok_or_else(Failure::not_registered)?;
    let account = Account::new(identity)?;
    let remark = tell.clone();
    let host = (surroundings.host)(Rc::new(move |note| {
        if let Some(words) = (surroundings.words)(note) {
            remark(News::Remark(words));
        }
    }));
    let mut round = Round {
        home: &home,
        account: &account,
        tell: &**tell,
        given,
        asked: Vec::new(),
        change: home.conversations().last_change()?,
        connection: Connection::Begun,
        quiet_since: Instant::now(),
        is_indexed: false,
        kept: surroundings.kept,
        forgets_at: Instant::now(),
    };
    let mut begun = Some(begun);
    // Whoever sends a courier out wants a connection.
    let mut is_wanted = true;
    loop {
        let registered = round.registered();
        let take = if is_wanted { Session::new } else { Session::again };
        let mut session = take(&home, &account, host.clone())?;
        if let Some(begun) = begun.take() {
            begun(session.waker());
        }
        let Err(error) = round.serve(&mut session) else {
            return Ok(session.leave()?);
        };
        // Others may try meanwhile.
        drop(session);
        let error = match error {
            SessionError::Home(error) => SessionError::Home(error.of_home(home.dir())),
            error => error,
        };
        round.say(Connection::Lost(Loss::of(&error, &home)));
        let pause = match error {
            error if error.is_taken_over() => None,
            SessionError::Over(_) => Some(GIVEN_UP),
            _ => Some(PAUSE),
        };
        // What is handed in meanwhile is stored, and goes out when there is a session again.
        match round.pause(pause, registered.as_ref()) {
            Pause::Over => is_wanted = false,
            Pause::Hurried => is_wanted = true,
            Pause::Left => return Ok(()),
        }
    }
}

/// Why a courier does not pause any longer.
enum Pause {
    /// It has paused for long enough, or the home is not as it was.
    Over,
    /// Somebody has asked for a connection.
    Hurried,
    /// Nobody can hand in more.
    Left,
}

/// What a courier knows while it goes round.
struct Round<'a> {
    home: &'a Home,
    account: &'a Account,
    tell: &'a dyn Fn(News),
    given: &'a Receiver<Order>,
    /// Whose keys the server was asked for, and until when.
    asked: Vec<(Phone, Instant)>,
    /// The last change that was told.
    change: i64,
    /// What was told last of the connection.
    connection: Connection,
    /// Since when nothing has changed.
    quiet_since: Instant,
    /// Everything that can be found is in the index.
    is_indexed: bool,
    /// How long letters are kept, and when those are looked for again that are older.
    kept: Option<Duration>,
    forgets_at: Instant,
}

impl<'a> Round<'a> {
    /// Goes on until nobody can give errands any more.
    fn serve(&mut self, session: &mut Session<'a>) -> Result<(), SessionError> {
        loop {
            loop {
                match self.given.try_recv() {
                    Ok(order) => self.take(order, Some(session)),
                    Err(TryRecvError::Empty) => break,
                    Err(TryRecvError::Disconnected) => return Ok(()),
                }
            }
            let patience = if self.index() { Duration::ZERO } else { LOOK };
            session.turn(patience)?;
            self.look_at_home()?;
            self.look_at(session);
            self.forget_old(session);
        }
    }

    fn take(&mut self, order: Order, session: Option<&mut Session<'a>>) {
        match (order, session) {
            (Order::Carry(errand), session) => {
                errand(&mut Hands { home: self.home, account: self.account, session });
            }
            (Order::AskKey(phone), Some(session)) => {
                session.want_key(&phone);
                self.asked.push((phone, Instant::now() + PATIENCE));
            }
            (Order::Hurry, session) => {
                // What a home takes that cannot be written, the next session finds out.
                let _ = self.home.outbox().hurry(Which::All);
                if let Some(session) = session {
                    session.hurry();
                }
            }
            (Order::AskKey(phone), None) => {
                let why = "there is no connection".to_owned();
                (self.tell)(News::Key(phone, KeyWord::Unasked(why)));
            }
        }
    }

    /// What the home says of the account and its server.
    fn registered(&self) -> Option<(Registration, Servers, Spki)> {
        let identity = self.home.identity().ok()??;
        Some((identity.registration, identity.servers, identity.server_key))
    }

    /// Stores what is handed in, without a session, for so long, or until somebody asks for a connection or
    /// has registered the account again. Without a time it waits until somebody, in this process or another
    /// one, wants the session back that another session has taken over.
    fn pause(
        &mut self,
        pause: Option<Duration>,
        registered: Option<&(Registration, Servers, Spki)>,
    ) -> Pause {
        let is_taken_over = self.home.is_taken_over();
        let until = pause.map(|pause| Instant::now() + pause);
        loop {
            let left = until.map(|until| until.saturating_duration_since(Instant::now()));
            match self.given.recv_timeout(left.unwrap_or(QUIET).min(QUIET)) {
                Ok(order) => {
                    let is_hurried = matches!(order, Order::Hurry);
                    self.take(order, None);
                    // Nobody reads a home that does not read, and the next session finds that out.
                    let _ = self.look_at_home();
                    if is_hurried {
                        return Pause::Hurried;
                    }
                }
                Err(RecvTimeoutError::Timeout) if left.is_some_and(|left| left <= QUIET) => {
                    return Pause::Over;
                }
                Err(RecvTimeoutError::Timeout) => {
                    let _ = self.look_at_home();
                    let is_taken_back = is_taken_over && !self.home.is_taken_over();
                    if is_taken_back
                        || self.registered().is_some_and(|now| Some(&now) != registered)
                    {
                        return Pause::Over;
                    }
                }
                Err(RecvTimeoutError::Disconnected) => return Pause::Left,
            }
        }
    }

    /// Puts some items into the index, if there are any that are not in it; whether there is more.
    fn index(&mut self) -> bool {
        if self.is_indexed || self.quiet_since.elapsed() < QUIET {
            return false;
        }
        // Search looks through what is not in the index, so nothing depends on it.
        let more = self.home.index_more(INDEXED).unwrap_or(false);
        self.is_indexed = !more;
        more
    }

    /// Deletes what is older than it is kept, now and then.
    fn forget_old(&mut self, session: &Session<'_>) {
        let (Some(kept), Some(now)) = (self.kept, session.agreed_time()) else { return };
        if Instant::now() >= self.forgets_at {
            self.forgets_at = Instant::now() + FORGET;
            // What cannot be deleted now is deleted later.
            let _ = self.home.forget_older(kept, now);
        }
    }

    fn look_at_home(&mut self) -> Result<(), HomeError> {
        let change = self.home.conversations().last_change()?;
        if change != self.change {
            self.change = change;
            (self.quiet_since, self.is_indexed) = (Instant::now(), false);
            (self.tell)(News::Changed);
        }
        Ok(())
    }

    fn look_at(&mut self, session: &mut Session<'_>) {
        let connection = match session.problem() {
            Some(problem) => Connection::Lost(Loss::of(problem, self.home)),
            None if session.has_backlog() => Connection::Stands,
            None => Connection::Begun,
        };
        self.say(connection);
        let (tell, dir) = (self.tell, self.home.dir());
        self.asked.retain(|(phone, until)| match word_of(session, dir, phone, *until) {
            Some(word) => {
                tell(News::Key(*phone, word));
                false
            }
            None => true,
        });
    }

    fn say(&mut self, connection: Connection) {
        if connection != self.connection {
            self.connection = connection.clone();
            (self.tell)(News::Connection(connection));
        }
    }
}

/// What the server says about a key, once that is known.
fn word_of(session: &Session<'_>, dir: &Path, phone: &Phone, until: Instant) -> Option<KeyWord> {
    if !session.has_session() {
        let why = "another waxwing of this home has the session";
        return Some(KeyWord::Unasked(why.to_owned()));
    }
    if let Some(problem) = session.problem() {
        return Some(KeyWord::Unasked(format!("no connection: {}", problem.in_brief(dir))));
    }
    if let Some(conflict) = session.refused_answer(phone) {
        return Some(KeyWord::Refused(conflict.to_string()));
    }
    if session.has_word_of(phone) {
        return Some(KeyWord::Said);
    }
    if session.has_answer(phone) && session.has_backlog() {
        return Some(KeyWord::Nothing);
    }
    (Instant::now() >= until).then(|| KeyWord::Unasked("it gave no answer".to_owned()))
}
