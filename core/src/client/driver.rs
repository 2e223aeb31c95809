//! Thin drivers. [`drive`] is for streams that say whether they are ready (`embedded_io`): a UART on a
//! device, a non-blocking socket on a host. [`drive_async`] is for streams that an executor waits for
//! (`embedded_io_async`): a socket of embassy-net, a buffered UART of a HAL.

use core::future::poll_fn;
use core::pin::{Pin, pin};
use core::task::{Context, Poll};

use embedded_io::{Read, ReadReady, Write, WriteReady};

use super::{Client, Env};
use crate::crypto::Provider;
use crate::time::Instant;

/// What a step has moved, and how long there is nothing to do when it moved nothing.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub struct Moved {
    /// Bytes that came from the server and lie in the machine.
    pub read: usize,
    /// Bytes that the stream has taken for the server.
    pub written: usize,
    /// The machine's next deadline. When nothing has moved, and neither [`Client::poll`] nor the
    /// program found anything to do: wait until the stream is ready, or until this moment, and then
    /// drive again. [`drive_async`] does that by itself.
    pub wait_until: Option<Instant>,
}

impl Moved {
    /// Whether nothing went in either direction.
    #[must_use]
    pub const fn is_nothing(&self) -> bool {
        self.read == 0 && self.written == 0
    }
}

/// The stream is over. What had come before may still lie in the machine: [`Client::poll`] gives it
/// out.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
#[cfg_attr(feature = "defmt", derive(defmt::Format))]
pub enum DriveError<E: core::fmt::Debug> {
    /// The server has closed the stream: it gives no byte more, or takes none.
    #[error("the server closed the connection")]
    EndOfStream,
    /// The stream failed, with its own error.
    #[error("the stream failed: {0:?}")]
    Stream(E),
}

/// Moves bytes while the stream is ready and the machine has room, first out, then in, up to one
/// packet; then tells the machine the time. It never blocks: each direction is asked whether it is
/// ready. Afterwards call [`Client::poll`] until it gives nothing, also when this has failed.
///
/// # Errors
/// [`DriveError`] when the stream is over. That is no [`Ended`](super::Ended): the machine does not
/// know of it, and the program decides what comes next. A stream that takes nothing any more is over
/// when nothing more can be read from it: why the server has closed it may lie there.
pub fn drive<P, B, S, const WINDOW: usize>(
    client: &mut Client<'_, P, B, WINDOW>,
    stream: &mut S,
    env: &mut Env<'_>,
) -> Result<Moved, DriveError<S::Error>>
where
    P: Provider,
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: Read + ReadReady + Write + WriteReady,
{
    let mut moved = Moved::default();
    let written = write_out(client, stream, &mut moved);
    let read = read_in(client, stream, &mut moved);
    if moved.read == 0 || read.is_err() {
        written?;
    }
    read?;
    client.timeout(env);
    moved.wait_until = client.poll_timeout();
    Ok(moved)
}

fn write_out<P, B, S, const WINDOW: usize>(
    client: &mut Client<'_, P, B, WINDOW>,
    stream: &mut S,
    moved: &mut Moved,
) -> Result<(), DriveError<S::Error>>
where
    P: Provider,
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: Write + WriteReady,
{
    while !client.transmit().is_empty() && stream.write_ready().map_err(DriveError::Stream)? {
        let count = stream.write(client.transmit()).map_err(DriveError::Stream)?;
        client.transmitted(count);
        moved.written = moved.written.saturating_add(count);
        if count == 0 {
            return Err(DriveError::EndOfStream);
        }
    }
    Ok(())
}

fn read_in<P, B, S, const WINDOW: usize>(
    client: &mut Client<'_, P, B, WINDOW>,
    stream: &mut S,
    moved: &mut Moved,
) -> Result<(), DriveError<S::Error>>
where
    P: Provider,
    B: AsRef<[u8]> + AsMut<[u8]>,
    S: Read + ReadReady,
{
    while !client.receive_buffer().is_empty() && stream.read_ready().map_err(DriveError::Stream)? {
        let count = stream.read(client.receive_buffer()).map_err(DriveError::Stream)?;
        if count == 0 {
            return Err(DriveError::EndOfStream);
        }
        client.received(count);
        moved.read = moved.read.saturating_add(count);
    }
    Ok(())
}

/// Waits until bytes can be moved in either direction, or `until` is ready, and moves what the stream
/// takes and gives then, up to one packet. Both directions are waited for at the same time, so neither
/// waits for the other. What `until` makes of the machine's next deadline is the end of the wait: a
/// timer, or a timer and whatever else the program waits for, or [`core::future::ready`] for no wait at
/// all. There is no wait either while [`Client::poll`] has something to give.
///
/// The machine is not told the time, which is known after the wait only. So after each call make a
/// new [`Env`], call [`Client::timeout`], and then [`Client::poll`] until it gives nothing, also when
/// this has failed.
///
/// # Streams
/// `reader` and `writer` are the two halves of a stream, such as those of `split` of embassy-net's
/// `TcpSocket`. The writer has to send what it has taken by itself: it is not flushed.
///
/// # Cancellation
/// This future can be dropped at any time, and nothing is lost: what the stream has moved is counted in
/// the machine before anything is waited for again. It relies on the stream for that: a `read` or `write`
/// that is dropped before it is ready must have moved nothing. So it is with embassy-net and with UARTs
/// that have a buffer of their own (`BufferedUart`). It is not so where DMA goes to or from the caller's
/// memory: of a dropped `read` bytes are lost, of a dropped `write` they are sent twice, and the
/// connection ends with [`Ended::BadBytes`](super::Ended::BadBytes) or for silence. Such a stream needs a
/// buffer before it, even if the program never drops this future: when one direction has moved, the
/// other one is dropped here.
///
/// # Errors
/// [`DriveError`] as [`drive`]: a stream that takes nothing any more is over when nothing more can be
/// read from it.
///
/// # Panics
/// As every `async fn`, when it is polled after its end, which no executor does.
///
/// # Examples
/// A client's whole loop. With embassy, `timer` is
/// `|due| Timer::at(due.map_or(Instant::MAX, |due| Instant::from_micros(due.as_micros())))`, with the
/// `Instant` of `embassy_time`.
///
/// ```
/// use embedded_io_async::{Read, Write};
/// use waxwing_core::client::{Client, DriveError, Ended, Env, Event, drive_async};
/// use waxwing_core::crypto::{CryptoRng, Provider};
/// use waxwing_core::time::{Instant, Now};
///
/// /// Until the machine says why it has ended, or the stream is over.
/// async fn run<P: Provider, R: Read, W: Write<Error = R::Error>, T: Future>(
///     client: &mut Client<'_, P, &mut [u8]>,
///     (reader, writer): (&mut R, &mut W),
///     clock: impl Fn() -> Now,
///     timer: impl Fn(Option<Instant>) -> T,
///     rng: &mut dyn CryptoRng,
/// ) -> Result<Ended, DriveError<R::Error>> {
///     loop {
///         let moved = drive_async(client, reader, writer, &timer).await;
///         let mut env = Env { now: clock(), rng };
///         client.timeout(&mut env);
///         loop {
///             match client.poll(&mut env) {
///                 Ok(Some(Event::Letter(_letter))) => {
///                     // Verify, open, and store it; only then:
///                     client.acknowledge_letter(&mut env);
///                 }
///                 Ok(Some(_other_event)) => {}
///                 Ok(None) => break,
///                 Err(ended) => return Ok(ended),
///             }
///         }
///         moved?;
///     }
/// }
/// ```
pub async fn drive_async<P, B, R, W, T, const WINDOW: usize>(
    client: &mut Client<'_, P, B, WINDOW>,
    reader: &mut R,
    writer: &mut W,
    until: impl FnOnce(Option<Instant>) -> T,
) -> Result<Moved, DriveError<R::Error>>
where
    P: Provider,
    B: AsRef<[u8]> + AsMut<[u8]>,
    R: embedded_io_async::Read,
    W: embedded_io_async::Write<Error = R::Error>,
    T: Future,
{
    let mut until = pin!(until(client.poll_timeout()));
    let mut moved = Moved::default();
    loop {
        let may_wait = moved.is_nothing() && !client.has_news();
        let (receive, transmit) = client.lend_buffers();
        let (may_read, may_write) = (!receive.is_empty(), !transmit.is_empty());
        let (read, written) = {
            let mut reading = pin!(reader.read(receive));
            let mut writing = pin!(writer.write(transmit));
            poll_fn(|context| {
                let written = poll_if(may_write, writing.as_mut(), context);
                let read = poll_if(may_read, reading.as_mut(), context);
                let has_to_wait = may_wait && written.is_none() && read.is_none();
                if has_to_wait && until.as_mut().poll(context).is_pending() {
                    return Poll::Pending;
                }
                Poll::Ready((read, written))
            })
            .await
        };
        // Both are counted before one of them ends this.
        if let Some(Ok(count)) = &written {
            client.transmitted(*count);
            moved.written = moved.written.saturating_add(*count);
        }
        if let Some(Ok(count)) = &read {
            client.received(*count);
            moved.read = moved.read.saturating_add(*count);
        }
        match (written, read) {
            // Why nothing is taken any more may lie in what comes: the next call fails, if nothing does.
            (Some(Err(_) | Ok(0)), Some(Ok(1..))) => {}
            (Some(Err(_) | Ok(0)), None) if moved.read > 0 => break,
            (Some(Err(error)), _) | (_, Some(Err(error))) => return Err(DriveError::Stream(error)),
            (Some(Ok(0)), _) | (_, Some(Ok(0))) => return Err(DriveError::EndOfStream),
            (None, None) => break,
            _ => {}
        }
    }
    moved.wait_until = client.poll_timeout();
    Ok(moved)
}

/// What a future gives, if it is wanted and ready.
fn poll_if<F: Future>(
    is_wanted: bool,
    future: Pin<&mut F>,
    context: &mut Context<'_>,
) -> Option<F::Output> {
    match is_wanted.then(|| future.poll(context)) {
        Some(Poll::Ready(output)) => Some(output),
        _ => None,
    }
}
