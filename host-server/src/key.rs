//! The server's key on disk: the private half for the server alone, the public half for clients
//! to pin.

mod succession;

use std::fs::{self, File, OpenOptions};
use std::io::{self, Read, Write};
use std::os::unix::fs::{MetadataExt, OpenOptionsExt, PermissionsExt};
use std::path::Path;

use pem_rfc7468::LineEnding;
use rustix::fs::OFlags;
use rustix::io::Errno;
use waxwing_core::crypto::{Digest, PrivateKey, Provider, PublicKey, Rejected, SPKI_LEN, Spki};
use waxwing_core::server::Identity;
use zeroize::Zeroizing;

use crate::access;
use crate::backend::{Backend, Key, generate_key, random};
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};

pub(crate) use succession::parse;
pub use succession::{
    Fingerprints, Planned, Previous, cancel, note_return, plan, planned, publish_planned, settle,
};

const PRIVATE_LABEL: &str = "PRIVATE KEY";
const PUBLIC_LABEL: &str = "PUBLIC KEY";
/// What helps when there is nothing in the file of the server's key.
const COPY_BACK: &str =
    "put the copy of the key back in its place: see \"The key is lost\" in OPERATING.md";
/// What helps when there is nothing in a file of which the server makes another by itself.
const MADE_AGAIN: &str = "delete it, and the server makes another one when it starts";
/// An RSA-2048 key in PEM has 1,704 bytes. Room for all of it keeps it in one place, to be wiped.
const LONGEST: usize = 8_192;

/// The key in `directory`, whose public half is published there; a new one if there is none.
///
/// # Errors
/// As [`load`], and when one cannot be made.
pub fn load_or_create(directory: &DataDir) -> Result<Identity<Backend>, Failure> {
    if !is_there(directory)? {
        create(directory)?;
    }
    let identity = load(directory)?;
    publish(directory, identity.spki())?;
    Ok(identity)
}

/// The private key in a file of its own; a new one if there is none.
///
/// # Errors
/// When it cannot be used, or not be made.
pub(crate) fn read_or_make(path: &Path) -> Result<Key, Failure> {
    if !is_at(path)? {
        make(path)?;
    }
    Ok(read(path, MADE_AGAIN)?.0)
}

/// The private key in a file of its own, if there is one.
///
/// # Errors
/// When it cannot be used.
pub(crate) fn read_if_there(path: &Path) -> Result<Option<Key>, Failure> {
    if !is_at(path)? {
        return Ok(None);
    }
    Ok(Some(read(path, MADE_AGAIN)?.0))
}

/// Whether there is anything where the key has to be.
///
/// # Errors
/// When that cannot be said.
pub fn is_there(directory: &DataDir) -> Result<bool, Failure> {
    is_at(&directory.private_key())
}

pub(crate) fn is_at(path: &Path) -> Result<bool, Failure> {
    match fs::symlink_metadata(path) {
        Ok(_) => Ok(true),
        Err(error) if error.kind() == io::ErrorKind::NotFound => Ok(false),
        Err(error) => Err(failure(path, access::cannot_open(path, &error))),
    }
}

/// The key in `directory`.
///
/// # Errors
/// When it cannot be read, others can read it, it is not an RSA-2048 key in PKCS#8
/// ([`KeyError`](waxwing_core::crypto::KeyError) says what is wrong with it), or it does not sign.
pub fn load(directory: &DataDir) -> Result<Identity<Backend>, Failure> {
    let path = directory.private_key();
    let (key, der) = read(&path, COPY_BACK)?;
    prove(&key).map_err(|_| failure(&path, "it cannot sign what its public half verifies"))?;
    Ok(Identity::new(&Backend::default(), key, &der))
}

/// Refuses when the key in `directory` is not the one with the fingerprint `own` any more, which the
/// server works with.
///
/// # Errors
/// Then, and when it cannot be read.
pub fn expect(directory: &DataDir, own: &Digest) -> Result<(), Failure> {
    if fingerprint(directory)? == *own {
        return Ok(());
    }
    let how = "it is another key already than the server works with, as if the planned key had begun to \
               take its place, so the plan cannot be changed any more. The log says what keeps the server \
               from going on; the next start goes on with this key";
    Err(failure(&directory.private_key(), how))
}

/// Writes the public half for clients. It can always be made again, and should never contradict the
/// private one.
///
/// # Errors
/// When it cannot be written.
pub fn publish(directory: &DataDir, spki: &Spki) -> Result<(), Failure> {
    let public = public_pem(spki);
    if read_public(directory).is_none_or(|published| published != public.as_bytes()) {
        replace(&directory.public_key(), public.as_bytes(), 0o644)?;
    }
    Ok(())
}

/// The fingerprint of the public half that lies in `directory`, whatever private key is beside it;
/// `None` where there is none that can be read.
#[must_use]
pub fn published(directory: &DataDir) -> Option<Digest> {
    let pem = read_public(directory)?;
    let (label, der) = pem_rfc7468::decode_vec(&pem).ok()?;
    let spki = Spki::parse(&der).ok().filter(|_| label == PUBLIC_LABEL)?;
    Some(digest(&spki))
}

/// What lies where the public half has to be, if it is a file; a pipe is not waited for.
fn read_public(directory: &DataDir) -> Option<Vec<u8>> {
    let flags = OFlags::NONBLOCK.bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(directory.public_key());
    let file = opened.ok().filter(|file| file.metadata().is_ok_and(|found| found.is_file()))?;
    let mut content = Vec::new();
    file.take(LONGEST as u64).read_to_end(&mut content).ok()?;
    Some(content)
}

/// What tells a key from every other.
#[must_use]
pub fn digest(spki: &Spki) -> Digest {
    Backend::default().sha256(&[spki.as_bytes()])
}

/// Uses the key once. What cannot sign is noticed before anybody connects; and the backend, which
/// gathers randomness of its own for 30 ms before it blinds for the first time, keeps nobody
/// waiting for it.
fn prove(key: &Key) -> Result<(), Rejected> {
    let provider = Backend::default();
    let digest = provider.sha256(&[key.spki().as_bytes()]);
    let signature = key.sign(&mut random(), &digest)?;
    provider.public_key(key.spki())?.verify(&digest, &signature)
}

/// What tells the key in `directory` from every other.
///
/// # Errors
/// When there is no key, or it cannot be used.
pub fn fingerprint(directory: &DataDir) -> Result<Digest, Failure> {
    let (key, _) = read(&directory.private_key(), COPY_BACK)?;
    Ok(digest(key.spki()))
}

fn read(path: &Path, if_empty: &str) -> Result<(Key, Zeroizing<Vec<u8>>), Failure> {
    decode(path, &open_private(path)?, if_empty)
}

/// What is in the file of a private key, which nobody else may read.
fn open_private(path: &Path) -> Result<Zeroizing<Vec<u8>>, Failure> {
    let not_plain = "a private key has to be a plain file of the server's user";
    // What is judged is what is read: a link is not followed, and a pipe not waited for.
    let flags = (OFlags::NOFOLLOW | OFlags::NONBLOCK).bits().cast_signed();
    let opened = OpenOptions::new().read(true).custom_flags(flags).open(path);
    let file = opened.map_err(|error| match Errno::from_io_error(&error) {
        Some(Errno::LOOP | Errno::NXIO) => failure(path, not_plain),
        Some(Errno::NOENT) => failure(
            path,
            "there is no key yet; a new server makes one when it starts for the first time, and one \
             that was lost has to be copied back",
        ),
        _ => failure(path, access::cannot_open(path, &error)),
    })?;
    let metadata = file.metadata().map_err(|error| failure(path, error))?;
    let owner = rustix::process::geteuid().as_raw();
    if !metadata.is_file() {
        return Err(failure(path, not_plain));
    }
    if metadata.uid() != owner {
        let how = format!(
            "{not_plain}, and it belongs to the user with number {}; run as root: chown {owner} {}",
            metadata.uid(),
            path.display()
        );
        return Err(failure(path, how));
    }
    if metadata.permissions().mode() & 0o077 != 0 {
        let path = path.display();
        let how = format!("others can read this private key; run: chmod 600 {path}");
        return Err(Failure::new(Exit::Key, how));
    }
    let mut pem = Zeroizing::new(Vec::with_capacity(LONGEST));
    let read = file.take(LONGEST as u64).read_to_end(&mut pem);
    read.map_err(|error| failure(path, error))?;
    Ok(pem)
}

/// Whether there is nothing in a file. A power cut can leave zeros.
fn is_empty(content: &[u8]) -> bool {
    content.iter().all(|byte| *byte == 0 || byte.is_ascii_whitespace())
}

/// Reads a private key, as it was at `path`.
fn decode(path: &Path, pem: &[u8], if_wrong: &str) -> Result<(Key, Zeroizing<Vec<u8>>), Failure> {
    if is_empty(pem) {
        return Err(failure(
            path,
            format!("there is no key in this file, it is empty; {if_wrong}"),
        ));
    }
    let (label, der) = pem_rfc7468::decode_vec(pem).map_err(|error| {
        failure(
            path,
            format!(
                "not a key in PEM ({error}); {if_wrong}. A key in another form becomes one by `openssl pkcs8 -topk8 \
                 -nocrypt`"
            ),
        )
    })?;
    let der = Zeroizing::new(der);
    let key = Key::from_pkcs8_der(&der).map_err(|error| failure(path, error))?;
    if label != PRIVATE_LABEL {
        let how = format!("its first line names a {label}, and has to name a {PRIVATE_LABEL}");
        return Err(failure(path, how));
    }
    Ok((key, der))
}

/// Makes a new key.
///
/// # Errors
/// When that fails, or it cannot be written.
pub fn create(directory: &DataDir) -> Result<(), Failure> {
    let path = directory.private_key();
    make(&path)?;
    tracing::info!(path = %path.display(), "made the server's key");
    Ok(())
}

fn make(path: &Path) -> Result<(), Failure> {
    let failed = |_| failure(path, "the key could not be made");
    let key = generate_key().map_err(failed)?;
    let der = key.to_pkcs8_der().map_err(failed)?;
    let pem = pem_rfc7468::encode_string(PRIVATE_LABEL, LineEnding::LF, &der)
        .map_err(|error| failure(path, error))?;
    replace(path, Zeroizing::new(pem).as_bytes(), 0o600)
}

fn public_pem(spki: &Spki) -> String {
    let der: &[u8; SPKI_LEN] = spki.as_bytes();
    pem_rfc7468::encode_string(PUBLIC_LABEL, LineEnding::LF, der).unwrap_or_default()
}

/// Writes a file so that it is there whole, durably, or not at all.
fn replace(path: &Path, content: &[u8], mode: u32) -> Result<(), Failure> {
    let temporary = path.with_extension("new");
    let write = || -> io::Result<()> {
        match fs::remove_file(&temporary) {
            Err(error) if error.kind() != io::ErrorKind::NotFound => return Err(error),
            _ => {}
        }
        let mut file =
            OpenOptions::new().write(true).create_new(true).mode(mode).open(&temporary)?;
        file.write_all(content)?;
        file.sync_all()?;
        Ok(())
    };
    let put = || fs::rename(&temporary, path).and_then(|()| path.parent().map_or(Ok(()), sync));
    // What is in the way of the one is not in the way of the other.
    let written = write().map_err(|error| (&*temporary, error));
    let put = written.and_then(|()| put().map_err(|error| (path, error)));
    put.inspect_err(|_| _ = fs::remove_file(&temporary)).map_err(|(at, error)| match error.kind() {
        io::ErrorKind::IsADirectory => {
            let directory = if temporary.is_dir() { &temporary } else { path };
            failure(directory, "a file of the server's key has to go here; remove this directory")
        }
        _ => unwritten(path, at, &error),
    })
}

/// Nothing is wrong with a key, but with the disk or the directory, which did not take the file at `path` because of
/// what is at `at`.
fn unwritten(path: &Path, at: &Path, error: &io::Error) -> Failure {
    let why = access::cannot_open(at, error);
    Failure::new(Exit::Storage, format!("{} cannot be written: {why}", path.display()))
}

/// Removes what a process that was killed has left of files with private keys.
fn remove_drafts(directory: &DataDir) -> Result<(), Failure> {
    let files =
        [directory.private_key(), directory.next_private_key(), directory.previous_private_key()];
    for draft in files.map(|file| file.with_extension("new")) {
        match fs::remove_file(&draft) {
            // A directory is no key. Whoever has to write there says that it is in the way.
            Err(error)
                if !matches!(
                    error.kind(),
                    io::ErrorKind::NotFound | io::ErrorKind::IsADirectory
                ) =>
            {
                return Err(not_removed(&draft, &error));
            }
            _ => {}
        }
    }
    Ok(())
}

fn not_removed(path: &Path, error: &io::Error) -> Failure {
    let why = access::cannot_open(path, error);
    Failure::new(Exit::Storage, format!("{} cannot be removed: {why}", path.display()))
}

/// What has changed in a directory is durable.
fn sync(directory: &Path) -> io::Result<()> {
    File::open(directory)?.sync_all()
}

fn failure(path: &Path, error: impl std::fmt::Display) -> Failure {
    Failure::new(Exit::Key, format!("{}: {error}", path.display()))
}

#[cfg(test)]
mod tests {
    use std::path::PathBuf;
    use std::process::Command;

    use waxwing_core::crypto::KeyError;

    use super::*;

    fn directory() -> (tempfile::TempDir, DataDir) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = DataDir::create(&temporary.path().join("data")).unwrap();
        (temporary, directory)
    }

    fn refused(directory: &DataDir) -> Failure {
        load_or_create(directory).err().expect("a refusal")
    }

    #[test]
    fn the_key_is_made_once_and_closed_to_others() {
        let (_temporary, directory) = directory();
        let first = load_or_create(&directory).unwrap().spki().clone();
        let again = load_or_create(&directory).unwrap().spki().clone();
        assert_eq!(first, again);
        let mode = |path| fs::metadata(path).unwrap().permissions().mode() & 0o777;
        assert_eq!(mode(directory.private_key()), 0o600);
        assert_eq!(mode(directory.public_key()), 0o644);
        let public = fs::read(directory.public_key()).unwrap();
        let (label, der) = pem_rfc7468::decode_vec(&public).unwrap();
        assert_eq!((label, &der[..]), (PUBLIC_LABEL, &first.as_bytes()[..]));
    }

    #[test]
    fn a_disk_that_does_not_take_a_key_is_a_matter_of_storage() {
        // On this file system, nobody makes a file, root included.
        let refused = make(Path::new("/proc/server.key.pem")).unwrap_err();
        assert_eq!(refused.exit(), Exit::Storage);
        assert!(refused.to_string().contains("cannot be written"), "{refused}");
        let full =
            unwritten(Path::new("/key"), Path::new("/key"), &io::ErrorKind::StorageFull.into());
        assert_eq!(full.exit(), Exit::Storage);
        assert!(full.to_string().contains("make room there"), "{full}");
    }

    #[test]
    fn rubbish_is_refused_and_left_alone() {
        let (_temporary, directory) = directory();
        for rubbish in
            ["", "rubbish", "-----BEGIN PRIVATE KEY-----\nAAAA\n-----END PRIVATE KEY-----\n"]
        {
            replace(&directory.private_key(), rubbish.as_bytes(), 0o600).unwrap();
            assert_eq!(refused(&directory).exit(), Exit::Key);
            assert_eq!(fs::read_to_string(directory.private_key()).unwrap(), rubbish);
        }
    }

    #[test]
    fn what_is_wrong_with_a_key_is_said() {
        let (_temporary, directory) = directory();
        load_or_create(&directory).unwrap();
        let path = directory.private_key();
        let refusal = |pem: &str| {
            replace(&path, pem.as_bytes(), 0o600).unwrap();
            refused(&directory).to_string()
        };
        let pem = fs::read_to_string(&path).unwrap();
        let (_, der) = pem_rfc7468::decode_vec(pem.as_bytes()).unwrap();
        let labelled =
            |label, der: &[u8]| pem_rfc7468::encode_string(label, LineEnding::LF, der).unwrap();

        // The RSAPrivateKey lies inside, and behind the 26 bytes that say so.
        let pkcs1 = refusal(&labelled("RSA PRIVATE KEY", &der[26..]));
        assert!(pkcs1.ends_with(&KeyError::Pkcs1.to_string()), "{pkcs1}");
        let public = refusal(&fs::read_to_string(directory.public_key()).unwrap());
        assert!(public.ends_with(&KeyError::PublicKey.to_string()), "{public}");
        let cut = refusal(&labelled(PRIVATE_LABEL, &der[..1_000]));
        assert!(cut.ends_with(&KeyError::CutShort.to_string()), "{cut}");
        let label = refusal(&labelled("RSA PRIVATE KEY", &der));
        assert!(label.contains("has to name a PRIVATE KEY"), "{label}");
        let text = refusal("rubbish");
        assert!(text.contains("not a key in PEM"), "{text}");
        assert!(text.contains("put the copy of the key back in its place"), "{text}");
        for empty in ["", "\n", "\0\0\0"] {
            let said = refusal(empty);
            assert!(said.contains("it is empty; put the copy of the key back"), "{said}");
            assert!(!said.contains("openssl"), "{said}");
            let canary = read_if_there(&path).err().unwrap().to_string();
            assert!(canary.contains("it is empty; delete it"), "{canary}");
        }
    }

    #[test]
    fn a_lost_public_half_is_made_again() {
        let (_temporary, directory) = directory();
        load_or_create(&directory).unwrap();
        let public = fs::read(directory.public_key()).unwrap();
        let pipe = |path| assert!(Command::new("mkfifo").arg(path).status().unwrap().success());
        let huge = |path| File::create(path).unwrap().set_len(1 << 40).unwrap();
        let acts: [&dyn Fn(PathBuf); 3] = [&|_| (), &pipe, &huge];
        for put_there in acts {
            fs::remove_file(directory.public_key()).unwrap();
            put_there(directory.public_key());
            assert_eq!(published(&directory), None);
            load_or_create(&directory).unwrap();
            assert_eq!(fs::read(directory.public_key()).unwrap(), public);
        }
    }
}
