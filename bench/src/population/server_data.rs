//! A data directory as a server would have left it: a key, users, letters that wait.

use std::fs;
use std::path::Path;
use std::sync::Arc;

use anyhow::{Context, Result, anyhow};
use rand_chacha::rand_core::Rng;
use tempfile::TempDir;
use waxwing_aws_lc::{AwsLc, AwsLcKey, AwsLcPublicKey};
use waxwing_core::crypto::{MODULUS_LEN, PrivateKey, Provider, Spki};
use waxwing_core::id::{PacketId, UserId};
use waxwing_core::limits::{HEADER_LEN, SIGNATURE_LEN};
use waxwing_core::server::storage::{Batch, PendingLetter, QueueId, Ticket, WrappedKey, Write};
use waxwing_core::time::{Timestamp, UnixTime};
use waxwing_core::wire::{Header, Op, Writer};
use waxwing_server::config::Config;
use waxwing_server::data_dir::DataDir;
use waxwing_server::store::{self, Engine, Opening};
use waxwing_server::{backend, clock, key};

use super::{Person, phone};
use crate::process::{Server, ServerBinary, Settings};
use crate::progress::Progress;

/// Writes in one transaction.
const BATCH: usize = 8_192;
/// Payload of a letter that only lies there.
const FILLER_PAYLOAD: usize = 320;

/// The data directory of one server.
pub(crate) struct ServerData {
    directory: DataDir,
    server_key: &'static AwsLcPublicKey,
    wrap_key: [u8; 32],
    storage: Option<Box<dyn Engine>>,
    last_user: u16,
    /// Deletes everything in the end.
    root: TempDir,
}

impl ServerData {
    /// An empty one somewhere below `dir`.
    pub(crate) fn new(dir: &Path) -> Result<Self> {
        fs::create_dir_all(dir).with_context(|| dir.display().to_string())?;
        let root = tempfile::Builder::new().prefix("waxwing-bench-").tempdir_in(dir)?;
        let directory = DataDir::create(&root.path().join("server"))?;
        key::load_or_create(&directory)?;
        let pem = fs::read(directory.private_key())?;
        let (_, der) = pem_rfc7468::decode_vec(&pem).map_err(|error| anyhow!("{error}"))?;
        let own = AwsLcKey::from_pkcs8_der(&der)?;
        let public = AwsLc.public_key(own.spki())?;
        let storage = store::open(&Config::default(), &directory, Opening::ToServe)?;
        Ok(Self {
            directory,
            server_key: Box::leak(Box::new(public)),
            wrap_key: AwsLc.sha256(&[b"waxwing/1:wrap", &der]).0,
            storage: Some(storage),
            last_user: 0,
            root,
        })
    }

    /// A place beside the server's own directory, for what it keeps elsewhere.
    pub(crate) fn root(&self) -> &Path {
        self.root.path()
    }

    /// Where the server keeps its data.
    pub(crate) fn path(&self) -> &Path {
        self.directory.path()
    }

    pub(crate) fn server_key(&self) -> &'static AwsLcPublicKey {
        self.server_key
    }

    /// The key that the server has announced to take the place of its own.
    pub(crate) fn next_server_key(&self) -> Result<&'static AwsLcPublicKey> {
        let pem = fs::read(self.path().join("server.next.key.pem"))?;
        let (_, der) = pem_rfc7468::decode_vec(&pem).map_err(|error| anyhow!("{error}"))?;
        let next = AwsLcKey::from_pkcs8_der(&der)?;
        Ok(Box::leak(Box::new(AwsLc.public_key(next.spki())?)))
    }

    /// Gives accounts to `people`, who have to be the first.
    pub(crate) fn register(&mut self, people: &[Person]) -> Result<()> {
        let mut writes = Vec::new();
        let last_seen = Timestamp::from_unix(clock::unix_now());
        for person in people {
            let spki = Arc::new(person.keys.private.spki().clone());
            writes.push(Write::CreateUser { id: person.user, phone: person.phone, spki });
            let session_key = self.wrap(person)?;
            writes.push(Write::ConfirmSession { user: person.user, session_key, last_seen });
            self.last_user = self.last_user.max(person.user.get());
        }
        for writes in writes.chunks(BATCH) {
            self.apply(writes.to_vec())?;
        }
        Ok(())
    }

    /// As the server keeps it: `IV ‖ CBC(wrap key; key)`.
    fn wrap(&self, person: &Person) -> Result<WrappedKey> {
        let mut wrapped = [0; size_of::<WrappedKey>()];
        let (iv, room) = wrapped.split_first_chunk_mut().context("there is room for an IV")?;
        let key = person.last_session.as_ref().context("there was a session")?.expose();
        room[..key.len()].copy_from_slice(key);
        AwsLc
            .cbc_encrypt(&self.wrap_key, iv, room, key.len())
            .map_err(|_| anyhow!("a session key cannot be wrapped"))?;
        Ok(wrapped)
    }

    /// Adds users up to the number `users`, whom nobody knows, and `letters` that wait for them.
    pub(crate) fn fill(&mut self, users: u16, letters: u32) -> Result<()> {
        let strangers: Vec<UserId> = (self.last_user + 1..=users).filter_map(UserId::new).collect();
        let rng = &mut backend::random();
        let progress = Progress::new("writing users", strangers.len());
        for some in strangers.chunks(BATCH) {
            let create = |id: &UserId| {
                let mut modulus = [0; MODULUS_LEN];
                rng.fill_bytes(&mut modulus);
                modulus[0] |= 0x80;
                modulus[MODULUS_LEN - 1] |= 1;
                let spki = Spki::from_modulus(&modulus)
                    .map_err(|_| anyhow!("a modulus of the right form is refused"))?;
                Ok(Write::CreateUser { id: *id, phone: phone(id.get()), spki: Arc::new(spki) })
            };
            let writes = some.iter().map(create).collect::<Result<_>>()?;
            self.apply(writes)?;
            progress.step(some.len());
        }
        drop(progress);
        self.last_user = self.last_user.max(users);

        let progress = Progress::new("writing letters", letters as usize);
        let now = clock::unix_now();
        let numbers: Vec<u32> = (1..=letters).collect();
        for some in numbers.chunks(BATCH) {
            let insert = |number: &u32| {
                let at = *number as usize;
                let recipient = strangers[at % strangers.len()];
                let sender = strangers[(at + 1) % strangers.len()];
                let letter = filler(rng, u64::from(*number), sender, recipient, now)?;
                Ok(Write::InsertLetter(Arc::new(letter)))
            };
            let writes = some.iter().map(insert).collect::<Result<_>>()?;
            self.apply(writes)?;
            progress.step(some.len());
        }
        Ok(())
    }

    fn apply(&mut self, writes: Vec<Write>) -> Result<()> {
        let storage = self.storage.as_mut().context("the server has the database")?;
        let batch = Batch { ticket: Ticket(0), writes };
        storage.apply(&[Arc::new(batch)]).map_err(|error| anyhow!("{error:?}"))
    }

    /// Closes the database, for somebody else.
    pub(crate) fn close(&mut self) -> Result<()> {
        Ok(self.storage.take().map_or(Ok(()), |storage| storage.close())?)
    }

    /// Closes the database and starts a server on it.
    pub(crate) fn start(&mut self, binary: &ServerBinary, settings: &Settings) -> Result<Server> {
        self.close()?;
        Server::start(binary, self.directory.path(), settings)
    }
}

/// A letter that storage takes for one. Nobody will ever verify it.
fn filler(
    rng: &mut impl Rng,
    number: u64,
    sender: UserId,
    recipient: UserId,
    now: UnixTime,
) -> Result<PendingLetter> {
    let header = Header {
        sender: Some(sender),
        recipient: Some(recipient),
        timestamp: Timestamp::from_unix(now),
        op_code: Op::Letter.code(),
        payload_size: u16::try_from(FILLER_PAYLOAD)?,
    };
    let mut packet = vec![0; HEADER_LEN + FILLER_PAYLOAD + SIGNATURE_LEN];
    rng.fill_bytes(&mut packet);
    header.emit(&mut Writer::new(&mut packet))?;
    // Who reads a backup again looks whether each letter has the id of its bytes.
    let id = PacketId::of(&AwsLc.sha256(&[&packet[..HEADER_LEN + FILLER_PAYLOAD]]));
    Ok(PendingLetter {
        queue_id: QueueId(number),
        id,
        sender,
        recipient,
        accepted_at: now,
        packet: packet.into(),
    })
}
