//! A network between client and server that remembers every byte and breaks where it is told
//! to.

use std::io::{self, Read, Write};
use std::net::{Ipv4Addr, Shutdown, SocketAddr, TcpListener, TcpStream};
use std::sync::{Arc, Mutex};
use std::thread;
use std::time::Duration;

const HEADER: usize = 26;
const SIGNATURE: usize = 256;

#[derive(Clone, Copy, Debug, PartialEq, Eq)]
pub(crate) enum Way {
    ToServer,
    ToClient,
}

/// Where the next connection breaks: before the packet with this op goes this way, after so
/// many of its kind went through.
#[derive(Clone, Copy, Debug)]
struct Cut {
    way: Way,
    op: u8,
    after: usize,
    how: How,
}

#[derive(Clone, Copy, Debug)]
enum How {
    /// Both ends see it.
    Closed,
    /// So many bytes of the packet go through, and nothing after them; nobody is told.
    Silent { bytes: usize },
}

#[derive(Default)]
struct Line {
    cut: Option<Cut>,
    /// Bytes a second that go through, each way of each connection.
    rate: Option<usize>,
    captured: Vec<u8>,
    ops: Vec<(Way, u8)>,
}

pub(crate) struct Proxy {
    address: SocketAddr,
    line: Arc<Mutex<Line>>,
}

impl Proxy {
    /// It ends with the test's process.
    pub(crate) fn before(server: SocketAddr) -> Self {
        let listener = TcpListener::bind((Ipv4Addr::LOCALHOST, 0)).unwrap();
        let address = listener.local_addr().unwrap();
        let line = Arc::new(Mutex::new(Line::default()));
        let shared = line.clone();
        thread::spawn(move || {
            for client in listener.incoming() {
                let Ok(client) = client else { continue };
                // Dropping it is how a network without a server behaves.
                let Ok(server) = TcpStream::connect(server) else { continue };
                carry(Way::ToServer, &client, &server, &shared);
                carry(Way::ToClient, &server, &client, &shared);
            }
        });
        Self { address, line }
    }

    pub(crate) fn address(&self) -> SocketAddr {
        self.address
    }

    /// From the next packet on, so many bytes a second go through, each way of each connection.
    pub(crate) fn slow_down(&self, rate: usize) {
        self.line.lock().unwrap().rate = Some(rate);
    }

    /// Breaks one connection.
    pub(crate) fn cut(&self, way: Way, op: u8) {
        self.cut_after(way, op, 0);
    }

    pub(crate) fn cut_after(&self, way: Way, op: u8, after: usize) {
        self.line.lock().unwrap().cut = Some(Cut { way, op, after, how: How::Closed });
    }

    /// Lets one connection fall silent in the middle of a packet.
    pub(crate) fn silence_inside(&self, way: Way, op: u8, bytes: usize) {
        self.line.lock().unwrap().cut = Some(Cut { way, op, after: 0, how: How::Silent { bytes } });
    }

    /// Whether the last cut has been made.
    pub(crate) fn has_cut(&self) -> bool {
        self.line.lock().unwrap().cut.is_none()
    }

    /// Every byte that went through, both ways.
    pub(crate) fn captured(&self) -> Vec<u8> {
        self.line.lock().unwrap().captured.clone()
    }

    /// The op of every packet that went through.
    pub(crate) fn ops(&self) -> Vec<(Way, u8)> {
        self.line.lock().unwrap().ops.clone()
    }
}

fn carry(way: Way, from: &TcpStream, to: &TcpStream, line: &Arc<Mutex<Line>>) {
    let (mut from, mut to) = (from.try_clone().unwrap(), to.try_clone().unwrap());
    let line = line.clone();
    thread::spawn(move || {
        while let Some(packet) = read_packet(&mut from) {
            let (broken, rate) = {
                let mut line = line.lock().unwrap();
                (line.breaks_before(way, &packet), line.rate)
            };
            match broken {
                None if pour(&mut to, &packet, rate).is_ok() => {}
                Some(How::Silent { bytes }) => {
                    let _ = to.write_all(&packet[..bytes]);
                    let _ = io::copy(&mut from, &mut io::sink());
                    break;
                }
                None | Some(How::Closed) => break,
            }
        }
        let _ = from.shutdown(Shutdown::Both);
        let _ = to.shutdown(Shutdown::Both);
    });
}

/// Writes a packet, as slowly as the line is.
fn pour(to: &mut TcpStream, packet: &[u8], rate: Option<usize>) -> io::Result<()> {
    const TICK: Duration = Duration::from_millis(50);
    let Some(rate) = rate else { return to.write_all(packet) };
    for part in packet.chunks(rate * TICK.as_millis() as usize / 1_000) {
        to.write_all(part)?;
        thread::sleep(TICK);
    }
    Ok(())
}

impl Line {
    fn breaks_before(&mut self, way: Way, packet: &[u8]) -> Option<How> {
        let op = packet[23];
        if let Some(cut) = self.cut.as_mut().filter(|cut| (cut.way, cut.op) == (way, op)) {
            if cut.after == 0 {
                return self.cut.take().map(|cut| cut.how);
            }
            cut.after -= 1;
        }
        self.captured.extend_from_slice(packet);
        self.ops.push((way, op));
        None
    }
}

fn read_packet(from: &mut TcpStream) -> Option<Vec<u8>> {
    let mut packet = vec![0; HEADER];
    from.read_exact(&mut packet).ok()?;
    let payload = usize::from(u16::from_le_bytes([packet[24], packet[25]]));
    packet.resize(HEADER + payload + SIGNATURE, 0);
    from.read_exact(&mut packet[HEADER..]).ok()?;
    Some(packet)
}
