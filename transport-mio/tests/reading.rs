//! In which order connections are read.

mod common;

use std::io::Write;
use std::net::SocketAddr;
use std::sync::mpsc::{Receiver, Sender, channel};
use std::time::Duration;

use common::{PATIENCE, connect};
use waxwing_transport_mio::{CloseReason, Config, EventLoop, Handler, Io, Token};

const PORTION: usize = 4_096;

/// Tells in which order connections were read in a turn, and does not end it before it is told to.
struct Watched {
    read: Vec<(Token, usize)>,
    turns: Sender<Vec<(Token, usize)>>,
    go_on: Receiver<()>,
    open: usize,
}

impl Handler for Watched {
    fn opened(&mut self, _: &mut Io, _: Token, _: SocketAddr) {
        self.open += 1;
    }
    fn received(&mut self, _: &mut Io, conn: Token, bytes: &[u8]) {
        self.read.push((conn, bytes.len()));
    }
    fn closed(&mut self, io: &mut Io, _: Token, _: CloseReason) {
        self.open -= 1;
        if self.open == 0 {
            io.stop();
        }
    }
    fn turn(&mut self, _: &mut Io) -> Option<Duration> {
        let _ = self.turns.send(std::mem::take(&mut self.read));
        // Nobody watches any more once the other end is gone.
        let _ = self.go_on.recv_timeout(PATIENCE);
        None
    }
}

#[test]
fn a_short_word_is_read_before_those_who_have_more_to_say() {
    let (turns, ended) = channel();
    let (go, go_on) = channel();
    let config =
        Config { read_buffer: PORTION, read_budget: PORTION, turn_budget: 1, ..Config::default() };
    let mut event_loop = EventLoop::new(config).unwrap();
    let addr = event_loop.listen(([127, 0, 0, 1], 0).into()).unwrap();
    let mut watched = Watched { read: Vec::new(), turns, go_on, open: 0 };
    let server = std::thread::spawn(move || event_loop.run(&mut watched));
    let turn = || ended.recv_timeout(PATIENCE).expect("a turn");
    let next_turn = || {
        go.send(()).unwrap();
        turn()
    };
    assert_eq!(turn(), []);

    let mut short = connect(addr);
    short.write_all(b"!").unwrap();
    let short_one = loop {
        if let [(conn, 1)] = next_turn()[..] {
            break conn;
        }
    };
    let mut talkers = [connect(addr), connect(addr), connect(addr)];
    for talker in &mut talkers {
        talker.write_all(&[7; 10 * PORTION]).unwrap();
    }
    let mut begun = Vec::new();
    while begun.len() < talkers.len() {
        begun.extend(next_turn());
        begun.sort_unstable_by_key(|(conn, _)| conn.to_bits());
        begun.dedup_by_key(|(conn, _)| *conn);
    }
    for _ in 0..3 {
        // The turn has not ended, so this is there when the next begins.
        short.write_all(b"!").unwrap();
        let read = next_turn();
        let [(first, 1), (_, PORTION)] = read[..] else { panic!("{read:?}") };
        assert_eq!(first, short_one);
    }

    drop((go, short, talkers));
    server.join().unwrap().unwrap();
}
