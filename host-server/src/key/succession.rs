//! The key that is to take the place of the server's, and how it does so on disk.
//!
//! The planned key is one file, whose first line says from when on it counts. So it is there with its
//! moment, or not at all. When the moment has come, its steps are in an order in which the next start can
//! go on after any of them: until the key itself is replaced they are done again, and afterwards
//! what is left of the plan is the same key, and is removed.

use std::fs;
use std::io::{self, Read};
use std::path::{Path, PathBuf};

use pem_rfc7468::LineEnding;
use waxwing_core::crypto::{Digest, PrivateKey, Spki};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::Successor;
use zeroize::Zeroizing;

use super::{
    COPY_BACK, PRIVATE_LABEL, decode, digest, failure, is_empty, not_removed, open_private,
    public_pem, remove_drafts, replace, sync, unwritten,
};
use crate::access;
use crate::backend::{Key, generate_key};
use crate::data_dir::DataDir;
use crate::exit::{Exit, Failure};
use crate::failpoint::Failpoint;

/// What helps when the file of the planned key is lost, or no key is in it.
const TAKE_BACK: &str =
    "put its copy back, or take the plan back: waxwing-server key rotate --cancel";

/// Before the moment, on the first line.
const EFFECTIVE: &str = "Effective: ";

/// A key that is planned.
pub struct Planned {
    /// From then on it is the server's.
    pub effective: UnixTime,
    key: Key,
    der: Zeroizing<Vec<u8>>,
}

impl Planned {
    /// What clients are told.
    #[must_use]
    pub fn successor(&self) -> Successor {
        let effective = Timestamp::from_unix(self.effective);
        Successor { effective, spki: self.key.spki().clone() }
    }

    /// What tells the key from every other.
    #[must_use]
    pub fn fingerprint(&self) -> Digest {
        digest(self.key.spki())
    }
}

/// The fingerprints of the server's key, and of those that were its before and were followed by another
/// as planned.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Fingerprints {
    /// That of its key.
    pub own: Digest,
    /// Those before, the oldest first.
    pub former: Vec<Digest>,
}

impl Fingerprints {
    /// Of the server in `directory`, whose key has the fingerprint `own`.
    ///
    /// # Errors
    /// When the list of former ones cannot be read.
    pub fn read(directory: &DataDir, own: Digest) -> Result<Self, Failure> {
        let path = directory.former_keys();
        let text = match fs::read_to_string(&path) {
            Ok(text) => text,
            Err(error) if error.kind() == io::ErrorKind::NotFound => String::new(),
            Err(error) => return Err(failure(&path, access::cannot_open(&path, &error))),
        };
        let former = text.lines().map(|line| parse(line).ok_or(line));
        let former = former.collect::<Result<_, _>>().map_err(|line| {
            failure(&path, format!("{line:?} is no fingerprint; a line is 64 hexadecimal digits"))
        })?;
        Ok(Self { own, former })
    }

    /// Whether the server has, or had, the key with this fingerprint.
    #[must_use]
    pub fn has(&self, key: &Digest) -> bool {
        self.own == *key || self.former.contains(key)
    }
}

/// A file with the private key that the server's has followed, as long as it is there.
#[derive(Clone, Debug, PartialEq, Eq)]
pub struct Previous {
    /// The file.
    pub file: PathBuf,
    /// Which key is in it; nothing if that cannot be read.
    pub key: Option<Digest>,
}

impl Previous {
    /// The one in a directory, if it is there.
    #[must_use]
    pub fn find(directory: &DataDir) -> Option<Self> {
        let file = directory.previous_private_key();
        let key = || super::read(&file, COPY_BACK).ok().map(|(key, _)| digest(key.spki()));
        file.exists().then(|| Self { file: file.clone(), key: key() })
    }

    /// What it is beside the key with the fingerprint `own`. Whoever has gone back to it has it twice.
    #[must_use]
    pub fn is_what(&self, own: &Digest) -> &'static str {
        match self.key {
            Some(key) if key == *own => "a copy of the server's own private key",
            _ => "the private key before",
        }
    }
}

/// Reads a fingerprint.
pub(crate) fn parse(text: &str) -> Option<Digest> {
    let mut digest = [0; 32];
    if text.len() != 2 * digest.len() || !text.is_ascii() {
        return None;
    }
    for (byte, at) in digest.iter_mut().zip((0..).step_by(2)) {
        *byte = u8::from_str_radix(text.get(at..at + 2)?, 16).ok()?;
    }
    Some(Digest(digest))
}

/// The key that is planned in `directory` to follow the server's, which has the fingerprint `own`, if one
/// is. Nothing else says what is planned: whoever remembers it asks here after each attempt to change it.
///
/// # Errors
/// As for the server's own key, and when its first line names no moment.
pub fn planned(directory: &DataDir, own: &Digest) -> Result<Option<Planned>, Failure> {
    let Some(planned) = read_plan(directory)? else {
        // The public half is written last, and removed first.
        return if is_half_gone(directory) { Err(lost_plan(directory)) } else { Ok(None) };
    };
    // A plan that is carried out leaves its file for a moment, or longer if the process is killed.
    Ok(Some(planned).filter(|planned| planned.fingerprint() != *own))
}

/// Whether the public half of a planned key is there, whose private half is not.
fn is_half_gone(directory: &DataDir) -> bool {
    let is_there = |path: &Path| path.symlink_metadata().is_ok();
    is_there(&directory.next_public_key()) && !is_there(&directory.next_private_key())
}

fn lost_plan(directory: &DataDir) -> Failure {
    let why =
        format!("this file is gone, and a key is planned, whose public half is there: {TAKE_BACK}");
    failure(&directory.next_private_key(), why)
}

fn read_plan(directory: &DataDir) -> Result<Option<Planned>, Failure> {
    let path = directory.next_private_key();
    match fs::symlink_metadata(&path) {
        Err(error) if error.kind() == io::ErrorKind::NotFound => return Ok(None),
        Err(error) => return Err(failure(&path, access::cannot_open(&path, &error))),
        Ok(_) => {}
    }
    let content = open_private(&path)?;
    let no_moment = || {
        let how = format!(
            "its first line has to be `{EFFECTIVE}2026-12-24 18:00:00`, in UTC; {TAKE_BACK}"
        );
        failure(&path, how)
    };
    if is_empty(&content) {
        return Err(failure(
            &path,
            format!("there is no key in this file, it is empty; {TAKE_BACK}"),
        ));
    }
    let end = content.iter().position(|byte| *byte == b'\n').ok_or_else(no_moment)?;
    let (line, pem) = content.split_at_checked(end + 1).ok_or_else(no_moment)?;
    let moment = line.strip_prefix(EFFECTIVE.as_bytes()).and_then(|rest| rest.strip_suffix(b"\n"));
    let moment = moment.and_then(|moment| Timestamp::parse(moment.try_into().ok()?).ok());
    let effective = moment.ok_or_else(no_moment)?.to_unix();
    let (key, der) = decode(&path, pem, TAKE_BACK)?;
    Ok(Some(Planned { effective, key, der }))
}

/// Makes a key that counts from a moment on, in place of one that was planned before.
///
/// # Errors
/// When it cannot be made or written. It may be planned all the same: [`planned`] says so.
pub fn plan(directory: &DataDir, effective: UnixTime) -> Result<Planned, Failure> {
    let path = directory.next_private_key();
    let failed = |_| failure(&path, "the key could not be made");
    let key = generate_key().map_err(failed)?;
    let der = key.to_pkcs8_der().map_err(failed)?;
    let pem = pem_rfc7468::encode_string(PRIVATE_LABEL, LineEnding::LF, &der)
        .map_err(|error| failure(&path, error))?;
    let pem = Zeroizing::new(pem);
    let moment = Timestamp::from_unix(effective);
    let content = Zeroizing::new(format!("{EFFECTIVE}{}\n{}", moment.as_str(), *pem));
    replace(&path, content.as_bytes(), 0o600)?;
    let planned = read_plan(directory)?.ok_or_else(|| failure(&path, "the key has gone"))?;
    publish_next(directory, planned.key.spki())?;
    Ok(planned)
}

/// Takes back what is planned to follow the key with the fingerprint `own`.
///
/// # Errors
/// When nothing is planned, or it cannot be removed. It may not be planned any more all the same:
/// [`planned`] says so.
pub fn cancel(directory: &DataDir, own: &Digest) -> Result<(), Failure> {
    // What cannot be read is no key that anybody could have, and is in the way.
    if matches!(planned(directory, own), Ok(None)) {
        return Err(Failure::new(Exit::Failure, "no other key is planned"));
    }
    remove_plan(directory)
}

/// Removes the files of a plan.
fn remove_plan(directory: &DataDir) -> Result<(), Failure> {
    // The private half last: as long as it is there, there is a plan.
    for path in [directory.next_public_key(), directory.next_private_key()] {
        remove(&path)?;
    }
    sync(directory.path()).map_err(|error| unwritten(directory.path(), directory.path(), &error))
}

fn remove(path: &Path) -> Result<(), Failure> {
    match fs::remove_file(path) {
        Err(error) if error.kind() != io::ErrorKind::NotFound => Err(not_removed(path, &error)),
        _ => Ok(()),
    }
}

/// If the moment of a planned key has come, it takes the place of the server's. Whether it has. What an
/// earlier attempt has begun is brought to its end.
///
/// # Errors
/// When a key cannot be read or written. The next attempt goes on.
pub fn settle(directory: &DataDir, now: UnixTime) -> Result<bool, Failure> {
    remove_drafts(directory)?;
    let Some(planned) = read_plan(directory)? else {
        if is_half_gone(directory) {
            tracing::warn!(
                name: "planned_key_lost",
                "a key was planned, and server.next.key.pem is gone: the server keeps its key. Clients that have heard \
                 of the plan go on with it. Put the copy of server.next.key.pem back, and the key is planned again \
                 within seconds; only if there is no copy, plan another key"
            );
        }
        remove(&directory.next_public_key())?;
        return Ok(false);
    };
    let path = directory.private_key();
    let content = open_private(&path)?;
    let (before, _) = decode(&path, &content, COPY_BACK)?;
    let is_done = before.spki() == planned.key.spki();
    if !is_done && planned.effective > now {
        publish_next(directory, planned.key.spki())?;
        return Ok(false);
    }
    if !is_done {
        note_former(directory, digest(before.spki()))?;
        Failpoint::KeyChanging.pass();
        replace(&directory.previous_private_key(), &content, 0o600)?;
        Failpoint::KeyChanging.pass();
        let pem = pem_rfc7468::encode_string(PRIVATE_LABEL, LineEnding::LF, &planned.der)
            .map_err(|error| failure(&path, error))?;
        replace(&path, Zeroizing::new(pem).as_bytes(), 0o600)?;
        Failpoint::KeyChanging.pass();
    }
    super::publish(directory, planned.key.spki())?;
    Failpoint::KeyChanging.pass();
    remove_plan(directory)?;
    Failpoint::KeyChanging.pass();
    Ok(!is_done)
}

/// Writes the public half of a planned key for clients.
///
/// # Errors
/// When it cannot be written.
pub fn publish_planned(directory: &DataDir, planned: &Planned) -> Result<(), Failure> {
    publish_next(directory, planned.key.spki())
}

fn publish_next(directory: &DataDir, spki: &Spki) -> Result<(), Failure> {
    let (path, public) = (directory.next_public_key(), public_pem(spki));
    let mut published = Vec::new();
    let read = fs::File::open(&path).and_then(|file| file.take(8_192).read_to_end(&mut published));
    if read.is_err() || published != public.as_bytes() {
        replace(&path, public.as_bytes(), 0o644)?;
    }
    Ok(())
}

fn note_former(directory: &DataDir, key: Digest) -> Result<(), Failure> {
    let mut list = Fingerprints::read(directory, key)?.former;
    if !list.contains(&key) {
        list.push(key);
    }
    write_former(directory, &list)
}

/// The server has a key again that another one had followed. So that one is a former key now, and its own is none.
///
/// # Errors
/// When the list of former ones cannot be read or written.
pub fn note_return(directory: &DataDir, own: &Digest, from: Option<Digest>) -> Result<(), Failure> {
    let mut list = Fingerprints::read(directory, *own)?.former;
    list.retain(|key| key != own);
    list.extend(from.filter(|from| from != own && !list.contains(from)));
    write_former(directory, &list)
}

fn write_former(directory: &DataDir, list: &[Digest]) -> Result<(), Failure> {
    let text: String = list.iter().map(|key| format!("{key:?}\n")).collect();
    replace(&directory.former_keys(), text.as_bytes(), 0o644)
}

#[cfg(test)]
mod tests {
    use std::os::unix::fs::PermissionsExt;

    use super::super::load_or_create;
    use super::*;

    const NOW: UnixTime = UnixTime::from_seconds(1_795_350_896);

    fn directory() -> (tempfile::TempDir, DataDir) {
        let temporary = tempfile::tempdir().unwrap();
        let directory = DataDir::create(&temporary.path().join("data")).unwrap();
        load_or_create(&directory).unwrap();
        (temporary, directory)
    }

    fn own(directory: &DataDir) -> Digest {
        digest(load_or_create(directory).unwrap().spki())
    }

    fn published(path: PathBuf) -> Digest {
        let (_, der) = pem_rfc7468::decode_vec(&fs::read(path).unwrap()).unwrap();
        digest(&Spki::parse(&der).unwrap())
    }

    fn files(directory: &DataDir) -> Vec<String> {
        let names = fs::read_dir(directory.path()).unwrap();
        let mut names: Vec<_> =
            names.map(|entry| entry.unwrap().file_name().into_string().unwrap()).collect();
        names.sort();
        names
    }

    #[test]
    fn a_planned_key_waits_for_its_moment_and_then_takes_the_place_of_the_other() {
        let (_temporary, directory) = directory();
        let before = own(&directory);
        assert!(planned(&directory, &before).unwrap().is_none());
        let next = plan(&directory, NOW).unwrap().fingerprint();
        let mode = fs::metadata(directory.next_private_key()).unwrap().permissions().mode();
        assert_eq!(mode & 0o777, 0o600);
        assert!(!settle(&directory, NOW.shifted(-1)).unwrap());
        assert_eq!(own(&directory), before);
        let found = planned(&directory, &before).unwrap().unwrap();
        assert_eq!((found.effective, found.fingerprint()), (NOW, next));
        assert_eq!(published(directory.next_public_key()), next);

        assert!(settle(&directory, NOW).unwrap());
        assert_eq!(own(&directory), next);
        assert_eq!(published(directory.public_key()), next);
        let previous = directory.previous_private_key();
        assert_eq!(fs::metadata(&previous).unwrap().permissions().mode() & 0o777, 0o600);
        let (key, _) = super::super::read(&previous, COPY_BACK).unwrap();
        assert_eq!(digest(key.spki()), before);
        let keys = Fingerprints::read(&directory, next).unwrap();
        assert_eq!(keys.former, [before]);
        assert!(keys.has(&before) && keys.has(&next));
        assert!(read_plan(&directory).unwrap().is_none());
        assert!(!settle(&directory, NOW).unwrap());
        assert_eq!(
            files(&directory),
            ["server.former", "server.key.pem", "server.previous.key.pem", "server.pub.pem"]
        );
    }

    #[test]
    fn a_plan_that_is_taken_back_leaves_nothing() {
        let (_temporary, directory) = directory();
        let before = (own(&directory), files(&directory));
        plan(&directory, NOW).unwrap();
        let other = plan(&directory, NOW.shifted(9)).unwrap();
        assert_eq!(read_plan(&directory).unwrap().unwrap().fingerprint(), other.fingerprint());
        cancel(&directory, &before.0).unwrap();
        assert!(cancel(&directory, &before.0).is_err());
        // Cut short, the public half alone may be there.
        fs::write(directory.next_public_key(), "").unwrap();
        for draft in ["server.next.key.new", "server.previous.key.new", "server.key.new"] {
            fs::write(directory.path().join(draft), "half a key").unwrap();
        }
        assert!(!settle(&directory, NOW).unwrap());
        assert_eq!((own(&directory), files(&directory)), before);
    }

    #[test]
    fn a_plan_that_cannot_be_written_leaves_no_private_key() {
        let (_temporary, directory) = directory();
        fs::create_dir(directory.next_private_key()).unwrap();
        let before = files(&directory);
        assert!(plan(&directory, NOW).is_err());
        assert_eq!(files(&directory), before);
    }

    /// What each step leaves when nothing follows it, the next start brings to its end.
    #[test]
    fn the_change_goes_on_after_any_step() {
        let (_temporary, directory) = directory();
        let before = own(&directory);
        let next = plan(&directory, NOW).unwrap().fingerprint();
        let planned_pem = fs::read(directory.next_private_key()).unwrap();
        let old_pem = fs::read(directory.private_key()).unwrap();
        assert!(settle(&directory, NOW).unwrap());
        let new_pem = fs::read(directory.private_key()).unwrap();
        let steps: [&dyn Fn(); 5] = [
            &|| note_former(&directory, before).unwrap(),
            &|| fs::write(directory.previous_private_key(), &old_pem).unwrap(),
            &|| fs::write(directory.private_key(), &new_pem).unwrap(),
            &|| {
                super::super::publish(&directory, load_or_create(&directory).unwrap().spki())
                    .unwrap();
            },
            &|| fs::remove_file(directory.next_public_key()).unwrap(),
        ];
        for done in 0..=steps.len() {
            for gone in [directory.former_keys(), directory.previous_private_key()] {
                fs::remove_file(gone).unwrap();
            }
            replace(&directory.next_private_key(), &planned_pem, 0o600).unwrap();
            replace(&directory.private_key(), &old_pem, 0o600).unwrap();
            replace(&directory.previous_private_key(), b"", 0o600).unwrap();
            publish_next(&directory, read_plan(&directory).unwrap().unwrap().key.spki()).unwrap();
            steps.iter().take(done).for_each(|step| step());
            assert_eq!(settle(&directory, NOW).unwrap(), done < 3, "{done}");
            // The clock may have been set back meanwhile, too.
            assert!(!settle(&directory, NOW.shifted(-9)).unwrap());
            assert_eq!(own(&directory), next, "{done}");
            assert_eq!(fs::read(directory.previous_private_key()).unwrap(), old_pem, "{done}");
            let keys = Fingerprints::read(&directory, next).unwrap();
            assert_eq!(keys.former, [before], "{done}");
            assert!(read_plan(&directory).unwrap().is_none());
        }
    }

    #[test]
    fn a_plan_without_a_moment_and_a_list_with_rubbish_are_refused_with_what_to_do() {
        let (_temporary, directory) = directory();
        plan(&directory, NOW).unwrap();
        let content = fs::read_to_string(directory.next_private_key()).unwrap();
        let (_, pem) = content.split_once('\n').unwrap();
        for bad in ["", "Effective: soon\n", "Effective: 2026-02-30 00:00:00\n"] {
            let bad = format!("{bad}{pem}");
            replace(&directory.next_private_key(), bad.as_bytes(), 0o600).unwrap();
            let refused = read_plan(&directory).err().unwrap().to_string();
            assert!(refused.contains("its first line has to be"), "{refused}");
        }
        replace(&directory.next_private_key(), b"", 0o600).unwrap();
        let refused = read_plan(&directory).err().unwrap().to_string();
        assert!(refused.contains("is empty") && refused.contains("rotate --cancel"), "{refused}");
        fs::write(directory.former_keys(), "rubbish\n").unwrap();
        let refused = Fingerprints::read(&directory, Digest([0; 32])).unwrap_err().to_string();
        assert!(refused.contains("no fingerprint"), "{refused}");
    }
}
