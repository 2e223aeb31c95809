//! One connection at the server's end: a request, and its answer.

use std::any::Any;
use std::io::{self, ErrorKind};
use std::net::Shutdown;
use std::os::unix::net::UnixStream;
use std::time::Duration;

use serde::de::IgnoredAny;

use super::super::wait;
use super::{Limits, MAX_LINE, MAX_REQUEST, Refusal, RefusalCode};

/// Why there is no request.
pub(super) enum Unread {
    /// The client has gone without having asked anything.
    Gone,
    /// What it sent is no request.
    Refused(Refusal),
}

/// Reads one line of JSON. What comes behind it is not read.
pub(super) fn request(stream: &UnixStream, limits: &Limits) -> Result<String, Unread> {
    let refused = |code, message: &str| Unread::Refused(Refusal::new(code, message));
    let deadline = wait::deadline(limits.request);
    // One more for the end of the line.
    let mut buffer = vec![0; MAX_REQUEST + 1];
    let mut filled = 0;
    let end = loop {
        let Some(room) = buffer.get_mut(filled..).filter(|room| !room.is_empty()) else {
            let message = format!("a request has at most {MAX_REQUEST} bytes");
            return Err(refused(RefusalCode::TooLong, &message));
        };
        let read = match wait::read(stream, room, deadline) {
            Ok(0) if filled == 0 => return Err(Unread::Gone),
            Ok(0) => {
                let message = "the request has no end: a line of JSON ends with a newline";
                return Err(refused(RefusalCode::Incomplete, message));
            }
            Ok(read) => read,
            Err(error) if error.kind() == ErrorKind::TimedOut => {
                let message = "no whole request came in time";
                return Err(refused(RefusalCode::TooLate, message));
            }
            Err(_) => return Err(Unread::Gone),
        };
        let new = buffer.iter().take(filled + read).skip(filled);
        if let Some(end) = new.clone().position(|byte| *byte == b'\n') {
            break filled + end;
        }
        filled += read;
    };
    buffer.truncate(end);
    let text = String::from_utf8(buffer)
        .map_err(|_| refused(RefusalCode::NotJson, "the request is no UTF-8 text"))?;
    match serde_json::from_str::<IgnoredAny>(&text) {
        Ok(_) => Ok(text),
        Err(error) => {
            let message = format!("the request is no JSON: {error}");
            Err(refused(RefusalCode::NotJson, &message))
        }
    }
}

/// Says why, if the client takes it at once. There is room for a line in a connection that has carried
/// nothing yet.
pub(super) fn refuse(stream: &UnixStream, refusal: &Refusal) {
    tracing::debug!(code = ?refusal.code, "a connection to the control socket was refused");
    // Who has gone need not be told.
    let _ = wait::write(stream, &refusal.line(), wait::deadline(Duration::ZERO));
}

/// The answer to one request: lines, as many as it needs.
#[derive(Debug)]
pub struct Answer<'a> {
    stream: &'a UnixStream,
    patience: Duration,
    line: Vec<u8>,
    /// What waits until all of it is out.
    held: Option<Box<dyn Any + Send>>,
}

impl<'a> Answer<'a> {
    pub(super) const fn new(stream: &'a UnixStream, limits: &Limits) -> Self {
        Self { stream, patience: limits.line, line: Vec::new(), held: None }
    }

    /// Drops this after the last line.
    pub fn hold(&mut self, until_sent: impl Send + 'static) {
        self.held = Some(Box::new(until_sent));
    }

    /// Sends one line. After an error the connection has ended, and no other line goes out.
    ///
    /// # Errors
    /// When the client has gone, does not read, or the server stops; also when `json` is longer than
    /// [`MAX_LINE`] or more than one line, which no client would understand.
    pub fn line(&mut self, json: &str) -> io::Result<()> {
        let sent = if json.len() > MAX_LINE || json.contains('\n') {
            Err(ErrorKind::InvalidInput.into())
        } else {
            self.line.clear();
            self.line.extend_from_slice(json.as_bytes());
            self.line.push(b'\n');
            wait::write(self.stream, &self.line, wait::deadline(self.patience))
        };
        if sent.is_err() {
            // Half a line may be out. It fails when the client has gone, which is as good.
            let _ = self.stream.shutdown(Shutdown::Both);
        }
        sent
    }

    /// Lets so much time pass, for an answer that shows what changes.
    ///
    /// # Errors
    /// At once when the client goes or the server stops.
    pub fn pause(&self, time: Duration) -> io::Result<()> {
        wait::while_open(self.stream, wait::deadline(time))
    }
}
