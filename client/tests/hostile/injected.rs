//! Letters that nobody signed, between a client and its server, and letters of a stranger.

use std::fs;
use std::io::{Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::path::Path;
use std::sync::Arc;
use std::sync::atomic::{AtomicUsize, Ordering::Relaxed};
use std::thread;
use std::time::{Duration, Instant};

use rustix::process::Signal;
use waxwing::clock;
use waxwing_core::id::UserId;
use waxwing_core::limits::{HEADER_LEN, SIGNATURE_LEN};
use waxwing_core::wire::Status;
use waxwing_testkit::packets;

use crate::line::Door;
use crate::peer::Peer;
use crate::process::{PATIENCE, Process, eventually};
use crate::test_server::{Person, TestServer};

/// Bytes of a letter's payload, near the largest that a server takes.
const LARGE: usize = 60_000;
const MIB: u64 = 1_024 * 1_024;

/// What somebody in the middle has done so far.
#[derive(Default)]
struct Deeds {
    /// Connections that a client had ended while it was being flooded.
    ended: AtomicUsize,
    letters: AtomicUsize,
}

/// Stands between a client and the server. Once the session's key has come through, the client
/// hears letters that nobody signed, and nothing else.
struct Middle {
    address: SocketAddr,
    deeds: Arc<Deeds>,
}

impl Middle {
    /// It ends with the test's process. `flood` says letters to the client, until it hangs up.
    fn before(server: SocketAddr, flood: fn(&Deeds, &TcpStream, u16)) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let deeds = Arc::<Deeds>::default();
        let shared = deeds.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let (Ok(client), Ok(server)) = (client, TcpStream::connect(server)) else {
                    continue;
                };
                let deeds = shared.clone();
                thread::spawn(move || carry(&deeds, &client, &server, flood));
            }
        });
        Self { address, deeds }
    }
}

fn carry(
    deeds: &Deeds,
    client: &TcpStream,
    server: &TcpStream,
    flood: fn(&Deeds, &TcpStream, u16),
) {
    // The request and its answer, which names the client.
    let Some(request) = packet(client) else { return };
    (&*server).write_all(&request).unwrap();
    let Some(answer) = packet(server) else { return };
    (&*client).write_all(&answer).unwrap();
    if answer[23] == 206 {
        flood(deeds, client, u16::from_le_bytes([answer[2], answer[3]]));
        deeds.ended.fetch_add(1, Relaxed);
    }
    let _ = client.shutdown(Shutdown::Both);
    let _ = server.shutdown(Shutdown::Both);
}

fn packet(mut from: &TcpStream) -> Option<Vec<u8>> {
    let mut packet = vec![0; HEADER_LEN];
    from.read_exact(&mut packet).ok()?;
    let payload = usize::from(u16::from_le_bytes([packet[24], packet[25]]));
    packet.resize(HEADER_LEN + payload + SIGNATURE_LEN, 0);
    from.read_exact(&mut packet[HEADER_LEN..]).ok()?;
    Some(packet)
}

/// Signed by nobody.
fn forged(from: u16, to: u16, number: usize) -> Vec<u8> {
    let mut payload = vec![0x77; LARGE];
    payload[..8].copy_from_slice(&(number as u64).to_le_bytes());
    packets::zero_signed(packets::unsigned(from, to, clock::now(), 102, &payload))
}

/// As fast as they go, each from another id.
fn of_unknown_senders(deeds: &Deeds, mut client: &TcpStream, to: u16) {
    for number in 0.. {
        let from = 1_000 + u16::try_from(number % 60_000).unwrap();
        if client.write_all(&forged(from, to, number)).is_err() {
            return;
        }
        deeds.letters.fetch_add(1, Relaxed);
    }
}

/// As many as the client acknowledges, in the name of the second user.
fn of_a_contact(deeds: &Deeds, mut client: &TcpStream, to: u16) {
    let mut room = 3;
    let mut number = deeds.letters.load(Relaxed);
    loop {
        while room > 0 {
            room -= 1;
            number += 1;
            if client.write_all(&forged(2, to, number)).is_err() {
                return;
            }
            deeds.letters.fetch_add(1, Relaxed);
        }
        // What an acknowledgment names shows in its size.
        match packet(client) {
            Some(said) if said[23] == 203 => {
                room = (said.len() - HEADER_LEN - SIGNATURE_LEN - 32) / 16;
            }
            Some(_) => {}
            None => return,
        }
    }
}

/// Stands between a client and the server. Once there is a session, the client hears what the server
/// once said to somebody else, again and again. Counts how often.
fn played_back_without_an_end(server: SocketAddr) -> (SocketAddr, Arc<AtomicUsize>) {
    let mut asking = TcpStream::connect(server).unwrap();
    let nobodys = packets::unsigned(9, 0, clock::now(), 106, &[0; 256]);
    asking.write_all(&packets::zero_signed(nobodys)).unwrap();
    let refusal = packet(&asking).unwrap();
    assert_eq!(refusal[23], 244);
    let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
    let (address, times) = (listener.local_addr().unwrap(), Arc::<AtomicUsize>::default());
    let shared = times.clone();
    thread::spawn(move || {
        for client in listener.incoming().flatten() {
            let server = TcpStream::connect(server).unwrap();
            // 106 and 206, the confirmation and 255.
            for (from, mut to) in
                [(&client, &server), (&server, &client), (&client, &server), (&server, &client)]
            {
                to.write_all(&packet(from).unwrap()).unwrap();
            }
            while (&client).write_all(&refusal).is_ok() {
                shared.fetch_add(1, Relaxed);
            }
        }
    });
    (address, times)
}

#[test]
fn whoever_is_flooded_can_still_be_told_to_end() {
    let server = TestServer::new();
    let (anna, bert) = server.anna_and_bert();
    let (address, times) = played_back_without_an_end(server.address());
    let database = anna.database();
    database.execute("UPDATE identity SET server = ?", [address.to_string()]).unwrap();
    drop(database);
    for args in [&["receive", "--follow"][..], &["chat", &bert.phone]] {
        let before = times.load(Relaxed);
        let flooded = anna.start(args);
        eventually("much has come", || (times.load(Relaxed) > before + 2_000).then_some(()));
        flooded.signal(Signal::INT);
        flooded.finish().exits(0);
    }
}

fn lead(person: &mut Person, to: SocketAddr) {
    person.server = to;
    person.register().exits(0);
}

/// Bytes of all files in a home.
fn size(home: &Path) -> u64 {
    let files = fs::read_dir(home).unwrap().map(Result::unwrap);
    // What is kept for deleting on a full disk is there before the first letter.
    let files = files.filter(|file| file.file_name() != "reserve");
    files.map(|file| file.metadata().unwrap().len()).sum()
}

/// The most memory that a process ever had, in KiB.
fn peak(process: &Process) -> u64 {
    let status = fs::read_to_string(format!("/proc/{}/status", process.id())).unwrap();
    let line = status.lines().find_map(|line| line.strip_prefix("VmHWM:")).unwrap();
    line.trim().trim_end_matches(" kB").parse().unwrap()
}

#[test]
fn a_client_ends_a_flood_of_letters_that_nobody_signed_and_stays_small() {
    let server = TestServer::new();
    let (anna, mut bert) = server.anna_and_bert();
    anna.send(&bert, "from the true server").exits(0);
    let middle = Middle::before(server.address(), of_unknown_senders);

    lead(&mut bert, middle.address);
    let before = size(&bert.home);
    bert.run(&["receive"]).exits(3).says("more letters came at once");

    let following = bert.start(&["receive", "--follow"]);
    eventually("three floods", || (middle.deeds.ended.load(Relaxed) > 3).then_some(()));
    let (peak, sent) = (peak(&following), middle.deeds.letters.load(Relaxed));
    println!("{sent} letters of {LARGE} bytes: at most {peak} KiB of memory");
    assert!(peak < 64 * 1_024, "{peak} KiB");
    following.signal(Signal::TERM);
    following.finish().exits(0);
    assert!(size(&bert.home) < before + MIB, "{} bytes", size(&bert.home));

    lead(&mut bert, server.address());
    bert.receives(&["from the true server"]);
}

#[test]
fn letters_that_nobody_signed_fill_no_disk() {
    const LETTERS: usize = 400;
    let server = TestServer::new();
    let (mut anna, bert) = server.anna_and_bert();
    bert.send(&anna, "hello").exits(0);
    anna.send(&bert, "hello").exits(0);
    // Her id is the first that the server gave out, and his the second.
    let middle = Middle::before(server.address(), |deeds, client, to| {
        assert_eq!(to, 1, "the victim was the first to register");
        of_a_contact(deeds, client, to);
    });
    lead(&mut anna, middle.address);
    let following = anna.start(&["receive", "--follow"]);
    let deadline = Instant::now() + PATIENCE;
    while middle.deeds.letters.load(Relaxed) < LETTERS && Instant::now() < deadline {
        thread::sleep(Duration::from_millis(50));
    }
    let (peak, sent) = (peak(&following), middle.deeds.letters.load(Relaxed));
    following.signal(Signal::TERM);
    let ran = following.finish();
    let size = size(&anna.home);
    println!("{sent} letters of {LARGE} bytes: {} KiB of disk, {peak} KiB of memory", size / 1_024);
    assert!(sent >= LETTERS, "{sent} letters, {} of output, {}", ran.out.len(), ran.err);
    assert!(size < 24 * MIB, "{size}");
    assert!(peak < 64 * 1_024, "{peak} KiB");

    lead(&mut anna, server.address());
    bert.send(&anna, "still here").exits(0);
    anna.run(&["receive"]).exits(0).says("still here");
    anna.run(&["delete", "--unreadable", "--yes"]).exits(0);
}

#[test]
fn a_stranger_who_is_registered_fills_no_disk() {
    // Twice as much as one stranger has room for.
    const LETTERS: usize = 150;
    let server = TestServer::new();
    let door = Door::of(&server);
    let (anna, bert) = server.anna_and_bert();
    let mut stranger = Peer::with_session(door, 0);
    let to = UserId::new(1).unwrap();
    let following = anna.start(&["receive", "--follow"]);
    for number in 0..LETTERS {
        let mut text = vec![0; LARGE];
        text[..8].copy_from_slice(&(number as u64).to_le_bytes());
        let letter = stranger.write(to, &text);
        stranger.hear_fates(&[letter], Status::Delivered);
    }
    bert.send(&anna, "from somebody else").exits(0);
    following.wait_for_out(|out| out.contains("from somebody else"));
    following.signal(Signal::TERM);
    following.finish().exits(0);
    let full = size(&anna.home);
    println!("{LETTERS} letters of {LARGE} bytes: {} KiB of disk", full / 1_024);
    assert!(full < 7 * MIB, "{full}");

    // He is shown nothing of it.
    let phone = stranger.phone.as_str().to_owned();
    anna.run(&["block", &phone]).exits(0);
    anna.run(&["delete", &phone, "--all", "--yes"]).exits(0);
    let letter = stranger.write(to, b"one more");
    anna.receives_nothing();
    stranger.hear_fates(&[letter], Status::Delivered);
    assert!(size(&anna.home) < full / 4, "{}", size(&anna.home));
}
