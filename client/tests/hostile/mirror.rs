//! Two servers that hear one another.

use std::io::{Read, Write};
use std::net::{Shutdown, TcpStream};
use std::thread::{self, JoinHandle};

use waxwing_core::limits::{HEADER_LEN, OVERHEAD};

use crate::line::Door;
use crate::peer::Peer;
use crate::test_server::TestServer;

/// Carries everything on, and says what it was.
fn carry(from: &TcpStream, to: &TcpStream) -> JoinHandle<Vec<u8>> {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    thread::spawn(move || {
        let mut said = Vec::new();
        let mut buffer = [0; 4_096];
        while let Ok(count @ 1..) = from.read(&mut buffer) {
            said.extend_from_slice(&buffer[..count]);
            let _ = to.write_all(&buffer[..count]);
        }
        let _ = to.shutdown(Shutdown::Write);
        said
    })
}

fn ops(mut bytes: &[u8]) -> Vec<u8> {
    let mut ops = Vec::new();
    while let Some(header) = bytes.first_chunk::<HEADER_LEN>() {
        ops.push(header[23]);
        let payload = u16::from_le_bytes([header[24], header[25]]);
        bytes = &bytes[OVERHEAD + usize::from(payload)..];
    }
    ops
}

#[test]
fn two_servers_that_hear_one_another_fall_silent() {
    let quick = [("deadlines.first_packet", "1s"), ("deadlines.confirmation", "1s")];
    let (left, right) = (TestServer::with(&quick), TestServer::with(&quick));
    let mut peer = Peer::with_session(Door::of(&left), 0);
    let newcomer = Peer::new(Door::of(&left), 1);
    let noise = vec![0; 600];
    // What somebody says to one of them, and what the two say then.
    let beginnings: [(Vec<u8>, &[u8], &[u8]); 5] = [
        (Vec::new(), &[], &[]),
        (noise, &[244], &[244]),
        (peer.packet(244, &[0; 6]), &[244], &[244]),
        (newcomer.request(), &[200, 244], &[244]),
        (peer.long(), &[206, 244], &[244]),
    ];
    for (beginning, of_left, of_right) in beginnings {
        let streams = [&left, &right].map(|server| TcpStream::connect(server.address()).unwrap());
        let [to_left, to_right] = &streams;
        Write::write_all(&mut &*to_left, &beginning).unwrap();
        let said = [carry(to_left, to_right), carry(to_right, to_left)];
        let [by_left, by_right] = said.map(|said| ops(&said.join().unwrap()));
        assert_eq!((&by_left[..], &by_right[..]), (of_left, of_right));
    }
    peer.is_served();
}
