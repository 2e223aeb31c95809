//! A known-answer suite that every backend must pass (feature `conformance`).
//!
//! The facts in it come from elsewhere: NIST's documents for SHA-256 and AES, and for RSA a
//! generator in Python (`core/vectors/generate.py`) that builds every encoding by hand from
//! RFC 8017 and lets OpenSSL confirm the outcome; the protocol's own are in PROTOCOL.md, "Test
//! values". Among the RSA cases are the attacks that
//! history knows; they mirror groups of Wycheproof's `rsa_signature_2048_sha256_test` and
//! `rsa_oaep_2048_sha256_mgf1sha256_test` with this protocol's one key size, exponent and hash.
//!
//! The suite allocates nothing and never panics, so a device can run it against its own
//! hardware: it tells the outcome of each case to a closure and counts. [`lines`] is a closure
//! that writes them, to whatever the target has for text.
//!
//! ```
//! # use rand_chacha::{ChaCha20Rng, rand_core::SeedableRng};
//! use waxwing_core::crypto::{RustCrypto, RustCryptoKey, conformance};
//!
//! let mut rng = ChaCha20Rng::from_seed([7; 32]);
//! let mut text = String::new();
//! let summary = conformance::run(
//!     &RustCrypto,
//!     RustCryptoKey::from_pkcs8_der,
//!     &mut rng,
//!     &mut conformance::lines(&mut text),
//! );
//! assert!(summary.passed(), "{text}{summary}");
//! ```

mod cbc;
mod handle;
mod hash;
mod keys;
mod oaep;
mod oaep_vectors;
mod protocol;
mod signature;
mod signature_vectors;

use core::fmt;

use super::{CryptoRng, KeyError, Provider, Rejected};

/// How a backend got a case wrong.
#[derive(Clone, Copy, Debug, PartialEq, Eq, thiserror::Error)]
pub enum Failure {
    /// It refused what is valid.
    #[error("refused what is valid")]
    Refused,
    /// It accepted what is not valid.
    #[error("accepted what is not valid")]
    Accepted,
    /// It did the work and the result is not the known one.
    #[error("gave another answer than the known one")]
    WrongAnswer,
}

impl From<Rejected> for Failure {
    fn from(_: Rejected) -> Self {
        Self::Refused
    }
}

impl From<KeyError> for Failure {
    fn from(_: KeyError) -> Self {
        Self::Refused
    }
}

/// The outcome of a whole run; prints as `160 cases, 0 failures`.
#[derive(Clone, Copy, Debug, Default, PartialEq, Eq)]
pub struct Summary {
    /// How many cases were tried.
    pub cases: usize,
    /// How many of the cases have failed.
    pub failures: usize,
    /// Whether the backend has opened OAEP blocks whose encoding does not begin with 00. It may open
    /// them or refuse them (PROTOCOL.md, "Cryptography"); [`run_with_handle`] does not try.
    pub ignores_leading_byte: bool,
}

impl Summary {
    /// Whether there were cases and all of them went well.
    #[must_use]
    pub fn passed(&self) -> bool {
        self.cases > 0 && self.failures == 0
    }
}

impl fmt::Display for Summary {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        write!(f, "{} cases, {} failures", self.cases, self.failures)
    }
}

/// Writes a line for each outcome, `ok: NAME` or `FAILED: NAME: HOW`. A line that `out` does not
/// take is lost; the summary counts its case all the same.
pub fn lines<W: fmt::Write>(out: &mut W) -> impl FnMut(&'static str, Result<(), Failure>) {
    move |name, outcome| {
        let _ = match outcome {
            Ok(()) => writeln!(out, "ok: {name}"),
            Err(failure) => writeln!(out, "FAILED: {name}: {failure}"),
        };
    }
}

/// Runs every case against `provider` and reports each outcome by name.
///
/// `load` makes a private key of PKCS#8 DER; it is part of what is tested. A loader that does not
/// know why it refuses a key asks [`KeyError::of_private`]. Where private keys cannot be imported, as
/// in many secure elements, there is [`run_with_handle`].
pub fn run<P: Provider>(
    provider: &P,
    load: impl Fn(&[u8]) -> Result<P::PrivateKey, KeyError>,
    rng: &mut dyn CryptoRng,
    report: &mut dyn FnMut(&'static str, Result<(), Failure>),
) -> Summary {
    let mut suite = Suite { report, summary: Summary::default() };
    hash::run(provider, &mut suite);
    cbc::run(provider, &mut suite);
    keys::run(provider, &load, rng, &mut suite);
    signature::run(provider, &load, rng, &mut suite);
    oaep::run(provider, &load, rng, &mut suite);
    match load(keys::GOOD) {
        Ok(key) => protocol::run(provider, &key, rng, &mut suite),
        Err(_) => suite.case("protocol: the suite's key", Err(Failure::Refused)),
    }
    suite.summary
}

/// Runs every case that needs no particular private key, and tries out the one behind `key`: for
/// keys that never leave their hardware.
pub fn run_with_handle<P: Provider>(
    provider: &P,
    key: &P::PrivateKey,
    rng: &mut dyn CryptoRng,
    report: &mut dyn FnMut(&'static str, Result<(), Failure>),
) -> Summary {
    let mut suite = Suite { report, summary: Summary::default() };
    hash::run(provider, &mut suite);
    cbc::run(provider, &mut suite);
    signature::run_public(provider, &mut suite);
    handle::run(provider, key, rng, &mut suite);
    protocol::run(provider, key, rng, &mut suite);
    suite.summary
}

struct Suite<'a> {
    report: &'a mut dyn FnMut(&'static str, Result<(), Failure>),
    summary: Summary,
}

impl Suite<'_> {
    fn case(&mut self, name: &'static str, outcome: Result<(), Failure>) {
        self.summary.cases = self.summary.cases.saturating_add(1);
        if outcome.is_err() {
            self.summary.failures = self.summary.failures.saturating_add(1);
        }
        (self.report)(name, outcome);
    }
}

/// The outcome of a case in which the backend has to refuse.
fn refused<T>(result: Result<T, Rejected>) -> Result<(), Failure> {
    match result {
        Err(Rejected) => Ok(()),
        Ok(_) => Err(Failure::Accepted),
    }
}

/// The outcome of a case in which the answer is known.
fn same<T: PartialEq + ?Sized>(answer: &T, known: &T) -> Result<(), Failure> {
    if answer == known { Ok(()) } else { Err(Failure::WrongAnswer) }
}

/// Hexadecimal to bytes, for constants: a wrong digit or length does not compile.
const fn hex<const N: usize>(text: &str) -> [u8; N] {
    assert!(text.len() >> 1 == N && text.len() & 1 == 0);
    let mut bytes = [0; N];
    let mut rest = text.as_bytes();
    let mut room = bytes.as_mut_slice();
    while let [high, low, tail @ ..] = rest {
        let Some((first, others)) = room.split_first_mut() else { break };
        *first = digit(*high) << 4 | digit(*low);
        (rest, room) = (tail, others);
    }
    bytes
}

const fn digit(byte: u8) -> u8 {
    assert!(byte.is_ascii_digit() || matches!(byte, b'a'..=b'f'));
    let above_nine = byte.wrapping_sub(b'a').wrapping_add(10);
    if byte.is_ascii_digit() { byte.wrapping_sub(b'0') } else { above_nine }
}
