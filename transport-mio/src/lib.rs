//! An event loop on [`mio`]: it moves bytes and knows no packets.
//!
//! ```text
//!            listeners                    the application: a Handler
//!                |          opened, received, closed, drained, woken, turn
//!   streams -> [ EventLoop: one thread, one read buffer ] ------------> |
//!      ^                                                                |
//!      +-- vectored writes, at the end of a turn <- output queues <- Io +
//! ```
//!
//! An [`EventLoop`] waits for the kernel, hands what happened to a [`Handler`], and writes what
//! the handler queued through [`Io`]. It works in *turns*: a batch of events, then one call of
//! [`Handler::turn`], then the writes. So answers to many packets leave in one system call, and an
//! application with timers of its own needs no thread for them.
//!
//! What it promises:
//!
//! - **Every turn is bounded.** No connection reads or writes more than its portion per turn, and
//!   no listener accepts more than its own, so that nobody starves the others. Those with more to
//!   do are remembered: the kernel is asked for *changes* only and does not repeat itself.
//! - **A token never names another connection** than the one it was made for. Calls with a stale
//!   one do nothing.
//! - **Nothing a peer does is an error of the loop.** It ends a connection at most, with a
//!   [`CloseReason`]. Running out of descriptors suspends accepting until there are some again.
//! - **An idle connection costs a few hundred bytes**: it has no buffer of its own in either
//!   direction.
//!
//! From peers that [`Handler::is_proxy`] names, a PROXY header of version 2 is read before anything else,
//! so that the application sees the addresses of clients behind a proxy.
//!
//! Several loops in threads of their own share a server's connections: one accepts, and passes on
//! what others are to serve ([`Io::detach`], [`Io::attach`], [`Io::release`]).
//!
//! A loop polls one kind of [`Stream`]: TCP unless it is told another. A stream says itself what is
//! to be known about it, so one that wraps another, as TLS does, needs no change of the loop. An
//! application that asks for [`Connections`] alone, instead of [`Io`], runs on a loop in memory as
//! well, for tests without sockets and clocks.
//!
//! What it does not do: TLS, names, timers for the application, IPC, Windows.
//!
//! # Back-pressure
//!
//! Output queues grow as the application fills them, so it has to look: when [`Io::unsent`] of a
//! connection is above what it allows, it stops producing for it, or calls [`Io::pause_reading`]
//! on whoever causes the output, and goes on at [`Handler::drained`].
//!
//! # Example
//!
//! An echo server that serves one client, says goodbye and stops:
//!
//! ```
//! use std::io::{Read, Write};
//! use std::net::{SocketAddr, TcpStream};
//! use std::time::Duration;
//!
//! use waxwing_transport_mio::{CloseReason, Config, EventLoop, Handler, Io, Load, Token};
//!
//! struct Echo;
//!
//! impl Handler for Echo {
//!     fn accept(&mut self, _peer: SocketAddr, load: Load) -> bool {
//!         load.from_network < 256
//!     }
//!
//!     fn opened(&mut self, io: &mut Io, conn: Token, _peer: SocketAddr) {
//!         io.send(conn, b"hello\n");
//!     }
//!
//!     fn received(&mut self, io: &mut Io, conn: Token, bytes: &[u8]) {
//!         io.send(conn, bytes);
//!         if io.unsent(conn) > 256 * 1024 {
//!             io.pause_reading(conn);
//!         }
//!         if bytes.contains(&b'q') {
//!             io.close_after_flush(conn, Duration::from_secs(5));
//!         }
//!     }
//!
//!     fn drained(&mut self, io: &mut Io, conn: Token) {
//!         io.resume_reading(conn);
//!     }
//!
//!     fn closed(&mut self, io: &mut Io, _conn: Token, why: CloseReason) {
//!         assert_eq!(why, CloseReason::Flushed);
//!         io.stop();
//!     }
//! }
//!
//! let mut event_loop = EventLoop::new(Config::default())?;
//! let addr = event_loop.listen(([127, 0, 0, 1], 0).into())?;
//!
//! let client = std::thread::spawn(move || -> std::io::Result<String> {
//!     let mut stream = TcpStream::connect(addr)?;
//!     stream.write_all(b"and q")?;
//!     let mut text = String::new();
//!     stream.read_to_string(&mut text)?;
//!     Ok(text)
//! });
//! event_loop.run(&mut Echo)?;
//!
//! assert_eq!(client.join().unwrap()?, "hello\nand q");
//! # Ok::<(), Box<dyn std::error::Error>>(())
//! ```

mod config;
mod connection;
mod connections;
mod deadlines;
mod doors;
mod error;
mod event_loop;
mod handler;
mod introductions;
mod io;
mod listener;
mod networks;
mod output;
mod passage;
mod proxy_header;
mod reading;
mod signal;
mod slab;
mod stream;
mod wake;
mod writing;

pub use config::{Config, Keepalive};
pub use connections::Connections;
pub use doors::Doors;
pub use error::{CloseReason, Error, IntroductionError};
pub use event_loop::EventLoop;
pub use handler::Handler;
pub use io::Io;
pub use mio::net::{TcpListener, TcpStream, UnixListener, UnixStream};
pub use networks::{Load, Network};
pub use passage::Detached;
pub use proxy_header::{Origin, ProxyHeader, ProxyHeaderError};
pub use signal::Signal;
pub use slab::Token;
pub use stream::{Stream, listen, try_address};
pub use wake::Waker;
