//! A server that says everything back in capital letters: `cargo run --example shout -- 127.0.0.1:7777`,
//! then `nc 127.0.0.1 7777`. Ctrl-C ends it once everybody has had the answers due.

use std::error::Error;
use std::net::SocketAddr;

use waxwing_transport_mio::{CloseReason, Config, EventLoop, Handler, Io, Load, Token};

/// How many bytes may wait for a client that does not read before nothing more is read from it.
const MAX_UNSENT: usize = 64 * 1024;

struct Shout;

impl Handler for Shout {
    fn accept(&mut self, _peer: SocketAddr, load: Load) -> bool {
        load.from_network < 100
    }

    fn opened(&mut self, _io: &mut Io, conn: Token, peer: SocketAddr) {
        println!("{conn}: {peer} is here");
    }

    fn received(&mut self, io: &mut Io, conn: Token, bytes: &[u8]) {
        io.send_owned(conn, bytes.to_ascii_uppercase());
        if io.unsent(conn) > MAX_UNSENT {
            io.pause_reading(conn);
        }
    }

    fn drained(&mut self, io: &mut Io, conn: Token) {
        io.resume_reading(conn);
    }

    fn closed(&mut self, _io: &mut Io, conn: Token, why: CloseReason) {
        println!("{conn}: {why:?}");
    }
}

fn main() -> Result<(), Box<dyn Error>> {
    let address = std::env::args().nth(1).unwrap_or_else(|| "127.0.0.1:0".into());
    let config = Config { low_water: MAX_UNSENT / 2, ..Config::default() };
    let mut event_loop = EventLoop::new(config)?;
    event_loop.watch_signals()?;
    println!("listening on {}", event_loop.listen(address.parse()?)?);
    event_loop.run(&mut Shout)?;
    println!("stopped");
    Ok(())
}
