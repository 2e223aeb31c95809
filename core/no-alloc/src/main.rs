//! Everything that a device does with wire, envelope, client machine and messenger, over a board of which
//! only the functions' names are known: so the linker keeps all of the one and nothing of the other.
#![no_std]
#![no_main]

mod board;
mod page;

use core::mem::size_of;

use board::{
    Backend, Entropy, Key, Line, Room, board_command, board_load, board_now, board_show,
    board_sleep, phone,
};
use page::{Page, Seen};
use waxwing_core::client::{Buffers, Client, Env, Keys, Options, RequestError, drive};
use waxwing_core::crypto::{PrivateKey, ReplyKey};
use waxwing_core::envelope::{Fingerprint, SafetyNumber};
use waxwing_core::id::UserId;
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::messenger::{Account, Advice, Messenger, Turn};

type Device<'a> = Client<'a, Backend, &'a mut [u8], 1>;
/// One conversation at a time, and no memory for letters aside.
type Waxwing<'a> = Messenger<'a, [u8; 0], 2>;

/// What the machines take of a device's RAM, as a section to be measured.
#[unsafe(no_mangle)]
static MACHINE: Room<{ size_of::<Device<'_>>() + size_of::<Waxwing<'_>>() + size_of::<Seen>() }> =
    Room::new();

/// The caller's packet buffers, not counted.
struct Memory {
    letters: [u8; 8_192],
    control: [u8; MAX_CONTROL_PACKET],
    transmit: [u8; 4_096],
}

/// Runs until no other connection is worth it.
#[unsafe(no_mangle)]
fn start() {
    core::hint::black_box(&MACHINE);
    #[cfg(feature = "panic")]
    assert!(board_command() != 7);
    let mut memory = Memory { letters: [0; 8_192], control: [0; _], transmit: [0; 4_096] };
    let Some(phone) = phone() else { return };
    let keys = Keys { provider: &Backend, own: &Key(1), server: &Key(2) };
    let Some(mut profile) = Page::open() else { return };
    let fingerprint = Fingerprint::of(keys.provider, &phone, keys.own.spki());
    let user = UserId::new(board_command());
    let account = Account { phone, user, fingerprint, server: keys.own.spki() };
    let mut messenger = Waxwing::new(account, []);
    loop {
        board_sleep(Some(messenger.may_connect_at()));
        let Memory { letters, control, transmit } = &mut memory;
        let buffers = Buffers::from_arrays(letters, control, transmit);
        let clock_offset_s = messenger.clock_offset_s();
        let options = Options { window: 1, clock_offset_s, ..Options::default() };
        let Ok(mut client) = Device::new(keys, buffers, options) else { return };
        if !talk(&mut messenger, &mut client, &mut profile) {
            return;
        }
    }
}

/// One connection. Whether another one is worth it.
fn talk(messenger: &mut Waxwing<'_>, client: &mut Device<'_>, profile: &mut Page) -> bool {
    let mut rng = Entropy;
    let mut env = Env { now: board_now(), rng: &mut rng };
    if messenger.connect(client, profile, &mut env).is_err() {
        return false;
    }
    loop {
        env.now = board_now();
        let moved = drive(client, &mut Line, &mut env);
        let _ = command(messenger, client, profile, &mut env);
        let more = moved.is_ok_and(|moved| moved.read > 0);
        match messenger.turn(client, profile, &mut env, more) {
            Ok(Turn::Over(over)) => return over.advice != Advice::GiveUp,
            Ok(Turn::Idle) if moved.is_ok() && client.transmit().is_empty() => {
                board_sleep(client.poll_timeout());
            }
            Ok(_) if moved.is_ok() => {}
            _ => break,
        }
    }
    messenger.disconnected(&mut env);
    true
}

/// Asks for what the messenger leaves to the program.
#[inline(never)]
fn command(
    messenger: &Waxwing<'_>,
    client: &mut Device<'_>,
    profile: &mut Page,
    env: &mut Env<'_>,
) -> Result<(), RequestError> {
    let mut bytes = [0; 32];
    board_load(&mut bytes);
    let reply_key = ReplyKey::from_bytes(&bytes);
    let Account { phone, fingerprint, .. } = messenger.account();
    match board_command() {
        0 => client.request_otp(env, phone, &reply_key),
        1 => {
            let Some(otp) = profile.code.take() else { return Ok(()) };
            client.prove_otp(env, phone, &reply_key, &otp)
        }
        2 => client.leave(env),
        3 => {
            let settled = messenger.is_settled(profile, env.now.unix);
            board_show(&[u8::from(settled.is_ok_and(|settled| settled))]);
            Ok(())
        }
        _ => {
            let Some(peer) = &profile.peer else { return Ok(()) };
            let theirs = Fingerprint::of(&Backend, &peer.phone, &peer.spki);
            let number = SafetyNumber::of(&Backend, fingerprint, &theirs);
            number.groups().iter().for_each(|group| board_show(&group.to_le_bytes()));
            Ok(())
        }
    }
}
