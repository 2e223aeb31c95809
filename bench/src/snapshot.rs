//! Letters that come and go in PostgreSQL beside a transaction that stays open, such as that of `pg_dump`: what is
//! deleted meanwhile stays in the tables.

use std::io::Write;
use std::process::{Child, Command, Stdio};
use std::sync::Arc;
use std::time::{Duration, Instant};

use anyhow::{Context, Result, anyhow};
use waxwing_core::crypto::{Provider, Spki};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::{HEADER_LEN, SIGNATURE_LEN};
use waxwing_core::phone::Phone;
use waxwing_core::server::storage::{Batch, PendingLetter, QueueId, Ticket, Write as Change};
use waxwing_core::time::{self, Timestamp, UnixTime};
use waxwing_core::wire::{Header, Op, Writer};
use waxwing_server::backend::Backend;
use waxwing_server::store::Storage;
use waxwing_server::store::postgres::{self, PostgresOptions, PostgresStorage, Reached};
use waxwing_server::store::shared::{Instance, Mark, Node, Witness};

use crate::findings::{Findings, Goal};

/// People who get letters.
const PEOPLE: u16 = 100;
/// New letters in a commit; as many of the commit before are deleted with them.
const LETTERS: u64 = 500;
/// Bytes of a letter's content.
const PAYLOAD: u16 = 200;

/// What this program has to remember of the database.
struct Remembered(Option<Mark>);

impl Witness for Remembered {
    fn mark(&self) -> Option<Mark> {
        self.0
    }

    fn write(&mut self, mark: Mark) {
        self.0 = Some(mark);
    }
}

/// A session of `psql` whose transaction sees what was there when it began.
struct Snapshot(Child);

impl Snapshot {
    fn open(url: &str) -> Result<Self> {
        let mut psql = Command::new("psql");
        psql.args(["-X", "-q", url]).stdin(Stdio::piped()).stdout(Stdio::null());
        let mut psql = psql.spawn().context("psql")?;
        let begin = "BEGIN ISOLATION LEVEL REPEATABLE READ;\nSELECT count(*) FROM waxwing.users;\n";
        let input = psql.stdin.as_mut().context("psql takes nothing")?;
        input.write_all(begin.as_bytes()).context("psql")?;
        Ok(Self(psql))
    }
}

impl Drop for Snapshot {
    fn drop(&mut self) {
        drop(self.0.stdin.take());
        let _ = self.0.wait();
    }
}

/// Commits as fast as it goes, in an empty database, for so many minutes.
pub(crate) fn measure(findings: &mut Findings, url: &str, minutes: u32) -> Result<()> {
    let mut storage = open(url)?;
    let users = (1..=PEOPLE).map(create).collect::<Result<_>>()?;
    commit(&mut storage, users)?;
    let _snapshot = Snapshot::open(url)?;

    let mut paces = Vec::new();
    let mut next = 1;
    for _ in 0..minutes.max(2) {
        let (begin, before) = (Instant::now(), next);
        while begin.elapsed() < Duration::from_secs(60) {
            let new = (next..next + LETTERS).map(insert);
            let old = (next.saturating_sub(LETTERS).max(1)..next).map(delete);
            commit(&mut storage, new.chain(old).collect::<Result<_>>()?)?;
            next += LETTERS;
        }
        let pace = begin.elapsed().as_secs_f64() * 1e6 / (next - before) as f64;
        eprintln!("{:.0} letters a second", 1e6 / pace);
        paces.push(pace);
    }
    let [first, .., last] = paces[..] else { return Err(anyhow!("there was one minute alone")) };
    let name = format!("minute {} beside an open snapshot: time a letter", paces.len());
    findings.goals.push(Goal::new(name, 1.25, last / first, "× that of the first minute"));
    Ok(())
}

fn open(url: &str) -> Result<PostgresStorage> {
    let options = || -> Result<PostgresOptions> {
        Ok(PostgresOptions {
            place: postgres::parse(url)?,
            password: None,
            timeout: Duration::from_secs(30),
            lease: Duration::from_secs(60),
            isolated: Duration::from_secs(60),
            copies: 1,
            node: Node(1),
            instance: Instance(1),
        })
    };
    let now = time::Instant::default();
    let reached = Reached::reach(options()?)?;
    let mut candidate = reached.candidate(Box::new(Remembered(None)), now)?;
    let holder = candidate.look(now)?.context("another server uses the database")?;
    Ok(PostgresStorage::serve(candidate, holder, options()?.terms()))
}

fn commit(storage: &mut PostgresStorage, writes: Vec<Change>) -> Result<()> {
    Ok(storage.apply(&[Arc::new(Batch { ticket: Ticket(0), writes })])?)
}

fn user(number: u16) -> Result<UserId> {
    UserId::new(number).context("an id")
}

fn create(number: u16) -> Result<Change> {
    let mut modulus = [0xff; 256];
    modulus[2..4].copy_from_slice(&number.to_be_bytes());
    let phone = Phone::parse(format!("+4915100{number:05}").as_bytes());
    let phone = phone.map_err(|_| anyhow!("a phone"))?;
    let spki = Spki::from_modulus(&modulus).map_err(|_| anyhow!("a key"))?;
    Ok(Change::CreateUser { id: user(number)?, phone, spki: spki.into() })
}

fn recipient(number: u64) -> Result<UserId> {
    user(1 + (number % u64::from(PEOPLE)) as u16)
}

/// A letter whose content and signature are noise of its own.
fn insert(number: u64) -> Result<Change> {
    let accepted_at = UnixTime::from_seconds(1_795_000_000).shifted(number as i64 % 86_400);
    let header = Header {
        sender: Some(recipient(number + 1)?),
        recipient: Some(recipient(number)?),
        timestamp: Timestamp::from_unix(accepted_at),
        op_code: Op::Letter as u8,
        payload_size: PAYLOAD,
    };
    let mut packet = vec![0; header.packet_len()];
    header.emit(&mut Writer::new(&mut packet)).map_err(|_| anyhow!("a packet"))?;
    let mut noise = number.wrapping_mul(0x9e37_79b9_7f4a_7c15);
    for byte in packet.iter_mut().skip(HEADER_LEN) {
        noise = noise.wrapping_mul(6_364_136_223_846_793_005).wrapping_add(1);
        *byte = (noise >> 56) as u8;
    }
    let (signed, _) = packet.split_last_chunk::<SIGNATURE_LEN>().context("a packet")?;
    Ok(Change::InsertLetter(Arc::new(PendingLetter {
        queue_id: QueueId(number),
        id: PacketId::of(&Backend::default().sha256(&[signed])),
        sender: recipient(number + 1)?,
        recipient: recipient(number)?,
        accepted_at,
        packet: packet.into(),
    })))
}

fn delete(number: u64) -> Result<Change> {
    Ok(Change::DeleteLetters {
        recipient: recipient(number)?,
        letters: [QueueId(number)].into_iter().collect(),
    })
}
