//! The programs in `examples/` do what they say, each to its end.

#[path = "../examples/two_threads.rs"]
mod two_threads;

use two_threads::client;
use two_threads::client::server;

#[test]
fn the_server_refuses_what_is_no_packet_and_stops() {
    server::main();
}

#[test]
fn a_client_over_a_socket_sends_and_receives() {
    client::main();
}

#[test]
fn a_client_with_a_thread_that_reads_sends_and_receives() {
    two_threads::main();
}
