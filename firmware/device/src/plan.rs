//! What the device is to do, from its command line: `KEY=VALUE` words, and `send=` last, because
//! the rest of the line is its text.

use core::net::SocketAddrV4;
use core::time::Duration;

use waxwing_core::phone::Phone;

use crate::memory::Text;

/// A plan.
#[derive(Clone, Debug)]
pub struct Plan {
    /// `own=`: its phone number.
    pub own: Phone,
    /// `peer=`: the phone number of the one that it talks with.
    pub peer: Phone,
    /// `letters=`: leave after so many; without it, stay.
    pub letters: Option<u32>,
    /// `probe_ms=`: ask for a sign of life after so long a silence.
    pub probe: Duration,
    /// `server=`: where the server is, for a board with TCP/IP of its own.
    pub server: Option<SocketAddrV4>,
    /// `freeze=1`: stop after a letter was stored as seen and shown, and before it is acknowledged.
    pub freeze: bool,
    /// `send=`: a text for the peer.
    pub send: Option<Text>,
}

impl Plan {
    /// How a plan is written.
    pub(crate) const USAGE: &str = "usage: own=PHONE peer=PHONE [server=ADDRESS:PORT] [letters=N] [probe_ms=N] [freeze=1] [send=TEXT]; a text has 64 bytes at most";

    /// Reads the command line; `None` when a phone number is missing, something is not known, or the
    /// text is too long.
    pub fn parse(line: &str) -> Option<Self> {
        let (words, send) = match line.split_once("send=") {
            Some((words, text)) => (words, Some(text.trim().try_into().ok()?)),
            None => (line, None),
        };
        let (mut own, mut peer, mut server, mut letters) = (None, None, None, None);
        let (mut probe, mut freeze) = (60_000, false);
        // The first word is the name of the program.
        for word in words.split_ascii_whitespace().skip(1) {
            let (key, value) = word.split_once('=')?;
            match key {
                "own" => own = Phone::parse(value.as_bytes()).ok(),
                "peer" => peer = Phone::parse(value.as_bytes()).ok(),
                "server" => server = Some(value.parse().ok()?),
                "letters" => letters = Some(value.parse().ok()?),
                "probe_ms" => probe = value.parse().ok()?,
                "freeze" => freeze = value == "1",
                _ => return None,
            }
        }
        let probe = Duration::from_millis(probe);
        Some(Self { own: own?, peer: peer?, server, letters, probe, freeze, send })
    }
}
