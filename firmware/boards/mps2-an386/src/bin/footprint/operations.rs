//! The operations that are measured.

use rand_chacha::ChaCha20Rng;
use rand_chacha::rand_core::SeedableRng;
use waxwing_core::client::{Addressee, Buffers, Client, Env, Event, Keys, Options};
use waxwing_core::crypto::{
    CryptoRng, PrivateKey, Provider, ReplyKey, RustCrypto, RustCryptoKey, Unverified,
};
use waxwing_core::envelope::{self, Content, Fingerprint};
use waxwing_core::id::{Uid, UserId};
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::testing::keys;
use waxwing_core::time::{Instant, Now, Timestamp};
use waxwing_core::wire::{Draft, KeyQuestion, Op, Packet};
use waxwing_device::board::{Board, decimal};
use waxwing_device::heap;
use waxwing_mps2_an386::BOARD;

use crate::meter::Meter;
use crate::server::{NOW, Server};

type Machine<'a> = Client<'a, RustCrypto, &'a mut [u8], 1>;

const TEXT: Content<'_> = Content::Text("A short text, as people send them.");

/// Measures everything; `None` when something did not work.
pub(crate) fn measure_all() -> Option<()> {
    let rng = &mut ChaCha20Rng::from_seed([7; 32]);
    let empty = heap::used();
    let own = measured("load a private key", || key(1))?;
    BOARD.say(&["# private key\t", decimal((heap::used() - empty) as u32, &mut [0; 10])]);
    let (server, friend) = (key(0)?, key(2)?);
    let own_phone = Phone::parse(b"+4915112345601").ok()?;
    let phone = Phone::parse(b"+4915112345602").ok()?;
    let me = Fingerprint::of(&RustCrypto, &own_phone, own.spki());
    let they = Fingerprint::of(&RustCrypto, &phone, friend.spki());
    let parse = || RustCrypto.public_key(friend.spki()).ok();
    let friend_public = measured("load a public key", parse)?;
    let own_public = RustCrypto.public_key(own.spki()).ok()?;

    let digest = RustCrypto.sha256(&[b"something"]);
    measured("sign", || own.sign(rng, &digest).ok())?;

    let uid = Uid::generate(rng);
    let mut letter = [0; 1_024];
    let mut draft = Draft::new(
        &mut letter,
        Op::Letter,
        UserId::new(2),
        UserId::new(1),
        Timestamp::from_unix(NOW),
    );
    let payload = draft.payload_mut();
    let seal =
        || envelope::seal(&RustCrypto, rng, &they, &me, &own_public, &uid, &TEXT, payload).ok();
    let len = measured("seal a letter", seal)?;
    let (_, bytes) = draft.sign(&RustCrypto, &friend, rng, len).ok()?;

    let packet = measured("parse a packet", || Packet::parse(&mut *bytes).ok())?;
    let verify = || Unverified::new(&RustCrypto, packet).verify(&friend_public).ok();
    let verified = measured("hash and verify a packet", verify)?;
    let open = || envelope::open(&RustCrypto, rng, &they, &me, &own, verified).ok();
    let opened = measured("open a letter", open)?;
    (opened.content == TEXT).then_some(())?;

    let server_public = RustCrypto.public_key(server.spki()).ok()?;
    let keys = Keys { provider: &RustCrypto, own: &own, server: &server_public };
    let server = Server::new(&server, UserId::new(1)?, rng);
    let to = Addressee { user: UserId::new(2)?, fingerprint: &they, key: &friend_public };
    converse(keys, server, &own_phone, &me, &to, rng)?;
    drop((own, friend));
    measured("make a private key", || RustCryptoKey::generate(rng).ok())?;
    Some(())
}

/// What the machine does on a connection.
fn converse(
    keys: Keys<'_, RustCrypto>,
    mut server: Server<'_>,
    phone: &Phone,
    me: &Fingerprint,
    to: &Addressee<'_, RustCrypto>,
    rng: &mut ChaCha20Rng,
) -> Option<()> {
    let (mut letter, mut control) = ([0; 1_024], [0; MAX_CONTROL_PACKET]);
    let mut transmit = [0; 1_024 + MAX_CONTROL_PACKET];
    let buffers = Buffers::from_arrays(&mut letter, &mut control, &mut transmit);
    let options = Options { window: 1, ..Options::default() };
    let client = &mut Machine::new(keys, buffers, options).ok()?;
    let mut room = [0; 1_024];
    let reply_key = ReplyKey::generate(rng);
    let own_public = RustCrypto.public_key(keys.own.spki()).ok()?;

    let mut whole = Meter::default();
    whole.add(|| client.request_otp(&mut env(rng), phone, &reply_key).ok())?;
    client.transmitted(client.transmit().len());
    let packet = server.otp_issued(rng, &reply_key, &mut room)?;
    let otp: Otp = whole.add(|| match hear(client, packet, rng)? {
        Some(Event::OtpIssued(grant)) => grant.otp,
        _ => None,
    })?;
    whole.add(|| client.prove_otp(&mut env(rng), phone, &reply_key, &otp).ok())?;
    let packet = server.session_issued(rng, client.transmit(), &own_public, &mut room)?;
    client.transmitted(client.transmit().len());
    whole.add(|| hear(client, packet, rng)?.map(drop))?;
    // The confirmation.
    client.transmitted(client.transmit().len());
    whole.report("a whole registration");

    let packet = server.backlog_end(rng, &mut room)?;
    measured("take in a sealed packet", || hear(client, packet, rng)?.map(drop))?;
    let uid = Uid::generate(rng);
    measured("make a letter", || client.compose(&mut env(rng), me, to, &uid, &TEXT).ok())?;
    client.release_composed();
    client.transmitted(client.transmit().len());
    let ask = || client.ask_for_key(&mut env(rng), KeyQuestion::ById(to.user)).ok();
    measured("make a sealed packet", ask)
}

/// Bytes of the server, one packet.
fn hear<'c>(
    client: &'c mut Machine<'_>,
    mut packet: &[u8],
    rng: &mut ChaCha20Rng,
) -> Option<Option<Event<'c>>> {
    while !packet.is_empty() {
        let room = client.receive_buffer();
        let (now, later) = packet.split_at(room.len().min(packet.len()));
        room.get_mut(..now.len())?.copy_from_slice(now);
        client.received(now.len());
        packet = later;
    }
    client.poll(&mut env(rng)).ok()
}

fn env(rng: &mut dyn CryptoRng) -> Env<'_> {
    Env { now: Now { instant: Instant::from_millis(0), unix: NOW }, rng }
}

fn key(at: usize) -> Option<RustCryptoKey> {
    RustCryptoKey::from_pkcs8_der(keys::pkcs8_der(at)).ok()
}

/// Does it, and reports what it took.
fn measured<T>(name: &str, work: impl FnOnce() -> Option<T>) -> Option<T> {
    let mut meter = Meter::default();
    let result = meter.add(work);
    meter.report(name);
    result
}
