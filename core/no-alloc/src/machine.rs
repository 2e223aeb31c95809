//! Everything that a device does with wire, envelope and client machine, over a board of which
//! only the functions' names are known: so the linker keeps all of the one and nothing of the other.
#![no_std]
#![no_main]

mod board;

use core::mem::size_of;

use board::{
    Backend, Entropy, Key, Line, Room, board_command, board_load, board_now, board_show,
    board_sleep, phone,
};
use waxwing_core::client::{
    Addressee, Buffers, Client, Env, Event, Keys, Novelty, Options, RequestError, SeenLetters,
    drive,
};
use waxwing_core::crypto::{PrivateKey, Provider, ReplyKey, SessionKey};
use waxwing_core::envelope::{self, Content, Fingerprint, OpenedLetter, SafetyNumber};
use waxwing_core::id::{PacketId, Uid, UserId};
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::phone::{Otp, Phone};
use waxwing_core::wire::{KeyAnswer, KeyQuestion, StatusQuery};

type Device<'a> = Client<'a, Backend, &'a mut [u8], 1>;
type Seen = SeenLetters<16, 4>;

/// What the machine takes of a device's RAM, as a section to be measured.
#[unsafe(no_mangle)]
static MACHINE: Room<{ size_of::<Device<'_>>() + size_of::<Seen>() }> = Room::new();

/// The caller's packet buffers, not counted.
struct Memory {
    letters: [u8; 8_192],
    control: [u8; MAX_CONTROL_PACKET],
    transmit: [u8; 4_096],
}

/// Runs until the connection ends.
#[unsafe(no_mangle)]
fn start() {
    core::hint::black_box(&MACHINE);
    #[cfg(feature = "panic")]
    assert!(board_command() != 7);
    let mut memory = Memory { letters: [0; 8_192], control: [0; _], transmit: [0; 4_096] };
    let (Some(own), Some(peer)) = (phone(), phone()) else { return };
    let keys = Keys { provider: &Backend, own: &Key(1), server: &Key(2) };
    let buffers =
        Buffers::from_arrays(&mut memory.letters, &mut memory.control, &mut memory.transmit);
    let options = Options { window: 1, ..Options::default() };
    let Ok(mut client) = Device::new(keys, buffers, options) else { return };
    let mut stored = [0; Seen::ENCODED_LEN];
    board_load(&mut stored);
    let mut seen = Seen::decode(&stored).unwrap_or_default();
    let me = Fingerprint::of(keys.provider, &own, keys.own.spki());
    let mut answer = None;
    loop {
        let mut rng = Entropy;
        let mut env = Env { now: board_now(), rng: &mut rng };
        let Ok(moved) = drive(&mut client, &mut Line, &mut env) else { return };
        board_show(&[u8::from(
            command(&mut client, &mut env, (&own, &peer, &me), answer.as_ref()).is_ok(),
        )]);
        match client.poll(&mut env) {
            Ok(Some(event)) => {
                handle(event, &mut env, keys, &me, &mut answer, &mut seen);
            }
            Ok(None) => board_sleep(moved.wait_until),
            Err(_ended) => return,
        }
        client.acknowledge_letter(&mut env);
    }
}

/// Asks for whatever the board says.
#[inline(never)]
fn command(
    client: &mut Device<'_>,
    env: &mut Env<'_>,
    (own, peer, me): (&Phone, &Phone, &Fingerprint),
    answer: Option<&KeyAnswer>,
) -> Result<(), RequestError> {
    let mut bytes = [0; 32];
    board_load(&mut bytes);
    let (reply_key, session_key) = (ReplyKey::from_bytes(&bytes), SessionKey::from_bytes(&bytes));
    let (Some(user), Ok(otp)) = (UserId::new(board_command()), Otp::parse(b"123456")) else {
        return Ok(());
    };
    match board_command() {
        0 => client.request_otp(env, own, &reply_key),
        1 => client.prove_otp(env, own, &reply_key, &otp),
        2 => client.reconnect(env, user, None),
        3 => client.reconnect(env, user, Some(&session_key)),
        4 => client.ask_for_key(env, KeyQuestion::ByPhone(*peer)),
        5 => client.ask_for_key(env, KeyQuestion::ById(user)),
        6 => {
            let query = StatusQuery { recipient: user, letter: PacketId([0; 16]) };
            client.ask_for_statuses(env, &[query])
        }
        7 => {
            client.flush_acknowledgments(env);
            client.leave(env)
        }
        8 => {
            board_show(client.composed());
            client.release_composed();
            client.discard_composed();
            Ok(())
        }
        9 => client.resend(env, PacketId([0; 16]), &bytes),
        _ => {
            let Some(answer) = answer else { return Ok(()) };
            let fingerprint = Fingerprint::of(&Backend, peer, &answer.spki);
            let number = SafetyNumber::of(&Backend, me, &fingerprint);
            number.groups().iter().for_each(|group| board_show(&group.to_le_bytes()));
            let to = Addressee { user, fingerprint: &fingerprint, key: &Key(3) };
            let uid = Uid::generate(env.rng);
            client.compose(env, me, &to, &uid, &Content::Text("hello")).map(drop)
        }
    }
}

fn handle(
    event: Event<'_>,
    env: &mut Env<'_>,
    keys: Keys<'_, Backend>,
    me: &Fingerprint,
    answer: &mut Option<KeyAnswer>,
    seen: &mut Seen,
) {
    match event {
        Event::Letter(letter) => {
            let Some(known) = answer else { return };
            let Ok(key) = keys.provider.public_key(&known.spki) else { return };
            let sent = letter.header().timestamp;
            let Ok(verified) = letter.verify(&key) else { return };
            let from = Fingerprint::of(keys.provider, &known.phone, &known.spki);
            match envelope::open(keys.provider, env.rng, &from, me, keys.own, verified) {
                Ok(OpenedLetter { uid, content }) => {
                    if seen.admit(&known.phone, &uid, sent) == Novelty::New {
                        let mut stored = [0; Seen::ENCODED_LEN];
                        let _ = seen.encode(&mut stored);
                        board_show(&stored);
                    }
                    match content {
                        Content::Text(text) => board_show(text.as_bytes()),
                        Content::ReadReceipt(uid) => board_show(&uid.0),
                        Content::Unknown { body, .. } => board_show(body),
                    }
                }
                Err(_) => board_show(b"unreadable"),
            }
        }
        Event::TooLarge(letter) => {
            let verified = letter.verify(&Key(4)).is_ok();
            board_show(&[u8::from(verified)]);
        }
        Event::Key(key) => *answer = Some(key),
        Event::Successor(successor) => board_show(successor.effective.as_bytes()),
        Event::Status { letter, status } => board_show(&[letter.prefix().0[0], status.code()]),
        Event::SessionIssued { user } => board_show(&user.get().to_le_bytes()),
        Event::BacklogEnd(count) => board_show(&count.to_le_bytes()),
        Event::OtpIssued(grant) => board_show(&grant.ttl_s.to_le_bytes()),
        Event::Refused(notice) => board_show(&notice.retry_after_s.to_le_bytes()),
        Event::PhoneTaken | Event::WrongKey(_) => board_show(b"no"),
    }
}
