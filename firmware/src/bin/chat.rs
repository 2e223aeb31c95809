//! The device: registers, talks with one person, and comes back whatever happens to it.
#![no_std]
#![no_main]

use core::mem::MaybeUninit;

use cortex_m_rt::entry;
use rand_chacha::ChaCha20Rng;
use waxwing_core::client::{Buffers, Keys};
use waxwing_core::crypto::{
    PrivateKey, Provider, RustCrypto, RustCryptoKey, RustCryptoPublicKey, SPKI_LEN, Spki,
};
use waxwing_core::envelope::Fingerprint;
use waxwing_core::limits::MAX_CONTROL_PACKET;
use waxwing_core::messenger::Account;
use waxwing_firmware::host::{self, Outcome, say};
use waxwing_firmware::memory::Memory;
use waxwing_firmware::plan::Plan;
use waxwing_firmware::talk::{Device, Machine, Waxwing};
use waxwing_firmware::{clock, entropy, heap, stack};

/// For the `rsa` crate: the device's key, and what computing with it takes.
const HEAP: usize = 16 * 1_024;

/// The packet buffers.
struct Packets {
    /// The largest letter that it can read has 8 KiB.
    letter: [u8; 8 * 1_024],
    control: [u8; MAX_CONTROL_PACKET],
    /// A letter of its own and a control packet beside it.
    transmit: [u8; 1_024 + MAX_CONTROL_PACKET],
}

impl Packets {
    const EMPTY: Self = Self {
        letter: [0; 8 * 1_024],
        control: [0; MAX_CONTROL_PACKET],
        transmit: [0; 1_024 + MAX_CONTROL_PACKET],
    };
}

#[entry]
fn main() -> ! {
    static mut HEAP_MEMORY: [MaybeUninit<u8>; HEAP] = [MaybeUninit::uninit(); HEAP];
    static mut PACKETS: Packets = Packets::EMPTY;
    static mut OWN: MaybeUninit<RustCryptoKey> = MaybeUninit::uninit();
    static mut SERVER: MaybeUninit<(Spki, RustCryptoPublicKey)> = MaybeUninit::uninit();
    static mut MEMORY: MaybeUninit<Memory> = MaybeUninit::uninit();
    static mut MESSENGER: MaybeUninit<Waxwing> = MaybeUninit::uninit();
    static mut MACHINE: Option<Machine> = None;
    stack::paint();
    heap::start(HEAP_MEMORY);
    if let Some(peripherals) = cortex_m::Peripherals::take() {
        clock::start(peripherals.SYST);
    }
    let Packets { letter, control, transmit } = PACKETS;
    let buffers = Buffers::from_arrays(letter, control, transmit);
    let mut line = [0; 256];
    let Some(plan) = Plan::parse(host::command_line(&mut line)) else {
        fail(
            "usage: own=PHONE peer=PHONE [letters=N] [probe_ms=N] [line_ms=N] [freeze=1] [send=TEXT]; a text has 64 bytes at most",
        )
    };
    let Some(mut rng) = entropy::generator() else { fail("no randomness") };
    let own = OWN.write(own_key(&mut rng));
    let Some(server) = server_key() else { fail("no key of the server in `server.der`") };
    let (spki, server) = SERVER.write(server);
    let keys = Keys { provider: &RustCrypto, own, server };
    let memory = remember(MEMORY, &plan, &mut rng);
    let fingerprint = Fingerprint::of(keys.provider, &plan.own, keys.own.spki());
    let account = Account { phone: plan.own, user: memory.user(), fingerprint, server: spki };
    let messenger = MESSENGER.write(Waxwing::new(account, []));
    let success = Device::new(&plan, messenger, memory, &mut rng).run(keys, MACHINE, buffers);
    say_peak("stack: at most ", stack::peak());
    say_peak("heap: at most ", heap::peak());
    host::exit(if success { Outcome::Success } else { Outcome::Failure })
}

/// What outlived power, and the letter that is to be sent now.
#[inline(never)]
fn remember<'m>(
    place: &'m mut MaybeUninit<Memory>,
    plan: &Plan,
    rng: &mut ChaCha20Rng,
) -> &'m mut Memory {
    let memory = place.write(Memory::new(plan.peer, rng));
    if memory.open().is_err() {
        fail("the flash does not take it");
    }
    if *memory.peer() != plan.peer {
        fail("the flash is that of a device which talks with somebody else");
    }
    match plan.send.clone().map(|text| memory.write(text, rng)) {
        None | Some(Ok(true)) => {}
        Some(Ok(false)) => {
            say(&["the text is not taken: an earlier letter has yet to be delivered"]);
        }
        Some(Err(_)) => fail("the flash does not take it"),
    }
    memory
}

/// The key in `key.der`. Without one, a new one, if that was compiled in.
#[inline(never)]
fn own_key(rng: &mut ChaCha20Rng) -> RustCryptoKey {
    let mut der = [0; 1_280];
    if let Some(len) = host::read_file(c"key.der", &mut der) {
        let Ok(key) = RustCryptoKey::from_pkcs8_der(&der[..len]) else {
            fail("`key.der` is damaged")
        };
        return key;
    }
    new_key(rng)
}

#[cfg(feature = "keygen")]
fn new_key(rng: &mut ChaCha20Rng) -> RustCryptoKey {
    say(&["making a key"]);
    let Ok(key) = RustCryptoKey::generate(rng) else { fail("no key could be made") };
    let stored = key.to_pkcs8_der().is_ok_and(|der| host::write_file(c"key.der", &der));
    if !stored {
        fail("the flash does not take the key");
    }
    key
}

#[cfg(not(feature = "keygen"))]
fn new_key(_: &mut ChaCha20Rng) -> RustCryptoKey {
    fail("no key in `key.der`, and this firmware makes none")
}

#[inline(never)]
fn server_key() -> Option<(Spki, RustCryptoPublicKey)> {
    let mut der = [0; SPKI_LEN];
    host::read_file(c"server.der", &mut der).filter(|len| *len == SPKI_LEN)?;
    let spki = Spki::parse(&der).ok()?;
    let key = RustCrypto.public_key(&spki).ok()?;
    Some((spki, key))
}

fn say_peak(what: &str, bytes: usize) {
    say(&[what, host::decimal(bytes as u32, &mut [0; 10]), " bytes"]);
}

fn fail(why: &str) -> ! {
    say(&[why]);
    host::exit(Outcome::Failure)
}
