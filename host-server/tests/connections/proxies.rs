//! The server behind a proxy that says whose each connection is.

use crate::server::{BEHIND, Server, client, is_answered};

#[test]
fn limits_per_address_see_the_clients_of_a_proxy() {
    for loops in ["1", "2"] {
        let one = ("WAXWING_LIMITS__CONNECTIONS_PER_PREFIX", "1");
        let exempt = ("WAXWING_LIMITS__EXEMPT", "203.0.113.0/24");
        let server = Server::start(&[BEHIND, one, exempt, ("WAXWING_SERVER__LOOPS", loops)]);
        let mut first = server.connect(&client([192, 0, 2, 1]));
        assert!(is_answered(&mut server.connect(&client([198, 51, 100, 1]))));
        assert!(!is_answered(&mut server.connect(&client([192, 0, 2, 2]))));
        assert!(is_answered(&mut first));
        let mut exempt = [1, 2].map(|host| server.connect(&client([203, 0, 113, host])));
        assert!(exempt.iter_mut().all(is_answered));
        let log = server.stop();
        assert!(log.contains("address=192.0.2.2"), "{log}");
    }
}

#[test]
fn whoever_comes_from_a_proxy_and_does_not_say_whose_it_is_is_not_served() {
    let server = Server::start(&[BEHIND]);
    for _ in 0..5 {
        assert!(!is_answered(&mut server.connect(b"")));
        assert!(!is_answered(&mut server.connect(b"PROXY TCP4 192.0.2.1 192.0.2.2 1 2\r\n")));
    }
    assert!(is_answered(&mut server.connect(b"\r\n\r\n\0\r\nQUIT\n\x20\x00\x00\x00")));
    let log = server.stop();
    assert_eq!(log.matches("from an address of server.proxies").count(), 1, "{log}");
}

#[test]
fn without_a_proxy_no_header_is_read() {
    let server = Server::start(&[("WAXWING_SERVER__PROXIES", "192.0.2.0/24")]);
    // It is the beginning of a packet that makes no sense, and no more.
    assert!(is_answered(&mut server.connect(&client([192, 0, 2, 1]))));
    let log = server.stop();
    assert!(!log.contains("PROXY"), "{log}");
}
