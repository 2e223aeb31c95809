//! Client keys. One takes tens of milliseconds to make, so they are kept in a file.

use std::fs::{self, OpenOptions};
use std::io::{ErrorKind, Write};
use std::os::unix::fs::OpenOptionsExt;
use std::path::Path;
use std::sync::atomic::{AtomicUsize, Ordering};
use std::thread;

use anyhow::{Context, Result, anyhow};
use waxwing_aws_lc::{AwsLc, AwsLcKey, AwsLcPublicKey};
use waxwing_core::crypto::{PrivateKey, Provider};

use crate::progress::Progress;

/// Keys at most. More people than that share them in turn: to the server a key is a number, and
/// only registration asks whether somebody has it already.
const MOST: usize = 1_024;

/// A private key, and its public half parsed.
pub(crate) struct KeyPair {
    pub(crate) private: AwsLcKey,
    pub(crate) public: AwsLcPublicKey,
}

/// Keys for `people`, from the file at `path`, which grows as needed. They live as long as the
/// program, because everything here borrows them.
pub(crate) fn pool(path: &Path, people: usize) -> Result<&'static [KeyPair]> {
    let wanted = people.clamp(1, MOST);
    let mut ders = read(path)?;
    if let Some(missing) = wanted.checked_sub(ders.len()).filter(|missing| *missing > 0) {
        let fresh = generate(missing)?;
        append(path, &fresh).with_context(|| path.display().to_string())?;
        ders.extend(fresh);
    }
    ders.truncate(wanted);
    let parse = |der: &Vec<u8>| -> Result<KeyPair> {
        let private = AwsLcKey::from_pkcs8_der(der)
            .map_err(|error| anyhow!("{}: {error}; delete the file", path.display()))?;
        let public = AwsLc.public_key(private.spki()).map_err(|_| anyhow!("a key is refused"))?;
        Ok(KeyPair { private, public })
    };
    let pairs: Vec<_> = ders.iter().map(parse).collect::<Result<_>>()?;
    Ok(pairs.leak())
}

/// Each key lies there as its length, 16 bits little endian, and its PKCS#8 DER.
fn read(path: &Path) -> Result<Vec<Vec<u8>>> {
    let bytes = match fs::read(path) {
        Err(error) if error.kind() == ErrorKind::NotFound => return Ok(Vec::new()),
        other => other.with_context(|| path.display().to_string())?,
    };
    let mut ders = Vec::new();
    let mut rest = &bytes[..];
    while let Some((len, behind)) = rest.split_first_chunk() {
        let len = usize::from(u16::from_le_bytes(*len));
        let (der, behind) = behind
            .split_at_checked(len)
            .with_context(|| format!("{} is cut short; delete it", path.display()))?;
        ders.push(der.to_vec());
        rest = behind;
    }
    Ok(ders)
}

fn append(path: &Path, ders: &[Vec<u8>]) -> Result<()> {
    if let Some(parent) = path.parent() {
        fs::create_dir_all(parent)?;
    }
    let mut file = OpenOptions::new().create(true).append(true).mode(0o600).open(path)?;
    let mut bytes = Vec::new();
    for der in ders {
        bytes.extend(u16::try_from(der.len())?.to_le_bytes());
        bytes.extend(der);
    }
    file.write_all(&bytes)?;
    Ok(())
}

fn generate(count: usize) -> Result<Vec<Vec<u8>>> {
    let progress = Progress::new("making keys", count);
    let taken = AtomicUsize::new(0);
    let make = || -> Result<Vec<Vec<u8>>> {
        let mut made = Vec::new();
        while taken.fetch_add(1, Ordering::Relaxed) < count {
            let der = AwsLcKey::generate().and_then(|key| key.to_pkcs8_der());
            made.push(der.map_err(|_| anyhow!("a key could not be made"))?.to_vec());
            progress.step(1);
        }
        Ok(made)
    };
    let makers = thread::available_parallelism()?.get();
    thread::scope(|scope| {
        let makers: Vec<_> = (0..makers).map(|_| scope.spawn(make)).collect();
        let made = makers.into_iter().map(|maker| maker.join().expect("no maker panics"));
        made.collect::<Result<Vec<_>>>().map(|made| made.concat())
    })
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn keys_are_made_once_and_the_file_grows_as_needed() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("bench/keys");
        let spki = |pair: &KeyPair| pair.private.spki().clone();
        let first: Vec<_> = pool(&path, 1).unwrap().iter().map(spki).collect();
        let more: Vec<_> = pool(&path, 2).unwrap().iter().map(spki).collect();
        assert_eq!((first.len(), more.len()), (1, 2));
        assert_eq!(first[0], more[0]);
        assert_ne!(more[0], more[1]);
    }

    #[test]
    fn a_file_that_is_cut_short_is_refused() {
        let directory = tempfile::tempdir().unwrap();
        let path = directory.path().join("keys");
        pool(&path, 1).unwrap();
        let whole = fs::read(&path).unwrap();
        fs::write(&path, &whole[..whole.len() - 1]).unwrap();
        assert!(pool(&path, 1).is_err());
    }
}
