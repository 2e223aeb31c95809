//! How connections end, and what still arrives.

mod common;

use std::io::{ErrorKind, Read, Write};
use std::net::{Shutdown, SocketAddr};
use std::time::{Duration, Instant};

use common::{Heard, PATIENCE, Remote, connect, pattern, read_all, reset, tight};
use waxwing_transport_mio::{CloseReason, Config, EventLoop, Handler, Io, Token};

#[test]
fn a_fin_is_told_after_the_last_bytes() {
    let server = Remote::start(Config::default());
    let (mut stream, token) = server.client();
    stream.write_all(b"last words").unwrap();
    drop(stream);
    assert_eq!(server.next_bytes(token, 10), b"last words");
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::PeerClosed));
    server.silent();
    server.stop();
}

#[test]
fn a_fin_does_not_cut_off_the_answer() {
    let server = Remote::start(tight());
    let (mut stream, token) = server.client();
    let answer = pattern(1 << 19);
    let copy = answer.clone();
    server.ask(move |io| io.send_owned(token, copy));
    stream.write_all(b"question").unwrap();
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.next_bytes(token, 8), b"question");
    assert!(read_all(&stream) == answer);
    loop {
        match server.next() {
            Heard::Drained(_) => {}
            other => break assert_eq!(other, Heard::Closed(token, CloseReason::PeerClosed)),
        }
    }
    server.stop();
}

#[test]
fn a_fin_and_an_unread_answer_end_in_time() {
    let config = Config { half_close_flush: Duration::from_millis(50), ..tight() };
    let server = Remote::start(config);
    let (stream, token) = server.client();
    server.ask(move |io| io.send_owned(token, pattern(1 << 19)));
    stream.shutdown(Shutdown::Write).unwrap();
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::PeerClosed));
    server.stop();
}

#[test]
fn a_reset_is_told() {
    let server = Remote::start(Config::default());
    let (stream, token) = server.client();
    reset(stream);
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::Reset));
    server.stop();
}

#[test]
fn a_reset_is_told_even_while_reading_is_paused() {
    let server = Remote::start(Config::default());
    let (stream, token) = server.client();
    server.ask(move |io| io.pause_reading(token));
    reset(stream);
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::Reset));
    server.stop();
}

#[test]
fn a_stale_token_does_nothing() {
    let server = Remote::start(Config::default());
    let (first, old) = server.client();
    drop(first);
    assert_eq!(server.next(), Heard::Closed(old, CloseReason::PeerClosed));

    // The slot is used again; the old name must not reach the new tenant.
    let (mut second, new) = server.client();
    assert_ne!(old, new);
    let slot = |token: String| token.split('.').next().map(str::to_owned);
    assert_eq!(slot(old.to_string()), slot(new.to_string()));
    server.ask(move |io| {
        assert!(!io.send(old, b"for the first"));
        assert!(!io.is_open(old));
        assert_eq!((io.unsent(old), io.peer(old)), (0, None));
        io.pause_reading(old);
        io.resume_reading(old);
        io.close_after_flush(old, Duration::ZERO);
        io.close(old);
        assert!(io.is_open(new));
        assert!(io.send(new, b"for the second"));
        io.close_after_flush(new, PATIENCE);
    });
    let mut text = String::new();
    second.read_to_string(&mut text).unwrap();
    assert_eq!(text, "for the second");
    drop(second);
    assert_eq!(server.next(), Heard::Closed(new, CloseReason::Flushed));
    server.stop();
}

#[test]
fn closing_at_once_is_told_once() {
    let server = Remote::start(Config::default());
    let (stream, token) = server.client();
    server.ask(move |io| {
        io.close(token);
        io.close(token);
        assert!(!io.send(token, b"too late"));
        assert_eq!(io.connections(), 0);
    });
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::Closed));
    assert_eq!(read_all(stream), b"");
    server.silent();
    server.stop();
}

#[test]
fn closing_after_flush_delivers_the_tail() {
    // The loop waits for the peer's FIN only, never for the time.
    let server = Remote::start(Config { linger: PATIENCE * 10, ..tight() });
    let (mut stream, token) = server.client();
    let tail = pattern(1 << 19);
    let copy = tail.clone();
    server.ask(move |io| {
        io.send_owned(token, copy);
        io.close_after_flush(token, PATIENCE * 10);
        assert!(!io.send(token, b"too late"));
    });
    stream.write_all(b"unwanted").unwrap();
    assert!(read_all(&stream) == tail);
    drop(stream);
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::Flushed));
    server.stop();
}

#[test]
fn unwanted_input_does_not_destroy_the_tail() {
    // The kernel takes the whole tail at once, but the peer has room for a small part.
    let config = Config { linger: PATIENCE * 10, ..Config::default() };
    let server = Remote::start(config);
    let socket = socket2::Socket::new(socket2::Domain::IPV4, socket2::Type::STREAM, None).unwrap();
    socket.set_recv_buffer_size(4096).unwrap();
    socket.connect(&server.addr.into()).unwrap();
    let mut stream = std::net::TcpStream::from(socket);
    stream.set_read_timeout(Some(PATIENCE)).unwrap();
    let Heard::Opened(token, _) = server.next() else { panic!("no connection") };

    let tail = pattern(60_000);
    let copy = tail.clone();
    server.ask(move |io| {
        io.send_owned(token, copy);
        io.close_after_flush(token, PATIENCE * 10);
    });
    server.until(move |io| io.unsent(token) == 0);
    server.settle();
    // Had the loop closed by now, this would be answered by a reset, and the rest be gone.
    stream.write_all(b"unwanted").unwrap();
    server.settle();
    assert!(read_all(&stream) == tail);
    drop(stream);
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::Flushed));
    server.stop();
}

#[test]
fn closing_after_flush_gives_up_on_a_peer_that_never_reads() {
    let server = Remote::start(tight());
    let (mut stream, token) = server.client();
    let start = Instant::now();
    server.ask(move |io| {
        io.send_owned(token, pattern(1 << 20));
        io.close_after_flush(token, Duration::from_millis(50));
    });
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::FlushTimeout));
    assert!(start.elapsed() >= Duration::from_millis(50));
    // The kernel was told to forget the rest too.
    let error = std::io::copy(&mut stream, &mut std::io::sink()).unwrap_err();
    assert_eq!(error.kind(), ErrorKind::ConnectionReset);
    server.stop();
}

#[test]
fn the_shortest_patience_still_gets_one_write() {
    let server = Remote::start(Config::default());
    let (stream, token) = server.client();
    server.ask(move |io| {
        io.send(token, b"bye");
        io.close_after_flush(token, Duration::ZERO);
    });
    assert_eq!(read_all(stream), b"bye");
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::Flushed));
    server.stop();
}

#[test]
fn an_attempt_may_be_told_at_once_to_deliver_and_close() {
    let server = Remote::start(Config::default());
    let elsewhere = std::net::TcpListener::bind("127.0.0.1:0").unwrap();
    let addr = elsewhere.local_addr().unwrap();
    let token = server.ask(move |io| {
        let token = io.connect(addr).unwrap();
        io.send(token, b"in and out");
        io.close_after_flush(token, PATIENCE);
        token
    });
    assert_eq!(read_all(elsewhere.accept().unwrap().0), b"in and out");
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::Flushed));
    server.stop();
}

#[test]
fn a_peer_that_never_closes_is_not_waited_for_long() {
    let config = Config { linger: Duration::from_millis(50), ..Config::default() };
    let server = Remote::start(config);
    let (stream, token) = server.client();
    server.ask(move |io| {
        io.send(token, b"bye");
        io.close_after_flush(token, PATIENCE);
    });
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::Flushed));
    assert_eq!(read_all(stream), b"bye");
    server.stop();
}

#[test]
fn too_much_output_ends_the_connection() {
    let server = Remote::start(Config { max_unsent: 1000, ..Config::default() });
    let (_stream, token) = server.client();
    server.ask(move |io| {
        assert!(io.send(token, &[0; 1000]));
        assert!(!io.send(token, &[0; 1]));
        assert!(!io.is_open(token));
    });
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::OutputOverflow));
    server.stop();
}

/// Reads nothing until woken, then answers every piece.
#[derive(Default)]
struct Answerer {
    conn: Option<Token>,
    received: Vec<u8>,
    ended: Option<CloseReason>,
}

impl Handler for Answerer {
    fn opened(&mut self, io: &mut Io, conn: Token, _: SocketAddr) {
        io.pause_reading(conn);
        self.conn = Some(conn);
    }
    fn woken(&mut self, io: &mut Io) {
        io.resume_reading(self.conn.expect("connected before the wake-up"));
    }
    fn received(&mut self, io: &mut Io, conn: Token, bytes: &[u8]) {
        self.received.extend_from_slice(bytes);
        io.send(conn, b"answer");
    }
    fn closed(&mut self, io: &mut Io, _: Token, why: CloseReason) {
        self.ended = Some(why);
        io.stop();
    }
}

#[test]
fn what_arrived_before_our_answer_failed_is_delivered() {
    // One small read per turn: the first answer provokes a reset, the second fails, and most of
    // the input is still unread.
    let config = Config { read_buffer: 64, reads_per_turn: 1, ..Config::default() };
    let mut event_loop = EventLoop::new(config).unwrap();
    let addr = event_loop.listen(([127, 0, 0, 1], 0).into()).unwrap();
    let mut stream = connect(addr);
    let letters = pattern(32 * 1024);
    stream.write_all(&letters).unwrap();
    drop(stream);
    event_loop.waker().wake().unwrap();

    let mut handler = Answerer::default();
    event_loop.run(&mut handler).unwrap();
    let (got, sent) = (handler.received, letters);
    assert!(got == sent, "{} of {} bytes", got.len(), sent.len());
    assert_eq!(handler.ended, Some(CloseReason::Reset));
}

#[test]
fn stopping_flushes_everyone() {
    let mut server = Remote::start(tight());
    let addr = server.addr;
    let (eager, first) = server.client();
    let (silent, second) = server.client();
    let tail = pattern(1 << 19);
    let copy = tail.clone();
    server.ask(move |io| {
        io.send_owned(first, copy);
        io.stop();
        assert!(io.connect(addr).is_err());
    });
    assert!(read_all(&eager) == tail);
    assert_eq!(read_all(&silent), b"");
    drop((eager, silent));
    server.join();
    let mut closed = [server.next(), server.next()];
    closed.sort_by_key(|heard| matches!(heard, Heard::Closed(token, _) if *token == second));
    assert_eq!(closed, [first, second].map(|token| Heard::Closed(token, CloseReason::Flushed)));
    assert!(std::net::TcpStream::connect(addr).is_err(), "the listener is gone");
}

#[test]
fn stopping_waits_for_nobody_beyond_the_grace() {
    let config = Config { shutdown_grace: Duration::from_millis(50), ..tight() };
    let mut server = Remote::start(config);
    let (_stream, token) = server.client();
    server.ask(move |io| {
        io.send_owned(token, pattern(1 << 20));
        io.stop();
    });
    server.join();
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::FlushTimeout));
}

#[test]
fn without_listeners_connections_live_on() {
    let server = Remote::start(Config::default());
    let (mut stream, token) = server.client();
    server.ask(Io::stop_listening);
    server.settle();
    assert!(std::net::TcpStream::connect(server.addr).is_err());
    stream.write_all(b"still here").unwrap();
    assert_eq!(server.next_bytes(token, 10), b"still here");
    drop(stream);
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::PeerClosed));
    server.stop();
}

#[test]
fn a_loop_that_has_stopped_listening_listens_again_when_it_is_given_a_listener() {
    let server = Remote::start(Config::default());
    let (_old, token) = server.client();
    for _ in 0..3 {
        server.ask(Io::stop_listening);
        server.settle();
        assert!(std::net::TcpStream::connect(server.addr).is_err());
        let listener = waxwing_transport_mio::listen(server.addr, &Config::default()).unwrap();
        server.doors.open(listener);
        let (stream, new) = server.client();
        drop(stream);
        assert_eq!(server.next(), Heard::Closed(new, CloseReason::PeerClosed));
    }
    assert!(server.ask(move |io| io.is_open(token)));
    server.stop();
}

#[test]
fn connections_in_any_number_leave_nothing_behind() {
    let server = Remote::start(Config::default());
    for _ in 0..20 {
        let streams: Vec<_> = (0..50).map(|_| connect(server.addr)).collect();
        server.until(|io| io.connections() == 50);
        drop(streams);
        server.until(|io| io.connections() == 0);
    }
    server.stop();
}

#[test]
fn a_peer_that_hangs_up_is_noticed_while_reading_is_paused_and_all_it_sent_is_delivered() {
    let server = Remote::start(Config::default());
    let (mut early, token) = server.client();
    server.ask(move |io| io.pause_reading(token));
    early.write_all(b"last words").unwrap();
    drop(early);
    assert_eq!(server.next_end(), token);
    server.silent();
    server.ask(move |io| io.resume_reading(token));
    assert_eq!(server.next_bytes(token, 10), b"last words");
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::PeerClosed));

    let (late, token) = server.client();
    drop(late);
    assert_eq!(server.next_end(), token);
    assert_eq!(server.next(), Heard::Closed(token, CloseReason::PeerClosed));
    server.stop();
}
