//! What the RSA of a piece of work costs alone: nothing that keeps the protocol can be cheaper.

use std::fmt;
use std::time::{Duration, Instant};

use anyhow::{Result, anyhow};
use clap::ValueEnum;
use rand_chacha::ChaCha20Rng;
use rustix::time::{ClockId, clock_gettime};
use serde::Serialize;
use waxwing_aws_lc::AwsLc;
use waxwing_core::crypto::{PrivateKey, Provider, PublicKey, Rejected, RustCrypto, RustCryptoKey};

use crate::keys::KeyPair;

const LABEL: &[u8] = b"waxwing/1:106";
const MESSAGE: [u8; 48] = [7; 48];
/// The operations are measured in turn, in rounds of this length; the fastest round of each counts,
/// because whatever else runs on the machine only ever adds.
const ROUND: Duration = Duration::from_millis(20);
const ROUNDS: usize = 8;

/// The backend that the server was built with.
#[derive(Clone, Copy, Debug, PartialEq, Eq, ValueEnum, Serialize)]
#[serde(rename_all = "kebab-case")]
pub(crate) enum BackendKind {
    AwsLc,
    Rustcrypto,
}

/// A private key of a backend, for as long as the program runs.
pub(crate) type Key = &'static (dyn PrivateKey + Sync);

impl BackendKind {
    /// The first of `keys`, in the hands of this backend.
    pub(crate) fn key(self, keys: &'static [KeyPair]) -> Result<Key> {
        let key = &keys.first().ok_or_else(|| anyhow!("a key is needed"))?.private;
        Ok(match self {
            Self::AwsLc => key,
            Self::Rustcrypto => {
                Box::leak(Box::new(RustCryptoKey::from_pkcs8_der(&key.to_pkcs8_der()?)?))
            }
        })
    }
}

/// Microseconds of processor time for one operation each.
#[derive(Clone, Copy, Debug, Serialize)]
pub(crate) struct Floor {
    /// V, a verification.
    pub(crate) verify: f64,
    /// S, a signature.
    pub(crate) sign: f64,
    /// O, an OAEP block opened.
    pub(crate) open: f64,
    /// E, an OAEP block sealed.
    pub(crate) seal: f64,
}

/// How many of each a piece of work takes.
#[derive(Clone, Copy, Debug, Default)]
pub(crate) struct Work {
    pub(crate) verify: u32,
    pub(crate) sign: u32,
    pub(crate) open: u32,
    pub(crate) seal: u32,
}

impl Work {
    /// One verification.
    pub(crate) const V: Self = Self { verify: 1, sign: 0, open: 0, seal: 0 };
    /// A letter and its acknowledgment verified, an answer signed.
    pub(crate) const LETTER_ALONE: Self = Self { verify: 2, sign: 1, open: 0, seal: 0 };
    /// The short 106 and the confirmation verified, the 206 sealed and signed.
    pub(crate) const RECONNECT: Self = Self { verify: 2, sign: 1, open: 0, seal: 1 };
    /// At a client: 206 opened and verified, the confirmation signed, 255 verified.
    pub(crate) const COMING_BACK: Self = Self { verify: 2, sign: 1, open: 1, seal: 0 };
    /// 100 and 101 opened, 101 and the confirmation verified, 200 and 201 signed, 201 sealed.
    pub(crate) const REGISTRATION: Self = Self { verify: 2, sign: 2, open: 2, seal: 1 };
}

impl fmt::Display for Work {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let parts = [(self.verify, 'V'), (self.sign, 'S'), (self.open, 'O'), (self.seal, 'E')];
        let mut plus = "";
        for (count, name) in parts.into_iter().filter(|(count, _)| *count > 0) {
            match count {
                1 => write!(f, "{plus}{name}")?,
                count => write!(f, "{plus}{count}{name}")?,
            }
            plus = "+";
        }
        Ok(())
    }
}

impl Floor {
    /// Measures `backend`, whose `key` is.
    pub(crate) fn measure(backend: BackendKind, key: Key) -> Result<Self> {
        let measured = match backend {
            BackendKind::AwsLc => measure(&AwsLc, key),
            BackendKind::Rustcrypto => measure(&RustCrypto, key),
        };
        measured.map_err(|_| anyhow!("the backend refuses its own work"))
    }

    /// Microseconds that `work` takes at least.
    pub(crate) fn of(&self, work: Work) -> f64 {
        f64::from(work.verify) * self.verify
            + f64::from(work.sign) * self.sign
            + f64::from(work.open) * self.open
            + f64::from(work.seal) * self.seal
    }
}

impl fmt::Display for Floor {
    fn fmt(&self, f: &mut fmt::Formatter<'_>) -> fmt::Result {
        let Self { verify, sign, open, seal } = self;
        write!(f, "V {verify:.1} µs, S {sign:.0} µs, O {open:.0} µs, E {seal:.1} µs")
    }
}

fn measure<P: Provider>(provider: &P, key: Key) -> Result<Floor, Rejected> {
    let rng: &mut ChaCha20Rng = &mut waxwing_server::backend::random();
    let public = provider.public_key(key.spki())?;
    let digest = provider.sha256(&[LABEL]);
    let signature = key.sign(rng, &digest)?;
    let sealed = public.oaep_seal(rng, LABEL, &MESSAGE)?;
    let mut opened = [0; 64];
    let [mut verify, mut sign, mut open, mut seal] = [f64::INFINITY; 4];
    for _ in 0..ROUNDS {
        verify = verify.min(round(|| public.verify(&digest, &signature))?);
        sign = sign.min(round(|| key.sign(rng, &digest).map(drop))?);
        open = open.min(round(|| key.oaep_open(rng, LABEL, &sealed, &mut opened).map(drop))?);
        seal = seal.min(round(|| public.oaep_seal(rng, LABEL, &MESSAGE).map(drop))?);
    }
    Ok(Floor { verify, sign, open, seal })
}

fn round(mut operation: impl FnMut() -> Result<(), Rejected>) -> Result<f64, Rejected> {
    let (begun, busy) = (Instant::now(), thread_time());
    let mut count = 0_u32;
    while begun.elapsed() < ROUND {
        operation()?;
        count += 1;
    }
    let busy = thread_time().saturating_sub(busy);
    Ok(busy.as_secs_f64() * 1e6 / f64::from(count))
}

/// Processor time of this thread.
pub(crate) fn thread_time() -> Duration {
    Duration::try_from(clock_gettime(ClockId::ThreadCPUTime)).unwrap_or_default()
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn work_is_written_and_added_up_by_operation() {
        let floor = Floor { verify: 1.0, sign: 10.0, open: 100.0, seal: 1_000.0 };
        assert_eq!(Work::V.to_string(), "V");
        assert_eq!(Work::REGISTRATION.to_string(), "2V+2S+2O+E");
        assert_eq!(floor.of(Work::REGISTRATION), 1_222.0);
    }
}
