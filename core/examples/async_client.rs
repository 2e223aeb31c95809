//! A client over a stream that an executor waits for: two halves that speak `embedded_io_async`, such as
//! those of a TCP socket of embassy-net. Ann and Ben do what they do in the example `client`; only the
//! loop that moves the bytes is another one.
//! `cargo run -p waxwing-core --example async_client` runs all of it, with a server in the same process.
//!
//! The executor, the timer and the socket here are as short as they can be: the executor looks every
//! millisecond whether there is something to do. On a board they are those of embassy.

#[path = "client.rs"]
#[allow(dead_code, reason = "it is an example of its own")]
pub(crate) mod client;

use std::future::poll_fn;
use std::io::{self, Read, Write};
use std::net::TcpStream;
use std::pin::pin;
use std::task::{Context, Poll, Waker};
use std::thread;
use std::time::{Duration, Instant as StdInstant};

use client::server::{self, RunningServer};
use client::{Connection, Failure, Person, failed};
use embedded_io::ErrorKind;
use waxwing_core::client::{Env, drive_async};
use waxwing_core::time::Instant;

pub(crate) fn main() {
    let server = RunningServer::start();
    let (mut ann, mut ben) = (Person::new(1, &server.key), Person::new(2, &server.key));
    block_on(async {
        let connect = || {
            let socket = TcpStream::connect(server.address).unwrap();
            socket.set_nonblocking(true).unwrap();
            socket
        };
        connection(&mut ben, connect()).await.unwrap();
        ann.write(&ben.identity.phone, "hello, Ben");
        connection(&mut ann, connect()).await.unwrap();
        connection(&mut ben, connect()).await.unwrap();
    });
    assert_eq!(ben.stored.received, ["hello, Ben"]);
    println!("Ben has received: {}", ben.stored.received[0]);
    server.stop();
}

/// One connection. What follows after one that has failed is the same as in `Person::converse`.
async fn connection(person: &mut Person, socket: TcpStream) -> Result<(), Failure> {
    let Person { identity, stored, rng, .. } = person;
    let start = StdInstant::now();
    let (mut reader, mut writer) = (Half(&socket), Half(&socket));
    let mut client = identity.machine();
    let env = &mut Env { now: server::now(start), rng };
    let mut connection = Connection::begin(identity, stored, &mut client, env)?;
    loop {
        let timer = |due| timer(start, due);
        let moved = drive_async(&mut client, &mut reader, &mut writer, timer).await;
        // The time is another one than before the wait.
        let env = &mut Env { now: server::now(start), rng };
        client.timeout(env);
        if connection.turn(&mut client, env, moved.is_ok())? {
            return Ok(());
        }
    }
}

/// Ends at this moment; without one, never.
async fn timer(start: StdInstant, due: Option<Instant>) {
    poll_fn(|_| match due.is_some_and(|due| due <= server::now(start).instant) {
        true => Poll::Ready(()),
        false => Poll::Pending,
    })
    .await;
}

/// Runs one task. Nobody wakes it: it is asked again after a millisecond.
fn block_on<T>(task: impl Future<Output = T>) -> T {
    let mut task = pin!(task);
    loop {
        match task.as_mut().poll(&mut Context::from_waker(Waker::noop())) {
            Poll::Ready(output) => return output,
            Poll::Pending => thread::sleep(Duration::from_millis(1)),
        }
    }
}

/// A socket that does not block, for one direction. A call that is dropped has moved nothing.
struct Half<'s>(&'s TcpStream);

impl Half<'_> {
    /// Waits until the socket does not say any more that it would block.
    async fn ready(
        &mut self,
        mut call: impl FnMut(&mut &TcpStream) -> io::Result<usize>,
    ) -> Result<usize, ErrorKind> {
        poll_fn(|_| match call(&mut self.0) {
            Err(error) if error.kind() == io::ErrorKind::WouldBlock => Poll::Pending,
            result => Poll::Ready(result.map_err(failed)),
        })
        .await
    }
}

impl embedded_io::ErrorType for Half<'_> {
    type Error = ErrorKind;
}

impl embedded_io_async::Read for Half<'_> {
    async fn read(&mut self, buffer: &mut [u8]) -> Result<usize, ErrorKind> {
        self.ready(|socket| socket.read(buffer)).await
    }
}

impl embedded_io_async::Write for Half<'_> {
    async fn write(&mut self, bytes: &[u8]) -> Result<usize, ErrorKind> {
        self.ready(|socket| socket.write(bytes)).await
    }

    async fn flush(&mut self) -> Result<(), ErrorKind> {
        Ok(())
    }
}
