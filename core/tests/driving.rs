//! Both drivers over streams that do as a test says. What a client says and stores depends neither on the
//! driver, nor on how large the pieces are, what waits, and how often a wait is given up.

#[path = "../examples/async_client.rs"]
mod async_client;

use std::cell::RefCell;
use std::collections::VecDeque;
use std::future::{pending, poll_fn, ready};
use std::io::Read as _;
use std::pin::pin;
use std::rc::Rc;
use std::sync::Arc;
use std::sync::atomic::{AtomicBool, Ordering};
use std::task::{Context, Poll, Wake, Waker};

use async_client::client::{Connection, Failure, Machine, Person};
use embedded_io::ErrorKind;
use waxwing_core::client::{DriveError, Ended, Env, Moved, drive, drive_async};
use waxwing_core::crypto::{PrivateKey, RustCrypto};
use waxwing_core::server::{Config, ConnId};
use waxwing_core::time::Instant;
use waxwing_testkit::backend::Backend;
use waxwing_testkit::world::{SERVER_KEY, World};

/// How a stream, and the program around it, treat a client.
#[derive(Clone, Copy, Debug)]
struct Manner {
    /// By `drive`; else by `drive_async`.
    is_blocking: bool,
    /// Bytes that one call reads or writes at most.
    read: usize,
    write: usize,
    /// Each call has to wait first.
    reading_waits: bool,
    writing_waits: bool,
    /// A wait is given up as soon as anything has happened, and another one begins.
    gives_up: bool,
    /// The server does not answer.
    is_mute: bool,
    /// So many bytes, of both directions together, and the stream is over.
    ends_after: usize,
}

const BLOCKING: Manner = Manner {
    is_blocking: true,
    read: usize::MAX,
    write: usize::MAX,
    reading_waits: false,
    writing_waits: false,
    gives_up: false,
    is_mute: false,
    ends_after: usize::MAX,
};
const ASYNC: Manner = Manner { is_blocking: false, ..BLOCKING };

/// A connection, between a client and the server of a world.
struct Line {
    manner: Manner,
    world: RefCell<World>,
    conn: ConnId,
    state: RefCell<State>,
}

/// What is on its way, and who waits for it.
#[derive(Default)]
struct State {
    said: Vec<u8>,
    /// Of that, what the server has been given.
    taken: usize,
    heard: VecDeque<u8>,
    moved: usize,
    is_over: bool,
    reading: Gate,
    writing: Gate,
    due: Option<Instant>,
    timer: Option<Waker>,
    steps: usize,
    giver_up: Option<Waker>,
}

/// One direction, for an executor.
#[derive(Default)]
struct Gate {
    is_open: bool,
    waker: Option<Waker>,
}

impl Gate {
    /// Whether a call may go on; else it is woken when it may.
    fn pass(&mut self, waits: bool, context: &Context<'_>) -> bool {
        let passes = !waits || std::mem::take(&mut self.is_open);
        if !passes {
            self.wait(context);
        }
        passes
    }

    fn wait(&mut self, context: &Context<'_>) {
        self.waker = Some(context.waker().clone());
    }

    /// Whether somebody waited, and goes on.
    fn open(&mut self) -> bool {
        self.is_open = true;
        self.waker.take().map(Waker::wake).is_some()
    }
}

impl State {
    fn read(&mut self, manner: &Manner, buffer: &mut [u8]) -> usize {
        let room = buffer.len().min(manner.read).min(manner.ends_after - self.moved);
        let count = self.heard.read(&mut buffer[..room]).unwrap();
        self.moved += count;
        count
    }

    fn write(&mut self, manner: &Manner, bytes: &[u8]) -> Result<usize, ErrorKind> {
        let count = bytes.len().min(manner.write).min(manner.ends_after - self.moved);
        if count == 0 || self.is_over {
            return Err(ErrorKind::BrokenPipe);
        }
        self.said.extend_from_slice(&bytes[..count]);
        self.moved += count;
        Ok(count)
    }

    fn can_read(&self, manner: &Manner) -> bool {
        self.is_over || !self.heard.is_empty() || self.moved == manner.ends_after
    }
}

impl Line {
    fn new(mut world: World, manner: Manner) -> Rc<Self> {
        let conn = world.connect();
        Rc::new(Self { manner, world: world.into(), conn, state: RefCell::default() })
    }

    /// One thing happens that the client waits for.
    fn step(&self) {
        let mut state = self.state.borrow_mut();
        state.steps += 1;
        state.giver_up.take().into_iter().for_each(Waker::wake);
        // The server hears of it when the client has done all that it can.
        if state.writing.open() || (state.can_read(&self.manner) && state.reading.open()) {
            return;
        }
        let mut world = self.world.borrow_mut();
        if state.taken < state.said.len() && !self.manner.is_mute {
            if !world.is_closed(self.conn) {
                world.send(self.conn, &state.said[state.taken..]);
            }
            state.taken = state.said.len();
        } else if !state.can_read(&self.manner) {
            let due = state.due.take().expect("the client waits for nothing");
            let now = world.now.instant;
            world.wait(due.since(now));
            state.timer.take().into_iter().for_each(Waker::wake);
        }
        state.heard.extend(world.bytes(self.conn));
        state.is_over = world.is_closed(self.conn) && !self.manner.is_mute;
        if state.can_read(&self.manner) {
            state.reading.open();
        }
    }

    /// The next step; what was waited for before is given up.
    async fn next_step(&self) {
        let steps = self.state.borrow().steps;
        poll_fn(|context| {
            let mut state = self.state.borrow_mut();
            if state.steps > steps {
                return Poll::Ready(());
            }
            state.giver_up = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }

    async fn timer(&self, due: Option<Instant>) {
        self.state.borrow_mut().due = due;
        poll_fn(|context| {
            if due.is_some_and(|due| due <= self.world.borrow().now.instant) {
                return Poll::Ready(());
            }
            self.state.borrow_mut().timer = Some(context.waker().clone());
            Poll::Pending
        })
        .await;
    }
}

/// An end of a line, or a half of it.
struct End(Rc<Line>);

impl embedded_io::ErrorType for End {
    type Error = ErrorKind;
}

impl embedded_io::ReadReady for End {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(self.0.state.borrow().can_read(&self.0.manner))
    }
}

impl embedded_io::Read for End {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Ok(self.0.state.borrow_mut().read(&self.0.manner, buffer))
    }
}

impl embedded_io::WriteReady for End {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(true)
    }
}

impl embedded_io::Write for End {
    fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.0.state.borrow_mut().write(&self.0.manner, bytes)
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

impl embedded_io_async::Read for End {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        assert!(!buffer.is_empty(), "a read without a buffer looks like the end of the stream");
        poll_fn(|context| {
            let (state, manner) = (&mut *self.0.state.borrow_mut(), &self.0.manner);
            if !state.can_read(manner) {
                state.reading.wait(context);
                return Poll::Pending;
            }
            if !state.reading.pass(manner.reading_waits, context) {
                return Poll::Pending;
            }
            Poll::Ready(Ok(state.read(manner, buffer)))
        })
        .await
    }
}

impl embedded_io_async::Write for End {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        assert!(!bytes.is_empty(), "nothing is written");
        poll_fn(|context| {
            let (state, manner) = (&mut *self.0.state.borrow_mut(), &self.0.manner);
            match state.writing.pass(manner.writing_waits, context) {
                true => Poll::Ready(state.write(manner, bytes)),
                false => Poll::Pending,
            }
        })
        .await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// Runs a task, and has something happen whenever it has not been woken.
fn run<T>(task: impl Future<Output = T>, mut step: impl FnMut()) -> T {
    struct Woken(AtomicBool);

    impl Wake for Woken {
        fn wake(self: Arc<Self>) {
            self.0.store(true, Ordering::Relaxed);
        }
    }

    let woken = Arc::new(Woken(AtomicBool::new(true)));
    let waker = Waker::from(woken.clone());
    let mut task = pin!(task);
    loop {
        while woken.0.swap(false, Ordering::Relaxed) {
            if let Poll::Ready(output) = task.as_mut().poll(&mut Context::from_waker(&waker)) {
                return output;
            }
        }
        step();
    }
}

/// The one that is ready first, the first of both if both are.
async fn first<T>(one: impl Future<Output = T>, other: impl Future<Output = T>) -> T {
    let (mut one, mut other) = (pin!(one), pin!(other));
    poll_fn(|context| match one.as_mut().poll(context) {
        Poll::Pending => other.as_mut().poll(context),
        output => output,
    })
    .await
}

/// One connection, to its end.
fn connection(person: &mut Person, line: &Rc<Line>) -> Result<(), Failure> {
    let Person { identity, stored, rng, .. } = person;
    let client = &mut identity.machine();
    let now = || line.world.borrow().now;
    let env = &mut Env { now: now(), rng };
    let mut connection = Connection::begin(identity, stored, client, env)?;
    let end = || End(line.clone());
    if line.manner.is_blocking {
        loop {
            let env = &mut Env { now: now(), rng };
            let moved = drive(client, &mut end(), env);
            if connection.turn(client, env, moved.is_ok())? {
                return Ok(());
            }
            if moved.is_ok_and(|moved| moved.is_nothing()) && client.transmit().is_empty() {
                line.state.borrow_mut().due = client.poll_timeout();
                line.step();
            }
        }
    }
    let task = async {
        let (mut reader, mut writer) = (end(), end());
        loop {
            let driven = drive_async(client, &mut reader, &mut writer, |due| line.timer(due));
            let given_up = async {
                if !line.manner.gives_up {
                    pending::<()>().await;
                }
                line.next_step().await;
                Ok(Moved::default())
            };
            let moved = first(given_up, driven).await;
            let env = &mut Env { now: now(), rng };
            client.timeout(env);
            if connection.turn(client, env, moved.is_ok())? {
                return Ok(());
            }
        }
    };
    run(task, || line.step())
}

/// The same over a new line of a world. What was said, and how it ended.
fn connect(
    person: &mut Person,
    world: World,
    manner: Manner,
) -> (World, Vec<u8>, Result<(), Failure>) {
    let line = Line::new(world, manner);
    let over = connection(person, &line);
    let Line { world, conn, state, .. } = Rc::into_inner(line).unwrap();
    let mut world = world.into_inner();
    world.hang_up(conn);
    world.settle();
    (world, state.into_inner().said, over)
}

fn new_world() -> World {
    World::new(Config { otp_in_band: true, ..Config::default() })
}

fn people() -> [Person; 2] {
    let server = RustCrypto::key(SERVER_KEY);
    [1, 2].map(|number| Person::new(number, server.spki()))
}

/// Ben registers, Ann registers and writes to him, and he reads it: what the two have said.
fn life(manner: Manner) -> [Vec<u8>; 3] {
    let [mut ann, mut ben] = people();
    let (world, registered, over) = connect(&mut ben, new_world(), manner);
    over.unwrap();
    ann.write(&ben.identity.phone, "is it the same?");
    let (world, wrote, over) = connect(&mut ann, world, manner);
    over.unwrap();
    let (_, read, over) = connect(&mut ben, world, manner);
    over.unwrap();
    assert_eq!(ben.stored.received, ["is it the same?"], "{manner:?}");
    [registered, wrote, read]
}

#[test]
fn the_same_is_said_over_every_stream_and_with_either_driver() {
    let expected = life(BLOCKING);
    let pieces = Manner { read: 7, write: 11, ..ASYNC };
    let slow = Manner { reading_waits: true, writing_waits: true, ..pieces };
    let manners = [
        Manner { read: 1, write: 1, ..BLOCKING },
        ASYNC,
        Manner { read: 1, write: 1, ..ASYNC },
        pieces,
        Manner { reading_waits: true, ..pieces },
        Manner { writing_waits: true, ..pieces },
        slow,
        Manner { gives_up: true, ..ASYNC },
        Manner { gives_up: true, ..pieces },
        Manner { gives_up: true, ..slow },
        Manner { gives_up: true, read: 1, write: 1, ..slow },
    ];
    for manner in manners {
        assert!(life(manner) == expected, "something else was said: {manner:?}");
    }
}

#[test]
fn a_letter_comes_once_wherever_a_stream_ends() {
    let whole: usize = life(ASYNC)[1].len();
    for manner in [BLOCKING, ASYNC] {
        for ends_after in (0..2 * whole).step_by(whole / 8) {
            let [mut ann, mut ben] = people();
            let (world, _, over) = connect(&mut ben, new_world(), manner);
            over.unwrap();
            ann.write(&ben.identity.phone, "once");
            let (mut world, _, over) = connect(&mut ann, world, Manner { ends_after, ..manner });
            let failed = matches!(over, Err(Failure::Stream));
            assert!(failed || over.is_ok(), "after {ends_after} bytes: {over:?}");
            if let Err(failure) = over {
                world.wait(failure.pause().expect("another connection may do better"));
                let over;
                (world, _, over) = connect(&mut ann, world, manner);
                over.unwrap();
            }
            let (_, _, over) = connect(&mut ben, world, manner);
            over.unwrap();
            assert_eq!(ben.stored.received, ["once"], "after {ends_after} bytes");
        }
    }
}

#[test]
fn a_server_that_does_not_answer_is_given_up_when_it_is_due() {
    for manner in [BLOCKING, ASYNC, Manner { gives_up: true, ..ASYNC }] {
        let [mut ann, _] = people();
        let (world, _, over) = connect(&mut ann, new_world(), Manner { is_mute: true, ..manner });
        let over = over.unwrap_err();
        assert!(matches!(over, Failure::Ended(Ended::TimedOut)), "{over:?}");
        let now = world.now.instant.as_micros();
        let due = Instant::default().after(Machine::ANSWER_TIMEOUT).as_micros();
        assert!((due..due + 1_000_000).contains(&now), "{now}");
    }
}

/// What a half of a stream does when it is asked.
struct Half<F>(F);

impl<F> embedded_io::ErrorType for Half<F> {
    type Error = ErrorKind;
}

impl<F: FnMut(&mut [u8]) -> Poll<Result<usize, ErrorKind>>> embedded_io_async::Read for Half<F> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| self.0(buffer)).await
    }
}

/// The same for the half that is written to.
struct Sink<F>(F);

impl<F> embedded_io::ErrorType for Sink<F> {
    type Error = ErrorKind;
}

impl<F: FnMut(&[u8]) -> Poll<Result<usize, ErrorKind>>> embedded_io_async::Write for Sink<F> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        poll_fn(|_| self.0(bytes)).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        unreachable!("what was taken is on its way")
    }
}

type Driven = Poll<Result<Moved, DriveError<ErrorKind>>>;

/// Drives a machine that has a request to send, and looks once; `until` is what else is waited for.
fn look(
    client: &mut Machine<'_>,
    read: impl FnMut(&mut [u8]) -> Poll<Result<usize, ErrorKind>>,
    write: impl FnMut(&[u8]) -> Poll<Result<usize, ErrorKind>>,
    until: impl Future<Output = ()>,
) -> Driven {
    let due = client.poll_timeout();
    let (mut reader, mut writer) = (Half(read), Sink(write));
    let until = |deadline| {
        assert_eq!(deadline, due, "what is waited for is the machine's deadline");
        until
    };
    let driven = pin!(drive_async(client, &mut reader, &mut writer, until));
    driven.poll(&mut Context::from_waker(Waker::noop()))
}

/// What `look` does to a machine that has asked for a code.
fn with_request<T>(act: impl FnOnce(&mut Machine<'_>, usize) -> T) -> T {
    let [mut ann, _] = people();
    let mut client = ann.identity.machine();
    let env = &mut Env { now: new_world().now, rng: &mut ann.rng };
    Connection::begin(&ann.identity, &mut ann.stored, &mut client, env).unwrap();
    let len = client.transmit().len();
    assert!(len > 500);
    act(&mut client, len)
}

fn moved(driven: Driven) -> (usize, usize) {
    match driven {
        Poll::Ready(Ok(Moved { read, written, .. })) => (read, written),
        other => panic!("{other:?}"),
    }
}

#[test]
fn reading_does_not_wait_for_a_writer_that_is_stuck() {
    with_request(|client, len| {
        let mut gives = 10;
        let read = |_: &mut [u8]| match std::mem::take(&mut gives) {
            0 => Poll::Pending,
            count => Poll::Ready(Ok(count)),
        };
        assert_eq!(moved(look(client, read, |_| Poll::Pending, pending())), (10, 0));
        assert_eq!(client.transmit().len(), len);
    });
}

#[test]
fn writing_does_not_wait_for_a_reader_that_has_nothing() {
    with_request(|client, len| {
        let write = |bytes: &[u8]| Poll::Ready(Ok(bytes.len().min(100)));
        assert_eq!(moved(look(client, |_| Poll::Pending, write, pending())), (0, len));
        assert!(client.transmit().is_empty());
    });
}

#[test]
fn one_waits_while_nothing_can_be_moved() {
    with_request(|client, _| {
        assert!(look(client, |_| Poll::Pending, |_| Poll::Pending, pending()).is_pending());
    });
}

#[test]
fn a_wait_ends_when_the_program_says_so() {
    with_request(|client, len| {
        assert_eq!(moved(look(client, |_| Poll::Pending, |_| Poll::Pending, ready(()))), (0, 0));
        // What is ready is moved before that.
        let write = |bytes: &[u8]| Poll::Ready(Ok(bytes.len()));
        assert_eq!(moved(look(client, |_| Poll::Pending, write, ready(()))), (0, len));
    });
}

#[test]
fn what_one_direction_has_moved_counts_when_the_other_fails() {
    with_request(|client, len| {
        let write = |bytes: &[u8]| Poll::Ready(Ok(bytes.len()));
        let read = |_: &mut [u8]| Poll::Ready(Err(ErrorKind::ConnectionReset));
        let error = DriveError::Stream(ErrorKind::ConnectionReset);
        assert_eq!(look(client, read, write, pending()), Poll::Ready(Err(error)));
        assert!(client.transmit().is_empty(), "{len} bytes have gone out");
    });
    with_request(|client, _| {
        let room = client.receive_buffer().len();
        let mut gives = 10;
        let read = |_: &mut [u8]| match std::mem::take(&mut gives) {
            0 => Poll::Pending,
            count => Poll::Ready(Ok(count)),
        };
        let write = |_: &[u8]| Poll::Ready(Err(ErrorKind::BrokenPipe));
        assert_eq!(moved(look(client, read, write, pending())), (10, 0));
        assert_eq!(client.receive_buffer().len(), room - 10);
        let error = DriveError::Stream(ErrorKind::BrokenPipe);
        assert_eq!(look(client, |_| Poll::Pending, write, pending()), Poll::Ready(Err(error)));
    });
}

/// A stream that has something to read, and takes nothing.
struct Deaf {
    gives: VecDeque<u8>,
    /// What it says to whoever writes.
    on_write: Result<usize, ErrorKind>,
}

impl embedded_io::ErrorType for Deaf {
    type Error = ErrorKind;
}

impl embedded_io::ReadReady for Deaf {
    fn read_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(!self.gives.is_empty())
    }
}

impl embedded_io::Read for Deaf {
    fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        Ok(self.gives.read(buffer).unwrap())
    }
}

impl embedded_io::WriteReady for Deaf {
    fn write_ready(&mut self) -> Result<bool, ErrorKind> {
        Ok(true)
    }
}

impl embedded_io::Write for Deaf {
    fn write(&mut self, _: &[u8]) -> Result<usize, ErrorKind> {
        self.on_write
    }

    fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}

/// What a server says that refuses the request and closes.
fn refusal(client: &mut Machine<'_>) -> Vec<u8> {
    let mut world = new_world();
    let conn = world.connect();
    let mut request = client.transmit().to_vec();
    // Whoever asks for a code has no id.
    request[0] = 99;
    world.send(conn, &request);
    assert!(world.is_closed(conn));
    world.bytes(conn)
}

#[test]
fn why_the_server_has_closed_is_read_from_a_stream_that_takes_nothing_any_more() {
    let [mut ann, _] = people();
    for (on_write, error) in [
        (Err(ErrorKind::BrokenPipe), DriveError::Stream(ErrorKind::BrokenPipe)),
        (Ok(0), DriveError::EndOfStream),
    ] {
        with_request(|client, _| {
            let env = &mut Env { now: new_world().now, rng: &mut ann.rng };
            let mut stream = Deaf { gives: refusal(client).into(), on_write };
            let moved = drive(client, &mut stream, env).unwrap();
            assert_eq!((moved.read > 0, moved.written), (true, 0));
            assert!(matches!(client.poll(env), Err(Ended::Refused(_))));
        });
        with_request(|client, _| {
            let env = &mut Env { now: new_world().now, rng: &mut ann.rng };
            let (mut gives, len) = (VecDeque::from(refusal(client)), client.transmit().len());
            let read = |buffer: &mut [u8]| match gives.read(buffer).unwrap() {
                0 => Poll::Pending,
                count => Poll::Ready(Ok(count)),
            };
            let driven = look(client, read, |_| Poll::Ready(on_write), pending());
            assert!(matches!(driven, Poll::Ready(Ok(moved)) if moved.read > 0));
            assert_eq!(client.transmit().len(), len);
            assert!(matches!(client.poll(env), Err(Ended::Refused(_))));
        });
        with_request(|client, _| {
            let env = &mut Env { now: new_world().now, rng: &mut ann.rng };
            let mut stream = Deaf { gives: VecDeque::from([0]), on_write };
            assert_eq!(drive(client, &mut stream, env).map(|moved| moved.read), Ok(1));
            assert_eq!(drive(client, &mut stream, env), Err(error));
        });
    }
}

#[test]
fn a_stream_that_gives_or_takes_nothing_is_over() {
    let over = Poll::Ready(Err(DriveError::EndOfStream));
    with_request(|client, _| {
        let read = |_: &mut [u8]| Poll::Ready(Ok(0));
        assert_eq!(look(client, read, |_| Poll::Pending, pending()), over);
        let mut has_been_asked = false;
        let write = |_: &[u8]| {
            assert!(!std::mem::replace(&mut has_been_asked, true), "it is over");
            Poll::Ready(Ok(0))
        };
        assert_eq!(look(client, |_| Poll::Pending, write, pending()), over);
    });
    /// A stream that says it is ready, and takes nothing.
    struct Full;

    impl embedded_io::ErrorType for Full {
        type Error = ErrorKind;
    }

    impl embedded_io::ReadReady for Full {
        fn read_ready(&mut self) -> Result<bool, ErrorKind> {
            Ok(false)
        }
    }

    impl embedded_io::Read for Full {
        fn read(&mut self, _: &mut [u8]) -> Result<usize, ErrorKind> {
            unreachable!("it is not ready")
        }
    }

    impl embedded_io::WriteReady for Full {
        fn write_ready(&mut self) -> Result<bool, ErrorKind> {
            Ok(true)
        }
    }

    impl embedded_io::Write for Full {
        fn write(&mut self, _: &[u8]) -> Result<usize, ErrorKind> {
            Ok(0)
        }

        fn flush(&mut self) -> Result<(), ErrorKind> {
            Ok(())
        }
    }

    let [mut ann, _] = people();
    with_request(|client, _| {
        let env = &mut Env { now: new_world().now, rng: &mut ann.rng };
        assert_eq!(drive(client, &mut Full, env), Err(DriveError::EndOfStream));
    });
}

#[test]
fn the_example_with_an_executor_sends_and_receives() {
    async_client::main();
}

#[test]
fn both_buffers_are_lent_at_once() {
    with_request(|client, len| {
        let room = client.receive_buffer().len();
        let (receive, transmit) = client.lend_buffers();
        receive[0] = transmit[0];
        assert_eq!((receive.len(), transmit.len()), (room, len));
        client.received(1);
        client.transmitted(2);
        let (receive, transmit) = client.lend_buffers();
        assert_eq!((receive.len(), transmit.len()), (room - 1, len - 2));
    });
}
