//! Running out of descriptors. The limit is the whole process's; hence a test binary of its own.

mod common;

use std::fs::File;
use std::time::Duration;

use common::{Heard, Remote, connect, read_all};
use rustix::process::{Resource, Rlimit, getrlimit, setrlimit};
use waxwing_transport_mio::{CloseReason, Config, Io, Token};

#[test]
fn the_loop_survives_without_descriptors_and_recovers() {
    // Once by the timer alone; once, with the timer far away, by a connection that closes.
    recover(Duration::from_millis(20), |hoard, _, _| hoard.clear());
    recover(Duration::from_secs(3600), |_, server, token| server.ask(move |io| io.close(token)));
}

fn recover(retry: Duration, free: impl FnOnce(&mut Vec<File>, &Remote, Token)) {
    let config = Config { accept_retry: retry, ..Config::default() };
    let mut server = Remote::start(config);
    let (served, token) = server.client();

    // Everything that is left, but for one: that one is the client's end.
    let before = getrlimit(Resource::Nofile);
    setrlimit(Resource::Nofile, Rlimit { current: Some(200), ..before }).unwrap();
    let mut hoard: Vec<_> = std::iter::from_fn(|| File::open("/dev/null").ok()).collect();
    hoard.pop().expect("some descriptors were left");
    let waiting = connect(server.addr);
    let local = waiting.local_addr().unwrap();

    // The loop cannot accept, and still turns and serves.
    for _ in 0..10 {
        server.silent();
    }
    assert_eq!(server.ask(|io| io.connections()), 1);

    free(&mut hoard, &server, token);
    let accepted = loop {
        match server.next() {
            Heard::Opened(token, peer) if peer == local => break token,
            Heard::Closed(_, CloseReason::Closed) => {}
            other => panic!("{other:?}"),
        }
    };
    server.ask(move |io| io.send(accepted, b"welcome"));
    server.ask(Io::stop);
    assert_eq!(read_all(waiting), b"welcome");
    // Nothing of this round may become free during the next.
    drop(served);
    server.join();
    setrlimit(Resource::Nofile, before).unwrap();
}
