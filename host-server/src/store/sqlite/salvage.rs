//! What can still be read of a damaged database, in a new one.

use std::collections::{BTreeSet, HashSet};
use std::fs::{self, File, OpenOptions};
use std::io;
use std::os::unix::fs::FileExt;
use std::path::Path;
use std::time::{Duration, Instant};

use rusqlite::config::DbConfig;
use rusqlite::types::{ToSqlOutput, ValueRef};
use rusqlite::{Connection, Row, params, params_from_iter};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::server::storage::{ExpiredLetter, LETTERS_MISSING, PendingLetter, QueueId};
use waxwing_core::time::UnixTime;

use super::damaged::sound;
use super::error::SqliteError;
use super::fault::Fault;
use super::leaves::Leaves;
use super::{SqliteOptions, SqliteStorage, log, open, reads, recovery, restore, writes};
use crate::slow_start;
use crate::store::free_ids;

/// Places in a row that cannot be read, after which no more are looked for.
const HOPELESS: u32 = 1_000_000;

/// So many ids rest that users may have got who stood in the log, behind the damage.
const NEXT_IDS: usize = 1_000;

/// How much could be read of a damaged database, without accounts of the server itself.
#[derive(Clone, Debug, Default, PartialEq, Eq)]
pub struct Salvage {
    /// How many users could be read.
    pub users: usize,
    /// So many at most could not be read: places before the last user, of which nobody knows whether one had them.
    pub lost_users: usize,
    /// Letters that wait for them.
    pub letters: usize,
    /// Letters of which no more is known than whose they were: they count as undelivered.
    pub undelivered: usize,
    /// Ids that may have been those of users who could not be read: nobody gets them for a while.
    pub resting_ids: usize,
    /// What operators have decided, of which not all could be read: suspensions, limits of users, bans.
    pub lost_decisions: Vec<&'static str>,
}

impl SqliteStorage {
    /// Makes a new database at `path` of all that makes sense in the damaged one at `from`, which is
    /// left as it is.
    ///
    /// # Errors
    /// When the new one cannot be made. What cannot be read is left out.
    pub fn salvage(
        from: &Path,
        path: &Path,
        options: &SqliteOptions,
        now: UnixTime,
    ) -> Result<Salvage, SqliteError> {
        let new = Self::open(path, options)?;
        let failed = |error| open::failure(from, &error);
        let copy = open::beside(path, ".copied");
        // One that was cut short may have left one.
        remove_all(&copy).map_err(|error| open::unreachable(&copy, error))?;
        let mut old = connect(from).map_err(failed)?;
        let mut readable = from;
        for mend in [put_usual_header, put_usual_schema] {
            if knows_people_and_letters(&old) {
                break;
            }
            drop(old);
            mend((from, path), &copy).map_err(|error| open::unreachable(&copy, error))?;
            old = connect(&copy).map_err(failed)?;
            readable = &copy;
        }
        let leaves = Leaves { readable, copy: &copy };
        let found = new.transaction(|new| Salvager::new(&old, new, now).all(&leaves));
        drop(old);
        remove_all(&copy).map_err(|error| open::unreachable(&copy, error))?;
        let found = found.map_err(|error| open::unreachable(path, error))?;
        new.end()?;
        Ok(found)
    }
}

/// Users and letters may be lost that came last, and nobody knows which: ids that new users would get rest, and nobody
/// hears that a letter was delivered that is not there.
pub(super) fn guard(connection: &Connection, now: UnixTime) -> Result<(), Fault> {
    rest_ids(connection, &BTreeSet::new(), false, now)?;
    deny_no_letter(connection, now)
}

fn rest_ids(
    connection: &Connection,
    lost: &BTreeSet<UserId>,
    is_end_lost: bool,
    now: UnixTime,
) -> Result<(), Fault> {
    let mut known = restore::known_ids(connection)?;
    let lost: Vec<_> = lost.iter().copied().filter(|id| !known.contains(id)).collect();
    known.extend(&lost);
    let half = free_ids::count(&known) / 2;
    let next = if is_end_lost { half } else { half.min(NEXT_IDS) };
    let rest = "INSERT INTO resting_ids (user_id, removed_at) VALUES (?, ?)";
    for id in lost.into_iter().chain(free_ids::next(&known, next)) {
        connection.prepare_cached(rest)?.execute(params![id.get(), now.as_seconds()])?;
    }
    Ok(())
}

fn deny_no_letter(connection: &Connection, now: UnixTime) -> Result<(), Fault> {
    let until = now.shifted(i64::try_from(LETTERS_MISSING.as_secs()).unwrap_or(i64::MAX));
    connection.execute(
        "INSERT INTO restores (restored_at, letters_missing_until) VALUES (?, ?)",
        [now.as_seconds(), until.as_seconds()],
    )?;
    Ok(())
}

/// To read what can be read: also of a file that is shorter than its first page says.
fn connect(damaged: &Path) -> rusqlite::Result<Connection> {
    let old = open::connect(damaged)?;
    log::take_over(&old)?;
    old.set_db_config(DbConfig::SQLITE_DBCONFIG_WRITABLE_SCHEMA, true)?;
    Ok(old)
}

/// Whether it says where people and letters are.
fn knows_people_and_letters(old: &Connection) -> bool {
    ["SELECT 1 FROM users", "SELECT 1 FROM pending_messages"]
        .iter()
        .all(|select| old.prepare(select).is_ok())
}

/// Bytes at the beginning that are the same in each database of this program ("Database File Format" in SQLite's
/// documentation): what it is, and how large its pages are.
const USUAL_HEADER: usize = 24;
/// What SQLite says of a whole file in its first page. The number of its pages stands at 28, and then what is free.
const HEADER: usize = 100;
const PAGE: usize = 4_096;

/// Copies a damaged database, and its log, and puts the first bytes of a sound one into the copy.
fn put_usual_header((damaged, sound): (&Path, &Path), copy: &Path) -> io::Result<()> {
    open::draft_file(copy)?;
    let mut header = [0; USUAL_HEADER];
    File::open(sound)?.read_exact_at(&mut header, 0)?;
    let mut file = OpenOptions::new().write(true).open(copy)?;
    io::copy(&mut File::open(damaged)?, &mut file)?;
    file.write_all_at(&header, 0)?;
    let log = open::beside(damaged, "-wal");
    if log.exists() {
        fs::copy(log, open::beside(copy, "-wal"))?;
    }
    Ok(())
}

/// Puts the pages of a sound database into the copy that say where each table begins. Tables begin at the same pages in
/// databases that were made by the same version; in another one nothing that makes sense is found there.
fn put_usual_schema((_, sound): (&Path, &Path), copy: &Path) -> io::Result<()> {
    let sound = File::open(sound)?;
    let file = OpenOptions::new().write(true).open(copy)?;
    let mut first = [0; PAGE];
    sound.read_exact_at(&mut first, 0)?;
    let mut page = [0; PAGE];
    for number in children(&first) {
        let at = u64::from(number.saturating_sub(1)) * PAGE as u64;
        sound.read_exact_at(&mut page, at)?;
        file.write_all_at(&page, at)?;
    }
    let pages = u32::try_from(file.metadata()?.len() / PAGE as u64).unwrap_or(u32::MAX);
    first[28..40].fill(0);
    first[28..32].copy_from_slice(&pages.to_be_bytes());
    file.write_all_at(&first, 0)
}

/// The pages below the first page of a file, if it has some.
fn children(first: &[u8; PAGE]) -> Vec<u32> {
    const INNER: u8 = 5;
    if first[HEADER] != INNER {
        return Vec::new();
    }
    let count = usize::from(u16::from_be_bytes([first[HEADER + 3], first[HEADER + 4]]));
    let cells = first[HEADER + 12..].as_chunks::<2>().0.iter().take(count);
    let places = cells.map(|place| usize::from(u16::from_be_bytes(*place)));
    places
        .chain([HEADER + 8])
        .filter(|place| place + 4 <= PAGE)
        .map(|place| waxwing_sqlite_wal::number_at(first, place))
        .collect()
}

fn remove_all(copy: &Path) -> io::Result<()> {
    ["-wal", "-shm", ""].iter().try_for_each(|beside| recovery::remove(&open::beside(copy, beside)))
}

struct Salvager<'a> {
    old: &'a Connection,
    new: &'a Connection,
    now: UnixTime,
    /// Accounts of the server itself.
    own: HashSet<UserId>,
    /// Ids at whose places no user could be read.
    lost: BTreeSet<UserId>,
    /// Whether nobody knows what stood behind the last user that could be read.
    is_end_lost: bool,
    found: Salvage,
}

impl<'a> Salvager<'a> {
    fn new(old: &'a Connection, new: &'a Connection, now: UnixTime) -> Self {
        Self {
            old,
            new,
            now,
            own: HashSet::new(),
            lost: BTreeSet::new(),
            is_end_lost: false,
            found: Salvage::default(),
        }
    }

    fn all(mut self, leaves: &Leaves<'_>) -> Result<Salvage, Fault> {
        let users = self.users(leaves)?;
        let letters = self.letters(&users)?;
        self.fates(&users, &letters)?;
        self.the_rest()?;
        self.rest_ids()?;
        Ok(self.found)
    }

    fn users(&mut self, leaves: &Leaves<'_>) -> Result<HashSet<UserId>, Fault> {
        let (mut users, mut lost) = (HashSet::new(), BTreeSet::new());
        let select = "SELECT rowid, user_id, phone_number, rsa_public_key, aes_key, last_seen \
             FROM users NOT INDEXED WHERE rowid >= ? ORDER BY rowid LIMIT 1";
        let is_end_lost = each(self.old, "users", select, |place, row| {
            let id = u16::try_from(place).ok().and_then(UserId::new);
            let Some(row) = row else {
                lost.extend(id);
                return Ok(());
            };
            match self.user(row)? {
                Some((id, true)) => _ = users.insert(id),
                Some((id, false)) => _ = lost.insert(id),
                None => lost.extend(id),
            }
            Ok(())
        })?;
        if is_end_lost || !lost.is_empty() {
            leaves.users(|row| {
                if let Some((id, true)) = self.user(row)? {
                    users.insert(id);
                    lost.remove(&id);
                }
                Ok(())
            })?;
        }
        if is_end_lost {
            // What comes behind the last one may never have been there.
            let last = users.iter().copied().max();
            lost.retain(|id| last.is_some_and(|last| *id < last));
        }
        self.found.lost_users = lost.len();
        (self.lost, self.is_end_lost) = (lost, is_end_lost);
        self.found.users = users.len() - self.own.len();
        Ok(users)
    }

    /// Who stands in this row, and whether they were not known before; `None` if it makes no sense.
    fn user(&mut self, row: &Row<'_>) -> Result<Option<(UserId, bool)>, Fault> {
        let read = || -> Result<_, Fault> {
            let id = reads::user_id(row, 1)?;
            let (phone, spki) = (reads::phone(row, 2, id)?, reads::spki(row, 3, id)?);
            Ok((id, phone, spki, row.get::<_, Option<[u8; 64]>>(4)?, reads::timestamp(row, 5)?))
        };
        let Some((id, phone, spki, key, seen)) = sound(read())? else { return Ok(None) };
        let seen = seen.as_ref().map(|seen| seen.as_str());
        let insert = "INSERT OR IGNORE INTO users \
             (user_id, phone_number, rsa_public_key, aes_key, last_seen) VALUES (?, ?, ?, ?, ?)";
        let user = params![id.get(), phone.as_str(), spki.as_bytes(), key, seen];
        let is_new = self.new.prepare_cached(insert)?.execute(user)? == 1;
        if is_new && phone.is_reserved() {
            self.own.insert(id);
        }
        Ok(Some((id, is_new)))
    }

    fn letters(&mut self, users: &HashSet<UserId>) -> Result<HashSet<QueueId>, Fault> {
        let mut letters = HashSet::new();
        let select = "SELECT queue_id, message_id, sender_id, timestamp, accepted_at, signature, \
             encrypted_payload, recipient_id FROM pending_messages NOT INDEXED \
             WHERE queue_id >= ? ORDER BY queue_id LIMIT 1";
        each(self.old, "letters", select, |_, row| {
            let Some(row) = row else { return Ok(()) };
            let read = || -> Result<PendingLetter, Fault> {
                reads::pending_letter(row, reads::user_id(row, 7)?)
            };
            if let Some(letter) = sound(read())?
                && users.contains(&letter.recipient)
            {
                writes::insert_letter(self.new, &letter)?;
                letters.insert(letter.queue_id);
                self.found.letters += usize::from(!self.own.contains(&letter.recipient));
            }
            Ok(())
        })?;
        Ok(letters)
    }

    /// Letters that were not found are undelivered, as those that were so before. Ids of people who
    /// were not found rest, as far as they are known.
    fn fates(&mut self, users: &HashSet<UserId>, found: &HashSet<QueueId>) -> Result<(), Fault> {
        let mut gone = HashSet::new();
        for select in [
            "SELECT 0, message_id, sender_id, recipient_id, 0 FROM undelivered_messages",
            "SELECT queue_id, message_id, sender_id, recipient_id, length(encrypted_payload) \
             FROM pending_messages INDEXED BY pending_messages_by_mailbox",
        ] {
            // What lies behind the first damage in an index is not looked for.
            stream(self.old, select, |row| {
                let read = || -> Result<ExpiredLetter, Fault> {
                    Ok(ExpiredLetter {
                        queue_id: reads::queue_id(row, 0)?,
                        id: PacketId(row.get(1)?),
                        sender: reads::user_id(row, 2)?,
                        recipient: reads::user_id(row, 3)?,
                        bytes: 0,
                    })
                };
                let Some(letter) = sound(read())? else { return Ok(()) };
                let people = [letter.sender, letter.recipient];
                gone.extend(people.into_iter().filter(|id| !users.contains(id)));
                if !found.contains(&letter.queue_id) {
                    let counts = letter.queue_id.0 > 0 && !self.own.contains(&letter.recipient);
                    self.found.undelivered += usize::from(counts);
                    writes::remember(self.new, &letter, self.now)?;
                }
                Ok(())
            })?;
        }
        let rest = "INSERT OR IGNORE INTO resting_ids (user_id, removed_at) VALUES (?, ?)";
        for id in gone {
            self.new.prepare_cached(rest)?.execute(params![id.get(), self.now.as_seconds()])?;
        }
        Ok(())
    }

    /// Ids that users had who are lost must not go to others, to whom letters for them would be brought.
    fn rest_ids(&mut self) -> Result<(), Fault> {
        rest_ids(self.new, &self.lost, self.is_end_lost, self.now)?;
        let count = "SELECT count(*) FROM resting_ids WHERE removed_at = ?";
        let resting: i64 = self.new.query_one(count, [self.now.as_seconds()], |row| row.get(0))?;
        self.found.resting_ids = usize::try_from(resting).unwrap_or(0);
        Ok(())
    }

    fn the_rest(&mut self) -> Result<(), Fault> {
        // Returns whether all of it is there.
        let copy = |select: &'static str, insert: &'static str, columns: usize| {
            let mut is_all = true;
            is_all &= stream(self.old, select, |row| {
                let mut into = self.new.prepare_cached(insert)?;
                let values = (0..columns).map(|at| readable(row.get_ref(at)?));
                let Some(values) = values.collect::<rusqlite::Result<Option<Vec<_>>>>()? else {
                    is_all = false;
                    return Ok(());
                };
                // What a constraint does not let in makes no sense, either, unless it is about somebody who is lost.
                is_all &= match into.execute(params_from_iter(values)) {
                    Ok(rows) => rows == 1,
                    Err(error) => is_about_nobody(&error),
                };
                Ok(())
            })?;
            Ok::<_, Fault>(is_all)
        };
        copy(
            "SELECT user_id, removed_at FROM resting_ids",
            "INSERT OR REPLACE INTO resting_ids (user_id, removed_at) VALUES (?, ?)",
            2,
        )?;
        let suspensions = copy(
            "SELECT user_id, since, until, reason FROM suspensions",
            "INSERT OR IGNORE INTO suspensions (user_id, since, until, reason) VALUES (?, ?, ?, ?)",
            4,
        )?;
        let user_limits = copy(
            "SELECT user_id, letters, bytes FROM user_limits",
            "INSERT OR IGNORE INTO user_limits (user_id, letters, bytes) VALUES (?, ?, ?)",
            3,
        )?;
        copy(
            "SELECT allowance_key, full_at FROM allowances",
            "INSERT OR IGNORE INTO allowances (allowance_key, full_at) VALUES (?, ?)",
            2,
        )?;
        copy(
            "SELECT fingerprint, since FROM server_keys ORDER BY number",
            "INSERT INTO server_keys (fingerprint, since) VALUES (?, ?)",
            2,
        )?;
        copy(
            "SELECT restored_at, letters_missing_until FROM restores ORDER BY number",
            "INSERT INTO restores (restored_at, letters_missing_until) VALUES (?, ?)",
            2,
        )?;
        let bans = copy(
            "SELECT address_range, since, ends_at, is_automatic, reason FROM bans",
            "INSERT OR IGNORE INTO bans (address_range, since, ends_at, is_automatic, reason) \
             VALUES (?, ?, ?, ?, ?)",
            5,
        )?;
        copy(
            "SELECT last_queue_id FROM queue_mark",
            "UPDATE queue_mark SET last_queue_id = max(last_queue_id, ?)",
            1,
        )?;
        let decisions =
            [(suspensions, "suspensions"), (user_limits, "limits of users"), (bans, "bans")];
        let lost = decisions.into_iter().filter(|(is_all, _)| !is_all).map(|(_, name)| name);
        self.found.lost_decisions = lost.collect();
        // A letter that is not there may be one that could not be read.
        deny_no_letter(self.new, self.now)?;
        self.new.execute(
            "UPDATE queue_mark SET last_queue_id = max(last_queue_id, \
             coalesce((SELECT max(queue_id) FROM pending_messages), 0))",
            [],
        )?;
        Ok(())
    }
}

/// Each row of a table that can be read, with its place, which is the first column; and each place, without a row,
/// where none can. Behind such a place, the next ones are tried. Returns whether nobody knows how far the table went.
fn each(
    old: &Connection,
    what: &'static str,
    select: &'static str,
    mut take: impl FnMut(i64, Option<&Row<'_>>) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    let Ok(mut select) = old.prepare(select) else { return Ok(true) };
    let (mut place, mut unreadable) = (1_i64, 0);
    let mut progress = Progress::from(Instant::now());
    while unreadable < HOPELESS {
        let mut rows = select.query([place])?;
        match rows.next() {
            Ok(Some(row)) => {
                place = row.get(0)?;
                take(place, Some(row))?;
                unreadable = 0;
            }
            Ok(None) => return Ok(false),
            Err(_) => {
                take(place, None)?;
                unreadable += 1;
            }
        }
        place = place.saturating_add(1);
        if progress.is_due(Instant::now()) {
            tell(what, place, unreadable);
        }
    }
    Ok(true)
}

fn tell(what: &'static str, place: i64, unreadable: u32) {
    tracing::info!(%what, place, unreadable, "still reads what is left of the damaged database");
    slow_start::note(format!("reads {what} of the damaged database, and is at place {place}"));
}

/// When to say how far it is: whoever waits for a minute wants to know that something happens.
struct Progress {
    next: Instant,
}

impl Progress {
    const EVERY: Duration = Duration::from_secs(5);

    fn is_due(&mut self, now: Instant) -> bool {
        let is_due = now >= self.next;
        if is_due {
            *self = Self::from(now);
        }
        is_due
    }
}

impl From<Instant> for Progress {
    fn from(now: Instant) -> Self {
        Self { next: now + Self::EVERY }
    }
}

/// Rows as far as they can be read. Returns whether these are all.
fn stream(
    old: &Connection,
    select: &'static str,
    mut take: impl FnMut(&Row<'_>) -> Result<(), Fault>,
) -> Result<bool, Fault> {
    let Ok(mut select) = old.prepare(select) else { return Ok(false) };
    let mut rows = select.query([])?;
    loop {
        match rows.next() {
            Ok(Some(row)) => take(row)?,
            Ok(None) => return Ok(true),
            Err(_) => return Ok(false),
        }
    }
}

fn is_about_nobody(error: &rusqlite::Error) -> bool {
    let code = error.sqlite_error().map(|error| error.extended_code);
    code == Some(rusqlite::ffi::SQLITE_CONSTRAINT_FOREIGNKEY)
}

/// A value as it stands there, unless it is a text that is none.
fn readable(value: ValueRef<'_>) -> rusqlite::Result<Option<ToSqlOutput<'_>>> {
    let is_sound = !matches!(value, ValueRef::Text(text) if str::from_utf8(text).is_err());
    Ok(is_sound.then_some(ToSqlOutput::Borrowed(value)))
}

#[cfg(test)]
mod tests {
    use super::*;

    #[test]
    fn how_far_it_is_is_said_every_five_seconds() {
        let began = Instant::now();
        let mut progress = Progress::from(began);
        let due: Vec<_> = (0..=14)
            .filter(|seconds| progress.is_due(began + Duration::from_secs(*seconds)))
            .collect();
        assert_eq!(due, [5, 10]);
        tell("letters", 7, 0);
        let noted = slow_start::noted().unwrap();
        assert_eq!(noted, "reads letters of the damaged database, and is at place 7");
    }
}
