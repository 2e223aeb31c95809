//! What a fuzzer does to a machine, as bytes.
//!
//! Each step begins with a byte. Its bits 2 and 3 say of which kind it is: 0 for bytes that arrive, 2
//! for time that passes, 1 and 3 for something else, of which the two low bits choose one.
//! [`encode`] writes what [`Steps`] reads, for seeds.

use std::fmt::{self, Debug};
use std::marker::PhantomData;

use waxwing_core_fuzz::readable::{Form, Packets};

/// What can happen besides that bytes arrive and time passes.
pub trait Other: Copy + Debug + PartialEq + 'static {
    /// All of it, by the number in a script.
    const ALL: [Self; 8];
}

/// What happens to a machine.
#[derive(Clone, Debug, PartialEq, Eq)]
pub enum Step<'a, O> {
    /// Bytes arrive on a connection, 0 to 3: a length of two bytes, and the bytes.
    Bytes(u8, &'a [u8]),
    /// Time passes: a byte of seconds.
    Wait(u8),
    /// Something else happens.
    Other(O),
}

/// The steps in some bytes.
pub struct Steps<'a, O>(&'a [u8], PhantomData<O>);

impl<'a, O> Steps<'a, O> {
    /// The steps in these bytes.
    #[must_use]
    pub const fn new(bytes: &'a [u8]) -> Self {
        Self(bytes, PhantomData)
    }
}

impl<'a, O: Other> Iterator for Steps<'a, O> {
    type Item = Step<'a, O>;

    fn next(&mut self) -> Option<Step<'a, O>> {
        let (head, rest) = self.0.split_first()?;
        self.0 = rest;
        let (low, kind) = (head & 3, head >> 2 & 3);
        Some(match kind {
            0 => {
                let (len, rest) = rest.split_first_chunk()?;
                let (bytes, rest) = rest.split_at(rest.len().min(u16::from_le_bytes(*len).into()));
                self.0 = rest;
                Step::Bytes(low, bytes)
            }
            2 => {
                let (seconds, rest) = rest.split_first()?;
                self.0 = rest;
                Step::Wait(*seconds)
            }
            _ => Step::Other(O::ALL[usize::from(low | (kind & 2) << 1)]),
        })
    }
}

/// The bytes of some steps.
///
/// # Panics
/// When more bytes arrive in one step than a script can say.
#[must_use]
pub fn encode<O: Other>(steps: &[Step<'_, O>]) -> Vec<u8> {
    let mut bytes = Vec::new();
    for step in steps {
        match step {
            Step::Bytes(conn, data) => {
                bytes.push(*conn);
                bytes.extend(u16::try_from(data.len()).expect("two bytes").to_le_bytes());
                bytes.extend(*data);
            }
            Step::Wait(seconds) => bytes.extend([2 << 2, *seconds]),
            Step::Other(other) => {
                let at = O::ALL.iter().position(|one| one == other).expect("all of it is there");
                bytes.push(at as u8 & 3 | (1 | at as u8 >> 1 & 2) << 2);
            }
        }
    }
    bytes
}

/// Steps, from the first byte on.
pub struct Script<O>(PhantomData<O>);

impl<O: Other> Form for Script<O> {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        for step in Steps::<O>::new(bytes) {
            match step {
                Step::Bytes(conn, bytes) => {
                    write!(f, "bytes on connection {conn}: ")?;
                    Packets::show(bytes, f)?;
                }
                Step::Wait(seconds) => writeln!(f, "{seconds} seconds pass")?,
                Step::Other(other) => writeln!(f, "{other:?}")?,
            }
        }
        Ok(())
    }
}

/// A byte that says how it begins, and steps.
pub struct ScriptWithBeginning<O>(PhantomData<O>);

impl<O: Other> Form for ScriptWithBeginning<O> {
    fn show(bytes: &[u8], f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Some((how, script)) = bytes.split_first() else { return Ok(()) };
        writeln!(f, "begins with {how:#010b}")?;
        Script::<O>::show(script, f)
    }
}
