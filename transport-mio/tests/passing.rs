//! Connections that move from one loop to another.

mod common;

use std::io::Write;
use std::net::SocketAddr;

use common::{Heard, Remote, pattern, read_all, tight};
use waxwing_transport_mio::{CloseReason, Config, Load};

fn only_one(_: SocketAddr, load: Load) -> bool {
    load.from_network < 1
}

#[test]
fn a_connection_goes_on_in_another_loop_with_all_that_is_unread_and_unsent() {
    let (from, to) = (Remote::start(Config::default()), Remote::start(Config::default()));
    let (mut client, token) = from.client();
    client.write_all(b"before").unwrap();
    assert_eq!(from.next_bytes(token, 6), b"before");
    let detached = from
        .ask(move |io| {
            io.pause_reading(token);
            io.send(token, b"promised");
            io.detach(token)
        })
        .expect("it is open");
    client.write_all(b"meanwhile").unwrap();
    assert_eq!(detached.peer(), client.local_addr().unwrap());
    let moved = to.ask(|io| io.attach(detached).unwrap());
    assert_eq!(to.next_bytes(moved, 9), b"meanwhile");
    to.ask(move |io| {
        io.send(moved, b" and kept");
        io.close_after_flush(moved, common::PATIENCE);
    });
    assert_eq!(read_all(&client), b"promised and kept");
    drop(client);
    assert_eq!(to.next(), Heard::Closed(moved, CloseReason::Flushed));
    from.silent();
    assert!(from.ask(move |io| io.detach(token).is_none()), "its token is stale");
}

#[test]
fn a_detached_connection_counts_where_it_was_accepted_until_it_is_released() {
    let from = Remote::start_with(Config::default(), only_one, |_| {});
    let (client, token) = from.client();
    let address = client.local_addr().unwrap().ip();
    let detached = from.ask(move |io| io.detach(token)).unwrap();
    let refused = common::connect(from.addr);
    assert_eq!(read_all(&refused), b"");
    drop(detached);
    assert_eq!(read_all(&client), b"", "dropping it closes it");
    from.ask(move |io| io.release(address));
    from.client();
}

#[test]
fn a_connection_whose_peer_has_finished_moves_with_what_it_is_owed() {
    let (from, to) = (Remote::start(tight()), Remote::start(tight()));
    let (client, token) = from.client();
    let owed = pattern(4 << 20);
    let output = owed.clone();
    from.ask(move |io| io.send_owned(token, output));
    client.shutdown(std::net::Shutdown::Write).unwrap();
    from.settle();
    let detached = from.ask(move |io| io.detach(token)).expect("it is owed something");
    let moved = to.ask(|io| io.attach(detached).unwrap());
    assert!(read_all(&client) == owed);
    assert_eq!(to.next(), Heard::Closed(moved, CloseReason::PeerClosed));
}

#[test]
fn a_connection_that_is_closing_stays() {
    let remote = Remote::start(Config::default());
    let (client, token) = remote.client();
    let detached = remote.ask(move |io| {
        io.close_after_flush(token, common::PATIENCE);
        io.detach(token).is_some()
    });
    assert!(!detached);
    assert_eq!(read_all(&client), b"");
    drop(client);
    assert_eq!(remote.next(), Heard::Closed(token, CloseReason::Flushed));
}
