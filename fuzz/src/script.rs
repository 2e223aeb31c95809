//! What a fuzzer does to a machine, as bytes.
//!
//! Each step begins with a byte: its two low bits choose a connection, the two above them what
//! happens there. [`encode`] writes what [`Steps`] reads, for seeds.

/// What happens on a connection.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a> {
    /// Bytes arrive: a length of two bytes, and the bytes.
    Bytes(u8, &'a [u8]),
    /// The other end goes away.
    HangUp(u8),
    /// Time passes: a byte of seconds.
    Wait(u8),
    /// The other end goes away and comes back, by another address.
    Reconnect(u8),
}

/// The steps in some bytes.
pub struct Steps<'a>(pub &'a [u8]);

impl<'a> Iterator for Steps<'a> {
    type Item = Step<'a>;

    fn next(&mut self) -> Option<Step<'a>> {
        let (head, rest) = self.0.split_first()?;
        self.0 = rest;
        let conn = head & 3;
        Some(match head >> 2 & 3 {
            0 => {
                let (len, rest) = rest.split_first_chunk()?;
                let (bytes, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*len).into()));
                self.0 = rest;
                Step::Bytes(conn, bytes)
            }
            1 => Step::HangUp(conn),
            2 => {
                let (seconds, rest) = rest.split_first()?;
                self.0 = rest;
                Step::Wait(*seconds)
            }
            _ => Step::Reconnect(conn),
        })
    }
}

/// The bytes of some steps.
pub fn encode(steps: &[Step<'_>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for step in steps {
        match step {
            Step::Bytes(conn, data) => {
                bytes.push(*conn);
                bytes.extend((data.len() as u16).to_le_bytes());
                bytes.extend(*data);
            }
            Step::HangUp(conn) => bytes.push(conn | 1 << 2),
            Step::Wait(seconds) => bytes.extend([2 << 2, *seconds]),
            Step::Reconnect(conn) => bytes.push(conn | 3 << 2),
        }
    }
    bytes
}
